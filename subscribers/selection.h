#ifndef SLIPRING_SUBSCRIBERS_SELECTION_H
#define SLIPRING_SUBSCRIBERS_SELECTION_H

#include <stdbool.h>

#include <slipring/sample.h>
#include <slipring/type.h>

/*
 * A part of a message, named as people name it: "acceleration.x", "cells[2].voltage", "stamp.sec".
 *
 * What is selected is again a field record, with its offset from the start of the message, so that
 * all that walks fields takes a selection too. The whole message is one: a struct of the roots.
 */

/* Why a path leads nowhere, for a did-you-mean. */
struct selection_failure {
        char word[SLIPRING_TYPE_NAME_MAX + 1]; /* the name that no field has; "" for other causes */
        uint32_t first;                        /* the fields it was looked for among */
        uint32_t count;
};

/*
 * selection_all() - the whole message
 */
struct slipring_field selection_all(const struct slipring_type *type);

/*
 * selection_find() - the part that a path names
 * @ret_field:          set on success; its names belong to @type
 * @path:               field names and [indexes]
 * @reterr_failure:     set on failure; may be NULL
 *
 * Padding and lengths cannot be selected.
 *
 * Return: 0, -ENOENT if there is no such field, -EINVAL for an index out of range, for a path into
 *         an array without index or into a number, or for one that is malformed.
 */
int selection_find(struct slipring_field *ret_field,
                   const struct slipring_type *type,
                   const char *path,
                   struct selection_failure *reterr_failure,
                   struct slipring_error *reterr);

/*
 * selection_member() - one member of a struct, time or duration
 * @type:       the type that @parent is of
 * @parent:     a selection
 * @name:       the member's name
 * @length:     the name's length in bytes
 * @ret_field:  set to the member, with its offset from the start of the message, and its struct's
 *              unit if it has none of its own
 *
 * Return: 0 or -ENOENT.
 */
int selection_member(const struct slipring_type *type,
                     const struct slipring_field *parent,
                     const char *name,
                     size_t length,
                     struct slipring_field *ret_field);

/*
 * selection_count() - elements of an array or a list, 0 of anything else; of a sequence as many as
 * may be
 */
uint32_t selection_count(const struct slipring_type *type, const struct slipring_field *field);

/*
 * selection_is_missing() - is a selection behind the end of a sequence?
 * @payload:    the message in which it would be; may be changing meanwhile
 */
bool selection_is_missing(const struct slipring_type *type,
                          const struct slipring_field *field,
                          const void *payload);

/*
 * selection_paths() - look at what stands at each path of a type, without indexes
 * @visit:      called in the order of the message with fields and, by the path of their array and
 *              as @element, with the elements of sequences and the first one of lists; the path is
 *              not kept
 *
 * Return: 0, -ENOMEM if there is no memory.
 */
int selection_paths(const struct slipring_type *type,
                    void (*visit)(void *userdata,
                                  const char *path,
                                  const struct slipring_field *field,
                                  bool element),
                    void *userdata);

/* A walk over the elements of an array, a list or a sequence; @next begins at 0. */
struct selection_walk {
        const struct slipring_type *type;
        const void *payload; /* of a sequence what is there; NULL: all that may be */
        struct slipring_field array;
        uint32_t next;
};

/*
 * selection_walk_next() - the next element
 * @ret_element:        set to it, with its offset from the start of the message; it has the name of
 *                      the array
 *
 * Return: false behind the last one.
 */
bool selection_walk_next(struct selection_walk *walk, struct slipring_field *ret_element);

#endif
