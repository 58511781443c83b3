#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bus/claim.h"
#include "bus/manager/watch.h"

/*
 * State of a topic:
 *
 *   WAITING -> LIVE    (a sample came)
 *   WAITING -> STALE   (somebody has been its publisher for longer than the deadline, in silence)
 *   LIVE -> STALE      (the newest sample is older than the deadline)
 *   STALE -> LIVE      (it is not any more)
 */
enum watch_state {
        WATCH_WAITING,
        WATCH_LIVE,
        WATCH_STALE,
};

struct watch_topic {
        int data_id;
        enum watch_state state;
        uint64_t due_ns;   /* when to look at its age; UINT64_MAX: watch_look() does */
        uint64_t since_ns; /* when its publisher appeared */
        pid_t publisher;   /* 0: nobody; of several the last to come or go */
        int publishers;    /* of a shared topic: how many */
        char command[32];  /* the publisher's, which is gone when that is of interest */
};

static struct watch_topic *topic_find(const struct watch *watch, int data_id, size_t hint) {
        size_t i;

        if (hint < watch->count && watch->topics[hint].data_id == data_id) {
                return &watch->topics[hint];
        }
        for (i = 0; i < watch->count; i++) {
                if (watch->topics[i].data_id == data_id) {
                        return &watch->topics[i];
                }
        }
        return NULL;
}

void watch_follow(struct watch *watch, const struct registry *registry) {
        struct watch next = {.count = registry_count(registry)};
        const struct watch_topic *before;
        size_t i;

        next.topics = calloc(next.count + 1, sizeof(*next.topics));
        if (!next.topics) {
                next.count = 0;
        }
        for (i = 0; i < next.count; i++) {
                const struct layout_entry *entry = registry_entry(registry, i);

                before = topic_find(watch, entry->data_id, i);
                if (before) {
                        next.topics[i] = *before;
                } else {
                        next.topics[i].data_id = entry->data_id;
                }
                /* Its deadline may be there now; the first look tells. */
                next.topics[i].due_ns = entry->deadline_ns ? 0 : UINT64_MAX;
        }
        free(watch->topics);
        *watch = next;
}

/* --- publishers --- */

static void command_of(pid_t pid, char *command, size_t bytes) {
        char path[64];
        FILE *file;

        *command = '\0';
        (void) snprintf(path, sizeof(path), "/proc/%d/comm", (int) pid);
        file = fopen(path, "re");
        if (!file) {
                return;
        }
        if (!fgets(command, (int) bytes, file)) {
                *command = '\0';
        }
        command[strcspn(command, "\n")] = '\0';
        (void) fclose(file);
}

static void publisher_log(const struct log *log,
                          const struct layout_entry *entry,
                          const struct watch_topic *topic,
                          bool gone) {
        const struct log_event event = {
                .priority = LOG_INFO,
                .name = gone ? "publisher_gone" : "publisher",
                .topic = entry->name,
                .pid = topic->publisher,
        };
        bool named = *topic->command;

        log_event(log, &event, "publisher %d%s%s%s%s", (int) topic->publisher, named ? " (" : "",
                  topic->command, named ? ")" : "", gone ? " is gone" : "");
}

/* Several: their number, and who came or went. */
static void publishers_look(struct watch_topic *topic,
                            const struct layout_entry *entry,
                            const struct log *log,
                            uint64_t now_ns) {
        int count = claim_count(entry->claim_id), before = topic->publishers;
        pid_t pid = claim_last(entry->claim_id);
        struct log_event event = {.priority = LOG_INFO, .topic = entry->name, .pid = pid};

        if (count < 0 || pid < 0 || count == before) {
                return;
        }
        event.name = count < before ? "publisher_gone" : "publisher";
        log_event(log, &event, "publisher %d%s, %d now", (int) pid,
                  count < before ? " is gone" : "", count);
        topic->publishers = count;
        topic->publisher = count > 0 ? pid : 0;
        if (before == 0) {
                topic->since_ns = now_ns;
                if (topic->due_ns == UINT64_MAX && entry->deadline_ns) {
                        topic->due_ns = now_ns;
                }
        }
}

static void publisher_look(struct watch_topic *topic,
                           const struct layout_entry *entry,
                           const struct log *log,
                           uint64_t now_ns) {
        pid_t pid;

        if (topic_is_shared(entry)) {
                publishers_look(topic, entry, log, now_ns);
                return;
        }
        pid = claim_holder(entry->claim_id);
        /* A claim that cannot be asked is what registry_verify() is about. */
        if (pid < 0 || pid == topic->publisher) {
                return;
        }
        if (topic->publisher > 0) {
                publisher_log(log, entry, topic, true);
        }
        topic->publisher = pid;
        topic->since_ns = now_ns;
        if (pid > 0) {
                command_of(pid, topic->command, sizeof(topic->command));
                publisher_log(log, entry, topic, false);
                if (topic->due_ns == UINT64_MAX && entry->deadline_ns) {
                        topic->due_ns = now_ns;
                }
        }
}

