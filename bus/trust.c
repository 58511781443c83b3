/*
 * Whose shared memory to believe. Anyone may create a segment under any key first, and may even set
 * its owner to somebody else; the creator's uid alone cannot be forged.
 */

#include <errno.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bus/error.h"
#include "bus/trust.h"

int trust_find_user(const char *name, uid_t *ret_uid) {
        char buffer[4096], *end;
        struct passwd entry, *found = NULL;
        unsigned long number;
        int code;

        code = getpwnam_r(name, &entry, buffer, sizeof(buffer), &found);
        if (code == 0 && found) {
                *ret_uid = found->pw_uid;
                return 0;
        }
        if (code == EMFILE || code == ENFILE || code == ENOMEM || code == EIO) {
                /* All else is one of many ways to say that there is none. */
                return -code;
        }
        if (*name < '0' || *name > '9') {
                return -ENOENT;
        }
        errno = 0;
        number = strtoul(name, &end, 10);
        if (errno || *end || number >= (unsigned long) (uid_t) -1) {
                return -ENOENT;
        }
        *ret_uid = (uid_t) number;
        return 0;
}

static size_t add(uid_t *users, size_t count, size_t capacity, uid_t uid) {
        size_t i;

        for (i = 0; i < count; i++) {
                if (users[i] == uid) {
                        return count;
                }
        }
        if (count < capacity) {
                users[count++] = uid;
        }
        return count;
}

/* The user of a name, if there is one. */
static size_t
add_found(uid_t *users, size_t count, size_t capacity, const char *name, int *failed) {
        uid_t uid;
        int r;

        r = trust_find_user(name, &uid);
        if (r == 0) {
                return add(users, count, capacity, uid);
        }
        if (r != -ENOENT) {
                *failed = r;
        }
        return count;
}

static size_t
add_named(uid_t *users, size_t count, size_t capacity, const char *list, int *failed) {
        char text[1024], *name, *rest = text;

        if (strlen(list) >= sizeof(text)) {
                return count;
        }
        strcpy(text, list);
        while ((name = strsep(&rest, ","))) {
                if (*name) {
                        count = add_found(users, count, capacity, name, failed);
                }
        }
        return count;
}

size_t trust_users(uid_t *ret_users, size_t capacity, int *ret_failed) {
        const char *list = secure_getenv("SLIPRING_TRUST");
        size_t count = 0;

        *ret_failed = 0;
        count = add(ret_users, count, capacity, geteuid());
        count = add_found(ret_users, count, capacity, TRUST_SYSTEM_USER, ret_failed);
        count = add(ret_users, count, capacity, 0);
        return list ? add_named(ret_users, count, capacity, list, ret_failed) : count;
}

int trust_creator(
        uid_t cuid, const char *what, key_t key, char kind, int id, struct slipring_error *reterr) {
        const char *object = kind == 'm' ? "segment" : "semaphore set";
        uid_t users[TRUST_USERS_MAX];
        size_t i, count;
        int failed;

        if (cuid == 0 || cuid == geteuid()) {
                return 0;
        }
        count = trust_users(users, TRUST_USERS_MAX, &failed);
        for (i = 0; i < count; i++) {
                if (users[i] == cuid) {
                        return 0;
                }
        }
        if (failed < 0) {
                return error_set(reterr, failed,
                                 "%s: uid %u created its %s, and the user database cannot be asked "
                                 "whether that is a trusted user (%s)%s",
                                 what, (unsigned) cuid, object, strerror(-failed),
                                 error_remedy(failed));
        }
        return error_set(reterr, -EPERM,
                         "%s: key 0x%08x belongs to a %s that %s created, who is not trusted; name "
                         "that user in SLIPRING_TRUST if it should be, or have root remove it "
                         "('ipcrm -%c %d')",
                         what, (unsigned) key, object, error_user(cuid), kind, id);
}
