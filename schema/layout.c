/*
 * Layout: one set of offsets for C and for CDR.
 *
 * CDR aligns each leaf to its own size, counted from the start of the message, and adds nothing
 * after a struct. C aligns each struct to its widest member and rounds its size up. The two agree
 * wherever no gap is left to the compiler, so each gap, inside or at the end, becomes a field:
 * "uint8[3] pad0", numbered through the type. The order of fields is never changed, because it is
 * what a message on the wire looks like.
 *
 * Where a string or a sequence changes its length there is no such set, and a copy makes CDR of the
 * struct. Its padding is that of C alone, so it is no part of the text.
 */

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "schema/type.h"
#include "schema/util.h"

static const struct type_scalar scalars[] = {
        [SLIPRING_KIND_BOOL] = {"bool", "bool", "uint8_t", 1, 1},
        [SLIPRING_KIND_INT8] = {"int8", "int8", "int8_t", 1, 1},
        [SLIPRING_KIND_UINT8] = {"uint8", "uint8", "uint8_t", 1, 1},
        [SLIPRING_KIND_INT16] = {"int16", "int16", "int16_t", 2, 2},
        [SLIPRING_KIND_UINT16] = {"uint16", "uint16", "uint16_t", 2, 2},
        [SLIPRING_KIND_INT32] = {"int32", "int32", "int32_t", 4, 4},
        [SLIPRING_KIND_UINT32] = {"uint32", "uint32", "uint32_t", 4, 4},
        [SLIPRING_KIND_INT64] = {"int64", "int64", "int64_t", 8, 8},
        [SLIPRING_KIND_UINT64] = {"uint64", "uint64", "uint64_t", 8, 8},
        [SLIPRING_KIND_FLOAT32] = {"float32", "float32", "float", 4, 4},
        [SLIPRING_KIND_FLOAT64] = {"float64", "float64", "double", 8, 8},
        [SLIPRING_KIND_TIME] = {"time", "builtin_interfaces/Time", "struct slipring_time", 8, 4},
        [SLIPRING_KIND_DURATION] = {"duration", "builtin_interfaces/Duration",
                                    "struct slipring_duration", 8, 4},
};

const struct type_scalar *type_scalar(uint32_t kind) {
        return &scalars[kind];
}

uint32_t type_kind(const char *name) {
        for (uint32_t kind = SLIPRING_KIND_BOOL; kind < ELEMENTS(scalars); kind++) {
                if (!strcmp(scalars[kind].schema_name, name)) {
                        return kind;
                }
        }
        return 0;
}

static bool kind_is_signed(uint32_t kind) {
        return kind == SLIPRING_KIND_INT8 || kind == SLIPRING_KIND_INT16 ||
               kind == SLIPRING_KIND_INT32 || kind == SLIPRING_KIND_INT64;
}

bool type_integer_fits(uint32_t kind, bool negative, uint64_t magnitude) {
        unsigned bits = 8 * scalars[kind].bytes - kind_is_signed(kind);
        uint64_t largest = UINT64_MAX >> (64 - bits);

        if (negative) {
                return kind_is_signed(kind) && magnitude <= largest + 1;
        }
        return magnitude <= largest;
}

/**
 * struct layout - a walk over the types that a type uses
 * @arena:              owns new fields
 * @diagnostics:        takes mistakes
 * @path:               definitions being laid out, each used by the one before
 * @depth:              how many
 * @order:              definitions that are done
 */
struct layout {
        struct arena *arena;
        struct diagnostics *diagnostics;
        struct schema_definition *path[SLIPRING_NESTING_MAX];
        size_t depth;
        uint32_t *order;
};

/* Names the types from one back to itself: "A -> B -> A". */
static void layout_report_cycle(struct layout *layout, const struct schema_field *field) {
        char text[512] = "";
        size_t length = 0, i = 0;

        while (layout->path[i] != field->nested) {
                i++;
        }
        for (; i < layout->depth && length < sizeof(text) - 32; i++) {
                int written = snprintf(text + length, sizeof(text) - length, "%.24s -> ",
                                       layout->path[i]->name);

                length += written > 0 ? (size_t) written : 0;
        }
        diagnostics_add(layout->diagnostics, DIAGNOSTIC_ERROR, field->type_line, field->type_column,
                        "type '%s' contains itself: %s%s", field->nested->name, text,
                        field->nested->name);
}

static int layout_visit(struct layout *layout, struct schema_definition *definition);

