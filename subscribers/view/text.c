#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "subscribers/view/text.h"

/* Returns false, and remembers it, if there is no room for so many bytes and a NUL. */
static bool reserve(struct text *text, size_t bytes) {
        size_t room = text->room ? text->room : 256;
        char *larger;

        if (text->failed) {
                return false;
        }
        while (room - text->used <= bytes) {
                room *= 2;
        }
        if (room == text->room) {
                return true;
        }
        larger = realloc(text->bytes, room);
        if (!larger) {
                text->failed = true;
                return false;
        }
        text->bytes = larger;
        text->room = room;
        return true;
}

void text_add(struct text *text, const char *format, ...) {
        va_list arguments, again;
        int bytes;

        va_start(arguments, format);
        va_copy(again, arguments);
        bytes = vsnprintf(NULL, 0, format, arguments);
        if (bytes >= 0 && reserve(text, (size_t) bytes)) {
                vsnprintf(text->bytes + text->used, (size_t) bytes + 1, format, again);
                text->used += (size_t) bytes;
        }
        va_end(again);
        va_end(arguments);
}

/* How many bytes the character has that begins here beyond ASCII; 0 if it is not UTF-8. */
static size_t character_bytes(const unsigned char *at) {
        size_t bytes = *at >= 0xf0 ? 4 : *at >= 0xe0 ? 3 : 2;
        unsigned code = *at & (0xffu >> (bytes + 1));

        if (*at < 0xc2 || *at > 0xf4) {
                return 0;
        }
        for (size_t i = 1; i < bytes; i++) {
                if ((at[i] & 0xc0) != 0x80) {
                        return 0;
                }
                code = code << 6 | (at[i] & 0x3f);
        }
        /* Written longer than need be, a half of a pair of UTF-16, too large. */
        if ((bytes == 3 && code < 0x800) || (code >= 0xd800 && code <= 0xdfff) ||
            (bytes == 4 && (code < 0x10000 || code > 0x10ffff))) {
                return 0;
        }
        return bytes;
}

void text_quote(struct text *text, const char *string) {
        char *to;

        /* A character takes at most six bytes, \u001f. */
        if (!reserve(text, 6 * strlen(string) + 2)) {
                return;
        }
        to = text->bytes + text->used;
        *to++ = '"';
        for (const unsigned char *at = (const unsigned char *) string; *at; at++) {
                size_t bytes = *at < 0x80 ? 0 : character_bytes(at);

                if (bytes > 0) {
                        memcpy(to, at, bytes);
                        to += bytes;
                        at += bytes - 1;
                        continue;
                }
                if (*at == '"' || *at == '\\') {
                        *to++ = '\\';
                        *to++ = (char) *at;
                } else if (*at == '\n') {
                        *to++ = '\\';
                        *to++ = 'n';
                } else if (*at < 0x20) {
                        to += sprintf(to, "\\u%04x", *at);
                } else {
                        *to++ = *at < 0x7f ? (char) *at : '?';
                }
        }
        *to++ = '"';
        *to = '\0';
        text->used = (size_t) (to - text->bytes);
}

void text_free(struct text *text) {
        free(text->bytes);
        *text = (struct text){0};
}
