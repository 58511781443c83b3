/*
 * Files onto a bus.
 */

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <time.h>

#include <slipring/publisher.h>

#include "bus/cdr.h"
#include "bus/directory.h"
#include "bus/error.h"
#include "bus/topic.h"
#include "publishers/play/play.h"
#include "publishers/play/reel.h"

/* Somebody presses keys. */
#define SLEEP_MAX_NS UINT64_C(50000000)
#define ASK_NS UINT64_C(20000000)
/* A file of a single moment is played in a loop so often. */
#define MOMENT_NS UINT64_C(1000000000)

/* A topic of the bus, which may be several channels of the file. */
struct voice {
        char *topic;
        struct slipring_publisher *publisher; /* NULL: it is not played, or no longer */
        uint8_t identity[32];
        bool used;       /* a channel fits it */
        bool told;       /* of a message of it that was refused */
        struct cdr *cdr; /* of its type */
        void *room;      /* for a sample that is not CDR, else NULL */
};

/* What becomes of a channel. */
struct part {
        const struct mcap_channel *channel;
        size_t voice; /* index */
        bool plays;
};

/* Where the time of the file is, from the first message that is played: at @at_ns when the clock
 * was at @since_ns, and at @rate from there; or standing there. */
struct playhead {
        uint64_t at_ns;
        uint64_t since_ns;
        double rate;
        bool paused;
};

struct player {
        const struct play_options *options;
        struct play_counts *counts;
        struct reel *reel;
        const struct mcap_summary *summary;
        struct part *parts; /* by channel */
        struct voice *voices;
        size_t voice_count;
        struct playhead head;
        struct play_wish wish;
        uint64_t stepped; /* of the steps that were wished */
        uint64_t asked_ns;
        uint64_t stopped_ns; /* as far as it was accounted for */
        uint64_t due_ns;     /* when the last message was */
};

__attribute__((format(printf, 2, 3))) static void
note(const struct player *player, const char *format, ...) {
        char text[1024];
        va_list list;

        va_start(list, format);
        vsnprintf(text, sizeof(text), format, list);
        va_end(list);
        player->options->note(player->options->userdata, text);
}

/*
 * Types
 */

static int line_length(const char *text, size_t bytes) {
        const char *end = memchr(text, '\n', bytes);

        return (int) (end ? end - text : (long) bytes);
}

/* Says in which line of its text the file's type is another one. 0 or -EPROTOTYPE. */
static int compare_texts(const struct player *player,
                         const char *topic,
                         const char *theirs,
                         size_t left,
                         const struct slipring_type *type,
                         struct slipring_error *reterr) {
        const char *ours = type->text;
        int line = 1;

        while (left > 0 || *ours) {
                int a = line_length(theirs, left), b = line_length(ours, strlen(ours));

                if (a != b || memcmp(theirs, ours, (size_t) a) != 0) {
                        return error_set(reterr, -EPROTOTYPE,
                                         "topic '%s' has another type than in '%s': line %d of %s "
                                         "is '%.*s' on the bus and '%.*s' in the file",
                                         topic, player->options->path, line, type->name, b, ours, a,
                                         theirs);
                }
                theirs += a;
                left -= (size_t) a;
                ours += b;
                if ((left > 0) != (*ours != 0)) {
                        /* A newline at the very end makes no difference. */
                        theirs += left > 0;
                        left -= left > 0;
                        ours += *ours != 0;
                } else if (left > 0) {
                        theirs++;
                        left--;
                        ours++;
                }
                line++;
        }
        return 0;
}

