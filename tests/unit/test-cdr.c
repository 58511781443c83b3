/*
 * bus/cdr.c: strings and sequences of changing length, out of a struct and into it.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "bus/cdr.h"
#include "bus/type.h"
#include "subscribers/render.h"
#include "subscribers/selection.h"

/* What slipring generate makes of:
 *
 *   uint8 id
 *   string<=7 name
 *   float64[<=3] ranges
 *   string<=3[<=2] tags
 *   Cell[<=2] cells             Cell: bool on, string<=2 label, uint16 volts
 *   uint16 last
 */
struct cell {
        uint8_t on;
        char label[3];
        uint16_t volts;
};

struct status {
        uint8_t id;
        char name[8];
        uint8_t pad0[7];
        struct {
                uint32_t length;
                uint8_t pad0[4];
                double elements[3];
        } ranges;
        struct {
                uint32_t length;
                char elements[2][4];
        } tags;
        struct {
                uint32_t length;
                struct cell elements[2];
        } cells;
        uint16_t last;
        uint8_t pad1[2];
};

#define IN(member) offsetof(struct status, member)

static const struct slipring_field fields[] = {
        {"id", "", SLIPRING_KIND_UINT8, 0, 0, 1, 0, 0},
        {"name", "", SLIPRING_KIND_TEXT, 0, IN(name), 8, 0, 0},
        {"pad0", "", SLIPRING_KIND_GAP, 7, IN(pad0), 1, 0, 0},
        {"ranges", "", SLIPRING_KIND_SEQUENCE, 0, IN(ranges), 32, 8, 3},
        {"tags", "", SLIPRING_KIND_SEQUENCE, 0, IN(tags), 12, 11, 2},
        {"cells", "", SLIPRING_KIND_SEQUENCE, 0, IN(cells), 16, 13, 2},
        {"last", "", SLIPRING_KIND_UINT16, 0, IN(last), 2, 0, 0},
        {"pad1", "", SLIPRING_KIND_GAP, 2, IN(pad1), 1, 0, 0},
        {"length", "", SLIPRING_KIND_UINT32, 0, 0, 4, 0, 0},
        {"pad0", "", SLIPRING_KIND_GAP, 4, 4, 1, 0, 0},
        {"elements", "", SLIPRING_KIND_FLOAT64, 3, 8, 8, 0, 0},
        {"length", "", SLIPRING_KIND_UINT32, 0, 0, 4, 0, 0},
        {"elements", "", SLIPRING_KIND_TEXT, 2, 4, 4, 0, 0},
        {"length", "", SLIPRING_KIND_UINT32, 0, 0, 4, 0, 0},
        {"elements", "", SLIPRING_KIND_STRUCT, 2, 4, 6, 15, 3},
        {"on", "", SLIPRING_KIND_BOOL, 0, 0, 1, 0, 0},
        {"label", "", SLIPRING_KIND_TEXT, 0, 1, 3, 0, 0},
        {"volts", "", SLIPRING_KIND_UINT16, 0, 4, 2, 0, 0},
};

#define FIELDS (sizeof(fields) / sizeof(fields[0]))

static const struct slipring_type type = {
        .version = SLIPRING_TYPE_VERSION,
        .payload_bytes = sizeof(struct status),
        .field_count = FIELDS,
        .root_count = 8,
        .name = "test_msgs/msg/Status",
        .text = "",
        .fields = fields,
};

static const struct status status = {
        .id = 9,
        .name = "ab\0zzzz",
        .ranges = {.length = 1, .elements = {1.5, 7, 7}},
        .tags = {.length = 2, .elements = {"xyz", ""}},
        .cells = {.length = 1, .elements = {{1, "k", 258}, {1, "zz", 7}}},
        .last = 3,
};

/* CDR counts alignment from behind the header. */
/* clang-format off */
static const uint8_t message[] = {
        0, 1, 0, 0,                                                 /* header */
        9, 0, 0, 0,                                                 /* id, and padding */
        3, 0, 0, 0, 'a', 'b', 0, 0,                                 /* name, and padding */
        1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xf8, 0x3f,                   /* ranges */
        2, 0, 0, 0, 4, 0, 0, 0, 'x', 'y', 'z', 0, 1, 0, 0, 0, 0, 0, 0, 0, /* tags */
        1, 0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0, 'k', 0, 2, 1,           /* cells */
        3, 0,                                                       /* last */
};
/* clang-format on */

