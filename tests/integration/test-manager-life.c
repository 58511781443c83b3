/*
 * The life of a manager: it makes a bus, is killed, adopts the bus, and ends in either way.
 */

#include <errno.h>
#include <fcntl.h>
#include <pty.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <slipring/publisher.h>
#include <slipring/subscriber.h>

#include "tests/harness/daemon.h"

#define TOPICS                                                                                     \
        "topics:\n"                                                                                \
        "  imu: {depth: 64, rate: 200 Hz, fields: {number: uint64, words: \"uint64[7]\"}}\n"       \
        "  odom: {fields: {x: float64}, mode: \"0600\"}\n"

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

static void test_creates_what_the_schema_names(void **state) {
        struct layout_entry entry;

        daemon_start(&bus, NULL);
        entry = daemon_entry(&bus, "imu");
        assert_int_equal(entry.depth, 64);
        assert_int_equal(entry.payload_bytes, 64);
        assert_int_equal(entry.uid, geteuid());
        assert_int_equal(entry.mode, 0640);
        assert_int_equal(entry.waiters, LAYOUT_WAITERS_DEFAULT);
        assert_int_equal(entry.deadline_ns, 15000000);
        assert_int_equal(daemon_entry(&bus, "odom").mode, 0600);
        assert_int_equal(daemon_stop(&bus, SIGTERM), 0);
        daemon_expect(&bus, "the bus is removed");
}

static void test_interrupt_removes_the_bus(void **state) {
        daemon_start(&bus, NULL);
        assert_int_equal(daemon_stop(&bus, SIGINT), 0);
        assert_false(daemon_bus_exists(&bus));
}

static void test_keep_leaves_the_bus_to_the_next_manager(void **state) {
        struct layout_entry before, after;

        daemon_start(&bus, "--keep", NULL);
        before = daemon_entry(&bus, "imu");
        assert_int_equal(daemon_stop(&bus, SIGTERM), 0);
        daemon_expect(&bus, "the bus stays");
        assert_true(daemon_bus_exists(&bus));
        daemon_spawn(&bus, NULL);
        daemon_expect(&bus, "imu: adopted");
        daemon_expect(&bus, "odom: adopted");
        daemon_expect(&bus, "serving");
        after = daemon_entry(&bus, "imu");
        assert_memory_equal(&before, &after, sizeof(before));
        assert_int_equal(daemon_stop(&bus, SIGTERM), 0);
}

static void test_user_signal_removes_even_with_keep(void **state) {
        daemon_start(&bus, "--keep", NULL);
        assert_int_equal(daemon_stop(&bus, SIGUSR1), 0);
        daemon_expect(&bus, "the bus is removed");
}

static void test_second_manager_is_refused_with_the_pid_of_the_first(void **state) {
        struct daemon second = bus;
        char text[64];

        daemon_start(&bus, NULL);
        second.read_bytes = bus.read_bytes;
        daemon_spawn(&second, NULL);
        assert_int_equal(daemon_wait(&second), 1);
        (void) snprintf(text, sizeof(text), "has a manager already, pid %d", (int) bus.pid);
        daemon_expect(&bus, text);
        (void) daemon_entry(&bus, "imu");
        assert_int_equal(daemon_stop(&bus, SIGTERM), 0);
}

/* --- live clients --- */

#define SAMPLES 2000u /* no more than the ring of the test holds */

static int publish_at_1_khz(void *argument) {
        struct slipring_publisher *publisher = publisher_open("imu");
        struct timespec pause = {.tv_nsec = 1000000};
        uint64_t i;

        for (i = 1; i <= SAMPLES; i++) {
                struct message message = message_make(i);

                if (slipring_publisher_publish(publisher, &message, sizeof(message), 0) < 0) {
                        return 1;
                }
                (void) clock_nanosleep(CLOCK_MONOTONIC, 0, &pause, NULL);
        }
        slipring_publisher_close(publisher);
        return 0;
}

/* Waits for all of them, so nothing may be missed, and nobody may notice the manager's death. */
static int subscribe_to_all(void *argument) {
        struct slipring_subscriber *subscriber = subscriber_open("imu", SLIPRING_START_OLDEST);
        struct slipring_sample sample;
        struct message message;
        uint64_t next = 1;
        int r;

        while (next <= SAMPLES) {
                r = slipring_subscriber_take(subscriber, &message, sizeof(message), &sample);
                if (r == 0) {
                        r = slipring_subscriber_wait(subscriber, slipring_in_ms(20000));
                        if (r < 0) {
                                return 1;
                        }
                        continue;
                }
                if (r < 0 || !message_whole(&message) || sample.missed > 0 ||
                    message.number != next++) {
                        return 2;
                }
        }
        slipring_subscriber_close(subscriber);
        return 0;
}

