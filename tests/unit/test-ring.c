/*
 * The ring over memory built by hand: what a crash at each step leaves and what the next writer and
 * the readers make of it.
 */

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <slipring/subscriber.h>

#include "bus/copy.h"
#include "bus/ring-write.h"
#include "tests/harness/harness.h"

struct memory {
        _Atomic uint32_t state;
        struct layout_words words;
        uint8_t *slots;
        _Atomic uint32_t asleep;
        struct ring_writer writer;
        struct ring_reader reader;
};

#define STRIDE 128u

static struct memory *memory_new(uint32_t depth) {
        struct memory *memory;
        void *address = NULL;

        assert_int_equal(posix_memalign(&address, 64, sizeof(struct memory)), 0);
        memory = address;
        memset((void *) memory, 0, sizeof(*memory));
        assert_int_equal(posix_memalign(&address, 64, depth * STRIDE), 0);
        memory->slots = address;
        memset(memory->slots, 0, depth * STRIDE);
        memory->state = LAYOUT_STATE_SERVING;
        memory->writer.ring = (struct ring){
                .state = &memory->state,
                .words = &memory->words,
                .slots = memory->slots,
                .slot_stride_bytes = STRIDE,
                .depth = depth,
                .payload_bytes = 64,
                .payload_bytes_min = 64,
        };
        memory->writer.waiters = 64;
        memory->writer.asleep = &memory->asleep;
        memory->reader.ring = memory->writer.ring;
        memory->reader.next = 1;
        return memory;
}

static void memory_free(struct memory *memory) {
        free(memory->slots);
        free(memory);
}

static void write_one(struct memory *memory, uint64_t number) {
        struct message message = message_make(number);

        copy_to_slot(ring_writer_begin(&memory->writer), &message, sizeof(message));
        ring_writer_commit(&memory->writer, sizeof(message), 0);
}

static int read_one(struct memory *memory, struct slipring_sample *ret_sample) {
        struct ring_view view;
        int tries = RING_TRIES_NEXT, r;

        r = ring_reader_next(&memory->reader, &view, &tries);
        if (r == 1) {
                assert_true(ring_reader_validate(&view));
                assert_true(message_whole(view.payload));
                ring_reader_accept(&memory->reader, &view, ret_sample);
        }
        return r;
}

static void test_first_takeover_starts_at_one(void **state) {
        struct memory *memory = memory_new(2);

        ring_writer_takeover(&memory->writer);
        assert_int_equal(memory->writer.head, 0);
        assert_int_equal(memory->writer.index, 1);
        assert_int_equal(memory->words.epoch, 1);
        memory_free(memory);
}

static void test_slots_follow_the_number_for_every_depth(void **state) {
        static const uint32_t depths[] = {2, 3, 7, 8, 201};
        struct slipring_sample sample;
        uint64_t m;
        size_t i;

        for (i = 0; i < sizeof(depths) / sizeof(depths[0]); i++) {
                struct memory *memory = memory_new(depths[i]);

                ring_writer_takeover(&memory->writer);
                for (m = 1; m <= 3 * depths[i]; m++) {
                        write_one(memory, m);
                        assert_int_equal(
                                ring_slot(&memory->writer.ring, (uint32_t) (m % depths[i]))->stamp,
                                2 * m);
                        assert_int_equal(memory->words.head, m);
                        assert_int_equal(memory->words.wake, (uint32_t) m);
                        assert_int_equal(read_one(memory, &sample), 1);
                        assert_int_equal(sample.sequence, m);
                }
                memory_free(memory);
        }
}

/* A publisher killed while it wrote leaves the stamp odd until the next one takes over. */
static void test_takeover_gives_a_torn_message_s_number_to_the_next(void **state) {
        struct memory *memory = memory_new(3);
        struct slipring_sample sample;
        void *payload;

        ring_writer_takeover(&memory->writer);
        write_one(memory, 1);
        payload = ring_writer_begin(&memory->writer);
        memset(payload, 0xff, 64);
        assert_int_equal(read_one(memory, &sample), 1);
        assert_int_equal(read_one(memory, &sample), 0);

        ring_writer_takeover(&memory->writer);
        assert_int_equal(memory->writer.head, 1);
        assert_int_equal(read_one(memory, &sample), 0);
        write_one(memory, 2);
        assert_int_equal(read_one(memory, &sample), 1);
        assert_int_equal(sample.sequence, 2);
        assert_int_equal(sample.epoch, 2);
        assert_int_equal(sample.missed, 0);
        memory_free(memory);
}

