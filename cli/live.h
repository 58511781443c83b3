#ifndef SLIPRING_CLI_LIVE_H
#define SLIPRING_CLI_LIVE_H

/*
 * Verbs that go on until somebody stops them: Ctrl-C ends them between two lines, not within one.
 */

#include <slipring/subscriber.h>

#include "cli/view.h"

/** live_start() - catch SIGINT, SIGTERM and SIGHUP from here on */
void live_start(void);

/** live_stopped() - was one of them caught? */
bool live_stopped(void);

/**
 * live_deadline() - until when to sleep
 * @deadline_ns:        when there is something to do
 *
 * A signal that comes between a look at live_stopped() and the sleep does not end the sleep, so
 * none is longer than 100 ms.
 *
 * Return: the nearer of the two, absolute CLOCK_MONOTONIC.
 */
uint64_t live_deadline(uint64_t deadline_ns);

/**
 * live_flush() - pass on what was printed
 *
 * Return: true, or false if standard output is closed or full.
 */
bool live_flush(void);

/**
 * live_subscribe() - open a topic
 * @ret_subscriber:     set on success
 * @topic:              as on the command line
 * @start:              enum slipring_start
 * @wait:               wait for a bus or topic that is not there yet, and say so
 * @deadline_ns:        but not longer than this
 *
 * Return: CLI_OK, or the exit code, with a message printed; CLI_TIMEOUT at the deadline; CLI_OK
 *         with @ret_subscriber unchanged if stopped.
 */
int live_subscribe(const struct cli *cli,
                   struct slipring_subscriber **ret_subscriber,
                   const char *topic,
                   uint32_t start,
                   bool wait,
                   uint64_t deadline_ns);

/**
 * live_follow() - go on with the successor of a retired topic, and say so
 * @wait:               wait for one, should the bus be down
 *
 * Return: as live_subscribe(); CLI_OK with *@moved false if stopped.
 */
int live_follow(const struct cli *cli,
                struct slipring_subscriber *subscriber,
                const char *topic,
                bool wait,
                uint64_t deadline_ns,
                bool *ret_moved);

#endif
