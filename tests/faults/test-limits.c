/*
 * Limits of the machine and of a process: what the manager and the clients refuse, in which words,
 * and that nothing half-made is left; and what the manager warns of. An IPC namespace has limits of
 * its own, a mount namespace a logind of its own.
 */

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <grp.h>
#include <linux/capability.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/shm.h>
#include <sys/stat.h>
#include <unistd.h>

#include <slipring/publisher.h>
#include <slipring/subscriber.h>

#include "tests/harness/daemon.h"

#define TOPICS                                                                                     \
        "topics:\n"                                                                                \
        "  imu: {fields: {x: float64}}\n"                                                          \
        "  odom: {fields: {x: float64}}\n"

/* A login user without a name, and its group. */
#define LOGIN_USER 64321

#if defined(__SANITIZE_ADDRESS__)
#define NEEDS_ADDRESS_SPACE 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define NEEDS_ADDRESS_SPACE 1
#endif
#endif

static struct daemon bus;

static int setup(void **state) {
        daemon_setup(&bus);
        daemon_schema(&bus, TOPICS);
        return 0;
}

static int teardown(void **state) {
        daemon_teardown(&bus);
        return 0;
}

static void limit_set(const char *name, const char *value, char *before, size_t bytes) {
        char path[128];
        FILE *file;

        (void) snprintf(path, sizeof(path), "/proc/sys/kernel/%s", name);
        file = fopen(path, "r+e");
        assert_non_null(file);
        assert_non_null(fgets(before, (int) bytes, file));
        rewind(file);
        (void) fprintf(file, "%s\n", value);
        assert_int_equal(fclose(file), 0);
}

/* Refused under a limit, with these words, and nothing is left; works without it. */
static void refused_under(const char *name, const char *value, const char *text) {
        char before[128], ours[128];
        size_t objects = ipc_objects();

        limit_set(name, value, before, sizeof(before));
        daemon_spawn(&bus, NULL);
        assert_int_equal(daemon_wait(&bus), 1);
        limit_set(name, before, ours, sizeof(ours));
        daemon_expect(&bus, text);
        assert_int_equal(ipc_objects(), objects);
        daemon_start(&bus, NULL);
        assert_int_equal(daemon_stop(&bus, SIGTERM), 0);
}

static void test_refuses_where_segments_are_too_few(void **state) {
        int others[2];
        size_t i;

        /* Never enough: the file is at fault. */
        refused_under("shmmni", "3", "the bus takes 4 segments, and kernel.shmmni lets there be 3");
        for (i = 0; i < 2; i++) {
                others[i] = shmget(IPC_PRIVATE, 4096, IPC_CREAT | 0600);
                assert_true(others[i] >= 0);
        }
        refused_under("shmmni", "5",
                      "the bus needs 4 shared-memory segments; this machine allows 5 and has 2 "
                      "already: raise kernel.shmmni");
        for (i = 0; i < 2; i++) {
                assert_int_equal(shmctl(others[i], IPC_RMID, NULL), 0);
        }
}

static void test_refuses_where_memory_is_too_small(void **state) {
        refused_under("shmall", "16", "kernel.shmall");
}

static void test_refuses_where_semaphores_are_too_few(void **state) {
        refused_under("sem", "32000 1024000000 500 2", "raise the fourth number of kernel.sem");
}

/* A line of the schema is at fault, and named. */
static void test_refuses_a_segment_above_the_largest(void **state) {
        refused_under("shmmax", "4096", "kernel.shmmax lets a segment have 4.0 KiB");
}

/* The total of semaphores is not looked at before: it fails in the middle, and is undone. */
static void test_undoes_what_it_made_before_the_last_semaphore(void **state) {
        refused_under("sem", "32000 2 500 32000", "raise kernel.sem");
}

static void test_refuses_where_segments_vanish_with_their_last_user(void **state) {
        refused_under("shm_rmid_forced", "1", "sysctl -w kernel.shm_rmid_forced=0");
}

/* What is there already counts neither for nor against a manager that adopts. */
static void test_adopts_under_a_limit_that_is_just_enough(void **state) {
        char before[128], ours[128];

        daemon_start(&bus, "--keep", NULL);
        assert_int_equal(daemon_stop(&bus, SIGTERM), 0);
        limit_set("shmmni", "4", before, sizeof(before));
        daemon_start(&bus, NULL);
        /* A reload for which there is no room changes nothing. */
        daemon_schema(&bus, TOPICS "  more: {fields: {x: float64}, mode: \"0600\"}\n");
        daemon_signal(&bus, SIGHUP);
        daemon_expect(&bus, "reload failed, nothing has changed");
        (void) daemon_entry(&bus, "imu");
        limit_set("shmmni", before, ours, sizeof(ours));
        daemon_signal(&bus, SIGHUP);
        daemon_expect(&bus, "more: created");
        assert_int_equal(daemon_stop(&bus, SIGTERM), 0);
}

