/*
 * Messages of ROS 2 on a bus, where their size never changes.
 *
 * CDR aligns each number to its own size, counted from the start of the message, and writes a
 * length before each string and sequence. With strings and lengths that never change each field has
 * its one place. Gaps become padding here as in schema/layout.c, but the text of the type does not
 * tell of it: readers that know the message of ROS decode these bytes as they are.
 *
 * A gap behind a struct belongs to that struct as far as C wants it there, so that most nested
 * structs are ones of C, too; source code sees the others field by field. Sequences of messages
 * whose elements differ, in strings or in where padding stands, become lists.
 *
 * With a string or a sequence that only has a bound there is no such place, and a copy makes CDR of
 * the message (bus/cdr.h). It is laid out as C does it then: each struct for itself, from 0.
 */

#include "schema/shape.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "schema/names.h"
#include "schema/suggest.h"
#include "schema/type.h"
#include "schema/util.h"
#include "schema/value.h"

/* Fields that are looked at or made for all topics of a file together: messages that use messages
 * unfold to more than any file says. Names that are offered for one that is wrong are fewer. */
#define VISITS_MAX 1000000u
#define OFFERS_MAX 1000u

/**
 * struct shape - a message being laid out
 * @loader:     loader
 * @type:       where the topic's type stands
 * @constants:  values of strings, NULL where the topic has none
 * @lengths:    lengths of sequences, likewise
 * @bounds:     bounds of both, likewise
 * @empty:      the length of a sequence of large elements that has none, if nothing followed so far
 * @empty_path: its path
 * @natural:    something has but a bound: the layout is that of C
 * @at:         bytes so far
 * @records:    fields so far
 * @pads:       padding fields so far
 * @depth:      structs and lists being filled
 * @broken:     a mistake was reported
 * @full:       the message passed a limit: nothing more is looked at
 */
struct shape {
        struct loader *loader;
        const struct node *type;
        const struct node *constants;
        const struct node *lengths;
        const struct node *bounds;
        const struct node *empty;
        const char *empty_path;
        bool natural;
        uint64_t at;
        uint32_t records;
        uint32_t pads;
        uint32_t depth;
        bool broken;
        bool full;
};

/**
 * struct frame - a struct or list being filled
 * @definition: it
 * @base:       where it begins in the message; 0 in a layout of C, which has one for each struct
 * @above:      bytes so far of what it stands in, in a layout of C
 */
struct frame {
        struct schema_definition *definition;
        uint64_t base;
        uint64_t above;
};

#define shape_error(shape, node, ...)                                                              \
        do {                                                                                       \
                (shape)->broken = true;                                                            \
                loader_error((shape)->loader, node, __VA_ARGS__);                                  \
        } while (0)

/*
 * Fields
 */

static void shape_fill(struct shape *shape, const char *problem) {
        if (!shape->full) {
                shape_error(shape, shape->type, "the message %s", problem);
        }
        shape->full = true;
}

/* Counts a field. Returns whether there were too many. */
static bool shape_visit(struct shape *shape) {
        if (++shape->loader->visits > VISITS_MAX) {
                shape_fill(shape, "and those before it have too many fields together");
        }
        return shape->full;
}

static uint32_t kind_bytes(uint32_t kind) {
        if (kind == SLIPRING_KIND_LENGTH) {
                return 4;
        }
        return kind == SLIPRING_KIND_STRING ? 1 : type_scalar(kind)->bytes;
}

static uint32_t kind_align(uint32_t kind) {
        if (kind == SLIPRING_KIND_LENGTH) {
                return 4;
        }
        return kind == SLIPRING_KIND_STRING || kind == SLIPRING_KIND_TEXT
                       ? 1
                       : type_scalar(kind)->align_bytes;
}

/* Appends a field at the end of a definition. There is always room for one more. */
static int definition_append(struct shape *shape,
                             struct schema_definition *definition,
                             const struct schema_field *field) {
        size_t count = definition->field_count;
        struct schema_field *larger;

        if (shape_visit(shape)) {
                return 0;
        }
        /* Of what is left one is for padding. */
        if (shape->records >= SLIPRING_FIELDS_MAX - 1) {
                shape_fill(shape, "has too many fields, nested ones included");
                return 0;
        }
        if ((count & (count - 1)) == 0) {
                larger = arena_alloc(shape->loader->arena, count ? 2 * count : 1, sizeof(*larger));
                if (!larger) {
                        return -ENOMEM;
                }
                if (count > 0) {
                        memcpy(larger, definition->fields, count * sizeof(*larger));
                }
                definition->fields = larger;
        }
        definition->fields[definition->field_count++] = *field;
        shape->records++;
        return 0;
}

