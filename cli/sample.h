#ifndef SLIPRING_CLI_SAMPLE_H
#define SLIPRING_CLI_SAMPLE_H

/*
 * A sample on standard output: the same wherever a verb prints one.
 */

#include <slipring/sample.h>

#include "cli/cli.h"
#include "subscribers/render.h"

/* Array elements shown where nothing else was asked for, as `ros2 topic echo` has it. */
#define SAMPLE_LONGEST 128

/**
 * sample_longest() - how much of long arrays to show
 * @cli:        run
 * @full:       all of it was asked for
 * @longest:    elements that were asked for
 *
 * Return: for struct render. Programs that read JSON get what was sent.
 */
uint32_t sample_longest(const struct cli *cli, bool full, uint64_t longest);

/**
 * sample_json() - print a sample as an object in one line, without newline
 * @render:     in RENDER_JSON
 * @topic:      its name
 */
void sample_json(const struct render *render,
                 const char *topic,
                 const struct slipring_sample *sample);

/**
 * sample_print() - print a sample in any format, as a line or a YAML document
 */
void sample_print(const struct render *render,
                  const char *topic,
                  const struct slipring_sample *sample);

#endif
