/*
 * What the manager sees: who publishes, which topics are overdue, and segments that their owner
 * changed.
 */

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/sem.h>
#include <sys/shm.h>
#include <unistd.h>

#include <slipring/publisher.h>
#include <slipring/subscriber.h>

#include "tests/harness/daemon.h"

#define TOPICS                                                                                     \
        "topics:\n"                                                                                \
        "  imu: {deadline: 150 ms, fields: {number: uint64, words: \"uint64[7]\"}}\n"              \
        "  slow: {deadline: 20 s, fields: {number: uint64, words: \"uint64[7]\"}}\n"               \
        "  idle: {deadline: 100 ms, fields: {x: float64}}\n"                                       \
        "  odom: {fields: {x: float64}}\n"

static struct daemon bus;

static int setup(void **state) {
        daemon_setup(&bus);
        daemon_schema(&bus, TOPICS);
        daemon_start(&bus, NULL);
        return 0;
}

static int teardown(void **state) {
        assert_int_equal(unsetenv("SLIPRING_TRUST"), 0);
        assert_int_equal(daemon_stop(&bus, SIGTERM), 0);
        daemon_teardown(&bus);
        return 0;
}

static void publish(struct slipring_publisher *publisher) {
        struct message message = message_make(1);

        assert_int_equal(slipring_publisher_publish(publisher, &message, sizeof(message), 0), 0);
}

/* Publishes until it is killed, or for so many times. */
static int publish_imu(void *argument) {
        struct slipring_publisher *publisher = publisher_open("imu");
        struct timespec pause = {.tv_nsec = 20000000};
        int i, count = *(int *) argument;

        for (i = 0; i < count; i++) {
                publish(publisher);
                (void) clock_nanosleep(CLOCK_MONOTONIC, 0, &pause, NULL);
        }
        return 0;
}

static void expect_publisher(pid_t pid, bool gone) {
        char text[128];

        (void) snprintf(text, sizeof(text), "imu: publisher %d (test-manager-wa)%s\n", (int) pid,
                        gone ? " is gone" : "");
        daemon_expect(&bus, text);
}

/* --- publishers --- */

static void test_names_publishers_as_they_come_and_go(void **state) {
        int forever = 1000000;
        pid_t first, second;

        first = process_start(publish_imu, &forever);
        expect_publisher(first, false);
        process_kill(first);
        expect_publisher(first, true);
        second = process_start(publish_imu, &forever);
        expect_publisher(second, false);
        process_kill(second);
        expect_publisher(second, true);
}

/* --- deadlines --- */

static size_t count_in_log(const char *text) {
        char line[512];
        size_t count = 0;
        FILE *file = fopen(bus.log, "re");

        assert_non_null(file);
        while (fgets(line, sizeof(line), file)) {
                count += strstr(line, text) != NULL;
        }
        (void) fclose(file);
        return count;
}

static void test_says_once_that_a_topic_went_stale_and_is_fresh(void **state) {
        struct slipring_publisher *publisher = publisher_open("imu");
        struct slipring_publisher *slow = publisher_open("slow");
        int i;

        publish(slow);
        publish(publisher);
        daemon_expect(&bus, "imu: stale: no sample within its deadline of 150 ms");
        /* Two more looks, each second one. */
        (void) sleep(2);
        assert_int_equal(count_in_log("imu: stale"), 1);
        for (i = 0; i < 1000 && !daemon_logged(&bus, "imu: fresh again"); i++) {
                publish(publisher);
                (void) usleep(20000);
        }
        daemon_expect(&bus, "imu: fresh again");
        slipring_publisher_close(publisher);
        daemon_expect(&bus, "imu: stale");
        slipring_publisher_close(slow);
        /* In time; without a deadline; without anybody who ever published. */
        assert_int_equal(count_in_log("slow: stale"), 0);
        assert_int_equal(count_in_log("odom: stale"), 0);
        assert_int_equal(count_in_log("idle: stale"), 0);
}

static void test_publisher_that_never_publishes_is_overdue(void **state) {
        struct slipring_publisher *publisher = publisher_open("imu");

        expect_publisher(getpid(), false);
        daemon_expect(&bus, "imu: stale");
        slipring_publisher_close(publisher);
}

/* --- segments that were changed --- */

