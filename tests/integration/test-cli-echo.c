/*
 * slipring echo: shapes, ends, losses, and a topic that goes and comes.
 */

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <slipring/publisher.h>
#include <slipring/subscriber.h>

#include "tests/harness/command.h"

static struct bus bus;

static void start(uint32_t depth) {
        const struct topic_spec spec = reading_topic("imu", depth);

        bus_start(&bus, &spec, 1);
}

static struct reading fixed(unsigned number) {
        struct reading reading = reading_make(number);

        reading.sec = 12;
        reading.nanosec = 34;
        return reading;
}

static void publish(struct slipring_publisher *publisher, unsigned number) {
        const struct reading reading = fixed(number);

        assert_int_equal(slipring_publisher_publish(publisher, &reading, sizeof(reading), 5), 0);
}

static void test_shapes(void **state) {
        struct slipring_publisher *publisher;
        struct command command;

        start(4);
        publisher = publisher_open("imu");
        publish(publisher, 7);
        command_run(&command, "echo", "imu", "--once", "-l", "2");
        command_expect_code(&command, 0);
        command_expect_err(&command, "");
        command_expect_out(&command, "stamp:\n  sec: 12\n  nanosec: 34\n"
                                     "position:\n  x: 7.0\n  y: 0.5\n"
                                     "values:\n- 0.1\n- 0.0\n- '...'\n"
                                     "status: 7\n"
                                     "flags:\n- 0\n- 0\n- '...'\n---\n");
        command_free(&command);
        command_run(&command, "echo", "/imu", "-n", "1", "--flow", "-l", "1");
        command_expect_out(&command, "{stamp: {sec: 12, nanosec: 34}, position: {x: 7.0, y: 0.5}, "
                                     "values: [0.1, '...'], status: 7, flags: [0, '...']}\n---\n");
        command_free(&command);
        command_run(&command, "echo", "imu", "--once", "--field", "position");
        command_expect_out(&command, "x: 7.0\ny: 0.5\n---\n");
        command_free(&command);
        command_run(&command, "echo", "imu", "--once", "--field", "values[0]");
        command_expect_out(&command, "0.1\n---\n");
        command_free(&command);
        command_run(&command, "echo", "imu", "--once", "--csv", "--field", "position");
        command_expect_out(&command, "position.x,position.y\n7.0,0.5\n");
        command_free(&command);
        command_run(&command, "echo", "imu", "--once", "--csv", "--field", "position.y");
        command_expect_out(&command, "position.y\n0.5\n");
        command_free(&command);
        slipring_publisher_close(publisher);
        bus_stop(&bus);
}

static void test_json_is_whole(void **state) {
        struct slipring_publisher *publisher;
        struct command command;

        start(4);
        publisher = publisher_open("imu");
        publish(publisher, 7);
        command_run(&command, "echo", "imu", "--once", "--json");
        command_expect_code(&command, 0);
        command_expect_json(&command, true);
        command_expect_out_has(&command, "{\"topic\": \"imu\", \"sequence\": 1, ");
        command_expect_out_has(&command, "\"source_time_ns\": 5, \"epoch\": 1, \"missed\": 0, "
                                         "\"message\": {\"stamp\": {\"sec\": 12, ");
        command_expect_out_lacks(&command, "...");
        command_free(&command);
        command_run(&command, "echo", "imu", "--once", "--json", "--field", "status");
        command_expect_json(&command, true);
        command_expect_out_has(&command, "\"message\": 7}\n");
        command_free(&command);
        slipring_publisher_close(publisher);
        bus_stop(&bus);
}

static void test_wrong_fields_are_guessed(void **state) {
        struct command command;

        start(4);
        command_run(&command, "echo", "imu", "--field", "positoin.x");
        command_expect_code(&command, 2);
        command_expect_err_has(&command, "has no field 'positoin'; did you mean 'position'?");
        command_free(&command);
        command_run(&command, "echo", "imu", "--field", "flags[200]");
        command_expect_code(&command, 2);
        command_expect_err_has(&command, "'flags' has the elements 0 to 199");
        command_free(&command);
        command_run(&command, "echo", "imu", "--csv", "--json");
        command_expect_code(&command, 2);
        command_free(&command);
        command_run(&command, "echo", "imu", "--once", "-n", "3");
        command_expect_code(&command, 2);
        command_free(&command);
        bus_stop(&bus);
}

static int pipe_bytes(int fd) {
        int bytes = 0;

        assert_int_equal(ioctl(fd, FIONREAD, &bytes), 0);
        return bytes;
}

/* Ctrl-C and a kill both end between two documents, and that is no failure. */
static void test_stops_between_samples(void **state) {
        static const int signals[] = {SIGINT, SIGTERM, SIGHUP};
        struct command command;
        pid_t pid;
        size_t i;

        start(8);
        pid = reading_publish("imu", 5);
        for (i = 0; i < 3; i++) {
                command_start(&command, (const char *const[]){"echo", "imu", NULL});
                command_await_out(&command, "---\nstamp:");
                command_stop(&command, signals[i]);
                command_expect_code(&command, 0);
                assert_true(command.out_bytes > 4);
                assert_string_equal(command.out + command.out_bytes - 4, "---\n");
                command_free(&command);
        }
        process_kill(pid);
        bus_stop(&bus);
}

