/*
 * Types as the bus sees them: a tree of fields to be walked without trust.
 */

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bus/error.h"
#include "bus/type.h"

static const struct {
        const char *name;
        uint32_t bytes;
} kinds[] = {
        [SLIPRING_KIND_BOOL] = {"bool", 1},         [SLIPRING_KIND_INT8] = {"int8", 1},
        [SLIPRING_KIND_UINT8] = {"uint8", 1},       [SLIPRING_KIND_INT16] = {"int16", 2},
        [SLIPRING_KIND_UINT16] = {"uint16", 2},     [SLIPRING_KIND_INT32] = {"int32", 4},
        [SLIPRING_KIND_UINT32] = {"uint32", 4},     [SLIPRING_KIND_INT64] = {"int64", 8},
        [SLIPRING_KIND_UINT64] = {"uint64", 8},     [SLIPRING_KIND_FLOAT32] = {"float32", 4},
        [SLIPRING_KIND_FLOAT64] = {"float64", 8},   [SLIPRING_KIND_TIME] = {"time", 8},
        [SLIPRING_KIND_DURATION] = {"duration", 8}, [SLIPRING_KIND_STRUCT] = {"struct", 0},
        [SLIPRING_KIND_LENGTH] = {"length", 4},     [SLIPRING_KIND_STRING] = {"string", 1},
        [SLIPRING_KIND_LIST] = {"list", 0},         [SLIPRING_KIND_TEXT] = {"string", 0},
        [SLIPRING_KIND_SEQUENCE] = {"sequence", 0}, [SLIPRING_KIND_GAP] = {"gap", 1},
};

#define KINDS (sizeof(kinds) / sizeof(kinds[0]))

const char *type_kind_name(uint32_t kind) {
        return kind < KINDS && kinds[kind].name ? kinds[kind].name : "?";
}

uint32_t type_kind_bytes(uint32_t kind) {
        return kind < KINDS ? kinds[kind].bytes : 0;
}

bool type_is_pad(const char *name) {
        return strncmp(name, "pad", 3) == 0 && name[3 + strspn(name + 3, "0123456789")] == '\0';
}

bool type_is_empty(const struct slipring_field *field) {
        return field->kind == SLIPRING_KIND_LENGTH && field->first_child == 0;
}

bool type_is_hidden(const struct slipring_field *field) {
        return (field->kind == SLIPRING_KIND_LENGTH && !type_is_empty(field)) ||
               field->kind == SLIPRING_KIND_GAP || type_is_pad(field->name);
}

bool type_is_parent(const struct slipring_field *field) {
        return field->kind == SLIPRING_KIND_STRUCT || field->kind == SLIPRING_KIND_LIST ||
               field->kind == SLIPRING_KIND_SEQUENCE;
}

const struct slipring_field *type_elements(const struct slipring_type *type,
                                           const struct slipring_field *sequence) {
        const struct slipring_field *second = &type->fields[sequence->first_child + 1];

        return second->kind == SLIPRING_KIND_GAP ? second + 1 : second;
}

uint32_t type_length(const struct slipring_type *type,
                     const struct slipring_field *sequence,
                     const void *at) {
        uint32_t bound = type_elements(type, sequence)->count, length;

        memcpy(&length, at, sizeof(length));
        return length < bound ? length : bound;
}

uint32_t type_text_length(const struct slipring_field *text, const void *at) {
        return (uint32_t) strnlen(at, text->element_bytes - 1);
}

bool type_is_flat(const struct slipring_type *type) {
        for (uint32_t i = 0; i < type->field_count; i++) {
                if (type->fields[i].kind == SLIPRING_KIND_TEXT ||
                    type->fields[i].kind == SLIPRING_KIND_SEQUENCE ||
                    type->fields[i].kind == SLIPRING_KIND_GAP) {
                        return false;
                }
        }
        return true;
}

bool type_is_text(const struct slipring_field *field) {
        if (field->count == 0) {
                return field->kind == SLIPRING_KIND_TEXT;
        }
        return field->kind == SLIPRING_KIND_STRING ||
               (field->kind == SLIPRING_KIND_UINT8 && strcmp(field->unit, "text") == 0);
}

uint32_t type_text_bytes(const struct slipring_field *field) {
        return field->kind == SLIPRING_KIND_TEXT ? field->element_bytes - 1 : field->count;
}

