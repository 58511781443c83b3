/*
 * System V segments: made by the manager, attached by key by everyone else after a distrustful
 * look.
 *
 * shmget(2) with IPC_CREAT but without IPC_EXCL would silently hand out a stranger's segment, and a
 * key proves nothing: whoever comes first has it. So creation is exclusive, and attaching compares
 * everything that the kernel knows with what the directory says, before and after.
 */

#include <errno.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/ipc.h>
#include <sys/mman.h>
#include <sys/shm.h>
#include <unistd.h>

#include "bus/error.h"
#include "bus/layout.h"
#include "bus/pages.h"
#include "bus/probe.h"
#include "bus/segment.h"
#include "bus/trust.h"

/* Linux 5.14. */
#ifndef MADV_POPULATE_READ
#define MADV_POPULATE_READ 22
#define MADV_POPULATE_WRITE 23
#endif

/* The size of a huge page as shmget(2) takes it: its logarithm, above the flags. */
#ifndef SHM_HUGE_SHIFT
#define SHM_HUGE_SHIFT 26
#endif

static const char *huge_remedy(int code) {
        switch (code) {
        case -ENOMEM:
                return ": the machine's pool has too few free; raise vm.nr_hugepages";
        case -EPERM:
                return ": give slipringd CAP_IPC_LOCK, or name one of its groups in "
                       "vm.hugetlb_shm_group";
        case -EINVAL:
        case -ENOENT:
        case -ENOSYS:
                return ": the kernel has none of that size, or the segment is above kernel.shmmax";
        default:
                return "";
        }
}

static int
create_failed(const struct segment_expect *expect, int code, struct slipring_error *reterr) {
        const char *remedy = "";

        switch (code) {
        case -EEXIST:
                return error_set(reterr, code, "%s: key 0x%08x is taken by another segment",
                                 expect->what, (unsigned) expect->key);
        case -ENOSPC:
                remedy = ": the machine's limit of segments or of shared memory is reached; see "
                         "'ipcs -lm', raise kernel.shmmni or kernel.shmall, or remove old segments";
                break;
        case -EINVAL:
                remedy = ": a segment of that size is above kernel.shmmax; raise it or make depth "
                         "or "
                         "the message smaller";
                break;
        case -ENOMEM:
                remedy = ": the machine does not have that much memory; make depth or the message "
                         "smaller";
                break;
        default:
                break;
        }
        if (expect->page_bytes && code != -ENOSPC) {
                return error_set(
                        reterr, code,
                        "%s: cannot make a segment of %llu huge pages of %llu KiB (%s)%s",
                        expect->what,
                        (unsigned long long) pages_count(expect->page_bytes, expect->bytes),
                        (unsigned long long) expect->page_bytes / 1024, strerror(-code),
                        huge_remedy(code));
        }
        return error_set(reterr, code, "%s: cannot make a segment of %llu bytes (%s)%s",
                         expect->what, (unsigned long long) expect->bytes, strerror(-code), remedy);
}

/* Of what was attached. A mapping of huge pages is whole pages and refuses to be cut; only then is
 * the size that the directory says a page has believed, since beyond an ordinary mapping others lie
 * that are not ours to change. */
static void segment_advise(void *address, const struct segment_expect *expect, int advice) {
        uint64_t page = expect->page_bytes;

        if (madvise(address, expect->bytes, advice) < 0 && errno == EINVAL && page &&
            (page & (page - 1)) == 0) {
                (void) madvise(address, layout_align(expect->bytes, page), advice);
        }
}

static int
segment_map(struct segment *segment, int id, const struct segment_expect *expect, bool writable) {
        void *address = shmat(id, NULL, writable ? 0 : SHM_RDONLY);

        if (address == (void *) -1) {
                /* An id that was removed and not reused is EINVAL to shmat(2); to our callers both
                 * mean that the object is gone. */
                return errno == EINVAL ? -EIDRM : -errno;
        }
        /* A child would inherit a writable mapping without the claim; and dumping gigabytes of ring
         * would hold the claim back for that long. Where the kernel refuses, nothing is unsafe: the
         * guard word still catches the child. */
        segment_advise(address, expect, MADV_DONTFORK);
        segment_advise(address, expect, MADV_DONTDUMP);
        *segment = (struct segment){.id = id, .address = address, .bytes = expect->bytes};
        return 0;
}

