/*
 * The header of a segment: built from a topic's specification by the manager, and read back by
 * clients who do not believe it. It is copied once into private memory; each number is checked
 * against the others and the segment's size; and only the copy is used from then on.
 */

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "bus/copy.h"
#include "bus/error.h"
#include "bus/header.h"
#include "bus/type.h"

/* Strings stand one behind the other; an offset of 0 is the empty string. */
struct strings {
        char *text;
        uint32_t used;
};

static uint32_t string_put(struct strings *strings, const char *text) {
        uint32_t at = strings->used;
        size_t bytes = strlen(text) + 1;

        if (bytes == 1) {
                return 0;
        }
        if (strings->text) {
                memcpy(strings->text + at, text, bytes);
        }
        strings->used += (uint32_t) bytes;
        return at;
}

/* All strings of a header in their order. With text NULL it only counts. */
static void put_strings(struct strings *strings,
                        const struct topic_spec *spec,
                        struct layout_header *header,
                        struct layout_field *fields) {
        const struct slipring_type *type = spec->type;
        uint32_t i, name, unit;

        strings->used = 1;
        header->topic_name = string_put(strings, spec->name);
        header->type_name = string_put(strings, type->name);
        header->type_text = string_put(strings, type->text);
        for (i = 0; i < type->field_count; i++) {
                name = string_put(strings, type->fields[i].name);
                unit = string_put(strings, type->fields[i].unit);
                if (fields) {
                        fields[i] = (struct layout_field){
                                .name = name,
                                .unit = unit,
                                .kind = type->fields[i].kind,
                                .count = type->fields[i].count,
                                .offset_bytes = type->fields[i].offset_bytes,
                                .element_bytes = type->fields[i].element_bytes,
                                .first_child = type->fields[i].first_child,
                                .child_count = type->fields[i].child_count,
                        };
                }
        }
}

static struct layout_header describe(const struct topic_spec *spec) {
        const struct slipring_type *type = spec->type;
        struct layout_header header = {
                .layout_version = spec->pins ? LAYOUT_VERSION_PINS : LAYOUT_VERSION,
                .kind = LAYOUT_KIND_DATA,
                .pins = spec->pins,
                .depth = spec->depth,
                .payload_bytes = type->payload_bytes,
                .waiters = spec->waiters,
                .field_count = type->field_count,
                .root_count = type->root_count,
                .deadline_ns = spec->deadline_ns,
                .rate_hz = spec->rate_hz,
                .publishers = spec->publishers,
                .wake = spec->wake,
        };
        struct strings strings = {0};

        put_strings(&strings, spec, &header, NULL);
        memcpy(header.identity, type->identity, sizeof(header.identity));
        header.fields_offset = sizeof(struct layout_header);
        header.strings_offset =
                header.fields_offset + type->field_count * (uint32_t) sizeof(struct layout_field);
        header.strings_bytes = strings.used;
        header.header_bytes = header.strings_offset + header.strings_bytes;
        header.words_offset = (uint32_t) layout_align(header.header_bytes, LAYOUT_PAGE);
        header.slots_offset = header.words_offset + sizeof(struct layout_words) +
                              layout_places_bytes(spec->depth, spec->pins);
        header.slot_stride_bytes =
                sizeof(struct layout_slot) + layout_align(type->payload_bytes, LAYOUT_CACHE_LINE);
        /* depth and payload are bounded: below 2^47. */
        header.segment_bytes =
                layout_align(header.slots_offset + layout_slot_count(spec->depth, spec->pins) *
                                                           header.slot_stride_bytes,
                             LAYOUT_PAGE);
        return header;
}

uint64_t header_segment_bytes(const struct topic_spec *spec) {
        return describe(spec).segment_bytes;
}

int header_build(const struct topic_spec *spec,
                 uint64_t instance,
                 uint64_t generation,
                 struct layout_header **ret_header,
                 size_t *ret_bytes) {
        struct layout_header plan = describe(spec), *header;
        struct strings strings;

        header = calloc(1, plan.header_bytes);
        if (!header) {
                return -ENOMEM;
        }
        memcpy(header, &plan, sizeof(plan));
        header->instance = instance;
        header->generation = generation;
        strings.text = (char *) header + header->strings_offset;
        put_strings(&strings, spec, header,
                    (struct layout_field *) (void *) ((char *) header + header->fields_offset));
        *ret_header = header;
        *ret_bytes = plan.header_bytes;
        return 0;
}

