#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ipc.h>
#include <sys/prctl.h>
#include <sys/sem.h>
#include <sys/shm.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "tests/harness/daemon.h"

#define LOG_BYTES_MAX (1024u * 1024)
#define ARGUMENTS_MAX 16

/* Long enough for a machine under sanitizers and load; only a failing test takes it. */
#define PATIENCE_MS 30000

static bool private_namespace;

/* --- namespaces --- */

static bool file_write(const char *path, const char *text) {
        int fd = open(path, O_WRONLY | O_CLOEXEC);
        bool ok = fd >= 0 && write(fd, text, strlen(text)) == (ssize_t) strlen(text);

        if (fd >= 0) {
                (void) close(fd);
        }
        return ok;
}

/* Who is not root becomes the owner of a user namespace in which all is as before. */
static bool unshare_as_user(void) {
        char uid_map[64], gid_map[64];

        (void) snprintf(uid_map, sizeof(uid_map), "%u %u 1", geteuid(), geteuid());
        (void) snprintf(gid_map, sizeof(gid_map), "%u %u 1", getegid(), getegid());
        return unshare(CLONE_NEWUSER | CLONE_NEWIPC) == 0 &&
               file_write("/proc/self/setgroups", "deny") &&
               file_write("/proc/self/uid_map", uid_map) &&
               file_write("/proc/self/gid_map", gid_map);
}

bool ipc_private(bool needed) {
        private_namespace =
                geteuid() == 0 ? unshare(CLONE_NEWIPC) == 0 : !needed && unshare_as_user();
        if (needed && !private_namespace) {
                (void) fprintf(stderr, "skipped: needs root and an IPC namespace of its own\n");
                exit(77);
        }
        return private_namespace;
}

union argument {
        int value;
        struct seminfo *info;
};

size_t ipc_objects(void) {
        struct shm_info segments;
        struct seminfo semaphores;

        assert_true(shmctl(0, SHM_INFO, (struct shmid_ds *) (void *) &segments) >= 0);
        assert_true(semctl(0, 0, SEM_INFO, (union argument){.info = &semaphores}) >= 0);
        return (size_t) segments.used_ids + (size_t) semaphores.semusz;
}

/* --- files --- */

const char *program_path(const char *variable) {
        const char *path = getenv(variable);

        if (!path) {
                fail_msg("%s is not set: run this with 'meson test'", variable);
        }
        return path;
}

void daemon_setup(struct daemon *daemon) {
        static unsigned number;

        *daemon = (struct daemon){.user = geteuid()};
        (void) snprintf(daemon->bus, sizeof(daemon->bus), "test%dd%u", (int) getpid(), number++);
        assert_int_equal(setenv("SLIPRING_BUS", daemon->bus, 1), 0);
        (void) snprintf(daemon->directory, sizeof(daemon->directory), "/tmp/slipring-XXXXXX");
        assert_non_null(mkdtemp(daemon->directory));
        assert_int_equal(chmod(daemon->directory, 0755), 0);
        (void) snprintf(daemon->schema, sizeof(daemon->schema), "%s/bus.yaml", daemon->directory);
        (void) snprintf(daemon->log, sizeof(daemon->log), "%s/log", daemon->directory);
}

void daemon_schema(struct daemon *daemon, const char *text) {
        FILE *file = fopen(daemon->schema, "we");

        assert_non_null(file);
        (void) fprintf(file, "slipring: 1\nbus: %s\n%s", daemon->bus, text);
        assert_int_equal(fclose(file), 0);
}

static char *log_read(const struct daemon *daemon) {
        char *text = calloc(1, LOG_BYTES_MAX);
        FILE *file = fopen(daemon->log, "re");

        assert_non_null(text);
        if (file) {
                (void) fread(text, 1, LOG_BYTES_MAX - 1, file);
                (void) fclose(file);
        }
        return text;
}

void daemon_teardown(struct daemon *daemon) {
        if (daemon->pid) {
                daemon_kill(daemon);
                fail_msg("%s: a manager was still running", daemon->bus);
        }
        (void) unlink(daemon->schema);
        (void) unlink(daemon->log);
        (void) rmdir(daemon->directory);
        assert_false(daemon_bus_exists(daemon));
        assert_int_equal(semget(directory_key(daemon->user, daemon->bus), 0, 0), -1);
        if (private_namespace) {
                assert_int_equal(ipc_objects(), 0);
        }
}

/* --- running --- */

