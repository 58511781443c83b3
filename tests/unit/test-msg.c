/*
 * Messages of ROS 2: reading them, finding them, and their type hashes.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "schema/generate.h"
#include "schema/msg.h"
#include "schema/schema.h"
#include "schema/shape.h"

/*
 * What messages are made of
 */

static struct msg *
parse(struct arena *arena, struct diagnostics *diagnostics, const char *text, size_t bytes) {
        struct msg *msg = NULL;

        assert_int_equal(msg_parse(&msg, arena, diagnostics, "p_msgs/msg/T", text, bytes), 0);
        diagnostics_finish(diagnostics, text, bytes);
        return msg;
}

static void test_parse_takes_what_ros_takes(void **state) {
        static const char text[] = "# comment\r\n"
                                   "\n"
                                   "   # \xc2\xb5 in a comment\n"
                                   "uint8 A=1 # one\n"
                                   "int16 B = -0x10\n"
                                   "float32 C=1.5e3\n"
                                   "float64 NOT=nan\n"
                                   "bool D=true\n"
                                   "string E=  bare text # comment\n"
                                   "string F=\"a # b\\\"\" # c\n"
                                   "string G=''\n"
                                   "Header header\n"
                                   "\tVector3\tinner # of this package\n"
                                   "geometry_msgs/Vector3[] outer\n"
                                   "geometry_msgs/msg/Vector3[3] full\n"
                                   "byte b\n"
                                   "char c 65\n"
                                   "string<=8 s \"x\"\n"
                                   "string<=8[<=2] t\n"
                                   "uint8[<=4] q [1, 2]\n"
                                   "uint8 LAST=255";
        struct diagnostics diagnostics = {0};
        struct arena arena = {0};
        const struct msg_field *fields;
        const struct msg *msg;

        msg = parse(&arena, &diagnostics, text, strlen(text));
        diagnostics_print(&diagnostics, stderr, false);
        assert_int_equal(diagnostics.count, 0);
        assert_int_equal(msg->state, MSG_READ);
        assert_string_equal(msg->package, "p_msgs");

        assert_int_equal(msg->constant_count, 9);
        assert_string_equal(msg->constants[0].name, "A");
        assert_string_equal(msg->constants[0].text, "1");
        assert_int_equal(msg->constants[0].before, 0);
        assert_string_equal(msg->constants[1].text, "-0x10");
        assert_string_equal(msg->constants[3].name, "NOT");
        assert_string_equal(msg->constants[5].text, "bare text");
        assert_int_equal(msg->constants[5].kind, MSG_KIND_STRING);
        assert_string_equal(msg->constants[6].text, "a # b\"");
        assert_string_equal(msg->constants[7].text, "");
        assert_string_equal(msg->constants[8].name, "LAST");
        assert_int_equal(msg->constants[8].before, 9);

        fields = msg->fields;
        assert_int_equal(msg->field_count, 9);
        assert_string_equal(fields[0].nested_name, "std_msgs/msg/Header");
        assert_string_equal(fields[1].nested_name, "p_msgs/msg/Vector3");
        assert_int_equal(fields[1].line, 13);
        assert_int_equal(fields[1].column, 2);
        assert_int_equal(fields[1].name_column, 10);
        assert_string_equal(fields[2].nested_name, "geometry_msgs/msg/Vector3");
        assert_int_equal(fields[2].array, MSG_SEQUENCE);
        assert_string_equal(fields[3].nested_name, "geometry_msgs/msg/Vector3");
        assert_int_equal(fields[3].array, MSG_ARRAY);
        assert_int_equal(fields[3].length, 3);
        assert_true(fields[4].byte);
        assert_int_equal(fields[5].kind, SLIPRING_KIND_UINT8);
        assert_string_equal(fields[5].default_text, "65");
        assert_int_equal(fields[6].string_bound, 8);
        assert_string_equal(fields[6].default_text, "x");
        assert_int_equal(fields[7].array, MSG_BOUNDED);
        assert_int_equal(fields[7].length, 2);
        assert_int_equal(fields[7].string_bound, 8);
        assert_string_equal(fields[8].default_text, "[1, 2]");
        diagnostics_clear(&diagnostics);
        arena_free(&arena);
}

