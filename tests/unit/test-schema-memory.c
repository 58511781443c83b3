/*
 * Each allocation fails once: loading and generating must say -ENOMEM, lose nothing and then work.
 * The manager reads files while a bus is running, so running out of memory there is no way out.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "schema/generate.h"
#include "schema/schema.h"
#include "tests/harness/failing.h"

static const char good[] =
        "slipring: 1\nbus: b\ndefaults: {owner: root, depth: 2}\n"
        "types:\n"
        "  A: {x: {type: uint8, unit: m, range: [0, 1], values: {OK: 0, ALSO_OK: 0}}, t: time}\n"
        "  B: {a: \"A[2]\", d: float64, e: bool}\n"
        "topics:\n"
        "  a/b: {type: B, rate: 10 Hz, history: 1 s, group: root, description: text}\n"
        "  c: {fields: {b: B}, deadline: 1 s}\n"
        "  d: {type: sensor_msgs/msg/JointState, const: {header.frame_id: f, name: [a, b]},\n"
        "      lengths: {position: 2, velocity: 2, effort: 2}}\n";

static const char bad[] = "slipring: 1\nbus: b\ntypes: {A: {x: flaot32}, B: {b: B}}\n"
                          "topics: {a: {type: Q}, a: {type: B, mode: 0777, unknown: 1},\n"
                          "  b: {type: std_msgs/msg/Strong},\n"
                          "  c: {type: std_msgs/msg/String, const: {dota: 1}}}\n";

static int drop(void *context, const char *path, const struct buffer *text) {
        return 0;
}

static int load_and_generate(const char *text, unsigned which, bool *ret_failed) {
        static const struct schema_machine machine = {UINT64_MAX, UINT64_MAX, UINT64_MAX,
                                                      UINT64_MAX};
        const struct schema_options options = {.user = 0, .machine = &machine};
        struct diagnostics diagnostics = {0};
        struct schema *schema = NULL;
        struct buffer header = {0};
        int r;

        failing_start(which, false);
        r = schema_load_text(&schema, "test", text, strlen(text), &options, &diagnostics);
        if (r == 0) {
                r = generate_c(&header, schema);
                if (r == 0) {
                        r = generate_ros2msg(schema, drop, NULL);
                }
        }
        *ret_failed = failing_stop();
        buffer_free(&header);
        schema_free(schema);
        diagnostics_clear(&diagnostics);
        return r;
}

/* Fails the first allocation, then the second, until none is left to fail. */
static unsigned fail_each(const char *text, int expected) {
        bool failed = true;
        unsigned n;

        for (n = 0; failed; n++) {
                int r = load_and_generate(text, n, &failed);

                /* A diagnostic may have to do without its source line; nothing else may. */
                assert_true(r == -ENOMEM || r == expected);
                assert_true(failed || r == expected);
        }
        return n;
}

static void test_each_failing_allocation_is_survived(void **state) {
        assert_true(fail_each(good, 0) > 100);
        assert_true(fail_each(bad, -EBADMSG) > 30);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_each_failing_allocation_is_survived),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
