/*
 * Sleeping for samples: one topic, several, and through a file descriptor, by every way the kernel
 * offers. Each case of a wait set runs three times: io_uring, futex_waitv, FUTEX_WAIT.
 */

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/time.h>
#include <systemd/sd-event.h>
#include <time.h>
#include <unistd.h>

#include <slipring/publisher.h>
#include <slipring/subscriber.h>

#include "subscribers/subscriber.h"
#include "tests/harness/harness.h"

#define TOPICS 5
#define ROUNDS (harness_long() ? 20000u : 2000u)

static const char *const names[TOPICS] = {"a", "b", "c", "d", "e"};

/* What sleepers do for each other must not show. */
static bool chain;

/* Nor what they do before they sleep. */
static uint32_t spin_us;

static int setup(void **state) {
        static struct bus bus;
        struct topic_spec specs[TOPICS];
        int i;

        for (i = 0; i < TOPICS; i++) {
                specs[i] = topic_of(names[i], 64);
                specs[i].wake = chain ? LAYOUT_WAKE_CHAIN : LAYOUT_WAKE_DIRECT;
        }
        bus_start(&bus, specs, TOPICS);
        *state = &bus;
        return 0;
}

static int teardown(void **state) {
        (void) unsetenv("SLIPRING_DISABLE");
        chain = false;
        spin_us = 0;
        bus_stop(*state);
        return 0;
}

static int setup_waitv(void **state) {
        (void) setenv("SLIPRING_DISABLE", "io_uring", 1);
        return setup(state);
}

static int setup_wait(void **state) {
        (void) setenv("SLIPRING_DISABLE", "io_uring,futex_waitv", 1);
        return setup(state);
}

static int setup_chain(void **state) {
        chain = true;
        return setup(state);
}

static int setup_waitv_chain(void **state) {
        chain = true;
        return setup_waitv(state);
}

static int setup_wait_chain(void **state) {
        chain = true;
        return setup_wait(state);
}

static int setup_spin(void **state) {
        spin_us = SLIPRING_SPIN_US_MAX;
        return setup(state);
}

static int setup_spin_chain(void **state) {
        chain = true;
        return setup_spin(state);
}

static int setup_spin_wait(void **state) {
        spin_us = SLIPRING_SPIN_US_MAX;
        return setup_wait(state);
}

static struct slipring_subscriber *open_one(const char *topic, uint32_t start) {
        const struct slipring_subscriber_options options = {
                .size = sizeof(options),
                .start = start,
                .spin_us = spin_us,
        };
        struct slipring_subscriber *subscriber = NULL;

        assert_int_equal(slipring_subscriber_open(&subscriber, topic, &options, NULL), 0);
        return subscriber;
}

/* Whether it looked for samples before it slept is as it was told. */
static void assert_spun(struct slipring_subscriber *subscriber) {
        struct slipring_subscriber_info info;

        assert_int_equal(slipring_subscriber_info(subscriber, &info), 0);
        assert_true(info.spins >= info.spins_helped);
        if (spin_us == 0 || sysconf(_SC_NPROCESSORS_ONLN) == 1) {
                assert_int_equal(info.spins, 0);
        } else {
                assert_true(info.spins_helped > 0);
        }
}

static void pause_us(unsigned us) {
        struct timespec span = {.tv_nsec = (long) us * 1000};

        (void) nanosleep(&span, NULL);
}

/* A publisher in a process of its own: what it does depends on the case. */
struct work {
        const char *topic;
        unsigned count;
        unsigned pause_us;
};

static int publish_run(void *argument) {
        const struct work *work = argument;
        struct slipring_publisher *publisher = NULL;
        struct message message;
        unsigned i;

        if (slipring_publisher_open(&publisher, work->topic, NULL, NULL) < 0) {
                return 1;
        }
        for (i = 1; i <= work->count; i++) {
                if (work->pause_us) {
                        pause_us(work->pause_us);
                }
                message = message_make(i);
                if (slipring_publisher_publish(publisher, &message, sizeof(message), 0) < 0) {
                        return 2;
                }
        }
        slipring_publisher_close(publisher);
        return 0;
}