static int pad_append(struct shape *shape,
                      struct schema_definition *definition,
                      uint32_t kind,
                      uint32_t at,
                      uint32_t gap) {
        struct schema_field pad = {
                .unit = "",
                .description = "",
                .kind = kind,
                .count = gap,
                .offset_bytes = at,
                .element_bytes = 1,
                .padding = true,
        };

        pad.name = arena_print(shape->loader->arena, "pad%u", shape->pads++);
        return pad.name ? definition_append(shape, definition, &pad) : -ENOMEM;
}

/* Fills the end of the last struct of a definition, up to what C makes its size, if no more than a
 * gap is needed. Returns the bytes that this took. The depth of nesting bounds the recursion. */
static int tail_absorb(struct shape *shape, struct schema_definition *definition, uint32_t gap) {
        struct schema_field *last;
        struct schema_definition *nested;
        uint32_t tail;
        int taken, r;

        if (definition->field_count == 0) {
                return 0;
        }
        last = &definition->fields[definition->field_count - 1];
        nested = last->nested;
        if (last->kind != SLIPRING_KIND_STRUCT || last->count > 0) {
                return 0;
        }
        taken = tail_absorb(shape, nested, gap);
        if (taken < 0) {
                return taken;
        }
        nested->size_bytes += (uint32_t) taken;
        tail = -nested->size_bytes & (nested->align_bytes - 1);
        if (tail > 0 && tail <= gap - (uint32_t) taken) {
                r = pad_append(shape, nested, SLIPRING_KIND_UINT8, nested->size_bytes, tail);
                if (r < 0) {
                        return r;
                }
                nested->size_bytes += tail;
                taken += (int) tail;
        }
        last->element_bytes = nested->size_bytes;
        return taken;
}

/* Goes on to the next place with some alignment. */
static int pad_to(struct shape *shape, const struct frame *frame, uint32_t align_bytes) {
        uint32_t gap = (uint32_t) (-shape->at & (align_bytes - 1));
        int taken;

        if (gap == 0) {
                return 0;
        }
        if (shape->natural) {
                shape->at += gap;
                return pad_append(shape, frame->definition, SLIPRING_KIND_GAP,
                                  (uint32_t) (shape->at - gap), gap);
        }
        taken = tail_absorb(shape, frame->definition, gap);
        if (taken < 0) {
                return taken;
        }
        shape->at += (uint32_t) taken;
        gap -= (uint32_t) taken;
        if (gap == 0) {
                return 0;
        }
        shape->at += gap;
        return pad_append(shape, frame->definition, SLIPRING_KIND_UINT8,
                          (uint32_t) (shape->at - gap - frame->base), gap);
}

static void definition_align(struct schema_definition *definition, uint32_t align_bytes) {
        if (align_bytes > definition->align_bytes) {
                definition->align_bytes = align_bytes;
        }
}

/* Something follows. Some readers go to where the first element would be, others do not. */
static void empty_end(struct shape *shape) {
        if (shape->empty) {
                shape_error(shape, shape->empty,
                            "'%s' cannot be empty: readers of CDR disagree about what follows an "
                            "empty sequence of such elements",
                            shape->empty_path);
                shape->empty = NULL;
        }
}

/* Appends a number or a text, or an array of them. Of a text @number is its size. */
static int leaf_put(struct shape *shape,
                    const struct frame *frame,
                    const char *name,
                    uint32_t kind,
                    uint32_t count,
                    uint32_t number,
                    const char *unit) {
        struct schema_field field = {
                .name = name,
                .unit = unit,
                .description = "",
                .kind = kind,
                .count = count,
                .number = kind == SLIPRING_KIND_TEXT ? 0 : number,
                .element_bytes = kind == SLIPRING_KIND_TEXT ? number : kind_bytes(kind),
        };
        int r;

        empty_end(shape);
        r = pad_to(shape, frame, kind_align(kind));
        if (r < 0) {
                return r;
        }
        field.offset_bytes = (uint32_t) (shape->at - frame->base);
        shape->at += (uint64_t) field.element_bytes * (count ? count : 1);
        definition_align(frame->definition, kind_align(kind));
        if (shape->at > SLIPRING_PAYLOAD_MAX) {
                shape_fill(shape, "is larger than 1 GiB");
        }
        return shape->broken ? 0 : definition_append(shape, frame->definition, &field);
}

/*
 * What the topic says
 */

