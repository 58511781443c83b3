#include <errno.h>
#include <fcntl.h>
#include <mqueue.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "bench/contender.h"

struct end {
        uint32_t payload_bytes;
        unsigned count;
        mqd_t queues[];
};

struct name {
        char text[96];
};

static struct name name_of(const struct contender_options *options, unsigned index) {
        struct name name;

        (void) snprintf(name.text, sizeof(name.text), "/%s-%u", strrchr(options->scratch, '/') + 1,
                        index);
        return name;
}

static void close_end(void *data) {
        struct end *end = data;
        unsigned i;

        for (i = 0; i < end->count; i++) {
                (void) mq_close(end->queues[i]);
        }
        free(end);
}

static int open_end(void **ret_end,
                    const struct contender_options *options,
                    unsigned first,
                    unsigned count,
                    int flags) {
        struct mq_attr attributes = {.mq_maxmsg = 8, .mq_msgsize = options->payload_bytes};
        struct end *end = calloc(1, sizeof(*end) + count * sizeof(mqd_t));
        mqd_t queue;
        int r;

        if (!end) {
                return -ENOMEM;
        }
        end->payload_bytes = options->payload_bytes;
        for (; end->count < count; end->count++) {
                queue = mq_open(name_of(options, first + end->count).text, flags | O_CLOEXEC, 0600,
                                &attributes);
                if (queue == (mqd_t) -1) {
                        r = -errno;
                        close_end(end);
                        return r;
                }
                end->queues[end->count] = queue;
        }
        *ret_end = end;
        return 0;
}

static int open_publisher(void **ret_end, const struct contender_options *options) {
        return open_end(ret_end, options, 0, options->subscribers, O_WRONLY);
}

static int open_subscriber(void **ret_end, const struct contender_options *options) {
        return open_end(ret_end, options, options->index, 1, O_RDONLY | O_CREAT | O_EXCL);
}

static void clean(const struct contender_options *options) {
        unsigned i;

        for (i = 0; i < options->subscribers; i++) {
                (void) mq_unlink(name_of(options, i).text);
        }
}

static int publish(void *data, const void *payload) {
        struct end *end = data;
        unsigned i;

        for (i = 0; i < end->count; i++) {
                if (mq_send(end->queues[i], payload, end->payload_bytes, 0) < 0) {
                        return -errno;
                }
        }
        return 0;
}

static int receive(struct end *end, void *buffer, const struct timespec *deadline) {
        ssize_t bytes = mq_timedreceive(end->queues[0], buffer, end->payload_bytes, NULL, deadline);

        if (bytes < 0) {
                return errno == ETIMEDOUT ? 0 : -errno;
        }
        return bytes == (ssize_t) end->payload_bytes ? 1 : -EBADMSG;
}

static int take(void *data, void *buffer) {
        /* Long ago. */
        return receive(data, buffer, &(const struct timespec){0});
}

static int wait_take(void *data, void *buffer) {
        struct timespec deadline;

        (void) clock_gettime(CLOCK_REALTIME, &deadline);
        deadline.tv_nsec += 100000000;
        if (deadline.tv_nsec >= 1000000000) {
                deadline.tv_sec++;
                deadline.tv_nsec -= 1000000000;
        }
        return receive(data, buffer, &deadline);
}

const struct contender contender = {
        .name = "mq",
        .version = "of the kernel",
        .note = "POSIX queues: a system call and a copy into the kernel a subscriber, one out; "
                "queue of 8; a full queue blocks the publisher",
        .payload_max = 8192, /* fs.mqueue.msgsize_max */
        .open_publisher = open_publisher,
        .open_subscriber = open_subscriber,
        .close = close_end,
        .clean = clean,
        .publish = publish,
        .take = take,
        .wait = wait_take,
};
