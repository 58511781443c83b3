/*
 * Pinned samples while everybody is killed at random: a publisher and its standby, and three
 * subscribers that hold samples and look at them again and again. What is held does not change,
 * the publisher always finds a slot, and each dead holder's pin comes back.
 *
 * Built once more with a publisher that does not look at the pins, the same checks have to find
 * samples that change: they can see.
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
#include "bus/pins.h"
#include "tests/harness/harness.h"
#include "tests/harness/times.h"

#ifndef CARELESS
#define CARELESS 0
#endif

#if CARELESS
/* The linker puts it in the place of pins_choose() in the publisher's code. */
uint32_t __wrap_pins_choose(struct ring_writer *writer);

uint32_t __wrap_pins_choose(struct ring_writer *writer) {
        return (writer->index + 1) % writer->ring.slot_count;
}
#endif

#define HOLDERS 3
#define PINS (HOLDERS + 1)

struct shared {
        _Atomic uint64_t held;       /* samples that were held for a while */
        _Atomic uint64_t looks;      /* at them */
        _Atomic uint64_t changed;    /* looks that found another message, or none */
        _Atomic uint64_t broken;     /* what unpin said was not whole */
        _Atomic uint64_t failed;     /* calls that should not */
        _Atomic uint64_t longest_ns; /* of the publisher's calls */
        _Atomic int stop;
};

static void sleep_us(unsigned us) {
        struct timespec pause = {.tv_nsec = (long) us * 1000};

        (void) nanosleep(&pause, NULL);
}

static unsigned chance(unsigned *seed) {
        *seed = *seed * 1103515245u + 12345u;
        return *seed >> 16;
}

/* --- the publisher --- */

static int publish_one(struct slipring_publisher *publisher, uint64_t number) {
        static uint64_t blob[BLOB_BYTES / 8];
        void *payload;
        int r;

        if (number % 2) {
                blob_fill(blob, sizeof(blob), number);
                return slipring_publisher_publish(publisher, blob, sizeof(blob), 0);
        }
        r = slipring_publisher_loan(publisher, &payload);
        if (r < 0) {
                return r;
        }
        blob_fill(payload, BLOB_BYTES, number);
        return slipring_publisher_commit(publisher, 0);
}

static int publish_run(void *argument) {
        struct slipring_publisher_options options = {
                .size = sizeof(options),
                .flags = SLIPRING_PUBLISHER_STANDBY,
                .deadline_ns = SLIPRING_FOREVER,
        };
        struct slipring_publisher *publisher = NULL;
        struct slipring_publisher_info info;
        struct shared *shared = argument;
        uint64_t number, begin, span;

        if (slipring_publisher_open(&publisher, "camera", &options, NULL) < 0 ||
            slipring_publisher_info(publisher, &info) < 0) {
                return 1;
        }
        /* The message's number is its sequence, whoever publishes it. */
        for (number = info.sequence + 1;; number++) {
                begin = slipring_now_ns();
                if (publish_one(publisher, number) < 0) {
                        atomic_fetch_add(&shared->failed, 1);
                        return 2;
                }
                span = slipring_now_ns() - begin;
                if (span > atomic_load(&shared->longest_ns)) {
                        atomic_store(&shared->longest_ns, span);
                }
        }
}

/* --- holders --- */

static struct slipring_subscriber *pinning(uint32_t pins) {
        struct slipring_subscriber_options options = {.size = sizeof(options), .pins = pins};
        struct slipring_subscriber *subscriber = NULL;

        return slipring_subscriber_open(&subscriber, "camera", &options, NULL) < 0 ? NULL
                                                                                   : subscriber;
}

/* For up to half a millisecond, many times as long as the ring goes round. */
static void hold(struct shared *shared, const struct slipring_sample *sample, unsigned *seed) {
        uint64_t end = slipring_now_ns() + chance(seed) % 500 * 1000, found;

        do {
                found = 0;
                if (!blob_whole(sample->payload, BLOB_BYTES, &found) || found != sample->sequence) {
                        atomic_fetch_add(&shared->changed, 1);
                }
                atomic_fetch_add(&shared->looks, 1);
        } while (slipring_now_ns() < end);
        atomic_fetch_add(&shared->held, 1);
}

static int hold_run(void *argument) {
        struct slipring_subscriber *subscriber = pinning(1);
        struct shared *shared = argument;
        unsigned seed = (unsigned) getpid();
        struct slipring_sample sample;
        int r;

        if (!subscriber) {
                /* Of the one that was killed for this one, the pin is free by then. */
                atomic_fetch_add(&shared->failed, 1);
                return 1;
        }
        while (!atomic_load(&shared->stop)) {
                r = chance(&seed) % 2 ? slipring_subscriber_pin(subscriber, &sample)
                                      : slipring_subscriber_pin_newest(subscriber, &sample);
                if (r == 0 || r == -EAGAIN) {
                        (void) slipring_subscriber_wait(subscriber, slipring_in_ms(20));
                        continue;
                }
                if (r != 1) {
                        atomic_fetch_add(&shared->failed, 1);
                        return 2;
                }
                hold(shared, &sample, &seed);
                if (slipring_subscriber_unpin(subscriber, sample.payload) < 0) {
                        atomic_fetch_add(&shared->broken, 1);
                }
        }
        slipring_subscriber_close(subscriber);
        return 0;
}

