#ifndef SLIPRING_BUS_LOCK_H
#define SLIPRING_BUS_LOCK_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

/*
 * The lock of a topic with several publishers: robust, priority-inheriting, across processes.
 *
 * It is a futex that the kernel knows as such (FUTEX_LOCK_PI): one word, the holder's thread id.
 * Free it is taken and given back without a system call. A sleeper lends the holder its priority.
 * When a holder dies the kernel marks the word, however it died and whether or not anybody waits.
 *
 * Not a pthread_mutex_t: a robust one keeps the links of a list in itself, that is in memory which
 * every other publisher can write, and following them is how one publisher could write into
 * another's memory. Here the only thing shared is the word; what tells the kernel whose death to
 * mark is the thread's own "pending" entry (set_robust_list(2)), which points at the word and is
 * never followed. See docs/decisions/shared-publishers.md.
 *
 * State of the word:
 *
 *   0 -> tid                     (publisher: takes it)
 *   tid -> 0                     (publisher: gives it back, or the kernel to the next in line)
 *   tid -> tid | WAITERS         (kernel: somebody sleeps)
 *   tid -> OWNER_DIED            (kernel: the holder died)
 *   OWNER_DIED -> tid | OWNER_DIED -> tid (publisher: takes it, repairs, says so)
 */

/* A lock as one handle has it. */
struct lock {
        _Atomic uint32_t *word;
        uint32_t cookie; /* of this process, see guard_open() */
        void *before;    /* while it is taken: what the thread's pending entry was */
};

/* What lock_take() returns when the holder before died with it. */
#define LOCK_DIED 1

/*
 * lock_prepare() - can this thread take such locks here?
 *
 * Return: 0, -ENOSYS without priority-inheriting futexes or a robust list.
 * Context: Setup only.
 */
int lock_prepare(void);

/*
 * lock_take() - take the lock
 * @lock:       with word and cookie set
 * @timeout_ns: how long to wait at most, SLIPRING_FOREVER for without end
 *
 * Return: 0; LOCK_DIED if its holder died: it is taken, and what that one left is to be repaired
 *         before lock_settle(); -ETIMEDOUT; -EDEADLK if this very thread holds it (a signal handler
 *         that came in between); -ENOTRECOVERABLE if the word names nobody who can hold it.
 * Context: RT-safe while nobody else holds it: no system call, but for two in the first call of
 *          each thread. Else sleeps in the kernel, with priority inheritance.
 */
int lock_take(struct lock *lock, uint64_t timeout_ns);

/*
 * lock_settle() - what the dead holder left is repaired; whoever dies from here on is the next one
 */
void lock_settle(struct lock *lock);

/*
 * lock_give() - give it back
 *
 * Context: one system call if somebody waits.
 */
void lock_give(struct lock *lock);

/*
 * lock_reset() - free a lock that nobody can hold
 * @seen:       what it held before the caller knew that there is no other publisher
 *
 * The next to take it is told LOCK_DIED. Does nothing if the holder is another one by now.
 *
 * Return: whether it was freed.
 */
bool lock_reset(struct lock *lock, uint32_t seen);

#endif
