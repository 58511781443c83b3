#ifndef SLIPRING_MCAP_RECOVER_H
#define SLIPRING_MCAP_RECOVER_H

#include "mcap/reader.h"
#include "mcap/writer.h"

/**
 * struct mcap_recovery - what was saved from a file
 * @chunks:             whole and undamaged, taken as they were
 * @chunks_lost:        damaged, or cut short
 * @messages:           in the new file
 * @messages_unchecked: of these, whole but of no CRC: of a last chunk that was cut short, whose CRC
 *                      covers what is gone, or behind damage in a file without chunks
 * @messages_lost:      outside of chunks, damaged or of a channel that nothing describes
 * @messages_expected:  that the old index counted; 0: it had none
 * @bytes_skipped:      in which nothing whole was found
 * @bytes_in_vain:      of what looked like chunks and was none, and of records that were looked
 *                      into a second time: never more than four times the size of the file
 * @gave_up:            for that reason not all that looked like a chunk was tried
 * @damage:             the first one that was found; code 0: none
 */
struct mcap_recovery {
        uint64_t chunks;
        uint64_t chunks_lost;
        uint64_t messages;
        uint64_t messages_unchecked;
        uint64_t messages_lost;
        uint64_t messages_expected;
        uint64_t bytes_skipped;
        uint64_t bytes_in_vain;
        bool gave_up;
        struct mcap_error damage;
};

/**
 * mcap_recover() - save what is whole in a file, and index it
 * @from_fd:    the file, open for reading
 * @from_name:  its name, for messages
 * @to_fd:      an empty regular file, open for reading and writing
 * @to_name:    its name, for messages
 * @memory_max: in bytes, for a chunk, 0: 1.5 GiB
 * @ret_recovery: set on success, and if @to_fd became full
 * @reterr:     set on failure
 *
 * Chunks go over as they are, compressed; where the chain of records is broken the next chunk is
 * looked for, or in a file without chunks the next records that follow each other.
 *
 * Return: 0; 1: the new file is complete, but the disk was full before all was in it; -EBADMSG:
 *         not an MCAP file; -EINVAL, -ENOMEM, or a read or write error.
 * Context: May sleep, reading all of the file.
 */
int mcap_recover(int from_fd,
                 const char *from_name,
                 int to_fd,
                 const char *to_name,
                 uint64_t memory_max,
                 struct mcap_recovery *ret_recovery,
                 struct mcap_error *reterr);

#endif
