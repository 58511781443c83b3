/*
 * The C header of a bus.
 *
 * Names are chosen so that no two can meet, whatever the schema calls things:
 *
 *   types          PACKAGE_Type, PACKAGE_Type_fields, PACKAGE_Type_type: Type begins with a
 *                  capital and has no underscore
 *   constants      PACKAGE_TYPE_FIELD_VALUE in capitals; the loader refuses two that are equal, and
 *                  those of messages of ROS 2, PACKAGE_TYPE_CONSTANT, get an underscore where
 *                  another one is called so
 *   topics         BUS_topic_SUFFIX in small letters; the loader refuses two topics that are
 *                  equal here, and no suffix below is the end of another one behind an underscore
 *   macros         SLIPRING_..., which no bus and no package can begin with
 *   fields         as they are; keywords get an underscore, with which no field name ends, and so
 *                  do members of messages of ROS 2 that nobody named, where a name is taken
 */

#include "schema/generate.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "schema/arena.h"
#include "schema/definition.h"
#include "schema/msg.h"
#include "schema/names.h"
#include "schema/type.h"
#include "schema/util.h"
#include "schema/value.h"

/* Longest string literal that ISO C promises, and -Wpedantic insists on. */
#define LITERAL_BYTES_MAX 4095

/**
 * struct generator - a header being written
 * @out:        the text
 * @schema:     what it is about
 * @arena:      names in between
 */
struct generator {
        struct buffer *out;
        const struct schema *schema;
        struct arena arena;
};

#define emit(generator, ...) buffer_print((generator)->out, __VA_ARGS__)

/*
 * Words
 */

/* Keywords of C and C++ and macros of the headers that every program has. */
static const char *const reserved_words[] = {
        "alignas",      "alignof",
        "and",          "and_eq",
        "asm",          "auto",
        "bitand",       "bitor",
        "bool",         "break",
        "case",         "catch",
        "char",         "char16_t",
        "char32_t",     "char8_t",
        "class",        "co_await",
        "co_return",    "co_yield",
        "compl",        "complex",
        "concept",      "const",
        "const_cast",   "consteval",
        "constexpr",    "constinit",
        "continue",     "decltype",
        "default",      "delete",
        "do",           "double",
        "dynamic_cast", "else",
        "enum",         "errno",
        "explicit",     "export",
        "extern",       "false",
        "final",        "float",
        "for",          "friend",
        "goto",         "i386",
        "if",           "imaginary",
        "import",       "inline",
        "int",          "linux",
        "long",         "module",
        "mutable",      "namespace",
        "new",          "noexcept",
        "noreturn",     "not",
        "not_eq",       "nullptr",
        "offsetof",     "operator",
        "or",           "or_eq",
        "override",     "private",
        "protected",    "public",
        "register",     "reinterpret_cast",
        "requires",     "restrict",
        "return",       "short",
        "signed",       "sizeof",
        "static",       "static_assert",
        "static_cast",  "stderr",
        "stdin",        "stdout",
        "struct",       "switch",
        "template",     "this",
        "thread_local", "throw",
        "true",         "try",
        "typedef",      "typeid",
        "typename",     "typeof",
        "union",        "unix",
        "unsigned",     "using",
        "virtual",      "void",
        "volatile",     "wchar_t",
        "while",        "xor",
        "xor_eq",
};

/* Headers of the C library that a header of this name in the include path would hide. */
static const char *const system_headers[] = {
        "aio",      "assert",   "complex",     "cpio",      "ctype",   "dirent",  "dlfcn",
        "elf",      "endian",   "err",         "errno",     "error",   "fcntl",   "features",
        "fenv",     "float",    "fnmatch",     "ftw",       "getopt",  "glob",    "grp",
        "iconv",    "inttypes", "langinfo",    "libgen",    "limits",  "link",    "locale",
        "malloc",   "math",     "memory",      "monetary",  "mqueue",  "ndbm",    "netdb",
        "nl_types", "paths",    "poll",        "pthread",   "pty",     "pwd",     "regex",
        "resolv",   "sched",    "search",      "semaphore", "setjmp",  "shadow",  "signal",
        "spawn",    "stdalign", "stdarg",      "stdatomic", "stdbool", "stddef",  "stdint",
        "stdio",    "stdlib",   "stdnoreturn", "string",    "strings", "stropts", "syslog",
        "tar",      "termios",  "tgmath",      "threads",   "time",    "uchar",   "ucontext",
        "ulimit",   "unistd",   "utime",       "utmp",      "utmpx",   "values",  "wchar",
        "wctype",   "wordexp",
};

static bool word_is_in(const char *word, const char *const *words, size_t count) {
        for (size_t i = 0; i < count; i++) {
                if (!strcmp(word, words[i])) {
                        return true;
                }
        }
        return false;
}

/* What has to follow a field's name to make it an identifier. */
static const char *field_tail(const struct schema_field *field) {
        return word_is_in(field->name, reserved_words, ELEMENTS(reserved_words)) ? "_" : "";
}

/* A number that tells texts from each other, for the preprocessor (FNV-1a). */
static uint64_t text_hash(const struct buffer *text) {
        uint64_t hash = UINT64_C(0xcbf29ce484222325);

        for (size_t i = 0; i < text->length; i++) {
                hash = (hash ^ (unsigned char) text->text[i]) * UINT64_C(0x100000001b3);
        }
        return hash;
}

/* Text inside a comment: it must neither end it, nor seem to begin another one, nor hold a
 * trigraph. */
static void emit_comment_text(struct generator *generator, const char *text) {
        for (; *text; text++) {
                buffer_append(generator->out, text, 1);
                if ((text[0] == '*' && text[1] == '/') || (text[0] == '/' && text[1] == '*') ||
                    (text[0] == '?' && text[1] == '?')) {
                        emit(generator, " ");
                }
        }
}

/* A string literal; "??" could begin a trigraph. */
static void emit_literal(struct generator *generator, const char *text, size_t bytes) {
        emit(generator, "\"");
        for (size_t i = 0; i < bytes; i++) {
                if (text[i] == '\n') {
                        emit(generator, "\\n");
                        continue;
                }
                if (text[i] == '"' || text[i] == '\\' || text[i] == '?') {
                        emit(generator, "\\");
                }
                buffer_append(generator->out, text + i, 1);
        }
        emit(generator, "\"");
}

