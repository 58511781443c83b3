/*
 * What a schema has to say of lengths: of each string and sequence either what it always is, or how
 * long it may become.
 *
 * A message in which nothing changes stays CDR as it lies in a sample. So only what does change has
 * a bound here, and what a schema could not say otherwise.
 */

#include "cli/play-lengths.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "bus/error.h"
#include "bus/type.h"

/* Strings that differ by their index, and never change: each is a field. Where they are more, and
 * it is not known that they never change elsewhere, they are strings with a bound. */
#define TEXTS_MAX 64
/* More than a sample may have. */
#define ROOM_MAX (UINT64_C(1) + SLIPRING_PAYLOAD_MAX)

struct writing {
        struct lengths *lengths;
        const struct mcap_text *known;
        struct lengths_lines *lines;
        struct slipring_error *reterr;
};

const char *lengths_builtin(const struct msg_field *field) {
        if (field->kind != SLIPRING_KIND_STRUCT) {
                return NULL;
        }
        if (!strcmp(field->nested_name, "builtin_interfaces/msg/Time")) {
                return "time";
        }
        return strcmp(field->nested_name, "builtin_interfaces/msg/Duration") ? NULL : "duration";
}

void lengths_put_text(struct buffer *buffer, const char *text, size_t bytes) {
        buffer_print(buffer, "\"");
        for (size_t i = 0; i < bytes; i++) {
                buffer_print(buffer, "%s%c", text[i] == '"' || text[i] == '\\' ? "\\" : "",
                             text[i]);
        }
        buffer_print(buffer, "\"");
}

/* What a value takes in a sample that is laid out as C does it. */
struct room {
        uint64_t bytes;
        uint32_t align;
};

static void room_align(struct room *room, uint32_t align) {
        room->bytes = (room->bytes + align - 1) / align * align;
}

static void room_add(struct room *room, uint64_t count, struct room each) {
        room->align = each.align > room->align ? each.align : room->align;
        room_align(room, each.align);
        room->bytes += count * each.bytes;
        room->bytes = room->bytes < ROOM_MAX ? room->bytes : ROOM_MAX;
}

/* How far a field changes; 0: its length, or its text, does not. */
struct bounds {
        uint32_t elements;
        uint32_t bytes;
};

/* Of a sequence whose type has no bound. */
static uint32_t elements_bound(const struct msg_field *field, const struct length *seen) {
        uint32_t bytes = type_kind_bytes(field->kind);
        bool narrow = field->kind == MSG_KIND_STRING || (bytes > 0 && bytes <= 4);

        if (!seen) {
                return 1;
        }
        if (seen->most == 0) {
                /* What follows an empty sequence of others is not agreed on: a schema has one at
                 * the end of all only, and a bound is as good there. */
                return narrow ? 0 : 1;
        }
        return seen->least == seen->most ? 0 : seen->most;
}

/* Of a string whose type has none. @alike: it is in a sequence that changes, whose elements all
 * have the same text if it does not change. */
static uint32_t bytes_bound(const struct length *seen, bool alike) {
        if (seen && seen->constant &&
            (length_all_equal(seen) || (!alike && seen->text_count <= TEXTS_MAX))) {
                return 0;
        }
        return seen && seen->most > 0 ? seen->most : 1;
}

static struct bounds
find_bounds(const struct writing *w, const struct msg_field *field, const char *path, bool inside) {
        struct bounds bounds = {
                .elements = field->array == MSG_BOUNDED ? field->length : 0,
                .bytes = field->string_bound,
        };
        const struct length *seen;

        if (w->known) {
                return (struct bounds){.elements = decode_bound(w->known, "sequence", path),
                                       .bytes = decode_bound(w->known, "string", path)};
        }
        if (field->array == MSG_SEQUENCE) {
                bounds.elements = elements_bound(field, lengths_find(w->lengths, path, true));
        }
        if (field->kind == MSG_KIND_STRING && bounds.bytes == 0) {
                seen = lengths_find(w->lengths, path, false);
                bounds.bytes = bytes_bound(seen, inside);
                if (bounds.elements > 0 && bounds.bytes == 0) {
                        /* A schema gives a sequence of strings two bounds, or none. */
                        bounds.bytes = seen->most > 0 ? seen->most : 1;
                }
        }
        return bounds;
}

static void put_bounds(const struct writing *w, const char *path, struct bounds bounds) {
        struct buffer *lines = &w->lines->bounds;

        if (bounds.elements > 0 && bounds.bytes > 0) {
                buffer_print(lines, "      %s: [%" PRIu32 ", %" PRIu32 "]\n", path, bounds.elements,
                             bounds.bytes);
        } else if (bounds.elements > 0 || bounds.bytes > 0) {
                buffer_print(lines, "      %s: %" PRIu32 "\n", path,
                             bounds.elements > 0 ? bounds.elements : bounds.bytes);
        }
}

/* A length that never changes. */
static int put_length(const struct writing *w, const char *path, uint32_t *ret_count) {
        const struct length *seen = lengths_find(w->lengths, path, true);

        if (!seen || seen->least != seen->most) {
                return error_set(w->reterr, -EINVAL,
                                 "sequences '%s' of its first message have different lengths, or "
                                 "there are none",
                                 path);
        }
        buffer_print(&w->lines->lengths, "      %s: %" PRIu32 "\n", path, seen->most);
        *ret_count = seen->most;
        return 0;
}

