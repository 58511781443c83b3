/*
 * Pinned samples over a live bus: what is held does not change, what its holder may do meanwhile,
 * what becomes of a dead one's pins, and what a hostile one can do.
 */

#include <errno.h>
#include <grp.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ipc.h>
#include <sys/mman.h>
#include <sys/sem.h>
#include <sys/shm.h>
#include <unistd.h>

#include <slipring/publisher.h>
#include <slipring/subscriber.h>

#include "tests/harness/harness.h"

#define DEPTH 3
#define PINS 4

static struct topic_spec pinned_topic(const char *name, uint32_t depth, uint32_t pins) {
        struct topic_spec spec = topic_of(name, depth);

        spec.type = &blob_type;
        spec.pins = pins;
        return spec;
}

static int setup(void **state) {
        static struct bus bus;
        struct topic_spec specs[] = {pinned_topic("camera", DEPTH, PINS), topic_of("imu", 4)};

        bus_start(&bus, specs, 2);
        *state = &bus;
        return 0;
}

static int teardown(void **state) {
        bus_stop(*state);
        return 0;
}

static int open_pinning(struct slipring_subscriber **ret_subscriber,
                        const char *topic,
                        uint32_t pins,
                        struct slipring_error *reterr) {
        struct slipring_subscriber_options options = {
                .size = sizeof(options),
                .start = SLIPRING_START_OLDEST,
                .pins = pins,
        };

        return slipring_subscriber_open(ret_subscriber, topic, &options, reterr);
}

static struct slipring_subscriber *pinning(const char *topic, uint32_t pins) {
        struct slipring_subscriber *subscriber = NULL;
        struct slipring_error error = {0};

        if (open_pinning(&subscriber, topic, pins, &error) < 0) {
                fail_msg("%s", error.text);
        }
        return subscriber;
}

static void publish(struct slipring_publisher *publisher, uint64_t number) {
        void *payload = NULL;

        if (number % 2) {
                static uint64_t blob[BLOB_BYTES / 8];

                blob_fill(blob, sizeof(blob), number);
                assert_int_equal(slipring_publisher_publish(publisher, blob, sizeof(blob), 0), 0);
        } else {
                assert_int_equal(slipring_publisher_loan(publisher, &payload), 0);
                blob_fill(payload, BLOB_BYTES, number);
                assert_int_equal(slipring_publisher_commit(publisher, 0), 0);
        }
}

static bool holds(const struct slipring_sample *sample, uint64_t number) {
        uint64_t found = 0;

        return blob_whole(sample->payload, BLOB_BYTES, &found) && found == number;
}

static struct slipring_subscriber_info info_of(struct slipring_subscriber *subscriber) {
        struct slipring_subscriber_info info;

        assert_int_equal(slipring_subscriber_info(subscriber, &info), 0);
        return info;
}

/* --- holding --- */

static void test_held_samples_do_not_change_while_the_ring_goes_round(void **state) {
        struct slipring_publisher *publisher = publisher_open("camera");
        struct slipring_subscriber *subscriber = pinning("camera", PINS);
        static uint64_t buffer[BLOB_BYTES / 8];
        struct slipring_sample samples[PINS], sample;
        uint64_t number = 0, taken = 0;
        int i;

        for (i = 0; i < PINS; i++) {
                publish(publisher, ++number);
                assert_int_equal(slipring_subscriber_pin(subscriber, &samples[i]), 1);
                assert_int_equal(samples[i].sequence, number);
                assert_int_equal(samples[i].missed, 0);
                assert_int_equal(samples[i].payload_bytes, BLOB_BYTES);
                assert_int_equal((uintptr_t) samples[i].payload % 64, 0);
        }
        assert_int_equal(info_of(subscriber).pinned, PINS);
        /* Far more than once round, while the same handle goes on taking. */
        while (number < 500) {
                publish(publisher, ++number);
                assert_int_equal(
                        slipring_subscriber_take(subscriber, buffer, sizeof(buffer), &sample), 1);
                assert_int_equal(sample.sequence, number);
                assert_int_equal(buffer[0], number);
                taken++;
        }
        for (i = 0; i < PINS; i++) {
                assert_true(holds(&samples[i], (uint64_t) i + 1));
                assert_int_equal(slipring_subscriber_unpin(subscriber, samples[i].payload), 0);
        }
        assert_int_equal(info_of(subscriber).pinned, 0);
        assert_int_equal(info_of(subscriber).delivered, PINS + taken);
        assert_int_equal(info_of(subscriber).missed, 0);
        assert_int_equal(info_of(subscriber).pin_broken, 0);
        slipring_subscriber_close(subscriber);
        slipring_publisher_close(publisher);
}