/*
 * Types
 */

/* Unit, range and description: "m/s^2, -20 to 20: gravity included". */
static void emit_field_comment(struct generator *generator, const struct schema_field *field) {
        if (field->padding) {
                emit(generator, " /* padding, always zero */");
                return;
        }
        if (!field->unit[0] && !field->range_min && !field->description[0]) {
                return;
        }
        emit(generator, " /* ");
        emit_comment_text(generator, field->unit);
        if (field->range_min) {
                emit(generator, "%s%s to %s", field->unit[0] ? ", " : "", field->range_min,
                     field->range_max);
        }
        if (field->description[0]) {
                emit(generator, "%s", field->unit[0] || field->range_min ? ": " : "");
                emit_comment_text(generator, field->description);
        }
        emit(generator, " */");
}

/* What C calls the type of one value that has nothing else inside. */
static const char *scalar_name(uint32_t kind) {
        return kind == SLIPRING_KIND_TEXT  ? "char"
               : kind == SLIPRING_KIND_GAP ? "uint8_t"
                                           : type_scalar(kind)->c_name;
}

/* What stands behind a member's name. */
static void emit_dimensions(struct generator *generator, const struct schema_field *field) {
        if (field->count > 0) {
                emit(generator, "[%u]", field->count);
        }
        if (field->kind == SLIPRING_KIND_TEXT) {
                emit(generator, "[%u]", field->element_bytes);
        }
}

static void emit_field(struct generator *generator, const struct schema_field *field, int indent) {
        if (field->kind == SLIPRING_KIND_SEQUENCE) {
                emit(generator, "%*sstruct {\n", indent, "");
                for (size_t i = 0; i < field->nested->field_count; i++) {
                        struct schema_field member = field->nested->fields[i];

                        /* It stands behind the struct. */
                        member.unit = member.description = "";
                        emit_field(generator, &member, indent + 8);
                }
                emit(generator, "%*s}", indent, "");
        } else if (field->nested) {
                emit(generator, "%*sstruct %s_%s", indent, "", field->nested->package,
                     field->nested->name);
        } else {
                emit(generator, "%*s%s", indent, "", scalar_name(field->kind));
        }
        emit(generator, " %s%s", field->name, field_tail(field));
        emit_dimensions(generator, field);
        emit(generator, ";");
        emit_field_comment(generator, field);
        emit(generator, "\n");
}

/* A number as a constant of a type that it fits into. The smallest of its kind has no literal. */
static void
emit_number(struct generator *generator, uint32_t kind, const struct schema_value *value) {
        const char *open = "", *close = "";

        if (kind == SLIPRING_KIND_UINT64 || kind == SLIPRING_KIND_INT64) {
                open = kind == SLIPRING_KIND_UINT64 ? "UINT64_C(" : "INT64_C(";
                close = ")";
        } else if (kind == SLIPRING_KIND_UINT32) {
                close = "u";
        }
        if (!value->negative) {
                emit(generator, "%s%" PRIu64 "%s", open, value->magnitude, close);
        } else if (value->magnitude == UINT64_C(1) << 31 || value->magnitude == UINT64_C(1) << 63) {
                emit(generator, "(-%s%" PRIu64 "%s - 1)", open, value->magnitude - 1, close);
        } else {
                emit(generator, "(-%s%" PRIu64 "%s)", open, value->magnitude, close);
        }
}

static int emit_values(struct generator *generator, const struct schema_definition *definition) {
        const char *package, *name;

        package = name_constant(&generator->arena, definition->package);
        name = name_constant(&generator->arena, definition->name);
        if (!package || !name) {
                return -ENOMEM;
        }
        for (size_t i = 0; i < definition->field_count; i++) {
                const struct schema_field *field = &definition->fields[i];
                uint32_t kind = field->kind == SLIPRING_KIND_SEQUENCE
                                        ? definition_elements(field)->kind
                                        : field->kind;

                for (size_t j = 0; j < field->value_count; j++) {
                        emit(generator, "%s#define %s_%s_%s ", j == 0 ? "\n" : "", package, name,
                             field->values[j].constant);
                        emit_number(generator, kind, &field->values[j]);
                        emit(generator, "\n");
                }
        }
        return 0;
}

static void emit_asserts(struct generator *generator, const struct schema_definition *definition) {
        const char *package = definition->package, *name = definition->name;

        emit(generator, "\nSLIPRING_STATIC_ASSERT(sizeof(struct %s_%s) == %u, \"size of %s\");\n",
             package, name, definition->size_bytes, name);
        for (size_t i = 0; i < definition->field_count; i++) {
                const struct schema_field *field = &definition->fields[i];

                emit(generator,
                     "SLIPRING_STATIC_ASSERT(offsetof(struct %s_%s, %s%s) == %u, \"offset of "
                     "%s\");\n",
                     package, name, field->name, field_tail(field), field->offset_bytes,
                     field->name);
                if (field->kind == SLIPRING_KIND_SEQUENCE) {
                        emit(generator,
                             "SLIPRING_STATIC_ASSERT(offsetof(struct %s_%s, %s%s.elements) == %u, "
                             "\"elements of %s\");\n",
                             package, name, field->name, field_tail(field),
                             field->offset_bytes + definition_elements(field)->offset_bytes,
                             field->name);
                }
        }
}

/*
 * Messages of ROS 2
 *
 * Structs inside them are ones of C, without a name, where C puts their members where CDR does. Of
 * others the members stand in the struct around: header_stamp. Lists are always such. These names
 * and those of lengths and padding are made up, and give way to the ones that fields have.
 */

/* Does C lay a struct at this place out as CDR did? */
static bool struct_is_natural(const struct schema_field *field, uint32_t at) {
        const struct schema_definition *nested = field->nested;

        return field->kind == SLIPRING_KIND_SEQUENCE ||
               (field->kind == SLIPRING_KIND_STRUCT &&
                ((at | nested->size_bytes) & (nested->align_bytes - 1)) == 0);
}

