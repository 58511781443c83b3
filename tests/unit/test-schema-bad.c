/*
 * Each tests/data/bad-*.yaml has one mistake; tests/data/bad.expected has the one line that is to
 * be said about it. The machine is a small one, so that what is too large for it is so everywhere.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "schema/schema.h"

static const struct schema_machine machine = {
        .segment_bytes_max = UINT64_C(2) << 30,
        .total_bytes_max = UINT64_C(6) << 30,
        .segments_max = 96,
        .memory_bytes = UINT64_C(8) << 30,
};

static const struct schema_options options = {.user = 0, .machine = &machine};

/* Loads a file and puts what was said about it into a line, several lines if that was too much. */
static void load(const char *name, char *said, size_t bytes) {
        struct diagnostics diagnostics = {0};
        struct schema *schema = NULL;
        char path[4096];
        int r;

        snprintf(path, sizeof(path), "%s/%s", TEST_DATA, name);
        r = schema_load(&schema, path, &options, &diagnostics);
        said[0] = '\0';
        for (size_t i = 0; i < diagnostics.count; i++) {
                const struct diagnostic *item = &diagnostics.items[i];
                size_t length = strlen(said);

                snprintf(said + length, bytes - length, "%s:%u:%u: %s: %s\n", name, item->line,
                         item->column, item->severity == DIAGNOSTIC_ERROR ? "error" : "warning",
                         item->message);
                assert_true(item->caret == 0 || item->source);
        }
        assert_int_equal(r, -EBADMSG);
        assert_null(schema);
        diagnostics_clear(&diagnostics);
}

static void test_each_bad_file_gets_its_diagnostic(void **state) {
        char line[2048], said[8192];
        size_t files = 0, wrong = 0;
        FILE *expected;

        expected = fopen(TEST_DATA "/bad.expected", "re");
        assert_non_null(expected);
        while (fgets(line, sizeof(line), expected)) {
                char name[256];

                assert_int_equal(sscanf(line, "%255[^:]", name), 1);
                load(name, said, sizeof(said));
                files++;
                if (strcmp(said, line)) {
                        wrong++;
                        print_error("expected %sgot      %s\n", line, said);
                }
        }
        fclose(expected);
        assert_int_equal(wrong, 0);
        assert_true(files >= 60);
}

/* No file without expectation: count and names agree. */
static void test_each_bad_file_is_expected(void **state) {
        char line[2048];
        struct dirent *entry;
        size_t files = 0, lines = 0;
        FILE *expected;
        DIR *directory;

        directory = opendir(TEST_DATA);
        assert_non_null(directory);
        while ((entry = readdir(directory))) {
                size_t length = strlen(entry->d_name);

                files += !strncmp(entry->d_name, "bad-", 4) && length > 5 &&
                         !strcmp(entry->d_name + length - 5, ".yaml");
        }
        closedir(directory);
        expected = fopen(TEST_DATA "/bad.expected", "re");
        assert_non_null(expected);
        while (fgets(line, sizeof(line), expected)) {
                lines++;
        }
        fclose(expected);
        assert_int_equal(files, lines);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_each_bad_file_gets_its_diagnostic),
                cmocka_unit_test(test_each_bad_file_is_expected),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
