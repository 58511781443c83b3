#ifndef SLIPRING_CLI_PLAY_BUS_H
#define SLIPRING_CLI_PLAY_BUS_H

/*
 * A bus for what a recording holds, as long as it is played.
 */

#include <sys/types.h>

#include "cli/cli.h"
#include "publishers/play/play.h"
#include "publishers/play/reel.h"

/**
 * struct play_bus - a bus with a manager of its own
 * @name:       "USER/BUS"
 * @manager:    pid of the manager, a child of this process; 0: none
 */
struct play_bus {
        char name[160];
        pid_t manager;
};

/**
 * play_bus_open() - make a bus of the channels of files that are wanted
 * @cli:        run; --bus is its name, else $SLIPRING_BUS, else what the first that says one says
 * @options:    files, path, wanted and rename
 * @bus:        filled
 *
 * A bus of that name that is up already is left as it is: then no manager is started. The manager
 * removes the bus when this process ends, however that is.
 *
 * Return: CLI_OK, or the exit code, with a message printed.
 */
int play_bus_open(const struct cli *cli, const struct play_options *options, struct play_bus *bus);

/** play_bus_close() - take the bus down again, if it was made; returns an exit code */
int play_bus_close(const struct cli *cli, struct play_bus *bus);

/**
 * play_schema_write() - write the schema of a bus for files
 * @cli:        run
 * @options:    path, wanted and rename
 * @reel:       the files
 * @directory:  an empty one, for bus.yaml and the messages that it uses
 * @bus:        name of the bus
 * @ret_topics: set to how many topics it has
 *
 * Types are those of the text in the file. Units and bounds stand in recordings of slipring beside
 * the types. In other files all messages are looked at, if a type has strings or sequences without
 * a bound: what changes among them has the longest one as its bound, and the rest stays as it is.
 * What cannot be on a bus is left out, with a message that says why.
 *
 * Return: CLI_OK, also if live_stopped() before it was written; or the exit code, with a message
 *         printed.
 */
int play_schema_write(const struct cli *cli,
                      const struct play_options *options,
                      struct reel *reel,
                      const char *directory,
                      const char *bus,
                      size_t *ret_topics);

#endif
