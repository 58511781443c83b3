/*
 * Files of one recording, one behind the other.
 */

#include "publishers/play/reel.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "bus/error.h"

/* Where numbers stand in the records of a catalogue; what is behind them is what is compared. */
#define SCHEMA_ID_BYTES 2u
#define CHANNEL_IDS_BYTES 4u

struct reel_file {
        const char *path;
        size_t argument; /* which one it was */
        int fd;
        struct mcap_reader *reader;
        const struct mcap_summary *summary;
        uint16_t *schema_of; /* by schema, its number among those of all files */
        size_t *channel_of;  /* by channel, its index among those of all */
        struct mcap_message message;
        bool ready; /* @message is its next */
};

struct reel {
        struct reel_file *files; /* the one that begins first is the first */
        size_t count;
        struct mcap_summary summary;
        size_t first;              /* that is not at its end, or has not begun */
        size_t begun;              /* so many have */
        struct reel_file *current; /* its message was handed out */
};

static int no_memory(struct mcap_error *reterr) {
        return mcap_error_set(reterr, -ENOMEM, "out of memory");
}

/*
 * One catalogue
 */

/* The index of the schema that is this one but for its number; @count: there is none. */
static size_t same_schema(const struct mcap_catalogue *all,
                          size_t count,
                          size_t guess,
                          const struct mcap_schema *schema) {
        for (size_t i = 0; i < count; i++) {
                size_t at = (guess + i) % count;
                const struct mcap_schema *other = &all->schemas[at];

                if (other->content_bytes == schema->content_bytes &&
                    memcmp(other->content + SCHEMA_ID_BYTES, schema->content + SCHEMA_ID_BYTES,
                           schema->content_bytes - SCHEMA_ID_BYTES) == 0) {
                        return at;
                }
        }
        return count;
}

static size_t same_channel(const struct mcap_catalogue *all,
                           size_t count,
                           size_t guess,
                           const struct mcap_channel *channel,
                           uint16_t schema_id) {
        for (size_t i = 0; i < count; i++) {
                size_t at = (guess + i) % count;
                const struct mcap_channel *other = &all->channels[at];

                if (other->schema_id == schema_id &&
                    other->content_bytes == channel->content_bytes &&
                    memcmp(other->content + CHANNEL_IDS_BYTES, channel->content + CHANNEL_IDS_BYTES,
                           channel->content_bytes - CHANNEL_IDS_BYTES) == 0) {
                        return at;
                }
        }
        return count;
}

typedef int add_record(struct mcap_catalogue *catalogue, const void *content, size_t bytes);

/* A record once more, with other numbers. */
static int add(struct mcap_catalogue *all,
               add_record *record,
               const uint8_t *content,
               size_t bytes,
               const uint16_t *ids,
               size_t id_count) {
        uint8_t *copy = malloc(bytes);
        int r;

        if (!copy) {
                return -ENOMEM;
        }
        memcpy(copy, content, bytes);
        for (size_t i = 0; i < id_count; i++) {
                copy[2 * i] = (uint8_t) ids[i];
                copy[2 * i + 1] = (uint8_t) (ids[i] >> 8);
        }
        r = record(all, copy, bytes);
        free(copy);
        return r;
}

static int add_schemas(struct mcap_catalogue *all, struct reel_file *file) {
        const struct mcap_catalogue *its = &file->summary->catalogue;
        /* Within a file those that are the same are two. */
        size_t before = all->schema_count, guess = 0;

        for (size_t i = 0; i < its->schema_count; i++) {
                const struct mcap_schema *schema = &its->schemas[i];
                size_t at = same_schema(all, before, guess, schema);
                uint16_t id = (uint16_t) (all->schema_count + 1);
                int r;

                if (at < before) {
                        file->schema_of[i] = all->schemas[at].id;
                        guess = at + 1;
                        continue;
                }
                if (all->schema_count == UINT16_MAX) {
                        return -E2BIG;
                }
                r = add(all, mcap_catalogue_schema, schema->content, schema->content_bytes, &id, 1);
                if (r < 0) {
                        return r;
                }
                file->schema_of[i] = id;
        }
        return 0;
}

