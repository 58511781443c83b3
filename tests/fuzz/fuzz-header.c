/*
 * Any bytes as a segment: a header that is taken must hold together, and a ring read through it
 * must stay inside and end. Then the same bytes as the directory's table.
 *
 * A good header is built first and the input is laid over it as patches, since no fuzzer guesses
 * forty numbers that fit each other: 4 bytes of place, 4 of value; what is left goes into the
 * slots.
 */

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <slipring/subscriber.h>

#include "bus/cdr.h"
#include "bus/directory.h"
#include "bus/header.h"
#include "bus/type.h"

#define CHECK(condition)                                                                           \
        do {                                                                                       \
                if (!(condition)) {                                                                \
                        abort();                                                                   \
                }                                                                                  \
        } while (0)

#define PATCHES_MAX 16u
#define TAKES 200
#define COPY_BYTES_MAX (1u << 16)

static const struct slipring_field fields[] = {
        {"pose", "m", SLIPRING_KIND_STRUCT, 3, 0, 16, 6, 3},
        {"flag", "", SLIPRING_KIND_BOOL, 0, 48, 1, 0, 0},
        {"pad0", "", SLIPRING_KIND_UINT8, 7, 49, 1, 0, 0},
        {"names", "", SLIPRING_KIND_LIST, 0, 56, 8, 9, 2},
        {"label", "", SLIPRING_KIND_TEXT, 2, 64, 6, 0, 0},
        {"cells", "", SLIPRING_KIND_SEQUENCE, 0, 76, 52, 11, 2},
        {"x", "m", SLIPRING_KIND_FLOAT64, 0, 0, 8, 0, 0},
        {"pad1", "", SLIPRING_KIND_GAP, 7, 8, 1, 0, 0},
        {"pad2", "", SLIPRING_KIND_UINT8, 1, 15, 1, 0, 0},
        {"0", "", SLIPRING_KIND_LENGTH, 0, 0, 4, 4, 0},
        {"0", "abc", SLIPRING_KIND_STRING, 4, 4, 1, 0, 0},
        {"length", "", SLIPRING_KIND_UINT32, 0, 0, 4, 0, 0},
        {"elements", "", SLIPRING_KIND_STRUCT, 3, 4, 16, 13, 2},
        {"id", "", SLIPRING_KIND_UINT16, 0, 0, 2, 0, 0},
        {"values", "", SLIPRING_KIND_SEQUENCE, 0, 4, 12, 15, 2},
        {"length", "", SLIPRING_KIND_UINT32, 0, 0, 4, 0, 0},
        {"elements", "", SLIPRING_KIND_FLOAT32, 2, 4, 4, 0, 0},
};

static const struct slipring_type type = {
        .version = SLIPRING_TYPE_VERSION,
        .payload_bytes = 128,
        .field_count = sizeof(fields) / sizeof(fields[0]),
        .root_count = 6,
        .name = "fuzz_msgs/msg/Pose",
        .text = "the text",
        .fields = fields,
};

/* Own memory of the exact size, so that the sanitizer sees the first byte behind it. */
static uint8_t *memory_of(uint64_t bytes) {
        uint8_t *memory = aligned_alloc(LAYOUT_PAGE, bytes);

        CHECK(memory);
        memset(memory, 0, bytes);
        return memory;
}

static void patch(uint8_t *memory, size_t limit, const uint8_t **data, size_t *bytes) {
        uint32_t place, value;
        unsigned count;

        for (count = 0; count < PATCHES_MAX && *bytes >= 8; count++) {
                memcpy(&place, *data, 4);
                memcpy(&value, *data + 4, 4);
                *data += 8;
                *bytes -= 8;
                if (place == UINT32_MAX) {
                        return;
                }
                memcpy(memory + place % (limit - 3), &value, 4);
        }
}

/* What a publisher would read has to be readable. */
static volatile uint8_t sum;

