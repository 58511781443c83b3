/*
 * Types: their names, and what all of them come to together.
 */

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "schema/loader.h"
#include "schema/names.h"
#include "schema/shape.h"
#include "schema/suggest.h"
#include "schema/type.h"
#include "schema/util.h"

/* How large the descriptions of all topics' types may be together. Unfolding repeats: without a
 * bound, a file of 1 MiB could ask for gigabytes. */
#define RECORDS_TOTAL_MAX 1000000u
#define TEXT_TOTAL_MAX (64u * 1024u * 1024u)

/* What people write who come from another language. */
static const struct {
        const char *name;
        const char *advice;
} foreign_types[] = {
        {"float", "did you mean 'float32'?"},
        {"double", "did you mean 'float64'?"},
        {"int", "did you mean 'int32'?"},
        {"uint", "did you mean 'uint32'?"},
        {"short", "did you mean 'int16'?"},
        {"long", "did you mean 'int64'?"},
        {"char", "did you mean 'uint8'?"},
        {"byte", "did you mean 'uint8'?"},
        {"boolean", "did you mean 'bool'?"},
        {"string", "a string needs a bound, as in string<=64"},
        {"wstring", "text has no fixed size; use uint16[N]"},
};

/*
 * Looking types up
 */

static int definition_compare(const void *left, const void *right) {
        const struct schema_definition *a = *(const struct schema_definition *const *) left;
        const struct schema_definition *b = *(const struct schema_definition *const *) right;
        int order = strcmp(a->name, b->name);

        if (order) {
                return order;
        }
        if (a->line != b->line) {
                return a->line < b->line ? -1 : 1;
        }
        return a->column < b->column ? -1 : 1;
}

static int definition_compare_name(const void *name, const void *definition) {
        return strcmp(name, (*(const struct schema_definition *const *) definition)->name);
}

struct schema_definition *types_find(const struct loader *loader, const char *name) {
        struct schema_definition **found;

        if (loader->index_count == 0) {
                return NULL;
        }
        found = bsearch(name, loader->index, loader->index_count,
                        sizeof(struct schema_definition *), definition_compare_name);
        return found ? *found : NULL;
}

void types_report_unknown(struct loader *loader, const struct node *node, const char *name) {
        struct suggestion suggestion = {.word = name};

        for (size_t i = 0; i < ELEMENTS(foreign_types); i++) {
                if (!strcmp(foreign_types[i].name, name)) {
                        loader_error(loader, node, "there is no type '%s'; %s", name,
                                     foreign_types[i].advice);
                        return;
                }
        }
        if (strchr(name, '/')) {
                loader_error(loader, node,
                             "there is no type '%.64s'; messages of ROS 2 are types of topics, and "
                             "not yet of fields",
                             name);
                return;
        }
        if (diagnostics_full(loader->diagnostics)) {
                loader_error(loader, node, "there is no type '%.64s'", name);
                return;
        }
        for (uint32_t kind = SLIPRING_KIND_BOOL; kind < SLIPRING_KIND_STRUCT; kind++) {
                suggestion_offer(&suggestion, type_scalar(kind)->schema_name);
        }
        for (size_t i = 0; i < loader->index_count; i++) {
                suggestion_offer(&suggestion, loader->index[i]->name);
        }
        loader_error(loader, node, "there is no type '%.64s'%s%s%s", name,
                     suggestion.best ? "; did you mean '" : "",
                     suggestion.best ? suggestion.best : "", suggestion.best ? "'?" : "");
}

/*
 * Types
 */

bool types_check_name(struct loader *loader, const struct node *node, const char *name) {
        size_t length = strlen(loader->schema->package) + strlen("/msg/") + strlen(name);

        if (length <= SLIPRING_TYPE_NAME_MAX) {
                return true;
        }
        loader_error(loader, node, "the type name '%s/msg/%.32s...' is longer than %u characters",
                     loader->schema->package, name, SLIPRING_TYPE_NAME_MAX);
        return false;
}

static int type_declare(struct loader *loader, struct node *key) {
        struct schema_definition *definition;

        if (!name_is_camel(key->text)) {
                loader_error(
                        loader, key,
                        "type name '%.64s' must begin with a capital, and go on in letters and "
                        "digits",
                        key->text);
                key->broken = true;
                return 0;
        }
        if (!types_check_name(loader, key, key->text)) {
                key->broken = true;
                return 0;
        }
        definition = arena_alloc(loader->arena, 1, sizeof(*definition));
        if (!definition) {
                return -ENOMEM;
        }
        *definition = (struct schema_definition){
                .name = key->text,
                .package = loader->schema->package,
                .line = key->line,
                .column = key->column,
        };
        loader->definitions[loader->definition_count++] = definition;
        return 0;
}

