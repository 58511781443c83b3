/*
 * Opening, standing by, moving: everything around a sample's way.
 */

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ipc.h>
#include <sys/sem.h>
#include <sys/shm.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <slipring/publisher.h>
#include <slipring/subscriber.h>

#include "bus/claim.h"
#include "bus/topic.h"
#include "tests/harness/harness.h"

static int setup(void **state) {
        static struct bus bus;
        struct topic_spec specs[] = {topic_of("imu", 4), topic_of("odom", 2)};

        bus_start(&bus, specs, 2);
        *state = &bus;
        return 0;
}

static int teardown(void **state) {
        bus_stop(*state);
        return 0;
}

static int open_publisher(const char *topic,
                          const struct slipring_publisher_options *options,
                          struct slipring_error *reterr) {
        struct slipring_publisher *publisher = NULL;
        int r = slipring_publisher_open(&publisher, topic, options, reterr);

        assert_true((r == 0) == (publisher != NULL));
        slipring_publisher_close(publisher);
        return r;
}

static int open_subscriber(const char *topic,
                           const struct slipring_subscriber_options *options,
                           struct slipring_error *reterr) {
        struct slipring_subscriber *subscriber = NULL;
        int r = slipring_subscriber_open(&subscriber, topic, options, reterr);

        assert_true((r == 0) == (subscriber != NULL));
        slipring_subscriber_close(subscriber);
        return r;
}

static void says(const struct slipring_error *error, int code, const char *part) {
        assert_int_equal(error->code, code);
        if (!strstr(error->text, part)) {
                fail_msg("'%s' does not say '%s'", error->text, part);
        }
}

static void test_failures_are_explained(void **state) {
        struct slipring_subscriber_options sub = {.size = sizeof(sub)};
        struct slipring_publisher_options pub = {.size = sizeof(pub)};
        struct slipring_error error = {0};

        assert_int_equal(open_subscriber("imux", &sub, &error), -ENOENT);
        says(&error, -ENOENT, "no topic 'imux'");
        assert_int_equal(open_publisher("imux", &pub, &error), -ENOENT);
        sub.bus = "no_such_bus";
        assert_int_equal(open_subscriber("imu", &sub, &error), -ENOENT);
        says(&error, -ENOENT, "no bus 'no_such_bus'");
        sub.bus = "No Bus";
        assert_int_equal(open_subscriber("imu", &sub, &error), -EINVAL);
        says(&error, -EINVAL, "no bus name");
        sub.bus = "nobody_at_all/rover";
        assert_int_equal(open_subscriber("imu", &sub, &error), -ENOENT);
        says(&error, -ENOENT, "no user 'nobody_at_all'");
        sub = (struct slipring_subscriber_options){.size = 3};
        assert_int_equal(open_subscriber("imu", &sub, &error), -EINVAL);
        says(&error, -EINVAL, "sizeof");
        sub = (struct slipring_subscriber_options){.size = sizeof(sub), .spin_us = 100001};
        assert_int_equal(open_subscriber("imu", &sub, &error), -EINVAL);
        says(&error, -EINVAL, "spin_us is 100001: at most 100000");
        /* A program built before there was spin_us, or pins. */
        sub.size = offsetof(struct slipring_subscriber_options, pins);
        assert_int_equal(open_subscriber("imu", &sub, &error), 0);
        sub = (struct slipring_subscriber_options){.size = sizeof(sub), .start = 3};
        assert_int_equal(open_subscriber("imu", &sub, &error), -EINVAL);
        pub.flags = 0x100;
        assert_int_equal(open_publisher("imu", &pub, &error), -EINVAL);
        assert_int_equal(open_publisher("", NULL, &error), -EINVAL);
        assert_int_equal(open_publisher(NULL, NULL, NULL), -EINVAL);
}

static void test_another_type_is_refused_by_the_field_that_differs(void **state) {
        struct slipring_field fields[2];
        struct slipring_type type = message_type;
        struct slipring_subscriber_options options = {.size = sizeof(options), .type = &type};
        struct slipring_error error = {0};

        assert_int_equal(open_subscriber("imu", &options, &error), 0);
        memcpy(fields, message_type.fields, sizeof(fields));
        fields[1].name = "values";
        type.fields = fields;
        type.identity[0] ^= 1;
        assert_int_equal(open_subscriber("imu", &options, &error), -EPROTOTYPE);
        says(&error, -EPROTOTYPE, "field 'words'");
        says(&error, -EPROTOTYPE, "'values'");
        fields[0].first_child = 17;
        fields[0].kind = SLIPRING_KIND_STRUCT;
        assert_int_equal(open_subscriber("imu", &options, &error), -EBADMSG);
}

