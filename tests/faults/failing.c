#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ipc.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/sem.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/faults/failing.h"

#if defined(__x86_64__)
#define AUDIT_ARCH_HERE AUDIT_ARCH_X86_64
#elif defined(__aarch64__)
#define AUDIT_ARCH_HERE AUDIT_ARCH_AARCH64
#elif defined(__arm__)
#define AUDIT_ARCH_HERE AUDIT_ARCH_ARM
#endif

#if defined(__SANITIZE_ADDRESS__)
#define SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define SANITIZED 1
#endif
#endif

/* Of a kernel that is newer than the headers. */
#ifndef SYS_pidfd_getfd
#define SYS_pidfd_getfd 438
#endif
#ifndef SYS_futex_waitv
#define SYS_futex_waitv 449
#endif

/* What the tests and their supervisor share. */
struct control {
        _Atomic int listener; /* the number of the descriptor in the child, -1 before */
        _Atomic int kind;     /* 0: nothing fails */
        _Atomic unsigned at;
        _Atomic unsigned count;
        _Atomic int pid;
        _Atomic int from; /* -1: counting has begun */
        _Atomic bool fired;
        _Atomic bool hurry;
        _Atomic int number;    /* of the call that failed, -1: an allocation */
        _Atomic size_t amount; /* its bytes */
};

static struct control *control;

/* --- system calls --- */

/* A call that may fail, and how it does. What gives something back is not here: the kernel does it
 * whatever it answers. */
struct call {
        int number;
        int code;
        const char *name;
};

static const struct call calls[] = {
        {SYS_shmget, EACCES, "shmget"},
        {SYS_shmat, ENOMEM, "shmat"},
        {SYS_shmctl, EACCES, "shmctl"},
        {SYS_semget, EACCES, "semget"},
        {SYS_semctl, EACCES, "semctl"},
#ifdef SYS_semop
        {SYS_semop, ENOMEM, "semop"},
#endif
        {SYS_semtimedop, ENOMEM, "semtimedop"},
#ifdef SYS_open
        {SYS_open, EMFILE, "open"},
#endif
        {SYS_openat, EMFILE, "openat"},
        {SYS_read, EIO, "read"},
        {SYS_pread64, EIO, "pread"},
        {SYS_write, EIO, "write"},
        {SYS_writev, EIO, "writev"},
        {SYS_fstat, EIO, "fstat"},
#ifdef SYS_newfstatat
        {SYS_newfstatat, EIO, "fstatat"},
#endif
        {SYS_statx, EIO, "statx"},
        {SYS_lseek, EIO, "lseek"},
        {SYS_ioctl, EIO, "ioctl"},
        {SYS_fcntl, EINVAL, "fcntl"},
        {SYS_getrandom, EAGAIN, "getrandom"},
        {SYS_madvise, EINVAL, "madvise"},
#ifdef SYS_mmap2
        {SYS_mmap2, ENOMEM, "mmap"},
#else
        {SYS_mmap, ENOMEM, "mmap"},
#endif
#ifndef SANITIZED
        {SYS_mremap, ENOMEM, "mremap"},
        {SYS_mprotect, ENOMEM, "mprotect"},
        {SYS_brk, ENOMEM, "brk"},
#endif
        {SYS_eventfd2, EMFILE, "eventfd"},
        {SYS_epoll_create1, EMFILE, "epoll_create"},
        {SYS_epoll_ctl, ENOSPC, "epoll_ctl"},
        {SYS_signalfd4, EMFILE, "signalfd"},
        {SYS_timerfd_create, EMFILE, "timerfd_create"},
        {SYS_io_uring_setup, ENOMEM, "io_uring_setup"},
        {SYS_io_uring_enter, EAGAIN, "io_uring_enter"},
        {SYS_io_uring_register, ENOMEM, "io_uring_register"},
        {SYS_futex, EINTR, "futex"},
        {SYS_futex_waitv, EINTR, "futex_waitv"},
#ifdef SYS_poll
        {SYS_poll, EINTR, "poll"},
#endif
        {SYS_ppoll, EINTR, "ppoll"},
#ifdef SYS_epoll_wait
        {SYS_epoll_wait, EINTR, "epoll_wait"},
#endif
        {SYS_epoll_pwait, EINTR, "epoll_pwait"},
        {SYS_clone, EAGAIN, "clone"},
        {SYS_clone3, EAGAIN, "clone3"},
        {SYS_socket, EMFILE, "socket"},
        {SYS_connect, ECONNREFUSED, "connect"},
        {SYS_sendmsg, EAGAIN, "sendmsg"},
        {SYS_getdents64, EIO, "getdents"},
        {SYS_clock_nanosleep, EINTR, "clock_nanosleep"},
#ifdef SYS_nanosleep
        {SYS_nanosleep, EINTR, "nanosleep"},
#endif
};

