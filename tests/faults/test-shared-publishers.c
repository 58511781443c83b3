/*
 * Several publishers of one topic, killed at random, stopped with the lock, and lied to about it:
 * nothing torn is accepted, delivered + missed == published, exactly, and nobody waits for longer
 * than its timeout says.
 */

#include <errno.h>
#include <linux/futex.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/shm.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <slipring/publisher.h>
#include <slipring/subscriber.h>

#include "bus/claim.h"
#include "tests/harness/harness.h"

#define WRITERS 4

enum manner {
        TAKE_NEXT,
        TAKE_NEWEST,
        BORROW,
        MANNERS,
};

/* What a subscriber's process tells its parent. */
struct report {
        uint64_t delivered, missed, torn, disorder;
        uint64_t sequence; /* of the last number accounted for */
};

struct stage {
        _Atomic int stop;
        _Atomic unsigned ready;
        _Atomic int error; /* of a publisher that was told one */
        _Atomic uint64_t published, timeouts, waited_ns;
        struct report reports[MANNERS];
};

struct reader {
        struct stage *stage;
        enum manner manner;
};

static struct stage *stage_make(void) {
        struct stage *stage = mmap(NULL, sizeof(*stage), PROT_READ | PROT_WRITE,
                                   MAP_SHARED | MAP_ANONYMOUS, -1, 0);

        assert_true(stage != MAP_FAILED);
        return stage;
}

static void sleep_us(unsigned us) {
        struct timespec pause = {.tv_sec = us / 1000000, .tv_nsec = (long) (us % 1000000) * 1000};

        (void) nanosleep(&pause, NULL);
}

static struct topic_spec shared_topic(uint32_t depth) {
        struct topic_spec spec = topic_of("imu", depth);

        spec.publishers = LAYOUT_PUBLISHERS_SHARED;
        return spec;
}

static struct slipring_publisher *shared_open(uint64_t timeout_ns) {
        struct slipring_publisher_options options = {
                .size = sizeof(options),
                .lock_timeout_ns = timeout_ns,
        };
        struct slipring_publisher *publisher = NULL;
        struct slipring_error error = {0};
        int r;

        r = slipring_publisher_open(&publisher, "imu", &options, &error);
        if (r < 0) {
                print_message("open: %s\n", error.text);
        }
        assert_int_equal(r, 0);
        return publisher;
}

/* The lock's word, as a publisher sees it. */
static struct layout_lock *lock_of(const struct bus *bus) {
        void *address = shmat(registry_entry(bus->registry, 0)->lock_id, NULL, 0);

        assert_true(address != (void *) -1);
        return address;
}

/* --- random kills --- */

static int publish_run(void *argument) {
        struct stage *stage = argument;
        struct slipring_publisher *publisher = NULL;
        struct slipring_publisher_options options = {
                .size = sizeof(options),
                .lock_timeout_ns = SLIPRING_FOREVER,
        };
        struct message message;
        uint64_t number;
        int r;

        r = slipring_publisher_open(&publisher, "imu", &options, NULL);
        for (number = (uint64_t) getpid() << 32; r == 0; number++) {
                message = message_make(number);
                r = slipring_publisher_publish(publisher, &message, sizeof(message), 0);
        }
        atomic_store(&stage->error, r);
        return 1;
}

static int read_one(struct slipring_subscriber *subscriber,
                    enum manner manner,
                    struct slipring_sample *sample,
                    struct message *message) {
        int r;

        switch (manner) {
        case TAKE_NEXT:
                return slipring_subscriber_take(subscriber, message, sizeof(*message), sample);
        case TAKE_NEWEST:
                return slipring_subscriber_take_newest(subscriber, message, sizeof(*message),
                                                       sample);
        default:
                r = slipring_subscriber_borrow(subscriber, sample);
                if (r != 1) {
                        return r;
                }
                memcpy(message, sample->payload, sizeof(*message));
                return slipring_subscriber_release(subscriber) == 0 ? 1 : -EAGAIN;
        }
}

