/*
 * Two managers of one bus: one serves, every other one ends with exit status 1 and the pid of the
 * first, however close together they start, and also beside one that is just ending.
 */

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "tests/harness/daemon.h"
#include "tests/harness/tracer.h"

#define TOPICS                                                                                     \
        "topics:\n"                                                                                \
        "  imu: {depth: 8, fields: {number: uint64, words: \"uint64[7]\"}}\n"                      \
        "  odom: {fields: {x: float64}, mode: \"0600\"}\n"

#define MANAGERS 4
#define PATIENCE_MS 30000

static struct daemon managers[MANAGERS];
static int start_line[2];

static void sleep_us(unsigned us) {
        struct timespec pause = {.tv_nsec = us * 1000L};

        (void) clock_nanosleep(CLOCK_MONOTONIC, 0, &pause, NULL);
}

static int setup(void **state) {
        size_t i;

        daemon_setup(&managers[0]);
        daemon_schema(&managers[0], TOPICS);
        for (i = 1; i < MANAGERS; i++) {
                managers[i] = managers[0];
                (void) snprintf(managers[i].log, sizeof(managers[i].log), "%s/log%zu",
                                managers[0].directory, i);
        }
        return 0;
}

static int teardown(void **state) {
        size_t i;

        for (i = 1; i < MANAGERS; i++) {
                if (managers[i].pid) {
                        daemon_kill(&managers[i]);
                }
                (void) unlink(managers[i].log);
        }
        daemon_teardown(&managers[0]);
        return 0;
}

static unsigned rounds(unsigned count) {
        return harness_long() ? count * 10 : count;
}

/* --- starting together --- */

/* Wait until the other end is closed, which all see at once. */
static void line_up(void *argument) {
        char byte;

        (void) close(start_line[1]);
        (void) read(start_line[0], &byte, 1);
        (void) close(start_line[0]);
}

static void start_together(void) {
        size_t i;

        assert_int_equal(pipe(start_line), 0);
        for (i = 0; i < MANAGERS; i++) {
                managers[i].prepare = line_up;
                daemon_skip(&managers[i]);
                daemon_spawn(&managers[i], NULL);
        }
        (void) close(start_line[0]);
        (void) close(start_line[1]);
}

/* If it has ended, with a refusal. */
static bool was_refused(struct daemon *manager) {
        int status;

        if (manager->pid == 0) {
                return true;
        }
        if (waitpid(manager->pid, &status, WNOHANG) == 0) {
                return false;
        }
        manager->pid = 0;
        assert_true(WIFEXITED(status));
        assert_int_equal(WEXITSTATUS(status), 1);
        return true;
}

/* The one that goes on once all others have ended. */
static struct daemon *await_winner(void) {
        uint64_t patience_ns = slipring_in_ms(PATIENCE_MS);
        struct daemon *winner = NULL;
        size_t i, refused;

        do {
                for (i = 0, refused = 0; i < MANAGERS; i++) {
                        if (was_refused(&managers[i])) {
                                refused++;
                        } else {
                                winner = &managers[i];
                        }
                }
                assert_true(slipring_now_ns() < patience_ns);
                sleep_us(500);
        } while (refused < MANAGERS - 1);
        assert_int_equal(refused, MANAGERS - 1);
        return winner;
}

static void assert_serves_alone(struct daemon *winner) {
        char text[64];
        size_t i;

        daemon_expect(winner, ": serving 2 topics");
        (void) daemon_entry(winner, "imu");
        (void) daemon_entry(winner, "odom");
        (void) snprintf(text, sizeof(text), "has a manager already, pid %d;", (int) winner->pid);
        for (i = 0; i < MANAGERS; i++) {
                if (&managers[i] != winner) {
                        daemon_expect(&managers[i], text);
                        assert_false(daemon_logged(&managers[i], "serving"));
                }
        }
}

static void test_one_of_those_that_start_together_makes_the_bus(void **state) {
        unsigned round, wins[MANAGERS] = {0};
        struct daemon *winner;

        for (round = 0; round < rounds(15); round++) {
                start_together();
                winner = await_winner();
                assert_serves_alone(winner);
                wins[winner - managers]++;
                assert_int_equal(daemon_stop(winner, SIGTERM), 0);
                assert_false(daemon_bus_exists(winner));
        }
        print_message("%u times %u managers together; served by the first to last %u %u %u %u "
                      "times\n",
                      round, MANAGERS, wins[0], wins[1], wins[2], wins[3]);
}

