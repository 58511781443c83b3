/*
 * Removing a bus whose directory cannot be read: scribbled over, or of another layout version.
 *
 * What stays where it is in every version is the header up to `instance` and its `state`, and of an
 * entry the keys and ids. So entries are looked for wherever they may lie, and believed only if
 * what they name is there: a key and an id that belong together, by chance once in 2^62, both of
 * this user's making, and for a topic the magic and the generation too.
 */

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/sem.h>
#include <sys/shm.h>
#include <unistd.h>

#include "bus/directory.h"
#include "bus/error.h"
#include "bus/registry-record.h"

static bool segment_is_own(int id, uint64_t least_bytes, uint64_t *ret_bytes) {
        struct shmid_ds status;

        if (id < 0 || shmctl(id, IPC_STAT, &status) < 0 || status.shm_perm.cuid != geteuid() ||
            (status.shm_perm.mode & SHM_DEST) || status.shm_segsz < least_bytes) {
                return false;
        }
        if (ret_bytes) {
                *ret_bytes = status.shm_segsz;
        }
        return true;
}

/* The kernel lets creator and owner do so, whatever the mode. */
static void segment_remove(key_t key, int id) {
        if (key > 0 && shmget(key, 0, 0) == id) {
                (void) shmctl(id, IPC_RMID, NULL);
        }
}

static void claim_remove(key_t key, int id) {
        if (key > 0 && semget(key, 0, 0) == id) {
                (void) semctl(id, 0, IPC_RMID);
        }
}

/* To be detached with shmdt(2); NULL if it is none of this user's. */
static struct layout_header *header_attach(int id, uint32_t kind) {
        struct layout_header *header;

        if (!segment_is_own(id, sizeof(*header), NULL)) {
                return NULL;
        }
        header = shmat(id, NULL, 0);
        if (header == (void *) -1) {
                return NULL;
        }
        /* magic.last: pairs with whoever made it. */
        if (atomic_load_explicit(&header->magic, memory_order_acquire) == LAYOUT_MAGIC &&
            header->kind == kind) {
                return header;
        }
        (void) shmdt(header);
        return NULL;
}

/* Sleepers look at the state every 100 ms. */
static bool data_retire(struct layout_header *header, int id) {
        /* state.retired: pairs with the look at the state in take and wait. */
        atomic_store_explicit(&header->state, LAYOUT_STATE_RETIRED, memory_order_release);
        return shmctl(id, IPC_RMID, NULL) == 0;
}

/* Its data: by its header in any version, or else, where that was scribbled over or its owner took
 * our access, by its size. */
static bool data_remove(const struct layout_entry *entry) {
        const struct segment_expect expect = topic_expect_data(entry, "");
        struct layout_header *header = header_attach(entry->data_id, LAYOUT_KIND_DATA);
        struct segment segment = SEGMENT_NONE;
        bool removed = false;

        if (header && header->generation == entry->generation) {
                removed = data_retire(header, entry->data_id);
        } else if (!header && segment_adopt(&segment, &expect, NULL) == 0) {
                removed = data_retire(segment.address, entry->data_id);
                segment_detach(&segment);
        }
        if (header) {
                (void) shmdt(header);
        }
        return removed;
}

static size_t entry_remove(const struct layout_entry *entry) {
        switch (entry->kind) {
        case LAYOUT_ENTRY_TOPIC:
                claim_remove(entry->claim_key, entry->claim_id);
                claim_remove(entry->pin_claim_key, entry->pin_claim_id);
                segment_remove(entry->pin_key, entry->pin_id);
                segment_remove(entry->lock_key, entry->lock_id);
                return entry->data_key > 0 && shmget(entry->data_key, 0, 0) == entry->data_id &&
                       data_remove(entry);
        case LAYOUT_ENTRY_BOARD:
                segment_remove(entry->board_key, entry->board_id);
                return 0;
        default:
                return 0;
        }
}

static size_t entries_remove(const char *directory, uint64_t bytes) {
        struct layout_entry entry;
        size_t removed = 0;
        uint64_t offset;

        for (offset = 0; offset + sizeof(entry) <= bytes; offset += alignof(struct layout_entry)) {
                memcpy(&entry, directory + offset, offsetof(struct layout_entry, board_line));
                if (entry.state >= LAYOUT_ENTRY_CREATING && entry.state <= LAYOUT_ENTRY_REMOVING) {
                        memcpy(&entry, directory + offset, sizeof(entry));
                        removed += entry_remove(&entry);
                }
        }
        return removed;
}

/* Data segments that no entry led to and that say they belong to this creation of a bus. */
static size_t segments_remove(uint64_t instance) {
        FILE *list = fopen("/proc/sysvipc/shm", "re");
        struct layout_header *header;
        size_t removed = 0;
        char line[512];
        int id;

        while (list && fgets(line, sizeof(line), list)) {
                header = sscanf(line, "%*d %d", &id) == 1 ? header_attach(id, LAYOUT_KIND_DATA)
                                                          : NULL;
                if (header) {
                        removed += header->instance == instance && data_retire(header, id);
                        (void) shmdt(header);
                }
        }
        if (list) {
                (void) fclose(list);
        }
        return removed;
}

size_t registry_salvage_contents(int id) {
        struct layout_header *header;
        size_t removed;
        uint64_t bytes;
        char *directory;

        if (!segment_is_own(id, sizeof(*header), &bytes)) {
                return 0;
        }
        directory = shmat(id, NULL, 0);
        if (directory == (void *) -1) {
                return 0;
        }
        /* state.retired: before any topic, so that who is told looks for the next bus. Pairs with
         * the look at the state in take and wait. */
        atomic_store_explicit(&((struct layout_header *) directory)->state, LAYOUT_STATE_RETIRED,
                              memory_order_release);
        removed = entries_remove(directory, bytes);
        header = header_attach(id, LAYOUT_KIND_DIRECTORY);
        if (header) {
                removed += segments_remove(header->instance);
                (void) shmdt(header);
        }
        (void) shmdt(directory);
        return removed;
}

int registry_salvage(const char *bus, size_t *ret_topics, struct slipring_error *reterr) {
        struct registry registry = {.segment = SEGMENT_NONE};
        int id, r;

        (void) snprintf(registry.bus, sizeof(registry.bus), "%s", bus);
        r = registry_claim(&registry, reterr);
        if (r < 0) {
                return r;
        }
        id = shmget(directory_key(geteuid(), bus), 0, 0);
        *ret_topics = registry_salvage_contents(id);
        if (id >= 0 && shmctl(id, IPC_RMID, NULL) < 0) {
                r = error_set(reterr, -errno, "cannot remove what is left of bus '%s' (%s)", bus,
                              strerror(errno));
        }
        /* While it is held, as in registry_remove(). */
        (void) semctl(registry.claim_id, 0, IPC_RMID);
        return r;
}
