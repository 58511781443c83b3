/*
 * subscribers/render.c and subscribers/selection.c: a message of every kind of field, as text.
 */

/* cmocka wants these, in this order. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

#include <errno.h>
#include <math.h>
#include <pty.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

#include "bus/type.h"
#include "subscribers/render.h"
#include "subscribers/selection.h"

struct cell {
        float voltage;
        uint8_t state;
        uint8_t pad[3];
};

struct everything {
        struct slipring_time stamp;
        struct slipring_duration span;
        double real;
        int64_t big;
        uint64_t bigger;
        float single;
        int16_t small;
        int8_t tiny;
        uint8_t flag;
        struct cell cells[2];
        uint8_t list[4];
        uint8_t pad1[4];
};

#define AT(member) offsetof(struct everything, member)

static const struct slipring_field fields[] = {
        {"stamp", "", SLIPRING_KIND_TIME, 0, AT(stamp), 8, 0, 0},
        {"span", "", SLIPRING_KIND_DURATION, 0, AT(span), 8, 0, 0},
        {"real", "m", SLIPRING_KIND_FLOAT64, 0, AT(real), 8, 0, 0},
        {"big", "", SLIPRING_KIND_INT64, 0, AT(big), 8, 0, 0},
        {"bigger", "", SLIPRING_KIND_UINT64, 0, AT(bigger), 8, 0, 0},
        {"single", "", SLIPRING_KIND_FLOAT32, 0, AT(single), 4, 0, 0},
        {"small", "", SLIPRING_KIND_INT16, 0, AT(small), 2, 0, 0},
        {"tiny", "", SLIPRING_KIND_INT8, 0, AT(tiny), 1, 0, 0},
        {"flag", "", SLIPRING_KIND_BOOL, 0, AT(flag), 1, 0, 0},
        {"cells", "", SLIPRING_KIND_STRUCT, 2, AT(cells), sizeof(struct cell), 12, 3},
        {"list", "", SLIPRING_KIND_UINT8, 4, AT(list), 1, 0, 0},
        {"pad1", "", SLIPRING_KIND_UINT8, 4, AT(pad1), 1, 0, 0},
        {"voltage", "V", SLIPRING_KIND_FLOAT32, 0, 0, 4, 0, 0},
        {"state", "", SLIPRING_KIND_UINT8, 0, 4, 1, 0, 0},
        {"pad0", "", SLIPRING_KIND_UINT8, 3, 5, 1, 0, 0},
};

static const struct slipring_type type = {
        .version = SLIPRING_TYPE_VERSION,
        .payload_bytes = sizeof(struct everything),
        .field_count = sizeof(fields) / sizeof(fields[0]),
        .root_count = 12,
        .name = "test_msgs/msg/Everything",
        .text = "",
        .fields = fields,
};

static const struct everything message = {
        .stamp = {-1, 999999999},
        .span = {3, 7},
        .real = 0.1,
        .big = INT64_MIN,
        .bigger = UINT64_MAX,
        .single = 0.1f,
        .small = -32768,
        .tiny = -128,
        .flag = 1,
        .cells = {{4.2f, 1, {9, 9, 9}}, {1e20f, 2, {0}}},
        .list = {1, 2, 3, 4},
        .pad1 = {8, 8, 8, 8},
};

/* As a message of ROS has it: strings, sequences, and a list whose elements differ in size. */
struct joints {
        uint32_t frame_length;
        char frame[5];
        uint8_t pad0[3];
        uint32_t name_length;
        uint32_t name0_length;
        char name0[2];
        uint8_t pad1[2];
        uint32_t name1_length;
        char name1[4];
        uint32_t position_length;
        float position[2];
};

#define IN(member) offsetof(struct joints, member)

static const struct slipring_field joint_fields[] = {
        {"frame", "", SLIPRING_KIND_LENGTH, 0, IN(frame_length), 4, 5, 0},
        {"frame", "a\"b,", SLIPRING_KIND_STRING, 5, IN(frame), 1, 0, 0},
        {"pad0", "", SLIPRING_KIND_UINT8, 3, IN(pad0), 1, 0, 0},
        {"name", "", SLIPRING_KIND_LENGTH, 0, IN(name_length), 4, 2, 0},
        {"name", "", SLIPRING_KIND_LIST, 0, IN(name0_length), 16, 7, 5},
        {"position", "", SLIPRING_KIND_LENGTH, 0, IN(position_length), 4, 2, 0},
        {"position", "", SLIPRING_KIND_FLOAT32, 2, IN(position), 4, 0, 0},
        {"0", "", SLIPRING_KIND_LENGTH, 0, 0, 4, 2, 0},
        {"0", "a", SLIPRING_KIND_STRING, 2, 4, 1, 0, 0},
        {"pad1", "", SLIPRING_KIND_UINT8, 2, 6, 1, 0, 0},
        {"1", "", SLIPRING_KIND_LENGTH, 0, 8, 4, 4, 0},
        {"1", "hip", SLIPRING_KIND_STRING, 4, 12, 1, 0, 0},
};

