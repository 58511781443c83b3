/*
 * Access: who owns a topic, which group reads it, under which mode.
 */

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "schema/loader.h"
#include "schema/value.h"

/* The system user that services run as, and the group that its buses are readable for. */
#define SYSTEM_USER "slipring"
#define SYSTEM_GROUP "slipring"

/**
 * struct principal - a user or group that was looked up
 * @next:       the one before it
 * @name:       its name
 * @group:      a group, not a user
 * @known:      this machine has it
 * @id:         its number, if @known
 *
 * 2,000 topics name a handful of users, and a lookup may ask a server.
 */
struct principal {
        struct principal *next;
        const char *name;
        bool group;
        bool known;
        uint32_t id;
};

/* Asks the system's databases, with as much room as an entry needs. */
static int user_find(const char *name, uid_t uid, struct passwd *ret_user, char **ret_room) {
        size_t bytes = 1024;

        for (;; bytes *= 2) {
                struct passwd *found = NULL;
                char *room;
                int r;

                room = malloc(bytes);
                if (!room) {
                        return -ENOMEM;
                }
                r = name ? getpwnam_r(name, ret_user, room, bytes, &found)
                         : getpwuid_r(uid, ret_user, room, bytes, &found);
                if (found) {
                        *ret_room = room;
                        return 1;
                }
                free(room);
                if (r != ERANGE || bytes > 1024 * 1024) {
                        return 0;
                }
        }
}

static int group_find(const char *name, gid_t gid, struct group *ret_group, char **ret_room) {
        size_t bytes = 1024;

        for (;; bytes *= 2) {
                struct group *found = NULL;
                char *room;
                int r;

                room = malloc(bytes);
                if (!room) {
                        return -ENOMEM;
                }
                r = name ? getgrnam_r(name, ret_group, room, bytes, &found)
                         : getgrgid_r(gid, ret_group, room, bytes, &found);
                if (found) {
                        *ret_room = room;
                        return 1;
                }
                free(room);
                if (r != ERANGE || bytes > 1024 * 1024) {
                        return 0;
                }
        }
}

static int principal_find(struct principal *principal) {
        struct passwd user;
        struct group group;
        char *room = NULL;
        int r;

        if (principal->group) {
                r = group_find(principal->name, 0, &group, &room);
                principal->id = r > 0 ? group.gr_gid : 0;
        } else {
                r = user_find(principal->name, 0, &user, &room);
                principal->id = r > 0 ? user.pw_uid : 0;
        }
        free(room);
        principal->known = r > 0;
        return r < 0 ? r : 0;
}

static int principal_get(const struct principal **ret_principal,
                         struct loader *loader,
                         const char *name,
                         bool group) {
        struct principal *principal;
        int r;

        for (principal = loader->principals; principal; principal = principal->next) {
                if (principal->group == group && !strcmp(principal->name, name)) {
                        *ret_principal = principal;
                        return 0;
                }
        }
        principal = arena_alloc(loader->arena, 1, sizeof(*principal));
        if (!principal) {
                return -ENOMEM;
        }
        *principal = (struct principal){
                .next = loader->principals,
                .name = name,
                .group = group,
        };
        r = principal_find(principal);
        if (r < 0) {
                return r;
        }
        loader->principals = principal;
        *ret_principal = principal;
        return 0;
}

/* Reads "owner" or "group". Sets nothing where a mistake was reported or the key is missing. */
static int principal_read(const struct principal **ret_principal,
                          struct loader *loader,
                          const struct node *mapping,
                          bool group) {
        const char *key = group ? "group" : "owner";
        const struct node *value = node_get(mapping, key);
        const struct principal *principal = NULL;
        int r;

        *ret_principal = NULL;
        if (!value || !value_is(loader, value, NODE_TEXT, key)) {
                return 0;
        }
        r = principal_get(&principal, loader, value->text, group);
        if (r < 0) {
                return r;
        }
        if (!principal->known) {
                loader_error(loader, value, "%s '%.64s' is not a %s of this machine", key,
                             value->text, group ? "group" : "user");
                return 0;
        }
        *ret_principal = principal;
        return 0;
}

static void mode_read(mode_t *mode, struct loader *loader, const struct node *mapping) {
        const struct node *value = node_get(mapping, "mode");
        const char *problem;
        uint32_t bits = 0;

        if (!value || !value_is(loader, value, NODE_TEXT, "mode")) {
                return;
        }
        problem = value_mode(value->text, &bits);
        if (problem) {
                loader_error(loader, value, "mode '%.64s' %s", value->text, problem);
                return;
        }
        *mode = bits;
}

int access_read(struct access *access, struct loader *loader, const struct node *mapping) {
        const struct principal *owner, *group;
        int r;

        r = principal_read(&owner, loader, mapping, false);
        if (r < 0) {
                return r;
        }
        r = principal_read(&group, loader, mapping, true);
        if (r < 0) {
                return r;
        }
        if (owner) {
                access->owner = owner->id;
                access->owner_name = owner->name;
        }
        if (group) {
                access->group = group->id;
                access->group_name = group->name;
        }
        mode_read(&access->mode, loader, mapping);
        return 0;
}

/* The group of the system's own buses, which is not the primary group of the user that runs them:
 * that one has no members, so that nobody gets its bits by accident. Without it there is no
 * default, and a topic that needs one says so. */
static int fallback_system_group(struct loader *loader) {
        const struct principal *principal = NULL;
        int r;

        r = principal_get(&principal, loader, SYSTEM_GROUP, true);
        if (r < 0) {
                return r;
        }
        loader->fallback.group_name = principal->known ? principal->name : NULL;
        loader->fallback.group = principal->known ? principal->id : (gid_t) -1;
        return 0;
}

static int fallback_group_name(struct loader *loader) {
        struct group group;
        char *room = NULL;
        int r;

        r = group_find(NULL, loader->fallback.group, &group, &room);
        if (r < 0) {
                return r;
        }
        loader->fallback.group_name =
                r > 0 ? arena_copy(loader->arena, group.gr_name, strlen(group.gr_name))
                      : arena_print(loader->arena, "%u", loader->fallback.group);
        free(room);
        return loader->fallback.group_name ? 0 : -ENOMEM;
}

int access_fallback(struct loader *loader) {
        struct passwd user;
        char *room = NULL;
        bool system;
        int r;

        r = user_find(NULL, loader->user, &user, &room);
        if (r < 0) {
                return r;
        }
        system = r > 0 && !strcmp(user.pw_name, SYSTEM_USER);
        loader->fallback.owner = loader->user;
        /* A user without an entry, as in some containers, has this process's group at best. */
        loader->fallback.group = r > 0 ? user.pw_gid : getegid();
        loader->fallback.mode = 0640;
        loader->fallback.owner_name =
                r > 0 ? arena_copy(loader->arena, user.pw_name, strlen(user.pw_name))
                      : arena_print(loader->arena, "%u", loader->user);
        free(room);
        if (!loader->fallback.owner_name) {
                return -ENOMEM;
        }
        return system ? fallback_system_group(loader) : fallback_group_name(loader);
}
