#ifndef SLIPRING_CLI_PLAY_LENGTHS_H
#define SLIPRING_CLI_PLAY_LENGTHS_H

/*
 * How long the strings and sequences of messages are, and whether that changes: what a type does
 * not say, and a schema has to.
 */

#include <slipring/sample.h>

#include "cli/decode.h"
#include "schema/buffer.h"

/**
 * struct length - of a string or sequence, wherever it stands in a message, and in all of them
 * @path:       without indexes
 * @sequence:   or a string
 * @least:      elements of the shortest sequence, or bytes of the shortest string
 * @most:       of the longest one
 * @constant:   of a string: it is always the same for the same index of the element around it, and
 *              of printable ASCII, as the values are that stand in a schema
 * @texts:      what it is then, by that index
 * @text_count: of them
 */
struct length {
        const char *path;
        bool sequence;
        uint32_t least;
        uint32_t most;
        bool constant;
        const char **texts;
        size_t text_count;
};

/**
 * struct lengths - those of the messages of a type
 * @decode:     the type
 * @messages:   that were looked at
 * @failed:     there was no memory for all of it
 */
struct lengths {
        struct decode decode;
        uint64_t messages;
        bool failed;

        struct arena arena;
        struct length *list;
        size_t count;
        size_t last; /* that was found: they come in the same order in each message */
};

/**
 * lengths_open() - begin with a type
 * @lengths:    all zeros; must stay where it is
 * @schema:     as decode_types()
 *
 * Return: as decode_types().
 */
int lengths_open(struct lengths *lengths, const struct mcap_schema *schema);

/**
 * lengths_add() - look at a message
 *
 * Return: false if it is not of its type: then it counts for nothing.
 */
bool lengths_add(struct lengths *lengths, const struct mcap_message *message);

/** lengths_find() - what is known of a path; NULL: no message had one */
const struct length *lengths_find(struct lengths *lengths, const char *path, bool sequence);

/** length_all_equal() - is a string that is constant the same for each index? */
bool length_all_equal(const struct length *length);

/** lengths_free() - forget all of it */
void lengths_free(struct lengths *lengths);

/**
 * struct lengths_lines - what a schema says of a topic besides its type
 * @constants:  what stands below "const"; to be freed, also after a failure
 * @lengths:    below "lengths"; likewise
 * @bounds:     below "bounds"; likewise
 * @bytes:      that a sample takes
 */
struct lengths_lines {
        struct buffer constants;
        struct buffer lengths;
        struct buffer bounds;
        uint64_t bytes;
};

/**
 * lengths_write() - say what has to be said for all messages that were looked at
 * @lengths:    those
 * @known:      lines that a recorder wrote about what has bounds: then the rest never changes, and
 *              the first message says it. NULL: only messages and types say what changes
 * @lines:      all zeros; filled
 * @reterr:     why it cannot be said
 *
 * Return: 0, -EINVAL, -EFBIG if samples were larger than a bus has them, or -ENOMEM.
 */
int lengths_write(struct lengths *lengths,
                  const struct mcap_text *known,
                  struct lengths_lines *lines,
                  struct slipring_error *reterr);

/** lengths_put_text() - a string as a schema has it */
void lengths_put_text(struct buffer *buffer, const char *text, size_t bytes);

/** lengths_builtin() - Time and Duration, which a schema has as kinds; NULL for others */
const char *lengths_builtin(const struct msg_field *field);

#endif
