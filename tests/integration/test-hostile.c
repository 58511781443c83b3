/*
 * What no careful program does, and what a client must survive: calls in odd orders, and a
 * publisher that writes anything anywhere in its segment.
 */

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/sem.h>
#include <sys/shm.h>
#include <time.h>
#include <unistd.h>

#include <slipring/publisher.h>
#include <slipring/subscriber.h>

#include "bus/directory.h"
#include "tests/harness/harness.h"

static int setup(void **state) {
        static struct bus bus;
        struct topic_spec specs[] = {topic_of("imu", 4), topic_of("odom", 2)};

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
        bus_stop(*state);
        return 0;
}

/* --- many --- */

#define MANY 1200u

/* More waits than io_uring has room for completions, and than one publish wakes. */
static void test_a_wait_set_of_many_tells_of_each(void **state) {
        static struct slipring_subscriber *subscribers[MANY], *ready[MANY];
        struct slipring_publisher *publisher = publisher_open("imu");
        struct slipring_waitset *waitset = NULL;
        struct pollfd event = {.events = POLLIN};
        struct message message = message_make(1);
        unsigned taken = 0, i;
        int count;

        (void) state;
        assert_int_equal(slipring_waitset_new(&waitset, NULL), 0);
        for (i = 0; i < MANY; i++) {
                subscribers[i] = subscriber_open("imu", SLIPRING_START_OLDEST);
                assert_int_equal(slipring_waitset_add(waitset, subscribers[i]), 0);
        }
        event.fd = slipring_waitset_fd(waitset);
        assert_int_equal(slipring_publisher_publish(publisher, &message, sizeof(message), 0), 0);
        while (taken < MANY) {
                assert_int_equal(poll(&event, 1, 10000), 1);
                count = slipring_waitset_ready(waitset, ready, MANY);
                assert_true(count >= 0);
                for (i = 0; i < (unsigned) count; i++, taken++) {
                        assert_int_equal(
                                slipring_subscriber_take(ready[i], &message, sizeof(message), NULL),
                                1);
                        assert_int_equal(
                                slipring_subscriber_take(ready[i], &message, sizeof(message), NULL),
                                0);
                }
        }
        assert_int_equal(slipring_waitset_ready(waitset, ready, MANY), 0);
        slipring_waitset_close(waitset);
        for (i = 0; i < MANY; i++) {
                slipring_subscriber_close(subscribers[i]);
        }
        slipring_publisher_close(publisher);
}

/* --- helpers --- */

static int publish_each_run(void *argument) {
        struct slipring_publisher *publisher = NULL;
        struct message message = message_make(1);

        (void) argument;
        if (slipring_publisher_open(&publisher, "odom", NULL, NULL) < 0) {
                return 1;
        }
        for (;;) {
                struct timespec pause = {.tv_nsec = 1000000};

                (void) nanosleep(&pause, NULL);
                if (slipring_publisher_publish(publisher, &message, sizeof(message), 0) < 0) {
                        return 2;
                }
        }
}

/* Without futex_waitv(2) a thread sleeps on each topic. The quiet ones must not hold up what the
 * moving one has: at 100 ms a call this test would take minutes. */
static void test_quiet_topics_do_not_delay_wait_any(void **state) {
        struct slipring_subscriber *subscribers[8];
        struct message message;
        unsigned taken = 0, i;
        pid_t pid;
        int r;

        (void) state;
        for (i = 0; i < 7; i++) {
                subscribers[i] = subscriber_open("imu", SLIPRING_START_OLDEST);
        }
        subscribers[7] = subscriber_open("odom", SLIPRING_START_OLDEST);
        pid = process_start(publish_each_run, NULL);
        while (taken < 1000) {
                r = slipring_subscriber_wait_any(subscribers, 8, slipring_in_ms(10000));
                assert_int_equal(r, 7);
                while (slipring_subscriber_take(subscribers[7], &message, sizeof(message), NULL) ==
                       1) {
                        taken++;
                }
        }
        process_kill(pid);
        for (i = 0; i < 8; i++) {
                slipring_subscriber_close(subscribers[i]);
        }
}

