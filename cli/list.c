/*
 * slipring list: the topics of a bus.
 */

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "bus/error.h"
#include "cli/json.h"
#include "cli/live.h"
#include "cli/view.h"
#include "subscribers/look.h"

struct list {
        struct cli *cli;
        bool types;
        bool verbose;
        bool count;
        bool all;
        size_t refused; /* topics that this user may not look at */
};

/* One topic with what a glance at it told; @r is what it said. */
struct row {
        const struct layout_entry *entry;
        struct look look;
        int r;
};

static struct row *rows_look(struct list *list, const struct view *view) {
        struct row *rows = calloc(view->count + 1, sizeof(*rows));

        for (size_t i = 0; rows && i < view->count; i++) {
                rows[i].entry = view->topics[i];
                rows[i].r = look_at(&rows[i].look, rows[i].entry, NULL);
                list->refused += rows[i].r < 0;
        }
        return rows;
}

static void rate_print(const struct row *row) {
        if (row->look.rate_hz > 0) {
                printf(", %.4g Hz", row->look.rate_hz);
        }
        if (row->entry->rate_hz > 0) {
                printf("%s %.4g Hz", row->look.rate_hz > 0 ? " of" : ", nominal",
                       row->entry->rate_hz);
        }
}

static void row_print(const struct row *row) {
        char text[32];

        printf(" * %s [%s]", row->entry->name, row->entry->type_name);
        if (row->r < 0) {
                fputs(" -\n", stdout);
                return;
        }
        if (row->look.publishers > 1) {
                printf(" %" PRIu32 " publishers, last", row->look.publishers);
        } else if (row->look.publishers) {
                fputs(" publisher", stdout);
        }
        if (row->look.publishers) {
                printf(" %d", (int) row->look.publisher_pid);
                if (*view_process(text, row->look.publisher_pid)) {
                        printf(" (%s)", text);
                }
        } else {
                fputs(" no publisher", stdout);
        }
        rate_print(row);
        if (row->look.age_ns == UINT64_MAX) {
                fputs(", no sample yet", stdout);
        } else {
                printf(", age %s", cli_duration(text, row->look.age_ns));
        }
        puts(row->look.stale ? ", stale" : "");
}

enum group { PUBLISHED, UNPUBLISHED, UNREADABLE };

static enum group group_of(const struct row *row) {
        if (row->r < 0) {
                return UNREADABLE;
        }
        return row->look.publishers ? PUBLISHED : UNPUBLISHED;
}

static void group_print(const char *title, const struct row *rows, size_t count, enum group group) {
        bool titled = false;

        for (size_t i = 0; i < count; i++) {
                if (group_of(&rows[i]) != group) {
                        continue;
                }
                if (!titled) {
                        puts(title);
                        titled = true;
                }
                row_print(&rows[i]);
        }
        if (titled) {
                putchar('\n');
        }
}

static int print_verbose(struct list *list, const struct view *view) {
        struct row *rows = rows_look(list, view);

        if (!rows) {
                cli_error(list->cli, "out of memory");
                return CLI_FAILURE;
        }
        group_print("Published topics:", rows, view->count, PUBLISHED);
        group_print("Topics without a publisher:", rows, view->count, UNPUBLISHED);
        group_print("Topics that this user cannot read:", rows, view->count, UNREADABLE);
        free(rows);
        return CLI_OK;
}

static void print_names(const struct list *list, const struct view *view, const char *indent) {
        for (size_t i = 0; i < view->count; i++) {
                printf("%s%s", indent, view->topics[i]->name);
                if (list->types) {
                        printf(" [%s]", view->topics[i]->type_name);
                }
                putchar('\n');
        }
}

static void row_json(struct json *json, const struct row *row) {
        bool readable = row->r == 0, sampled = readable && row->look.age_ns != UINT64_MAX;

        json_open(json, NULL, '{');
        json_text(json, "name", row->entry->name);
        json_text(json, "type", row->entry->type_name);
        json_bool(json, "readable", readable);
        json_real(json, "nominal_rate_hz", row->entry->rate_hz);
        if (readable) {
                json_real(json, "rate_hz", row->look.rate_hz);
                json_integer(json, "publisher_pid", row->look.publisher_pid);
                json_unsigned(json, "publishers", row->look.publishers);
                json_unsigned(json, "sequence", row->look.sequence);
                json_bool(json, "stale", row->look.stale);
        }
        if (sampled) {
                json_unsigned(json, "age_ns", row->look.age_ns);
        } else if (readable) {
                json_null(json, "age_ns");
        }
        json_close(json);
}

