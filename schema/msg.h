#ifndef SLIPRING_SCHEMA_MSG_H
#define SLIPRING_SCHEMA_MSG_H

/*
 * Messages of ROS 2, as their .msg files define them.
 *
 *     struct msg_store store = {.arena = arena, .diagnostics = diagnostics};
 *
 *     r = msg_store_open(&store, NULL);
 *     r = msg_store_find(&store, "sensor_msgs/msg/Imu", &msg);
 *     r = msg_type_hash(msg, 1, hash);
 *     ...
 *     msg_store_close(&store);
 *
 * The common packages are part of the program; other files are looked for in directories. Anybody
 * may have written them, so the reader is as careful as that of schemas: what is wrong becomes a
 * diagnostic with file, line and column, and time and memory are bounded by limits.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <slipring/type.h>

#include "schema/arena.h"
#include "schema/buffer.h"
#include "schema/diagnostics.h"

/** Messages that may be read for one schema, those used by others included. */
#define MSG_COUNT_MAX 4096u

/** Bytes that their files may have together. */
#define MSG_BYTES_MAX (16u * 1024u * 1024u)

/** Bounds of strings and sequences, and lengths of arrays. */
#define MSG_LENGTH_MAX (1u << 30)

/** What a field that is text has as its kind: beside those of enum slipring_kind. */
#define MSG_KIND_STRING 256u

/**
 * enum msg_array - how many values a field holds
 * @MSG_SINGLE:         T
 * @MSG_ARRAY:          T[N]
 * @MSG_SEQUENCE:       T[]
 * @MSG_BOUNDED:        T[<=N]
 */
enum msg_array {
        MSG_SINGLE,
        MSG_ARRAY,
        MSG_SEQUENCE,
        MSG_BOUNDED,
};

/**
 * struct msg_field - one field
 * @name:               its name
 * @kind:               one of enum slipring_kind, MSG_KIND_STRING, or SLIPRING_KIND_STRUCT for a
 *                      message (Time and Duration of builtin_interfaces included)
 * @byte:               the type was written "byte", which RIHS01 tells from uint8
 * @array:              one of enum msg_array
 * @length:             of arrays their length, of bounded sequences their bound, else 0
 * @string_bound:       the N of "string<=N", else 0
 * @nested_name:        of messages "package/msg/Name", else NULL
 * @nested:             the message, once the store resolved it
 * @default_text:       default value as written, NULL where there is none
 * @line:               where its type stands
 * @column:             from 1
 * @name_column:        where its name stands in that line
 */
struct msg_field {
        const char *name;
        uint32_t kind;
        bool byte;
        enum msg_array array;
        uint32_t length;
        uint32_t string_bound;
        const char *nested_name;
        struct msg *nested;
        const char *default_text;
        uint32_t line;
        uint32_t column;
        uint32_t name_column;
};

/**
 * struct msg_constant - one constant
 * @name:               its name
 * @type:               its type as written
 * @kind:               one of enum slipring_kind, or MSG_KIND_STRING
 * @text:               its value; that of a string without quotes around it
 * @before:             number of the field that follows it; the number of fields where none does
 * @line:               where it stands
 * @column:             where its name stands
 */
struct msg_constant {
        const char *name;
        const char *type;
        uint32_t kind;
        const char *text;
        size_t before;
        uint32_t line;
        uint32_t column;
};

/**
 * enum msg_state - how far a message has come
 *
 *   READ -> VISITING -> DONE    (msg_store_find(); meeting a VISITING one again is a cycle)
 *
 * One in which a mistake was reported is BROKEN, and so are all that use it.
 */
enum msg_state {
        MSG_READ,
        MSG_VISITING,
        MSG_DONE,
        MSG_BROKEN,
};

/**
 * struct msg - one message
 * @name:               "sensor_msgs/msg/Imu"
 * @package:            "sensor_msgs"
 * @origin:             the file that it was read from, "slipring" for those that come with it
 * @text:               what stands there
 * @bytes:              its length
 * @fields:             its fields
 * @field_count:        how many; 0 in an empty message
 * @constants:          its constants
 * @constant_count:     how many
 * @nesting:            1 with leaves only, else one more than its deepest field
 * @state:              one of enum msg_state
 * @mark:               used by walks over messages to pass each one once
 */
struct msg {
        const char *name;
        const char *package;
        const char *origin;
        const char *text;
        size_t bytes;
        struct msg_field *fields;
        size_t field_count;
        struct msg_constant *constants;
        size_t constant_count;
        uint32_t nesting;
        enum msg_state state;
        uint32_t mark;
};

/**
 * struct msg_embedded - a message that comes with slipring
 * @name:       "sensor_msgs/msg/Imu"
 * @text:       its file
 */
struct msg_embedded {
        const char *name;
        const char *text;
};

/** All of them, sorted by name; generated from schema/msg. */
extern const struct msg_embedded msg_embedded[];
extern const size_t msg_embedded_count;

/**
 * msg_parse() - read the text of one message
 * @ret_msg:            set on success, also where there are mistakes; @state is BROKEN then
 * @arena:              owns it
 * @diagnostics:        takes mistakes
 * @name:               "sensor_msgs/msg/Imu"; must live as long as the message
 * @text:               the text; need not be terminated; the same
 * @bytes:              its size
 *
 * Return: 0 (also with mistakes), -ENOMEM if there is no memory.
 */
