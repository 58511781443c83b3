/*
 * The topics of a bus, each a place in a ring.
 *
 * Rings are looked at by the clock: as often as the fastest of them needs it, and more often while
 * one of them is found more than half full.
 */

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <slipring/subscriber.h>

#include "bus/cdr.h"
#include "bus/copy.h"
#include "bus/error.h"
#include "subscribers/record/recorder.h"

#define PACE_MIN_NS UINT64_C(200000)
#define PACE_MAX_NS UINT64_C(5000000)
/* A visit in this part of the time in which a ring goes round. */
#define PACE_PART 4

/*
 * Totals
 */

/* The index of a name's total, or -ENOMEM. */
static long total_of(struct recorder *recorder, const struct layout_entry *entry) {
        struct record_topic *larger, *total;
        uint64_t *missed;
        char *type_name;
        size_t i = 0;

        while (i < recorder->total_count && strcmp(recorder->totals[i].name, entry->name) != 0) {
                i++;
        }
        type_name = strdup(entry->type_name);
        if (!type_name) {
                return -ENOMEM;
        }
        if (i < recorder->total_count) {
                free(recorder->totals[i].type_name);
                recorder->totals[i].type_name = type_name;
                return (long) i;
        }
        larger = reallocarray(recorder->totals, i + 1, sizeof(*larger));
        recorder->totals = larger ? larger : recorder->totals;
        missed = reallocarray(recorder->missed_before, i + 1, sizeof(*missed));
        recorder->missed_before = missed ? missed : recorder->missed_before;
        total = reallocarray(recorder->shown, i + 1, sizeof(*total));
        recorder->shown = total ? total : recorder->shown;
        if (!larger || !missed || !total) {
                free(type_name);
                return -ENOMEM;
        }
        total = &recorder->totals[i];
        *total = (struct record_topic){.name = strdup(entry->name), .type_name = type_name};
        if (!total->name) {
                free(type_name);
                return -ENOMEM;
        }
        recorder->missed_before[i] = 0;
        recorder->total_count++;
        return (long) i;
}

void tracks_count(const struct recorder *recorder, struct record_topic *topics) {
        for (size_t i = 0; i < recorder->total_count; i++) {
                topics[i] = recorder->totals[i];
        }
        for (size_t i = 0; i < recorder->track_count; i++) {
                const struct track *track = recorder->tracks[i];

                topics[track->total].samples += track->samples;
                topics[track->total].missed += track->reader.missed;
        }
}

/*
 * Coming and going
 */

/* Begin with the first sample that is not older. */
static void start_at(struct ring_reader *reader, uint64_t from_ns) {
        uint64_t head = ring_reader_head(reader);
        struct ring_view view;

        ring_reader_start(reader, SLIPRING_START_OLDEST);
        while (reader->next <= head && (ring_look(&reader->ring, reader->next, &view) != 1 ||
                                        view.publish_time_ns < from_ns)) {
                reader->next++;
        }
}

static void track_begin(const struct recorder *recorder, struct track *track, bool new) {
        struct ring_reader *reader = &track->reader;
        uint64_t since_ns = recorder->options->since_ns;

        reader->ring = track->topic.ring;
        if (new) {
                /* All of it is new, also what the ring holds no longer. */
                reader->next = 1;
                return;
        }
        if (since_ns && !recorder->begun) {
                start_at(reader,
                         recorder->started_ns > since_ns ? recorder->started_ns - since_ns : 0);
        } else {
                ring_reader_start(reader, SLIPRING_START_NEXT);
        }
        if (!recorder->begun && track->entry.rate_hz == 0 && !ring_reader_ready(reader)) {
                /* A map, a calibration, a state: what it said last holds until it says more. */
                ring_reader_start(reader, SLIPRING_START_NEWEST);
                track->held = ring_reader_head(reader);
        }
}

static void track_close(struct track *track) {
        if (track->open) {
                topic_detach(&track->topic);
        }
        track->open = false;
        track->cdr = cdr_free(track->cdr);
        free(track->sample);
        track->sample = NULL;
}

/* What it takes to make messages of its samples. */
static int track_prepare(struct track *track, struct slipring_error *reterr) {
        int r;

        r = cdr_compile(&track->cdr, &track->topic.header.type, reterr);
        if (r == 0 && !cdr_is_flat(track->cdr)) {
                track->sample = malloc(track->topic.ring.payload_bytes);
                r = track->sample ? 0 : error_set(reterr, -ENOMEM, "out of memory");
        }
        return r;
}

