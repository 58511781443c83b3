/*
 * slipring doctor on machines that are wrong: limits of an IPC namespace that is this test's own,
 * files of its own in a mount namespace, other users.
 */

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/ipc.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/sem.h>
#include <sys/shm.h>
#include <sys/stat.h>
#include <unistd.h>

#include "bus/header.h"
#include "tests/harness/command.h"
#include "tests/harness/daemon.h"

static const struct user stranger = {.uid = USER_STRANGER, .gid = USER_STRANGER};

static void file_write(const char *path, const char *text) {
        int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

        assert_true(fd >= 0);
        assert_int_equal(write(fd, text, strlen(text)), (ssize_t) strlen(text));
        assert_int_equal(close(fd), 0);
}

/* One of the namespace's limits, and what it was. */
struct limit {
        char path[64];
        char before[128];
};

static void limit_set(struct limit *limit, const char *name, const char *value) {
        FILE *file;

        (void) snprintf(limit->path, sizeof(limit->path), "/proc/sys/kernel/%s", name);
        file = fopen(limit->path, "re");
        assert_non_null(file);
        assert_non_null(fgets(limit->before, sizeof(limit->before), file));
        assert_int_equal(fclose(file), 0);
        file_write(limit->path, value);
}

static void limit_restore(const struct limit *limit) {
        file_write(limit->path, limit->before);
}

/* With the limit at @value the doctor says @line; where that is a problem it exits with 1. */
static void expect_with(const char *name, const char *value, const char *line) {
        struct command command;
        struct limit limit;

        limit_set(&limit, name, value);
        command_run(&command, "doctor");
        limit_restore(&limit);
        command_expect_out_has(&command, line);
        if (strncmp(line, "problem", 7) == 0) {
                command_expect_code(&command, 1);
        }
        command_free(&command);
}

static void test_empty_machine(void **state) {
        struct command command;

        command_run(&command, "doctor");
        command_expect_out_has(&command, "ok       SHMMNI: 0 of ");
        command_expect_out_has(&command, "ok       SEMMNI: 0 of ");
        command_expect_out_has(&command, "note     buses: there is none that this user can read\n");
        command_free(&command);
}

#define SEGMENTS 9

static void test_segments_run_out(void **state) {
        int ids[SEGMENTS];
        size_t i;

        for (i = 0; i < SEGMENTS; i++) {
                ids[i] = shmget(IPC_PRIVATE, 4096, 0600);
                assert_true(ids[i] >= 0);
        }
        expect_with("shmmni", "9",
                    "problem  SHMMNI: 9 of 9 shared-memory segments in use\n"
                    "         -> sysctl -w kernel.shmmni=32768");
        expect_with("shmmni", "10", "note     SHMMNI: 9 of 10 shared-memory segments in use\n");
        expect_with("shmmni", "100", "ok       SHMMNI: 9 of 100 shared-memory segments in use\n");
        expect_with("shmall", "9",
                    "problem  SHMALL: 9 of 9 pages of shared memory in use\n"
                    "         -> sysctl -w kernel.shmall=");
        expect_with("shmall", "1000", "ok       SHMALL: 9 of 1000 pages of shared memory in use\n");
        for (i = 0; i < SEGMENTS; i++) {
                assert_int_equal(shmctl(ids[i], IPC_RMID, NULL), 0);
        }
}

static void test_small_segments(void **state) {
        expect_with("shmmax", "1048576",
                    "problem  SHMMAX: a segment may have 1 MiB\n"
                    "         -> sysctl -w kernel.shmmax=");
}

static void test_semaphores_run_out(void **state) {
        int id = semget(IPC_PRIVATE, 1, 0600);

        assert_true(id >= 0);
        expect_with("sem", "32000 1024000000 500 1",
                    "problem  SEMMNI: 1 of 1 semaphore sets in use\n"
                    "         -> sysctl -w kernel.sem=");
        assert_int_equal(semctl(id, 0, IPC_RMID), 0);
}

static void test_forced_removal(void **state) {
        expect_with("shm_rmid_forced", "1",
                    "problem  kernel.shm_rmid_forced: 1: a topic is destroyed when nobody has it "
                    "attached\n"
                    "         -> sysctl -w kernel.shm_rmid_forced=0\n");
}

static void stranger_doctor(struct command *command) {
        command_start_user(command, &stranger, (const char *const[]){"doctor", NULL});
        command_finish(command);
}

static void test_memlock(void **state) {
        struct rlimit before, small = {.rlim_cur = 65536};
        struct command command;

        assert_int_equal(getrlimit(RLIMIT_MEMLOCK, &before), 0);
        small.rlim_max = before.rlim_max;
        assert_int_equal(setrlimit(RLIMIT_MEMLOCK, &small), 0);
        stranger_doctor(&command);
        command_expect_out_has(&command, "note     memlock: this user may lock 64 KiB\n");
        command_free(&command);
        /* Root is exempt. */
        command_run(&command, "doctor");
        command_expect_out_has(&command, "ok       memlock: ");
        command_free(&command);
        assert_int_equal(setrlimit(RLIMIT_MEMLOCK, &before), 0);
}

static void logind_expect(const char *line) {
        struct command command;

        stranger_doctor(&command);
        command_expect_out_has(&command, line);
        command_free(&command);
}

static void directory_cover(const char *path) {
        assert_int_equal(mount("tmpfs", path, "tmpfs", 0, "mode=755"), 0);
}