static void access_change(int id, unsigned mode) {
        struct shmid_ds status;

        assert_int_equal(shmctl(id, IPC_STAT, &status), 0);
        status.shm_perm.mode = (unsigned short) mode;
        assert_int_equal(shmctl(id, IPC_SET, &status), 0);
}

/* Both clients find the successor, and the topic beside it is as it was. */
static void assert_succeeded(struct slipring_publisher *publisher,
                             struct slipring_subscriber *subscriber,
                             const struct layout_entry *imu,
                             const struct layout_entry *odom) {
        struct slipring_error error = {0};
        struct layout_entry entry;
        struct message message;

        daemon_expect(&bus, "imu: replaced");
        entry = daemon_entry(&bus, "odom");
        assert_memory_equal(&entry, odom, sizeof(entry));
        entry = daemon_entry(&bus, "imu");
        assert_int_not_equal(entry.data_id, imu->data_id);
        assert_int_equal(entry.mode, 0640);
        assert_int_equal(slipring_subscriber_wait(subscriber, slipring_in_ms(20000)), -EIDRM);
        assert_int_equal(slipring_subscriber_move(subscriber, 0, &error), 0);
        assert_int_equal(slipring_publisher_move(publisher, 0, &error), 0);
        publish(publisher);
        assert_int_equal(slipring_subscriber_take(subscriber, &message, sizeof(message), NULL), 1);
}

static void successor_after(void (*change)(const struct layout_entry *), const char *text) {
        struct slipring_publisher *publisher = publisher_open("imu");
        struct slipring_subscriber *subscriber = subscriber_open("imu", SLIPRING_START_NEXT);
        struct layout_entry imu = daemon_entry(&bus, "imu"), odom = daemon_entry(&bus, "odom");

        change(&imu);
        daemon_expect(&bus, text);
        assert_succeeded(publisher, subscriber, &imu, &odom);
        slipring_subscriber_close(subscriber);
        slipring_publisher_close(publisher);
}

static void open_to_all(const struct layout_entry *entry) {
        access_change(entry->data_id, 0666);
}

static void close_to_all(const struct layout_entry *entry) {
        access_change(entry->data_id, 0);
}

static void remove_segment(const struct layout_entry *entry) {
        assert_int_equal(shmctl(entry->data_id, IPC_RMID, NULL), 0);
}

static void remove_claim(const struct layout_entry *entry) {
        assert_int_equal(semctl(entry->claim_id, 0, IPC_RMID), 0);
}

static void mark_retired(const struct layout_entry *entry) {
        struct layout_header *header = shmat(entry->data_id, NULL, 0);

        assert_ptr_not_equal(header, (void *) -1);
        atomic_store(&header->state, LAYOUT_STATE_RETIRED);
        assert_int_equal(shmdt(header), 0);
}

static void test_segment_opened_to_all_gets_a_successor(void **state) {
        successor_after(open_to_all, "changed to owner");
}

static void test_segment_closed_to_all_gets_a_successor(void **state) {
        successor_after(close_to_all, "imu");
}

static void test_removed_segment_gets_a_successor(void **state) {
        successor_after(remove_segment, "its segment is being removed");
}

static void test_removed_claim_gets_a_successor(void **state) {
        successor_after(remove_claim, "no claim has semaphore key");
}

static void test_segment_marked_as_retired_gets_a_successor(void **state) {
        successor_after(mark_retired, "its publisher marked the segment as retired");
}

/* While no manager runs nobody looks; the next one does, and reaches the clients all the same. */
static void successor_at_start(void (*change)(const struct layout_entry *)) {
        struct slipring_publisher *publisher = publisher_open("imu");
        struct slipring_subscriber *subscriber = subscriber_open("imu", SLIPRING_START_NEXT);
        struct layout_entry imu = daemon_entry(&bus, "imu"), odom = daemon_entry(&bus, "odom");

        daemon_kill(&bus);
        change(&imu);
        daemon_spawn(&bus, NULL);
        assert_succeeded(publisher, subscriber, &imu, &odom);
        slipring_subscriber_close(subscriber);
        slipring_publisher_close(publisher);
        daemon_expect(&bus, "serving");
}

static void test_segment_changed_without_a_manager_gets_a_successor(void **state) {
        successor_at_start(open_to_all);
}

static void test_segment_removed_without_a_manager_gets_a_successor(void **state) {
        successor_at_start(remove_segment);
}

