/*
 * slipring top: rows, JSON, and a terminal of its own.
 */

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

#include <slipring/publisher.h>
#include <slipring/subscriber.h>

#include "tests/harness/command.h"

static struct bus bus;

/* --- rows --- */

static void test_rows(void **state) {
        struct command command;
        char text[32];
        pid_t pid;

        reading_bus_start(&bus, 16);
        pid = reading_publish("imu", 10);
        command_run(&command, "top", "-n", "2");
        command_expect_code(&command, 0);
        command_expect_err(&command, "");
        command_expect_out_has(&command, ": 2 topics, 1 without publisher, 1 stale, ");
        command_expect_out_has(&command, "\nTOPIC  TYPE ");
        command_expect_out_has(&command, "\nimu    Reading  ");
        (void) snprintf(text, sizeof(text), "  %d ", (int) pid);
        command_expect_out_has(&command, text);
        command_expect_out_has(&command, "  STALE  ");
        command_expect_out_lacks(&command, "\033");
        command_free(&command);
        process_kill(pid);
        bus_stop(&bus);
}

static void test_json(void **state) {
        struct command command;
        pid_t pid;

        reading_bus_start(&bus, 16);
        pid = reading_publish("imu", 10);
        command_run(&command, "top", "--json", "-n", "2");
        command_expect_code(&command, 0);
        command_expect_json(&command, true);
        /* It looks often enough to miss nothing of a ring of 16 at 100 Hz. */
        command_expect_out_has(&command, "\"missed\": 0, ");
        command_expect_out_has(&command, "{\"name\": \"gps\", ");
        command_free(&command);
        process_kill(pid);
        bus_stop(&bus);
}

static void test_signals_end_it(void **state) {
        struct command command;

        reading_bus_start(&bus, 16);
        command_start(&command, (const char *const[]){"top", NULL});
        command_await_out(&command, "\ngps ");
        command_stop(&command, SIGINT);
        command_expect_code(&command, 0);
        assert_string_equal(command.out + command.out_bytes - 2, "\n\n");
        command_free(&command);
        bus_stop(&bus);
}

/* Manager gone, topic replaced, bus down, bus up: it goes on. */
static void test_survives_all(void **state) {
        struct topic_spec specs[] = {reading_topic("imu", 16), topic_of("new", 4)};
        struct slipring_publisher *publisher;
        struct command command;
        struct bus again;

        reading_bus_start(&bus, 16);
        command_start(&command, (const char *const[]){"top", NULL});
        command_await_out(&command, "\ngps ");
        bus_abandon(&bus);
        command_await_out(&command, " (no manager): 2 topics");
        bus_resume(&bus);
        specs[0].depth = 4;
        bus_apply(&bus, specs, 2);
        command_await_out(&command, "\nnew ");
        publisher = publisher_open("imu");
        command_await_out(&command, ": 2 topics, 1 without publisher");
        slipring_publisher_close(publisher);
        bus_stop(&bus);
        command_await_out(&command, " is down, waiting for it\n");
        again = bus;
        bus_resume(&again);
        specs[1].name = "newer";
        bus_apply(&again, specs, 2);
        command_await_out(&command, "\nnewer ");
        command_stop(&command, SIGTERM);
        command_expect_code(&command, 0);
        command_free(&command);
        bus_stop(&again);
}

/* --- a terminal --- */

static void test_fills_a_terminal_and_gives_it_back(void **state) {
        struct termios during;
        struct command command;
        pid_t pid;

        reading_bus_start(&bus, 16);
        pid = reading_publish("imu", 10);
        command_start_on_terminal(&command, 90, 12, (const char *const[]){"top", NULL});
        command_await_out(&command, TERMINAL_ENTER);
        command_await_out(&command, "imu ");
        command_await_out(&command, "\033[12;1H"); /* the keys, in the last row */
        assert_int_equal(tcgetattr(command.out_fd, &during), 0);
        assert_false(during.c_lflag & (tcflag_t) (ICANON | ECHO));
        command_type(&command, "q");
        command_finish(&command);
        command_expect_code(&command, 0);
        command_expect_out_has(&command, TERMINAL_LEAVE);
        assert_true(command.out_bytes >= strlen(TERMINAL_LEAVE));
        assert_string_equal(command.out + command.out_bytes - strlen(TERMINAL_LEAVE),
                            TERMINAL_LEAVE);
        command_free(&command);
        process_kill(pid);
        bus_stop(&bus);
}

static void test_keys_and_window_size(void **state) {
        struct winsize size = {.ws_row = 6, .ws_col = 40};
        struct command command;
        pid_t pid;

        reading_bus_start(&bus, 16);
        pid = reading_publish("imu", 10);
        command_start_on_terminal(&command, 90, 12, (const char *const[]){"top", NULL});
        /* By name gps is first; and it is stale, in red. The terminal adds a CR to each LF. */
        command_await_out(&command, "ATT \033[0m\033[K\r\r\n\033[31mgps ");
        command_type(&command, "r");
        /* By rate it is imu, once that has one. */
        command_await_out(&command, "ATT \033[0m\033[K\r\r\nimu ");
        command_forget(&command);
        command_type(&command, " ");
        command_await_out(&command, "space go on");
        command_forget(&command);
        assert_int_equal(ioctl(command.out_fd, TIOCSWINSZ, &size), 0);
        command_await_out(&command, "\033[6;1H");
        command_type(&command, "\033[B\033[A");
        /* Ctrl-C, by the terminal's own signal. */
        command_type(&command, "\003");
        command_finish(&command);
        command_expect_code(&command, 0);
        command_expect_out_has(&command, TERMINAL_LEAVE);
        command_free(&command);
        process_kill(pid);
        bus_stop(&bus);
}

static void test_killing_it_gives_the_terminal_back(void **state) {
        struct command command;

        reading_bus_start(&bus, 16);
        command_start_on_terminal(&command, 90, 12, (const char *const[]){"top", NULL});
        command_await_out(&command, "space pause");
        command_stop(&command, SIGTERM);
        command_expect_code(&command, 0);
        command_expect_out_has(&command, TERMINAL_LEAVE);
        command_free(&command);
        bus_stop(&bus);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_rows),
                cmocka_unit_test(test_json),
                cmocka_unit_test(test_signals_end_it),
                cmocka_unit_test(test_survives_all),
                cmocka_unit_test(test_fills_a_terminal_and_gives_it_back),
                cmocka_unit_test(test_keys_and_window_size),
                cmocka_unit_test(test_killing_it_gives_the_terminal_back),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
