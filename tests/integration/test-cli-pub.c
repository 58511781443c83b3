/*
 * slipring pub: YAML in, messages out.
 */

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <slipring/publisher.h>
#include <slipring/subscriber.h>

#include "tests/harness/command.h"

static struct bus bus;

static void start(void) {
        const struct topic_spec spec = reading_topic("imu", 8);

        bus_start(&bus, &spec, 1);
}

static struct reading take(struct slipring_subscriber *subscriber) {
        struct reading reading;

        assert_int_equal(slipring_subscriber_take(subscriber, &reading, sizeof(reading), NULL), 1);
        return reading;
}

static void test_message_is_what_was_written(void **state) {
        struct slipring_subscriber *subscriber;
        struct reading reading, want = {0};
        struct command command;

        start();
        subscriber = subscriber_open("imu", SLIPRING_START_OLDEST);
        command_run(&command, "pub", "imu",
                    "{stamp: {sec: -3, nanosec: 7}, position: {y: -1.5e-3}, values: [.inf, 0.1], "
                    "status: 0xff, flags: [1, 2]}",
                    "--once");
        command_expect_code(&command, 0);
        command_expect_err(&command, "");
        command_expect_out_has(&command,
                               "publisher: beginning loop\n"
                               "publishing #1: {stamp: {sec: -3, nanosec: 7}, position: {x: 0.0, "
                               "y: -0.0015}, values: [.inf, 0.1, 0.0], status: 255, flags: [1, 2, "
                               "0, ");
        command_free(&command);
        reading = take(subscriber);
        want.sec = -3;
        want.nanosec = 7;
        want.y = -1.5e-3;
        want.values[0] = (float) (1e308 * 10);
        want.values[1] = 0.1f;
        want.status = 255;
        want.flags[0] = 1;
        want.flags[1] = 2;
        assert_memory_equal(&reading, &want, sizeof(want));
        slipring_subscriber_close(subscriber);
        bus_stop(&bus);
}

static void test_block_style_and_nothing(void **state) {
        struct slipring_subscriber *subscriber;
        struct reading zero = {0}, reading;
        struct command command;

        start();
        subscriber = subscriber_open("imu", SLIPRING_START_OLDEST);
        command_run(&command, "pub", "imu", "position:\n  x: 4\nstatus: 2\n", "-1", "-q");
        command_expect_code(&command, 0);
        command_expect_out(&command, "");
        command_free(&command);
        command_run(&command, "pub", "imu", "-1", "--json");
        command_expect_code(&command, 0);
        command_expect_json(&command, true);
        command_free(&command);
        reading = take(subscriber);
        assert_true(reading.x == 4);
        assert_int_equal(reading.status, 2);
        reading = take(subscriber);
        assert_memory_equal(&reading, &zero, sizeof(zero));
        slipring_subscriber_close(subscriber);
        bus_stop(&bus);
}

