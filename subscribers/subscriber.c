/*
 * The subscriber's handle: a topic attached read-only and the place of its reader.
 */

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bus/claim.h"
#include "bus/copy.h"
#include "bus/error.h"
#include "bus/guard.h"
#include "bus/probe.h"
#include "bus/type.h"
#include "bus/wake.h"
#include "subscribers/latency.h"
#include "subscribers/subscriber.h"

/* What most calls have no need of does not share registers with what they do. */
#define APART __attribute__((noinline))

static const struct slipring_subscriber_options default_options = {
        .size = sizeof(struct slipring_subscriber_options),
};

static int check_options(const char *topic,
                         const struct slipring_subscriber_options *options,
                         struct slipring_error *reterr) {
        int r = topic_name_check(topic ? topic : "", reterr);

        if (r < 0) {
                return r;
        }
        if (options->size != sizeof(*options) &&
            options->size != offsetof(struct slipring_subscriber_options, pins)) {
                return error_set(reterr, -EINVAL,
                                 "slipring_subscriber_options.size is %u instead of %zu: set it to "
                                 "sizeof, and build against this library's headers",
                                 options->size, sizeof(*options));
        }
        if (options->start > SLIPRING_START_NEXT) {
                return error_set(reterr, -EINVAL,
                                 "slipring_subscriber_options.start is %u: see enum "
                                 "slipring_start",
                                 options->start);
        }
        if (options->size == sizeof(*options) && options->spin_us > SLIPRING_SPIN_US_MAX) {
                return error_set(reterr, -EINVAL,
                                 "slipring_subscriber_options.spin_us is %u: at most %u, which are "
                                 "100 ms",
                                 options->spin_us, SLIPRING_SPIN_US_MAX);
        }
        if (options->bus &&
            strlen(options->bus) >= sizeof(((struct slipring_subscriber *) 0)->bus)) {
                return error_set(reterr, -EINVAL, "'%.80s...' is no bus name", options->bus);
        }
        return options->type ? type_check(options->type, reterr) : 0;
}

/* --- pins --- */

static struct hold *holds_free(struct hold *holds, uint32_t count, const struct pins *pins) {
        uint32_t i;

        for (i = 0; holds && i < count; i++) {
                pin_release(&holds[i].pin, pins);
        }
        free(holds);
        return NULL;
}

/* Own as many lines of a topic. */
static int holds_acquire(struct hold **ret_holds,
                         uint32_t count,
                         const struct topic *topic,
                         struct slipring_error *reterr) {
        struct hold *holds;
        uint32_t i;
        int r = count > topic->pins.count ? -ENOBUFS : 0;

        /* One more than needed: calloc(3) may return NULL for none. */
        holds = r == 0 ? calloc(count + 1u, sizeof(*holds)) : NULL;
        if (r == 0 && !holds) {
                return error_set(reterr, -ENOMEM, "topic '%s': no memory", topic->entry.name);
        }
        for (i = 0; r == 0 && i < count; i++) {
                r = pin_acquire(&holds[i].pin, &topic->pins);
        }
        if (r < 0) {
                holds_free(holds, count, &topic->pins);
                return error_set(reterr, r,
                                 r == -ENOBUFS ? "topic '%s': %u of its %u pins are not free; "
                                                 "raise 'pins' in the schema"
                                               : "topic '%s': cannot claim %u of its %u pins",
                                 topic->entry.name, count, topic->entry.pins);
        }
        *ret_holds = holds;
        return 0;
}

static struct hold *hold_find(const struct slipring_subscriber *subscriber, const void *payload) {
        uint32_t i;

        for (i = 0; i < subscriber->hold_count; i++) {
                if (subscriber->holds[i].pin.held == (payload != NULL) &&
                    (!payload || subscriber->holds[i].view.payload == payload)) {
                        return &subscriber->holds[i];
                }
        }
        return NULL;
}

