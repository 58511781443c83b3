/*
 * subscribers/record and publishers/play in this process, on a real bus.
 *
 * Every allocation fails once: both say that there is no memory, a recorder leaves a file that can
 * be read or nothing, and nothing is leaked. Every byte of a file is another once, and it ends
 * after each of its bytes: a player says what is wrong and publishes nothing that was not recorded,
 * and recovery leaves either the file or all that is whole in it.
 */

/* cmocka wants these, in this order. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <slipring/publisher.h>
#include <slipring/subscriber.h>

#include "mcap/recover.h"
#include "publishers/play/play.h"
#include "subscribers/record/record.h"
#include "tests/harness/failing.h"
#include "tests/harness/harness.h"

#define TOPICS 3u
#define SAMPLES 6u

static struct bus bus;
static char directory[] = "/tmp/test-record-inside-XXXXXX";
static unsigned looks;

static bool every_topic(void *userdata, const char *topic) {
        return true;
}

static const char *const *undescribed(void *userdata, const struct slipring_type *type) {
        return NULL;
}

static bool after_some_looks(void) {
        return looks++ > 3;
}

/* A player that takes a damaged time for its word would wait for years. */
static bool after_many_looks(void) {
        assert_true(looks++ < 1000);
        return false;
}

static void no_note(void *userdata, const char *text) {
        assert_true(*text);
}

static void no_progress(void *userdata, const struct record_state *state, bool last) {
        /* Whatever failed before: what it says of topics is there. */
        for (size_t i = 0; i < state->topic_count; i++) {
                assert_true(*state->topics[i].name && *state->topics[i].type_name);
        }
}

static char *as_it_is(void *userdata, const char *name, const char *text, size_t bytes) {
        return NULL;
}

static const char *its_name(void *userdata, const char *topic) {
        return topic;
}

static unsigned open_files(void) {
        DIR *stream = opendir("/proc/self/fd");
        unsigned count = 0;

        assert_non_null(stream);
        while (readdir(stream)) {
                count++;
        }
        closedir(stream);
        return count;
}

static void publish_all(void) {
        char topic[8];

        for (unsigned i = 0; i < TOPICS; i++) {
                struct slipring_publisher *publisher;

                (void) snprintf(topic, sizeof(topic), "t%u", i);
                publisher = publisher_open(topic);
                for (unsigned n = 0; n < SAMPLES; n++) {
                        const struct message message = message_make(n);

                        assert_int_equal(
                                slipring_publisher_publish(publisher, &message, sizeof(message), 0),
                                0);
                }
                slipring_publisher_close(publisher);
        }
}

static void setup_bus(void) {
        const struct topic_spec specs[TOPICS] = {topic_of("t0", 8), topic_of("t1", 8),
                                                 topic_of("t2", 8)};

        bus_start(&bus, specs, TOPICS);
        publish_all();
}

/* The past of all rings into a file. */
static int record_past(struct slipring_error *error) {
        const struct record_options options = {
                .bus = bus.name,
                .name = "x",
                .compression = MCAP_COMPRESSION_ZSTD,
                .since_ns = UINT64_MAX / 2,
                .wanted = every_topic,
                .describe = undescribed,
                .stopped = after_some_looks,
                .note = no_note,
                .progress = no_progress,
        };

        looks = 0;
        return record_run(&options, error);
}

/* Messages of a file that has to be whole. */
static uint64_t messages_of(const char *path) {
        struct mcap_reader *reader;
        struct mcap_error error;
        uint64_t count;
        int fd = open(path, O_RDONLY | O_CLOEXEC);

        assert_true(fd >= 0);
        assert_int_equal(mcap_reader_open(&reader, fd, path, 0, &error), 0);
        assert_int_equal(mcap_reader_summary(reader)->damage.code, 0);
        count = mcap_reader_summary(reader)->message_count;
        mcap_reader_close(reader);
        (void) close(fd);
        return count;
}

/* What is left of one whose index found no memory is recovered by the next one. */
static void recover_left(void) {
        if (access("x.mcap.active", F_OK) == 0) {
                record_recover("", no_note, NULL);
                assert_int_not_equal(access("x.mcap.active", F_OK), 0);
        }
}

