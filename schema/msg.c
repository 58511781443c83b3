/*
 * The reader of .msg files.
 *
 *     # comment
 *     uint8 STATUS_OK=0                constant
 *     string NAME="a # in quotes"
 *     std_msgs/Header header           field; Header alone is the same, Vector3 is one of this
 * package float64[9] covariance            array; [] sequence, [<=9] bounded sequence string<=64
 * label "none"          bounded string, with a default value
 */

#include "schema/msg.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "schema/names.h"
#include "schema/node.h"
#include "schema/suggest.h"
#include "schema/type.h"
#include "schema/utf8.h"
#include "schema/util.h"
#include "schema/value.h"

/* A char of ROS 2 is a number. */
static const struct {
        const char *name;
        uint32_t kind;
} bases[] = {
        {"bool", SLIPRING_KIND_BOOL},       {"byte", SLIPRING_KIND_UINT8},
        {"char", SLIPRING_KIND_UINT8},      {"float32", SLIPRING_KIND_FLOAT32},
        {"float64", SLIPRING_KIND_FLOAT64}, {"int8", SLIPRING_KIND_INT8},
        {"uint8", SLIPRING_KIND_UINT8},     {"int16", SLIPRING_KIND_INT16},
        {"uint16", SLIPRING_KIND_UINT16},   {"int32", SLIPRING_KIND_INT32},
        {"uint32", SLIPRING_KIND_UINT32},   {"int64", SLIPRING_KIND_INT64},
        {"uint64", SLIPRING_KIND_UINT64},   {"string", MSG_KIND_STRING},
};

/* What people write who come from ROS 1 or from C. */
static const struct {
        const char *name;
        const char *advice;
} foreign_bases[] = {
        {"time", "did you mean 'builtin_interfaces/Time'?"},
        {"duration", "did you mean 'builtin_interfaces/Duration'?"},
        {"wstring", "text of wide characters looks different everywhere; use string, in UTF-8"},
        {"float", "did you mean 'float32'?"},
        {"double", "did you mean 'float64'?"},
        {"int", "did you mean 'int32'?"},
        {"uint", "did you mean 'uint32'?"},
        {"boolean", "did you mean 'bool'?"},
};

/**
 * struct parser - a file being read
 * @msg:                what comes of it
 * @arena:              owns it
 * @diagnostics:        takes mistakes
 * @field_capacity:     fields that there is room for
 * @constant_capacity:  constants that there is room for
 * @line_text:          the line
 * @line:               its number
 */
struct parser {
        struct msg *msg;
        struct arena *arena;
        struct diagnostics *diagnostics;
        size_t field_capacity;
        size_t constant_capacity;
        const char *line_text;
        uint32_t line;
};

/* Columns count characters, and so does whoever looks at the line. */
static uint32_t column_of(const struct parser *parser, const char *place) {
        uint32_t column = 1;

        for (const char *c = parser->line_text; c < place; c++) {
                column += ((unsigned char) *c & 0xc0) != 0x80;
        }
        return column;
}

#define parser_error(parser, place, ...)                                                           \
        do {                                                                                       \
                (parser)->msg->state = MSG_BROKEN;                                                 \
                diagnostics_add((parser)->diagnostics, DIAGNOSTIC_ERROR, (parser)->line,           \
                                column_of(parser, place), __VA_ARGS__);                            \
        } while (0)

/*
 * Types
 */

/* Splits "package/Name" or "package/msg/Name". Returns whether both are what they should be. */
static bool name_split(const char *name, char *package, size_t bytes, const char **ret_type) {
        const char *slash = strchr(name, '/'), *type;

        if (!slash || (size_t) (slash - name) >= bytes) {
                return false;
        }
        memcpy(package, name, (size_t) (slash - name));
        package[slash - name] = '\0';
        type = slash + 1;
        if (!strncmp(type, "msg/", 4)) {
                type += 4;
        }
        *ret_type = type;
        return name_is_snake(package) && name_is_camel(type) &&
               strlen(package) + strlen("/msg/") + strlen(type) <= SLIPRING_TYPE_NAME_MAX;
}

bool msg_name_check(const char *name) {
        char package[SLIPRING_TYPE_NAME_MAX + 1];
        const char *type;

        return name_split(name, package, sizeof(package), &type) && type[-1] == '/' &&
               !strncmp(name + strlen(package), "/msg/", 5);
}

