#include "schema/machine.h"

#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* In one read: the kernel gives such a file only once, and stdio without memory for its buffer
 * reads it byte by byte. Returns false where nothing can be read. */
static bool file_read(const char *path, char *text, size_t size) {
        ssize_t bytes;
        int fd;

        fd = open(path, O_RDONLY | O_CLOEXEC);
        if (fd < 0) {
                return false;
        }
        bytes = read(fd, text, size - 1);
        (void) close(fd);
        text[bytes > 0 ? bytes : 0] = '\0';
        return bytes > 0;
}

static uint64_t limit_read(const char *path) {
        unsigned long long limit;
        char text[32], *end;

        if (!file_read(path, text, sizeof(text))) {
                return UINT64_MAX;
        }
        limit = strtoull(text, &end, 10);
        return end == text ? UINT64_MAX : limit;
}

/* A number of /proc/meminfo, 0 where it is not there. */
static uint64_t meminfo_number(const char *text, const char *key) {
        const char *at = strstr(text, key);

        return at ? strtoull(at + strlen(key), NULL, 10) : 0;
}

static uint64_t limit_multiply(uint64_t count, uint64_t bytes) {
        uint64_t product;

        return __builtin_mul_overflow(count, bytes, &product) ? UINT64_MAX : product;
}

static void huge_pages_read(struct schema_machine *machine) {
        uint64_t borrowed = limit_read("/proc/sys/vm/nr_overcommit_hugepages");
        char text[8192];

        if (!file_read("/proc/meminfo", text, sizeof(text))) {
                return;
        }
        machine->huge_page_bytes = meminfo_number(text, "Hugepagesize:") * 1024;
        machine->huge_pages_max = meminfo_number(text, "HugePages_Total:") -
                                  meminfo_number(text, "HugePages_Surp:") +
                                  (borrowed == UINT64_MAX ? 0 : borrowed);
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
        huge_pages_read(ret_machine);
}
