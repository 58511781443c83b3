/*
 * slipring plot: fields over time, drawn with characters.
 *
 * Each field has a subscriber of its own, that begins with what the ring still holds; so there is
 * something to see at once.
 */

#include <errno.h>
#include <limits.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "cli/canvas.h"
#include "cli/live.h"
#include "cli/screen.h"

/* What one curve remembers; of a faster topic or a longer window the newest part. */
#define POINTS_MAX 65536u
/* Taken at once, so that a fast topic does not keep others waiting. */
#define BATCH_MAX 4096u
#define FRAME_NS UINT64_C(100000000)
#define REPORT_NS UINT64_C(1000000000)
#define LABEL_COLUMNS 11u

struct point {
        uint64_t time_ns;
        double value;
};

struct curve {
        const char *name; /* as it was given */
        char topic[SLIPRING_TOPIC_NAME_MAX + 2];
        const char *path;
        struct slipring_subscriber *subscriber;
        struct slipring_field field;
        struct point *points; /* in a ring of POINTS_MAX */
        uint64_t count;       /* that were ever there */
};

struct plot {
        struct cli *cli;
        struct curve curves[CANVAS_PENS];
        size_t curve_count;
        struct canvas canvas;
        double window, timeout;
        uint64_t plots; /* to print, 0: without end */
        bool once, ascii, rows, screen, wait;
        uint64_t heard_ns;
};

static uint64_t deadline(const struct plot *plot) {
        return plot->timeout > 0 && plot->timeout < 1e9
                       ? plot->heard_ns + (uint64_t) (plot->timeout * 1e9)
                       : SLIPRING_FOREVER;
}

/*
 * Fields
 */

static double number_of(const struct slipring_field *field, const uint8_t *payload) {
        const uint8_t *at = payload + field->offset_bytes;
        union {
                int8_t i8;
                uint8_t u8;
                int16_t i16;
                uint16_t u16;
                int32_t i32;
                uint32_t u32;
                int64_t i64;
                uint64_t u64;
                float f32;
                double f64;
                struct slipring_time time;
        } value = {0};

        memcpy(&value, at,
               field->element_bytes < sizeof(value) ? field->element_bytes : sizeof(value));
        switch (field->kind) {
        case SLIPRING_KIND_INT8:
                return value.i8;
        case SLIPRING_KIND_INT16:
                return value.i16;
        case SLIPRING_KIND_UINT16:
                return value.u16;
        case SLIPRING_KIND_INT32:
                return value.i32;
        case SLIPRING_KIND_UINT32:
                return value.u32;
        case SLIPRING_KIND_INT64:
                return (double) value.i64;
        case SLIPRING_KIND_UINT64:
                return (double) value.u64;
        case SLIPRING_KIND_FLOAT32:
                return value.f32;
        case SLIPRING_KIND_FLOAT64:
                return value.f64;
        case SLIPRING_KIND_TIME:
        case SLIPRING_KIND_DURATION:
                return value.time.sec + value.time.nanosec * 1e-9;
        default:
                return value.u8;
        }
}

static int select_field(const struct plot *plot, struct curve *curve) {
        const struct slipring_type *type = slipring_subscriber_type(curve->subscriber);
        struct selection_failure failure = {0};
        struct slipring_error error = {0};

        if (selection_find(&curve->field, type, curve->path, &failure, &error) < 0) {
                view_report_field(plot->cli, type, &failure, &error);
                return CLI_USAGE;
        }
        if (selection_count(type, &curve->field) > 0) {
                cli_error(plot->cli, "'%s' is an array; name one of its elements, '%s[0]'",
                          curve->name, curve->name);
                return CLI_USAGE;
        }
        if (curve->field.kind > SLIPRING_KIND_DURATION) {
                cli_error(plot->cli, "'%s' is no number; name one in it", curve->name);
                return CLI_USAGE;
        }
        return CLI_OK;
}

