#include "cli/live.h"

#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>

#include "cli/screen.h"

#define SLEEP_MAX_NS UINT64_C(100000000)

/* A second Ctrl-C this long after the first one is from somebody who sees nothing happen: standard
 * output blocks. (timeout(1) sends its signal twice at once.) */
#define PATIENCE_NS UINT64_C(1000000000)

static volatile sig_atomic_t stopped;
static _Atomic uint64_t stopped_ns;

static void on_stop(int signal_number) {
        uint64_t now = slipring_now_ns();

        if (!stopped) {
                atomic_store_explicit(&stopped_ns, now, memory_order_relaxed);
                stopped = 1;
        } else if (now - atomic_load_explicit(&stopped_ns, memory_order_relaxed) > PATIENCE_NS) {
                screen_leave();
                signal(signal_number, SIG_DFL);
                raise(signal_number);
        }
}

void live_start(void) {
        /* A write to a full pipe goes on, so that the line it is in becomes whole; sleeps are short
         * enough by themselves. */
        struct sigaction action = {.sa_handler = on_stop, .sa_flags = SA_RESTART};
        const int signals[] = {SIGINT, SIGTERM, SIGHUP};
        struct sigaction before;

        for (size_t i = 0; i < sizeof(signals) / sizeof(signals[0]); i++) {
                /* nohup(1) and shells that put us into the background ignore them on purpose. */
                if (sigaction(signals[i], NULL, &before) == 0 && before.sa_handler != SIG_IGN) {
                        sigaction(signals[i], &action, NULL);
                }
        }
        /* A reader that had enough ("| head") ends us as it ends every filter, even if whoever
         * started us ignores the signal. */
        signal(SIGPIPE, SIG_DFL);
}

bool live_stopped(void) {
        return stopped;
}

uint64_t live_deadline(uint64_t deadline_ns) {
        uint64_t bound = slipring_now_ns() + SLEEP_MAX_NS;

        return deadline_ns < bound ? deadline_ns : bound;
}

bool live_flush(void) {
        return cli_flush() == 0;
}

/* Not there, but it may come. */
static bool waitable(int r) {
        return r == -ENOENT || r == -EINTR;
}

/* Nobody waits for a name that cannot be one; a topic that is not there is looked up again for a
 * did-you-mean. */
static int
report_open(const struct cli *cli, const char *topic, int r, const struct slipring_error *error) {
        struct view view = VIEW_NONE;
        int code = CLI_FAILURE;

        if (r != -ENOENT) {
                cli_error(cli, "%s", error->text);
                return view_exit_code(r);
        }
        code = view_open(cli, &view);
        if (code == CLI_OK) {
                code = CLI_FAILURE;
                if (view_topic(cli, &view, topic)) {
                        cli_error(cli, "%s", error->text);
                }
        }
        view_close(&view);
        return code;
}

int live_subscribe(const struct cli *cli,
                   struct slipring_subscriber **ret_subscriber,
                   const char *topic,
                   uint32_t start,
                   bool wait,
                   uint64_t deadline_ns) {
        struct slipring_subscriber_options options = {
                .size = sizeof(options),
                .start = start,
                .bus = cli->bus,
        };
        struct slipring_error error = {0};
        bool said = false;
        int r;

        for (;;) {
                r = slipring_subscriber_open(ret_subscriber, view_topic_name(topic), &options,
                                             &error);
                if (r == 0 || live_stopped()) {
                        return CLI_OK;
                }
                if (!wait || !waitable(r)) {
                        return report_open(cli, topic, r, &error);
                }
                if (slipring_now_ns() >= deadline_ns) {
                        return CLI_TIMEOUT;
                }
                if (!said) {
                        cli_error(cli, "waiting for topic '%s'...", view_topic_name(topic));
                        said = true;
                }
                options.deadline_ns = live_deadline(deadline_ns);
        }
}

int live_follow(const struct cli *cli,
                struct slipring_subscriber *subscriber,
                const char *topic,
                bool wait,
                uint64_t deadline_ns,
                bool *ret_moved) {
        struct slipring_error error = {0};
        uint64_t deadline = 0;
        bool said = false;
        int r;

        *ret_moved = false;
        while ((r = slipring_subscriber_move(subscriber, deadline, &error)) < 0) {
                if (live_stopped()) {
                        return CLI_OK;
                }
                if (!wait || !waitable(r)) {
                        cli_error(cli, "topic '%s' was retired: %s", view_topic_name(topic),
                                  error.text);
                        return CLI_FAILURE;
                }
                if (slipring_now_ns() >= deadline_ns) {
                        return CLI_TIMEOUT;
                }
                if (!said) {
                        cli_error(cli, "topic '%s' is gone, waiting for it...",
                                  view_topic_name(topic));
                        said = true;
                }
                deadline = live_deadline(deadline_ns);
        }
        cli_error(cli, "topic '%s' was replaced, going on with its successor",
                  view_topic_name(topic));
        *ret_moved = true;
        return CLI_OK;
}
