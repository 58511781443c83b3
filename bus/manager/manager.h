#ifndef SLIPRING_BUS_MANAGER_MANAGER_H
#define SLIPRING_BUS_MANAGER_MANAGER_H

#include <stdbool.h>

/*
 * The manager of one bus: makes what a schema names, watches it, and takes it down or leaves it
 * standing. `slipringd` and `slipring up` are this and their options.
 *
 *   SIGHUP             read the schema again
 *   SIGTERM, SIGINT    remove the bus and end; with keep: leave it standing and end
 *   SIGUSR1            remove the bus and end, also with keep (what `slipring down` sends)
 *
 * It is never on a sample's way: while it is stopped or dead, publishers and subscribers go on.
 */

/*
 * struct manager_options - how to run a bus
 * @program:    for messages: "slipringd"
 * @schema:     path of the schema, read again at each reload
 * @keep:       SIGTERM and SIGINT leave the bus standing, for the next manager to adopt
 * @quiet:      log warnings and errors only
 * @foreground: log to standard error also where that is the journal's
 */
struct manager_options {
        const char *program;
        const char *schema;
        bool keep;
        bool quiet;
        bool foreground;
};

/*
 * manager_run() - manage a bus until a signal ends it
 *
 * Says on standard error or in the journal what it does. Blocks and handles the signals above, in
 * a process with no other threads.
 *
 * Return: exit code: 0 once it was ended by a signal, 1 if it could not start or lost the bus.
 */
int manager_run(const struct manager_options *options);

#endif
