/*
 * The type hash of ROS 2, RIHS01: SHA-256 over the description of a message and of all that it
 * uses, as one line of JSON.
 *
 *     {"type_description": {"type_name": "std_msgs/msg/String", "fields": [{"name": "data",
 *     "type": {"type_id": 17, "capacity": 0, "string_capacity": 0, "nested_type_name": ""}}]},
 *     "referenced_type_descriptions": []}
 *
 * A comma and a colon are followed by a blank each, and descriptions stand in the order of their
 * names. Constants, default values and comments are no part of it.
 */

#include "schema/msg.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include <nettle/sha2.h>

#include "schema/util.h"

/* Numbers of type_description_interfaces/msg/FieldType. */
#define ID_NESTED 1u
#define ID_BYTE 16u
#define ID_STRING 17u
#define ID_BOUNDED_STRING 21u

static const uint32_t scalar_ids[] = {
        [SLIPRING_KIND_BOOL] = 15,    [SLIPRING_KIND_INT8] = 2,     [SLIPRING_KIND_UINT8] = 3,
        [SLIPRING_KIND_INT16] = 4,    [SLIPRING_KIND_UINT16] = 5,   [SLIPRING_KIND_INT32] = 6,
        [SLIPRING_KIND_UINT32] = 7,   [SLIPRING_KIND_INT64] = 8,    [SLIPRING_KIND_UINT64] = 9,
        [SLIPRING_KIND_FLOAT32] = 10, [SLIPRING_KIND_FLOAT64] = 11,
};

/* Arrays and sequences have the number of their element and so many more. */
static const uint32_t array_ids[] = {
        [MSG_SINGLE] = 0,
        [MSG_ARRAY] = 48,
        [MSG_BOUNDED] = 96,
        [MSG_SEQUENCE] = 144,
};

static uint32_t field_id(const struct msg_field *field) {
        uint32_t base;

        if (field->kind == SLIPRING_KIND_STRUCT) {
                base = ID_NESTED;
        } else if (field->kind == MSG_KIND_STRING) {
                base = field->string_bound > 0 ? ID_BOUNDED_STRING : ID_STRING;
        } else {
                base = field->byte ? ID_BYTE : scalar_ids[field->kind];
        }
        return base + array_ids[field->array];
}

static void hash_field(struct buffer *json, const struct msg_field *field, bool first) {
        buffer_print(json,
                     "%s{\"name\": \"%s\", \"type\": {\"type_id\": %" PRIu32
                     ", \"capacity\": %" PRIu32 ", \"string_capacity\": %" PRIu32
                     ", \"nested_type_name\": \"%s\"}}",
                     first ? "" : ", ", field->name, field_id(field), field->length,
                     field->string_bound, field->nested_name ? field->nested_name : "");
}

/* C has no empty struct, so ROS 2 puts a byte into an empty message. */
static const struct msg_field empty_field = {
        .name = "structure_needs_at_least_one_member",
        .kind = SLIPRING_KIND_UINT8,
};

static void hash_message(struct buffer *json, const struct msg *msg) {
        buffer_print(json, "{\"type_name\": \"%s\", \"fields\": [", msg->name);
        for (size_t i = 0; i < msg->field_count; i++) {
                hash_field(json, &msg->fields[i], i == 0);
        }
        if (msg->field_count == 0) {
                hash_field(json, &empty_field, true);
        }
        buffer_print(json, "]}");
}

/**
 * struct used - the messages that one uses, itself first
 * @messages:   those found so far
 * @count:      how many
 * @capacity:   that there is room for
 * @mark:       what they are marked with
 */
struct used {
        struct msg **messages;
        size_t count;
        size_t capacity;
        uint32_t mark;
};

static int used_add(struct used *used, struct msg *msg) {
        struct msg **larger;

        if (msg->mark == used->mark) {
                return 0;
        }
        if (used->count == used->capacity) {
                larger = reallocarray(used->messages, 2 * used->capacity + 8, sizeof(*larger));
                if (!larger) {
                        return -ENOMEM;
                }
                used->messages = larger;
                used->capacity = 2 * used->capacity + 8;
        }
        msg->mark = used->mark;
        used->messages[used->count++] = msg;
        return 0;
}

/* The list is its own queue. */
static int used_collect(struct used *used, struct msg *msg) {
        int r;

        r = used_add(used, msg);
        for (size_t i = 0; r == 0 && i < used->count; i++) {
                const struct msg *user = used->messages[i];

                for (size_t j = 0; r == 0 && j < user->field_count; j++) {
                        if (user->fields[j].nested) {
                                r = used_add(used, user->fields[j].nested);
                        }
                }
        }
        return r;
}

static int msg_compare(const void *left, const void *right) {
        return strcmp((*(const struct msg *const *) left)->name,
                      (*(const struct msg *const *) right)->name);
}

int msg_type_hash(struct msg *msg, uint32_t mark, uint8_t ret_hash[32]) {
        struct sha256_ctx hash;
        struct buffer json = {0};
        struct used used = {.mark = mark};
        int r;

        r = used_collect(&used, msg);
        if (r < 0) {
                free(used.messages);
                return r;
        }
        qsort(used.messages + 1, used.count - 1, sizeof(*used.messages), msg_compare);
        buffer_print(&json, "{\"type_description\": ");
        hash_message(&json, msg);
        buffer_print(&json, ", \"referenced_type_descriptions\": [");
        for (size_t i = 1; i < used.count; i++) {
                buffer_print(&json, "%s", i > 1 ? ", " : "");
                hash_message(&json, used.messages[i]);
        }
        buffer_print(&json, "]}");
        free(used.messages);
        if (json.failed) {
                buffer_free(&json);
                return -ENOMEM;
        }
        sha256_init(&hash);
        sha256_update(&hash, json.length, (const uint8_t *) json.text);
        sha256_digest(&hash, 32, ret_hash);
        buffer_free(&json);
        return 0;
}
