#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <slipring/publisher.h>
#include <slipring/subscriber.h>

#include "cli/latency.h"

#define SECOND_NS UINT64_C(1000000000)
#define LOOK_NS UINT64_C(100000000)

/* How long a subscriber waits for what was published when nothing more will be. */
#define PATIENCE_NS SECOND_NS

/* One process of the measurement. */
struct part {
        const struct cli *cli;
        const struct latency_options *options;
        struct latency_board *board;
        unsigned index; /* of a subscriber */
        struct rusage usage;
};

uint64_t latency_warm_up(const struct latency_options *options) {
        uint64_t samples = LOOK_NS / options->period_ns;

        return samples < 1 ? 1 : samples > 100 ? 100 : samples;
}

static size_t board_bytes(unsigned subscribers) {
        return sizeof(struct latency_board) + subscribers * sizeof(struct latency_reader);
}

struct latency_board *latency_board_new(unsigned subscribers) {
        void *board = mmap(NULL, board_bytes(subscribers), PROT_READ | PROT_WRITE,
                           MAP_SHARED | MAP_ANONYMOUS, -1, 0);

        return board == MAP_FAILED ? NULL : board;
}

void latency_board_free(struct latency_board *board, unsigned subscribers) {
        if (board) {
                (void) munmap(board, board_bytes(subscribers));
        }
}

/*
 * Every process
 */

static void count(_Atomic uint64_t *counter, uint64_t more) {
        /* relaxed: one process writes it, and who looks meanwhile wants a glance. */
        atomic_store_explicit(counter, atomic_load_explicit(counter, memory_order_relaxed) + more,
                              memory_order_relaxed);
}

static bool stopped(const struct part *part) {
        return atomic_load_explicit(&part->board->stop, memory_order_relaxed);
}

static void pin(const struct part *part, unsigned place) {
        cpu_set_t set;

        if (part->options->cpu_count) {
                CPU_ZERO(&set);
                CPU_SET(part->options->cpus[place], &set);
                (void) sched_setaffinity(0, sizeof(set), &set);
        }
}

/* What was touched stays, and the warm-up touches all. Without MCL_ONFAULT the kernel would fill
 * the bus's directory, too, which has room for 2000 topics. */
static void lock_memory(struct latency_process *process) {
        int r = mlockall(MCL_CURRENT | MCL_FUTURE | MCL_ONFAULT);

        atomic_store_explicit(&process->lock_error, r < 0 ? errno : 0, memory_order_relaxed);
}

/* The last step before measuring: a mistake before it cannot hang the machine. */
static int go_first(const struct part *part) {
        const struct sched_param param = {.sched_priority = (int) part->options->priority};

        if (part->options->priority && sched_setscheduler(0, SCHED_FIFO, &param) < 0) {
                cli_error(part->cli, "SCHED_FIFO %u: %s", part->options->priority, strerror(errno));
                return -1;
        }
        return 0;
}

static void usage_begin(struct part *part) {
        (void) getrusage(RUSAGE_SELF, &part->usage);
}

static void usage_end(const struct part *part, struct latency_process *process) {
        struct rusage now;

        (void) getrusage(RUSAGE_SELF, &now);
        count(&process->preempted, (uint64_t) (now.ru_nivcsw - part->usage.ru_nivcsw));
        count(&process->faults, (uint64_t) (now.ru_minflt - part->usage.ru_minflt) +
                                        (uint64_t) (now.ru_majflt - part->usage.ru_majflt));
}

/*
 * The publisher
 */

static struct slipring_publisher *publisher_open(const struct part *part) {
        const struct slipring_publisher_options options = {
                .size = sizeof(options),
                .bus = part->options->bus,
        };
        struct slipring_publisher *publisher = NULL;
        struct slipring_error error = {0};

        if (slipring_publisher_open(&publisher, LATENCY_TOPIC, &options, &error) < 0) {
                cli_error(part->cli, "%s", error.text);
        }
        return publisher;
}