static bool holds_any(const struct slipring_subscriber *subscriber) {
        uint32_t i;

        for (i = 0; i < subscriber->hold_count; i++) {
                if (subscriber->holds[i].pin.held) {
                        return true;
                }
        }
        return false;
}

/* --- opening --- */

/* Attach and own the lines; a topic that is replaced in between is looked up again. */
static int attach(struct topic *ret_topic,
                  struct hold **ret_holds,
                  struct slipring_subscriber *subscriber,
                  const struct topic_request *request,
                  struct slipring_error *reterr) {
        int r;

        do {
                r = topic_open(ret_topic, &subscriber->directory, request, reterr);
                if (r < 0) {
                        return r;
                }
                segment_prefault(&ret_topic->data, false);
                r = holds_acquire(ret_holds, subscriber->hold_count, ret_topic, reterr);
                if (r < 0) {
                        topic_detach(ret_topic);
                }
        } while (r == -EIDRM);
        return r;
}

static void adopt(struct slipring_subscriber *subscriber, const struct topic *topic) {
        subscriber->topic = *topic;
        subscriber->payload_bytes = topic->entry.payload_bytes;
        subscriber->asleep = topic->asleep;
        subscriber->chain_end = topic->chain_end;
}

int slipring_subscriber_open(struct slipring_subscriber **ret_subscriber,
                             const char *topic_name,
                             const struct slipring_subscriber_options *options,
                             struct slipring_error *reterr) {
        struct slipring_subscriber *subscriber;
        struct topic_request request;
        struct topic topic;
        int r;

        options = options ? options : &default_options;
        r = check_options(topic_name, options, reterr);
        if (r < 0) {
                return r;
        }
        subscriber = calloc(1, sizeof(*subscriber));
        if (!subscriber || guard_open(&subscriber->cookie) < 0) {
                free(subscriber);
                return error_set(reterr, -ENOMEM, "topic '%s': no memory", topic_name);
        }
        subscriber->topic = TOPIC_NONE;
        subscriber->directory.segment = SEGMENT_NONE;
        subscriber->type = options->type;
        subscriber->no_waitv = probe_disabled("futex_waitv");
        if (options->bus) {
                strcpy(subscriber->bus, options->bus);
        }
        request = (struct topic_request){
                .bus = options->bus,
                .topic = topic_name,
                .type = options->type,
                .deadline_ns = options->deadline_ns,
                .not_id = -1,
        };
        if (options->size == sizeof(*options)) {
                subscriber->hold_count = options->pins;
                /* Of the machine and not of this thread, which may be kept to one processor just so
                 * that others have theirs. */
                spin_start(&subscriber->spin, options->spin_us, sysconf(_SC_NPROCESSORS_ONLN));
        }
        r = attach(&topic, &subscriber->holds, subscriber, &request, reterr);
        if (r < 0) {
                slipring_subscriber_close(subscriber);
                return r;
        }
        if (!*subscriber->bus) {
                /* What was the default may be another bus by the time of a move. */
                directory_full_name(&subscriber->directory, subscriber->bus,
                                    sizeof(subscriber->bus));
        }
        adopt(subscriber, &topic);
        subscriber->reader.ring = topic.ring;
        ring_reader_start(&subscriber->reader, options->start);
        *ret_subscriber = subscriber;
        return 0;
}

/* --- taking --- */

static int
find(struct slipring_subscriber *subscriber, bool newest, struct ring_view *view, int *tries) {
        int r;

        r = newest ? ring_reader_newest(&subscriber->reader, view, tries)
                   : ring_reader_next(&subscriber->reader, view, tries);
        if (r == 0 && ring_retired(&subscriber->reader.ring) &&
            !ring_reader_ready(&subscriber->reader)) {
                return -EIDRM;
        }
        return r;
}

static int begin(const struct slipring_subscriber *subscriber) {
        if (!guard_holds(subscriber->cookie)) {
                return -ECHILD;
        }
        return subscriber->borrowed ? -EBUSY : 0;
}

