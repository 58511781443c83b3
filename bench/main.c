/*
 * slipring-bench: what the bus costs above the bare floor of the same work. bench/README.md tells
 * how to read it.
 */

#include <errno.h>
#include <getopt.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ipc.h>
#include <sys/sem.h>
#include <sys/shm.h>
#include <unistd.h>

#include "bench/contest.h"
#include "bench/measurements.h"
#include "bench/report.h"
#include "bench/script.h"
#include "bus/registry.h"

struct bench {
        struct stage_options stage;
        int cpus[CPU_SETSIZE];
        char *only; /* names, separated by commas; NULL: all */
        bool json;
        bool alone;
        const char *contenders;
        unsigned done, wanted; /* measurements */
        struct contest_names names;
        char bus[SLIPRING_BUS_NAME_MAX + 1];
        struct registry *registry;
};

static const char help[] =
        "usage: slipring-bench [--quick] [--only NAME,...] [--json] [--rounds N] [--no-pin]\n"
        "                      [--no-peers | --contenders LIST]\n"
        "\n"
        "Measures slipring beside the bare floor of the same work, in turns, and prints both and\n"
        "their ratio. Makes a bus of its own and removes it.\n"
        "\n"
        "  --quick            a few samples a round\n"
        "  --only NAME,...    only measurements whose name begins with one of these\n"
        "  --json             one JSON object a line\n"
        "  --rounds N         rounds of each side, 5 to 99 (default 9; 5 with --quick)\n"
        "  --no-pin           let the scheduler place the processes\n"
        "  --no-peers         slipring and the floor only\n"
        "  --contenders LIST  these peers, such as zmq,lcm (default: all whose library is there)\n"
        "  --list             print the names of the measurements\n";

/* --- a bus of its own --- */

/* An array of 64-bit words that fills the payload. */
#define WORDS_TYPE(bytes, digest)                                                                  \
        {                                                                                          \
                .version = SLIPRING_TYPE_VERSION, .payload_bytes = (bytes), .field_count = 1,      \
                .root_count = 1, .identity = {(digest)}, .name = "bench_msgs/msg/Words" #digest,   \
                .text = "uint64[] words\n", .fields = &(const struct slipring_field) {             \
                        .name = "words", .unit = "", .kind = SLIPRING_KIND_UINT64,                 \
                        .count = (bytes) / 8, .element_bytes = 8,                                  \
                }                                                                                  \
        }

static const struct slipring_type small_type = WORDS_TYPE(SMALL_BYTES, 1);
static const struct slipring_type large_type = WORDS_TYPE(LARGE_BYTES, 2);
static const struct slipring_type page_type = WORDS_TYPE(PAGE_BYTES, 3);

#define TYPE(bytes, number) WORDS_TYPE(bytes, number),
static const struct slipring_type sized_types[] = {SIZED_TOPICS(TYPE)};
#define NAME(bytes, number) "sized" #bytes,
static const char *const sized_topics[] = {SIZED_TOPICS(NAME)};

#define TOPICS_NAMED 8
#define TOPICS_SIZED (sizeof(sized_types) / sizeof(*sized_types))
#define TOPICS (TOPICS_NAMED + TOPICS_SIZED + TOPICS_MANY)

static struct topic_spec topic(const char *name, const struct slipring_type *type) {
        return (struct topic_spec){
                .name = name,
                .description = "",
                .type = type,
                .depth = DEPTH,
                .waiters = LAYOUT_WAITERS_DEFAULT,
                .uid = geteuid(),
                .gid = getegid(),
                .mode = 0600,
        };
}

