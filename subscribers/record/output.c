/*
 * The file that is being written, and the one after it.
 */

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "bus/error.h"
#include "subscribers/record/recorder.h"

#define SECOND_NS UINT64_C(1000000000)

static bool splits(const struct recorder *recorder) {
        return recorder->options->split_ns || recorder->options->split_bytes;
}

/*
 * Opening
 */

/* The file under its name so far, locked. A descriptor, -EEXIST: somebody writes one of that name;
 * or negative errno. */
static int create(const char *active) {
        struct stat status;
        int fd, r;

        for (;;) {
                fd = open(active, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0666);
                if (fd < 0) {
                        return -errno;
                }
                /* Whoever looks for leftovers may have been first, found it empty and removed it.
                 */
                r = flock(fd, LOCK_EX) < 0 || fstat(fd, &status) < 0 ? -errno : 0;
                if (r == 0 && status.st_nlink > 0) {
                        return fd;
                }
                close(fd);
                if (r < 0) {
                        return r;
                }
        }
}

static int name_next(struct recorder *recorder) {
        struct output *output = &recorder->output;
        const char *name = recorder->options->name;

        free(output->path);
        free(output->active);
        output->path = NULL;
        output->active = NULL;
        if ((splits(recorder) ? asprintf(&output->path, "%s_%u.mcap", name, recorder->number)
                              : asprintf(&output->path, "%s.mcap", name)) < 0) {
                output->path = NULL;
                return -ENOMEM;
        }
        if (asprintf(&output->active, "%s" RECORD_ACTIVE, output->path) < 0) {
                output->active = NULL;
                return -ENOMEM;
        }
        return 0;
}

/* A descriptor, or negative errno. */
static int create_next(struct recorder *recorder, struct slipring_error *reterr) {
        struct output *output = &recorder->output;
        bool taken;
        int fd;

        do {
                if (name_next(recorder) < 0) {
                        return error_set(reterr, -ENOMEM, "out of memory");
                }
                recorder->number++;
                taken = access(output->path, F_OK) == 0;
                fd = taken ? -EEXIST : create(output->active);
                /* In the middle of a recording another one's file is no reason to end. */
        } while (fd == -EEXIST && recorder->file_count > 0);
        if (fd == -EEXIST) {
                return error_set(reterr, fd, "'%s' is there already; %s",
                                 taken ? output->path : output->active,
                                 taken ? "remove it or choose another name"
                                       : "another recorder writes it, or it could not be "
                                         "recovered: choose another name");
        }
        if (fd < 0) {
                return error_set(reterr, fd, "cannot create '%s': %s", output->active,
                                 strerror(-fd));
        }
        return fd;
}

static int remember(struct recorder *recorder, struct slipring_error *reterr) {
        char **larger = reallocarray(recorder->files, recorder->file_count + 1, sizeof(*larger));

        recorder->files = larger ? larger : recorder->files;
        if (!larger || !(larger[recorder->file_count] = strdup(recorder->output.path))) {
                return error_set(reterr, -ENOMEM, "out of memory");
        }
        recorder->file_count++;
        return 0;
}

int output_open(struct recorder *recorder, struct slipring_error *reterr) {
        const struct mcap_writer_options options = {
                .library = "slipring " SLIPRING_VERSION,
                .compression = recorder->options->compression,
        };
        struct output *output = &recorder->output;
        struct mcap_error error = {0};
        int r;

        r = create_next(recorder, reterr);
        if (r < 0) {
                return r;
        }
        output->fd = r;
        r = mcap_writer_open(&output->writer, output->fd, output->active, &options, &error);
        r = r < 0 ? error_set(reterr, r, "%s", error.text) : remember(recorder, reterr);
        if (r < 0) {
                if (output->writer) {
                        mcap_writer_close(output->writer, NULL, NULL);
                        output->writer = NULL;
                }
                unlink(output->active);
                close(output->fd);
                return r;
        }
        output->serial++;
        output->epoch_ns = recorder->epoch_ns;
        output->opened_ns = slipring_now_ns();
        output->flushed_ns = output->opened_ns;
        output->chunks = 0;
        output->held_messages = output->held_bytes = 0;
        output->schema_count = 0;
        return 0;
}

