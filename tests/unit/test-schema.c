/*
 * Loading: what a good file comes to, and how mistakes are shown.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "schema/buffer.h"
#include "schema/node.h"
#include "schema/schema.h"

static const struct schema_machine machine = {
        .segment_bytes_max = UINT64_C(2) << 30,
        .total_bytes_max = UINT64_C(6) << 30,
        .segments_max = 4096,
        .memory_bytes = UINT64_C(8) << 30,
};

static const struct schema_options as_root = {.user = 0, .machine = &machine};

#define HEAD                                                                                       \
        "slipring: 1\n"                                                                            \
        "bus: rover\n"                                                                             \
        "types:\n"                                                                                 \
        "  Vector3: {x: float64, y: float64, z: float64}\n"                                        \
        "topics:\n"

static int load(struct schema **ret_schema, struct diagnostics *diagnostics, const char *text) {
        return schema_load_text(ret_schema, "test.yaml", text, strlen(text), &as_root, diagnostics);
}

/* Loads a text that must be good and bring no warning. */
static struct schema *load_good(const char *text) {
        struct diagnostics diagnostics = {0};
        struct schema *schema = NULL;
        int r;

        r = load(&schema, &diagnostics, text);
        diagnostics_print(&diagnostics, stderr, false);
        assert_int_equal(r, 0);
        assert_int_equal(diagnostics.count, 0);
        diagnostics_clear(&diagnostics);
        return schema;
}

static void test_example_rover_loads(void **state) {
        struct diagnostics diagnostics = {0};
        struct schema *schema = NULL;

        assert_int_equal(schema_load(&schema, SOURCE_ROOT "/deploy/examples/rover.yaml", &as_root,
                                     &diagnostics),
                         0);
        assert_int_equal(diagnostics.count, 0);
        assert_string_equal(schema->bus, "rover");
        assert_string_equal(schema->package, "rover_msgs");
        assert_int_equal(schema->topic_count, 7);
        assert_string_equal(schema->topics[0].name, "imu/front");
        assert_string_equal(schema->topics[1].name, "imu/rear");
        assert_ptr_equal(schema->topics[0].type, schema->topics[1].type);
        assert_string_equal(schema->topics[0].type->name, "rover_msgs/msg/Imu");
        assert_int_equal(schema->topics[0].type->payload_bytes, 96);
        assert_int_equal(schema->topics[0].depth, 201);
        assert_true(schema->topics[0].rate_hz == 200.0);
        assert_int_equal(schema->topics[0].deadline_ns, 15000000);
        assert_string_equal(schema->topics[3].description, "main pack");
        assert_int_equal(schema->topics[3].deadline_ns, 500000000);
        assert_string_equal(schema->topics[4].type->name, "rover_msgs/msg/ArmJointStates");
        schema = schema_free(schema);
        assert_null(schema);
        diagnostics_clear(&diagnostics);
}

static void test_topic_without_anything_gets_defaults(void **state) {
        struct schema *schema = load_good(HEAD "  imu: {type: Vector3}\n");
        const struct schema_topic *topic = &schema->topics[0];

        assert_string_equal(schema->package, "rover");
        assert_string_equal(topic->type->name, "rover/msg/Vector3");
        assert_string_equal(topic->description, "");
        assert_int_equal(topic->line, 6);
        assert_int_equal(topic->depth, 8);
        assert_true(topic->rate_hz == 0.0);
        assert_int_equal(topic->deadline_ns, 0);
        assert_int_equal(topic->mode, 0640);
        assert_false(topic->has_owner);
        assert_false(topic->has_group);
        assert_int_equal(topic->owner, 0);
        assert_string_equal(topic->owner_name, "root");
        assert_int_equal(topic->group, 0);
        assert_string_equal(topic->group_name, "root");
        schema_free(schema);
}

