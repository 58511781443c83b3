#include "publishers/host/feed.h"

#include <errno.h>
#include <stddef.h>

int feed_open(struct feed *feed,
              const struct feed_bus *bus,
              uint64_t deadline_ns,
              struct slipring_error *reterr) {
        const struct slipring_publisher_options options = {
                .size = sizeof(options),
                .flags = bus->standby ? SLIPRING_PUBLISHER_STANDBY : 0,
                .bus = bus->name,
                .type = feed->type,
                .deadline_ns = deadline_ns,
        };

        return slipring_publisher_open(&feed->publisher, feed->topic, &options, reterr);
}

int feed_publish(struct feed *feed,
                 const void *message,
                 uint64_t source_time_ns,
                 struct slipring_error *reterr) {
        int r;

        r = slipring_publisher_publish(feed->publisher, message, feed->type->payload_bytes,
                                       source_time_ns);
        if (r == -EIDRM) {
                r = slipring_publisher_move(feed->publisher, 0, reterr);
                if (r == 0) {
                        r = slipring_publisher_publish(feed->publisher, message,
                                                       feed->type->payload_bytes, source_time_ns);
                }
        }
        if (r < 0) {
                feed_close(feed);
        }
        return r;
}

void feed_close(struct feed *feed) {
        feed->publisher = slipring_publisher_close(feed->publisher);
}
