#ifndef SLIPRING_BENCH_REPORT_H
#define SLIPRING_BENCH_REPORT_H

#include "bench/contest.h"
#include "bench/stage.h"

/* What all is measured on, and beside whom: a JSON line of the machine and one of each of @names,
 * or the lines above the table. */
void report_machine(const struct stage_options *options,
                    const struct contest_names *names,
                    bool json);

/* The rows of one measurement. */
void report_rows(const struct measurement *measurement,
                 const struct stage_options *options,
                 struct figures rounds[ROWS_MAX][SIDES][ROUNDS_MAX],
                 bool json);

/* One row of one contender, beside ours and the floor's of the same rounds. */
void report_contender(const struct measurement *measurement,
                      const struct stage_options *options,
                      unsigned row,
                      const char *who,
                      unsigned samples,
                      const struct figures *ours,
                      const struct figures *floor,
                      const struct figures *its,
                      bool json);

/* Why one contender has no rows. */
void report_left_out(const struct measurement *measurement,
                     const char *who,
                     uint64_t wrong,
                     uint64_t lost,
                     bool json);

#endif
