#ifndef SLIPRING_BUS_COPY_H
#define SLIPRING_BUS_COPY_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/*
 * Copies between private memory and a slot that the other side may touch at the same time.
 *
 * Such a race is undefined in C11 unless every access is atomic. Up to 256 bytes, and always under
 * ThreadSanitizer, the copy is a row of relaxed 64-bit words, which is race-free and costs no more
 * than memcpy(3). Above, that would take 1.6 to 3 times as long as memcpy(3), so the copy goes
 * through memcpy(3) between compiler barriers in copy.c, which the callers cannot see into: the
 * compiler has nothing to conclude from it, and the hardware copies words either way. What a torn
 * copy holds is discarded when the stamp is looked at again.
 */

#if defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define COPY_WORDS_MAX SIZE_MAX
#endif
#endif
#if defined(__SANITIZE_THREAD__)
#define COPY_WORDS_MAX SIZE_MAX
#endif
#ifndef COPY_WORDS_MAX
#define COPY_WORDS_MAX 256u
#endif

/* What is not to be seen into. */
void copy_bulk(void *to, const void *from, size_t bytes);
/* What is left behind the last whole cache line. */
void copy_rest_to_slot(void *slot, const void *from, size_t bytes);
void copy_rest_from_slot(void *to, const void *slot, size_t bytes);

#define COPY_LINE 64u

/*
 * copy_to_slot() - copy a message into a slot that readers may be looking at
 * @slot:       64-byte aligned payload
 * @from:       private memory
 *
 * copy_from_slot() - copy a slot that its publisher may be overwriting
 * @to:         private memory
 * @slot:       64-byte aligned payload
 *
 * Neither orders anything: the fences around the stamp do.
 */
static inline void copy_to_slot(void *slot, const void *from, size_t bytes) {
        _Atomic uint64_t *words = slot;
        const uint8_t *source = from;
        uint64_t word;
        unsigned i;

        if (bytes > COPY_WORDS_MAX) {
                copy_bulk(slot, from, bytes);
                return;
        }
        for (; bytes >= COPY_LINE; bytes -= COPY_LINE) {
                /* Line by line, so that it is a row of moves and no loop. */
#pragma GCC unroll 8
                for (i = 0; i < 8; i++) {
                        memcpy(&word, source + 8 * i, 8);
                        /* relaxed: slot.busy and slot.ready order the whole message. */
                        atomic_store_explicit(&words[i], word, memory_order_relaxed);
                }
                words += 8;
                source += COPY_LINE;
        }
        if (bytes > 0) {
                copy_rest_to_slot(words, source, bytes);
        }
}

static inline void copy_from_slot(void *to, const void *slot, size_t bytes) {
        /* The const goes only because C11's atomic_load takes none. */
        _Atomic uint64_t *words = (_Atomic uint64_t *) (uintptr_t) slot;
        uint8_t *destination = to;
        uint64_t word;
        unsigned i;

        if (bytes > COPY_WORDS_MAX) {
                copy_bulk(to, slot, bytes);
                return;
        }
        for (; bytes >= COPY_LINE; bytes -= COPY_LINE) {
#pragma GCC unroll 8
                for (i = 0; i < 8; i++) {
                        /* relaxed: slot.ready and slot.busy order the whole message. */
                        word = atomic_load_explicit(&words[i], memory_order_relaxed);
                        memcpy(destination + 8 * i, &word, 8);
                }
                words += 8;
                destination += COPY_LINE;
        }
        if (bytes > 0) {
                copy_rest_from_slot(destination, words, bytes);
        }
}

#endif
