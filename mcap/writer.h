#ifndef SLIPRING_MCAP_WRITER_H
#define SLIPRING_MCAP_WRITER_H

#include "mcap/catalogue.h"
#include "mcap/chunk.h"

/*
 * A writer of MCAP files, made for a recorder: a message is reserved in the chunk's memory, copied
 * straight there from shared memory, and kept or given back once it is known whether the copy is
 * whole. So a sample is copied once on its way to the file.
 *
 * The file on the disk is at any time a prefix of whole records: what a killed writer leaves is
 * read as it is, or gets its index back from mcap_recover(). A disk that becomes full costs the
 * chunk that did not fit and what came after; room for the index is kept beside each chunk, so the
 * file that is closed then is complete and indexed.
 */

struct mcap_writer;

/**
 * struct mcap_writer_options - how a file is written
 * @profile:            what channels and messages keep to, for the header; NULL: none. "ros2"
 *                      promises metadata of ROS 2 that a bus does not have
 * @library:            who wrote it, for the header; NULL: "slipring"
 * @compression:        of the chunks
 * @level:              of the compression, 0: the fast default
 * @chunk_bytes:        a chunk is written before it would become larger, 0: 1 MiB. A message that
 *                      is larger than this gets a chunk of its own
 * @chunk_ns:           a chunk is written once its messages span this much log time, 0: 1 s.
 *                      A recorder whose topics fall silent calls mcap_writer_flush() by the clock
 */
struct mcap_writer_options {
        const char *profile;
        const char *library;
        enum mcap_compression compression;
        int level;
        uint64_t chunk_bytes;
        uint64_t chunk_ns;
};

/**
 * struct mcap_writer_counts - what has become of what was given to a writer
 * @messages:           committed and, as far as anybody can tell, in the file or in the chunk that
 *                      is being filled
 * @message_bytes:      of the data of all that were committed
 * @lost:               committed, but the disk was full or broken when their chunk was written
 * @chunks:             in the file
 * @file_bytes:         written so far; the size of the file once it is closed
 * @pending_bytes:      in the chunk that is being filled
 */
struct mcap_writer_counts {
        uint64_t messages;
        uint64_t message_bytes;
        uint64_t lost;
        uint64_t chunks;
        uint64_t file_bytes;
        uint64_t pending_bytes;
};

/**
 * mcap_writer_open() - begin a file
 * @ret_writer: set on success
 * @fd:         an empty regular file, open for reading and writing; stays the caller's, and must
 *              not be closed before the writer
 * @name:       its name, for messages
 * @options:    NULL: the defaults, without compression
 * @reterr:     set on failure
 *
 * A process that limits the size of its files (RLIMIT_FSIZE) has to ignore SIGXFSZ.
 *
 * Return: 0, -EINVAL: not an empty regular file, or no such compression; -ENOMEM; or a negative
 *         errno of the first write.
 * Context: Setup only: allocates and writes.
 */
int mcap_writer_open(struct mcap_writer **ret_writer,
                     int fd,
                     const char *name,
                     const struct mcap_writer_options *options,
                     struct mcap_error *reterr);

/**
 * mcap_writer_schema() - describe a type
 * @writer:     writer
 * @name:       of the type: "sensor_msgs/msg/Imu"
 * @encoding:   of the text: "ros2msg"
 * @data:       the text
 * @bytes:      its length, without a NUL
 * @ret_id:     set on success, from 1
 *
 * Return: 0, -ENOSPC: there are 65,535; -ENOMEM.
 * Context: Setup only: allocates. It reaches the file with the next chunk, in front of it.
 */
int mcap_writer_schema(struct mcap_writer *writer,
                       const char *name,
                       const char *encoding,
                       const void *data,
                       size_t bytes,
                       uint16_t *ret_id);

/**
 * mcap_writer_channel() - announce a topic
 * @writer:     writer
 * @schema_id:  of mcap_writer_schema(), or 0: none
 * @topic:      its name
 * @encoding:   of its messages: "cdr"
 * @metadata:   key, value, key, value, ..., NULL; or NULL
 * @ret_id:     set on success, from 1
 *
 * Return: 0, -EINVAL: no such schema; -ENOSPC: there are 65,535; -ENOMEM.
 * Context: Setup only: allocates. It reaches the file with the next chunk, in front of it.
 */
int mcap_writer_channel(struct mcap_writer *writer,
                        uint16_t schema_id,
                        const char *topic,
                        const char *encoding,
                        const char *const *metadata,
                        uint16_t *ret_id);

