/*
 * Layout, field tree and text of types.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "schema/definition.h"
#include "schema/schema.h"

static const struct schema_machine machine = {
        .segment_bytes_max = UINT64_MAX,
        .total_bytes_max = UINT64_MAX,
        .segments_max = UINT64_MAX,
        .memory_bytes = UINT64_MAX,
};

static struct schema *load(const char *text) {
        const struct schema_options options = {.user = 0, .machine = &machine};
        struct diagnostics diagnostics = {0};
        struct schema *schema = NULL;
        char whole[8192];
        int r;

        snprintf(whole, sizeof(whole), "slipring: 1\nbus: b\npackage: p\n%s", text);
        r = schema_load_text(&schema, "test", whole, strlen(whole), &options, &diagnostics);
        diagnostics_print(&diagnostics, stderr, false);
        diagnostics_clear(&diagnostics);
        assert_int_equal(r, 0);
        return schema;
}

/* What slipring_field promises, for any type. */
static void check_tree(const struct slipring_type *type) {
        uint32_t next = type->root_count;

        assert_int_equal(type->version, SLIPRING_TYPE_VERSION);
        for (uint32_t i = 0; i < type->field_count; i++) {
                const struct slipring_field *field = &type->fields[i];
                uint32_t bytes = 0;

                if (field->kind == SLIPRING_KIND_LENGTH || field->kind == SLIPRING_KIND_STRING) {
                        assert_int_equal(field->child_count, 0);
                        continue;
                }
                if (field->kind != SLIPRING_KIND_STRUCT && field->kind != SLIPRING_KIND_LIST &&
                    field->kind != SLIPRING_KIND_SEQUENCE) {
                        assert_int_equal(field->first_child, 0);
                        assert_int_equal(field->child_count, 0);
                        continue;
                }
                assert_int_equal(field->first_child, next);
                assert_true(field->child_count > 0);
                for (uint32_t j = 0; j < field->child_count; j++) {
                        const struct slipring_field *child = &type->fields[next + j];

                        assert_int_equal(child->offset_bytes, bytes);
                        bytes += child->element_bytes * (child->count ? child->count : 1);
                }
                assert_int_equal(bytes, field->element_bytes);
                next += field->child_count;
        }
        assert_int_equal(next, type->field_count);
}

static void check_field(const struct slipring_field *field,
                        const char *name,
                        uint32_t kind,
                        uint32_t count,
                        uint32_t offset,
                        uint32_t bytes) {
        assert_string_equal(field->name, name);
        assert_int_equal(field->kind, kind);
        assert_int_equal(field->count, count);
        assert_int_equal(field->offset_bytes, offset);
        assert_int_equal(field->element_bytes, bytes);
}

static void test_gaps_become_fields(void **state) {
        struct schema *schema = load("topics:\n"
                                     "  t:\n"
                                     "    fields:\n"
                                     "      a: uint8\n"
                                     "      b: float64\n"
                                     "      c: uint16\n"
                                     "      d: uint32\n"
                                     "      e: bool\n");
        const struct slipring_type *type = schema->topics[0].type;

        check_tree(type);
        assert_int_equal(type->payload_bytes, 32);
        assert_int_equal(type->root_count, 8);
        check_field(&type->fields[0], "a", SLIPRING_KIND_UINT8, 0, 0, 1);
        check_field(&type->fields[1], "pad0", SLIPRING_KIND_UINT8, 7, 1, 1);
        check_field(&type->fields[2], "b", SLIPRING_KIND_FLOAT64, 0, 8, 8);
        check_field(&type->fields[3], "c", SLIPRING_KIND_UINT16, 0, 16, 2);
        check_field(&type->fields[4], "pad1", SLIPRING_KIND_UINT8, 2, 18, 1);
        check_field(&type->fields[5], "d", SLIPRING_KIND_UINT32, 0, 20, 4);
        check_field(&type->fields[6], "e", SLIPRING_KIND_BOOL, 0, 24, 1);
        check_field(&type->fields[7], "pad2", SLIPRING_KIND_UINT8, 7, 25, 1);
        schema_free(schema);
}

