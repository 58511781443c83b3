/*
 * slipring echo: a topic's samples as text.
 */

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "cli/live.h"
#include "cli/sample.h"

struct echo {
        struct cli *cli;
        const char *topic;
        const char *field;
        bool once, csv, flow, full, wait;
        uint64_t count;   /* samples to print, 0 for all */
        uint64_t longest; /* array elements shown */
        double timeout;   /* seconds without a sample, 0 for no end */

        struct slipring_subscriber *subscriber;
        struct render render;
        void *buffer;
        uint64_t printed, lost;
        uint64_t heard_ns; /* when the last sample came */
};

static uint64_t deadline(const struct echo *echo) {
        return echo->timeout > 0 && echo->timeout < 1e9
                       ? echo->heard_ns + (uint64_t) (echo->timeout * 1e9)
                       : SLIPRING_FOREVER;
}

/* What is shown, in a type whose description moves with the subscriber. */
static int field_select(struct echo *echo) {
        const struct slipring_type *type = slipring_subscriber_type(echo->subscriber);
        struct selection_failure failure;
        struct slipring_error error = {0};

        echo->render.type = type;
        echo->render.field = selection_all(type);
        if (!echo->field) {
                return CLI_OK;
        }
        if (selection_find(&echo->render.field, type, echo->field, &failure, &error) < 0) {
                view_report_field(echo->cli, type, &failure, &error);
                return CLI_USAGE;
        }
        /* Columns are called as they were asked for, by the whole path. */
        echo->render.field.name = echo->field;
        return CLI_OK;
}

/* What depends on the type, which another segment may have another one of. */
static int adopt(struct echo *echo) {
        int code = field_select(echo);

        if (code != CLI_OK) {
                return code;
        }
        free(echo->buffer);
        echo->buffer = malloc(echo->render.type->payload_bytes);
        if (!echo->buffer) {
                cli_error(echo->cli, "out of memory");
                return CLI_FAILURE;
        }
        if (echo->csv) {
                render_header(&echo->render, stdout);
        }
        return CLI_OK;
}

static int move(struct echo *echo) {
        uint8_t identity[sizeof(echo->render.type->identity)];
        bool moved = false;
        int code;

        memcpy(identity, echo->render.type->identity, sizeof(identity));
        code = live_follow(echo->cli, echo->subscriber, echo->topic, echo->wait, deadline(echo),
                           &moved);
        if (code != CLI_OK || !moved) {
                return code;
        }
        if (memcmp(identity, slipring_subscriber_type(echo->subscriber)->identity,
                   sizeof(identity)) != 0) {
                return adopt(echo);
        }
        /* The same type, described in other memory: no second CSV header. */
        return field_select(echo);
}

static void note_loss(struct echo *echo, uint64_t missed) {
        if (missed) {
                echo->lost += missed;
                fprintf(stderr,
                        "A message was lost!!!\n\ttotal count change:%" PRIu64
                        "\n\ttotal count: %" PRIu64 "\n",
                        missed, echo->lost);
        }
}

/* Returns CLI_OK to go on, or with what to end. */
static int sleep_on(struct echo *echo) {
        int r;

        if (!live_flush()) {
                return CLI_FAILURE;
        }
        r = slipring_subscriber_wait(echo->subscriber, live_deadline(deadline(echo)));
        if (r == -ETIMEDOUT && slipring_now_ns() >= deadline(echo)) {
                cli_error(echo->cli, "no sample of topic '%s' for %g s",
                          view_topic_name(echo->topic), echo->timeout);
                return CLI_TIMEOUT;
        }
        return CLI_OK;
}

static int loop(struct echo *echo) {
        size_t bytes = echo->render.type->payload_bytes;
        struct slipring_sample sample = {0};
        int code = CLI_OK, r;

        while (code == CLI_OK && !live_stopped() &&
               (echo->count == 0 || echo->printed < echo->count)) {
                r = slipring_subscriber_take(echo->subscriber, echo->buffer, bytes, &sample);
                if (r == 1) {
                        note_loss(echo, sample.missed);
                        sample_print(&echo->render, view_topic_name(echo->topic), &sample);
                        echo->printed++;
                        echo->heard_ns = slipring_now_ns();
                } else if (r == 0) {
                        code = sleep_on(echo);
                } else if (r == -EIDRM) {
                        code = move(echo);
                        bytes = echo->render.type->payload_bytes;
                } else if (r != -EAGAIN) {
                        cli_error(echo->cli, "topic '%s': %s", view_topic_name(echo->topic),
                                  r == -EBADMSG ? "its shared memory contradicts itself"
                                                : strerror(-r));
                        code = CLI_FAILURE;
                }
        }
        return code;
}