static void test_wait_ends_at_its_deadline_and_not_before(void **state) {
        struct slipring_subscriber *subscriber = subscriber_open("a", SLIPRING_START_NEXT);
        uint64_t deadline = slipring_in_ms(130);

        /* Longer than the bound of one sleep. */
        assert_int_equal(slipring_subscriber_wait(subscriber, deadline), -ETIMEDOUT);
        assert_true(slipring_now_ns() >= deadline);
        assert_int_equal(slipring_subscriber_wait(subscriber, 0), -ETIMEDOUT);
        slipring_subscriber_close(subscriber);
}

static void on_alarm(int number) {
}

/* Wait without end, with a signal handler that runs each 20 ms. */
static int wait_under_signals(struct slipring_subscriber *subscriber) {
        struct sigaction action = {.sa_handler = on_alarm, .sa_flags = SA_RESTART}, before;
        struct itimerval again = {.it_value = {.tv_usec = 20000},
                                  .it_interval = {.tv_usec = 20000}};
        struct itimerval stop = {0};
        int r;

        assert_int_equal(sigaction(SIGALRM, &action, &before), 0);
        assert_int_equal(setitimer(ITIMER_REAL, &again, NULL), 0);
        r = slipring_subscriber_wait(subscriber, SLIPRING_FOREVER);
        assert_int_equal(setitimer(ITIMER_REAL, &stop, NULL), 0);
        assert_int_equal(sigaction(SIGALRM, &before, NULL), 0);
        return r;
}

static void test_wait_ends_when_a_signal_handler_ran(void **state) {
        struct slipring_subscriber *subscriber = subscriber_open("a", SLIPRING_START_NEXT);

        assert_int_equal(wait_under_signals(subscriber), -EINTR);
        slipring_subscriber_close(subscriber);
}

static void test_a_sleeping_subscriber_gets_every_sample(void **state) {
        struct work work = {"a", ROUNDS, 30};
        struct slipring_subscriber *subscriber = open_one("a", SLIPRING_START_OLDEST);
        struct slipring_sample sample;
        struct message message;
        uint64_t seen = 0;
        pid_t pid = process_start(publish_run, &work);

        while (seen < work.count) {
                assert_int_equal(slipring_subscriber_wait(subscriber, slipring_in_ms(20000)), 0);
                while (slipring_subscriber_take(subscriber, &message, sizeof(message), &sample) ==
                       1) {
                        assert_true(message_whole(&message));
                        seen += 1 + sample.missed;
                        assert_int_equal(sample.sequence, seen);
                }
        }
        assert_int_equal(process_wait(pid), 0);
        assert_spun(subscriber);
        slipring_subscriber_close(subscriber);
}

/* A handle that looks for its samples as long as it may, from the first wait on. */
static struct slipring_subscriber *open_looking(const char *topic) {
        struct slipring_subscriber *subscriber = open_one(topic, SLIPRING_START_NEXT);

        subscriber->spin.budget_ns = SLIPRING_SPIN_US_MAX * UINT64_C(1000);
        subscriber->spin.mean_ns = subscriber->spin.budget_ns;
        subscriber->spin.share = SPIN_ALL;
        return subscriber;
}

