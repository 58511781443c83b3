#include <errno.h>
#include <limits.h>
#include <linux/futex.h>
#include <string.h>
#include <sys/ipc.h>
#include <sys/shm.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <slipring/sample.h>

#include "bench/floor.h"

#ifndef SYS_futex
/* 32-bit architectures with 64-bit time only. */
#define SYS_futex SYS_futex_time64
#endif

int floor_new(struct floor **ret_floor, uint32_t depth, uint32_t payload_bytes) {
        uint64_t stride = sizeof(struct floor_slot) + (payload_bytes + 63u) / 64 * 64;
        size_t bytes = sizeof(struct floor) + depth * stride;
        struct floor *floor;
        int id;

        id = shmget(IPC_PRIVATE, bytes, IPC_CREAT | 0600);
        if (id < 0) {
                return -errno;
        }
        floor = shmat(id, NULL, 0);
        /* Removed at once: the kernel keeps it for those who have it, however they end. */
        (void) shmctl(id, IPC_RMID, NULL);
        if (floor == (void *) -1) {
                return -errno;
        }
        memset(floor, 0, bytes);
        floor->stride = stride;
        floor->depth = depth;
        floor->payload_bytes = payload_bytes;
        floor->id = id;
        *ret_floor = floor;
        return 0;
}

int floor_attach(struct floor **ret_floor, int id) {
        struct floor *floor = shmat(id, NULL, 0);

        if (floor == (void *) -1) {
                return -errno;
        }
        *ret_floor = floor;
        return 0;
}

struct floor *floor_free(struct floor *floor) {
        if (floor) {
                (void) shmdt(floor);
        }
        return NULL;
}

static struct floor_slot *slot_of(const struct floor *floor, uint64_t m) {
        return (struct floor_slot *) (uintptr_t) (floor->slots +
                                                  (m & (floor->depth - 1)) * floor->stride);
}

void *floor_begin(struct floor *floor) {
        uint64_t m = atomic_load_explicit(&floor->head, memory_order_relaxed) + 1;
        struct floor_slot *slot = slot_of(floor, m);

        atomic_store_explicit(&slot->stamp, 2 * m - 1, memory_order_relaxed);
        atomic_thread_fence(memory_order_release);
        return slot->payload;
}

void floor_commit(struct floor *floor) {
        uint64_t m = atomic_load_explicit(&floor->head, memory_order_relaxed) + 1;
        struct floor_slot *slot = slot_of(floor, m);

        slot->publish_time_ns = slipring_now_ns();
        atomic_store_explicit(&slot->stamp, 2 * m, memory_order_release);
        atomic_store_explicit(&floor->head, m, memory_order_release);
        /* What anyone who wants to know whether somebody sleeps has to pay. */
        atomic_thread_fence(memory_order_seq_cst);
}

void floor_publish(struct floor *floor, const void *payload) {
        memcpy(floor_begin(floor), payload, floor->payload_bytes);
        floor_commit(floor);
}

void floor_wake(struct floor *floor) {
        uint64_t head = atomic_load_explicit(&floor->head, memory_order_relaxed);

        atomic_store_explicit(&floor->wake, (uint32_t) head, memory_order_release);
        (void) syscall(SYS_futex, &floor->wake, FUTEX_WAKE, INT_MAX, NULL, NULL, 0);
}

/* Low half of the number of the newest message: there is nothing else to be stored then. */
static uint32_t *head_word(struct floor *floor) {
        uint32_t *words = (uint32_t *) (void *) &floor->head;

        return words + (__BYTE_ORDER__ == __ORDER_BIG_ENDIAN__);
}

void floor_wake_gated(struct floor *floor) {
        /* After floor_commit()'s fence: a sleeper that is not seen here sees the message. */
        if (atomic_load_explicit(&floor->asleep, memory_order_relaxed) > 0) {
                (void) syscall(SYS_futex, head_word(floor), FUTEX_WAKE, INT_MAX, NULL, NULL, 0);
        }
}

void floor_wait_gated(struct floor *floor, uint64_t seen) {
        const struct timespec bound = {.tv_nsec = 100000000};

        if (atomic_load_explicit(&floor->head, memory_order_acquire) != seen) {
                return;
        }
        atomic_fetch_add_explicit(&floor->asleep, 1, memory_order_seq_cst);
        (void) syscall(SYS_futex, head_word(floor), FUTEX_WAIT, (uint32_t) seen, &bound, NULL, 0);
        atomic_fetch_sub_explicit(&floor->asleep, 1, memory_order_relaxed);
}

void floor_wait(struct floor *floor, uint64_t seen) {
        while (atomic_load_explicit(&floor->wake, memory_order_acquire) == (uint32_t) seen) {
                (void) syscall(SYS_futex, &floor->wake, FUTEX_WAIT, (uint32_t) seen, NULL, NULL, 0);
        }
}

void floor_wait_bounded(struct floor *floor, uint64_t seen) {
        const struct timespec bound = {.tv_nsec = 100000000};

        (void) syscall(SYS_futex, &floor->wake, FUTEX_WAIT, (uint32_t) seen, &bound, NULL, 0);
}

const void *floor_borrow(struct floor *floor, uint64_t *seen) {
        uint64_t m = atomic_load_explicit(&floor->head, memory_order_acquire);
        struct floor_slot *slot = slot_of(floor, m);

        if (m == *seen || atomic_load_explicit(&slot->stamp, memory_order_acquire) != 2 * m) {
                return NULL;
        }
        *seen = m;
        return slot->payload;
}

bool floor_release(const struct floor *floor, uint64_t seen) {
        atomic_thread_fence(memory_order_acquire);
        return atomic_load_explicit(&slot_of(floor, seen)->stamp, memory_order_relaxed) == 2 * seen;
}

bool floor_take(struct floor *floor, uint64_t *seen, void *buffer) {
        const void *payload = floor_borrow(floor, seen);

        if (!payload) {
                return false;
        }
        memcpy(buffer, payload, floor->payload_bytes);
        return floor_release(floor, *seen);
}

bool floor_next(struct floor *floor, uint64_t *seen, void *buffer) {
        uint64_t m = *seen + 1;
        struct floor_slot *slot = slot_of(floor, m);

        if (atomic_load_explicit(&floor->head, memory_order_acquire) < m ||
            atomic_load_explicit(&slot->stamp, memory_order_acquire) != 2 * m) {
                return false;
        }
        memcpy(buffer, slot->payload, floor->payload_bytes);
        *seen = m;
        return floor_release(floor, m);
}