static void base_report(struct parser *parser, const char *place, const char *base) {
        struct suggestion suggestion = {.word = base};

        for (size_t i = 0; i < ELEMENTS(foreign_bases); i++) {
                if (!strcmp(foreign_bases[i].name, base)) {
                        parser_error(parser, place, "there is no type '%s'; %s", base,
                                     foreign_bases[i].advice);
                        return;
                }
        }
        for (size_t i = 0; i < ELEMENTS(bases); i++) {
                suggestion_offer(&suggestion, bases[i].name);
        }
        parser_error(parser, place, "there is no type '%.64s'%s%s%s", base,
                     suggestion.best ? "; did you mean '" : "",
                     suggestion.best ? suggestion.best : "", suggestion.best ? "'?" : "");
}

/* Finds out what the name of an element type means. Returns 1, 0 after a mistake. */
static int
base_read(struct parser *parser, struct msg_field *field, const char *place, const char *base) {
        char package[SLIPRING_TYPE_NAME_MAX + 1];
        const char *type = base;

        for (size_t i = 0; i < ELEMENTS(bases); i++) {
                if (!strcmp(bases[i].name, base)) {
                        field->kind = bases[i].kind;
                        field->byte = !strcmp(base, "byte");
                        return 1;
                }
        }
        field->kind = SLIPRING_KIND_STRUCT;
        if (!strcmp(base, "Header")) {
                field->nested_name = "std_msgs/msg/Header";
                return 1;
        }
        if (strchr(base, '/')) {
                if (!name_split(base, package, sizeof(package), &type)) {
                        parser_error(parser, place,
                                     "type '%.64s' is not the name of a message, package/Name",
                                     base);
                        return 0;
                }
                field->nested_name = arena_print(parser->arena, "%s/msg/%s", package, type);
        } else if (name_is_camel(base)) {
                field->nested_name =
                        arena_print(parser->arena, "%s/msg/%s", parser->msg->package, base);
        } else {
                base_report(parser, place, base);
                return 0;
        }
        return field->nested_name ? 1 : -ENOMEM;
}

/* Reads a length. Reports what is wrong and returns false if it cannot be one. */
static bool length_read(struct parser *parser,
                        const char *place,
                        const char *text,
                        size_t bytes,
                        uint32_t *ret_length) {
        bool negative = false;
        uint64_t length = 0;
        char digits[32];

        if (bytes < sizeof(digits)) {
                memcpy(digits, text, bytes);
                digits[bytes] = '\0';
                if (value_integer(digits, &negative, &length) == 0 && !negative && length > 0 &&
                    length <= MSG_LENGTH_MAX) {
                        *ret_length = (uint32_t) length;
                        return true;
                }
        }
        parser_error(parser, place, "'%.*s' is not a length from 1 to %u",
                     (int) (bytes < 32 ? bytes : 32), text, MSG_LENGTH_MAX);
        return false;
}

/* Reads what stands behind an element type: "[]", "[3]", "[<=3]". */
static bool
array_read(struct parser *parser, struct msg_field *field, const char *place, const char *text) {
        const char *end = strchr(text, ']');
        const char *number = text + 1;

        if (!*text) {
                return true;
        }
        if (!end || end[1]) {
                parser_error(parser, place, "'%.32s' is not an array: [N], [] or [<=N]", text);
                return false;
        }
        if (end == number) {
                field->array = MSG_SEQUENCE;
                return true;
        }
        field->array = MSG_ARRAY;
        if (!strncmp(number, "<=", 2)) {
                field->array = MSG_BOUNDED;
                number += 2;
        }
        return length_read(parser, place, number, (size_t) (end - number), &field->length);
}

/* Reads a type. Returns 1, 0 after a mistake, or -ENOMEM. */
static int
type_read(struct parser *parser, struct msg_field *field, const char *place, char *text) {
        char *bracket = strchr(text, '['), *bound;

        if (!array_read(parser, field, place, bracket ? bracket : "")) {
                return 0;
        }
        if (bracket) {
                *bracket = '\0';
        }
        bound = strstr(text, "<=");
        if (bound) {
                *bound = '\0';
                if (strcmp(text, "string") != 0) {
                        parser_error(parser, place, "only strings and sequences have bounds");
                        return 0;
                }
                if (!length_read(parser, place, bound + 2, strlen(bound + 2),
                                 &field->string_bound)) {
                        return 0;
                }
        }
        return base_read(parser, field, place, text);
}

