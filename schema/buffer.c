#include "schema/buffer.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Makes room for some more bytes and a NUL. */
static bool buffer_reserve(struct buffer *buffer, size_t bytes) {
        size_t capacity = buffer->capacity;
        size_t need;
        char *text;

        if (buffer->failed) {
                return false;
        }
        need = buffer->length + bytes + 1;
        if (need <= capacity) {
                return true;
        }
        capacity = capacity * 2 > need ? capacity * 2 : need;
        text = realloc(buffer->text, capacity);
        if (!text) {
                buffer->failed = true;
                return false;
        }
        buffer->text = text;
        buffer->capacity = capacity;
        return true;
}

void buffer_append(struct buffer *buffer, const char *text, size_t bytes) {
        if (!buffer_reserve(buffer, bytes)) {
                return;
        }
        if (bytes > 0) {
                memcpy(buffer->text + buffer->length, text, bytes);
        }
        buffer->length += bytes;
        buffer->text[buffer->length] = '\0';
}

void buffer_print(struct buffer *buffer, const char *format, ...) {
        va_list arguments;
        int length;

        va_start(arguments, format);
        length = vsnprintf(NULL, 0, format, arguments);
        va_end(arguments);
        if (length < 0 || !buffer_reserve(buffer, (size_t) length)) {
                buffer->failed = true;
                return;
        }
        va_start(arguments, format);
        vsnprintf(buffer->text + buffer->length, (size_t) length + 1, format, arguments);
        va_end(arguments);
        buffer->length += (size_t) length;
}

void buffer_free(struct buffer *buffer) {
        free(buffer->text);
        *buffer = (struct buffer){0};
}
