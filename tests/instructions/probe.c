/*
 * Each call on a sample's way, a thousand times, for callgrind to count.
 *
 * A case is a function of its own: what it calls is counted apart from what other cases call, and
 * from the loop. `measure` beside this file knows which of the calls in a case are meant; the
 * others set the scene.
 */

#include <stdatomic.h>
#include <stdio.h>
#include <unistd.h>

#include <slipring/publisher.h>
#include <slipring/subscriber.h>

#include "bus/registry.h"
#include "subscribers/subscriber.h"

#define ROUNDS 1000u
#define SMALL_BYTES 64u
#define LARGE_BYTES (1u << 20)

/* What is inlined into main(), or folded into one with another that looks the same, has no name of
 * its own in callgrind's output. */
#if defined(__has_attribute)
#if __has_attribute(noipa)
#define CASE __attribute__((noipa)) static bool
#endif
#endif
#ifndef CASE
#define CASE __attribute__((noinline)) static bool
#endif

#define WORDS_TYPE(bytes, digest)                                                                  \
        {                                                                                          \
                .version = SLIPRING_TYPE_VERSION, .payload_bytes = (bytes), .field_count = 1,      \
                .root_count = 1, .identity = {(digest)}, .name = "probe_msgs/msg/Words" #digest,   \
                .text = "uint64[] words\n", .fields = &(const struct slipring_field) {             \
                        .name = "words", .unit = "", .kind = SLIPRING_KIND_UINT64,                 \
                        .count = (bytes) / 8, .element_bytes = 8,                                  \
                }                                                                                  \
        }

static const struct slipring_type small_type = WORDS_TYPE(SMALL_BYTES, 1);
static const struct slipring_type large_type = WORDS_TYPE(LARGE_BYTES, 2);

struct handles {
        struct slipring_publisher *publisher;
        struct slipring_subscriber *subscriber;
};

static uint64_t payload[SMALL_BYTES / 8], buffer[SMALL_BYTES / 8];

static bool put(const struct handles *handles) {
        return slipring_publisher_publish(handles->publisher, payload, sizeof(payload), 0) == 0;
}

/* Nobody is attached but one who does nothing. */
CASE case_publish(const struct handles *handles) {
        bool good = true;

        for (unsigned i = 0; i < ROUNDS; i++) {
                good &= slipring_publisher_publish(handles->publisher, payload, sizeof(payload),
                                                   1) == 0;
        }
        return good;
}

/* Somebody says that he sleeps: each publish wakes. */
CASE case_publish_asleep(const struct handles *handles) {
        bool good = true;

        for (unsigned i = 0; i < ROUNDS; i++) {
                /* relaxed: the same thread publishes. */
                atomic_store_explicit(handles->subscriber->asleep, 1, memory_order_relaxed);
                good &= slipring_publisher_publish(handles->publisher, payload, sizeof(payload),
                                                   1) == 0;
        }
        return good;
}

/* It does what its name says. */
static bool publish_asleep(const struct handles *handles) {
        struct slipring_publisher_info before, after;

        return slipring_publisher_info(handles->publisher, &before) == 0 &&
               case_publish_asleep(handles) &&
               slipring_publisher_info(handles->publisher, &after) == 0 &&
               after.wakeups == before.wakeups + ROUNDS;
}

static bool lend(const struct handles *handles) {
        void *slot;

        return slipring_publisher_loan(handles->publisher, &slot) == 0 &&
               slipring_publisher_commit(handles->publisher, 1) == 0;
}

CASE case_loan(const struct handles *handles) {
        bool good = true;
        void *slot;

        for (unsigned i = 0; i < ROUNDS; i++) {
                good &= slipring_publisher_loan(handles->publisher, &slot) == 0;
                good &= slipring_publisher_commit(handles->publisher, 1) == 0;
        }
        return good;
}

/* The same calls on samples of 1 MiB: in place they cost what small ones do. */
CASE case_loan_large(const struct handles *handles) {
        bool good = true;
        void *slot;

        for (unsigned i = 0; i < ROUNDS; i++) {
                good &= slipring_publisher_loan(handles->publisher, &slot) == 0;
                good &= slipring_publisher_commit(handles->publisher, 1) == 0;
        }
        return good;
}

CASE case_take(const struct handles *handles) {
        struct slipring_sample sample;
        bool good = true;

        for (unsigned i = 0; i < ROUNDS; i++) {
                good &= put(handles);
                good &= slipring_subscriber_take(handles->subscriber, buffer, sizeof(buffer),
                                                 &sample) == 1;
        }
        return good;
}

CASE case_take_nothing(const struct handles *handles) {
        struct slipring_sample sample;
        bool good = true;

        for (unsigned i = 0; i < ROUNDS; i++) {
                good &= slipring_subscriber_take(handles->subscriber, buffer, sizeof(buffer),
                                                 &sample) == 0;
        }
        return good;
}

/* Two were published: one is passed over. */
CASE case_take_newest(const struct handles *handles) {
        struct slipring_sample sample;
        bool good = true;

        for (unsigned i = 0; i < ROUNDS; i++) {
                good &= put(handles) && put(handles);
                good &= slipring_subscriber_take_newest(handles->subscriber, buffer, sizeof(buffer),
                                                        &sample) == 1;
        }
        return good;
}

