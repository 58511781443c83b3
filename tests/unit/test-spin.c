/*
 * subscribers/spin.c: whether a wait looks for its sample before it sleeps, and for how long.
 */

/* cmocka wants these, in this order. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

#include "subscribers/spin.h"

#define US UINT64_C(1000)

/* Many waits that all took as long. */
static void learn(struct spin *spin, uint64_t waited_ns, unsigned times) {
        while (times-- > 0) {
                spin_learn(spin, waited_ns);
        }
}

static struct spin spin_of(uint32_t budget_us) {
        struct spin spin;

        spin_start(&spin, budget_us, 2);
        return spin;
}

/* One that has learnt to look. */
static struct spin ready_spin(uint32_t budget_us, uint64_t waited_ns) {
        struct spin spin = spin_of(budget_us);

        learn(&spin, waited_ns, 100);
        return spin;
}

static void test_the_first_waits_sleep(void **state) {
        struct spin spin = spin_of(100);
        unsigned i;

        /* 1 - (7/8)^n reaches a half with the sixth. */
        for (i = 0; i < 6; i++) {
                assert_int_equal(spin_span(&spin), 0);
                spin_learn(&spin, 50 * US);
        }
        assert_true(spin_span(&spin) > 0);
        assert_int_equal(spin.looked, 1);
}

static void test_waits_that_take_longer_sleep(void **state) {
        struct spin spin = spin_of(100);

        learn(&spin, 100 * US + 1, 1000);
        assert_int_equal(spin_span(&spin), 0);
        learn(&spin, UINT64_MAX, 1000);
        assert_int_equal(spin_span(&spin), 0);
        assert_int_equal(spin.looked, 0);
}

static void test_it_looks_as_long_as_waits_usually_take(void **state) {
        struct spin spin = ready_spin(1000, 50 * US);
        uint64_t span = spin_span(&spin), wider;
        unsigned i;

        /* All took 50 us: little more, and the hundredth does not differ from the first. */
        assert_in_range(span, 50 * US, 52 * US);
        for (i = 0; i < 100; i++) {
                spin_learn(&spin, i % 2 ? 30 * US : 70 * US);
        }
        wider = spin_span(&spin);
        /* 20 us off, four times: looking catches all of them. */
        assert_in_range(wider, 100 * US, 150 * US);
        learn(&spin, 50 * US, 100);
        assert_in_range(spin_span(&spin), 50 * US, 52 * US);
}

static void test_it_looks_no_longer_than_it_may(void **state) {
        struct spin spin = spin_of(100);
        unsigned i;

        for (i = 0; i < 100; i++) {
                spin_learn(&spin, i % 2 ? 0 : 100 * US);
        }
        assert_int_equal(spin_span(&spin), 100 * US);
}

/* A sample in 20 us, or none for long: the time of those that came is not that of the others. */
static void test_long_waits_do_not_lengthen_the_look(void **state) {
        struct spin spin = ready_spin(100, 20 * US);
        unsigned i;

        for (i = 0; i < 300; i++) {
                spin_learn(&spin, i % 3 == 0 ? 5000 * US : 20 * US);
        }
        assert_in_range(spin_span(&spin), 20 * US, 22 * US);
}

static void test_a_topic_that_slows_down_is_left_alone(void **state) {
        struct spin spin = ready_spin(100, 20 * US);
        unsigned i;

        for (i = 0; i < 5; i++) {
                spin_learn(&spin, 5000 * US);
                assert_true(spin_span(&spin) > 0);
                spin_ended(&spin, true);
        }
        /* (7/8)^6 is less than a half. */
        spin_learn(&spin, 5000 * US);
        assert_int_equal(spin_span(&spin), 0);
        /* And comes back. */
        learn(&spin, 20 * US, 6);
        assert_true(spin_span(&spin) > 0);
}

/* Waits until it looks again. */
static unsigned slept(struct spin *spin) {
        unsigned waits = 0;

        while (spin_span(spin) == 0) {
                assert_in_range(++waits, 1, 1000);
        }
        return waits;
}

static void test_looks_in_vain_become_seldom(void **state) {
        /* The samples come soon, but only when this process sleeps. */
        struct spin spin = ready_spin(100, 20 * US);
        unsigned expected;

        assert_int_equal(slept(&spin), 0);
        for (expected = 1; expected < 2000; expected *= 2) {
                spin_ended(&spin, false);
                assert_int_equal(slept(&spin), expected < 64 ? expected : 64);
                assert_true(spin.skip == 0);
        }
        /* Each that helps halves it, until nothing is skipped. */
        for (expected = 32; expected > 0; expected /= 2) {
                spin_ended(&spin, true);
                assert_int_equal(slept(&spin), expected);
        }
        spin_ended(&spin, true);
        assert_int_equal(slept(&spin), 0);
        spin_ended(&spin, true);
        assert_int_equal(slept(&spin), 0);
}

static void test_looks_are_counted(void **state) {
        struct spin spin = ready_spin(100, 20 * US);
        unsigned i;

        for (i = 0; i < 10; i++) {
                assert_true(spin_span(&spin) > 0);
                spin_ended(&spin, true);
        }
        assert_true(spin_span(&spin) > 0);
        spin_ended(&spin, false);
        assert_int_equal(spin_span(&spin), 0);
        assert_int_equal(spin.looked, 11);
        assert_int_equal(spin.helped, 10);
}

static void test_nobody_looks_on_one_processor(void **state) {
        struct spin spin;

        spin_start(&spin, 100, 1);
        assert_int_equal(spin.budget_ns, 0);
        /* sysconf(3) that does not know. */
        spin_start(&spin, 100, -1);
        assert_int_equal(spin.budget_ns, 0);
        spin_start(&spin, 100000, 2);
        assert_int_equal(spin.budget_ns, 100000 * US);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_the_first_waits_sleep),
                cmocka_unit_test(test_waits_that_take_longer_sleep),
                cmocka_unit_test(test_it_looks_as_long_as_waits_usually_take),
                cmocka_unit_test(test_it_looks_no_longer_than_it_may),
                cmocka_unit_test(test_long_waits_do_not_lengthen_the_look),
                cmocka_unit_test(test_a_topic_that_slows_down_is_left_alone),
                cmocka_unit_test(test_looks_in_vain_become_seldom),
                cmocka_unit_test(test_looks_are_counted),
                cmocka_unit_test(test_nobody_looks_on_one_processor),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
