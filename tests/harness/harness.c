#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ipc.h>
#include <sys/prctl.h>
#include <sys/sem.h>
#include <sys/shm.h>
#include <sys/wait.h>
#include <unistd.h>

#include <slipring/publisher.h>
#include <slipring/subscriber.h>

#include "tests/harness/harness.h"

/* --- messages --- */

static const struct slipring_field message_fields[] = {
        {"number", "", SLIPRING_KIND_UINT64, 0, 0, 8, 0, 0},
        {"words", "", SLIPRING_KIND_UINT64, 7, 8, 8, 0, 0},
};

const struct slipring_type message_type = {
        .version = SLIPRING_TYPE_VERSION,
        .payload_bytes = sizeof(struct message),
        .field_count = 2,
        .root_count = 2,
        .identity = {1},
        .name = "test_msgs/msg/Message",
        .text = "uint64 number\nuint64[7] words\n",
        .fields = message_fields,
};

static const struct slipring_field blob_fields[] = {
        {"words", "", SLIPRING_KIND_UINT64, BLOB_BYTES / 8, 0, 8, 0, 0},
};

const struct slipring_type blob_type = {
        .version = SLIPRING_TYPE_VERSION,
        .payload_bytes = BLOB_BYTES,
        .field_count = 1,
        .root_count = 1,
        .identity = {2},
        .name = "test_msgs/msg/Blob",
        .text = "uint64[8192] words\n",
        .fields = blob_fields,
};

static uint64_t mix(uint64_t number, uint64_t place) {
        uint64_t x = number * UINT64_C(0x9e3779b97f4a7c15) + place;

        return x ^ x >> 29;
}

void blob_fill(void *payload, size_t bytes, uint64_t number) {
        uint64_t *words = payload;
        size_t i;

        words[0] = number;
        for (i = 1; i < bytes / 8; i++) {
                words[i] = mix(number, i);
        }
}

bool blob_whole(const void *payload, size_t bytes, uint64_t *ret_number) {
        const uint64_t *words = payload;
        size_t i;

        for (i = 1; i < bytes / 8; i++) {
                if (words[i] != mix(words[0], i)) {
                        return false;
                }
        }
        *ret_number = words[0];
        return true;
}

struct message message_make(uint64_t number) {
        struct message message;

        blob_fill(&message, sizeof(message), number);
        return message;
}

bool message_whole(const struct message *message) {
        uint64_t number;

        return blob_whole(message, sizeof(*message), &number);
}

/* --- buses --- */

struct topic_spec topic_of(const char *name, uint32_t depth) {
        return (struct topic_spec){
                .name = name,
                .description = "",
                .type = &message_type,
                .depth = depth,
                .waiters = LAYOUT_WAITERS_DEFAULT,
                .uid = geteuid(),
                .gid = getegid(),
                .mode = 0640,
        };
}

void bus_resume(struct bus *bus) {
        struct slipring_error error = {0};

        if (registry_open(&bus->registry, bus->name, &error) < 0) {
                fail_msg("bus %s: %s", bus->name, error.text);
        }
}

void bus_abandon(struct bus *bus) {
        bus->registry = registry_close(bus->registry);
}

void bus_apply(struct bus *bus, const struct topic_spec *specs, size_t count) {
        struct slipring_error error = {0};

        if (registry_apply(bus->registry, specs, count, NULL, NULL, &error) < 0) {
                fail_msg("bus %s: %s", bus->name, error.text);
        }
}

/* Buses that run now: a test that fails between start and stop leaves them to the end of the
 * process. */
static struct bus *running[16];
static pid_t owner;

static void remove_running(void) {
        size_t i;

        for (i = 0; owner == getpid() && i < sizeof(running) / sizeof(running[0]); i++) {
                if (running[i] && running[i]->registry) {
                        registry_remove(running[i]->registry, NULL);
                }
        }
}

static void note_running(struct bus *bus, bool runs) {
        size_t i;

        if (!owner) {
                assert_int_equal(atexit(remove_running), 0);
        }
        owner = getpid();
        for (i = 0; i < sizeof(running) / sizeof(running[0]); i++) {
                if (running[i] == (runs ? NULL : bus)) {
                        running[i] = runs ? bus : NULL;
                        return;
                }
        }
}

/* The test before failed and left its bus in the same place. */
static void remove_left(struct bus *bus) {
        size_t i;

        for (i = 0; i < sizeof(running) / sizeof(running[0]); i++) {
                if (running[i] == bus) {
                        running[i] = NULL;
                        registry_remove(bus->registry, NULL);
                }
        }
}

