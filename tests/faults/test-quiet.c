/*
 * Publish and take make no system call while nobody sleeps: they run under a seccomp filter that
 * kills the process at any other than the one that ends it.
 */

#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stddef.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <slipring/publisher.h>
#include <slipring/subscriber.h>

#include "subscribers/subscriber.h"
#include "tests/harness/harness.h"

#define ROUNDS 10000

static int setup(void **state) {
        static struct bus bus;
        struct topic_spec specs[] = {topic_of("imu", 8), topic_of("blob", 4)};

        specs[1].type = &blob_type;
        bus_start(&bus, specs, 2);
        *state = &bus;
        return 0;
}

static int teardown(void **state) {
        bus_stop(*state);
        return 0;
}

/* Only the end of the process is allowed from here on. */
static int forbid_system_calls(void) {
        struct sock_filter filter[] = {
                BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
                BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_exit_group, 0, 1),
                BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
                BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
        };
        struct sock_fprog program = {.len = 4, .filter = filter};

        return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ||
               prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) < 0;
}

static void leave(int status) {
        (void) syscall(SYS_exit_group, status);
        __builtin_unreachable();
}

struct handles {
        struct slipring_publisher *publisher;
        struct slipring_subscriber *subscriber;
        unsigned char *buffer;
        size_t bytes;
};

static int samples(const struct handles *handles) {
        struct slipring_sample sample;
        void *payload = NULL;
        int i;

        for (i = 0; i < ROUNDS; i++) {
                if (slipring_publisher_publish(handles->publisher, handles->buffer, handles->bytes,
                                               1) != 0 ||
                    slipring_subscriber_take(handles->subscriber, handles->buffer, handles->bytes,
                                             &sample) != 1 ||
                    slipring_publisher_loan(handles->publisher, &payload) != 0 ||
                    slipring_publisher_commit(handles->publisher, 2) != 0 ||
                    slipring_subscriber_borrow(handles->subscriber, &sample) != 1 ||
                    slipring_subscriber_release(handles->subscriber) != 0 ||
                    slipring_publisher_loan(handles->publisher, &payload) != 0 ||
                    slipring_publisher_commit(handles->publisher, 3) != 0 ||
                    slipring_subscriber_take_batch(handles->subscriber, handles->buffer,
                                                   handles->bytes, &sample, 1) != 1 ||
                    slipring_subscriber_take_newest(handles->subscriber, handles->buffer,
                                                    handles->bytes, &sample) != 0 ||
                    slipring_publisher_loan(handles->publisher, &payload) != 0 ||
                    slipring_publisher_abandon(handles->publisher) != 0) {
                        return 1;
                }
        }
        return 0;
}

static struct handles handles_of(const char *topic, unsigned char *buffer) {
        struct handles handles = {
                .publisher = publisher_open(topic),
                .subscriber = subscriber_open(topic, SLIPRING_START_NEXT),
                .buffer = buffer,
        };

        handles.bytes = slipring_subscriber_type(handles.subscriber)->payload_bytes;
        return handles;
}

static int quiet_run(void *argument) {
        static unsigned char buffer[BLOB_BYTES];
        struct handles handles = handles_of(argument, buffer);

        /* One sleeper was there and is gone: the promise holds after the next publish. */
        if (slipring_subscriber_wait(handles.subscriber, slipring_in_ms(1)) != -ETIMEDOUT ||
            slipring_publisher_publish(handles.publisher, buffer, handles.bytes, 0) != 0 ||
            slipring_subscriber_take(handles.subscriber, buffer, handles.bytes, NULL) != 1 ||
            forbid_system_calls()) {
                leave(2);
        }
        leave(samples(&handles));
        return 3;
}

#define SPUN 200

/* Waits for samples that somebody else publishes. It looks for as long as the test may take: how
 * long it would look by itself is up to the machine, and past that it sleeps. */
