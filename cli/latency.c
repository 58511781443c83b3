/*
 * slipring latency: how late samples are on this machine.
 *
 * In the manner of cyclictest(8), with a bus in the place of nothing: a timer wakes a publisher at
 * a rate, and subscribers in processes of their own take what it publishes. The bus is this
 * command's own.
 */

#include "cli/latency.h"

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sem.h>
#include <sys/shm.h>
#include <unistd.h>

#include <slipring/subscriber.h>

#include "bus/error.h"
#include "bus/manager/limits.h"
#include "bus/manager/specs.h"
#include "bus/registry.h"
#include "cli/disturbance.h"
#include "cli/json.h"
#include "cli/table.h"
#include "schema/schema.h"

#define PAYLOAD_MAX (64u << 20)
/* A ring that holds a tenth of a second, so that what is late is late and not missed; large samples
 * have fewer slots. */
#define RING_BYTES (16u << 20)
#define DEPTH_LEAST 8u
#define DEPTH_MOST 65536u
#define RATE_MAX 100000.0
#define BAR 40u
#define EDGES_MAX 40u

struct latency {
        struct cli *cli;
        struct latency_options options;
        struct latency_board *board;
        struct registry *registry;
        struct histogram *delivery; /* of all subscribers */
        uint64_t depth;
        double rate;
        struct conditions conditions;
        struct disturbances disturbances;
};

/*
 * A bus of its own
 */

static int schema_make(struct latency *latency, struct schema **ret_schema) {
        struct diagnostics diagnostics = {0};
        char text[512];
        int bytes, r;

        bytes = snprintf(text, sizeof(text),
                         "slipring: 1\nbus: %s\ntopics:\n  " LATENCY_TOPIC
                         ":\n    mode: \"0600\"\n    depth: %" PRIu64
                         "\n    fields: {bytes: \"uint8[%" PRIu32 "]\"}\n",
                         latency->options.bus, latency->depth, latency->options.payload_bytes);
        r = schema_load_text(ret_schema, "latency.yaml", text, (size_t) bytes, NULL, &diagnostics);
        if (r < 0) {
                cli_error(latency->cli, "cannot make the test's bus: %s",
                          diagnostics.count ? diagnostics.items[0].message : strerror(-r));
        }
        diagnostics_clear(&diagnostics);
        return r;
}

static int bus_make(struct latency *latency) {
        _cleanup_(schema_freep) struct schema *schema = NULL;
        _cleanup_(specs_freep) struct topic_spec *specs = NULL;
        struct slipring_error error = {0};
        int r;

        r = schema_make(latency, &schema);
        if (r < 0) {
                return r;
        }
        specs = specs_make(schema);
        if (!specs) {
                cli_error(latency->cli, "out of memory");
                return -ENOMEM;
        }
        r = limits_check(latency->options.bus, specs, 1, &error);
        if (r == 0) {
                r = limits_check_memory(schema->total_bytes, &error);
        }
        if (r == 0) {
                r = registry_open(&latency->registry, latency->options.bus, &error);
        }
        if (r == 0) {
                r = registry_apply(latency->registry, specs, 1, NULL, NULL, &error);
        }
        if (r < 0) {
                cli_error(latency->cli, "%s", error.text);
                return r;
        }
        /* Where the limit forbids it, the processes find the same and the report tells. */
        (void) registry_lock(latency->registry, 0);
        return 0;
}

static bool gone(key_t key) {
        return shmget(key, 0, 0) < 0 && errno == ENOENT && semget(key, 0, 0) < 0 && errno == ENOENT;
}

/* Takes the bus down and looks whether it is. */
static int bus_remove(struct latency *latency) {
        key_t keys[4] = {directory_key(geteuid(), latency->options.bus)};
        size_t count = 1;

        if (!latency->registry) {
                return 0;
        }
        if (registry_count(latency->registry) == 1) {
                keys[count++] = registry_entry(latency->registry, 0)->data_key;
                keys[count++] = registry_entry(latency->registry, 0)->claim_key;
                keys[count++] = registry_entry(latency->registry, 0)->board_key;
        }
        latency->registry = registry_remove(latency->registry, NULL);
        while (count > 0) {
                if (!gone(keys[--count])) {
                        cli_error(latency->cli, "left behind: key 0x%08x, see ipcs",
                                  (unsigned) keys[count]);
                        return -EBUSY;
                }
        }
        return 0;
}

/*
 * While it runs
 */