static int compare(const struct player *player,
                   const char *topic,
                   const struct mcap_channel *channel,
                   const struct slipring_type *type,
                   struct slipring_error *reterr) {
        const struct play_options *options = player->options;
        const struct mcap_schema *schema =
                mcap_schema_find(&player->summary->catalogue, channel->schema_id);
        char *text;
        int r;

        if (strcmp(channel->encoding, "cdr") != 0 || !schema ||
            strcmp(schema->encoding, "ros2msg") != 0) {
                return error_set(reterr, -EPROTOTYPE,
                                 "topic '%s' of '%s' is not CDR that ros2msg describes",
                                 channel->topic, player->options->path);
        }
        if (strcmp(schema->name, type->name) != 0) {
                return error_set(reterr, -EPROTOTYPE,
                                 "topic '%s' has the type %s on the bus, and %s in '%s'", topic,
                                 type->name, schema->name, player->options->path);
        }
        text = options->canonical(options->userdata, schema->name, (const char *) schema->data,
                                  schema->data_bytes);
        r = compare_texts(player, topic, text ? text : (const char *) schema->data,
                          text ? strlen(text) : schema->data_bytes, type, reterr);
        free(text);
        return r;
}

/*
 * Topics
 */

static void voice_close(struct voice *voice) {
        slipring_publisher_close(voice->publisher);
        cdr_free(voice->cdr);
        free(voice->room);
        free(voice->topic);
}

/* What it takes to make samples of messages, as the publisher describes the type now. A sample that
 * is on its way stays where it is: the type is the same. */
static int voice_prepare(struct voice *voice, struct slipring_error *reterr) {
        const struct slipring_type *type = slipring_publisher_type(voice->publisher);
        int r;

        voice->cdr = cdr_free(voice->cdr);
        r = cdr_compile(&voice->cdr, type, reterr);
        if (r == 0 && !cdr_is_flat(voice->cdr) && !voice->room) {
                voice->room = malloc(type->payload_bytes);
                r = voice->room ? 0 : error_set(reterr, -ENOMEM, "out of memory");
        }
        return r;
}

/* The index of a topic's publisher, or negative errno. */
static long voice_of(struct player *player, const char *topic, struct slipring_error *reterr) {
        const struct slipring_publisher_options options = {
                .size = sizeof(options),
                .bus = player->options->bus,
        };
        struct voice *larger, *voice;
        int r;

        for (size_t i = 0; i < player->voice_count; i++) {
                if (!strcmp(player->voices[i].topic, topic)) {
                        return (long) i;
                }
        }
        larger = reallocarray(player->voices, player->voice_count + 1, sizeof(*larger));
        if (!larger) {
                return error_set(reterr, -ENOMEM, "out of memory");
        }
        player->voices = larger;
        voice = &larger[player->voice_count];
        *voice = (struct voice){.topic = strdup(topic)};
        if (!voice->topic) {
                return error_set(reterr, -ENOMEM, "out of memory");
        }
        r = slipring_publisher_open(&voice->publisher, topic, &options, reterr);
        if (r == 0) {
                r = voice_prepare(voice, reterr);
        }
        if (r < 0) {
                voice_close(voice);
                return r;
        }
        memcpy(voice->identity, slipring_publisher_type(voice->publisher)->identity,
               sizeof(voice->identity));
        return (long) player->voice_count++;
}

/* What keeps a single topic from being played, and no other. */
static bool is_misfit(int r) {
        return r == -ENOENT || r == -EINVAL || r == -EPROTOTYPE || r == -EBUSY || r == -EACCES;
}

/* Says that a channel is left out, why, and what helps. */
static void leave_out(const struct player *player,
                      const struct part *part,
                      const char *topic,
                      int r,
                      const struct slipring_error *why) {
        switch (r) {
        case -ENOENT:
        case -EINVAL:
                /* ROS has names that no bus has: capitals. */
                if (!player->options->named) {
                        note(player, "topic '%s' is not played: %s; --remap gives it another name",
                             topic, r == -ENOENT ? "it is not on the bus" : why->text);
                }
                break;
        default:
                note(player, "%s%s; these %" PRIu64 " messages are left out", why->text,
                     r == -EBUSY ? ": end that one, or play onto another topic with --remap" : "",
                     part->channel->message_count);
        }
}

