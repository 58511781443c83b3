/*
 * subscribers/window.c: rates and delays over the newest samples.
 */

/* cmocka wants these, in this order. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

#include <math.h>

#include "subscribers/window.h"

#define MS UINT64_C(1000000)

static void add(struct window *window, uint64_t sequence, uint64_t time_ms, double value) {
        struct window_mark mark = {sequence, time_ms * MS, value};

        window_add(window, &mark);
}

static void near(double value, double want) {
        if (!(fabs(value - want) < 1e-9)) {
                fail_msg("%.12g instead of %.12g", value, want);
        }
}

static void test_intervals(void **state) {
        struct window_summary summary;
        struct window window;

        assert_int_equal(window_open(&window, 10), 0);
        assert_false(window_intervals(&window, &summary));
        add(&window, 1, 1000, 0);
        assert_false(window_intervals(&window, &summary));
        add(&window, 2, 1010, 0);
        add(&window, 3, 1030, 0);
        assert_true(window_intervals(&window, &summary));
        near(summary.mean, 0.015);
        near(summary.minimum, 0.010);
        near(summary.maximum, 0.020);
        near(summary.deviation, 0.005);
        assert_int_equal(summary.count, 3);
        window_close(&window);
}

/* A reader that misses samples measures the publisher's rate all the same. */
static void test_missed_samples_count_in_the_rate_only(void **state) {
        struct window_summary summary;
        struct window window;

        assert_int_equal(window_open(&window, 10), 0);
        add(&window, 1, 1000, 0);
        add(&window, 2, 1010, 0);
        add(&window, 8, 1070, 0);
        add(&window, 9, 1080, 0);
        assert_true(window_intervals(&window, &summary));
        near(summary.mean, 0.010);
        near(summary.maximum, 0.010);
        near(summary.deviation, 0);
        window_close(&window);
}

static void test_only_the_newest_count(void **state) {
        struct window_summary summary;
        struct window window;
        uint64_t i;

        assert_int_equal(window_open(&window, 4), 0);
        for (i = 1; i <= 9; i++) {
                add(&window, i, i * 10, (double) i);
        }
        assert_true(window_values(&window, &summary));
        assert_int_equal(summary.count, 4);
        near(summary.minimum, 6);
        near(summary.maximum, 9);
        near(summary.mean, 7.5);
        /* 6 + 7 + 8 + 9 over the 50 ms since mark 6 at 60 ms */
        near(window_per_second(&window, 110 * MS), 600);
        window_close(&window);
}

static void test_sequence_that_starts_again_starts_a_new_window(void **state) {
        struct window_summary summary;
        struct window window;

        assert_int_equal(window_open(&window, 8), 0);
        add(&window, 100, 10, 1);
        add(&window, 101, 20, 1);
        add(&window, 1, 30, 5);
        assert_false(window_intervals(&window, &summary));
        assert_true(window_values(&window, &summary));
        assert_int_equal(summary.count, 1);
        near(summary.mean, 5);
        window_close(&window);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_intervals),
                cmocka_unit_test(test_missed_samples_count_in_the_rate_only),
                cmocka_unit_test(test_only_the_newest_count),
                cmocka_unit_test(test_sequence_that_starts_again_starts_a_new_window),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