static int add_channels(struct mcap_catalogue *all, struct reel_file *file) {
        const struct mcap_catalogue *its = &file->summary->catalogue;
        size_t before = all->channel_count, guess = 0;

        for (size_t i = 0; i < its->channel_count; i++) {
                const struct mcap_channel *channel = &its->channels[i];
                const struct mcap_schema *schema = mcap_schema_find(its, channel->schema_id);
                uint16_t ids[] = {(uint16_t) all->channel_count,
                                  schema ? file->schema_of[schema - its->schemas] : 0};
                size_t at = same_channel(all, before, guess, channel, ids[1]);
                int r;

                if (at == before) {
                        at = all->channel_count;
                        if (at > UINT16_MAX) {
                                return -E2BIG;
                        }
                        r = add(all, mcap_catalogue_channel, channel->content,
                                channel->content_bytes, ids, 2);
                        if (r < 0) {
                                return r;
                        }
                } else {
                        guess = at + 1;
                }
                file->channel_of[i] = at;
                all->channels[at].message_count += channel->message_count;
        }
        return 0;
}

/* What one more file has. */
static int add_file(struct reel *reel, struct reel_file *file, struct mcap_error *reterr) {
        const struct mcap_summary *its = file->summary;
        struct mcap_summary *all = &reel->summary;
        int r = 0;

        file->schema_of = calloc(its->catalogue.schema_count + 1, sizeof(*file->schema_of));
        file->channel_of = calloc(its->catalogue.channel_count + 1, sizeof(*file->channel_of));
        if (!file->schema_of || !file->channel_of) {
                r = -ENOMEM;
        }
        if (r == 0) {
                r = add_schemas(&all->catalogue, file);
        }
        if (r == 0) {
                r = add_channels(&all->catalogue, file);
        }
        if (r == -E2BIG) {
                return mcap_error_set(reterr, r,
                                      "%s: with those of the files before it there are more than "
                                      "%u channels, or types; play fewer files",
                                      file->path, UINT16_MAX);
        }
        if (r < 0) {
                return no_memory(reterr);
        }
        if (its->message_count > 0) {
                bool any = all->message_count > 0;

                all->start_ns =
                        any && all->start_ns < its->start_ns ? all->start_ns : its->start_ns;
                all->end_ns = all->end_ns > its->end_ns ? all->end_ns : its->end_ns;
                all->message_count += its->message_count;
        }
        if (file == reel->files) {
                memcpy(all->library, its->library, sizeof(all->library));
        } else if (strcmp(all->library, its->library) != 0) {
                *all->library = '\0';
        }
        return 0;
}

/*
 * Opening
 */

