/*
 * Storms of reloads, with files that are right, wrong, torn and missing, under live clients: topics
 * that stay lose nothing, clients of one that changes again and again find each successor, and in
 * the end the bus is what the last good file says.
 */

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include <slipring/publisher.h>
#include <slipring/subscriber.h>

#include "tests/harness/daemon.h"

#define MESSAGE "fields: {number: uint64, words: \"uint64[7]\"}"
/* Half a minute of samples: whoever misses one was not told, rather than slow. */
#define KEPT "  kept: {depth: 32768, " MESSAGE "}\n"
#define FIRST "topics:\n" KEPT "  changing: {depth: 4096, " MESSAGE "}\n"
#define SECOND                                                                                     \
        "topics:\n  beside: {fields: {x: float64}}\n" KEPT "  changing: {depth: 4097, " MESSAGE    \
        "}\n"

#define PATIENCE_MS 60000

/* What a client tells. */
struct report {
        _Atomic uint64_t count;  /* published or delivered so far */
        _Atomic uint64_t gaps;   /* numbers that never came */
        _Atomic uint64_t moves;  /* successors found */
        _Atomic uint64_t failed; /* calls, and samples out of order or not whole */
};

enum client {
        KEPT_PUBLISHER,
        KEPT_SUBSCRIBER,
        CHANGING_PUBLISHER,
        CHANGING_SUBSCRIBER,
        CLIENTS,
};

struct shared {
        _Atomic int stop; /* publishers */
        _Atomic int done; /* subscribers: what is there now is all */
        struct report reports[CLIENTS];
};

static struct daemon bus;
static struct shared *shared;

static void sleep_us(unsigned us) {
        struct timespec pause = {.tv_sec = us / 1000000, .tv_nsec = us % 1000000 * 1000L};

        (void) nanosleep(&pause, NULL);
}

static const char *topic_of_client(enum client client) {
        return client < CHANGING_PUBLISHER ? "kept" : "changing";
}

/* --- clients --- */

static int publish_run(void *argument) {
        enum client client = *(enum client *) argument;
        struct report *report = &shared->reports[client];
        struct slipring_publisher *publisher = publisher_open(topic_of_client(client));
        struct message message = message_make(1);
        int r;

        while (!atomic_load(&shared->stop)) {
                r = slipring_publisher_publish(publisher, &message, sizeof(message), 0);
                if (r == -EIDRM && client == CHANGING_PUBLISHER) {
                        r = slipring_publisher_move(publisher, slipring_in_ms(PATIENCE_MS), NULL);
                        atomic_fetch_add(&report->moves, 1);
                } else if (r == 0) {
                        atomic_store(&report->count, message.number);
                        message = message_make(message.number + 1);
                        sleep_us(500);
                }
                if (r < 0) {
                        atomic_fetch_add(&report->failed, 1);
                        return 1;
                }
        }
        slipring_publisher_close(publisher);
        return 0;
}

/* The next one in turn, or later than that. */
static void check(struct report *report, const struct message *message, uint64_t *last) {
        if (!message_whole(message) || message->number <= *last) {
                atomic_fetch_add(&report->failed, 1);
                return;
        }
        atomic_fetch_add(&report->gaps, message->number - *last - 1);
        atomic_fetch_add(&report->count, 1);
        *last = message->number;
}

static int subscribe_run(void *argument) {
        enum client client = *(enum client *) argument;
        struct report *report = &shared->reports[client];
        struct slipring_subscriber *subscriber =
                subscriber_open(topic_of_client(client), SLIPRING_START_OLDEST);
        struct message message;
        uint64_t last = 0;
        bool done = false;
        int r;

        for (;;) {
                r = slipring_subscriber_take(subscriber, &message, sizeof(message), NULL);
                if (r == 1) {
                        check(report, &message, &last);
                } else if (r == -EIDRM && client == CHANGING_SUBSCRIBER) {
                        r = slipring_subscriber_move(subscriber, slipring_in_ms(PATIENCE_MS), NULL);
                        atomic_fetch_add(&report->moves, 1);
                } else if (r == 0 && done) {
                        slipring_subscriber_close(subscriber);
                        return 0;
                } else if (r == 0) {
                        /* Once more after that: all was published before it. */
                        done = atomic_load(&shared->done);
                        (void) slipring_subscriber_wait(subscriber, slipring_in_ms(200));
                }
                if (r < 0) {
                        atomic_fetch_add(&report->failed, 1);
                        return 1;
                }
        }
}

