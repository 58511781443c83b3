#ifndef SLIPRING_BENCH_CONTEST_H
#define SLIPRING_BENCH_CONTEST_H

/*
 * The same work by all contenders, each in processes of its own, in turns: A B C A B C ...
 *
 * The board is a memfd that every worker inherits. A worker out of its turn sleeps on its
 * contender's `round`.
 */

#include <sched.h>

#include "bench/contender.h"
#include "bench/stage.h"

#define CONTENDERS_MAX 12u
#define BOARD_FD 3

/* One contender's place. */
struct contest_place {
        alignas(64) _Atomic uint32_t round; /* the driver's: number of the round to run; a futex */
        _Atomic uint32_t ended;             /* the publisher's: number of the last that it ended */
        _Atomic uint32_t ready, left;       /* processes; left: times rounds */
        _Atomic uint32_t got;               /* subscribers, times messages, this round */
        _Atomic uint64_t wrong;             /* messages with other content than was sent */
        _Atomic uint64_t lost;              /* messages that never came */
        char note[256];
        struct receipt receipts[PEERS_MAX];
        struct figures rounds[ROWS_MAX][ROUNDS_MAX];
};

struct contest_board {
        struct contender_options options;
        uint32_t count, period_ms; /* period 0: nobody is attached */
        int cpus[CPU_SETSIZE];
        uint32_t cpu_count;
        bool pin, blocking;
        struct contest_place places[CONTENDERS_MAX];
};

/* The part of contest_run() that all need: -EINTR, -ECHILD and others as stage_run(). */
int contest_run(const struct measurement *measurement,
                const struct stage_options *options,
                bool json,
                int *ret_signal);

#endif
