/*
 * What all verbs share: options, errors, numbers for people.
 */

#include "cli/cli.h"

#include <errno.h>
#include <getopt.h>
#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "schema/suggest.h"
#include "schema/utf8.h"
#include "schema/value.h"

#define OPTIONS_MAX 32

/* All options of a verb, its own and the common ones. */
struct options {
        struct cli_option list[OPTIONS_MAX];
        size_t count;
        bool help;
};

void cli_error(const struct cli *cli, const char *format, ...) {
        char *text;
        va_list arguments;
        int length;

        fprintf(stderr, "slipring%s%s: ", cli->verb ? " " : "", cli->verb ? cli->verb->name : "");
        va_start(arguments, format);
        length = vasprintf(&text, format, arguments);
        va_end(arguments);
        if (length >= 0) {
                /* Names out of files may be anything, also what a terminal obeys. */
                utf8_print(stderr, text, "\n\t");
                free(text);
        }
        fputc('\n', stderr);
}

bool cli_colour(FILE *out) {
        const char *no_color = getenv("NO_COLOR"), *term = getenv("TERM");

        return isatty(fileno(out)) && !(no_color && no_color[0]) && term && strcmp(term, "dumb");
}

/*
 * Options
 */

static void options_add(struct options *options, struct cli_option option) {
        if (options->count < OPTIONS_MAX - 1) {
                options->list[options->count++] = option;
        }
}

static void
options_collect(struct options *options, struct cli *cli, const struct cli_option *own) {
        for (; own->name; own++) {
                options_add(options, *own);
        }
        if (cli->verb->common & CLI_BUS) {
                options_add(
                        options,
                        (struct cli_option){'b', "bus", "[USER/]BUS",
                                            "which bus (default: $SLIPRING_BUS, else the only one)",
                                            .text = &cli->bus});
        }
        if (cli->verb->common & CLI_JSON) {
                options_add(options,
                            (struct cli_option){0, "json", NULL, "print JSON", .flag = &cli->json});
        }
        options_add(options, (struct cli_option){'h', "help", NULL, "print this help",
                                                 .flag = &options->help});
}

/* "-o, --output FILE"; how long it is. */
static int option_text(char text[64], const struct cli_option *option) {
        return snprintf(text, 64, "%c%c%c --%s%s%s", option->letter ? '-' : ' ',
                        option->letter ? option->letter : ' ', option->letter ? ',' : ' ',
                        option->name, option->argument ? " " : "",
                        option->argument ? option->argument : "");
}

static void options_print(const struct cli *cli, const struct options *options) {
        const struct cli_verb *verb = cli->verb;
        int width = 24;
        char left[64];

        printf("usage: slipring %s [OPTION...]%s%s\n\n%s\noptions:\n", verb->name,
               *verb->arguments ? " " : "", verb->arguments, verb->help);
        for (size_t i = 0; i < options->count; i++) {
                int length = option_text(left, &options->list[i]);

                width = length > width ? length : width;
        }
        for (size_t i = 0; i < options->count; i++) {
                option_text(left, &options->list[i]);
                printf("  %-*s %s\n", width, left, options->list[i].help);
        }
}

/* The tables that getopt_long() wants. */
static void options_convert(const struct options *options, struct option *longs, char *letters) {
        *letters++ = ':';
        for (size_t i = 0; i < options->count; i++) {
                const struct cli_option *option = &options->list[i];

                longs[i] = (struct option){
                        .name = option->name,
                        .has_arg = option->argument ? required_argument : no_argument,
                        .val = 256 + (int) i,
                };
                if (option->letter) {
                        *letters++ = option->letter;
                        if (option->argument) {
                                *letters++ = ':';
                        }
                }
        }
        longs[options->count] = (struct option){0};
        *letters = '\0';
}

static void
option_report_unknown(const struct cli *cli, const struct options *options, const char *word) {
        struct suggestion suggestion = {0};
        char name[64];

        snprintf(name, sizeof(name), "%.*s", (int) strcspn(word, "="), word);
        suggestion.word = !strncmp(name, "--", 2) ? name + 2 : name;
        for (size_t i = 0; i < options->count && strlen(suggestion.word) > 1; i++) {
                suggestion_offer(&suggestion, options->list[i].name);
        }
        if (suggestion.best) {
                cli_error(cli, "unknown option '%s'; did you mean '--%s'?", name, suggestion.best);
        } else {
                cli_error(cli, "unknown option '%s'; see slipring %s --help", name,
                          cli->verb->name);
        }
}

/* Gives an option its value. Returns false, with a message, where the argument cannot be one. */
static bool
option_set(const struct cli *cli, const struct cli_option *option, const char *argument) {
        char *end = NULL;

        if (option->flag) {
                *option->flag = true;
                return true;
        }
        if (option->text) {
                *option->text = argument;
                return true;
        }
        errno = 0;
        if (option->number) {
                *option->number = strtoull(argument, &end, 10);
                if (argument[0] >= '0' && argument[0] <= '9' && !*end && !errno &&
                    *option->number > 0) {
                        return true;
                }
                cli_error(cli, "--%s %s: must be a whole number from 1 on", option->name, argument);
                return false;
        }
        *option->real = strtod(argument, &end);
        if (end != argument && !*end && isfinite(*option->real) &&
            (*option->real > 0 || (option->zero && *option->real == 0))) {
                return true;
        }
        cli_error(cli, "--%s %s: must be a number %s 0", option->name, argument,
                  option->zero ? "from" : "above");
        return false;
}

