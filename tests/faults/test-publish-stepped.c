/*
 * A publisher killed after each machine instruction of a publish: nothing torn is accepted, what
 * was finished is announced by the next publisher, what was not is seen by nobody, and delivered +
 * missed == published for every subscriber.
 *
 * The publisher runs the shipped library under a tracer, which lets it do k instructions of the
 * call and kills it, for k = 0, 1, 2, ... until the call gets through. The next publisher stands by
 * already, takes over, publishes in both manners, and is the next to be stepped.
 */

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/sem.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <slipring/publisher.h>
#include <slipring/subscriber.h>

#include "tests/harness/harness.h"
#include "tests/harness/times.h"

/* Sanitizers make many instructions of one: there each so many is a sample. */
#if defined(__SANITIZE_ADDRESS__)
#define SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define SANITIZED 1
#endif
#endif
#ifndef SANITIZED
#define SANITIZED 0
#endif

enum {
        PHASE_BEFORE,
        PHASE_INSIDE,
        PHASE_AFTER,
};

/* One publisher, from its takeover to its death. */
struct turn {
        _Atomic int phase;
        uint64_t taken_ns;
        uint64_t sequence; /* of the last sample before the call that is stepped */
        uint64_t wakeups;
};

/* What the sleeping subscriber's process tells. */
struct sleeper {
        _Atomic int stop;
        _Atomic uint64_t sequence;
        uint64_t delivered, missed, wrong;
};

struct shared {
        struct turn turns[2];
        struct sleeper sleeper;
};

/* What is stepped. */
struct plan {
        const char *name;
        uint32_t depth;
        bool loan;
        bool sleeper;
        bool blob;       /* a large message, another way of copying it */
        unsigned stride; /* instructions between two kills; 0: twice as many each time */
};

struct scene {
        struct plan plan;
        struct shared *shared;
        unsigned round;
        pid_t pids[2]; /* by round: this one's and the next one's */
        pid_t sleeper;
        struct slipring_subscriber *subscribers[3]; /* next, newest, borrow */
        uint64_t accounted[3];
        uint64_t *tags; /* by sequence: what source_time_ns has to be */
        size_t tags_capacity;
        uint64_t tagged;
        unsigned odd, unannounced, announced;
        struct times takeovers;
};

static unsigned char buffer[BLOB_BYTES];
static struct bus bus;

/* --- the publisher --- */

static uint64_t tag_of(unsigned round, bool stepped) {
        return 2 * (uint64_t) round + stepped + 1;
}

static size_t payload_bytes(const struct plan *plan) {
        return plan->blob ? BLOB_BYTES : sizeof(struct message);
}

static int send_copy(struct slipring_publisher *publisher, const struct plan *plan, uint64_t tag) {
        return slipring_publisher_publish(publisher, buffer, payload_bytes(plan), tag);
}

static int send_loan(struct slipring_publisher *publisher, const struct plan *plan, uint64_t tag) {
        void *payload;
        int r;

        r = slipring_publisher_loan(publisher, &payload);
        if (r < 0) {
                return r;
        }
        memcpy(payload, buffer, payload_bytes(plan));
        return slipring_publisher_commit(publisher, tag);
}

/* Both manners once: it publishes, and no symbol is left to be bound while it is stepped. */
static int go_on(struct slipring_publisher *publisher,
                 const struct plan *plan,
                 uint64_t sequence,
                 uint64_t tag) {
        blob_fill(buffer, payload_bytes(plan), sequence + 1);
        if (send_copy(publisher, plan, tag) < 0) {
                return 1;
        }
        blob_fill(buffer, payload_bytes(plan), sequence + 2);
        return send_loan(publisher, plan, tag) < 0;
}

