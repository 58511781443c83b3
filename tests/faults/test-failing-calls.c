/*
 * Every system call and every allocation of every public call fails once, the first, the second,
 * and so on until the call gets through. Each time it has to succeed all the same or to say in
 * words why it did not, to leave nothing behind, and to work when it is called again.
 */

#include <dirent.h>
#include <errno.h>
#include <nss.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ipc.h>
#include <sys/sem.h>
#include <sys/shm.h>
#include <unistd.h>

#include <slipring/publisher.h>
#include <slipring/subscriber.h>

#include "tests/faults/failing.h"
#include "tests/harness/daemon.h"

/* More than any call has; a call that never gets through must not take for ever. */
#define POINTS_MAX 5000u

static struct bus bus;

/* What a call works on. */
static struct slipring_publisher *publisher;
static struct slipring_subscriber *subscriber, *second;
static struct slipring_waitset *waitset;
static pid_t holder;
static uint32_t depth;

struct call {
        const char *name;
        void (*prepare)(void);
        int (*run)(struct slipring_error *reterr);
        /* Asserts that what the call made works, and takes it down. */
        void (*finish)(void);
        bool explains; /* has a reterr */
};

/* --- what must not change --- */

struct usage {
        size_t descriptors;
        size_t mappings;
        size_t attachments;
        size_t objects;
        long allocations;
        int claims;
};

static size_t descriptors_count(void) {
        DIR *directory = opendir("/proc/self/fd");
        const struct dirent *entry;
        size_t count = 0;

        assert_non_null(directory);
        while ((entry = readdir(directory))) {
                count += *entry->d_name != '.';
        }
        (void) closedir(directory);
        return count;
}

static size_t mappings_count(void) {
        FILE *maps = fopen("/proc/self/maps", "re");
        size_t count = 0;
        char line[512];

        assert_non_null(maps);
        while (fgets(line, sizeof(line), maps)) {
                count += strstr(line, "/SYSV") != NULL || strstr(line, "io_uring") != NULL;
        }
        (void) fclose(maps);
        return count;
}

static size_t attachments_count(void) {
        struct shm_info segments;
        struct shmid_ds status;
        size_t count = 0;
        int i, highest;

        highest = shmctl(0, SHM_INFO, (struct shmid_ds *) (void *) &segments);
        for (i = 0; i <= highest; i++) {
                if (shmctl(i, SHM_STAT, &status) >= 0) {
                        count += status.shm_nattch;
                }
        }
        return count;
}

static int claims_count(void) {
        const struct layout_entry *entry;
        uint32_t pin;
        int count = 0;
        size_t i;

        for (i = 0; i < registry_count(bus.registry); i++) {
                entry = registry_entry(bus.registry, i);
                count += semctl(entry->claim_id, 0, GETVAL);
                for (pin = 0; pin < entry->pins; pin++) {
                        count += semctl(entry->pin_claim_id, (int) pin, GETVAL);
                }
        }
        return count;
}

static struct usage usage(void) {
        struct usage now = {.allocations = failing_allocations_live()};

        now.descriptors = descriptors_count();
        now.mappings = mappings_count();
        now.attachments = attachments_count();
        now.objects = ipc_objects();
        now.claims = claims_count();
        return now;
}

static bool usage_equal(const struct usage *a, const struct usage *b) {
        return a->descriptors == b->descriptors && a->mappings == b->mappings &&
               a->attachments == b->attachments && a->objects == b->objects &&
               a->allocations == b->allocations && a->claims == b->claims;
}

static void
assert_unchanged(const struct call *call, const struct usage *before, const char *after_what) {
        struct usage now = usage();

        if (!usage_equal(&now, before)) {
                fail_msg("%s, %s failed at step %u: %s: descriptors %zu -> %zu, mappings %zu -> "
                         "%zu, attachments %zu -> %zu, objects %zu -> %zu, allocations %ld -> %ld, "
                         "claims %d -> %d",
                         call->name, failing_what(), failing_count(), after_what,
                         before->descriptors, now.descriptors, before->mappings, now.mappings,
                         before->attachments, now.attachments, before->objects, now.objects,
                         before->allocations, now.allocations, before->claims, now.claims);
        }
}

