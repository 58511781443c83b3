/*
 * Subscribers that are slow, that were stopped for hours, and a topic so old that its wake-up word,
 * the lower half of the count of samples, has wrapped: what is lost is counted exactly, and nobody
 * sleeps through a sample.
 *
 * Four thousand million samples take too long: the ring is moved on to where they would have left
 * it, while nobody reads.
 */

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <slipring/publisher.h>
#include <slipring/subscriber.h>

#include "tests/harness/harness.h"
#include "tests/harness/times.h"
#include "tests/harness/tracer.h"

#ifndef SYS_futex_waitv
#define SYS_futex_waitv 449
#endif
#ifndef SYS_io_uring_enter
#define SYS_io_uring_enter 426
#endif

#define DEPTH 16u
#define ROUND (UINT64_C(1) << 32) /* samples after which the wake-up word is the same again */
#define LATENCIES_MAX 4096u

enum manner {
        IN_WAIT,
        IN_WAIT_ANY,
        IN_POLL,        /* a wait set's descriptor */
        IN_POLL_HELPER, /* the same without io_uring */
        IN_POLL_OLD,    /* the same without futex_waitv either */
        IN_VIEW,        /* wait, and borrow instead of take */
        MANNERS,
};

static const char *const manner_names[MANNERS] = {
        "wait",        "wait_any", "poll, io_uring", "poll, helper thread", "poll, helper threads",
        "wait, borrow"};

struct report {
        _Atomic uint64_t sequence; /* of the last sample delivered */
        uint64_t delivered, missed;
        uint64_t gaps; /* missed as the samples themselves say */
        uint64_t stale, wrong;
        unsigned latencies;
        uint64_t latency_ns[LATENCIES_MAX];
};

struct shared {
        _Atomic uint64_t last; /* they end with this sample */
        _Atomic unsigned ready;
        struct report reports[MANNERS];
};

struct role {
        struct shared *shared;
        enum manner manner;
        bool traced;
        unsigned pause_us; /* between two samples */
};

static struct bus bus;

/* --- subscribers --- */

struct eyes {
        struct slipring_subscriber *subscribers[2]; /* imu last */
        struct slipring_waitset *waitset;
};

static bool polls(enum manner manner) {
        return manner == IN_POLL || manner == IN_POLL_HELPER || manner == IN_POLL_OLD;
}

static void eyes_open(struct eyes *eyes, enum manner manner) {
        *eyes = (struct eyes){.subscribers[1] = subscriber_open("imu", SLIPRING_START_NEXT)};
        if (manner == IN_WAIT_ANY) {
                eyes->subscribers[0] = subscriber_open("odom", SLIPRING_START_NEXT);
        }
        if (manner == IN_POLL_HELPER || manner == IN_POLL_OLD) {
                (void) setenv("SLIPRING_DISABLE",
                              manner == IN_POLL_OLD ? "io_uring,futex_waitv" : "io_uring", 1);
        }
        if (polls(manner) && slipring_waitset_new(&eyes->waitset, NULL) < 0) {
                _exit(10);
        }
}

/* Until it is told that there is something, and only then. */
static void eyes_wait(const struct eyes *eyes) {
        struct slipring_subscriber *one;
        struct pollfd event = {.events = POLLIN};

        if (eyes->waitset) {
                event.fd = slipring_waitset_fd(eyes->waitset);
                do {
                        (void) ppoll(&event, 1, NULL, NULL);
                } while (slipring_waitset_ready(eyes->waitset, &one, 1) == 0);
        } else if (eyes->subscribers[0]) {
                (void) slipring_subscriber_wait_any(eyes->subscribers, 2, SLIPRING_FOREVER);
        } else {
                (void) slipring_subscriber_wait(eyes->subscribers[1], SLIPRING_FOREVER);
        }
}