/* Lays out the type of a field. Returns 1 if it can be used, 0 if a mistake was reported. */
static int layout_nested(struct layout *layout, const struct schema_field *field) {
        int r;

        if (field->nested->state == DEFINITION_VISITING) {
                layout_report_cycle(layout, field);
                return 0;
        }
        if (field->nested->state == DEFINITION_READ && layout->depth < SLIPRING_NESTING_MAX) {
                r = layout_visit(layout, field->nested);
                if (r < 0) {
                        return r;
                }
        }
        if (field->nested->state == DEFINITION_BROKEN) {
                return 0;
        }
        if (field->nested->state != DEFINITION_DONE ||
            field->nested->nesting >= SLIPRING_NESTING_MAX) {
                diagnostics_add(layout->diagnostics, DIAGNOSTIC_ERROR, field->type_line,
                                field->type_column, "types are nested deeper than %u levels",
                                SLIPRING_NESTING_MAX);
                return 0;
        }
        return 1;
}

/* Appends a field that fills the gap up to the next multiple of an alignment. */
static int layout_pad(struct layout *layout,
                      struct schema_definition *definition,
                      uint64_t *size,
                      uint32_t align_bytes,
                      uint32_t *pads) {
        uint32_t gap = (uint32_t) (-*size & (align_bytes - 1));
        struct schema_field *pad;
        char *name;

        if (gap == 0) {
                return 0;
        }
        name = arena_print(layout->arena, "pad%u", (*pads)++);
        if (!name) {
                return -ENOMEM;
        }
        pad = &definition->fields[definition->field_count++];
        *pad = (struct schema_field){
                .name = name,
                .unit = "",
                .description = "",
                .kind = definition->bounded ? SLIPRING_KIND_GAP : SLIPRING_KIND_UINT8,
                .count = gap,
                .offset_bytes = (uint32_t) *size,
                .element_bytes = 1,
                .padding = true,
        };
        definition->records++;
        *size += gap;
        return 0;
}

static uint32_t field_align(const struct schema_field *field) {
        if (field->kind == SLIPRING_KIND_TEXT) {
                return 1;
        }
        return field->nested ? field->nested->align_bytes : scalars[field->kind].align_bytes;
}

static int layout_sequence(struct layout *layout,
                           const struct schema_definition *definition,
                           struct schema_field *field);

/* Appends a field of the file. Returns 1 if it fits, 0 if a mistake was reported. */
static int layout_field(struct layout *layout,
                        struct schema_definition *definition,
                        struct schema_field field,
                        uint64_t *size,
                        uint32_t *pads) {
        uint32_t align_bytes;
        uint64_t records;
        int r;

        if (field.bound > 0) {
                r = layout_sequence(layout, definition, &field);
                if (r <= 0) {
                        return r;
                }
        }
        align_bytes = field_align(&field);
        records = 1 + (field.nested ? field.nested->records : 0);
        r = layout_pad(layout, definition, size, align_bytes, pads);
        if (r < 0) {
                return r;
        }
        if (field.kind != SLIPRING_KIND_TEXT) {
                field.element_bytes =
                        field.nested ? field.nested->size_bytes : scalars[field.kind].bytes;
        }
        field.offset_bytes = (uint32_t) *size;
        *size += (uint64_t) field.element_bytes * (field.count ? field.count : 1);
        if (*size > SLIPRING_PAYLOAD_MAX) {
                diagnostics_add(layout->diagnostics, DIAGNOSTIC_ERROR, field.line, field.column,
                                "with field '%s' type '%s' is larger than 1 GiB", field.name,
                                definition->name);
                return 0;
        }
        /* The one that is left is for padding at the end. */
        if (definition->records + records > SLIPRING_FIELDS_MAX - 1) {
                diagnostics_add(layout->diagnostics, DIAGNOSTIC_ERROR, field.line, field.column,
                                "with field '%s' type '%s' has more than %u fields, nested ones "
                                "included",
                                field.name, definition->name, SLIPRING_FIELDS_MAX);
                return 0;
        }
        definition->records += (uint32_t) records;
        definition->fields[definition->field_count++] = field;
        if (align_bytes > definition->align_bytes) {
                definition->align_bytes = align_bytes;
        }
        if (field.nested && field.nested->nesting >= definition->nesting) {
                definition->nesting = field.nested->nesting + 1;
        }
        if (definition->nesting > SLIPRING_NESTING_MAX) {
                diagnostics_add(
                        layout->diagnostics, DIAGNOSTIC_ERROR, field.type_line, field.type_column,
                        "types are nested deeper than %u levels, of which a sequence is one",
                        SLIPRING_NESTING_MAX);
                return 0;
        }
        return 1;
}

