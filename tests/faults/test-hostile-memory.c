/*
 * Memory that somebody scribbles over while everybody reads it: the samples, headers and counters
 * of live topics, then the bus's directory. Subscribers of every manner, the manager's watch and
 * the commands go on or say what is corrupt; nobody dies by a signal, hangs, or reads outside.
 * Afterwards a reload, or the next bus, is whole.
 *
 * Who scribbles is the owner: nobody else may.
 */

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/shm.h>
#include <time.h>
#include <unistd.h>

#include <slipring/publisher.h>
#include <slipring/subscriber.h>

#include "bus/header.h"
#include "tests/harness/command.h"
#include "tests/harness/daemon.h"

#define MESSAGE "fields: {number: uint64, words: \"uint64[7]\"}"
#define TOPICS(depth)                                                                              \
        "topics:\n"                                                                                \
        "  imu: {depth: " depth ", rate: 1 kHz, " MESSAGE "}\n"                                    \
        "  camera: {depth: " depth ", pins: 6, rate: 1 kHz, " MESSAGE "}\n"                        \
        "  log: {depth: " depth ", publishers: shared, rate: 1 kHz, " MESSAGE "}\n"

#define TOPIC_COUNT 3
static const char *const topics[TOPIC_COUNT] = {"imu", "camera", "log"};

enum manner {
        TAKE,
        NEWEST,
        BORROW,
        PIN,
        WAIT_ANY,
        WAITSET,
        REOPEN,
        MANNERS,
};

static const char *const manner_names[MANNERS] = {"take",     "newest",   "borrow", "pin",
                                                  "wait_any", "wait set", "reopen"};

struct count {
        _Atomic uint64_t taken, corrupt, opens, refused, wrong;
};

struct shared {
        _Atomic int stop;
        _Atomic uint64_t writes;
        struct count counts[MANNERS];
};

static struct daemon bus;
static struct shared *shared;

static void sleep_ms(unsigned ms) {
        struct timespec pause = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000L};

        (void) nanosleep(&pause, NULL);
}

static uint64_t chance(uint64_t *seed) {
        *seed ^= *seed << 13;
        *seed ^= *seed >> 7;
        *seed ^= *seed << 17;
        return *seed;
}

/* --- who scribbles --- */

/* Where in a segment something is decided. */
struct target {
        uint8_t *memory;
        size_t bytes; /* of it that is scribbled over */
};

/* Values at which arithmetic turns over, and near to those that are there. */
static uint64_t odd_value(uint64_t *seed, uint64_t was) {
        static const uint64_t values[] = {
                0,         1,    UINT64_MAX,        INT64_MAX,         UINT32_MAX,
                INT32_MAX, 4096, UINT64_C(1) << 63, 0xffffffff00000000};

        switch (chance(seed) % 4) {
        case 0:
                return values[chance(seed) % (sizeof(values) / sizeof(values[0]))];
        case 1:
                return was + chance(seed) % 5 - 2;
        case 2:
                return was ^ UINT64_C(1) << chance(seed) % 64;
        default:
                return chance(seed);
        }
}

static void scribble(const struct target *target, uint64_t *seed) {
        _Atomic uint64_t *words = (void *) target->memory;
        /* Half of it at the beginning, where header and counters are. */
        size_t count = target->bytes / 8, at = chance(seed) % count;

        at = chance(seed) % 2 && count > 600 ? at % 600 : at;
        atomic_store_explicit(
                &words[at], odd_value(seed, atomic_load_explicit(&words[at], memory_order_relaxed)),
                memory_order_relaxed);
}

struct scribbler {
        struct target targets[TOPIC_COUNT];
        size_t count;
};

/* Bursts, between which the publishers put some of it right again. */
static int scribble_run(void *argument) {
        const struct scribbler *scribbler = argument;
        uint64_t seed = (uint64_t) getpid() * 2654435761u + 1;
        unsigned i;

        while (!atomic_load(&shared->stop)) {
                for (i = 0; i < 50; i++) {
                        scribble(&scribbler->targets[chance(&seed) % scribbler->count], &seed);
                }
                atomic_fetch_add(&shared->writes, i);
                if (chance(&seed) % 8 == 0) {
                        sleep_ms(1);
                }
        }
        return 0;
}

/* --- those who live with it --- */

/* An endless loop ends the test, and names itself. */
static void watch_over(void) {
        (void) alarm(harness_long() ? 300 : 120);
}

