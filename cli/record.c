/*
 * slipring record: topics into an MCAP file.
 */

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <regex.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "bus/topic.h"
#include "bus/type.h"
#include "cli/json.h"
#include "cli/live.h"
#include "cli/table.h"
#include "schema/buffer.h"
#include "schema/msg.h"

#include "subscribers/record/record.h"
#include "subscribers/selection.h"

struct record {
        struct cli *cli;
        const char *output;
        const char *expression, *excluded; /* NULL: none */
        const char *compression;
        const char *since, *duration;
        bool all;
        double split_seconds;
        uint64_t split_bytes;

        char **topics;
        int topic_count;
        regex_t matches, excludes; /* if the expression is not NULL */
        char bus[160];
        char *name;
        char hash[MSG_HASH_BYTES];
        const struct slipring_type *type; /* that is described */
        struct buffer units, bounds;
        const char *pairs[7];
        bool line; /* standard error has a progress line */
};

/* Names of ROS have a slash in front, and so may expressions: ^imu and ^/imu are the same. */
static bool matches(const regex_t *expression, const char *topic) {
        char name[SLIPRING_TOPIC_NAME_MAX + 2];

        snprintf(name, sizeof(name), "/%s", topic);
        return regexec(expression, name + 1, 0, NULL, 0) == 0 ||
               regexec(expression, name, 0, NULL, 0) == 0;
}

static bool wanted(void *userdata, const char *topic) {
        const struct record *record = userdata;
        bool any = record->topic_count == 0 && !record->expression;

        for (int i = 0; !any && i < record->topic_count; i++) {
                any = !strcmp(view_topic_name(record->topics[i]), topic);
        }
        if (!any && record->expression) {
                any = matches(&record->matches, topic);
        }
        return any && (!record->excluded || !matches(&record->excludes, topic));
}

/* "PATH UNIT" for each field that has one, and "sequence PATH ELEMENTS" or "string PATH BYTES" for
 * each that only has a bound: ros2msg does not say the first, and not always the others. */
static void
put_field(void *userdata, const char *path, const struct slipring_field *field, bool element) {
        struct record *record = userdata;

        /* Strings that never change have their text there, and elements the unit of their sequence.
         */
        if (!element && field->unit[0] && field->kind != SLIPRING_KIND_STRING) {
                buffer_print(&record->units, "%s %s\n", path, field->unit);
        }
        if (field->kind == SLIPRING_KIND_TEXT) {
                buffer_print(&record->bounds, "string %s %u\n", path, field->element_bytes - 1);
        } else if (field->kind == SLIPRING_KIND_SEQUENCE) {
                buffer_print(&record->bounds, "sequence %s %u\n", path,
                             selection_count(record->type, field));
        }
}

/* The type hash as rosbag2 has it, units and bounds. A file without them is less informative, not
 * less whole. */
static const char *const *describe(void *userdata, const struct slipring_type *type) {
        struct record *record = userdata;
        size_t used = 0;

        if (msg_text_hash(type->name, type->text, record->hash) == 0) {
                record->pairs[used++] = "topic_type_hash";
                record->pairs[used++] = record->hash;
        }
        buffer_free(&record->units);
        buffer_free(&record->bounds);
        record->type = type;
        if (selection_paths(type, put_field, record) < 0) {
                record->units.failed = true;
        }
        if (record->units.length > 0 && !record->units.failed) {
                record->pairs[used++] = "slipring_units";
                record->pairs[used++] = record->units.text;
        }
        /* That there is none says that what has a bound in the text never changes here. */
        if ((record->bounds.length > 0 || strstr(type->text, "<=")) && !record->bounds.failed &&
            !record->units.failed) {
                record->pairs[used++] = "slipring_bounds";
                record->pairs[used++] = record->bounds.length > 0 ? record->bounds.text : "";
        }
        record->pairs[used] = NULL;
        return record->pairs;
}

/*
 * Telling
 */

static void line_clear(struct record *record) {
        if (record->line) {
                fputs("\r\033[K", stderr);
                record->line = false;
        }
}

static void on_note(void *userdata, const char *text) {
        struct record *record = userdata;

        line_clear(record);
        cli_error(record->cli, "%s", text);
}

