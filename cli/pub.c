/*
 * slipring pub: publish a message written in YAML.
 */

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <slipring/publisher.h>

#include "cli/live.h"
#include "cli/message.h"
#include "subscribers/render.h"

#define LONGEST 128

struct pub {
        struct cli *cli;
        const char *topic;
        const char *yaml;
        double rate;
        bool once, quiet, wait;
        uint64_t count;
        uint64_t subscribers; /* to wait for */

        struct slipring_publisher *publisher;
        void *payload;
        bool now; /* the message holds the present: written anew each time */
        uint64_t published;
};

static uint64_t realtime_ns(void) {
        struct timespec now;

        clock_gettime(CLOCK_REALTIME, &now);
        return (uint64_t) now.tv_sec * UINT64_C(1000000000) + (uint64_t) now.tv_nsec;
}

/* The message, for the type that the topic has now. */
static int compose(struct pub *pub) {
        const struct slipring_type *type = slipring_publisher_type(pub->publisher);
        struct slipring_error error = {0};
        int r;

        free(pub->payload);
        pub->payload = malloc(type->payload_bytes);
        if (!pub->payload) {
                cli_error(pub->cli, "out of memory");
                return CLI_FAILURE;
        }
        r = message_write(type, pub->yaml, realtime_ns(), pub->payload, &pub->now, &error);
        if (r < 0) {
                cli_error(pub->cli, "%s", error.text);
                return r == -ENOMEM ? CLI_FAILURE : CLI_USAGE;
        }
        return CLI_OK;
}

static int report_open(struct pub *pub, int r, const struct slipring_error *error) {
        struct view view = VIEW_NONE;
        int code;

        if (r != -ENOENT) {
                cli_error(pub->cli, "%s", error->text);
                return view_exit_code(r);
        }
        code = view_open(pub->cli, &view);
        if (code == CLI_OK) {
                code = CLI_FAILURE;
                if (view_topic(pub->cli, &view, pub->topic)) {
                        cli_error(pub->cli, "%s", error->text);
                }
        }
        view_close(&view);
        return code;
}

static int pub_open(struct pub *pub) {
        struct slipring_publisher_options options = {.size = sizeof(options), .bus = pub->cli->bus};
        struct slipring_error error = {0};
        bool said = false;
        int r;

        while ((r = slipring_publisher_open(&pub->publisher, view_topic_name(pub->topic), &options,
                                            &error)) < 0) {
                if (live_stopped()) {
                        return CLI_OK;
                }
                if (r == -EOPNOTSUPP && options.flags) {
                        /* Several may publish to what came: nothing to stand by for. */
                        options.flags = 0;
                        continue;
                }
                if (!pub->wait || (r != -ENOENT && r != -EBUSY && r != -ETIMEDOUT && r != -EINTR)) {
                        return report_open(pub, r, &error);
                }
                if (!said) {
                        cli_error(pub->cli, "waiting: %s", error.text);
                        said = true;
                }
                options.flags = SLIPRING_PUBLISHER_STANDBY;
                options.deadline_ns = live_deadline(SLIPRING_FOREVER);
        }
        return compose(pub);
}

/* Who is attached besides this process and the manager. */
static uint64_t listeners(struct pub *pub) {
        struct slipring_publisher_info info = {0};
        struct view view = VIEW_NONE;
        uint64_t others = 1;

        if (view_open(pub->cli, &view) == CLI_OK) {
                others += view_manager(&view) > 0;
        }
        view_close(&view);
        slipring_publisher_info(pub->publisher, &info);
        return info.attached > others ? info.attached - others : 0;
}

static void sleep_until(uint64_t deadline_ns) {
        while (!live_stopped() && slipring_now_ns() < deadline_ns) {
                uint64_t until = live_deadline(deadline_ns);
                struct timespec time = {.tv_sec = (time_t) (until / UINT64_C(1000000000)),
                                        .tv_nsec = (long) (until % UINT64_C(1000000000))};

                clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &time, NULL);
        }
}

static void await_listeners(struct pub *pub) {
        bool said = false;

        while (pub->subscribers && !live_stopped() && listeners(pub) < pub->subscribers) {
                if (!said && !pub->cli->json) {
                        printf("Waiting for at least %" PRIu64 " matching subscription(s)...\n",
                               pub->subscribers);
                        live_flush();
                        said = true;
                }
                sleep_until(slipring_in_ms(50));
        }
}

static void print(const struct pub *pub) {
        const struct slipring_type *type = slipring_publisher_type(pub->publisher);
        struct render render = {.type = type,
                                .field = selection_all(type),
                                .format = pub->cli->json ? RENDER_JSON : RENDER_FLOW,
                                .longest = pub->cli->json ? 0 : LONGEST};

        if (pub->quiet) {
                return;
        }
        if (pub->cli->json) {
                printf("{\"topic\": \"%s\", \"count\": %" PRIu64 ", \"message\": ",
                       view_topic_name(pub->topic), pub->published);
        } else {
                printf("publishing #%" PRIu64 ": ", pub->published);
        }
        render_message(&render, pub->payload, stdout);
        fputs(pub->cli->json ? "}\n" : "\n\n", stdout);
}

