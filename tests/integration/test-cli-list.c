/*
 * slipring list and info, and what all verbs share: help, mistakes, which bus.
 */

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "tests/harness/command.h"

#define NOBODY 65534

static struct bus bus;

static void start(const struct topic_spec *specs, size_t count) {
        bus_start(&bus, specs, count);
}

static void start_two(void) {
        const struct topic_spec specs[] = {reading_topic("imu/front", 4), topic_of("battery", 8)};

        start(specs, 2);
}

/* --- all verbs --- */

static void test_help_teaches(void **state) {
        static const char *const verbs[] = {"check", "list", "info",  "echo", "hz",
                                            "bw",    "pub",  "delay", "top",  "doctor"};
        struct command command;
        char text[64];
        size_t i;

        command_run(&command, "--help");
        command_expect_code(&command, 0);
        for (i = 0; i < sizeof(verbs) / sizeof(verbs[0]); i++) {
                (void) snprintf(text, sizeof(text), "\n  %s ", verbs[i]);
                command_expect_out_has(&command, text);
        }
        command_free(&command);
        for (i = 0; i < sizeof(verbs) / sizeof(verbs[0]); i++) {
                command_run(&command, verbs[i], "--help");
                command_expect_code(&command, 0);
                command_expect_err(&command, "");
                (void) snprintf(text, sizeof(text), "usage: slipring %s ", verbs[i]);
                command_expect_out_has(&command, text);
                /* An example. */
                (void) snprintf(text, sizeof(text), "\n  slipring %s", verbs[i]);
                command_expect_out_has(&command, text);
                command_free(&command);
        }
}

static void test_mistakes_are_usage_errors(void **state) {
        struct command command;

        command_run(&command, "lsit");
        command_expect_code(&command, 2);
        command_expect_err(&command, "slipring: unknown verb 'lsit'; did you mean 'list'?\n");
        command_free(&command);
        command_run(&command, "list", "--verbos", "--jsno");
        command_expect_code(&command, 2);
        command_expect_err_has(&command, "unknown option '--jsno'; did you mean '--json'?");
        command_free(&command);
        command_run(&command, "info");
        command_expect_code(&command, 2);
        command_expect_err_has(&command, "usage: slipring info [OPTION...] TOPIC");
        command_free(&command);
        command_run(&command, "echo", "a", "b");
        command_expect_code(&command, 2);
        command_free(&command);
        command_run(&command, "echo", "a", "-n", "0");
        command_expect_code(&command, 2);
        command_expect_err_has(&command, "must be a whole number from 1 on");
        command_free(&command);
        command_run(&command, "list", "-b", "No-Bus");
        command_expect_code(&command, 2);
        command_expect_err_has(&command, "'No-Bus' is no bus name");
        command_free(&command);
        command_run(&command, "list", "-a", "-b", "x");
        command_expect_code(&command, 2);
        command_free(&command);
}

static void test_no_bus_says_how_to_start_one(void **state) {
        static const char *const verbs[] = {"list", "top"};
        static const char *const topic_verbs[] = {"info", "echo", "hz", "bw", "delay", "pub"};
        struct command command;
        size_t i;

        assert_int_equal(setenv("SLIPRING_BUS", "test_no_such_bus", 1), 0);
        for (i = 0; i < 8; i++) {
                command_run(&command, i < 2 ? verbs[i] : topic_verbs[i - 2], i < 2 ? NULL : "imu");
                command_expect_code(&command, 1);
                command_expect_out(&command, "");
                command_expect_err_has(&command,
                                       "there is no bus 'test_no_such_bus'; start it with "
                                       "'slipring up FILE'");
                command_free(&command);
        }
}

