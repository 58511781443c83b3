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
#include "bus/registry.h"
#include "bus/wake.h"

/* Keys are 31 random bits: a second collision in a row is a sign of something else. */
#define KEY_TRIES 8

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

/* --- the directory --- */

static int64_t realtime_offset_ns(void) {
        struct timespec real;
        uint64_t mono = slipring_now_ns();

        (void) clock_gettime(CLOCK_REALTIME, &real);
        return (int64_t) real.tv_sec * INT64_C(1000000000) + real.tv_nsec - (int64_t) mono;
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

static void publish_change(struct registry *registry) {
        registry->generation++;
        registry_refresh(registry);
}

static void describe_entry(const struct layout_entry *entry, char *what) {
        if (entry->kind == LAYOUT_ENTRY_BOARD) {
                (void) snprintf(what, WHAT_BYTES, "wake board of owner %u, group %u, mode %04o",
                                entry->uid, entry->gid, entry->mode);
        } else {
                (void) snprintf(what, WHAT_BYTES, "topic '%s'", entry->name);
        }
}

/* --- records --- */

static struct record *record_add(struct registry *registry, uint32_t kind) {
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

static struct record *record_find(struct registry *registry, const char *name) {
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

/* Forget the records in a state; their objects are gone. */
static void records_drop(struct registry *registry, uint32_t state) {
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

static bool any_in_state(const struct registry *registry, uint32_t state) {
        size_t i;

        for (i = 0; i < registry->count; i++) {
                if (registry->records[i].entry.state == state) {
                        return true;
                }
        }
        return false;
}

/* --- removing objects --- */

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

static void objects_remove(const struct layout_entry *entry) {
        if (entry->kind == LAYOUT_ENTRY_BOARD) {
                segment_remove(entry->board_key, LAYOUT_BOARD_BYTES);
                return;
        }
        segment_remove(entry->data_key, entry->segment_bytes);
        claim_remove(entry->claim_key);
}

/* A topic of an earlier manager, to tell its clients: attached however its access was changed. */
static void attach_to_retire(const struct registry *registry, struct record *record) {
        struct layout_entry *entry = &record->entry;
        struct segment_expect expect = topic_expect_data(entry, "");

        if (record->topic.data.id >= 0 || entry->kind != LAYOUT_ENTRY_TOPIC) {
                return;
        }
        if (segment_adopt(&record->topic.data, &expect, NULL) < 0) {
                return;
        }
        if (header_read(&record->topic.header, record->topic.data.address, record->topic.data.bytes,
                        LAYOUT_KIND_DATA, "", NULL) < 0) {
                segment_detach(&record->topic.data);
                return;
        }
        /* An id that the owner gave back may be another segment's by now. */
        if (record->topic.header.copy->instance != registry->instance ||
            record->topic.header.copy->generation != entry->generation) {
                header_free(&record->topic.header);
                segment_detach(&record->topic.data);
                return;
        }
        record->topic.ring = header_ring(&record->topic.header, record->topic.data.address);
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

/* Everything in state REMOVING: tell the clients, remove the objects, forget. */
static void retire_all(struct registry *registry) {
        bool topics = false;
        size_t i;

        if (!any_in_state(registry, LAYOUT_ENTRY_REMOVING)) {
                return;
        }
        for (i = 0; i < registry->count; i++) {
                struct record *record = &registry->records[i];

                if (record->entry.state != LAYOUT_ENTRY_REMOVING) {
                        continue;
                }
                attach_to_retire(registry, record);
                if (record->topic.ring.state) {
                        ring_retire(&record->topic.ring);
                        topics = true;
                }
        }
        /* The claims first: a standby blocked on one is woken with EIDRM and finds the successor.
         */
        for (i = 0; i < registry->count; i++) {
                if (registry->records[i].entry.state == LAYOUT_ENTRY_REMOVING) {
                        objects_remove(&registry->records[i].entry);
                }
        }
        if (topics) {
                wake_retired(registry);
        }
        records_drop(registry, LAYOUT_ENTRY_REMOVING);
        publish_change(registry);
}

/* What a killed manager left: half-made objects go, half-removed ones too. */
static void repair(struct registry *registry) {
        size_t i;

        if (any_in_state(registry, LAYOUT_ENTRY_CREATING)) {
                for (i = 0; i < registry->count; i++) {
                        if (registry->records[i].entry.state == LAYOUT_ENTRY_CREATING) {
                                objects_remove(&registry->records[i].entry);
                        }
                }
                records_drop(registry, LAYOUT_ENTRY_CREATING);
                publish_change(registry);
        }
        retire_all(registry);
}

/* --- verifying --- */

/* Everything but the state, byte for byte: the header is writable by the topic's publisher. */
static int header_verify(const struct registry *registry,
                         const struct record *record,
                         const struct topic_spec *spec,
                         struct slipring_error *reterr) {
        const struct layout_header *mapped = record->topic.data.address;
        struct layout_header *header = NULL;
        size_t bytes = 0, state = offsetof(struct layout_header, state);
        int r;

        r = header_build(spec, registry->instance, record->entry.generation, &header, &bytes);
        if (r < 0) {
                return r;
        }
        atomic_store_explicit(&header->magic, LAYOUT_MAGIC,
                              memory_order_relaxed); /* relaxed: private */
        if (bytes > record->topic.data.bytes || memcmp(header, mapped, state) != 0 ||
            memcmp((char *) header + state + 4, (const char *) mapped + state + 4,
                   bytes - state - 4) != 0 ||
            ring_retired(&record->topic.ring)) {
                r = error_set(reterr, -EBADMSG, "topic '%s': the header of its segment was changed",
                              record->entry.name);
        }
        free(header);
        return r;
}

static int objects_verify(const struct layout_entry *entry, struct slipring_error *reterr) {
        char what[WHAT_BYTES];
        struct segment_expect expect;
        int id, r;

        describe_entry(entry, what);
        expect = topic_expect_board(entry, what);
        r = segment_check(entry->board_id, &expect, reterr);
        if (r < 0 || entry->kind == LAYOUT_ENTRY_BOARD) {
                return r;
        }
        expect = topic_expect_data(entry, what);
        r = segment_check(entry->data_id, &expect, reterr);
        if (r < 0) {
                return r;
        }
        expect = topic_expect_claim(entry, what);
        return claim_find(&id, &expect, reterr);
}

static bool entry_matches(const struct layout_entry *entry, const struct topic_spec *spec) {
        return entry->uid == spec->uid && entry->gid == spec->gid && entry->mode == spec->mode &&
               entry->depth == spec->depth && entry->waiters == spec->waiters &&
               entry->payload_bytes == spec->type->payload_bytes &&
               entry->segment_bytes == header_segment_bytes(spec) &&
               entry->deadline_ns == spec->deadline_ns && entry->rate_hz == spec->rate_hz &&
               memcmp(entry->identity, spec->type->identity, sizeof(entry->identity)) == 0 &&
               strcmp(entry->type_name, spec->type->name) == 0;
}

/* Is what serves under this name what the schema wants, and unharmed? Attaches it if so. */
static bool
record_matches(struct registry *registry, struct record *record, const struct topic_spec *spec) {
        if (!entry_matches(&record->entry, spec) || objects_verify(&record->entry, NULL) < 0) {
                return false;
        }
        if (record->topic.data.id < 0 &&
            topic_attach(&record->topic, &record->entry, true, NULL) < 0) {
                return false;
        }
        return header_verify(registry, record, spec, NULL) == 0;
}

/* --- creating --- */

static key_t draw_key(void) {
        uint32_t key = 0;

        while (key == 0) {
                /* Never short for four bytes once the machine has booted. */
                if (getrandom(&key, sizeof(key), 0) != sizeof(key)) {
                        key = 0;
                }
                key &= 0x7fffffff;
        }
        return (key_t) key;
}

static bool same_class(const struct layout_entry *entry, const struct topic_spec *spec) {
        return entry->uid == spec->uid && entry->gid == spec->gid && entry->mode == spec->mode;
}

static struct record *board_for(struct registry *registry, const struct topic_spec *spec) {
        struct record *board;
        size_t i;

        for (i = 0; i < registry->count; i++) {
                board = &registry->records[i];
                if (board->entry.kind == LAYOUT_ENTRY_BOARD &&
                    board->entry.state != LAYOUT_ENTRY_REMOVING &&
                    same_class(&board->entry, spec)) {
                        return board;
                }
        }
        board = record_add(registry, LAYOUT_ENTRY_BOARD);
        if (board) {
                board->entry.board_key = draw_key();
                board->entry.uid = spec->uid;
                board->entry.gid = spec->gid;
                board->entry.mode = spec->mode;
        }
        return board;
}

/* The lowest line of a board that no entry, not even one being removed, has. */
static uint32_t free_line(const struct registry *registry, int32_t board_key) {
        uint8_t used[LAYOUT_BOARD_LINES] = {0};
        uint32_t line;
        size_t i;

        for (i = 0; i < registry->count; i++) {
                const struct layout_entry *entry = &registry->records[i].entry;

                if (entry->kind == LAYOUT_ENTRY_TOPIC && entry->board_key == board_key &&
                    entry->board_line < LAYOUT_BOARD_LINES) {
                        used[entry->board_line] = 1;
                }
        }
        for (line = 0; line < LAYOUT_BOARD_LINES && used[line]; line++) {
        }
        return line;
}

/* Write down what is going to be made. */
static int
plan(struct registry *registry, const struct topic_spec *spec, struct slipring_error *reterr) {
        struct record *board = board_for(registry, spec), *record;
        struct layout_entry *entry;
        uint32_t line;

        line = board ? free_line(registry, board->entry.board_key) : LAYOUT_BOARD_LINES;
        record = board ? record_add(registry, LAYOUT_ENTRY_TOPIC) : NULL;
        if (!record || line == LAYOUT_BOARD_LINES) {
                return error_set(reterr, -ENOSPC, "topic '%s': the directory of bus '%s' is full",
                                 spec->name, registry->bus);
        }
        record->spec = spec;
        entry = &record->entry;
        entry->data_key = draw_key();
        entry->claim_key = draw_key();
        entry->board_key = board->entry.board_key;
        entry->board_id = board->entry.board_id;
        entry->board_line = line;
        entry->uid = spec->uid;
        entry->gid = spec->gid;
        entry->mode = spec->mode;
        entry->depth = spec->depth;
        entry->payload_bytes = spec->type->payload_bytes;
        entry->segment_bytes = header_segment_bytes(spec);
        entry->deadline_ns = spec->deadline_ns;
        entry->rate_hz = spec->rate_hz;
        entry->waiters = spec->waiters;
        memcpy(entry->identity, spec->type->identity, sizeof(entry->identity));
        (void) snprintf(entry->name, sizeof(entry->name), "%s", spec->name);
        (void) snprintf(entry->type_name, sizeof(entry->type_name), "%s", spec->type->name);
        (void) snprintf(entry->description, sizeof(entry->description), "%s",
                        spec->description ? spec->description : "");
        return 0;
}

static int
board_create(struct registry *registry, struct record *record, struct slipring_error *reterr) {
        struct layout_entry *entry = &record->entry;
        struct segment segment = SEGMENT_NONE;
        struct segment_expect expect;
        char what[WHAT_BYTES];
        int32_t old_key;
        size_t i;
        int tries, r = -EEXIST;

        describe_entry(entry, what);
        for (tries = 0; tries < KEY_TRIES && r == -EEXIST; tries++) {
                if (tries > 0) {
                        old_key = entry->board_key;
                        entry->board_key = draw_key();
                        for (i = 0; i < registry->count; i++) {
                                if (registry->records[i].entry.board_key == old_key) {
                                        registry->records[i].entry.board_key = entry->board_key;
                                }
                        }
                        publish_change(registry);
                }
                expect = topic_expect_board(entry, what);
                r = segment_create(&segment, &expect, reterr);
        }
        if (r < 0) {
                return r;
        }
        for (i = 0; i < registry->count; i++) {
                if (registry->records[i].entry.board_key == entry->board_key) {
                        registry->records[i].entry.board_id = segment.id;
                }
        }
        segment_detach(&segment);
        return 0;
}

static int header_write(struct registry *registry, struct record *record) {
        struct layout_header *header = NULL, *mapped = record->topic.data.address;
        size_t bytes = 0;
        int r;

        r = header_build(record->spec, registry->instance, record->entry.generation, &header,
                         &bytes);
        if (r < 0) {
                return r;
        }
        memcpy(mapped, header, bytes);
        free(header);
        segment_prefault(&record->topic.data, true);
        /* relaxed: nobody looks at it before the magic, which comes after it. */
        atomic_store_explicit(&mapped->state, LAYOUT_STATE_SERVING, memory_order_relaxed);
        /* magic.last: everything above before it. Pairs with the first look in header_read(). */
        atomic_store_explicit(&mapped->magic, LAYOUT_MAGIC, memory_order_release);
        return 0;
}

static int
data_create(struct registry *registry, struct record *record, struct slipring_error *reterr) {
        struct layout_entry *entry = &record->entry;
        struct segment_expect expect;
        char what[WHAT_BYTES];
        int tries, r = -EEXIST;

        describe_entry(entry, what);
        for (tries = 0; tries < KEY_TRIES && r == -EEXIST; tries++) {
                if (tries > 0) {
                        entry->data_key = draw_key();
                        publish_change(registry);
                }
                expect = topic_expect_data(entry, what);
                r = segment_create(&record->topic.data, &expect, reterr);
        }
        if (r < 0) {
                return r;
        }
        entry->data_id = record->topic.data.id;
        r = header_write(registry, record);
        return r < 0 ? error_set(reterr, r, "%s: no memory for its header", what) : 0;
}

static int
claim_make(struct registry *registry, struct record *record, struct slipring_error *reterr) {
        struct layout_entry *entry = &record->entry;
        struct segment_expect expect;
        char what[WHAT_BYTES];
        int tries, id = -1, r = -EEXIST;

        describe_entry(entry, what);
        for (tries = 0; tries < KEY_TRIES && r == -EEXIST; tries++) {
                if (tries > 0) {
                        entry->claim_key = draw_key();
                        publish_change(registry);
                }
                expect = topic_expect_claim(entry, what);
                r = claim_create(&id, &expect, reterr);
        }
        entry->claim_id = id;
        return r;
}

static int
topic_create(struct registry *registry, struct record *record, struct slipring_error *reterr) {
        int r;

        r = claim_make(registry, record, reterr);
        if (r == 0) {
                r = data_create(registry, record, reterr);
        }
        if (r == 0) {
                /* As every client does it; also maps the board. */
                segment_detach(&record->topic.data);
                r = topic_attach(&record->topic, &record->entry, true, reterr);
        }
        return r;
}

/* Make everything in state CREATING, boards first; on failure unmake it all. */
static int create_all(struct registry *registry, struct slipring_error *reterr) {
        uint32_t kinds[] = {LAYOUT_ENTRY_BOARD, LAYOUT_ENTRY_TOPIC};
        size_t k, i;
        int r = 0;

        for (k = 0; k < 2; k++) {
                for (i = 0; r == 0 && i < registry->count; i++) {
                        struct record *record = &registry->records[i];

                        if (record->entry.state != LAYOUT_ENTRY_CREATING ||
                            record->entry.kind != kinds[k]) {
                                continue;
                        }
                        r = kinds[k] == LAYOUT_ENTRY_BOARD ? board_create(registry, record, reterr)
                                                           : topic_create(registry, record, reterr);
                }
        }
        return r;
}

static void unmake(struct registry *registry) {
        size_t i;

        for (i = 0; i < registry->count; i++) {
                struct layout_entry *entry = &registry->records[i].entry;

                if (entry->state == LAYOUT_ENTRY_CREATING) {
                        objects_remove(entry);
                }
        }
        records_drop(registry, LAYOUT_ENTRY_CREATING);
        publish_change(registry);
}

/* --- applying --- */

struct change {
        const struct topic_spec *specs;
        size_t count;
        enum registry_outcome *outcomes;
};

static int compare_names(const void *left, const void *right) {
        const struct topic_spec *const *a = left, *const *b = right;

        return strcmp((*a)->name, (*b)->name);
}

static int check_specs(const struct change *change, struct slipring_error *reterr) {
        const struct topic_spec **sorted;
        size_t i;
        int r = 0;

        if (change->count > LAYOUT_TOPICS_MAX) {
                return error_set(reterr, -E2BIG, "a bus has at most %u topics", LAYOUT_TOPICS_MAX);
        }
        sorted = calloc(change->count + 1, sizeof(*sorted));
        if (!sorted) {
                return -ENOMEM;
        }
        for (i = 0; i < change->count; i++) {
                sorted[i] = &change->specs[i];
                if (change->specs[i].depth < LAYOUT_DEPTH_MIN ||
                    change->specs[i].depth > LAYOUT_DEPTH_MAX || change->specs[i].waiters == 0 ||
                    strlen(change->specs[i].name) > SLIPRING_TOPIC_NAME_MAX) {
                        r = error_set(reterr, -EINVAL,
                                      "topic '%.200s': depth, waiters or name is out "
                                      "of range",
                                      change->specs[i].name);
                }
        }
        qsort(sorted, change->count, sizeof(*sorted), compare_names);
        for (i = 1; r == 0 && i < change->count; i++) {
                if (strcmp(sorted[i - 1]->name, sorted[i]->name) == 0) {
                        r = error_set(reterr, -EINVAL, "topic '%s' is named twice",
                                      sorted[i]->name);
                }
        }
        free(sorted);
        return r;
}

/* Compare what serves with what is wanted; broken boards first, since their topics go with them. */
static int
plan_all(struct registry *registry, struct change *change, struct slipring_error *reterr) {
        struct record *record;
        size_t i;
        int r = 0;

        for (i = 0; i < registry->count; i++) {
                record = &registry->records[i];
                if (record->entry.kind == LAYOUT_ENTRY_BOARD &&
                    objects_verify(&record->entry, NULL) < 0) {
                        record->entry.state = LAYOUT_ENTRY_REMOVING;
                }
        }
        for (i = 0; r == 0 && i < change->count; i++) {
                const struct topic_spec *spec = &change->specs[i];

                record = record_find(registry, spec->name);
                if (record && record_matches(registry, record, spec)) {
                        record->spec = spec;
                        change->outcomes[i] =
                                strcmp(record->entry.description,
                                       spec->description ? spec->description : "") == 0
                                        ? REGISTRY_KEPT
                                        : REGISTRY_DESCRIBED;
                        continue;
                }
                change->outcomes[i] = record ? REGISTRY_REPLACED : REGISTRY_CREATED;
                r = plan(registry, spec, reterr);
        }
        return r;
}

/* Undo plan_all() for records that serve on. */
static void plan_forget(struct registry *registry) {
        size_t i;

        for (i = 0; i < registry->count; i++) {
                struct record *record = &registry->records[i];

                record->spec = NULL;
                if (record->entry.kind == LAYOUT_ENTRY_BOARD &&
                    record->entry.state == LAYOUT_ENTRY_REMOVING) {
                        record->entry.state = LAYOUT_ENTRY_SERVING;
                }
        }
}

static bool board_in_use(const struct registry *registry, int32_t board_key) {
        size_t i;

        for (i = 0; i < registry->count; i++) {
                const struct layout_entry *entry = &registry->records[i].entry;

                if (entry->kind == LAYOUT_ENTRY_TOPIC && entry->state == LAYOUT_ENTRY_SERVING &&
                    entry->board_key == board_key) {
                        return true;
                }
        }
        return false;
}

static int compare_records(const void *left, const void *right) {
        const struct record *a = left, *b = right;

        /* Topics as the schema has them, then what has no place in it. */
        if (a->spec && b->spec) {
                return a->spec < b->spec ? -1 : a->spec > b->spec;
        }
        return a->spec ? -1 : b->spec ? 1 : 0;
}

/* The moment of change: one message of the directory. Returns how many topics have no successor. */
static size_t switch_over(struct registry *registry) {
        struct record *record;
        size_t i, removed = 0;

        for (i = 0; i < registry->count; i++) {
                record = &registry->records[i];
                if (record->entry.kind != LAYOUT_ENTRY_TOPIC) {
                        continue;
                }
                if (!record->spec) {
                        record->entry.state = LAYOUT_ENTRY_REMOVING;
                        continue;
                }
                record->entry.state = LAYOUT_ENTRY_SERVING;
                memset(record->entry.description, 0, sizeof(record->entry.description));
                (void) snprintf(record->entry.description, sizeof(record->entry.description), "%s",
                                record->spec->description ? record->spec->description : "");
        }
        for (i = 0; i < registry->count; i++) {
                record = &registry->records[i];
                if (record->entry.kind == LAYOUT_ENTRY_BOARD) {
                        record->entry.state = board_in_use(registry, record->entry.board_key)
                                                      ? LAYOUT_ENTRY_SERVING
                                                      : LAYOUT_ENTRY_REMOVING;
                } else if (!record->spec && !record_find(registry, record->entry.name)) {
                        removed++;
                }
        }
        qsort(registry->records, registry->count, sizeof(*registry->records), compare_records);
        publish_change(registry);
        return removed;
}

int registry_apply(struct registry *registry,
                   const struct topic_spec *specs,
                   size_t count,
                   enum registry_outcome *ret_outcomes,
                   size_t *ret_removed,
                   struct slipring_error *reterr) {
        struct change change = {.specs = specs, .count = count};
        size_t removed, i;
        int r;

        r = check_specs(&change, reterr);
        if (r < 0) {
                return r;
        }
        change.outcomes = calloc(count + 1, sizeof(*change.outcomes));
        if (!change.outcomes) {
                return error_set(reterr, -ENOMEM, "no memory for %zu topics", count);
        }
        repair(registry);
        r = plan_all(registry, &change, reterr);
        if (r == 0 && any_in_state(registry, LAYOUT_ENTRY_CREATING)) {
                publish_change(registry);
                r = create_all(registry, reterr);
        }
        if (r < 0) {
                plan_forget(registry);
                unmake(registry);
                free(change.outcomes);
                return r;
        }
        removed = switch_over(registry);
        retire_all(registry);
        for (i = 0; i < registry->count; i++) {
                registry->records[i].spec = NULL;
        }
        if (ret_outcomes) {
                memcpy(ret_outcomes, change.outcomes, count * sizeof(*ret_outcomes));
        }
        if (ret_removed) {
                *ret_removed = removed;
        }
        free(change.outcomes);
        return 0;
}

/* --- opening --- */

static int claim_bus(struct registry *registry, struct slipring_error *reterr) {
        char what[128];
        struct segment_expect expect;
        int r;

        (void) snprintf(what, sizeof(what), "bus '%s'", registry->bus);
        expect = directory_expect(geteuid(), registry->bus, what);
        r = claim_create(&registry->claim_id, &expect, reterr);
        registry->claim_made = r == 0;
        if (r == -EEXIST) {
                r = claim_adopt(&registry->claim_id, &expect, reterr);
        }
        if (r < 0) {
                return r;
        }
        r = claim_acquire(registry->claim_id, 0);
        if (r == -EBUSY) {
                return error_set(reterr, r, "bus '%s' has a manager already, pid %d; a bus has one",
                                 registry->bus, (int) claim_holder(registry->claim_id));
        }
        return r < 0 ? error_set(reterr, r, "%s: cannot claim it (%s)", what, strerror(-r)) : 0;
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
        publish_change(registry);
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
        int r;

        r = segment_adopt(&registry->segment, expect, reterr);
        if (r < 0) {
                return r;
        }
        r = header_read(&directory.header, registry->segment.address, registry->segment.bytes,
                        LAYOUT_KIND_DIRECTORY, expect->what, reterr);
        if (r == -EAGAIN) {
                /* Killed before the magic: nobody has used it. */
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

static void destroy(struct registry *registry);

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
                destroy(registry);
                r = 1;
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
        r = claim_bus(registry, reterr);
        if (r == 0) {
                r = directory_open(registry, reterr);
                if (r < 0 && registry->claim_made) {
                        /* While it is held, as in registry_remove(). */
                        (void) semctl(registry->claim_id, 0, IPC_RMID);
                        registry->claim_id = -1;
                }
        } else {
                /* Not ours to release. */
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
        return objects_verify(&registry->records[index].entry, reterr);
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
        return shmctl(registry->records[index].entry.data_id, SHM_LOCK, NULL) < 0 ? -errno : 0;
}

/* --- ending --- */

/* All objects but the bus's claim, which keeps other managers out until the end. */
static void destroy(struct registry *registry) {
        size_t i;

        for (i = 0; i < registry->count; i++) {
                registry->records[i].entry.state = LAYOUT_ENTRY_REMOVING;
        }
        publish_change(registry);
        ring_retire(&registry->writer.ring);
        (void) wake_send(&registry->writer.ring.words->wake, WAKE_ALL);
        retire_all(registry);
        (void) shmctl(registry->segment.id, IPC_RMID, NULL);
        segment_detach(&registry->segment);
}

struct registry *registry_remove(struct registry *registry) {
        if (!registry) {
                return NULL;
        }
        destroy(registry);
        /* While it is held: once released it could already be the next manager's. */
        (void) semctl(registry->claim_id, 0, IPC_RMID);
        registry->claim_id = -1;
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
