/*
 * Publishing now and then to subscribers that sleep, or poll: what the call costs, when each has
 * its sample, when the last one has, and what all of them use of the processors for it.
 *
 * Every message goes out at the next tick of a timer, and only once all have the one before, so
 * that all sleep by then. The time of reception is taken by the receiver, with the sample in hand.
 */

#include <time.h>
#include <unistd.h>

#include "bench/usage.h"
#include "bench/measurements.h"

#define MS UINT64_C(1000000)

/* Messages before those that count. */
#define WARM 5u

static void sleep_until(uint64_t time_ns) {
        const struct timespec time = {
                .tv_sec = (time_t) (time_ns / 1000 / MS),
                .tv_nsec = (long) (time_ns % (1000 * MS)),
        };

        (void) clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &time, NULL);
}

static void publish(struct stage *stage, enum side side) {
        if (stage->measurement->many) {
                many_publish(stage, side);
        } else if (side == OURS) {
                stage->failed |= slipring_publisher_publish(stage->publisher, stage->payload,
                                                            SMALL_BYTES, 0) < 0;
        } else {
                floor_publish(stage->ring, stage->payload);
                if (!stage->measurement->polled) {
                        floor_wake(stage->ring);
                }
        }
}

/* All peers have the message: the timer's tick comes first where it can, so that nobody looks at
 * the lines that the peers write while they are being woken. */
static void collect(struct stage *stage, uint64_t *tick_ns, unsigned messages) {
        const unsigned expected = stage->measurement->peers * messages;
        uint64_t period_ns = stage->measurement->period_ms * MS;

        do {
                *tick_ns += period_ns;
                if (slipring_now_ns() > *tick_ns) {
                        *tick_ns = slipring_now_ns() + period_ns;
                }
                sleep_until(*tick_ns);
        } while (atomic_load_explicit(&stage->board->receipts_written, memory_order_acquire) <
                 expected);
}

static void one(struct stage *stage,
                enum side side,
                uint64_t *values[ROWS_MAX],
                uint64_t *tick,
                unsigned number) {
        uint64_t begin, end, span, last = 0;
        unsigned peer;

        begin = slipring_now_ns();
        publish(stage, side);
        end = slipring_now_ns();
        collect(stage, tick, number);
        if (number <= WARM) {
                return;
        }
        *values[0]++ = end - begin;
        for (peer = 0; peer < stage->measurement->peers; peer++) {
                span = atomic_load_explicit(&stage->board->receipts[peer].time_ns,
                                            memory_order_relaxed) -
                       begin;
                last = span > last ? span : last;
                *values[1]++ = span;
        }
        *values[2]++ = last;
}

/* Of the driver and its peers, so far; of the one that waits for many topics, its own. */
static uint64_t used_ns(const struct stage *stage) {
        const pid_t driver = stage->measurement->many ? 0 : getpid();

        return usage_cpu_ns(&driver, 1) +
               usage_cpu_ns(stage->board->pids, stage->measurement->peers);
}

void wake_round(struct stage *stage, enum side side, struct figures *ret_rows) {
        uint64_t *const calls = stage->values, *const lasts = calls + stage->count,
                        *const deliveries = lasts + stage->count;
        uint64_t *values[ROWS_MAX] = {calls, deliveries, lasts};
        uint64_t tick_ns = slipring_now_ns() + 2 * MS, used = 0;
        unsigned number;

        /* Peers have entered the round; now they go to sleep. */
        sleep_until(tick_ns);
        for (number = 1; number <= WARM + stage->count; number++) {
                if (number == WARM + 1) {
                        used = used_ns(stage);
                }
                one(stage, side, values, &tick_ns, number);
        }
        used = (used_ns(stage) - used) / stage->count;
        ret_rows[0] = figures_of(calls, stage->count);
        ret_rows[1] = figures_of(deliveries, (size_t) stage->count * stage->measurement->peers);
        /* One subscriber is the last one too. */
        ret_rows[2] = figures_of(lasts, stage->count);
        ret_rows[stage->measurement->peers == 1 ? 2 : 3] = figures_of(&used, 1);
}

static bool receive(struct stage *stage, enum side side) {
        bool polled = stage->measurement->polled;

        if (stage->measurement->many) {
                return many_receive(stage, side);
        }
        if (side == FLOOR) {
                if (!polled) {
                        floor_wait(stage->ring, stage->seen);
                }
                return floor_take(stage->ring, &stage->seen, stage->buffer);
        }
        return (polled || slipring_subscriber_wait(stage->subscriber, SLIPRING_FOREVER) == 0) &&
               slipring_subscriber_take(stage->subscriber, stage->buffer, SMALL_BYTES, NULL) == 1;
}

void wake_step(struct stage *stage, enum side side) {
        if (receive(stage, side) && !stage_over(stage)) {
                atomic_store_explicit(&stage->board->receipts[stage->index].time_ns,
                                      slipring_now_ns(), memory_order_relaxed);
                atomic_fetch_add_explicit(&stage->board->receipts_written, 1, memory_order_release);
        }
}

void wake_kick(struct stage *stage, enum side side) {
        publish(stage, side);
}