/* Over an /etc/systemd and /run/systemd of this test's own. */
static void test_logind(void **state) {
        struct command command;

        directory_cover("/run");
        directory_cover("/etc/systemd");
        logind_expect("ok       logind: does not run here\n");
        assert_int_equal(mkdir("/run/systemd", 0755), 0);
        assert_int_equal(mkdir("/run/systemd/system", 0755), 0);
        logind_expect("note     logind: removes this user's shared memory, buses included, at the "
                      "last logout (RemoveIPC)\n         -> loginctl enable-linger");
        command_run(&command, "doctor");
        command_expect_out_has(&command,
                               "ok       logind: leaves shared memory of system users alone\n");
        command_free(&command);
        file_write("/etc/systemd/logind.conf", "[Login]\n#RemoveIPC=yes\n RemoveIPC = no\n");
        logind_expect("ok       logind: leaves this user's shared memory alone\n");
        assert_int_equal(mkdir("/etc/systemd/logind.conf.d", 0755), 0);
        file_write("/etc/systemd/logind.conf.d/10-site.conf", "[Login]\nRemoveIPC=on\n");
        logind_expect("note     logind: removes this user's shared memory");
        file_write("/etc/systemd/logind.conf.d/20-robot.conf", "[Login]\nRemoveIPC=off\n");
        logind_expect("ok       logind: leaves this user's shared memory alone\n");
        assert_int_equal(umount("/etc/systemd"), 0);
        assert_int_equal(umount("/run"), 0);
}

/* What "system user" says about a user database with these lines more. */
static void users_expect(const char *passwd, const char *group, const char *line) {
        struct command command;

        file_write("/etc/passwd", passwd);
        file_write("/etc/group", group);
        command_run(&command, "doctor");
        command_expect_out_has(&command, line);
        command_free(&command);
}

#define ROOT_USER "root:x:0:0:root:/root:/bin/sh\n"
#define ROOT_GROUP "root:x:0:\n"
#define SYSTEM_USER "slipring:x:990:990::/:/usr/sbin/nologin\n"
#define SYSTEM_GROUP "slipring:x:990:\n"

static void test_system_user(void **state) {
        directory_cover("/etc");
        file_write("/etc/nsswitch.conf", "passwd: files\ngroup: files\n");
        users_expect(ROOT_USER SYSTEM_USER, ROOT_GROUP SYSTEM_GROUP,
                     "ok       system user: user and group 'slipring' exist\n");
        users_expect(ROOT_USER, ROOT_GROUP,
                     "note     system user: user and group 'slipring' do not exist\n");
        users_expect(ROOT_USER SYSTEM_USER, ROOT_GROUP,
                     "note     system user: group 'slipring' does not exist\n");
        users_expect(ROOT_USER, ROOT_GROUP SYSTEM_GROUP,
                     "note     system user: user 'slipring' does not exist\n");
        assert_int_equal(umount("/etc"), 0);
}

static void test_bus_of_a_stranger(void **state) {
        const size_t bytes = header_directory(0).segment_bytes;
        struct command command;
        struct shmid_ds status;
        char line[128];
        int id;

        user_act(USER_STRANGER, USER_STRANGER);
        id = shmget(0x51000001, bytes, IPC_CREAT | IPC_EXCL | 0644);
        user_act_root();
        assert_true(id >= 0);
        assert_int_equal(shmctl(id, IPC_STAT, &status), 0);
        assert_int_equal(status.shm_perm.cuid, USER_STRANGER);
        command_run(&command, "doctor");
        assert_int_equal(shmctl(id, IPC_RMID, NULL), 0);
        (void) snprintf(line, sizeof(line),
                        "note     trust: segment %d looks like a bus of uid %u, ", id,
                        USER_STRANGER);
        command_expect_out_has(&command, line);
        command_expect_out_has(&command, "-> to read it, name that user in SLIPRING_TRUST\n");
        command_free(&command);
}

static void test_topic_of_others(void **state) {
        struct topic_spec spec = reading_topic("imu", 8);
        struct command command;
        static struct bus bus;

        spec.mode = 0640;
        bus_start(&bus, &spec, 1);
        stranger_doctor(&command);
        bus_stop(&bus);
        command_expect_out_has(&command, ", topic imu: cannot be read by this user (owner root, ");
        command_expect_out_has(&command,
                               "-> to read it, join its group or have the schema name another\n");
        command_free(&command);
}

/* A topic without a rate cannot be stale: that nobody publishes is worth knowing. */
static void test_topic_without_publisher(void **state) {
        struct topic_spec spec = reading_topic("imu", 8);
        struct command command;
        static struct bus bus;

        spec.deadline_ns = 0;
        bus_start(&bus, &spec, 1);
        command_run(&command, "doctor");
        bus_stop(&bus);
        command_expect_out_has(&command, ", topic imu: no publisher\n");
        command_expect_out_has(&command, "-> start its publisher, if it should have one\n");
        command_free(&command);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_empty_machine),
                cmocka_unit_test(test_segments_run_out),
                cmocka_unit_test(test_small_segments),
                cmocka_unit_test(test_semaphores_run_out),
                cmocka_unit_test(test_forced_removal),
                cmocka_unit_test(test_memlock),
                cmocka_unit_test(test_logind),
                cmocka_unit_test(test_system_user),
                cmocka_unit_test(test_bus_of_a_stranger),
                cmocka_unit_test(test_topic_of_others),
                cmocka_unit_test(test_topic_without_publisher),
        };

        user_needed();
        (void) ipc_private(true);
        if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0) {
                (void) fprintf(stderr, "skipped: needs a mount namespace of its own\n");
                return 77;
        }
        return cmocka_run_group_tests(tests, NULL, NULL);
}
