/*
 * Removing a bus whose directory cannot be read: scribbled over, or of another layout version.
 *
 * What stays where it is in every version is the header up to `instance` and its `state`, and of an
 * entry the keys and ids. So entries are looked for wherever they may lie, and believed only if
 * what they name is there: a key and an id that belong together, by chance once in 2^62, both of
 * this user's making.
 */

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/sem.h>
#include <sys/shm.h>
#include <unistd.h>

#include "bus/claim.h"
#include "bus/directory.h"
#include "bus/error.h"
#include "bus/registry-record.h"

struct salvage {
        size_t topics;
        int r;
};

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

static bool header_is(const struct layout_header *header, uint32_t kind) {
        /* magic.last: pairs with whoever made it. */
        return atomic_load_explicit(&header->magic, memory_order_acquire) == LAYOUT_MAGIC &&
               header->kind == kind;
}

/* Of data of this user's, to be detached with shmdt(2). Returns -ENOENT if it is none of it,
 * -ENOMEM if it cannot be looked at now. */
static int header_attach(struct layout_header **ret_header, int id, int flags) {
        struct layout_header *header;

        if (!segment_is_own(id, sizeof(*header), NULL)) {
                return -ENOENT;
        }
        header = shmat(id, NULL, flags);
        if (header == (void *) -1) {
                return errno == ENOMEM ? -ENOMEM : -ENOENT;
        }
        if (!header_is(header, LAYOUT_KIND_DATA)) {
                (void) shmdt(header);
                return -ENOENT;
        }
        *ret_header = header;
        return 0;
}

/* Sleepers look at the state every 100 ms. */
static bool data_retire(struct layout_header *header, int id) {
        /* state.retired: pairs with the look at the state in take and wait. */
        atomic_store_explicit(&header->state, LAYOUT_STATE_RETIRED, memory_order_release);
        return shmctl(id, IPC_RMID, NULL) == 0;
}

/* Its data: by its header in any version, or else, where that was scribbled over or its owner took
 * our access, by its size. Returns 1 if it is gone, 0 if there is none, or -ENOMEM. */
static int data_remove(const struct layout_entry *entry) {
        const struct segment_expect expect = topic_expect_data(entry, "");
        struct segment segment = SEGMENT_NONE;
        struct layout_header *header;
        int r;

        if (entry->data_key <= 0 || shmget(entry->data_key, 0, 0) != entry->data_id) {
                return 0;
        }
        r = header_attach(&header, entry->data_id, 0);
        if (r == 0) {
                r = header->generation == entry->generation && data_retire(header, entry->data_id);
                (void) shmdt(header);
                return r;
        }
        if (r != -ENOMEM) {
                r = segment_adopt(&segment, &expect, NULL);
        }
        if (r == 0) {
                r = data_retire(segment.address, entry->data_id);
                segment_detach(&segment);
                return r;
        }
        return r == -ENOMEM ? r : 0;
}

/* As data_remove(). */
static int entry_remove(const struct layout_entry *entry) {
        switch (entry->kind) {
        case LAYOUT_ENTRY_TOPIC:
                claim_remove(entry->claim_key, entry->claim_id);
                claim_remove(entry->pin_claim_key, entry->pin_claim_id);
                segment_remove(entry->pin_key, entry->pin_id);
                segment_remove(entry->lock_key, entry->lock_id);
                return data_remove(entry);
        case LAYOUT_ENTRY_BOARD:
                segment_remove(entry->board_key, entry->board_id);
                return 0;
        default:
                return 0;
        }
}

/* As many as can be; the first error of one is the whole's. */
static void salvaged(struct salvage *salvage, int r) {
        if (r >= 0) {
                salvage->topics += (size_t) r;
        } else if (salvage->r == 0) {
                salvage->r = r;
        }
}

static void entries_remove(struct salvage *salvage, const char *directory, uint64_t bytes) {
        struct layout_entry entry;
        uint64_t offset;

        for (offset = 0; offset + sizeof(entry) <= bytes; offset += alignof(struct layout_entry)) {
                memcpy(&entry, directory + offset, offsetof(struct layout_entry, board_line));
                if (entry.state >= LAYOUT_ENTRY_CREATING && entry.state <= LAYOUT_ENTRY_REMOVING) {
                        memcpy(&entry, directory + offset, sizeof(entry));
                        salvaged(salvage, entry_remove(&entry));
                }
        }
}

/* Looked at without the right to write: most are others'. */
static int data_remove_of(int id, uint64_t instance) {
        struct layout_header *header;
        bool found;
        int r;

        r = header_attach(&header, id, SHM_RDONLY);
        if (r < 0) {
                return r == -ENOMEM ? r : 0;
        }
        found = header->instance == instance;
        (void) shmdt(header);
        if (!found) {
                return 0;
        }
        r = header_attach(&header, id, 0);
        if (r == 0) {
                r = data_retire(header, id);
                (void) shmdt(header);
        }
        return r;
}

/* Data segments that no entry led to and that say they belong to this creation of a bus. */
static void segments_remove(struct salvage *salvage, uint64_t instance) {
        FILE *list = fopen("/proc/sysvipc/shm", "re");
        char line[512];
        int id;

        if (!list) {
                salvaged(salvage, -errno);
                return;
        }
        while (fgets(line, sizeof(line), list)) {
                if (sscanf(line, "%*d %d", &id) == 1) {
                        salvaged(salvage, data_remove_of(id, instance));
                }
        }
        if (ferror(list)) {
                salvaged(salvage, -EIO);
        }
        (void) fclose(list);
}

int registry_salvage_contents(int id, size_t *ret_topics, struct slipring_error *reterr) {
        struct salvage salvage = {0};
        struct layout_header *directory;
        uint64_t bytes;

        *ret_topics = 0;
        if (!segment_is_own(id, sizeof(*directory), &bytes)) {
                return 0;
        }
        directory = shmat(id, NULL, 0);
        if (directory == (void *) -1) {
                return error_set(reterr, -errno, "cannot attach directory id %d (%s)%s", id,
                                 strerror(errno), error_remedy(-errno));
        }
        /* state.retired: before any topic, so that who is told looks for the next bus. Pairs with
         * the look at the state in take and wait. */
        atomic_store_explicit(&directory->state, LAYOUT_STATE_RETIRED, memory_order_release);
        entries_remove(&salvage, (const char *) directory, bytes);
        if (header_is(directory, LAYOUT_KIND_DIRECTORY)) {
                segments_remove(&salvage, directory->instance);
        }
        (void) shmdt(directory);
        *ret_topics = salvage.topics;
        if (salvage.r < 0) {
                return error_set(reterr, salvage.r,
                                 "%zu topics are removed, but not all could be looked for in "
                                 "/proc/sysvipc/shm and attached (%s)%s; try again",
                                 salvage.topics, strerror(-salvage.r), error_remedy(salvage.r));
        }
        return 0;
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
        r = registry_salvage_contents(id, ret_topics, reterr);
        if (r < 0) {
                /* The directory is all that leads to the rest. */
                claim_release(registry.claim_id);
                return r;
        }
        if (id >= 0 && shmctl(id, IPC_RMID, NULL) < 0) {
                r = error_set(reterr, -errno, "cannot remove what is left of bus '%s' (%s)", bus,
                              strerror(errno));
        }
        /* While it is held, as in registry_remove(). */
        (void) semctl(registry.claim_id, 0, IPC_RMID);
        return r;
}