static int read_run(void *argument) {
        const struct reader *reader = argument;
        struct report *report = &reader->stage->reports[reader->manner];
        struct slipring_subscriber *subscriber = subscriber_open("imu", SLIPRING_START_OLDEST);
        struct slipring_subscriber_info info;
        struct slipring_sample sample;
        struct message message;
        int r;

        atomic_fetch_add(&reader->stage->ready, 1);
        for (;;) {
                r = read_one(subscriber, reader->manner, &sample, &message);
                if (r == 1) {
                        report->torn += !message_whole(&message);
                        report->disorder += sample.sequence <= report->sequence;
                        report->sequence = sample.sequence;
                } else if (r == 0) {
                        if (atomic_load(&reader->stage->stop)) {
                                break;
                        }
                        (void) slipring_subscriber_wait(subscriber, slipring_in_ms(50));
                } else if (r != -EAGAIN) {
                        return 1;
                }
        }
        if (slipring_subscriber_info(subscriber, &info) < 0) {
                return 2;
        }
        report->delivered = info.delivered;
        report->missed = info.missed;
        slipring_subscriber_close(subscriber);
        return 0;
}

static void kill_publishers(struct stage *stage, unsigned count, unsigned *seed) {
        pid_t pids[WRITERS];
        unsigned i, victim;

        for (i = 0; i < WRITERS; i++) {
                pids[i] = process_start(publish_run, stage);
        }
        for (i = 0; i < count; i++) {
                *seed = *seed * 1103515245u + 12345u;
                sleep_us(*seed >> 16 & 0x7ff);
                victim = *seed >> 28 & (WRITERS - 1);
                process_kill(pids[victim]);
                pids[victim] = process_start(publish_run, stage);
        }
        for (i = 0; i < WRITERS; i++) {
                process_kill(pids[i]);
        }
}

static void report_check(const struct stage *stage, enum manner manner, uint64_t published) {
        static const char *const names[] = {"next", "newest", "borrow"};
        const struct report *report = &stage->reports[manner];

        assert_int_equal(report->torn, 0);
        assert_int_equal(report->disorder, 0);
        assert_int_equal(report->sequence, published);
        assert_int_equal(report->delivered + report->missed, published);
        print_message("%s: %llu delivered + %llu missed == %llu published\n", names[manner],
                      (unsigned long long) report->delivered, (unsigned long long) report->missed,
                      (unsigned long long) published);
}

static void stress(uint32_t depth, unsigned count) {
        struct topic_spec spec = shared_topic(depth);
        struct stage *stage = stage_make();
        struct reader readers[MANNERS];
        struct slipring_publisher *last;
        struct slipring_publisher_info info;
        struct message message = message_make(1);
        pid_t pids[MANNERS];
        unsigned seed = depth;
        static struct bus bus;
        int i;

        bus_start(&bus, &spec, 1);
        for (i = 0; i < MANNERS; i++) {
                readers[i] = (struct reader){stage, (enum manner) i};
                pids[i] = process_start(read_run, &readers[i]);
        }
        while (atomic_load(&stage->ready) < MANNERS) {
                sleep_us(1000);
        }
        kill_publishers(stage, count, &seed);
        assert_int_equal(atomic_load(&stage->error), 0);
        assert_int_equal(claim_count(registry_entry(bus.registry, 0)->claim_id), 0);
        /* The last one repairs what the last of the killed left. */
        last = shared_open(0);
        assert_int_equal(slipring_publisher_publish(last, &message, sizeof(message), 0), 0);
        assert_int_equal(slipring_publisher_info(last, &info), 0);
        assert_int_equal(info.publishers, 1);
        atomic_store(&stage->stop, 1);
        for (i = 0; i < MANNERS; i++) {
                assert_int_equal(process_wait(pids[i]), 0);
                report_check(stage, (enum manner) i, info.sequence);
        }
        print_message("depth %u: %u publishers killed, %u takeovers of the lock and the topic\n",
                      depth, count + WRITERS, info.epoch);
        slipring_publisher_close(last);
        bus_stop(&bus);
        (void) munmap(stage, sizeof(*stage));
}

static unsigned kills(void) {
        return harness_long() ? 1000 : 100;
}

static void test_depth_2(void **state) {
        stress(2, kills());
}

static void test_depth_3(void **state) {
        stress(3, kills());
}

static void test_depth_8(void **state) {
        stress(8, kills());
}

