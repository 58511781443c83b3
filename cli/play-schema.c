/*
 * The schema of a bus from a recording.
 *
 * Own types of the bus that was recorded become own types again: their packages and their units
 * stand beside them, so that they have the identity that programs compiled for them ask for. Every
 * other type becomes a message file as ROS 2 has them, which is all that a file of somebody else
 * says. What has no bound there, nor beside the messages, is looked for in them: in a recording of
 * slipring it never changes, and one message says all; in other files it may, and each of them is
 * looked at for the longest.
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

#include <slipring/sample.h>

#include "bus/error.h"
#include "bus/topic.h"
#include "bus/type.h"
#include "cli/live.h"
#include "cli/play-bus.h"
#include "cli/play-lengths.h"
#include "cli/view.h"
#include "schema/buffer.h"
#include "schema/schema.h"
#include "schema/shape.h"

/* A ring is as deep as a second of the topic, within the first of these; but it has the usual depth
 * at least, within the second: room for the longest of everything may be much. */
#define RING_BYTES_MAX (64.0 * 1024 * 1024)
#define RING_BYTES_LIMIT (256.0 * 1024 * 1024)
#define PROGRESS_NS UINT64_C(200000000)

/* A type that stands in the schema, or in a file beside it; as it is on a bus: files differ in
 * comments and blank lines. */
struct placed {
        const char *name;
        const char *text;
        const char *topic; /* that it was met on */
        bool own;
};

/* A topic, and what is known of it. */
struct subject {
        const struct mcap_channel *channel;
        const struct mcap_schema *schema;
        const char *name;
        struct mcap_text units;
        struct mcap_text bounds;
        bool fixed; /* what is not among its bounds never changes */
        bool own;   /* the schema says of its type what it has to */
        bool dropped;
        bool scanned;         /* and not only the first message */
        uint32_t field_count; /* of its type, nested ones each time that they are come to */
        bool loose;           /* something in its type has no bound */
        struct lengths lengths;
};

