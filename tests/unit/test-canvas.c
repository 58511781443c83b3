/*
 * cli/canvas.c: lines made of characters.
 */

/* cmocka wants these, in this order. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

#include "cli/canvas.h"

static void expect(const struct canvas *canvas, bool colour, const char *text) {
        char *drawn = NULL;
        size_t bytes = 0;
        FILE *out = open_memstream(&drawn, &bytes);

        assert_non_null(out);
        for (unsigned row = 0; row < canvas->rows; row++) {
                canvas_row(canvas, row, colour, out);
                fputc('\n', out);
        }
        (void) fclose(out);
        assert_string_equal(drawn, text);
        free(drawn);
}

static void test_lines_of_signs(void **state) {
        struct canvas canvas = {0};

        assert_true(canvas_start(&canvas, 5, 3, true));
        expect(&canvas, false, "     \n     \n     \n");
        canvas_line(&canvas, 0, 0, 0, 1, 1);
        expect(&canvas, false, "   **\n *** \n**   \n");
        canvas_line(&canvas, 1, 0, 1, 1, 1);
        expect(&canvas, false, "+++++\n *** \n**   \n");
        canvas_free(&canvas);
}

/* Dots of braille: a corner each, a whole character, and a line that climbs. */
static void test_lines_of_braille(void **state) {
        struct canvas canvas = {0};

        assert_true(canvas_start(&canvas, 2, 1, false));
        canvas_line(&canvas, 0, 0, 1, 0, 1);
        canvas_line(&canvas, 0, 1, 0, 1, 0);
        expect(&canvas, false, "⠁⢀\n");
        canvas_line(&canvas, 0, 0, 0, 0, 1);
        canvas_line(&canvas, 0, 1. / 3, 0, 1. / 3, 1);
        expect(&canvas, false, "⣿⢀\n");
        assert_true(canvas_start(&canvas, 2, 1, false));
        canvas_line(&canvas, 2, 0, 0, 1, 1);
        expect(&canvas, true, "\033[32m⡠\033[0m\033[32m⠎\033[0m\n");
        canvas_free(&canvas);
}

static void test_leaves_out_what_is_outside(void **state) {
        struct canvas canvas = {0};

        assert_true(canvas_start(&canvas, 3, 2, true));
        canvas_line(&canvas, 0, -1, 2, -0.5, 7);
        canvas_line(&canvas, 0, 1e300, -1e300, 1.1, 0.5);
        expect(&canvas, false, "   \n   \n");
        /* Only a part of it is. */
        canvas_line(&canvas, 3, -1, 0, 1, 0);
        expect(&canvas, false, "   \nxxx\n");
        canvas_free(&canvas);
}

/* A window that changes: smaller, then larger than ever. */
static void test_changes_its_size(void **state) {
        struct canvas canvas = {0};

        for (unsigned size = 1; size < 200; size = size * 2 + (size % 3)) {
                assert_true(canvas_start(&canvas, size, 3, false));
                canvas_line(&canvas, 0, 0, 0, 1, 1);
                assert_true(canvas_start(&canvas, 1, 1, true));
                expect(&canvas, false, " \n");
        }
        canvas_free(&canvas);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_lines_of_signs),
                cmocka_unit_test(test_lines_of_braille),
                cmocka_unit_test(test_leaves_out_what_is_outside),
                cmocka_unit_test(test_changes_its_size),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