/* --- the calls --- */

static void open_publisher(void) {
        publisher = publisher_open("imu");
}

static void open_subscriber(void) {
        subscriber = subscriber_open("imu", SLIPRING_START_NEXT);
}

static void open_both(void) {
        open_publisher();
        open_subscriber();
}

static void publish_one(void) {
        struct message message = message_make(1);

        assert_int_equal(slipring_publisher_publish(publisher, &message, sizeof(message), 0), 0);
}

static void take_one(void) {
        struct message message;

        assert_int_equal(slipring_subscriber_take(subscriber, &message, sizeof(message), NULL), 1);
        assert_true(message_whole(&message));
}

static void close_all(void) {
        waitset = slipring_waitset_close(waitset);
        subscriber = slipring_subscriber_close(subscriber);
        second = slipring_subscriber_close(second);
        publisher = slipring_publisher_close(publisher);
}

/* A sample goes from the one to the other. */
static void finish_both(void) {
        bool had_publisher = publisher, had_subscriber = subscriber;

        if (!had_publisher) {
                open_publisher();
        }
        if (!had_subscriber) {
                open_subscriber();
        }
        publish_one();
        take_one();
        close_all();
}

static int run_publisher_open(struct slipring_error *reterr) {
        return slipring_publisher_open(&publisher, "imu", NULL, reterr);
}

static int run_publisher_open_typed(struct slipring_error *reterr) {
        const struct slipring_publisher_options options = {
                .size = sizeof(options),
                .bus = bus.name,
                .type = &message_type,
                .deadline_ns = slipring_in_ms(1000),
        };

        return slipring_publisher_open(&publisher, "imu", &options, reterr);
}

static int hold_run(void *argument) {
        const int *ready = argument;

        publisher = publisher_open("imu");
        if (write(ready[1], "x", 1) != 1) {
                return 1;
        }
        (void) pause();
        return 0;
}

static void hold(void) {
        int ready[2];
        char byte;

        assert_int_equal(pipe(ready), 0);
        holder = process_start(hold_run, ready);
        assert_int_equal(read(ready[0], &byte, 1), 1);
        (void) close(ready[0]);
        (void) close(ready[1]);
}

static void finish_held(void) {
        process_kill(holder);
        finish_both();
}

/* Gives up at its deadline, as it should. */
static int run_publisher_standby(struct slipring_error *reterr) {
        const struct slipring_publisher_options options = {
                .size = sizeof(options),
                .flags = SLIPRING_PUBLISHER_STANDBY,
                .deadline_ns = slipring_in_ms(2),
        };
        int r = slipring_publisher_open(&publisher, "imu", &options, reterr);

        return r == -ETIMEDOUT ? 0 : r;
}

static int run_publisher_busy(struct slipring_error *reterr) {
        int r = slipring_publisher_open(&publisher, "imu", NULL, reterr);

        return r == -EBUSY ? 0 : r;
}

/* The bus by looking around. */
static void unname(void) {
        assert_int_equal(unsetenv("SLIPRING_BUS"), 0);
}

static void finish_unnamed(void) {
        assert_int_equal(setenv("SLIPRING_BUS", bus.name, 1), 0);
        finish_both();
}

static int run_subscriber_open(struct slipring_error *reterr) {
        return slipring_subscriber_open(&subscriber, "imu", NULL, reterr);
}

/* A topic that does not come. */
static int run_subscriber_await(struct slipring_error *reterr) {
        const struct slipring_subscriber_options options = {
                .size = sizeof(options),
                .deadline_ns = slipring_in_ms(2),
        };
        int r = slipring_subscriber_open(&subscriber, "later", &options, reterr);

        return r == -ENOENT ? 0 : r;
}

static int run_publish(struct slipring_error *reterr) {
        struct message message = message_make(1);

        return slipring_publisher_publish(publisher, &message, sizeof(message), 0);
}

