#include <errno.h>
#include <grp.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "tests/harness/user.h"

void user_needed(void) {
        if (geteuid() != 0) {
                (void) fprintf(stderr, "SKIPPED: only root can become other users\n");
                exit(77);
        }
}

int user_become(const struct user *user) {
        /* Whoever acts as another user becomes root first. */
        if ((geteuid() != 0 && seteuid(0) < 0) ||
            setgroups(user->also ? 1 : 0, user->also ? &user->also : NULL) < 0 ||
            setresgid(user->gid, user->gid, user->gid) < 0 ||
            setresuid(user->uid, user->uid, user->uid) < 0) {
                return -errno;
        }
        /* A change of user clears both. Without the second nothing under /proc/self is its own, and
         * an attack by way of it would fail for the wrong reason. */
        (void) prctl(PR_SET_PDEATHSIG, SIGKILL);
        (void) prctl(PR_SET_DUMPABLE, 1);
        return 0;
}

struct start {
        const struct user *user;
        int (*run)(void *);
        void *argument;
};

static int start_run(void *argument) {
        const struct start *start = argument;

        return user_become(start->user) < 0 ? 126 : start->run(start->argument);
}

pid_t user_start(const struct user *user, int (*run)(void *), void *argument) {
        /* The child has its own copy. */
        struct start start = {.user = user, .run = run, .argument = argument};

        return process_start(start_run, &start);
}

void user_kill(pid_t pid) {
        uid_t uid = geteuid();

        assert_int_equal(seteuid(0), 0);
        process_kill(pid);
        assert_int_equal(seteuid(uid), 0);
}

void user_act(uid_t uid, gid_t gid) {
        assert_int_equal(setgroups(0, NULL), 0);
        assert_int_equal(setegid(gid), 0);
        assert_int_equal(seteuid(uid), 0);
}

void user_act_root(void) {
        assert_int_equal(seteuid(0), 0);
        assert_int_equal(setegid(0), 0);
}