/* First all names, so that types may be used before they are defined. */
static int types_declare(struct loader *loader, const struct node *types) {
        int r;

        r = keys_unique(loader, types, "type", "defined");
        if (r < 0) {
                return r;
        }
        NODE_FOR_EACH_PAIR(key, types) {
                r = key->broken ? 0 : type_declare(loader, key);
                if (r < 0) {
                        return r;
                }
        }
        loader->index_count = loader->definition_count;
        loader->index =
                arena_alloc(loader->arena, loader->index_count, sizeof(struct schema_definition *));
        if (!loader->index) {
                return -ENOMEM;
        }
        if (loader->index_count > 0) {
                memcpy(loader->index, loader->definitions,
                       loader->index_count * sizeof(struct schema_definition *));
                qsort(loader->index, loader->index_count, sizeof(struct schema_definition *),
                      definition_compare);
        }
        return 0;
}

int types_read(struct loader *loader, const struct node *types) {
        size_t i = 0;
        int r;

        r = types_declare(loader, types);
        if (r < 0) {
                return r;
        }
        NODE_FOR_EACH_PAIR(key, types) {
                if (key->broken) {
                        continue;
                }
                r = fields_read(loader, loader->definitions[i++], key->next);
                if (r < 0) {
                        return r;
                }
        }
        return 0;
}

/*
 * Names that meet
 */

/* A name in generated code and where it comes from. */
struct constant {
        const char *name;
        const struct schema_definition *definition;
        const struct schema_value *value;
};

static int constant_compare(const void *left, const void *right) {
        const struct constant *a = left, *b = right;
        int order = strcmp(a->name, b->name);

        if (order) {
                return order;
        }
        if (a->value->line != b->value->line) {
                return a->value->line < b->value->line ? -1 : 1;
        }
        return a->value->column < b->value->column ? -1 : 1;
}

static int constants_collect(struct loader *loader, struct constant *constants, size_t *ret_count) {
        *ret_count = 0;
        for (size_t i = 0; i < loader->definition_count; i++) {
                const struct schema_definition *definition = loader->definitions[i];
                const char *prefix;

                prefix = name_constant(loader->arena, definition->name);
                if (!prefix) {
                        return -ENOMEM;
                }
                for (size_t j = 0; j < definition->field_count; j++) {
                        const struct schema_field *field = &definition->fields[j];

                        for (size_t k = 0; k < field->value_count; k++) {
                                struct constant *constant = &constants[(*ret_count)++];

                                constant->definition = definition;
                                constant->value = &field->values[k];
                                constant->name = arena_print(loader->arena, "%s_%s", prefix,
                                                             field->values[k].constant);
                                if (!constant->name) {
                                        return -ENOMEM;
                                }
                        }
                }
        }
        return 0;
}

static void constants_compare(struct loader *loader, struct constant *constants, size_t count) {
        qsort(constants, count, sizeof(*constants), constant_compare);
        for (size_t i = 1; i < count; i++) {
                const struct constant *first = &constants[i - 1], *second = &constants[i];

                if (!strcmp(first->name, second->name)) {
                        loader_error(
                                loader, second->value,
                                "value '%s' of type '%s' is called %s in source code, and so is "
                                "'%s' of type '%s' on line %u",
                                second->value->name, second->definition->name, second->name,
                                first->value->name, first->definition->name, first->value->line);
                }
        }
}

/* "status: {OVER_VOLTAGE: 1}" and "status_over: {VOLTAGE: 1}" are one constant,
 * STATUS_OVER_VOLTAGE; so are the same fields of two types whose names differ in capitals only. */
static int types_check_constants(struct loader *loader) {
        struct constant *constants;
        size_t count = 0;
        int r;

        for (size_t i = 0; i < loader->definition_count; i++) {
                for (size_t j = 0; j < loader->definitions[i]->field_count; j++) {
                        count += loader->definitions[i]->fields[j].value_count;
                }
        }
        constants = calloc(count + 1, sizeof(*constants));
        if (!constants) {
                return -ENOMEM;
        }
        r = constants_collect(loader, constants, &count);
        if (r == 0) {
                constants_compare(loader, constants, count);
        }
        free(constants);
        return r;
}

