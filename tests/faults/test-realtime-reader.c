/*
 * A real-time subscriber above a real-time publisher on one processor: where it interrupts the
 * publisher in the middle of a message and polls, the publisher cannot go on, so whoever waited for
 * that message to be finished would wait for ever. Nobody does: each call returns, with what is
 * whole or with nothing.
 *
 * The control is a reader of the textbook's: it waits until the stamp is even, and is ended by the
 * kernel's limit for real-time processes that do not sleep.
 */

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/shm.h>
#include <time.h>
#include <unistd.h>

#include <slipring/publisher.h>
#include <slipring/subscriber.h>

#include "tests/harness/harness.h"
#include "tests/harness/times.h"

#define PRIORITY_READER 90
#define PRIORITY_WRITER 10
#define BURST 200u /* calls of each kind, one after the other, without a sleep between them */
#define CALLS_MAX (1u << 20)

enum manner {
        TAKE_NEXT,
        TAKE_NEWEST,
        BORROW,
        MANNERS,
};

static const char *const manner_names[MANNERS] = {"next", "newest", "borrow"};

struct report {
        uint64_t delivered, missed, wrong;
};

struct shared {
        _Atomic int ready, stop;
        _Atomic unsigned
                inside; /* bursts in which the publisher stood in the middle of a message */
        _Atomic unsigned bursts;
        _Atomic uint64_t held; /* control: head while it waited */
        uint64_t published;
        unsigned calls;
        uint64_t call_ns[CALLS_MAX];
        struct report reports[MANNERS];
};

struct scene {
        struct bus bus;
        struct shared *shared;
        const uint8_t *segment; /* of the topic */
        uint32_t depth;
        unsigned inside; /* as many bursts as that are wanted */
        int processor;
};

/* --- the segment as it lies there --- */

static const struct layout_header *header_of(const struct scene *scene) {
        return (const struct layout_header *) (const void *) scene->segment;
}

static uint64_t head_of(const struct scene *scene) {
        struct layout_words *words =
                (struct layout_words *) (uintptr_t) (scene->segment +
                                                     header_of(scene)->words_offset);

        return atomic_load(&words->head);
}

static uint64_t stamp_of(const struct scene *scene, uint64_t sequence) {
        struct layout_slot *slot =
                (struct layout_slot *) (uintptr_t) (scene->segment +
                                                    header_of(scene)->slots_offset +
                                                    sequence % scene->depth *
                                                            header_of(scene)->slot_stride_bytes);

        return atomic_load(&slot->stamp);
}

/* Does the publisher stand in the middle of a message? */
static bool inside(const struct scene *scene, uint64_t head) {
        return stamp_of(scene, head + 1) == 2 * head + 1;
}

/* --- processes --- */

/* Real-time, on the one processor; and ended by the kernel if it never sleeps for so long. */
static bool become(const struct scene *scene, int priority, unsigned limit_ms) {
        struct sched_param parameter = {.sched_priority = priority};
        struct rlimit limit = {(rlim_t) limit_ms * 1000, RLIM_INFINITY};
        cpu_set_t one;

        CPU_ZERO(&one);
        CPU_SET((size_t) scene->processor, &one);
        return setrlimit(RLIMIT_RTTIME, &limit) == 0 &&
               sched_setaffinity(0, sizeof(one), &one) == 0 &&
               sched_setscheduler(0, SCHED_FIFO, &parameter) == 0;
}

static int writer_run(void *argument) {
        const struct scene *scene = argument;
        struct slipring_publisher *publisher = publisher_open("imu");
        static uint64_t blob[BLOB_BYTES / 8];
        uint64_t number = 0;
        void *payload;

        if (!become(scene, PRIORITY_WRITER, 60000)) {
                return 1;
        }
        while (!atomic_load(&scene->shared->stop)) {
                if (++number % 2) {
                        blob_fill(blob, sizeof(blob), number);
                        if (slipring_publisher_publish(publisher, blob, sizeof(blob), 0) < 0) {
                                return 2;
                        }
                } else {
                        if (slipring_publisher_loan(publisher, &payload) < 0) {
                                return 3;
                        }
                        blob_fill(payload, BLOB_BYTES, number);
                        if (slipring_publisher_commit(publisher, 0) < 0) {
                                return 4;
                        }
                }
        }
        scene->shared->published = number;
        slipring_publisher_close(publisher);
        return 0;
}

