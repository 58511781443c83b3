#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench/script.h"

/* What the script says when it cannot do it on this machine, and has told why. */
#define LEFT_OUT 77

static void become(const struct measurement *measurement,
                   const struct stage_options *options,
                   bool json,
                   pid_t parent) {
        char bus[64], rounds[16], cpus[64] = "";
        const char *argv[] = {
                BENCH_COMMANDS,
                BENCH_SLIPRING,
                BENCH_SLIPRINGD,
                BENCH_LOAD,
                bus,
                measurement->name,
                "--rounds",
                rounds,
                json ? "--json" : "--table",
                options->quick ? "--quick" : "--full",
                "--cpus",
                cpus,
                NULL,
        };
        sigset_t none;

        (void) snprintf(bus, sizeof(bus), "%scmd", options->bus);
        (void) snprintf(rounds, sizeof(rounds), "%u", options->rounds);
        if (options->pin) {
                (void) snprintf(cpus, sizeof(cpus), "%d,%d", options->cpus[0],
                                options->cpus[options->cpu_count > 1]);
        }
        (void) sigemptyset(&none);
        (void) sigprocmask(SIG_SETMASK, &none, NULL);
        (void) signal(SIGPIPE, SIG_DFL);
        (void) prctl(PR_SET_PDEATHSIG, SIGTERM);
        if (getppid() == parent) {
                (void) execv(argv[0], (char *const *) argv);
                (void) fprintf(stderr, "slipring-bench: %s: left out, for python3 is not there\n",
                               measurement->name);
        }
        _exit(LEFT_OUT);
}

int script_run(const struct measurement *measurement,
               const struct stage_options *options,
               bool json,
               int *ret_signal) {
        pid_t pid, parent = getpid();
        int status, number, r = 0;
        sigset_t signals;

        stage_signals(&signals);
        /* It prints behind what we have. */
        if (fflush(stdout) != 0) {
                return -errno;
        }
        pid = fork();
        if (pid < 0) {
                return -errno;
        }
        if (pid == 0) {
                become(measurement, options, json, parent);
        }
        while (waitpid(pid, &status, WNOHANG) == 0) {
                number = sigwaitinfo(&signals, NULL);
                if (number > 0 && number != SIGCHLD && r == 0) {
                        /* It has processes of its own to end. */
                        *ret_signal = number;
                        r = -EINTR;
                        (void) kill(pid, SIGTERM);
                }
        }
        if (r == 0 &&
            (!WIFEXITED(status) || (WEXITSTATUS(status) != 0 && WEXITSTATUS(status) != LEFT_OUT))) {
                r = -ECHILD;
        }
        return r;
}