/* --- opening and moving --- */

static int open_imu(struct slipring_error *reterr) {
        struct slipring_subscriber *subscriber = NULL;
        int r = slipring_subscriber_open(&subscriber, "imu", NULL, reterr);

        slipring_subscriber_close(subscriber);
        return r;
}

static void test_an_error_says_what_the_call_says(void **state) {
        struct bus *bus = *state;
        int id = registry_entry(bus->registry, 0)->data_id;
        struct layout_header *header = shmat(id, NULL, 0);
        struct slipring_error error = {0};

        assert_true(header != (void *) -1);
        header->magic = 0;
        assert_int_equal(open_imu(&error), -EBADMSG);
        assert_int_equal(error.code, -EBADMSG);
        header->magic = LAYOUT_MAGIC;
        assert_int_equal(open_imu(&error), 0);
        /* As its owner may; the manager makes another one when it looks. */
        assert_int_equal(shmctl(id, IPC_RMID, NULL), 0);
        assert_int_equal(open_imu(&error), -ENOENT);
        assert_int_equal(error.code, -ENOENT);
        assert_int_equal(shmdt(header), 0);
}

static void test_a_name_that_no_topic_can_have_is_malformed(void **state) {
        static const char *const bad[] = {"/imu", "imu/", "Imu",  "arm//imu", "1st",  "imu__raw",
                                          "imu_", "_imu", "i mu", "arm/2",    "imu:x"};
        struct slipring_subscriber_options waiting = {.size = sizeof(waiting),
                                                      .deadline_ns = SLIPRING_FOREVER};
        struct slipring_publisher_options standing = {.size = sizeof(standing),
                                                      .deadline_ns = SLIPRING_FOREVER};
        struct slipring_subscriber *subscriber = NULL;
        struct slipring_publisher *publisher = NULL;
        struct slipring_error error = {0};
        size_t i;

        (void) state;
        for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
                assert_int_equal(slipring_subscriber_open(&subscriber, bad[i], &waiting, &error),
                                 -EINVAL);
                assert_non_null(strstr(error.text, bad[i]));
                assert_int_equal(slipring_publisher_open(&publisher, bad[i], &standing, &error),
                                 -EINVAL);
        }
        assert_int_equal(slipring_subscriber_open(&subscriber, "arm_2/joint_0/x1", NULL, NULL),
                         -ENOENT);
}

static void test_a_loan_is_given_back_before_a_move(void **state) {
        struct topic_spec specs[] = {topic_of("imu", 8), topic_of("odom", 2)};
        struct slipring_publisher *publisher = publisher_open("imu");
        struct slipring_error error = {0};
        void *payload = NULL;

        assert_int_equal(slipring_publisher_loan(publisher, &payload), 0);
        bus_apply(*state, specs, 2);
        assert_int_equal(slipring_publisher_move(publisher, 0, &error), -EBUSY);
        memset(payload, 1, sizeof(struct message));
        assert_int_equal(slipring_publisher_abandon(publisher), 0);
        assert_int_equal(slipring_publisher_move(publisher, 0, &error), 0);
        slipring_publisher_close(publisher);
}

/* Every number of both segments is delivered or missed, also what the successor had lost already
 * and what the predecessor still held. */