/* A slow publisher looks now and then whether it is to end. */
static void sleep_until(const struct part *part, uint64_t time_ns) {
        uint64_t now = slipring_now_ns(), until = time_ns;
        struct timespec time;

        do {
                until = time_ns > now + 2 * LOOK_NS ? now + LOOK_NS : time_ns;
                time = (struct timespec){
                        .tv_sec = (time_t) (until / SECOND_NS),
                        .tv_nsec = (long) (until % SECOND_NS),
                };
                (void) clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &time, NULL);
                now = slipring_now_ns();
        } while (now < time_ns && !stopped(part));
}

/* Publishes one sample at its tick. Its source time is from before the call, so that what a
 * subscriber measures includes it. */
static int publish_one(const struct part *part,
                       struct slipring_publisher *publisher,
                       const void *payload,
                       uint64_t tick_ns,
                       bool counts) {
        struct latency_board *board = part->board;
        uint64_t begin = slipring_now_ns(), end;
        int r;

        r = slipring_publisher_publish(publisher, payload, part->options->payload_bytes, begin);
        end = slipring_now_ns();
        if (r < 0) {
                cli_error(part->cli, "cannot publish: %s",
                          r == -EIDRM ? "somebody took the bus down" : strerror(-r));
                return r;
        }
        if (counts) {
                histogram_add(&board->timer, begin - tick_ns);
                histogram_add(&board->call, end - begin);
                count(&board->published, 1);
        }
        return 0;
}

/* The next tick that is still to come: one that is late does not drag the others with it. */
static uint64_t tick_after(const struct part *part, uint64_t tick_ns, bool counts) {
        uint64_t period_ns = part->options->period_ns, now = slipring_now_ns(), late;

        tick_ns += period_ns;
        if (now <= tick_ns) {
                return tick_ns;
        }
        late = (now - tick_ns) / period_ns + 1;
        count(&part->board->skipped, counts ? late : 0);
        return tick_ns + late * period_ns;
}

static bool publish_enough(const struct part *part, uint64_t begin_ns) {
        const struct latency_options *options = part->options;

        return (options->samples &&
                atomic_load_explicit(&part->board->published, memory_order_relaxed) >=
                        options->samples) ||
               (options->duration_ns && slipring_now_ns() - begin_ns >= options->duration_ns);
}

static int
publish_all(struct part *part, struct slipring_publisher *publisher, const void *payload) {
        uint64_t warm_up = latency_warm_up(part->options), done = 0, begin_ns, tick_ns;

        begin_ns = tick_ns = slipring_now_ns() + part->options->period_ns;
        for (;;) {
                sleep_until(part, tick_ns);
                if (stopped(part)) {
                        break;
                }
                if (publish_one(part, publisher, payload, tick_ns, done >= warm_up) < 0) {
                        return -1;
                }
                /* The time that was asked for is that of the samples that count. */
                if (++done == warm_up) {
                        usage_begin(part);
                        begin_ns = slipring_now_ns();
                } else if (done > warm_up && publish_enough(part, begin_ns)) {
                        break;
                }
                tick_ns = tick_after(part, tick_ns, done > warm_up);
        }
        usage_end(part, &part->board->publisher);
        atomic_store_explicit(&part->board->last, done, memory_order_relaxed);
        return 0;
}

static bool await_readers(const struct part *part) {
        const struct timespec nap = {.tv_nsec = 1000000};

        while (!stopped(part) && atomic_load_explicit(&part->board->ready, memory_order_acquire) <
                                         part->options->subscribers) {
                (void) nanosleep(&nap, NULL);
        }
        return !stopped(part);
}

static int publish(struct part *part) {
        struct slipring_publisher *publisher;
        void *payload = malloc(part->options->payload_bytes);
        int r = -1;

        pin(part, 0);
        histogram_clear(&part->board->timer);
        histogram_clear(&part->board->call);
        publisher = payload ? publisher_open(part) : NULL;
        if (publisher) {
                memset(payload, 0x5a, part->options->payload_bytes);
                lock_memory(&part->board->publisher);
                /* The kernel may delay a timer by 50 us to serve two at once, but for real-time
                 * processes. */
                (void) prctl(PR_SET_TIMERSLACK, 1);
                r = 0;
        }
        if (r == 0 && await_readers(part)) {
                usage_begin(part);
                r = go_first(part) < 0 ? -1 : publish_all(part, publisher, payload);
        }
        /* Also if there was nothing to publish. Where it failed, the command ends all. */
        if (r == 0) {
                atomic_store_explicit(&part->board->over, true, memory_order_release);
        }
        (void) slipring_publisher_close(publisher);
        free(payload);
        return r;
}

