#ifndef SLIPRING_BUS_RING_WRITE_H
#define SLIPRING_BUS_RING_WRITE_H

#include "bus/pins.h"
#include "bus/ring.h"

/*
 * The way of a sample into the ring, compiled into whoever publishes; the rare parts (constants,
 * pins, waking) are functions in ring.c and pins.c.
 *
 * More than half of what publishing 64 bytes costs is the clock. It waits for every instruction
 * before it, and the fence at the end for every store after it. So all that nobody else sees is
 * stored before the clock is read, and behind it there is no more than the message needs: as
 * functions of their own, with the writer's own words stored at the end, this took 1.24 times as
 * long as the bare floor, and now 1.09.
 */

/* What is paid for only where somebody has asked for it, or sleeps, is not in the way of the rest.
 */
#define RARELY(condition) __builtin_expect(!!(condition), 0)

/* Message head + 1 is this writer's last. */
static inline void ring_writer_step(struct ring_writer *writer) {
        writer->head++;
        if (writer->ring.places) {
                return;
        }
        writer->index = writer->index + 1 == writer->ring.depth ? 0 : writer->index + 1;
}

/*
 * ring_writer_begin() - start message head + 1
 * @writer:     a writer with no message open
 *
 * Return: the slot's payload.
 * Context: RT-safe: wait-free, no system call.
 */
static inline void *ring_writer_begin(struct ring_writer *writer) {
        struct layout_slot *slot;

        if (RARELY(writer->ring.places)) {
                writer->index = pins_choose(writer);
        }
        slot = ring_slot(&writer->ring, writer->index);
        writer->open = true;
        /* slot.busy: the odd stamp before any byte of the payload. Pairs with the fence in
         * ring_reader_validate(). */
        atomic_store_explicit(&slot->stamp, 2 * (writer->head + 1) - 1, memory_order_relaxed);
        atomic_thread_fence(memory_order_release);
        return slot + 1;
}

/*
 * ring_writer_commit() - publish the open message
 * @writer:             a writer with a message open
 * @payload_bytes:      its length
 * @source_time_ns:     the publisher's
 *
 * Context: RT-safe: wait-free, one FUTEX_WAKE if somebody sleeps.
 */
static inline __attribute__((always_inline)) void
ring_writer_commit(struct ring_writer *writer, uint32_t payload_bytes, uint64_t source_time_ns) {
        /* Copies: for all that the compiler knows, a store to the segment may change the writer. */
        struct layout_words *const words = writer->ring.words;
        struct layout_slot *const slot = ring_slot(&writer->ring, writer->index);
        _Atomic uint32_t *const asleep = writer->asleep;
        const uint64_t m = writer->head + 1;

        if (RARELY(writer->constant_count > 0)) {
                ring_writer_set_constants(writer, slot + 1);
        }
        /* relaxed: slot.busy and slot.ready order the slot's words with its payload. */
        atomic_store_explicit(&slot->source_time_ns, source_time_ns, memory_order_relaxed);
        atomic_store_explicit(&slot->epoch, writer->epoch, memory_order_relaxed);
        atomic_store_explicit(&slot->payload_bytes, payload_bytes, memory_order_relaxed);
        atomic_store_explicit(&slot->publisher_pid, writer->publisher_pid, memory_order_relaxed);
        atomic_store_explicit(&slot->encapsulation, LAYOUT_CDR_LE, memory_order_relaxed);
        writer->open = false;
        ring_writer_step(writer);
        /* relaxed: as the others. */
        atomic_store_explicit(&slot->publish_time_ns, slipring_now_ns(), memory_order_relaxed);
        /* slot.ready: the whole message before the even stamp. Pairs with the first look at the
         * stamp in reader_look(). */
        atomic_store_explicit(&slot->stamp, 2 * m, memory_order_release);
        if (RARELY(writer->ring.places)) {
                pins_place(writer, m);
        }
        /* asleep.clear: cleared after the even stamp, so that a publisher killed in between leaves
         * a message for takeover to announce, and before head, never after: a sleeper that sets the
         * flag after this sees the new head or is seen by the second look below. The fence is the
         * compiler's: a process is killed between two of its instructions. */
        atomic_signal_fence(memory_order_release);
        if (RARELY(!asleep)) {
                writer->need = true;
        } else if (RARELY(atomic_load_explicit(asleep, memory_order_relaxed))) {
                atomic_store_explicit(asleep, 0, memory_order_relaxed);
                writer->need = true;
        }
        /* head.publish: the message before its number. */
        atomic_store_explicit(&words->head, m, memory_order_release);
        /* wake.word: the number before the word that sleepers compare. */
        atomic_store_explicit(&words->wake, (uint32_t) m, memory_order_release);
        /* asleep.dekker: head before the second look at the flag. Pairs with the fence between flag
         * and look at head in whoever goes to sleep. pin.dekker: also the place, which took that of
         * an older message, before the next look at the pins, in pins_choose(). */
        atomic_thread_fence(memory_order_seq_cst);
        if (RARELY(writer->need || atomic_load_explicit(asleep, memory_order_relaxed))) {
                ring_writer_wake(writer);
        }
}

#endif
