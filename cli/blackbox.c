/*
 * slipring blackbox: the last samples of a bus, after a crash of whoever made and read them.
 */

#include <inttypes.h>
#include <limits.h>
#include <stdlib.h>
#include <time.h>

#include "cli/json.h"
#include "cli/sample.h"
#include "cli/table.h"
#include "cli/view.h"
#include "subscribers/blackbox.h"

/* Of one topic, beside what is in the box. */
struct shown {
        uint64_t count;     /* printed */
        uint64_t overtaken; /* before they could be printed */
        uint64_t sequence;  /* of the last one printed */
};

struct readout {
        struct cli *cli;
        const char *since;
        bool flow, full;
        uint64_t longest;

        struct view view;
        struct blackbox box;
        struct shown *shown; /* by topic */
        bool *wanted;
        bool named; /* topics were named */
        uint64_t since_ns;
        void *buffer;
        struct json json;
};

/*
 * Samples
 */

/* Publish times are CLOCK_MONOTONIC. The manager wrote down once a second how far the wall clock
 * was from that, so this is the time that logs of the day have. */
static void wall_time(const struct readout *readout, uint64_t ns, bool date, char text[64]) {
        /* Both numbers may be anything. */
        int64_t wall = (int64_t) (ns + (uint64_t) readout->view.table.table->realtime_offset_ns);
        int64_t part = (wall % 1000000000 + 1000000000) % 1000000000;
        time_t seconds = (time_t) (wall / 1000000000 - (wall % 1000000000 < 0));
        char clock[32], zone[16] = "";
        struct tm parts;

        localtime_r(&seconds, &parts);
        strftime(clock, sizeof(clock), date ? "%Y-%m-%d %H:%M:%S" : "%H:%M:%S", &parts);
        if (date) {
                strftime(zone, sizeof(zone), " %Z", &parts);
        }
        snprintf(text, 64, "%s.%06d%s", clock, (int) (part / 1000), zone);
}

static double seconds_to_newest(const struct readout *readout, uint64_t ns) {
        return (double) (int64_t) (ns - readout->box.newest_ns) / 1e9;
}

static void
sample_head(const struct readout *readout, const char *topic, uint64_t sequence, uint64_t ns) {
        char text[64];

        wall_time(readout, ns, false, text);
        printf("# %s  %.6f s  %s  %" PRIu64 "\n", text, seconds_to_newest(readout, ns), topic,
               sequence);
}

static void sample_show(struct readout *readout, const struct blackbox_mark *mark) {
        const struct blackbox_topic *topic = &readout->box.topics[mark->topic];
        struct shown *shown = &readout->shown[mark->topic];
        const struct slipring_type *type = &topic->topic.header.type;
        struct render render = {
                .type = type,
                .field = selection_all(type),
                .format = readout->cli->json ? RENDER_JSON
                          : readout->flow    ? RENDER_FLOW
                                             : RENDER_YAML,
                .longest = sample_longest(readout->cli, readout->full, readout->longest),
        };
        struct slipring_sample sample;

        if (blackbox_read(&readout->box, mark, readout->buffer, &sample) != 1) {
                shown->overtaken++;
                return;
        }
        sample.missed = shown->count ? sample.sequence - shown->sequence - 1 : 0;
        shown->sequence = sample.sequence;
        shown->count++;
        if (readout->cli->json) {
                json_begin(&readout->json, NULL);
                sample_json(&render, topic->entry->name, &sample);
        } else {
                sample_head(readout, topic->entry->name, sample.sequence, sample.publish_time_ns);
                sample_print(&render, topic->entry->name, &sample);
        }
}

static void samples_show(struct readout *readout) {
        for (size_t i = 0; i < readout->box.mark_count && !ferror(stdout); i++) {
                sample_show(readout, &readout->box.marks[i]);
        }
}

/*
 * For people: what the topics were
 */

static const char *publisher_word(enum blackbox_publisher publisher) {
        switch (publisher) {
        case BLACKBOX_PUBLISHER_NONE:
                return "none";
        case BLACKBOX_PUBLISHER_ALIVE:
                return "alive";
        case BLACKBOX_PUBLISHER_LEFT:
                return "left";
        case BLACKBOX_PUBLISHER_DEAD:
                return "dead";
        default:
                return "unknown";
        }
}

