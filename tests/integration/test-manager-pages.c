/*
 * huge_pages: the machine's real pool, a real manager, clients that wait and publish.
 *
 * The pool is the whole machine's, so this runs by itself, adds to it what it needs, and gives it
 * back however it ends: a process of its own waits for that.
 */

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/shm.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <slipring/publisher.h>
#include <slipring/subscriber.h>

#include "bus/pages.h"
#include "tests/harness/command.h"
#include "tests/harness/daemon.h"

#define POOL "/proc/sys/vm/nr_hugepages"
#define GROUP "/proc/sys/vm/hugetlb_shm_group"
#define TRANSPARENT "/sys/kernel/mm/transparent_hugepage/shmem_enabled"

/* More than any test takes. */
#define POOL_PAGES 8

/* A message of blob_type's size, in a ring of somewhat more than one huge page of 2 MiB. */
#define IMAGE "{fields: {words: \"uint64[8192]\"}, depth: 40"

static struct daemon bus;
static struct pages before; /* any test */

/* --- the machine's settings --- */

static void setting_write(const char *path, const char *text) {
        FILE *file = fopen(path, "we");
        bool good = file && fprintf(file, "%s\n", text) > 0;

        if (!file || fclose(file) != 0 || !good) {
                (void) fprintf(stderr, "%s cannot be set to %s\n", path, text);
                exit(77);
        }
}

static void setting_read(const char *path, char *text, size_t bytes) {
        FILE *file = fopen(path, "re");
        char *mark, *end;

        if (!file || !fgets(text, (int) bytes, file)) {
                (void) fprintf(stderr, "skipped: %s cannot be read\n", path);
                exit(77);
        }
        (void) fclose(file);
        text[strcspn(text, "\n")] = '\0';
        /* "always [never] deny" */
        mark = strchr(text, '[');
        end = mark ? strchr(mark, ']') : NULL;
        if (end) {
                *end = '\0';
                memmove(text, mark + 1, strlen(mark + 1) + 1);
        }
}

static char pool_before[128], group_before[128], transparent_before[128];
static int guard_pipe[2];
static pid_t guard;

/* Outlives a test that is killed, and whoever kills its process group. */
static void guard_run(void) {
        char byte;

        (void) setsid();
        (void) signal(SIGTERM, SIG_IGN);
        (void) signal(SIGINT, SIG_IGN);
        (void) close(guard_pipe[1]);
        while (read(guard_pipe[0], &byte, 1) > 0) {
        }
        setting_write(POOL, pool_before);
        setting_write(GROUP, group_before);
        setting_write(TRANSPARENT, transparent_before);
        _exit(0);
}

/* What it was, before the process ends that had it changed. */
static void guard_end(void) {
        (void) close(guard_pipe[1]);
        (void) waitpid(guard, NULL, 0);
}

static void pool_raise(unsigned pages) {
        char text[32];

        (void) snprintf(text, sizeof(text), "%lu", strtoul(pool_before, NULL, 10) + pages);
        setting_write(POOL, text);
}

static void machine_prepare(void) {
        int fd;

        pages_read(&before);
        if (before.bytes != 2u << 20) {
                (void) fprintf(stderr, "skipped: needs huge pages of 2 MiB\n");
                exit(77);
        }
        /* Another of these tests, of another build: held until the guard has ended, too. */
        fd = open(POOL, O_RDONLY | O_CLOEXEC);
        if (fd < 0 || flock(fd, LOCK_EX) < 0) {
                (void) fprintf(stderr, "skipped: %s cannot be locked\n", POOL);
                exit(77);
        }
        setting_read(POOL, pool_before, sizeof(pool_before));
        setting_read(GROUP, group_before, sizeof(group_before));
        setting_read(TRANSPARENT, transparent_before, sizeof(transparent_before));
        if (pipe2(guard_pipe, O_CLOEXEC) < 0) {
                exit(77);
        }
        guard = fork();
        if (guard == 0) {
                guard_run();
        }
        setting_write(TRANSPARENT, "never");
        pool_raise(POOL_PAGES);
        pages_read(&before);
        if (before.available < POOL_PAGES) {
                (void) fprintf(stderr, "skipped: this machine's memory gives no huge pages\n");
                guard_end();
                exit(77);
        }
}

