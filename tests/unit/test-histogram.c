/*
 * cli/histogram.c: counts of times, and what is read from them.
 */

/* cmocka wants these, in this order. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

#include "cli/histogram.h"

static struct histogram histogram, other;

static int clear(void **state) {
        histogram_clear(&histogram);
        histogram_clear(&other);
        return 0;
}

static void test_empty(void **state) {
        assert_int_equal(histogram_count(&histogram), 0);
        assert_int_equal(histogram_max(&histogram), 0);
        assert_int_equal(histogram_rank(&histogram, 0.5), 0);
        assert_int_equal(histogram_below(&histogram, UINT64_C(1000000000)), 0);
}

/* Nearest rank: of 1 to 100, the smallest that half of them do not exceed is 50. */
static void test_ranks(void **state) {
        for (uint64_t i = 100; i > 0; i--) {
                histogram_add(&histogram, i);
        }
        assert_int_equal(histogram_count(&histogram), 100);
        assert_int_equal(histogram_rank(&histogram, 0), 1);
        assert_int_equal(histogram_rank(&histogram, 0.01), 1);
        assert_int_equal(histogram_rank(&histogram, 0.5), 50);
        assert_int_equal(histogram_rank(&histogram, 0.501), 51);
        assert_int_equal(histogram_rank(&histogram, 0.99), 99);
        assert_int_equal(histogram_rank(&histogram, 1), 100);
        assert_int_equal(histogram.min_ns, 1);
}

/* A rank is never below the time that it stands for, and at most a hundredth above. */
static void test_three_digits(void **state) {
        static const uint64_t times[] = {0,       1,        999,          1000,        1009,
                                         1010,    9999,     10000,        123456,      999999,
                                         1000000, 87654321, 500000000000, 989999999999};

        for (size_t i = 0; i < sizeof(times) / sizeof(times[0]); i++) {
                histogram_clear(&histogram);
                histogram_add(&histogram, times[i]);
                /* The maximum is exact and hides the bucket's edge: one more, far above. */
                histogram_add(&histogram, UINT64_C(1) << 60);
                assert_true(histogram_rank(&histogram, 0.5) >= times[i]);
                assert_true(histogram_rank(&histogram, 0.5) <= times[i] + times[i] / 100);
                assert_int_equal(histogram_rank(&histogram, 1), UINT64_C(1) << 60);
        }
}

/* What stands at an edge is above it. */
static void test_below(void **state) {
        static const uint64_t edges[] = {1,
                                         2,
                                         5,
                                         10,
                                         500,
                                         1000,
                                         2000,
                                         5000,
                                         10000,
                                         200000,
                                         5000000,
                                         UINT64_C(1000000000),
                                         UINT64_C(50000000000)};
        const size_t count = sizeof(edges) / sizeof(edges[0]);

        for (size_t i = 0; i < count; i++) {
                histogram_add(&histogram, edges[i] - 1);
                histogram_add(&histogram, edges[i]);
        }
        for (size_t i = 0; i < count; i++) {
                assert_int_equal(histogram_below(&histogram, edges[i]), 2 * i + 1);
        }
}

static void test_edges(void **state) {
        static const uint64_t pairs[][2] = {{0, 1},       {1, 2},       {2, 5},   {4, 5},
                                            {5, 10},      {9, 10},      {10, 20}, {1234, 2000},
                                            {2000, 5000}, {7000, 10000}};

        for (size_t i = 0; i < sizeof(pairs) / sizeof(pairs[0]); i++) {
                assert_int_equal(histogram_edge(pairs[i][0]), pairs[i][1]);
        }
        /* However long it takes, it ends. */
        assert_true(histogram_edge(UINT64_MAX) > 0);
}

static void test_merge(void **state) {
        histogram_merge(&histogram, &other);
        assert_int_equal(histogram_count(&histogram), 0);
        histogram_add(&other, 7);
        histogram_add(&other, 70000);
        histogram_merge(&histogram, &other);
        histogram_add(&histogram, 300);
        histogram_merge(&histogram, &other);
        assert_int_equal(histogram_count(&histogram), 5);
        assert_int_equal(histogram_below(&histogram, 10), 2);
        assert_int_equal(histogram_below(&histogram, 1000), 3);
        assert_int_equal(histogram_max(&histogram), 70000);
        assert_int_equal(histogram.min_ns, 7);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup(test_empty, clear),
                cmocka_unit_test_setup(test_ranks, clear),
                cmocka_unit_test_setup(test_three_digits, clear),
                cmocka_unit_test_setup(test_below, clear),
                cmocka_unit_test_setup(test_edges, clear),
                cmocka_unit_test_setup(test_merge, clear),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
