#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bus/type.h"
#include "subscribers/render.h"
#include "subscribers/selection.h"

/* --- numbers --- */

/* YAML 1.1 takes "1e+20" for a string: give it the point that makes it a number everywhere. */
static void point_add(char text[40]) {
        char *exponent = strchr(text, 'e');

        if (strchr(text, '.')) {
                return;
        }
        if (!exponent) {
                strcat(text, ".0");
                return;
        }
        memmove(exponent + 2, exponent, strlen(exponent) + 1);
        memcpy(exponent, ".0", 2);
}

const char *render_real(char text[40], double number, bool single) {
        int digits, most = single ? 9 : 17;

        if (isnan(number)) {
                return strcpy(text, ".nan");
        }
        if (isinf(number)) {
                return strcpy(text, number < 0 ? "-.inf" : ".inf");
        }
        /* 6 (15) digits survive the way through a float (double); 9 (17) bring every value back. */
        for (digits = single ? 6 : 15; digits <= most; digits++) {
                (void) snprintf(text, 32, "%.*g", digits, number);
                if (single ? strtof(text, NULL) == (float) number : strtod(text, NULL) == number) {
                        break;
                }
        }
        point_add(text);
        return text;
}

static void print_real(double number, bool single, enum render_format format, FILE *out) {
        char text[40];

        if (!isfinite(number) && format == RENDER_JSON) {
                fputs("null", out);
        } else if (!isfinite(number) && format == RENDER_CSV) {
                fputs(isnan(number) ? "nan" : number < 0 ? "-inf" : "inf", out);
        } else {
                fputs(render_real(text, number, single), out);
        }
}

static int64_t load_signed(uint32_t kind, const uint8_t *at) {
        int16_t i16;
        int32_t i32;
        int64_t i64;

        switch (kind) {
        case SLIPRING_KIND_INT8:
                return (int8_t) *at;
        case SLIPRING_KIND_INT16:
                memcpy(&i16, at, sizeof(i16));
                return i16;
        case SLIPRING_KIND_INT32:
                memcpy(&i32, at, sizeof(i32));
                return i32;
        default:
                memcpy(&i64, at, sizeof(i64));
                return i64;
        }
}

static uint64_t load_unsigned(uint32_t kind, const uint8_t *at) {
        uint64_t number = 0;

        /* The bus is little-endian only: the low bytes come first. */
        memcpy(&number, at, type_kind_bytes(kind));
        return number;
}

static void print_number(uint32_t kind, const uint8_t *at, enum render_format format, FILE *out) {
        float single;
        double real;

        switch (kind) {
        case SLIPRING_KIND_BOOL:
                fputs(*at ? "true" : "false", out);
                break;
        case SLIPRING_KIND_FLOAT32:
                memcpy(&single, at, sizeof(single));
                print_real(single, true, format, out);
                break;
        case SLIPRING_KIND_FLOAT64:
                memcpy(&real, at, sizeof(real));
                print_real(real, false, format, out);
                break;
        case SLIPRING_KIND_INT8:
        case SLIPRING_KIND_INT16:
        case SLIPRING_KIND_INT32:
        case SLIPRING_KIND_INT64:
                fprintf(out, "%" PRId64, load_signed(kind, at));
                break;
        default:
                fprintf(out, "%" PRIu64, load_unsigned(kind, at));
        }
}

static bool is_time(const struct slipring_field *field) {
        return field->kind == SLIPRING_KIND_TIME || field->kind == SLIPRING_KIND_DURATION;
}

/*
 * Length of what a text field holds; -1 where that is no text: characters that are not printable
 * ASCII, or bytes behind the first zero. It is printed as numbers then, so that nothing is hidden.
 */
static int text_length(const struct slipring_field *field, const uint8_t *payload) {
        const uint8_t *text = payload + field->offset_bytes;
        uint32_t length = 0, i;

        if (field->kind == SLIPRING_KIND_TEXT && field->count == 0) {
                return (int) type_text_length(field, text);
        }

        if (!type_is_text(field)) {
                return -1;
        }
        while (length < field->count && text[length] >= ' ' && text[length] <= '~') {
                length++;
        }
        for (i = length; i < field->count; i++) {
                if (text[i]) {
                        return -1;
                }
        }
        return (int) length;
}

