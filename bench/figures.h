#ifndef SLIPRING_BENCH_FIGURES_H
#define SLIPRING_BENCH_FIGURES_H

#include <stddef.h>
#include <stdint.h>

/* What is told of a distribution, in nanoseconds (or, of ratios, without unit). */
struct figures {
        double p50, p99, p999, max;
};

/*
 * figures_of() - the figures of one round; sorts @values
 * @values:     at least one
 */
struct figures figures_of(uint64_t *values, size_t count);

/* All multiplied. */
struct figures figures_scaled(struct figures figures, double factor);

/* Medians of many rounds; the maximum is that of all. */
struct figures figures_median(const struct figures *rounds, size_t count);

/* The median over rounds of ours divided by floor of the same round: what a disturbance that lasts
 * longer than a round does to both cancels. Of max, the ratio of the two maxima. */
struct figures figures_ratio(const struct figures *ours, const struct figures *floor, size_t count);

#endif
