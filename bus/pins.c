#include <errno.h>
#include <string.h>
#include <sys/ipc.h>
#include <sys/sem.h>

#include "bus/pins.h"

/* semctl(2) leaves this to its callers. */
union argument {
        int value;
        unsigned short *values;
};

/* --- publisher --- */

static void bit_set(uint64_t *bits, uint32_t slot) {
        bits[slot / 64] |= UINT64_C(1) << slot % 64;
}

static void bit_clear(uint64_t *bits, uint32_t slot) {
        bits[slot / 64] &= ~(UINT64_C(1) << slot % 64);
}

/* The first slot from @from on, round the end, that has no bit; @count if all have one. */
static uint32_t first_without(const uint64_t *bits, uint32_t count, uint32_t from) {
        uint32_t words = (count + 63) / 64, step, word, slot;
        uint64_t clear;

        /* The first word comes last once more, for the slots before @from. */
        for (step = 0; step <= words; step++) {
                word = (from / 64 + step) % words;
                clear = ~bits[word];
                if (step == 0) {
                        clear &= ~UINT64_C(0) << from % 64;
                }
                slot = word * 64 + (clear ? (uint32_t) __builtin_ctzll(clear) : 64);
                if (clear && slot < count) {
                        return slot;
                }
        }
        return count;
}

uint32_t pins_choose(struct ring_writer *writer) {
        const struct pins_writer *pins = writer->pins;
        uint32_t count = writer->ring.slot_count, slot, i;
        struct layout_words *words = writer->ring.words;
        uint32_t from = writer->index + 1 < count ? writer->index + 1 : 0;
        uint64_t taken[PINS_WORDS];

        memcpy(taken, pins->kept, sizeof(taken));
        for (i = 0; i < pins->count; i++) {
                /* pin.dekker: pairs with the fence in pin_hold(); the other one is in
                 * ring_writer_commit(), after the place of the last message was stored. pin.drop:
                 * a reader's last look at a slot before this writes into it. */
                slot = (uint32_t) (atomic_load_explicit(&pins->lines[i].pin, memory_order_acquire) &
                                   LAYOUT_PIN_MASK);
                /* Anything may stand in a line. */
                if (slot >= 1 && slot <= count) {
                        bit_set(taken, slot - 1);
                }
        }
        slot = first_without(taken, count, from);
        if (slot < count) {
                return slot;
        }
        /* relaxed: a statistic, and this is its only writer. */
        atomic_store_explicit(&words->pin_broken,
                              atomic_load_explicit(&words->pin_broken, memory_order_relaxed) + 1,
                              memory_order_relaxed);
        slot = first_without(pins->kept, count, from);
        return slot < count ? slot : from;
}

void pins_place(struct ring_writer *writer, uint64_t m) {
        struct ring *ring = &writer->ring;
        _Atomic uint64_t *place = &ring->places[m % ring->depth];
        /* relaxed: written by publishers only, and this is the one. */
        uint64_t before = atomic_load_explicit(place, memory_order_relaxed);
        uint32_t slot = (uint32_t) before & (LAYOUT_PLACE_SLOTS - 1);

        if (before && slot < ring->slot_count) {
                bit_clear(writer->pins->kept, slot);
        }
        bit_set(writer->pins->kept, writer->index);
        /* place.publish: the whole message, and its even stamp, before its place. Pairs with
         * reader_find_slot(). */
        atomic_store_explicit(place, m << LAYOUT_PLACE_BITS | writer->index, memory_order_release);
}

/* The slot with the message after head in it, finished but without a place; slot_count if there is
 * none. */
static uint32_t find_finished(const struct ring *ring, uint64_t m) {
        uint32_t slot;

        for (slot = 0; slot < ring->slot_count; slot++) {
                /* claim.handover: as in ring_writer_takeover(). */
                if (atomic_load_explicit(&ring_slot(ring, slot)->stamp, memory_order_relaxed) ==
                    2 * m) {
                        break;
                }
        }
        return slot;
}

bool pins_takeover(struct ring_writer *writer) {
        struct ring *ring = &writer->ring;
        uint64_t m = writer->head + 1, place, i;
        bool finished;

        memset(writer->pins->kept, 0, sizeof(writer->pins->kept));
        for (i = 0; i < ring->depth; i++) {
                /* claim.handover: as in ring_writer_takeover(). */
                place = atomic_load_explicit(&ring->places[i], memory_order_relaxed);
                if (place && (place & (LAYOUT_PLACE_SLOTS - 1)) < ring->slot_count) {
                        bit_set(writer->pins->kept, place & (LAYOUT_PLACE_SLOTS - 1));
                }
        }
        place = atomic_load_explicit(&ring->places[m % ring->depth], memory_order_relaxed);
        finished = place >> LAYOUT_PLACE_BITS == m;
        writer->index = (uint32_t) place & (LAYOUT_PLACE_SLOTS - 1);
        if (!finished) {
                writer->index = find_finished(ring, m);
                finished = writer->index < ring->slot_count;
                if (finished) {
                        pins_place(writer, m);
                }
        }
        if (writer->index >= ring->slot_count) {
                writer->index = ring->slot_count - 1;
        }
        /* pin.dekker: the predecessor may have died between a place and the fence after it. */
        atomic_thread_fence(memory_order_seq_cst);
        return finished;
}

