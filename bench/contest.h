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
#define CONTENDER_VERSION_MAX 32u
#define CONTENDER_NOTE_MAX 256u
#define BOARD_FD 3

/* One contender's place. */
struct contest_place {
        alignas(64) _Atomic uint32_t round; /* the driver's: number of the round to run; a futex */
        _Atomic uint32_t ended;             /* the publisher's: number of the last that it ended */
        _Atomic uint32_t ready, left;       /* processes; left: times rounds */
        pid_t pids[PEERS_MAX + 2];          /* subscribers once they are ready, publisher, daemon */
        _Atomic uint32_t got;               /* subscribers, times messages, this round */
        uint32_t samples[ROUNDS_MAX];       /* messages, or spans of them, that were timed */
        uint64_t first_ns;                  /* cold: when the first message was in hand */
        _Atomic uint64_t wrong;             /* messages with other content than was sent */
        _Atomic uint64_t lost;              /* messages that never came */
        char version[CONTENDER_VERSION_MAX], note[CONTENDER_NOTE_MAX]; /* a worker's, if asked */
        struct receipt receipts[PEERS_MAX];
        struct figures rounds[ROWS_MAX][ROUNDS_MAX];
};

struct contest_board {
        struct contender_options options;
        enum work work;
        uint32_t count, period_ms;
        int cpus[CPU_SETSIZE];
        uint32_t cpu_count;
        bool pin;
        struct contest_place places[CONTENDERS_MAX];
};

/* Who takes part: slipring, the floor, then others; and what they say of themselves. */
struct contest_names {
        char names[CONTENDERS_MAX][16];
        char versions[CONTENDERS_MAX][CONTENDER_VERSION_MAX];
        char notes[CONTENDERS_MAX][CONTENDER_NOTE_MAX];
        unsigned count;
};

/*
 * contest_choose() - who takes part in each contest
 * @ret_names:  set on success
 * @list:       names separated by commas besides slipring and the floor, "" for none, or NULL for
 *              all that are built and can run here; others are named on standard error
 *
 * Return: 0, -ENOENT if one of @list, slipring or the floor is not built, -EOPNOTSUPP if it cannot
 *         run here, -EINVAL for a name that cannot be one, or another negative errno.
 */
int contest_choose(struct contest_names *ret_names, const char *list);

/*
 * contest_run() - the same work by all of @names, in turns
 *
 * Who delivers a wrong message or loses one is left out, by name, and the others do it once more.
 *
 * Return: 0, -EBADMSG if slipring or the floor did that, -ETIMEDOUT if a process hangs, else as
 *         stage_run().
 */
int contest_run(const struct measurement *measurement,
                const struct contest_names *names,
                const struct stage_options *options,
                bool json,
                int *ret_signal);

#endif
