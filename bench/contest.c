#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/futex.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "bench/contest.h"
#include "bench/report.h"
#include "bench/usage.h"

#ifndef SYS_futex
#define SYS_futex SYS_futex_time64
#endif

/* Ours and the floor first: all others are compared with these two. */
static const char *const known[] = {"slipring", "floor",   "unix", "mq",  "iceoryx",
                                    "cyclone",  "fastdds", "zmq",  "nng", "lcm"};
#define REFERENCES 2u

/* A daemon has noticed by then whom we killed: RouDi after 1.5 s; before, it aborts on the first of
 * them and tidies nothing up. */
#define NOTICE_S 3

/* A round that takes longer hangs. */
#define PATIENCE_S 60

/* Cold starts of one contender in a round: as many as fit. */
#define COLD_ROUND_NS UINT64_C(200000000)
#define COLD_MAX 16u

_Static_assert(sizeof(known) / sizeof(*known) <= CONTENDERS_MAX, "a place for every contender");

struct contest {
        struct contest_board *board;
        const struct measurement *measurement;
        const struct contest_names *names;
        const struct stage_options *options;
        int board_fd;
        unsigned places[CONTENDERS_MAX]; /* indices into names of those that do this one */
        unsigned place_count;
        pid_t pids[CONTENDERS_MAX * (PEERS_MAX + 2)];
        unsigned pid_count;
        unsigned daemons;            /* the first of them */
        bool serves[CONTENDERS_MAX]; /* has a daemon */
};

/* Whose work was bad: they are left out when the contest is held once more. By index into names. */
struct losers {
        uint64_t wrong[CONTENDERS_MAX], lost[CONTENDERS_MAX];
};

static int worker_path(const char *name, char *text, size_t size) {
        ssize_t length = readlink("/proc/self/exe", text, size - 1);

        if (length < 0) {
                return -errno;
        }
        text[length] = 0;
        length = strrchr(text, '/') + 1 - text;
        (void) snprintf(text + length, size - (size_t) length, "slipring-bench-%s", name);
        return access(text, X_OK) < 0 ? -errno : 0;
}

/* --- processes --- */

static void become(const struct contest *contest, const char *path, char **argv, pid_t parent) {
        sigset_t signals;

        stage_signals(&signals);
        (void) sigdelset(&signals, SIGTERM);
        (void) sigprocmask(SIG_SETMASK, &signals, NULL);
        (void) prctl(PR_SET_PDEATHSIG, SIGKILL);
        /* The same number would keep its close-on-exec flag. */
        if (getppid() != parent) {
                _exit(2);
        }
        if (contest->board_fd >= 0 &&
            (contest->board_fd == BOARD_FD ? fcntl(BOARD_FD, F_SETFD, 0)
                                           : dup2(contest->board_fd, BOARD_FD)) < 0) {
                _exit(2);
        }
        /* Figures alone go to standard output, whatever a library says there. */
        (void) dup2(STDERR_FILENO, STDOUT_FILENO);
        (void) execv(path, argv);
        _exit(127);
}

static pid_t start(const struct contest *contest, unsigned place, const char *role, unsigned i) {
        char path[PATH_MAX], place_text[16], index_text[16], role_text[16];
        char *argv[] = {path, place_text, role_text, index_text, NULL};
        pid_t parent = getpid(), pid;
        int r;

        r = worker_path(contest->names->names[place], path, sizeof(path));
        if (r < 0) {
                return r;
        }
        (void) snprintf(place_text, sizeof(place_text), "%u", place);
        (void) snprintf(index_text, sizeof(index_text), "%u", i);
        (void) snprintf(role_text, sizeof(role_text), "%s", role);
        (void) fflush(NULL);
        pid = fork();
        if (pid == 0) {
                become(contest, path, argv, parent);
        }
        return pid < 0 ? -errno : pid;
}

/* Run one to its end: its exit status. */
static int run_once(const struct contest *contest, unsigned place, const char *role) {
        pid_t pid = start(contest, place, role, 0);
        int status;

        if (pid < 0 || waitpid(pid, &status, 0) != pid || !WIFEXITED(status)) {
                return -ECHILD;
        }
        return WEXITSTATUS(status);
}

static int check_children(const struct contest *contest) {
        siginfo_t info = {0};
        unsigned i;

        /* Looked at, not reaped: end_all() does that. None ends before it is told to. */
        for (i = 0; i < contest->pid_count; i++) {
                if (waitid(P_PID, (id_t) contest->pids[i], &info, WEXITED | WNOHANG | WNOWAIT) <
                            0 ||
                    info.si_pid != 0) {
                        return -ECHILD;
                }
        }
        return 0;
}