/* A text with one mistake, and what is said about it. */
static const struct {
        const char *text;
        const char *said;
} bad[] = {
        {"int x", "1:1: there is no type 'int'; did you mean 'int32'?"},
        {"time stamp", "1:1: there is no type 'time'; did you mean 'builtin_interfaces/Time'?"},
        {"wstring w", "1:1: there is no type 'wstring'; text of wide characters looks different "
                      "everywhere; use string, in UTF-8"},
        {"# \xc2\xb5\n  unit8 x", "2:3: there is no type 'unit8'; did you mean 'uint8'?"},
        {"quaternion q", "1:1: there is no type 'quaternion'"},
        {"Geometry/Vector3 v",
         "1:1: type 'Geometry/Vector3' is not the name of a message, package/Name"},
        {"a/b/C c", "1:1: type 'a/b/C' is not the name of a message, package/Name"},
        {"../etc/Passwd c", "1:1: type '../etc/Passwd' is not the name of a message, package/Name"},
        {"uint8", "1:1: 'uint8' has no name behind it"},
        {"uint8 # x", "1:1: 'uint8' has no name behind it"},
        {"uint8 Xy", "1:7: field name 'Xy' must be in small letters, digits and single "
                     "underscores, and begin with a letter"},
        {"uint8 x__y", "1:7: field name 'x__y' must be in small letters, digits and single "
                       "underscores, and begin with a letter"},
        {"uint8 x=1", "1:7: constant 'x' must be in capitals, digits and single underscores"},
        {"uint8 X=256", "1:9: '256' is not a value of type uint8"},
        {"uint8 X=", "1:9: '' is not a value of type uint8"},
        {"uint8 X=one", "1:9: 'one' is not a value of type uint8"},
        {"int8 x -129", "1:8: '-129' is not a value of type int8"},
        {"bool x maybe", "1:8: 'maybe' is not a value of type bool"},
        {"float32 X=1,5", "1:11: '1,5' is not a value of type float32"},
        {"uint8[3] X=1", "1:10: constant 'X' must be a number or text"},
        {"Vector3 X=1", "1:9: constant 'X' must be a number or text"},
        {"Vector3 x 1", "1:11: a message has no default value"},
        {"string X=\"a", "1:10: the closing quote is missing"},
        {"string X=\"a\" b", "1:10: something stands behind the closing quote"},
        {"uint8[2] x 1", "1:12: the default of an array is a list: [1, 2, 3]"},
        {"uint8[0] x", "1:1: '0' is not a length from 1 to 1073741824"},
        {"uint8[-1] x", "1:1: '-1' is not a length from 1 to 1073741824"},
        {"uint8[<=] x", "1:1: '' is not a length from 1 to 1073741824"},
        {"uint8[99999999999999999999] x",
         "1:1: '99999999999999999999' is not a length from 1 to 1073741824"},
        {"uint8[3 x", "1:1: '[3' is not an array: [N], [] or [<=N]"},
        {"uint8[3][3] x", "1:1: '[3][3]' is not an array: [N], [] or [<=N]"},
        {"uint8<=3 x", "1:1: only strings and sequences have bounds"},
        {"string<=x s", "1:1: 'x' is not a length from 1 to 1073741824"},
        {"uint8 x\nuint8 x", "2:7: 'x' is already defined on line 1"},
        {"uint8 X=1\nuint8 x\nint8 X=1", "3:6: 'X' is already defined on line 1"},
        {"uint8 x\n---\nuint8 y", "2:1: '---' separates the parts of another kind of file; a "
                                  "message has one part"},
        {"uint8 \xff", "1:7: this is not UTF-8"},
        {"# \xe2\x80\xae\n", "1:3: the invisible character U+202E cannot stand in a message"},
};

static void test_parse_says_what_is_wrong(void **state) {
        for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
                struct diagnostics diagnostics = {0};
                struct arena arena = {0};
                const struct msg *msg;
                char said[512];

                msg = parse(&arena, &diagnostics, bad[i].text, strlen(bad[i].text));
                assert_int_equal(diagnostics.count, 1);
                snprintf(said, sizeof(said), "%u:%u: %s", diagnostics.items[0].line,
                         diagnostics.items[0].column, diagnostics.items[0].message);
                assert_string_equal(said, bad[i].said);
                assert_int_equal(msg->state, MSG_BROKEN);
                diagnostics_clear(&diagnostics);
                arena_free(&arena);
        }
}