static void note_sample(struct report *report,
                        const struct slipring_sample *sample,
                        const struct message *message) {
        if (report->latencies < LATENCIES_MAX) {
                report->latency_ns[report->latencies++] =
                        slipring_now_ns() - sample->publish_time_ns;
        }
        report->gaps += sample->missed;
        report->wrong += !message_whole(message) || message->number != sample->sequence ||
                         sample->sequence <= atomic_load(&report->sequence);
        atomic_store(&report->sequence, sample->sequence);
}

/* Returns false once there is nothing new. */
static bool look(const struct role *role, struct slipring_subscriber *subscriber) {
        struct report *report = &role->shared->reports[role->manner];
        struct slipring_sample sample;
        struct message message;

        if (role->manner != IN_VIEW) {
                if (slipring_subscriber_take(subscriber, &message, sizeof(message), &sample) != 1) {
                        return false;
                }
        } else {
                if (slipring_subscriber_borrow(subscriber, &sample) != 1) {
                        return false;
                }
                memcpy(&message, sample.payload, sizeof(message));
                (void) usleep(role->pause_us);
                if (slipring_subscriber_release(subscriber) < 0) {
                        report->stale++;
                        return true;
                }
        }
        note_sample(report, &sample, &message);
        return true;
}

static int subscriber_run(void *argument) {
        const struct role *role = argument;
        struct report *report = &role->shared->reports[role->manner];
        struct slipring_subscriber_info info = {0};
        struct eyes eyes;

        eyes_open(&eyes, role->manner);
        if (role->traced && (ptrace(PTRACE_TRACEME, 0, NULL, NULL) < 0 || raise(SIGSTOP) != 0)) {
                return 1;
        }
        if (eyes.waitset && slipring_waitset_add(eyes.waitset, eyes.subscribers[1]) < 0) {
                return 2;
        }
        atomic_fetch_add(&role->shared->ready, 1);
        do {
                while (look(role, eyes.subscribers[1])) {
                        (void) (role->pause_us ? usleep(role->pause_us) : 0);
                }
                if (slipring_subscriber_info(eyes.subscribers[1], &info) < 0) {
                        return 3;
                }
                if (atomic_load(&report->sequence) < atomic_load(&role->shared->last)) {
                        eyes_wait(&eyes);
                }
        } while (atomic_load(&report->sequence) < atomic_load(&role->shared->last));
        report->delivered = info.delivered;
        report->missed = info.missed;
        slipring_waitset_close(eyes.waitset);
        slipring_subscriber_close(eyes.subscribers[1]);
        slipring_subscriber_close(eyes.subscribers[0]);
        return 0;
}

/* The system call that it sleeps in. */
static long call_of(enum manner manner) {
        if (polls(manner)) {
                return SYS_ppoll;
        }
        return manner == IN_WAIT_ANY ? SYS_futex_waitv : SYS_futex;
}

/* --- the topic --- */

static struct shared *scene_open(void) {
        struct topic_spec specs[] = {topic_of("imu", DEPTH), topic_of("odom", DEPTH)};
        struct shared *shared;

        shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1,
                      0);
        assert_true(shared != MAP_FAILED);
        atomic_store(&shared->last, UINT64_MAX);
        bus_start(&bus, specs, 2);
        return shared;
}

static void scene_close(struct shared *shared) {
        (void) munmap(shared, sizeof(*shared));
        bus_stop(&bus);
}

static struct layout_words *words(void) {
        return registry_ring(bus.registry, 0)->words;
}

static void publish(struct slipring_publisher *publisher, uint64_t number) {
        struct message message = message_make(number);

        assert_int_equal(slipring_publisher_publish(publisher, &message, sizeof(message), 0), 0);
}

static void publish_many(struct slipring_publisher *publisher, uint64_t first, uint64_t count) {
        while (count-- > 0) {
                publish(publisher, first++);
        }
}

/* As if this many samples more had been published, of which the ring holds the last. A new
 * publisher goes on from there. */
static struct slipring_publisher *move_on(struct slipring_publisher *publisher, uint64_t count) {
        const struct ring *ring = registry_ring(bus.registry, 0);
        uint64_t head = atomic_load(&words()->head) + count;
        uint32_t i;

