#ifndef SLIPRING_BUS_REGISTRY_RECORD_H
#define SLIPRING_BUS_REGISTRY_RECORD_H

#include "bus/registry.h"

/*
 * What the files of the registry share: the table of records behind the directory, and the steps
 * in which registry_apply() changes a bus. Nobody else includes this.
 */

#define WHAT_BYTES (SLIPRING_TOPIC_NAME_MAX + 32)

/* An entry of the directory and, for a topic or board of this process's making or adoption, its
 * attachment. */
struct record {
        struct layout_entry entry;
        struct topic topic;
        const struct topic_spec *spec; /* during registry_apply() only */
};

struct registry {
        char bus[SLIPRING_BUS_NAME_MAX + 1];
        int claim_id;
        bool claim_made; /* by this process: no bus was here */
        struct segment segment;
        struct ring_writer writer;
        uint64_t instance;
        uint64_t generation;
        struct record *records;
        size_t count;
};

/*
 * registry_claim() - become the only manager of registry->bus
 *
 * Return: 0, else as registry_open().
 */
int registry_claim(struct registry *registry, struct slipring_error *reterr);

/*
 * registry_publish() - the directory as it now is, as a new generation
 */
void registry_publish(struct registry *registry);

/* "topic 'imu'" or "wake board of owner ...", for messages; @what has WHAT_BYTES. */
void entry_describe(const struct layout_entry *entry, char *what);

/* A new record in state CREATING, or NULL if the directory is full. */
struct record *record_add(struct registry *registry, uint32_t kind);

/* The topic that serves under a name, or NULL. */
struct record *record_find(struct registry *registry, const char *name);

/* Forget the records in a state; their objects are gone. */
void records_drop(struct registry *registry, uint32_t state);

bool records_any(const struct registry *registry, uint32_t state);

/*
 * entry_objects_verify() - are an entry's objects still what it says?
 *
 * Return: 0, or why not.
 */
int entry_objects_verify(const struct layout_entry *entry, struct slipring_error *reterr);

/*
 * registry_plan() - write down a topic, and its board, that are going to be made
 *
 * Return: 0, -ENOSPC if the directory is full.
 */
int registry_plan(struct registry *registry,
                  const struct topic_spec *spec,
                  struct slipring_error *reterr);

/*
 * registry_create_all() - make everything in state CREATING, boards first
 *
 * Return: 0, or why one could not be made; registry_unmake() then takes back the others.
 */
int registry_create_all(struct registry *registry, struct slipring_error *reterr);
void registry_unmake(struct registry *registry);

/*
 * registry_retire_prepare() - be able to tell the clients of what goes
 * @goes: does this one?
 *
 * Return: 0, or -ENOMEM: then it has to stay for now, or its clients would never know.
 */
int registry_retire_prepare(struct registry *registry,
                            bool (*goes)(const struct record *),
                            struct slipring_error *reterr);

/*
 * registry_retire_all() - everything in state REMOVING: tell the clients, remove the objects,
 * forget. Takes 111 ms if a topic is among it.
 *
 * Return: 0, or -ENOMEM, with nothing changed, where that was not prepared.
 */
int registry_retire_all(struct registry *registry, struct slipring_error *reterr);

/* What a killed manager left: half-made objects go, half-removed ones too. As above. */
int registry_repair(struct registry *registry, struct slipring_error *reterr);

/*
 * registry_salvage_contents() - remove what a directory leads to that cannot be read
 * @id:         of its segment, which stays, retired
 * @ret_topics: set to the number of topics that were removed, also on failure
 *
 * Return: 0, -ENOMEM, -EMFILE or what else keeps it from looking for all; then it has to stay.
 */
int registry_salvage_contents(int id, size_t *ret_topics, struct slipring_error *reterr);

/* All objects but the bus's claim, which keeps other managers out until the end. As above. */
int registry_destroy(struct registry *registry, struct slipring_error *reterr);

#endif