struct plan {
        const struct cli *cli;
        const struct play_options *options;
        struct reel *reel;
        const struct mcap_summary *summary;
        const char *directory;
        char package[SLIPRING_BUS_NAME_MAX + 1]; /* of the own types; "": none is known */
        struct arena arena;
        struct buffer types;
        struct buffer topics;
        struct placed *placed;
        size_t placed_count;
        struct subject *subjects;
        size_t subject_count;
        struct subject **subject_of; /* by channel */
        size_t text_bytes;           /* of their types */
        struct mcap_error broken;    /* where looking at messages ended */
        struct subject *subject;     /* that is being put */
        size_t topic_count;          /* that stand in the schema */
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

/*
 * What messages hold
 */

static const char none_fits[] = "none of its messages is of its type";

static bool this_subject(const struct mcap_channel *channel, void *context) {
        const struct subject *subject = context;

        return channel == subject->channel;
}

/* At the first that is of its type. */
static bool look_at_one(struct plan *plan, struct subject *subject) {
        struct mcap_error error = {0};
        struct mcap_message message;
        int r;

        if (reel_select(plan->reel, this_subject, subject, 0) < 0) {
                return no_memory(plan);
        }
        do {
                r = reel_next(plan->reel, &message, &error);
        } while (r == 1 && !lengths_add(&subject->lengths, &message) && !live_stopped());
        return r == 1 || impossible(plan, "%s", r < 0 ? error.text : none_fits);
}

static struct subject *subject_of(const struct plan *plan, const struct mcap_channel *channel) {
        return plan->subject_of[channel - plan->summary->catalogue.channels];
}

static bool is_scanned(const struct mcap_channel *channel, void *context) {
        const struct subject *subject = subject_of(context, channel);

        return subject && subject->scanned;
}

static void progress(uint64_t done, uint64_t all, uint64_t *told_ns) {
        uint64_t now = slipring_now_ns();

        if (now - *told_ns > PROGRESS_NS && isatty(STDERR_FILENO)) {
                *told_ns = now;
                fprintf(stderr, "\r\033[Klooking for the longest of what changes: %" PRIu64 " %%",
                        100 * done / all);
                fflush(stderr);
        }
}

/* Once through the files, for all topics that need it. What is behind a damage is not played,
 * either, and it is the player who says so. */
static void look_at_all(struct plan *plan) {
        const struct mcap_catalogue *catalogue = &plan->summary->catalogue;
        uint64_t started_ns = slipring_now_ns(), told_ns = started_ns, done = 0, all = 0;
        struct mcap_message message;
        int r;

        for (size_t i = 0; i < catalogue->channel_count; i++) {
                if (is_scanned(&catalogue->channels[i], plan)) {
                        all += catalogue->channels[i].message_count;
                }
        }
        if (all == 0) {
                return;
        }
        r = reel_select(plan->reel, is_scanned, plan, 0);
        if (r < 0) {
                plan->broken = (struct mcap_error){.code = r, .text = "out of memory"};
                return;
        }
        while (!live_stopped() && reel_next(plan->reel, &message, &plan->broken) == 1) {
                (void) lengths_add(&subject_of(plan, message.channel)->lengths, &message);
                done++;
                progress(done < all ? done : all, all, &told_ns);
        }
        if (told_ns != started_ns) {
                fputs("\r\033[K", stderr);
        }
}

/*
 * Types
 */

static const char *base_name(const char *name) {
        return strrchr(name, '/') + 1;
}

/* A small text may have types that nest each other some times, and so on: more fields than anybody
 * can look at. False: there are more than a type may have. */
static bool
look_at_type(struct plan *plan, struct subject *subject, const struct msg *msg, unsigned depth) {
        for (size_t i = 0; depth <= SLIPRING_NESTING_MAX && i < msg->field_count; i++) {
                const struct msg_field *field = &msg->fields[i];
                const struct decode_type *nested = NULL;

                if (++subject->field_count > SLIPRING_FIELDS_MAX) {
                        return impossible(plan, "its type has too many fields");
                }
                subject->loose |= field->array == MSG_SEQUENCE ||
                                  (field->kind == MSG_KIND_STRING && field->string_bound == 0);
                if (field->kind == SLIPRING_KIND_STRUCT) {
                        nested = decode_type_find(&subject->lengths.decode, field->nested_name);
                }
                if (nested && !look_at_type(plan, subject, nested->msg, depth + 1)) {
                        return false;
                }
        }
        return true;
}

/* May the schema have this as an own type? */
static bool is_own(const struct plan *plan,
                   const struct decode *decode,
                   const struct msg *msg,
                   unsigned depth) {
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
                if (field->kind != SLIPRING_KIND_STRUCT || lengths_builtin(field)) {
                        continue;
                }
                nested = decode_type_find(decode, field->nested_name);
                if (!nested || !is_own(plan, decode, nested->msg, depth + 1)) {
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

/* Remembers one; NULL: no memory. */
static const struct placed *place(struct plan *plan, const struct msg *msg, bool own) {
        struct placed *larger = reallocarray(plan->placed, plan->placed_count + 1, sizeof(*larger));
        char *name = arena_copy(&plan->arena, msg->name, strlen(msg->name));
        struct buffer lines = {0};
        char *text = NULL;

        plan->placed = larger ? larger : plan->placed;
        shape_text_lines(&lines, msg);
        if (!lines.failed) {
                text = arena_copy(&plan->arena, lines.text, lines.length);
        }
        buffer_free(&lines);
        if (!larger || !name || !text) {
                no_memory(plan);
                return NULL;
        }
        larger[plan->placed_count] = (struct placed){
                .name = name, .text = text, .topic = plan->subject->name, .own = own};
        return &larger[plan->placed_count++];
}

/* Says in which line a type is another one than on another topic. */
static bool type_agrees(struct plan *plan, const struct msg *msg, const struct placed *placed) {
        struct buffer lines = {0};
        const char *here, *there = placed->text;
        size_t a, b;
        bool agrees;
        int line = 1;

        shape_text_lines(&lines, msg);
        if (lines.failed) {
                buffer_free(&lines);
                return no_memory(plan);
        }
        here = lines.text;
        a = strcspn(here, "\n");
        b = strcspn(there, "\n");
        /* Each line has something in it, and ends with a newline. */
        while (a > 0 && a == b && memcmp(here, there, a) == 0) {
                here += a + 1;
                there += a + 1;
                a = strcspn(here, "\n");
                b = strcspn(there, "\n");
                line++;
        }
        agrees = a == 0 && b == 0;
        if (!agrees) {
                impossible(plan,
                           "its type %s is another one than on topic '%s': line %d is '%.*s' "
                           "there and '%.*s' here, without comments",
                           msg->name, placed->topic, line, (int) b, there, (int) a, here);
        }
        buffer_free(&lines);
        return agrees;
}

/* Is each type new, or as it was on another topic? */
static bool types_agree(struct plan *plan) {
        const struct decode *decode = &plan->subject->lengths.decode;

        for (size_t i = 0; i < decode->type_count; i++) {
                const struct msg *msg = decode->types[i].msg;
                const struct placed *placed = placed_find(plan, msg->name, plan->subject->own);

                if (!msg_name_check(msg->name)) {
                        return impossible(plan, "'%s' is no name of a type", msg->name);
                }
                if (placed && !type_agrees(plan, msg, placed)) {
                        return false;
                }
        }
        return true;
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
        const char *name = lengths_builtin(field);
        struct mcap_text unit = decode_line(&plan->subject->units, path);

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
                lengths_put_text(&plan->types, (const char *) unit.data, unit.bytes);
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
        if (!place(plan, msg, true)) {
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
                        if (nested && field->kind == SLIPRING_KIND_STRUCT &&
                            !lengths_builtin(field) &&
                            !put_own(plan,
                                     decode_type_find(&plan->subject->lengths.decode,
                                                      field->nested_name),
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
        const struct placed *placed = placed_find(plan, type->msg->name, false);
        char *path;

        if (placed) {
                return true;
        }
        path = arena_print(&plan->arena, "%s/%s.msg", plan->directory, type->msg->name);
        placed = place(plan, type->msg, false);
        if (!path || !placed) {
                return no_memory(plan);
        }
        for (char *slash = path + strlen(plan->directory) + 1; (slash = strchr(slash, '/'));) {
                *slash = '\0';
                (void) mkdir(path, 0700);
                *slash++ = '/';
        }
        return write_file(plan, path, placed->text, strlen(placed->text));
}

/*
 * Topics
 */

static uint32_t depth_of(const struct plan *plan, uint64_t bytes) {
        double seconds = (double) (plan->summary->end_ns - plan->summary->start_ns) / 1e9;
        double rate = seconds > 0 ? (double) plan->subject->channel->message_count / seconds : 0;
        double depth = fmin(ceil(rate) + 1, RING_BYTES_MAX / (double) bytes);
        double least = fmin(SCHEMA_DEPTH_DEFAULT, RING_BYTES_LIMIT / (double) bytes);

        return (uint32_t) fmin(fmax(fmax(depth, least), SCHEMA_DEPTH_MIN), SCHEMA_DEPTH_MAX);
}

/* Has a schema room for so many lines of a topic? */
static bool section_fits(const struct buffer *lines) {
        size_t count = 0;

        for (size_t i = 0; i < lines->length; i++) {
                count += lines->text[i] == '\n';
        }
        return count <= SCHEMA_VALUES_MAX;
}

static void put_section(struct plan *plan, const char *title, const struct buffer *lines) {
        if (lines->length > 0) {
                buffer_print(&plan->topics, "    %s:\n%s", title, lines->text);
        }
        plan->topics.failed |= lines->failed;
}

static bool put_topic(struct plan *plan, const struct lengths_lines *lines) {
        const struct subject *subject = plan->subject;
        const struct decode *decode = &subject->lengths.decode;
        bool done;

        if (!subject->own && !(section_fits(&lines->constants) && section_fits(&lines->lengths) &&
                               section_fits(&lines->bounds))) {
                return impossible(plan, "it has more than %u strings or sequences without a bound",
                                  SCHEMA_VALUES_MAX);
        }
        done = types_agree(plan) && (!subject->own || put_own(plan, &decode->types[0], ""));
        for (size_t i = 0; done && !subject->own && i < decode->type_count; i++) {
                done = put_message(plan, &decode->types[i]);
        }
        if (!done) {
                return false;
        }
        buffer_print(&plan->topics, "  %s:\n    type: %s\n    depth: %" PRIu32 "\n", subject->name,
                     subject->own ? base_name(subject->schema->name) : subject->schema->name,
                     depth_of(plan, lines->bytes));
        if (!subject->own) {
                put_section(plan, "const", &lines->constants);
                put_section(plan, "lengths", &lines->lengths);
                put_section(plan, "bounds", &lines->bounds);
        }
        plan->topic_count++;
        return true;
}

static void drop(struct plan *plan, struct subject *subject) {
        cli_error(plan->cli, "topic '%s' is not played: %s", subject->channel->topic,
                  plan->problem);
        subject->dropped = true;
}

/* With all that is known by now. */
static bool consider(struct plan *plan) {
        struct subject *subject = plan->subject;
        struct slipring_error error = {0};
        struct lengths_lines lines = {0};
        bool done;

        if (subject->lengths.messages == 0) {
                return impossible(plan, "%s", plan->broken.code ? plan->broken.text : none_fits);
        }
        if (lengths_write(&subject->lengths,
                          subject->fixed && !subject->own ? &subject->bounds : NULL, &lines,
                          &error) < 0) {
                done = impossible(plan, "%s", error.text);
        } else {
                done = put_topic(plan, &lines);
        }
        buffer_free(&lines.constants);
        buffer_free(&lines.lengths);
        buffer_free(&lines.bounds);
        return done;
}

/* Comments and blank lines make no other type. */
static bool same_schema(const struct play_options *options,
                        const struct mcap_schema *a,
                        const struct mcap_schema *b) {
        char *left, *right;
        bool same;

        if (!a || !b || strcmp(a->name, b->name) != 0) {
                return a == b;
        }
        if (a->data_bytes == b->data_bytes && memcmp(a->data, b->data, a->data_bytes) == 0) {
                return true;
        }
        left = options->canonical(options->userdata, a->name, (const char *) a->data,
                                  a->data_bytes);
        right = options->canonical(options->userdata, b->name, (const char *) b->data,
                                   b->data_bytes);
        same = left && right && !strcmp(left, right);
        free(left);
        free(right);
        return same;
}

static bool open_subject(struct plan *plan, struct subject *subject) {
        struct slipring_error error = {0};
        const struct msg *msg;

        if (topic_name_check(subject->name, &error) < 0) {
                return impossible(plan, "%s; --remap gives it another name", error.text);
        }
        if (!decode_described(subject->channel, subject->schema)) {
                return impossible(plan, "it is not CDR that ros2msg describes");
        }
        /* All of them are kept until the last message was looked at. */
        plan->text_bytes += subject->schema->data_bytes;
        if (plan->text_bytes > MSG_BYTES_MAX) {
                return impossible(plan, "the types of all topics have more than %u MiB",
                                  MSG_BYTES_MAX >> 20);
        }
        if (lengths_open(&subject->lengths, subject->schema) < 0) {
                return impossible(plan, "its type %s cannot be read", subject->schema->name);
        }
        msg = subject->lengths.decode.types[0].msg;
        if (!look_at_type(plan, subject, msg, 1)) {
                return false;
        }
        subject->own = is_own(plan, &subject->lengths.decode, msg, 1);
        subject->scanned = subject->loose && !subject->fixed;
        return subject->scanned || look_at_one(plan, subject);
}

/* "slipring 0.1.0"; before it had a version "slipring". */
static bool is_ours(const char *library) {
        return !strncmp(library, "slipring", 8) && (!library[8] || library[8] == ' ');
}

/* A channel becomes a topic, or is one more of it. */
static bool choose_subject(struct plan *plan, size_t index) {
        const struct mcap_catalogue *catalogue = &plan->summary->catalogue;
        const struct play_options *options = plan->options;
        const struct mcap_channel *channel = &catalogue->channels[index];
        const struct mcap_schema *schema = mcap_schema_find(catalogue, channel->schema_id);
        const struct mcap_text none = {.data = (const uint8_t *) "", .bytes = 0};
        struct subject *subject;
        const char *name;

        if (channel->message_count == 0 || !options->wanted(options->userdata, channel->topic)) {
                return true;
        }
        name = arena_print(&plan->arena, "%s",
                           view_topic_name(options->rename(options->userdata, channel->topic)));
        for (size_t i = 0; name && i < plan->subject_count; i++) {
                struct subject *other = &plan->subjects[i];
                bool same =
                        !strcmp(other->name, name) && same_schema(options, other->schema, schema);

                if (same || (!strcmp(other->name, name) && !other->dropped)) {
                        plan->subject_of[index] = same ? other : NULL;
                        return true;
                }
        }
        if (!name || plan->subject_count == SCHEMA_TOPICS_MAX) {
                return name ? impossible(plan,
                                         "there are more than %u topics: choose some "
                                         "with --topics",
                                         SCHEMA_TOPICS_MAX)
                            : no_memory(plan);
        }
        subject = &plan->subjects[plan->subject_count++];
        plan->subject_of[index] = subject;
        *subject = (struct subject){
                .channel = channel, .schema = schema, .name = name, .units = none, .bounds = none};
        (void) mcap_channel_metadata(channel, "slipring_units", &subject->units);
        subject->fixed = mcap_channel_metadata(channel, "slipring_bounds", &subject->bounds) ||
                         is_ours(plan->summary->library);
        if (!open_subject(plan, subject)) {
                drop(plan, subject);
        }
        return true;
}

/* Of a topic with several types the last one. */
static bool choose_subjects(struct plan *plan) {
        size_t count = plan->summary->catalogue.channel_count;
        bool chosen = true;

        plan->subjects = calloc((count < SCHEMA_TOPICS_MAX ? count : SCHEMA_TOPICS_MAX) + 1,
                                sizeof(*plan->subjects));
        plan->subject_of = calloc(count + 1, sizeof(struct subject *));
        if (!plan->subjects || !plan->subject_of) {
                return no_memory(plan);
        }
        for (size_t i = count; chosen && i > 0; i--) {
                chosen = choose_subject(plan, i - 1);
        }
        return chosen;
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

static int finish(struct plan *plan, const char *bus) {
        if (plan->topic_count == 0) {
                cli_error(plan->cli, "'%s' has no topic that is chosen and can be on a bus",
                          plan->options->path);
                return CLI_FAILURE;
        }
        if (!write_schema(plan, bus)) {
                cli_error(plan->cli, "%s", plan->problem);
                return CLI_FAILURE;
        }
        return CLI_OK;
}

int play_schema_write(const struct cli *cli,
                      const struct play_options *options,
                      struct reel *reel,
                      const char *directory,
                      const char *bus,
                      size_t *ret_topics) {
        struct plan plan = {
                .cli = cli,
                .options = options,
                .reel = reel,
                .summary = reel_summary(reel),
                .directory = directory,
        };
        int code = CLI_OK;

        find_package(&plan);
        if (!choose_subjects(&plan)) {
                cli_error(cli, "'%s': %s", options->path, plan.problem);
                code = CLI_FAILURE;
        } else {
                look_at_all(&plan);
        }
        for (size_t i = 0; code == CLI_OK && !live_stopped() && i < plan.subject_count; i++) {
                plan.subject = &plan.subjects[i];
                if (!plan.subject->dropped && !consider(&plan)) {
                        drop(&plan, plan.subject);
                }
        }
        *ret_topics = plan.topic_count;
        if (code == CLI_OK && !live_stopped()) {
                code = finish(&plan, bus);
        }
        buffer_free(&plan.types);
        buffer_free(&plan.topics);
        arena_free(&plan.arena);
        free(plan.placed);
        for (size_t i = 0; i < plan.subject_count; i++) {
                lengths_free(&plan.subjects[i].lengths);
        }
        free(plan.subjects);
        free(plan.subject_of);
        return code;
}