static int print_json(struct list *list, const struct view *view, struct json *json) {
        struct row *rows = rows_look(list, view);

        if (!rows) {
                cli_error(list->cli, "out of memory");
                return CLI_FAILURE;
        }
        json_open(json, NULL, '{');
        json_text(json, "bus", view->bus);
        json_integer(json, "manager_pid", view_manager(view));
        json_open(json, "topics", '[');
        for (size_t i = 0; i < view->count; i++) {
                row_json(json, &rows[i]);
        }
        json_close(json);
        json_close(json);
        free(rows);
        return CLI_OK;
}

static int print_view(struct list *list, const struct view *view, struct json *json) {
        if (list->cli->json) {
                return print_json(list, view, json);
        }
        if (list->all) {
                printf("%s:%s", view->bus, list->count ? " " : "\n");
        }
        if (list->count) {
                printf("%zu\n", view->count);
                return CLI_OK;
        }
        if (list->verbose) {
                return print_verbose(list, view);
        }
        print_names(list, view, list->all ? "  " : "");
        return CLI_OK;
}

static void note_refused(const struct list *list) {
        if (list->refused) {
                cli_error(list->cli,
                          "%zu of these topics cannot be read by this user; slipring info TOPIC "
                          "says why",
                          list->refused);
        }
}

static int list_one(struct list *list) {
        struct json json = {.out = stdout};
        struct view view = VIEW_NONE;
        int code;

        code = view_open(list->cli, &view);
        if (code != CLI_OK) {
                return code;
        }
        code = print_view(list, &view, &json);
        view_close(&view);
        note_refused(list);
        return code;
}

static int list_all(struct list *list) {
        struct json json = {.out = stdout};
        struct directory *buses = NULL;
        int r, code = CLI_OK;
        size_t count = 0;

        r = directory_list(&buses, &count);
        if (r < 0) {
                cli_error(list->cli, "cannot look for buses: %s", strerror(-r));
                return CLI_FAILURE;
        }
        if (list->cli->json) {
                json_open(&json, NULL, '[');
        } else if (count == 0) {
                cli_error(list->cli, "there is no bus that this user can read; start one with "
                                     "'slipring up FILE'");
        }
        for (size_t i = 0; i < count; i++) {
                struct slipring_error error = {0};
                struct view view;
                int attached = view_attach(&view, &buses[i], &error);

                if (attached < 0 && attached != -EIDRM) {
                        cli_error(list->cli, "%s", error.text);
                } else if (attached == 0 && code == CLI_OK) {
                        code = print_view(list, &view, &json);
                }
                view_close(&view);
        }
        if (list->cli->json) {
                json_close(&json);
        }
        free(buses);
        note_refused(list);
        return count || list->cli->json ? code : CLI_FAILURE;
}

static int list_run(struct cli *cli, int argc, char **argv) {
        struct list list = {.cli = cli};
        const struct cli_option options[] = {
                {'t', "show-types", NULL, "print each topic's type, too", .flag = &list.types},
                {'v', "verbose", NULL, "print publisher, rate and age, too", .flag = &list.verbose},
                {'c', "count-topics", NULL, "print how many there are", .flag = &list.count},
                {'a', "all-buses", NULL, "of all buses that this user can read", .flag = &list.all},
                {0},
        };

        if (!cli_parse(cli, options, &argc, &argv)) {
                return cli->exit_code;
        }
        if (list.all && cli->bus) {
                cli_error(cli, "--all-buses and --bus exclude each other");
                return CLI_USAGE;
        }
        return list.all ? list_all(&list) : list_one(&list);
}

const struct cli_verb cli_list = {
        .name = "list",
        .arguments = "",
        .least = 0,
        .most = 0,
        .common = CLI_BUS | CLI_JSON,
        .summary = "print the topics of a bus",
        .help = "Prints the names of a bus's topics, one a line. Rates are measured over the\n"
                "samples that each topic's ring holds; '-' stands for what this user may not\n"
                "read.\n"
                "\n"
                "  slipring list                      names\n"
                "  slipring list -t                   names and types\n"
                "  slipring list -v                   who publishes, how fast, how old\n"
                "  slipring list -a                   all buses of this machine\n"
                "  slipring list --json | jq -r '.topics[] | select(.stale) | .name'\n",
        .run = list_run,
};
