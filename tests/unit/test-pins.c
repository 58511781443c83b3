/*
 * Places and pins over memory built by hand: which slot the publisher takes, what a crash at each
 * step leaves, and what nonsense in lines and places can do.
 */

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <slipring/subscriber.h>

#include "bus/copy.h"
#include "bus/ring-write.h"
#include "tests/harness/harness.h"

#define STRIDE 128u

struct memory {
        _Atomic uint32_t state;
        struct layout_words words;
        _Atomic uint64_t places[LAYOUT_PLACE_SLOTS];
        struct layout_pin_line lines[LAYOUT_PINS_MAX];
        _Atomic uint32_t asleep;
        uint8_t *slots;
        struct pins_writer pins;
        struct ring_writer writer;
        struct ring_reader reader;
};

static struct memory *memory_new(uint32_t depth, uint32_t pins) {
        uint32_t slots = layout_slot_count(depth, pins);
        struct memory *memory;
        void *address = NULL;

        assert_int_equal(posix_memalign(&address, 64, sizeof(struct memory)), 0);
        memory = address;
        memset((void *) memory, 0, sizeof(*memory));
        assert_int_equal(posix_memalign(&address, 64, slots * STRIDE), 0);
        memory->slots = address;
        memset(memory->slots, 0, slots * STRIDE);
        memory->state = LAYOUT_STATE_SERVING;
        memory->pins = (struct pins_writer){.lines = memory->lines, .count = pins};
        memory->writer = (struct ring_writer){
                .ring =
                        {
                                .state = &memory->state,
                                .words = &memory->words,
                                .places = memory->places,
                                .slots = memory->slots,
                                .slot_stride_bytes = STRIDE,
                                .depth = depth,
                                .slot_count = slots,
                                .payload_bytes = 64,
                                .payload_bytes_min = 64,
                        },
                .waiters = 64,
                .asleep = &memory->asleep,
                .pins = &memory->pins,
        };
        memory->reader = (struct ring_reader){.ring = memory->writer.ring, .next = 1};
        ring_writer_takeover(&memory->writer);
        return memory;
}

static void memory_free(struct memory *memory) {
        free(memory->slots);
        free(memory);
}

static void write_one(struct memory *memory) {
        struct message message = message_make(memory->writer.head + 1);

        copy_to_slot(ring_writer_begin(&memory->writer), &message, sizeof(message));
        ring_writer_commit(&memory->writer, sizeof(message), 0);
}

static int find_one(struct memory *memory, struct ring_view *view) {
        int tries = RING_TRIES_NEXT;

        return ring_reader_next(&memory->reader, view, &tries);
}

/* All that is kept can be read, and is what it should be. */
static void check_kept(struct memory *memory) {
        uint64_t head = memory->words.head, depth = memory->reader.ring.depth;
        struct ring_view view;

        memory->reader.next = head > depth ? head - depth + 1 : 1;
        while (memory->reader.next <= head) {
                assert_int_equal(find_one(memory, &view), 1);
                assert_int_equal(view.sequence, memory->reader.next);
                assert_true(message_whole(view.payload));
                assert_int_equal(((const struct message *) view.payload)->number, view.sequence);
                assert_true(ring_reader_validate(&view));
                ring_reader_accept(&memory->reader, &view, NULL);
        }
        assert_int_equal(find_one(memory, &view), 0);
}

static struct pin pin_of(struct memory *memory, uint32_t line) {
        return (struct pin){.word = &memory->lines[line].pin, .line = line};
}

static const uint32_t shapes[][2] = {{2, 1}, {2, 2}, {3, 5}, {8, 4}, {60, 4}, {61, 3}, {800, 223}};

