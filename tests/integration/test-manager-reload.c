/*
 * Reloading: what did not change is not touched, what did gets a successor, and a file with errors
 * changes nothing.
 */

#include <errno.h>
#include <string.h>
#include <sys/shm.h>
#include <unistd.h>

#include <slipring/publisher.h>
#include <slipring/subscriber.h>

#include "tests/harness/daemon.h"

#define IMU "  imu: {depth: 8, fields: {number: uint64, words: \"uint64[7]\"}}\n"
#define ODOM "  odom: {fields: {x: float64}}\n"

static struct daemon bus;

static int setup(void **state) {
        daemon_setup(&bus);
        daemon_schema(&bus, "topics:\n" IMU ODOM);
        daemon_start(&bus, NULL);
        return 0;
}

static int teardown(void **state) {
        assert_int_equal(daemon_stop(&bus, SIGTERM), 0);
        daemon_teardown(&bus);
        return 0;
}

static void reload(const char *topics) {
        daemon_schema(&bus, topics);
        daemon_signal(&bus, SIGHUP);
}

static void assert_untouched(const struct layout_entry *before, const char *topic) {
        struct layout_entry after = daemon_entry(&bus, topic);

        assert_memory_equal(before, &after, sizeof(after));
}

static void publish(struct slipring_publisher *publisher, uint64_t number, int expected) {
        struct message message = message_make(number);

        assert_int_equal(slipring_publisher_publish(publisher, &message, sizeof(message), 0),
                         expected);
}

static void take(struct slipring_subscriber *subscriber, uint64_t number) {
        struct message message;

        assert_int_equal(slipring_subscriber_take(subscriber, &message, sizeof(message), NULL), 1);
        assert_true(message_whole(&message));
        assert_int_equal(message.number, number);
}

static void test_unchanged_file_touches_nothing(void **state) {
        struct layout_entry imu = daemon_entry(&bus, "imu"), odom = daemon_entry(&bus, "odom");

        reload("topics:\n" IMU ODOM);
        daemon_expect(&bus, "reloaded");
        assert_untouched(&imu, "imu");
        assert_untouched(&odom, "odom");
}

static void test_added_topic_is_created_beside_the_others(void **state) {
        struct layout_entry imu = daemon_entry(&bus, "imu");

        reload("topics:\n" IMU "  battery: {fields: {voltage: float32}}\n" ODOM);
        daemon_expect(&bus, "battery: created");
        daemon_expect(&bus, "reloaded");
        assert_untouched(&imu, "imu");
        assert_int_equal(daemon_entry(&bus, "battery").payload_bytes, 4);
}

static void test_waiting_client_finds_the_added_topic(void **state) {
        struct slipring_subscriber_options options = {
                .size = sizeof(options),
                .deadline_ns = slipring_in_ms(20000),
        };
        struct slipring_subscriber *subscriber = NULL;
        struct slipring_error error = {0};

        reload("topics:\n" IMU ODOM "  late: {fields: {x: float32}}\n");
        assert_int_equal(slipring_subscriber_open(&subscriber, "late", &options, &error), 0);
        slipring_subscriber_close(subscriber);
        daemon_expect(&bus, "reloaded");
}

static void test_removed_topic_is_retired(void **state) {
        struct slipring_subscriber *subscriber = subscriber_open("odom", SLIPRING_START_NEWEST);
        struct layout_entry imu = daemon_entry(&bus, "imu"), odom = daemon_entry(&bus, "odom");
        struct slipring_error error = {0};

        reload("topics:\n" IMU);
        daemon_expect(&bus, "odom: removed");
        daemon_expect(&bus, "reloaded");
        assert_untouched(&imu, "imu");
        assert_int_equal(shmget(odom.data_key, 0, 0), -1);
        assert_int_equal(slipring_subscriber_wait(subscriber, slipring_in_ms(20000)), -EIDRM);
        assert_int_equal(slipring_subscriber_move(subscriber, 0, &error), -ENOENT);
        slipring_subscriber_close(subscriber);
}

