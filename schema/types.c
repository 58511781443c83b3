/*
 * Types: names, fields, units, ranges, values.
 */

#include <errno.h>
#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "schema/loader.h"
#include "schema/names.h"
#include "schema/suggest.h"
#include "schema/type.h"
#include "schema/util.h"
#include "schema/value.h"

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
        {"string", "text has no fixed size; use uint8[N]"},
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
 * A field's type
 */

/* Reads the "[N]" behind an element type. Returns what is wrong with it, NULL if nothing. */
static const char *array_read(const char *text, uint32_t *ret_count) {
        bool negative = false;
        uint64_t count = 0;
        char digits[32];
        size_t length;
        int r;

        length = strcspn(text + 1, "]");
        if (text[1 + length] != ']') {
                return "lacks the closing bracket";
        }
        if (text[2 + length] == '[') {
                return "is an array of arrays; use one array, or a type for the rows";
        }
        if (text[2 + length]) {
                return "goes on after the closing bracket";
        }
        if (length == 0 || text[1] == '<') {
                return "has no fixed length; write a number in the brackets";
        }
        if (length >= sizeof(digits)) {
                return "is too long an array";
        }
        memcpy(digits, text + 1, length);
        digits[length] = '\0';
        r = value_integer(digits, &negative, &count);
        if (r == -EINVAL) {
                return "needs a number in the brackets";
        }
        if (r == -ERANGE || count > SLIPRING_PAYLOAD_MAX) {
                return "is too long an array";
        }
        if (negative || count == 0) {
                return "needs at least one element";
        }
        *ret_count = (uint32_t) count;
        return NULL;
}

static int
field_read_type(struct loader *loader, struct schema_field *field, const struct node *value) {
        const char *bracket = strchr(value->text, '['), *problem;
        char *name;

        field->type_line = value->line;
        field->type_column = value->column;
        if (bracket) {
                problem = array_read(bracket, &field->count);
                if (problem) {
                        loader_error(loader, value, "type '%.64s' %s", value->text, problem);
                        return 0;
                }
        }
        name = arena_copy(loader->arena, value->text,
                          bracket ? (size_t) (bracket - value->text) : strlen(value->text));
        if (!name) {
                return -ENOMEM;
        }
        field->kind = type_kind(name);
        if (field->kind) {
                return 0;
        }
        field->nested = types_find(loader, name);
        if (!field->nested) {
                types_report_unknown(loader, value, name);
                return 0;
        }
        field->kind = SLIPRING_KIND_STRUCT;
        return 0;
}

/*
 * Ranges and values
 */

static bool kind_is_real(uint32_t kind) {
        return kind == SLIPRING_KIND_FLOAT32 || kind == SLIPRING_KIND_FLOAT64;
}

static bool kind_is_integer(uint32_t kind) {
        return kind >= SLIPRING_KIND_INT8 && kind <= SLIPRING_KIND_UINT64;
}

static bool kind_is_signed(uint32_t kind) {
        return kind == SLIPRING_KIND_INT8 || kind == SLIPRING_KIND_INT16 ||
               kind == SLIPRING_KIND_INT32 || kind == SLIPRING_KIND_INT64;
}

static bool integer_fits(uint32_t kind, bool negative, uint64_t magnitude) {
        unsigned bits = 8 * type_scalar(kind)->bytes - kind_is_signed(kind);
        uint64_t largest = UINT64_MAX >> (64 - bits);

        if (negative) {
                return kind_is_signed(kind) && magnitude <= largest + 1;
        }
        return magnitude <= largest;
}

/* Reads an integer for a field. Reports what is wrong and returns false if it cannot be one. */
static bool integer_read(struct loader *loader,
                         const struct node *node,
                         uint32_t kind,
                         const char *what,
                         bool *ret_negative,
                         uint64_t *ret_magnitude) {
        int r;

        if (!value_is_number(loader, node, what)) {
                return false;
        }
        r = value_integer(node->text, ret_negative, ret_magnitude);
        if (r == -EINVAL) {
                loader_error(loader, node, "%s '%.64s' is not an integer", what, node->text);
                return false;
        }
        if (r == -ERANGE || !integer_fits(kind, *ret_negative, *ret_magnitude)) {
                loader_error(loader, node, "%s %.64s does not fit into %s", what, node->text,
                             type_scalar(kind)->schema_name);
                return false;
        }
        return true;
}

