#include <errno.h>
#include <poll.h>
#include <pty.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <slipring/publisher.h>
#include <slipring/subscriber.h>

#include "tests/harness/command.h"

#define ARGUMENTS_MAX 32
#define PATIENCE_NS UINT64_C(20000000000)

/* --- processes --- */

static void run(const struct user *user, const char *const *arguments) {
        const char *argv[ARGUMENTS_MAX] = {"slipring"};
        const char *path = getenv("SLIPRING_COMMAND");
        size_t i;

        for (i = 0; arguments[i] && i < ARGUMENTS_MAX - 2; i++) {
                argv[i + 1] = arguments[i];
        }
        (void) prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (user && user_become(user) < 0) {
                _exit(127);
        }
        execv(path ? path : "slipring", (char *const *) (uintptr_t) argv);
        _exit(127);
}

void command_start_user(struct command *command,
                        const struct user *user,
                        const char *const *arguments) {
        int out[2], err[2];

        *command = (struct command){.code = -1};
        assert_int_equal(pipe(out), 0);
        assert_int_equal(pipe(err), 0);
        (void) fflush(NULL);
        command->pid = fork();
        assert_true(command->pid >= 0);
        if (command->pid == 0) {
                (void) dup2(out[1], STDOUT_FILENO);
                (void) dup2(err[1], STDERR_FILENO);
                (void) close(out[0]);
                (void) close(out[1]);
                (void) close(err[0]);
                (void) close(err[1]);
                run(user, arguments);
        }
        (void) close(out[1]);
        (void) close(err[1]);
        command->out_fd = out[0];
        command->err_fd = err[0];
        command->out = calloc(1, 1);
        command->err = calloc(1, 1);
        assert_non_null(command->out);
        assert_non_null(command->err);
}

void command_start(struct command *command, const char *const *arguments) {
        command_start_user(command, NULL, arguments);
}

void command_start_as(struct command *command, uid_t uid, const char *const *arguments) {
        const struct user user = {.uid = uid, .gid = uid};

        command_start_user(command, &user, arguments);
}

void command_start_on_terminal(struct command *command,
                               unsigned short columns,
                               unsigned short rows,
                               const char *const *arguments) {
        struct winsize size = {.ws_row = rows, .ws_col = columns};

        *command = (struct command){.code = -1, .err_fd = -1};
        (void) fflush(NULL);
        command->pid = forkpty(&command->out_fd, NULL, NULL, &size);
        assert_true(command->pid >= 0);
        if (command->pid == 0) {
                (void) setenv("TERM", "xterm", 1);
                (void) unsetenv("NO_COLOR");
                run(NULL, arguments);
        }
        command->out = calloc(1, 1);
        command->err = calloc(1, 1);
        assert_non_null(command->out);
        assert_non_null(command->err);
}

void command_type(const struct command *command, const char *keys) {
        assert_int_equal(write(command->out_fd, keys, strlen(keys)), (ssize_t) strlen(keys));
}

void command_forget(struct command *command) {
        command->out_bytes = 0;
        command->out[0] = '\0';
}

/* Append what can be read; closes the descriptor at its end. */
static void drain(int *fd, char **text, size_t *bytes) {
        char buffer[65536];
        ssize_t got = read(*fd, buffer, sizeof(buffer));

        if (got <= 0) {
                (void) close(*fd);
                *fd = -1;
                return;
        }
        *text = realloc(*text, *bytes + (size_t) got + 1);
        assert_non_null(*text);
        memcpy(*text + *bytes, buffer, (size_t) got);
        *bytes += (size_t) got;
        (*text)[*bytes] = '\0';
}

/* Returns false at the end of both. */
static bool drain_some(struct command *command) {
        struct pollfd fds[2] = {{.fd = command->out_fd, .events = POLLIN},
                                {.fd = command->err_fd, .events = POLLIN}};

        if (command->out_fd < 0 && command->err_fd < 0) {
                return false;
        }
        (void) poll(fds, 2, 100);
        if (fds[0].revents) {
                drain(&command->out_fd, &command->out, &command->out_bytes);
        }
        if (fds[1].revents) {
                drain(&command->err_fd, &command->err, &command->err_bytes);
        }
        return true;
}

static void show(const struct command *command) {
        print_message("exit code %d\nstandard output:\n%s\nstandard error:\n%s\n", command->code,
                      command->out, command->err);
}

static void await(struct command *command, char *const *text, const char *wanted) {
        uint64_t until = slipring_now_ns() + PATIENCE_NS;

        while (!strstr(*text, wanted)) {
                if (!drain_some(command) || slipring_now_ns() > until) {
                        show(command);
                        process_kill(command->pid);
                        fail_msg("'%s' did not come", wanted);
                }
        }
}

void command_await_out(struct command *command, const char *text) {
        await(command, &command->out, text);
}

void command_await_err(struct command *command, const char *text) {
        await(command, &command->err, text);
}

void command_finish(struct command *command) {
        while (drain_some(command)) {
                /* until both ends are closed */
        }
        command->code = process_wait(command->pid);
}

void command_stop(struct command *command, int signal) {
        uint64_t until = slipring_now_ns() + PATIENCE_NS;

        assert_int_equal(kill(command->pid, signal), 0);
        while (drain_some(command)) {
                if (slipring_now_ns() > until) {
                        show(command);
                        process_kill(command->pid);
                        fail_msg("signal %d did not end it; is it ignored?", signal);
                }
        }
        command->code = process_wait(command->pid);
}

