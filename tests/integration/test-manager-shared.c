/*
 * A topic with several publishers as the manager and the commands see it.
 */

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/shm.h>
#include <unistd.h>

#include <slipring/publisher.h>
#include <slipring/subscriber.h>

#include "tests/harness/command.h"
#include "tests/harness/daemon.h"

#define FIELDS "fields: {number: uint64, words: \"uint64[7]\"}"
#define ALARM(publishers) "  alarm: {publishers: " publishers ", " FIELDS "}\n"
#define ODOM "  odom: {" FIELDS "}\n"

static struct daemon bus;

static int setup(void **state) {
        daemon_setup(&bus);
        daemon_schema(&bus, "topics:\n" ALARM("shared") ODOM);
        daemon_start(&bus, NULL);
        return 0;
}

static int teardown(void **state) {
        assert_int_equal(daemon_stop(&bus, SIGTERM), 0);
        daemon_teardown(&bus);
        return 0;
}

static void publish(struct slipring_publisher *publisher, int expected) {
        struct message message = message_make(1);

        assert_int_equal(slipring_publisher_publish(publisher, &message, sizeof(message), 0),
                         expected);
}

static int publish_alarm(void *argument) {
        struct slipring_publisher *publisher = publisher_open("alarm");

        for (;;) {
                publish(publisher, 0);
                (void) usleep(20000);
        }
        return slipring_publisher_close(publisher) != NULL;
}

static void expect_log(pid_t pid, const char *what) {
        char text[128];

        (void) snprintf(text, sizeof(text), "alarm: publisher %d%s\n", (int) pid, what);
        daemon_expect(&bus, text);
}

static void expect_line(const char *const *arguments, const char *format, pid_t pid) {
        struct command command;
        char text[128];

        command_start(&command, arguments);
        command_finish(&command);
        command_expect_code(&command, 0);
        (void) snprintf(text, sizeof(text), format, (int) pid);
        command_expect_out_has(&command, text);
        command_free(&command);
}

#define EXPECT_LINE(format, pid, ...)                                                              \
        expect_line((const char *const[]){__VA_ARGS__, NULL}, format, pid)

static void test_who_publishes_is_counted_and_named(void **state) {
        struct command command;
        pid_t one, two;

        EXPECT_LINE("Publishers: none (shared)\n%.0d", 0, "info", "alarm");
        one = process_start(publish_alarm, NULL);
        expect_log(one, ", 1 now");
        EXPECT_LINE("Publishers: 1 (shared), the last one %d (", one, "info", "alarm");
        EXPECT_LINE(" * alarm [%.0d", 0, "list", "-v");
        EXPECT_LINE("] publisher %d (", one, "list", "-v");
        two = process_start(publish_alarm, NULL);
        expect_log(two, ", 2 now");
        EXPECT_LINE("Publishers: 2 (shared), the last one %.0d", 0, "info", "alarm");
        EXPECT_LINE("] 2 publishers, last %.0d", 0, "list", "-v");
        EXPECT_LINE("+1 %.0d", 0, "top", "-n", "1");
        command_run(&command, "info", "alarm", "--json");
        command_expect_code(&command, 0);
        command_expect_json(&command, false);
        command_expect_out_has(&command, "\"shared\": true");
        command_expect_out_has(&command, "\"publishers\": 2");
        command_free(&command);
        process_kill(one);
        expect_log(one, " is gone, 1 now");
        process_kill(two);
        expect_log(two, " is gone, 0 now");
        EXPECT_LINE("Publishers: none (shared)\n%.0d", 0, "info", "alarm");
        EXPECT_LINE("\"publishers\": 0%.0d", 0, "top", "-n", "1", "--json");
}

static void test_commands_publish_beside_others(void **state) {
        struct slipring_publisher *publisher = publisher_open("alarm");
        struct slipring_subscriber *subscriber;
        struct slipring_sample sample;
        struct message message;
        struct command command;

        publish(publisher, 0);
        command_run(&command, "pub", "--once", "alarm", "{number: 7}");
        command_expect_code(&command, 0);
        command_free(&command);
        publish(publisher, 0);
        subscriber = subscriber_open("alarm", SLIPRING_START_OLDEST);
        assert_int_equal(slipring_subscriber_take(subscriber, &message, sizeof(message), &sample),
                         1);
        assert_int_equal(sample.epoch, 1);
        assert_int_equal(slipring_subscriber_take(subscriber, &message, sizeof(message), &sample),
                         1);
        assert_int_equal(message.number, 7);
        assert_int_equal(sample.epoch, 2);
        assert_int_equal(slipring_subscriber_take(subscriber, &message, sizeof(message), &sample),
                         1);
        assert_int_equal(sample.epoch, 1);
        assert_int_equal(sample.missed, 0);
        slipring_subscriber_close(subscriber);
        slipring_publisher_close(publisher);
}

