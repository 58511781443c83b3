/*
 * `slipring up` and `slipring down`: with a manager, without one, and with what nobody can read.
 */

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ipc.h>
#include <sys/sem.h>
#include <sys/shm.h>
#include <sys/wait.h>
#include <unistd.h>

#include <slipring/publisher.h>
#include <slipring/subscriber.h>

#include "tests/harness/daemon.h"

#define TOPICS                                                                                     \
        "topics:\n"                                                                                \
        "  imu: {fields: {x: float64}}\n"                                                          \
        "  odom: {fields: {x: float64}}\n"

#define CLASSES                                                                                    \
        "topics:\n"                                                                                \
        "  imu: {fields: {x: float64}}\n"                                                          \
        "  log: {fields: {x: float64}, publishers: shared}\n"                                      \
        "  camera: {fields: {x: float64}, depth: 4, pins: 2}\n"

/* Debian's nobody: any user who is not this one. */
#define OTHER_USER 65534

static struct daemon bus;
static bool private_namespace;
static char output[8192];

static int setup(void **state) {
        daemon_setup(&bus);
        daemon_schema(&bus, TOPICS);
        return 0;
}

static int teardown(void **state) {
        daemon_teardown(&bus);
        return 0;
}

/* Run `slipring down OPTION...` as a user; its output and errors go to @output. */
static int down_as(uid_t user, const char *option, const char *argument) {
        FILE *file = tmpfile();
        int status;
        pid_t pid;

        assert_non_null(file);
        (void) fflush(NULL);
        pid = fork();
        assert_true(pid >= 0);
        if (pid == 0) {
                (void) dup2(fileno(file), STDOUT_FILENO);
                (void) dup2(fileno(file), STDERR_FILENO);
                if (user != geteuid() && setresuid(user, user, user) < 0) {
                        _exit(125);
                }
                (void) execl(program_path("SLIPRING"), "slipring", "down", option, argument, NULL);
                _exit(126);
        }
        status = process_wait(pid);
        rewind(file);
        output[fread(output, 1, sizeof(output) - 1, file)] = '\0';
        (void) fclose(file);
        return status;
}

static int down(const char *option, const char *argument) {
        return down_as(geteuid(), option, argument);
}

static void assert_output(const char *format, ...) __attribute__((format(printf, 1, 2)));

static void assert_output(const char *format, ...) {
        char text[512];
        va_list arguments;

        va_start(arguments, format);
        (void) vsnprintf(text, sizeof(text), format, arguments);
        va_end(arguments);
        if (!strstr(output, text)) {
                fail_msg("'%s' is not in: %s", text, output);
        }
}

/* A bus without a manager. */
static void leave_bus(void) {
        daemon_start(&bus, "--keep", NULL);
        assert_int_equal(daemon_stop(&bus, SIGTERM), 0);
        assert_true(daemon_bus_exists(&bus));
}

static void test_asks_a_running_manager_even_one_that_keeps(void **state) {
        struct slipring_subscriber *subscriber;
        pid_t pid;

        daemon_start(&bus, "--keep", NULL);
        subscriber = subscriber_open("imu", SLIPRING_START_NEWEST);
        pid = bus.pid;
        assert_int_equal(down("-b", bus.bus), 0);
        assert_output("%s: removed, 2 topics; its manager, pid %d, has ended\n", bus.bus,
                      (int) pid);
        assert_int_equal(daemon_wait(&bus), 0);
        assert_int_equal(slipring_subscriber_wait(subscriber, slipring_in_ms(20000)), -EIDRM);
        slipring_subscriber_close(subscriber);
}

static void test_removes_what_an_ended_manager_left(void **state) {
        struct slipring_subscriber *subscriber;

        leave_bus();
        subscriber = subscriber_open("imu", SLIPRING_START_NEWEST);
        assert_int_equal(down("-b", bus.bus), 0);
        assert_output("%s: removed, 2 topics; no manager was running\n", bus.bus);
        assert_int_equal(slipring_subscriber_wait(subscriber, slipring_in_ms(20000)), -EIDRM);
        slipring_subscriber_close(subscriber);
}

static void test_removes_what_a_killed_manager_left(void **state) {
        daemon_start(&bus, NULL);
        daemon_kill(&bus);
        assert_int_equal(down("-b", bus.bus), 0);
        assert_output("no manager was running");
}

