/*
 * The process of a contender: worker PLACE publish | subscribe INDEX | clean | can | about |
 * serves | serve. The board is open as file descriptor BOARD_FD. And without a board: worker PLACE
 * able.
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
#include "bench/usage.h"

#ifndef SYS_futex
#define SYS_futex SYS_futex_time64
#endif

#define MS UINT64_C(1000000)
#define WARM 5u

/* How long a message may take before it is lost: longer than any load of the machine delays it. */
#define LOST_NS (10000 * MS)
#define BATCH 128u

/* Messages of a stream: timed together; taken at once. */
#define CHUNK 500u
#define TAKE_BATCH 32u

/* A round of calls one after the other ends after so long, with fewer samples: there are buses of
 * which a thousandth of the others' count tells as much. */
#define ROUND_NS (150 * MS)
#define SAMPLES_MIN 40u

/* Until then a process has touched what it touches in its daily work. */
#define COLD_MESSAGES 20u

struct worker {
        struct contest_board *board;
        struct contest_place *place;
        struct contender_options options;
        void *end;
        uint64_t *payload;
        uint64_t *values;
        uint64_t number; /* the last message sent, or received */
        bool sparse;     /* only the first two words and the last are filled and looked at */
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

/* The word after @i that counts. */
static size_t next_word(const struct worker *worker, size_t i) {
        return worker->sparse && i == 1 ? words(worker) - 1 : i + 1;
}

static void fill_next(struct worker *worker, volatile uint64_t *payload) {
        size_t i;

        worker->number++;
        for (i = 0; i < words(worker); i = next_word(worker, i)) {
                payload[i] = word(worker->number, i);
        }
}

static bool whole(const struct worker *worker, const volatile uint64_t *payload) {
        uint64_t number = payload[0];
        size_t i;

        for (i = 1; i < words(worker); i = next_word(worker, i)) {
                if (payload[i] != word(number, i)) {
                        return false;
                }
        }
        return number > worker->number;
}

/* --- the publisher --- */

/* Hand over what fill_next() wrote, or write it where it is to lie. */
static int publish(struct worker *worker) {
        void *payload;
        int r;

        if (!worker->options.in_place) {
                return contender.publish(worker->end, worker->payload);
        }
        r = contender.loan(worker->end, &payload);
        if (r < 0) {
                return r;
        }
        fill_next(worker, payload);
        return contender.commit(worker->end, payload);
}

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

/* Of all processes that have to do with it, so far. */
static uint64_t used_ns(const struct worker *worker) {
        return usage_cpu_ns(worker->place->pids, PEERS_MAX + 2);
}

static int paced_round(struct worker *worker, struct figures *ret_rows, uint32_t *ret_samples) {
        const uint32_t count = worker->board->count, subscribers = worker->options.subscribers;
        uint64_t *calls = worker->values, *lasts = calls + count, *spans = lasts + count;
        uint64_t tick_ns = slipring_now_ns() + 5 * MS, begin, end, last, used = 0;
        uint32_t i, k;
        int r;

        sleep_until(tick_ns);
        for (i = 0; i < WARM + count; i++) {
                if (i == WARM) {
                        used = used_ns(worker);
                }
                if (!worker->options.in_place) {
                        fill_next(worker, worker->payload);
                }
                begin = slipring_now_ns();
                r = publish(worker);
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
        used = (used_ns(worker) - used) / count;
        ret_rows[0] = figures_of(calls - count, count);
        ret_rows[1] =
                figures_of(spans - (size_t) count * subscribers, (size_t) count * subscribers);
        /* One subscriber is the last one too. */
        ret_rows[2] = figures_of(lasts - count, count);
        ret_rows[subscribers == 1 ? 2 : 3] = figures_of(&used, 1);
        *ret_samples = count;
        return 0;
}

static int timed(struct worker *worker, unsigned count, uint64_t *ret_ns) {
        uint64_t begin = slipring_now_ns();
        unsigned i;
        int r;

        for (i = 0; i < count; i++) {
                if (worker->sparse && !worker->options.in_place) {
                        fill_next(worker, worker->payload);
                }
                r = publish(worker);
                if (r < 0) {
                        return r;
                }
        }
        *ret_ns = slipring_now_ns() - begin;
        return 0;
}

/* Is there to be another sample, after @count, in a round that began then? Looked at now and then.
 */
static bool goes_on(uint32_t count, uint64_t begin_ns, uint64_t span_ns) {
        return count % SAMPLES_MIN || count == 0 || slipring_now_ns() - begin_ns < span_ns;
}

/* Singly for the tail, in batches for the middle; copies of 1 MiB singly only. */
static int tight_round(struct worker *worker, struct figures *ret_rows, uint32_t *ret_samples) {
        const uint32_t count = worker->board->count;
        const uint64_t begin_ns = slipring_now_ns();
        uint32_t i, batches = (count + 15) / 16;
        int r;

        if (!worker->options.in_place && worker->options.payload_bytes > SMALL_BYTES) {
                batches = 0;
        }
        r = timed(worker, batches ? BATCH : WARM, worker->values);
        for (i = 0; i < count && r == 0 && goes_on(i, begin_ns, ROUND_NS / 2); i++) {
                r = timed(worker, 1, &worker->values[i]);
        }
        if (r == 0) {
                *ret_samples = i;
                ret_rows[0] = figures_of(worker->values, i);
        }
        for (i = 0; i < batches && r == 0 && goes_on(i, begin_ns, ROUND_NS); i++) {
                r = timed(worker, BATCH, &worker->values[i]);
        }
        if (batches && r == 0) {
                ret_rows[0].p50 = figures_of(worker->values, i).p50 / BATCH;
        }
        return r;
}

/* The one subscriber of a stream has all up to @number. 0 if that never happens. */
static bool consumed(const struct worker *worker, uint64_t number) {
        uint64_t begin_ns = slipring_now_ns();
        unsigned looks = 0;

        while (atomic_load_explicit(&worker->place->receipts[0].time_ns, memory_order_acquire) <
               number) {
                if (++looks % 1000000 == 0 && slipring_now_ns() - begin_ns > LOST_NS) {
                        return false;
                }
        }
        return true;
}

static int stream(struct worker *worker, uint32_t count) {
        const uint64_t window = worker->options.window;
        uint32_t i;
        int r;

        for (i = 0; i < count; i++) {
                /* Now and then, so that the subscriber keeps its line. */
                if (worker->number % (window / 4) == 0 && worker->number >= window &&
                    !consumed(worker, worker->number - window + window / 4)) {
                        atomic_fetch_add(&worker->place->lost, 1);
                        return -ENOMSG;
                }
                fill_next(worker, worker->payload);
                r = contender.publish(worker->end, worker->payload);
                if (r < 0) {
                        return r;
                }
        }
        return 0;
}

/* Values are a message's share of the time that a chunk took, in steps of a picosecond. */
static int stream_round(struct worker *worker, struct figures *ret_rows, uint32_t *ret_samples) {
        const uint32_t chunks = worker->board->count / CHUNK;
        const uint64_t round_ns = slipring_now_ns();
        uint64_t begin_ns;
        uint32_t i;
        int r;

        r = stream(worker, CHUNK);
        for (i = 0; i < chunks && r == 0 && goes_on(i, round_ns, ROUND_NS); i++) {
                begin_ns = slipring_now_ns();
                r = stream(worker, CHUNK);
                worker->values[i] = (slipring_now_ns() - begin_ns) * 1000 / CHUNK;
        }
        if (r == 0 && !consumed(worker, worker->number)) {
                atomic_fetch_add(&worker->place->lost, 1);
                r = -ENOMSG;
        }
        if (r == 0) {
                *ret_samples = i;
                ret_rows[0] = figures_scaled(figures_of(worker->values, i), 1e-3);
        }
        return r;
}

static int run_publisher(struct worker *worker) {
        static int (*const rounds[])(struct worker *, struct figures *, uint32_t *) = {
                [WORK_PACED] = paced_round,
                [WORK_TIGHT] = tight_round,
                [WORK_STREAM] = stream_round,
        };
        struct figures rows[ROWS_MAX] = {0};
        uint32_t round = 0, row, samples = 0;
        int r = 0;

        while (r == 0) {
                round = await_round(worker, round);
                if (round == UINT32_MAX) {
                        return 0;
                }
                atomic_store(&worker->place->got, 0);
                r = rounds[worker->board->work](worker, rows, &samples);
                /* A round that failed does not end: our end is what the driver sees. */
                for (row = 0; row < ROWS_MAX && r == 0; row++) {
                        worker->place->rounds[row][round - 1] = rows[row];
                }
                if (r == 0) {
                        worker->place->samples[round - 1] = samples;
                        atomic_store_explicit(&worker->place->ended, round, memory_order_release);
                }
        }
        (void) fprintf(stderr, "slipring-bench: %s: %s\n", contender.name, strerror(-r));
        return r;
}

/* --- a subscriber --- */

/* All of them, in order. */
static int receive_stream(struct worker *worker) {
        int i, r;

        r = contender.take_batch ? contender.take_batch(worker->end, worker->payload, TAKE_BATCH)
            : contender.threaded ? contender.wait(worker->end, worker->payload)
                                 : contender.take(worker->end, worker->payload);
        for (i = 0; i < r; i++) {
                const uint64_t *payload = worker->payload + (size_t) i * words(worker);

                if (!whole(worker, payload)) {
                        atomic_fetch_add(&worker->place->wrong, 1);
                }
                if (payload[0] != worker->number + 1) {
                        atomic_fetch_add(&worker->place->lost, 1);
                }
                worker->number = payload[0];
        }
        if (r > 0) {
                atomic_store_explicit(&worker->place->receipts[0].time_ns, worker->number,
                                      memory_order_release);
        }
        return r;
}

/* Look at one where it lies. A message that was overwritten meanwhile is none. */
static int receive_in_place(struct worker *worker, uint64_t *ret_number, bool *ret_whole) {
        const void *payload;
        int r;

        r = contender.borrow(worker->end, &payload);
        if (r <= 0) {
                return r;
        }
        *ret_whole = whole(worker, payload);
        *ret_number = *(const volatile uint64_t *) payload;
        return contender.give_back(worker->end, payload);
}

static int receive(struct worker *worker) {
        uint64_t time_ns, number = 0;
        bool good = false;
        int r;

        if (worker->options.in_place) {
                r = receive_in_place(worker, &number, &good);
        } else {
                r = worker->options.polled ? contender.take(worker->end, worker->payload)
                                           : contender.wait(worker->end, worker->payload);
        }
        if (r <= 0) {
                return r;
        }
        time_ns = slipring_now_ns();
        if (!worker->options.in_place) {
                good = whole(worker, worker->payload);
                number = worker->payload[0];
        }
        if (!good) {
                atomic_fetch_add(&worker->place->wrong, 1);
        }
        worker->number = number;
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
                        r = worker->board->work == WORK_STREAM ? receive_stream(worker)
                                                               : receive(worker);
                }
                if (r >= 0) {
                        atomic_fetch_add_explicit(&worker->place->left, 1, memory_order_release);
                }
        }
        (void) fprintf(stderr, "slipring-bench: %s: %s\n", contender.name, strerror(-r));
        return r;
}

