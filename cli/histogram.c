#include "cli/histogram.h"

#include <math.h>
#include <stddef.h>

/* All relaxed: the adding process is alone, and who looks meanwhile wants a glance at each counter
 * and no order between them. At the end the adding process has been waited for. */

static uint64_t look(const _Atomic uint64_t *counter) {
        return atomic_load_explicit(counter, memory_order_relaxed);
}

static void set(_Atomic uint64_t *counter, uint64_t value) {
        atomic_store_explicit(counter, value, memory_order_relaxed);
}

static void raise_by(_Atomic uint64_t *counter, uint64_t value) {
        /* Not an atomic addition: nobody else writes. */
        set(counter, look(counter) + value);
}

/* The bucket that a time falls in. */
static size_t place(uint64_t time_ns) {
        size_t base = HISTOGRAM_DIGITS;

        if (time_ns < HISTOGRAM_DIGITS) {
                return (size_t) time_ns;
        }
        /* 100 to 999 are left of it in the end. */
        for (time_ns /= 10; time_ns >= HISTOGRAM_DIGITS; time_ns /= 10) {
                base += 900;
        }
        return base + 900 > HISTOGRAM_BUCKETS ? HISTOGRAM_BUCKETS - 1
                                              : base + (size_t) time_ns - 100;
}

/* The first time of the bucket after this one. */
static uint64_t end_of(size_t bucket) {
        uint64_t unit = 10, rest;

        if (bucket < HISTOGRAM_DIGITS) {
                return bucket + 1;
        }
        for (rest = bucket - HISTOGRAM_DIGITS; rest >= 900; rest -= 900) {
                unit *= 10;
        }
        return (rest + 101) * unit;
}

void histogram_clear(struct histogram *histogram) {
        set(&histogram->count, 0);
        set(&histogram->max_ns, 0);
        set(&histogram->min_ns, 0);
        for (size_t i = 0; i < HISTOGRAM_BUCKETS; i++) {
                set(&histogram->buckets[i], 0);
        }
}

static void stretch(struct histogram *histogram, uint64_t min_ns, uint64_t max_ns) {
        if (max_ns > look(&histogram->max_ns)) {
                set(&histogram->max_ns, max_ns);
        }
        if (min_ns < look(&histogram->min_ns) || look(&histogram->count) == 0) {
                set(&histogram->min_ns, min_ns);
        }
}

void histogram_add(struct histogram *histogram, uint64_t time_ns) {
        raise_by(&histogram->buckets[place(time_ns)], 1);
        stretch(histogram, time_ns, time_ns);
        raise_by(&histogram->count, 1);
}

void histogram_merge(struct histogram *histogram, const struct histogram *other) {
        if (look(&other->count) == 0) {
                return;
        }
        for (size_t i = 0; i < HISTOGRAM_BUCKETS; i++) {
                raise_by(&histogram->buckets[i], look(&other->buckets[i]));
        }
        stretch(histogram, look(&other->min_ns), look(&other->max_ns));
        raise_by(&histogram->count, look(&other->count));
}

uint64_t histogram_count(const struct histogram *histogram) {
        return look(&histogram->count);
}

uint64_t histogram_max(const struct histogram *histogram) {
        return look(&histogram->max_ns);
}

uint64_t histogram_rank(const struct histogram *histogram, double share) {
        uint64_t seen = 0, last, max_ns = look(&histogram->max_ns);
        double wanted = ceil(share * (double) look(&histogram->count));

        if (look(&histogram->count) == 0) {
                return 0;
        }
        for (size_t i = 0; i < HISTOGRAM_BUCKETS - 1; i++) {
                seen += look(&histogram->buckets[i]);
                if (seen > 0 && (double) seen >= wanted) {
                        last = end_of(i) - 1;
                        return last < max_ns ? last : max_ns;
                }
        }
        return max_ns;
}

uint64_t histogram_below(const struct histogram *histogram, uint64_t edge_ns) {
        uint64_t count = 0;

        for (size_t i = 0; i < HISTOGRAM_BUCKETS && end_of(i) <= edge_ns; i++) {
                count += look(&histogram->buckets[i]);
        }
        return count;
}

uint64_t histogram_edge(uint64_t time_ns) {
        uint64_t edge = 1;

        while (edge <= time_ns && edge < UINT64_MAX / 100) {
                if (2 * edge > time_ns) {
                        return 2 * edge;
                }
                if (5 * edge > time_ns) {
                        return 5 * edge;
                }
                edge *= 10;
        }
        return edge;
}
