#ifndef SLIPRING_BENCH_FLOOR_H
#define SLIPRING_BENCH_FLOOR_H

/*
 * The floor: the same work with nothing but what the work itself needs.
 *
 * A bare ring in a System V segment: a stamp before and after a memcpy(3), the clock, a number and
 * one fence; a bare futex beside it. No claim, no checks, no retirement, no look at who sleeps, no
 * counts of what was missed. It is a ruler to hold beside the bus, not something to use.
 */

#include <stdalign.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct floor_slot {
        alignas(64) _Atomic uint64_t stamp;
        uint64_t publish_time_ns;
        alignas(64) uint8_t payload[];
};

struct floor {
        alignas(64) _Atomic uint64_t head;
        _Atomic uint32_t wake;               /* the futex */
        alignas(64) _Atomic uint32_t asleep; /* who waits by floor_wait_gated() */
        /* Two lines that two processes hand to each other. */
        alignas(64) _Atomic uint64_t ping;
        alignas(64) _Atomic uint64_t pong;
        /* From here on nobody writes. */
        alignas(64) uint64_t stride;
        uint32_t depth;
        uint32_t payload_bytes;
        int id; /* of the segment */
        alignas(64) uint8_t slots[];
};

/*
 * floor_new() - make a ring in a segment that is gone as soon as the last process detaches
 *
 * Processes inherit it over fork(2).
 *
 * Return: 0 or a negative errno.
 */
int floor_new(struct floor **ret_floor, uint32_t depth, uint32_t payload_bytes);

/* The same for a process that inherited nothing; by the id, while another one has it. */
int floor_attach(struct floor **ret_floor, int id);
struct floor *floor_free(struct floor *floor);

/* Copy a message into the ring: stamp, memcpy, clock, stamp, head, fence. */
void floor_publish(struct floor *floor, const void *payload);

/* The same in place: between the two the caller writes to the payload. */
void *floor_begin(struct floor *floor);
void floor_commit(struct floor *floor);

/* Wake whoever sleeps: one store and one system call. */
void floor_wake(struct floor *floor);

/* The same if somebody sleeps in floor_wait_gated(): else one look. */
void floor_wake_gated(struct floor *floor);

/* Copy the newest message if it is newer than @seen, which moves on. */
bool floor_take(struct floor *floor, uint64_t *seen, void *buffer);

/* The same in place; floor_release() tells whether the message stayed whole. */
const void *floor_borrow(struct floor *floor, uint64_t *seen);
bool floor_release(const struct floor *floor, uint64_t seen);

/* Copy the message that follows @seen if it is there. */
bool floor_next(struct floor *floor, uint64_t *seen, void *buffer);

/* Sleep until there is a message newer than @seen. */
void floor_wait(struct floor *floor, uint64_t seen);

/* The same, for at most 100 ms. */
void floor_wait_bounded(struct floor *floor, uint64_t seen);

/* The same, counted among those that sleep. */
void floor_wait_gated(struct floor *floor, uint64_t seen);

#endif