/* A string, or those of the elements of an array, that never change. */
static int put_constant(const struct writing *w, const char *path, struct room *room) {
        const struct length *seen = lengths_find(w->lengths, path, false);
        struct buffer *lines = &w->lines->constants;

        if (!seen || !seen->constant) {
                return error_set(w->reterr, -EINVAL,
                                 "strings '%s' of its first message differ by more than the index "
                                 "of an element, or are not of printable ASCII, or there are none",
                                 path);
        }
        buffer_print(lines, "      %s: ", path);
        if (length_all_equal(seen)) {
                lengths_put_text(lines, seen->texts[0], strlen(seen->texts[0]));
        } else {
                for (size_t i = 0; i < seen->text_count; i++) {
                        buffer_print(lines, "%s", i ? ", " : "[");
                        lengths_put_text(lines, seen->texts[i], strlen(seen->texts[i]));
                }
                buffer_print(lines, "]");
        }
        buffer_print(lines, "\n");
        *room = (struct room){.bytes = 4 + (uint64_t) seen->most + 1, .align = 4};
        return 0;
}

static int put_fields(const struct writing *w,
                      const struct msg *msg,
                      const char *above,
                      unsigned depth,
                      bool inside,
                      struct room *room);

/* One value of a field. */
static int put_value(const struct writing *w,
                     const struct msg_field *field,
                     const char *path,
                     unsigned depth,
                     bool inside,
                     uint32_t text_bytes,
                     struct room *room) {
        const struct decode_type *nested;

        if (field->kind == MSG_KIND_STRING && text_bytes == 0) {
                return put_constant(w, path, room);
        }
        if (field->kind == MSG_KIND_STRING) {
                *room = (struct room){.bytes = (uint64_t) text_bytes + 1, .align = 1};
        } else if (lengths_builtin(field)) {
                *room = (struct room){.bytes = 8, .align = 4};
        } else if (field->kind != SLIPRING_KIND_STRUCT) {
                room->align = type_kind_bytes(field->kind);
                room->bytes = room->align;
        } else {
                nested = decode_type_find(&w->lengths->decode, field->nested_name);
                return nested ? put_fields(w, nested->msg, path, depth + 1, inside, room)
                              : error_set(w->reterr, -EINVAL, "its type %s is not described",
                                          field->nested_name);
        }
        return 0;
}

/* A field with all that is in it: what has to be said of it, and the room that it takes. */
static int put_field(const struct writing *w,
                     const struct msg_field *field,
                     const char *path,
                     unsigned depth,
                     bool inside,
                     struct room *room) {
        struct bounds bounds = find_bounds(w, field, path, inside);
        bool sequence = field->array == MSG_SEQUENCE || field->array == MSG_BOUNDED;
        struct room each = {.align = 1}, whole = {.align = 1};
        uint32_t count = field->array == MSG_ARRAY ? field->length : 1;
        int r = 0;

        put_bounds(w, path, bounds);
        if (bounds.elements > 0) {
                count = bounds.elements;
                inside = true;
                depth++;
        } else if (sequence) {
                r = put_length(w, path, &count);
        }
        /* Of what an empty one would hold nothing is known, and nothing has to be. */
        if (r == 0 && count > 0) {
                r = put_value(w, field, path, depth, inside, bounds.bytes, &each);
        }
        if (sequence) {
                room_add(&whole, 1, (struct room){.bytes = 4, .align = 4});
        }
        room_add(&whole, count, each);
        room_align(&whole, whole.align);
        room_add(room, 1, whole);
        return r;
}

static int put_fields(const struct writing *w,
                      const struct msg *msg,
                      const char *above,
                      unsigned depth,
                      bool inside,
                      struct room *room) {
        int r = 0;

        *room = (struct room){.bytes = msg->field_count == 0, .align = 1};
        if (depth > SLIPRING_NESTING_MAX) {
                return error_set(w->reterr, -EINVAL, "it is nested deeper than %u levels",
                                 SLIPRING_NESTING_MAX);
        }
        for (size_t i = 0; r == 0 && i < msg->field_count; i++) {
                const char *path = arena_print(&w->lengths->arena, "%s%s%s", above,
                                               *above ? "." : "", msg->fields[i].name);

                r = path ? put_field(w, &msg->fields[i], path, depth, inside, room)
                         : error_set(w->reterr, -ENOMEM, "out of memory");
        }
        room_align(room, room->align);
        return r;
}

int lengths_write(struct lengths *lengths,
                  const struct mcap_text *known,
                  struct lengths_lines *lines,
                  struct slipring_error *reterr) {
        const struct writing w = {
                .lengths = lengths, .known = known, .lines = lines, .reterr = reterr};
        struct room room;
        int r;

        if (lengths->failed) {
                return error_set(reterr, -ENOMEM, "out of memory");
        }
        r = put_fields(&w, lengths->decode.types[0].msg, "", 1, false, &room);
        if (r == 0 && room.bytes > SLIPRING_PAYLOAD_MAX) {
                r = error_set(reterr, -EFBIG,
                              "a sample with room for the longest of each string and sequence "
                              "would have more than 1 GiB");
        }
        lines->bytes = room.bytes;
        return r;
}
