/*
 * slipring bag csv: messages as lines.
 */

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "bus/type.h"
#include "cli/bag.h"
#include "cli/decode.h"
#include "subscribers/render.h"

struct csv {
        struct bag *bag;
        const struct mcap_catalogue *catalogue;
        const struct mcap_channel *channel; /* the first of the topic */
        struct decode decode;
        bool names; /* print names of columns and not values */
        size_t columns;
};

/*
 * Values
 */

static void column(struct csv *csv) {
        putchar(',');
        csv->columns++;
        if (csv->names) {
                fputs(csv->decode.path, stdout);
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

static void
on_string(void *userdata, const struct msg_field *field, const uint8_t *text, size_t bytes) {
        struct csv *csv = userdata;

        (void) field;
        column(csv);
        if (!csv->names) {
                print_string(text, bytes);
        }
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

static void on_number(void *userdata, const struct msg_field *field, const uint8_t *at) {
        struct csv *csv = userdata;

        if (field->kind == SLIPRING_KIND_UINT8 && type_is_pad(field->name)) {
                return;
        }
        column(csv);
        if (!csv->names) {
                print_number(field->kind, at);
        }
}

/* One line, of names or of values; false: the message ends in the middle. */
static bool line(struct csv *csv, const struct mcap_message *read, bool names) {
        bool whole;

        csv->names = names;
        csv->columns = 0;
        if (names) {
                fputs("time,sequence", stdout);
        } else {
                printf("%" PRIu64 ".%09" PRIu64 ",%" PRIu32, read->log_time_ns / 1000000000,
                       read->log_time_ns % 1000000000, read->sequence);
        }
        whole = decode_walk(&csv->decode, read);
        putchar('\n');
        return whole;
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

        if (mcap_reader_select(reader, alike, csv, 0, UINT64_MAX) < 0) {
                cli_error(csv->bag->cli, "out of memory");
                return CLI_FAILURE;
        }
        while ((r = mcap_reader_next(reader, &read, &error)) == 1) {
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
        return print_all(csv, reader);
}

int bag_csv(struct bag *bag) {
        struct csv csv = {.bag = bag,
                          .decode = {.number = on_number, .string = on_string, .userdata = &csv}};
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
        return code;
}