/* --- from nothing --- */

/* Where its subscriber is not there yet, again. */
static int open_publisher(struct worker *worker) {
        const uint64_t begin_ns = slipring_now_ns();
        int r;

        while ((r = contender.open_publisher(&worker->end, &worker->options)) < 0 &&
               worker->options.cold && slipring_now_ns() - begin_ns < LOST_NS) {
                sleep_until(slipring_now_ns() + MS / 10);
        }
        return r;
}

static bool told_to_end(const struct worker *worker) {
        return atomic_load_explicit(&worker->place->round, memory_order_acquire) == UINT32_MAX;
}

/* The first at once, and then one each period, so that it does not matter when the subscriber
 * comes. */
static int publish_cold(struct worker *worker) {
        uint64_t tick_ns = slipring_now_ns();
        int r = 0;

        while (r == 0 && !told_to_end(worker)) {
                fill_next(worker, worker->payload);
                r = publish(worker);
                tick_ns += worker->board->period_ms * MS;
                sleep_until(tick_ns);
        }
        /* The subscriber may have heard of the end before. */
        return told_to_end(worker) ? 0 : r;
}

static int subscribe_cold(struct worker *worker) {
        uint64_t first_ns = 0;
        int r = 0;

        while (r >= 0 && !told_to_end(worker)) {
                r = receive(worker);
                if (r > 0 && !first_ns) {
                        first_ns = worker->place->receipts[0].time_ns;
                        worker->place->first_ns = first_ns;
                }
                if (atomic_load(&worker->place->got) >= COLD_MESSAGES) {
                        atomic_store_explicit(&worker->place->ended, 1, memory_order_release);
                }
        }
        return r;
}

