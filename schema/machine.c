#include "schema/machine.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static uint64_t limit_read(const char *path) {
        unsigned long long limit = UINT64_MAX;
        FILE *file;

        file = fopen(path, "re");
        if (!file) {
                return UINT64_MAX;
        }
        if (fscanf(file, "%llu", &limit) != 1) {
                limit = UINT64_MAX;
        }
        fclose(file);
        return limit;
}

static uint64_t limit_multiply(uint64_t count, uint64_t bytes) {
        uint64_t product;

        return __builtin_mul_overflow(count, bytes, &product) ? UINT64_MAX : product;
}

void schema_machine_read(struct schema_machine *ret_machine) {
        long page_bytes = sysconf(_SC_PAGESIZE), pages = sysconf(_SC_PHYS_PAGES);
        uint64_t page = page_bytes > 0 ? (uint64_t) page_bytes : 4096;

        *ret_machine = (struct schema_machine){
                .segment_bytes_max = limit_read("/proc/sys/kernel/shmmax"),
                .total_bytes_max = limit_multiply(limit_read("/proc/sys/kernel/shmall"), page),
                .segments_max = limit_read("/proc/sys/kernel/shmmni"),
                .memory_bytes = pages > 0 ? limit_multiply((uint64_t) pages, page) : UINT64_MAX,
        };
}
