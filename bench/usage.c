#include <time.h>

#include "bench/cpu.h"

uint64_t cpu_used_ns(const pid_t *pids, unsigned count) {
        struct timespec used;
        uint64_t sum = 0;
        clockid_t clock;
        unsigned i;

        for (i = 0; i < count; i++) {
                if (pids[i] > 0 && clock_getcpuclockid(pids[i], &clock) == 0 &&
                    clock_gettime(clock, &used) == 0) {
                        sum += (uint64_t) used.tv_sec * UINT64_C(1000000000) +
                               (uint64_t) used.tv_nsec;
                }
        }
        return sum;
}
