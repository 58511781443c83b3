#include <stdio.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "tests/harness/tracer.h"

/* The kernel's own struct; glibc's <sys/ptrace.h> has it under another name, and another header
 * that has it does not go together with that one. */
struct syscall_info {
        uint8_t op;
        uint8_t pad[3];
        uint32_t arch;
        uint64_t instruction_pointer;
        uint64_t stack_pointer;
        uint64_t nr;
        uint64_t arguments[8];
};

#define SYSCALL_INFO_ENTRY 1

void tracer_prepare(void *argument) {
        const char *options = getenv("ASAN_OPTIONS");
        char text[512];

        /* The leak checker is itself a tracer. */
        (void) snprintf(text, sizeof(text), "%s%sdetect_leaks=0", options ? options : "",
                        options ? ":" : "");
        (void) setenv("ASAN_OPTIONS", text, 1);
        (void) ptrace(PTRACE_TRACEME, 0, NULL, NULL);
}

void tracer_begin(struct tracer *tracer, pid_t pid) {
        int status;

        *tracer = (struct tracer){.pid = pid};
        assert_int_equal(waitpid(pid, &status, 0), pid);
        assert_true(WIFSTOPPED(status));
        assert_int_equal(
                ptrace(PTRACE_SETOPTIONS, pid, NULL, PTRACE_O_TRACESYSGOOD | PTRACE_O_EXITKILL), 0);
}

/* Wait for its next stop; returns false if it has ended. */
static bool await_stop(struct tracer *tracer, int *ret_signal) {
        int status;

        assert_int_equal(waitpid(tracer->pid, &status, 0), tracer->pid);
        if (WIFSTOPPED(status)) {
                *ret_signal = WSTOPSIG(status);
                return true;
        }
        tracer->exit_code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
        return false;
}

bool tracer_next(struct tracer *tracer) {
        struct syscall_info info = {0};
        int signal = 0;

        do {
                assert_int_equal(ptrace(PTRACE_SYSCALL, tracer->pid, NULL, signal), 0);
                if (!await_stop(tracer, &signal)) {
                        return false;
                }
        } while (signal != (SIGTRAP | 0x80));
        assert_true(ptrace(PTRACE_GET_SYSCALL_INFO, tracer->pid, sizeof(info), &info) > 0);
        tracer->entering = info.op == SYSCALL_INFO_ENTRY;
        if (tracer->entering) {
                tracer->call = info.nr;
        } else {
                /* There the result stands in its place. */
                tracer->result = (int64_t) info.nr;
        }
        return true;
}

void tracer_instructions(struct tracer *tracer, unsigned count) {
        int signal;

        while (count-- > 0) {
                assert_int_equal(ptrace(PTRACE_SINGLESTEP, tracer->pid, NULL, 0), 0);
                assert_true(await_stop(tracer, &signal));
                assert_int_equal(signal, SIGTRAP);
        }
}

void tracer_release(struct tracer *tracer) {
        assert_int_equal(ptrace(PTRACE_DETACH, tracer->pid, NULL, 0), 0);
}

bool tracer_at_step(const struct tracer *tracer) {
        switch (tracer->call) {
        case SYS_shmget:
        case SYS_shmat:
        case SYS_shmdt:
        case SYS_shmctl:
        case SYS_semget:
        case SYS_semctl:
        case SYS_semop:
        case SYS_semtimedop:
        /* Waking is after storing, and new keys are drawn after that. */
        case SYS_futex:
        case SYS_getrandom:
        case SYS_clock_nanosleep:
                return true;
        default:
                return false;
        }
}

bool tracer_at_rest(const struct tracer *tracer) {
#ifdef SYS_epoll_wait
        if (tracer->call == SYS_epoll_wait) {
                return true;
        }
#endif
        return tracer->call == SYS_epoll_pwait || tracer->call == SYS_epoll_pwait2;
}
