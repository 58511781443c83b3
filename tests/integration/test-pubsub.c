/*
 * Publishers and subscribers over a live bus: what the public headers promise, call by call.
 */

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include <slipring/publisher.h>
#include <slipring/subscriber.h>

#include "tests/harness/harness.h"

static void publish(struct slipring_publisher *publisher, uint64_t number) {
        struct message message = message_make(number);

        assert_int_equal(slipring_publisher_publish(publisher, &message, sizeof(message), number),
                         0);
}

static int setup(void **state) {
        static struct bus bus;
        struct topic_spec specs[] = {topic_of("imu", 4), topic_of("odom", 2)};

        bus_start(&bus, specs, 2);
        *state = &bus;
        return 0;
}

static int teardown(void **state) {
        bus_stop(*state);
        return 0;
}

static void test_take_delivers_in_order_what_was_published(void **state) {
        struct slipring_publisher *publisher = publisher_open("imu");
        struct slipring_subscriber *subscriber = subscriber_open("imu", SLIPRING_START_NEWEST);
        struct slipring_sample sample;
        struct message message;
        uint64_t i;

        assert_int_equal(slipring_subscriber_take(subscriber, &message, sizeof(message), &sample),
                         0);
        for (i = 1; i <= 100; i++) {
                publish(publisher, i);
                assert_int_equal(
                        slipring_subscriber_take(subscriber, &message, sizeof(message), &sample),
                        1);
                assert_true(message_whole(&message));
                assert_int_equal(message.number, i);
                assert_int_equal(sample.sequence, i);
                assert_int_equal(sample.source_time_ns, i);
                assert_int_equal(sample.missed, 0);
                assert_int_equal(sample.epoch, 1);
                assert_int_equal(sample.payload_bytes, sizeof(message));
                assert_true(sample.publish_time_ns && sample.publish_time_ns <= slipring_now_ns());
                assert_int_equal(
                        slipring_subscriber_take(subscriber, &message, sizeof(message), &sample),
                        0);
        }
        slipring_subscriber_close(subscriber);
        slipring_publisher_close(publisher);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(test_take_delivers_in_order_what_was_published,
                                                setup, teardown),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
