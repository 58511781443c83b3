/*
 * The ring: one writer, any number of readers that never write, no locks.
 *
 * Each slot has a stamp: 2m-1 while message m is written into it, 2m once m is whole. A reader
 * looks at the stamp, reads, and looks again; only if it was 2m both times is the message good. It
 * never waits for an odd stamp, so a writer that is stopped or dead in the middle blocks nobody.
 * head is the number of the newest whole message. The orderings are named here as in
 * docs/memory-ordering.md.
 */

#include <errno.h>

#include <slipring/subscriber.h>

#include "bus/pins.h"
#include "bus/ring-write.h"
#include "bus/wake.h"

/* --- writer --- */

void ring_writer_wake(struct ring_writer *writer) {
        struct layout_words *words = writer->ring.words;

        /* wake.chain: the word was stored before this, and the kernel's wake-up is a barrier. */
        if (writer->chain_end) {
                writer->need = wake_chain(&words->wake, (uint32_t) writer->head,
                                          writer->chain_end) >= WAKE_ARITY;
        } else {
                writer->need = wake_send(&words->wake, writer->waiters) >= writer->waiters;
        }
        /* relaxed: a statistic, and this is its only writer. */
        atomic_store_explicit(&words->wakeups,
                              atomic_load_explicit(&words->wakeups, memory_order_relaxed) + 1,
                              memory_order_relaxed);
}

/* Is message head + 1 whole? Also sets the writer's slot. */
static bool takeover_finished(struct ring_writer *writer) {
        struct ring *ring = &writer->ring;
        uint64_t stamp;

        if (ring->places) {
                return pins_takeover(writer);
        }
        writer->index = (uint32_t) ((writer->head + 1) % ring->depth);
        /* claim.handover: as in ring_writer_takeover(). */
        stamp = atomic_load_explicit(&ring_slot(ring, writer->index)->stamp, memory_order_relaxed);
        return stamp == 2 * (writer->head + 1);
}

void ring_writer_takeover(struct ring_writer *writer) {
        struct layout_words *words = writer->ring.words;

        /* claim.handover: taking the claim was a full barrier; relaxed loads see all that the
         * predecessor stored. */
        writer->head = atomic_load_explicit(&words->head, memory_order_relaxed);
        if (takeover_finished(writer)) {
                /* Finished but not announced: it died between the even stamp and head. */
                ring_writer_step(writer);
                /* head.publish: the message, by way of the claim, before its number. */
                atomic_store_explicit(&words->head, writer->head, memory_order_release);
        }
        writer->epoch = atomic_load_explicit(&words->epoch, memory_order_relaxed) + 1;
        atomic_store_explicit(&words->epoch, writer->epoch, memory_order_relaxed);
        writer->open = false;
        /* wake.word: also if head did not move; the predecessor may have died between the two. */
        atomic_store_explicit(&words->wake, (uint32_t) writer->head, memory_order_release);
        ring_writer_wake(writer);
}

void ring_writer_resume(struct ring_writer *writer, bool need) {
        /* lock.handover: taking the lock was an acquire; a relaxed load sees what the last holder
         * stored. */
        writer->head = atomic_load_explicit(&writer->ring.words->head, memory_order_relaxed);
        writer->index = (uint32_t) ((writer->head + 1) % writer->ring.depth);
        writer->need = need;
}

void ring_writer_set_constants(const struct ring_writer *writer, void *payload) {
        uint8_t *bytes = payload;
        uint32_t i, j;

        for (i = 0; i < writer->constant_count; i++) {
                const struct ring_constant *constant = &writer->constants[i];

                for (j = 0; j < constant->bytes; j++) {
                        /* relaxed: part of the payload, as in copy_to_slot(). */
                        atomic_store_explicit(
                                (_Atomic uint8_t *) &bytes[constant->offset_bytes + j],
                                constant->value ? constant->value[j] : 0, memory_order_relaxed);
                }
        }
}

void ring_writer_abandon(struct ring_writer *writer) {
        /* The stamp stays odd: what the slot held is gone, and what was written is never announced.
         */
        writer->open = false;
}

/* --- reader --- */

void ring_reader_start(struct ring_reader *reader, uint32_t start) {
        /* head.publish: what is found below this number is whole. */
        uint64_t head = atomic_load_explicit(&reader->ring.words->head, memory_order_acquire);

        switch (start) {
        case SLIPRING_START_OLDEST:
                reader->next = head >= reader->ring.depth ? head - reader->ring.depth + 1 : 1;
                break;
        case SLIPRING_START_NEXT:
                reader->next = head + 1;
                break;
        default:
                reader->next = head ? head : 1;
                break;
        }
        reader->gap = 0;
}

bool ring_reader_ready(const struct ring_reader *reader) {
        /* head.publish: pairs with the store in ring_writer_commit(). */
        return atomic_load_explicit(&reader->ring.words->head, memory_order_acquire) >=
               reader->next;
}

