#include "schema/diagnostics.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "schema/utf8.h"
#include "schema/util.h"

/* Longest message, and the most of a source line that is shown, in characters. */
#define MESSAGE_BYTES 1024
#define SOURCE_WIDTH 120

static struct diagnostic *diagnostics_grow(struct diagnostics *diagnostics) {
        struct diagnostic *items;

        items = reallocarray(diagnostics->items, diagnostics->count + 1, sizeof(*items));
        if (!items) {
                return NULL;
        }
        diagnostics->items = items;
        return &items[diagnostics->count];
}

void diagnostics_add(struct diagnostics *diagnostics,
                     enum diagnostic_severity severity,
                     uint32_t line,
                     uint32_t column,
                     const char *format,
                     ...) {
        char message[MESSAGE_BYTES];
        struct diagnostic *item;
        va_list arguments;

        if (severity == DIAGNOSTIC_ERROR) {
                diagnostics->errors++;
        }
        if (diagnostics_full(diagnostics)) {
                diagnostics->dropped++;
                return;
        }
        va_start(arguments, format);
        vsnprintf(message, sizeof(message), format, arguments);
        va_end(arguments);
        utf8_sanitize(message);

        item = diagnostics_grow(diagnostics);
        if (!item) {
                diagnostics->failed = true;
                return;
        }
        *item = (struct diagnostic){
                .severity = severity,
                .line = line,
                .column = column,
                .message = strdup(message),
                .order = (uint32_t) diagnostics->count,
        };
        if (!item->message) {
                diagnostics->failed = true;
                return;
        }
        diagnostics->count++;
}

bool diagnostics_full(const struct diagnostics *diagnostics) {
        return diagnostics->count >= DIAGNOSTICS_MAX;
}

static int diagnostic_compare(const void *left, const void *right) {
        const struct diagnostic *a = left, *b = right;
        int order;

        /* Other files stand behind the one that led to them. */
        order = a->file && b->file ? strcmp(a->file, b->file)
                                   : (a->file != NULL) - (b->file != NULL);
        if (order) {
                return order;
        }
        if (a->line != b->line) {
                return a->line < b->line ? -1 : 1;
        }
        if (a->column != b->column) {
                return a->column < b->column ? -1 : 1;
        }
        return a->order < b->order ? -1 : 1;
}

/* Length of the line break at the start of some text, 0 if there is none. YAML knows others, too;
 * node_parse() refuses them. */
static size_t line_break(const char *text, size_t bytes) {
        if (text[0] == '\r') {
                return bytes > 1 && text[1] == '\n' ? 2 : 1;
        }
        return text[0] == '\n' ? 1 : 0;
}

static size_t line_length(const char *text, size_t bytes) {
        size_t length = 0;

        while (length < bytes && line_break(text + length, bytes - length) == 0) {
                length++;
        }
        return length;
}

/* Bytes that some characters at the start of a text take; not UTF-8 counts as one each. */
static size_t skip_characters(const char *text, size_t bytes, size_t characters) {
        size_t skipped = 0;

        while (skipped < bytes && characters-- > 0) {
                uint32_t character;
                size_t length;

                length = utf8_decode(text + skipped, bytes - skipped, &character);
                skipped += length ? length : 1;
        }
        return skipped;
}

static size_t count_characters(const char *text, size_t bytes) {
        size_t characters = 0;

        for (size_t length; bytes > 0; characters++) {
                length = skip_characters(text, bytes, 1);
                text += length;
                bytes -= length;
        }
        return characters;
}

/* Copies what is shown of a line: all of it, or a window in which the caret stands. */
static void diagnostic_quote(struct diagnostic *item, const char *line, size_t bytes) {
        size_t start = 0, length;

        item->caret = item->column ? item->column - 1 : 0;
        if (item->caret >= SOURCE_WIDTH - 20) {
                start = skip_characters(line, bytes, item->caret - SOURCE_WIDTH / 2);
                item->caret = SOURCE_WIDTH / 2;
        }
        length = skip_characters(line + start, bytes - start, SOURCE_WIDTH);
        item->source = strndup(line + start, length);
        if (!item->source) {
                return;
        }
        /* A tab would move the caret; a NUL, legal nowhere, has already cut the copy short. */
        for (char *c = item->source; *c; c++) {
                *c = *c == '\t' ? ' ' : *c;
        }
        utf8_sanitize(item->source);
}

/* Gives the diagnostics of one line their source. Returns the first one behind them. */
static size_t diagnostics_quote(struct diagnostics *diagnostics,
                                size_t item,
                                uint32_t line,
                                const char *text,
                                size_t length) {
        while (item < diagnostics->count && !diagnostics->items[item].file &&
               diagnostics->items[item].line == line) {
                diagnostic_quote(&diagnostics->items[item++], text, length);
        }
        return item;
}

