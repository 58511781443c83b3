/*
 * slipring-host: this machine's own telemetry, at a fixed rate.
 *
 * One loop over a table of topics, each with a source that reads it and a feed that publishes it.
 * The loop sleeps to absolute times, so that the rate does not drift; what cannot be published now
 * is tried again later, and never stops the rest.
 *
 * Two instances never share the work: topics are opened in the order of the table, and an instance
 * that finds the first one taken opens none. So all topics pass to a standby at once.
 */

#include <errno.h>
#include <getopt.h>
#include <math.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "publishers/host/feed.h"
#include "publishers/host/source.h"

#define NS_PER_S UINT64_C(1000000000)

/* A bus or topic that is not there is looked for so often. */
#define RETRY_NS (NS_PER_S / 10)
#define RETRY_TOPIC_NS NS_PER_S
/* A standby looks up from its wait so often, to see whether the bus is another one. */
#define STANDBY_NS NS_PER_S

enum {
        EXIT_USAGE = 2,
        EXIT_TIMEOUT = 124,
};

static volatile sig_atomic_t stopping;

/* What the command line says. */
struct options {
        struct feed_bus bus;
        const char *root;
        double rate_hz;
        double wait_s; /* below 0: without end */
        bool once;
};

/* A topic, where its messages come from and where they go. */
struct topic {
        struct feed feed;
        source_sample *sample;
        void *state;
        /* What a machine lacks that has nothing to publish here. */
        const char *source;
        /* What the source said last, to say once what changed; -ENODEV: this machine has none. */
        int sampled;
};

/* States of the sources. */
static struct cpu cpu;
static struct disk disk;
static struct network network;
static struct thermal thermal;
static struct power power;

/* Sensors, which may be slow to read, come last. */
static struct topic topics[] = {
        {{.topic = "host/cpu", .type = &host_msgs_Cpu_type}, cpu_sample, &cpu, "/proc/stat"},
        {{.topic = "host/memory", .type = &host_msgs_Memory_type},
         memory_sample,
         NULL,
         "/proc/meminfo"},
        {{.topic = "host/load", .type = &host_msgs_Load_type}, load_sample, NULL, "/proc/loadavg"},
        {{.topic = "host/disk", .type = &host_msgs_Disks_type},
         disk_sample,
         &disk,
         "/proc/diskstats"},
        {{.topic = "host/network", .type = &host_msgs_Network_type},
         network_sample,
         &network,
         "/proc/net/dev"},
        {{.topic = "host/thermal", .type = &host_msgs_Thermal_type},
         thermal_sample,
         &thermal,
         "temperature sensor"},
        {{.topic = "host/power", .type = &host_msgs_Power_type},
         power_sample,
         &power,
         "battery, supply or power meter"},
};

#define TOPIC_COUNT (sizeof(topics) / sizeof(topics[0]))

/* Room for any of the messages. */
union message {
        struct host_msgs_Cpu cpu;
        struct host_msgs_Memory memory;
        struct host_msgs_Load load;
        struct host_msgs_Disks disks;
        struct host_msgs_Network network;
        struct host_msgs_Thermal thermal;
        struct host_msgs_Power power;
};

__attribute__((format(printf, 1, 2))) static void say(const char *format, ...) {
        va_list arguments;

        va_start(arguments, format);
        (void) fputs("slipring-host: ", stderr);
        (void) vfprintf(stderr, format, arguments);
        (void) fputc('\n', stderr);
        va_end(arguments);
}

/* --- sampling and publishing --- */

static void tell_sampled(struct topic *topic, int r) {
        if (r == -EAGAIN || r == topic->sampled) {
                return;
        }
        if (r == -ENODEV) {
                say("%s: not published, for this machine has no %s", topic->feed.topic,
                    topic->source);
        } else if (r < 0) {
                say("%s: cannot be read (%s)", topic->feed.topic, strerror(-r));
        } else if (topic->sampled < 0) {
                say("%s: can be read now", topic->feed.topic);
        }
        topic->sampled = r;
}

static int sample(struct topic *topic, struct tree *tree, union message *message) {
        int r;

        memset(message, 0, sizeof(*message));
        r = topic->sample(topic->state, tree, slipring_now_ns(), message);
        tell_sampled(topic, r);
        return r;
}

