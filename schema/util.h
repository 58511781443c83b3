#ifndef SLIPRING_SCHEMA_UTIL_H
#define SLIPRING_SCHEMA_UTIL_H

/*
 * The few words that every file of this room uses.
 */

#include <stddef.h>

/** Runs a destructor on a local variable when it goes out of scope, however that happens. */
#ifndef _cleanup_
#define _cleanup_(destructor) __attribute__((cleanup(destructor)))
#endif

#ifndef ELEMENTS
#define ELEMENTS(array) (sizeof(array) / sizeof((array)[0]))
#endif

#endif
