#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <systemd/sd-daemon.h>
#include <systemd/sd-event.h>
#include <unistd.h>

#include "bus/error.h"
#include "bus/manager/limits.h"
#include "bus/manager/log.h"
#include "bus/manager/manager.h"
#include "bus/manager/specs.h"
#include "bus/manager/watch.h"
#include "bus/registry.h"

#define TICK_USEC UINT64_C(1000000)

/* Deadlines closer together than this are looked at together: a log does not need more, and a bus
 * of fast topics must not keep the machine awake. */
#define DEADLINE_STEP_NS UINT64_C(50000000)

#define TIMER_ACCURACY_USEC 1000

struct manager {
        const struct manager_options *options;
        struct log log;
        struct schema *schema;
        struct topic_spec *specs; /* of the schema */
        struct registry *registry;
        struct watch watch;
        sd_event *event;
        sd_event_source *tick;
        sd_event_source *deadline;
        char status[256];                                          /* as systemd was last told */
        char trouble[sizeof(((struct slipring_error *) 0)->text)]; /* as last logged; "": none */
        char reload_failed[128];                                   /* "": the last one worked */
        bool terminal; /* started from one that may hang up */
        bool lock_warned;
        bool pages_warned;
        bool remove;
};

/* --- systemd --- */

static void status_send(struct manager *manager) {
        struct watch_summary summary = watch_summarise(&manager->watch);
        char status[sizeof(manager->status)];

        (void) snprintf(status, sizeof(status), "%s: %zu topics, %zu live, %zu stale%s%s",
                        manager->log.bus, manager->schema->topic_count, summary.live, summary.stale,
                        *manager->reload_failed ? "; " : "", manager->reload_failed);
        if (strcmp(status, manager->status) != 0) {
                strcpy(manager->status, status);
                (void) sd_notifyf(0, "STATUS=%s", status);
        }
}

/* --- making the bus what the schema says --- */

static const char *outcome_event(enum registry_outcome outcome, bool starting) {
        switch (outcome) {
        case REGISTRY_KEPT:
                return starting ? "adopted" : NULL;
        case REGISTRY_DESCRIBED:
                return starting ? "adopted" : "described";
        case REGISTRY_CREATED:
                return "created";
        case REGISTRY_REPLACED:
                return "replaced";
        }
        return NULL;
}

static void outcome_log(const struct manager *manager, const char *name, size_t index) {
        const struct layout_entry *entry = registry_entry(manager->registry, index);
        const struct log_event event = {
                .priority = LOG_INFO,
                .name = name,
                .topic = entry->name,
        };

        log_event(&manager->log, &event, "%s%s: %s, %u slots, segment %d of %llu KiB", name,
                  strcmp(name, "replaced") == 0 ? " by a successor" : "", entry->type_name,
                  entry->depth, entry->data_id, (unsigned long long) entry->segment_bytes / 1024);
}

static bool schema_names(const struct schema *schema, const char *topic) {
        size_t i;

        for (i = 0; i < schema->topic_count; i++) {
                if (strcmp(schema->topics[i].name, topic) == 0) {
                        return true;
                }
        }
        return false;
}

static void removals_log(const struct manager *manager, const struct schema *next) {
        const struct log_event event = {.priority = LOG_INFO, .name = "removed"};
        size_t i;

        for (i = 0; manager->schema && i < manager->schema->topic_count; i++) {
                const char *topic = manager->schema->topics[i].name;

                if (!schema_names(next, topic)) {
                        struct log_event removed = event;

                        removed.topic = topic;
                        log_event(&manager->log, &removed, "removed");
                }
        }
}

/* Segments that stay in memory. One warning for all, since all fail for one reason. */
static void lock_all(struct manager *manager) {
        size_t i;
        int r;

        for (i = 0; i < registry_count(manager->registry); i++) {
                r = registry_lock(manager->registry, i);
                if (r < 0 && !manager->lock_warned) {
                        manager->lock_warned = true;
                        log_bus(&manager->log, LOG_WARNING, "warning",
                                "cannot lock the bus into memory (%s), so that under memory "
                                "pressure a sample may wait for the swap; give slipringd "
                                "CAP_IPC_LOCK, or raise 'ulimit -l' (LimitMEMLOCK in the unit)",
                                strerror(-r));
                }
        }
}

