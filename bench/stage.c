#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "bench/measurements.h"

/* More than any measurement has, of values that one round makes: peers times messages, or more. */
#define VALUES_MAX (1u << 20)

/* What a process of a measurement ends with if it could not open what it measures. */
#define EXIT_SETUP 2
#define EXIT_CALL 3

static void nap(void) {
        const struct timespec span = {.tv_nsec = 100000};

        (void) nanosleep(&span, NULL);
}

unsigned stage_count(const struct measurement *measurement, const struct stage_options *options) {
        return options->quick ? measurement->quick_count : measurement->count;
}

bool stage_over(const struct stage *stage) {
        /* relaxed: the driver hands nothing over by it. */
        return atomic_load_explicit(&stage->board->over, memory_order_relaxed) ==
               atomic_load_explicit(&stage->board->round, memory_order_relaxed);
}

/* --- a process's view --- */

int stage_publisher(const struct stage *stage,
                    struct slipring_publisher **ret_publisher,
                    const char *topic) {
        const struct slipring_publisher_options options = {
                .size = sizeof(options),
                .bus = stage->options->bus,
        };
        struct slipring_error error = {0};
        int r;

        r = slipring_publisher_open(ret_publisher, topic, &options, &error);
        if (r < 0) {
                (void) fprintf(stderr, "slipring-bench: %s\n", error.text);
        }
        return r;
}

static int open_publisher(struct stage *stage, const char *topic) {
        return stage_publisher(stage, &stage->publisher, topic);
}

int stage_subscriber(const struct stage *stage,
                     struct slipring_subscriber **ret_subscriber,
                     const char *topic) {
        const struct slipring_subscriber_options options = {
                .size = sizeof(options),
                .start = SLIPRING_START_NEXT,
                .bus = stage->options->bus,
                .spin_us = stage->measurement->spin_us,
        };
        struct slipring_error error = {0};
        int r;

        r = slipring_subscriber_open(ret_subscriber, topic, &options, &error);
        if (r < 0) {
                (void) fprintf(stderr, "slipring-bench: %s\n", error.text);
        }
        return r;
}

static int open_subscriber(struct stage *stage, const char *topic) {
        return stage_subscriber(stage, &stage->subscriber, topic);
}

static int open_observers(struct stage *stage, const char *topic) {
        const unsigned count = stage->measurement->observers;
        unsigned i;
        int r = 0;

        stage->observers = calloc(count, sizeof(struct slipring_subscriber *));
        if (count > 0 && !stage->observers) {
                return -ENOMEM;
        }
        for (i = 0; i < count && r == 0; i++) {
                r = stage_subscriber(stage, &stage->observers[i], topic);
        }
        return r;
}

static int open_memory(struct stage *stage, bool driver) {
        uint32_t bytes = stage->measurement->payload_bytes;

        stage->payload = aligned_alloc(64, bytes);
        stage->buffer = aligned_alloc(64, bytes);
        stage->values = calloc(driver ? VALUES_MAX : 1, sizeof(*stage->values));
        if (!stage->payload || !stage->buffer || !stage->values) {
                return -ENOMEM;
        }
        /* Touched now rather than in a round. */
        memset(stage->payload, 0x5a, bytes);
        memset(stage->buffer, 0, bytes);
        memset(stage->values, 0xff, driver ? VALUES_MAX * sizeof(*stage->values) : 1);
        return 0;
}

static void pin(const struct stage *stage, unsigned index) {
        const struct stage_options *options = stage->options;
        cpu_set_t set;

        if (!options->pin || stage->measurement->unpinned) {
                return;
        }
        CPU_ZERO(&set);
        CPU_SET((size_t) options->cpus[index], &set);
        if (sched_setaffinity(0, sizeof(set), &set) < 0) {
                perror("slipring-bench: sched_setaffinity");
        }
}

const char *stage_topic(const struct measurement *measurement) {
#define CASE(bytes, number)                                                                        \
        case (bytes):                                                                              \
                return "sized" #bytes;

        if (measurement->contest == WORK_STREAM) {
                return measurement->payload_bytes == SMALL_BYTES ? TOPIC_STREAM : TOPIC_PAGES;
        }
        switch (measurement->payload_bytes) {
        case SMALL_BYTES:
                return measurement->chain ? TOPIC_CHAIN : TOPIC_SMALL;
                SIZED_TOPICS(CASE)
        default:
                return measurement->huge        ? TOPIC_HUGE
                       : measurement->kept == 1 ? TOPIC_DOUBLE
                                                : TOPIC_LARGE;
        }
#undef CASE
}

