#ifndef SLIPRING_BUS_MANAGER_LOG_H
#define SLIPRING_BUS_MANAGER_LOG_H

#include <stdbool.h>
#include <sys/types.h>
#include <syslog.h>

#include <slipring/type.h>

#include "schema/diagnostics.h"

/*
 * What the manager says: a journal entry with fields where the journal listens, else a line on
 * standard error.
 *
 *   MESSAGE            as on standard error, without the program's name
 *   PRIORITY           as in syslog(3)
 *   SLIPRING_BUS       the bus, once it is known
 *   SLIPRING_EVENT     started, stopped, removed_bus, created, adopted, replaced, described,
 *                      removed, publisher, publisher_gone, pins_reclaimed, stale, fresh, loosened,
 *                      reload, reload_failed, schema, warning, error
 *   SLIPRING_TOPIC     for events of one topic
 *   SLIPRING_PID       publisher and publisher_gone: who
 */
struct log {
        const char *program;
        char bus[SLIPRING_BUS_NAME_MAX + 1]; /* "" until it is known */
        bool journal;
        bool quiet;
};

struct log_event {
        int priority;
        const char *name;
        const char *topic; /* NULL: the whole bus */
        pid_t pid;         /* 0: none */
};

/*
 * log_open() - find out who listens
 * @foreground: standard error, whoever reads that
 * @quiet:      leave out what is less than a warning
 */
void log_open(struct log *log, const char *program, bool foreground, bool quiet);

/*
 * log_event() - say what happened
 */
__attribute__((format(printf, 3, 4))) void
log_event(const struct log *log, const struct log_event *event, const char *format, ...);

/* The same for what has neither topic nor pid. */
#define log_bus(log, priority_, name_, ...)                                                        \
        log_event((log), &(struct log_event){.priority = (priority_), .name = (name_)}, __VA_ARGS__)

/*
 * log_diagnostics() - what the loader says of a schema
 */
void log_diagnostics(const struct log *log, const struct diagnostics *diagnostics);

#endif