static void test_parse_bounds_lines_names_and_fields(void **state) {
        struct diagnostics diagnostics = {0};
        struct arena arena = {0};
        struct buffer text = {0};

        buffer_print(&text, "# %4096d\nuint8 %0300d\n", 0, 0);
        for (unsigned i = 0; i <= SLIPRING_FIELDS_MAX; i++) {
                buffer_print(&text, "bool b%u\n", i);
        }
        parse(&arena, &diagnostics, text.text, text.length);
        assert_int_equal(diagnostics.count, 3);
        assert_string_equal(diagnostics.items[0].message, "the line is longer than 4096 bytes");
        assert_string_equal(diagnostics.items[1].message, "the name is longer than 255 characters");
        assert_string_equal(diagnostics.items[2].message, "a message has 65535 fields at most");
        assert_int_equal(diagnostics.items[2].line, SLIPRING_FIELDS_MAX + 3);
        buffer_free(&text);
        diagnostics_clear(&diagnostics);
        arena_free(&arena);
}

/* A NUL is a character like others here: it must not end a line in silence. */
static void test_parse_refuses_nul(void **state) {
        struct diagnostics diagnostics = {0};
        struct arena arena = {0};

        parse(&arena, &diagnostics, "uint8 x\0y\n", 10);
        assert_int_equal(diagnostics.count, 1);
        assert_string_equal(diagnostics.items[0].message,
                            "the invisible character U+0000 cannot stand in a message");
        diagnostics_clear(&diagnostics);
        arena_free(&arena);
}

/*
 * Where messages are found
 */

/* A directory that goes away with all that is in it, and a store that looks there. */
struct fixture {
        char directory[64];
        struct arena arena;
        struct diagnostics diagnostics;
        struct msg_store store;
};

static int setup(void **state) {
        struct fixture *fixture = calloc(1, sizeof(*fixture));

        assert_non_null(fixture);
        unsetenv("SLIPRING_MSG_PATH");
        unsetenv("AMENT_PREFIX_PATH");
        snprintf(fixture->directory, sizeof(fixture->directory), "/tmp/slipring-test-msg.XXXXXX");
        assert_non_null(mkdtemp(fixture->directory));
        *state = fixture;
        return 0;
}

static void fixture_open(struct fixture *fixture, const char *path) {
        fixture->store.arena = &fixture->arena;
        fixture->store.diagnostics = &fixture->diagnostics;
        assert_int_equal(msg_store_open(&fixture->store, path), 0);
}

static int teardown(void **state) {
        struct fixture *fixture = *state;
        char command[128];

        unsetenv("SLIPRING_MSG_PATH");
        unsetenv("AMENT_PREFIX_PATH");
        msg_store_close(&fixture->store);
        diagnostics_clear(&fixture->diagnostics);
        arena_free(&fixture->arena);
        snprintf(command, sizeof(command), "rm -r '%s'", fixture->directory);
        assert_int_equal(system(command), 0);
        free(fixture);
        return 0;
}

/* Writes DIRECTORY/below/package/msg/Name.msg. */
static void put(struct fixture *fixture,
                const char *below,
                const char *package,
                const char *name,
                const char *text) {
        char command[512], path[256];
        FILE *file;

        snprintf(command, sizeof(command), "mkdir -p '%s/%s/%s/msg'", fixture->directory, below,
                 package);
        assert_int_equal(system(command), 0);
        snprintf(path, sizeof(path), "%s/%s/%s/msg/%s.msg", fixture->directory, below, package,
                 name);
        file = fopen(path, "we");
        assert_non_null(file);
        assert_true(fputs(text, file) >= 0);
        assert_int_equal(fclose(file), 0);
}

/* What was reported, one line each, without the name of the directory. */
static const char *said(struct fixture *fixture) {
        static char text[4096];
        size_t length = 0;

        text[0] = '\0';
        for (size_t i = 0; i < fixture->diagnostics.count; i++) {
                const struct diagnostic *item = &fixture->diagnostics.items[i];
                const char *file = diagnostics_file(&fixture->diagnostics, item);

                if (!strncmp(file, fixture->directory, strlen(fixture->directory))) {
                        file += strlen(fixture->directory);
                }
                length += (size_t) snprintf(text + length, sizeof(text) - length, "%s:%u:%u: %s\n",
                                            file, item->line, item->column, item->message);
        }
        return text;
}