/**
 * struct member - a member of a struct of C
 * @field:      what it holds
 * @at:         where it is in the message
 */
struct member {
        const struct schema_field *field;
        uint32_t at;
};

/**
 * struct scope - the members of one struct of C
 * @members:    they
 * @names:      their names
 * @count:      how many
 * @capacity:   that there is room for
 */
struct scope {
        struct member *members;
        struct name_claim *names;
        size_t count;
        size_t capacity;
};

static void scope_free(struct scope *scope) {
        free(scope->members);
        free(scope->names);
}

static int scope_add(struct scope *scope, struct member member, struct name_claim name) {
        size_t capacity = 2 * scope->capacity + 16;
        struct member *members;
        struct name_claim *names;

        if (scope->count == scope->capacity) {
                members = reallocarray(scope->members, capacity, sizeof(*members));
                scope->members = members ? members : scope->members;
                names = reallocarray(scope->names, capacity, sizeof(*names));
                scope->names = names ? names : scope->names;
                if (!members || !names) {
                        return -ENOMEM;
                }
                scope->capacity = capacity;
        }
        scope->members[scope->count] = member;
        scope->names[scope->count++] = name;
        return 0;
}

/* What a member would like to be called. */
static int member_claim(struct generator *generator,
                        const struct schema_field *field,
                        const char *prefix,
                        struct name_claim *ret_name) {
        const char *tail = field->kind == SLIPRING_KIND_LENGTH ? "_length" : "";
        const char *name = arena_print(&generator->arena, "%s%s%s", prefix, field->name, tail);

        if (name && word_is_in(name, reserved_words, ELEMENTS(reserved_words))) {
                name = arena_print(&generator->arena, "%s_", name);
        }
        if (!name) {
                return -ENOMEM;
        }
        *ret_name = (struct name_claim){.name = name, .own = !*prefix && !*tail && !field->padding};
        return 0;
}

/* Collects the members of a struct that begins at a place of the message. The depth of nesting
 * bounds the recursion. */
static int scope_fill(struct generator *generator,
                      struct scope *scope,
                      const struct schema_definition *definition,
                      uint32_t base,
                      const char *prefix) {
        int r = 0;

        for (size_t i = 0; r == 0 && i < definition->field_count; i++) {
                const struct schema_field *field = &definition->fields[i];
                struct member member = {.field = field, .at = base + field->offset_bytes};
                struct name_claim name = {0};
                const char *below;

                if (field->nested && !struct_is_natural(field, member.at)) {
                        below = arena_print(&generator->arena, "%s%s_", prefix, field->name);
                        r = below ? scope_fill(generator, scope, field->nested, member.at, below)
                                  : -ENOMEM;
                        continue;
                }
                r = member_claim(generator, field, prefix, &name);
                if (r == 0) {
                        r = scope_add(scope, member, name);
                }
        }
        return r;
}

static int scope_open(struct generator *generator,
                      struct scope *ret_scope,
                      const struct schema_definition *definition,
                      uint32_t base) {
        struct scope scope = {0};
        int r;

        r = scope_fill(generator, &scope, definition, base, "");
        if (r == 0) {
                r = names_part(&generator->arena, scope.names, scope.count);
        }
        if (r < 0) {
                scope_free(&scope);
                return r;
        }
        *ret_scope = scope;
        return 0;
}

static void emit_member(struct generator *generator,
                        const struct schema_field *field,
                        const char *name,
                        int indent) {
        if (field->kind == SLIPRING_KIND_LENGTH) {
                emit(generator, "%*suint32_t %s; /* always %u */\n", indent, "", name,
                     field->number);
                return;
        }
        if (field->kind == SLIPRING_KIND_STRING) {
                emit(generator, "%*schar %s[%u]; /* always \"", indent, "", name, field->count);
                emit_comment_text(generator, field->unit);
                emit(generator, "\" */\n");
                return;
        }
        emit(generator, "%*s%s %s", indent, "", scalar_name(field->kind), name);
        emit_dimensions(generator, field);
        emit(generator, ";");
        emit_field_comment(generator, field);
        emit(generator, "\n");
}

/* The members of a struct that begins at a place of the message. The depth of nesting bounds the
 * recursion. */
static int emit_members(struct generator *generator,
                        const struct schema_definition *definition,
                        uint32_t base,
                        int indent) {
        _cleanup_(scope_free) struct scope scope = {0};
        int r;

        r = scope_open(generator, &scope, definition, base);
        for (size_t i = 0; r == 0 && i < scope.count; i++) {
                const struct schema_field *field = scope.members[i].field;

                if (!field->nested) {
                        emit_member(generator, field, scope.names[i].name, indent);
                        continue;
                }
                emit(generator, "%*sstruct {\n", indent, "");
                r = emit_members(generator, field->nested, scope.members[i].at, indent + 8);
                emit(generator, "%*s} %s", indent, "", scope.names[i].name);
                if (field->count > 0) {
                        emit(generator, "[%u]", field->count);
                }
                emit(generator, ";\n");
        }
        return r;
}

/* Where each member is; paths into structs are for offsetof(). */
static int emit_member_asserts(struct generator *generator,
                               const char *type,
                               const struct schema_definition *definition,
                               uint32_t base,
                               const char *above) {
        _cleanup_(scope_free) struct scope scope = {0};
        int r;

        r = scope_open(generator, &scope, definition, base);
        for (size_t i = 0; r == 0 && i < scope.count; i++) {
                const struct schema_field *field = scope.members[i].field;
                const char *name = scope.names[i].name, *below;

                emit(generator,
                     "SLIPRING_STATIC_ASSERT(offsetof(struct %s, %s%s) == %u, \"offset of %s\");\n",
                     type, above, name, scope.members[i].at, field->name);
                if (!field->nested) {
                        continue;
                }
                below = arena_print(&generator->arena, "%s%s%s", above, name,
                                    field->count > 0 ? "[0]." : ".");
                r = below ? emit_member_asserts(generator, type, field->nested, scope.members[i].at,
                                                below)
                          : -ENOMEM;
        }
        return r;
}