/* Until @word is @value; by the clock, since nobody is to wait for us. */
static int
await(const struct contest *contest, _Atomic uint32_t *word, uint32_t value, int *ret_signal) {
        const struct timespec look = {.tv_nsec = 2000000};
        uint64_t begin_ns = slipring_now_ns();
        sigset_t signals;
        int number, r = 0;

        stage_signals(&signals);
        while (r == 0 && atomic_load_explicit(word, memory_order_acquire) != value) {
                number = sigtimedwait(&signals, NULL, &look);
                if (number > 0 && number != SIGCHLD) {
                        *ret_signal = number;
                        return -EINTR;
                }
                r = number == SIGCHLD ? check_children(contest) : 0;
                if (slipring_now_ns() - begin_ns > PATIENCE_S * UINT64_C(1000000000)) {
                        r = -ETIMEDOUT;
                }
        }
        return r;
}

static int add(struct contest *contest, unsigned place, const char *role, unsigned index) {
        pid_t pid = start(contest, place, role, index);

        if (pid < 0) {
                return pid;
        }
        contest->pids[contest->pid_count++] = pid;
        return 0;
}

static int open_daemons(struct contest *contest) {
        unsigned i;
        int r = 0;

        for (i = 0; i < contest->place_count && r == 0; i++) {
                if (contest->serves[contest->places[i]]) {
                        r = add(contest, contest->places[i], "serve", 0);
                        contest->daemons += r == 0;
                        contest->board->places[contest->places[i]].pids[PEERS_MAX + 1] =
                                r == 0 ? contest->pids[contest->pid_count - 1] : 0;
                }
        }
        return r;
}

/* Subscribers first, then the publisher that some buses let look for them. */
static int open_all(struct contest *contest, int *ret_signal) {
        unsigned i, k, peers = contest->measurement->peers;
        int r = 0;

        for (i = 0; i < contest->place_count && r == 0; i++) {
                for (k = 0; k < peers && r == 0; k++) {
                        r = add(contest, contest->places[i], "subscribe", k);
                }
                if (r == 0) {
                        r = await(contest, &contest->board->places[contest->places[i]].ready, peers,
                                  ret_signal);
                }
                if (r == 0) {
                        r = add(contest, contest->places[i], "publish", 0);
                }
                if (r == 0) {
                        r = await(contest, &contest->board->places[contest->places[i]].ready,
                                  peers + 1, ret_signal);
                }
        }
        return r;
}

static int run_rounds(struct contest *contest, int *ret_signal) {
        struct contest_place *place;
        unsigned round, i;
        int r = 0;

        for (round = 1; round <= contest->options->rounds; round++) {
                for (i = 0; i < contest->place_count && r == 0; i++) {
                        place = &contest->board->places[contest->places[i]];
                        atomic_store_explicit(&place->round, round, memory_order_release);
                        (void) syscall(SYS_futex, &place->round, FUTEX_WAKE, INT_MAX, NULL, NULL,
                                       0);
                        r = await(contest, &place->ended, round, ret_signal);
                        if (r == 0) {
                                r = await(contest, &place->left,
                                          round * contest->measurement->peers, ret_signal);
                        }
                }
        }
        return r;
}

static void end_daemon(pid_t pid) {
        const struct timespec look = {.tv_nsec = 10000000};
        unsigned looks;

        for (looks = 0; looks < 500 && waitpid(pid, NULL, WNOHANG) == 0; looks++) {
                (void) nanosleep(&look, NULL);
        }
        if (looks == 500) {
                (void) kill(pid, SIGKILL);
                (void) waitpid(pid, NULL, 0);
        }
}

static bool has_ended(pid_t pid) {
        siginfo_t info = {0};

        return waitid(P_PID, (id_t) pid, &info, WEXITED | WNOHANG | WNOWAIT) < 0 ||
               info.si_pid != 0;
}

/* They are told to close what they have open; those in a round are not asked. Returns how many have
 * not ended within a second. */
static unsigned tell_all(struct contest *contest) {
        const struct timespec look = {.tv_nsec = 10000000};
        struct contest_place *place;
        unsigned looks, i, left = 1;

        for (i = 0; i < contest->place_count; i++) {
                place = &contest->board->places[contest->places[i]];
                atomic_store_explicit(&place->round, UINT32_MAX, memory_order_release);
                (void) syscall(SYS_futex, &place->round, FUTEX_WAKE, INT_MAX, NULL, NULL, 0);
        }
        for (looks = 0; looks < 100 && left > 0; looks++) {
                (void) nanosleep(&look, NULL);
                for (left = 0, i = contest->daemons; i < contest->pid_count; i++) {
                        left += !has_ended(contest->pids[i]);
                }
        }
        return left;
}

