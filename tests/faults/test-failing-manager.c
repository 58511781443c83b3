/*
 * Every system call and every allocation of a manager's start, and of a reload, fails once, and
 * every system call of `slipring down`: it serves all the same, or says why not and leaves nothing
 * that was not there before; and the next try works.
 */

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ipc.h>
#include <sys/mount.h>
#include <sys/sem.h>
#include <sys/shm.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <slipring/publisher.h>
#include <slipring/subscriber.h>

#include "bus/manager/manager.h"
#include "tests/faults/failing.h"
#include "tests/harness/daemon.h"

#define POINTS_MAX 20000u

#define BEFORE                                                                                     \
        "topics:\n"                                                                                \
        "  kept: {fields: {x: float64}, rate: 10 Hz}\n"                                            \
        "  changed: {fields: {x: float64}}\n"                                                      \
        "  gone: {fields: {x: float64}, mode: \"0600\"}\n"

#define AFTER                                                                                      \
        "topics:\n"                                                                                \
        "  kept: {fields: {x: float64}, rate: 10 Hz}\n"                                            \
        "  changed: {fields: {x: float64, y: {type: uint8, values: {A: 1}}}}\n"                    \
        "  added: {fields: {x: float64}, mode: \"0644\"}\n"

static struct daemon bus;

static int setup(void **state) {
        daemon_setup(&bus);
        daemon_schema(&bus, BEFORE);
        failing_hurry(true);
        return 0;
}

static int teardown(void **state) {
        failing_hurry(false);
        (void) failing_disarm();
        daemon_teardown(&bus);
        return 0;
}

/* --- a manager --- */

static void log_clear(void) {
        (void) unlink(bus.log);
        bus.read_bytes = 0;
}

static void log_show(void) {
        char line[1024];
        FILE *file = fopen(bus.log, "re");

        while (file && fgets(line, sizeof(line), file)) {
                print_message("| %s", line);
        }
        if (file) {
                (void) fclose(file);
        }
}

/* Wait until it says one of two things. Returns 0 for the first, 1 for the second, 2 if it ended
 * before, with its exit status. */
static int await(const char *first, const char *second, int *ret_status) {
        uint64_t patience_ns = slipring_in_ms(30000);
        struct stat file;
        off_t read_bytes = 0;
        int status;

        for (;;) {
                /* Each system call of this process, too, goes by the supervisor. */
                if (stat(bus.log, &file) == 0 && file.st_size != read_bytes) {
                        read_bytes = file.st_size;
                        if (daemon_logged(&bus, first)) {
                                return 0;
                        }
                        if (second && daemon_logged(&bus, second)) {
                                return 1;
                        }
                }
                if (waitpid(bus.pid, &status, WNOHANG) == bus.pid) {
                        bus.pid = 0;
                        *ret_status =
                                WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
                        return 2;
                }
                if (slipring_now_ns() > patience_ns) {
                        log_show();
                        fail_msg("%s failed: neither '%s' nor an end", failing_what(), first);
                }
                (void) usleep(500);
        }
}

/* The daemon as it is installed. */
static void start_program(enum failing_kind kind, unsigned k) {
        failing_arm_from(kind, k, -getpid(), SYS_epoll_create1);
        daemon_spawn(&bus, NULL);
}

/* Its code in a child of this process, whose allocations can be counted. */
struct inner {
        enum failing_kind kind;
        unsigned k;
};

extern int __lsan_do_recoverable_leak_check(void) __attribute__((weak));

static int manager_child(void *argument) {
        const struct manager_options options = {.program = "slipringd", .schema = bus.schema};
        const struct inner *inner = argument;
        int fd = open(bus.log, O_WRONLY | O_CREAT | O_APPEND, 0644), code;

        if (fd < 0 || dup2(fd, STDERR_FILENO) < 0) {
                return 125;
        }
        (void) close(fd);
        if (inner->k) {
                failing_arm(inner->kind, inner->k, getpid());
        }
        code = manager_run(&options);
        (void) failing_disarm();
        if (inner->k % 8 == 1 && __lsan_do_recoverable_leak_check &&
            __lsan_do_recoverable_leak_check()) {
                return 99;
        }
        return code;
}

static void start_inner(enum failing_kind kind, unsigned k) {
        struct inner inner = {kind, k};

        bus.pid = process_start(manager_child, &inner);
}

/* --- starting --- */