static int run_loan_and_commit(struct slipring_error *reterr) {
        struct message message = message_make(1);
        void *payload = NULL;
        int r = slipring_publisher_loan(publisher, &payload);

        if (r == 0) {
                memcpy(payload, &message, sizeof(message));
                r = slipring_publisher_commit(publisher, 0);
        }
        return r;
}

static int run_loan_and_abandon(struct slipring_error *reterr) {
        void *payload = NULL;
        int r = slipring_publisher_loan(publisher, &payload);

        return r == 0 ? slipring_publisher_abandon(publisher) : r;
}

static int run_publisher_info(struct slipring_error *reterr) {
        struct slipring_publisher_info info;
        int r = slipring_publisher_info(publisher, &info);

        return r < 0 || !slipring_publisher_type(publisher) ? r : 0;
}

#define TOPICS 4

static void specify(struct topic_spec ret_specs[TOPICS], uint32_t each_depth) {
        ret_specs[0] = topic_of("imu", each_depth);
        ret_specs[1] = topic_of("odom", 2);
        ret_specs[2] = topic_of("camera", each_depth);
        ret_specs[2].pins = 2;
        ret_specs[3] = topic_of("log", each_depth);
        ret_specs[3].publishers = LAYOUT_PUBLISHERS_SHARED;
}

/* Replace the topic under its clients. */
static void replace(void) {
        struct topic_spec specs[TOPICS];

        specify(specs, depth);
        depth = depth == 4 ? 8 : 4;
        bus_apply(&bus, specs, TOPICS);
}

static void open_publisher_and_replace(void) {
        open_publisher();
        replace();
}

static int run_publisher_move(struct slipring_error *reterr) {
        return slipring_publisher_move(publisher, 0, reterr);
}

static void open_subscriber_and_replace(void) {
        open_subscriber();
        replace();
}

static int run_subscriber_move(struct slipring_error *reterr) {
        return slipring_subscriber_move(subscriber, 0, reterr);
}

static void prepare_member(void) {
        open_both();
        assert_int_equal(slipring_waitset_new(&waitset, NULL), 0);
        assert_int_equal(slipring_waitset_add(waitset, subscriber), 0);
}

static void prepare_member_and_replace(void) {
        prepare_member();
        publisher = slipring_publisher_close(publisher);
        replace();
}

static int run_publisher_close(struct slipring_error *reterr) {
        publisher = slipring_publisher_close(publisher);
        return 0;
}

static int run_subscriber_close(struct slipring_error *reterr) {
        subscriber = slipring_subscriber_close(subscriber);
        return 0;
}

static int run_waitset_close(struct slipring_error *reterr) {
        waitset = slipring_waitset_close(waitset);
        return 0;
}

static void prepare_sample(void) {
        open_both();
        publish_one();
}

static int run_take(struct slipring_error *reterr) {
        struct message message;
        int r = slipring_subscriber_take(subscriber, &message, sizeof(message), NULL);

        return r < 0 ? r : slipring_subscriber_take(subscriber, &message, sizeof(message), NULL);
}

static int run_take_newest(struct slipring_error *reterr) {
        struct message message;

        return slipring_subscriber_take_newest(subscriber, &message, sizeof(message), NULL);
}

static int run_take_batch(struct slipring_error *reterr) {
        struct message messages[2];

        return slipring_subscriber_take_batch(subscriber, messages, sizeof(messages), NULL, 2);
}

static int run_borrow(struct slipring_error *reterr) {
        struct slipring_sample sample;
        int r = slipring_subscriber_borrow(subscriber, &sample);

        return r == 1 ? slipring_subscriber_release(subscriber) : r;
}

static int run_borrow_newest(struct slipring_error *reterr) {
        struct slipring_sample sample;
        int r = slipring_subscriber_borrow_newest(subscriber, &sample);

        return r == 1 ? slipring_subscriber_release(subscriber) : r;
}

/* --- pins, and several publishers --- */

