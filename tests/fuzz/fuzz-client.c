/*
 * Any bytes in the segments of a live bus: every way in and every way to read, as programs use
 * them.
 *
 * A real bus stands in an IPC namespace of this process's own: a plain topic, one with pins and one
 * with several publishers. Each input is laid over its segments as patches (4 bytes of place, the
 * upper three bits of which say in which segment; 4 of value). Then subscribers open, take, borrow,
 * pin, wait and look, publishers open and publish, and what list, info, echo and blackbox do is
 * done. Calls may fail, with an explanation where they explain; nothing may be read or written
 * outside, or for ever. At the end of each input the bus is as it was.
 */

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sem.h>
#include <sys/shm.h>
#include <unistd.h>

#include <slipring/publisher.h>
#include <slipring/subscriber.h>

#include "bus/directory.h"
#include "bus/registry.h"
#include "subscribers/blackbox.h"
#include "subscribers/look.h"
#include "subscribers/render.h"
#include "subscribers/selection.h"
#include "tests/fuzz/namespace.h"

#define BUS "fuzz"
#define PAYLOAD 64u
#define DEPTH 3u
#define PINS 2u
#define SAMPLES 5
#define TOPICS 3u
#define SEGMENTS 8u
#define PATCHES_MAX 24u

static const char *const names[TOPICS] = {"imu", "camera", "log"};

static const struct slipring_field fields[] = {
        {"pose", "m", SLIPRING_KIND_STRUCT, 2, 0, 16, 6, 2},
        {"few", "", SLIPRING_KIND_SEQUENCE, 0, 32, 8, 8, 2},
        {"label", "", SLIPRING_KIND_TEXT, 0, 40, 8, 0, 0},
        {"flag", "", SLIPRING_KIND_BOOL, 0, 48, 1, 0, 0},
        {"pad0", "", SLIPRING_KIND_GAP, 7, 49, 1, 0, 0},
        {"names", "", SLIPRING_KIND_LIST, 0, 56, 8, 10, 2},
        {"x", "m", SLIPRING_KIND_FLOAT64, 0, 0, 8, 0, 0},
        {"pad1", "", SLIPRING_KIND_UINT8, 8, 8, 1, 0, 0},
        {"length", "", SLIPRING_KIND_UINT32, 0, 0, 4, 0, 0},
        {"elements", "", SLIPRING_KIND_UINT16, 2, 4, 2, 0, 0},
        {"0", "", SLIPRING_KIND_LENGTH, 0, 0, 4, 4, 0},
        {"0", "abc", SLIPRING_KIND_STRING, 4, 4, 1, 0, 0},
};

static const struct slipring_type type = {
        .version = SLIPRING_TYPE_VERSION,
        .payload_bytes = PAYLOAD,
        .field_count = sizeof(fields) / sizeof(fields[0]),
        .root_count = 6,
        .name = "fuzz_msgs/msg/Pose",
        .text = "the text",
        .fields = fields,
};

/* A segment of the bus, and the part of it that is laid over and put back. */
struct segment_copy {
        uint8_t *memory;
        uint8_t *good;
        size_t bytes;
};

static struct segment_copy segments[SEGMENTS];
static unsigned segment_count;
static FILE *nowhere;

/* --- the bus --- */

static void segment_keep(int id, size_t bytes) {
        struct segment_copy *copy = &segments[segment_count++];

        CHECK(segment_count <= SEGMENTS);
        copy->memory = shmat(id, NULL, 0);
        CHECK(copy->memory != (void *) -1);
        copy->bytes = bytes;
        copy->good = malloc(bytes);
        CHECK(copy->good);
        memcpy(copy->good, copy->memory, bytes);
}

static struct slipring_publisher *publisher_of(const char *name, int *ret) {
        const struct slipring_publisher_options options = {
                .size = sizeof(options),
                .bus = BUS,
                .lock_timeout_ns = 1000000,
        };
        struct slipring_publisher *publisher = NULL;
        struct slipring_error error = {0};

        *ret = slipring_publisher_open(&publisher, name, &options, &error);
        CHECK(*ret == 0 || (*ret < 0 && !publisher && error.code == *ret && *error.text));
        return publisher;
}

