#include <stdlib.h>

#include "bench/figures.h"

/* Hundredths of a per cent in all. */
#define ALL 10000u

const unsigned curve_points[CURVE_POINTS] = {0,    100,  500,  1000, 2500, 5000, 7500, 9000,
                                             9500, 9900, 9950, 9990, 9995, 9999, ALL};

bool curve_has(size_t values, unsigned point) {
        unsigned above = ALL - curve_points[point];

        return values > 0 && (point == 0 || above == 0 || (uint64_t) values * above >= ALL);
}

static int compare_values(const void *left, const void *right) {
        uint64_t a = *(const uint64_t *) left, b = *(const uint64_t *) right;

        return (a > b) - (a < b);
}

static int compare_doubles(const void *left, const void *right) {
        double a = *(const double *) left, b = *(const double *) right;

        return (a > b) - (a < b);
}

/* Nearest rank: a value that was measured, the smallest with that share at or below it. */
static double rank(const uint64_t *sorted, size_t count, unsigned share) {
        uint64_t at_or_below = ((uint64_t) count * share + ALL - 1) / ALL;

        return (double) sorted[at_or_below ? at_or_below - 1 : 0];
}

struct figures figures_of(uint64_t *values, size_t count) {
        struct figures figures;
        unsigned i;

        qsort(values, count, sizeof(*values), compare_values);
        figures = (struct figures){
                .p50 = rank(values, count, 5000),
                .p99 = rank(values, count, 9900),
                .p999 = rank(values, count, 9990),
                .max = (double) values[count - 1],
                .values = count,
        };
        for (i = 0; i < CURVE_POINTS; i++) {
                figures.curve[i] = rank(values, count, curve_points[i]);
        }
        return figures;
}

struct figures figures_scaled(struct figures figures, double factor) {
        unsigned i;

        figures.p50 *= factor;
        figures.p99 *= factor;
        figures.p999 *= factor;
        figures.max *= factor;
        for (i = 0; i < CURVE_POINTS; i++) {
                figures.curve[i] *= factor;
        }
        return figures;
}

static double median(double *values, size_t count) {
        qsort(values, count, sizeof(*values), compare_doubles);
        return count % 2 ? values[count / 2] : (values[count / 2 - 1] + values[count / 2]) / 2;
}

/* The median of one figure, given as its offset in the struct, of ours or of ours / floor. */
static double
median_of(const struct figures *ours, const struct figures *floor, size_t count, size_t offset) {
        double *values = calloc(count, sizeof(*values)), result;
        size_t i;

        if (!values) {
                abort();
        }
        for (i = 0; i < count; i++) {
                values[i] = *(const double *) (const void *) ((const char *) &ours[i] + offset);
                if (floor) {
                        values[i] /= *(const double *) (const void *) ((const char *) &floor[i] +
                                                                       offset);
                }
        }
        result = median(values, count);
        free(values);
        return result;
}

static double largest(const struct figures *rounds, size_t count) {
        double max = 0;
        size_t i;

        for (i = 0; i < count; i++) {
                max = rounds[i].max > max ? rounds[i].max : max;
        }
        return max;
}

struct figures figures_median(const struct figures *rounds, size_t count) {
        struct figures figures = {
                .p50 = median_of(rounds, NULL, count, offsetof(struct figures, p50)),
                .p99 = median_of(rounds, NULL, count, offsetof(struct figures, p99)),
                .p999 = median_of(rounds, NULL, count, offsetof(struct figures, p999)),
                .max = largest(rounds, count),
                .values = rounds[0].values,
        };
        size_t i;

        for (i = 0; i < CURVE_POINTS; i++) {
                figures.curve[i] =
                        median_of(rounds, NULL, count,
                                  offsetof(struct figures, curve) + i * sizeof(*figures.curve));
        }
        for (i = 1; i < count; i++) {
                if (rounds[i].values < figures.values) {
                        figures.values = rounds[i].values;
                }
        }
        return figures;
}

struct figures
figures_ratio(const struct figures *ours, const struct figures *floor, size_t count) {
        return (struct figures){
                .p50 = median_of(ours, floor, count, offsetof(struct figures, p50)),
                .p99 = median_of(ours, floor, count, offsetof(struct figures, p99)),
                .p999 = median_of(ours, floor, count, offsetof(struct figures, p999)),
                .max = largest(ours, count) / largest(floor, count),
        };
}