unsigned stage_depth(const struct measurement *measurement) {
        return measurement->contest == WORK_STREAM ? STREAM_DEPTH
               : measurement->kept == 1            ? DEPTH_DOUBLE
                                                   : DEPTH;
}

const char *stage_floor_topic(const struct measurement *measurement) {
        return measurement->huge ? TOPIC_LARGE : measurement->observers ? TOPIC_BACK : NULL;
}

/* --- the driver --- */

/* A peer that dies instead is seen by the parent, which ends us. */
static void wait_for(_Atomic unsigned *counter, unsigned value) {
        while (atomic_load_explicit(counter, memory_order_acquire) < value) {
                nap();
        }
}

static void
drive_round(struct stage *stage, unsigned number, enum side side, struct figures *ret_rows) {
        struct board *board = stage->board;
        const struct measurement *measurement = stage->measurement;

        atomic_store_explicit(&board->receipts_written, 0, memory_order_relaxed);
        atomic_store_explicit(&board->round, number, memory_order_release);
        wait_for(&board->entered, measurement->peers * number);
        measurement->round(stage, side, ret_rows);
        atomic_store_explicit(&board->over, number, memory_order_release);
        if (measurement->kick) {
                measurement->kick(stage, side);
        }
        wait_for(&board->left, measurement->peers * number);
}

static int drive(struct stage *stage) {
        const struct measurement *measurement = stage->measurement;
        struct board *board = stage->board;
        struct figures rows[ROWS_MAX];
        unsigned i, row, side;

        pin(stage, 0);
        if (open_memory(stage, true) < 0 || open_publisher(stage, stage_topic(measurement)) < 0 ||
            (measurement->back && open_subscriber(stage, TOPIC_BACK) < 0) ||
            (stage_floor_topic(measurement) &&
             stage_publisher(stage, &stage->other, stage_floor_topic(measurement)) < 0) ||
            (measurement->many && many_open(stage, true) < 0)) {
                return EXIT_SETUP;
        }
        wait_for(&board->ready, measurement->peers);
        for (i = 0; i < stage->options->rounds; i++) {
                for (side = 0; side < SIDES; side++) {
                        drive_round(stage, SIDES * i + side + 1, (enum side) side, rows);
                        for (row = 0; row < ROWS_MAX; row++) {
                                board->rounds[row][side][i] = rows[row];
                        }
                }
        }
        return stage->failed ? EXIT_CALL : 0;
}

/* --- a peer --- */

/* Forget what was published to wake us at the end of the round before. */
static void catch_up(struct stage *stage) {
        struct slipring_sample sample;

        while (slipring_subscriber_borrow_newest(stage->subscriber, &sample) == 1) {
                (void) !slipring_subscriber_release(stage->subscriber);
        }
        stage->seen = atomic_load_explicit(&stage->ring->head, memory_order_acquire);
        stage->number = 0;
}

static int follow(struct stage *stage) {
        struct board *board = stage->board;
        unsigned number, all = SIDES * stage->options->rounds;

        pin(stage, stage->options->cpu_count == 1
                           ? 0
                           : 1 + stage->index % (stage->options->cpu_count - 1));
        if (open_memory(stage, false) < 0 ||
            open_subscriber(stage, stage_topic(stage->measurement)) < 0 ||
            open_observers(stage, stage_topic(stage->measurement)) < 0 ||
            (stage->measurement->back && open_publisher(stage, TOPIC_BACK) < 0) ||
            (stage->measurement->many && many_open(stage, false) < 0)) {
                return EXIT_SETUP;
        }
        board->pids[stage->index] = getpid();
        atomic_fetch_add_explicit(&board->ready, 1, memory_order_release);
        for (number = 1; number <= all; number++) {
                wait_for(&board->round, number);
                catch_up(stage);
                atomic_fetch_add_explicit(&board->entered, 1, memory_order_release);
                while (!stage_over(stage)) {
                        stage->measurement->step(stage, (number - 1) % SIDES ? FLOOR : OURS);
                }
                atomic_fetch_add_explicit(&board->left, 1, memory_order_release);
        }
        return 0;
}

