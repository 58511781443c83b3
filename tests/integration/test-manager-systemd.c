/*
 * The manager as a service: what it tells systemd over a real datagram socket, and what it sends to
 * the journal.
 */

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/shm.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <slipring/publisher.h>

#include "tests/harness/daemon.h"

#define TOPICS                                                                                     \
        "topics:\n"                                                                                \
        "  imu: {deadline: 150 ms, fields: {number: uint64, words: \"uint64[7]\"}}\n"              \
        "  odom: {fields: {x: float64}}\n"

/* Only a failing test waits that long. */
#define PATIENCE_MS 30000

static struct daemon bus;
static int notify_socket = -1;

static int socket_bind(const char *path) {
        struct sockaddr_un address = {.sun_family = AF_UNIX};
        int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);

        assert_true(fd >= 0);
        (void) snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
        assert_int_equal(bind(fd, (struct sockaddr *) &address, sizeof(address)), 0);
        return fd;
}

/* The next datagram, whole. */
static void receive(int fd, char *text, size_t bytes) {
        struct pollfd socket = {.fd = fd, .events = POLLIN};
        ssize_t got;

        assert_int_equal(poll(&socket, 1, PATIENCE_MS), 1);
        got = recv(fd, text, bytes - 1, 0);
        assert_true(got > 0);
        text[got] = '\0';
}

/* --- notify --- */

/* As systemd would set it for WatchdogSec=400ms. */
static void as_service(void *argument) {
        char text[32];

        (void) snprintf(text, sizeof(text), "%d", (int) getpid());
        (void) setenv("NOTIFY_SOCKET", argument, 1);
        (void) setenv("WATCHDOG_USEC", "400000", 1);
        (void) setenv("WATCHDOG_PID", text, 1);
}

static int setup_notify(void **state) {
        static char path[96];

        daemon_setup(&bus);
        daemon_schema(&bus, TOPICS);
        (void) snprintf(path, sizeof(path), "%s/notify", bus.directory);
        notify_socket = socket_bind(path);
        bus.prepare = as_service;
        bus.argument = path;
        return 0;
}

static int teardown_notify(void **state) {
        assert_int_equal(close(notify_socket), 0);
        assert_int_equal(unlink(bus.argument), 0);
        daemon_teardown(&bus);
        return 0;
}

/* The next message that is more than a ping. */
static void expect_notice(const char *expected) {
        char text[1024];

        do {
                receive(notify_socket, text, sizeof(text));
        } while (strcmp(text, "WATCHDOG=1") == 0);
        if (!strstr(text, expected)) {
                fail_msg("got '%s' instead of '%s'", text, expected);
        }
}

static void expect_status(const char *status) {
        char text[256];

        (void) snprintf(text, sizeof(text), "STATUS=%s: %s", bus.bus, status);
        expect_notice(text);
}

static void test_says_ready_status_and_stopping(void **state) {
        daemon_start(&bus, NULL);
        expect_status("2 topics, 0 live, 0 stale");
        expect_notice("READY=1");
        daemon_signal(&bus, SIGTERM);
        expect_notice("STOPPING=1");
        assert_int_equal(daemon_wait(&bus), 0);
}

static void test_status_follows_the_topics(void **state) {
        struct slipring_publisher *publisher;
        struct message message = message_make(1);
        int i;

        daemon_start(&bus, NULL);
        expect_status("2 topics, 0 live, 0 stale");
        expect_notice("READY=1");
        publisher = publisher_open("imu");
        /* Until it was seen: the manager looks each second. */
        for (i = 0; i < 1000 && !daemon_logged(&bus, "imu: publisher"); i++) {
                assert_int_equal(
                        slipring_publisher_publish(publisher, &message, sizeof(message), 0), 0);
                (void) usleep(20000);
        }
        expect_status("2 topics, 1 live, 0 stale");
        expect_status("2 topics, 0 live, 1 stale");
        slipring_publisher_close(publisher);
        assert_int_equal(daemon_stop(&bus, SIGTERM), 0);
}