static void test_looking_ends_at_the_deadline_and_not_before(void **state) {
        struct slipring_subscriber *subscriber = open_looking("a");
        struct slipring_subscriber_info info;
        uint64_t deadline;

        /* Who only polls does not wait, and so does not look. */
        assert_int_equal(slipring_subscriber_wait(subscriber, 0), -ETIMEDOUT);
        assert_int_equal(slipring_subscriber_wait_any(&subscriber, 1, 0), -ETIMEDOUT);
        assert_int_equal(slipring_subscriber_info(subscriber, &info), 0);
        assert_int_equal(info.spins, 0);
        deadline = slipring_in_ms(20);
        assert_int_equal(slipring_subscriber_wait(subscriber, deadline), -ETIMEDOUT);
        assert_true(slipring_now_ns() >= deadline);
        /* The last one was in vain: this one sleeps at once. */
        deadline = slipring_in_ms(20);
        assert_int_equal(slipring_subscriber_wait_any(&subscriber, 1, deadline), -ETIMEDOUT);
        assert_true(slipring_now_ns() >= deadline);
        deadline = slipring_in_ms(20);
        assert_int_equal(slipring_subscriber_wait_any(&subscriber, 1, deadline), -ETIMEDOUT);
        assert_true(slipring_now_ns() >= deadline);
        assert_int_equal(slipring_subscriber_info(subscriber, &info), 0);
        assert_int_equal(info.spins, 2);
        assert_int_equal(info.spins_helped, 0);
        slipring_subscriber_close(subscriber);
}

/* Looking goes on under signals, and the sleep behind it does not. */
static void test_looking_is_not_ended_by_signals(void **state) {
        struct slipring_subscriber *subscriber = open_looking("a");
        struct slipring_subscriber_info info;
        uint64_t begin_ns = slipring_now_ns();

        assert_int_equal(wait_under_signals(subscriber), -EINTR);
        assert_true(slipring_now_ns() - begin_ns >= subscriber->spin.budget_ns);
        /* It says nothing about the topic. */
        assert_int_equal(subscriber->spin.share, SPIN_ALL);
        assert_int_equal(slipring_subscriber_info(subscriber, &info), 0);
        assert_int_equal(info.spins, 1);
        slipring_subscriber_close(subscriber);
}

static int retire_run(void *argument) {
        struct slipring_subscriber *subscriber = open_looking("a");

        /* What the parent waits for. */
        if (write(*(int *) argument, "", 1) != 1) {
                return 1;
        }
        return slipring_subscriber_wait(subscriber, slipring_in_ms(20000)) == -EIDRM ? 0 : 2;
}

static void test_looking_ends_when_the_topic_is_retired(void **state) {
        struct topic_spec specs[TOPICS];
        int i, ends[2];
        char byte;
        pid_t pid;

        assert_int_equal(pipe(ends), 0);
        pid = process_start(retire_run, &ends[1]);
        assert_int_equal(read(ends[0], &byte, 1), 1);
        for (i = 0; i < TOPICS; i++) {
                specs[i] = topic_of(names[i], 32);
        }
        bus_apply(*state, specs, TOPICS);
        assert_int_equal(process_wait(pid), 0);
        (void) close(ends[0]);
        (void) close(ends[1]);
}

static void test_publishing_calls_the_kernel_only_for_sleepers(void **state) {
        struct slipring_publisher *publisher = publisher_open("a");
        struct slipring_subscriber *subscriber = subscriber_open("a", SLIPRING_START_NEXT);
        struct slipring_publisher_info info;
        struct message message = message_make(1);
        uint64_t wakeups;
        int i;

        assert_int_equal(slipring_publisher_info(publisher, &info), 0);
        wakeups = info.wakeups;
        for (i = 0; i < 100; i++) {
                assert_int_equal(
                        slipring_publisher_publish(publisher, &message, sizeof(message), 0), 0);
                assert_int_equal(
                        slipring_subscriber_take(subscriber, &message, sizeof(message), NULL), 1);
        }
        assert_int_equal(slipring_publisher_info(publisher, &info), 0);
        assert_int_equal(info.wakeups, wakeups);
        /* Who asks with a deadline that is past is no sleeper. */
        for (i = 0; i < 100; i++) {
                assert_int_equal(slipring_subscriber_wait(subscriber, 0), -ETIMEDOUT);
                assert_int_equal(slipring_subscriber_wait_any(&subscriber, 1, 0), -ETIMEDOUT);
                assert_int_equal(
                        slipring_publisher_publish(publisher, &message, sizeof(message), 0), 0);
                assert_int_equal(slipring_subscriber_wait(subscriber, 0), 0);
                assert_int_equal(
                        slipring_subscriber_take(subscriber, &message, sizeof(message), NULL), 1);
        }
        assert_int_equal(slipring_publisher_info(publisher, &info), 0);
        assert_int_equal(info.wakeups, wakeups);
        /* Somebody slept: one call, or one more, and none after that. */
        assert_int_equal(slipring_subscriber_wait(subscriber, slipring_in_ms(1)), -ETIMEDOUT);
        for (i = 0; i < 100; i++) {
                assert_int_equal(
                        slipring_publisher_publish(publisher, &message, sizeof(message), 0), 0);
        }
        assert_int_equal(slipring_publisher_info(publisher, &info), 0);
        assert_true(info.wakeups >= wakeups + 1 && info.wakeups <= wakeups + 2);
        slipring_subscriber_close(subscriber);
        slipring_publisher_close(publisher);
}

