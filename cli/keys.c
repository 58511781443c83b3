#include "cli/keys.h"

#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

#include <slipring/sample.h>

static struct termios before;
static volatile sig_atomic_t taken;
static _Atomic uint64_t stopped_ns;

bool keys_take(void) {
        struct termios raw;

        if (tcgetpgrp(STDIN_FILENO) != getpgrp() || tcgetattr(STDIN_FILENO, &raw) < 0) {
                return false;
        }
        if (!taken) {
                before = raw;
        }
        raw = before;
        raw.c_lflag &= ~(tcflag_t) (ICANON | ECHO);
        raw.c_cc[VMIN] = 0;
        raw.c_cc[VTIME] = 0;
        taken = tcsetattr(STDIN_FILENO, TCSANOW, &raw) == 0;
        return taken;
}

void keys_give_back(void) {
        /* Somebody else's terminal by now is as somebody else wants it. */
        if (taken && tcgetpgrp(STDIN_FILENO) == getpgrp()) {
                tcsetattr(STDIN_FILENO, TCSANOW, &before);
        }
        taken = 0;
}

bool keys_taken(void) {
        return taken;
}

static void on_end(int number) {
        int kept = errno;

        keys_give_back();
        signal(number, SIG_DFL);
        raise(number);
        errno = kept;
}

static void on_continue(int number) {
        int kept = errno;

        (void) number;
        if (!keys_take()) {
                taken = 0;
        }
        errno = kept;
}

static void on_stop(int number) {
        struct sigaction mine, none = {.sa_handler = SIG_DFL};
        uint64_t begun_ns = slipring_now_ns();
        int kept = errno;
        sigset_t only;

        keys_give_back();
        /* By the signal itself: where nobody could continue it, the kernel does not stop it. */
        sigemptyset(&only);
        sigaddset(&only, number);
        sigaction(number, &none, &mine);
        raise(number);
        sigprocmask(SIG_UNBLOCK, &only, NULL);
        sigaction(number, &mine, NULL);
        atomic_fetch_add_explicit(&stopped_ns, slipring_now_ns() - begun_ns, memory_order_relaxed);
        on_continue(SIGCONT);
        errno = kept;
}

static void guard(int number, void (*handler)(int)) {
        struct sigaction action = {.sa_handler = handler, .sa_flags = SA_RESTART}, now;

        /* Who ignores one, or has it caught, knows why. */
        if (sigaction(number, NULL, &now) == 0 && now.sa_handler == SIG_DFL) {
                sigaction(number, &action, NULL);
        }
}

void keys_guard(void) {
        static const int ends[] = {SIGQUIT, SIGABRT, SIGSEGV, SIGBUS,  SIGFPE,    SIGILL,
                                   SIGPIPE, SIGALRM, SIGUSR1, SIGUSR2, SIGVTALRM, SIGXCPU};

        for (size_t i = 0; i < sizeof(ends) / sizeof(ends[0]); i++) {
                guard(ends[i], on_end);
        }
        guard(SIGTSTP, on_stop);
        guard(SIGCONT, on_continue);
        atexit(keys_give_back);
}

uint64_t keys_stopped_ns(void) {
        return atomic_load_explicit(&stopped_ns, memory_order_relaxed);
}

int keys_read(void) {
        static const struct {
                const char *text;
                int key;
        } sequences[] = {
                {"\033[A", KEYS_UP},       {"\033OA", KEYS_UP},         {"\033[B", KEYS_DOWN},
                {"\033OB", KEYS_DOWN},     {"\033[C", KEYS_RIGHT},      {"\033OC", KEYS_RIGHT},
                {"\033[5~", KEYS_PAGE_UP}, {"\033[6~", KEYS_PAGE_DOWN},
        };
        char text[16] = "";
        ssize_t bytes;

        if (!taken) {
                return KEYS_NONE;
        }
        bytes = read(STDIN_FILENO, text, 1);
        if (bytes <= 0 || text[0] != '\033') {
                return bytes <= 0 ? KEYS_NONE : (unsigned char) text[0];
        }
        /* One sequence and not what follows: of keys that came together none is lost. */
        for (size_t at = 1; at < sizeof(text) - 1 && read(STDIN_FILENO, text + at, 1) == 1; at++) {
                for (size_t i = 0; i < sizeof(sequences) / sizeof(sequences[0]); i++) {
                        if (strcmp(text, sequences[i].text) == 0) {
                                return sequences[i].key;
                        }
                }
                if (at > 1 && text[at] >= '@') {
                        /* The end of one that is none of ours. */
                        break;
                }
        }
        return KEYS_NONE;
}
