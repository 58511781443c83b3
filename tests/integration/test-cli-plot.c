/*
 * slipring plot: one plot, plots a second, and a terminal of its own.
 */

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <slipring/publisher.h>

#include "tests/harness/command.h"

static struct bus bus;

/* Readings numbered from @first to @last. */
static void publish(const char *topic, unsigned first, unsigned last) {
        struct slipring_publisher *publisher = publisher_open(topic);
        struct reading reading;

        for (unsigned number = first; number <= last; number++) {
                reading = reading_make(number);
                assert_int_equal(
                        slipring_publisher_publish(publisher, &reading, sizeof(reading), 0), 0);
        }
        slipring_publisher_close(publisher);
}

static unsigned count_lines(const char *text) {
        unsigned count = 0;

        for (; *text; text++) {
                count += *text == '\n';
        }
        return count;
}

/* What the rings hold, from the least to the largest, without waiting for more. */
static void test_once_draws_what_is_there(void **state) {
        struct command command;

        reading_bus_start(&bus, 64);
        publish("imu", 3, 40);
        command_run(&command, "plot", "imu.position.x", "imu.status", "--once", "--ascii",
                    "--seconds", "3600");
        command_expect_code(&command, 0);
        command_expect_err(&command, "");
        command_expect_out_has(&command, "* imu.position.x 40 m\n+ imu.status 40\n");
        command_expect_out_has(&command, "\n        40 ");
        command_expect_out_has(&command, "\n         3 ");
        command_expect_out_has(&command, "-3600 s");
        command_expect_out_has(&command, "now\n");
        command_expect_out_lacks(&command, "\033");
        assert_int_equal(count_lines(command.out), 2 + 16 + 1);
        command_free(&command);
        /* All at nearly one time, at the right edge: a column of signs, of the later curve. */
        command_run(&command, "plot", "imu.values[0]", "--once", "--ascii");
        command_expect_out_has(&command, "* imu.values[0] 0.1 V\n");
        command_expect_out_has(&command, "*");
        command_free(&command);
        bus_stop(&bus);
}

/* A sequence of up to three. */
struct few {
        uint32_t length;
        float elements[3];
};

static const struct slipring_field few_fields[] = {
        {"few", "", SLIPRING_KIND_SEQUENCE, 0, 0, sizeof(struct few), 1, 2},
        {"length", "", SLIPRING_KIND_UINT32, 0, 0, 4, 0, 0},
        {"elements", "V", SLIPRING_KIND_FLOAT32, 3, 4, 4, 0, 0},
};

static const struct slipring_type few_type = {
        .version = SLIPRING_TYPE_VERSION,
        .payload_bytes = sizeof(struct few),
        .field_count = 3,
        .root_count = 1,
        .identity = {9},
        .name = "test_msgs/msg/Few",
        .text = "float32[<=3] few\n",
        .fields = few_fields,
};

/* A bus with a topic of them, and its publisher. */
static struct slipring_publisher *few_bus_start(const struct few *few, size_t count) {
        struct topic_spec spec = topic_of("few", 8);
        struct slipring_publisher *publisher;

        spec.type = &few_type;
        bus_start(&bus, &spec, 1);
        publisher = publisher_open("few");
        for (size_t i = 0; i < count; i++) {
                assert_int_equal(slipring_publisher_publish(publisher, &few[i], sizeof(few[i]), 0),
                                 0);
        }
        return publisher;
}