static uint64_t field_bytes(const struct slipring_field *field) {
        return (uint64_t) field->element_bytes * (field->count ? field->count : 1);
}

/* Siblings [first, first + count) inside a parent of so many bytes: in order, without overlap. */
static int check_siblings(const struct slipring_type *type,
                          uint32_t first,
                          uint32_t count,
                          uint32_t parent_bytes) {
        const struct slipring_field *field;
        uint64_t end = 0;
        uint32_t i;

        for (i = first; i < first + count; i++) {
                field = &type->fields[i];
                if (field->element_bytes == 0 || field->offset_bytes < end ||
                    field->offset_bytes + field_bytes(field) > parent_bytes) {
                        return -EBADMSG;
                }
                end = field->offset_bytes + field_bytes(field);
        }
        return 0;
}

static int check_leaf(const struct slipring_field *field) {
        /* Room for a character and the NUL. */
        if (field->kind == SLIPRING_KIND_TEXT) {
                return field->element_bytes < 2 || field->child_count != 0 ? -EBADMSG : 0;
        }
        if (field->element_bytes != type_kind_bytes(field->kind) || field->element_bytes == 0 ||
            field->child_count != 0) {
                return -EBADMSG;
        }
        /* Publishers write these: a length is one number, and a text is as long as its field. */
        if ((field->kind == SLIPRING_KIND_LENGTH && field->count != 0) ||
            (field->kind == SLIPRING_KIND_STRING && field->count != strlen(field->unit) + 1) ||
            (field->kind == SLIPRING_KIND_GAP && !type_is_pad(field->name))) {
                return -EBADMSG;
        }
        return 0;
}

/* What readers of a sequence rely on: its length comes first, then its elements. */
static int check_sequence(const struct slipring_type *type, const struct slipring_field *field) {
        const struct slipring_field *length = &type->fields[field->first_child];
        const struct slipring_field *elements = type_elements(type, field);
        const struct slipring_field *end = length + field->child_count;

        if (field->count != 0 || elements >= end || length->kind != SLIPRING_KIND_UINT32 ||
            length->count != 0 || length->offset_bytes != 0 || elements->count == 0) {
                return -EBADMSG;
        }
        if (elements + 1 < end && (elements[1].kind != SLIPRING_KIND_GAP || elements + 2 < end)) {
                return -EBADMSG;
        }
        /* An array of these is none: a length, a string and padding are one each. */
        return elements->kind == SLIPRING_KIND_STRING || elements->kind == SLIPRING_KIND_GAP ||
                               elements->kind == SLIPRING_KIND_LIST ||
                               elements->kind == SLIPRING_KIND_SEQUENCE
                       ? -EBADMSG
                       : 0;
}

static int check_record(const struct slipring_type *type, uint32_t index, uint32_t *cursor) {
        const struct slipring_field *field = &type->fields[index];

        if (!type_is_parent(field)) {
                return check_leaf(field);
        }
        if (field->kind == SLIPRING_KIND_LIST && field->count != 0) {
                return -EBADMSG;
        }
        /* Children stand after all records before them: each tree is walked once and none is a
         * ring. */
        if (field->child_count == 0 || field->first_child != *cursor ||
            field->first_child <= index || field->child_count > type->field_count - *cursor) {
                return -EBADMSG;
        }
        *cursor += field->child_count;
        if (field->kind == SLIPRING_KIND_SEQUENCE &&
            (field->child_count < 2 || check_sequence(type, field) < 0)) {
                return -EBADMSG;
        }
        return check_siblings(type, field->first_child, field->child_count, field->element_bytes);
}

/* The depth of the tree, by levels of its breadth-first order. */
static uint32_t nesting(const struct slipring_type *type) {
        uint32_t begin = 0, end = type->root_count, levels = 0, next, i;

        while (begin < end) {
                next = end;
                for (i = begin; i < end; i++) {
                        next += type->fields[i].child_count;
                }
                levels++;
                begin = end;
                end = next;
        }
        return levels;
}

