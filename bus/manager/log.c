#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Where in our source an entry was written helps nobody who runs a bus. */
#define SD_JOURNAL_SUPPRESS_LOCATION
#include <systemd/sd-journal.h>

#include "bus/manager/log.h"

#define TEXT_BYTES 1024
#define FIELD_BYTES (SLIPRING_TOPIC_NAME_MAX + 64)

/* Is standard error a stream into the journal? systemd says which one it made; it may have been
 * redirected since. */
static bool stderr_is_journal(void) {
        const char *text = getenv("JOURNAL_STREAM");
        unsigned long long device, inode;
        struct stat status;

        return text && sscanf(text, "%llu:%llu", &device, &inode) == 2 &&
               fstat(STDERR_FILENO, &status) == 0 && status.st_dev == device &&
               status.st_ino == inode;
}

void log_open(struct log *log, const char *program, bool foreground, bool quiet) {
        *log = (struct log){
                .program = program,
                .journal = !foreground && stderr_is_journal(),
                .quiet = quiet,
        };
}

static void journal_field(struct iovec *field, char *room, const char *name, const char *value) {
        (void) snprintf(room, FIELD_BYTES, "%s=%s", name, value);
        *field = (struct iovec){.iov_base = room, .iov_len = strlen(room)};
}

static int journal_send(const struct log *log, const struct log_event *event, const char *text) {
        char message[TEXT_BYTES + 16], rooms[6][FIELD_BYTES], number[16];
        struct iovec fields[6];
        int count = 0;

        (void) snprintf(message, sizeof(message), "MESSAGE=%s", text);
        fields[count++] = (struct iovec){.iov_base = message, .iov_len = strlen(message)};
        (void) snprintf(number, sizeof(number), "%d", event->priority);
        journal_field(&fields[count], rooms[count], "PRIORITY", number);
        count++;
        journal_field(&fields[count], rooms[count], "SLIPRING_EVENT", event->name);
        count++;
        if (*log->bus) {
                journal_field(&fields[count], rooms[count], "SLIPRING_BUS", log->bus);
                count++;
        }
        if (event->topic) {
                journal_field(&fields[count], rooms[count], "SLIPRING_TOPIC", event->topic);
                count++;
        }
        if (event->pid > 0) {
                (void) snprintf(number, sizeof(number), "%d", (int) event->pid);
                journal_field(&fields[count], rooms[count], "SLIPRING_PID", number);
                count++;
        }
        return sd_journal_sendv(fields, count);
}

static const char *severity(int priority) {
        return priority > LOG_WARNING ? "" : priority == LOG_WARNING ? "warning: " : "error: ";
}

void log_event(const struct log *log, const struct log_event *event, const char *format, ...) {
        char text[TEXT_BYTES], *at = text;
        va_list arguments;

        if (log->quiet && event->priority > LOG_WARNING) {
                return;
        }
        if (*log->bus) {
                at += snprintf(text, sizeof(text), "%s: ", log->bus);
        }
        if (event->topic) {
                at += snprintf(at, sizeof(text) - (size_t) (at - text), "%s: ", event->topic);
        }
        va_start(arguments, format);
        (void) vsnprintf(at, sizeof(text) - (size_t) (at - text), format, arguments);
        va_end(arguments);
        /* A journal that is being restarted still has the stream. */
        if (!log->journal || journal_send(log, event, text) < 0) {
                (void) fprintf(stderr, "%s: %s%s\n", log->program, severity(event->priority), text);
        }
}

void log_diagnostics(const struct log *log, const struct diagnostics *diagnostics) {
        size_t i;

        if (!log->journal) {
                diagnostics_print(diagnostics, stderr, isatty(STDERR_FILENO) != 0);
                return;
        }
        for (i = 0; i < diagnostics->count; i++) {
                const struct diagnostic *item = &diagnostics->items[i];
                bool warning = item->severity == DIAGNOSTIC_WARNING;

                log_bus(log, warning ? LOG_WARNING : LOG_ERR, "schema", "%s:%u:%u: %s: %s",
                        diagnostics_file(diagnostics, item), item->line, item->column,
                        warning ? "warning" : "error", item->message);
        }
}
