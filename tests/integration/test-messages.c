/*
 * Messages of ROS 2 from YAML to a sample: a real manager over tests/data/good-messages.yaml, the
 * real commands, and programs that know the bus by its generated header.
 */

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "messages.h"
#include "tests/harness/command.h"
#include "tests/harness/daemon.h"

/* Another place for one sensor. */
#define IMU_FRAME "frame_id: imu_link"
#define OTHER_FRAME "frame_id: imu_back"

static struct daemon bus;

/* The file without its own first two lines, whose bus has another name. */
static char *topics_read(void) {
        char *text = calloc(1, 65536), *topics;
        FILE *file = fopen(MESSAGES_YAML, "re");

        assert_non_null(text);
        assert_non_null(file);
        strcpy(text, "package: messages\n");
        assert_true(fread(text + strlen(text), 1, 65000, file) > 0);
        assert_int_equal(fclose(file), 0);
        topics = strstr(text, "topics:\n");
        assert_non_null(topics);
        memmove(strchr(text, '\n') + 1, topics, strlen(topics) + 1);
        return text;
}

static int setup(void **state) {
        char *text = topics_read();

        daemon_setup(&bus);
        daemon_schema(&bus, text);
        daemon_start(&bus, NULL);
        free(text);
        return 0;
}

static int teardown(void **state) {
        assert_int_equal(daemon_stop(&bus, SIGTERM), 0);
        daemon_teardown(&bus);
        return 0;
}

static void pub(const char *topic, const char *message) {
        struct command command;

        command_run(&command, "pub", "-q", "--once", topic, message);
        command_expect_err(&command, "");
        command_expect_code(&command, 0);
        command_free(&command);
}

/* The message alone of what `echo --json` prints; to be freed. */
static char *echo(const char *topic) {
        struct command command;
        const char *found;
        char *message;

        command_run(&command, "echo", "--once", "--json", topic);
        command_expect_code(&command, 0);
        command_expect_json(&command, true);
        found = strstr(command.out, "\"message\": ");
        assert_non_null(found);
        message = strdup(found + strlen("\"message\": "));
        assert_non_null(message);
        /* The brace of the line's own object. */
        message[strlen(message) - 2] = '\0';
        command_free(&command);
        return message;
}

static void expect_echo(const char *topic, const char *expected) {
        char *message = echo(topic);

        assert_string_equal(message, expected);
        free(message);
}

/*
 * From the command to programs
 */

static void test_pub_reaches_a_generated_subscriber(void **state) {
        struct messages_imu_front_subscriber sub;
        struct messages_ImuFront imu;
        struct slipring_error error;

        assert_int_equal(messages_imu_front_subscriber_open(&sub, NULL, &error), 0);
        pub("imu/front", "{header: {stamp: {sec: 7, nanosec: 9}}, orientation: {w: 1}, "
                         "angular_velocity_covariance: [0, 0, 0.5], "
                         "linear_acceleration: {z: 9.75}}");
        assert_int_equal(messages_imu_front_take(sub, &imu, NULL), 1);
        assert_int_equal(imu.header.stamp.sec, 7);
        assert_int_equal(imu.header.stamp.nanosec, 9);
        assert_int_equal(imu.header.frame_id_length, sizeof("imu_link"));
        assert_string_equal(imu.header.frame_id, "imu_link");
        assert_memory_equal(imu.header.pad0, "\0\0", 3);
        assert_true(imu.orientation.w == 1 && imu.orientation.x == 0);
        assert_true(imu.angular_velocity_covariance[2] == 0.5);
        assert_true(imu.linear_acceleration.z == 9.75);
        messages_imu_front_subscriber_close(&sub);
}