/* --- with the rights of a user, which end where the owner says --- */

#define OTHER_USER 65534

static void as_other_user(void *argument) {
        (void) setresgid(OTHER_USER, OTHER_USER, OTHER_USER);
        (void) setresuid(OTHER_USER, OTHER_USER, OTHER_USER);
}

static void test_user_who_may_not_even_look_replaces_it_too(void **state) {
        char name[SLIPRING_BUS_NAME_MAX + 32];

        if (geteuid() != 0) {
                skip();
        }
        assert_int_equal(daemon_stop(&bus, SIGTERM), 0);
        (void) snprintf(name, sizeof(name), "%d/%s", OTHER_USER, bus.bus);
        assert_int_equal(setenv("SLIPRING_BUS", name, 1), 0);
        assert_int_equal(setenv("SLIPRING_TRUST", "65534", 1), 0);
        bus.user = OTHER_USER;
        bus.prepare = as_other_user;
        daemon_start(&bus, NULL);
        successor_after(close_to_all, "mode 0000");
        successor_after(open_to_all, "mode 0666");
        successor_after(remove_segment, "its segment is being removed");
        /* What it cannot attach before it took its right back. */
        daemon_skip(&bus);
        successor_at_start(close_to_all);
        assert_int_equal(unsetenv("SLIPRING_TRUST"), 0);
}

/* --- the bus itself --- */

static void bus_lost(void (*remove)(void)) {
        struct slipring_subscriber *subscriber = subscriber_open("imu", SLIPRING_START_NEXT);

        remove();
        daemon_expect(&bus, "the bus was removed under its manager");
        assert_int_equal(daemon_wait(&bus), 1);
        assert_int_equal(slipring_subscriber_wait(subscriber, slipring_in_ms(20000)), -EIDRM);
        slipring_subscriber_close(subscriber);
        assert_false(daemon_bus_exists(&bus));
        daemon_start(&bus, NULL);
        (void) daemon_entry(&bus, "imu");
}

static void remove_directory(void) {
        int id = shmget(directory_key(bus.user, bus.bus), 0, 0);

        assert_int_equal(shmctl(id, IPC_RMID, NULL), 0);
}

static void remove_bus_claim(void) {
        int id = semget(directory_key(bus.user, bus.bus), 0, 0);

        assert_int_equal(semctl(id, 0, IPC_RMID), 0);
}

static void test_ends_and_cleans_up_if_its_directory_is_removed(void **state) {
        bus_lost(remove_directory);
}

static void test_ends_and_cleans_up_if_its_claim_is_removed(void **state) {
        bus_lost(remove_bus_claim);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(test_names_publishers_as_they_come_and_go, setup,
                                                teardown),
                cmocka_unit_test_setup_teardown(test_says_once_that_a_topic_went_stale_and_is_fresh,
                                                setup, teardown),
                cmocka_unit_test_setup_teardown(test_publisher_that_never_publishes_is_overdue,
                                                setup, teardown),
                cmocka_unit_test_setup_teardown(test_segment_opened_to_all_gets_a_successor, setup,
                                                teardown),
                cmocka_unit_test_setup_teardown(test_segment_closed_to_all_gets_a_successor, setup,
                                                teardown),
                cmocka_unit_test_setup_teardown(test_removed_segment_gets_a_successor, setup,
                                                teardown),
                cmocka_unit_test_setup_teardown(test_removed_claim_gets_a_successor, setup,
                                                teardown),
                cmocka_unit_test_setup_teardown(test_segment_marked_as_retired_gets_a_successor,
                                                setup, teardown),
                cmocka_unit_test_setup_teardown(
                        test_segment_changed_without_a_manager_gets_a_successor, setup, teardown),
                cmocka_unit_test_setup_teardown(
                        test_segment_removed_without_a_manager_gets_a_successor, setup, teardown),
                cmocka_unit_test_setup_teardown(test_user_who_may_not_even_look_replaces_it_too,
                                                setup, teardown),
                cmocka_unit_test_setup_teardown(test_ends_and_cleans_up_if_its_directory_is_removed,
                                                setup, teardown),
                cmocka_unit_test_setup_teardown(test_ends_and_cleans_up_if_its_claim_is_removed,
                                                setup, teardown),
        };

        (void) ipc_private(false);
        return cmocka_run_group_tests(tests, NULL, NULL);
}
