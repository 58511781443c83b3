#include <errno.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <slipring/publisher.h>
#include <slipring/subscriber.h>

#include "bench/contender.h"
#include "bench/stage.h"

/* Turns of an empty loop: about a microsecond. */
#define BREATH 1000u

struct end {
        struct slipring_publisher *publisher;
        struct slipring_subscriber *subscriber;
        uint32_t payload_bytes;
};

/* The manager, of a bus of its own. */
static void serve(const struct contender_options *options) {
        const struct passwd *user = getpwuid(geteuid());
        char schema[96];
        FILE *file;

        (void) snprintf(schema, sizeof(schema), "%s/bus.yaml", options->scratch);
        file = fopen(schema, "we");
        if (!file || !user) {
                return;
        }
        (void) fprintf(file,
                       "slipring: 1\n"
                       "bus: %s\n"
                       "topics:\n"
                       "  %s: {owner: %s, depth: %u, fields: {words: \"uint64[%zu]\"}}\n",
                       options->bus, options->topic, user->pw_name, DEPTH,
                       options->payload_bytes / sizeof(uint64_t));
        if (fclose(file) == 0) {
                (void) execl(SLIPRINGD, SLIPRINGD, "--quiet", schema, (char *) NULL);
        }
}

static void clean(const struct contender_options *options) {
        char schema[96];

        if (options->cold) {
                (void) snprintf(schema, sizeof(schema), "%s/bus.yaml", options->scratch);
                (void) unlink(schema);
        }
}

static void close_end(void *data) {
        struct end *end = data;

        slipring_publisher_close(end->publisher);
        slipring_subscriber_close(end->subscriber);
        free(end);
}

static int
open_end(void **ret_end, const struct contender_options *contender_options, bool publish) {
        const struct slipring_publisher_options publisher_options = {
                .size = sizeof(publisher_options),
                .bus = contender_options->bus,
                .deadline_ns = contender_options->cold ? SLIPRING_FOREVER : 0,
        };
        const struct slipring_subscriber_options subscriber_options = {
                .size = sizeof(subscriber_options),
                .start = contender_options->cold ? SLIPRING_START_NEWEST : SLIPRING_START_NEXT,
                .bus = contender_options->bus,
                .deadline_ns = contender_options->cold ? SLIPRING_FOREVER : 0,
        };
        struct slipring_error error = {0};
        struct end *end = calloc(1, sizeof(*end));
        int r;

        if (!end) {
                return -ENOMEM;
        }
        end->payload_bytes = contender_options->payload_bytes;
        r = publish ? slipring_publisher_open(&end->publisher, contender_options->topic,
                                              &publisher_options, &error)
                    : slipring_subscriber_open(&end->subscriber, contender_options->topic,
                                               &subscriber_options, &error);
        if (r < 0) {
                (void) fprintf(stderr, "slipring-bench: %s\n", error.text);
                close_end(end);
                return r;
        }
        *ret_end = end;
        return 0;
}

static int open_publisher(void **ret_end, const struct contender_options *options) {
        return open_end(ret_end, options, true);
}

static int open_subscriber(void **ret_end, const struct contender_options *options) {
        return open_end(ret_end, options, false);
}

static int publish(void *data, const void *payload) {
        struct end *end = data;

        return slipring_publisher_publish(end->publisher, payload, end->payload_bytes, 0);
}

static int take(void *data, void *buffer) {
        struct end *end = data;

        int r = slipring_subscriber_take(end->subscriber, buffer, end->payload_bytes, NULL);

        return r == -EAGAIN ? 0 : r;
}

static int take_batch(void *data, void *buffer, unsigned capacity) {
        struct end *end = data;
        volatile unsigned i;
        int r;

        r = slipring_subscriber_take_batch(end->subscriber, buffer,
                                           (size_t) capacity * end->payload_bytes, NULL, capacity);
        /* Who has all takes a breath: looking at once for one more message is what makes each of
         * them cost the publisher its line. */
        for (i = 0; r >= 0 && (unsigned) r < capacity / 2 && i < BREATH; i++) {
        }
        return r;
}

static int loan(void *data, void **ret_payload) {
        struct end *end = data;

        return slipring_publisher_loan(end->publisher, ret_payload);
}

static int commit(void *data, void *payload) {
        struct end *end = data;

        (void) payload;
        return slipring_publisher_commit(end->publisher, 0);
}

static int wait_take(void *data, void *buffer) {
        struct end *end = data;
        int r;

        r = slipring_subscriber_wait(end->subscriber, slipring_now_ns() + 100000000);
        return r == -ETIMEDOUT ? 0 : r < 0 ? r : take(data, buffer);
}

static int borrow(void *data, const void **ret_payload) {
        struct slipring_sample sample;
        struct end *end = data;
        int r;

        r = slipring_subscriber_wait(end->subscriber, slipring_now_ns() + 100000000);
        if (r < 0) {
                return r == -ETIMEDOUT ? 0 : r;
        }
        r = slipring_subscriber_borrow(end->subscriber, &sample);
        *ret_payload = sample.payload;
        return r == -EAGAIN ? 0 : r;
}

static int give_back(void *data, const void *payload) {
        struct end *end = data;
        int r;

        (void) payload;
        r = slipring_subscriber_release(end->subscriber);
        return r == 0 ? 1 : r == -ESTALE ? 0 : r;
}

const struct contender contender = {
        .name = "slipring",
        .version = CONTENDER_VERSION,
        .note = "one copy in, one out; one system call if somebody sleeps; 8 samples of history; "
                "a subscriber that lags counts what it missed",
        .alone = true,
        .keeps = true,
        .serve = serve,
        .serves_cold = true,
        .open_publisher = open_publisher,
        .open_subscriber = open_subscriber,
        .close = close_end,
        .clean = clean,
        .publish = publish,
        .take = take,
        .wait = wait_take,
        .take_batch = take_batch,
        .loan = loan,
        .commit = commit,
        .borrow = borrow,
        .give_back = give_back,
};
