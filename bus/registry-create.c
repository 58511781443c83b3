#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "bus/claim.h"
#include "bus/error.h"
#include "bus/pages.h"
#include "bus/registry-record.h"

/* Keys are 31 random bits: a second collision in a row is a sign of something else. */
#define KEY_TRIES 8

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
int registry_plan(struct registry *registry,
                  const struct topic_spec *spec,
                  struct slipring_error *reterr) {
        struct record *board = board_for(registry, spec), *record;
        struct layout_entry *entry;
        struct pages pages = {0};
        uint32_t line;

        if (spec->huge_pages != LAYOUT_HUGE_PAGES_NO) {
                pages_read(&pages);
        }
        if (spec->huge_pages == LAYOUT_HUGE_PAGES_YES && !pages.bytes) {
                return error_set(reterr, -ENOSYS,
                                 "topic '%s': this kernel has no huge pages, which 'huge_pages: "
                                 "yes' needs; 'try' does without",
                                 spec->name);
        }

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
        entry->publishers = spec->publishers;
        entry->wake = spec->wake;
        entry->huge_pages = spec->huge_pages;
        entry->page_bytes = pages.bytes;
        entry->memory_lock = spec->memory_lock;
        entry->lock_key = topic_is_shared(entry) ? draw_key() : 0;
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
        entry->pins = spec->pins;
        if (spec->pins) {
                entry->pin_key = draw_key();
                entry->pin_claim_key = draw_key();
                entry->pin_id = -1;
                entry->pin_claim_id = -1;
        }
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

        entry_describe(entry, what);
        for (tries = 0; tries < KEY_TRIES && r == -EEXIST; tries++) {
                if (tries > 0) {
                        old_key = entry->board_key;
                        entry->board_key = draw_key();
                        for (i = 0; i < registry->count; i++) {
                                if (registry->records[i].entry.board_key == old_key) {
                                        registry->records[i].entry.board_key = entry->board_key;
                                }
                        }
                        registry_publish(registry);
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

static int data_make(struct registry *registry,
                     struct record *record,
                     const char *what,
                     struct slipring_error *reterr) {
        struct layout_entry *entry = &record->entry;
        struct segment_expect expect;
        int tries, r = -EEXIST;

        for (tries = 0; tries < KEY_TRIES && r == -EEXIST; tries++) {
                if (tries > 0) {
                        entry->data_key = draw_key();
                        registry_publish(registry);
                }
                expect = topic_expect_data(entry, what);
                r = segment_create(&record->topic.data, &expect, reterr);
        }
        return r;
}

/* Of huge pages, or where they are only tried and cannot be had, of what the kernel likes. */
static int data_make_pages(struct registry *registry,
                           struct record *record,
                           const char *what,
                           struct slipring_error *reterr) {
        struct layout_entry *entry = &record->entry;
        bool try = entry->huge_pages == LAYOUT_HUGE_PAGES_TRY;
        int r = -ENOMEM;

        if (!try || entry->page_bytes) {
                r = data_make(registry, record, what, try ? NULL : reterr);
        }
        if (r < 0 && try) {
                entry->page_bytes = 0;
                r = data_make(registry, record, what, reterr);
                if (r == 0) {
                        segment_advise_huge(&record->topic.data);
                }
        }
        return r;
}

/* Where it has to be kept in memory; where it need not, registry_lock() is for that. */
static int
data_lock(const struct layout_entry *entry, const char *what, struct slipring_error *reterr) {
        int r;

        if (entry->memory_lock != LAYOUT_MEMORY_LOCK_YES) {
                return 0;
        }
        r = segment_lock(entry->data_id, entry->page_bytes);
        return r < 0 ? error_set(reterr, r,
                                 "%s: cannot lock its %llu KiB into memory (%s), which 'lock: yes' "
                                 "needs; give slipringd CAP_IPC_LOCK, or raise 'ulimit -l' "
                                 "(LimitMEMLOCK in the unit)",
                                 what, (unsigned long long) entry->segment_bytes / 1024,
                                 strerror(-r))
                     : 0;
}

static int
data_create(struct registry *registry, struct record *record, struct slipring_error *reterr) {
        struct layout_entry *entry = &record->entry;
        char what[WHAT_BYTES];
        int r;

        entry_describe(entry, what);
        r = data_make_pages(registry, record, what, reterr);
        if (r < 0) {
                return r;
        }
        entry->data_id = record->topic.data.id;
        r = data_lock(entry, what, reterr);
        if (r < 0) {
                return r;
        }
        r = header_write(registry, record);
        return r < 0 ? error_set(reterr, r, "%s: no memory for its header", what) : 0;
}

/* The topic's claim, or that of its pins. */
static int claim_make(struct registry *registry,
                      struct record *record,
                      bool pins,
                      struct slipring_error *reterr) {
        struct layout_entry *entry = &record->entry;
        struct segment_expect expect;
        char what[WHAT_BYTES];
        int tries, id = -1, r = -EEXIST;

        entry_describe(entry, what);
        for (tries = 0; tries < KEY_TRIES && r == -EEXIST; tries++) {
                if (tries > 0) {
                        *(pins ? &entry->pin_claim_key : &entry->claim_key) = draw_key();
                        registry_publish(registry);
                }
                expect = pins ? topic_expect_pin_claim(entry, what)
                              : topic_expect_claim(entry, what);
                r = claim_create(&id, &expect, reterr);
        }
        *(pins ? &entry->pin_claim_id : &entry->claim_id) = id;
        return r;
}

/* The lines are zero, as the kernel makes a segment: nothing is pinned. */
static int
control_create(struct registry *registry, struct record *record, struct slipring_error *reterr) {
        struct layout_entry *entry = &record->entry;
        struct segment segment = SEGMENT_NONE;
        struct segment_expect expect;
        char what[WHAT_BYTES];
        int tries, r = -EEXIST;

        entry_describe(entry, what);
        for (tries = 0; tries < KEY_TRIES && r == -EEXIST; tries++) {
                if (tries > 0) {
                        entry->pin_key = draw_key();
                        registry_publish(registry);
                }
                expect = topic_expect_control(entry, what);
                r = segment_create(&segment, &expect, reterr);
        }
        if (r == 0) {
                entry->pin_id = segment.id;
                segment_detach(&segment);
        }
        return r;
}

static int
lock_make(struct registry *registry, struct record *record, struct slipring_error *reterr) {
        struct layout_entry *entry = &record->entry;
        struct segment segment = SEGMENT_NONE;
        struct segment_expect expect;
        char what[WHAT_BYTES];
        int tries, r = -EEXIST;

        if (!topic_is_shared(entry)) {
                return 0;
        }
        entry_describe(entry, what);
        for (tries = 0; tries < KEY_TRIES && r == -EEXIST; tries++) {
                if (tries > 0) {
                        entry->lock_key = draw_key();
                        registry_publish(registry);
                }
                expect = topic_expect_lock(entry, what);
                r = segment_create(&segment, &expect, reterr);
        }
        /* Zeros are a free lock. */
        entry->lock_id = r < 0 ? 0 : segment.id;
        segment_detach(&segment);
        return r;
}

static int
topic_create(struct registry *registry, struct record *record, struct slipring_error *reterr) {
        int r;

        r = claim_make(registry, record, false, reterr);
        if (r == 0 && record->entry.pins) {
                r = claim_make(registry, record, true, reterr);
        }
        if (r == 0 && record->entry.pins) {
                r = control_create(registry, record, reterr);
        }
        if (r == 0) {
                r = lock_make(registry, record, reterr);
        }
        if (r == 0) {
                r = data_create(registry, record, reterr);
        }
        if (r == 0) {
                /* As every client does it; also maps the board. */
                segment_detach(&record->topic.data);
                r = topic_attach(&record->topic, &record->entry, true, reterr);
        }
        if (r == 0 && record->topic.chain_end) {
                /* The line may have been another topic's, whose messages had the same numbers.
                 * relaxed: clients learn of the topic later. */
                atomic_store_explicit(record->topic.chain_end, 0, memory_order_relaxed);
        }
        return r;
}

static bool is_board(const struct layout_entry *entry) {
        return entry->kind == LAYOUT_ENTRY_BOARD;
}

static bool is_topic_with_huge_pages(const struct layout_entry *entry) {
        return !is_board(entry) && entry->huge_pages == LAYOUT_HUGE_PAGES_YES;
}

static bool is_other_topic(const struct layout_entry *entry) {
        return !is_board(entry) && !is_topic_with_huge_pages(entry);
}

/* Make everything in state CREATING, boards first, and who only tries to get huge pages after who
 * needs them; on failure unmake it all. */
int registry_create_all(struct registry *registry, struct slipring_error *reterr) {
        bool (*const kinds[])(const struct layout_entry *) = {is_board, is_topic_with_huge_pages,
                                                              is_other_topic};
        size_t k, i;
        int r = 0;

        for (k = 0; k < 3; k++) {
                for (i = 0; r == 0 && i < registry->count; i++) {
                        struct record *record = &registry->records[i];

                        if (record->entry.state != LAYOUT_ENTRY_CREATING ||
                            !kinds[k](&record->entry)) {
                                continue;
                        }
                        r = is_board(&record->entry) ? board_create(registry, record, reterr)
                                                     : topic_create(registry, record, reterr);
                }
        }
        return r;
}