/* Owner, group and mode; all that IPC_SET looks at. */
static int access_set(int id, const struct segment_expect *expect) {
        struct shmid_ds status = {
                .shm_perm =
                        {
                                .uid = expect->uid,
                                .gid = expect->gid == (gid_t) -1 ? getegid() : expect->gid,
                                .mode = (unsigned short) expect->mode,
                        },
        };

        return shmctl(id, IPC_SET, &status) < 0 ? -errno : 0;
}

unsigned segment_first_mode(const struct segment_expect *expect) {
        bool ours =
                expect->uid == geteuid() && (expect->gid == (gid_t) -1 || expect->gid == getegid());

        return ours ? expect->mode : 0600;
}

/* What shmget(2) wants besides the mode for a segment of huge pages. */
static int huge_flags(uint64_t page_bytes) {
        unsigned size = page_bytes ? (unsigned) __builtin_ctzll(page_bytes) : 0;

        return page_bytes ? SHM_HUGETLB | (int) (size << SHM_HUGE_SHIFT) : 0;
}

/* What shmget(2) promised of the pool, a control group or the nodes of a cpuset may still refuse,
 * with SIGBUS to whoever touches it first. Asked here, it is an error like others; kernels before
 * 5.14 cannot be asked. */
static int huge_fill(const struct segment *segment, const struct segment_expect *expect) {
        if (!expect->page_bytes || probe_disabled("populate") ||
            madvise(segment->address, layout_align(expect->bytes, expect->page_bytes),
                    MADV_POPULATE_WRITE) == 0 ||
            errno == EINVAL) {
                return 0;
        }
        return -errno;
}

static int
huge_fill_failed(const struct segment_expect *expect, int code, struct slipring_error *reterr) {
        return error_set(
                reterr, -ENOMEM,
                "%s: its %llu huge pages of %llu KiB cannot be filled (%s): raise the control "
                "group's limit (hugetlb.*.max), or give its cpuset the nodes that have them",
                expect->what, (unsigned long long) pages_count(expect->page_bytes, expect->bytes),
                (unsigned long long) expect->page_bytes / 1024, strerror(-code));
}

static int segment_set_up(struct segment *ret_segment,
                          int id,
                          const struct segment_expect *expect,
                          struct slipring_error *reterr) {
        int r = segment_map(ret_segment, id, expect, true);

        if (r == 0) {
                r = access_set(id, expect);
        }
        if (r < 0) {
                return error_set(reterr, r, "%s: cannot set up a new segment (%s)", expect->what,
                                 strerror(-r));
        }
        r = huge_fill(ret_segment, expect);
        return r < 0 ? huge_fill_failed(expect, r, reterr) : 0;
}

int segment_create(struct segment *ret_segment,
                   const struct segment_expect *expect,
                   struct slipring_error *reterr) {
        int id, r;

        if (expect->bytes > SIZE_MAX) {
                return create_failed(expect, -EINVAL, reterr);
        }
        id = shmget(expect->key, (size_t) expect->bytes,
                    IPC_CREAT | IPC_EXCL | huge_flags(expect->page_bytes) |
                            (int) segment_first_mode(expect));
        if (id < 0) {
                return create_failed(expect, -errno, reterr);
        }
        r = segment_set_up(ret_segment, id, expect, reterr);
        if (r < 0) {
                segment_detach(ret_segment);
                (void) shmctl(id, IPC_RMID, NULL);
        }
        return r;
}

