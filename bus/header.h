#ifndef SLIPRING_BUS_HEADER_H
#define SLIPRING_BUS_HEADER_H

#include "bus/layout.h"
#include "bus/ring.h"

/* What a topic is to be, as the schema says it. */
struct topic_spec {
        const char *name;
        const char *description;
        const struct slipring_type *type;
        uint32_t depth;
        uint32_t waiters;
        uint32_t pins;
        double rate_hz;
        uint32_t publishers;  /* enum layout_publishers */
        uint32_t wake;        /* enum layout_wake */
        uint32_t huge_pages;  /* enum layout_huge_pages */
        uint32_t memory_lock; /* enum layout_memory_lock */
        uint64_t deadline_ns;
        uid_t uid;
        gid_t gid;
        unsigned mode;
};

/*
 * header_segment_bytes() - the size of a topic's data segment
 *
 * Header, field records and strings, rounded up to a page; the publisher's words; with pins, the
 * places; slots of 64 bytes and the payload rounded up to 64, depth of them or, with pins, depth +
 * pins + 1; all rounded up to a page.
 *
 * Return: bytes; UINT64_MAX if it does not fit 63 bits.
 */
uint64_t header_segment_bytes(const struct topic_spec *spec);

/*
 * header_build() - the header of a data segment, with all tables, magic and state left 0
 * @spec:               the topic
 * @instance:           of the bus
 * @generation:         of the directory
 * @ret_header:         set to zero-filled memory of @ret_bytes, to free(3)
 *
 * The same arguments give the same bytes: adoption compares.
 *
 * Return: 0 or -ENOMEM.
 */
int header_build(const struct topic_spec *spec,
                 uint64_t instance,
                 uint64_t generation,
                 struct layout_header **ret_header,
                 size_t *ret_bytes);

/* A header that was read and checked, in private memory. */
struct header {
        struct layout_header *copy; /* with its tables */
        struct slipring_field *fields;
        struct slipring_type type; /* points into the two */
        const char *topic_name;
};

/*
 * header_read() - copy a segment's header once, check it all and make it usable
 * @ret_header:         set on success, to be freed with header_free()
 * @address:            the mapped segment, which its publisher may be changing
 * @segment_bytes:      its size as the kernel says
 * @kind:               enum layout_kind
 * @what:               for messages
 *
 * Return: 0, -EAGAIN without magic (not finished), -EPROTONOSUPPORT for another layout version,
 *         -EBADMSG if any number in it does not fit the others, -ENOMEM.
 */
int header_read(struct header *ret_header,
                const void *address,
                uint64_t segment_bytes,
                uint32_t kind,
                const char *what,
                struct slipring_error *reterr);

void header_free(struct header *header);

/*
 * header_ring() - the ring of a mapped segment whose header was read
 */
struct ring header_ring(const struct header *header, void *address);

/*
 * header_directory() - the header of a directory segment, which has no type
 */
struct layout_header header_directory(uint64_t instance);

#endif