/*
 * Constants of messages of ROS 2
 *
 * They belong to the message that defines them, whatever topics use it, so each message's stand
 * there once: SENSOR_MSGS_NAV_SAT_STATUS_STATUS_FIX.
 */

/**
 * struct constants - all macros of a header
 * @messages:   messages that topics use, themselves or by way of others, sorted by name
 * @count:      how many
 * @capacity:   that there is room for
 * @claims:     names: of own types' values first, then those of each message
 * @next:       the first one that was not written yet
 */
struct constants {
        struct msg **messages;
        size_t count;
        size_t capacity;
        struct name_claim *claims;
        size_t next;
};

static void constants_free(struct constants *constants) {
        free(constants->messages);
        free(constants->claims);
}

static int constants_add_message(struct constants *constants, struct msg *msg) {
        size_t capacity = 2 * constants->capacity + 16;
        struct msg **larger;

        for (size_t i = 0; i < constants->count; i++) {
                if (constants->messages[i] == msg) {
                        return 0;
                }
        }
        if (constants->count == constants->capacity) {
                larger = reallocarray(constants->messages, capacity, sizeof(struct msg *));
                if (!larger) {
                        return -ENOMEM;
                }
                constants->messages = larger;
                constants->capacity = capacity;
        }
        constants->messages[constants->count++] = msg;
        return 0;
}

static int message_compare(const void *left, const void *right) {
        return strcmp((*(const struct msg *const *) left)->name,
                      (*(const struct msg *const *) right)->name);
}

/* The list is its own queue. */
static int constants_collect(struct constants *constants, const struct schema *schema) {
        int r = 0;

        for (size_t i = 0; r == 0 && i < schema->definition_count; i++) {
                if (schema->definitions[i]->message) {
                        r = constants_add_message(constants, schema->definitions[i]->message);
                }
        }
        for (size_t i = 0; r == 0 && i < constants->count; i++) {
                const struct msg *msg = constants->messages[i];

                for (size_t j = 0; r == 0 && j < msg->field_count; j++) {
                        if (msg->fields[j].nested) {
                                r = constants_add_message(constants, msg->fields[j].nested);
                        }
                }
        }
        if (r == 0 && constants->count > 0) {
                qsort(constants->messages, constants->count, sizeof(struct msg *), message_compare);
        }
        return r;
}

static size_t values_count(const struct schema *schema) {
        size_t count = 0;

        for (size_t i = 0; i < schema->definition_count; i++) {
                for (size_t j = 0; j < schema->definitions[i]->field_count; j++) {
                        count += schema->definitions[i]->fields[j].value_count;
                }
        }
        return count;
}

/* "SENSOR_MSGS_NAV_SAT_STATUS_" */
static const char *constant_prefix(struct arena *arena, const char *package, const char *name) {
        package = name_constant(arena, package);
        name = name_constant(arena, name);
        return package && name ? arena_print(arena, "%s_%s_", package, name) : NULL;
}

static const char *message_base(const struct msg *msg) {
        return strrchr(msg->name, '/') + 1;
}

/* Claims the names of own types' values, which emit_values() writes. */
static int claim_values(struct generator *generator, struct name_claim **next) {
        const struct schema *schema = generator->schema;

        for (size_t i = 0; i < schema->definition_count; i++) {
                const struct schema_definition *definition = schema->definitions[i];
                const char *prefix;

                prefix = constant_prefix(&generator->arena, definition->package, definition->name);
                for (size_t j = 0; prefix && j < definition->field_count; j++) {
                        const struct schema_field *field = &definition->fields[j];

                        for (size_t k = 0; k < field->value_count; k++) {
                                const char *name = arena_print(&generator->arena, "%s%s", prefix,
                                                               field->values[k].constant);

                                *(*next)++ = (struct name_claim){.name = name, .own = true};
                                prefix = name ? prefix : NULL;
                        }
                }
                if (!prefix) {
                        return -ENOMEM;
                }
        }
        return 0;
}

/* Claims those of messages. What begins like the macros of slipring is none of theirs. */
static int claim_constants(struct generator *generator,
                           const struct constants *constants,
                           struct name_claim *next) {
        for (size_t i = 0; i < constants->count; i++) {
                const struct msg *msg = constants->messages[i];
                const char *prefix, *tail;

                prefix = constant_prefix(&generator->arena, msg->package, message_base(msg));
                if (!prefix) {
                        return -ENOMEM;
                }
                tail = strncmp(prefix, "SLIPRING_", strlen("SLIPRING_")) ? "" : "_";
                for (size_t j = 0; j < msg->constant_count; j++, next++) {
                        next->name = arena_print(&generator->arena, "%s%s%s", prefix,
                                                 msg->constants[j].name, tail);
                        if (!next->name) {
                                return -ENOMEM;
                        }
                }
        }
        return 0;
}

static int constants_name(struct generator *generator, struct constants *constants) {
        size_t values = values_count(generator->schema), count = values;
        struct name_claim *next;
        int r;

        for (size_t i = 0; i < constants->count; i++) {
                count += constants->messages[i]->constant_count;
        }
        constants->claims = calloc(count + 1, sizeof(*constants->claims));
        if (!constants->claims) {
                return -ENOMEM;
        }
        next = constants->claims;
        constants->next = values;
        r = claim_values(generator, &next);
        if (r == 0) {
                r = claim_constants(generator, constants, next);
        }
        return r < 0 ? r : names_part(&generator->arena, constants->claims, count);
}

/* A number with a point as one that has one; C has no constants for others than finite ones. */
static void emit_real(struct generator *generator, uint32_t kind, const char *name, double real) {
        char text[40];

        if (kind == SLIPRING_KIND_FLOAT32) {
                real = (double) (float) real;
        }
        if (!isfinite(real)) {
                emit(generator, "/* %s is %f */\n", name, real);
                return;
        }
        snprintf(text, sizeof(text), kind == SLIPRING_KIND_FLOAT32 ? "%.9g" : "%.17g", real);
        emit(generator, "#define %s %s%s%s%s%s\n", name, *text == '-' ? "(" : "", text,
             strpbrk(text, ".e") ? "" : ".0", kind == SLIPRING_KIND_FLOAT32 ? "f" : "",
             *text == '-' ? ")" : "");
}