void bus_start(struct bus *bus, const struct topic_spec *specs, size_t count) {
        static unsigned number;

        remove_left(bus);
        (void) snprintf(bus->name, sizeof(bus->name), "test%dn%u", (int) getpid(), number++);
        assert_int_equal(setenv("SLIPRING_BUS", bus->name, 1), 0);
        bus_resume(bus);
        note_running(bus, true);
        bus_apply(bus, specs, count);
}

/* The keys of everything that a bus has. */
static size_t bus_keys(struct bus *bus, key_t *keys, size_t capacity) {
        size_t count = 0, i;

        keys[count++] = directory_key(geteuid(), bus->name);
        for (i = 0; i < registry_count(bus->registry); i++) {
                const struct layout_entry *entry = registry_entry(bus->registry, i);

                assert_true(count + 5 <= capacity);
                keys[count++] = entry->data_key;
                keys[count++] = entry->claim_key;
                keys[count++] = entry->board_key;
                if (entry->pins) {
                        keys[count++] = entry->pin_key;
                        keys[count++] = entry->pin_claim_key;
                }
        }
        return count;
}

void bus_stop(struct bus *bus) {
        key_t keys[256];
        size_t count = bus_keys(bus, keys, 256), i;

        note_running(bus, false);
        bus->registry = registry_remove(bus->registry, NULL);
        for (i = 0; i < count; i++) {
                assert_int_equal(shmget(keys[i], 0, 0), -1);
                assert_int_equal(semget(keys[i], 0, 0), -1);
        }
}

/* --- clients --- */

struct slipring_publisher *publisher_open(const char *topic) {
        struct slipring_publisher *publisher = NULL;
        struct slipring_error error = {0};

        if (slipring_publisher_open(&publisher, topic, NULL, &error) < 0) {
                fail_msg("%s", error.text);
        }
        return publisher;
}

struct slipring_subscriber *subscriber_open(const char *topic, uint32_t start) {
        struct slipring_subscriber_options options = {.size = sizeof(options), .start = start};
        struct slipring_subscriber *subscriber = NULL;
        struct slipring_error error = {0};

        if (slipring_subscriber_open(&subscriber, topic, &options, &error) < 0) {
                fail_msg("%s", error.text);
        }
        return subscriber;
}

/* --- processes --- */

/* As a terminal has them, for children that are to end of them: a script's "&" and nohup(1) start
 * us with some ignored. */
__attribute__((constructor)) static void stops_default(void) {
        static const int stops[] = {SIGHUP, SIGINT, SIGQUIT, SIGTERM};

        for (size_t i = 0; i < sizeof(stops) / sizeof(stops[0]); i++) {
                (void) signal(stops[i], SIG_DFL);
        }
}

/* cmocka turns these into a failed test, and goes on with the next one: in a child, too. */
static void faults_default(void) {
        static const int faults[] = {SIGFPE, SIGILL, SIGSEGV, SIGBUS, SIGSYS};
        size_t i;

        for (i = 0; i < sizeof(faults) / sizeof(faults[0]); i++) {
                (void) signal(faults[i], SIG_DFL);
        }
}

pid_t process_start(int (*run)(void *), void *argument) {
        pid_t pid;

        (void) fflush(NULL);
        pid = fork();
        assert_true(pid >= 0);
        if (pid == 0) {
                /* Nobody outlives a test that was killed. */
                (void) prctl(PR_SET_PDEATHSIG, SIGKILL);
                faults_default();
                /* Not exit(3): the parent's cmocka state is not ours to finish. */
                _exit(run(argument));
        }
        return pid;
}

int process_wait(pid_t pid) {
        int status = 0;

        while (waitpid(pid, &status, 0) < 0) {
                assert_int_equal(errno, EINTR);
        }
        return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

void process_kill(pid_t pid) {
        (void) kill(pid, SIGKILL);
        (void) process_wait(pid);
}

void process_await_call(pid_t pid, long number) {
        uint64_t deadline_ns = slipring_in_ms(20000);
        char path[64], text[64];
        FILE *file;

        (void) snprintf(path, sizeof(path), "/proc/%d/syscall", (int) pid);
        while (slipring_now_ns() < deadline_ns) {
                file = fopen(path, "re");
                assert_non_null(file);
                /* "running", or the call's number and its arguments. */
                if (fgets(text, sizeof(text), file) && text[0] != 'r' && atol(text) == number) {
                        (void) fclose(file);
                        return;
                }
                (void) fclose(file);
                (void) usleep(50);
        }
        fail_msg("process %d never came into system call %ld", (int) pid, number);
}

bool harness_long(void) {
        const char *text = getenv("SLIPRING_TEST_LONG");

        return text && strcmp(text, "1") == 0;
}