static int bus_make(struct bench *bench) {
        struct topic_spec specs[TOPICS] = {
                topic(TOPIC_SMALL, &small_type),  topic(TOPIC_CHAIN, &small_type),
                topic(TOPIC_BACK, &small_type),   topic(TOPIC_LARGE, &large_type),
                topic(TOPIC_STREAM, &small_type), topic(TOPIC_PAGES, &page_type),
                topic(TOPIC_HUGE, &large_type),   topic(TOPIC_DOUBLE, &large_type),
        };
        struct slipring_error error = {0};
        char names[TOPICS_MANY][sizeof(TOPIC_MANY "00")];
        struct topic_spec *spec = specs + TOPICS_NAMED;
        unsigned i;
        int r;

        for (i = 0; i < TOPICS_SIZED; i++) {
                *spec++ = topic(sized_topics[i], &sized_types[i]);
        }
        for (i = 0; i < TOPICS_MANY; i++) {
                (void) snprintf(names[i], sizeof(names[i]), TOPIC_MANY "%02u", i % 100);
                *spec++ = topic(names[i], &small_type);
        }
        specs[1].wake = LAYOUT_WAKE_CHAIN;
        specs[4].depth = specs[5].depth = STREAM_DEPTH;
        specs[6].huge_pages = LAYOUT_HUGE_PAGES_TRY;
        specs[7].depth = DEPTH_DOUBLE;
        (void) snprintf(bench->bus, sizeof(bench->bus), "bench%d", (int) getpid());
        r = registry_open(&bench->registry, bench->bus, &error);
        if (r == 0) {
                r = registry_apply(bench->registry, specs, TOPICS, NULL, NULL, &error);
        }
        if (r < 0) {
                (void) fprintf(stderr, "slipring-bench: %s\n", error.text);
        }
        return r;
}

static bool gone(key_t key) {
        return shmget(key, 0, 0) < 0 && errno == ENOENT && semget(key, 0, 0) < 0 && errno == ENOENT;
}

/* Takes the bus down and looks whether it is. */
static int bus_remove(struct bench *bench) {
        key_t keys[TOPICS * 3 + 1];
        size_t count = 0, i;
        int r = 0;

        if (!bench->registry) {
                return 0;
        }
        keys[count++] = directory_key(geteuid(), bench->bus);
        for (i = 0; i < registry_count(bench->registry) && i < TOPICS; i++) {
                keys[count++] = registry_entry(bench->registry, i)->data_key;
                keys[count++] = registry_entry(bench->registry, i)->claim_key;
                keys[count++] = registry_entry(bench->registry, i)->board_key;
        }
        bench->registry = registry_remove(bench->registry, NULL);
        for (i = 0; i < count; i++) {
                if (!gone(keys[i])) {
                        (void) fprintf(stderr, "slipring-bench: left behind: key 0x%08x\n",
                                       (unsigned) keys[i]);
                        r = -EBUSY;
                }
        }
        return r;
}

/* --- measuring --- */

/* Does a name begin as one of a list, separated by commas, does? NULL: any. */
static bool begins(const char *name, const char *list) {
        const char *item;
        size_t length;

        for (item = list; item; item = item[length] ? item + length + 1 : NULL) {
                length = strcspn(item, ",");
                if (strncmp(name, item, length) == 0) {
                        return true;
                }
        }
        return !list;
}

static bool wanted(const struct bench *bench, const struct measurement *measurement) {
        return begins(measurement->name, bench->only);
}

/* Did the bus get any? */
static bool have_huge_pages(const struct bench *bench) {
        const struct layout_entry *entry;
        size_t i;

        for (i = 0; i < registry_count(bench->registry); i++) {
                entry = registry_entry(bench->registry, i);
                if (strcmp(entry->name, TOPIC_HUGE) == 0) {
                        return entry->page_bytes > 0;
                }
        }
        return false;
}

static void complain(const struct measurement *measurement, int r) {
        (void) fprintf(stderr, "slipring-bench: %s: %s\n", measurement->name,
                       r == -ECHILD      ? "a process of it failed or was killed"
                       : r == -ETIMEDOUT ? "a process of it hangs"
                       : r == -EBADMSG   ? "no figures of work that was not done"
                                         : strerror(-r));
}

