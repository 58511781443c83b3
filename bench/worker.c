/*
 * The process of a contender: worker PLACE publish | subscribe INDEX | clean. The board is open as
 * file descriptor BOARD_FD. And without a board: worker PLACE able | can-alone | serves | serve.
 */

#include <errno.h>
#include <limits.h>
#include <linux/futex.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "bench/contest.h"

#ifndef SYS_futex
#define SYS_futex SYS_futex_time64
#endif

#define MS UINT64_C(1000000)
#define WARM 5u

/* How long a message may take before it is lost: longer than any load of the machine delays it. */
#define LOST_NS (10000 * MS)
#define BATCH 128u

struct worker {
        struct contest_board *board;
        struct contest_place *place;
        struct contender_options options;
        void *end;
        uint64_t *payload;
        uint64_t *values;
        uint64_t number; /* the last message sent, or received */
};

static void sleep_until(uint64_t time_ns) {
        const struct timespec time = {
                .tv_sec = (time_t) (time_ns / 1000 / MS),
                .tv_nsec = (long) (time_ns % (1000 * MS)),
        };

        (void) clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &time, NULL);
}

static void pin(const struct worker *worker, unsigned index) {
        cpu_set_t set;

        CPU_ZERO(&set);
        CPU_SET((size_t) worker->board->cpus[index], &set);
        if (worker->board->pin && sched_setaffinity(0, sizeof(set), &set) < 0) {
                perror("slipring-bench: sched_setaffinity");
        }
}

static uint32_t await_round(struct worker *worker, uint32_t last) {
        uint32_t round;

        while ((round = atomic_load_explicit(&worker->place->round, memory_order_acquire)) ==
               last) {
                (void) syscall(SYS_futex, &worker->place->round, FUTEX_WAIT, last, NULL, NULL, 0);
        }
        return round;
}

/* --- what is sent, and whether it came --- */

static size_t words(const struct worker *worker) {
        return worker->options.payload_bytes / sizeof(uint64_t);
}

static uint64_t word(uint64_t number, size_t i) {
        return i ? number * UINT64_C(0x9e3779b97f4a7c15) + i : number;
}

static void fill_next(struct worker *worker) {
        size_t i;

        worker->number++;
        for (i = 0; i < words(worker); i++) {
                worker->payload[i] = word(worker->number, i);
        }
}

static bool whole(const struct worker *worker) {
        size_t i;

        for (i = 1; i < words(worker); i++) {
                if (worker->payload[i] != word(worker->payload[0], i)) {
                        return false;
                }
        }
        return worker->payload[0] > worker->number;
}

/* --- the publisher --- */

/* All have it: 1; a message is lost: 0. The timer first, so that nobody looks at the lines that
 * subscribers write while they are being woken. */
static bool collect(struct worker *worker, uint64_t *tick_ns, uint32_t expected) {
        uint64_t begin_ns = slipring_now_ns(), period_ns = worker->board->period_ms * MS;

        do {
                *tick_ns += period_ns;
                if (slipring_now_ns() > *tick_ns) {
                        *tick_ns = slipring_now_ns() + period_ns;
                }
                sleep_until(*tick_ns);
                if (atomic_load_explicit(&worker->place->got, memory_order_acquire) >= expected) {
                        return true;
                }
        } while (slipring_now_ns() - begin_ns < LOST_NS);
        return false;
}

static int paced_round(struct worker *worker, struct figures *ret_rows) {
        const uint32_t count = worker->board->count, subscribers = worker->options.subscribers;
        uint64_t *calls = worker->values, *lasts = calls + count, *spans = lasts + count;
        uint64_t tick_ns = slipring_now_ns() + 5 * MS, begin, end, last;
        uint32_t i, k;
        int r;

        sleep_until(tick_ns);
        for (i = 0; i < WARM + count; i++) {
                fill_next(worker);
                begin = slipring_now_ns();
                r = contender.publish(worker->end, worker->payload);
                end = slipring_now_ns();
                if (r < 0) {
                        return r;
                }
                if (!collect(worker, &tick_ns, (i + 1) * subscribers)) {
                        atomic_fetch_add(&worker->place->lost, 1);
                        return -ENOMSG;
                }
                for (k = 0, last = 0; i >= WARM && k < subscribers; k++) {
                        *spans = atomic_load_explicit(&worker->place->receipts[k].time_ns,
                                                      memory_order_relaxed) -
                                 begin;
                        last = *spans > last ? *spans : last;
                        spans++;
                }
                if (i >= WARM) {
                        *calls++ = end - begin;
                        *lasts++ = last;
                }
        }
        ret_rows[0] = figures_of(calls - count, count);
        ret_rows[1] =
                figures_of(spans - (size_t) count * subscribers, (size_t) count * subscribers);
        ret_rows[2] = figures_of(lasts - count, count);
        return 0;
}

static int timed(struct worker *worker, unsigned count, uint64_t *ret_ns) {
        uint64_t begin = slipring_now_ns();
        unsigned i;
        int r;

        for (i = 0; i < count; i++) {
                r = contender.publish(worker->end, worker->payload);
                if (r < 0) {
                        return r;
                }
        }
        *ret_ns = slipring_now_ns() - begin;
        return 0;
}

