/*
 * Thousands come and go: descriptors, mappings, attachments, semaphores and memory stay what they
 * were, of the clients as of the manager, and every sample is counted.
 */

#include <dirent.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ipc.h>
#include <sys/sem.h>
#include <sys/shm.h>
#include <unistd.h>

#include <slipring/publisher.h>
#include <slipring/subscriber.h>

#include "bus/claim.h"
#include "tests/harness/daemon.h"

/* What has to be warm first: caches of the C library, the first arena, the manager's log. */
#define WARM_UP 50u

/* A leak of 32 bytes a round is more. */
#define GROWTH_MAX_KIB 256

/* The claim's undo count would be out of range after this many that did not give it back. */
#define CLAIMS 40000u

#if defined(__SANITIZE_ADDRESS__)
#define CHECKED_MEMORY 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define CHECKED_MEMORY 1
#endif
#endif

/* Under a sanitizer the short run has fewer. */
static unsigned rounds_count(void) {
#ifdef CHECKED_MEMORY
        return harness_long() ? 10000 : 1000;
#else
        return 10000;
#endif
}

#define ROUNDS rounds_count()

static struct daemon bus;

static int setup(void **state) {
        daemon_setup(&bus);
        daemon_schema(&bus, "topics:\n"
                            "  imu: {fields: {x: float64}, depth: 4}\n"
                            "  odom: {fields: {x: float64}, depth: 2}\n");
        daemon_start(&bus, NULL);
        return 0;
}

static int teardown(void **state) {
        (void) unsetenv("SLIPRING_DISABLE");
        if (bus.pid) {
                assert_int_equal(daemon_stop(&bus, SIGTERM), 0);
        }
        daemon_teardown(&bus);
        return 0;
}

/* --- what has to stay --- */

struct usage {
        size_t descriptors;
        size_t mappings;
        size_t threads;
        long resident_kib;
};

static size_t entries_count(pid_t pid, const char *what) {
        char path[64];
        const struct dirent *entry;
        size_t count = 0;
        DIR *directory;

        (void) snprintf(path, sizeof(path), "/proc/%d/%s", (int) pid, what);
        directory = opendir(path);
        assert_non_null(directory);
        while ((entry = readdir(directory))) {
                count += *entry->d_name != '.';
        }
        (void) closedir(directory);
        return count;
}

/* Segments that are mapped; other mappings are the allocator's business. */
static size_t mappings_count(pid_t pid) {
        char path[64], line[512];
        size_t count = 0;
        FILE *maps;

        (void) snprintf(path, sizeof(path), "/proc/%d/maps", (int) pid);
        maps = fopen(path, "re");
        assert_non_null(maps);
        while (fgets(line, sizeof(line), maps)) {
                count += strstr(line, "/SYSV") != NULL;
        }
        (void) fclose(maps);
        return count;
}

static long resident_kib(pid_t pid) {
        char path[64], line[256];
        long kib = -1;
        FILE *status;

        (void) snprintf(path, sizeof(path), "/proc/%d/status", (int) pid);
        status = fopen(path, "re");
        assert_non_null(status);
        while (kib < 0 && fgets(line, sizeof(line), status)) {
                (void) sscanf(line, "RssAnon: %ld kB", &kib);
        }
        (void) fclose(status);
        assert_true(kib > 0);
        return kib;
}

static struct usage usage_of(pid_t pid) {
        return (struct usage){
                .descriptors = entries_count(pid, "fd"),
                .mappings = mappings_count(pid),
                .threads = entries_count(pid, "task"),
                .resident_kib = resident_kib(pid),
        };
}

static void assert_flat(const char *who, pid_t pid, const struct usage *before, unsigned rounds) {
        struct usage after = usage_of(pid);

        print_message("%s after %u rounds: %zu descriptors, %zu segments mapped, %zu threads, "
                      "private memory %ld -> %ld KiB\n",
                      who, rounds, after.descriptors, after.mappings, after.threads,
                      before->resident_kib, after.resident_kib);
        assert_int_equal(after.descriptors, before->descriptors);
        assert_int_equal(after.mappings, before->mappings);
        assert_int_equal(after.threads, before->threads);
#ifndef CHECKED_MEMORY
        /* The sanitizers keep what was freed for a while; they have their own look at leaks. */
        assert_true(after.resident_kib - before->resident_kib < GROWTH_MAX_KIB);
#endif
}

/* Everything in this IPC namespace. */
struct kernel_usage {
        size_t objects;
        size_t attachments;
        size_t pages;
        int semaphores;
};

union argument {
        int value;
        struct seminfo *info;
};

static struct kernel_usage kernel_usage(void) {
        struct kernel_usage usage = {.objects = ipc_objects()};
        struct shm_info segments;
        struct seminfo semaphores;
        struct shmid_ds status;
        int i, highest;