static int perform(struct worker *worker, bool publisher) {
        const struct contest_board *board = worker->board;
        unsigned others = board->cpu_count - 1;
        int r;

        pin(worker, publisher || !others ? 0 : 1 + worker->options.index % others);
        r = publisher ? open_publisher(worker)
                      : contender.open_subscriber(&worker->end, &worker->options);
        if (r < 0) {
                (void) fprintf(stderr, "slipring-bench: %s: cannot open: %s\n", contender.name,
                               strerror(-r));
                return r;
        }
        worker->place->pids[publisher ? PEERS_MAX : worker->options.index] = getpid();
        atomic_fetch_add_explicit(&worker->place->ready, 1, memory_order_release);
        if (worker->options.cold) {
                r = publisher ? publish_cold(worker) : subscribe_cold(worker);
        } else {
                r = publisher ? run_publisher(worker) : run_subscriber(worker);
        }
        contender.close(worker->end);
        return r;
}

static void tell(struct contest_place *place) {
        (void) snprintf(place->version, sizeof(place->version), "%s",
                        contender.version ? contender.version : "unknown");
        (void) snprintf(place->note, sizeof(place->note), "%s", contender.note);
}

/* Can it do this work? */
static bool can(const struct worker *worker) {
        const struct contender_options *options = &worker->options;

        return (contender.alone || options->subscribers > 0) &&
               (!contender.payload_max || options->payload_bytes <= contender.payload_max) &&
               (!options->in_place || contender.loan) && (!options->kept || contender.keeps) &&
               !(options->window && contender.loses);
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
        worker.board =
                mmap(NULL, sizeof(*worker.board), PROT_READ | PROT_WRITE, MAP_SHARED, BOARD_FD, 0);
        if (worker.board == MAP_FAILED) {
                perror(argv[0]);
                return 2;
        }
        worker.place = &worker.board->places[strtoul(argv[1], NULL, 10) % CONTENDERS_MAX];
        worker.options = worker.board->options;
        worker.options.index = argc > 3 ? (unsigned) strtoul(argv[3], NULL, 10) % PEERS_MAX : 0;
        if (strcmp(argv[2], "serve") == 0) {
                if (contender.serve) {
                        contender.serve(&worker.options);
                        perror("slipring-bench: its daemon");
                }
                return 1;
        }
        if (strcmp(argv[2], "serves") == 0) {
                return contender.serve && (!contender.serves_cold || worker.options.cold) ? 0 : 1;
        }
        if (strcmp(argv[2], "can") == 0) {
                return can(&worker) ? 0 : 1;
        }
        if (strcmp(argv[2], "about") == 0) {
                tell(worker.place);
                return 0;
        }
        if (strcmp(argv[2], "clean") == 0) {
                if (contender.clean) {
                        contender.clean(&worker.options);
                }
                return 0;
        }
        values = (size_t) worker.board->count * (PEERS_MAX + 2);
        worker.sparse = worker.options.in_place || worker.board->work == WORK_STREAM ||
                        (worker.board->work == WORK_TIGHT && worker.options.subscribers > 0);
        worker.payload = aligned_alloc(64, (size_t) worker.options.payload_bytes *
                                                   (worker.options.window ? TAKE_BATCH : 1));
        worker.values = calloc(values, sizeof(*worker.values));
        if (!worker.payload || !worker.values) {
                return 2;
        }
        memset(worker.payload, 0x5a, worker.options.payload_bytes);
        return perform(&worker, strcmp(argv[2], "publish") == 0) < 0;
}
