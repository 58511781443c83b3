#include <stdlib.h>

#include "bus/manager/specs.h"

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
