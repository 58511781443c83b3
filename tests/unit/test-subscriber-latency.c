/*
 * subscribers/latency.c: how long samples took, in buckets.
 */

/* cmocka wants these, in this order. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

#include "subscribers/latency.h"

static struct latency latency;
static struct slipring_latency_bucket buckets[SLIPRING_LATENCY_BUCKETS];

static int setup(void **state) {
        latency_clear(&latency);
        return 0;
}

static struct slipring_latency summary(void) {
        struct slipring_latency found;

        latency_summary(&latency, &found);
        return found;
}

/* The one bucket that a time falls into. */
static struct slipring_latency_bucket bucket_of(uint64_t time_ns) {
        latency_clear(&latency);
        latency_add(&latency, time_ns);
        assert_int_equal(latency_buckets(&latency, buckets, SLIPRING_LATENCY_BUCKETS), 1);
        assert_int_equal(buckets[0].count, 1);
        return buckets[0];
}

static void test_nothing_counted_is_all_zero(void **state) {
        const struct slipring_latency none = {0};
        struct slipring_latency found = summary();

        assert_memory_equal(&found, &none, sizeof(none));
        assert_int_equal(latency_buckets(&latency, NULL, 0), 0);
}

/* Every bucket begins where the one before ends, up to the last; all are used. */
static void test_buckets_follow_each_other(void **state) {
        struct slipring_latency_bucket bucket;
        uint64_t time_ns = 0;
        unsigned count = 0;

        while (time_ns <= LATENCY_MAX_NS) {
                bucket = bucket_of(time_ns);
                assert_int_equal(bucket.first_ns, time_ns);
                assert_true(bucket.last_ns >= bucket.first_ns);
                assert_true(bucket.last_ns - bucket.first_ns <= bucket.first_ns / 32);
                assert_int_equal(bucket_of(bucket.last_ns).first_ns, time_ns);
                time_ns = bucket.last_ns + 1;
                count++;
        }
        assert_int_equal(time_ns, LATENCY_MAX_NS + 1);
        assert_int_equal(count, SLIPRING_LATENCY_BUCKETS);
}

static void test_percentiles_of_what_is_known_exactly(void **state) {
        struct slipring_latency found;
        uint64_t i;

        /* 1 to 50 ns: each has a bucket. */
        for (i = 50; i >= 1; i--) {
                latency_add(&latency, i);
        }
        found = summary();
        assert_int_equal(found.count, 50);
        assert_int_equal(found.min_ns, 1);
        assert_int_equal(found.mean_ns, 25);
        assert_int_equal(found.p50_ns, 25);
        assert_int_equal(found.p90_ns, 45);
        /* 49.5 of 50: that is all of them. */
        assert_int_equal(found.p99_ns, 50);
        assert_int_equal(found.p99_99_ns, 50);
        assert_int_equal(found.max_ns, 50);
}

static void test_percentiles_tell_the_tail_apart(void **state) {
        struct slipring_latency found;
        unsigned i;

        for (i = 0; i < 100000; i++) {
                latency_add(&latency, i < 50000   ? 10
                                      : i < 90000 ? 20
                                      : i < 99000 ? 30
                                      : i < 99900 ? 40
                                      : i < 99990 ? 50
                                                  : 60);
        }
        found = summary();
        assert_int_equal(found.p50_ns, 10);
        assert_int_equal(found.p90_ns, 20);
        assert_int_equal(found.p99_ns, 30);
        assert_int_equal(found.p99_9_ns, 40);
        assert_int_equal(found.p99_99_ns, 50);
        assert_int_equal(found.max_ns, 60);
        /* One more of the longest, and none of those is enough any more. */
        latency_add(&latency, 60);
        found = summary();
        assert_int_equal(found.p50_ns, 20);
        assert_int_equal(found.p99_99_ns, 60);
}

static void test_a_percentile_is_at_most_a_little_long(void **state) {
        struct slipring_latency found;
        uint64_t time_ns;

        for (time_ns = 1000; time_ns < LATENCY_MAX_NS / 2; time_ns = time_ns * 9 / 8) {
                latency_clear(&latency);
                latency_add(&latency, time_ns);
                latency_add(&latency, LATENCY_MAX_NS);
                found = summary();
                assert_in_range(found.p50_ns, time_ns, time_ns + time_ns / 32);
                assert_int_equal(found.min_ns, time_ns);
        }
        /* But none is longer than the longest. */
        latency_clear(&latency);
        latency_add(&latency, 100000);
        assert_int_equal(summary().p50_ns, 100000);
}

/* A publisher may write any publish time. */
static void test_times_out_of_range_overflow_nothing(void **state) {
        struct slipring_latency found;
        unsigned i;

        /* Their sum has more than 64 bits. */
        for (i = 0; i < (1u << 24) + 100; i++) {
                latency_add(&latency, UINT64_MAX - i);
        }
        found = summary();
        assert_int_equal(found.count, (1u << 24) + 100);
        assert_int_equal(found.min_ns, LATENCY_MAX_NS);
        assert_int_equal(found.mean_ns, LATENCY_MAX_NS);
        assert_int_equal(found.p50_ns, LATENCY_MAX_NS);
        assert_int_equal(found.max_ns, LATENCY_MAX_NS);
}

/* As many as a handle can count: (2^64 - 1) / 10,000 has a remainder. */
static void test_counts_as_large_as_can_be(void **state) {
        latency.count = latency.buckets[10] = UINT64_MAX;
        latency.max_ns = 10;
        assert_int_equal(summary().p50_ns, 10);
        assert_int_equal(summary().p99_99_ns, 10);
}

static void test_buckets_without_room_are_left_out(void **state) {
        struct slipring_latency_bucket few[2] = {0};

        latency_add(&latency, 5);
        latency_add(&latency, 1000);
        latency_add(&latency, 5);
        latency_add(&latency, 1000000);
        assert_int_equal(latency_buckets(&latency, few, 1), 3);
        assert_int_equal(few[0].first_ns, 5);
        assert_int_equal(few[0].last_ns, 5);
        assert_int_equal(few[0].count, 2);
        assert_int_equal(few[1].count, 0);
        assert_int_equal(latency_buckets(&latency, few, 2), 3);
        assert_in_range(1000, few[1].first_ns, few[1].last_ns);
        assert_int_equal(few[1].count, 1);
}

#define CASE(name) cmocka_unit_test_setup(name, setup)

int main(void) {
        const struct CMUnitTest tests[] = {
                CASE(test_nothing_counted_is_all_zero),
                CASE(test_buckets_follow_each_other),
                CASE(test_percentiles_of_what_is_known_exactly),
                CASE(test_percentiles_tell_the_tail_apart),
                CASE(test_a_percentile_is_at_most_a_little_long),
                CASE(test_times_out_of_range_overflow_nothing),
                CASE(test_counts_as_large_as_can_be),
                CASE(test_buckets_without_room_are_left_out),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