static int publish_run(void *argument) {
        const char *topic = argument;
        struct slipring_publisher *publisher = NULL;
        struct message message = message_make(1);

        watch_over();
        while (!atomic_load(&shared->stop)) {
                if (!publisher && slipring_publisher_open(&publisher, topic, NULL, NULL) < 0) {
                        sleep_ms(1);
                        continue;
                }
                message = message_make(message.number + 1);
                if (slipring_publisher_publish(publisher, &message, sizeof(message), 0) < 0) {
                        publisher = slipring_publisher_close(publisher);
                }
                sleep_ms(1);
        }
        slipring_publisher_close(publisher);
        return 0;
}

static bool expected(int r) {
        return r >= 0 || r == -EAGAIN || r == -EIDRM || r == -EBADMSG || r == -ESTALE ||
               r == -ETIMEDOUT || r == -EINTR || r == -ENOBUFS;
}

static int take_one(enum manner manner, struct slipring_subscriber *subscriber) {
        struct slipring_sample sample = {0};
        struct message message;
        int r;

        switch (manner) {
        case NEWEST:
                return slipring_subscriber_take_newest(subscriber, &message, sizeof(message),
                                                       &sample);
        case BORROW:
                r = slipring_subscriber_borrow(subscriber, &sample);
                if (r == 1) {
                        memcpy(&message, sample.payload, sizeof(message));
                        r = slipring_subscriber_release(subscriber);
                        return r < 0 ? r : 1;
                }
                return r;
        case PIN:
                r = slipring_subscriber_pin_newest(subscriber, &sample);
                if (r == 1) {
                        memcpy(&message, sample.payload, sizeof(message));
                        r = slipring_subscriber_unpin(subscriber, sample.payload);
                        return r < 0 ? r : 1;
                }
                return r;
        default:
                return slipring_subscriber_take(subscriber, &message, sizeof(message), &sample);
        }
}

static int
rest(enum manner manner, struct slipring_subscriber *subscriber, struct slipring_waitset *waitset) {
        struct pollfd set = {.fd = waitset ? slipring_waitset_fd(waitset) : -1, .events = POLLIN};
        struct slipring_subscriber *ready = NULL;

        switch (manner) {
        case WAITSET:
                (void) poll(&set, 1, 5);
                return slipring_waitset_ready(waitset, &ready, 1);
        case WAIT_ANY:
                return slipring_subscriber_wait_any(&subscriber, 1, slipring_in_ms(5));
        default:
                return slipring_subscriber_wait(subscriber, slipring_in_ms(5));
        }
}

/* Use a subscriber until it says that something is wrong, or for a while. */
static void use(enum manner manner, struct slipring_subscriber *subscriber) {
        struct count *count = &shared->counts[manner];
        struct slipring_waitset *waitset = NULL;
        struct slipring_subscriber_info info;
        int i, r = 0;

        if (manner == WAITSET && (slipring_waitset_new(&waitset, NULL) < 0 ||
                                  slipring_waitset_add(waitset, subscriber) < 0)) {
                slipring_waitset_close(waitset);
                return;
        }
        for (i = 0; i < (manner == REOPEN ? 1 : 1000) && r >= 0; i++) {
                r = take_one(manner, subscriber);
                atomic_fetch_add(&count->taken, r == 1);
                r = r == 0 ? rest(manner, subscriber, waitset) : r;
                r = r == -EAGAIN || r == -ESTALE || r == -ETIMEDOUT || r == -EINTR ? 0 : r;
                (void) slipring_subscriber_info(subscriber, &info);
                if (atomic_load(&shared->stop)) {
                        break;
                }
        }
        atomic_fetch_add(&count->corrupt, r == -EBADMSG);
        atomic_fetch_add(&count->wrong, !expected(r));
        slipring_waitset_close(waitset);
}

