/*
 * The loop of a recorder.
 */

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "bus/error.h"
#include "subscribers/record/recorder.h"

#define TICK_NS UINT64_C(100000000)
#define PROGRESS_NS UINT64_C(1000000000)

void recorder_note(const struct recorder *recorder, const char *format, ...) {
        char text[1024];
        va_list list;

        va_start(list, format);
        vsnprintf(text, sizeof(text), format, list);
        va_end(list);
        recorder->options->note(recorder->options->userdata, text);
}

static void show(struct recorder *recorder, bool last) {
        struct mcap_writer_counts counts = {0};
        struct record_state state = {
                .topics = recorder->shown,
                .topic_count = recorder->total_count,
                .files = (const char *const *) recorder->files,
                .file_count = recorder->file_count,
                .lost = recorder->lost,
                .elapsed_ns = slipring_now_ns() - recorder->started_ns,
        };

        if (recorder->output.writer) {
                mcap_writer_counts(recorder->output.writer, &counts);
        }
        state.bytes = recorder->file_bytes + counts.file_bytes + counts.pending_bytes;
        state.lost += counts.lost;
        tracks_count(recorder, recorder->shown);
        for (size_t i = 0; i < recorder->total_count; i++) {
                state.samples += recorder->shown[i].samples;
                state.missed += recorder->shown[i].missed;
        }
        recorder->options->progress(recorder->options->userdata, &state, last);
}

static void sleep_until(uint64_t ns) {
        struct timespec time = {
                .tv_sec = (time_t) (ns / UINT64_C(1000000000)),
                .tv_nsec = (long) (ns % UINT64_C(1000000000)),
        };

        /* A signal ends it early, which is what the caller looks for next. */
        clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &time, NULL);
}

/* What is not done at each visit. */
static int tick(struct recorder *recorder, uint64_t *shown_ns, struct slipring_error *reterr) {
        uint64_t now = slipring_now_ns();
        int r = tracks_sync(recorder);

        if (r < 0) {
                return error_set(reterr, r, "out of memory");
        }
        r = output_tick(recorder, reterr);
        if (r == 0 && now - *shown_ns >= PROGRESS_NS) {
                *shown_ns = now;
                show(recorder, false);
        }
        return r;
}

static int loop(struct recorder *recorder, struct slipring_error *reterr) {
        uint64_t ticked_ns = recorder->started_ns, shown_ns = recorder->started_ns;
        uint64_t now = recorder->started_ns, end_ns = UINT64_MAX, next_ns;
        int r = 0;

        if (recorder->options->duration_ns) {
                end_ns = recorder->started_ns + recorder->options->duration_ns;
        }
        while (r == 0 && now < end_ns && !recorder->options->stopped()) {
                r = tracks_drain(recorder, reterr);
                if (r == 0 && (now - ticked_ns >= TICK_NS || tracks_changed(recorder))) {
                        ticked_ns = now;
                        r = tick(recorder, &shown_ns, reterr);
                }
                if (r == 0) {
                        next_ns = now + recorder->pace_ns;
                        sleep_until(next_ns < end_ns ? next_ns : end_ns);
                        now = slipring_now_ns();
                }
        }
        /* What was published before the end belongs to it, also to topics that just came. */
        if (r == 0 && tracks_sync(recorder) < 0) {
                r = error_set(reterr, -ENOMEM, "out of memory");
        }
        return r == 0 ? tracks_drain(recorder, reterr) : r;
}

/* Of what ends or splits a recording by itself, too: -d of other programs is how long one takes. */
static void note_start(const struct recorder *recorder) {
        const struct record_options *options = recorder->options;
        char span[64] = "", split[64] = "";

        if (options->duration_ns) {
                snprintf(span, sizeof(span), " for %g s", (double) options->duration_ns / 1e9);
        }
        if (options->split_ns) {
                snprintf(split, sizeof(split), ", a new file every %g s",
                         (double) options->split_ns / 1e9);
        }
        recorder_note(recorder, "recording into '%s'%s%s; end with Ctrl-C", recorder->files[0],
                      span, split);
}

static int begin(struct recorder *recorder, struct slipring_error *reterr) {
        int r;

        r = directory_locate(&recorder->directory, recorder->options->bus, reterr);
        if (r < 0) {
                return r;
        }
        recorder->up = true;
        r = directory_read(&recorder->directory, &recorder->table, reterr);
        if (r < 0) {
                return r;
        }
        recorder->epoch_ns = (uint64_t) recorder->table.table->realtime_offset_ns;
        r = output_open(recorder, reterr);
        if (r < 0) {
                return r;
        }
        recorder->started_ns = slipring_now_ns();
        /* A file may be full before all that there is was looked at once. */
        recorder->looked_ns = recorder->started_ns;
        if (tracks_sync(recorder) < 0) {
                return error_set(reterr, -ENOMEM, "out of memory");
        }
        recorder->begun = true;
        /* Who is told that a recording runs may publish, over what topics hold. */
        r = tracks_drain(recorder, reterr);
        if (r < 0) {
                return r;
        }
        note_start(recorder);
        return 0;
}

static void recorder_free(struct recorder *recorder) {
        tracks_free(recorder);
        directory_detach(&recorder->directory);
        directory_table_free(&recorder->table);
        for (size_t i = 0; i < recorder->file_count; i++) {
                free(recorder->files[i]);
        }
        free(recorder->files);
        free(recorder->output.path);
        free(recorder->output.active);
        free(recorder->output.schemas);
}

int record_run(const struct record_options *options, struct slipring_error *reterr) {
        struct recorder recorder = {
                .options = options,
                .directory = {.segment = SEGMENT_NONE},
        };
        struct slipring_error error = {0}, closing = {0};
        int r, closed;

        r = begin(&recorder, &error);
        if (r == 0) {
                r = loop(&recorder, &error);
        }
        closed = output_close(&recorder, &closing);
        if (closed < 0) {
                /* Says the same, and what became of the file besides. */
                error = closing;
                r = closed;
        }
        if (recorder.begun) {
                show(&recorder, true);
        }
        recorder_free(&recorder);
        return r < 0 ? error_set(reterr, r, "%s", error.text) : 0;
}
