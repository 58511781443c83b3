/*
 * slipring hz, bw, delay: how fast, how much, how late.
 *
 * All three subscribe, keep a window of marks a topic and report once a second. They borrow samples
 * where they lie, so that a camera's images are not copied to be counted.
 */

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "cli/json.h"
#include "cli/live.h"
#include "cli/table.h"
#include "subscribers/window.h"

/* What slipring_subscriber_wait_any() takes. */
#define TOPICS_MAX 128
#define REPORT_NS UINT64_C(1000000000)

struct measure;

/* One topic. */
struct gauge {
        const char *topic;
        struct slipring_subscriber *subscriber;
        struct window window;
        struct window stamps;        /* delay: since the message's own time */
        struct slipring_field stamp; /* where that stands; kind 0: nowhere */
        uint64_t payload_bytes;
        uint64_t fresh; /* samples since the last report */
        uint64_t missed;
        uint64_t seen_ns;              /* the sample at hand: when it was seen */
        struct slipring_time stamp_at; /* and its stamp; 0 for none */
};

/* One of the three verbs. */
struct kind {
        uint64_t window;
        void (*mark)(struct gauge *gauge, const struct slipring_sample *sample);
        void (*print)(const struct gauge *gauge);
        void (*head)(struct table *table);
        void (*row)(struct table *table, const struct gauge *gauge);
        void (*json)(struct json *json, const struct gauge *gauge);
        const char *align;
};

struct measure {
        struct cli *cli;
        const struct kind *kind;
        struct gauge gauges[TOPICS_MAX];
        size_t count; /* topics that are still there */
        uint64_t window;
        uint64_t reports; /* 0: without end */
        double timeout;
        bool wait;
        uint64_t heard_ns;
        uint64_t report_ns;
        uint64_t reported;
};

/*
 * hz
 */

static void hz_mark(struct gauge *gauge, const struct slipring_sample *sample) {
        /* When it was published, not when this process came to see it. */
        struct window_mark mark = {sample->sequence, sample->publish_time_ns, 0};

        window_add(&gauge->window, &mark);
}

static bool hz_summary(const struct gauge *gauge, struct window_summary *ret_summary) {
        return window_intervals(&gauge->window, ret_summary) && ret_summary->mean > 0;
}

static void hz_print(const struct gauge *gauge) {
        struct window_summary summary;

        if (hz_summary(gauge, &summary)) {
                printf("average rate: %.3f\n\tmin: %.6fs max: %.6fs std dev: %.6fs window: %zu\n",
                       1 / summary.mean, summary.minimum, summary.maximum, summary.deviation,
                       summary.count);
        }
}

static void head_cells(struct table *table, const char *const *cells) {
        for (; *cells; cells++) {
                table_cell(table, "%s", *cells);
        }
}

static void hz_head(struct table *table) {
        head_cells(table, (const char *const[]){"topic", "rate", "min_delta", "max_delta",
                                                "std_dev", "window", NULL});
}

/* A row of what could not be measured. */
static void empty_row(struct table *table, const struct gauge *gauge, int columns) {
        table_cell(table, "%s", gauge->topic);
        while (--columns > 0) {
                table_cell(table, "-");
        }
}

static void hz_row(struct table *table, const struct gauge *gauge) {
        struct window_summary summary;

        if (!gauge->fresh || !hz_summary(gauge, &summary)) {
                empty_row(table, gauge, 6);
                return;
        }
        table_cell(table, "%s", gauge->topic);
        table_cell(table, "%.3f", 1 / summary.mean);
        table_cell(table, "%.6f", summary.minimum);
        table_cell(table, "%.6f", summary.maximum);
        table_cell(table, "%.6f", summary.deviation);
        table_cell(table, "%zu", summary.count);
}

static void summary_json(struct json *json,
                         const struct window_summary *summary,
                         const char *minimum,
                         const char *maximum) {
        json_real(json, minimum, summary->minimum);
        json_real(json, maximum, summary->maximum);
        json_real(json, "std_dev_s", summary->deviation);
        json_unsigned(json, "window", summary->count);
}

static void hz_json(struct json *json, const struct gauge *gauge) {
        struct window_summary summary;

        if (gauge->fresh && hz_summary(gauge, &summary)) {
                json_real(json, "rate_hz", 1 / summary.mean);
                summary_json(json, &summary, "min_s", "max_s");
        } else {
                json_null(json, "rate_hz");
        }
}