int msg_parse(struct msg **ret_msg,
              struct arena *arena,
              struct diagnostics *diagnostics,
              const char *name,
              const char *text,
              size_t bytes);

/**
 * msg_name_check() - is this the full name of a message, "package/msg/Name"?
 * @name:       name
 */
bool msg_name_check(const char *name);

/**
 * struct msg_store - messages read so far, and where to look for others
 * @arena:              owns them; to be set by the caller
 * @diagnostics:        takes mistakes in their files; to be set by the caller
 * @directories:        where to look besides, in this order
 * @directory_count:    how many
 * @chosen:             that stand before those of the environment
 * @messages:           sorted by name
 * @count:              how many
 * @bytes:              length of the texts read so far
 * @depth:              messages being resolved, each used by the one before
 */
struct msg_store {
        struct arena *arena;
        struct diagnostics *diagnostics;
        const char **directories;
        size_t directory_count;
        size_t chosen;
        struct msg **messages;
        size_t count;
        uint64_t bytes;
        uint32_t depth;
};

/**
 * msg_store_open() - find out where to look for messages
 * @store:      store with @arena and @diagnostics
 * @path:       directories with colons between them that come first, or NULL
 *
 * Looked through are, in this order: @path, $SLIPRING_MSG_PATH, the messages that come with
 * slipring, and the share directories below $AMENT_PREFIX_PATH. A message p/msg/N is the file
 * DIRECTORY/p/msg/N.msg.
 *
 * Return: 0, -ENOMEM if there is no memory.
 */
int msg_store_open(struct msg_store *store, const char *path);

/**
 * msg_store_look() - look into a directory, too
 * @store:      open store
 * @directory:  directory, which must live as long as the store; it goes behind those of earlier
 *              calls and before all others
 *
 * Return: 0, -ENOMEM if there is no memory.
 */
int msg_store_look(struct msg_store *store, const char *directory);

/**
 * msg_store_close() - free what the arena does not own
 * @store:      store; the messages live on
 */
void msg_store_close(struct msg_store *store);

/**
 * msg_store_find() - look a message up, with all that it uses
 * @store:      store
 * @name:       "sensor_msgs/msg/Imu"
 * @ret_msg:    set on success
 *
 * Return: 0 on success, -ENOENT if there is none of this name (nothing is reported: the caller
 *         knows where it was asked for), -EBADMSG if it or one that it uses has mistakes, which
 *         were reported, -ENOMEM if there is no memory.
 */
int msg_store_find(struct msg_store *store, const char *name, struct msg **ret_msg);

/**
 * msg_store_known() - a message that was read already, NULL if none of this name was
 */
struct msg *msg_store_known(const struct msg_store *store, const char *name);

/**
 * msg_store_add() - take a text for a message, before any file
 * @store:      store
 * @name:       "sensor_msgs/msg/Imu"
 * @text:       what would stand in its file; need not be terminated
 * @bytes:      its size
 *
 * Name and text must live as long as the message. Mistakes in it are for msg_store_find() to tell.
 *
 * Return: 0, -EEXIST if the store has read a message of this name, -E2BIG if it is full, -ENOMEM if
 *         there is no memory.
 */
int msg_store_add(struct msg_store *store, const char *name, const char *text, size_t bytes);

/**
 * msg_store_describe() - say where was looked, for "there is no such message"
 * @store:      store
 * @buffer:     text to append to
 * @name:       what was looked for; a message with a similar name that comes with slipring, in
 *              the same package or a similar one, is offered, too
 */
void msg_store_describe(const struct msg_store *store, struct buffer *buffer, const char *name);

/**
 * msg_type_hash() - compute the RIHS01 hash of a message
 * @msg:        message from msg_store_find()
 * @mark:       a number that no walk over these messages has used before
 * @ret_hash:   set on success
 *
 * "RIHS01_" and these bytes in hexadecimal are what ROS 2 shows as its type hash.
 *
 * Return: 0, -ENOMEM if there is no memory.
 */
int msg_type_hash(struct msg *msg, uint32_t mark, uint8_t ret_hash[32]);

/** "RIHS01_", 64 digits and a NUL. */
#define MSG_HASH_BYTES 72u

/**
 * msg_text_hash() - compute the RIHS01 hash of a type from its text
 * @name:       the type's name, "rover_msgs/msg/Imu"
 * @text:       its canonical text, as struct slipring_type and a topic's header have it
 * @ret_hash:   set on success, "RIHS01_..."
 *
 * That of an own type is the one that ROS 2 computes for the .msg file that generate_ros2msg()
 * writes.
 *
 * Return: 0, -EBADMSG if that is no text of a type, -ENOMEM if there is no memory.
 */
int msg_text_hash(const char *name, const char *text, char ret_hash[MSG_HASH_BYTES]);

/**
 * msg_text_canonical() - write the text of a type as topics have it
 * @name:       the type's name
 * @text:       ros2msg as others write it: with comments, and with names that have no package
 * @buffer:     text to append to
 *
 * Return: 0, -EBADMSG if that is no text of a type, -ENOMEM if there is no memory.
 */
int msg_text_canonical(const char *name, const char *text, struct buffer *buffer);

#endif
