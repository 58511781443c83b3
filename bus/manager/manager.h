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

/*
 * struct manager_down - what manager_take_down() did
 * @bus:        "USER/BUS"
 * @pid:        of the manager that removed the bus, 0 if none was running
 * @topics:     topics that it had; 0 where nobody could read that
 * @left:       with force: how many objects may be left, since nothing says what they were
 */
struct manager_down {
        char bus[128];
        int pid;
        unsigned topics;
};

struct slipring_error;

/*
 * manager_take_down() - remove a bus, whether its manager runs or not
 * @ret_down:   filled on success
 * @bus:        "[USER/]BUS"; NULL for $SLIPRING_BUS or the only bus there is
 * @force:      also one whose directory cannot be read: removes what still tells that it was part
 *              of it
 *
 * Asks a running manager to do it; that takes the right to signal it. Without one, takes the
 * creator's rights; root becomes that user, for good.
 *
 * Return: 0, -ENOENT if there is no such bus, -EPERM if it is another user's, -ETIMEDOUT if the
 *         manager does not end, -EBADMSG or -EPROTONOSUPPORT if its directory cannot be read,
 *         else as registry_open().
 */
int manager_take_down(struct manager_down *ret_down,
                      const char *bus,
                      bool force,
                      struct slipring_error *reterr);

#endif