static void print_bus(const struct readout *readout) {
        const struct blackbox *box = &readout->box;
        pid_t manager = view_manager(&readout->view);
        uint64_t now = slipring_now_ns();
        char text[64], ago[32];

        printf("# bus %s: ", readout->view.bus);
        if (box->newest_ns) {
                wall_time(readout, box->newest_ns, true, text);
                printf("newest sample %s, %s ago; ", text,
                       cli_duration(ago, now > box->newest_ns ? now - box->newest_ns : 0));
        } else {
                fputs("no sample; ", stdout);
        }
        if (manager) {
                printf("managed by %d\n", (int) manager);
        } else {
                puts("no manager runs");
        }
}

static void row_unreadable(struct table *table) {
        table_cell(table, "cannot be read");
        for (int i = 0; i < 5; i++) {
                table_cell(table, "-");
        }
}

static void row(struct table *table, const struct readout *readout, size_t index) {
        const struct blackbox_topic *topic = &readout->box.topics[index];

        table_cell(table, "# %s", topic->entry->name);
        if (topic->error.code) {
                row_unreadable(table);
                return;
        }
        if (topic->publisher_pid) {
                table_cell(table, "%d %s", (int) topic->publisher_pid,
                           publisher_word(topic->publisher));
        } else {
                table_cell(table, "%s", publisher_word(topic->publisher));
        }
        if (topic->newest_ns) {
                table_cell(table, "%.6f s", seconds_to_newest(readout, topic->newest_ns));
        } else {
                table_cell(table, "-");
        }
        table_cell(table, "%" PRIu64, topic->published);
        table_cell(table, "%" PRIu64, topic->overwritten);
        table_cell(table, "%" PRIu64, topic->held);
        table_cell(table, "%" PRIu64, readout->shown[index].count);
}

static void print_table(const struct readout *readout) {
        static const char *const head[] = {"# TOPIC",     "PUBLISHER", "LAST", "PUBLISHED",
                                           "OVERWRITTEN", "HELD",      "SHOWN"};
        struct table table = {.align = "llrrrrr"};

        for (size_t i = 0; i < sizeof(head) / sizeof(head[0]); i++) {
                table_cell(&table, "%s", head[i]);
        }
        for (size_t i = 0; i < readout->box.count; i++) {
                if (readout->wanted[i]) {
                        row(&table, readout, i);
                }
        }
        table_print(&table, stdout, readout->cli->colour);
        table_free(&table);
}

static void note_rest(const struct blackbox_topic *topic) {
        const char *name = topic->entry->name;
        bool alive = topic->publisher == BLACKBOX_PUBLISHER_ALIVE;

        if (topic->half && alive) {
                printf("# %s: sample %" PRIu64 " is being written\n", name, topic->half);
        } else if (topic->half) {
                printf("# %s: sample %" PRIu64 " was begun and not finished: not shown\n", name,
                       topic->half);
        }
        if (topic->unannounced && !alive) {
                printf("# %s: sample %" PRIu64 " is whole, but its publisher ended before it told "
                       "subscribers\n",
                       name, topic->published);
        }
}

static void note(const struct readout *readout, size_t index) {
        const struct blackbox_topic *topic = &readout->box.topics[index];
        const char *name = topic->entry->name;

        if (topic->error.code) {
                printf("# %s: %s\n", name, topic->error.text);
                return;
        }
        note_rest(topic);
        if (topic->publisher_pid && topic->epoch != topic->newest_epoch) {
                printf("# %s: publisher %d took over and published nothing\n", name,
                       (int) topic->publisher_pid);
        }
        if (topic->damaged) {
                printf("# %s: %" PRIu64 " slots contradict themselves: not shown\n", name,
                       topic->damaged);
        }
        if (readout->shown[index].overtaken) {
                printf("# %s: %" PRIu64 " samples were overwritten before they could be shown\n",
                       name, readout->shown[index].overtaken);
        }
}

