#include "cli/screen.h"

#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <slipring/sample.h>

#include "cli/keys.h"
#include "cli/live.h"

#define ENTER "\033[?1049h\033[?25l"
#define LEAVE "\033[?25h\033[?1049l"

static bool entered;
static volatile sig_atomic_t resized, suspended;

static void on_resize(int signal) {
        (void) signal;
        resized = 1;
}

static void on_suspend(int signal) {
        (void) signal;
        suspended = 1;
}

bool screen_possible(void) {
        const char *term = getenv("TERM");

        return isatty(STDOUT_FILENO) && term && *term && strcmp(term, "dumb") != 0;
}

static void put(const char *text) {
        /* A terminal that is gone is found out by the next flush of standard output. */
        ssize_t written = write(STDOUT_FILENO, text, strlen(text));

        (void) written;
}

void screen_enter(void) {
        struct sigaction resize = {.sa_handler = on_resize}, suspend = {.sa_handler = on_suspend};

        keys_take();
        sigaction(SIGWINCH, &resize, NULL);
        sigaction(SIGTSTP, &suspend, NULL);
        put(ENTER);
        entered = true;
}

void screen_leave(void) {
        if (entered) {
                put(LEAVE);
        }
        keys_give_back();
        entered = false;
}

void screen_size(unsigned *ret_columns, unsigned *ret_rows) {
        struct winsize size = {0};

        *ret_columns = 80;
        *ret_rows = 24;
        if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col && size.ws_row) {
                *ret_columns = size.ws_col;
                *ret_rows = size.ws_row;
        }
}

/* Ctrl-Z: give the terminal back, stop as asked, take it again. */
static void suspend_now(void) {
        suspended = 0;
        screen_leave();
        raise(SIGSTOP);
        screen_enter();
        resized = 1;
}

int screen_wait(uint64_t deadline_ns, bool *ret_redraw) {
        struct pollfd input = {.fd = entered && keys_taken() ? STDIN_FILENO : -1, .events = POLLIN};
        uint64_t now = slipring_now_ns();
        struct timespec timeout = {0};
        int key = KEYS_NONE;

        deadline_ns = live_deadline(deadline_ns);
        if (deadline_ns > now) {
                timeout.tv_nsec = (long) (deadline_ns - now);
        }
        if (ppoll(&input, 1, &timeout, NULL) > 0) {
                key = keys_read();
                if (input.revents & (POLLHUP | POLLERR)) {
                        /* The terminal hung up: it would be readable for ever. */
                        keys_give_back();
                }
        }
        if (suspended && entered) {
                suspend_now();
        }
        *ret_redraw = resized;
        resized = 0;
        return key;
}