/* Where those begin in it. */
enum {
        AT_NAME = 8,
        AT_RANGES = 16,
        AT_TAGS = 28,
        AT_CELLS = 48,
};

struct fixture {
        struct cdr *cdr;
        uint8_t *data;
        struct status *room;
        struct slipring_error error;
};

static int set_up(void **state) {
        struct fixture *fixture = calloc(1, sizeof(*fixture));

        assert_int_equal(type_check(&type, &fixture->error), 0);
        assert_int_equal(cdr_compile(&fixture->cdr, &type, &fixture->error), 0);
        /* Not a byte more than was said: sanitizers see the first one behind. */
        fixture->data = malloc(cdr_most_bytes(fixture->cdr));
        fixture->room = malloc(sizeof(*fixture->room));
        *state = fixture;
        return 0;
}

static int tear_down(void **state) {
        struct fixture *fixture = *state;

        cdr_free(fixture->cdr);
        free(fixture->data);
        free(fixture->room);
        free(fixture);
        return 0;
}

/* Reads a message out of memory of its own size. */
static int read_of(struct fixture *fixture, const uint8_t *bytes, size_t count) {
        uint8_t *own = malloc(count ? count : 1);
        const void *payload = NULL;
        int r;

        memcpy(own, bytes, count);
        memset(fixture->room, 0xee, sizeof(*fixture->room));
        fixture->error = (struct slipring_error){0};
        r = cdr_read(fixture->cdr, own, count, fixture->room, &payload, &fixture->error);
        assert_true(r < 0 || payload == fixture->room);
        free(own);
        return r;
}

static void expect_refused(struct fixture *fixture, size_t at, uint8_t byte, const char *why) {
        uint8_t changed[sizeof(message)];

        memcpy(changed, message, sizeof(changed));
        changed[at] = byte;
        assert_int_equal(read_of(fixture, changed, sizeof(changed)), -EBADMSG);
        assert_string_equal(fixture->error.text, why);
}

static void test_only_what_is_there_leaves(void **state) {
        struct fixture *fixture = *state;

        assert_false(cdr_is_flat(fixture->cdr));
        memset(fixture->data, 0xee, cdr_most_bytes(fixture->cdr));
        assert_int_equal(cdr_write(fixture->cdr, &status, fixture->data), sizeof(message));
        assert_memory_equal(fixture->data, message, sizeof(message));
}

static void test_a_message_comes_back(void **state) {
        struct fixture *fixture = *state;

        assert_int_equal(read_of(fixture, message, sizeof(message)), 0);
        assert_int_equal(fixture->room->id, 9);
        assert_string_equal(fixture->room->name, "ab");
        assert_int_equal(fixture->room->ranges.length, 1);
        assert_true(fixture->room->ranges.elements[0] == 1.5);
        assert_int_equal(fixture->room->tags.length, 2);
        assert_string_equal(fixture->room->tags.elements[0], "xyz");
        assert_string_equal(fixture->room->tags.elements[1], "");
        assert_int_equal(fixture->room->cells.length, 1);
        assert_int_equal(fixture->room->cells.elements[0].volts, 258);
        assert_int_equal(fixture->room->last, 3);
        /* What it does not say is zero. */
        assert_true(fixture->room->ranges.elements[1] == 0);
        assert_int_equal(fixture->room->cells.elements[1].label[0], 0);
        assert_int_equal(fixture->room->pad1[1], 0);
}

static void test_nothing_fills_the_most(void **state) {
        struct fixture *fixture = *state;
        struct status full;

        memset(&full, 'x', sizeof(full));
        full.cells.elements[0].on = full.cells.elements[1].on = 1;
        assert_true(cdr_write(fixture->cdr, &full, fixture->data) <= cdr_most_bytes(fixture->cdr));
        assert_int_equal(
                read_of(fixture, fixture->data, cdr_write(fixture->cdr, &full, fixture->data)), 0);
        /* A length above the bound is the bound, and a text without an end has all but a byte. */
        assert_int_equal(fixture->room->ranges.length, 3);
        assert_int_equal(fixture->room->tags.length, 2);
        assert_int_equal(fixture->room->cells.length, 2);
        assert_string_equal(fixture->room->name, "xxxxxxx");
        assert_string_equal(fixture->room->cells.elements[1].label, "xx");
}

