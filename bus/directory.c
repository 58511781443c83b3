#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <slipring/subscriber.h>

#include "bus/copy.h"
#include "bus/directory.h"
#include "bus/error.h"
#include "bus/trust.h"
#include "bus/wake.h"

#define DIRECTORY_MODE 0644u

key_t directory_key(uid_t uid, const char *bus) {
        uint64_t hash = UINT64_C(0xcbf29ce484222325);
        char text[128];
        const char *at;

        (void) snprintf(text, sizeof(text), "slipring:%u/%s", (unsigned) uid, bus);
        for (at = text; *at; at++) {
                hash = (hash ^ (uint8_t) *at) * UINT64_C(0x100000001b3);
        }
        hash = (hash ^ hash >> 32) & 0x7fffffff;
        return hash ? (key_t) hash : 1;
}

int directory_name_check(const char *bus, struct slipring_error *reterr) {
        size_t i, length = strlen(bus);
        bool good = length >= 1 && length <= SLIPRING_BUS_NAME_MAX && islower((unsigned char) *bus);

        for (i = 0; good && i < length; i++) {
                good = islower((unsigned char) bus[i]) || isdigit((unsigned char) bus[i]) ||
                       (bus[i] == '_' && bus[i + 1] != '_' && bus[i + 1] != '\0');
        }
        if (!good) {
                return error_set(reterr, -EINVAL,
                                 "'%.80s' is no bus name: lower-case letters, digits and single "
                                 "underscores between them, a letter first, at most %d",
                                 bus, SLIPRING_BUS_NAME_MAX);
        }
        return 0;
}

struct segment_expect directory_expect(uid_t uid, const char *bus, const char *what) {
        return (struct segment_expect){
                .what = what,
                .key = directory_key(uid, bus),
                .id = -1,
                .bytes = header_directory(0).segment_bytes,
                .uid = uid,
                /* The manager may run under any group. */
                .gid = (gid_t) -1,
                .mode = DIRECTORY_MODE,
        };
}

int directory_attach(struct directory *ret_directory,
                     uid_t uid,
                     const char *bus,
                     struct slipring_error *reterr) {
        struct directory directory = {.segment = SEGMENT_NONE, .manager_uid = uid};
        struct segment_expect expect;
        char what[128];
        int r;

        (void) snprintf(what, sizeof(what), "bus '%s' of %s", bus, error_user(uid));
        (void) snprintf(directory.bus, sizeof(directory.bus), "%s", bus);
        expect = directory_expect(uid, bus, what);
        r = segment_attach(&directory.segment, &expect, false, reterr);
        if (r == -ENOENT) {
                return error_set(
                        reterr, r,
                        "there is no %s; start it with 'slipring up FILE', or list the buses "
                        "with 'slipring list --all-buses'",
                        what);
        }
        if (r == 0) {
                r = header_read(&directory.header, directory.segment.address,
                                directory.segment.bytes, LAYOUT_KIND_DIRECTORY, what, reterr);
        }
        if (r < 0) {
                segment_detach(&directory.segment);
                /* Gone between two looks, or not finished: to our callers it is not there. */
                return r == -EIDRM || r == -EAGAIN
                               ? error_set(reterr, -ENOENT, "%s is just coming or going", what)
                               : r;
        }
        directory.ring = header_ring(&directory.header, directory.segment.address);
        *ret_directory = directory;
        return 0;
}

void directory_full_name(const struct directory *directory, char *text, size_t bytes) {
        (void) snprintf(text, bytes, "%u/%s", (unsigned) directory->manager_uid, directory->bus);
}

void directory_detach(struct directory *directory) {
        segment_detach(&directory->segment);
        header_free(&directory->header);
}

/* --- finding --- */

static int order(const void *left, const void *right) {
        const struct directory *a = left, *b = right;
        uid_t users[TRUST_USERS_MAX];
        size_t count, rank_a = 0, rank_b = 0;
        int failed;

        count = trust_users(users, TRUST_USERS_MAX, &failed);

        while (rank_a < count && users[rank_a] != a->manager_uid) {
                rank_a++;
        }
        while (rank_b < count && users[rank_b] != b->manager_uid) {
                rank_b++;
        }
        return rank_a != rank_b ? (rank_a < rank_b ? -1 : 1) : strcmp(a->bus, b->bus);
}

/* Attach what may be a directory, and see whether the name in its table is the one its key is of.
 */
static int attach_listed(struct directory *ret_directory, key_t key, int id, uid_t cuid) {
        struct segment_expect expect = directory_expect(cuid, "", "bus");
        struct directory directory = {.segment = SEGMENT_NONE};
        struct directory_table table = {0};
        int r;

        expect.key = key;
        expect.id = id;
        r = segment_attach(&directory.segment, &expect, false, NULL);
        if (r == 0) {
                r = header_read(&directory.header, directory.segment.address,
                                directory.segment.bytes, LAYOUT_KIND_DIRECTORY, "bus", NULL);
        }
        if (r == 0) {
                directory.ring = header_ring(&directory.header, directory.segment.address);
                r = directory_read(&directory, &table, NULL);
        }
        if (r == 0) {
                memcpy(directory.bus, table.table->bus, sizeof(directory.bus));
                directory.bus[sizeof(directory.bus) - 1] = '\0';
                r = directory_key(cuid, directory.bus) == key ? 0 : -ENOENT;
        }
        directory_table_free(&table);
        if (r < 0) {
                directory_detach(&directory);
                return r;
        }
        directory.manager_uid = cuid;
        *ret_directory = directory;
        return 0;
}

