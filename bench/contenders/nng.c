#include <errno.h>
#include <nng/nng.h>
#include <nng/protocol/pubsub0/pub.h>
#include <nng/protocol/pubsub0/sub.h>
#include <nng/supplemental/util/platform.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "bench/contender.h"

#define OPEN_MS 5000
#define WAIT_MS 100

struct end {
        nng_socket socket;
        uint32_t payload_bytes;
        _Atomic unsigned pipes;
};

struct path {
        char text[96];
};

static struct path path_of(const struct contender_options *options) {
        struct path path;

        (void) snprintf(path.text, sizeof(path.text), "ipc://%s/nng", options->scratch);
        return path;
}

/* nng's error codes are errno's up to a point, and its own beyond. */
static int said(int code) {
        if (code != 0) {
                (void) fprintf(stderr, "slipring-bench: nng: %s\n", nng_strerror(code));
        }
        return code ? -EIO : 0;
}

static void close_end(void *data) {
        struct end *end = data;

        (void) nng_close(end->socket);
        free(end);
}

static struct end *end_new(const struct contender_options *options) {
        struct end *end = calloc(1, sizeof(*end));

        if (end) {
                end->payload_bytes = options->payload_bytes;
        }
        return end;
}

static void count_pipe(nng_pipe pipe, nng_pipe_ev event, void *data) {
        struct end *end = data;

        (void) pipe;
        (void) event;
        end->pipes++;
}

/* What is sent before a subscriber is connected does not reach it. */
static int await_subscribers(struct end *end, unsigned count) {
        unsigned waited_ms;

        for (waited_ms = 0; end->pipes < count; waited_ms++) {
                if (waited_ms == OPEN_MS) {
                        return -ETIMEDOUT;
                }
                nng_msleep(1);
        }
        return 0;
}

static int open_publisher(void **ret_end, const struct contender_options *options) {
        struct end *end = end_new(options);
        int r;

        if (!end) {
                return -ENOMEM;
        }
        r = said(nng_pub0_open(&end->socket));
        if (r < 0) {
                free(end);
                return r;
        }
        r = options->window
                    ? said(nng_socket_set_int(end->socket, NNG_OPT_SENDBUF, (int) options->window))
                    : 0;
        if (r == 0) {
                r = said(nng_pipe_notify(end->socket, NNG_PIPE_EV_ADD_POST, count_pipe, end));
        }
        if (r == 0) {
                r = said(nng_listen(end->socket, path_of(options).text, NULL, 0));
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
        struct end *end = end_new(options);
        int r;

        if (!end) {
                return -ENOMEM;
        }
        r = said(nng_sub0_open(&end->socket));
        if (r < 0) {
                free(end);
                return r;
        }
        r = options->window
                    ? said(nng_socket_set_int(end->socket, NNG_OPT_RECVBUF, (int) options->window))
                    : 0;
        if (r == 0) {
                r = said(nng_socket_set(end->socket, NNG_OPT_SUB_SUBSCRIBE, "", 0));
        }
        if (r == 0) {
                r = said(nng_socket_set_ms(end->socket, NNG_OPT_RECVTIMEO, WAIT_MS));
        }
        if (r == 0) {
                r = said(nng_socket_set_ms(end->socket, NNG_OPT_RECONNMINT, 10));
        }
        if (r == 0) {
                r = said(nng_dial(end->socket, path_of(options).text, NULL, NNG_FLAG_NONBLOCK));
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

        /* Not written to: without NNG_FLAG_ALLOC it is copied. */
        return said(nng_send(end->socket, (void *) (uintptr_t) payload, end->payload_bytes, 0));
}

static int receive(struct end *end, void *buffer, int flags) {
        size_t bytes = end->payload_bytes;
        int code = nng_recv(end->socket, buffer, &bytes, flags);

        if (code == NNG_EAGAIN || code == NNG_ETIMEDOUT) {
                return 0;
        }
        if (code != 0) {
                return said(code);
        }
        return bytes == end->payload_bytes ? 1 : -EBADMSG;
}

static int take(void *data, void *buffer) {
        return receive(data, buffer, NNG_FLAG_NONBLOCK);
}

static int wait_take(void *data, void *buffer) {
        return receive(data, buffer, 0);
}

const struct contender contender = {
        .name = "nng",
        .version = CONTENDER_VERSION,
        .note = "nng, pub and sub over ipc: a copy into a message, a stream socket a subscriber, "
                "one "
                "copy out; several helper threads on each side; 16 messages are queued for a slow "
                "subscriber to be sent and 128 received, more are dropped",
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