static void test_find_knows_the_common_packages(void **state) {
        struct fixture *fixture = *state;
        struct msg *imu = NULL, *again = NULL, *other = NULL;

        fixture_open(fixture, NULL);
        assert_int_equal(msg_store_find(&fixture->store, "sensor_msgs/msg/Imu", &imu), 0);
        assert_string_equal(imu->name, "sensor_msgs/msg/Imu");
        assert_string_equal(imu->origin, "slipring");
        assert_int_equal(imu->nesting, 3);
        assert_string_equal(imu->fields[0].nested->fields[1].name, "frame_id");
        assert_int_equal(msg_store_find(&fixture->store, "sensor_msgs/msg/Imu", &again), 0);
        assert_ptr_equal(imu, again);
        assert_int_equal(msg_store_find(&fixture->store, "sensor_msgs/msg/Nothing", &other),
                         -ENOENT);
        assert_null(other);
        assert_int_equal(fixture->diagnostics.count, 0);
}

static void test_find_looks_into_directories_in_order(void **state) {
        struct fixture *fixture = *state;
        char path[128], list[256];
        struct msg *msg = NULL;

        put(fixture, "a", "own_msgs", "Both", "uint8 first\n");
        put(fixture, "b", "own_msgs", "Both", "uint8 second\n");
        put(fixture, "b", "own_msgs", "Env", "Both both\n");
        put(fixture, "b", "std_msgs", "String", "string mine\n");
        put(fixture, "ros/share", "own_msgs", "Ament", "std_msgs/String text\n");
        put(fixture, "ros/share", "std_msgs", "Bool", "bool theirs\n");
        snprintf(path, sizeof(path), "%s/a", fixture->directory);
        snprintf(list, sizeof(list), ":/nowhere::%s/b:", fixture->directory);
        setenv("SLIPRING_MSG_PATH", list, 1);
        snprintf(list, sizeof(list), "%s/ros", fixture->directory);
        setenv("AMENT_PREFIX_PATH", list, 1);
        fixture_open(fixture, path);

        assert_int_equal(msg_store_find(&fixture->store, "own_msgs/msg/Env", &msg), 0);
        assert_string_equal(msg->fields[0].nested->fields[0].name, "first");
        /* The user's own before those of slipring, and those before an installation of ROS. */
        assert_int_equal(msg_store_find(&fixture->store, "own_msgs/msg/Ament", &msg), 0);
        assert_string_equal(msg->fields[0].nested->fields[0].name, "mine");
        assert_int_equal(msg_store_find(&fixture->store, "std_msgs/msg/Bool", &msg), 0);
        assert_string_equal(msg->fields[0].name, "data");
        assert_string_equal(said(fixture), "");
}

static void test_find_names_file_and_line_of_mistakes(void **state) {
        struct fixture *fixture = *state;
        struct msg *msg = NULL;
        char expected[1024];

        put(fixture, "", "own_msgs", "Outer", "std_msgs/Header header\nInner inner\n");
        put(fixture, "", "own_msgs", "Inner", "# one\n\nfloat x\n");
        put(fixture, "", "own_msgs", "Lost", "uint8 x\n sensor_msgs/Imo imu\n");
        put(fixture, "", "own_msgs", "A", "B b\n");
        put(fixture, "", "own_msgs", "B", "A[] a\n");
        fixture_open(fixture, fixture->directory);
        assert_int_equal(msg_store_find(&fixture->store, "own_msgs/msg/Outer", &msg), -EBADMSG);
        assert_int_equal(msg_store_find(&fixture->store, "own_msgs/msg/Lost", &msg), -EBADMSG);
        assert_int_equal(msg_store_find(&fixture->store, "own_msgs/msg/A", &msg), -EBADMSG);
        diagnostics_finish(&fixture->diagnostics, NULL, 0);
        snprintf(expected, sizeof(expected),
                 "/own_msgs/msg/B.msg:1:1: message 'own_msgs/msg/A' contains itself\n"
                 "/own_msgs/msg/Inner.msg:3:1: there is no type 'float'; did you mean "
                 "'float32'?\n"
                 "/own_msgs/msg/Lost.msg:2:2: there is no message 'sensor_msgs/msg/Imo'; did you "
                 "mean 'sensor_msgs/msg/Imu'? It was looked for in %s and slipring's own messages "
                 "(messages: [DIRECTORY] and SLIPRING_MSG_PATH name more)\n",
                 fixture->directory);
        assert_string_equal(said(fixture), expected);
        assert_string_equal(fixture->diagnostics.items[2].source, " sensor_msgs/Imo imu");
        assert_int_equal(fixture->diagnostics.items[2].caret, 1);
        assert_int_equal(fixture->diagnostics.errors, 3);
        assert_null(msg);
}