/*
 * A subscriber
 */

static struct slipring_subscriber *subscriber_open(const struct part *part) {
        const struct slipring_subscriber_options options = {
                .size = sizeof(options),
                .start = SLIPRING_START_NEXT,
                .bus = part->options->bus,
                .spin_us = part->options->spin_us,
        };
        struct slipring_subscriber *subscriber = NULL;
        struct slipring_error error = {0};

        if (slipring_subscriber_open(&subscriber, LATENCY_TOPIC, &options, &error) < 0) {
                cli_error(part->cli, "%s", error.text);
        }
        return subscriber;
}

/* Takes what is there; @sequence is the number of the last sample taken, 0 before the first. */
static int take_all(struct part *part,
                    struct slipring_subscriber *subscriber,
                    void *buffer,
                    uint64_t *sequence) {
        struct latency_reader *reader = &part->board->readers[part->index];
        uint64_t warm_up = latency_warm_up(part->options);
        struct slipring_sample sample;
        int r;

        while ((r = slipring_subscriber_take(subscriber, buffer, part->options->payload_bytes,
                                             &sample)) == 1) {
                if (sample.sequence > warm_up) {
                        histogram_add(&reader->delivery, slipring_now_ns() - sample.source_time_ns);
                        count(&reader->missed, sample.missed);
                }
                if (*sequence < warm_up && sample.sequence >= warm_up) {
                        usage_begin(part);
                }
                *sequence = sample.sequence;
        }
        if (r < 0 && r != -EAGAIN) {
                cli_error(part->cli, "cannot take: %s",
                          r == -EIDRM ? "somebody took the bus down" : strerror(-r));
                return r;
        }
        return 0;
}

/* Is there nothing more to come? Counts the time from when the publisher had ended. */
static bool take_enough(const struct part *part, uint64_t sequence, uint64_t *over_ns) {
        const struct latency_board *board = part->board;

        if (!atomic_load_explicit(&board->over, memory_order_acquire)) {
                return false;
        }
        if (!*over_ns) {
                *over_ns = slipring_now_ns();
        }
        return sequence >= atomic_load_explicit(&board->last, memory_order_relaxed) ||
               slipring_now_ns() - *over_ns > PATIENCE_NS;
}

static int
take_until_over(struct part *part, struct slipring_subscriber *subscriber, void *buffer) {
        uint64_t sequence = 0, over_ns = 0;

        while (!take_enough(part, sequence, &over_ns)) {
                if (!part->options->poll) {
                        (void) slipring_subscriber_wait(subscriber, slipring_in_ms(100));
                }
                if (take_all(part, subscriber, buffer, &sequence) < 0) {
                        return -1;
                }
        }
        usage_end(part, &part->board->readers[part->index].process);
        return 0;
}

static int subscribe(struct part *part) {
        struct latency_reader *reader = &part->board->readers[part->index];
        struct slipring_subscriber *subscriber;
        void *buffer = malloc(part->options->payload_bytes);
        int r = -1;

        pin(part,
            part->options->cpu_count > 1 ? 1 + part->index % (part->options->cpu_count - 1) : 0);
        histogram_clear(&reader->delivery);
        subscriber = buffer ? subscriber_open(part) : NULL;
        if (subscriber) {
                memset(buffer, 0, part->options->payload_bytes);
                lock_memory(&reader->process);
                usage_begin(part);
                r = go_first(part);
        }
        if (r == 0) {
                atomic_fetch_add_explicit(&part->board->ready, 1, memory_order_release);
                r = take_until_over(part, subscriber, buffer);
        }
        (void) slipring_subscriber_close(subscriber);
        free(buffer);
        return r;
}

/*
 * The command
 */

