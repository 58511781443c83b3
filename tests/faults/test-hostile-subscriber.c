/*
 * A subscriber of another user's that does all a subscriber can: scribbles over the wake board,
 * steals wake-ups, wakes everyone for nothing, parks thousands of waits. Honest subscribers, who
 * sleep in three manners, get every sample all the same; how late, and what it costs the publisher,
 * is printed.
 */

#include <errno.h>
#include <linux/futex.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/shm.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <slipring/publisher.h>
#include <slipring/subscriber.h>

#include "bus/uring.h"
#include "bus/wake.h"
#include "tests/harness/user.h"

#if defined(__has_feature)
#define SANITIZED (__has_feature(address_sanitizer) || __has_feature(thread_sanitizer))
#else
#define SANITIZED 0
#endif

#define DEPTH 8192u
#define HONEST 3
#define PARKED (SANITIZED ? 2048u : 16384u)
#define PARKING_THREADS 512u
#define SLEEPER_PROCESSES 8u

static const struct user stranger = {USER_STRANGER, USER_STRANGER, 0};
static const struct user honest_user = {USER_OTHER, USER_OTHER, 0};

/* Shared with all processes. */
static struct {
        _Atomic unsigned ready;
        _Atomic uint64_t attacks, stolen;
        uint64_t latest_ns[HONEST];
        uint64_t latency_ns[HONEST][DEPTH];
        unsigned samples;
        struct layout_entry entry;
} * shared;

static struct bus bus;

static int setup(void **state) {
        struct topic_spec specs[] = {topic_of("imu", DEPTH), topic_of("odom", 4)};

        specs[0].mode = 0644;
        specs[1].mode = 0644;
        bus_start(&bus, specs, 2);
        memset(shared, 0, sizeof(*shared));
        shared->samples = harness_long() ? 4000 : 400;
        shared->entry = *registry_entry(bus.registry, 0);
        return 0;
}

static int teardown(void **state) {
        bus_stop(&bus);
        return 0;
}

/* --- honest subscribers --- */

struct reader {
        unsigned index;
        struct slipring_subscriber *subscriber, *other;
        struct slipring_waitset *waitset;
};

static int sleep_wait(struct reader *reader) {
        return slipring_subscriber_wait(reader->subscriber, slipring_in_ms(20000));
}

static int sleep_any(struct reader *reader) {
        struct slipring_subscriber *both[] = {reader->other, reader->subscriber};

        return slipring_subscriber_wait_any(both, 2, slipring_in_ms(20000)) == 1 ? 0 : -EBADE;
}

static int sleep_poll(struct reader *reader) {
        struct pollfd event = {.fd = slipring_waitset_fd(reader->waitset), .events = POLLIN};
        struct slipring_subscriber *ready;

        if (poll(&event, 1, 20000) != 1) {
                return -ETIMEDOUT;
        }
        return slipring_waitset_ready(reader->waitset, &ready, 1) < 0 ? -EBADE : 0;
}

static int (*const sleeps[HONEST])(struct reader *) = {sleep_wait, sleep_any, sleep_poll};
static const char *const sleep_names[HONEST] = {"wait", "wait_any", "wait set"};

/* Every sample, in order, whole, none missed. */
static int take_all(struct reader *reader) {
        struct slipring_sample sample;
        struct message message;
        uint64_t taken = 0;
        int r;

        while (taken < shared->samples) {
                r = slipring_subscriber_take(reader->subscriber, &message, sizeof(message),
                                             &sample);
                if (r == 0) {
                        if (sleeps[reader->index](reader) < 0) {
                                return 3;
                        }
                        continue;
                }
                if (r != 1 || sample.sequence != taken + 1 || sample.missed != 0 ||
                    message.number != taken + 1 || !message_whole(&message)) {
                        return 4;
                }
                shared->latency_ns[reader->index][taken] =
                        slipring_now_ns() - sample.publish_time_ns;
                taken++;
        }
        return 0;
}

