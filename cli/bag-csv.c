/*
 * slipring bag csv: messages as lines.
 *
 * Each line has the columns of the longest sequences. How long they may be stands in the file or
 * in the text of the type; how long they are is known once all messages were looked at. So a file
 * is read twice if there are any.
 */

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "bus/type.h"
#include "cli/bag.h"
#include "cli/decode.h"
#include "subscribers/render.h"

/* Bounds that would make more columns than this are not taken at their word. */
#define BOUNDED_MAX (UINT64_C(1) << 20)
/* And no table has more than this: of lengths in lengths a small file has any number. */
#define COLUMNS_MAX (UINT64_C(1) << 26)
/* Of different paths. */
#define PATHS_MAX 4096u
#define NESTING_MAX 32

/* The sequences of one path, over all messages. */
struct columns {
        char *path; /* "wheels.slips": that of the field, without indexes */
        uint64_t seen;
        uint64_t most; /* that get columns */
        uint64_t each; /* columns of an element */
};

struct csv {
        struct bag *bag;
        const struct mcap_catalogue *catalogue;
        const struct mcap_channel *channel; /* the first of the topic */
        struct decode decode;

        struct mcap_text bounds; /* what a recorder said of them */
        bool bounds_known;       /* what is not among them never changes */
        bool bounded;            /* columns up to the bounds */
        struct columns *sequences;
        size_t sequence_count;
        size_t last;        /* that was found: they come in the same order in each message */
        bool looking;       /* for lengths; nothing is printed */
        const char *failed; /* why there is no table */

        char path[1024];  /* of the column that is named */
        char plain[1024]; /* the same without indexes */
        uint64_t visits;
};

/*
 * Lengths
 */

/* NULL, and failed: there are too many, or no memory. */
static struct columns *columns_at(struct csv *csv, const char *path) {
        struct columns *larger;
        char *copy;

        for (size_t i = 0; i < csv->sequence_count; i++) {
                size_t at = (csv->last + i) % csv->sequence_count;

                if (!strcmp(csv->sequences[at].path, path)) {
                        csv->last = at;
                        return &csv->sequences[at];
                }
        }
        if (csv->sequence_count == PATHS_MAX) {
                csv->failed = "there are too many sequences in it";
                return NULL;
        }
        copy = strdup(path);
        larger = reallocarray(csv->sequences, csv->sequence_count + 1, sizeof(*larger));
        csv->sequences = larger ? larger : csv->sequences;
        if (!copy || !larger) {
                free(copy);
                csv->failed = "out of memory";
                return NULL;
        }
        larger += csv->sequence_count++;
        *larger = (struct columns){.path = copy};
        return larger;
}

/* Of the sequence that is walked over. */
static struct columns *columns_here(struct csv *csv) {
        char path[sizeof(csv->decode.path)];

        decode_plain(csv->decode.path, path);
        return columns_at(csv, path);
}

static void on_length(void *userdata, const struct msg_field *field, uint32_t count) {
        struct csv *csv = userdata;
        struct columns *sequence = csv->looking ? columns_here(csv) : NULL;

        (void) field;
        if (sequence && count > sequence->seen) {
                sequence->seen = count;
        }
}

/*
 * Columns, by the type
 */

static bool is_pad(const struct msg_field *field) {
        return field->kind == SLIPRING_KIND_UINT8 && type_is_pad(field->name);
}

static uint64_t columns_of(struct csv *csv, const struct msg *msg, bool names, unsigned depth);

/* How many columns a value has, one element if there are several; @names: prints theirs. */
static uint64_t
value_columns(struct csv *csv, const struct msg_field *field, bool names, unsigned depth) {
        if (field->kind == SLIPRING_KIND_STRUCT) {
                return columns_of(csv, decode_type_find(&csv->decode, field->nested_name)->msg,
                                  names, depth + 1);
        }
        if (names) {
                printf(",%s", csv->path);
        }
        return 1;
}

