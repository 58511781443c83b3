#ifndef SLIPRING_SUBSCRIBERS_SUBSCRIBER_H
#define SLIPRING_SUBSCRIBERS_SUBSCRIBER_H

#include <slipring/subscriber.h>

#include "bus/topic.h"
#include "bus/wake.h"
#include "subscribers/spin.h"

struct latency;
struct watch;

/* A pin line of this handle's, and what it holds. */
struct hold {
        struct pin pin;
        struct ring_view view;
};

struct slipring_subscriber {
        struct ring_reader reader;
        uint32_t payload_bytes;
        uint32_t cookie;
        _Atomic uint32_t *asleep;
        _Atomic uint32_t *chain_end; /* as in the topic, NULL without a chain */
        bool borrowed;
        struct ring_view view; /* while borrowed */
        struct hold *holds;
        uint32_t hold_count;
        struct watch *watch;     /* in a wait set; NULL: in none */
        struct latency *latency; /* what is counted; NULL: nothing */
        bool attended;           /* one of the two may be set: all that a plain take looks at */
        struct spin spin;
        bool no_waitv; /* futex_waitv(2) is disabled by the environment */
        size_t turn;   /* wait_any: the handle to look at first */
        struct topic topic;
        struct directory directory;
        const struct slipring_type *type;
        char bus[160];
};

/*
 * subscriber_prepare_sleep() - announce a sleeper, then look once more
 * @ret_item:   where to sleep, and on what value
 *
 * Return: 0 to sleep there, 1 if there is something to take, -EIDRM
 * if the topic was retired and nothing is left in it.
 */
int subscriber_prepare_sleep(struct slipring_subscriber *subscriber, struct wake_item *ret_item);

/*
 * subscriber_ready() - is there something to take, or the news that the topic is retired?
 */
bool subscriber_ready(const struct slipring_subscriber *subscriber);

/*
 * watch_took() - a take may have left a wait set's subscriber without a wait: arm it again
 * watch_disarm() - stop waiting on its ring, which is about to be detached; watch_took() arms anew
 * watch_remove() - leave the wait set
 * watch_forget() - the same in a forked child, whose copy of the set waits for nothing
 */
void watch_took(struct watch *watch);
void watch_disarm(struct watch *watch);
void watch_remove(struct watch *watch);
void watch_forget(struct watch *watch);

/*
 * waitset_wait_any() - slipring_subscriber_wait_any() where futex_waitv(2) is missing
 */
int waitset_wait_any(struct slipring_subscriber *const *subscribers,
                     size_t count,
                     uint64_t deadline_ns);

#endif