static void test_find_says_where_it_looked(void **state) {
        struct fixture *fixture = *state;
        struct buffer text = {0};

        setenv("SLIPRING_MSG_PATH", "/opt/msgs", 1);
        setenv("AMENT_PREFIX_PATH", "/opt/ros/jazzy", 1);
        fixture_open(fixture, NULL);
        msg_store_describe(&fixture->store, &text, "my_robot/msg/Gripper");
        assert_string_equal(text.text, "; looked for in /opt/msgs, slipring's own messages and "
                                       "/opt/ros/jazzy/share (messages: [DIRECTORY] and "
                                       "SLIPRING_MSG_PATH name more)");
        buffer_free(&text);
        /* Of another package nothing is meant. */
        msg_store_describe(&fixture->store, &text, "foo_msgs/msg/Imu");
        assert_null(strstr(text.text, "did you mean"));
        buffer_free(&text);
        msg_store_describe(&fixture->store, &text, "sensor_msgs/msg/Foo");
        assert_null(strstr(text.text, "did you mean"));
        buffer_free(&text);
        msg_store_describe(&fixture->store, &text, "sensor_msg/msg/Imo");
        assert_non_null(strstr(text.text, "; did you mean 'sensor_msgs/msg/Imu'? It was looked"));
        buffer_free(&text);
}

/* Files of others may be anything. */
static void test_find_bounds_size_and_nesting(void **state) {
        struct fixture *fixture = *state;
        struct msg *msg = NULL;
        char text[64], name[32], path[256];

        for (unsigned i = 0; i <= SLIPRING_NESTING_MAX; i++) {
                snprintf(name, sizeof(name), "Level%u", i);
                snprintf(text, sizeof(text), "Level%u below\n", i + 1);
                put(fixture, "", "own_msgs", name, i == SLIPRING_NESTING_MAX ? "uint8 x\n" : text);
        }
        put(fixture, "", "own_msgs", "Long", "");
        snprintf(path, sizeof(path), "%s/own_msgs/msg/Long.msg", fixture->directory);
        assert_int_equal(truncate(path, 1024 * 1024 + 1), 0);
        snprintf(path, sizeof(path), "%s/own_msgs/msg/Folder.msg", fixture->directory);
        assert_int_equal(mkdir(path, 0700), 0);
        fixture_open(fixture, fixture->directory);

        assert_int_equal(msg_store_find(&fixture->store, "own_msgs/msg/Level1", &msg), 0);
        assert_int_equal(msg->nesting, SLIPRING_NESTING_MAX);
        assert_int_equal(msg_store_find(&fixture->store, "own_msgs/msg/Level0", &msg), -EBADMSG);
        assert_int_equal(msg_store_find(&fixture->store, "own_msgs/msg/Long", &msg), -EBADMSG);
        assert_int_equal(msg_store_find(&fixture->store, "own_msgs/msg/Folder", &msg), -EBADMSG);
        diagnostics_finish(&fixture->diagnostics, NULL, 0);
        assert_string_equal(said(fixture),
                            "/own_msgs/msg/Folder.msg:0:0: Is a directory\n"
                            "/own_msgs/msg/Level0.msg:1:1: messages are nested deeper than 16 "
                            "levels\n"
                            "/own_msgs/msg/Long.msg:0:0: the message is, or all messages together "
                            "are, too long\n");
}

