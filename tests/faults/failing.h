#ifndef SLIPRING_TESTS_FAILING_H
#define SLIPRING_TESTS_FAILING_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

/*
 * Make the k-th system call, or the k-th allocation, of a piece of code fail.
 *
 * The tests run in a process of their own under a seccomp filter that hands every system call which
 * may fail to its parent (SECCOMP_RET_USER_NOTIF), and the parent decides: it goes on, or it fails
 * with an errno that this call really has. So all calls are caught, also raw ones, in every thread
 * and child, and no debugger is attached that the leak checker would have to share with.
 *
 * Allocations are counted and refused by malloc(3) and its kin, which this file replaces.
 */

enum failing_kind {
        FAILING_CALLS = 1,
        FAILING_ALLOCATIONS = 2,
        /* Calls again, each with the errno of a sandbox that forbids it. */
        FAILING_FORBIDDEN = 3,
};

/* Run the tests in a supervised child. Returns what they return, 128 + signal if one killed them,
 * or 77, with a word on standard error, where the machine does not allow it. */
int failing_main(int (*run)(void));

/* From now on the k-th of them fails, from 1, in this process or a child of it; with a negative
 * pid, in any process but that one. */
void failing_arm(enum failing_kind kind, unsigned k, pid_t pid);
/* System calls are counted from the first of this number on (such as SYS_epoll_create1): the calls
 * of the dynamic linker are not ours. */
void failing_arm_from(enum failing_kind kind, unsigned k, pid_t pid, int number);
/* Not any more. Did one fail? */
bool failing_disarm(void);
/* Is one failed already? */
bool failing_fired(void);
/* What failed last: "shmat", "allocation of 96 bytes". Good until the next call. */
const char *failing_what(void);
/* How many of them there were since it was armed, as far as the failed one. */
unsigned failing_count(void);

/* Sleeps of a given length return at once: for what pauses between its steps. */
void failing_hurry(bool hurry);

/* Allocations of this process that were not freed. */
long failing_allocations_live(void);

#endif