static int run_open_pinning(struct slipring_error *reterr) {
        const struct slipring_subscriber_options options = {.size = sizeof(options), .pins = 2};

        return slipring_subscriber_open(&subscriber, "camera", &options, reterr);
}

static void open_camera(void) {
        publisher = publisher_open("camera");
        assert_int_equal(run_open_pinning(NULL), 0);
        publish_one();
}

static int run_pin_next(struct slipring_error *reterr) {
        struct slipring_sample sample;
        int r = slipring_subscriber_pin(subscriber, &sample);

        return r == 1 ? slipring_subscriber_unpin(subscriber, sample.payload) : r;
}

static void open_pinning_and_replace(void) {
        assert_int_equal(run_open_pinning(NULL), 0);
        replace();
}

static int run_pin(struct slipring_error *reterr) {
        struct slipring_sample sample;
        int r = slipring_subscriber_pin_newest(subscriber, &sample);

        return r == 1 ? slipring_subscriber_unpin(subscriber, sample.payload) : r;
}

static void finish_camera(void) {
        struct slipring_sample sample;

        if (!publisher) {
                publisher = publisher_open("camera");
        }
        if (!subscriber) {
                assert_int_equal(run_open_pinning(NULL), 0);
        }
        publish_one();
        assert_int_equal(slipring_subscriber_pin_newest(subscriber, &sample), 1);
        assert_true(message_whole(sample.payload));
        assert_int_equal(slipring_subscriber_unpin(subscriber, sample.payload), 0);
        close_all();
}

static int run_open_shared(struct slipring_error *reterr) {
        return slipring_publisher_open(&publisher, "log", NULL, reterr);
}

static void open_shared_and_replace(void) {
        assert_int_equal(run_open_shared(NULL), 0);
        replace();
}

static void open_log(void) {
        publisher = publisher_open("log");
        subscriber = subscriber_open("log", SLIPRING_START_NEXT);
}

static void finish_log(void) {
        if (!publisher) {
                publisher = publisher_open("log");
        }
        if (!subscriber) {
                subscriber = subscriber_open("log", SLIPRING_START_NEXT);
        }
        publish_one();
        assert_int_equal(run_take_newest(NULL), 1);
        close_all();
}

static int run_wait(struct slipring_error *reterr) {
        int r = slipring_subscriber_wait(subscriber, slipring_in_ms(2));

        return r == -ETIMEDOUT ? 0 : r;
}

static void prepare_two(void) {
        open_both();
        second = subscriber_open("odom", SLIPRING_START_NEXT);
}

static int run_wait_any(struct slipring_error *reterr) {
        struct slipring_subscriber *all[] = {subscriber, second};
        int r = slipring_subscriber_wait_any(all, 2, slipring_in_ms(2));

        return r == -ETIMEDOUT ? 0 : r;
}

static int run_subscriber_info(struct slipring_error *reterr) {
        struct slipring_subscriber_info info;
        int r = slipring_subscriber_info(subscriber, &info);

        return r < 0 || !slipring_subscriber_type(subscriber) ? r : 0;
}

static int run_subscriber_latency(struct slipring_error *reterr) {
        int r = slipring_subscriber_record_latency(subscriber, true);

        return r == 0 ? slipring_subscriber_reset_latency(subscriber) : r;
}

static int run_open_spinning(struct slipring_error *reterr) {
        const struct slipring_subscriber_options options = {
                .size = sizeof(options),
                .spin_us = SLIPRING_SPIN_US_MAX,
        };

        return slipring_subscriber_open(&subscriber, "imu", &options, reterr);
}

static int run_waitset_new(struct slipring_error *reterr) {
        return slipring_waitset_new(&waitset, reterr);
}