/* All lines in use, and a late joiner still gets the whole depth. */
static void test_a_late_joiner_gets_all_that_is_kept(void **state) {
        struct slipring_publisher *publisher = publisher_open("camera");
        struct slipring_subscriber *holder = pinning("camera", PINS), *late;
        static uint64_t buffer[BLOB_BYTES / 8];
        struct slipring_sample sample;
        uint64_t number;
        void *loan;
        int i;

        for (number = 1; number <= 30; number++) {
                publish(publisher, number);
                if (number % 7 == 0) {
                        assert_int_equal(slipring_subscriber_pin_newest(holder, &sample), 1);
                        assert_int_equal(sample.sequence, number);
                }
        }
        /* An open loan takes none of them away. */
        assert_int_equal(slipring_publisher_loan(publisher, &loan), 0);
        late = subscriber_open("camera", SLIPRING_START_OLDEST);
        for (i = 0; i < DEPTH; i++) {
                assert_int_equal(slipring_subscriber_take(late, buffer, sizeof(buffer), &sample),
                                 1);
                assert_int_equal(sample.sequence, 30 - DEPTH + 1 + i);
                assert_int_equal(sample.missed, 0);
                assert_int_equal(buffer[0], sample.sequence);
        }
        assert_int_equal(slipring_subscriber_take(late, buffer, sizeof(buffer), &sample), 0);
        assert_int_equal(slipring_publisher_abandon(publisher), 0);
        /* Views without a pin are as ever: told that they were overwritten. */
        publish(publisher, 31);
        assert_int_equal(slipring_subscriber_borrow(late, &sample), 1);
        for (number = 32; number < 60; number++) {
                publish(publisher, number);
        }
        assert_int_equal(slipring_subscriber_release(late), -ESTALE);
        slipring_subscriber_close(late);
        slipring_subscriber_close(holder);
        slipring_publisher_close(publisher);
}

static void test_a_handle_pins_as_many_as_it_was_opened_with(void **state) {
        struct slipring_publisher *publisher = publisher_open("camera");
        struct slipring_subscriber *two = pinning("camera", 2), *none;
        struct slipring_sample samples[3];
        uint64_t number;

        none = subscriber_open("camera", SLIPRING_START_OLDEST);
        for (number = 1; number <= 3; number++) {
                publish(publisher, number);
        }
        assert_int_equal(slipring_subscriber_pin(none, &samples[0]), -ENOBUFS);
        assert_int_equal(slipring_subscriber_pin(two, &samples[0]), 1);
        assert_int_equal(slipring_subscriber_pin(two, &samples[1]), 1);
        assert_int_equal(slipring_subscriber_pin(two, &samples[2]), -ENOBUFS);
        assert_int_equal(slipring_subscriber_unpin(two, NULL), -EINVAL);
        assert_int_equal(slipring_subscriber_unpin(two, &number), -EINVAL);
        assert_int_equal(slipring_subscriber_unpin(two, samples[0].payload), 0);
        assert_int_equal(slipring_subscriber_unpin(two, samples[0].payload), -EINVAL);
        /* Its place is free for the third, which was not lost meanwhile. */
        assert_int_equal(slipring_subscriber_pin(two, &samples[2]), 1);
        assert_int_equal(samples[2].sequence, 3);
        assert_int_equal(samples[2].missed, 0);
        assert_true(holds(&samples[1], 2));
        /* Nothing new, with all pins in use, is still that. */
        assert_int_equal(slipring_subscriber_unpin(two, samples[1].payload), 0);
        assert_int_equal(slipring_subscriber_pin(two, &samples[1]), 0);
        assert_int_equal(slipring_subscriber_wait(two, slipring_in_ms(1)), -ETIMEDOUT);
        slipring_subscriber_close(none);
        slipring_subscriber_close(two);
        slipring_publisher_close(publisher);
}