/* -EBADMSG if other buses did not do it well. */
static int measure(struct bench *bench, const struct measurement *measurement, int *ret_signal) {
        static struct figures rounds[ROWS_MAX][SIDES][ROUNDS_MAX];
        bool contest_failed = false;
        int r = 0;

        if (measurement->peers && (!measurement->period_ms || measurement->polled) &&
            bench->stage.cpu_count < 2) {
                (void) fprintf(stderr,
                               "slipring-bench: %s: left out, two that spin need two "
                               "processors\n",
                               measurement->name);
                return 0;
        }
        if (measurement->huge && !have_huge_pages(bench)) {
                (void) fprintf(stderr,
                               "slipring-bench: %s: left out, the pool of huge pages has too few "
                               "('sysctl -w vm.nr_hugepages=8')\n",
                               measurement->name);
                return 0;
        }
        if (measurement->bare && !many_bare_works()) {
                (void) fprintf(stderr,
                               "slipring-bench: %s: left out, futex_waitv(2) needs Linux 5.16\n",
                               measurement->name);
                return 0;
        }
        (void) fprintf(stderr, "slipring-bench: %u of %u: %s ...\n", ++bench->done, bench->wanted,
                       measurement->name);
        if (measurement->script) {
                r = script_run(measurement, &bench->stage, bench->json, ret_signal);
        }
        if (measurement->round) {
                r = stage_run(measurement, &bench->stage, rounds, ret_signal);
                if (r == 0) {
                        report_rows(measurement, &bench->stage, rounds, bench->json);
                }
        }
        if (r == 0 && measurement->contest && !(bench->alone && measurement->round)) {
                r = contest_run(measurement, &bench->names, &bench->stage, bench->json, ret_signal);
                contest_failed = r < 0 && r != -EINTR;
        }
        if (r < 0 && r != -EINTR) {
                complain(measurement, r);
        }
        /* Whoever reads us may be gone. */
        if (fflush(stdout) != 0 && r == 0) {
                r = -errno;
                complain(measurement, r);
        }
        return contest_failed ? -EBADMSG : r;
}

static int run(struct bench *bench, int *ret_signal) {
        bool unsound = false;
        unsigned i;
        int r;

        r = bus_make(bench);
        if (r == 0) {
                report_machine(&bench->stage, &bench->names, bench->json);
        }
        for (i = 0; i < measurement_count && r == 0; i++) {
                if (wanted(bench, &measurements[i])) {
                        r = measure(bench, &measurements[i], ret_signal);
                }
                /* Another bus that fails is no reason to know nothing of what follows. */
                if (r == -EBADMSG) {
                        unsound = true;
                        r = 0;
                }
        }
        if (bus_remove(bench) < 0 && r == 0) {
                r = -EBUSY;
        }
        return r == 0 && unsound ? -EBADMSG : r;
}

/* --- options --- */

static unsigned list(const struct bench *bench, bool print) {
        unsigned i, count = 0;

        for (i = 0; i < measurement_count; i++) {
                if (wanted(bench, &measurements[i])) {
                        count++;
                        if (print) {
                                (void) printf("%-28s floor: %s\n", measurements[i].name,
                                              measurements[i].floor);
                        }
                }
        }
        return count;
}

/* The first of --only that no measurement begins with, or NULL; ends the text behind it. */
static char *unknown_name(char *only) {
        char *item = only;
        unsigned i;
        char *end;

        for (; item; item = end ? end + 1 : NULL) {
                end = strchr(item, ',');
                for (i = 0; i < measurement_count; i++) {
                        if (*item && *item != ',' &&
                            strncmp(measurements[i].name, item,
                                    end ? (size_t) (end - item) : strlen(item)) == 0) {
                                break;
                        }
                }
                if (i == measurement_count) {
                        if (end) {
                                *end = 0;
                        }
                        return item;
                }
        }
        return NULL;
}

static int find_cpus(struct bench *bench) {
        cpu_set_t set;
        int cpu;

        if (sched_getaffinity(0, sizeof(set), &set) < 0) {
                return -errno;
        }
        for (cpu = 0; cpu < CPU_SETSIZE; cpu++) {
                if (CPU_ISSET((size_t) cpu, &set)) {
                        bench->cpus[bench->stage.cpu_count++] = cpu;
                }
        }
        bench->stage.cpus = bench->cpus;
        return 0;
}