/* However it came about, a set of one tells of a sample. */
static void finish_waitset(void) {
        struct slipring_subscriber *ready = NULL;
        struct pollfd event = {.events = POLLIN};

        if (!waitset) {
                assert_int_equal(slipring_waitset_new(&waitset, NULL), 0);
        }
        if (!publisher) {
                open_publisher();
        }
        if (!subscriber) {
                open_subscriber();
        }
        (void) slipring_waitset_remove(waitset, subscriber);
        assert_int_equal(slipring_waitset_add(waitset, subscriber), 0);
        event.fd = slipring_waitset_fd(waitset);
        publish_one();
        do {
                assert_int_equal(poll(&event, 1, 10000), 1);
        } while (slipring_waitset_ready(waitset, &ready, 1) == 0);
        assert_ptr_equal(ready, subscriber);
        take_one();
        close_all();
}

/* A member as it is, without adding it again. */
static void finish_member(void) {
        struct slipring_subscriber *ready = NULL;
        struct pollfd event = {.fd = slipring_waitset_fd(waitset), .events = POLLIN};
        struct message message;

        if (!publisher) {
                open_publisher();
        }
        while (slipring_subscriber_take(subscriber, &message, sizeof(message), NULL) == 1) {
        }
        publish_one();
        do {
                assert_int_equal(poll(&event, 1, 10000), 1);
        } while (slipring_waitset_ready(waitset, &ready, 1) == 0);
        take_one();
        close_all();
}

static void prepare_waitset(void) {
        open_both();
        assert_int_equal(slipring_waitset_new(&waitset, NULL), 0);
}

static int run_waitset_add(struct slipring_error *reterr) {
        return slipring_waitset_add(waitset, subscriber);
}

static int run_waitset_remove(struct slipring_error *reterr) {
        return slipring_waitset_remove(waitset, subscriber);
}

static void prepare_member_and_sample(void) {
        prepare_member();
        publish_one();
}

static int run_waitset_ready(struct slipring_error *reterr) {
        struct slipring_subscriber *ready = NULL;
        int r = slipring_waitset_fd(waitset);

        return r < 0 ? r : slipring_waitset_ready(waitset, &ready, 1);
}

static const struct call client_calls[] = {
        {"publisher_open", NULL, run_publisher_open, finish_both, true},
        {"publisher_open of a type", NULL, run_publisher_open_typed, finish_both, true},
        {"publisher_open without a name", unname, run_publisher_open, finish_unnamed, true},
        {"publisher_open of a held topic", hold, run_publisher_busy, finish_held, true},
        {"publisher_open as a standby", hold, run_publisher_standby, finish_held, true},
        {"publisher_publish", open_both, run_publish, finish_both, false},
        {"publisher_loan, commit", open_both, run_loan_and_commit, finish_both, false},
        {"publisher_loan, abandon", open_both, run_loan_and_abandon, finish_both, false},
        {"publisher_info, type", open_both, run_publisher_info, finish_both, false},
        {"publisher_move", open_publisher_and_replace, run_publisher_move, finish_both, true},
        {"publisher_close", open_publisher, run_publisher_close, finish_both, false},
        {"subscriber_open", NULL, run_subscriber_open, finish_both, true},
        {"subscriber_open without a name", unname, run_subscriber_open, finish_unnamed, true},
        {"subscriber_open of a topic to come", NULL, run_subscriber_await, close_all, true},
        {"subscriber_take", prepare_sample, run_take, finish_both, false},
        {"subscriber_take_newest", prepare_sample, run_take_newest, finish_both, false},
        {"subscriber_take_batch", prepare_sample, run_take_batch, finish_both, false},
        {"subscriber_borrow, release", prepare_sample, run_borrow, finish_both, false},
        {"subscriber_borrow_newest, release", prepare_sample, run_borrow_newest, finish_both,
         false},
        {"subscriber_wait", open_subscriber, run_wait, finish_both, false},
        {"subscriber_wait_any", prepare_two, run_wait_any, finish_both, false},
        {"subscriber_info, type", open_subscriber, run_subscriber_info, finish_both, false},
        {"subscriber_record_latency", open_subscriber, run_subscriber_latency, finish_both, false},
        {"subscriber_open to spin", NULL, run_open_spinning, finish_both, true},
        {"subscriber_move", open_subscriber_and_replace, run_subscriber_move, finish_both, true},
        {"subscriber_close", open_subscriber, run_subscriber_close, finish_both, false},
        {"subscriber_open with pins", NULL, run_open_pinning, finish_camera, true},
        {"subscriber_pin, unpin", open_camera, run_pin_next, finish_camera, false},
        {"subscriber_pin_newest, unpin", open_camera, run_pin, finish_camera, false},
        {"subscriber_move with pins", open_pinning_and_replace, run_subscriber_move, finish_camera,
         true},
        {"subscriber_close with pins", open_camera, run_subscriber_close, finish_camera, false},
        {"publisher_open of a shared topic", NULL, run_open_shared, finish_log, true},
        {"publisher_publish to a shared topic", open_log, run_publish, finish_log, false},
        {"publisher_move of a shared topic", open_shared_and_replace, run_publisher_move,
         finish_log, true},
        {"publisher_close of a shared topic", open_log, run_publisher_close, finish_log, false},
};