static void test_depth_64(void **state) {
        stress(64, kills());
}

/* --- a holder that is stopped --- */

/* Publishes without end; reports what it was told. */
static int patient_run(void *argument) {
        struct stage *stage = argument;
        struct slipring_publisher *publisher = shared_open(20000000);
        struct message message = message_make(7);
        uint64_t before;
        int r;

        for (;;) {
                before = slipring_now_ns();
                r = slipring_publisher_publish(publisher, &message, sizeof(message), 0);
                if (r == 0) {
                        atomic_fetch_add(&stage->published, 1);
                } else if (r == -ETIMEDOUT) {
                        atomic_store(&stage->waited_ns, slipring_now_ns() - before);
                        atomic_fetch_add(&stage->timeouts, 1);
                } else {
                        atomic_store(&stage->error, r);
                        return 1;
                }
        }
}

/* Stop a publisher at an instant at which it has the lock. */
static void stop_holder(const struct layout_lock *lock, pid_t holder) {
        int status;

        for (;;) {
                assert_int_equal(kill(holder, SIGSTOP), 0);
                assert_int_equal(waitpid(holder, &status, WUNTRACED), holder);
                assert_true(WIFSTOPPED(status));
                if ((atomic_load(&lock->word) & FUTEX_TID_MASK) == (uint32_t) holder) {
                        return;
                }
                assert_int_equal(kill(holder, SIGCONT), 0);
                sleep_us(100);
        }
}

static void await_more(_Atomic uint64_t *counter, uint64_t more) {
        uint64_t until = atomic_load(counter) + more;

        while (atomic_load(counter) < until) {
                sleep_us(1000);
        }
}

static void stopped_holder(int with) {
        struct topic_spec spec = shared_topic(8);
        struct stage *stage = stage_make();
        struct layout_lock *lock;
        static struct bus bus;
        pid_t holder, other;

        bus_start(&bus, &spec, 1);
        lock = lock_of(&bus);
        holder = process_start(publish_run, stage);
        other = process_start(patient_run, stage);
        await_more(&stage->published, 100);
        stop_holder(lock, holder);
        await_more(&stage->timeouts, 3);
        assert_true(atomic_load(&stage->waited_ns) >= 20000000);
        print_message("timeout of 20 ms: told after %.2f ms\n",
                      (double) atomic_load(&stage->waited_ns) / 1e6);
        if (with == SIGKILL) {
                process_kill(holder);
        } else {
                assert_int_equal(kill(holder, with), 0);
        }
        await_more(&stage->published, 1000);
        assert_int_equal(atomic_load(&stage->error), 0);
        if (with != SIGKILL) {
                process_kill(holder);
        }
        process_kill(other);
        (void) shmdt(lock);
        bus_stop(&bus);
        (void) munmap(stage, sizeof(*stage));
}

static void test_stopped_holder_goes_on(void **state) {
        stopped_holder(SIGCONT);
}

static void test_stopped_holder_is_killed(void **state) {
        stopped_holder(SIGKILL);
}

/* As on kernels before 5.14, whose such locks know the wall clock only. */
static void test_stopped_holder_by_the_wall_clock(void **state) {
        assert_int_equal(setenv("SLIPRING_DISABLE", "futex_lock_pi2", 1), 0);
        stopped_holder(SIGCONT);
        stopped_holder(SIGKILL);
        assert_int_equal(unsetenv("SLIPRING_DISABLE"), 0);
}

/* --- a holder that dies in the lock --- */

static int die_holding_run(void *argument) {
        struct stage *stage = argument;
        struct slipring_publisher *publisher = shared_open(0);
        struct message message = message_make(7);

        for (;;) {
                if (slipring_publisher_publish(publisher, &message, sizeof(message), 0) < 0) {
                        return 1;
                }
                atomic_fetch_add(&stage->published, 1);
        }
}