#define CALLS (sizeof(calls) / sizeof(calls[0]))

static const struct call *call_find(int number) {
        size_t i;

        for (i = 0; i < CALLS; i++) {
                if (calls[i].number == number) {
                        return &calls[i];
                }
        }
        return NULL;
}

static bool is_sleep(int number) {
#ifdef SYS_nanosleep
        if (number == SYS_nanosleep) {
                return true;
        }
#endif
        return number == SYS_clock_nanosleep;
}

/* The release of a claim. */
static bool gives_back(pid_t pid, const struct seccomp_data *data) {
        struct sembuf operation = {0};
        struct iovec here = {.iov_base = &operation, .iov_len = sizeof(operation)};
        struct iovec there = {
                .iov_base = (void *) (uintptr_t) data->args[1],
                .iov_len = sizeof(operation),
        };

        return data->args[2] == 1 && process_vm_readv(pid, &here, 1, &there, 1, 0) > 0 &&
               operation.sem_op < 0;
}

/* Timers, signals and events cannot be unreadable. */
static bool is_event(pid_t pid, int descriptor) {
        char path[64], target[32] = "";

        (void) snprintf(path, sizeof(path), "/proc/%d/fd/%d", (int) pid, descriptor);
        return readlink(path, target, sizeof(target) - 1) > 0 &&
               strncmp(target, "anon_inode:", 11) == 0;
}

/* Does this call take something that may be refused, and not give something back or tell? */
static bool may_fail(pid_t pid, const struct seccomp_data *data) {
        int command;

        switch (data->nr) {
        case SYS_shmget:
        case SYS_semget:
                /* The kernel has no reason to refuse a look-up by key; a sandbox may. */
                return (data->args[2] & IPC_CREAT) ||
                       atomic_load(&control->kind) == FAILING_FORBIDDEN;
        case SYS_shmctl:
                command = (int) data->args[1];
                return command != IPC_RMID;
        case SYS_semctl:
                command = (int) data->args[2];
                return command != IPC_RMID;
        case SYS_epoll_ctl:
                return (int) data->args[1] != EPOLL_CTL_DEL;
        case SYS_write:
        case SYS_writev:
                /* What it says is how the tests know. */
                return data->args[0] != STDERR_FILENO;
        case SYS_read:
                return !is_event(pid, (int) data->args[0]);
#ifdef SYS_semop
        case SYS_semop:
#endif
        case SYS_semtimedop:
                return !gives_back(pid, data);
        case SYS_futex:
                /* FUTEX_WAIT and FUTEX_WAIT_BITSET; without them there are no locks either. */
                return atomic_load(&control->kind) != FAILING_FORBIDDEN &&
                       ((data->args[1] & 0x7f) == 0 || (data->args[1] & 0x7f) == 9);
#ifdef SANITIZED
        case SYS_mmap:
                /* Theirs are without a file, and they end the process if one fails. */
                return (int) data->args[4] >= 0;
        case SYS_madvise:
                /* DONTNEED, NOHUGEPAGE and DONTDUMP over their own. */
                return data->args[2] != 4 && data->args[2] != 15 && data->args[2] != 16;
#endif
        default:
                return true;
        }
}

/* Where the same call fails in other ways as it makes something. */
static int code_of(const struct call *call, const struct seccomp_data *data) {
        if (atomic_load(&control->kind) == FAILING_FORBIDDEN) {
                return EPERM;
        }
        if (call->number == SYS_shmget && (data->args[2] & IPC_CREAT)) {
                return ENOSPC;
        }
        if (call->number == SYS_semget && (data->args[2] & IPC_CREAT)) {
                return ENOSPC;
        }
        return call->code;
}

/* --- the supervisor --- */