/*
 * bw
 */

static void bw_mark(struct gauge *gauge, const struct slipring_sample *sample) {
        struct window_mark mark = {sample->sequence, sample->publish_time_ns,
                                   (double) sample->payload_bytes};

        window_add(&gauge->window, &mark);
}

/* As `ros2 topic bw` writes it. */
static const char *bytes_text(char text[32], double bytes) {
        if (bytes < 1000) {
                snprintf(text, 32, "%.2f B", bytes);
        } else if (bytes < 1e6) {
                snprintf(text, 32, "%.2f KB", bytes / 1e3);
        } else {
                snprintf(text, 32, "%.2f MB", bytes / 1e6);
        }
        return text;
}

/* Over the messages in the window only: those that this process missed moved bytes, too, but none
 * that were counted. */
static double bw_rate(const struct gauge *gauge) {
        struct window_summary intervals;

        if (!window_intervals(&gauge->window, &intervals) || intervals.mean <= 0) {
                return 0;
        }
        return (double) gauge->payload_bytes / intervals.mean;
}

static void bw_print(const struct gauge *gauge) {
        char rate[32], mean[32], minimum[32], maximum[32];
        struct window_summary summary;

        if (window_values(&gauge->window, &summary) && bw_rate(gauge) > 0) {
                printf("%s/s from %zu messages\n\tMessage size mean: %s min: %s max: %s\n",
                       bytes_text(rate, bw_rate(gauge)), summary.count,
                       bytes_text(mean, summary.mean), bytes_text(minimum, summary.minimum),
                       bytes_text(maximum, summary.maximum));
        }
}

static void bw_head(struct table *table) {
        head_cells(table, (const char *const[]){"topic", "bandwidth", "mean_size", "window", NULL});
}

static void bw_row(struct table *table, const struct gauge *gauge) {
        struct window_summary summary;
        char rate[32], mean[32];

        if (!gauge->fresh || !window_values(&gauge->window, &summary) || bw_rate(gauge) <= 0) {
                empty_row(table, gauge, 4);
                return;
        }
        table_cell(table, "%s", gauge->topic);
        table_cell(table, "%s/s", bytes_text(rate, bw_rate(gauge)));
        table_cell(table, "%s", bytes_text(mean, summary.mean));
        table_cell(table, "%zu", summary.count);
}

static void bw_json(struct json *json, const struct gauge *gauge) {
        double rate = gauge->fresh ? bw_rate(gauge) : 0;

        if (rate > 0) {
                json_real(json, "bytes_per_second", rate);
        } else {
                json_null(json, "bytes_per_second");
        }
        json_unsigned(json, "message_bytes", gauge->payload_bytes);
        json_unsigned(json, "window", gauge->window.count);
}

/*
 * delay
 */

static void mark_stamp(struct gauge *gauge, uint64_t sequence) {
        struct window_mark mark = {.sequence = sequence};
        struct timespec now;

        clock_gettime(CLOCK_REALTIME, &now);
        mark.value = (double) (now.tv_sec - gauge->stamp_at.sec) +
                     ((double) now.tv_nsec - (double) gauge->stamp_at.nanosec) / 1e9;
        window_add(&gauge->stamps, &mark);
}

static void delay_mark(struct gauge *gauge, const struct slipring_sample *sample) {
        struct window_mark mark = {sample->sequence, sample->publish_time_ns,
                                   (double) (gauge->seen_ns - sample->publish_time_ns) / 1e9};

        window_add(&gauge->window, &mark);
        if (gauge->stamp_at.sec || gauge->stamp_at.nanosec) {
                mark_stamp(gauge, sample->sequence);
        }
}

static void delay_line(const char *title, const struct window *window) {
        struct window_summary summary;

        if (window_values(window, &summary)) {
                printf("%s: %.6f\n\tmin: %.6fs max: %.6fs std dev: %.6fs window: %zu\n", title,
                       summary.mean, summary.minimum, summary.maximum, summary.deviation,
                       summary.count);
        }
}

static void delay_print(const struct gauge *gauge) {
        delay_line("average delay", &gauge->window);
        delay_line("average delay since stamp", &gauge->stamps);
}

