#include "cli/view.h"

#include <errno.h>
#include <grp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sem.h>

#include "bus/claim.h"
#include "bus/error.h"
#include "bus/type.h"
#include "schema/suggest.h"

int view_exit_code(int r) {
        return r == -ENOTUNIQ || r == -EINVAL ? CLI_USAGE : CLI_FAILURE;
}

static int compare_names(const void *left, const void *right) {
        const struct layout_entry *const *a = left, *const *b = right;

        return strcmp((*a)->name, (*b)->name);
}

static int topics_collect(struct view *view) {
        const struct layout_entry *entry;
        const struct layout_entry **larger;

        larger = reallocarray(view->topics, view->table.count + 1, sizeof(*larger));
        if (!larger) {
                return -ENOMEM;
        }
        view->topics = larger;
        view->count = 0;
        for (uint32_t i = 0; i < view->table.count; i++) {
                entry = &view->table.entries[i];
                if (entry->kind == LAYOUT_ENTRY_TOPIC && entry->state == LAYOUT_ENTRY_SERVING) {
                        view->topics[view->count++] = entry;
                }
        }
        if (view->count > 1) {
                qsort(view->topics, view->count, sizeof(*view->topics), compare_names);
        }
        return 0;
}

int view_refresh(struct view *view, struct slipring_error *reterr) {
        int r;

        if (ring_retired(&view->directory.ring)) {
                return error_set(reterr, -EIDRM, "bus '%s' was taken down", view->bus);
        }
        r = directory_read(&view->directory, &view->table, reterr);
        if (r == 0 && topics_collect(view) < 0) {
                r = error_set(reterr, -ENOMEM, "out of memory");
        }
        return r;
}

int view_attach(struct view *view, struct directory *directory, struct slipring_error *reterr) {
        *view = VIEW_NONE;
        view->directory = *directory;
        *directory = (struct directory){.segment = SEGMENT_NONE};
        snprintf(view->bus, sizeof(view->bus), "%s/%s", error_user(view->directory.manager_uid),
                 view->directory.bus);
        return view_refresh(view, reterr);
}

int view_open(const struct cli *cli, struct view *view) {
        struct directory directory = {.segment = SEGMENT_NONE};
        struct slipring_error error = {0};
        int r;

        r = directory_locate(&directory, cli->bus, &error);
        if (r == 0) {
                r = view_attach(view, &directory, &error);
        }
        if (r < 0) {
                cli_error(cli, "%s", error.text);
                view_close(view);
                return view_exit_code(r);
        }
        return CLI_OK;
}

void view_close(struct view *view) {
        directory_detach(&view->directory);
        directory_table_free(&view->table);
        free(view->topics);
        *view = VIEW_NONE;
}

const char *view_topic_name(const char *name) {
        return name[0] == '/' && name[1] ? name + 1 : name;
}

/* The last part of a path, where a topic may be meant by it alone. */
static const char *name_tail(const char *name) {
        const char *slash = strrchr(name, '/');

        return slash ? slash + 1 : name;
}

static const char *topic_suggest(const struct view *view, const char *name) {
        struct suggestion suggestion = {.word = name};

        for (size_t i = 0; i < view->count; i++) {
                suggestion_offer(&suggestion, view->topics[i]->name);
        }
        for (size_t i = 0; i < view->count && !suggestion.best; i++) {
                if (!strcmp(name_tail(view->topics[i]->name), name)) {
                        return view->topics[i]->name;
                }
        }
        return suggestion.best;
}

const struct layout_entry *
view_topic(const struct cli *cli, const struct view *view, const char *name) {
        const struct layout_entry *entry = directory_find(&view->table, view_topic_name(name));
        const char *meant;

        if (entry) {
                return entry;
        }
        meant = topic_suggest(view, view_topic_name(name));
        if (meant) {
                cli_error(cli, "bus '%s' has no topic '%.255s'; did you mean '%s'?", view->bus,
                          view_topic_name(name), meant);
        } else {
                cli_error(cli, "bus '%s' has no topic '%.255s'; slipring list shows its topics",
                          view->bus, view_topic_name(name));
        }
        return NULL;
}

pid_t view_manager(const struct view *view) {
        int id = semget(directory_key(view->directory.manager_uid, view->directory.bus), 0, 0);
        pid_t pid = id < 0 ? 0 : claim_holder(id);

        return pid > 0 ? pid : 0;
}

const char *view_group(gid_t gid) {
        static char number[16];
        const struct group *group = getgrgid(gid);

        if (group) {
                return group->gr_name;
        }
        snprintf(number, sizeof(number), "%u", (unsigned) gid);
        return number;
}

const char *view_process(char name[32], int32_t pid) {
        char path[64];
        FILE *file;

        name[0] = '\0';
        snprintf(path, sizeof(path), "/proc/%d/comm", (int) pid);
        file = fopen(path, "re");
        if (file) {
                if (!fgets(name, 32, file)) {
                        name[0] = '\0';
                }
                fclose(file);
        }
        name[strcspn(name, "\n")] = '\0';
        /* A process may call itself anything: not into our terminal. */
        for (char *at = name; *at; at++) {
                *at = (unsigned char) *at < 0x20 || (unsigned char) *at >= 0x7f ? '?' : *at;
        }
        return name;
}

void view_report_field(const struct cli *cli,
                       const struct slipring_type *type,
                       const struct selection_failure *failure,
                       const struct slipring_error *error) {
        struct suggestion suggestion = {.word = failure->word};

        for (uint32_t i = 0; *failure->word && i < failure->count; i++) {
                const struct slipring_field *field = &type->fields[failure->first + i];

                if (!type_is_hidden(field)) {
                        suggestion_offer(&suggestion, field->name);
                }
        }
        if (suggestion.best) {
                cli_error(cli, "%s; did you mean '%s'?", error->text, suggestion.best);
        } else {
                cli_error(cli, "%s", error->text);
        }
}
