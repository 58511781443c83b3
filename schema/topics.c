/*
 * Topics: type, depth, rate, deadline, access, and whether the machine can hold them all.
 */

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "schema/loader.h"
#include "schema/names.h"
#include "schema/shape.h"
#include "schema/type.h"
#include "schema/util.h"
#include "schema/value.h"

/* Of a data segment: fixed header, a record a field, the publisher's words, and what stands before
 * each payload and is its alignment, too. */
#define PAGE_BYTES 4096u
#define HEADER_BYTES 256u
#define FIELD_BYTES 32u
#define WORDS_BYTES 256u
#define SLOT_BYTES 64u

/* Of a topic with pins: where a kept sample is, and the line of a pin. */
#define PLACE_BYTES 8u
#define LINE_BYTES 64u

/* Segments that a bus has besides its topics: the directory. Wake boards come on top. */
#define OTHER_SEGMENTS 1u

static uint64_t round_up(uint64_t bytes, uint64_t align) {
        return (bytes + align - 1) / align * align;
}

static uint64_t string_bytes(const char *text) {
        return *text ? strlen(text) + 1 : 0;
}

uint64_t schema_pins_bytes(uint32_t pins) {
        return round_up((uint64_t) pins * LINE_BYTES, PAGE_BYTES);
}

uint64_t schema_segment_bytes(const struct slipring_type *type,
                              const char *name,
                              uint32_t depth,
                              uint32_t pins) {
        uint64_t strings = 1, header, slot, words = WORDS_BYTES, slots = depth;

        /* Strings follow each other; all empty ones are one byte at the start. */
        strings += string_bytes(name) + string_bytes(type->name) + string_bytes(type->text);
        for (uint32_t i = 0; i < type->field_count; i++) {
                strings += string_bytes(type->fields[i].name) + string_bytes(type->fields[i].unit);
        }
        header = HEADER_BYTES + FIELD_BYTES * (uint64_t) type->field_count + strings;
        slot = SLOT_BYTES + round_up(type->payload_bytes, SLOT_BYTES);
        if (pins > 0) {
                words += round_up((uint64_t) depth * PLACE_BYTES, SLOT_BYTES);
                slots += pins + 1;
        }
        return round_up(round_up(header, PAGE_BYTES) + words + slots * slot, PAGE_BYTES);
}

/*
 * Numbers
 */

static void quantity_report(struct loader *loader,
                            const struct node *value,
                            const char *what,
                            int r,
                            const char *example,
                            const char *units,
                            const char *limits) {
        const char *text = value->text;

        if (r == -ENOTUNIQ) {
                loader_error(loader, value, "%s '%.64s' has no unit; write %s", what, text,
                             example);
        } else if (r == -ENOENT) {
                loader_error(loader, value, "%s '%.64s' has an unknown unit; there are %s", what,
                             text, units);
        } else if (r == -EDOM) {
                loader_error(loader, value, "%s '%.64s' must be more than zero", what, text);
        } else if (r == -ERANGE) {
                loader_error(loader, value, "%s '%.64s' is out of range: %s", what, text, limits);
        } else {
                loader_error(loader, value, "%s '%.64s' is not a number with a unit, such as %s",
                             what, text, example);
        }
}

static uint64_t duration_read(struct loader *loader, const struct node *mapping, const char *key) {
        const struct node *value = node_get(mapping, key);
        uint64_t ns = 0;
        int r;

        if (!value || !value_is(loader, value, NODE_TEXT, key)) {
                return 0;
        }
        r = value_duration(value->text, &ns);
        if (r < 0) {
                quantity_report(loader, value, key, r, "'300 ms'", "ns, us, ms, s, min and h",
                                "whole nanoseconds, at most 1000000000 s");
                return 0;
        }
        return ns;
}

static uint64_t rate_read(struct loader *loader, const struct node *mapping) {
        const struct node *value = node_get(mapping, "rate");
        uint64_t uhz = 0;
        int r;

        if (!value || !value_is(loader, value, NODE_TEXT, "rate")) {
                return 0;
        }
        r = value_rate(value->text, &uhz);
        if (r < 0) {
                quantity_report(loader, value, "rate", r, "'200 Hz'", "mHz, Hz and kHz",
                                "from 1 mHz to 1000 kHz, in steps of 0.000001 Hz");
                return 0;
        }
        return uhz;
}

