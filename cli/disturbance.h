#ifndef SLIPRING_CLI_DISTURBANCE_H
#define SLIPRING_CLI_DISTURBANCE_H

/*
 * What makes a machine answer late: facts of /proc and /sys and of the processes that were
 * measured, each with what can be done about it. Nothing here is measured by a clock or guessed.
 */

#include <sched.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define DISTURBANCES_MAX 24u

/**
 * struct conditions - how the measured processes ran
 * @cpus:       processors that they could run on
 * @pinned:     each was bound to one of them
 * @priority:   of SCHED_FIFO, 0 for SCHED_OTHER
 * @polling:    some never sleep
 * @lock_error: why their memory is not locked, a positive errno; 0 if it is
 * @preempted:  times that one of them had to give its processor to somebody else
 * @faults:     pages that they had to wait for
 * @stolen:     processor time that the host gave to others meanwhile, in clock ticks
 * @load:       the machine's load average before they started
 * @optimised:  this program was compiled with optimisation
 */
struct conditions {
        cpu_set_t cpus;
        bool pinned;
        unsigned priority;
        bool polling;
        int lock_error;
        uint64_t preempted;
        uint64_t faults;
        uint64_t stolen;
        double load;
        bool optimised;
};

/**
 * struct disturbance - one fact
 * @subject:    "governor"
 * @text:       what is so
 * @remedy:     what to do about it; NULL where that is among the others
 */
struct disturbance {
        const char *subject;
        char text[200];
        const char *remedy;
};

struct disturbances {
        struct disturbance items[DISTURBANCES_MAX];
        size_t count;
};

/**
 * disturbances_find() - look for all of them
 * @root:       "" for this machine, else where its proc and sys are
 */
void disturbances_find(struct disturbances *ret_disturbances,
                       const char *root,
                       const struct conditions *conditions);

/** disturbance_stolen() - processor time that the host gave to others since boot, in clock ticks */
uint64_t disturbance_stolen(const char *root);

/** disturbance_load() - the load average of the last minute */
double disturbance_load(const char *root);

/**
 * disturbance_cpus() - read a list of processors, "2-3,5"
 *
 * Return: whether it is one; an empty list is.
 */
bool disturbance_cpus(cpu_set_t *ret_cpus, const char *text);

#endif