static void test_defaults_hold_for_topics_that_say_nothing(void **state) {
        struct schema *schema = load_good(
                "slipring: 1\nbus: rover\npackage: msgs\n"
                "defaults: {depth: 3, owner: daemon, group: daemon, mode: \"0600\"}\n"
                "topics:\n"
                "  a: {fields: {x: uint8}}\n"
                "  b: {fields: {x: uint8}, depth: 65536, owner: root, group: root, mode: 0664}\n"
                "  c: {fields: {x: uint8}, rate: 10 Hz, history: 1 s}\n");
        const struct schema_topic *topics = schema->topics;

        assert_string_equal(topics[0].type->name, "msgs/msg/A");
        assert_int_equal(topics[0].depth, 3);
        assert_string_equal(topics[0].owner_name, "daemon");
        assert_string_equal(topics[0].group_name, "daemon");
        assert_int_equal(topics[0].owner, getpwnam("daemon")->pw_uid);
        assert_int_equal(topics[0].group, getgrnam("daemon")->gr_gid);
        assert_int_equal(topics[0].mode, 0600);
        assert_true(topics[0].has_owner && topics[0].has_group);
        assert_int_equal(topics[1].depth, 65536);
        assert_string_equal(topics[1].owner_name, "root");
        assert_int_equal(topics[1].mode, 0664);
        assert_int_equal(topics[2].depth, 11);
        schema_free(schema);
}

/* The default group is the primary group of whoever runs the manager, not of who asks. */
static void test_owner_is_who_runs_the_manager(void **state) {
        const struct passwd *daemon = getpwnam("daemon");
        const struct schema_options as_daemon = {.user = daemon->pw_uid, .machine = &machine};
        const struct schema_options as_nobody_known = {.user = 54321, .machine = &machine};
        const char *text = HEAD "  imu: {type: Vector3}\n";
        struct diagnostics diagnostics = {0};
        struct schema *schema = NULL;

        assert_int_equal(
                schema_load_text(&schema, "x", text, strlen(text), &as_daemon, &diagnostics), 0);
        assert_int_equal(schema->topics[0].owner, daemon->pw_uid);
        assert_int_equal(schema->topics[0].group, daemon->pw_gid);
        assert_string_equal(schema->topics[0].group_name, "daemon");
        schema = schema_free(schema);
        assert_int_equal(
                schema_load_text(&schema, "x", text, strlen(text), &as_nobody_known, &diagnostics),
                0);
        assert_int_equal(schema->topics[0].owner, 54321);
        assert_string_equal(schema->topics[0].owner_name, "54321");
        assert_int_equal(schema->topics[0].group, getegid());
        schema_free(schema);
        diagnostics_clear(&diagnostics);
}

static void test_pins_take_slots_and_a_segment(void **state) {
        struct schema *plain, *pinned;

        plain = load_good(HEAD "  a: {type: Vector3, depth: 10}\n  b: {type: Vector3, pins: 0}\n");
        pinned = load_good(HEAD "  a: {type: Vector3, depth: 4, pins: 5}\n"
                                "  b: {type: Vector3, depth: 767, pins: 256}\n");
        assert_int_equal(plain->topics[1].pins, 0);
        assert_int_equal(pinned->topics[0].pins, 5);
        assert_int_equal(pinned->topics[1].pins, 256);
        /* 4 + 5 + 1 slots, and in the same page four places. */
        assert_int_equal(pinned->topics[0].segment_bytes, plain->topics[0].segment_bytes);
        /* Two topics, a board, the directory; and a segment a topic for the lines. */
        assert_int_equal(plain->segment_count, 4);
        assert_int_equal(pinned->segment_count, 6);
        assert_int_equal(pinned->total_bytes, pinned->topics[0].segment_bytes +
                                                      pinned->topics[1].segment_bytes + 4096 +
                                                      256 * 64);
        schema_free(plain);
        schema_free(pinned);
}

/* A shared topic has the same segment, and one more for its lock. */
static void test_publishers_are_exclusive_or_shared(void **state) {
        static const char *const ways[] = {"", ", publishers: exclusive", ", publishers: shared"};
        struct schema *schema;
        uint64_t bytes = 0;
        char text[256];

        for (size_t i = 0; i < 3; i++) {
                (void) snprintf(text, sizeof(text),
                                "slipring: 1\nbus: b\ntopics:\n"
                                "  a: {fields: {x: int8}%s}\n",
                                ways[i]);
                schema = load_good(text);
                assert_int_equal(schema->topics[0].shared, i == 2);
                /* The topic, its board, the directory. */
                assert_int_equal(schema->segment_count, i == 2 ? 4 : 3);
                assert_true(bytes == 0 || bytes == schema->topics[0].segment_bytes);
                bytes = schema->topics[0].segment_bytes;
                schema_free(schema);
        }
}