static void test_without_a_name_it_is_the_default_bus(void **state) {
        leave_bus();
        assert_int_equal(down(NULL, NULL), 0);
        assert_output("%s: removed", bus.bus);
}

static void test_only_bus_needs_no_name(void **state) {
        if (!private_namespace) {
                skip();
        }
        leave_bus();
        assert_int_equal(unsetenv("SLIPRING_BUS"), 0);
        assert_int_equal(down(NULL, NULL), 0);
        assert_output("%s: removed", bus.bus);
        assert_int_equal(down(NULL, NULL), 1);
        assert_output("there is no bus");
}

static void test_says_which_bus_is_not_there(void **state) {
        assert_int_equal(down("-b", bus.bus), 1);
        assert_output("slipring down: there is no bus '%s'", bus.bus);
        assert_int_equal(down("-b", "No Bus"), 2);
        assert_output("is no bus name");
        assert_int_equal(down("--forse", NULL), 2);
        assert_output("did you mean '--force'?");
}

static void test_half_made_directory_is_removed(void **state) {
        struct segment_expect expect = directory_expect(geteuid(), bus.bus, "test");
        struct segment segment;

        assert_int_equal(segment_create(&segment, &expect, NULL), 0);
        segment_detach(&segment);
        assert_int_equal(down("-b", bus.bus), 0);
        assert_output("%s: removed, 0 topics", bus.bus);
}

/* --- other users --- */

static void as_other_user(void *argument) {
        (void) setresgid(OTHER_USER, OTHER_USER, OTHER_USER);
        (void) setresuid(OTHER_USER, OTHER_USER, OTHER_USER);
}

static void test_stranger_may_not_take_it_down(void **state) {
        char name[SLIPRING_BUS_NAME_MAX + 32];

        if (geteuid() != 0) {
                skip();
        }
        (void) snprintf(name, sizeof(name), "root/%s", bus.bus);
        daemon_start(&bus, "--keep", NULL);
        assert_int_equal(down_as(OTHER_USER, "-b", name), 1);
        assert_output("only that user and root may take it down");
        assert_int_equal(daemon_stop(&bus, SIGTERM), 0);
        assert_int_equal(down_as(OTHER_USER, "-b", name), 1);
        assert_output("only that user and root may take it down");
        assert_int_equal(down("-b", name), 0);
}

/* `down` waits ten seconds for it; what it asked for is done once the manager goes on. */
static void test_a_stopped_manager_is_named(void **state) {
        char text[96];

        daemon_start(&bus, NULL);
        daemon_signal(&bus, SIGSTOP);
        assert_int_equal(down("-b", bus.bus), 1);
        (void) snprintf(text, sizeof(text), "pid %d, does not end; if it is stopped or hangs",
                        (int) bus.pid);
        assert_output("%s", text);
        assert_true(daemon_bus_exists(&bus));
        daemon_signal(&bus, SIGCONT);
        assert_int_equal(daemon_wait(&bus), 0);
        assert_false(daemon_bus_exists(&bus));
}

static void test_root_takes_down_another_users_bus(void **state) {
        char name[SLIPRING_BUS_NAME_MAX + 32];

        if (geteuid() != 0) {
                skip();
        }
        (void) snprintf(name, sizeof(name), "%d/%s", OTHER_USER, bus.bus);
        assert_int_equal(setenv("SLIPRING_TRUST", "65534", 1), 0);
        bus.prepare = as_other_user;
        daemon_start(&bus, "--keep", NULL);
        assert_int_equal(down("-b", name), 0);
        assert_output("has ended");
        assert_int_equal(daemon_wait(&bus), 0);
        daemon_start(&bus, "--keep", NULL);
        assert_int_equal(daemon_stop(&bus, SIGTERM), 0);
        assert_int_equal(down("-b", name), 0);
        assert_output("%s: removed, 2 topics; no manager was running\n", bus.bus);
        assert_int_equal(shmget(directory_key(OTHER_USER, bus.bus), 0, 0), -1);
        assert_int_equal(unsetenv("SLIPRING_TRUST"), 0);
        /* Who is not trusted is not asked how many there were. */
        daemon_start(&bus, "--keep", NULL);
        assert_int_equal(down("-b", name), 0);
        assert_output("%s: removed; its manager, pid ", bus.bus);
        assert_int_equal(daemon_wait(&bus), 0);
        daemon_start(&bus, "--keep", NULL);
        assert_int_equal(daemon_stop(&bus, SIGTERM), 0);
        assert_int_equal(down("-b", name), 0);
        assert_output("%s: removed, 2 topics; no manager was running\n", bus.bus);
}

