#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "bench/figures.h"

#define COUNT 10000u

/* 1 to @count, from the largest on: nothing here is sorted before figures_of() sorts it. */
static void descending(uint64_t *values, size_t count) {
        size_t i;

        for (i = 0; i < count; i++) {
                values[i] = count - i;
        }
}

static double at(const struct figures *figures, unsigned percent_of_percent) {
        unsigned i;

        for (i = 0; i < CURVE_POINTS && curve_points[i] != percent_of_percent; i++) {
        }
        assert_int_not_equal(i, CURVE_POINTS);
        return figures->curve[i];
}

static void test_figures_are_values_by_nearest_rank(void **state) {
        static uint64_t values[COUNT];
        struct figures figures;

        descending(values, COUNT);
        figures = figures_of(values, COUNT);
        assert_true(figures.p50 == 5000 && figures.p99 == 9900 && figures.p999 == 9990);
        assert_true(figures.max == COUNT);
}

static void test_curve_holds_each_percentile(void **state) {
        static uint64_t values[COUNT];
        struct figures figures;
        unsigned i;

        descending(values, COUNT);
        figures = figures_of(values, COUNT);
        assert_int_equal(figures.values, COUNT);
        assert_true(at(&figures, 0) == 1);
        assert_true(at(&figures, 100) == 100);
        assert_true(at(&figures, 5000) == 5000);
        assert_true(at(&figures, 9950) == 9950);
        assert_true(at(&figures, 9999) == 9999);
        assert_true(at(&figures, 10000) == COUNT);
        for (i = 1; i < CURVE_POINTS; i++) {
                assert_true(curve_points[i] > curve_points[i - 1]);
                assert_true(figures.curve[i] > figures.curve[i - 1]);
        }
}

static void test_curve_of_one_value_is_level(void **state) {
        uint64_t value = 42;
        struct figures figures = figures_of(&value, 1);
        unsigned i;

        for (i = 0; i < CURVE_POINTS; i++) {
                assert_true(figures.curve[i] == 42);
        }
}

/* A percentile that no value lies above is the maximum by another name. */
static void test_curve_is_told_as_far_as_values_allow(void **state) {
        static const struct {
                size_t values;
                unsigned points; /* of the curve, those of 0 and 100 % among them */
        } cases[] = {
                {0, 0},    {1, 2},    {2, 7},    {4, 8},     {10, 9},    {20, 10},
                {100, 11}, {200, 12}, {999, 12}, {1000, 13}, {2000, 14}, {10000, 15},
        };
        unsigned i, k, told;

        for (i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
                for (k = 0, told = 0; k < CURVE_POINTS; k++) {
                        told += curve_has(cases[i].values, k);
                }
                assert_int_equal(told, cases[i].points);
        }
        assert_true(curve_has(1, 0) && curve_has(1, CURVE_POINTS - 1));
}

/* On 32-bit machines too. */
static void test_curve_of_a_million_values(void **state) {
        static uint64_t values[1u << 20];
        struct figures figures;

        descending(values, 1u << 20);
        figures = figures_of(values, 1u << 20);
        assert_true(at(&figures, 9999) == ceil((1u << 20) * 0.9999));
}

static void test_scaling_takes_the_curve_along(void **state) {
        uint64_t values[] = {1000, 2000, 3000};
        struct figures figures = figures_scaled(figures_of(values, 3), 1e-3);

        assert_true(figures.p50 == 2 && figures.max == 3);
        assert_true(at(&figures, 0) == 1 && at(&figures, 5000) == 2 && at(&figures, 10000) == 3);
        assert_int_equal(figures.values, 3);
}

static void test_median_is_of_each_point_by_itself(void **state) {
        uint64_t rounds[3][2] = {{1, 30}, {2, 10}, {3, 20}};
        struct figures figures[3], median;
        unsigned i;

        for (i = 0; i < 3; i++) {
                figures[i] = figures_of(rounds[i], 2);
        }
        median = figures_median(figures, 3);
        assert_true(at(&median, 0) == 2);
        /* Of the curve's end, too, the median: `max` is the one of all rounds. */
        assert_true(at(&median, 10000) == 20 && median.max == 30);
        assert_int_equal(median.values, 2);
        /* The round with the fewest values decides what can be told. */
        figures[1].values = 1;
        assert_int_equal(figures_median(figures, 3).values, 1);
}

static void test_ratio_has_no_curve(void **state) {
        uint64_t ours[] = {10, 20, 30}, floor[] = {5, 10, 10};
        struct figures a = figures_of(ours, 3), b = figures_of(floor, 3);
        struct figures ratio = figures_ratio(&a, &b, 1);

        assert_true(ratio.p50 == 2 && ratio.p99 == 3 && ratio.max == 3);
        assert_int_equal(ratio.values, 0);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_figures_are_values_by_nearest_rank),
                cmocka_unit_test(test_curve_holds_each_percentile),
                cmocka_unit_test(test_curve_of_one_value_is_level),
                cmocka_unit_test(test_curve_is_told_as_far_as_values_allow),
                cmocka_unit_test(test_curve_of_a_million_values),
                cmocka_unit_test(test_scaling_takes_the_curve_along),
                cmocka_unit_test(test_median_is_of_each_point_by_itself),
                cmocka_unit_test(test_ratio_has_no_curve),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
