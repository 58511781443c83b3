#include <stdio.h>

#include "tests/harness/harness.h"
#include "tests/harness/times.h"

void times_add(struct times *times, uint64_t ns) {
        if (times->count == times->capacity) {
                times->capacity = times->capacity ? 2 * times->capacity : 256;
                times->ns = realloc(times->ns, times->capacity * sizeof(*times->ns));
                assert_non_null(times->ns);
        }
        times->ns[times->count++] = ns;
}

static int compare(const void *left, const void *right) {
        uint64_t a = *(const uint64_t *) left, b = *(const uint64_t *) right;

        return (a > b) - (a < b);
}

static double quantile_us(const struct times *times, unsigned percent) {
        return (double) times->ns[(times->count - 1) * percent / 100] / 1e3;
}

void times_print(struct times *times, const char *what) {
        if (times->count > 0) {
                qsort(times->ns, times->count, sizeof(*times->ns), compare);
                print_message("%s: %zu, p50 %.1f us, p99 %.1f us, most %.1f us\n", what,
                              times->count, quantile_us(times, 50), quantile_us(times, 99),
                              quantile_us(times, 100));
        }
        free(times->ns);
        *times = (struct times){0};
}
