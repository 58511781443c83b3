/*
 * One thread that waits for many topics, which get a message in turn, beside the same with one
 * topic; or beside as many bare futexes.
 */

#include <errno.h>
#include <limits.h>
#include <linux/futex.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "bench/measurements.h"

#ifndef SYS_futex
#define SYS_futex SYS_futex_time64
#endif

#ifndef SYS_futex_waitv
/* Linux 5.16, and younger than the C library's headers; the same number everywhere. */
#define SYS_futex_waitv 449
#endif

/* As the kernel wants it, whose headers may be older than the kernel. */
struct bell_item {
        uint64_t expected;
        uint64_t address;
        uint32_t flags; /* 2: 32 bits, shared by processes */
        uint32_t zero;
};

/* A thread's end of all topics, and of one. */
struct topics {
        struct slipring_publisher *publishers[TOPICS_MANY];
        struct slipring_subscriber *subscribers[TOPICS_MANY];
        struct slipring_waitset *sets[SIDES];
        int polls[SIDES];
        unsigned turn;
        struct bell_item bells[TOPICS_MANY];
};

static int open_set(struct topics *topics,
                    enum side side,
                    struct slipring_subscriber *const *subscribers,
                    unsigned count) {
        struct epoll_event event = {.events = EPOLLIN};
        unsigned i;
        int r;

        r = slipring_waitset_new(&topics->sets[side], NULL);
        for (i = 0; i < count && r == 0; i++) {
                r = slipring_waitset_add(topics->sets[side], subscribers[i]);
        }
        if (r < 0) {
                return r;
        }
        topics->polls[side] = epoll_create1(EPOLL_CLOEXEC);
        return topics->polls[side] < 0 ||
                               epoll_ctl(topics->polls[side], EPOLL_CTL_ADD,
                                         slipring_waitset_fd(topics->sets[side]), &event) < 0
                       ? -errno
                       : 0;
}

static void hang_bells(struct stage *stage) {
        unsigned i;

        for (i = 0; i < TOPICS_MANY; i++) {
                stage->topics->bells[i] = (struct bell_item){
                        .address = (uintptr_t) &stage->board->bells[i].rung,
                        .flags = 2,
                };
        }
}

int many_open(struct stage *stage, bool driver) {
        struct topics *topics = calloc(1, sizeof(*topics));
        char name[sizeof(TOPIC_MANY "00")];
        unsigned i;
        int r = topics ? 0 : -ENOMEM;

        stage->topics = topics;
        for (i = 0; i < TOPICS_MANY && r == 0; i++) {
                (void) snprintf(name, sizeof(name), TOPIC_MANY "%02u", i % 100);
                r = driver ? stage_publisher(stage, &topics->publishers[i], name)
                           : stage_subscriber(stage, &topics->subscribers[i], name);
        }
        if (r == 0 && !driver) {
                hang_bells(stage);
        }
        if (r == 0 && !driver && stage->measurement->many == MANY_EPOLL) {
                r = open_set(topics, OURS, topics->subscribers, TOPICS_MANY);
                if (r == 0) {
                        r = open_set(topics, FLOOR, &stage->subscriber, 1);
                }
        }
        return r;
}

bool many_bare_works(void) {
        return syscall(SYS_futex_waitv, NULL, 0, 0, NULL, 0) == 0 || errno != ENOSYS;
}

/* A message is the number of its round: what wakes the peer at the end of one counts in none. */
static uint64_t round_of(const struct stage *stage) {
        /* relaxed: it changes only while nobody publishes. */
        return atomic_load_explicit(&stage->board->round, memory_order_relaxed);
}

/* --- the driver --- */

static void ring_bell(struct stage *stage, unsigned turn) {
        _Atomic uint32_t *bell = &stage->board->bells[turn].rung;

        floor_publish(stage->ring, stage->payload);
        atomic_fetch_add_explicit(bell, 1, memory_order_release);
        (void) syscall(SYS_futex, bell, FUTEX_WAKE, INT_MAX, NULL, NULL, 0);
}

void many_publish(struct stage *stage, enum side side) {
        unsigned turn = stage->topics->turn++ % TOPICS_MANY;

        *(uint64_t *) stage->payload = round_of(stage);
        if (side == FLOOR && stage->measurement->bare) {
                ring_bell(stage, turn);
        } else {
                stage->failed |=
                        slipring_publisher_publish(side == OURS ? stage->topics->publishers[turn]
                                                                : stage->publisher,
                                                   stage->payload, SMALL_BYTES, 0) < 0;
        }
}

/* --- the peer --- */

/* 1 if there was one of this round. */
static bool take(struct stage *stage, struct slipring_subscriber *subscriber) {
        return slipring_subscriber_take(subscriber, stage->buffer, SMALL_BYTES, NULL) == 1 &&
               *(uint64_t *) stage->buffer == round_of(stage);
}

static bool
wait_any(struct stage *stage, struct slipring_subscriber *const *subscribers, unsigned count) {
        int which = slipring_subscriber_wait_any(subscribers, count, SLIPRING_FOREVER);

        return which >= 0 && take(stage, subscribers[which]);
}

/* One message is under way, so one take has it; another one, that finds nothing, arms the wait. */
static bool wait_epoll(struct stage *stage, enum side side) {
        struct slipring_subscriber *ready[TOPICS_MANY];
        struct topics *topics = stage->topics;
        struct epoll_event event;
        bool found = false;
        int count, i;

        if (epoll_wait(topics->polls[side], &event, 1, -1) < 1) {
                return false;
        }
        count = slipring_waitset_ready(topics->sets[side], ready, TOPICS_MANY);
        for (i = 0; i < count; i++) {
                found |= take(stage, ready[i]);
        }
        return found;
}

static bool wait_bells(struct stage *stage) {
        struct bell_item *bells = stage->topics->bells;
        uint32_t rung;
        bool found = false;
        unsigned i;

        (void) syscall(SYS_futex_waitv, bells, TOPICS_MANY, 0, NULL, 0);
        for (i = 0; i < TOPICS_MANY; i++) {
                rung = atomic_load_explicit(&stage->board->bells[i].rung, memory_order_acquire);
                found |= rung != bells[i].expected;
                bells[i].expected = rung;
        }
        return found && floor_take(stage->ring, &stage->seen, stage->buffer) &&
               *(uint64_t *) stage->buffer == round_of(stage);
}

bool many_receive(struct stage *stage, enum side side) {
        if (side == FLOOR && stage->measurement->bare) {
                return wait_bells(stage);
        }
        if (stage->measurement->many == MANY_EPOLL) {
                return wait_epoll(stage, side);
        }
        return side == OURS ? wait_any(stage, stage->topics->subscribers, TOPICS_MANY)
                            : wait_any(stage, &stage->subscriber, 1);
}
