#include <stdio.h>
#include <time.h>

#include "bench/usage.h"

uint64_t usage_cpu_ns(const pid_t *pids, unsigned count) {
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

static uint64_t pss_bytes(pid_t pid) {
        unsigned long kib = 0;
        char line[256];
        FILE *file;

        (void) snprintf(line, sizeof(line), "/proc/%d/smaps_rollup", (int) pid);
        file = fopen(line, "re");
        while (file && fgets(line, sizeof(line), file) && sscanf(line, "Pss: %lu kB", &kib) != 1) {
        }
        if (file) {
                (void) fclose(file);
        }
        return UINT64_C(1024) * kib;
}

uint64_t usage_pss_bytes(const pid_t *pids, unsigned count) {
        uint64_t sum = 0, bytes;
        unsigned i;

        for (i = 0; i < count; i++) {
                bytes = pids[i] > 0 ? pss_bytes(pids[i]) : 0;
                if (pids[i] > 0 && bytes == 0) {
                        return 0;
                }
                sum += bytes;
        }
        return sum;
}