static void
emit_constant(struct generator *generator, const struct msg_constant *constant, const char *name) {
        struct schema_value value = {0};
        double real = 0;

        if (constant->kind == SLIPRING_KIND_FLOAT32 || constant->kind == SLIPRING_KIND_FLOAT64) {
                /* What a schema does not know is nan or infinite. */
                if (value_real(constant->text, &real) < 0) {
                        real = strtod(constant->text, NULL);
                }
                emit_real(generator, constant->kind, name, real);
                return;
        }
        emit(generator, "#define %s ", name);
        if (constant->kind == MSG_KIND_STRING) {
                emit_literal(generator, constant->text, strlen(constant->text));
        } else if (constant->kind == SLIPRING_KIND_BOOL) {
                emit(generator, "%d", strchr("tT1", *constant->text) != NULL);
        } else {
                (void) value_integer(constant->text, &value.negative, &value.magnitude);
                emit_number(generator, constant->kind, &value);
        }
        emit(generator, "\n");
}

/* Another bus may have them, too. */
static int emit_message_constants(struct generator *generator,
                                  struct constants *constants,
                                  const struct msg *msg) {
        const char *base = message_base(msg);
        struct buffer text = {0};
        uint64_t hash;

        for (size_t i = 0; i < msg->constant_count; i++) {
                buffer_print(&text, "%s %s=%s\n", msg->constants[i].type, msg->constants[i].name,
                             msg->constants[i].text);
        }
        if (text.failed) {
                buffer_free(&text);
                return -ENOMEM;
        }
        hash = text_hash(&text);
        buffer_free(&text);
        emit(generator,
             "\n#ifndef SLIPRING_CONSTANTS_%s_%s\n#define SLIPRING_CONSTANTS_%s_%s 0x%016" PRIx64
             "u\n\n/* %s */\n",
             msg->package, base, msg->package, base, hash, msg->name);
        for (size_t i = 0; i < msg->constant_count; i++) {
                emit_constant(generator, &msg->constants[i],
                              constants->claims[constants->next++].name);
        }
        emit(generator,
             "\n#elif SLIPRING_CONSTANTS_%s_%s != 0x%016" PRIx64
             "u\n#error \"two buses have different messages %s\"\n#endif\n",
             msg->package, base, hash, msg->name);
        return 0;
}

static int emit_constants(struct generator *generator) {
        _cleanup_(constants_free) struct constants constants = {0};
        int r;

        r = constants_collect(&constants, generator->schema);
        if (r == 0) {
                r = constants_name(generator, &constants);
        }
        for (size_t i = 0; r == 0 && i < constants.count; i++) {
                if (constants.messages[i]->constant_count > 0) {
                        r = emit_message_constants(generator, &constants, constants.messages[i]);
                }
        }
        return r;
}

/* What sizeof gives: the message itself may end before. */
static uint32_t definition_sizeof(const struct schema_definition *definition) {
        return (definition->size_bytes + definition->align_bytes - 1) & -definition->align_bytes;
}

static int emit_message(struct generator *generator, const struct schema_definition *definition) {
        const uint8_t *identity = definition->type->identity;
        uint64_t hash = 0;
        const char *type;
        int r;

        for (size_t i = 0; i < sizeof(hash); i++) {
                hash = hash << 8 | identity[i];
        }
        type = arena_print(&generator->arena, "%s_%s", definition->package, definition->name);
        if (!type) {
                return -ENOMEM;
        }
        emit(generator,
             "\n#ifndef SLIPRING_TYPE_%s\n#define SLIPRING_TYPE_%s 0x%016" PRIx64
             "u\n\n/* %s, %u bytes */\nstruct %s {\n",
             type, type, hash, definition->message->name, definition->size_bytes, type);
        r = emit_members(generator, definition, 0, 8);
        if (r < 0) {
                return r;
        }
        emit(generator, "};\n\nSLIPRING_STATIC_ASSERT(sizeof(struct %s) == %u, \"size of %s\");\n",
             type, definition_sizeof(definition), definition->name);
        r = emit_member_asserts(generator, type, definition, 0, "");
        emit(generator,
             "\n#elif SLIPRING_TYPE_%s != 0x%016" PRIx64
             "u\n#error \"two buses have different messages %s\"\n#endif\n",
             type, hash, type);
        return r;
}

static int definition_hash(const struct schema_definition *definition, uint64_t *ret_hash) {
        struct buffer text = {0};

        type_text_fields(&text, definition);
        for (size_t i = 0; i < definition->field_count; i++) {
                buffer_print(&text, "%s\n", definition->fields[i].unit);
        }
        if (text.failed) {
                buffer_free(&text);
                return -ENOMEM;
        }
        *ret_hash = text_hash(&text);
        buffer_free(&text);
        return 0;
}

/* Two buses may share a package, so a type that is there already is not defined again. */
static int emit_type(struct generator *generator, const struct schema_definition *definition) {
        const char *package = definition->package, *name = definition->name;
        uint64_t hash = 0;
        int r;

        r = definition_hash(definition, &hash);
        if (r < 0) {
                return r;
        }
        emit(generator,
             "\n#ifndef SLIPRING_TYPE_%s_%s\n"
             "#define SLIPRING_TYPE_%s_%s 0x%016" PRIx64 "u\n\n"
             "/* %s/msg/%s, %u bytes */\nstruct %s_%s {\n",
             package, name, package, name, hash, package, name, definition->size_bytes, package,
             name);
        for (size_t i = 0; i < definition->field_count; i++) {
                emit_field(generator, &definition->fields[i], 8);
        }
        emit(generator, "};\n");
        r = emit_values(generator, definition);
        if (r < 0) {
                return r;
        }
        emit_asserts(generator, definition);
        emit(generator,
             "\n#elif SLIPRING_TYPE_%s_%s != 0x%016" PRIx64 "u\n"
             "#error \"two buses have different types %s/msg/%s\"\n"
             "#endif\n",
             package, name, hash, package, name);
        return 0;
}

