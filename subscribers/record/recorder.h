#ifndef SLIPRING_SUBSCRIBERS_RECORD_RECORDER_H
#define SLIPRING_SUBSCRIBERS_RECORD_RECORDER_H

#include "bus/topic.h"
#include "mcap/writer.h"
#include "subscribers/record/record.h"

/* Was the clock of the day set, and not only measured once more? */
static inline bool clock_was_set(int64_t by_ns) {
        return by_ns >= INT64_C(100000000) || by_ns <= INT64_C(-100000000);
}

/* A type that the file describes already. */
struct output_schema {
        char name[256];
        uint8_t identity[32];
        uint16_t id;
};

/* The file that is being written. */
struct output {
        struct mcap_writer *writer;
        int fd;
        unsigned serial; /* from 1; channels are announced anew in each file */
        uint64_t opened_ns;
        uint64_t epoch_ns; /* the clock of the day, at 0 of the monotonic one, as it was opened */
        uint64_t chunks;   /* when looked at last, at */
        uint64_t flushed_ns;
        uint64_t held_messages; /* that it began with: what topics held */
        uint64_t held_bytes;    /* these, and what describes them */
        char *path;             /* NAME.mcap */
        char *active;           /* NAME.mcap.active */
        struct output_schema *schemas;
        size_t schema_count;
};

/* A segment of a topic. */
struct track {
        struct layout_entry entry;
        struct topic topic;
        struct ring_reader reader;
        struct cdr *cdr; /* of its type */
        uint8_t *sample; /* room for one that is not CDR, else NULL */
        size_t total;    /* index */
        bool open;
        uint64_t held;   /* number of the sample that it held when the recording began; 0: none */
        bool gone;       /* the table has it no longer: what it still holds is all */
        unsigned serial; /* of the file that @channel is of */
        uint16_t channel;
        uint64_t samples; /* committed */
};

struct recorder {
        const struct record_options *options;
        struct directory directory;
        struct directory_table table;
        bool up;
        bool begun; /* what comes now is new */
        uint64_t instance, generation;

        struct track **tracks;
        size_t track_count;
        struct record_topic *totals; /* of tracks that ended */
        uint64_t *missed_before;     /* by total: when the file was opened */
        size_t total_count;
        uint64_t pace_ns;
        uint64_t pace_max_ns;
        uint64_t looked_ns; /* all that stood in the rings by then is written */

        struct output output;
        unsigned number; /* of the next file */
        char **files;
        size_t file_count;
        uint64_t lost;       /* in files that were closed */
        uint64_t file_bytes; /* of those */

        uint64_t started_ns;
        uint64_t epoch_ns;          /* as of the file, but as it is now */
        struct record_topic *shown; /* for progress */
};

__attribute__((format(printf, 2, 3))) void
recorder_note(const struct recorder *recorder, const char *format, ...);

/* --- tracks.c: the topics --- */

/* Has the directory said something since? */
bool tracks_changed(const struct recorder *recorder);
/* Take over what the directory says now: topics, and the clock of the day. 0 or -ENOMEM. */
int tracks_sync(struct recorder *recorder);
/* Write what is new in all of them. 0 or the negative errno of the file. */
int tracks_drain(struct recorder *recorder, struct slipring_error *reterr);
/* Write again what topics without a rate hold, into a file that was just begun. The same. */
int tracks_repeat(struct recorder *recorder, struct slipring_error *reterr);
/* Totals with what the open tracks have. */
void tracks_count(const struct recorder *recorder, struct record_topic *topics);
/* Announce in the file what has been silent in it. */
void tracks_announce(struct recorder *recorder);
void tracks_free(struct recorder *recorder);

/* --- output.c: the file --- */

int output_open(struct recorder *recorder, struct slipring_error *reterr);
/* Announce a track's topic in the file. */
int output_channel(struct recorder *recorder, struct track *track, struct slipring_error *reterr);
/* Have on the disk what waits for longer than a second; open the next file when it is time. */
int output_tick(struct recorder *recorder, struct slipring_error *reterr);
bool output_full(const struct recorder *recorder);
int output_split(struct recorder *recorder, struct slipring_error *reterr);
/* 0, or negative errno: samples were lost, or the file is not whole. */
int output_close(struct recorder *recorder, struct slipring_error *reterr);

#endif
