/*
 * The wake-up semaphore of a topic: an event semaphore whose P is a futex wait on the topic's wake
 * word and whose V wakes everyone. It lies in the data segment, which sleepers map read-only, so
 * they can sleep on it but not change it; a System V semaphore would need alter permission, with
 * which one subscriber can drain another's tokens.
 *
 * The futexes are shared ones: FUTEX_PRIVATE_FLAG would hash the address in this process alone and
 * the publisher would silently wake nobody.
 */

#include <errno.h>
#include <linux/futex.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <slipring/sample.h>

#include "bus/wake.h"

/* On 32-bit machines struct timespec has 32 or 64-bit times, as libc was built; these calls always
 * have 64-bit ones, as everything on 64-bit machines has. */
#ifdef SYS_futex_time64
#define FUTEX SYS_futex_time64
#else
#define FUTEX SYS_futex
#endif

struct kernel_time {
        int64_t sec;
        int64_t nsec;
};

#ifndef SYS_futex_waitv
#define SYS_futex_waitv 449
#endif

/* As in linux/futex.h since 5.16; written out so that older headers serve. */
struct waitv_item {
        uint64_t expected;
        uint64_t address;
        uint32_t flags;
        uint32_t reserved;
};

#define WAITV_SIZE_U32 2u

static struct kernel_time to_kernel_time(uint64_t ns) {
        return (struct kernel_time){
                .sec = (int64_t) (ns / UINT64_C(1000000000)),
                .nsec = (int64_t) (ns % UINT64_C(1000000000)),
        };
}

unsigned wake_send(_Atomic uint32_t *word, unsigned limit) {
        long woken = syscall(FUTEX, word, FUTEX_WAKE, limit, NULL, NULL, 0);

        return woken > 0 ? (unsigned) woken : 0;
}

/* Which of the bits below WAKE_BIT_POKE stands for a value of the word. */
static uint32_t bit_of(uint32_t value) {
        return 1u << value % 31;
}

unsigned wake_chain(_Atomic uint32_t *word, uint32_t value, _Atomic uint32_t *chain_end) {
        long woken = syscall(FUTEX, word, FUTEX_WAKE_BITSET, WAKE_ARITY, NULL, NULL,
                             WAKE_BITS & ~bit_of(value));

        if (woken >= 0 && woken < (long) WAKE_ARITY) {
                /* relaxed: the call is behind us, and nothing else depends on it. */
                atomic_store_explicit(chain_end, value, memory_order_relaxed);
        }
        return woken > 0 ? (unsigned) woken : 0;
}

void wake_pass(const struct wake_item *item) {
        uint32_t value;

        if (!item->chain_end) {
                return;
        }
        /* wake.chain: at least what whoever woke this sleeper knew. */
        value = atomic_load_explicit(item->word, memory_order_acquire);
        /* relaxed: it may be seen late. */
        if (value != item->expected &&
            value != atomic_load_explicit(item->chain_end, memory_order_relaxed)) {
                (void) wake_chain(item->word, value, item->chain_end);
        }
}

uint32_t wake_bits(const struct wake_item *item) {
        return item->chain_end ? bit_of(item->expected) : WAKE_BITS;
}

static int sleep_as(const struct wake_item *item, uint64_t deadline_ns, uint32_t bits) {
        struct kernel_time deadline = to_kernel_time(deadline_ns);
        long r;

        /* FUTEX_WAIT_BITSET rather than FUTEX_WAIT: its time is absolute and monotonic. */
        r = syscall(FUTEX, item->word, FUTEX_WAIT_BITSET, item->expected, &deadline, NULL, bits);
        if (r < 0) {
                return errno == EAGAIN ? 0 : -errno;
        }
        wake_pass(item);
        return 1;
}

int wake_sleep(const struct wake_item *item, uint64_t deadline_ns) {
        return sleep_as(item, deadline_ns, wake_bits(item));
}

int wake_sleep_poked(const struct wake_item *item, uint64_t deadline_ns) {
        return sleep_as(item, deadline_ns, wake_bits(item) | WAKE_BIT_POKE);
}

void wake_poke(_Atomic uint32_t *word) {
        (void) syscall(FUTEX, word, FUTEX_WAKE_BITSET, WAKE_ALL, NULL, NULL, WAKE_BIT_POKE);
}

int wake_sleep_any(const struct wake_item *items, size_t count, uint64_t deadline_ns) {
        struct waitv_item waiters[WAKE_ITEMS_MAX];
        struct kernel_time deadline = to_kernel_time(deadline_ns);
        long r;
        size_t i;

        if (count == 0 || count > WAKE_ITEMS_MAX) {
                return -EINVAL;
        }
        for (i = 0; i < count; i++) {
                waiters[i] = (struct waitv_item){
                        .expected = items[i].expected,
                        .address = (uintptr_t) items[i].word,
                        .flags = WAITV_SIZE_U32,
                };
        }
        r = syscall(SYS_futex_waitv, waiters, (unsigned) count, 0, &deadline, CLOCK_MONOTONIC);
        if (r < 0 && errno == EPERM) {
                /* What older container runtimes answer to a call that they do not know. */
                return -ENOSYS;
        }
        if (r < 0) {
                return errno == EAGAIN ? 0 : -errno;
        }
        /* Such a sleeper has all bits: where it has seen the newest, a wake-up ends here. In the
         * kernel's queue those who sleep longer come before it, unless priorities differ. And it
         * may have been woken for several words, of which the kernel names one. */
        for (i = 0; i < count; i++) {
                wake_pass(&items[i]);
        }
        return 1;
}

uint64_t wake_bound(uint64_t deadline_ns) {
        uint64_t bound = slipring_now_ns() + WAKE_BOUND_NS;

        return deadline_ns < bound ? deadline_ns : bound;
}
