#include "cli/cdr.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bus/type.h"

#define NESTING_MAX 32
#define ENCAPSULATION_BYTES 4u

/*
 * Types
 */

/* The text of one type: up to a line of at least 80 '='. */
static size_t section_length(const char *text, size_t bytes) {
        const char *line = text, *end = text + bytes;

        while (line < end) {
                if (end - line >= 80 && strspn(line, "=") >= 80) {
                        break;
                }
                line = memchr(line, '\n', (size_t) (end - line));
                line = line ? line + 1 : end;
        }
        return (size_t) (line - text);
}

static int add_type(struct cdr *cdr, const char *name, const char *text, size_t bytes) {
        struct cdr_type *larger = reallocarray(cdr->types, cdr->type_count + 1, sizeof(*larger));
        int r;

        if (!name || !larger) {
                cdr->types = larger ? larger : cdr->types;
                return -ENOMEM;
        }
        cdr->types = larger;
        larger += cdr->type_count;
        *larger = (struct cdr_type){.text = text, .bytes = bytes};
        r = msg_parse(&larger->msg, &cdr->arena, &cdr->diagnostics, name, text, bytes);
        cdr->type_count += r == 0;
        return r;
}

/* "MSG: package/Name" in the line behind the separator, as "package/msg/Name"; NULL: none. */
static const char *section_name(struct cdr *cdr, const char **text) {
        const char *line = strchr(*text, '\n'), *end, *slash;

        line = line ? line + 1 : "";
        end = line + strcspn(line, "\r\n");
        if (strncmp(line, "MSG: ", 5) != 0) {
                return NULL;
        }
        line += 5;
        slash = memchr(line, '/', (size_t) (end - line));
        *text = *end ? end + 1 : end;
        if (!slash || !strncmp(slash, "/msg/", 5)) {
                return slash ? arena_copy(&cdr->arena, line, (size_t) (end - line)) : NULL;
        }
        return arena_print(&cdr->arena, "%.*s/msg%.*s", (int) (slash - line), line,
                           (int) (end - slash), slash);
}

bool cdr_described(const struct mcap_channel *channel, const struct mcap_schema *schema) {
        return !strcmp(channel->encoding, "cdr") && schema &&
               !strcmp(schema->encoding, "ros2msg") && msg_name_check(schema->name);
}

int cdr_types(struct cdr *cdr, const struct mcap_schema *schema) {
        const char *text = arena_copy(&cdr->arena, (const char *) schema->data, schema->data_bytes);
        const char *name = schema->name;
        size_t length;
        int r = text ? 0 : -ENOMEM;

        while (r == 0) {
                length = section_length(text, strlen(text));
                r = add_type(cdr, name, text, length);
                text += length;
                if (r < 0 || !*text) {
                        break;
                }
                name = section_name(cdr, &text);
                r = name ? 0 : -EBADMSG;
        }
        return r < 0 ? r : cdr->diagnostics.errors > 0 ? -EBADMSG : 0;
}

const struct cdr_type *cdr_type_find(const struct cdr *cdr, const char *name) {
        for (size_t i = 0; i < cdr->type_count; i++) {
                if (!strcmp(cdr->types[i].msg->name, name)) {
                        return &cdr->types[i];
                }
        }
        return NULL;
}

/*
 * Values
 */

/* The next bytes, aligned as CDR has it; NULL: the message ends before. */
static const uint8_t *take(struct cdr *cdr, size_t align, size_t bytes) {
        size_t at = (cdr->at + align - 1) / align * align;

        if (at > cdr->bytes || bytes > cdr->bytes - at) {
                return NULL;
        }
        cdr->at = at + bytes;
        return cdr->data + at;
}

static bool length_take(struct cdr *cdr, uint32_t *ret_length) {
        const uint8_t *at = take(cdr, 4, 4);

        if (at) {
                memcpy(ret_length, at, sizeof(*ret_length));
        }
        return at != NULL;
}

static bool string_walk(struct cdr *cdr) {
        const uint8_t *at;
        uint32_t length;

        if (!length_take(cdr, &length)) {
                return false;
        }
        at = take(cdr, 1, length);
        if (at) {
                cdr->string(cdr->userdata, at, length);
        }
        return at != NULL;
}

static bool message(struct cdr *cdr, const struct msg *msg, unsigned depth);

static bool value(struct cdr *cdr, const struct msg_field *field, unsigned depth) {
        const struct cdr_type *nested;
        const uint8_t *at;
        size_t bytes;

        if (field->kind == MSG_KIND_STRING) {
                return string_walk(cdr);
        }
        if (field->kind == SLIPRING_KIND_STRUCT) {
                nested = cdr_type_find(cdr, field->nested_name);
                return nested && message(cdr, nested->msg, depth + 1);
        }
        bytes = type_kind_bytes(field->kind);
        at = bytes ? take(cdr, bytes, bytes) : NULL;
        if (at) {
                cdr->number(cdr->userdata, field, at);
        }
        return at != NULL;
}

/* The name of what comes next, behind those of what it is in. Returns where it begins. */
static size_t push(struct cdr *cdr, const char *format, const char *name, uint32_t index) {
        size_t length = strlen(cdr->path);

        if (name) {
                snprintf(cdr->path + length, sizeof(cdr->path) - length, format, name);
        } else {
                snprintf(cdr->path + length, sizeof(cdr->path) - length, "[%" PRIu32 "]", index);
        }
        return length;
}

static bool elements(struct cdr *cdr, const struct msg_field *field, unsigned depth) {
        uint32_t count = field->length;
        bool whole = true;
        size_t length;

        if (field->array != MSG_ARRAY) {
                if (!length_take(cdr, &count)) {
                        return false;
                }
                if (cdr->length) {
                        cdr->length(cdr->userdata, count);
                }
        }
        for (uint32_t i = 0; whole && i < count; i++) {
                length = push(cdr, NULL, NULL, i);
                whole = value(cdr, field, depth);
                cdr->path[length] = '\0';
        }
        return whole;
}

static bool message(struct cdr *cdr, const struct msg *msg, unsigned depth) {
        bool whole = depth < NESTING_MAX;
        size_t length;

        if (msg->field_count == 0) {
                /* No field is a byte in ROS 2. */
                return take(cdr, 1, 1) != NULL;
        }
        for (size_t i = 0; whole && i < msg->field_count; i++) {
                const struct msg_field *field = &msg->fields[i];

                length = push(cdr, depth > 0 ? ".%s" : "%s", field->name, 0);
                whole = field->array == MSG_SINGLE ? value(cdr, field, depth)
                                                   : elements(cdr, field, depth);
                cdr->path[length] = '\0';
        }
        return whole;
}

bool cdr_walk(struct cdr *cdr, const struct mcap_message *read) {
        if (read->bytes < ENCAPSULATION_BYTES || read->data[0] != 0 || read->data[1] != 1) {
                return false;
        }
        cdr->data = read->data + ENCAPSULATION_BYTES;
        cdr->bytes = read->bytes - ENCAPSULATION_BYTES;
        cdr->at = 0;
        cdr->path[0] = '\0';
        return message(cdr, cdr->types[0].msg, 0);
}

void cdr_free(struct cdr *cdr) {
        diagnostics_clear(&cdr->diagnostics);
        arena_free(&cdr->arena);
        free(cdr->types);
        cdr->types = NULL;
        cdr->type_count = 0;
}
