/*
 * What the schema says about memory and types against what the medium makes of it.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>

#include "bus/header.h"
#include "bus/type.h"
#include "schema/node.h"
#include "schema/schema.h"

/* The limits of both rooms are one. */
_Static_assert(SCHEMA_TOPICS_MAX == LAYOUT_TOPICS_MAX, "topics");
_Static_assert(SCHEMA_DEPTH_MIN == LAYOUT_DEPTH_MIN, "depth");
_Static_assert(SCHEMA_DEPTH_MAX == LAYOUT_DEPTH_MAX, "depth");
_Static_assert(SCHEMA_PINS_MAX == LAYOUT_PINS_MAX, "pins");
_Static_assert(SCHEMA_PINNED_SLOTS_MAX == LAYOUT_PLACE_SLOTS, "pins");

static struct topic_spec spec_of(const struct schema_topic *topic) {
        return (struct topic_spec){
                .name = topic->name,
                .description = topic->description,
                .type = topic->type,
                .depth = topic->depth,
                .pins = topic->pins,
                .waiters = LAYOUT_WAITERS_DEFAULT,
                .rate_hz = topic->rate_hz,
                .deadline_ns = topic->deadline_ns,
                .uid = topic->owner,
                .gid = topic->group,
                .mode = topic->mode,
        };
}

static void check_file(const char *path, size_t topics) {
        static const struct schema_machine machine = {UINT64_MAX, UINT64_MAX, UINT64_MAX,
                                                      UINT64_MAX};
        const struct schema_options options = {.user = 0, .machine = &machine};
        struct diagnostics diagnostics = {0};
        struct slipring_error error = {0};
        struct schema *schema = NULL;

        assert_int_equal(schema_load(&schema, path, &options, &diagnostics), 0);
        assert_true(schema->topic_count >= topics);
        for (size_t i = 0; i < schema->topic_count; i++) {
                const struct schema_topic *topic = &schema->topics[i];
                struct topic_spec spec = spec_of(topic);

                assert_int_equal(topic->segment_bytes, header_segment_bytes(&spec));
                assert_int_equal(schema_pins_bytes(topic->pins), layout_pins_bytes(topic->pins));
                assert_int_equal(type_check(topic->type, &error), 0);
                assert_int_equal(type_compare(topic->type, topic->type, topic->name, &error), 0);
        }
        schema_free(schema);
        diagnostics_clear(&diagnostics);
}

static void test_medium_takes_what_the_schema_gives(void **state) {
        check_file(SOURCE_ROOT "/deploy/examples/rover.yaml", 7);
        check_file(TEST_DATA "/good-tricky.yaml", 11);
        check_file(TEST_DATA "/identity-everything.yaml", 1);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_medium_takes_what_the_schema_gives),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