/* What lies behind the end of a sequence is nothing to plot. */
static void test_missing_elements_are_gaps(void **state) {
        static const struct few few[] = {
                {2, {1, 20, 777}}, {1, {1, 999, 777}}, {3, {1, 30, 555}}, {0, {999, 999, 999}}};
        struct slipring_publisher *publisher = few_bus_start(few, 4);
        struct command command;

        slipring_publisher_close(publisher);
        command_run(&command, "plot", "few.few[1]", "--once", "--ascii", "--seconds", "3600");
        command_expect_code(&command, 0);
        command_expect_out_has(&command, "\n        30 ");
        command_expect_out_has(&command, "\n        20 ");
        command_expect_out_lacks(&command, "999");
        command_free(&command);
        command_run(&command, "plot", "few.few[2]", "--once", "--ascii", "--seconds", "3600");
        command_expect_out_lacks(&command, "777");
        command_expect_out_lacks(&command, "999");
        command_expect_out_has(&command, "555");
        command_free(&command);
        command_run(&command, "plot", "few.few", "--once");
        command_expect_code(&command, 2);
        command_expect_err_has(&command, "'few.few' is an array");
        command_free(&command);
        bus_stop(&bus);
}

static void test_labels_have_room(void **state) {
        static const struct few few[] = {{1, {-1.1111e-05f}}, {1, {-2.2222e-30f}}, {1, {-0.5f}}};
        struct slipring_publisher *publisher = few_bus_start(few, 2);
        struct command command;

        command_run(&command, "plot", "few.few[0]", "--once", "--ascii", "--seconds", "3600");
        command_expect_code(&command, 0);
        /* The largest in the first row, the least in the last one. */
        command_expect_out_has(&command, "\n-2.222e-30 ");
        command_expect_out_has(&command, "\n-1.111e-05 ");
        command_free(&command);
        assert_int_equal(slipring_publisher_publish(publisher, &few[2], sizeof(few[2]), 0), 0);
        slipring_publisher_close(publisher);
        command_run(&command, "plot", "few.few[0]", "--once", "--ascii", "--seconds", "3600");
        command_expect_out_has(&command, "\n      -0.5 ");
        command_free(&command);
        bus_stop(&bus);
}

static void test_braille_where_there_is_utf8(void **state) {
        struct command command;

        reading_bus_start(&bus, 64);
        publish("imu", 1, 40);
        (void) setenv("LC_ALL", "C.UTF-8", 1);
        command_run(&command, "plot", "imu.position.x", "--once");
        command_expect_code(&command, 0);
        command_expect_out_has(&command, "⠤ imu.position.x 40 m\n");
        command_free(&command);
        (void) setenv("LC_ALL", "C", 1);
        command_run(&command, "plot", "imu.position.x", "--once");
        command_expect_out_has(&command, "* imu.position.x 40 m\n");
        command_free(&command);
        (void) unsetenv("LC_ALL");
        bus_stop(&bus);
}

static void test_plots_go_on(void **state) {
        struct command command;
        pid_t pid;

        reading_bus_start(&bus, 64);
        pid = reading_publish("imu", 10);
        command_run(&command, "plot", "imu.position.x", "gps.position.x", "-n", "2", "--ascii");
        command_expect_code(&command, 0);
        /* Nothing is published to gps. */
        command_expect_out_has(&command, "\n+ gps.position.x -\n");
        command_expect_out_lacks(&command, "nan");
        assert_int_equal(count_lines(command.out), 2 * (2 + 16 + 1));
        command_free(&command);
        process_kill(pid);
        bus_stop(&bus);
}

/* Taken away it ends, or waits and goes on with the fields of the successor. */
static void test_topic_that_is_gone(void **state) {
        struct topic_spec specs[] = {reading_topic("gps", 4), reading_topic("imu", 64)};
        struct command command, patient;

        bus_start(&bus, specs, 2);
        publish("imu", 1, 3);
        command_start(&command, (const char *const[]){"plot", "imu.status", NULL});
        command_start(&patient, (const char *const[]){"plot", "imu.status", "--wait", NULL});
        command_await_out(&command, "imu.status 3\n");
        command_await_out(&patient, "imu.status 3\n");
        bus_apply(&bus, specs, 1);
        command_finish(&command);
        command_expect_code(&command, 1);
        command_expect_err_has(&command, "topic 'imu' was retired: ");
        command_free(&command);
        command_await_err(&patient, "topic 'imu' is gone, waiting for it...\n");
        bus_apply(&bus, specs, 2);
        command_await_err(&patient, "going on with its successor\n");
        publish("imu", 77, 77);
        command_await_out(&patient, "imu.status 77\n");
        command_stop(&patient, SIGINT);
        command_expect_code(&patient, 0);
        command_free(&patient);
        bus_stop(&bus);
}

