/*
 * Where messages are found, and which use which.
 *
 * Those that come with slipring go before what an installation of ROS 2 says, so that a schema
 * means the same in every shell; who wants another version of a common package names its directory.
 */

#include "schema/msg.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "schema/file.h"
#include "schema/node.h"
#include "schema/suggest.h"
#include "schema/util.h"

/* Stands among the directories for the messages that come with slipring. */
static const char own_messages[] = "slipring";

/*
 * Directories
 */

static int directory_add(struct msg_store *store, const char *directory) {
        const char **larger;

        larger = reallocarray(store->directories, store->directory_count + 1, sizeof(*larger));
        if (!larger) {
                return -ENOMEM;
        }
        store->directories = larger;
        larger[store->directory_count++] = directory;
        return 0;
}

/* Adds each directory of a list, with a tail behind it. Empty ones are none. */
static int directories_add(struct msg_store *store, const char *list, const char *tail) {
        while (list && *list) {
                size_t length = strcspn(list, ":");
                const char *directory;
                int r;

                if (length > 0) {
                        directory = arena_print(store->arena, "%.*s%s", (int) length, list, tail);
                        if (!directory) {
                                return -ENOMEM;
                        }
                        r = directory_add(store, directory);
                        if (r < 0) {
                                return r;
                        }
                }
                list += length + (list[length] == ':');
        }
        return 0;
}

int msg_store_open(struct msg_store *store, const char *path) {
        int r;

        r = directories_add(store, path, "");
        if (r == 0) {
                r = directories_add(store, getenv("SLIPRING_MSG_PATH"), "");
        }
        if (r == 0) {
                r = directory_add(store, own_messages);
        }
        if (r == 0) {
                r = directories_add(store, getenv("AMENT_PREFIX_PATH"), "/share");
        }
        if (r < 0) {
                msg_store_close(store);
        }
        return r;
}

int msg_store_look(struct msg_store *store, const char *directory) {
        int r;

        r = directory_add(store, directory);
        if (r < 0) {
                return r;
        }
        memmove(store->directories + store->chosen + 1, store->directories + store->chosen,
                (store->directory_count - 1 - store->chosen) * sizeof(*store->directories));
        store->directories[store->chosen++] = directory;
        return 0;
}

void msg_store_close(struct msg_store *store) {
        free(store->directories);
        free(store->messages);
        store->directories = NULL;
        store->directory_count = 0;
        store->chosen = 0;
        store->messages = NULL;
        store->count = 0;
}

/*
 * One message
 */

/* Where a message is in the store, or where it would have to be. */
static bool store_place(const struct msg_store *store, const char *name, size_t *ret_place) {
        size_t low = 0, high = store->count;

        while (low < high) {
                size_t middle = low + (high - low) / 2;
                int order = strcmp(store->messages[middle]->name, name);

                if (order == 0) {
                        *ret_place = middle;
                        return true;
                }
                low = order < 0 ? middle + 1 : low;
                high = order < 0 ? high : middle;
        }
        *ret_place = low;
        return false;
}

static int store_insert(struct msg_store *store, size_t place, struct msg *msg) {
        struct msg **larger;

        /* A power of two is a full array. */
        if ((store->count & (store->count - 1)) == 0) {
                larger = reallocarray(store->messages, store->count ? 2 * store->count : 1,
                                      sizeof(*larger));
                if (!larger) {
                        return -ENOMEM;
                }
                store->messages = larger;
        }
        memmove(store->messages + place + 1, store->messages + place,
                (store->count - place) * sizeof(struct msg *));
        store->messages[place] = msg;
        store->count++;
        return 0;
}

static int embedded_compare(const void *name, const void *embedded) {
        return strcmp(name, ((const struct msg_embedded *) embedded)->name);
}

/* A list about a file. */
static struct diagnostics diagnostics_about(const char *file) {
        struct diagnostics list = {.name = strdup(file)};

        list.failed = !list.name;
        return list;
}

/* Reports a mistake that has no place in a file. */
static void store_report(struct msg_store *store, const char *file, const char *problem) {
        struct diagnostics other = diagnostics_about(file);

        diagnostics_add(&other, DIAGNOSTIC_ERROR, 0, 0, "%s", problem);
        diagnostics_absorb(store->diagnostics, &other);
}