/* As many are free as there were. */
static void assert_pool_whole(void) {
        struct pages now;

        pages_read(&now);
        assert_int_equal(now.available, before.available);
}

/* All but so many are somebody else's. */
static int pool_take_all_but(unsigned left) {
        struct pages now;
        int id;

        pages_read(&now);
        id = shmget(IPC_PRIVATE, (size_t) (now.available - left) * now.bytes,
                    IPC_CREAT | SHM_HUGETLB | 0600);
        assert_true(id >= 0);
        return id;
}

static void pool_give_back(int id) {
        assert_int_equal(shmctl(id, IPC_RMID, NULL), 0);
}

/* --- a control group with a limit of its own --- */

#define CGROUP_LIMIT "hugetlb.2MB.max"

static char cgroup_root[128], cgroup[160];

/* Version 2 of control groups, with its controller of huge pages. */
static bool cgroup_find(void) {
        FILE *file = fopen("/proc/self/mounts", "re");
        char line[512], path[128], type[32], controllers[256] = "";
        bool found = false;

        assert_non_null(file);
        while (!found && fgets(line, sizeof(line), file)) {
                found = sscanf(line, "%*s %127s %31s", path, type) == 2 &&
                        strcmp(type, "cgroup2") == 0;
        }
        (void) fclose(file);
        if (!found) {
                return false;
        }
        (void) snprintf(cgroup_root, sizeof(cgroup_root), "%s", path);
        (void) snprintf(line, sizeof(line), "%s/cgroup.controllers", path);
        file = fopen(line, "re");
        found = file && fgets(controllers, sizeof(controllers), file) &&
                strstr(controllers, "hugetlb");
        if (file) {
                (void) fclose(file);
        }
        return found;
}

static bool try_write(const char *directory, const char *name, const char *text) {
        char path[256];
        ssize_t written;
        int fd;

        (void) snprintf(path, sizeof(path), "%s/%s", directory, name);
        fd = open(path, O_WRONLY | O_CLOEXEC);
        if (fd < 0) {
                return false;
        }
        written = write(fd, text, strlen(text));
        (void) close(fd);
        return written == (ssize_t) strlen(text);
}

static bool cgroup_make(void) {
        if (!cgroup_find() || !try_write(cgroup_root, "cgroup.subtree_control", "+hugetlb")) {
                return false;
        }
        (void) snprintf(cgroup, sizeof(cgroup), "%s/slipring-test-%d", cgroup_root, (int) getpid());
        return mkdir(cgroup, 0755) == 0;
}

/* Also after a test that failed. */
static void cgroup_remove(void) {
        if (cgroup[0]) {
                (void) rmdir(cgroup);
                (void) try_write(cgroup_root, "cgroup.subtree_control", "-hugetlb");
                cgroup[0] = '\0';
        }
}

/* --- a bus --- */

static int setup(void **state) {
        daemon_setup(&bus);
        return 0;
}

static int teardown(void **state) {
        daemon_teardown(&bus);
        cgroup_remove();
        assert_pool_whole();
        return 0;
}

static void schema(const char *wish) {
        char text[256];

        (void) snprintf(text, sizeof(text), "topics:\n  image: " IMAGE ", huge_pages: %s}\n", wish);
        daemon_schema(&bus, text);
}

static size_t segment_size(const struct layout_entry *entry) {
        struct shmid_ds status;

        assert_int_equal(shmctl(entry->data_id, IPC_STAT, &status), 0);
        return status.shm_segsz;
}

/* A line of /proc/self/smaps about a segment: its key is in hexadecimal in the name. */
static bool mapping_has(const struct layout_entry *entry, const char *key, const char *text) {
        FILE *file = fopen("/proc/self/smaps", "re");
        char line[512], name[32];
        bool here = false, found = false;

        assert_non_null(file);
        (void) snprintf(name, sizeof(name), "/SYSV%08x", (unsigned) entry->data_key);
        while (fgets(line, sizeof(line), file)) {
                if (strstr(line, "/SYSV")) {
                        here = strstr(line, name);
                } else if (here && strncmp(line, key, strlen(key)) == 0) {
                        found = found || strstr(line, text);
                }
        }
        (void) fclose(file);
        return found;
}