static uint64_t wall_time_ns(void) {
        struct timespec now;

        (void) clock_gettime(CLOCK_REALTIME, &now);
        return (uint64_t) now.tv_sec * NS_PER_S + (uint64_t) now.tv_nsec;
}

static void tell_feed(struct feed *feed, int r, const struct slipring_error *error) {
        if (r == feed->said || r == -EINTR) {
                return;
        }
        if (r < 0) {
                say("%s: not published: %s", feed->topic,
                    error->code == r ? error->text : strerror(-r));
        } else {
                say("%s: published", feed->topic);
        }
        feed->said = r;
}

/* Read and publish one topic; open it first if it is time to try. */
static void topic_tick(struct topic *topic, const struct feed_bus *bus, struct tree *tree) {
        struct slipring_error error = {0};
        struct feed *feed = &topic->feed;
        union message message;
        int r = 0;

        if (sample(topic, tree, &message) < 0) {
                return;
        }
        if (!feed->publisher) {
                if (slipring_now_ns() < feed->retry_ns) {
                        return;
                }
                feed->retry_ns = slipring_now_ns() + RETRY_TOPIC_NS;
                r = feed_open(feed, bus, 0, &error);
                tell_feed(feed, r, &error);
        }
        if (r == 0 && feed_publish(feed, &message, wall_time_ns(), &error) < 0) {
                /* Perhaps the whole bus went; if not, opening it will tell. */
                feed->retry_ns = 0;
        }
}

/* --- getting hold of a bus --- */

static bool any_open(void) {
        size_t i;

        for (i = 0; i < TOPIC_COUNT; i++) {
                if (topics[i].feed.publisher) {
                        return true;
                }
        }
        return false;
}

/* Open a topic if nobody else publishes to it, or when nobody does any more. */
static int lead_one(struct feed *feed, const struct feed_bus *bus, struct slipring_error *reterr) {
        int r;

        r = feed_open(feed, bus, 0, reterr);
        if (r == -EBUSY && bus->standby) {
                tell_feed(feed, r, reterr);
                r = feed_open(feed, bus, slipring_now_ns() + STANDBY_NS, reterr);
                r = r == -ETIMEDOUT ? -EBUSY : r;
        }
        return r;
}

/*
 * Open the first topic that there is, and with it the right to the others.
 *
 * Return: 0 with a topic open, -EBUSY if another process publishes the first one, -EINTR if a
 *         signal came, else why none could be opened: what is more than a lack of it first.
 */
static int lead(const struct feed_bus *bus, struct slipring_error *reterr) {
        int result = -ENOENT, r;
        size_t i;

        for (i = 0; i < TOPIC_COUNT; i++) {
                struct slipring_error error = {0};

                if (topics[i].sampled == -ENODEV) {
                        continue;
                }
                r = lead_one(&topics[i].feed, bus, &error);
                if (r == 0) {
                        return 0;
                }
                if (result == -ENOENT || r == -EBUSY || r == -EINTR) {
                        result = r;
                        *reterr = error;
                }
                if (r == -EBUSY || r == -EINTR) {
                        break;
                }
        }
        return result;
}

static void pause_ns(uint64_t ns) {
        const struct timespec span = {
                .tv_sec = (time_t) (ns / NS_PER_S),
                .tv_nsec = (long) (ns % NS_PER_S),
        };

        /* A signal ends it early: stopping. */
        (void) nanosleep(&span, NULL);
}

static void tell_waiting(int r, const struct slipring_error *error, int *said) {
        if (r != *said && r != -EINTR && r != -EBUSY) {
                say("waiting: %s", error->text);
                *said = r;
        }
}

/* Is it for a person to change something, when it happens at the start? */
static bool is_hopeless(int r) {
        return r == -EBUSY || r == -EINVAL || r == -EACCES || r == -EPERM;
}

/*
 * Wait until there is something to publish to.
 *
 * Return: 0, -EINTR if a signal came, -ETIMEDOUT at the deadline, and if this one does not stand
 *         by, an error that waiting does not help against.
 */
static int
wait_for_bus(const struct feed_bus *bus, uint64_t deadline_ns, struct slipring_error *reterr) {
        int said = 0, r;

        while (!stopping) {
                r = lead(bus, reterr);
                if (r == 0 || r == -EINVAL || (is_hopeless(r) && !bus->standby)) {
                        return r;
                }
                if (slipring_now_ns() >= deadline_ns) {
                        return -ETIMEDOUT;
                }
                tell_waiting(r, reterr, &said);
                if (r != -EBUSY) {
                        pause_ns(RETRY_NS);
                }
        }
        return -EINTR;
}

