/*
 * The chain of wake-ups: processes that sleep on one word for a minute, of which one call wakes
 * four and these wake the others.
 */

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "bus/wake.h"
#include "tests/harness/harness.h"

#ifndef SYS_futex_waitv
#define SYS_futex_waitv 449
#endif

#define SLEEPERS 24u
#define PATIENCE_MS 60000u

/* No value of the word in any of these. */
#define NEVER 12345u

static struct {
        _Atomic uint32_t word;
        _Atomic unsigned asleep; /* about to be */
        _Atomic unsigned woken;
        _Atomic uint32_t chain_end;
        _Atomic uint32_t other, other_end;
        bool chain;
        uint32_t expected;
} * shared;

static int setup(void **state) {
        shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1,
                      0);
        assert_true(shared != MAP_FAILED);
        shared->chain = true;
        shared->chain_end = NEVER;
        return 0;
}

static int teardown(void **state) {
        return munmap(shared, sizeof(*shared));
}

/* Returns 0 if woken or if the word was another one, 1 if nobody woke it. */
static int sleep_run(void *argument) {
        const struct wake_item item = {
                .word = &shared->word,
                .expected = shared->expected,
                .chain_end = shared->chain ? &shared->chain_end : NULL,
        };
        int r;

        shared->asleep++;
        r = wake_sleep(&item, slipring_in_ms(PATIENCE_MS));
        shared->woken += r == 1;
        return r < 0;
}

/* In the kernel's queue: nobody knows better than the state of the process. */
static bool is_asleep(pid_t pid) {
        char path[64], text[512], *state;
        size_t bytes;
        FILE *file;

        (void) snprintf(path, sizeof(path), "/proc/%d/stat", (int) pid);
        file = fopen(path, "re");
        assert_non_null(file);
        bytes = fread(text, 1, sizeof(text) - 1, file);
        (void) fclose(file);
        text[bytes] = '\0';
        state = strrchr(text, ')');
        assert_non_null(state);
        return state[2] == 'S';
}

static void sleepers_start(pid_t *pids, size_t count) {
        size_t i;

        for (i = 0; i < count; i++) {
                pids[i] = process_start(sleep_run, NULL);
        }
        for (i = 0; i < count; i++) {
                while (shared->asleep < count || !is_asleep(pids[i])) {
                        (void) usleep(1000);
                }
        }
}

static void sleepers_end(const pid_t *pids, size_t count) {
        size_t i;

        for (i = 0; i < count; i++) {
                assert_int_equal(process_wait(pids[i]), 0);
        }
}

static unsigned begin_chain(uint32_t value) {
        return wake_chain(&shared->word, value, &shared->chain_end);
}

static void test_all_are_woken_though_one_call_wakes_four(void **state) {
        pid_t pids[SLEEPERS];

        sleepers_start(pids, SLEEPERS);
        shared->word = 1;
        assert_int_equal(begin_chain(1), WAKE_ARITY);
        sleepers_end(pids, SLEEPERS);
        assert_int_equal(shared->woken, SLEEPERS);
}

/* The test above would see it: those who know of no chain pass nothing on. */
static void test_without_a_chain_four_are_woken(void **state) {
        pid_t pids[SLEEPERS];
        size_t i;

        shared->chain = false;
        sleepers_start(pids, SLEEPERS);
        shared->word = 1;
        assert_int_equal(begin_chain(1), WAKE_ARITY);
        while (shared->woken < WAKE_ARITY) {
                (void) usleep(1000);
        }
        (void) usleep(50000);
        assert_int_equal(shared->woken, WAKE_ARITY);
        for (i = 0; i < SLEEPERS; i++) {
                (void) wake_send(&shared->word, WAKE_ALL);
        }
        sleepers_end(pids, SLEEPERS);
}

/* Where the chain has come to its end nobody is looked for any more. Somebody is left here, and
 * shows it, because the end was made up: as a reader may who tampers with the wake board. */
static void test_behind_its_end_the_chain_does_not_go_on(void **state) {
        pid_t pids[SLEEPERS];

        shared->chain_end = 1;
        sleepers_start(pids, SLEEPERS);
        shared->word = 1;
        assert_int_equal(begin_chain(1), WAKE_ARITY);
        while (shared->woken < WAKE_ARITY) {
                (void) usleep(1000);
        }
        (void) usleep(50000);
        assert_int_equal(shared->woken, WAKE_ARITY);
        /* It is the end of that message's chain only. */
        shared->word = 2;
        assert_int_equal(begin_chain(2), WAKE_ARITY);
        sleepers_end(pids, SLEEPERS);
        assert_int_equal(shared->woken, SLEEPERS);
        assert_int_equal(shared->chain_end, 2);
}

/* Four were woken: whether these were all is not known yet. */
static void test_a_full_call_is_not_the_end(void **state) {
        pid_t pids[WAKE_ARITY];

        shared->chain = false;
        sleepers_start(pids, WAKE_ARITY);
        shared->word = 1;
        assert_int_equal(begin_chain(1), WAKE_ARITY);
        assert_int_equal(shared->chain_end, NEVER);
        assert_int_equal(begin_chain(1), 0);
        assert_int_equal(shared->chain_end, 1);
        sleepers_end(pids, WAKE_ARITY);
}