static int
read_one(struct slipring_subscriber *subscriber, enum manner manner, struct report *report) {
        static uint64_t blob[BLOB_BYTES / 8];
        struct slipring_sample sample = {0};
        uint64_t number = 0;
        int r;

        switch (manner) {
        case TAKE_NEXT:
                r = slipring_subscriber_take(subscriber, blob, sizeof(blob), &sample);
                break;
        case TAKE_NEWEST:
                r = slipring_subscriber_take_newest(subscriber, blob, sizeof(blob), &sample);
                break;
        default:
                r = slipring_subscriber_borrow(subscriber, &sample);
                break;
        }
        if (r == 1) {
                report->wrong += !blob_whole(sample.payload, BLOB_BYTES, &number) ||
                                 number != sample.sequence;
        }
        if (r == 1 && manner == BORROW && slipring_subscriber_release(subscriber) < 0) {
                /* Nobody can have written to it. */
                report->wrong++;
        }
        return r;
}

/* Poll without a sleep; the publisher stands where it was interrupted. Returns false if a call did
 * not say that there is a sample or none. */
static bool burst(const struct scene *scene, struct slipring_subscriber **subscribers) {
        struct shared *shared = scene->shared;
        uint64_t head = head_of(scene), before_ns;
        bool there = inside(scene, head);
        unsigned manner, i;
        int r;

        for (manner = 0; manner < MANNERS; manner++) {
                for (i = 0; i < BURST; i++) {
                        before_ns = slipring_now_ns();
                        r = read_one(subscribers[manner], (enum manner) manner,
                                     &shared->reports[manner]);
                        if (shared->calls < CALLS_MAX) {
                                shared->call_ns[shared->calls++] = slipring_now_ns() - before_ns;
                        }
                        if (r < 0 || (i == BURST - 1 && r != 0)) {
                                return false;
                        }
                }
        }
        atomic_fetch_add(&shared->bursts, 1);
        /* It was held, all the time. */
        atomic_fetch_add(&shared->inside,
                         there && head_of(scene) == head && inside(scene, head) ? 1 : 0);
        return true;
}

/* By turns: until a time that has nothing to do with the publisher's, and until there is something
 * new. */
static void rest(struct slipring_subscriber *subscriber, unsigned turn) {
        struct timespec pause = {.tv_nsec = 50000 + (long) (turn * 7919 % 100) * 1000};

        if (turn % 4) {
                (void) clock_nanosleep(CLOCK_MONOTONIC, 0, &pause, NULL);
        } else {
                (void) slipring_subscriber_wait(subscriber, slipring_in_ms(1000));
        }
}

static int reader_run(void *argument) {
        const struct scene *scene = argument;
        struct slipring_subscriber *subscribers[MANNERS];
        struct slipring_subscriber_info info;
        unsigned turn = 0, i;

        for (i = 0; i < MANNERS; i++) {
                subscribers[i] = subscriber_open("imu", SLIPRING_START_OLDEST);
        }
        if (!become(scene, PRIORITY_READER, 5000)) {
                return 1;
        }
        atomic_store(&scene->shared->ready, 1);
        while (atomic_load(&scene->shared->inside) < scene->inside) {
                rest(subscribers[0], turn++);
                if (!burst(scene, subscribers)) {
                        return 2;
                }
        }
        atomic_store(&scene->shared->stop, 1);
        /* It comes to its end, and its last message with it. */
        while (!scene->shared->published || head_of(scene) < scene->shared->published) {
                rest(subscribers[0], 1);
        }
        if (!burst(scene, subscribers)) {
                return 3;
        }
        for (i = 0; i < MANNERS; i++) {
                if (slipring_subscriber_info(subscribers[i], &info) < 0) {
                        return 4;
                }
                scene->shared->reports[i].delivered = info.delivered;
                scene->shared->reports[i].missed = info.missed;
                slipring_subscriber_close(subscribers[i]);
        }
        return 0;
}

/* The control. */
static int textbook_run(void *argument) {
        const struct scene *scene = argument;
        struct timespec pause = {.tv_nsec = 100000};
        uint64_t head;

        if (!become(scene, PRIORITY_READER, 300)) {
                return 1;
        }
        do {
                (void) clock_nanosleep(CLOCK_MONOTONIC, 0, &pause, NULL);
                head = head_of(scene);
        } while (!inside(scene, head));
        atomic_store(&scene->shared->held, head);
        while (inside(scene, head)) {
        }
        return 0;
}

/* --- scenes --- */