int type_check(const struct slipring_type *type, struct slipring_error *reterr) {
        uint32_t cursor = type->root_count, i;

        if (type->version != SLIPRING_TYPE_VERSION) {
                return error_set(reterr, -EBADMSG, "type description has version %u, expected %u",
                                 type->version, SLIPRING_TYPE_VERSION);
        }
        if (type->payload_bytes == 0 || type->payload_bytes > SLIPRING_PAYLOAD_MAX ||
            type->field_count > SLIPRING_FIELDS_MAX || type->root_count == 0 ||
            type->root_count > type->field_count ||
            check_siblings(type, 0, type->root_count, type->payload_bytes) < 0) {
                return error_set(reterr, -EBADMSG, "type '%s': its fields do not fit its size",
                                 type->name);
        }
        for (i = 0; i < type->field_count; i++) {
                if (check_record(type, i, &cursor) < 0) {
                        return error_set(reterr, -EBADMSG, "type '%s': field '%s' is malformed",
                                         type->name, type->fields[i].name);
                }
        }
        if (cursor != type->field_count || nesting(type) > SLIPRING_NESTING_MAX) {
                return error_set(reterr, -EBADMSG, "type '%s': its field tree is malformed",
                                 type->name);
        }
        return 0;
}

static void describe(const struct slipring_field *field, char *text, size_t bytes) {
        char unit[80] = "", count[16] = "";

        if (field->kind == SLIPRING_KIND_LENGTH) {
                (void) snprintf(text, bytes, "a length of %u", field->first_child);
                return;
        }
        if (field->kind == SLIPRING_KIND_STRING) {
                (void) snprintf(text, bytes, "the string '%.64s'", field->unit);
                return;
        }
        if (field->kind == SLIPRING_KIND_TEXT) {
                (void) snprintf(text, bytes, "a string of up to %u bytes at byte %u",
                                field->element_bytes - 1, field->offset_bytes);
                return;
        }
        if (field->count) {
                (void) snprintf(count, sizeof(count), "[%u]", field->count);
        }
        if (*field->unit) {
                (void) snprintf(unit, sizeof(unit), " in %.64s", field->unit);
        }
        (void) snprintf(text, bytes, "%s%s%s at byte %u", type_kind_name(field->kind), count, unit,
                        field->offset_bytes);
}

static bool field_equal(const struct slipring_field *a, const struct slipring_field *b) {
        return a->kind == b->kind && a->count == b->count && a->offset_bytes == b->offset_bytes &&
               a->element_bytes == b->element_bytes && strcmp(a->name, b->name) == 0 &&
               strcmp(a->unit, b->unit) == 0 && a->child_count == b->child_count &&
               a->first_child == b->first_child;
}

void type_path(const struct slipring_type *type, uint32_t index, char text[TYPE_PATH_BYTES]) {
        const size_t bytes = TYPE_PATH_BYTES;
        char below[TYPE_PATH_BYTES];
        const char *rest;
        uint32_t i;

        (void) snprintf(text, bytes, "%.200s", type->fields[index].name);
        for (i = index; i-- > 0;) {
                const struct slipring_field *field = &type->fields[i];

                if (field->child_count && index >= field->first_child &&
                    index - field->first_child < field->child_count) {
                        index = i;
                        /* Of a sequence, what is in it has its name. */
                        rest = field->kind == SLIPRING_KIND_SEQUENCE ? text + strcspn(text, ".")
                                                                     : NULL;
                        (void) snprintf(below, sizeof(below), "%s", rest ? rest : text);
                        (void) snprintf(text, bytes, "%.100s%s%.150s", field->name, rest ? "" : ".",
                                        below);
                }
        }
}

int type_compare(const struct slipring_type *expected,
                 const struct slipring_type *actual,
                 const char *topic,
                 struct slipring_error *reterr) {
        char path[TYPE_PATH_BYTES], want[160], have[160];
        uint32_t i, common;

        if (memcmp(expected->identity, actual->identity, sizeof(actual->identity)) == 0) {
                return 0;
        }
        if (strcmp(expected->name, actual->name) != 0) {
                return error_set(reterr, -EPROTOTYPE,
                                 "topic '%s' has type %s, this program was built for %s", topic,
                                 actual->name, expected->name);
        }
        common = expected->field_count < actual->field_count ? expected->field_count
                                                             : actual->field_count;
        for (i = 0; i < common; i++) {
                if (field_equal(&expected->fields[i], &actual->fields[i])) {
                        continue;
                }
                type_path(actual, i, path);
                describe(&actual->fields[i], have, sizeof(have));
                describe(&expected->fields[i], want, sizeof(want));
                return error_set(
                        reterr, -EPROTOTYPE,
                        "topic '%s', type %s: field '%s' is %s on the bus, but '%s', %s, in "
                        "this program; build it again from the bus's schema",
                        topic, actual->name, path, have, expected->fields[i].name, want);
        }
        return error_set(
                reterr, -EPROTOTYPE,
                expected->field_count == actual->field_count
                        ? "topic '%s', type %s: the fields agree but constants differ (%u "
                          "fields on the bus, %u in this program); build it again from the "
                          "bus's schema"
                        : "topic '%s', type %s: %u fields on the bus, %u in this program; "
                          "build it again from the bus's schema",
                topic, actual->name, actual->field_count, expected->field_count);
}

