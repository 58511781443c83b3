#ifndef SLIPRING_BUS_TRUST_H
#define SLIPRING_BUS_TRUST_H

#include <stddef.h>
#include <sys/types.h>

#include <slipring/sample.h>

/* The system user that a bus manager runs as when systemd starts it. */
#define TRUST_SYSTEM_USER "slipring"

/*
 * trust_users() - whose shared memory this process attaches to, in the order of search
 * @ret_users:  array
 * @capacity:   its length
 * @ret_failed: set to a negative errno if the user database could not be asked for one of them, so
 *              that the list is too short; else to 0
 *
 * This user, the system user `slipring`, root, and the users in $SLIPRING_TRUST (names or numbers,
 * separated by commas; ignored in a set-user-id program). Each once.
 *
 * Return: how many were stored.
 * Context: Setup only: asks the system's user database.
 */
size_t trust_users(uid_t *ret_users, size_t capacity, int *ret_failed);

#define TRUST_USERS_MAX 64

/*
 * trust_creator() - may this process attach to what a user created?
 * @cuid:       creator as IPC_STAT tells it: unlike the owner it cannot be changed by IPC_SET
 * @what:       whose object it is, for @reterr
 * @key:        its key
 * @kind:       ipcrm(1)'s letter: 'm' for a segment, 's' for a semaphore set
 * @id:         its id
 * @reterr:     set on failure to an explanation; may be NULL
 *
 * Return: 0 if it may, -EPERM if not, -EMFILE, -ENFILE, -ENOMEM or -EIO if the user database could
 *         not be asked.
 */
int trust_creator(
        uid_t cuid, const char *what, key_t key, char kind, int id, struct slipring_error *reterr);

/*
 * trust_find_user() - user id of a name or a decimal number
 *
 * Return: 0 and @ret_uid, -ENOENT, or -EMFILE, -ENFILE, -ENOMEM or -EIO if the user database could
 *         not be asked.
 */
int trust_find_user(const char *name, uid_t *ret_uid);

#endif
