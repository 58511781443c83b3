#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sem.h>
#include <sys/shm.h>
#include <unistd.h>

#include "bus/directory.h"
#include "bus/error.h"
#include "bus/manager/limits.h"
#include "bus/manager/logind.h"

#define MIB (1024ull * 1024)

/* semctl(2) leaves this to its callers. */
union argument {
        int value;
        struct seminfo *limits;
};

/* --- refusals --- */

static bool file_has_one(const char *path) {
        FILE *file = fopen(path, "re");
        int value = 0;

        if (file) {
                if (fscanf(file, "%d", &value) != 1) {
                        value = 0;
                }
                (void) fclose(file);
        }
        return value == 1;
}

static uint64_t memory_available(void) {
        FILE *file = fopen("/proc/meminfo", "re");
        unsigned long long kib = UINT64_MAX / 1024;
        char line[128];

        while (file && fgets(line, sizeof(line), file)) {
                if (sscanf(line, "MemAvailable: %llu kB", &kib) == 1) {
                        break;
                }
        }
        if (file) {
                (void) fclose(file);
        }
        return kib * 1024;
}

struct demand {
        uint64_t segments;
        uint64_t semaphores;
        uint64_t bytes;
};

static bool same_class(const struct topic_spec *a, const struct topic_spec *b) {
        return a->uid == b->uid && a->gid == b->gid && a->mode == b->mode;
}

static struct demand demand_of(const struct topic_spec *specs, size_t count) {
        struct demand demand = {
                .segments = 1 + count,
                .semaphores = 1 + count,
                .bytes = header_directory(0).segment_bytes,
        };
        size_t i, j;

        for (i = 0; i < count; i++) {
                demand.bytes += header_segment_bytes(&specs[i]);
                if (specs[i].publishers == LAYOUT_PUBLISHERS_SHARED) {
                        demand.segments++;
                        demand.bytes += LAYOUT_LOCK_BYTES;
                }
                if (specs[i].pins) {
                        demand.segments++;
                        demand.semaphores++;
                        demand.bytes += layout_pins_bytes(specs[i].pins);
                }
                for (j = 0; j < i && !same_class(&specs[i], &specs[j]); j++) {
                }
                if (j == i) {
                        demand.segments++;
                        demand.bytes += LAYOUT_BOARD_BYTES;
                }
        }
        return demand;
}

static int segments_check(const struct demand *demand, struct slipring_error *reterr) {
        uint64_t page = (uint64_t) sysconf(_SC_PAGESIZE), pages = demand->bytes / page + 1;
        struct shminfo limits;
        struct shm_info used;

        if (shmctl(0, IPC_INFO, (struct shmid_ds *) (void *) &limits) < 0 ||
            shmctl(0, SHM_INFO, (struct shmid_ds *) (void *) &used) < 0) {
                return 0;
        }
        if (demand->segments + (uint64_t) used.used_ids > limits.shmmni) {
                return error_set(reterr, -ENOSPC,
                                 "the bus needs %llu shared-memory segments; this machine allows "
                                 "%lu and has %d already: raise kernel.shmmni ('sysctl -w "
                                 "kernel.shmmni=4096'), or remove old ones (see 'ipcs -m')",
                                 (unsigned long long) demand->segments, limits.shmmni,
                                 used.used_ids);
        }
        if (used.shm_tot > limits.shmall || pages > limits.shmall - used.shm_tot) {
                return error_set(
                        reterr, -ENOSPC,
                        "the bus needs %llu MiB of shared memory; this machine allows %llu MiB in "
                        "all and %llu MiB are in use: raise kernel.shmall (pages of %llu bytes), "
                        "or make depth or messages smaller",
                        demand->bytes / MIB + 1, limits.shmall * page / MIB,
                        used.shm_tot * page / MIB, (unsigned long long) page);
        }
        return 0;
}

static int semaphores_check(const struct demand *demand, struct slipring_error *reterr) {
        struct seminfo limits, used;

        if (semctl(0, 0, IPC_INFO, (union argument){.limits = &limits}) < 0 ||
            semctl(0, 0, SEM_INFO, (union argument){.limits = &used}) < 0 ||
            demand->semaphores + (uint64_t) used.semusz <= (uint64_t) limits.semmni) {
                return 0;
        }
        return error_set(reterr, -ENOSPC,
                         "the bus needs %llu semaphore sets; this machine allows %d and has %d "
                         "already: raise the fourth number of kernel.sem, or remove old ones (see "
                         "'ipcs -s')",
                         (unsigned long long) demand->semaphores, limits.semmni, used.semusz);
}

int limits_check_memory(uint64_t bytes, struct slipring_error *reterr) {
        uint64_t available = memory_available();

        if (bytes <= available) {
                return 0;
        }
        return error_set(reterr, -ENOMEM,
                         "the bus needs %llu MiB of memory more and %llu MiB are available: make "
                         "depth or messages smaller, or free some",
                         (unsigned long long) bytes / MIB + 1,
                         (unsigned long long) available / MIB);
}

int limits_check_growth(const struct registry_growth *growth,
                        const struct pages *pages,
                        struct slipring_error *reterr) {
        if (growth->huge_pages > pages->available) {
                return error_set(
                        reterr, -ENOMEM,
                        "the bus needs %llu huge pages of %llu KiB more, and %llu are free: "
                        "'sysctl -w vm.nr_hugepages=%llu', and in /etc/sysctl.d to keep it, or "
                        "'huge_pages: try'",
                        (unsigned long long) growth->huge_pages,
                        (unsigned long long) pages->bytes / 1024,
                        (unsigned long long) pages->available,
                        (unsigned long long) (pages->total + growth->huge_pages -
                                              pages->available));
        }
        return limits_check_memory(growth->bytes, reterr);
}

