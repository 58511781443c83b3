/*
 * A manager killed at any step of making, reloading, changing or removing a bus: clients go on
 * without it, and the next one repairs the bus.
 *
 * A tracer kills the manager as it enters its k-th call that others can see the effect of, for
 * every k until it gets through; at every second k some instructions later, in the middle of what
 * it writes (the long run: also as it leaves each call). Then a manager starts as usual, has to
 * serve all topics, and has to leave nothing behind.
 *
 * Most of a round is waiting, so several workers share the steps, each in an IPC namespace of its
 * own.
 */

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/ipc.h>
#include <sys/mman.h>
#include <sys/sem.h>
#include <sys/shm.h>
#include <sys/wait.h>
#include <unistd.h>

#include <slipring/publisher.h>
#include <slipring/subscriber.h>

#include "tests/harness/daemon.h"
#include "tests/harness/tracer.h"

#define WORKERS 8

/* Enough to get from one call to the next, through all of a small directory. */
#define INSTRUCTIONS_MAX 8192

#define BEFORE                                                                                     \
        "topics:\n"                                                                                \
        "  kept: {fields: {x: float64}}\n"                                                         \
        "  changed: {fields: {x: float64}}\n"                                                      \
        "  gone: {fields: {x: float64}, mode: \"0600\"}\n"

#define AFTER                                                                                      \
        "topics:\n"                                                                                \
        "  kept: {fields: {x: float64}}\n"                                                         \
        "  changed: {fields: {x: float64, y: float64}}\n"                                          \
        "  added: {fields: {x: float64}, mode: \"0644\"}\n"

#define SHARED_AND_PINNED                                                                          \
        "topics:\n"                                                                                \
        "  imu: {fields: {x: float64}}\n"                                                          \
        "  log: {fields: {x: float64}, publishers: shared}\n"                                      \
        "  camera: {fields: {x: float64}, depth: 4, pins: 2}\n"

static struct daemon bus;
static unsigned worker;

/* Deaths, of all workers. */
enum death {
        MAKING,
        CHANGING,
        RELOADING,
        DOWN,
        DOWN_TWICE,
        FORCED,
        DEATHS,
};

static const char *const death_names[DEATHS] = {
        "making and removing",  "changing at a start",     "reloading", "down",
        "down, and down again", "down by force, and again"};
static _Atomic unsigned *deaths;

/* --- clients that are there all the time --- */

#define CLIENTS 3

struct client {
        const char *topic;
        struct slipring_publisher *publisher;
        struct slipring_subscriber *subscriber;
};

static struct client clients[CLIENTS];
static pid_t sleeper; /* 0: none */

/* Sleeps on a topic until that is retired, moves, and takes what comes then. */
static int sleep_run(void *argument) {
        struct slipring_subscriber *subscriber = subscriber_open("changed", SLIPRING_START_NEXT);
        uint8_t payload[64];
        bool moved = false;
        int r;

        (void) close(*(int *) argument);
        for (;;) {
                r = slipring_subscriber_wait(subscriber, SLIPRING_FOREVER);
                if (r == -EIDRM && !moved) {
                        moved = slipring_subscriber_move(subscriber, 0, NULL) == 0;
                        r = moved ? 0 : -ENOENT;
                } else if (r == 0 &&
                           slipring_subscriber_take(subscriber, payload, sizeof(payload), NULL) ==
                                   1 &&
                           moved) {
                        slipring_subscriber_close(subscriber);
                        return 0;
                }
                if (r < 0) {
                        return 1;
                }
        }
}

static void sleeper_start(void) {
        int ready[2];
        char byte;

        assert_int_equal(pipe(ready), 0);
        sleeper = process_start(sleep_run, &ready[1]);
        (void) close(ready[1]);
        /* Its end is closed once it has opened. */
        assert_int_equal(read(ready[0], &byte, 1), 0);
        (void) close(ready[0]);
}

static void clients_open(const char *first, const char *second, const char *third) {
        const char *topics[CLIENTS] = {first, second, third};
        size_t i;

        for (i = 0; i < CLIENTS; i++) {
                clients[i] = (struct client){
                        .topic = topics[i],
                        .publisher = publisher_open(topics[i]),
                        .subscriber = subscriber_open(topics[i], SLIPRING_START_NEXT),
                };
        }
}

static void clients_close(void) {
        size_t i;

        for (i = 0; i < CLIENTS; i++) {
                clients[i].publisher = slipring_publisher_close(clients[i].publisher);
                clients[i].subscriber = slipring_subscriber_close(clients[i].subscriber);
        }
}

