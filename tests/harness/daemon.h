#ifndef SLIPRING_TESTS_DAEMON_H
#define SLIPRING_TESTS_DAEMON_H

#include <signal.h>

#include "tests/harness/harness.h"

/*
 * A real slipringd over a schema of the test's own, read through what it logs.
 *
 * Where the machine allows it, such tests run in an IPC namespace of their own, so that "nothing is
 * left" is a look at all there is.
 */
struct daemon {
        pid_t pid;  /* 0: not running */
        uid_t user; /* whose bus it is: this one, until prepare makes it another */
        char bus[SLIPRING_BUS_NAME_MAX + 1];
        char directory[64];
        char schema[96];
        char log[96];
        size_t read_bytes; /* how much of the log daemon_expect() has passed */
        /* Called in the child before it runs the manager; may be NULL. */
        void (*prepare)(void *);
        void *argument;
};

/* For the top of main(): an IPC namespace of this test's own. Exits with 77, skipped, if that
 * cannot be had and @needed. */
bool ipc_private(bool needed);

/* A bus name of its own, the default one from here on, and a place for its files. */
void daemon_setup(struct daemon *daemon);
/* Ends it if a failed test left it running; asserts that no object is left. */
void daemon_teardown(struct daemon *daemon);

/* Write the schema: head and @text, "topics: ...". */
void daemon_schema(struct daemon *daemon, const char *text);

/* Run `slipringd OPTION... SCHEMA`; wait until it serves. */
void daemon_start(struct daemon *daemon, ...) __attribute__((sentinel));
/* The same without waiting. */
void daemon_spawn(struct daemon *daemon, ...) __attribute__((sentinel));

/* Wait for a line with this text in what it logs after the last one found. */
void daemon_expect(struct daemon *daemon, const char *text);
/* Has it logged that since the last line found? */
bool daemon_logged(const struct daemon *daemon, const char *text);
/* Pass over everything so far. */
void daemon_skip(struct daemon *daemon);

void daemon_signal(const struct daemon *daemon, int signal_number);
/* Wait for it to end; returns its exit status as process_wait(). */
int daemon_wait(struct daemon *daemon);
/* Both. */
int daemon_stop(struct daemon *daemon, int signal_number);
void daemon_kill(struct daemon *daemon);

/* What the directory says about a topic now; fails the test if there is none. */
struct layout_entry daemon_entry(const struct daemon *daemon, const char *topic);
/* Is there a bus of that name? */
bool daemon_bus_exists(const struct daemon *daemon);
/* Wait for it, where there is nothing to wait for in the log. */
void daemon_await_bus(const struct daemon *daemon);

/* All segments and semaphore sets of this IPC namespace. */
size_t ipc_objects(void);

/* Programs of this build: their paths come from the environment. */
const char *program_path(const char *variable);

#endif
