#ifndef SLIPRING_BENCH_SCRIPT_H
#define SLIPRING_BENCH_SCRIPT_H

#include "bench/stage.h"

/*
 * script_run() - run a measurement of whole commands, which `commands` does
 *
 * It prints its rows itself.
 *
 * Return: 0, also if it was left out, by name; -EINTR if this process was told to stop (the signal
 * is in @ret_signal), -ECHILD if it failed or was killed, or another negative errno.
 */
int script_run(const struct measurement *measurement,
               const struct stage_options *options,
               bool json,
               int *ret_signal);

#endif
