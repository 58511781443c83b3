/*
 * slipring top: all topics of a bus, live.
 *
 * It subscribes to every topic and looks at all of them in time to miss none (as far as two
 * milliseconds a round go), but never sleeps on one: its publishers do not pay for it.
 */

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "bus/error.h"
#include "cli/json.h"
#include "cli/live.h"
#include "cli/screen.h"
#include "cli/table.h"
#include "cli/view.h"

#define ROUND_MIN_NS UINT64_C(2000000)
#define ROUND_MAX_NS UINT64_C(100000000)
#define REPORT_NS UINT64_C(1000000000)

struct row {
        char name[SLIPRING_TOPIC_NAME_MAX + 1];
        char type[SLIPRING_TYPE_NAME_MAX + 1];
        struct slipring_subscriber *subscriber; /* NULL: cannot be read */
        struct slipring_subscriber_info info;
        uint32_t payload_bytes;
        uint64_t sequence;   /* at the report before */
        uint64_t counted_ns; /* when that was */
        double rate_hz;
        double nominal_hz;
        bool listed; /* the directory has it */
};

struct top {
        struct cli *cli;
        struct view view;
        char bus[160]; /* which one, should it go and come again */
        bool up;
        pid_t manager;
        struct row *rows;
        size_t count;
        uint64_t reports; /* 0: without end */
        bool wait;
        bool screen;
        int sort; /* a key, see below */
        bool reverse;
        bool paused;
        size_t first; /* row at the top of the screen */
};

/*
 * Rows
 */

static bool row_silent(const struct row *row) {
        double age = (double) row->info.age_ns / 1e9;

        return row->info.age_ns == UINT64_MAX || (age > 1 && age * row->info.rate_hz > 3);
}

/* Over the last second where enough came, else over what the ring holds. */
static void row_measure(struct row *row) {
        uint64_t now = slipring_now_ns(), samples;

        samples = row->info.sequence > row->sequence ? row->info.sequence - row->sequence : 0;
        if (row->counted_ns && samples >= 20 && now > row->counted_ns) {
                row->rate_hz = (double) samples * 1e9 / (double) (now - row->counted_ns);
        } else {
                row->rate_hz = row_silent(row) ? 0 : row->info.rate_hz;
        }
        row->sequence = row->info.sequence;
        row->counted_ns = now;
}

static void row_adopt(struct row *row) {
        row->payload_bytes = slipring_subscriber_type(row->subscriber)->payload_bytes;
        snprintf(row->type, sizeof(row->type), "%s",
                 slipring_subscriber_type(row->subscriber)->name);
        row->sequence = 0;
        row->counted_ns = 0;
}

static void row_open(struct top *top, struct row *row) {
        struct slipring_subscriber_options options = {
                .size = sizeof(options),
                .start = SLIPRING_START_NEXT,
                .bus = top->bus,
        };

        if (slipring_subscriber_open(&row->subscriber, row->name, &options, NULL) == 0) {
                row_adopt(row);
        }
}

static void row_close(struct row *row) {
        row->subscriber = slipring_subscriber_close(row->subscriber);
}

/* Pass over all that came. What one topic may keep us is bounded by its depth. */
static void row_drain(struct row *row) {
        struct slipring_sample sample;
        uint32_t left = row->info.depth + 1;
        int r = 0;

        while (row->subscriber && left-- > 0 &&
               (r = slipring_subscriber_borrow(row->subscriber, &sample)) == 1) {
                /* Overwritten just now: it counts as missed, which the info tells. */
                if (slipring_subscriber_release(row->subscriber) == -ESTALE) {
                        break;
                }
        }
        if (!row->subscriber || r >= 0 || r == -EAGAIN) {
                return;
        }
        if (r == -EIDRM && slipring_subscriber_move(row->subscriber, 0, NULL) == 0) {
                row_adopt(row);
        } else {
                /* Tried anew at the next report, if it is still listed. */
                row_close(row);
        }
}

/* The nearest to sleep until every ring is half full. */
static uint64_t round_ns(const struct top *top) {
        uint64_t round = ROUND_MAX_NS;

        for (size_t i = 0; i < top->count; i++) {
                const struct row *row = &top->rows[i];
                double rate = row->rate_hz > row->nominal_hz ? row->rate_hz : row->nominal_hz;
                double half = rate > 0 ? (row->info.depth - 1) / 2.0 / rate * 1e9 : 1e9;

                if (row->subscriber && half < (double) round) {
                        round = (uint64_t) half;
                }
        }
        return round > ROUND_MIN_NS ? round : ROUND_MIN_NS;
}

/*
 * The bus
 */

