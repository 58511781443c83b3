#ifndef SLIPRING_TESTS_HARNESS_H
#define SLIPRING_TESTS_HARNESS_H

/* cmocka wants these, in this order. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

#include "bus/registry.h"

/*
 * What integration tests are made of: a bus of their own, processes of their own.
 *
 * Every bus has a name that contains the test's pid, so that tests run beside each other and beside
 * a live bus; bus_stop() asserts that no segment and no semaphore of it is left.
 */

struct bus {
        char name[SLIPRING_BUS_NAME_MAX + 1];
        struct registry *registry;
};

/* A message of 64 bytes that shows when it is torn: every word is a function of the first. */
struct message {
        uint64_t number;
        uint64_t words[7];
};

extern const struct slipring_type message_type;

struct message message_make(uint64_t number);
bool message_whole(const struct message *message);

/* A message of any size, in the same manner. */
#define BLOB_BYTES 65536u
extern const struct slipring_type blob_type;

void blob_fill(void *payload, size_t bytes, uint64_t number);
bool blob_whole(const void *payload, size_t bytes, uint64_t *ret_number);

/* A topic of message_type, owned by this user. */
struct topic_spec topic_of(const char *name, uint32_t depth);

/* Start a bus with topics and make it the default one of this process and its children. */
/* (The struct has to live as long as the process: what a failed test leaves is removed at exit.) */
void bus_start(struct bus *bus, const struct topic_spec *specs, size_t count);
void bus_apply(struct bus *bus, const struct topic_spec *specs, size_t count);
void bus_stop(struct bus *bus);

/* Give up managing, as a manager does that ends, and manage again. */
void bus_abandon(struct bus *bus);
void bus_resume(struct bus *bus);

struct slipring_publisher *publisher_open(const char *topic);
struct slipring_subscriber *subscriber_open(const char *topic, uint32_t start);

/* Run a function in a child process, which ends with its return value; never returns there. */
pid_t process_start(int (*run)(void *), void *argument);
/* Wait for a child to end by itself; returns its exit status, 128 + signal if it was killed. */
int process_wait(pid_t pid);
/* SIGKILL a child that this test started, and reap it. */
void process_kill(pid_t pid);
/* Wait until a child's first thread is inside this system call; fails the test after 20 s. */
void process_await_call(pid_t pid, long number);

/* Is this the long run of the tests? */
bool harness_long(void);

#endif