static const struct slipring_type joint_type = {
        .version = SLIPRING_TYPE_VERSION,
        .payload_bytes = sizeof(struct joints),
        .field_count = sizeof(joint_fields) / sizeof(joint_fields[0]),
        .root_count = 7,
        .name = "test_msgs/msg/Joints",
        .text = "",
        .fields = joint_fields,
};

static const struct joints joints = {
        .frame_length = 5,
        .frame = "a\"b,",
        .name_length = 2,
        .name0_length = 2,
        .name0 = "a",
        .name1_length = 4,
        .name1 = "hip",
        .position_length = 2,
        .position = {0.5f, -1},
};

static void expect_of(const struct slipring_type *of,
                      const void *payload,
                      enum render_format format,
                      const char *path,
                      uint32_t longest,
                      const char *want) {
        struct render render = {.type = of, .format = format, .longest = longest};
        struct slipring_error error = {0};
        char *text = NULL;
        size_t bytes = 0;
        FILE *out = open_memstream(&text, &bytes);

        render.field = selection_all(of);
        if (path && selection_find(&render.field, of, path, NULL, &error) < 0) {
                fail_msg("%s: %s", path, error.text);
        }
        if (!payload) {
                render_header(&render, out);
        } else {
                render_message(&render, payload, out);
        }
        (void) fclose(out);
        assert_string_equal(text, want);
        free(text);
}

/* Render a part of the message, and compare. */
static void
expect(enum render_format format, const char *path, uint32_t longest, const char *want) {
        expect_of(&type, &message, format, path, longest, want);
}

static void expect_joints(enum render_format format, const char *path, const char *want) {
        expect_of(&joint_type, &joints, format, path, 0, want);
}

static void test_strings_and_lists_are_what_ros_prints(void **state) {
        struct slipring_error error = {0};
        struct slipring_field found;

        assert_int_equal(type_check(&joint_type, &error), 0);
        expect_joints(RENDER_YAML, NULL,
                      "frame: \"a\\\"b,\"\n"
                      "name:\n"
                      "- \"a\"\n"
                      "- \"hip\"\n"
                      "position:\n"
                      "- 0.5\n"
                      "- -1.0\n");
        expect_joints(RENDER_JSON, NULL,
                      "{\"frame\": \"a\\\"b,\", \"name\": [\"a\", \"hip\"], \"position\": [0.5, "
                      "-1.0]}");
        expect_joints(RENDER_JSON, "name[1]", "\"hip\"");
        expect_joints(RENDER_YAML, "frame", "\"a\\\"b,\"\n");
        expect_of(&joint_type, NULL, RENDER_CSV, NULL, 0,
                  "frame,name[0],name[1],position[0],position[1]\n");
        expect_joints(RENDER_CSV, NULL, "\"a\"\"b,\",\"a\",\"hip\",0.5,-1.0\n");
        expect_of(&joint_type, &joints, RENDER_YAML, "name", 1, "- \"a\"\n- '...'\n");

        assert_int_equal(selection_find(&found, &joint_type, "name[2]", NULL, &error), -EINVAL);
        assert_string_equal(error.text, "'name' has the elements 0 to 1");
        assert_int_equal(selection_find(&found, &joint_type, "name.x", NULL, &error), -EINVAL);
        assert_string_equal(error.text,
                            "'name' is an array of 2: name an element, as in name[0].x");
}