static struct row *row_find(struct top *top, const char *name) {
        for (size_t i = 0; i < top->count; i++) {
                if (!strcmp(top->rows[i].name, name)) {
                        return &top->rows[i];
                }
        }
        return NULL;
}

static struct row *row_add(struct top *top, const char *name) {
        struct row *rows = reallocarray(top->rows, top->count + 1, sizeof(*rows));

        if (!rows) {
                return NULL;
        }
        top->rows = rows;
        rows[top->count] = (struct row){0};
        snprintf(rows[top->count].name, sizeof(rows->name), "%s", name);
        return &rows[top->count++];
}

static void rows_drop_unlisted(struct top *top) {
        size_t kept = 0;

        for (size_t i = 0; i < top->count; i++) {
                if (top->rows[i].listed) {
                        top->rows[kept++] = top->rows[i];
                } else {
                        row_close(&top->rows[i]);
                }
        }
        top->count = kept;
}

static void rows_sync(struct top *top) {
        for (size_t i = 0; i < top->count; i++) {
                top->rows[i].listed = false;
        }
        for (size_t i = 0; i < top->view.count; i++) {
                const struct layout_entry *entry = top->view.topics[i];
                struct row *row = row_find(top, entry->name);

                row = row ? row : row_add(top, entry->name);
                if (!row) {
                        continue;
                }
                row->listed = true;
                row->nominal_hz = entry->rate_hz;
                snprintf(row->type, sizeof(row->type), "%s", entry->type_name);
                if (!row->subscriber) {
                        row_open(top, row);
                }
        }
        rows_drop_unlisted(top);
}

static void bus_lost(struct top *top) {
        for (size_t i = 0; i < top->count; i++) {
                row_close(&top->rows[i]);
        }
        top->count = 0;
        top->up = false;
        view_close(&top->view);
}

static void bus_find(struct top *top) {
        struct directory directory = {.segment = SEGMENT_NONE};

        if (directory_locate(&directory, top->bus, NULL) < 0) {
                return;
        }
        if (view_attach(&top->view, &directory, NULL) < 0) {
                view_close(&top->view);
                return;
        }
        top->up = true;
}

static void refresh(struct top *top) {
        int r = 0;

        if (top->up) {
                r = view_refresh(&top->view, NULL);
                /* Too fast for us once is no reason to give up what we have. */
                if (r < 0 && r != -EAGAIN) {
                        bus_lost(top);
                }
        }
        if (!top->up) {
                bus_find(top);
        }
        if (top->up && r == 0) {
                rows_sync(top);
        }
        top->manager = top->up ? view_manager(&top->view) : 0;
        for (size_t i = 0; i < top->count; i++) {
                struct row *row = &top->rows[i];

                if (row->subscriber && slipring_subscriber_info(row->subscriber, &row->info) == 0) {
                        row_measure(row);
                }
        }
}

/*
 * Order
 */

static double bandwidth(const struct row *row) {
        return row->rate_hz * row->payload_bytes;
}

static int compare_numbers(double a, double b) {
        return a > b ? -1 : a < b;
}

/* qsort(3) has no place for it. */
static const struct top *sorting;

static int compare_rows(const void *left, const void *right) {
        const struct row *a = left, *b = right;
        int order = 0;

        switch (sorting->sort) {
        case 'r':
                order = compare_numbers(a->rate_hz, b->rate_hz);
                break;
        case 'a':
                order = compare_numbers((double) a->info.age_ns, (double) b->info.age_ns);
                break;
        case 'm':
                order = compare_numbers((double) a->info.missed, (double) b->info.missed);
                break;
        case 'b':
                order = compare_numbers(bandwidth(a), bandwidth(b));
                break;
        default:
                break;
        }
        order = order ? order : strcmp(a->name, b->name);
        return sorting->reverse ? -order : order;
}

static void rows_sort(struct top *top) {
        sorting = top;
        if (top->count > 1) {
                qsort(top->rows, top->count, sizeof(*top->rows), compare_rows);
        }
}

/*
 * Text
 */

#define COLUMNS 10

static const char *const heads[COLUMNS] = {"TOPIC", "TYPE",   "HZ", "NOMINAL", "AGE",
                                           "STALE", "MISSED", "BW", "PID",     "ATT"};

struct cells {
        char text[COLUMNS][264];
};

static void cells_unreadable(struct cells *cells) {
        for (size_t i = 2; i < COLUMNS; i++) {
                strcpy(cells->text[i], "-");
        }
}