/*
 * Descriptors
 */

static const char *const kind_names[] = {
        [SLIPRING_KIND_BOOL] = "BOOL",         [SLIPRING_KIND_INT8] = "INT8",
        [SLIPRING_KIND_UINT8] = "UINT8",       [SLIPRING_KIND_INT16] = "INT16",
        [SLIPRING_KIND_UINT16] = "UINT16",     [SLIPRING_KIND_INT32] = "INT32",
        [SLIPRING_KIND_UINT32] = "UINT32",     [SLIPRING_KIND_INT64] = "INT64",
        [SLIPRING_KIND_UINT64] = "UINT64",     [SLIPRING_KIND_FLOAT32] = "FLOAT32",
        [SLIPRING_KIND_FLOAT64] = "FLOAT64",   [SLIPRING_KIND_TIME] = "TIME",
        [SLIPRING_KIND_DURATION] = "DURATION", [SLIPRING_KIND_STRUCT] = "STRUCT",
        [SLIPRING_KIND_LENGTH] = "LENGTH",     [SLIPRING_KIND_STRING] = "STRING",
        [SLIPRING_KIND_LIST] = "LIST",         [SLIPRING_KIND_TEXT] = "TEXT",
        [SLIPRING_KIND_SEQUENCE] = "SEQUENCE", [SLIPRING_KIND_GAP] = "GAP",
};

static void emit_record(struct generator *generator, const struct slipring_field *field) {
        emit(generator, "        {\"%s\", ", field->name);
        emit_literal(generator, field->unit, strlen(field->unit));
        emit(generator, ", SLIPRING_KIND_%s, %u, %u, %u, %u, %u},\n", kind_names[field->kind],
             field->count, field->offset_bytes, field->element_bytes, field->first_child,
             field->child_count);
}

static void emit_text(struct generator *generator, const char *text) {
        if (!*text) {
                emit(generator, "        \"\",\n");
        }
        while (*text) {
                size_t length = strcspn(text, "\n") + 1;

                emit(generator, "        ");
                emit_literal(generator, text, length);
                emit(generator, text[length] ? "\n" : ",\n");
                text += length;
        }
}

static void emit_identity(struct generator *generator, const uint8_t identity[32]) {
        emit(generator, "        {");
        for (size_t i = 0; i < 32; i++) {
                emit(generator, "0x%02x%s", identity[i],
                     i == 31   ? "},\n"
                     : i == 15 ? ",\n         "
                               : ", ");
        }
}

static void emit_descriptor(struct generator *generator,
                            const struct schema_definition *definition) {
        const char *package = definition->package, *name = definition->name;
        const struct slipring_type *type = definition->type;
        bool overlong = strlen(type->text) > LITERAL_BYTES_MAX;

        emit(generator,
             "\n#ifndef SLIPRING_DESCRIPTOR_%s_%s\n#define SLIPRING_DESCRIPTOR_%s_%s\n\n"
             "static const struct slipring_field %s_%s_fields[] SLIPRING_UNUSED = {\n",
             package, name, package, name, package, name);
        for (uint32_t i = 0; i < type->field_count; i++) {
                emit_record(generator, &type->fields[i]);
        }
        emit(generator, "};\n\n");
        if (overlong) {
                emit(generator, "#pragma GCC diagnostic push\n"
                                "#pragma GCC diagnostic ignored \"-Woverlength-strings\"\n");
        }
        emit(generator,
             "static const struct slipring_type %s_%s_type SLIPRING_UNUSED = {\n"
             "        SLIPRING_TYPE_VERSION, %u, %u, %u,\n",
             package, name, type->payload_bytes, type->field_count, type->root_count);
        emit_identity(generator, type->identity);
        emit(generator, "        \"%s\",\n", type->name);
        emit_text(generator, type->text);
        emit(generator, "        %s_%s_fields,\n};\n", package, name);
        if (overlong) {
                emit(generator, "#pragma GCC diagnostic pop\n");
        }
        emit(generator, "\n#endif\n");
}

/*
 * Topics
 */

/**
 * struct topic_names - how a topic's wrappers are called
 * @prefix:     "rover_imu_front"
 * @type:       "rover_msgs_Imu"
 * @topic:      "imu/front"
 * @bus:        "rover"
 * @size:       "sizeof(*message)", or the bytes of a message that ends before its struct
 */
struct topic_names {
        const char *prefix;
        const char *type;
        const char *topic;
        const char *bus;
        const char *size;
};

/* A template: $P is the prefix, $T the type, $N the topic's name, $B the bus, $S the size. */
static void
emit_template(struct generator *generator, const char *text, const struct topic_names *names) {
        while (*text) {
                size_t length = strcspn(text, "$");
                const char *word = "";

                buffer_append(generator->out, text, length);
                text += length;
                if (!*text) {
                        return;
                }
                word = text[1] == 'P'   ? names->prefix
                       : text[1] == 'T' ? names->type
                       : text[1] == 'N' ? names->topic
                       : text[1] == 'S' ? names->size
                                        : names->bus;
                emit(generator, "%s", word);
                text += 2;
        }
}