/* A header that anybody may have written: what publishers would write from it must be there. */
static void test_constants_are_checked(void **state) {
        struct slipring_field changed[sizeof(joint_fields) / sizeof(joint_fields[0])];
        struct slipring_type bad_type = joint_type;
        struct slipring_error error = {0};

        bad_type.fields = changed;
        memcpy(changed, joint_fields, sizeof(changed));
        assert_int_equal(type_check(&bad_type, &error), 0);
        changed[1].unit = "a\"b";
        assert_int_equal(type_check(&bad_type, &error), -EBADMSG);
        assert_non_null(strstr(error.text, "field 'frame' is malformed"));
        memcpy(changed, joint_fields, sizeof(changed));
        changed[1].count = 0;
        assert_int_equal(type_check(&bad_type, &error), -EBADMSG);
        memcpy(changed, joint_fields, sizeof(changed));
        changed[7].count = 1;
        assert_int_equal(type_check(&bad_type, &error), -EBADMSG);
        memcpy(changed, joint_fields, sizeof(changed));
        changed[4].count = 1;
        assert_int_equal(type_check(&bad_type, &error), -EBADMSG);
        memcpy(changed, joint_fields, sizeof(changed));
        changed[4].kind = SLIPRING_KIND_LIST + 1;
        assert_int_equal(type_check(&bad_type, &error), -EBADMSG);
}

/* A program that was built for another string or length is told so. */
static void test_constants_that_differ_are_named(void **state) {
        struct slipring_field changed[sizeof(joint_fields) / sizeof(joint_fields[0])];
        struct slipring_type other = joint_type;
        struct slipring_error error = {0};

        other.fields = changed;
        other.identity[0] = 1;
        memcpy(changed, joint_fields, sizeof(changed));
        changed[11].unit = "hop";
        assert_int_equal(type_compare(&joint_type, &other, "joints", &error), -EPROTOTYPE);
        assert_non_null(strstr(error.text,
                               "field 'name.1' is the string 'hop' on the bus, but '1', "
                               "the string 'hip', in this program"));
        memcpy(changed, joint_fields, sizeof(changed));
        changed[5].first_child = 3;
        assert_int_equal(type_compare(&joint_type, &other, "joints", &error), -EPROTOTYPE);
        assert_non_null(strstr(error.text, "field 'position' is a length of 3 on the bus, but "
                                           "'position', a length of 2, in this program"));
}

static void test_type_is_sound(void **state) {
        struct slipring_error error = {0};

        if (type_check(&type, &error) < 0) {
                fail_msg("%s", error.text);
        }
}

static void test_yaml_is_what_ros_prints(void **state) {
        expect(RENDER_YAML, NULL, 0,
               "stamp:\n"
               "  sec: -1\n"
               "  nanosec: 999999999\n"
               "span:\n"
               "  sec: 3\n"
               "  nanosec: 7\n"
               "real: 0.1\n"
               "big: -9223372036854775808\n"
               "bigger: 18446744073709551615\n"
               "single: 0.1\n"
               "small: -32768\n"
               "tiny: -128\n"
               "flag: true\n"
               "cells:\n"
               "- voltage: 4.2\n"
               "  state: 1\n"
               "- voltage: 1.0e+20\n"
               "  state: 2\n"
               "list:\n"
               "- 1\n"
               "- 2\n"
               "- 3\n"
               "- 4\n");
}

static void test_long_arrays_are_shortened_and_say_so(void **state) {
        expect(RENDER_YAML, "list", 2, "- 1\n- 2\n- '...'\n");
        expect(RENDER_FLOW, "list", 3, "[1, 2, 3, '...']");
        expect(RENDER_FLOW, "list", 4, "[1, 2, 3, 4]");
}

static void test_one_line(void **state) {
        expect(RENDER_FLOW, "cells", 0, "[{voltage: 4.2, state: 1}, {voltage: 1.0e+20, state: 2}]");
        expect(RENDER_JSON, "cells[0]", 0, "{\"voltage\": 4.2, \"state\": 1}");
        expect(RENDER_JSON, "stamp", 0, "{\"sec\": -1, \"nanosec\": 999999999}");
}

static const struct slipring_field text_fields[] = {
        {"name", "text", SLIPRING_KIND_UINT8, 6, 0, 1, 0, 0},
        {"bytes", "", SLIPRING_KIND_UINT8, 2, 6, 1, 0, 0},
};

static const struct slipring_type text_type = {
        .version = SLIPRING_TYPE_VERSION,
        .payload_bytes = 8,
        .field_count = 2,
        .root_count = 2,
        .name = "test_msgs/msg/Named",
        .text = "",
        .fields = text_fields,
};