static int honest_run(void *argument) {
        struct slipring_subscriber_options options = {.size = sizeof(options),
                                                      .start = SLIPRING_START_OLDEST};
        struct reader reader = {.index = *(unsigned *) argument};

        if (slipring_subscriber_open(&reader.subscriber, "imu", &options, NULL) < 0 ||
            slipring_subscriber_open(&reader.other, "odom", &options, NULL) < 0 ||
            slipring_waitset_new(&reader.waitset, NULL) < 0 ||
            (reader.index == 2 && slipring_waitset_add(reader.waitset, reader.subscriber) < 0)) {
                return 2;
        }
        shared->ready++;
        return take_all(&reader);
}

/* --- attacks --- */

static uint64_t draw(uint64_t *seed) {
        *seed ^= *seed << 13;
        *seed ^= *seed >> 7;
        *seed ^= *seed << 17;
        return *seed;
}

__attribute__((noreturn)) static void scribble(int kind) {
        struct layout_board_line *line = shmat(shared->entry.board_id, NULL, 0);
        uint64_t *words = (uint64_t *) (void *) line, seed = 88172645463325252u;

        if (line == (void *) -1) {
                _exit(1);
        }
        shared->ready++;
        line += shared->entry.board_line;
        for (;; shared->attacks++) {
                switch (kind) {
                case 0:
                        words[draw(&seed) % (LAYOUT_BOARD_BYTES / 8)] = draw(&seed);
                        line->asleep = (uint32_t) draw(&seed);
                        break;
                default:
                        line->asleep = kind == 1;
                }
        }
}

static int scribble_random_run(void *argument) {
        scribble(0);
}

static int scribble_set_run(void *argument) {
        scribble(1);
}

static int scribble_clear_run(void *argument) {
        scribble(2);
}

/* The wake word, as a subscriber may map it. */
static _Atomic uint32_t *wake_word(void) {
        uint8_t *address = shmat(shared->entry.data_id, NULL, SHM_RDONLY);
        const struct layout_header *header = (const void *) address;

        if (address == (void *) -1) {
                _exit(1);
        }
        return &((struct layout_words *) (void *) (address + header->words_offset))->wake;
}

/* Moves whoever sleeps to a word of its own. */
__attribute__((noreturn)) static int steal_run(void *argument) {
        _Atomic uint32_t *word = wake_word(), *own;
        bool compare = false;
        long r;

        own = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
        if (own == MAP_FAILED) {
                _exit(1);
        }
        shared->ready++;
        for (;; shared->attacks++) {
                compare = !compare;
                r = compare ? syscall(SYS_futex, word, FUTEX_CMP_REQUEUE, 0, INT_MAX, own, *word)
                            : syscall(SYS_futex, word, FUTEX_REQUEUE, 0, INT_MAX, own, 0);
                if (r > 0) {
                        shared->stolen += (uint64_t) r;
                }
        }
}

__attribute__((noreturn)) static int wake_run(void *argument) {
        _Atomic uint32_t *word = wake_word();

        shared->ready++;
        for (;; shared->attacks++) {
                shared->stolen += wake_send(word, INT_MAX);
                wake_poke(word);
        }
}

static void *park_thread(void *argument) {
        _Atomic uint32_t *word = argument;

        shared->attacks++;
        for (;;) {
                (void) wake_sleep(&(struct wake_item){.word = word, .expected = *word},
                                  UINT64_MAX / 2);
        }
        return NULL;
}

static void park_threads(_Atomic uint32_t *word) {
        pthread_attr_t attributes;
        pthread_t thread;
        unsigned i;

        (void) pthread_attr_init(&attributes);
        (void) pthread_attr_setstacksize(&attributes, 65536);
        for (i = 0; i < PARKING_THREADS; i++) {
                if (pthread_create(&thread, &attributes, park_thread, word) != 0) {
                        break;
                }
        }
        shared->ready++;
        (void) pause();
}

