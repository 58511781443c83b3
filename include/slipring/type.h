#ifndef SLIPRING_TYPE_H
#define SLIPRING_TYPE_H

/*
 * What a message type is: its name, its fields as a tree, its canonical text and its identity.
 *
 * One description serves everyone: the schema compiler makes it from YAML, generated headers hold
 * it as constants, the bus manager writes it into a topic's segment, and a subscriber that knows
 * nothing beforehand (echo, record, view) reads it from there. Every leaf has the same offset in
 * natural C layout and in plain CDR (XCDR1 little-endian), so a payload is both a C struct and a
 * CDR message. Types with strings or sequences of bounded length are C structs only: a copy turns
 * them into CDR where they leave a bus.
 */

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/** Version of the structures in this file; struct slipring_type carries it. */
#define SLIPRING_TYPE_VERSION 1

/** Longest names, in bytes without the NUL. */
#define SLIPRING_BUS_NAME_MAX 63
#define SLIPRING_TOPIC_NAME_MAX 255
#define SLIPRING_TYPE_NAME_MAX 255
#define SLIPRING_DESCRIPTION_MAX 255

/** Largest payload of one sample, in bytes. */
#define SLIPRING_PAYLOAD_MAX (1u << 30)

/** Most fields (records of the tree below) that one type may have, and its deepest nesting. */
#define SLIPRING_FIELDS_MAX 65535u
#define SLIPRING_NESTING_MAX 16u

/**
 * enum slipring_kind - what one field holds
 *
 * Sizes are those of C and of CDR alike. The numbers stand in shared memory and never change.
 */
enum slipring_kind {
        SLIPRING_KIND_BOOL = 1,      /* 1 byte, 0 or 1 */
        SLIPRING_KIND_INT8 = 2,      /* 1 byte */
        SLIPRING_KIND_UINT8 = 3,     /* 1 byte */
        SLIPRING_KIND_INT16 = 4,     /* 2 bytes */
        SLIPRING_KIND_UINT16 = 5,    /* 2 bytes */
        SLIPRING_KIND_INT32 = 6,     /* 4 bytes */
        SLIPRING_KIND_UINT32 = 7,    /* 4 bytes */
        SLIPRING_KIND_INT64 = 8,     /* 8 bytes */
        SLIPRING_KIND_UINT64 = 9,    /* 8 bytes */
        SLIPRING_KIND_FLOAT32 = 10,  /* 4 bytes, IEEE 754 */
        SLIPRING_KIND_FLOAT64 = 11,  /* 8 bytes, IEEE 754 */
        SLIPRING_KIND_TIME = 12,     /* struct slipring_time, 8 bytes aligned to 4 */
        SLIPRING_KIND_DURATION = 13, /* struct slipring_duration, 8 bytes aligned to 4 */
        SLIPRING_KIND_STRUCT = 14,   /* nested: see first_child and child_count */
        SLIPRING_KIND_LENGTH = 15,   /* 4 bytes, always the number in first_child */
        SLIPRING_KIND_STRING = 16,   /* count bytes, always the text in unit and a NUL */
        SLIPRING_KIND_LIST = 17,     /* a STRUCT whose children are the elements of a list */
        SLIPRING_KIND_TEXT = 18,     /* element_bytes bytes: a string that ends with a NUL */
        SLIPRING_KIND_SEQUENCE = 19, /* a STRUCT of a length and of as many elements as may be */
        SLIPRING_KIND_GAP = 20,      /* count bytes of padding, always zero, which CDR has not */
};

/**
 * struct slipring_time - a point in time as builtin_interfaces/msg/Time has it
 * @sec:        seconds since 1970-01-01 00:00:00 UTC
 * @nanosec:    nanoseconds within that second, 0 to 999,999,999
 */
struct slipring_time {
        int32_t sec;
        uint32_t nanosec;
};

/**
 * struct slipring_duration - a span of time as builtin_interfaces/msg/Duration has it
 * @sec:        seconds, may be negative
 * @nanosec:    nanoseconds added to that, 0 to 999,999,999
 */
struct slipring_duration {
        int32_t sec;
        uint32_t nanosec;
};

/**
 * struct slipring_field - one record of a type's field tree
 * @name:               the field's own name, without its parents'; pad[0-9]* is padding, always
 *                      zero
 * @unit:               unit as written in the schema, "" where none; of a STRING its text
 * @kind:               one of enum slipring_kind
 * @count:              0 for a single value, else the number of array elements; 0 in a LIST
 * @offset_bytes:       from the start of the enclosing struct (of the message, for a root)
 * @element_bytes:      size of one element, which is also the stride of an array
 * @first_child:        index of the first child record, where @kind is STRUCT, LIST or SEQUENCE; of
 *                      a LENGTH the number that it holds; else 0
 * @child_count:        number of child records, which stand side by side; 0 unless @kind is STRUCT,
 *                      LIST or SEQUENCE
 *
 * In CDR a string and a sequence begin with their length. Where those never change, the bus has
 * what CDR has: a LENGTH, which has the name of what it counts, is followed (behind padding,
 * perhaps) by a STRING, an array or a LIST. The libraries write LENGTH, STRING and padding into
 * each sample, whatever a publisher left there.
 *
 * Where they change, up to a bound, a string is a TEXT: an array of characters in which a NUL ends
 * it, so the bound is @element_bytes - 1. A SEQUENCE has two children, and perhaps a GAP behind
 * each: a UINT32 "length" at its start, and the array "elements", of which the first "length" ones
 * count. Readers take a length above the bound for the bound, and a TEXT without a NUL for one that
 * fills all but its last byte. Padding is a GAP in each struct that has such a field, at any depth.
 *
 * Records stand in breadth-first order: first the roots, then the children of record 0, of record 1
 * and so on, so that each @first_child is where the one before it ended. Siblings stand in order of
 * their offsets and leave no byte between them.
 */
struct slipring_field {
        const char *name;
        const char *unit;
        uint32_t kind;
        uint32_t count;
        uint32_t offset_bytes;
        uint32_t element_bytes;
        uint32_t first_child;
        uint32_t child_count;
};

/**
 * struct slipring_type - one message type
 * @version:            SLIPRING_TYPE_VERSION
 * @payload_bytes:      sizeof the C struct = length of the CDR message without its 4-byte header
 * @field_count:        records in @fields
 * @root_count:         records at its start that are the message's own fields
 * @identity:           SHA-256 over @text and the unit lines (slipring-schema(5) has the formula)
 * @name:               "package/msg/Name"
 * @text:               the canonical ros2msg text, with the texts of all types it uses
 * @fields:             the field tree, see struct slipring_field
 */
struct slipring_type {
        uint32_t version;
        uint32_t payload_bytes;
        uint32_t field_count;
        uint32_t root_count;
        uint8_t identity[32];
        const char *name;
        const char *text;
        const struct slipring_field *fields;
};

#ifdef __cplusplus
}
#endif

#endif
