#include <errno.h>
#include <stdlib.h>

#include "bench/contender.h"
#include "bench/floor.h"

struct end {
        struct floor *floor;
        uint64_t seen;
        bool wake;
};

static void close_end(void *data) {
        struct end *end = data;

        (void) floor_free(end->floor);
        free(end);
}

static int open_end(void **ret_end, const struct contender_options *options) {
        struct end *end = calloc(1, sizeof(*end));
        int r;

        if (!end) {
                return -ENOMEM;
        }
        r = floor_attach(&end->floor, options->floor_id);
        if (r < 0) {
                free(end);
                return r;
        }
        /* It does not look who sleeps: with nobody there it is told so. */
        end->wake = options->subscribers > 0 && !options->polled;
        *ret_end = end;
        return 0;
}

static int publish(void *data, const void *payload) {
        struct end *end = data;

        floor_publish(end->floor, payload);
        if (end->wake) {
                floor_wake(end->floor);
        }
        return 0;
}

static int take(void *data, void *buffer) {
        struct end *end = data;

        return floor_take(end->floor, &end->seen, buffer);
}

static int wait_take(void *data, void *buffer) {
        struct end *end = data;

        floor_wait_bounded(end->floor, end->seen);
        return take(data, buffer);
}

const struct contender contender = {
        .name = "floor",
        .note = "bare ring and bare futex: one copy in, one out; a system call a message unless "
                "all "
                "poll; takes the newest; checks nothing",
        .alone = true,
        .open_publisher = open_end,
        .open_subscriber = open_end,
        .close = close_end,
        .publish = publish,
        .take = take,
        .wait = wait_take,
};
