/*
 * The schema of a bus from a recording.
 *
 * Own types of the bus that was recorded become own types again: their packages and their units
 * stand beside them, so that they have the identity that programs compiled for them ask for. Every
 * other type becomes a message file as ROS 2 has them, which is all that a file of somebody else
 * says. Of a message of ROS 2 the bounds stand beside it, too; without them a string or sequence
 * has what the first message has, unless its text has a bound.
 */

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "bus/error.h"
#include "bus/topic.h"
#include "bus/type.h"
#include "cli/decode.h"
#include "cli/play-bus.h"
#include "cli/view.h"
#include "schema/buffer.h"
#include "schema/schema.h"

/* A ring is as deep as a second of the topic, within these. */
#define RING_BYTES_MAX (64.0 * 1024 * 1024)

/* A type that stands in the schema, or in a file beside it. */
struct placed {
        const char *name;
        const char *text;
        bool own;
};

/* What never changes of a message: the length of a sequence, or its strings by the innermost
 * index. */
struct held {
        const char *path; /* without indexes */
        bool sequence;
        uint32_t length;
        char **texts;
        size_t count;
};

struct plan {
        const struct cli *cli;
        const struct play_options *options;
        struct mcap_reader *reader;
        const struct mcap_summary *summary;
        const char *directory;
        char package[SLIPRING_BUS_NAME_MAX + 1]; /* of the own types; "": none is known */
        struct arena arena;
        struct buffer types;
        struct buffer topics;
        struct placed *placed;
        size_t placed_count;
        const char **names; /* of topics */
        size_t name_count;

        /* The channel that is being looked at. */
        const struct mcap_channel *channel;
        struct mcap_text units;
        struct mcap_text bounds;
        bool bounds_known; /* what is not among them never changes */
        bool own;          /* the schema says of its type what it has to */
        struct decode decode;
        struct held *held;
        size_t held_count;
        size_t message_bytes;
        uint32_t field_count; /* of its type, nested ones each time that they are come to */
        char problem[512];
};

__attribute__((format(printf, 2, 3))) static bool
impossible(struct plan *plan, const char *format, ...) {
        va_list list;

        va_start(list, format);
        vsnprintf(plan->problem, sizeof(plan->problem), format, list);
        va_end(list);
        return false;
}

static bool no_memory(struct plan *plan) {
        return impossible(plan, "out of memory");
}

/* What stands behind a key in lines that a recorder wrote, "" if there is no such line. */
static struct mcap_text line_of(const struct mcap_text *lines, const char *key) {
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

/*
 * What a message holds
 */

/* "a[3].b[7]" as "a.b", and the 7. */
static size_t strip(const char *from, char *to) {
        size_t index = 0;

        while (*from) {
                if (*from != '[') {
                        *to++ = *from++;
                        continue;
                }
                index = strtoul(from + 1, NULL, 10);
                from += strcspn(from, "]");
                from += *from == ']';
        }
        *to = '\0';
        return index;
}

static struct held *held_of(struct plan *plan, const char *path, bool sequence) {
        struct held *larger;
        char *copy;