/* One sample from the publisher to the subscriber; returns what publish says. */
static int carry(struct slipring_publisher *publisher, struct slipring_subscriber *subscriber) {
        const struct slipring_type *type = slipring_publisher_type(publisher);
        uint8_t out[64] = {0}, in[64] = {0};
        int r;

        assert_true(type->payload_bytes <= sizeof(out));
        memset(out, 0x5a, type->payload_bytes);
        r = slipring_publisher_publish(publisher, out, type->payload_bytes, 0);
        if (r == 0) {
                assert_int_equal(slipring_subscriber_take(subscriber, in, sizeof(in), NULL), 1);
                assert_memory_equal(in, out, sizeof(in));
        }
        return r;
}

/* Go on as clients do. Returns 0 on the old segment, 1 on a successor, or why there is none. */
static int go_on(struct client *client) {
        uint8_t payload[64];
        int r = carry(client->publisher, client->subscriber);

        if (r == 0) {
                return 0;
        }
        assert_int_equal(r, -EIDRM);
        assert_int_equal(
                slipring_subscriber_take(client->subscriber, payload, sizeof(payload), NULL),
                -EIDRM);
        r = slipring_publisher_move(client->publisher, 0, NULL);
        assert_int_equal(slipring_subscriber_move(client->subscriber, 0, NULL), r);
        if (r < 0) {
                return r;
        }
        assert_int_equal(carry(client->publisher, client->subscriber), 0);
        return 1;
}

/* --- killing --- */

/* What a manager is told when it has set up the bus. */
struct order {
        void (*tell)(void);
        const char *done; /* what it logs when it has done that; NULL: it ends */
        bool later;       /* only what it does then are steps */
};

/* Has it done all? Tells it what to do when it first comes to rest. */
static bool at_rest(const struct order *order, bool *told) {
        if (*told) {
                return order->done && daemon_logged(&bus, order->done);
        }
        *told = true;
        if (!order->tell) {
                return true;
        }
        daemon_skip(&bus);
        order->tell();
        return false;
}

/* Let it run into its k-th step and kill it there. Returns false if it got through; it has ended or
 * been killed at rest then. */
static bool kill_at_step(unsigned k, const struct order *order) {
        struct tracer tracer;
        unsigned step = 0;
        bool told = false;

        tracer_begin(&tracer, bus.pid);
        for (;;) {
                if (!tracer_next(&tracer)) {
                        bus.pid = 0;
                        assert_int_equal(tracer.exit_code, 0);
                        return false;
                }
                if (tracer.entering && tracer_at_rest(&tracer) && at_rest(order, &told)) {
                        daemon_kill(&bus);
                        return false;
                }
                if ((told || !order->later) && tracer_at_step(&tracer) &&
                    (tracer.entering || harness_long()) && ++step == k) {
                        tracer_instructions(&tracer,
                                            k % 2 ? k * 2654435761u % INSTRUCTIONS_MAX : 0);
                        daemon_kill(&bus);
                        return true;
                }
        }
}

static void spawn_traced(void) {
        bus.prepare = tracer_prepare;
        daemon_spawn(&bus, NULL);
        bus.prepare = NULL;
}

/* --- what has to hold afterwards --- */

static void assert_all_serve(size_t topics) {
        struct directory directory;
        struct directory_table table = {0};
        size_t found = 0;
        uint32_t i;

        assert_int_equal(directory_attach(&directory, geteuid(), bus.bus, NULL), 0);
        assert_int_equal(directory_read(&directory, &table, NULL), 0);
        for (i = 0; i < table.count; i++) {
                assert_int_equal(table.entries[i].state, LAYOUT_ENTRY_SERVING);
                found += table.entries[i].kind == LAYOUT_ENTRY_TOPIC;
        }
        assert_int_equal(found, topics);
        /* The directory, a segment a board, and two objects a topic; the bus's claim. */
        assert_int_equal(ipc_objects(), 1 + (table.count - topics) + 2 * topics + 1);
        directory_table_free(&table);
        directory_detach(&directory);
}

static void assert_carries(const char *topic) {
        struct slipring_publisher *publisher = publisher_open(topic);
        struct slipring_subscriber *subscriber = subscriber_open(topic, SLIPRING_START_NEXT);

        assert_int_equal(carry(publisher, subscriber), 0);
        slipring_subscriber_close(subscriber);
        slipring_publisher_close(publisher);
}

/* The manager that comes next may be killed as well. */
static void killed_again(unsigned k) {
        static const struct order nothing = {0};

        if (harness_long() || k % 4 == 1) {
                spawn_traced();
                (void) kill_at_step(k % 23 + 1, &nothing);
        }
}

static void repair(void) {
        daemon_skip(&bus);
        daemon_start(&bus, NULL);
}

static void finish(void) {
        assert_all_serve(3);
        assert_carries("kept");
        assert_carries("changed");
        assert_carries("added");
        assert_int_equal(daemon_stop(&bus, SIGTERM), 0);
        assert_int_equal(ipc_objects(), 0);
}