/* Reads "depth" where it is given. */
void depth_read(uint32_t *depth, struct loader *loader, const struct node *mapping) {
        const struct node *value = node_get(mapping, "depth");
        bool negative = false;
        uint64_t slots = 0;
        int r;

        if (!value || !value_is_number(loader, value, "depth")) {
                return;
        }
        r = value_integer(value->text, &negative, &slots);
        if (r == -EINVAL) {
                loader_error(loader, value, "depth '%.64s' is not an integer", value->text);
        } else if (r == -ERANGE || negative || slots < SCHEMA_DEPTH_MIN ||
                   slots > SCHEMA_DEPTH_MAX) {
                loader_error(loader, value,
                             "depth %.64s is out of range: from %u (the double buffer) to %u slots",
                             value->text, SCHEMA_DEPTH_MIN, SCHEMA_DEPTH_MAX);
        } else {
                *depth = (uint32_t) slots;
        }
}

/* ceil(a x b / divisor) by long multiplication: 32-bit machines have no 128-bit type. @divisor is
 * below 2^62; UINT64_MAX stands for results from about there on. */
static uint64_t product_divide_up(uint64_t a, uint64_t b, uint64_t divisor) {
        uint64_t quotient = 0, remainder = 0;
        int bit;

        for (bit = 63; bit >= 0; bit--) {
                bool set = b >> bit & 1;

                if (quotient > UINT64_MAX / 4) {
                        return UINT64_MAX;
                }
                quotient = 2 * quotient;
                remainder = 2 * remainder + (set ? a % divisor : 0);
                if (__builtin_add_overflow(quotient, (set ? a / divisor : 0) + remainder / divisor,
                                           &quotient)) {
                        return UINT64_MAX;
                }
                remainder %= divisor;
        }
        return quotient + (remainder > 0);
}

static void
pins_read(struct schema_topic *topic, struct loader *loader, const struct node *mapping) {
        const struct node *value = node_get(mapping, "pins");
        bool negative = false;
        uint64_t pins = 0;
        int r;

        if (!value || !value_is_number(loader, value, "pins")) {
                return;
        }
        r = value_integer(value->text, &negative, &pins);
        if (r == -EINVAL) {
                loader_error(loader, value, "pins '%.64s' is not an integer", value->text);
        } else if (r == -ERANGE || negative || pins > SCHEMA_PINS_MAX) {
                loader_error(loader, value, "pins %.64s is out of range: from 0 (none) to %u",
                             value->text, SCHEMA_PINS_MAX);
        } else if (pins > 0 && topic->depth + pins + 1 > SCHEMA_PINNED_SLOTS_MAX) {
                loader_error(loader, value,
                             "a depth of %u and %u pins take %u slots, and a topic with pins has "
                             "%u at most",
                             topic->depth, (unsigned) pins, topic->depth + (unsigned) pins + 1,
                             SCHEMA_PINNED_SLOTS_MAX);
        } else if (pins > 0 && topic->shared) {
                loader_error(loader, value,
                             "pins need one publisher, who knows which slots are free, and "
                             "'publishers: shared' has several");
        } else {
                topic->pins = (uint32_t) pins;
        }
}

/* ceil(rate x history) + 1: with that many slots the oldest sample is at least as old as history
 * says while the newest one is being written over it. */
static void history_read(uint32_t *depth,
                         struct loader *loader,
                         const struct node *mapping,
                         uint64_t rate_uhz) {
        const struct node *key = node_get_key(mapping, "history");
        uint64_t ns, samples;

        if (!key) {
                return;
        }
        if (node_get_key(mapping, "depth")) {
                loader_error(loader, key,
                             "history and depth exclude each other: history is a depth");
                return;
        }
        if (!node_get_key(mapping, "rate")) {
                loader_error(loader, key, "history needs a rate to know how many slots it takes");
                return;
        }
        ns = duration_read(loader, mapping, "history");
        if (ns == 0 || rate_uhz == 0) {
                return;
        }
        /* Nanoseconds by millionths of a hertz. */
        samples = product_divide_up(ns, rate_uhz, UINT64_C(1000000000000000));
        if (samples >= SCHEMA_DEPTH_MAX) {
                loader_error(loader, key->next,
                             "history '%.64s' takes more than %u slots at this rate",
                             key->next->text, SCHEMA_DEPTH_MAX);
                return;
        }
        *depth = (uint32_t) samples + 1;
}

