/*
 * The identity of a type:
 *
 *     SHA-256( text || lines )
 *
 * text     the canonical text (schema/text.c), without its NUL
 * lines    for each record of the field tree that has a unit, in the order of the tree (breadth
 *          first), "unit PATH UNIT\n"; PATH is the names from the message's own field down to this
 *          one with dots between them. For each length of a message of ROS 2 "length PATH NUMBER\n"
 *          and for each string "string PATH TEXT\n" say what never changes. For each string and
 *          sequence that does, "bound PATH NUMBER\n", before its unit
 *
 * For instance, for {voltage: {type: float32, unit: V}, cell: {type: Cell}} where Cell is
 * {temperature: {type: float32, unit: degC}}:
 *
 *     float32 voltage\n
 *     power/Cell cell\n
 *     ================================================================================\n
 *     MSG: power/Cell\n
 *     float32 temperature\n
 *     unit voltage V\n
 *     unit cell.temperature degC\n
 *
 * Everything it is computed from is in struct slipring_type, so anybody who attaches to a topic can
 * check it with sha256sum. The type's own name, descriptions, ranges and all that belongs to topics
 * are no part of it: they change neither what the bytes are nor what they mean.
 */

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <nettle/sha2.h>

#include "schema/type.h"

static void hash_text(struct sha256_ctx *hash, const char *text) {
        sha256_update(hash, strlen(text), (const uint8_t *) text);
}

/* The path of a record; its nesting bounds the recursion. Roots have themselves as parent. */
static void hash_path(struct sha256_ctx *hash,
                      const struct slipring_type *type,
                      const uint32_t *parents,
                      uint32_t record) {
        if (parents[record] != record) {
                hash_path(hash, type, parents, parents[record]);
                hash_text(hash, ".");
        }
        hash_text(hash, type->fields[record].name);
}

static void hash_line(struct sha256_ctx *hash,
                      const struct slipring_type *type,
                      const uint32_t *parents,
                      uint32_t record,
                      const char *what,
                      const char *value) {
        hash_text(hash, what);
        hash_text(hash, " ");
        hash_path(hash, type, parents, record);
        hash_text(hash, " ");
        hash_text(hash, value);
        hash_text(hash, "\n");
}

/* What type_elements() of the medium says, which this room may not call. */
static const struct slipring_field *elements_of(const struct slipring_type *type,
                                                const struct slipring_field *sequence) {
        const struct slipring_field *second = &type->fields[sequence->first_child + 1];

        return second->kind == SLIPRING_KIND_GAP ? second + 1 : second;
}

int type_identity(const struct slipring_type *type, uint8_t ret_identity[32]) {
        struct sha256_ctx hash;
        uint32_t *parents;
        char number[16];

        parents = calloc(type->field_count, sizeof(*parents));
        if (!parents) {
                return -ENOMEM;
        }
        for (uint32_t i = 0; i < type->root_count; i++) {
                parents[i] = i;
        }
        sha256_init(&hash);
        hash_text(&hash, type->text);
        for (uint32_t i = 0; i < type->field_count; i++) {
                const struct slipring_field *field = &type->fields[i];

                for (uint32_t j = 0; j < field->child_count; j++) {
                        parents[field->first_child + j] = i;
                }
                if (field->kind == SLIPRING_KIND_TEXT || field->kind == SLIPRING_KIND_SEQUENCE) {
                        snprintf(number, sizeof(number), "%" PRIu32,
                                 field->kind == SLIPRING_KIND_TEXT
                                         ? field->element_bytes - 1
                                         : elements_of(type, field)->count);
                        hash_line(&hash, type, parents, i, "bound", number);
                }
                if (field->kind == SLIPRING_KIND_LENGTH) {
                        snprintf(number, sizeof(number), "%" PRIu32, field->first_child);
                        hash_line(&hash, type, parents, i, "length", number);
                } else if (field->kind == SLIPRING_KIND_STRING) {
                        hash_line(&hash, type, parents, i, "string", field->unit);
                } else if (field->unit[0]) {
                        hash_line(&hash, type, parents, i, "unit", field->unit);
                }
        }
        sha256_digest(&hash, 32, ret_identity);
        free(parents);
        return 0;
}
