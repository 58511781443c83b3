#include <errno.h>
#include <linux/io_uring.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "bus/uring.h"
#include "bus/wake.h"

/* Newer than Debian 12's headers; numbers from linux/io_uring.h and linux/futex.h. */
#define OP_FUTEX_WAIT 51
#define FUTEX2_U32 2
#define SETUP_COOP_TASKRUN (1u << 8)

#define SQ_ENTRIES 8u
#define CQ_ENTRIES 1024u

static int enter(struct uring *uring, unsigned submit, unsigned flags) {
        long r;

        do {
                r = syscall(SYS_io_uring_enter, uring->fd, submit, 0, flags, NULL, 0);
        } while (r < 0 && errno == EINTR);
        return r < 0 ? -errno : (int) r;
}

static int map(struct uring *uring, const struct io_uring_params *params) {
        char *rings;

        if (!(params->features & IORING_FEAT_SINGLE_MMAP) ||
            !(params->features & IORING_FEAT_NODROP)) {
                return -ENOSYS;
        }
        uring->rings_bytes = params->cq_off.cqes + params->cq_entries * sizeof(struct io_uring_cqe);
        if (uring->rings_bytes < params->sq_off.array + params->sq_entries * sizeof(uint32_t)) {
                uring->rings_bytes = params->sq_off.array + params->sq_entries * sizeof(uint32_t);
        }
        rings = mmap(NULL, uring->rings_bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE,
                     uring->fd, IORING_OFF_SQ_RING);
        if (rings == MAP_FAILED) {
                return -errno;
        }
        uring->rings = rings;
        uring->entries_bytes = params->sq_entries * sizeof(struct io_uring_sqe);
        uring->entries = mmap(NULL, uring->entries_bytes, PROT_READ | PROT_WRITE,
                              MAP_SHARED | MAP_POPULATE, uring->fd, IORING_OFF_SQES);
        if (uring->entries == MAP_FAILED) {
                uring->entries = NULL;
                return -errno;
        }
        uring->sq_head = (void *) (rings + params->sq_off.head);
        uring->sq_tail = (void *) (rings + params->sq_off.tail);
        uring->sq_flags = (void *) (rings + params->sq_off.flags);
        uring->sq_array = (void *) (rings + params->sq_off.array);
        uring->cq_head = (void *) (rings + params->cq_off.head);
        uring->cq_tail = (void *) (rings + params->cq_off.tail);
        uring->completions = rings + params->cq_off.cqes;
        uring->sq_mask = params->sq_entries - 1;
        uring->cq_mask = params->cq_entries - 1;
        /* A child that completed our waits for us would lose them. */
        (void) madvise(uring->rings, uring->rings_bytes, MADV_DONTFORK);
        (void) madvise(uring->entries, uring->entries_bytes, MADV_DONTFORK);
        return 0;
}

static int probe_futex(const struct uring *uring) {
        _Alignas(struct io_uring_probe) char memory[sizeof(struct io_uring_probe) +
                                                    256 * sizeof(struct io_uring_probe_op)] = {0};
        const struct io_uring_probe *probe = (const void *) memory;

        if (syscall(SYS_io_uring_register, uring->fd, IORING_REGISTER_PROBE, memory, 256) < 0) {
                return -errno;
        }
        if (probe->last_op < OP_FUTEX_WAIT ||
            !(probe->ops[OP_FUTEX_WAIT].flags & IO_URING_OP_SUPPORTED)) {
                return -ENOSYS;
        }
        return 0;
}

int uring_open(struct uring *uring, int eventfd) {
        /* COOP_TASKRUN with a registered eventfd: the default mode ends epoll_wait(2) with EINTR at
         * each completion, and DEFER_TASKRUN without an eventfd sleeps through all of them. */
        struct io_uring_params params = {
                .flags = SETUP_COOP_TASKRUN | IORING_SETUP_CQSIZE,
                .cq_entries = CQ_ENTRIES,
        };
        int r;

        *uring = (struct uring){.fd = -1};
        uring->fd = (int) syscall(SYS_io_uring_setup, SQ_ENTRIES, &params);
        if (uring->fd < 0) {
                return -ENOSYS;
        }
        r = map(uring, &params);
        if (r == 0) {
                r = probe_futex(uring);
        }
        if (r == 0 &&
            syscall(SYS_io_uring_register, uring->fd, IORING_REGISTER_EVENTFD, &eventfd, 1) < 0) {
                r = -errno;
        }
        if (r < 0) {
                uring_close(uring);
                return -ENOSYS;
        }
        return 0;
}

