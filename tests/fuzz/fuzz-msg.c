/*
 * Any bytes as a .msg file: the reader must end, leak nothing, and what it takes must be fit to be
 * put into JSON and into source code as it is.
 */

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "schema/msg.h"
#include "schema/names.h"

#define CHECK(condition)                                                                           \
        do {                                                                                       \
                if (!(condition)) {                                                                \
                        abort();                                                                   \
                }                                                                                  \
        } while (0)

static void check_field(const struct msg_field *field) {
        CHECK(name_is_snake(field->name));
        CHECK(strlen(field->name) <= SLIPRING_TYPE_NAME_MAX);
        CHECK(field->line > 0 && field->column > 0 && field->name_column > field->column);
        CHECK((field->kind == SLIPRING_KIND_STRUCT) == (field->nested_name != NULL));
        CHECK(!field->nested_name || msg_name_check(field->nested_name));
        CHECK((field->length > 0) == (field->array == MSG_ARRAY || field->array == MSG_BOUNDED));
        CHECK(field->length <= MSG_LENGTH_MAX && field->string_bound <= MSG_LENGTH_MAX);
}

static void check_msg(struct msg *msg) {
        uint8_t hash[32];

        for (size_t i = 0; i < msg->field_count; i++) {
                check_field(&msg->fields[i]);
        }
        for (size_t i = 0; i < msg->constant_count; i++) {
                CHECK(name_is_constant(msg->constants[i].name));
                CHECK(msg->constants[i].text);
                CHECK(msg->constants[i].before <= msg->field_count);
        }
        CHECK(msg_type_hash(msg, 1, hash) == 0);
}

/* The same bytes as the text of a type. */
static void check_text(const uint8_t *data, size_t bytes) {
        char hash[MSG_HASH_BYTES], *text = strndup((const char *) data, bytes);
        int r;

        CHECK(text);
        r = msg_text_hash("p/msg/T", text, hash);
        CHECK(r == -EBADMSG || (r == 0 && strlen(hash) == MSG_HASH_BYTES - 1));
        free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes) {
        struct diagnostics diagnostics = {0};
        struct arena arena = {0};
        struct msg *msg = NULL;

        CHECK(msg_parse(&msg, &arena, &diagnostics, "p/msg/T", (const char *) data, bytes) == 0);
        CHECK((msg->state == MSG_BROKEN) == (diagnostics.errors > 0));
        if (msg->state == MSG_READ) {
                check_msg(msg);
        }
        diagnostics_finish(&diagnostics, (const char *) data, bytes);
        diagnostics_clear(&diagnostics);
        arena_free(&arena);
        check_text(data, bytes);
        return 0;
}
