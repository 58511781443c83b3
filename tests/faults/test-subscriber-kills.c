/*
 * Subscribers killed in every state that they can be in: idle, asleep in each of the kernel's ways,
 * holding a view. The publisher and the other subscribers do not notice: two witnesses get every
 * sample, the ring's attachments come back, and once nobody sleeps nothing is paid.
 *
 * What a publish costs and how late the witnesses are is printed, before the kills and after.
 */

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <slipring/publisher.h>
#include <slipring/subscriber.h>

#include "bus/uring.h"
#include "tests/harness/harness.h"
#include "tests/harness/times.h"

#ifndef SYS_futex_waitv
#define SYS_futex_waitv 449
#endif

#define DEPTH 64u
#define BATCH 100u
#define LATENCIES_MAX (1u << 18)

enum {
        WITNESS_WAIT, /* sleeps in slipring_subscriber_wait() */
        WITNESS_POLL, /* sleeps on a wait set's descriptor */
        WITNESSES,
};

struct witness {
        _Atomic uint64_t last; /* it ends with this sample */
        _Atomic uint64_t sequence;
        uint64_t delivered, missed, wrong;
        _Atomic unsigned latencies;
        uint64_t latency_ns[LATENCIES_MAX];
};

struct shared {
        _Atomic unsigned victims; /* that came to where they are to be killed */
        struct witness witnesses[WITNESSES];
};

struct scene {
        struct bus bus;
        struct shared *shared;
        struct slipring_publisher *publisher;
        uint64_t published;
        unsigned seen[WITNESSES]; /* latencies looked at so far */
        struct times cost, late[WITNESSES];
        pid_t witnesses[WITNESSES];
        unsigned seed;
};

struct role {
        struct shared *shared;
        unsigned number;
};

static void pause_us(unsigned us) {
        struct timespec span = {.tv_nsec = (long) us * 1000};

        (void) nanosleep(&span, NULL);
}

/* --- who is killed --- */

static void note_victim(const struct role *role) {
        atomic_fetch_add(&role->shared->victims, 1);
}

static void take_all(struct slipring_subscriber *subscriber) {
        struct message message;

        while (slipring_subscriber_take(subscriber, &message, sizeof(message), NULL) == 1) {
        }
}

static int idle_run(void *argument) {
        (void) subscriber_open("imu", SLIPRING_START_NEWEST);
        note_victim(argument);
        return ppoll(NULL, 0, NULL, NULL);
}

static int wait_run(void *argument) {
        struct slipring_subscriber *subscriber = subscriber_open("imu", SLIPRING_START_NEXT);

        note_victim(argument);
        while (slipring_subscriber_wait(subscriber, SLIPRING_FOREVER) == 0) {
                take_all(subscriber);
        }
        return 1;
}

static int wait_any_run(void *argument) {
        struct slipring_subscriber *subscribers[] = {
                subscriber_open("odom", SLIPRING_START_NEXT),
                subscriber_open("imu", SLIPRING_START_NEXT),
        };
        int index;

        note_victim(argument);
        for (;;) {
                index = slipring_subscriber_wait_any(subscribers, 2, SLIPRING_FOREVER);
                if (index < 0) {
                        return 1;
                }
                take_all(subscribers[index]);
        }
}

static int poll_run(void *argument) {
        struct slipring_subscriber *subscriber = subscriber_open("imu", SLIPRING_START_NEXT), *one;
        struct slipring_waitset *waitset = NULL;
        struct pollfd event = {.events = POLLIN};

        if (slipring_waitset_new(&waitset, NULL) < 0 ||
            slipring_waitset_add(waitset, subscriber) < 0) {
                return 1;
        }
        event.fd = slipring_waitset_fd(waitset);
        note_victim(argument);
        for (;;) {
                (void) ppoll(&event, 1, NULL, NULL);
                if (slipring_waitset_ready(waitset, &one, 1) == 1) {
                        take_all(one);
                }
        }
}

static int view_run(void *argument) {
        struct slipring_subscriber *subscriber = subscriber_open("imu", SLIPRING_START_NEWEST);
        struct slipring_sample sample;

        if (slipring_subscriber_borrow(subscriber, &sample) != 1) {
                return 1;
        }
        note_victim(argument);
        return ppoll(NULL, 0, NULL, NULL);
}

struct state {
        const char *name;
        int (*run)(void *);
        long call; /* the system call that it is in */
        bool uring;
        const char *disable;
        bool chain; /* several at a time, links of a chain of wake-ups */
};

/* More than one call wakes: those in front are to wake those behind and the witnesses. */
#define LINKS 6u

static unsigned victims_of(const struct state *state) {
        return state->chain ? LINKS : 1;
}