static void test_several_buses_and_none_named(void **state) {
        struct bus first, second;
        struct command command;
        char text[128];

        bus_start(&first, NULL, 0);
        bus_start(&second, NULL, 0);
        assert_int_equal(unsetenv("SLIPRING_BUS"), 0);
        command_run(&command, "list");
        command_expect_code(&command, 2);
        command_expect_out(&command, "");
        command_expect_err_has(&command, "name one with -b or SLIPRING_BUS");
        command_free(&command);
        command_run(&command, "list", "--all-buses");
        command_expect_code(&command, 0);
        (void) snprintf(text, sizeof(text), "/%s:\n", first.name);
        command_expect_out_has(&command, text);
        (void) snprintf(text, sizeof(text), "/%s:\n", second.name);
        command_expect_out_has(&command, text);
        command_free(&command);
        command_run(&command, "list", "-a", "--json");
        command_expect_code(&command, 0);
        command_expect_json(&command, false);
        command_free(&command);
        command_run(&command, "list", "-b", second.name);
        command_expect_code(&command, 0);
        command_expect_out(&command, "");
        command_free(&command);
        bus_stop(&second);
        bus_stop(&first);
}

/* --- list --- */

static void test_list_prints_names(void **state) {
        struct command command;

        start_two();
        command_run(&command, "list");
        command_expect_code(&command, 0);
        command_expect_out(&command, "battery\nimu/front\n");
        command_expect_err(&command, "");
        command_free(&command);
        command_run(&command, "list", "-t");
        command_expect_out(&command, "battery [test_msgs/msg/Message]\n"
                                     "imu/front [test_msgs/msg/Reading]\n");
        command_free(&command);
        command_run(&command, "list", "-c");
        command_expect_out(&command, "2\n");
        command_free(&command);
        command_run(&command, "list", "-b", bus.name, "--show-types");
        command_expect_code(&command, 0);
        command_free(&command);
        bus_stop(&bus);
}

static void test_list_verbose_tells_who_publishes(void **state) {
        struct command command;
        char text[128];
        pid_t pid;

        start_two();
        pid = reading_publish("imu/front", 100);
        command_run(&command, "list", "-v");
        command_expect_code(&command, 0);
        (void) snprintf(text, sizeof(text), " * imu/front [test_msgs/msg/Reading] publisher %d (",
                        (int) pid);
        command_expect_out_has(&command, text);
        command_expect_out_has(&command, "Topics without a publisher:\n * battery "
                                         "[test_msgs/msg/Message] no publisher, no sample yet\n");
        command_free(&command);
        command_run(&command, "list", "--json");
        command_expect_code(&command, 0);
        command_expect_json(&command, false);
        (void) snprintf(text, sizeof(text), "\"publisher_pid\": %d", (int) pid);
        command_expect_out_has(&command, text);
        command_free(&command);
        /* Killed: its samples stay, it does not. */
        process_kill(pid);
        command_run(&command, "list", "-v");
        command_expect_out_has(&command, " * imu/front [test_msgs/msg/Reading] no publisher");
        command_expect_out_lacks(&command, "Published topics:");
        command_free(&command);
        bus_stop(&bus);
}

/* --- info --- */

static void test_info_tells_all(void **state) {
        struct command command;
        char text[128];
        pid_t pid;

        start_two();
        pid = reading_publish("imu/front", 50);
        command_run(&command, "info", "/imu/front");
        command_expect_code(&command, 0);
        command_expect_out_has(&command, "Topic: imu/front\nType: test_msgs/msg/Reading\n"
                                         /* Its text is not all there. */
                                         "Type hash: -\n"
                                         "Description: a reading\nPublisher: ");
        (void) snprintf(text, sizeof(text), "Publisher: %d (", (int) pid);
        command_expect_out_has(&command, text);
        command_expect_out_has(&command, " of 10 Hz\nAge: ");
        command_expect_out_has(&command, "\nDeadline: 300 ms\nStale: no\nSequence: ");
        command_expect_out_has(&command, "\nEpoch: 1\n");
        command_expect_out_has(&command, "\nAttached: 2 (manager and publisher included)\n");
        command_expect_out_has(&command, "\nDepth: 4 slots\nPayload: 240 bytes\nSegment: ");
        command_expect_out_has(&command, ", mode 0640\n");
        command_expect_out_has(&command, "\n  position.y  float64     m         16\n");
        command_expect_out_has(&command, "\n  values      float32[3]  V         24\n");
        command_expect_out_lacks(&command, "pad0");
        command_free(&command);
        command_run(&command, "info", "imu/front", "--json");
        command_expect_code(&command, 0);
        command_expect_json(&command, false);
        command_expect_out_has(&command, "\"mode\": \"0640\"");
        command_expect_out_has(&command, "\"path\": \"position.x\"");
        command_free(&command);
        process_kill(pid);
        command_run(&command, "info", "imu/front");
        command_expect_out_has(&command, "\nPublisher: none\n");
        command_free(&command);
        command_run(&command, "info", "battery");
        command_expect_out_has(&command, "\nRate: 0 Hz\nAge: no sample yet\nDeadline: none\n");
        command_free(&command);
        bus_stop(&bus);
}

