/*
 * What may be wrong with a bus: nobody manages it, nobody publishes, something is left over, or
 * somebody else sits on its key.
 */

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/shm.h>
#include <time.h>
#include <unistd.h>

#include "bus/error.h"
#include "bus/pages.h"
#include "bus/topic.h"
#include "bus/trust.h"
#include "cli/doctor.h"
#include "cli/view.h"
#include "subscribers/look.h"

/*
 * One bus
 */

static void check_manager(struct doctor *doctor, const struct view *view) {
        char subject[200], name[32];
        pid_t pid = view_manager(view);

        snprintf(subject, sizeof(subject), "bus %s", view->bus);
        if (pid) {
                doctor_find(doctor, DOCTOR_OK, subject, NULL, "managed by %d (%s), topics: %zu",
                            (int) pid, view_process(name, pid), view->count);
        } else {
                doctor_find(doctor, DOCTOR_PROBLEM, subject,
                            "slipring up FILE takes the running bus over; slipring down removes it",
                            "no manager: nobody watches or changes its topics");
        }
}

static void check_life(struct doctor *doctor, const char *subject, const struct look *look) {
        char age[32];

        if (look->stale && look->publishers) {
                doctor_find(doctor, DOCTOR_PROBLEM, subject,
                            "look at that process: it holds the topic but does not publish in time",
                            "stale: publisher %d, %s%s", (int) look->publisher_pid,
                            look->sequence ? "last sample " : "no sample yet",
                            look->sequence ? cli_duration(age, look->age_ns) : "");
        } else if (look->stale) {
                doctor_find(doctor, DOCTOR_PROBLEM, subject, "start its publisher",
                            "stale: no publisher");
        } else if (!look->publishers) {
                doctor_find(doctor, DOCTOR_NOTE, subject,
                            "start its publisher, if it should have one", "no publisher");
        }
}

/* Topics that would rather have huge pages, and what the pool lacks for them. */
static void check_pages(struct doctor *doctor, const struct view *view) {
        uint64_t need = 0, missing;
        char subject[200], text[32];
        struct pages pages;
        size_t count = 0;

        pages_read(&pages);
        for (size_t i = 0; i < view->count; i++) {
                const struct layout_entry *entry = view->topics[i];

                if (entry->huge_pages == LAYOUT_HUGE_PAGES_TRY && !entry->page_bytes) {
                        need += pages.bytes ? pages_count(pages.bytes, entry->segment_bytes) : 0;
                        count++;
                }
        }
        /* Transparent ones it may have. */
        if (!need || pages.transparent) {
                return;
        }
        missing = need > pages.available ? need - pages.available : 0;
        snprintf(subject, sizeof(subject), "bus %s", view->bus);
        doctor_find(doctor, DOCTOR_NOTE, subject,
                    "sysctl -w, then slipring down and up again; a slipringd that is not root "
                    "needs CAP_IPC_LOCK, or a group named in vm.hugetlb_shm_group",
                    "%zu topic%s tried to get huge pages and ha%s none: they take %" PRIu64
                    " of %s, vm.nr_hugepages=%" PRIu64 " in all",
                    count, count == 1 ? "" : "s", count == 1 ? "s" : "ve", need,
                    cli_size(text, pages.bytes), pages.total + missing);
}

static void
check_topic(struct doctor *doctor, const struct view *view, const struct layout_entry *entry) {
        struct slipring_error error = {0};
        struct look look;
        char subject[480];
        int r;

        snprintf(subject, sizeof(subject), "bus %s, topic %s", view->bus, entry->name);
        r = look_at(&look, entry, &error);
        if (r == 0) {
                check_life(doctor, subject, &look);
        } else if (r == -EACCES) {
                doctor_find(doctor, DOCTOR_NOTE, subject,
                            "to read it, join its group or have the schema name another",
                            "cannot be read by this user (owner %s, group %s, mode %04o)",
                            error_user(entry->uid), view_group(entry->gid), entry->mode);
        } else if (r != -EIDRM) {
                doctor_find(doctor, DOCTOR_PROBLEM, subject,
                            "slipring up FILE, or a reload of the running manager, replaces it",
                            "%s", error.text);
        }
}