static int spin_run(void *argument) {
        const struct slipring_subscriber_options options = {
                .size = sizeof(options),
                .start = SLIPRING_START_OLDEST,
                .spin_us = SLIPRING_SPIN_US_MAX,
        };
        struct slipring_subscriber *subscriber = NULL;
        unsigned char buffer[sizeof(struct message)];
        uint64_t helped = 0, seen = 0;
        struct slipring_sample sample;

        if (slipring_subscriber_open(&subscriber, "imu", &options, NULL) < 0) {
                leave(1);
        }
        subscriber->spin.budget_ns = UINT64_C(60000000000);
        subscriber->spin.mean_ns = subscriber->spin.budget_ns;
        subscriber->spin.share = SPIN_ALL;
        if (write(*(int *) argument, "", 1) != 1 || forbid_system_calls()) {
                leave(2);
        }
        while (seen < SPUN) {
                /* Its own mean would shorten the look. */
                subscriber->spin.mean_ns = subscriber->spin.budget_ns;
                if (slipring_subscriber_wait(subscriber, SLIPRING_FOREVER) != 0 ||
                    slipring_subscriber_take(subscriber, buffer, sizeof(buffer), &sample) != 1) {
                        leave(3);
                }
                seen = sample.sequence;
                helped = subscriber->spin.helped;
        }
        leave(helped > 0 ? 0 : 4);
        return 5;
}

/* The filter would see a system call if there were one. */
static int loud_run(void *argument) {
        struct slipring_publisher *publisher = publisher_open("imu");
        struct slipring_publisher_info info;

        if (forbid_system_calls()) {
                leave(2);
        }
        leave(slipring_publisher_info(publisher, &info) == 0 ? 0 : 1);
        return 3;
}

static bool clock_in_vdso(void) {
        return getauxval(AT_SYSINFO_EHDR) != 0;
}

static void test_samples_make_no_system_call(void **state) {
        if (!clock_in_vdso()) {
                skip();
        }
        assert_int_equal(process_wait(process_start(quiet_run, (void *) (uintptr_t) "imu")), 0);
        assert_int_equal(process_wait(process_start(quiet_run, (void *) (uintptr_t) "blob")), 0);
}

/* Nor does the publisher, for a subscriber that looks for its samples. */
static void test_looking_for_a_sample_makes_no_system_call(void **state) {
        const struct timespec span = {.tv_nsec = 50000};
        struct slipring_publisher *publisher;
        struct slipring_publisher_info info;
        struct message message;
        uint64_t wakeups;
        int ends[2], i;
        char byte;
        pid_t pid;

        if (!clock_in_vdso()) {
                skip();
        }
        publisher = publisher_open("imu");
        assert_int_equal(slipring_publisher_info(publisher, &info), 0);
        wakeups = info.wakeups;
        assert_int_equal(pipe(ends), 0);
        pid = process_start(spin_run, &ends[1]);
        assert_int_equal(read(ends[0], &byte, 1), 1);
        for (i = 1; i <= SPUN; i++) {
                (void) nanosleep(&span, NULL);
                message = message_make((uint64_t) i);
                assert_int_equal(
                        slipring_publisher_publish(publisher, &message, sizeof(message), 0), 0);
        }
        assert_int_equal(process_wait(pid), 0);
        assert_int_equal(slipring_publisher_info(publisher, &info), 0);
        assert_int_equal(info.wakeups, wakeups);
        (void) close(ends[0]);
        (void) close(ends[1]);
        slipring_publisher_close(publisher);
}

static void test_the_filter_sees_one(void **state) {
        assert_int_equal(process_wait(process_start(loud_run, NULL)), 128 + SIGSYS);
}

/* After open every page is there: samples fault nowhere. */
static int faultless_run(void *argument) {
        static unsigned char buffer[BLOB_BYTES];
        struct rusage before, after;
        struct handles imu, blob;

        memset(buffer, 1, sizeof(buffer));
        imu = handles_of("imu", buffer);
        blob = handles_of("blob", buffer);
        /* One topic faults in code and stack; what is counted is the other's, first touched now. */
        if (samples(&imu) != 0 || getrusage(RUSAGE_SELF, &before) < 0 || samples(&blob) != 0 ||
            getrusage(RUSAGE_SELF, &after) < 0) {
                return 255;
        }
        return (int) (after.ru_minflt - before.ru_minflt + after.ru_majflt - before.ru_majflt);
}

static void test_samples_fault_nowhere(void **state) {
        /* The ring has 64 pages for each side; the sanitizers have a few faults of their own. */
        assert_in_range(process_wait(process_start(faultless_run, NULL)), 0, 32);
        assert_int_equal(setenv("SLIPRING_DISABLE", "populate", 1), 0);
        assert_in_range(process_wait(process_start(faultless_run, NULL)), 0, 32);
        assert_int_equal(unsetenv("SLIPRING_DISABLE"), 0);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void) {
        const struct CMUnitTest tests[] = {
                CASE(test_samples_make_no_system_call),
                CASE(test_looking_for_a_sample_makes_no_system_call),
                CASE(test_the_filter_sees_one),
                CASE(test_samples_fault_nowhere),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
