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
 */
struct schema_machine {
        uint64_t segment_bytes_max;
        uint64_t total_bytes_max;
        uint64_t segments_max;
        uint64_t memory_bytes;
};

/**
 * schema_machine_read() - ask the kernel
 * @ret_machine:        filled; a limit that cannot be read is UINT64_MAX
 */
void schema_machine_read(struct schema_machine *ret_machine);

#endif