static const char template_open[] =
        "static const char $P_topic[] SLIPRING_UNUSED = \"$N\";\n"
        "\n"
        "struct $P_publisher {\n"
        "        struct slipring_publisher *handle;\n"
        "};\n"
        "\n"
        "struct $P_subscriber {\n"
        "        struct slipring_subscriber *handle;\n"
        "};\n"
        "\n"
        "static inline int $P_publisher_open(struct $P_publisher *ret_publisher,\n"
        "                                    const struct slipring_publisher_options *options,\n"
        "                                    struct slipring_error *reterr) {\n"
        "        struct slipring_publisher_options all;\n"
        "\n"
        "        memset(&all, 0, sizeof(all));\n"
        "        if (options) {\n"
        "                all = *options;\n"
        "        }\n"
        "        all.size = sizeof(all);\n"
        "        all.type = &$T_type;\n"
        "        if (!all.bus && !getenv(\"SLIPRING_BUS\")) {\n"
        "                all.bus = \"$B\";\n"
        "        }\n"
        "        return slipring_publisher_open(&ret_publisher->handle, $P_topic, &all, reterr);\n"
        "}\n"
        "\n"
        "static inline int $P_subscriber_open(struct $P_subscriber *ret_subscriber,\n"
        "                                     const struct slipring_subscriber_options *options,\n"
        "                                     struct slipring_error *reterr) {\n"
        "        struct slipring_subscriber_options all;\n"
        "\n"
        "        memset(&all, 0, sizeof(all));\n"
        "        if (options) {\n"
        "                all = *options;\n"
        "        }\n"
        "        all.size = sizeof(all);\n"
        "        all.type = &$T_type;\n"
        "        if (!all.bus && !getenv(\"SLIPRING_BUS\")) {\n"
        "                all.bus = \"$B\";\n"
        "        }\n"
        "        return slipring_subscriber_open(&ret_subscriber->handle, $P_topic, &all, "
        "reterr);\n"
        "}\n"
        "\n";

static const char template_publisher[] =
        "static inline int $P_publish(struct $P_publisher publisher, const struct $T *message) {\n"
        "        return slipring_publisher_publish(publisher.handle, message, $S, 0);\n"
        "}\n"
        "\n"
        "static inline int $P_publish_at(struct $P_publisher publisher,\n"
        "                                const struct $T *message,\n"
        "                                uint64_t source_time_ns) {\n"
        "        return slipring_publisher_publish(\n"
        "                publisher.handle, message, $S, source_time_ns);\n"
        "}\n"
        "\n"
        "static inline int $P_loan(struct $P_publisher publisher, struct $T **ret_message) {\n"
        "        void *payload = NULL;\n"
        "        int r = slipring_publisher_loan(publisher.handle, &payload);\n"
        "\n"
        "        if (r >= 0) {\n"
        "                *ret_message = (struct $T *) payload;\n"
        "        }\n"
        "        return r;\n"
        "}\n"
        "\n"
        "static inline int $P_commit(struct $P_publisher publisher) {\n"
        "        return slipring_publisher_commit(publisher.handle, 0);\n"
        "}\n"
        "\n"
        "static inline int $P_commit_at(struct $P_publisher publisher, uint64_t source_time_ns) {\n"
        "        return slipring_publisher_commit(publisher.handle, source_time_ns);\n"
        "}\n"
        "\n"
        "static inline int $P_abandon(struct $P_publisher publisher) {\n"
        "        return slipring_publisher_abandon(publisher.handle);\n"
        "}\n"
        "\n"
        "static inline int $P_publisher_move(struct $P_publisher publisher,\n"
        "                                    uint64_t deadline_ns,\n"
        "                                    struct slipring_error *reterr) {\n"
        "        return slipring_publisher_move(publisher.handle, deadline_ns, reterr);\n"
        "}\n"
        "\n"
        "static inline int $P_publisher_info(struct $P_publisher publisher,\n"
        "                                    struct slipring_publisher_info *ret_info) {\n"
        "        return slipring_publisher_info(publisher.handle, ret_info);\n"
        "}\n"
        "\n"
        "static inline void $P_publisher_close(struct $P_publisher *publisher) {\n"
        "        publisher->handle = slipring_publisher_close(publisher->handle);\n"
        "}\n"
        "\n";

static const char template_take[] =
        "static inline int $P_take(struct $P_subscriber subscriber,\n"
        "                          struct $T *ret_message,\n"
        "                          struct slipring_sample *ret_sample) {\n"
        "        return slipring_subscriber_take(\n"
        "                subscriber.handle, ret_message, sizeof(*ret_message), ret_sample);\n"
        "}\n"
        "\n"
        "static inline int $P_take_newest(struct $P_subscriber subscriber,\n"
        "                                 struct $T *ret_message,\n"
        "                                 struct slipring_sample *ret_sample) {\n"
        "        return slipring_subscriber_take_newest(\n"
        "                subscriber.handle, ret_message, sizeof(*ret_message), ret_sample);\n"
        "}\n"
        "\n";

static const char template_batch[] =
        "static inline int $P_take_batch(struct $P_subscriber subscriber,\n"
        "                                struct $T *ret_messages,\n"
        "                                struct slipring_sample *ret_samples,\n"
        "                                size_t capacity) {\n"
        "        return slipring_subscriber_take_batch(subscriber.handle, ret_messages,\n"
        "                                              capacity * sizeof(*ret_messages),\n"
        "                                              ret_samples, capacity);\n"
        "}\n"
        "\n";

static const char template_subscriber[] =
        "static inline int $P_borrow(struct $P_subscriber subscriber,\n"
        "                            const struct $T **ret_message,\n"
        "                            struct slipring_sample *ret_sample) {\n"
        "        struct slipring_sample sample;\n"
        "        int r = slipring_subscriber_borrow(subscriber.handle, &sample);\n"
        "\n"
        "        if (r > 0) {\n"
        "                *ret_message = (const struct $T *) sample.payload;\n"
        "                if (ret_sample) {\n"
        "                        *ret_sample = sample;\n"
        "                }\n"
        "        }\n"
        "        return r;\n"
        "}\n"
        "\n"
        "static inline int $P_borrow_newest(struct $P_subscriber subscriber,\n"
        "                                   const struct $T **ret_message,\n"
        "                                   struct slipring_sample *ret_sample) {\n"
        "        struct slipring_sample sample;\n"
        "        int r = slipring_subscriber_borrow_newest(subscriber.handle, &sample);\n"
        "\n"
        "        if (r > 0) {\n"
        "                *ret_message = (const struct $T *) sample.payload;\n"
        "                if (ret_sample) {\n"
        "                        *ret_sample = sample;\n"
        "                }\n"
        "        }\n"
        "        return r;\n"
        "}\n"
        "\n"
        "SLIPRING_MUST_CHECK static inline int $P_release(struct $P_subscriber subscriber) {\n"
        "        return slipring_subscriber_release(subscriber.handle);\n"
        "}\n"
        "\n"
        "static inline int $P_wait(struct $P_subscriber subscriber, uint64_t deadline_ns) {\n"
        "        return slipring_subscriber_wait(subscriber.handle, deadline_ns);\n"
        "}\n"
        "\n"
        "static inline int $P_subscriber_move(struct $P_subscriber subscriber,\n"
        "                                     uint64_t deadline_ns,\n"
        "                                     struct slipring_error *reterr) {\n"
        "        return slipring_subscriber_move(subscriber.handle, deadline_ns, reterr);\n"
        "}\n"
        "\n"
        "static inline int $P_subscriber_info(struct $P_subscriber subscriber,\n"
        "                                     struct slipring_subscriber_info *ret_info) {\n"
        "        return slipring_subscriber_info(subscriber.handle, ret_info);\n"
        "}\n"
        "\n"
        "static inline void $P_subscriber_close(struct $P_subscriber *subscriber) {\n"
        "        subscriber->handle = slipring_subscriber_close(subscriber->handle);\n"
        "}\n";

