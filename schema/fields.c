/*
 * Fields: type, unit, range, values, description.
 */

#include <errno.h>
#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "schema/loader.h"
#include "schema/names.h"
#include "schema/type.h"
#include "schema/util.h"
#include "schema/value.h"

/*
 * A field's type
 */

/* Reads digits. 0, -EINVAL if it is no number, -ERANGE if too large, -EDOM if there is nothing of
 * it. */
static int size_read(const char *text, size_t length, uint32_t *ret_size) {
        bool negative = false;
        uint64_t size = 0;
        char digits[32];
        int r;

        if (length >= sizeof(digits)) {
                return -ERANGE;
        }
        memcpy(digits, text, length);
        digits[length] = '\0';
        r = value_integer(digits, &negative, &size);
        if (r < 0) {
                return r;
        }
        if (negative || size == 0) {
                return -EDOM;
        }
        if (size > SLIPRING_PAYLOAD_MAX) {
                return -ERANGE;
        }
        *ret_size = (uint32_t) size;
        return 0;
}

/* Reads the "[N]" or "[<=N]" behind an element type. Returns what is wrong with it, NULL if
 * nothing. */
static const char *array_read(const char *text, struct schema_field *field) {
        bool bounded;
        uint32_t size = 0;
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
        if (length == 0) {
                return "has neither length nor bound; write a number in the brackets, [8], or "
                       "[<=8]";
        }
        bounded = !strncmp(text + 1, "<=", 2);
        r = bounded ? size_read(text + 3, length - 2, &size) : size_read(text + 1, length, &size);
        if (r < 0) {
                return r == -EINVAL ? "needs a number in the brackets"
                       : r == -EDOM ? "needs at least one element"
                                    : "is too long an array";
        }
        *(bounded ? &field->bound : &field->count) = size;
        return NULL;
}

/* Reads the N of "string<=N". Returns what is wrong with it, NULL if nothing. */
static const char *string_read(const char *bound, struct schema_field *field) {
        int r = size_read(bound, strlen(bound), &field->element_bytes);

        if (r < 0) {
                return r == -EINVAL ? "needs a number of bytes behind '<='"
                       : r == -EDOM ? "needs room for at least one byte"
                                    : "is too long a string";
        }
        field->element_bytes++;
        field->kind = SLIPRING_KIND_TEXT;
        return NULL;
}

static int
field_read_type(struct loader *loader, struct schema_field *field, const struct node *value) {
        const char *bracket = strchr(value->text, '['), *problem;
        char *name;

        field->type_line = value->line;
        field->type_column = value->column;
        if (bracket) {
                problem = array_read(bracket, field);
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
        if (!strncmp(name, "string<=", strlen("string<="))) {
                problem = string_read(name + strlen("string<="), field);
                if (problem) {
                        loader_error(loader, value, "type '%.64s' %s", value->text, problem);
                }
                return 0;
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
        if (r == -ERANGE || !type_integer_fits(kind, *ret_negative, *ret_magnitude)) {
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