/* The character at the start of a text, in UTF-8: how many bytes it has, 0 where that is none. */
static unsigned character(const uint8_t *text, unsigned left, uint32_t *ret_code) {
        static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
        unsigned bytes = *text < 0x80   ? 1
                         : *text < 0xc0 ? 0
                         : *text < 0xe0 ? 2
                         : *text < 0xf0 ? 3
                         : *text < 0xf8 ? 4
                                        : 0;
        uint32_t code = bytes == 1 ? *text : *text & (0xffu >> (bytes + 1));

        if (bytes == 0 || bytes > left) {
                return 0;
        }
        for (unsigned i = 1; i < bytes; i++) {
                if ((text[i] & 0xc0) != 0x80) {
                        return 0;
                }
                code = code << 6 | (text[i] & 0x3fu);
        }
        if (code < least[bytes] || code > 0x10ffff || (code >= 0xd800 && code < 0xe000)) {
                return 0;
        }
        *ret_code = code;
        return bytes;
}

/*
 * May a character go to a terminal, and may YAML have it as it is? Not controls, lines that end,
 * marks that turn the direction of what follows, and what is no character. Those that join others,
 * in emoji and in Persian, may. None above U+FFFF is refused, so that "\uXXXX" holds each that is.
 */
static bool is_shown(uint32_t code) {
        return code >= ' ' && !(code >= 0x7f && code < 0xa0) && code != 0x61c && code != 0x200b &&
               code != 0x200e && code != 0x200f && !(code >= 0x2028 && code < 0x202f) &&
               !(code >= 0x2066 && code < 0x206a) && code != 0xfeff && code != 0xfffe &&
               code != 0xffff;
}

/* In double quotes, with escapes that YAML and JSON share; a byte that is no text is one, too. */
static void print_text(const uint8_t *text, int length, FILE *out) {
        fputc('"', out);
        for (int i = 0; i < length;) {
                uint32_t code = text[i];
                unsigned bytes = character(text + i, (unsigned) (length - i), &code);

                if (bytes == 0 || !is_shown(code)) {
                        fprintf(out, "\\u%04" PRIx32, code);
                } else {
                        fputs(code == '"' || code == '\\' ? "\\" : "", out);
                        fwrite(text + i, 1, bytes, out);
                }
                i += bytes ? (int) bytes : 1;
        }
        fputc('"', out);
}

/* Is this an array or a list, and not a text that is shown as one? */
static bool is_array(const struct slipring_field *field) {
        return field->count > 0 || field->kind == SLIPRING_KIND_LIST ||
               field->kind == SLIPRING_KIND_SEQUENCE || type_is_empty(field);
}

/* Has it no element? */
static bool
is_empty(const struct render *render, const struct slipring_field *array, const uint8_t *payload) {
        struct selection_walk walk = {.type = render->type, .payload = payload, .array = *array};
        struct slipring_field element;

        return !selection_walk_next(&walk, &element);
}

/* Is the next element of an array one too many? */
static bool is_long(const struct render *render, uint32_t shown) {
        return render->longest && shown == render->longest;
}

/* --- one line: flow style and JSON, which differ in their quotes --- */

static void line_value(const struct render *render,
                       const struct slipring_field *field,
                       const uint8_t *payload,
                       FILE *out);

static void line_key(const struct render *render, const char *name, bool first, FILE *out) {
        const char *quote = render->format == RENDER_JSON ? "\"" : "";

        fprintf(out, "%s%s%s%s: ", first ? "" : ", ", quote, name, quote);
}