/* What says nothing about a bus, but that this process can look at no more. */
static bool out_of_resources(int r) {
        return r == -ENOMEM || r == -EMFILE || r == -ENFILE || r == -EIO;
}

static void directories_free(struct directory *directories, size_t count) {
        size_t i;

        for (i = 0; i < count; i++) {
                directory_detach(&directories[i]);
        }
        free(directories);
}

int directory_list(struct directory **ret_directories, size_t *ret_count) {
        const uint64_t bytes = header_directory(0).segment_bytes;
        struct directory *directories = NULL, *larger;
        unsigned long long size;
        unsigned uid, gid, cuid;
        size_t count = 0;
        char line[512];
        int key, id, r = 0;
        FILE *list;

        list = fopen("/proc/sysvipc/shm", "re");
        if (!list) {
                return -errno;
        }
        while (fgets(line, sizeof(line), list)) {
                if (sscanf(line, "%d %d %*o %llu %*d %*d %*u %u %u %u", &key, &id, &size, &uid,
                           &gid, &cuid) != 6 ||
                    size != bytes) {
                        continue;
                }
                larger = realloc(directories, (count + 1) * sizeof(*larger));
                if (!larger) {
                        r = -ENOMEM;
                        break;
                }
                directories = larger;
                r = attach_listed(&directories[count], key, id, (uid_t) cuid);
                if (r == 0) {
                        count++;
                }
                if (out_of_resources(r)) {
                        break;
                }
        }
        if (ferror(list)) {
                r = -EIO;
        }
        (void) fclose(list);
        if (out_of_resources(r)) {
                directories_free(directories, count);
                return r;
        }
        if (count > 1) {
                qsort(directories, count, sizeof(*directories), order);
        }
        *ret_directories = directories;
        *ret_count = count;
        return 0;
}

/* The only bus there is. */
static int locate_only(struct directory *ret_directory, struct slipring_error *reterr) {
        struct directory *all = NULL;
        size_t count = 0, i, at = 0;
        char names[320] = "";
        int r;

        r = directory_list(&all, &count);
        if (r < 0) {
                return error_set(reterr, r, "cannot look for buses in /proc/sysvipc/shm (%s)%s",
                                 strerror(-r), error_remedy(r));
        }
        if (count == 1) {
                *ret_directory = all[0];
                free(all);
                return 0;
        }
        for (i = 0; i < count; i++) {
                if (at < sizeof(names)) {
                        at += (size_t) snprintf(names + at, sizeof(names) - at, "%s%s/%s",
                                                i ? ", " : "", error_user(all[i].manager_uid),
                                                all[i].bus);
                }
        }
        directories_free(all, count);
        if (count == 0) {
                return error_set(
                        reterr, -ENOENT,
                        "there is no bus that this user can read; start one with 'slipring "
                        "up FILE'");
        }
        return error_set(reterr, -ENOTUNIQ,
                         "several buses are there (%s): name one with -b or SLIPRING_BUS", names);
}

static int locate_of_user(struct directory *ret_directory,
                          const char *name,
                          size_t user_length,
                          struct slipring_error *reterr) {
        char user[64];
        uid_t uid;
        int r;

        if (user_length >= sizeof(user)) {
                return error_set(reterr, -EINVAL, "'%.80s': the user's name is too long", name);
        }
        memcpy(user, name, user_length);
        user[user_length] = '\0';
        r = trust_find_user(user, &uid);
        if (r == -ENOENT) {
                return error_set(reterr, r, "'%.80s': there is no user '%s'", name, user);
        }
        if (r < 0) {
                return error_set(reterr, r,
                                 "'%.80s': the user database cannot be asked for '%s' (%s)%s", name,
                                 user, strerror(-r), error_remedy(r));
        }
        return directory_attach(ret_directory, uid, name + user_length + 1, reterr);
}

int directory_locate(struct directory *ret_directory,
                     const char *name,
                     struct slipring_error *reterr) {
        struct slipring_error error = {0}, first = {0};
        uid_t users[TRUST_USERS_MAX];
        size_t count, i;
        const char *slash;
        int r, failed;

        if (!name || !*name) {
                name = secure_getenv("SLIPRING_BUS");
        }
        if (!name || !*name) {
                return locate_only(ret_directory, reterr);
        }
        slash = strchr(name, '/');
        r = directory_name_check(slash ? slash + 1 : name, reterr);
        if (r < 0) {
                return r;
        }
        if (slash) {
                return locate_of_user(ret_directory, name, (size_t) (slash - name), reterr);
        }
        count = trust_users(users, TRUST_USERS_MAX, &failed);
        for (i = 0; i < count; i++) {
                r = directory_attach(ret_directory, users[i], name, &error);
                if (r == 0) {
                        return 0;
                }
                if (r != -ENOENT && first.code == 0) {
                        first = error;
                }
        }
        if (first.code) {
                return error_set(reterr, first.code, "%s", first.text);
        }
        if (failed < 0) {
                return error_set(reterr, failed,
                                 "bus '%s' is none of this user's or of root's, and the user "
                                 "database cannot be asked for other trusted users (%s)%s",
                                 name, strerror(-failed), error_remedy(failed));
        }
        return error_set(
                reterr, -ENOENT,
                "there is no bus '%s'; start it with 'slipring up FILE', or list the buses "
                "with 'slipring list --all-buses'",
                name);
}

