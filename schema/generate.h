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

/** Takes one file: its path below the output directory, and its text. Returns 0 or an errno. */
typedef int generate_file(void *context, const char *path, const struct buffer *text);

/**
 * generate_ros2msg() - write a package of ROS 2 with the types of a bus
 * @schema:     schema
 * @give:       is called with each file
 * @context:    for @give
 *
 * Messages of ROS 2 that topics have are none of them. The same schema gives the same files.
 *
 * Return: 0, what @give returned if that is not 0, -ENOMEM if there is no memory,
 *         -ENOENT if the bus has no types of its own.
 */
int generate_ros2msg(const struct schema *schema, generate_file *give, void *context);

#endif
