/*
 * The canonical text of a type: ros2msg, followed by the texts of the types it uses.
 *
 *     builtin_interfaces/Time stamp
 *     rover_msgs/Vector3 acceleration
 *     uint8 STATUS_OK=0
 *     uint8 status
 *     uint8[3] pad0
 *     ================================================================================
 *     MSG: builtin_interfaces/Time
 *     int32 sec
 *     uint32 nanosec
 *     ================================================================================
 *     MSG: rover_msgs/Vector3
 *     ...
 *
 * One line a constant, right before its field, and one line a field; single spaces, no blank line,
 * no comment, a newline at the end of each line. A type is named "package/Name", also inside its
 * own package. Types that are used follow in the order in which a reader of the text first meets
 * their names, depth first: those that a type uses come right after it.
 */

#include <errno.h>
#include <inttypes.h>

#include "schema/buffer.h"
#include "schema/type.h"

#define SEPARATOR                                                                                  \
        "================================================================================\n"

/**
 * struct writer - a text being written
 * @buffer:     the text so far
 * @mark:       what definitions that stand in it are marked with
 * @time:       builtin_interfaces/Time stands in it
 * @duration:   builtin_interfaces/Duration stands in it
 */
struct writer {
        struct buffer buffer;
        uint32_t mark;
        bool time;
        bool duration;
};

/* The name of a field's type, or of that of its elements, without a package. */
static const char *text_name(const struct schema_field *value) {
        if (value->kind == SLIPRING_KIND_TEXT) {
                return "string";
        }
        return value->nested ? value->nested->name : type_scalar(value->kind)->text_name;
}

static void text_field(struct buffer *buffer, const struct schema_field *field) {
        bool sequence = field->kind == SLIPRING_KIND_SEQUENCE;
        const struct schema_field *one = sequence ? definition_elements(field) : field;
        const char *name;

        /* It is not in what leaves the bus. */
        if (field->kind == SLIPRING_KIND_GAP) {
                return;
        }
        name = text_name(one);

        for (size_t i = 0; i < field->value_count; i++) {
                const struct schema_value *value = &field->values[i];

                buffer_print(buffer, "%s %s=%s%" PRIu64 "\n", name, value->constant,
                             value->negative ? "-" : "", value->magnitude);
        }
        if (one->nested) {
                buffer_print(buffer, "%s/", one->nested->package);
        }
        buffer_print(buffer, "%s", name);
        if (one->kind == SLIPRING_KIND_TEXT) {
                buffer_print(buffer, "<=%u", one->element_bytes - 1);
        }
        if (one->count > 0) {
                buffer_print(buffer, "[%s%u]", sequence ? "<=" : "", one->count);
        }
        buffer_print(buffer, " %s\n", field->name);
}

void type_text_fields(struct buffer *buffer, const struct schema_definition *definition) {
        for (size_t i = 0; i < definition->field_count; i++) {
                text_field(buffer, &definition->fields[i]);
        }
}

static void text_builtin(struct writer *writer, uint32_t kind, bool *written) {
        if (!*written) {
                buffer_print(&writer->buffer, SEPARATOR "MSG: %s\nint32 sec\nuint32 nanosec\n",
                             type_scalar(kind)->text_name);
        }
        *written = true;
}

/* A definition's own lines, then those of the types it uses. Nesting bounds the recursion. */
static void text_definition(struct writer *writer, struct schema_definition *definition) {
        definition->mark = writer->mark;
        type_text_fields(&writer->buffer, definition);
        for (size_t i = 0; i < definition->field_count; i++) {
                const struct schema_field *field = &definition->fields[i];

                if (field->kind == SLIPRING_KIND_SEQUENCE) {
                        field = definition_elements(field);
                }
                if (field->kind == SLIPRING_KIND_TIME) {
                        text_builtin(writer, field->kind, &writer->time);
                } else if (field->kind == SLIPRING_KIND_DURATION) {
                        text_builtin(writer, field->kind, &writer->duration);
                } else if (field->nested && field->nested->mark != writer->mark) {
                        buffer_print(&writer->buffer, SEPARATOR "MSG: %s/%s\n",
                                     field->nested->package, field->nested->name);
                        text_definition(writer, field->nested);
                }
        }
}

int type_text(const char **ret_text,
              struct schema_definition *definition,
              struct arena *arena,
              uint32_t mark) {
        struct writer writer = {.mark = mark};
        char *text = NULL;

        text_definition(&writer, definition);
        if (!writer.buffer.failed) {
                text = arena_copy(arena, writer.buffer.text, writer.buffer.length);
        }
        buffer_free(&writer.buffer);
        if (!text) {
                return -ENOMEM;
        }
        *ret_text = text;
        return 0;
}