/* Makes a struct of a sequence: its length, and room for its elements. Returns 1, or 0 after a
 * mistake. What a file says of the elements' values is left with the field. */
static int layout_sequence(struct layout *layout,
                           const struct schema_definition *definition,
                           struct schema_field *field) {
        struct schema_field length = {
                .name = "length",
                .unit = "",
                .description = "",
                .kind = SLIPRING_KIND_UINT32,
                .line = field->line,
                .column = field->column,
        };
        struct schema_field elements = *field;
        struct schema_definition *nested;
        uint32_t pads = 0;
        uint64_t size = 0;
        int r;

        nested = arena_alloc(layout->arena, 1, sizeof(*nested));
        if (!nested) {
                return -ENOMEM;
        }
        *nested = (struct schema_definition){
                .name = definition->name,
                .package = definition->package,
                .align_bytes = 1,
                .nesting = 1,
                .bounded = true,
                .state = DEFINITION_DONE,
        };
        /* These, padding between them, and padding at the end. */
        nested->fields = arena_alloc(layout->arena, 4, sizeof(*nested->fields));
        if (!nested->fields) {
                return -ENOMEM;
        }
        elements.count = field->bound;
        elements.bound = 0;
        elements.range_min = elements.range_max = NULL;
        elements.values = NULL;
        elements.value_count = 0;
        r = layout_field(layout, nested, length, &size, &pads);
        if (r > 0) {
                r = layout_field(layout, nested, elements, &size, &pads);
        }
        if (r <= 0) {
                return r;
        }
        nested->fields[nested->field_count - 1].name = "elements";
        r = layout_pad(layout, nested, &size, nested->align_bytes, &pads);
        if (r < 0) {
                return r;
        }
        field->kind = SLIPRING_KIND_SEQUENCE;
        field->bound = 0;
        field->nested = nested;
        nested->size_bytes = (uint32_t) size;
        return 1;
}

static bool field_is_bounded(const struct schema_field *field) {
        return field->kind == SLIPRING_KIND_TEXT || field->bound > 0 ||
               (field->nested && field->nested->bounded);
}

/* Makes the list of fields with their offsets and padding. Returns 0 after a mistake, else 1. */
static int layout_fields(struct layout *layout, struct schema_definition *definition) {
        const struct schema_field *read = definition->fields;
        size_t count = definition->field_count;
        uint32_t pads = 0;
        uint64_t size = 0;
        int r;

        /* At most one padding field before each, and one at the end. */
        definition->fields = arena_alloc(layout->arena, 2 * count + 1, sizeof(*read));
        if (!definition->fields) {
                return -ENOMEM;
        }
        definition->field_count = 0;
        definition->align_bytes = 1;
        definition->nesting = 1;
        for (size_t i = 0; i < count; i++) {
                definition->bounded = definition->bounded || field_is_bounded(&read[i]);
        }
        for (size_t i = 0; i < count; i++) {
                r = layout_field(layout, definition, read[i], &size, &pads);
                if (r <= 0) {
                        return r;
                }
        }
        r = layout_pad(layout, definition, &size, definition->align_bytes, &pads);
        if (r < 0) {
                return r;
        }
        definition->size_bytes = (uint32_t) size;
        return 1;
}

static int layout_visit(struct layout *layout, struct schema_definition *definition) {
        bool usable = true;
        int r = 0;

        definition->state = DEFINITION_VISITING;
        layout->path[layout->depth++] = definition;
        for (size_t i = 0; i < definition->field_count; i++) {
                if (definition->fields[i].nested) {
                        r = layout_nested(layout, &definition->fields[i]);
                        if (r < 0) {
                                return r;
                        }
                        usable = usable && r > 0;
                }
        }
        layout->depth--;
        if (usable) {
                r = layout_fields(layout, definition);
                if (r < 0) {
                        return r;
                }
                usable = r > 0;
        }
        definition->state = usable ? DEFINITION_DONE : DEFINITION_BROKEN;
        definition->order = ++*layout->order;
        return 0;
}

int layout_definition(struct schema_definition *definition,
                      struct arena *arena,
                      struct diagnostics *diagnostics,
                      uint32_t *order) {
        struct layout layout = {.arena = arena, .diagnostics = diagnostics, .order = order};

        if (definition->state != DEFINITION_READ) {
                return 0;
        }
        return layout_visit(&layout, definition);
}
