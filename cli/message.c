#include "cli/message.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <yaml.h>

#include "bus/error.h"
#include "bus/type.h"
#include "publishers/payload.h"
#include "schema/buffer.h"
#include "schema/suggest.h"
#include "subscribers/selection.h"

/* A path is short where types are; this is for messages only. */
#define PATH_MAX_BYTES 512

struct writer {
        const struct slipring_type *type;
        yaml_parser_t parser;
        yaml_event_t event; /* at hand */
        uint64_t now_ns;
        uint8_t *payload;
        bool now;
        struct slipring_error *reterr;
};

static int write_value(struct writer *writer, const struct slipring_field *field, const char *path);

/*
 * Events
 */

static int report(struct writer *writer, int code, const char *path, const char *text) {
        return error_set(writer->reterr, code, "%s%.200s%s%s (line %zu, column %zu)",
                         *path ? "field '" : "", path, *path ? "': " : "", text,
                         writer->event.start_mark.line + 1, writer->event.start_mark.column + 1);
}

/* Fetch the next event; the parser's own mistakes end here. */
static int advance(struct writer *writer) {
        yaml_event_delete(&writer->event);
        writer->event = (yaml_event_t){0};
        if (!yaml_parser_parse(&writer->parser, &writer->event)) {
                return error_set(writer->reterr,
                                 writer->parser.error == YAML_MEMORY_ERROR ? -ENOMEM : -EINVAL,
                                 "not YAML: %s (line %zu, column %zu)",
                                 writer->parser.problem ? writer->parser.problem : "unreadable",
                                 writer->parser.problem_mark.line + 1,
                                 writer->parser.problem_mark.column + 1);
        }
        if (writer->event.type == YAML_ALIAS_EVENT) {
                return report(writer, -EINVAL, "", "aliases are not for messages");
        }
        return 0;
}

static const char *scalar(const struct writer *writer) {
        return (const char *) writer->event.data.scalar.value;
}

/*
 * Values
 */

static int unknown(struct writer *writer, const struct slipring_field *parent, const char *path) {
        struct suggestion suggestion = {.word = scalar(writer)};
        struct buffer names = {0};
        int r;

        for (uint32_t i = 0; i < parent->child_count; i++) {
                const struct slipring_field *field = &writer->type->fields[parent->first_child + i];

                if (!type_is_hidden(field)) {
                        suggestion_offer(&suggestion, field->name);
                        buffer_print(&names, "%s%s", names.length ? ", " : "", field->name);
                }
        }
        if (parent->kind != SLIPRING_KIND_STRUCT) {
                buffer_print(&names, "sec, nanosec");
        }
        r = error_set(writer->reterr, -EINVAL, "%s%.200s has no field '%.80s'%s%.200s%s",
                      *path ? "field " : "type ", *path ? path : writer->type->name, scalar(writer),
                      suggestion.best ? "; did you mean '" : "; it has ",
                      suggestion.best ? suggestion.best
                      : names.text    ? names.text
                                      : "none",
                      suggestion.best ? "'?" : "");
        buffer_free(&names);
        return r;
}

static bool bit_test_set(uint8_t *bits, uint32_t bit) {
        bool was = bits[bit / 8] & 1u << bit % 8;

        bits[bit / 8] |= (uint8_t) (1u << bit % 8);
        return was;
}

/* One "name: value"; the event at hand is the name. */
static int write_member(struct writer *writer,
                        const struct slipring_field *parent,
                        const char *path,
                        uint8_t *seen) {
        struct slipring_field field;
        char below[PATH_MAX_BYTES];
        int r;

        if (writer->event.type != YAML_SCALAR_EVENT) {
                return report(writer, -EINVAL, path, "a key has to be a field's name");
        }
        if (selection_member(writer->type, parent, scalar(writer), strlen(scalar(writer)), &field) <
            0) {
                return unknown(writer, parent, path);
        }
        snprintf(below, sizeof(below), "%.*s%s%.255s", 240, path, *path ? "." : "", field.name);
        if (bit_test_set(seen, field.offset_bytes - parent->offset_bytes)) {
                return report(writer, -EINVAL, below, "given twice");
        }
        r = advance(writer);
        return r < 0 ? r : write_value(writer, &field, below);
}