struct layout_header header_directory(uint64_t instance) {
        struct layout_header header = {
                .layout_version = LAYOUT_VERSION,
                .kind = LAYOUT_KIND_DIRECTORY,
                .instance = instance,
                .header_bytes = sizeof(struct layout_header) + 1,
                .words_offset = LAYOUT_PAGE,
                .slots_offset = LAYOUT_PAGE + sizeof(struct layout_words),
                .slot_stride_bytes = sizeof(struct layout_slot) +
                                     layout_align(LAYOUT_TABLE_BYTES_MAX, LAYOUT_CACHE_LINE),
                .depth = 2,
                .payload_bytes = LAYOUT_TABLE_BYTES_MAX,
                .waiters = INT32_MAX,
                .fields_offset = sizeof(struct layout_header),
                .strings_offset = sizeof(struct layout_header),
                .strings_bytes = 1,
        };

        header.segment_bytes =
                layout_align(header.slots_offset + 2 * header.slot_stride_bytes, LAYOUT_PAGE);
        return header;
}

/* --- reading --- */

static bool pins_hold(const struct layout_header *header) {
        if (header->pins == 0) {
                return header->layout_version == LAYOUT_VERSION;
        }
        return header->layout_version == LAYOUT_VERSION_PINS && header->kind == LAYOUT_KIND_DATA &&
               header->pins <= LAYOUT_PINS_MAX &&
               layout_slot_count(header->depth, header->pins) <= LAYOUT_PLACE_SLOTS;
}

static bool geometry_holds(const struct layout_header *header, uint64_t segment_bytes) {
        uint64_t tables = (uint64_t) header->field_count * sizeof(struct layout_field);

        return header->segment_bytes == segment_bytes && header->header_bytes <= segment_bytes &&
               header->depth >= LAYOUT_DEPTH_MIN && header->depth <= LAYOUT_DEPTH_MAX &&
               pins_hold(header) && header->payload_bytes >= 1 &&
               header->payload_bytes <= SLIPRING_PAYLOAD_MAX && header->waiters >= 1 &&
               header->waiters <= INT32_MAX && header->field_count <= SLIPRING_FIELDS_MAX &&
               header->fields_offset == sizeof(struct layout_header) &&
               header->strings_offset == header->fields_offset + tables &&
               header->strings_bytes >= 1 &&
               header->header_bytes == (uint64_t) header->strings_offset + header->strings_bytes &&
               header->words_offset == layout_align(header->header_bytes, LAYOUT_PAGE) &&
               header->slots_offset == header->words_offset + sizeof(struct layout_words) +
                                               layout_places_bytes(header->depth, header->pins) &&
               header->slot_stride_bytes ==
                       sizeof(struct layout_slot) +
                               layout_align(header->payload_bytes, LAYOUT_CACHE_LINE) &&
               segment_bytes ==
                       layout_align(header->slots_offset +
                                            layout_slot_count(header->depth, header->pins) *
                                                    header->slot_stride_bytes,
                                    LAYOUT_PAGE);
}

static const char *string_at(const struct layout_header *header, uint32_t offset) {
        return offset < header->strings_bytes
                       ? (const char *) header + header->strings_offset + offset
                       : NULL;
}

static int read_fields(struct header *header) {
        const struct layout_field *from =
                (const void *) ((const char *) header->copy + header->copy->fields_offset);
        uint32_t i;

        /* One more than needed: a directory has none, and calloc(0) may be NULL. */
        header->fields = calloc(header->copy->field_count + 1u, sizeof(*header->fields));
        if (!header->fields) {
                return -ENOMEM;
        }
        for (i = 0; i < header->copy->field_count; i++) {
                header->fields[i] = (struct slipring_field){
                        .name = string_at(header->copy, from[i].name),
                        .unit = string_at(header->copy, from[i].unit),
                        .kind = from[i].kind,
                        .count = from[i].count,
                        .offset_bytes = from[i].offset_bytes,
                        .element_bytes = from[i].element_bytes,
                        .first_child = from[i].first_child,
                        .child_count = from[i].child_count,
                };
                if (!header->fields[i].name || !header->fields[i].unit) {
                        return -EBADMSG;
                }
        }
        return 0;
}

