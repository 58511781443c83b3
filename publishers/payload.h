#ifndef SLIPRING_PUBLISHERS_PAYLOAD_H
#define SLIPRING_PUBLISHERS_PAYLOAD_H

#include <stdbool.h>

#include <slipring/sample.h>
#include <slipring/type.h>

/*
 * Numbers as people write them, into messages: the other direction of subscribers/render.h.
 */

/*
 * payload_set() - write one number
 * @field:      what it is for; its kind is not STRUCT
 * @path:       the field's full name, for messages
 * @text:       as written: YAML's integers (also 0x, 0o), floats (.nan, .inf), booleans; for a time
 *              "now" or seconds with a fraction, for a duration seconds with a fraction
 * @now_ns:     CLOCK_REALTIME for "now"
 * @to:         the element's place in the message
 *
 * Nothing is rounded into range: what does not fit is refused, and so is a fraction for a whole
 * number.
 *
 * Return: 0, -ERANGE for a number that the field cannot hold, -EINVAL for what is no such number.
 */
int payload_set(const struct slipring_field *field,
                const char *path,
                const char *text,
                uint64_t now_ns,
                void *to,
                struct slipring_error *reterr);

/*
 * payload_set_text() - fill a field of which type_is_text() is true
 * @to:         the field's place in the message; what follows the text becomes zeros
 *
 * Return: 0, -ERANGE if the text is longer than the field.
 */
int payload_set_text(const struct slipring_field *field,
                     const char *path,
                     const char *text,
                     void *to,
                     struct slipring_error *reterr);

/*
 * payload_is_now() - does this text mean the present, so that a message has to be written anew each
 * time? "now" and "auto", as `ros2 topic pub` has them.
 */
bool payload_is_now(const char *text);

#endif