/* What a manager was about to make or to remove. */
static size_t count_unfinished(const struct view *view) {
        size_t count = 0;

        for (uint32_t i = 0; i < view->table.count; i++) {
                count += view->table.entries[i].state != LAYOUT_ENTRY_SERVING;
        }
        return count;
}

static void check_unfinished(struct doctor *doctor, struct view *view) {
        const struct timespec moment = {.tv_nsec = 300000000};
        char subject[200];
        size_t count = count_unfinished(view);

        if (count && view_manager(view)) {
                /* A living one is at it: that takes 111 ms. */
                nanosleep(&moment, NULL);
                count = view_refresh(view, NULL) == 0 ? count_unfinished(view) : 0;
        }
        if (count) {
                snprintf(subject, sizeof(subject), "bus %s", view->bus);
                doctor_find(doctor, DOCTOR_PROBLEM, subject,
                            "slipring up FILE finishes or removes them",
                            "%zu objects half made or half removed by a manager that died", count);
        }
}

static void check_bus(struct doctor *doctor, struct view *view) {
        check_unfinished(doctor, view);
        check_manager(doctor, view);
        check_pages(doctor, view);
        for (size_t i = 0; i < view->count; i++) {
                check_topic(doctor, view, view->topics[i]);
        }
}

/*
 * All segments of the machine
 */

struct listed {
        int key, id;
        uint64_t bytes;
        unsigned cuid;
};

static FILE *list_open(void) {
        return fopen("/proc/sysvipc/shm", "re");
}

static bool list_next(FILE *list, struct listed *listed) {
        unsigned long long bytes;
        char line[512];

        while (fgets(line, sizeof(line), list)) {
                if (sscanf(line, "%d %d %*o %llu %*d %*d %*u %*u %*u %u", &listed->key, &listed->id,
                           &bytes, &listed->cuid) == 4) {
                        listed->bytes = bytes;
                        return true;
                }
        }
        return false;
}

/* Does any entry of the bus name that segment? */
static bool view_names(const struct view *view, int id) {
        for (uint32_t i = 0; i < view->table.count; i++) {
                const struct layout_entry *entry = &view->table.entries[i];

                if (entry->data_id == id || entry->board_id == id ||
                    (topic_is_shared(entry) && entry->lock_id == id) ||
                    (entry->pins && entry->pin_id == id)) {
                        return true;
                }
        }
        return view->directory.segment.id == id;
}

/* Is it a topic's segment of that bus, by its header? */
static bool segment_of(const struct view *view, const struct listed *listed) {
        const struct layout_header *header;
        bool mine;

        if (listed->bytes < sizeof(*header)) {
                return false;
        }
        header = shmat(listed->id, NULL, SHM_RDONLY);
        if (header == (void *) -1) {
                return false;
        }
        /* magic.last: pairs with the manager's store of a finished header. */
        mine = atomic_load_explicit(&header->magic, memory_order_acquire) == LAYOUT_MAGIC &&
               header->kind == LAYOUT_KIND_DATA && header->instance == view->table.table->instance;
        shmdt(header);
        return mine;
}

/* Topics of this bus that its directory does not know: nothing will ever remove them. */
static void check_leftovers(struct doctor *doctor, struct view *view) {
        FILE *list = list_open();
        struct listed listed;
        char subject[200];

        while (list && list_next(list, &listed)) {
                /* Key 0: marked for removal, it goes with its last user. */
                if (listed.key == 0 || listed.cuid != view->directory.manager_uid ||
                    view_names(view, listed.id) || !segment_of(view, &listed)) {
                        continue;
                }
                /* Made since the table was read? */
                if (view_refresh(view, NULL) < 0 || view_names(view, listed.id)) {
                        continue;
                }
                snprintf(subject, sizeof(subject), "bus %s", view->bus);
                doctor_find(doctor, DOCTOR_PROBLEM, subject, "ipcrm -m removes it by that id",
                            "segment %d belongs to this bus, but its directory does not list it",
                            listed.id);
        }
        if (list) {
                fclose(list);
        }
}

