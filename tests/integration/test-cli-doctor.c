/*
 * slipring doctor: what is wrong is found, and what is right is not.
 *
 * The machine that tests run on may have problems of its own, so that findings about the bus are
 * what is looked at.
 */

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/ipc.h>
#include <sys/shm.h>
#include <unistd.h>

#include <slipring/publisher.h>

#include "tests/harness/command.h"

#define NOBODY 65534

static struct bus bus;

static void start(void) {
        const struct topic_spec spec = reading_topic("imu", 8);

        bus_start(&bus, &spec, 1);
}

/* "LEVEL  bus USER/BUSREST" stands at the start of a line. */
static bool found(const struct command *command, const char *level, const char *rest) {
        char text[256];

        (void) snprintf(text, sizeof(text), "/%s%s", bus.name, rest);
        for (const char *at = command->out; (at = strstr(at, text)); at++) {
                const char *line = at;

                while (line > command->out && line[-1] != '\n') {
                        line--;
                }
                if (strncmp(line, level, strlen(level)) == 0) {
                        return true;
                }
        }
        return false;
}

static void expect(const struct command *command, const char *level, const char *rest) {
        if (!found(command, level, rest)) {
                print_message("%s\n%s\n", command->out, command->err);
                fail_msg("no %s '%s'", level, rest);
        }
}

static void test_machine_is_described(void **state) {
        static const char *const subjects[] = {
                " kernel: Linux ", " wait path: ", " SHMMNI: ",      " SHMALL: ",
                " SHMMAX: ",       " SEMMNI: ",    " memlock: ",     " huge pages: ",
                " clock: ",        " logind: ",    " system user: ", " kernel.shm_rmid_forced: "};
        struct command command;
        size_t i;

        start();
        command_run(&command, "doctor");
        for (i = 0; i < sizeof(subjects) / sizeof(subjects[0]); i++) {
                command_expect_out_has(&command, subjects[i]);
        }
        command_expect_err(&command, "");
        command_free(&command);
        command_run(&command, "doctor", "--json");
        command_expect_json(&command, false);
        command_free(&command);
        bus_stop(&bus);
}

static void test_wait_path_is_the_one_that_runs(void **state) {
        struct command command;

        start();
        assert_int_equal(setenv("SLIPRING_DISABLE", "io_uring,futex_waitv,populate", 1), 0);
        command_run(&command, "doctor");
        command_expect_out_has(&command, "wait sets use one helper thread a topic\n");
        command_expect_out_has(&command, "populate disabled by SLIPRING_DISABLE\n");
        command_free(&command);
        assert_int_equal(unsetenv("SLIPRING_DISABLE"), 0);
        bus_stop(&bus);
}

static void test_healthy_bus(void **state) {
        struct command command;
        pid_t pid;

        start();
        pid = reading_publish("imu", 10);
        command_run(&command, "doctor");
        expect(&command, "ok ", ": managed by ");
        assert_false(found(&command, "problem", ""));
        command_free(&command);
        process_kill(pid);
        bus_stop(&bus);
}

static void test_stale_topics(void **state) {
        struct slipring_publisher *publisher;
        struct command command;

        start();
        command_run(&command, "doctor");
        command_expect_code(&command, 1);
        expect(&command, "problem", ", topic imu: stale: no publisher\n         -> start its");
        command_free(&command);
        publisher = publisher_open("imu");
        command_run(&command, "doctor");
        command_expect_code(&command, 1);
        expect(&command, "problem", ", topic imu: stale: publisher ");
        command_free(&command);
        slipring_publisher_close(publisher);
        bus_stop(&bus);
}

static void test_bus_without_manager(void **state) {
        struct command command;

        start();
        bus_abandon(&bus);
        command_run(&command, "doctor");
        command_expect_code(&command, 1);
        expect(&command, "problem", ": no manager: ");
        command_free(&command);
        bus_resume(&bus);
        bus_stop(&bus);
}

static void test_missing_bus(void **state) {
        struct command command;

        command_run(&command, "doctor", "-b", "test_no_such_bus");
        command_expect_code(&command, 1);
        command_expect_out_has(&command, "problem  bus: there is no bus 'test_no_such_bus'; ");
        command_free(&command);
}

/* An owner can change the mode of its own segment. */
static void test_changed_segment(void **state) {
        struct shmid_ds status;
        struct command command;
        int id;

        start();
        id = registry_entry(bus.registry, 0)->data_id;
        assert_int_equal(shmctl(id, IPC_STAT, &status), 0);
        status.shm_perm.mode = 0644;
        assert_int_equal(shmctl(id, IPC_SET, &status), 0);
        command_run(&command, "doctor");
        command_expect_code(&command, 1);
        expect(&command, "problem", ", topic imu: topic 'imu': its segment was changed");
        command_free(&command);
        bus_stop(&bus);
}

/* A segment of the bus that its directory does not know: what no manager ever removes. */
static void test_orphaned_segment(void **state) {
        const struct layout_entry *entry;
        struct command command;
        void *from, *to;
        char text[96];
        int id;

        start();
        entry = registry_entry(bus.registry, 0);
        id = shmget((key_t) (0x51000000 + getpid()), entry->segment_bytes,
                    IPC_CREAT | IPC_EXCL | 0600);
        assert_true(id >= 0);
        from = shmat(entry->data_id, NULL, SHM_RDONLY);
        to = shmat(id, NULL, 0);
        assert_true(from != (void *) -1 && to != (void *) -1);
        memcpy(to, from, sizeof(struct layout_header));
        assert_int_equal(shmdt(from), 0);
        assert_int_equal(shmdt(to), 0);
        command_run(&command, "doctor");
        assert_int_equal(shmctl(id, IPC_RMID, NULL), 0);
        command_expect_code(&command, 1);
        (void) snprintf(text, sizeof(text), ": segment %d belongs to this bus, but ", id);
        expect(&command, "problem", text);
        command_free(&command);
        bus_stop(&bus);
}

static int squat(void *argument) {
        const key_t *key = argument;

        if (setgid(NOBODY) < 0 || setuid(NOBODY) < 0) {
                return 1;
        }
        return shmget(*key, 4096, IPC_CREAT | IPC_EXCL | 0666) < 0 ? 1 : 0;
}

/* Somebody else was first to create a segment with our directory's key. */
static void test_squatted_key(void **state) {
        struct command command;
        key_t key;
        int id;

        if (geteuid() != 0) {
                skip();
        }
        (void) snprintf(bus.name, sizeof(bus.name), "test%dsquat", (int) getpid());
        key = directory_key(geteuid(), bus.name);
        assert_int_equal(process_wait(process_start(squat, &key)), 0);
        command_run(&command, "doctor", "-b", bus.name);
        id = shmget(key, 0, 0);
        assert_true(id >= 0);
        assert_int_equal(shmctl(id, IPC_RMID, NULL), 0);
        command_expect_code(&command, 1);
        expect(&command, "problem", ": its key 0x");
        command_expect_out_has(&command, "have that user or root remove it with ipcrm -m");
        command_free(&command);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_machine_is_described),
                cmocka_unit_test(test_wait_path_is_the_one_that_runs),
                cmocka_unit_test(test_healthy_bus),
                cmocka_unit_test(test_stale_topics),
                cmocka_unit_test(test_bus_without_manager),
                cmocka_unit_test(test_missing_bus),
                cmocka_unit_test(test_changed_segment),
                cmocka_unit_test(test_orphaned_segment),
                cmocka_unit_test(test_squatted_key),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
