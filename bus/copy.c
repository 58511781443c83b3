/*
 * Copies between private memory and a slot that the other side may touch at the same time.
 *
 * Such a race is undefined in C11 unless every access is atomic. Up to 256 bytes, and always under
 * ThreadSanitizer, the copy is a loop of relaxed 64-bit words, which is race-free and costs no more
 * than memcpy(3). Above, that loop would take 1.6 to 3 times as long as memcpy(3), so the copy goes
 * through memcpy(3) between compiler barriers in this file, which the callers cannot see into: the
 * compiler has nothing to conclude from it, and the hardware copies words either way. What a torn
 * copy holds is discarded when the stamp is looked at again.
 */

#include <stdatomic.h>
#include <stdint.h>
#include <string.h>

#include "bus/copy.h"

#if defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define WORDS_ONLY 1
#endif
#endif
#if defined(__SANITIZE_THREAD__)
#define WORDS_ONLY 1
#endif
#ifndef WORDS_ONLY
#define WORDS_ONLY 0
#endif

#define WORDS_MAX 256u

#define compiler_barrier() __asm__ volatile("" ::: "memory")

void copy_to_slot(void *slot, const void *from, size_t bytes) {
        _Atomic uint64_t *words = slot;
        _Atomic uint8_t *tail;
        const uint8_t *source = from;
        uint64_t word;
        size_t i;

        if (!WORDS_ONLY && bytes > WORDS_MAX) {
                compiler_barrier();
                memcpy(slot, from, bytes);
                compiler_barrier();
                return;
        }
        /* relaxed: slot.busy and slot.ready order the whole message. */
        for (i = 0; i < bytes / 8; i++) {
                memcpy(&word, source + 8 * i, 8);
                atomic_store_explicit(&words[i], word, memory_order_relaxed);
        }
        tail = (_Atomic uint8_t *) slot;
        for (i = bytes / 8 * 8; i < bytes; i++) {
                atomic_store_explicit(&tail[i], source[i], memory_order_relaxed);
        }
}

void copy_from_slot(void *to, const void *slot, size_t bytes) {
        /* The const goes only because C11's atomic_load takes none. */
        _Atomic uint64_t *words = (_Atomic uint64_t *) (uintptr_t) slot;
        _Atomic uint8_t *tail = (_Atomic uint8_t *) (uintptr_t) slot;
        uint8_t *destination = to;
        uint64_t word;
        size_t i;

        if (!WORDS_ONLY && bytes > WORDS_MAX) {
                compiler_barrier();
                memcpy(to, slot, bytes);
                compiler_barrier();
                return;
        }
        /* relaxed: slot.ready and slot.busy order the whole message. */
        for (i = 0; i < bytes / 8; i++) {
                word = atomic_load_explicit(&words[i], memory_order_relaxed);
                memcpy(destination + 8 * i, &word, 8);
        }
        for (i = bytes / 8 * 8; i < bytes; i++) {
                destination[i] = atomic_load_explicit(&tail[i], memory_order_relaxed);
        }
}
