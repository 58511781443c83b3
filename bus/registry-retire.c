#include <errno.h>
#include <string.h>
#include <sys/ipc.h>
#include <sys/sem.h>
#include <sys/shm.h>
#include <time.h>
#include <unistd.h>

#include "bus/error.h"
#include "bus/registry-record.h"
#include "bus/wake.h"

/* By key, since a manager killed in the middle never wrote the id down; and only what this user
 * created, since a key proves nothing. */
static void segment_remove(key_t key, uint64_t bytes) {
        struct shmid_ds status;
        int id = key ? shmget(key, 0, 0) : -1;

        if (id >= 0 && shmctl(id, IPC_STAT, &status) == 0) {
                if (status.shm_perm.cuid != geteuid() || status.shm_segsz != bytes) {
                        return;
                }
                (void) shmctl(id, IPC_RMID, NULL);
        } else if (id >= 0 && errno == EACCES) {
                /* Its owner took even our right to look; the creator may remove it all the same. */
                (void) shmctl(id, IPC_RMID, NULL);
        }
}

static void claim_remove(key_t key) {
        int id = key ? semget(key, 1, 0) : -1;

        if (id >= 0) {
                /* EPERM where somebody else created it. */
                (void) semctl(id, 0, IPC_RMID);
        }
}

static void entry_objects_remove(const struct layout_entry *entry) {
        if (entry->kind == LAYOUT_ENTRY_BOARD) {
                segment_remove(entry->board_key, LAYOUT_BOARD_BYTES);
                return;
        }
        segment_remove(entry->data_key, entry->segment_bytes);
        claim_remove(entry->claim_key);
        /* Key 0 where there is none. */
        segment_remove(entry->lock_key, LAYOUT_LOCK_BYTES);
        if (entry->pins) {
                segment_remove(entry->pin_key, layout_pins_bytes(entry->pins));
                claim_remove(entry->pin_claim_key);
        }
}

/* An id that the owner gave back may be another segment's by now. What was marked to be removed has
 * no key any more; what was scribbled over has no instance. */
static bool is_of_record(const struct registry *registry, const struct record *record) {
        const struct layout_header *copy = record->topic.header.copy;

        return (copy && copy->instance == registry->instance &&
                copy->generation == record->entry.generation) ||
               shmget(record->entry.data_key, 0, 0) == record->topic.data.id;
}

/* Before our rights to it are set: key and id belong together, or its header can be read and says
 * so. Else an owner could have another topic's segment given to it, by way of an id that comes
 * round again. */
static int is_known(const struct registry *registry, const struct layout_entry *entry) {
        const struct layout_header *header;
        bool known;

        if (entry->data_key > 0 && shmget(entry->data_key, 0, 0) == entry->data_id) {
                return true;
        }
        header = shmat(entry->data_id, NULL, SHM_RDONLY);
        if (header == (void *) -1) {
                return errno == ENOMEM ? -ENOMEM : false;
        }
        /* A segment of fewer bytes has a page all the same. */
        known = header->instance == registry->instance && header->generation == entry->generation;
        (void) shmdt(header);
        return known;
}

/* A topic of an earlier manager, to tell its clients: attached however its access was changed.
 * Where its header cannot be read any more, they are told by the state alone, whose place is the
 * same in each version, and look at it after 100 ms. */
static int attach_to_retire(const struct registry *registry, struct record *record) {
        struct layout_entry *entry = &record->entry;
        struct topic *topic = &record->topic;
        struct segment_expect expect = topic_expect_data(entry, "");
        int r;

        if (topic->data.id >= 0 || entry->kind != LAYOUT_ENTRY_TOPIC) {
                return 0;
        }
        r = is_known(registry, entry);
        r = r == true ? segment_adopt(&topic->data, &expect, NULL) : r < 0 ? r : -ENOENT;
        if (r < 0) {
                return r == -ENOMEM ? r : 0;
        }
        r = header_read(&topic->header, topic->data.address, topic->data.bytes, LAYOUT_KIND_DATA,
                        "", NULL);
        if (!is_of_record(registry, record)) {
                header_free(&topic->header);
                segment_detach(&topic->data);
        } else if (r < 0) {
                topic->ring.state = &((struct layout_header *) topic->data.address)->state;
        } else {
                topic->ring = header_ring(&topic->header, topic->data.address);
        }
        return 0;
}

