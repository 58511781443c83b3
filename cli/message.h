#ifndef SLIPRING_CLI_MESSAGE_H
#define SLIPRING_CLI_MESSAGE_H

/*
 * A message as YAML, for `slipring pub`: "{voltage: 12.4, cells: [{state: 1}]}".
 */

#include <stdbool.h>

#include <slipring/sample.h>
#include <slipring/type.h>

/**
 * message_write() - write a message from YAML
 * @type:       its type
 * @yaml:       a mapping of field names; block or flow style, one document
 * @now_ns:     CLOCK_REALTIME, for times that say "now"
 * @payload:    room for the type's payload; all of it is written: what @yaml does not name is zero
 * @ret_now:    set to whether a time said "now"; may be NULL
 * @reterr:     which field is wrong, why, and what may have been meant
 *
 * An array may be given fewer elements than it has.
 *
 * Return: 0, -EINVAL for wrong YAML, an unknown field or a value of another kind, -ERANGE for a
 *         value that does not fit, -ENOMEM.
 */
int message_write(const struct slipring_type *type,
                  const char *yaml,
                  uint64_t now_ns,
                  void *payload,
                  bool *ret_now,
                  struct slipring_error *reterr);

#endif
