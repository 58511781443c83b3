#ifndef SLIPRING_SCHEMA_LOADER_H
#define SLIPRING_SCHEMA_LOADER_H

/*
 * Inside of the loader: from nodes to topics and definitions.
 *
 * Mistakes go to the list and reading goes on; what cannot be used is marked as broken, so that one
 * mistake gives one diagnostic. The only failure these functions return is -ENOMEM.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "schema/arena.h"
#include "schema/definition.h"
#include "schema/diagnostics.h"
#include "schema/msg.h"
#include "schema/node.h"
#include "schema/schema.h"

struct principal;

/**
 * struct access - who may use a topic
 * @owner:              user id
 * @group:              group id
 * @mode:               permission bits
 * @owner_name:         in words; NULL while nobody said
 * @group_name:         in words; NULL while nobody said
 */
struct access {
        uid_t owner;
        gid_t group;
        mode_t mode;
        const char *owner_name;
        const char *group_name;
};

/**
 * struct loader - a file being read
 * @schema:             what comes of it
 * @arena:              owns all of it
 * @diagnostics:        takes the mistakes
 * @user:               who will run the manager
 * @definitions:        all types: first those of "types", then those of inline fields
 * @definition_count:   how many
 * @index:              those of "types", sorted by name
 * @index_count:        how many
 * @access:             from "defaults"
 * @depth:              from "defaults"
 * @lock:               from "defaults"
 * @fallback:           access where neither topic nor "defaults" say anything
 * @principals:         users and groups looked up so far
 * @records:            fields of all types built so far, unfolded
 * @text_bytes:         length of their texts
 * @overfull:           one of the two passed its limit
 * @marks:              marks given out to walks over the definitions
 * @messages:           messages of ROS 2
 * @visits:             fields of them that were looked at
 */
struct loader {
        struct schema *schema;
        struct arena *arena;
        struct diagnostics *diagnostics;
        uid_t user;
        struct schema_definition **definitions;
        size_t definition_count;
        struct schema_definition **index;
        size_t index_count;
        struct access access;
        uint32_t depth;
        enum schema_wish lock;
        struct access fallback;
        struct principal *principals;
        uint64_t records;
        uint64_t text_bytes;
        bool overfull;
        uint32_t marks;
        struct msg_store messages;
        uint32_t visits;
};

/** Reports a mistake at a node. */
#define loader_error(loader, node, ...)                                                            \
        diagnostics_add((loader)->diagnostics, DIAGNOSTIC_ERROR, (node)->line, (node)->column,     \
                        __VA_ARGS__)

#define loader_warning(loader, node, ...)                                                          \
        diagnostics_add((loader)->diagnostics, DIAGNOSTIC_WARNING, (node)->line, (node)->column,   \
                        __VA_ARGS__)

/* keys.c: what mappings and their values may look like */

/** keys_unique() - report keys that stand in a mapping twice: "WHAT 'x' is already VERB on line" */
int keys_unique(struct loader *loader,
                const struct node *mapping,
                const char *what,
                const char *verb);

/** keys_check() - report doubled keys and those that are not among the ones that exist */
int keys_check(struct loader *loader,
               const struct node *mapping,
               const char *where,
               const char *const *keys,
               size_t count);

/** value_is() - is a value of some kind? Reports "WHAT must be ..., not ..." where it is not. */
bool value_is(struct loader *loader,
              const struct node *value,
              enum node_kind kind,
              const char *what);

/** value_is_number() - is a value unquoted text? Reports it where it is not. */
bool value_is_number(struct loader *loader, const struct node *value, const char *what);

/** text_read() - read a text for people of at most 255 bytes; a mistake gives "" */
int text_read(const char **ret_text,
              struct loader *loader,
              const struct node *mapping,
              const char *key);

/* access.c: owner, group and mode */

/** access_read() - read what a mapping says about access; leaves alone what it does not say */
int access_read(struct access *access, struct loader *loader, const struct node *mapping);

/** access_fallback() - find out who runs the manager */
int access_fallback(struct loader *loader);

/* fields.c: fields of a type */

/** fields_read() - read the fields of a type, or the inline ones of a topic */
int fields_read(struct loader *loader,
                struct schema_definition *definition,
                const struct node *fields);

/* types.c: types */

/** types_read() - read "types" */
int types_read(struct loader *loader, const struct node *types);

/** types_find() - look a type up by name */
struct schema_definition *types_find(const struct loader *loader, const char *name);

/** types_report_unknown() - report that there is no such type */
void types_report_unknown(struct loader *loader, const struct node *node, const char *name);

/** types_check_name() - report a type name that is too long with its package */
bool types_check_name(struct loader *loader, const struct node *node, const char *name);

/** types_finish() - lay all types out, and look for names that meet in generated code */
int types_finish(struct loader *loader);

/** types_build() - make the public description of a type that a topic has */
int types_build(struct loader *loader,
                struct schema_definition *definition,
                const struct schema_topic *topic);

/* topics.c: topics */

/** depth_read() - read "depth" where a mapping has it */
void depth_read(uint32_t *depth, struct loader *loader, const struct node *mapping);

/** lock_read() - read "lock" where a mapping has it */
void lock_read(enum schema_wish *lock, struct loader *loader, const struct node *mapping);

/** topics_read() - read "topics" */
int topics_read(struct loader *loader, const struct node *topics);

/** topics_finish() - give topics their types and check that they fit into the machine */
int topics_finish(struct loader *loader, const struct node *topics);

#endif
