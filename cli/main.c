/*
 * slipring: one program, a verb for each thing one does with a bus.
 */

#include <stdio.h>
#include <string.h>

#include "cli/cli.h"
#include "schema/suggest.h"

static const struct cli_verb *const verbs[] = {
        /* In the order of a day's work. */
        &cli_check,  &cli_generate, &cli_up,    &cli_down,     &cli_list,   &cli_info,    &cli_echo,
        &cli_hz,     &cli_bw,       &cli_delay, &cli_pub,      &cli_top,    &cli_plot,    &cli_view,
        &cli_record, &cli_bag,      &cli_play,  &cli_blackbox, &cli_doctor, &cli_latency,
};

#define VERBS (sizeof(verbs) / sizeof(verbs[0]))

static void help_print(FILE *out) {
        fputs("usage: slipring VERB [OPTION...] [ARGUMENT...]\n\n"
              "A real-time sensor data bus for the processes of one machine. A bus is described in "
              "a\n"
              "YAML file: its topics, their message types, who may publish and who may read.\n\n"
              "verbs:\n",
              out);
        for (size_t i = 0; i < VERBS; i++) {
                fprintf(out, "  %-10s %s\n", verbs[i]->name, verbs[i]->summary);
        }
        fputs("\n"
              "slipring VERB --help tells more, with examples. Exit codes: 0 done, 1 failed, 2 "
              "wrong\n"
              "usage, 124 time is up.\n",
              out);
}

static const struct cli_verb *verb_find(const char *name) {
        for (size_t i = 0; i < VERBS; i++) {
                if (!strcmp(verbs[i]->name, name)) {
                        return verbs[i];
                }
        }
        return NULL;
}

static int verb_report_unknown(const char *name) {
        struct suggestion suggestion = {.word = name};

        for (size_t i = 0; i < VERBS; i++) {
                suggestion_offer(&suggestion, verbs[i]->name);
        }
        fprintf(stderr, "slipring: unknown verb '%s'; ", name);
        if (suggestion.best) {
                fprintf(stderr, "did you mean '%s'?\n", suggestion.best);
        } else {
                fputs("see slipring --help\n", stderr);
        }
        return CLI_USAGE;
}

static int verb_run(const char *name, int argc, char **argv) {
        struct cli cli = {.colour = cli_colour(stdout)};

        cli.verb = verb_find(name);
        if (!cli.verb) {
                return verb_report_unknown(name);
        }
        return cli.verb->run(&cli, argc, argv);
}

static int program_run(int argc, char **argv) {
        const char *word = argc > 1 ? argv[1] : NULL;

        if (!word) {
                help_print(stderr);
                return CLI_USAGE;
        }
        if (!strcmp(word, "--version") || !strcmp(word, "-V")) {
                printf("slipring %s\n", SLIPRING_VERSION);
                return CLI_OK;
        }
        if (!strcmp(word, "--help") || !strcmp(word, "-h") || !strcmp(word, "help")) {
                char help[] = "--help", *arguments[] = {argv[0], help, NULL};

                if (argc > 2 && !strcmp(word, "help")) {
                        return verb_run(argv[2], 2, arguments);
                }
                help_print(stdout);
                return CLI_OK;
        }
        if (word[0] == '-') {
                fprintf(stderr, "slipring: unknown option '%s'; see slipring --help\n", word);
                return CLI_USAGE;
        }
        return verb_run(word, argc - 1, argv + 1);
}

int main(int argc, char **argv) {
        int exit_code = program_run(argc, argv), r;

        /* A full disk is found out here at the latest. */
        r = cli_flush();
        if (r < 0) {
                fprintf(stderr, "slipring: cannot write the output: %s\n", strerror(-r));
                return CLI_FAILURE;
        }
        return exit_code;
}