static void emit_topic_comment(struct generator *generator, const struct schema_topic *topic) {
        emit(generator, "\n/*\n * Topic %s", topic->name);
        if (topic->description[0]) {
                emit(generator, ": ");
                emit_comment_text(generator, topic->description);
        }
        emit(generator, "\n * %u slots", topic->depth);
        if (topic->rate_hz > 0) {
                emit(generator, ", nominally %g Hz", topic->rate_hz);
        }
        if (topic->deadline_ns > 0) {
                emit(generator, ", stale after %g ms", (double) topic->deadline_ns / 1e6);
        }
        emit(generator, "\n */\n");
}

static int emit_topic(struct generator *generator, const struct schema_topic *topic) {
        const struct schema_definition *definition = topic->definition;
        struct topic_names names = {.topic = topic->name, .bus = generator->schema->bus};
        const char *flat;

        flat = name_flat(&generator->arena, topic->name);
        if (!flat) {
                return -ENOMEM;
        }
        names.prefix = arena_print(&generator->arena, "%s_%s", generator->schema->bus, flat);
        names.type = arena_print(&generator->arena, "%s_%s", definition->package, definition->name);
        names.size = definition_sizeof(definition) == definition->size_bytes
                             ? "sizeof(*message)"
                             : arena_print(&generator->arena, "%u", definition->size_bytes);
        if (!names.prefix || !names.type || !names.size) {
                return -ENOMEM;
        }
        emit_topic_comment(generator, topic);
        emit_template(generator, template_open, &names);
        emit_template(generator, template_publisher, &names);
        emit_template(generator, template_take, &names);
        /* A batch puts messages side by side, where structs would not be. */
        if (definition_sizeof(definition) == definition->size_bytes) {
                emit_template(generator, template_batch, &names);
        }
        emit_template(generator, template_subscriber, &names);
        return 0;
}

/*
 * The header
 */

static void emit_head(struct generator *generator) {
        const char *bus = generator->schema->bus;

        emit(generator,
             "/*\n"
             " * Bus %s: its message types and typed access to its topics.\n"
             " *\n"
             " * Made by slipring generate; to change it, change the bus's YAML file. The types "
             "are plain\n"
             " * C structs whose bytes are the message. For each topic there are typed wrappers "
             "around\n"
             " * <slipring/publisher.h> and <slipring/subscriber.h>, which say what each call "
             "returns and\n"
             " * which of them are for real time. Without a bus in the options they open the one "
             "that\n"
             " * SLIPRING_BUS names, else %s.\n"
             " */\n\n"
             "#ifndef SLIPRING_BUS_%s_H\n"
             "#define SLIPRING_BUS_%s_H\n\n"
             "#include <stddef.h>\n"
             "#include <stdint.h>\n"
             "#include <stdlib.h>\n"
             "#include <string.h>\n\n"
             "#include <slipring/publisher.h>\n"
             "#include <slipring/subscriber.h>\n\n",
             bus, bus, bus, bus);
        emit(generator, "#ifndef SLIPRING_STATIC_ASSERT\n"
                        "#ifdef __cplusplus\n"
                        "#define SLIPRING_STATIC_ASSERT static_assert\n"
                        "#else\n"
                        "#define SLIPRING_STATIC_ASSERT _Static_assert\n"
                        "#endif\n"
                        "#endif\n\n"
                        "#ifndef SLIPRING_UNUSED\n"
                        "#ifdef __GNUC__\n"
                        "#define SLIPRING_UNUSED __attribute__((unused))\n"
                        "#else\n"
                        "#define SLIPRING_UNUSED\n"
                        "#endif\n"
                        "#endif\n\n"
                        "#if defined(__BYTE_ORDER__) && __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__\n"
                        "#error \"the bytes of a message are little-endian\"\n"
                        "#endif\n");
}

static int emit_body(struct generator *generator) {
        const struct schema *schema = generator->schema;
        int r;

        r = emit_constants(generator);
        if (r < 0) {
                return r;
        }
        for (size_t i = 0; i < schema->definition_count; i++) {
                const struct schema_definition *definition = schema->definitions[i];

                r = definition->message ? emit_message(generator, definition)
                                        : emit_type(generator, definition);
                if (r < 0) {
                        return r;
                }
        }
        for (size_t i = 0; i < schema->definition_count; i++) {
                if (schema->definitions[i]->type) {
                        emit_descriptor(generator, schema->definitions[i]);
                }
        }
        for (size_t i = 0; i < schema->topic_count; i++) {
                r = emit_topic(generator, &schema->topics[i]);
                if (r < 0) {
                        return r;
                }
        }
        return 0;
}

int generate_c(struct buffer *buffer, const struct schema *schema) {
        struct generator generator = {.out = buffer, .schema = schema};
        int r;

        if (word_is_in(schema->bus, system_headers, ELEMENTS(system_headers))) {
                return -EADDRINUSE;
        }
        emit_head(&generator);
        r = emit_body(&generator);
        arena_free(&generator.arena);
        emit(&generator, "\n#endif\n");
        return r < 0 ? r : buffer->failed ? -ENOMEM : 0;
}
