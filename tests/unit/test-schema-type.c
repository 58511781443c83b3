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

                if (field->kind != SLIPRING_KIND_STRUCT) {
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

int main(void) {
        const struct CMUnitTest tests[] = {
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