/* --- what cannot be read --- */

static void directory_spoil(size_t offset, uint32_t value) {
        int id = shmget(directory_key(bus.user, bus.bus), 0, 0);
        uint8_t *address = shmat(id, NULL, 0);

        assert_ptr_not_equal(address, (void *) -1);
        memcpy(address + offset, &value, sizeof(value));
        assert_int_equal(shmdt(address), 0);
}

/* Every copy of a topic's entry, as another program's error would leave it. */
static void entries_lead_to(const char *topic, key_t key, int id) {
        int directory = shmget(directory_key(geteuid(), bus.bus), 0, 0);
        char *address = shmat(directory, NULL, 0);
        struct layout_entry *entry;
        struct shmid_ds status;
        size_t offset, found = 0;

        assert_ptr_not_equal(address, (void *) -1);
        assert_int_equal(shmctl(directory, IPC_STAT, &status), 0);
        for (offset = 0; offset + sizeof(*entry) <= status.shm_segsz; offset += 8) {
                entry = (struct layout_entry *) (address + offset);
                if (entry->kind == LAYOUT_ENTRY_TOPIC && strcmp(entry->name, topic) == 0) {
                        entry->data_key = key;
                        entry->data_id = id;
                        found++;
                }
        }
        assert_true(found > 0);
        assert_int_equal(shmdt(address), 0);
}

/* What the next manager would refuse goes whole, its clients are told, and nothing else goes. */
static void expect_force(struct slipring_subscriber *subscriber, const char *why) {
        int stranger = shmget(IPC_PRIVATE, 4096, IPC_CREAT | 0600);
        struct shmid_ds status;

        assert_int_equal(down("-b", bus.bus), 1);
        assert_output("%s", why);
        assert_output("'slipring down --force'");
        assert_true(daemon_bus_exists(&bus));
        assert_int_equal(down("--force", NULL), 0);
        assert_output("%s: removed, 2 topics found by force", bus.bus);
        assert_false(daemon_bus_exists(&bus));
        assert_int_equal(slipring_subscriber_wait(subscriber, SLIPRING_FOREVER), -EIDRM);
        slipring_subscriber_close(subscriber);
        assert_int_equal(shmctl(stranger, IPC_STAT, &status), 0);
        assert_int_equal(shmctl(stranger, IPC_RMID, NULL), 0);
}

static bool objects_are_gone(const struct layout_entry *entry) {
        return shmget(entry->data_key, 0, 0) < 0 && shmget(entry->board_key, 0, 0) < 0 &&
               semget(entry->claim_key, 0, 0) < 0;
}

/* Of whom it is need not be said, where that user is trusted. */
static void test_root_forces_a_trusted_users_bus(void **state) {
        if (geteuid() != 0) {
                skip();
        }
        assert_int_equal(setenv("SLIPRING_TRUST", "65534", 1), 0);
        bus.prepare = as_other_user;
        bus.user = OTHER_USER;
        leave_bus();
        directory_spoil(offsetof(struct layout_header, layout_version), 77);
        assert_int_equal(down("-b", bus.bus), 1);
        assert_output("'slipring down --force'");
        assert_int_equal(down("--force", NULL), 0);
        assert_output("%s: removed, 2 topics found by force", bus.bus);
        assert_int_equal(shmget(directory_key(OTHER_USER, bus.bus), 0, 0), -1);
        assert_int_equal(unsetenv("SLIPRING_TRUST"), 0);
}