/* As many waits as there can be; what is woken parks again. */
__attribute__((noreturn)) static int park_run(void *argument) {
        _Atomic uint32_t *word = wake_word();
        struct uring uring = {.fd = -1};
        struct pollfd event = {.events = POLLIN};
        uint64_t id = 0, count;
        int32_t result;
        unsigned i;

        event.fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
        if (uring_open(&uring, event.fd) < 0) {
                park_threads(word);
        }
        for (i = 0; i < PARKED; i++) {
                if (uring_wait_futex(&uring, &(struct wake_item){.word = word, .expected = *word},
                                     i) < 0) {
                        break;
                }
                shared->attacks++;
        }
        shared->ready++;
        for (;;) {
                (void) poll(&event, 1, -1);
                (void) !read(event.fd, &count, sizeof(count));
                while (uring_next(&uring, &id, &result)) {
                        (void) uring_wait_futex(
                                &uring, &(struct wake_item){.word = word, .expected = *word}, id);
                }
        }
}

/* --- the publisher --- */

static void await_ready(unsigned count) {
        uint64_t until = slipring_in_ms(60000);

        while (shared->ready < count) {
                assert_true(slipring_now_ns() < until);
                (void) usleep(1000);
        }
}

static int order(const void *a, const void *b) {
        uint64_t left = *(const uint64_t *) a, right = *(const uint64_t *) b;

        return (left > right) - (left < right);
}

static void print_times(const char *what, uint64_t *times_ns, size_t count) {
        qsort(times_ns, count, sizeof(*times_ns), order);
        printf("%-44s p50 %9.1f us  p99 %9.1f us  most %9.1f us\n", what,
               (double) times_ns[count / 2] / 1e3, (double) times_ns[count * 99 / 100] / 1e3,
               (double) times_ns[count - 1] / 1e3);
}

/* Publishes all samples a millisecond apart, and tells what each call took. No attack makes it more
 * than one system call a sample. */
static void publish_all(const char *topic, const char *what, unsigned samples) {
        static uint64_t times_ns[DEPTH];
        struct slipring_publisher *publisher = publisher_open(topic);
        struct slipring_publisher_info before, after;
        uint64_t started;
        unsigned i;

        assert_int_equal(slipring_publisher_info(publisher, &before), 0);
        for (i = 0; i < samples; i++) {
                struct message message = message_make(before.sequence + 1 + i);

                (void) usleep(1000);
                started = slipring_now_ns();
                assert_int_equal(
                        slipring_publisher_publish(publisher, &message, sizeof(message), 0), 0);
                times_ns[i] = slipring_now_ns() - started;
        }
        assert_int_equal(slipring_publisher_info(publisher, &after), 0);
        assert_int_equal(after.sequence, before.sequence + samples);
        assert_true(after.wakeups - before.wakeups <= samples);
        slipring_publisher_close(publisher);
        print_times(what, times_ns, samples);
}

static void under_attack(const char *name, int (*run)(void *), uint64_t attacks_min) {
        unsigned indexes[HONEST], i;
        pid_t honest[HONEST], attacker = 0;
        char text[64];

        for (i = 0; i < HONEST; i++) {
                indexes[i] = i;
                honest[i] = user_start(&honest_user, honest_run, &indexes[i]);
        }
        await_ready(HONEST);
        if (run) {
                attacker = user_start(&stranger, run, NULL);
                await_ready(HONEST + 1);
        }
        (void) snprintf(text, sizeof(text), "publish, %s", name);
        publish_all("imu", text, shared->samples);
        for (i = 0; i < HONEST; i++) {
                assert_int_equal(process_wait(honest[i]), 0);
                (void) snprintf(text, sizeof(text), "  latency of %s", sleep_names[i]);
                print_times(text, shared->latency_ns[i], shared->samples);
        }
        if (run) {
                user_kill(attacker);
        }
        printf("  %llu attacks, %llu sleepers hit\n", (unsigned long long) shared->attacks,
               (unsigned long long) shared->stolen);
        (void) fflush(stdout);
        assert_true(shared->attacks >= attacks_min);
        /* Nobody's data or access changed. */
        assert_int_equal(registry_verify(bus.registry, 0, NULL), 0);
        assert_int_equal(registry_verify_bus(bus.registry, NULL), 0);
}

