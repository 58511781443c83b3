/*
 * slipring bag csv: CDR by the ros2msg text that stands beside it.
 *
 * Both may be anything. A message is read from its front to its end with each length compared with
 * what is left, and each element of an array takes at least a byte of it, so a small file cannot
 * ask for much.
 */

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "bus/type.h"
#include "cli/bag.h"
#include "mcap/reader.h"
#include "schema/msg.h"
#include "subscribers/render.h"

#define NESTING_MAX 32
#define ENCAPSULATION_BYTES 4u

struct csv {
        struct bag *bag;
        const struct mcap_channel *channel;
        struct arena arena;
        struct diagnostics diagnostics;
        struct msg **types; /* the first is the topic's */
        size_t type_count;

        const uint8_t *data; /* of the message, behind the encapsulation */
        size_t bytes;
        size_t at;
        bool names; /* print names of columns and not values */
        size_t columns;
        char path[1024];
};

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

static int add_type(struct csv *csv, const char *name, const char *text, size_t bytes) {
        struct msg **larger = reallocarray(csv->types, csv->type_count + 1, sizeof(*larger));

        if (!name || !larger) {
                csv->types = larger ? larger : csv->types;
                return -ENOMEM;
        }
        csv->types = larger;
        return msg_parse(&larger[csv->type_count++], &csv->arena, &csv->diagnostics, name, text,
                         bytes);
}

/* "MSG: package/Name" in the line behind the separator, as "package/msg/Name"; NULL: none. */
static const char *section_name(struct csv *csv, const char **text) {
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
                return slash ? arena_copy(&csv->arena, line, (size_t) (end - line)) : NULL;
        }
        return arena_print(&csv->arena, "%.*s/msg%.*s", (int) (slash - line), line,
                           (int) (end - slash), slash);
}

/* 0, -EBADMSG or -ENOMEM. */
static int read_types(struct csv *csv, const struct mcap_schema *schema) {
        const char *text = arena_copy(&csv->arena, (const char *) schema->data, schema->data_bytes);
        const char *name = schema->name;
        size_t length;
        int r = text ? 0 : -ENOMEM;

        while (r == 0) {
                length = section_length(text, strlen(text));
                r = add_type(csv, name, text, length);
                text += length;
                if (r < 0 || !*text) {
                        break;
                }
                name = section_name(csv, &text);
                r = name ? 0 : -EBADMSG;
        }
        return r < 0 ? r : csv->diagnostics.errors > 0 ? -EBADMSG : 0;
}

static const struct msg *find_type(const struct csv *csv, const char *name) {
        for (size_t i = 0; i < csv->type_count; i++) {
                if (!strcmp(csv->types[i]->name, name)) {
                        return csv->types[i];
                }
        }
        return NULL;
}

/*
 * Values
 */

/* The next bytes, aligned as CDR has it; NULL: the message ends before. */
static const uint8_t *take(struct csv *csv, size_t align, size_t bytes) {
        size_t at = (csv->at + align - 1) / align * align;

        if (at > csv->bytes || bytes > csv->bytes - at) {
                return NULL;
        }
        csv->at = at + bytes;
        return csv->data + at;
}

static void column(struct csv *csv) {
        putchar(',');
        csv->columns++;
        if (csv->names) {
                fputs(csv->path, stdout);
        }
}

static void print_string(const uint8_t *text, size_t bytes) {
        putchar('"');
        for (size_t i = 0; i < bytes && text[i]; i++) {
                if (text[i] == '"') {
                        putchar('"');
                }
                /* A terminal would obey the others. */
                putchar((text[i] < ' ' && text[i] != '\n' && text[i] != '\t') || text[i] == 0x7f
                                ? '?'
                                : text[i]);
        }
        putchar('"');
}

static bool string(struct csv *csv) {
        const uint8_t *at = take(csv, 4, 4);
        uint32_t length;

        if (!at) {
                return false;
        }
        memcpy(&length, at, sizeof(length));
        at = take(csv, 1, length);
        if (at) {
                column(csv);
                if (!csv->names) {
                        print_string(at, length);
                }
        }
        return at != NULL;
}

