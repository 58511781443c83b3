#include <stdlib.h>

#include "bench/figures.h"

static int compare_values(const void *left, const void *right) {
        uint64_t a = *(const uint64_t *) left, b = *(const uint64_t *) right;

        return (a > b) - (a < b);
}

static int compare_doubles(const void *left, const void *right) {
        double a = *(const double *) left, b = *(const double *) right;

        return (a > b) - (a < b);
}

/* Nearest rank: a value that was measured, the smallest with that share at or below it. */
static double rank(const uint64_t *sorted, size_t count, size_t per_mille) {
        return (double) sorted[(count * per_mille + 999) / 1000 - 1];
}

struct figures figures_of(uint64_t *values, size_t count) {
        qsort(values, count, sizeof(*values), compare_values);
        return (struct figures){
                .p50 = rank(values, count, 500),
                .p99 = rank(values, count, 990),
                .p999 = rank(values, count, 999),
                .max = (double) values[count - 1],
        };
}

struct figures figures_scaled(struct figures figures, double factor) {
        return (struct figures){
                .p50 = figures.p50 * factor,
                .p99 = figures.p99 * factor,
                .p999 = figures.p999 * factor,
                .max = figures.max * factor,
        };
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
        return (struct figures){
                .p50 = median_of(rounds, NULL, count, offsetof(struct figures, p50)),
                .p99 = median_of(rounds, NULL, count, offsetof(struct figures, p99)),
                .p999 = median_of(rounds, NULL, count, offsetof(struct figures, p999)),
                .max = largest(rounds, count),
        };
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