static void end_all(struct contest *contest) {
        unsigned i, left;

        left = tell_all(contest);
        for (i = contest->daemons; i < contest->pid_count; i++) {
                (void) kill(contest->pids[i], SIGKILL);
                (void) waitpid(contest->pids[i], NULL, 0);
        }
        if (left > 0 && contest->daemons > 0) {
                (void) nanosleep(&(const struct timespec){.tv_sec = NOTICE_S}, NULL);
        }
        /* They tidy up. */
        for (i = 0; i < contest->daemons; i++) {
                (void) kill(contest->pids[i], SIGTERM);
                end_daemon(contest->pids[i]);
        }
        for (i = 0; i < contest->place_count; i++) {
                (void) run_once(contest, contest->places[i], "clean");
        }
}

/* --- results --- */

static int sound(const struct contest *contest, struct losers *losers) {
        const struct contest_place *place;
        unsigned i;
        int r = 0;

        for (i = 0; i < contest->place_count; i++) {
                place = &contest->board->places[contest->places[i]];
                losers->wrong[contest->places[i]] = place->wrong;
                losers->lost[contest->places[i]] = place->lost;
                if (place->wrong || place->lost) {
                        (void) fprintf(stderr,
                                       "slipring-bench: %s: %llu messages wrong, %llu lost\n",
                                       contest->names->names[contest->places[i]],
                                       (unsigned long long) place->wrong,
                                       (unsigned long long) place->lost);
                        r = -EBADMSG;
                }
        }
        return r;
}

static bool left_out(const struct losers *losers, unsigned i) {
        return losers->wrong[i] || losers->lost[i];
}

static bool references_left_out(const struct losers *losers) {
        unsigned i;

        for (i = 0; i < REFERENCES && !left_out(losers, i); i++) {
        }
        return i < REFERENCES;
}

/* Of the round that had fewest. */
static unsigned samples_of(const struct contest_place *place, unsigned rounds) {
        unsigned fewest = place->samples[0], i;

        for (i = 1; i < rounds; i++) {
                fewest = place->samples[i] < fewest ? place->samples[i] : fewest;
        }
        return fewest;
}

static void report(const struct contest *contest, const struct losers *losers, bool json) {
        const struct measurement *measurement = contest->measurement;
        const struct contest_place *place;
        unsigned row, i;

        for (row = 0; row < ROWS_MAX && (row == 0 || measurement->rows[row]); row++) {
                for (i = 0; i < contest->place_count; i++) {
                        place = &contest->board->places[contest->places[i]];
                        report_contender(measurement, contest->options, row,
                                         contest->names->names[contest->places[i]],
                                         samples_of(place, contest->options->rounds),
                                         contest->board->places[0].rounds[row],
                                         contest->board->places[1].rounds[row], place->rounds[row],
                                         json);
                }
        }
        for (i = 0; i < contest->names->count; i++) {
                if (left_out(losers, i)) {
                        report_left_out(measurement, contest->names->names[i], losers->wrong[i],
                                        losers->lost[i], json);
                }
        }
}

/* --- the board --- */

static int open_board(struct contest *contest) {
        struct contest_board *board;

        contest->board_fd = memfd_create("slipring-bench", MFD_CLOEXEC);
        if (contest->board_fd < 0 ||
            ftruncate(contest->board_fd, (off_t) sizeof(*contest->board)) < 0) {
                return -errno;
        }
        board = mmap(NULL, sizeof(*board), PROT_READ | PROT_WRITE, MAP_SHARED, contest->board_fd,
                     0);
        if (board == MAP_FAILED) {
                return -errno;
        }
        contest->board = board;
        return 0;
}

static void close_board(struct contest *contest) {
        if (contest->board) {
                (void) munmap(contest->board, sizeof(*contest->board));
        }
        if (contest->board_fd >= 0) {
                (void) close(contest->board_fd);
        }
}

/* --- who takes part --- */

/* Looks for the executable, and asks it. */
static int find_contender(const char *name) {
        struct contest_names one = {.count = 1};
        const struct contest contest = {.names = &one, .board_fd = -1};
        char path[PATH_MAX];

        (void) snprintf(one.names[0], sizeof(one.names[0]), "%s", name);
        if (worker_path(name, path, sizeof(path)) < 0) {
                return -ENOENT;
        }
        return run_once(&contest, 0, "able") == 0 ? 0 : -EOPNOTSUPP;
}

