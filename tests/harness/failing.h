#ifndef SLIPRING_TESTS_HARNESS_FAILING_H
#define SLIPRING_TESTS_HARNESS_FAILING_H

/*
 * Allocations that fail on demand, in all that is linked statically into a test: a loop that fails
 * the first one, then the second, until none is left to fail, has seen every way out.
 */

#include <stdbool.h>

/*
 * failing_start() - from here on an allocation fails
 * @which:      that many succeed before
 * @all:        those after it fail, too; else they work again
 */
void failing_start(unsigned which, bool all);

/* All work again. Did one fail since failing_start()? */
bool failing_stop(void);

#endif
