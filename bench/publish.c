/*
 * What it costs to publish.
 *
 * An operation of 50 ns cannot be timed by itself with a clock that takes 25: the small ones run in
 * batches between two looks at the clock for p50, and one by one, with the clock's own cost in
 * them, for what batches hide: p99, p99.9 and max. Copies of 1 MiB are timed one by one.
 */

#include <time.h>

#include "bench/measurements.h"

#define BATCH 128u

/* Full turns of the ring until caches and page tables have it. */
#define WARM_TURNS 4u

typedef void operation(struct stage *stage);

static void copied_ours(struct stage *stage) {
        stage->failed |= slipring_publisher_publish(stage->publisher, stage->payload,
                                                    stage->measurement->payload_bytes, 0) < 0;
}

static void copied_other(struct stage *stage) {
        stage->failed |= slipring_publisher_publish(stage->other, stage->payload,
                                                    stage->measurement->payload_bytes, 0) < 0;
}

static void copied_floor(struct stage *stage) {
        floor_publish(stage->ring, stage->payload);
}

/* One cache line of the loan, whatever its size: what filling it costs is the user's. */
static void fill(struct stage *stage, void *payload) {
        volatile uint64_t *words = payload;
        unsigned i;

        for (i = 0; i < 8; i++) {
                words[i] = stage->number;
        }
}

static void loaned_ours(struct stage *stage) {
        void *payload;

        if (slipring_publisher_loan(stage->publisher, &payload) < 0) {
                stage->failed = true;
                return;
        }
        fill(stage, payload);
        stage->failed |= slipring_publisher_commit(stage->publisher, 0) < 0;
}

static void loaned_floor(struct stage *stage) {
        fill(stage, floor_begin(stage->ring));
        floor_commit(stage->ring);
}

static uint64_t timed(struct stage *stage, operation *run, unsigned count) {
        uint64_t begin = slipring_now_ns();
        unsigned i;

        for (i = 0; i < count; i++) {
                run(stage);
        }
        return slipring_now_ns() - begin;
}

static void batches(struct stage *stage, operation *run, struct figures *row) {
        unsigned i, count = stage->count / 16;

        for (i = 0; i < count; i++) {
                stage->values[i] = timed(stage, run, BATCH);
        }
        row->p50 = figures_of(stage->values, count).p50 / BATCH;
}

void publish_round(struct stage *stage, enum side side, struct figures *ret_rows) {
        static operation *const operations[2][SIDES] = {
                {copied_ours, copied_floor},
                {loaned_ours, loaned_floor},
        };
        operation *run = side == FLOOR && stage_floor_topic(stage->measurement)
                                 ? copied_other
                                 : operations[stage->measurement->loaned][side];
        unsigned i;

        (void) timed(stage, run, WARM_TURNS * DEPTH);
        for (i = 0; i < stage->count; i++) {
                stage->values[i] = timed(stage, run, 1);
        }
        ret_rows[0] = figures_of(stage->values, stage->count);
        if (stage->measurement->payload_bytes == SMALL_BYTES || stage->measurement->loaned) {
                batches(stage, run, &ret_rows[0]);
        }
}

/* --- the subscriber that polls: copies what was copied in, looks at what was written in place ---
 */

static void look(struct stage *stage, const void *payload) {
        const volatile uint64_t *words = payload;
        unsigned i;

        for (i = 0; i < 8; i++) {
                stage->sum += words[i];
        }
}

static void poll_ours(struct stage *stage) {
        struct slipring_sample sample;

        if (!stage->measurement->loaned) {
                (void) slipring_subscriber_take_newest(stage->subscriber, stage->buffer,
                                                       stage->measurement->payload_bytes, NULL);
        } else if (slipring_subscriber_borrow_newest(stage->subscriber, &sample) == 1) {
                look(stage, sample.payload);
                stage->sum += slipring_subscriber_release(stage->subscriber) == 0;
        }
}

static void poll_floor(struct stage *stage) {
        const void *payload;

        if (!stage->measurement->loaned) {
                (void) floor_take(stage->ring, &stage->seen, stage->buffer);
                return;
        }
        payload = floor_borrow(stage->ring, &stage->seen);
        if (payload) {
                look(stage, payload);
                stage->sum += floor_release(stage->ring, stage->seen);
        }
}

/* Tools that look at the newest now and then, one after the other. */
void observe_step(struct stage *stage, enum side side) {
        const struct timespec share = {.tv_nsec = 10000000 / stage->measurement->observers};
        unsigned i;

        for (i = 0; i < stage->measurement->observers && !stage_over(stage); i++) {
                if (side == OURS) {
                        (void) slipring_subscriber_take_newest(stage->observers[i], stage->buffer,
                                                               stage->measurement->payload_bytes,
                                                               NULL);
                }
                (void) nanosleep(&share, NULL);
        }
}

void publish_step(struct stage *stage, enum side side) {
        if (side == OURS) {
                poll_ours(stage);
        } else {
                poll_floor(stage);
        }
}