static void test_a_bus_is_found_by_user_and_name(void **state) {
        struct bus *bus = *state;
        struct slipring_subscriber_options options = {.size = sizeof(options)};
        char name[128];

        options.bus = bus->name;
        assert_int_equal(open_subscriber("imu", &options, NULL), 0);
        (void) snprintf(name, sizeof(name), "%u/%s", (unsigned) geteuid(), bus->name);
        options.bus = name;
        assert_int_equal(open_subscriber("imu", &options, NULL), 0);
}

/* --- waiting for what is not there yet --- */

static int late_bus_run(void *argument) {
        struct timespec pause = {.tv_nsec = 150000000};
        struct topic_spec specs[] = {topic_of("imu", 4), topic_of("late", 4)};
        struct registry *registry = NULL;

        (void) nanosleep(&pause, NULL);
        if (registry_open(&registry, argument, NULL) < 0 ||
            registry_apply(registry, specs, 1, NULL, NULL, NULL) < 0) {
                return 1;
        }
        (void) nanosleep(&pause, NULL);
        if (registry_apply(registry, specs, 2, NULL, NULL, NULL) < 0) {
                return 2;
        }
        (void) nanosleep(&pause, NULL);
        registry_remove(registry, NULL);
        return 0;
}

static void test_open_waits_for_the_bus_and_for_the_topic(void **state) {
        struct slipring_subscriber_options options = {.size = sizeof(options)};
        char name[64];
        pid_t pid;

        (void) snprintf(name, sizeof(name), "late%d", (int) getpid());
        options.bus = name;
        options.deadline_ns = slipring_in_ms(20);
        assert_int_equal(open_subscriber("late", &options, NULL), -ENOENT);
        pid = process_start(late_bus_run, name);
        options.deadline_ns = slipring_in_ms(20000);
        assert_int_equal(open_subscriber("late", &options, NULL), 0);
        assert_int_equal(process_wait(pid), 0);
}

/* Soon at first, so that who starts with the manager is not late; seldom later. */
static void test_looks_for_a_bus_become_seldom(void **state) {
        uint64_t waited_ns = 0, pause_ns, last_ns = 0;
        unsigned looks;

        for (looks = 0; waited_ns < 5000000; looks++) {
                pause_ns = topic_pause_ns(waited_ns);
                assert_true(pause_ns >= last_ns && pause_ns <= 1250000);
                waited_ns += pause_ns;
                last_ns = pause_ns;
        }
        assert_in_range(looks, 8, 16);
        for (; waited_ns < UINT64_C(10000000000); looks++) {
                pause_ns = topic_pause_ns(waited_ns);
                assert_true(pause_ns >= last_ns && pause_ns <= 50000000);
                waited_ns += pause_ns;
                last_ns = pause_ns;
        }
        assert_in_range(looks, 200, 240);
        assert_int_equal(topic_pause_ns(UINT64_MAX), 50000000);
}

static int flicker_run(void *argument) {
        struct registry *registry;
        int i;

        for (i = 0; i < 2000; i++) {
                if (registry_open(&registry, argument, NULL) < 0) {
                        return 1;
                }
                registry_remove(registry, NULL);
        }
        return 0;
}

/* Between the first and the last step of its making, a bus is not there yet; nothing else. */
static void test_a_bus_in_the_making_is_not_there_yet(void **state) {
        struct slipring_subscriber_options options = {.size = sizeof(options)};
        struct slipring_error error = {0};
        char name[64];
        int status;
        pid_t pid;

        (void) snprintf(name, sizeof(name), "flicker%d", (int) getpid());
        options.bus = name;
        pid = process_start(flicker_run, name);
        while (waitpid(pid, &status, WNOHANG) == 0) {
                if (open_subscriber("imu", &options, &error) != -ENOENT) {
                        fail_msg("%s", error.text);
                }
        }
        assert_int_equal(status, 0);
}

/* --- claims --- */

static int hold_run(void *argument) {
        struct slipring_publisher *publisher = NULL;
        int *ready = argument;
        void *payload = NULL;

        if (slipring_publisher_open(&publisher, "imu", NULL, NULL) < 0 ||
            slipring_publisher_loan(publisher, &payload) < 0) {
                return 1;
        }
        memset(payload, 0xff, sizeof(struct message));
        if (write(ready[1], "x", 1) != 1) {
                return 2;
        }
        (void) pause();
        return 0;
}

