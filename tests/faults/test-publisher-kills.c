/*
 * Publishers killed at random while three subscribers read in three manners: nothing torn is
 * accepted, and delivered + missed == published, exactly, for each of them.
 */

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include <slipring/publisher.h>
#include <slipring/subscriber.h>

#include "bus/claim.h"
#include "tests/harness/harness.h"

enum manner {
        TAKE_NEXT,
        TAKE_NEWEST,
        BORROW,
        MANNERS,
};

/* What a subscriber's process tells its parent. */
struct report {
        uint64_t delivered, missed, torn, disorder;
        uint64_t sequence; /* of the last number accounted for */
};

struct shared {
        _Atomic int stop;
        _Atomic unsigned ready;
        struct report reports[MANNERS];
};

struct reader {
        struct shared *shared;
        enum manner manner;
};

static int publish_run(void *argument) {
        struct slipring_publisher_options options = {
                .size = sizeof(options),
                .flags = SLIPRING_PUBLISHER_STANDBY,
                .deadline_ns = SLIPRING_FOREVER,
        };
        struct slipring_publisher *publisher = NULL;
        struct slipring_publisher_info info;
        struct message message, *loan;
        uint64_t number;
        void *payload;

        if (slipring_publisher_open(&publisher, "imu", &options, NULL) < 0 ||
            slipring_publisher_info(publisher, &info) < 0) {
                return 1;
        }
        /* The message's number is its sequence, whoever publishes it. */
        for (number = info.sequence + 1;; number++) {
                if (number % 3) {
                        message = message_make(number);
                        if (slipring_publisher_publish(publisher, &message, sizeof(message), 0) <
                            0) {
                                return 2;
                        }
                } else {
                        if (slipring_publisher_loan(publisher, &payload) < 0) {
                                return 3;
                        }
                        loan = payload;
                        blob_fill(loan, sizeof(*loan), number);
                        if (slipring_publisher_commit(publisher, 0) < 0) {
                                return 4;
                        }
                }
        }
}

static int read_one(struct slipring_subscriber *subscriber,
                    enum manner manner,
                    struct slipring_sample *sample,
                    struct message *message) {
        int r;

        switch (manner) {
        case TAKE_NEXT:
                return slipring_subscriber_take(subscriber, message, sizeof(*message), sample);
        case TAKE_NEWEST:
                return slipring_subscriber_take_newest(subscriber, message, sizeof(*message),
                                                       sample);
        default:
                r = slipring_subscriber_borrow(subscriber, sample);
                if (r != 1) {
                        return r;
                }
                memcpy(message, sample->payload, sizeof(*message));
                /* Torn: told so, to be discarded, and counted as missed. */
                return slipring_subscriber_release(subscriber) == 0 ? 1 : -EAGAIN;
        }
}

static int read_run(void *argument) {
        const struct reader *reader = argument;
        struct report *report = &reader->shared->reports[reader->manner];
        struct slipring_subscriber *subscriber = subscriber_open("imu", SLIPRING_START_OLDEST);
        struct slipring_subscriber_info info;
        struct slipring_sample sample;
        struct message message;
        int r;

        atomic_fetch_add(&reader->shared->ready, 1);
        for (;;) {
                r = read_one(subscriber, reader->manner, &sample, &message);
                if (r == 1) {
                        report->torn += !message_whole(&message);
                        report->disorder += message.number != sample.sequence ||
                                            sample.sequence <= report->sequence;
                        report->sequence = sample.sequence;
                } else if (r == 0) {
                        if (atomic_load(&reader->shared->stop)) {
                                break;
                        }
                        (void) slipring_subscriber_wait(subscriber, slipring_in_ms(50));
                } else if (r != -EAGAIN) {
                        return 1;
                }
        }
        if (slipring_subscriber_info(subscriber, &info) < 0) {
                return 2;
        }
        report->delivered = info.delivered;
        report->missed = info.missed;
        slipring_subscriber_close(subscriber);
        return 0;
}

static void sleep_us(unsigned us) {
        struct timespec pause = {.tv_nsec = (long) us * 1000};

        (void) nanosleep(&pause, NULL);
}