static void test_the_budget_is_shared_and_comes_back(void **state) {
        struct slipring_subscriber *three = pinning("camera", 3), *one, *more = NULL;
        struct slipring_error error = {0};

        assert_int_equal(open_pinning(&more, "camera", 2, &error), -ENOBUFS);
        assert_non_null(strstr(error.text, "topic 'camera': 2 of its 4 pins are not free"));
        /* A refused handle keeps none of those it had got. */
        one = pinning("camera", 1);
        assert_int_equal(open_pinning(&more, "camera", 1, NULL), -ENOBUFS);
        slipring_subscriber_close(three);
        more = pinning("camera", 3);
        assert_int_equal(info_of(more).pins, PINS);
        slipring_subscriber_close(more);
        slipring_subscriber_close(one);
        /* More than there are, and of a topic without. */
        assert_int_equal(open_pinning(&more, "camera", PINS + 1, NULL), -ENOBUFS);
        assert_int_equal(open_pinning(&more, "camera", UINT32_MAX, NULL), -ENOBUFS);
        assert_int_equal(open_pinning(&more, "imu", 1, NULL), -ENOBUFS);
}

/* A topic without pins has nothing that a subscriber could write but its wake board line. */
static void test_a_topic_without_pins_is_as_it_was(void **state) {
        const struct bus *bus = *state;
        const struct layout_entry *entry = registry_entry(bus->registry, 1);
        struct topic topic = TOPIC_NONE;

        assert_string_equal(entry->name, "imu");
        assert_int_equal(topic_attach(&topic, entry, false, NULL), 0);
        assert_int_equal(entry->pin_key, 0);
        assert_int_equal(entry->pin_claim_key, 0);
        assert_int_equal(topic.control.id, -1);
        assert_null(topic.ring.places);
        assert_int_equal(topic.header.copy->layout_version, LAYOUT_VERSION);
        assert_int_equal(topic.header.copy->slots_offset,
                         topic.header.copy->words_offset + sizeof(struct layout_words));
        topic_detach(&topic);
}

/* A program built before there were pins has shorter options. */
static void test_older_options_are_taken(void **state) {
        struct slipring_subscriber_options options = {
                .size = offsetof(struct slipring_subscriber_options, pins),
                .pins = 1000,
        };
        struct slipring_subscriber *subscriber = NULL;
        struct slipring_sample sample;

        assert_int_equal(slipring_subscriber_open(&subscriber, "camera", &options, NULL), 0);
        assert_int_equal(slipring_subscriber_pin(subscriber, &sample), -ENOBUFS);
        slipring_subscriber_close(subscriber);
}

static void test_a_forked_child_has_no_part_in_pins(void **state) {
        struct slipring_publisher *publisher = publisher_open("camera");
        struct slipring_subscriber *subscriber = pinning("camera", 1);
        struct slipring_sample sample;
        uint64_t number;
        pid_t pid;

        publish(publisher, 1);
        assert_int_equal(slipring_subscriber_pin(subscriber, &sample), 1);
        pid = fork();
        assert_true(pid >= 0);
        if (pid == 0) {
                bool bad = slipring_subscriber_pin(subscriber, &sample) != -ECHILD ||
                           slipring_subscriber_unpin(subscriber, sample.payload) != -ECHILD;

                slipring_subscriber_close(subscriber);
                _exit(bad);
        }
        assert_int_equal(process_wait(pid), 0);
        for (number = 2; number < 40; number++) {
                publish(publisher, number);
        }
        assert_true(holds(&sample, 1));
        assert_int_equal(slipring_subscriber_unpin(subscriber, sample.payload), 0);
        slipring_subscriber_close(subscriber);
        slipring_publisher_close(publisher);
}

/* --- death --- */

struct holder {
        uint32_t pins;
        int ready[2];
};

static int hold_run(void *argument) {
        const struct holder *holder = argument;
        struct slipring_subscriber *subscriber = pinning("camera", holder->pins);
        struct slipring_sample sample;
        uint32_t i;

        for (i = 0; i < holder->pins; i++) {
                if (slipring_subscriber_pin(subscriber, &sample) != 1) {
                        return 1;
                }
        }
        if (write(holder->ready[1], "", 1) != 1) {
                return 2;
        }
        for (;;) {
                (void) pause();
        }
}

static pid_t hold(uint32_t pins) {
        struct holder holder = {.pins = pins};
        char byte;
        pid_t pid;

        assert_int_equal(pipe(holder.ready), 0);
        pid = process_start(hold_run, &holder);
        assert_int_equal(read(holder.ready[0], &byte, 1), 1);
        (void) close(holder.ready[0]);
        (void) close(holder.ready[1]);
        return pid;
}