static void delay_head(struct table *table) {
        head_cells(table, (const char *const[]){"topic", "delay", "min_delay", "max_delay",
                                                "std_dev", "window", "since_stamp", NULL});
}

static void delay_row(struct table *table, const struct gauge *gauge) {
        struct window_summary summary;

        if (!gauge->fresh || !window_values(&gauge->window, &summary)) {
                empty_row(table, gauge, 7);
                return;
        }
        table_cell(table, "%s", gauge->topic);
        table_cell(table, "%.6f", summary.mean);
        table_cell(table, "%.6f", summary.minimum);
        table_cell(table, "%.6f", summary.maximum);
        table_cell(table, "%.6f", summary.deviation);
        table_cell(table, "%zu", summary.count);
        if (window_values(&gauge->stamps, &summary)) {
                table_cell(table, "%.6f", summary.mean);
        } else {
                table_cell(table, "-");
        }
}

static void delay_json(struct json *json, const struct gauge *gauge) {
        struct window_summary summary;

        if (!gauge->fresh || !window_values(&gauge->window, &summary)) {
                json_null(json, "delay_s");
                return;
        }
        json_real(json, "delay_s", summary.mean);
        summary_json(json, &summary, "min_s", "max_s");
        if (window_values(&gauge->stamps, &summary)) {
                json_real(json, "since_stamp_s", summary.mean);
        } else {
                json_null(json, "since_stamp_s");
        }
}

/*
 * All three
 */

static void gauge_adopt(struct gauge *gauge) {
        const struct slipring_type *type = slipring_subscriber_type(gauge->subscriber);

        gauge->payload_bytes = type->payload_bytes;
        if ((selection_find(&gauge->stamp, type, "stamp", NULL, NULL) < 0 &&
             selection_find(&gauge->stamp, type, "header.stamp", NULL, NULL) < 0) ||
            gauge->stamp.kind != SLIPRING_KIND_TIME || gauge->stamp.count) {
                gauge->stamp = (struct slipring_field){0};
        }
        window_clear(&gauge->window);
        window_clear(&gauge->stamps);
}

static void gauge_close(struct gauge *gauge) {
        gauge->subscriber = slipring_subscriber_close(gauge->subscriber);
        window_close(&gauge->window);
        window_close(&gauge->stamps);
}

/* When the silence of a topic that is waited for has lasted too long. */
static uint64_t deadline(const struct measure *measure) {
        return measure->timeout > 0 && measure->timeout < 1e9
                       ? measure->heard_ns + (uint64_t) (measure->timeout * 1e9)
                       : SLIPRING_FOREVER;
}

static int report_silence(const struct measure *measure) {
        cli_error(measure->cli, "no sample for %g s", measure->timeout);
        return CLI_TIMEOUT;
}

static int gauge_open(struct measure *measure, const char *topic) {
        struct gauge *gauge = &measure->gauges[measure->count];
        int code;

        gauge->topic = view_topic_name(topic);
        code = live_subscribe(measure->cli, &gauge->subscriber, topic, SLIPRING_START_NEXT,
                              measure->wait, deadline(measure));
        if (code == CLI_TIMEOUT) {
                return report_silence(measure);
        }
        if (code != CLI_OK || !gauge->subscriber) {
                return code;
        }
        measure->count++;
        if (window_open(&gauge->window, measure->window) < 0 ||
            window_open(&gauge->stamps, measure->window) < 0) {
                cli_error(measure->cli, "no memory for a window of %" PRIu64 " samples",
                          measure->window);
                return CLI_FAILURE;
        }
        gauge_adopt(gauge);
        return CLI_OK;
}

/* A topic that is gone for good leaves; the last one ends the command, and so does one that was
 * waited for in vain. */
static int gauge_move(struct measure *measure, size_t index) {
        struct gauge *gauge = &measure->gauges[index];
        bool moved = false;
        int code;

        code = live_follow(measure->cli, gauge->subscriber, gauge->topic, measure->wait,
                           deadline(measure), &moved);
        if (moved) {
                gauge_adopt(gauge);
        }
        if (code == CLI_TIMEOUT) {
                return report_silence(measure);
        }
        if (code == CLI_OK) {
                return CLI_OK;
        }
        gauge_close(gauge);
        measure->count--;
        memmove(gauge, gauge + 1, (measure->count - index) * sizeof(*gauge));
        return measure->count ? CLI_OK : code;
}