static void print_text(struct readout *readout) {
        samples_show(readout);
        print_bus(readout);
        print_table(readout);
        for (size_t i = 0; i < readout->box.count; i++) {
                if (readout->wanted[i]) {
                        note(readout, i);
                }
        }
}

/*
 * For programs
 */

static void number_or_null(struct json *json, const char *key, uint64_t number) {
        if (number) {
                json_unsigned(json, key, number);
        } else {
                json_null(json, key);
        }
}

static void topic_json(const struct readout *readout, struct json *json, size_t index) {
        const struct blackbox_topic *topic = &readout->box.topics[index];
        const struct shown *shown = &readout->shown[index];

        json_open(json, NULL, '{');
        json_text(json, "name", topic->entry->name);
        json_text(json, "type", topic->entry->type_name);
        json_bool(json, "readable", !topic->error.code);
        if (topic->error.code) {
                json_text(json, "reason", topic->error.text);
                json_close(json);
                return;
        }
        json_text(json, "publisher", publisher_word(topic->publisher));
        json_integer(json, "publisher_pid", topic->publisher_pid);
        number_or_null(json, "newest_publish_time_ns", topic->newest_ns);
        json_unsigned(json, "epoch", topic->epoch);
        json_unsigned(json, "newest_epoch", topic->newest_epoch);
        json_unsigned(json, "published", topic->published);
        json_unsigned(json, "overwritten", topic->overwritten);
        json_unsigned(json, "damaged", topic->damaged);
        json_unsigned(json, "held", topic->held);
        json_unsigned(json, "shown", shown->count);
        json_unsigned(json, "overtaken", shown->overtaken);
        number_or_null(json, "half_written", topic->half);
        number_or_null(json, "unannounced", topic->unannounced ? topic->published : 0);
        json_close(json);
}

static void print_json(struct readout *readout) {
        struct json *json = &readout->json;

        json->out = stdout;
        json_open(json, NULL, '{');
        json_text(json, "bus", readout->view.bus);
        json_integer(json, "manager_pid", view_manager(&readout->view));
        json_unsigned(json, "now_ns", slipring_now_ns());
        json_integer(json, "realtime_offset_ns", readout->view.table.table->realtime_offset_ns);
        number_or_null(json, "newest_publish_time_ns", readout->box.newest_ns);
        json_open(json, "samples", '[');
        samples_show(readout);
        json_close(json);
        json_open(json, "topics", '[');
        for (size_t i = 0; i < readout->box.count; i++) {
                if (readout->wanted[i]) {
                        topic_json(readout, json, i);
                }
        }
        json_close(json);
        json_close(json);
}

/*
 * What is wanted
 */

static bool check_since(struct readout *readout) {
        readout->since_ns = UINT64_MAX;
        return cli_span(readout->cli, "--since", readout->since, &readout->since_ns);
}

static bool check(struct readout *readout) {
        if (readout->flow && readout->cli->json) {
                cli_error(readout->cli, "--flow-style and --json exclude each other");
                return false;
        }
        return check_since(readout);
}

/* Returns an exit code. */
static int choose(struct readout *readout, int argc, char **argv) {
        const struct layout_entry *entry;

        readout->named = argc > 0;
        for (size_t i = 0; i < readout->view.count; i++) {
                readout->wanted[i] = argc == 0;
        }
        for (int k = 0; k < argc; k++) {
                entry = view_topic(readout->cli, &readout->view, argv[k]);
                if (!entry) {
                        return CLI_FAILURE;
                }
                for (size_t i = 0; i < readout->view.count; i++) {
                        readout->wanted[i] |= readout->view.topics[i] == entry;
                }
        }
        return CLI_OK;
}

/* Room for any message of what is wanted. */
static void *buffer_new(const struct readout *readout) {
        size_t bytes = 1;

        for (size_t i = 0; i < readout->box.count; i++) {
                if (readout->wanted[i] && readout->view.topics[i]->payload_bytes > bytes) {
                        bytes = readout->view.topics[i]->payload_bytes;
                }
        }
        return malloc(bytes);
}

