/*
 * A manager killed at any step of making, changing or removing a bus: the next one repairs it.
 *
 * A tracer kills the manager as it enters its k-th System V call, for every k until it gets through
 * (the long run: also as it leaves it). Then a manager starts as usual, has to serve all topics,
 * and has to leave nothing behind.
 *
 * Most of a round is waiting, so several workers share the steps, each in an IPC namespace of its
 * own.
 */

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <slipring/publisher.h>
#include <slipring/subscriber.h>

/* The kernel's own struct; glibc's <sys/ptrace.h> has it under another name, so not both. */
struct syscall_info {
        uint8_t op;
        uint8_t pad[3];
        uint32_t arch;
        uint64_t instruction_pointer;
        uint64_t stack_pointer;
        uint64_t nr;
        uint64_t arguments[8];
};

#define SYSCALL_INFO_ENTRY 1

#include "tests/harness/daemon.h"

#define WORKERS 8

#define BEFORE                                                                                     \
        "topics:\n"                                                                                \
        "  kept: {fields: {x: float64}}\n"                                                         \
        "  changed: {fields: {x: float64}}\n"                                                      \
        "  gone: {fields: {x: float64}, mode: \"0600\"}\n"

#define AFTER                                                                                      \
        "topics:\n"                                                                                \
        "  kept: {fields: {x: float64}}\n"                                                         \
        "  changed: {fields: {x: float64, y: float64}}\n"                                          \
        "  added: {fields: {x: float64}, mode: \"0644\"}\n"

static struct daemon bus;
static unsigned worker;

static int setup(void **state) {
        assert_true(ipc_private(true));
        daemon_setup(&bus);
        return 0;
}

static int teardown(void **state) {
        daemon_teardown(&bus);
        return 0;
}

/* --- the tracer --- */

static void trace_me(void *argument) {
        const char *options = getenv("ASAN_OPTIONS");
        char text[512];

        /* The leak checker is itself a tracer. */
        (void) snprintf(text, sizeof(text), "%s%sdetect_leaks=0", options ? options : "",
                        options ? ":" : "");
        (void) setenv("ASAN_OPTIONS", text, 1);
        (void) ptrace(PTRACE_TRACEME, 0, NULL, NULL);
}

static bool is_step(uint64_t number) {
        switch (number) {
        case SYS_shmget:
        case SYS_shmat:
        case SYS_shmdt:
        case SYS_shmctl:
        case SYS_semget:
        case SYS_semctl:
        case SYS_semop:
        case SYS_semtimedop:
                return true;
        default:
                return false;
        }
}

static bool is_sleep(uint64_t number) {
#ifdef SYS_epoll_wait
        if (number == SYS_epoll_wait) {
                return true;
        }
#endif
        return number == SYS_epoll_pwait || number == SYS_epoll_pwait2;
}

/* Let it run into its k-th step and kill it there. Once it is set up it is told to remove the bus.
 * Returns false if it got through all of that. */
static bool kill_at_step(unsigned k) {
        struct syscall_info info = {0};
        uint64_t last = 0;
        unsigned step = 0;
        bool told = false;
        int status, deliver = 0;

        assert_int_equal(waitpid(bus.pid, &status, 0), bus.pid);
        assert_true(WIFSTOPPED(status));
        assert_int_equal(
                ptrace(PTRACE_SETOPTIONS, bus.pid, NULL, PTRACE_O_TRACESYSGOOD | PTRACE_O_EXITKILL),
                0);
        for (;;) {
                assert_int_equal(ptrace(PTRACE_SYSCALL, bus.pid, NULL, deliver), 0);
                assert_int_equal(waitpid(bus.pid, &status, 0), bus.pid);
                if (WIFEXITED(status)) {
                        bus.pid = 0;
                        assert_int_equal(WEXITSTATUS(status), 0);
                        return false;
                }
                assert_true(WIFSTOPPED(status));
                deliver = 0;
                if (WSTOPSIG(status) != (SIGTRAP | 0x80)) {
                        deliver = WSTOPSIG(status);
                        continue;
                }
                assert_true(ptrace(PTRACE_GET_SYSCALL_INFO, bus.pid, sizeof(info), &info) > 0);
                if (info.op == SYSCALL_INFO_ENTRY) {
                        last = info.nr;
                        if (is_sleep(last) && !told) {
                                told = true;
                                daemon_signal(&bus, SIGTERM);
                        }
                }
                if (is_step(last) && (info.op == SYSCALL_INFO_ENTRY || harness_long()) &&
                    ++step == k) {
                        daemon_kill(&bus);
                        return true;
                }
        }
}

