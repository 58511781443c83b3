#ifndef SLIPRING_SUBSCRIBERS_LOOK_H
#define SLIPRING_SUBSCRIBERS_LOOK_H

#include <stdbool.h>

#include "bus/directory.h"

/*
 * A glance at a topic, for tables of all of them: attach, look, detach. Unlike a subscriber it
 * touches no page that it does not read.
 */
struct look {
        uint64_t sequence; /* 0 before the first sample */
        uint64_t wakeups;
        uint64_t age_ns; /* UINT64_MAX before the first sample */
        double rate_hz;  /* measured over the ring, 0 with fewer than two samples or once silent */
        int32_t publisher_pid; /* of several the one of the newest sample */
        uint32_t publishers;
        uint32_t epoch;
        uint32_t attached; /* processes, this one not counted */
        uint32_t pinned;   /* pins that are held now, of a topic with pins */
        uint64_t pin_broken;
        bool stale;
        bool retired;
};

/*
 * look_at() - glance at one topic
 * @ret_look:   set on success
 * @entry:      a SERVING entry
 *
 * Return: 0, -EACCES if this user may not read it, else as topic_attach().
 */
int look_at(struct look *ret_look, const struct layout_entry *entry, struct slipring_error *reterr);

#endif
