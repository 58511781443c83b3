#ifndef SLIPRING_BENCH_REPORT_H
#define SLIPRING_BENCH_REPORT_H

#include "bench/stage.h"

/* What all is measured on: one JSON line, or the lines above the table. */
void report_machine(const struct stage_options *options, bool json);

/* The rows of one measurement. */
void report_rows(const struct measurement *measurement,
                 const struct stage_options *options,
                 struct figures rounds[ROWS_MAX][SIDES][ROUNDS_MAX],
                 bool json);

/* One row of one contender, beside ours and the floor's of the same rounds. */
void report_contender(const struct measurement *measurement,
                      const struct stage_options *options,
                      unsigned row,
                      const char *contender,
                      const char *note,
                      unsigned samples,
                      const struct figures *ours,
                      const struct figures *floor,
                      const struct figures *its,
                      bool json);

#endif