/* Of several the one of the newest sample, and how many others there are. */
static void publisher_cell(char text[32], const struct row *row) {
        if (row->info.publishers > 1) {
                snprintf(text, 32, "%d+%" PRIu32, (int) row->info.publisher_pid,
                         row->info.publishers - 1);
        } else {
                snprintf(text, 32, row->info.publishers ? "%d" : "-",
                         (int) row->info.publisher_pid);
        }
}

static void cells_fill(struct cells *cells, const struct row *row) {
        const char *slash = strrchr(row->type, '/');
        char text[32];

        snprintf(cells->text[0], sizeof(cells->text[0]), "%s", row->name);
        snprintf(cells->text[1], sizeof(cells->text[1]), "%s", slash ? slash + 1 : row->type);
        if (!row->subscriber) {
                cells_unreadable(cells);
                return;
        }
        snprintf(cells->text[2], 32, "%.1f", row->rate_hz);
        snprintf(cells->text[3], 32, row->nominal_hz > 0 ? "%.4g" : "-", row->nominal_hz);
        snprintf(cells->text[4], 32, "%s",
                 row->info.age_ns == UINT64_MAX ? "-" : cli_duration(text, row->info.age_ns));
        strcpy(cells->text[5], row->info.stale ? "STALE" : "");
        snprintf(cells->text[6], 32, "%" PRIu64, row->info.missed);
        snprintf(cells->text[7], 32, "%s", cli_rate(text, bandwidth(row)));
        publisher_cell(cells->text[8], row);
        /* This command does not count itself. */
        snprintf(cells->text[9], 32, "%" PRIu32, row->info.attached ? row->info.attached - 1 : 0);
}

static void title(const struct top *top, char *text, size_t bytes) {
        char manager[32] = "no manager", rate[32];
        size_t stale = 0, silent = 0;
        double sum = 0;

        for (size_t i = 0; i < top->count; i++) {
                stale += top->rows[i].subscriber && top->rows[i].info.stale;
                silent += top->rows[i].subscriber && !top->rows[i].info.publishers;
                sum += top->rows[i].subscriber ? bandwidth(&top->rows[i]) : 0;
        }
        if (top->manager) {
                snprintf(manager, sizeof(manager), "manager %d", (int) top->manager);
        }
        if (!top->up) {
                snprintf(text, bytes, "bus %s is down, waiting for it", top->bus);
                return;
        }
        snprintf(text, bytes, "bus %s (%s): %zu topics, %zu without publisher, %zu stale, %s",
                 top->bus, manager, top->count, silent, stale, cli_rate(rate, sum));
}

static void print_plain(struct top *top) {
        struct table table = {.align = "llrrrlrrrr"};
        struct cells cells;
        char text[512];

        title(top, text, sizeof(text));
        puts(text);
        for (size_t i = 0; i < COLUMNS; i++) {
                table_cell(&table, "%s", heads[i]);
        }
        for (size_t i = 0; i < top->count; i++) {
                cells_fill(&cells, &top->rows[i]);
                for (size_t j = 0; j < COLUMNS; j++) {
                        table_cell(&table, "%s", cells.text[j]);
                }
        }
        if (top->up) {
                table_print(&table, stdout, top->cli->colour);
        }
        putchar('\n');
        table_free(&table);
}

static void row_json(struct json *json, const struct row *row) {
        json_open(json, NULL, '{');
        json_text(json, "name", row->name);
        json_text(json, "type", row->type);
        json_bool(json, "readable", row->subscriber != NULL);
        json_real(json, "nominal_rate_hz", row->nominal_hz);
        if (row->subscriber) {
                json_real(json, "rate_hz", row->rate_hz);
                if (row->info.age_ns == UINT64_MAX) {
                        json_null(json, "age_ns");
                } else {
                        json_unsigned(json, "age_ns", row->info.age_ns);
                }
                json_bool(json, "stale", row->info.stale);
                json_unsigned(json, "sequence", row->info.sequence);
                json_unsigned(json, "missed", row->info.missed);
                json_real(json, "bytes_per_second", bandwidth(row));
                json_integer(json, "publisher_pid", row->info.publisher_pid);
                json_unsigned(json, "publishers", row->info.publishers);
                json_unsigned(json, "attached", row->info.attached ? row->info.attached - 1 : 0);
        }
        json_close(json);
}

static void print_json(struct top *top) {
        struct json json = {.out = stdout, .compact = true};

        json_open(&json, NULL, '{');
        json_text(&json, "bus", top->bus);
        json_bool(&json, "up", top->up);
        json_integer(&json, "manager_pid", top->manager);
        json_unsigned(&json, "time_ns", slipring_now_ns());
        json_open(&json, "topics", '[');
        for (size_t i = 0; i < top->count; i++) {
                row_json(&json, &top->rows[i]);
        }
        json_close(&json);
        json_close(&json);
}

