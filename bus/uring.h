#ifndef SLIPRING_BUS_URING_H
#define SLIPRING_BUS_URING_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bus/wake.h"

/*
 * The little of io_uring that futex waits need: futexes (Linux 6.7), one timer, cancelling, and an
 * eventfd that is signalled with each completion. Without liburing, whose Debian 12 release does
 * not know futexes either.
 */
struct uring {
        int fd; /* -1: closed */
        void *rings;
        size_t rings_bytes;
        void *entries;
        size_t entries_bytes;
        _Atomic uint32_t *sq_head, *sq_tail, *sq_flags, *cq_head, *cq_tail;
        uint32_t *sq_array;
        uint32_t sq_mask, cq_mask;
        void *completions;
        struct {
                int64_t sec, nsec;
        } tick;
};

/*
 * uring_open() - set up a ring
 * @uring:      filled on success
 * @eventfd:    signalled with each completion
 *
 * Return: 0, -ENOSYS where io_uring, its futex operations or COOP_TASKRUN are missing or refused.
 */
int uring_open(struct uring *uring, int eventfd);

/*
 * uring_wait_futex() - start waiting while a word holds a value
 * @id:         returned with the completion, whose result is 0 if it was woken
 *
 * Completes at once if the word holds something else. One system call. Who gets the completion
 * passes the wake-up on (wake_pass()).
 *
 * Return: 0 or -errno.
 */
int uring_wait_futex(struct uring *uring, const struct wake_item *item, uint64_t id);

/*
 * uring_wait_ns() - start a timer
 * uring_cancel() - stop a wait; it completes as cancelled
 *
 * One system call each; one timer at a time.
 */
int uring_wait_ns(struct uring *uring, uint64_t ns, uint64_t id);
int uring_cancel(struct uring *uring, uint64_t id, uint64_t cancel_id);

/*
 * uring_next() - fetch a completion
 *
 * Return: whether there was one; a system call only after an overflow.
 */
bool uring_next(struct uring *uring, uint64_t *ret_id, int32_t *ret_result);

void uring_close(struct uring *uring);

#endif