static void test_wake_is_direct_or_chain(void **state) {
        static const char *const ways[] = {"", ", wake: direct", ", wake: chain"};
        struct schema *schema;
        char text[256];

        for (size_t i = 0; i < 3; i++) {
                (void) snprintf(text, sizeof(text),
                                "slipring: 1\nbus: b\ntopics:\n"
                                "  a: {fields: {x: int8}%s}\n",
                                ways[i]);
                schema = load_good(text);
                assert_int_equal(schema->topics[0].chain, i == 2);
                schema_free(schema);
        }
}

/* A machine whose pool has three huge pages of 2 MiB. */
static struct schema *load_with_pool(const char *text, struct diagnostics *diagnostics) {
        struct schema_machine pool = machine;
        const struct schema_options options = {.user = 0, .machine = &pool};
        struct schema *schema = NULL;

        pool.huge_page_bytes = 2 << 20;
        pool.huge_pages_max = 3;
        assert_int_equal(
                schema_load_text(&schema, "pool", text, strlen(text), &options, diagnostics), 0);
        return schema;
}

static void test_huge_pages_are_no_try_or_yes(void **state) {
        static const char *const ways[] = {"", ", huge_pages: no", ", huge_pages: try",
                                           ", huge_pages: yes"};
        static const enum schema_wish wishes[] = {SCHEMA_NO, SCHEMA_NO, SCHEMA_TRY, SCHEMA_YES};
        struct diagnostics diagnostics = {0};
        struct schema *schema;
        char text[256];

        for (size_t i = 0; i < 4; i++) {
                (void) snprintf(text, sizeof(text),
                                "slipring: 1\nbus: b\ntopics:\n"
                                "  a: {fields: {x: \"uint8[1048576]\"}, depth: 2%s}\n",
                                ways[i]);
                schema = load_with_pool(text, &diagnostics);
                assert_int_equal(diagnostics.count, 0);
                assert_int_equal(schema->topics[0].huge_pages, wishes[i]);
                /* What the kernel is asked for does not change, only what it takes. */
                assert_int_equal(schema->topics[0].segment_bytes, (2 << 20) + 2 * 4096);
                assert_int_equal(schema->topics[0].huge_page_count, i < 2 ? 0 : 2);
                assert_int_equal(schema->total_bytes, i < 3 ? (2 << 20) + 2 * 4096 : 4 << 20);
                schema_free(schema);
        }
        diagnostics_clear(&diagnostics);
}

/* Said, but not refused: where the bus is to run, the pool may be larger. */
static void test_a_small_pool_is_a_warning(void **state) {
        static const char text[] =
                "slipring: 1\nbus: b\ntopics:\n"
                "  a: {fields: {x: \"uint8[1048576]\"}, depth: 2, huge_pages: yes}\n"
                "  b: {fields: {x: \"uint8[1048576]\"}, depth: 2, huge_pages: yes}\n"
                "  c: {fields: {x: \"uint8[1048576]\"}, depth: 2, huge_pages: try}\n";
        struct diagnostics diagnostics = {0};
        const struct schema_options options = {.user = 0, .machine = &machine};
        struct schema *schema;

        schema = load_with_pool(text, &diagnostics);
        assert_int_equal(diagnostics.count, 1);
        assert_int_equal(diagnostics.items[0].severity, DIAGNOSTIC_WARNING);
        assert_int_equal(diagnostics.items[0].line, 3);
        assert_string_equal(diagnostics.items[0].message,
                            "'huge_pages: yes' takes 4 huge pages of 2.0 MiB, and the pool of this "
                            "machine has 3: 'sysctl -w vm.nr_hugepages=4' before the bus starts");
        schema_free(schema);
        diagnostics_clear(&diagnostics);
        /* A kernel without. */
        assert_int_equal(
                schema_load_text(&schema, "none", text, strlen(text), &options, &diagnostics), 0);
        assert_int_equal(diagnostics.count, 1);
        assert_string_equal(diagnostics.items[0].message,
                            "topic 'a' has 'huge_pages: yes', and the kernel of this machine has "
                            "no huge pages");
        schema_free(schema);
        diagnostics_clear(&diagnostics);
}