/* The value of a string, for one element of the array around it. NULL after a mistake. */
static const char *constant_find(struct shape *shape,
                                 const char *path,
                                 const struct msg_field *field,
                                 uint32_t index) {
        const struct node *value = shape->constants ? node_get(shape->constants, path) : NULL;

        if (!value) {
                shape_error(shape, shape->type,
                            "string '%s' needs a value that never changes: const: {%s: TEXT}, or a "
                            "bound: bounds: {%s: BYTES}",
                            path, path, path);
                return NULL;
        }
        if (value->kind == NODE_LIST) {
                value = value->first;
                while (value && index-- > 0) {
                        value = value->next;
                }
        }
        if (!value || value->kind != NODE_TEXT) {
                shape_error(shape, node_get(shape->constants, path),
                            "'%s' needs a text, or a list with one for each element", path);
                return NULL;
        }
        for (const char *c = value->text; *c; c++) {
                if (*c < ' ' || *c > '~') {
                        shape_error(shape, value, "'%s' must be of printable ASCII", path);
                        return NULL;
                }
        }
        if (strlen(value->text) > SLIPRING_DESCRIPTION_MAX ||
            (field->string_bound > 0 && strlen(value->text) > field->string_bound)) {
                shape_error(shape, value, "'%s' is longer than %u bytes", path,
                            field->string_bound > 0 &&
                                            field->string_bound < SLIPRING_DESCRIPTION_MAX
                                    ? field->string_bound
                                    : SLIPRING_DESCRIPTION_MAX);
                return NULL;
        }
        return value->text;
}

/* The length of a sequence. False after a mistake. */
static bool length_find(struct shape *shape,
                        const char *path,
                        const struct msg_field *field,
                        uint32_t *ret_length) {
        const struct node *value = shape->lengths ? node_get(shape->lengths, path) : NULL;
        const struct node *texts = shape->constants ? node_get(shape->constants, path) : NULL;
        uint64_t length = 0, limit = field->length > 0 ? field->length : MSG_LENGTH_MAX;
        bool negative = false;

        if (!value && field->kind == MSG_KIND_STRING && texts && texts->kind == NODE_LIST) {
                /* As many as there are values. */
                value = texts;
                length = texts->count;
        } else if (!value) {
                shape_error(shape, shape->type,
                            "sequence '%s' needs a length that never changes: lengths: {%s: N}, or "
                            "a bound: bounds: {%s: %s}",
                            path, path, path,
                            field->kind == MSG_KIND_STRING && !field->string_bound
                                    ? "[ELEMENTS, BYTES]"
                                    : "N");
                return false;
        } else if (!value_is_number(shape->loader, value, "length")) {
                shape->broken = true;
                return false;
        } else if (value_integer(value->text, &negative, &length) < 0 || negative) {
                shape_error(shape, value, "length '%.64s' is not a number of elements",
                            value->text);
                return false;
        }
        if (length > limit) {
                shape_error(shape, value, "'%s' has more than %llu elements", path,
                            (unsigned long long) limit);
                return false;
        }
        *ret_length = (uint32_t) length;
        return true;
}

/* A sequence without elements, if it matters to what would follow. */
static void empty_begin(struct shape *shape, const char *path, const struct msg_field *field) {
        bool large = field->kind == SLIPRING_KIND_STRUCT ||
                     (field->kind != MSG_KIND_STRING && kind_align(field->kind) > 4);

        if (large && !shape->natural) {
                shape->empty = node_get(shape->lengths, path);
                shape->empty_path = path;
        }
}

/**
 * struct bounds - what a topic says of a string or sequence that changes
 * @elements:   of a sequence, 0 where it has a length
 * @bytes:      of a string, 0 where it has a value
 */
struct bounds {
        uint32_t elements;
        uint32_t bytes;
};

/* Reads one bound, within that of the message itself. */
static bool bound_read(struct shape *shape,
                       const char *path,
                       const struct node *value,
                       uint32_t own,
                       uint32_t *ret_bound) {
        uint64_t bound = 0, limit = own > 0 ? own : MSG_LENGTH_MAX;
        bool negative = false;

        if (!value_is_number(shape->loader, value, "bound")) {
                shape->broken = true;
                return false;
        }
        if (value_integer(value->text, &negative, &bound) < 0 || negative || bound == 0) {
                shape_error(shape, value, "bound '%.64s' is not a number from 1 on", value->text);
                return false;
        }
        if (bound > limit) {
                shape_error(shape, value, "the bound of '%s' is above %llu", path,
                            (unsigned long long) limit);
                return false;
        }
        *ret_bound = (uint32_t) bound;
        return true;
}

static bool field_is_sequence(const struct msg_field *field) {
        return field->array == MSG_SEQUENCE || field->array == MSG_BOUNDED;
}