/* time is two 4-byte words: aligned to 4, also where 8 bytes follow each other. */
static void test_time_is_aligned_to_four(void **state) {
        struct schema *schema = load("topics:\n"
                                     "  t: {fields: {a: uint32, b: time, c: \"duration[2]\"}}\n");
        const struct slipring_type *type = schema->topics[0].type;

        assert_int_equal(type->payload_bytes, 28);
        check_field(&type->fields[1], "b", SLIPRING_KIND_TIME, 0, 4, 8);
        check_field(&type->fields[2], "c", SLIPRING_KIND_DURATION, 2, 12, 8);
        schema_free(schema);
}

/* The case in which CDR and C would part: a struct that C aligns and CDR does not. */
static void test_nested_structs_start_and_end_aligned(void **state) {
        struct schema *schema = load("types:\n"
                                     "  In: {a: uint8, b: float64, c: uint8}\n"
                                     "topics:\n"
                                     "  t: {fields: {x: uint8, in: \"In[2]\", y: uint8}}\n");
        const struct slipring_type *type = schema->topics[0].type;

        check_tree(type);
        assert_int_equal(type->payload_bytes, 64);
        assert_int_equal(type->root_count, 5);
        assert_int_equal(type->field_count, 10);
        check_field(&type->fields[1], "pad0", SLIPRING_KIND_UINT8, 7, 1, 1);
        check_field(&type->fields[2], "in", SLIPRING_KIND_STRUCT, 2, 8, 24);
        check_field(&type->fields[3], "y", SLIPRING_KIND_UINT8, 0, 56, 1);
        check_field(&type->fields[4], "pad1", SLIPRING_KIND_UINT8, 7, 57, 1);
        check_field(&type->fields[6], "pad0", SLIPRING_KIND_UINT8, 7, 1, 1);
        check_field(&type->fields[9], "pad1", SLIPRING_KIND_UINT8, 7, 17, 1);
        schema_free(schema);
}

static void test_tree_is_breadth_first(void **state) {
        struct schema *schema = load("types:\n"
                                     "  Leaf: {v: uint8}\n"
                                     "  Node: {l: Leaf, r: Leaf}\n"
                                     "topics:\n"
                                     "  t: {fields: {a: Node, b: uint8, c: \"Leaf[3]\"}}\n");
        static const char *const names[] = {"a", "b", "c", "l", "r", "v", "v", "v"};
        const struct slipring_type *type = schema->topics[0].type;

        check_tree(type);
        assert_int_equal(type->field_count, 8);
        for (size_t i = 0; i < 8; i++) {
                assert_string_equal(type->fields[i].name, names[i]);
        }
        assert_int_equal(type->fields[0].first_child, 3);
        assert_int_equal(type->fields[2].first_child, 5);
        assert_int_equal(type->fields[3].first_child, 6);
        schema_free(schema);
}

static void test_text_names_each_type_once_depth_first(void **state) {
        struct schema *schema =
                load("types:\n"
                     "  C: {t: time, d: duration}\n"
                     "  A: {c: C, v: {type: int8, unit: m, values: {LOW: -1, HIGH: 0x7f}}}\n"
                     "  B: {c: \"C[2]\", a: A}\n"
                     "topics:\n"
                     "  x/y_z: {fields: {b: B, a: \"A[3]\", ok: bool, f: \"float32[9]\"}}\n");

        assert_string_equal(schema->topics[0].type->name, "p/msg/XYZ");
        assert_string_equal(
                schema->topics[0].type->text,
                "p/B b\n"
                "p/A[3] a\n"
                "bool ok\n"
                "uint8[3] pad0\n"
                "float32[9] f\n"
                "================================================================================\n"
                "MSG: p/B\n"
                "p/C[2] c\n"
                "p/A a\n"
                "================================================================================\n"
                "MSG: p/C\n"
                "builtin_interfaces/Time t\n"
                "builtin_interfaces/Duration d\n"
                "================================================================================\n"
                "MSG: builtin_interfaces/Time\n"
                "int32 sec\n"
                "uint32 nanosec\n"
                "================================================================================\n"
                "MSG: builtin_interfaces/Duration\n"
                "int32 sec\n"
                "uint32 nanosec\n"
                "================================================================================\n"
                "MSG: p/A\n"
                "p/C c\n"
                "int8 V_LOW=-1\n"
                "int8 V_HIGH=127\n"
                "int8 v\n"
                "uint8[3] pad0\n");
        schema_free(schema);
}