/*
 * Types and topics
 */

/* 0 and the number of the type, or negative errno. */
static int schema_of(struct output *output, const struct slipring_type *type, uint16_t *ret_id) {
        struct output_schema *larger;
        int r;

        for (size_t i = 0; i < output->schema_count; i++) {
                /* The text does not have the name of the type itself. */
                if (!memcmp(output->schemas[i].identity, type->identity, sizeof(type->identity)) &&
                    !strcmp(output->schemas[i].name, type->name)) {
                        *ret_id = output->schemas[i].id;
                        return 0;
                }
        }
        larger = reallocarray(output->schemas, output->schema_count + 1, sizeof(*larger));
        if (!larger) {
                return -ENOMEM;
        }
        output->schemas = larger;
        r = mcap_writer_schema(output->writer, type->name, "ros2msg", type->text,
                               strlen(type->text), ret_id);
        if (r == 0) {
                larger += output->schema_count++;
                larger->id = *ret_id;
                memcpy(larger->identity, type->identity, sizeof(type->identity));
                snprintf(larger->name, sizeof(larger->name), "%s", type->name);
        }
        return r;
}

int output_channel(struct recorder *recorder, struct track *track, struct slipring_error *reterr) {
        const struct slipring_type *type = &track->topic.header.type;
        struct output *output = &recorder->output;
        uint16_t schema;
        int r;

        r = schema_of(output, type, &schema);
        if (r == 0) {
                r = mcap_writer_channel(
                        output->writer, schema, track->entry.name, "cdr",
                        recorder->options->describe(recorder->options->userdata, type),
                        &track->channel);
        }
        if (r < 0) {
                return error_set(reterr, r, "topic '%s' cannot be announced in '%s': %s",
                                 track->entry.name, output->active, strerror(-r));
        }
        track->serial = output->serial;
        return 0;
}

/*
 * Closing
 */

static void free_pairs(char **pairs) {
        for (size_t i = 0; pairs && pairs[i]; i++) {
                free(pairs[i]);
        }
        free(pairs);
}

/* A number. False: no memory. */
static bool put_pair(char **pairs, size_t *used, const char *key, const char *of, int64_t value) {
        if (asprintf(&pairs[*used], "%s%s", key, of) < 0) {
                pairs[*used] = NULL;
                return false;
        }
        (*used)++;
        if (asprintf(&pairs[*used], "%lld", (long long) value) < 0) {
                pairs[*used] = NULL;
                return false;
        }
        (*used)++;
        return true;
}

/* What the samples do not say: the bus, by how much the clock of the day was set meanwhile, and how
 * many samples each topic has lost in this file. */
static int put_metadata(struct recorder *recorder) {
        char **pairs = calloc(2 * recorder->total_count + 5, sizeof(*pairs));
        int64_t by_ns = (int64_t) (recorder->epoch_ns - recorder->output.epoch_ns);
        size_t used = 0;
        bool there;
        int r = -ENOMEM;

        tracks_count(recorder, recorder->shown);
        there = pairs && (pairs[used++] = strdup("bus")) &&
                (pairs[used++] = strdup(recorder->options->bus));
        if (there && clock_was_set(by_ns)) {
                there = put_pair(pairs, &used, "clock_set_by_ns", "", by_ns);
        }
        for (size_t i = 0; there && i < recorder->total_count; i++) {
                there = put_pair(
                        pairs, &used, "missed.", recorder->shown[i].name,
                        (int64_t) (recorder->shown[i].missed - recorder->missed_before[i]));
                recorder->missed_before[i] = recorder->shown[i].missed;
        }
        if (there) {
                r = mcap_writer_metadata(recorder->output.writer, "slipring",
                                         (const char *const *) pairs);
        }
        free_pairs(pairs);
        return r;
}