/* Elements that get columns. */
static uint64_t most_of(struct csv *csv, const struct msg_field *field) {
        struct columns *sequence;
        uint64_t bound = 0;

        if (field->array == MSG_ARRAY) {
                return field->length;
        }
        sequence = columns_at(csv, csv->plain);
        if (!sequence) {
                return 0;
        }
        if (csv->bounded && csv->bounds_known) {
                bound = decode_bound(&csv->bounds, "sequence", csv->plain);
        } else if (csv->bounded && field->array == MSG_BOUNDED) {
                bound = field->length;
        }
        sequence->most = bound > sequence->seen ? bound : sequence->seen;
        return sequence->most;
}

static uint64_t
array_columns(struct csv *csv, const struct msg_field *field, bool names, unsigned depth) {
        uint64_t most = most_of(csv, field), each = 0;
        size_t length = strlen(csv->path);
        struct columns *sequence;

        csv->visits = names ? 0 : csv->visits;
        if (most > 0) {
                each = value_columns(csv, field, false, depth);
        }
        for (uint64_t i = 0; names && each > 0 && i < most; i++) {
                (void) snprintf(csv->path + length, sizeof(csv->path) - length, "[%" PRIu64 "]", i);
                (void) value_columns(csv, field, true, depth);
        }
        csv->path[length] = '\0';
        sequence = field->array == MSG_ARRAY ? NULL : columns_at(csv, csv->plain);
        if (sequence) {
                sequence->each = each;
        }
        return most && each > COLUMNS_MAX / most ? COLUMNS_MAX + 1 : each * most;
}

static uint64_t columns_of(struct csv *csv, const struct msg *msg, bool names, unsigned depth) {
        size_t length = strlen(csv->path), plain = strlen(csv->plain);
        const char *dot = plain ? "." : "";
        uint64_t columns = 0;

        for (size_t i = 0; depth < NESTING_MAX && i < msg->field_count; i++) {
                const struct msg_field *field = &msg->fields[i];

                /* Types in types have any number of fields, too. */
                if (csv->failed || columns > COLUMNS_MAX || ++csv->visits > COLUMNS_MAX) {
                        return COLUMNS_MAX + 1;
                }
                if (is_pad(field)) {
                        continue;
                }
                (void) snprintf(csv->path + length, sizeof(csv->path) - length, "%s%s", dot,
                                field->name);
                (void) snprintf(csv->plain + plain, sizeof(csv->plain) - plain, "%s%s", dot,
                                field->name);
                columns += field->array == MSG_SINGLE ? value_columns(csv, field, names, depth)
                                                      : array_columns(csv, field, names, depth);
                csv->path[length] = csv->plain[plain] = '\0';
        }
        return columns;
}

/* False, with a message printed: there are too many. */
static bool find_columns(struct csv *csv) {
        const struct msg *msg = csv->decode.types[0].msg;

        csv->bounded = true;
        if (columns_of(csv, msg, false, 0) > BOUNDED_MAX && !csv->failed) {
                csv->bounded = false;
                csv->visits = 0;
                if (columns_of(csv, msg, false, 0) > COLUMNS_MAX) {
                        csv->failed = "the lengths of its sequences make too many columns";
                }
        }
        if (csv->failed) {
                cli_error(csv->bag->cli, "topic '%s' of '%s' is no table: %s", csv->channel->topic,
                          csv->bag->path, csv->failed);
        }
        return !csv->failed;
}

/*
 * Values
 */

static void
on_string(void *userdata, const struct msg_field *field, const uint8_t *text, size_t bytes) {
        const struct csv *csv = userdata;

        (void) field;
        if (!csv->looking) {
                putchar(',');
                render_csv_text(text, (uint32_t) bytes, stdout);
        }
}

static void on_number(void *userdata, const struct msg_field *field, const uint8_t *at) {
        const struct csv *csv = userdata;

        if (!csv->looking && !is_pad(field)) {
                putchar(',');
                render_csv_number(field->kind, at, stdout);
        }
}

