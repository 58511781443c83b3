#include "schema/value.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "schema/util.h"

#define RATE_UHZ_MIN UINT64_C(1000)
#define RATE_UHZ_MAX UINT64_C(1000000000000)
#define DURATION_NS_MAX UINT64_C(1000000000000000000)

static int digit_value(char c) {
        if (c >= '0' && c <= '9') {
                return c - '0';
        }
        if (c >= 'a' && c <= 'f') {
                return c - 'a' + 10;
        }
        return c >= 'A' && c <= 'F' ? c - 'A' + 10 : 16;
}

int value_integer(const char *text, bool *ret_negative, uint64_t *ret_magnitude) {
        bool negative = *text == '-', overflow = false;
        unsigned base = 10;
        uint64_t magnitude = 0;

        text += negative || *text == '+';
        if (text[0] == '0' && (text[1] == 'x' || text[1] == 'X')) {
                base = 16;
                text += 2;
        } else if (text[0] == '0' && text[1]) {
                return -EINVAL;
        }
        if (!*text) {
                return -EINVAL;
        }
        for (; *text; text++) {
                unsigned digit = (unsigned) digit_value(*text);

                if (digit >= base) {
                        return -EINVAL;
                }
                overflow |= __builtin_mul_overflow(magnitude, base, &magnitude) ||
                            __builtin_add_overflow(magnitude, digit, &magnitude);
        }
        if (overflow) {
                return -ERANGE;
        }
        *ret_negative = negative && magnitude > 0;
        *ret_magnitude = magnitude;
        return 0;
}

int value_real(const char *text, double *ret_real) {
        double real;
        char *end;

        /* strtod() also reads "inf", "nan" and hexadecimal. */
        if (!*text || text[strspn(text, "0123456789+-.eE")]) {
                return -EINVAL;
        }
        real = strtod(text, &end);
        if (*end) {
                return -EINVAL;
        }
        if (!isfinite(real)) {
                return -ERANGE;
        }
        *ret_real = real;
        return 0;
}

/* Exact decimals: "1.50" is 150 with 2 places. More digits than 18 in all are -ERANGE. */
static int decimal_read(const char **text, uint64_t *ret_digits, unsigned *ret_places) {
        uint64_t digits = 0;
        unsigned places = 0, count = 0;
        bool point = false;
        const char *c;

        for (c = *text; digit_value(*c) < 10 || (*c == '.' && !point); c++) {
                if (*c == '.') {
                        point = true;
                        continue;
                }
                places += point;
                /* Leading zeros are not worth a place. */
                count += digits > 0 || *c != '0';
                if (count > 18 || places > 18) {
                        return -ERANGE;
                }
                digits = digits * 10 + (uint64_t) digit_value(*c);
        }
        if (c == *text || c[-1] == '.' || **text == '.') {
                return -EINVAL;
        }
        *text = c;
        *ret_digits = digits;
        *ret_places = places;
        return 0;
}

struct unit {
        const char *name;
        uint64_t factor;
};

/* Divide the product of two numbers by a prime, in place. */
static bool product_divide(uint64_t *a, uint64_t *b, uint64_t prime) {
        uint64_t *divisible = *a % prime == 0 ? a : b;

        if (*divisible % prime) {
                return false;
        }
        *divisible /= prime;
        return true;
}

/* Number and unit as a whole number of the base unit. */
static int quantity_read(const char *text,
                         const struct unit *units,
                         size_t unit_count,
                         uint64_t maximum,
                         uint64_t *ret_quantity) {
        bool negative = *text == '-';
        uint64_t digits = 0, factor;
        unsigned places = 0;
        int r;

        text += negative;
        r = decimal_read(&text, &digits, &places);
        if (r < 0) {
                return r;
        }
        if (!*text) {
                return -ENOTUNIQ;
        }
        text += *text == ' ';
        for (size_t i = 0; i < unit_count; i++) {
                if (strcmp(text, units[i].name)) {
                        continue;
                }
                if (negative || digits == 0) {
                        return -EDOM;
                }
                factor = units[i].factor;
                for (; places > 0; places--) {
                        if (!product_divide(&digits, &factor, 2) ||
                            !product_divide(&digits, &factor, 5)) {
                                return -ERANGE;
                        }
                }
                if (__builtin_mul_overflow(digits, factor, ret_quantity) ||
                    *ret_quantity > maximum) {
                        return -ERANGE;
                }
                return 0;
        }
        /* "1e3 Hz", "5 6 s": not one number and one word. */
        return strpbrk(text, " .+-0123456789") ? -EINVAL : -ENOENT;
}

int value_duration(const char *text, uint64_t *ret_ns) {
        static const struct unit units[] = {
                {"ns", 1},
                {"us", 1000},
                {"ms", 1000000},
                {"s", 1000000000},
                {"min", UINT64_C(60000000000)},
                {"h", UINT64_C(3600000000000)},
        };

        return quantity_read(text, units, ELEMENTS(units), DURATION_NS_MAX, ret_ns);
}

int value_rate(const char *text, uint64_t *ret_uhz) {
        static const struct unit units[] = {
                {"mHz", 1000},
                {"Hz", 1000000},
                {"kHz", 1000000000},
        };
        uint64_t uhz;
        int r;

        r = quantity_read(text, units, ELEMENTS(units), RATE_UHZ_MAX, &uhz);
        if (r < 0) {
                return r;
        }
        if (uhz < RATE_UHZ_MIN) {
                return -ERANGE;
        }
        *ret_uhz = uhz;
        return 0;
}

const char *value_mode(const char *text, uint32_t *ret_mode) {
        static const uint32_t modes[] = {0600, 0640, 0644, 0660, 0664};
        uint32_t mode = 0;

        if (strlen(text) != 4 || text[0] != '0' || text[strspn(text, "01234567")]) {
                return "must be four octal digits, such as \"0640\"";
        }
        mode = (uint32_t) strtoul(text, NULL, 8);
        for (size_t i = 0; i < ELEMENTS(modes); i++) {
                if (modes[i] == mode) {
                        *ret_mode = mode;
                        return NULL;
                }
        }
        if (mode & 0002) {
                return "would let every user of this machine publish; at most \"0664\"";
        }
        if (mode & 0111) {
                return "has execute bits, which mean nothing for a topic";
        }
        if ((mode & 0600) != 0600) {
                return "would keep the owner, who publishes, from reading and writing";
        }
        if ((mode & 0060) == 0020) {
                return "would let the group publish but not read";
        }
        return "would give others what the group does not have";
}