/* As nohup(1) starts it: a hang-up does not end it. */
static void test_an_ignored_signal_stays_ignored(void **state) {
        struct command command;
        pid_t pid;

        start(8);
        pid = reading_publish("imu", 5);
        assert_ptr_not_equal(signal(SIGHUP, SIG_IGN), SIG_ERR);
        command_start(&command, (const char *const[]){"echo", "imu", "-n", "100", NULL});
        assert_ptr_not_equal(signal(SIGHUP, SIG_DFL), SIG_ERR);
        command_await_out(&command, "---\n");
        assert_int_equal(kill(command.pid, SIGHUP), 0);
        command_finish(&command);
        command_expect_code(&command, 0);
        command_free(&command);
        process_kill(pid);
        bus_stop(&bus);
}

/* Also when nobody reads what it says: what was begun is written to the end. */
static void test_stops_between_samples_in_a_full_pipe(void **state) {
        struct command command;
        int before;
        pid_t pid;

        start(8);
        pid = reading_publish("imu", 1);
        command_start(&command, (const char *const[]){"echo", "imu", "-f", NULL});
        /* Full once nothing more comes: how much that is depends on how messages fill pages. */
        do {
                before = pipe_bytes(command.out_fd);
                (void) usleep(300000);
        } while (before == 0 || pipe_bytes(command.out_fd) > before);
        command_stop(&command, SIGINT);
        command_expect_code(&command, 0);
        assert_string_equal(command.out + command.out_bytes - 4, "---\n");
        command_free(&command);
        process_kill(pid);
        bus_stop(&bus);
}

/* A reader that has enough ends it without a word. */
static void test_ends_with_its_reader(void **state) {
        struct command command;
        pid_t pid;

        start(8);
        pid = reading_publish("imu", 5);
        command_start(&command, (const char *const[]){"echo", "imu", NULL});
        command_await_out(&command, "---\n");
        (void) close(command.out_fd);
        command.out_fd = -1;
        command_finish(&command);
        command_expect_code(&command, 128 + SIGPIPE);
        command_expect_err(&command, "");
        command_free(&command);
        process_kill(pid);
        bus_stop(&bus);
}

static void test_losses_are_told(void **state) {
        struct slipring_publisher *publisher;
        struct command command;
        unsigned i;
        int status;

        start(4);
        publisher = publisher_open("imu");
        publish(publisher, 1);
        command_start(&command, (const char *const[]){"echo", "imu", "--field", "status", NULL});
        command_await_out(&command, "1\n---\n");
        assert_int_equal(kill(command.pid, SIGSTOP), 0);
        assert_int_equal(waitpid(command.pid, &status, WUNTRACED), command.pid);
        assert_true(WIFSTOPPED(status));
        for (i = 2; i <= 21; i++) {
                publish(publisher, i);
        }
        assert_int_equal(kill(command.pid, SIGCONT), 0);
        command_await_out(&command, "21\n---\n");
        command_stop(&command, SIGINT);
        command_expect_code(&command, 0);
        /* 20 came, the ring of four keeps the newest three or four of them readable. */
        command_expect_err_has(&command, "A message was lost!!!\n\ttotal count change:16\n"
                                         "\ttotal count: 16\n");
        command_expect_out(&command, "1\n---\n18\n---\n19\n---\n20\n---\n21\n---\n");
        command_free(&command);
        slipring_publisher_close(publisher);
        bus_stop(&bus);
}

static void test_silence_times_out(void **state) {
        struct command command;

        start(4);
        command_run(&command, "echo", "imu", "--timeout", "0.2");
        command_expect_code(&command, 124);
        command_expect_out(&command, "");
        command_expect_err(&command, "slipring echo: no sample of topic 'imu' for 0.2 s\n");
        command_free(&command);
        command_run(&command, "echo", "gps", "--wait", "--timeout", "0.2");
        command_expect_code(&command, 124);
        command_expect_err_has(&command, "waiting for topic 'gps'...");
        command_free(&command);
        command_run(&command, "echo", "imu", "--timeout", "-1");
        command_expect_code(&command, 2);
        command_free(&command);
        bus_stop(&bus);
}

static void test_waits_for_bus_and_topic_if_asked(void **state) {
        struct topic_spec specs[] = {reading_topic("imu", 4), reading_topic("gps", 4)};
        struct slipring_publisher *publisher;
        struct command command;

        bus_start(&bus, specs, 1);
        command_start(&command, (const char *const[]){"echo", "gps", "--wait", "--once", "--field",
                                                      "status", NULL});
        command_await_err(&command, "waiting for topic 'gps'...\n");
        bus_apply(&bus, specs, 2);
        publisher = publisher_open("gps");
        publish(publisher, 9);
        command_finish(&command);
        command_expect_code(&command, 0);
        command_expect_out(&command, "9\n---\n");
        command_free(&command);
        /* Ctrl-C while it waits. */
        command_start(&command, (const char *const[]){"echo", "lidar", "--wait", NULL});
        command_await_err(&command, "waiting for topic 'lidar'...\n");
        command_stop(&command, SIGINT);
        command_expect_code(&command, 0);
        command_free(&command);
        slipring_publisher_close(publisher);
        bus_stop(&bus);
}