/* A process that publishes to imu and is in the middle of a loan. */
static pid_t hold(void) {
        int ready[2];
        char byte;
        pid_t pid;

        assert_int_equal(pipe(ready), 0);
        pid = process_start(hold_run, ready);
        (void) close(ready[1]);
        assert_int_equal(read(ready[0], &byte, 1), 1);
        (void) close(ready[0]);
        return pid;
}

static void test_a_second_publisher_is_told_who_is_the_first(void **state) {
        struct slipring_publisher_options options = {.size = sizeof(options)};
        struct slipring_error error = {0};
        char text[32];
        pid_t pid = hold();

        (void) snprintf(text, sizeof(text), "process %d ", (int) pid);
        assert_int_equal(open_publisher("imu", &options, &error), -EBUSY);
        says(&error, -EBUSY, text);
        options.flags = SLIPRING_PUBLISHER_STANDBY;
        options.deadline_ns = slipring_in_ms(30);
        assert_int_equal(open_publisher("imu", &options, &error), -ETIMEDOUT);
        process_kill(pid);
        assert_int_equal(open_publisher("imu", NULL, &error), 0);
}

static int kill_later_run(void *argument) {
        struct timespec pause = {.tv_nsec = 50000000};

        (void) nanosleep(&pause, NULL);
        return kill(*(pid_t *) argument, SIGKILL);
}

static void test_a_standby_takes_over_from_a_killed_publisher(void **state) {
        struct slipring_publisher_options options = {
                .size = sizeof(options),
                .flags = SLIPRING_PUBLISHER_STANDBY,
        };
        struct slipring_subscriber *subscriber = subscriber_open("imu", SLIPRING_START_OLDEST);
        struct slipring_publisher *publisher = NULL;
        struct slipring_sample sample;
        struct message message = message_make(1);
        pid_t pid = hold(), killer = process_start(kill_later_run, &pid);

        options.deadline_ns = SLIPRING_FOREVER;
        assert_int_equal(slipring_publisher_open(&publisher, "imu", &options, NULL), 0);
        assert_int_equal(process_wait(killer), 0);
        assert_int_equal(process_wait(pid), 128 + SIGKILL);
        assert_int_equal(slipring_subscriber_take(subscriber, &message, sizeof(message), &sample),
                         0);
        message = message_make(1);
        assert_int_equal(slipring_publisher_publish(publisher, &message, sizeof(message), 0), 0);
        assert_int_equal(slipring_subscriber_take(subscriber, &message, sizeof(message), &sample),
                         1);
        assert_true(message_whole(&message));
        assert_int_equal(sample.sequence, 1);
        assert_int_equal(sample.epoch, 2);
        slipring_publisher_close(publisher);
        slipring_subscriber_close(subscriber);
}

/* --- retiring and moving --- */

static void test_clients_move_to_a_successor(void **state) {
        struct topic_spec specs[] = {topic_of("imu", 8), topic_of("odom", 2)};
        struct slipring_publisher *publisher = publisher_open("imu"),
                                  *other = publisher_open("odom");
        struct slipring_subscriber *subscriber = subscriber_open("imu", SLIPRING_START_OLDEST);
        struct slipring_subscriber_info info;
        struct slipring_sample sample;
        struct slipring_error error = {0};
        struct message message = message_make(1);
        void *payload = NULL;

        assert_int_equal(slipring_publisher_publish(publisher, &message, sizeof(message), 0), 0);
        assert_int_equal(slipring_publisher_loan(publisher, &payload), 0);
        bus_apply(*state, specs, 2);
        assert_int_equal(slipring_publisher_commit(publisher, 0), -EIDRM);
        assert_int_equal(slipring_publisher_abandon(publisher), -EINVAL);
        assert_int_equal(slipring_publisher_publish(publisher, &message, sizeof(message), 0),
                         -EIDRM);
        assert_int_equal(slipring_publisher_loan(publisher, &payload), -EIDRM);
        /* An unchanged topic goes on. */
        assert_int_equal(slipring_publisher_publish(other, &message, sizeof(message), 0), 0);
        /* What the old ring holds is still delivered. */
        assert_int_equal(slipring_subscriber_take(subscriber, &message, sizeof(message), &sample),
                         1);
        assert_int_equal(slipring_subscriber_take(subscriber, &message, sizeof(message), &sample),
                         -EIDRM);
        assert_int_equal(slipring_subscriber_wait(subscriber, SLIPRING_FOREVER), -EIDRM);
        assert_int_equal(slipring_publisher_move(publisher, 0, &error), 0);
        assert_int_equal(slipring_subscriber_move(subscriber, 0, &error), 0);
        message = message_make(2);
        assert_int_equal(slipring_publisher_publish(publisher, &message, sizeof(message), 0), 0);
        assert_int_equal(slipring_subscriber_take(subscriber, &message, sizeof(message), &sample),
                         1);
        assert_int_equal(sample.sequence, 1);
        assert_int_equal(message.number, 2);
        assert_int_equal(slipring_subscriber_info(subscriber, &info), 0);
        assert_int_equal(info.delivered, 2);
        assert_int_equal(info.depth, 8);
        /* Nothing was retired: there is nowhere to go. */
        assert_int_equal(slipring_subscriber_move(subscriber, 0, &error), -EBADMSG);
        slipring_publisher_close(publisher);
        slipring_publisher_close(other);
        slipring_subscriber_close(subscriber);
}

