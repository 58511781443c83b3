/*
 * A contender for the benchmark that does its work badly: it garbles every tenth message, or loses
 * it where the environment has GARBLED_LOSES. There must be no figures of it.
 */

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "bench/contender.h"

#define BYTES_MAX 4096u

struct end {
        int fifo;
        uint32_t payload_bytes;
        unsigned sent;
};

static void path_of(const struct contender_options *options, char path[96]) {
        (void) snprintf(path, 96, "%s/garbled", options->scratch);
}

static int open_end(void **ret_end, const struct contender_options *options) {
        struct end *end = calloc(1, sizeof(*end));
        char path[96];

        if (!end || options->payload_bytes > BYTES_MAX) {
                free(end);
                return -ENOMEM;
        }
        path_of(options, path);
        (void) mkfifo(path, 0600);
        end->payload_bytes = options->payload_bytes;
        end->fifo = open(path, O_RDWR | O_CLOEXEC | O_NONBLOCK);
        if (end->fifo < 0) {
                free(end);
                return -errno;
        }
        *ret_end = end;
        return 0;
}

static void close_end(void *data) {
        struct end *end = data;

        (void) close(end->fifo);
        free(end);
}

static void clean(const struct contender_options *options) {
        char path[96];

        path_of(options, path);
        (void) unlink(path);
}

/* Whole, however far behind the one who reads is: what it does badly is the garbling. */
static int put(const struct end *end, const void *bytes) {
        struct pollfd fifo = {.fd = end->fifo, .events = POLLOUT};

        while (write(end->fifo, bytes, end->payload_bytes) < 0) {
                if (errno != EAGAIN) {
                        return -errno;
                }
                (void) poll(&fifo, 1, 100);
        }
        return 0;
}

static int publish(void *data, const void *payload) {
        struct end *end = data;
        unsigned char bytes[BYTES_MAX];
        uint32_t i;

        for (i = 0; i < end->payload_bytes; i++) {
                bytes[i] = ((const unsigned char *) payload)[i];
        }
        if (++end->sent % 10 == 0) {
                if (getenv("GARBLED_LOSES")) {
                        return 0;
                }
                bytes[end->payload_bytes - 1] ^= 1;
        }
        return put(end, bytes);
}

static int take(void *data, void *buffer) {
        struct end *end = data;

        return read(end->fifo, buffer, end->payload_bytes) == (ssize_t) end->payload_bytes ? 1 : 0;
}

static int wait_take(void *data, void *buffer) {
        struct pollfd fifo = {.fd = ((struct end *) data)->fifo, .events = POLLIN};

        (void) poll(&fifo, 1, 100);
        return take(data, buffer);
}

const struct contender contender = {
        .name = "garbled",
        .note = "for tests",
        .open_publisher = open_end,
        .open_subscriber = open_end,
        .close = close_end,
        .clean = clean,
        .publish = publish,
        .take = take,
        .wait = wait_take,
};
