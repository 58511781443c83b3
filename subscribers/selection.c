#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bus/error.h"
#include "bus/type.h"
#include "subscribers/selection.h"

/* What time and duration are made of, as ROS has it. */
static const struct slipring_field time_members[] = {
        {"sec", "", SLIPRING_KIND_INT32, 0, 0, 4, 0, 0},
        {"nanosec", "", SLIPRING_KIND_UINT32, 0, 4, 4, 0, 0},
};

struct slipring_field selection_all(const struct slipring_type *type) {
        return (struct slipring_field){
                .name = "",
                .unit = "",
                .kind = SLIPRING_KIND_STRUCT,
                .element_bytes = type->payload_bytes,
                .child_count = type->root_count,
        };
}

uint32_t selection_count(const struct slipring_type *type, const struct slipring_field *field) {
        uint32_t count = 0, i;

        if (field->kind == SLIPRING_KIND_SEQUENCE) {
                return type_elements(type, field)->count;
        }
        if (field->kind != SLIPRING_KIND_LIST) {
                return field->count;
        }
        for (i = 0; i < field->child_count; i++) {
                count += !type_is_hidden(&type->fields[field->first_child + i]);
        }
        return count;
}

/* The record among siblings that a place of the message is in, NULL for none; @base is where they
 * begin. */
static const struct slipring_field *sibling_at(const struct slipring_type *type,
                                               uint32_t first,
                                               uint32_t count,
                                               uint32_t base,
                                               uint32_t place) {
        for (uint32_t i = first; i < first + count; i++) {
                const struct slipring_field *field = &type->fields[i];

                if (place >= base + field->offset_bytes &&
                    place - base - field->offset_bytes <
                            field->element_bytes * (field->count ? field->count : 1)) {
                        return field;
                }
        }
        return NULL;
}

bool selection_is_missing(const struct slipring_type *type,
                          const struct slipring_field *field,
                          const void *payload) {
        const struct slipring_field all = selection_all(type), *at = &all, *child;
        uint32_t base = 0, place = field->offset_bytes, child_base, index;

        while (type_is_parent(at)) {
                child = sibling_at(type, at->first_child, at->child_count, base, place);
                if (!child) {
                        return false;
                }
                child_base = base + child->offset_bytes;
                index = (place - child_base) / child->element_bytes;
                if (at->kind == SLIPRING_KIND_SEQUENCE && child == type_elements(type, at) &&
                    index >= type_length(type, at, (const uint8_t *) payload + base)) {
                        return true;
                }
                base = child_base + index * child->element_bytes;
                at = child;
        }
        return false;
}

struct paths {
        const struct slipring_type *type;
        void (*visit)(void *userdata,
                      const char *path,
                      const struct slipring_field *field,
                      bool element);
        void *userdata;
};

/* Nesting bounds the recursion. */
static int
paths_below(const struct paths *paths, const char *above, uint32_t first, uint32_t count);

static int paths_at(const struct paths *paths,
                    const char *path,
                    const struct slipring_field *field,
                    bool element) {
        paths->visit(paths->userdata, path, field, element);
        switch (field->kind) {
        case SLIPRING_KIND_SEQUENCE:
                return paths_at(paths, path, type_elements(paths->type, field), true);
        case SLIPRING_KIND_STRUCT:
                return paths_below(paths, path, field->first_child, field->child_count);
        case SLIPRING_KIND_LIST:
                /* Its elements are of one type, but for what never changes. */
                return paths_at(paths, path, &paths->type->fields[field->first_child], true);
        default:
                return 0;
        }
}

static int
paths_below(const struct paths *paths, const char *above, uint32_t first, uint32_t count) {
        int r = 0;

        for (uint32_t i = first; r == 0 && i < first + count; i++) {
                const struct slipring_field *field = &paths->type->fields[i];
                char *path;

                if (asprintf(&path, "%s%s%s", above, *above ? "." : "", field->name) < 0) {
                        return -ENOMEM;
                }
                r = paths_at(paths, path, field, false);
                free(path);
        }
        return r;
}

int selection_paths(const struct slipring_type *type,
                    void (*visit)(void *userdata,
                                  const char *path,
                                  const struct slipring_field *field,
                                  bool element),
                    void *userdata) {
        const struct paths paths = {.type = type, .visit = visit, .userdata = userdata};

        return paths_below(&paths, "", 0, type->root_count);
}

/* The next element of a sequence. */
static bool sequence_next(struct selection_walk *walk, struct slipring_field *ret_element) {
        const struct slipring_field *sequence = &walk->array;
        const struct slipring_field *elements = type_elements(walk->type, sequence);
        uint32_t count = elements->count;

        if (walk->payload) {
                count = type_length(walk->type, sequence,
                                    (const uint8_t *) walk->payload + sequence->offset_bytes);
        }
        if (walk->next >= count) {
                return false;
        }
        *ret_element = *elements;
        ret_element->name = sequence->name;
        ret_element->offset_bytes +=
                sequence->offset_bytes + walk->next++ * elements->element_bytes;
        ret_element->count = 0;
        return true;
}

bool selection_walk_next(struct selection_walk *walk, struct slipring_field *ret_element) {
        const struct slipring_field *array = &walk->array, *child;

        if (array->kind == SLIPRING_KIND_SEQUENCE) {
                return sequence_next(walk, ret_element);
        }
        if (array->kind != SLIPRING_KIND_LIST) {
                if (walk->next >= array->count) {
                        return false;
                }
                *ret_element = *array;
                ret_element->offset_bytes += walk->next++ * array->element_bytes;
                ret_element->count = 0;
                return true;
        }
        while (walk->next < array->child_count) {
                child = &walk->type->fields[array->first_child + walk->next++];
                if (!type_is_hidden(child)) {
                        *ret_element = *child;
                        ret_element->name = array->name;
                        ret_element->offset_bytes += array->offset_bytes;
                        return true;
                }
        }
        return false;
}