/* --- tests --- */

static uint8_t received[BLOB_BYTES];

/* Asleep on the read-only mapping of huge pages when the sample comes. */
static int sleeper_run(void *argument) {
        struct slipring_subscriber *subscriber = subscriber_open("image", SLIPRING_START_NEXT);
        struct layout_entry entry = daemon_entry(&bus, "image");
        uint64_t number = 0;

        if (!mapping_has(&entry, "KernelPageSize:", " 2048 kB") ||
            /* Neither forked nor dumped: madvise(2) took the whole mapping. */
            !mapping_has(&entry, "VmFlags:", " dc ") || !mapping_has(&entry, "VmFlags:", " dd ")) {
                return 1;
        }
        if (slipring_subscriber_wait(subscriber, slipring_in_ms(20000)) != 0 ||
            slipring_subscriber_take(subscriber, received, sizeof(received), NULL) != 1 ||
            !blob_whole(received, sizeof(received), &number) || number != 7) {
                return 2;
        }
        slipring_subscriber_close(subscriber);
        return 0;
}

static void publish(struct slipring_publisher *publisher, uint64_t number, int expected) {
        static uint8_t payload[BLOB_BYTES];

        blob_fill(payload, sizeof(payload), number);
        assert_int_equal(slipring_publisher_publish(publisher, payload, sizeof(payload), 0),
                         expected);
}

static void take(struct slipring_subscriber *subscriber, uint64_t expected) {
        uint64_t number = 0;

        assert_int_equal(slipring_subscriber_take(subscriber, received, sizeof(received), NULL), 1);
        assert_true(blob_whole(received, sizeof(received), &number));
        assert_int_equal(number, expected);
}

static void test_samples_go_through_huge_pages(void **state) {
        struct slipring_subscriber *subscriber;
        struct slipring_publisher *publisher;
        struct layout_entry entry;
        struct pages now;
        uint64_t number;
        pid_t sleeper;

        schema("yes");
        daemon_start(&bus, NULL);
        entry = daemon_entry(&bus, "image");
        assert_int_equal(entry.huge_pages, LAYOUT_HUGE_PAGES_YES);
        assert_int_equal(entry.page_bytes, before.bytes);
        /* What every reader sees is the size that the layout has; what is taken are whole pages. */
        assert_true(entry.segment_bytes % before.bytes != 0);
        assert_int_equal(segment_size(&entry), entry.segment_bytes);
        pages_read(&now);
        assert_int_equal(now.available,
                         before.available - pages_count(before.bytes, entry.segment_bytes));

        publisher = publisher_open("image");
        sleeper = process_start(sleeper_run, NULL);
        process_await_call(sleeper, SYS_futex);
        publish(publisher, 7, 0);
        assert_int_equal(process_wait(sleeper), 0);
        /* Each slot, the last one of the ring, too. */
        subscriber = subscriber_open("image", SLIPRING_START_NEXT);
        for (number = 0; number < 100; number++) {
                publish(publisher, number, 0);
                take(subscriber, number);
        }
        /* A manager that was killed is followed by one that adopts it. */
        daemon_kill(&bus);
        daemon_start(&bus, NULL);
        assert_int_equal(daemon_entry(&bus, "image").data_id, entry.data_id);
        publish(publisher, 1, 0);
        take(subscriber, 1);
        slipring_publisher_close(publisher);
        slipring_subscriber_close(subscriber);
        assert_int_equal(daemon_stop(&bus, SIGTERM), 0);
}