static int subscribe_run(void *argument) {
        enum manner manner = *(enum manner *) argument;
        struct count *count = &shared->counts[manner];
        struct slipring_subscriber_options options = {.size = sizeof(options)};
        unsigned round;
        int r;

        watch_over();
        for (round = 0; !atomic_load(&shared->stop); round++) {
                const char *topic = manner == PIN ? "camera" : topics[round % TOPIC_COUNT];
                struct slipring_subscriber *subscriber = NULL;
                struct slipring_error error = {0};

                options.start = round % 3;
                options.pins = manner == PIN;
                r = slipring_subscriber_open(&subscriber, topic, &options, &error);
                if (r == 0) {
                        atomic_fetch_add(&count->opens, 1);
                        use(manner, subscriber);
                        slipring_subscriber_close(subscriber);
                        continue;
                }
                atomic_fetch_add(&count->refused, 1);
                /* The error names what it is about. */
                if (error.code != r ||
                    (!strstr(error.text, topic) && !strstr(error.text, bus.bus) &&
                     !strstr(error.text, "bus"))) {
                        (void) fprintf(stderr, "%s: %d '%s'\n", topic, r, error.text);
                        atomic_fetch_add(&count->wrong, 1);
                }
                sleep_ms(1);
        }
        return 0;
}

/* --- what people do meanwhile --- */

static const char *const commands[][6] = {
        {"list", "-v", NULL},
        {"list", "--json", NULL},
        {"info", "imu", NULL},
        {"info", "--json", "camera", NULL},
        {"echo", "imu", "-n", "3", "--timeout=0.2", NULL},
        {"echo", "log", "--json", "--once", "--timeout=0.2", NULL},
        {"hz", "camera", "-n", "1", "--timeout=0.2", NULL},
        {"top", "-n", "1", NULL},
        {"doctor", NULL},
        {"doctor", "--json", NULL},
        {"blackbox", "--since=10ms", NULL},
        {"blackbox", "--json", NULL},
};

#define COMMANDS (sizeof(commands) / sizeof(commands[0]))

/* Ended by itself, and with something to say if it failed. */
static void run_command(const char *const *arguments) {
        struct command command;

        command_start(&command, arguments);
        command_finish(&command);
        if (command.code > 124 || strstr(command.err, "Sanitizer") ||
            strstr(command.err, "runtime error") ||
            (command.code != 0 && !*command.err && !*command.out)) {
                fail_msg("slipring %s ended with %d: %s", arguments[0], command.code, command.err);
        }
        command_free(&command);
}

static unsigned run_commands(uint64_t end_ns) {
        unsigned count = 0;

        while (slipring_now_ns() < end_ns || count < COMMANDS) {
                run_command(commands[count++ % COMMANDS]);
        }
        return count;
}

/* --- the tests --- */

static void target_segment(struct scribbler *scribbler, int id, size_t bytes) {
        struct target *target = &scribbler->targets[scribbler->count++];

        target->memory = shmat(id, NULL, 0);
        assert_true(target->memory != (void *) -1);
        target->bytes = bytes;
}

static void print_counts(unsigned command_count) {
        const struct count *count;
        int i;

        print_message("%llu words scribbled over, %u commands\n",
                      (unsigned long long) atomic_load(&shared->writes), command_count);
        for (i = 0; i < MANNERS; i++) {
                count = &shared->counts[i];
                print_message("%s: %llu opens, %llu refused, %llu samples, %llu times told that it "
                              "is corrupt\n",
                              manner_names[i], (unsigned long long) atomic_load(&count->opens),
                              (unsigned long long) atomic_load(&count->refused),
                              (unsigned long long) atomic_load(&count->taken),
                              (unsigned long long) atomic_load(&count->corrupt));
        }
}

/* Everybody at once, for a while. */
static void live_with(struct scribbler *scribbler) {
        uint64_t end_ns = slipring_in_ms(harness_long() ? 60000 : 3000);
        pid_t pids[TOPIC_COUNT + MANNERS + 1];
        enum manner manners[MANNERS];
        unsigned count = 0, command_count;
        int i;

        for (i = 0; i < TOPIC_COUNT; i++) {
                pids[count++] = process_start(publish_run, (void *) (uintptr_t) topics[i]);
        }
        for (i = 0; i < MANNERS; i++) {
                manners[i] = (enum manner) i;
                pids[count++] = process_start(subscribe_run, &manners[i]);
        }
        sleep_ms(100);
        pids[count++] = process_start(scribble_run, scribbler);
        command_count = run_commands(end_ns);
        atomic_store(&shared->stop, 1);
        while (count > 0) {
                assert_int_equal(process_wait(pids[--count]), 0);
        }
        print_counts(command_count);
        for (i = 0; i < MANNERS; i++) {
                assert_int_equal(atomic_load(&shared->counts[i].wrong), 0);
                assert_true(atomic_load(&shared->counts[i].opens) > 0);
        }
        assert_true(atomic_load(&shared->writes) > 1000);
}