/* --- making, changing at a start --- */

static void open_and_terminate(void) {
        clients_open("kept", "changed", "added");
        daemon_signal(&bus, SIGTERM);
}

/* Without a manager, some topics may be retired and none of them has a successor; with the next one
 * all have, unless they stayed as they were. */
static void clients_live_through_removal(void) {
        int r, i;

        for (i = 0; i < CLIENTS && clients[i].publisher; i++) {
                r = go_on(&clients[i]);
                assert_true(r == 0 || r == -ENOENT);
        }
        repair();
        for (i = 0; i < CLIENTS && clients[i].publisher; i++) {
                assert_true(go_on(&clients[i]) >= 0);
        }
        clients_close();
}

static void test_killed_at_any_step_of_making_and_removing(void **state) {
        static const struct order end = {.tell = open_and_terminate};
        unsigned k = 1 + worker, rounds = 0;
        bool killed = true;

        daemon_schema(&bus, AFTER);
        for (; killed; k += WORKERS) {
                spawn_traced();
                killed = kill_at_step(k, &end);
                clients_live_through_removal();
                finish();
                rounds++;
        }
        atomic_fetch_add(&deaths[MAKING], rounds - 1);
        /* A tracer that sees nothing would pass as well. */
        assert_true(rounds > 5);
}

static void terminate(void) {
        daemon_signal(&bus, SIGTERM);
}

static void test_killed_at_any_step_of_changing_at_a_start(void **state) {
        static const struct order end = {.tell = terminate};
        unsigned k = 1 + worker, rounds = 0;
        bool killed = true;

        for (; killed; k += WORKERS) {
                daemon_schema(&bus, BEFORE);
                daemon_start(&bus, "--keep", NULL);
                assert_int_equal(daemon_stop(&bus, SIGTERM), 0);
                daemon_schema(&bus, AFTER);
                spawn_traced();
                killed = kill_at_step(k, &end);
                killed_again(k);
                repair();
                finish();
                rounds++;
        }
        atomic_fetch_add(&deaths[CHANGING], rounds - 1);
        assert_true(rounds > 5);
}

/* --- reloading --- */

static void open_and_reload(void) {
        clients_open("kept", "changed", "gone");
        sleeper_start();
        daemon_schema(&bus, AFTER);
        daemon_signal(&bus, SIGHUP);
}

/* Without a manager each topic is as it was, or retired with its successor in place. */
static void clients_live_through_reload(unsigned k) {
        int moved, gone;

        assert_int_equal(go_on(&clients[0]), 0);
        moved = go_on(&clients[1]);
        assert_true(moved >= 0);
        gone = go_on(&clients[2]);
        assert_true(gone == 0 || gone == -ENOENT);
        killed_again(k);
        repair();
        assert_int_equal(go_on(&clients[0]), 0);
        assert_int_equal(go_on(&clients[1]), !moved);
        assert_int_equal(slipring_publisher_type(clients[1].publisher)->payload_bytes, 16);
        assert_int_equal(go_on(&clients[2]), -ENOENT);
        assert_int_equal(process_wait(sleeper), 0);
        clients_close();
}

static void test_killed_at_any_step_of_a_reload(void **state) {
        static const struct order reload = {
                .tell = open_and_reload,
                .done = ": reloaded ",
                .later = true,
        };
        unsigned k = 1 + worker, rounds = 0;
        bool killed = true;

        for (; killed; k += WORKERS) {
                daemon_schema(&bus, BEFORE);
                spawn_traced();
                killed = kill_at_step(k, &reload);
                clients_live_through_reload(k);
                finish();
                rounds++;
        }
        atomic_fetch_add(&deaths[RELOADING], rounds - 1);
        assert_true(rounds > 5);
}

/* --- taking down what no manager runs --- */

static char *down_option; /* NULL: none */

static void run_down(void *argument) {
        char *arguments[] = {(char *) (uintptr_t) program_path("SLIPRING"),
                             (char *) (uintptr_t) "down", down_option, NULL};
        int fd = open(argument, O_WRONLY | O_APPEND | O_CLOEXEC);

        (void) dup2(fd, STDOUT_FILENO);
        (void) dup2(fd, STDERR_FILENO);
        tracer_prepare(NULL);
        (void) execv(arguments[0], arguments);
        _exit(126);
}

static bool kill_down_at_step(unsigned k) {
        static const struct order nothing = {0};

        bus.prepare = run_down;
        bus.argument = bus.log;
        daemon_spawn(&bus, NULL);
        bus.prepare = NULL;
        return kill_at_step(k, &nothing);
}

