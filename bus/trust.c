/*
 * Whose shared memory to believe. Anyone may create a segment under any key first, and may even set
 * its owner to somebody else; the creator's uid alone cannot be forged.
 */

#include <errno.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bus/trust.h"

int trust_find_user(const char *name, uid_t *ret_uid) {
        char buffer[4096], *end;
        struct passwd entry, *found = NULL;
        unsigned long number;

        if (getpwnam_r(name, &entry, buffer, sizeof(buffer), &found) == 0 && found) {
                *ret_uid = found->pw_uid;
                return 0;
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

static size_t add_named(uid_t *users, size_t count, size_t capacity, const char *list) {
        char text[1024], *name, *rest = text;
        uid_t uid;

        if (strlen(list) >= sizeof(text)) {
                return count;
        }
        strcpy(text, list);
        while ((name = strsep(&rest, ","))) {
                if (*name && trust_find_user(name, &uid) == 0) {
                        count = add(users, count, capacity, uid);
                }
        }
        return count;
}

size_t trust_users(uid_t *ret_users, size_t capacity) {
        const char *list = secure_getenv("SLIPRING_TRUST");
        size_t count = 0;
        uid_t uid;

        count = add(ret_users, count, capacity, geteuid());
        if (trust_find_user(TRUST_SYSTEM_USER, &uid) == 0) {
                count = add(ret_users, count, capacity, uid);
        }
        count = add(ret_users, count, capacity, 0);
        return list ? add_named(ret_users, count, capacity, list) : count;
}

bool trust_creator(uid_t cuid) {
        uid_t users[TRUST_USERS_MAX];
        size_t i, count;

        if (cuid == 0 || cuid == geteuid()) {
                return true;
        }
        count = trust_users(users, TRUST_USERS_MAX);
        for (i = 0; i < count; i++) {
                if (users[i] == cuid) {
                        return true;
                }
        }
        return false;
}
