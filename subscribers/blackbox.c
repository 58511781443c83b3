#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "bus/claim.h"
#include "bus/copy.h"
#include "subscribers/blackbox.h"

#define NS UINT64_C(1000000000)

/* --- who published --- */

/* A process by its number. */
struct process {
        char state;
        uint64_t began_ns; /* CLOCK_MONOTONIC as it runs now; never too late */
};

static bool process_read(struct process *ret_process, pid_t pid) {
        struct timespec boot, now;
        unsigned long long ticks = 0;
        char path[64], line[1024];
        char *after;
        FILE *file;
        int64_t began;

        (void) snprintf(path, sizeof(path), "/proc/%d/stat", (int) pid);
        file = fopen(path, "re");
        /* The second word is the process's own and may hold anything, a bracket last. */
        after = file && fgets(line, sizeof(line), file) ? strrchr(line, ')') : NULL;
        if (file) {
                (void) fclose(file);
        }
        if (!after || sscanf(after,
                             ") %c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %*u %*u %*d %*d %*d "
                             "%*d %*d %*d %llu",
                             &ret_process->state, &ticks) != 2) {
                return false;
        }
        (void) clock_gettime(CLOCK_BOOTTIME, &boot);
        (void) clock_gettime(CLOCK_MONOTONIC, &now);
        began = (int64_t) (ticks * (NS / (uint64_t) sysconf(_SC_CLK_TCK))) -
                (boot.tv_sec - now.tv_sec) * (int64_t) NS - (boot.tv_nsec - now.tv_nsec);
        ret_process->began_ns = began > 0 ? (uint64_t) began : 0;
        return true;
}

static bool publisher_runs(const struct blackbox_topic *topic) {
        struct process process;

        if (kill(topic->publisher_pid, 0) < 0 && errno == ESRCH) {
                return false;
        }
        if (!process_read(&process, topic->publisher_pid)) {
                /* Hidden from us (hidepid=), or gone this moment. */
                return true;
        }
        if (process.state == 'Z' || process.state == 'X') {
                return false;
        }
        /* Numbers come again: what began after the newest sample did not publish it. */
        return topic->epoch != topic->newest_epoch || process.began_ns <= topic->newest_ns;
}

static enum blackbox_publisher publisher_of(struct blackbox_topic *topic) {
        int id = topic->topic.claim_id;
        pid_t holder = id < 0 ? -ENOENT : claim_holder(id), last = holder;

        if (holder == 0) {
                last = claim_last(id);
        }
        if (last <= 0) {
                return topic->epoch == 0 && last == 0 ? BLACKBOX_PUBLISHER_NONE
                                                      : BLACKBOX_PUBLISHER_UNKNOWN;
        }
        topic->publisher_pid = last;
        if (holder > 0) {
                return BLACKBOX_PUBLISHER_ALIVE;
        }
        return publisher_runs(topic) ? BLACKBOX_PUBLISHER_LEFT : BLACKBOX_PUBLISHER_DEAD;
}

/* --- what is there --- */

static void survey_newest(struct blackbox_topic *topic) {
        const struct ring *ring = &topic->topic.ring;
        enum ring_rest rest;
        struct ring_view view;
        uint64_t head;
        int tries = RING_TRIES_NEWEST;

        /* On a bus that lives it may be overtaken at once, or stand half announced. */
        do {
                /* head.publish: pairs with the store in ring_writer_commit(). */
                head = atomic_load_explicit(&ring->words->head, memory_order_acquire);
                rest = ring_rest(ring, head);
                topic->unannounced = rest == RING_REST_WHOLE;
                topic->half = rest == RING_REST_HALF ? head + 1 : 0;
                topic->published = head + topic->unannounced;
        } while (topic->published && ring_look(ring, topic->published, &view) == 0 && --tries > 0);
}

/* How many samples the ring can hold now. */
static uint64_t kept_of(const struct blackbox_topic *topic) {
        uint32_t depth = topic->topic.ring.depth;

        return topic->published < depth ? topic->published : depth;
}

static int mark_add(struct blackbox *box, size_t topic, const struct ring_view *view) {
        struct blackbox_mark *larger;
        size_t room;

        if (box->mark_count == box->mark_room) {
                room = box->mark_room ? 2 * box->mark_room : 1024;
                larger = reallocarray(box->marks, room, sizeof(*larger));
                if (!larger) {
                        return -ENOMEM;
                }
                box->marks = larger;
                box->mark_room = room;
        }
        box->marks[box->mark_count++] = (struct blackbox_mark){
                .time_ns = view->publish_time_ns,
                .sequence = view->sequence,
                .topic = topic,
        };
        return 0;
}