/* --- the parent --- */

void stage_signals(sigset_t *ret_signals) {
        (void) sigemptyset(ret_signals);
        (void) sigaddset(ret_signals, SIGINT);
        (void) sigaddset(ret_signals, SIGQUIT);
        (void) sigaddset(ret_signals, SIGTERM);
        (void) sigaddset(ret_signals, SIGHUP);
        (void) sigaddset(ret_signals, SIGCHLD);
}

static pid_t start(struct stage *stage, int (*run)(struct stage *)) {
        pid_t parent = getpid(), pid;
        sigset_t term;

        (void) fflush(NULL);
        pid = fork();
        if (pid != 0) {
                return pid < 0 ? -errno : pid;
        }
        /* Ctrl-C reaches the whole foreground group; the parent decides what follows from it. */
        (void) sigemptyset(&term);
        (void) sigaddset(&term, SIGTERM);
        (void) sigprocmask(SIG_UNBLOCK, &term, NULL);
        (void) prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (getppid() != parent) {
                _exit(EXIT_SETUP);
        }
        _exit(run(stage));
}

/* Has a child failed, or have all ended well? -EAGAIN while some run. */
static int reap(pid_t *pids, unsigned count) {
        unsigned i, running = 0;
        int status;

        for (i = 0; i < count; i++) {
                if (pids[i] <= 0) {
                        continue;
                }
                if (waitpid(pids[i], &status, WNOHANG) != pids[i]) {
                        running++;
                        continue;
                }
                pids[i] = 0;
                if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) {
                        return -ECHILD;
                }
        }
        return running ? -EAGAIN : 0;
}

static int supervise(pid_t *pids, unsigned count, int *ret_signal) {
        sigset_t signals;
        int r, signal_number;

        stage_signals(&signals);
        while ((r = reap(pids, count)) == -EAGAIN) {
                signal_number = sigwaitinfo(&signals, NULL);
                if (signal_number > 0 && signal_number != SIGCHLD) {
                        *ret_signal = signal_number;
                        return -EINTR;
                }
        }
        return r;
}

static void end_all(const pid_t *pids, unsigned count) {
        unsigned i;

        for (i = 0; i < count; i++) {
                if (pids[i] > 0) {
                        (void) kill(pids[i], SIGKILL);
                        (void) waitpid(pids[i], NULL, 0);
                }
        }
}

/* The driver and its peers, until they are done or one is not well. */
static int perform(struct stage *stage, int *ret_signal) {
        pid_t pids[PEERS_MAX + 1] = {0};
        unsigned count;
        int r = 0;

        for (count = 0; count < stage->measurement->peers + 1 && r == 0; count++) {
                stage->index = count ? count - 1 : 0;
                pids[count] = start(stage, count ? follow : drive);
                if (pids[count] < 0) {
                        r = pids[count];
                }
        }
        if (r == 0) {
                r = supervise(pids, count, ret_signal);
        }
        end_all(pids, count);
        return r;
}

int stage_run(const struct measurement *measurement,
              const struct stage_options *options,
              struct figures ret_rounds[ROWS_MAX][SIDES][ROUNDS_MAX],
              int *ret_signal) {
        struct stage stage = {
                .measurement = measurement,
                .options = options,
                .count = stage_count(measurement, options),
        };
        int r;

        stage.board = mmap(NULL, sizeof(*stage.board), PROT_READ | PROT_WRITE,
                           MAP_SHARED | MAP_ANONYMOUS, -1, 0);
        if (stage.board == MAP_FAILED) {
                return -errno;
        }
        r = floor_new(&stage.ring, stage_depth(measurement), measurement->payload_bytes);
        if (r == 0) {
                r = floor_new(&stage.ring_back, DEPTH, measurement->payload_bytes);
        }
        if (r == 0) {
                r = perform(&stage, ret_signal);
        }
        if (r == 0) {
                memcpy(ret_rounds, stage.board->rounds, sizeof(stage.board->rounds));
        }
        floor_free(stage.ring_back);
        floor_free(stage.ring);
        (void) munmap(stage.board, sizeof(*stage.board));
        return r;
}