static int publisher_run(void *argument) {
        struct scene *scene = argument;
        struct turn *turn = &scene->shared->turns[scene->round % 2];
        struct slipring_publisher_options options = {
                .size = sizeof(options),
                .flags = SLIPRING_PUBLISHER_STANDBY,
                .deadline_ns = SLIPRING_FOREVER,
        };
        struct slipring_publisher *publisher = NULL;
        struct slipring_publisher_info info;
        uint64_t tag = tag_of(scene->round, true);
        int r;

        if (slipring_publisher_open(&publisher, "imu", &options, NULL) < 0) {
                return 1;
        }
        turn->taken_ns = slipring_now_ns();
        if (slipring_publisher_info(publisher, &info) < 0 ||
            go_on(publisher, &scene->plan, info.sequence, tag_of(scene->round, false)) ||
            slipring_publisher_info(publisher, &info) < 0) {
                return 2;
        }
        turn->sequence = info.sequence;
        turn->wakeups = info.wakeups;
        blob_fill(buffer, payload_bytes(&scene->plan), info.sequence + 1);
        if (ptrace(PTRACE_TRACEME, 0, NULL, NULL) < 0 || raise(SIGSTOP) != 0) {
                return 3;
        }
        atomic_store(&turn->phase, PHASE_INSIDE);
        r = scene->plan.loan ? send_loan(publisher, &scene->plan, tag)
                             : send_copy(publisher, &scene->plan, tag);
        atomic_store(&turn->phase, PHASE_AFTER);
        return r < 0 ? 4 : 5;
}

static void publisher_start(struct scene *scene, unsigned round) {
        struct scene copy = *scene;

        copy.round = round;
        scene->shared->turns[round % 2] = (struct turn){0};
        scene->pids[round % 2] = process_start(publisher_run, &copy);
}

/* Wait until it has taken over, has published and stands before the call. */
static const struct turn *publisher_await(struct scene *scene, unsigned round) {
        pid_t pid = scene->pids[round % 2];
        int status;

        assert_int_equal(waitpid(pid, &status, 0), pid);
        assert_true(WIFSTOPPED(status) && WSTOPSIG(status) == SIGSTOP);
        assert_int_equal(ptrace(PTRACE_SETOPTIONS, pid, NULL, PTRACE_O_EXITKILL), 0);
        return &scene->shared->turns[round % 2];
}

static void await_standby(void) {
        int id = registry_entry(bus.registry, 0)->claim_id, count;

        while ((count = semctl(id, 0, GETZCNT)) == 0) {
                (void) usleep(20);
        }
        assert_int_equal(count, 1);
}

/* --- the tracer --- */

static void step(pid_t pid) {
        int status;

        if (ptrace(PTRACE_SINGLESTEP, pid, NULL, NULL) < 0) {
                /* 32-bit Arm has no single step. */
                assert_int_equal(errno, EIO);
                print_message("this machine cannot step: skipped\n");
                exit(77);
        }
        assert_int_equal(waitpid(pid, &status, 0), pid);
        assert_true(WIFSTOPPED(status) && WSTOPSIG(status) == SIGTRAP);
}

/* Let it do k instructions of the call. Returns false if the call ended before. */
static bool step_into(const struct scene *scene, unsigned k) {
        const struct turn *turn = &scene->shared->turns[scene->round % 2];
        pid_t pid = scene->pids[scene->round % 2];

        while (atomic_load(&turn->phase) == PHASE_BEFORE) {
                step(pid);
        }
        while (k-- > 0 && atomic_load(&turn->phase) == PHASE_INSIDE) {
                step(pid);
        }
        return atomic_load(&turn->phase) == PHASE_INSIDE;
}

/* --- what subscribers may see --- */

static void tag(struct scene *scene, uint64_t sequence, uint64_t tag) {
        if (sequence >= scene->tags_capacity) {
                scene->tags_capacity = 2 * sequence;
                scene->tags = realloc(scene->tags, scene->tags_capacity * sizeof(*scene->tags));
                assert_non_null(scene->tags);
        }
        scene->tags[sequence] = tag;
        scene->tagged = sequence;
}