/* What changes of a field, and how far. False after a mistake. */
static bool bounds_find(struct shape *shape,
                        const char *path,
                        const struct msg_field *field,
                        struct bounds *ret_bounds) {
        const struct node *value = shape->bounds ? node_get(shape->bounds, path) : NULL;
        bool fixed = shape->lengths && node_get(shape->lengths, path);
        bool constant = shape->constants && node_get(shape->constants, path);
        bool sequence = field_is_sequence(field) && !fixed;
        bool text = field->kind == MSG_KIND_STRING;
        uint32_t own = field->array == MSG_BOUNDED ? field->length : 0;

        *ret_bounds = (struct bounds){0};
        if (constant || (fixed && !text)) {
                if (value) {
                        shape_error(shape, value, "'%s' has a %s that never changes, and no bound",
                                    path, constant ? "value" : "length");
                }
                return !value;
        }
        *ret_bounds = (struct bounds){.elements = sequence ? own : 0,
                                      .bytes = text ? field->string_bound : 0};
        if (!value) {
                return true;
        }
        if (!sequence || !text) {
                return bound_read(shape, path, value, sequence ? own : field->string_bound,
                                  sequence ? &ret_bounds->elements : &ret_bounds->bytes);
        }
        if (value->kind == NODE_LIST && value->count == 2) {
                return bound_read(shape, path, value->first, own, &ret_bounds->elements) &&
                       bound_read(shape, path, value->first->next, field->string_bound,
                                  &ret_bounds->bytes);
        }
        if (value->kind == NODE_TEXT && field->string_bound > 0) {
                return bound_read(shape, path, value, own, &ret_bounds->elements);
        }
        shape_error(shape, value, "'%s' needs two bounds, [ELEMENTS, BYTES]", path);
        return false;
}

/* Does anything in a message have but a bound? Depth of messages bounds the recursion. */
static int
bounds_any(struct shape *shape, const struct msg *msg, const char *above, bool *ret_any) {
        int r = 0;

        for (size_t i = 0; r == 0 && i < msg->field_count && !*ret_any && !shape_visit(shape);
             i++) {
                const struct msg_field *field = &msg->fields[i];
                struct bounds bounds;
                const char *path;

                path = arena_print(shape->loader->arena, "%s%s%s", above, *above ? "." : "",
                                   field->name);
                if (!path) {
                        return -ENOMEM;
                }
                (void) bounds_find(shape, path, field, &bounds);
                *ret_any = bounds.elements > 0 || bounds.bytes > 0;
                if (field->nested) {
                        r = bounds_any(shape, field->nested, path, ret_any);
                }
        }
        return r;
}

/* Do elements of an array of messages have values of their own? */
static bool constants_vary(const struct shape *shape, const char *path) {
        size_t length = strlen(path);

        if (!shape->constants) {
                return false;
        }
        NODE_FOR_EACH_PAIR(key, shape->constants) {
                if (!strncmp(key->text, path, length) && key->text[length] == '.' &&
                    key->next->kind == NODE_LIST) {
                        return true;
                }
        }
        return false;
}

/*
 * Messages
 */

static int message_put(struct shape *shape,
                       const struct frame *frame,
                       const struct msg *msg,
                       const char *path,
                       uint32_t index);

/* Time and Duration are kinds of their own; 0 for other messages. */
static uint32_t builtin_kind(const struct msg *msg) {
        if (!strcmp(msg->name, "builtin_interfaces/msg/Time")) {
                return SLIPRING_KIND_TIME;
        }
        return strcmp(msg->name, "builtin_interfaces/msg/Duration") ? 0 : SLIPRING_KIND_DURATION;
}

/* Alignment of the first number in a message. */
static uint32_t message_first_align(const struct msg *msg) {
        const struct msg_field *first = msg->fields;

        while (msg->field_count > 0 && first->array != MSG_SEQUENCE &&
               first->array != MSG_BOUNDED && first->kind == SLIPRING_KIND_STRUCT) {
                msg = first->nested;
                first = msg->fields;
        }
        if (msg->field_count == 0) {
                return 1;
        }
        if (first->array == MSG_SEQUENCE || first->array == MSG_BOUNDED ||
            first->kind == MSG_KIND_STRING) {
                return 4;
        }
        return kind_align(first->kind);
}

/* A struct or list at this place of the message. */
static int frame_open(struct shape *shape, struct frame *frame) {
        frame->base = shape->at;
        frame->definition = arena_alloc(shape->loader->arena, 1, sizeof(*frame->definition));
        if (!frame->definition) {
                return -ENOMEM;
        }
        *frame->definition = (struct schema_definition){.name = "",
                                                        .package = "",
                                                        .align_bytes = 1,
                                                        .bounded = shape->natural,
                                                        .state = DEFINITION_DONE};
        frame->above = shape->at;
        if (shape->natural) {
                frame->base = shape->at = 0;
        }
        if (++shape->depth > SLIPRING_NESTING_MAX && !shape->broken) {
                shape_error(shape, shape->type, "the message is nested deeper than %u levels",
                            SLIPRING_NESTING_MAX);
        }
        return 0;
}

