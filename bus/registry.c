#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ipc.h>
#include <sys/random.h>
#include <sys/sem.h>
#include <sys/shm.h>
#include <time.h>
#include <unistd.h>

#include "bus/claim.h"
#include "bus/copy.h"
#include "bus/error.h"
#include "bus/registry-record.h"
#include "bus/ring-write.h"
#include "bus/wake.h"

/* --- the directory --- */

#define CLOCK_TRIES 5
#define CLOCK_CLOSE_NS 1000u

/* Who gets no processor between two clocks has the wrong distance between them: the best of some
 * tries. */
static int64_t realtime_offset_ns(void) {
        uint64_t before, after, least = UINT64_MAX;
        int64_t offset = 0;
        struct timespec real;

        for (int i = 0; i < CLOCK_TRIES && least > CLOCK_CLOSE_NS; i++) {
                before = slipring_now_ns();
                (void) clock_gettime(CLOCK_REALTIME, &real);
                after = slipring_now_ns();
                if (after - before < least) {
                        least = after - before;
                        offset = (int64_t) real.tv_sec * INT64_C(1000000000) + real.tv_nsec -
                                 (int64_t) (before + least / 2);
                }
        }
        return offset;
}

void registry_refresh(struct registry *registry) {
        struct layout_table head = {
                .instance = registry->instance,
                .generation = registry->generation,
                .realtime_offset_ns = realtime_offset_ns(),
                .entry_count = (uint32_t) registry->count,
                .entry_bytes = sizeof(struct layout_entry),
        };
        uint8_t *payload;
        size_t i;

        memcpy(head.bus, registry->bus, sizeof(head.bus));
        payload = ring_writer_begin(&registry->writer);
        copy_to_slot(payload, &head, sizeof(head));
        payload += sizeof(head);
        for (i = 0; i < registry->count; i++) {
                copy_to_slot(payload, &registry->records[i].entry, sizeof(struct layout_entry));
                payload += sizeof(struct layout_entry);
        }
        ring_writer_commit(
                &registry->writer,
                (uint32_t) (sizeof(head) + registry->count * sizeof(struct layout_entry)), 0);
}

void registry_publish(struct registry *registry) {
        registry->generation++;
        registry_refresh(registry);
}

void entry_describe(const struct layout_entry *entry, char *what) {
        if (entry->kind == LAYOUT_ENTRY_BOARD) {
                (void) snprintf(what, WHAT_BYTES, "wake board of owner %u, group %u, mode %04o",
                                entry->uid, entry->gid, entry->mode);
        } else {
                (void) snprintf(what, WHAT_BYTES, "topic '%s'", entry->name);
        }
}

/* --- records --- */

struct record *record_add(struct registry *registry, uint32_t kind) {
        struct record *record;

        if (registry->count == LAYOUT_ENTRIES_MAX) {
                return NULL;
        }
        record = &registry->records[registry->count++];
        *record = (struct record){
                .entry =
                        {
                                .kind = kind,
                                .state = LAYOUT_ENTRY_CREATING,
                                .generation = registry->generation + 1,
                                .data_id = -1,
                                .claim_id = -1,
                                .board_id = -1,
                        },
                .topic = TOPIC_NONE,
        };
        return record;
}

struct record *record_find(struct registry *registry, const char *name) {
        size_t i;

        for (i = 0; i < registry->count; i++) {
                struct layout_entry *entry = &registry->records[i].entry;

                if (entry->kind == LAYOUT_ENTRY_TOPIC && entry->state == LAYOUT_ENTRY_SERVING &&
                    strcmp(entry->name, name) == 0) {
                        return &registry->records[i];
                }
        }
        return NULL;
}

void records_drop(struct registry *registry, uint32_t state) {
        size_t i, kept = 0;

        for (i = 0; i < registry->count; i++) {
                if (registry->records[i].entry.state == state) {
                        topic_detach(&registry->records[i].topic);
                } else {
                        registry->records[kept++] = registry->records[i];
                }
        }
        registry->count = kept;
}

bool records_any(const struct registry *registry, uint32_t state) {
        size_t i;

        for (i = 0; i < registry->count; i++) {
                if (registry->records[i].entry.state == state) {
                        return true;
                }
        }
        return false;
}

/* --- opening --- */

/* Times in a row that another manager may end while this one looks at the bus's claim. */
#define CLAIM_TRIES 8