static bool
real_read(struct loader *loader, const struct node *node, uint32_t kind, double *ret_real) {
        int r;

        if (!value_is_number(loader, node, "range")) {
                return false;
        }
        r = value_real(node->text, ret_real);
        if (r == -EINVAL) {
                loader_error(loader, node, "range '%.64s' is not a number", node->text);
                return false;
        }
        if (r == -ERANGE || (kind == SLIPRING_KIND_FLOAT32 && fabs(*ret_real) > (double) FLT_MAX)) {
                loader_error(loader, node, "range %.64s does not fit into %s", node->text,
                             type_scalar(kind)->schema_name);
                return false;
        }
        return true;
}

/* Is the first bound below the second? Both are read, so that each mistake is reported. */
static bool range_read(struct loader *loader,
                       const struct node *low,
                       const struct node *high,
                       uint32_t kind,
                       bool *ret_ordered) {
        bool negative[2] = {false, false}, usable;
        uint64_t magnitude[2] = {0, 0};
        double real[2] = {0, 0};

        if (kind_is_real(kind)) {
                usable = real_read(loader, low, kind, &real[0]);
                usable = real_read(loader, high, kind, &real[1]) && usable;
                *ret_ordered = real[0] < real[1];
                return usable;
        }
        usable = integer_read(loader, low, kind, "range", &negative[0], &magnitude[0]);
        usable = integer_read(loader, high, kind, "range", &negative[1], &magnitude[1]) && usable;
        if (negative[0] != negative[1]) {
                *ret_ordered = negative[0];
        } else {
                *ret_ordered =
                        negative[0] ? magnitude[0] > magnitude[1] : magnitude[0] < magnitude[1];
        }
        return usable;
}

static void
field_read_range(struct loader *loader, struct schema_field *field, const struct node *value) {
        const struct node *low, *high;
        bool ordered = false;

        if (!value_is(loader, value, NODE_LIST, "range")) {
                return;
        }
        if (!kind_is_real(field->kind) && !kind_is_integer(field->kind)) {
                loader_error(loader, value, "field '%s' is not a number and has no range",
                             field->name);
                return;
        }
        if (value->count != 2) {
                loader_error(loader, value, "range must be [MIN, MAX]");
                return;
        }
        low = value->first;
        high = low->next;
        if (!range_read(loader, low, high, field->kind, &ordered)) {
                return;
        }
        if (!ordered) {
                loader_error(loader, value, "range must begin with the smaller number");
                return;
        }
        field->range_min = low->text;
        field->range_max = high->text;
}

static int value_compare(const void *left, const void *right) {
        const struct schema_value *a = *(const struct schema_value *const *) left;
        const struct schema_value *b = *(const struct schema_value *const *) right;

        if (a->negative != b->negative) {
                return a->negative ? -1 : 1;
        }
        if (a->magnitude != b->magnitude) {
                return a->magnitude < b->magnitude ? -1 : 1;
        }
        return a->line != b->line ? (a->line < b->line ? -1 : 1) : (a->column < b->column ? -1 : 1);
}

/* Two names for one number are legal, and mostly a slip of the pen. */
static int values_warn(struct loader *loader, const struct schema_field *field) {
        const struct schema_value **sorted;

        sorted = calloc(field->value_count + 1, sizeof(*sorted));
        if (!sorted) {
                return -ENOMEM;
        }
        for (size_t i = 0; i < field->value_count; i++) {
                sorted[i] = &field->values[i];
        }
        qsort(sorted, field->value_count, sizeof(*sorted), value_compare);
        for (size_t i = 1; i < field->value_count; i++) {
                if (sorted[i - 1]->magnitude == sorted[i]->magnitude &&
                    sorted[i - 1]->negative == sorted[i]->negative) {
                        loader_warning(loader, sorted[i],
                                       "values '%s' and '%s' are the same number",
                                       sorted[i - 1]->name, sorted[i]->name);
                }
        }
        free(sorted);
        return 0;
}

static int value_read(struct loader *loader, struct schema_field *field, const struct node *key) {
        struct schema_value value = {.name = key->text, .line = key->line, .column = key->column};
        const char *prefix;

        if (!name_is_constant(key->text)) {
                loader_error(
                        loader, key,
                        "value name '%.64s' must be in capitals, digits and single underscores",
                        key->text);
                return 0;
        }
        if (!integer_read(loader, key->next, field->kind, "value", &value.negative,
                          &value.magnitude)) {
                return 0;
        }
        prefix = name_constant(loader->arena, field->name);
        value.constant = prefix ? arena_print(loader->arena, "%s_%s", prefix, value.name) : NULL;
        if (!value.constant) {
                return -ENOMEM;
        }
        field->values[field->value_count++] = value;
        return 0;
}