static void track_end(struct recorder *recorder, size_t index) {
        struct track *track = recorder->tracks[index];

        recorder->totals[track->total].samples += track->samples;
        recorder->totals[track->total].missed += track->reader.missed;
        track_close(track);
        free(track);
        recorder->tracks[index] = recorder->tracks[--recorder->track_count];
}

/* 0 also if it cannot be read, which is noted. */
static int track_add(struct recorder *recorder, const struct layout_entry *entry) {
        struct slipring_error error = {0};
        struct track **larger, *track;
        long total = total_of(recorder, entry);
        int r;

        if (total < 0) {
                return -ENOMEM;
        }
        larger = reallocarray(recorder->tracks, recorder->track_count + 1, sizeof(*larger));
        recorder->tracks = larger ? larger : recorder->tracks;
        track = larger ? calloc(1, sizeof(*track)) : NULL;
        if (!track) {
                return -ENOMEM;
        }
        track->entry = *entry;
        track->total = (size_t) total;
        r = topic_attach(&track->topic, entry, false, &error);
        if (r == -EIDRM) {
                /* Gone meanwhile; the next table says so. */
                free(track);
                return 0;
        }
        track->open = r == 0;
        if (r == 0) {
                r = track_prepare(track, &error);
        }
        if (r < 0) {
                track_close(track);
                recorder_note(recorder, "topic '%s' is not recorded: %s", entry->name, error.text);
        } else {
                track_begin(recorder, track,
                            recorder->begun && !recorder->totals[total].unreadable);
        }
        recorder->totals[total].unreadable = r < 0;
        recorder->tracks[recorder->track_count++] = track;
        return 0;
}

/* An id is not used again while its segment is attached. One that could not be attached is tried
 * again once something about it was changed. */
static bool same(const struct track *track, const struct layout_entry *entry) {
        return track->entry.data_id == entry->data_id &&
               (track->open || track->entry.generation == entry->generation);
}

static bool known(const struct recorder *recorder, const struct layout_entry *entry) {
        for (size_t i = 0; i < recorder->track_count; i++) {
                if (!strcmp(recorder->tracks[i]->entry.name, entry->name) &&
                    same(recorder->tracks[i], entry)) {
                        return true;
                }
        }
        return false;
}

static void mark_gone(struct recorder *recorder) {
        for (size_t i = 0; i < recorder->track_count; i++) {
                struct track *track = recorder->tracks[i];
                const struct layout_entry *entry =
                        recorder->up ? directory_find(&recorder->table, track->entry.name) : NULL;

                track->gone = track->gone || !entry || !same(track, entry);
        }
}

static int add_new(struct recorder *recorder) {
        int r = 0;

        for (uint32_t i = 0; r == 0 && i < recorder->table.count; i++) {
                const struct layout_entry *entry = &recorder->table.entries[i];

                if (entry->kind == LAYOUT_ENTRY_TOPIC && entry->state == LAYOUT_ENTRY_SERVING &&
                    recorder->options->wanted(recorder->options->userdata, entry->name) &&
                    !known(recorder, entry)) {
                        r = track_add(recorder, entry);
                }
        }
        return r;
}

static void set_pace(struct recorder *recorder) {
        recorder->pace_max_ns = PACE_MAX_NS;
        for (size_t i = 0; i < recorder->track_count; i++) {
                const struct layout_entry *entry = &recorder->tracks[i]->entry;
                double round_ns = entry->rate_hz > 0 ? 1e9 * entry->depth / entry->rate_hz : 0;

                if (recorder->tracks[i]->open && round_ns > 0 &&
                    round_ns / PACE_PART < (double) recorder->pace_max_ns) {
                        recorder->pace_max_ns = (uint64_t) (round_ns / PACE_PART);
                }
        }
        if (recorder->pace_max_ns < PACE_MIN_NS) {
                recorder->pace_max_ns = PACE_MIN_NS;
        }
        recorder->pace_ns = recorder->pace_max_ns;
}

static void bus_lost(struct recorder *recorder) {
        recorder_note(recorder, "bus '%s' was taken down; waiting until it is up again",
                      recorder->options->bus);
        directory_detach(&recorder->directory);
        recorder->directory = (struct directory){.segment = SEGMENT_NONE};
        recorder->up = false;
        recorder->generation = 0;
        mark_gone(recorder);
}

/* The clock of the day may be set, the one that samples have may not. */
static void watch_clock(struct recorder *recorder) {
        uint64_t epoch_ns = (uint64_t) recorder->table.table->realtime_offset_ns;
        int64_t by_ns = (int64_t) (epoch_ns - recorder->epoch_ns);

        if (clock_was_set(by_ns)) {
                recorder_note(recorder,
                              "the clock of the day was set by %+.3f s; times in '%s' go on as if "
                              "it was not",
                              (double) by_ns / 1e9, recorder->output.path);
        }
        recorder->epoch_ns = epoch_ns;
}