APART static void record(struct latency *latency, uint64_t publish_time_ns) {
        uint64_t now = slipring_now_ns();

        /* In another time namespace than the publisher's the clock may be behind. */
        latency_add(latency, now > publish_time_ns ? now - publish_time_ns : 0);
}

APART static void
end_attended(struct slipring_subscriber *subscriber, int r, const struct ring_view *view) {
        subscriber->attended = subscriber->watch || subscriber->latency;
        if (r == 1 && subscriber->latency) {
                record(subscriber->latency, view->publish_time_ns);
        }
        if (subscriber->watch) {
                watch_took(subscriber->watch);
        }
}

/* @r: 1 if the call comes back with the sample @view */
static void end(struct slipring_subscriber *subscriber, int r, const struct ring_view *view) {
        if (subscriber->attended) {
                end_attended(subscriber, r, view);
        }
}

static int take(struct slipring_subscriber *subscriber,
                bool newest,
                void *buffer,
                size_t buffer_bytes,
                struct slipring_sample *ret_sample) {
        int tries = newest ? RING_TRIES_NEWEST : RING_TRIES_NEXT, r;
        struct ring_view view;

        r = begin(subscriber);
        if (r < 0) {
                return r;
        }
        if (buffer_bytes < subscriber->payload_bytes) {
                return -EMSGSIZE;
        }
        while ((r = find(subscriber, newest, &view, &tries)) == 1) {
                copy_from_slot(buffer, view.payload, view.payload_bytes);
                if (ring_reader_validate(&view)) {
                        ring_reader_accept(&subscriber->reader, &view, ret_sample);
                        if (ret_sample) {
                                ret_sample->payload = buffer;
                        }
                        break;
                }
                if (!newest) {
                        ring_reader_refuse(&subscriber->reader, &view);
                }
        }
        end(subscriber, r, &view);
        return r;
}

int slipring_subscriber_take(struct slipring_subscriber *subscriber,
                             void *buffer,
                             size_t buffer_bytes,
                             struct slipring_sample *ret_sample) {
        return take(subscriber, false, buffer, buffer_bytes, ret_sample);
}

int slipring_subscriber_take_newest(struct slipring_subscriber *subscriber,
                                    void *buffer,
                                    size_t buffer_bytes,
                                    struct slipring_sample *ret_sample) {
        return take(subscriber, true, buffer, buffer_bytes, ret_sample);
}

/* How many messages have room. */
static size_t room(const struct slipring_subscriber *subscriber, size_t bytes, size_t capacity) {
        size_t fit = bytes / subscriber->payload_bytes;

        fit = fit < capacity ? fit : capacity;
        return fit < INT_MAX ? fit : INT_MAX;
}

/* @recorded: whether somebody wants to know how long they took. A constant, so that the loop is
 * made twice and the one without has nothing of it. */
static inline int take_batch(struct slipring_subscriber *subscriber,
                             void *buffer,
                             size_t capacity,
                             struct slipring_sample *ret_samples,
                             const bool recorded) {
        struct ring_reader *reader = &subscriber->reader;
        int tries = RING_TRIES_NEXT, r = 0;
        uint8_t *message = buffer;
        struct ring_view view;
        size_t taken = 0;
        uint64_t head;

        head = ring_reader_head(reader);
        while (taken < capacity && (r = ring_reader_next_to(reader, &head, &view, &tries)) == 1) {
                copy_from_slot(message, view.payload, view.payload_bytes);
                if (!ring_reader_validate(&view)) {
                        ring_reader_refuse(reader, &view);
                        head = ring_reader_head(reader);
                        continue;
                }
                ring_reader_accept(reader, &view, ret_samples ? &ret_samples[taken] : NULL);
                if (ret_samples) {
                        ret_samples[taken].payload = message;
                }
                if (recorded) {
                        record(subscriber->latency, view.publish_time_ns);
                }
                message += subscriber->payload_bytes;
                taken++;
                tries = RING_TRIES_NEXT;
        }
        if (taken == 0 && r == 0 && ring_retired(&reader->ring) && !ring_reader_ready(reader)) {
                r = -EIDRM;
        }
        return taken ? (int) taken : r;
}

