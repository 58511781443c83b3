#ifndef SLIPRING_MCAP_INTERNAL_H
#define SLIPRING_MCAP_INTERNAL_H

#include "mcap/reader.h"
#include "mcap/writer.h"

/* What recover.c needs of the reader and the writer, and nobody else. */

/* --- the reader's --- */

/* The magic and the header, of which the texts are set. As mcap_reader_open(); sets @ret_offset to
 * what follows. */
int mcap_file_open(struct mcap_file *file,
                   int fd,
                   const char *name,
                   uint64_t memory_max,
                   char profile[64],
                   char library[64],
                   uint64_t *ret_offset,
                   struct mcap_error *reterr);

/* Only by the index: -EBADMSG if there is none, or it is damaged. */
int mcap_reader_open_indexed(struct mcap_reader **ret_reader,
                             int fd,
                             const char *name,
                             uint64_t memory_max);

/* --- the writer's: what another file has --- */

/* The content of a Schema or Channel record, with the number it has. As mcap_catalogue_schema(). */
int mcap_writer_adopt(struct mcap_writer *writer,
                      enum mcap_opcode opcode,
                      const void *content,
                      size_t bytes);

/* A chunk of @source and its uncompressed records: goes as it is, with an index of its own.
 * 0, -EBADMSG: its records are not what a chunk holds; or as mcap_writer_flush(). */
int mcap_writer_adopt_chunk(struct mcap_writer *writer,
                            const struct mcap_file *source,
                            const struct mcap_chunk *chunk,
                            const struct mcap_buffer *records,
                            struct mcap_error *reterr);

/* The content of a Metadata or Attachment record. 0, -EBADMSG or -ENOMEM. */
int mcap_writer_adopt_record(struct mcap_writer *writer,
                             enum mcap_opcode opcode,
                             const void *content,
                             size_t bytes);

#endif