static void test_lengths_stand_before_sequences(void **state) {
        struct messages_joints_subscriber joints;
        struct messages_scan_subscriber scan;
        struct messages_Joints joint_state;
        struct messages_Scan ranges;
        struct slipring_error error;

        assert_int_equal(messages_scan_subscriber_open(&scan, NULL, &error), 0);
        assert_int_equal(messages_joints_subscriber_open(&joints, NULL, &error), 0);
        pub("scan", "{range_max: 30, ranges: [0.5, 1.25, .inf]}");
        pub("joints", "{name: [hip, knee], position: [1, 2], effort: [0, -3]}");
        assert_int_equal(messages_scan_take(scan, &ranges, NULL), 1);
        assert_int_equal(ranges.ranges_length, 360);
        assert_int_equal(ranges.intensities_length, 0);
        assert_true(ranges.range_max == 30);
        assert_true(ranges.ranges[0] == 0.5f && ranges.ranges[1] == 1.25f);
        assert_true(ranges.ranges[2] > 1e38f && ranges.ranges[359] == 0);
        assert_int_equal(messages_joints_take(joints, &joint_state, NULL), 1);
        assert_int_equal(joint_state.name_length, 2);
        assert_int_equal(joint_state.name_0_length, 4);
        assert_string_equal(joint_state.name_0, "hip");
        assert_string_equal(joint_state.name_1, "knee");
        assert_int_equal(joint_state.position_length, 2);
        assert_true(joint_state.position[0] == 1 && joint_state.position[1] == 2);
        assert_true(joint_state.velocity[1] == 0 && joint_state.effort[1] == -3);
        messages_scan_subscriber_close(&scan);
        messages_joints_subscriber_close(&joints);
}

/* Elements that CDR puts where an array of C could not. */
static void test_arrays_of_messages(void **state) {
        struct messages_cloud_subscriber cloud;
        struct messages_grid_subscriber grid;
        struct messages_Cloud points;
        struct messages_Grid path;
        struct slipring_error error;

        assert_int_equal(messages_cloud_subscriber_open(&cloud, NULL, &error), 0);
        assert_int_equal(messages_grid_subscriber_open(&grid, NULL, &error), 0);
        pub("cloud", "{height: 1, width: 62, fields: [{count: 1}, {offset: 4}, {datatype: 7}, "
                     "{name: intensity, offset: 12}], data: [1, 2], is_dense: true}");
        pub("grid", "{poses: [{pose: {position: {x: 1}}}, {header: {stamp: {sec: 2}}}, "
                    "{pose: {orientation: {w: 3}}}]}");
        assert_int_equal(messages_cloud_take(cloud, &points, NULL), 1);
        assert_int_equal(points.width, 62);
        assert_int_equal(points.fields_0.count, 1);
        assert_int_equal(points.fields_1.offset, 4);
        assert_int_equal(points.fields_2.datatype, 7);
        assert_int_equal(points.fields_3.offset, 12);
        assert_string_equal(points.fields_0.name, "x");
        assert_string_equal(points.fields_3.name, "intensity");
        assert_int_equal(points.data_length, 1000);
        assert_int_equal(points.data[1], 2);
        assert_int_equal(points.is_dense, 1);
        assert_int_equal(messages_grid_take(grid, &path, NULL), 1);
        assert_int_equal(path.poses_length, 3);
        assert_true(path.poses_0_pose.position.x == 1);
        assert_int_equal(path.poses_1.header.stamp.sec, 2);
        assert_string_equal(path.poses_2.header.frame_id, "map");
        assert_true(path.poses_2.pose.orientation.w == 3);
        messages_cloud_subscriber_close(&cloud);
        messages_grid_subscriber_close(&grid);
}