/* How many are about the list's own file: those about others have their source already. */
static size_t diagnostics_own(const struct diagnostics *diagnostics) {
        size_t count = diagnostics->count;

        while (count > 0 && diagnostics->items[count - 1].file) {
                count--;
        }
        return count;
}

/* Goes through the lines of a file and the diagnostics, which are sorted, side by side. */
static void diagnostics_quote_all(struct diagnostics *diagnostics,
                                  size_t item,
                                  const char *text,
                                  size_t bytes) {
        size_t count = diagnostics_own(diagnostics);
        size_t length;

        for (uint32_t line = 1; item < count; line++) {
                length = line_length(text, bytes);
                item = diagnostics_quote(diagnostics, item, line, text, length);
                if (length == bytes) {
                        /* libyaml puts the end of a file without newline into a line of its own. */
                        for (size_t i = item; i < count; i++) {
                                diagnostics->items[i].line = line;
                                diagnostics->items[i].column =
                                        (uint32_t) count_characters(text, bytes) + 1;
                        }
                        diagnostics_quote(diagnostics, item, line, text, length);
                        return;
                }
                length += line_break(text + length, bytes - length);
                text += length;
                bytes -= length;
        }
}

void diagnostics_finish(struct diagnostics *diagnostics, const char *text, size_t bytes) {
        size_t first = 0;

        if (diagnostics->count > 1) {
                qsort(diagnostics->items, diagnostics->count, sizeof(*diagnostics->items),
                      diagnostic_compare);
        }
        while (first < diagnostics->count && diagnostics->items[first].line == 0) {
                first++;
        }
        if (text && bytes >= 3 && !memcmp(text, "\xef\xbb\xbf", 3)) {
                text += 3;
                bytes -= 3;
        }
        if (text) {
                diagnostics_quote_all(diagnostics, first, text, bytes);
        }
}

void diagnostics_absorb(struct diagnostics *diagnostics, struct diagnostics *other) {
        diagnostics->errors += other->errors;
        diagnostics->dropped += other->dropped;
        diagnostics->failed = diagnostics->failed || other->failed;
        for (size_t i = 0; i < other->count; i++) {
                struct diagnostic *from = &other->items[i], *to;
                char *file = from->file ? from->file : strdup(diagnostics_file(other, from));

                from->file = NULL;
                if (diagnostics_full(diagnostics)) {
                        diagnostics->dropped++;
                        free(file);
                        continue;
                }
                to = file ? diagnostics_grow(diagnostics) : NULL;
                if (!to) {
                        diagnostics->failed = true;
                        free(file);
                        continue;
                }
                *to = *from;
                to->file = file;
                to->order = (uint32_t) diagnostics->count++;
                from->message = NULL;
                from->source = NULL;
        }
        diagnostics_clear(other);
}

const char *diagnostics_file(const struct diagnostics *diagnostics, const struct diagnostic *item) {
        const char *name = item->file ? item->file : diagnostics->name;

        return name ? name : "schema";
}

static void
diagnostic_print(const struct diagnostic *item, const char *name, FILE *out, bool colour) {
        bool error = item->severity == DIAGNOSTIC_ERROR;
        const char *bold = colour ? "\033[1m" : "";
        const char *tint = !colour ? "" : error ? "\033[1;31m" : "\033[1;35m";
        const char *plain = colour ? "\033[0m" : "";

        fprintf(out, "%s%s:", bold, name);
        if (item->line > 0) {
                fprintf(out, "%u:%u:", item->line, item->column);
        }
        fprintf(out, "%s %s%s:%s ", plain, tint, error ? "error" : "warning", plain);
        fprintf(out, "%s\n", item->message);
        if (item->source) {
                fprintf(out, "    %s\n    %*s%s^%s\n", item->source, (int) item->caret, "", tint,
                        plain);
        }
}

void diagnostics_print(const struct diagnostics *diagnostics, FILE *out, bool colour) {
        const char *name = diagnostics->name ? diagnostics->name : "schema";

        for (size_t i = 0; i < diagnostics->count; i++) {
                const struct diagnostic *item = &diagnostics->items[i];

                diagnostic_print(item, diagnostics_file(diagnostics, item), out, colour);
        }
        if (diagnostics->dropped > 0) {
                fprintf(out, "%s: %zu more are not shown\n", name, diagnostics->dropped);
        }
}

void diagnostics_clear(struct diagnostics *diagnostics) {
        for (size_t i = 0; i < diagnostics->count; i++) {
                free(diagnostics->items[i].message);
                free(diagnostics->items[i].source);
                free(diagnostics->items[i].file);
        }
        free(diagnostics->items);
        free(diagnostics->name);
        *diagnostics = (struct diagnostics){0};
}