static int open_curve(struct plot *plot, struct curve *curve, const char *name) {
        const char *dot = strchr(name, '.');
        int code;

        if (!dot || !dot[1] || (size_t) (dot - name) >= sizeof(curve->topic)) {
                cli_error(plot->cli, "'%s' names no field; write TOPIC.FIELD, as in imu/front.x",
                          name);
                return CLI_USAGE;
        }
        curve->name = name;
        curve->path = dot + 1;
        snprintf(curve->topic, sizeof(curve->topic), "%.*s", (int) (dot - name), name);
        curve->points = malloc(POINTS_MAX * sizeof(*curve->points));
        if (!curve->points) {
                cli_error(plot->cli, "out of memory");
                return CLI_FAILURE;
        }
        code = live_subscribe(plot->cli, &curve->subscriber, curve->topic, SLIPRING_START_OLDEST,
                              plot->wait, deadline(plot));
        if (code == CLI_TIMEOUT) {
                cli_error(plot->cli, "no topic '%s' for %g s", curve->topic, plot->timeout);
        }
        return code == CLI_OK && curve->subscriber ? select_field(plot, curve) : code;
}

/*
 * Samples
 */

static void add_point(struct curve *curve, const struct slipring_sample *sample, double value) {
        curve->points[curve->count++ % POINTS_MAX] = (struct point){sample->publish_time_ns, value};
}

static int follow(struct plot *plot, struct curve *curve) {
        bool moved = false;
        int code = live_follow(plot->cli, curve->subscriber, curve->topic, plot->wait,
                               deadline(plot), &moved);

        return code == CLI_OK && moved ? select_field(plot, curve) : code;
}

static int collect(struct plot *plot, struct curve *curve) {
        struct slipring_sample sample;
        double value;
        int r = 1;

        for (unsigned i = 0; i < BATCH_MAX && r != 0; i++) {
                r = slipring_subscriber_borrow(curve->subscriber, &sample);
                if (r == -EIDRM) {
                        return follow(plot, curve);
                }
                if (r < 0 && r != -EAGAIN) {
                        cli_error(plot->cli, "topic '%s': %s", curve->topic,
                                  r == -EBADMSG ? "its shared memory contradicts itself"
                                                : strerror(-r));
                        return CLI_FAILURE;
                }
                if (r != 1) {
                        continue;
                }
                /* What is not there is a gap, as what is no number. */
                value = selection_is_missing(slipring_subscriber_type(curve->subscriber),
                                             &curve->field, sample.payload)
                                ? NAN
                                : number_of(&curve->field, sample.payload);
                /* Overwritten meanwhile: what was read means nothing. */
                if (slipring_subscriber_release(curve->subscriber) == 0) {
                        add_point(curve, &sample, value);
                        plot->heard_ns = slipring_now_ns();
                }
        }
        return CLI_OK;
}

/*
 * Drawing
 */

static const struct point *point_at(const struct curve *curve, uint64_t index) {
        return &curve->points[index % POINTS_MAX];
}

static uint64_t first_point(const struct curve *curve) {
        return curve->count > POINTS_MAX ? curve->count - POINTS_MAX : 0;
}

/* The least and the largest value within the window. */
static bool span(const struct plot *plot, uint64_t from_ns, double *ret_low, double *ret_high) {
        double low = INFINITY, high = -INFINITY;

        for (size_t c = 0; c < plot->curve_count; c++) {
                const struct curve *curve = &plot->curves[c];

                for (uint64_t i = first_point(curve); i < curve->count; i++) {
                        const struct point *point = point_at(curve, i);

                        if (point->time_ns >= from_ns && isfinite(point->value)) {
                                low = fmin(low, point->value);
                                high = fmax(high, point->value);
                        }
                }
        }
        *ret_low = low;
        *ret_high = high;
        return low <= high;
}

static void draw_curve(struct plot *plot, unsigned pen, uint64_t now_ns, double low, double high) {
        const struct curve *curve = &plot->curves[pen];
        double x = 0, y = 0;
        bool joined = false;

        for (uint64_t i = first_point(curve); i < curve->count; i++) {
                const struct point *point = point_at(curve, i);
                double to_x = 1 - ((double) now_ns - (double) point->time_ns) / 1e9 / plot->window;
                double to_y = high > low ? (point->value - low) / (high - low) : 0.5;

                if (isfinite(point->value) && to_x >= 0) {
                        canvas_line(&plot->canvas, pen, joined ? x : to_x, joined ? y : to_y, to_x,
                                    to_y);
                }
                joined = isfinite(point->value);
                x = to_x;
                y = to_y;
        }
}