/* Messages that use each other unfold to more than anybody can wait for. */
static void test_messages_that_unfold_without_end_are_refused(void **state) {
        static const char *const schemas[] = {
                "slipring: 1\nbus: b\ntopics: {a: {type: own_msgs/msg/Level0}}\n",
                "slipring: 1\nbus: b\ntopics: {a: {type: own_msgs/msg/Level0, const: {x: y}}}\n",
                "slipring: 1\nbus: b\ntopics: {a: {type: own_msgs/msg/Level0, lengths: {x: 1}}}\n",
        };
        static const char *const leaves[] = {"uint8 x\n", "", "string s\n"};
        const struct schema_options options = {
                .machine =
                        &(struct schema_machine){UINT64_MAX, UINT64_MAX, UINT64_MAX, UINT64_MAX}};
        struct fixture *fixture = *state;
        struct buffer text = {0};
        char name[32];

        for (size_t leaf = 0; leaf < 3; leaf++) {
                for (unsigned i = 0; i < 12; i++) {
                        text.length = 0;
                        for (unsigned j = 0; j < 40; j++) {
                                buffer_print(&text, "Level%u f%u\n", i + 1, j);
                        }
                        snprintf(name, sizeof(name), "Level%u", i);
                        put(fixture, "", "own_msgs", name, i == 11 ? leaves[leaf] : text.text);
                }
                setenv("SLIPRING_MSG_PATH", fixture->directory, 1);
                for (size_t i = 0; i < 3; i++) {
                        struct diagnostics diagnostics = {0};
                        struct schema *schema = NULL;

                        assert_int_equal(schema_load_text(&schema, "test", schemas[i],
                                                          strlen(schemas[i]), &options,
                                                          &diagnostics),
                                         -EBADMSG);
                        assert_true(diagnostics.errors > 0);
                        diagnostics_clear(&diagnostics);
                }
        }
        buffer_free(&text);
}

/* A short file may ask for as many strings as it likes. */
static void test_topics_together_are_bounded(void **state) {
        static const struct schema_machine machine = {UINT64_MAX, UINT64_MAX, UINT64_MAX,
                                                      UINT64_MAX};
        const struct schema_options options = {.machine = &machine};
        struct diagnostics diagnostics = {0};
        struct schema *schema = NULL;
        struct buffer text = {0};

        buffer_print(&text, "slipring: 1\nbus: b\ntopics:\n");
        for (unsigned i = 0; i < 100; i++) {
                buffer_print(
                        &text,
                        "  t%u: {type: sensor_msgs/msg/JointState, const: {header.frame_id: a, "
                        "name: b}, lengths: {name: 20000, position: 1, velocity: 1, effort: "
                        "1}}\n",
                        i);
        }
        assert_int_equal(
                schema_load_text(&schema, "test", text.text, text.length, &options, &diagnostics),
                -EBADMSG);
        assert_non_null(strstr(diagnostics.items[0].message, "too many fields together"));
        diagnostics_clear(&diagnostics);
        buffer_free(&text);
}

/*
 * Type hashes
 */

static void hash_text(struct msg *msg, uint32_t mark, char text[65]) {
        uint8_t hash[32];

        assert_int_equal(msg_type_hash(msg, mark, hash), 0);
        for (size_t i = 0; i < sizeof(hash); i++) {
                snprintf(text + 2 * i, 3, "%02x", hash[i]);
        }
}

/* Every message that comes with slipring is, field by field, the one that ROS 2 has. */
static void test_hashes_are_the_published_ones(void **state) {
        struct fixture *fixture = *state;
        char line[256], name[128], expected[65], actual[65], of_text[MSG_HASH_BYTES];
        const char *type_text;
        uint32_t count = 0;
        FILE *file;

        fixture_open(fixture, NULL);
        file = fopen(TEST_DATA "/rihs01.txt", "re");
        assert_non_null(file);
        while (fgets(line, sizeof(line), file)) {
                struct msg *msg = NULL;

                if (line[0] == '#') {
                        continue;
                }
                assert_int_equal(sscanf(line, "%127s %64s", name, expected), 2);
                assert_int_equal(msg_store_find(&fixture->store, name, &msg), 0);
                hash_text(msg, ++count, actual);
                if (strcmp(actual, expected) != 0) {
                        fail_msg("%s has hash %s, not %s", name, actual, expected);
                }
                /* The text, which is in shared memory, tells as much. */
                assert_int_equal(shape_text(&type_text, msg, &fixture->arena, ~count), 0);
                assert_int_equal(msg_text_hash(name, type_text, of_text), 0);
                assert_memory_equal(of_text, "RIHS01_", 7);
                assert_string_equal(of_text + 7, expected);
        }
        fclose(file);
        assert_int_equal(count, msg_embedded_count);
        assert_int_equal(count, fixture->store.count);
        assert_int_equal(fixture->diagnostics.count, 0);
}