/* Reads the stamp and ends the view. A sample that was overwritten while it was looked at counts
 * all the same, since what the ring says of it was whole; only its stamp may be torn. */
static void gauge_stamp(struct gauge *gauge, const struct slipring_sample *sample) {
        struct slipring_time stamp = {0};

        if (gauge->stamp.kind) {
                memcpy(&stamp, (const char *) sample->payload + gauge->stamp.offset_bytes,
                       sizeof(stamp));
        }
        if (slipring_subscriber_release(gauge->subscriber) < 0) {
                stamp = (struct slipring_time){0};
        }
        gauge->stamp_at = stamp;
}

/* All that a topic has. */
static int gauge_drain(struct measure *measure, size_t index) {
        struct gauge *gauge = &measure->gauges[index];
        struct slipring_sample sample = {0};
        int r;

        while (!live_stopped() && slipring_now_ns() < measure->report_ns) {
                r = slipring_subscriber_borrow(gauge->subscriber, &sample);
                if (r == 0 || r == -EAGAIN) {
                        return CLI_OK;
                }
                if (r == -EIDRM) {
                        return gauge_move(measure, index);
                }
                if (r < 0) {
                        cli_error(measure->cli, "topic '%s': its shared memory contradicts itself",
                                  gauge->topic);
                        return CLI_FAILURE;
                }
                gauge->missed += sample.missed;
                gauge->fresh++;
                gauge->seen_ns = measure->heard_ns = slipring_now_ns();
                gauge_stamp(gauge, &sample);
                measure->kind->mark(gauge, &sample);
        }
        return CLI_OK;
}

static void report_json(const struct measure *measure) {
        for (size_t i = 0; i < measure->count; i++) {
                struct json json = {.out = stdout, .compact = true};

                json_open(&json, NULL, '{');
                json_text(&json, "topic", measure->gauges[i].topic);
                measure->kind->json(&json, &measure->gauges[i]);
                json_unsigned(&json, "missed", measure->gauges[i].missed);
                json_close(&json);
        }
}

static void report_table(const struct measure *measure) {
        struct table table = {.align = measure->kind->align};

        measure->kind->head(&table);
        for (size_t i = 0; i < measure->count; i++) {
                measure->kind->row(&table, &measure->gauges[i]);
        }
        table_print(&table, stdout, measure->cli->colour);
        putchar('\n');
        table_free(&table);
}

static bool report(struct measure *measure) {
        uint64_t fresh = 0;

        for (size_t i = 0; i < measure->count; i++) {
                fresh += measure->gauges[i].fresh;
        }
        if (measure->cli->json) {
                report_json(measure);
        } else if (!fresh) {
                cli_error(measure->cli, "no new messages");
        } else if (measure->count > 1) {
                report_table(measure);
        } else {
                measure->kind->print(&measure->gauges[0]);
        }
        for (size_t i = 0; i < measure->count; i++) {
                measure->gauges[i].fresh = 0;
        }
        measure->report_ns += REPORT_NS;
        /* Only what was told counts: `hz -n 1` waits for a rate. */
        measure->reported += fresh || measure->cli->json;
        return live_flush();
}

static int sleep_on(struct measure *measure, int *ret_index) {
        struct slipring_subscriber *subscribers[TOPICS_MAX];
        uint64_t now;

        for (size_t i = 0; i < measure->count; i++) {
                subscribers[i] = measure->gauges[i].subscriber;
        }
        *ret_index = slipring_subscriber_wait_any(subscribers, measure->count,
                                                  live_deadline(measure->report_ns));
        now = slipring_now_ns();
        if (now >= measure->report_ns && !live_stopped() && !report(measure)) {
                return CLI_FAILURE;
        }
        if (measure->timeout > 0 && (double) (now - measure->heard_ns) / 1e9 > measure->timeout) {
                return report_silence(measure);
        }
        return CLI_OK;
}

static int loop(struct measure *measure) {
        int code = CLI_OK, index = -1;

        measure->heard_ns = slipring_now_ns();
        measure->report_ns = measure->heard_ns + REPORT_NS;
        while (code == CLI_OK && !live_stopped() &&
               (measure->reports == 0 || measure->reported < measure->reports)) {
                code = sleep_on(measure, &index);
                if (code == CLI_OK && index >= 0) {
                        code = gauge_drain(measure, (size_t) index);
                }
        }
        return code;
}