static void print_label(double value) {
        char text[32] = "";

        /* With as many digits as there is room for. Where nothing is drawn there is no scale. */
        for (int digits = 5; !isnan(value) && digits > 0; digits--) {
                (void) snprintf(text, sizeof(text), "%.*g", digits, value);
                if (strlen(text) < LABEL_COLUMNS) {
                        break;
                }
        }
        printf("%*s ", (int) LABEL_COLUMNS - 1, text);
}

static void print_legend(const struct plot *plot, const char *end) {
        for (size_t c = 0; c < plot->curve_count; c++) {
                const struct curve *curve = &plot->curves[c];

                canvas_sign(&plot->canvas, (unsigned) c, plot->cli->colour, stdout);
                if (curve->count > 0) {
                        printf(" %s %.6g%s", curve->name, point_at(curve, curve->count - 1)->value,
                               curve->field.unit && *curve->field.unit ? " " : "");
                        fputs(curve->field.unit ? curve->field.unit : "", stdout);
                } else {
                        printf(" %s -", curve->name);
                }
                fputs(end, stdout);
        }
}

static bool print_plot(struct plot *plot, unsigned columns, unsigned rows, const char *end) {
        uint64_t now_ns = slipring_now_ns(), window_ns = (uint64_t) (plot->window * 1e9);
        double low = 0, high = 0;
        char left[32];

        if (!canvas_start(&plot->canvas, columns, rows, plot->ascii)) {
                cli_error(plot->cli, "out of memory");
                return false;
        }
        if (span(plot, now_ns > window_ns ? now_ns - window_ns : 0, &low, &high)) {
                for (unsigned pen = 0; pen < plot->curve_count; pen++) {
                        draw_curve(plot, pen, now_ns, low, high);
                }
        } else {
                low = high = NAN;
        }
        print_legend(plot, end);
        for (unsigned row = 0; row < rows; row++) {
                if (row == 0 || row == rows - 1) {
                        print_label(row == 0 ? high : low);
                } else {
                        printf("%*s", (int) LABEL_COLUMNS, "");
                }
                canvas_row(&plot->canvas, row, plot->cli->colour, stdout);
                fputs(end, stdout);
        }
        snprintf(left, sizeof(left), "-%g s", plot->window);
        printf("%*s%-*snow%s", (int) LABEL_COLUMNS, "", (int) columns - 3, left, end);
        return true;
}

static bool draw_screen(struct plot *plot) {
        unsigned columns, rows, legend = (unsigned) plot->curve_count + 2;

        screen_size(&columns, &rows);
        fputs("\033[H", stdout);
        if (columns < LABEL_COLUMNS + 10 || rows < legend + 2) {
                fputs("the window is too small\033[J", stdout);
                return true;
        }
        if (!print_plot(plot, columns - LABEL_COLUMNS, rows - legend, "\033[K\r\n")) {
                return false;
        }
        fputs("\033[J", stdout);
        return true;
}

static bool is_empty(const struct plot *plot) {
        for (size_t c = 0; c < plot->curve_count; c++) {
                if (plot->curves[c].count == 0) {
                        return true;
                }
        }
        return false;
}

/* Returns CLI_OK to go on. */
static int frame(struct plot *plot, uint64_t *next_ns, uint64_t *printed) {
        uint64_t now_ns = slipring_now_ns();

        if (now_ns >= deadline(plot)) {
                cli_error(plot->cli, "no sample for %g s", plot->timeout);
                return CLI_TIMEOUT;
        }
        /* One of several plots may be of nothing; the only one is waited for. */
        if (now_ns < *next_ns || (plot->once && is_empty(plot))) {
                return CLI_OK;
        }
        if (!(plot->screen ? draw_screen(plot) : print_plot(plot, 80 - LABEL_COLUMNS, 16, "\n")) ||
            !live_flush()) {
                return CLI_FAILURE;
        }
        *next_ns = now_ns + (plot->screen ? FRAME_NS : REPORT_NS);
        (*printed)++;
        return CLI_OK;
}

