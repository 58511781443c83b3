/*
 * Strangers by construction: a topic and a bus of another layout version, a class of publishers
 * that nobody knows yet, and segments in each other's place. Each is refused by name before
 * anything is read or written by the wrong rules; what was attached before goes on; and the bus can
 * be taken down or repaired with the words that the error gives.
 */

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/shm.h>

#include <slipring/publisher.h>
#include <slipring/subscriber.h>

#include "tests/harness/command.h"
#include "tests/harness/daemon.h"

#define FIELDS "fields: {number: uint64, words: \"uint64[7]\"}"
#define THREE_TOPICS                                                                               \
        "topics:\n  imu: {depth: 8, " FIELDS "}\n"                                                 \
        "  lidar: {depth: 4, pins: 2, " FIELDS "}\n"                                               \
        "  events: {depth: 4, publishers: shared, " FIELDS "}\n"

/* Later than every version that there is. */
#define LATER 3u

static struct daemon bus;

/* --- helpers --- */

static void setup(const char *text) {
        daemon_setup(&bus);
        daemon_schema(&bus, text);
        daemon_start(&bus, NULL);
}

static int directory_id(void) {
        int id = shmget(directory_key(bus.user, bus.bus), 0, 0);

        assert_true(id >= 0);
        return id;
}

/* Writes a number into a segment's header, as only its owner can. */
static void header_store(int id, size_t offset, uint32_t value) {
        char *address = shmat(id, NULL, 0);

        assert_ptr_not_equal(address, (void *) -1);
        memcpy(address + offset, &value, sizeof(value));
        assert_int_equal(shmdt(address), 0);
}

static void version_store(int id, uint32_t version) {
        header_store(id, offsetof(struct layout_header, layout_version), version);
}

static int subscriber_try(const char *topic, struct slipring_error *error) {
        struct slipring_subscriber *subscriber = NULL;
        int r = slipring_subscriber_open(&subscriber, topic, NULL, error);

        slipring_subscriber_close(subscriber);
        return r;
}

static int publisher_try(const char *topic, struct slipring_error *error) {
        struct slipring_publisher *publisher = NULL;
        int r = slipring_publisher_open(&publisher, topic, NULL, error);

        slipring_publisher_close(publisher);
        return r;
}

static void says(const struct slipring_error *error, int code, const char *text) {
        assert_int_equal(error->code, code);
        if (!strstr(error->text, text)) {
                fail_msg("'%s' does not say '%s'", error->text, text);
        }
}

/* Both kinds of client are refused, and told why. */
static void expect_no_client(const char *topic, int code, const char *text) {
        struct slipring_error error = {0};

        assert_int_equal(subscriber_try(topic, &error), code);
        says(&error, code, text);
        error = (struct slipring_error){0};
        assert_int_equal(publisher_try(topic, &error), code);
        says(&error, code, text);
}

static void expect_code_and_words(int code, const char *words, const char *const *arguments) {
        struct command command;

        command_start(&command, arguments);
        command_finish(&command);
        command_expect_code(&command, code);
        command_expect_err_has(&command, words);
        command_free(&command);
}

#define expect_command(code, words, ...)                                                           \
        expect_code_and_words((code), (words), (const char *const[]){__VA_ARGS__, NULL})

/* Publishes the next one, and finds it in the subscriber. */
static void expect_traffic(struct slipring_publisher *publisher,
                           struct slipring_subscriber *subscriber,
                           uint64_t number) {
        struct message message = message_make(number);
        struct slipring_sample sample;

        assert_int_equal(slipring_publisher_publish(publisher, &message, sizeof(message), 0), 0);
        memset(&message, 0, sizeof(message));
        assert_int_equal(slipring_subscriber_take(subscriber, &message, sizeof(message), &sample),
                         1);
        assert_int_equal(sample.missed, 0);
        assert_int_equal(message.number, number);
        assert_true(message_whole(&message));
}

/* --- another layout version --- */

static void test_a_topic_of_another_version_is_refused_and_replaced(void **state) {
        struct slipring_publisher *publisher;
        struct slipring_subscriber *subscriber;
        struct layout_entry before, after;
        struct slipring_error error = {0};
        uint32_t versions[] = {0, LATER, UINT32_MAX};
        char text[64];
        size_t i;

        setup(THREE_TOPICS);
        publisher = publisher_open("imu");
        subscriber = subscriber_open("imu", SLIPRING_START_NEXT);
        expect_traffic(publisher, subscriber, 1);
        before = daemon_entry(&bus, "imu");
        for (i = 0; i < sizeof(versions) / sizeof(versions[0]); i++) {
                version_store(before.data_id, versions[i]);
                (void) snprintf(text, sizeof(text), "layout version %" PRIu32 ",", versions[i]);
                expect_no_client("imu", -EPROTONOSUPPORT, text);
                expect_no_client("imu", -EPROTONOSUPPORT, "install the same slipring on both");
                expect_command(1, text, "echo", "imu", "--once");
                expect_command(1, text, "hz", "imu");
                /* What the directory knows of it, and why there is no more. */
                expect_command(0, text, "info", "imu");
                /* Who is inside goes on, and so does the next topic. */
                expect_traffic(publisher, subscriber, i + 2);
                assert_int_equal(subscriber_try("lidar", NULL), 0);
        }
        /* The next manager does not know it either: it makes a successor, where everybody goes. */
        daemon_kill(&bus);
        daemon_start(&bus, NULL);
        after = daemon_entry(&bus, "imu");
        assert_int_not_equal(after.data_id, before.data_id);
        assert_int_equal(slipring_subscriber_wait(subscriber, SLIPRING_FOREVER), -EIDRM);
        assert_int_equal(slipring_subscriber_move(subscriber, 0, &error), 0);
        slipring_publisher_close(publisher);
        publisher = publisher_open("imu");
        expect_traffic(publisher, subscriber, 1);
        slipring_publisher_close(publisher);
        slipring_subscriber_close(subscriber);
        assert_int_equal(daemon_stop(&bus, SIGTERM), 0);
        daemon_teardown(&bus);
}

