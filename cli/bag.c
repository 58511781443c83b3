/*
 * slipring bag: what is in a recording.
 */

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "cli/bag.h"
#include "cli/json.h"
#include "mcap/reader.h"
#include "mcap/recover.h"
#include "schema/msg.h"
#include "schema/utf8.h"
#include "subscribers/record/record.h"

static bool bag_open(struct bag *bag) {
        /* A FIFO without a writer is refused like others, and not waited for. */
        bag->fd = open(bag->path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
        if (bag->fd < 0) {
                cli_error(bag->cli, "cannot open '%s': %s", bag->path, strerror(errno));
        }
        return bag->fd >= 0;
}

/*
 * Info
 */

/* What stands in a file may be anything, also what a terminal obeys. */
static void print_tame(const char *before, const char *text) {
        fputs(before, stdout);
        utf8_print(stdout, text, "");
}

/* The RIHS01 hash of a channel's type; false: the file does not say it, or not as one. */
static bool type_hash(const struct mcap_channel *channel, char ret_hash[MSG_HASH_BYTES]) {
        struct mcap_text value;

        if (!mcap_channel_metadata(channel, "topic_type_hash", &value) ||
            value.bytes >= MSG_HASH_BYTES) {
                return false;
        }
        memcpy(ret_hash, value.data, value.bytes);
        ret_hash[value.bytes] = 0;
        return strlen(ret_hash) == value.bytes;
}

/* As `ros2 bag info` has it: "Nov 29 2026 10:20:10.123456789 (1795947610.123456789)". */
static void print_time(const char *label, uint64_t ns) {
        time_t seconds = (time_t) (ns / 1000000000);
        unsigned part = (unsigned) (ns % 1000000000);
        struct tm parts;
        char clock[32];

        localtime_r(&seconds, &parts);
        strftime(clock, sizeof(clock), "%b %e %Y %H:%M:%S", &parts);
        printf("%-19s%s.%09u (%" PRIu64 ".%09u)\n", label, clock, part, ns / 1000000000, part);
}

static const char *type_of(const struct mcap_summary *summary, const struct mcap_channel *channel) {
        const struct mcap_schema *schema =
                mcap_schema_find(&summary->catalogue, channel->schema_id);

        return schema ? schema->name : "";
}

static void print_chunks(const struct mcap_summary *summary) {
        const char *separator = ": ";

        printf("%-19s%" PRIu64, "Chunks:", summary->chunk_count);
        for (unsigned i = 0; i < MCAP_COMPRESSION_COUNT; i++) {
                if (summary->compressions[i] > 0) {
                        printf("%s%" PRIu64 " %s", separator, summary->compressions[i],
                               i == MCAP_COMPRESSION_NONE
                                       ? "uncompressed"
                                       : mcap_compression_name((enum mcap_compression) i));
                        separator = ", ";
                }
        }
        if (summary->bytes > 0) {
                printf(", %.0f %% of their size",
                       100.0 * (double) summary->packed_bytes / (double) summary->bytes);
        }
        puts("");
}

/* What a recorder missed of each topic, as its file says. */
struct losses {
        bool known;
        uint64_t total;
        struct loss {
                struct mcap_text topic; /* a copy */
                uint64_t samples;
                bool shown;
        } * list;
        size_t count;
};

static void losses_free(struct losses *losses) {
        for (size_t i = 0; i < losses->count; i++) {
                free((void *) losses->list[i].topic.data);
        }
        free(losses->list);
}

/* "missed.TOPIC" and a number; false: no memory. */
static bool losses_take(struct losses *losses, struct mcap_text key, struct mcap_text value) {
        static const char prefix[] = "missed.";
        const size_t before = strlen(prefix);
        struct loss *larger;
        uint8_t *name;
        uint64_t samples = 0;

        if (key.bytes <= before || memcmp(key.data, prefix, before) != 0 || value.bytes == 0 ||
            value.bytes > 18) {
                return true;
        }
        for (size_t i = 0; i < value.bytes; i++) {
                if (value.data[i] < '0' || value.data[i] > '9') {
                        return true;
                }
                samples = 10 * samples + value.data[i] - '0';
        }
        larger = reallocarray(losses->list, losses->count + 1, sizeof(*larger));
        losses->list = larger ? larger : losses->list;
        name = malloc(key.bytes);
        if (!larger || !name) {
                free(name);
                return false;
        }
        memcpy(name, key.data + before, key.bytes - before);
        larger[losses->count++] = (struct loss){
                .topic = {.data = name, .bytes = key.bytes - before}, .samples = samples};
        losses->known = true;
        losses->total += samples;
        return true;
}

/* 0 or a negative errno. */
static int
losses_read(struct losses *losses, struct mcap_reader *reader, struct mcap_error *reterr) {
        struct mcap_text key, value;
        struct mcap_metadata list;
        int r = 0;

        for (uint64_t i = 0; (r = mcap_reader_metadata(reader, i, &list, reterr)) == 1; i++) {
                while (mcap_text_is(list.name, "slipring") &&
                       mcap_get_pair(&list.pairs, &key, &value)) {
                        if (!losses_take(losses, key, value)) {
                                return mcap_error_set(reterr, -ENOMEM, "out of memory");
                        }
                }
        }
        return r;
}

/* Of a topic's first channel, which stands for the others, too; false: nothing is said of it. */
static bool losses_of(struct losses *losses, const char *topic, uint64_t *ret_samples) {
        for (size_t i = 0; i < losses->count; i++) {
                struct loss *loss = &losses->list[i];

                if (!loss->shown && mcap_text_is(loss->topic, topic)) {
                        loss->shown = true;
                        *ret_samples = loss->samples;
                        return true;
                }
        }
        return false;
}

static void
print_info(const struct bag *bag, const struct mcap_summary *summary, struct losses *losses) {
        const char *label = "Topic information:";
        char size[32], hash[MSG_HASH_BYTES];
        uint64_t missed;

        printf("%-19s%s\n", "Files:", bag->path);
        printf("%-19s%s\n", "Bag size:", cli_size(size, summary->file_bytes));
        printf("%-19s", "Storage id:");
        print_tame("mcap, by ", *summary->library ? summary->library : "?");
        puts("");
        printf("%-19s%.9fs\n", "Duration:", (double) (summary->end_ns - summary->start_ns) / 1e9);
        if (summary->message_count > 0) {
                print_time("Start:", summary->start_ns);
                print_time("End:", summary->end_ns);
        }
        printf("%-19s%" PRIu64 "\n", "Messages:", summary->message_count);
        if (losses->known) {
                printf("%-19s%" PRIu64 "\n", "Missed:", losses->total);
        }
        print_chunks(summary);
        for (size_t i = 0; i < summary->catalogue.channel_count; i++) {
                const struct mcap_channel *channel = &summary->catalogue.channels[i];

                printf("%-19s", label);
                print_tame("Topic: ", channel->topic);
                print_tame(" | Type: ", type_of(summary, channel));
                printf(" | Count: %" PRIu64, channel->message_count);
                print_tame(" | Serialization Format: ", channel->encoding);
                if (losses_of(losses, channel->topic, &missed)) {
                        printf(" | Missed: %" PRIu64, missed);
                }
                if (type_hash(channel, hash)) {
                        print_tame(" | Type hash: ", hash);
                }
                puts("");
                label = "";
        }
}

static void json_missed(struct json *json, bool known, uint64_t samples) {
        if (known) {
                json_unsigned(json, "missed", samples);
        } else {
                json_null(json, "missed");
        }
}

static void
json_info(const struct bag *bag, const struct mcap_summary *summary, struct losses *losses) {
        struct json json = {.out = stdout};
        char hash[MSG_HASH_BYTES];
        uint64_t missed = 0;
        bool known;

        json_open(&json, NULL, '{');
        json_text(&json, "file", bag->path);
        json_unsigned(&json, "bytes", summary->file_bytes);
        json_text(&json, "library", summary->library);
        json_text(&json, "profile", summary->profile);
        json_bool(&json, "indexed", summary->indexed);
        json_text(&json, "damage", summary->damage.code ? summary->damage.text : NULL);
        json_unsigned(&json, "messages", summary->message_count);
        json_missed(&json, losses->known, losses->total);
        json_unsigned(&json, "start_ns", summary->start_ns);
        json_unsigned(&json, "end_ns", summary->end_ns);
        json_unsigned(&json, "chunks", summary->chunk_count);
        json_open(&json, "topics", '[');
        for (size_t i = 0; i < summary->catalogue.channel_count; i++) {
                const struct mcap_channel *channel = &summary->catalogue.channels[i];

                json_open(&json, NULL, '{');
                json_text(&json, "name", channel->topic);
                json_text(&json, "type", type_of(summary, channel));
                json_text(&json, "encoding", channel->encoding);
                json_text(&json, "type_hash", type_hash(channel, hash) ? hash : NULL);
                json_unsigned(&json, "messages", channel->message_count);
                known = losses_of(losses, channel->topic, &missed);
                json_missed(&json, known, missed);
                json_close(&json);
        }
        json_close(&json);
        json_close(&json);
}

static int bag_info(struct bag *bag) {
        const struct mcap_summary *summary;
        struct mcap_error error = {0};
        struct mcap_reader *reader;
        struct losses losses = {0};
        int code = CLI_OK, r;

        if (mcap_reader_open(&reader, bag->fd, bag->path, 0, &error) < 0) {
                cli_error(bag->cli, "%s", error.text);
                return CLI_FAILURE;
        }
        summary = mcap_reader_summary(reader);
        r = losses_read(&losses, reader, &error);
        if (bag->cli->json) {
                json_info(bag, summary, &losses);
        } else {
                print_info(bag, summary, &losses);
        }
        if (r < 0 || summary->damage.code) {
                fflush(stdout);
                cli_error(bag->cli, "%s", summary->damage.code ? summary->damage.text : error.text);
                code = CLI_FAILURE;
        }
        losses_free(&losses);
        mcap_reader_close(reader);
        return code;
}

/*
 * Recover
 */

/* The name that a recorder would have given it, or one beside a file that has that already. */
static char *recovered_name(const struct bag *bag) {
        int length = (int) strlen(bag->path);
        char *name;
        int r;

        if (bag->output) {
                return strdup(bag->output);
        }
        if (record_ends_in(bag->path, RECORD_SUFFIX RECORD_ACTIVE)) {
                r = asprintf(&name, "%.*s", length - (int) strlen(RECORD_ACTIVE), bag->path);
        } else {
                length -=
                        record_ends_in(bag->path, RECORD_SUFFIX) ? (int) strlen(RECORD_SUFFIX) : 0;
                r = asprintf(&name, "%.*s_recovered" RECORD_SUFFIX, length, bag->path);
        }
        return r < 0 ? NULL : name;
}

/* @original: what the file is called now, NULL: as before */
static void print_recovery(const struct bag *bag,
                           const char *name,
                           const char *original,
                           const struct mcap_recovery *recovery) {
        struct json json = {.out = stdout};

        if (bag->cli->json) {
                json_open(&json, NULL, '{');
                json_text(&json, "file", name);
                if (original) {
                        json_text(&json, "original", original);
                }
                json_unsigned(&json, "messages", recovery->messages);
                json_unsigned(&json, "messages_unchecked", recovery->messages_unchecked);
                json_unsigned(&json, "messages_lost", recovery->messages_lost);
                json_unsigned(&json, "chunks", recovery->chunks);
                json_unsigned(&json, "chunks_lost", recovery->chunks_lost);
                json_unsigned(&json, "bytes_skipped", recovery->bytes_skipped);
                json_bool(&json, "gave_up", recovery->gave_up);
                json_text(&json, "damage", recovery->damage.code ? recovery->damage.text : NULL);
                json_close(&json);
                return;
        }
        printf("%" PRIu64 " messages are in '%s'\n", recovery->messages, name);
        if (original) {
                printf("what it was is '%s' now\n", original);
        }
        if (recovery->messages_unchecked) {
                printf("%" PRIu64 " of them no checksum covers\n", recovery->messages_unchecked);
        }
        if (recovery->messages_expected > recovery->messages) {
                printf("%" PRIu64 " that the old index counted are lost\n",
                       recovery->messages_expected - recovery->messages);
        }
        if (recovery->chunks_lost) {
                printf("%" PRIu64 " of %" PRIu64 " chunks are damaged\n", recovery->chunks_lost,
                       recovery->chunks + recovery->chunks_lost);
        }
        if (recovery->gave_up) {
                puts("more looks like chunks than damage explains: not all of it was tried");
        }
        if (recovery->damage.code) {
                print_tame("the first damage: ", recovery->damage.text);
                puts("");
        }
}

/* The new file takes the name of the old one, which keeps another: at no time is either without a
 * name. 0 or a negative errno. */
static int
exchange(const struct bag *bag, const char *work, const char *original, struct mcap_error *reterr) {
        if (link(bag->path, original) < 0) {
                return mcap_error_set(reterr, -errno, "cannot keep the file as '%s': %s", original,
                                      strerror(errno));
        }
        if (rename(work, bag->path) < 0) {
                (void) mcap_error_set(reterr, -errno, "cannot replace '%s': %s", bag->path,
                                      strerror(errno));
                unlink(original);
                return reterr->code;
        }
        return 0;
}

/* Into @name; which then, if there is an @original, becomes the file. */
static int recover_to(const struct bag *bag, const char *name, const char *original) {
        struct mcap_recovery recovery = {0};
        struct mcap_error error = {0};
        struct stat status;
        int to, r;

        to = open(name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, original ? 0600 : 0666);
        if (to < 0) {
                cli_error(bag->cli, "cannot create '%s': %s%s", name, strerror(errno),
                          errno != EEXIST ? ""
                          : original      ? "; a recovery that was killed left it: remove it"
                                          : "; remove it or name another one with -o");
                return CLI_FAILURE;
        }
        r = mcap_recover(bag->fd, bag->path, to, name, 0, &recovery, &error);
        if (r >= 0 && fdatasync(to) < 0) {
                r = mcap_error_set(&error, -errno, "cannot write '%s' to the disk: %s", name,
                                   strerror(errno));
        }
        if (r == 0 && original) {
                /* Whose it was, as far as we may say so. */
                (void) (fstat(bag->fd, &status) == 0 &&
                        fchown(to, status.st_uid, status.st_gid) == 0);
                (void) !fchmod(to, status.st_mode & 0777);
                r = exchange(bag, name, original, &error);
        }
        close(to);
        if (r < 0 || (r > 0 && original)) {
                unlink(name);
        } else {
                print_recovery(bag, original ? bag->path : name, original, &recovery);
        }
        if (r != 0) {
                cli_error(bag->cli, "%s",
                          *error.text ? error.text : "the disk is full: not all is in it");
        }
        return r == 0 ? CLI_OK : CLI_FAILURE;
}

/* All of it, chunk by chunk: an index says nothing of what it points to. */
static bool is_whole(const struct bag *bag, uint64_t *ret_messages) {
        struct mcap_message message;
        struct mcap_reader *reader;
        int r = 1;

        if (mcap_reader_open(&reader, bag->fd, bag->path, 0, NULL) < 0) {
                return false;
        }
        *ret_messages = mcap_reader_summary(reader)->message_count;
        if (mcap_reader_summary(reader)->damage.code == 0) {
                while ((r = mcap_reader_next(reader, &message, NULL)) == 1) {
                }
        }
        mcap_reader_close(reader);
        return r == 0;
}

static void print_whole(const struct bag *bag, uint64_t messages) {
        struct json json = {.out = stdout};

        if (!bag->cli->json) {
                printf("'%s' is whole\n", bag->path);
                return;
        }
        json_open(&json, NULL, '{');
        json_text(&json, "file", bag->path);
        json_text(&json, "original", NULL);
        json_unsigned(&json, "messages", messages);
        json_text(&json, "damage", NULL);
        json_close(&json);
}

static int recover_in_place(const struct bag *bag) {
        char *work = NULL, *original = NULL;
        uint64_t messages;
        int code = CLI_FAILURE;

        if (record_ends_in(bag->path, RECORD_ACTIVE)) {
                cli_error(bag->cli,
                          "'%s' gets its name once it is whole: recover it without --in-place",
                          bag->path);
        } else if (is_whole(bag, &messages)) {
                print_whole(bag, messages);
                code = CLI_OK;
        } else if (asprintf(&work, "%s.recovering", bag->path) < 0 ||
                   asprintf(&original, "%s.damaged", bag->path) < 0) {
                cli_error(bag->cli, "out of memory");
        } else if (access(original, F_OK) == 0) {
                cli_error(bag->cli,
                          "'%s' is there already, of an earlier time; remove it, or name "
                          "a new file with -o instead of --in-place",
                          original);
        } else {
                code = recover_to(bag, work, original);
        }
        free(work);
        free(original);
        return code;
}

static int bag_recover(struct bag *bag) {
        char *name;
        int code;

        if (flock(bag->fd, LOCK_EX | LOCK_NB) < 0 && errno == EWOULDBLOCK) {
                cli_error(bag->cli, "'%s' is being written; end its recorder first", bag->path);
                return CLI_FAILURE;
        }
        if (bag->in_place) {
                return recover_in_place(bag);
        }
        name = recovered_name(bag);
        if (!name) {
                cli_error(bag->cli, "out of memory");
                return CLI_FAILURE;
        }
        code = recover_to(bag, name, NULL);
        free(name);
        return code;
}

static int bag_run(struct cli *cli, int argc, char **argv) {
        static const struct {
                const char *name;
                int (*run)(struct bag *bag);
        } actions[] = {{"info", bag_info}, {"recover", bag_recover}, {"csv", bag_csv}};
        struct bag bag = {.cli = cli};
        const struct cli_option options[] = {
                {'o', "output", "FILE", "recover: write there", .text = &bag.output},
                {'i', "in-place", NULL,
                 "recover: under the same name; keep the old as FILE.damaged",
                 .flag = &bag.in_place},
                {'t', "topic", "TOPIC", "csv: of this topic", .text = &bag.topic},
                {0},
        };
        int code;

        /* As in `ros2 bag`; their options are not those of this verb. */
        if (argc > 1 && (!strcmp(argv[1], "record") || !strcmp(argv[1], "play"))) {
                cli_error(cli, "that is a verb of its own; did you mean 'slipring %s'?", argv[1]);
                return CLI_USAGE;
        }
        if (!cli_parse(cli, options, &argc, &argv)) {
                return cli->exit_code;
        }
        bag.path = argv[1];
        for (size_t i = 0; i < sizeof(actions) / sizeof(actions[0]); i++) {
                if (strcmp(actions[i].name, argv[0]) != 0) {
                        continue;
                }
                if (bag.output && actions[i].run != bag_recover) {
                        cli_error(cli, "--output is for recover");
                        return CLI_USAGE;
                }
                if (bag.in_place && actions[i].run != bag_recover) {
                        cli_error(cli, "--in-place is for recover");
                        return CLI_USAGE;
                }
                if (bag.in_place && bag.output) {
                        cli_error(cli, "--in-place and --output exclude each other");
                        return CLI_USAGE;
                }
                if ((bag.topic != NULL) != (actions[i].run == bag_csv)) {
                        cli_error(cli, bag.topic ? "--topic is for csv"
                                                 : "csv is of one topic: name it with --topic");
                        return CLI_USAGE;
                }
                if (bag.topic && cli->json) {
                        cli_error(cli, "csv has no JSON");
                        return CLI_USAGE;
                }
                if (!bag_open(&bag)) {
                        return CLI_FAILURE;
                }
                code = actions[i].run(&bag);
                close(bag.fd);
                return code;
        }
        cli_error(cli, "'%s': must be info, recover or csv", argv[0]);
        return CLI_USAGE;
}

const struct cli_verb cli_bag = {
        .name = "bag",
        .arguments = "info|recover|csv FILE",
        .least = 2,
        .most = 2,
        .common = CLI_JSON,
        .summary = "look into a recording, print it, or save what is whole in it",
        .help = "info prints what an MCAP file holds: its time, its topics, their types and how\n"
                "many messages. recover writes what is whole in a damaged one into a new file,\n"
                "with an index; the old one stays as it is, with --in-place as FILE.damaged. csv\n"
                "prints the messages of a topic, a line each. Any MCAP file will do, not only\n"
                "those of slipring record.\n"
                "\n"
                "  slipring bag info drive.mcap\n"
                "  slipring bag recover drive.mcap             into drive_recovered.mcap\n"
                "  slipring bag recover drive.mcap.active      into drive.mcap\n"
                "  slipring bag csv drive.mcap -t imu/front >imu.csv\n",
        .run = bag_run,
};
