/*
 * slipring play: a recording onto a bus.
 */

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bus/error.h"
#include "bus/topic.h"
#include "cli/json.h"
#include "cli/keys.h"
#include "cli/live.h"
#include "cli/play-bus.h"
#include "cli/play-files.h"
#include "schema/msg.h"
#include "schema/suggest.h"

#define RATE_MIN 0.001
#define RATE_MAX 1e6

struct play {
        struct cli *cli;
        const char *path;
        const char *topics; /* separated by commas; NULL: all */
        const char *remap;  /* OLD:=NEW, separated by commas */
        double rate, offset;
        bool loop, paused, strict, create;
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

static bool is_in(const struct mcap_catalogue *catalogue, const char *item, size_t length) {
        for (size_t i = 0; i < catalogue->channel_count; i++) {
                if (same_topic(catalogue->channels[i].topic, item, length)) {
                        return true;
                }
        }
        return false;
}

/* Some of the topics that there are, each once. */
static void list_topics(const struct mcap_catalogue *catalogue, char text[256]) {
        size_t used = 0;

        for (size_t i = 0; i < catalogue->channel_count; i++) {
                const char *name = view_topic_name(catalogue->channels[i].topic);
                bool again = false;

                for (size_t k = 0; k < i && !again; k++) {
                        again = !strcmp(view_topic_name(catalogue->channels[k].topic), name);
                }
                if (!again && used + strlen(name) + 16 > 256) {
                        snprintf(text + used, 256 - used, ", ...");
                        return;
                }
                if (!again) {
                        used += (size_t) snprintf(text + used, 256 - used, "%s%s",
                                                  used ? ", " : "; it has ", name);
                }
        }
}

/* Says that the files have no such topic, and which they have. 0 if one has it. */
static int check_name(const struct play *play,
                      const struct mcap_catalogue *catalogue,
                      const char *option,
                      const char *item,
                      size_t length,
                      struct slipring_error *reterr) {
        struct suggestion suggestion = {0};
        char name[256], have[256] = "";

