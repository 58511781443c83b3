/*
 * slipring down: take a bus down.
 */

#include <errno.h>

#include "bus/manager/takedown.h"
#include "cli/cli.h"

static void say(const struct takedown *down) {
        printf("%s: removed", down->bus);
        if (down->counted) {
                printf(", %zu topic%s", down->topics, down->topics == 1 ? "" : "s");
        }
        if (down->forced) {
                printf(" found by force; what nothing in its directory led to may be left, see "
                       "ipcs "
                       "-m and ipcs -s\n");
        } else if (down->pid) {
                printf("; its manager, pid %d, has ended\n", (int) down->pid);
        } else {
                printf("; no manager was running\n");
        }
}

static int down_run(struct cli *cli, int argc, char **argv) {
        struct slipring_error error = {0};
        struct takedown down;
        bool force = false;
        const struct cli_option options[] = {
                {'f', "force", NULL, "also a bus whose directory cannot be read", .flag = &force},
                {0},
        };

        if (!cli_parse(cli, options, &argc, &argv)) {
                return cli->exit_code;
        }
        if (takedown(&down, cli->bus, force, &error) < 0) {
                cli_error(cli, "%s", error.text);
                return error.code == -ENOTUNIQ || error.code == -EINVAL ? CLI_USAGE : CLI_FAILURE;
        }
        say(&down);
        return CLI_OK;
}

const struct cli_verb cli_down = {
        .name = "down",
        .arguments = "",
        .least = 0,
        .most = 0,
        .common = CLI_BUS,
        .summary = "take a bus down",
        .help = "Removes a bus and all its shared memory. Publishers and subscribers that are\n"
                "attached are told that their topics are retired.\n"
                "\n"
                "A manager that runs is asked to do it and ends, also one that was told to keep\n"
                "the bus. Whoever may signal the manager may take its bus down: its user and\n"
                "root. Without a manager, what an earlier one left is removed.\n"
                "\n"
                "  slipring down                          the only bus, or $SLIPRING_BUS\n"
                "  slipring down -b rover\n"
                "  slipring down -b slipring/rover        the one that the service runs\n",
        .run = down_run,
};