static void test_the_counts_of_a_move_are_exact(void **state) {
        struct topic_spec specs[] = {topic_of("imu", 8), topic_of("odom", 2)};
        struct slipring_subscriber *subscriber = subscriber_open("imu", SLIPRING_START_OLDEST);
        struct slipring_publisher *publisher = publisher_open("imu");
        struct slipring_subscriber_info info;
        struct slipring_sample sample;
        struct message message = message_make(1);
        uint64_t missed = 0;
        int i;

        for (i = 0; i < 10; i++) {
                assert_int_equal(
                        slipring_publisher_publish(publisher, &message, sizeof(message), 0), 0);
        }
        assert_int_equal(slipring_subscriber_take(subscriber, &message, sizeof(message), &sample),
                         1);
        missed += sample.missed;
        bus_apply(*state, specs, 2);
        assert_int_equal(slipring_publisher_move(publisher, 0, NULL), 0);
        for (i = 0; i < 20; i++) {
                assert_int_equal(
                        slipring_publisher_publish(publisher, &message, sizeof(message), 0), 0);
        }
        assert_int_equal(slipring_subscriber_move(subscriber, 0, NULL), 0);
        while (slipring_subscriber_take(subscriber, &message, sizeof(message), &sample) == 1) {
                missed += sample.missed;
        }
        assert_int_equal(sample.sequence, 20);
        assert_int_equal(slipring_subscriber_info(subscriber, &info), 0);
        assert_int_equal(info.delivered, 1 + 8);
        assert_int_equal(info.delivered + info.missed, 10 + 20);
        assert_int_equal(info.missed, missed);
        slipring_subscriber_close(subscriber);
        slipring_publisher_close(publisher);
}

static void test_a_handle_never_moves_to_another_bus(void **state) {
        struct topic_spec specs[] = {topic_of("imu", 8)};
        struct slipring_subscriber *subscriber;
        struct slipring_publisher *publisher;
        struct slipring_error error = {0};
        struct bus second;

        (void) state;
        bus_start(&second, specs, 1);
        subscriber = subscriber_open("imu", SLIPRING_START_OLDEST);
        publisher = publisher_open("imu");
        bus_stop(&second);
        /* What is the default by now has a topic of this name too. */
        assert_int_equal(setenv("SLIPRING_BUS", ((struct bus *) *state)->name, 1), 0);
        assert_int_equal(slipring_subscriber_move(subscriber, 0, &error), -ENOENT);
        assert_non_null(strstr(error.text, second.name));
        assert_int_equal(slipring_publisher_move(publisher, 0, &error), -ENOENT);
        slipring_subscriber_close(subscriber);
        slipring_publisher_close(publisher);
}

static void test_a_manager_that_cannot_start_leaves_nothing(void **state) {
        struct registry *registry = NULL;
        struct slipring_error error = {0};
        char name[SLIPRING_BUS_NAME_MAX + 1];
        int id;

        (void) state;
        (void) snprintf(name, sizeof(name), "test%dx", (int) getpid());
        /* Somebody sits on the key of the directory. */
        id = shmget(directory_key(geteuid(), name), 4096, IPC_CREAT | IPC_EXCL | 0600);
        assert_true(id >= 0);
        assert_true(registry_open(&registry, name, &error) < 0);
        assert_int_equal(semget(directory_key(geteuid(), name), 0, 0), -1);
        assert_int_equal(shmctl(id, IPC_RMID, NULL), 0);
}

/* --- a publisher gone mad --- */

static uint64_t draw(uint64_t *seed) {
        *seed ^= *seed << 13;
        *seed ^= *seed >> 7;
        *seed ^= *seed << 17;
        return *seed;
}

/* Words that mean something, rather than noise, are what gets past a first check. */
static uint64_t tempting(uint64_t *seed) {
        switch (draw(seed) % 8) {
        case 0:
                return 0;
        case 1:
                return UINT64_MAX;
        case 2:
                return UINT64_MAX / 2 + draw(seed) % 3;
        case 3:
                return (uint64_t) sizeof(struct message) << 32 | 1;
        case 4:
                return draw(seed);
        default:
                return draw(seed) % 16;
        }
}

struct scribble {
        int data_id;
        int board_id;
};

