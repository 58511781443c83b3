/*
 * slipring-bench-load: what is published, timed and looked at while whole commands are measured.
 * `commands` starts it; the bus is that of SLIPRING_BUS.
 *
 *   publish PERIOD-US COUNT TOPIC...   so many messages to each, all of a period one after the
 * other cost TOPIC COUNT                   what a publish costs: a round for each line of input
 *   watch FILE TOPIC...                writes down when each message was published, until SIGTERM
 *   sleep FILE OUT                     sleeps to the times in FILE, and writes down when it woke up
 *
 * A message begins with its number, from 1; the rest is like what sensors measure: slow waves and a
 * little noise, so that it can be compressed about as well.
 */

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <slipring/publisher.h>
#include <slipring/subscriber.h>

#include "bench/figures.h"

#define NS_PER_S UINT64_C(1000000000)
/* Contents that a publisher goes round through. */
#define FRAMES 8u
#define TOPICS_MAX 64
#define BATCH 128u
/* A watcher looks so often; its topics' rings hold more. */
#define LOOK_NS UINT64_C(2000000)

static volatile sig_atomic_t stopping;

static void on_signal(int number) {
        (void) number;
        stopping = 1;
}

static int fail(const char *what, const char *why) {
        (void) fprintf(stderr, "slipring-bench-load: %s: %s\n", what, why);
        return 1;
}

static void sleep_until(uint64_t ns) {
        struct timespec time = {
                .tv_sec = (time_t) (ns / NS_PER_S),
                .tv_nsec = (long) (ns % NS_PER_S),
        };

        while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &time, NULL) == EINTR && !stopping) {
        }
}

/* --- what is published --- */

struct source {
        struct slipring_publisher *publisher;
        uint8_t *frames;
        size_t bytes;
        uint64_t number;
};

static uint64_t noise(uint64_t *state) {
        *state ^= *state << 13;
        *state ^= *state >> 7;
        *state ^= *state << 17;
        return *state;
}

/* Small messages hold numbers, large ones pixels. */
static void fill(uint8_t *frame, size_t bytes, uint64_t *state) {
        double value;
        size_t i;

        for (i = 0; i + sizeof(value) <= bytes && bytes < 4096; i += sizeof(value)) {
                value = sin((double) (*state % 1000) / 160) +
                        (double) (noise(state) % 1000) / 100000;
                memcpy(frame + i, &value, sizeof(value));
        }
        for (i = 0; i < bytes && bytes >= 4096; i++) {
                frame[i] = (uint8_t) ((i / 640 + i % 640 / 4) + noise(state) % 4);
        }
}

static int source_open(struct source *source, const char *topic) {
        struct slipring_publisher_options options = {
                .size = sizeof(options),
                .deadline_ns = slipring_in_ms(10000),
        };
        struct slipring_error error = {0};
        uint64_t state = 88172645463325252u;
        unsigned i;

        if (slipring_publisher_open(&source->publisher, topic, &options, &error) < 0) {
                return fail(topic, error.text);
        }
        source->bytes = slipring_publisher_type(source->publisher)->payload_bytes;
        source->frames = calloc(FRAMES, source->bytes);
        if (!source->frames) {
                return fail(topic, "out of memory");
        }
        for (i = 0; i < FRAMES; i++) {
                fill(source->frames + i * source->bytes, source->bytes, &state);
        }
        return 0;
}

static bool publish(struct source *source) {
        uint8_t *frame = source->frames + source->number % FRAMES * source->bytes;

        source->number++;
        memcpy(frame, &source->number, sizeof(source->number));
        return slipring_publisher_publish(source->publisher, frame, source->bytes, 0) >= 0;
}

static int publish_verb(int argc, char **argv) {
        struct source sources[TOPICS_MAX] = {0};
        uint64_t period_ns, count, due_ns, late_ns = 0, now, n;
        int topics = argc - 2, i;

        if (topics < 1 || topics > TOPICS_MAX) {
                return 2;
        }
        period_ns = strtoull(argv[0], NULL, 10) * 1000;
        count = strtoull(argv[1], NULL, 10);
        for (i = 0; i < topics; i++) {
                if (source_open(&sources[i], argv[2 + i]) != 0) {
                        return 1;
                }
        }
        due_ns = slipring_now_ns();
        for (n = 0; n < count && !stopping; n++) {
                due_ns += period_ns;
                sleep_until(due_ns);
                now = slipring_now_ns();
                late_ns = now > due_ns && now - due_ns > late_ns ? now - due_ns : late_ns;
                for (i = 0; i < topics; i++) {
                        if (!publish(&sources[i])) {
                                return fail(argv[2 + i], "not published");
                        }
                }
        }
        for (i = 0; i < topics; i++) {
                slipring_publisher_close(sources[i].publisher);
                free(sources[i].frames);
        }
        (void) printf("{\"published\": %" PRIu64 ", \"late_max_ns\": %" PRIu64 "}\n",
                      n * (uint64_t) topics, late_ns);
        return 0;
}

/* --- what it costs --- */

static void print_figures(const struct figures *figures) {
        const char *separator = "";
        unsigned i;

        (void) printf("{\"p50\": %.4f, \"p99\": %.4f, \"p99.9\": %.4f, \"max\": %.4f, \"curve\": [",
                      figures->p50, figures->p99, figures->p999, figures->max);
        for (i = 0; i < CURVE_POINTS; i++) {
                if (curve_has(figures->values, i)) {
                        (void) printf("%s[%g, %.4f]", separator, curve_points[i] / 100.0,
                                      figures->curve[i]);
                        separator = ", ";
                }
        }
        (void) puts("]}");
        (void) fflush(stdout);
}

