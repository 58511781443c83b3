#include "publishers/host/text.h"

#include <string.h>

static bool is_digit(char c) {
        return c >= '0' && c <= '9';
}

static bool is_blank(char c) {
        return c == ' ' || c == '\t';
}

bool text_unsigned(const char **cursor, uint64_t *ret_number) {
        const char *c = *cursor;
        uint64_t number = 0;

        while (is_blank(*c)) {
                c++;
        }
        if (!is_digit(*c)) {
                return false;
        }
        for (; is_digit(*c); c++) {
                uint64_t digit = (uint64_t) (*c - '0');

                number = number > (UINT64_MAX - digit) / 10 ? UINT64_MAX : 10 * number + digit;
        }
        *cursor = c;
        *ret_number = number;
        return true;
}

size_t text_numbers(const char **cursor, uint64_t *ret_numbers, size_t capacity) {
        size_t count = 0;

        memset(ret_numbers, 0, capacity * sizeof(*ret_numbers));
        while (count < capacity && text_unsigned(cursor, &ret_numbers[count])) {
                count++;
        }
        return count;
}

bool text_number(const char *text, int64_t *ret_number) {
        bool negative = *text == '-';
        uint64_t magnitude = 0;

        text += negative || *text == '+';
        if (!text_unsigned(&text, &magnitude) || magnitude > INT64_MAX) {
                return false;
        }
        text += strspn(text, " \t\r\n");
        if (*text) {
                return false;
        }
        *ret_number = negative ? -(int64_t) magnitude : (int64_t) magnitude;
        return true;
}

const char *text_next_line(const char *text) {
        text = strchr(text, '\n');
        return text && text[1] ? text + 1 : NULL;
}

const char *text_line(const char *text, const char *word) {
        size_t length = strlen(word);

        for (; text; text = text_next_line(text)) {
                if (strncmp(text, word, length) == 0) {
                        return text + length;
                }
        }
        return NULL;
}

void text_to_name(uint8_t *name, size_t size, const char *text) {
        size_t length = strcspn(text, "\n"), i;

        length = length < size ? length : size;
        while (length > 0 && is_blank(text[length - 1])) {
                length--;
        }
        memset(name, 0, size);
        for (i = 0; i < length; i++) {
                name[i] = text[i] >= ' ' && text[i] <= '~' ? (uint8_t) text[i] : '?';
        }
}

uint64_t counter_delta(uint64_t before, uint64_t after) {
        const uint64_t range = UINT64_C(1) << 32;

        if (after >= before) {
                return after - before;
        }
        if (before < range && before >= range - range / 4 && after < range / 4) {
                return after + range - before;
        }
        return 0;
}