/* The kernel marks the lock of a dead holder also if nobody waited, and the next one repairs. */
static void test_holder_dies_alone(void **state) {
        struct topic_spec spec = shared_topic(8);
        struct stage *stage = stage_make();
        struct slipring_publisher *publisher;
        struct slipring_publisher_info before, after;
        struct message message = message_make(9);
        struct layout_lock *lock;
        static struct bus bus;
        unsigned i;
        pid_t pid;

        bus_start(&bus, &spec, 1);
        lock = lock_of(&bus);
        publisher = shared_open(0);
        for (i = 0; i < 20; i++) {
                pid = process_start(die_holding_run, stage);
                await_more(&stage->published, 10);
                stop_holder(lock, pid);
                process_kill(pid);
                assert_int_equal(atomic_load(&lock->word), FUTEX_OWNER_DIED);
                assert_int_equal(slipring_publisher_info(publisher, &before), 0);
                assert_int_equal(
                        slipring_publisher_publish(publisher, &message, sizeof(message), 0), 0);
                assert_int_equal(slipring_publisher_info(publisher, &after), 0);
                assert_int_equal(atomic_load(&lock->word), 0);
                /* Its takeover counts, over that of the dead one's opening. */
                assert_int_equal(after.epoch, 1 + 2 * (i + 1));
                /* One more, or two if what the dead one had finished was announced. */
                assert_in_range(after.sequence, before.sequence + 1, before.sequence + 2);
        }
        slipring_publisher_close(publisher);
        (void) shmdt(lock);
        bus_stop(&bus);
        (void) munmap(stage, sizeof(*stage));
}

/* --- a lock that lies --- */

static int publish_once(struct slipring_publisher *publisher) {
        struct message message = message_make(3);

        return slipring_publisher_publish(publisher, &message, sizeof(message), 0);
}

static void test_corrupt_lock(void **state) {
        struct topic_spec spec = shared_topic(4);
        struct slipring_publisher *publisher, *second = NULL;
        struct slipring_publisher_options options = {.size = sizeof(options)};
        struct slipring_publisher_info info;
        struct slipring_error error;
        struct layout_lock *lock;
        static struct bus bus;
        uint32_t values[] = {0x3fffffff, 0xffffffff, 0xbffffffe, 2};
        size_t i;

        bus_start(&bus, &spec, 1);
        lock = lock_of(&bus);
        publisher = shared_open(10000000);
        for (i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
                /* Threads that are not there, and one of the kernel's. */
                atomic_store(&lock->word, values[i]);
                assert_int_equal(publish_once(publisher), -ENOTRECOVERABLE);
        }
        assert_int_equal(slipring_publisher_open(&second, "imu", &options, &error),
                         -ENOTRECOVERABLE);
        assert_non_null(strstr(error.text, "lock names a process that is not there"));
        /* Somebody who lives and knows nothing of it. */
        atomic_store(&lock->word, 1);
        assert_int_equal(publish_once(publisher), -ETIMEDOUT);
        /* This thread itself. */
        atomic_store(&lock->word, (uint32_t) syscall(SYS_gettid));
        assert_int_equal(publish_once(publisher), -EDEADLK);
        /* Flags without a meaning are none. */
        atomic_store(&lock->word, FUTEX_WAITERS);
        assert_int_equal(publish_once(publisher), 0);
        assert_int_equal(atomic_load(&lock->word), 0);
        /* Once nobody publishes, the first to come repairs it, whatever it says. */
        for (i = 0; i < sizeof(values) / sizeof(values[0]) + 1; i++) {
                atomic_store(&lock->word, i < sizeof(values) / sizeof(values[0]) ? values[i] : 1);
                publisher = slipring_publisher_close(publisher);
                publisher = shared_open(10000000);
                assert_int_equal(publish_once(publisher), 0);
        }
        assert_int_equal(slipring_publisher_info(publisher, &info), 0);
        assert_int_equal(info.sequence, 1 + i);
        slipring_publisher_close(publisher);
        (void) shmdt(lock);
        bus_stop(&bus);
}

static int scribble_run(void *argument) {
        struct layout_lock *lock = argument;
        unsigned seed = (unsigned) getpid();

        while (lock) {
                seed = seed * 1103515245u + 12345u;
                atomic_store(&lock->word, seed & 3 ? seed : 0);
                if ((seed & 0xf00) == 0) {
                        sleep_us(50);
                }
        }
        return 0;
}