/* --- who watches --- */

static void witness_take(struct slipring_subscriber *subscriber, struct witness *witness) {
        struct slipring_sample sample;
        struct message message;
        unsigned index;

        while (slipring_subscriber_take(subscriber, &message, sizeof(message), &sample) == 1) {
                index = atomic_load(&witness->latencies);
                if (index < LATENCIES_MAX) {
                        witness->latency_ns[index] = slipring_now_ns() - sample.publish_time_ns;
                        atomic_store(&witness->latencies, index + 1);
                }
                witness->wrong += !message_whole(&message) || message.number != sample.sequence ||
                                  sample.sequence != atomic_load(&witness->sequence) + 1;
                atomic_store(&witness->sequence, sample.sequence);
        }
}

static int witness_run(void *argument) {
        const struct role *role = argument;
        struct witness *witness = &role->shared->witnesses[role->number];
        struct slipring_subscriber *subscriber = subscriber_open("imu", SLIPRING_START_OLDEST);
        struct slipring_subscriber *one;
        struct slipring_subscriber_info info;
        struct slipring_waitset *waitset = NULL;
        struct pollfd event = {.events = POLLIN};

        if (role->number == WITNESS_POLL && (slipring_waitset_new(&waitset, NULL) < 0 ||
                                             slipring_waitset_add(waitset, subscriber) < 0)) {
                return 1;
        }
        while (atomic_load(&witness->sequence) < atomic_load(&witness->last)) {
                if (waitset) {
                        event.fd = slipring_waitset_fd(waitset);
                        (void) poll(&event, 1, 1000);
                        (void) slipring_waitset_ready(waitset, &one, 1);
                } else {
                        (void) slipring_subscriber_wait(subscriber, slipring_in_ms(1000));
                }
                witness_take(subscriber, witness);
        }
        if (slipring_subscriber_info(subscriber, &info) < 0) {
                return 2;
        }
        witness->delivered = info.delivered;
        witness->missed = info.missed;
        slipring_waitset_close(waitset);
        slipring_subscriber_close(subscriber);
        return 0;
}

/* --- publishing --- */

/* The witnesses are never further behind than the ring is long, so they miss nothing. */
static void witnesses_await(const struct scene *scene, uint64_t sequence) {
        unsigned i;

        for (i = 0; i < WITNESSES; i++) {
                while (atomic_load(&scene->shared->witnesses[i].sequence) < sequence) {
                        pause_us(20);
                }
        }
}

static void publish(struct scene *scene) {
        struct message message = message_make(++scene->published);
        uint64_t before_ns = slipring_now_ns();

        assert_int_equal(slipring_publisher_publish(scene->publisher, &message, sizeof(message), 0),
                         0);
        times_add(&scene->cost, slipring_now_ns() - before_ns);
        if (scene->published >= DEPTH / 2) {
                witnesses_await(scene, scene->published - DEPTH / 2);
        }
}

static void publish_slowly(struct scene *scene, unsigned count) {
        while (count-- > 0) {
                publish(scene);
                pause_us(200);
        }
}

static const char *const witness_names[WITNESSES] = {"witness in wait", "witness in poll"};

static void print_times(struct scene *scene, const char *state, const char *when) {
        struct witness *witness;
        char what[96];
        unsigned i, end;

        witnesses_await(scene, scene->published);
        for (i = 0; i < WITNESSES; i++) {
                witness = &scene->shared->witnesses[i];
                end = atomic_load(&witness->latencies);
                while (scene->seen[i] < end) {
                        times_add(&scene->late[i], witness->latency_ns[scene->seen[i]++]);
                }
                (void) snprintf(what, sizeof(what), "  %s, %s, %s", state, when, witness_names[i]);
                times_print(&scene->late[i], what);
        }
        (void) snprintf(what, sizeof(what), "  %s, %s, publish", state, when);
        times_print(&scene->cost, what);
}

/* --- killing --- */

static bool has_uring(pid_t pid) {
        char path[64], target[64];
        ssize_t bytes;
        int fd;

        for (fd = 0; fd < 64; fd++) {
                (void) snprintf(path, sizeof(path), "/proc/%d/fd/%d", (int) pid, fd);
                bytes = readlink(path, target, sizeof(target) - 1);
                target[bytes > 0 ? bytes : 0] = '\0';
                if (strstr(target, "io_uring")) {
                        return true;
                }
        }
        return false;
}

/* Does this machine have them? */
static bool futex_waitv_here(void) {
        return syscall(SYS_futex_waitv, NULL, 0, 0, NULL, CLOCK_MONOTONIC) < 0 && errno != ENOSYS;
}