/* Killed between the even stamp and head: a whole sample that nobody has seen. */
static void test_takeover_announces_a_finished_message(void **state) {
        struct memory *memory = memory_new(3);
        struct slipring_sample sample;

        ring_writer_takeover(&memory->writer);
        write_one(memory, 1);
        write_one(memory, 2);
        memory->words.head = 1;
        memory->words.wake = 1;
        ring_writer_takeover(&memory->writer);
        assert_int_equal(memory->words.head, 2);
        assert_int_equal(memory->words.wake, 2);
        assert_int_equal(read_one(memory, &sample), 1);
        assert_int_equal(read_one(memory, &sample), 1);
        assert_int_equal(sample.sequence, 2);
        write_one(memory, 3);
        assert_int_equal(read_one(memory, &sample), 1);
        assert_int_equal(sample.sequence, 3);
        memory_free(memory);
}

/* Killed between head and wake: sleepers compare the word, so it has to be stored. */
static void test_takeover_stores_wake(void **state) {
        struct memory *memory = memory_new(3);

        ring_writer_takeover(&memory->writer);
        write_one(memory, 1);
        write_one(memory, 2);
        memory->words.wake = 1;
        ring_writer_takeover(&memory->writer);
        assert_int_equal(memory->words.wake, 2);
        memory_free(memory);
}

static void test_a_set_flag_is_cleared_and_costs_one_wake(void **state) {
        struct memory *memory = memory_new(3);
        uint64_t wakeups;

        ring_writer_takeover(&memory->writer);
        wakeups = memory->words.wakeups;
        write_one(memory, 1);
        assert_int_equal(memory->words.wakeups, wakeups);
        memory->asleep = 1;
        write_one(memory, 2);
        assert_int_equal(memory->words.wakeups, wakeups + 1);
        assert_int_equal(memory->asleep, 0);
        write_one(memory, 3);
        assert_int_equal(memory->words.wakeups, wakeups + 1);
        memory_free(memory);
}

static void test_reader_refuses_what_contradicts_the_protocol(void **state) {
        struct memory *memory = memory_new(4);
        struct slipring_sample sample;

        ring_writer_takeover(&memory->writer);
        write_one(memory, 1);
        /* head promises more than there is. */
        memory->words.head = 3;
        assert_int_equal(read_one(memory, &sample), 1);
        assert_int_equal(read_one(memory, &sample), -EBADMSG);
        assert_int_equal(read_one(memory, &sample), -EBADMSG);
        memory_free(memory);
}

static void test_reader_refuses_a_length_that_is_not_the_type_s(void **state) {
        struct memory *memory = memory_new(4);
        struct slipring_sample sample;

        ring_writer_takeover(&memory->writer);
        write_one(memory, 1);
        ring_slot(&memory->writer.ring, 1)->payload_bytes = 65;
        assert_int_equal(read_one(memory, &sample), -EBADMSG);
        ring_slot(&memory->writer.ring, 1)->payload_bytes = 63;
        assert_int_equal(read_one(memory, &sample), -EBADMSG);
        memory_free(memory);
}

static void test_reader_is_bounded_against_a_head_that_jumps(void **state) {
        struct memory *memory = memory_new(4);
        struct slipring_sample sample;

        ring_writer_takeover(&memory->writer);
        write_one(memory, 1);
        memory->words.head = UINT64_MAX;
        assert_true(read_one(memory, &sample) < 0);
        /* Every number before the one looked at was counted, once. */
        assert_int_equal(memory->reader.delivered + memory->reader.missed, memory->reader.next - 1);
        memory_free(memory);
}

/* All stamps ahead of the number: 64 attempts, then the caller may do something else. */
static void test_reader_gives_up_after_its_tries(void **state) {
        struct memory *memory = memory_new(128);
        struct slipring_sample sample;
        uint32_t i;

        for (i = 0; i < 128; i++) {
                ring_slot(&memory->reader.ring, i)->stamp = 1000;
        }
        memory->words.head = 100;
        assert_int_equal(read_one(memory, &sample), -EAGAIN);
        assert_int_equal(memory->reader.missed, RING_TRIES_NEXT);
        assert_int_equal(memory->reader.next, 1 + RING_TRIES_NEXT);
        memory_free(memory);
}

static void test_wake_word_wraps(void **state) {
        struct memory *memory = memory_new(4);
        struct slipring_sample sample;
        uint64_t m;

        memory->words.head = UINT32_MAX - 2;
        ring_slot(&memory->writer.ring, (UINT32_MAX - 2u) % 4)->stamp =
                2 * (uint64_t) (UINT32_MAX - 2u);
        ring_writer_takeover(&memory->writer);
        memory->reader.next = (uint64_t) UINT32_MAX - 1;
        for (m = (uint64_t) UINT32_MAX - 1; m < (uint64_t) UINT32_MAX + 4; m++) {
                write_one(memory, m);
                assert_int_equal(memory->words.wake, (uint32_t) m);
                assert_int_equal(read_one(memory, &sample), 1);
                assert_true(sample.sequence == m);
        }
        memory_free(memory);
}