static void test_bounds_are_kept_and_named(void **state) {
        struct fixture *fixture = *state;

        expect_refused(fixture, AT_NAME, 9, "field 'name' has 8 bytes and its bound is 7");
        expect_refused(fixture, AT_RANGES, 4, "field 'ranges' has 4 elements and its bound is 3");
        expect_refused(fixture, AT_RANGES + 3, 0x80,
                       "field 'ranges' has 2147483649 elements and its bound is 3");
        expect_refused(fixture, AT_TAGS + 4, 5, "field 'tags' has 4 bytes and its bound is 3");
        expect_refused(fixture, AT_CELLS + 8, 4,
                       "field 'cells.label' has 3 bytes and its bound is 2");
}

static void test_strings_end_where_they_say(void **state) {
        struct fixture *fixture = *state;
        uint8_t changed[sizeof(message)];

        expect_refused(fixture, AT_NAME + 6, 'c',
                       "field 'name' has no NUL at its end, or one before");
        expect_refused(fixture, AT_NAME + 4, 0,
                       "field 'name' has no NUL at its end, or one before");
        /* Some write nothing at all for an empty one. */
        memcpy(changed, message, sizeof(changed));
        changed[AT_TAGS + 12] = 0;
        memmove(changed + AT_TAGS + 16, message + AT_CELLS, sizeof(message) - AT_CELLS);
        assert_int_equal(read_of(fixture, changed, sizeof(changed) - 4), 0);
        assert_string_equal(fixture->room->tags.elements[1], "");
}

static void test_each_end_is_too_early(void **state) {
        struct fixture *fixture = *state;

        for (size_t bytes = 0; bytes < sizeof(message); bytes++) {
                assert_int_equal(read_of(fixture, message, bytes), -EBADMSG);
        }
        assert_string_equal(fixture->error.text, "the message ends in its field 'last'");
        assert_int_equal(read_of(fixture, message, AT_RANGES + 2), -EBADMSG);
        assert_string_equal(fixture->error.text, "the message ends in its field 'ranges'");
}

/* Some senders fill up to a multiple of four, and say so in the header; some do not say so. */
static void test_what_stands_behind_is_filler_only(void **state) {
        struct fixture *fixture = *state;
        uint8_t longer[sizeof(message) + 6] = {0};
        const size_t whole = sizeof(message) + 2;

        assert_int_equal(sizeof(message) % 4, 2);
        memcpy(longer, message, sizeof(message));
        /* Announced: whatever it is. */
        for (uint8_t count = 1; count <= 3; count++) {
                memset(longer + sizeof(message), 0xaa, count);
                longer[3] = count;
                assert_int_equal(read_of(fixture, longer, sizeof(message) + count), 0);
                longer[3] = 0;
                assert_int_equal(read_of(fixture, longer, sizeof(message) + count), -EBADMSG);
        }
        /* The header may say what it takes where nobody filled. */
        longer[3] = 3;
        assert_int_equal(read_of(fixture, longer, sizeof(message)), 0);
        /* Not announced, or wrongly: zeros, up to the next multiple of four. */
        memset(longer + sizeof(message), 0, 6);
        for (uint8_t options = 0; options <= 3; options++) {
                longer[3] = options;
                assert_int_equal(read_of(fixture, longer, whole), 0);
                assert_int_equal(fixture->room->last, 3);
                assert_int_equal(read_of(fixture, longer, whole + 4), -EBADMSG);
        }
        longer[3] = 0;
        assert_int_equal(read_of(fixture, longer, sizeof(message) + 6), -EBADMSG);
        assert_string_equal(fixture->error.text, "6 bytes stand behind its last field");
        assert_int_equal(read_of(fixture, longer, sizeof(message) + 1), -EBADMSG);
        for (size_t at = sizeof(message); at < whole; at++) {
                longer[at] = 1;
                assert_int_equal(read_of(fixture, longer, whole), -EBADMSG);
                longer[at] = 0;
        }
}

static void test_other_encodings_are_refused(void **state) {
        struct fixture *fixture = *state;

        expect_refused(fixture, 1, 0,
                       "the message is not little-endian CDR: it begins with 00 00, not 00 01");
        expect_refused(fixture, AT_CELLS + 4, 2, "field 'on' is a bool and neither 0 nor 1");
}