/* Whether two descriptions of the topic "t" come to one identity. */
static bool same_identity(const char *one, const char *other) {
        struct schema *a = load(one), *b = load(other);
        bool same = !memcmp(a->topics[0].type->identity, b->topics[0].type->identity, 32);

        schema_free(a);
        schema_free(b);
        return same;
}

#define TOPIC(fields) "topics:\n  t: {fields: {" fields "}}\n"

static void test_identity_is_what_the_bytes_mean(void **state) {
        const char *base = TOPIC("x: {type: float32, unit: m}, y: uint8");

        assert_true(same_identity(base, base));
        assert_true(same_identity(
                base,
                "topics:\n  t: {rate: 1 Hz, depth: 3, mode: \"0600\", description: d, fields: {x: "
                "{type: float32, unit: m, range: [0, 1], description: d}, y: {type: uint8}}}\n"));
        assert_false(same_identity(base, TOPIC("x: {type: float32, unit: cm}, y: uint8")));
        assert_false(same_identity(base, TOPIC("x: float32, y: uint8")));
        assert_false(same_identity(base, TOPIC("x: {type: float32, unit: m}, z: uint8")));
        assert_false(same_identity(base, TOPIC("x: {type: float32, unit: m}, y: int8")));
        assert_false(same_identity(base, TOPIC("y: uint8, x: {type: float32, unit: m}")));
        assert_false(same_identity(
                base, TOPIC("x: {type: float32, unit: m}, y: {type: uint8, values: {OK: 0}}")));
        assert_false(same_identity(TOPIC("x: {type: uint8, values: {OK: 0}}"),
                                   TOPIC("x: {type: uint8, values: {OK: 1}}")));
        assert_false(same_identity(TOPIC("x: \"uint8[2]\""), TOPIC("x: \"uint8[3]\"")));
        assert_false(same_identity(TOPIC("x: uint8"), TOPIC("x: \"uint8[1]\"")));
        assert_false(same_identity("types: {A: {x: uint8}}\n" TOPIC("a: A"),
                                   "types: {A: {y: uint8}}\n" TOPIC("a: A")));
}

static void test_definitions_stand_behind_those_they_use(void **state) {
        struct schema *schema = load("types:\n"
                                     "  A: {b: B, c: C}\n"
                                     "  B: {c: C}\n"
                                     "  C: {x: uint8}\n"
                                     "topics:\n"
                                     "  t: {type: A}\n"
                                     "  u: {fields: {b: B}}\n");
        static const char *const names[] = {"C", "B", "A", "U"};

        assert_int_equal(schema->definition_count, 4);
        for (size_t i = 0; i < 4; i++) {
                assert_string_equal(schema->definitions[i]->name, names[i]);
        }
        /* Only what topics have is described. */
        assert_null(schema->definitions[0]->type);
        assert_non_null(schema->definitions[2]->type);
        schema_free(schema);
}

