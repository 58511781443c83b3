#ifndef SLIPRING_SCHEMA_DEFINITION_H
#define SLIPRING_SCHEMA_DEFINITION_H

/*
 * A type as the file defines it, with all that a generator of source code wants to know.
 *
 * struct slipring_type is made from it: the same fields without ranges, values and descriptions,
 * and with nested types unfolded.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <slipring/type.h>

/**
 * struct schema_value - a name for a number
 * @name:       as in the file, "OK"
 * @constant:   as in the type text, "STATUS_OK"
 * @negative:   the number is below zero
 * @magnitude:  its absolute value
 * @line:       where it is defined
 * @column:     from 1
 */
struct schema_value {
        const char *name;
        const char *constant;
        bool negative;
        uint64_t magnitude;
        uint32_t line;
        uint32_t column;
};

/**
 * struct schema_field - one field of a type, padding included
 * @name:               its name
 * @unit:               "" where none
 * @description:        "" where none
 * @range_min:          as written, NULL where there is no range
 * @range_max:          as written
 * @kind:               one of enum slipring_kind
 * @count:              0 for a single value, else the elements of the array
 * @bound:              as the file has it: elements that a sequence may have, 0 for other fields;
 *                      the layout makes a SLIPRING_KIND_SEQUENCE of it
 * @number:             of SLIPRING_KIND_LENGTH what it holds
 * @nested:             of SLIPRING_KIND_STRUCT, SLIPRING_KIND_LIST and SLIPRING_KIND_SEQUENCE the
 *                      type, else NULL
 * @values:             names for numbers
 * @value_count:        how many
 * @offset_bytes:       from the start of this type
 * @element_bytes:      size of one element; of SLIPRING_KIND_TEXT, with its NUL, from the file on
 * @padding:            made by the compiler to fill a gap
 * @line:               where it is defined
 * @column:             from 1
 * @type_line:          where its type stands
 * @type_column:        from 1
 */
struct schema_field {
        const char *name;
        const char *unit;
        const char *description;
        const char *range_min;
        const char *range_max;
        uint32_t kind;
        uint32_t count;
        uint32_t bound;
        uint32_t number;
        struct schema_definition *nested;
        struct schema_value *values;
        size_t value_count;
        uint32_t offset_bytes;
        uint32_t element_bytes;
        bool padding;
        uint32_t line;
        uint32_t column;
        uint32_t type_line;
        uint32_t type_column;
};

/**
 * enum definition_state - how far a definition has come
 *
 *   READ -> VISITING -> DONE    (schema/layout.c; meeting a VISITING one again is a cycle)
 *
 * A broken one, in which a mistake was reported, is BROKEN, and all that use it become so too.
 */
enum definition_state {
        DEFINITION_READ,
        DEFINITION_VISITING,
        DEFINITION_DONE,
        DEFINITION_BROKEN,
};

/**
 * struct schema_definition - one type
 * @name:               its name without the package, "Imu"
 * @package:            its package
 * @fields:             fields in the order of their offsets
 * @field_count:        how many
 * @size_bytes:         sizeof the C struct
 * @align_bytes:        alignment of the C struct, at most 8
 * @records:            records in the unfolded tree
 * @nesting:            1 with leaves only, else one more than its deepest field
 * @bounded:            there is a SLIPRING_KIND_TEXT or SLIPRING_KIND_SEQUENCE in it, at any depth:
 *                      it is no CDR, and its padding no part of its text
 * @message:            the message of ROS 2 that a topic has, else NULL; the types inside it are
 *                      this topic's own and have no names
 * @type:               the unfolded type; NULL unless a topic has this type
 * @line:               where it is defined
 * @column:             from 1
 * @state:              one of enum definition_state
 * @order:              of all definitions: those that this one uses have smaller numbers
 * @mark:               used by walks over the graph of types to pass each one once
 */
struct schema_definition {
        const char *name;
        const char *package;
        struct schema_field *fields;
        size_t field_count;
        uint32_t size_bytes;
        uint32_t align_bytes;
        uint32_t records;
        uint32_t nesting;
        bool bounded;
        struct msg *message;
        struct slipring_type *type;
        uint32_t line;
        uint32_t column;
        enum definition_state state;
        uint32_t order;
        uint32_t mark;
};

/** definition_elements() - the array in what a SLIPRING_KIND_SEQUENCE nests */
static inline const struct schema_field *definition_elements(const struct schema_field *sequence) {
        const struct schema_field *second = &sequence->nested->fields[1];

        return second->kind == SLIPRING_KIND_GAP ? second + 1 : second;
}

#endif