static void test_killed_at_any_step_of_down(void **state) {
        unsigned k = 1 + worker, rounds = 0;
        bool killed = true;

        daemon_schema(&bus, AFTER);
        for (; killed; k += WORKERS) {
                daemon_start(&bus, NULL);
                clients_open("kept", "changed", "added");
                daemon_kill(&bus);
                killed = kill_down_at_step(k);
                if (!killed) {
                        assert_false(daemon_bus_exists(&bus));
                }
                clients_live_through_removal();
                finish();
                rounds++;
        }
        atomic_fetch_add(&deaths[DOWN], rounds - 1);
        assert_true(rounds > 3);
}

/* What a killed one left is found by the next one. */
static void test_down_finishes_what_a_killed_down_left(void **state) {
        unsigned k = 1 + worker, rounds = 0;
        bool killed = true;

        daemon_schema(&bus, AFTER);
        for (; killed; k += WORKERS) {
                daemon_start(&bus, NULL);
                daemon_kill(&bus);
                killed = kill_down_at_step(k);
                if (ipc_objects() > 0) {
                        assert_false(kill_down_at_step(UINT32_MAX));
                }
                assert_int_equal(ipc_objects(), 0);
                rounds++;
        }
        atomic_fetch_add(&deaths[DOWN_TWICE], rounds - 1);
        assert_true(rounds > 3);
}

/* No manager and no `down` of this version can read it. */
static void version_spoil(void) {
        int id = shmget(directory_key(geteuid(), bus.bus), 0, 0);
        struct layout_header *header = shmat(id, NULL, 0);

        assert_ptr_not_equal(header, (void *) -1);
        header->layout_version = 77;
        assert_int_equal(shmdt(header), 0);
}

static void test_down_by_force_finishes_what_a_killed_one_left(void **state) {
        static char force[] = "--force";
        unsigned k = 1 + worker, rounds = 0;
        key_t key = directory_key(geteuid(), bus.bus);
        bool killed = true;

        daemon_schema(&bus, SHARED_AND_PINNED);
        down_option = force;
        for (; killed; k += WORKERS) {
                daemon_start(&bus, NULL);
                clients_open("imu", "log", "camera");
                daemon_kill(&bus);
                version_spoil();
                killed = kill_down_at_step(k);
                if (shmget(key, 0, 0) >= 0 || semget(key, 0, 0) >= 0) {
                        assert_false(kill_down_at_step(UINT32_MAX));
                }
                assert_int_equal(go_on(&clients[0]), -ENOENT);
                assert_int_equal(go_on(&clients[1]), -ENOENT);
                assert_int_equal(go_on(&clients[2]), -ENOENT);
                clients_close();
                assert_int_equal(ipc_objects(), 0);
                rounds++;
        }
        down_option = NULL;
        atomic_fetch_add(&deaths[FORCED], rounds - 1);
        assert_true(rounds > 3);
}

/* --- fixtures, workers --- */

static int setup(void **state) {
        assert_true(ipc_private(true));
        daemon_setup(&bus);
        return 0;
}

static int teardown(void **state) {
        clients_close();
        daemon_teardown(&bus);
        return 0;
}

static int worker_run(void *argument) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(test_killed_at_any_step_of_making_and_removing,
                                                setup, teardown),
                cmocka_unit_test_setup_teardown(test_killed_at_any_step_of_changing_at_a_start,
                                                setup, teardown),
                cmocka_unit_test_setup_teardown(test_killed_at_any_step_of_a_reload, setup,
                                                teardown),
                cmocka_unit_test_setup_teardown(test_killed_at_any_step_of_down, setup, teardown),
                cmocka_unit_test_setup_teardown(test_down_finishes_what_a_killed_down_left, setup,
                                                teardown),
                cmocka_unit_test_setup_teardown(test_down_by_force_finishes_what_a_killed_one_left,
                                                setup, teardown),
        };
        int failed;

        worker = *(unsigned *) argument;
        failed = cmocka_run_group_tests(tests, NULL, NULL);
        (void) fflush(NULL);
        return failed;
}

int main(void) {
        unsigned numbers[WORKERS], i;
        pid_t pids[WORKERS];
        int failed = 0;

        (void) ipc_private(true);
        deaths = mmap(NULL, DEATHS * sizeof(*deaths), PROT_READ | PROT_WRITE,
                      MAP_SHARED | MAP_ANONYMOUS, -1, 0);
        assert_true(deaths != MAP_FAILED);
        for (i = 0; i < WORKERS; i++) {
                numbers[i] = i;
                pids[i] = process_start(worker_run, &numbers[i]);
        }
        for (i = 0; i < WORKERS; i++) {
                failed += process_wait(pids[i]) != 0;
        }
        for (i = 0; i < DEATHS; i++) {
                print_message("%s: killed at %u steps\n", death_names[i], deaths[i]);
        }
        return failed;
}