/* --- deadlines --- */

static void state_log(const struct log *log, const struct layout_entry *entry, bool stale) {
        const struct log_event event = {
                .priority = stale ? LOG_WARNING : LOG_INFO,
                .name = stale ? "stale" : "fresh",
                .topic = entry->name,
        };

        if (stale) {
                log_event(log, &event, "stale: no sample within its deadline of %g ms",
                          (double) entry->deadline_ns / 1e6);
        } else {
                log_event(log, &event, "fresh again");
        }
}

static uint64_t deadline_after(uint64_t time_ns, uint64_t deadline_ns) {
        return time_ns > UINT64_MAX - 1 - deadline_ns ? UINT64_MAX - 1 : time_ns + deadline_ns;
}

/* When a topic was or will be overdue; UINT64_MAX if nothing is expected of it. */
static uint64_t overdue_at(const struct watch_topic *topic,
                           const struct layout_entry *entry,
                           const struct ring *ring,
                           bool any,
                           uint64_t now_ns) {
        uint64_t newest = ring_newest_time_ns(ring);

        if (!entry->deadline_ns) {
                return UINT64_MAX;
        }
        /* Being overtaken is to be live. The publisher writes what it likes; a sample of the future
         * is one of now. */
        newest = (any && newest == 0) || newest > now_ns ? now_ns : newest;
        if (newest > 0) {
                return deadline_after(newest, entry->deadline_ns);
        }
        return topic->publisher > 0 ? deadline_after(topic->since_ns, entry->deadline_ns)
                                    : UINT64_MAX;
}

static void age_look(struct watch_topic *topic,
                     const struct layout_entry *entry,
                     const struct ring *ring,
                     const struct log *log,
                     uint64_t now_ns) {
        /* relaxed: only whether there was ever a sample. */
        bool any = atomic_load_explicit(&ring->words->head, memory_order_relaxed) > 0;
        uint64_t overdue_ns = overdue_at(topic, entry, ring, any, now_ns);
        bool stale = overdue_ns <= now_ns;

        if (stale && topic->state != WATCH_STALE) {
                /* Whose fault it is comes first. */
                publisher_look(topic, entry, log, now_ns);
                state_log(log, entry, true);
        }
        if (!stale && topic->state == WATCH_STALE) {
                state_log(log, entry, false);
        }
        topic->state = stale ? WATCH_STALE : any ? WATCH_LIVE : WATCH_WAITING;
        topic->due_ns = stale ? UINT64_MAX : overdue_ns;
}

/* What a dead subscriber pinned keeps nobody from anything; but it is not held any more. */
static void pins_look(const struct registry *registry, size_t index, const struct log *log) {
        const struct layout_entry *entry = registry_entry(registry, index);
        const struct log_event event = {
                .priority = LOG_INFO,
                .name = "pins_reclaimed",
                .topic = entry->name,
        };
        uint32_t count = entry->pins ? registry_reap_pins(registry, index) : 0;

        if (count > 0) {
                log_event(log, &event, "took back %u pin%s of subscribers that died", count,
                          count == 1 ? "" : "s");
        }
}

void watch_look(struct watch *watch, const struct registry *registry, const struct log *log) {
        uint64_t now_ns = slipring_now_ns();
        size_t i;

        if (watch->count != registry_count(registry)) {
                /* There was no memory to follow the last change. */
                watch_follow(watch, registry);
        }
        for (i = 0; i < watch->count; i++) {
                publisher_look(&watch->topics[i], registry_entry(registry, i), log, now_ns);
                pins_look(registry, i, log);
                if (watch->topics[i].due_ns == UINT64_MAX) {
                        age_look(&watch->topics[i], registry_entry(registry, i),
                                 registry_ring(registry, i), log, now_ns);
                }
        }
}

uint64_t watch_deadlines(struct watch *watch,
                         const struct registry *registry,
                         const struct log *log,
                         uint64_t now_ns) {
        uint64_t next_ns = UINT64_MAX;
        size_t i;

        for (i = 0; i < watch->count; i++) {
                if (watch->topics[i].due_ns <= now_ns) {
                        age_look(&watch->topics[i], registry_entry(registry, i),
                                 registry_ring(registry, i), log, now_ns);
                }
                if (watch->topics[i].due_ns < next_ns) {
                        next_ns = watch->topics[i].due_ns;
                }
        }
        return next_ns;
}

/* --- summary --- */

struct watch_summary watch_summarise(const struct watch *watch) {
        struct watch_summary summary = {0};
        size_t i;

        for (i = 0; i < watch->count; i++) {
                const struct watch_topic *topic = &watch->topics[i];

                summary.stale += topic->state == WATCH_STALE;
                summary.live += topic->state == WATCH_LIVE && topic->publisher > 0;
        }
        return summary;
}

void watch_free(struct watch *watch) {
        free(watch->topics);
        *watch = (struct watch){0};
}
