/*
 * Headers and types read without trust: each number of a good one is spoilt in turn.
 */

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "bus/directory.h"
#include "bus/header.h"
#include "bus/type.h"
#include "tests/harness/harness.h"

static const struct slipring_field nested_fields[] = {
        {"position", "m", SLIPRING_KIND_STRUCT, 2, 0, 16, 2, 2},
        {"flag", "", SLIPRING_KIND_BOOL, 0, 32, 1, 0, 0},
        {"x", "m", SLIPRING_KIND_FLOAT64, 0, 0, 8, 0, 0},
        {"y", "m", SLIPRING_KIND_FLOAT64, 0, 8, 8, 0, 0},
};

static const struct slipring_type nested_type = {
        .version = SLIPRING_TYPE_VERSION,
        .payload_bytes = 40,
        .field_count = 4,
        .root_count = 2,
        .identity = {9},
        .name = "test_msgs/msg/Nested",
        .text = "the text",
        .fields = nested_fields,
};

static void *segment_of(const struct topic_spec *spec, uint64_t *ret_bytes) {
        struct layout_header *header = NULL;
        size_t header_bytes = 0;
        void *memory;

        *ret_bytes = header_segment_bytes(spec);
        memory = aligned_alloc(LAYOUT_PAGE, *ret_bytes);
        assert_non_null(memory);
        memset(memory, 0, *ret_bytes);
        assert_int_equal(header_build(spec, 5, 6, &header, &header_bytes), 0);
        memcpy(memory, header, header_bytes);
        free(header);
        ((struct layout_header *) memory)->magic = LAYOUT_MAGIC;
        return memory;
}

static struct topic_spec nested_topic(void) {
        struct topic_spec spec = topic_of("arm/pose", 3);

        spec.type = &nested_type;
        return spec;
}

static void test_a_header_is_read_as_it_was_built(void **state) {
        struct topic_spec spec = nested_topic();
        struct header header;
        uint64_t bytes;
        void *memory = segment_of(&spec, &bytes);
        uint32_t i;

        assert_int_equal(header_read(&header, memory, bytes, LAYOUT_KIND_DATA, "t", NULL), 0);
        assert_string_equal(header.topic_name, "arm/pose");
        assert_string_equal(header.type.name, nested_type.name);
        assert_string_equal(header.type.text, nested_type.text);
        assert_int_equal(header.copy->instance, 5);
        assert_int_equal(header.copy->generation, 6);
        assert_int_equal(header.type.field_count, 4);
        for (i = 0; i < 4; i++) {
                assert_string_equal(header.type.fields[i].name, nested_fields[i].name);
                assert_string_equal(header.type.fields[i].unit, nested_fields[i].unit);
                assert_int_equal(header.type.fields[i].kind, nested_fields[i].kind);
                assert_int_equal(header.type.fields[i].first_child, nested_fields[i].first_child);
        }
        assert_memory_equal(header.type.identity, nested_type.identity, 32);
        header_free(&header);
        free(memory);
}

static void test_a_header_without_magic_is_not_read(void **state) {
        struct topic_spec spec = nested_topic();
        struct header header;
        uint64_t bytes;
        struct layout_header *memory = segment_of(&spec, &bytes);

        memory->magic = 0;
        assert_int_equal(header_read(&header, memory, bytes, LAYOUT_KIND_DATA, "t", NULL), -EAGAIN);
        free(memory);
}

static void test_another_layout_version_is_named(void **state) {
        struct topic_spec spec = nested_topic();
        struct slipring_error error = {0};
        struct header header;
        uint64_t bytes;
        struct layout_header *memory = segment_of(&spec, &bytes);

        memory->layout_version = 7;
        assert_int_equal(header_read(&header, memory, bytes, LAYOUT_KIND_DATA, "topic 't'", &error),
                         -EPROTONOSUPPORT);
        assert_non_null(strstr(error.text, "layout version 7"));
        free(memory);
}

/* Each 32-bit word of the header and its tables, set to each of a few bad values. */
static void test_no_spoilt_word_is_believed_out_of_bounds(void **state) {
        static const uint32_t values[] = {0, 1, 0x7fffffff, 0x80000000, 0xffffffff, 4096, 65535};
        struct topic_spec spec = nested_topic();
        struct layout_header *memory;
        unsigned refused = 0;
        struct header header;
        uint64_t bytes;
        uint32_t *words, kept;
        size_t i, v, count;

        memory = segment_of(&spec, &bytes);
        words = (uint32_t *) (void *) memory;
        count = memory->header_bytes / 4;
        for (i = 2; i < count; i++) {
                kept = words[i];
                for (v = 0; v < sizeof(values) / sizeof(values[0]); v++) {
                        words[i] = values[v];
                        if (header_read(&header, memory, bytes, LAYOUT_KIND_DATA, "t", NULL) < 0) {
                                refused++;
                                continue;
                        }
                        /* Accepted: then everything in it must be reachable (ASan watches). */
                        assert_int_equal(type_check(&header.type, NULL), 0);
                        assert_true(strlen(header.topic_name) + strlen(header.type.text) +
                                            strlen(header.type.name) <
                                    bytes);
                        assert_true(header.copy->slots_offset +
                                            header.copy->depth * header.copy->slot_stride_bytes <=
                                    bytes);
                        header_free(&header);
                }
                words[i] = kept;
        }
        assert_true(refused > 100);
        free(memory);
}

