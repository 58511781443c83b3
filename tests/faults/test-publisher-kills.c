/*
 * Publishers killed at random while three subscribers read in three manners: nothing torn is
 * accepted, and delivered + missed == published, exactly, for each of them.
 *
 * Built once more with a subscriber that does not look at the stamp again after reading, the same
 * checks have to find torn samples: they can see.
 */

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/sem.h>
#include <time.h>
#include <unistd.h>

#include <slipring/publisher.h>
#include <slipring/subscriber.h>

#include "bus/claim.h"
#include "bus/ring.h"
#include "tests/harness/harness.h"
#include "tests/harness/times.h"

#ifndef UNVALIDATED
#define UNVALIDATED 0
#endif

#if UNVALIDATED
/* The linker puts it in the place of ring_reader_validate() in the subscriber's code. */
bool __wrap_ring_reader_validate(const struct ring_view *view);

bool __wrap_ring_reader_validate(const struct ring_view *view) {
        return true;
}
#endif

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

#define TAKEOVERS_MAX 2048

struct shared {
        /* When a publisher was killed for which another stood by; 0 once that one has told. */
        _Atomic uint64_t killed_ns;
        _Atomic unsigned takeovers;
        uint64_t takeover_ns[TAKEOVERS_MAX];
        _Atomic int stop;
        _Atomic unsigned ready;
        struct report reports[MANNERS];
};

struct reader {
        struct shared *shared;
        enum manner manner;
};

static void tell_takeover(struct shared *shared) {
        uint64_t killed_ns = atomic_exchange(&shared->killed_ns, 0);
        unsigned index;

        if (killed_ns) {
                index = atomic_fetch_add(&shared->takeovers, 1);
                if (index < TAKEOVERS_MAX) {
                        shared->takeover_ns[index] = slipring_now_ns() - killed_ns;
                }
        }
}

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
        tell_takeover(argument);
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

static void
kill_publishers(const struct bus *bus, struct shared *shared, unsigned count, unsigned *seed) {
        pid_t pids[2] = {process_start(publish_run, shared), process_start(publish_run, shared)};
        int id = registry_entry(bus->registry, 0)->claim_id;
        unsigned i;
        int holder;

        for (i = 0; i < count; i++) {
                holder = wait_for_holder(bus, pids);
                *seed = *seed * 1103515245u + 12345u;
                sleep_us(*seed >> 16 & 0x7ff);
                /* Only where the other stands by already is it a takeover that takes no start. */
                atomic_store(&shared->killed_ns,
                             semctl(id, 0, GETZCNT) == 1 ? slipring_now_ns() : 0);
                process_kill(pids[holder]);
                pids[holder] = process_start(publish_run, shared);
        }
        holder = wait_for_holder(bus, pids);
        /* The standby first, so that it cannot take over. */
        process_kill(pids[!holder]);
        process_kill(pids[holder]);
}

static void print_takeovers(const struct shared *shared) {
        unsigned i, count = atomic_load(&shared->takeovers);
        struct times times = {0};

        for (i = 0; i < count && i < TAKEOVERS_MAX; i++) {
                times_add(&times, shared->takeover_ns[i]);
        }
        times_print(&times, "  takeover after SIGKILL");
}

static const char *const manner_names[MANNERS] = {"next", "newest", "borrow"};

/* Returns how many samples were accepted that were no samples. */
static uint64_t
check_report(const struct report *report, enum manner manner, uint64_t published, uint32_t depth) {
        print_message("depth %u, %s: %llu delivered + %llu missed == %llu published\n", depth,
                      manner_names[manner], (unsigned long long) report->delivered,
                      (unsigned long long) report->missed, (unsigned long long) published);
        assert_int_equal(report->sequence, published);
        assert_int_equal(report->delivered + report->missed, published);
        return report->torn + report->disorder;
}

static uint64_t stress(uint32_t depth, unsigned count) {
        struct topic_spec spec = topic_of("imu", depth);
        struct reader readers[MANNERS];
        struct slipring_publisher *last;
        struct slipring_publisher_info info;
        struct message message;
        struct shared *shared;
        pid_t pids[MANNERS];
        unsigned seed = depth;
        uint64_t bad = 0;
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
        kill_publishers(&bus, shared, count, &seed);
        /* A last one finishes what the killed one left and publishes once more. */
        last = publisher_open("imu");
        assert_int_equal(slipring_publisher_info(last, &info), 0);
        message = message_make(info.sequence + 1);
        assert_int_equal(slipring_publisher_publish(last, &message, sizeof(message), 0), 0);
        assert_int_equal(slipring_publisher_info(last, &info), 0);
        atomic_store(&shared->stop, 1);
        for (i = 0; i < MANNERS; i++) {
                assert_int_equal(process_wait(pids[i]), 0);
                bad += check_report(&shared->reports[i], (enum manner) i, info.sequence, depth);
        }
        print_takeovers(shared);
        /* Each killed one, the last of them, and this process; but one killed between its claim and
         * its takeover has counted nothing. */
        assert_in_range(info.epoch, count / 2, count + 2);
        slipring_publisher_close(last);
        bus_stop(&bus);
        (void) munmap(shared, sizeof(*shared));
        return bad;
}

/* Sanitizers slow everything down and see the same with fewer. */
#if defined(__SANITIZE_ADDRESS__)
#define SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define SANITIZED 1
#endif
#endif
#ifndef SANITIZED
#define SANITIZED 0
#endif

static unsigned kills(void) {
        return SANITIZED && !harness_long() ? 200 : 1000;
}

static void test_depth_2(void **state) {
        assert_int_equal(stress(2, kills()), 0);
}

static void test_depth_3(void **state) {
        assert_int_equal(stress(3, kills()), 0);
}

static void test_depth_8(void **state) {
        assert_int_equal(stress(8, kills()), 0);
}

static void test_depth_64(void **state) {
        assert_int_equal(stress(64, kills()), 0);
}

/* The control: what the second look at the stamp is for. */
static void test_unvalidated_samples_are_seen_to_be_torn(void **state) {
        uint64_t bad = 0;
        unsigned round;

        for (round = 0; round < 10 && bad == 0; round++) {
                bad = stress(2, 100);
        }
        assert_true(bad > 0);
        print_message("without validation: %llu torn samples accepted\n", (unsigned long long) bad);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_depth_2),
                cmocka_unit_test(test_depth_3),
                cmocka_unit_test(test_depth_8),
                cmocka_unit_test(test_depth_64),
        };
        const struct CMUnitTest control[] = {
                cmocka_unit_test(test_unvalidated_samples_are_seen_to_be_torn),
        };

        return UNVALIDATED ? cmocka_run_group_tests(control, NULL, NULL)
                           : cmocka_run_group_tests(tests, NULL, NULL);
}
