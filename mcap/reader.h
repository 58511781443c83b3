#ifndef SLIPRING_MCAP_READER_H
#define SLIPRING_MCAP_READER_H

#include "mcap/catalogue.h"
#include "mcap/chunk.h"

/*
 * A reader of MCAP files, in the order of log time. With an index it reads the chunks that hold
 * what is wanted, and no others; without one (a recorder was killed, or still writes) it looks
 * through the file first and then does the same. Files come from anywhere: each length in them is
 * compared with what is there, or with a limit, before it is used.
 */

struct mcap_reader;

/**
 * struct mcap_summary - what a file holds
 * @catalogue:          schemas, and channels with their counts of messages
 * @indexed:            it has an index, which holds together
 * @damage:             code 0: none. Else why it had to be looked through, and where that ended:
 *                      what is read is what lies before, and a remedy stands in the text
 * @message_count:      of all channels
 * @start_ns:           log time of the first message, in ns since the Unix epoch; 0: there is none
 * @end_ns:             log time of the last one
 * @chunk_count:        chunks
 * @compressions:       how many of them are compressed with what, by enum mcap_compression
 * @packed_bytes:       of all chunks' records, as they are stored
 * @bytes:              of all chunks' records
 * @attachment_count:   attachments
 * @metadata_count:     Metadata records
 * @file_bytes:         size of the file
 * @profile:            what its channels and messages keep to: "ros2", or empty
 * @library:            who wrote it
 */
struct mcap_summary {
        struct mcap_catalogue catalogue;
        bool indexed;
        struct mcap_error damage;
        uint64_t message_count;
        uint64_t start_ns;
        uint64_t end_ns;
        uint64_t chunk_count;
        uint64_t compressions[MCAP_COMPRESSION_COUNT];
        uint64_t packed_bytes;
        uint64_t bytes;
        uint64_t attachment_count;
        uint64_t metadata_count;
        uint64_t file_bytes;
        char profile[64];
        char library[64];
};

/**
 * struct mcap_message - a message that was read
 * @channel:            of the summary's catalogue
 * @sequence:           its number on its topic, as it was written
 * @log_time_ns:        since the Unix epoch
 * @publish_time_ns:    since the Unix epoch
 * @data:               until the next call on the reader; not aligned
 * @bytes:              of the data
 */
struct mcap_message {
        const struct mcap_channel *channel;
        uint32_t sequence;
        uint64_t log_time_ns;
        uint64_t publish_time_ns;
        const uint8_t *data;
        size_t bytes;
};

/**
 * mcap_reader_open() - look what a file holds
 * @ret_reader: set on success; reads every message
 * @fd:         regular file, open for reading; stays the caller's, and must not be closed before
 * @name:       its name, for messages
 * @memory_max: in bytes, how much chunks may take that overlap in time, 0: 1.5 GiB
 * @reterr:     set on failure
 *
 * Return: 0; a damaged file is none of the errors, see mcap_reader_summary(). -EBADMSG: not an
 *         MCAP file; -EINVAL: not a regular file; -ENOMEM or a read error.
 * Context: Setup only: allocates and reads, all of the file if it has no index.
 */
int mcap_reader_open(struct mcap_reader **ret_reader,
                     int fd,
                     const char *name,
                     uint64_t memory_max,
                     struct mcap_error *reterr);

/**
 * mcap_reader_summary() - what the file holds
 * @reader:     reader
 *
 * Return: as long as the reader is open.
 * Context: RT-safe: no call, no allocation.
 */
const struct mcap_summary *mcap_reader_summary(const struct mcap_reader *reader);

/**
 * struct mcap_metadata - a named list of keys and values
 * @name:       of the list
 * @pairs:      what mcap_get_pair() takes them from
 */
struct mcap_metadata {
        struct mcap_text name;
        struct mcap_cursor pairs;
};

/**
 * mcap_reader_metadata() - read one of the lists that stand in the file
 * @reader:     reader
 * @index:      which one, from 0, in the order of the file
 * @ret_metadata: set if there is one; until the next call on the reader
 * @reterr:     set on failure
 *
 * No checksum covers them: a list may have other letters than were written.
 *
 * Return: 1; 0: there are no more; -EBADMSG: this one is damaged; -EFBIG: it is more than
 *         memory_max; -ENOMEM or a read error.
 * Context: May sleep, in read(2).
 */
int mcap_reader_metadata(struct mcap_reader *reader,
                         uint64_t index,
                         struct mcap_metadata *ret_metadata,
                         struct mcap_error *reterr);

/**
 * mcap_filter() - whether messages of a channel are wanted
 * @channel:    of the file
 * @context:    of mcap_reader_select()
 *
 * Return: true if they are.
 * Context: May sleep: it is asked once for each channel, before anything is read.
 */
typedef bool mcap_filter(const struct mcap_channel *channel, void *context);

/**
 * mcap_reader_select() - begin again, with some of the messages
 * @reader:     reader
 * @wanted:     which channels; NULL: all
 * @context:    for @wanted
 * @start_ns:   no messages with an earlier log time
 * @end_ns:     and none with a later one; UINT64_MAX: to the end
 *
 * Return: 0 or -ENOMEM.
 * Context: Setup only: allocates.
 */
int mcap_reader_select(struct mcap_reader *reader,
                       mcap_filter *wanted,
                       void *context,
                       uint64_t start_ns,
                       uint64_t end_ns);

/**
 * mcap_reader_next() - the next message in the order of log time
 * @reader:     reader
 * @ret_message: set if there is one
 * @reterr:     set on failure
 *
 * Messages of one time come in the order of the file. What fails here fails again.
 *
 * Return: 1; 0 after the last one; -EBADMSG: a chunk is damaged, or contradicts the index; -EFBIG:
 *         it, or those that overlap in time, are more than memory_max; -EPROTONOSUPPORT: an unknown
 *         compression; -ENOMEM or a read error.
 * Context: May sleep, in read(2).
 */
int mcap_reader_next(struct mcap_reader *reader,
                     struct mcap_message *ret_message,
                     struct mcap_error *reterr);

/**
 * mcap_reader_close() - free a reader
 * @reader:     reader, may be NULL
 *
 * Return: nothing.
 * Context: Setup only.
 */
void mcap_reader_close(struct mcap_reader *reader);

#endif
