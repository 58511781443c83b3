#ifndef SLIPRING_SCHEMA_GENERATE_H
#define SLIPRING_SCHEMA_GENERATE_H

/*
 * Source code from a schema.
 */

#include "schema/buffer.h"
#include "schema/schema.h"

/**
 * generate_c() - write the C header of a bus
 * @buffer:     text to append to
 * @schema:     schema
 *
 * The header is for C11 and C++11 and later: a struct a type, with asserts on its layout, and thin
 * typed functions a topic. The same schema gives the same text.
 *
 * Return: 0, -ENOMEM if there is no memory,
 *         -EADDRINUSE if a header of that name would hide one of the system's.
 */
int generate_c(struct buffer *buffer, const struct schema *schema);

#endif
