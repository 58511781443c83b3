#ifndef SLIPRING_BUS_RING_H
#define SLIPRING_BUS_RING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <slipring/sample.h>

#include "bus/layout.h"

/* A mapped ring. Lies in private memory: nothing here is read again from the segment. */
struct ring {
        _Atomic uint32_t *state;
        struct layout_words *words;
        _Atomic uint64_t *places; /* where messages are; NULL: message m is in slot m % depth */
        uint8_t *slots;
        uint64_t slot_stride_bytes;
        uint32_t depth;             /* messages that are kept */
        uint32_t slot_count;        /* with places, more than depth */
        uint32_t payload_bytes;     /* most that a slot holds */
        uint32_t payload_bytes_min; /* least that a message has: the same in a data segment */
};

/* Bytes of a payload that never change, whatever the publisher left there. */
struct ring_constant {
        uint32_t offset_bytes;
        uint32_t bytes;
        const uint8_t *value; /* NULL: zeros */
};

struct pins_writer;

struct ring_writer {
        struct ring ring;
        uint64_t head;               /* own copy: nobody else writes it */
        uint32_t index;              /* slot of message head + 1; with places, the last one taken */
        uint32_t epoch;              /* this takeover's */
        uint32_t waiters;            /* most that one publish wakes */
        uint32_t publisher_pid;      /* put into each slot */
        _Atomic uint32_t *asleep;    /* on the wake board; NULL: always wake */
        _Atomic uint32_t *chain_end; /* beside it; NULL: sleepers do not wake each other */
        const struct ring_constant *constants;
        size_t constant_count;
        struct pins_writer *pins; /* with places only */
        bool need;                /* the last wake-up hit the cap: wake again */
        bool open;                /* between ring_writer_begin() and commit or abandon */
};

/*
 * ring_writer_takeover() - become the writer of a ring
 * @writer:     with ring, waiters, asleep, chain_end and pads set, and pins where the ring has
 * places
 *
 * Whoever wrote before is dead or has given up; the claim says so. Announces a message that it had
 * finished, gives the number of one that it had not to the next, counts the takeover and wakes
 * every sleeper, since the predecessor may have died before it did.
 */
void ring_writer_takeover(struct ring_writer *writer);

/*
 * ring_writer_resume() - go on behind what other writers of the ring wrote
 * @writer:     a writer with no message open, under the lock of a shared ring
 * @need:       the last wake-up of any of them hit the cap
 *
 * Context: RT-safe: no system call.
 */
void ring_writer_resume(struct ring_writer *writer, bool need);

/*
 * ring_writer_set_constants() - write what never changes into the open message
 * ring_writer_wake() - wake sleepers
 *
 * Parts of ring_writer_begin() and ring_writer_commit(), which are in bus/ring-write.h.
 */
void ring_writer_set_constants(const struct ring_writer *writer, void *payload);
void ring_writer_wake(struct ring_writer *writer);

/*
 * ring_writer_abandon() - drop the open message; its number goes to the next one
 */
void ring_writer_abandon(struct ring_writer *writer);

struct ring_reader {
        struct ring ring;
        uint64_t next;      /* number of the sample wanted next */
        uint64_t delivered; /* all so far: delivered + missed == next - first */
        uint64_t missed;
        uint64_t gap; /* missed since the last one delivered */
};

/* A message that a reader looks at: valid once ring_reader_validate() says so. */
struct ring_view {
        struct layout_slot *slot;
        uint32_t index; /* of the slot */
        const void *payload;
        uint64_t sequence;
        uint64_t publish_time_ns;
        uint64_t source_time_ns;
        uint32_t epoch;
        uint32_t payload_bytes;
        uint32_t publisher_pid;
};

/* Attempts of one call. Each is lost to a publisher that went round the whole ring meanwhile. */
#define RING_TRIES_NEXT 64
#define RING_TRIES_NEWEST 3

/*
 * ring_reader_start() - set where a reader begins
 * @reader:     with ring set
 * @start:      enum slipring_start
 */
void ring_reader_start(struct ring_reader *reader, uint32_t start);

/*
 * ring_reader_move() - go on with the ring of a successor, from its first message
 * @reader:     its ring still mapped
 * @to:         the successor's ring
 *
 * What the old ring still holds and what the new one held no longer counts as missed.
 */
void ring_reader_move(struct ring_reader *reader, const struct ring *to);

/*
 * ring_reader_ready() - is there a number that was neither delivered nor missed?
 */