static void test_replaced_topic_is_followed(void **state) {
        struct topic_spec spec = reading_topic("imu", 4);
        struct slipring_publisher *publisher;
        struct command command;

        bus_start(&bus, &spec, 1);
        publisher = publisher_open("imu");
        publish(publisher, 1);
        command_start(&command,
                      (const char *const[]){"echo", "imu", "--csv", "--field", "status", NULL});
        command_await_out(&command, "status\n1\n");
        spec.depth = 6;
        bus_apply(&bus, &spec, 1);
        command_await_err(&command, "topic 'imu' was replaced, going on with its successor\n");
        assert_int_equal(slipring_publisher_move(publisher, 0, NULL), 0);
        publish(publisher, 2);
        command_await_out(&command, "2\n");
        command_stop(&command, SIGINT);
        command_expect_code(&command, 0);
        /* No second header: it is the same type. */
        command_expect_out(&command, "status\n1\n2\n");
        command_free(&command);
        slipring_publisher_close(publisher);
        bus_stop(&bus);
}

static void test_replaced_topic_may_have_another_type(void **state) {
        struct topic_spec spec = reading_topic("imu", 4), other = topic_of("imu", 4);
        struct slipring_publisher *publisher;
        struct command command;
        struct message message = message_make(1);

        bus_start(&bus, &spec, 1);
        command_start(&command, (const char *const[]){"echo", "imu", "--csv", NULL});
        command_await_out(&command, "stamp.sec,");
        bus_apply(&bus, &other, 1);
        command_await_err(&command, "was replaced");
        publisher = publisher_open("imu");
        assert_int_equal(slipring_publisher_publish(publisher, &message, sizeof(message), 0), 0);
        command_await_out(&command, "\nnumber,words[0],");
        command_await_out(&command, "\n1,");
        command_stop(&command, SIGINT);
        command_expect_code(&command, 0);
        command_free(&command);
        slipring_publisher_close(publisher);
        bus_stop(&bus);
}

static void test_topic_that_is_gone_ends_it(void **state) {
        struct topic_spec specs[] = {reading_topic("gps", 4), reading_topic("imu", 4)};
        struct command command, patient;

        bus_start(&bus, specs, 2);
        command_start(&command, (const char *const[]){"echo", "imu", "--csv", NULL});
        command_start(&patient, (const char *const[]){"echo", "imu", "--csv", "--wait", NULL});
        command_await_out(&command, "\n");
        command_await_out(&patient, "\n");
        bus_apply(&bus, specs, 1);
        command_finish(&command);
        command_expect_code(&command, 1);
        command_expect_err_has(&command, "topic 'imu' was retired: ");
        command_free(&command);
        /* Unless it is to wait. */
        command_await_err(&patient, "topic 'imu' is gone, waiting for it...\n");
        bus_apply(&bus, specs, 2);
        command_await_err(&patient, "going on with its successor\n");
        command_stop(&patient, SIGINT);
        command_expect_code(&patient, 0);
        command_free(&patient);
        bus_stop(&bus);
}

/* The publisher dies, another one takes over: to a subscriber it is one topic. */
static void test_killed_publisher_and_its_successor(void **state) {
        struct slipring_publisher *publisher;
        struct command command;
        pid_t pid;

        start(8);
        pid = reading_publish("imu", 5);
        command_start(&command,
                      (const char *const[]){"echo", "imu", "--flow", "--field", "position", NULL});
        command_await_out(&command, "---\n");
        process_kill(pid);
        publisher = publisher_open("imu");
        publish(publisher, 1000000);
        command_await_out(&command, "{x: 1000000.0, y: 0.5}\n---\n");
        command_stop(&command, SIGINT);
        command_expect_code(&command, 0);
        command_free(&command);
        slipring_publisher_close(publisher);
        bus_stop(&bus);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_shapes),
                cmocka_unit_test(test_json_is_whole),
                cmocka_unit_test(test_wrong_fields_are_guessed),
                cmocka_unit_test(test_stops_between_samples),
                cmocka_unit_test(test_an_ignored_signal_stays_ignored),
                cmocka_unit_test(test_stops_between_samples_in_a_full_pipe),
                cmocka_unit_test(test_ends_with_its_reader),
                cmocka_unit_test(test_losses_are_told),
                cmocka_unit_test(test_silence_times_out),
                cmocka_unit_test(test_waits_for_bus_and_topic_if_asked),
                cmocka_unit_test(test_replaced_topic_is_followed),
                cmocka_unit_test(test_replaced_topic_may_have_another_type),
                cmocka_unit_test(test_topic_that_is_gone_ends_it),
                cmocka_unit_test(test_killed_publisher_and_its_successor),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
