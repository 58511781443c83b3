/*
 * Default access on a machine with the system user that services run as, and on others that are
 * odd: the lookups are the test's.
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
#include <string.h>

#include "schema/schema.h"

static struct {
        bool system_group;
        /* Memory that an entry takes before it fits; as with a group of thousands of members. */
        size_t entry_bytes;
        unsigned lookups;
} machine;

int __wrap_getpwuid_r(
        uid_t uid, struct passwd *user, char *room, size_t bytes, struct passwd **ret_user);
int __wrap_getpwnam_r(
        const char *name, struct passwd *user, char *room, size_t bytes, struct passwd **ret_user);
int __wrap_getgrnam_r(
        const char *name, struct group *group, char *room, size_t bytes, struct group **ret_group);

int __wrap_getpwuid_r(
        uid_t uid, struct passwd *user, char *room, size_t bytes, struct passwd **ret_user) {
        static char name[] = "slipring";

        *ret_user = NULL;
        if (uid != 990) {
                return 0;
        }
        *user = (struct passwd){.pw_name = name, .pw_uid = 990, .pw_gid = 991};
        *ret_user = user;
        return 0;
}

int __wrap_getpwnam_r(
        const char *name, struct passwd *user, char *room, size_t bytes, struct passwd **ret_user) {
        static char robot[] = "robot";

        *ret_user = NULL;
        machine.lookups++;
        if (strcmp(name, robot)) {
                /* Some name services say ENOENT where POSIX wants 0. */
                return ENOENT;
        }
        *user = (struct passwd){.pw_name = robot, .pw_uid = 1234, .pw_gid = 1234};
        *ret_user = user;
        return 0;
}

int __wrap_getgrnam_r(
        const char *name, struct group *group, char *room, size_t bytes, struct group **ret_group) {
        static char slipring[] = "slipring";

        *ret_group = NULL;
        if (bytes < machine.entry_bytes) {
                return ERANGE;
        }
        if (strcmp(name, slipring) || !machine.system_group) {
                return 0;
        }
        *group = (struct group){.gr_name = slipring, .gr_gid = 992};
        *ret_group = group;
        return 0;
}

static int load(struct schema **ret_schema, struct diagnostics *diagnostics, const char *topics) {
        static const struct schema_machine limits = {UINT64_MAX, UINT64_MAX, UINT64_MAX,
                                                     UINT64_MAX};
        const struct schema_options options = {.user = 990, .machine = &limits};
        char text[1024];

        snprintf(text, sizeof(text), "slipring: 1\nbus: b\ntopics:\n%s", topics);
        return schema_load_text(ret_schema, "test", text, strlen(text), &options, diagnostics);
}

static void test_system_user_has_the_group_of_the_same_name(void **state) {
        struct diagnostics diagnostics = {0};
        struct schema *schema = NULL;

        machine.system_group = true;
        machine.entry_bytes = 100000;
        assert_int_equal(load(&schema, &diagnostics, "  t: {fields: {x: uint8}}\n"), 0);
        assert_int_equal(schema->topics[0].owner, 990);
        assert_string_equal(schema->topics[0].owner_name, "slipring");
        assert_int_equal(schema->topics[0].group, 992);
        assert_string_equal(schema->topics[0].group_name, "slipring");
        schema_free(schema);
        diagnostics_clear(&diagnostics);
}

static void test_missing_system_group_is_said_once(void **state) {
        struct diagnostics diagnostics = {0};
        struct schema *schema = NULL;

        machine.system_group = false;
        machine.entry_bytes = 0;
        assert_int_equal(load(&schema, &diagnostics,
                              "  t: {fields: {x: uint8}}\n  u: {fields: {x: uint8}}\n"),
                         -EBADMSG);
        assert_int_equal(diagnostics.count, 1);
        assert_int_equal(diagnostics.items[0].line, 4);
        assert_non_null(strstr(diagnostics.items[0].message, "group 'slipring', does not exist"));
        diagnostics_clear(&diagnostics);
}

/* An entry that never fits is no entry, and no endless loop. */
static void test_entry_without_end_is_given_up(void **state) {
        struct diagnostics diagnostics = {0};
        struct schema *schema = NULL;

        machine.system_group = true;
        machine.entry_bytes = SIZE_MAX;
        assert_int_equal(
                load(&schema, &diagnostics, "  t: {fields: {x: uint8}, group: slipring}\n"),
                -EBADMSG);
        assert_int_equal(diagnostics.count, 1);
        assert_string_equal(diagnostics.items[0].message,
                            "group 'slipring' is not a group of this machine");
        diagnostics_clear(&diagnostics);
        machine.entry_bytes = 0;
}

static void test_each_user_is_looked_up_once(void **state) {
        struct diagnostics diagnostics = {0};
        struct schema *schema = NULL;

        machine.system_group = true;
        machine.lookups = 0;
        assert_int_equal(load(&schema, &diagnostics,
                              "  t: {fields: {x: uint8}, owner: robot}\n"
                              "  u: {fields: {x: uint8}, owner: robot}\n"
                              "  v: {fields: {x: uint8}, owner: robot}\n"),
                         0);
        assert_int_equal(schema->topics[2].owner, 1234);
        assert_true(schema->topics[2].has_owner);
        assert_int_equal(machine.lookups, 1);
        schema_free(schema);
        diagnostics_clear(&diagnostics);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_system_user_has_the_group_of_the_same_name),
                cmocka_unit_test(test_missing_system_group_is_said_once),
                cmocka_unit_test(test_entry_without_end_is_given_up),
                cmocka_unit_test(test_each_user_is_looked_up_once),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