static void record_without_memory(bool all) {
        unsigned files = open_files(), at = 0;
        struct slipring_error error;
        bool failed = true;
        int r;

        for (at = 0; failed; at++) {
                memset(&error, 0, sizeof(error));
                failing_start(at, all);
                r = record_past(&error);
                failed = failing_stop();
                if (r != 0 && r != -ENOMEM) {
                        fail_msg("allocation %u: %d, %s", at, r, error.text);
                }
                assert_true(r == 0 || error.text[0]);
                assert_true(failed || r == 0);
                recover_left();
                if (access("x.mcap", F_OK) == 0) {
                        /* What it had written by then, or, if it did not mind, all. */
                        assert_true(messages_of("x.mcap") <= (uint64_t) TOPICS * SAMPLES);
                        assert_true(failed || messages_of("x.mcap") == TOPICS * SAMPLES);
                        assert_int_equal(unlink("x.mcap"), 0);
                }
                assert_int_equal(open_files(), files);
        }
        assert_true(at > 60);
}

static void test_recorder_without_memory(void **state) {
        setup_bus();
        record_without_memory(false);
        record_without_memory(true);
        bus_stop(&bus);
}

static uint8_t *file_read(const char *path, size_t *ret_bytes) {
        FILE *file = fopen(path, "re");
        uint8_t *data = malloc(1 << 16);

        assert_non_null(file);
        assert_non_null(data);
        *ret_bytes = fread(data, 1, 1 << 16, file);
        assert_true(*ret_bytes > 0 && *ret_bytes < 1 << 16);
        (void) fclose(file);
        return data;
}

static void file_write(const char *path, const uint8_t *data, size_t bytes) {
        FILE *file = fopen(path, "we");

        assert_non_null(file);
        assert_int_equal(fwrite(data, 1, bytes, file), bytes);
        assert_int_equal(fclose(file), 0);
}

static int play_all(size_t file_count, struct play_counts *counts, struct slipring_error *error) {
        static const char *const files[] = {"x.mcap", "y.mcap"};
        const struct play_options options = {
                .bus = bus.name,
                .path = "x.mcap",
                .files = files,
                .file_count = file_count,
                .rate = 1e6,
                .wanted = every_topic,
                .canonical = as_it_is,
                .rename = its_name,
                .stopped = after_many_looks,
                .note = no_note,
        };

        looks = 0;
        memset(error, 0, sizeof(*error));
        return play_run(&options, counts, error);
}

/* Of two files that have the same channels. */
static void test_player_without_memory(void **state) {
        struct slipring_error error = {0};
        struct play_counts counts;
        bool failed = true;
        unsigned files, at;
        uint8_t *data;
        size_t bytes;
        int r;

        setup_bus();
        assert_int_equal(record_past(&error), 0);
        data = file_read("x.mcap", &bytes);
        file_write("y.mcap", data, bytes);
        free(data);
        files = open_files();
        for (at = 0; failed; at++) {
                failing_start(at, at % 2);
                r = play_all(2, &counts, &error);
                failed = failing_stop();
                if (r != 0 && r != -ENOMEM) {
                        fail_msg("allocation %u: %d, %s", at, r, error.text);
                }
                assert_true(r == 0 || error.text[0]);
                assert_true(failed || r == 0);
                assert_true(r < 0 || counts.published == (uint64_t) 2 * TOPICS * SAMPLES);
                assert_int_equal(open_files(), files);
        }
        assert_true(at > 40);
        assert_int_equal(unlink("x.mcap"), 0);
        assert_int_equal(unlink("y.mcap"), 0);
        bus_stop(&bus);
}

/*
 * Damaged files
 */

/* What came onto the bus since was recorded, in its order. How much. */
static unsigned take_all(struct slipring_subscriber *const *subscribers) {
        struct slipring_sample sample;
        struct message message;
        unsigned count = 0;

        for (unsigned i = 0; i < TOPICS; i++) {
                uint64_t next = 0;

                while (slipring_subscriber_take(subscribers[i], &message, sizeof(message),
                                                &sample) == 1) {
                        assert_true(message_whole(&message));
                        assert_true(message.number >= next && message.number < SAMPLES);
                        assert_int_equal(sample.missed, 0);
                        next = message.number + 1;
                        count++;
                }
        }
        return count;
}

/* 0: all of it was played; 1: a part, and it said why; 2: nothing, and it said why. */
static int play_damaged(struct slipring_subscriber *const *subscribers) {
        struct slipring_error error;
        struct play_counts counts;
        int r = play_all(1, &counts, &error);

        assert_int_equal(take_all(subscribers), counts.published);
        if (r < 0) {
                assert_true(strstr(error.text, "x.mcap") || strstr(error.text, "topic '"));
        } else {
                assert_true(counts.published > 0);
        }
        return r == 0 ? 0 : counts.published > 0 ? 1 : 2;
}