/* Topics that would rather have huge pages. One warning for all. */
static void pages_warn(struct manager *manager, const struct pages *pages) {
        const struct layout_entry *first = NULL;
        size_t i, count = 0;
        uint64_t need = 0;

        for (i = 0; i < registry_count(manager->registry); i++) {
                const struct layout_entry *entry = registry_entry(manager->registry, i);

                if (entry->huge_pages == LAYOUT_HUGE_PAGES_TRY && !entry->page_bytes) {
                        first = first ? first : entry;
                        need += pages->bytes ? pages_count(pages->bytes, entry->segment_bytes) : 0;
                        count++;
                }
        }
        /* Transparent ones it may have. */
        if (count > 0 && !pages->transparent && !manager->pages_warned) {
                manager->pages_warned = true;
                limits_warn_pages(&manager->log, first, count, need, pages);
        }
}

/* Takes over @schema and @specs on success. */
static int manager_apply(struct manager *manager,
                         struct schema *schema,
                         struct topic_spec *specs,
                         struct slipring_error *reterr) {
        enum registry_outcome *outcomes;
        bool starting = !manager->schema, huge = false;
        struct registry_growth growth;
        struct pages pages = {0};
        const char *name;
        size_t i;
        int r;

        outcomes = calloc(schema->topic_count + 1, sizeof(*outcomes));
        if (!outcomes) {
                return error_set(reterr, -ENOMEM, "no memory for %zu topics", schema->topic_count);
        }
        for (i = 0; i < schema->topic_count; i++) {
                huge = huge || specs[i].huge_pages != LAYOUT_HUGE_PAGES_NO;
        }
        if (huge) {
                pages_read(&pages);
                pages_ask(&pages);
        }
        growth = registry_growth(manager->registry, specs, schema->topic_count, &pages);
        r = limits_check_growth(&growth, &pages, reterr);
        if (r == 0) {
                r = registry_apply(manager->registry, specs, schema->topic_count, outcomes, NULL,
                                   reterr);
        }
        for (i = 0; r == 0 && i < schema->topic_count; i++) {
                name = outcome_event(outcomes[i], starting);
                if (name) {
                        outcome_log(manager, name, i);
                }
        }
        free(outcomes);
        if (r < 0) {
                return r;
        }
        removals_log(manager, schema);
        if (manager->schema != schema) {
                schema_free(manager->schema);
                free(manager->specs);
                manager->schema = schema;
                manager->specs = specs;
        }
        lock_all(manager);
        if (huge) {
                pages_read(&pages);
                pages_warn(manager, &pages);
        }
        watch_follow(&manager->watch, manager->registry);
        return 0;
}

/* --- watching --- */

static void deadlines_look(struct manager *manager) {
        uint64_t now_ns = slipring_now_ns(), next_ns;

        next_ns = watch_deadlines(&manager->watch, manager->registry, &manager->log, now_ns);
        if (next_ns == UINT64_MAX) {
                (void) sd_event_source_set_enabled(manager->deadline, SD_EVENT_OFF);
                return;
        }
        next_ns = next_ns < now_ns + DEADLINE_STEP_NS ? now_ns + DEADLINE_STEP_NS : next_ns;
        (void) sd_event_source_set_time(manager->deadline, next_ns / 1000 + 1);
        (void) sd_event_source_set_enabled(manager->deadline, SD_EVENT_ONESHOT);
}

static int deadline_handle(sd_event_source *source, uint64_t usec, void *userdata) {
        struct manager *manager = userdata;

        deadlines_look(manager);
        status_send(manager);
        return 0;
}

