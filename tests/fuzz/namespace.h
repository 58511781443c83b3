#ifndef SLIPRING_TESTS_FUZZ_NAMESPACE_H
#define SLIPRING_TESTS_FUZZ_NAMESPACE_H

#include <sched.h>
#include <stdio.h>
#include <stdlib.h>

/*
 * For fuzzers with a bus of their own.
 */

#define CHECK(condition)                                                                           \
        do {                                                                                       \
                if (!(condition)) {                                                                \
                        (void) fprintf(stderr, "line %d: not %s\n", __LINE__, #condition);         \
                        abort();                                                                   \
                }                                                                                  \
        } while (0)

/* No object of theirs is seen outside, or left. */
static inline void namespace_enter(void) {
        int r = unshare(CLONE_NEWIPC);

        if (r < 0) {
                r = unshare(CLONE_NEWUSER | CLONE_NEWIPC);
        }
        if (r < 0) {
                (void) fprintf(stderr, "no IPC namespace of its own: skipped\n");
                exit(77);
        }
}

#endif