static void test_a_reload_replaces_pages(void **state) {
        static const char *const wishes[] = {"no", "yes", "try", "no"};
        struct slipring_subscriber *subscriber = NULL;
        struct slipring_publisher *publisher = NULL;
        size_t i;

        schema(wishes[0]);
        daemon_start(&bus, NULL);
        publisher = publisher_open("image");
        subscriber = subscriber_open("image", SLIPRING_START_NEXT);
        for (i = 1; i < 4; i++) {
                publish(publisher, 2 * i, 0);
                schema(wishes[i]);
                daemon_signal(&bus, SIGHUP);
                daemon_expect(&bus, "image: replaced");
                daemon_expect(&bus, "reloaded");
                assert_int_equal(daemon_entry(&bus, "image").page_bytes, i < 3 ? before.bytes : 0);
                publish(publisher, 0, -EIDRM);
                take(subscriber, 2 * i);
                assert_int_equal(slipring_publisher_move(publisher, 0, NULL), 0);
                assert_int_equal(slipring_subscriber_move(subscriber, 0, NULL), 0);
                publish(publisher, 2 * i + 1, 0);
                take(subscriber, 2 * i + 1);
        }
        slipring_publisher_close(publisher);
        slipring_subscriber_close(subscriber);
        assert_int_equal(daemon_stop(&bus, SIGTERM), 0);
        assert_false(daemon_logged(&bus, "ordinary pages"));
}

static void test_refuses_where_the_pool_is_too_small(void **state) {
        struct layout_entry entry;
        int others = pool_take_all_but(1);
        size_t objects = ipc_objects();
        char text[160];

        schema("yes");
        daemon_spawn(&bus, NULL);
        assert_int_equal(daemon_wait(&bus), 1);
        (void) snprintf(text, sizeof(text),
                        "the bus needs 2 huge pages of 2048 KiB more, and 1 are free: 'sysctl -w "
                        "vm.nr_hugepages=%llu'",
                        (unsigned long long) before.total + 1);
        daemon_expect(&bus, text);
        assert_int_equal(ipc_objects(), objects);

        /* A reload that needs them changes nothing. */
        schema("no");
        daemon_start(&bus, NULL);
        entry = daemon_entry(&bus, "image");
        schema("yes");
        daemon_signal(&bus, SIGHUP);
        daemon_expect(&bus, "reload failed, nothing has changed: the bus could not be changed: the "
                            "bus needs 2 huge pages");
        assert_int_equal(daemon_entry(&bus, "image").data_id, entry.data_id);
        pool_give_back(others);
        daemon_signal(&bus, SIGHUP);
        daemon_expect(&bus, "image: replaced");
        assert_int_equal(daemon_entry(&bus, "image").page_bytes, before.bytes);
        assert_int_equal(daemon_stop(&bus, SIGTERM), 0);
}

static void test_tries_and_says_what_is_missing(void **state) {
        int others = pool_take_all_but(1);
        struct command command;
        char text[160];

        schema("try");
        daemon_start(&bus, NULL);
        assert_int_equal(daemon_entry(&bus, "image").page_bytes, 0);
        bus.read_bytes = 0;
        (void) snprintf(text, sizeof(text),
                        "topic 'image' has ordinary pages, not huge ones; that takes 2 of 2048 "
                        "KiB, and 1 are free: 'sysctl -w vm.nr_hugepages=%llu'",
                        (unsigned long long) before.total + 1);
        daemon_expect(&bus, text);
        command_run(&command, "info", "image");
        command_expect_out_has(&command, "Huge pages: tried; none of the pool\n");
        command_free(&command);
        command_run(&command, "info", "image", "--json");
        command_expect_out_has(&command, "\"huge_pages\": \"try\"");
        command_expect_out_has(&command, "\"huge_page_bytes\": 0");
        command_expect_out_has(&command, "\"lock\": \"try\"");
        command_expect_out_has(&command, "\"locked\": true");
        command_free(&command);
        command_run(&command, "doctor");
        (void) snprintf(text, sizeof(text),
                        "1 topic tried to get huge pages and has none: they take 2 of 2 MiB, "
                        "vm.nr_hugepages=%llu in all\n",
                        (unsigned long long) before.total + 1);
        command_expect_out_has(&command, text);
        command_free(&command);
        /* Once. */
        daemon_signal(&bus, SIGHUP);
        daemon_expect(&bus, "reloaded");
        assert_false(daemon_logged(&bus, "ordinary pages"));
        assert_int_equal(daemon_stop(&bus, SIGTERM), 0);
        pool_give_back(others);

        daemon_start(&bus, NULL);
        command_run(&command, "info", "image");
        command_expect_out_has(&command, "Huge pages: 2 of 2 MiB\nLocked in memory: yes\n");
        command_free(&command);
        command_run(&command, "doctor");
        command_expect_out_lacks(&command, "tried to get huge pages");
        command_free(&command);
        assert_int_equal(daemon_stop(&bus, SIGTERM), 0);
}