/* Its owner can change or remove a segment, and set the state word in it. */
static int
topic_verify(const struct manager *manager, size_t index, struct slipring_error *reterr) {
        if (ring_retired(registry_ring(manager->registry, index))) {
                return error_set(reterr, -EBADMSG,
                                 "topic '%s': its publisher marked the segment as retired",
                                 registry_entry(manager->registry, index)->name);
        }
        return registry_verify(manager->registry, index, reterr);
}

static size_t topics_verify(const struct manager *manager) {
        struct slipring_error error;
        size_t i, loosened = 0;

        for (i = 0; i < registry_count(manager->registry); i++) {
                if (topic_verify(manager, i, &error) < 0) {
                        const struct log_event event = {
                                .priority = LOG_WARNING,
                                .name = "loosened",
                                .topic = registry_entry(manager->registry, i)->name,
                        };

                        log_event(&manager->log, &event, "%s", error.text);
                        loosened++;
                }
        }
        return loosened;
}

/* Give what somebody changed a successor. What hinders that is said once. */
static void bus_mend(struct manager *manager) {
        struct slipring_error error = {0};

        if (*manager->trouble == '\0' && topics_verify(manager) == 0) {
                return;
        }
        if (manager_apply(manager, manager->schema, manager->specs, &error) == 0) {
                *manager->trouble = '\0';
                return;
        }
        if (strcmp(error.text, manager->trouble) != 0) {
                log_bus(&manager->log, LOG_ERR, "error", "cannot make a successor: %s", error.text);
                (void) snprintf(manager->trouble, sizeof(manager->trouble), "%s", error.text);
        }
}

/* Somebody removed what makes it a bus, as 'ipcrm --all' does: whoever starts us makes it anew. */
static int bus_lost(struct manager *manager, const struct slipring_error *error) {
        log_bus(&manager->log, LOG_ERR, "error", "the bus was removed under its manager: %s",
                error->text);
        manager->remove = true;
        return sd_event_exit(manager->event, -EIDRM);
}

static int tick_handle(sd_event_source *source, uint64_t usec, void *userdata) {
        struct manager *manager = userdata;
        struct slipring_error error;

        if (registry_verify_bus(manager->registry, &error) < 0) {
                return bus_lost(manager, &error);
        }
        registry_refresh(manager->registry);
        bus_mend(manager);
        watch_look(&manager->watch, manager->registry, &manager->log);
        deadlines_look(manager);
        status_send(manager);
        /* From now on, not from when it should have been: a stopped manager has nothing to catch
         * up on. */
        (void) sd_event_source_set_time_relative(source, TICK_USEC);
        (void) sd_event_source_set_enabled(source, SD_EVENT_ONESHOT);
        return 0;
}

/* --- reloading --- */

static void
reload_fail(struct manager *manager, const char *reason, const struct slipring_error *error) {
        log_bus(&manager->log, LOG_ERR, "reload_failed",
                "reload failed, nothing has changed: %s%s%s", reason, error ? ": " : "",
                error ? error->text : "");
        (void) snprintf(manager->reload_failed, sizeof(manager->reload_failed),
                        "last reload failed: %s", reason);
}

static int schema_read(struct manager *manager, struct schema **ret_schema) {
        struct diagnostics diagnostics = {0};
        int r;

        r = schema_load(ret_schema, manager->options->schema, NULL, &diagnostics);
        log_diagnostics(&manager->log, &diagnostics);
        /* Where there was no memory to say which mistake. */
        if (r < 0 && (r == -ENOMEM || diagnostics.count == 0)) {
                log_bus(&manager->log, LOG_ERR, "error", "%s cannot be read (%s)",
                        manager->options->schema, strerror(r == -EBADMSG ? ENOMEM : -r));
        }
        diagnostics_clear(&diagnostics);
        return r;
}