/* Nobody is attached: singly for the tail, in batches for the middle. */
static int alone_round(struct worker *worker, struct figures *ret_rows) {
        const uint32_t count = worker->board->count, batches = (count + 15) / 16;
        uint32_t i;
        int r = 0;

        fill_next(worker);
        r = timed(worker, BATCH, worker->values);
        for (i = 0; i < count && r == 0; i++) {
                r = timed(worker, 1, &worker->values[i]);
        }
        ret_rows[0] = figures_of(worker->values, count);
        for (i = 0; i < batches && r == 0; i++) {
                r = timed(worker, BATCH, &worker->values[i]);
        }
        ret_rows[0].p50 = figures_of(worker->values, batches).p50 / BATCH;
        return r;
}

static int run_publisher(struct worker *worker) {
        struct figures rows[ROWS_MAX] = {0};
        uint32_t round = 0, row;
        int r = 0;

        while (r == 0) {
                round = await_round(worker, round);
                if (round == UINT32_MAX) {
                        return 0;
                }
                atomic_store(&worker->place->got, 0);
                r = worker->board->period_ms ? paced_round(worker, rows)
                                             : alone_round(worker, rows);
                /* A round that failed does not end: our end is what the driver sees. */
                for (row = 0; row < ROWS_MAX && r == 0; row++) {
                        worker->place->rounds[row][round - 1] = rows[row];
                }
                if (r == 0) {
                        atomic_store_explicit(&worker->place->ended, round, memory_order_release);
                }
        }
        (void) fprintf(stderr, "slipring-bench: %s: %s\n", contender.name, strerror(-r));
        return r;
}

/* --- a subscriber --- */

static int receive(struct worker *worker) {
        uint64_t time_ns;
        int r;

        r = worker->options.polled ? contender.take(worker->end, worker->payload)
                                   : contender.wait(worker->end, worker->payload);
        if (r <= 0) {
                return r;
        }
        time_ns = slipring_now_ns();
        if (!whole(worker)) {
                atomic_fetch_add(&worker->place->wrong, 1);
        }
        worker->number = worker->payload[0];
        atomic_store_explicit(&worker->place->receipts[worker->options.index].time_ns, time_ns,
                              memory_order_relaxed);
        atomic_fetch_add_explicit(&worker->place->got, 1, memory_order_release);
        return 1;
}

static int run_subscriber(struct worker *worker) {
        uint32_t round = 0;
        int r = 0;

        while (r >= 0) {
                round = await_round(worker, round);
                if (round == UINT32_MAX) {
                        return 0;
                }
                while (r >= 0 &&
                       atomic_load_explicit(&worker->place->ended, memory_order_relaxed) != round) {
                        r = receive(worker);
                }
                if (r >= 0) {
                        atomic_fetch_add_explicit(&worker->place->left, 1, memory_order_release);
                }
        }
        (void) fprintf(stderr, "slipring-bench: %s: %s\n", contender.name, strerror(-r));
        return r;
}

static int perform(struct worker *worker, bool publisher) {
        const struct contest_board *board = worker->board;
        unsigned others = board->cpu_count - 1;
        int r;

        pin(worker, publisher || !others ? 0 : 1 + worker->options.index % others);
        r = publisher ? contender.open_publisher(&worker->end, &worker->options)
                      : contender.open_subscriber(&worker->end, &worker->options);
        if (r < 0) {
                (void) fprintf(stderr, "slipring-bench: %s: cannot open: %s\n", contender.name,
                               strerror(-r));
                return r;
        }
        if (publisher) {
                (void) snprintf(worker->place->note, sizeof(worker->place->note), "%s",
                                contender.note);
        }
        atomic_fetch_add_explicit(&worker->place->ready, 1, memory_order_release);
        r = publisher ? run_publisher(worker) : run_subscriber(worker);
        contender.close(worker->end);
        return r;
}

int main(int argc, char **argv) {
        struct worker worker = {0};
        size_t values;

        if (argc < 3) {
                (void) fprintf(stderr, "%s is started by slipring-bench\n", argv[0]);
                return 2;
        }
        if (strcmp(argv[2], "able") == 0) {
                return contender.able && !contender.able() ? 1 : 0;
        }
        if (strcmp(argv[2], "serve") == 0) {
                if (contender.serve) {
                        contender.serve();
                        perror("slipring-bench: its daemon");
                }
                return 1;
        }
        if (strcmp(argv[2], "serves") == 0) {
                return contender.serve ? 0 : 1;
        }
        if (strcmp(argv[2], "can-alone") == 0) {
                return contender.alone ? 0 : 1;
        }
        worker.board =
                mmap(NULL, sizeof(*worker.board), PROT_READ | PROT_WRITE, MAP_SHARED, BOARD_FD, 0);
        if (worker.board == MAP_FAILED) {
                perror(argv[0]);
                return 2;
        }
        worker.place = &worker.board->places[strtoul(argv[1], NULL, 10) % CONTENDERS_MAX];
        worker.options = worker.board->options;
        worker.options.index = argc > 3 ? (unsigned) strtoul(argv[3], NULL, 10) % PEERS_MAX : 0;
        if (strcmp(argv[2], "clean") == 0) {
                if (contender.clean) {
                        contender.clean(&worker.options);
                }
                return 0;
        }
        values = (size_t) worker.board->count * (PEERS_MAX + 2);
        worker.payload = aligned_alloc(64, worker.options.payload_bytes);
        worker.values = calloc(values, sizeof(*worker.values));
        if (!worker.payload || !worker.values) {
                return 2;
        }
        return perform(&worker, strcmp(argv[2], "publish") == 0) < 0;
}
