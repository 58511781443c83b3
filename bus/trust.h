#ifndef SLIPRING_BUS_TRUST_H
#define SLIPRING_BUS_TRUST_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

/* The system user that a bus manager runs as when systemd starts it. */
#define TRUST_SYSTEM_USER "slipring"

/*
 * trust_users() - whose shared memory this process attaches to, in the order of search
 * @ret_users:  array
 * @capacity:   its length
 *
 * This user, the system user `slipring`, root, and the users in $SLIPRING_TRUST (names or numbers,
 * separated by commas; ignored in a set-user-id program). Each once.
 *
 * Return: how many were stored.
 * Context: Setup only: asks the system's user database.
 */
size_t trust_users(uid_t *ret_users, size_t capacity);

#define TRUST_USERS_MAX 64

/*
 * trust_creator() - may this process attach to what a user created?
 * @cuid:       creator as IPC_STAT tells it: unlike the owner it cannot be changed by IPC_SET
 */
bool trust_creator(uid_t cuid);

/*
 * trust_find_user() - user id of a name or a decimal number
 *
 * Return: 0 and @ret_uid, or -ENOENT.
 */
int trust_find_user(const char *name, uid_t *ret_uid);

#endif