static void test_one_of_those_that_start_together_adopts_the_bus(void **state) {
        struct layout_entry before, after;
        struct daemon *winner;
        unsigned round;

        daemon_start(&managers[0], NULL);
        before = daemon_entry(&managers[0], "imu");
        daemon_kill(&managers[0]);
        for (round = 0; round < rounds(15); round++) {
                start_together();
                winner = await_winner();
                assert_serves_alone(winner);
                after = daemon_entry(winner, "imu");
                assert_memory_equal(&before, &after, sizeof(after));
                daemon_kill(winner);
        }
        managers[0].prepare = NULL;
        daemon_start(&managers[0], NULL);
        assert_int_equal(daemon_stop(&managers[0], SIGTERM), 0);
}

/* --- one beside another --- */

static void test_the_second_is_refused_and_changes_nothing(void **state) {
        struct layout_entry before, after;
        char text[64];

        daemon_start(&managers[0], NULL);
        before = daemon_entry(&managers[0], "imu");
        (void) snprintf(text, sizeof(text), "has a manager already, pid %d; a bus has one",
                        (int) managers[0].pid);
        /* Also with another file under that bus's name. */
        daemon_schema(&managers[1], "topics:\n  imu: {fields: {x: float32}}\n");
        daemon_spawn(&managers[1], NULL);
        assert_int_equal(daemon_wait(&managers[1]), 1);
        daemon_expect(&managers[1], text);
        after = daemon_entry(&managers[0], "imu");
        assert_memory_equal(&before, &after, sizeof(after));
        assert_int_equal(daemon_stop(&managers[0], SIGTERM), 0);
}

/* A stopped one is alive. */
static void test_the_second_is_refused_while_the_first_is_stopped(void **state) {
        char text[64];

        daemon_start(&managers[0], NULL);
        daemon_signal(&managers[0], SIGSTOP);
        (void) snprintf(text, sizeof(text), "has a manager already, pid %d;",
                        (int) managers[0].pid);
        daemon_spawn(&managers[1], NULL);
        assert_int_equal(daemon_wait(&managers[1]), 1);
        daemon_expect(&managers[1], text);
        daemon_signal(&managers[0], SIGCONT);
        assert_int_equal(daemon_stop(&managers[0], SIGTERM), 0);
}

/* Run the second one up to its k-th step, and the first one to its end meanwhile. Returns false if
 * the second one has ended before. */
static bool end_the_first_at_step(unsigned k) {
        struct tracer tracer;

        managers[1].prepare = tracer_prepare;
        daemon_spawn(&managers[1], NULL);
        tracer_begin(&tracer, managers[1].pid);
        do {
                if (!tracer_next(&tracer)) {
                        managers[1].pid = 0;
                        assert_int_equal(tracer.exit_code, 1);
                        return false;
                }
                k -= tracer.entering && tracer_at_step(&tracer);
        } while (k > 0);
        assert_int_equal(daemon_stop(&managers[0], SIGTERM), 0);
        tracer_release(&tracer);
        return true;
}

/* It is refused, or it makes the bus anew: never half of it, and never for another reason. */
static void test_one_that_starts_while_another_removes_the_bus(void **state) {
        unsigned k = 0, refused = 0, served = 0;
        bool stopped = true;
        char text[64];

        while (stopped) {
                daemon_skip(&managers[0]);
                daemon_start(&managers[0], NULL);
                daemon_skip(&managers[1]);
                (void) snprintf(text, sizeof(text), "has a manager already, pid %d;",
                                (int) managers[0].pid);
                stopped = end_the_first_at_step(++k);
                while (!was_refused(&managers[1]) && !daemon_logged(&managers[1], "serving 2")) {
                        sleep_us(500);
                }
                if (managers[1].pid) {
                        served++;
                        daemon_expect(&managers[1], "serving 2 topics");
                        (void) daemon_entry(&managers[1], "odom");
                        assert_int_equal(daemon_stop(&managers[1], SIGTERM), 0);
                } else {
                        refused++;
                        daemon_expect(&managers[1], text);
                }
        }
        assert_int_equal(daemon_stop(&managers[0], SIGTERM), 0);
        print_message("the first ends at each of %u steps of the second: %u times refused, %u "
                      "times served\n",
                      k - 1, refused - 1, served);
        assert_true(served > 0);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(test_one_of_those_that_start_together_makes_the_bus,
                                                setup, teardown),
                cmocka_unit_test_setup_teardown(
                        test_one_of_those_that_start_together_adopts_the_bus, setup, teardown),
                cmocka_unit_test_setup_teardown(test_the_second_is_refused_and_changes_nothing,
                                                setup, teardown),
                cmocka_unit_test_setup_teardown(
                        test_the_second_is_refused_while_the_first_is_stopped, setup, teardown),
                cmocka_unit_test_setup_teardown(test_one_that_starts_while_another_removes_the_bus,
                                                setup, teardown),
        };

        (void) ipc_private(false);
        return cmocka_run_group_tests(tests, NULL, NULL);
}