/* What no common message has: bounds. Computed with json.dumps() and hashlib of Python. */
static void test_hash_knows_bounds(void **state) {
        struct fixture *fixture = *state;
        struct msg *msg = NULL;
        char text[65];

        put(fixture, "", "own_msgs", "Bounds",
            "uint8 ONE=1\nstring<=8 s\nstring<=8[<=2] t\nuint8[<=4] q [1]\nbyte[2] b\n");
        fixture_open(fixture, fixture->directory);
        assert_int_equal(msg_store_find(&fixture->store, "own_msgs/msg/Bounds", &msg), 0);
        hash_text(msg, 1, text);
        assert_string_equal(text,
                            "39e336c5cfac526698483aaf9a265b26c14a40c6f52160d8af1297fd79d73f6b");
}

/* Takes the files of a package for what a store would find. */
static int package_take(void *context, const char *path, const struct buffer *text) {
        struct fixture *fixture = context;
        const char *end = strstr(path, ".msg");
        char *name, *copy;

        if (end) {
                name = arena_copy(&fixture->arena, path, (size_t) (end - path));
                copy = arena_copy(&fixture->arena, text->text, text->length);
                assert_non_null(name);
                assert_non_null(copy);
                assert_int_equal(msg_store_add(&fixture->store, name, copy, text->length), 0);
        }
        return 0;
}

/* An own type has the hash that ROS 2 computes for the file that is made of it. */
static void test_hash_of_own_types_is_that_of_their_files(void **state) {
        static const struct schema_machine machine = {UINT64_MAX, UINT64_MAX, UINT64_MAX,
                                                      UINT64_MAX};
        static const char text[] =
                "slipring: 1\nbus: b\npackage: own_msgs\n"
                "types:\n"
                "  Inner: {flag: bool, stamp: time, wide: {type: float64, unit: m}}\n"
                "topics:\n"
                "  all:\n"
                "    fields:\n"
                "      state: {type: int8, values: {LOW: -1, HIGH: 1}}\n"
                "      inner: Inner\n"
                "      inners: Inner[2]\n"
                "      took: duration\n"
                "      times: time[3]\n"
                "      last: uint16\n";
        const struct schema_options options = {.machine = &machine};
        struct fixture *fixture = *state;
        struct diagnostics diagnostics = {0};
        char of_text[MSG_HASH_BYTES], of_file[65];
        const struct slipring_type *type;
        struct schema *schema = NULL;
        struct msg *msg = NULL;

        fixture_open(fixture, NULL);
        assert_int_equal(
                schema_load_text(&schema, "test", text, strlen(text), &options, &diagnostics), 0);
        type = schema->topics[0].type;
        assert_int_equal(msg_text_hash(type->name, type->text, of_text), 0);
        assert_int_equal(generate_ros2msg(schema, package_take, fixture), 0);
        assert_int_equal(msg_store_find(&fixture->store, "own_msgs/msg/All", &msg), 0);
        hash_text(msg, 1, of_file);
        assert_string_equal(of_text + strlen("RIHS01_"), of_file);
        schema = schema_free(schema);
        diagnostics_clear(&diagnostics);
}

#define LINE "================================================================================\n"

