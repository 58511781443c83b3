#ifndef SLIPRING_BUS_PROBE_H
#define SLIPRING_BUS_PROBE_H

#include <stdbool.h>

/*
 * probe_disabled() - is a kernel facility named in $SLIPRING_DISABLE?
 * @facility:   "io_uring", "futex_waitv", "populate" or "futex_lock_pi2"
 *
 * For tests and for machines where a facility misbehaves; separated by commas.
 *
 * Context: Setup only.
 */
bool probe_disabled(const char *facility);

#endif