static void scene_open(struct scene *scene, uint32_t depth) {
        struct topic_spec spec = topic_of("imu", depth);

        spec.type = &blob_type;
        *scene = (struct scene){.depth = depth, .inside = harness_long() ? 5000 : 200};
        scene->processor = sched_getcpu();
        assert_true(scene->processor >= 0);
        bus_start(&scene->bus, &spec, 1);
        scene->shared = mmap(NULL, sizeof(*scene->shared), PROT_READ | PROT_WRITE,
                             MAP_SHARED | MAP_ANONYMOUS, -1, 0);
        assert_true(scene->shared != MAP_FAILED);
        scene->segment = shmat(registry_entry(scene->bus.registry, 0)->data_id, NULL, SHM_RDONLY);
        assert_true(scene->segment != (void *) -1);
}

static void scene_close(struct scene *scene) {
        assert_int_equal(shmdt(scene->segment), 0);
        (void) munmap(scene->shared, sizeof(*scene->shared));
        bus_stop(&scene->bus);
}

static void print_scene(const struct scene *scene) {
        const struct shared *shared = scene->shared;
        struct times times = {0};
        unsigned i;

        print_message("depth %u: %u bursts of %u calls, in %u of them the publisher stood in the "
                      "middle of a message\n",
                      scene->depth, atomic_load(&shared->bursts), MANNERS * BURST,
                      atomic_load(&shared->inside));
        for (i = 0; i < MANNERS; i++) {
                print_message("  %s: %llu delivered + %llu missed == %llu published\n",
                              manner_names[i], (unsigned long long) shared->reports[i].delivered,
                              (unsigned long long) shared->reports[i].missed,
                              (unsigned long long) shared->published);
        }
        for (i = 0; i < shared->calls; i++) {
                times_add(&times, shared->call_ns[i]);
        }
        times_print(&times, "  a call, with 64 KiB to copy or to look at");
}

static void run_over(uint32_t depth) {
        static struct scene scene;
        pid_t reader, writer;
        unsigned i;

        scene_open(&scene, depth);
        reader = process_start(reader_run, &scene);
        /* From the first sample on, and not behind the publisher for the processor. */
        while (!atomic_load(&scene.shared->ready)) {
                (void) usleep(1000);
        }
        writer = process_start(writer_run, &scene);
        assert_int_equal(process_wait(reader), 0);
        assert_int_equal(process_wait(writer), 0);
        print_scene(&scene);
        for (i = 0; i < MANNERS; i++) {
                assert_int_equal(scene.shared->reports[i].wrong, 0);
                assert_true(scene.shared->reports[i].delivered > 0);
                assert_int_equal(scene.shared->reports[i].delivered +
                                         scene.shared->reports[i].missed,
                                 scene.shared->published);
        }
        scene_close(&scene);
}

/* --- the tests --- */

static void test_polls_above_the_publisher_on_one_processor(void **state) {
        run_over(2);
        run_over(3);
        run_over(8);
}

/* The situation is what it is said to be: who waits for the publisher there, waits for ever. */
static void test_textbook_reader_does_not_return(void **state) {
        static struct scene scene;
        pid_t reader, writer;

        scene_open(&scene, 2);
        writer = process_start(writer_run, &scene);
        while (head_of(&scene) == 0) {
                (void) usleep(1000);
        }
        reader = process_start(textbook_run, &scene);
        assert_int_equal(process_wait(reader), 128 + SIGXCPU);
        print_message("the textbook's reader: ended by the kernel, waiting for message %llu\n",
                      (unsigned long long) atomic_load(&scene.shared->held) + 1);
        atomic_store(&scene.shared->stop, 1);
        assert_int_equal(process_wait(writer), 0);
        /* Without it, the publisher went on. */
        assert_true(scene.shared->published > atomic_load(&scene.shared->held));
        scene_close(&scene);
}

static int try_realtime(void *argument) {
        struct sched_param parameter = {.sched_priority = PRIORITY_READER};

        return sched_setscheduler(0, SCHED_FIFO, &parameter) == 0 ? 0 : 77;
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_polls_above_the_publisher_on_one_processor),
                cmocka_unit_test(test_textbook_reader_does_not_return),
        };

        if (process_wait(process_start(try_realtime, NULL)) != 0) {
                (void) fprintf(stderr, "skipped: needs the right to real-time priorities\n");
                return 77;
        }
        return cmocka_run_group_tests(tests, NULL, NULL);
}