/* Ends what C lays out for itself, and goes to its place. */
static int frame_place(struct shape *shape, struct frame *frame, const struct frame *parent) {
        uint64_t size;
        int r;

        r = pad_to(shape, frame, frame->definition->align_bytes);
        if (r < 0) {
                return r;
        }
        size = shape->at;
        shape->at = frame->above;
        r = pad_to(shape, parent, frame->definition->align_bytes);
        frame->base = shape->at;
        shape->at += size;
        return r;
}

/* Appends it to what it stands in. */
static int frame_close(struct shape *shape,
                       struct frame *frame,
                       const struct frame *parent,
                       const char *name,
                       uint32_t kind,
                       uint32_t count) {
        struct schema_definition *definition = frame->definition;
        struct schema_field field = {
                .name = name,
                .unit = "",
                .description = "",
                .kind = kind,
                .count = count,
                .nested = definition,
        };
        int r;

        shape->depth--;
        if (shape->broken) {
                return 0;
        }
        if (shape->natural) {
                r = frame_place(shape, frame, parent);
                if (r < 0) {
                        return r;
                }
        }
        field.offset_bytes = (uint32_t) (frame->base - parent->base);
        definition->size_bytes = (uint32_t) (shape->at - frame->base);
        field.element_bytes = definition->size_bytes;
        definition_align(parent->definition, definition->align_bytes);
        if (count > 1) {
                shape->at += (uint64_t) definition->size_bytes * (count - 1);
        }
        if (shape->at > SLIPRING_PAYLOAD_MAX) {
                shape_fill(shape, "is larger than 1 GiB");
                return 0;
        }
        return definition_append(shape, parent->definition, &field);
}

/* Goes to where CDR puts the first number of something; C puts the whole where it ends. */
static int value_align(struct shape *shape, const struct frame *frame, uint32_t align_bytes) {
        return shape->natural ? 0 : pad_to(shape, frame, align_bytes);
}

/* Appends one value of a field. */
static int value_put(struct shape *shape,
                     const struct frame *frame,
                     const struct msg_field *field,
                     const char *name,
                     const char *path,
                     uint32_t index) {
        struct frame inner;
        struct bounds bounds;
        const char *text;
        uint32_t kind = field->kind;
        int r;

        if (kind == MSG_KIND_STRING) {
                if (!bounds_find(shape, path, field, &bounds)) {
                        return 0;
                }
                if (bounds.bytes > 0) {
                        return leaf_put(shape, frame, name, SLIPRING_KIND_TEXT, 0, bounds.bytes + 1,
                                        "");
                }
                text = constant_find(shape, path, field, index);
                if (!text) {
                        return 0;
                }
                r = leaf_put(shape, frame, name, SLIPRING_KIND_LENGTH, 0,
                             (uint32_t) strlen(text) + 1, "");
                return r < 0 ? r
                             : leaf_put(shape, frame, name, SLIPRING_KIND_STRING,
                                        (uint32_t) strlen(text) + 1, 0, text);
        }
        kind = kind == SLIPRING_KIND_STRUCT ? builtin_kind(field->nested) : kind;
        if (kind) {
                return leaf_put(shape, frame, name, kind, 0, 0, "");
        }
        r = value_align(shape, frame, message_first_align(field->nested));
        if (r == 0) {
                r = frame_open(shape, &inner);
        }
        if (r == 0 && !shape->broken) {
                r = message_put(shape, &inner, field->nested, path, index);
        }
        return r < 0 ? r : frame_close(shape, &inner, frame, name, SLIPRING_KIND_STRUCT, 0);
}

/* Appends elements that may differ, each as a field. */
static int list_put(struct shape *shape,
                    const struct frame *frame,
                    const struct msg_field *field,
                    const char *path,
                    uint32_t count) {
        struct frame inner;
        const char *name;
        int r;

        r = value_align(shape, frame,
                        field->kind == MSG_KIND_STRING ? 4 : message_first_align(field->nested));
        if (r == 0) {
                r = frame_open(shape, &inner);
        }
        for (uint32_t i = 0; r == 0 && i < count && !shape->broken; i++) {
                name = arena_print(shape->loader->arena, "%u", i);
                r = name ? value_put(shape, &inner, field, name, path, i) : -ENOMEM;
        }
        return r < 0 ? r : frame_close(shape, &inner, frame, field->name, SLIPRING_KIND_LIST, 0);
}