/* Types of inline fields have names that nobody wrote down. */
static int types_check_names(struct loader *loader) {
        struct schema_definition **sorted;

        sorted = calloc(loader->definition_count + 1, sizeof(*sorted));
        if (!sorted) {
                return -ENOMEM;
        }
        for (size_t i = 0; i < loader->definition_count; i++) {
                sorted[i] = loader->definitions[i];
        }
        qsort(sorted, loader->definition_count, sizeof(*sorted), definition_compare);
        for (size_t i = 1; i < loader->definition_count; i++) {
                if (!strcmp(sorted[i - 1]->name, sorted[i]->name)) {
                        loader_error(
                                loader, sorted[i],
                                "the type name '%s' that this comes to is already that of line %u",
                                sorted[i]->name, sorted[i - 1]->line);
                }
        }
        free(sorted);
        return 0;
}

/* Is one message another, or does it use it? The depth of nesting bounds the recursion. */
static bool message_uses(struct msg *msg, const struct msg *other, uint32_t mark) {
        bool uses = msg == other;

        msg->mark = mark;
        for (size_t i = 0; !uses && i < msg->field_count; i++) {
                struct msg *nested = msg->fields[i].nested;

                uses = nested && nested->mark != mark && message_uses(nested, other, mark);
        }
        return uses;
}

/* The first topic that has a message of ROS 2 or one that uses it; NULL if all of them are broken.
 */
static const struct schema_definition *message_user(struct loader *loader, const struct msg *msg) {
        uint32_t mark = ++loader->marks;

        for (size_t i = 0; i < loader->definition_count; i++) {
                struct msg *root = loader->definitions[i]->message;

                if (root && root->mark != mark && message_uses(root, msg, mark)) {
                        return loader->definitions[i];
                }
        }
        return NULL;
}

/* A type that is the message, field by field, takes nobody's name. */
static int
type_check_message(struct loader *loader, struct schema_definition *definition, struct msg *msg) {
        const struct schema_definition *user;
        const char *ours = NULL, *theirs = NULL;
        int r;

        r = type_text(&ours, definition, loader->arena, ++loader->marks);
        if (r == 0) {
                r = shape_text(&theirs, msg, loader->arena, ++loader->marks);
        }
        if (r < 0 || !strcmp(ours, theirs)) {
                return r;
        }
        user = message_user(loader, msg);
        if (user) {
                loader_error(loader, definition,
                             "the type name '%s' that this comes to is already that of a message "
                             "of ROS 2 on line %u; name another package",
                             msg->name, user->line);
        }
        return 0;
}

/* Messages of ROS 2 bring their names along. */
static int types_check_messages(struct loader *loader) {
        char name[SLIPRING_TYPE_NAME_MAX + 1];
        int r = 0;

        for (size_t i = 0; r == 0 && i < loader->definition_count; i++) {
                struct schema_definition *definition = loader->definitions[i];
                struct msg *msg;

                if (definition->message || definition->state != DEFINITION_DONE) {
                        continue;
                }
                (void) snprintf(name, sizeof(name), "%s/msg/%s", definition->package,
                                definition->name);
                msg = msg_store_known(&loader->messages, name);
                if (msg && msg->state == MSG_DONE) {
                        r = type_check_message(loader, definition, msg);
                }
        }
        return r;
}

static int definition_compare_order(const void *left, const void *right) {
        const struct schema_definition *a = *(const struct schema_definition *const *) left;
        const struct schema_definition *b = *(const struct schema_definition *const *) right;

        return a->order < b->order ? -1 : a->order > b->order;
}

int types_finish(struct loader *loader) {
        uint32_t order = 0;
        int r;

        r = types_check_names(loader);
        if (r < 0) {
                return r;
        }
        r = types_check_constants(loader);
        for (size_t i = 0; r == 0 && i < loader->definition_count; i++) {
                r = layout_definition(loader->definitions[i], loader->arena, loader->diagnostics,
                                      &order);
        }
        if (r == 0) {
                r = types_check_messages(loader);
        }
        if (r == 0 && loader->definition_count > 0) {
                qsort(loader->definitions, loader->definition_count,
                      sizeof(struct schema_definition *), definition_compare_order);
        }
        return r;
}

int types_build(struct loader *loader,
                struct schema_definition *definition,
                const struct schema_topic *topic) {
        int r;

        if (definition->type || definition->state != DEFINITION_DONE || loader->overfull) {
                return 0;
        }
        loader->records += definition->records;
        if (loader->records > RECORDS_TOTAL_MAX || loader->text_bytes > TEXT_TOTAL_MAX) {
                loader->overfull = true;
                loader_error(loader, topic,
                             "the types of the topics up to '%s' have more fields together than a "
                             "bus can describe",
                             topic->name);
                return 0;
        }
        r = type_build(definition, loader->arena, ++loader->marks);
        if (r < 0) {
                return r;
        }
        loader->text_bytes += strlen(definition->type->text);
        return 0;
}
