#ifndef SLIPRING_BENCH_STAGE_H
#define SLIPRING_BENCH_STAGE_H

/*
 * The processes of one measurement: a driver, who publishes and holds the clock, and its peers.
 *
 * Rounds of ours and of the floor alternate in the same processes, on the same processors, within
 * milliseconds of each other: A B A B ... Every process has both sides open from the start.
 */

#include <signal.h>
#include <stdalign.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include <slipring/publisher.h>
#include <slipring/subscriber.h>

#include "bench/figures.h"
#include "bench/floor.h"

enum side {
        OURS,
        FLOOR,
        SIDES,
};

#define ROUNDS_MIN 5u
#define ROUNDS_MAX 99u
#define ROWS_MAX 4u
#define PEERS_MAX 64u
#define TOPICS_MANY 64u

struct stage;

/* How the other buses do it. */
enum work {
        WORK_NONE,   /* they do not */
        WORK_PACED,  /* a message each period, once all have the one before */
        WORK_TIGHT,  /* one call after the other, whatever becomes of the messages */
        WORK_STREAM, /* as many as can be, and none is lost */
        WORK_COLD,   /* from nothing to the first message; and what memory all take then */
};

/* How a thread waits for many topics. */
enum many {
        MANY_NONE, /* it has one */
        MANY_ANY,  /* slipring_subscriber_wait_any() */
        MANY_EPOLL /* a wait set in epoll */
};

/* Something to measure. */
struct measurement {
        const char *name;
        const char *rows[ROWS_MAX];  /* name-ROW for each; none: one row, called name */
        const char *units[ROWS_MAX]; /* of a row's figures; NULL: "ns" */
        const char *floor;           /* what the floor is, for people */
        uint32_t payload_bytes;
        unsigned peers;
        unsigned observers;     /* handles of each peer that look at ours now and then */
        unsigned count;         /* samples of one round ... */
        unsigned quick_count;   /* ... and of one that is to be over soon */
        unsigned contest_count; /* the same of a contender's, at most; 0: count */
        unsigned period_ms;     /* between two messages; 0: none, both sides spin */
        bool back;              /* peers publish too, on a topic of their own */
        bool loaned;            /* in place instead of copied */
        bool polled;            /* peers take again and again where they else sleep */
        bool unpinned;          /* the scheduler places the processes */
        unsigned spin_us;       /* how long peers of ours may look before they sleep */
        enum work contest;
        bool line; /* the floor is bare cache lines instead of a ring */
        /* One peer waits for all of TOPICS_MANY, which get a message in turn ... */
        enum many many;
        bool bare;  /* ... beside as many bare futexes instead of one topic */
        bool chain; /* subscribers wake each other */
        bool huge;  /* ours is made of huge pages, and the floor is ours without */
        /* Samples that stay readable while the next one is written; 0: as many as each keeps as it
         * comes. */
        unsigned kept;
        /* Whole commands, in processes that a script starts; nothing else of this counts then. */
        bool script;

        /* The driver's part of a round: fills one struct figures a row. NULL: a contest only. */
        void (*round)(struct stage *stage, enum side side, struct figures *ret_rows);
        /* What a peer does again and again until the round is over; NULL without peers. */
        void (*step)(struct stage *stage, enum side side);
        /* How the driver gets out of bed who sleeps when the round is over; may be NULL. */
        void (*kick)(struct stage *stage, enum side side);
};

/* A peer's word to the driver, on a line of its own. */
struct receipt {
        alignas(64) _Atomic uint64_t time_ns;
};

/* A bare futex, likewise. */
struct bell {
        alignas(64) _Atomic uint32_t rung;
};

/* What the processes share beside what is measured. */
struct board {
        alignas(64) _Atomic unsigned round; /* the driver's: number of the running round, from 1 */
        _Atomic unsigned over;              /* the driver's: number of the last finished round */
        alignas(64) _Atomic unsigned ready; /* peers that opened all */
        _Atomic unsigned entered;           /* peers, times rounds */
        _Atomic unsigned left;              /* peers, times rounds */
        pid_t pids[PEERS_MAX];              /* the peers', once they are ready */
        alignas(64) _Atomic unsigned receipts_written; /* this round */
        struct receipt receipts[PEERS_MAX];
        struct bell bells[TOPICS_MANY];
        struct figures rounds[ROWS_MAX][SIDES][ROUNDS_MAX];
};

