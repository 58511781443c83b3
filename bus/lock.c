#include <errno.h>
#include <linux/futex.h>
#include <stddef.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <slipring/sample.h>

#include "bus/guard.h"
#include "bus/lock.h"
#include "bus/probe.h"

/* As in bus/wake.c: always 64-bit times. */
#ifdef SYS_futex_time64
#define FUTEX SYS_futex_time64
#else
#define FUTEX SYS_futex
#endif

/* Since Linux 5.14; written out so that older headers serve. */
#ifndef FUTEX_LOCK_PI2
#define FUTEX_LOCK_PI2 13
#endif

/* Marks a robust list's entry as a priority-inheriting lock. */
#define PENDING_PI 1u

/* Of one sleep by the wall clock, which may jump. */
#define SLICE_NS UINT64_C(100000000)

struct kernel_time {
        int64_t sec;
        int64_t nsec;
};

/* What a thread is to the kernel. Both cost a system call, and fork(2) makes the first another. */
struct self {
        uint32_t cookie; /* the process that the rest is of; 0: none yet */
        uint32_t tid;
        struct robust_list_head *list;
};

/* initial-exec: the first use in a thread must not allocate. */
static _Thread_local struct self self __attribute__((tls_model("initial-exec")));

/* FUTEX_LOCK_PI2 is missing, or is not to be used. */
static _Atomic bool wall_clock;

static int self_find(struct self *ret_self) {
        size_t bytes = 0;

        if (syscall(SYS_get_robust_list, 0, &ret_self->list, &bytes) < 0 || !ret_self->list ||
            bytes != sizeof(struct robust_list_head)) {
                return -ENOSYS;
        }
        ret_self->tid = (uint32_t) syscall(SYS_gettid);
        return 0;
}

int lock_prepare(void) {
        _Atomic uint32_t probe = 0;
        struct self found = {0};

        if (probe_disabled("futex_lock_pi2")) {
                /* relaxed: either way works. */
                atomic_store_explicit(&wall_clock, true, memory_order_relaxed);
        }
        /* On a free lock of this process's own: taken at once, or not known at all. */
        if (syscall(FUTEX, &probe, FUTEX_TRYLOCK_PI, 0, NULL, NULL, 0) < 0) {
                return -ENOSYS;
        }
        (void) syscall(FUTEX, &probe, FUTEX_UNLOCK_PI, 0, NULL, NULL, 0);
        return self_find(&found);
}

/* This thread as lock_take() needs it. */
static int self_refresh(uint32_t cookie) {
        struct self found = {.cookie = cookie};
        int r;

        if (self.cookie == cookie) {
                return 0;
        }
        r = self_find(&found);
        if (r < 0) {
                return r;
        }
        self = found;
        return 0;
}

/* The pending entry is for as long as the word may be ours: the kernel looks at the word that it
 * points at, and marks it only if that names this thread. Returns what was pending before: libc's,
 * or that of a publish which this one interrupted. */
static void *pending_swap(void *entry) {
        void *before = self.list->list_op_pending;

        /* The kernel's contract: the entry stands before the word is taken and until it is not ours
         * any more. It looks between two instructions of a thread that is dead, so that this is
         * for the compiler alone. */
        atomic_signal_fence(memory_order_seq_cst);
        *(struct robust_list *volatile *) &self.list->list_op_pending = entry;
        atomic_signal_fence(memory_order_seq_cst);
        return before;
}

static void *pending_entry(_Atomic uint32_t *word) {
        return (void *) ((uintptr_t) word - (uintptr_t) self.list->futex_offset + PENDING_PI);
}

static uint64_t clock_ns(clockid_t clock) {
        struct timespec now;

        (void) clock_gettime(clock, &now);
        return (uint64_t) now.tv_sec * UINT64_C(1000000000) + (uint64_t) now.tv_nsec;
}

