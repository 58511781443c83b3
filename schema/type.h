#ifndef SLIPRING_SCHEMA_TYPE_H
#define SLIPRING_SCHEMA_TYPE_H

/*
 * From definitions to types: layout, field tree, canonical text, identity.
 */

#include "schema/arena.h"
#include "schema/buffer.h"
#include "schema/definition.h"
#include "schema/diagnostics.h"

/** What a scalar type is called and how it looks in C; indexed by enum slipring_kind. */
struct type_scalar {
        const char *schema_name;
        const char *text_name;
        const char *c_name;
        uint32_t bytes;
        uint32_t align_bytes;
};

/**
 * type_scalar() - a scalar type's properties
 * @kind:       one of enum slipring_kind but STRUCT
 *
 * Return: the properties, statically allocated.
 */
const struct type_scalar *type_scalar(uint32_t kind);

/**
 * type_kind() - the scalar type with some name
 * @name:       "float32"
 *
 * Return: one of enum slipring_kind, 0 if there is none.
 */
uint32_t type_kind(const char *name);

/**
 * type_integer_fits() - is a number within the range of a type?
 * @kind:       an integer type of enum slipring_kind
 * @negative:   the number is below zero
 * @magnitude:  its absolute value
 */
bool type_integer_fits(uint32_t kind, bool negative, uint64_t magnitude);

/**
 * layout_definition() - give each field its offset, and padding where a gap would be
 * @definition:         a definition with its fields in the order of the file
 * @arena:              owns what is added
 * @diagnostics:        mistakes: cycles, too much nesting, too many fields, too many bytes
 * @order:              counts definitions as they are done
 *
 * Does the types it uses first. A definition with a mistake is BROKEN afterwards, else it is DONE.
 *
 * Return: 0 (also with mistakes), -ENOMEM if there is no memory.
 */
int layout_definition(struct schema_definition *definition,
                      struct arena *arena,
                      struct diagnostics *diagnostics,
                      uint32_t *order);

/**
 * type_build() - make the public description of a type
 * @definition:         definition that is DONE; gets @type
 * @arena:              owns the type
 * @mark:               a number that no walk over these definitions has used before
 *
 * Return: 0, -ENOMEM if there is no memory.
 */
int type_build(struct schema_definition *definition, struct arena *arena, uint32_t mark);

/**
 * type_text() - write the canonical text
 * @ret_text:           set on success
 * @definition:         definition that is DONE
 * @arena:              owns the text
 * @mark:               as in type_build()
 *
 * Return: 0, -ENOMEM if there is no memory.
 */
int type_text(const char **ret_text,
              struct schema_definition *definition,
              struct arena *arena,
              uint32_t mark);

/**
 * type_text_fields() - write a definition's own lines of the canonical text
 * @buffer:     text to append to
 * @definition: definition that is DONE
 */
void type_text_fields(struct buffer *buffer, const struct schema_definition *definition);

/**
 * type_identity() - compute what tells a type from all others
 * @type:               type with text and fields
 * @ret_identity:       set to its identity
 *
 * Return: 0, -ENOMEM if there is no memory.
 */
int type_identity(const struct slipring_type *type, uint8_t ret_identity[32]);

#endif
