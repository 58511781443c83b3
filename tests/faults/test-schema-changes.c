/*
 * Every kind of change of a topic under live clients: a publisher, a subscriber that takes, one
 * that sleeps and one in a wait set. All are told, all find the successor, whatever was published
 * before is delivered, and a topic beside it notices nothing.
 */

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <slipring/publisher.h>
#include <slipring/subscriber.h>

#include "tests/harness/daemon.h"

#define KEPT "  kept: {fields: {x: float64}}\n"
#define TYPES "types:\n  Point: {x: float64, y: float64}\n  Place: {x: float64, y: float64}\n"

/* One line of the schema for the topic `changing`, and what becomes of its clients. */
struct change {
        const char *name;
        const char *before, *after;
        bool replaced;
        bool shared; /* after it: no loans, no standby */
};

#define PLAIN "{type: Point}"

static const struct change changes[] = {
        {"a deeper ring", PLAIN, "{type: Point, depth: 9}", true},
        {"history for depth", PLAIN, "{type: Point, rate: 100 Hz, history: 1 s}", true},
        {"another rate", "{type: Point, rate: 5 Hz}", "{type: Point, rate: 6 Hz}", true},
        {"another deadline", PLAIN, "{type: Point, deadline: 10 s}", true},
        {"another type of the same fields", PLAIN, "{type: Place}", true},
        {"a field more", "{fields: {x: float64}}", "{fields: {x: float64, y: float64}}", true},
        {"a field less", "{fields: {x: float64, y: float64}}", "{fields: {x: float64}}", true},
        {"a field of another name", "{fields: {x: float64}}", "{fields: {y: float64}}", true},
        {"a field of another type", "{fields: {x: float64}}", "{fields: {x: int64}}", true},
        {"a field of another unit", "{fields: {x: {type: float64, unit: m}}}",
         "{fields: {x: {type: float64, unit: km}}}", true},
        {"fields in another order", "{fields: {x: float64, y: float64}}",
         "{fields: {y: float64, x: float64}}", true},
        {"more readers", PLAIN, "{type: Point, mode: \"0644\"}", true},
        {"fewer readers", PLAIN, "{type: Point, mode: \"0600\"}", true},
        {"a group that may publish", PLAIN, "{type: Point, mode: \"0660\"}", true},
        {"another owner", PLAIN, "{type: Point, owner: daemon}", true},
        {"another group", PLAIN, "{type: Point, group: daemon}", true},
        {"pins", PLAIN, "{type: Point, pins: 2}", true},
        {"fewer pins", "{type: Point, pins: 3}", "{type: Point, pins: 2}", true},
        {"several publishers", PLAIN, "{type: Point, publishers: shared}", true, true},
        {"a description", PLAIN, "{type: Point, description: a point}", false},
        {"nothing, said at length", PLAIN,
         "{type: Point, publishers: exclusive, pins: 0, depth: 8}", false},
};

static struct daemon bus;

/* --- clients --- */

struct clients {
        struct slipring_publisher *publisher;
        struct slipring_subscriber *taker, *member;
        struct slipring_waitset *waitset;
        pid_t sleeper;
        uint8_t payload[64];
        size_t bytes;
};

/* Sleeps; when told that the topic is retired it takes what is left, moves and awaits one more. */
static int sleep_run(void *argument) {
        struct slipring_subscriber *subscriber = subscriber_open("changing", SLIPRING_START_NEXT);
        uint8_t payload[64];
        unsigned taken = 0, moves = 0;
        int r;

        if (write(*(int *) argument, "", 1) != 1) {
                return 1;
        }
        while (taken < 2) {
                r = slipring_subscriber_take(subscriber, payload, sizeof(payload), NULL);
                taken += r == 1;
                if (r == -EIDRM) {
                        r = slipring_subscriber_move(subscriber, slipring_in_ms(60000), NULL);
                        moves++;
                } else if (r == 0) {
                        r = slipring_subscriber_wait(subscriber, slipring_in_ms(60000));
                        r = r == -EIDRM ? 0 : r;
                }
                if (r < 0) {
                        return 2;
                }
        }
        slipring_subscriber_close(subscriber);
        return moves <= 1 ? 0 : 3;
}

static void sleeper_start(struct clients *clients) {
        int ready[2];
        char byte;

        assert_int_equal(pipe(ready), 0);
        clients->sleeper = process_start(sleep_run, &ready[1]);
        assert_int_equal(read(ready[0], &byte, 1), 1);
        (void) close(ready[0]);
        (void) close(ready[1]);
}