/* Eight bytes as a message of that type. */
static void expect_text(enum render_format format, const char *bytes, const char *want) {
        struct render render = {
                .type = &text_type, .field = selection_all(&text_type), .format = format};
        char *text = NULL;
        size_t size = 0;
        FILE *out = open_memstream(&text, &size);

        assert_non_null(out);
        render_message(&render, bytes, out);
        (void) fclose(out);
        assert_string_equal(text, want);
        free(text);
}

static void test_bytes_with_the_unit_text_are_a_text(void **state) {
        expect_text(RENDER_YAML, "eth0\0\0ab", "name: \"eth0\"\nbytes:\n- 97\n- 98\n");
        expect_text(RENDER_FLOW, "wlp2s0\1\2", "{name: \"wlp2s0\", bytes: [1, 2]}");
        expect_text(RENDER_JSON, "a\"\\ b\0\1\2", "{\"name\": \"a\\\"\\\\ b\", \"bytes\": [1, 2]}");
        expect_text(RENDER_FLOW, "\0\0\0\0\0\0\1\2", "{name: \"\", bytes: [1, 2]}");
        expect_text(RENDER_CSV, "eth0\0\0ab", "101,116,104,48,0,0,97,98\n");
}

static const struct slipring_field string_fields[] = {
        {"s", "", SLIPRING_KIND_TEXT, 0, 0, 64, 0, 0},
};

static const struct slipring_type string_type = {
        .version = SLIPRING_TYPE_VERSION,
        .payload_bytes = 64,
        .field_count = 1,
        .root_count = 1,
        .name = "std_msgs/msg/String",
        .text = "string s\n",
        .fields = string_fields,
};

static void expect_sent(const char *string, const char *json, const char *csv) {
        char payload[64] = "", want[128];

        (void) snprintf(payload, sizeof(payload), "%s", string);
        (void) snprintf(want, sizeof(want), "%s\n", json);
        expect_of(&string_type, payload, RENDER_JSON, "s", 0, json);
        expect_of(&string_type, payload, RENDER_YAML, "s", 0, want);
        (void) snprintf(want, sizeof(want), "%s\n", csv);
        expect_of(&string_type, payload, RENDER_CSV, NULL, 0, want);
}

/* Whoever reads it back has the text that was sent, also where a terminal may not get it. */
static void test_a_text_keeps_its_characters(void **state) {
        expect_sent("\u202e abc", "\"\\u202e abc\"", "\"\u202e abc\"");
        expect_sent("\xc2\x85x\xc2\x9b", "\"\\u0085x\\u009b\"", "\"\xc2\x85x\xc2\x9b\"");
        expect_sent("\ufeff\u200b\u200f\u061c", "\"\\ufeff\\u200b\\u200f\\u061c\"",
                    "\"\ufeff\u200b\u200f\u061c\"");
        /* Those that YAML does not have, either. */
        expect_sent("\uffff\ufffd", "\"\\uffff\ufffd\"", "\"\uffff\ufffd\"");
        /* One who goes to the moon is three characters, and one of them joins. */
        expect_sent("\U0001f469\u200d\U0001f680", "\"\U0001f469\u200d\U0001f680\"",
                    "\"\U0001f469\u200d\U0001f680\"");
        expect_sent("a,\"b\"\r\nc\033[m", "\"a,\\\"b\\\"\\u000d\\u000ac\\u001b[m\"",
                    "\"a,\"\"b\"\"\r\nc\033[m\"");
        /* No UTF-8: cut short, a surrogate, longer than needed, too large, and no first byte. */
        expect_sent("\xf8\xbf\xbf\xbf", "\"\\u00f8\\u00bf\\u00bf\\u00bf\"", "\"????\"");
        expect_sent("\xff\xe2\x80", "\"\\u00ff\\u00e2\\u0080\"", "\"???\"");
        expect_sent("\xed\xa0\x80", "\"\\u00ed\\u00a0\\u0080\"", "\"???\"");
        expect_sent("\xc0\xaf\xf4\x90\x80\x80", "\"\\u00c0\\u00af\\u00f4\\u0090\\u0080\\u0080\"",
                    "\"??????\"");
}

