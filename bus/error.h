#ifndef SLIPRING_BUS_ERROR_H
#define SLIPRING_BUS_ERROR_H

#include <slipring/sample.h>

#define _cleanup_(f) __attribute__((cleanup(f)))

/*
 * error_set() - say why something failed, in words
 * @reterr: may be NULL
 * @code:   negative errno
 *
 * Return: @code, so that a failing function can end with `return error_set(...)`.
 */
__attribute__((format(printf, 3, 4))) int
error_set(struct slipring_error *reterr, int code, const char *format, ...);

/*
 * error_user() - a user's name for a message
 * @uid:    user id
 *
 * Return: the name, or the number where the system has none. Valid until the thread's next call.
 * Context: Setup only: asks the system's user database.
 */
const char *error_user(unsigned uid);

/*
 * error_group() - the same for a group
 * @gid:    group id
 */
const char *error_group(unsigned gid);

/*
 * error_remedy() - what helps where a limit was reached
 * @code:   negative errno
 *
 * Return: half a sentence that begins with a semicolon, or "".
 */
const char *error_remedy(int code);

#endif