static void assert_carries(const char *topic) {
        struct slipring_publisher *publisher = publisher_open(topic);
        struct slipring_subscriber *subscriber = subscriber_open(topic, SLIPRING_START_NEXT);
        size_t bytes = slipring_publisher_type(publisher)->payload_bytes;
        uint8_t out[64] = {0}, in[64] = {0};

        assert_true(bytes <= sizeof(out));
        out[0] = 0x5a;
        assert_int_equal(slipring_publisher_publish(publisher, out, bytes, 0), 0);
        assert_int_equal(slipring_subscriber_take(subscriber, in, sizeof(in), NULL), 1);
        assert_int_equal(in[0], 0x5a);
        slipring_subscriber_close(subscriber);
        slipring_publisher_close(publisher);
}

static void end_well(unsigned k, bool fired) {
        int status = daemon_stop(&bus, SIGTERM);

        if (status == 1 && fired && daemon_logged(&bus, "waiting for events failed")) {
                /* Past its start already: it left the bus standing, for the next one. */
                assert_true(daemon_bus_exists(&bus));
                log_clear();
                daemon_start(&bus, NULL);
                status = daemon_stop(&bus, SIGTERM);
        }
        if (status != 0) {
                log_show();
                fail_msg("%s failed at step %u: ended with %d", fired ? failing_what() : "nothing",
                         k, status);
        }
}

/* Returns false once nothing failed. */
static bool
try_start(void (*start)(enum failing_kind, unsigned), enum failing_kind kind, unsigned k) {
        int status = 0;
        bool fired, serves;

        log_clear();
        start(kind, k);
        serves = await(": serving ", NULL, &status) == 0;
        fired = failing_disarm();
        if (serves) {
                assert_carries("changed");
                end_well(k, fired);
        } else if (status != 1 || !fired || !daemon_logged(&bus, "error: ")) {
                log_show();
                fail_msg("%s failed at step %u: ended with %d", failing_what(), k, status);
        } else if (getenv("SLIPRING_TEST_SHOW")) {
                print_message("%s:\n", failing_what());
                log_show();
        }
        if (ipc_objects() != 0) {
                log_show();
                fail_msg("%s failed at step %u: %zu objects are left", failing_what(), k,
                         ipc_objects());
        }
        return fired;
}

/* All of them, but where each takes long. */
static unsigned stride(void) {
        return __lsan_do_recoverable_leak_check && !harness_long() ? 3 : 1;
}

static void
try_starts(const char *what, void (*start)(enum failing_kind, unsigned), enum failing_kind kind) {
        unsigned k, tried = 0;

        for (k = 1; try_start(start, kind, k); k += stride()) {
                tried++;
                assert_true(k < POINTS_MAX);
        }
        print_message("start: %u %s tried\n", tried, what);
        /* An injector that fails nothing would pass as well. */
        assert_true(k > 10);
}

static void test_start_with_a_failing_call(void **state) {
        try_starts("system calls", start_program, FAILING_CALLS);
}

static void test_start_with_a_forbidden_call(void **state) {
        try_starts("forbidden system calls", start_program, FAILING_FORBIDDEN);
}

static void test_start_with_a_failing_allocation(void **state) {
        try_starts("allocations", start_inner, FAILING_ALLOCATIONS);
}

/* --- reloading --- */

static void reload(const char *schema) {
        int status = 0;

        daemon_schema(&bus, schema);
        /* It appends to it. */
        assert_int_equal(truncate(bus.log, 0), 0);
        daemon_signal(&bus, SIGHUP);
        if (await(": reloaded ", "reload failed", &status) != 0) {
                log_show();
                fail_msg("after %s failed: not again (%d)", failing_what(), status);
        }
}

/* Nothing has changed: the same objects, under the same names. */
static void assert_untouched(size_t objects, int kept, int changed) {
        if (ipc_objects() != objects) {
                log_show();
                fail_msg("%s failed: %zu objects instead of %zu", failing_what(), ipc_objects(),
                         objects);
        }
        assert_int_equal(daemon_entry(&bus, "kept").data_id, kept);
        assert_int_equal(daemon_entry(&bus, "changed").data_id, changed);
        assert_carries("gone");
}

/* What may not be looked at was changed by somebody, and gets a successor; what may not be found or
 * let go stays. */
static bool objects_are_hidden(void) {
        static const char *const calls[] = {"shmctl", "semctl", "shmget", "semget"};
        size_t i;

        for (i = 0; i < sizeof(calls) / sizeof(calls[0]); i++) {
                if (strcmp(failing_what(), calls[i]) == 0) {
                        return true;
                }
        }
        return false;
}

