#ifndef SLIPRING_SCHEMA_SHAPE_H
#define SLIPRING_SCHEMA_SHAPE_H

/*
 * From a message of ROS 2 to one of a fixed size: its strings get values, its sequences lengths.
 */

#include "schema/loader.h"
#include "schema/msg.h"

/**
 * shape_read() - lay a topic's message out as CDR has it
 * @loader:     loader
 * @definition: definition to fill; DONE afterwards, BROKEN where a mistake was reported
 * @msg:        the message
 * @key:        the topic's key; its value may have "const", "lengths" and "bounds"
 *
 * Return: 0 (also with mistakes), -ENOMEM if there is no memory.
 */
int shape_read(struct loader *loader,
               struct schema_definition *definition,
               struct msg *msg,
               const struct node *key);

/**
 * shape_text_lines() - write the canonical text of a message without those that it uses
 * @buffer:     text to append to
 * @msg:        message; need not be resolved
 */
void shape_text_lines(struct buffer *buffer, const struct msg *msg);

/**
 * shape_text() - write the canonical text of a message, with those that it uses
 * @ret_text:   set on success
 * @msg:        message
 * @arena:      owns the text
 * @mark:       a number that no walk over these messages has used before
 *
 * Return: 0, -ENOMEM if there is no memory.
 */
int shape_text(const char **ret_text, struct msg *msg, struct arena *arena, uint32_t mark);

#endif