static void test_unknown_topics_are_guessed(void **state) {
        static const char *const verbs[] = {"info", "echo", "hz", "bw", "delay", "pub"};
        struct command command;
        size_t i;

        start_two();
        for (i = 0; i < sizeof(verbs) / sizeof(verbs[0]); i++) {
                command_run(&command, verbs[i], "batery");
                command_expect_code(&command, 1);
                command_expect_err_has(&command, "has no topic 'batery'; did you mean 'battery'?");
                command_free(&command);
        }
        command_run(&command, "info", "front");
        command_expect_err_has(&command, "did you mean 'imu/front'?");
        command_free(&command);
        command_run(&command, "info", "camera");
        command_expect_code(&command, 1);
        command_expect_err_has(&command, "has no topic 'camera'; slipring list shows its topics");
        command_free(&command);
        bus_stop(&bus);
}

/* --- another user --- */

static void run_as(struct command *command, const char *verb, const char *argument) {
        command_start_as(command, NOBODY, (const char *const[]){verb, argument, NULL});
        command_finish(command);
}

/* What a user may not read is a gap in the table, not a failure. */
static void test_unreadable_topics_are_shown_as_such(void **state) {
        struct topic_spec specs[] = {reading_topic("open", 4), reading_topic("secret", 4)};
        struct command command;
        char name[96];

        if (geteuid() != 0) {
                skip();
        }
        specs[0].mode = 0644;
        specs[1].mode = 0600;
        start(specs, 2);
        (void) snprintf(name, sizeof(name), "root/%s", bus.name);
        assert_int_equal(setenv("SLIPRING_BUS", name, 1), 0);
        run_as(&command, "list", NULL);
        if (command.code == 127) {
                /* The build directory is not for others. */
                command_free(&command);
                bus_stop(&bus);
                skip();
        }
        command_expect_code(&command, 0);
        command_expect_out(&command, "open\nsecret\n");
        command_free(&command);
        run_as(&command, "list", "-v");
        command_expect_code(&command, 0);
        command_expect_out_has(&command, "Topics that this user cannot read:\n"
                                         " * secret [test_msgs/msg/Reading] -\n");
        command_expect_out_has(&command, " * open [test_msgs/msg/Reading] no publisher");
        command_expect_err_has(&command, "1 of these topics cannot be read by this user");
        command_free(&command);
        run_as(&command, "info", "secret");
        command_expect_code(&command, 0);
        command_expect_out_has(&command, "Publisher: -\n");
        command_expect_err_has(&command, "topic 'secret'");
        command_free(&command);
        run_as(&command, "echo", "secret");
        command_expect_code(&command, 1);
        command_expect_err_has(&command, "this user may not read it (owner root");
        command_free(&command);
        run_as(&command, "pub", "open");
        command_expect_code(&command, 1);
        command_expect_err_has(&command, "this user may not publish to it (owner root");
        command_free(&command);
        bus_stop(&bus);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_help_teaches),
                cmocka_unit_test(test_mistakes_are_usage_errors),
                cmocka_unit_test(test_no_bus_says_how_to_start_one),
                cmocka_unit_test(test_several_buses_and_none_named),
                cmocka_unit_test(test_list_prints_names),
                cmocka_unit_test(test_list_verbose_tells_who_publishes),
                cmocka_unit_test(test_info_tells_all),
                cmocka_unit_test(test_unknown_topics_are_guessed),
                cmocka_unit_test(test_unreadable_topics_are_shown_as_such),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
