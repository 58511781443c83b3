/*
 * Keys: which there are, which come later, and which stand there twice.
 */

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "schema/loader.h"
#include "schema/suggest.h"
#include "schema/utf8.h"
#include "schema/util.h"

/* Keys that the language will have. They are refused by name, so that a file written for a later
 * release says what it needs instead of what is unknown. */
static const struct {
        const char *key;
        const char *release;
} later_keys[] = {
        {"waiters", "0.2.0"},
};

static int node_compare(const void *left, const void *right) {
        const struct node *a = *(const struct node *const *) left;
        const struct node *b = *(const struct node *const *) right;
        int order = strcmp(a->text, b->text);

        if (order) {
                return order;
        }
        if (a->line != b->line) {
                return a->line < b->line ? -1 : 1;
        }
        return a->column < b->column ? -1 : 1;
}

/* Sorted, because comparing each with each would let a file of 1 MiB take minutes. */
static void keys_report_doubled(struct loader *loader,
                                struct node **keys,
                                size_t count,
                                const char *what,
                                const char *verb) {
        const struct node *first = NULL;

        qsort(keys, count, sizeof(*keys), node_compare);
        for (size_t i = 0; i < count; i++) {
                if (!first || strcmp(first->text, keys[i]->text)) {
                        first = keys[i];
                        continue;
                }
                loader_error(loader, keys[i], "%s '%s' is already %s on line %u", what,
                             keys[i]->text, verb, first->line);
                keys[i]->broken = true;
        }
}

int keys_unique(struct loader *loader,
                const struct node *mapping,
                const char *what,
                const char *verb) {
        struct node **keys;
        size_t count = 0;

        keys = calloc(mapping->count + 1, sizeof(struct node *));
        if (!keys) {
                return -ENOMEM;
        }
        NODE_FOR_EACH_PAIR(key, mapping) {
                if (!key->broken) {
                        keys[count++] = key;
                }
        }
        keys_report_doubled(loader, keys, count, what, verb);
        free(keys);
        return 0;
}

static bool keys_report_later(struct loader *loader, struct node *key) {
        for (size_t i = 0; i < ELEMENTS(later_keys); i++) {
                if (!strcmp(later_keys[i].key, key->text)) {
                        loader_error(loader, key,
                                     "key '%s' works from slipring %s on, and this is %s",
                                     key->text, later_keys[i].release, SLIPRING_VERSION);
                        return true;
                }
        }
        return false;
}

/* "a, b and c" */
static void keys_list(char *text, size_t bytes, const char *const *keys, size_t count) {
        text[0] = '\0';
        for (size_t i = 0; i < count; i++) {
                const char *joint = i == 0 ? "" : i + 1 == count ? " and " : ", ";

                strncat(text, joint, bytes - strlen(text) - 1);
                strncat(text, keys[i], bytes - strlen(text) - 1);
        }
}

static void keys_report_unknown(struct loader *loader,
                                struct node *key,
                                const char *where,
                                const char *const *keys,
                                size_t count) {
        struct suggestion suggestion = {.word = key->text};
        char list[256];

        for (size_t i = 0; i < count; i++) {
                if (!strcmp(keys[i], key->text)) {
                        return;
                }
                suggestion_offer(&suggestion, keys[i]);
        }
        key->broken = true;
        if (keys_report_later(loader, key)) {
                return;
        }
        if (suggestion.best) {
                loader_error(loader, key, "unknown key '%.64s' %s; did you mean '%s'?", key->text,
                             where, suggestion.best);
                return;
        }
        keys_list(list, sizeof(list), keys, count);
        loader_error(loader, key, "unknown key '%.64s' %s; there are %s", key->text, where, list);
}

int keys_check(struct loader *loader,
               const struct node *mapping,
               const char *where,
               const char *const *keys,
               size_t count) {
        int r;

        r = keys_unique(loader, mapping, "key", "given");
        if (r < 0) {
                return r;
        }
        NODE_FOR_EACH_PAIR(key, mapping) {
                if (!key->broken) {
                        keys_report_unknown(loader, key, where, keys, count);
                }
        }
        return 0;
}

static bool node_is_empty(const struct node *node) {
        return node->kind == NODE_TEXT && !node->text[0] && !node->quoted;
}

bool value_is(struct loader *loader,
              const struct node *value,
              enum node_kind kind,
              const char *what) {
        static const char *const kinds[] = {
                [NODE_TEXT] = "text",
                [NODE_LIST] = "a list",
                [NODE_MAPPING] = "a mapping",
        };

        if (value->broken) {
                return false;
        }
        if (value->kind == kind && !node_is_empty(value)) {
                return true;
        }
        loader_error(loader, value, "%s must be %s, not %s", what, kinds[kind],
                     node_describe(value));
        return false;
}

bool value_is_number(struct loader *loader, const struct node *value, const char *what) {
        if (value->broken) {
                return false;
        }
        if (value->kind != NODE_TEXT || node_is_empty(value)) {
                loader_error(loader, value, "%s must be a number, not %s", what,
                             node_describe(value));
                return false;
        }
        if (value->quoted) {
                loader_error(loader, value, "%s is a number and stands without quotes", what);
                return false;
        }
        return true;
}

static bool text_is_visible(const char *text) {
        for (size_t left = strlen(text); left > 0;) {
                uint32_t character;
                size_t length;

                length = utf8_decode(text, left, &character);
                if (length == 0 || !utf8_is_visible(character)) {
                        return false;
                }
                text += length;
                left -= length;
        }
        return true;
}

int text_read(const char **ret_text,
              struct loader *loader,
              const struct node *mapping,
              const char *key) {
        const struct node *value = node_get(mapping, key);
        size_t length;
        char *text;

        *ret_text = "";
        if (!value || !value_is(loader, value, NODE_TEXT, key)) {
                return 0;
        }
        /* A block ("description: |") ends in a newline that nobody meant. */
        length = strlen(value->text);
        length -= length > 0 && value->text[length - 1] == '\n';
        text = arena_copy(loader->arena, value->text, length);
        if (!text) {
                return -ENOMEM;
        }
        if (length > SLIPRING_DESCRIPTION_MAX) {
                loader_error(loader, value, "%s is %zu bytes long, more than %u", key, length,
                             SLIPRING_DESCRIPTION_MAX);
        } else if (!text_is_visible(text)) {
                loader_error(loader, value, "%s must be one line of visible text", key);
        } else {
                *ret_text = text;
        }
        return 0;
}
