#include "cli/table.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

/* Characters, not bytes: all that comes here is UTF-8 without marks of no width. */
static size_t text_width(const char *text) {
        size_t width = 0;

        for (; *text; text++) {
                width += ((unsigned char) *text & 0xc0) != 0x80;
        }
        return width;
}

void table_cell(struct table *table, const char *format, ...) {
        va_list arguments;
        char **cells, *cell = NULL;
        int r;

        cells = reallocarray(table->cells, table->count + 1, sizeof(*cells));
        if (!cells) {
                table->failed = true;
                return;
        }
        table->cells = cells;
        va_start(arguments, format);
        r = vasprintf(&cell, format, arguments);
        va_end(arguments);
        if (r < 0) {
                table->failed = true;
                return;
        }
        table->cells[table->count++] = cell;
}

static size_t column_width(const struct table *table, size_t column) {
        size_t width = 0, columns = strlen(table->align);

        for (size_t i = column; i < table->count; i += columns) {
                size_t cell = text_width(table->cells[i]);

                width = cell > width ? cell : width;
        }
        return width;
}

static void cell_print(const struct table *table, FILE *out, size_t cell, size_t width, bool last) {
        const char *text = table->cells[cell];
        int fill = (int) (width - text_width(text));

        if (table->align[cell % strlen(table->align)] == 'r') {
                fprintf(out, "%*s%s", fill, "", text);
        } else {
                fprintf(out, "%s%*s", text, last ? 0 : fill, "");
        }
        fputs(last ? "" : "  ", out);
}

/* Up to the last cell that holds something: no line ends in blanks. */
static void row_print(const struct table *table, FILE *out, size_t row, const size_t *widths) {
        size_t columns = strlen(table->align), used = columns;

        while (used > 1 && !table->cells[row + used - 1][0]) {
                used--;
        }
        for (size_t i = 0; i < used; i++) {
                cell_print(table, out, row + i, widths[i], i + 1 == used);
        }
}

void table_print(const struct table *table, FILE *out, bool colour) {
        size_t columns = strlen(table->align), *widths;

        widths = calloc(columns, sizeof(*widths));
        if (!widths || table->failed) {
                free(widths);
                fputs("out of memory\n", stderr);
                return;
        }
        for (size_t i = 0; i < columns; i++) {
                widths[i] = column_width(table, i);
        }
        for (size_t i = 0; i + columns <= table->count; i += columns) {
                fputs(i == 0 && colour ? "\033[1m" : "", out);
                row_print(table, out, i, widths);
                fputs(i == 0 && colour ? "\033[0m\n" : "\n", out);
        }
        free(widths);
}

void table_free(struct table *table) {
        for (size_t i = 0; i < table->count; i++) {
                free(table->cells[i]);
        }
        free(table->cells);
        table->cells = NULL;
        table->count = 0;
        table->failed = false;
}
