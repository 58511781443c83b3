/*
 * There and back between two processes that poll: the driver publishes, the peer answers on a topic
 * of its own. Half of a round trip is what one sample takes from hand to hand.
 */

#include "bench/measurements.h"

#define WARM 200u

static bool take(struct stage *stage) {
        return slipring_subscriber_take(stage->subscriber, stage->buffer, SMALL_BYTES, NULL) == 1;
}

static void publish(struct stage *stage) {
        stage->failed |=
                slipring_publisher_publish(stage->publisher, stage->payload, SMALL_BYTES, 0) < 0;
}

static void trip_ours(struct stage *stage) {
        publish(stage);
        while (!take(stage)) {
        }
}

static void trip_ring(struct stage *stage) {
        floor_publish(stage->ring, stage->payload);
        while (!floor_take(stage->ring_back, &stage->seen, stage->buffer)) {
        }
}

static void trip_line(struct stage *stage) {
        stage->number++;
        atomic_store_explicit(&stage->ring->ping, stage->number, memory_order_release);
        while (atomic_load_explicit(&stage->ring->pong, memory_order_acquire) != stage->number) {
        }
}

void pingpong_round(struct stage *stage, enum side side, struct figures *ret_rows) {
        void (*trip)(struct stage *) = side == OURS               ? trip_ours
                                       : stage->measurement->line ? trip_line
                                                                  : trip_ring;
        uint64_t begin;
        unsigned i;

        for (i = 0; i < WARM; i++) {
                trip(stage);
        }
        for (i = 0; i < stage->count; i++) {
                begin = slipring_now_ns();
                trip(stage);
                stage->values[i] = slipring_now_ns() - begin;
        }
        ret_rows[0] = figures_of(stage->values, stage->count);
}

static void answer_line(struct stage *stage) {
        uint64_t number = atomic_load_explicit(&stage->ring->ping, memory_order_acquire);

        if (number != stage->number) {
                stage->number = number;
                atomic_store_explicit(&stage->ring->pong, number, memory_order_release);
        }
}

void pingpong_step(struct stage *stage, enum side side) {
        if (side == OURS) {
                if (take(stage)) {
                        publish(stage);
                }
        } else if (stage->measurement->line) {
                answer_line(stage);
        } else if (floor_take(stage->ring, &stage->seen, stage->buffer)) {
                floor_publish(stage->ring_back, stage->payload);
        }
}
