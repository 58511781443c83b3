#ifndef SLIPRING_TESTS_USER_H
#define SLIPRING_TESTS_USER_H

#include "tests/harness/harness.h"

/*
 * Other users, for tests that run as root. They need no entry in the user database: to the kernel a
 * user is a number. These lie where Debian gives out none.
 */
#define USER_MANAGER 65001u  /* runs a bus as a system user does */
#define USER_OWNER 65002u    /* publishes */
#define USER_MEMBER 65003u   /* of the topics' group */
#define USER_STRANGER 65004u /* of nothing */
#define USER_OTHER 65005u
#define GROUP_TOPICS 65010u

struct user {
        uid_t uid;
        gid_t gid;
        gid_t also; /* one more group, 0 for none */
};

/* For the top of main(): exits with 77, skipped, where this process cannot become others. */
void user_needed(void);

/* Become a user for good: real, effective and saved, groups too. Returns 0, or -errno. */
int user_become(const struct user *user);

/* process_start() as another user; a child that cannot become it ends with 126. */
pid_t user_start(const struct user *user, int (*run)(void *), void *argument);
/* process_kill() for what user_start() started. */
void user_kill(pid_t pid);

/* Act as a user from here on, and as root again: what the kernel asks for is the effective id. */
void user_act(uid_t uid, gid_t gid);
void user_act_root(void);

#endif