/* One that is served, with topics of the same names, sizes and makers. */
static void test_force_leaves_the_users_other_buses(void **state) {
        struct slipring_subscriber *theirs;
        struct slipring_publisher *publisher;
        struct layout_entry imu, log, camera;
        struct daemon other;
        double sample = 1.0, got = 0.0;

        daemon_schema(&bus, CLASSES);
        leave_bus();
        imu = daemon_entry(&bus, "imu");
        log = daemon_entry(&bus, "log");
        camera = daemon_entry(&bus, "camera");
        daemon_setup(&other);
        daemon_schema(&other, CLASSES);
        daemon_start(&other, NULL);
        theirs = subscriber_open("log", SLIPRING_START_NEXT);
        publisher = publisher_open("log");
        directory_spoil(offsetof(struct layout_header, layout_version), 77);
        assert_int_equal(setenv("SLIPRING_BUS", bus.bus, 1), 0);
        assert_int_equal(down("--force", NULL), 0);
        assert_output("%s: removed, 3 topics found by force", bus.bus);
        assert_int_equal(shmget(log.lock_key, 0, 0), -1);
        assert_int_equal(shmget(camera.pin_key, 0, 0), -1);
        assert_int_equal(semget(camera.pin_claim_key, 0, 0), -1);
        assert_true(objects_are_gone(&imu) && objects_are_gone(&log) && objects_are_gone(&camera));
        assert_int_equal(slipring_publisher_publish(publisher, &sample, sizeof(sample), 0), 0);
        assert_int_equal(slipring_subscriber_take(theirs, &got, sizeof(got), NULL), 1);
        slipring_publisher_close(publisher);
        slipring_subscriber_close(theirs);
        assert_int_equal(daemon_stop(&other, SIGTERM), 0);
        assert_false(daemon_bus_exists(&other));
        daemon_teardown(&other);
}

static void test_other_layout_version_needs_force(void **state) {
        struct slipring_subscriber *subscriber;
        struct layout_entry imu, odom;

        leave_bus();
        subscriber = subscriber_open("imu", SLIPRING_START_NEXT);
        imu = daemon_entry(&bus, "imu");
        odom = daemon_entry(&bus, "odom");
        directory_spoil(offsetof(struct layout_header, layout_version), 77);
        expect_force(subscriber, "version");
        assert_true(objects_are_gone(&imu));
        assert_true(objects_are_gone(&odom));
}

/* A whole directory, started over again by the next who opens it: the entries are all that is left
 * to go by. */
static void test_what_a_scribbled_directory_led_to_is_removed(void **state) {
        struct slipring_subscriber *subscriber;
        struct layout_entry imu, odom;
        size_t offset;
        int again;

        for (again = 0; again < 2; again++) {
                leave_bus();
                subscriber = subscriber_open("imu", SLIPRING_START_NEXT);
                imu = daemon_entry(&bus, "imu");
                odom = daemon_entry(&bus, "odom");
                for (offset = 0; offset < sizeof(struct layout_header); offset += 4) {
                        directory_spoil(offset, 0xdeadbeef);
                }
                if (again) {
                        daemon_start(&bus, NULL);
                } else {
                        assert_int_equal(down("-b", bus.bus), 0);
                        assert_false(daemon_bus_exists(&bus));
                }
                assert_int_equal(slipring_subscriber_wait(subscriber, SLIPRING_FOREVER), -EIDRM);
                slipring_subscriber_close(subscriber);
                assert_true(objects_are_gone(&imu));
                assert_true(objects_are_gone(&odom));
        }
        assert_int_equal(daemon_stop(&bus, SIGTERM), 0);
}

/* Neither an owner who took the manager's access nor a spoiled header saves a topic. */
static void test_force_takes_what_was_locked_or_spoiled_too(void **state) {
        struct slipring_subscriber *subscriber;
        struct layout_entry imu, odom;
        struct shmid_ds status;
        char *address;

        leave_bus();
        subscriber = subscriber_open("odom", SLIPRING_START_NEXT);
        imu = daemon_entry(&bus, "imu");
        odom = daemon_entry(&bus, "odom");
        assert_int_equal(shmctl(imu.data_id, IPC_STAT, &status), 0);
        status.shm_perm.mode = 0;
        assert_int_equal(shmctl(imu.data_id, IPC_SET, &status), 0);
        address = shmat(odom.data_id, NULL, 0);
        assert_ptr_not_equal(address, (void *) -1);
        memset(address, 0xee, offsetof(struct layout_header, state));
        assert_int_equal(shmdt(address), 0);
        directory_spoil(offsetof(struct layout_header, layout_version), 77);
        expect_force(subscriber, "version");
        assert_true(objects_are_gone(&imu));
        assert_true(objects_are_gone(&odom));
}