static int differs(const struct segment_expect *expect,
                   const struct shmid_ds *status,
                   struct slipring_error *reterr) {
        unsigned mode = status->shm_perm.mode & 0777;

        if (status->shm_segsz != expect->bytes) {
                return error_set(reterr, -EBADMSG, "%s: its segment has %zu bytes instead of %llu",
                                 expect->what, (size_t) status->shm_segsz,
                                 (unsigned long long) expect->bytes);
        }
        if (mode != expect->mode || status->shm_perm.uid != expect->uid ||
            (expect->gid != (gid_t) -1 && status->shm_perm.gid != expect->gid)) {
                return error_set(
                        reterr, -EBADMSG,
                        "%s: its segment was changed to owner %u, group %u, mode %04o from "
                        "%u, %u, %04o; the bus manager replaces it when it runs",
                        expect->what, status->shm_perm.uid, status->shm_perm.gid, mode, expect->uid,
                        expect->gid == (gid_t) -1 ? status->shm_perm.gid : expect->gid,
                        expect->mode);
        }
        return 0;
}

/* The way to get what the mode forbids this user. */
static const char *remedy(const struct segment_expect *expect, bool writable) {
        if (!(expect->mode & (writable ? 0020u : 0040u))) {
                return "run as the owner, or change owner or mode in the schema";
        }
        /* Far more than a topic is its. */
        if (expect->gid == 0) {
                return "run as the owner, or name another group than root's in the schema";
        }
        return "add it to the group and log in again";
}

static int
refused(const struct segment_expect *expect, bool writable, struct slipring_error *reterr) {
        return error_set(reterr, -EACCES,
                         "%s: this user may not %s it (owner %s, group %s, mode %04o): %s",
                         expect->what, writable ? "publish to" : "read", error_user(expect->uid),
                         error_group(expect->gid), expect->mode, remedy(expect, writable));
}

/* Its creator may look even if the owner took that right away. Takes an index for which any id of
 * the same object will do, and tells the id that it found there. */
static bool stat_own(int id, struct shmid_ds *ret_status) {
        return shmctl(id, SHM_STAT_ANY, ret_status) == id && ret_status->shm_perm.cuid == geteuid();
}

int segment_check(int id, const struct segment_expect *expect, struct slipring_error *reterr) {
        struct shmid_ds status;
        int r;

        if (shmctl(id, IPC_STAT, &status) < 0 && (errno != EACCES || !stat_own(id, &status))) {
                if (errno == EACCES) {
                        return refused(expect, false, reterr);
                }
                if (errno == EINVAL || errno == EIDRM) {
                        return error_set(reterr, -EIDRM, "%s: its segment is gone", expect->what);
                }
                return error_set(reterr, -errno, "%s: its segment cannot be looked at (%s)",
                                 expect->what, strerror(errno));
        }
        /* Marked for removal: the key is free already, and the segment goes with its last user. */
        if (status.shm_perm.mode & SHM_DEST) {
                return error_set(reterr, -EIDRM, "%s: its segment is being removed", expect->what);
        }
        r = trust_creator(status.shm_perm.cuid, expect->what, expect->key, 'm', id, reterr);
        return r < 0 ? r : differs(expect, &status, reterr);
}

static int
lookup_failed(const struct segment_expect *expect, int code, struct slipring_error *reterr) {
        if (code == -ENOENT) {
                return error_set(reterr, code, "%s: no segment has key 0x%08x", expect->what,
                                 (unsigned) expect->key);
        }
        return error_set(reterr, code, "%s: segment key 0x%08x cannot be looked up (%s)",
                         expect->what, (unsigned) expect->key, strerror(-code));
}

/* Why a segment that was found and may be looked at could not be mapped. */
static int map_failed(const struct segment_expect *expect,
                      bool writable,
                      int code,
                      struct slipring_error *reterr) {
        if (code == -EACCES) {
                return refused(expect, writable, reterr);
        }
        return error_set(reterr, code, "%s: cannot attach %llu bytes for %s (%s)%s", expect->what,
                         (unsigned long long) expect->bytes, writable ? "write" : "read",
                         strerror(-code), error_remedy(code));
}

