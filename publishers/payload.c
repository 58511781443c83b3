#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "bus/error.h"
#include "bus/type.h"
#include "publishers/payload.h"

#define NS_PER_SEC UINT64_C(1000000000)

static int refuse(const struct slipring_field *field,
                  const char *path,
                  const char *text,
                  struct slipring_error *reterr) {
        return error_set(reterr, -EINVAL, "field '%s': '%.80s' is no %s", path, text,
                         type_kind_name(field->kind));
}

bool payload_is_now(const char *text) {
        return strcmp(text, "now") == 0 || strcmp(text, "auto") == 0;
}

/* --- whole numbers --- */

struct range {
        int64_t least;
        uint64_t most;
};

static struct range range_of(uint32_t kind) {
        switch (kind) {
        case SLIPRING_KIND_INT8:
                return (struct range){INT8_MIN, INT8_MAX};
        case SLIPRING_KIND_UINT8:
                return (struct range){0, UINT8_MAX};
        case SLIPRING_KIND_INT16:
                return (struct range){INT16_MIN, INT16_MAX};
        case SLIPRING_KIND_UINT16:
                return (struct range){0, UINT16_MAX};
        case SLIPRING_KIND_INT32:
                return (struct range){INT32_MIN, INT32_MAX};
        case SLIPRING_KIND_UINT32:
                return (struct range){0, UINT32_MAX};
        case SLIPRING_KIND_INT64:
                return (struct range){INT64_MIN, INT64_MAX};
        default:
                return (struct range){0, UINT64_MAX};
        }
}

/* Sign and magnitude of a whole number. Return: 0, -EINVAL, or -ERANGE above 64 bits. */
static int whole_read(const char *text, bool *ret_negative, uint64_t *ret_magnitude) {
        int base = 10;
        char *end;

        *ret_negative = *text == '-';
        text += *text == '-' || *text == '+';
        if (text[0] == '0' && (text[1] == 'x' || text[1] == 'o' || text[1] == 'b')) {
                base = text[1] == 'x' ? 16 : text[1] == 'o' ? 8 : 2;
                text += 2;
        }
        /* strtoull(3) would take blanks and a second sign. */
        if (!((*text >= '0' && *text <= '9') || (base == 16 && strspn(text, "abcdefABCDEF")))) {
                return -EINVAL;
        }
        errno = 0;
        *ret_magnitude = strtoull(text, &end, base);
        if (*end) {
                return -EINVAL;
        }
        return errno == ERANGE ? -ERANGE : 0;
}

static int set_whole(const struct slipring_field *field,
                     const char *path,
                     const char *text,
                     void *to,
                     struct slipring_error *reterr) {
        struct range range = range_of(field->kind);
        uint64_t magnitude = 0, number;
        bool negative = false;
        int r;

        r = whole_read(text, &negative, &magnitude);
        if (r == -EINVAL) {
                return refuse(field, path, text, reterr);
        }
        if (r == -ERANGE ||
            (negative ? magnitude > -(uint64_t) range.least : magnitude > range.most)) {
                return error_set(reterr, -ERANGE,
                                 "field '%s': %.80s does not fit %s, which holds %" PRId64
                                 " to %" PRIu64,
                                 path, text, type_kind_name(field->kind), range.least, range.most);
        }
        number = negative ? -magnitude : magnitude;
        /* The bus is little-endian only: the low bytes come first. */
        memcpy(to, &number, type_kind_bytes(field->kind));
        return 0;
}

/* --- the others --- */

static bool special(const char *text, const char *word) {
        return strcasecmp(text, word) == 0;
}

static int real_read(const char *text, double *ret_number) {
        const char *digits = text + (*text == '-' || *text == '+');
        char *end;

        if (special(digits, ".nan") || special(digits, "nan")) {
                *ret_number = NAN;
                return 0;
        }
        if (special(digits, ".inf") || special(digits, "inf")) {
                *ret_number = *text == '-' ? -INFINITY : INFINITY;
                return 0;
        }
        if (!strpbrk(digits, "0123456789") || strspn(digits, "0123456789.eE+-") != strlen(digits)) {
                return -EINVAL;
        }
        errno = 0;
        *ret_number = strtod(text, &end);
        if (*end) {
                return -EINVAL;
        }
        return isinf(*ret_number) ? -ERANGE : 0;
}