static const struct cli_option *option_find(const struct options *options, int found) {
        if (found >= 256) {
                return &options->list[found - 256];
        }
        for (size_t i = 0; i < options->count; i++) {
                if (options->list[i].letter && options->list[i].letter == found) {
                        return &options->list[i];
                }
        }
        return NULL;
}

/* Runs getopt_long() over everything. Returns false, with a message, at the first mistake. */
static bool
options_read(const struct cli *cli, const struct options *options, int argc, char **argv) {
        struct option longs[OPTIONS_MAX];
        char letters[2 * OPTIONS_MAX + 2], word[3] = "-";
        int found;

        options_convert(options, longs, letters);
        opterr = 0;
        optind = 0;
        while ((found = getopt_long(argc, argv, letters, longs, NULL)) != -1) {
                if (found == ':') {
                        cli_error(cli, "option '%s' needs an argument", argv[optind - 1]);
                        return false;
                }
                if (found == '?' && optopt >= 256) {
                        cli_error(cli, "option '--%s' takes no argument",
                                  option_find(options, optopt)->name);
                        return false;
                }
                if (found == '?') {
                        word[1] = (char) optopt;
                        option_report_unknown(cli, options,
                                              optopt > 0 && optopt < 256 ? word : argv[optind - 1]);
                        return false;
                }
                if (!option_set(cli, option_find(options, found), optarg)) {
                        return false;
                }
        }
        return true;
}

static bool arguments_count(const struct cli *cli, int count) {
        const struct cli_verb *verb = cli->verb;

        if (count >= verb->least && count <= verb->most) {
                return true;
        }
        cli_error(cli, "%s; usage: slipring %s [OPTION...]%s%s",
                  count < verb->least ? "something is missing" : "too many arguments", verb->name,
                  *verb->arguments ? " " : "", verb->arguments);
        return false;
}

bool cli_parse(struct cli *cli, const struct cli_option *options, int *argc, char ***argv) {
        struct options all = {0};

        options_collect(&all, cli, options);
        cli->exit_code = CLI_USAGE;
        if (!options_read(cli, &all, *argc, *argv)) {
                return false;
        }
        if (all.help) {
                options_print(cli, &all);
                cli->exit_code = CLI_OK;
                return false;
        }
        *argc -= optind;
        *argv += optind;
        return arguments_count(cli, *argc);
}

/*
 * Numbers for people
 */

static const char *number_text(char text[32], double number, const char *unit) {
        const char *format = number < 9.995 ? "%.2f %s" : number < 99.95 ? "%.1f %s" : "%.0f %s";

        snprintf(text, 32, number == floor(number) ? "%.0f %s" : format, number, unit);
        return text;
}

static const char *
scaled_text(char text[32], double number, double step, const char *const *units, size_t count) {
        size_t unit = 0;

        for (; number >= step && unit + 1 < count; unit++) {
                number /= step;
        }
        return number_text(text, number, units[unit]);
}

const char *cli_size(char text[32], uint64_t bytes) {
        static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};

        return scaled_text(text, (double) bytes, 1024, units, 7);
}

const char *cli_rate(char text[32], double rate) {
        static const char *const units[] = {"B/s", "kB/s", "MB/s", "GB/s", "TB/s"};

        return scaled_text(text, rate, 1000, units, 5);
}

const char *cli_duration(char text[32], uint64_t ns) {
        static const char *const units[] = {"ns", "us", "ms", "s"};

        if (ns >= UINT64_C(120000000000)) {
                return number_text(text, (double) ns / 60e9, "min");
        }
        return scaled_text(text, (double) ns, 1000, units, 4);
}

/*
 * Numbers of people
 */

bool cli_span(const struct cli *cli, const char *option, const char *text, uint64_t *ret_ns) {
        int r = text ? value_duration(text, ret_ns) : 0;

        if (r == -ERANGE || r == -EDOM) {
                cli_error(cli, "%s %s: must be a span of time from 1ns to 277777h (1e9 s)", option,
                          text);
        } else if (r < 0) {
                cli_error(cli,
                          "%s %s: must be a span of time with its unit, as in 5s, 500ms or 1.5min",
                          option, text);
        }
        return r == 0;
}

/*
 * Output
 */

int cli_flush(void) {
        /* The stream remembers that something failed, but not what, and gives up what it held. */
        static int failure;

        if (fflush(stdout) != 0 && failure == 0) {
                failure = errno;
        }
        if (ferror(stdout) && failure == 0) {
                failure = EIO;
        }
        return -failure;
}