static pid_t thread_group(pid_t tid) {
        /* The same one asks again and again. */
        static pid_t last_tid, last_group;
        char path[64], line[128];
        int group = 0;
        FILE *status;

        if (tid == last_tid) {
                return last_group;
        }
        (void) snprintf(path, sizeof(path), "/proc/%d/status", (int) tid);
        status = fopen(path, "re");
        while (status && fgets(line, sizeof(line), status)) {
                if (sscanf(line, "Tgid: %d", &group) == 1) {
                        break;
                }
        }
        if (status) {
                (void) fclose(status);
        }
        last_tid = tid;
        last_group = group;
        return group;
}

static bool is_meant(pid_t tid) {
        pid_t pid = atomic_load(&control->pid);

        return pid < 0 ? thread_group(tid) != -pid : tid == pid || thread_group(tid) == pid;
}

/* The errno to fail with, GO_ON, or to do nothing and say that it was done. */
#define GO_ON (-1)
#define SKIP 0

static int decide(const struct seccomp_notif *call) {
        int kind = atomic_load(&control->kind);
        const struct call *found;

        if (is_sleep(call->data.nr) && atomic_load(&control->hurry)) {
                return SKIP;
        }
        if ((kind != FAILING_CALLS && kind != FAILING_FORBIDDEN) ||
            !may_fail((pid_t) call->pid, &call->data)) {
                return GO_ON;
        }
        if (!is_meant((pid_t) call->pid)) {
                return GO_ON;
        }
        if (atomic_load(&control->from) == call->data.nr) {
                atomic_store(&control->from, -1);
        }
        if (atomic_load(&control->from) != -1) {
                return GO_ON;
        }
        found = call_find(call->data.nr);
        if (!found || atomic_fetch_add(&control->count, 1) + 1 != atomic_load(&control->at)) {
                return GO_ON;
        }
        atomic_store(&control->number, call->data.nr);
        atomic_store(&control->fired, true);
        return code_of(found, &call->data);
}

static void answer(int listener) {
        struct seccomp_notif call;
        struct seccomp_notif_resp response;
        int code;

        memset(&call, 0, sizeof(call));
        if (ioctl(listener, SECCOMP_IOCTL_NOTIF_RECV, &call) < 0) {
                /* Killed, or interrupted, while it waited. */
                return;
        }
        code = decide(&call);
        response = (struct seccomp_notif_resp){
                .id = call.id,
                .error = code == GO_ON ? 0 : -code,
                .flags = code == GO_ON ? SECCOMP_USER_NOTIF_FLAG_CONTINUE : 0,
        };
        (void) ioctl(listener, SECCOMP_IOCTL_NOTIF_SEND, &response);
}

static int supervise(pid_t child) {
        struct pollfd listener = {.events = POLLIN};
        int process, status = 0;

        process = (int) syscall(SYS_pidfd_open, child, 0);
        while (atomic_load(&control->listener) == -1) {
                if (waitpid(child, &status, WNOHANG) == child) {
                        return 77;
                }
                (void) poll(NULL, 0, 1);
        }
        listener.fd = (int) syscall(SYS_pidfd_getfd, process, atomic_load(&control->listener), 0);
        if (listener.fd < 0) {
                (void) kill(child, SIGKILL);
                (void) waitpid(child, &status, 0);
                return 77;
        }
        while (waitpid(child, &status, WNOHANG) != child) {
                if (poll(&listener, 1, 20) > 0 && (listener.revents & POLLIN)) {
                        answer(listener.fd);
                }
        }
        return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

/* --- the supervised --- */

static int filter_install(void) {
        struct sock_filter filter[CALLS + 8];
        struct sock_fprog program = {.filter = filter};
        unsigned short at = 0;
        size_t i;

#ifdef AUDIT_ARCH_HERE
        filter[at++] = (struct sock_filter) BPF_STMT(BPF_LD | BPF_W | BPF_ABS,
                                                     offsetof(struct seccomp_data, arch));
        filter[at++] =
                (struct sock_filter) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, AUDIT_ARCH_HERE, 1, 0);
        filter[at++] = (struct sock_filter) BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
#endif
        filter[at++] = (struct sock_filter) BPF_STMT(BPF_LD | BPF_W | BPF_ABS,
                                                     offsetof(struct seccomp_data, nr));
        for (i = 0; i < CALLS; i++) {
                filter[at++] = (struct sock_filter) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K,
                                                             (uint32_t) calls[i].number,
                                                             (uint8_t) (CALLS - i), 0);
        }
        filter[at++] = (struct sock_filter) BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
        filter[at++] = (struct sock_filter) BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_USER_NOTIF);
        program.len = at;
        if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0) {
                return -1;
        }
        return (int) syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_NEW_LISTENER,
                             &program);
}

