#ifndef SLIPRING_BUS_SHARED_H
#define SLIPRING_BUS_SHARED_H

#include "bus/lock.h"
#include "bus/ring.h"

/*
 * Writing to a ring that several publishers share: each message under the topic's lock, behind
 * whatever the others wrote. A publisher that dies with the lock is taken over by the next message,
 * as a claim is.
 */
struct shared {
        struct layout_lock *words; /* NULL: the topic is not shared */
        struct lock lock;
        uint64_t timeout_ns; /* for which one message may wait */
};

/*
 * shared_join() - become one of the writers of a ring
 * @shared:     the topic's
 * @writer:     as for ring_writer_takeover()
 * @first:      nobody else was a publisher when this one came
 * @seen:       the lock's word before it was known that this one is the first
 *
 * Takes the ring over as the holder of a claim would, which also gives this writer an epoch of its
 * own.
 *
 * Return: 0, else as lock_take().
 */
int shared_join(struct shared *shared, struct ring_writer *writer, bool first, uint32_t seen);

/*
 * shared_begin() - take the lock and bring the writer up to what the others wrote
 *
 * Return: 0, else as lock_take().
 */
int shared_begin(struct shared *shared, struct ring_writer *writer);

/*
 * shared_end() - let the others write
 */
void shared_end(struct shared *shared, const struct ring_writer *writer);

#endif