/* Where that cannot be told, it is no finding. */
static bool trusted(uid_t cuid) {
        return trust_creator(cuid, "", 0, 'm', 0, NULL) != -EPERM;
}

/* A bus's name and user as "-b" has them. */
static bool name_split(const char *name, uid_t *ret_uid, const char **ret_bus) {
        const char *slash = strchr(name, '/');
        char user[64];

        *ret_bus = slash ? slash + 1 : name;
        *ret_uid = geteuid();
        if (!slash) {
                return true;
        }
        snprintf(user, sizeof(user), "%.*s", (int) (slash - name), name);
        return trust_find_user(user, ret_uid) == 0;
}

/* Keys are no secret: anybody may have created a segment with the one that our directory needs. */
static void check_squatters(struct doctor *doctor, const char *name) {
        FILE *list = list_open();
        struct listed listed;
        const char *bus;
        char subject[200];
        uid_t uid;

        while (list && list_next(list, &listed)) {
                if (!name_split(name, &uid, &bus) || listed.key != directory_key(uid, bus) ||
                    listed.cuid == uid || trusted(listed.cuid)) {
                        continue;
                }
                snprintf(subject, sizeof(subject), "bus %s/%s", error_user(uid), bus);
                doctor_find(doctor, DOCTOR_PROBLEM, subject,
                            "have that user or root remove it with ipcrm -m; or give the bus "
                            "another name",
                            "its key 0x%08x is taken by segment %d, which %s created",
                            (unsigned) listed.key, listed.id, error_user(listed.cuid));
        }
        if (list) {
                fclose(list);
        }
}

/* Buses of users whom this one does not trust. */
static void check_strangers(struct doctor *doctor) {
        const uint64_t bytes = header_directory(0).segment_bytes;
        FILE *list = list_open();
        struct listed listed;

        while (list && list_next(list, &listed)) {
                if (listed.key != 0 && listed.bytes == bytes && !trusted(listed.cuid)) {
                        doctor_find(doctor, DOCTOR_NOTE, "trust",
                                    "to read it, name that user in SLIPRING_TRUST",
                                    "segment %d looks like a bus of %s, who is not trusted",
                                    listed.id, error_user(listed.cuid));
                }
        }
        if (list) {
                fclose(list);
        }
}

/*
 * Which buses
 */

static void check_named(struct doctor *doctor, const char *name) {
        struct directory directory = {.segment = SEGMENT_NONE};
        struct slipring_error error = {0};
        struct view view = VIEW_NONE;
        int r;

        check_squatters(doctor, name);
        r = directory_locate(&directory, name, &error);
        if (r == 0) {
                r = view_attach(&view, &directory, &error);
        }
        if (r < 0) {
                doctor_find(doctor, DOCTOR_PROBLEM, "bus", NULL, "%s", error.text);
        } else {
                check_bus(doctor, &view);
                check_leftovers(doctor, &view);
        }
        view_close(&view);
}

static void check_all(struct doctor *doctor) {
        struct directory *buses = NULL;
        size_t count = 0;

        if (directory_list(&buses, &count) < 0) {
                doctor_find(doctor, DOCTOR_PROBLEM, "buses", "mount /proc",
                            "/proc/sysvipc/shm cannot be read");
        }
        if (count == 0) {
                doctor_find(doctor, DOCTOR_NOTE, "buses", "slipring up FILE starts one",
                            "there is none that this user can read");
        }
        for (size_t i = 0; i < count; i++) {
                struct view view;

                /* One that goes this moment is not wrong. */
                if (view_attach(&view, &buses[i], NULL) == 0) {
                        check_squatters(doctor, view.bus);
                        check_bus(doctor, &view);
                        check_leftovers(doctor, &view);
                }
                view_close(&view);
        }
        free(buses);
        check_strangers(doctor);
}

void doctor_buses(struct doctor *doctor) {
        const char *name = doctor->cli->bus;

        if (!name) {
                name = secure_getenv("SLIPRING_BUS");
        }
        if (name && *name) {
                check_named(doctor, name);
        } else {
                check_all(doctor);
        }
}