void command_free(struct command *command) {
        free(command->out);
        free(command->err);
        *command = (struct command){0};
}

/* --- what it said --- */

void command_expect_code(const struct command *command, int code) {
        if (command->code != code) {
                show(command);
                fail_msg("exit code %d instead of %d", command->code, code);
        }
}

static void expect_equal(const struct command *command, const char *text, const char *wanted) {
        if (strcmp(text, wanted) != 0) {
                show(command);
                assert_string_equal(text, wanted);
        }
}

void command_expect_out(const struct command *command, const char *text) {
        expect_equal(command, command->out, text);
}

void command_expect_err(const struct command *command, const char *text) {
        expect_equal(command, command->err, text);
}

static void
expect_has(const struct command *command, const char *text, const char *wanted, bool has) {
        if ((strstr(text, wanted) != NULL) != has) {
                show(command);
                fail_msg("'%s' is %s", wanted, has ? "missing" : "there");
        }
}

void command_expect_out_has(const struct command *command, const char *text) {
        expect_has(command, command->out, text, true);
}

void command_expect_err_has(const struct command *command, const char *text) {
        expect_has(command, command->err, text, true);
}

void command_expect_out_lacks(const struct command *command, const char *text) {
        expect_has(command, command->out, text, false);
}

void command_expect_json(const struct command *command, bool each_line) {
        FILE *python = popen(each_line ? "python3 -m json.tool --json-lines >/dev/null"
                                       : "python3 -m json.tool >/dev/null",
                             "w");

        assert_non_null(python);
        (void) fputs(command->out, python);
        if (pclose(python) != 0 || command->out_bytes == 0) {
                show(command);
                fail_msg("not JSON");
        }
}

/* --- messages --- */

static const struct slipring_field reading_fields[] = {
        {"stamp", "", SLIPRING_KIND_TIME, 0, 0, 8, 0, 0},
        {"position", "", SLIPRING_KIND_STRUCT, 0, 8, 16, 6, 2},
        {"values", "V", SLIPRING_KIND_FLOAT32, 3, 24, 4, 0, 0},
        {"status", "", SLIPRING_KIND_UINT8, 0, 36, 1, 0, 0},
        {"pad0", "", SLIPRING_KIND_UINT8, 3, 37, 1, 0, 0},
        {"flags", "", SLIPRING_KIND_UINT8, 200, 40, 1, 0, 0},
        {"x", "m", SLIPRING_KIND_FLOAT64, 0, 0, 8, 0, 0},
        {"y", "m", SLIPRING_KIND_FLOAT64, 0, 8, 8, 0, 0},
};

const struct slipring_type reading_type = {
        .version = SLIPRING_TYPE_VERSION,
        .payload_bytes = sizeof(struct reading),
        .field_count = 8,
        .root_count = 6,
        .identity = {7},
        .name = "test_msgs/msg/Reading",
        .text = "builtin_interfaces/Time stamp\n",
        .fields = reading_fields,
};

struct topic_spec reading_topic(const char *name, uint32_t depth) {
        struct topic_spec spec = topic_of(name, depth);

        spec.type = &reading_type;
        spec.description = "a reading";
        spec.rate_hz = 10;
        spec.deadline_ns = 300000000;
        return spec;
}

void reading_bus_start(struct bus *bus, uint32_t depth) {
        const struct topic_spec specs[] = {reading_topic("imu", depth), reading_topic("gps", 4)};

        bus_start(bus, specs, 2);
}

struct reading reading_make(unsigned number) {
        struct timespec now;
        struct reading reading;

        memset(&reading, 0, sizeof(reading));
        (void) clock_gettime(CLOCK_REALTIME, &now);
        reading.sec = (int32_t) now.tv_sec;
        reading.nanosec = (uint32_t) now.tv_nsec;
        reading.x = number;
        reading.y = 0.5;
        reading.values[0] = 0.1f;
        reading.status = (uint8_t) number;
        return reading;
}

struct publishing {
        const char *topic;
        unsigned period_ms;
        int ready_fd;
};

static int publish_run(void *argument) {
        const struct publishing *publishing = argument;
        const struct timespec period = {.tv_nsec = (long) publishing->period_ms * 1000000};
        struct slipring_publisher *publisher = NULL;
        struct reading reading;
        unsigned number;

        /* A test that fails does not come to kill it. */
        (void) prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (slipring_publisher_open(&publisher, publishing->topic, NULL, NULL) < 0) {
                return 1;
        }
        for (number = 1;; number++) {
                reading = reading_make(number);
                if (slipring_publisher_publish(publisher, &reading, sizeof(reading), 0) < 0) {
                        return 2;
                }
                if (number == 1 && write(publishing->ready_fd, "1", 1) != 1) {
                        return 3;
                }
                (void) nanosleep(&period, NULL);
        }
}

pid_t reading_publish(const char *topic, unsigned period_ms) {
        struct publishing publishing = {.topic = topic, .period_ms = period_ms};
        int ready[2];
        char byte;
        pid_t pid;

        assert_int_equal(pipe(ready), 0);
        publishing.ready_fd = ready[1];
        pid = process_start(publish_run, &publishing);
        (void) close(ready[1]);
        if (read(ready[0], &byte, 1) != 1) {
                process_kill(pid);
                fail_msg("topic '%s' cannot be published", topic);
        }
        (void) close(ready[0]);
        return pid;
}