/* Appends an array of messages; as a list where its elements are not all alike. */
static int array_put(struct shape *shape,
                     const struct frame *frame,
                     const struct msg_field *field,
                     const char *name,
                     const char *path,
                     uint32_t count) {
        struct shape before;
        struct frame inner;
        uint32_t align_bytes;
        int r;

        if (constants_vary(shape, path)) {
                return list_put(shape, frame, field, path, count);
        }
        r = value_align(shape, frame, message_first_align(field->nested));
        if (r < 0) {
                return r;
        }
        before = *shape;
        r = frame_open(shape, &inner);
        if (r == 0 && !shape->broken) {
                r = message_put(shape, &inner, field->nested, path, 0);
        }
        if (count > 1) {
                empty_end(shape);
        }
        if (r < 0 || shape->broken) {
                return r;
        }
        align_bytes = inner.definition->align_bytes;
        if (!shape->natural && ((inner.base | (shape->at - inner.base)) & (align_bytes - 1)) != 0) {
                *shape = before;
                return list_put(shape, frame, field, path, count);
        }
        return frame_close(shape, &inner, frame, name, SLIPRING_KIND_STRUCT, count);
}

/* Appends elements of one kind: in an array, or in a sequence. */
static int elements_put(struct shape *shape,
                        const struct frame *frame,
                        const struct msg_field *field,
                        const char *name,
                        const char *path,
                        uint32_t count,
                        uint32_t text_bytes) {
        uint32_t kind = field->kind;

        if (text_bytes > 0) {
                return leaf_put(shape, frame, name, SLIPRING_KIND_TEXT, count, text_bytes + 1, "");
        }
        kind = kind == SLIPRING_KIND_STRUCT ? builtin_kind(field->nested) : kind;
        return kind ? leaf_put(shape, frame, name, kind, count, 0, "")
                    : array_put(shape, frame, field, name, path, count);
}

/* Appends a sequence whose length changes. */
static int sequence_put(struct shape *shape,
                        const struct frame *frame,
                        const struct msg_field *field,
                        const char *path,
                        const struct bounds *bounds) {
        struct frame inner;
        int r;

        if (field->kind == MSG_KIND_STRING && bounds->bytes == 0) {
                shape_error(shape, shape->type,
                            "the strings of sequence '%s' need a bound, too: bounds: {%s: "
                            "[ELEMENTS, BYTES]}",
                            path, path);
                return 0;
        }
        if (field->nested && constants_vary(shape, path)) {
                shape_error(shape, shape->type,
                            "elements of '%s' have values of their own; it needs a length that "
                            "never changes: lengths: {%s: N}",
                            path, path);
                return 0;
        }
        r = frame_open(shape, &inner);
        if (r == 0) {
                r = leaf_put(shape, &inner, "length", SLIPRING_KIND_UINT32, 0, 0, "");
        }
        if (r == 0 && !shape->broken) {
                r = elements_put(shape, &inner, field, "elements", path, bounds->elements,
                                 bounds->bytes);
        }
        return r < 0 ? r
                     : frame_close(shape, &inner, frame, field->name, SLIPRING_KIND_SEQUENCE, 0);
}

/* Appends a field. */
static int field_put(struct shape *shape,
                     const struct frame *frame,
                     const struct msg_field *field,
                     const char *above,
                     uint32_t index) {
        uint32_t count = field->length;
        struct bounds bounds;
        const char *path;
        int r;

        if (shape_visit(shape)) {
                return 0;
        }
        path = arena_print(shape->loader->arena, "%s%s%s", above, *above ? "." : "", field->name);
        if (!path) {
                return -ENOMEM;
        }
        /* Packages made by slipring generate have padding of this kind. */
        if (name_is_padding(field->name) &&
            (field->kind != SLIPRING_KIND_UINT8 || field->array != MSG_ARRAY)) {
                shape_error(shape, shape->type,
                            "field '%s' has a name that is reserved for padding", path);
                return 0;
        }
        if (field->array == MSG_SINGLE) {
                return value_put(shape, frame, field, field->name, path, index);
        }
        if (!bounds_find(shape, path, field, &bounds)) {
                return 0;
        }
        if (bounds.elements > 0) {
                return sequence_put(shape, frame, field, path, &bounds);
        }
        if (field->array != MSG_ARRAY) {
                if (!length_find(shape, path, field, &count)) {
                        return 0;
                }
                r = leaf_put(shape, frame, field->name, SLIPRING_KIND_LENGTH, 0, count, "");
                if (r < 0 || shape->broken) {
                        return r;
                }
                if (count == 0) {
                        empty_begin(shape, path, field);
                        return 0;
                }
        }
        if (field->kind == MSG_KIND_STRING && bounds.bytes == 0) {
                return list_put(shape, frame, field, path, count);
        }
        return elements_put(shape, frame, field, field->name, path, count, bounds.bytes);
}