static void objects_remove(void) {
        struct shmid_ds status;
        struct shm_info segments;
        struct seminfo sets;
        int i, id, highest;

        highest = shmctl(0, SHM_INFO, (struct shmid_ds *) (void *) &segments);
        for (i = 0; i <= highest; i++) {
                id = shmctl(i, SHM_STAT, &status);
                if (id >= 0) {
                        assert_int_equal(shmctl(id, IPC_RMID, NULL), 0);
                }
        }
        highest = semctl(0, 0, SEM_INFO, &sets);
        for (i = 0; i <= highest; i++) {
                struct semid_ds set;

                id = semctl(i, 0, SEM_STAT, &set);
                if (id >= 0) {
                        assert_int_equal(semctl(id, 0, IPC_RMID), 0);
                }
        }
}

/* Without waiting it cannot serve: it ended, and left the bus as it was. */
static void start_after_end(int status) {
        assert_int_equal(status, 1);
        assert_true(daemon_bus_exists(&bus));
        log_clear();
        daemon_start(&bus, NULL);
        bus.read_bytes = 0;
}

static bool try_reload(enum failing_kind kind, unsigned k) {
        int kept = daemon_entry(&bus, "kept").data_id, status = 0, outcome;
        int changed = daemon_entry(&bus, "changed").data_id;
        size_t objects = ipc_objects();
        bool fired;

        daemon_schema(&bus, AFTER);
        assert_int_equal(truncate(bus.log, 0), 0);
        failing_arm(kind, k, bus.pid);
        daemon_signal(&bus, SIGHUP);
        outcome = await(": reloaded ", "reload failed", &status);
        fired = failing_disarm();
        if (fired && kind == FAILING_FORBIDDEN && strcmp(failing_what(), "epoll_wait") == 0) {
                start_after_end(outcome == 2 ? status : daemon_wait(&bus));
                outcome = 0;
        }
        if (outcome == 2 || (outcome == 1 && !fired)) {
                log_show();
                fail_msg("%s failed at step %u: ended with %d", failing_what(), k, status);
        }
        if (outcome == 1) {
                if (getenv("SLIPRING_TEST_SHOW")) {
                        print_message("%s:\n", failing_what());
                        log_show();
                }
                assert_untouched(objects, kept, changed);
                reload(AFTER);
        }
        assert_carries("kept");
        assert_carries("changed");
        assert_carries("added");
        if (!fired || !objects_are_hidden()) {
                if (daemon_entry(&bus, "kept").data_id != kept) {
                        log_show();
                        fail_msg("%s failed at step %u: an unchanged topic was replaced",
                                 failing_what(), k);
                }
        }
        assert_int_not_equal(daemon_entry(&bus, "changed").data_id, changed);
        reload(BEFORE);
        if (ipc_objects() != objects && !(fired && objects_are_hidden())) {
                fail_msg("%s failed at step %u: %zu objects instead of %zu", failing_what(), k,
                         ipc_objects(), objects);
        }
        return fired;
}

static void
try_reloads(const char *what, void (*start)(enum failing_kind, unsigned), enum failing_kind kind) {
        unsigned k, tried = 0;
        int status = 0;

        log_clear();
        start(kind, 0);
        assert_int_equal(await(": serving ", NULL, &status), 0);
        (void) failing_disarm();
        /* Caches of the C library. */
        (void) try_reload(kind, POINTS_MAX);
        for (k = 1; try_reload(kind, k); k += stride()) {
                tried++;
                assert_true(k < POINTS_MAX);
        }
        end_well(k, false);
        objects_remove();
        print_message("reload: %u %s tried\n", tried, what);
        assert_true(k > 10);
}

static void test_reload_with_a_failing_call(void **state) {
        try_reloads("system calls", start_program, FAILING_CALLS);
}

static void test_reload_with_a_forbidden_call(void **state) {
        try_reloads("forbidden system calls", start_program, FAILING_FORBIDDEN);
}

static void test_reload_with_a_failing_allocation(void **state) {
        try_reloads("allocations", start_inner, FAILING_ALLOCATIONS);
}

/* --- taking down --- */

/* What nobody can read is taken down by force. */
static void version_spoil(void) {
        int id = shmget(directory_key(geteuid(), bus.bus), 0, 0);
        struct layout_header *header = shmat(id, NULL, 0);

        assert_ptr_not_equal(header, (void *) -1);
        header->layout_version = 77;
        assert_int_equal(shmdt(header), 0);
}