static void test_a_topic_that_is_gone_has_no_successor(void **state) {
        struct topic_spec specs[] = {topic_of("odom", 2)};
        struct slipring_subscriber *subscriber = subscriber_open("imu", SLIPRING_START_OLDEST);
        struct slipring_publisher *publisher = publisher_open("imu");
        struct slipring_error error = {0};

        bus_apply(*state, specs, 1);
        assert_int_equal(slipring_subscriber_wait(subscriber, SLIPRING_FOREVER), -EIDRM);
        assert_int_equal(slipring_subscriber_move(subscriber, 0, &error), -ENOENT);
        assert_int_equal(slipring_publisher_move(publisher, slipring_in_ms(20), &error), -ENOENT);
        slipring_subscriber_close(subscriber);
        slipring_publisher_close(publisher);
}

/* A sleeper is woken by the retirement itself, not by a sample. */
static int retire_later_run(void *argument) {
        struct topic_spec specs[] = {topic_of("odom", 2)};
        struct timespec pause = {.tv_nsec = 50000000};
        struct bus *bus = argument;
        struct registry *registry = NULL;

        (void) nanosleep(&pause, NULL);
        if (registry_open(&registry, bus->name, NULL) < 0) {
                return 1;
        }
        if (registry_apply(registry, specs, 1, NULL, NULL, NULL) < 0) {
                return 2;
        }
        registry_close(registry);
        return 0;
}

static void test_another_manager_adopts_and_retires(void **state) {
        struct slipring_subscriber *subscriber = subscriber_open("imu", SLIPRING_START_OLDEST);
        struct slipring_publisher *other = publisher_open("odom");
        struct message message = message_make(1);
        pid_t pid;

        bus_abandon(*state);
        pid = process_start(retire_later_run, *state);
        assert_int_equal(slipring_subscriber_wait(subscriber, SLIPRING_FOREVER), -EIDRM);
        assert_int_equal(process_wait(pid), 0);
        assert_int_equal(slipring_publisher_publish(other, &message, sizeof(message), 0), 0);
        bus_resume(*state);
        slipring_subscriber_close(subscriber);
        slipring_publisher_close(other);
}

static void test_a_bus_taken_down_and_up_again_is_found(void **state) {
        struct topic_spec specs[] = {topic_of("imu", 4)};
        struct slipring_subscriber *subscriber = subscriber_open("imu", SLIPRING_START_OLDEST);
        struct bus *bus = *state;

        bus->registry = registry_remove(bus->registry, NULL);
        assert_int_equal(slipring_subscriber_wait(subscriber, SLIPRING_FOREVER), -EIDRM);
        assert_int_equal(slipring_subscriber_move(subscriber, slipring_in_ms(10), NULL), -ENOENT);
        bus_resume(bus);
        bus_apply(bus, specs, 1);
        assert_int_equal(slipring_subscriber_move(subscriber, 0, NULL), 0);
        slipring_subscriber_close(subscriber);
}

/* --- another process, another user --- */

/* Become a user who owns nothing here. */
static int become_nobody(void) {
        return setgroups(0, NULL) < 0 || setgid(65534) < 0 || setuid(65534) < 0;
}

/* Somebody else's segment under the bus's key. */
static int squat_run(void *argument) {
        struct segment_expect expect = directory_expect(0, argument, "");

        if (become_nobody()) {
                return 99;
        }
        return shmget(expect.key, expect.bytes, IPC_CREAT | IPC_EXCL | 0666) < 0;
}