int slipring_subscriber_take_batch(struct slipring_subscriber *subscriber,
                                   void *buffer,
                                   size_t buffer_bytes,
                                   struct slipring_sample *ret_samples,
                                   size_t capacity) {
        int r = begin(subscriber);

        if (r < 0) {
                return r;
        }
        if (capacity == 0 || buffer_bytes < subscriber->payload_bytes) {
                return capacity == 0 ? -EINVAL : -EMSGSIZE;
        }
        capacity = room(subscriber, buffer_bytes, capacity);
        r = subscriber->latency ? take_batch(subscriber, buffer, capacity, ret_samples, true)
                                : take_batch(subscriber, buffer, capacity, ret_samples, false);
        end(subscriber, 0, NULL);
        return r;
}

static int
borrow(struct slipring_subscriber *subscriber, bool newest, struct slipring_sample *ret_sample) {
        int tries = newest ? RING_TRIES_NEWEST : RING_TRIES_NEXT, r;
        struct ring_view *view = &subscriber->view;

        r = begin(subscriber);
        if (r < 0) {
                return r;
        }
        /* The metadata must not be torn even if the payload is by the time it is read. */
        while ((r = find(subscriber, newest, view, &tries)) == 1 && !ring_reader_validate(view)) {
                if (!newest) {
                        ring_reader_refuse(&subscriber->reader, view);
                }
        }
        if (r == 1) {
                *ret_sample = (struct slipring_sample){
                        .payload = view->payload,
                        .payload_bytes = view->payload_bytes,
                        .epoch = view->epoch,
                        .sequence = view->sequence,
                        .publish_time_ns = view->publish_time_ns,
                        .source_time_ns = view->source_time_ns,
                        .missed = subscriber->reader.gap + view->sequence - subscriber->reader.next,
                };
                subscriber->borrowed = true;
                if (subscriber->latency) {
                        record(subscriber->latency, view->publish_time_ns);
                }
                return 1;
        }
        end(subscriber, 0, NULL);
        return r;
}

int slipring_subscriber_borrow(struct slipring_subscriber *subscriber,
                               struct slipring_sample *ret_sample) {
        return borrow(subscriber, false, ret_sample);
}

int slipring_subscriber_borrow_newest(struct slipring_subscriber *subscriber,
                                      struct slipring_sample *ret_sample) {
        return borrow(subscriber, true, ret_sample);
}

int slipring_subscriber_release(struct slipring_subscriber *subscriber) {
        bool whole;

        if (!guard_holds(subscriber->cookie)) {
                return -ECHILD;
        }
        if (!subscriber->borrowed) {
                return -EINVAL;
        }
        subscriber->borrowed = false;
        whole = ring_reader_validate(&subscriber->view);
        if (whole) {
                ring_reader_accept(&subscriber->reader, &subscriber->view, NULL);
        } else {
                ring_reader_refuse(&subscriber->reader, &subscriber->view);
        }
        end(subscriber, 0, NULL);
        return whole ? 0 : -ESTALE;
}

static inline int
pin(struct slipring_subscriber *subscriber, bool newest, struct slipring_sample *ret_sample) {
        int tries = newest ? RING_TRIES_NEWEST : RING_TRIES_NEXT, r;
        struct hold *hold;

        r = begin(subscriber);
        if (r < 0) {
                return r;
        }
        hold = hold_find(subscriber, NULL);
        if (!hold) {
                return -ENOBUFS;
        }
        while ((r = find(subscriber, newest, &hold->view, &tries)) == 1) {
                if (pin_hold(&hold->pin, &subscriber->reader.ring, &hold->view)) {
                        ring_reader_accept(&subscriber->reader, &hold->view, ret_sample);
                        ret_sample->payload = hold->view.payload;
                        break;
                }
                if (!newest) {
                        ring_reader_refuse(&subscriber->reader, &hold->view);
                }
        }
        end(subscriber, r, &hold->view);
        return r;
}