static void reader_skip(struct ring_reader *reader, uint64_t to) {
        reader->missed += to - reader->next;
        reader->gap += to - reader->next;
        reader->next = to;
}

void ring_reader_move(struct ring_reader *reader, const struct ring *to) {
        /* head.publish: pairs with the store in ring_writer_commit(). */
        uint64_t head = atomic_load_explicit(&reader->ring.words->head, memory_order_acquire);

        if (head >= reader->next) {
                reader_skip(reader, head + 1);
        }
        reader->ring = *to;
        reader->next = 1;
}

/* The slot that message m was written into. 1, or 0 if another message has its place now. */
static int reader_find_slot(const struct ring *ring, uint64_t m, uint32_t *ret_index) {
        uint64_t place;

        if (!ring->places) {
                *ret_index = (uint32_t) (m % ring->depth);
                return 1;
        }
        /* place.publish: the place before the stamp. Pairs with the store in pins_place(). */
        place = atomic_load_explicit(&ring->places[m % ring->depth], memory_order_acquire);
        if (place >> LAYOUT_PLACE_BITS != m) {
                return place >> LAYOUT_PLACE_BITS > m ? 0 : -EBADMSG;
        }
        *ret_index = (uint32_t) place & (LAYOUT_PLACE_SLOTS - 1);
        return *ret_index < ring->slot_count ? 1 : -EBADMSG;
}

bool ring_reader_placed(const struct ring *ring, const struct ring_view *view) {
        /* pin.dekker: after the fence in pin_hold(); relaxed: what it guards was read already, or
         * stays as it is while the place does not change. */
        return atomic_load_explicit(&ring->places[view->sequence % ring->depth],
                                    memory_order_relaxed) ==
               (view->sequence << LAYOUT_PLACE_BITS | view->index);
}

/* Look at message m, which head says is whole. 1 if its slot holds it, 0 if the slot was overtaken.
 */
static int reader_look(const struct ring *ring, uint64_t m, struct ring_view *ret_view) {
        struct layout_slot *slot;
        uint32_t index = 0;
        uint64_t stamp;
        int r;

        r = reader_find_slot(ring, m, &index);
        if (r != 1) {
                return r;
        }
        slot = ring_slot(ring, index);
        /* slot.ready: the stamp before the message. */
        stamp = atomic_load_explicit(&slot->stamp, memory_order_acquire);
        if (stamp != 2 * m) {
                return stamp > 2 * m ? 0 : -EBADMSG;
        }
        /* relaxed: inside the stamp's window, as the payload. */
        *ret_view = (struct ring_view){
                .slot = slot,
                .index = index,
                .payload = slot + 1,
                .sequence = m,
                .publish_time_ns =
                        atomic_load_explicit(&slot->publish_time_ns, memory_order_relaxed),
                .source_time_ns = atomic_load_explicit(&slot->source_time_ns, memory_order_relaxed),
                .epoch = atomic_load_explicit(&slot->epoch, memory_order_relaxed),
                .payload_bytes = atomic_load_explicit(&slot->payload_bytes, memory_order_relaxed),
                .publisher_pid = atomic_load_explicit(&slot->publisher_pid, memory_order_relaxed),
        };
        if (ret_view->payload_bytes > ring->payload_bytes ||
            ret_view->payload_bytes < ring->payload_bytes_min) {
                /* Torn, or written by someone who does not follow the protocol. */
                return ring_reader_validate(ret_view) ? -EBADMSG : 0;
        }
        return 1;
}

uint64_t ring_reader_head(const struct ring_reader *reader) {
        /* head.publish: pairs with the store in ring_writer_commit(). */
        return atomic_load_explicit(&reader->ring.words->head, memory_order_acquire);
}

int ring_reader_next_to(struct ring_reader *reader,
                        uint64_t *head,
                        struct ring_view *ret_view,
                        int *tries) {
        const struct ring *ring = &reader->ring;
        int r;

        while ((*tries)-- > 0) {
                if (reader->next > *head) {
                        return 0;
                }
                if (*head - reader->next >= ring->depth) {
                        reader_skip(reader, *head - ring->depth + 1);
                }
                r = reader_look(ring, reader->next, ret_view);
                if (r != 0) {
                        return r;
                }
                reader_skip(reader, reader->next + 1);
                *head = ring_reader_head(reader);
        }
        return -EAGAIN;
}

int ring_reader_next(struct ring_reader *reader, struct ring_view *ret_view, int *tries) {
        uint64_t head = ring_reader_head(reader);

        return ring_reader_next_to(reader, &head, ret_view, tries);
}

