#ifndef SLIPRING_SUBSCRIBERS_RENDER_H
#define SLIPRING_SUBSCRIBERS_RENDER_H

#include <stdbool.h>
#include <stdio.h>

#include <slipring/type.h>

/*
 * Messages as text, by nothing but their type's field tree.
 *
 * Numbers keep their value: floats have as few digits as bring the same bits back, float32 those of
 * a float32. Padding is not shown. A uint8 array with the unit "text" is shown as a text where it
 * holds one, but not in CSV, which has a column a number. Strings are shown as they are but for
 * characters that a terminal may not get, which are escaped, as are bytes that are no UTF-8. Of a
 * sequence the elements are shown that are there; CSV has columns for all that may be, and nothing
 * in those of others.
 */

enum render_format {
        RENDER_YAML, /* block style; arrays as lists, time as sec and nanosec, as ROS 2 shows them
                      */
        RENDER_FLOW, /* the same in one line */
        RENDER_JSON, /* one line; not a number and infinite are null */
        RENDER_CSV,  /* one line, a column a number */
};

struct render {
        const struct slipring_type *type;
        struct slipring_field field; /* a selection, see selection.h; columns begin with its name */
        enum render_format format;
        uint32_t longest; /* YAML and flow: elements shown of an array, then "..."; 0 for all */
};

/*
 * render_message() - write one message, or the selected part of it
 * @payload:    the whole message, in memory that does not change meanwhile
 *
 * A selection that is behind the end of a sequence is null, and nothing in CSV: what stands there
 * in memory may be of another message. All formats end with a newline but RENDER_JSON and
 * RENDER_FLOW, which may become part of a line.
 */
void render_message(const struct render *render, const void *payload, FILE *out);

/*
 * render_header() - write the column names that RENDER_CSV fills
 */
void render_header(const struct render *render, FILE *out);

/*
 * render_csv_text() - write a string as RENDER_CSV does
 * @text:       ends at a NUL, if there is one in it
 * @bytes:      its length, or more
 *
 * In double quotes, and otherwise as it is. What is no UTF-8 becomes a question mark for each byte;
 * if @out is a terminal, so does each character that it may not get.
 */
void render_csv_text(const uint8_t *text, uint32_t bytes, FILE *out);

/*
 * render_csv_number() - write a number as RENDER_CSV does
 * @kind:       of a scalar
 * @at:         its bytes, not aligned
 */
void render_csv_number(uint32_t kind, const uint8_t *at, FILE *out);

/*
 * render_real() - a number as YAML and the others write it
 * @text:       room for it
 * @number:     the value
 * @single:     it is a float32
 *
 * Return: @text; always with a decimal point, so that it stays a float where it is read.
 */
const char *render_real(char text[40], double number, bool single);

#endif