/* Each mistake names the field, and nothing is published. */
static void test_mistakes(void **state) {
        static const struct {
                const char *yaml;
                const char *says;
        } mistakes[] = {
                {"{positon: {x: 1}}", "has no field 'positon'; did you mean 'position'?"},
                {"{position: {z: 1}}", "field position has no field 'z'; it has x, y"},
                {"{pad0: [1]}", "has no field 'pad0'"},
                {"{status: 256}", "field 'status': 256 does not fit uint8, which holds 0 to 255"},
                {"{status: -1}", "field 'status': -1 does not fit uint8"},
                {"{status: 1.5}", "field 'status': '1.5' is no uint8"},
                {"{status: [1]}", "field 'status': expected one uint8 (line 1, column 10)"},
                {"{values: [1, 2, 3, 4]}",
                 "field 'values': more than its 3 elements (line 1, column 20)"},
                {"{values: 1}", "field 'values': expected a list of up to 3 float32s"},
                {"{values: [1, x]}", "field 'values[1]': 'x' is no float32"},
                {"{values: [1e39]}", "field 'values[0]': 1e39 does not fit float32"},
                {"{position: 1}", "field 'position': expected a mapping of fields"},
                {"{position: {x: 1, x: 2}}", "field 'position.x': given twice"},
                {"{stamp: soon}", "field 'stamp': 'soon' is no time: write now, "},
                {"{stamp: {sec: 1, nanosec: 1000000000}}",
                 "field 'stamp': nanosec is 1000000000, above 999999999"},
                {"[1, 2]", "expected a mapping of fields, {a: 1} (line 1, column 1)"},
                {"{status: 1", "not YAML: "},
                {"{status: 1}\n---\n{status: 2}", "more than one document"},
                {"{status: &a 1, values: [*a]}", "aliases are not for messages"},
        };
        struct slipring_subscriber *subscriber;
        struct command command;
        struct reading reading;
        size_t i;

        start();
        subscriber = subscriber_open("imu", SLIPRING_START_OLDEST);
        for (i = 0; i < sizeof(mistakes) / sizeof(mistakes[0]); i++) {
                command_run(&command, "pub", "imu", mistakes[i].yaml, "--once");
                command_expect_code(&command, 2);
                command_expect_out(&command, "");
                command_expect_err_has(&command, mistakes[i].says);
                command_free(&command);
        }
        assert_int_equal(slipring_subscriber_take(subscriber, &reading, sizeof(reading), NULL), 0);
        command_run(&command, "pub", "imu", "--rate", "0");
        command_expect_code(&command, 2);
        command_free(&command);
        command_run(&command, "pub", "imu", "-n", "2", "--once");
        command_expect_code(&command, 2);
        command_free(&command);
        slipring_subscriber_close(subscriber);
        bus_stop(&bus);
}

static void test_taken_topic_names_its_publisher(void **state) {
        struct slipring_publisher *publisher;
        struct command command;
        char text[64];

        start();
        publisher = publisher_open("imu");
        command_run(&command, "pub", "imu", "--once");
        command_expect_code(&command, 1);
        (void) snprintf(text, sizeof(text), "process %d publishes to it", (int) getpid());
        command_expect_err_has(&command, text);
        command_free(&command);
        /* Or it stands by. */
        command_start(&command, (const char *const[]){"pub", "imu", "--once", "--wait", NULL});
        command_await_err(&command, text);
        slipring_publisher_close(publisher);
        command_finish(&command);
        command_expect_code(&command, 0);
        command_expect_out_has(&command, "publishing #1: ");
        command_free(&command);
        bus_stop(&bus);
}

static void test_rate_count_and_the_present(void **state) {
        struct slipring_subscriber *subscriber;
        struct reading first, second, third;
        uint64_t begin = slipring_now_ns();
        struct command command;

        start();
        subscriber = subscriber_open("imu", SLIPRING_START_OLDEST);
        command_run(&command, "pub", "imu", "{stamp: now}", "-r", "20", "-n", "3");
        command_expect_code(&command, 0);
        command_expect_out_has(&command, "publishing #3: ");
        command_expect_out_lacks(&command, "publishing #4: ");
        command_free(&command);
        assert_true(slipring_now_ns() - begin >= 100000000);
        first = take(subscriber);
        second = take(subscriber);
        third = take(subscriber);
        assert_true(first.sec > 1600000000);
        assert_true(second.sec > first.sec ||
                    (second.sec == first.sec && second.nanosec > first.nanosec));
        assert_true(third.sec > second.sec ||
                    (third.sec == second.sec && third.nanosec > second.nanosec));
        slipring_subscriber_close(subscriber);
        bus_stop(&bus);
}

static void test_ends_at_ctrl_c_and_follows_a_replaced_topic(void **state) {
        struct topic_spec spec = reading_topic("imu", 8);
        struct command command;

        start();
        command_start(&command,
                      (const char *const[]){"pub", "imu", "{status: 3}", "-r", "50", NULL});
        command_await_out(&command, "publishing #2: ");
        spec.depth = 5;
        bus_apply(&bus, &spec, 1);
        command_await_err(&command, "was replaced, going on with its successor\n");
        command_stop(&command, SIGINT);
        command_expect_code(&command, 0);
        assert_string_equal(command.out + command.out_bytes - 3, "}\n\n");
        command_free(&command);
        bus_stop(&bus);
}