static int open_file(struct reel_file *file, struct mcap_error *reterr) {
        int r;

        /* A FIFO is refused, and not waited for. */
        file->fd = open(file->path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
        if (file->fd < 0) {
                r = -errno;
                return mcap_error_set(reterr, r, "cannot open '%s': %s%s", file->path, strerror(-r),
                                      error_remedy(r));
        }
        r = mcap_reader_open(&file->reader, file->fd, file->path, 0, reterr);
        if (r == 0) {
                file->summary = mcap_reader_summary(file->reader);
        }
        return r;
}

/* One that has no message is nowhere; it may be first. */
static int compare_files(const void *left, const void *right) {
        const struct reel_file *a = left, *b = right;

        if (a->summary->start_ns != b->summary->start_ns) {
                return a->summary->start_ns < b->summary->start_ns ? -1 : 1;
        }
        return a->argument < b->argument ? -1 : 1;
}

static int expect_others(const struct reel *reel, size_t index, struct mcap_error *reterr) {
        struct stat a, b;

        if (fstat(reel->files[index].fd, &a) < 0) {
                return 0;
        }
        for (size_t i = 0; i < index; i++) {
                if (fstat(reel->files[i].fd, &b) == 0 && a.st_dev == b.st_dev &&
                    a.st_ino == b.st_ino) {
                        return mcap_error_set(reterr, -EINVAL, "'%s' and '%s' are the same file",
                                              reel->files[i].path, reel->files[index].path);
                }
        }
        return 0;
}

static int
open_all(struct reel *reel, const char *const *paths, size_t count, struct mcap_error *reterr) {
        int r = 0;

        reel->files = calloc(count, sizeof(*reel->files));
        if (!reel->files) {
                return no_memory(reterr);
        }
        for (size_t i = 0; r == 0 && i < count; i++) {
                reel->files[i] = (struct reel_file){.path = paths[i], .argument = i, .fd = -1};
                reel->count = i + 1;
                r = open_file(&reel->files[i], reterr);
                if (r == 0) {
                        r = expect_others(reel, i, reterr);
                }
        }
        if (r < 0) {
                return r;
        }
        qsort(reel->files, count, sizeof(*reel->files), compare_files);
        for (size_t i = 0; r == 0 && i < count; i++) {
                r = add_file(reel, &reel->files[i], reterr);
        }
        return r;
}

int reel_open(struct reel **ret_reel,
              const char *const *paths,
              size_t count,
              struct mcap_error *reterr) {
        struct reel *reel = calloc(1, sizeof(*reel));
        int r;

        if (!reel) {
                return no_memory(reterr);
        }
        r = open_all(reel, paths, count, reterr);
        if (r < 0) {
                reel_close(reel);
                return r;
        }
        *ret_reel = reel;
        return 0;
}

const struct mcap_summary *reel_summary(const struct reel *reel) {
        return &reel->summary;
}

struct mcap_reader *reel_reader(const struct reel *reel, size_t index) {
        return index < reel->count ? reel->files[index].reader : NULL;
}

const char *reel_path(const struct reel *reel, size_t index) {
        return index < reel->count ? reel->files[index].path : NULL;
}

/*
 * Reading
 */

/* What a file's channels are asked for. */
struct choice {
        const struct reel *reel;
        const struct reel_file *file;
        mcap_filter *wanted;
        void *context;
};

/* A channel as all files have it. */
static struct mcap_channel *channel_of(const struct reel *reel,
                                       const struct reel_file *file,
                                       const struct mcap_channel *channel) {
        size_t index = file->channel_of[channel - file->summary->catalogue.channels];

        return &reel->summary.catalogue.channels[index];
}

static bool is_wanted(const struct mcap_channel *channel, void *context) {
        const struct choice *choice = context;

        return choice->wanted(channel_of(choice->reel, choice->file, channel), choice->context);
}

int reel_select(struct reel *reel, mcap_filter *wanted, void *context, uint64_t start_ns) {
        reel->first = reel->begun = 0;
        reel->current = NULL;
        for (size_t i = 0; i < reel->count; i++) {
                struct reel_file *file = &reel->files[i];
                struct choice choice = {
                        .reel = reel, .file = file, .wanted = wanted, .context = context};
                int r = mcap_reader_select(file->reader, is_wanted, &choice, start_ns, UINT64_MAX);

                if (r < 0) {
                        return r;
                }
                file->ready = false;
        }
        return 0;
}

/* On to a file's next message. What fails here fails again. */
static int advance(struct reel_file *file, struct mcap_error *reterr) {
        int r = mcap_reader_next(file->reader, &file->message, reterr);

        if (r < 0) {
                return r;
        }
        file->ready = r == 1;
        if (r == 0) {
                /* Gives back what it has in memory: there may be many. */
                (void) mcap_reader_select(file->reader, NULL, NULL, 0, 0);
        }
        return 0;
}

/* The one whose message is the earliest, of those that have begun. */
static struct reel_file *earliest(struct reel *reel) {
        struct reel_file *best = NULL;

        while (reel->first < reel->begun && !reel->files[reel->first].ready) {
                reel->first++;
        }
        for (size_t i = reel->first; i < reel->begun; i++) {
                struct reel_file *file = &reel->files[i];

                if (file->ready &&
                    (!best || file->message.log_time_ns < best->message.log_time_ns)) {
                        best = file;
                }
        }
        return best;
}

/* May the file that begins next have an earlier message? */
static bool is_next_due(const struct reel *reel, const struct reel_file *best) {
        return reel->begun < reel->count &&
               (!best || reel->files[reel->begun].summary->start_ns <= best->message.log_time_ns);
}

int reel_next(struct reel *reel, struct mcap_message *ret_message, struct mcap_error *reterr) {
        struct reel_file *best;
        int r;

        if (reel->current) {
                r = advance(reel->current, reterr);
                if (r < 0) {
                        return r;
                }
                reel->current = NULL;
        }
        best = earliest(reel);
        while (is_next_due(reel, best)) {
                r = advance(&reel->files[reel->begun], reterr);
                if (r < 0) {
                        return r;
                }
                reel->begun++;
                best = earliest(reel);
        }
        if (!best) {
                return 0;
        }
        reel->current = best;
        *ret_message = best->message;
        ret_message->channel = channel_of(reel, best, best->message.channel);
        return 1;
}

struct reel *reel_close(struct reel *reel) {
        if (!reel) {
                return NULL;
        }
        for (size_t i = 0; i < reel->count; i++) {
                struct reel_file *file = &reel->files[i];

                mcap_reader_close(file->reader);
                if (file->fd >= 0) {
                        close(file->fd);
                }
                free(file->schema_of);
                free(file->channel_of);
        }
        free(reel->files);
        mcap_catalogue_free(&reel->summary.catalogue);
        free(reel);
        return NULL;
}