static void check_refused(const struct slipring_type *type) {
        assert_int_equal(type_check(type, NULL), -EBADMSG);
}

static void test_type_check_refuses_malformed_trees(void **state) {
        struct slipring_field fields[4];
        struct slipring_type type = nested_type;

        assert_int_equal(type_check(&nested_type, NULL), 0);
        type.fields = fields;
#define SPOIL(change)                                                                              \
        do {                                                                                       \
                memcpy(fields, nested_fields, sizeof(fields));                                     \
                change;                                                                            \
                check_refused(&type);                                                              \
        } while (0)
        SPOIL(fields[0].first_child = 0);
        SPOIL(fields[0].first_child = 3);
        SPOIL(fields[0].child_count = 3);
        SPOIL(fields[0].child_count = 1);
        SPOIL(fields[0].element_bytes = 8);
        SPOIL(fields[0].count = 0x10000000);
        SPOIL(fields[1].offset_bytes = 31);
        SPOIL(fields[1].offset_bytes = 40);
        SPOIL(fields[1].kind = 0);
        SPOIL(fields[1].kind = 99);
        SPOIL(fields[1].element_bytes = 2);
        SPOIL(fields[1].kind = SLIPRING_KIND_STRUCT);
        SPOIL(fields[3].offset_bytes = 0xfffffff8);
        SPOIL(fields[2].child_count = 1);
}

static void test_type_compare_names_the_first_field_that_differs(void **state) {
        struct slipring_field fields[4];
        struct slipring_type type = nested_type;
        struct slipring_error error = {0};

        memcpy(fields, nested_fields, sizeof(fields));
        type.fields = fields;
        assert_int_equal(type_compare(&nested_type, &type, "pose", &error), 0);
        type.identity[31] = 1;
        fields[3].unit = "mm";
        assert_int_equal(type_compare(&nested_type, &type, "pose", &error), -EPROTOTYPE);
        assert_non_null(strstr(error.text, "'pose'"));
        assert_non_null(strstr(error.text, "'position.y' is float64 in mm at byte 8"));
        assert_non_null(strstr(error.text, "float64 in m at byte 8"));
        type.name = "other/msg/Type";
        assert_int_equal(type_compare(&nested_type, &type, "pose", &error), -EPROTOTYPE);
        assert_non_null(strstr(error.text, "other/msg/Type"));
}

/* Vectors computed with a separate implementation of the formula in bus/directory.h. */
static void test_directory_key_follows_its_formula(void **state) {
        assert_int_equal(directory_key(0, "host"), 0x31a2b930);
        assert_int_equal(directory_key(1000, "rover"), 0x4e43abaf);
        assert_int_equal(directory_key(4294967294u, "a"), 0x6bbe3854);
}

static void test_bus_names(void **state) {
        static const char *const good[] = {"a", "rover", "rover_2", "a1_b2"};
        static const char *const bad[] = {"",     "A",   "1a",  "_a", "a_",
                                          "a__b", "a b", "a/b", "ü",  "a.b"};
        char text[80];
        size_t i;

        for (i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
                assert_int_equal(directory_name_check(good[i], NULL), 0);
        }
        for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
                assert_int_equal(directory_name_check(bad[i], NULL), -EINVAL);
        }
        memset(text, 'a', sizeof(text));
        text[63] = '\0';
        assert_int_equal(directory_name_check(text, NULL), 0);
        text[63] = 'a';
        text[64] = '\0';
        assert_int_equal(directory_name_check(text, NULL), -EINVAL);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_a_header_is_read_as_it_was_built),
                cmocka_unit_test(test_a_header_without_magic_is_not_read),
                cmocka_unit_test(test_another_layout_version_is_named),
                cmocka_unit_test(test_no_spoilt_word_is_believed_out_of_bounds),
                cmocka_unit_test(test_type_check_refuses_malformed_trees),
                cmocka_unit_test(test_type_compare_names_the_first_field_that_differs),
                cmocka_unit_test(test_directory_key_follows_its_formula),
                cmocka_unit_test(test_bus_names),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