static int
write_mapping(struct writer *writer, const struct slipring_field *parent, const char *path) {
        /* Members begin at different bytes, so that these tell them apart. */
        uint8_t *seen = calloc(1, parent->element_bytes / 8 + 1);
        int r;

        if (!seen) {
                return error_set(writer->reterr, -ENOMEM, "out of memory");
        }
        while ((r = advance(writer)) == 0 && writer->event.type != YAML_MAPPING_END_EVENT) {
                r = write_member(writer, parent, path, seen);
                if (r < 0) {
                        break;
                }
        }
        free(seen);
        return r;
}

static int
write_sequence(struct writer *writer, const struct slipring_field *array, const char *path) {
        struct selection_walk walk = {.type = writer->type, .array = *array};
        struct slipring_field element;
        char below[PATH_MAX_BYTES];
        int r;

        for (uint32_t i = 0;; i++) {
                r = advance(writer);
                if (r < 0 || writer->event.type == YAML_SEQUENCE_END_EVENT) {
                        return r;
                }
                if (!selection_walk_next(&walk, &element)) {
                        snprintf(below, sizeof(below), "more than its %" PRIu32 " elements", i);
                        return report(writer, -EINVAL, path, below);
                }
                if (array->kind == SLIPRING_KIND_SEQUENCE) {
                        memcpy(writer->payload + array->offset_bytes, &walk.next,
                               sizeof(walk.next));
                }
                snprintf(below, sizeof(below), "%.400s[%" PRIu32 "]", path, i);
                r = write_value(writer, &element, below);
                if (r < 0) {
                        return r;
                }
        }
}

static int expect(struct writer *writer, const struct slipring_field *field, const char *path) {
        const char *names = field->kind == SLIPRING_KIND_STRUCT ? "a mapping of fields, {a: 1}"
                                                                : type_kind_name(field->kind);
        char text[128];

        if (field->kind == SLIPRING_KIND_LIST || field->kind == SLIPRING_KIND_SEQUENCE ||
            type_is_empty(field)) {
                snprintf(text, sizeof(text), "expected a list of up to %" PRIu32 " elements",
                         selection_count(writer->type, field));
        } else if (type_is_text(field)) {
                snprintf(text, sizeof(text), "expected a text of up to %" PRIu32 " bytes",
                         type_text_bytes(field));
        } else if (field->count) {
                snprintf(text, sizeof(text), "expected a list of up to %" PRIu32 " %ss",
                         field->count, type_kind_name(field->kind));
        } else {
                snprintf(text, sizeof(text), "expected %s%s",
                         field->kind == SLIPRING_KIND_STRUCT ? "" : "one ", names);
        }
        return report(writer, -EINVAL, path, text);
}

static int
write_scalar(struct writer *writer, const struct slipring_field *field, const char *path) {
        int r;

        r = payload_set(field, path, scalar(writer), writer->now_ns,
                        writer->payload + field->offset_bytes, writer->reterr);
        if (r == 0 && field->kind == SLIPRING_KIND_TIME && payload_is_now(scalar(writer))) {
                writer->now = true;
        }
        return r;
}

/* A string may be given, as echo prints it, if it is what it always is. */
static int
write_string(struct writer *writer, const struct slipring_field *field, const char *path) {
        char text[128];

        if (writer->event.type == YAML_SCALAR_EVENT && !strcmp(scalar(writer), field->unit)) {
                return 0;
        }
        snprintf(text, sizeof(text), "always '%.80s' on this topic", field->unit);
        return report(writer, -EINVAL, path, text);
}

/* The event at hand begins the value. */
static int
write_value(struct writer *writer, const struct slipring_field *field, const char *path) {
        bool time = field->kind == SLIPRING_KIND_TIME || field->kind == SLIPRING_KIND_DURATION;

        if (field->kind == SLIPRING_KIND_STRING) {
                return write_string(writer, field, path);
        }
        switch (writer->event.type) {
        case YAML_SEQUENCE_START_EVENT:
                return selection_count(writer->type, field) > 0 || type_is_empty(field)
                               ? write_sequence(writer, field, path)
                               : expect(writer, field, path);
        case YAML_MAPPING_START_EVENT:
                return !field->count && (time || field->kind == SLIPRING_KIND_STRUCT)
                               ? write_mapping(writer, field, path)
                               : expect(writer, field, path);
        default:
                if (type_is_text(field)) {
                        return payload_set_text(field, path, scalar(writer),
                                                writer->payload + field->offset_bytes,
                                                writer->reterr);
                }
                return !field->count && !type_is_parent(field) && !type_is_empty(field)
                               ? write_scalar(writer, field, path)
                               : expect(writer, field, path);
        }
}