int slipring_subscriber_pin(struct slipring_subscriber *subscriber,
                            struct slipring_sample *ret_sample) {
        return pin(subscriber, false, ret_sample);
}

int slipring_subscriber_pin_newest(struct slipring_subscriber *subscriber,
                                   struct slipring_sample *ret_sample) {
        return pin(subscriber, true, ret_sample);
}

int slipring_subscriber_unpin(struct slipring_subscriber *subscriber, const void *payload) {
        struct hold *hold;
        bool whole;

        if (!guard_holds(subscriber->cookie)) {
                return -ECHILD;
        }
        hold = payload ? hold_find(subscriber, payload) : NULL;
        if (!hold) {
                return -EINVAL;
        }
        /* Before the slot is anybody's again. */
        whole = ring_reader_validate(&hold->view);
        pin_drop(&hold->pin);
        if (!whole) {
                ring_reader_revoke(&subscriber->reader);
        }
        return whole ? 0 : -ESTALE;
}

/* --- waiting --- */

bool subscriber_ready(const struct slipring_subscriber *subscriber) {
        return ring_reader_ready(&subscriber->reader) || ring_retired(&subscriber->reader.ring);
}

/* The first half of going to sleep; a fence and a last look at head are to follow. */
static struct wake_item announce_sleep(const struct slipring_subscriber *subscriber) {
        struct layout_words *words = subscriber->reader.ring.words;

        /* wake.word: the word before the last look at head; a publish after it changes the word.
         * asleep.clear: and the word before the flag; the publisher cleared the flag before it
         * stored the word, so it cannot clear this one without waking. */
        const struct wake_item item = {
                .word = &words->wake,
                .expected = atomic_load_explicit(&words->wake, memory_order_acquire),
                .chain_end = subscriber->chain_end,
        };

        /* asleep.dekker: the flag before the last look at head. */
        atomic_store_explicit(subscriber->asleep, 1, memory_order_relaxed);
        return item;
}

int subscriber_prepare_sleep(struct slipring_subscriber *subscriber, struct wake_item *ret_item) {
        *ret_item = announce_sleep(subscriber);
        /* asleep.dekker: pairs with the fence between head and flag in ring_writer_commit(). */
        atomic_thread_fence(memory_order_seq_cst);
        if (ring_reader_ready(&subscriber->reader)) {
                return 1;
        }
        return ring_retired(&subscriber->reader.ring) ? -EIDRM : 0;
}

APART static int await(struct slipring_subscriber *subscriber, uint64_t deadline_ns) {
        struct wake_item item;
        int r;

        while (!ring_reader_ready(&subscriber->reader)) {
                /* Before the flag on the wake board is set: who only polls is no sleeper, and must
                 * not cost the publisher a wake-up. */
                if (slipring_now_ns() >= deadline_ns) {
                        return ring_retired(&subscriber->reader.ring) ? -EIDRM : -ETIMEDOUT;
                }
                r = subscriber_prepare_sleep(subscriber, &item);
                if (r != 0) {
                        return r == 1 ? 0 : r;
                }
                r = wake_sleep(&item, wake_bound(deadline_ns));
                if (r < 0 && r != -ETIMEDOUT) {
                        return r;
                }
        }
        return 0;
}

/* The first ready handle from a turn on; -1 for none. */
static int find_ready(struct slipring_subscriber *const *subscribers, size_t count, size_t turn) {
        size_t i, index;

        for (i = 0; i < count; i++) {
                index = (turn + i) % count;
                if (subscriber_ready(subscribers[index])) {
                        return (int) index;
                }
        }
        return -1;
}

