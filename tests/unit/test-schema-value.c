/*
 * Numbers, names and what somebody may have meant.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "schema/names.h"
#include "schema/suggest.h"
#include "schema/utf8.h"
#include "schema/value.h"

#define ELEMENTS(array) (sizeof(array) / sizeof((array)[0]))

static void test_integers_keep_every_digit(void **state) {
        static const struct {
                const char *text;
                int r;
                bool negative;
                uint64_t magnitude;
        } cases[] = {
                {"0", 0, false, 0},
                {"-0", 0, false, 0},
                {"+7", 0, false, 7},
                {"-128", 0, true, 128},
                {"0xfF", 0, false, 255},
                {"18446744073709551615", 0, false, UINT64_MAX},
                {"18446744073709551616", -ERANGE, false, 0},
                {"99999999999999999999999", -ERANGE, false, 0},
                {"0x10000000000000000", -ERANGE, false, 0},
                {"", -EINVAL, false, 0},
                {"-", -EINVAL, false, 0},
                {"0x", -EINVAL, false, 0},
                {"010", -EINVAL, false, 0},
                {"1_000", -EINVAL, false, 0},
                {"1.0", -EINVAL, false, 0},
                {" 1", -EINVAL, false, 0},
                {"1 ", -EINVAL, false, 0},
                {"99999999999999999999x", -EINVAL, false, 0},
        };

        for (size_t i = 0; i < ELEMENTS(cases); i++) {
                bool negative = false;
                uint64_t magnitude = 0;

                assert_int_equal(value_integer(cases[i].text, &negative, &magnitude), cases[i].r);
                assert_int_equal(negative, cases[i].negative);
                assert_true(magnitude == cases[i].magnitude);
        }
}

static void test_durations_are_exact_nanoseconds(void **state) {
        static const struct {
                const char *text;
                int r;
                uint64_t ns;
        } cases[] = {
                {"300 ms", 0, 300000000},
                {"300ms", 0, 300000000},
                {"0.3 s", 0, 300000000},
                {"1 ns", 0, 1},
                {"0.000000001 s", 0, 1},
                {"1.5 us", 0, 1500},
                {"2 min", 0, UINT64_C(120000000000)},
                {"24 h", 0, UINT64_C(86400000000000)},
                {"1000000000 s", 0, UINT64_C(1000000000000000000)},
                {"1000000000.000000001 s", -ERANGE, 0},
                {"0.5 ns", -ERANGE, 0},
                {"9999999999999999999 s", -ERANGE, 0},
                {"300", -ENOTUNIQ, 0},
                {"3 weeks", -ENOENT, 0},
                {"3 MS", -ENOENT, 0},
                {"0 s", -EDOM, 0},
                {"0.000 s", -EDOM, 0},
                {"-1 s", -EDOM, 0},
                {"", -EINVAL, 0},
                {"s", -EINVAL, 0},
                {".5 s", -EINVAL, 0},
                {"5. s", -EINVAL, 0},
                {"1e3 s", -EINVAL, 0},
                {"1  s", -EINVAL, 0},
                {"1 s 5", -EINVAL, 0},
                {"1,5 s", -EINVAL, 0},
        };

        for (size_t i = 0; i < ELEMENTS(cases); i++) {
                uint64_t ns = 0;

                assert_int_equal(value_duration(cases[i].text, &ns), cases[i].r);
                assert_true(ns == cases[i].ns);
        }
}

static void test_rates_are_exact_millionths(void **state) {
        static const struct {
                const char *text;
                int r;
                uint64_t uhz;
        } cases[] = {
                {"200 Hz", 0, 200000000},     {"29.97 Hz", 0, 29970000},
                {"0.000001 kHz", 0, 1000},    {"1000 kHz", 0, UINT64_C(1000000000000)},
                {"1 mHz", 0, 1000},           {"0.9 mHz", -ERANGE, 0},
                {"1000.001 kHz", -ERANGE, 0}, {"0.0000001 Hz", -ERANGE, 0},
                {"5 hz", -ENOENT, 0},         {"5", -ENOTUNIQ, 0},
        };

        for (size_t i = 0; i < ELEMENTS(cases); i++) {
                uint64_t uhz = 0;

                assert_int_equal(value_rate(cases[i].text, &uhz), cases[i].r);
                assert_true(uhz == cases[i].uhz);
        }
}

static void test_reals_are_plain_decimal_numbers(void **state) {
        double real = 0;

        assert_int_equal(value_real("-0.5e-3", &real), 0);
        assert_true(real == -0.5e-3);
        assert_int_equal(value_real("1e400", &real), -ERANGE);
        assert_int_equal(value_real("nan", &real), -EINVAL);
        assert_int_equal(value_real("0x1p3", &real), -EINVAL);
        assert_int_equal(value_real("1-2", &real), -EINVAL);
        assert_int_equal(value_real("", &real), -EINVAL);
}

/* Of all 4,096 modes five are allowed, and each other one has a reason. */
static void test_modes_are_five(void **state) {
        unsigned allowed = 0;

        for (unsigned mode = 0; mode < 010000; mode++) {
                char text[8];
                uint32_t read = 0;
                const char *problem;

                snprintf(text, sizeof(text), "%04o", mode);
                problem = value_mode(text, &read);
                if (problem) {
                        assert_true(strlen(problem) > 10);
                        continue;
                }
                allowed++;
                assert_int_equal(read, mode);
                assert_true(mode == 0600 || mode == 0640 || mode == 0644 || mode == 0660 ||
                            mode == 0664);
        }
        assert_int_equal(allowed, 5);
}