/*
 * Documents
 */

/* Nanoseconds may be given apart from the seconds, so they are looked at when all is there. */
static int
check_nanosec(struct writer *writer, const struct slipring_field *field, const char *path) {
        uint32_t nanosec;

        memcpy(&nanosec, writer->payload + field->offset_bytes + 4, sizeof(nanosec));
        if (nanosec > 999999999) {
                return error_set(writer->reterr, -ERANGE,
                                 "field '%.200s': nanosec is %" PRIu32 ", above 999999999", path,
                                 nanosec);
        }
        return 0;
}

static int
check_times(struct writer *writer, const struct slipring_field *field, const char *path) {
        struct selection_walk walk = {
                .type = writer->type, .payload = writer->payload, .array = *field};
        bool time = field->kind == SLIPRING_KIND_TIME || field->kind == SLIPRING_KIND_DURATION;
        struct slipring_field element;
        char below[PATH_MAX_BYTES];
        int r = 0;

        if (!time && !type_is_parent(field)) {
                return 0;
        }
        for (uint32_t i = 0; r == 0 && selection_walk_next(&walk, &element); i++) {
                snprintf(below, sizeof(below), "%.400s[%" PRIu32 "]", path, i);
                r = check_times(writer, &element, below);
        }
        if (selection_count(writer->type, field) > 0) {
                return r;
        }
        if (time) {
                return check_nanosec(writer, field, path);
        }
        for (uint32_t i = 0; i < field->child_count && r == 0; i++) {
                struct slipring_field child = writer->type->fields[field->first_child + i];

                child.offset_bytes += field->offset_bytes;
                snprintf(below, sizeof(below), "%.*s%s%.255s", 240, path, *path ? "." : "",
                         child.name);
                r = check_times(writer, &child, below);
        }
        return r;
}

/* Everything from the first event to the last. */
static int write_document(struct writer *writer) {
        struct slipring_field all = selection_all(writer->type);
        int r;

        do {
                r = advance(writer);
        } while (r == 0 && (writer->event.type == YAML_STREAM_START_EVENT ||
                            writer->event.type == YAML_DOCUMENT_START_EVENT));
        if (r < 0 || writer->event.type == YAML_STREAM_END_EVENT) {
                return r; /* nothing: all zeros */
        }
        r = write_value(writer, &all, "");
        while (r == 0 && writer->event.type != YAML_STREAM_END_EVENT) {
                r = advance(writer);
                if (r == 0 && writer->event.type == YAML_DOCUMENT_START_EVENT) {
                        r = report(writer, -EINVAL, "", "more than one document");
                }
        }
        return r < 0 ? r : check_times(writer, &all, "");
}

/* What never changes, as the library will write it. */
static int write_constants(const struct slipring_type *type, uint8_t *payload) {
        struct ring_constant *constants = NULL;
        size_t count = 0;
        int r;

        r = type_constants(type, &constants, &count);
        for (size_t i = 0; r == 0 && i < count; i++) {
                if (constants[i].value) {
                        memcpy(payload + constants[i].offset_bytes, constants[i].value,
                               constants[i].bytes);
                }
        }
        free(constants);
        return r;
}

int message_write(const struct slipring_type *type,
                  const char *yaml,
                  uint64_t now_ns,
                  void *payload,
                  bool *ret_now,
                  struct slipring_error *reterr) {
        struct writer writer = {
                .type = type, .now_ns = now_ns, .payload = payload, .reterr = reterr};
        int r;

        memset(payload, 0, type->payload_bytes);
        if (write_constants(type, payload) < 0) {
                return error_set(reterr, -ENOMEM, "out of memory");
        }
        if (!yaml_parser_initialize(&writer.parser)) {
                return error_set(reterr, -ENOMEM, "out of memory");
        }
        yaml_parser_set_input_string(&writer.parser, (const unsigned char *) yaml, strlen(yaml));
        r = write_document(&writer);
        yaml_event_delete(&writer.event);
        yaml_parser_delete(&writer.parser);
        if (r == 0 && ret_now) {
                *ret_now = writer.now;
        }
        return r;
}