static void print_line(struct record *record, const struct record_state *state) {
        char size[32];

        line_clear(record);
        fprintf(stderr,
                "recording %s: %.0f s, %zu topic%s, %" PRIu64 " samples, %" PRIu64 " missed, %s",
                state->files[state->file_count - 1], (double) state->elapsed_ns / 1e9,
                state->topic_count, state->topic_count == 1 ? "" : "s", state->samples,
                state->missed, cli_size(size, state->bytes));
        fflush(stderr);
        record->line = true;
}

static int by_name(const void *left, const void *right) {
        const struct record_topic *a = left, *b = right;

        return strcmp(a->name, b->name);
}

static void
print_table(const struct record *record, const struct record_topic *topics, size_t count) {
        struct table table = {.align = "llrr"};

        table_cell(&table, "TOPIC");
        table_cell(&table, "TYPE");
        table_cell(&table, "SAMPLES");
        table_cell(&table, "MISSED");
        for (size_t i = 0; i < count; i++) {
                table_cell(&table, "%s", topics[i].name);
                table_cell(&table, "%s", topics[i].type_name);
                table_cell(&table, "%" PRIu64, topics[i].samples);
                table_cell(&table, "%" PRIu64, topics[i].missed);
        }
        table_print(&table, stdout, record->cli->colour);
        table_free(&table);
}

static void print_summary(const struct record *record,
                          const struct record_state *state,
                          const struct record_topic *topics) {
        char size[32];

        if (state->topic_count > 0) {
                print_table(record, topics, state->topic_count);
        }
        printf("%" PRIu64 " samples in %.1f s, %" PRIu64 " missed, %s\n",
               state->samples - state->lost, (double) state->elapsed_ns / 1e9, state->missed,
               cli_size(size, state->bytes));
        if (state->lost) {
                printf("%" PRIu64 " more did not fit on the disk\n", state->lost);
        }
        for (size_t i = 0; i < state->file_count; i++) {
                puts(state->files[i]);
        }
}

static void print_json(const struct record_state *state, const struct record_topic *topics) {
        struct json json = {.out = stdout};

        json_open(&json, NULL, '{');
        json_open(&json, "files", '[');
        for (size_t i = 0; i < state->file_count; i++) {
                json_text(&json, NULL, state->files[i]);
        }
        json_close(&json);
        json_real(&json, "seconds", (double) state->elapsed_ns / 1e9);
        json_unsigned(&json, "samples", state->samples - state->lost);
        json_unsigned(&json, "missed", state->missed);
        json_unsigned(&json, "lost", state->lost);
        json_unsigned(&json, "bytes", state->bytes);
        json_open(&json, "topics", '[');
        for (size_t i = 0; i < state->topic_count; i++) {
                json_open(&json, NULL, '{');
                json_text(&json, "name", topics[i].name);
                json_text(&json, "type", topics[i].type_name);
                json_unsigned(&json, "samples", topics[i].samples);
                json_unsigned(&json, "missed", topics[i].missed);
                json_bool(&json, "readable", !topics[i].unreadable);
                json_close(&json);
        }
        json_close(&json);
        json_close(&json);
}

static void on_progress(void *userdata, const struct record_state *state, bool last) {
        struct record *record = userdata;
        struct record_topic *topics;

        if (!last) {
                if (isatty(STDERR_FILENO)) {
                        print_line(record, state);
                }
                return;
        }
        line_clear(record);
        topics = calloc(state->topic_count + 1, sizeof(*topics));
        if (!topics) {
                cli_error(record->cli, "out of memory");
                return;
        }
        if (state->topic_count > 0) {
                memcpy(topics, state->topics, state->topic_count * sizeof(*topics));
                qsort(topics, state->topic_count, sizeof(*topics), by_name);
        }
        if (record->cli->json) {
                print_json(state, topics);
        } else {
                print_summary(record, state, topics);
        }
        free(topics);
        live_flush();
}

/*
 * What is asked for
 */

static bool
compile(const struct record *record, const char *option, const char *text, regex_t *to) {
        char why[200];
        int r = regcomp(to, text, REG_EXTENDED | REG_NOSUB);

        if (r != 0) {
                regerror(r, to, why, sizeof(why));
                cli_error(record->cli, "%s '%s': not a regular expression: %s", option, text, why);
        }
        return r == 0;
}

static bool compression_of(const struct record *record, enum mcap_compression *ret_compression) {
        *ret_compression = MCAP_COMPRESSION_NONE;
        if (!strcmp(record->compression, "none")) {
                return true;
        }
        while (++*ret_compression < MCAP_COMPRESSION_COUNT) {
                if (!strcmp(record->compression, mcap_compression_name(*ret_compression))) {
                        return true;
                }
        }
        cli_error(record->cli, "--compression %s: must be zstd, lz4 or none", record->compression);
        return false;
}