        assert_int_equal(count % DEPTH, 0);
        assert_true(count >= DEPTH);
        publish_many(publisher, head - DEPTH + 1, DEPTH);
        slipring_publisher_close(publisher);
        for (i = 0; i < DEPTH; i++) {
                atomic_fetch_add(&ring_slot(ring, i)->stamp, 2 * (count - DEPTH));
        }
        atomic_store(&words()->head, head);
        atomic_store(&words()->wake, (uint32_t) head);
        return publisher_open("imu");
}

static void await(const struct shared *shared, enum manner manner, uint64_t sequence) {
        while (atomic_load(&shared->reports[manner].sequence) < sequence) {
                (void) usleep(20);
        }
}

static void await_ready(const struct shared *shared, unsigned count) {
        while (atomic_load(&shared->ready) < count) {
                (void) usleep(100);
        }
}

static void report_check(const struct shared *shared, enum manner manner, uint64_t published) {
        const struct report *report = &shared->reports[manner];
        struct times times = {0};
        char what[64];
        unsigned i;

        print_message("  %s: %llu delivered + %llu missed == %llu published\n",
                      manner_names[manner], (unsigned long long) report->delivered,
                      (unsigned long long) report->missed, (unsigned long long) published);
        assert_int_equal(report->delivered + report->missed, published);
        assert_int_equal(report->gaps, report->missed);
        assert_int_equal(report->wrong, 0);
        for (i = 0; i < report->latencies; i++) {
                times_add(&times, report->latency_ns[i]);
        }
        (void) snprintf(what, sizeof(what), "  %s, latency", manner_names[manner]);
        times_print(&times, what);
}

/* --- the word wraps --- */

#define AROUND 64u /* samples each side of the wrap for which everyone is asleep */

static void await_asleep(const pid_t *pids) {
        unsigned i;

        for (i = 0; i < MANNERS; i++) {
                process_await_call(pids[i], call_of((enum manner) i));
        }
}

static uint64_t wakeups(struct slipring_publisher *publisher) {
        struct slipring_publisher_info info;

        assert_int_equal(slipring_publisher_info(publisher, &info), 0);
        return info.wakeups;
}

/* In step: each sample is seen by all before the next one comes. */
static void publish_in_step(struct shared *shared,
                            struct slipring_publisher *publisher,
                            const pid_t *pids,
                            uint64_t first,
                            uint64_t last) {
        uint64_t number, before = 0;
        bool asleep;
        unsigned i;

        for (number = first; number <= last; number++) {
                asleep = number >= ROUND - AROUND && number <= ROUND + AROUND;
                if (asleep) {
                        await_asleep(pids);
                        before = wakeups(publisher);
                }
                if (number == last) {
                        atomic_store(&shared->last, last);
                }
                publish(publisher, number);
                assert_true(!asleep || wakeups(publisher) == before + 1);
                assert_int_equal(atomic_load(&words()->wake), (uint32_t) number);
                for (i = 0; i < MANNERS; i++) {
                        await(shared, (enum manner) i, number);
                }
        }
}

static void test_wake_word_wraps_under_sleepers_of_every_kind(void **state) {
        struct slipring_publisher *publisher;
        struct shared *shared = scene_open();
        struct role roles[MANNERS];
        pid_t pids[MANNERS];
        unsigned i;

        publisher = move_on(publisher_open("imu"), ROUND - 1024);
        for (i = 0; i < MANNERS; i++) {
                roles[i] = (struct role){.shared = shared, .manner = (enum manner) i};
                pids[i] = process_start(subscriber_run, &roles[i]);
        }
        await_ready(shared, MANNERS);
        publish_in_step(shared, publisher, pids, ROUND - 1023, ROUND + 1024);
        for (i = 0; i < MANNERS; i++) {
                assert_int_equal(process_wait(pids[i]), 0);
                report_check(shared, (enum manner) i, 2048);
                assert_int_equal(shared->reports[i].missed, 0);
        }
        slipring_publisher_close(publisher);
        scene_close(shared);
}

/* --- slow --- */

