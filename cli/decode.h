#ifndef SLIPRING_CLI_DECODE_H
#define SLIPRING_CLI_DECODE_H

/*
 * CDR by the ros2msg text that stands beside it in a recording.
 *
 * Both may be anything. A message is read from its front to its end with each length compared with
 * what is left, and each element of an array takes at least a byte of it, so a small file cannot
 * ask for much.
 */

#include "mcap/reader.h"
#include "schema/msg.h"

#define DECODE_PATH_BYTES 1024u

/**
 * struct decode_type - one type of a text
 * @msg:        what stands there; fields know others by their name only
 * @text:       the lines that it was read from
 * @bytes:      of these
 */
struct decode_type {
        struct msg *msg;
        const char *text;
        size_t bytes;
};

/**
 * struct decode - a type with those that it uses, and who is told what messages hold
 * @types:      the first is the one that messages have
 * @type_count: how many
 * @diagnostics: mistakes in the text
 * @path:       of the field that the four below are told of: "wheels[0].speed"
 * @number:     a number; @at is not aligned; NULL: nobody is told, and arrays of them are passed
 * over
 * @string:     a string, without the encapsulation's length; may have a NUL at its end; may be NULL
 * @length:     of a sequence, before its elements; may be NULL
 * @end:        of a sequence, behind its elements; may be NULL
 * @userdata:   for the four
 * @big_endian: messages may be that, too; what @number is told of is little-endian either way
 */
struct decode {
        struct decode_type *types;
        size_t type_count;
        struct diagnostics diagnostics;
        char path[DECODE_PATH_BYTES];

        void (*number)(void *userdata, const struct msg_field *field, const uint8_t *at);
        void (*string)(void *userdata,
                       const struct msg_field *field,
                       const uint8_t *text,
                       size_t bytes);
        void (*length)(void *userdata, const struct msg_field *field, uint32_t count);
        void (*end)(void *userdata, const struct msg_field *field, uint32_t count);
        void *userdata;
        bool big_endian;

        struct arena arena;
        const uint8_t *data;
        size_t bytes;
        size_t at;
        bool turns; /* this message is big-endian */
        uint8_t turned[8];
};

/**
 * decode_described() - is a channel CDR that ros2msg describes?
 * @channel:    of the file
 * @schema:     its, or NULL
 */
bool decode_described(const struct mcap_channel *channel, const struct mcap_schema *schema);

/**
 * decode_types() - read the text of a type
 * @decode:     one without types
 * @schema:     of a channel that decode_described() says so of
 *
 * Return: 0, -EBADMSG if it is none, see @diagnostics; -ENOMEM.
 */
int decode_types(struct decode *decode, const struct mcap_schema *schema);

/** decode_type_find() - a type that the text has, or NULL */
const struct decode_type *decode_type_find(const struct decode *decode, const char *name);

/**
 * decode_walk() - tell what a message holds, from its front to its end
 * @decode:     one with types
 * @message:    of the file
 *
 * Return: false if it is not of its type; what was told is what it has before that.
 */
bool decode_walk(struct decode *decode, const struct mcap_message *message);

/**
 * decode_plain() - a path without indexes
 * @path:       "a[3].b[7]"
 * @plain:      room for it; set to "a.b"
 *
 * Return: the last index, 0 if it has none.
 */
size_t decode_plain(const char *path, char *plain);

/** decode_line() - what stands behind a key in lines of a recorder, "" if there is no such line */
struct mcap_text decode_line(const struct mcap_text *lines, const char *key);

/**
 * decode_bound() - the bound that a recorder wrote of a string or sequence
 * @lines:      "slipring_bounds" of a channel
 * @what:       "string" or "sequence"
 * @path:       without indexes
 *
 * Return: 0 if there is none.
 */
uint32_t decode_bound(const struct mcap_text *lines, const char *what, const char *path);

/** decode_free() - forget the types */
void decode_free(struct decode *decode);

#endif