/* Returns -ENOENT or -EIDRM if a manager that ends removed it under our eyes: the bus is free. */
static int claim_try(struct registry *registry,
                     const struct segment_expect *expect,
                     struct slipring_error *reterr) {
        pid_t holder;
        int r;

        r = claim_create(&registry->claim_id, expect, reterr);
        registry->claim_made = r == 0;
        if (r == -EEXIST) {
                r = claim_adopt(&registry->claim_id, expect, reterr);
        }
        if (r < 0) {
                return r;
        }
        r = claim_acquire(registry->claim_id, 0);
        if (r != -EBUSY) {
                return r < 0 ? error_set(reterr, r, "%s: cannot claim it (%s)", expect->what,
                                         strerror(-r))
                             : 0;
        }
        holder = claim_holder(registry->claim_id);
        if (holder <= 0) {
                return error_set(reterr, -EIDRM, "%s: its manager is just ending; try again",
                                 expect->what);
        }
        return error_set(reterr, r, "%s has a manager already, pid %d; a bus has one", expect->what,
                         (int) holder);
}

int registry_claim(struct registry *registry, struct slipring_error *reterr) {
        char what[128];
        struct segment_expect expect;
        int tries, r = -EIDRM;

        (void) snprintf(what, sizeof(what), "bus '%s'", registry->bus);
        expect = directory_expect(geteuid(), registry->bus, what);
        for (tries = 0; tries < CLAIM_TRIES && (r == -ENOENT || r == -EIDRM); tries++) {
                r = claim_try(registry, &expect, reterr);
        }
        return r;
}

static void writer_start(struct registry *registry, const struct header *header) {
        registry->writer = (struct ring_writer){
                .ring = header_ring(header, registry->segment.address),
                .waiters = WAKE_ALL,
        };
        ring_writer_takeover(&registry->writer);
}

static int directory_create(struct registry *registry,
                            const struct segment_expect *expect,
                            struct slipring_error *reterr) {
        struct layout_header plan_header, *mapped;
        struct header header = {.copy = &plan_header};
        int r;

        r = segment_create(&registry->segment, expect, reterr);
        if (r < 0) {
                return r;
        }
        if (getrandom(&registry->instance, sizeof(registry->instance), 0) !=
            sizeof(registry->instance)) {
                registry->instance = slipring_now_ns();
        }
        plan_header = header_directory(registry->instance);
        mapped = registry->segment.address;
        memcpy(mapped, &plan_header, sizeof(plan_header));
        writer_start(registry, &header);
        registry_publish(registry);
        /* relaxed: nobody looks at it before the magic, which comes after it. */
        atomic_store_explicit(&mapped->state, LAYOUT_STATE_SERVING, memory_order_relaxed);
        /* magic.last: the header and a first, empty table before it. Pairs with header_read(). */
        atomic_store_explicit(&mapped->magic, LAYOUT_MAGIC, memory_order_release);
        return 0;
}

static int table_adopt(struct registry *registry,
                       const struct directory *directory,
                       struct slipring_error *reterr) {
        struct directory_table table = {0};
        uint32_t i;
        int r;

        r = directory_read(directory, &table, reterr);
        if (r == -ENOENT || r == -EAGAIN) {
                /* Nobody else writes it, and its header was stored after its first table. */
                r = error_set(reterr, -EBADMSG, "bus '%s': its directory is corrupt",
                              directory->bus);
        }
        if (r == 0) {
                registry->instance = table.table->instance;
                registry->generation = table.table->generation;
                registry->count = table.count;
                for (i = 0; i < table.count; i++) {
                        registry->records[i] =
                                (struct record){.entry = table.entries[i], .topic = TOPIC_NONE};
                }
        }
        directory_table_free(&table);
        return r;
}

/* A directory of our own that an earlier manager left. Returns 1 if it was of no use and is gone.
 */
static int directory_adopt(struct registry *registry,
                           const struct segment_expect *expect,
                           struct slipring_error *reterr) {
        struct directory directory = {.segment = SEGMENT_NONE};
        size_t topics;
        int r;

        r = segment_adopt(&registry->segment, expect, reterr);
        if (r < 0) {
                return r;
        }
        r = header_read(&directory.header, registry->segment.address, registry->segment.bytes,
                        LAYOUT_KIND_DIRECTORY, expect->what, reterr);
        if (r == -EAGAIN) {
                /* Killed before the magic, and nobody has used it; or its start was scribbled
                 * over, and clients wait for what it leads to. */
                r = registry_salvage_contents(registry->segment.id, &topics, reterr);
                if (r < 0) {
                        return r;
                }
                (void) shmctl(registry->segment.id, IPC_RMID, NULL);
                segment_detach(&registry->segment);
                return 1;
        }
        if (r < 0) {
                return r;
        }
        writer_start(registry, &directory.header);
        directory.ring = registry->writer.ring;
        (void) snprintf(directory.bus, sizeof(directory.bus), "%s", registry->bus);
        r = table_adopt(registry, &directory, reterr);
        header_free(&directory.header);
        return r;
}