/* Strings and sequences that change: there is room for what may come. */
static void test_bounded_reach_a_generated_subscriber(void **state) {
        struct messages_status_subscriber sub;
        struct messages_points_subscriber points_sub;
        struct messages_Status status;
        struct messages_Points points;
        struct slipring_error error;

        assert_int_equal(sizeof(status.name), 13);
        assert_int_equal(messages_status_subscriber_open(&sub, NULL, &error), 0);
        assert_int_equal(messages_points_subscriber_open(&points_sub, NULL, &error), 0);
        pub("status",
            "{id: 3, name: ab c, values: [1.5, 2.5], tags: [x], words: [yes, no], last: -4}");
        pub("points", "{fields: [{name: x, offset: 4}, {name: intensity}], data: [7, 8, 9]}");
        assert_int_equal(messages_status_take(sub, &status, NULL), 1);
        assert_int_equal(status.id, 3);
        assert_string_equal(status.name, "ab c");
        assert_int_equal(status.values.length, 2);
        assert_true(status.values.elements[0] == 1.5 && status.values.elements[1] == 2.5);
        assert_int_equal(status.tags.length, 1);
        assert_string_equal(status.tags.elements[0], "x");
        assert_string_equal(status.words[1], "no");
        assert_int_equal(status.times.length, 0);
        assert_int_equal(status.last, -4);
        assert_int_equal(messages_points_take(points_sub, &points, NULL), 1);
        assert_string_equal(points.header.frame_id, "lidar");
        assert_int_equal(points.fields.length, 2);
        assert_int_equal(points.fields.elements[0].offset, 4);
        assert_string_equal(points.fields.elements[1].name, "intensity");
        assert_int_equal(points.data.length, 3);
        assert_int_equal(points.data.elements[2], 9);
        messages_status_subscriber_close(&sub);
        messages_points_subscriber_close(&points_sub);
}

/*
 * From programs to the command
 */

/* Nothing is filled in but numbers; what never changes is written by the library. */
static int publish_all(void *argument) {
        struct messages_imu_front_publisher imu_pub;
        struct messages_joints_publisher joints_pub;
        struct messages_range_publisher range_pub;
        struct messages_ImuFront imu = {.orientation = {.w = 1}};
        struct messages_Joints joints = {.position = {1, 2}, .effort = {3, 4}};
        struct messages_Range range = {.radiation_type = 1, .range = 0.25f};
        struct slipring_error error;

        assert_int_equal(messages_imu_front_publisher_open(&imu_pub, NULL, &error), 0);
        assert_int_equal(messages_joints_publisher_open(&joints_pub, NULL, &error), 0);
        assert_int_equal(messages_range_publisher_open(&range_pub, NULL, &error), 0);
        imu.header.stamp.sec = 5;
        range.header_stamp.sec = 6;
        /* Rubbish where constants stand is not what anybody reads. */
        memset(imu.header.frame_id, 'x', sizeof(imu.header.frame_id));
        joints.name_length = 77;
        joints.pad1[0] = 1;
        assert_int_equal(messages_imu_front_publish(imu_pub, &imu), 0);
        assert_int_equal(messages_joints_publish(joints_pub, &joints), 0);
        assert_int_equal(messages_range_publish(range_pub, &range), 0);
        messages_imu_front_publisher_close(&imu_pub);
        messages_joints_publisher_close(&joints_pub);
        messages_range_publisher_close(&range_pub);
        return 0;
}

#define ZEROS9 "[0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0]"

static void test_generated_publisher_reaches_echo(void **state) {
        assert_int_equal(process_wait(process_start(publish_all, NULL)), 0);
        expect_echo("imu/front", "{\"header\": {\"stamp\": {\"sec\": 5, \"nanosec\": 0}, "
                                 "\"frame_id\": \"imu_link\"}, "
                                 "\"orientation\": {\"x\": 0.0, \"y\": 0.0, \"z\": 0.0, "
                                 "\"w\": 1.0}, \"orientation_covariance\": " ZEROS9
                                 ", \"angular_velocity\": {\"x\": 0.0, \"y\": 0.0, \"z\": 0.0}, "
                                 "\"angular_velocity_covariance\": " ZEROS9
                                 ", \"linear_acceleration\": {\"x\": 0.0, \"y\": 0.0, "
                                 "\"z\": 0.0}, \"linear_acceleration_covariance\": " ZEROS9 "}");
        expect_echo("joints", "{\"header\": {\"stamp\": {\"sec\": 0, \"nanosec\": 0}, "
                              "\"frame_id\": \"\"}, \"name\": [\"hip\", \"knee\"], "
                              "\"position\": [1.0, 2.0], \"velocity\": [0.0, 0.0], "
                              "\"effort\": [3.0, 4.0]}");
        expect_echo("range", "{\"header\": {\"stamp\": {\"sec\": 6, \"nanosec\": 0}, "
                             "\"frame_id\": \"us\"}, \"radiation_type\": 1, "
                             "\"field_of_view\": 0.0, \"min_range\": 0.0, \"max_range\": 0.0, "
                             "\"range\": 0.25, \"variance\": 0.0}");
}

