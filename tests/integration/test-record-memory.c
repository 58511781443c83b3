/*
 * subscribers/record and publishers/play: every allocation fails once, on a real bus. Both say that
 * there is no memory, a recorder leaves a file that can be read or nothing, and nothing is leaked.
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

#include "mcap/recover.h"
#include "publishers/play/play.h"
#include "subscribers/record/record.h"
#include "tests/harness/failing.h"
#include "tests/harness/harness.h"

#define TOPICS 3u
#define SAMPLES 6u

static struct bus bus;
static char directory[] = "/tmp/test-record-memory-XXXXXX";
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

static bool never(void) {
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

static void test_player_without_memory(void **state) {
        struct play_options options = {
                .path = "x.mcap",
                .rate = 1e6,
                .wanted = every_topic,
                .canonical = as_it_is,
                .rename = its_name,
                .stopped = never,
                .note = no_note,
        };
        struct slipring_error error = {0};
        struct play_counts counts;
        bool failed = true;
        unsigned files, at;
        int r;

        setup_bus();
        options.bus = bus.name;
        assert_int_equal(record_past(&error), 0);
        files = open_files();
        for (at = 0; failed; at++) {
                memset(&error, 0, sizeof(error));
                failing_start(at, at % 2);
                r = play_run(&options, &counts, &error);
                failed = failing_stop();
                if (r != 0 && r != -ENOMEM) {
                        fail_msg("allocation %u: %d, %s", at, r, error.text);
                }
                assert_true(r == 0 || error.text[0]);
                assert_true(failed || r == 0);
                assert_true(r < 0 || counts.published == (uint64_t) TOPICS * SAMPLES);
                assert_int_equal(open_files(), files);
        }
        assert_true(at > 20);
        assert_int_equal(unlink("x.mcap"), 0);
        bus_stop(&bus);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_recorder_without_memory),
                cmocka_unit_test(test_player_without_memory),
        };
        int failed;

        if (!mkdtemp(directory) || chdir(directory) < 0) {
                return 1;
        }
        failed = cmocka_run_group_tests(tests, NULL, NULL);
        (void) rmdir(directory);
        return failed;
}
