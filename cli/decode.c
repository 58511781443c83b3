#include "cli/decode.h"

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

static int add_type(struct decode *decode, const char *name, const char *text, size_t bytes) {
        struct decode_type *larger =
                reallocarray(decode->types, decode->type_count + 1, sizeof(*larger));
        int r;

        if (!name || !larger) {
                decode->types = larger ? larger : decode->types;
                return -ENOMEM;
        }
        decode->types = larger;
        larger += decode->type_count;
        *larger = (struct decode_type){.text = text, .bytes = bytes};
        r = msg_parse(&larger->msg, &decode->arena, &decode->diagnostics, name, text, bytes);
        decode->type_count += r == 0;
        return r;
}

/* "MSG: package/Name" in the line behind the separator, as "package/msg/Name"; NULL: none. */
static const char *section_name(struct decode *decode, const char **text) {
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
                return slash ? arena_copy(&decode->arena, line, (size_t) (end - line)) : NULL;
        }
        return arena_print(&decode->arena, "%.*s/msg%.*s", (int) (slash - line), line,
                           (int) (end - slash), slash);
}

bool decode_described(const struct mcap_channel *channel, const struct mcap_schema *schema) {
        return !strcmp(channel->encoding, "cdr") && schema &&
               !strcmp(schema->encoding, "ros2msg") && msg_name_check(schema->name);
}

int decode_types(struct decode *decode, const struct mcap_schema *schema) {
        const char *text =
                arena_copy(&decode->arena, (const char *) schema->data, schema->data_bytes);
        const char *name = schema->name;
        size_t length;
        int r = text ? 0 : -ENOMEM;

        while (r == 0) {
                length = section_length(text, strlen(text));
                r = add_type(decode, name, text, length);
                text += length;
                if (r < 0 || !*text) {
                        break;
                }
                name = section_name(decode, &text);
                r = name ? 0 : -EBADMSG;
        }
        return r < 0 ? r : decode->diagnostics.errors > 0 ? -EBADMSG : 0;
}

const struct decode_type *decode_type_find(const struct decode *decode, const char *name) {
        for (size_t i = 0; i < decode->type_count; i++) {
                if (!strcmp(decode->types[i].msg->name, name)) {
                        return &decode->types[i];
                }
        }
        return NULL;
}

/*
 * Values
 */

/* The next bytes, aligned as CDR has it; NULL: the message ends before. */
static const uint8_t *take(struct decode *decode, size_t align, size_t bytes) {
        size_t at = (decode->at + align - 1) / align * align;

        if (at > decode->bytes || bytes > decode->bytes - at) {
                return NULL;
        }
        decode->at = at + bytes;
        return decode->data + at;
}

/* A number, little-endian. */
static const uint8_t *take_number(struct decode *decode, size_t bytes) {
        const uint8_t *at = take(decode, bytes, bytes);

        if (!at || !decode->turns) {
                return at;
        }
        for (size_t i = 0; i < bytes && i < sizeof(decode->turned); i++) {
                decode->turned[i] = at[bytes - 1 - i];
        }
        return decode->turned;
}

static bool length_take(struct decode *decode, uint32_t *ret_length) {
        const uint8_t *at = take_number(decode, 4);

        if (at) {
                memcpy(ret_length, at, sizeof(*ret_length));
        }
        return at != NULL;
}

static bool string_walk(struct decode *decode, const struct msg_field *field) {
        const uint8_t *at;
        uint32_t length;

        if (!length_take(decode, &length)) {
                return false;
        }
        at = take(decode, 1, length);
        if (at && decode->string) {
                decode->string(decode->userdata, field, at, length);
        }
        return at != NULL;
}

static bool message(struct decode *decode, const struct msg *msg, unsigned depth);

static bool value(struct decode *decode, const struct msg_field *field, unsigned depth) {
        const struct decode_type *nested;
        const uint8_t *at;
        size_t bytes;

        if (field->kind == MSG_KIND_STRING) {
                return string_walk(decode, field);
        }
        if (field->kind == SLIPRING_KIND_STRUCT) {
                nested = decode_type_find(decode, field->nested_name);
                return nested && message(decode, nested->msg, depth + 1);
        }
        bytes = type_kind_bytes(field->kind);
        at = bytes ? take_number(decode, bytes) : NULL;
        if (at && decode->number) {
                decode->number(decode->userdata, field, at);
        }
        return at != NULL;
}

