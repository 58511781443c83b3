/*
 * A manager that is killed and started again and again under traffic: nobody notices.
 *
 * Subscribers that block, poll and sit in epoll get every sample, one that waits for a topic's
 * first sample or for a topic that is not there yet sleeps through all of it, every open in a gap
 * works, and the segments stay the same. Every second manager is killed somewhere in its start.
 */

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include <slipring/publisher.h>
#include <slipring/subscriber.h>

#include "tests/harness/daemon.h"

/* Half a minute of samples: whoever misses one was not woken, rather than slow. */
#define IMU "  imu: {depth: 32768, fields: {number: uint64, words: \"uint64[7]\"}}\n"
#define ODOM "  odom: {depth: 2, fields: {number: uint64, words: \"uint64[7]\"}}\n"
#define LATE "  late: {depth: 2, fields: {number: uint64, words: \"uint64[7]\"}}\n"

#define PATIENCE_MS 60000

enum manner {
        BLOCKED,
        POLLING,
        EPOLL,
        MANNERS,
};

static const char *const manner_names[] = {"blocked", "polling", "epoll"};

struct report {
        uint64_t delivered, missed, bad, idle;
};

struct shared {
        _Atomic unsigned ready;    /* clients that are where they should be */
        _Atomic int detach;        /* attacher: that is enough */
        _Atomic int stop;          /* publisher: the same */
        _Atomic int done;          /* subscribers: what is there now is all */
        _Atomic uint64_t attached; /* by the attacher so far */
        uint64_t published;
        struct report reports[MANNERS];
};

struct reader {
        enum manner manner;
        struct slipring_subscriber *subscriber;
        struct slipring_waitset *waitset;
        int loop;
};

static struct daemon bus;
static struct shared *shared;

static void sleep_us(unsigned us) {
        struct timespec pause = {.tv_sec = us / 1000000, .tv_nsec = us % 1000000 * 1000L};

        (void) clock_nanosleep(CLOCK_MONOTONIC, 0, &pause, NULL);
}

/* --- clients --- */

static int publish_run(void *argument) {
        struct timespec next;
        struct slipring_publisher *publisher = publisher_open("imu");
        struct message message;

        (void) clock_gettime(CLOCK_MONOTONIC, &next);
        while (!atomic_load(&shared->stop)) {
                message = message_make(++shared->published);
                if (slipring_publisher_publish(publisher, &message, sizeof(message), 0) < 0) {
                        return 1;
                }
                if (shared->published == 1) {
                        atomic_fetch_add(&shared->ready, 1);
                }
                next.tv_nsec += 1000000;
                next.tv_sec += next.tv_nsec / 1000000000;
                next.tv_nsec %= 1000000000;
                (void) clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &next, NULL);
        }
        slipring_publisher_close(publisher);
        return 0;
}

static int reader_open(struct reader *reader) {
        struct epoll_event event = {.events = EPOLLIN};

        reader->subscriber = subscriber_open("imu", SLIPRING_START_OLDEST);
        if (reader->manner != EPOLL) {
                return 0;
        }
        reader->loop = epoll_create1(EPOLL_CLOEXEC);
        if (slipring_waitset_new(&reader->waitset, NULL) < 0 ||
            slipring_waitset_add(reader->waitset, reader->subscriber) < 0) {
                return -1;
        }
        return epoll_ctl(reader->loop, EPOLL_CTL_ADD, slipring_waitset_fd(reader->waitset), &event);
}

/* Until there may be something more; now and then anyway, to see whether that was all. */
static int reader_rest(struct reader *reader) {
        struct slipring_subscriber *ready;
        struct epoll_event event;
        int r;

        switch (reader->manner) {
        case BLOCKED:
                r = slipring_subscriber_wait(reader->subscriber, slipring_in_ms(1000));
                return r == -ETIMEDOUT ? 0 : r;
        case POLLING:
                sleep_us(200);
                return 0;
        default:
                r = epoll_wait(reader->loop, &event, 1, 1000);
                /* A completion of io_uring may end it with EINTR. */
                return r < 0 && errno != EINTR ? -errno
                                               : slipring_waitset_ready(reader->waitset, &ready, 1);
        }
}

/* Returns as slipring_subscriber_take(). */
static int reader_take(struct reader *reader, struct report *report) {
        struct slipring_sample sample;
        struct message message;
        int r = slipring_subscriber_take(reader->subscriber, &message, sizeof(message), &sample);

        if (r == 1) {
                report->delivered++;
                report->bad += !message_whole(&message) || message.number != report->delivered ||
                               sample.sequence != report->delivered || sample.missed > 0;
        }
        return r;
}

