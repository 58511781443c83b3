#ifndef SLIPRING_TESTS_COMMAND_H
#define SLIPRING_TESTS_COMMAND_H

/*
 * The real `slipring`, run as a child process, and what it said.
 *
 * Its path is in SLIPRING_COMMAND, which meson sets.
 */

#include "tests/harness/harness.h"
#include "tests/harness/user.h"

/* What a command has said so far; texts are NUL-terminated. */
struct command {
        pid_t pid;
        int out_fd, err_fd;
        char *out, *err;
        size_t out_bytes, err_bytes;
        int code; /* exit status, 128 + signal if it was killed */
};

/* Start one; arguments after the program's name, the last one NULL. */
void command_start(struct command *command, const char *const *arguments);
/* The same as another user, in its own group or in others, if this one may. */
void command_start_user(struct command *command,
                        const struct user *user,
                        const char *const *arguments);
void command_start_as(struct command *command, uid_t uid, const char *const *arguments);
/* The same on a new terminal of that size: what the terminal gets is its output. */
void command_start_on_terminal(struct command *command,
                               unsigned short columns,
                               unsigned short rows,
                               const char *const *arguments);
/* What a terminal gets from those who fill it, and from those who give it back. */
#define TERMINAL_ENTER "\033[?1049h"
#define TERMINAL_LEAVE "\033[?25h\033[?1049l"
/* Type on that terminal. */
void command_type(const struct command *command, const char *keys);
/* Forget what it said so far. */
void command_forget(struct command *command);
/* Read until a text has come; fails the test after 20 s. */
void command_await_out(struct command *command, const char *text);
void command_await_err(struct command *command, const char *text);
/* Read to the end. */
void command_finish(struct command *command);
/* Send a signal and read to the end. */
void command_stop(struct command *command, int signal);
void command_free(struct command *command);

/* Start one with these arguments and read to the end. */
#define command_run(command, ...)                                                                  \
        do {                                                                                       \
                command_start((command), (const char *const[]){__VA_ARGS__, NULL});                \
                command_finish(command);                                                           \
        } while (0)

/* Assertions that show all the command said where they fail. */
void command_expect_code(const struct command *command, int code);
void command_expect_out(const struct command *command, const char *text);
void command_expect_err(const struct command *command, const char *text);
void command_expect_out_has(const struct command *command, const char *text);
void command_expect_err_has(const struct command *command, const char *text);
void command_expect_out_lacks(const struct command *command, const char *text);
/* Each line of it, or all of it, is JSON, as python3 -m json.tool has it. */
void command_expect_json(const struct command *command, bool each_line);

/* A message with one field of every shape. */
struct reading {
        int32_t sec;
        uint32_t nanosec;
        double x, y;
        float values[3];
        uint8_t status;
        uint8_t pad0[3];
        uint8_t flags[200];
};

extern const struct slipring_type reading_type;

/* A topic of it: 10 Hz, stale after 300 ms, for this user. */
struct topic_spec reading_topic(const char *name, uint32_t depth);
/* A bus with two of them: imu, of that depth, and gps. */
void reading_bus_start(struct bus *bus, uint32_t depth);
struct reading reading_make(unsigned number);
/* A process that publishes readings to the topic every @period_ms; once its first is there. */
pid_t reading_publish(const char *topic, unsigned period_ms);

#endif