/* Exit status of a wrong command line, 0 of one that is done with, -1 to go on. */
static int parse(struct bench *bench, int argc, char **argv) {
        enum { QUICK = 256, ONLY, JSON, ROUNDS, NO_PIN, NO_PEERS, CONTENDERS, LIST, HELP };
        static const struct option options[] = {
                {"quick", no_argument, NULL, QUICK},
                {"only", required_argument, NULL, ONLY},
                {"json", no_argument, NULL, JSON},
                {"rounds", required_argument, NULL, ROUNDS},
                {"no-pin", no_argument, NULL, NO_PIN},
                {"list", no_argument, NULL, LIST},
                {"help", no_argument, NULL, HELP},
                {"no-peers", no_argument, NULL, NO_PEERS},
                {"contenders", required_argument, NULL, CONTENDERS},
                {0},
        };
        bool listed = false;
        char *rest, *unknown;
        int option;

        while ((option = getopt_long(argc, argv, "", options, NULL)) >= 0) {
                switch (option) {
                case QUICK:
                        bench->stage.quick = true;
                        break;
                case ONLY:
                        bench->only = optarg;
                        break;
                case JSON:
                        bench->json = true;
                        break;
                case ROUNDS:
                        bench->stage.rounds = (unsigned) strtoul(optarg, &rest, 10);
                        if (*rest || bench->stage.rounds < ROUNDS_MIN ||
                            bench->stage.rounds > ROUNDS_MAX) {
                                (void) fprintf(stderr, "slipring-bench: --rounds is %u to %u\n",
                                               ROUNDS_MIN, ROUNDS_MAX);
                                return 2;
                        }
                        break;
                case NO_PIN:
                        bench->stage.pin = false;
                        break;
                case NO_PEERS:
                        bench->alone = true;
                        break;
                case CONTENDERS:
                        bench->contenders = optarg;
                        if (!*optarg) {
                                (void) fputs("slipring-bench: --contenders of none: --no-peers\n",
                                             stderr);
                                return 2;
                        }
                        break;
                case LIST:
                        listed = true;
                        break;
                case HELP:
                        (void) fputs(help, stdout);
                        return 0;
                default:
                        (void) fputs(help, stderr);
                        return 2;
                }
        }
        unknown = optind < argc ? argv[optind] : unknown_name(bench->only);
        if (unknown) {
                (void) fprintf(stderr, "slipring-bench: %s '%s' (see --list)\n",
                               optind < argc ? "unexpected argument" : "no measurement begins with",
                               unknown);
                return 2;
        }
        bench->wanted = list(bench, listed);
        return listed ? 0 : -1;
}

/* The words of the command line; of a program's absolute path, which tells about somebody's
 * machine, the last part. */
static void join(char *text, size_t size, int argc, char **argv) {
        const char *name = argv[0][0] == '/' ? strrchr(argv[0], '/') + 1 : argv[0];
        size_t length = 0;
        int i;

        for (i = 0; i < argc && length < size; i++) {
                length += (size_t) snprintf(text + length, size - length, "%s%s", i ? " " : "",
                                            i ? argv[i] : name);
        }
}

int main(int argc, char **argv) {
        struct bench bench = {.stage = {.pin = true}};
        int r, signal_number = 0;
        char command[512] = "";
        sigset_t signals;

        /* Before getopt_long(3) moves them. */
        join(command, sizeof(command), argc, argv);
        bench.stage.command = command;
        r = parse(&bench, argc, argv);
        if (r >= 0) {
                return r;
        }
        if (!bench.stage.rounds) {
                bench.stage.rounds = bench.stage.quick ? ROUNDS_MIN : 9;
        }
        r = find_cpus(&bench);
        if (r < 0) {
                (void) fprintf(stderr, "slipring-bench: which processors: %s\n", strerror(-r));
                return 1;
        }
        r = contest_choose(&bench.names, bench.alone ? "" : bench.contenders);
        if (r < 0) {
                return r == -EINVAL ? 2 : 1;
        }
        bench.stage.bus = bench.bus;
        /* From here on there is something to clean up, whoever ends us and whoever stops reading.
         */
        stage_signals(&signals);
        (void) sigprocmask(SIG_BLOCK, &signals, NULL);
        (void) signal(SIGPIPE, SIG_IGN);
        r = run(&bench, &signal_number);
        return r == 0 ? 0 : r == -EINTR ? 128 + signal_number : 1;
}