static void test_a_squatted_key_is_refused_by_its_creator(void **state) {
        struct slipring_subscriber_options options = {.size = sizeof(options)};
        struct slipring_error error = {0};
        struct registry *registry = NULL;
        char name[64];
        int id;

        if (geteuid() != 0) {
                skip();
        }
        (void) snprintf(name, sizeof(name), "squat%d", (int) getpid());
        assert_int_equal(process_wait(process_start(squat_run, name)), 0);
        id = shmget(directory_key(0, name), 0, 0);
        options.bus = name;
        assert_int_equal(open_subscriber("imu", &options, &error), -EPERM);
        says(&error, -EPERM, "not trusted");
        assert_int_equal(registry_open(&registry, name, &error), -EPERM);
        assert_int_equal(shmctl(id, IPC_RMID, NULL), 0);
        /* The refused manager gave its claim back; a good one cleans up behind both. */
        assert_int_equal(registry_open(&registry, name, &error), 0);
        registry_remove(registry, NULL);
}

static void test_a_loosened_segment_is_refused(void **state) {
        struct slipring_error error = {0};
        struct shmid_ds status;
        struct bus *bus = *state;
        int id = registry_entry(bus->registry, 0)->data_id;

        assert_int_equal(shmctl(id, IPC_STAT, &status), 0);
        status.shm_perm.mode = 0666;
        assert_int_equal(shmctl(id, IPC_SET, &status), 0);
        assert_int_equal(open_subscriber("imu", NULL, &error), -EBADMSG);
        says(&error, -EBADMSG, "mode 0666");
        /* A restored mode is good again; SHM_LOCK's bit does not count. */
        status.shm_perm.mode = 0640;
        assert_int_equal(shmctl(id, IPC_SET, &status), 0);
        (void) shmctl(id, SHM_LOCK, NULL);
        assert_int_equal(open_subscriber("imu", NULL, &error), 0);
}

static void test_a_header_that_contradicts_the_directory_is_refused(void **state) {
        struct slipring_error error = {0};
        struct bus *bus = *state;
        struct layout_header *header = shmat(registry_entry(bus->registry, 0)->data_id, NULL, 0);

        assert_true(header != (void *) -1);
        header->waiters++;
        assert_int_equal(open_subscriber("imu", NULL, &error), -EBADMSG);
        says(&error, -EBADMSG, "contradicts the directory");
        header->waiters--;
        header->instance++;
        assert_int_equal(open_subscriber("imu", NULL, &error), -EBADMSG);
        says(&error, -EBADMSG, "another bus");
        header->instance--;
        header->depth = 3;
        assert_int_equal(open_subscriber("imu", NULL, &error), -EBADMSG);
        header->depth = 4;
        assert_int_equal(open_subscriber("imu", NULL, &error), 0);
        assert_int_equal(shmdt(header), 0);
}

/* The publisher may write the state word; a subscriber that believed it would spin. */
static void test_a_forged_retirement_is_told_from_a_real_one(void **state) {
        struct slipring_subscriber *subscriber = subscriber_open("imu", SLIPRING_START_OLDEST);
        struct slipring_error error = {0};
        struct bus *bus = *state;
        struct layout_header *header = shmat(registry_entry(bus->registry, 0)->data_id, NULL, 0);

        assert_true(header != (void *) -1);
        header->state = LAYOUT_STATE_RETIRED;
        assert_int_equal(slipring_subscriber_wait(subscriber, SLIPRING_FOREVER), -EIDRM);
        assert_int_equal(slipring_subscriber_move(subscriber, slipring_in_ms(10), &error),
                         -EBADMSG);
        says(&error, -EBADMSG, "still lists it");
        assert_int_equal(shmdt(header), 0);
        slipring_subscriber_close(subscriber);
}

/* The line of the wake board was another topic's, whose messages had the same numbers: what that
 * one's chains came to is not this one's end. */
static void test_a_successor_has_no_end_of_a_chain(void **state) {
        struct topic_spec specs[] = {topic_of("imu", 4), topic_of("odom", 2)};
        struct topic topic = TOPIC_NONE;
        struct bus *bus = *state;
        uint32_t lines[3];
        unsigned i;

        specs[0].wake = LAYOUT_WAKE_CHAIN;
        for (i = 0; i < 3; i++) {
                specs[0].depth++;
                bus_apply(bus, specs, 2);
                assert_int_equal(topic_attach(&topic, registry_entry(bus->registry, 0), true, NULL),
                                 0);
                assert_int_equal(*topic.chain_end, 0);
                *topic.chain_end = 77;
                lines[i] = topic.entry.board_line;
                topic_detach(&topic);
        }
        /* Which line is used again is the registry's business; that one is makes this a test. */
        assert_true(lines[2] == lines[0] || lines[2] == lines[1] || lines[1] == lines[0]);
}