static void line_struct(const struct render *render,
                        const struct slipring_field *parent,
                        const uint8_t *payload,
                        FILE *out) {
        struct slipring_field child;
        bool first = true;
        uint32_t i;

        fputc('{', out);
        for (i = 0; i < parent->child_count; i++) {
                child = render->type->fields[parent->first_child + i];
                if (type_is_hidden(&child)) {
                        continue;
                }
                child.offset_bytes += parent->offset_bytes;
                line_key(render, child.name, first, out);
                line_value(render, &child, payload, out);
                first = false;
        }
        fputc('}', out);
}

static void line_time(const struct render *render, const uint8_t *at, FILE *out) {
        fputc('{', out);
        line_key(render, "sec", true, out);
        print_number(SLIPRING_KIND_INT32, at, render->format, out);
        line_key(render, "nanosec", false, out);
        print_number(SLIPRING_KIND_UINT32, at + 4, render->format, out);
        fputc('}', out);
}

static void line_array(const struct render *render,
                       const struct slipring_field *array,
                       const uint8_t *payload,
                       FILE *out) {
        struct selection_walk walk = {.type = render->type, .payload = payload, .array = *array};
        struct slipring_field element;
        uint32_t count;

        fputc('[', out);
        for (count = 0; selection_walk_next(&walk, &element); count++) {
                fputs(count ? ", " : "", out);
                if (is_long(render, count)) {
                        fputs("'...'", out);
                        break;
                }
                line_value(render, &element, payload, out);
        }
        fputc(']', out);
}

static void line_value(const struct render *render,
                       const struct slipring_field *field,
                       const uint8_t *payload,
                       FILE *out) {
        int length = text_length(field, payload);

        if (length >= 0) {
                print_text(payload + field->offset_bytes, length, out);
        } else if (is_array(field)) {
                line_array(render, field, payload, out);
        } else if (field->kind == SLIPRING_KIND_STRUCT) {
                line_struct(render, field, payload, out);
        } else if (is_time(field)) {
                line_time(render, payload + field->offset_bytes, out);
        } else {
                print_number(field->kind, payload + field->offset_bytes, render->format, out);
        }
}

/* --- block style --- */

static void block_struct(const struct render *render,
                         const struct slipring_field *parent,
                         const uint8_t *payload,
                         int indent,
                         bool inlined,
                         FILE *out);

/* Members begin on lines of their own, but the first follows the dash of a list. */
static void block_key(const char *name, int indent, bool inlined, FILE *out) {
        fprintf(out, "%*s%s:", inlined ? 0 : indent, "", name);
}

static void block_time(const uint8_t *at, int indent, bool inlined, FILE *out) {
        block_key("sec", indent, inlined, out);
        fputc(' ', out);
        print_number(SLIPRING_KIND_INT32, at, RENDER_YAML, out);
        fputc('\n', out);
        block_key("nanosec", indent, false, out);
        fputc(' ', out);
        print_number(SLIPRING_KIND_UINT32, at + 4, RENDER_YAML, out);
        fputc('\n', out);
}

static void block_array(const struct render *render,
                        const struct slipring_field *array,
                        const uint8_t *payload,
                        int indent,
                        FILE *out) {
        struct selection_walk walk = {.type = render->type, .payload = payload, .array = *array};
        struct slipring_field element;
        uint32_t count;

        for (count = 0; selection_walk_next(&walk, &element); count++) {
                fprintf(out, "%*s- ", indent, "");
                if (is_long(render, count)) {
                        fputs("'...'\n", out);
                        break;
                }
                if (element.kind == SLIPRING_KIND_STRUCT && !element.count) {
                        block_struct(render, &element, payload, indent + 2, true, out);
                } else if (is_time(&element) && !element.count) {
                        block_time(payload + element.offset_bytes, indent + 2, true, out);
                } else {
                        line_value(render, &element, payload, out);
                        fputc('\n', out);
                }
        }
}