static void test_waits_for_subscribers(void **state) {
        struct slipring_subscriber *subscriber;
        struct command command;

        start();
        command_start(&command, (const char *const[]){"pub", "imu", "-1", "-w", "1", NULL});
        command_await_out(&command, "Waiting for at least 1 matching subscription(s)...\n");
        subscriber = subscriber_open("imu", SLIPRING_START_OLDEST);
        command_finish(&command);
        command_expect_code(&command, 0);
        (void) take(subscriber);
        command_free(&command);
        slipring_subscriber_close(subscriber);
        bus_stop(&bus);
}

/* As a message of ROS 2 has it: a list of strings, whose lengths and texts never change. */
struct joints {
        uint32_t name_length;
        uint32_t name0_length;
        char name0[4];
        uint32_t name1_length;
        char name1[4];
        uint32_t position_length;
        float position[2];
};

static const struct slipring_field joint_fields[] = {
        {"name", "", SLIPRING_KIND_LENGTH, 0, 0, 4, 2, 0},
        {"name", "", SLIPRING_KIND_LIST, 0, 4, 16, 4, 4},
        {"position", "", SLIPRING_KIND_LENGTH, 0, 20, 4, 2, 0},
        {"position", "", SLIPRING_KIND_FLOAT32, 2, 24, 4, 0, 0},
        {"0", "", SLIPRING_KIND_LENGTH, 0, 0, 4, 4, 0},
        {"0", "hip", SLIPRING_KIND_STRING, 4, 4, 1, 0, 0},
        {"1", "", SLIPRING_KIND_LENGTH, 0, 8, 4, 4, 0},
        {"1", "toe", SLIPRING_KIND_STRING, 4, 12, 1, 0, 0},
};

static const struct slipring_type joint_type = {
        .version = SLIPRING_TYPE_VERSION,
        .payload_bytes = sizeof(struct joints),
        .field_count = 8,
        .root_count = 4,
        .identity = {9},
        .name = "test_msgs/msg/Joints",
        .text = "",
        .fields = joint_fields,
};

static void pub_fails(const char *yaml, const char *why) {
        struct command command;

        command_run(&command, "pub", "joints", yaml, "-1");
        assert_int_not_equal(command.code, 0);
        command_expect_err(&command, why);
        command_free(&command);
}

static void test_constants_need_not_be_given(void **state) {
        const struct joints want = {2, 4, "hip", 4, "toe", 2, {0.5f, 2}};
        struct slipring_subscriber *subscriber;
        struct topic_spec spec = topic_of("joints", 4);
        struct command command;
        struct joints joints;

        spec.type = &joint_type;
        bus_start(&bus, &spec, 1);
        subscriber = subscriber_open("joints", SLIPRING_START_OLDEST);
        command_run(&command, "pub", "joints", "{position: [0.5, 2]}", "-1");
        command_expect_code(&command, 0);
        command_expect_out_has(&command,
                               "publishing #1: {name: [\"hip\", \"toe\"], position: [0.5, 2.0]}\n");
        command_free(&command);
        /* What echo prints can be published again. */
        command_run(&command, "pub", "joints", "{name: [hip, toe], position: [0.5, 2]}", "-1");
        command_expect_code(&command, 0);
        command_free(&command);
        for (int i = 0; i < 2; i++) {
                assert_int_equal(
                        slipring_subscriber_take(subscriber, &joints, sizeof(joints), NULL), 1);
                assert_memory_equal(&joints, &want, sizeof(want));
        }
        pub_fails("{name: [hip, tooth]}",
                  "slipring pub: field 'name[1]': always 'toe' on this topic "
                  "(line 1, column 14)\n");
        pub_fails("{name: [hip, toe, nose]}",
                  "slipring pub: field 'name': more than its 2 elements "
                  "(line 1, column 19)\n");
        pub_fails("{name: hip}", "slipring pub: field 'name': expected a list of up to 2 elements "
                                 "(line 1, column 8)\n");
        slipring_subscriber_close(subscriber);
        bus_stop(&bus);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_constants_need_not_be_given),
                cmocka_unit_test(test_message_is_what_was_written),
                cmocka_unit_test(test_block_style_and_nothing),
                cmocka_unit_test(test_mistakes),
                cmocka_unit_test(test_taken_topic_names_its_publisher),
                cmocka_unit_test(test_rate_count_and_the_present),
                cmocka_unit_test(test_ends_at_ctrl_c_and_follows_a_replaced_topic),
                cmocka_unit_test(test_waits_for_subscribers),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