static int submit(struct uring *uring, const struct io_uring_sqe *entry) {
        /* relaxed: this thread is the only one that moves the tail. */
        uint32_t tail = atomic_load_explicit(uring->sq_tail, memory_order_relaxed);
        uint32_t index = tail & uring->sq_mask;
        int r;

        ((struct io_uring_sqe *) uring->entries)[index] = *entry;
        uring->sq_array[index] = index;
        /* The kernel's contract: the entry before the tail. */
        atomic_store_explicit(uring->sq_tail, tail + 1, memory_order_release);
        r = enter(uring, 1, 0);
        if (r == 1) {
                return 0;
        }
        /* Refused as a whole. Left in the queue, it would go out in place of the next one, and that
         * one in place of the one after. relaxed: the kernel looks only in enter(). */
        atomic_store_explicit(uring->sq_tail, tail, memory_order_relaxed);
        return r < 0 ? r : -EAGAIN;
}

int uring_wait_futex(struct uring *uring, const struct wake_item *item, uint64_t id) {
        struct io_uring_sqe entry = {
                .opcode = OP_FUTEX_WAIT,
                .fd = FUTEX2_U32,
                .addr = (uintptr_t) item->word,
                .off = item->expected, /* addr2 */
                .user_data = id,
        };

        memcpy((char *) &entry + 48, &(uint64_t){wake_bits(item)}, 8); /* addr3 */
        return submit(uring, &entry);
}

int uring_wait_ns(struct uring *uring, uint64_t ns, uint64_t id) {
        struct io_uring_sqe entry = {
                .opcode = IORING_OP_TIMEOUT,
                .fd = -1,
                .addr = (uintptr_t) &uring->tick,
                .len = 1,
                .user_data = id,
        };

        uring->tick.sec = (int64_t) (ns / UINT64_C(1000000000));
        uring->tick.nsec = (int64_t) (ns % UINT64_C(1000000000));
        return submit(uring, &entry);
}

int uring_cancel(struct uring *uring, uint64_t id, uint64_t cancel_id) {
        struct io_uring_sqe entry = {
                .opcode = IORING_OP_ASYNC_CANCEL,
                .fd = -1,
                .addr = id,
                .user_data = cancel_id,
        };

        return submit(uring, &entry);
}

bool uring_next(struct uring *uring, uint64_t *ret_id, int32_t *ret_result) {
        const struct io_uring_cqe *completion;
        /* relaxed: this thread is the only one that moves the head. */
        uint32_t head = atomic_load_explicit(uring->cq_head, memory_order_relaxed);

        /* The kernel's contract: the completion before the tail. */
        if (head == atomic_load_explicit(uring->cq_tail, memory_order_acquire)) {
                /* relaxed: a hint, looked at again by the next call. */
                if (!(atomic_load_explicit(uring->sq_flags, memory_order_relaxed) &
                      IORING_SQ_CQ_OVERFLOW)) {
                        return false;
                }
                (void) enter(uring, 0, IORING_ENTER_GETEVENTS);
                if (head == atomic_load_explicit(uring->cq_tail, memory_order_acquire)) {
                        return false;
                }
        }
        completion = &((const struct io_uring_cqe *) uring->completions)[head & uring->cq_mask];
        *ret_id = completion->user_data;
        *ret_result = completion->res;
        /* The kernel's contract: the completion is read before its place is given back. */
        atomic_store_explicit(uring->cq_head, head + 1, memory_order_release);
        return true;
}

void uring_close(struct uring *uring) {
        if (uring->entries) {
                (void) munmap(uring->entries, uring->entries_bytes);
        }
        if (uring->rings) {
                (void) munmap(uring->rings, uring->rings_bytes);
        }
        if (uring->fd >= 0) {
                (void) close(uring->fd);
        }
        *uring = (struct uring){.fd = -1};
}