static int measure_topics(struct measure *measure, int argc, char **argv) {
        int code = CLI_OK;

        live_start();
        measure->heard_ns = slipring_now_ns();
        for (int i = 0; i < argc && code == CLI_OK && !live_stopped(); i++) {
                code = gauge_open(measure, argv[i]);
        }
        if (code == CLI_OK && !live_stopped()) {
                code = loop(measure);
        }
        for (size_t i = 0; i < measure->count; i++) {
                gauge_close(&measure->gauges[i]);
        }
        return code;
}

static int measure_run(struct cli *cli, const struct kind *kind, int argc, char **argv) {
        struct measure *measure = calloc(1, sizeof(*measure));
        int code;

        if (!measure) {
                cli_error(cli, "out of memory");
                return CLI_FAILURE;
        }
        measure->cli = cli;
        measure->kind = kind;
        measure->window = kind->window;

        const struct cli_option options[] = {
                {'w', "window", "N", "over the newest N samples", .number = &measure->window},
                {'n', "count", "N", "end after N reports", .number = &measure->reports},
                {0, "wait", NULL, "wait for topics that are not there yet, or gone",
                 .flag = &measure->wait},
                {0, "timeout", "S", "end with 124 after S seconds without a sample",
                 .real = &measure->timeout},
                {0},
        };

        if (!cli_parse(cli, options, &argc, &argv)) {
                code = cli->exit_code;
        } else if (measure->window < 2 || measure->window > 10000000) {
                cli_error(cli, "--window %" PRIu64 ": must be 2 to 10000000", measure->window);
                code = CLI_USAGE;
        } else {
                code = measure_topics(measure, argc, argv);
        }
        free(measure);
        return code;
}

static int hz_run(struct cli *cli, int argc, char **argv) {
        static const struct kind kind = {10000,  hz_mark, hz_print, hz_head,
                                         hz_row, hz_json, "lrrrrr"};

        return measure_run(cli, &kind, argc, argv);
}

static int bw_run(struct cli *cli, int argc, char **argv) {
        static const struct kind kind = {100, bw_mark, bw_print, bw_head, bw_row, bw_json, "lrrr"};

        return measure_run(cli, &kind, argc, argv);
}

static int delay_run(struct cli *cli, int argc, char **argv) {
        static const struct kind kind = {10000,     delay_mark, delay_print, delay_head,
                                         delay_row, delay_json, "lrrrrrr"};

        return measure_run(cli, &kind, argc, argv);
}

const struct cli_verb cli_hz = {
        .name = "hz",
        .arguments = "TOPIC...",
        .least = 1,
        .most = TOPICS_MAX,
        .common = CLI_BUS | CLI_JSON,
        .summary = "measure the rate of topics",
        .help = "Measures rates by the times of publishing, and prints them once a second until\n"
                "Ctrl-C. A sample that this command missed counts in the average all the same.\n"
                "\n"
                "  slipring hz imu/front\n"
                "  slipring hz imu/front imu/rear     a table\n"
                "  slipring hz imu/front -w 200 -n 1  one report over the newest 200 samples\n",
        .run = hz_run,
};

const struct cli_verb cli_bw = {
        .name = "bw",
        .arguments = "TOPIC...",
        .least = 1,
        .most = TOPICS_MAX,
        .common = CLI_BUS | CLI_JSON,
        .summary = "measure the bandwidth of topics",
        .help = "Measures how many bytes of messages topics carry, and prints it once a second\n"
                "until Ctrl-C. KB and MB are powers of ten.\n"
                "\n"
                "  slipring bw camera/front\n"
                "  slipring bw camera/front scan --json\n",
        .run = bw_run,
};

const struct cli_verb cli_delay = {
        .name = "delay",
        .arguments = "TOPIC...",
        .least = 1,
        .most = TOPICS_MAX,
        .common = CLI_BUS | CLI_JSON,
        .summary = "measure how late samples arrive",
        .help = "Measures the time from publishing to this command's seeing it, in seconds, and\n"
                "prints it once a second until Ctrl-C. Where the message has a field stamp or\n"
                "header.stamp of type time, prints the time since that, too.\n"
                "\n"
                "  slipring delay imu/front\n",
        .run = delay_run,
};