/* Columns of others' elements stay empty. */
static void on_end(void *userdata, const struct msg_field *field, uint32_t count) {
        struct csv *csv = userdata;
        const struct columns *sequence = csv->looking ? NULL : columns_here(csv);

        (void) field;
        for (uint64_t i = count; sequence && i < sequence->most; i++) {
                for (uint64_t column = 0; column < sequence->each; column++) {
                        putchar(',');
                }
        }
}

/*
 * All of them
 */

static const char *bare(const char *topic) {
        return topic + (*topic == '/');
}

/* Of the same topic and type as the one that is printed: a file has a channel for each publisher,
 * if its recorder knew them. */
static bool alike(const struct mcap_channel *channel, void *context) {
        const struct csv *csv = context;
        const struct mcap_schema *ours, *theirs;

        if (channel == csv->channel) {
                return true;
        }
        ours = mcap_schema_find(csv->catalogue, csv->channel->schema_id);
        theirs = mcap_schema_find(csv->catalogue, channel->schema_id);
        return !strcmp(bare(channel->topic), bare(csv->channel->topic)) &&
               !strcmp(channel->encoding, csv->channel->encoding) && ours && theirs &&
               !strcmp(ours->name, theirs->name) && !strcmp(ours->encoding, theirs->encoding) &&
               ours->data_bytes == theirs->data_bytes &&
               memcmp(ours->data, theirs->data, ours->data_bytes) == 0;
}

static int bad_message(const struct csv *csv, const struct mcap_message *read) {
        bool plain = read->bytes < 4 || (read->data[0] == 0 && read->data[1] <= 1);
        char why[64] = "is not of its type";

        if (!plain) {
                snprintf(why, sizeof(why), "is not plain CDR: its encapsulation is 0x%02x%02x",
                         read->data[0], read->data[1]);
        }
        cli_error(csv->bag->cli, "'%s': message %" PRIu32 " of topic '%s' %s", csv->bag->path,
                  read->sequence, csv->channel->topic, why);
        return CLI_FAILURE;
}

static bool select_all(struct csv *csv, struct mcap_reader *reader) {
        if (mcap_reader_select(reader, alike, csv, 0, UINT64_MAX) < 0) {
                cli_error(csv->bag->cli, "out of memory");
                return false;
        }
        return true;
}

static bool has_sequences(const struct csv *csv) {
        for (size_t i = 0; i < csv->decode.type_count; i++) {
                const struct msg *msg = csv->decode.types[i].msg;

                for (size_t j = 0; j < msg->field_count; j++) {
                        if (msg->fields[j].array > MSG_ARRAY) {
                                return true;
                        }
                }
        }
        return false;
}

/* Up to the first message that cannot be printed. */
static void look_at_all(struct csv *csv, struct mcap_reader *reader) {
        struct mcap_message read;

        csv->looking = true;
        while (mcap_reader_next(reader, &read, NULL) == 1 && decode_walk(&csv->decode, &read)) {
        }
        csv->looking = false;
}

static int print_all(struct csv *csv, struct mcap_reader *reader) {
        struct mcap_error error = {0};
        struct mcap_message read;
        bool first = true, whole;
        int r;

        while ((r = mcap_reader_next(reader, &read, &error)) == 1) {
                if (first) {
                        fputs("time,sequence", stdout);
                        (void) columns_of(csv, csv->decode.types[0].msg, true, 0);
                        putchar('\n');
                        first = false;
                }
                printf("%" PRIu64 ".%09" PRIu64 ",%" PRIu32, read.log_time_ns / 1000000000,
                       read.log_time_ns % 1000000000, read.sequence);
                whole = decode_walk(&csv->decode, &read);
                putchar('\n');
                if (!whole) {
                        return bad_message(csv, &read);
                }
        }
        if (r < 0) {
                cli_error(csv->bag->cli, "%s", error.text);
        }
        return r < 0 ? CLI_FAILURE : CLI_OK;
}