        highest = shmctl(0, SHM_INFO, (struct shmid_ds *) (void *) &segments);
        assert_true(highest >= 0);
        for (i = 0; i <= highest; i++) {
                if (shmctl(i, SHM_STAT, &status) >= 0) {
                        usage.attachments += status.shm_nattch;
                }
        }
        usage.pages = segments.shm_tot;
        assert_true(semctl(0, 0, SEM_INFO, (union argument){.info = &semaphores}) >= 0);
        usage.semaphores = semaphores.semaem;
        return usage;
}

static void assert_kernel_flat(const struct kernel_usage *before) {
        struct kernel_usage after = kernel_usage();

        assert_int_equal(after.objects, before->objects);
        assert_int_equal(after.attachments, before->attachments);
        assert_int_equal(after.pages, before->pages);
        assert_int_equal(after.semaphores, before->semaphores);
}

/* Nobody holds it, nobody waits for it. */
static void assert_claim_free(const char *topic) {
        int id = daemon_entry(&bus, topic).claim_id;

        assert_int_equal(semctl(id, 0, GETVAL), 0);
        assert_int_equal(semctl(id, 0, GETNCNT), 0);
        assert_int_equal(semctl(id, 0, GETZCNT), 0);
        assert_int_equal(claim_holder(id), 0);
}

/* --- subscribers --- */

static void subscribers_come_and_go(unsigned count) {
        struct slipring_subscriber *subscriber;
        unsigned i;

        for (i = 0; i < count; i++) {
                subscriber = subscriber_open(i % 2 ? "imu" : "odom", i % 3);
                assert_null(slipring_subscriber_close(subscriber));
        }
}

static void test_ten_thousand_subscribers(void **state) {
        struct kernel_usage kernel;
        struct usage self;

        subscribers_come_and_go(WARM_UP);
        kernel = kernel_usage();
        self = usage_of(getpid());
        subscribers_come_and_go(ROUNDS);
        assert_flat("subscriber", getpid(), &self, ROUNDS);
        assert_kernel_flat(&kernel);
}

/* --- publishers --- */

static void publishers_come_and_go(unsigned first, unsigned count) {
        struct slipring_publisher *publisher;
        struct slipring_publisher_info info;
        double value;
        unsigned i;

        for (i = first; i < first + count; i++) {
                publisher = publisher_open("imu");
                value = i;
                assert_int_equal(slipring_publisher_publish(publisher, &value, sizeof(value), i),
                                 0);
                assert_int_equal(slipring_publisher_info(publisher, &info), 0);
                assert_int_equal(info.sequence, i);
                assert_int_equal(info.epoch, i);
                assert_null(slipring_publisher_close(publisher));
        }
}

/* One subscriber goes through all of it, and gets or counts every sample. */
static void test_ten_thousand_publishers(void **state) {
        struct slipring_subscriber *subscriber = subscriber_open("imu", SLIPRING_START_OLDEST);
        struct slipring_subscriber_info info;
        struct slipring_sample sample;
        struct kernel_usage kernel;
        struct usage self;
        double value = 0;
        unsigned i;

        publishers_come_and_go(1, WARM_UP);
        kernel = kernel_usage();
        self = usage_of(getpid());
        for (i = WARM_UP + 1; i <= ROUNDS; i++) {
                publishers_come_and_go(i, 1);
                if (i % 7 == 0) {
                        assert_int_equal(slipring_subscriber_take(subscriber, &value, sizeof(value),
                                                                  &sample),
                                         1);
                        assert_true(value == (double) sample.sequence);
                        assert_int_equal(sample.epoch, sample.sequence);
                }
        }
        assert_flat("publisher", getpid(), &self, ROUNDS);
        assert_kernel_flat(&kernel);
        assert_claim_free("imu");
        while (slipring_subscriber_take(subscriber, &value, sizeof(value), NULL) == 1) {
        }
        assert_int_equal(slipring_subscriber_info(subscriber, &info), 0);
        assert_int_equal(info.sequence, ROUNDS);
        assert_int_equal(info.epoch, ROUNDS);
        assert_int_equal(info.delivered + info.missed, ROUNDS);
        print_message("%llu delivered + %llu missed == %u published by %u publishers\n",
                      (unsigned long long) info.delivered, (unsigned long long) info.missed, ROUNDS,
                      ROUNDS);
        slipring_subscriber_close(subscriber);
}

/* --- processes --- */

enum end {
        END_CLOSE,
        END_EXIT,
        END_KILLED,
        END_COUNT,
};