static void test_slow_subscribers_loss_is_exact(void **state) {
        uint64_t count = harness_long() ? 20000000 : 2000000;
        struct slipring_publisher *publisher;
        struct shared *shared = scene_open();
        static const enum manner manners[] = {IN_WAIT, IN_VIEW};
        struct role roles[2];
        pid_t pids[2];
        unsigned i;

        publisher = publisher_open("imu");
        for (i = 0; i < 2; i++) {
                roles[i] = (struct role){shared, manners[i], false, 300};
                pids[i] = process_start(subscriber_run, &roles[i]);
        }
        await_ready(shared, 2);
        publish_many(publisher, 1, count - 1);
        atomic_store(&shared->last, count);
        publish(publisher, count);
        for (i = 0; i < 2; i++) {
                assert_int_equal(process_wait(pids[i]), 0);
                report_check(shared, manners[i], count);
                assert_true(shared->reports[manners[i]].missed > count / 2);
        }
        print_message("  views that were overwritten: %llu\n",
                      (unsigned long long) shared->reports[IN_VIEW].stale);
        slipring_publisher_close(publisher);
        scene_close(shared);
}

/* --- stopped --- */

static void stop(pid_t pid) {
        int status;

        assert_int_equal(kill(pid, SIGSTOP), 0);
        assert_int_equal(waitpid(pid, &status, WUNTRACED), pid);
        assert_true(WIFSTOPPED(status));
}

/* Three weeks and a half at 2 kHz; the first and the last of it are really published. */
static void test_stopped_for_weeks_loss_is_exact(void **state) {
        uint64_t published = 100 + 200000 + ROUND - DEPTH + 160, number;
        struct slipring_publisher *publisher;
        struct shared *shared = scene_open();
        struct role roles[MANNERS];
        pid_t pids[MANNERS];
        unsigned i;

        publisher = publisher_open("imu");
        for (i = 0; i < MANNERS; i++) {
                roles[i] = (struct role){.shared = shared, .manner = (enum manner) i};
                pids[i] = process_start(subscriber_run, &roles[i]);
        }
        await_ready(shared, MANNERS);
        for (number = 1; number <= 100; number++) {
                publish(publisher, number);
        }
        for (i = 0; i < MANNERS; i++) {
                await(shared, (enum manner) i, 100);
                stop(pids[i]);
        }
        publish_many(publisher, 101, 200000);
        publisher = move_on(publisher, ROUND - DEPTH);
        publish_many(publisher, atomic_load(&words()->head) + 1, 159);
        for (i = 0; i < MANNERS; i++) {
                assert_int_equal(kill(pids[i], SIGCONT), 0);
        }
        atomic_store(&shared->last, published);
        publish(publisher, published);
        for (i = 0; i < MANNERS; i++) {
                assert_int_equal(process_wait(pids[i]), 0);
                report_check(shared, (enum manner) i, published);
                assert_in_range(shared->reports[i].delivered, 1, 100 + DEPTH + 1);
        }
        slipring_publisher_close(publisher);
        scene_close(shared);
}

/* --- exactly one round behind --- */

/* Let it run to the call after which it sleeps, having looked in vain. */
static void run_to_sleep(struct tracer *tracer, long call) {
        do {
                assert_true(tracer_next(tracer));
        } while (!tracer->entering || (long) tracer->call != call);
}

/* The same for a wait set: let it poll, publish one sample, and let it run to the @nth call of
 * io_uring that it makes before, with that sample taken, it polls again. Returns false if it makes
 * fewer. */
static bool run_to_uring(struct tracer *tracer,
                         const struct shared *shared,
                         struct slipring_publisher *publisher,
                         unsigned nth) {
        run_to_sleep(tracer, SYS_ppoll);
        publish(publisher, 6);
        do {
                assert_true(tracer_next(tracer));
                if (tracer->entering && tracer->call == SYS_ppoll &&
                    atomic_load(&shared->reports[IN_POLL].sequence) == 6) {
                        return false;
                }
                nth -= tracer->entering && tracer->call == SYS_io_uring_enter;
        } while (nth > 0);
        return true;
}