static void open_all(struct slipring_subscriber **subscribers) {
        int i;

        for (i = 0; i < TOPICS; i++) {
                subscribers[i] = open_one(names[i], SLIPRING_START_OLDEST);
        }
}

static void close_all(struct slipring_subscriber **subscribers) {
        int i;

        for (i = 0; i < TOPICS; i++) {
                slipring_subscriber_close(subscribers[i]);
        }
}

/* Before a wait set is made: a process forked beside threads that just start may find locks of the
 * C library or of a sanitizer taken for ever. */
static void start_all(pid_t *pids, struct work *work) {
        int i;

        for (i = 0; i < TOPICS; i++) {
                work[i] = (struct work){names[i], ROUNDS / TOPICS, 50 + 10u * (unsigned) i};
                pids[i] = process_start(publish_run, &work[i]);
        }
}

static void end_all(const pid_t *pids) {
        int i;

        for (i = 0; i < TOPICS; i++) {
                assert_int_equal(process_wait(pids[i]), 0);
        }
}

/* Take all there is; returns how many numbers that accounts for. */
static uint64_t drain(struct slipring_subscriber *subscriber) {
        struct slipring_sample sample;
        struct message message;
        uint64_t numbers = 0;
        int r;

        while ((r = slipring_subscriber_take(subscriber, &message, sizeof(message), &sample)) ==
               1) {
                assert_true(message_whole(&message));
                numbers += 1 + sample.missed;
        }
        assert_int_equal(r, 0);
        return numbers;
}

static void test_wait_any_wakes_for_each_topic(void **state) {
        struct slipring_subscriber *subscribers[TOPICS];
        struct work work[TOPICS];
        uint64_t numbers = 0;
        pid_t pids[TOPICS];
        int index;

        open_all(subscribers);
        start_all(pids, work);
        while (numbers < ROUNDS / TOPICS * TOPICS) {
                index = slipring_subscriber_wait_any(subscribers, TOPICS, slipring_in_ms(20000));
                assert_in_range(index, 0, TOPICS - 1);
                numbers += drain(subscribers[index]);
        }
        end_all(pids);
        assert_int_equal(slipring_subscriber_wait_any(subscribers, TOPICS, slipring_in_ms(1)),
                         -ETIMEDOUT);
        assert_spun(subscribers[0]);
        assert_int_equal(slipring_subscriber_wait_any(subscribers, 0, 0), -EINVAL);
        assert_int_equal(slipring_subscriber_wait_any(subscribers, 129, 0), -E2BIG);
        close_all(subscribers);
}

