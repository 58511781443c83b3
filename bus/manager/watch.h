#ifndef SLIPRING_BUS_MANAGER_WATCH_H
#define SLIPRING_BUS_MANAGER_WATCH_H

#include "bus/manager/log.h"
#include "bus/registry.h"

/*
 * What the topics of a bus are doing, for the log: who publishes, and what is overdue. Only looks:
 * subscribers see staleness for themselves, from the same words.
 *
 * Deadlines are timers: a topic is looked at when its newest sample will be too old, which costs
 * one look per deadline however many samples come. Everything else, also whether a stale topic
 * moves again, is looked at once a second, so that a topic that flaps logs at most that often.
 */
struct watch {
        struct watch_topic *topics;
        size_t count;
};

/* How many topics are published to and in time, and how many overdue; the rest wait for their
 * publisher. */
struct watch_summary {
        size_t live;
        size_t stale;
};

/*
 * watch_follow() - watch what a bus has now
 *
 * A topic that is as it was keeps its state. Without memory nothing is watched; a bus that works is
 * worth more than a log of it.
 */
void watch_follow(struct watch *watch, const struct registry *registry);

/*
 * watch_look() - look at every publisher and every overdue topic; each second
 */
void watch_look(struct watch *watch, const struct registry *registry, const struct log *log);

/*
 * watch_deadlines() - look at the topics whose deadline has come
 * @now_ns:     CLOCK_MONOTONIC
 *
 * Return: when to call again, UINT64_MAX if only watch_look() can change that.
 */
uint64_t watch_deadlines(struct watch *watch,
                         const struct registry *registry,
                         const struct log *log,
                         uint64_t now_ns);

struct watch_summary watch_summarise(const struct watch *watch);

void watch_free(struct watch *watch);

#endif