/* How long so many calls take. */
static uint64_t timed(struct source *source, unsigned calls, bool *failed) {
        uint64_t begin = slipring_now_ns();
        unsigned i;

        for (i = 0; i < calls; i++) {
                *failed |= !publish(source);
        }
        return slipring_now_ns() - begin;
}

/* A round: as publish.c has it, singly for all but the p50 of calls one after the other. */
static bool cost_round(struct source *source, bool paced, uint64_t *values, unsigned count) {
        uint64_t due_ns = slipring_now_ns();
        struct figures figures;
        bool failed = false;
        unsigned i;

        for (i = 0; i < count; i++) {
                if (paced) {
                        due_ns += NS_PER_S / 1000;
                        sleep_until(due_ns);
                }
                values[i] = timed(source, 1, &failed);
        }
        figures = figures_of(values, count);
        if (!paced) {
                for (i = 0; i < count / 16; i++) {
                        values[i] = timed(source, BATCH, &failed);
                }
                figures.p50 = figures_of(values, count / 16).p50 / BATCH;
        }
        print_figures(&figures);
        return !failed;
}

static int cost_verb(int argc, char **argv) {
        struct source source = {0};
        char line[64], kind[16];
        uint64_t *values;
        unsigned count, most;

        if (argc != 2 || source_open(&source, argv[0]) != 0) {
                return argc == 2 ? 1 : 2;
        }
        most = (unsigned) strtoul(argv[1], NULL, 10);
        values = calloc(most, sizeof(*values));
        if (!values) {
                return fail(argv[0], "out of memory");
        }
        while (fgets(line, sizeof(line), stdin)) {
                if (sscanf(line, "%15s %u", kind, &count) != 2 || count < 16 || count > most) {
                        return fail(line, "no round");
                }
                if (!cost_round(&source, strcmp(kind, "paced") == 0, values, count)) {
                        return fail(argv[0], "not published");
                }
        }
        slipring_publisher_close(source.publisher);
        free(source.frames);
        free(values);
        return 0;
}

/* --- what came --- */

struct seen {
        uint64_t topic, number, publish_time_ns;
};

static int watch_verb(int argc, char **argv) {
        struct slipring_subscriber *subscribers[TOPICS_MAX];
        struct slipring_subscriber_options options = {
                .size = sizeof(options),
                .start = SLIPRING_START_NEXT,
        };
        struct slipring_error error = {0};
        struct slipring_sample sample;
        uint64_t missed = 0, count = 0;
        int topics = argc - 1, i;
        bool last = false;
        void *buffer;
        FILE *file;

        if (topics < 1 || topics > TOPICS_MAX) {
                return 2;
        }
        file = fopen(argv[0], "we");
        buffer = malloc(8u << 20);
        if (!file || !buffer) {
                return fail(argv[0], strerror(errno));
        }
        for (i = 0; i < topics; i++) {
                if (slipring_subscriber_open(&subscribers[i], argv[1 + i], &options, &error) < 0) {
                        return fail(argv[1 + i], error.text);
                }
        }
        (void) puts("watching");
        (void) fflush(stdout);
        while (!last) {
                /* What was published before the signal is there. */
                last = stopping;
                for (i = 0; i < topics; i++) {
                        while (slipring_subscriber_take(subscribers[i], buffer, 8u << 20,
                                                        &sample) == 1) {
                                struct seen seen = {
                                        .topic = (uint64_t) i,
                                        .number = *(const uint64_t *) buffer,
                                        .publish_time_ns = sample.publish_time_ns,
                                };

                                missed += sample.missed;
                                count++;
                                (void) fwrite(&seen, sizeof(seen), 1, file);
                        }
                }
                if (!last) {
                        sleep_until(slipring_now_ns() + LOOK_NS);
                }
        }
        for (i = 0; i < topics; i++) {
                slipring_subscriber_close(subscribers[i]);
        }
        free(buffer);
        if (fclose(file) != 0) {
                return fail(argv[0], strerror(errno));
        }
        (void) printf("{\"seen\": %" PRIu64 ", \"missed\": %" PRIu64 "}\n", count, missed);
        return 0;
}

/* --- what the machine's clock alone does --- */

static int sleep_verb(int argc, char **argv) {
        uint64_t offset_ns, begin_ns, now;
        FILE *in, *out;

        if (argc != 2) {
                return 2;
        }
        in = fopen(argv[0], "re");
        out = fopen(argv[1], "we");
        if (!in || !out) {
                return fail(argv[in ? 1 : 0], strerror(errno));
        }
        begin_ns = slipring_now_ns();
        while (fread(&offset_ns, sizeof(offset_ns), 1, in) == 1 && !stopping) {
                now = slipring_now_ns();
                if (now < begin_ns + offset_ns) {
                        sleep_until(begin_ns + offset_ns);
                        now = slipring_now_ns();
                }
                (void) fwrite(&now, sizeof(now), 1, out);
        }
        (void) fclose(in);
        return fclose(out) == 0 ? 0 : fail(argv[1], strerror(errno));
}

int main(int argc, char **argv) {
        static const struct {
                const char *name;
                int (*run)(int argc, char **argv);
        } verbs[] = {
                {"publish", publish_verb},
                {"cost", cost_verb},
                {"watch", watch_verb},
                {"sleep", sleep_verb},
        };
        struct sigaction action = {.sa_handler = on_signal};
        int r = 2;
        size_t i;

        (void) sigaction(SIGTERM, &action, NULL);
        for (i = 0; argc > 1 && i < sizeof(verbs) / sizeof(*verbs); i++) {
                if (strcmp(argv[1], verbs[i].name) == 0) {
                        r = verbs[i].run(argc - 2, argv + 2);
                }
        }
        if (r == 2) {
                (void) fprintf(stderr, "usage: slipring-bench-load publish|cost|watch|sleep ...\n");
        }
        return r;
}