static void test_changed_topic_gets_a_successor_that_both_clients_find(void **state) {
        struct slipring_publisher *publisher = publisher_open("imu");
        struct slipring_subscriber *subscriber = subscriber_open("imu", SLIPRING_START_OLDEST);
        struct layout_entry before = daemon_entry(&bus, "imu"), odom = daemon_entry(&bus, "odom");
        struct slipring_error error = {0};

        publish(publisher, 1, 0);
        reload("topics:\n" ODOM
               "  imu: {depth: 16, fields: {number: uint64, words: \"uint64[7]\"}}\n");
        daemon_expect(&bus, "imu: replaced");
        daemon_expect(&bus, "reloaded");
        assert_untouched(&odom, "odom");
        assert_int_not_equal(daemon_entry(&bus, "imu").data_id, before.data_id);
        publish(publisher, 2, -EIDRM);
        /* What the old ring still holds comes first. */
        take(subscriber, 1);
        assert_int_equal(slipring_subscriber_wait(subscriber, slipring_in_ms(20000)), -EIDRM);
        assert_int_equal(slipring_publisher_move(publisher, 0, &error), 0);
        publish(publisher, 3, 0);
        assert_int_equal(slipring_subscriber_move(subscriber, 0, &error), 0);
        take(subscriber, 3);
        slipring_subscriber_close(subscriber);
        slipring_publisher_close(publisher);
}

static void test_description_alone_replaces_nothing(void **state) {
        struct layout_entry before = daemon_entry(&bus, "odom"), after;

        reload("topics:\n" IMU "  odom: {description: wheels, fields: {x: float64}}\n");
        daemon_expect(&bus, "odom: described");
        daemon_expect(&bus, "reloaded");
        after = daemon_entry(&bus, "odom");
        assert_int_equal(after.data_id, before.data_id);
        assert_string_equal(after.description, "wheels");
}

static void test_broken_file_changes_nothing_and_is_reported(void **state) {
        struct layout_entry imu = daemon_entry(&bus, "imu"), odom = daemon_entry(&bus, "odom");

        reload("topics:\n" IMU "  new: {fields: {x: float64}}\n  odom: {fields: {x: float65}}\n");
        daemon_expect(&bus, "bus.yaml:6:22: error: ");
        daemon_expect(&bus, "reload failed, nothing has changed: the schema has errors");
        assert_untouched(&imu, "imu");
        assert_untouched(&odom, "odom");
        assert_int_equal(unlink(bus.schema), 0);
        daemon_signal(&bus, SIGHUP);
        daemon_expect(&bus, "reload failed, nothing has changed: the schema cannot be read");
        assert_untouched(&imu, "imu");
        reload("topics:\n" IMU ODOM);
        daemon_expect(&bus, "reloaded");
        assert_untouched(&imu, "imu");
}

static void test_other_bus_name_changes_nothing(void **state) {
        struct layout_entry imu = daemon_entry(&bus, "imu");
        struct daemon other = bus;

        strcpy(other.bus, "another_bus");
        daemon_schema(&other, "topics:\n" IMU);
        daemon_signal(&bus, SIGHUP);
        daemon_expect(&bus, "the bus has another name: it is 'another_bus' now");
        assert_untouched(&imu, "imu");
}

static void test_many_reloads_leave_nothing_behind(void **state) {
        size_t objects = ipc_objects();
        int i;

        for (i = 0; i < 6; i++) {
                reload(i % 2 ? "topics:\n" IMU ODOM
                             : "topics:\n  odom: {fields: {x: float32}, mode: \"0600\"}\n");
                daemon_expect(&bus, "reloaded");
        }
        /* Elsewhere other tests' objects come and go. */
        if (getenv("TEST_IPC_PRIVATE")) {
                assert_int_equal(ipc_objects(), objects);
        }
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(test_unchanged_file_touches_nothing, setup,
                                                teardown),
                cmocka_unit_test_setup_teardown(test_added_topic_is_created_beside_the_others,
                                                setup, teardown),
                cmocka_unit_test_setup_teardown(test_waiting_client_finds_the_added_topic, setup,
                                                teardown),
                cmocka_unit_test_setup_teardown(test_removed_topic_is_retired, setup, teardown),
                cmocka_unit_test_setup_teardown(
                        test_changed_topic_gets_a_successor_that_both_clients_find, setup,
                        teardown),
                cmocka_unit_test_setup_teardown(test_description_alone_replaces_nothing, setup,
                                                teardown),
                cmocka_unit_test_setup_teardown(test_broken_file_changes_nothing_and_is_reported,
                                                setup, teardown),
                cmocka_unit_test_setup_teardown(test_other_bus_name_changes_nothing, setup,
                                                teardown),
                cmocka_unit_test_setup_teardown(test_many_reloads_leave_nothing_behind, setup,
                                                teardown),
        };

        if (ipc_private(false)) {
                (void) setenv("TEST_IPC_PRIVATE", "1", 1);
        }
        return cmocka_run_group_tests(tests, NULL, NULL);
}