static bool uring_here(void) {
        struct uring uring;
        int event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK), r;

        assert_true(event >= 0);
        r = uring_open(&uring, event);
        if (r == 0) {
                uring_close(&uring);
        }
        (void) close(event);
        return r == 0;
}

static void victim_kill(pid_t pid) {
        assert_int_equal(kill(pid, SIGKILL), 0);
        assert_int_equal(process_wait(pid), 128 + SIGKILL);
}

static pid_t victim_start(const struct scene *scene, const struct state *state) {
        struct role role = {.shared = scene->shared};
        pid_t pid;

        if (state->disable) {
                assert_int_equal(setenv("SLIPRING_DISABLE", state->disable, 1), 0);
        }
        pid = process_start(state->run, &role);
        assert_int_equal(unsetenv("SLIPRING_DISABLE"), 0);
        return pid;
}

static void victims_start(const struct scene *scene, const struct state *state, pid_t *pids) {
        unsigned i;

        for (i = 0; i < victims_of(state); i++) {
                pids[i] = victim_start(scene, state);
        }
}

static void victims_kill(const struct state *state, const pid_t *pids) {
        unsigned i;

        for (i = 0; i < victims_of(state); i++) {
                victim_kill(pids[i]);
        }
}

/* Nobody publishes: it is in that system call when it dies. */
static void kill_asleep(struct scene *scene, const struct state *state) {
        unsigned victims = atomic_load(&scene->shared->victims), i;
        pid_t pids[LINKS];

        victims_start(scene, state, pids);
        while (atomic_load(&scene->shared->victims) < victims + victims_of(state)) {
                pause_us(50);
        }
        for (i = 0; i < victims_of(state); i++) {
                process_await_call(pids[i], state->call);
                assert_int_equal(has_uring(pids[i]), state->uring && uring_here());
        }
        if (state->chain) {
                /* With a wake-up in hand, or before they got one. */
                publish(scene);
        }
        victims_kill(state, pids);
        publish(scene);
        publish(scene);
}

/* While samples come: on its way into that system call, or out of it. */
static void kill_awake(struct scene *scene, const struct state *state) {
        unsigned victims = atomic_load(&scene->shared->victims), more;
        pid_t pids[LINKS];

        victims_start(scene, state, pids);
        while (atomic_load(&scene->shared->victims) < victims + victims_of(state)) {
                publish(scene);
        }
        scene->seed = scene->seed * 1103515245u + 12345u;
        /* Up to three times round the ring, under a borrowed view too. */
        for (more = scene->seed >> 16 & 0xff; more > 0; more--) {
                publish(scene);
        }
        victims_kill(state, pids);
        publish(scene);
}

static void scene_open(struct scene *scene, bool chain) {
        struct topic_spec specs[] = {topic_of("imu", DEPTH), topic_of("odom", DEPTH)};
        struct role role;
        unsigned i;

        specs[0].wake = chain ? LAYOUT_WAKE_CHAIN : LAYOUT_WAKE_DIRECT;
        bus_start(&scene->bus, specs, 2);
        scene->shared = mmap(NULL, sizeof(*scene->shared), PROT_READ | PROT_WRITE,
                             MAP_SHARED | MAP_ANONYMOUS, -1, 0);
        assert_true(scene->shared != MAP_FAILED);
        for (i = 0; i < WITNESSES; i++) {
                role = (struct role){scene->shared, i};
                atomic_store(&scene->shared->witnesses[i].last, UINT64_MAX);
                scene->witnesses[i] = process_start(witness_run, &role);
        }
        scene->publisher = publisher_open("imu");
        publish(scene);
        witnesses_await(scene, 1);
}

static struct slipring_publisher_info info_of(const struct scene *scene) {
        struct slipring_publisher_info info;

        assert_int_equal(slipring_publisher_info(scene->publisher, &info), 0);
        return info;
}

static void witnesses_end(struct scene *scene) {
        const struct witness *witness;
        unsigned i;

        for (i = 0; i < WITNESSES; i++) {
                atomic_store(&scene->shared->witnesses[i].last, scene->published + 1);
        }
        publish(scene);
        for (i = 0; i < WITNESSES; i++) {
                witness = &scene->shared->witnesses[i];
                assert_int_equal(process_wait(scene->witnesses[i]), 0);
                assert_int_equal(witness->wrong, 0);
                assert_int_equal(witness->missed, 0);
                assert_int_equal(witness->delivered, scene->published);
                print_message("  %s: %llu delivered + %llu missed == %llu published\n",
                              witness_names[i], (unsigned long long) witness->delivered,
                              (unsigned long long) witness->missed,
                              (unsigned long long) scene->published);
        }
}