/* A fellow publisher that never stops writing over lock and words costs errors, not more. */
static void test_scribbled_lock(void **state) {
        struct topic_spec spec = shared_topic(4);
        struct slipring_publisher *publisher;
        struct layout_lock *lock;
        static struct bus bus;
        unsigned i, good = 0, bad = 0;
        pid_t pid;
        int r;

        bus_start(&bus, &spec, 1);
        lock = lock_of(&bus);
        publisher = shared_open(1000000);
        pid = process_start(scribble_run, lock);
        /* Some of it has to hit. */
        for (i = 0; i < 2000 || bad < 50; i++) {
                r = publish_once(publisher);
                assert_true(r == 0 || r == -ETIMEDOUT || r == -ENOTRECOVERABLE || r == -EDEADLK);
                good += r == 0;
                bad += r != 0;
        }
        process_kill(pid);
        print_message("lock scribbled over: %u published, %u refused\n", good, bad);
        atomic_store(&lock->word, 0);
        assert_int_equal(publish_once(publisher), 0);
        slipring_publisher_close(publisher);
        (void) shmdt(lock);
        bus_stop(&bus);
}

/* --- the class --- */

static void test_class(void **state) {
        struct topic_spec spec = shared_topic(4);
        struct slipring_publisher *one, *two, *three = NULL;
        struct slipring_publisher_options options = {
                .size = sizeof(options),
                .flags = SLIPRING_PUBLISHER_STANDBY,
                .deadline_ns = SLIPRING_FOREVER,
        };
        struct slipring_publisher_info info;
        struct slipring_subscriber *subscriber;
        struct slipring_sample sample;
        struct slipring_error error;
        struct message message;
        static struct bus bus;
        struct shmid_ds status;
        void *payload;

        bus_start(&bus, &spec, 1);
        assert_int_equal(shmctl(registry_entry(bus.registry, 0)->lock_id, IPC_STAT, &status), 0);
        /* Subscribers have no way to the lock. */
        assert_int_equal(status.shm_perm.mode & 0777, 0600);
        one = shared_open(0);
        two = shared_open(0);
        assert_int_equal(slipring_publisher_loan(one, &payload), -EOPNOTSUPP);
        assert_int_equal(slipring_publisher_commit(one, 0), -EINVAL);
        assert_int_equal(slipring_publisher_open(&three, "imu", &options, &error), -EOPNOTSUPP);
        assert_non_null(strstr(error.text, "nobody stands by"));
        subscriber = subscriber_open("imu", SLIPRING_START_OLDEST);
        assert_int_equal(publish_once(one), 0);
        assert_int_equal(publish_once(two), 0);
        assert_int_equal(publish_once(one), 0);
        /* Each handle's samples have its epoch. */
        assert_int_equal(slipring_subscriber_take(subscriber, &message, sizeof(message), &sample),
                         1);
        assert_int_equal(sample.epoch, 1);
        assert_int_equal(slipring_subscriber_take(subscriber, &message, sizeof(message), &sample),
                         1);
        assert_int_equal(sample.epoch, 2);
        assert_int_equal(slipring_subscriber_take(subscriber, &message, sizeof(message), &sample),
                         1);
        assert_int_equal(sample.epoch, 1);
        assert_int_equal(sample.sequence, 3);
        assert_int_equal(slipring_publisher_info(one, &info), 0);
        assert_int_equal(info.publishers, 2);
        assert_int_equal(info.sequence, 3);
        /* Another class is another topic, also on the way back. */
        spec.publishers = LAYOUT_PUBLISHERS_EXCLUSIVE;
        bus_apply(&bus, &spec, 1);
        assert_int_equal(publish_once(one), -EIDRM);
        assert_int_equal(slipring_publisher_move(one, 0, &error), 0);
        assert_int_equal(slipring_publisher_loan(one, &payload), 0);
        assert_int_equal(slipring_publisher_abandon(one), 0);
        assert_int_equal(slipring_publisher_move(two, 0, &error), -EBUSY);
        spec.publishers = LAYOUT_PUBLISHERS_SHARED;
        bus_apply(&bus, &spec, 1);
        assert_int_equal(slipring_publisher_move(one, 0, &error), 0);
        assert_int_equal(slipring_publisher_move(two, 0, &error), 0);
        assert_int_equal(publish_once(one), 0);
        assert_int_equal(publish_once(two), 0);
        slipring_subscriber_close(subscriber);
        slipring_publisher_close(one);
        slipring_publisher_close(two);
        bus_stop(&bus);
}