static uint64_t missed_so_far(const struct latency_options *options,
                              const struct latency_board *board) {
        uint64_t missed = 0;

        for (unsigned i = 0; i < options->subscribers; i++) {
                missed += atomic_load_explicit(&board->readers[i].missed, memory_order_relaxed);
        }
        return missed;
}

static void collect(const struct latency_options *options,
                    const struct latency_board *board,
                    struct histogram *delivery) {
        histogram_clear(delivery);
        for (unsigned i = 0; i < options->subscribers; i++) {
                histogram_merge(delivery, &board->readers[i].delivery);
        }
}

static void show_progress(const struct latency_options *options,
                          const struct latency_board *board) {
        static struct histogram delivery;
        char p50[32], p99[32], max[32];

        collect(options, board, &delivery);
        fprintf(stderr,
                "\r%" PRIu64 " samples   p50 %s   p99 %s   max %s   missed %" PRIu64 "\033[K",
                atomic_load_explicit(&board->published, memory_order_relaxed),
                cli_duration(p50, histogram_rank(&delivery, 0.5)),
                cli_duration(p99, histogram_rank(&delivery, 0.99)),
                cli_duration(max, histogram_max(&delivery)), missed_so_far(options, board));
}

/* A line that is written over and over is for people at a terminal. */
static bool progress_shown(void) {
        const char *term = getenv("TERM");

        return isatty(STDERR_FILENO) && term && strcmp(term, "dumb") != 0;
}

/*
 * The report
 */

static uint64_t published(const struct latency *latency) {
        return atomic_load_explicit(&latency->board->published, memory_order_relaxed);
}

/* Of all subscribers, also what never came. */
static uint64_t missed(const struct latency *latency) {
        return published(latency) * latency->options.subscribers -
               histogram_count(latency->delivery);
}

static void row(struct table *table, const char *name, const struct histogram *histogram) {
        static const double shares[] = {0.5, 0.99, 0.999};
        char text[32];

        table_cell(table, "%s", name);
        for (size_t i = 0; i < sizeof(shares) / sizeof(shares[0]); i++) {
                table_cell(table, "%s", cli_duration(text, histogram_rank(histogram, shares[i])));
        }
        table_cell(table, "%s", cli_duration(text, histogram_max(histogram)));
}

static void print_figures(const struct latency *latency) {
        struct table table = {.align = "lrrrrl"};
        const char *const head[] = {"", "p50", "p99", "p99.9", "max", ""};

        for (size_t i = 0; i < sizeof(head) / sizeof(head[0]); i++) {
                table_cell(&table, "%s", head[i]);
        }
        row(&table, "timer", &latency->board->timer);
        table_cell(&table, "how late the kernel's timer woke the publisher");
        row(&table, "publish", &latency->board->call);
        table_cell(&table, "the publisher's call");
        row(&table, "delivery", latency->delivery);
        table_cell(&table, "from before that call until a subscriber has its copy");
        table_print(&table, stdout, latency->cli->colour);
        table_free(&table);
}

/* Rows of the histogram, from the first that is not empty to the last. */
struct bars {
        uint64_t edges[EDGES_MAX + 1]; /* row i: from edge i to below edge i + 1 */
        uint64_t counts[EDGES_MAX];
        size_t count;
        uint64_t largest;
};

static void bars_make(struct bars *bars, const struct histogram *histogram) {
        uint64_t below = 0, edge = 0, next, sum;

        *bars = (struct bars){0};
        while (below < histogram_count(histogram) && bars->count < EDGES_MAX) {
                next = histogram_edge(edge);
                sum = bars->count + 1 == EDGES_MAX ? histogram_count(histogram)
                                                   : histogram_below(histogram, next);
                if (sum > 0) {
                        bars->edges[bars->count] = edge;
                        bars->counts[bars->count++] = sum - below;
                        bars->edges[bars->count] = next;
                        bars->largest = sum - below > bars->largest ? sum - below : bars->largest;
                }
                below = sum;
                edge = next;
        }
}