static void test_without_pins_held_all_depth_messages_are_kept(void **state) {
        size_t i;
        uint32_t m;

        for (i = 0; i < sizeof(shapes) / sizeof(shapes[0]); i++) {
                struct memory *memory = memory_new(shapes[i][0], shapes[i][1]);

                for (m = 0; m < 3 * memory->writer.ring.slot_count; m++) {
                        write_one(memory);
                        if (shapes[i][0] < 100 || m % 97 == 0) {
                                check_kept(memory);
                        }
                }
                assert_int_equal(memory->words.pin_broken, 0);
                memory_free(memory);
        }
}

/* A slot is used again as late as can be: who only copies has that long. */
static void test_slots_are_taken_in_turn(void **state) {
        struct memory *memory = memory_new(3, 4);
        uint32_t m, slot;

        for (m = 0; m < 40; m++) {
                slot = memory->writer.index;
                write_one(memory);
                assert_int_equal(memory->writer.index, (slot + 1) % 8);
        }
        memory_free(memory);
}

static void test_pinned_slots_are_passed_over(void **state) {
        struct pin pins[LAYOUT_PINS_MAX];
        struct ring_view views[LAYOUT_PINS_MAX];
        size_t i;
        uint32_t m, p;

        for (i = 0; i < sizeof(shapes) / sizeof(shapes[0]); i++) {
                struct memory *memory = memory_new(shapes[i][0], shapes[i][1]);

                /* Each line pins another message, all but the last long overtaken. */
                for (p = 0; p < shapes[i][1]; p++) {
                        write_one(memory);
                        write_one(memory);
                        memory->reader.next = memory->words.head;
                        assert_int_equal(find_one(memory, &views[p]), 1);
                        pins[p] = pin_of(memory, p);
                        assert_true(pin_hold(&pins[p], &memory->reader.ring, &views[p]));
                }
                for (m = 0; m < 5 * memory->writer.ring.slot_count; m++) {
                        write_one(memory);
                }
                check_kept(memory);
                for (p = 0; p < shapes[i][1]; p++) {
                        assert_true(ring_reader_validate(&views[p]));
                        assert_true(message_whole(views[p].payload));
                        assert_int_equal(((const struct message *) views[p].payload)->number,
                                         2 * (p + 1));
                        pin_drop(&pins[p]);
                }
                /* And taken again once they are let go. */
                for (m = 0; m < memory->writer.ring.slot_count; m++) {
                        write_one(memory);
                }
                for (p = 0; p < shapes[i][1]; p++) {
                        assert_false(ring_reader_validate(&views[p]));
                }
                assert_int_equal(memory->words.pin_broken, 0);
                memory_free(memory);
        }
}

static void test_an_overtaken_message_cannot_be_pinned(void **state) {
        struct memory *memory = memory_new(2, 1);
        struct pin pin = pin_of(memory, 0);
        struct ring_view view;

        write_one(memory);
        assert_int_equal(find_one(memory, &view), 1);
        write_one(memory);
        write_one(memory);
        assert_false(pin_hold(&pin, &memory->reader.ring, &view));
        assert_false(pin.held);
        assert_int_equal(memory->lines[0].pin & LAYOUT_PIN_MASK, 0);
        memory_free(memory);
}

static uint32_t any(uint32_t *seed) {
        *seed = *seed * 1103515245u + 12345u;
        return *seed >> 8;
}

/* Whatever stands in the lines: each takes one slot away at most, so that there is always one. */
static void test_nonsense_in_the_lines_stops_nobody(void **state) {
        uint32_t seed = 1, round, p;
        struct memory *memory = memory_new(5, 7);

        for (round = 0; round < 20000; round++) {
                for (p = 0; p < 7; p++) {
                        memory->lines[p].pin = any(&seed) % 4 ? any(&seed) % 16 : UINT64_MAX - p;
                }
                write_one(memory);
                check_kept(memory);
        }
        assert_int_equal(memory->words.pin_broken, 0);
        assert_int_equal(memory->words.head, 20000);
        memory_free(memory);
}