/* 3 periods unless the file says so. */
static void deadline_read(struct schema_topic *topic,
                          struct loader *loader,
                          const struct node *mapping,
                          uint64_t rate_uhz) {
        const uint64_t scale = UINT64_C(1000000000) * 1000000;
        const struct node *value = node_get(mapping, "deadline");

        if (rate_uhz > 0) {
                topic->rate_hz = (double) rate_uhz / 1e6;
                topic->deadline_ns = (3 * scale + rate_uhz / 2) / rate_uhz;
        }
        if (!value) {
                return;
        }
        topic->deadline_ns = duration_read(loader, mapping, "deadline");
        if (topic->deadline_ns > 0 && rate_uhz > 0 && topic->deadline_ns < scale / rate_uhz) {
                loader_warning(
                        loader, value,
                        "a deadline of '%.64s' is shorter than the period: the topic will be "
                        "stale between samples",
                        value->text);
        }
}

/*
 * Topics
 */

/* Makes a type of this topic's own. Leaves the topic without one after a mistake. */
static int definition_add(struct loader *loader,
                          struct schema_topic *topic,
                          const struct node *key,
                          struct schema_definition **ret_definition) {
        struct schema_definition *definition;
        char *name;

        name = name_camel(loader->arena, topic->name);
        definition = arena_alloc(loader->arena, 1, sizeof(*definition));
        if (!name || !definition) {
                return -ENOMEM;
        }
        if (!types_check_name(loader, key, name)) {
                return 0;
        }
        *definition = (struct schema_definition){
                .name = name,
                .package = loader->schema->package,
                .line = key->line,
                .column = key->column,
        };
        loader->definitions[loader->definition_count++] = definition;
        topic->definition = definition;
        *ret_definition = definition;
        return 0;
}

static int topic_read_inline(struct loader *loader,
                             struct schema_topic *topic,
                             const struct node *key,
                             const struct node *fields) {
        struct schema_definition *definition = NULL;
        int r;

        r = definition_add(loader, topic, key, &definition);
        return r < 0 || !definition ? r : fields_read(loader, definition, fields);
}

/* A message of ROS 2, sensor_msgs/msg/Imu. */
static int topic_read_message(struct loader *loader,
                              struct schema_topic *topic,
                              const struct node *key,
                              const struct node *type) {
        struct schema_definition *definition = NULL;
        struct buffer where = {0};
        struct msg *msg = NULL;
        int r;

        if (!msg_name_check(type->text)) {
                loader_error(loader, type,
                             "'%.64s' is not the name of a message of ROS 2, package/msg/Name",
                             type->text);
                return 0;
        }
        r = msg_store_find(&loader->messages, type->text, &msg);
        if (r == -ENOENT) {
                msg_store_describe(&loader->messages, &where, type->text);
                r = where.failed ? -ENOMEM : -EBADMSG;
                loader_error(loader, type, "there is no message '%s'%s", type->text,
                             where.failed ? "" : where.text);
                buffer_free(&where);
        }
        if (r < 0) {
                return r == -EBADMSG ? 0 : r;
        }
        r = definition_add(loader, topic, key, &definition);
        if (r < 0 || !definition) {
                return r;
        }
        definition->message = msg;
        return shape_read(loader, definition, msg, key);
}

/* What only messages of ROS 2 have. */
static void topic_refuse_values(struct loader *loader, const struct node *mapping) {
        static const char *const keys[] = {"const", "lengths", "bounds"};

        for (size_t i = 0; i < ELEMENTS(keys); i++) {
                const struct node *key = node_get_key(mapping, keys[i]);

                if (key && !key->broken) {
                        loader_error(loader, key,
                                     "%s is for messages of ROS 2, as in type: sensor_msgs/msg/Imu",
                                     keys[i]);
                }
        }
}

