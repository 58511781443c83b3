/*
 * What programs do to their clients without a thought: fork, exec, threads, signals, handles closed
 * in any order, another wall clock, another IPC namespace.
 */

#include <dirent.h>
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <slipring/publisher.h>
#include <slipring/subscriber.h>

#include "tests/harness/harness.h"

/* --- another clock --- */

static _Atomic int64_t realtime_shift_s;
static _Atomic unsigned realtime_asked;

#pragma GCC visibility push(default)

/* Instead of libc's, for the libraries too: the wall clock is where a test puts it. */
int clock_gettime(clockid_t clock, struct timespec *now) {
        int r = (int) syscall(SYS_clock_gettime, clock, now);

        if (r == 0 && clock == CLOCK_REALTIME) {
                (void) atomic_fetch_add(&realtime_asked, 1);
                now->tv_sec += (time_t) atomic_load(&realtime_shift_s);
        }
        return r;
}

#pragma GCC visibility pop

/* --- setting up --- */

static int setup(void **state) {
        static struct bus bus;
        struct topic_spec specs[] = {topic_of("imu", 4), topic_of("odom", 2)};

        specs[0].deadline_ns = UINT64_C(60000000000);
        bus_start(&bus, specs, 2);
        *state = &bus;
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

static int teardown(void **state) {
        (void) unsetenv("SLIPRING_DISABLE");
        atomic_store(&realtime_shift_s, 0);
        bus_stop(*state);
        return 0;
}

static int publish_one(struct slipring_publisher *publisher) {
        struct message message = message_make(1);

        return slipring_publisher_publish(publisher, &message, sizeof(message), 0);
}

static int take_one(struct slipring_subscriber *subscriber) {
        struct message message;

        return slipring_subscriber_take(subscriber, &message, sizeof(message), NULL);
}

/* --- fork --- */

static void test_a_forked_child_has_no_handles(void **state) {
        struct slipring_publisher *publisher = publisher_open("imu"), *own = NULL;
        struct slipring_subscriber *subscriber = subscriber_open("imu", SLIPRING_START_OLDEST);
        struct slipring_waitset *waitset = NULL;
        struct slipring_subscriber_info info;
        struct message message = message_make(1);
        struct slipring_latency latency;
        struct slipring_sample sample;
        void *payload = NULL;
        pid_t pid;

        assert_int_equal(slipring_waitset_new(&waitset, NULL), 0);
        assert_int_equal(slipring_waitset_add(waitset, subscriber), 0);
        assert_int_equal(slipring_subscriber_record_latency(subscriber, true), 0);
        (void) fflush(NULL);
        pid = fork();
        assert_true(pid >= 0);
        if (pid == 0) {
                int bad = 0;

                bad |= slipring_publisher_publish(publisher, &message, 64, 0) != -ECHILD;
                bad |= slipring_publisher_loan(publisher, &payload) != -ECHILD;
                bad |= slipring_publisher_commit(publisher, 0) != -ECHILD;
                bad |= slipring_publisher_abandon(publisher) != -ECHILD;
                bad |= slipring_publisher_move(publisher, 0, NULL) != -ECHILD;
                bad |= slipring_subscriber_take(subscriber, &message, 64, &sample) != -ECHILD;
                bad |= slipring_subscriber_take_newest(subscriber, &message, 64, NULL) != -ECHILD;
                bad |= slipring_subscriber_borrow(subscriber, &sample) != -ECHILD;
                bad |= slipring_subscriber_release(subscriber) != -ECHILD;
                bad |= slipring_subscriber_wait(subscriber, 0) != -ECHILD;
                bad |= slipring_subscriber_wait_any(&subscriber, 1, 0) != -ECHILD;
                bad |= slipring_subscriber_info(subscriber, &info) != -ECHILD;
                bad |= slipring_subscriber_move(subscriber, 0, NULL) != -ECHILD;
                bad |= slipring_subscriber_borrow_newest(subscriber, &sample) != -ECHILD;
                bad |= slipring_subscriber_record_latency(subscriber, false) != -ECHILD;
                bad |= slipring_subscriber_latency(subscriber, &latency) != -ECHILD;
                bad |= slipring_subscriber_latency_buckets(subscriber, NULL, 0) != -ECHILD;
                bad |= slipring_subscriber_reset_latency(subscriber) != -ECHILD;
                bad |= slipring_waitset_add(waitset, subscriber) != -ECHILD;
                bad |= slipring_waitset_remove(waitset, subscriber) != -ECHILD;
                bad |= slipring_waitset_fd(waitset) != -ECHILD;
                bad |= slipring_waitset_ready(waitset, &subscriber, 1) != -ECHILD;
                /* Its own handles are its own; the parent still publishes. */
                bad |= slipring_publisher_open(&own, "imu", NULL, NULL) != -EBUSY;
                bad |= slipring_publisher_open(&own, "odom", NULL, NULL) != 0;
                bad |= slipring_publisher_publish(own, &message, 64, 0) != 0;
                slipring_publisher_close(own);
                slipring_waitset_close(waitset);
                slipring_publisher_close(publisher);
                slipring_subscriber_close(subscriber);
                _exit(bad);
        }
        assert_int_equal(process_wait(pid), 0);
        assert_int_equal(slipring_publisher_publish(publisher, &message, sizeof(message), 0), 0);
        assert_int_equal(slipring_subscriber_take(subscriber, &message, sizeof(message), NULL), 1);
        slipring_waitset_close(waitset);
        slipring_subscriber_close(subscriber);
        slipring_publisher_close(publisher);
}

static void test_a_child_closes_what_it_inherited_in_any_order(void **state) {
        struct slipring_subscriber *subscriber = subscriber_open("imu", SLIPRING_START_OLDEST);
        struct slipring_publisher *publisher = publisher_open("imu");
        struct slipring_waitset *waitset = NULL;
        struct message message = message_make(1);
        pid_t pid;
        int order;

        (void) state;
        assert_int_equal(slipring_waitset_new(&waitset, NULL), 0);
        assert_int_equal(slipring_waitset_add(waitset, subscriber), 0);
        for (order = 0; order < 2; order++) {
                (void) fflush(NULL);
                pid = fork();
                assert_true(pid >= 0);
                if (pid == 0) {
                        if (order == 0) {
                                slipring_subscriber_close(subscriber);
                                slipring_waitset_close(waitset);
                        } else {
                                slipring_waitset_close(waitset);
                                slipring_subscriber_close(subscriber);
                        }
                        slipring_publisher_close(publisher);
                        _exit(0);
                }
                assert_int_equal(process_wait(pid), 0);
        }
        assert_int_equal(slipring_publisher_publish(publisher, &message, sizeof(message), 0), 0);
        assert_int_equal(slipring_waitset_ready(waitset, &subscriber, 1), 1);
        slipring_waitset_close(waitset);
        slipring_subscriber_close(subscriber);
        slipring_publisher_close(publisher);
}

/* --- exec --- */

static int descriptors_count(void) {
        DIR *directory = opendir("/proc/self/fd");
        const struct dirent *entry;
        int count = 0;

        while (directory && (entry = readdir(directory))) {
                count += *entry->d_name != '.';
        }
        if (directory) {
                (void) closedir(directory);
        }
        return count;
}

/* What this program is when it is run by exec_run(): says how many descriptors it has, and stays
 * until it is told to go. */
static int after_exec(void) {
        char count = (char) descriptors_count();

        return write(STDOUT_FILENO, &count, 1) == 1 && read(STDIN_FILENO, &count, 1) == 0 ? 0 : 1;
}

static int exec_run(void *argument) {
        struct slipring_publisher *publisher = publisher_open("imu");
        struct slipring_subscriber *subscriber = subscriber_open("odom", SLIPRING_START_NEXT);
        struct slipring_waitset *waitset = NULL;
        int *pipes = argument;

        if (slipring_waitset_new(&waitset, NULL) < 0 ||
            slipring_waitset_add(waitset, subscriber) < 0 || publish_one(publisher) < 0 ||
            dup2(pipes[0], STDIN_FILENO) < 0 || dup2(pipes[3], STDOUT_FILENO) < 0) {
                return 1;
        }
        for (int i = 0; i < 4; i++) {
                (void) close(pipes[i]);
        }
        (void) execl("/proc/self/exe", "test-habits", "after-exec", NULL);
        return 2;
}

/* Descriptors and mappings end with the program, the claim with the process. */
static void test_exec_with_handles_open(void **state) {
        struct slipring_subscriber *subscriber = subscriber_open("imu", SLIPRING_START_NEXT);
        struct slipring_publisher *publisher = NULL;
        struct slipring_subscriber_info info;
        int pipes[4], before = descriptors_count();
        uint32_t attached;
        char count = 0;
        pid_t pid;

        assert_int_equal(slipring_subscriber_info(subscriber, &info), 0);
        attached = info.attached;
        assert_int_equal(pipe(pipes), 0);
        assert_int_equal(pipe(pipes + 2), 0);
        pid = process_start(exec_run, pipes);
        (void) close(pipes[0]);
        (void) close(pipes[3]);
        assert_int_equal(read(pipes[2], &count, 1), 1);
        assert_int_equal(count, before);
        assert_int_equal(slipring_subscriber_info(subscriber, &info), 0);
        assert_int_equal(info.attached, attached);
        assert_int_equal(info.publisher_pid, pid);
        assert_int_equal(slipring_publisher_open(&publisher, "imu", NULL, NULL), -EBUSY);
        (void) close(pipes[1]);
        (void) close(pipes[2]);
        assert_int_equal(process_wait(pid), 0);
        assert_int_equal(slipring_publisher_open(&publisher, "imu", NULL, NULL), 0);
        slipring_publisher_close(publisher);
        slipring_subscriber_close(subscriber);
}

/* --- threads --- */

struct handover {
        struct slipring_subscriber *subscriber;
        struct slipring_waitset *waitset;
        int r;
};

static void *arm_run(void *argument) {
        struct handover *handover = argument;
        struct message message;

        handover->r = slipring_waitset_new(&handover->waitset, NULL);
        if (handover->r == 0) {
                handover->r = slipring_waitset_add(handover->waitset, handover->subscriber);
        }
        if (handover->r == 0) {
                handover->r = slipring_subscriber_take(handover->subscriber, &message,
                                                       sizeof(message), NULL);
        }
        return NULL;
}

/* io_uring cancels what a thread has waiting when that thread ends. */
static void test_a_wait_set_outlives_the_thread_that_armed_it(void **state) {
        struct slipring_publisher *publisher = publisher_open("imu");
        struct handover handover = {.subscriber = subscriber_open("imu", SLIPRING_START_OLDEST)};
        struct slipring_subscriber *ready;
        struct pollfd event = {.events = POLLIN};
        struct message message;
        pthread_t thread;
        uint64_t i;

        (void) state;
        assert_int_equal(pthread_create(&thread, NULL, arm_run, &handover), 0);
        assert_int_equal(pthread_join(thread, NULL), 0);
        assert_int_equal(handover.r, 0);
        event.fd = slipring_waitset_fd(handover.waitset);
        for (i = 1; i <= 20; i++) {
                message = message_make(i);
                assert_int_equal(
                        slipring_publisher_publish(publisher, &message, sizeof(message), 0), 0);
                do {
                        assert_int_equal(poll(&event, 1, 10000), 1);
                } while (slipring_waitset_ready(handover.waitset, &ready, 1) == 0);
                assert_int_equal(slipring_subscriber_take(ready, &message, sizeof(message), NULL),
                                 1);
                assert_int_equal(message.number, i);
                assert_int_equal(slipring_subscriber_take(ready, &message, sizeof(message), NULL),
                                 0);
        }
        slipring_waitset_close(handover.waitset);
        slipring_subscriber_close(handover.subscriber);
        slipring_publisher_close(publisher);
}

static void *wait_run(void *argument) {
        struct handover *handover = argument;

        handover->r = slipring_subscriber_wait(handover->subscriber, slipring_in_ms(20000));
        if (handover->r == 0) {
                handover->r = take_one(handover->subscriber);
        }
        return NULL;
}

static void *close_run(void *argument) {
        struct handover *handover = argument;

        handover->subscriber = slipring_subscriber_close(handover->subscriber);
        return NULL;
}

/* One thread at a time: opened in this one, waited on in a second, closed in a third. */
static void test_a_handle_goes_from_thread_to_thread(void **state) {
        struct handover handover = {.subscriber = subscriber_open("imu", SLIPRING_START_NEXT)};
        struct slipring_publisher *publisher = publisher_open("imu");
        pthread_t thread;

        assert_int_equal(pthread_create(&thread, NULL, wait_run, &handover), 0);
        (void) usleep(20000);
        assert_int_equal(publish_one(publisher), 0);
        assert_int_equal(pthread_join(thread, NULL), 0);
        assert_int_equal(handover.r, 1);
        assert_int_equal(pthread_create(&thread, NULL, close_run, &handover), 0);
        assert_int_equal(pthread_join(thread, NULL), 0);
        assert_null(handover.subscriber);
        slipring_publisher_close(publisher);
}

static void *open_run(void *argument) {
        struct slipring_publisher **publisher = argument;

        (void) slipring_publisher_open(publisher, "imu", NULL, NULL);
        return NULL;
}

/* The claim is the process's: it outlives the thread that took it. */
static void test_a_claim_outlives_its_thread(void **state) {
        struct slipring_publisher *publisher = NULL, *other = NULL;
        pthread_t thread;

        assert_int_equal(pthread_create(&thread, NULL, open_run, &publisher), 0);
        assert_int_equal(pthread_join(thread, NULL), 0);
        assert_non_null(publisher);
        assert_int_equal(slipring_publisher_open(&other, "imu", NULL, NULL), -EBUSY);
        assert_int_equal(publish_one(publisher), 0);
        slipring_publisher_close(publisher);
}

/* --- signals --- */

static void on_alarm(int number) {
}

/* Every 20 ms, since one may come before the call sleeps. */
static void alarms(bool on, int flags) {
        struct sigaction action = {.sa_handler = on_alarm, .sa_flags = flags};
        struct itimerval again = {0};

        again.it_value.tv_usec = again.it_interval.tv_usec = on ? 20000 : 0;
        assert_int_equal(setitimer(ITIMER_REAL, &again, NULL), 0);
        assert_int_equal(sigaction(SIGALRM, &action, NULL), 0);
}

static void signals_end_waits(int flags) {
        struct slipring_subscriber_options late = {.size = sizeof(late)};
        struct slipring_subscriber *pair[] = {
                subscriber_open("imu", SLIPRING_START_NEXT),
                subscriber_open("odom", SLIPRING_START_NEXT),
        };
        struct slipring_subscriber *none = NULL;
        struct slipring_error error = {0};
        int r;

        late.deadline_ns = SLIPRING_FOREVER;
        alarms(true, flags);
        assert_int_equal(slipring_subscriber_wait(pair[0], SLIPRING_FOREVER), -EINTR);
        if (flags & SA_RESTART) {
                /* As documented: futex_waitv(2) is restarted, the others end. */
                r = slipring_subscriber_wait_any(pair, 2, slipring_in_ms(100));
                assert_true(r == -EINTR || r == -ETIMEDOUT);
        } else {
                r = slipring_subscriber_wait_any(pair, 2, SLIPRING_FOREVER);
                assert_int_equal(r, -EINTR);
        }
        assert_int_equal(slipring_subscriber_open(&none, "later", &late, &error), -EINTR);
        assert_null(none);
        assert_non_null(strstr(error.text, "signal handler"));
        late.bus = "no_such_bus";
        assert_int_equal(slipring_subscriber_open(&none, "imu", &late, &error), -EINTR);
        alarms(false, flags);
        slipring_subscriber_close(pair[0]);
        slipring_subscriber_close(pair[1]);
}

static void test_a_signal_handler_ends_a_wait(void **state) {
        signals_end_waits(0);
}

static void test_a_restarting_signal_handler_ends_a_wait(void **state) {
        signals_end_waits(SA_RESTART);
}

static int hold_run(void *argument) {
        struct slipring_publisher *publisher = publisher_open("imu");

        if (publish_one(publisher) < 0) {
                return 1;
        }
        (void) pause();
        return 0;
}

static void test_a_signal_handler_ends_a_standby(void **state) {
        const struct slipring_publisher_options options = {
                .size = sizeof(options),
                .flags = SLIPRING_PUBLISHER_STANDBY,
                .deadline_ns = SLIPRING_FOREVER,
        };
        struct slipring_subscriber *subscriber = subscriber_open("imu", SLIPRING_START_NEXT);
        struct slipring_publisher *publisher = NULL;
        struct slipring_error error = {0};
        pid_t pid = process_start(hold_run, NULL);

        assert_int_equal(slipring_subscriber_wait(subscriber, slipring_in_ms(20000)), 0);
        alarms(true, SA_RESTART);
        assert_int_equal(slipring_publisher_open(&publisher, "imu", &options, &error), -EINTR);
        alarms(false, 0);
        assert_null(publisher);
        process_kill(pid);
        slipring_subscriber_close(subscriber);
}

static int sleep_run(void *argument) {
        struct slipring_subscriber *pair[] = {
                subscriber_open("imu", SLIPRING_START_NEXT),
                subscriber_open("odom", SLIPRING_START_NEXT),
        };

        if (write(*(int *) argument, "x", 1) != 1 ||
            slipring_subscriber_wait(pair[0], slipring_in_ms(30000)) != 0 ||
            take_one(pair[0]) != 1 || write(*(int *) argument, "x", 1) != 1 ||
            slipring_subscriber_wait_any(pair, 2, slipring_in_ms(30000)) != 0) {
                return 1;
        }
        return take_one(pair[0]) == 1 ? 0 : 2;
}

/* Stopped and continued is no handler. */
static void test_a_stopped_sleeper_sleeps_on(void **state) {
        struct slipring_publisher *publisher = publisher_open("imu");
        int ready[2], round, status;
        char byte;
        pid_t pid;

        assert_int_equal(pipe(ready), 0);
        pid = process_start(sleep_run, &ready[1]);
        for (round = 0; round < 2; round++) {
                assert_int_equal(read(ready[0], &byte, 1), 1);
                (void) usleep(20000);
                assert_int_equal(kill(pid, SIGSTOP), 0);
                assert_int_equal(waitpid(pid, &status, WUNTRACED), pid);
                assert_true(WIFSTOPPED(status));
                assert_int_equal(kill(pid, SIGCONT), 0);
                (void) usleep(20000);
                assert_int_equal(publish_one(publisher), 0);
        }
        assert_int_equal(process_wait(pid), 0);
        (void) close(ready[0]);
        (void) close(ready[1]);
        slipring_publisher_close(publisher);
}

/* --- closing --- */

static void test_handles_are_closed_in_any_order(void **state) {
        struct slipring_subscriber *subscriber, *other;
        struct slipring_waitset *waitset;
        struct slipring_publisher *publisher;
        struct slipring_sample sample;
        void *payload;
        int order;

        for (order = 0; order < 8; order++) {
                publisher = publisher_open("imu");
                subscriber = subscriber_open("imu", SLIPRING_START_NEXT);
                assert_int_equal(slipring_waitset_new(&waitset, NULL), 0);
                assert_int_equal(slipring_waitset_add(waitset, subscriber), 0);
                assert_int_equal(slipring_waitset_add(waitset, subscriber), -EBUSY);
                assert_int_equal(publish_one(publisher), 0);
                assert_int_equal(slipring_subscriber_borrow(subscriber, &sample), 1);
                assert_int_equal(slipring_publisher_loan(publisher, &payload), 0);
                /* In a loan, with a view, in a set. */
                if (order & 1) {
                        publisher = slipring_publisher_close(publisher);
                }
                if (order & 2) {
                        waitset = slipring_waitset_close(waitset);
                }
                if (order & 4) {
                        subscriber = slipring_subscriber_close(subscriber);
                }
                slipring_subscriber_close(subscriber);
                slipring_waitset_close(waitset);
                slipring_publisher_close(publisher);
                /* Whoever comes next finds all in order. */
                publisher = publisher_open("imu");
                other = subscriber_open("imu", SLIPRING_START_NEXT);
                assert_int_equal(publish_one(publisher), 0);
                assert_int_equal(take_one(other), 1);
                slipring_subscriber_close(other);
                slipring_publisher_close(publisher);
        }
        assert_null(slipring_publisher_close(NULL));
        assert_null(slipring_subscriber_close(NULL));
        assert_null(slipring_waitset_close(NULL));
}

/* --- the wall clock --- */

static int64_t offset_now(const struct bus *bus) {
        struct directory directory;
        struct directory_table table = {0};
        int64_t offset;

        assert_int_equal(directory_attach(&directory, geteuid(), bus->name, NULL), 0);
        assert_int_equal(directory_read(&directory, &table, NULL), 0);
        offset = table.table->realtime_offset_ns;
        directory_table_free(&table);
        directory_detach(&directory);
        return offset;
}

/* Ten years to and fro between any two steps: what clients see and when they wake does not move. */
static void test_the_wall_clock_jumps(void **state) {
        static const int64_t shifts_s[] = {315576000, -315576000, 1, -1, 0};
        struct slipring_subscriber *subscriber = subscriber_open("imu", SLIPRING_START_NEXT);
        struct slipring_publisher *publisher = publisher_open("imu");
        struct slipring_subscriber_info info;
        struct slipring_sample sample;
        struct message message;
        uint64_t deadline, last_ns = 0;
        unsigned asked = atomic_load(&realtime_asked);
        int64_t before = offset_now(*state), moved;
        size_t i;

        for (i = 0; i < sizeof(shifts_s) / sizeof(shifts_s[0]); i++) {
                atomic_store(&realtime_shift_s, shifts_s[i]);
                assert_int_equal(publish_one(publisher), 0);
                atomic_store(&realtime_shift_s, -shifts_s[i]);
                assert_int_equal(slipring_subscriber_wait(subscriber, SLIPRING_FOREVER), 0);
                assert_int_equal(
                        slipring_subscriber_take(subscriber, &message, sizeof(message), &sample),
                        1);
                assert_int_equal(sample.missed, 0);
                assert_true(sample.publish_time_ns > last_ns);
                assert_true(sample.publish_time_ns <= slipring_now_ns());
                last_ns = sample.publish_time_ns;
                assert_int_equal(slipring_subscriber_info(subscriber, &info), 0);
                assert_false(info.stale);
                deadline = slipring_in_ms(5);
                assert_int_equal(slipring_subscriber_wait(subscriber, deadline), -ETIMEDOUT);
                assert_true(slipring_now_ns() >= deadline);
        }
        /* Nobody even looked. */
        assert_int_equal(atomic_load(&realtime_asked), asked);
        /* What is there for people moves with it. */
        atomic_store(&realtime_shift_s, shifts_s[0]);
        registry_refresh(((struct bus *) *state)->registry);
        moved = offset_now(*state) - before;
        assert_true(moved > (shifts_s[0] - 60) * INT64_C(1000000000));
        assert_true(moved < (shifts_s[0] + 60) * INT64_C(1000000000));
        assert_true(atomic_load(&realtime_asked) > asked);
        slipring_publisher_close(publisher);
        slipring_subscriber_close(subscriber);
}

/* --- another IPC namespace --- */

static int elsewhere_run(void *argument) {
        struct slipring_subscriber *subscriber = NULL;
        struct slipring_error error = {0};
        const struct bus *bus = argument;

        if (unshare(CLONE_NEWIPC) < 0) {
                return 77;
        }
        if (slipring_subscriber_open(&subscriber, "imu", NULL, &error) != -ENOENT ||
            !strstr(error.text, bus->name) || !strstr(error.text, "slipring list")) {
                (void) fprintf(stderr, "%s\n", error.text);
                return 1;
        }
        (void) unsetenv("SLIPRING_BUS");
        return slipring_subscriber_open(&subscriber, "imu", NULL, &error) == -ENOENT &&
                               strstr(error.text, "there is no bus")
                       ? 0
                       : 2;
}

static void test_another_ipc_namespace_has_no_such_bus(void **state) {
        int code = process_wait(process_start(elsewhere_run, *state));

        if (code == 77) {
                (void) fprintf(stderr, "skipped: may not make an IPC namespace\n");
                skip();
        }
        assert_int_equal(code, 0);
}

/* The kernel takes the claim back from a process that leaves; mappings stay, and so do samples. */
static int leave_run(void *argument) {
        struct slipring_subscriber *subscriber = subscriber_open("odom", SLIPRING_START_NEXT);
        struct slipring_publisher *publisher = publisher_open("odom");

        if (unshare(CLONE_NEWIPC) < 0) {
                return 77;
        }
        return publish_one(publisher) == 0 && take_one(subscriber) == 1 &&
                               write(((int *) argument)[1], "x", 1) == 1 && pause() < 0
                       ? 0
                       : 1;
}

static void test_leaving_the_ipc_namespace_gives_the_claim_up(void **state) {
        struct slipring_publisher *publisher;
        int ready[2];
        char byte;
        pid_t pid;

        assert_int_equal(pipe(ready), 0);
        pid = process_start(leave_run, ready);
        (void) close(ready[1]);
        if (read(ready[0], &byte, 1) == 1) {
                publisher = publisher_open("odom");
                assert_int_equal(publish_one(publisher), 0);
                slipring_publisher_close(publisher);
        }
        (void) close(ready[0]);
        process_kill(pid);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
#define EACH(name)                                                                                 \
        {#name " (io_uring)", name, setup, teardown, NULL},                                        \
                {#name " (futex_waitv)", name, setup_waitv, teardown, NULL}, {                     \
#name " (FUTEX_WAIT)", name, setup_wait, teardown, NULL                            \
        }

int main(int argc, char **argv) {
        const struct CMUnitTest tests[] = {
                EACH(test_a_forked_child_has_no_handles),
                EACH(test_a_child_closes_what_it_inherited_in_any_order),
                EACH(test_exec_with_handles_open),
                EACH(test_a_wait_set_outlives_the_thread_that_armed_it),
                CASE(test_a_handle_goes_from_thread_to_thread),
                CASE(test_a_claim_outlives_its_thread),
                EACH(test_a_signal_handler_ends_a_wait),
                EACH(test_a_restarting_signal_handler_ends_a_wait),
                CASE(test_a_signal_handler_ends_a_standby),
                EACH(test_a_stopped_sleeper_sleeps_on),
                EACH(test_handles_are_closed_in_any_order),
                CASE(test_the_wall_clock_jumps),
                CASE(test_another_ipc_namespace_has_no_such_bus),
                CASE(test_leaving_the_ipc_namespace_gives_the_claim_up),
        };

        if (argc == 2 && strcmp(argv[1], "after-exec") == 0) {
                return after_exec();
        }
        return cmocka_run_group_tests(tests, NULL, NULL);
}
