#ifndef SLIPRING_BUS_MANAGER_SPECS_H
#define SLIPRING_BUS_MANAGER_SPECS_H

#include <stdlib.h>

#include "bus/header.h"
#include "schema/schema.h"

/*
 * specs_make() - a schema's topics as the medium wants them
 * @schema:     stays in use by the result
 *
 * Return: an array of as many, to free(3); NULL without memory.
 */
struct topic_spec *specs_make(const struct schema *schema);

/* For _cleanup_(). */
static inline void specs_freep(struct topic_spec **specs) {
        free(*specs);
}

#endif