bool tracks_changed(const struct recorder *recorder) {
        const struct ring_reader reader = {.ring = recorder->directory.ring};

        return recorder->up && (ring_retired(&reader.ring) ||
                                ring_reader_head(&reader) != recorder->table.sequence);
}

int tracks_sync(struct recorder *recorder) {
        int r;

        if (recorder->up && ring_retired(&recorder->directory.ring)) {
                bus_lost(recorder);
        }
        if (!recorder->up) {
                if (!directory_locate_up(&recorder->directory, recorder->options->bus)) {
                        return 0;
                }
                recorder->up = true;
        }
        if (directory_read(&recorder->directory, &recorder->table, NULL) < 0) {
                return 0;
        }
        watch_clock(recorder);
        if (recorder->table.table->instance == recorder->instance &&
            recorder->table.table->generation == recorder->generation) {
                return 0;
        }
        mark_gone(recorder);
        r = add_new(recorder);
        set_pace(recorder);
        recorder->instance = recorder->table.table->instance;
        recorder->generation = recorder->table.table->generation;
        return r;
}

/*
 * Samples
 */

static uint8_t *payload_room(const struct track *track, uint8_t *data) {
        return track->sample ? track->sample : cdr_payload(data);
}

/* A sample that is whole, in its room, as a message: its length. */
static uint32_t make_message(const struct track *track, const struct ring_view *view, void *data) {
        return track->sample ? cdr_write(track->cdr, track->sample, data)
                             : CDR_HEADER_BYTES + view->payload_bytes;
}

/* The next sample into the reserved room: 1 with its view and the length of the message, 0: there
 * is none, or negative errno. What is not CDR yet is made so once it is known to be whole. */
static int copy_next(struct track *track,
                     uint64_t *head,
                     uint8_t *data,
                     struct ring_view *view,
                     uint32_t *ret_bytes) {
        uint8_t *payload = payload_room(track, data);
        int tries = RING_TRIES_NEXT, r;

        while ((r = ring_reader_next_to(&track->reader, head, view, &tries)) == 1) {
                copy_from_slot(payload, view->payload, view->payload_bytes);
                if (ring_reader_validate(view)) {
                        ring_reader_accept(&track->reader, view, NULL);
                        *ret_bytes = make_message(track, view, data);
                        return 1;
                }
                ring_reader_refuse(&track->reader, view);
                *head = ring_reader_head(&track->reader);
        }
        return r;
}

static int write_next(struct recorder *recorder,
                      struct track *track,
                      uint64_t *head,
                      struct slipring_error *reterr) {
        struct mcap_writer *writer = recorder->output.writer;
        struct mcap_error error = {0};
        struct ring_view view;
        uint64_t time_ns, log_time_ns;
        uint32_t bytes = 0;
        void *data;
        int r;

        /* First: it may write a chunk, and the slot would be overwritten meanwhile. */
        r = mcap_writer_reserve(writer, track->channel, cdr_most_bytes(track->cdr), &data, &error);
        if (r < 0) {
                return error_set(reterr, r, "%s", error.text);
        }
        r = copy_next(track, head, data, &view, &bytes);
        if (r != 1) {
                mcap_writer_rollback(writer);
                return r == -EAGAIN ? 0 : r;
        }
        time_ns = view.publish_time_ns + recorder->output.epoch_ns;
        log_time_ns = time_ns;
        if (view.sequence == track->held && view.publish_time_ns < recorder->started_ns) {
                log_time_ns = recorder->started_ns + recorder->output.epoch_ns;
        }
        /* It counts either way: the writer knows how many of all were lost. */
        track->samples++;
        r = mcap_writer_commit(writer, (uint32_t) view.sequence, log_time_ns, time_ns, bytes,
                               &error);
        return r < 0 ? error_set(reterr, r, "%s", error.text) : 1;
}

/* The sample that was written last, again. Nothing if there is a newer one: that comes by itself.
 */
