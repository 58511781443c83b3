#include <errno.h>
#include <string.h>
#include <sys/ipc.h>
#include <sys/sem.h>
#include <time.h>
#include <unistd.h>

#include "bus/claim.h"
#include "bus/error.h"
#include "bus/trust.h"

/* semctl(2) leaves this to its callers. */
union argument {
        int value;
        struct semid_ds *status;
};

static int set_size(const struct segment_expect *expect) {
        return expect->semaphores ? (int) expect->semaphores : 1;
}

/* Owner, group and mode; all that IPC_SET looks at. */
static int access_set(int id, const struct segment_expect *expect) {
        struct semid_ds status = {
                .sem_perm =
                        {
                                .uid = expect->uid,
                                .gid = expect->gid == (gid_t) -1 ? getegid() : expect->gid,
                                .mode = (unsigned short) expect->mode,
                        },
        };

        return semctl(id, 0, IPC_SET, (union argument){.status = &status}) < 0 ? -errno : 0;
}

int claim_create(int *ret_id, const struct segment_expect *expect, struct slipring_error *reterr) {
        int id, r;

        /* Linux makes new semaphores 0, so there is nothing to set and no moment to set it in. */
        id = semget(expect->key, set_size(expect),
                    IPC_CREAT | IPC_EXCL | (int) segment_first_mode(expect));
        if (id < 0) {
                return error_set(reterr, -errno,
                                 errno == EEXIST
                                         ? "%s: key 0x%08x is taken by another semaphore (%s)"
                                         : "%s: cannot make its claim, semaphore key 0x%08x "
                                           "(%s); see 'ipcs -ls', raise kernel.sem or remove "
                                           "old sets",
                                 expect->what, (unsigned) expect->key, strerror(errno));
        }
        r = access_set(id, expect);
        if (r < 0) {
                (void) semctl(id, 0, IPC_RMID);
                return error_set(reterr, r, "%s: cannot set up its claim (%s)", expect->what,
                                 strerror(-r));
        }
        *ret_id = id;
        return 0;
}

int claim_find(int *ret_id, const struct segment_expect *expect, struct slipring_error *reterr) {
        struct semid_ds status;
        int id, r;

        id = semget(expect->key, 0, 0);
        if (id < 0) {
                return error_set(reterr, -errno,
                                 errno == ENOENT
                                         ? "%s: no claim has semaphore key 0x%08x"
                                         : "%s: semaphore key 0x%08x cannot be looked up (%s)",
                                 expect->what, (unsigned) expect->key, strerror(errno));
        }
        if (expect->id >= 0 && id != expect->id) {
                return error_set(reterr, -EIDRM,
                                 "%s: key 0x%08x leads to semaphore set %d instead of %d",
                                 expect->what, (unsigned) expect->key, id, expect->id);
        }
        if (semctl(id, 0, IPC_STAT, (union argument){.status = &status}) < 0) {
                return error_set(reterr, errno == EINVAL ? -EIDRM : -errno,
                                 "%s: its claim cannot be looked at (%s)", expect->what,
                                 strerror(errno));
        }
        r = trust_creator(status.sem_perm.cuid, expect->what, expect->key, 's', id, reterr);
        if (r < 0) {
                return r;
        }
        if (status.sem_nsems != (unsigned long) set_size(expect) ||
            status.sem_perm.uid != expect->uid ||
            (expect->gid != (gid_t) -1 && status.sem_perm.gid != expect->gid) ||
            (status.sem_perm.mode & 0777u) != expect->mode) {
                return error_set(
                        reterr, -EBADMSG,
                        "%s: its claim was changed to owner %u, group %u, mode %04o from %u, "
                        "%u, %04o",
                        expect->what, status.sem_perm.uid, status.sem_perm.gid,
                        status.sem_perm.mode & 0777u, expect->uid, expect->gid, expect->mode);
        }
        *ret_id = id;
        return 0;
}

