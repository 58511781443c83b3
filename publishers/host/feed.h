#ifndef SLIPRING_PUBLISHERS_HOST_FEED_H
#define SLIPRING_PUBLISHERS_HOST_FEED_H

/*
 * Topics that come and go, published by a process that stays.
 *
 * A bus may not be there yet, lack a topic, replace it, go down and come up again; another process
 * may publish. A feed follows all that: it opens what can be opened, moves when a topic was
 * replaced, tries again where nothing could be done, and says once what is the matter.
 */

#include <stdbool.h>
#include <stdint.h>

#include <slipring/publisher.h>

/* Where a feed publishes. */
struct feed_bus {
        const char *name;
        bool standby;
};

/*
 * One topic.
 *
 *   closed -> open   (feed_open)
 *   open -> closed   (feed_publish: retired without a successor that can be opened)
 */
struct feed {
        const char *topic;
        const struct slipring_type *type;
        struct slipring_publisher *publisher;
        /* The error that was said last, 0 for none: each is said once. */
        int said;
        uint64_t retry_ns;
};

/*
 * feed_open() - try to publish to a topic
 * @deadline_ns:        how long to wait for it; 0 not to wait
 *
 * Return: 0, or as slipring_publisher_open(); @reterr explains.
 */
int feed_open(struct feed *feed,
              const struct feed_bus *bus,
              uint64_t deadline_ns,
              struct slipring_error *reterr);

/*
 * feed_publish() - publish a message, to the topic's successor if it was replaced
 *
 * Return: 0, or a negative errno; the feed is closed then and may be opened again.
 */
int feed_publish(struct feed *feed,
                 const void *message,
                 uint64_t source_time_ns,
                 struct slipring_error *reterr);

void feed_close(struct feed *feed);

#endif