/* --- priority inheritance --- */

static void priority_set(int priority) {
        struct sched_param parameter = {.sched_priority = priority};

        (void) sched_setscheduler(0, SCHED_FIFO, &parameter);
}

static bool on_one_core(void) {
        struct sched_param parameter = {.sched_priority = 1};
        cpu_set_t set;

        CPU_ZERO(&set);
        CPU_SET(0, &set);
        return sched_setaffinity(0, sizeof(set), &set) == 0 &&
               sched_setscheduler(0, SCHED_FIFO, &parameter) == 0;
}

static int low_run(void *argument) {
        if (!on_one_core()) {
                return 1;
        }
        return die_holding_run(argument);
}

static int middle_run(void *argument) {
        struct stage *stage = argument;

        if (!on_one_core()) {
                return 1;
        }
        priority_set(2);
        while (atomic_load(&stage->ready) == 1) {
        }
        return 0;
}

static int high_run(void *argument) {
        struct stage *stage = argument;
        struct slipring_publisher *publisher = shared_open(UINT64_C(10000000000));
        uint64_t before;
        int r;

        if (!on_one_core()) {
                return 1;
        }
        priority_set(3);
        atomic_store(&stage->ready, 1);
        while (!atomic_load(&stage->stop)) {
                sleep_us(500);
        }
        before = slipring_now_ns();
        r = publish_once(publisher);
        atomic_store(&stage->waited_ns, slipring_now_ns() - before);
        atomic_store(&stage->error, r);
        atomic_store(&stage->ready, 2);
        return 0;
}

/* A publisher of low priority has the lock, one of high priority wants it, and on the same core a
 * process between the two computes until that one is done. Only who inherits the high priority gets
 * to give the lock back. */
static void test_priority_is_inherited(void **state) {
        struct topic_spec spec = shared_topic(8);
        struct stage *stage = stage_make();
        struct layout_lock *lock;
        pid_t low, middle, high;
        static struct bus bus;

        bus_start(&bus, &spec, 1);
        lock = lock_of(&bus);
        high = process_start(high_run, stage);
        while (!atomic_load(&stage->ready)) {
                int status;

                if (waitpid(high, &status, WNOHANG) == high) {
                        print_message("SKIPPED: no real-time priorities for this user\n");
                        (void) shmdt(lock);
                        bus_stop(&bus);
                        skip();
                }
                sleep_us(1000);
        }
        low = process_start(low_run, stage);
        await_more(&stage->published, 10);
        stop_holder(lock, low);
        middle = process_start(middle_run, stage);
        sleep_us(20000);
        atomic_store(&stage->stop, 1);
        while (!(atomic_load(&lock->word) & FUTEX_WAITERS)) {
                sleep_us(100);
        }
        assert_int_equal(kill(low, SIGCONT), 0);
        assert_int_equal(process_wait(high), 0);
        print_message("low holds, high waits, middle computes: high published after "
                      "%.3f ms\n",
                      (double) atomic_load(&stage->waited_ns) / 1e6);
        assert_int_equal(atomic_load(&stage->error), 0);
        assert_int_equal(process_wait(middle), 0);
        process_kill(low);
        (void) shmdt(lock);
        bus_stop(&bus);
        (void) munmap(stage, sizeof(*stage));
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_class),
                cmocka_unit_test(test_depth_2),
                cmocka_unit_test(test_depth_3),
                cmocka_unit_test(test_depth_8),
                cmocka_unit_test(test_depth_64),
                cmocka_unit_test(test_stopped_holder_goes_on),
                cmocka_unit_test(test_stopped_holder_is_killed),
                cmocka_unit_test(test_stopped_holder_by_the_wall_clock),
                cmocka_unit_test(test_holder_dies_alone),
                cmocka_unit_test(test_corrupt_lock),
                cmocka_unit_test(test_scribbled_lock),
                cmocka_unit_test(test_priority_is_inherited),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
