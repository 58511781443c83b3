#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/ipc.h>
#include <sys/shm.h>

#include "bus/pages.h"

/* What the pool may borrow beyond its size. */
static uint64_t overcommit_read(void) {
        FILE *file = fopen("/proc/sys/vm/nr_overcommit_hugepages", "re");
        uint64_t pages = 0;

        if (file) {
                if (fscanf(file, "%" SCNu64, &pages) != 1) {
                        pages = 0;
                }
                (void) fclose(file);
        }
        return pages;
}

/* "always within_size advise [never] deny force" */
static bool transparent_read(void) {
        FILE *file = fopen("/sys/kernel/mm/transparent_hugepage/shmem_enabled", "re");
        char line[128] = "";
        bool given = file && fgets(line, sizeof(line), file);

        if (file) {
                (void) fclose(file);
        }
        return given && !strstr(line, "[never]") && !strstr(line, "[deny]");
}

void pages_read(struct pages *ret_pages) {
        uint64_t total = 0, unused = 0, promised = 0, borrowed = 0, kib = 0;
        uint64_t overcommit = overcommit_read();
        FILE *file = fopen("/proc/meminfo", "re");
        char line[128];

        while (file && fgets(line, sizeof(line), file)) {
                (void) (sscanf(line, "HugePages_Total: %" SCNu64, &total) == 1 ||
                        sscanf(line, "HugePages_Free: %" SCNu64, &unused) == 1 ||
                        sscanf(line, "HugePages_Rsvd: %" SCNu64, &promised) == 1 ||
                        sscanf(line, "HugePages_Surp: %" SCNu64, &borrowed) == 1 ||
                        sscanf(line, "Hugepagesize: %" SCNu64, &kib) == 1);
        }
        if (file) {
                (void) fclose(file);
        }
        *ret_pages = (struct pages){
                .bytes = kib * 1024,
                .total = total > borrowed ? total - borrowed : 0,
                .available = (unused > promised ? unused - promised : 0) +
                             (overcommit > borrowed ? overcommit - borrowed : 0),
                .transparent = transparent_read(),
        };
}

void pages_ask(struct pages *pages) {
        int id;

        pages->forbidden = false;
        if (pages->bytes == 0) {
                return;
        }
        id = shmget(IPC_PRIVATE, (size_t) pages->bytes, IPC_CREAT | SHM_HUGETLB | 0600);
        if (id >= 0) {
                (void) shmctl(id, IPC_RMID, NULL);
        } else {
                pages->forbidden = errno == EPERM;
        }
}
