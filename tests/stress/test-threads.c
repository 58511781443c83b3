/*
 * One publisher and several subscribers as threads over one segment, so that ThreadSanitizer sees
 * both sides of each access. (It does not see fences; those are the models' business.)
 */

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include <slipring/publisher.h>
#include <slipring/subscriber.h>

#include "tests/harness/harness.h"

#define READERS 4

/* Less than the deepest ring, more than the others. */
#define BATCH 10u

static _Atomic bool done;
static _Atomic unsigned readers_begun;

static uint64_t samples(void) {
        return harness_long() ? 2000000 : 100000;
}

/* Every reader sees the whole story: nobody publishes before all have opened. */
static pthread_barrier_t all_open;

/* cmocka's assertions belong to its own thread. */
#define CHECK(condition)                                                                           \
        do {                                                                                       \
                if (!(condition)) {                                                                \
                        fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition);            \
                        abort();                                                                   \
                }                                                                                  \
        } while (0)

static void *publish_main(void *argument) {
        struct slipring_publisher *publisher = publisher_open("blob");
        static uint64_t blob[BLOB_BYTES / 8];
        uint64_t i, count = *(uint64_t *) argument;
        void *payload = NULL;

        (void) pthread_barrier_wait(&all_open);
        for (i = 1; i <= count; i++) {
                if (i % 4) {
                        blob_fill(blob, sizeof(struct message), i);
                        CHECK(slipring_publisher_publish(publisher, blob, sizeof(struct message),
                                                         i) == 0);
                } else {
                        /* In place, with the accesses that a program's own code would make. */
                        CHECK(slipring_publisher_loan(publisher, &payload) == 0);
                        CHECK(slipring_publisher_abandon(publisher) == 0);
                        blob_fill(blob, sizeof(struct message), i);
                        CHECK(slipring_publisher_publish(publisher, blob, sizeof(struct message),
                                                         i) == 0);
                }
        }
        done = true;
        slipring_publisher_close(publisher);
        return NULL;
}

/* One at a time, or as many as there are. */
static int take(struct slipring_subscriber *subscriber, bool batch, uint64_t *sequence) {
        struct slipring_sample samples[BATCH];
        struct message messages[BATCH];
        int r, i;

        r = batch ? slipring_subscriber_take_batch(subscriber, messages, sizeof(messages), samples,
                                                   BATCH)
                  : slipring_subscriber_take(subscriber, messages, sizeof(messages), samples);
        for (i = 0; i < r; i++) {
                CHECK(message_whole(&messages[i]));
                CHECK(messages[i].number == samples[i].sequence);
                CHECK(samples[i].sequence == *sequence + samples[i].missed + 1);
                *sequence = samples[i].sequence;
        }
        return r;
}

/* It looks before it sleeps, and counts how long samples took. */
static struct slipring_subscriber *open_attended(void) {
        const struct slipring_subscriber_options options = {
                .size = sizeof(options),
                .start = SLIPRING_START_OLDEST,
                .spin_us = 1000,
        };
        struct slipring_subscriber *subscriber = NULL;

        CHECK(slipring_subscriber_open(&subscriber, "blob", &options, NULL) == 0);
        CHECK(slipring_subscriber_record_latency(subscriber, true) == 0);
        return subscriber;
}

static void check_latency(const struct slipring_subscriber *subscriber, uint64_t delivered) {
        struct slipring_latency latency;
        int r = slipring_subscriber_latency(subscriber, &latency);

        CHECK(r == 0 || r == -ENODATA);
        CHECK(r != 0 || (latency.count == delivered && latency.p50_ns <= latency.max_ns));
}

static void *read_main(void *argument) {
        struct slipring_waitset *waitset = NULL, **wants_waitset = argument;
        struct slipring_subscriber *subscriber;
        struct slipring_subscriber_info info;
        uint64_t sequence = 0;
        bool last, batch;
        unsigned number;
        int r;

        number = atomic_fetch_add(&readers_begun, 1);
        batch = number % 2;
        subscriber =
                number / 2 % 2 ? open_attended() : subscriber_open("blob", SLIPRING_START_OLDEST);
        (void) pthread_barrier_wait(&all_open);
        if (wants_waitset) {
                CHECK(slipring_waitset_new(&waitset, NULL) == 0);
                CHECK(slipring_waitset_add(waitset, subscriber) == 0);
        }
        do {
                last = done;
                while ((r = take(subscriber, batch, &sequence)) > 0) {
                }
                CHECK(r == 0 || r == -EAGAIN);
                (void) slipring_subscriber_wait(subscriber, slipring_in_ms(10));
        } while (!last || r == -EAGAIN);
        CHECK(slipring_subscriber_info(subscriber, &info) == 0);
        CHECK(info.delivered + info.missed == info.sequence);
        check_latency(subscriber, info.delivered);
        slipring_waitset_close(waitset);
        slipring_subscriber_close(subscriber);
        return NULL;
}

static void run(uint32_t depth, bool waitset) {
        struct topic_spec spec = topic_of("blob", depth);
        pthread_t publisher, readers[READERS];
        static struct slipring_waitset *yes;
        uint64_t count = samples();
        static struct bus bus;
        int i;

        done = false;
        assert_int_equal(pthread_barrier_init(&all_open, NULL, READERS + 1), 0);
        bus_start(&bus, &spec, 1);
        for (i = 0; i < READERS; i++) {
                assert_int_equal(
                        pthread_create(&readers[i], NULL, read_main, waitset ? &yes : NULL), 0);
        }
        assert_int_equal(pthread_create(&publisher, NULL, publish_main, &count), 0);
        assert_int_equal(pthread_join(publisher, NULL), 0);
        for (i = 0; i < READERS; i++) {
                assert_int_equal(pthread_join(readers[i], NULL), 0);
        }
        (void) pthread_barrier_destroy(&all_open);
        bus_stop(&bus);
}

static void test_threads_depth_2(void **state) {
        run(2, false);
}

static void test_threads_depth_64(void **state) {
        run(64, false);
}

static void test_threads_with_futex_waitv_helpers(void **state) {
        assert_int_equal(setenv("SLIPRING_DISABLE", "io_uring", 1), 0);
        run(8, true);
}

static void test_threads_with_futex_wait_helpers(void **state) {
        assert_int_equal(setenv("SLIPRING_DISABLE", "io_uring,futex_waitv", 1), 0);
        run(8, true);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_threads_depth_2),
                cmocka_unit_test(test_threads_depth_64),
                cmocka_unit_test(test_threads_with_futex_waitv_helpers),
                cmocka_unit_test(test_threads_with_futex_wait_helpers),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
