#ifndef SLIPRING_CLI_BAG_H
#define SLIPRING_CLI_BAG_H

/*
 * The parts of `slipring bag`.
 */

#include "cli/cli.h"

/**
 * struct bag - a recording
 * @cli:        run
 * @path:       its name
 * @output:     --output, or NULL
 * @in_place:   --in-place
 * @topic:      --topic, or NULL
 * @fd:         open for reading
 */
struct bag {
        struct cli *cli;
        const char *path;
        const char *output;
        bool in_place;
        const char *topic;
        int fd;
};

/** bag_csv() - print the messages of a topic, a line each; returns an exit code */
int bag_csv(struct bag *bag);

#endif
