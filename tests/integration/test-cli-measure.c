/*
 * slipring hz, bw and delay.
 */

#include <signal.h>
#include <stdio.h>
#include <string.h>

#include <slipring/publisher.h>
#include <slipring/subscriber.h>

#include "tests/harness/command.h"

static struct bus bus;

static void start(void) {
        const struct topic_spec specs[] = {reading_topic("imu", 16), reading_topic("gps", 16),
                                           topic_of("quiet", 4)};

        bus_start(&bus, specs, 3);
}

/* The number after a text. */
static double number_after(const struct command *command, const char *text) {
        const char *at = strstr(command->out, text);

        command_expect_out_has(command, text);
        return strtod(at + strlen(text), NULL);
}

static void test_hz(void **state) {
        struct command command;
        double rate;
        pid_t pid;

        start();
        pid = reading_publish("imu", 10);
        command_run(&command, "hz", "imu", "-n", "2");
        command_expect_code(&command, 0);
        rate = number_after(&command, "average rate: ");
        /* Sleeps of 10 ms are never shorter; how much longer is the machine's matter. */
        assert_true(rate > 1 && rate <= 100.5);
        assert_true(number_after(&command, "\n\tmin: ") >= 0.0099);
        assert_true(number_after(&command, "s max: ") >= 0.0099);
        (void) number_after(&command, "s std dev: ");
        assert_true(number_after(&command, "s window: ") >= 3);
        command_free(&command);
        process_kill(pid);
        bus_stop(&bus);
}

static void test_several_topics_make_a_table(void **state) {
        struct command hz, bw, delay;
        pid_t imu, gps;

        start();
        imu = reading_publish("imu", 10);
        gps = reading_publish("gps", 20);
        command_start(&hz, (const char *const[]){"hz", "imu", "quiet", "/gps", "-n", "1", NULL});
        command_start(&bw, (const char *const[]){"bw", "imu", "quiet", "-n", "1", NULL});
        command_start(&delay, (const char *const[]){"delay", "imu", "quiet", "-n", "1", NULL});
        command_finish(&hz);
        command_finish(&bw);
        command_finish(&delay);
        command_expect_code(&hz, 0);
        command_expect_out_has(&hz, "topic ");
        command_expect_out_has(&hz, "max_delta");
        command_expect_out_has(&hz, "\nimu ");
        command_expect_out_has(&hz, "\ngps ");
        command_expect_out_has(&hz, "\nquiet ");
        command_expect_out_has(&hz, "  -          -          -         -       -\n");
        command_expect_code(&bw, 0);
        command_expect_out_has(&bw, "bandwidth");
        command_expect_out_has(&bw, " 240.00 B ");
        command_expect_code(&delay, 0);
        command_expect_out_has(&delay, "since_stamp");
        command_free(&hz);
        command_free(&bw);
        command_free(&delay);
        process_kill(imu);
        process_kill(gps);
        bus_stop(&bus);
}

static void test_bw_and_delay(void **state) {
        struct command command;
        double delay;
        pid_t pid;

        start();
        pid = reading_publish("imu", 10);
        command_run(&command, "bw", "imu", "-n", "1");
        command_expect_code(&command, 0);
        command_expect_out_has(&command, "B/s from ");
        command_expect_out_has(&command, "\n\tMessage size mean: 240.00 B min: 240.00 B "
                                         "max: 240.00 B\n");
        command_free(&command);
        command_run(&command, "delay", "imu", "-n", "1");
        command_expect_code(&command, 0);
        delay = number_after(&command, "average delay: ");
        assert_true(delay > 0);
        /* The stamp was taken before the publish. */
        assert_true(number_after(&command, "average delay since stamp: ") >= delay);
        command_free(&command);
        process_kill(pid);
        bus_stop(&bus);
}