static void publish_some(const char *name) {
        uint8_t payload[PAYLOAD] = {0};
        struct slipring_publisher *publisher;
        int i, r;

        publisher = publisher_of(name, &r);
        CHECK(r == 0);
        for (i = 1; i <= SAMPLES; i++) {
                memset(payload + 56, i, 8);
                CHECK(slipring_publisher_publish(publisher, payload, sizeof(payload), 0) == 0);
        }
        slipring_publisher_close(publisher);
}

static struct topic_spec spec_of(const char *name) {
        return (struct topic_spec){
                .name = name,
                .description = "",
                .type = &type,
                .depth = DEPTH,
                .waiters = 64,
                .uid = geteuid(),
                .gid = getegid(),
                .mode = 0644,
                .deadline_ns = 1000000000,
                .rate_hz = 10,
        };
}

static void bus_make(void) {
        struct topic_spec specs[TOPICS];
        /* Not looked at again, and not lost either. */
        static struct registry *registry;
        const struct layout_entry *entry;
        struct layout_header plan;
        unsigned i;

        for (i = 0; i < TOPICS; i++) {
                specs[i] = spec_of(names[i]);
        }
        specs[1].pins = PINS;
        specs[2].publishers = LAYOUT_PUBLISHERS_SHARED;
        CHECK(registry_open(&registry, BUS, NULL) == 0);
        CHECK(registry_apply(registry, specs, TOPICS, NULL, NULL, NULL) == 0);
        for (i = 0; i < TOPICS; i++) {
                publish_some(names[i]);
        }
        plan = header_directory(0);
        /* Header, words, and of both tables the first entries. */
        segment_keep(shmget(directory_key(geteuid(), BUS), 0, 0),
                     plan.slots_offset + plan.slot_stride_bytes + 16384);
        for (i = 0; i < TOPICS; i++) {
                entry = registry_entry(registry, i);
                segment_keep(entry->data_id, entry->segment_bytes);
        }
        entry = registry_entry(registry, 1);
        segment_keep(entry->pin_id, LAYOUT_PAGE);
        segment_keep(entry->board_id, LAYOUT_PAGE);
        segment_keep(registry_entry(registry, 2)->lock_id, LAYOUT_PAGE);
}

/* What was laid over the directory, which is too large to be put back whole. */
struct patch {
        uint8_t *place;
        const uint8_t *good;
};

/* Where in the directory there is anything: its header and words, and the tables' beginnings. */
static size_t directory_place(uint32_t place) {
        const struct layout_header plan = header_directory(0);
        size_t head = plan.slots_offset + 16384, at = place % (head + 16384);

        return at < head ? at : plan.slots_offset + plan.slot_stride_bytes + (at - head);
}

static unsigned patch_all(struct patch patches[PATCHES_MAX], const uint8_t **data, size_t *bytes) {
        struct segment_copy *copy;
        uint32_t place, value;
        unsigned count = 0;
        size_t at;

        while (count < PATCHES_MAX && *bytes >= 8) {
                memcpy(&place, *data, 4);
                memcpy(&value, *data + 4, 4);
                *data += 8;
                *bytes -= 8;
                copy = &segments[(place >> 29) % segment_count];
                place &= 0x1fffffff;
                at = copy == &segments[0] ? directory_place(place) : place % copy->bytes;
                at = at > copy->bytes - 4 ? copy->bytes - 4 : at;
                memcpy(copy->memory + at, &value, 4);
                patches[count++] = (struct patch){copy->memory + at, copy->good + at};
        }
        return count;
}

static void restore(const struct patch *patches, unsigned count) {
        unsigned i;

        for (i = 0; i < count; i++) {
                memcpy(patches[i].place, patches[i].good, 4);
        }
        for (i = 1; i < segment_count; i++) {
                memcpy(segments[i].memory, segments[i].good, segments[i].bytes);
        }
}

/* --- clients --- */

/* What taking may say. */
static void check_take(int r) {
        CHECK(r == 1 || r == 0 || r == -EAGAIN || r == -EIDRM || r == -EBADMSG || r == -ESTALE ||
              r == -ENOBUFS || r == -EBUSY);
}