/* Whatever one byte is, nothing is read or written outside; what is taken fits its bounds. */
static void test_any_byte_may_be_any(void **state) {
        struct fixture *fixture = *state;
        uint8_t changed[sizeof(message)];
        size_t taken = 0;

        for (size_t i = 0; i < sizeof(message); i++) {
                for (unsigned flip = 1; flip < 256; flip++) {
                        memcpy(changed, message, sizeof(changed));
                        changed[i] ^= (uint8_t) flip;
                        if (read_of(fixture, changed, sizeof(changed)) == 0) {
                                taken++;
                                assert_true(fixture->room->ranges.length <= 3);
                                assert_true(fixture->room->tags.length <= 2);
                                assert_true(memchr(fixture->room->name, 0, 8) != NULL);
                        }
                }
        }
        assert_true(taken > 1000);
}

/* Neighbours in one run: the text, then all that stands as in CDR. */
static void test_strings_that_never_change_are_compared(void **state) {
        static const struct slipring_field mixed[] = {
                {"frame", "", SLIPRING_KIND_LENGTH, 0, 0, 4, 4, 0},
                {"frame", "map", SLIPRING_KIND_STRING, 4, 4, 1, 0, 0},
                {"x", "", SLIPRING_KIND_FLOAT32, 0, 8, 4, 0, 0},
                {"name", "", SLIPRING_KIND_TEXT, 0, 12, 4, 0, 0},
        };
        static const uint8_t from[16] = {0, 0, 0, 0, 'x', 'x', 'x', 'x',
                                         1, 2, 3, 4, 'a', 0,   'z', 'z'};
        static const uint8_t want[] = {0, 1, 0, 0, 4, 0, 0, 0, 'm', 'a', 'p',
                                       0, 1, 2, 3, 4, 2, 0, 0, 0,   'a', 0};
        struct slipring_type with = type;
        struct slipring_error error = {0};
        struct cdr *cdr = NULL;
        uint8_t data[64], room[16], changed[sizeof(want)];
        const void *payload;

        with.fields = mixed;
        with.payload_bytes = 16;
        with.field_count = with.root_count = 4;
        assert_int_equal(type_check(&with, &error), 0);
        assert_int_equal(cdr_compile(&cdr, &with, &error), 0);
        /* The library writes these into each sample; here nothing did. */
        assert_int_equal(cdr_write(cdr, from, data), sizeof(want));
        assert_memory_equal(data, want, sizeof(want));
        assert_int_equal(cdr_read(cdr, want, sizeof(want), room, &payload, &error), 0);
        memcpy(changed, want, sizeof(want));
        changed[10] = 'd';
        assert_int_equal(cdr_read(cdr, changed, sizeof(want), room, &payload, &error), -EBADMSG);
        assert_string_equal(error.text,
                            "field 'frame' is another string than 'map', which it always is");
        changed[4] = 5;
        assert_int_equal(cdr_read(cdr, changed, sizeof(want), room, &payload, &error), -EBADMSG);
        assert_string_equal(error.text,
                            "field 'frame' has another length than 4, which it always has");
        cdr_free(cdr);
}

/* Of a flat type the payload is the message; on reading nothing is copied. */
static void test_flat_types_are_not_copied(void **state) {
        static const struct slipring_field flat[] = {
                {"x", "", SLIPRING_KIND_UINT32, 0, 0, 4, 0, 0},
                {"on", "", SLIPRING_KIND_BOOL, 0, 4, 1, 0, 0},
                {"pad0", "", SLIPRING_KIND_UINT8, 3, 5, 1, 0, 0},
        };
        static const uint8_t want[] = {0, 1, 0, 0, 1, 2, 3, 4, 1, 0, 0, 0};
        struct slipring_type with = type;
        struct slipring_error error = {0};
        struct cdr *cdr = NULL;
        const void *payload = NULL;
        uint8_t data[12];

        with.fields = flat;
        with.payload_bytes = 8;
        with.field_count = with.root_count = 3;
        assert_int_equal(cdr_compile(&cdr, &with, &error), 0);
        assert_true(cdr_is_flat(cdr));
        assert_int_equal(cdr_most_bytes(cdr), 12);
        assert_int_equal(cdr_write(cdr, want + 4, data), 12);
        assert_memory_equal(data, want, 12);
        assert_int_equal(cdr_read(cdr, data, 12, NULL, &payload, &error), 0);
        assert_ptr_equal(payload, data + 4);
        assert_int_equal(cdr_read(cdr, data, 11, NULL, &payload, &error), -EBADMSG);
        assert_string_equal(error.text,
                            "a message of test_msgs/msg/Status has 4 + 8 bytes, this one 11");
        data[8] = 2;
        assert_int_equal(cdr_read(cdr, data, 12, NULL, &payload, &error), -EBADMSG);
        cdr_free(cdr);
}