/* A terminal obeys what it is sent, so there CSV goes without. */
static void test_a_terminal_gets_no_control_characters(void **state) {
        static const char string[] = "\033[2J\r\xc2\x9b\u202e\u200d\tz";
        struct render render = {
                .type = &string_type, .field = selection_all(&string_type), .format = RENDER_CSV};
        char payload[64] = "", text[64] = "";
        struct termios modes;
        int master, slave;
        FILE *out;

        assert_int_equal(openpty(&master, &slave, NULL, NULL, NULL), 0);
        assert_int_equal(tcgetattr(slave, &modes), 0);
        modes.c_oflag &= ~(tcflag_t) OPOST;
        assert_int_equal(tcsetattr(slave, TCSANOW, &modes), 0);
        out = fdopen(slave, "w");
        assert_non_null(out);
        memcpy(payload, string, sizeof(string));
        render_message(&render, payload, out);
        assert_int_equal(fflush(out), 0);
        assert_true(read(master, text, sizeof(text) - 1) > 0);
        assert_string_equal(text, "\"?[2J???\u200d\tz\"\n");
        (void) fclose(out);
        (void) close(master);
}

/* Nothing is hidden: what is no text is printed as the bytes that it is. */
static void test_bytes_that_are_no_text_stay_numbers(void **state) {
        expect_text(RENDER_FLOW, "a\0b\0\0\0\1\2", "{name: [97, 0, 98, 0, 0, 0], bytes: [1, 2]}");
        expect_text(RENDER_FLOW, "\xc3\xa4\n\0\0\0\1\2",
                    "{name: [195, 164, 10, 0, 0, 0], bytes: [1, 2]}");
}

static void test_selections(void **state) {
        expect(RENDER_YAML, "real", 0, "0.1\n");
        expect(RENDER_YAML, "cells[1].voltage", 0, "1.0e+20\n");
        expect(RENDER_YAML, "cells[0]", 0, "voltage: 4.2\nstate: 1\n");
        expect(RENDER_YAML, "stamp.nanosec", 0, "999999999\n");
        expect(RENDER_YAML, "span.sec", 0, "3\n");
        expect(RENDER_YAML, "list[3]", 0, "4\n");
}

static void expect_unit(const char *path, const char *unit) {
        static const struct slipring_field force_fields[] = {
                {"force", "N", SLIPRING_KIND_STRUCT, 2, 0, 16, 1, 2},
                {"x", "", SLIPRING_KIND_FLOAT64, 0, 0, 8, 0, 0},
                {"y", "mN", SLIPRING_KIND_FLOAT64, 0, 8, 8, 0, 0},
        };
        static const struct slipring_type forces = {
                .version = SLIPRING_TYPE_VERSION,
                .payload_bytes = 32,
                .field_count = 3,
                .root_count = 1,
                .name = "test_msgs/msg/Forces",
                .text = "",
                .fields = force_fields,
        };
        struct slipring_field field;

        assert_int_equal(selection_find(&field, &forces, path, NULL, NULL), 0);
        assert_string_equal(field.unit, unit);
}

static void test_members_have_the_unit_of_their_struct(void **state) {
        expect_unit("force", "N");
        expect_unit("force[1].x", "N");
        expect_unit("force[0].y", "mN");
}

static void refuse(const char *path, int code, const char *text, const char *word) {
        struct selection_failure failure;
        struct slipring_error error = {0};
        struct slipring_field field;

        assert_int_equal(selection_find(&field, &type, path, &failure, &error), code);
        assert_string_equal(error.text, text);
        assert_string_equal(failure.word, word);
}

static void test_wrong_selections_say_why(void **state) {
        struct selection_failure failure;
        struct slipring_field field;

        refuse("reel", -ENOENT, "type test_msgs/msg/Everything has no field 'reel'", "reel");
        refuse("cells[0].volts", -ENOENT, "field 'cells' has no field 'volts'", "volts");
        refuse("cells.voltage", -EINVAL,
               "'cells' is an array of 2: name an element, as in cells[0].voltage", "");
        refuse("cells[2]", -EINVAL, "'cells' has the elements 0 to 1", "");
        refuse("cells[-1]", -EINVAL, "'[-1]': an index is a number in brackets", "");
        refuse("cells[0", -EINVAL, "'[0': an index is a number in brackets", "");
        refuse("cells[99999999999999999999]", -EINVAL,
               "'[99999999999999999999]': an index is a number in brackets", "");
        refuse("real[0]", -EINVAL, "'real' is not an array", "");
        refuse("real.x", -ENOENT, "'real' is a float64 and has no field 'x'", "");
        refuse("stamp.usec", -ENOENT, "'stamp' is a time and has no field 'usec'", "");
        refuse("pad1", -ENOENT, "type test_msgs/msg/Everything has no field 'pad1'", "pad1");
        refuse("", -EINVAL, "'' is no field: write a.b or a[2].b", "");
        refuse("real.", -EINVAL, "'real.' is no field: write a.b or a[2].b", "");
        refuse("list[0]x", -EINVAL, "'list[0]x' is no field: write a.b or a[2].b", "");
        /* What a did-you-mean searches. */
        assert_int_equal(selection_find(&field, &type, "cells[0].volts", &failure, NULL), -ENOENT);
        assert_int_equal(failure.first, 12);
        assert_int_equal(failure.count, 3);
}

