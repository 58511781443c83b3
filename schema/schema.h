#ifndef SLIPRING_SCHEMA_SCHEMA_H
#define SLIPRING_SCHEMA_SCHEMA_H

/*
 * A bus as its YAML file describes it: checked, laid out, ready to be created.
 *
 *     struct diagnostics diagnostics = {0};
 *     struct schema *schema = NULL;
 *
 *     r = schema_load(&schema, "rover.yaml", NULL, &diagnostics);
 *     diagnostics_print(&diagnostics, stderr, false);
 *     ...
 *     schema = schema_free(schema);
 *     diagnostics_clear(&diagnostics);
 *
 * The loader is for files that anybody may have written: its time and memory are bounded by limits
 * on the file, it neither prints nor exits, and it keeps nothing. The language is described in
 * slipring-schema(5).
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include <slipring/type.h>

#include "schema/diagnostics.h"
#include "schema/machine.h"

struct schema_definition;

/** Limits of the language that are not part of the contract in <slipring/type.h>. */
#define SCHEMA_TOPICS_MAX 2000u
#define SCHEMA_DEPTH_MIN 2u
#define SCHEMA_DEPTH_MAX 65536u
#define SCHEMA_PINS_MAX 256u
#define SCHEMA_PINNED_SLOTS_MAX 1024u
#define SCHEMA_DEPTH_DEFAULT 8u
/** Entries of a topic's const, lengths or bounds: each field looks through all of them. */
#define SCHEMA_VALUES_MAX 256u

/**
 * enum schema_wish - how much a topic wants something that the machine may not give
 *
 * NO: it shall not have it. TRY: where the machine gives it. YES: or there is no such topic.
 */
enum schema_wish {
        SCHEMA_NO,
        SCHEMA_TRY,
        SCHEMA_YES,
};

/**
 * struct schema_options - for whom a file is read, and where
 * @user:       the user who will run the bus manager: the default owner of topics
 * @machine:    limits that the bus must fit into, NULL for those of this machine
 *
 * Without options the user is the effective one of this process.
 */
struct schema_options {
        uid_t user;
        const struct schema_machine *machine;
};

/**
 * struct schema_topic - one topic
 * @name:               its path, "imu/front"
 * @description:        "" where none
 * @line:               where the file names it
 * @column:             from 1
 * @type:               its message type
 * @definition:         the same with what only generators need (schema/definition.h)
 * @depth:              samples that are kept: slots in the ring, where there are no pins
 * @pins:               samples that subscribers may hold besides, 0 for none
 * @rate_hz:            nominal rate, 0 for none
 * @deadline_ns:        age from which it is stale, 0 for never
 * @owner:              user who may publish
 * @group:              group that may subscribe (and publish, if @mode has group write)
 * @mode:               permission bits of the segment
 * @shared:             several may publish at a time
 * @chain:              sleepers wake each other
 * @huge_pages:         made of huge pages
 * @lock:               kept in memory, never swapped out
 * @owner_name:         @owner in words
 * @group_name:         @group in words
 * @has_owner:          the file names an owner, for this topic or as its default
 * @has_group:          the file names a group
 * @segment_bytes:      shared memory that it has
 * @huge_page_count:    huge pages of this machine that hold it; 0 where it wants none, or this
 *                      machine has none
 * @memory_bytes:       memory that it takes: with 'huge_pages: yes' all of its last page, too
 */
struct schema_topic {
        const char *name;
        const char *description;
        uint32_t line;
        uint32_t column;
        const struct slipring_type *type;
        const struct schema_definition *definition;
        uint32_t depth;
        uint32_t pins;
        double rate_hz;
        uint64_t deadline_ns;
        uid_t owner;
        gid_t group;
        mode_t mode;
        const char *owner_name;
        const char *group_name;
        bool has_owner;
        bool has_group;
        bool shared;
        bool chain;
        enum schema_wish huge_pages;
        enum schema_wish lock;
        uint64_t segment_bytes;
        uint64_t huge_page_count;
        uint64_t memory_bytes;
};

/**
 * struct schema - one bus
 * @bus:                its name
 * @package:            package of its types
 * @topics:             the topics in the order of the file
 * @topic_count:        how many
 * @definitions:        all its types, those of inline fields included; each stands behind the
 *                      types that it uses
 * @definition_count:   how many
 * @total_bytes:        memory of all topics
 * @segment_count:      segments of the bus: topics, their locks and pins, wake boards, directory
 * @machine:            the limits that it was checked against
 */
struct schema {
        const char *bus;
        const char *package;
        struct schema_topic *topics;
        size_t topic_count;
        struct schema_definition *const *definitions;
        size_t definition_count;
        uint64_t total_bytes;
        uint64_t segment_count;
        struct schema_machine machine;
};

/**
 * schema_load() - read a file
 * @ret_schema:         set on success
 * @path:               file to read, "-" for standard input
 * @options:            NULL for this process's user and this machine
 * @diagnostics:        all mistakes and warnings, in the order of the file; to be cleared by the
 *                      caller in any case
 *
 * Return: 0 on success (there may be warnings), -EBADMSG if the file has mistakes,
 *         -ENOENT, -EACCES, -EISDIR, ... if it cannot be read (with a diagnostic that says so),
 *         -ENOMEM if there is no memory.
 */
int schema_load(struct schema **ret_schema,
                const char *path,
                const struct schema_options *options,
                struct diagnostics *diagnostics);

/**
 * schema_load_text() - read a text
 * @ret_schema:         set on success
 * @name:               file name for the diagnostics
 * @text:               the text; need not be terminated
 * @bytes:              its size
 * @options:            as in schema_load()
 * @diagnostics:        as in schema_load()
 *
 * Return: 0, -EBADMSG or -ENOMEM as schema_load().
 */
int schema_load_text(struct schema **ret_schema,
                     const char *name,
                     const char *text,
                     size_t bytes,
                     const struct schema_options *options,
                     struct diagnostics *diagnostics);

/**
 * schema_free() - free a schema and everything it points at
 * @schema:     schema, or NULL
 *
 * Return: NULL.
 */
struct schema *schema_free(struct schema *schema);

/** For _cleanup_(). */
static inline void schema_freep(struct schema **schema) {
        *schema = schema_free(*schema);
}

/**
 * schema_segment_bytes() - shared memory that a topic takes
 * @type:       its type
 * @name:       the topic's name
 * @depth:      samples that its ring keeps
 * @pins:       samples that may be held besides
 *
 * What header_segment_bytes() of the medium says, which this room may not call; a test compares
 * the two.
 *
 * Return: bytes, rounded up to pages.
 */
uint64_t schema_segment_bytes(const struct slipring_type *type,
                              const char *name,
                              uint32_t depth,
                              uint32_t pins);

/**
 * schema_pins_bytes() - shared memory that a topic takes besides, for the lines of its pins
 * @pins:       how many
 *
 * What layout_pins_bytes() of the medium says.
 *
 * Return: bytes, rounded up to pages.
 */
uint64_t schema_pins_bytes(uint32_t pins);

#endif