/* --- the stress --- */

/* Two publishers, of which one stands by, and the holders. */
#define PROCESSES (2 + HOLDERS)

static void restart(pid_t *pids, int which, struct shared *shared) {
        pids[which] = process_start(which < 2 ? publish_run : hold_run, shared);
}

static void kill_all_over(const struct bus *bus, struct shared *shared, unsigned count) {
        pid_t pids[PROCESSES];
        unsigned i, reclaimed = 0, seed = count;
        int which;

        for (which = 0; which < PROCESSES; which++) {
                restart(pids, which, shared);
        }
        for (i = 0; i < count; i++) {
                sleep_us(chance(&seed) % 2048);
                which = (int) (chance(&seed) % PROCESSES);
                process_kill(pids[which]);
                /* The manager's part: before or after the next owner of the line. */
                if (i % 2) {
                        reclaimed += registry_reap_pins(bus->registry, 0);
                }
                restart(pids, which, shared);
                reclaimed += registry_reap_pins(bus->registry, 0);
        }
        atomic_store(&shared->stop, 1);
        for (which = 0; which < PROCESSES; which++) {
                if (which < 2) {
                        process_kill(pids[which]);
                } else {
                        assert_int_equal(process_wait(pids[which]), 0);
                }
        }
        print_message("  %u lines of dead holders cleared\n", reclaimed);
        assert_true(reclaimed > 0);
}

/* All lines can be had, and hold what they should. */
static void check_lines(uint32_t depth) {
        struct slipring_subscriber *subscriber = pinning(PINS);
        struct slipring_publisher *publisher = publisher_open("camera");
        struct slipring_subscriber_info info;
        struct slipring_publisher_info before;
        struct slipring_sample samples[PINS];
        uint64_t found;
        uint32_t i;

        assert_non_null(subscriber);
        assert_int_equal(slipring_publisher_info(publisher, &before), 0);
        for (i = 1; i <= PINS; i++) {
                assert_int_equal(publish_one(publisher, before.sequence + i), 0);
                assert_int_equal(slipring_subscriber_pin_newest(subscriber, &samples[i - 1]), 1);
        }
        for (; i <= 20 * depth; i++) {
                assert_int_equal(publish_one(publisher, before.sequence + i), 0);
        }
        for (i = 1; i <= PINS; i++) {
                assert_true(blob_whole(samples[i - 1].payload, BLOB_BYTES, &found));
                assert_int_equal(found, before.sequence + i);
        }
        assert_int_equal(slipring_subscriber_info(subscriber, &info), 0);
        assert_int_equal(info.pin_broken, 0);
        assert_int_equal(info.pinned, PINS);
        slipring_subscriber_close(subscriber);
        slipring_publisher_close(publisher);
}

/* Returns how often what was held was seen to change, or said to have been overwritten. */
static uint64_t stress(uint32_t depth, unsigned count) {
        struct topic_spec spec = topic_of("camera", depth);
        struct shared *shared;
        static struct bus bus;
        uint64_t bad;

        spec.type = &blob_type;
        spec.pins = PINS;
        shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1,
                      0);
        assert_true(shared != MAP_FAILED);
        bus_start(&bus, &spec, 1);
        kill_all_over(&bus, shared, count);
        print_message("depth %u, %u killed: %llu samples held, looked at %llu times, changed %llu, "
                      "broken %llu; the longest publish took %.0f us\n",
                      depth, count, (unsigned long long) atomic_load(&shared->held),
                      (unsigned long long) atomic_load(&shared->looks),
                      (unsigned long long) atomic_load(&shared->changed),
                      (unsigned long long) atomic_load(&shared->broken),
                      (double) atomic_load(&shared->longest_ns) / 1e3);
        assert_int_equal(atomic_load(&shared->failed), 0);
        assert_true(atomic_load(&shared->held) > count / 4);
        if (!CARELESS) {
                check_lines(depth);
        }
        bus_stop(&bus);
        bad = atomic_load(&shared->changed) + atomic_load(&shared->broken);
        (void) munmap(shared, sizeof(*shared));
        return bad;
}

static unsigned kills(void) {
        return harness_long() ? 2000 : 200;
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

/* The control: what the publisher's look at the pins is for. */
static void test_a_careless_publisher_is_seen(void **state) {
        uint64_t bad = 0;
        unsigned round;

        for (round = 0; round < 10 && bad == 0; round++) {
                bad = stress(2, 100);
        }
        print_message("without a look at the pins: %llu times changed or broken\n",
                      (unsigned long long) bad);
        assert_true(bad > 0);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_depth_2),
                cmocka_unit_test(test_depth_3),
                cmocka_unit_test(test_depth_8),
        };
        const struct CMUnitTest control[] = {
                cmocka_unit_test(test_a_careless_publisher_is_seen),
        };

        return CARELESS ? cmocka_run_group_tests(control, NULL, NULL)
                        : cmocka_run_group_tests(tests, NULL, NULL);
}