int failing_main(int (*run)(void)) {
        int listener, r;
        pid_t child;

        control = mmap(NULL, sizeof(*control), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
                       -1, 0);
        if (control == MAP_FAILED) {
                return 1;
        }
        atomic_store(&control->listener, -1);
        (void) fflush(NULL);
        child = fork();
        if (child == 0) {
                (void) prctl(PR_SET_PDEATHSIG, SIGKILL);
                listener = filter_install();
                if (listener < 0) {
                        _exit(77);
                }
                atomic_store(&control->listener, listener);
                /* The parent has its own by the time this answers. */
                (void) fcntl(listener, F_GETFD);
                (void) close(listener);
                exit(run());
        }
        r = child < 0 ? 77 : supervise(child);
        if (r == 77) {
                (void) fprintf(stderr, "skipped: needs seccomp user notification (Linux 5.6)\n");
        }
        return r;
}

/* --- arming --- */

void failing_arm(enum failing_kind kind, unsigned k, pid_t pid) {
        failing_arm_from(kind, k, pid, -1);
}

void failing_arm_from(enum failing_kind kind, unsigned k, pid_t pid, int number) {
        atomic_store(&control->from, number);
        atomic_store(&control->pid, pid);
        atomic_store(&control->at, k);
        atomic_store(&control->count, 0);
        atomic_store(&control->fired, false);
        atomic_store(&control->kind, kind);
}

bool failing_disarm(void) {
        atomic_store(&control->kind, 0);
        return atomic_load(&control->fired);
}

bool failing_fired(void) {
        return atomic_load(&control->fired);
}

unsigned failing_count(void) {
        return atomic_load(&control->count);
}

const char *failing_what(void) {
        static char text[64];
        int number = atomic_load(&control->number);
        const struct call *call = call_find(number);

        if (number < 0) {
                (void) snprintf(text, sizeof(text), "an allocation of %zu bytes",
                                atomic_load(&control->amount));
        } else {
                (void) snprintf(text, sizeof(text), "%s", call ? call->name : "?");
        }
        return text;
}

void failing_hurry(bool hurry) {
        atomic_store(&control->hurry, hurry);
}

/* --- allocations --- */

static _Atomic long live;

long failing_allocations_live(void) {
        return atomic_load(&live);
}

#ifdef SANITIZED
#define REAL(name) __interceptor_##name
#else
#define REAL(name) __libc_##name
#endif

void *REAL(malloc)(size_t bytes);
void *REAL(calloc)(size_t count, size_t bytes);
void *REAL(realloc)(void *old, size_t bytes);
void REAL(free)(void *old);

/* glibc declares them with attributes of its own; these are for everyone, its own calls too. */
#pragma GCC visibility push(default)

/* The sanitizers allocate as a thread begins, and end the process where they cannot. */
static pid_t here(void) {
#ifdef SANITIZED
        return (pid_t) syscall(SYS_gettid);
#else
        return getpid();
#endif
}

static bool refuse(size_t bytes) {
        if (!control || atomic_load(&control->kind) != FAILING_ALLOCATIONS ||
            atomic_load(&control->pid) != here() ||
            atomic_fetch_add(&control->count, 1) + 1 != atomic_load(&control->at)) {
                return false;
        }
        atomic_store(&control->number, -1);
        atomic_store(&control->amount, bytes);
        atomic_store(&control->fired, true);
        errno = ENOMEM;
        return true;
}

static void *counted(void *memory) {
        if (memory) {
                (void) atomic_fetch_add(&live, 1);
        }
        return memory;
}

void *malloc(size_t bytes) {
        return refuse(bytes) ? NULL : counted(REAL(malloc)(bytes));
}

void *calloc(size_t count, size_t bytes) {
        return refuse(count * bytes) ? NULL : counted(REAL(calloc)(count, bytes));
}

void *realloc(void *old, size_t bytes) {
        void *memory;

        if (refuse(bytes)) {
                return NULL;
        }
        memory = REAL(realloc)(old, bytes);
        if (old && bytes == 0) {
                (void) atomic_fetch_sub(&live, 1);
        }
        return old ? memory : counted(memory);
}

void free(void *old) {
        if (old) {
                (void) atomic_fetch_sub(&live, 1);
        }
        REAL(free)(old);
}

#pragma GCC visibility pop