static void print_bars(const struct latency *latency) {
        struct table table = {.align = "rrrrl"};
        char text[32], bar[BAR + 1];
        struct bars bars;
        size_t length;

        bars_make(&bars, latency->delivery);
        for (size_t i = 0; i < bars.count; i++) {
                table_cell(&table, "%s", cli_duration(text, bars.edges[i]));
                table_cell(&table, "- %s", cli_duration(text, bars.edges[i + 1]));
                table_cell(&table, "%" PRIu64, bars.counts[i]);
                table_cell(&table, "%.3f %%",
                           100 * (double) bars.counts[i] /
                                   (double) histogram_count(latency->delivery));
                length = (size_t) (bars.counts[i] * BAR / bars.largest);
                memset(bar, '#', length);
                bar[length] = '\0';
                /* One in a million is why people look. */
                table_cell(&table, "|%s", !length && bars.counts[i] ? "." : bar);
        }
        /* No head. */
        table_print(&table, stdout, false);
        table_free(&table);
}

static void print_disturbances(const struct latency *latency) {
        const struct disturbances *list = &latency->disturbances;

        printf("\n%s\n", list->count ? "what disturbs:" : "nothing that disturbs was found");
        for (size_t i = 0; i < list->count; i++) {
                printf("  %s: %s\n", list->items[i].subject, list->items[i].text);
                if (list->items[i].remedy) {
                        printf("    -> %s\n", list->items[i].remedy);
                }
        }
}

static const char *wait_name(const struct latency_options *options) {
        return options->poll ? "polling" : options->spin_us ? "spinning" : "blocking";
}

static void print_text(const struct latency *latency) {
        const struct latency_options *options = &latency->options;
        uint64_t skipped = atomic_load_explicit(&latency->board->skipped, memory_order_relaxed);
        char size[32];

        printf("%" PRIu64 " samples of %s at %g Hz to %u %s subscriber%s, depth %" PRIu64 "\n\n",
               published(latency), cli_size(size, options->payload_bytes), latency->rate,
               options->subscribers, wait_name(options), options->subscribers == 1 ? "" : "s",
               latency->depth);
        print_figures(latency);
        printf("\ndelivery: %" PRIu64 " taken, %" PRIu64 " missed",
               histogram_count(latency->delivery), missed(latency));
        if (skipped) {
                printf("; %" PRIu64 " ticks skipped: the publisher was too late for them", skipped);
        }
        printf("\n");
        print_bars(latency);
        print_disturbances(latency);
}

static void json_figures(struct json *json, const char *key, const struct histogram *histogram) {
        json_open(json, key, '{');
        json_unsigned(json, "count", histogram_count(histogram));
        json_unsigned(json, "p50_ns", histogram_rank(histogram, 0.5));
        json_unsigned(json, "p99_ns", histogram_rank(histogram, 0.99));
        json_unsigned(json, "p99_9_ns", histogram_rank(histogram, 0.999));
        json_unsigned(json, "max_ns", histogram_max(histogram));
        json_close(json);
}

static void json_options(struct json *json, const struct latency *latency) {
        const struct latency_options *options = &latency->options;

        json_real(json, "rate_hz", latency->rate);
        json_unsigned(json, "payload_bytes", options->payload_bytes);
        json_unsigned(json, "depth", latency->depth);
        json_unsigned(json, "subscribers", options->subscribers);
        json_text(json, "wait", wait_name(options));
        json_unsigned(json, "spin_us", options->spin_us);
        json_unsigned(json, "priority", options->priority);
        json_open(json, "cpus", '[');
        for (unsigned i = 0; i < options->cpu_count; i++) {
                json_unsigned(json, NULL, options->cpus[i]);
        }
        json_close(json);
}

static void json_process(struct json *json, const struct latency_process *process) {
        json_integer(json, "pid", atomic_load_explicit(&process->pid, memory_order_relaxed));
        json_unsigned(json, "preempted",
                      atomic_load_explicit(&process->preempted, memory_order_relaxed));
        json_unsigned(json, "page_faults",
                      atomic_load_explicit(&process->faults, memory_order_relaxed));
}

static void json_readers(struct json *json, const struct latency *latency) {
        json_open(json, "processes", '[');
        json_open(json, NULL, '{');
        json_text(json, "role", "publisher");
        json_process(json, &latency->board->publisher);
        json_close(json);
        for (unsigned i = 0; i < latency->options.subscribers; i++) {
                const struct latency_reader *reader = &latency->board->readers[i];

                json_open(json, NULL, '{');
                json_text(json, "role", "subscriber");
                json_process(json, &reader->process);
                json_unsigned(json, "missed",
                              published(latency) - histogram_count(&reader->delivery));
                json_figures(json, "delivery", &reader->delivery);
                json_close(json);
        }
        json_close(json);
}

