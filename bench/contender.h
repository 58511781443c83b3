#ifndef SLIPRING_BENCH_CONTENDER_H
#define SLIPRING_BENCH_CONTENDER_H

/*
 * What a bus has to offer to be measured. One adapter in bench/contenders/ defines `contender`; it
 * is linked with worker.c into an executable of its own, so that no two libraries share a process.
 */

#include <stdbool.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

struct contender_options {
        char bus[64];     /* slipring's */
        char scratch[64]; /* a directory, and unique as a name */
        char topic[32];   /* of slipring's bus */
        bool polled;      /* no subscriber sleeps */
        bool gated;       /* the floor looks whether somebody sleeps before it wakes */
        bool in_place;    /* messages are written and read where they lie */
        bool cold;        /* nothing is there yet, and all processes start at once */
        int floor_id;     /* the bare ring's segment */
        uint32_t window;  /* most messages under way; 0: no bound, and some may be lost */
        uint32_t kept;    /* messages that late joiners get; 0: as it comes */
        uint32_t payload_bytes;
        unsigned subscribers;
        unsigned index; /* of a subscriber */
};

struct contender {
        const char *name;
        const char *version;  /* of its library, or whose it is; NULL: not known */
        const char *note;     /* copies, wake-ups, history, reliability */
        bool alone;           /* publishes without a subscriber */
        bool loses;           /* messages may be lost however few are under way */
        bool threaded;        /* a thread of its own receives: who polls takes its processor away */
        bool keeps;           /* for late joiners, as many as it is told */
        uint32_t payload_max; /* 0: no bound */

        /* Can it be done on this machine? NULL: on all. */
        bool (*able)(void);
        /* Become the daemon that it needs, which ends on SIGTERM; NULL: it needs none. */
        void (*serve)(const struct contender_options *options);
        bool serves_cold; /* in cold starts only */

        /* Subscribers are open before their publisher opens, but in cold starts: there a publisher
         * that fails is asked again. Return 0 or a negative errno. */
        int (*open_publisher)(void **ret_end, const struct contender_options *options);
        int (*open_subscriber)(void **ret_end, const struct contender_options *options);
        void (*close)(void *end);
        /* What killed processes may have left; may be NULL. */
        void (*clean)(const struct contender_options *options);

        /* Hand one message to all subscribers. Return 0 or a negative errno. */
        int (*publish)(void *end, const void *payload);
        /* Copy the next message. Return 1, 0 if there is none, or a negative errno. */
        int (*take)(void *end, void *buffer);
        /* The same, asleep for about 100 ms at most until there is one. */
        int (*wait)(void *end, void *buffer);
        /* Copy the next messages, one behind the other. Return how many; NULL: it takes one. */
        int (*take_batch)(void *end, void *buffer, unsigned capacity);

        /* In place; NULL: it cannot. Get room for a message, hand it over; */
        int (*loan)(void *end, void **ret_payload);
        int (*commit)(void *end, void *payload);
        /* asleep as in wait(), look at the next one where it lies, and give it back: 1 if it stayed
         * whole, 0 if it did not. */
        int (*borrow)(void *end, const void **ret_payload);
        int (*give_back)(void *end, const void *payload);
};

extern const struct contender contender;

#ifdef __cplusplus
}
#endif

#endif
