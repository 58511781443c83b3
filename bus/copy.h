#ifndef SLIPRING_BUS_COPY_H
#define SLIPRING_BUS_COPY_H

#include <stddef.h>

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
void copy_to_slot(void *slot, const void *from, size_t bytes);
void copy_from_slot(void *to, const void *slot, size_t bytes);

#endif