/* Returns 0 or an errno, positive. */
static int kernel_take(_Atomic uint32_t *word, uint64_t deadline_ns) {
        /* relaxed: either way works. */
        bool wall = atomic_load_explicit(&wall_clock, memory_order_relaxed);
        uint64_t until = deadline_ns, now;
        struct kernel_time time;

        if (wall) {
                now = slipring_now_ns();
                until = deadline_ns > now ? deadline_ns - now : 0;
                until = clock_ns(CLOCK_REALTIME) + (until < SLICE_NS ? until : SLICE_NS);
        }
        time.sec = (int64_t) (until / UINT64_C(1000000000));
        time.nsec = (int64_t) (until % UINT64_C(1000000000));
        if (syscall(FUTEX, word, wall ? FUTEX_LOCK_PI : FUTEX_LOCK_PI2, 0, &time, NULL, 0) == 0) {
                return 0;
        }
        if (errno == ENOSYS && !wall) {
                /* relaxed: who does not see it yet finds out by itself. */
                atomic_store_explicit(&wall_clock, true, memory_order_relaxed);
                return EAGAIN;
        }
        return errno == ETIMEDOUT && slipring_now_ns() < deadline_ns ? EAGAIN : errno;
}

static int lock_wait(_Atomic uint32_t *word, uint64_t deadline_ns) {
        int r;

        do {
                r = kernel_take(word, deadline_ns);
        } while (r == EINTR || (r == EAGAIN && slipring_now_ns() < deadline_ns));
        switch (r) {
        case 0:
                return 0;
        case EAGAIN:
        case ETIMEDOUT:
                return -ETIMEDOUT;
        case EDEADLK:
                return -EDEADLK;
        case ENOSYS:
                return -ENOSYS;
        default:
                /* ESRCH: there is no such thread. EPERM: one of the kernel's own. EINVAL: not whom
                 * the kernel gave it to. */
                return -ENOTRECOVERABLE;
        }
}

static uint64_t deadline_of(uint64_t timeout_ns) {
        uint64_t now = slipring_now_ns();

        /* The kernel's times are signed. */
        return timeout_ns < (uint64_t) INT64_MAX - now ? now + timeout_ns : (uint64_t) INT64_MAX;
}

int lock_take(struct lock *lock, uint64_t timeout_ns) {
        _Atomic uint32_t *word = lock->word;
        uint32_t seen = 0;
        int r = self_refresh(lock->cookie);

        if (r < 0) {
                return r;
        }
        lock->before = pending_swap(pending_entry(word));
        /* lock.handover: all that the last holder stored before it gave the lock back. Pairs with
         * lock_give(). */
        if (atomic_compare_exchange_strong_explicit(word, &seen, self.tid, memory_order_acquire,
                                                    memory_order_relaxed)) {
                return 0;
        }
        r = lock_wait(word, deadline_of(timeout_ns));
        if (r == 0) {
                /* lock.handover: the kernel's lock of the word ordered both; this names it. */
                seen = atomic_load_explicit(word, memory_order_acquire);
                if ((seen & FUTEX_TID_MASK) == self.tid) {
                        return seen & FUTEX_OWNER_DIED ? LOCK_DIED : 0;
                }
                /* Somebody scribbled over what the kernel had just written. */
                r = -ENOTRECOVERABLE;
        }
        (void) pending_swap(lock->before);
        return r;
}

void lock_settle(struct lock *lock) {
        /* lock.handover: the repair before the mark of death is gone. */
        (void) atomic_fetch_and_explicit(lock->word, ~(uint32_t) FUTEX_OWNER_DIED,
                                         memory_order_release);
}

void lock_give(struct lock *lock) {
        uint32_t seen = self.tid;

        /* lock.handover: all that was stored under the lock before it is free. Pairs with
         * lock_take(). */
        if (!atomic_compare_exchange_strong_explicit(lock->word, &seen, 0, memory_order_release,
                                                     memory_order_relaxed)) {
                /* Somebody waits; or somebody scribbled, which the kernel refuses and the next to
                 * take the lock is told. */
                (void) syscall(FUTEX, lock->word, FUTEX_UNLOCK_PI, 0, NULL, NULL, 0);
        }
        (void) pending_swap(lock->before);
}

bool lock_reset(struct lock *lock, uint32_t seen) {
        /* relaxed: whoever takes the lock next repairs under it. */
        uint32_t now = atomic_load_explicit(lock->word, memory_order_relaxed);

        return ((now ^ seen) & FUTEX_TID_MASK) == 0 &&
               atomic_compare_exchange_strong_explicit(lock->word, &now, FUTEX_OWNER_DIED,
                                                       memory_order_relaxed, memory_order_relaxed);
}