static void open_all(struct slipring_subscriber **subscribers) {
        char topic[8];

        for (unsigned i = 0; i < TOPICS; i++) {
                (void) snprintf(topic, sizeof(topic), "t%u", i);
                subscribers[i] = subscriber_open(topic, SLIPRING_START_NEXT);
        }
}

static void test_player_of_damaged_files(void **state) {
        struct slipring_subscriber *subscribers[TOPICS];
        unsigned outcomes[3] = {0}, files;
        struct slipring_error error;
        size_t bytes, at;
        uint8_t *data;

        setup_bus();
        assert_int_equal(record_past(&error), 0);
        data = file_read("x.mcap", &bytes);
        open_all(subscribers);
        files = open_files();
        for (at = 0; at < bytes; at++) {
                data[at] ^= 0xff;
                file_write("x.mcap", data, bytes);
                outcomes[play_damaged(subscribers)]++;
                data[at] ^= 0xff;
        }
        /* Most of a small file is its description. */
        assert_true(outcomes[0] > 0 && outcomes[2] > 0);
        for (at = 0; at < bytes; at++) {
                file_write("x.mcap", data, at);
                (void) play_damaged(subscribers);
        }
        assert_int_equal(open_files(), files);
        for (unsigned i = 0; i < TOPICS; i++) {
                slipring_subscriber_close(subscribers[i]);
        }
        free(data);
        assert_int_equal(unlink("x.mcap"), 0);
        bus_stop(&bus);
}

/* Either it is recovered, into a file that is whole, or it is still there, as it was. */
static bool recover_damaged(const uint8_t *data, size_t bytes) {
        bool stays, saved;
        size_t found;
        uint8_t *now;

        file_write("x.mcap.active", data, bytes);
        record_recover("", no_note, NULL);
        stays = access("x.mcap.active", F_OK) == 0;
        saved = access("x.mcap", F_OK) == 0;
        assert_true(stays != saved || bytes == 0);
        if (stays) {
                now = file_read("x.mcap.active", &found);
                assert_int_equal(found, bytes);
                assert_memory_equal(now, data, bytes);
                free(now);
                assert_int_equal(unlink("x.mcap.active"), 0);
        }
        if (saved) {
                assert_true(messages_of("x.mcap") <= (uint64_t) TOPICS * SAMPLES);
                assert_int_equal(unlink("x.mcap"), 0);
        }
        return saved;
}

static void test_recovery_of_damaged_leftovers(void **state) {
        struct slipring_error error;
        size_t bytes, at, saved = 0;
        unsigned files;
        uint8_t *data;

        setup_bus();
        assert_int_equal(record_past(&error), 0);
        data = file_read("x.mcap", &bytes);
        assert_int_equal(unlink("x.mcap"), 0);
        files = open_files();
        for (at = 0; at < bytes; at++) {
                data[at] ^= 0xff;
                saved += recover_damaged(data, bytes);
                data[at] ^= 0xff;
        }
        /* All but those that are no MCAP at all. */
        assert_int_equal(saved, bytes - MCAP_MAGIC_BYTES);
        for (at = 0; at < bytes; at++) {
                assert_true(recover_damaged(data, at) == (at >= MCAP_MAGIC_BYTES));
        }
        assert_int_equal(open_files(), files);
        free(data);
        bus_stop(&bus);
}

/*
 * A clock that is set
 */

#define HOUR_NS INT64_C(3600000000000)

static int64_t clock_set_by_ns;
static char notes[4096];

int __real_clock_gettime(clockid_t clock, struct timespec *ret_time);
int __wrap_clock_gettime(clockid_t clock, struct timespec *ret_time);

int __wrap_clock_gettime(clockid_t clock, struct timespec *ret_time) {
        int r = __real_clock_gettime(clock, ret_time);

        if (clock == CLOCK_REALTIME) {
                ret_time->tv_sec += clock_set_by_ns / 1000000000;
        }
        return r;
}

static void keep_note(void *userdata, const char *text) {
        (void) snprintf(notes + strlen(notes), sizeof(notes) - strlen(notes), "%s\n", text);
}

/* Samples before and after somebody sets the clock three hours forward; what is published is taken
 * before the next look, as a table that says so is. */
