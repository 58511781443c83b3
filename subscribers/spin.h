#ifndef SLIPRING_SUBSCRIBERS_SPIN_H
#define SLIPRING_SUBSCRIBERS_SPIN_H

/*
 * Whether a wait looks for its sample itself for a while, before it sleeps, and for how long.
 *
 * To look is worth it where the sample comes soon: it saves the subscriber the way out of the
 * kernel's sleep, and the publisher the system call that wakes. Where it does not come soon it is a
 * processor's time for nothing. So a handle remembers how its waits ended, and looks only if half
 * of them ended within the time that the user gives it; then no longer than they usually take.
 *
 * What a wait took is counted to the sample's publish time, not to the subscriber's waking up: else
 * a topic whose sleeping is slow would seem to be a slow topic.
 *
 * That says nothing about whether looking helps. It does not where the publisher waits for the very
 * processor that is looking: its sample comes soon, but only once the subscriber sleeps. So a look
 * that found nothing makes the next waits sleep at once: 1, then 2, 4 ... 64 of them.
 *
 * Nothing here looks at a clock or at shared memory.
 */

#include <stdbool.h>
#include <stdint.h>

/* Looks at the topic between two looks at the clock, which cost more. */
#define SPIN_LOOKS 16u

#define SPIN_SKIP_MAX 64u

/* A share of all waits. */
#define SPIN_ALL 65536u

struct spin {
        uint64_t budget_ns;    /* longest time to look; 0: never look, and nothing else is used */
        uint64_t mean_ns;      /* of the waits that ended within it */
        uint64_t deviation_ns; /* from that mean, on average */
        uint32_t share;        /* of waits that ended within it, of late; to SPIN_ALL */
        uint32_t backoff;      /* waits that were to sleep at once after the last look in vain */
        uint32_t skip;         /* of those, still to come */
        uint64_t looked;       /* waits that looked */
        uint64_t helped;       /* of those, that found a sample */
};

/*
 * spin_start() - no wait so far
 * @budget_us:  longest time to look, in microseconds
 * @processors: of this machine; on one, nobody publishes while somebody looks
 */
void spin_start(struct spin *spin, uint32_t budget_us, long processors);

/*
 * spin_span() - a wait begins: how long to look
 *
 * Return: nanoseconds, at most the budget; 0 to sleep at once.
 */
uint64_t spin_span(struct spin *spin);

/*
 * spin_ended() - the look that spin_span() allowed is over
 * @found:      a sample came meanwhile
 */
void spin_ended(struct spin *spin, bool found);

/*
 * spin_learn() - a wait is over
 * @waited_ns:  from its begin to the sample's publish time; UINT64_MAX if none came in time
 *
 * Not for waits that found a sample at once, nor for those that ended for another reason.
 */
void spin_learn(struct spin *spin, uint64_t waited_ns);

/*
 * spin_pause() - between two looks
 *
 * Leaves the other thread of the core its share, and does not fill the processor with loads that
 * all have to be undone once the line changes.
 */
static inline void spin_pause(void) {
#if defined(__x86_64__)
        __builtin_ia32_pause();
#elif defined(__aarch64__) || defined(__arm__)
        __asm__ volatile("yield" ::: "memory");
#endif
}

#endif
