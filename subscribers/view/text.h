#ifndef SLIPRING_SUBSCRIBERS_VIEW_TEXT_H
#define SLIPRING_SUBSCRIBERS_VIEW_TEXT_H

#include <stdbool.h>
#include <stddef.h>

/*
 * A text that grows. All zeros is an empty one; text_free() ends it.
 */
struct text {
        char *bytes; /* NUL-terminated once something was added */
        size_t used;
        size_t room;
        bool failed; /* there was no memory for some of it */
};

/*
 * text_add() - append as printf(3) does
 */
void text_add(struct text *text, const char *format, ...) __attribute__((format(printf, 2, 3)));

/*
 * text_quote() - append a JSON string with its quotes
 *
 * Names and type texts are ASCII, units and descriptions UTF-8; what else a hostile header or peer
 * puts there becomes '?', so that the frame it goes into is always valid UTF-8.
 */
void text_quote(struct text *text, const char *string);

void text_free(struct text *text);

#endif
