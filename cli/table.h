#ifndef SLIPRING_CLI_TABLE_H
#define SLIPRING_CLI_TABLE_H

/*
 * A table whose columns are as wide as what stands in them.
 *
 *     struct table table = {.align = "lr"};
 *
 *     table_cell(&table, "TOPIC");
 *     table_cell(&table, "SIZE");
 *     table_cell(&table, "%s", topic->name);
 *     ...
 *     table_print(&table, stdout, cli->colour);
 *     table_free(&table);
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

/**
 * struct table - cells, row after row; the first row is the head
 * @align:      a letter a column: 'l' flush left, 'r' flush right
 * @cells:      their texts
 * @count:      how many
 * @failed:     there was no memory for one
 */
struct table {
        const char *align;
        char **cells;
        size_t count;
        bool failed;
};

/** table_cell() - append a cell */
void table_cell(struct table *table, const char *format, ...) __attribute__((format(printf, 2, 3)));

/** table_print() - print all full rows; the head in bold where there are colours */
void table_print(const struct table *table, FILE *out, bool colour);

/** table_free() - free the cells; the table is empty afterwards */
void table_free(struct table *table);

#endif