static void assert_carries(const char *topic) {
        struct slipring_publisher *publisher = publisher_open(topic);
        struct slipring_subscriber *subscriber = subscriber_open(topic, SLIPRING_START_NEXT);
        struct message message = message_make(7);

        assert_int_equal(slipring_publisher_publish(publisher, &message, sizeof(message), 0), 0);
        message = (struct message){0};
        assert_int_equal(slipring_subscriber_take(subscriber, &message, sizeof(message), NULL), 1);
        assert_true(message_whole(&message) && message.number == 7);
        slipring_subscriber_close(subscriber);
        slipring_publisher_close(publisher);
}

static void assert_all_carry(void) {
        int i;

        for (i = 0; i < TOPIC_COUNT; i++) {
                assert_carries(topics[i]);
        }
}

static void forget(const struct scribbler *scribbler) {
        size_t i;

        for (i = 0; i < scribbler->count; i++) {
                assert_int_equal(shmdt(scribbler->targets[i].memory), 0);
        }
}

static void scribble_over_topics(bool header) {
        struct scribbler scribbler = {0};
        const struct layout_header *start;
        struct layout_entry entry;
        size_t from[TOPIC_COUNT];
        int i;

        daemon_schema(&bus, TOPICS("8"));
        daemon_start(&bus, NULL);
        for (i = 0; i < TOPIC_COUNT; i++) {
                entry = daemon_entry(&bus, topics[i]);
                target_segment(&scribbler, entry.data_id, entry.segment_bytes);
                start = (const void *) scribbler.targets[i].memory;
                from[i] = header ? 0 : start->words_offset;
                scribbler.targets[i].memory += from[i];
                scribbler.targets[i].bytes -= from[i];
        }
        live_with(&scribbler);
        for (i = 0; i < TOPIC_COUNT; i++) {
                scribbler.targets[i].memory -= from[i];
        }
        forget(&scribbler);
        /* The manager has been there all the time; a change gives each topic a whole segment. */
        daemon_schema(&bus, TOPICS("9"));
        daemon_signal(&bus, SIGHUP);
        daemon_expect(&bus, ": reloaded ");
        assert_all_carry();
        assert_int_equal(daemon_stop(&bus, SIGTERM), 0);
        assert_int_equal(ipc_objects(), 0);
}

static void test_samples_and_counters_scribbled_over(void **state) {
        scribble_over_topics(false);
        assert_true(atomic_load(&shared->counts[TAKE].corrupt) > 0);
}

static void test_headers_scribbled_over(void **state) {
        scribble_over_topics(true);
        assert_true(atomic_load(&shared->counts[REOPEN].refused) > 0);
}

static void test_directory_scribbled_over(void **state) {
        const struct layout_header plan = header_directory(0);
        struct scribbler scribbler = {0};

        daemon_schema(&bus, TOPICS("8"));
        daemon_start(&bus, NULL);
        target_segment(&scribbler, shmget(directory_key(geteuid(), bus.bus), 0, 0),
                       plan.slots_offset + 8192);
        /* The other table. */
        target_segment(&scribbler, shmget(directory_key(geteuid(), bus.bus), 0, 0), 8192);
        scribbler.targets[1].memory += plan.slots_offset + plan.slot_stride_bytes;
        live_with(&scribbler);
        scribbler.targets[1].memory -= plan.slots_offset + plan.slot_stride_bytes;
        forget(&scribbler);
        /* What the manager knows it knows by itself. */
        assert_int_equal(daemon_stop(&bus, SIGTERM), 0);
        assert_int_equal(ipc_objects(), 0);
        daemon_start(&bus, NULL);
        assert_all_carry();
        assert_int_equal(daemon_stop(&bus, SIGTERM), 0);
}

static int setup(void **state) {
        daemon_setup(&bus);
        shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1,
                      0);
        return shared == MAP_FAILED ? -1 : 0;
}

static int teardown(void **state) {
        (void) munmap(shared, sizeof(*shared));
        daemon_teardown(&bus);
        return 0;
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(test_samples_and_counters_scribbled_over, setup,
                                                teardown),
                cmocka_unit_test_setup_teardown(test_headers_scribbled_over, setup, teardown),
                cmocka_unit_test_setup_teardown(test_directory_scribbled_over, setup, teardown),
        };

        (void) ipc_private(true);
        return cmocka_run_group_tests(tests, NULL, NULL);
}