/* --- the storm --- */

static unsigned chance(unsigned *seed) {
        *seed = *seed * 1103515245u + 12345u;
        return *seed >> 16;
}

/* As an editor or a deployment writes it: at once. */
static void replace(const char *text) {
        struct daemon other = bus;

        (void) snprintf(other.schema, sizeof(other.schema), "%s/next.yaml", bus.directory);
        daemon_schema(&other, text);
        assert_int_equal(rename(other.schema, bus.schema), 0);
}

/* As it should not be: a part of it is read. What a half file says may well be right; what it
 * cannot leave out is under a key that comes first. */
static void tear(const char *text, unsigned bytes) {
        char torn[512];

        (void) snprintf(torn, sizeof(torn), "torn: [\n%.*s", (int) (bytes % strlen(text)), text);
        replace(torn);
}

static void change(unsigned *seed) {
        switch (chance(seed) % 8) {
        case 0:
                tear(FIRST, chance(seed));
                break;
        case 1:
                replace("topics:\n" KEPT "  changing: {depth: 1, " MESSAGE "}\n");
                break;
        case 2:
                replace("topics: {}\n");
                break;
        case 3:
                (void) unlink(bus.schema);
                break;
        case 4:
        case 5:
                replace(FIRST);
                break;
        default:
                replace(SECOND);
                break;
        }
}

static void settle(const char *text, uint32_t depth) {
        uint64_t patience_ns = slipring_in_ms(PATIENCE_MS);

        replace(text);
        daemon_signal(&bus, SIGHUP);
        while (daemon_entry(&bus, "changing").depth != depth) {
                assert_true(slipring_now_ns() < patience_ns);
                sleep_us(1000);
        }
}

static unsigned count_logged(const char *text) {
        unsigned count = 0;

        bus.read_bytes = 0;
        while (daemon_logged(&bus, text)) {
                daemon_expect(&bus, text);
                count++;
        }
        return count;
}

static void await_count(enum client client, uint64_t count) {
        uint64_t patience_ns = slipring_in_ms(PATIENCE_MS);

        while (atomic_load(&shared->reports[client].count) < count) {
                assert_true(slipring_now_ns() < patience_ns);
                sleep_us(1000);
        }
}

static void storm(unsigned signals) {
        unsigned seed = signals, i;

        for (i = 0; i < signals; i++) {
                change(&seed);
                daemon_signal(&bus, SIGHUP);
                /* Some come while the last one is worked on, some not. */
                if (chance(&seed) % 2) {
                        sleep_us(chance(&seed) % 40000);
                }
                if (i % 50 == 49) {
                        settle(i % 100 == 49 ? SECOND : FIRST, i % 100 == 49 ? 4097 : 4096);
                }
        }
        settle(FIRST, 4096);
}

static void
print_report(const char *topic, const struct report *published, const struct report *delivered) {
        print_message("%s: %llu delivered + %llu lost == %llu published; %llu and %llu moves\n",
                      topic, (unsigned long long) atomic_load(&delivered->count),
                      (unsigned long long) atomic_load(&delivered->gaps),
                      (unsigned long long) atomic_load(&published->count),
                      (unsigned long long) atomic_load(&published->moves),
                      (unsigned long long) atomic_load(&delivered->moves));
}

static void check_reports(void) {
        const struct report *kept = &shared->reports[KEPT_SUBSCRIBER],
                            *changing = &shared->reports[CHANGING_SUBSCRIBER];
        const struct report *published = &shared->reports[CHANGING_PUBLISHER];

        print_report("kept", &shared->reports[KEPT_PUBLISHER], kept);
        print_report("changing", published, changing);
        assert_int_equal(kept->gaps, 0);
        assert_int_equal(kept->count, shared->reports[KEPT_PUBLISHER].count);
        /* The one sample that was under way when the topic was retired may have come after its
         * subscriber left. */
        assert_true(changing->gaps <= published->moves);
        assert_true(changing->count + changing->gaps + published->moves >= published->count);
        assert_true(changing->count + changing->gaps <= published->count);
        assert_true(published->moves > 0 && changing->moves > 0);
}