/* Waiting for a bus that is not there asks for standby, which a shared topic does not have. */
static void test_command_that_waited_joins(void **state) {
        struct command command;

        assert_int_equal(daemon_stop(&bus, SIGTERM), 0);
        command_start(&command, (const char *const[]){"pub", "--wait", "-n", "1", "alarm",
                                                      "{number: 7}", NULL});
        command_await_err(&command, "waiting: ");
        daemon_start(&bus, NULL);
        command_finish(&command);
        command_expect_code(&command, 0);
        command_free(&command);
}

static void test_reload_replaces_a_topic_of_another_class(void **state) {
        struct slipring_publisher *one = publisher_open("alarm"), *two = publisher_open("alarm");
        struct layout_entry odom = daemon_entry(&bus, "odom"), same;
        struct slipring_error error;
        void *payload;

        publish(one, 0);
        publish(two, 0);
        daemon_schema(&bus, "topics:\n" ALARM("exclusive") ODOM);
        daemon_signal(&bus, SIGHUP);
        daemon_expect(&bus, "alarm: replaced");
        daemon_expect(&bus, "reloaded");
        publish(one, -EIDRM);
        assert_int_equal(slipring_publisher_move(one, 0, &error), 0);
        assert_int_equal(slipring_publisher_loan(one, &payload), 0);
        assert_int_equal(slipring_publisher_commit(one, 0), 0);
        assert_int_equal(slipring_publisher_move(two, 0, &error), -EBUSY);
        /* What is not said is the same as what is said to be the default. */
        daemon_schema(&bus, "topics:\n  alarm: {" FIELDS "}\n" ODOM);
        daemon_signal(&bus, SIGHUP);
        daemon_expect(&bus, "reloaded");
        publish(one, 0);
        daemon_schema(&bus, "topics:\n" ALARM("shared") ODOM);
        daemon_signal(&bus, SIGHUP);
        daemon_expect(&bus, "alarm: replaced");
        assert_int_equal(slipring_publisher_move(one, 0, &error), 0);
        assert_int_equal(slipring_publisher_move(two, 0, &error), 0);
        publish(one, 0);
        publish(two, 0);
        same = daemon_entry(&bus, "odom");
        assert_memory_equal(&odom, &same, sizeof(odom));
        slipring_publisher_close(one);
        slipring_publisher_close(two);
}

/* The next manager adopts lock and count; a lock that is gone costs the topic. */
static void test_restarted_manager_adopts_the_lock(void **state) {
        struct slipring_publisher *publisher = publisher_open("alarm");
        struct layout_entry before = daemon_entry(&bus, "alarm"), after;
        struct slipring_error error;

        publish(publisher, 0);
        daemon_kill(&bus);
        publish(publisher, 0);
        daemon_start(&bus, NULL);
        after = daemon_entry(&bus, "alarm");
        assert_memory_equal(&before, &after, sizeof(after));
        publish(publisher, 0);
        assert_int_equal(shmctl(before.lock_id, IPC_RMID, NULL), 0);
        daemon_expect(&bus, "alarm: replaced");
        publish(publisher, -EIDRM);
        assert_int_equal(slipring_publisher_move(publisher, 0, &error), 0);
        publish(publisher, 0);
        slipring_publisher_close(publisher);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(test_who_publishes_is_counted_and_named, setup,
                                                teardown),
                cmocka_unit_test_setup_teardown(test_commands_publish_beside_others, setup,
                                                teardown),
                cmocka_unit_test_setup_teardown(test_command_that_waited_joins, setup, teardown),
                cmocka_unit_test_setup_teardown(test_reload_replaces_a_topic_of_another_class,
                                                setup, teardown),
                cmocka_unit_test_setup_teardown(test_restarted_manager_adopts_the_lock, setup,
                                                teardown),
        };

        (void) ipc_private(false);
        return cmocka_run_group_tests(tests, NULL, NULL);
}
