#ifndef SLIPRING_SUBSCRIBERS_LATENCY_H
#define SLIPRING_SUBSCRIBERS_LATENCY_H

/*
 * How long a handle's samples took, by the million and in little memory.
 *
 * Each power of two has 32 buckets of equal width (HdrHistogram's way), so that a time is known to
 * 1/32 of itself; below 64 ns each nanosecond has its own. 9 KiB reach to 18 minutes. Why not the
 * buckets of `slipring latency`: docs/decisions/latency-histograms.md.
 *
 * The handle's memory, and its thread's: plain counters.
 */

#include <slipring/subscriber.h>

#define LATENCY_PARTS_BITS 5u /* a power of two has 32 buckets */
#define LATENCY_RANGE_BITS 40u
#define LATENCY_MAX_NS ((UINT64_C(1) << LATENCY_RANGE_BITS) - 1)

_Static_assert(SLIPRING_LATENCY_BUCKETS == (LATENCY_RANGE_BITS - LATENCY_PARTS_BITS + 1)
                                                   << LATENCY_PARTS_BITS,
               "as many as the range has");

struct latency {
        uint64_t count;
        uint64_t sum_ns; /* its low half: 2^24 times of the longest kind fill it */
        uint64_t sum_high;
        uint64_t min_ns;
        uint64_t max_ns;
        uint64_t buckets[SLIPRING_LATENCY_BUCKETS];
};

/* latency_clear() - forget all; touches every page */
void latency_clear(struct latency *latency);

/*
 * latency_add() - count a time
 *
 * One above LATENCY_MAX_NS counts as that, whatever a publisher wrote for its publish time.
 */
void latency_add(struct latency *latency, uint64_t time_ns);

/* latency_summary() - what slipring_subscriber_latency() says */
void latency_summary(const struct latency *latency, struct slipring_latency *ret_latency);

/*
 * latency_buckets() - those that are not empty, from the shortest time
 *
 * Return: how many there are; the first @capacity of them are filled in.
 */
size_t latency_buckets(const struct latency *latency,
                       struct slipring_latency_bucket *ret_buckets,
                       size_t capacity);

#endif
