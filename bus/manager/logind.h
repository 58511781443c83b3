#ifndef SLIPRING_BUS_MANAGER_LOGIND_H
#define SLIPRING_BUS_MANAGER_LOGIND_H

#include <sys/types.h>

/* What systemd-logind does to a user's shared memory at the last logout, see logind.conf(5). */
enum logind {
        LOGIND_ABSENT,        /* it does not run here */
        LOGIND_SPARES_SYSTEM, /* nothing: a system user */
        LOGIND_SPARES,        /* nothing: told not to, or the user lingers */
        LOGIND_REMOVES,
};

/* From here on users log in; logind leaves those below alone. */
#define LOGIND_UID_MIN 1000u

/*
 * logind_ask() - would logind remove the shared memory of @uid?
 *
 * Context: Setup only: reads files, asks the system's user database.
 */
enum logind logind_ask(uid_t uid);

#endif