/* A directory is none, nor is a file of an ending only, which nobody would see. */
static bool names_file(const char *output) {
        const char *slash = strrchr(output, '/'), *name = slash ? slash + 1 : output;

        return *name && strcmp(name, ".") != 0 && strcmp(name, "..") != 0 &&
               strcmp(name, RECORD_SUFFIX) != 0;
}

static bool check(const struct record *record, struct record_options *options) {
        if (record->all && (record->topic_count > 0 || record->expression)) {
                cli_error(record->cli, "--all excludes names of topics and --regex");
                return false;
        }
        if (record->output && !names_file(record->output)) {
                cli_error(record->cli, "--output '%s': must end in the name of a file",
                          record->output);
                return false;
        }
        if (!compression_of(record, &options->compression)) {
                return false;
        }
        if (!cli_span(record->cli, "--since", record->since, &options->since_ns) ||
            !cli_span(record->cli, "--duration", record->duration, &options->duration_ns)) {
                return false;
        }
        if (record->split_seconds > 0 &&
            (record->split_seconds < 0.1 || record->split_seconds > 1e9)) {
                cli_error(record->cli, "--max-bag-duration %g: must be from 0.1 to 1e9 seconds",
                          record->split_seconds);
                return false;
        }
        options->split_ns = (uint64_t) (record->split_seconds * 1e9);
        options->split_bytes = record->split_bytes;
        return true;
}

/* The file's name without its ending: as given, or of the bus and the time of day. */
static int set_name(struct record *record) {
        const char *bus = strchr(record->bus, '/');
        time_t now = time(NULL);
        struct tm parts;
        char clock[32];
        size_t length;

        if (!record->output) {
                localtime_r(&now, &parts);
                strftime(clock, sizeof(clock), "%Y_%m_%d-%H_%M_%S", &parts);
                return asprintf(&record->name, "%s_%s", bus ? bus + 1 : record->bus, clock);
        }
        length = strlen(record->output);
        if (record_ends_in(record->output, RECORD_SUFFIX)) {
                length -= strlen(RECORD_SUFFIX);
        }
        return asprintf(&record->name, "%.*s", (int) length, record->output);
}

/* Replaced just now is no reason against it: its successor is found. */
static bool may_read(const struct layout_entry *entry, struct slipring_error *reterr) {
        struct topic topic;
        int r = topic_attach(&topic, entry, false, reterr);

        if (r == 0) {
                topic_detach(&topic);
        }
        return r == 0 || r == -EIDRM;
}

/* Topics that come are waited for; that others' topics become this user's is not. */
static bool check_any(struct record *record, const struct view *view) {
        struct slipring_error error = {0};
        size_t matching = 0;

        for (size_t i = 0; i < view->count; i++) {
                if (!wanted(record, view->topics[i]->name)) {
                        continue;
                }
                matching++;
                if (may_read(view->topics[i], &error)) {
                        return true;
                }
        }
        if (matching > 0) {
                cli_error(record->cli, "none of the %zu topics that match can be read: %s",
                          matching, error.text);
                return false;
        }
        cli_error(record->cli, "no topic of bus '%s' matches so far; those that come are recorded",
                  view->bus);
        return true;
}

/* The bus by its full name, so that another one that starts later is not taken for it. */
static int find_bus(struct record *record) {
        struct slipring_error error = {0};
        struct view view = VIEW_NONE;
        int code = view_open(record->cli, &view);

        for (int i = 0; code == CLI_OK && i < record->topic_count; i++) {
                const struct layout_entry *entry =
                        view_topic(record->cli, &view, record->topics[i]);

                /* One that is asked for by name has to be one that this user may read. */
                if (entry && !may_read(entry, &error)) {
                        cli_error(record->cli, "%s", error.text);
                        entry = NULL;
                }
                code = entry ? code : CLI_FAILURE;
        }
        if (code == CLI_OK && !check_any(record, &view)) {
                code = CLI_FAILURE;
        }
        if (code == CLI_OK) {
                snprintf(record->bus, sizeof(record->bus), "%s", view.bus);
        }
        view_close(&view);
        return code;
}

