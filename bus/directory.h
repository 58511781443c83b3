#ifndef SLIPRING_BUS_DIRECTORY_H
#define SLIPRING_BUS_DIRECTORY_H

#include <stdbool.h>
#include <sys/types.h>

#include "bus/header.h"
#include "bus/segment.h"

/*
 * The directory of a bus as a client sees it: attached read-only, a ring of depth 2 of whose
 * messages only the newest matters. Its key follows from the manager's uid and the bus's name; all
 * other keys are found in it.
 */
struct directory {
        struct segment segment;
        struct header header;
        struct ring ring;
        uid_t manager_uid;
        char bus[SLIPRING_BUS_NAME_MAX + 1];
};

/* A table in private memory. */
struct directory_table {
        struct layout_table *table; /* with its entries behind it */
        struct layout_entry *entries;
        uint32_t count;
        uint64_t sequence; /* number of the message it was */
};

/*
 * directory_key() - the key of a bus's directory
 * @uid:        of the user who runs the manager
 * @bus:        name of the bus
 *
 * FNV-1a, 64 bits, over "slipring:UID/BUS" with the number in decimal, upper half xored onto the
 * lower, 31 bits of that, and 1 in place of 0 (which is IPC_PRIVATE).
 */
key_t directory_key(uid_t uid, const char *bus);

/*
 * directory_name_check() - may a bus be called that?
 *
 * Return: 0, or -EINVAL: lower-case letters, digits and single underscores, a letter first, at
 * most 63.
 */
int directory_name_check(const char *bus, struct slipring_error *reterr);

/*
 * directory_expect() - what the kernel must say of a directory
 */
struct segment_expect directory_expect(uid_t uid, const char *bus, const char *what);

/*
 * directory_attach() - attach one user's bus of that name
 * @ret_directory:      set on success, to be ended with directory_detach()
 *
 * Return: 0, -ENOENT if there is none or it is not finished, else as segment_attach() and
 *         header_read().
 */
int directory_attach(struct directory *ret_directory,
                     uid_t uid,
                     const char *bus,
                     struct slipring_error *reterr);

/*
 * directory_locate() - find and attach a bus
 * @name:       "BUS", "USER/BUS" or NULL
 *
 * BUS alone is looked for among this user's buses, then those of the system user `slipring`, of
 * root and of the users in $SLIPRING_TRUST. NULL is $SLIPRING_BUS, or the only bus that this user
 * can read.
 *
 * Return: 0, -ENOENT if there is none, -ENOTUNIQ if several could be meant, -EINVAL for a malformed
 *         name, else as directory_attach().
 */
int directory_locate(struct directory *ret_directory,
                     const char *name,
                     struct slipring_error *reterr);

/*
 * directory_locate_up() - find and attach a bus that is not being taken down
 * @ret_directory:      set on success
 *
 * For who comes back to a bus: the directory of one that ends is still there for a while.
 *
 * Return: whether there is one.
 */
bool directory_locate_up(struct directory *ret_directory, const char *name);

/*
 * directory_list() - all buses that this user can read
 * @ret_directories:    set to an array to detach each of and to free(3)
 * @ret_count:          its length
 *
 * Own buses first, then those of `slipring`, then root's, then others; each by name.
 *
 * Return: 0, -ENOMEM, or -errno if /proc/sysvipc/shm cannot be read.
 */
int directory_list(struct directory **ret_directories, size_t *ret_count);

/*
 * directory_full_name() - the name that finds this bus again and no other one: UID/BUS
 */
void directory_full_name(const struct directory *directory, char *text, size_t bytes);

void directory_detach(struct directory *directory);

/*
 * directory_read() - copy the newest table
 * @table:      zero-filled before the first call, kept and enlarged by later ones
 *
 * Return: 0, -ENOENT before the first message, -EAGAIN if the manager overtook three attempts,
 * -EBADMSG if it is corrupt, -ENOMEM.
 */
int directory_read(const struct directory *directory,
                   struct directory_table *table,
                   struct slipring_error *reterr);

void directory_table_free(struct directory_table *table);

/*
 * directory_find() - a topic's entry
 *
 * Return: the entry in state SERVING of that name, or NULL.
 */
const struct layout_entry *directory_find(const struct directory_table *table, const char *topic);

/*
 * directory_wait() - sleep until the manager publishes another table
 * @sequence:           of the table that was read
 * @deadline_ns:        absolute CLOCK_MONOTONIC time
 *
 * At most 100 ms, whether or not anything happened.
 *
 * Return: 0, -ETIMEDOUT at the deadline, -EINTR if a signal handler ran, -EIDRM if the bus was
 * removed.
 */
int directory_wait(const struct directory *directory, uint64_t sequence, uint64_t deadline_ns);

#endif
