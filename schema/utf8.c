#include "schema/utf8.h"

#include <string.h>

/* The length that a first byte announces and the bits of it that belong to the character. */
static size_t utf8_first(unsigned char byte, uint32_t *ret_bits) {
        if (byte < 0x80) {
                *ret_bits = byte;
                return 1;
        }
        if (byte >= 0xc2 && byte <= 0xdf) {
                *ret_bits = byte & 0x1f;
                return 2;
        }
        if (byte >= 0xe0 && byte <= 0xef) {
                *ret_bits = byte & 0x0f;
                return 3;
        }
        if (byte >= 0xf0 && byte <= 0xf4) {
                *ret_bits = byte & 0x07;
                return 4;
        }
        return 0;
}

size_t utf8_decode(const char *text, size_t bytes, uint32_t *ret_character) {
        static const uint32_t smallest[] = {0, 0, 0x80, 0x800, 0x10000};
        uint32_t character = 0;
        size_t length;

        length = utf8_first((unsigned char) text[0], &character);
        if (length == 0 || length > bytes) {
                return 0;
        }
        for (size_t i = 1; i < length; i++) {
                unsigned char byte = (unsigned char) text[i];

                if ((byte & 0xc0) != 0x80) {
                        return 0;
                }
                character = character << 6 | (byte & 0x3f);
        }
        if (character < smallest[length] || character > 0x10ffff ||
            (character >= 0xd800 && character <= 0xdfff)) {
                return 0;
        }
        *ret_character = character;
        return length;
}

bool utf8_is_visible(uint32_t character) {
        if (character < 0x20 || (character >= 0x7f && character < 0xa0)) {
                return false;
        }
        /* Line and paragraph separators end a line for YAML and for some editors. */
        if (character == 0x2028 || character == 0x2029 || character == 0xfeff) {
                return false;
        }
        return !((character >= 0x202a && character <= 0x202e) ||
                 (character >= 0x2066 && character <= 0x2069));
}

void utf8_sanitize(char *text) {
        size_t left = strlen(text);
        char *to = text;

        while (left > 0) {
                uint32_t character;
                size_t length;

                length = utf8_decode(text, left, &character);
                if (length == 0 || !utf8_is_visible(character)) {
                        *to++ = '?';
                        length = length ? length : 1;
                } else {
                        memmove(to, text, length);
                        to += length;
                }
                text += length;
                left -= length;
        }
        *to = '\0';
}

void utf8_print(FILE *out, const char *text, const char *kept) {
        size_t left = strlen(text), length;
        uint32_t character;

        for (; left > 0; text += length, left -= length) {
                length = utf8_decode(text, left, &character);
                if (length == 0 || (!utf8_is_visible(character) && !strchr(kept, *text))) {
                        fputc('?', out);
                        length = length ? length : 1;
                } else {
                        fwrite(text, 1, length, out);
                }
        }
}