static void test_says_what_is_wrong(void **state) {
        const struct {
                const char *field;
                const char *message;
                int code;
        } cases[] = {
                {"imu", "'imu' names no field; write TOPIC.FIELD", 2},
                {"imu.", "'imu.' names no field", 2},
                {"imu.position", "'imu.position' is no number", 2},
                {"imu.values", "name one of its elements, 'imu.values[0]'", 2},
                {"imu.values[3]", "values", 2},
                {"imu.statu", "did you mean 'status'?", 2},
                {"imi.status", "has no topic 'imi'", 1},
        };
        struct command command;

        reading_bus_start(&bus, 64);
        for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
                command_run(&command, "plot", cases[i].field, "--once");
                command_expect_code(&command, cases[i].code);
                command_expect_out(&command, "");
                command_expect_err_has(&command, cases[i].message);
                command_free(&command);
        }
        command_run(&command, "plot", "imu.status", "--once", "--timeout", "0.2");
        command_expect_code(&command, 124);
        command_expect_err_has(&command, "no sample for 0.2 s");
        command_free(&command);
        command_run(&command, "plot", "imu.status", "--once", "-n", "2");
        command_expect_code(&command, 2);
        command_free(&command);
        command_run(&command, "plot", "imu.status", "--seconds", "1e9");
        command_expect_code(&command, 2);
        command_free(&command);
        bus_stop(&bus);
}

static void test_fills_a_terminal_and_gives_it_back(void **state) {
        struct winsize small = {.ws_row = 3, .ws_col = 20};
        struct winsize large = {.ws_row = 20, .ws_col = 100};
        char wide[100];
        struct command command;
        pid_t pid;

        (void) snprintf(wide, sizeof(wide), "-10 s%*snow\033[K", 100 - 11 - 5 - 3, "");
        reading_bus_start(&bus, 64);
        pid = reading_publish("imu", 10);
        command_start_on_terminal(&command, 60, 12,
                                  (const char *const[]){"plot", "imu.position.x", NULL});
        command_await_out(&command, TERMINAL_ENTER);
        command_await_out(&command, " imu.position.x ");
        command_await_out(&command, "now\033[K");
        assert_int_equal(ioctl(command.out_fd, TIOCSWINSZ, &small), 0);
        command_await_out(&command, "the window is too small");
        /* Larger than it was: so many columns. */
        assert_int_equal(ioctl(command.out_fd, TIOCSWINSZ, &large), 0);
        command_await_out(&command, wide);
        command_type(&command, "q");
        command_finish(&command);
        command_expect_code(&command, 0);
        command_expect_out_has(&command, TERMINAL_LEAVE);
        command_free(&command);
        command_start_on_terminal(&command, 60, 12,
                                  (const char *const[]){"plot", "imu.position.x", NULL});
        command_await_out(&command, "now\033[K");
        command_stop(&command, SIGTERM);
        command_expect_code(&command, 0);
        command_expect_out_has(&command, TERMINAL_LEAVE);
        command_free(&command);
        process_kill(pid);
        bus_stop(&bus);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_once_draws_what_is_there),
                cmocka_unit_test(test_missing_elements_are_gaps),
                cmocka_unit_test(test_labels_have_room),
                cmocka_unit_test(test_braille_where_there_is_utf8),
                cmocka_unit_test(test_plots_go_on),
                cmocka_unit_test(test_topic_that_is_gone),
                cmocka_unit_test(test_says_what_is_wrong),
                cmocka_unit_test(test_fills_a_terminal_and_gives_it_back),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
