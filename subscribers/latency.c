#include <string.h>

#include "subscribers/latency.h"

#define PARTS (1u << LATENCY_PARTS_BITS)

/* Below 64 ns PARTS buckets or fewer for each power of two are one for each nanosecond. */
static unsigned place(uint64_t time_ns) {
        unsigned shift;

        if (time_ns < 2 * PARTS) {
                return (unsigned) time_ns;
        }
        shift = 63 - (unsigned) __builtin_clzll(time_ns) - LATENCY_PARTS_BITS;
        return shift * PARTS + (unsigned) (time_ns >> shift);
}

static struct slipring_latency_bucket bucket_of(unsigned index, uint64_t count) {
        unsigned shift = index < 2 * PARTS ? 0 : index / PARTS - 1;
        uint64_t first = (uint64_t) (index - shift * PARTS) << shift;

        return (struct slipring_latency_bucket){
                .first_ns = first,
                .last_ns = first + (UINT64_C(1) << shift) - 1,
                .count = count,
        };
}

void latency_clear(struct latency *latency) {
        memset(latency, 0, sizeof(*latency));
}

void latency_add(struct latency *latency, uint64_t time_ns) {
        if (time_ns > LATENCY_MAX_NS) {
                time_ns = LATENCY_MAX_NS;
        }
        if (time_ns < latency->min_ns || latency->count == 0) {
                latency->min_ns = time_ns;
        }
        if (time_ns > latency->max_ns) {
                latency->max_ns = time_ns;
        }
        latency->buckets[place(time_ns)]++;
        latency->sum_ns += time_ns;
        latency->sum_high += latency->sum_ns < time_ns;
        latency->count++;
}

/* How many of all are a share of so many in 10,000, rounded up: 99 % of ten are all ten. In two
 * steps, so that no count is too large. */
static uint64_t rank(uint64_t count, unsigned share) {
        return count / 10000 * share + (count % 10000 * share + 9999) / 10000;
}

/* Bit by bit: not every machine divides 128 bits by 64. */
static uint64_t mean(const struct latency *latency) {
        uint64_t quotient = 0, rest = 0, carry, bit;
        int i;

        for (i = 127; i >= 0 && latency->count > 0; i--) {
                bit = (i >= 64 ? latency->sum_high >> (i - 64) : latency->sum_ns >> i) & 1;
                carry = rest >> 63;
                rest = rest << 1 | bit;
                quotient <<= 1;
                if (carry || rest >= latency->count) {
                        rest -= latency->count;
                        quotient |= 1;
                }
        }
        return quotient;
}

void latency_summary(const struct latency *latency, struct slipring_latency *ret_latency) {
        const unsigned shares[] = {5000, 9000, 9900, 9990, 9999};
        uint64_t times[sizeof(shares) / sizeof(*shares)] = {0}, seen = 0, last;
        unsigned index = 0, share = 0;

        for (; index < SLIPRING_LATENCY_BUCKETS && latency->count > 0; index++) {
                seen += latency->buckets[index];
                last = bucket_of(index, 0).last_ns;
                for (; share < sizeof(shares) / sizeof(*shares) &&
                       seen >= rank(latency->count, shares[share]);
                     share++) {
                        times[share] = last < latency->max_ns ? last : latency->max_ns;
                }
        }
        *ret_latency = (struct slipring_latency){
                .count = latency->count,
                .min_ns = latency->min_ns,
                .mean_ns = mean(latency),
                .p50_ns = times[0],
                .p90_ns = times[1],
                .p99_ns = times[2],
                .p99_9_ns = times[3],
                .p99_99_ns = times[4],
                .max_ns = latency->max_ns,
        };
}

size_t latency_buckets(const struct latency *latency,
                       struct slipring_latency_bucket *ret_buckets,
                       size_t capacity) {
        size_t count = 0;
        unsigned index;

        for (index = 0; index < SLIPRING_LATENCY_BUCKETS; index++) {
                if (latency->buckets[index] == 0) {
                        continue;
                }
                if (count < capacity) {
                        ret_buckets[count] = bucket_of(index, latency->buckets[index]);
                }
                count++;
        }
        return count;
}
