#ifndef SLIPRING_SCHEMA_BUFFER_H
#define SLIPRING_SCHEMA_BUFFER_H

/*
 * Text that grows.
 *
 * Writers of long texts do not look at each call: an append that finds no memory marks the buffer
 * as failed, all later ones do nothing, and the writer asks once at the end.
 */

#include <stdbool.h>
#include <stddef.h>

/**
 * struct buffer - text that grows; all zeros is an empty one
 * @text:       the text, NUL-terminated once something was appended
 * @length:     its length in bytes
 * @capacity:   allocated bytes
 * @failed:     an append found no memory
 */
struct buffer {
        char *text;
        size_t length;
        size_t capacity;
        bool failed;
};

/** buffer_append() - append bytes */
void buffer_append(struct buffer *buffer, const char *text, size_t bytes);

/** buffer_print() - append formatted text */
void buffer_print(struct buffer *buffer, const char *format, ...)
        __attribute__((format(printf, 2, 3)));

/** buffer_free() - free the text; the buffer is empty afterwards */
void buffer_free(struct buffer *buffer);

#endif