/* --- the loop --- */

/* What was read before a wait is too old to compare with. */
static void prime(struct tree *tree) {
        union message message;
        size_t i;

        for (i = 0; i < TOPIC_COUNT; i++) {
                (void) sample(&topics[i], tree, &message);
                topics[i].feed.retry_ns = 0;
        }
}

/* The next time of the grid that has not passed: one that was overslept is left out. */
static uint64_t next_tick(uint64_t tick_ns, uint64_t period_ns) {
        uint64_t now_ns = slipring_now_ns();

        tick_ns += period_ns;
        if (tick_ns <= now_ns) {
                tick_ns += (now_ns - tick_ns) / period_ns * period_ns + period_ns;
        }
        return tick_ns;
}

static void sleep_until(uint64_t tick_ns) {
        const struct timespec until = {
                .tv_sec = (time_t) (tick_ns / NS_PER_S),
                .tv_nsec = (long) (tick_ns % NS_PER_S),
        };

        (void) clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL);
}

/* Publish until told to stop, or until no topic is left. */
static void publish(const struct options *options, struct tree *tree) {
        uint64_t period_ns = (uint64_t) llround((double) NS_PER_S / options->rate_hz);
        uint64_t tick_ns = slipring_now_ns();
        size_t i;

        prime(tree);
        do {
                tick_ns = next_tick(tick_ns, period_ns);
                sleep_until(tick_ns);
                for (i = 0; i < TOPIC_COUNT && !stopping; i++) {
                        topic_tick(&topics[i], &options->bus, tree);
                }
        } while (!stopping && !options->once && any_open());
}

static int run(const struct options *options, struct tree *tree) {
        uint64_t deadline_ns = SLIPRING_FOREVER;
        struct feed_bus bus = options->bus;
        struct slipring_error error = {0};
        int r;

        if (options->wait_s >= 0) {
                deadline_ns = slipring_now_ns() + (uint64_t) (options->wait_s * 1e9);
        }
        prime(tree);
        while (!stopping) {
                r = wait_for_bus(&bus, deadline_ns, &error);
                if (r == -ETIMEDOUT) {
                        say("%s", error.text);
                        return EXIT_TIMEOUT;
                }
                if (r < 0 && r != -EINTR) {
                        say("%s%s", error.text,
                            r == -EBUSY ? "; --standby waits for it to end" : "");
                        return EXIT_FAILURE;
                }
                if (r == 0) {
                        say("publishing at %g Hz", options->rate_hz);
                        publish(options, tree);
                        if (options->once) {
                                return any_open() ? EXIT_SUCCESS : EXIT_FAILURE;
                        }
                }
                /* A bus that was there once is waited for without end, whatever it is like when it
                 * comes back; if another instance was faster then, this one stands by. */
                deadline_ns = SLIPRING_FOREVER;
                bus.standby = true;
        }
        return EXIT_SUCCESS;
}

/* --- the command --- */

static void on_signal(int number) {
        stopping = 1;
}

static void handle_signals(void) {
        struct sigaction action = {.sa_handler = on_signal};

        const int signals[] = {SIGINT, SIGTERM, SIGHUP};
        struct sigaction before;
        size_t i;

        /* Without SA_RESTART: sleeps have to end. Not what nohup(1) ignores on purpose. */
        for (i = 0; i < sizeof(signals) / sizeof(signals[0]); i++) {
                if (sigaction(signals[i], NULL, &before) == 0 && before.sa_handler != SIG_IGN) {
                        (void) sigaction(signals[i], &action, NULL);
                }
        }
}