static void test_a_dead_holder_s_pins_are_free_at_once(void **state) {
        struct slipring_publisher *publisher = publisher_open("camera");
        struct slipring_subscriber *subscriber = NULL;
        struct slipring_sample samples[PINS];
        uint64_t number = 0;
        int round, i;

        for (round = 0; round < 20; round++) {
                for (i = 0; i < PINS; i++) {
                        publish(publisher, ++number);
                }
                /* DEPTH are kept: as many can be pinned by one who comes late. */
                process_kill(hold(DEPTH));
                publish(publisher, ++number);
                /* Nobody has cleaned up, and all lines are to be had. */
                subscriber = pinning("camera", PINS);
                assert_int_equal(info_of(subscriber).pinned, 0);
                for (i = 0; i < DEPTH; i++) {
                        assert_int_equal(slipring_subscriber_pin(subscriber, &samples[i]), 1);
                        assert_true(holds(&samples[i], number - DEPTH + 1 + (uint64_t) i));
                }
                subscriber = slipring_subscriber_close(subscriber);
        }
        slipring_publisher_close(publisher);
}

static void test_the_manager_takes_a_dead_holder_s_pins_back_and_no_other(void **state) {
        const struct bus *bus = *state;
        struct slipring_publisher *publisher = publisher_open("camera");
        struct slipring_subscriber *subscriber = pinning("camera", 1);
        struct slipring_sample sample;
        uint64_t number = 0;
        pid_t pid;

        while (number < 3) {
                publish(publisher, ++number);
        }
        assert_int_equal(slipring_subscriber_pin(subscriber, &sample), 1);
        pid = hold(2);
        assert_int_equal(info_of(subscriber).pinned, 3);
        assert_int_equal(registry_reap_pins(bus->registry, 0), 0);
        process_kill(pid);
        assert_int_equal(info_of(subscriber).pinned, 3);
        assert_int_equal(registry_reap_pins(bus->registry, 0), 2);
        assert_int_equal(registry_reap_pins(bus->registry, 0), 0);
        assert_int_equal(info_of(subscriber).pinned, 1);
        while (number < 100) {
                publish(publisher, ++number);
        }
        assert_true(holds(&sample, 1));
        assert_int_equal(slipring_subscriber_unpin(subscriber, sample.payload), 0);
        slipring_subscriber_close(subscriber);
        slipring_publisher_close(publisher);
}

/* The publisher's own death breaks no pin, whoever follows it. */
static int publish_some_run(void *argument) {
        struct slipring_publisher *publisher = publisher_open("camera");
        uint64_t number = *(const uint64_t *) argument;
        void *payload;
        int i;

        for (i = 0; i < 10; i++) {
                publish(publisher, number + (uint64_t) i);
        }
        assert_int_equal(slipring_publisher_loan(publisher, &payload), 0);
        memset(payload, 0xff, BLOB_BYTES);
        return raise(SIGKILL);
}

static void test_a_pin_outlives_publishers(void **state) {
        struct slipring_subscriber *subscriber = pinning("camera", 1);
        struct slipring_subscriber_info info;
        struct slipring_sample sample = {0};
        uint64_t number;

        for (number = 1; number < 300; number += 10) {
                assert_int_equal(process_wait(process_start(publish_some_run, &number)),
                                 128 + SIGKILL);
                if (number == 1) {
                        assert_int_equal(slipring_subscriber_pin(subscriber, &sample), 1);
                        assert_int_equal(sample.sequence, 10 - DEPTH + 1);
                }
                assert_true(holds(&sample, 10 - DEPTH + 1));
        }
        info = info_of(subscriber);
        assert_int_equal(info.sequence, 300);
        assert_int_equal(info.epoch, 30);
        assert_int_equal(info.pin_broken, 0);
        assert_int_equal(slipring_subscriber_unpin(subscriber, sample.payload), 0);
        slipring_subscriber_close(subscriber);
}

/* --- managers --- */

