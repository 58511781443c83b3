#ifndef SLIPRING_BENCH_FIGURES_H
#define SLIPRING_BENCH_FIGURES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Percentiles of a curve, in hundredths of a per cent: from the smallest value to the largest. */
#define CURVE_POINTS 15u
extern const unsigned curve_points[CURVE_POINTS];

/* What is told of a distribution, in nanoseconds (or, of ratios, without unit). */
struct figures {
        double p50, p99, p999, max;
        double curve[CURVE_POINTS]; /* at curve_points[] */
        size_t values;              /* that the curve is of; 0: there is none */
};

/* Can so many values tell this point? 0 and 100 % always, others if a value lies above them. */
bool curve_has(size_t values, unsigned point);

/*
 * figures_of() - the figures of one round; sorts @values
 * @values:     at least one
 */
struct figures figures_of(uint64_t *values, size_t count);

/* All multiplied. */
struct figures figures_scaled(struct figures figures, double factor);

/* Medians of many rounds, of each point of the curve too; the maximum is that of all. */
struct figures figures_median(const struct figures *rounds, size_t count);

/* The median over rounds of ours divided by floor of the same round: what a disturbance that lasts
 * longer than a round does to both cancels. Of max, the ratio of the two maxima. Without a curve.
 */
struct figures figures_ratio(const struct figures *ours, const struct figures *floor, size_t count);

#endif