static void print_number(uint32_t kind, const uint8_t *at) {
        uint64_t bits = 0;
        double real;
        float single;
        char text[40];

        memcpy(&bits, at, type_kind_bytes(kind));
        switch (kind) {
        case SLIPRING_KIND_BOOL:
                fputs(bits ? "true" : "false", stdout);
                break;
        case SLIPRING_KIND_INT8:
                printf("%" PRId8, (int8_t) bits);
                break;
        case SLIPRING_KIND_INT16:
                printf("%" PRId16, (int16_t) bits);
                break;
        case SLIPRING_KIND_INT32:
                printf("%" PRId32, (int32_t) bits);
                break;
        case SLIPRING_KIND_INT64:
                printf("%" PRId64, (int64_t) bits);
                break;
        case SLIPRING_KIND_FLOAT32:
                memcpy(&single, at, sizeof(single));
                fputs(render_real(text, (double) single, true), stdout);
                break;
        case SLIPRING_KIND_FLOAT64:
                memcpy(&real, at, sizeof(real));
                fputs(render_real(text, real, false), stdout);
                break;
        default:
                printf("%" PRIu64, bits);
        }
}

static bool message(struct csv *csv, const struct msg *msg, unsigned depth);

static bool value(struct csv *csv, const struct msg_field *field, unsigned depth) {
        const struct msg *nested;
        const uint8_t *at;
        size_t bytes;

        if (field->kind == MSG_KIND_STRING) {
                return string(csv);
        }
        if (field->kind == SLIPRING_KIND_STRUCT) {
                nested = find_type(csv, field->nested_name);
                return nested && message(csv, nested, depth + 1);
        }
        bytes = type_kind_bytes(field->kind);
        at = bytes ? take(csv, bytes, bytes) : NULL;
        if (at && !(field->kind == SLIPRING_KIND_UINT8 && type_is_pad(field->name))) {
                column(csv);
                if (!csv->names) {
                        print_number(field->kind, at);
                }
        }
        return at != NULL;
}

/* The name of what comes next, behind those of what it is in. Returns where it begins. */
static size_t push(struct csv *csv, const char *format, const char *name, uint32_t index) {
        size_t length = strlen(csv->path);

        if (name) {
                snprintf(csv->path + length, sizeof(csv->path) - length, format, name);
        } else {
                snprintf(csv->path + length, sizeof(csv->path) - length, "[%" PRIu32 "]", index);
        }
        return length;
}

static bool elements(struct csv *csv, const struct msg_field *field, unsigned depth) {
        uint32_t count = field->length;
        bool whole = true;
        const uint8_t *at;
        size_t length;

        if (field->array != MSG_ARRAY) {
                at = take(csv, 4, 4);
                if (!at) {
                        return false;
                }
                memcpy(&count, at, sizeof(count));
        }
        for (uint32_t i = 0; whole && i < count; i++) {
                length = push(csv, NULL, NULL, i);
                whole = value(csv, field, depth);
                csv->path[length] = '\0';
        }
        return whole;
}

static bool message(struct csv *csv, const struct msg *msg, unsigned depth) {
        bool whole = depth < NESTING_MAX;
        size_t length;

        if (msg->field_count == 0) {
                /* No field is a byte in ROS 2. */
                return take(csv, 1, 1) != NULL;
        }
        for (size_t i = 0; whole && i < msg->field_count; i++) {
                const struct msg_field *field = &msg->fields[i];

                length = push(csv, depth > 0 ? ".%s" : "%s", field->name, 0);
                whole = field->array == MSG_SINGLE ? value(csv, field, depth)
                                                   : elements(csv, field, depth);
                csv->path[length] = '\0';
        }
        return whole;
}

/* One line, of names or of values; false: the message ends in the middle. */
static bool line(struct csv *csv, const struct mcap_message *read, bool names) {
        bool whole;

        csv->names = names;
        csv->columns = 0;
        csv->at = 0;
        csv->path[0] = '\0';
        if (names) {
                fputs("time,sequence", stdout);
        } else {
                printf("%" PRIu64 ".%09" PRIu64 ",%" PRIu32, read->log_time_ns / 1000000000,
                       read->log_time_ns % 1000000000, read->sequence);
        }
        whole = message(csv, csv->types[0], 0);
        putchar('\n');
        return whole;
}

/*
 * All of them
 */

static bool same_topic(const struct mcap_channel *channel, void *context) {
        const struct csv *csv = context;

        return channel == csv->channel;
}

static int bad_message(const struct csv *csv, const struct mcap_message *read) {
        cli_error(csv->bag->cli, "'%s': message %" PRIu32 " of topic '%s' is not of its type",
                  csv->bag->path, read->sequence, csv->channel->topic);
        return CLI_FAILURE;
}

