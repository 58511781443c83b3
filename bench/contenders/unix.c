#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include "bench/contender.h"

struct end {
        uint32_t payload_bytes;
        unsigned count;
        int sockets[];
};

static struct sockaddr_un address_of(const struct contender_options *options, unsigned index) {
        struct sockaddr_un address = {.sun_family = AF_UNIX};

        (void) snprintf(address.sun_path, sizeof(address.sun_path), "%s/unix-%u", options->scratch,
                        index);
        return address;
}

static void close_end(void *data) {
        struct end *end = data;
        unsigned i;

        for (i = 0; i < end->count; i++) {
                (void) close(end->sockets[i]);
        }
        free(end);
}

static struct end *end_new(const struct contender_options *options, unsigned count) {
        struct end *end = calloc(1, sizeof(*end) + count * sizeof(int));

        if (end) {
                end->payload_bytes = options->payload_bytes;
        }
        return end;
}

static int add_socket(struct end *end) {
        int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);

        if (fd < 0) {
                return -errno;
        }
        end->sockets[end->count++] = fd;
        return fd;
}

static int open_publisher(void **ret_end, const struct contender_options *options) {
        struct end *end = end_new(options, options->subscribers);
        struct sockaddr_un address;
        unsigned i;
        int fd;

        if (!end) {
                return -ENOMEM;
        }
        for (i = 0; i < options->subscribers; i++) {
                address = address_of(options, i);
                fd = add_socket(end);
                if (fd < 0 || connect(fd, (struct sockaddr *) &address, sizeof(address)) < 0) {
                        close_end(end);
                        return -EIO;
                }
        }
        *ret_end = end;
        return 0;
}

static int open_subscriber(void **ret_end, const struct contender_options *options) {
        const struct timeval bound = {.tv_usec = 100000};
        struct sockaddr_un address = address_of(options, options->index);
        struct end *end = end_new(options, 1);
        int fd;

        if (!end) {
                return -ENOMEM;
        }
        fd = add_socket(end);
        if (fd < 0 || bind(fd, (struct sockaddr *) &address, sizeof(address)) < 0 ||
            setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &bound, sizeof(bound)) < 0) {
                close_end(end);
                return -EIO;
        }
        *ret_end = end;
        return 0;
}

static void clean(const struct contender_options *options) {
        struct sockaddr_un address;
        unsigned i;

        for (i = 0; i < options->subscribers; i++) {
                address = address_of(options, i);
                (void) unlink(address.sun_path);
        }
}

static int publish(void *data, const void *payload) {
        struct end *end = data;
        unsigned i;

        for (i = 0; i < end->count; i++) {
                if (send(end->sockets[i], payload, end->payload_bytes, MSG_NOSIGNAL) < 0) {
                        return -errno;
                }
        }
        return 0;
}

static int receive(struct end *end, void *buffer, int flags) {
        ssize_t bytes = recv(end->sockets[0], buffer, end->payload_bytes, flags);

        if (bytes < 0) {
                return errno == EAGAIN ? 0 : -errno;
        }
        return bytes == (ssize_t) end->payload_bytes ? 1 : -EBADMSG;
}

static int take(void *data, void *buffer) {
        return receive(data, buffer, MSG_DONTWAIT);
}

static int wait_take(void *data, void *buffer) {
        return receive(data, buffer, 0);
}

const struct contender contender = {
        .name = "unix",
        .version = "of the kernel",
        .note = "datagram sockets: a system call and a copy into the kernel a subscriber, one out; "
                "queue of net.unix.max_dgram_qlen; a full queue blocks the publisher",
        /* A larger one does not fit a socket's buffer. */
        .payload_max = 65536,
        .open_publisher = open_publisher,
        .open_subscriber = open_subscriber,
        .close = close_end,
        .clean = clean,
        .publish = publish,
        .take = take,
        .wait = wait_take,
};
