/*
 * The public description of a type: its fields unfolded into one tree.
 */

#include "schema/type.h"

#include <errno.h>
#include <string.h>

#include "schema/shape.h"

/* Adds the fields of one definition as siblings. */
static void tree_append(struct slipring_field *records,
                        const struct schema_definition **nested,
                        uint32_t *count,
                        const struct schema_definition *definition) {
        for (size_t i = 0; i < definition->field_count; i++) {
                const struct schema_field *field = &definition->fields[i];

                records[*count] = (struct slipring_field){
                        .name = field->name,
                        .unit = field->unit,
                        .kind = field->kind,
                        .count = field->count,
                        .offset_bytes = field->offset_bytes,
                        .element_bytes = field->element_bytes,
                        .first_child = field->number,
                };
                nested[(*count)++] = field->nested;
        }
}

/* Breadth-first: the list is its own queue. */
static int tree_build(struct slipring_field **ret_records,
                      const struct schema_definition *definition,
                      struct arena *arena) {
        const struct schema_definition **nested;
        struct slipring_field *records;
        uint32_t count = 0;

        records = arena_alloc(arena, definition->records, sizeof(*records));
        nested = arena_alloc(arena, definition->records, sizeof(*nested));
        if (!records || !nested) {
                return -ENOMEM;
        }
        tree_append(records, nested, &count, definition);
        for (uint32_t i = 0; i < count; i++) {
                if (nested[i]) {
                        records[i].first_child = count;
                        records[i].child_count = (uint32_t) nested[i]->field_count;
                        tree_append(records, nested, &count, nested[i]);
                }
        }
        *ret_records = records;
        return 0;
}

int type_build(struct schema_definition *definition, struct arena *arena, uint32_t mark) {
        struct slipring_field *records = NULL;
        struct slipring_type *type;
        int r;

        type = arena_alloc(arena, 1, sizeof(*type));
        if (!type) {
                return -ENOMEM;
        }
        r = tree_build(&records, definition, arena);
        if (r < 0) {
                return r;
        }
        type->version = SLIPRING_TYPE_VERSION;
        type->payload_bytes = definition->size_bytes;
        type->field_count = definition->records;
        type->root_count = (uint32_t) definition->field_count;
        type->fields = records;
        if (definition->message) {
                type->name = definition->message->name;
                r = shape_text(&type->text, definition->message, arena, mark);
        } else {
                type->name = arena_print(arena, "%s/msg/%s", definition->package, definition->name);
                r = type->name ? type_text(&type->text, definition, arena, mark) : -ENOMEM;
        }
        if (r < 0) {
                return r;
        }
        r = type_identity(type, type->identity);
        if (r < 0) {
                return r;
        }
        definition->type = type;
        return 0;
}