int limits_check(const char *bus,
                 const struct topic_spec *specs,
                 size_t count,
                 struct slipring_error *reterr) {
        struct demand demand = demand_of(specs, count);
        int r;

        if (file_has_one("/proc/sys/kernel/shm_rmid_forced")) {
                return error_set(reterr, -ENOTSUP,
                                 "kernel.shm_rmid_forced is 1: the kernel would remove each "
                                 "segment once nobody has it attached, and the bus with its "
                                 "manager; 'sysctl -w kernel.shm_rmid_forced=0' and look into "
                                 "/etc/sysctl.d for who sets it");
        }
        if (shmget(directory_key(geteuid(), bus), 0, 0) >= 0) {
                return 0;
        }
        r = segments_check(&demand, reterr);
        return r < 0 ? r : semaphores_check(&demand, reterr);
}

/* --- warnings --- */

static void warn_login_user(const struct log *log) {
        uid_t uid = geteuid();

        if (logind_ask(uid) != LOGIND_REMOVES) {
                return;
        }
        log_bus(log, LOG_WARNING, "warning",
                "systemd-logind removes all shared memory of %s at that user's last logout, "
                "and this bus with it; 'loginctl enable-linger', RemoveIPC=no in "
                "/etc/systemd/logind.conf, or run slipringd as a system user",
                error_user(uid));
}

static void warn_no_owner(const struct log *log, const struct schema *schema) {
        size_t i, without = 0;
        const char *first = NULL;

        if (geteuid() >= LOGIND_UID_MIN) {
                return;
        }
        for (i = 0; i < schema->topic_count; i++) {
                if (!schema->topics[i].has_owner) {
                        first = first ? first : schema->topics[i].name;
                        without++;
                }
        }
        if (without > 0) {
                log_bus(log, LOG_WARNING, "warning",
                        "%zu of %zu topics name no owner ('%s' first): only %s may publish to "
                        "them; set 'owner' in the topic or in defaults",
                        without, schema->topic_count, first, error_user(geteuid()));
        }
}

/* The first user besides this one who is in a group, by its list or as a primary group. */
static bool other_member(gid_t gid, char *name, size_t bytes) {
        struct passwd *self = getpwuid(geteuid()), *user;
        char own[256] = "";
        struct group *group;
        size_t i;
        bool found = false;

        (void) snprintf(own, sizeof(own), "%s", self ? self->pw_name : "");
        group = getgrgid(gid);
        for (i = 0; group && group->gr_mem[i] && !found; i++) {
                found = strcmp(group->gr_mem[i], own) != 0;
                (void) snprintf(name, bytes, "%s", group->gr_mem[i]);
        }
        setpwent();
        while (!found && (user = getpwent())) {
                found = user->pw_gid == gid && user->pw_uid != geteuid();
                (void) snprintf(name, bytes, "%s", user->pw_name);
        }
        endpwent();
        return found;
}

/* The kernel gives the group bits to the creator's group as well, and that cannot be changed. */
static void warn_group(const struct log *log, const struct schema *schema) {
        const struct schema_topic *topic = NULL;
        char member[256];
        struct group *group;
        size_t i;

        for (i = 0; i < schema->topic_count && !topic; i++) {
                unsigned mode = schema->topics[i].mode;

                /* Where others may do the same, nobody gets more. */
                if (schema->topics[i].group != getegid() && mode & 0060 & ~((mode & 06) << 3)) {
                        topic = &schema->topics[i];
                }
        }
        if (!topic || !other_member(getegid(), member, sizeof(member))) {
                return;
        }
        group = getgrgid(getegid());
        log_bus(log, LOG_WARNING, "warning",
                "topic '%s' is for group %s, but members of the manager's own primary group %s "
                "('%s') get the same access to it; run the manager with a primary group that has "
                "no members",
                topic->name, topic->group_name, group ? group->gr_name : "(no name)", member);
}

/* Why it got none is past; what it takes now can be told. */
void limits_warn_pages(const struct log *log,
                       const struct layout_entry *first,
                       size_t count,
                       uint64_t need,
                       const struct pages *pages) {
        char others[48] = " has", remedy[320];

        if (count > 1) {
                (void) snprintf(others, sizeof(others), " and %zu more have", count - 1);
        }
        if (!pages->bytes) {
                (void) snprintf(remedy, sizeof(remedy), "this kernel has none");
        } else if (need <= pages->available) {
                (void) snprintf(remedy, sizeof(remedy),
                                "%llu are free now: 'slipring down' and another start take them, "
                                "if slipringd has CAP_IPC_LOCK or a group named in "
                                "vm.hugetlb_shm_group, and no control group's limit "
                                "(hugetlb.*.max) is in the way",
                                (unsigned long long) pages->available);
        } else {
                (void) snprintf(remedy, sizeof(remedy),
                                "that takes %llu of %llu KiB, and %llu are free: 'sysctl -w "
                                "vm.nr_hugepages=%llu' before the bus starts",
                                (unsigned long long) need, (unsigned long long) pages->bytes / 1024,
                                (unsigned long long) pages->available,
                                (unsigned long long) (pages->total + need - pages->available));
        }
        log_bus(log, LOG_WARNING, "warning", "topic '%s'%s ordinary pages, not huge ones; %s",
                first->name, others, remedy);
}

void limits_warn(const struct log *log, const struct schema *schema) {
        warn_login_user(log);
        warn_no_owner(log, schema);
        warn_group(log, schema);
}