static int print_all(struct csv *csv, struct mcap_reader *reader) {
        struct mcap_error error = {0};
        struct mcap_message read;
        size_t columns = 0, others = 0;
        bool first = true;
        int r;

        if (mcap_reader_select(reader, same_topic, csv, 0, UINT64_MAX) < 0) {
                cli_error(csv->bag->cli, "out of memory");
                return CLI_FAILURE;
        }
        while ((r = mcap_reader_next(reader, &read, &error)) == 1) {
                if (read.bytes < ENCAPSULATION_BYTES || read.data[0] != 0 || read.data[1] != 1) {
                        return bad_message(csv, &read);
                }
                csv->data = read.data + ENCAPSULATION_BYTES;
                csv->bytes = read.bytes - ENCAPSULATION_BYTES;
                if (first) {
                        if (!line(csv, &read, true)) {
                                return bad_message(csv, &read);
                        }
                        columns = csv->columns;
                        first = false;
                }
                if (!line(csv, &read, false)) {
                        return bad_message(csv, &read);
                }
                others += csv->columns != columns;
        }
        if (others > 0) {
                cli_error(csv->bag->cli,
                          "%zu lines have another number of columns than the first: their "
                          "sequences have other lengths",
                          others);
        }
        if (r < 0) {
                cli_error(csv->bag->cli, "%s", error.text);
        }
        return r < 0 ? CLI_FAILURE : CLI_OK;
}

/* The only channel of that name that has messages; or NULL with a message printed. */
static const struct mcap_channel *choose(const struct bag *bag,
                                         const struct mcap_summary *summary) {
        const char *topic = bag->topic + (*bag->topic == '/');
        const struct mcap_channel *found = NULL;

        for (size_t i = 0; i < summary->catalogue.channel_count; i++) {
                const struct mcap_channel *channel = &summary->catalogue.channels[i];

                if (strcmp(channel->topic + (*channel->topic == '/'), topic) != 0) {
                        continue;
                }
                if (found && found->message_count > 0 && channel->message_count > 0) {
                        cli_error(bag->cli,
                                  "topic '%s' has several types in '%s': it was replaced while it "
                                  "was recorded; its first one is printed",
                                  topic, bag->path);
                        break;
                }
                found = !found || channel->message_count > 0 ? channel : found;
        }
        if (!found) {
                cli_error(bag->cli, "'%s' has no topic '%s'; slipring bag info lists them",
                          bag->path, topic);
        }
        return found;
}

static int print_channel(struct csv *csv, struct mcap_reader *reader) {
        const struct mcap_summary *summary = mcap_reader_summary(reader);
        const struct mcap_schema *schema;
        int r;

        csv->channel = choose(csv->bag, summary);
        if (!csv->channel) {
                return CLI_FAILURE;
        }
        schema = mcap_schema_find(&summary->catalogue, csv->channel->schema_id);
        if (strcmp(csv->channel->encoding, "cdr") != 0 || !schema ||
            strcmp(schema->encoding, "ros2msg") != 0 || !msg_name_check(schema->name)) {
                cli_error(csv->bag->cli, "topic '%s' of '%s' is not CDR that ros2msg describes",
                          csv->channel->topic, csv->bag->path);
                return CLI_FAILURE;
        }
        r = read_types(csv, schema);
        if (r < 0) {
                diagnostics_print(&csv->diagnostics, stderr, false);
                cli_error(csv->bag->cli, "'%s': the type %s cannot be read: %s", csv->bag->path,
                          schema->name, r == -ENOMEM ? "out of memory" : "see above");
                return CLI_FAILURE;
        }
        return print_all(csv, reader);
}

int bag_csv(struct bag *bag) {
        struct csv csv = {.bag = bag};
        struct mcap_error error = {0};
        struct mcap_reader *reader;
        int code;

        if (mcap_reader_open(&reader, bag->fd, bag->path, 0, &error) < 0) {
                cli_error(bag->cli, "%s", error.text);
                return CLI_FAILURE;
        }
        code = print_channel(&csv, reader);
        if (mcap_reader_summary(reader)->damage.code) {
                cli_error(bag->cli, "%s", mcap_reader_summary(reader)->damage.text);
                code = CLI_FAILURE;
        }
        mcap_reader_close(reader);
        diagnostics_clear(&csv.diagnostics);
        arena_free(&csv.arena);
        free(csv.types);
        return code;
}