/* Pins are what version 2 says: neither a segment with them nor one without is taken for the other
 * one. */
static void test_pins_and_version_belong_together(void **state) {
        struct layout_entry imu, lidar;

        setup(THREE_TOPICS);
        imu = daemon_entry(&bus, "imu");
        lidar = daemon_entry(&bus, "lidar");
        version_store(imu.data_id, LAYOUT_VERSION_PINS);
        version_store(lidar.data_id, LAYOUT_VERSION);
        expect_no_client("imu", -EBADMSG, "corrupt");
        expect_no_client("lidar", -EBADMSG, "corrupt");
        version_store(imu.data_id, LAYOUT_VERSION);
        version_store(lidar.data_id, LAYOUT_VERSION_PINS);
        assert_int_equal(subscriber_try("imu", NULL), 0);
        assert_int_equal(subscriber_try("lidar", NULL), 0);
        assert_int_equal(daemon_stop(&bus, SIGTERM), 0);
        daemon_teardown(&bus);
}

static void test_a_bus_of_another_version_is_refused_and_left_as_it_is(void **state) {
        static const char *const commands[] = {"list", "info", "hz", "bw", "doctor", "blackbox"};
        struct slipring_publisher *publisher;
        struct slipring_subscriber *subscriber;
        struct command command;
        size_t objects, i;

        setup(THREE_TOPICS);
        publisher = publisher_open("imu");
        subscriber = subscriber_open("imu", SLIPRING_START_NEXT);
        expect_traffic(publisher, subscriber, 1);
        daemon_kill(&bus);
        objects = ipc_objects();
        version_store(directory_id(), LATER);
        expect_no_client("imu", -EPROTONOSUPPORT, "layout version 3,");
        for (i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
                command_run(&command, commands[i], "imu");
                if (strcmp(commands[i], "list") == 0 || strcmp(commands[i], "doctor") == 0) {
                        command_free(&command);
                        command_run(&command, commands[i]);
                }
                assert_true(command.code == 1 || command.code == 2);
                if (!strstr(command.err, "layout version 3,") &&
                    !strstr(command.out, "layout version 3,")) {
                        fail_msg("%s: %s%s", commands[i], command.out, command.err);
                }
                command_free(&command);
        }
        /* A manager would have to throw away what others use. It says how, and goes. */
        daemon_spawn(&bus, NULL);
        assert_int_equal(daemon_wait(&bus), 1);
        daemon_expect(&bus, "layout version 3,");
        expect_command(1, "--force", "down");
        assert_int_equal(ipc_objects(), objects);
        expect_traffic(publisher, subscriber, 2);
        /* With its own version again it is as good as before. */
        version_store(directory_id(), LAYOUT_VERSION);
        daemon_start(&bus, NULL);
        expect_traffic(publisher, subscriber, 3);
        /* And what nobody can read can still be removed, and its clients are told. */
        daemon_kill(&bus);
        version_store(directory_id(), LATER);
        command_run(&command, "down", "--force");
        command_expect_code(&command, 0);
        command_free(&command);
        assert_int_equal(slipring_subscriber_wait(subscriber, SLIPRING_FOREVER), -EIDRM);
        slipring_publisher_close(publisher);
        slipring_subscriber_close(subscriber);
        assert_int_equal(ipc_objects(), 0);
        daemon_teardown(&bus);
}

/* A manager of this version beside commands of another one: what both know is the bus's claim. */
static void test_down_ends_a_manager_whose_directory_it_cannot_read(void **state) {
        struct command command;

        setup(THREE_TOPICS);
        version_store(directory_id(), LATER);
        command_run(&command, "down");
        command_expect_code(&command, 0);
        command_free(&command);
        assert_int_equal(daemon_wait(&bus), 0);
        assert_int_equal(ipc_objects(), 0);
        daemon_teardown(&bus);
}

/* --- other kinds and classes --- */