static void test_flat_types_may_be_filled_up(void **state) {
        static const struct slipring_field one[] = {{"on", "", SLIPRING_KIND_BOOL, 0, 0, 1, 0, 0}};
        static const uint8_t filled[] = {0, 1, 0, 0, 1, 0, 0, 0},
                             other[] = {0, 1, 0, 0, 1, 0, 0, 1};
        struct slipring_type with = type;
        struct slipring_error error = {0};
        struct cdr *cdr = NULL;
        const void *payload = NULL;

        with.fields = one;
        with.payload_bytes = 1;
        with.field_count = with.root_count = 1;
        assert_int_equal(cdr_compile(&cdr, &with, &error), 0);
        assert_true(cdr_is_flat(cdr));
        for (size_t bytes = 5; bytes <= 8; bytes++) {
                bool whole = bytes == 5 || bytes == 8;

                payload = NULL;
                assert_int_equal(cdr_read(cdr, filled, bytes, NULL, &payload, &error),
                                 whole ? 0 : -EBADMSG);
                assert_ptr_equal(payload, whole ? filled + 4 : NULL);
        }
        assert_int_equal(cdr_read(cdr, other, sizeof(other), NULL, &payload, &error), -EBADMSG);
        assert_string_equal(error.text,
                            "a message of test_msgs/msg/Status has 4 + 1 bytes, this one 8");
        cdr_free(cdr);
}

/* A header that anybody may have written. */
static void test_field_trees_are_checked(void **state) {
        static const struct {
                size_t field;
                size_t word;
                uint32_t value;
        } changes[] = {
                {1, 3, 1},                      /* a text of a NUL alone */
                {1, 5, 1},                      /* with something inside */
                {3, 1, 2},                      /* an array of sequences */
                {3, 5, 1},                      /* a sequence without elements */
                {8, 0, SLIPRING_KIND_INT32},    /* without a length */
                {8, 1, 1},                      /* with several */
                {9, 0, SLIPRING_KIND_UINT8},    /* with something between */
                {10, 1, 0},                     /* of one element that is no array */
                {10, 0, SLIPRING_KIND_GAP},     /* of padding */
                {12, 3, 5},                     /* of elements that reach outside */
                {10, 0, SLIPRING_KIND_GAP + 1}, /* a kind that there is not yet */
        };
        struct slipring_field changed[FIELDS];
        struct slipring_type bad = type;
        struct slipring_error error = {0};

        bad.fields = changed;
        for (size_t i = 0; i < sizeof(changes) / sizeof(changes[0]); i++) {
                memcpy(changed, fields, sizeof(changed));
                assert_int_equal(type_check(&bad, &error), 0);
                (&changed[changes[i].field].kind)[changes[i].word] = changes[i].value;
                if (type_check(&bad, &error) != -EBADMSG) {
                        fail_msg("change %zu was taken", i);
                }
        }
}

static void render_of(const char *path, enum render_format format, bool header, const char *want) {
        struct render render = {.type = &type, .format = format};
        struct slipring_error error = {0};
        char *text = NULL;
        size_t bytes = 0;
        FILE *out = open_memstream(&text, &bytes);

        render.field = selection_all(&type);
        if (path) {
                assert_int_equal(selection_find(&render.field, &type, path, NULL, &error), 0);
        }
        if (header) {
                render_header(&render, out);
        } else {
                render_message(&render, &status, out);
        }
        (void) fclose(out);
        assert_string_equal(text, want);
        free(text);
}