bool directory_locate_up(struct directory *ret_directory, const char *name) {
        struct directory directory;

        if (directory_locate(&directory, name, NULL) < 0) {
                return false;
        }
        if (ring_retired(&directory.ring)) {
                directory_detach(&directory);
                return false;
        }
        *ret_directory = directory;
        return true;
}

/* --- reading --- */

static int table_reserve(struct directory_table *table, uint32_t bytes) {
        struct layout_table *larger = realloc(table->table, bytes);

        if (!larger) {
                return -ENOMEM;
        }
        table->table = larger;
        table->entries = (struct layout_entry *) (void *) (larger + 1);
        return 0;
}

/* Entries are the manager's own, in a segment that nobody else can write: what is wrong here is not
 * malice, but it must not crash a client either. */
static int table_check(struct directory_table *table, uint32_t bytes) {
        struct layout_entry *entry;
        uint32_t i;

        if (bytes < sizeof(struct layout_table) ||
            table->table->entry_bytes != sizeof(struct layout_entry) ||
            table->table->entry_count > LAYOUT_ENTRIES_MAX ||
            bytes != sizeof(struct layout_table) +
                             table->table->entry_count * sizeof(struct layout_entry)) {
                return -EBADMSG;
        }
        table->count = table->table->entry_count;
        table->table->bus[sizeof(table->table->bus) - 1] = '\0';
        for (i = 0; i < table->count; i++) {
                entry = &table->entries[i];
                entry->name[sizeof(entry->name) - 1] = '\0';
                entry->type_name[sizeof(entry->type_name) - 1] = '\0';
                entry->description[sizeof(entry->description) - 1] = '\0';
        }
        return 0;
}

int directory_read(const struct directory *directory,
                   struct directory_table *table,
                   struct slipring_error *reterr) {
        struct ring_reader reader = {.ring = directory->ring, .next = 1};
        struct ring_view view;
        int tries = RING_TRIES_NEWEST, r;

        do {
                r = ring_reader_newest(&reader, &view, &tries);
                if (r == 0) {
                        return error_set(reterr, -ENOENT, "bus '%s' is not finished yet",
                                         directory->bus);
                }
                if (r < 0) {
                        return error_set(reterr, r,
                                         r == -EAGAIN ? "bus '%s': its directory changes too fast"
                                                      : "bus '%s': its directory is corrupt",
                                         directory->bus);
                }
                r = table_reserve(table,
                                  view.payload_bytes + (uint32_t) sizeof(struct layout_table));
                if (r < 0) {
                        return error_set(reterr, r, "bus '%s': no memory for its directory",
                                         directory->bus);
                }
                copy_from_slot(table->table, view.payload, view.payload_bytes);
        } while (!ring_reader_validate(&view));
        table->sequence = view.sequence;
        if (table_check(table, view.payload_bytes) < 0) {
                return error_set(reterr, -EBADMSG, "bus '%s': its directory is corrupt",
                                 directory->bus);
        }
        return 0;
}

void directory_table_free(struct directory_table *table) {
        free(table->table);
        *table = (struct directory_table){0};
}

const struct layout_entry *directory_find(const struct directory_table *table, const char *topic) {
        uint32_t i;

        for (i = 0; i < table->count; i++) {
                if (table->entries[i].kind == LAYOUT_ENTRY_TOPIC &&
                    table->entries[i].state == LAYOUT_ENTRY_SERVING &&
                    strcmp(table->entries[i].name, topic) == 0) {
                        return &table->entries[i];
                }
        }
        return NULL;
}

int directory_wait(const struct directory *directory, uint64_t sequence, uint64_t deadline_ns) {
        const struct ring *ring = &directory->ring;
        /* wake.word: pairs with the manager's commit. There is no asleep flag: it always wakes. */
        uint32_t word = atomic_load_explicit(&ring->words->wake, memory_order_acquire);
        int r;

        if (ring_retired(ring)) {
                return -EIDRM;
        }
        /* head.publish: pairs with the manager's commit. */
        if (atomic_load_explicit(&ring->words->head, memory_order_acquire) != sequence) {
                return 0;
        }
        r = wake_sleep(&(struct wake_item){.word = &ring->words->wake, .expected = word},
                       wake_bound(deadline_ns));
        if (r == -ETIMEDOUT && slipring_now_ns() < deadline_ns) {
                return ring_retired(ring) ? -EIDRM : 0;
        }
        return r < 0 ? r : 0;
}
