/*
 * From YAML to a sample: the bus of deploy/examples/rover.yaml, and programs that know it by the
 * generated header.
 */

#include "tests/harness/harness.h"

#include <errno.h>
#include <string.h>

#include "rover.h"
#include "schema/schema.h"

static struct schema *schema;
static struct bus bus;

static int setup(void **state) {
        struct diagnostics diagnostics = {0};
        struct topic_spec specs[16];

        assert_int_equal(schema_load(&schema, ROVER_YAML, NULL, &diagnostics), 0);
        assert_true(schema->topic_count <= 16);
        for (size_t i = 0; i < schema->topic_count; i++) {
                const struct schema_topic *topic = &schema->topics[i];

                specs[i] = topic_of(topic->name, topic->depth);
                specs[i].description = topic->description;
                specs[i].type = topic->type;
                specs[i].rate_hz = topic->rate_hz;
                specs[i].deadline_ns = topic->deadline_ns;
                specs[i].uid = topic->owner;
                specs[i].gid = topic->group;
                specs[i].mode = topic->mode;
        }
        bus_start(&bus, specs, schema->topic_count);
        diagnostics_clear(&diagnostics);
        return 0;
}

static int teardown(void **state) {
        bus_stop(&bus);
        schema = schema_free(schema);
        return 0;
}

static void test_typed_sample_arrives(void **state) {
        struct rover_imu_front_subscriber sub;
        struct rover_imu_front_publisher pub;
        struct rover_msgs_Imu imu = {.temperature = 21.5f}, taken = {0};
        struct slipring_sample sample = {0};
        struct slipring_error error = {0};

        assert_int_equal(rover_imu_front_publisher_open(&pub, NULL, &error), 0);
        assert_int_equal(rover_imu_front_subscriber_open(&sub, NULL, &error), 0);
        imu.acceleration.z = 9.81;
        imu.status = ROVER_MSGS_IMU_STATUS_SATURATED;
        assert_int_equal(rover_imu_front_take(sub, &taken, NULL), 0);
        assert_int_equal(rover_imu_front_publish_at(pub, &imu, 77), 0);
        assert_int_equal(rover_imu_front_wait(sub, slipring_in_ms(5000)), 0);
        assert_int_equal(rover_imu_front_take(sub, &taken, &sample), 1);
        assert_memory_equal(&taken, &imu, sizeof(imu));
        assert_int_equal(sample.sequence, 1);
        assert_int_equal(sample.source_time_ns, 77);
        assert_int_equal(sample.payload_bytes, sizeof(imu));
        rover_imu_front_subscriber_close(&sub);
        rover_imu_front_publisher_close(&pub);
        assert_null(pub.handle);
}

static void test_image_is_written_and_read_in_place(void **state) {
        struct rover_camera_front_subscriber sub;
        struct rover_camera_front_publisher pub;
        struct rover_msgs_CameraFront *image = NULL;
        const struct rover_msgs_CameraFront *view = NULL;
        struct slipring_sample sample = {0};

        assert_int_equal(rover_camera_front_publisher_open(&pub, NULL, NULL), 0);
        assert_int_equal(rover_camera_front_subscriber_open(&sub, NULL, NULL), 0);
        assert_int_equal(rover_camera_front_loan(pub, &image), 0);
        memset(image, 0, sizeof(*image));
        image->rgb[sizeof(image->rgb) - 1] = 42;
        assert_int_equal(rover_camera_front_commit(pub), 0);
        assert_int_equal(rover_camera_front_borrow_newest(sub, &view, &sample), 1);
        assert_ptr_equal(view, sample.payload);
        assert_int_equal(view->rgb[sizeof(view->rgb) - 1], 42);
        assert_int_equal(rover_camera_front_release(sub), 0);
        assert_int_equal(rover_camera_front_borrow(sub, &view, NULL), 0);
        rover_camera_front_publisher_close(&pub);
        rover_camera_front_subscriber_close(&sub);
}

/* The two IMUs have one type and are two topics nevertheless. */
static void test_topics_of_one_type_do_not_mix(void **state) {
        struct rover_imu_front_publisher front;
        struct rover_imu_rear_subscriber rear;
        struct rover_msgs_Imu imu = {0};

        assert_int_equal(rover_imu_front_publisher_open(&front, NULL, NULL), 0);
        assert_int_equal(rover_imu_rear_subscriber_open(&rear, NULL, NULL), 0);
        assert_int_equal(rover_imu_front_publish(front, &imu), 0);
        assert_int_equal(rover_imu_rear_take_newest(rear, &imu, NULL), 0);
        rover_imu_rear_subscriber_close(&rear);
        rover_imu_front_publisher_close(&front);
}

/* A program that was compiled against another battery is told which field differs. */
static void test_other_type_is_refused_by_name(void **state) {
        struct slipring_publisher_options options = {.size = sizeof(options),
                                                     .type = &rover_msgs_Imu_type};
        struct slipring_publisher *publisher = NULL;
        struct slipring_error error = {0};

        assert_int_equal(slipring_publisher_open(&publisher, rover_battery_topic, &options, &error),
                         -EPROTOTYPE);
        assert_null(publisher);
        assert_true(strlen(error.text) > 0);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_typed_sample_arrives),
                cmocka_unit_test(test_image_is_written_and_read_in_place),
                cmocka_unit_test(test_topics_of_one_type_do_not_mix),
                cmocka_unit_test(test_other_type_is_refused_by_name),
        };

        return cmocka_run_group_tests(tests, setup, teardown);
}