static void block_member(const struct render *render,
                         const struct slipring_field *field,
                         const uint8_t *payload,
                         int indent,
                         FILE *out) {
        int length = text_length(field, payload);

        if (length >= 0) {
                fputc(' ', out);
                print_text(payload + field->offset_bytes, length, out);
                fputc('\n', out);
        } else if (is_array(field) && is_empty(render, field, payload)) {
                fputs(" []\n", out);
        } else if (is_array(field)) {
                fputc('\n', out);
                block_array(render, field, payload, indent, out);
        } else if (field->kind == SLIPRING_KIND_STRUCT) {
                fputc('\n', out);
                block_struct(render, field, payload, indent + 2, false, out);
        } else if (is_time(field)) {
                fputc('\n', out);
                block_time(payload + field->offset_bytes, indent + 2, false, out);
        } else {
                fputc(' ', out);
                print_number(field->kind, payload + field->offset_bytes, RENDER_YAML, out);
                fputc('\n', out);
        }
}

static void block_struct(const struct render *render,
                         const struct slipring_field *parent,
                         const uint8_t *payload,
                         int indent,
                         bool inlined,
                         FILE *out) {
        struct slipring_field child;
        uint32_t i;

        for (i = 0; i < parent->child_count; i++) {
                child = render->type->fields[parent->first_child + i];
                if (type_is_hidden(&child)) {
                        continue;
                }
                child.offset_bytes += parent->offset_bytes;
                block_key(child.name, indent, inlined, out);
                block_member(render, &child, payload, indent, out);
                inlined = false;
        }
}

static void block_message(const struct render *render, const uint8_t *payload, FILE *out) {
        const struct slipring_field *field = &render->field;
        int length = text_length(field, payload);

        if (length >= 0) {
                print_text(payload + field->offset_bytes, length, out);
                fputc('\n', out);
        } else if (is_array(field) && is_empty(render, field, payload)) {
                fputs("[]\n", out);
        } else if (is_array(field)) {
                block_array(render, field, payload, 0, out);
        } else if (field->kind == SLIPRING_KIND_STRUCT) {
                block_struct(render, field, payload, 0, false, out);
        } else if (is_time(field)) {
                block_time(payload + field->offset_bytes, 0, false, out);
        } else {
                print_number(field->kind, payload + field->offset_bytes, RENDER_YAML, out);
                fputc('\n', out);
        }
}

/* --- columns --- */

/* A walk over all numbers of a message, printing names or values. */
struct columns {
        const struct slipring_type *type;
        const uint8_t *payload; /* NULL: print names */
        bool missing;           /* what comes is behind the end of a sequence: print nothing */
        FILE *out;
        size_t printed;
};

static void column_print(struct columns *columns,
                         const char *path,
                         const char *member,
                         uint32_t kind,
                         uint32_t offset_bytes) {
        fputs(columns->printed++ ? "," : "", columns->out);
        if (columns->missing) {
                return;
        }
        if (columns->payload) {
                print_number(kind, columns->payload + offset_bytes, RENDER_CSV, columns->out);
        } else {
                fprintf(columns->out, "%s%s", path, member);
        }
}

/* CSV has no escapes: text stays what it is, unless it goes to a terminal that would obey it. */
static bool is_kept(uint32_t code, FILE *out) {
        return is_shown(code) || code == '\n' || code == '\t' || !isatty(fileno(out));
}

void render_csv_text(const uint8_t *text, uint32_t bytes, FILE *out) {
        uint32_t i, code = 0;

        fputc('"', out);
        for (i = 0; i < bytes && text[i];) {
                unsigned length = character(text + i, bytes - i, &code);

                if (length == 0 || !is_kept(code, out)) {
                        fputc('?', out);
                } else {
                        fputs(code == '"' ? "\"" : "", out);
                        fwrite(text + i, 1, length, out);
                }
                i += length ? length : 1;
        }
        fputc('"', out);
}

void render_csv_number(uint32_t kind, const uint8_t *at, FILE *out) {
        print_number(kind, at, RENDER_CSV, out);
}

/* A string is one column. */
static void
column_text(struct columns *columns, const char *path, const struct slipring_field *field) {
        fputs(columns->printed++ ? "," : "", columns->out);
        if (columns->missing) {
                return;
        }
        if (!columns->payload) {
                fputs(path, columns->out);
                return;
        }
        render_csv_text(columns->payload + field->offset_bytes, type_text_bytes(field),
                        columns->out);
}