/* Who has seen the newest takes no wake-up from who has not. */
static void test_who_has_seen_it_sleeps_on(void **state) {
        pid_t up_to_date[SLEEPERS], behind[2];
        size_t i;

        shared->word = 5;
        shared->expected = 5;
        sleepers_start(up_to_date, SLEEPERS);
        shared->asleep = 0;
        shared->word = 4;
        shared->expected = 4;
        sleepers_start(behind, 2);
        shared->word = 5;
        assert_int_equal(begin_chain(5), 2);
        sleepers_end(behind, 2);
        assert_int_equal(shared->woken, 2);
        for (i = 0; i < SLEEPERS; i++) {
                assert_true(is_asleep(up_to_date[i]));
        }
        /* The next message is for all; also over the word's wrap. */
        shared->word = 6;
        assert_int_equal(begin_chain(6), WAKE_ARITY);
        sleepers_end(up_to_date, SLEEPERS);
}

static void test_the_word_may_wrap(void **state) {
        pid_t pids[SLEEPERS];

        shared->word = UINT32_MAX;
        shared->expected = UINT32_MAX;
        sleepers_start(pids, SLEEPERS);
        shared->word = 0;
        assert_int_equal(begin_chain(0), WAKE_ARITY);
        sleepers_end(pids, SLEEPERS);
}

/* A link that dies with a wake-up in hand passes nothing on, as who knows of no chain: what it left
 * asleep the next message wakes. */
static void test_the_next_message_mends_a_broken_chain(void **state) {
        pid_t links[WAKE_ARITY], others[SLEEPERS];

        shared->chain = false;
        sleepers_start(links, WAKE_ARITY);
        shared->chain = true;
        shared->asleep = 0;
        sleepers_start(others, SLEEPERS);
        shared->word = 1;
        /* Those that came first are woken first. */
        assert_int_equal(begin_chain(1), WAKE_ARITY);
        sleepers_end(links, WAKE_ARITY);
        (void) usleep(50000);
        assert_int_equal(shared->woken, WAKE_ARITY);
        shared->word = 2;
        assert_int_equal(begin_chain(2), WAKE_ARITY);
        sleepers_end(others, SLEEPERS);
        assert_int_equal(shared->woken, WAKE_ARITY + SLEEPERS);
}

/* Sleepers of futex_waitv(2), too. */
static int sleep_any_run(void *argument) {
        _Atomic uint32_t quiet = 0;
        const struct wake_item items[] = {
                {.word = &quiet, .expected = 0},
                {.word = &shared->word,
                 .expected = shared->expected,
                 .chain_end = &shared->chain_end},
        };
        int r;

        shared->asleep++;
        r = wake_sleep_any(items, 2, slipring_in_ms(PATIENCE_MS));
        shared->woken += r == 1;
        return r == -ENOSYS ? 77 : r < 0;
}

static void test_sleepers_on_several_words_pass_it_on(void **state) {
        pid_t pids[SLEEPERS];
        size_t i;

        for (i = 0; i < SLEEPERS; i++) {
                pids[i] = process_start(sleep_any_run, NULL);
        }
        for (i = 0; i < SLEEPERS; i++) {
                while (shared->asleep < SLEEPERS || !is_asleep(pids[i])) {
                        (void) usleep(1000);
                }
        }
        shared->word = 1;
        assert_int_equal(begin_chain(1), WAKE_ARITY);
        sleepers_end(pids, SLEEPERS);
        assert_int_equal(shared->woken, SLEEPERS);
}

/* The kernel names one word to who was woken for several. Nobody runs between the two calls here:
 * all are on one processor, and who wakes does not leave it. */
static int sleep_both_run(void *argument) {
        const struct wake_item items[] = {
                {.word = &shared->word, .chain_end = &shared->chain_end},
                {.word = &shared->other, .chain_end = &shared->other_end},
        };
        int r;

        r = wake_sleep_any(items, 2, slipring_in_ms(PATIENCE_MS));
        return r == -ENOSYS ? 77 : r < 0;
}

static void test_who_is_woken_for_two_words_passes_both_on(void **state) {
        const struct sched_param first = {.sched_priority = 1}, usual = {0};
        pid_t both[WAKE_ARITY], behind[WAKE_ARITY];
        cpu_set_t before, one;
        size_t i;

        assert_int_equal(sched_getaffinity(0, sizeof(before), &before), 0);
        CPU_ZERO(&one);
        for (i = 0; !CPU_ISSET(i, &before); i++) {
        }
        CPU_SET(i, &one);
        assert_int_equal(sched_setaffinity(0, sizeof(one), &one), 0);
        shared->other_end = NEVER;
        for (i = 0; i < WAKE_ARITY; i++) {
                both[i] = process_start(sleep_both_run, NULL);
                process_await_call(both[i], SYS_futex_waitv);
        }
        sleepers_start(behind, WAKE_ARITY);
        if (sched_setscheduler(0, SCHED_FIFO, &first) < 0) {
                print_message("no real-time priority here: they may run in between\n");
        }
        shared->word = shared->other = 1;
        assert_int_equal(begin_chain(1), WAKE_ARITY);
        (void) wake_chain(&shared->other, 1, &shared->other_end);
        assert_int_equal(sched_setscheduler(0, SCHED_OTHER, &usual), 0);
        sleepers_end(behind, WAKE_ARITY);
        sleepers_end(both, WAKE_ARITY);
        assert_int_equal(shared->woken, WAKE_ARITY);
        assert_int_equal(sched_setaffinity(0, sizeof(before), &before), 0);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void) {
        const struct CMUnitTest tests[] = {
                CASE(test_all_are_woken_though_one_call_wakes_four),
                CASE(test_without_a_chain_four_are_woken),
                CASE(test_behind_its_end_the_chain_does_not_go_on),
                CASE(test_a_full_call_is_not_the_end),
                CASE(test_who_has_seen_it_sleeps_on),
                CASE(test_the_word_may_wrap),
                CASE(test_the_next_message_mends_a_broken_chain),
                CASE(test_sleepers_on_several_words_pass_it_on),
                CASE(test_who_is_woken_for_two_words_passes_both_on),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