static unsigned undumped(void) {
        FILE *file = fopen("/proc/self/smaps", "re");
        unsigned count = 0;
        char line[512];

        assert_non_null(file);
        while (fgets(line, sizeof(line), file)) {
                count += strncmp(line, "VmFlags:", 8) == 0 && strstr(line, " dd");
        }
        (void) fclose(file);
        return count;
}

/* A page size is what the directory says; what lies behind a small mapping is not ours to change,
 * or a child would be without its stack. */
static void test_a_wrong_page_size_reaches_no_other_mapping(void **state) {
        struct bus *bus = *state;
        struct layout_entry entry = *registry_entry(bus->registry, 0);
        struct segment segment = SEGMENT_NONE;
        struct segment_expect expect;
        unsigned before = undumped();
        pid_t pid;

        for (entry.page_bytes = 1; entry.page_bytes; entry.page_bytes <<= 1) {
                expect = topic_expect_data(&entry, "topic 'imu'");
                assert_int_equal(segment_attach(&segment, &expect, false, NULL), 0);
                assert_int_equal(undumped(), before + 1);
                segment_detach(&segment);
        }
        pid = fork();
        if (pid == 0) {
                _exit(0);
        }
        assert_int_equal(process_wait(pid), 0);
}

/* Memory is asked for before anything is made: of the pool where that may be had, else ordinary. */
static void test_growth_counts_huge_pages_only_where_they_may_be_had(void **state) {
        struct topic_spec specs[] = {topic_of("imu", 4), topic_of("odom", 2),
                                     topic_of("camera", 32768)};
        struct pages pages = {.bytes = 2 << 20, .total = 1000, .available = 1000};
        struct bus *bus = *state;
        struct registry_growth growth;

        growth = registry_growth(bus->registry, specs, 3, &pages);
        assert_true(growth.bytes > 32768 * sizeof(struct message));
        assert_int_equal(growth.huge_pages, 0);
        specs[2].huge_pages = LAYOUT_HUGE_PAGES_TRY;
        assert_int_equal(registry_growth(bus->registry, specs, 3, &pages).bytes, 0);
        pages.forbidden = true;
        assert_int_equal(registry_growth(bus->registry, specs, 3, &pages).bytes, growth.bytes);
        pages.forbidden = false;
        pages.available = 1;
        assert_int_equal(registry_growth(bus->registry, specs, 3, &pages).bytes, growth.bytes);
        specs[2].huge_pages = LAYOUT_HUGE_PAGES_YES;
        assert_int_equal(registry_growth(bus->registry, specs, 3, &pages).bytes, 0);
        assert_int_equal(registry_growth(bus->registry, specs, 3, &pages).huge_pages,
                         pages_count(pages.bytes, growth.bytes));
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void) {
        const struct CMUnitTest tests[] = {
                CASE(test_failures_are_explained),
                CASE(test_another_type_is_refused_by_the_field_that_differs),
                CASE(test_a_bus_is_found_by_user_and_name),
                CASE(test_open_waits_for_the_bus_and_for_the_topic),
                CASE(test_looks_for_a_bus_become_seldom),
                CASE(test_a_bus_in_the_making_is_not_there_yet),
                CASE(test_a_second_publisher_is_told_who_is_the_first),
                CASE(test_a_standby_takes_over_from_a_killed_publisher),
                CASE(test_clients_move_to_a_successor),
                CASE(test_a_topic_that_is_gone_has_no_successor),
                CASE(test_another_manager_adopts_and_retires),
                CASE(test_a_bus_taken_down_and_up_again_is_found),
                CASE(test_a_squatted_key_is_refused_by_its_creator),
                CASE(test_a_loosened_segment_is_refused),
                CASE(test_a_header_that_contradicts_the_directory_is_refused),
                CASE(test_a_forged_retirement_is_told_from_a_real_one),
                CASE(test_a_successor_has_no_end_of_a_chain),
                CASE(test_a_wrong_page_size_reaches_no_other_mapping),
                CASE(test_growth_counts_huge_pages_only_where_they_may_be_had),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