static void test_columns_have_one_name_each(void **state) {
        struct render render = {.type = &type, .format = RENDER_CSV};
        char *text = NULL;
        size_t bytes = 0;
        FILE *out = open_memstream(&text, &bytes);

        render.field = selection_all(&type);
        render_header(&render, out);
        (void) fclose(out);
        assert_string_equal(text, "stamp.sec,stamp.nanosec,span.sec,span.nanosec,real,big,bigger,"
                                  "single,small,tiny,flag,cells[0].voltage,cells[0].state,"
                                  "cells[1].voltage,cells[1].state,list[0],list[1],list[2],"
                                  "list[3]\n");
        free(text);
        expect(RENDER_CSV, NULL, 1,
               "-1,999999999,3,7,0.1,-9223372036854775808,18446744073709551615,0.1,-32768,-128,"
               "true,4.2,1,1.0e+20,2,1,2,3,4\n");
        expect(RENDER_CSV, "stamp", 0, "-1,999999999\n");
}

static void real(double number, bool single, const char *want) {
        char text[40];

        assert_string_equal(render_real(text, number, single), want);
}

static void test_reals_keep_their_value(void **state) {
        uint64_t bits = 1;
        char text[40];
        double number;
        int i;

        real(0, false, "0.0");
        real(-0.0, false, "-0.0");
        real(1, false, "1.0");
        real(0.1 + 0.2, false, "0.30000000000000004");
        real(1e-5, false, "1.0e-05");
        real(1.5e300, false, "1.5e+300");
        real(16777216.0, true, "16777216.0");
        real(3.4028234663852886e38, true, "3.4028235e+38");
        real(NAN, false, ".nan");
        real(INFINITY, true, ".inf");
        real(-INFINITY, false, "-.inf");
        for (i = 0; i < 20000; i++) {
                bits = bits * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
                memcpy(&number, &bits, sizeof(number));
                if (isfinite(number)) {
                        assert_true(strtod(render_real(text, number, false), NULL) == number);
                }
        }
}

static void test_what_json_cannot_say_is_null(void **state) {
        static const struct slipring_field one[] = {
                {"x", "", SLIPRING_KIND_FLOAT64, 3, 0, 8, 0, 0},
        };
        static const struct slipring_type reals = {
                .payload_bytes = 24, .field_count = 1, .root_count = 1, .fields = one};
        const double values[] = {NAN, INFINITY, 2};
        struct render render = {.type = &reals, .format = RENDER_JSON};
        char text[128] = "";
        FILE *out = fmemopen(text, sizeof(text), "w");

        render.field = selection_all(&reals);
        render_message(&render, values, out);
        render.format = RENDER_CSV;
        render_message(&render, values, out);
        (void) fclose(out);
        assert_string_equal(text, "{\"x\": [null, null, 2.0]}nan,inf,2.0\n");
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_type_is_sound),
                cmocka_unit_test(test_strings_and_lists_are_what_ros_prints),
                cmocka_unit_test(test_constants_are_checked),
                cmocka_unit_test(test_constants_that_differ_are_named),
                cmocka_unit_test(test_yaml_is_what_ros_prints),
                cmocka_unit_test(test_long_arrays_are_shortened_and_say_so),
                cmocka_unit_test(test_bytes_with_the_unit_text_are_a_text),
                cmocka_unit_test(test_bytes_that_are_no_text_stay_numbers),
                cmocka_unit_test(test_a_text_keeps_its_characters),
                cmocka_unit_test(test_a_terminal_gets_no_control_characters),
                cmocka_unit_test(test_one_line),
                cmocka_unit_test(test_selections),
                cmocka_unit_test(test_members_have_the_unit_of_their_struct),
                cmocka_unit_test(test_wrong_selections_say_why),
                cmocka_unit_test(test_columns_have_one_name_each),
                cmocka_unit_test(test_reals_keep_their_value),
                cmocka_unit_test(test_what_json_cannot_say_is_null),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
