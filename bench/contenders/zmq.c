#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include <zmq.h>

#include "bench/contender.h"

#define OPEN_MS 5000
#define WAIT_MS 100

struct end {
        void *context;
        void *socket;
        uint32_t payload_bytes;
};

struct path {
        char text[96];
};

static struct path path_of(const struct contender_options *options) {
        struct path path;

        (void) snprintf(path.text, sizeof(path.text), "ipc://%s/zmq", options->scratch);
        return path;
}

static void close_end(void *data) {
        struct end *end = data;

        if (end->socket) {
                (void) zmq_close(end->socket);
        }
        if (end->context) {
                (void) zmq_ctx_term(end->context);
        }
        free(end);
}

static int set(const struct end *end, int option, int value) {
        return zmq_setsockopt(end->socket, option, &value, sizeof(value)) < 0 ? -errno : 0;
}

static int open_end(struct end **ret_end, const struct contender_options *options, int type) {
        struct end *end = calloc(1, sizeof(*end));
        int r;

        if (!end) {
                return -ENOMEM;
        }
        end->payload_bytes = options->payload_bytes;
        end->context = zmq_ctx_new();
        end->socket = end->context ? zmq_socket(end->context, type) : NULL;
        r = end->socket ? set(end, ZMQ_LINGER, 0) : -errno;
        /* A publisher learns of what was taken a millisecond late: at its mark of 1,000 it drops
         * messages although less than 192 are under way. */
        if (r == 0 && options->window) {
                r = set(end, ZMQ_SNDHWM, 0);
        }
        if (r == 0 && options->window) {
                r = set(end, ZMQ_RCVHWM, 0);
        }
        if (r < 0) {
                close_end(end);
                return r;
        }
        *ret_end = end;
        return 0;
}

/* Until each subscriber's subscription has arrived: what is sent before that reaches nobody. */
static int await_subscribers(const struct end *end, unsigned count) {
        char subscription[8];
        unsigned i;

        for (i = 0; i < count; i++) {
                if (zmq_recv(end->socket, subscription, sizeof(subscription), 0) < 0) {
                        return errno == EAGAIN ? -ETIMEDOUT : -errno;
                }
        }
        return 0;
}

static int open_publisher(void **ret_end, const struct contender_options *options) {
        struct end *end = NULL;
        int r;

        r = open_end(&end, options, ZMQ_XPUB);
        if (r < 0) {
                return r;
        }
        r = set(end, ZMQ_RCVTIMEO, OPEN_MS);
        if (r == 0) {
                /* Equal ones too, or the second would not be reported. */
                r = set(end, ZMQ_XPUB_VERBOSE, 1);
        }
        if (r == 0) {
                r = zmq_bind(end->socket, path_of(options).text) < 0 ? -errno : 0;
        }
        if (r == 0) {
                r = await_subscribers(end, options->subscribers);
        }
        if (r < 0) {
                close_end(end);
                return r;
        }
        *ret_end = end;
        return 0;
}

static int open_subscriber(void **ret_end, const struct contender_options *options) {
        struct end *end = NULL;
        int r;

        r = open_end(&end, options, ZMQ_SUB);
        if (r < 0) {
                return r;
        }
        r = set(end, ZMQ_RCVTIMEO, WAIT_MS);
        if (r == 0) {
                r = set(end, ZMQ_RECONNECT_IVL, 10);
        }
        if (r == 0 && (zmq_setsockopt(end->socket, ZMQ_SUBSCRIBE, "", 0) < 0 ||
                       zmq_connect(end->socket, path_of(options).text) < 0)) {
                r = -errno;
        }
        if (r < 0) {
                close_end(end);
                return r;
        }
        *ret_end = end;
        return 0;
}

static void clean(const struct contender_options *options) {
        (void) unlink(path_of(options).text + sizeof("ipc://") - 1);
}

static int publish(void *data, const void *payload) {
        struct end *end = data;

        return zmq_send(end->socket, payload, end->payload_bytes, 0) < 0 ? -errno : 0;
}

static int receive(struct end *end, void *buffer, int flags) {
        int bytes = zmq_recv(end->socket, buffer, end->payload_bytes, flags);

        if (bytes < 0) {
                return errno == EAGAIN ? 0 : -errno;
        }
        return bytes == (int) end->payload_bytes ? 1 : -EBADMSG;
}

static int take(void *data, void *buffer) {
        return receive(data, buffer, ZMQ_DONTWAIT);
}

static int wait_take(void *data, void *buffer) {
        return receive(data, buffer, 0);
}

const struct contender contender = {
        .name = "zmq",
        .version = CONTENDER_VERSION,
        .note = "ZeroMQ, XPUB and SUB over ipc: a copy into a message, a stream socket a "
                "subscriber, "
                "one copy out; a helper thread on each side; 1,000 messages are queued for a slow "
                "subscriber, more are dropped",
        .alone = true,
        .threaded = true,
        .open_publisher = open_publisher,
        .open_subscriber = open_subscriber,
        .close = close_end,
        .clean = clean,
        .publish = publish,
        .take = take,
        .wait = wait_take,
};