static int directory_open(struct registry *registry, struct slipring_error *reterr) {
        char what[128];
        struct segment_expect expect;
        int r;

        (void) snprintf(what, sizeof(what), "directory of bus '%s'", registry->bus);
        expect = directory_expect(geteuid(), registry->bus, what);
        if (shmget(expect.key, 0, 0) < 0) {
                return directory_create(registry, &expect, reterr);
        }
        r = directory_adopt(registry, &expect, reterr);
        if (r == 0 && ring_retired(&registry->writer.ring)) {
                /* Killed while it took the bus down: finish that, then begin anew. */
                r = registry_destroy(registry, reterr);
                r = r < 0 ? r : 1;
        }
        return r == 1 ? directory_create(registry, &expect, reterr) : r;
}

int registry_open(struct registry **ret_registry, const char *bus, struct slipring_error *reterr) {
        struct registry *registry;
        int r;

        r = directory_name_check(bus, reterr);
        if (r < 0) {
                return r;
        }
        registry = calloc(1, sizeof(*registry));
        if (registry) {
                registry->records = calloc(LAYOUT_ENTRIES_MAX, sizeof(*registry->records));
        }
        if (!registry || !registry->records) {
                free(registry);
                return error_set(reterr, -ENOMEM, "bus '%s': no memory", bus);
        }
        registry->segment = SEGMENT_NONE;
        registry->claim_id = -1;
        (void) snprintf(registry->bus, sizeof(registry->bus), "%s", bus);
        r = registry_claim(registry, reterr);
        if (r == 0) {
                r = directory_open(registry, reterr);
                if (r < 0 && registry->claim_made) {
                        /* While it is held, as in registry_remove(). */
                        (void) semctl(registry->claim_id, 0, IPC_RMID);
                        registry->claim_id = -1;
                }
        } else {
                /* Not ours to release; but not to be left either, if nobody else has it. */
                if (registry->claim_made && claim_holder(registry->claim_id) == 0) {
                        (void) semctl(registry->claim_id, 0, IPC_RMID);
                }
                registry->claim_id = -1;
        }
        if (r < 0) {
                registry_close(registry);
                return r;
        }
        *ret_registry = registry;
        return 0;
}

/* --- looking --- */

size_t registry_count(const struct registry *registry) {
        size_t count = 0;

        /* switch_over() puts them first. */
        while (count < registry->count &&
               registry->records[count].entry.kind == LAYOUT_ENTRY_TOPIC &&
               registry->records[count].entry.state == LAYOUT_ENTRY_SERVING) {
                count++;
        }
        return count;
}

const struct layout_entry *registry_entry(const struct registry *registry, size_t index) {
        return &registry->records[index].entry;
}

const struct ring *registry_ring(const struct registry *registry, size_t index) {
        return &registry->records[index].topic.ring;
}

int registry_verify(const struct registry *registry, size_t index, struct slipring_error *reterr) {
        return entry_objects_verify(&registry->records[index].entry, reterr);
}

int registry_verify_bus(const struct registry *registry, struct slipring_error *reterr) {
        char what[128];
        struct segment_expect expect;
        int id, r;

        (void) snprintf(what, sizeof(what), "directory of bus '%s'", registry->bus);
        expect = directory_expect(geteuid(), registry->bus, what);
        r = segment_check(registry->segment.id, &expect, reterr);
        if (r < 0) {
                return r;
        }
        expect.id = registry->claim_id;
        return claim_find(&id, &expect, reterr);
}

int registry_lock(const struct registry *registry, size_t index) {
        const struct layout_entry *entry = &registry->records[index].entry;

        return entry->memory_lock == LAYOUT_MEMORY_LOCK_NO
                       ? 0
                       : segment_lock(entry->data_id, entry->page_bytes);
}

uint32_t registry_reap_pins(const struct registry *registry, size_t index) {
        return pins_reap(&registry->records[index].topic.pins);
}

/* --- ending --- */

struct registry *registry_remove(struct registry *registry, struct slipring_error *reterr) {
        if (registry && registry_destroy(registry, reterr) == 0) {
                /* While it is held: once released it could already be the next manager's. */
                (void) semctl(registry->claim_id, 0, IPC_RMID);
                registry->claim_id = -1;
        }
        return registry_close(registry);
}

struct registry *registry_close(struct registry *registry) {
        size_t i;

        if (!registry) {
                return NULL;
        }
        for (i = 0; i < registry->count; i++) {
                topic_detach(&registry->records[i].topic);
        }
        segment_detach(&registry->segment);
        if (registry->claim_id >= 0) {
                claim_release(registry->claim_id);
        }
        free(registry->records);
        free(registry);
        return NULL;
}