static void child_run(struct daemon *daemon, pid_t parent, char **arguments) {
        int fd = open(daemon->log, O_WRONLY | O_CREAT | O_APPEND, 0644);

        if (fd < 0 || dup2(fd, STDERR_FILENO) < 0) {
                _exit(125);
        }
        if (daemon->prepare) {
                daemon->prepare(daemon->argument);
        }
        /* What a failed test leaves ends as if it was told to, and takes its bus with it, unless
         * it is to keep it. */
        (void) prctl(PR_SET_PDEATHSIG, SIGTERM);
        if (getppid() != parent) {
                _exit(125);
        }
        (void) execv(arguments[0], arguments);
        _exit(126);
}

static void spawn(struct daemon *daemon, va_list options) {
        char *arguments[ARGUMENTS_MAX] = {(char *) (uintptr_t) program_path("SLIPRINGD")};
        size_t count = 1;
        const char *option;
        pid_t parent;

        assert_int_equal(daemon->pid, 0);
        while ((option = va_arg(options, const char *))) {
                assert_true(count < ARGUMENTS_MAX - 2);
                arguments[count++] = (char *) (uintptr_t) option;
        }
        arguments[count] = daemon->schema;
        parent = getpid();
        (void) fflush(NULL);
        daemon->pid = fork();
        assert_true(daemon->pid >= 0);
        if (daemon->pid == 0) {
                child_run(daemon, parent, arguments);
        }
}

void daemon_spawn(struct daemon *daemon, ...) {
        va_list options;

        va_start(options, daemon);
        spawn(daemon, options);
        va_end(options);
}

void daemon_start(struct daemon *daemon, ...) {
        va_list options;

        va_start(options, daemon);
        spawn(daemon, options);
        va_end(options);
        daemon_expect(daemon, ": serving ");
}

static void rest_a_little(void) {
        struct timespec pause = {.tv_nsec = 2000000};

        (void) clock_nanosleep(CLOCK_MONOTONIC, 0, &pause, NULL);
}

bool daemon_logged(const struct daemon *daemon, const char *text) {
        char *log = log_read(daemon);
        bool found = strstr(log + daemon->read_bytes, text) != NULL;

        free(log);
        return found;
}

void daemon_skip(struct daemon *daemon) {
        char *log = log_read(daemon);

        daemon->read_bytes = strlen(log);
        free(log);
}

void daemon_expect(struct daemon *daemon, const char *text) {
        uint64_t patience_ns = slipring_in_ms(PATIENCE_MS);
        char *log, *found, *end;

        for (;;) {
                log = log_read(daemon);
                found = strstr(log + daemon->read_bytes, text);
                end = found ? strchr(found, '\n') : NULL;
                if (end) {
                        daemon->read_bytes = (size_t) (end + 1 - log);
                        free(log);
                        return;
                }
                if (slipring_now_ns() > patience_ns) {
                        (void) fprintf(stderr, "%s\n", log + daemon->read_bytes);
                        free(log);
                        fail_msg("not logged after byte %zu: %s", daemon->read_bytes, text);
                }
                free(log);
                rest_a_little();
        }
}

void daemon_signal(const struct daemon *daemon, int signal_number) {
        assert_true(daemon->pid > 0);
        assert_int_equal(kill(daemon->pid, signal_number), 0);
}

int daemon_wait(struct daemon *daemon) {
        pid_t pid = daemon->pid;

        daemon->pid = 0;
        return process_wait(pid);
}

int daemon_stop(struct daemon *daemon, int signal_number) {
        daemon_signal(daemon, signal_number);
        return daemon_wait(daemon);
}

void daemon_kill(struct daemon *daemon) {
        assert_int_equal(daemon_stop(daemon, SIGKILL), 128 + SIGKILL);
}

/* --- looking --- */

struct layout_entry daemon_entry(const struct daemon *daemon, const char *topic) {
        struct directory directory;
        struct directory_table table = {0};
        struct slipring_error error = {0};
        const struct layout_entry *found;
        struct layout_entry entry;

        if (directory_attach(&directory, daemon->user, daemon->bus, &error) < 0 ||
            directory_read(&directory, &table, &error) < 0) {
                fail_msg("%s", error.text);
        }
        found = directory_find(&table, topic);
        if (!found) {
                fail_msg("bus %s has no topic '%s'", daemon->bus, topic);
        }
        entry = *found;
        directory_table_free(&table);
        directory_detach(&directory);
        return entry;
}

bool daemon_bus_exists(const struct daemon *daemon) {
        return shmget(directory_key(daemon->user, daemon->bus), 0, 0) >= 0;
}

void daemon_await_bus(const struct daemon *daemon) {
        uint64_t patience_ns = slipring_in_ms(PATIENCE_MS);

        while (!daemon_bus_exists(daemon)) {
                assert_true(slipring_now_ns() < patience_ns);
                rest_a_little();
        }
}
