/*
 * Taking a bus down from outside.
 *
 * A running manager holds the bus's claim, which names its pid; SIGUSR1 tells it to remove the bus
 * and end, whatever it was told about keeping. So the right to signal a manager is the right to
 * take its bus down, and nothing needs a socket.
 */

#include <errno.h>
#include <grp.h>
#include <poll.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/sem.h>
#include <sys/shm.h>
#include <unistd.h>

#include "bus/claim.h"
#include "bus/directory.h"
#include "bus/error.h"
#include "bus/manager/takedown.h"
#include "bus/registry.h"
#include "bus/trust.h"

#define PATIENCE_MS 10000

/* --- which bus --- */

/* Some of it is there, be it readable or not. */
static bool remains(uid_t user, const char *bus) {
        key_t key = directory_key(user, bus);

        return shmget(key, 0, 0) >= 0 || semget(key, 0, 0) >= 0;
}

/* In the order in which a client looks for it. */
static uid_t whose(const char *bus) {
        uid_t users[TRUST_USERS_MAX];
        size_t count, i;
        int failed;

        count = trust_users(users, TRUST_USERS_MAX, &failed);
        for (i = 0; i < count; i++) {
                if (remains(users[i], bus)) {
                        return users[i];
                }
        }
        return geteuid();
}

/* Whose bus a name means that cannot be asked for it. */
static int parse_name(struct takedown *down, const char *name) {
        const char *slash = name ? strchr(name, '/') : NULL;
        char user[64];

        if (!name || directory_name_check(slash ? slash + 1 : name, NULL) < 0) {
                return -ENOENT;
        }
        (void) snprintf(down->bus, sizeof(down->bus), "%s", slash ? slash + 1 : name);
        if (!slash) {
                down->user = whose(down->bus);
                return 0;
        }
        if ((size_t) (slash - name) >= sizeof(user)) {
                return -EINVAL;
        }
        (void) snprintf(user, sizeof(user), "%.*s", (int) (slash - name), name);
        return trust_find_user(user, &down->user);
}

static size_t topics_count(const struct directory *directory) {
        struct directory_table table = {0};
        size_t count = 0;
        uint32_t i;

        if (directory_read(directory, &table, NULL) == 0) {
                for (i = 0; i < table.count; i++) {
                        count += table.entries[i].kind == LAYOUT_ENTRY_TOPIC &&
                                 table.entries[i].state == LAYOUT_ENTRY_SERVING;
                }
        }
        directory_table_free(&table);
        return count;
}

static int find(struct takedown *down, const char *name, struct slipring_error *reterr) {
        struct directory directory = {.segment = SEGMENT_NONE};
        int r;

        r = directory_locate(&directory, name, reterr);
        if (r == 0) {
                (void) snprintf(down->bus, sizeof(down->bus), "%s", directory.bus);
                down->user = directory.manager_uid;
                down->topics = topics_count(&directory);
                down->counted = true;
                directory_detach(&directory);
                return 0;
        }
        if (!name || !*name) {
                name = secure_getenv("SLIPRING_BUS");
        }
        /* Not finished, or not readable: whoever opens it as its manager will know more. */
        return parse_name(down, name) == 0 && remains(down->user, down->bus) ? 0 : r;
}

/* --- with its manager --- */

static pid_t manager_pid(const struct takedown *down) {
        int id = semget(directory_key(down->user, down->bus), 0, 0);
        struct semid_ds status;
        pid_t pid;

        /* Anyone can make a set of that key, and let it name any process. */
        if (id < 0 || semctl(id, 0, IPC_STAT, &status) < 0 || status.sem_perm.cuid != down->user) {
                return 0;
        }
        pid = claim_holder(id);
        return pid > 0 ? pid : 0;
}

static int manager_signal(const struct takedown *down, pid_t pid, int fd) {
        /* The process behind the descriptor is the manager only if it still is after we have it. */
        if (manager_pid(down) != pid) {
                return -ESRCH;
        }
        return pidfd_send_signal(fd, SIGUSR1, NULL, 0) < 0 ? -errno : 0;
}

static int manager_await(int fd) {
        struct pollfd process = {.fd = fd, .events = POLLIN};
        int r;

        do {
                r = poll(&process, 1, PATIENCE_MS);
        } while (r < 0 && errno == EINTR);
        return r > 0 ? 0 : -ETIMEDOUT;
}

/* Returns 1 if it did so, 0 if there is none (any more). */
static int manager_ask(struct takedown *down, struct slipring_error *reterr) {
        pid_t pid = manager_pid(down);
        int fd, r;

        fd = pid ? pidfd_open(pid, 0) : -1;
        if (fd < 0) {
                return 0;
        }
        r = manager_signal(down, pid, fd);
        if (r == 0) {
                r = manager_await(fd);
        }
        (void) close(fd);
        switch (r) {
        case 0:
                down->pid = pid;
                return !remains(down->user, down->bus);
        case -ESRCH:
                return 0;
        case -EPERM:
                return error_set(reterr, r,
                                 "bus '%s' is managed by pid %d of %s: only that user and root may "
                                 "take it down",
                                 down->bus, (int) pid, error_user(down->user));
        default:
                return error_set(reterr, r,
                                 "the manager of bus '%s', pid %d, does not end; if it is stopped "
                                 "or hangs, 'kill -9 %d' and try again",
                                 down->bus, (int) pid, (int) pid);
        }
}

/* --- without --- */

static int become(uid_t user, const char *bus, struct slipring_error *reterr) {
        struct passwd *entry;

        if (user == geteuid()) {
                return 0;
        }
        if (geteuid() != 0) {
                return error_set(reterr, -EPERM,
                                 "bus '%s' is %s's: only that user and root may take it down", bus,
                                 error_user(user));
        }
        entry = getpwuid(user);
        if (setgroups(0, NULL) < 0 || (entry && setgid(entry->pw_gid) < 0) || setuid(user) < 0) {
                return error_set(reterr, -errno, "cannot become %s (%s)", error_user(user),
                                 strerror(errno));
        }
        return 0;
}

static int remove_here(struct takedown *down, bool force, struct slipring_error *reterr) {
        struct registry *registry = NULL;
        struct slipring_error error = {0};
        int r;

        r = become(down->user, down->bus, reterr);
        if (r < 0) {
                return r;
        }
        r = registry_open(&registry, down->bus, &error);
        if (r == 0) {
                if (!down->counted) {
                        down->topics = registry_count(registry);
                        down->counted = true;
                }
                error = (struct slipring_error){0};
                (void) registry_remove(registry, &error);
                return error.code ? error_set(reterr, error.code, "%s", error.text) : 0;
        }
        if (r != -EBADMSG && r != -EPROTONOSUPPORT) {
                return error_set(reterr, r, "%s", error.text);
        }
        if (force) {
                down->forced = true;
                down->counted = true;
                return registry_salvage(down->bus, &down->topics, reterr);
        }
        return error_set(reterr, r, "%.350s; 'slipring down --force' removes what can be found",
                         error.text);
}

int takedown(struct takedown *ret_takedown,
             const char *bus,
             bool force,
             struct slipring_error *reterr) {
        struct takedown down = {0};
        int r;

        r = find(&down, bus, reterr);
        if (r == 0) {
                r = manager_ask(&down, reterr);
        }
        if (r == 0) {
                down.pid = 0;
                r = remove_here(&down, force, reterr);
        }
        if (r < 0) {
                return r;
        }
        *ret_takedown = down;
        return 0;
}
