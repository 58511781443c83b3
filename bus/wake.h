#ifndef SLIPRING_BUS_WAKE_H
#define SLIPRING_BUS_WAKE_H

#include <limits.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * The bound of every sleep. A wake-up can be stolen (FUTEX_REQUEUE works on a read-only map), fall
 * to the cap of one publish, or never be sent by a publisher that died; it then costs this much.
 */
#define WAKE_BOUND_NS UINT64_C(100000000)

#define WAKE_ALL INT_MAX

/*
 * wake_send() - wake sleepers
 * @word:       the topic's wake word
 * @limit:      most of them, so that a hostile reader who parks thousands of waits costs no more
 *
 * Return: how many were woken.
 * Context: one system call.
 */
unsigned wake_send(_Atomic uint32_t *word, unsigned limit);

/* A place to sleep. */
struct wake_item {
        _Atomic uint32_t *word; /* the topic's wake word, which may be mapped read-only */
        uint32_t expected;      /* go on at once if it holds something else */
        /* Where the topic's sleepers wake each other, its chain_end; else NULL. */
        _Atomic uint32_t *chain_end;
};

/*
 * On a topic with `wake: chain` a wake-up goes from sleeper to sleeper, four at a time, so that the
 * publisher's call is as short for a hundred of them as for four. (FUTEX_WAKE works on a read-only
 * map.) A sleeper's bit of the futex tells which value of the word it has seen: only those are
 * woken who have not seen the newest, so that nobody uses up a wake-up who has gone back to sleep
 * already. Who is killed, stopped or slow with a wake-up in hand leaves those behind it asleep
 * until the next message, or for the bound. Why four: docs/decisions/wake-chain.md.
 *
 * Who finds fewer than four has woken the last of them: whoever queues later compares with a word
 * that has the value already. It leaves the value in chain_end, and those woken after that need not
 * walk through the kernel's queue once more to find nobody. Any value that was stored there since
 * the topic was made is true, so that it matters to nobody when it is seen; a reader who tampers
 * with it costs the others the bound.
 */
#define WAKE_ARITY 4u

/*
 * wake_chain() - begin a chain
 * @value:      what the word holds
 * @chain_end:  the topic's
 *
 * Return: how many were woken, at most WAKE_ARITY.
 */
unsigned wake_chain(_Atomic uint32_t *word, uint32_t value, _Atomic uint32_t *chain_end);

/*
 * wake_pass() - pass a wake-up on, if there is news
 *
 * The functions below that sleep do so themselves; this is for who lets the kernel wait for it.
 */
void wake_pass(const struct wake_item *item);

/* The bits of a futex that an item sleeps on. */
uint32_t wake_bits(const struct wake_item *item);

/*
 * wake_sleep() - sleep while a word holds a value
 * @deadline_ns:        absolute CLOCK_MONOTONIC time
 *
 * Return: 1 if woken, by whomever, 0 if the word holds something else, -ETIMEDOUT, -EINTR if a
 * signal handler ran.
 */
int wake_sleep(const struct wake_item *item, uint64_t deadline_ns);

/*
 * wake_sleep_poked() - as wake_sleep(), but wake_poke() ends it too
 * wake_poke() - wake only those who sleep so, or by futex_waitv(2)
 *
 * For a thread that sleeps on behalf of another, which has news for it. The bit of the futex that
 * tells them apart spares everyone else; a read-only map is enough.
 */
int wake_sleep_poked(const struct wake_item *item, uint64_t deadline_ns);
void wake_poke(_Atomic uint32_t *word);

/* The bits of a sleeper that is not to be poked. A publisher's FUTEX_WAKE means every bit. */
#define WAKE_BIT_POKE 0x80000000u
#define WAKE_BITS (~WAKE_BIT_POKE)

/* futex_waitv(2) takes this many. */
#define WAKE_ITEMS_MAX 128u

/*
 * wake_sleep_any() - sleep while all words hold their values
 * @items:              words and what they are expected to hold
 * @count:              1 to WAKE_ITEMS_MAX
 * @deadline_ns:        absolute CLOCK_MONOTONIC time
 *
 * Return: as wake_sleep(); -ENOSYS where futex_waitv(2) is missing (before Linux 5.16) or refused.
 */
int wake_sleep_any(const struct wake_item *items, size_t count, uint64_t deadline_ns);

/*
 * wake_bound() - the nearer of a deadline and the bound of one sleep
 */
uint64_t wake_bound(uint64_t deadline_ns);

#endif
