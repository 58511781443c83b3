/*
 * slipring play: a recording onto a bus.
 */

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/json.h"
#include "cli/keys.h"
#include "cli/live.h"

#include "publishers/play/play.h"

#define RATE_MIN 0.001
#define RATE_MAX 1e6

struct play {
        struct cli *cli;
        const char *topics; /* separated by commas; NULL: all */
        const char *remap;  /* OLD:=NEW, separated by commas */
        double rate, offset;
        bool loop, paused, strict;
        bool line; /* standard error has a line that is not ended */
        char renamed[256];
};

/* The next of a list; NULL behind the last one. */
static const char *next_item(const char **list, size_t *ret_length) {
        const char *item = *list;

        if (!item || !*item) {
                return NULL;
        }
        *ret_length = strcspn(item, ",");
        *list = item + *ret_length + (item[*ret_length] == ',');
        return item;
}

/* ROS 2 writes a slash before a topic's name, slipring none. */
static bool same_topic(const char *name, const char *item, size_t length) {
        bool slash = length > 0 && *item == '/';

        name += *name == '/';
        return strlen(name) == length - slash && !strncmp(name, item + slash, length - slash);
}

static bool wanted(void *userdata, const char *topic) {
        const struct play *play = userdata;
        const char *list = play->topics, *item;
        size_t length;

        while ((item = next_item(&list, &length))) {
                if (same_topic(topic, item, length)) {
                        return true;
                }
        }
        return !play->topics;
}

static const char *renamed(void *userdata, const char *topic) {
        struct play *play = userdata;
        const char *list = play->remap, *item;
        size_t length;

        while ((item = next_item(&list, &length))) {
                size_t old = (size_t) (strstr(item, ":=") - item);

                if (same_topic(topic, item, old)) {
                        snprintf(play->renamed, sizeof(play->renamed), "%.*s",
                                 (int) (length - old - 2), item + old + 2);
                        return play->renamed;
                }
        }
        return topic;
}

/* The line that keys change. */
static void line_print(struct play *play, const struct play_wish *wish) {
        fprintf(stderr, "\r\033[K%s at %.4g times the speed", wish->paused ? "paused" : "playing",
                wish->rate);
        fflush(stderr);
        play->line = true;
}

static void line_end(struct play *play) {
        if (play->line) {
                fputs("\r\n", stderr);
                play->line = false;
        }
}

static void ask(void *userdata, struct play_wish *wish) {
        struct play *play = userdata;
        int key;

        while ((key = keys_read()) != KEYS_NONE) {
                switch (key) {
                case ' ':
                        wish->paused = !wish->paused;
                        break;
                case KEYS_RIGHT:
                        wish->steps += wish->paused;
                        continue;
                case KEYS_UP:
                        wish->rate = fmin(wish->rate * 1.1, RATE_MAX);
                        break;
                case KEYS_DOWN:
                        wish->rate = fmax(wish->rate * 0.9, RATE_MIN);
                        break;
                default:
                        continue;
                }
                line_print(play, wish);
        }
}

static void on_note(void *userdata, const char *text) {
        struct play *play = userdata;

        line_end(play);
        cli_error(play->cli, "%s", text);
}

static bool check(const struct play *play) {
        const char *list = play->remap, *item;
        size_t length;

        while ((item = next_item(&list, &length))) {
                const char *between = memmem(item, length, ":=", 2);

                if (!between || between == item || between + 2 == item + length) {
                        cli_error(play->cli, "--remap %.*s: must be OLD:=NEW", (int) length, item);
                        return false;
                }
        }
        if (play->rate < RATE_MIN || play->rate > RATE_MAX) {
                cli_error(play->cli, "--rate %g: must be from 0.001 to 1000000", play->rate);
                return false;
        }
        if (play->paused && !isatty(STDIN_FILENO)) {
                cli_error(play->cli, "--start-paused: standard input is no terminal, so no key "
                                     "could end the pause");
                return false;
        }
        if (play->offset > 1e9) {
                cli_error(play->cli, "--start-offset %g: must be at most 1e9 seconds",
                          play->offset);
                return false;
        }
        return true;
}

