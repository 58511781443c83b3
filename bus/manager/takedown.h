#ifndef SLIPRING_BUS_MANAGER_TAKEDOWN_H
#define SLIPRING_BUS_MANAGER_TAKEDOWN_H

#include <stdbool.h>
#include <sys/types.h>

#include <slipring/sample.h>
#include <slipring/type.h>

/*
 * struct takedown - what takedown() removed
 * @bus:        its name
 * @user:       whose it was
 * @pid:        of the manager that removed it, 0 if none was running
 * @counted:    whether its topics could be counted, before its manager removed them
 * @topics:     topics that it had
 * @forced:     its directory could not be read: what nothing in it led to may be left
 */
struct takedown {
        char bus[SLIPRING_BUS_NAME_MAX + 1];
        uid_t user;
        pid_t pid;
        bool counted;
        size_t topics;
        bool forced;
};

/*
 * takedown() - remove a bus, whether its manager runs or not
 * @ret_takedown:       filled on success
 * @bus:        "[USER/]BUS"; NULL for $SLIPRING_BUS or the only bus there is
 * @force:      also one whose directory cannot be read
 *
 * Asks a running manager to do it; that takes the right to signal it. Without one it takes the
 * creator's rights; root becomes that user, for good.
 *
 * Return: 0, -ENOENT if there is no such bus, -EPERM if it is another user's, -ETIMEDOUT if the
 *         manager does not end within ten seconds, -EBADMSG or -EPROTONOSUPPORT if its directory
 *         cannot be read, else as directory_locate() and registry_open().
 */
int takedown(struct takedown *ret_takedown,
             const char *bus,
             bool force,
             struct slipring_error *reterr);

#endif
