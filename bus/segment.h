#ifndef SLIPRING_BUS_SEGMENT_H
#define SLIPRING_BUS_SEGMENT_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include <slipring/sample.h>

/* A System V segment that this process has attached. */
struct segment {
        int id; /* -1: none */
        void *address;
        uint64_t bytes;
};

#define SEGMENT_NONE ((struct segment){.id = -1})

/* What the directory says a segment is. */
struct segment_expect {
        const char *what; /* for messages: "topic 'imu'" */
        key_t key;
        int id; /* -1: not known */
        uint64_t bytes;
        uint64_t page_bytes; /* of the huge pages that it is made of; 0: ordinary ones */
        uid_t uid;
        gid_t gid; /* (gid_t) -1: any */
        unsigned mode;
        uint32_t semaphores; /* of a claim's set; 0: one */
};

/*
 * segment_first_mode() - the mode to make an object with, before its access is set
 *
 * 0600 if it is going to be another user's or group's, since nobody else may look before that; else
 * the mode it will have, since a client may look at any moment and must not find it changed.
 */
unsigned segment_first_mode(const struct segment_expect *expect);

/*
 * segment_create() - make a segment and attach it for writing
 * @ret_segment:        set on success
 * @expect:             key, size, owner, group and mode to make it with; id is ignored
 *
 * Return: 0, -EEXIST if the key is taken, -ENOSPC if the machine's SHMMNI or SHMALL is reached,
 * -EINVAL above SHMMAX, -ENOMEM; of huge pages -ENOMEM if the pool has too few, -EPERM if this user
 * may not have them, -EINVAL, -ENOENT or -ENOSYS if the kernel has none of that size.
 */
int segment_create(struct segment *ret_segment,
                   const struct segment_expect *expect,
                   struct slipring_error *reterr);

/*
 * segment_check() - is it what the directory says, before anything in it is read?
 * @id:         segment id
 * @expect:     what it has to be
 *
 * Checks creator, owner, group, mode, size and that it is not marked for removal.
 *
 * Return: 0, -EIDRM if it is gone or marked for removal, -EPERM for a creator who is not trusted,
 *         -EACCES if this user may not look, -EBADMSG if it differs.
 */
int segment_check(int id, const struct segment_expect *expect, struct slipring_error *reterr);

/*
 * segment_attach() - find a segment by key, check it, attach it and check it again
 * @ret_segment:        set on success
 * @expect:             what it has to be
 * @writable:           false: SHM_RDONLY, enforced by the kernel
 *
 * The mapping is left out of core dumps and of forked children.
 *
 * Return: 0, -ENOENT if no segment has the key, -EACCES if this user may not attach, -ENOMEM, else
 * as segment_check().
 */
int segment_attach(struct segment *ret_segment,
                   const struct segment_expect *expect,
                   bool writable,
                   struct slipring_error *reterr);

/*
 * segment_adopt() - attach a segment of this user's making for writing, whatever became of it
 * @ret_segment:        set on success
 * @expect:             what it should be; by id if that is known, else by key
 *
 * Gives it back the access that it should have: a manager killed between making it and that left it
 * so, or its owner changed it. By id also one that is marked for removal.
 *
 * Return: 0, -ENOENT or -EIDRM if it is gone, -EPERM if another user created it, -EBADMSG if it has
 *         another size.
 */
int segment_adopt(struct segment *ret_segment,
                  const struct segment_expect *expect,
                  struct slipring_error *reterr);

/*
 * segment_advise_huge() - have the kernel make it of huge pages where it finds any
 *
 * Before anything in it was touched. For all who attach it, since they share its pages; a hint.
 */
void segment_advise_huge(const struct segment *segment);

/*
 * segment_lock() - keep it in memory
 *
 * Huge pages are never swapped out, and there is nothing to do.
 *
 * Return: 0, -EPERM or -ENOMEM where the limit forbids it, -EIDRM if it is gone.
 */
int segment_lock(int id, uint64_t page_bytes);

/*
 * segment_prefault() - touch every page, so that no later access faults
 * @writable:   as it was attached; contents do not change, also under a live publisher
 */
void segment_prefault(const struct segment *segment, bool writable);

/*
 * segment_is_locked() - is it sure to stay in memory?
 * @page_bytes: of its huge pages, 0 for ordinary ones
 */
bool segment_is_locked(const struct segment *segment, uint64_t page_bytes);

/*
 * segment_attached() - processes that have it attached, 0 if it is gone
 */
unsigned segment_attached(const struct segment *segment);

/*
 * segment_detach() - unmap; takes SEGMENT_NONE and leaves it
 */
void segment_detach(struct segment *segment);

#endif