        for (size_t i = 0; i < plan->held_count; i++) {
                if (plan->held[i].sequence == sequence && !strcmp(plan->held[i].path, path)) {
                        return &plan->held[i];
                }
        }
        copy = arena_copy(&plan->arena, path, strlen(path));
        larger = reallocarray(plan->held, plan->held_count + 1, sizeof(*larger));
        plan->held = larger ? larger : plan->held;
        if (!copy || !larger) {
                no_memory(plan);
                return NULL;
        }
        larger += plan->held_count++;
        *larger = (struct held){.path = copy, .sequence = sequence, .length = UINT32_MAX};
        return larger;
}

/* The bound of a string, or of a sequence; 0: it is not known to change. */
static uint32_t bound_of(const struct plan *plan, const char *what, const char *path) {
        char key[sizeof(plan->decode.path) + 16], number[16] = "";
        struct mcap_text line;

        (void) snprintf(key, sizeof(key), "%s %s", what, path);
        line = line_of(&plan->bounds, key);
        memcpy(number, line.data, line.bytes < sizeof(number) ? line.bytes : 0);
        return (uint32_t) strtoul(number, NULL, 10);
}

static void on_number(void *userdata, const struct msg_field *field, const uint8_t *at) {
        (void) userdata;
        (void) field;
        (void) at;
}

static void on_length(void *userdata, const struct msg_field *field, uint32_t count) {
        struct plan *plan = userdata;
        char path[sizeof(plan->decode.path)];
        struct held *held;

        /* Whatever comes after a problem is not kept: a message may be as large as the file. */
        if (*plan->problem) {
                return;
        }
        strip(plan->decode.path, path);
        if (plan->bounds_known ? bound_of(plan, "sequence", path) > 0
                               : field->array == MSG_BOUNDED) {
                return;
        }
        held = held_of(plan, path, true);
        if (held && held->length != UINT32_MAX && held->length != count) {
                impossible(plan, "sequences '%s' of one message have different lengths", path);
        }
        if (held) {
                held->length = count;
        }
}

/* One more of those whose path is the same. */
static void hold_text(struct plan *plan, struct held *held, const char *text, size_t length) {
        char **larger = NULL, *copy;

        /* Each is a field. */
        if (held->count == SLIPRING_FIELDS_MAX) {
                impossible(plan, "there are more than %u strings '%s'", SLIPRING_FIELDS_MAX,
                           held->path);
                return;
        }
        copy = arena_copy(&plan->arena, text, length);
        if (copy) {
                larger = reallocarray(held->texts, held->count + 1, sizeof(*larger));
        }
        if (!larger) {
                no_memory(plan);
                return;
        }
        held->texts = larger;
        larger[held->count++] = copy;
}

static void
on_string(void *userdata, const struct msg_field *field, const uint8_t *bytes, size_t count) {
        const char *text = (const char *) bytes, *other;
        size_t index, length = strnlen(text, count);
        struct plan *plan = userdata;
        char path[sizeof(plan->decode.path)];
        struct held *held;

        if (*plan->problem) {
                return;
        }
        index = strip(plan->decode.path, path);
        if (plan->bounds_known ? bound_of(plan, "string", path) > 0 : field->string_bound > 0) {
                return;
        }
        for (size_t i = 0; i < length; i++) {
                if (text[i] < ' ' || text[i] > '~') {
                        impossible(plan, "string '%s' is not of printable ASCII", path);
                        return;
                }
        }
        held = held_of(plan, path, false);
        if (!held) {
                return;
        }
        if (index >= held->count) {
                hold_text(plan, held, text, length);
                return;
        }
        other = held->texts[index];
        if (strlen(other) != length || memcmp(other, text, length) != 0) {
                impossible(plan, "strings '%s' differ by more than the index of an element", path);
        }
}

static bool this_channel(const struct mcap_channel *channel, void *context) {
        const struct plan *plan = context;

        return channel == plan->channel;
}

static bool look_at_message(struct plan *plan) {
        struct mcap_error error = {0};
        struct mcap_message message;
        int r;

        if (mcap_reader_select(plan->reader, this_channel, plan, 0, UINT64_MAX) < 0) {
                return no_memory(plan);
        }
        r = mcap_reader_next(plan->reader, &message, &error);
        if (r <= 0) {
                return impossible(plan, "%s", r < 0 ? error.text : "it has no message");
        }
        plan->message_bytes = message.bytes;
        if (!decode_walk(&plan->decode, &message)) {
                return impossible(plan, "its first message is not of its type");
        }
        return !*plan->problem;
}

/*
 * Types
 */

static const char *base_name(const char *name) {
        return strrchr(name, '/') + 1;
}

/* Time and Duration, which the schema has as kinds; NULL for others. */
static const char *builtin(const struct msg_field *field) {
        if (field->kind != SLIPRING_KIND_STRUCT) {
                return NULL;
        }
        if (!strcmp(field->nested_name, "builtin_interfaces/msg/Time")) {
                return "time";
        }
        return strcmp(field->nested_name, "builtin_interfaces/msg/Duration") ? NULL : "duration";
}

/* A small text may have types that nest each other some times, and so on: more fields than anybody
 * can look at. False: there are more than a type may have. */
static bool fields_fit(struct plan *plan, const struct msg *msg, unsigned depth) {
        for (size_t i = 0; depth <= SLIPRING_NESTING_MAX && i < msg->field_count; i++) {
                const struct decode_type *nested = NULL;

                if (++plan->field_count > SLIPRING_FIELDS_MAX) {
                        return impossible(plan, "its type has too many fields");
                }
                if (msg->fields[i].kind == SLIPRING_KIND_STRUCT) {
                        nested = decode_type_find(&plan->decode, msg->fields[i].nested_name);
                }
                if (nested && !fields_fit(plan, nested->msg, depth + 1)) {
                        return false;
                }
        }
        return true;
}

/* May the schema have this as an own type? */
static bool is_own(const struct plan *plan, const struct msg *msg, unsigned depth) {
        if (depth > SLIPRING_NESTING_MAX || !*plan->package ||
            strcmp(msg->package, plan->package) != 0 || msg->field_count == 0) {
                return false;
        }
        for (size_t i = 0; i < msg->constant_count; i++) {
                if (msg->constants[i].kind == MSG_KIND_STRING) {
                        return false;
                }
        }
        for (size_t i = 0; i < msg->field_count; i++) {
                const struct msg_field *field = &msg->fields[i];
                const struct decode_type *nested;

                if (field->array == MSG_SEQUENCE || field->byte ||
                    (field->kind == MSG_KIND_STRING && field->string_bound == 0)) {
                        return false;
                }
                if (field->kind != SLIPRING_KIND_STRUCT || builtin(field)) {
                        continue;
                }
                nested = decode_type_find(&plan->decode, field->nested_name);
                if (!nested || !is_own(plan, nested->msg, depth + 1)) {
                        return false;
                }
        }
        return true;
}

static const struct placed *placed_find(const struct plan *plan, const char *name, bool own) {
        for (size_t i = 0; i < plan->placed_count; i++) {
                if (plan->placed[i].own == own && !strcmp(plan->placed[i].name, name)) {
                        return &plan->placed[i];
                }
        }
        return NULL;
}

/* Remembers one; false: no memory. */
static bool place(struct plan *plan, const struct decode_type *type, bool own) {
        struct placed *larger = reallocarray(plan->placed, plan->placed_count + 1, sizeof(*larger));
        char *name = arena_copy(&plan->arena, type->msg->name, strlen(type->msg->name));
        char *text = arena_copy(&plan->arena, type->text, type->bytes);

        plan->placed = larger ? larger : plan->placed;
        if (!larger || !name || !text) {
                return no_memory(plan);
        }
        larger[plan->placed_count++] = (struct placed){.name = name, .text = text, .own = own};
        return true;
}

/* Is each type new, or as it was on another topic? */
static bool types_agree(struct plan *plan, bool own) {
        for (size_t i = 0; i < plan->decode.type_count; i++) {
                const struct decode_type *type = &plan->decode.types[i];
                const struct placed *placed = placed_find(plan, type->msg->name, own);

                if (!msg_name_check(type->msg->name)) {
                        return impossible(plan, "'%s' is no name of a type", type->msg->name);
                }
                if (placed && (strlen(placed->text) != type->bytes ||
                               memcmp(placed->text, type->text, type->bytes) != 0)) {
                        return impossible(plan, "its type %s has another text on another topic",
                                          type->msg->name);
                }
        }
        return true;
}

static void put_text(struct buffer *buffer, const char *text, size_t bytes) {
        buffer_print(buffer, "\"");
        for (size_t i = 0; i < bytes; i++) {
                buffer_print(buffer, "%s%c", text[i] == '"' || text[i] == '\\' ? "\\" : "",
                             text[i]);
        }
        buffer_print(buffer, "\"");
}

/* The constants before a field, by what their names say behind the field's. */
static void put_values(struct plan *plan, const struct msg *msg, size_t index) {
        const char *name = msg->fields[index].name, *before = ", values: {";
        size_t length = strlen(name) + 1;
        bool any = false;

        for (size_t i = 0; i < msg->constant_count; i++) {
                const struct msg_constant *constant = &msg->constants[i];

                if (constant->before == index && strlen(constant->name) > length) {
                        buffer_print(&plan->types, "%s%s: %s", before, constant->name + length,
                                     constant->text);
                        before = ", ";
                        any = true;
                }
        }
        buffer_print(&plan->types, "%s", any ? "}" : "");
}

static void put_field(struct plan *plan, const struct msg *msg, size_t index, const char *path) {
        const struct msg_field *field = &msg->fields[index];
        const char *name = builtin(field);
        struct mcap_text unit = line_of(&plan->units, path);

        if (!name) {
                name = field->kind == SLIPRING_KIND_STRUCT ? base_name(field->nested_name)
                       : field->kind == MSG_KIND_STRING    ? "string"
                                                           : type_kind_name(field->kind);
        }
        buffer_print(&plan->types, "    %s: {type: \"%s", field->name, name);
        if (field->string_bound > 0) {
                buffer_print(&plan->types, "<=%" PRIu32, field->string_bound);
        }
        if (field->array != MSG_SINGLE) {
                buffer_print(&plan->types, "[%s%" PRIu32 "]",
                             field->array == MSG_BOUNDED ? "<=" : "", field->length);
        }
        buffer_print(&plan->types, "\"");
        if (unit.bytes > 0) {
                buffer_print(&plan->types, ", unit: ");
                put_text(&plan->types, (const char *) unit.data, unit.bytes);
        }
        put_values(plan, msg, index);
        buffer_print(&plan->types, "}\n");
}

/* A type, and before it those that it uses. */
static bool put_own(struct plan *plan, const struct decode_type *type, const char *above) {
        const struct msg *msg = type->msg;

        if (placed_find(plan, msg->name, true)) {
                return true;
        }
        if (!place(plan, type, true)) {
                return false;
        }
        for (int nested = 1; nested >= 0; nested--) {
                if (!nested) {
                        buffer_print(&plan->types, "  %s:\n", base_name(msg->name));
                }
                for (size_t i = 0; i < msg->field_count; i++) {
                        const struct msg_field *field = &msg->fields[i];
                        const char *path = arena_print(&plan->arena, "%s%s%s", above,
                                                       *above ? "." : "", field->name);

                        if (!path) {
                                return no_memory(plan);
                        }
                        if (!nested && !type_is_pad(field->name)) {
                                put_field(plan, msg, i, path);
                        }
                        if (nested && field->kind == SLIPRING_KIND_STRUCT && !builtin(field) &&
                            !put_own(plan, decode_type_find(&plan->decode, field->nested_name),
                                     path)) {
                                return false;
                        }
                }
        }
        return true;
}

static bool write_file(struct plan *plan, const char *path, const char *text, size_t bytes) {
        int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
        bool written = fd >= 0;

        while (written && bytes > 0) {
                ssize_t done = write(fd, text, bytes);

                written = done > 0;
                text += written ? done : 0;
                bytes -= written ? (size_t) done : 0;
        }
        if (!written) {
                impossible(plan, "cannot write '%s': %s", path, strerror(errno));
        }
        if (fd >= 0) {
                close(fd);
        }
        return written;
}

/* DIRECTORY/package/msg/Name.msg */
static bool put_message(struct plan *plan, const struct decode_type *type) {
        char *path;

        if (placed_find(plan, type->msg->name, false)) {
                return true;
        }
        path = arena_print(&plan->arena, "%s/%s.msg", plan->directory, type->msg->name);
        if (!path || !place(plan, type, false)) {
                return no_memory(plan);
        }
        for (char *slash = path + strlen(plan->directory) + 1; (slash = strchr(slash, '/'));) {
                *slash = '\0';
                (void) mkdir(path, 0700);
                *slash++ = '/';
        }
        return write_file(plan, path, type->text, type->bytes);
}

/*
 * Topics
 */

static uint32_t depth_of(const struct plan *plan) {
        double seconds = (double) (plan->summary->end_ns - plan->summary->start_ns) / 1e9;
        double rate = seconds > 0 ? (double) plan->channel->message_count / seconds : 0;
        double depth = fmin(ceil(rate) + 1, RING_BYTES_MAX / (double) plan->message_bytes);

        return (uint32_t) fmin(fmax(depth, SCHEMA_DEPTH_DEFAULT), SCHEMA_DEPTH_MAX);
}

static bool all_equal(const struct held *held) {
        for (size_t i = 1; i < held->count; i++) {
                if (strcmp(held->texts[i], held->texts[0]) != 0) {
                        return false;
                }
        }
        return true;
}

static void put_held(struct plan *plan, bool sequences) {
        const char *title = sequences ? "    lengths:\n" : "    const:\n";

        for (size_t i = 0; i < plan->held_count; i++) {
                const struct held *held = &plan->held[i];

                if (held->sequence != sequences) {
                        continue;
                }
                buffer_print(&plan->topics, "%s      %s: ", title, held->path);
                title = "";
                if (sequences) {
                        buffer_print(&plan->topics, "%" PRIu32, held->length);
                } else if (all_equal(held)) {
                        put_text(&plan->topics, held->texts[0], strlen(held->texts[0]));
                } else {
                        for (size_t k = 0; k < held->count; k++) {
                                buffer_print(&plan->topics, "%s", k ? ", " : "[");
                                put_text(&plan->topics, held->texts[k], strlen(held->texts[k]));
                        }
                        buffer_print(&plan->topics, "]");
                }
                buffer_print(&plan->topics, "\n");
        }
}

/* Of a field and of what it has inside, by the type that the field has. */
static void put_bounds(struct plan *plan,
                       const struct msg *msg,
                       const char *above,
                       unsigned depth,
                       const char **title) {
        for (size_t i = 0; depth < SLIPRING_NESTING_MAX && i < msg->field_count; i++) {
                const struct msg_field *field = &msg->fields[i];
                const char *path =
                        arena_print(&plan->arena, "%s%s%s", above, *above ? "." : "", field->name);
                const struct decode_type *nested = NULL;
                uint32_t elements, bytes;

                if (!path) {
                        no_memory(plan);
                        return;
                }
                elements = bound_of(plan, "sequence", path);
                bytes = bound_of(plan, "string", path);
                if (elements > 0 || bytes > 0) {
                        buffer_print(&plan->topics, "%s      %s: ", *title, path);
                        *title = "";
                }
                if (elements > 0 && bytes > 0) {
                        buffer_print(&plan->topics, "[%" PRIu32 ", %" PRIu32 "]\n", elements,
                                     bytes);
                } else if (elements > 0 || bytes > 0) {
                        buffer_print(&plan->topics, "%" PRIu32 "\n",
                                     elements > 0 ? elements : bytes);
                }
                if (field->kind == SLIPRING_KIND_STRUCT) {
                        nested = decode_type_find(&plan->decode, field->nested_name);
                }
                if (nested) {
                        put_bounds(plan, nested->msg, path, depth + 1, title);
                }
        }
}

static bool put_topic(struct plan *plan, const char *name) {
        const struct mcap_schema *schema =
                mcap_schema_find(&plan->summary->catalogue, plan->channel->schema_id);
        const char **larger = reallocarray(plan->names, plan->name_count + 1, sizeof(*larger));
        struct slipring_error error = {0};
        const char *title = "    bounds:\n";
        bool done;

        plan->names = larger ? larger : plan->names;
        if (!larger) {
                return no_memory(plan);
        }
        if (topic_name_check(name, &error) < 0) {
                return impossible(plan, "%s", error.text);
        }
        if (!decode_described(plan->channel, schema)) {
                return impossible(plan, "it is not CDR that ros2msg describes");
        }
        if (decode_types(&plan->decode, schema) < 0) {
                return impossible(plan, "its type %s cannot be read", schema->name);
        }
        plan->field_count = 0;
        if (!fields_fit(plan, plan->decode.types[0].msg, 1)) {
                return false;
        }
        plan->own = is_own(plan, plan->decode.types[0].msg, 1);
        if (!look_at_message(plan)) {
                return false;
        }
        done = types_agree(plan, plan->own) &&
               (!plan->own || put_own(plan, &plan->decode.types[0], ""));
        for (size_t i = 0; done && !plan->own && i < plan->decode.type_count; i++) {
                done = put_message(plan, &plan->decode.types[i]);
        }
        if (!done) {
                return false;
        }
        plan->names[plan->name_count++] = name;
        buffer_print(&plan->topics, "  %s:\n    type: %s\n    depth: %" PRIu32 "\n", name,
                     plan->own ? base_name(schema->name) : schema->name, depth_of(plan));
        put_held(plan, false);
        put_held(plan, true);
        if (!plan->own) {
                put_bounds(plan, plan->decode.types[0].msg, "", 0, &title);
        }
        return !*plan->problem;
}

static void forget_channel(struct plan *plan) {
        for (size_t i = 0; i < plan->held_count; i++) {
                free(plan->held[i].texts);
        }
        plan->held_count = 0;
        decode_free(&plan->decode);
        plan->problem[0] = '\0';
}

static void consider(struct plan *plan, size_t index) {
        const struct play_options *options = plan->options;
        const struct mcap_channel *channel = &plan->summary->catalogue.channels[index];
        char *name;

        plan->channel = channel;
        if (channel->message_count == 0 || !options->wanted(options->userdata, channel->topic)) {
                return;
        }
        name = arena_print(&plan->arena, "%s",
                           view_topic_name(options->rename(options->userdata, channel->topic)));
        for (size_t i = 0; name && i < plan->name_count; i++) {
                if (!strcmp(plan->names[i], name)) {
                        return;
                }
        }
        if (!mcap_channel_metadata(channel, "slipring_units", &plan->units)) {
                plan->units = (struct mcap_text){.data = (const uint8_t *) "", .bytes = 0};
        }
        plan->bounds_known = mcap_channel_metadata(channel, "slipring_bounds", &plan->bounds);
        if (!plan->bounds_known) {
                plan->bounds = (struct mcap_text){.data = (const uint8_t *) "", .bytes = 0};
        }
        plan->decode = (struct decode){
                .number = on_number, .string = on_string, .length = on_length, .userdata = plan};
        if (name ? !put_topic(plan, name) : !no_memory(plan)) {
                cli_error(plan->cli, "topic '%s' is not played: %s", channel->topic, plan->problem);
        }
        forget_channel(plan);
}

/* The package of a channel's type, if it has units: then it is a bus's own. */
static void find_package(struct plan *plan) {
        const struct mcap_catalogue *catalogue = &plan->summary->catalogue;

        for (size_t i = 0; !*plan->package && i < catalogue->channel_count; i++) {
                const struct mcap_channel *channel = &catalogue->channels[i];
                const struct mcap_schema *schema = mcap_schema_find(catalogue, channel->schema_id);
                struct mcap_text units;
                size_t length;

                if (decode_described(channel, schema) &&
                    mcap_channel_metadata(channel, "slipring_units", &units)) {
                        length = strcspn(schema->name, "/");
                        if (length < sizeof(plan->package)) {
                                memcpy(plan->package, schema->name, length);
                        }
                }
        }
}

static bool write_schema(struct plan *plan, const char *bus) {
        struct buffer schema = {0};
        char *path = arena_print(&plan->arena, "%s/bus.yaml", plan->directory);
        bool written;

        buffer_print(&schema, "slipring: 1\nbus: %s\nmessages: [.]\ndefaults: {owner: \"%s\"}\n",
                     bus, error_user(geteuid()));
        if (*plan->package) {
                buffer_print(&schema, "package: %s\n", plan->package);
        }
        if (plan->types.length > 0) {
                buffer_print(&schema, "types:\n%s", plan->types.text);
        }
        buffer_print(&schema, "topics:\n%s", plan->topics.text);
        if (!path || schema.failed || plan->types.failed || plan->topics.failed) {
                written = no_memory(plan);
        } else {
                written = write_file(plan, path, schema.text, schema.length);
        }
        buffer_free(&schema);
        return written;
}

int play_schema_write(const struct cli *cli,
                      const struct play_options *options,
                      struct mcap_reader *reader,
                      const char *directory,
                      const char *bus,
                      size_t *ret_topics) {
        struct plan plan = {
                .cli = cli,
                .options = options,
                .reader = reader,
                .summary = mcap_reader_summary(reader),
                .directory = directory,
        };
        int code = CLI_OK;

        find_package(&plan);
        /* Of a topic with several types the last one. */
        for (size_t i = plan.summary->catalogue.channel_count; i > 0; i--) {
                consider(&plan, i - 1);
        }
        *ret_topics = plan.name_count;
        if (plan.name_count == 0) {
                cli_error(cli, "'%s' has no topic that is chosen and can be on a bus",
                          options->path);
                code = CLI_FAILURE;
        } else if (!write_schema(&plan, bus)) {
                cli_error(cli, "%s", plan.problem);
                code = CLI_FAILURE;
        }
        buffer_free(&plan.types);
        buffer_free(&plan.topics);
        arena_free(&plan.arena);
        free(plan.placed);
        free(plan.names);
        free(plan.held);
        return code;
}
