/*
 * slipringd: manages a bus as a service. `slipring up` is the same in the foreground.
 */

#include <getopt.h>
#include <stdio.h>
#include <string.h>

#include "bus/manager/manager.h"

static void help_print(FILE *out) {
        fputs("usage: slipringd [OPTION...] SCHEMA\n\n"
              "Makes the shared memory of the bus that SCHEMA describes, or adopts it where it is\n"
              "there already, and watches it: who publishes, which topics are overdue, whether\n"
              "anybody changed a segment's access. Publishers and subscribers do not need it to\n"
              "run; it may be killed and started again at any time.\n\n"
              "options:\n"
              "  -k, --keep        SIGTERM and SIGINT leave the bus standing\n"
              "  -q, --quiet       log warnings and errors only\n"
              "  -f, --foreground  log to standard error also under systemd\n"
              "  -h, --help        print this help\n"
              "  -V, --version     print the version\n\n"
              "signals:\n"
              "  SIGHUP            read SCHEMA again: topics that did not change stay untouched, "
              "a\n"
              "                    file with errors changes nothing\n"
              "  SIGTERM, SIGINT   remove the bus and end (with --keep: only end)\n"
              "  SIGUSR1           remove the bus and end, as 'slipring down' asks\n\n"
              "Exit codes: 0 ended by a signal, 1 failed, 2 wrong usage.\n",
              out);
}

static int usage(const char *program) {
        fprintf(stderr, "usage: %s [OPTION...] SCHEMA; see %s --help\n", program, program);
        return 2;
}

int main(int argc, char **argv) {
        static const struct option longs[] = {
                {"keep", no_argument, NULL, 'k'},       {"quiet", no_argument, NULL, 'q'},
                {"foreground", no_argument, NULL, 'f'}, {"help", no_argument, NULL, 'h'},
                {"version", no_argument, NULL, 'V'},    {0},
        };
        struct manager_options options = {.program = "slipringd"};
        int found;

        while ((found = getopt_long(argc, argv, "kqfhV", longs, NULL)) != -1) {
                switch (found) {
                case 'k':
                        options.keep = true;
                        break;
                case 'q':
                        options.quiet = true;
                        break;
                case 'f':
                        options.foreground = true;
                        break;
                case 'h':
                        help_print(stdout);
                        return fflush(stdout) == 0 ? 0 : 1;
                case 'V':
                        printf("slipringd %s\n", SLIPRING_VERSION);
                        return fflush(stdout) == 0 ? 0 : 1;
                default:
                        return usage("slipringd");
                }
        }
        if (argc - optind != 1) {
                return usage("slipringd");
        }
        options.schema = argv[optind];
        return manager_run(&options);
}
