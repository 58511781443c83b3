#ifndef SLIPRING_SCHEMA_ARENA_H
#define SLIPRING_SCHEMA_ARENA_H

/*
 * Memory that is freed all at once.
 *
 * A schema is made of thousands of small objects that point at each other and die together. Each
 * is an allocation of its own in one chain, so that AddressSanitizer still sees where one ends.
 */

#include <stdarg.h>
#include <stddef.h>

struct arena_block;

/**
 * struct arena - a chain of allocations; all zeros is an empty one
 * @blocks:     the newest allocation
 */
struct arena {
        struct arena_block *blocks;
};

/**
 * arena_alloc() - allocate zeroed memory
 * @arena:      arena that owns the result
 * @count:      number of elements, 0 gives an allocation that holds none
 * @bytes:      size of one element
 *
 * Return: the memory, or NULL if there is none or count x bytes overflows.
 */
void *arena_alloc(struct arena *arena, size_t count, size_t bytes);

/**
 * arena_copy() - copy text of a known length and terminate it
 * @arena:      arena that owns the result
 * @text:       bytes to copy
 * @bytes:      how many
 *
 * Return: the copy, or NULL if there is no memory.
 */
char *arena_copy(struct arena *arena, const char *text, size_t bytes);

/**
 * arena_print() - format text
 * @arena:      arena that owns the result
 * @format:     as in printf(3)
 *
 * Return: the text, or NULL if there is no memory.
 */
char *arena_print(struct arena *arena, const char *format, ...)
        __attribute__((format(printf, 2, 3)));

/**
 * arena_free() - free everything
 * @arena:      arena, empty afterwards
 */
void arena_free(struct arena *arena);

#endif