static void test_a_pin_outlives_the_manager(void **state) {
        struct topic_spec specs[] = {pinned_topic("camera", DEPTH, PINS), topic_of("imu", 4)};
        struct bus *bus = *state;
        struct layout_entry before = *registry_entry(bus->registry, 0);
        struct slipring_publisher *publisher = publisher_open("camera");
        struct slipring_subscriber *subscriber = pinning("camera", 1), *other;
        struct slipring_sample sample;
        uint64_t number;

        publish(publisher, 1);
        assert_int_equal(slipring_subscriber_pin(subscriber, &sample), 1);
        bus_abandon(bus);
        bus_resume(bus);
        bus_apply(bus, specs, 2);
        assert_memory_equal(&before, registry_entry(bus->registry, 0), sizeof(before));
        for (number = 2; number < 50; number++) {
                publish(publisher, number);
        }
        assert_true(holds(&sample, 1));
        other = pinning("camera", PINS - 1);
        slipring_subscriber_close(other);
        assert_int_equal(slipring_subscriber_unpin(subscriber, sample.payload), 0);
        slipring_subscriber_close(subscriber);
        slipring_publisher_close(publisher);
}

static void test_another_number_of_pins_is_another_topic(void **state) {
        struct topic_spec specs[] = {pinned_topic("camera", DEPTH, 1), topic_of("imu", 4)};
        struct bus *bus = *state;
        struct layout_entry before = *registry_entry(bus->registry, 0);
        struct slipring_publisher *publisher = publisher_open("camera");
        struct slipring_subscriber *two = pinning("camera", 2), *one = pinning("camera", 1);
        static uint64_t buffer[BLOB_BYTES / 8];
        struct slipring_error error = {0};
        struct slipring_sample sample;

        publish(publisher, 1);
        assert_int_equal(slipring_subscriber_pin(one, &sample), 1);
        assert_int_equal(slipring_subscriber_take(two, buffer, sizeof(buffer), NULL), 1);
        bus_apply(bus, specs, 2);
        assert_int_not_equal(before.data_id, registry_entry(bus->registry, 0)->data_id);
        assert_int_equal(shmget(before.pin_key, 0, 0), -1);
        assert_int_equal(semget(before.pin_claim_key, 0, 0), -1);
        assert_int_equal(slipring_publisher_move(publisher, 0, NULL), 0);
        publish(publisher, 2);
        /* Retired, but held: whole, and in the way of a move. */
        assert_int_equal(slipring_subscriber_take(one, buffer, sizeof(buffer), NULL), -EIDRM);
        assert_int_equal(slipring_subscriber_move(one, 0, &error), -EBUSY);
        assert_true(holds(&sample, 1));
        assert_int_equal(slipring_subscriber_unpin(one, sample.payload), 0);
        assert_int_equal(slipring_subscriber_move(one, 0, &error), 0);
        assert_int_equal(slipring_subscriber_pin(one, &sample), 1);
        assert_int_equal(sample.sequence, 1);
        assert_true(holds(&sample, 2));
        /* The successor has too few for the other one, which stays where it is. */
        assert_int_equal(slipring_subscriber_take(two, buffer, sizeof(buffer), NULL), -EIDRM);
        assert_int_equal(slipring_subscriber_move(two, 0, &error), -ENOBUFS);
        assert_int_equal(slipring_subscriber_take(two, buffer, sizeof(buffer), NULL), -EIDRM);
        assert_int_equal(slipring_subscriber_unpin(one, sample.payload), 0);
        /* Without pins at all, and with again. */
        specs[0].pins = 0;
        bus_apply(bus, specs, 2);
        assert_int_equal(registry_entry(bus->registry, 0)->pin_key, 0);
        specs[0].pins = 2;
        bus_apply(bus, specs, 2);
        assert_int_equal(slipring_subscriber_move(two, 0, &error), 0);
        slipring_subscriber_close(one);
        slipring_subscriber_close(two);
        slipring_publisher_close(publisher);
}

/* What somebody did to the objects: seen, and mended by a successor. */
static void test_harmed_objects_give_the_topic_a_successor(void **state) {
        struct topic_spec specs[] = {pinned_topic("camera", DEPTH, PINS), topic_of("imu", 4)};
        const struct bus *bus = *state;
        struct slipring_subscriber *subscriber = NULL;
        struct layout_entry entry = *registry_entry(bus->registry, 0);
        struct slipring_error error = {0};
        struct shmid_ds status;

        assert_int_equal(shmctl(entry.pin_id, IPC_STAT, &status), 0);
        status.shm_perm.mode = 0666;
        assert_int_equal(shmctl(entry.pin_id, IPC_SET, &status), 0);
        assert_int_equal(open_pinning(&subscriber, "camera", 1, &error), -EBADMSG);
        assert_int_equal(registry_verify(bus->registry, 0, &error), -EBADMSG);
        bus_apply(*state, specs, 2);
        assert_int_not_equal(entry.data_id, registry_entry(bus->registry, 0)->data_id);
        assert_int_equal(shmget(entry.pin_key, 0, 0), -1);
        entry = *registry_entry(bus->registry, 0);
        assert_int_equal(semctl(entry.pin_claim_id, 0, IPC_RMID), 0);
        assert_true(registry_verify(bus->registry, 0, &error) < 0);
        bus_apply(*state, specs, 2);
        assert_int_equal(registry_verify(bus->registry, 0, &error), 0);
        slipring_subscriber_close(pinning("camera", PINS));
}