static void test_lock_is_of_the_topic_or_the_bus(void **state) {
        struct schema *schema;

        schema = load_good("slipring: 1\nbus: b\ntopics: {a: {fields: {x: int8}}}\n");
        assert_int_equal(schema->topics[0].lock, SCHEMA_TRY);
        schema_free(schema);
        schema = load_good("slipring: 1\nbus: b\ndefaults: {lock: no}\ntopics:\n"
                           "  a: {fields: {x: int8}}\n"
                           "  b: {fields: {x: int8}, lock: yes}\n"
                           "  c: {fields: {x: int8}, lock: try}\n");
        assert_int_equal(schema->topics[0].lock, SCHEMA_NO);
        assert_int_equal(schema->topics[1].lock, SCHEMA_YES);
        assert_int_equal(schema->topics[2].lock, SCHEMA_TRY);
        schema_free(schema);
}

/* ceil(rate x history) + 1, exactly: 0.1 and 29.97 are no binary fractions. */
static void test_history_counts_slots_exactly(void **state) {
        static const struct {
                const char *rate, *history;
                uint32_t depth;
        } cases[] = {
                {"200 Hz", "1 s", 201},
                {"30 Hz", "0.1 s", 4},
                {"29.97 Hz", "1 s", 31},
                {"0.1 Hz", "10 s", 2},
                {"0.1 Hz", "10.000000001 s", 3},
                {"1 kHz", "65.535 s", 65536},
                {"1mHz", "2h", 9},
                {"50 Hz", "1 ns", 2},
        };

        for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
                struct schema *schema;
                char text[512];

                snprintf(text, sizeof(text), HEAD "  imu: {type: Vector3, rate: %s, history: %s}\n",
                         cases[i].rate, cases[i].history);
                schema = load_good(text);
                assert_int_equal(schema->topics[0].depth, cases[i].depth);
                schema_free(schema);
        }
}

static void test_deadline_is_three_periods_unless_given(void **state) {
        struct schema *schema = load_good(HEAD "  a: {type: Vector3, rate: 30 Hz}\n"
                                               "  b: {type: Vector3, deadline: 1.5 min}\n"
                                               "  c: {type: Vector3, rate: 1 Hz, deadline: 2s}\n");

        assert_int_equal(schema->topics[0].deadline_ns, 100000000);
        assert_int_equal(schema->topics[1].deadline_ns, UINT64_C(90000000000));
        assert_int_equal(schema->topics[2].deadline_ns, UINT64_C(2000000000));
        schema_free(schema);
}

/* Pages of header, publisher's words, slots of 64 bytes and the payload rounded up to 64. */
static void test_segment_bytes_add_up(void **state) {
        struct schema *schema =
                load_good(HEAD "  imu: {type: Vector3, depth: 1000}\n"
                               "  image: {fields: {rgb: \"uint8[921600]\"}, depth: 2}\n");

        assert_int_equal(schema->topics[0].segment_bytes, 4096 + 128 * 1024);
        assert_int_equal(schema->topics[1].segment_bytes,
                         4096 + (256 + 2 * 921664 + 4095) / 4096 * 4096);
        assert_int_equal(schema->total_bytes,
                         schema->topics[0].segment_bytes + schema->topics[1].segment_bytes);
        /* Two topics of one access class, and the directory. */
        assert_int_equal(schema->segment_count, 4);
        schema_free(schema);
}

static void test_all_mistakes_come_in_one_pass_in_the_order_of_the_file(void **state) {
        struct diagnostics diagnostics = {0};
        struct schema *schema = NULL;
        static const uint32_t lines[] = {2, 4, 4, 6, 7, 8, 8};

        assert_int_equal(load(&schema, &diagnostics,
                              "slipring: 1\n"
                              "bus: Rover\n"
                              "types:\n"
                              "  A: {x: flaot32, y: \"uint8[0]\"}\n"
                              "topics:\n"
                              "  a: {type: B}\n"
                              "  a: {type: A, depth: 1}\n"
                              "  c: {fields: {x: A}, rate: 5, depth: 1}\n"),
                         -EBADMSG);
        diagnostics_print(&diagnostics, stderr, false);
        assert_int_equal(diagnostics.count, 7);
        assert_int_equal(diagnostics.errors, 7);
        for (size_t i = 0; i < 7; i++) {
                assert_int_equal(diagnostics.items[i].line, lines[i]);
        }
        assert_null(schema);
        diagnostics_clear(&diagnostics);
}