/* With each of the three ways to wait. */
static const struct call waiting_calls[] = {
        {"subscriber_wait_any", prepare_two, run_wait_any, finish_both, false},
        {"waitset_new", NULL, run_waitset_new, finish_waitset, true},
        {"waitset_add", prepare_waitset, run_waitset_add, finish_member, false},
        {"waitset_remove", prepare_member, run_waitset_remove, finish_waitset, false},
        {"waitset_fd, ready", prepare_member_and_sample, run_waitset_ready, finish_member, false},
        {"take of a member", prepare_member_and_sample, run_take, finish_member, false},
        {"subscriber_close of a member", prepare_member, run_subscriber_close, finish_waitset,
         false},
        {"subscriber_move of a member", prepare_member_and_replace, run_subscriber_move,
         finish_member, true},
        {"waitset_close", prepare_member, run_waitset_close, finish_both, false},
};

/* --- trying --- */

/* Says what about, and more than strerror(3) would. */
static void assert_clear(const struct call *call, int r, const struct slipring_error *error) {
        if (getenv("SLIPRING_TEST_SHOW")) {
                print_message("%s, %s: %s: %s\n", call->name, failing_what(), strerror(-r),
                              call->explains ? error->text : "-");
        }
        if (!call->explains) {
                return;
        }
        if (error->code != r || (!strstr(error->text, "imu") && !strstr(error->text, "later") &&
                                 !strstr(error->text, "camera") && !strstr(error->text, "log") &&
                                 !strstr(error->text, bus.name) && !strstr(error->text, "bus") &&
                                 !strstr(error->text, "wait set"))) {
                fail_msg("%s, %s failed: %d (%s) is said as %d '%s'", call->name, failing_what(), r,
                         strerror(-r), error->code, error->text);
        }
}

static void prepare(const struct call *call) {
        if (call->prepare) {
                call->prepare();
        }
}

/* Returns false once nothing failed. */
static bool try_point(const struct call *call, enum failing_kind kind, unsigned k) {
        struct slipring_error error = {0};
        struct usage before;
        bool fired;
        int r;

        prepare(call);
        before = usage();
        failing_arm(kind, k, getpid());
        r = call->run(&error);
        fired = failing_disarm();
        if (r < 0) {
                if (!fired) {
                        fail_msg("%s: %d although nothing failed: %s", call->name, r, error.text);
                }
                assert_clear(call, r, &error);
                if (waitset) {
                        /* It may keep room for a member that it did not get. */
                        before.allocations = failing_allocations_live();
                }
                assert_unchanged(call, &before, "something is left");
                r = call->run(&error);
                if (r < 0) {
                        fail_msg("%s, %s failed at step %u: not again: %d (%s)", call->name,
                                 failing_what(), k, r, error.text);
                }
        }
        call->finish();
        return fired;
}

static unsigned try_call(const struct call *call, enum failing_kind kind) {
        struct usage before;
        unsigned k;

        /* What the C library keeps from the first time on. */
        (void) try_point(call, kind, POINTS_MAX);
        before = usage();
        for (k = 1; try_point(call, kind, k); k++) {
                assert_unchanged(call, &before, "something is left at the end");
                assert_true(k < POINTS_MAX);
        }
        assert_unchanged(call, &before, "something is left at the end");
        return k - 1;
}

