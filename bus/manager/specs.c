#include <stdlib.h>

#include "bus/manager/specs.h"

static const uint32_t huge_pages_of[] = {
        [SCHEMA_NO] = LAYOUT_HUGE_PAGES_NO,
        [SCHEMA_TRY] = LAYOUT_HUGE_PAGES_TRY,
        [SCHEMA_YES] = LAYOUT_HUGE_PAGES_YES,
};

static const uint32_t memory_lock_of[] = {
        [SCHEMA_NO] = LAYOUT_MEMORY_LOCK_NO,
        [SCHEMA_TRY] = LAYOUT_MEMORY_LOCK_TRY,
        [SCHEMA_YES] = LAYOUT_MEMORY_LOCK_YES,
};

static struct topic_spec spec_make(const struct schema_topic *topic) {
        return (struct topic_spec){
                .name = topic->name,
                .description = topic->description,
                .type = topic->type,
                .depth = topic->depth,
                .pins = topic->pins,
                .waiters = LAYOUT_WAITERS_DEFAULT,
                .publishers =
                        topic->shared ? LAYOUT_PUBLISHERS_SHARED : LAYOUT_PUBLISHERS_EXCLUSIVE,
                .wake = topic->chain ? LAYOUT_WAKE_CHAIN : LAYOUT_WAKE_DIRECT,
                .huge_pages = huge_pages_of[topic->huge_pages],
                .memory_lock = memory_lock_of[topic->lock],
                .rate_hz = topic->rate_hz,
                .deadline_ns = topic->deadline_ns,
                .uid = topic->owner,
                .gid = topic->group,
                .mode = (unsigned) topic->mode,
        };
}

struct topic_spec *specs_make(const struct schema *schema) {
        struct topic_spec *specs;
        size_t i;

        /* One more than needed: calloc(3) may return NULL for none. */
        specs = calloc(schema->topic_count + 1, sizeof(*specs));
        for (i = 0; specs && i < schema->topic_count; i++) {
                specs[i] = spec_make(&schema->topics[i]);
        }
        return specs;
}