int segment_attach(struct segment *ret_segment,
                   const struct segment_expect *expect,
                   bool writable,
                   struct slipring_error *reterr) {
        int id, r;

        id = shmget(expect->key, 0, 0);
        if (id < 0) {
                return lookup_failed(expect, -errno, reterr);
        }
        if (expect->id >= 0 && id != expect->id) {
                return error_set(reterr, -EIDRM, "%s: key 0x%08x leads to segment %d instead of %d",
                                 expect->what, (unsigned) expect->key, id, expect->id);
        }
        r = segment_check(id, expect, reterr);
        if (r < 0) {
                return r == -EACCES ? refused(expect, writable, reterr) : r;
        }
        r = segment_map(ret_segment, id, expect, writable);
        if (r < 0) {
                return map_failed(expect, writable, r, reterr);
        }
        /* What was checked may have been swapped before shmat(2); what is attached cannot be. */
        r = segment_check(id, expect, reterr);
        if (r < 0) {
                segment_detach(ret_segment);
        }
        return r;
}

int segment_adopt(struct segment *ret_segment,
                  const struct segment_expect *expect,
                  struct slipring_error *reterr) {
        struct shmid_ds status;
        int id = expect->id, r;

        if (id < 0) {
                id = shmget(expect->key, 0, 0);
                if (id < 0) {
                        return lookup_failed(expect, -errno, reterr);
                }
        }
        /* Without the right to look it may still be ours: the creator keeps the right to set. */
        r = shmctl(id, IPC_STAT, &status) < 0 ? -errno : 0;
        if (r == -EACCES || (r == 0 && status.shm_perm.cuid == geteuid())) {
                r = access_set(id, expect);
        }
        if (r < 0 || shmctl(id, IPC_STAT, &status) < 0) {
                return error_set(reterr, -EIDRM, "%s: its segment is gone", expect->what);
        }
        if (status.shm_perm.cuid != geteuid()) {
                return error_set(reterr, -EPERM,
                                 "%s: key 0x%08x belongs to a segment that %s created; have root "
                                 "remove it ('ipcrm -m %d')",
                                 expect->what, (unsigned) expect->key,
                                 error_user(status.shm_perm.cuid), id);
        }
        if (status.shm_segsz != expect->bytes) {
                return differs(expect, &status, reterr);
        }
        r = segment_map(ret_segment, id, expect, true);
        return r < 0 ? error_set(reterr, r, "%s: cannot attach (%s)", expect->what, strerror(-r))
                     : 0;
}

void segment_advise_huge(const struct segment *segment) {
        (void) madvise(segment->address, segment->bytes, MADV_HUGEPAGE);
}

int segment_lock(int id, uint64_t page_bytes) {
        if (page_bytes || shmctl(id, SHM_LOCK, NULL) == 0) {
                return 0;
        }
        return errno == EINVAL ? -EIDRM : -errno;
}

void segment_prefault(const struct segment *segment, bool writable) {
        size_t page = (size_t) sysconf(_SC_PAGESIZE), offset;
        _Atomic uint64_t *word;

        if (!probe_disabled("populate") &&
            madvise(segment->address, segment->bytes,
                    writable ? MADV_POPULATE_WRITE : MADV_POPULATE_READ) == 0) {
                return;
        }
        for (offset = 0; offset < segment->bytes; offset += page) {
                word = (_Atomic uint64_t *) (void *) ((uint8_t *) segment->address + offset);
                /* relaxed: the value does not matter, the fault does. */
                if (writable) {
                        (void) atomic_fetch_or_explicit(word, 0, memory_order_relaxed);
                } else {
                        (void) atomic_load_explicit(word, memory_order_relaxed);
                }
        }
}

bool segment_is_locked(const struct segment *segment, uint64_t page_bytes) {
        struct shmid_ds status;

        return page_bytes ||
               (shmctl(segment->id, IPC_STAT, &status) == 0 && status.shm_perm.mode & SHM_LOCKED);
}

unsigned segment_attached(const struct segment *segment) {
        struct shmid_ds status;

        if (shmctl(segment->id, IPC_STAT, &status) < 0) {
                return 0;
        }
        return (unsigned) status.shm_nattch;
}

void segment_detach(struct segment *segment) {
        if (segment->address) {
                (void) shmdt(segment->address);
        }
        *segment = SEGMENT_NONE;
}
