/*
 * docs/segment-layout.md is enough to read a topic: Python's ctypes, which has none of our code,
 * reads a live one by it.
 */

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/shm.h>
#include <time.h>
#include <unistd.h>

#include <slipring/publisher.h>

#include "tests/harness/harness.h"

/* A struct in an array in a struct, padding, and every width. */
struct wheel {
        float speed;
        int16_t steps;
        uint8_t pad1[2];
};

struct odometry {
        struct slipring_time stamp;
        double position[2];
        struct wheel wheels[2];
        int64_t ticks;
        uint8_t moving;
        int8_t gear;
        uint8_t pad0[2];
        uint32_t frame_length;
        char frame[4];
        struct {
                uint32_t length;
                uint16_t elements[2];
        } few;
        char label[4];
};

static const struct slipring_field fields[] = {
        {"stamp", "", SLIPRING_KIND_TIME, 0, 0, 8, 0, 0},
        {"position", "m", SLIPRING_KIND_FLOAT64, 2, 8, 8, 0, 0},
        {"wheels", "", SLIPRING_KIND_STRUCT, 2, 24, 8, 11, 3},
        {"ticks", "", SLIPRING_KIND_INT64, 0, 40, 8, 0, 0},
        {"moving", "", SLIPRING_KIND_BOOL, 0, 48, 1, 0, 0},
        {"gear", "", SLIPRING_KIND_INT8, 0, 49, 1, 0, 0},
        {"pad0", "", SLIPRING_KIND_UINT8, 2, 50, 1, 0, 0},
        {"frame", "", SLIPRING_KIND_LENGTH, 0, 52, 4, 4, 0},
        {"frame", "map", SLIPRING_KIND_STRING, 4, 56, 1, 0, 0},
        {"few", "", SLIPRING_KIND_SEQUENCE, 0, 60, 8, 14, 2},
        {"label", "", SLIPRING_KIND_TEXT, 0, 68, 4, 0, 0},
        {"speed", "m/s", SLIPRING_KIND_FLOAT32, 0, 0, 4, 0, 0},
        {"steps", "", SLIPRING_KIND_INT16, 0, 4, 2, 0, 0},
        {"pad1", "", SLIPRING_KIND_UINT8, 2, 6, 1, 0, 0},
        {"length", "", SLIPRING_KIND_UINT32, 0, 0, 4, 0, 0},
        {"elements", "", SLIPRING_KIND_UINT16, 2, 4, 2, 0, 0},
};

static const struct slipring_type odometry_type = {
        .version = SLIPRING_TYPE_VERSION,
        .payload_bytes = sizeof(struct odometry),
        .field_count = sizeof(fields) / sizeof(fields[0]),
        .root_count = 11,
        .identity = {3},
        .name = "test_msgs/msg/Odometry",
        .text = "builtin_interfaces/Time stamp\n",
        .fields = fields,
};

#define DEPTH 4u

static struct odometry odometry_make(int number) {
        return (struct odometry){
                .stamp = {number, 5},
                .position = {0.5 * number, -1},
                .wheels = {{0.25f, (int16_t) -number}, {-8, 300}},
                .ticks = INT64_C(-5000000000) * number,
                .moving = 1,
                .gear = -2,
                .few = {1, {7, 0}},
                .label = "ok",
        };
}

static void expect_line(FILE *out, int number, int missed) {
        char line[512], after[256];
        unsigned long long publish_time_ns;
        int at = 0, got = 0;

        assert_non_null(fgets(line, sizeof(line), out));
        assert_int_equal(sscanf(line, "%d at %llu ns,%n", &got, &publish_time_ns, &at), 2);
        assert_int_equal(got, number);
        assert_true(publish_time_ns > 0 && publish_time_ns <= slipring_now_ns());
        assert_true(snprintf(after, sizeof(after),
                             " source %d ns, missed %d: stamp=%d 5, position=%g -1 m, "
                             "wheels[0].speed=0.25 m/s, wheels[0].steps=%d, wheels[1].speed=-8 "
                             "m/s, wheels[1].steps=300, ticks=%lld, moving=1, gear=-2, "
                             "frame=map, few.length=1, few.elements=7 0, label=ok\n",
                             1000 + number, missed, number, 0.5 * number, -number,
                             -5000000000LL * number) < (int) sizeof(after));
        assert_string_equal(line + at, after);
}