static void signals_fill(sigset_t *ret_signals) {
        (void) sigemptyset(ret_signals);
        (void) sigaddset(ret_signals, SIGINT);
        (void) sigaddset(ret_signals, SIGQUIT);
        (void) sigaddset(ret_signals, SIGTERM);
        (void) sigaddset(ret_signals, SIGHUP);
        /* What `slipring down` sends to whoever manages a bus. */
        (void) sigaddset(ret_signals, SIGUSR1);
        (void) sigaddset(ret_signals, SIGCHLD);
}

void latency_signals(void) {
        sigset_t signals;

        signals_fill(&signals);
        (void) sigprocmask(SIG_BLOCK, &signals, NULL);
        /* Whoever started us may have ignored it, and then nobody would tell of a child's end. */
        (void) signal(SIGCHLD, SIG_DFL);
        (void) signal(SIGPIPE, SIG_IGN);
}

static pid_t part_start(struct part *part, int (*run)(struct part *)) {
        pid_t parent = getpid(), pid;
        sigset_t term;

        (void) fflush(NULL);
        pid = fork();
        if (pid != 0) {
                return pid < 0 ? -errno : pid;
        }
        /* Ctrl-C reaches the whole foreground group; the command decides what follows from it. */
        (void) sigemptyset(&term);
        (void) sigaddset(&term, SIGTERM);
        (void) sigprocmask(SIG_UNBLOCK, &term, NULL);
        (void) prctl(PR_SET_PDEATHSIG, SIGKILL);
        _exit(getppid() == parent && run(part) == 0 ? CLI_OK : CLI_FAILURE);
}

/* Has a child failed, or have all ended well? -EAGAIN while some run. */
static int parts_reap(pid_t *pids, unsigned parts) {
        unsigned running = 0;
        int status;

        for (unsigned i = 0; i < parts; i++) {
                if (pids[i] <= 0) {
                        continue;
                }
                if (waitpid(pids[i], &status, WNOHANG) != pids[i]) {
                        running++;
                        continue;
                }
                pids[i] = 0;
                if (!WIFEXITED(status) || WEXITSTATUS(status) != CLI_OK) {
                        return -ECHILD;
                }
        }
        return running ? -EAGAIN : 0;
}

static void parts_end(const pid_t *pids, unsigned parts) {
        for (unsigned i = 0; i < parts; i++) {
                if (pids[i] > 0) {
                        (void) kill(pids[i], SIGKILL);
                        (void) waitpid(pids[i], NULL, 0);
                }
        }
}

static int parts_watch(pid_t *pids,
                       unsigned parts,
                       const struct part *part,
                       void (*progress)(const struct latency_options *,
                                        const struct latency_board *)) {
        const struct timespec look = {.tv_nsec = 2 * LOOK_NS};
        sigset_t signals;
        int r, signal_number;

        signals_fill(&signals);
        while ((r = parts_reap(pids, parts)) == -EAGAIN) {
                signal_number = sigtimedwait(&signals, NULL, &look);
                if (signal_number > 0 && signal_number != SIGCHLD) {
                        if (stopped(part)) {
                                return -EINTR;
                        }
                        atomic_store_explicit(&part->board->stop, true, memory_order_relaxed);
                }
                if (progress) {
                        progress(part->options, part->board);
                }
        }
        return r;
}

int latency_run(const struct cli *cli,
                const struct latency_options *options,
                struct latency_board *board,
                void (*progress)(const struct latency_options *options,
                                 const struct latency_board *board)) {
        pid_t pids[LATENCY_SUBSCRIBERS_MAX + 1] = {0};
        struct part part = {.cli = cli, .options = options, .board = board};
        struct latency_process *process;
        unsigned parts;
        int r = 0;

        for (parts = 0; parts < options->subscribers + 1 && r == 0; parts++) {
                part.index = parts ? parts - 1 : 0;
                process = parts ? &board->readers[part.index].process : &board->publisher;
                pids[parts] = part_start(&part, parts ? subscribe : publish);
                if (pids[parts] < 0) {
                        r = pids[parts];
                } else {
                        atomic_store_explicit(&process->pid, pids[parts], memory_order_relaxed);
                }
        }
        if (r == 0) {
                r = parts_watch(pids, parts, &part, progress);
        }
        parts_end(pids, parts);
        return r;
}
