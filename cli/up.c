/*
 * slipring up: manage a bus in the foreground.
 */

#include "bus/manager/manager.h"
#include "cli/cli.h"

static int up_run(struct cli *cli, int argc, char **argv) {
        struct manager_options manager = {.program = "slipring up", .foreground = true};
        const struct cli_option options[] = {
                {'k', "keep", NULL, "leave the bus standing at the end", .flag = &manager.keep},
                {'q', "quiet", NULL, "say warnings and errors only", .flag = &manager.quiet},
                {0},
        };

        if (!cli_parse(cli, options, &argc, &argv)) {
                return cli->exit_code;
        }
        manager.schema = argv[0];
        return manager_run(&manager) ? CLI_FAILURE : CLI_OK;
}

const struct cli_verb cli_up = {
        .name = "up",
        .arguments = "FILE",
        .least = 1,
        .most = 1,
        .summary = "bring a bus up and manage it until Ctrl-C",
        .help = "Makes the shared memory of the bus that FILE describes, or adopts it where it\n"
                "is there already, and watches it: who publishes, which topics are overdue,\n"
                "whether anybody changed a segment's access. The same as the service slipringd.\n"
                "\n"
                "Ctrl-C and SIGTERM remove the bus; with --keep it stays, and the next manager\n"
                "adopts it. SIGHUP reads FILE again: topics that did not change stay untouched,\n"
                "and a file with errors changes nothing. Publishers and subscribers do not need\n"
                "the manager to run: when it is killed they go on.\n"
                "\n"
                "  slipring up rover.yaml                 until Ctrl-C\n"
                "  slipring up --keep rover.yaml &        in the background; later:\n"
                "  kill -HUP %1                           after an edit of rover.yaml\n"
                "  slipring down -b rover                 at the end\n",
        .run = up_run,
};