static void clients_open(struct clients *clients) {
        *clients = (struct clients){
                .publisher = publisher_open("changing"),
                .taker = subscriber_open("changing", SLIPRING_START_NEXT),
                .member = subscriber_open("changing", SLIPRING_START_NEXT),
        };
        clients->bytes = slipring_publisher_type(clients->publisher)->payload_bytes;
        assert_int_equal(slipring_waitset_new(&clients->waitset, NULL), 0);
        assert_int_equal(slipring_waitset_add(clients->waitset, clients->member), 0);
        sleeper_start(clients);
}

static void clients_close(struct clients *clients) {
        slipring_waitset_close(clients->waitset);
        slipring_subscriber_close(clients->member);
        slipring_subscriber_close(clients->taker);
        slipring_publisher_close(clients->publisher);
        assert_int_equal(process_wait(clients->sleeper), 0);
}

static void publish(struct clients *clients, uint8_t content) {
        memset(clients->payload, content, clients->bytes);
        assert_int_equal(
                slipring_publisher_publish(clients->publisher, clients->payload, clients->bytes, 0),
                0);
}

static void take(const struct clients *clients, struct slipring_subscriber *subscriber) {
        uint8_t payload[64];

        assert_int_equal(slipring_subscriber_take(subscriber, payload, sizeof(payload), NULL), 1);
        assert_memory_equal(payload, clients->payload, clients->bytes);
}

static void assert_retired(struct slipring_subscriber *subscriber) {
        uint8_t payload[64];

        assert_int_equal(slipring_subscriber_take(subscriber, payload, sizeof(payload), NULL),
                         -EIDRM);
        assert_int_equal(slipring_subscriber_wait(subscriber, slipring_in_ms(60000)), -EIDRM);
}

static void await_member(const struct clients *clients) {
        struct pollfd set = {.fd = slipring_waitset_fd(clients->waitset), .events = POLLIN};
        struct slipring_subscriber *ready = NULL;

        do {
                assert_int_equal(poll(&set, 1, 60000), 1);
        } while (slipring_waitset_ready(clients->waitset, &ready, 1) != 1);
        assert_ptr_equal(ready, clients->member);
}

/* --- changing --- */

static void schema(const char *changing) {
        char text[1024];

        (void) snprintf(text, sizeof(text), TYPES "topics:\n" KEPT "  changing: %s\n", changing);
        daemon_schema(&bus, text);
}

static void reload(const char *changing) {
        schema(changing);
        daemon_signal(&bus, SIGHUP);
        daemon_expect(&bus, ": reloaded ");
}

static void move_all(struct clients *clients, const struct change *change) {
        struct slipring_error error = {0};
        uint8_t payload[64] = {0};
        int r;

        assert_int_equal(slipring_publisher_publish(clients->publisher, payload, clients->bytes, 0),
                         -EIDRM);
        await_member(clients);
        take(clients, clients->taker);
        take(clients, clients->member);
        assert_retired(clients->taker);
        assert_retired(clients->member);
        r = slipring_publisher_move(clients->publisher, slipring_in_ms(60000), &error);
        if (r < 0) {
                fail_msg("%s: %s", change->name, error.text);
        }
        assert_int_equal(slipring_subscriber_move(clients->taker, slipring_in_ms(60000), NULL), 0);
        assert_int_equal(slipring_subscriber_move(clients->member, slipring_in_ms(60000), NULL), 0);
        clients->bytes = slipring_publisher_type(clients->publisher)->payload_bytes;
}

/* The entry of a topic that nothing happened to is the same, byte for byte. */
static void try_change(const struct change *change, const struct layout_entry *kept) {
        struct layout_entry before, after;
        struct clients clients;

        reload(change->before);
        before = daemon_entry(&bus, "changing");
        clients_open(&clients);
        publish(&clients, 0x11);
        reload(change->after);
        after = daemon_entry(&bus, "changing");
        if ((before.data_id != after.data_id) != change->replaced) {
                fail_msg("%s: %s", change->name, change->replaced ? "not replaced" : "replaced");
        }
        if (change->replaced) {
                move_all(&clients, change);
        } else {
                take(&clients, clients.taker);
                take(&clients, clients.member);
        }
        publish(&clients, 0x22);
        await_member(&clients);
        take(&clients, clients.taker);
        take(&clients, clients.member);
        assert_int_equal(slipring_publisher_loan(clients.publisher, &(void *){NULL}),
                         change->shared ? -EOPNOTSUPP : 0);
        clients_close(&clients);
        after = daemon_entry(&bus, "kept");
        assert_memory_equal(&after, kept, sizeof(after));
}