static void print(const struct diagnostics *diagnostics, bool colour, char *text, size_t bytes) {
        FILE *out = fmemopen(text, bytes, "w");

        assert_non_null(out);
        diagnostics_print(diagnostics, out, colour);
        fclose(out);
}

static void test_diagnostic_shows_line_and_caret(void **state) {
        struct diagnostics diagnostics = {0};
        struct schema *schema = NULL;
        char text[1024] = "";

        /* The column counts characters, so that the caret stands where the eye sees it. */
        load(&schema, &diagnostics, HEAD "  imu: {description: \"22 \u00b0C\", type: Imu}\n");
        print(&diagnostics, false, text, sizeof(text));
        assert_string_equal(text, "test.yaml:6:37: error: there is no type 'Imu'\n"
                                  "      imu: {description: \"22 \u00b0C\", type: Imu}\n"
                                  "                                        ^\n");
        print(&diagnostics, true, text, sizeof(text));
        assert_non_null(strstr(text, "\033[1;31merror:"));
        diagnostics_clear(&diagnostics);
}

static void test_long_line_is_shown_around_the_caret(void **state) {
        struct diagnostics diagnostics = {0};
        struct schema *schema = NULL;
        struct buffer text = {0};

        buffer_print(&text, HEAD "  imu: {description: %0250d, type: Imu}\n", 0);
        load(&schema, &diagnostics, text.text);
        buffer_free(&text);
        assert_int_equal(diagnostics.count, 1);
        assert_true(strlen(diagnostics.items[0].source) <= 120);
        assert_memory_equal(diagnostics.items[0].source + diagnostics.items[0].caret, "Imu}", 4);
        diagnostics_clear(&diagnostics);
}

static void test_mistake_at_the_end_of_the_file_has_its_last_line(void **state) {
        struct diagnostics diagnostics = {0};
        struct schema *schema = NULL;
        char text[1024] = "";

        load(&schema, &diagnostics, "bus: b\n\u00e4xy");
        print(&diagnostics, false, text, sizeof(text));
        assert_string_equal(text, "test.yaml:2:4: error: not YAML: could not find expected ':' "
                                  "while scanning a simple "
                                  "key\n"
                                  "    \u00e4xy\n"
                                  "       ^\n");
        diagnostics_clear(&diagnostics);
}

static void test_escapes_do_not_reach_the_terminal(void **state) {
        struct diagnostics diagnostics = {0};
        struct schema *schema = NULL;

        load(&schema, &diagnostics, HEAD "  imu: {type: \"\\e[31m\\u202e\"}\n");
        assert_int_equal(diagnostics.count, 1);
        assert_string_equal(diagnostics.items[0].message, "there is no type '?[31m?'");
        diagnostics_clear(&diagnostics);
}

static void test_warnings_do_not_refuse_the_file(void **state) {
        struct diagnostics diagnostics = {0};
        struct schema *schema = NULL;

        assert_int_equal(load(&schema, &diagnostics,
                              HEAD "  a: {type: Vector3, rate: 10 Hz, deadline: 50 ms}\n"
                                   "  b: {fields: {s: {type: uint8, values: {OK: 0, FINE: 0}}}}\n"),
                         0);
        assert_non_null(schema);
        assert_int_equal(diagnostics.count, 2);
        assert_int_equal(diagnostics.errors, 0);
        assert_int_equal(diagnostics.items[0].severity, DIAGNOSTIC_WARNING);
        assert_int_equal(diagnostics.items[0].line, 6);
        assert_int_equal(diagnostics.items[1].line, 7);
        assert_string_equal(diagnostics.items[1].message,
                            "values 'OK' and 'FINE' are the same number");
        schema_free(schema);
        diagnostics_clear(&diagnostics);
}