static void
check_sample(const struct scene *scene, const struct slipring_sample *sample, const void *payload) {
        uint64_t number = 0;

        assert_true(blob_whole(payload, payload_bytes(&scene->plan), &number));
        assert_int_equal(number, sample->sequence);
        assert_in_range(sample->sequence, 1, scene->tagged);
        assert_int_equal(sample->source_time_ns, scene->tags[sample->sequence]);
}

static int read_one(struct scene *scene, unsigned manner, struct slipring_sample *sample) {
        static unsigned char message[BLOB_BYTES];
        struct slipring_subscriber *subscriber = scene->subscribers[manner];
        int r;

        if (manner == 0) {
                r = slipring_subscriber_take(subscriber, message, sizeof(message), sample);
        } else if (manner == 1) {
                r = slipring_subscriber_take_newest(subscriber, message, sizeof(message), sample);
        } else {
                r = slipring_subscriber_borrow(subscriber, sample);
        }
        if (r == 1) {
                check_sample(scene, sample, sample->payload);
        }
        if (r == 1 && manner == 2) {
                /* Nobody runs: it cannot be overtaken. */
                assert_int_equal(slipring_subscriber_release(subscriber), 0);
        }
        return r;
}

/* Read all there is in all three manners. Nobody publishes meanwhile: there is always an answer. */
static void read_all(struct scene *scene, uint64_t published) {
        struct slipring_subscriber_info info;
        struct slipring_sample sample;
        unsigned manner;
        int r;

        for (manner = 0; manner < 3; manner++) {
                while ((r = read_one(scene, manner, &sample)) == 1) {
                        assert_true(sample.sequence > scene->accounted[manner]);
                        scene->accounted[manner] = sample.sequence;
                }
                assert_int_equal(r, 0);
                assert_int_equal(slipring_subscriber_info(scene->subscribers[manner], &info), 0);
                assert_int_equal(info.delivered + info.missed, info.sequence);
                assert_int_equal(scene->accounted[manner], info.sequence);
                if (published) {
                        assert_int_equal(info.sequence, published);
                }
        }
}

/* Who comes now, with a half-written slot in the ring, gets the newest whole sample. */
static void look_newly(const struct scene *scene) {
        struct slipring_subscriber *subscriber = subscriber_open("imu", SLIPRING_START_NEWEST);
        static unsigned char message[BLOB_BYTES];
        struct slipring_sample sample;

        assert_int_equal(slipring_subscriber_take(subscriber, message, sizeof(message), &sample),
                         1);
        check_sample(scene, &sample, message);
        slipring_subscriber_close(subscriber);
}

static int sleeper_run(void *argument) {
        const struct scene *scene = argument;
        struct sleeper *sleeper = &scene->shared->sleeper;
        struct slipring_subscriber *subscriber = subscriber_open("imu", SLIPRING_START_OLDEST);
        struct slipring_subscriber_info info;
        static unsigned char message[BLOB_BYTES];
        struct slipring_sample sample;
        uint64_t number;
        int r;

        for (;;) {
                while ((r = slipring_subscriber_take(subscriber, message, sizeof(message),
                                                     &sample)) == 1) {
                        sleeper->wrong +=
                                !blob_whole(message, payload_bytes(&scene->plan), &number) ||
                                number != sample.sequence;
                        atomic_store(&sleeper->sequence, sample.sequence);
                }
                /* -EAGAIN: overtaken again and again. */
                if ((r < 0 && r != -EAGAIN) || slipring_subscriber_info(subscriber, &info) < 0) {
                        return 1;
                }
                sleeper->delivered = info.delivered;
                sleeper->missed = info.missed;
                if (atomic_load(&sleeper->stop)) {
                        return 0;
                }
                (void) slipring_subscriber_wait(subscriber, slipring_in_ms(1000));
        }
}

