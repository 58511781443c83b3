#ifndef SLIPRING_SCHEMA_MACHINE_H
#define SLIPRING_SCHEMA_MACHINE_H

/*
 * How much shared memory this machine gives.
 */

#include <stdint.h>

/**
 * struct schema_machine - the limits that a bus must fit into
 * @segment_bytes_max:  largest single segment (kernel.shmmax)
 * @total_bytes_max:    all segments together (kernel.shmall, in bytes)
 * @segments_max:       how many segments there may be (kernel.shmmni)
 * @memory_bytes:       physical memory
 * @huge_page_bytes:    size of a huge page, 0 where the kernel has none
 * @huge_pages_max:     how many the pool has and may borrow (vm.nr_hugepages and
 *                      vm.nr_overcommit_hugepages)
 */
struct schema_machine {
        uint64_t segment_bytes_max;
        uint64_t total_bytes_max;
        uint64_t segments_max;
        uint64_t memory_bytes;
        uint64_t huge_page_bytes;
        uint64_t huge_pages_max;
};

/**
 * schema_machine_read() - ask the kernel
 * @ret_machine:        filled; a limit that cannot be read is UINT64_MAX, and without
 *                      /proc/meminfo there are no huge pages
 */
void schema_machine_read(struct schema_machine *ret_machine);

#endif