/* Which of two publishers has the claim: the other stands by, and killing it would prove nothing.
 */
static int wait_for_holder(const struct bus *bus, const pid_t *pids) {
        int id = registry_entry(bus->registry, 0)->claim_id;
        pid_t holder;

        for (;;) {
                holder = claim_holder(id);
                assert_true(holder >= 0);
                if (holder && (holder == pids[0] || holder == pids[1])) {
                        return holder == pids[1];
                }
                sleep_us(50);
        }
}

static void kill_publishers(const struct bus *bus, unsigned count, unsigned *seed) {
        pid_t pids[2] = {process_start(publish_run, NULL), process_start(publish_run, NULL)};
        unsigned i;
        int holder;

        for (i = 0; i < count; i++) {
                holder = wait_for_holder(bus, pids);
                *seed = *seed * 1103515245u + 12345u;
                sleep_us(*seed >> 16 & 0x7ff);
                process_kill(pids[holder]);
                pids[holder] = process_start(publish_run, NULL);
        }
        holder = wait_for_holder(bus, pids);
        /* The standby first, so that it cannot take over. */
        process_kill(pids[!holder]);
        process_kill(pids[holder]);
}

static void stress(uint32_t depth, unsigned count) {
        struct topic_spec spec = topic_of("imu", depth);
        struct reader readers[MANNERS];
        struct slipring_publisher *last;
        struct slipring_publisher_info info;
        struct message message;
        struct shared *shared;
        pid_t pids[MANNERS];
        unsigned seed = depth;
        static struct bus bus;
        int i;

        shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1,
                      0);
        assert_true(shared != MAP_FAILED);
        bus_start(&bus, &spec, 1);
        for (i = 0; i < MANNERS; i++) {
                readers[i] = (struct reader){shared, (enum manner) i};
                pids[i] = process_start(read_run, &readers[i]);
        }
        while (atomic_load(&shared->ready) < MANNERS) {
                sleep_us(1000);
        }
        kill_publishers(&bus, count, &seed);
        /* A last one finishes what the killed one left and publishes once more. */
        last = publisher_open("imu");
        assert_int_equal(slipring_publisher_info(last, &info), 0);
        message = message_make(info.sequence + 1);
        assert_int_equal(slipring_publisher_publish(last, &message, sizeof(message), 0), 0);
        assert_int_equal(slipring_publisher_info(last, &info), 0);
        atomic_store(&shared->stop, 1);
        for (i = 0; i < MANNERS; i++) {
                const struct report *report = &shared->reports[i];

                assert_int_equal(process_wait(pids[i]), 0);
                assert_int_equal(report->torn, 0);
                assert_int_equal(report->disorder, 0);
                assert_int_equal(report->sequence, info.sequence);
                assert_int_equal(report->delivered + report->missed, info.sequence);
                print_message(
                        "depth %u, %s: %llu delivered + %llu missed == %llu published\n", depth,
                        i == TAKE_NEXT     ? "next"
                        : i == TAKE_NEWEST ? "newest"
                                           : "borrow",
                        (unsigned long long) report->delivered, (unsigned long long) report->missed,
                        (unsigned long long) info.sequence);
        }
        /* Each killed one, the last of them, and this process; but one killed between its claim and
         * its takeover has counted nothing. */
        assert_in_range(info.epoch, count / 2, count + 2);
        slipring_publisher_close(last);
        bus_stop(&bus);
        (void) munmap(shared, sizeof(*shared));
}

static unsigned kills(void) {
        return harness_long() ? 1000 : 100;
}

static void test_depth_2(void **state) {
        stress(2, kills());
}

static void test_depth_3(void **state) {
        stress(3, kills());
}

static void test_depth_8(void **state) {
        stress(8, kills());
}

static void test_depth_64(void **state) {
        stress(64, kills());
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_depth_2),
                cmocka_unit_test(test_depth_3),
                cmocka_unit_test(test_depth_8),
                cmocka_unit_test(test_depth_64),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