/* A bus may have a message of ROS 2 as a type of its own; others then have reason to know it. */
static void test_a_package_of_ros_is_a_warning(void **state) {
        struct diagnostics diagnostics = {0};
        struct schema *schema = NULL;

        assert_int_equal(load(&schema, &diagnostics,
                              "slipring: 1\nbus: rover\npackage: geometry_msgs\n"
                              "types: {Vector3: {x: float64, y: float64, z: float64}}\n"
                              "topics:\n  a: {type: Vector3}\n"
                              "  b: {type: geometry_msgs/msg/Twist}\n"),
                         0);
        assert_int_equal(diagnostics.count, 1);
        assert_int_equal(diagnostics.items[0].severity, DIAGNOSTIC_WARNING);
        assert_int_equal(diagnostics.items[0].line, 3);
        assert_string_equal(diagnostics.items[0].message,
                            "package 'geometry_msgs' is one of ROS 2: programs that know it take "
                            "the types of this file for its messages");
        schema_free(schema);
        diagnostics_clear(&diagnostics);
        /* The same by the name of the bus would be the same. */
        assert_int_equal(load(&schema, &diagnostics,
                              "slipring: 1\nbus: nav_msgs\ntopics:\n  a: {fields: {x: uint8}}\n"),
                         0);
        assert_int_equal(diagnostics.count, 1);
        schema_free(schema);
        diagnostics_clear(&diagnostics);
        schema = load_good("slipring: 1\nbus: nav\ntopics:\n  a: {fields: {x: uint8}}\n");
        schema_free(schema);
}

static void test_byte_order_mark_and_carriage_returns_are_fine(void **state) {
        struct schema *schema = load_good("\xef\xbb\xbfslipring: 1\r\nbus: rover\r\ntopics:\r\n"
                                          "  imu:\r\n    fields:\r\n      x: uint8\r\n");

        assert_int_equal(schema->topics[0].line, 4);
        schema_free(schema);
}

static struct buffer many_topics(unsigned count) {
        struct buffer text = {0};

        buffer_print(&text, HEAD);
        for (unsigned i = 0; i < count; i++) {
                buffer_print(&text, "  t%u: {type: Vector3}\n", i);
        }
        return text;
}

static void test_a_bus_has_at_most_2000_topics(void **state) {
        struct diagnostics diagnostics = {0};
        struct schema *schema = NULL;
        struct buffer text = many_topics(2000);

        schema = load_good(text.text);
        assert_int_equal(schema->topic_count, 2000);
        schema = schema_free(schema);
        buffer_free(&text);
        text = many_topics(2001);
        assert_int_equal(load(&schema, &diagnostics, text.text), -EBADMSG);
        assert_int_equal(diagnostics.count, 1);
        assert_string_equal(diagnostics.items[0].message,
                            "2001 topics are more than the 2000 that a bus can have");
        diagnostics_clear(&diagnostics);
        buffer_free(&text);
}

static void test_file_above_1_mib_is_refused(void **state) {
        struct diagnostics diagnostics = {0};
        struct schema *schema = NULL;
        struct buffer text = {0};

        buffer_print(&text, HEAD "  imu: {type: Vector3}\n");
        while (text.length <= NODE_FILE_BYTES_MAX) {
                buffer_print(&text, "# %1000d\n", 0);
        }
        assert_int_equal(load(&schema, &diagnostics, text.text), -EBADMSG);
        assert_int_equal(diagnostics.count, 1);
        assert_string_equal(diagnostics.items[0].message, "the file is larger than 1 MiB");
        buffer_free(&text);
        diagnostics_clear(&diagnostics);
        /* A file without end, too. */
        assert_int_equal(schema_load(&schema, "/dev/zero", &as_root, &diagnostics), -EBADMSG);
        assert_string_equal(diagnostics.items[0].message, "the file is larger than 1 MiB");
        diagnostics_clear(&diagnostics);
}

static void test_mistakes_above_100_are_counted_only(void **state) {
        struct diagnostics diagnostics = {0};
        struct schema *schema = NULL;
        struct buffer text = {0};

        buffer_print(&text, HEAD);
        for (unsigned i = 0; i < 150; i++) {
                buffer_print(&text, "  t%u: {type: Vector2}\n", i);
        }
        assert_int_equal(load(&schema, &diagnostics, text.text), -EBADMSG);
        assert_int_equal(diagnostics.count, 100);
        assert_int_equal(diagnostics.dropped, 50);
        assert_int_equal(diagnostics.errors, 150);
        buffer_free(&text);
        diagnostics_clear(&diagnostics);
}