static int survey(struct blackbox *box, size_t index) {
        struct blackbox_topic *topic = &box->topics[index];
        const struct ring *ring = &topic->topic.ring;
        struct ring_view view;
        uint64_t m, left;
        int r;

        survey_newest(topic);
        /* relaxed: a statistic. */
        topic->epoch = atomic_load_explicit(&ring->words->epoch, memory_order_relaxed);
        /* Counted: what is published is what somebody wrote there, up to the largest number. */
        left = kept_of(topic);
        for (m = topic->published - left + 1; left > 0; m++, left--) {
                r = ring_look(ring, m, &view);
                topic->held += r == 1;
                topic->damaged += r < 0;
                if (r == 1 && view.publish_time_ns <= slipring_now_ns()) {
                        topic->newest_ns = view.publish_time_ns;
                        topic->newest_epoch = view.epoch;
                }
                if (r == 1 && mark_add(box, index, &view) < 0) {
                        return -ENOMEM;
                }
        }
        topic->overwritten = topic->published - topic->held - topic->damaged;
        topic->publisher = publisher_of(topic);
        box->newest_ns = topic->newest_ns > box->newest_ns ? topic->newest_ns : box->newest_ns;
        return 0;
}

/* By time; samples of one moment by topic, those of one topic as they came. */
static int mark_compare(const void *left, const void *right) {
        const struct blackbox_mark *a = left, *b = right;

        if (a->time_ns != b->time_ns) {
                return a->time_ns < b->time_ns ? -1 : 1;
        }
        if (a->topic != b->topic) {
                return a->topic < b->topic ? -1 : 1;
        }
        return a->sequence < b->sequence ? -1 : a->sequence > b->sequence;
}

static void marks_sort(struct blackbox *box) {
        if (box->mark_count > 1) {
                qsort(box->marks, box->mark_count, sizeof(*box->marks), mark_compare);
        }
}

/* --- all --- */

int blackbox_open(struct blackbox *ret_box,
                  const struct layout_entry *const *entries,
                  size_t count) {
        struct blackbox box = {.topics = calloc(count + 1, sizeof(*box.topics))};
        struct blackbox_topic *topic;
        int r;

        if (!box.topics) {
                return -ENOMEM;
        }
        for (; box.count < count; box.count++) {
                topic = &box.topics[box.count];
                *topic = (struct blackbox_topic){
                        .entry = entries[box.count],
                        .topic = TOPIC_NONE,
                };
                r = topic_examine(&topic->topic, topic->entry, &topic->error);
                if (r < 0) {
                        topic->error.code = r;
                        continue;
                }
                if (survey(&box, box.count) < 0) {
                        box.count++;
                        blackbox_close(&box);
                        return -ENOMEM;
                }
        }
        marks_sort(&box);
        *ret_box = box;
        return 0;
}

void blackbox_select(struct blackbox *box, const bool *wanted, uint64_t since_ns) {
        uint64_t from_ns = box->newest_ns > since_ns ? box->newest_ns - since_ns : 0;
        size_t i, kept = 0;

        for (i = 0; i < box->mark_count; i++) {
                if (box->marks[i].time_ns >= from_ns && (!wanted || wanted[box->marks[i].topic])) {
                        box->marks[kept++] = box->marks[i];
                }
        }
        box->mark_count = kept;
}

int blackbox_read(const struct blackbox *box,
                  const struct blackbox_mark *mark,
                  void *buffer,
                  struct slipring_sample *ret_sample) {
        const struct ring *ring = &box->topics[mark->topic].topic.ring;
        struct ring_view view;

        if (ring_look(ring, mark->sequence, &view) != 1) {
                return 0;
        }
        copy_from_slot(buffer, view.payload, view.payload_bytes);
        if (!ring_reader_validate(&view)) {
                return 0;
        }
        *ret_sample = (struct slipring_sample){
                .payload = buffer,
                .payload_bytes = view.payload_bytes,
                .epoch = view.epoch,
                .sequence = view.sequence,
                .publish_time_ns = view.publish_time_ns,
                .source_time_ns = view.source_time_ns,
        };
        return 1;
}

void blackbox_close(struct blackbox *box) {
        size_t i;

        for (i = 0; i < box->count; i++) {
                topic_detach(&box->topics[i].topic);
        }
        free(box->topics);
        free(box->marks);
        *box = (struct blackbox){0};
}