static int publish_bounded(void *argument) {
        struct messages_status_publisher pub;
        struct messages_Status status;
        struct slipring_error error;

        assert_int_equal(messages_status_publisher_open(&pub, NULL, &error), 0);
        /* Nobody is to see what is behind the ends, and what is too long ends at the bound. */
        memset(&status, 'z', sizeof(status));
        status.values.length = 1;
        status.values.elements[0] = -0.5;
        status.tags.length = UINT32_MAX;
        strcpy(status.tags.elements[1], "in");
        status.times.length = 0;
        strcpy(status.words[0], "a\"b");
        strcpy(status.words[1], "\xc3\xa9");
        status.id = 1;
        status.last = 2;
        assert_int_equal(messages_status_publish(pub, &status), 0);
        messages_status_publisher_close(&pub);
        return 0;
}

static void test_bounded_reach_echo(void **state) {
        assert_int_equal(process_wait(process_start(publish_bounded, NULL)), 0);
        expect_echo("status", "{\"id\": 1, \"name\": \"zzzzzzzzzzzz\", \"values\": [-0.5], "
                              "\"tags\": [\"zzzzzz\", \"in\", \"zzzzzz\"], "
                              "\"words\": [\"a\\\"b\", \"\xc3\xa9\"], \"times\": [], "
                              "\"last\": 2}");
}

static int publish_fix(void *argument) {
        struct messages_fix_publisher pub;
        struct messages_Fix *fix = NULL, whole = {.latitude = 48.5, .position_covariance_type = 2};
        struct slipring_error error;

        assert_int_equal(messages_fix_publisher_open(&pub, NULL, &error), 0);
        assert_int_equal(messages_fix_publish(pub, &whole), 0);
        assert_int_equal(messages_fix_loan(pub, &fix), 0);
        memset(fix, 0, messages_Fix_type.payload_bytes);
        fix->longitude = 9.25;
        fix->position_covariance[8] = 4;
        fix->position_covariance_type = 3;
        assert_int_equal(messages_fix_commit(pub), 0);
        messages_fix_publisher_close(&pub);
        return 0;
}

/* A message whose struct is longer than it: published, loaned, taken, and seen in place. */
static void test_message_that_ends_before_its_struct(void **state) {
        const struct slipring_subscriber_options oldest = {.start = SLIPRING_START_OLDEST};
        struct messages_fix_subscriber sub;
        const struct messages_Fix *view = NULL;
        struct messages_Fix fix;
        struct slipring_sample sample;
        struct slipring_error error;

        assert_int_equal(messages_Fix_type.payload_bytes, 121);
        assert_int_equal(sizeof(fix), 128);
        assert_int_equal(process_wait(process_start(publish_fix, NULL)), 0);
        assert_int_equal(messages_fix_subscriber_open(&sub, &oldest, &error), 0);
        memset(&fix, 0xff, sizeof(fix));
        assert_int_equal(messages_fix_take(sub, &fix, &sample), 1);
        assert_int_equal(sample.payload_bytes, 121);
        assert_true(fix.latitude == 48.5);
        assert_string_equal(fix.header.frame_id, "gps");
        assert_int_equal(fix.position_covariance_type, 2);
        /* Not a byte behind the message. */
        assert_memory_equal((char *) &fix + 121, "\xff\xff\xff\xff\xff\xff\xff", 7);
        assert_int_equal(messages_fix_borrow(sub, &view, &sample), 1);
        assert_int_equal(sample.payload_bytes, 121);
        assert_string_equal(view->header.frame_id, "gps");
        assert_true(view->longitude == 9.25 && view->position_covariance[8] == 4);
        assert_int_equal(view->position_covariance_type, 3);
        assert_int_equal(messages_fix_release(sub), 0);
        messages_fix_subscriber_close(&sub);
        expect_echo("fix", "{\"header\": {\"stamp\": {\"sec\": 0, \"nanosec\": 0}, "
                           "\"frame_id\": \"gps\"}, \"status\": {\"status\": 0, \"service\": 0}, "
                           "\"latitude\": 0.0, \"longitude\": 9.25, \"altitude\": 0.0, "
                           "\"position_covariance\": [0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, "
                           "4.0], \"position_covariance_type\": 3}");
}

