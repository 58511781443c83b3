#ifndef SLIPRING_BUS_CDR_H
#define SLIPRING_BUS_CDR_H

/*
 * Out of a bus, and onto it: the CDR message of a sample whose strings and sequences change.
 *
 *     r = cdr_compile(&cdr, type, &error);
 *     ...
 *     bytes = cdr_write(cdr, payload, message);
 *     r = cdr_read(cdr, message, bytes, room, &payload, &error);
 *     ...
 *     cdr = cdr_free(cdr);
 *
 * Such a sample is a C struct, with room for what may come, and CDR has only what is there. The
 * field tree of a type is compiled once into a list of runs: so many bytes at such an alignment, a
 * string, a loop over elements. Writing and reading neither allocate nor look at the tree. Of a
 * flat type (see type_is_flat()) the payload is the message, and nothing is copied on reading.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <slipring/sample.h>
#include <slipring/type.h>

/* What stands before each message: that it is CDR, little-endian. */
#define CDR_HEADER_BYTES 4u

struct cdr;

/*
 * cdr_compile() - how a type leaves the bus
 * @type:       a checked type, which must outlive the result
 *
 * Return: 0, -ENOMEM, or -E2BIG if its largest message has more than 2 GiB.
 */
int cdr_compile(struct cdr **ret_cdr,
                const struct slipring_type *type,
                struct slipring_error *reterr);

/* cdr_free() - takes NULL, too, and returns NULL */
struct cdr *cdr_free(struct cdr *cdr);

/* cdr_is_flat() - is the payload the message? */
bool cdr_is_flat(const struct cdr *cdr);

/* cdr_most_bytes() - what cdr_write() may write at most, header included */
uint32_t cdr_most_bytes(const struct cdr *cdr);

/*
 * cdr_payload() - begin a message whose payload is put into it as it is
 * @message:    room for it
 *
 * Return: where the payload goes.
 */
void *cdr_payload(void *message);

/*
 * cdr_write() - make a message of a payload
 * @payload:    of the type's length, in private memory: it may hold anything, as what is behind the
 *              bound of a string or sequence is left out, but must not change meanwhile
 * @message:    room for cdr_most_bytes()
 *
 * Return: bytes of the message, header included.
 */
uint32_t cdr_write(const struct cdr *cdr, const void *payload, void *message);

/*
 * cdr_is_filler() - is what stands behind a message's last field none of the message?
 * @message:    header first
 * @used:       bytes up to the end of its last field
 * @bytes:      all of them, at least as many
 *
 * Senders fill up to a multiple of four. Of what the header counts as filler it does not matter
 * what it is; Cyclone DDS fills with zeros and does not say so.
 *
 * Return: true if it is, also if there is nothing.
 */
bool cdr_is_filler(const void *message, size_t used, size_t bytes);

/*
 * cdr_read() - make a payload of a message
 * @message:    from outside, any bytes; header first
 * @bytes:      its length
 * @room:       for a payload; all of it is written, but not if the type is flat
 * @ret_payload: set on success, to @room or into @message
 * @reterr:     which field does not fit, and why
 *
 * Return: 0 or -EBADMSG.
 */
int cdr_read(const struct cdr *cdr,
             const void *message,
             size_t bytes,
             void *room,
             const void **ret_payload,
             struct slipring_error *reterr);

#endif