/* Words and stamps of the directory's ring: nobody can read a table from it any more. */
static void test_a_directory_without_a_table_needs_force(void **state) {
        const size_t words = header_directory(0).words_offset,
                     slots = header_directory(0).slots_offset;
        const struct {
                size_t offset;
                uint32_t value;
        } spoils[] = {
                {words + offsetof(struct layout_words, head), 0},
                {words + offsetof(struct layout_words, head), 0xffffffff},
                {slots + 4, 0xffffffff},
        };
        struct slipring_subscriber *subscriber;
        struct layout_entry imu;
        size_t i;

        for (i = 0; i < sizeof(spoils) / sizeof(spoils[0]); i++) {
                leave_bus();
                subscriber = subscriber_open("imu", SLIPRING_START_NEXT);
                imu = daemon_entry(&bus, "imu");
                directory_spoil(spoils[i].offset, spoils[i].value);
                directory_spoil(spoils[i].offset +
                                        (i == 2 ? header_directory(0).slot_stride_bytes : 4),
                                i == 0 ? 0 : spoils[i].value);
                daemon_spawn(&bus, NULL);
                assert_int_equal(daemon_wait(&bus), 1);
                daemon_expect(&bus, "its directory is corrupt");
                expect_force(subscriber, "its directory is corrupt");
                assert_true(objects_are_gone(&imu));
        }
}

/* Who is told looks for a successor, and is not told of a publisher's tricks. */
static void test_after_force_clients_wait_for_the_next_bus(void **state) {
        struct slipring_subscriber *subscriber;
        struct slipring_error error = {0};

        leave_bus();
        subscriber = subscriber_open("imu", SLIPRING_START_NEXT);
        directory_spoil(offsetof(struct layout_header, layout_version), 77);
        assert_int_equal(down("--force", NULL), 0);
        assert_int_equal(slipring_subscriber_wait(subscriber, SLIPRING_FOREVER), -EIDRM);
        assert_int_equal(slipring_subscriber_move(subscriber, 0, &error), -ENOENT);
        daemon_start(&bus, NULL);
        assert_int_equal(slipring_subscriber_move(subscriber, 0, &error), 0);
        slipring_subscriber_close(subscriber);
        assert_int_equal(daemon_stop(&bus, SIGTERM), 0);
}

/* A set of semaphores under the bus's key, made by a user who is not trusted, names a process. */
static void test_a_strangers_claim_ends_nobody(void **state) {
        struct sembuf plus = {.sem_op = 1};
        int ready[2], id, status;
        pid_t pid;
        char byte = 0;

        if (geteuid() != 0) {
                skip();
        }
        assert_int_equal(pipe(ready), 0);
        (void) fflush(NULL);
        pid = fork();
        assert_true(pid >= 0);
        if (pid == 0) {
                id = setresuid(OTHER_USER, OTHER_USER, OTHER_USER) < 0
                             ? -1
                             : semget(directory_key(0, bus.bus), 1, IPC_CREAT | IPC_EXCL | 0666);
                byte = id >= 0 && semop(id, &plus, 1) == 0;
                (void) !write(ready[1], &byte, 1);
                (void) pause();
                _exit(0);
        }
        assert_int_equal(read(ready[0], &byte, 1), 1);
        assert_int_equal(byte, 1);
        assert_int_equal(down("-b", bus.bus), 1);
        assert_int_equal(down("--force", NULL), 1);
        assert_int_equal(waitpid(pid, &status, WNOHANG), 0);
        id = semget(directory_key(0, bus.bus), 0, 0);
        assert_int_equal(semctl(id, 0, IPC_RMID), 0);
        assert_int_equal(kill(pid, SIGKILL), 0);
        assert_int_equal(waitpid(pid, &status, 0), pid);
        assert_int_equal(close(ready[0]), 0);
        assert_int_equal(close(ready[1]), 0);
}

/* An entry is believed only where it leads to what it says. */
static void test_force_leaves_what_an_entry_only_points_at(void **state) {
        struct layout_entry imu, odom;
        struct shmid_ds status;
        key_t key = (key_t) (0x51000000 | (getpid() & 0xffffff));
        int stranger = shmget(key, 4096, IPC_CREAT | IPC_EXCL | 0600);

        assert_true(stranger >= 0);
        leave_bus();
        imu = daemon_entry(&bus, "imu");
        odom = daemon_entry(&bus, "odom");
        entries_lead_to("imu", key, stranger);
        directory_spoil(offsetof(struct layout_header, layout_version), 77);
        /* imu's data is found by its instance. */
        assert_int_equal(down("--force", NULL), 0);
        assert_output("%s: removed, 2 topics found by force", bus.bus);
        assert_true(objects_are_gone(&imu));
        assert_true(objects_are_gone(&odom));
        assert_int_equal(shmctl(stranger, IPC_STAT, &status), 0);
        assert_int_equal(shmctl(stranger, IPC_RMID, NULL), 0);
}