bool ring_reader_ready(const struct ring_reader *reader);

/*
 * ring_reader_next() - find the next message in order
 * ring_reader_newest() - find the newest message
 * @reader:     reader
 * @ret_view:   the message; its metadata were read inside the stamp's window but are not validated
 * @tries:      attempts left, counted down; RING_TRIES_NEXT or RING_TRIES_NEWEST to begin with
 *
 * Numbers that the ring has overtaken are counted as missed on the way. Newest passes over numbers
 * only when the view is accepted.
 *
 * Return: 1, 0 if there is nothing new, -EAGAIN once no try is left, -EBADMSG if the segment
 *         contradicts the protocol.
 * Context: RT-safe: bounded, no system call.
 */
int ring_reader_next(struct ring_reader *reader, struct ring_view *ret_view, int *tries);

/*
 * ring_reader_head() - number of the newest message
 * ring_reader_next_to() - as ring_reader_next(), up to a number that is known to be whole
 * @head:       of ring_reader_head(); looked up again only where the ring has overtaken the reader
 *
 * The line that head lies in is the one which publisher and readers take from each other: who has
 * several messages to take looks at it once.
 */
uint64_t ring_reader_head(const struct ring_reader *reader);
int ring_reader_next_to(struct ring_reader *reader,
                        uint64_t *head,
                        struct ring_view *ret_view,
                        int *tries);
int ring_reader_newest(struct ring_reader *reader, struct ring_view *ret_view, int *tries);

/*
 * ring_reader_validate() - was the message whole from the first look to now?
 */
bool ring_reader_validate(const struct ring_view *view);

/*
 * ring_reader_accept() - count a valid message as delivered
 * @ret_sample: filled but for payload; may be NULL
 *
 * ring_reader_refuse() - count an overtaken message as missed (newest: leave the counts alone)
 */
void ring_reader_accept(struct ring_reader *reader,
                        const struct ring_view *view,
                        struct slipring_sample *ret_sample);
void ring_reader_refuse(struct ring_reader *reader, const struct ring_view *view);

/*
 * ring_reader_revoke() - count a message that was delivered, and then found not whole, as missed
 */
void ring_reader_revoke(struct ring_reader *reader);

/*
 * ring_reader_placed() - is a message that was found still in the place where it was found?
 * @view:       of a ring with places
 *
 * While it is, its slot is not written.
 */
bool ring_reader_placed(const struct ring *ring, const struct ring_view *view);

/*
 * ring_rate_hz() - rate over the newest samples that the ring holds, at most 64
 *
 * Return: messages a second, 0 while fewer than two are readable.
 */
double ring_rate_hz(const struct ring *ring);

/*
 * ring_newest_pid() - who published the newest sample, as that one said
 *
 * Return: a pid, 0 if there is no sample or it is being overtaken.
 */
int32_t ring_newest_pid(const struct ring *ring);

/*
 * ring_newest_time_ns() - publish time of the newest sample
 *
 * Return: CLOCK_MONOTONIC in nanoseconds, 0 if there is none or it is being overtaken.
 */
uint64_t ring_newest_time_ns(const struct ring *ring);

/*
 * ring_look() - look at one message by its number
 * @ret_view:   its metadata, which were whole; its payload is valid if ring_reader_validate() says
 *              so after it was read
 *
 * Return: 1, 0 if the ring has overtaken it, -EBADMSG if its slot contradicts the protocol.
 */
int ring_look(const struct ring *ring, uint64_t sequence, struct ring_view *ret_view);

/* What a publisher that died, or is at it, left of the message behind the newest one. */
enum ring_rest {
        RING_REST_NONE,
        RING_REST_HALF,  /* begun and not finished: being written, torn, or a loan */
        RING_REST_WHOLE, /* finished and not announced: the next publisher will announce it */
};

/*
 * ring_rest() - is there a message begun behind the newest one?
 * @sequence:   the newest one that was announced
 */
enum ring_rest ring_rest(const struct ring *ring, uint64_t sequence);

static inline bool ring_retired(const struct ring *ring) {
        /* state.retired: pairs with the manager's store before it wakes. */
        return atomic_load_explicit(ring->state, memory_order_acquire) != LAYOUT_STATE_SERVING;
}

static inline struct layout_slot *ring_slot(const struct ring *ring, uint32_t index) {
        return (struct layout_slot *) (void *) (ring->slots + index * ring->slot_stride_bytes);
}

#endif
