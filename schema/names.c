#include "schema/names.h"

#include <errno.h>
#include <stdlib.h>
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

/* Those that keep their names first, then in the order of the claims, which are one array. */
static int claim_compare(const void *left, const void *right) {
        const struct name_claim *a = *(struct name_claim *const *) left;
        const struct name_claim *b = *(struct name_claim *const *) right;
        int order = strcmp(a->name, b->name);

        if (order) {
                return order;
        }
        if (a->own != b->own) {
                return a->own ? -1 : 1;
        }
        return a < b ? -1 : a > b;
}

/* Renames all but the first of each name. Returns how many that were. */
static int claims_move(struct arena *arena, struct name_claim *const *sorted, size_t count) {
        const char *name = NULL;
        unsigned same = 0;
        int moved = 0;

        for (size_t i = 0; i < count; i++) {
                if (!name || strcmp(sorted[i]->name, name) != 0) {
                        name = sorted[i]->name;
                        same = 0;
                        continue;
                }
                same++;
                sorted[i]->name = same == 1 ? arena_print(arena, "%s_", name)
                                            : arena_print(arena, "%s_%u_", name, same);
                if (!sorted[i]->name) {
                        return -ENOMEM;
                }
                moved++;
        }
        return moved;
}

int names_part(struct arena *arena, struct name_claim *claims, size_t count) {
        struct name_claim **sorted;
        int moved;

        sorted = calloc(count + 1, sizeof(struct name_claim *));
        if (!sorted) {
                return -ENOMEM;
        }
        for (size_t i = 0; i < count; i++) {
                sorted[i] = &claims[i];
        }
        /* A new name may be one that was made before; each round makes names longer. */
        do {
                qsort(sorted, count, sizeof(struct name_claim *), claim_compare);
                moved = claims_move(arena, sorted, count);
        } while (moved > 0);
        free(sorted);
        return moved;
}