/*
 * Values
 */

static bool value_is_bool(const char *text) {
        static const char *const words[] = {"true", "false", "True", "False", "0", "1"};

        for (size_t i = 0; i < ELEMENTS(words); i++) {
                if (!strcmp(text, words[i])) {
                        return true;
                }
        }
        return false;
}

/* "nan", "inf" and the like, which a schema does not know. */
static bool value_is_special(const char *text) {
        text += *text == '-' || *text == '+';
        return !strcasecmp(text, "nan") || !strcasecmp(text, "inf") ||
               !strcasecmp(text, "infinity");
}

/* Is this a value of some kind? Reports it where it is not. */
static bool value_check(struct parser *parser, const char *place, uint32_t kind, const char *text) {
        bool negative = false;
        uint64_t magnitude = 0;
        double real = 0;

        if (kind == MSG_KIND_STRING) {
                return true;
        }
        if (kind == SLIPRING_KIND_BOOL) {
                if (value_is_bool(text)) {
                        return true;
                }
        } else if (kind == SLIPRING_KIND_FLOAT32 || kind == SLIPRING_KIND_FLOAT64) {
                if (value_is_special(text) || value_real(text, &real) == 0) {
                        return true;
                }
        } else if (value_integer(text, &negative, &magnitude) == 0 &&
                   type_integer_fits(kind, negative, magnitude)) {
                return true;
        }
        parser_error(parser, place, "'%.64s' is not a value of type %s", text,
                     type_scalar(kind)->schema_name);
        return false;
}

/* Takes the quotes and what they escape away from a string, in place. Returns what follows the
 * closing quote, NULL where there is none. */
static char *string_unquote(char *text) {
        char quote = *text, *to = text;
        const char *from = text + 1;

        while (*from && *from != quote) {
                from += *from == '\\' && from[1];
                *to++ = *from++;
        }
        if (!*from) {
                return NULL;
        }
        from++;
        *to = '\0';
        return (char *) from;
}

/* Ends a text before a comment and before the blanks at its end. */
static void text_trim(char *text) {
        size_t length = strcspn(text, "#");

        while (length > 0 && (text[length - 1] == ' ' || text[length - 1] == '\t')) {
                length--;
        }
        text[length] = '\0';
}

static const char *skip_blanks(const char *text) {
        return text + strspn(text, " \t");
}

/* Reads the value of a constant or a default value, up to the end of the line. A list is kept as
 * it is: nothing here depends on default values. Returns 1, 0 after a mistake, or -ENOMEM. */
static int value_read(struct parser *parser,
                      const struct msg_field *field,
                      const char *place,
                      const char **ret_text) {
        bool list = field->array != MSG_SINGLE;
        char *text, *rest;

        text = arena_copy(parser->arena, place, strlen(place));
        if (!text) {
                return -ENOMEM;
        }
        *ret_text = text;
        if (!list && field->kind == MSG_KIND_STRING && (*text == '"' || *text == '\'')) {
                rest = string_unquote(text);
                if (!rest || *(rest = (char *) skip_blanks(rest)) != '\0') {
                        if (rest && *rest == '#') {
                                return 1;
                        }
                        parser_error(parser, place,
                                     rest ? "something stands behind the closing quote"
                                          : "the closing quote is missing");
                        return 0;
                }
                return 1;
        }
        text_trim(text);
        if (list) {
                if (*text == '[' && text[strlen(text) - 1] == ']') {
                        return 1;
                }
                parser_error(parser, place, "the default of an array is a list: [1, 2, 3]");
                return 0;
        }
        return value_check(parser, place, field->kind, text);
}

/*
 * Lines
 */

/* Room for one more element of an array that the arena owns. */
static void *
array_grow(struct arena *arena, void *array, size_t count, size_t *capacity, size_t bytes) {
        void *larger;

        if (count < *capacity) {
                return array;
        }
        larger = arena_alloc(arena, 2 * *capacity + 8, bytes);
        if (!larger) {
                return NULL;
        }
        if (count > 0) {
                memcpy(larger, array, count * bytes);
        }
        *capacity = 2 * *capacity + 8;
        return larger;
}