static void manager_reload(struct manager *manager) {
        _cleanup_(schema_freep) struct schema *schema = NULL;
        _cleanup_(specs_freep) struct topic_spec *specs = NULL;
        struct slipring_error error = {0};
        int r;

        r = schema_read(manager, &schema);
        if (r < 0) {
                reload_fail(manager,
                            r == -EBADMSG ? "the schema has errors" : "the schema cannot be read",
                            NULL);
                return;
        }
        if (strcmp(schema->bus, manager->log.bus) != 0) {
                (void) error_set(&error, -EINVAL, "it is '%s' now; start another manager for that",
                                 schema->bus);
                reload_fail(manager, "the bus has another name", &error);
                return;
        }
        specs = specs_make(schema);
        r = specs ? manager_apply(manager, schema, specs, &error)
                  : error_set(&error, -ENOMEM, "no memory for %zu topics", schema->topic_count);
        if (r < 0) {
                reload_fail(manager, "the bus could not be changed", &error);
                return;
        }
        schema = NULL;
        specs = NULL;
        *manager->reload_failed = '\0';
        *manager->trouble = '\0';
        log_bus(&manager->log, LOG_NOTICE, "reload", "reloaded %s: %zu topics",
                manager->options->schema, manager->schema->topic_count);
        limits_warn(&manager->log, manager->schema);
}

/* A terminal that was closed sends what also asks for a reload. */
static bool terminal_gone(const struct manager *manager) {
        return manager->terminal && !isatty(STDIN_FILENO) && errno == EIO;
}

static int
hangup_handle(sd_event_source *source, const struct signalfd_siginfo *info, void *userdata) {
        struct manager *manager = userdata;

        if (terminal_gone(manager)) {
                return sd_event_exit(manager->event, 0);
        }
        (void) sd_notifyf(0, "RELOADING=1\nMONOTONIC_USEC=%llu\nSTATUS=%s: reloading",
                          (unsigned long long) (slipring_now_ns() / 1000), manager->log.bus);
        *manager->status = '\0';
        manager_reload(manager);
        watch_look(&manager->watch, manager->registry, &manager->log);
        deadlines_look(manager);
        status_send(manager);
        (void) sd_notify(0, "READY=1");
        return 0;
}

/* --- the life of a manager --- */

static int
stop_handle(sd_event_source *source, const struct signalfd_siginfo *info, void *userdata) {
        struct manager *manager = userdata;

        manager->remove = !manager->options->keep || info->ssi_signo == SIGUSR1;
        return sd_event_exit(manager->event, 0);
}

static int events_open(struct manager *manager) {
        int r;

        r = sd_event_new(&manager->event);
        if (r >= 0) {
                r = sd_event_add_signal(manager->event, NULL, SIGHUP, hangup_handle, manager);
        }
        if (r >= 0) {
                r = sd_event_add_signal(manager->event, NULL, SIGTERM, stop_handle, manager);
        }
        if (r >= 0) {
                r = sd_event_add_signal(manager->event, NULL, SIGINT, stop_handle, manager);
        }
        if (r >= 0) {
                r = sd_event_add_signal(manager->event, NULL, SIGUSR1, stop_handle, manager);
        }
        if (r >= 0) {
                r = sd_event_add_time_relative(manager->event, &manager->tick, CLOCK_MONOTONIC,
                                               TICK_USEC, TIMER_ACCURACY_USEC, tick_handle,
                                               manager);
        }
        if (r >= 0) {
                r = sd_event_add_time_relative(manager->event, &manager->deadline, CLOCK_MONOTONIC,
                                               0, TIMER_ACCURACY_USEC, deadline_handle, manager);
        }
        /* Pings only between two rounds of the loop: a manager that hangs is found. */
        return r < 0 ? r : sd_event_set_watchdog(manager->event, true);
}