static void test_pins_out_of_range_are_refused(void **state) {
        const struct bus *bus = *state;
        struct topic_spec spec = pinned_topic("camera", DEPTH, LAYOUT_PINS_MAX + 1);
        struct slipring_error error = {0};

        assert_int_equal(registry_apply(bus->registry, &spec, 1, NULL, NULL, &error), -EINVAL);
        /* 768 + 256 + 1 slots. */
        spec = pinned_topic("camera", 768, LAYOUT_PINS_MAX);
        assert_int_equal(registry_apply(bus->registry, &spec, 1, NULL, NULL, &error), -EINVAL);
        spec = pinned_topic("camera", 767, LAYOUT_PINS_MAX);
        spec.type = &message_type;
        bus_apply(*state, &spec, 1);
        slipring_subscriber_close(pinning("camera", LAYOUT_PINS_MAX));
}

/* --- the hostile --- */

/* Writes whatever it likes into the lines, without owning one. */
static int scribble_run(void *argument) {
        const struct layout_entry *entry = argument;
        struct layout_pin_line *lines = shmat(entry->pin_id, NULL, 0);
        uint32_t seed = 7, line;

        if (lines == (void *) -1) {
                return 1;
        }
        for (;;) {
                for (line = 0; line < entry->pins; line++) {
                        seed = seed * 1103515245u + 12345u;
                        /* relaxed: it has no manners. */
                        atomic_store_explicit(&lines[line].pin, seed >> 8 & 0xf,
                                              memory_order_relaxed);
                }
        }
}

static void test_scribbled_lines_stop_nobody_and_show(void **state) {
        const struct bus *bus = *state;
        struct layout_entry entry = *registry_entry(bus->registry, 0);
        struct slipring_publisher *publisher = publisher_open("camera");
        struct slipring_subscriber *pinner = pinning("camera", PINS), *taker;
        static uint64_t buffer[BLOB_BYTES / 8];
        pid_t pid = process_start(scribble_run, &entry);
        struct slipring_subscriber_info info;
        uint64_t number, broken = 0, wrong = 0;
        struct slipring_sample sample, taken;
        int i, r;
        bool whole;

        taker = subscriber_open("camera", SLIPRING_START_OLDEST);
        /* Until some pins broke, or this test would see nothing. */
        for (number = 1; number <= 2000 || broken == 0; number++) {
                publish(publisher, number);
                /* Nobody who takes copies is harmed at all. */
                assert_int_equal(slipring_subscriber_take(taker, buffer, sizeof(buffer), &taken),
                                 1);
                assert_int_equal(taken.sequence, number);
                assert_int_equal(buffer[0], number);
                if (number % 50) {
                        continue;
                }
                r = slipring_subscriber_pin_newest(pinner, &sample);
                assert_int_equal(r, 1);
                for (i = 0; i < 20; i++) {
                        publish(publisher, ++number);
                        assert_int_equal(
                                slipring_subscriber_take(taker, buffer, sizeof(buffer), &taken), 1);
                }
                whole = holds(&sample, sample.sequence);
                r = slipring_subscriber_unpin(pinner, sample.payload);
                assert_true(r == 0 || r == -ESTALE);
                broken += r == -ESTALE;
                wrong += r == 0 && !whole;
        }
        process_kill(pid);
        /* Each that broke was told. */
        assert_int_equal(wrong, 0);
        info = info_of(taker);
        assert_int_equal(info.delivered, info.sequence);
        assert_int_equal(info.pin_broken, 0);
        info = info_of(pinner);
        assert_int_equal(info.delivered + info.missed, sample.sequence);
        assert_true(info.missed >= broken);
        slipring_subscriber_close(taker);
        slipring_subscriber_close(pinner);
        slipring_publisher_close(publisher);
}