/*
 * Screen
 */

/* Widths of the columns: as wide as their widest cell, the type's cut where the window is narrow.
 */
static void widths_fit(const struct top *top, unsigned columns, size_t widths[COLUMNS]) {
        const size_t least[COLUMNS] = {5, 4, 7, 7, 8, 5, 6, 9, 7, 3};
        struct cells cells;
        size_t total = 0;

        memcpy(widths, least, sizeof(least));
        for (size_t i = 0; i < top->count; i++) {
                cells_fill(&cells, &top->rows[i]);
                for (size_t j = 0; j < COLUMNS; j++) {
                        size_t length = strlen(cells.text[j]);

                        widths[j] = length > widths[j] ? length : widths[j];
                }
        }
        for (size_t j = 0; j < COLUMNS; j++) {
                total += widths[j] + 1;
        }
        /* Topics are known by their names: the type gives way first, then the name. */
        for (size_t j = 2; j-- > 0 && total > columns;) {
                size_t spare = total - columns, most = widths[j] - (j ? 0 : 8);

                spare = spare < most ? spare : most;
                widths[j] -= spare;
                total -= spare;
        }
}

static void
draw_cells(FILE *out, const struct cells *cells, const size_t widths[COLUMNS], unsigned columns) {
        char line[2048];
        size_t length = 0;

        for (size_t j = 0; j < COLUMNS && length < sizeof(line) - 300; j++) {
                int width = (int) widths[j];

                if (width == 0) {
                        continue;
                }
                length += (size_t) snprintf(line + length, sizeof(line) - length,
                                            j < 2 || j == 5 ? "%-*.*s " : "%*.*s ", width, width,
                                            cells->text[j]);
        }
        fprintf(out, "%.*s", (int) (length < columns ? length : columns), line);
}

static void
draw_line(FILE *out, const char *style, bool colour, const char *text, unsigned columns) {
        fprintf(out, "%s%.*s%s\033[K\r\n", colour ? style : "", (int) columns, text,
                colour ? "\033[0m" : "");
}

static void draw_rows(struct top *top, FILE *out, unsigned columns, unsigned rows) {
        size_t widths[COLUMNS];
        struct cells cells;

        widths_fit(top, columns, widths);
        for (size_t j = 0; j < COLUMNS; j++) {
                strcpy(cells.text[j], heads[j]);
        }
        fputs(top->cli->colour ? "\033[7m" : "", out);
        draw_cells(out, &cells, widths, columns);
        fputs(top->cli->colour ? "\033[0m\033[K\r\n" : "\033[K\r\n", out);
        for (size_t i = top->first; i < top->count && i < top->first + rows; i++) {
                const struct row *row = &top->rows[i];
                bool bad = row->subscriber && row->info.stale;

                cells_fill(&cells, row);
                fputs(top->cli->colour && bad ? "\033[31m" : "", out);
                draw_cells(out, &cells, widths, columns);
                fputs(top->cli->colour && bad ? "\033[0m\033[K\r\n" : "\033[K\r\n", out);
        }
}

static void draw(struct top *top) {
        unsigned columns, rows, body;
        char text[512], *page = NULL;
        size_t bytes = 0;
        FILE *out;

        screen_size(&columns, &rows);
        /* Title, head, keys. */
        body = rows > 4 ? rows - 3 : 1;
        if (top->first + body > top->count) {
                top->first = top->count > body ? top->count - body : 0;
        }
        out = open_memstream(&page, &bytes);
        if (!out) {
                return;
        }
        fputs("\033[H", out);
        title(top, text, sizeof(text));
        draw_line(out, "\033[1m", top->cli->colour, text, columns);
        draw_rows(top, out, columns, body);
        fputs("\033[J", out);
        snprintf(text, sizeof(text),
                 "q quit  sort: t topic  r rate  a age  m missed  b bandwidth  space %s%s",
                 top->paused ? "go on" : "pause", top->count > body ? "  arrows scroll" : "");
        fprintf(out, "\033[%u;1H%s%.*s%s", rows, top->cli->colour ? "\033[2m" : "", (int) columns,
                text, top->cli->colour ? "\033[0m" : "");
        fclose(out);
        fwrite(page, 1, bytes, stdout);
        free(page);
}

