/*
 * A publisher stopped (SIGSTOP) in the middle of a publish, or between loan and commit: subscribers
 * go on with what is whole, the topic goes stale at its deadline, and nobody takes over, since a
 * stopped publisher is not a dead one. It goes on where it stood once it is continued; killed, it
 * is followed by the publisher that stands by.
 *
 * It is stepped to the instruction where it is to stop, and let go with the signal there.
 */

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/sem.h>
#include <sys/shm.h>
#include <sys/wait.h>
#include <unistd.h>

#include <slipring/publisher.h>
#include <slipring/subscriber.h>

#include "bus/claim.h"
#include "tests/harness/command.h"
#include "tests/harness/daemon.h"
#include "tests/harness/times.h"

#define DEPTH 8u

#define TOPICS                                                                                     \
        "topics:\n"                                                                                \
        "  imu: {deadline: 40 ms, depth: 8, fields: {number: uint64, words: \"uint64[7]\"}}\n"

enum {
        PHASE_BEFORE,
        PHASE_INSIDE,
        PHASE_AFTER,
};

enum manner {
        PUBLISH, /* stopped at any instruction of it */
        LOAN,    /* the same of loan, filling in and commit */
        HALF,    /* it stops itself with half of a loan filled in */
};

static const char *const manner_names[] = {"publish", "loan to commit", "half-filled loan"};

enum {
        WITNESS_WAIT, /* sleeps in slipring_subscriber_wait() */
        WITNESS_POLL, /* sleeps on a wait set's descriptor */
        WITNESSES,
};

struct witness {
        _Atomic uint64_t sequence;
        uint64_t delivered, missed, wrong;
};

struct shared {
        _Atomic int phase;
        _Atomic uint64_t sequence; /* of the last sample before the call that is stopped */
        _Atomic uint64_t taken_ns; /* when the one that stood by took over */
        _Atomic uint64_t last;     /* witnesses end with this sample */
        _Atomic unsigned watching; /* witnesses that have opened the topic */
        struct witness witnesses[WITNESSES];
};

struct scene {
        enum manner manner;
        struct shared *shared;
        struct layout_entry entry;
        const uint8_t *segment; /* of the topic */
        pid_t publisher, standby, witnesses[WITNESSES];
        struct slipring_subscriber *subscribers[3]; /* next, newest, borrow */
        unsigned stops, torn, unannounced;
        struct times calls; /* of subscribers while it is stopped */
};

struct role {
        struct shared *shared;
        unsigned number;
};

static struct daemon bus;

static int setup(void **state) {
        daemon_setup(&bus);
        daemon_schema(&bus, TOPICS);
        daemon_start(&bus, NULL);
        return 0;
}

static int teardown(void **state) {
        assert_int_equal(daemon_stop(&bus, SIGTERM), 0);
        daemon_teardown(&bus);
        return 0;
}

/* --- publishers --- */

static int send_copy(struct slipring_publisher *publisher, uint64_t number) {
        struct message message = message_make(number);

        return slipring_publisher_publish(publisher, &message, sizeof(message), 0);
}

static int send_loan(struct slipring_publisher *publisher, uint64_t number, bool stop) {
        struct message message = message_make(number);
        void *payload;
        int r;

        r = slipring_publisher_loan(publisher, &payload);
        if (r < 0) {
                return r;
        }
        memcpy(payload, &message, sizeof(message) / 2);
        if (stop && raise(SIGSTOP) != 0) {
                return -EIO;
        }
        memcpy((uint8_t *) payload + sizeof(message) / 2,
               (const uint8_t *) &message + sizeof(message) / 2,
               sizeof(message) - sizeof(message) / 2);
        return slipring_publisher_commit(publisher, 0);
}

/* One stop after the other, until it is killed in one. */
static int publisher_run(void *argument) {
        const struct scene *scene = argument;
        struct shared *shared = scene->shared;
        struct slipring_publisher *publisher = publisher_open("imu");
        uint64_t number = 0;
        int r;

        for (;;) {
                /* No symbol is left to be bound while it is stepped, and the ring is full. */
                do {
                        if (send_copy(publisher, ++number) < 0 ||
                            send_loan(publisher, ++number, false) < 0) {
                                return 1;
                        }
                } while (number < DEPTH);
                atomic_store(&shared->sequence, number);
                atomic_store(&shared->phase, PHASE_BEFORE);
                if (scene->manner != HALF &&
                    (ptrace(PTRACE_TRACEME, 0, NULL, NULL) < 0 || raise(SIGSTOP) != 0)) {
                        return 2;
                }
                atomic_store(&shared->phase, PHASE_INSIDE);
                r = scene->manner == PUBLISH
                            ? send_copy(publisher, ++number)
                            : send_loan(publisher, ++number, scene->manner == HALF);
                atomic_store(&shared->phase, PHASE_AFTER);
                if (r < 0) {
                        return 3;
                }
        }
}