/* What the pool is dimensioned for: with one slot less a pin breaks, is counted, and shows. */
static void test_without_a_free_slot_a_pin_breaks_and_shows(void **state) {
        struct memory *memory = memory_new(2, 2);
        struct ring_view views[2];
        struct pin pins[2];
        uint32_t p, m;

        memory->writer.ring.slot_count = memory->reader.ring.slot_count = 4;
        for (p = 0; p < 2; p++) {
                write_one(memory);
                assert_int_equal(find_one(memory, &views[p]), 1);
                ring_reader_accept(&memory->reader, &views[p], NULL);
                pins[p] = pin_of(memory, p);
                assert_true(pin_hold(&pins[p], &memory->reader.ring, &views[p]));
        }
        write_one(memory);
        write_one(memory);
        assert_int_equal(memory->words.pin_broken, 0);
        for (m = 0; m < 10; m++) {
                write_one(memory);
                check_kept(memory);
        }
        assert_true(memory->words.pin_broken > 0);
        assert_false(ring_reader_validate(&views[0]));
        memory_free(memory);
}

/* A handle that delivered a sample and then found it broken counts it as missed. */
static void test_a_broken_pin_counts_as_missed(void **state) {
        struct memory *memory = memory_new(2, 1);
        struct slipring_sample sample;
        struct ring_view view;

        write_one(memory);
        assert_int_equal(find_one(memory, &view), 1);
        ring_reader_accept(&memory->reader, &view, NULL);
        ring_reader_revoke(&memory->reader);
        assert_int_equal(memory->reader.delivered, 0);
        assert_int_equal(memory->reader.missed, 1);
        write_one(memory);
        assert_int_equal(find_one(memory, &view), 1);
        ring_reader_accept(&memory->reader, &view, &sample);
        assert_int_equal(sample.missed, 1);
        memory_free(memory);
}

static void test_an_abandoned_loan_costs_no_sample(void **state) {
        struct memory *memory = memory_new(3, 2);
        uint32_t m;

        for (m = 0; m < 30; m++) {
                write_one(memory);
                memset(ring_writer_begin(&memory->writer), 0xff, 64);
                ring_writer_abandon(&memory->writer);
                check_kept(memory);
        }
        memory_free(memory);
}

/* Where a publisher can die in a message: what is there by then. */
enum step {
        BEGUN,
        WRITTEN,
        STAMPED,
        PLACED,
        STEPS,
};

static void die_at(struct memory *memory, enum step step) {
        struct message message = message_make(memory->writer.head + 1);
        void *payload = ring_writer_begin(&memory->writer);
        struct layout_slot *slot = (struct layout_slot *) payload - 1;

        if (step >= WRITTEN) {
                memcpy(payload, &message, sizeof(message));
                slot->payload_bytes = sizeof(message);
        }
        if (step >= STAMPED) {
                slot->stamp = 2 * (memory->writer.head + 1);
        }
        if (step >= PLACED) {
                pins_place(&memory->writer, memory->writer.head + 1);
        }
        /* A new process knows nothing. */
        memory->writer.index = 12345;
        memset(memory->pins.kept, 0xff, sizeof(memory->pins.kept));
        ring_writer_takeover(&memory->writer);
}

static void test_takeover_after_a_death_at_any_step(void **state) {
        enum step step;
        uint64_t m;

        for (step = BEGUN; step < STEPS; step++) {
                struct memory *memory = memory_new(3, 2);

                for (m = 0; m < 20; m++) {
                        uint64_t head = memory->words.head;

                        die_at(memory, step);
                        /* Finished is announced; else its number is the next one's. */
                        assert_int_equal(memory->words.head, head + (step >= STAMPED));
                        check_kept(memory);
                        write_one(memory);
                        check_kept(memory);
                }
                assert_int_equal(memory->words.pin_broken, 0);
                memory_free(memory);
        }
}