static int
field_read_values(struct loader *loader, struct schema_field *field, const struct node *values) {
        int r;

        if (!value_is(loader, values, NODE_MAPPING, "values")) {
                return 0;
        }
        if (!kind_is_integer(field->kind)) {
                loader_error(loader, values, "field '%s' is not an integer and has no values",
                             field->name);
                return 0;
        }
        if (values->count == 0) {
                loader_error(loader, values, "values must name at least one number");
                return 0;
        }
        field->values = arena_alloc(loader->arena, values->count, sizeof(*field->values));
        if (!field->values) {
                return -ENOMEM;
        }
        r = keys_unique(loader, values, "value", "defined");
        if (r < 0) {
                return r;
        }
        NODE_FOR_EACH_PAIR(key, values) {
                r = key->broken ? 0 : value_read(loader, field, key);
                if (r < 0) {
                        return r;
                }
        }
        return values_warn(loader, field);
}

/*
 * Fields
 */

static bool field_check_name(struct loader *loader, const struct node *key) {
        if (!name_is_snake(key->text)) {
                loader_error(loader, key,
                             "field name '%.64s' must be in small letters, digits and single "
                             "underscores, and begin with a letter",
                             key->text);
                return false;
        }
        if (name_is_padding(key->text)) {
                loader_error(
                        loader, key,
                        "field name '%.64s' is reserved for padding, which slipring adds itself",
                        key->text);
                return false;
        }
        if (strlen(key->text) > SLIPRING_TYPE_NAME_MAX) {
                loader_error(loader, key, "field name is longer than %u characters",
                             SLIPRING_TYPE_NAME_MAX);
                return false;
        }
        return true;
}

static int
field_read_mapping(struct loader *loader, struct schema_field *field, const struct node *mapping) {
        static const char *const keys[] = {"type", "unit", "range", "values", "description"};
        const struct node *value;
        int r;

        r = keys_check(loader, mapping, "in a field", keys, ELEMENTS(keys));
        if (r < 0) {
                return r;
        }
        r = text_read(&field->unit, loader, mapping, "unit");
        if (r < 0) {
                return r;
        }
        r = text_read(&field->description, loader, mapping, "description");
        if (r < 0) {
                return r;
        }
        if (!node_get_key(mapping, "type")) {
                loader_error(loader, mapping, "field '%s' has no type", field->name);
                return 0;
        }
        value = node_get(mapping, "type");
        if (!value || !value_is(loader, value, NODE_TEXT, "type")) {
                return 0;
        }
        r = field_read_type(loader, field, value);
        if (r < 0 || !field->kind) {
                return r;
        }
        value = node_get(mapping, "range");
        if (value) {
                field_read_range(loader, field, value);
        }
        value = node_get(mapping, "values");
        return value ? field_read_values(loader, field, value) : 0;
}

/* Reads one field. A mistake in its type leaves the kind at 0. */
static int field_read(struct loader *loader, struct schema_field *field, const struct node *key) {
        const struct node *value = key->next;

        *field = (struct schema_field){
                .name = key->text,
                .unit = "",
                .description = "",
                .line = key->line,
                .column = key->column,
        };
        if (!field_check_name(loader, key)) {
                return 0;
        }
        if (value->kind == NODE_MAPPING && !value->broken) {
                return field_read_mapping(loader, field, value);
        }
        if (value->kind == NODE_LIST && !value->broken) {
                loader_error(loader, value, "field '%s' must be a type or a mapping, not a list",
                             key->text);
                return 0;
        }
        if (!value_is(loader, value, NODE_TEXT, "a field's type")) {
                return 0;
        }
        return field_read_type(loader, field, value);
}

int fields_read(struct loader *loader,
                struct schema_definition *definition,
                const struct node *fields) {
        int r;

        definition->state = DEFINITION_BROKEN;
        if (!value_is(loader, fields, NODE_MAPPING, "the fields of a type")) {
                return 0;
        }
        if (fields->count == 0) {
                loader_error(loader, fields, "type '%s' has no fields", definition->name);
                return 0;
        }
        r = keys_unique(loader, fields, "field", "defined");
        if (r < 0) {
                return r;
        }
        definition->fields = arena_alloc(loader->arena, fields->count, sizeof(*definition->fields));
        if (!definition->fields) {
                return -ENOMEM;
        }
        definition->state = DEFINITION_READ;
        NODE_FOR_EACH_PAIR(key, fields) {
                struct schema_field *field = &definition->fields[definition->field_count];

                r = key->broken ? 0 : field_read(loader, field, key);
                if (r < 0) {
                        return r;
                }
                if (key->broken || !field->kind) {
                        definition->state = DEFINITION_BROKEN;
                } else {
                        definition->field_count++;
                }
        }
        return 0;
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