/* The name of what comes next, behind those of what it is in. Returns where it begins. */
static size_t push(struct decode *decode, const char *format, const char *name, uint32_t index) {
        size_t length = strlen(decode->path);

        if (!decode->number && !decode->string && !decode->length) {
                return 0;
        }
        if (name) {
                snprintf(decode->path + length, sizeof(decode->path) - length, format, name);
        } else {
                snprintf(decode->path + length, sizeof(decode->path) - length, "[%" PRIu32 "]",
                         index);
        }
        return length;
}

static bool
each(struct decode *decode, const struct msg_field *field, uint32_t count, unsigned depth) {
        bool whole = true;
        size_t length;

        for (uint32_t i = 0; whole && i < count; i++) {
                length = push(decode, NULL, NULL, i);
                whole = value(decode, field, depth);
                decode->path[length] = '\0';
        }
        return whole;
}

static bool elements(struct decode *decode, const struct msg_field *field, unsigned depth) {
        uint32_t count = field->length, bytes = type_kind_bytes(field->kind);
        bool whole;

        if (field->array != MSG_ARRAY) {
                if (!length_take(decode, &count)) {
                        return false;
                }
                if (decode->length) {
                        decode->length(decode->userdata, field, count);
                }
        }
        if (!decode->number && bytes > 0) {
                /* An image has a million of them. */
                whole = count <= decode->bytes / bytes &&
                        (count == 0 || take(decode, bytes, (size_t) count * bytes));
        } else {
                whole = each(decode, field, count, depth);
        }
        if (whole && decode->end && field->array != MSG_ARRAY) {
                decode->end(decode->userdata, field, count);
        }
        return whole;
}

static bool message(struct decode *decode, const struct msg *msg, unsigned depth) {
        bool whole = depth < NESTING_MAX;
        size_t length;

        if (msg->field_count == 0) {
                /* No field is a byte in ROS 2. */
                return take(decode, 1, 1) != NULL;
        }
        for (size_t i = 0; whole && i < msg->field_count; i++) {
                const struct msg_field *field = &msg->fields[i];

                length = push(decode, depth > 0 ? ".%s" : "%s", field->name, 0);
                whole = field->array == MSG_SINGLE ? value(decode, field, depth)
                                                   : elements(decode, field, depth);
                decode->path[length] = '\0';
        }
        return whole;
}

bool decode_walk(struct decode *decode, const struct mcap_message *read) {
        if (read->bytes < ENCAPSULATION_BYTES || read->data[0] != 0 ||
            (read->data[1] != 1 && (read->data[1] != 0 || !decode->big_endian))) {
                return false;
        }
        decode->turns = read->data[1] == 0;
        decode->data = read->data + ENCAPSULATION_BYTES;
        decode->bytes = read->bytes - ENCAPSULATION_BYTES;
        decode->at = 0;
        decode->path[0] = '\0';
        return message(decode, decode->types[0].msg, 0);
}

size_t decode_plain(const char *path, char *plain) {
        size_t index = 0;

        while (*path) {
                if (*path != '[') {
                        *plain++ = *path++;
                        continue;
                }
                index = strtoul(path + 1, NULL, 10);
                path += strcspn(path, "]");
                path += *path == ']';
        }
        *plain = '\0';
        return index;
}

struct mcap_text decode_line(const struct mcap_text *lines, const char *key) {
        const char *line = (const char *) lines->data, *end = line + lines->bytes;
        const size_t length = strlen(key);

        while (line < end) {
                const char *next = memchr(line, '\n', (size_t) (end - line));
                size_t bytes = (size_t) ((next ? next : end) - line);

                if (bytes > length && !memcmp(line, key, length) && line[length] == ' ') {
                        return (struct mcap_text){.data = (const uint8_t *) line + length + 1,
                                                  .bytes = bytes - length - 1};
                }
                line = next ? next + 1 : end;
        }
        return (struct mcap_text){.data = (const uint8_t *) "", .bytes = 0};
}

uint32_t decode_bound(const struct mcap_text *lines, const char *what, const char *path) {
        char key[DECODE_PATH_BYTES + 16], number[16] = "";
        struct mcap_text line;

        (void) snprintf(key, sizeof(key), "%s %s", what, path);
        line = decode_line(lines, key);
        memcpy(number, line.data, line.bytes < sizeof(number) ? line.bytes : 0);
        return (uint32_t) strtoul(number, NULL, 10);
}

void decode_free(struct decode *decode) {
        diagnostics_clear(&decode->diagnostics);
        arena_free(&decode->arena);
        free(decode->types);
        decode->types = NULL;
        decode->type_count = 0;
}