static void print_counts(const struct play *play, const struct play_counts *counts) {
        struct json json = {.out = stdout};
        char late[32];

        if (play->cli->json) {
                json_open(&json, NULL, '{');
                json_unsigned(&json, "published", counts->published);
                json_unsigned(&json, "refused", counts->refused);
                json_unsigned(&json, "passes", counts->passes);
                json_real(&json, "seconds", (double) counts->elapsed_ns / 1e9);
                json_unsigned(&json, "late_max_ns", counts->late_max_ns);
                json_close(&json);
                return;
        }
        printf("%" PRIu64 " samples in %.1f s, at most %s late\n", counts->published,
               (double) counts->elapsed_ns / 1e9, cli_duration(late, counts->late_max_ns));
        if (counts->refused) {
                printf("%" PRIu64 " messages were none of their type\n", counts->refused);
        }
}

static void begin_keys(const struct play *play) {
        keys_guard();
        keys_take();
        cli_error(play->cli,
                  "SPACE pauses and goes on, RIGHT plays the next message in a pause, UP "
                  "and DOWN change the rate by 10 %%");
}

static int play_verb(struct cli *cli, int argc, char **argv) {
        struct play play = {.cli = cli, .rate = 1};
        struct slipring_error error = {0};
        struct play_counts counts;
        const struct cli_option options[] = {
                {'r', "rate", "FACTOR", "times as fast as recorded (default 1)",
                 .real = &play.rate},
                {'l', "loop", NULL, "begin again at the end", .flag = &play.loop},
                {'p', "start-paused", NULL, "begin with a pause", .flag = &play.paused},
                {0, "start-offset", "S", "begin so many seconds after the first message",
                 .real = &play.offset},
                {0, "topics", "LIST", "only these topics of the file, separated by commas",
                 .text = &play.topics},
                {0, "strict", NULL, "play all or nothing: leave no topic out",
                 .flag = &play.strict},
                {0, "remap", "OLD:=NEW", "onto another topic; several are separated by commas",
                 .text = &play.remap},
                {0},
        };
        struct view view = VIEW_NONE;
        int r;

        if (!cli_parse(cli, options, &argc, &argv)) {
                return cli->exit_code;
        }
        if (!check(&play)) {
                return CLI_USAGE;
        }
        r = view_open(cli, &view);
        if (r == CLI_OK) {
                const struct play_options run = {
                        .bus = view.bus,
                        .path = argv[0],
                        .rate = play.rate,
                        .loop = play.loop,
                        .offset_ns = (uint64_t) (play.offset * 1e9),
                        .wanted = wanted,
                        .rename = renamed,
                        .strict = play.strict || play.topics,
                        .paused = play.paused,
                        .ask = isatty(STDIN_FILENO) ? ask : NULL,
                        .stopped = live_stopped,
                        .note = on_note,
                        .userdata = &play,
                };

                live_start();
                if (run.ask) {
                        begin_keys(&play);
                }
                r = play_run(&run, &counts, &error) < 0 ? CLI_FAILURE : CLI_OK;
                keys_give_back();
                line_end(&play);
                if (counts.passes > 0) {
                        print_counts(&play, &counts);
                        live_flush();
                }
                if (r != CLI_OK) {
                        cli_error(cli, "%s", error.text);
                }
        }
        view_close(&view);
        return r;
}

const struct cli_verb cli_play = {
        .name = "play",
        .arguments = "FILE",
        .least = 1,
        .most = 1,
        .common = CLI_BUS | CLI_JSON,
        .summary = "publish a recording again",
        .help = "Publishes the messages of an MCAP file on a bus that is up, at the distances in\n"
                "time that they had, until its end or Ctrl-C. The types have to be those of the\n"
                "bus, to the letter. What is of another type, or not on the bus, is left out, and\n"
                "it says why, in which line the types differ; with --strict, or for what --topics\n"
                "names, it plays nothing then. A topic that another process publishes to is not\n"
                "played beside it.\n"
                "\n"
                "On a terminal SPACE pauses and goes on, RIGHT plays the next message in a\n"
                "pause, and UP and DOWN change the rate by 10 %.\n"
                "\n"
                "  slipring play drive.mcap\n"
                "  slipring play drive.mcap -r 10 --loop --topics imu,gps\n"
                "  slipring play drive.mcap --start-offset 60 --remap imu:=imu/replayed\n",
        .run = play_verb,
};