/**
 * mcap_writer_reserve() - make room for a message
 * @writer:     writer
 * @channel_id: of mcap_writer_channel()
 * @bytes:      the most that it will have
 * @ret_data:   set on success: where its data go, not aligned
 * @reterr:     set on failure
 *
 * Writes the chunk first if the message would not fit in it. Ends with mcap_writer_commit() or
 * mcap_writer_rollback(); nothing else may be done with the writer before.
 *
 * Return: 0, -EINVAL: no such channel, or a message is reserved already; -EMSGSIZE: more than
 *         MCAP_MESSAGE_MAX; -ENOMEM; or the negative errno of a write, then and for each later
 *         message: -ENOSPC, -EFBIG, -EDQUOT: the disk is full, which mcap_writer_close() knows how
 *         to end; -EIO and others.
 * Context: May sleep, in write(2).
 */
int mcap_writer_reserve(struct mcap_writer *writer,
                        uint16_t channel_id,
                        size_t bytes,
                        void **ret_data,
                        struct mcap_error *reterr);

/**
 * mcap_writer_commit() - keep the reserved message
 * @writer:     writer
 * @sequence:   number of the message on its topic, modulo 2^32
 * @log_time_ns: since the Unix epoch; the order of the file
 * @publish_time_ns: since the Unix epoch
 * @bytes:      that the data have, at most as many as were reserved
 * @reterr:     set on failure
 *
 * Log times need not come in order. Writes the chunk once it spans long enough.
 *
 * Return: 0, -EINVAL: nothing is reserved, or less than @bytes; -ENOMEM; or the negative errno of
 *         a write, see mcap_writer_reserve(). The message is lost then, and counted.
 * Context: May sleep, in write(2).
 */
int mcap_writer_commit(struct mcap_writer *writer,
                       uint32_t sequence,
                       uint64_t log_time_ns,
                       uint64_t publish_time_ns,
                       size_t bytes,
                       struct mcap_error *reterr);

/**
 * mcap_writer_rollback() - give the reserved message back: the copy was torn
 * @writer:     writer
 *
 * Return: nothing.
 * Context: RT-safe: no call, no allocation.
 */
void mcap_writer_rollback(struct mcap_writer *writer);

/**
 * mcap_writer_flush() - write what there is as a chunk
 * @writer:     writer
 * @reterr:     set on failure
 *
 * What is in a chunk that was not written is lost if the writer is killed.
 *
 * Return: 0, -ENOMEM, -ENODATA: somebody made the file shorter than what was written to it; or the
 *         negative errno of a write, see mcap_writer_reserve().
 * Context: May sleep, in write(2). Does not wait for the disk: that is fdatasync(2), the caller's.
 */
int mcap_writer_flush(struct mcap_writer *writer, struct mcap_error *reterr);

/**
 * mcap_writer_metadata() - a named list of keys and values
 * @writer:     writer
 * @name:       of the list
 * @pairs:      key, value, key, value, ..., NULL
 *
 * Return: 0 or -ENOMEM.
 * Context: Setup only: allocates. It reaches the file with the next chunk, in front of it.
 */
int mcap_writer_metadata(struct mcap_writer *writer, const char *name, const char *const *pairs);

/**
 * mcap_writer_attachment() - a file in the file, such as the bus's schema
 * @writer:     writer
 * @name:       of the file
 * @media_type: "application/yaml"
 * @time_ns:    when it was made, since the Unix epoch
 * @data:       what is in it
 * @bytes:      of it, at most MCAP_MESSAGE_MAX
 *
 * Return: 0, -EMSGSIZE or -ENOMEM.
 * Context: Setup only: allocates. It reaches the file with the next chunk, in front of it.
 */
int mcap_writer_attachment(struct mcap_writer *writer,
                           const char *name,
                           const char *media_type,
                           uint64_t time_ns,
                           const void *data,
                           size_t bytes);

/**
 * mcap_writer_counts() - what has been written, for a progress line
 * @writer:     writer
 * @ret_counts: set
 *
 * Return: nothing.
 * Context: RT-safe: no call, no allocation.
 */
void mcap_writer_counts(const struct mcap_writer *writer, struct mcap_writer_counts *ret_counts);

/**
 * mcap_writer_close() - write the last chunk and the index, and free the writer
 * @writer:     writer, freed whatever happens
 * @ret_counts: NULL, or set whatever happens: what is in the file, and what was lost
 * @reterr:     set on failure
 *
 * Where the disk is full, the file ends with the last chunk that fitted, and is complete; if even
 * the index does not fit, with the last chunk beside which it does.
 *
 * Return: 0; 1: the file is complete, but messages were lost, and @reterr says why; or a negative
 *         errno: the file has no index, and holds what mcap_recover() finds. -ENODATA: of a file
 *         that was made shorter what is left.
 * Context: May sleep, in write(2).
 */
int mcap_writer_close(struct mcap_writer *writer,
                      struct mcap_writer_counts *ret_counts,
                      struct mcap_error *reterr);

#endif