int selection_member(const struct slipring_type *type,
                     const struct slipring_field *parent,
                     const char *name,
                     size_t length,
                     struct slipring_field *ret_field) {
        const struct slipring_field *members = time_members;
        /* @ret_field may be @parent */
        uint32_t base_bytes = parent->offset_bytes;
        const char *unit = parent->unit;
        uint32_t count = 2, i;

        if (parent->kind == SLIPRING_KIND_STRUCT) {
                members = &type->fields[parent->first_child];
                count = parent->child_count;
        } else if (parent->kind != SLIPRING_KIND_TIME && parent->kind != SLIPRING_KIND_DURATION) {
                return -ENOENT;
        }
        for (i = 0; i < count; i++) {
                if (strlen(members[i].name) == length &&
                    memcmp(members[i].name, name, length) == 0 && !type_is_hidden(&members[i])) {
                        *ret_field = members[i];
                        ret_field->offset_bytes += base_bytes;
                        /* A vector in m/s^2 has members in m/s^2. */
                        if (!*ret_field->unit && ret_field->kind != SLIPRING_KIND_STRING) {
                                ret_field->unit = unit;
                        }
                        return 0;
                }
        }
        return -ENOENT;
}

/* The index in "[7]" at the start of a text. */
static int index_read(const char **text, uint32_t count, uint32_t *ret_index) {
        unsigned long index;
        char *end;

        if ((*text)[1] < '0' || (*text)[1] > '9') {
                return -EINVAL;
        }
        errno = 0;
        index = strtoul(*text + 1, &end, 10);
        if (errno || *end != ']') {
                return -EINVAL;
        }
        if (index >= count) {
                return -ERANGE;
        }
        *text = end + 1;
        *ret_index = (uint32_t) index;
        return 0;
}

/* One step into a struct: a name, and its place among the siblings for a did-you-mean. */
static int step_name(const struct slipring_type *type,
                     struct slipring_field *at,
                     const char *name,
                     size_t length,
                     struct selection_failure *failure,
                     struct slipring_error *reterr) {
        int shown = length > 100 ? 100 : (int) length;

        uint32_t count = selection_count(type, at);

        if (count > 0) {
                return error_set(reterr, -EINVAL,
                                 "'%s' is an array of %s%u: name an element, as in %s[0].%.*s",
                                 at->name, at->kind == SLIPRING_KIND_SEQUENCE ? "up to " : "",
                                 count, at->name, shown, name);
        }
        if (selection_member(type, at, name, length, at) == 0) {
                return 0;
        }
        if (at->kind != SLIPRING_KIND_STRUCT) {
                return error_set(reterr, -ENOENT, "'%s' is a %s and has no field '%.*s'", at->name,
                                 type_kind_name(at->kind), shown, name);
        }
        if (failure && length < sizeof(failure->word)) {
                memcpy(failure->word, name, length);
                failure->first = at->first_child;
                failure->count = at->child_count;
        }
        return error_set(reterr, -ENOENT, "%s%s%s has no field '%.*s'",
                         *at->name ? "field '" : "type ", *at->name ? at->name : type->name,
                         *at->name ? "'" : "", shown, name);
}

static int step_index(const struct slipring_type *type,
                      struct slipring_field *at,
                      const char **path,
                      struct slipring_error *reterr) {
        uint32_t count = selection_count(type, at), index;
        struct selection_walk walk;
        int r;

        if (count == 0) {
                return error_set(reterr, -EINVAL,
                                 type_is_empty(at) ? "'%s' never has an element"
                                                   : "'%s' is not an array",
                                 at->name);
        }
        r = index_read(path, count, &index);
        if (r == -ERANGE) {
                return error_set(reterr, -EINVAL, "'%s' has the elements 0 to %u", at->name,
                                 count - 1);
        }
        if (r < 0) {
                return error_set(reterr, -EINVAL, "'%.80s': an index is a number in brackets",
                                 *path);
        }
        walk = (struct selection_walk){.type = type, .array = *at};
        do {
                (void) selection_walk_next(&walk, at);
        } while (index-- > 0);
        return 0;
}

int selection_find(struct slipring_field *ret_field,
                   const struct slipring_type *type,
                   const char *path,
                   struct selection_failure *reterr_failure,
                   struct slipring_error *reterr) {
        struct slipring_field at = selection_all(type);
        const char *rest = path;
        size_t length;
        int r;

        if (reterr_failure) {
                *reterr_failure = (struct selection_failure){0};
        }
        do {
                length = strcspn(rest, ".[");
                if (length == 0) {
                        return error_set(reterr, -EINVAL,
                                         "'%.80s' is no field: write a.b or a[2].b", path);
                }
                r = step_name(type, &at, rest, length, reterr_failure, reterr);
                rest += length;
                while (r == 0 && *rest == '[') {
                        r = step_index(type, &at, &rest, reterr);
                }
                if (r < 0) {
                        return r;
                }
        } while (*rest++ == '.');
        if (rest[-1] != '\0') {
                return error_set(reterr, -EINVAL, "'%.80s' is no field: write a.b or a[2].b", path);
        }
        *ret_field = at;
        return 0;
}