/* Makes a message of a text that was found. All of it lives as long as the arena. */
static int store_parse(struct msg_store *store,
                       size_t place,
                       const char *name,
                       const char *origin,
                       const char *text,
                       size_t bytes) {
        struct diagnostics other = diagnostics_about(origin);
        struct msg *msg = NULL;
        int r;

        r = msg_parse(&msg, store->arena, &other, name, text, bytes);
        diagnostics_finish(&other, text, bytes);
        diagnostics_absorb(store->diagnostics, &other);
        if (r < 0) {
                return r;
        }
        msg->origin = origin;
        return store_insert(store, place, msg);
}

int msg_store_add(struct msg_store *store, const char *name, const char *text, size_t bytes) {
        size_t place;

        if (store_place(store, name, &place)) {
                return -EEXIST;
        }
        if (store->count == MSG_COUNT_MAX || bytes > MSG_BYTES_MAX - store->bytes) {
                return -E2BIG;
        }
        store->bytes += bytes;
        return store_parse(store, place, name, name, text, bytes);
}

/* Looks a message up in one directory. Returns 1 if it was there, 0 if not. */
static int
store_load(struct msg_store *store, size_t place, const char *directory, const char *name) {
        size_t bytes = 0;
        char *path, *copy, *owned, *text = NULL;
        int r;

        path = arena_print(store->arena, "%s/%s.msg", directory, name);
        if (!path) {
                return -ENOMEM;
        }
        r = file_read(path, NODE_FILE_BYTES_MAX, &text, &bytes);
        if (r == -ENOENT || r == -ENOTDIR || r == -ENOMEM) {
                return r == -ENOMEM ? r : 0;
        }
        if (r < 0) {
                store_report(store, path, strerror(-r));
                return -EBADMSG;
        }
        store->bytes += bytes;
        if (bytes > NODE_FILE_BYTES_MAX || store->bytes > MSG_BYTES_MAX) {
                store_report(store, path, "the message is, or all messages together are, too long");
                r = -EBADMSG;
        } else {
                owned = arena_copy(store->arena, name, strlen(name));
                copy = arena_copy(store->arena, text, bytes);
                r = owned && copy ? store_parse(store, place, owned, path, copy, bytes) : -ENOMEM;
        }
        free(text);
        return r < 0 ? r : 1;
}

/* The same for the messages that come with slipring. */
static int store_load_own(struct msg_store *store, size_t place, const char *name) {
        const struct msg_embedded *found;
        int r;

        found = bsearch(name, msg_embedded, msg_embedded_count, sizeof(*found), embedded_compare);
        if (!found) {
                return 0;
        }
        r = store_parse(store, place, found->name, own_messages, found->text, strlen(found->text));
        return r < 0 ? r : 1;
}

/* Finds a message by name, without those that it uses. */
static int store_read(struct msg_store *store, const char *name, struct msg **ret_msg) {
        size_t place;
        int r = 0;

        if (store_place(store, name, &place)) {
                *ret_msg = store->messages[place];
                return 0;
        }
        if (store->count == MSG_COUNT_MAX) {
                store_report(store, name, "there are too many messages");
                return -EBADMSG;
        }
        for (size_t i = 0; r == 0 && i < store->directory_count; i++) {
                const char *directory = store->directories[i];

                r = directory == own_messages ? store_load_own(store, place, name)
                                              : store_load(store, place, directory, name);
        }
        if (r <= 0) {
                return r < 0 ? r : -ENOENT;
        }
        *ret_msg = store->messages[place];
        return 0;
}

/*
 * Messages that use others
 */

static int msg_resolve(struct msg_store *store, struct msg *msg);

/* Reports a mistake at a field, in the message's own file. */
static void field_report(struct msg_store *store,
                         const struct msg *msg,
                         const struct msg_field *field,
                         const char *problem) {
        struct diagnostics other = diagnostics_about(msg->origin);

        diagnostics_add(&other, DIAGNOSTIC_ERROR, field->line, field->column, "%s", problem);
        diagnostics_finish(&other, msg->text, msg->bytes);
        diagnostics_absorb(store->diagnostics, &other);
}

/* Finds the message that a field holds. Returns 1 if it can be used, 0 if a mistake was reported.
 */