static int move(struct pub *pub) {
        struct slipring_error error = {0};

        if (slipring_publisher_move(pub->publisher, 0, &error) < 0) {
                cli_error(pub->cli, "topic '%s' was retired: %s", view_topic_name(pub->topic),
                          error.text);
                return CLI_FAILURE;
        }
        cli_error(pub->cli, "topic '%s' was replaced, going on with its successor",
                  view_topic_name(pub->topic));
        return compose(pub);
}

static int publish(struct pub *pub) {
        size_t bytes = slipring_publisher_type(pub->publisher)->payload_bytes;
        int r, code;

        if (pub->now && (code = compose(pub)) != CLI_OK) {
                return code;
        }
        r = slipring_publisher_publish(pub->publisher, pub->payload, bytes, 0);
        if (r == -EIDRM) {
                code = move(pub);
                return code == CLI_OK ? publish(pub) : code;
        }
        if (r < 0) {
                cli_error(pub->cli, "topic '%s': %s", view_topic_name(pub->topic),
                          r == -ETIMEDOUT ? "another publisher keeps its lock: it is stopped"
                                          : strerror(-r));
                return CLI_FAILURE;
        }
        pub->published++;
        print(pub);
        return live_flush() ? CLI_OK : CLI_FAILURE;
}

static int loop(struct pub *pub) {
        uint64_t period_ns = (uint64_t) (1e9 / pub->rate), next_ns;
        int code = CLI_OK;

        await_listeners(pub);
        if (!pub->quiet && !pub->cli->json) {
                puts("publisher: beginning loop");
        }
        next_ns = slipring_now_ns();
        while (!live_stopped()) {
                code = publish(pub);
                if (code != CLI_OK || (pub->count && pub->published >= pub->count)) {
                        break;
                }
                next_ns += period_ns;
                /* Stopped or too slow: go on from here, without a burst. */
                if (next_ns < slipring_now_ns()) {
                        next_ns = slipring_now_ns();
                }
                sleep_until(next_ns);
        }
        return code;
}

static bool check(struct pub *pub) {
        if (pub->once && pub->count > 1) {
                cli_error(pub->cli, "--once and -n %" PRIu64 " exclude each other", pub->count);
                return false;
        }
        if (pub->rate < 1e-6 || pub->rate > 1e6) {
                cli_error(pub->cli, "--rate %g: must be 0.000001 to 1000000 Hz", pub->rate);
                return false;
        }
        pub->count = pub->once ? 1 : pub->count;
        return true;
}

static int pub_run(struct cli *cli, int argc, char **argv) {
        struct pub pub = {.cli = cli, .rate = 1};
        const struct cli_option options[] = {
                {'r', "rate", "HZ", "messages a second (default 1)", .real = &pub.rate},
                {'1', "once", NULL, "end after one message", .flag = &pub.once},
                {'n', "count", "N", "end after N messages", .number = &pub.count},
                {'t', "times", "N", "the same, as ros2 topic pub calls it", .number = &pub.count},
                {'w', "subscribers", "N", "first wait for N subscribers",
                 .number = &pub.subscribers},
                {0, "wait", NULL, "wait for a topic that is not there yet, or taken",
                 .flag = &pub.wait},
                {'q', "quiet", NULL, "do not print what is published", .flag = &pub.quiet},
                {0},
        };
        int code;

        if (!cli_parse(cli, options, &argc, &argv)) {
                return cli->exit_code;
        }
        if (!check(&pub)) {
                return CLI_USAGE;
        }
        pub.topic = argv[0];
        pub.yaml = argc > 1 ? argv[1] : "";
        live_start();
        code = pub_open(&pub);
        if (code == CLI_OK && pub.publisher) {
                code = loop(&pub);
        }
        slipring_publisher_close(pub.publisher);
        free(pub.payload);
        return code;
}

const struct cli_verb cli_pub = {
        .name = "pub",
        .arguments = "TOPIC ['{FIELD: VALUE, ...}']",
        .least = 1,
        .most = 2,
        .common = CLI_BUS | CLI_JSON,
        .summary = "publish a message written in YAML",
        .help = "Publishes the message once a second until Ctrl-C. Fields that are not named are\n"
                "zero, and so are the missing elements of an array. A time may be 'now', which\n"
                "is then the time of each publishing. One process publishes to a topic at a\n"
                "time: where another one does, this command says which and ends.\n"
                "\n"
                "  slipring pub battery '{voltage: 24.1, state: 1}' --once\n"
                "  slipring pub imu/front '{stamp: now, acceleration: {z: 9.81}}' -r 200 -q\n"
                "  slipring pub arm/joint_states '{position: [0, 1.57]}' -n 10\n",
        .run = pub_run,
};