static void await_objects(size_t objects) {
        uint64_t patience_ns = slipring_in_ms(PATIENCE_MS);

        while (ipc_objects() != objects) {
                assert_true(slipring_now_ns() < patience_ns);
                sleep_us(1000);
        }
}

static void start_clients(enum client clients[CLIENTS], pid_t pids[CLIENTS]) {
        int i;

        for (i = 0; i < CLIENTS; i++) {
                clients[i] = (enum client) i;
                pids[i] = process_start(i == KEPT_PUBLISHER || i == CHANGING_PUBLISHER
                                                ? publish_run
                                                : subscribe_run,
                                        &clients[i]);
        }
        for (i = 0; i < CLIENTS; i++) {
                await_count((enum client) i, 1);
        }
}

static void stop_clients(const pid_t pids[CLIENTS]) {
        atomic_store(&shared->stop, 1);
        assert_int_equal(process_wait(pids[KEPT_PUBLISHER]), 0);
        assert_int_equal(process_wait(pids[CHANGING_PUBLISHER]), 0);
        atomic_store(&shared->done, 1);
        assert_int_equal(process_wait(pids[KEPT_SUBSCRIBER]), 0);
        assert_int_equal(process_wait(pids[CHANGING_SUBSCRIBER]), 0);
}

static void test_storm_of_reloads(void **state) {
        unsigned signals = harness_long() ? 5000 : 400;
        enum client clients[CLIENTS];
        struct layout_entry kept, after;
        pid_t pids[CLIENTS];
        size_t objects;

        daemon_schema(&bus, FIRST);
        daemon_start(&bus, NULL);
        objects = ipc_objects();
        kept = daemon_entry(&bus, "kept");
        start_clients(clients, pids);
        storm(signals);
        stop_clients(pids);
        check_reports();
        after = daemon_entry(&bus, "kept");
        assert_memory_equal(&after, &kept, sizeof(kept));
        await_objects(objects);
        print_message("%u signals: %u reloads, %u refused\n", signals, count_logged(": reloaded "),
                      count_logged(": reload failed, nothing has changed"));
        assert_int_equal(daemon_stop(&bus, SIGTERM), 0);
}

/* Not one of them changes anything, however fast they come. */
static void test_storm_of_broken_files(void **state) {
        static const char *const broken[] = {"topics: {}\n", "topics:\n  changing: {depth: 8}\n",
                                             "nonsense: [", "topics:\n" KEPT KEPT, ""};
        struct layout_entry kept, changing, after;
        unsigned i;

        daemon_schema(&bus, FIRST);
        daemon_start(&bus, NULL);
        kept = daemon_entry(&bus, "kept");
        changing = daemon_entry(&bus, "changing");
        for (i = 0; i < 200; i++) {
                replace(broken[i % 5]);
                daemon_signal(&bus, SIGHUP);
                if (i % 3 == 0) {
                        daemon_expect(&bus, ": reload failed, nothing has changed");
                }
                after = daemon_entry(&bus, "kept");
                assert_memory_equal(&after, &kept, sizeof(kept));
                after = daemon_entry(&bus, "changing");
                assert_memory_equal(&after, &changing, sizeof(changing));
        }
        assert_int_equal(count_logged(": reloaded "), 0);
        print_message("%u refused\n", count_logged(": reload failed, nothing has changed"));
        assert_int_equal(daemon_stop(&bus, SIGTERM), 0);
}

static int setup(void **state) {
        daemon_setup(&bus);
        shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1,
                      0);
        return shared == MAP_FAILED ? -1 : 0;
}

static int teardown(void **state) {
        (void) munmap(shared, sizeof(*shared));
        daemon_teardown(&bus);
        return 0;
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(test_storm_of_reloads, setup, teardown),
                cmocka_unit_test_setup_teardown(test_storm_of_broken_files, setup, teardown),
        };

        (void) ipc_private(true);
        return cmocka_run_group_tests(tests, NULL, NULL);
}