/* Returns false to end. */
static bool key_press(struct top *top, int key) {
        unsigned columns, rows;

        screen_size(&columns, &rows);
        switch (key) {
        case 'q':
        case 'Q':
                return false;
        case 't':
        case 'r':
        case 'a':
        case 'm':
        case 'b':
                top->reverse = top->sort == key && !top->reverse;
                top->sort = key;
                break;
        case ' ':
                top->paused = !top->paused;
                break;
        case KEYS_UP:
        case 'k':
                top->first -= top->first > 0;
                break;
        case KEYS_DOWN:
        case 'j':
                top->first++;
                break;
        case KEYS_PAGE_UP:
                top->first -= top->first < rows ? top->first : rows;
                break;
        case KEYS_PAGE_DOWN:
                top->first += rows;
                break;
        default:
                break;
        }
        return true;
}

/*
 * All
 */

static bool show(struct top *top) {
        rows_sort(top);
        if (top->screen) {
                draw(top);
        } else if (top->cli->json) {
                print_json(top);
        } else {
                print_plain(top);
        }
        return live_flush();
}

/* Sleep and drain until the next report is due. Returns false to end. */
static bool watch(struct top *top, uint64_t report_ns) {
        bool redraw = false;

        while (!live_stopped() && slipring_now_ns() < report_ns) {
                uint64_t until = slipring_now_ns() + round_ns(top);
                int key = screen_wait(until < report_ns ? until : report_ns, &redraw);

                if (key != KEYS_NONE && !key_press(top, key)) {
                        return false;
                }
                if ((key != KEYS_NONE || redraw) && !show(top)) {
                        return false;
                }
                for (size_t i = 0; i < top->count; i++) {
                        row_drain(&top->rows[i]);
                }
        }
        return !live_stopped();
}

static int loop(struct top *top) {
        uint64_t report_ns = slipring_now_ns(), reported = 0;

        do {
                if (!top->paused) {
                        refresh(top);
                        if (!show(top)) {
                                return CLI_FAILURE;
                        }
                }
                report_ns += REPORT_NS;
        } while ((top->reports == 0 || ++reported < top->reports) && watch(top, report_ns));
        return CLI_OK;
}

/* The bus by its full name, so that another one that starts later is not taken for it. */
static int top_open(struct top *top) {
        struct directory directory = {.segment = SEGMENT_NONE};
        struct slipring_error error = {0};
        bool said = false, redraw;
        int r;

        while ((r = directory_locate(&directory, top->cli->bus, &error)) < 0) {
                if (live_stopped()) {
                        return CLI_OK;
                }
                if (r != -ENOENT || !top->wait) {
                        cli_error(top->cli, "%s", error.text);
                        return view_exit_code(r);
                }
                if (!said) {
                        cli_error(top->cli, "waiting: %s", error.text);
                        said = true;
                }
                screen_wait(live_deadline(SLIPRING_FOREVER), &redraw);
        }
        snprintf(top->bus, sizeof(top->bus), "%s/%s", error_user(directory.manager_uid),
                 directory.bus);
        directory_detach(&directory);
        return CLI_OK;
}

static int top_run(struct cli *cli, int argc, char **argv) {
        struct top top = {.cli = cli, .view = VIEW_NONE, .sort = 't'};
        bool plain = false;
        const struct cli_option options[] = {
                {'n', "count", "N", "end after N reports", .number = &top.reports},
                {'p', "plain", NULL, "print rows, also on a terminal", .flag = &plain},
                {0, "wait", NULL, "wait for a bus that is not there yet", .flag = &top.wait},
                {0},
        };
        int code;

        if (!cli_parse(cli, options, &argc, &argv)) {
                return cli->exit_code;
        }
        live_start();
        code = top_open(&top);
        if (code == CLI_OK && *top.bus) {
                top.screen = !plain && !cli->json && screen_possible();
                if (top.screen) {
                        screen_enter();
                }
                code = loop(&top);
                screen_leave();
        }
        bus_lost(&top);
        free(top.rows);
        return code;
}

const struct cli_verb cli_top = {
        .name = "top",
        .arguments = "",
        .least = 0,
        .most = 0,
        .common = CLI_BUS | CLI_JSON,
        .summary = "watch all topics",
        .help = "Shows all topics of a bus once a second: rate beside the schema's nominal one,\n"
                "age of the newest sample, what this command missed, bandwidth, the publisher's\n"
                "pid and the number of processes that have the topic attached (manager and\n"
                "publisher included). On a terminal it fills the screen, elsewhere it prints "
                "rows.\n"
                "It goes on when the manager dies, topics are replaced or the bus is restarted.\n"
                "\n"
                "  slipring top\n"
                "  slipring top -n 10 >log         ten reports\n"
                "  slipring top --json -n 1 | jq '.topics[] | {name, rate_hz}'\n",
        .run = top_run,
};