/* What @name says of itself goes behind the names. */
static int ask_about(struct contest_names *names, const char *name) {
        struct contest contest = {.names = names, .board_fd = -1};
        unsigned place = names->count;
        int r;

        (void) snprintf(names->names[place], sizeof(names->names[place]), "%s", name);
        r = open_board(&contest);
        if (r == 0) {
                r = run_once(&contest, place, "about") == 0 ? 0 : -ECHILD;
        }
        if (r == 0) {
                memcpy(names->versions[place], contest.board->places[place].version,
                       sizeof(names->versions[place]));
                memcpy(names->notes[place], contest.board->places[place].note,
                       sizeof(names->notes[place]));
        }
        close_board(&contest);
        return r;
}

static int add_name(struct contest_names *names, const char *name, size_t length, bool must) {
        char text[sizeof(names->names[0])];
        int r;

        if (length == 0 || length >= sizeof(text) || memchr(name, '/', length) ||
            names->count == CONTENDERS_MAX) {
                (void) fprintf(stderr, "slipring-bench: '%.*s' is no contender\n", (int) length,
                               name);
                return -EINVAL;
        }
        (void) snprintf(text, sizeof(text), "%.*s", (int) length, name);
        r = find_contender(text);
        if (r < 0) {
                (void) fprintf(stderr, "slipring-bench: %s: %s%s\n", text,
                               r == -ENOENT ? "not built, for want of its library"
                                            : "cannot run on this machine",
                               must ? "" : "; left out");
                return must ? r : 0;
        }
        r = ask_about(names, text);
        names->count += r == 0;
        return r;
}

int contest_choose(struct contest_names *ret_names, const char *list) {
        struct contest_names names = {.count = 0};
        size_t length;
        unsigned i;
        int r = 0;

        for (i = 0; i < (list ? REFERENCES : sizeof(known) / sizeof(*known)) && r == 0; i++) {
                r = add_name(&names, known[i], strlen(known[i]), i < REFERENCES);
        }
        while (list && *list && r == 0) {
                length = strcspn(list, ",");
                r = add_name(&names, list, length, true);
                list = list[length] ? list + length + 1 : NULL;
                if (list && !*list) {
                        r = add_name(&names, list, 0, true);
                }
        }
        if (r == 0) {
                *ret_names = names;
        }
        return r;
}

/* --- a contest --- */

static void choose(struct contest *contest, const struct losers *losers) {
        unsigned i;

        for (i = 0; i < contest->names->count; i++) {
                if (!left_out(losers, i) && run_once(contest, i, "can") == 0) {
                        contest->places[contest->place_count++] = i;
                        contest->serves[i] = run_once(contest, i, "serves") == 0;
                }
        }
}

static void prepare(struct contest *contest, const struct floor *ring, const char *scratch) {
        const struct stage_options *options = contest->options;
        struct contest_board *board = contest->board;
        unsigned i;

        board->options.cold = contest->measurement->contest == WORK_COLD;
        (void) snprintf(board->options.bus, sizeof(board->options.bus), "%s%s", options->bus,
                        board->options.cold ? "cold" : "");
        (void) snprintf(board->options.scratch, sizeof(board->options.scratch), "%s", scratch);
        board->options.polled = contest->measurement->polled;
        board->options.floor_id = ring->id;
        board->options.payload_bytes = contest->measurement->payload_bytes;
        board->options.kept = contest->measurement->kept;
        board->options.subscribers = contest->measurement->peers;
        (void) snprintf(board->options.topic, sizeof(board->options.topic), "%s",
                        stage_topic(contest->measurement));
        board->options.in_place = contest->measurement->loaned;
        board->options.gated = contest->measurement->contest == WORK_TIGHT;
        board->options.window = contest->measurement->contest == WORK_STREAM ? STREAM_WINDOW : 0;
        board->work = contest->measurement->contest;
        board->count = contest->measurement->contest_count && !options->quick
                               ? contest->measurement->contest_count
                               : stage_count(contest->measurement, options);
        board->period_ms = contest->measurement->period_ms;
        board->pin = options->pin && !contest->measurement->unpinned;
        board->cpu_count = options->cpu_count;
        for (i = 0; i < options->cpu_count && i < CPU_SETSIZE; i++) {
                board->cpus[i] = options->cpus[i];
        }
}

/* What the contenders find: a directory, and the floor its ring. */
struct ground {
        char scratch[64];
        struct floor *ring;
};