static void test_wait_any_starves_none(void **state) {
        struct slipring_publisher *a = publisher_open("a"), *b = publisher_open("b");
        struct slipring_subscriber *subscribers[TOPICS];
        struct message message = message_make(1);

        open_all(subscribers);
        assert_int_equal(slipring_publisher_publish(a, &message, sizeof(message), 0), 0);
        assert_int_equal(slipring_publisher_publish(b, &message, sizeof(message), 0), 0);
        assert_int_equal(slipring_subscriber_wait_any(subscribers, TOPICS, 0), 0);
        /* The first one was not taken and is ready still; the other's turn comes all the same. */
        assert_int_equal(slipring_subscriber_wait_any(subscribers, TOPICS, 0), 1);
        assert_int_equal(slipring_subscriber_wait_any(subscribers, TOPICS, 0), 0);
        close_all(subscribers);
        slipring_publisher_close(a);
        slipring_publisher_close(b);
}

/* --- wait sets --- */

static struct slipring_waitset *waitset_of(struct slipring_subscriber **subscribers) {
        struct slipring_waitset *waitset = NULL;
        int i;

        assert_int_equal(slipring_waitset_new(&waitset, NULL), 0);
        for (i = 0; i < TOPICS; i++) {
                assert_int_equal(slipring_waitset_add(waitset, subscribers[i]), 0);
                assert_int_equal(slipring_waitset_add(waitset, subscribers[i]), -EBUSY);
        }
        return waitset;
}

static bool readable(struct slipring_waitset *waitset, int timeout_ms) {
        struct pollfd event = {.fd = slipring_waitset_fd(waitset), .events = POLLIN};

        return poll(&event, 1, timeout_ms) == 1;
}

static void test_waitset_in_an_epoll_loop(void **state) {
        struct slipring_subscriber *subscribers[TOPICS], *ready[TOPICS];
        struct epoll_event event = {.events = EPOLLIN};
        struct slipring_waitset *waitset;
        struct work work[TOPICS];
        uint64_t numbers = 0;
        pid_t pids[TOPICS];
        int loop, count, i;

        open_all(subscribers);
        start_all(pids, work);
        waitset = waitset_of(subscribers);
        loop = epoll_create1(EPOLL_CLOEXEC);
        assert_true(loop >= 0);
        assert_int_equal(epoll_ctl(loop, EPOLL_CTL_ADD, slipring_waitset_fd(waitset), &event), 0);
        while (numbers < ROUNDS / TOPICS * TOPICS) {
                count = epoll_wait(loop, &event, 1, 20000);
                if (count < 0) {
                        assert_int_equal(errno, EINTR);
                        continue;
                }
                assert_int_equal(count, 1);
                count = slipring_waitset_ready(waitset, ready, TOPICS);
                for (i = 0; i < count; i++) {
                        numbers += drain(ready[i]);
                }
        }
        end_all(pids);
        (void) close(loop);
        slipring_waitset_close(waitset);
        close_all(subscribers);
}

/* A loop that never asks which topic moved, and takes one sample each time it is called. */
static void test_waitset_stays_readable_while_something_is_left(void **state) {
        struct slipring_publisher *publisher = publisher_open("a");
        struct slipring_subscriber *subscribers[TOPICS];
        struct slipring_waitset *waitset;
        struct message message;
        uint64_t i;

        open_all(subscribers);
        waitset = waitset_of(subscribers);
        for (i = 1; i <= 3; i++) {
                message = message_make(i);
                assert_int_equal(
                        slipring_publisher_publish(publisher, &message, sizeof(message), 0), 0);
        }
        for (i = 1; i <= 3; i++) {
                assert_true(readable(waitset, 20000));
                assert_int_equal(
                        slipring_subscriber_take(subscribers[0], &message, sizeof(message), NULL),
                        1);
                assert_int_equal(message.number, i);
        }
        slipring_waitset_close(waitset);
        close_all(subscribers);
        slipring_publisher_close(publisher);
}