/* Into a topic's entry, in every table of the directory. */
static void entry_store(const char *topic, size_t at, uint32_t value) {
        int id = directory_id();
        char *address = shmat(id, NULL, 0);
        struct layout_entry *entry;
        struct shmid_ds status;
        size_t offset, found = 0;

        assert_ptr_not_equal(address, (void *) -1);
        assert_int_equal(shmctl(id, IPC_STAT, &status), 0);
        for (offset = 0; offset + sizeof(*entry) <= status.shm_segsz; offset += 8) {
                entry = (struct layout_entry *) (address + offset);
                if (entry->kind == LAYOUT_ENTRY_TOPIC && strcmp(entry->name, topic) == 0) {
                        memcpy((char *) entry + at, &value, sizeof(value));
                        found++;
                }
        }
        assert_true(found > 0);
        assert_int_equal(shmdt(address), 0);
}

static void test_no_publisher_of_a_class_that_nobody_knows(void **state) {
        struct slipring_publisher *publisher;
        struct slipring_subscriber *subscriber;
        struct slipring_error error = {0};
        struct layout_entry before;

        setup(THREE_TOPICS);
        before = daemon_entry(&bus, "imu");
        daemon_kill(&bus);
        entry_store("imu", offsetof(struct layout_entry, publishers), 7);
        header_store(before.data_id, offsetof(struct layout_header, publishers), 7);
        assert_int_equal(publisher_try("imu", &error), -EPROTONOSUPPORT);
        says(&error, -EPROTONOSUPPORT, "class 7, which this library does not know");
        /* How they agree among each other is not a subscriber's business. */
        subscriber = subscriber_open("imu", SLIPRING_START_NEXT);
        daemon_start(&bus, NULL);
        assert_int_not_equal(daemon_entry(&bus, "imu").data_id, before.data_id);
        assert_int_equal(slipring_subscriber_wait(subscriber, SLIPRING_FOREVER), -EIDRM);
        assert_int_equal(slipring_subscriber_move(subscriber, 0, &error), 0);
        publisher = publisher_open("imu");
        expect_traffic(publisher, subscriber, 1);
        slipring_publisher_close(publisher);
        slipring_subscriber_close(subscriber);
        assert_int_equal(daemon_stop(&bus, SIGTERM), 0);
        assert_int_equal(ipc_objects(), 0);
        daemon_teardown(&bus);
}

static void test_a_segment_in_another_ones_place_is_refused(void **state) {
        struct layout_entry imu;

        setup(THREE_TOPICS);
        imu = daemon_entry(&bus, "imu");
        header_store(imu.data_id, offsetof(struct layout_header, kind), LAYOUT_KIND_DIRECTORY);
        expect_no_client("imu", -EBADMSG, "corrupt");
        header_store(imu.data_id, offsetof(struct layout_header, kind), 7);
        expect_no_client("imu", -EBADMSG, "corrupt");
        header_store(imu.data_id, offsetof(struct layout_header, kind), LAYOUT_KIND_DATA);
        header_store(directory_id(), offsetof(struct layout_header, kind), LAYOUT_KIND_DATA);
        expect_no_client("imu", -EBADMSG, "corrupt");
        header_store(directory_id(), offsetof(struct layout_header, kind), LAYOUT_KIND_DIRECTORY);
        assert_int_equal(subscriber_try("imu", NULL), 0);
        assert_int_equal(daemon_stop(&bus, SIGTERM), 0);
        daemon_teardown(&bus);
}

/* A directory that can be read, but for one key: its old segment goes all the same. */
static void test_an_entry_with_another_key_is_replaced_whole(void **state) {
        struct slipring_subscriber *subscriber;
        struct slipring_error error = {0};
        struct layout_entry before;

        setup(THREE_TOPICS);
        before = daemon_entry(&bus, "imu");
        subscriber = subscriber_open("imu", SLIPRING_START_NEXT);
        daemon_kill(&bus);
        entry_store("imu", offsetof(struct layout_entry, data_key), 0x51234567);
        daemon_start(&bus, NULL);
        assert_int_equal(slipring_subscriber_wait(subscriber, SLIPRING_FOREVER), -EIDRM);
        assert_int_equal(slipring_subscriber_move(subscriber, 0, &error), 0);
        assert_int_equal(shmget(before.data_key, 0, 0), -1);
        slipring_subscriber_close(subscriber);
        assert_int_equal(daemon_stop(&bus, SIGTERM), 0);
        assert_int_equal(ipc_objects(), 0);
        daemon_teardown(&bus);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_a_topic_of_another_version_is_refused_and_replaced),
                cmocka_unit_test(test_pins_and_version_belong_together),
                cmocka_unit_test(test_a_bus_of_another_version_is_refused_and_left_as_it_is),
                cmocka_unit_test(test_down_ends_a_manager_whose_directory_it_cannot_read),
                cmocka_unit_test(test_no_publisher_of_a_class_that_nobody_knows),
                cmocka_unit_test(test_an_entry_with_another_key_is_replaced_whole),
                cmocka_unit_test(test_a_segment_in_another_ones_place_is_refused),
        };

        (void) ipc_private(false);
        return cmocka_run_group_tests(tests, NULL, NULL);
}