static int print_table(struct csv *csv, struct mcap_reader *reader) {
        csv->bounds_known = mcap_channel_metadata(csv->channel, "slipring_bounds", &csv->bounds);
        if (!csv->bounds_known) {
                csv->bounds = (struct mcap_text){.data = (const uint8_t *) "", .bytes = 0};
        }
        if (!select_all(csv, reader)) {
                return CLI_FAILURE;
        }
        if (has_sequences(csv)) {
                look_at_all(csv, reader);
                if (!select_all(csv, reader)) {
                        return CLI_FAILURE;
                }
        }
        return find_columns(csv) ? print_all(csv, reader) : CLI_FAILURE;
}

/* The first channel of that name that has messages. False, with a message printed: there is none.
 */
static bool choose(struct csv *csv) {
        const char *topic = bare(csv->bag->topic);

        for (size_t i = 0; i < csv->catalogue->channel_count; i++) {
                const struct mcap_channel *channel = &csv->catalogue->channels[i];

                if (strcmp(bare(channel->topic), topic) != 0) {
                        continue;
                }
                if (csv->channel && csv->channel->message_count > 0 && channel->message_count > 0 &&
                    !alike(channel, csv)) {
                        cli_error(csv->bag->cli,
                                  "topic '%s' has several types in '%s': it was replaced while it "
                                  "was recorded; its first one is printed",
                                  topic, csv->bag->path);
                        break;
                }
                if (!csv->channel ||
                    (csv->channel->message_count == 0 && channel->message_count > 0)) {
                        csv->channel = channel;
                }
        }
        if (!csv->channel) {
                cli_error(csv->bag->cli, "'%s' has no topic '%s'; slipring bag info lists them",
                          csv->bag->path, topic);
        }
        return csv->channel;
}

/* Has the text all types that it uses? */
static bool is_complete(const struct csv *csv, const char *type) {
        for (size_t i = 0; i < csv->decode.type_count; i++) {
                const struct msg *msg = csv->decode.types[i].msg;

                for (size_t j = 0; j < msg->field_count; j++) {
                        const struct msg_field *field = &msg->fields[j];

                        if (field->kind == SLIPRING_KIND_STRUCT &&
                            !decode_type_find(&csv->decode, field->nested_name)) {
                                cli_error(csv->bag->cli,
                                          "'%s': the text of the type %s does not have %s, which "
                                          "the field '%s' of %s is",
                                          csv->bag->path, type, field->nested_name, field->name,
                                          msg->name);
                                return false;
                        }
                }
        }
        return true;
}

static int print_channel(struct csv *csv, struct mcap_reader *reader) {
        const struct mcap_schema *schema;
        int r;

        csv->catalogue = &mcap_reader_summary(reader)->catalogue;
        if (!choose(csv)) {
                return CLI_FAILURE;
        }
        schema = mcap_schema_find(csv->catalogue, csv->channel->schema_id);
        if (!decode_described(csv->channel, schema)) {
                cli_error(csv->bag->cli, "topic '%s' of '%s' is not CDR that ros2msg describes",
                          csv->channel->topic, csv->bag->path);
                return CLI_FAILURE;
        }
        r = decode_types(&csv->decode, schema);
        if (r < 0) {
                diagnostics_print(&csv->decode.diagnostics, stderr, false);
                cli_error(csv->bag->cli, "'%s': the type %s cannot be read: %s", csv->bag->path,
                          schema->name, r == -ENOMEM ? "out of memory" : "see above");
                return CLI_FAILURE;
        }
        return is_complete(csv, schema->name) ? print_table(csv, reader) : CLI_FAILURE;
}

int bag_csv(struct bag *bag) {
        struct csv csv = {.bag = bag,
                          .decode = {.number = on_number,
                                     .string = on_string,
                                     .length = on_length,
                                     .end = on_end,
                                     .userdata = &csv,
                                     .big_endian = true}};
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
        decode_free(&csv.decode);
        while (csv.sequence_count > 0) {
                free(csv.sequences[--csv.sequence_count].path);
        }
        free(csv.sequences);
        return code;
}