static void json_bars(struct json *json, const struct latency *latency) {
        struct bars bars;

        bars_make(&bars, latency->delivery);
        json_open(json, "histogram", '[');
        for (size_t i = 0; i < bars.count; i++) {
                json_open(json, NULL, '{');
                json_unsigned(json, "from_ns", bars.edges[i]);
                json_unsigned(json, "below_ns", bars.edges[i + 1]);
                json_unsigned(json, "count", bars.counts[i]);
                json_close(json);
        }
        json_close(json);
}

static void print_json(const struct latency *latency) {
        const struct disturbances *list = &latency->disturbances;
        struct json json = {.out = stdout};

        json_open(&json, NULL, '{');
        json_options(&json, latency);
        json_unsigned(&json, "samples", published(latency));
        json_unsigned(&json, "missed", missed(latency));
        json_unsigned(&json, "skipped",
                      atomic_load_explicit(&latency->board->skipped, memory_order_relaxed));
        json_figures(&json, "timer", &latency->board->timer);
        json_figures(&json, "publish", &latency->board->call);
        json_figures(&json, "delivery", latency->delivery);
        json_bars(&json, latency);
        json_readers(&json, latency);
        json_open(&json, "disturbances", '[');
        for (size_t i = 0; i < list->count; i++) {
                json_open(&json, NULL, '{');
                json_text(&json, "subject", list->items[i].subject);
                json_text(&json, "text", list->items[i].text);
                json_text(&json, "remedy", list->items[i].remedy);
                json_close(&json);
        }
        json_close(&json);
        json_close(&json);
}

static void process_add(struct conditions *conditions, const struct latency_process *process) {
        int lock_error = atomic_load_explicit(&process->lock_error, memory_order_relaxed);

        conditions->lock_error = conditions->lock_error ? conditions->lock_error : lock_error;
        conditions->preempted += atomic_load_explicit(&process->preempted, memory_order_relaxed);
        conditions->faults += atomic_load_explicit(&process->faults, memory_order_relaxed);
}

static int report(struct latency *latency) {
        struct conditions *conditions = &latency->conditions;

        collect(&latency->options, latency->board, latency->delivery);
        if (published(latency) == 0) {
                cli_error(latency->cli, "ended before the first sample that counts");
                return CLI_FAILURE;
        }
        conditions->stolen = disturbance_stolen("") - conditions->stolen;
        process_add(conditions, &latency->board->publisher);
        for (unsigned i = 0; i < latency->options.subscribers; i++) {
                process_add(conditions, &latency->board->readers[i].process);
        }
        disturbances_find(&latency->disturbances, "", conditions);
        if (latency->cli->json) {
                print_json(latency);
        } else {
                print_text(latency);
        }
        return CLI_OK;
}

/*
 * Measuring
 */

static int explain(const struct latency *latency, int r) {
        if (r == -ECHILD) {
                cli_error(latency->cli, "a process of the test failed or was killed");
        } else if (r != -EINTR) {
                cli_error(latency->cli, "cannot start the test's processes: %s", strerror(-r));
        }
        return CLI_FAILURE;
}

static int measure(struct latency *latency) {
        bool shown = progress_shown();
        int r, code;

        latency->conditions.load = disturbance_load("");
        latency->conditions.stolen = disturbance_stolen("");
        r = latency_run(latency->cli, &latency->options, latency->board,
                        shown ? show_progress : NULL);
        if (shown) {
                fputs("\r\033[K", stderr);
        }
        code = r < 0 ? explain(latency, r) : report(latency);
        return bus_remove(latency) < 0 ? CLI_FAILURE : code;
}

static int latency_open(struct latency *latency) {
        latency->board = latency_board_new(latency->options.subscribers);
        latency->delivery = calloc(1, sizeof(*latency->delivery));
        if (!latency->board || !latency->delivery) {
                cli_error(latency->cli, "out of memory");
                return -ENOMEM;
        }
        (void) snprintf(latency->options.bus, sizeof(latency->options.bus), "latency%d",
                        (int) getpid());
        /* From here on there is something to clean up, whoever ends us and whoever stops reading.
         */
        latency_signals();
        return bus_make(latency);
}

static void latency_close(struct latency *latency) {
        (void) bus_remove(latency);
        latency_board_free(latency->board, latency->options.subscribers);
        free(latency->delivery);
}

/*
 * Options
 */

static bool
between(const struct cli *cli, const char *name, uint64_t value, uint64_t least, uint64_t most) {
        if (value >= least && value <= most) {
                return true;
        }
        cli_error(cli, "--%s %" PRIu64 ": must be %" PRIu64 " to %" PRIu64, name, value, least,
                  most);
        return false;
}