/* Messages of ROS 2, where CDR has them: offsets counted by hand. */
static void test_messages_of_ros_are_laid_out_as_cdr(void **state) {
        struct schema *schema = load("topics:\n"
                                     "  imu: {type: sensor_msgs/msg/Imu, "
                                     "const: {header.frame_id: imu_link}}\n"
                                     "  fix: {type: sensor_msgs/msg/NavSatFix, "
                                     "const: {header.frame_id: gps}}\n");
        const struct slipring_type *type = schema->topics[0].type;
        const struct slipring_field *fields = type->fields;

        check_tree(type);
        assert_string_equal(type->name, "sensor_msgs/msg/Imu");
        assert_int_equal(type->payload_bytes, 320);
        assert_int_equal(type->root_count, 7);
        check_field(&fields[0], "header", SLIPRING_KIND_STRUCT, 0, 0, 24);
        check_field(&fields[1], "orientation", SLIPRING_KIND_STRUCT, 0, 24, 32);
        check_field(&fields[2], "orientation_covariance", SLIPRING_KIND_FLOAT64, 9, 56, 8);
        check_field(&fields[3], "angular_velocity", SLIPRING_KIND_STRUCT, 0, 128, 24);
        check_field(&fields[6], "linear_acceleration_covariance", SLIPRING_KIND_FLOAT64, 9, 248, 8);
        check_field(&fields[7], "stamp", SLIPRING_KIND_TIME, 0, 0, 8);
        check_field(&fields[8], "frame_id", SLIPRING_KIND_LENGTH, 0, 8, 4);
        assert_int_equal(fields[8].first_child, 9);
        check_field(&fields[9], "frame_id", SLIPRING_KIND_STRING, 9, 12, 1);
        assert_string_equal(fields[9].unit, "imu_link");
        check_field(&fields[10], "pad0", SLIPRING_KIND_UINT8, 3, 21, 1);
        /* Padding is none of the message's own fields. */
        assert_null(strstr(type->text, "pad"));
        assert_memory_equal(type->text, "std_msgs/Header header\ngeometry_msgs/Quaternion ", 47);
        assert_non_null(strstr(type->text, "=\nMSG: builtin_interfaces/Time\nint32 sec\n"));

        /* The last byte of the message is its last number, whatever C adds to a struct. */
        type = schema->topics[1].type;
        check_tree(type);
        assert_int_equal(type->payload_bytes, 121);
        assert_non_null(strstr(type->text, "\nuint8 COVARIANCE_TYPE_UNKNOWN=0\n"));
        schema_free(schema);
}

static void test_sequences_are_arrays_or_lists(void **state) {
        static const char *const lengths = "lengths: {fields: 2, data: 8}";
        struct schema *schema;
        const struct slipring_field *fields;
        char text[1024];

        snprintf(text, sizeof(text),
                 "topics:\n"
                 "  equal: {type: sensor_msgs/msg/PointCloud2, "
                 "const: {header.frame_id: abc, fields.name: xyz}, %s}\n"
                 "  unequal: {type: sensor_msgs/msg/PointCloud2, "
                 "const: {header.frame_id: abc, fields.name: [x, intensity]}, %s}\n"
                 "  gaps: {type: sensor_msgs/msg/PointCloud2, "
                 "const: {header.frame_id: abc, fields.name: x}, %s}\n"
                 "  empty: {type: std_msgs/msg/Empty}\n",
                 lengths, lengths, lengths);
        schema = load(text);
        /* header 16, height and width 8, then the fields. */
        fields = schema->topics[0].type->fields;
        check_tree(schema->topics[0].type);
        check_field(&fields[3], "fields", SLIPRING_KIND_LENGTH, 0, 24, 4);
        assert_int_equal(fields[3].first_child, 2);
        check_field(&fields[4], "fields", SLIPRING_KIND_STRUCT, 2, 28, 20);

        fields = schema->topics[1].type->fields;
        check_tree(schema->topics[1].type);
        check_field(&fields[4], "fields", SLIPRING_KIND_LIST, 0, 28, 20 + 28);
        fields += fields[4].first_child;
        check_field(&fields[0], "0", SLIPRING_KIND_STRUCT, 0, 0, 20);
        check_field(&fields[1], "1", SLIPRING_KIND_STRUCT, 0, 20, 28);

        fields = schema->topics[2].type->fields;
        check_field(&fields[4], "fields", SLIPRING_KIND_STRUCT, 2, 28, 20);

        /* ROS 2 puts a byte into an empty message. */
        check_tree(schema->topics[3].type);
        assert_int_equal(schema->topics[3].type->payload_bytes, 1);
        assert_string_equal(schema->topics[3].type->text, "");
        schema_free(schema);
}

