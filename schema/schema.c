/*
 * From a file to a bus.
 */

#include "schema/schema.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "schema/file.h"
#include "schema/loader.h"
#include "schema/names.h"
#include "schema/util.h"
#include "schema/value.h"

/* Each message is looked for in all of them. */
#define DIRECTORIES_MAX 64u

/* The schema and what owns it. The schema comes first: to callers this is one object. */
struct loaded {
        struct schema schema;
        struct arena arena;
};

struct schema *schema_free(struct schema *schema) {
        struct loaded *loaded = (struct loaded *) schema;

        if (loaded) {
                arena_free(&loaded->arena);
        }
        free(loaded);
        return NULL;
}

/*
 * The top level
 */

/* Returns whether the file is of a version that can be read. */
static bool version_read(struct loader *loader, const struct node *root) {
        const struct node *value = node_get(root, "slipring");
        uint64_t version = 0;
        bool negative = false;

        if (!node_get_key(root, "slipring")) {
                loader_error(loader, root,
                             "the key 'slipring' is missing: begin with 'slipring: 1'");
                return true;
        }
        if (!value || !value_is_number(loader, value, "slipring")) {
                return true;
        }
        if (value_integer(value->text, &negative, &version) < 0 || negative || version == 0) {
                loader_error(loader, value,
                             "slipring '%.64s' is not a version of the schema language, such as 1",
                             value->text);
                return true;
        }
        if (version != 1) {
                loader_error(
                        loader, value,
                        "version %.64s of the schema language is unknown to slipring %s, which "
                        "reads version 1",
                        value->text, SLIPRING_VERSION);
                return false;
        }
        return true;
}

/* Reads "bus" or "package". Returns NULL where a mistake was reported or the key is missing. */
static const char *name_read(struct loader *loader, const struct node *root, const char *key) {
        const struct node *value = node_get(root, key);

        if (!value || !value_is(loader, value, NODE_TEXT, key)) {
                return NULL;
        }
        if (!name_is_snake(value->text)) {
                loader_error(
                        loader, value,
                        "%s name '%.64s' must be in small letters, digits and single underscores, "
                        "and begin with a letter",
                        key, value->text);
                return NULL;
        }
        if (strlen(value->text) > SLIPRING_BUS_NAME_MAX) {
                loader_error(loader, value, "%s name is longer than %u characters", key,
                             SLIPRING_BUS_NAME_MAX);
                return NULL;
        }
        /* Generated names begin with it and would meet those of the libraries. */
        if (!strncmp(value->text, "slipring", 8) && (!value->text[8] || value->text[8] == '_')) {
                loader_error(loader, value, "%s name '%s' is reserved", key, value->text);
                return NULL;
        }
        return value->text;
}

/* Others know those types by name, and have their own idea of what is in them. */
static void package_warn(struct loader *loader, const struct node *root) {
        const char *package = loader->schema->package;
        const char *key = package == loader->schema->bus ? "bus" : "package";
        size_t length = strlen(package);

        for (size_t i = 0; i < msg_embedded_count; i++) {
                if (!strncmp(msg_embedded[i].name, package, length) &&
                    msg_embedded[i].name[length] == '/') {
                        loader_warning(loader, node_get(root, key),
                                       "package '%s' is one of ROS 2: programs that know it take "
                                       "the types of this file for its messages",
                                       package);
                        return;
                }
        }
}

static void names_read(struct loader *loader, const struct node *root) {
        struct schema *schema = loader->schema;

        schema->bus = name_read(loader, root, "bus");
        if (!node_get_key(root, "bus")) {
                loader_error(loader, root, "the key 'bus' is missing");
        }
        schema->package = name_read(loader, root, "package");
        if (!schema->bus) {
                schema->bus = "bus";
        }
        if (!schema->package) {
                schema->package = schema->bus;
        }
        package_warn(loader, root);
}

static int defaults_read(struct loader *loader, const struct node *root) {
        static const char *const keys[] = {"depth", "owner", "group", "mode", "lock"};
        const struct node *defaults = node_get(root, "defaults");
        int r;

        if (!defaults || !value_is(loader, defaults, NODE_MAPPING, "defaults")) {
                return 0;
        }
        r = keys_check(loader, defaults, "in defaults", keys, ELEMENTS(keys));
        if (r < 0) {
                return r;
        }
        depth_read(&loader->depth, loader, defaults);
        lock_read(&loader->lock, loader, defaults);
        return access_read(&loader->access, loader, defaults);
}

/* A directory that the file names, as seen from where the file is. */
static int directory_read(struct loader *loader, const struct node *item) {
        const char *file = loader->diagnostics->name, *slash = strrchr(file, '/'), *directory;
        int above = *item->text == '/' || !slash ? 0 : (int) (slash + 1 - file);
        struct stat status;

        directory = arena_print(loader->arena, "%.*s%s", above, file, item->text);
        if (!directory) {
                return -ENOMEM;
        }
        if (!*item->text || stat(directory, &status) < 0) {
                loader_error(loader, item, "directory '%.255s' cannot be used: %s", item->text,
                             strerror(*item->text ? errno : ENOENT));
                return 0;
        }
        if (!S_ISDIR(status.st_mode)) {
                loader_error(loader, item,
                             "'%.255s' is not a directory; PACKAGE/msg/Name.msg is looked for in "
                             "those of messages",
                             item->text);
                return 0;
        }
        return msg_store_look(&loader->messages, directory);
}