static int repeat(struct recorder *recorder, struct track *track, struct slipring_error *reterr) {
        struct mcap_writer *writer = recorder->output.writer;
        uint64_t head = ring_reader_head(&track->reader), time_ns;
        struct mcap_error error = {0};
        struct ring_view view;
        void *data;
        int r;

        if (head == 0 || head != track->reader.next - 1) {
                return 0;
        }
        r = output_channel(recorder, track, reterr);
        if (r < 0) {
                return r;
        }
        r = mcap_writer_reserve(writer, track->channel, cdr_most_bytes(track->cdr), &data, &error);
        if (r < 0) {
                return error_set(reterr, r, "%s", error.text);
        }
        r = ring_look(&track->reader.ring, head, &view);
        if (r == 1) {
                copy_from_slot(payload_room(track, data), view.payload, view.payload_bytes);
        }
        if (r != 1 || !ring_reader_validate(&view)) {
                mcap_writer_rollback(writer);
                return 0;
        }
        time_ns = view.publish_time_ns < recorder->looked_ns ? recorder->looked_ns
                                                             : view.publish_time_ns;
        r = mcap_writer_commit(writer, (uint32_t) head, time_ns + recorder->output.epoch_ns,
                               view.publish_time_ns + recorder->output.epoch_ns,
                               make_message(track, &view, data), &error);
        return r < 0 ? error_set(reterr, r, "%s", error.text) : 0;
}

int tracks_repeat(struct recorder *recorder, struct slipring_error *reterr) {
        int r = 0;

        for (size_t i = 0; r == 0 && i < recorder->track_count; i++) {
                if (recorder->tracks[i]->open && recorder->tracks[i]->entry.rate_hz == 0) {
                        r = repeat(recorder, recorder->tracks[i], reterr);
                }
        }
        return r;
}

/* Has room for one more, in a file that knows the track's topic. */
static int
make_room(struct recorder *recorder, struct track *track, struct slipring_error *reterr) {
        int r = output_full(recorder) ? output_split(recorder, reterr) : 0;

        if (r == 0 && track->serial != recorder->output.serial) {
                r = output_channel(recorder, track, reterr);
        }
        return r;
}

/* What is there now; what comes meanwhile is left for the next visit. */
static int
track_drain(struct recorder *recorder, struct track *track, struct slipring_error *reterr) {
        uint64_t head = ring_reader_head(&track->reader), until = head;
        int r = 0;

        if (head < track->reader.next) {
                return 0;
        }
        if ((head - track->reader.next + 1) * 2 > track->entry.depth) {
                recorder->pace_ns /= 2;
        }
        do {
                /* For each: a ring may hold more than a file shall. */
                r = make_room(recorder, track, reterr);
                if (r == 0) {
                        r = write_next(recorder, track, &head, reterr);
                }
        } while (r == 1 && track->reader.next <= until);
        if (r == -EBADMSG && (!reterr || reterr->code == 0)) {
                recorder_note(recorder,
                              "topic '%s' is not recorded any more: its shared memory contradicts "
                              "itself",
                              track->entry.name);
                track_close(track);
                recorder->totals[track->total].unreadable = true;
                return 0;
        }
        return r < 0 ? r : 0;
}

static bool finished(const struct track *track) {
        return track->gone && (!track->open || !ring_reader_ready(&track->reader));
}

int tracks_drain(struct recorder *recorder, struct slipring_error *reterr) {
        uint64_t begun_ns = slipring_now_ns();
        int r;

        /* Calm is believed slowly. */
        recorder->pace_ns += recorder->pace_ns / 64;
        for (size_t i = recorder->track_count; i-- > 0;) {
                struct track *track = recorder->tracks[i];

                r = track->open ? track_drain(recorder, track, reterr) : 0;
                if (r < 0) {
                        return r;
                }
                if (finished(track)) {
                        track_end(recorder, i);
                }
        }
        recorder->looked_ns = begun_ns;
        if (recorder->pace_ns > recorder->pace_max_ns) {
                recorder->pace_ns = recorder->pace_max_ns;
        }
        if (recorder->pace_ns < PACE_MIN_NS) {
                recorder->pace_ns = PACE_MIN_NS;
        }
        return 0;
}

void tracks_announce(struct recorder *recorder) {
        for (size_t i = 0; i < recorder->track_count; i++) {
                struct track *track = recorder->tracks[i];

                /* Without it the file is less informative, not less whole. */
                if (track->open && track->serial != recorder->output.serial &&
                    output_channel(recorder, track, NULL) < 0) {
                        return;
                }
        }
}

void tracks_free(struct recorder *recorder) {
        while (recorder->track_count > 0) {
                track_end(recorder, recorder->track_count - 1);
        }
        for (size_t i = 0; i < recorder->total_count; i++) {
                free(recorder->totals[i].name);
                free(recorder->totals[i].type_name);
        }
        free(recorder->tracks);
        free(recorder->totals);
        free(recorder->missed_before);
        free(recorder->shown);
}
