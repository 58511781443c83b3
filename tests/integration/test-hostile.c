/*
 * What no careful program does, and what a client must survive: calls in odd orders, handles across
 * forks and threads, and a publisher that writes anything anywhere in its segment.
 */

#include <stdio.h>
#include <unistd.h>

#include <slipring/publisher.h>
#include <slipring/subscriber.h>

#include "tests/harness/harness.h"

static int setup(void **state) {
        static struct bus bus;
        struct topic_spec specs[] = {topic_of("imu", 4), topic_of("odom", 2)};

        bus_start(&bus, specs, 2);
        *state = &bus;
        return 0;
}

static int setup_waitv(void **state) {
        (void) setenv("SLIPRING_DISABLE", "io_uring", 1);
        return setup(state);
}

static int setup_wait(void **state) {
        (void) setenv("SLIPRING_DISABLE", "io_uring,futex_waitv", 1);
        return setup(state);
}

static int teardown(void **state) {
        (void) unsetenv("SLIPRING_DISABLE");
        bus_stop(*state);
        return 0;
}

/* --- forks --- */

static void test_a_child_closes_what_it_inherited_in_any_order(void **state) {
        struct slipring_subscriber *subscriber = subscriber_open("imu", SLIPRING_START_OLDEST);
        struct slipring_publisher *publisher = publisher_open("imu");
        struct slipring_waitset *waitset = NULL;
        struct message message = message_make(1);
        pid_t pid;
        int order;

        (void) state;
        assert_int_equal(slipring_waitset_new(&waitset, NULL), 0);
        assert_int_equal(slipring_waitset_add(waitset, subscriber), 0);
        for (order = 0; order < 2; order++) {
                (void) fflush(NULL);
                pid = fork();
                assert_true(pid >= 0);
                if (pid == 0) {
                        if (order == 0) {
                                slipring_subscriber_close(subscriber);
                                slipring_waitset_close(waitset);
                        } else {
                                slipring_waitset_close(waitset);
                                slipring_subscriber_close(subscriber);
                        }
                        slipring_publisher_close(publisher);
                        _exit(0);
                }
                assert_int_equal(process_wait(pid), 0);
        }
        assert_int_equal(slipring_publisher_publish(publisher, &message, sizeof(message), 0), 0);
        assert_int_equal(slipring_waitset_ready(waitset, &subscriber, 1), 1);
        slipring_waitset_close(waitset);
        slipring_subscriber_close(subscriber);
        slipring_publisher_close(publisher);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
#define EACH(name)                                                                                 \
        {#name " (io_uring)", name, setup, teardown, NULL},                                        \
                {#name " (futex_waitv)", name, setup_waitv, teardown, NULL}, {                     \
#name " (FUTEX_WAIT)", name, setup_wait, teardown, NULL                            \
        }

int main(void) {
        const struct CMUnitTest tests[] = {
                EACH(test_a_child_closes_what_it_inherited_in_any_order),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