/* Laid out as C does it, whatever CDR says; the generated headers assert the same. */
static void test_bounded_fields_have_room(void **state) {
        struct schema *schema;
        const struct slipring_field *fields;

        schema =
                load("types:\n"
                     "  Flat: {x: float32, y: float64}\n"
                     "topics:\n"
                     "  own: {fields: {id: uint8, name: \"string<=7[2]\", few: \"Flat[<=3]\", "
                     "flags: \"uint8[<=5]\"}}\n"
                     "  flat: {type: Flat}\n"
                     "  points: {type: sensor_msgs/msg/PointCloud2, const: {header.frame_id: abc}, "
                     "lengths: {data: 0}, bounds: {fields: 2, fields.name: 4}}\n");
        fields = schema->topics[0].type->fields;
        check_tree(schema->topics[0].type);
        check_field(&fields[1], "name", SLIPRING_KIND_TEXT, 2, 1, 8);
        check_field(&fields[2], "pad0", SLIPRING_KIND_GAP, 7, 17, 1);
        check_field(&fields[3], "few", SLIPRING_KIND_SEQUENCE, 0, 24, 8 + 3 * 16);
        check_field(&fields[4], "flags", SLIPRING_KIND_SEQUENCE, 0, 80, 12);
        check_field(&fields[5], "pad1", SLIPRING_KIND_GAP, 4, 92, 1);
        assert_int_equal(schema->topics[0].type->payload_bytes, 96);
        fields += fields[3].first_child;
        check_field(&fields[0], "length", SLIPRING_KIND_UINT32, 0, 0, 4);
        check_field(&fields[1], "pad0", SLIPRING_KIND_GAP, 4, 4, 1);
        check_field(&fields[2], "elements", SLIPRING_KIND_STRUCT, 3, 8, 16);
        check_field(&fields[4], "elements", SLIPRING_KIND_UINT8, 5, 4, 1);
        check_field(&fields[5], "pad0", SLIPRING_KIND_GAP, 3, 9, 1);

        /* A type without is what it was, and where it is used inside, too. */
        check_field(&fields[7], "pad0", SLIPRING_KIND_UINT8, 4, 4, 1);
        check_field(&schema->topics[1].type->fields[1], "pad0", SLIPRING_KIND_UINT8, 4, 4, 1);

        /* header 8 + 4 + 4, height, width, then the fields: 4 + 2 * (5 + 3 + 4 + 1 + 3 + 4). */
        fields = schema->topics[2].type->fields;
        check_tree(schema->topics[2].type);
        check_field(&fields[3], "fields", SLIPRING_KIND_SEQUENCE, 0, 24, 44);
        check_field(&fields[4], "is_bigendian", SLIPRING_KIND_BOOL, 0, 68, 1);
        check_field(&fields[5], "pad2", SLIPRING_KIND_GAP, 3, 69, 1);
        schema_free(schema);
}

/* What never changes is part of what a type is. */
static void test_constants_are_part_of_the_identity(void **state) {
        static const char head[] = "type: sensor_msgs/msg/LaserScan, const: {header.frame_id: ";
        struct schema *schema;
        char text[1024];

        snprintf(text, sizeof(text),
                 "topics:\n"
                 "  a: {%sab}, lengths: {ranges: 4, intensities: 4}}\n"
                 "  b: {%sab}, lengths: {ranges: 4, intensities: 4}}\n"
                 "  c: {%sac}, lengths: {ranges: 4, intensities: 4}}\n"
                 "  d: {%sab}, lengths: {ranges: 5, intensities: 3}}\n",
                 head, head, head, head);
        schema = load(text);
        for (size_t i = 1; i < schema->topic_count; i++) {
                const struct slipring_type *a = schema->topics[0].type;
                const struct slipring_type *b = schema->topics[i].type;

                assert_string_equal(a->text, b->text);
                assert_int_equal(a->payload_bytes, b->payload_bytes);
                assert_int_equal(memcmp(a->identity, b->identity, 32) == 0, i == 1);
        }
        schema_free(schema);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_messages_of_ros_are_laid_out_as_cdr),
                cmocka_unit_test(test_sequences_are_arrays_or_lists),
                cmocka_unit_test(test_bounded_fields_have_room),
                cmocka_unit_test(test_constants_are_part_of_the_identity),
                cmocka_unit_test(test_gaps_become_fields),
                cmocka_unit_test(test_time_is_aligned_to_four),
                cmocka_unit_test(test_nested_structs_start_and_end_aligned),
                cmocka_unit_test(test_tree_is_breadth_first),
                cmocka_unit_test(test_text_names_each_type_once_depth_first),
                cmocka_unit_test(test_identity_is_what_the_bytes_mean),
                cmocka_unit_test(test_definitions_stand_behind_those_they_use),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