/* A pin holds over the publisher's death. */
static void test_takeover_respects_pins(void **state) {
        struct memory *memory = memory_new(2, 1);
        struct pin pin = pin_of(memory, 0);
        struct ring_view view;
        uint32_t m;

        write_one(memory);
        assert_int_equal(find_one(memory, &view), 1);
        assert_true(pin_hold(&pin, &memory->reader.ring, &view));
        for (m = 0; m < 40; m++) {
                die_at(memory, (enum step)(m % STEPS));
                write_one(memory);
        }
        assert_true(ring_reader_validate(&view));
        assert_int_equal(((const struct message *) view.payload)->number, 1);
        assert_int_equal(memory->words.pin_broken, 0);
        memory_free(memory);
}

/* What somebody finds who looks at the ring of the dead: what was begun lies in any slot. */
static void test_what_was_begun_is_found_in_any_slot(void **state) {
        struct memory *memory = memory_new(3, 2);
        const struct ring *ring = &memory->writer.ring;
        struct ring_view view;
        uint64_t m;

        assert_int_equal(ring_rest(ring, 0), RING_REST_NONE);
        for (m = 1; m <= 20; m++) {
                (void) ring_writer_begin(&memory->writer);
                assert_int_equal(ring_rest(ring, m - 1), RING_REST_HALF);
                write_one(memory);
                assert_int_equal(ring_rest(ring, m), RING_REST_NONE);
                /* As one leaves it that was killed before it moved head. */
                assert_int_equal(ring_rest(ring, m - 1), RING_REST_WHOLE);
                assert_int_equal(ring_look(ring, m, &view), 1);
                assert_true(message_whole(view.payload));
        }
        assert_int_equal(ring_look(ring, 18, &view), 1);
        assert_int_equal(ring_look(ring, 17, &view), 0);
        memory_free(memory);
}

static void test_corrupt_places_are_refused(void **state) {
        struct memory *memory = memory_new(2, 1);
        struct ring_view view;

        write_one(memory);
        write_one(memory);
        /* A slot that is none. */
        memory->places[1] = 1u << LAYOUT_PLACE_BITS | 4;
        assert_int_equal(find_one(memory, &view), -EBADMSG);
        /* Older than head says. */
        memory->places[1] = 0;
        assert_int_equal(find_one(memory, &view), -EBADMSG);
        /* A message of another place's slot. */
        memory->places[1] = 1u << LAYOUT_PLACE_BITS | 3;
        assert_int_equal(find_one(memory, &view), -EBADMSG);
        /* A number that no place can hold. */
        memory->words.head = UINT64_MAX / 2;
        memory->reader.next = UINT64_MAX / 2;
        assert_int_equal(find_one(memory, &view), -EBADMSG);
        /* Newer: overtaken. */
        memory->words.head = 2;
        memory->reader.next = 1;
        memory->places[1] = 3u << LAYOUT_PLACE_BITS;
        assert_int_equal(find_one(memory, &view), 1);
        assert_int_equal(view.sequence, 2);
        assert_int_equal(memory->reader.missed, 1);
        /* A publisher that takes over such places goes on. */
        memory->places[0] = UINT64_MAX;
        ring_writer_takeover(&memory->writer);
        for (int m = 0; m < 10; m++) {
                write_one(memory);
        }
        check_kept(memory);
        memory_free(memory);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_without_pins_held_all_depth_messages_are_kept),
                cmocka_unit_test(test_slots_are_taken_in_turn),
                cmocka_unit_test(test_pinned_slots_are_passed_over),
                cmocka_unit_test(test_an_overtaken_message_cannot_be_pinned),
                cmocka_unit_test(test_nonsense_in_the_lines_stops_nobody),
                cmocka_unit_test(test_without_a_free_slot_a_pin_breaks_and_shows),
                cmocka_unit_test(test_a_broken_pin_counts_as_missed),
                cmocka_unit_test(test_an_abandoned_loan_costs_no_sample),
                cmocka_unit_test(test_takeover_after_a_death_at_any_step),
                cmocka_unit_test(test_takeover_respects_pins),
                cmocka_unit_test(test_what_was_begun_is_found_in_any_slot),
                cmocka_unit_test(test_corrupt_places_are_refused),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
