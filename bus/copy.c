/*
 * The parts of copies that are not compiled into their callers: see copy.h.
 */

#include "bus/copy.h"

#define compiler_barrier() __asm__ volatile("" ::: "memory")

void copy_bulk(void *to, const void *from, size_t bytes) {
        compiler_barrier();
        memcpy(to, from, bytes);
        compiler_barrier();
}

void copy_rest_to_slot(void *slot, const void *from, size_t bytes) {
        _Atomic uint64_t *words = slot;
        _Atomic uint8_t *tail = slot;
        const uint8_t *source = from;
        uint64_t word;
        size_t i;

        /* relaxed: slot.busy and slot.ready order the whole message. */
        for (i = 0; i < bytes / 8; i++) {
                memcpy(&word, source + 8 * i, 8);
                atomic_store_explicit(&words[i], word, memory_order_relaxed);
        }
        for (i = bytes / 8 * 8; i < bytes; i++) {
                atomic_store_explicit(&tail[i], source[i], memory_order_relaxed);
        }
}

void copy_rest_from_slot(void *to, const void *slot, size_t bytes) {
        /* The const goes only because C11's atomic_load takes none. */
        _Atomic uint64_t *words = (_Atomic uint64_t *) (uintptr_t) slot;
        _Atomic uint8_t *tail = (_Atomic uint8_t *) (uintptr_t) slot;
        uint8_t *destination = to;
        uint64_t word;
        size_t i;

        /* relaxed: slot.ready and slot.busy order the whole message. */
        for (i = 0; i < bytes / 8; i++) {
                word = atomic_load_explicit(&words[i], memory_order_relaxed);
                memcpy(destination + 8 * i, &word, 8);
        }
        for (i = bytes / 8 * 8; i < bytes; i++) {
                destination[i] = atomic_load_explicit(&tail[i], memory_order_relaxed);
        }
}