static int read_type(struct header *header, struct slipring_error *reterr) {
        const struct layout_header *copy = header->copy;
        int r;

        /* With a NUL at the very end every offset inside leads to a terminated string. */
        if (((const char *) copy)[copy->header_bytes - 1] != '\0') {
                return -EBADMSG;
        }
        header->topic_name = string_at(copy, copy->topic_name);
        header->type = (struct slipring_type){
                .version = SLIPRING_TYPE_VERSION,
                .payload_bytes = copy->payload_bytes,
                .field_count = copy->field_count,
                .root_count = copy->root_count,
                .name = string_at(copy, copy->type_name),
                .text = string_at(copy, copy->type_text),
        };
        if (!header->topic_name || !header->type.name || !header->type.text) {
                return -EBADMSG;
        }
        memcpy(header->type.identity, copy->identity, sizeof(copy->identity));
        r = read_fields(header);
        if (r < 0) {
                return r;
        }
        header->type.fields = header->fields;
        return copy->kind == LAYOUT_KIND_DATA ? type_check(&header->type, reterr) : 0;
}

/* The fixed part, checked; then all of it. The fixed part of the second copy is the first one's, so
 * that nothing that was checked can have changed. Not by memcpy(3): a compiler that sees through it
 * may drop the first copy and read the segment twice. */
static int copy_header(struct header *header,
                       const void *address,
                       uint64_t segment_bytes,
                       uint32_t kind,
                       const char *what,
                       struct slipring_error *reterr) {
        struct layout_header fixed;

        copy_from_slot(&fixed, address, sizeof(fixed));
        if (fixed.layout_version != LAYOUT_VERSION && fixed.layout_version != LAYOUT_VERSION_PINS) {
                return error_set(
                        reterr, -EPROTONOSUPPORT,
                        "%s: its bus has layout version %u, this library knows %u; install "
                        "the same slipring on both sides",
                        what, fixed.layout_version, LAYOUT_VERSION_PINS);
        }
        if (fixed.kind != kind || !geometry_holds(&fixed, segment_bytes)) {
                return error_set(reterr, -EBADMSG, "%s: the geometry in its header is corrupt",
                                 what);
        }
        header->copy = malloc(fixed.header_bytes);
        if (!header->copy) {
                return error_set(reterr, -ENOMEM, "%s: no memory for its header", what);
        }
        memcpy(header->copy, &fixed, sizeof(fixed));
        copy_from_slot((char *) header->copy + sizeof(fixed),
                       (const char *) address + sizeof(fixed), fixed.header_bytes - sizeof(fixed));
        return 0;
}

int header_read(struct header *ret_header,
                const void *address,
                uint64_t segment_bytes,
                uint32_t kind,
                const char *what,
                struct slipring_error *reterr) {
        const struct layout_header *mapped = address;
        struct header header = {0};
        int r;

        if (segment_bytes < LAYOUT_PAGE) {
                return error_set(reterr, -EBADMSG, "%s: its segment is too small", what);
        }
        /* magic.last: nothing else is read before it. Pairs with the manager's last store. */
        if (atomic_load_explicit(&((struct layout_header *) (uintptr_t) mapped)->magic,
                                 memory_order_acquire) != LAYOUT_MAGIC) {
                return error_set(reterr, -EAGAIN, "%s: its segment is not finished yet", what);
        }
        r = copy_header(&header, address, segment_bytes, kind, what, reterr);
        if (r == 0) {
                r = read_type(&header, reterr);
                if (r < 0) {
                        error_set(reterr, r,
                                  r == -ENOMEM ? "%s: no memory for its type"
                                               : "%s: the type in its header is corrupt",
                                  what);
                }
        }
        if (r < 0) {
                header_free(&header);
                return r;
        }
        *ret_header = header;
        return 0;
}

void header_free(struct header *header) {
        free(header->copy);
        free(header->fields);
        *header = (struct header){0};
}

struct ring header_ring(const struct header *header, void *address) {
        return (struct ring){
                .state = &((struct layout_header *) address)->state,
                .words = (struct layout_words *) (void *) ((char *) address +
                                                           header->copy->words_offset),
                .places = header->copy->pins
                                  ? (_Atomic uint64_t *) (void *) ((char *) address +
                                                                   header->copy->words_offset +
                                                                   sizeof(struct layout_words))
                                  : NULL,
                .slots = (uint8_t *) address + header->copy->slots_offset,
                .slot_stride_bytes = header->copy->slot_stride_bytes,
                .depth = header->copy->depth,
                .slot_count = layout_slot_count(header->copy->depth, header->copy->pins),
                .payload_bytes = header->copy->payload_bytes,
                .payload_bytes_min = header->copy->kind == LAYOUT_KIND_DATA
                                             ? header->copy->payload_bytes
                                             : sizeof(struct layout_table),
        };
}