static void try_calls(const struct call *calls, size_t count) {
        unsigned points[3], total = 0;
        size_t i;

        for (i = 0; i < count; i++) {
                points[0] = try_call(&calls[i], FAILING_CALLS);
                points[1] = try_call(&calls[i], FAILING_FORBIDDEN);
                points[2] = try_call(&calls[i], FAILING_ALLOCATIONS);
                print_message("%s: %u system calls, %u of them forbidden, %u allocations\n",
                              calls[i].name, points[0], points[1], points[2]);
                total += points[0] + points[1] + points[2];
        }
        print_message("%u points tried\n", total);
        /* An injector that fails nothing would pass as well. */
        assert_true(total > 10);
}

static int setup(void **state) {
        struct topic_spec specs[TOPICS];

        specify(specs, 4);
        bus_start(&bus, specs, TOPICS);
        failing_hurry(true);
        depth = 8;
        return 0;
}

static int teardown(void **state) {
        failing_hurry(false);
        (void) unsetenv("SLIPRING_DISABLE");
        bus_stop(&bus);
        assert_int_equal(ipc_objects(), 0);
        return 0;
}

static void test_every_client_call(void **state) {
        try_calls(client_calls, sizeof(client_calls) / sizeof(client_calls[0]));
}

static void try_waiting(const char *disabled) {
        (void) setenv("SLIPRING_DISABLE", disabled, 1);
        try_calls(waiting_calls, sizeof(waiting_calls) / sizeof(waiting_calls[0]));
}

static void test_waiting_with_io_uring(void **state) {
        try_waiting("");
}

static void test_waiting_with_one_thread(void **state) {
        try_waiting("io_uring");
}

static void test_waiting_with_a_thread_a_topic(void **state) {
        try_waiting("io_uring,futex_waitv");
}

/* What these tests look at would show it. */
static void test_what_is_left_is_seen(void **state) {
        struct usage before, now;
        /* volatile: or the compiler does without it. */
        void *volatile memory;
        int descriptor;

        open_publisher();
        close_all();
        (void) usage();
        before = usage();
        now = usage();
        assert_true(usage_equal(&before, &now));
        descriptor = dup(STDERR_FILENO);
        now = usage();
        assert_false(usage_equal(&before, &now));
        (void) close(descriptor);
        memory = malloc(17);
        now = usage();
        assert_false(usage_equal(&before, &now));
        free(memory);
        open_publisher();
        now = usage();
        assert_int_equal(now.claims, before.claims + 1);
        /* Its data segment, the wake board and the directory. */
        assert_int_equal(now.mappings, before.mappings + 3);
        assert_int_equal(now.attachments, before.attachments + 3);
        close_all();
        now = usage();
        assert_true(usage_equal(&before, &now));
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

static void *nothing(void *argument) {
        (void) usleep(10000);
        return NULL;
}

/* What the C library keeps from the first time on, and what it asks that is not ours to test. */
static void warm_up(void) {
        pthread_t threads[4];
        size_t i;

        for (i = 0; i < 4; i++) {
                assert_int_equal(pthread_create(&threads[i], NULL, nothing, NULL), 0);
        }
        for (i = 0; i < 4; i++) {
                assert_int_equal(pthread_join(threads[i], NULL), 0);
        }
        /* Other modules ask daemons, whose calls cannot be made to fail from here. */
        assert_int_equal(__nss_configure_lookup("passwd", "files"), 0);
}

static int tests_run(void) {
        const struct CMUnitTest tests[] = {
                CASE(test_what_is_left_is_seen),          CASE(test_every_client_call),
                CASE(test_waiting_with_io_uring),         CASE(test_waiting_with_one_thread),
                CASE(test_waiting_with_a_thread_a_topic),
        };

        (void) ipc_private(true);
        warm_up();
        return cmocka_run_group_tests(tests, NULL, NULL);
}

int main(void) {
        return failing_main(tests_run);
}