static int
topic_read_type(struct loader *loader, struct schema_topic *topic, const struct node *key) {
        const struct node *type = node_get_key(key->next, "type");
        const struct node *fields = node_get_key(key->next, "fields");

        if (type && fields) {
                loader_error(loader, type->line > fields->line ? type : fields,
                             "type and fields exclude each other: fields are a type");
                return 0;
        }
        if (!type && !fields) {
                loader_error(loader, key, "topic '%s' has neither type nor fields", topic->name);
                return 0;
        }
        if (fields) {
                topic_refuse_values(loader, key->next);
                return topic_read_inline(loader, topic, key, fields->next);
        }
        type = type->next;
        if (!value_is(loader, type, NODE_TEXT, "type")) {
                return 0;
        }
        if (strchr(type->text, '/')) {
                return topic_read_message(loader, topic, key, type);
        }
        topic_refuse_values(loader, key->next);
        topic->definition = types_find(loader, type->text);
        if (!topic->definition && type_kind(type->text)) {
                loader_error(loader, type,
                             "a topic cannot have the scalar type '%s'; write fields: {value: %s}",
                             type->text, type->text);
        } else if (!topic->definition) {
                types_report_unknown(loader, type, type->text);
        }
        return 0;
}

static int
topic_read_access(struct loader *loader, struct schema_topic *topic, const struct node *mapping) {
        struct access access = loader->access;
        int r;

        r = access_read(&access, loader, mapping);
        if (r < 0) {
                return r;
        }
        if (!access.group_name && !loader->fallback.group_name && !node_get_key(mapping, "group")) {
                loader_error(loader, topic,
                             "topic '%s' names no group, and the default of system buses, group "
                             "'slipring', does not exist on this machine",
                             topic->name);
                loader->fallback.group_name = "";
        }
        topic->has_owner = access.owner_name != NULL;
        topic->has_group = access.group_name != NULL;
        topic->owner = access.owner_name ? access.owner : loader->fallback.owner;
        topic->owner_name = access.owner_name ? access.owner_name : loader->fallback.owner_name;
        topic->group = access.group_name ? access.group : loader->fallback.group;
        topic->group_name = access.group_name ? access.group_name : loader->fallback.group_name;
        topic->mode = access.mode ? access.mode : loader->fallback.mode;
        return 0;
}

/* Reads "publishers" where it is given. */
static void
publishers_read(struct schema_topic *topic, struct loader *loader, const struct node *mapping) {
        const struct node *value = node_get(mapping, "publishers");

        if (!value || !value_is(loader, value, NODE_TEXT, "publishers")) {
                return;
        }
        topic->shared = !strcmp(value->text, "shared");
        if (!topic->shared && strcmp(value->text, "exclusive")) {
                loader_error(loader, value,
                             "publishers '%.64s' is neither exclusive (one at a time, the default) "
                             "nor shared (several, each sample under a lock)",
                             value->text);
        }
}

/* Reads "wake" where it is given. */
static void
wake_read(struct schema_topic *topic, struct loader *loader, const struct node *mapping) {
        const struct node *value = node_get(mapping, "wake");

        if (!value || !value_is(loader, value, NODE_TEXT, "wake")) {
                return;
        }
        topic->chain = !strcmp(value->text, "chain");
        if (!topic->chain && strcmp(value->text, "direct")) {
                loader_error(loader, value,
                             "wake '%.64s' is neither direct (the publisher wakes each sleeper, "
                             "the default) nor chain (sleepers wake each other, for many)",
                             value->text);
        }
}

/* Returns false where that is none of the three. */
static bool wish_of(enum schema_wish *ret_wish, const char *text) {
        static const char *const words[] = {
                [SCHEMA_NO] = "no",
                [SCHEMA_TRY] = "try",
                [SCHEMA_YES] = "yes",
        };

        for (size_t i = 0; i < ELEMENTS(words); i++) {
                if (!strcmp(words[i], text)) {
                        *ret_wish = (enum schema_wish) i;
                        return true;
                }
        }
        return false;
}