static int prepare(struct player *player, size_t index, struct slipring_error *reterr) {
        const struct play_options *options = player->options;
        struct part *part = &player->parts[index];
        struct slipring_error error = {0};
        const char *topic;
        long voice;
        int r;

        part->channel = &player->summary->catalogue.channels[index];
        /* One that a recorder announced and nobody published to says nothing. */
        if (!options->wanted(options->userdata, part->channel->topic) ||
            part->channel->message_count == 0) {
                return 0;
        }
        topic = options->rename(options->userdata, part->channel->topic);
        topic += *topic == '/';
        voice = topic_name_check(topic, &error);
        voice = voice < 0 ? voice : voice_of(player, topic, &error);
        r = voice < 0 ? (int) voice
                      : compare(player, topic, part->channel,
                                slipring_publisher_type(player->voices[voice].publisher), &error);
        if (r < 0 && (options->strict || !is_misfit(r))) {
                return error_set(reterr, r, "%s", error.text);
        }
        if (r < 0) {
                leave_out(player, part, topic, r, &error);
                return 0;
        }
        part->voice = (size_t) voice;
        part->plays = true;
        player->voices[voice].used = true;
        return 0;
}

/* Nobody is kept from a topic that nothing of the file fits. */
static void close_unused(const struct player *player) {
        for (size_t i = 0; i < player->voice_count; i++) {
                struct voice *voice = &player->voices[i];

                if (!voice->used) {
                        voice->publisher = slipring_publisher_close(voice->publisher);
                }
        }
}

static bool any_is_left(const struct player *player) {
        for (size_t i = 0; i < player->voice_count; i++) {
                if (player->voices[i].publisher) {
                        return true;
                }
        }
        return false;
}

static int prepare_all(struct player *player, struct slipring_error *reterr) {
        const struct play_options *options = player->options;
        size_t count = player->summary->catalogue.channel_count;
        int r = 0;

        if (options->check) {
                r = options->check(options->userdata, &player->summary->catalogue, reterr);
        }
        if (r < 0) {
                return r;
        }
        player->parts = calloc(count + 1, sizeof(*player->parts));
        if (!player->parts) {
                return error_set(reterr, -ENOMEM, "out of memory");
        }
        for (size_t i = 0; r == 0 && i < count; i++) {
                r = prepare(player, i, reterr);
        }
        close_unused(player);
        if (r == 0 && !any_is_left(player)) {
                r = error_set(reterr, -ENOENT,
                              "'%s' has no message of a topic that is chosen, and on the bus with "
                              "the same type, and free to be published to; slipring bag info and "
                              "slipring list show both",
                              options->path);
        }
        return r;
}

static const struct part *part_of(const struct player *player, const struct mcap_channel *channel) {
        return &player->parts[channel - player->summary->catalogue.channels];
}

/* Has it a topic (still)? */
static bool chosen(const struct mcap_channel *channel, void *context) {
        const struct player *player = context;
        const struct part *part = part_of(player, channel);

        return part->plays && player->voices[part->voice].publisher;
}

/*
 * Messages
 */

/* On to the successor of a topic that was replaced, if it has the same type. */
static int follow(struct voice *voice, struct slipring_error *reterr) {
        int r = slipring_publisher_move(voice->publisher, 0, reterr);

        if (r == 0 && memcmp(slipring_publisher_type(voice->publisher)->identity, voice->identity,
                             sizeof(voice->identity)) != 0) {
                r = error_set(reterr, -EPROTOTYPE, "topic '%s' was replaced by one of another type",
                              voice->topic);
        }
        return r < 0 ? r : voice_prepare(voice, reterr);
}

static bool bus_stands(const struct player *player) {
        struct directory directory;
        bool stands = directory_locate_up(&directory, player->options->bus);

        if (stands) {
                directory_detach(&directory);
        }
        return stands;
}

/* A topic that cannot be followed is left out from here on, as long as there are others. */
static int lose(struct player *player,
                struct voice *voice,
                int r,
                const struct slipring_error *why,
                struct slipring_error *reterr) {
        voice->publisher = slipring_publisher_close(voice->publisher);
        if (player->options->strict || !is_misfit(r) || !any_is_left(player) ||
            !bus_stands(player)) {
                return error_set(reterr, r, "%s", why->text);
        }
        note(player, "topic '%s' is not played any more: %s; its other messages are left out",
             voice->topic, why->text);
        player->counts->refused++;
        return 0;
}