/* A machine with that much memory to spare, until meminfo_restore(). */
static void meminfo_fake(unsigned long long kib) {
        FILE *file = fopen("/run/meminfo", "we");

        assert_non_null(file);
        (void) fprintf(file, "MemTotal: 99999999 kB\nMemFree: 1 kB\nMemAvailable: %llu kB\n", kib);
        assert_int_equal(fclose(file), 0);
        assert_int_equal(mount("/run/meminfo", "/proc/meminfo", NULL, MS_BIND, NULL), 0);
}

static void meminfo_restore(void) {
        assert_int_equal(umount("/proc/meminfo"), 0);
}

/* Both a start and a reload, which touches the successor while what it replaces is still there. */
static void test_refuses_what_memory_does_not_hold(void **state) {
        struct layout_entry before;
        size_t objects = ipc_objects();

        meminfo_fake(1);
        daemon_spawn(&bus, NULL);
        assert_int_equal(daemon_wait(&bus), 1);
        daemon_expect(&bus, "the bus needs 1 MiB of memory more and 0 MiB are available");
        assert_int_equal(ipc_objects(), objects);
        meminfo_restore();

        daemon_start(&bus, NULL);
        before = daemon_entry(&bus, "imu");
        daemon_schema(&bus, TOPICS "  scan: {depth: 16, fields: {points: \"uint8[1048576]\"}}\n");
        meminfo_fake(16 * 1024);
        daemon_signal(&bus, SIGHUP);
        daemon_expect(&bus, "reload failed, nothing has changed: the bus could not be changed: "
                            "the bus needs 17 MiB of memory more and 16 MiB are available");
        assert_int_equal(daemon_entry(&bus, "imu").data_id, before.data_id);
        meminfo_restore();
        daemon_signal(&bus, SIGHUP);
        daemon_expect(&bus, "scan: created");
        assert_int_equal(daemon_entry(&bus, "imu").data_id, before.data_id);

        /* What is there already is not counted. */
        meminfo_fake(1);
        daemon_signal(&bus, SIGHUP);
        daemon_expect(&bus, "reloaded");
        meminfo_restore();
        assert_int_equal(daemon_stop(&bus, SIGTERM), 0);
}

/* --- limits of the process --- */

/* Start and end; what it said is then looked at from the start. */
static void run_once(void) {
        daemon_start(&bus, NULL);
        assert_int_equal(daemon_stop(&bus, SIGTERM), 0);
        bus.read_bytes = 0;
}

/* One more, which is what the dynamic linker needs. */
static void with_few_descriptors(void *argument) {
        int next = dup(STDERR_FILENO);
        const struct rlimit few = {.rlim_cur = (rlim_t) next + 1, .rlim_max = (rlim_t) next + 1};

        (void) close(next);
        (void) setrlimit(RLIMIT_NOFILE, &few);
}

static void test_refuses_where_descriptors_are_too_few(void **state) {
        bus.prepare = with_few_descriptors;
        daemon_spawn(&bus, NULL);
        assert_int_equal(daemon_wait(&bus), 1);
        daemon_expect(&bus, "Too many open files");
        assert_int_equal(ipc_objects(), 0);
        bus.prepare = NULL;
        run_once();
}

/* Some 16 MiB more than the program itself: the directory has 8, the first topic does not
 * fit. */
static void with_little_address_space(void *argument) {
        const struct rlimit little = {.rlim_cur = 48u << 20, .rlim_max = 48u << 20};

        (void) setrlimit(RLIMIT_AS, &little);
}

static void test_refuses_where_address_space_is_too_small(void **state) {
#ifdef NEEDS_ADDRESS_SPACE
        print_message("skipped: a sanitizer needs terabytes of it\n");
        skip();
#endif
        daemon_schema(&bus, "topics:\n"
                            "  small: {fields: {x: float64}}\n"
                            "  large: {fields: {x: \"uint8[1000000]\"}, depth: 64}\n");
        bus.prepare = with_little_address_space;
        daemon_spawn(&bus, NULL);
        assert_int_equal(daemon_wait(&bus), 1);
        daemon_expect(&bus, "topic 'large'");
        bus.read_bytes = 0;
        daemon_expect(&bus, "Cannot allocate memory");
        assert_int_equal(ipc_objects(), 0);
        bus.prepare = NULL;
        run_once();
}

