/*
 * Any bytes as a schema: the loader must end, leak nothing, and what it takes must hold together.
 */

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "schema/generate.h"
#include "schema/schema.h"

#define CHECK(condition)                                                                           \
        do {                                                                                       \
                if (!(condition)) {                                                                \
                        abort();                                                                   \
                }                                                                                  \
        } while (0)

static uint32_t field_bytes(const struct slipring_field *field) {
        return field->element_bytes * (field->count ? field->count : 1);
}

/* Siblings stand side by side without a gap. */
static void check_siblings(const struct slipring_field *fields, uint32_t count, uint32_t bytes) {
        uint32_t end = 0;

        CHECK(count > 0);
        for (uint32_t i = 0; i < count; i++) {
                CHECK(fields[i].offset_bytes == end);
                end += field_bytes(&fields[i]);
        }
        CHECK(end == bytes);
}

static void check_type(const struct slipring_type *type) {
        uint32_t next = type->root_count;

        CHECK(type->payload_bytes > 0 && type->payload_bytes <= SLIPRING_PAYLOAD_MAX);
        CHECK(type->field_count <= SLIPRING_FIELDS_MAX);
        CHECK(strlen(type->name) <= SLIPRING_TYPE_NAME_MAX);
        check_siblings(type->fields, type->root_count, type->payload_bytes);
        for (uint32_t i = 0; i < type->field_count; i++) {
                const struct slipring_field *field = &type->fields[i];

                CHECK(field->kind >= SLIPRING_KIND_BOOL && field->kind <= SLIPRING_KIND_GAP);
                CHECK(field->kind != SLIPRING_KIND_STRING ||
                      field->count == strlen(field->unit) + 1);
                if (field->kind == SLIPRING_KIND_STRUCT || field->kind == SLIPRING_KIND_LIST ||
                    field->kind == SLIPRING_KIND_SEQUENCE) {
                        CHECK(field->first_child == next);
                        next += field->child_count;
                        CHECK(next <= type->field_count);
                        check_siblings(type->fields + field->first_child, field->child_count,
                                       field->element_bytes);
                }
        }
        CHECK(next == type->field_count);
}

static void check_schema(const struct schema *schema) {
        struct buffer header = {0};

        CHECK(schema->topic_count > 0 && schema->topic_count <= SCHEMA_TOPICS_MAX);
        for (size_t i = 0; i < schema->topic_count; i++) {
                const struct schema_topic *topic = &schema->topics[i];

                CHECK(topic->type && topic->owner_name && topic->group_name && topic->description);
                CHECK(topic->depth >= SCHEMA_DEPTH_MIN && topic->depth <= SCHEMA_DEPTH_MAX);
                CHECK(topic->pins <= SCHEMA_PINS_MAX);
                CHECK(topic->pins == 0 ||
                      topic->depth + topic->pins + 1 <= SCHEMA_PINNED_SLOTS_MAX);
                CHECK(strlen(topic->name) <= SLIPRING_TOPIC_NAME_MAX);
                check_type(topic->type);
        }
        generate_c(&header, schema);
        CHECK(!header.failed);
        buffer_free(&header);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes) {
        static const struct schema_machine machine = {UINT64_MAX, UINT64_MAX, UINT64_MAX,
                                                      UINT64_MAX};
        const struct schema_options options = {.user = 0, .machine = &machine};
        struct diagnostics diagnostics = {0};
        struct schema *schema = NULL;
        int r;

        r = schema_load_text(&schema, "fuzz", (const char *) data, bytes, &options, &diagnostics);
        CHECK((r == 0) == (schema != NULL));
        CHECK((r == 0) == (diagnostics.errors == 0));
        for (size_t i = 0; i < diagnostics.count; i++) {
                CHECK(diagnostics.items[i].message[0]);
                CHECK(diagnostics.items[i].line == 0 || diagnostics.items[i].source);
        }
        if (schema) {
                check_schema(schema);
        }
        schema_free(schema);
        diagnostics_clear(&diagnostics);
        return 0;
}