static int
publish(struct player *player, const struct mcap_message *message, struct slipring_error *reterr) {
        struct voice *voice = &player->voices[part_of(player, message->channel)->voice];
        uint32_t bytes = slipring_publisher_type(voice->publisher)->payload_bytes;
        struct slipring_error why = {0};
        const void *payload;
        int r;

        if (cdr_read(voice->cdr, message->data, message->bytes, voice->room, &payload, &why) < 0) {
                player->counts->refused++;
                if (!voice->told) {
                        note(player, "topic '%s': a message is left out: %s", voice->topic,
                             why.text);
                        voice->told = true;
                }
                return 0;
        }
        while ((r = slipring_publisher_publish(voice->publisher, payload, bytes,
                                               message->publish_time_ns)) == -EIDRM) {
                r = follow(voice, &why);
                if (r < 0) {
                        return lose(player, voice, r, &why, reterr);
                }
        }
        if (r < 0) {
                return error_set(reterr, r, "topic '%s': not published: %s", voice->topic,
                                 strerror(-r));
        }
        player->counts->published++;
        return 0;
}

/*
 * Time
 */

static void ask(struct player *player, uint64_t now) {
        struct playhead *head = &player->head;
        struct play_wish *wish = &player->wish;

        if (!player->options->ask || now - player->asked_ns < ASK_NS) {
                return;
        }
        player->asked_ns = now;
        player->options->ask(player->options->userdata, wish);
        head->since_ns += wish->stopped_ns - player->stopped_ns;
        player->stopped_ns = wish->stopped_ns;
        if (wish->rate == head->rate && wish->paused == head->paused) {
                return;
        }
        if (!head->paused && now > head->since_ns) {
                head->at_ns += (uint64_t) ((double) (now - head->since_ns) * head->rate);
        }
        /* What was late stays due, and what comes is due from here on. */
        head->since_ns = now;
        head->rate = wish->rate;
        head->paused = wish->paused;
}

/* When a message is due that is so late in the file, if nothing changes. */
static uint64_t due(const struct playhead *head, uint64_t offset_ns) {
        double after =
                offset_ns > head->at_ns ? (double) (offset_ns - head->at_ns) / head->rate : 0;

        return head->since_ns + (uint64_t) (after < 1e18 ? after : 1e18);
}

/* Now, whatever the clock says. */
static bool step(struct player *player, uint64_t offset_ns, uint64_t now) {
        if (!player->head.paused || player->stepped == player->wish.steps) {
                /* Those that came when it had gone on meanwhile are void. */
                player->stepped = player->wish.steps;
                return false;
        }
        player->stepped++;
        player->head.at_ns = offset_ns;
        player->due_ns = now;
        return true;
}

/* False: stopped before. */
static bool sleep_until(struct player *player, uint64_t offset_ns) {
        while (!player->options->stopped()) {
                uint64_t now = slipring_now_ns(), until = now + SLEEP_MAX_NS;
                struct timespec time;

                ask(player, now);
                if (step(player, offset_ns, now)) {
                        return true;
                }
                if (!player->head.paused) {
                        player->due_ns = due(&player->head, offset_ns);
                        if (now >= player->due_ns) {
                                if (now - player->due_ns > player->counts->late_max_ns) {
                                        player->counts->late_max_ns = now - player->due_ns;
                                }
                                return true;
                        }
                        until = player->due_ns < until ? player->due_ns : until;
                }
                time.tv_sec = (time_t) (until / UINT64_C(1000000000));
                time.tv_nsec = (long) (until % UINT64_C(1000000000));
                clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &time, NULL);
        }
        return false;
}

/* Once through the file; its first message is due when the last one was. 1: to the end, 0: stopped,
 * or negative errno. */