/* Fills all descriptors that there may be. */
static int take_all_descriptors(void) {
        const struct rlimit few = {.rlim_cur = 64, .rlim_max = 64};
        int last = -1, fd;

        if (setrlimit(RLIMIT_NOFILE, &few) < 0) {
                return -1;
        }
        while ((fd = dup(STDERR_FILENO)) >= 0) {
                last = fd;
        }
        return last;
}

static int client_without_descriptors_run(void *argument) {
        struct slipring_subscriber *subscriber = NULL;
        struct slipring_publisher *publisher = NULL;
        struct slipring_waitset *waitset = NULL;
        struct slipring_error error = {0};
        double value = 1;
        int last = take_all_descriptors();

        /* To open and to publish takes none. */
        if (last < 0 || slipring_publisher_open(&publisher, "imu", NULL, NULL) < 0 ||
            slipring_subscriber_open(&subscriber, "imu", NULL, NULL) < 0 ||
            slipring_publisher_publish(publisher, &value, sizeof(value), 0) < 0 ||
            slipring_subscriber_take(subscriber, &value, sizeof(value), NULL) != 1) {
                return 1;
        }
        if (slipring_waitset_new(&waitset, &error) != -EMFILE || waitset ||
            !strstr(error.text, "raise 'ulimit -n'")) {
                return 2;
        }
        slipring_subscriber_close(subscriber);
        subscriber = NULL;
        (void) unsetenv("SLIPRING_BUS");
        if (slipring_subscriber_open(&subscriber, "imu", NULL, &error) != -EMFILE ||
            !strstr(error.text, "raise 'ulimit -n'")) {
                return 3;
        }
        (void) close(last);
        if (slipring_subscriber_open(&subscriber, "imu", NULL, &error) != 0) {
                return 4;
        }
        /* One for the event; the ring's is not there, and the helper threads serve. */
        if (slipring_waitset_new(&waitset, &error) != 0 ||
            slipring_waitset_add(waitset, subscriber) != 0) {
                return 5;
        }
        slipring_waitset_close(waitset);
        slipring_subscriber_close(subscriber);
        slipring_publisher_close(publisher);
        return 0;
}

static void test_clients_without_descriptors(void **state) {
        daemon_start(&bus, NULL);
        assert_int_equal(process_wait(process_start(client_without_descriptors_run, NULL)), 0);
        assert_int_equal(daemon_stop(&bus, SIGTERM), 0);
}

/* A bus of the system user: who that is cannot be asked. */
static int stranger_without_descriptors_run(void *argument) {
        struct slipring_subscriber *subscriber = NULL;
        struct slipring_error error = {0};

        if (take_all_descriptors() < 0 || setgroups(0, NULL) < 0 ||
            setresuid(LOGIN_USER, LOGIN_USER, LOGIN_USER) < 0) {
                return 1;
        }
        if (slipring_subscriber_open(&subscriber, "imu", NULL, &error) != -EMFILE ||
            !strstr(error.text, "user database") || !strstr(error.text, "raise 'ulimit -n'")) {
                (void) fprintf(stderr, "%s\n", error.text);
                return 2;
        }
        return 0;
}

static void test_the_user_database_without_descriptors(void **state) {
        assert_int_equal(process_wait(process_start(stranger_without_descriptors_run, NULL)), 0);
}

static int client_without_memory_run(void *argument) {
        struct slipring_subscriber *subscriber = NULL;
        struct slipring_publisher *publisher = NULL;
        struct slipring_error error = {0};
        struct rlimit limit;
        long pages = 0;
        FILE *statm;

        statm = fopen("/proc/self/statm", "re");
        if (!statm || fscanf(statm, "%ld", &pages) != 1 || getrlimit(RLIMIT_AS, &limit) < 0) {
                return 1;
        }
        (void) fclose(statm);
        limit.rlim_cur = (rlim_t) pages * (rlim_t) sysconf(_SC_PAGESIZE) + (4u << 20);
        if (setrlimit(RLIMIT_AS, &limit) < 0) {
                return 2;
        }
        if (slipring_publisher_open(&publisher, "imu", NULL, &error) != -ENOMEM || publisher ||
            !strstr(error.text, "raise 'ulimit -v'") ||
            slipring_subscriber_open(&subscriber, "imu", NULL, &error) != -ENOMEM || subscriber) {
                (void) fprintf(stderr, "%s\n", error.text);
                return 3;
        }
        limit.rlim_cur = limit.rlim_max;
        if (setrlimit(RLIMIT_AS, &limit) < 0 ||
            slipring_publisher_open(&publisher, "imu", NULL, &error) != 0) {
                return 4;
        }
        slipring_publisher_close(publisher);
        return 0;
}