int ring_reader_newest(struct ring_reader *reader, struct ring_view *ret_view, int *tries) {
        const struct ring *ring = &reader->ring;
        uint64_t head;
        int r;

        while ((*tries)-- > 0) {
                /* head.publish: pairs with the store in ring_writer_commit(). */
                head = atomic_load_explicit(&ring->words->head, memory_order_acquire);
                if (reader->next > head) {
                        return 0;
                }
                r = reader_look(ring, head, ret_view);
                if (r != 0) {
                        return r;
                }
        }
        return -EAGAIN;
}

bool ring_reader_validate(const struct ring_view *view) {
        /* slot.busy: every read of the message before the second look at the stamp. Pairs with the
         * fence in ring_writer_begin(). */
        atomic_thread_fence(memory_order_acquire);
        return atomic_load_explicit(&view->slot->stamp, memory_order_relaxed) == 2 * view->sequence;
}

void ring_reader_accept(struct ring_reader *reader,
                        const struct ring_view *view,
                        struct slipring_sample *ret_sample) {
        reader_skip(reader, view->sequence);
        if (ret_sample) {
                *ret_sample = (struct slipring_sample){
                        .payload_bytes = view->payload_bytes,
                        .epoch = view->epoch,
                        .sequence = view->sequence,
                        .publish_time_ns = view->publish_time_ns,
                        .source_time_ns = view->source_time_ns,
                        .missed = reader->gap,
                };
        }
        reader->gap = 0;
        reader->next++;
        reader->delivered++;
}

void ring_reader_refuse(struct ring_reader *reader, const struct ring_view *view) {
        reader_skip(reader, view->sequence + 1);
}

void ring_reader_revoke(struct ring_reader *reader) {
        reader->delivered--;
        reader->missed++;
        reader->gap++;
}

int ring_look(const struct ring *ring, uint64_t sequence, struct ring_view *ret_view) {
        int r = reader_look(ring, sequence, ret_view);

        return r == 1 && !ring_reader_validate(ret_view) ? 0 : r;
}

/* Publish time of message m, 0 if it is not in the ring any more. */
static uint64_t time_of(const struct ring *ring, uint64_t m) {
        struct ring_view view;

        return ring_look(ring, m, &view) == 1 ? view.publish_time_ns : 0;
}

int32_t ring_newest_pid(const struct ring *ring) {
        struct ring_view view;
        uint64_t head;
        int tries;

        for (tries = 0; tries < RING_TRIES_NEWEST; tries++) {
                /* head.publish: pairs with the store in ring_writer_commit(). */
                head = atomic_load_explicit(&ring->words->head, memory_order_acquire);
                if (head && ring_look(ring, head, &view) == 1) {
                        return view.publisher_pid <= INT32_MAX ? (int32_t) view.publisher_pid : 0;
                }
        }
        return 0;
}

uint64_t ring_newest_time_ns(const struct ring *ring) {
        int tries;

        for (tries = 0; tries < RING_TRIES_NEWEST; tries++) {
                /* head.publish: pairs with the store in ring_writer_commit(). */
                uint64_t head = atomic_load_explicit(&ring->words->head, memory_order_acquire);
                uint64_t time_ns = head ? time_of(ring, head) : 0;

                if (head == 0 || time_ns) {
                        return time_ns;
                }
        }
        return 0;
}

double ring_rate_hz(const struct ring *ring) {
        /* head.publish: pairs with the store in ring_writer_commit(). */
        uint64_t head = atomic_load_explicit(&ring->words->head, memory_order_acquire);
        uint64_t span = ring->depth - 1, newest, oldest = 0;

        span = span > 63 ? 63 : span;
        span = span >= head ? (head ? head - 1 : 0) : span;
        newest = head ? time_of(ring, head) : 0;
        /* The oldest slots are the ones that the publisher overtakes first. */
        for (; newest && span > 0; span--) {
                oldest = time_of(ring, head - span);
                if (oldest) {
                        break;
                }
        }
        if (span == 0 || !newest || newest <= oldest) {
                return 0;
        }
        return (double) span * 1e9 / (double) (newest - oldest);
}

/* What a slot has of message m. */
static enum ring_rest slot_rest(const struct ring *ring, uint32_t index, uint64_t m) {
        /* slot.ready: as in reader_look(). */
        uint64_t stamp = atomic_load_explicit(&ring_slot(ring, index)->stamp, memory_order_acquire);

        return stamp == 2 * m       ? RING_REST_WHOLE
               : stamp == 2 * m - 1 ? RING_REST_HALF
                                    : RING_REST_NONE;
}

enum ring_rest ring_rest(const struct ring *ring, uint64_t sequence) {
        enum ring_rest rest, most = RING_REST_NONE;
        uint32_t slot;

        if (!ring->places) {
                return slot_rest(ring, (uint32_t) ((sequence + 1) % ring->depth), sequence + 1);
        }
        /* In any slot, and in several where publishers died over it. */
        for (slot = 0; slot < ring->slot_count; slot++) {
                rest = slot_rest(ring, slot, sequence + 1);
                most = rest > most ? rest : most;
        }
        return most;
}