static int messages_read(struct loader *loader, const struct node *root) {
        const struct node *messages = node_get(root, "messages");
        int r = 0;

        if (!messages || !value_is(loader, messages, NODE_LIST, "messages")) {
                return 0;
        }
        if (messages->count > DIRECTORIES_MAX) {
                loader_error(loader, messages, "messages has more than %u directories",
                             DIRECTORIES_MAX);
                return 0;
        }
        for (const struct node *item = messages->first; r == 0 && item; item = item->next) {
                if (value_is(loader, item, NODE_TEXT, "a directory of messages")) {
                        r = directory_read(loader, item);
                }
        }
        return r;
}

/* Types can be as many as "types" has pairs and, of inline fields, "topics". */
static int
definitions_reserve(struct loader *loader, const struct node *types, const struct node *topics) {
        size_t count = (types ? types->count : 0) + (topics ? topics->count : 0);

        loader->definitions = arena_alloc(loader->arena, count, sizeof(struct schema_definition *));
        loader->schema->definitions = loader->definitions;
        return loader->definitions ? 0 : -ENOMEM;
}

static int root_read(struct loader *loader, const struct node *root) {
        const struct node *types = node_get(root, "types"), *topics = node_get(root, "topics");
        const struct node *topics_key = node_get_key(root, "topics");
        int r;

        if (types && !value_is(loader, types, NODE_MAPPING, "types")) {
                types = NULL;
        }
        if (!topics_key) {
                loader_error(loader, root, "the key 'topics' is missing");
        }
        if (topics && !value_is(loader, topics, NODE_MAPPING, "topics")) {
                topics = NULL;
        }
        r = definitions_reserve(loader, types, topics);
        if (r == 0 && types) {
                r = types_read(loader, types);
        }
        if (r == 0 && topics) {
                r = topics_read(loader, topics);
        }
        if (r == 0) {
                r = types_finish(loader);
        }
        if (r == 0 && topics) {
                r = topics_finish(loader, topics_key);
        }
        loader->schema->definition_count = loader->definition_count;
        return r;
}

static int bus_read(struct loader *loader, const struct node *root) {
        static const char *const keys[] = {"slipring", "bus",   "package", "messages",
                                           "defaults", "types", "topics"};
        int r;

        if (!value_is(loader, root, NODE_MAPPING, "a schema")) {
                return 0;
        }
        if (!version_read(loader, root)) {
                return 0;
        }
        r = keys_check(loader, root, "at the top", keys, ELEMENTS(keys));
        if (r < 0) {
                return r;
        }
        names_read(loader, root);
        r = access_fallback(loader);
        if (r < 0) {
                return r;
        }
        r = defaults_read(loader, root);
        if (r == 0) {
                r = messages_read(loader, root);
        }
        if (r < 0) {
                return r;
        }
        return root_read(loader, root);
}

/*
 * Loading
 */

static int loaded_fill(struct loaded *loaded,
                       const char *text,
                       size_t bytes,
                       const struct schema_options *options,
                       struct diagnostics *diagnostics) {
        struct loader loader = {
                .schema = &loaded->schema,
                .arena = &loaded->arena,
                .diagnostics = diagnostics,
                .user = options ? options->user : geteuid(),
                .depth = SCHEMA_DEPTH_DEFAULT,
                .lock = SCHEMA_TRY,
                .messages = {.arena = &loaded->arena, .diagnostics = diagnostics},
        };
        struct node *root = NULL;
        int r;

        if (options && options->machine) {
                loaded->schema.machine = *options->machine;
        } else {
                schema_machine_read(&loaded->schema.machine);
        }
        r = node_parse(&root, &loaded->arena, diagnostics, text, bytes);
        if (r < 0) {
                return r;
        }
        if (!root) {
                return 0;
        }
        r = msg_store_open(&loader.messages, NULL);
        if (r < 0) {
                return r;
        }
        r = bus_read(&loader, root);
        msg_store_close(&loader.messages);
        return r;
}

static int diagnostics_name(struct diagnostics *diagnostics, const char *name) {
        char *copy = strdup(name);

        if (!copy) {
                return -ENOMEM;
        }
        free(diagnostics->name);
        diagnostics->name = copy;
        return 0;
}

int schema_load_text(struct schema **ret_schema,
                     const char *name,
                     const char *text,
                     size_t bytes,
                     const struct schema_options *options,
                     struct diagnostics *diagnostics) {
        struct loaded *loaded;
        int r;

        r = diagnostics_name(diagnostics, name);
        if (r < 0) {
                return r;
        }
        loaded = calloc(1, sizeof(*loaded));
        if (!loaded) {
                return -ENOMEM;
        }
        r = loaded_fill(loaded, text, bytes, options, diagnostics);
        diagnostics_finish(diagnostics, text, bytes);
        if (r == 0 && diagnostics->failed) {
                r = -ENOMEM;
        } else if (r == 0 && diagnostics->errors > 0) {
                r = -EBADMSG;
        }
        if (r < 0) {
                schema_free(&loaded->schema);
                return r;
        }
        *ret_schema = &loaded->schema;
        return 0;
}

int schema_load(struct schema **ret_schema,
                const char *path,
                const struct schema_options *options,
                struct diagnostics *diagnostics) {
        const char *name = strcmp(path, "-") ? path : "<stdin>";
        size_t bytes = 0;
        char *text = NULL;
        int r;

        r = file_read(path, NODE_FILE_BYTES_MAX, &text, &bytes);
        if (r < 0) {
                diagnostics_add(diagnostics, DIAGNOSTIC_ERROR, 0, 0, "cannot be read: %s",
                                strerror(-r));
                return diagnostics_name(diagnostics, name) < 0 ? -ENOMEM : r;
        }
        r = schema_load_text(ret_schema, name, text, bytes, options, diagnostics);
        free(text);
        return r;
}