static void behind_check(const struct shared *shared, enum manner manner, uint64_t since_ns) {
        uint64_t published = shared->reports[manner].delivered - DEPTH + ROUND;

        print_message("  %s: woken after %.1f ms\n", manner_names[manner],
                      (double) (slipring_now_ns() - since_ns) / 1e6);
        report_check(shared, manner, published);
        assert_int_equal(shared->reports[manner].missed, ROUND - DEPTH);
}

/*
 * It has looked, found nothing and is about to sleep while the word is w; then ROUND samples come
 * and the word is w again. It falls asleep over all of them, and the bound wakes it.
 */
static bool fall_behind(enum manner manner, unsigned nth) {
        struct shared *shared = scene_open();
        struct role role = {.shared = shared, .manner = manner, .traced = true};
        struct slipring_publisher *publisher = publisher_open("imu");
        struct tracer tracer;
        uint64_t since_ns;
        bool there = true;
        uint32_t word;
        pid_t pid;

        /* Not 0, what the word is before the first sample. */
        publish_many(publisher, 1, 5);
        pid = process_start(subscriber_run, &role);
        tracer_begin(&tracer, pid);
        if (manner == IN_POLL) {
                there = run_to_uring(&tracer, shared, publisher, nth);
        } else {
                run_to_sleep(&tracer, call_of(manner));
        }
        if (there) {
                word = atomic_load(&words()->wake);
                publisher = move_on(publisher, ROUND);
                assert_int_equal(atomic_load(&words()->wake), word);
                atomic_store(&shared->last, ROUND + word);
                since_ns = slipring_now_ns();
                assert_true(tracer_next(&tracer));
                assert_false(tracer.entering);
                /* It did sleep: not -EAGAIN, and nobody woke it. (Or it has told io_uring to.) */
                assert_int_equal(tracer.result, manner == IN_POLL ? 1 : -ETIMEDOUT);
                tracer_release(&tracer);
                assert_int_equal(process_wait(pid), 0);
                behind_check(shared, manner, since_ns);
        } else {
                process_kill(pid);
        }
        slipring_publisher_close(publisher);
        scene_close(shared);
        return there;
}

static void test_asleep_over_exactly_one_round(void **state) {
        unsigned nth = 0;

        assert_true(fall_behind(IN_WAIT, 0));
        assert_true(fall_behind(IN_WAIT_ANY, 0));
        while (fall_behind(IN_POLL, nth + 1)) {
                nth++;
        }
        if (nth == 0) {
                print_message("no io_uring here: that way of sleeping was skipped\n");
        }
}

/* Asleep already when it is stopped: what wakes it meanwhile finds the word as it was. */
static void test_stopped_over_exactly_one_round(void **state) {
        struct slipring_publisher *publisher;
        struct shared *shared;
        struct role role;
        uint64_t since_ns;
        unsigned i;
        pid_t pid;

        for (i = 0; i < MANNERS; i++) {
                shared = scene_open();
                role = (struct role){.shared = shared, .manner = (enum manner) i};
                publisher = publisher_open("imu");
                publish_many(publisher, 1, 5);
                pid = process_start(subscriber_run, &role);
                await_ready(shared, 1);
                process_await_call(pid, call_of(role.manner));
                stop(pid);
                publisher = move_on(publisher, ROUND);
                atomic_store(&shared->last, ROUND + 5);
                since_ns = slipring_now_ns();
                assert_int_equal(kill(pid, SIGCONT), 0);
                assert_int_equal(process_wait(pid), 0);
                behind_check(shared, role.manner, since_ns);
                slipring_publisher_close(publisher);
                scene_close(shared);
        }
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_wake_word_wraps_under_sleepers_of_every_kind),
                cmocka_unit_test(test_slow_subscribers_loss_is_exact),
                cmocka_unit_test(test_stopped_for_weeks_loss_is_exact),
                cmocka_unit_test(test_asleep_over_exactly_one_round),
                cmocka_unit_test(test_stopped_over_exactly_one_round),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
