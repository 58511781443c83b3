/*
 * A publisher whose messages a test can tell: message n is the number n, and then its last byte
 * over and over.
 *
 * usage: record-source BUS TOPIC COUNT PERIOD-US
 */

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <slipring/publisher.h>

static void publish(struct slipring_publisher *publisher, uint8_t *message, uint64_t n) {
        uint32_t bytes = slipring_publisher_type(publisher)->payload_bytes;
        struct slipring_error error = {0};
        int r;

        memset(message, (int) (n & 0xff), bytes);
        memcpy(message, &n, sizeof(n));
        while ((r = slipring_publisher_publish(publisher, message, bytes, 0)) == -EIDRM) {
                r = slipring_publisher_move(publisher, slipring_in_ms(60000), &error);
                if (r < 0) {
                        break;
                }
        }
        if (r < 0) {
                (void) fprintf(stderr, "record-source: %" PRIu64 ": %s %s\n", n, strerror(-r),
                               error.text);
                exit(1);
        }
}

int main(int argc, char **argv) {
        struct slipring_publisher_options options = {
                .size = sizeof(options),
                .deadline_ns = slipring_in_ms(60000),
        };
        struct slipring_publisher *publisher;
        struct slipring_error error;
        uint64_t count, period_ns, due_ns;
        uint8_t *message;

        if (argc != 5) {
                (void) fprintf(stderr, "usage: record-source BUS TOPIC COUNT PERIOD-US\n");
                return 2;
        }
        options.bus = argv[1];
        if (slipring_publisher_open(&publisher, argv[2], &options, &error) < 0) {
                (void) fprintf(stderr, "record-source: %s\n", error.text);
                return 1;
        }
        count = strtoull(argv[3], NULL, 10);
        period_ns = strtoull(argv[4], NULL, 10) * 1000;
        message = calloc(1, 8u << 20);
        if (!message) {
                return 1;
        }
        due_ns = slipring_now_ns();
        for (uint64_t n = 1; n <= count; n++) {
                struct timespec time;

                publish(publisher, message, n);
                due_ns += period_ns;
                time.tv_sec = (time_t) (due_ns / 1000000000);
                time.tv_nsec = (long) (due_ns % 1000000000);
                clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &time, NULL);
        }
        free(message);
        slipring_publisher_close(publisher);
        return 0;
}
