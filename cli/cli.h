#ifndef SLIPRING_CLI_CLI_H
#define SLIPRING_CLI_CLI_H

/*
 * The frame of `slipring VERB`.
 *
 * A verb is one file: a struct cli_verb, named in the table of main.c, whose run function has
 * cli_parse() read its options, does its work and returns an exit code:
 *
 *     static int hz_run(struct cli *cli, int argc, char **argv) {
 *             uint64_t window = 10000;
 *             const struct cli_option options[] = {
 *                     {'w', "window", "N", "average over N samples", .number = &window},
 *                     {0},
 *             };
 *
 *             if (!cli_parse(cli, options, &argc, &argv)) {
 *                     return cli->exit_code;
 *             }
 *             ... argv[0] to argv[argc - 1] are the arguments, as many as the verb allows ...
 *             return CLI_OK;
 *     }
 *
 *     const struct cli_verb cli_hz = {
 *             .name = "hz", .arguments = "TOPIC...", .least = 1, .most = INT_MAX,
 *             .common = CLI_BUS | CLI_JSON, .summary = "measure rates", .help = "...",
 *             .run = hz_run,
 *     };
 *
 * --help, --bus, --json, unknown options and the wrong number of arguments are handled here.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

/** Exit codes. */
enum {
        CLI_OK = 0,
        CLI_FAILURE = 1,
        CLI_USAGE = 2,
        CLI_TIMEOUT = 124,
};

/** Common options that a verb has besides --help. */
enum {
        CLI_BUS = 1 << 0,  /* -b, --bus [USER/]BUS */
        CLI_JSON = 1 << 1, /* --json */
};

struct cli;

/**
 * struct cli_option - an option of a verb; exactly one of @flag to @real is set
 * @letter:     "-o", 0 for none
 * @name:       "--output"
 * @argument:   what the help calls its argument; NULL for a flag
 * @help:       one line
 * @flag:       set to true
 * @text:       set to the argument
 * @number:     set to the argument, a whole number from 1 on
 * @real:       set to the argument, a number above 0
 * @zero:       0 is a number for @real, too
 *
 * A table ends with an entry without name.
 */
struct cli_option {
        char letter;
        const char *name;
        const char *argument;
        const char *help;
        bool *flag;
        const char **text;
        uint64_t *number;
        double *real;
        bool zero;
};

/**
 * struct cli_verb - a verb
 * @name:       "check"
 * @arguments:  its arguments for the usage line
 * @least:      fewest arguments
 * @most:       most arguments
 * @common:     CLI_BUS, CLI_JSON
 * @summary:    one line for the list of verbs
 * @help:       what it does and examples, lines of at most 80 characters
 * @run:        does it
 */
struct cli_verb {
        const char *name;
        const char *arguments;
        int least;
        int most;
        unsigned common;
        const char *summary;
        const char *help;
        int (*run)(struct cli *cli, int argc, char **argv);
};

/**
 * struct cli - a run of the program
 * @verb:       the verb
 * @bus:        from --bus, NULL where not given
 * @json:       --json was given
 * @colour:     standard output takes colours
 * @exit_code:  what to return after cli_parse() said false
 */
struct cli {
        const struct cli_verb *verb;
        const char *bus;
        bool json;
        bool colour;
        int exit_code;
};

/**
 * cli_parse() - read a verb's options and count its arguments
 * @cli:        run
 * @options:    the verb's own options; values that are not given stay as they are
 * @argc:       as the run function got it; left with the number of arguments
 * @argv:       as the run function got it; left with the arguments
 *
 * Return: true to go on, false to return cli->exit_code: the help or a mistake was printed.
 */
bool cli_parse(struct cli *cli, const struct cli_option *options, int *argc, char ***argv);

/**
 * cli_error() - say on standard error what went wrong: "slipring VERB: ..."
 * @cli:        run
 * @format:     as in printf(3), without newline
 */
void cli_error(const struct cli *cli, const char *format, ...)
        __attribute__((format(printf, 2, 3)));

/**
 * cli_colour() - does a stream take colours?
 * @out:        stream
 *
 * Return: true on a terminal, unless NO_COLOR is set (https://no-color.org) or TERM is "dumb".
 */
bool cli_colour(FILE *out);

/**
 * cli_size() - a number of bytes for people
 * @text:       room for it
 * @bytes:      the number
 *
 * Return: @text, "1.5 MiB".
 */
const char *cli_size(char text[32], uint64_t bytes);

/**
 * cli_rate() - bytes per second for people
 * @text:       room for it
 * @rate:       the number
 *
 * Return: @text, "1.50 MB/s".
 */
const char *cli_rate(char text[32], double rate);

/**
 * cli_duration() - a span of time for people
 * @text:       room for it
 * @ns:         nanoseconds
 *
 * Return: @text, "15 ms".
 */
const char *cli_duration(char text[32], uint64_t ns);

/**
 * cli_span() - read a span of time that an option has
 * @cli:        run
 * @option:     its name, "--since"
 * @text:       what stands there: "1.5min"; NULL: it was not given
 * @ret_ns:     set on success, if it was given
 *
 * Return: false if it is none, with a message printed.
 */
bool cli_span(const struct cli *cli, const char *option, const char *text, uint64_t *ret_ns);

/**
 * cli_flush() - pass on what was printed
 *
 * Return: 0, or the negative errno of the first time that standard output took something no
 *         longer, however long ago; -EIO if it is not known.
 */
int cli_flush(void);

/* The verbs. */
extern const struct cli_verb cli_check;
extern const struct cli_verb cli_down;
extern const struct cli_verb cli_generate;
extern const struct cli_verb cli_list;
extern const struct cli_verb cli_info;
extern const struct cli_verb cli_echo;
extern const struct cli_verb cli_hz;
extern const struct cli_verb cli_bw;
extern const struct cli_verb cli_delay;
extern const struct cli_verb cli_pub;
extern const struct cli_verb cli_top;
extern const struct cli_verb cli_plot;
extern const struct cli_verb cli_blackbox;
extern const struct cli_verb cli_doctor;
extern const struct cli_verb cli_latency;
extern const struct cli_verb cli_up;
extern const struct cli_verb cli_view;
extern const struct cli_verb cli_record;
extern const struct cli_verb cli_bag;
extern const struct cli_verb cli_play;

#endif