struct stage_options {
        const char *bus;
        const char *command; /* what was typed */
        unsigned rounds;
        bool quick;
        bool pin;
        const int *cpus; /* the first is the driver's, the others are the peers' in turn */
        unsigned cpu_count;
};

/* A process's view of its measurement. */
struct stage {
        const struct measurement *measurement;
        const struct stage_options *options;
        struct board *board;
        struct floor *ring, *ring_back;
        unsigned count; /* samples of one round */
        unsigned index; /* of a peer */

        struct slipring_publisher *publisher;
        struct slipring_publisher *other; /* of a topic of ours that is the floor */
        struct slipring_subscriber *subscriber;
        struct slipring_subscriber **observers;
        struct topics *topics; /* of many.c */
        uint64_t seen;         /* of the floor's ring that this process reads */
        uint64_t number;       /* ping-pong: the last number sent or answered */
        void *payload;         /* what is published */
        void *buffer;          /* where it is taken to */
        uint64_t *values;      /* room for what a driver measures */
        uint64_t sum;          /* so that what is read in place is read */
        bool failed;           /* a call on ours did: what was timed is not what was meant */
};

/* Topics of the bench's bus; every message type is an array of 64-bit words. */
#define TOPIC_SMALL "small"
#define TOPIC_CHAIN "chain"
#define TOPIC_BACK "back"
#define TOPIC_LARGE "large"
#define TOPIC_HUGE "huge"
#define TOPIC_DOUBLE "double"
#define TOPIC_STREAM "stream"
#define TOPIC_PAGES "pages"
/* And those that only the sweep over payload sizes uses: bytes, number of the type. */
#define SIZED_TOPICS(X) X(256, 4) X(1024, 5) X(4096, 6) X(16384, 7) X(65536, 8) X(262144, 9)
#define TOPIC_MANY "many/t" /* and its number, in two digits */
#define SMALL_BYTES 64u
#define PAGE_BYTES 4096u
#define LARGE_BYTES (1u << 20)
#define DEPTH 8u
#define DEPTH_DOUBLE 2u

/* Streams: the ring, and how many messages are under way at most. */
#define STREAM_DEPTH 256u
#define STREAM_WINDOW 192u

/* The topic that a measurement's messages go through. */
const char *stage_topic(const struct measurement *measurement);

/* Slots of that topic, and of the bare ring beside it. */
unsigned stage_depth(const struct measurement *measurement);

/* The topic of ours that it is compared with, NULL where the floor is a bare ring. */
const char *stage_floor_topic(const struct measurement *measurement);

/* Open a topic, and say why if that fails. Return 0 or a negative errno. */
int stage_publisher(const struct stage *stage,
                    struct slipring_publisher **ret_publisher,
                    const char *topic);
int stage_subscriber(const struct stage *stage,
                     struct slipring_subscriber **ret_subscriber,
                     const char *topic);

/* Is the running round over? For peers. */
bool stage_over(const struct stage *stage);

/*
 * stage_run() - run a measurement
 * @ret_rounds: board->rounds of the measurement; one struct figures a row, side and round
 *
 * Return: 0, -EINTR if this process was told to stop (the signal is in @ret_signal), -ECHILD if a
 * process of the measurement failed or was killed, or another negative errno.
 */
int stage_run(const struct measurement *measurement,
              const struct stage_options *options,
              struct figures ret_rounds[ROWS_MAX][SIDES][ROUNDS_MAX],
              int *ret_signal);

/* Signals that stop the bench: to be blocked from the start, and waited for in stage_run(). */
void stage_signals(sigset_t *ret_signals);

/* Samples of one round. */
unsigned stage_count(const struct measurement *measurement, const struct stage_options *options);

#endif