/* A file of that name that came meanwhile is not replaced where the file system can tell. */
static int rename_whole(const struct output *output, struct slipring_error *reterr) {
        int r = renameat2(AT_FDCWD, output->active, AT_FDCWD, output->path, RENAME_NOREPLACE);

        if (r < 0 && errno == EINVAL) {
                r = rename(output->active, output->path);
        }
        return r < 0 ? error_set(reterr, -errno, "'%s' is whole, but cannot be called '%s': %s",
                                 output->active, output->path, strerror(errno))
                     : 0;
}

int output_close(struct recorder *recorder, struct slipring_error *reterr) {
        struct output *output = &recorder->output;
        struct mcap_writer_counts counts = {0};
        struct mcap_error error = {0};
        int r, whole;

        if (!output->writer) {
                return 0;
        }
        tracks_announce(recorder);
        /* Without it the file is less informative, not less whole. */
        (void) put_metadata(recorder);
        r = mcap_writer_close(output->writer, &counts, &error);
        output->writer = NULL;
        recorder->lost += counts.lost;
        recorder->file_bytes += counts.file_bytes;
        if (r < 0) {
                r = error_set(reterr, r,
                              "%s; 'slipring bag recover' finds what is in '%s', and so does the "
                              "next recorder",
                              error.text, output->active);
        } else {
                if (r > 0) {
                        r = error_set(reterr, error.code ? error.code : -ENOSPC, "%s", error.text);
                }
                if (fdatasync(output->fd) < 0) {
                        r = error_set(reterr, -errno, "cannot write '%s' to the disk: %s",
                                      output->active, strerror(errno));
                }
                whole = rename_whole(output, reterr);
                r = whole < 0 ? whole : r;
        }
        close(output->fd);
        return r;
}

/*
 * Meanwhile
 */

bool output_full(const struct recorder *recorder) {
        const struct output *output = &recorder->output;
        struct mcap_writer_counts counts;

        if (recorder->options->split_ns &&
            slipring_now_ns() - output->opened_ns >= recorder->options->split_ns) {
                return true;
        }
        if (!recorder->options->split_bytes) {
                return false;
        }
        mcap_writer_counts(output->writer, &counts);
        /* What topics hold may be larger than a file shall be: it is not what fills one. */
        return counts.messages > output->held_messages &&
               counts.file_bytes + counts.pending_bytes >=
                       recorder->options->split_bytes + output->held_bytes;
}

int output_split(struct recorder *recorder, struct slipring_error *reterr) {
        struct output *output = &recorder->output;
        struct mcap_writer_counts counts;
        int r = output_close(recorder, reterr);

        if (r == 0) {
                r = output_open(recorder, reterr);
        }
        if (r == 0) {
                r = tracks_repeat(recorder, reterr);
        }
        if (r == 0) {
                mcap_writer_counts(output->writer, &counts);
                output->held_messages = counts.messages;
                output->held_bytes = counts.file_bytes + counts.pending_bytes;
        }
        return r;
}

int output_tick(struct recorder *recorder, struct slipring_error *reterr) {
        struct output *output = &recorder->output;
        struct mcap_writer_counts counts;
        struct mcap_error error = {0};
        uint64_t now = slipring_now_ns();
        int r;

        mcap_writer_counts(output->writer, &counts);
        if (counts.chunks != output->chunks || counts.pending_bytes == 0) {
                output->chunks = counts.chunks;
                output->flushed_ns = now;
        } else if (now - output->flushed_ns >= SECOND_NS) {
                /* Its topics fell silent, and nothing else would write the chunk. */
                r = mcap_writer_flush(output->writer, &error);
                if (r < 0) {
                        return error_set(reterr, r, "%s", error.text);
                }
        }
        return output_full(recorder) ? output_split(recorder, reterr) : 0;
}