static void test_clients_without_address_space(void **state) {
#ifdef NEEDS_ADDRESS_SPACE
        print_message("skipped: a sanitizer needs terabytes of it\n");
        skip();
#endif
        daemon_start(&bus, NULL);
        assert_int_equal(process_wait(process_start(client_without_memory_run, NULL)), 0);
        assert_int_equal(daemon_stop(&bus, SIGTERM), 0);
}

/* --- locking --- */

static void without_locking(void *argument) {
        const struct rlimit none = {0};

        (void) prctl(PR_CAPBSET_DROP, CAP_IPC_LOCK, 0, 0, 0);
        (void) setrlimit(RLIMIT_MEMLOCK, &none);
}

static void test_warns_once_where_it_may_not_lock(void **state) {
        bus.prepare = without_locking;
        daemon_spawn(&bus, NULL);
        daemon_expect(&bus, "warning: ");
        daemon_expect(&bus, "serving");
        bus.read_bytes = 0;
        daemon_expect(&bus, "CAP_IPC_LOCK");
        assert_false(daemon_logged(&bus, "CAP_IPC_LOCK"));
        assert_int_equal(daemon_stop(&bus, SIGTERM), 0);
}

static void test_locks_the_segments(void **state) {
        struct shmid_ds status;

        daemon_start(&bus, NULL);
        assert_int_equal(shmctl(daemon_entry(&bus, "imu").data_id, IPC_STAT, &status), 0);
        assert_true(status.shm_perm.mode & SHM_LOCKED);
        bus.read_bytes = 0;
        assert_false(daemon_logged(&bus, "CAP_IPC_LOCK"));
        assert_int_equal(daemon_stop(&bus, SIGTERM), 0);
}

static bool is_locked(const char *topic) {
        struct shmid_ds status;

        assert_int_equal(shmctl(daemon_entry(&bus, topic).data_id, IPC_STAT, &status), 0);
        return status.shm_perm.mode & SHM_LOCKED;
}

static void test_leaves_what_need_not_be_locked(void **state) {
        daemon_schema(&bus, "defaults: {lock: no}\ntopics:\n"
                            "  log: {fields: {x: float64}}\n"
                            "  imu: {fields: {x: float64}, lock: try}\n"
                            "  odom: {fields: {x: float64}, lock: yes}\n");
        daemon_start(&bus, NULL);
        assert_false(is_locked("log"));
        assert_true(is_locked("imu"));
        assert_true(is_locked("odom"));
        /* Not by the next manager either, nor by a reload. */
        daemon_kill(&bus);
        daemon_start(&bus, NULL);
        assert_false(is_locked("log"));
        daemon_signal(&bus, SIGHUP);
        daemon_expect(&bus, "reloaded");
        assert_false(is_locked("log"));
        assert_int_equal(daemon_stop(&bus, SIGTERM), 0);

        /* With nothing to lock there is nothing to warn of. */
        daemon_schema(&bus, "defaults: {lock: no}\n" TOPICS);
        assert_int_equal(unlink(bus.log), 0);
        bus.read_bytes = 0;
        bus.prepare = without_locking;
        run_once();
        assert_false(daemon_logged(&bus, "CAP_IPC_LOCK"));
}