static int read_run(void *argument) {
        struct reader *reader = argument;
        struct report *report = &shared->reports[reader->manner];
        struct slipring_subscriber_info info;
        bool last = false;
        int r;

        if (reader_open(reader) < 0) {
                return 1;
        }
        atomic_fetch_add(&shared->ready, 1);
        for (;;) {
                r = reader_take(reader, report);
                if (r < 0) {
                        return 2;
                }
                if (r == 1) {
                        continue;
                }
                if (last) {
                        break;
                }
                /* Once more after that: all was published before it. */
                last = atomic_load(&shared->done);
                report->idle++;
                if (!last && reader_rest(reader) < 0) {
                        return 3;
                }
        }
        if (slipring_subscriber_info(reader->subscriber, &info) < 0) {
                return 4;
        }
        report->missed = info.missed;
        report->bad += info.delivered != report->delivered;
        slipring_waitset_close(reader->waitset);
        slipring_subscriber_close(reader->subscriber);
        return 0;
}

/* Blocked from before the first kill until after the last: nothing but the sample may end it. */
static int first_sample_run(void *argument) {
        struct slipring_subscriber *subscriber = subscriber_open("odom", SLIPRING_START_OLDEST);
        struct message message;

        atomic_fetch_add(&shared->ready, 1);
        if (slipring_subscriber_wait(subscriber, SLIPRING_FOREVER) < 0 ||
            slipring_subscriber_take(subscriber, &message, sizeof(message), NULL) != 1 ||
            !message_whole(&message)) {
                return 1;
        }
        slipring_subscriber_close(subscriber);
        return 0;
}

/* The same in open. */
static int late_topic_run(void *argument) {
        struct slipring_subscriber_options options = {
                .size = sizeof(options),
                .deadline_ns = SLIPRING_FOREVER,
        };
        struct slipring_subscriber *subscriber = NULL;

        atomic_fetch_add(&shared->ready, 1);
        if (slipring_subscriber_open(&subscriber, "late", &options, NULL) < 0) {
                return 1;
        }
        slipring_subscriber_close(subscriber);
        return 0;
}

/* Opens all the time, without waiting: the bus is there, whether it is managed or not. */
static int attach_run(void *argument) {
        struct slipring_subscriber *subscriber = NULL;
        struct slipring_publisher *publisher = NULL;
        struct slipring_error error = {0};
        char holder[32];

        (void) snprintf(holder, sizeof(holder), "%d", *(const pid_t *) argument);
        atomic_fetch_add(&shared->ready, 1);
        while (!atomic_load(&shared->detach)) {
                if (slipring_subscriber_open(&subscriber, "odom", NULL, &error) < 0) {
                        (void) fprintf(stderr, "attach: %s\n", error.text);
                        return 1;
                }
                subscriber = slipring_subscriber_close(subscriber);
                if (slipring_subscriber_open(&subscriber, "absent", NULL, &error) != -ENOENT ||
                    !strstr(error.text, "'absent'")) {
                        return 2;
                }
                if (slipring_publisher_open(&publisher, "imu", NULL, &error) != -EBUSY ||
                    !strstr(error.text, holder)) {
                        (void) fprintf(stderr, "attach: %s\n", error.text);
                        return 3;
                }
                atomic_fetch_add(&shared->attached, 1);
        }
        return 0;
}

/* --- the manager --- */

static void await_ready(unsigned count) {
        uint64_t patience_ns = slipring_in_ms(PATIENCE_MS);

        while (atomic_load(&shared->ready) < count) {
                assert_true(slipring_now_ns() < patience_ns);
                sleep_us(1000);
        }
}

/* Somebody opened from beginning to end while there was no manager. */
static void await_attach_in_the_gap(void) {
        uint64_t patience_ns = slipring_in_ms(PATIENCE_MS), before = atomic_load(&shared->attached);

        while (atomic_load(&shared->attached) < before + 2) {
                assert_true(slipring_now_ns() < patience_ns);
                sleep_us(100);
        }
}

static void assert_same(const struct layout_entry *before, const char *topic) {
        struct layout_entry after = daemon_entry(&bus, topic);

        assert_memory_equal(before, &after, sizeof(after));
}