static void test_copies_are_whole_at_every_length(void **state) {
        _Alignas(64) uint8_t slot[640];
        uint8_t from[640], to[640];
        size_t bytes, i;

        for (i = 0; i < sizeof(from); i++) {
                from[i] = (uint8_t) (i * 7 + 1);
        }
        for (bytes = 0; bytes <= 600; bytes++) {
                memset(slot, 0, sizeof(slot));
                memset(to, 0, sizeof(to));
                copy_to_slot(slot, from, bytes);
                assert_memory_equal(slot, from, bytes);
                assert_int_equal(slot[bytes], 0);
                copy_from_slot(to, slot, bytes);
                assert_memory_equal(to, from, bytes);
                assert_int_equal(to[bytes], 0);
        }
}

/* What somebody finds who looks at the ring of the dead. */
/* The writer laps a reader that goes by an old head. */
static void test_an_old_head_is_looked_up_again_where_the_ring_moved_on(void **state) {
        struct memory *memory = memory_new(3);
        struct ring_view view;
        uint64_t m, head;
        int tries = RING_TRIES_NEXT;

        ring_writer_takeover(&memory->writer);
        for (m = 1; m <= 3; m++) {
                write_one(memory, m);
        }
        head = ring_reader_head(&memory->reader);
        assert_int_equal(head, 3);
        assert_int_equal(ring_reader_next_to(&memory->reader, &head, &view, &tries), 1);
        ring_reader_accept(&memory->reader, &view, NULL);
        /* What came after the look waits for the next one. */
        write_one(memory, 4);
        assert_int_equal(ring_reader_next_to(&memory->reader, &head, &view, &tries), 1);
        ring_reader_accept(&memory->reader, &view, NULL);
        assert_int_equal(head, 3);
        for (m = 5; m <= 9; m++) {
                write_one(memory, m);
        }
        assert_int_equal(ring_reader_next_to(&memory->reader, &head, &view, &tries), 1);
        assert_int_equal(head, 9);
        assert_int_equal(view.sequence, 7);
        ring_reader_accept(&memory->reader, &view, NULL);
        assert_int_equal(memory->reader.delivered, 3);
        assert_int_equal(memory->reader.missed, 4);
        memory_free(memory);
}

static void test_a_look_finds_what_the_ring_holds_and_what_was_begun(void **state) {
        struct memory *memory = memory_new(3);
        const struct ring *ring = &memory->writer.ring;
        struct ring_view view;
        uint64_t m;

        ring_writer_takeover(&memory->writer);
        assert_int_equal(ring_rest(ring, 0), RING_REST_NONE);
        for (m = 1; m <= 5; m++) {
                write_one(memory, m);
        }
        assert_int_equal(ring_rest(ring, 5), RING_REST_NONE);
        for (m = 3; m <= 5; m++) {
                assert_int_equal(ring_look(ring, m, &view), 1);
                assert_int_equal(view.sequence, m);
                assert_true(message_whole(view.payload));
        }
        assert_int_equal(ring_look(ring, 2, &view), 0);
        assert_int_equal(ring_look(ring, 6, &view), -EBADMSG);

        (void) ring_writer_begin(&memory->writer);
        assert_int_equal(ring_rest(ring, 5), RING_REST_HALF);
        assert_int_equal(ring_look(ring, 3, &view), 0);
        ring_writer_abandon(&memory->writer);
        assert_int_equal(ring_rest(ring, 5), RING_REST_HALF);

        write_one(memory, 6);
        assert_int_equal(ring_rest(ring, 6), RING_REST_NONE);
        /* As one leaves it that was killed before it moved head. */
        assert_int_equal(ring_rest(ring, 5), RING_REST_WHOLE);
        assert_int_equal(ring_look(ring, 6, &view), 1);
        memory_free(memory);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_first_takeover_starts_at_one),
                cmocka_unit_test(test_slots_follow_the_number_for_every_depth),
                cmocka_unit_test(test_takeover_gives_a_torn_message_s_number_to_the_next),
                cmocka_unit_test(test_takeover_announces_a_finished_message),
                cmocka_unit_test(test_takeover_stores_wake),
                cmocka_unit_test(test_a_set_flag_is_cleared_and_costs_one_wake),
                cmocka_unit_test(test_reader_refuses_what_contradicts_the_protocol),
                cmocka_unit_test(test_reader_refuses_a_length_that_is_not_the_type_s),
                cmocka_unit_test(test_reader_is_bounded_against_a_head_that_jumps),
                cmocka_unit_test(test_reader_gives_up_after_its_tries),
                cmocka_unit_test(test_wake_word_wraps),
                cmocka_unit_test(test_copies_are_whole_at_every_length),
                cmocka_unit_test(test_an_old_head_is_looked_up_again_where_the_ring_moved_on),
                cmocka_unit_test(test_a_look_finds_what_the_ring_holds_and_what_was_begun),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