static void test_reload_is_announced_with_its_time(void **state) {
        uint64_t before_usec = slipring_now_ns() / 1000;
        unsigned long long usec = 0;
        char text[1024], *at;

        daemon_start(&bus, NULL);
        expect_status("2 topics");
        expect_notice("READY=1");
        daemon_signal(&bus, SIGHUP);
        do {
                receive(notify_socket, text, sizeof(text));
        } while (strcmp(text, "WATCHDOG=1") == 0);
        assert_non_null(strstr(text, "RELOADING=1\n"));
        at = strstr(text, "MONOTONIC_USEC=");
        assert_non_null(at);
        assert_int_equal(sscanf(at, "MONOTONIC_USEC=%llu", &usec), 1);
        assert_true(usec >= before_usec && usec <= slipring_now_ns() / 1000);
        expect_status("2 topics");
        expect_notice("READY=1");
        assert_int_equal(daemon_stop(&bus, SIGTERM), 0);
}

static void test_failed_reload_is_in_the_status(void **state) {
        daemon_start(&bus, NULL);
        expect_status("2 topics");
        expect_notice("READY=1");
        daemon_schema(&bus, "topics: 7\n");
        daemon_signal(&bus, SIGHUP);
        expect_notice("RELOADING=1\n");
        expect_status("2 topics, 0 live, 0 stale; last reload failed: the schema has errors");
        expect_notice("READY=1");
        assert_int_equal(daemon_stop(&bus, SIGTERM), 0);
}

static void test_pings_the_watchdog_while_nothing_happens(void **state) {
        char text[1024];
        int pings;

        daemon_start(&bus, NULL);
        expect_status("2 topics");
        expect_notice("READY=1");
        for (pings = 0; pings < 5; pings++) {
                receive(notify_socket, text, sizeof(text));
                assert_string_equal(text, "WATCHDOG=1");
        }
        assert_int_equal(daemon_stop(&bus, SIGTERM), 0);
}

static void test_stopped_manager_does_not_ping(void **state) {
        struct pollfd socket = {.fd = notify_socket, .events = POLLIN};
        char text[1024];

        daemon_start(&bus, NULL);
        expect_status("2 topics");
        expect_notice("READY=1");
        daemon_signal(&bus, SIGSTOP);
        (void) usleep(100000);
        while (poll(&socket, 1, 0) == 1) {
                receive(notify_socket, text, sizeof(text));
        }
        assert_int_equal(poll(&socket, 1, 1000), 0);
        daemon_signal(&bus, SIGCONT);
        receive(notify_socket, text, sizeof(text));
        assert_string_equal(text, "WATCHDOG=1");
        assert_int_equal(daemon_stop(&bus, SIGTERM), 0);
}

static void test_failed_start_is_never_ready(void **state) {
        struct pollfd socket = {.fd = notify_socket, .events = POLLIN};

        char text[1024];

        daemon_schema(&bus, "topics: 7\n");
        daemon_spawn(&bus, NULL);
        assert_int_equal(daemon_wait(&bus), 1);
        while (poll(&socket, 1, 0) == 1) {
                receive(notify_socket, text, sizeof(text));
                assert_null(strstr(text, "READY=1"));
        }
}

/* --- the journal --- */

#define JOURNAL_SOCKET "/run/systemd/journal/socket"

static int journal_socket = -1;

/* A journal of our own, in a mount namespace of our own. */
static bool journal_fake(void) {
        if (geteuid() != 0 || unshare(CLONE_NEWNS) < 0 ||
            mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
            mount("tmpfs", "/run", "tmpfs", 0, NULL) < 0) {
                return false;
        }
        assert_int_equal(mkdir("/run/systemd", 0755), 0);
        assert_int_equal(mkdir("/run/systemd/journal", 0755), 0);
        journal_socket = socket_bind(JOURNAL_SOCKET);
        return true;
}

/* As systemd does it for StandardError=journal; here the stream is the log file. */
static void as_journal_stream(void *argument) {
        struct stat status;
        char text[64];

        (void) fstat(STDERR_FILENO, &status);
        (void) snprintf(text, sizeof(text), "%llu:%llu", (unsigned long long) status.st_dev,
                        (unsigned long long) status.st_ino);
        (void) setenv("JOURNAL_STREAM", text, 1);
}

static int setup_journal(void **state) {
        daemon_setup(&bus);
        daemon_schema(&bus, TOPICS);
        if (journal_socket < 0 && !journal_fake()) {
                return 0;
        }
        bus.prepare = as_journal_stream;
        return 0;
}

static int teardown_journal(void **state) {
        daemon_teardown(&bus);
        return 0;
}

/* Entries come until one is about this event. */
static void expect_entry(char *entry, size_t bytes, const char *event) {
        char field[64];

        (void) snprintf(field, sizeof(field), "SLIPRING_EVENT=%s\n", event);
        do {
                receive(journal_socket, entry, bytes);
        } while (!strstr(entry, field));
}