/* As echo shows it; reading it is what is tested. */
static void show(struct slipring_subscriber *subscriber, const void *payload) {
        const struct slipring_type *taken = slipring_subscriber_type(subscriber);
        struct render render = {.type = taken, .field = selection_all(taken), .longest = 8};

        for (render.format = RENDER_YAML; render.format <= RENDER_CSV; render.format++) {
                render_message(&render, payload, nowhere);
        }
        render_header(&render, nowhere);
        rewind(nowhere);
}

static void take_all(struct slipring_subscriber *subscriber) {
        size_t bytes = slipring_subscriber_type(subscriber)->payload_bytes;
        uint8_t *buffer = malloc(bytes);
        struct slipring_sample sample = {0};
        int i, r;

        CHECK(buffer);
        for (i = 0; i < 2 * SAMPLES; i++) {
                r = i % 3 == 2 ? slipring_subscriber_take_newest(subscriber, buffer, bytes, &sample)
                               : slipring_subscriber_take(subscriber, buffer, bytes, &sample);
                check_take(r);
                if (r == 1) {
                        CHECK(sample.payload_bytes <= bytes);
                        if (sample.payload_bytes == bytes) {
                                show(subscriber, buffer);
                        }
                }
        }
        free(buffer);
        buffer = malloc(SAMPLES * bytes);
        CHECK(buffer);
        r = slipring_subscriber_take_batch(subscriber, buffer, SAMPLES * bytes, NULL, SAMPLES + 1);
        CHECK(r <= SAMPLES);
        check_take(r > 0 ? 1 : r);
        free(buffer);
}

static uint64_t sum_of(const struct slipring_sample *sample) {
        const uint8_t *payload = sample->payload;
        uint64_t sum = 0;
        size_t i;

        for (i = 0; i < sample->payload_bytes; i++) {
                sum += payload[i];
        }
        return sum;
}

static uint64_t hold_all(struct slipring_subscriber *subscriber, bool pins) {
        struct slipring_sample sample = {0};
        uint64_t sum = 0;
        int i, r;

        for (i = 0; i < SAMPLES; i++) {
                r = i % 2 ? slipring_subscriber_borrow_newest(subscriber, &sample)
                          : slipring_subscriber_borrow(subscriber, &sample);
                check_take(r);
                if (r == 1) {
                        sum += sum_of(&sample);
                        check_take(slipring_subscriber_release(subscriber));
                }
                if (!pins) {
                        continue;
                }
                r = i % 2 ? slipring_subscriber_pin_newest(subscriber, &sample)
                          : slipring_subscriber_pin(subscriber, &sample);
                check_take(r);
                if (r == 1) {
                        sum += sum_of(&sample);
                        check_take(slipring_subscriber_unpin(subscriber, sample.payload));
                }
        }
        return sum;
}

static void wait_all(struct slipring_subscriber *subscriber) {
        struct slipring_subscriber *ready = NULL;
        struct slipring_waitset *waitset = NULL;
        int r = slipring_subscriber_wait(subscriber, 1);

        CHECK(r == 0 || r == -ETIMEDOUT || r == -EIDRM || r == -EBADMSG || r == -EINTR);
        r = slipring_subscriber_wait_any(&subscriber, 1, 1);
        CHECK(r <= 1);
        if (slipring_waitset_new(&waitset, NULL) == 0) {
                if (slipring_waitset_add(waitset, subscriber) == 0) {
                        (void) slipring_waitset_ready(waitset, &ready, 1);
                }
                slipring_waitset_close(waitset);
        }
}

static void subscribe(const char *name, uint32_t start, bool waiting) {
        const struct slipring_subscriber_options options = {
                .size = sizeof(options),
                .start = start,
                .bus = BUS,
                .pins = strcmp(name, "camera") == 0 ? 1 : 0,
        };
        struct slipring_subscriber *subscriber = NULL;
        struct slipring_subscriber_info info;
        struct slipring_latency latency;
        struct slipring_error error = {0};
        int r;

        r = slipring_subscriber_open(&subscriber, name, &options, &error);
        if (r < 0) {
                CHECK(!subscriber && error.code == r && *error.text);
                return;
        }
        CHECK(slipring_subscriber_record_latency(subscriber, true) == 0);
        take_all(subscriber);
        /* Whatever publish times there were. */
        CHECK(slipring_subscriber_latency(subscriber, &latency) == 0);
        CHECK(latency.min_ns <= latency.p50_ns && latency.p50_ns <= latency.p99_99_ns &&
              latency.p99_99_ns <= latency.max_ns);
        CHECK(slipring_subscriber_info(subscriber, &info) == 0);
        CHECK(info.delivered <= 2 * SAMPLES);
        (void) hold_all(subscriber, options.pins > 0);
        if (waiting) {
                wait_all(subscriber);
        }
        (void) slipring_subscriber_move(subscriber, 0, &error);
        slipring_subscriber_close(subscriber);
}