/* Somebody who may subscribe frees a semaphore that is not theirs. */
static void test_a_stolen_line_is_survived(void **state) {
        const struct bus *bus = *state;
        int id = registry_entry(bus->registry, 0)->pin_claim_id, line;
        struct slipring_publisher *publisher = publisher_open("camera");
        struct slipring_subscriber *victim = pinning("camera", PINS), *thief;
        struct slipring_sample sample;
        struct sembuf steal = {.sem_op = -1};
        uint64_t number;

        publish(publisher, 1);
        assert_int_equal(slipring_subscriber_pin(victim, &sample), 1);
        for (line = 0; line < PINS; line++) {
                steal.sem_num = (unsigned short) line;
                assert_int_equal(semop(id, &steal, 1), 0);
        }
        thief = pinning("camera", PINS);
        for (number = 2; number < 40; number++) {
                publish(publisher, number);
        }
        assert_int_equal(slipring_subscriber_unpin(victim, sample.payload), -ESTALE);
        assert_int_equal(info_of(victim).delivered, 0);
        assert_int_equal(info_of(victim).missed, 1);
        slipring_subscriber_close(thief);
        slipring_subscriber_close(victim);
        slipring_publisher_close(publisher);
}

static int stranger_run(void *argument) {
        const struct layout_entry *entry = argument;
        struct slipring_subscriber *subscriber = NULL;
        struct slipring_sample sample;

        if (setgroups(0, NULL) < 0 || setgid(65534) < 0 || setuid(65534) < 0) {
                return 99;
        }
        if (!(entry->mode & 0004)) {
                return open_pinning(&subscriber, "camera", 1, NULL) != -EACCES ||
                       shmat(entry->pin_id, NULL, SHM_RDONLY) != (void *) -1 ||
                       semctl(entry->pin_claim_id, 0, GETVAL) != -1;
        }
        /* May read: may pin, and nothing of the data may be written for that. */
        if (open_pinning(&subscriber, "camera", 2, NULL) != 0 ||
            slipring_subscriber_pin(subscriber, &sample) != 1 || !holds(&sample, 1)) {
                return 2;
        }
        if (shmat(entry->data_id, NULL, 0) != (void *) -1 || errno != EACCES ||
            mprotect((void *) ((uintptr_t) sample.payload & ~(uintptr_t) 4095), 4096,
                     PROT_READ | PROT_WRITE) == 0) {
                return 3;
        }
        return slipring_subscriber_unpin(subscriber, sample.payload) == 0 ? 0 : 4;
}

static void test_another_user_pins_where_it_may_read(void **state) {
        struct topic_spec spec = pinned_topic("camera", DEPTH, PINS);
        const struct bus *bus = *state;
        struct slipring_publisher *publisher;
        struct layout_entry entry = *registry_entry(bus->registry, 0);

        if (geteuid() != 0) {
                fputs("SKIPPED: a second user needs root\n", stderr);
                skip();
        }
        assert_int_equal(process_wait(process_start(stranger_run, &entry)), 0);
        spec.mode = 0644;
        bus_apply(*state, &spec, 1);
        entry = *registry_entry(bus->registry, 0);
        publisher = publisher_open("camera");
        publish(publisher, 1);
        assert_int_equal(process_wait(process_start(stranger_run, &entry)), 0);
        slipring_publisher_close(publisher);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void) {
        const struct CMUnitTest tests[] = {
                CASE(test_held_samples_do_not_change_while_the_ring_goes_round),
                CASE(test_a_late_joiner_gets_all_that_is_kept),
                CASE(test_a_handle_pins_as_many_as_it_was_opened_with),
                CASE(test_the_budget_is_shared_and_comes_back),
                CASE(test_a_topic_without_pins_is_as_it_was),
                CASE(test_older_options_are_taken),
                CASE(test_a_forked_child_has_no_part_in_pins),
                CASE(test_a_dead_holder_s_pins_are_free_at_once),
                CASE(test_the_manager_takes_a_dead_holder_s_pins_back_and_no_other),
                CASE(test_a_pin_outlives_publishers),
                CASE(test_a_pin_outlives_the_manager),
                CASE(test_another_number_of_pins_is_another_topic),
                CASE(test_harmed_objects_give_the_topic_a_successor),
                CASE(test_pins_out_of_range_are_refused),
                CASE(test_scribbled_lines_stop_nobody_and_show),
                CASE(test_a_stolen_line_is_survived),
                CASE(test_another_user_pins_where_it_may_read),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