static bool while_the_clock_is_set(void) {
        looks++;
        if (looks == 2) {
                publish_all();
        } else if (looks == 4) {
                clock_set_by_ns = 3 * HOUR_NS;
                registry_refresh(bus.registry);
        } else if (looks == 6) {
                publish_all();
        }
        return looks > 8;
}

static void record_over_a_set_clock(const char *name, uint64_t split_bytes) {
        const struct record_options options = {
                .bus = bus.name,
                .name = name,
                .split_bytes = split_bytes,
                .wanted = every_topic,
                .describe = undescribed,
                .stopped = while_the_clock_is_set,
                .note = keep_note,
                .progress = no_progress,
        };
        struct slipring_error error = {0};

        looks = 0;
        clock_set_by_ns = 0;
        notes[0] = '\0';
        setup_bus();
        assert_int_equal(record_run(&options, &error), 0);
        assert_non_null(strstr(notes, "the clock of the day was set by +10800.000 s; times in"));
        bus_stop(&bus);
}

struct times {
        uint64_t first_ns, last_ns;
        double set_by_s; /* what the file says of the clock; 0: nothing */
};

/* False: there is no such file. It is removed. */
static bool times_of(const char *path, struct times *ret_times) {
        int fd = open(path, O_RDONLY | O_CLOEXEC);
        struct mcap_text key, value;
        struct mcap_metadata list;
        struct mcap_message read;
        struct mcap_reader *reader;
        struct mcap_error error;
        char number[32];

        *ret_times = (struct times){0};
        if (fd < 0) {
                return false;
        }
        assert_int_equal(mcap_reader_open(&reader, fd, path, 0, &error), 0);
        ret_times->first_ns = mcap_reader_summary(reader)->start_ns;
        while (mcap_reader_next(reader, &read, &error) == 1) {
                assert_true(read.log_time_ns >= ret_times->last_ns);
                assert_true(read.publish_time_ns <= read.log_time_ns);
                ret_times->last_ns = read.log_time_ns;
        }
        assert_int_equal(mcap_reader_metadata(reader, 0, &list, &error), 1);
        while (mcap_get_pair(&list.pairs, &key, &value)) {
                if (key.bytes == 15 && !memcmp(key.data, "clock_set_by_ns", 15)) {
                        (void) snprintf(number, sizeof(number), "%.*s", (int) value.bytes,
                                        (const char *) value.data);
                        ret_times->set_by_s = strtod(number, NULL) / 1e9;
                }
        }
        mcap_reader_close(reader);
        (void) close(fd);
        assert_int_equal(unlink(path), 0);
        return true;
}

static void test_a_clock_that_is_set(void **state) {
        struct times times, first = {0};
        char path[32];
        double set_by_s = 0;
        unsigned files = 0;

        /* Nobody's samples lie three hours apart. */
        record_over_a_set_clock("x", 0);
        assert_true(times_of("x.mcap", &times));
        assert_true(times.last_ns - times.first_ns < HOUR_NS);
        assert_true(times.set_by_s > 10799 && times.set_by_s < 10801);
        /* A file after it has the new time. */
        record_over_a_set_clock("x", 1);
        for (;; files++) {
                (void) snprintf(path, sizeof(path), "x_%u.mcap", files);
                if (!times_of(path, &times)) {
                        break;
                }
                first = files == 0 ? times : first;
                set_by_s += times.set_by_s;
                if (times.set_by_s == 0 && set_by_s > 0) {
                        assert_true(times.first_ns - first.first_ns > 2 * HOUR_NS);
                } else {
                        assert_true(times.last_ns - first.first_ns < HOUR_NS);
                }
        }
        /* One each, and what the topics held before. */
        assert_int_equal(files, 2 * TOPICS * SAMPLES + TOPICS);
        assert_true(set_by_s > 10799 && set_by_s < 10801);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_recorder_without_memory),
                cmocka_unit_test(test_player_without_memory),
                cmocka_unit_test(test_player_of_damaged_files),
                cmocka_unit_test(test_recovery_of_damaged_leftovers),
                cmocka_unit_test(test_a_clock_that_is_set),
        };
        int failed;

        if (!mkdtemp(directory) || chdir(directory) < 0) {
                return 1;
        }
        failed = cmocka_run_group_tests(tests, NULL, NULL);
        (void) rmdir(directory);
        return failed;
}