static int field_resolve(struct msg_store *store, struct msg *msg, struct msg_field *field) {
        struct buffer problem = {0};
        int r;

        r = store_read(store, field->nested_name, &field->nested);
        if (r == -EBADMSG) {
                return 0;
        }
        if (r == -ENOENT) {
                buffer_print(&problem, "there is no message '%s'", field->nested_name);
                msg_store_describe(store, &problem, field->nested_name);
        } else if (r < 0) {
                return r;
        } else if (field->nested->state == MSG_VISITING) {
                buffer_print(&problem, "message '%s' contains itself", field->nested_name);
        } else if (store->depth == SLIPRING_NESTING_MAX) {
                buffer_print(&problem, "messages are nested deeper than %u levels",
                             SLIPRING_NESTING_MAX);
        } else {
                if (field->nested->state == MSG_READ) {
                        r = msg_resolve(store, field->nested);
                        if (r < 0) {
                                return r;
                        }
                }
                if (field->nested->state == MSG_BROKEN) {
                        return 0;
                }
                if (field->nested->nesting < SLIPRING_NESTING_MAX) {
                        return 1;
                }
                buffer_print(&problem, "messages are nested deeper than %u levels",
                             SLIPRING_NESTING_MAX);
        }
        r = problem.failed ? -ENOMEM : 0;
        if (r == 0) {
                field_report(store, msg, field, problem.text);
        }
        buffer_free(&problem);
        return r;
}

/* Finds all messages that one uses. The depth of nesting bounds the recursion. */
static int msg_resolve(struct msg_store *store, struct msg *msg) {
        bool usable = true;
        int r;

        msg->state = MSG_VISITING;
        msg->nesting = 1;
        store->depth++;
        for (size_t i = 0; i < msg->field_count; i++) {
                struct msg_field *field = &msg->fields[i];

                if (!field->nested_name) {
                        continue;
                }
                r = field_resolve(store, msg, field);
                if (r < 0) {
                        return r;
                }
                usable = usable && r > 0;
                if (r > 0 && field->nested->nesting >= msg->nesting) {
                        msg->nesting = field->nested->nesting + 1;
                }
        }
        store->depth--;
        msg->state = usable ? MSG_DONE : MSG_BROKEN;
        return 0;
}

int msg_store_find(struct msg_store *store, const char *name, struct msg **ret_msg) {
        struct msg *msg = NULL;
        int r;

        r = store_read(store, name, &msg);
        if (r < 0) {
                return r;
        }
        if (msg->state == MSG_READ) {
                r = msg_resolve(store, msg);
                if (r < 0) {
                        return r;
                }
        }
        if (msg->state != MSG_DONE) {
                return -EBADMSG;
        }
        *ret_msg = msg;
        return 0;
}

struct msg *msg_store_known(const struct msg_store *store, const char *name) {
        size_t place;

        return store_place(store, name, &place) ? store->messages[place] : NULL;
}

/* Is it of the package that was meant, or nearly? */
static bool package_near(const char *name, const char *other) {
        char word[SLIPRING_TYPE_NAME_MAX + 1], candidate[SLIPRING_TYPE_NAME_MAX + 1];
        struct suggestion suggestion = {.word = word};

        snprintf(word, sizeof(word), "%.*s", (int) strcspn(name, "/"), name);
        snprintf(candidate, sizeof(candidate), "%.*s", (int) strcspn(other, "/"), other);
        suggestion_offer(&suggestion, candidate);
        return suggestion.best;
}

/* What may have been meant, NULL if nothing is near. Package and name are compared apart: with
 * "_msgs/msg/" between them, all that are short would be near to each other. */
static const char *name_near(const char *name) {
        struct suggestion suggestion = {.word = strrchr(name, '/') + 1};
        const char *near = NULL, *before;

        for (size_t i = 0; i < msg_embedded_count; i++) {
                before = suggestion.best;
                if (package_near(name, msg_embedded[i].name)) {
                        suggestion_offer(&suggestion, strrchr(msg_embedded[i].name, '/') + 1);
                }
                near = suggestion.best == before ? near : msg_embedded[i].name;
        }
        return near;
}

void msg_store_describe(const struct msg_store *store, struct buffer *buffer, const char *name) {
        const char *near = name_near(name);

        buffer_print(buffer, "; ");
        if (near) {
                buffer_print(buffer, "did you mean '%s'? It was ", near);
        }
        buffer_print(buffer, "looked for in ");
        for (size_t i = 0; i < store->directory_count; i++) {
                const char *joint = i == 0 ? "" : i + 1 == store->directory_count ? " and " : ", ";

                buffer_print(buffer, "%s%s", joint,
                             store->directories[i] == own_messages ? "slipring's own messages"
                                                                   : store->directories[i]);
        }
        buffer_print(buffer, " (messages: [DIRECTORY] and SLIPRING_MSG_PATH name more)");
}