static void help(void) {
        (void) puts(
                "usage: slipring-host [-b BUS] [--rate HZ] [--once] [--standby] [--wait SECONDS]\n"
                "                     [--root DIR]\n"
                "\n"
                "Publishes this machine's own telemetry to the topics host/cpu, host/memory,\n"
                "host/load, host/disk, host/network, host/thermal and host/power, as far as the\n"
                "bus and the machine have them. It waits for the bus, follows it through reloads\n"
                "and restarts, and ends at SIGINT or SIGTERM.\n"
                "\n"
                "  -b, --bus [USER/]BUS  the bus; else $SLIPRING_BUS, else 'host'\n"
                "      --rate HZ         samples a second, 0.1 to 100; default 10\n"
                "      --once            publish one sample of each topic and end\n"
                "      --standby         while another process publishes, wait to take over\n"
                "      --wait SECONDS    give up if there is no bus by then; default: never\n"
                "      --root DIR        read DIR/proc and DIR/sys; default /\n"
                "  -h, --help            this text\n"
                "      --version         the version\n"
                "\n"
                "Exit status: 0, 1 if it cannot publish, 2 for a wrong command line, 124 if\n"
                "there was no bus in time.\n"
                "\n"
                "Try:\n"
                "  slipring up host.yaml &\n"
                "  slipring-host &\n"
                "  slipring echo host/cpu");
}

static bool number_read(const char *text, double low, double high, double *ret_number) {
        char *end = NULL;
        double number;

        number = strtod(text, &end);
        if (end == text || *end || !(number >= low && number <= high)) {
                return false;
        }
        *ret_number = number;
        return true;
}

static int usage(const char *format, const char *argument) {
        (void) fputs("slipring-host: ", stderr);
        (void) fprintf(stderr, format, argument);
        (void) fputs("; 'slipring-host --help' explains\n", stderr);
        return EXIT_USAGE;
}

static const char short_options[] = "b:h";

enum {
        OPTION_RATE = 256,
        OPTION_ONCE,
        OPTION_STANDBY,
        OPTION_WAIT,
        OPTION_ROOT,
        OPTION_VERSION,
};

static const struct option long_options[] = {
        {"bus", required_argument, NULL, 'b'},
        {"rate", required_argument, NULL, OPTION_RATE},
        {"once", no_argument, NULL, OPTION_ONCE},
        {"standby", no_argument, NULL, OPTION_STANDBY},
        {"wait", required_argument, NULL, OPTION_WAIT},
        {"root", required_argument, NULL, OPTION_ROOT},
        {"help", no_argument, NULL, 'h'},
        {"version", no_argument, NULL, OPTION_VERSION},
        {0},
};

/* Return: -1 to go on, else the exit status. */
static int option_read(struct options *options, int option) {
        switch (option) {
        case 'b':
                options->bus.name = optarg;
                return -1;
        case OPTION_RATE:
                if (!number_read(optarg, 0.1, 100, &options->rate_hz)) {
                        return usage("--rate is a number from 0.1 to 100, not '%s'", optarg);
                }
                return -1;
        case OPTION_ONCE:
                options->once = true;
                return -1;
        case OPTION_STANDBY:
                options->bus.standby = true;
                return -1;
        case OPTION_WAIT:
                if (!number_read(optarg, 0, 1e6, &options->wait_s)) {
                        return usage("--wait is a number of seconds, not '%s'", optarg);
                }
                return -1;
        case OPTION_ROOT:
                options->root = optarg;
                return -1;
        case 'h':
                help();
                return fflush(stdout) == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
        case OPTION_VERSION:
                (void) puts("slipring-host " SLIPRING_VERSION);
                return fflush(stdout) == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
        default:
                /* getopt_long(3) has said what is wrong. */
                (void) fputs("'slipring-host --help' explains\n", stderr);
                return EXIT_USAGE;
        }
}

static int options_read(struct options *options, int argc, char **argv) {
        int option, status;

        while ((option = getopt_long(argc, argv, short_options, long_options, NULL)) >= 0) {
                status = option_read(options, option);
                if (status >= 0) {
                        return status;
                }
        }
        if (optind < argc) {
                return usage("no arguments are taken, but there is '%s'", argv[optind]);
        }
        return -1;
}

int main(int argc, char **argv) {
        struct options options = {.root = "/", .rate_hz = 10, .wait_s = -1};
        struct tree tree;
        int r, status;
        size_t i;

        status = options_read(&options, argc, argv);
        if (status >= 0) {
                return status;
        }
        if (!options.bus.name && !getenv("SLIPRING_BUS")) {
                options.bus.name = "host";
        }
        r = tree_open(&tree, options.root);
        if (r < 0) {
                say("cannot open '%s' (%s)", options.root, strerror(-r));
                return EXIT_FAILURE;
        }
        handle_signals();
        status = run(&options, &tree);
        for (i = 0; i < TOPIC_COUNT; i++) {
                feed_close(&topics[i].feed);
        }
        tree_close(&tree);
        return status;
}