/* Wait until the sleeping one has seen all and sleeps again: the next publish has to wake it. */
static void sleeper_await(const struct scene *scene, uint64_t sequence) {
        while (atomic_load(&scene->shared->sleeper.sequence) < sequence) {
                (void) usleep(20);
        }
        process_await_call(scene->sleeper, SYS_futex);
}

static void sleeper_end(struct scene *scene, uint64_t published) {
        struct sleeper *sleeper = &scene->shared->sleeper;

        atomic_store(&sleeper->stop, 1);
        assert_int_equal(process_wait(scene->sleeper), 0);
        assert_int_equal(sleeper->wrong, 0);
        assert_int_equal(sleeper->delivered + sleeper->missed, published);
        print_message("  asleep: %llu delivered + %llu missed == %llu published\n",
                      (unsigned long long) sleeper->delivered, (unsigned long long) sleeper->missed,
                      (unsigned long long) published);
}

/* --- one kill --- */

static uint64_t stamp_of(uint64_t sequence) {
        const struct ring *ring = registry_ring(bus.registry, 0);

        return atomic_load(&ring_slot(ring, (uint32_t) (sequence % ring->depth))->stamp);
}

/* Stopped or killed there, all that is published is whole; returns whether the message was. */
static bool look_between(struct scene *scene, uint64_t sequence) {
        uint64_t head = atomic_load(&registry_ring(bus.registry, 0)->words->head);
        bool finished = stamp_of(sequence) == 2 * sequence;

        assert_in_range(head, sequence - 1, sequence);
        assert_true(finished || head == sequence - 1);
        scene->odd += stamp_of(sequence) == 2 * sequence - 1;
        scene->unannounced += finished && head < sequence;
        scene->announced += head == sequence;
        if (finished) {
                tag(scene, sequence, tag_of(scene->round, true));
        }
        read_all(scene, head);
        look_newly(scene);
        return finished;
}

/* Returns false if the call got through within k instructions. */
static bool kill_after(struct scene *scene, unsigned k) {
        const struct turn *turn = &scene->shared->turns[scene->round % 2];
        uint64_t before = turn->sequence, wakeups = turn->wakeups, killed_ns;
        bool inside, finished;

        publisher_start(scene, scene->round + 1);
        await_standby();
        if (scene->sleeper) {
                sleeper_await(scene, before);
        }
        inside = step_into(scene, k);
        if (!inside) {
                /* The path that was stepped is the one that was meant. */
                assert_int_equal(atomic_load(&registry_ring(bus.registry, 0)->words->wakeups) -
                                         wakeups,
                                 scene->sleeper ? 1 : 0);
        }
        finished = look_between(scene, before + 1);
        assert_true(inside || finished);
        killed_ns = slipring_now_ns();
        process_kill(scene->pids[scene->round % 2]);
        scene->round++;
        turn = publisher_await(scene, scene->round);
        times_add(&scene->takeovers, turn->taken_ns - killed_ns);
        assert_int_equal(turn->sequence, before + finished + 2);
        tag(scene, turn->sequence - 1, tag_of(scene->round, false));
        tag(scene, turn->sequence, tag_of(scene->round, false));
        read_all(scene, turn->sequence);
        assert_int_equal(atomic_load(&registry_ring(bus.registry, 0)->words->epoch),
                         scene->round + 1);
        return inside;
}

/* --- a run over all of a call --- */

static void scene_open(struct scene *scene, const struct plan *plan) {
        struct topic_spec spec = topic_of("imu", plan->depth);
        const struct turn *turn;
        unsigned i;

        *scene = (struct scene){.plan = *plan};
        spec.type = plan->blob ? &blob_type : &message_type;
        bus_start(&bus, &spec, 1);
        scene->shared = mmap(NULL, sizeof(*scene->shared), PROT_READ | PROT_WRITE,
                             MAP_SHARED | MAP_ANONYMOUS, -1, 0);
        assert_true(scene->shared != MAP_FAILED);
        for (i = 0; i < 3; i++) {
                scene->subscribers[i] = subscriber_open("imu", SLIPRING_START_OLDEST);
        }
        publisher_start(scene, 0);
        turn = publisher_await(scene, 0);
        tag(scene, 1, tag_of(0, false));
        tag(scene, 2, tag_of(0, false));
        read_all(scene, turn->sequence);
        if (plan->sleeper) {
                scene->sleeper = process_start(sleeper_run, scene);
        }
}