void lock_read(enum schema_wish *lock, struct loader *loader, const struct node *mapping) {
        const struct node *value = node_get(mapping, "lock");

        if (value && value_is(loader, value, NODE_TEXT, "lock") && !wish_of(lock, value->text)) {
                loader_error(loader, value,
                             "lock '%.64s' is neither try (kept in memory where the limit allows "
                             "it, the default), yes (or there is no bus) nor no (may be swapped "
                             "out)",
                             value->text);
        }
}

/* Reads "huge_pages" where it is given. */
static void
huge_pages_read(struct schema_topic *topic, struct loader *loader, const struct node *mapping) {
        const struct node *value = node_get(mapping, "huge_pages");

        if (value && value_is(loader, value, NODE_TEXT, "huge_pages") &&
            !wish_of(&topic->huge_pages, value->text)) {
                loader_error(loader, value,
                             "huge_pages '%.64s' is neither no (the default), try (where the "
                             "machine has them) nor yes (or there is no bus)",
                             value->text);
        }
}

static int
topic_read_mapping(struct loader *loader, struct schema_topic *topic, const struct node *key) {
        static const char *const keys[] = {
                "type",    "fields",     "description", "rate",  "deadline", "depth",
                "history", "pins",       "owner",       "group", "mode",     "publishers",
                "wake",    "huge_pages", "lock",        "const", "lengths",  "bounds"};
        const struct node *mapping = key->next;
        uint64_t rate_uhz;
        int r;

        if (!value_is(loader, mapping, NODE_MAPPING, "a topic")) {
                return 0;
        }
        r = keys_check(loader, mapping, "in a topic", keys, ELEMENTS(keys));
        if (r < 0) {
                return r;
        }
        r = topic_read_type(loader, topic, key);
        if (r < 0) {
                return r;
        }
        r = text_read(&topic->description, loader, mapping, "description");
        if (r < 0) {
                return r;
        }
        rate_uhz = rate_read(loader, mapping);
        deadline_read(topic, loader, mapping, rate_uhz);
        topic->depth = loader->depth;
        depth_read(&topic->depth, loader, mapping);
        history_read(&topic->depth, loader, mapping, rate_uhz);
        publishers_read(topic, loader, mapping);
        wake_read(topic, loader, mapping);
        pins_read(topic, loader, mapping);
        huge_pages_read(topic, loader, mapping);
        topic->lock = loader->lock;
        lock_read(&topic->lock, loader, mapping);
        return topic_read_access(loader, topic, mapping);
}

static bool topic_check_name(struct loader *loader, const struct node *key) {
        if (!name_is_path(key->text)) {
                loader_error(loader, key,
                             "topic name '%.64s' must be in small letters, digits and single "
                             "underscores, with slashes between words that begin with a letter",
                             key->text);
                return false;
        }
        if (strlen(key->text) > SLIPRING_TOPIC_NAME_MAX) {
                loader_error(loader, key, "topic name is longer than %u characters",
                             SLIPRING_TOPIC_NAME_MAX);
                return false;
        }
        return true;
}

static int topic_read(struct loader *loader, const struct node *key) {
        struct schema *schema = loader->schema;
        struct schema_topic *topic = &schema->topics[schema->topic_count++];

        *topic = (struct schema_topic){
                .name = key->text,
                .description = "",
                .line = key->line,
                .column = key->column,
        };
        topic_check_name(loader, key);
        return topic_read_mapping(loader, topic, key);
}

int topics_read(struct loader *loader, const struct node *topics) {
        int r;

        if (topics->count == 0) {
                loader_error(loader, topics, "a bus needs at least one topic");
                return 0;
        }
        if (topics->count > SCHEMA_TOPICS_MAX) {
                loader_error(loader, topics, "%zu topics are more than the %u that a bus can have",
                             topics->count, SCHEMA_TOPICS_MAX);
                return 0;
        }
        loader->schema->topics =
                arena_alloc(loader->arena, topics->count, sizeof(*loader->schema->topics));
        if (!loader->schema->topics) {
                return -ENOMEM;
        }
        r = keys_unique(loader, topics, "topic", "defined");
        if (r < 0) {
                return r;
        }
        NODE_FOR_EACH_PAIR(key, topics) {
                r = key->broken ? 0 : topic_read(loader, key);
                if (r < 0) {
                        return r;
                }
        }
        return 0;
}

