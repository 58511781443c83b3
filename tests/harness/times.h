#ifndef SLIPRING_TESTS_TIMES_H
#define SLIPRING_TESTS_TIMES_H

#include <stddef.h>
#include <stdint.h>

/*
 * Times that a test prints and never asserts: what is judged is judged by the benchmark.
 */
struct times {
        uint64_t *ns;
        size_t count, capacity;
};

void times_add(struct times *times, uint64_t ns);
/* Print "WHAT: N, p50 X us, p99 X us, most X us" and forget them. */
void times_print(struct times *times, const char *what);

#endif