static void assert_field(const char *entry, const char *format, ...)
        __attribute__((format(printf, 2, 3)));

static void assert_field(const char *entry, const char *format, ...) {
        char field[256];
        va_list arguments;

        va_start(arguments, format);
        (void) vsnprintf(field, sizeof(field), format, arguments);
        va_end(arguments);
        if (!strstr(entry, field)) {
                fail_msg("no '%s' in:\n%s", field, entry);
        }
}

static void test_journal_entries_have_fields(void **state) {
        struct slipring_publisher *publisher;
        struct message message = message_make(1);
        char entry[4096];

        if (journal_socket < 0) {
                skip();
        }
        daemon_spawn(&bus, NULL);
        expect_entry(entry, sizeof(entry), "created");
        assert_field(entry, "MESSAGE=%s: imu: created", bus.bus);
        assert_field(entry, "PRIORITY=6\n");
        assert_field(entry, "SLIPRING_BUS=%s\n", bus.bus);
        assert_field(entry, "SLIPRING_TOPIC=imu\n");
        expect_entry(entry, sizeof(entry), "started");
        publisher = publisher_open("imu");
        assert_int_equal(slipring_publisher_publish(publisher, &message, sizeof(message), 0), 0);
        expect_entry(entry, sizeof(entry), "publisher");
        assert_field(entry, "SLIPRING_TOPIC=imu\n");
        assert_field(entry, "SLIPRING_PID=%d\n", (int) getpid());
        expect_entry(entry, sizeof(entry), "stale");
        assert_field(entry, "PRIORITY=4\n");
        assert_field(entry, "SLIPRING_TOPIC=imu\n");
        slipring_publisher_close(publisher);
        expect_entry(entry, sizeof(entry), "publisher_gone");
        assert_field(entry, "SLIPRING_PID=%d\n", (int) getpid());
        daemon_schema(&bus, "topics:\n  imu: {fields: {x: float65}}\n");
        daemon_signal(&bus, SIGHUP);
        expect_entry(entry, sizeof(entry), "schema");
        assert_field(entry, "MESSAGE=%s: %s:4:21: error: there is no type 'float65'", bus.bus,
                     bus.schema);
        assert_field(entry, "PRIORITY=3\n");
        expect_entry(entry, sizeof(entry), "reload_failed");
        daemon_schema(&bus, "topics:\n  odom: {fields: {x: float32}}\n");
        daemon_signal(&bus, SIGHUP);
        expect_entry(entry, sizeof(entry), "replaced");
        assert_field(entry, "SLIPRING_TOPIC=odom\n");
        expect_entry(entry, sizeof(entry), "removed");
        assert_field(entry, "SLIPRING_TOPIC=imu\n");
        expect_entry(entry, sizeof(entry), "reload");
        assert_int_equal(daemon_stop(&bus, SIGTERM), 0);
        expect_entry(entry, sizeof(entry), "removed_bus");
        /* Not a second time as text. */
        assert_false(daemon_logged(&bus, "imu"));
}

static void test_foreground_speaks_to_standard_error(void **state) {
        daemon_start(&bus, "--foreground", NULL);
        assert_int_equal(daemon_stop(&bus, SIGTERM), 0);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(test_says_ready_status_and_stopping, setup_notify,
                                                teardown_notify),
                cmocka_unit_test_setup_teardown(test_status_follows_the_topics, setup_notify,
                                                teardown_notify),
                cmocka_unit_test_setup_teardown(test_reload_is_announced_with_its_time,
                                                setup_notify, teardown_notify),
                cmocka_unit_test_setup_teardown(test_failed_reload_is_in_the_status, setup_notify,
                                                teardown_notify),
                cmocka_unit_test_setup_teardown(test_pings_the_watchdog_while_nothing_happens,
                                                setup_notify, teardown_notify),
                cmocka_unit_test_setup_teardown(test_stopped_manager_does_not_ping, setup_notify,
                                                teardown_notify),
                cmocka_unit_test_setup_teardown(test_failed_start_is_never_ready, setup_notify,
                                                teardown_notify),
                cmocka_unit_test_setup_teardown(test_journal_entries_have_fields, setup_journal,
                                                teardown_journal),
                cmocka_unit_test_setup_teardown(test_foreground_speaks_to_standard_error,
                                                setup_journal, teardown_journal),
        };

        (void) ipc_private(false);
        return cmocka_run_group_tests(tests, NULL, NULL);
}