/*
 * The whole bus
 */

struct flat_name {
        const char *name;
        const struct schema_topic *topic;
};

static int flat_name_compare(const void *left, const void *right) {
        const struct flat_name *a = left, *b = right;
        int order = strcmp(a->name, b->name);

        if (order) {
                return order;
        }
        return a->topic < b->topic ? -1 : a->topic > b->topic;
}

/* "imu/front" and "imu_front" would be one name in generated code. */
static int topics_check_names(struct loader *loader) {
        struct schema *schema = loader->schema;
        struct flat_name *names;
        int r = 0;

        names = calloc(schema->topic_count + 1, sizeof(*names));
        if (!names) {
                return -ENOMEM;
        }
        for (size_t i = 0; i < schema->topic_count; i++) {
                names[i].topic = &schema->topics[i];
                names[i].name = name_flat(loader->arena, schema->topics[i].name);
                r = names[i].name ? r : -ENOMEM;
        }
        if (r == 0) {
                qsort(names, schema->topic_count, sizeof(*names), flat_name_compare);
        }
        for (size_t i = 1; r == 0 && i < schema->topic_count; i++) {
                if (!strcmp(names[i - 1].name, names[i].name)) {
                        loader_error(
                                loader, names[i].topic,
                                "topic '%s' is called '%s' in source code, and so is '%s' on line "
                                "%u",
                                names[i].topic->name, names[i].name, names[i - 1].topic->name,
                                names[i - 1].topic->line);
                }
        }
        free(names);
        return r;
}