/* Isolated processors are not among those that this process has, but may be asked for. */
static bool cpu_usable(unsigned cpu) {
        cpu_set_t before, set;
        bool usable;

        CPU_ZERO(&set);
        CPU_SET(cpu, &set);
        if (sched_getaffinity(0, sizeof(before), &before) < 0) {
                return false;
        }
        usable = sched_setaffinity(0, sizeof(set), &set) == 0;
        (void) sched_setaffinity(0, sizeof(before), &before);
        return usable;
}

/* "3,1-2" keeps its order: whom a processor is for depends on its place. */
static bool cpus_read(struct latency *latency, const char *text) {
        struct latency_options *options = &latency->options;
        char word[32];
        cpu_set_t set;
        size_t length;

        do {
                length = strcspn(text, ",");
                (void) snprintf(word, sizeof(word), "%.*s", (int) length, text);
                if (!length || length >= sizeof(word) || !disturbance_cpus(&set, word)) {
                        return false;
                }
                for (unsigned cpu = 0; cpu < CPU_SETSIZE; cpu++) {
                        if (CPU_ISSET(cpu, &set) && options->cpu_count < CPU_SETSIZE) {
                                options->cpus[options->cpu_count++] = cpu;
                                CPU_SET(cpu, &latency->conditions.cpus);
                        }
                }
                text += length;
        } while (*text++ == ',');
        return true;
}

static bool cpus_check(struct latency *latency, const char *text) {
        struct latency_options *options = &latency->options;

        latency->conditions.pinned = text != NULL;
        if (!text) {
                return sched_getaffinity(0, sizeof(cpu_set_t), &latency->conditions.cpus) == 0;
        }
        if (!cpus_read(latency, text)) {
                cli_error(latency->cli, "--cpu %s: must be a list of processors, as 2,3 or 2-5",
                          text);
                return false;
        }
        for (unsigned i = 0; i < options->cpu_count; i++) {
                if (!cpu_usable(options->cpus[i])) {
                        cli_error(latency->cli, "--cpu %s: processor %u cannot be used", text,
                                  options->cpus[i]);
                        return false;
                }
        }
        return true;
}

/* Who spins keeps all others off its processor, so also who would wake it. */
static bool poll_check(const struct latency *latency) {
        int processors = CPU_COUNT(&latency->conditions.cpus);
        unsigned wanted = latency->options.subscribers + 1;

        if (latency->options.poll && latency->options.spin_us) {
                cli_error(latency->cli, "--poll and --spin: who polls never sleeps; leave one out");
                return false;
        }
        if (!latency->options.poll || (unsigned) processors >= wanted) {
                return true;
        }
        cli_error(latency->cli,
                  "--poll: %u subscriber%s and a publisher need %u processors, and have %d",
                  wanted - 1, wanted == 2 ? "" : "s", wanted, processors);
        return false;
}

/* Tried on this process, and taken back at once. */
static bool priority_check(const struct latency *latency) {
        const struct sched_param wanted = {.sched_priority = (int) latency->options.priority};
        const struct sched_param none = {0};

        if (!wanted.sched_priority) {
                return true;
        }
        if (sched_setscheduler(0, SCHED_FIFO, &wanted) < 0) {
                cli_error(latency->cli,
                          "--priority %d: %s; it takes CAP_SYS_NICE, or rtprio in "
                          "/etc/security/limits.conf",
                          wanted.sched_priority, strerror(errno));
                return false;
        }
        (void) sched_setscheduler(0, SCHED_OTHER, &none);
        return true;
}

static uint64_t depth_default(const struct latency *latency) {
        uint64_t slot_bytes = latency->options.payload_bytes + 64, depth;

        depth = UINT64_C(100000000) / latency->options.period_ns;
        depth = depth > RING_BYTES / slot_bytes ? RING_BYTES / slot_bytes : depth;
        return depth < DEPTH_LEAST ? DEPTH_LEAST : depth > DEPTH_MOST ? DEPTH_MOST : depth;
}

