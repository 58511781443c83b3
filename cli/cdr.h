#ifndef SLIPRING_CLI_CDR_H
#define SLIPRING_CLI_CDR_H

/*
 * CDR by the ros2msg text that stands beside it in a recording.
 *
 * Both may be anything. A message is read from its front to its end with each length compared with
 * what is left, and each element of an array takes at least a byte of it, so a small file cannot
 * ask for much.
 */

#include "mcap/reader.h"
#include "schema/msg.h"

/**
 * struct cdr_type - one type of a text
 * @msg:        what stands there; fields know others by their name only
 * @text:       the lines that it was read from
 * @bytes:      of these
 */
struct cdr_type {
        struct msg *msg;
        const char *text;
        size_t bytes;
};

/**
 * struct cdr - a type with those that it uses, and who is told what messages hold
 * @types:      the first is the one that messages have
 * @type_count: how many
 * @diagnostics: mistakes in the text
 * @path:       of the field that @number, @string or @length is told of: "wheels[0].speed"
 * @number:     a number; @at is not aligned
 * @string:     a string, without the encapsulation's length; may have a NUL at its end
 * @length:     of a sequence, before its elements; may be NULL
 * @userdata:   for the three
 */
struct cdr {
        struct cdr_type *types;
        size_t type_count;
        struct diagnostics diagnostics;
        char path[1024];

        void (*number)(void *userdata, const struct msg_field *field, const uint8_t *at);
        void (*string)(void *userdata, const uint8_t *text, size_t bytes);
        void (*length)(void *userdata, uint32_t count);
        void *userdata;

        struct arena arena;
        const uint8_t *data;
        size_t bytes;
        size_t at;
};

/**
 * cdr_described() - is a channel CDR that ros2msg describes?
 * @channel:    of the file
 * @schema:     its, or NULL
 */
bool cdr_described(const struct mcap_channel *channel, const struct mcap_schema *schema);

/**
 * cdr_types() - read the text of a type
 * @cdr:        one without types
 * @schema:     of a channel that cdr_described() says so of
 *
 * Return: 0, -EBADMSG if it is none, see @diagnostics; -ENOMEM.
 */
int cdr_types(struct cdr *cdr, const struct mcap_schema *schema);

/** cdr_type_find() - a type that the text has, or NULL */
const struct cdr_type *cdr_type_find(const struct cdr *cdr, const char *name);

/**
 * cdr_walk() - tell what a message holds, from its front to its end
 * @cdr:        one with types
 * @message:    of the file
 *
 * Return: false if it is not of its type; what was told is what it has before that.
 */
bool cdr_walk(struct cdr *cdr, const struct mcap_message *message);

/** cdr_free() - forget the types */
void cdr_free(struct cdr *cdr);

#endif
