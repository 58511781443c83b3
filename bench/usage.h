#ifndef SLIPRING_BENCH_CPU_H
#define SLIPRING_BENCH_CPU_H

#include <stdint.h>
#include <sys/types.h>

/*
 * cpu_used_ns() - what processes have used of the processors, in them and in the kernel for them
 * @pids:   all their threads count; 0 is nobody, and one that has ended has used nothing
 */
uint64_t cpu_used_ns(const pid_t *pids, unsigned count);

#endif