/* What is left in the directory that the file will be in. */
static int recover(struct record *record) {
        const char *slash = strrchr(record->name, '/');
        char *directory;

        if (asprintf(&directory, "%.*s", slash ? (int) (slash + 1 - record->name) : 0,
                     record->name) < 0) {
                return -ENOMEM;
        }
        record_recover(directory, on_note, record);
        free(directory);
        return 0;
}

static int go(struct record *record, struct record_options *options) {
        struct slipring_error error = {0};
        int code = find_bus(record);

        if (code != CLI_OK) {
                return code;
        }
        if (set_name(record) < 0) {
                record->name = NULL;
        }
        if (!record->name || recover(record) < 0) {
                cli_error(record->cli, "out of memory");
                return CLI_FAILURE;
        }
        options->bus = record->bus;
        options->name = record->name;
        live_start();
        /* A limit on the size of files is an error like others. */
        signal(SIGXFSZ, SIG_IGN);
        if (record_run(options, &error) < 0) {
                line_clear(record);
                cli_error(record->cli, "%s", error.text);
                return CLI_FAILURE;
        }
        return CLI_OK;
}

static int record_verb(struct cli *cli, int argc, char **argv) {
        struct record record = {.cli = cli, .compression = "zstd"};
        struct record_options run = {
                .wanted = wanted,
                .describe = describe,
                .stopped = live_stopped,
                .note = on_note,
                .progress = on_progress,
                .userdata = &record,
        };
        const struct cli_option options[] = {
                {'a', "all", NULL, "all topics that this user may read (the default)",
                 .flag = &record.all},
                {'o', "output", "FILE", "write there (default BUS_DATE-TIME.mcap)",
                 .text = &record.output},
                {'e', "regex", "REGEX", "topics that match, too", .text = &record.expression},
                {0, "exclude-regex", "REGEX", "but none that match this", .text = &record.excluded},
                {'d', "max-bag-duration", "SECONDS", "a new file after so long",
                 .real = &record.split_seconds},
                {0, "max-bag-size", "BYTES", "or once a file is about this large",
                 .number = &record.split_bytes},
                {0, "compression", "NAME", "of chunks: zstd (default), lz4 or none",
                 .text = &record.compression},
                {0, "since", "TIME", "begin so long ago, as far as the rings reach",
                 .text = &record.since},
                {0, "duration", "TIME", "end by itself after so long", .text = &record.duration},
                {0},
        };
        const char *expression, *excluded;
        int code = CLI_USAGE;

        if (!cli_parse(cli, options, &argc, &argv)) {
                return cli->exit_code;
        }
        record.topics = argv;
        record.topic_count = argc;
        expression = record.expression;
        excluded = record.excluded;
        record.expression = record.excluded = NULL;
        if (expression && compile(&record, "--regex", expression, &record.matches)) {
                record.expression = expression;
        }
        if (excluded && compile(&record, "--exclude-regex", excluded, &record.excludes)) {
                record.excluded = excluded;
        }
        if (record.expression == expression && record.excluded == excluded &&
            check(&record, &run)) {
                code = go(&record, &run);
        }
        if (record.expression) {
                regfree(&record.matches);
        }
        if (record.excluded) {
                regfree(&record.excludes);
        }
        free(record.name);
        buffer_free(&record.units);
        buffer_free(&record.bounds);
        return code;
}

const struct cli_verb cli_record = {
        .name = "record",
        .arguments = "[TOPIC...]",
        .least = 0,
        .most = INT_MAX,
        .common = CLI_BUS | CLI_JSON,
        .summary = "record topics into an MCAP file",
        .help = "Records all topics that this user may read, or those that are named or match,\n"
                "until Ctrl-C. MCAP with ROS 2's types and messages: Foxglove, Lichtblick,\n"
                "PlotJuggler and the readers of many languages open it as it is. Nothing on the\n"
                "bus waits or wakes up for a recorder; what it misses is counted, by topic, and\n"
                "stands in the file, too.\n"
                "\n"
                "The file ends in .mcap.active until it is whole. What a killed recorder left in\n"
                "the same directory is recovered at the next start. A disk that is full ends the\n"
                "recording, with a file that can be read.\n"
                "\n"
                "  slipring record                              everything, into "
                "BUS_DATE-TIME.mcap\n"
                "  slipring record -o drive imu gps             into drive.mcap\n"
                "  slipring record --since 5s -e '^camera'      with the five seconds before\n"
                "  slipring record --since 5s --duration 10s    15 s around now\n"
                "  slipring record -o log -d 600                log_0.mcap, log_1.mcap, ...\n",
        .run = record_verb,
};
