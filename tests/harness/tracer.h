#ifndef SLIPRING_TESTS_TRACER_H
#define SLIPRING_TESTS_TRACER_H

#include "tests/harness/daemon.h"

/*
 * A manager that this process traces, to stop or kill it at a step of its choice.
 *
 * A step is a call whose effect others can see, as those of System V IPC and futex, or one that
 * stands between two stores which they can see.
 */
struct tracer {
        pid_t pid;
        uint64_t call;  /* the one it is in, or has just left */
        bool entering;  /* stopped on its way into that call; else on its way out */
        int64_t result; /* what the call came to, on its way out; -errno */
        int exit_code;  /* once it has ended, as process_wait() */
};

/* For struct daemon's prepare: what is spawned next stops at its start for tracer_begin(). */
void tracer_prepare(void *argument);
void tracer_begin(struct tracer *tracer, pid_t pid);

/* Let it run to the next border of a system call. Returns false once it has ended, reaped. */
bool tracer_next(struct tracer *tracer);

/* Let it run this many machine instructions more. */
void tracer_instructions(struct tracer *tracer, unsigned count);

/* Let it run on untraced. */
void tracer_release(struct tracer *tracer);

bool tracer_at_step(const struct tracer *tracer);
/* It has nothing to do and waits for an event. */
bool tracer_at_rest(const struct tracer *tracer);

#endif