/*
 * What echo prints, pub takes
 */

static void expect_back(const char *topic, const char *message, const char *part) {
        char *first, *second;

        pub(topic, message);
        first = echo(topic);
        assert_non_null(strstr(first, part));
        pub(topic, first);
        second = echo(topic);
        assert_string_equal(first, second);
        free(first);
        free(second);
}

static void test_what_echo_prints_pub_takes(void **state) {
        expect_back("imu/front", "{orientation: {x: 0.1}}", "\"frame_id\": \"imu_link\"");
        expect_back("scan", "{ranges: [1, 2, 3]}", "\"ranges\": [1.0, 2.0, 3.0, 0.0, ");
        expect_back("scan", "{intensities: []}", "0.0], \"intensities\": []}");
        expect_back("joints", "{effort: [7]}", "\"name\": [\"hip\", \"knee\"]");
        expect_back("cloud", "{fields: [{offset: 8}]}", "{\"name\": \"x\", \"offset\": 8");
        expect_back("grid", "{poses: [{}, {pose: {position: {y: 2}}}]}", "\"y\": 2.0");
        expect_back("fix", "{status: {status: -1, service: 3}}", "\"status\": -1");
        expect_back("range", "{max_range: 4}", "\"frame_id\": \"us\"");
        expect_back("battery", "{present: true, cell_voltage: [3.5, 3.75]}",
                    "\"cell_voltage\": [3.5, 3.75, 0.0]");
        expect_back("battery", "{}", "\"location\": \"\\\"\", \"serial_number\": \"\\\\7\"");
        expect_back("nothing", "{}", "{}");
        expect_back("gripper", "{name: [left], effort: [2]}",
                    "\"name\": [\"left\"], \"position\": [], \"velocity\": [], "
                    "\"effort\": [2.0]");
        expect_back("plan", "{poses: [{}, {pose: {position: {y: 2}}}]}",
                    "\"frame_id\": \"odom\"}, \"pose\": {\"position\": {\"x\": 0.0, \"y\": 2.0");
        expect_back("status", "{name: \"\\\"\", times: [{sec: 1}]}", "\"name\": \"\\\"\"");
}

static void expect_refusal(const char *topic, const char *message, const char *why) {
        struct command command;

        command_run(&command, "pub", "-q", "--once", topic, message);
        command_expect_code(&command, 2);
        command_expect_err_has(&command, why);
        command_free(&command);
}

static void test_bounds_are_told(void **state) {
        expect_refusal("status", "{name: 0123456789012}",
                       "field 'name': '0123456789012' has 13 bytes, the field 12");
        expect_refusal("status", "{values: [1, 2, 3, 4, 5, 6]}",
                       "field 'values': more than its 5 elements");
        expect_refusal("status", "{tags: [seven77]}", "field 'tags[0]': 'seven77' has 7 bytes");
        expect_refusal("status", "{values: 1}",
                       "field 'values': expected a list of up to 5 elements");
        expect_refusal("status", "{name: [a]}", "field 'name': expected a text of up to 12 bytes");
        expect_refusal("status", "{times: [{nanosec: 1000000000}]}", "field 'times[0]': nanosec");
        expect_refusal("gripper", "{name: [a, b, c, d, e]}", "field 'name': more than its 4");
}

static void test_constants_are_not_anybodys_to_change(void **state) {
        expect_refusal("imu/front", "{header: {frame_id: other}}",
                       "field 'header.frame_id': always 'imu_link' on this topic");
        expect_refusal("joints", "{name: [hip, hip]}", "always 'knee' on this topic");
        expect_refusal("joints", "{position: [1, 2, 3]}", "field 'position': more than its 2");
        expect_refusal("scan", "{intensities: [1]}",
                       "field 'intensities': more than its 0 elements");
        expect_refusal("scan", "{intensities: 1}",
                       "field 'intensities': expected a list of up to 0 elements");
}