/* --- subscriber --- */

static int line_operate(const struct pins *pins, uint32_t line, bool take) {
        struct sembuf operations[] = {
                {.sem_num = (unsigned short) line, .sem_op = 0, .sem_flg = IPC_NOWAIT},
                {.sem_num = (unsigned short) line,
                 .sem_op = take ? 1 : -1,
                 .sem_flg = IPC_NOWAIT | SEM_UNDO},
        };

        if (semop(pins->claim_id, take ? operations : operations + 1, take ? 2 : 1) == 0) {
                return 0;
        }
        return errno == EAGAIN ? -EBUSY : errno == EINVAL ? -EIDRM : -errno;
}

int pin_acquire(struct pin *ret_pin, const struct pins *pins) {
        struct pin pin = {0};
        uint64_t word;
        int r;

        for (; pin.line < pins->count; pin.line++) {
                r = line_operate(pins, pin.line, true);
                if (r == -EBUSY) {
                        continue;
                }
                if (r < 0) {
                        return r;
                }
                pin.word = &pins->lines[pin.line].pin;
                /* pin.owner: all that the last owner stored, be it dead or not: semop is a full
                 * barrier. What a dead one pinned is dropped, under a count that no word has had
                 * that somebody may be about to clear. */
                word = atomic_load_explicit(pin.word, memory_order_acquire);
                pin.generation = (word >> LAYOUT_PIN_BITS) + 1;
                pin_drop(&pin);
                *ret_pin = pin;
                return 0;
        }
        return -ENOBUFS;
}

void pin_release(struct pin *pin, const struct pins *pins) {
        if (pin->word) {
                pin_drop(pin);
                /* pin.owner: the line is empty before it is anybody's. Pairs with pin_acquire(). */
                (void) line_operate(pins, pin->line, false);
        }
        *pin = (struct pin){0};
}

bool pin_hold(struct pin *pin, const struct ring *ring, const struct ring_view *view) {
        pin->generation++;
        /* pin.dekker: the pin before the second look at the place. pin.drop: release, although it
         * announces nothing: what this line pinned before was read before it. Pairs with the loads
         * in pins_choose(). */
        atomic_store_explicit(pin->word, pin->generation << LAYOUT_PIN_BITS | (view->index + 1u),
                              memory_order_release);
        atomic_thread_fence(memory_order_seq_cst);
        pin->held = ring_reader_placed(ring, view);
        if (!pin->held) {
                pin_drop(pin);
        }
        return pin->held;
}

void pin_drop(struct pin *pin) {
        pin->held = false;
        /* pin.drop: every read of the slot before the line lets go of it. Pairs with the loads in
         * pins_choose(). */
        atomic_store_explicit(pin->word, pin->generation << LAYOUT_PIN_BITS, memory_order_release);
}

/* --- everybody --- */

static uint64_t line_word(const struct pins *pins, uint32_t line) {
        /* pin.owner: what is seen here was there before the semaphores are looked at. Pairs with
         * pin_acquire(), whose owner changes the count after it has the semaphore. */
        return atomic_load_explicit(&pins->lines[line].pin, memory_order_acquire);
}

uint32_t pins_held(const struct pins *pins) {
        uint32_t line, held = 0;

        for (line = 0; line < pins->count; line++) {
                held += (line_word(pins, line) & LAYOUT_PIN_MASK) != 0;
        }
        return held;
}

uint32_t pins_reap(const struct pins *pins) {
        unsigned short values[LAYOUT_PINS_MAX];
        uint64_t seen[LAYOUT_PINS_MAX];
        uint32_t line, held = 0, reaped = 0;

        for (line = 0; line < pins->count; line++) {
                seen[line] = line_word(pins, line);
                held += (seen[line] & LAYOUT_PIN_MASK) != 0;
        }
        /* The semaphores after the words: one that is free now is of a dead owner's word or of a
         * word that has changed since. */
        if (held == 0 ||
            semctl(pins->claim_id, 0, GETALL, (union argument){.values = values}) < 0) {
                return 0;
        }
        for (line = 0; line < pins->count; line++) {
                if ((seen[line] & LAYOUT_PIN_MASK) == 0 || values[line] != 0) {
                        continue;
                }
                /* pin.owner: exactly the word that was seen; a plain store could wipe out a new
                 * owner's pin. */
                reaped += atomic_compare_exchange_strong_explicit(
                        &pins->lines[line].pin, &seen[line], seen[line] & ~LAYOUT_PIN_MASK,
                        memory_order_release, memory_order_relaxed);
        }
        return reaped;
}
