#include <errno.h>
#include <stdlib.h>

#include "bench/contender.h"
#include "bench/floor.h"

struct end {
        struct floor *floor;
        uint64_t seen;
        bool wake, gated, in_order, stream;
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
        end->gated = options->gated;
        end->stream = options->window > 0;
        end->in_order = end->stream || end->gated;
        *ret_end = end;
        return 0;
}

static void wake(struct end *end) {
        if (end->wake && end->gated) {
                floor_wake_gated(end->floor);
        } else if (end->wake) {
                floor_wake(end->floor);
        }
}

static int publish(void *data, const void *payload) {
        struct end *end = data;

        floor_publish(end->floor, payload);
        wake(end);
        return 0;
}

static int loan(void *data, void **ret_payload) {
        struct end *end = data;

        *ret_payload = floor_begin(end->floor);
        return 0;
}

static int commit(void *data, void *payload) {
        struct end *end = data;

        (void) payload;
        floor_commit(end->floor);
        wake(end);
        return 0;
}

static int take(void *data, void *buffer) {
        struct end *end = data;

        if (end->in_order && floor_next(end->floor, &end->seen, buffer)) {
                return 1;
        }
        /* Lapped, or there is nothing new. A stream's publisher laps nobody. */
        return end->stream ? 0 : floor_take(end->floor, &end->seen, buffer);
}

static void sleep_here(struct end *end) {
        if (end->gated) {
                floor_wait_gated(end->floor, end->seen);
        } else {
                floor_wait_bounded(end->floor, end->seen);
        }
}

static int wait_take(void *data, void *buffer) {
        sleep_here(data);
        return take(data, buffer);
}

static int borrow(void *data, const void **ret_payload) {
        struct end *end = data;

        sleep_here(end);
        *ret_payload = floor_borrow(end->floor, &end->seen);
        return *ret_payload != NULL;
}

static int give_back(void *data, const void *payload) {
        struct end *end = data;

        (void) payload;
        return floor_release(end->floor, end->seen);
}

const struct contender contender = {
        .name = "floor",
        .version = "of this benchmark",
        .note = "bare ring and bare futex: one copy in, one out; a system call a message unless "
                "all "
                "poll; takes the newest; checks nothing",
        .alone = true,
        .keeps = true,
        .open_publisher = open_end,
        .open_subscriber = open_end,
        .close = close_end,
        .publish = publish,
        .take = take,
        .wait = wait_take,
        .loan = loan,
        .commit = commit,
        .borrow = borrow,
        .give_back = give_back,
};