/* Who must have them is served before who stands first in the file. */
static void test_who_needs_them_comes_first(void **state) {
        int others = pool_take_all_but(3);

        daemon_schema(&bus, "topics:\n"
                            "  tries: " IMAGE ", huge_pages: try}\n"
                            "  needs: " IMAGE ", huge_pages: yes}\n");
        daemon_start(&bus, NULL);
        assert_int_equal(daemon_entry(&bus, "needs").page_bytes, before.bytes);
        assert_int_equal(daemon_entry(&bus, "tries").page_bytes, 0);
        assert_int_equal(daemon_stop(&bus, SIGTERM), 0);
        pool_give_back(others);
}

static void join_cgroup(void *argument) {
        if (!try_write(cgroup, "cgroup.procs", "0")) {
                _exit(99);
        }
}

/* One huge page, of the two that the topic takes; the pool has more. Without the kernel's help the
 * second would be SIGBUS. */
static void test_a_control_group_limits_them(void **state) {
        size_t objects = ipc_objects();

        if (!cgroup_make()) {
                skip();
        }
        assert_true(try_write(cgroup, CGROUP_LIMIT, "2097152"));
        bus.prepare = join_cgroup;

        schema("yes");
        daemon_spawn(&bus, NULL);
        assert_int_equal(daemon_wait(&bus), 1);
        daemon_expect(&bus, "topic 'image': its 2 huge pages of 2048 KiB cannot be filled (Bad "
                            "address): raise the control group's limit (hugetlb.*.max)");
        assert_int_equal(ipc_objects(), objects);
        assert_pool_whole();

        schema("try");
        daemon_start(&bus, NULL);
        assert_int_equal(daemon_entry(&bus, "image").page_bytes, 0);
        bus.read_bytes = 0;
        daemon_expect(&bus, "and no control group's limit (hugetlb.*.max) is in the way");
        daemon_expect(&bus, "serving");
        assert_pool_whole();
        assert_int_equal(daemon_stop(&bus, SIGTERM), 0);

        assert_true(try_write(cgroup, CGROUP_LIMIT, "max"));
        daemon_start(&bus, NULL);
        assert_int_equal(daemon_entry(&bus, "image").page_bytes, before.bytes);
        assert_int_equal(daemon_stop(&bus, SIGTERM), 0);
}

/* --- a user who is not root --- */

static void as_manager(void *argument) {
        const struct rlimit none = {0};

        /* Older kernels let this limit stand for the right to huge pages. */
        (void) setrlimit(RLIMIT_MEMLOCK, &none);
        (void) setgroups(0, NULL);
        (void) setresgid(USER_MANAGER, USER_MANAGER, USER_MANAGER);
        (void) setresuid(USER_MANAGER, USER_MANAGER, USER_MANAGER);
}