/* Nobody is left: the flag of the last sleeper costs one more call, then none is made. */
static void assert_nothing_is_paid(struct scene *scene) {
        struct message message = message_make(0);
        uint64_t wakeups = 0;
        unsigned i;

        for (i = 0; i < 2 * BATCH; i++) {
                if (i == 1) {
                        wakeups = info_of(scene).wakeups;
                }
                assert_int_equal(
                        slipring_publisher_publish(scene->publisher, &message, sizeof(message), 0),
                        0);
        }
        assert_int_equal(info_of(scene).wakeups, wakeups);
}

static void scene_close(struct scene *scene) {
        witnesses_end(scene);
        free(scene->cost.ns);
        assert_nothing_is_paid(scene);
        slipring_publisher_close(scene->publisher);
        (void) munmap(scene->shared, sizeof(*scene->shared));
        bus_stop(&scene->bus);
}

static void kill_in(const struct state *state) {
        static struct scene scene;
        unsigned kills = harness_long() ? 200 : 12, attached, i;

        scene = (struct scene){.seed = 1};
        scene_open(&scene, state->chain);
        attached = info_of(&scene).attached;
        publish_slowly(&scene, BATCH);
        print_times(&scene, state->name, "before");
        for (i = 0; i < kills; i++) {
                kill_asleep(&scene, state);
                kill_awake(&scene, state);
                assert_int_equal(info_of(&scene).attached, attached);
        }
        print_times(&scene, state->name, "during");
        publish_slowly(&scene, BATCH);
        print_times(&scene, state->name, "after");
        print_message("  %s: %u killed\n", state->name, 2 * kills * victims_of(state));
        scene_close(&scene);
}

static void test_killed_idle(void **state) {
        kill_in(&(struct state){.name = "idle", .run = idle_run, .call = SYS_ppoll});
}

static void test_killed_holding_a_view(void **state) {
        kill_in(&(struct state){.name = "in a view", .run = view_run, .call = SYS_ppoll});
}

static void test_killed_asleep_on_one_topic(void **state) {
        kill_in(&(struct state){.name = "futex", .run = wait_run, .call = SYS_futex});
}

static void test_killed_asleep_on_several_topics(void **state) {
        if (!futex_waitv_here()) {
                print_message("this kernel has no futex_waitv: skipped\n");
                skip();
        }
        kill_in(&(struct state){
                .name = "futex_waitv", .run = wait_any_run, .call = SYS_futex_waitv});
}

static void test_killed_asleep_on_a_descriptor(void **state) {
        kill_in(&(struct state){
                .name = "io_uring", .run = poll_run, .call = SYS_ppoll, .uring = true});
}

static void test_killed_asleep_on_a_helper_thread(void **state) {
        kill_in(&(struct state){.name = "helper thread",
                                .run = poll_run,
                                .call = SYS_ppoll,
                                .disable = "io_uring"});
}

/* --- links of a chain: who dies with a wake-up in hand leaves others asleep, who miss nothing ---
 */

static void test_links_killed_asleep_on_one_topic(void **state) {
        kill_in(&(struct state){
                .name = "futex, chain", .run = wait_run, .call = SYS_futex, .chain = true});
}

static void test_links_killed_asleep_on_several_topics(void **state) {
        if (!futex_waitv_here()) {
                print_message("this kernel has no futex_waitv: skipped\n");
                skip();
        }
        kill_in(&(struct state){.name = "futex_waitv, chain",
                                .run = wait_any_run,
                                .call = SYS_futex_waitv,
                                .chain = true});
}

static void test_links_killed_asleep_on_a_descriptor(void **state) {
        kill_in(&(struct state){.name = "io_uring, chain",
                                .run = poll_run,
                                .call = SYS_ppoll,
                                .uring = true,
                                .chain = true});
}

static void test_links_killed_asleep_on_a_helper_thread(void **state) {
        kill_in(&(struct state){.name = "helper thread, chain",
                                .run = poll_run,
                                .call = SYS_ppoll,
                                .disable = "io_uring",
                                .chain = true});
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_killed_idle),
                cmocka_unit_test(test_killed_holding_a_view),
                cmocka_unit_test(test_killed_asleep_on_one_topic),
                cmocka_unit_test(test_killed_asleep_on_several_topics),
                cmocka_unit_test(test_killed_asleep_on_a_descriptor),
                cmocka_unit_test(test_killed_asleep_on_a_helper_thread),
                cmocka_unit_test(test_links_killed_asleep_on_one_topic),
                cmocka_unit_test(test_links_killed_asleep_on_several_topics),
                cmocka_unit_test(test_links_killed_asleep_on_a_descriptor),
                cmocka_unit_test(test_links_killed_asleep_on_a_helper_thread),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