static void test_waitset_is_quiet_after_takes_that_found_nothing(void **state) {
        struct slipring_publisher *publisher = publisher_open("a");
        struct slipring_subscriber *subscribers[TOPICS], *ready[TOPICS];
        struct slipring_waitset *waitset;
        struct message message = message_make(1);
        int i, quiet = 0;

        open_all(subscribers);
        waitset = waitset_of(subscribers);
        assert_int_equal(slipring_publisher_publish(publisher, &message, sizeof(message), 0), 0);
        assert_true(readable(waitset, 20000));
        assert_int_equal(slipring_waitset_ready(waitset, ready, TOPICS), 1);
        assert_ptr_equal(ready[0], subscribers[0]);
        assert_int_equal(drain(subscribers[0]), 1);
        assert_int_equal(slipring_waitset_ready(waitset, ready, TOPICS), 0);
        /* The tick of io_uring may fall in between, once in 100 ms. */
        for (i = 0; i < 20; i++) {
                quiet += !readable(waitset, 0);
                assert_int_equal(slipring_waitset_ready(waitset, ready, TOPICS), 0);
        }
        assert_true(quiet >= 18);
        slipring_waitset_close(waitset);
        close_all(subscribers);
        slipring_publisher_close(publisher);
}

static void test_waitset_members_come_and_go(void **state) {
        struct slipring_publisher *publisher = publisher_open("b");
        struct slipring_subscriber *subscribers[TOPICS], *ready[TOPICS];
        struct slipring_waitset *waitset;
        struct message message = message_make(1);
        int i;

        open_all(subscribers);
        waitset = waitset_of(subscribers);
        assert_int_equal(slipring_waitset_remove(waitset, subscribers[1]), 0);
        assert_int_equal(slipring_waitset_remove(waitset, subscribers[1]), -ENOENT);
        assert_int_equal(slipring_publisher_publish(publisher, &message, sizeof(message), 0), 0);
        for (i = 0; i < 3; i++) {
                (void) readable(waitset, 5);
                assert_int_equal(slipring_waitset_ready(waitset, ready, TOPICS), 0);
        }
        /* It had something when it came back. */
        assert_int_equal(slipring_waitset_add(waitset, subscribers[1]), 0);
        assert_true(readable(waitset, 20000));
        assert_int_equal(slipring_waitset_ready(waitset, ready, TOPICS), 1);
        assert_ptr_equal(ready[0], subscribers[1]);
        /* A subscriber that closes leaves by itself; a set that closes lets its subscribers go. */
        slipring_subscriber_close(subscribers[1]);
        slipring_waitset_close(waitset);
        subscribers[1] = subscriber_open("b", SLIPRING_START_OLDEST);
        assert_int_equal(drain(subscribers[1]), 1);
        close_all(subscribers);
        slipring_publisher_close(publisher);
}

static void test_waitset_follows_a_topic_to_its_successor(void **state) {
        struct topic_spec specs[] = {topic_of("a", 8), topic_of("b", 64)};
        struct slipring_subscriber *subscriber = subscriber_open("a", SLIPRING_START_OLDEST),
                                   *ready;
        struct slipring_publisher *publisher;
        struct slipring_waitset *waitset = NULL;
        struct message message = message_make(1);
        int i;

        assert_int_equal(slipring_waitset_new(&waitset, NULL), 0);
        assert_int_equal(slipring_waitset_add(waitset, subscriber), 0);
        bus_apply(*state, specs, 2);
        assert_true(readable(waitset, 20000));
        assert_int_equal(slipring_waitset_ready(waitset, &ready, 1), 1);
        assert_int_equal(slipring_subscriber_take(subscriber, &message, sizeof(message), NULL),
                         -EIDRM);
        assert_int_equal(slipring_subscriber_move(subscriber, 0, NULL), 0);
        publisher = publisher_open("a");
        for (i = 0; i < 3; i++) {
                assert_int_equal(
                        slipring_publisher_publish(publisher, &message, sizeof(message), 0), 0);
                assert_true(readable(waitset, 20000));
                assert_int_equal(drain(subscriber), 1);
        }
        slipring_waitset_close(waitset);
        slipring_subscriber_close(subscriber);
        slipring_publisher_close(publisher);
}

/* --- sd-event --- */

struct loop {
        struct slipring_waitset *waitset;
        uint64_t numbers;
};