static void test_who_may_not_have_them_is_told_how_to(void **state) {
        size_t objects = ipc_objects();
        char group[16];

        bus.prepare = as_manager;
        bus.user = USER_MANAGER;
        schema("yes");
        daemon_spawn(&bus, NULL);
        assert_int_equal(daemon_wait(&bus), 1);
        daemon_expect(&bus, "topic 'image': cannot make a segment of 2 huge pages of 2048 KiB "
                            "(Operation not permitted): give slipringd CAP_IPC_LOCK, or name one "
                            "of its groups in vm.hugetlb_shm_group");
        assert_int_equal(ipc_objects(), objects);

        schema("try");
        daemon_spawn(&bus, NULL);
        daemon_expect(&bus, "'slipring down' and another start take them, if slipringd has "
                            "CAP_IPC_LOCK or a group named in vm.hugetlb_shm_group");
        daemon_expect(&bus, "serving");
        assert_int_equal(daemon_stop(&bus, SIGTERM), 0);

        (void) snprintf(group, sizeof(group), "%u", USER_MANAGER);
        setting_write(GROUP, group);
        schema("yes");
        daemon_spawn(&bus, NULL);
        daemon_expect(&bus, "image: created");
        daemon_expect(&bus, "serving");
        assert_int_equal(daemon_stop(&bus, SIGTERM), 0);
        setting_write(GROUP, group_before);
}

/* --- transparent ones --- */

/* Does this machine's memory give one right now? */
static bool transparent_given(void) {
        const size_t bytes = 4u << 20;
        struct layout_entry entry = {.data_key = 0x51199};
        int id = shmget(entry.data_key, bytes, IPC_CREAT | IPC_EXCL | 0600);
        char *address = id < 0 ? (char *) -1 : shmat(id, NULL, 0);
        bool given = false;

        if (address != (char *) -1) {
                (void) madvise(address, bytes, MADV_HUGEPAGE);
                memset(address, 1, bytes);
                given = mapping_has(&entry, "ShmemPmdMapped:", " 4096 kB");
                (void) shmdt(address);
        }
        (void) shmctl(id, IPC_RMID, NULL);
        return given;
}

static void test_tries_transparent_ones_where_the_pool_has_none(void **state) {
        int others = pool_take_all_but(0);
        struct slipring_subscriber *subscriber;
        struct layout_entry entry;

        setting_write(TRANSPARENT, "advise");
        if (!transparent_given()) {
                print_message("skipped: the kernel gives no transparent ones\n");
        } else {
                schema("try");
                daemon_start(&bus, NULL);
                entry = daemon_entry(&bus, "image");
                assert_int_equal(entry.page_bytes, 0);
                /* Who attaches read-only has them, too. */
                subscriber = subscriber_open("image", SLIPRING_START_NEXT);
                assert_true(mapping_has(&entry, "ShmemPmdMapped:", " 2048 kB"));
                slipring_subscriber_close(subscriber);
                assert_int_equal(daemon_stop(&bus, SIGTERM), 0);
                bus.read_bytes = 0;
                assert_false(daemon_logged(&bus, "ordinary pages"));
                daemon_skip(&bus);

                /* A topic that does not ask for them has none. */
                schema("no");
                daemon_start(&bus, NULL);
                entry = daemon_entry(&bus, "image");
                subscriber = subscriber_open("image", SLIPRING_START_NEXT);
                assert_true(mapping_has(&entry, "ShmemPmdMapped:", " 0 kB"));
                slipring_subscriber_close(subscriber);
                assert_int_equal(daemon_stop(&bus, SIGTERM), 0);
        }
        setting_write(TRANSPARENT, "never");
        pool_give_back(others);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(test_samples_go_through_huge_pages, setup,
                                                teardown),
                cmocka_unit_test_setup_teardown(test_a_reload_replaces_pages, setup, teardown),
                cmocka_unit_test_setup_teardown(test_refuses_where_the_pool_is_too_small, setup,
                                                teardown),
                cmocka_unit_test_setup_teardown(test_tries_and_says_what_is_missing, setup,
                                                teardown),
                cmocka_unit_test_setup_teardown(test_who_needs_them_comes_first, setup, teardown),
                cmocka_unit_test_setup_teardown(test_a_control_group_limits_them, setup, teardown),
                cmocka_unit_test_setup_teardown(test_who_may_not_have_them_is_told_how_to, setup,
                                                teardown),
                cmocka_unit_test_setup_teardown(test_tries_transparent_ones_where_the_pool_has_none,
                                                setup, teardown),
        };
        int r;

        (void) ipc_private(true);
        machine_prepare();
        r = cmocka_run_group_tests(tests, NULL, NULL);
        guard_end();
        return r;
}