/* Unfolding is what a small file can ask too much of: 1,999 types of 60,000 fields each. */
static void test_fields_of_all_topics_together_are_bounded(void **state) {
        struct diagnostics diagnostics = {0};
        struct schema *schema = NULL;
        struct buffer text = {0};

        buffer_print(&text, "slipring: 1\nbus: rover\ntypes:\n  A:\n");
        for (unsigned i = 0; i < 250; i++) {
                buffer_print(&text, "    x%u: uint8\n", i);
        }
        buffer_print(&text, "  B:\n");
        for (unsigned i = 0; i < 240; i++) {
                buffer_print(&text, "    x%u: A\n", i);
        }
        buffer_print(&text, "topics:\n");
        for (unsigned i = 0; i < 1999; i++) {
                buffer_print(&text, "  t%u: {fields: {x: B}, depth: 2}\n", i);
        }
        assert_int_equal(load(&schema, &diagnostics, text.text), -EBADMSG);
        assert_int_equal(diagnostics.count, 1);
        assert_string_equal(
                diagnostics.items[0].message,
                "the types of the topics up to 't16' have more fields together than a bus "
                "can describe");
        buffer_free(&text);
        diagnostics_clear(&diagnostics);
}

static void test_file_that_cannot_be_read_says_so(void **state) {
        struct diagnostics diagnostics = {0};
        struct schema *schema = NULL;
        char text[256] = "";

        assert_int_equal(schema_load(&schema, "/no/such/file", &as_root, &diagnostics), -ENOENT);
        print(&diagnostics, false, text, sizeof(text));
        assert_string_equal(text,
                            "/no/such/file: error: cannot be read: No such file or directory\n");
        diagnostics_clear(&diagnostics);
        assert_int_equal(schema_load(&schema, "/", &as_root, &diagnostics), -EISDIR);
        diagnostics_clear(&diagnostics);
}

static void test_machine_limits_are_read(void **state) {
        struct schema_machine here;

        schema_machine_read(&here);
        assert_true(here.memory_bytes > 1024 * 1024 && here.memory_bytes < UINT64_MAX);
        assert_true(here.segments_max > 0 && here.segments_max < UINT64_MAX);
        assert_true(here.segment_bytes_max > 0);
        assert_true(here.total_bytes_max > 0);
        /* A power of two, where the kernel has huge pages at all. */
        assert_int_equal(here.huge_page_bytes & (here.huge_page_bytes - 1), 0);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_example_rover_loads),
                cmocka_unit_test(test_topic_without_anything_gets_defaults),
                cmocka_unit_test(test_defaults_hold_for_topics_that_say_nothing),
                cmocka_unit_test(test_owner_is_who_runs_the_manager),
                cmocka_unit_test(test_publishers_are_exclusive_or_shared),
                cmocka_unit_test(test_wake_is_direct_or_chain),
                cmocka_unit_test(test_huge_pages_are_no_try_or_yes),
                cmocka_unit_test(test_a_small_pool_is_a_warning),
                cmocka_unit_test(test_lock_is_of_the_topic_or_the_bus),
                cmocka_unit_test(test_history_counts_slots_exactly),
                cmocka_unit_test(test_pins_take_slots_and_a_segment),
                cmocka_unit_test(test_deadline_is_three_periods_unless_given),
                cmocka_unit_test(test_segment_bytes_add_up),
                cmocka_unit_test(test_all_mistakes_come_in_one_pass_in_the_order_of_the_file),
                cmocka_unit_test(test_diagnostic_shows_line_and_caret),
                cmocka_unit_test(test_long_line_is_shown_around_the_caret),
                cmocka_unit_test(test_mistake_at_the_end_of_the_file_has_its_last_line),
                cmocka_unit_test(test_escapes_do_not_reach_the_terminal),
                cmocka_unit_test(test_warnings_do_not_refuse_the_file),
                cmocka_unit_test(test_a_package_of_ros_is_a_warning),
                cmocka_unit_test(test_byte_order_mark_and_carriage_returns_are_fine),
                cmocka_unit_test(test_a_bus_has_at_most_2000_topics),
                cmocka_unit_test(test_file_above_1_mib_is_refused),
                cmocka_unit_test(test_mistakes_above_100_are_counted_only),
                cmocka_unit_test(test_fields_of_all_topics_together_are_bounded),
                cmocka_unit_test(test_file_that_cannot_be_read_says_so),
                cmocka_unit_test(test_machine_limits_are_read),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
