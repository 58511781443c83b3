#ifndef SLIPRING_CLI_LATENCY_H
#define SLIPRING_CLI_LATENCY_H

/*
 * The processes of `slipring latency`: a publisher that a timer wakes, and subscribers that sleep
 * or poll. They count into memory that they share with the command, which looks at it meanwhile.
 */

#include <sched.h>
#include <stdalign.h>
#include <sys/types.h>

#include <slipring/type.h>

#include "cli/cli.h"
#include "cli/histogram.h"

/* What one FUTEX_WAKE of a topic reaches by default. */
#define LATENCY_SUBSCRIBERS_MAX 64u
#define LATENCY_TOPIC "sample"

/**
 * struct latency_options - what to measure
 * @bus:        name of the bus, whose topic is LATENCY_TOPIC
 * @period_ns:  between two samples
 * @duration_ns:        end after this time; 0: not by time
 * @samples:    end after so many; 0: not by number
 * @payload_bytes:      of one sample
 * @subscribers:        their number
 * @priority:   of SCHED_FIFO, 0 to stay in SCHED_OTHER
 * @poll:       subscribers spin instead of sleeping
 * @spin_us:    how long they may spin before they sleep, as in struct slipring_subscriber_options
 * @cpus:       the first is the publisher's, the others the subscribers' in turn
 * @cpu_count:  their number; 0: not pinned
 */
struct latency_options {
        char bus[SLIPRING_BUS_NAME_MAX + 1];
        uint64_t period_ns;
        uint64_t duration_ns;
        uint64_t samples;
        uint32_t payload_bytes;
        unsigned subscribers;
        unsigned priority;
        bool poll;
        uint32_t spin_us;
        unsigned cpus[CPU_SETSIZE];
        unsigned cpu_count;
};

/**
 * struct latency_process - what every measured process tells about itself
 * @pid:        its id
 * @lock_error: why its memory is not locked, a positive errno; 0 if it is
 * @preempted:  times that it lost its processor while it wanted to go on
 * @faults:     pages that it waited for
 */
struct latency_process {
        _Atomic pid_t pid;
        _Atomic int lock_error;
        _Atomic uint64_t preempted;
        _Atomic uint64_t faults;
};

struct latency_reader {
        alignas(4096) struct latency_process process;
        _Atomic uint64_t missed; /* as its handle says */
        struct histogram delivery;
};

/**
 * struct latency_board - what the processes share
 * @stop:       the command's: end now
 * @ready:      subscribers that have opened the topic
 * @over:       the publisher's: all is published
 * @last:       the publisher's: sequence number of the last sample, set before @over
 * @publisher:  the publisher
 * @published:  samples that count: all but those of the warm-up
 * @skipped:    ticks that the publisher was too late for
 * @timer:      how late the timer woke the publisher
 * @call:       how long publishing took
 * @readers:    one a subscriber
 */
struct latency_board {
        alignas(4096) _Atomic bool stop;
        alignas(64) _Atomic unsigned ready;
        alignas(64) _Atomic bool over;
        _Atomic uint64_t last;
        alignas(4096) struct latency_process publisher;
        _Atomic uint64_t published;
        _Atomic uint64_t skipped;
        struct histogram timer;
        struct histogram call;
        struct latency_reader readers[];
};

/** latency_warm_up() - samples that do not count: a tenth of a second of them, 1 to 100 */
uint64_t latency_warm_up(const struct latency_options *options);

/** latency_board_new() - memory that children share; NULL where there is none */
struct latency_board *latency_board_new(unsigned subscribers);

/** latency_board_free() - give it back */
void latency_board_free(struct latency_board *board, unsigned subscribers);

/** latency_signals() - block what ends the command, so that it can clean up; from here on */
void latency_signals(void);

/**
 * latency_run() - measure
 * @cli:        run, for messages
 * @options:    what
 * @board:      filled meanwhile
 * @progress:   called a few times a second; NULL for nothing
 *
 * Ctrl-C (SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGUSR1) ends the measurement early, and what was
 * measured counts; a second one ends it at once. No process is left.
 *
 * Return: 0, -EINTR after the second one, -ECHILD if a process of it failed (it said why) or was
 *         killed, another negative errno.
 */
int latency_run(const struct cli *cli,
                const struct latency_options *options,
                struct latency_board *board,
                void (*progress)(const struct latency_options *options,
                                 const struct latency_board *board));

#endif
