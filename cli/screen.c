#include "cli/screen.h"

#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

#include <slipring/sample.h>

#include "cli/live.h"

#define ENTER "\033[?1049h\033[?25l"
#define LEAVE "\033[?25h\033[?1049l"

static struct termios before;
static bool entered, keys;
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
        struct termios raw;

        /* Ctrl-C and Ctrl-Z stay signals. In the background the terminal is not ours to change. */
        keys = tcgetattr(STDIN_FILENO, &before) == 0 && tcgetpgrp(STDIN_FILENO) == getpgrp();
        if (keys) {
                raw = before;
                raw.c_lflag &= ~(tcflag_t) (ICANON | ECHO);
                raw.c_cc[VMIN] = 0;
                raw.c_cc[VTIME] = 0;
                tcsetattr(STDIN_FILENO, TCSANOW, &raw);
        }
        sigaction(SIGWINCH, &resize, NULL);
        sigaction(SIGTSTP, &suspend, NULL);
        put(ENTER);
        entered = true;
}

void screen_leave(void) {
        if (!entered) {
                return;
        }
        put(LEAVE);
        if (keys) {
                tcsetattr(STDIN_FILENO, TCSANOW, &before);
        }
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

/* One key; the escape sequences of the few that have no character. */
static int key_read(void) {
        static const struct {
                const char *text;
                int key;
        } sequences[] = {
                {"\033[A", SCREEN_KEY_UP},       {"\033OA", SCREEN_KEY_UP},
                {"\033[B", SCREEN_KEY_DOWN},     {"\033OB", SCREEN_KEY_DOWN},
                {"\033[5~", SCREEN_KEY_PAGE_UP}, {"\033[6~", SCREEN_KEY_PAGE_DOWN},
        };
        char text[16] = "";
        ssize_t bytes = read(STDIN_FILENO, text, 1);

        if (bytes <= 0) {
                /* The terminal hung up: it would be readable for ever. */
                keys = false;
                return SCREEN_KEY_NONE;
        }
        if (text[0] != '\033') {
                return (unsigned char) text[0];
        }
        bytes = read(STDIN_FILENO, text + 1, sizeof(text) - 2);
        for (size_t i = 0; bytes > 0 && i < sizeof(sequences) / sizeof(sequences[0]); i++) {
                if (strcmp(text, sequences[i].text) == 0) {
                        return sequences[i].key;
                }
        }
        return SCREEN_KEY_NONE;
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
        struct pollfd input = {.fd = entered && keys ? STDIN_FILENO : -1, .events = POLLIN};
        uint64_t now = slipring_now_ns();
        struct timespec timeout = {0};
        int key = SCREEN_KEY_NONE;

        deadline_ns = live_deadline(deadline_ns);
        if (deadline_ns > now) {
                timeout.tv_nsec = (long) (deadline_ns - now);
        }
        if (ppoll(&input, 1, &timeout, NULL) > 0) {
                key = key_read();
        }
        if (suspended && entered) {
                suspend_now();
        }
        *ret_redraw = resized;
        resized = 0;
        return key;
}