static void test_refuses_where_it_may_not_lock_what_must_be(void **state) {
        struct layout_entry before;
        size_t objects = ipc_objects();

        bus.prepare = without_locking;
        daemon_schema(&bus, "topics:\n"
                            "  imu: {fields: {x: float64}}\n"
                            "  odom: {fields: {x: float64}, lock: yes}\n");
        daemon_spawn(&bus, NULL);
        assert_int_equal(daemon_wait(&bus), 1);
        daemon_expect(&bus, "topic 'odom': cannot lock its 8 KiB into memory (Operation not "
                            "permitted), which 'lock: yes' needs; give slipringd CAP_IPC_LOCK, or "
                            "raise 'ulimit -l'");
        assert_int_equal(ipc_objects(), objects);

        /* A running bus goes on as it was. */
        daemon_schema(&bus, TOPICS);
        daemon_start(&bus, NULL);
        before = daemon_entry(&bus, "imu");
        daemon_schema(&bus, "defaults: {lock: yes}\n" TOPICS);
        daemon_signal(&bus, SIGHUP);
        daemon_expect(&bus, "reload failed, nothing has changed: the bus could not be changed: "
                            "topic 'imu': cannot lock its");
        assert_int_equal(daemon_entry(&bus, "imu").data_id, before.data_id);
        assert_int_equal(daemon_stop(&bus, SIGTERM), 0);

        /* Whoever may lock it, does; the change is one that replaces the topic. */
        bus.prepare = NULL;
        daemon_schema(&bus, TOPICS);
        daemon_start(&bus, NULL);
        before = daemon_entry(&bus, "imu");
        daemon_schema(&bus, "defaults: {lock: yes}\n" TOPICS);
        daemon_signal(&bus, SIGHUP);
        daemon_expect(&bus, "imu: replaced");
        assert_int_not_equal(daemon_entry(&bus, "imu").data_id, before.data_id);
        assert_true(is_locked("imu"));
        assert_int_equal(daemon_stop(&bus, SIGTERM), 0);
}

/* --- users and groups --- */

static void as_login_user(void *argument) {
        (void) setgroups(0, NULL);
        (void) setresgid(LOGIN_USER, LOGIN_USER, LOGIN_USER);
        (void) setresuid(LOGIN_USER, LOGIN_USER, LOGIN_USER);
}

/* Some of it: the first topic, and not the second. The kernel counts all that a user has locked, so
 * one who has nothing else. */
static void as_login_user_with_little_locking(void *argument) {
        const struct rlimit little = {.rlim_cur = 1u << 20, .rlim_max = 1u << 20};

        (void) setrlimit(RLIMIT_MEMLOCK, &little);
        as_login_user(argument);
}

static void test_refuses_what_is_above_the_limit_of_locking(void **state) {
        size_t objects = ipc_objects();

        bus.prepare = as_login_user_with_little_locking;
        daemon_schema(&bus, "defaults: {lock: yes}\ntopics:\n"
                            "  imu: {fields: {x: float64}}\n"
                            "  scan: {fields: {x: \"uint8[1048576]\"}, depth: 2}\n");
        daemon_spawn(&bus, NULL);
        assert_int_equal(daemon_wait(&bus), 1);
        daemon_expect(&bus, "topic 'scan': cannot lock its 2056 KiB into memory (Cannot allocate "
                            "memory)");
        assert_int_equal(ipc_objects(), objects);
        bus.prepare = NULL;
        run_once();
}

static void test_warns_a_system_manager_whose_topics_name_no_owner(void **state) {
        run_once();
        daemon_expect(&bus, "warning: ");
        bus.read_bytes = 0;
        daemon_expect(&bus, "2 of 2 topics name no owner ('imu' first): only root may publish");
        assert_int_equal(unlink(bus.log), 0);
        daemon_schema(&bus, "defaults: {owner: root}\n" TOPICS);
        bus.read_bytes = 0;
        run_once();
        assert_false(daemon_logged(&bus, "name no owner"));
}

static void test_warns_where_the_managers_group_gets_more_than_the_schema_says(void **state) {
        /* Root's own group has no other members on a usual machine. */
        FILE *groups;

        daemon_schema(&bus, "defaults: {owner: root, group: daemon}\n" TOPICS);
        run_once();
        assert_false(daemon_logged(&bus, "primary group"));
        assert_int_equal(unlink(bus.log), 0);
        groups = fopen("/run/group", "we");
        assert_non_null(groups);
        (void) fprintf(groups, "root:x:0:root,visitor\ndaemon:x:1:\n");
        assert_int_equal(fclose(groups), 0);
        assert_int_equal(mount("/run/group", "/etc/group", NULL, MS_BIND, NULL), 0);
        bus.read_bytes = 0;
        run_once();
        assert_int_equal(umount("/etc/group"), 0);
        daemon_expect(&bus, "'imu' is for group daemon, but members of the manager's own primary "
                            "group root ('visitor')");
        assert_int_equal(unlink(bus.log), 0);
        /* All may read it anyway. */
        daemon_schema(&bus, "defaults: {owner: root, group: daemon, mode: \"0644\"}\n" TOPICS);
        assert_int_equal(mount("/run/group", "/etc/group", NULL, MS_BIND, NULL), 0);
        bus.read_bytes = 0;
        run_once();
        assert_int_equal(umount("/etc/group"), 0);
        assert_false(daemon_logged(&bus, "primary group"));
}