static void test_json_is_a_line_a_topic(void **state) {
        static const char *const verbs[] = {"hz", "bw", "delay"};
        static const char *const keys[] = {
                "\"rate_hz\": ", "\"bytes_per_second\": ", "\"delay_s\": "};
        struct command commands[3];
        char text[64];
        size_t i;
        pid_t pid;

        start();
        pid = reading_publish("imu", 10);
        for (i = 0; i < 3; i++) {
                command_start(&commands[i], (const char *const[]){verbs[i], "imu", "quiet", "-n",
                                                                  "1", "--json", NULL});
        }
        for (i = 0; i < 3; i++) {
                command_finish(&commands[i]);
                command_expect_code(&commands[i], 0);
                command_expect_json(&commands[i], true);
                (void) snprintf(text, sizeof(text), "{\"topic\": \"imu\", %s", keys[i]);
                assert_true(number_after(&commands[i], text) > 0);
                (void) snprintf(text, sizeof(text), "{\"topic\": \"quiet\", %snull", keys[i]);
                command_expect_out_has(&commands[i], text);
                command_free(&commands[i]);
        }
        process_kill(pid);
        bus_stop(&bus);
}

static void test_silence(void **state) {
        struct command command;

        start();
        command_start(&command, (const char *const[]){"hz", "quiet", NULL});
        command_await_err(&command, "slipring hz: no new messages\n");
        command_stop(&command, SIGINT);
        command_expect_code(&command, 0);
        command_expect_out(&command, "");
        command_free(&command);
        command_run(&command, "delay", "quiet", "--timeout", "0.2");
        command_expect_code(&command, 124);
        command_expect_err_has(&command, "no sample for 0.2 s");
        command_free(&command);
        /* A topic that does not come is silence, too. */
        command_run(&command, "hz", "none", "--wait", "--timeout", "0.2");
        command_expect_code(&command, 124);
        command_expect_err_has(&command, "no sample for 0.2 s");
        command_free(&command);
        command_run(&command, "hz", "imu", "-w", "1");
        command_expect_code(&command, 2);
        command_free(&command);
        bus_stop(&bus);
}

/* A topic that is gone and does not come back while it is waited for. */
static void test_a_topic_that_stays_gone_is_silence(void **state) {
        struct topic_spec specs[] = {reading_topic("imu", 16)};
        struct command command;

        bus_start(&bus, specs, 1);
        command_start(&command,
                      (const char *const[]){"hz", "imu", "--wait", "--timeout", "2", NULL});
        command_await_err(&command, "no new messages\n");
        bus_apply(&bus, NULL, 0);
        command_finish(&command);
        command_expect_code(&command, 124);
        command_expect_err_has(&command, "topic 'imu' is gone, waiting for it...\n");
        command_expect_err_has(&command, "no sample for 2 s\n");
        command_free(&command);
        bus_stop(&bus);
}

/* A killed publisher is silence, a replaced topic a new window, a removed one the end. */
static void test_publisher_and_topic_come_and_go(void **state) {
        struct topic_spec specs[] = {reading_topic("imu", 16), reading_topic("gps", 16)};
        struct command command;
        pid_t pid;

        bus_start(&bus, specs, 2);
        pid = reading_publish("imu", 10);
        command_start(&command, (const char *const[]){"hz", "imu", "gps", NULL});
        command_await_out(&command, "\nimu ");
        process_kill(pid);
        command_await_err(&command, "no new messages\n");
        specs[0].depth = 5;
        bus_apply(&bus, specs, 2);
        command_await_err(&command, "topic 'imu' was replaced, going on with its successor\n");
        bus_apply(&bus, specs, 1);
        command_await_err(&command, "topic 'gps' was retired: ");
        bus_apply(&bus, NULL, 0);
        command_finish(&command);
        command_expect_code(&command, 1);
        command_expect_err_has(&command, "topic 'imu' was retired: ");
        command_free(&command);
        bus_stop(&bus);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_hz),
                cmocka_unit_test(test_several_topics_make_a_table),
                cmocka_unit_test(test_bw_and_delay),
                cmocka_unit_test(test_json_is_a_line_a_topic),
                cmocka_unit_test(test_silence),
                cmocka_unit_test(test_a_topic_that_stays_gone_is_silence),
                cmocka_unit_test(test_publisher_and_topic_come_and_go),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