static int manager_open(struct manager *manager, struct slipring_error *reterr) {
        _cleanup_(schema_freep) struct schema *schema = NULL;
        _cleanup_(specs_freep) struct topic_spec *specs = NULL;
        int r;

        r = schema_read(manager, &schema);
        if (r < 0) {
                /* It was said where in the file. */
                return r;
        }
        (void) snprintf(manager->log.bus, sizeof(manager->log.bus), "%s", schema->bus);
        specs = specs_make(schema);
        if (!specs) {
                return error_set(reterr, -ENOMEM, "no memory");
        }
        r = limits_check(schema->bus, specs, schema->topic_count, reterr);
        if (r == 0) {
                r = registry_open(&manager->registry, schema->bus, reterr);
        }
        if (r < 0) {
                return r;
        }
        manager->remove = registry_count(manager->registry) == 0;
        r = manager_apply(manager, schema, specs, reterr);
        if (r == 0) {
                schema = NULL;
                specs = NULL;
        }
        return r;
}

/* The bus first: everything else is this process's own. */
static void bus_close(struct manager *manager) {
        struct slipring_error error = {0};

        if (manager->remove) {
                manager->registry = registry_remove(manager->registry, &error);
                if (error.code) {
                        log_bus(&manager->log, LOG_ERR, "error", "the bus stays: %s", error.text);
                }
        } else {
                manager->registry = registry_close(manager->registry);
        }
}

static void manager_close(struct manager *manager) {
        bus_close(manager);
        watch_free(&manager->watch);
        schema_free(manager->schema);
        free(manager->specs);
        sd_event_source_unref(manager->tick);
        sd_event_source_unref(manager->deadline);
        sd_event_unref(manager->event);
}

static int manager_serve(struct manager *manager) {
        int r;

        limits_warn(&manager->log, manager->schema);
        log_bus(&manager->log, LOG_NOTICE, "started", "serving %zu topics of %s, pid %d",
                manager->schema->topic_count, manager->options->schema, (int) getpid());
        manager->remove = !manager->options->keep;
        watch_look(&manager->watch, manager->registry, &manager->log);
        status_send(manager);
        (void) sd_notify(0, "READY=1");
        r = sd_event_loop(manager->event);
        if (r < 0 && r != -EIDRM) {
                /* Like one that was killed: its clients go on until the next one is there. */
                manager->remove = false;
                log_bus(&manager->log, LOG_ERR, "error", "waiting for events failed (%s)",
                        strerror(-r));
        }
        (void) sd_notifyf(0, "STOPPING=1\nSTATUS=%s: %s", manager->log.bus,
                          manager->remove ? "removing the bus" : "leaving the bus standing");
        bus_close(manager);
        log_bus(&manager->log, LOG_NOTICE, manager->remove ? "removed_bus" : "stopped", "%s",
                manager->remove ? "ended, and the bus is removed"
                                : "ended; the bus stays for the next manager");
        return r;
}

static void signals_block(void) {
        sigset_t signals;

        (void) sigemptyset(&signals);
        (void) sigaddset(&signals, SIGHUP);
        (void) sigaddset(&signals, SIGTERM);
        (void) sigaddset(&signals, SIGINT);
        (void) sigaddset(&signals, SIGUSR1);
        (void) sigprocmask(SIG_BLOCK, &signals, NULL);
        /* Whoever read our lines may go: that is no reason to leave the bus. */
        (void) signal(SIGPIPE, SIG_IGN);
}

int manager_run(const struct manager_options *options) {
        struct manager manager = {.options = options, .terminal = isatty(STDIN_FILENO) != 0};
        struct slipring_error error = {0};
        int r;

        log_open(&manager.log, options->program, options->foreground, options->quiet);
        /* Before the bus is claimed: whoever finds our pid there may signal it. */
        signals_block();
        r = events_open(&manager);
        if (r < 0) {
                (void) error_set(&error, r, "cannot set up timers and signals (%s)", strerror(-r));
        } else {
                r = manager_open(&manager, &error);
        }
        if (r == 0) {
                r = manager_serve(&manager);
        } else if (error.code) {
                log_bus(&manager.log, LOG_ERR, "error", "%s", error.text);
        }
        manager_close(&manager);
        return r < 0 ? 1 : 0;
}