/* --- what has to hold afterwards --- */

static void assert_all_serve(size_t topics) {
        struct directory directory;
        struct directory_table table = {0};
        size_t found = 0;
        uint32_t i;

        assert_int_equal(directory_attach(&directory, geteuid(), bus.bus, NULL), 0);
        assert_int_equal(directory_read(&directory, &table, NULL), 0);
        for (i = 0; i < table.count; i++) {
                assert_int_equal(table.entries[i].state, LAYOUT_ENTRY_SERVING);
                found += table.entries[i].kind == LAYOUT_ENTRY_TOPIC;
        }
        assert_int_equal(found, topics);
        /* The directory, a segment a board, and two objects a topic; the bus's claim. */
        assert_int_equal(ipc_objects(), 1 + (table.count - topics) + 2 * topics + 1);
        directory_table_free(&table);
        directory_detach(&directory);
}

static void assert_carries(const char *topic) {
        struct slipring_publisher *publisher = publisher_open(topic);
        struct slipring_subscriber *subscriber = subscriber_open(topic, SLIPRING_START_NEXT);
        const struct slipring_type *type = slipring_publisher_type(publisher);
        uint8_t out[64] = {0}, in[64] = {0};

        assert_true(type->payload_bytes <= sizeof(out));
        memset(out, 0x5a, type->payload_bytes);
        assert_int_equal(slipring_publisher_publish(publisher, out, type->payload_bytes, 0), 0);
        assert_int_equal(slipring_subscriber_take(subscriber, in, sizeof(in), NULL), 1);
        assert_memory_equal(in, out, sizeof(in));
        slipring_subscriber_close(subscriber);
        slipring_publisher_close(publisher);
}

static void repair(void) {
        bus.prepare = NULL;
        daemon_skip(&bus);
        daemon_start(&bus, NULL);
        assert_all_serve(3);
        assert_carries("kept");
        assert_carries("changed");
        assert_carries("added");
        assert_int_equal(daemon_stop(&bus, SIGTERM), 0);
        assert_int_equal(ipc_objects(), 0);
}

static void test_killed_at_any_step_of_making_and_removing(void **state) {
        unsigned k = 1 + worker, rounds = 0;
        bool killed = true;

        daemon_schema(&bus, AFTER);
        for (; killed; k += WORKERS) {
                bus.prepare = trace_me;
                daemon_spawn(&bus, NULL);
                killed = kill_at_step(k);
                repair();
                rounds++;
        }
        /* A tracer that sees nothing would pass as well. */
        assert_true(rounds > 5);
}

static void test_killed_at_any_step_of_changing(void **state) {
        unsigned k = 1 + worker, rounds = 0;
        bool killed = true;

        for (; killed; k += WORKERS) {
                bus.prepare = NULL;
                daemon_schema(&bus, BEFORE);
                daemon_start(&bus, "--keep", NULL);
                assert_int_equal(daemon_stop(&bus, SIGTERM), 0);
                daemon_schema(&bus, AFTER);
                bus.prepare = trace_me;
                daemon_spawn(&bus, NULL);
                killed = kill_at_step(k);
                repair();
                rounds++;
        }
        assert_true(rounds > 5);
}

static int worker_run(void *argument) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(test_killed_at_any_step_of_making_and_removing,
                                                setup, teardown),
                cmocka_unit_test_setup_teardown(test_killed_at_any_step_of_changing, setup,
                                                teardown),
        };
        int failed;

        worker = *(unsigned *) argument;
        failed = cmocka_run_group_tests(tests, NULL, NULL);
        (void) fflush(NULL);
        return failed;
}

int main(void) {
        unsigned numbers[WORKERS], i;
        pid_t pids[WORKERS];
        int failed = 0;

        (void) ipc_private(true);
        for (i = 0; i < WORKERS; i++) {
                numbers[i] = i;
                pids[i] = process_start(worker_run, &numbers[i]);
        }
        for (i = 0; i < WORKERS; i++) {
                failed += process_wait(pids[i]) != 0;
        }
        return failed;
}
