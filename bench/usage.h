#ifndef SLIPRING_BENCH_USAGE_H
#define SLIPRING_BENCH_USAGE_H

#include <stdint.h>
#include <sys/types.h>

/*
 * usage_cpu_ns() - what processes have used of the processors, in them and in the kernel for them
 * @pids:   all their threads count; 0 is nobody, and one that has ended has used nothing
 */
uint64_t usage_cpu_ns(const pid_t *pids, unsigned count);

/*
 * usage_pss_bytes() - the memory of processes: theirs, and their share of what they share
 * @pids:   0 is nobody
 *
 * Return: proportional set sizes, added up; 0 if one of them cannot be told.
 */
uint64_t usage_pss_bytes(const pid_t *pids, unsigned count);

#endif