static void test_corrupt_directory_is_refused_by_the_manager_too(void **state) {
        leave_bus();
        directory_spoil(offsetof(struct layout_header, depth), 12345);
        daemon_spawn(&bus, NULL);
        assert_int_equal(daemon_wait(&bus), 1);
        daemon_expect(&bus, "error: ");
        directory_spoil(offsetof(struct layout_header, depth), 2);
        daemon_start(&bus, NULL);
        assert_int_equal(daemon_stop(&bus, SIGTERM), 0);
}

/* --- up --- */

static void test_up_is_the_manager_in_the_foreground(void **state) {
        const char *daemon_path = program_path("SLIPRINGD");

        assert_int_equal(setenv("SLIPRINGD", program_path("SLIPRING"), 1), 0);
        daemon_start(&bus, "up", NULL);
        (void) daemon_entry(&bus, "imu");
        assert_int_equal(daemon_stop(&bus, SIGINT), 0);
        assert_false(daemon_bus_exists(&bus));
        daemon_start(&bus, "up", "--keep", NULL);
        assert_int_equal(daemon_stop(&bus, SIGINT), 0);
        assert_true(daemon_bus_exists(&bus));
        assert_int_equal(down(NULL, NULL), 0);
        daemon_schema(&bus, "topics: 7\n");
        daemon_spawn(&bus, "up", NULL);
        assert_int_equal(daemon_wait(&bus), 1);
        daemon_spawn(&bus, "up", "two", NULL);
        assert_int_equal(daemon_wait(&bus), 2);
        assert_int_equal(setenv("SLIPRINGD", daemon_path, 1), 0);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(test_asks_a_running_manager_even_one_that_keeps,
                                                setup, teardown),
                cmocka_unit_test_setup_teardown(test_removes_what_an_ended_manager_left, setup,
                                                teardown),
                cmocka_unit_test_setup_teardown(test_removes_what_a_killed_manager_left, setup,
                                                teardown),
                cmocka_unit_test_setup_teardown(test_without_a_name_it_is_the_default_bus, setup,
                                                teardown),
                cmocka_unit_test_setup_teardown(test_only_bus_needs_no_name, setup, teardown),
                cmocka_unit_test_setup_teardown(test_says_which_bus_is_not_there, setup, teardown),
                cmocka_unit_test_setup_teardown(test_half_made_directory_is_removed, setup,
                                                teardown),
                cmocka_unit_test_setup_teardown(test_stranger_may_not_take_it_down, setup,
                                                teardown),
                cmocka_unit_test_setup_teardown(test_a_stopped_manager_is_named, setup, teardown),
                cmocka_unit_test_setup_teardown(test_root_takes_down_another_users_bus, setup,
                                                teardown),
                cmocka_unit_test_setup_teardown(test_root_forces_a_trusted_users_bus, setup,
                                                teardown),
                cmocka_unit_test_setup_teardown(test_force_leaves_the_users_other_buses, setup,
                                                teardown),
                cmocka_unit_test_setup_teardown(test_other_layout_version_needs_force, setup,
                                                teardown),
                cmocka_unit_test_setup_teardown(test_what_a_scribbled_directory_led_to_is_removed,
                                                setup, teardown),
                cmocka_unit_test_setup_teardown(test_force_takes_what_was_locked_or_spoiled_too,
                                                setup, teardown),
                cmocka_unit_test_setup_teardown(test_a_directory_without_a_table_needs_force, setup,
                                                teardown),
                cmocka_unit_test_setup_teardown(test_after_force_clients_wait_for_the_next_bus,
                                                setup, teardown),
                cmocka_unit_test_setup_teardown(test_a_strangers_claim_ends_nobody, setup,
                                                teardown),
                cmocka_unit_test_setup_teardown(test_force_leaves_what_an_entry_only_points_at,
                                                setup, teardown),
                cmocka_unit_test_setup_teardown(
                        test_corrupt_directory_is_refused_by_the_manager_too, setup, teardown),
                cmocka_unit_test_setup_teardown(test_up_is_the_manager_in_the_foreground, setup,
                                                teardown),
        };

        private_namespace = ipc_private(false);
        return cmocka_run_group_tests(tests, NULL, NULL);
}