/* What cannot be read is a failure where it was asked for, or where nothing else is there. */
static int report_unreadable(const struct readout *readout) {
        size_t unreadable = 0, wanted = 0;

        for (size_t i = 0; i < readout->box.count; i++) {
                wanted += readout->wanted[i];
                unreadable += readout->wanted[i] && readout->box.topics[i].error.code;
        }
        if (unreadable) {
                cli_error(readout->cli,
                          "%zu of %zu topics cannot be read by this user; slipring info TOPIC says "
                          "why",
                          unreadable, wanted);
        }
        return unreadable && (readout->named || unreadable == wanted) ? CLI_FAILURE : CLI_OK;
}

static int no_memory(const struct readout *readout) {
        cli_error(readout->cli, "out of memory");
        return CLI_FAILURE;
}

static int readout_run(struct readout *readout, int argc, char **argv) {
        const struct view *view = &readout->view;
        int code;

        readout->wanted = calloc(view->count + 1, sizeof(*readout->wanted));
        readout->shown = calloc(view->count + 1, sizeof(*readout->shown));
        if (!readout->wanted || !readout->shown) {
                return no_memory(readout);
        }
        code = choose(readout, argc, argv);
        if (code != CLI_OK) {
                return code;
        }
        if (blackbox_open(&readout->box, view->topics, view->count) < 0) {
                return no_memory(readout);
        }
        /* The time counts back from the newest sample of all topics, also of those not shown. */
        blackbox_select(&readout->box, readout->wanted, readout->since_ns);
        readout->buffer = buffer_new(readout);
        if (!readout->buffer) {
                return no_memory(readout);
        }
        if (readout->cli->json) {
                print_json(readout);
        } else {
                print_text(readout);
        }
        return report_unreadable(readout);
}

static int blackbox_run(struct cli *cli, int argc, char **argv) {
        struct readout readout = {.cli = cli, .longest = SAMPLE_LONGEST, .view = VIEW_NONE};
        const struct cli_option options[] = {
                {0, "since", "TIME", "only what is at most this older than the newest sample",
                 .text = &readout.since},
                {0, "flow-style", NULL, "YAML in one line", .flag = &readout.flow},
                {'f', "full-length", NULL, "all elements of long arrays", .flag = &readout.full},
                {'l', "truncate-length", "N", "elements shown of an array (default 128)",
                 .number = &readout.longest},
                {0},
        };
        int code;

        if (!cli_parse(cli, options, &argc, &argv)) {
                return cli->exit_code;
        }
        if (!check(&readout)) {
                return CLI_USAGE;
        }
        code = view_open(cli, &readout.view);
        if (code == CLI_OK) {
                code = readout_run(&readout, argc, argv);
        }
        blackbox_close(&readout.box);
        view_close(&readout.view);
        free(readout.buffer);
        free(readout.shown);
        free(readout.wanted);
        return code;
}

const struct cli_verb cli_blackbox = {
        .name = "blackbox",
        .arguments = "[TOPIC...]",
        .least = 0,
        .most = INT_MAX,
        .common = CLI_BUS | CLI_JSON,
        .summary = "print the last samples of a bus, after a crash",
        .help = "A bus stays in memory when everything that used it has died, its manager\n"
                "too. Prints the samples that are left, of all topics or those named, in the\n"
                "order of their time, then what each topic's publisher was and how many of its\n"
                "samples are gone; and ends. Changes nothing. A sample that its publisher did\n"
                "not finish is named and not shown.\n"
                "\n"
                "How far back it reaches is each topic's history or depth in the schema.\n"
                "Read it before publishers start again: they overwrite it. --since counts from\n"
                "the newest sample of the bus, however long ago that was.\n"
                "\n"
                "  slipring blackbox --since 2s\n"
                "  slipring blackbox --json >crash.json      all of it, to keep\n"
                "  slipring blackbox -b rover --flow-style imu/front battery\n"
                "  slipring blackbox --json | jq '.topics[] | select(.publisher == \"dead\")'\n",
        .run = blackbox_run,
};
