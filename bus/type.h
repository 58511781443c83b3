#ifndef SLIPRING_BUS_TYPE_H
#define SLIPRING_BUS_TYPE_H

#include <stddef.h>

#include <slipring/sample.h>
#include <slipring/type.h>

#include "bus/ring.h"

/*
 * type_check() - does a type description hold together?
 * @type:       from a segment, a generated header or a schema
 *
 * Checks the order of records, that siblings follow each other without overlap inside their parent,
 * and sizes against kinds; so that a walk over a checked tree stays inside the payload and ends.
 *
 * Return: 0, or -EBADMSG.
 */
int type_check(const struct slipring_type *type, struct slipring_error *reterr);

/*
 * type_compare() - is a topic's type the one a program was compiled for?
 * @topic:      the topic's name, for the message
 *
 * Return: 0, or -EPROTOTYPE; @reterr then names the first field that differs.
 */
int type_compare(const struct slipring_type *expected,
                 const struct slipring_type *actual,
                 const char *topic,
                 struct slipring_error *reterr);

/*
 * type_constants() - what never changes in a type: padding, lengths and strings
 * @type:               a checked type; must outlive the array
 * @ret_constants:      set to an array to free(3), NULL if there is none
 * @ret_count:          its length
 *
 * Return: 0 or -ENOMEM.
 */
int type_constants(const struct slipring_type *type,
                   struct ring_constant **ret_constants,
                   size_t *ret_count);

/*
 * type_is_pad() - is this a padding field's name? pad[0-9]* is reserved for them.
 */
bool type_is_pad(const char *name);

/*
 * type_is_empty() - is this a sequence that never has an element? It is a length, 0, and nothing
 * else. type_is_hidden() - is this no field to those who read and write messages: padding, or the
 * length of what follows? type_is_parent() - does a field have others inside?
 */
bool type_is_empty(const struct slipring_field *field);
bool type_is_hidden(const struct slipring_field *field);
bool type_is_parent(const struct slipring_field *field);

/*
 * type_path() - the full name of a record, parents included: "acceleration.x"
 */
#define TYPE_PATH_BYTES 256u
void type_path(const struct slipring_type *type, uint32_t index, char text[TYPE_PATH_BYTES]);

/*
 * type_is_flat() - is a type laid out as CDR is? It has neither strings nor sequences whose length
 * changes, nor gaps; its payload is the message. For others bus/cdr.h has the copy that makes one.
 */
bool type_is_flat(const struct slipring_type *type);

/*
 * type_elements() - the array inside a SEQUENCE of a checked type; its count is the bound
 * type_length() - how many elements of it there are
 * @at:         the SEQUENCE in a payload; the number there may be any
 *
 * type_text_length() - bytes of a TEXT, which may hold any
 * @at:         the TEXT in a payload
 */
const struct slipring_field *type_elements(const struct slipring_type *type,
                                           const struct slipring_field *sequence);
uint32_t type_length(const struct slipring_type *type,
                     const struct slipring_field *sequence,
                     const void *at);
uint32_t type_text_length(const struct slipring_field *text, const void *at);

/*
 * type_is_text() - does an array of bytes hold characters? It is a TEXT, a STRING, or has the unit
 * "text"; what is shorter than the array is followed by zeros.
 * type_text_bytes() - how many it may hold
 */
bool type_is_text(const struct slipring_field *field);
uint32_t type_text_bytes(const struct slipring_field *field);

/*
 * type_kind_name() - a kind as the schema writes it, "?" for none
 * type_kind_bytes() - its size in bytes, 0 for TEXT, for those that have others inside, and for
 * none
 */
const char *type_kind_name(uint32_t kind);
uint32_t type_kind_bytes(uint32_t kind);

/*
 * type_bad_bool() - is each boolean of a message one, those behind the end of a sequence included?
 * @payload:    of the type's length
 *
 * Return: NULL if so, else the first field of a message from outside that is neither 0 nor 1.
 */
const struct slipring_field *type_bad_bool(const struct slipring_type *type, const void *payload);

#endif