static bool numbers_check(const struct cli *cli,
                          uint64_t payload,
                          uint64_t subscribers,
                          uint64_t priority,
                          uint64_t depth,
                          uint64_t spin,
                          double rate) {
        if (rate < 0.1 || rate > RATE_MAX) {
                cli_error(cli, "--rate %g: must be 0.1 to %g", rate, RATE_MAX);
                return false;
        }
        return between(cli, "payload", payload, 1, PAYLOAD_MAX) &&
               between(cli, "fan-out", subscribers, 1, LATENCY_SUBSCRIBERS_MAX) &&
               between(cli, "priority", priority, 0, 99) &&
               between(cli, "depth", depth, 2, DEPTH_MOST) &&
               between(cli, "spin", spin, 0, SLIPRING_SPIN_US_MAX);
}

static bool options_read(struct latency *latency, int argc, char **argv) {
        uint64_t payload = 64, subscribers = 1, priority = 0, samples = 0, depth = 0, spin = 0;
        double rate = 1000, duration = 0;
        const char *cpus = NULL;
        const struct cli_option list[] = {
                {'d', "duration", "S", "for S seconds (default 10, where no number is given)",
                 .real = &duration},
                {'n', "samples", "N", "until N samples were published", .number = &samples},
                {'r', "rate", "HZ", "samples a second (default 1000)", .real = &rate},
                {'s', "payload", "BYTES", "of a sample (default 64)", .number = &payload},
                {'f', "fan-out", "N", "subscribers, each a process (default 1, at most 64)",
                 .number = &subscribers},
                {0, "poll", NULL, "subscribers poll instead of sleeping",
                 .flag = &latency->options.poll},
                {0, "spin", "US", "subscribers may spin so long before they sleep (at most 100000)",
                 .number = &spin},
                {'c', "cpu", "LIST", "publisher on the first, subscribers on the others",
                 .text = &cpus},
                {'p', "priority", "N", "SCHED_FIFO, 1 to 99", .number = &priority},
                {0, "depth", "N", "slots (default: a tenth of a second, in 16 MiB)",
                 .number = &depth},
                {0},
        };

        if (!cli_parse(latency->cli, list, &argc, &argv)) {
                return false;
        }
        if (!numbers_check(latency->cli, payload, subscribers, priority, depth ? depth : 2, spin,
                           rate)) {
                return false;
        }
        latency->rate = rate;
        latency->options.period_ns = (uint64_t) (1e9 / rate);
        latency->options.payload_bytes = (uint32_t) payload;
        latency->options.subscribers = (unsigned) subscribers;
        latency->options.priority = latency->conditions.priority = (unsigned) priority;
        latency->options.samples = samples;
        duration = duration == 0 && !samples ? 10 : duration;
        latency->options.duration_ns = duration < 1e9 ? (uint64_t) (duration * 1e9) : 0;
        latency->depth = depth ? depth : depth_default(latency);
        latency->options.spin_us = (uint32_t) spin;
        latency->conditions.polling = latency->options.poll || spin > 0;
        return cpus_check(latency, cpus) && poll_check(latency);
}

static int latency_verb(struct latency *latency, int argc, char **argv) {
        int code = CLI_FAILURE;

        if (!options_read(latency, argc, argv)) {
                return latency->cli->exit_code;
        }
        if (!priority_check(latency)) {
                return CLI_FAILURE;
        }
#ifdef __OPTIMIZE__
        latency->conditions.optimised = true;
#endif
        if (latency_open(latency) == 0) {
                code = measure(latency);
        }
        latency_close(latency);
        return code;
}

static int latency_main(struct cli *cli, int argc, char **argv) {
        struct latency *latency = calloc(1, sizeof(*latency));
        int code;

        if (!latency) {
                cli_error(cli, "out of memory");
                return CLI_FAILURE;
        }
        latency->cli = cli;
        code = latency_verb(latency, argc, argv);
        free(latency);
        return code;
}

const struct cli_verb cli_latency = {
        .name = "latency",
        .arguments = "",
        .least = 0,
        .most = 0,
        .common = CLI_JSON,
        .summary = "test how late samples are on this machine",
        .help = "Makes a bus of its own, publishes to it at a rate, takes the samples in other\n"
                "processes, removes the bus, and prints how late they were: a histogram, and\n"
                "what of this machine disturbs, each with its remedy. Ctrl-C ends it early.\n"
                "\n"
                "  slipring latency                          as any process has it\n"
                "  slipring latency -c 2,3 -p 80             as a real-time system has it\n"
                "  slipring latency -c 2,3 -p 80 --poll      and with a subscriber that spins\n"
                "  slipring latency -s 1048576 -r 30 -f 3    a camera and three who read it\n",
        .run = latency_main,
};