/* The words and the slots, and the board. */
static int scribble_run(void *argument) {
        const struct scribble *scribble = argument;
        uint64_t *data = shmat(scribble->data_id, NULL, 0);
        uint64_t *board = shmat(scribble->board_id, NULL, 0), seed = 88172645463325252u;
        const struct layout_header *header = (const void *) data;
        size_t count;

        if (data == (void *) -1 || board == (void *) -1) {
                return 1;
        }
        count = (header->segment_bytes - header->words_offset) / 8;
        data += header->words_offset / 8;
        for (;;) {
                data[draw(&seed) % count] = tempting(&seed);
                /* The head, which all else hangs on, more often. */
                data[0] = tempting(&seed);
                board[0] = tempting(&seed);
        }
}

static int scribble_header_run(void *argument) {
        const struct scribble *scribble = argument;
        uint64_t *data = shmat(scribble->data_id, NULL, 0), seed = 88172645463325252u, kept;
        size_t word;

        if (data == (void *) -1) {
                return 1;
        }
        for (;;) {
                word = 1 + draw(&seed) % 160;
                kept = data[word];
                data[word] = tempting(&seed);
                data[word] = kept;
        }
}

static void use(struct slipring_subscriber *subscriber) {
        struct slipring_subscriber_info info;
        struct slipring_sample sample;
        struct message message;
        int r;

        r = slipring_subscriber_take(subscriber, &message, sizeof(message), &sample);
        assert_true(r == 1 || r == 0 || r == -EAGAIN || r == -EBADMSG || r == -EIDRM);
        r = slipring_subscriber_take_newest(subscriber, &message, sizeof(message), &sample);
        assert_true(r == 1 || r == 0 || r == -EAGAIN || r == -EBADMSG || r == -EIDRM);
        r = slipring_subscriber_borrow(subscriber, &sample);
        if (r == 1) {
                assert_int_equal(sample.payload_bytes, sizeof(message));
                memcpy(&message, sample.payload, sample.payload_bytes);
                r = slipring_subscriber_release(subscriber);
                assert_true(r == 0 || r == -ESTALE);
        }
        assert_int_equal(slipring_subscriber_info(subscriber, &info), 0);
        r = slipring_subscriber_wait(subscriber, slipring_now_ns() + 1000);
        assert_true(r == 0 || r == -ETIMEDOUT || r == -EIDRM);
}

static struct scribble scribble_on(const struct bus *bus) {
        const struct layout_entry *entry = registry_entry(bus->registry, 0);

        return (struct scribble){.data_id = entry->data_id, .board_id = entry->board_id};
}

static void test_a_scribbled_ring_ends_in_errors_only(void **state) {
        struct slipring_subscriber *subscriber = subscriber_open("imu", SLIPRING_START_OLDEST);
        struct scribble scribble = scribble_on(*state);
        struct slipring_subscriber *ready;
        struct slipring_waitset *waitset = NULL;
        unsigned rounds = harness_long() ? 1000000 : 20000, i;
        pid_t pid;
        int r;

        assert_int_equal(slipring_waitset_new(&waitset, NULL), 0);
        assert_int_equal(slipring_waitset_add(waitset, subscriber), 0);
        pid = process_start(scribble_run, &scribble);
        for (i = 0; i < rounds; i++) {
                use(subscriber);
                r = slipring_waitset_ready(waitset, &ready, 1);
                assert_true(r == 0 || r == 1);
        }
        process_kill(pid);
        slipring_waitset_close(waitset);
        slipring_subscriber_close(subscriber);
}

static void test_a_header_that_changes_while_it_is_read_is_whole_or_refused(void **state) {
        struct slipring_publisher *publisher;
        struct slipring_subscriber *subscriber;
        struct scribble scribble = scribble_on(*state);
        unsigned rounds = harness_long() ? 50000 : 1000, opened = 0, i;
        pid_t pid;
        int r;

        pid = process_start(scribble_header_run, &scribble);
        for (i = 0; i < rounds; i++) {
                subscriber = NULL;
                r = slipring_subscriber_open(&subscriber, "imu", NULL, NULL);
                assert_true(r == 0 || r == -EBADMSG || r == -EPROTONOSUPPORT);
                if (r == 0) {
                        assert_int_equal(slipring_subscriber_type(subscriber)->payload_bytes,
                                         sizeof(struct message));
                        use(subscriber);
                        opened++;
                }
                slipring_subscriber_close(subscriber);
                publisher = NULL;
                r = slipring_publisher_open(&publisher, "imu", NULL, NULL);
                assert_true(r == 0 || r == -EBADMSG || r == -EPROTONOSUPPORT);
                slipring_publisher_close(publisher);
        }
        process_kill(pid);
        assert_true(opened > 0);
}