static void scene_close(struct scene *scene) {
        unsigned i;

        process_kill(scene->pids[scene->round % 2]);
        if (scene->sleeper) {
                sleeper_end(scene, scene->tagged);
        }
        for (i = 0; i < 3; i++) {
                slipring_subscriber_close(scene->subscribers[i]);
        }
        (void) munmap(scene->shared, sizeof(*scene->shared));
        free(scene->tags);
        bus_stop(&bus);
}

static void step_through(const struct plan *plan) {
        struct scene scene;
        unsigned k = 0;
        unsigned stride = plan->stride * (SANITIZED && !harness_long() ? 17 : 1);

        scene_open(&scene, plan);
        while (kill_after(&scene, k)) {
                k = stride ? k + stride : k ? 2 * k : 64;
        }
        assert_true(scene.odd > 0);
        if (stride == 1) {
                /* Between the even stamp and head lies at least one instruction. */
                assert_true(scene.unannounced > 0);
        }
        print_message("%s, depth %u: killed at %u points of the call%s; torn slot %u, finished but "
                      "not announced %u, announced %u\n",
                      plan->name, plan->depth, scene.round,
                      stride == 1 ? ", after each instruction" : "", scene.odd, scene.unannounced,
                      scene.announced);
        scene_close(&scene);
        times_print(&scene.takeovers, "  takeover after SIGKILL");
}

static void test_publish_killed_after_each_instruction(void **state) {
        step_through(&(struct plan){.name = "publish", .depth = 2, .stride = 1});
}

static void test_other_depth_killed_in_between(void **state) {
        unsigned stride = harness_long() ? 1 : 7;

        step_through(&(struct plan){.name = "publish", .depth = 3, .stride = stride});
        step_through(
                &(struct plan){.name = "loan, commit", .depth = 3, .loan = true, .stride = stride});
}

static void test_loan_and_commit_killed_after_each_instruction(void **state) {
        step_through(&(struct plan){.name = "loan, commit", .depth = 2, .loan = true, .stride = 1});
}

/* What differs is the end of the call. */
static void test_killed_in_between_while_somebody_sleeps(void **state) {
        unsigned stride = harness_long() ? 1 : 3;

        step_through(&(struct plan){
                .name = "publish and wake", .depth = 2, .sleeper = true, .stride = stride});
        step_through(&(struct plan){.name = "loan, commit and wake",
                                    .depth = 2,
                                    .loan = true,
                                    .sleeper = true,
                                    .stride = stride});
}

/* 64 KiB are copied by memcpy(3): thousands of instructions, all alike. */
static void test_large_message_killed_in_the_middle(void **state) {
        step_through(&(struct plan){.name = "publish 64 KiB", .depth = 2, .blob = true});
}

/* Tracer and traced take turns: on one processor that costs half. */
static void stay_here(void) {
        cpu_set_t one;

        CPU_ZERO(&one);
        CPU_SET((size_t) sched_getcpu(), &one);
        (void) sched_setaffinity(0, sizeof(one), &one);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_publish_killed_after_each_instruction),
                cmocka_unit_test(test_loan_and_commit_killed_after_each_instruction),
                cmocka_unit_test(test_other_depth_killed_in_between),
                cmocka_unit_test(test_killed_in_between_while_somebody_sleeps),
                cmocka_unit_test(test_large_message_killed_in_the_middle),
        };

        stay_here();
        return cmocka_run_group_tests(tests, NULL, NULL);
}