int registry_retire_prepare(struct registry *registry,
                            bool (*goes)(const struct record *),
                            struct slipring_error *reterr) {
        struct record *record;
        size_t i;
        int r;

        for (i = 0; i < registry->count; i++) {
                record = &registry->records[i];
                r = goes(record) ? attach_to_retire(registry, record) : 0;
                if (r < 0) {
                        return error_set(reterr, r,
                                         "topic '%s': cannot attach segment id %d to tell its "
                                         "clients that it goes (%s)%s",
                                         record->entry.name, record->entry.data_id, strerror(-r),
                                         error_remedy(r));
                }
        }
        return 0;
}

static bool goes_already(const struct record *record) {
        return record->entry.state == LAYOUT_ENTRY_REMOVING;
}

static bool goes_with_the_bus(const struct record *record) {
        return true;
}

static void ring_retire(struct ring *ring) {
        /* state.retired: before the wake-up. Pairs with the look at the state in take and wait. */
        atomic_store_explicit(ring->state, LAYOUT_STATE_RETIRED, memory_order_release);
}

/* Wake everyone who sleeps on what is being removed. Retiring does not change the wake word, so a
 * sleeper between its last look and its futex wait misses the first call; hence again. */
static void wake_retired(struct registry *registry) {
        static const long again_ns[] = {0, 1000000, 10000000, 100000000};
        struct timespec pause = {0};
        size_t round, i;

        for (round = 0; round < sizeof(again_ns) / sizeof(again_ns[0]); round++) {
                pause.tv_nsec = again_ns[round];
                (void) clock_nanosleep(CLOCK_MONOTONIC, 0, &pause, NULL);
                for (i = 0; i < registry->count; i++) {
                        struct record *record = &registry->records[i];

                        if (record->entry.state == LAYOUT_ENTRY_REMOVING &&
                            record->topic.data.id >= 0 && record->topic.ring.words) {
                                (void) wake_send(&record->topic.ring.words->wake, WAKE_ALL);
                        }
                }
        }
}

int registry_retire_all(struct registry *registry, struct slipring_error *reterr) {
        bool topics = false;
        size_t i;
        int r;

        if (!records_any(registry, LAYOUT_ENTRY_REMOVING)) {
                return 0;
        }
        r = registry_retire_prepare(registry, goes_already, reterr);
        if (r < 0) {
                return r;
        }
        for (i = 0; i < registry->count; i++) {
                struct record *record = &registry->records[i];

                if (record->entry.state != LAYOUT_ENTRY_REMOVING) {
                        continue;
                }
                if (record->topic.ring.state) {
                        ring_retire(&record->topic.ring);
                        topics = true;
                }
        }
        /* With its claim a topic's standby is woken, with EIDRM, and finds the successor. */
        for (i = 0; i < registry->count; i++) {
                struct record *record = &registry->records[i];

                if (record->entry.state == LAYOUT_ENTRY_REMOVING) {
                        entry_objects_remove(&record->entry);
                        /* Where key or size were scribbled over; it was found to be the topic's. */
                        if (record->topic.data.id >= 0) {
                                (void) shmctl(record->topic.data.id, IPC_RMID, NULL);
                        }
                }
        }
        if (topics) {
                wake_retired(registry);
        }
        records_drop(registry, LAYOUT_ENTRY_REMOVING);
        registry_publish(registry);
        return 0;
}

void registry_unmake(struct registry *registry) {
        size_t i;

        for (i = 0; i < registry->count; i++) {
                struct layout_entry *entry = &registry->records[i].entry;

                if (entry->state == LAYOUT_ENTRY_CREATING) {
                        entry_objects_remove(entry);
                }
        }
        records_drop(registry, LAYOUT_ENTRY_CREATING);
        registry_publish(registry);
}

int registry_repair(struct registry *registry, struct slipring_error *reterr) {
        if (records_any(registry, LAYOUT_ENTRY_CREATING)) {
                registry_unmake(registry);
        }
        return registry_retire_all(registry, reterr);
}

int registry_destroy(struct registry *registry, struct slipring_error *reterr) {
        size_t i;
        int r;

        r = registry_retire_prepare(registry, goes_with_the_bus, reterr);
        if (r < 0) {
                return r;
        }
        for (i = 0; i < registry->count; i++) {
                registry->records[i].entry.state = LAYOUT_ENTRY_REMOVING;
        }
        registry_publish(registry);
        ring_retire(&registry->writer.ring);
        (void) wake_send(&registry->writer.ring.words->wake, WAKE_ALL);
        r = registry_retire_all(registry, reterr);
        if (r == 0) {
                (void) shmctl(registry->segment.id, IPC_RMID, NULL);
                segment_detach(&registry->segment);
        }
        return r;
}
