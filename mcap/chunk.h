#ifndef SLIPRING_MCAP_CHUNK_H
#define SLIPRING_MCAP_CHUNK_H

#include "mcap/codec.h"

/*
 * Files read record by record, and chunks as a whole: bounds first, then memory, then the CRC.
 */

/* A file that is read. */
struct mcap_file {
        int fd;
        const char *name;    /* for messages */
        uint64_t bytes;      /* size */
        uint64_t memory_max; /* no chunk and no record held in memory may be larger */
        struct mcap_codec codec;
        struct mcap_buffer packed;
};

struct mcap_record {
        uint64_t offset; /* of its opcode */
        uint64_t bytes;  /* of its content */
        uint8_t opcode;
};

/* Where a chunk is and what it says of itself. */
struct mcap_chunk {
        uint64_t offset;
        uint64_t length; /* of the record, with its head */
        uint64_t start_ns;
        uint64_t end_ns;
        uint64_t records_offset; /* in the file */
        uint64_t packed_bytes;
        uint64_t bytes; /* uncompressed */
        uint32_t crc;   /* 0: none */
        enum mcap_compression compression;
        bool loose; /* not a chunk: records that stand in the file one after the other */
};

/* A message as it stands in the records of a chunk. */
struct mcap_parts {
        uint16_t channel_id;
        uint32_t sequence;
        uint64_t log_time_ns;
        uint64_t publish_time_ns;
        struct mcap_text data;
};

/* The record at @offset, which has to be in the file whole.
 * Return: 1, 0 at the end of the file, -ENODATA: cut short; -EBADMSG: no record; a read error. */
int mcap_record_at(const struct mcap_file *file,
                   uint64_t offset,
                   struct mcap_record *ret_record,
                   struct mcap_error *reterr);

/* Its content, which takes memory. 0, -EBADMSG, -ENOMEM or a read error. */
int mcap_record_load(const struct mcap_file *file,
                     const struct mcap_record *record,
                     struct mcap_buffer *content,
                     struct mcap_error *reterr);

/* What a Chunk record says in front of its records. With @cut the record may be longer than the
 * file. 0, -EBADMSG, -EPROTONOSUPPORT: a compression that is none of ours; or a read error. */
int mcap_chunk_head(const struct mcap_file *file,
                    const struct mcap_record *record,
                    bool cut,
                    struct mcap_chunk *ret_chunk,
                    struct mcap_error *reterr);

/* The times of a chunk as it stands; false: they cannot be. Without messages they are 0 by the
 * specification, but the C++ writer has left them from the latest to the earliest there is. */
bool mcap_chunk_times(struct mcap_chunk *chunk);

/* The records of a chunk, whole and as their CRC wants them.
 * 0, -EBADMSG: damaged; -EFBIG: larger than memory_max; -ENOMEM or a read error. */
int mcap_chunk_load(struct mcap_file *file,
                    const struct mcap_chunk *chunk,
                    struct mcap_buffer *records,
                    struct mcap_error *reterr);

/* False: too short to be one. */
bool mcap_message_read(struct mcap_cursor content, struct mcap_parts *ret_parts);

void mcap_file_free(struct mcap_file *file);

#endif