/* What leaves the bus has to fit where it was said to, and to come back as it was. Of what comes
 * in, anything may be refused, or fits. */
static void check_copy(const struct slipring_type *taken, const uint8_t *data, size_t bytes) {
        struct slipring_error error;
        struct cdr *cdr = NULL;
        uint8_t *payload, *room, *once, *twice;
        const void *back = NULL;
        uint32_t once_bytes;

        if (cdr_compile(&cdr, taken, &error) < 0 || taken->payload_bytes > COPY_BYTES_MAX) {
                cdr_free(cdr);
                return;
        }
        payload = malloc(taken->payload_bytes);
        room = malloc(taken->payload_bytes);
        once = malloc(cdr_most_bytes(cdr));
        twice = malloc(cdr_most_bytes(cdr));
        CHECK(payload && room && once && twice);
        for (uint32_t i = 0; i < taken->payload_bytes; i++) {
                payload[i] = bytes ? data[i % bytes] : 0xff;
        }
        once_bytes = cdr_write(cdr, payload, once);
        CHECK(once_bytes <= cdr_most_bytes(cdr));
        if (cdr_read(cdr, once, once_bytes, room, &back, &error) == 0) {
                CHECK(cdr_write(cdr, back, twice) == once_bytes);
                CHECK(memcmp(once, twice, once_bytes) == 0);
        } else {
                /* Nothing but booleans can be wrong with it. */
                CHECK(strstr(error.text, "is a bool") != NULL);
        }
        for (uint32_t i = 0; i < bytes && i < once_bytes; i++) {
                once[once_bytes - 1 - i] ^= data[i];
        }
        (void) cdr_read(cdr, once, once_bytes, room, &back, &error);
        (void) cdr_read(cdr, once, once_bytes / 2, room, &back, &error);
        free(payload);
        free(room);
        free(once);
        free(twice);
        cdr_free(cdr);
}

static void check_type(const struct slipring_type *taken) {
        struct slipring_error error;
        struct ring_constant *constants = NULL;
        size_t count = 0, i;

        CHECK(type_check(taken, &error) == 0);
        (void) type_compare(&type, taken, "fuzz", &error);
        CHECK(type_constants(taken, &constants, &count) == 0);
        for (i = 0; i < count; i++) {
                CHECK((uint64_t) constants[i].offset_bytes + constants[i].bytes <=
                      taken->payload_bytes);
                for (uint32_t j = 0; constants[i].value && j < constants[i].bytes; j++) {
                        sum = constants[i].value[j];
                }
        }
        free(constants);
}

static void read_one(struct ring_reader *reader, bool newest, uint8_t *buffer) {
        int tries = newest ? RING_TRIES_NEWEST : RING_TRIES_NEXT, r;
        struct ring_view view;

        while ((r = newest ? ring_reader_newest(reader, &view, &tries)
                           : ring_reader_next(reader, &view, &tries)) == 1) {
                CHECK(view.payload_bytes <= reader->ring.payload_bytes);
                memcpy(buffer, view.payload, view.payload_bytes);
                if (ring_reader_validate(&view)) {
                        ring_reader_accept(reader, &view, NULL);
                        return;
                }
                ring_reader_refuse(reader, &view);
        }
        CHECK(r <= 0 && tries >= -1);
}

static void read_ring(const struct ring *ring) {
        uint8_t *buffer = malloc(ring->payload_bytes);
        struct ring_reader reader = {.ring = *ring};
        uint32_t start;
        int i;

        CHECK(buffer);
        (void) ring_rate_hz(ring);
        (void) ring_newest_time_ns(ring);
        (void) ring_newest_pid(ring);
        for (i = 0; i < 8; i++) {
                (void) ring_rest(ring, (uint64_t) i);
        }
        for (start = SLIPRING_START_NEWEST; start <= SLIPRING_START_NEXT; start++) {
                ring_reader_start(&reader, start);
                for (i = 0; i < TAKES; i++) {
                        read_one(&reader, i % 8 == 7, buffer);
                }
                ring_reader_move(&reader, ring);
        }
        free(buffer);
}