/* Look for a sample instead of sleeping, for as long as that promises something. The flags on the
 * wake board stay as they are: to a publisher, who looks is no sleeper. Whoever finds nothing has
 * promised nothing either, and goes to sleep as ever. */
static void look(struct slipring_subscriber *const *subscribers,
                 size_t count,
                 uint64_t begin_ns,
                 uint64_t deadline_ns) {
        struct spin *spin = &subscribers[0]->spin;
        uint64_t span = spin_span(spin), end_ns;
        unsigned looks = 0;
        int index;

        if (span == 0) {
                return;
        }
        end_ns = span < deadline_ns - begin_ns ? begin_ns + span : deadline_ns;
        while ((index = find_ready(subscribers, count, 0)) < 0) {
                /* Of many handles each is a look. */
                looks += (unsigned) count;
                if (looks >= SPIN_LOOKS) {
                        looks = 0;
                        if (slipring_now_ns() >= end_ns) {
                                break;
                        }
                }
                spin_pause();
        }
        /* That a topic was retired is no sample. */
        spin_ended(spin, index >= 0 && ring_reader_ready(&subscribers[index]->reader));
}

/* How long after the wait began the sample was published that it ended with. */
static uint64_t waited(const struct slipring_subscriber *subscriber, uint64_t begin_ns) {
        const struct ring_reader *reader = &subscriber->reader;
        struct ring_view view;
        uint64_t end_ns;

        /* What the ring has overtaken already was there before now. */
        end_ns = ring_look(&reader->ring, reader->next, &view) == 1 ? view.publish_time_ns
                                                                    : slipring_now_ns();
        return end_ns > begin_ns ? end_ns - begin_ns : 0;
}

static void
learn(struct spin *spin, int r, const struct slipring_subscriber *ready, uint64_t begin_ns) {
        if (r == -ETIMEDOUT) {
                spin_learn(spin, UINT64_MAX);
        } else if (r >= 0 && ring_reader_ready(&ready->reader)) {
                spin_learn(spin, waited(ready, begin_ns));
        }
}

APART static int await_spinning(struct slipring_subscriber *subscriber, uint64_t deadline_ns) {
        uint64_t begin_ns = slipring_now_ns();
        int r;

        /* Who only polls does not wait. */
        if (begin_ns >= deadline_ns) {
                return await(subscriber, deadline_ns);
        }
        look(&subscriber, 1, begin_ns, deadline_ns);
        r = await(subscriber, deadline_ns);
        learn(&subscriber->spin, r, subscriber, begin_ns);
        return r;
}

int slipring_subscriber_wait(struct slipring_subscriber *subscriber, uint64_t deadline_ns) {
        int r = begin(subscriber);

        if (r < 0 || ring_reader_ready(&subscriber->reader)) {
                return r;
        }
        return subscriber->spin.budget_ns ? await_spinning(subscriber, deadline_ns)
                                          : await(subscriber, deadline_ns);
}

/* The handle whose turn it is among those that are ready; the turn goes on. */
static int any_ready(struct slipring_subscriber *const *subscribers, size_t count) {
        int index = find_ready(subscribers, count, subscribers[0]->turn);

        if (index >= 0) {
                subscribers[0]->turn = (size_t) index + 1;
        }
        return index;
}

static int
wait_all(struct slipring_subscriber *const *subscribers, size_t count, uint64_t deadline_ns) {
        struct wake_item items[WAKE_ITEMS_MAX];
        size_t i;

        if (slipring_now_ns() >= deadline_ns) {
                return -ETIMEDOUT;
        }
        for (i = 0; i < count; i++) {
                items[i] = announce_sleep(subscribers[i]);
        }
        /* asleep.dekker: as in subscriber_prepare_sleep(), one fence for all of them. */
        atomic_thread_fence(memory_order_seq_cst);
        if (find_ready(subscribers, count, 0) >= 0) {
                return 0;
        }
        if (subscribers[0]->no_waitv) {
                return -ENOSYS;
        }
        return wake_sleep_any(items, count, wake_bound(deadline_ns));
}