static int constant_read(struct parser *parser,
                         const struct msg_field *field,
                         const char *type,
                         const char *name_place,
                         const char *value) {
        struct msg_constant constant = {
                .name = field->name,
                .type = type,
                .kind = field->kind,
                .before = parser->msg->field_count,
                .line = parser->line,
                .column = field->name_column,
        };
        struct msg *msg = parser->msg;
        int r;

        if (!name_is_constant(field->name)) {
                parser_error(parser, name_place,
                             "constant '%.64s' must be in capitals, digits and single underscores",
                             field->name);
                return 0;
        }
        if (field->array != MSG_SINGLE || field->kind == SLIPRING_KIND_STRUCT) {
                parser_error(parser, name_place, "constant '%s' must be a number or text",
                             field->name);
                return 0;
        }
        r = value_read(parser, field, skip_blanks(value), &constant.text);
        if (r <= 0) {
                return r;
        }
        msg->constants = array_grow(parser->arena, msg->constants, msg->constant_count,
                                    &parser->constant_capacity, sizeof(constant));
        if (!msg->constants) {
                return -ENOMEM;
        }
        msg->constants[msg->constant_count++] = constant;
        return 0;
}

static int field_read(struct parser *parser,
                      struct msg_field *field,
                      const char *name_place,
                      const char *value) {
        struct msg *msg = parser->msg;
        int r;

        if (!name_is_snake(field->name)) {
                parser_error(parser, name_place,
                             "field name '%.64s' must be in small letters, digits and single "
                             "underscores, and begin with a letter",
                             field->name);
                return 0;
        }
        if (*value && *value != '#') {
                if (field->kind == SLIPRING_KIND_STRUCT) {
                        parser_error(parser, value, "a message has no default value");
                        return 0;
                }
                r = value_read(parser, field, value, &field->default_text);
                if (r <= 0) {
                        return r;
                }
        }
        if (msg->field_count == SLIPRING_FIELDS_MAX) {
                parser_error(parser, name_place, "a message has %u fields at most",
                             SLIPRING_FIELDS_MAX);
                return 0;
        }
        msg->fields = array_grow(parser->arena, msg->fields, msg->field_count,
                                 &parser->field_capacity, sizeof(*field));
        if (!msg->fields) {
                return -ENOMEM;
        }
        msg->fields[msg->field_count++] = *field;
        return 0;
}

/* Reads a line that is not empty; it starts at its first word. */
static int line_read(struct parser *parser, const char *text) {
        size_t type_bytes = strcspn(text, " \t#"), name_bytes;
        struct msg_field field = {.line = parser->line, .column = column_of(parser, text)};
        const char *name, *value, *type_name;
        char *type;
        int r;

        if (!strncmp(text, "---", 3) || !strncmp(text, "===", 3)) {
                parser_error(parser, text,
                             "'%.3s' separates the parts of another kind of file; a message has "
                             "one part",
                             text);
                return 0;
        }
        type_name = arena_copy(parser->arena, text, type_bytes);
        type = arena_copy(parser->arena, text, type_bytes);
        name = skip_blanks(text + type_bytes);
        name_bytes = strcspn(name, " \t#=");
        field.name_column = column_of(parser, name);
        field.name = arena_copy(parser->arena, name, name_bytes);
        if (!type_name || !type || !field.name) {
                return -ENOMEM;
        }
        if (name_bytes == 0) {
                parser_error(parser, text, "'%.64s' has no name behind it", type);
                return 0;
        }
        if (name_bytes > SLIPRING_TYPE_NAME_MAX) {
                parser_error(parser, name, "the name is longer than %u characters",
                             SLIPRING_TYPE_NAME_MAX);
                return 0;
        }
        r = type_read(parser, &field, text, type);
        if (r <= 0) {
                return r;
        }
        value = skip_blanks(name + name_bytes);
        return *value == '=' ? constant_read(parser, &field, type_name, name, value + 1)
                             : field_read(parser, &field, name, value);
}