static int pass(struct player *player, struct slipring_error *reterr) {
        uint64_t from_ns = player->summary->start_ns + player->options->offset_ns;
        struct mcap_message message;
        struct mcap_error error = {0};
        int r;

        if (reel_select(player->reel, chosen, player, from_ns) < 0) {
                return error_set(reterr, -ENOMEM, "out of memory");
        }
        player->counts->passes++;
        player->head.at_ns = 0;
        player->head.since_ns = player->due_ns;
        while ((r = reel_next(player->reel, &message, &error)) == 1) {
                if (!chosen(message.channel, player)) {
                        /* Lost in the midst: nobody waits for it. */
                        player->counts->refused++;
                        if (player->options->stopped()) {
                                return 0;
                        }
                        continue;
                }
                if (!sleep_until(player, message.log_time_ns - from_ns)) {
                        return 0;
                }
                r = publish(player, &message, reterr);
                if (r < 0) {
                        return r;
                }
        }
        return r < 0 ? error_set(reterr, r, "%s", error.text) : 1;
}

static int play(struct player *player, struct slipring_error *reterr) {
        const struct play_options *options = player->options;
        uint64_t started_ns = slipring_now_ns(), published, due_ns;
        int r;

        if (options->offset_ns > player->summary->end_ns - player->summary->start_ns) {
                return error_set(reterr, -EINVAL, "'%s' is over after %.3f s", options->path,
                                 (double) (player->summary->end_ns - player->summary->start_ns) /
                                         1e9);
        }
        /* A timer may be 50 us late otherwise, by default. */
        prctl(PR_SET_TIMERSLACK, 1UL);
        player->due_ns = started_ns;
        player->head = (struct playhead){.rate = options->rate, .paused = options->paused};
        player->wish = (struct play_wish){.rate = options->rate, .paused = options->paused};
        do {
                published = player->counts->published;
                due_ns = player->due_ns;
                r = pass(player, reterr);
                if (player->due_ns == due_ns) {
                        player->due_ns += MOMENT_NS;
                }
                /* A pass that has nothing to publish would go on without end, and without sleep. */
        } while (r == 1 && options->loop && player->counts->published > published);
        player->counts->elapsed_ns = slipring_now_ns() - started_ns;
        if (r == 1 && player->counts->published == 0 && player->counts->refused > 0) {
                r = error_set(reterr, -EBADMSG,
                              "'%s': nothing was published: all of its messages were left out",
                              options->path);
        }
        return r < 0 ? r : 0;
}

/* What is not as expected of the files, and no reason not to play them. */
static void note_files(const struct player *player) {
        const struct mcap_summary *summary, *latest = NULL;
        const struct mcap_reader *reader;
        const char *path = NULL;
        bool told = false;

        for (size_t i = 0; (reader = reel_reader(player->reel, i)); i++) {
                summary = mcap_reader_summary(reader);
                if (summary->damage.code) {
                        note(player, "%s", summary->damage.text);
                }
                if (summary->message_count == 0) {
                        continue;
                }
                if (latest && summary->start_ns < latest->end_ns && !told) {
                        note(player,
                             "'%s' begins before '%s' ends: what they have of the same time is "
                             "played together",
                             reel_path(player->reel, i), path);
                        told = true;
                }
                if (!latest || summary->end_ns > latest->end_ns) {
                        latest = summary;
                        path = reel_path(player->reel, i);
                }
        }
}

static int player_open(struct player *player, struct slipring_error *reterr) {
        const struct play_options *options = player->options;
        struct mcap_error error = {0};
        int r = reel_open(&player->reel, options->files, options->file_count, &error);

        if (r < 0) {
                return error_set(reterr, r, "%s", error.text);
        }
        player->summary = reel_summary(player->reel);
        note_files(player);
        return 0;
}

int play_run(const struct play_options *options,
             struct play_counts *ret_counts,
             struct slipring_error *reterr) {
        struct player player = {.options = options, .counts = ret_counts};
        int r;

        *ret_counts = (struct play_counts){0};
        r = player_open(&player, reterr);
        if (r == 0) {
                r = prepare_all(&player, reterr);
        }
        if (r == 0) {
                r = play(&player, reterr);
        }
        for (size_t i = 0; i < player.voice_count; i++) {
                voice_close(&player.voices[i]);
        }
        free(player.voices);
        free(player.parts);
        reel_close(player.reel);
        return r;
}
