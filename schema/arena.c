#include "schema/arena.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct arena_block {
        struct arena_block *next;
        /* Aligned for any object. */
        _Alignas(max_align_t) unsigned char memory[];
};

void *arena_alloc(struct arena *arena, size_t count, size_t bytes) {
        struct arena_block *block;
        size_t total;

        if (__builtin_mul_overflow(count, bytes, &total) ||
            __builtin_add_overflow(total, sizeof(*block), &total)) {
                return NULL;
        }
        block = calloc(1, total);
        if (!block) {
                return NULL;
        }
        block->next = arena->blocks;
        arena->blocks = block;
        return block->memory;
}

char *arena_copy(struct arena *arena, const char *text, size_t bytes) {
        char *copy;

        copy = arena_alloc(arena, bytes + 1, 1);
        if (copy && bytes > 0) {
                memcpy(copy, text, bytes);
        }
        return copy;
}

char *arena_print(struct arena *arena, const char *format, ...) {
        va_list arguments;
        char *text = NULL;
        int length;

        va_start(arguments, format);
        length = vsnprintf(NULL, 0, format, arguments);
        va_end(arguments);
        if (length >= 0) {
                text = arena_alloc(arena, (size_t) length + 1, 1);
        }
        if (text) {
                va_start(arguments, format);
                vsnprintf(text, (size_t) length + 1, format, arguments);
                va_end(arguments);
        }
        return text;
}

void arena_free(struct arena *arena) {
        struct arena_block *block;

        while ((block = arena->blocks)) {
                arena->blocks = block->next;
                free(block);
        }
}