static int standby_run(void *argument) {
        const struct scene *scene = argument;
        struct slipring_publisher_options options = {
                .size = sizeof(options),
                .flags = SLIPRING_PUBLISHER_STANDBY,
                .deadline_ns = SLIPRING_FOREVER,
        };
        struct slipring_publisher *publisher = NULL;
        struct slipring_publisher_info info;

        if (slipring_publisher_open(&publisher, "imu", &options, NULL) < 0) {
                return 1;
        }
        atomic_store(&scene->shared->taken_ns, slipring_now_ns());
        if (slipring_publisher_info(publisher, &info) < 0 ||
            send_copy(publisher, info.sequence + 1) < 0) {
                return 2;
        }
        /* All that there will be. */
        atomic_store(&scene->shared->last, info.sequence + 1);
        slipring_publisher_close(publisher);
        return 0;
}

/* --- who watches from other processes --- */

static void witness_take(struct slipring_subscriber *subscriber, struct witness *witness) {
        struct slipring_sample sample;
        struct message message;

        while (slipring_subscriber_take(subscriber, &message, sizeof(message), &sample) == 1) {
                witness->wrong += !message_whole(&message) || message.number != sample.sequence ||
                                  sample.sequence <= atomic_load(&witness->sequence);
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
        atomic_fetch_add(&role->shared->watching, 1);
        while (atomic_load(&witness->sequence) < atomic_load(&role->shared->last)) {
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

/* --- the segment as it lies there --- */

static const struct layout_header *header_of(const struct scene *scene) {
        return (const struct layout_header *) (const void *) scene->segment;
}

static struct layout_words *words_of(const struct scene *scene) {
        return (struct layout_words *) (uintptr_t) (scene->segment +
                                                    header_of(scene)->words_offset);
}

static uint64_t stamp_of(const struct scene *scene, uint64_t sequence) {
        struct layout_slot *slot =
                (struct layout_slot *) (uintptr_t) (scene->segment +
                                                    header_of(scene)->slots_offset +
                                                    sequence % DEPTH *
                                                            header_of(scene)->slot_stride_bytes);

        return atomic_load(&slot->stamp);
}

/* --- stopping and going on --- */

static void await_stop(pid_t pid) {
        int status;

        assert_int_equal(waitpid(pid, &status, WUNTRACED), pid);
        assert_true(WIFSTOPPED(status));
        assert_int_equal(WSTOPSIG(status), SIGSTOP);
}

static void assert_stopped(pid_t pid) {
        char path[64], text[512];
        FILE *file;

        (void) snprintf(path, sizeof(path), "/proc/%d/stat", (int) pid);
        file = fopen(path, "re");
        assert_non_null(file);
        assert_non_null(fgets(text, sizeof(text), file));
        (void) fclose(file);
        /* "PID (NAME) STATE ...": T is stopped, t would be traced. */
        assert_non_null(strrchr(text, ')'));
        assert_int_equal(strrchr(text, ')')[2], 'T');
}

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

/* Stop it after k instructions of the call. Returns false if it got through before: then it stands
 * behind the call. */
static bool stop_after(const struct scene *scene, unsigned k) {
        const struct shared *shared = scene->shared;

        await_stop(scene->publisher);
        if (scene->manner == HALF) {
                return true;
        }
        while (atomic_load(&shared->phase) == PHASE_BEFORE) {
                step(scene->publisher);
        }
        while (k-- > 0 && atomic_load(&shared->phase) == PHASE_INSIDE) {
                step(scene->publisher);
        }
        /* What it gets when it runs on untraced: it stops before its next instruction. */
        assert_int_equal(ptrace(PTRACE_DETACH, scene->publisher, NULL, SIGSTOP), 0);
        await_stop(scene->publisher);
        return atomic_load(&shared->phase) == PHASE_INSIDE;
}

/* --- what subscribers see meanwhile --- */

static struct slipring_subscriber_info info_of(struct slipring_subscriber *subscriber) {
        struct slipring_subscriber_info info;

        assert_int_equal(slipring_subscriber_info(subscriber, &info), 0);
        return info;
}

static int
read_one(struct scene *scene, struct slipring_subscriber *subscriber, unsigned manner, bool all) {
        struct slipring_sample sample = {0};
        struct message message;
        uint64_t before_ns = slipring_now_ns();
        int r;

        if (manner == 0) {
                r = slipring_subscriber_take(subscriber, &message, sizeof(message), &sample);
        } else if (manner == 1) {
                r = slipring_subscriber_take_newest(subscriber, &message, sizeof(message), &sample);
        } else {
                r = slipring_subscriber_borrow(subscriber, &sample);
        }
        times_add(&scene->calls, slipring_now_ns() - before_ns);
        if (r == 1) {
                memcpy(&message, sample.payload, sizeof(message));
                assert_true(message_whole(&message));
                assert_int_equal(message.number, sample.sequence);
                assert_true(!all || sample.missed == 0);
        }
        if (r == 1 && manner == 2) {
                assert_int_equal(slipring_subscriber_release(subscriber), 0);
        }
        return r;
}

/* All there is in all three manners, and then nothing new, at once and after a wait. */
static void read_all(struct scene *scene, uint64_t head) {
        struct slipring_subscriber *subscriber;
        struct slipring_subscriber_info info;
        unsigned manner;
        int r;

        for (manner = 0; manner < 3; manner++) {
                subscriber = scene->subscribers[manner];
                while ((r = read_one(scene, subscriber, manner, false)) == 1) {
                }
                assert_int_equal(r, 0);
                assert_int_equal(slipring_subscriber_wait(subscriber, slipring_in_ms(1)),
                                 -ETIMEDOUT);
                info = info_of(subscriber);
                assert_int_equal(info.sequence, head);
                assert_int_equal(info.delivered + info.missed, head);
        }
}

/* Who comes now gets the newest sample; who wants all gets every slot but the one being written. */
static void look_newly(struct scene *scene, uint64_t head) {
        struct slipring_subscriber *subscriber = subscriber_open("imu", SLIPRING_START_NEWEST);
        struct slipring_subscriber_info info;
        unsigned manner;

        assert_int_equal(read_one(scene, subscriber, 0, true), 1);
        assert_int_equal(read_one(scene, subscriber, 0, true), 0);
        slipring_subscriber_close(subscriber);
        for (manner = 0; manner < 3; manner += 2) {
                subscriber = subscriber_open("imu", SLIPRING_START_OLDEST);
                while (read_one(scene, subscriber, manner, false) == 1) {
                }
                info = info_of(subscriber);
                assert_in_range(info.delivered, DEPTH - 1, DEPTH);
                assert_int_equal(info.delivered + info.missed, DEPTH);
                assert_int_equal(info.sequence, head);
                slipring_subscriber_close(subscriber);
        }
}

/* --- nobody takes over --- */

static void assert_no_takeover(const struct scene *scene) {
        struct slipring_publisher_options options = {
                .size = sizeof(options),
                .flags = SLIPRING_PUBLISHER_STANDBY,
                .deadline_ns = slipring_in_ms(5),
        };
        struct slipring_publisher *publisher = NULL;
        struct slipring_error error = {0};
        char pid[32];

        assert_int_equal(claim_holder(scene->entry.claim_id), scene->publisher);
        assert_int_equal(semctl(scene->entry.claim_id, 0, GETZCNT), 1);
        assert_int_equal(atomic_load(&words_of(scene)->epoch), 1);
        assert_int_equal(atomic_load(&scene->shared->taken_ns), 0);
        (void) snprintf(pid, sizeof(pid), "%d", (int) scene->publisher);
        assert_int_equal(slipring_publisher_open(&publisher, "imu", NULL, &error), -EBUSY);
        assert_non_null(strstr(error.text, pid));
        assert_int_equal(slipring_publisher_open(&publisher, "imu", &options, &error), -ETIMEDOUT);
        assert_stopped(scene->publisher);
}

static void await_stale(const struct scene *scene) {
        struct slipring_subscriber *subscriber = scene->subscribers[0];
        struct slipring_subscriber_info info;

        do {
                (void) usleep(1000);
                info = info_of(subscriber);
        } while (!info.stale);
        assert_true(info.age_ns > info.deadline_ns);
        assert_int_equal(info.publisher_pid, scene->publisher);
}

/* One stop, all that has to hold meanwhile. Returns the newest sample's number. */
static uint64_t look_while_stopped(struct scene *scene) {
        uint64_t before = atomic_load(&scene->shared->sequence);
        uint64_t head = atomic_load(&words_of(scene)->head);
        uint64_t stamp = stamp_of(scene, before + 1);

        assert_in_range(head, before, before + 1);
        scene->stops++;
        scene->torn += stamp == 2 * before + 1;
        scene->unannounced += stamp == 2 * before + 2 && head == before;
        assert_no_takeover(scene);
        read_all(scene, head);
        look_newly(scene, head);
        await_stale(scene);
        /* Time changes nothing. */
        assert_no_takeover(scene);
        read_all(scene, head);
        look_newly(scene, head);
        assert_int_equal(stamp_of(scene, before + 1), stamp);
        return head;
}

/* --- scenes --- */

static void await_standby(const struct scene *scene) {
        while (semctl(scene->entry.claim_id, 0, GETZCNT) != 1) {
                (void) usleep(50);
        }
}

static void scene_open(struct scene *scene, enum manner manner) {
        struct role role;
        unsigned i;

        *scene = (struct scene){.manner = manner, .entry = daemon_entry(&bus, "imu")};
        scene->shared = mmap(NULL, sizeof(*scene->shared), PROT_READ | PROT_WRITE,
                             MAP_SHARED | MAP_ANONYMOUS, -1, 0);
        assert_true(scene->shared != MAP_FAILED);
        scene->segment = shmat(scene->entry.data_id, NULL, SHM_RDONLY);
        assert_true(scene->segment != (void *) -1);
        atomic_store(&scene->shared->last, UINT64_MAX);
        for (i = 0; i < WITNESSES; i++) {
                role = (struct role){scene->shared, i};
                scene->witnesses[i] = process_start(witness_run, &role);
        }
        for (i = 0; i < 3; i++) {
                scene->subscribers[i] = subscriber_open("imu", SLIPRING_START_OLDEST);
        }
        /* Who came later would not count what the ring had lapped by then. */
        while (atomic_load(&scene->shared->watching) < WITNESSES) {
                (void) usleep(50);
        }
        scene->publisher = process_start(publisher_run, scene);
        while (claim_holder(scene->entry.claim_id) != scene->publisher) {
                (void) usleep(50);
        }
        scene->standby = process_start(standby_run, scene);
        await_standby(scene);
}

/* It is killed where it stands; the one that stands by takes over. */
static void scene_end(struct scene *scene, uint64_t head) {
        uint64_t before = atomic_load(&scene->shared->sequence), killed_ns, last;
        bool finished = stamp_of(scene, before + 1) == 2 * before + 2;
        const struct witness *witness;
        unsigned i;

        killed_ns = slipring_now_ns();
        process_kill(scene->publisher);
        assert_int_equal(process_wait(scene->standby), 0);
        last = atomic_load(&scene->shared->last);
        /* What it had finished counts, what it had not is the next one's number. */
        assert_int_equal(last, before + finished + 1);
        assert_true(head <= last);
        assert_int_equal(atomic_load(&words_of(scene)->epoch), 2);
        read_all(scene, last);
        for (i = 0; i < WITNESSES; i++) {
                witness = &scene->shared->witnesses[i];
                assert_int_equal(process_wait(scene->witnesses[i]), 0);
                assert_int_equal(witness->wrong, 0);
                assert_int_equal(witness->delivered + witness->missed, last);
        }
        print_message("%s: stopped %u times, %u with a torn slot, %u finished but not announced; "
                      "takeover %.1f us after SIGKILL\n",
                      manner_names[scene->manner], scene->stops, scene->torn, scene->unannounced,
                      (double) (atomic_load(&scene->shared->taken_ns) - killed_ns) / 1e3);
        print_message("  asleep in wait: %llu delivered + %llu missed == %llu published\n",
                      (unsigned long long) scene->shared->witnesses[WITNESS_WAIT].delivered,
                      (unsigned long long) scene->shared->witnesses[WITNESS_WAIT].missed,
                      (unsigned long long) last);
        times_print(&scene->calls, "  a subscriber's calls meanwhile");
}

static void scene_close(struct scene *scene) {
        unsigned i;

        for (i = 0; i < 3; i++) {
                slipring_subscriber_close(scene->subscribers[i]);
        }
        assert_int_equal(shmdt(scene->segment), 0);
        (void) munmap(scene->shared, sizeof(*scene->shared));
}

/* --- the tests --- */

/* Stopped ever later in the call and continued each time; killed in the last stop. */
static void stop_through(enum manner manner, unsigned stride) {
        struct scene scene;
        unsigned k = 0;
        bool inside;
        uint64_t head;

        scene_open(&scene, manner);
        do {
                inside = stop_after(&scene, k);
                head = look_while_stopped(&scene);
                if (inside) {
                        assert_int_equal(kill(scene.publisher, SIGCONT), 0);
                }
                k += stride;
        } while (inside);
        assert_true(scene.torn > 0);
        scene_end(&scene, head);
        scene_close(&scene);
}

/* A sanitizer makes many instructions of one, all of them too many to stop at. */
#if defined(__SANITIZE_ADDRESS__)
#define INSTRUCTIONS 17u
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define INSTRUCTIONS 17u
#endif
#endif
#ifndef INSTRUCTIONS
#define INSTRUCTIONS 1u
#endif

static unsigned stride(void) {
        return INSTRUCTIONS * (harness_long() ? 1 : 13);
}

static void test_stopped_anywhere_in_publish(void **state) {
        stop_through(PUBLISH, stride());
}

static void test_stopped_anywhere_from_loan_to_commit(void **state) {
        stop_through(LOAN, stride());
}

static void expect_info(const struct scene *scene, const char *stale) {
        struct command command;
        char text[64];

        command_run(&command, "info", "imu");
        command_expect_code(&command, 0);
        command_expect_out_has(&command, stale);
        (void) snprintf(text, sizeof(text), "%d", (int) scene->publisher);
        command_expect_out_has(&command, text);
        command_free(&command);
}

/* A view of the sample that the publisher's next stop but one is written over. */
static struct slipring_subscriber *view_open(uint64_t sequence) {
        struct slipring_subscriber *subscriber = subscriber_open("imu", SLIPRING_START_OLDEST);
        struct slipring_sample sample;
        struct message message;

        do {
                assert_int_equal(
                        slipring_subscriber_take(subscriber, &message, sizeof(message), &sample),
                        1);
        } while (sample.sequence < sequence - 1);
        assert_int_equal(slipring_subscriber_borrow(subscriber, &sample), 1);
        assert_int_equal(sample.sequence, sequence);
        return subscriber;
}

static void expect_stale(const struct scene *scene) {
        daemon_expect(&bus, "imu: stale: no sample within its deadline of 40 ms");
        expect_info(scene, "Stale: yes");
        /* Its publisher is there all the same. */
        assert_false(daemon_logged(&bus, "is gone"));
}

/* As the manager and the commands see it, and who holds a view: with half of a loan filled in. */
static void test_stopped_with_a_half_filled_loan(void **state) {
        struct slipring_subscriber *newest, *oldest;
        struct slipring_sample sample;
        struct scene scene;
        uint64_t head;

        scene_open(&scene, HALF);
        assert_true(stop_after(&scene, 0));
        head = atomic_load(&scene.shared->sequence);
        assert_int_equal(stamp_of(&scene, head + 1), 2 * head + 1);
        expect_stale(&scene);
        (void) look_while_stopped(&scene);
        oldest = view_open(head + 4 - DEPTH);
        /* Continued, it publishes what it was at and two more, up to the next stop. */
        assert_int_equal(kill(scene.publisher, SIGCONT), 0);
        assert_true(stop_after(&scene, 0));
        assert_int_equal(atomic_load(&words_of(&scene)->head), head + 3);
        newest = subscriber_open("imu", SLIPRING_START_NEWEST);
        assert_int_equal(slipring_subscriber_borrow(newest, &sample), 1);
        assert_int_equal(sample.sequence, head + 3);
        head = look_while_stopped(&scene);
        assert_int_equal(slipring_subscriber_release(newest), 0);
        assert_int_equal(slipring_subscriber_release(oldest), -ESTALE);
        slipring_subscriber_close(newest);
        slipring_subscriber_close(oldest);
        scene_end(&scene, head);
        daemon_expect(&bus, "is gone");
        scene_close(&scene);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(test_stopped_anywhere_in_publish, setup, teardown),
                cmocka_unit_test_setup_teardown(test_stopped_anywhere_from_loan_to_commit, setup,
                                                teardown),
                cmocka_unit_test_setup_teardown(test_stopped_with_a_half_filled_loan, setup,
                                                teardown),
        };

        (void) ipc_private(false);
        return cmocka_run_group_tests(tests, NULL, NULL);
}