static int set_real(const struct slipring_field *field,
                    const char *path,
                    const char *text,
                    void *to,
                    struct slipring_error *reterr) {
        double number = 0;
        float single;
        int r;

        r = real_read(text, &number);
        if (r == -EINVAL) {
                return refuse(field, path, text, reterr);
        }
        /* Not through the double: rounding twice can end one bit beside the nearest float. */
        single = isfinite(number) ? strtof(text, NULL) : (float) number;
        if (r == -ERANGE ||
            (field->kind == SLIPRING_KIND_FLOAT32 && isfinite(number) && isinf(single))) {
                return error_set(reterr, -ERANGE, "field '%s': %.80s does not fit %s", path, text,
                                 type_kind_name(field->kind));
        }
        if (field->kind == SLIPRING_KIND_FLOAT32) {
                memcpy(to, &single, sizeof(single));
        } else {
                memcpy(to, &number, sizeof(number));
        }
        return 0;
}

static int set_bool(const struct slipring_field *field,
                    const char *path,
                    const char *text,
                    void *to,
                    struct slipring_error *reterr) {
        bool yes = special(text, "true") || strcmp(text, "1") == 0;

        if (!yes && !special(text, "false") && strcmp(text, "0") != 0) {
                return error_set(reterr, -EINVAL, "field '%s': '%.80s' is neither true nor false",
                                 path, text);
        }
        *(uint8_t *) to = yes;
        return 0;
}

/* "12.5" as 12 s and 500000000 ns, digit by digit: a double has too few for the present. */
static int seconds_read(const char *text, int64_t *ret_ns) {
        bool negative = *text == '-';
        uint64_t sec, ns = 0, scale = NS_PER_SEC;
        char *end;

        text += negative;
        if (*text < '0' || *text > '9') {
                return -EINVAL;
        }
        errno = 0;
        sec = strtoull(text, &end, 10);
        if (*end == '.') {
                for (end++; *end >= '0' && *end <= '9' && scale > 1; end++) {
                        scale /= 10;
                        ns += (uint64_t) (*end - '0') * scale;
                }
        }
        if (*end) {
                return -EINVAL;
        }
        if (errno == ERANGE || sec > (uint64_t) INT32_MAX + 1) {
                return -ERANGE;
        }
        *ret_ns = (int64_t) (sec * NS_PER_SEC + ns) * (negative ? -1 : 1);
        return 0;
}

static int set_time(const struct slipring_field *field,
                    const char *path,
                    const char *text,
                    uint64_t now_ns,
                    void *to,
                    struct slipring_error *reterr) {
        struct slipring_time time;
        int64_t ns = 0, sec;
        int r = 0;

        if (field->kind == SLIPRING_KIND_TIME && payload_is_now(text)) {
                ns = (int64_t) now_ns;
        } else {
                r = seconds_read(text, &ns);
        }
        if (r == -EINVAL) {
                return error_set(reterr, r,
                                 "field '%s': '%.80s' is no %s: write %s{sec: 1, "
                                 "nanosec: 500000000} or 1.5",
                                 path, text, type_kind_name(field->kind),
                                 field->kind == SLIPRING_KIND_TIME ? "now, " : "");
        }
        /* The nanoseconds count upwards, also below zero. */
        sec = ns / (int64_t) NS_PER_SEC - (ns % (int64_t) NS_PER_SEC < 0);
        if (r < 0 || sec < INT32_MIN || sec > INT32_MAX) {
                return error_set(reterr, -ERANGE,
                                 "field '%s': %.80s does not fit a %s, whose seconds are an int32",
                                 path, text, type_kind_name(field->kind));
        }
        time.sec = (int32_t) sec;
        time.nanosec = (uint32_t) (ns - sec * (int64_t) NS_PER_SEC);
        memcpy(to, &time, sizeof(time));
        return 0;
}

int payload_set(const struct slipring_field *field,
                const char *path,
                const char *text,
                uint64_t now_ns,
                void *to,
                struct slipring_error *reterr) {
        switch (field->kind) {
        case SLIPRING_KIND_BOOL:
                return set_bool(field, path, text, to, reterr);
        case SLIPRING_KIND_FLOAT32:
        case SLIPRING_KIND_FLOAT64:
                return set_real(field, path, text, to, reterr);
        case SLIPRING_KIND_TIME:
        case SLIPRING_KIND_DURATION:
                return set_time(field, path, text, now_ns, to, reterr);
        default:
                return set_whole(field, path, text, to, reterr);
        }
}

int payload_set_text(const struct slipring_field *field,
                     const char *path,
                     const char *text,
                     void *to,
                     struct slipring_error *reterr) {
        size_t length = strlen(text);

        if (length > type_text_bytes(field)) {
                return error_set(reterr, -ERANGE,
                                 "field '%s': '%.80s' has %zu bytes, the field %" PRIu32, path,
                                 text, length, type_text_bytes(field));
        }
        memset(to, 0, type_text_bytes(field));
        memcpy(to, text, length);
        return 0;
}