static void publish(const char *name) {
        struct slipring_publisher *publisher;
        struct slipring_publisher_info info;
        uint8_t *payload;
        size_t bytes;
        void *loan;
        int r;

        publisher = publisher_of(name, &r);
        if (!publisher) {
                return;
        }
        bytes = slipring_publisher_type(publisher)->payload_bytes;
        payload = calloc(1, bytes);
        CHECK(payload);
        (void) slipring_publisher_publish(publisher, payload, bytes, 0);
        if (slipring_publisher_loan(publisher, &loan) == 0) {
                memset(loan, 0x5a, bytes);
                (void) slipring_publisher_commit(publisher, 0);
        }
        (void) slipring_publisher_publish(publisher, payload, bytes, 0);
        (void) slipring_publisher_info(publisher, &info);
        (void) slipring_publisher_move(publisher, 0, NULL);
        free(payload);
        slipring_publisher_close(publisher);
}

/* --- what commands do --- */

static void read_box(const struct layout_entry *const *entries, size_t count) {
        struct slipring_sample sample;
        struct blackbox box = {0};
        size_t i, bytes;
        void *buffer;

        CHECK(blackbox_open(&box, entries, count) == 0);
        blackbox_select(&box, NULL, UINT64_C(1000000000));
        for (i = 0; i < box.mark_count; i++) {
                bytes = box.topics[box.marks[i].topic].topic.header.type.payload_bytes;
                buffer = malloc(bytes);
                CHECK(buffer);
                (void) blackbox_read(&box, &box.marks[i], buffer, &sample);
                free(buffer);
        }
        blackbox_close(&box);
}

static void look_around(void) {
        const struct layout_entry *entries[LAYOUT_ENTRIES_MAX];
        struct directory directory = {.segment = SEGMENT_NONE};
        struct directory_table table = {0};
        struct slipring_error error = {0};
        struct look look;
        size_t count = 0;
        uint32_t i;
        int r;

        r = directory_attach(&directory, geteuid(), BUS, &error);
        CHECK(r == 0 || *error.text);
        if (r < 0) {
                return;
        }
        r = directory_read(&directory, &table, &error);
        CHECK(r == 0 || *error.text);
        for (i = 0; r == 0 && i < table.count; i++) {
                if (table.entries[i].kind == LAYOUT_ENTRY_TOPIC &&
                    table.entries[i].state == LAYOUT_ENTRY_SERVING) {
                        if (look_at(&look, &table.entries[i], &error) == 0) {
                                CHECK(!isnan(look.rate_hz));
                        }
                        entries[count++] = &table.entries[i];
                }
        }
        if (count <= 16) {
                read_box(entries, count);
        }
        directory_table_free(&table);
        directory_detach(&directory);
}

/* --- libFuzzer --- */

int LLVMFuzzerInitialize(int *argc, char ***argv);

int LLVMFuzzerInitialize(int *argc, char ***argv) {
        namespace_enter();
        (void) unsetenv("SLIPRING_BUS");
        nowhere = fopen("/dev/null", "we");
        CHECK(nowhere);
        bus_make();
        return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes) {
        struct patch patches[PATCHES_MAX];
        unsigned count, i, manner;

        if (bytes == 0) {
                return 0;
        }
        manner = *data++;
        bytes--;
        count = patch_all(patches, &data, &bytes);
        for (i = 0; i < TOPICS; i++) {
                subscribe(names[i], manner % 3, manner & 0x40);
        }
        look_around();
        if (manner & 0x80) {
                publish(names[manner % TOPICS]);
                subscribe(names[manner % TOPICS], SLIPRING_START_OLDEST, false);
        }
        restore(patches, count);
        return 0;
}