static int
await_any(struct slipring_subscriber *const *subscribers, size_t count, uint64_t deadline_ns) {
        int index, r;

        while ((index = any_ready(subscribers, count)) < 0) {
                r = wait_all(subscribers, count, deadline_ns);
                if (r == -ENOSYS) {
                        r = waitset_wait_any(subscribers, count, deadline_ns);
                }
                if (r < 0 && (r != -ETIMEDOUT || slipring_now_ns() >= deadline_ns)) {
                        return r;
                }
        }
        return index;
}

static int await_any_spinning(struct slipring_subscriber *const *subscribers,
                              size_t count,
                              uint64_t deadline_ns) {
        uint64_t begin_ns = slipring_now_ns();
        int r;

        if (begin_ns >= deadline_ns || find_ready(subscribers, count, 0) >= 0) {
                return await_any(subscribers, count, deadline_ns);
        }
        look(subscribers, count, begin_ns, deadline_ns);
        r = await_any(subscribers, count, deadline_ns);
        learn(&subscribers[0]->spin, r, r < 0 ? NULL : subscribers[r], begin_ns);
        return r;
}

int slipring_subscriber_wait_any(struct slipring_subscriber *const *subscribers,
                                 size_t count,
                                 uint64_t deadline_ns) {
        size_t i;
        int r;

        if (count == 0) {
                return -EINVAL;
        }
        if (count > WAKE_ITEMS_MAX) {
                return -E2BIG;
        }
        for (i = 0; i < count; i++) {
                r = begin(subscribers[i]);
                if (r < 0) {
                        return r;
                }
        }
        return subscribers[0]->spin.budget_ns ? await_any_spinning(subscribers, count, deadline_ns)
                                              : await_any(subscribers, count, deadline_ns);
}

/* --- looking --- */

int slipring_subscriber_info(struct slipring_subscriber *subscriber,
                             struct slipring_subscriber_info *ret_info) {
        const struct ring *ring = &subscriber->reader.ring;
        uint64_t newest, now;
        unsigned publishers;
        pid_t pid;

        if (!guard_holds(subscriber->cookie)) {
                return -ECHILD;
        }
        publishers = topic_publishers(&subscriber->topic, &pid);
        newest = ring_newest_time_ns(ring);
        now = slipring_now_ns();
        *ret_info = (struct slipring_subscriber_info){
                /* head.publish: pairs with the store in ring_writer_commit(). */
                .sequence = atomic_load_explicit(&ring->words->head, memory_order_acquire),
                .delivered = subscriber->reader.delivered,
                .missed = subscriber->reader.missed,
                .age_ns = !newest        ? UINT64_MAX
                          : now > newest ? now - newest
                                         : 0,
                .deadline_ns = subscriber->topic.entry.deadline_ns,
                .rate_hz = ring_rate_hz(ring),
                .nominal_rate_hz = subscriber->topic.entry.rate_hz,
                .publisher_pid = pid,
                .publishers = publishers,
                /* relaxed: a statistic. */
                .epoch = atomic_load_explicit(&ring->words->epoch, memory_order_relaxed),
                .depth = ring->depth,
                .attached = segment_attached(&subscriber->topic.data),
                .retired = ring_retired(ring),
                .pins = subscriber->topic.pins.count,
                .pinned = pins_held(&subscriber->topic.pins),
                /* relaxed: a statistic. */
                .pin_broken = atomic_load_explicit(&ring->words->pin_broken, memory_order_relaxed),
                .spins = subscriber->spin.looked,
                .spins_helped = subscriber->spin.helped,
        };
        ret_info->stale = ret_info->deadline_ns && ret_info->age_ns > ret_info->deadline_ns;
        return 0;
}