/* Looks at the bytes of a line before anything is made of them. */
static bool line_check(struct parser *parser, const char *text, size_t bytes) {
        if (bytes > NODE_SCALAR_BYTES_MAX) {
                parser_error(parser, text, "the line is longer than %u bytes",
                             NODE_SCALAR_BYTES_MAX);
                return false;
        }
        for (size_t i = 0; i < bytes;) {
                uint32_t character;
                size_t length;

                length = utf8_decode(text + i, bytes - i, &character);
                if (length == 0) {
                        parser_error(parser, text + i, "this is not UTF-8");
                        return false;
                }
                if (character != '\t' && !utf8_is_visible(character)) {
                        parser_error(parser, text + i,
                                     "the invisible character U+%04X cannot "
                                     "stand in a message",
                                     character);
                        return false;
                }
                i += length;
        }
        return true;
}

static int line_parse(struct parser *parser, const char *text, size_t bytes) {
        const char *word;
        char *line;

        parser->line_text = text;
        if (bytes > 0 && text[bytes - 1] == '\r') {
                bytes--;
        }
        if (!line_check(parser, text, bytes)) {
                return 0;
        }
        /* Most lines are comments, and leave nothing behind. */
        for (size_t i = 0; i <= bytes; i++) {
                if (i == bytes || text[i] == '#') {
                        return 0;
                }
                if (text[i] != ' ' && text[i] != '\t') {
                        break;
                }
        }
        line = arena_copy(parser->arena, text, bytes);
        if (!line) {
                return -ENOMEM;
        }
        parser->line_text = line;
        word = skip_blanks(line);
        return line_read(parser, word);
}

/*
 * Names
 */

/* A name and where it stands. */
struct place {
        const char *name;
        uint32_t line;
        uint32_t column;
};

static int place_compare(const void *left, const void *right) {
        const struct place *a = left, *b = right;
        int order = strcmp(a->name, b->name);

        if (order) {
                return order;
        }
        return a->line < b->line ? -1 : a->line > b->line;
}

static void places_report(struct parser *parser, struct place *places, size_t count) {
        const struct place *first = NULL;

        qsort(places, count, sizeof(*places), place_compare);
        for (size_t i = 0; i < count; i++) {
                if (!first || strcmp(first->name, places[i].name) != 0) {
                        first = &places[i];
                        continue;
                }
                parser->msg->state = MSG_BROKEN;
                diagnostics_add(parser->diagnostics, DIAGNOSTIC_ERROR, places[i].line,
                                places[i].column, "'%s' is already defined on line %u", first->name,
                                first->line);
        }
}

/* Fields and constants cannot meet: one begins with a small letter, the other with a capital. */
static int names_check(struct parser *parser) {
        const struct msg *msg = parser->msg;
        size_t count = 0;
        struct place *places;

        places = calloc(msg->field_count + msg->constant_count + 1, sizeof(*places));
        if (!places) {
                return -ENOMEM;
        }
        for (size_t i = 0; i < msg->field_count; i++) {
                const struct msg_field *field = &msg->fields[i];

                places[count++] = (struct place){field->name, field->line, field->name_column};
        }
        for (size_t i = 0; i < msg->constant_count; i++) {
                const struct msg_constant *constant = &msg->constants[i];

                places[count++] = (struct place){constant->name, constant->line, constant->column};
        }
        places_report(parser, places, count);
        free(places);
        return 0;
}

int msg_parse(struct msg **ret_msg,
              struct arena *arena,
              struct diagnostics *diagnostics,
              const char *name,
              const char *text,
              size_t bytes) {
        struct parser parser = {.arena = arena, .diagnostics = diagnostics};
        int r = 0;

        parser.msg = arena_alloc(arena, 1, sizeof(*parser.msg));
        if (!parser.msg) {
                return -ENOMEM;
        }
        parser.msg->name = name;
        parser.msg->text = text;
        parser.msg->bytes = bytes;
        parser.msg->package = arena_copy(arena, name, strcspn(name, "/"));
        if (!parser.msg->package) {
                return -ENOMEM;
        }
        while (r == 0 && bytes > 0) {
                const char *end = memchr(text, '\n', bytes);
                size_t length = end ? (size_t) (end - text) : bytes;

                parser.line++;
                r = line_parse(&parser, text, length);
                length += end != NULL;
                text += length;
                bytes -= length;
        }
        if (r == 0) {
                r = names_check(&parser);
        }
        if (r < 0) {
                return r;
        }
        *ret_msg = parser.msg;
        return 0;
}