/* Appends all fields of a message. The depth of nesting bounds the recursion. */
static int message_put(struct shape *shape,
                       const struct frame *frame,
                       const struct msg *msg,
                       const char *path,
                       uint32_t index) {
        int r = 0;

        for (size_t i = 0; r == 0 && i < msg->field_count && !shape->full; i++) {
                r = field_put(shape, frame, &msg->fields[i], path, index);
        }
        if (msg->field_count == 0 && r == 0 && !shape->full) {
                /* C has no empty struct, so ROS 2 puts a byte into an empty message. */
                empty_end(shape);
                shape->at++;
                r = pad_append(shape, frame->definition, SLIPRING_KIND_UINT8,
                               (uint32_t) (shape->at - 1 - frame->base), 1);
        }
        return r;
}

/*
 * Paths that lead nowhere
 */

/* The field that a path names, NULL if there is none. */
static const struct msg_field *path_find(const struct msg *msg, const char *path) {
        while (msg) {
                size_t length = strcspn(path, "."), i = 0;

                while (i < msg->field_count && (strncmp(msg->fields[i].name, path, length) != 0 ||
                                                msg->fields[i].name[length])) {
                        i++;
                }
                if (i == msg->field_count) {
                        return NULL;
                }
                if (!path[length]) {
                        return &msg->fields[i];
                }
                path += length + 1;
                msg = msg->fields[i].nested;
        }
        return NULL;
}

enum path_kind {
        PATH_STRING = 1,
        PATH_SEQUENCE = 2,
        PATH_EITHER = 3,
};

/* Is this a field that such paths lead to? */
static bool field_is(const struct msg_field *field, enum path_kind kind) {
        return (kind & PATH_STRING && field->kind == MSG_KIND_STRING) ||
               (kind & PATH_SEQUENCE && field_is_sequence(field));
}

/* Offers all strings, or all sequences, of a message. */
static int paths_offer(struct shape *shape,
                       struct suggestion *suggestion,
                       const struct msg *msg,
                       const char *above,
                       enum path_kind kind,
                       uint32_t *left) {
        int r = 0;

        for (size_t i = 0; r == 0 && i<msg->field_count && * left> 0; i++) {
                const struct msg_field *field = &msg->fields[i];
                const char *path;

                --*left;
                path = arena_print(shape->loader->arena, "%s%s%s", above, *above ? "." : "",
                                   field->name);
                if (!path) {
                        return -ENOMEM;
                }
                if (field_is(field, kind)) {
                        suggestion_offer(suggestion, path);
                }
                if (field->nested) {
                        r = paths_offer(shape, suggestion, field->nested, path, kind, left);
                }
        }
        return r;
}

static int paths_check(struct shape *shape,
                       const struct msg *msg,
                       const struct node *mapping,
                       enum path_kind kind) {
        static const char *const names[] = {
                [PATH_STRING] = "string",
                [PATH_SEQUENCE] = "sequence",
                [PATH_EITHER] = "string or sequence",
        };
        const char *what = names[kind];
        int r;

        r = mapping ? keys_unique(shape->loader, mapping, what, "given") : 0;
        if (r < 0 || !mapping) {
                return r;
        }
        NODE_FOR_EACH_PAIR(key, mapping) {
                const struct msg_field *field = key->broken ? NULL : path_find(msg, key->text);
                struct suggestion suggestion = {.word = key->text};
                uint32_t left = OFFERS_MAX;

                if (key->broken || (field && field_is(field, kind))) {
                        continue;
                }
                if (!diagnostics_full(shape->loader->diagnostics)) {
                        r = paths_offer(shape, &suggestion, msg, "", kind, &left);
                        if (r < 0) {
                                return r;
                        }
                }
                shape_error(shape, key, "message '%s' has no %s '%.64s'%s%s%s", msg->name, what,
                            key->text, suggestion.best ? "; did you mean '" : "",
                            suggestion.best ? suggestion.best : "", suggestion.best ? "'?" : "");
        }
        return 0;
}

/* A mapping of a topic, NULL where it has none. */
static const struct node *
mapping_find(struct shape *shape, const struct node *key, const char *name) {
        const struct node *value = node_get(key->next, name);

        if (!value) {
                return NULL;
        }
        if (!value_is(shape->loader, value, NODE_MAPPING, name)) {
                shape->broken = true;
                return NULL;
        }
        if (value->count > SCHEMA_VALUES_MAX) {
                shape_error(shape, value, "%s has more than %u entries", name, SCHEMA_VALUES_MAX);
                shape->full = true;
                return NULL;
        }
        return value;
}

