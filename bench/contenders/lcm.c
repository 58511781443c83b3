#include <errno.h>
#include <lcm/lcm.h>
#include <stdlib.h>
#include <string.h>

#include "bench/contender.h"

#define WAIT_MS 100

struct end {
        lcm_t *lcm;
        char channel[64];
        uint32_t payload_bytes;
        void *buffer;
        int received;
};

static void close_end(void *data) {
        struct end *end = data;

        if (end->lcm) {
                lcm_destroy(end->lcm);
        }
        free(end);
}

static void receive(const lcm_recv_buf_t *message, const char *channel, void *data) {
        struct end *end = data;

        (void) channel;
        if (message->data_size != end->payload_bytes) {
                end->received = -EBADMSG;
                return;
        }
        memcpy(end->buffer, message->data, message->data_size);
        end->received = 1;
}

static int open_end(void **ret_end, const struct contender_options *options, bool subscribe) {
        struct end *end = calloc(1, sizeof(*end));

        if (!end) {
                return -ENOMEM;
        }
        end->payload_bytes = options->payload_bytes;
        strcpy(end->channel, strrchr(options->scratch, '/') + 1);
        /* LCM's own group and port; 0: it does not leave the machine. */
        end->lcm = lcm_create("udpm://239.255.76.67:7667?ttl=0");
        if (!end->lcm || (subscribe && !lcm_subscribe(end->lcm, end->channel, receive, end))) {
                close_end(end);
                return -EOPNOTSUPP;
        }
        *ret_end = end;
        return 0;
}

static int open_publisher(void **ret_end, const struct contender_options *options) {
        return open_end(ret_end, options, false);
}

static int open_subscriber(void **ret_end, const struct contender_options *options) {
        return open_end(ret_end, options, true);
}

/* Where no interface has multicast, it cannot be subscribed to. */
static bool able(void) {
        const struct contender_options options = {.scratch = "/slipring-bench-able"};
        void *end;

        if (open_end(&end, &options, true) < 0) {
                return false;
        }
        close_end(end);
        return true;
}

static int publish(void *data, const void *payload) {
        struct end *end = data;

        return lcm_publish(end->lcm, end->channel, payload, end->payload_bytes) < 0 ? -EIO : 0;
}

static int handle(struct end *end, void *buffer, int timeout_ms) {
        int r;

        end->buffer = buffer;
        end->received = 0;
        r = lcm_handle_timeout(end->lcm, timeout_ms);
        return r < 0 ? -EIO : end->received;
}

static int take(void *data, void *buffer) {
        return handle(data, buffer, 0);
}

static int wait_take(void *data, void *buffer) {
        return handle(data, buffer, WAIT_MS);
}

const struct contender contender = {
        .name = "lcm",
        .version = CONTENDER_VERSION,
        .note = "LCM, UDP multicast: one copy into the kernel, one to each subscriber's helper "
                "thread, "
                "one to its handler, one more by the handler; 30 messages are queued, more are "
                "dropped, and the network may drop them too",
        .alone = true,
        .able = able,
        /* A larger one goes in parts, of which its socket's buffer loses some. */
        .payload_max = 65000,
        .loses = true,
        .open_publisher = open_publisher,
        .open_subscriber = open_subscriber,
        .close = close_end,
        .publish = publish,
        .take = take,
        .wait = wait_take,
};