static FILE *reader_start(const struct bus *bus, const char *topic, int count) {
        char command[512];
        FILE *out;

        (void) snprintf(command, sizeof(command), "exec %s " READ_TOPIC " %u/%s %s %d 2>&1", PYTHON,
                        (unsigned) geteuid(), bus->name, topic, count);
        out = popen(command, "r");
        assert_non_null(out);
        return out;
}

static void publish(struct slipring_publisher *publisher, int number) {
        struct odometry odometry = odometry_make(number);

        assert_int_equal(slipring_publisher_publish(publisher, &odometry, sizeof(odometry),
                                                    (uint64_t) (1000 + number)),
                         0);
}

static int setup(void **state) {
        static struct bus bus;
        struct topic_spec spec = topic_of("odom/wheels", DEPTH);

        spec.type = &odometry_type;
        spec.rate_hz = 10;
        spec.deadline_ns = 300000000;
        bus_start(&bus, &spec, 1);
        *state = &bus;
        return 0;
}

static int teardown(void **state) {
        bus_stop(*state);
        return 0;
}

/* The ring holds four of seven; more come while it reads. */
static void test_python_reads_a_live_topic(void **state) {
        struct slipring_publisher *publisher = publisher_open("odom/wheels");
        int i;
        FILE *out;

        for (i = 1; i <= 7; i++) {
                publish(publisher, i);
        }
        out = reader_start(*state, "odom/wheels", 8);
        for (i = 4; i <= 7; i++) {
                expect_line(out, i, 0);
        }
        /* It has taken all there was and looks for more. */
        for (; i <= 11; i++) {
                publish(publisher, i);
                expect_line(out, i, 0);
        }
        assert_null(fgets((char[16]){0}, 16, out));
        assert_int_equal(pclose(out), 0);
        slipring_publisher_close(publisher);
}

/* A slot that is being written has an odd stamp: its message was overtaken, not torn. */
static void test_python_counts_an_overtaken_message(void **state) {
        struct slipring_publisher *publisher = publisher_open("odom/wheels");
        void *payload;
        FILE *out;
        int i;

        for (i = 1; i <= 4; i++) {
                publish(publisher, i);
        }
        assert_int_equal(slipring_publisher_loan(publisher, &payload), 0);
        memset(payload, 0xee, sizeof(struct odometry));
        out = reader_start(*state, "odom/wheels", 3);
        expect_line(out, 2, 1);
        expect_line(out, 3, 0);
        expect_line(out, 4, 0);
        assert_int_equal(pclose(out), 0);
        slipring_publisher_close(publisher);
}

static void expect_refusal(const struct bus *bus, const char *topic, const char *text) {
        FILE *out = reader_start(bus, topic, 1);
        char line[512] = "";

        assert_non_null(fgets(line, sizeof(line), out));
        if (!strstr(line, text)) {
                fail_msg("it said: %s", line);
        }
        assert_int_not_equal(pclose(out), 0);
}

static void test_python_refuses_what_it_cannot_believe(void **state) {
        const struct bus *bus = *state;
        const struct layout_entry *entry = registry_entry(bus->registry, 0);
        struct bus none = {.name = "there_is_none"};
        struct shmid_ds status;
        struct layout_header *header;

        expect_refusal(&none, "odom/wheels", "no segment has key");
        expect_refusal(bus, "odom/none", "has no topic");
        /* A header whose publisher changed it. */
        header = shmat(entry->data_id, NULL, 0);
        assert_true(header != (void *) -1);
        header->depth++;
        expect_refusal(bus, "odom/wheels", "not the one that the directory lists");
        header->depth = 0x10000000;
        expect_refusal(bus, "odom/wheels", "corrupt header");
        header->depth = DEPTH;
        assert_int_equal(shmdt(header), 0);
        /* Access that is looser than the directory says. */
        assert_int_equal(shmctl(entry->data_id, IPC_STAT, &status), 0);
        status.shm_perm.mode = 0666;
        assert_int_equal(shmctl(entry->data_id, IPC_SET, &status), 0);
        expect_refusal(bus, "odom/wheels", "mode is");
}

/* The page's own example. */
static void test_key_of_the_document(void **state) {
        assert_int_equal(directory_key(0, "rover"), 0x679e00e2);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(test_python_reads_a_live_topic, setup, teardown),
                cmocka_unit_test_setup_teardown(test_python_counts_an_overtaken_message, setup,
                                                teardown),
                cmocka_unit_test_setup_teardown(test_python_refuses_what_it_cannot_believe, setup,
                                                teardown),
                cmocka_unit_test(test_key_of_the_document),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