static int client_run(void *argument) {
        struct slipring_subscriber *subscriber = NULL;
        struct slipring_publisher *publisher = NULL;
        double value = 1;
        void *payload = NULL;

        if (slipring_publisher_open(&publisher, "imu", NULL, NULL) < 0 ||
            slipring_subscriber_open(&subscriber, "imu", NULL, NULL) < 0 ||
            slipring_publisher_publish(publisher, &value, sizeof(value), 0) < 0) {
                return 1;
        }
        switch (*(enum end *) argument) {
        case END_CLOSE:
                slipring_publisher_close(publisher);
                slipring_subscriber_close(subscriber);
                break;
        case END_KILLED:
                (void) slipring_publisher_loan(publisher, &payload);
                (void) kill(getpid(), SIGKILL);
                break;
        default:
                break;
        }
        return 0;
}

static void processes_come_and_go(unsigned count) {
        unsigned i;

        for (i = 0; i < count; i++) {
                enum end end = i % END_COUNT;

                assert_int_equal(process_wait(process_start(client_run, &end)),
                                 end == END_KILLED ? 128 + SIGKILL : 0);
        }
}

/* Closed, ended without closing, killed in a loan: the kernel takes it all back. */
static void test_client_processes(void **state) {
        unsigned count = harness_long() ? ROUNDS : 1000;
        struct slipring_subscriber *subscriber = subscriber_open("imu", SLIPRING_START_NEXT);
        struct slipring_subscriber_info info;
        struct usage self, manager;
        struct kernel_usage kernel;

        processes_come_and_go(WARM_UP);
        kernel = kernel_usage();
        self = usage_of(getpid());
        manager = usage_of(bus.pid);
        processes_come_and_go(count);
        assert_flat("their parent", getpid(), &self, count);
        assert_flat("manager", bus.pid, &manager, count);
        assert_kernel_flat(&kernel);
        assert_claim_free("imu");
        assert_int_equal(slipring_subscriber_info(subscriber, &info), 0);
        assert_int_equal(info.sequence, WARM_UP + count);
        assert_int_equal(info.epoch, WARM_UP + count);
        slipring_subscriber_close(subscriber);
}

/* --- claims --- */

/* One process holds its undo count over all claims: it must be back at zero after each. */
static void test_claims_leave_no_undo_behind(void **state) {
        int id = daemon_entry(&bus, "odom").claim_id;
        unsigned i;

        for (i = 0; i < CLAIMS; i++) {
                assert_int_equal(claim_acquire(id, 0), 0);
                assert_int_equal(claim_acquire(id, 0), -EBUSY);
                claim_release(id);
        }
        assert_claim_free("odom");
}

/* --- wait sets --- */

static void wait_sets_come_and_go(unsigned count) {
        struct slipring_subscriber *imu = subscriber_open("imu", SLIPRING_START_NEXT), *odom;
        struct slipring_waitset *waitset = NULL;
        unsigned i;

        for (i = 0; i < count; i++) {
                assert_int_equal(slipring_waitset_new(&waitset, NULL), 0);
                assert_int_equal(slipring_waitset_add(waitset, imu), 0);
                odom = subscriber_open("odom", SLIPRING_START_NEXT);
                assert_int_equal(slipring_waitset_add(waitset, odom), 0);
                if (i % 2) {
                        assert_int_equal(slipring_waitset_remove(waitset, imu), 0);
                        slipring_subscriber_close(odom);
                        waitset = slipring_waitset_close(waitset);
                } else {
                        waitset = slipring_waitset_close(waitset);
                        slipring_subscriber_close(odom);
                }
                assert_null(waitset);
        }
        slipring_subscriber_close(imu);
}

static void wait_sets(const char *disabled, unsigned count) {
        struct kernel_usage kernel;
        struct usage self;

        (void) setenv("SLIPRING_DISABLE", disabled, 1);
        wait_sets_come_and_go(WARM_UP);
        kernel = kernel_usage();
        self = usage_of(getpid());
        wait_sets_come_and_go(count);
        assert_flat("wait set", getpid(), &self, count);
        assert_kernel_flat(&kernel);
}

static void test_wait_sets_of_io_uring(void **state) {
        wait_sets("", harness_long() ? ROUNDS : 1000);
}

static void test_wait_sets_of_one_thread(void **state) {
        wait_sets("io_uring", harness_long() ? ROUNDS : 500);
}

static void test_wait_sets_of_a_thread_a_topic(void **state) {
        wait_sets("io_uring,futex_waitv", harness_long() ? ROUNDS : 500);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void) {
        const struct CMUnitTest tests[] = {
                CASE(test_ten_thousand_subscribers),
                CASE(test_ten_thousand_publishers),
                CASE(test_client_processes),
                CASE(test_claims_leave_no_undo_behind),
                CASE(test_wait_sets_of_io_uring),
                CASE(test_wait_sets_of_one_thread),
                CASE(test_wait_sets_of_a_thread_a_topic),
        };

        (void) ipc_private(true);
        return cmocka_run_group_tests(tests, NULL, NULL);
}