static int loop(struct plot *plot) {
        uint64_t next_ns = plot->once ? 0 : slipring_now_ns() + FRAME_NS, printed = 0;
        int code = CLI_OK, key = KEYS_NONE;
        bool redraw;

        while (code == CLI_OK && !live_stopped() && key != 'q' &&
               (plot->plots == 0 || printed < plot->plots)) {
                for (size_t c = 0; c < plot->curve_count && code == CLI_OK; c++) {
                        code = collect(plot, &plot->curves[c]);
                }
                if (code == CLI_OK) {
                        code = frame(plot, &next_ns, &printed);
                }
                if (code == CLI_OK && (plot->plots == 0 || printed < plot->plots)) {
                        key = screen_wait(live_deadline(slipring_now_ns() + FRAME_NS / 2), &redraw);
                }
        }
        return code;
}

/* Braille is in every font of a terminal that has UTF-8, and in no other. */
static bool has_utf8(void) {
        const char *const names[] = {"LC_ALL", "LC_CTYPE", "LANG"};

        for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
                const char *value = getenv(names[i]);

                if (value && *value) {
                        return strstr(value, "UTF-8") || strstr(value, "utf8") ||
                               strstr(value, "UTF8") || strstr(value, "utf-8");
                }
        }
        return false;
}

static int draw(struct plot *plot, char **names) {
        int code = CLI_OK;

        live_start();
        plot->heard_ns = slipring_now_ns();
        for (size_t c = 0; c < plot->curve_count && code == CLI_OK; c++) {
                code = open_curve(plot, &plot->curves[c], names[c]);
                if (code == CLI_OK && !plot->curves[c].subscriber) {
                        return CLI_OK; /* stopped */
                }
        }
        if (code != CLI_OK) {
                return code;
        }
        if (plot->screen) {
                screen_enter();
        }
        code = loop(plot);
        screen_leave();
        return code;
}

static int plot_run(struct cli *cli, int argc, char **argv) {
        struct plot plot = {.cli = cli, .window = 10, .ascii = !has_utf8()};
        const struct cli_option options[] = {
                {'s', "seconds", "S", "show so many (default 10)", .real = &plot.window},
                {'1', "once", NULL, "print one plot, of what the rings hold", .flag = &plot.once},
                {'n', "count", "N", "end after N plots", .number = &plot.plots},
                {'p', "plain", NULL, "print a plot a second, also on a terminal",
                 .flag = &plot.rows},
                {0, "ascii", NULL, "without braille, as where there is no UTF-8",
                 .flag = &plot.ascii},
                {'w', "wait", NULL, "wait for a topic that is not there yet, or gone",
                 .flag = &plot.wait},
                {0, "timeout", "S", "end with 124 after S seconds without a sample",
                 .real = &plot.timeout},
                {0},
        };
        int code;

        if (!cli_parse(cli, options, &argc, &argv)) {
                return cli->exit_code;
        }
        if (plot.window > 86400) {
                cli_error(cli, "--seconds %g: must be at most 86400", plot.window);
                return CLI_USAGE;
        }
        if (plot.once && plot.plots > 1) {
                cli_error(cli, "--once and -n exclude each other");
                return CLI_USAGE;
        }
        plot.plots = plot.once ? 1 : plot.plots;
        plot.screen = !plot.rows && !plot.once && screen_possible();
        plot.curve_count = (size_t) argc;
        code = draw(&plot, argv);
        for (size_t c = 0; c < plot.curve_count; c++) {
                slipring_subscriber_close(plot.curves[c].subscriber);
                free(plot.curves[c].points);
        }
        canvas_free(&plot.canvas);
        return code;
}

const struct cli_verb cli_plot = {
        .name = "plot",
        .arguments = "TOPIC.FIELD...",
        .least = 1,
        .most = CANVAS_PENS,
        .common = CLI_BUS,
        .summary = "draw fields over time in the terminal",
        .help = "Draws up to 6 numbers over time, beginning with what the rings still hold, until\n"
                "q or Ctrl-C. All share one scale, from the least value shown to the largest. On "
                "a\n"
                "terminal it fills the screen, elsewhere it prints a plot a second.\n"
                "\n"
                "  slipring plot host/cpu.usage\n"
                "  slipring plot imu/front.acceleration.x imu/front.acceleration.y -s 5\n"
                "  slipring plot battery.cells[2].voltage --once\n",
        .run = plot_run,
};