static void columns_walk(struct columns *columns, const struct slipring_field *field, char *path);

static void columns_array(struct columns *columns, const struct slipring_field *array, char *path) {
        struct selection_walk walk = {.type = columns->type, .array = *array};
        bool missing = columns->missing;
        size_t length = strlen(path);
        struct slipring_field element;
        uint32_t i, there = UINT32_MAX;

        /* Each message has all columns that one may have. */
        if (columns->payload && array->kind == SLIPRING_KIND_SEQUENCE) {
                there = type_length(columns->type, array, columns->payload + array->offset_bytes);
        }
        for (i = 0; selection_walk_next(&walk, &element); i++) {
                columns->missing = missing || i >= there;
                (void) sprintf(path + length, "[%" PRIu32 "]", i);
                columns_walk(columns, &element, path);
        }
        columns->missing = missing;
        path[length] = '\0';
}

static void
columns_struct(struct columns *columns, const struct slipring_field *parent, char *path) {
        size_t length = strlen(path);
        struct slipring_field below;
        uint32_t i;

        for (i = 0; i < parent->child_count; i++) {
                below = columns->type->fields[parent->first_child + i];
                if (!type_is_hidden(&below)) {
                        below.offset_bytes += parent->offset_bytes;
                        (void) sprintf(path + length, "%s%s", length ? "." : "", below.name);
                        columns_walk(columns, &below, path);
                }
        }
        path[length] = '\0';
}

/* Nesting is bounded by SLIPRING_NESTING_MAX, so that the stack is too. */
static void columns_walk(struct columns *columns, const struct slipring_field *field, char *path) {
        bool top = *path == '\0';

        if ((field->kind == SLIPRING_KIND_STRING && field->count) ||
            (field->kind == SLIPRING_KIND_TEXT && !field->count)) {
                column_text(columns, path, field);
        } else if (is_array(field)) {
                columns_array(columns, field, path);
        } else if (field->kind == SLIPRING_KIND_STRUCT) {
                columns_struct(columns, field, path);
        } else if (is_time(field)) {
                column_print(columns, path, top ? "sec" : ".sec", SLIPRING_KIND_INT32,
                             field->offset_bytes);
                column_print(columns, path, top ? "nanosec" : ".nanosec", SLIPRING_KIND_UINT32,
                             field->offset_bytes + 4);
        } else {
                column_print(columns, path, "", field->kind, field->offset_bytes);
        }
}

static size_t name_longest(const struct slipring_type *type) {
        size_t longest = 0, length;
        uint32_t i;

        for (i = 0; i < type->field_count; i++) {
                length = strlen(type->fields[i].name);
                longest = length > longest ? length : longest;
        }
        return longest;
}

static void columns_print(const struct render *render, const uint8_t *payload, FILE *out) {
        struct columns columns = {
                .type = render->type,
                .payload = payload,
                .missing = payload && selection_is_missing(render->type, &render->field, payload),
                .out = out,
        };
        /* Each level adds at most a dot, a name and an index of ten digits in brackets. */
        size_t bytes = strlen(render->field.name) +
                       (SLIPRING_NESTING_MAX + 2) * (name_longest(render->type) + 14);
        char *path = malloc(bytes);

        if (!path) {
                return;
        }
        (void) snprintf(path, bytes, "%s", render->field.name);
        columns_walk(&columns, &render->field, path);
        fputc('\n', out);
        free(path);
}

/* --- all --- */

void render_header(const struct render *render, FILE *out) {
        columns_print(render, NULL, out);
}

void render_message(const struct render *render, const void *payload, FILE *out) {
        if (render->format == RENDER_CSV) {
                columns_print(render, payload, out);
        } else if (selection_is_missing(render->type, &render->field, payload)) {
                fputs(render->format == RENDER_YAML ? "null\n" : "null", out);
        } else if (render->format == RENDER_YAML) {
                block_message(render, payload, out);
        } else {
                line_value(render, &render->field, payload, out);
        }
}