int slipring_subscriber_record_latency(struct slipring_subscriber *subscriber, bool on) {
        if (!guard_holds(subscriber->cookie)) {
                return -ECHILD;
        }
        if (!on) {
                free(subscriber->latency);
                subscriber->latency = NULL;
                return 0;
        }
        if (!subscriber->latency) {
                subscriber->latency = malloc(sizeof(*subscriber->latency));
                if (!subscriber->latency) {
                        return -ENOMEM;
                }
                latency_clear(subscriber->latency);
                subscriber->attended = true;
        }
        return 0;
}

/* 0 if the handle may be asked for its latency. */
static int latency_check(const struct slipring_subscriber *subscriber) {
        if (!guard_holds(subscriber->cookie)) {
                return -ECHILD;
        }
        return subscriber->latency ? 0 : -ENODATA;
}

int slipring_subscriber_latency(const struct slipring_subscriber *subscriber,
                                struct slipring_latency *ret_latency) {
        int r = latency_check(subscriber);

        if (r == 0) {
                latency_summary(subscriber->latency, ret_latency);
        }
        return r;
}

int slipring_subscriber_latency_buckets(const struct slipring_subscriber *subscriber,
                                        struct slipring_latency_bucket *ret_buckets,
                                        size_t capacity) {
        int r = latency_check(subscriber);

        return r < 0 ? r : (int) latency_buckets(subscriber->latency, ret_buckets, capacity);
}

int slipring_subscriber_reset_latency(struct slipring_subscriber *subscriber) {
        int r = latency_check(subscriber);

        if (r == 0) {
                latency_clear(subscriber->latency);
        }
        return r;
}

const struct slipring_type *slipring_subscriber_type(const struct slipring_subscriber *subscriber) {
        return &subscriber->topic.header.type;
}

int slipring_subscriber_move(struct slipring_subscriber *subscriber,
                             uint64_t deadline_ns,
                             struct slipring_error *reterr) {
        struct topic_request request;
        struct hold *holds = NULL;
        struct topic topic;
        int r;

        r = begin(subscriber);
        if (r == 0 && holds_any(subscriber)) {
                r = -EBUSY;
        }
        if (r < 0) {
                return error_set(reterr, r,
                                 r == -ECHILD ? "the handle belongs to the parent process"
                                              : "a view is borrowed or a sample pinned: "
                                                "release it first");
        }
        request = (struct topic_request){
                .bus = *subscriber->bus ? subscriber->bus : NULL,
                .topic = subscriber->topic.entry.name,
                .type = subscriber->type,
                .deadline_ns = deadline_ns,
                .not_id = subscriber->topic.data.id,
        };
        r = attach(&topic, &holds, subscriber, &request, reterr);
        if (r < 0) {
                return r;
        }
        if (subscriber->watch) {
                watch_disarm(subscriber->watch);
        }
        ring_reader_move(&subscriber->reader, &topic.ring);
        holds_free(subscriber->holds, subscriber->hold_count, &subscriber->topic.pins);
        subscriber->holds = holds;
        topic_detach(&subscriber->topic);
        adopt(subscriber, &topic);
        end(subscriber, 0, NULL);
        return 0;
}

struct slipring_subscriber *slipring_subscriber_close(struct slipring_subscriber *subscriber) {
        if (!subscriber) {
                return NULL;
        }
        if (guard_holds(subscriber->cookie)) {
                if (subscriber->watch) {
                        watch_remove(subscriber->watch);
                }
                subscriber->holds = holds_free(subscriber->holds, subscriber->hold_count,
                                               &subscriber->topic.pins);
                topic_detach(&subscriber->topic);
                directory_detach(&subscriber->directory);
        } else {
                if (subscriber->watch) {
                        watch_forget(subscriber->watch);
                }
                header_free(&subscriber->topic.header);
                header_free(&subscriber->directory.header);
        }
        free(subscriber->holds);
        free(subscriber->latency);
        free(subscriber);
        return NULL;
}