static void test_readers_see_what_is_there(void **state) {
        struct slipring_field found;
        struct slipring_error error = {0};

        render_of(NULL, RENDER_JSON, false,
                  "{\"id\": 9, \"name\": \"ab\", \"ranges\": [1.5], \"tags\": [\"xyz\", \"\"], "
                  "\"cells\": [{\"on\": true, \"label\": \"k\", \"volts\": 258}], \"last\": 3}");
        render_of("tags", RENDER_CSV, false, "\"xyz\",\"\"\n");
        render_of("cells", RENDER_CSV, true,
                  "cells[0].on,cells[0].label,cells[0].volts,cells[1].on,cells[1].label,"
                  "cells[1].volts\n");
        render_of("cells", RENDER_CSV, false, "true,\"k\",258,,,\n");
        assert_int_equal(selection_find(&found, &type, "ranges[2]", NULL, &error), 0);
        assert_true(selection_is_missing(&type, &found, &status));
        assert_int_equal(selection_find(&found, &type, "ranges[0]", NULL, &error), 0);
        assert_false(selection_is_missing(&type, &found, &status));
        assert_int_equal(selection_find(&found, &type, "cells[1].volts", NULL, &error), 0);
        assert_true(selection_is_missing(&type, &found, &status));
        assert_int_equal(selection_find(&found, &type, "last", NULL, &error), 0);
        assert_false(selection_is_missing(&type, &found, &status));
        assert_int_equal(selection_find(&found, &type, "ranges[3]", NULL, &error), -EINVAL);
        assert_int_equal(selection_find(&found, &type, "ranges.length", NULL, &error), -EINVAL);
}

/* What memory holds behind the end is of older messages, if of any. */
static void test_what_is_not_there_is_not_shown(void **state) {
        render_of("cells[1].volts", RENDER_YAML, false, "null\n");
        render_of("cells[1].volts", RENDER_JSON, false, "null");
        render_of("cells[1].volts", RENDER_CSV, false, "\n");
        render_of("cells[1].volts", RENDER_CSV, true, "volts\n");
        render_of("cells[1]", RENDER_YAML, false, "null\n");
        render_of("cells[1]", RENDER_FLOW, false, "null");
        render_of("cells[1]", RENDER_CSV, false, ",,\n");
        render_of("cells[1].label", RENDER_JSON, false, "null");
        render_of("cells[0].volts", RENDER_CSV, false, "258\n");
        render_of("ranges[2]", RENDER_YAML, false, "null\n");
        render_of("ranges[0]", RENDER_YAML, false, "1.5\n");
        render_of("tags[1]", RENDER_YAML, false, "\"\"\n");
}

static void
put_path(void *userdata, const char *path, const struct slipring_field *field, bool element) {
        (void) fprintf(userdata, "%s %s%s, ", path, element ? "of " : "",
                       type_kind_name(field->kind));
}

static void test_each_path_is_there_once_for_its_field(void **state) {
        char text[512] = "";
        FILE *out = fmemopen(text, sizeof(text), "w");

        assert_non_null(out);
        assert_int_equal(selection_paths(&type, put_path, out), 0);
        (void) fclose(out);
        assert_string_equal(text,
                            "id uint8, name string, pad0 gap, ranges sequence, ranges of float64, "
                            "tags sequence, tags of string, cells sequence, cells of struct, "
                            "cells.on bool, cells.label string, cells.volts uint16, "
                            "last uint16, pad1 gap, ");
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(test_only_what_is_there_leaves, set_up, tear_down),
                cmocka_unit_test_setup_teardown(test_a_message_comes_back, set_up, tear_down),
                cmocka_unit_test_setup_teardown(test_nothing_fills_the_most, set_up, tear_down),
                cmocka_unit_test_setup_teardown(test_bounds_are_kept_and_named, set_up, tear_down),
                cmocka_unit_test_setup_teardown(test_strings_end_where_they_say, set_up, tear_down),
                cmocka_unit_test_setup_teardown(test_each_end_is_too_early, set_up, tear_down),
                cmocka_unit_test_setup_teardown(test_what_stands_behind_is_filler_only, set_up,
                                                tear_down),
                cmocka_unit_test_setup_teardown(test_other_encodings_are_refused, set_up,
                                                tear_down),
                cmocka_unit_test_setup_teardown(test_any_byte_may_be_any, set_up, tear_down),
                cmocka_unit_test(test_strings_that_never_change_are_compared),
                cmocka_unit_test(test_flat_types_are_not_copied),
                cmocka_unit_test(test_flat_types_may_be_filled_up),
                cmocka_unit_test(test_field_trees_are_checked),
                cmocka_unit_test(test_readers_see_what_is_there),
                cmocka_unit_test(test_what_is_not_there_is_not_shown),
                cmocka_unit_test(test_each_path_is_there_once_for_its_field),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