/* Returns how long the bus had no manager that serves, in nanoseconds. */
static uint64_t kill_and_restart(unsigned round) {
        uint64_t killed_ns = slipring_now_ns();

        daemon_kill(&bus);
        await_attach_in_the_gap();
        if (round % 2) {
                /* One more, killed in its start. */
                daemon_spawn(&bus, NULL);
                sleep_us(round * 37 % 4000);
                daemon_kill(&bus);
                await_attach_in_the_gap();
        }
        daemon_skip(&bus);
        daemon_start(&bus, NULL);
        return slipring_now_ns() - killed_ns;
}

static void restart_often(unsigned count) {
        struct layout_entry imu = daemon_entry(&bus, "imu"), odom = daemon_entry(&bus, "odom");
        uint64_t gap_ns, worst_ns = 0, sum_ns = 0;
        unsigned round;

        for (round = 0; round < count; round++) {
                gap_ns = kill_and_restart(round);
                assert_same(&imu, "imu");
                assert_same(&odom, "odom");
                sum_ns += gap_ns;
                worst_ns = gap_ns > worst_ns ? gap_ns : worst_ns;
        }
        print_message("%u restarts, %u of them twice; without a manager: mean %.1f ms, longest "
                      "%.1f ms\n",
                      count, count / 2, (double) sum_ns / count / 1e6, (double) worst_ns / 1e6);
}

static void publish_once(const char *topic) {
        struct slipring_publisher *publisher = publisher_open(topic);
        struct message message = message_make(1);

        assert_int_equal(slipring_publisher_publish(publisher, &message, sizeof(message), 0), 0);
        slipring_publisher_close(publisher);
}

static void assert_report(enum manner manner) {
        const struct report *report = &shared->reports[manner];

        print_message("%s: %llu delivered + %llu missed == %llu published\n", manner_names[manner],
                      (unsigned long long) report->delivered, (unsigned long long) report->missed,
                      (unsigned long long) shared->published);
        assert_int_equal(report->bad, 0);
        assert_int_equal(report->missed, 0);
        assert_int_equal(report->delivered, shared->published);
        /* It did come to rest between samples. */
        assert_true(report->idle > 10);
}

static void test_nobody_notices_that_the_manager_is_killed(void **state) {
        struct reader readers[MANNERS] = {
                {.manner = BLOCKED}, {.manner = POLLING}, {.manner = EPOLL}};
        pid_t pids[MANNERS], publisher, attacher, first_sample, late_topic;
        int i;

        daemon_start(&bus, NULL);
        for (i = 0; i < MANNERS; i++) {
                pids[i] = process_start(read_run, &readers[i]);
        }
        first_sample = process_start(first_sample_run, NULL);
        late_topic = process_start(late_topic_run, NULL);
        await_ready(MANNERS + 2);
        publisher = process_start(publish_run, NULL);
        await_ready(MANNERS + 3);
        attacher = process_start(attach_run, &publisher);
        await_ready(MANNERS + 4);

        restart_often(harness_long() ? 1000 : 100);

        atomic_store(&shared->detach, 1);
        assert_int_equal(process_wait(attacher), 0);
        atomic_store(&shared->stop, 1);
        assert_int_equal(process_wait(publisher), 0);
        atomic_store(&shared->done, 1);
        for (i = 0; i < MANNERS; i++) {
                assert_int_equal(process_wait(pids[i]), 0);
                assert_report((enum manner) i);
        }
        publish_once("odom");
        assert_int_equal(process_wait(first_sample), 0);
        daemon_schema(&bus, "topics:\n" IMU ODOM LATE);
        daemon_signal(&bus, SIGHUP);
        assert_int_equal(process_wait(late_topic), 0);
        daemon_expect(&bus, "reloaded");
        assert_int_equal(daemon_stop(&bus, SIGTERM), 0);
}

/* --- fixtures --- */

static int setup(void **state) {
        shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1,
                      0);
        assert_true(shared != MAP_FAILED);
        daemon_setup(&bus);
        daemon_schema(&bus, "topics:\n" IMU ODOM);
        return 0;
}

static int teardown(void **state) {
        daemon_teardown(&bus);
        (void) munmap(shared, sizeof(*shared));
        return 0;
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(test_nobody_notices_that_the_manager_is_killed,
                                                setup, teardown),
        };

        (void) ipc_private(false);
        return cmocka_run_group_tests(tests, NULL, NULL);
}