/* Eight at once, which is what the ring holds. */
CASE case_take_batch(const struct handles *handles) {
        static uint64_t messages[8][SMALL_BYTES / 8];
        struct slipring_sample samples[8];
        bool good = true;

        for (unsigned i = 0; i < ROUNDS; i++) {
                for (unsigned j = 0; j < 8; j++) {
                        good &= put(handles);
                }
                good &= slipring_subscriber_take_batch(handles->subscriber, messages,
                                                       sizeof(messages), samples, 8) == 8;
        }
        return good;
}

CASE case_borrow(const struct handles *handles) {
        struct slipring_sample sample;
        bool good = true;

        for (unsigned i = 0; i < ROUNDS; i++) {
                good &= put(handles);
                good &= slipring_subscriber_borrow(handles->subscriber, &sample) == 1;
                good &= slipring_subscriber_release(handles->subscriber) == 0;
        }
        return good;
}

CASE case_borrow_large(const struct handles *handles) {
        struct slipring_sample sample;
        bool good = true;

        for (unsigned i = 0; i < ROUNDS; i++) {
                good &= lend(handles);
                good &= slipring_subscriber_borrow(handles->subscriber, &sample) == 1;
                good &= slipring_subscriber_release(handles->subscriber) == 0;
        }
        return good;
}

CASE case_pin(const struct handles *handles) {
        struct slipring_sample sample;
        bool good = true;

        for (unsigned i = 0; i < ROUNDS; i++) {
                good &= slipring_publisher_publish(handles->publisher, payload, sizeof(payload),
                                                   1) == 0;
                good &= slipring_subscriber_pin(handles->subscriber, &sample) == 1;
                good &= slipring_subscriber_unpin(handles->subscriber, sample.payload) == 0;
        }
        return good;
}

/* There is something already. */
CASE case_wait_ready(const struct handles *handles) {
        bool good = put(handles);

        for (unsigned i = 0; i < ROUNDS; i++) {
                good &= slipring_subscriber_wait(handles->subscriber, SLIPRING_FOREVER) == 0;
        }
        return good &&
               slipring_subscriber_take(handles->subscriber, buffer, sizeof(buffer), NULL) == 1;
}

static bool run_small(const struct handles *handles) {
        return case_take(handles) && case_take_nothing(handles) && case_take_newest(handles) &&
               case_take_batch(handles) && case_borrow(handles) && case_wait_ready(handles) &&
               case_publish(handles) && case_loan(handles) && publish_asleep(handles);
}

static bool run_large(const struct handles *handles) {
        return lend(handles) && case_borrow_large(handles) && case_loan_large(handles);
}

/* On a topic with pins, of which one is held: publishing has to look for a slot. */
static bool run_pinned(const struct handles *handles) {
        struct slipring_sample held;

        return put(handles) && slipring_subscriber_pin(handles->subscriber, &held) == 1 &&
               case_pin(handles) &&
               slipring_subscriber_unpin(handles->subscriber, held.payload) == 0;
}

static bool
handles_open(struct handles *handles, const char *bus, const char *topic, uint32_t pins) {
        const struct slipring_publisher_options to = {.size = sizeof(to), .bus = bus};
        const struct slipring_subscriber_options from = {
                .size = sizeof(from),
                .start = SLIPRING_START_NEXT,
                .bus = bus,
                .pins = pins,
        };
        struct slipring_error error = {0};

        if (slipring_publisher_open(&handles->publisher, topic, &to, &error) < 0 ||
            slipring_subscriber_open(&handles->subscriber, topic, &from, &error) < 0) {
                (void) fprintf(stderr, "probe: %s\n", error.text);
                return false;
        }
        return true;
}

static bool
run(const char *bus, const struct topic_spec *spec, bool (*cases)(const struct handles *)) {
        struct handles handles = {0};
        bool good;

        good = handles_open(&handles, bus, spec->name, spec->pins);
        if (good && !cases(&handles)) {
                (void) fprintf(stderr, "probe: a call on topic '%s' did not do what was meant\n",
                               spec->name);
                good = false;
        }
        (void) slipring_subscriber_close(handles.subscriber);
        (void) slipring_publisher_close(handles.publisher);
        return good;
}

static struct topic_spec topic_of(const char *name, const struct slipring_type *type) {
        return (struct topic_spec){
                .name = name,
                .description = "",
                .type = type,
                .depth = 8,
                .waiters = LAYOUT_WAITERS_DEFAULT,
                .uid = geteuid(),
                .gid = getegid(),
                .mode = 0600,
        };
}

int main(void) {
        struct topic_spec specs[] = {
                topic_of("small", &small_type),
                topic_of("large", &large_type),
                topic_of("pinned", &small_type),
        };
        struct registry *registry = NULL;
        struct slipring_error error = {0};
        bool good = false;
        char bus[64];

        specs[2].pins = 2;
        (void) snprintf(bus, sizeof(bus), "probe%d", (int) getpid());
        if (registry_open(&registry, bus, &error) < 0) {
                (void) fprintf(stderr, "probe: %s\n", error.text);
                return 1;
        }
        if (registry_apply(registry, specs, 3, NULL, NULL, &error) < 0) {
                (void) fprintf(stderr, "probe: %s\n", error.text);
        } else {
                good = run(bus, &specs[0], run_small) && run(bus, &specs[1], run_large) &&
                       run(bus, &specs[2], run_pinned);
        }
        (void) registry_remove(registry, NULL);
        return good ? 0 : 1;
}