static void test_every_kind_of_change(void **state) {
        struct slipring_publisher *publisher;
        struct slipring_subscriber *subscriber;
        struct layout_entry kept;
        double x = 0, y;
        size_t i;

        schema(PLAIN);
        daemon_start(&bus, NULL);
        kept = daemon_entry(&bus, "kept");
        publisher = publisher_open("kept");
        subscriber = subscriber_open("kept", SLIPRING_START_NEXT);
        for (i = 0; i < sizeof(changes) / sizeof(changes[0]); i++) {
                try_change(&changes[i], &kept);
                x++;
                assert_int_equal(slipring_publisher_publish(publisher, &x, sizeof(x), 0), 0);
                assert_int_equal(slipring_subscriber_take(subscriber, &y, sizeof(y), NULL), 1);
                assert_true(x == y);
        }
        slipring_subscriber_close(subscriber);
        slipring_publisher_close(publisher);
        print_message("%zu kinds of change\n", i);
}

/* Renamed: gone under its name, and there under another; and back again. */
static void test_removed_renamed_and_back(void **state) {
        struct clients clients;
        struct slipring_subscriber *subscriber = NULL;
        char text[512];

        schema(PLAIN);
        daemon_start(&bus, NULL);
        clients_open(&clients);
        publish(&clients, 0x33);
        (void) snprintf(text, sizeof(text), TYPES "topics:\n" KEPT "  renamed: %s\n", PLAIN);
        daemon_schema(&bus, text);
        daemon_signal(&bus, SIGHUP);
        daemon_expect(&bus, ": reloaded ");
        take(&clients, clients.taker);
        assert_retired(clients.taker);
        assert_int_equal(slipring_publisher_move(clients.publisher, 0, NULL), -ENOENT);
        assert_int_equal(slipring_subscriber_move(clients.taker, 0, NULL), -ENOENT);
        assert_int_equal(slipring_subscriber_open(&subscriber, "renamed", NULL, NULL), 0);
        slipring_subscriber_close(subscriber);
        /* The sleeper waits for it all the time. */
        reload(PLAIN);
        take(&clients, clients.member);
        assert_int_equal(slipring_publisher_move(clients.publisher, 0, NULL), 0);
        assert_int_equal(slipring_subscriber_move(clients.taker, 0, NULL), 0);
        publish(&clients, 0x44);
        take(&clients, clients.taker);
        clients_close(&clients);
}

/* A program that was built for a type does not take another's successor. */
static void test_the_type_that_a_program_was_built_for(void **state) {
        const struct slipring_type *type;
        struct slipring_subscriber *subscriber = NULL, *model;
        struct slipring_error error = {0};
        struct slipring_subscriber_options options = {.size = sizeof(options)};

        schema("{fields: {x: float64, y: float64}}");
        daemon_start(&bus, NULL);
        model = subscriber_open("changing", SLIPRING_START_NEXT);
        type = slipring_subscriber_type(model);
        options.type = type;
        assert_int_equal(slipring_subscriber_open(&subscriber, "changing", &options, NULL), 0);
        reload("{fields: {x: float64, y: float32}}");
        assert_retired(subscriber);
        assert_int_equal(slipring_subscriber_move(subscriber, 0, &error), -EPROTOTYPE);
        assert_non_null(strstr(error.text, "y"));
        reload("{fields: {x: float64, y: float64}}");
        assert_int_equal(slipring_subscriber_move(subscriber, 0, &error), 0);
        slipring_subscriber_close(subscriber);
        slipring_subscriber_close(model);
}

static int setup(void **state) {
        daemon_setup(&bus);
        return 0;
}

static int teardown(void **state) {
        assert_int_equal(daemon_stop(&bus, SIGTERM), 0);
        daemon_teardown(&bus);
        return 0;
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(test_every_kind_of_change, setup, teardown),
                cmocka_unit_test_setup_teardown(test_removed_renamed_and_back, setup, teardown),
                cmocka_unit_test_setup_teardown(test_the_type_that_a_program_was_built_for, setup,
                                                teardown),
        };

        (void) ipc_private(true);
        return cmocka_run_group_tests(tests, NULL, NULL);
}