struct constants {
        struct ring_constant *items;
        size_t count;
        size_t capacity;
};

static int add_constant(struct constants *constants, struct ring_constant constant) {
        struct ring_constant *larger;

        if (constants->count == constants->capacity) {
                constants->capacity = constants->capacity ? 2 * constants->capacity : 8;
                larger = realloc(constants->items, constants->capacity * sizeof(*larger));
                if (!larger) {
                        return -ENOMEM;
                }
                constants->items = larger;
        }
        constants->items[constants->count++] = constant;
        return 0;
}

static int collect(struct constants *constants,
                   const struct slipring_type *type,
                   uint32_t first,
                   uint32_t count,
                   uint32_t base_bytes);

static int
collect_leaf(struct constants *constants, const struct slipring_field *field, uint32_t at) {
        struct ring_constant constant = {.offset_bytes = at,
                                         .bytes = (uint32_t) field_bytes(field)};

        if (field->kind == SLIPRING_KIND_LENGTH) {
                /* The bus is little-endian only: the number lies there as it does here. */
                constant.value = (const uint8_t *) &field->first_child;
        } else if (field->kind == SLIPRING_KIND_STRING) {
                constant.value = (const uint8_t *) field->unit;
        } else if (!type_is_pad(field->name)) {
                return 0;
        }
        return add_constant(constants, constant);
}

static int collect_field(struct constants *constants,
                         const struct slipring_type *type,
                         const struct slipring_field *field,
                         uint32_t base_bytes) {
        uint32_t i, at = base_bytes + field->offset_bytes;
        int r;

        if (!type_is_parent(field)) {
                return collect_leaf(constants, field, at);
        }
        for (i = 0; i < (field->count ? field->count : 1); i++) {
                size_t before = constants->count;

                r = collect(constants, type, field->first_child, field->child_count,
                            at + i * field->element_bytes);
                if (r < 0) {
                        return r;
                }
                if (constants->count == before) {
                        /* Nothing in one element, nothing in a million. */
                        break;
                }
        }
        return 0;
}

static int collect(struct constants *constants,
                   const struct slipring_type *type,
                   uint32_t first,
                   uint32_t count,
                   uint32_t base_bytes) {
        uint32_t i;
        int r;

        for (i = first; i < first + count; i++) {
                r = collect_field(constants, type, &type->fields[i], base_bytes);
                if (r < 0) {
                        return r;
                }
        }
        return 0;
}

int type_constants(const struct slipring_type *type,
                   struct ring_constant **ret_constants,
                   size_t *ret_count) {
        struct constants constants = {0};
        int r;

        r = collect(&constants, type, 0, type->root_count, 0);
        if (r < 0) {
                free(constants.items);
                return r;
        }
        *ret_constants = constants.items;
        *ret_count = constants.count;
        return 0;
}

/* The first boolean below these records that is neither 0 nor 1; NULL if all are. */
static const struct slipring_field *
bad_bool(const struct slipring_type *type, uint32_t first, uint32_t count, const uint8_t *at) {
        for (uint32_t i = first; i < first + count; i++) {
                const struct slipring_field *field = &type->fields[i];
                uint32_t elements = field->count ? field->count : 1;

                if (field->kind != SLIPRING_KIND_BOOL && !type_is_parent(field)) {
                        continue;
                }
                for (uint32_t j = 0; j < elements; j++) {
                        const uint8_t *element =
                                at + field->offset_bytes + (size_t) j * field->element_bytes;
                        const struct slipring_field *bad = NULL;

                        if (type_is_parent(field)) {
                                bad = bad_bool(type, field->first_child, field->child_count,
                                               element);
                        } else if (*element > 1) {
                                bad = field;
                        }
                        if (bad) {
                                return bad;
                        }
                }
        }
        return NULL;
}

const struct slipring_field *type_bad_bool(const struct slipring_type *type, const void *payload) {
        return bad_bool(type, 0, type->root_count, payload);
}