static void fuzz_data(const uint8_t *data, size_t bytes, uint32_t pins) {
        const struct topic_spec spec = {.name = "fuzz",
                                        .type = &type,
                                        .depth = 3,
                                        .waiters = 64,
                                        .pins = pins,
                                        .description = ""};
        struct layout_header *built = NULL, *memory;
        struct header header;
        struct ring ring;
        uint64_t segment_bytes = header_segment_bytes(&spec);
        size_t built_bytes = 0;

        memory = (void *) memory_of(segment_bytes);
        CHECK(header_build(&spec, 1, 2, &built, &built_bytes) == 0);
        memcpy(memory, built, built_bytes);
        memory->magic = LAYOUT_MAGIC;
        patch((uint8_t *) memory, built_bytes, &data, &bytes);
        if (header_read(&header, memory, segment_bytes, LAYOUT_KIND_DATA, "fuzz", NULL) == 0) {
                check_type(&header.type);
                check_copy(&header.type, data, bytes);
                (void) strlen(header.topic_name);
                ring = header_ring(&header, memory);
                patch((uint8_t *) ring.words, segment_bytes - header.copy->words_offset, &data,
                      &bytes);
                read_ring(&ring);
                header_free(&header);
        }
        free(built);
        free(memory);
}

static void check_table(const struct directory_table *table) {
        uint32_t i;

        CHECK(table->count <= LAYOUT_ENTRIES_MAX);
        for (i = 0; i < table->count; i++) {
                CHECK(strlen(table->entries[i].name) < sizeof(table->entries[i].name));
                CHECK(strlen(table->entries[i].type_name) < sizeof(table->entries[i].type_name));
        }
        (void) directory_find(table, "fuzz");
}

/* One table for all runs: its memory is megabytes, of which a few pages are touched. */
static void fuzz_directory(const uint8_t *data, size_t bytes) {
        static struct layout_header *memory;
        struct directory_table table = {0};
        struct directory directory = {.segment = SEGMENT_NONE};
        struct layout_header plan = header_directory(3);
        struct layout_slot *slot;
        struct layout_table *start;
        size_t limit = sizeof(struct layout_table) + 3 * sizeof(struct layout_entry);

        if (!memory) {
                memory = (void *) memory_of(plan.segment_bytes);
        }
        memcpy(memory, &plan, sizeof(plan));
        memory->magic = LAYOUT_MAGIC;
        CHECK(header_read(&directory.header, memory, plan.segment_bytes, LAYOUT_KIND_DIRECTORY,
                          "fuzz", NULL) == 0);
        directory.ring = header_ring(&directory.header, memory);
        memset(directory.ring.words, 0, sizeof(struct layout_words));
        directory.ring.words->head = 1;
        slot = ring_slot(&directory.ring, 1);
        memset(slot, 0, sizeof(*slot) + limit);
        slot->stamp = 2;
        slot->payload_bytes = (uint32_t) limit;
        start = (void *) (slot + 1);
        start->entry_count = 3;
        start->entry_bytes = sizeof(struct layout_entry);
        patch((uint8_t *) directory.ring.words, sizeof(struct layout_words), &data, &bytes);
        patch((uint8_t *) slot, sizeof(*slot) + limit, &data, &bytes);
        if (directory_read(&directory, &table, NULL) == 0) {
                check_table(&table);
        }
        directory_table_free(&table);
        header_free(&directory.header);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes) {
        if (bytes > 0 && data[0] % 2 == 0) {
                fuzz_data(data + 1, bytes - 1, data[0] % 4 == 2 ? 2 : 0);
        } else if (bytes > 0) {
                fuzz_directory(data + 1, bytes - 1);
        }
        return 0;
}