static int on_ready(sd_event_source *source, int fd, uint32_t revents, void *argument) {
        struct slipring_subscriber *ready[TOPICS];
        struct loop *loop = argument;
        int i, count = slipring_waitset_ready(loop->waitset, ready, TOPICS);

        for (i = 0; i < count; i++) {
                loop->numbers += drain(ready[i]);
        }
        if (loop->numbers >= ROUNDS / TOPICS * TOPICS) {
                return sd_event_exit(sd_event_source_get_event(source), 0);
        }
        return 0;
}

static void test_waitset_in_an_sd_event_loop(void **state) {
        struct slipring_subscriber *subscribers[TOPICS];
        struct loop loop = {0};
        struct work work[TOPICS];
        sd_event *event = NULL;
        pid_t pids[TOPICS];
        int r;

        open_all(subscribers);
        start_all(pids, work);
        loop.waitset = waitset_of(subscribers);
        assert_true(sd_event_new(&event) >= 0);
        assert_true(sd_event_add_io(event, NULL, slipring_waitset_fd(loop.waitset), EPOLLIN,
                                    on_ready, &loop) >= 0);
        /* A completion of io_uring may end epoll_wait(2) with EINTR; sd-event hands that out. */
        do {
                r = sd_event_loop(event);
        } while (r == -EINTR);
        assert_int_equal(r, 0);
        assert_int_equal(loop.numbers, ROUNDS / TOPICS * TOPICS);
        end_all(pids);
        sd_event_unref(event);
        slipring_waitset_close(loop.waitset);
        close_all(subscribers);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
#define ON_A_CHAIN(name)                                                                           \
        { #name " (chain)", name, setup_chain, teardown, NULL }
#define SPINNING(name)                                                                             \
        {#name " (spinning)", name, setup_spin, teardown, NULL}, {                                 \
#name " (spinning, chain)", name, setup_spin_chain, teardown, NULL                 \
        }
#define EACH(name)                                                                                 \
        {#name " (io_uring)", name, setup, teardown, NULL},                                        \
                {#name " (futex_waitv)", name, setup_waitv, teardown, NULL},                       \
                {#name " (FUTEX_WAIT)", name, setup_wait, teardown, NULL},                         \
                {#name " (io_uring, chain)", name, setup_chain, teardown, NULL},                   \
                {#name " (futex_waitv, chain)", name, setup_waitv_chain, teardown, NULL}, {        \
#name " (FUTEX_WAIT, chain)", name, setup_wait_chain, teardown, NULL               \
        }

int main(void) {
        const struct CMUnitTest tests[] = {
                CASE(test_wait_ends_at_its_deadline_and_not_before),
                CASE(test_wait_ends_when_a_signal_handler_ran),
                CASE(test_a_sleeping_subscriber_gets_every_sample),
                ON_A_CHAIN(test_a_sleeping_subscriber_gets_every_sample),
                SPINNING(test_a_sleeping_subscriber_gets_every_sample),
                CASE(test_looking_ends_at_the_deadline_and_not_before),
                CASE(test_looking_is_not_ended_by_signals),
                CASE(test_looking_ends_when_the_topic_is_retired),
                CASE(test_publishing_calls_the_kernel_only_for_sleepers),
                EACH(test_wait_any_wakes_for_each_topic),
                SPINNING(test_wait_any_wakes_for_each_topic),
                {"test_wait_any_wakes_for_each_topic (spinning, FUTEX_WAIT)",
                 test_wait_any_wakes_for_each_topic, setup_spin_wait, teardown, NULL},
                CASE(test_wait_any_starves_none),
                EACH(test_waitset_in_an_epoll_loop),
                EACH(test_waitset_stays_readable_while_something_is_left),
                EACH(test_waitset_is_quiet_after_takes_that_found_nothing),
                EACH(test_waitset_members_come_and_go),
                EACH(test_waitset_follows_a_topic_to_its_successor),
                EACH(test_waitset_in_an_sd_event_loop),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