static int down_child(void *argument) {
        const char *option = argument;
        int fd = open(bus.log, O_WRONLY | O_CREAT | O_APPEND, 0644);

        if (fd < 0 || dup2(fd, STDOUT_FILENO) < 0 || dup2(fd, STDERR_FILENO) < 0) {
                return 125;
        }
        /* The leak checker's own calls at the end are not ours. */
        (void) setenv("ASAN_OPTIONS", "detect_leaks=0", 1);
        (void) execl(program_path("SLIPRING"), "slipring", "down", option, NULL);
        return 126;
}

static int run_down(const char *option) {
        return process_wait(process_start(down_child, (void *) (uintptr_t) option));
}

static bool try_down(const char *option, enum failing_kind kind, unsigned k) {
        struct slipring_subscriber *subscriber;
        uint8_t payload[64];
        bool fired;
        int r;

        log_clear();
        daemon_start(&bus, NULL);
        subscriber = subscriber_open("kept", SLIPRING_START_NEXT);
        daemon_kill(&bus);
        if (option) {
                version_spoil();
        }
        log_clear();
        failing_arm_from(kind, k, -getpid(), SYS_semget);
        r = run_down(option);
        fired = failing_disarm();
        if (r != 0 && (r != 1 || !fired || !daemon_logged(&bus, "slipring"))) {
                log_show();
                fail_msg("%s failed at step %u: ended with %d", failing_what(), k, r);
        }
        if (getenv("SLIPRING_TEST_SHOW")) {
                print_message("%s (%d):\n", failing_what(), r);
                log_show();
        }
        if (r != 0 && run_down(option) != 0 && daemon_bus_exists(&bus) && !objects_are_hidden()) {
                log_show();
                fail_msg("%s failed at step %u: not again", failing_what(), k);
        }
        if (!fired || !objects_are_hidden()) {
                assert_int_equal(
                        slipring_subscriber_take(subscriber, payload, sizeof(payload), NULL),
                        -EIDRM);
        }
        slipring_subscriber_close(subscriber);
        if (ipc_objects() != 0 && !(fired && objects_are_hidden())) {
                log_show();
                fail_msg("%s failed at step %u: %zu objects are left", failing_what(), k,
                         ipc_objects());
        }
        objects_remove();
        return fired;
}

static void try_downs(const char *option, enum failing_kind kind) {
        unsigned k, tried = 0;

        for (k = 1; try_down(option, kind, k); k += stride()) {
                tried++;
                assert_true(k < POINTS_MAX);
        }
        print_message("down%s: %u system calls tried\n", option ? " --force" : "", tried);
        assert_true(k > 10);
}

static void test_down_with_a_failing_call(void **state) {
        try_downs(NULL, FAILING_CALLS);
}

static void test_down_by_force_with_a_failing_call(void **state) {
        try_downs("--force", FAILING_CALLS);
}

/* Users are looked up in files alone: what else a machine asks is not ours to test. */
static void users_from_files(void) {
        FILE *file;

        if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
            mount("tmpfs", "/run", "tmpfs", 0, "mode=755") < 0) {
                (void) fprintf(stderr, "skipped: needs a mount namespace of its own\n");
                exit(77);
        }
        file = fopen("/run/nsswitch.conf", "we");
        if (!file || fputs("passwd: files\ngroup: files\n", file) < 0 || fclose(file) != 0 ||
            mount("/run/nsswitch.conf", "/etc/nsswitch.conf", NULL, MS_BIND, NULL) < 0) {
                (void) fprintf(stderr, "skipped: cannot replace /etc/nsswitch.conf\n");
                exit(77);
        }
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

static int tests_run(void) {
        const struct CMUnitTest tests[] = {
                CASE(test_start_with_a_failing_call),
                CASE(test_start_with_a_forbidden_call),
                CASE(test_start_with_a_failing_allocation),
                CASE(test_reload_with_a_failing_call),
                CASE(test_reload_with_a_forbidden_call),
                CASE(test_reload_with_a_failing_allocation),
                CASE(test_down_with_a_failing_call),
                CASE(test_down_by_force_with_a_failing_call),
        };

        (void) ipc_private(true);
        users_from_files();
        return cmocka_run_group_tests(tests, NULL, NULL);
}

int main(void) {
        return failing_main(tests_run);
}
