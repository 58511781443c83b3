#ifndef SLIPRING_BUS_GUARD_H
#define SLIPRING_BUS_GUARD_H

#include <stdbool.h>
#include <stdint.h>

/*
 * Whether this process opened a handle, or inherited it over fork(2).
 *
 * A word in a page that fork(2) hands to the child as zeros (MADV_WIPEONFORK) holds this process's
 * cookie, and each handle keeps the cookie it was opened under. The check is one load and no system
 * call. vfork(2) shares memory and is not seen.
 */

/*
 * guard_open() - the cookie of this process
 *
 * Return: 0 and @ret_cookie, or -ENOMEM.
 * Context: Setup only.
 */
int guard_open(uint32_t *ret_cookie);

/*
 * guard_holds() - is this still the process that got the cookie?
 *
 * Context: RT-safe.
 */
bool guard_holds(uint32_t cookie);

#endif
