#include "schema/machine.h"

#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <unistd.h>

/* In one read: the kernel gives such a file only once, and stdio without memory for its buffer
 * reads it byte by byte. */
static uint64_t limit_read(const char *path) {
        unsigned long long limit;
        char text[32], *end;
        ssize_t bytes;
        int fd;

        fd = open(path, O_RDONLY | O_CLOEXEC);
        if (fd < 0) {
                return UINT64_MAX;
        }
        bytes = read(fd, text, sizeof(text) - 1);
        (void) close(fd);
        if (bytes <= 0) {
                return UINT64_MAX;
        }
        text[bytes] = '\0';
        limit = strtoull(text, &end, 10);
        return end == text ? UINT64_MAX : limit;
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