static int ground_open(struct contest *contest, struct ground *ground) {
        int r;

        (void) snprintf(ground->scratch, sizeof(ground->scratch), "/tmp/slipring-bench-%d-XXXXXX",
                        (int) getpid());
        r = floor_new(&ground->ring, stage_depth(contest->measurement),
                      contest->measurement->payload_bytes);
        if (r < 0) {
                return r;
        }
        if (!mkdtemp(ground->scratch)) {
                ground->ring = floor_free(ground->ring);
                return -errno;
        }
        prepare(contest, ground->ring, ground->scratch);
        return 0;
}

static void ground_close(struct ground *ground) {
        if (rmdir(ground->scratch) < 0) {
                perror(ground->scratch);
        }
        ground->ring = floor_free(ground->ring);
}

/* All of them open at once. */
static int hold(struct contest *contest, int *ret_signal) {
        int r;

        r = open_daemons(contest);
        if (r == 0) {
                r = open_all(contest, ret_signal);
        }
        if (r == 0) {
                r = run_rounds(contest, ret_signal);
        }
        end_all(contest);
        return r;
}

/* --- from nothing: one after the other, and each alone --- */

/* One start of the one contender in @contest. */
static int
start_cold(struct contest *contest, uint64_t *ret_start_ns, uint64_t *ret_bytes, int *ret_signal) {
        const unsigned which = contest->places[0];
        struct contest_place *place = &contest->board->places[which];
        uint64_t begin_ns;
        int r;

        place->round = place->ended = place->ready = place->got = 0;
        place->first_ns = 0;
        memset(place->pids, 0, sizeof(place->pids));
        begin_ns = slipring_now_ns();
        r = open_daemons(contest);
        if (r == 0) {
                r = add(contest, which, "subscribe", 0);
        }
        if (r == 0) {
                r = add(contest, which, "publish", 0);
        }
        if (r == 0) {
                r = await(contest, &place->ended, 1, ret_signal);
        }
        if (r == 0) {
                *ret_start_ns = place->first_ns - begin_ns;
                *ret_bytes = usage_pss_bytes(contest->pids, contest->pid_count);
                r = *ret_bytes ? 0 : -ENODATA;
        }
        end_all(contest);
        contest->pid_count = contest->daemons = 0;
        return r;
}

static int cold_round(const struct contest *all, unsigned place, unsigned round, int *ret_signal) {
        const uint64_t begin_ns = slipring_now_ns();
        uint64_t starts[COLD_MAX], bytes[COLD_MAX];
        struct contest one = *all;
        struct ground ground;
        unsigned i;
        int r = 0;

        one.places[0] = place;
        one.place_count = 1;
        for (i = 0; r == 0 && i < all->board->count && i < COLD_MAX &&
                    (i == 0 || slipring_now_ns() - begin_ns < COLD_ROUND_NS);
             i++) {
                r = ground_open(&one, &ground);
                if (r == 0) {
                        r = start_cold(&one, &starts[i], &bytes[i], ret_signal);
                        ground_close(&ground);
                }
        }
        if (r == 0) {
                all->board->places[place].samples[round] = i;
                all->board->places[place].rounds[0][round] = figures_of(starts, i);
                all->board->places[place].rounds[1][round] = figures_of(bytes, i);
        }
        return r;
}

static int hold_cold(struct contest *contest, int *ret_signal) {
        unsigned round, i;
        int r = 0;

        for (round = 0; round < contest->options->rounds; round++) {
                for (i = 0; i < contest->place_count && r == 0; i++) {
                        r = cold_round(contest, contest->places[i], round, ret_signal);
                }
        }
        return r;
}

static int hold_once(const struct contest *of, struct losers *losers, bool json, int *ret_signal) {
        struct contest contest = *of;
        struct ground ground;
        int r;

        r = open_board(&contest);
        if (r == 0) {
                r = ground_open(&contest, &ground);
        }
        if (r == 0) {
                choose(&contest, losers);
                r = contest.measurement->contest == WORK_COLD ? hold_cold(&contest, ret_signal)
                                                              : hold(&contest, ret_signal);
                if (r != -EINTR && sound(&contest, losers) < 0) {
                        r = -EBADMSG;
                }
                if (r == 0) {
                        report(&contest, losers, json);
                }
                ground_close(&ground);
        }
        close_board(&contest);
        return r;
}

int contest_run(const struct measurement *measurement,
                const struct contest_names *names,
                const struct stage_options *options,
                bool json,
                int *ret_signal) {
        const struct contest contest = {
                .measurement = measurement,
                .names = names,
                .options = options,
                .board_fd = -1,
        };
        struct losers losers = {0};
        int r;

        /* Each time at least one fewer. Without ours or the floor there is nothing to compare. */
        do {
                r = hold_once(&contest, &losers, json, ret_signal);
        } while (r == -EBADMSG && !references_left_out(&losers));
        return r;
}