static void run_as_login_user(void) {
        (void) unlink(bus.log);
        bus.prepare = as_login_user;
        bus.read_bytes = 0;
        run_once();
}

static void test_warns_a_login_user_whose_segments_logind_removes(void **state) {
        FILE *file;

        /* As this machine was not booted by systemd. */
        (void) rmdir("/run/systemd/system");
        run_as_login_user();
        assert_false(daemon_logged(&bus, "systemd-logind"));
        assert_int_equal(mkdir("/run/systemd/system", 0755), 0);
        run_as_login_user();
        daemon_expect(&bus, "warning: ");
        bus.read_bytes = 0;
        daemon_expect(&bus, "systemd-logind removes all shared memory of uid 64321");
        assert_int_equal(mkdir("/run/systemd/logind.conf.d", 0755), 0);
        file = fopen("/run/systemd/logind.conf.d/ours.conf", "we");
        assert_non_null(file);
        (void) fprintf(file, "[Login]\nRemoveIPC=no\n");
        assert_int_equal(fclose(file), 0);
        run_as_login_user();
        assert_false(daemon_logged(&bus, "systemd-logind"));
}

/* The same limits, but not our own: a /run and users that nobody else sees. */
static void machine_private(void) {
        (void) ipc_private(true);
        if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
            mount("tmpfs", "/run", "tmpfs", 0, "mode=755") < 0) {
                (void) fprintf(stderr, "skipped: needs a mount namespace of its own\n");
                exit(77);
        }
        (void) mkdir("/run/systemd", 0755);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(test_refuses_where_segments_are_too_few, setup,
                                                teardown),
                cmocka_unit_test_setup_teardown(test_refuses_what_memory_does_not_hold, setup,
                                                teardown),
                cmocka_unit_test_setup_teardown(test_refuses_where_memory_is_too_small, setup,
                                                teardown),
                cmocka_unit_test_setup_teardown(test_refuses_where_semaphores_are_too_few, setup,
                                                teardown),
                cmocka_unit_test_setup_teardown(test_refuses_a_segment_above_the_largest, setup,
                                                teardown),
                cmocka_unit_test_setup_teardown(test_undoes_what_it_made_before_the_last_semaphore,
                                                setup, teardown),
                cmocka_unit_test_setup_teardown(test_refuses_where_descriptors_are_too_few, setup,
                                                teardown),
                cmocka_unit_test_setup_teardown(test_refuses_where_address_space_is_too_small,
                                                setup, teardown),
                cmocka_unit_test_setup_teardown(test_clients_without_descriptors, setup, teardown),
                cmocka_unit_test_setup_teardown(test_the_user_database_without_descriptors, setup,
                                                teardown),
                cmocka_unit_test_setup_teardown(test_clients_without_address_space, setup,
                                                teardown),
                cmocka_unit_test_setup_teardown(
                        test_refuses_where_segments_vanish_with_their_last_user, setup, teardown),
                cmocka_unit_test_setup_teardown(test_adopts_under_a_limit_that_is_just_enough,
                                                setup, teardown),
                cmocka_unit_test_setup_teardown(test_warns_once_where_it_may_not_lock, setup,
                                                teardown),
                cmocka_unit_test_setup_teardown(test_locks_the_segments, setup, teardown),
                cmocka_unit_test_setup_teardown(test_leaves_what_need_not_be_locked, setup,
                                                teardown),
                cmocka_unit_test_setup_teardown(test_refuses_where_it_may_not_lock_what_must_be,
                                                setup, teardown),
                cmocka_unit_test_setup_teardown(test_refuses_what_is_above_the_limit_of_locking,
                                                setup, teardown),
                cmocka_unit_test_setup_teardown(
                        test_warns_a_system_manager_whose_topics_name_no_owner, setup, teardown),
                cmocka_unit_test_setup_teardown(
                        test_warns_where_the_managers_group_gets_more_than_the_schema_says, setup,
                        teardown),
                cmocka_unit_test_setup_teardown(
                        test_warns_a_login_user_whose_segments_logind_removes, setup, teardown),
        };

        machine_private();
        return cmocka_run_group_tests(tests, NULL, NULL);
}