/* A size for people: "1.5 GiB". */
static const char *size_text(char text[32], uint64_t bytes) {
        static const char *const units[] = {"bytes", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
        double size = (double) bytes;
        size_t unit = 0;

        for (; size >= 1024 && unit + 1 < ELEMENTS(units); unit++) {
                size /= 1024;
        }
        snprintf(text, 32, size < 10 && unit > 0 ? "%.1f %s" : "%.0f %s", size, units[unit]);
        return text;
}

/* Returns false, with a diagnostic, where a topic does not fit even alone. */
static bool topic_check_size(struct loader *loader, const struct schema_topic *topic) {
        const struct schema_machine *machine = &loader->schema->machine;
        char need[32], have[32];

        if (topic->memory_bytes > machine->memory_bytes) {
                loader_error(loader, topic,
                             "topic '%s' takes %s of memory, and this machine has %s", topic->name,
                             size_text(need, topic->memory_bytes),
                             size_text(have, machine->memory_bytes));
                return false;
        }
        if (topic->segment_bytes > machine->segment_bytes_max) {
                loader_error(loader, topic,
                             "topic '%s' takes %s, and kernel.shmmax lets a segment have %s",
                             topic->name, size_text(need, topic->segment_bytes),
                             size_text(have, machine->segment_bytes_max));
                return false;
        }
        return true;
}

/* Topics with equal access share a wake board. */
static size_t topics_count_boards(const struct schema *schema) {
        size_t count = 0;

        for (size_t i = 0; i < schema->topic_count; i++) {
                const struct schema_topic *a = &schema->topics[i];
                size_t j = 0;

                for (; j < i; j++) {
                        const struct schema_topic *b = &schema->topics[j];

                        if (a->owner == b->owner && a->group == b->group && a->mode == b->mode) {
                                break;
                        }
                }
                count += j == i;
        }
        return count;
}

/* A shared topic's lock is a segment of its own, and so are the pins of a topic. */
static size_t topics_count_control(const struct schema *schema) {
        size_t count = 0;

        for (size_t i = 0; i < schema->topic_count; i++) {
                count += schema->topics[i].shared + (schema->topics[i].pins > 0);
        }
        return count;
}

static void topics_check_total(struct loader *loader, const struct node *topics) {
        struct schema *schema = loader->schema;
        char need[32], have[32];

        if (schema->total_bytes > schema->machine.memory_bytes) {
                loader_error(loader, topics,
                             "the topics take %s of memory, and this machine has %s",
                             size_text(need, schema->total_bytes),
                             size_text(have, schema->machine.memory_bytes));
        } else if (schema->total_bytes > schema->machine.total_bytes_max) {
                loader_error(loader, topics,
                             "the topics take %s, and kernel.shmall lets all segments have %s",
                             size_text(need, schema->total_bytes),
                             size_text(have, schema->machine.total_bytes_max));
        }
        schema->segment_count = schema->topic_count + topics_count_control(schema) +
                                topics_count_boards(schema) + OTHER_SEGMENTS;
        if (schema->segment_count > schema->machine.segments_max) {
                loader_error(loader, topics,
                             "the bus takes %llu segments, and kernel.shmmni lets there be %llu",
                             (unsigned long long) schema->segment_count,
                             (unsigned long long) schema->machine.segments_max);
        }
}

/* A warning: the pool is often made larger where the bus is to run, not where it is checked. The
 * manager refuses. */
static void topics_check_pool(struct loader *loader, const struct node *topics) {
        const struct schema *schema = loader->schema;
        const struct schema_topic *first = NULL;
        uint64_t need = 0;
        char size[32];

        for (size_t i = 0; i < schema->topic_count; i++) {
                if (schema->topics[i].huge_pages == SCHEMA_YES) {
                        first = first ? first : &schema->topics[i];
                        need += schema->topics[i].huge_page_count;
                }
        }
        if (first && !schema->machine.huge_page_bytes) {
                loader_warning(loader, first,
                               "topic '%s' has 'huge_pages: yes', and the kernel of this machine "
                               "has no huge pages",
                               first->name);
        } else if (need > schema->machine.huge_pages_max) {
                loader_warning(loader, topics,
                               "'huge_pages: yes' takes %llu huge pages of %s, and the pool of "
                               "this machine has %llu: 'sysctl -w vm.nr_hugepages=%llu' before "
                               "the bus starts",
                               (unsigned long long) need,
                               size_text(size, schema->machine.huge_page_bytes),
                               (unsigned long long) schema->machine.huge_pages_max,
                               (unsigned long long) need);
        }
}

static void topic_finish_memory(struct schema_topic *topic, const struct schema_machine *machine) {
        topic->segment_bytes =
                schema_segment_bytes(topic->type, topic->name, topic->depth, topic->pins);
        topic->memory_bytes = topic->segment_bytes;
        if (topic->huge_pages == SCHEMA_NO || !machine->huge_page_bytes) {
                return;
        }
        topic->huge_page_count =
                round_up(topic->segment_bytes, machine->huge_page_bytes) / machine->huge_page_bytes;
        if (topic->huge_pages == SCHEMA_YES) {
                topic->memory_bytes = topic->huge_page_count * machine->huge_page_bytes;
        }
}

static int topic_finish(struct loader *loader, struct schema_topic *topic) {
        struct schema_definition *definition = (struct schema_definition *) topic->definition;
        int r;

        if (!definition) {
                return 0;
        }
        r = types_build(loader, definition, topic);
        if (r < 0 || !definition->type) {
                return r;
        }
        topic->type = definition->type;
        topic_finish_memory(topic, &loader->schema->machine);
        return 0;
}

int topics_finish(struct loader *loader, const struct node *topics) {
        struct schema *schema = loader->schema;
        bool fit = true;
        int r;

        r = topics_check_names(loader);
        for (size_t i = 0; r == 0 && i < schema->topic_count; i++) {
                r = topic_finish(loader, &schema->topics[i]);
                fit = topic_check_size(loader, &schema->topics[i]) && fit;
                schema->total_bytes +=
                        schema->topics[i].memory_bytes + schema_pins_bytes(schema->topics[i].pins);
        }
        if (r == 0 && fit) {
                topics_check_total(loader, topics);
                topics_check_pool(loader, topics);
        }
        return r;
}