/* The hash that ROS 2 publishes; it comes out of the type's text, which the topic's header has. */
static void test_info_tells_the_type_hash(void **state) {
        static const char hash[] =
                "RIHS01_7d9a00ff131080897a5ec7e26e315954b8eae3353c3f995c55faf71574000b5b";
        struct command command;

        command_run(&command, "info", "imu/front");
        command_expect_code(&command, 0);
        command_expect_out_has(&command, "Type: sensor_msgs/msg/Imu\nType hash: ");
        command_expect_out_has(&command, hash);
        command_free(&command);
        command_run(&command, "info", "--json", "imu/front");
        command_expect_code(&command, 0);
        command_expect_json(&command, false);
        command_expect_out_has(&command, "\"type_hash\": \"");
        command_expect_out_has(&command, hash);
        command_free(&command);
}

/*
 * Another value is another type
 */

static void test_other_constant_is_another_type(void **state) {
        struct messages_imu_front_subscriber sub;
        struct messages_imu_front_publisher pub_before, pub_after;
        struct messages_ImuFront imu = {0};
        struct slipring_error error = {0};
        char *text = topics_read(), *frame;

        assert_int_equal(messages_imu_front_publisher_open(&pub_before, NULL, &error), 0);
        frame = strstr(text, IMU_FRAME);
        assert_non_null(frame);
        memcpy(frame, OTHER_FRAME, strlen(OTHER_FRAME));
        daemon_schema(&bus, text);
        free(text);
        daemon_signal(&bus, SIGHUP);
        daemon_expect(&bus, "imu/front: replaced");
        daemon_expect(&bus, "reloaded");
        assert_int_equal(messages_imu_front_publish(pub_before, &imu), -EIDRM);
        assert_int_equal(messages_imu_front_publisher_move(pub_before, 0, &error), -EPROTOTYPE);
        assert_non_null(strstr(error.text, "header.frame_id"));
        messages_imu_front_publisher_close(&pub_before);
        assert_int_equal(messages_imu_front_publisher_open(&pub_after, NULL, &error), -EPROTOTYPE);
        assert_int_equal(messages_imu_front_subscriber_open(&sub, NULL, &error), -EPROTOTYPE);
        assert_non_null(strstr(error.text, "header.frame_id"));
        pub("imu/front", "{}");
        {
                char *message = echo("imu/front");

                assert_non_null(strstr(message, "\"frame_id\": \"imu_back\""));
                free(message);
        }
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(test_pub_reaches_a_generated_subscriber, setup,
                                                teardown),
                cmocka_unit_test_setup_teardown(test_lengths_stand_before_sequences, setup,
                                                teardown),
                cmocka_unit_test_setup_teardown(test_arrays_of_messages, setup, teardown),
                cmocka_unit_test_setup_teardown(test_bounded_reach_a_generated_subscriber, setup,
                                                teardown),
                cmocka_unit_test_setup_teardown(test_bounded_reach_echo, setup, teardown),
                cmocka_unit_test_setup_teardown(test_bounds_are_told, setup, teardown),
                cmocka_unit_test_setup_teardown(test_generated_publisher_reaches_echo, setup,
                                                teardown),
                cmocka_unit_test_setup_teardown(test_message_that_ends_before_its_struct, setup,
                                                teardown),
                cmocka_unit_test_setup_teardown(test_what_echo_prints_pub_takes, setup, teardown),
                cmocka_unit_test_setup_teardown(test_constants_are_not_anybodys_to_change, setup,
                                                teardown),
                cmocka_unit_test_setup_teardown(test_info_tells_the_type_hash, setup, teardown),
                cmocka_unit_test_setup_teardown(test_other_constant_is_another_type, setup,
                                                teardown),
        };

        (void) ipc_private(false);
        return cmocka_run_group_tests(tests, NULL, NULL);
}
