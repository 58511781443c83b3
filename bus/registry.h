#ifndef SLIPRING_BUS_REGISTRY_H
#define SLIPRING_BUS_REGISTRY_H

#include "bus/pages.h"
#include "bus/topic.h"

/*
 * A bus from its manager's side: the directory with the right to write it, and every topic's
 * objects.
 *
 * The directory is also the log of what is being made and removed, so that a manager killed between
 * any two steps leaves a bus that the next one repairs: keys stand in it before the objects exist
 * and until they are gone.
 */
struct registry;

/* What registry_apply() did with a topic. */
enum registry_outcome {
        REGISTRY_KEPT,      /* as it was: same segment, clients unaware */
        REGISTRY_DESCRIBED, /* as it was but for its description */
        REGISTRY_CREATED,
        REGISTRY_REPLACED, /* a successor; the old one was retired */
};

/*
 * registry_open() - become the manager of a bus
 * @ret_registry:       set on success
 * @bus:                its name
 *
 * Creates the directory or adopts the one that an earlier manager left, whoever killed it.
 *
 * Return: 0, -EBUSY if another manager runs it (@reterr names its pid), -EPERM if another user took
 * the directory's key, -EPROTONOSUPPORT or -EBADMSG if what is there cannot be adopted, -EINVAL for
 *         a malformed name, -ENOSPC or -ENOMEM.
 */
int registry_open(struct registry **ret_registry, const char *bus, struct slipring_error *reterr);

/*
 * registry_apply() - make the bus what a schema says
 * @specs:              all topics of the bus
 * @count:              their number, at most LAYOUT_TOPICS_MAX
 * @ret_outcomes:       filled with one outcome a topic on success; may be NULL
 * @ret_removed:        set to the number of topics that are gone; may be NULL
 *
 * Finishes or removes what a killed manager left half-done, keeps what matches, creates what is
 * missing, replaces what differs and removes what is not named. Takes 111 ms longer if anything is
 * retired.
 *
 * Return: 0, or why a topic could not be made; nothing has changed then.
 */
int registry_apply(struct registry *registry,
                   const struct topic_spec *specs,
                   size_t count,
                   enum registry_outcome *ret_outcomes,
                   size_t *ret_removed,
                   struct slipring_error *reterr);

/* Memory that registry_apply() would take. */
struct registry_growth {
        uint64_t bytes;      /* in ordinary pages */
        uint64_t huge_pages; /* for topics that must have them */
};

/*
 * registry_growth() - how much memory would registry_apply() take?
 * @pages:      the machine's huge pages: who only tries to get some takes what is left of them
 *
 * Before it removes any: both a replaced topic and its successor are there for a moment.
 */
struct registry_growth registry_growth(struct registry *registry,
                                       const struct topic_spec *specs,
                                       size_t count,
                                       const struct pages *pages);

/*
 * registry_refresh() - publish the directory again, with the wall clock's present offset
 */
void registry_refresh(struct registry *registry);

/*
 * registry_count(), registry_entry(), registry_ring() - the topics that serve, in the schema's
 * order
 */
size_t registry_count(const struct registry *registry);
const struct layout_entry *registry_entry(const struct registry *registry, size_t index);
const struct ring *registry_ring(const struct registry *registry, size_t index);

/*
 * registry_verify() - are a topic's objects still what the directory says?
 *
 * A topic's owner can change the mode of its segment or remove it; registry_apply() then gives the
 * topic a successor.
 *
 * Return: 0, or why not.
 */
int registry_verify(const struct registry *registry, size_t index, struct slipring_error *reterr);

/*
 * registry_verify_bus() - are the directory and the bus's claim still there?
 *
 * Without them no client finds the bus, and a second manager could make it again.
 *
 * Return: 0, or why not.
 */
int registry_verify_bus(const struct registry *registry, struct slipring_error *reterr);

/*
 * registry_lock() - keep a topic's segment in memory (SHM_LOCK), unless it need not be
 *
 * Return: 0, -EPERM or -ENOMEM where the limit forbids it.
 */
int registry_lock(const struct registry *registry, size_t index);

/*
 * registry_reap_pins() - clear what dead subscribers pinned of a topic
 *
 * Return: the number of pins that were cleared.
 */
uint32_t registry_reap_pins(const struct registry *registry, size_t index);

/*
 * registry_remove() - take the bus down: retire every topic and remove every object
 * @reterr: set, with its code, if the bus had to stay (-ENOMEM); may be NULL
 *
 * Return: NULL. The registry is closed.
 */
struct registry *registry_remove(struct registry *registry, struct slipring_error *reterr);

/*
 * registry_salvage() - remove this user's bus of that name although its directory cannot be read
 * @ret_topics: set to the number of topics that were found and removed
 *
 * For what registry_open() refuses with -EPROTONOSUPPORT or -EBADMSG. Removes what the directory's
 * entries lead to, wherever they lie in it, and what bears its instance; clients are told as with
 * registry_remove(), within 100 ms. Objects of entries that were scribbled over too are left.
 *
 * Return: 0, -EBUSY if a manager runs it, -EPERM where the key is another user's, or what
 *         kept it from looking for all of it, such as -ENOMEM; then it can be called again.
 */
int registry_salvage(const char *bus, size_t *ret_topics, struct slipring_error *reterr);

/*
 * registry_close() - stop managing; the bus stays
 *
 * Return: NULL.
 */
struct registry *registry_close(struct registry *registry);

#endif