static int echo_open(struct echo *echo) {
        int code;

        live_start();
        echo->heard_ns = slipring_now_ns();
        code = live_subscribe(echo->cli, &echo->subscriber, echo->topic, SLIPRING_START_NEWEST,
                              echo->wait, deadline(echo));
        if (code == CLI_TIMEOUT) {
                cli_error(echo->cli, "no topic '%s' for %g s", view_topic_name(echo->topic),
                          echo->timeout);
        }
        if (code != CLI_OK || !echo->subscriber) {
                return code;
        }
        echo->heard_ns = slipring_now_ns();
        return adopt(echo);
}

static bool check(struct echo *echo) {
        if (echo->csv + echo->flow + echo->cli->json > 1) {
                cli_error(echo->cli, "--csv, --flow-style and --json exclude each other");
                return false;
        }
        if (echo->once) {
                if (echo->count > 1) {
                        cli_error(echo->cli, "--once and -n %" PRIu64 " exclude each other",
                                  echo->count);
                        return false;
                }
                echo->count = 1;
        }
        echo->render.format = echo->csv         ? RENDER_CSV
                              : echo->flow      ? RENDER_FLOW
                              : echo->cli->json ? RENDER_JSON
                                                : RENDER_YAML;
        echo->render.longest = sample_longest(echo->cli, echo->full, echo->longest);
        return true;
}

static int echo_run(struct cli *cli, int argc, char **argv) {
        struct echo echo = {.cli = cli, .longest = SAMPLE_LONGEST};
        const struct cli_option options[] = {
                {0, "field", "PATH", "only this part: a.b, a[2].b, stamp.sec", .text = &echo.field},
                {'1', "once", NULL, "end after the first sample", .flag = &echo.once},
                {'n', "count", "N", "end after N samples", .number = &echo.count},
                {0, "csv", NULL, "a header line, then a line a sample", .flag = &echo.csv},
                {0, "flow-style", NULL, "YAML in one line", .flag = &echo.flow},
                {'f', "full-length", NULL, "all elements of long arrays", .flag = &echo.full},
                {'l', "truncate-length", "N", "elements shown of an array (default 128)",
                 .number = &echo.longest},
                {'w', "wait", NULL, "wait for a topic that is not there yet, or gone",
                 .flag = &echo.wait},
                {0, "timeout", "S", "end with 124 after S seconds without a sample",
                 .real = &echo.timeout},
                {0},
        };
        int code;

        if (!cli_parse(cli, options, &argc, &argv)) {
                return cli->exit_code;
        }
        if (!check(&echo)) {
                return CLI_USAGE;
        }
        echo.topic = argv[0];
        code = echo_open(&echo);
        if (code == CLI_OK && echo.subscriber) {
                code = loop(&echo);
        }
        slipring_subscriber_close(echo.subscriber);
        free(echo.buffer);
        return code;
}

const struct cli_verb cli_echo = {
        .name = "echo",
        .arguments = "TOPIC",
        .least = 1,
        .most = 1,
        .common = CLI_BUS | CLI_JSON,
        .summary = "print a topic's samples",
        .help = "Prints each sample as a YAML document, beginning with the current one, until\n"
                "Ctrl-C. Samples that the ring overwrote before they were printed are counted on\n"
                "standard error. A topic that the bus manager replaces is followed by itself.\n"
                "CSV and JSON hold every element of every array.\n"
                "\n"
                "  slipring echo battery --once             the current sample\n"
                "  slipring echo imu/front --field acceleration.x\n"
                "  slipring echo scan --csv -n 100 >scan.csv\n"
                "  slipring echo battery --json | jq .message.voltage\n"
                "  slipring echo battery --timeout 2 --once || echo 'battery is silent'\n",
        .run = echo_run,
};
