/*
 * publishers/payload.c: numbers as people write them.
 */

/* cmocka wants these, in this order. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

#include <errno.h>
#include <math.h>
#include <string.h>

#include "publishers/payload.h"

#define NOW UINT64_C(1700000000123456789)

static int set(uint32_t kind, const char *text, void *to, struct slipring_error *error) {
        struct slipring_field field = {.name = "x", .kind = kind};

        memset(error, 0, sizeof(*error));
        return payload_set(&field, "a.x", text, NOW, to, error);
}

static void good(uint32_t kind, const char *text, const void *want, size_t bytes) {
        unsigned char to[16];
        struct slipring_error error;

        memset(to, 0xee, sizeof(to));
        if (set(kind, text, to, &error) < 0) {
                fail_msg("%s: %s", text, error.text);
        }
        assert_memory_equal(to, want, bytes);
        /* Not a byte beside it. */
        assert_int_equal(to[bytes], 0xee);
}

static void bad(uint32_t kind, const char *text, int code, const char *want) {
        uint64_t to[2] = {0};
        struct slipring_error error;

        assert_int_equal(set(kind, text, to, &error), code);
        assert_string_equal(error.text, want);
}

#define GOOD(kind, c_type, text, value)                                                            \
        good(SLIPRING_KIND_##kind, text, &(c_type){value}, sizeof(c_type))

static void test_whole_numbers(void **state) {
        GOOD(INT8, int8_t, "-128", -128);
        GOOD(UINT8, uint8_t, "255", 255);
        GOOD(INT16, int16_t, "-32768", INT16_MIN);
        GOOD(UINT16, uint16_t, "0xffff", 0xffff);
        GOOD(INT32, int32_t, "+7", 7);
        GOOD(UINT32, uint32_t, "0o17", 15);
        GOOD(INT64, int64_t, "-9223372036854775808", INT64_MIN);
        GOOD(UINT64, uint64_t, "18446744073709551615", UINT64_MAX);
        GOOD(UINT8, uint8_t, "0b101", 5);
        GOOD(UINT8, uint8_t, "007", 7);
        GOOD(UINT8, uint8_t, "-0", 0);
}

static void test_whole_numbers_that_do_not_fit(void **state) {
        bad(SLIPRING_KIND_UINT8, "256", -ERANGE,
            "field 'a.x': 256 does not fit uint8, which holds 0 to 255");
        bad(SLIPRING_KIND_UINT8, "-1", -ERANGE,
            "field 'a.x': -1 does not fit uint8, which holds 0 to 255");
        bad(SLIPRING_KIND_INT8, "128", -ERANGE,
            "field 'a.x': 128 does not fit int8, which holds -128 to 127");
        bad(SLIPRING_KIND_INT64, "9223372036854775808", -ERANGE,
            "field 'a.x': 9223372036854775808 does not fit int64, which holds "
            "-9223372036854775808 to 9223372036854775807");
        bad(SLIPRING_KIND_UINT64, "18446744073709551616", -ERANGE,
            "field 'a.x': 18446744073709551616 does not fit uint64, which holds 0 to "
            "18446744073709551615");
        bad(SLIPRING_KIND_INT32, "1.5", -EINVAL, "field 'a.x': '1.5' is no int32");
        bad(SLIPRING_KIND_INT32, "ten", -EINVAL, "field 'a.x': 'ten' is no int32");
        bad(SLIPRING_KIND_INT32, "", -EINVAL, "field 'a.x': '' is no int32");
        bad(SLIPRING_KIND_INT32, "- 1", -EINVAL, "field 'a.x': '- 1' is no int32");
        bad(SLIPRING_KIND_INT32, "0x", -EINVAL, "field 'a.x': '0x' is no int32");
        bad(SLIPRING_KIND_INT32, "1 ", -EINVAL, "field 'a.x': '1 ' is no int32");
}

static void test_reals(void **state) {
        GOOD(FLOAT64, double, "0.1", 0.1);
        GOOD(FLOAT32, float, "0.1", 0.1f);
        GOOD(FLOAT64, double, "-3", -3.0);
        GOOD(FLOAT64, double, "1e3", 1000.0);
        GOOD(FLOAT64, double, ".5", 0.5);
        GOOD(FLOAT64, double, "-.inf", -INFINITY);
        GOOD(FLOAT32, float, ".Inf", INFINITY);
        bad(SLIPRING_KIND_FLOAT32, "1e39", -ERANGE, "field 'a.x': 1e39 does not fit float32");
        bad(SLIPRING_KIND_FLOAT64, "1e999", -ERANGE, "field 'a.x': 1e999 does not fit float64");
        bad(SLIPRING_KIND_FLOAT64, "1,5", -EINVAL, "field 'a.x': '1,5' is no float64");
        bad(SLIPRING_KIND_FLOAT64, "e", -EINVAL, "field 'a.x': 'e' is no float64");
        bad(SLIPRING_KIND_FLOAT64, "infinity", -EINVAL, "field 'a.x': 'infinity' is no float64");
        bad(SLIPRING_KIND_FLOAT64, "0x10", -EINVAL, "field 'a.x': '0x10' is no float64");
}

static void test_not_a_number(void **state) {
        struct slipring_error error;
        double number = 0;

        assert_int_equal(set(SLIPRING_KIND_FLOAT64, ".nan", &number, &error), 0);
        assert_true(isnan(number));
}

static void test_truth(void **state) {
        GOOD(BOOL, uint8_t, "true", 1);
        GOOD(BOOL, uint8_t, "False", 0);
        GOOD(BOOL, uint8_t, "1", 1);
        bad(SLIPRING_KIND_BOOL, "2", -EINVAL, "field 'a.x': '2' is neither true nor false");
}

static void test_times(void **state) {
        const struct slipring_time now = {1700000000, 123456789}, half = {1, 500000000},
                                   before = {-2, 750000000};

        good(SLIPRING_KIND_TIME, "now", &now, sizeof(now));
        good(SLIPRING_KIND_TIME, "auto", &now, sizeof(now));
        good(SLIPRING_KIND_TIME, "1700000000.123456789", &now, sizeof(now));
        good(SLIPRING_KIND_TIME, "1.5", &half, sizeof(half));
        good(SLIPRING_KIND_DURATION, "-1.25", &before, sizeof(before));
        bad(SLIPRING_KIND_DURATION, "now", -EINVAL,
            "field 'a.x': 'now' is no duration: write {sec: 1, nanosec: 500000000} or 1.5");
        bad(SLIPRING_KIND_TIME, "soon", -EINVAL,
            "field 'a.x': 'soon' is no time: write now, {sec: 1, nanosec: 500000000} or 1.5");
        bad(SLIPRING_KIND_TIME, "2147483648", -ERANGE,
            "field 'a.x': 2147483648 does not fit a time, whose seconds are an int32");
}

static void test_text_is_padded_and_never_cut(void **state) {
        const struct slipring_field name = {"name", "text", SLIPRING_KIND_UINT8, 4, 0, 1, 0, 0};
        struct slipring_error error = {0};
        uint8_t bytes[5] = {9, 9, 9, 9, 9};

        assert_int_equal(payload_set_text(&name, "a.name", "lo", bytes, &error), 0);
        assert_memory_equal(bytes, "lo\0\0\x09", 5);
        assert_int_equal(payload_set_text(&name, "a.name", "eth0", bytes, &error), 0);
        assert_memory_equal(bytes, "eth0\x09", 5);
        assert_int_equal(payload_set_text(&name, "a.name", "eth00", bytes, &error), -ERANGE);
        assert_string_equal(error.text, "field 'a.name': 'eth00' has 5 bytes, the field 4");
        assert_memory_equal(bytes, "eth0\x09", 5);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_whole_numbers),
                cmocka_unit_test(test_whole_numbers_that_do_not_fit),
                cmocka_unit_test(test_reals),
                cmocka_unit_test(test_not_a_number),
                cmocka_unit_test(test_truth),
                cmocka_unit_test(test_times),
                cmocka_unit_test(test_text_is_padded_and_never_cut),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