int claim_adopt(int *ret_id, const struct segment_expect *expect, struct slipring_error *reterr) {
        struct semid_ds status;
        int id = semget(expect->key, 0, 0);

        if (id >= 0 && semctl(id, 0, IPC_STAT, (union argument){.status = &status}) == 0 &&
            status.sem_perm.cuid == geteuid()) {
                (void) access_set(id, expect);
        }
        return claim_find(ret_id, expect, reterr);
}

int claim_acquire(int id, uint64_t deadline_ns) {
        /* Wait for zero and make it one, as one step. Without a deadline neither part may block. */
        short flag = deadline_ns ? 0 : IPC_NOWAIT;
        struct sembuf take[] = {
                {.sem_num = 0, .sem_op = 0, .sem_flg = flag},
                {.sem_num = 0, .sem_op = 1, .sem_flg = (short) (flag | SEM_UNDO)},
        };
        struct timespec left, *timeout = NULL;
        uint64_t now;

        if (deadline_ns && deadline_ns != SLIPRING_FOREVER) {
                now = slipring_now_ns();
                now = deadline_ns > now ? deadline_ns - now : 0;
                left.tv_sec = (time_t) (now / UINT64_C(1000000000));
                left.tv_nsec = (long) (now % UINT64_C(1000000000));
                timeout = &left;
        }
        /* claim.handover: all that the last holder stored before it released the claim or died. The
         * kernel's lock of the set orders both. Pairs with claim_release(). */
        if (semtimedop(id, take, 2, timeout) == 0) {
                return 0;
        }
        switch (errno) {
        case EAGAIN:
                return deadline_ns ? -ETIMEDOUT : -EBUSY;
        case EINVAL:
                /* A set that is gone for longer than a wait. */
                return -EIDRM;
        default:
                return -errno;
        }
}

/* To our callers a set that is gone is just that. */
static int join(int id, struct sembuf *operations, size_t count) {
        if (semop(id, operations, count) == 0) {
                return 0;
        }
        return errno == EINVAL ? -EIDRM : errno == ERANGE ? -EUSERS : -errno;
}

int claim_join(int id, bool *ret_first) {
        struct sembuf operations[] = {
                {.sem_num = 0, .sem_op = 0, .sem_flg = IPC_NOWAIT},
                {.sem_num = 0, .sem_op = 1, .sem_flg = IPC_NOWAIT | SEM_UNDO},
        };
        int r = join(id, operations, 2);

        *ret_first = r == 0;
        return r == -EAGAIN ? join(id, operations + 1, 1) : r;
}

void claim_release(int id) {
        struct sembuf give = {.sem_num = 0, .sem_op = -1, .sem_flg = IPC_NOWAIT | SEM_UNDO};

        /* claim.handover: all that this publisher stored before the claim is free. Pairs with
         * claim_acquire(). Fails only if the set is gone, and with it the claim. */
        (void) semop(id, &give, 1);
}

pid_t claim_holder(int id) {
        int value, pid;

        value = semctl(id, 0, GETVAL);
        if (value < 0) {
                return errno == EINVAL ? -EIDRM : -errno;
        }
        if (value == 0) {
                return 0;
        }
        /* The pid is that of the last successful operation, perhaps a release; it is the holder's
         * only if the value was 1 on both sides of the look. */
        pid = semctl(id, 0, GETPID);
        value = semctl(id, 0, GETVAL);
        if (value < 0 || pid < 0) {
                return -EIDRM;
        }
        return value == 1 ? pid : 0;
}

int claim_count(int id) {
        int value = semctl(id, 0, GETVAL);

        return value >= 0 ? value : errno == EINVAL ? -EIDRM : -errno;
}

pid_t claim_last(int id) {
        int pid = semctl(id, 0, GETPID);

        return pid >= 0 ? pid : errno == EINVAL ? -EIDRM : -errno;
}