/* --- a full bus --- */

/* In an IPC namespace of its own: it takes nearly all the segments that a machine has. */
static int full_run(void *argument) {
        static struct topic_spec specs[LAYOUT_TOPICS_MAX + 1];
        static char names[LAYOUT_TOPICS_MAX + 1][16];
        static enum registry_outcome outcomes[LAYOUT_TOPICS_MAX];
        static const enum registry_outcome expected[] = {REGISTRY_CREATED, REGISTRY_KEPT,
                                                         REGISTRY_REPLACED};
        struct slipring_subscriber *last = NULL;
        struct registry *registry = NULL;
        size_t i, round, removed = 0;
        int bad = 0;

        (void) argument;
        if (unshare(CLONE_NEWIPC) < 0) {
                return 77;
        }
        for (i = 0; i <= LAYOUT_TOPICS_MAX; i++) {
                (void) snprintf(names[i], sizeof(names[i]), "t%zu", i);
                specs[i] = topic_of(names[i], 2);
        }
        if (setenv("SLIPRING_BUS", "full", 1) < 0 || registry_open(&registry, "full", NULL) < 0) {
                return 1;
        }
        if (registry_apply(registry, specs, LAYOUT_TOPICS_MAX + 1, NULL, NULL, NULL) != -E2BIG) {
                return 2;
        }
        /* Created; kept; each replaced while its predecessor is still there. */
        for (round = 0; round < 3 && !bad; round++) {
                for (i = 0; i < LAYOUT_TOPICS_MAX; i++) {
                        specs[i].depth = round < 2 ? 2 : 3;
                }
                bad |= registry_apply(registry, specs, LAYOUT_TOPICS_MAX, outcomes, &removed,
                                      NULL) != 0;
                bad |= removed != 0 || registry_count(registry) != LAYOUT_TOPICS_MAX;
                for (i = 0; i < LAYOUT_TOPICS_MAX; i++) {
                        bad |= outcomes[i] != expected[round];
                }
                bad |= slipring_subscriber_open(&last, "t1999", NULL, NULL) != 0;
                last = slipring_subscriber_close(last);
        }
        registry_remove(registry, NULL);
        return bad ? 3 : 0;
}

static void test_a_full_bus(void **state) {
        int status = process_wait(process_start(full_run, NULL));

        (void) state;
        if (status == 77) {
                skip();
        }
        assert_int_equal(status, 0);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

#define EACH(name)                                                                                 \
        {#name " (io_uring)", name, setup, teardown, NULL},                                        \
                {#name " (futex_waitv)", name, setup_waitv, teardown, NULL}, {                     \
#name " (FUTEX_WAIT)", name, setup_wait, teardown, NULL                            \
        }

int main(void) {
        const struct CMUnitTest tests[] = {
                CASE(test_a_wait_set_of_many_tells_of_each),
                EACH(test_quiet_topics_do_not_delay_wait_any),
                CASE(test_an_error_says_what_the_call_says),
                CASE(test_a_name_that_no_topic_can_have_is_malformed),
                CASE(test_a_loan_is_given_back_before_a_move),
                CASE(test_the_counts_of_a_move_are_exact),
                CASE(test_a_handle_never_moves_to_another_bus),
                CASE(test_a_manager_that_cannot_start_leaves_nothing),
                CASE(test_a_scribbled_ring_ends_in_errors_only),
                CASE(test_a_header_that_changes_while_it_is_read_is_whole_or_refused),
                CASE(test_a_full_bus),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
