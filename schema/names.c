#include "schema/names.h"

#include <string.h>

/* Locale must not have a say in what a name is, so no <ctype.h>. */
static bool is_lower(char c) {
        return c >= 'a' && c <= 'z';
}

static bool is_upper(char c) {
        return c >= 'A' && c <= 'Z';
}

static bool is_digit(char c) {
        return c >= '0' && c <= '9';
}

static char to_upper(char c) {
        return is_lower(c) ? (char) (c - 'a' + 'A') : c;
}

/* ^[a-z](_?[a-z0-9]+)*$ with the letters of one case; stops at a delimiter, too. */
static bool word_is_valid(const char *name, bool (*is_letter)(char), char delimiter) {
        if (!is_letter(*name)) {
                return false;
        }
        for (const char *c = name + 1; *c && *c != delimiter; c++) {
                if (is_letter(*c) || is_digit(*c)) {
                        continue;
                }
                if (*c != '_' || (!is_letter(c[1]) && !is_digit(c[1]))) {
                        return false;
                }
        }
        return true;
}

bool name_is_snake(const char *name) {
        return word_is_valid(name, is_lower, '\0');
}

bool name_is_constant(const char *name) {
        return word_is_valid(name, is_upper, '\0');
}

bool name_is_camel(const char *name) {
        if (!is_upper(*name)) {
                return false;
        }
        while (is_upper(*name) || is_lower(*name) || is_digit(*name)) {
                name++;
        }
        return *name == '\0';
}

bool name_is_path(const char *name) {
        for (;;) {
                if (!word_is_valid(name, is_lower, '/')) {
                        return false;
                }
                name = strchr(name, '/');
                if (!name) {
                        return true;
                }
                name++;
        }
}

bool name_is_padding(const char *name) {
        return !strncmp(name, "pad", 3) && name[3 + strspn(name + 3, "0123456789")] == '\0';
}

char *name_camel(struct arena *arena, const char *path) {
        char *name, *to;
        bool start = true;

        name = to = arena_alloc(arena, strlen(path) + 1, 1);
        for (; name && *path; path++) {
                if (*path == '/' || *path == '_') {
                        start = true;
                } else {
                        *to++ = start ? to_upper(*path) : *path;
                        start = false;
                }
        }
        return name;
}

/* Does a word of a camel name begin here? "JointState" has one at S, "IMUState" at S, "Imu2" none.
 */
static bool camel_word_starts(const char *name, const char *c) {
        if (c == name || !is_upper(*c)) {
                return false;
        }
        return is_lower(c[-1]) || is_digit(c[-1]) || (is_upper(c[-1]) && is_lower(c[1]));
}

char *name_constant(struct arena *arena, const char *name) {
        char *constant, *to;

        constant = to = arena_alloc(arena, 2 * strlen(name) + 1, 1);
        for (const char *c = name; constant && *c; c++) {
                if (camel_word_starts(name, c)) {
                        *to++ = '_';
                }
                *to++ = *c == '/' ? '_' : to_upper(*c);
        }
        return constant;
}

char *name_flat(struct arena *arena, const char *path) {
        char *name;

        name = arena_copy(arena, path, strlen(path));
        for (char *c = name; c && *c; c++) {
                *c = *c == '/' ? '_' : *c;
        }
        return name;
}