/* What stands in shared memory may be anything. */
static void test_hash_of_text_takes_nothing_for_granted(void **state) {
        static const char *const broken[] = {
                "uint8",
                "uint8 x\nuint8 x\n",
                "a_msgs/B b\n",
                "a_msgs/B b\n" LINE "MSG: a_msgs/C\nuint8 x\n",
                "a_msgs/B b\n" LINE "MSG: a_msgs/B\n" LINE "MSG: a_msgs/B\n",
                "a_msgs/B b\n" LINE "MSG: a_msgs/B\na_msgs/B b\n",
                "a_msgs/T t\n",
                "uint8 x\n" LINE "MSG: \n",
                "uint8 x\n" LINE "MSG: /\n",
                "uint8 x\n" LINE "MSG: a_msgs/msg/B\n",
                "uint8 x\n" LINE "MSG: a_msgs\nuint8 y\n",
        };
        static const char good[] = "a_msgs/B b\na_msgs/C c\n" LINE "MSG: a_msgs/B\n" LINE
                                   "MSG: a_msgs/C\nstring<=3 s\n";
        char hash[MSG_HASH_BYTES], cut[sizeof(good)];
        size_t whole = 0;

        for (size_t i = 0; i < sizeof(broken) / sizeof(broken[0]); i++) {
                if (msg_text_hash("a_msgs/msg/T", broken[i], hash) != -EBADMSG) {
                        fail_msg("taken: %s", broken[i]);
                }
        }
        assert_int_equal(msg_text_hash("a_msgs/T", "uint8 x\n", hash), -EBADMSG);
        assert_int_equal(msg_text_hash("a_msgs/msg/T", "", hash), 0);
        assert_int_equal(msg_text_hash("a_msgs/msg/T", good, hash), 0);
        for (size_t i = 0; i < strlen(good); i++) {
                memcpy(cut, good, i);
                cut[i] = '\0';
                whole += msg_text_hash("a_msgs/msg/T", cut, hash) == 0;
        }
        /* No text; all but the last newline; and C without a field, with and without its newline.
         */
        assert_int_equal(whole, 4);
}

/* As files of ROS 2 have it, and as topics do: one text, which stays as it is. */
static void test_canonical_text(void **state) {
        static const char canonical[] = "uint8 KIND_OK=0\n"
                                        "std_msgs/Header header\n"
                                        "a_msgs/B[2] b\n"
                                        "uint8[3] pad0\n" LINE "MSG: std_msgs/Header\n"
                                        "builtin_interfaces/Time stamp\n"
                                        "string frame_id\n" LINE "MSG: builtin_interfaces/Time\n"
                                        "int32 sec\n"
                                        "uint32 nanosec\n" LINE "MSG: a_msgs/B\n"
                                        "float64[<=3] values\n";
        static const char foreign[] = "# What it is.\n\nuint8 KIND_OK = 0 # fine\n"
                                      "Header  header\nB[2] b\nuint8[3] pad0\n" LINE
                                      "MSG: a_msgs/B\nfloat64[<=3] values # three\n" LINE
                                      "MSG: std_msgs/Header\n# Of all.\nbuiltin_interfaces/Time "
                                      "stamp\nstring frame_id\n" LINE
                                      "MSG: builtin_interfaces/Time\nint32 sec\nuint32 nanosec\n";
        const char *const texts[] = {canonical, foreign};
        struct buffer buffer = {0};

        for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
                assert_int_equal(msg_text_canonical("a_msgs/msg/T", texts[i], &buffer), 0);
                assert_string_equal(buffer.text, canonical);
                buffer_free(&buffer);
        }
        assert_int_equal(msg_text_canonical("a_msgs/msg/T", "C c\n", &buffer), -EBADMSG);
        assert_int_equal(msg_text_canonical("T", "bool b\n", &buffer), -EBADMSG);
        assert_null(buffer.text);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_canonical_text),
                cmocka_unit_test(test_parse_takes_what_ros_takes),
                cmocka_unit_test(test_parse_says_what_is_wrong),
                cmocka_unit_test(test_parse_bounds_lines_names_and_fields),
                cmocka_unit_test(test_parse_refuses_nul),
                cmocka_unit_test(test_topics_together_are_bounded),
                cmocka_unit_test_setup_teardown(test_find_knows_the_common_packages, setup,
                                                teardown),
                cmocka_unit_test_setup_teardown(test_find_looks_into_directories_in_order, setup,
                                                teardown),
                cmocka_unit_test_setup_teardown(test_find_names_file_and_line_of_mistakes, setup,
                                                teardown),
                cmocka_unit_test_setup_teardown(test_find_says_where_it_looked, setup, teardown),
                cmocka_unit_test_setup_teardown(test_find_bounds_size_and_nesting, setup, teardown),
                cmocka_unit_test_setup_teardown(test_messages_that_unfold_without_end_are_refused,
                                                setup, teardown),
                cmocka_unit_test_setup_teardown(test_hashes_are_the_published_ones, setup,
                                                teardown),
                cmocka_unit_test_setup_teardown(test_hash_knows_bounds, setup, teardown),
                cmocka_unit_test_setup_teardown(test_hash_of_own_types_is_that_of_their_files,
                                                setup, teardown),
                cmocka_unit_test(test_hash_of_text_takes_nothing_for_granted),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