static void test_names_follow_ros(void **state) {
        static const char *const snake[] = {"a", "a1", "a_1", "ab_c2_d", "on"};
        static const char *const no_snake[] = {"",     "A",   "1a", "_a",    "a_",
                                               "a__b", "a-b", "aB", "\u00e4"};

        for (size_t i = 0; i < ELEMENTS(snake); i++) {
                assert_true(name_is_snake(snake[i]));
                assert_true(name_is_path(snake[i]));
        }
        for (size_t i = 0; i < ELEMENTS(no_snake); i++) {
                assert_false(name_is_snake(no_snake[i]));
                assert_false(name_is_path(no_snake[i]));
        }
        assert_true(name_is_path("a/b_c/d1"));
        assert_false(name_is_snake("a/b"));
        assert_false(name_is_path("a/"));
        assert_false(name_is_path("a_/b"));
        assert_false(name_is_path("a//b"));
        assert_false(name_is_path("a/1"));
        assert_true(name_is_constant("OK"));
        assert_true(name_is_constant("OVER_5_V"));
        assert_false(name_is_constant("Ok"));
        assert_false(name_is_constant("OK_"));
        assert_true(name_is_camel("Imu2D"));
        assert_false(name_is_camel("imu"));
        assert_false(name_is_camel("Imu_2"));
        assert_true(name_is_padding("pad"));
        assert_true(name_is_padding("pad007"));
        assert_false(name_is_padding("pad_0"));
        assert_false(name_is_padding("padding"));
}

static void test_names_change_their_shape(void **state) {
        struct arena arena = {0};

        assert_string_equal(name_camel(&arena, "arm/joint_states"), "ArmJointStates");
        assert_string_equal(name_camel(&arena, "imu_2d/raw"), "Imu2dRaw");
        assert_string_equal(name_constant(&arena, "BatteryState"), "BATTERY_STATE");
        assert_string_equal(name_constant(&arena, "IMUState"), "IMU_STATE");
        assert_string_equal(name_constant(&arena, "Vector3"), "VECTOR3");
        assert_string_equal(name_constant(&arena, "Imu2D"), "IMU2_D");
        assert_string_equal(name_constant(&arena, "joint_state"), "JOINT_STATE");
        assert_string_equal(name_constant(&arena, "imu/front"), "IMU_FRONT");
        assert_string_equal(name_flat(&arena, "a/b_c/d"), "a_b_c_d");
        arena_free(&arena);
}

static const char *suggest(const char *word, const char *const *candidates, size_t count) {
        struct suggestion suggestion = {.word = word};

        for (size_t i = 0; i < count; i++) {
                suggestion_offer(&suggestion, candidates[i]);
        }
        return suggestion.best;
}

static void test_suggestions_are_near(void **state) {
        static const char *const verbs[] = {"check", "generate", "list", "info", "echo", "hz"};

        assert_string_equal(suggest("chekc", verbs, 6), "check");
        assert_string_equal(suggest("chcek", verbs, 6), "check");
        assert_string_equal(suggest("lists", verbs, 6), "list");
        assert_string_equal(suggest("genrate", verbs, 6), "generate");
        assert_string_equal(suggest("hy", verbs, 6), "hz");
        assert_null(suggest("top", verbs, 6));
        assert_null(suggest("x", verbs, 6));
        assert_null(suggest("", verbs, 6));
}

static void test_utf8_is_strict(void **state) {
        uint32_t character = 0;
        char text[] = "a\x1b"
                      "b\xff\u202e\u00e4";

        assert_int_equal(utf8_decode("\u20ac", 3, &character), 3);
        assert_int_equal(character, 0x20ac);
        assert_int_equal(utf8_decode("\U0010ffff", 4, &character), 4);
        assert_int_equal(utf8_decode("\xe2\x82", 2, &character), 0);
        assert_int_equal(utf8_decode("\xe2\x82\xac", 2, &character), 0);
        assert_int_equal(utf8_decode("\xc1\xbf", 2, &character), 0);
        assert_int_equal(utf8_decode("\xe0\x9f\xbf", 3, &character), 0);
        assert_int_equal(utf8_decode("\xf0\x8f\xbf\xbf", 4, &character), 0);
        assert_int_equal(utf8_decode("\xf4\x90\x80\x80", 4, &character), 0);
        assert_int_equal(utf8_decode("\xed\xa0\x80", 3, &character), 0);
        assert_int_equal(utf8_decode("\x80", 1, &character), 0);
        utf8_sanitize(text);
        assert_string_equal(text, "a?b??\u00e4");
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_integers_keep_every_digit),
                cmocka_unit_test(test_durations_are_exact_nanoseconds),
                cmocka_unit_test(test_rates_are_exact_millionths),
                cmocka_unit_test(test_reals_are_plain_decimal_numbers),
                cmocka_unit_test(test_modes_are_five),
                cmocka_unit_test(test_names_follow_ros),
                cmocka_unit_test(test_names_change_their_shape),
                cmocka_unit_test(test_suggestions_are_near),
                cmocka_unit_test(test_utf8_is_strict),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