static void test_clients_do_not_notice_that_the_manager_is_killed(void **state) {
        struct layout_entry before, after;
        pid_t publisher, subscriber;
        int i;

        /* All of them: a busy machine may hold up either for a while. */
        daemon_schema(&bus,
                      "topics:\n"
                      "  imu: {depth: 2048, fields: {number: uint64, words: \"uint64[7]\"}}\n");
        daemon_start(&bus, NULL);
        before = daemon_entry(&bus, "imu");
        subscriber = process_start(subscribe_to_all, NULL);
        publisher = process_start(publish_at_1_khz, NULL);
        for (i = 0; i < 5; i++) {
                daemon_kill(&bus);
                daemon_spawn(&bus, NULL);
                daemon_expect(&bus, "imu: adopted");
                daemon_expect(&bus, "serving");
                after = daemon_entry(&bus, "imu");
                assert_int_equal(after.data_id, before.data_id);
                assert_int_equal(after.claim_id, before.claim_id);
                assert_int_equal(after.board_id, before.board_id);
        }
        assert_int_equal(process_wait(publisher), 0);
        assert_int_equal(process_wait(subscriber), 0);
        assert_int_equal(daemon_stop(&bus, SIGTERM), 0);
}

/* --- refusing to start --- */

static void test_schema_with_errors_makes_nothing(void **state) {
        daemon_schema(&bus, "topics:\n  imu: {fields: {x: float65}}\n");
        daemon_spawn(&bus, NULL);
        assert_int_equal(daemon_wait(&bus), 1);
        daemon_expect(&bus, "bus.yaml:4:21: error: ");
        assert_false(daemon_bus_exists(&bus));
}

/* What slipringd prints on standard output when it is asked for @option. */
static void expect_printed(const char *option, const char *text) {
        char command[256], printed[4096];
        FILE *pipe;

        (void) snprintf(command, sizeof(command), "'%s' %s", program_path("SLIPRINGD"), option);
        pipe = popen(command, "re");
        assert_non_null(pipe);
        printed[fread(printed, 1, sizeof(printed) - 1, pipe)] = '\0';
        assert_int_equal(pclose(pipe), 0);
        assert_non_null(strstr(printed, text));
}

static void test_help_and_version(void **state) {
        expect_printed("--help", "usage: slipringd [OPTION...] SCHEMA\n");
        expect_printed("-h", "SIGHUP");
        expect_printed("-V", "slipringd 0.");
        assert_false(daemon_bus_exists(&bus));
}

static void test_wrong_usage_ends_with_2(void **state) {
        daemon_spawn(&bus, "another.yaml", NULL);
        assert_int_equal(daemon_wait(&bus), 2);
        daemon_expect(&bus, "usage: slipringd");
        daemon_spawn(&bus, "--no-such-option", NULL);
        assert_int_equal(daemon_wait(&bus), 2);
        daemon_expect(&bus, "usage: slipringd");
}

static void test_quiet_says_warnings_only(void **state) {
        daemon_spawn(&bus, "--quiet", NULL);
        daemon_await_bus(&bus);
        assert_int_equal(daemon_stop(&bus, SIGTERM), 0);
        assert_false(daemon_logged(&bus, "serving"));
        assert_false(daemon_logged(&bus, "created"));
}

/* --- terminals --- */

static void take_terminal(void *argument) {
        int fd = *(int *) argument;

        (void) setsid();
        (void) ioctl(fd, TIOCSCTTY, 0);
        (void) dup2(fd, STDIN_FILENO);
}

/* What a closed terminal sends is also what asks for a reload. */
static void test_closed_terminal_ends_it(void **state) {
        int master, slave;

        assert_int_equal(openpty(&master, &slave, NULL, NULL, NULL), 0);
        assert_int_equal(fcntl(master, F_SETFD, FD_CLOEXEC), 0);
        bus.prepare = take_terminal;
        bus.argument = &slave;
        daemon_start(&bus, NULL);
        (void) close(slave);
        /* Alive, it is a reload. */
        daemon_signal(&bus, SIGHUP);
        daemon_expect(&bus, "reloaded");
        (void) close(master);
        assert_int_equal(daemon_wait(&bus), 0);
        daemon_expect(&bus, "the bus is removed");
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(test_creates_what_the_schema_names, setup,
                                                teardown),
                cmocka_unit_test_setup_teardown(test_interrupt_removes_the_bus, setup, teardown),
                cmocka_unit_test_setup_teardown(test_keep_leaves_the_bus_to_the_next_manager, setup,
                                                teardown),
                cmocka_unit_test_setup_teardown(test_user_signal_removes_even_with_keep, setup,
                                                teardown),
                cmocka_unit_test_setup_teardown(
                        test_second_manager_is_refused_with_the_pid_of_the_first, setup, teardown),
                cmocka_unit_test_setup_teardown(
                        test_clients_do_not_notice_that_the_manager_is_killed, setup, teardown),
                cmocka_unit_test_setup_teardown(test_schema_with_errors_makes_nothing, setup,
                                                teardown),
                cmocka_unit_test_setup_teardown(test_help_and_version, setup, teardown),
                cmocka_unit_test_setup_teardown(test_wrong_usage_ends_with_2, setup, teardown),
                cmocka_unit_test_setup_teardown(test_quiet_says_warnings_only, setup, teardown),
                cmocka_unit_test_setup_teardown(test_closed_terminal_ends_it, setup, teardown),
        };

        (void) ipc_private(false);
        return cmocka_run_group_tests(tests, NULL, NULL);
}