int shape_read(struct loader *loader,
               struct schema_definition *definition,
               struct msg *msg,
               const struct node *key) {
        struct shape shape = {.loader = loader, .type = node_get(key->next, "type"), .depth = 1};
        const struct frame frame = {.definition = definition};
        int r;

        definition->align_bytes = 1;
        shape.constants = mapping_find(&shape, key, "const");
        shape.lengths = mapping_find(&shape, key, "lengths");
        shape.bounds = mapping_find(&shape, key, "bounds");
        r = paths_check(&shape, msg, shape.constants, PATH_STRING);
        if (r == 0) {
                r = paths_check(&shape, msg, shape.lengths, PATH_SEQUENCE);
        }
        if (r == 0) {
                r = paths_check(&shape, msg, shape.bounds, PATH_EITHER);
        }
        shape.natural = shape.bounds && shape.bounds->count > 0;
        if (r == 0 && !shape.natural) {
                r = bounds_any(&shape, msg, "", &shape.natural);
        }
        definition->bounded = shape.natural;
        if (r == 0) {
                r = message_put(&shape, &frame, msg, "", 0);
        }
        if (r == 0 && shape.natural) {
                r = pad_to(&shape, &frame, definition->align_bytes);
        }
        definition->size_bytes = (uint32_t) shape.at;
        definition->records = shape.records;
        definition->state = shape.broken ? DEFINITION_BROKEN : DEFINITION_DONE;
        return r;
}

/*
 * Text
 */

#define SEPARATOR                                                                                  \
        "================================================================================\n"

/* "sensor_msgs/msg/Imu" as a type text has it: "sensor_msgs/Imu". */
static void text_name(struct buffer *buffer, const char *name) {
        size_t package = strcspn(name, "/");

        buffer_append(buffer, name, package + 1);
        buffer_print(buffer, "%s", name + package + strlen("/msg/"));
}

static void
text_constants(struct buffer *buffer, const struct msg *msg, size_t *next, size_t field) {
        for (; *next < msg->constant_count && msg->constants[*next].before <= field; (*next)++) {
                const struct msg_constant *constant = &msg->constants[*next];

                buffer_print(buffer, "%s %s=", constant->type, constant->name);
                if (constant->kind != MSG_KIND_STRING) {
                        buffer_print(buffer, "%s\n", constant->text);
                        continue;
                }
                buffer_print(buffer, "\"");
                for (const char *c = constant->text; *c; c++) {
                        buffer_print(buffer, "%s%c", *c == '"' || *c == '\\' ? "\\" : "", *c);
                }
                buffer_print(buffer, "\"\n");
        }
}

static void text_field(struct buffer *buffer, const struct msg_field *field) {
        if (field->kind == SLIPRING_KIND_STRUCT) {
                text_name(buffer, field->nested_name);
        } else if (field->kind == MSG_KIND_STRING) {
                buffer_print(buffer, "string");
        } else {
                buffer_print(buffer, "%s",
                             field->byte ? "byte" : type_scalar(field->kind)->text_name);
        }
        if (field->string_bound > 0) {
                buffer_print(buffer, "<=%u", field->string_bound);
        }
        if (field->array == MSG_SEQUENCE) {
                buffer_print(buffer, "[]");
        } else if (field->array != MSG_SINGLE) {
                buffer_print(buffer, "[%s%u]", field->array == MSG_BOUNDED ? "<=" : "",
                             field->length);
        }
        buffer_print(buffer, " %s\n", field->name);
}

void shape_text_lines(struct buffer *buffer, const struct msg *msg) {
        size_t next = 0;

        /* Those of an empty message are empty, and not none. */
        buffer_append(buffer, "", 0);
        for (size_t i = 0; i < msg->field_count; i++) {
                text_constants(buffer, msg, &next, i);
                text_field(buffer, &msg->fields[i]);
        }
        text_constants(buffer, msg, &next, msg->field_count);
}

/* A message's own lines, then those of the messages it uses. Nesting bounds the recursion. */
static void text_message(struct buffer *buffer, struct msg *msg, uint32_t mark) {
        msg->mark = mark;
        shape_text_lines(buffer, msg);
        for (size_t i = 0; i < msg->field_count; i++) {
                struct msg *nested = msg->fields[i].nested;

                if (nested && nested->mark != mark) {
                        buffer_print(buffer, SEPARATOR "MSG: ");
                        text_name(buffer, nested->name);
                        buffer_print(buffer, "\n");
                        text_message(buffer, nested, mark);
                }
        }
}

int shape_text(const char **ret_text, struct msg *msg, struct arena *arena, uint32_t mark) {
        struct buffer buffer = {0};
        char *text = NULL;

        text_message(&buffer, msg, mark);
        if (!buffer.failed) {
                text = arena_copy(arena, buffer.text, buffer.length);
        }
        buffer_free(&buffer);
        if (!text) {
                return -ENOMEM;
        }
        *ret_text = text;
        return 0;
}