        if (is_in(catalogue, item, length)) {
                return 0;
        }
        snprintf(name, sizeof(name), "%.*s", (int) length, item);
        suggestion.word = view_topic_name(name);
        for (size_t i = 0; i < catalogue->channel_count; i++) {
                suggestion_offer(&suggestion, view_topic_name(catalogue->channels[i].topic));
        }
        if (suggestion.best) {
                snprintf(have, sizeof(have), "; did you mean '%s'?", suggestion.best);
        } else {
                list_topics(catalogue, have);
        }
        return error_set(reterr, -ENOENT, "%s %s: '%s' has no such topic%s", option, name,
                         play->path, have);
}

static int
check_names(void *userdata, const struct mcap_catalogue *catalogue, struct slipring_error *reterr) {
        const struct play *play = userdata;
        const char *topics = play->topics, *remap = play->remap, *item;
        size_t length;
        int r = 0;

        while (r == 0 && (item = next_item(&topics, &length))) {
                r = check_name(play, catalogue, "--topics", item, length, reterr);
        }
        while (r == 0 && (item = next_item(&remap, &length))) {
                length = (size_t) (strstr(item, ":=") - item);
                r = check_name(play, catalogue, "--remap", item, length, reterr);
        }
        return r;
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

        wish->stopped_ns = keys_stopped_ns();
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

static char *canonical(void *userdata, const char *name, const char *text, size_t bytes) {
        struct buffer buffer = {0};
        char *copy = strndup(text, bytes);

        (void) userdata;
        if (!copy || msg_text_canonical(name, copy, &buffer) < 0) {
                buffer_free(&buffer);
        }
        free(copy);
        return buffer.text;
}

static bool check(const struct play *play) {
        const char *list = play->remap, *item;
        size_t length;

        while ((item = next_item(&list, &length))) {
                struct slipring_error error = {0};
                char name[256];
                const char *between = memmem(item, length, ":=", 2);

                if (!between || between == item || between + 2 == item + length) {
                        cli_error(play->cli, "--remap %.*s: must be OLD:=NEW", (int) length, item);
                        return false;
                }
                snprintf(name, sizeof(name), "%.*s", (int) (item + length - between - 2),
                         between + 2);
                if (topic_name_check(view_topic_name(name), &error) < 0) {
                        cli_error(play->cli, "--remap %.*s: %s", (int) length, item, error.text);
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
                printf("%" PRIu64 " messages were left out\n", counts->refused);
        }
}

static void begin_keys(const struct play *play) {
        keys_guard();
        keys_take();
        cli_error(play->cli,
                  "SPACE pauses and goes on, RIGHT plays the next message in a pause, UP "
                  "and DOWN change the rate by 10 %%");
}

static int find_bus(const struct cli *cli, char bus[160]) {
        struct view view = VIEW_NONE;
        int code = view_open(cli, &view);

        if (code == CLI_FAILURE) {
                cli_error(cli, "with --create it would make a bus of what is in the file");
        }
        snprintf(bus, 160, "%s", view.bus);
        view_close(&view);
        return code;
}

static int go(struct play *play, const struct play_options *run) {
        struct slipring_error error = {0};
        struct play_counts counts;
        int r;

        if (run->ask) {
                begin_keys(play);
        }
        r = play_run(run, &counts, &error);
        keys_give_back();
        line_end(play);
        if (counts.passes > 0) {
                print_counts(play, &counts);
                live_flush();
        }
        if (r < 0) {
                cli_error(play->cli, "%s", error.text);
        }
        return r < 0 ? CLI_FAILURE : CLI_OK;
}

/* On the bus that is up, or on one that is made for it. */
static int play_onto_bus(struct play *play, const struct play_files *files) {
        struct cli *cli = play->cli;
        struct play_bus made = {0};
        char bus[160];
        struct play_options run = {
                .bus = bus,
                .path = play->path,
                .files = (const char *const *) files->paths,
                .file_count = files->count,
                .rate = play->rate,
                .loop = play->loop,
                .offset_ns = (uint64_t) (play->offset * 1e9),
                .check = check_names,
                .wanted = wanted,
                .canonical = canonical,
                .rename = renamed,
                .strict = play->strict || play->topics,
                .paused = play->paused,
                .ask = isatty(STDIN_FILENO) ? ask : NULL,
                .stopped = live_stopped,
                .note = on_note,
                .userdata = play,
        };
        int code;

        live_start();
        if (play->create) {
                code = play_bus_open(cli, &run, &made);
                snprintf(bus, sizeof(bus), "%s", made.name);
                run.named = made.manager != 0;
        } else {
                code = find_bus(cli, bus);
        }
        if (code == CLI_OK && !live_stopped()) {
                code = go(play, &run);
        }
        return play_bus_close(cli, &made) == CLI_OK ? code : CLI_FAILURE;
}

static int play_verb(struct cli *cli, int argc, char **argv) {
        struct play play = {.cli = cli, .rate = 1};
        struct play_files files = {0};
        const struct cli_option options[] = {
                {'r', "rate", "FACTOR", "times as fast as recorded (default 1)",
                 .real = &play.rate},
                {'l', "loop", NULL, "begin again at the end", .flag = &play.loop},
                {'p', "start-paused", NULL, "begin with a pause", .flag = &play.paused},
                {0, "start-offset", "S", "begin so many seconds after the first message",
                 .real = &play.offset, .zero = true},
                {0, "topics", "LIST", "only these topics of the file, separated by commas",
                 .text = &play.topics},
                {0, "create", NULL,
                 "make a bus of the file, if it is not up, and take it down again",
                 .flag = &play.create},
                {0, "strict", NULL, "play all or nothing: leave no topic out",
                 .flag = &play.strict},
                {0, "remap", "OLD:=NEW", "onto another topic; several are separated by commas",
                 .text = &play.remap},
                {0},
        };
        int code;

        if (!cli_parse(cli, options, &argc, &argv)) {
                return cli->exit_code;
        }
        if (!check(&play)) {
                return CLI_USAGE;
        }
        code = play_files_find(cli, argv, (size_t) argc, &files);
        if (code == CLI_OK) {
                play.path = files.name;
                code = play_onto_bus(&play, &files);
        }
        play_files_free(&files);
        return code;
}

const struct cli_verb cli_play = {
        .name = "play",
        .arguments = "FILE...",
        .least = 1,
        .most = INT_MAX,
        .common = CLI_BUS | CLI_JSON,
        .summary = "publish a recording again",
        .help = "Publishes the messages of an MCAP file on a bus that is up, at the distances in\n"
                "time that they had, until its end or Ctrl-C. Several files are played as one, in\n"
                "the order of their times, whatever their names; of a directory it takes each\n"
                ".mcap file.\n"
                "\n"
                "The types have to be those of the bus, to the letter. What is of another type,\n"
                "not on the bus, or published by another process is left out, and it says why, in\n"
                "which line the types differ; with --strict, or for what --topics names, it plays\n"
                "nothing then.\n"
                "\n"
                "With --create it makes a bus of what is in the file, if it is not up: topics and\n"
                "types as recorded, and takes it down at its end. Ctrl-C is such an end, and so\n"
                "is kill -9.\n"
                "\n"
                "On a terminal SPACE pauses and goes on, RIGHT plays the next message in a\n"
                "pause, and UP and DOWN change the rate by 10 %.\n"
                "\n"
                "  slipring play drive.mcap\n"
                "  slipring play drive_0.mcap drive_1.mcap      or the directory of a split bag\n"
                "  slipring play drive.mcap --create --loop     on a bus of its own\n"
                "  slipring play drive.mcap -r 10 --loop --topics imu,gps\n"
                "  slipring play drive.mcap --start-offset 60 --remap imu:=imu/replayed\n",
        .run = play_verb,
};
