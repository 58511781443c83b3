#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bus/claim.h"
#include "bus/error.h"
#include "bus/registry-record.h"

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
                return error_set(reterr, r, "topic '%s': no memory to compare its header",
                                 record->entry.name);
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

int entry_objects_verify(const struct layout_entry *entry, struct slipring_error *reterr) {
        char what[WHAT_BYTES];
        struct segment_expect expect;
        int id, r;

        entry_describe(entry, what);
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
        r = claim_find(&id, &expect, reterr);
        if (r == 0 && topic_is_shared(entry)) {
                expect = topic_expect_lock(entry, what);
                r = segment_check(entry->lock_id, &expect, reterr);
        }
        if (r < 0 || entry->pins == 0) {
                return r;
        }
        expect = topic_expect_control(entry, what);
        r = segment_check(entry->pin_id, &expect, reterr);
        if (r < 0) {
                return r;
        }
        expect = topic_expect_pin_claim(entry, what);
        return claim_find(&id, &expect, reterr);
}

static bool entry_matches(const struct layout_entry *entry, const struct topic_spec *spec) {
        return entry->uid == spec->uid && entry->gid == spec->gid && entry->mode == spec->mode &&
               entry->depth == spec->depth && entry->waiters == spec->waiters &&
               entry->publishers == spec->publishers && entry->wake == spec->wake &&
               entry->huge_pages == spec->huge_pages && entry->memory_lock == spec->memory_lock &&
               entry->pins == spec->pins && entry->payload_bytes == spec->type->payload_bytes &&
               entry->segment_bytes == header_segment_bytes(spec) &&
               entry->deadline_ns == spec->deadline_ns && entry->rate_hz == spec->rate_hz &&
               memcmp(entry->identity, spec->type->identity, sizeof(entry->identity)) == 0 &&
               strcmp(entry->type_name, spec->type->name) == 0;
}

/* Is what serves under this name what the schema wants, and unharmed? Attaches it if so. Returns 1
 * if it is, 0 if not, and an error if this process cannot tell: no reason to take a topic from its
 * clients. */
static int record_matches(struct registry *registry,
                          struct record *record,
                          const struct topic_spec *spec,
                          struct slipring_error *reterr) {
        int r;

        if (!entry_matches(&record->entry, spec)) {
                return 0;
        }
        r = entry_objects_verify(&record->entry, reterr);
        if (r == 0 && record->topic.data.id < 0) {
                r = topic_attach(&record->topic, &record->entry, true, reterr);
        }
        if (r == 0) {
                r = header_verify(registry, record, spec, reterr);
        }
        if (r < 0) {
                return r == -ENOMEM ? r : 0;
        }
        return 1;
}

/* A topic that is to be made. */
static void growth_add(struct registry_growth *growth,
                       const struct topic_spec *spec,
                       const struct pages *pages,
                       uint64_t *left) {
        uint64_t bytes = header_segment_bytes(spec), count;

        count = pages->bytes ? pages_count(pages->bytes, bytes) : UINT64_MAX;
        if (spec->huge_pages == LAYOUT_HUGE_PAGES_YES) {
                /* Without any, registry_apply() says so. */
                growth->huge_pages += pages->bytes ? count : 0;
                *left -= count < *left ? count : *left;
        } else if (spec->huge_pages == LAYOUT_HUGE_PAGES_TRY && count <= *left &&
                   !pages->forbidden) {
                *left -= count;
        } else {
                growth->bytes += bytes;
        }
}

struct registry_growth registry_growth(struct registry *registry,
                                       const struct topic_spec *specs,
                                       size_t count,
                                       const struct pages *pages) {
        struct registry_growth growth = {0};
        uint64_t left = pages->available;
        size_t i;
        int others;

        /* In the order of registry_create_all(). */
        for (others = 0; others < 2; others++) {
                for (i = 0; i < count; i++) {
                        struct record *record = record_find(registry, specs[i].name);

                        if ((specs[i].huge_pages != LAYOUT_HUGE_PAGES_YES) != others) {
                                continue;
                        }
                        /* Where that cannot be told, registry_apply() says so. */
                        if (!record || record_matches(registry, record, &specs[i], NULL) == 0) {
                                growth_add(&growth, &specs[i], pages, &left);
                        }
                }
        }
        return growth;
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

static bool spec_in_range(const struct topic_spec *spec) {
        return spec->depth >= LAYOUT_DEPTH_MIN && spec->depth <= LAYOUT_DEPTH_MAX &&
               spec->waiters > 0 && spec->huge_pages <= LAYOUT_HUGE_PAGES_YES &&
               spec->memory_lock <= LAYOUT_MEMORY_LOCK_YES &&
               strlen(spec->name) <= SLIPRING_TOPIC_NAME_MAX && spec->pins <= LAYOUT_PINS_MAX &&
               (spec->pins == 0 ||
                (layout_slot_count(spec->depth, spec->pins) <= LAYOUT_PLACE_SLOTS &&
                 spec->publishers == LAYOUT_PUBLISHERS_EXCLUSIVE));
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
                return error_set(reterr, -ENOMEM, "no memory for %zu topics", change->count);
        }
        for (i = 0; i < change->count; i++) {
                sorted[i] = &change->specs[i];
                if (!spec_in_range(&change->specs[i])) {
                        r = error_set(reterr, -EINVAL,
                                      "topic '%.200s': depth, waiters, pins or name is out "
                                      "of range, or pins are shared",
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
                    entry_objects_verify(&record->entry, NULL) < 0) {
                        record->entry.state = LAYOUT_ENTRY_REMOVING;
                }
        }
        for (i = 0; r == 0 && i < change->count; i++) {
                const struct topic_spec *spec = &change->specs[i];

                record = record_find(registry, spec->name);
                r = record ? record_matches(registry, record, spec, reterr) : 0;
                if (r < 0) {
                        return r;
                }
                if (r == 1) {
                        record->spec = spec;
                        change->outcomes[i] =
                                strcmp(record->entry.description,
                                       spec->description ? spec->description : "") == 0
                                        ? REGISTRY_KEPT
                                        : REGISTRY_DESCRIBED;
                        r = 0;
                        continue;
                }
                change->outcomes[i] = record ? REGISTRY_REPLACED : REGISTRY_CREATED;
                r = registry_plan(registry, spec, reterr);
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
        registry_publish(registry);
        return removed;
}

static bool has_no_spec(const struct record *record) {
        return !record->spec;
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
        r = registry_repair(registry, reterr);
        if (r == 0) {
                r = plan_all(registry, &change, reterr);
        }
        if (r == 0 && records_any(registry, LAYOUT_ENTRY_CREATING)) {
                registry_publish(registry);
                r = registry_create_all(registry, reterr);
        }
        if (r == 0) {
                r = registry_retire_prepare(registry, has_no_spec, reterr);
        }
        if (r < 0) {
                plan_forget(registry);
                registry_unmake(registry);
                free(change.outcomes);
                return r;
        }
        removed = switch_over(registry);
        (void) registry_retire_all(registry, NULL);
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