static void test_nobody_hostile(void **state) {
        under_attack("nobody hostile", NULL, 0);
}

static void test_a_board_of_random_bytes(void **state) {
        under_attack("board: random bytes", scribble_random_run, 1000);
}

static void test_a_board_that_is_always_set(void **state) {
        under_attack("board: always set", scribble_set_run, 1000);
}

static void test_a_board_that_is_always_clear(void **state) {
        under_attack("board: always clear", scribble_clear_run, 1000);
}

static void test_stolen_wake_ups(void **state) {
        under_attack("wake-ups stolen by requeue", steal_run, 1000);
        /* A theft that took nobody would test nothing. */
        assert_true(shared->stolen > 0);
}

static void test_wake_ups_for_nothing(void **state) {
        under_attack("wake-ups for nothing", wake_run, 1000);
        assert_true(shared->stolen > 0);
}

static void test_parked_waits(void **state) {
        under_attack("waits parked", park_run, PARKING_THREADS / 2);
}

/* --- what as many honest ones cost --- */

__attribute__((noreturn)) static int sleepers_run(void *argument) {
        unsigned count = PARKED / SLEEPER_PROCESSES, i;
        struct slipring_subscriber_options options = {.size = sizeof(options),
                                                      .start = SLIPRING_START_NEXT};
        struct slipring_subscriber **subscribers =
                calloc(count, sizeof(struct slipring_subscriber *));
        struct slipring_waitset *waitset = NULL;
        struct pollfd event = {.events = POLLIN};
        struct message message;
        int ready;

        if (!subscribers || slipring_waitset_new(&waitset, NULL) < 0) {
                _exit(1);
        }
        for (i = 0; i < count; i++) {
                if (slipring_subscriber_open(&subscribers[i], "odom", &options, NULL) < 0 ||
                    slipring_waitset_add(waitset, subscribers[i]) < 0) {
                        break;
                }
                shared->attacks++;
        }
        shared->ready++;
        event.fd = slipring_waitset_fd(waitset);
        for (;;) {
                (void) poll(&event, 1, -1);
                ready = slipring_waitset_ready(waitset, subscribers, (size_t) count);
                for (i = 0; ready > 0 && i < (unsigned) ready; i++) {
                        while (slipring_subscriber_take_newest(subscribers[i], &message,
                                                               sizeof(message), NULL) == 1) {
                        }
                }
        }
}

static void cost_beside(const char *what, int (*run)(void *), unsigned processes) {
        pid_t pids[SLEEPER_PROCESSES];
        char text[64];
        unsigned i;

        shared->ready = 0;
        shared->attacks = 0;
        for (i = 0; i < processes; i++) {
                pids[i] = user_start(&stranger, run, NULL);
        }
        await_ready(processes);
        (void) snprintf(text, sizeof(text), "publish, %llu %s",
                        (unsigned long long) shared->attacks, what);
        publish_all("odom", text, 200);
        for (i = 0; i < processes; i++) {
                user_kill(pids[i]);
        }
}

/* The numbers are the test: no more than 64 are woken by one publish, whoever they are. */
static void test_parked_waits_cost_what_honest_sleepers_cost(void **state) {
        shared->entry = *registry_entry(bus.registry, 1);
        cost_beside("asleep", NULL, 0);
        cost_beside("waits parked by a stranger", park_run, 1);
        cost_beside("honest sleepers in wait sets", sleepers_run, SLEEPER_PROCESSES);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void) {
        const struct CMUnitTest tests[] = {
                CASE(test_nobody_hostile),
                CASE(test_a_board_of_random_bytes),
                CASE(test_a_board_that_is_always_set),
                CASE(test_a_board_that_is_always_clear),
                CASE(test_stolen_wake_ups),
                CASE(test_wake_ups_for_nothing),
                CASE(test_parked_waits),
                CASE(test_parked_waits_cost_what_honest_sleepers_cost),
        };

        user_needed();
        shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1,
                      0);
        if (shared == MAP_FAILED) {
                return 1;
        }
        return cmocka_run_group_tests(tests, NULL, NULL);
}
