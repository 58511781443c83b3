/*
 * A publisher and a subscriber of 1 kHz that run as services of test-systemd and tell at SIGTERM
 * what they published or got.
 *
 * usage: systemd-client publish|subscribe TOPIC
 */

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include <slipring/publisher.h>
#include <slipring/subscriber.h>

#include "tests/harness/harness.h"

static volatile sig_atomic_t stopped;

static void stop(int signal_number) {
        stopped = 1;
}

static int publish(const char *topic) {
        struct slipring_publisher_options options = {
                .size = sizeof(options),
                .deadline_ns = SLIPRING_FOREVER,
        };
        struct slipring_publisher *publisher = NULL;
        struct slipring_error error = {0};
        struct timespec pause = {.tv_nsec = 1000000};
        uint64_t number = 0;
        int r = 0;

        if (slipring_publisher_open(&publisher, topic, &options, &error) < 0) {
                (void) fprintf(stderr, "%s\n", error.text);
                return 1;
        }
        while (!stopped && r == 0) {
                struct message message = message_make(++number);

                r = slipring_publisher_publish(publisher, &message, sizeof(message), 0);
                (void) clock_nanosleep(CLOCK_MONOTONIC, 0, &pause, NULL);
        }
        slipring_publisher_close(publisher);
        if (r < 0) {
                (void) fprintf(stderr, "publish: %s\n", strerror(-r));
                return 1;
        }
        (void) printf("%llu\n", (unsigned long long) number);
        return 0;
}

/* Each sample there is, in order. Returns 0 or why not. */
static int take_all(struct slipring_subscriber *subscriber, uint64_t *number) {
        struct slipring_sample sample;
        struct message message;
        int r;

        while ((r = slipring_subscriber_take(subscriber, &message, sizeof(message), &sample)) ==
               1) {
                if (sample.missed > 0 || !message_whole(&message) ||
                    message.number != *number + 1) {
                        (void) fprintf(stderr, "%llu missed before sample %llu\n",
                                       (unsigned long long) sample.missed,
                                       (unsigned long long) sample.sequence);
                        return -EIO;
                }
                *number = message.number;
        }
        return r;
}

static int subscribe(const char *topic) {
        struct slipring_subscriber_options options = {
                .size = sizeof(options),
                .start = SLIPRING_START_OLDEST,
                .deadline_ns = SLIPRING_FOREVER,
        };
        struct slipring_subscriber *subscriber = NULL;
        struct slipring_error error = {0};
        uint64_t number = 0;
        int r = 0;

        if (slipring_subscriber_open(&subscriber, topic, &options, &error) < 0) {
                (void) fprintf(stderr, "%s\n", error.text);
                return 1;
        }
        while (!stopped && (r == 0 || r == -EINTR)) {
                r = take_all(subscriber, &number);
                if (r == 0) {
                        r = slipring_subscriber_wait(subscriber, SLIPRING_FOREVER);
                }
        }
        if (r == 0 || r == -EINTR) {
                r = take_all(subscriber, &number);
        }
        slipring_subscriber_close(subscriber);
        if (r < 0) {
                (void) fprintf(stderr, "subscribe: %s\n", strerror(-r));
                return 1;
        }
        (void) printf("%llu\n", (unsigned long long) number);
        return 0;
}

int main(int count, char **arguments) {
        struct sigaction action = {.sa_handler = stop};

        (void) sigaction(SIGTERM, &action, NULL);
        if (count != 3) {
                return 2;
        }
        return strcmp(arguments[1], "publish") == 0 ? publish(arguments[2])
                                                    : subscribe(arguments[2]);
}
