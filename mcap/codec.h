#ifndef SLIPRING_MCAP_CODEC_H
#define SLIPRING_MCAP_CODEC_H

#include "mcap/format.h"

/* How a chunk's records are stored. */
enum mcap_compression {
        MCAP_COMPRESSION_NONE,
        MCAP_COMPRESSION_ZSTD,
        MCAP_COMPRESSION_LZ4, /* LZ4 frames */
        MCAP_COMPRESSION_COUNT,
};

/* Name in a chunk: "", "zstd", "lz4". */
const char *mcap_compression_name(enum mcap_compression compression);
/* -EPROTONOSUPPORT: none of the three. */
int mcap_compression_of(struct mcap_text name);

/* What is kept from chunk to chunk. All zeros at first. */
struct mcap_codec {
        void *zstd_in;
        void *zstd_out;
        void *lz4_out;
};

/* Replaces what is in @packed. 0 or -ENOMEM. @level 0: the fast default. */
int mcap_pack(struct mcap_codec *codec,
              enum mcap_compression compression,
              int level,
              const void *data,
              size_t bytes,
              struct mcap_buffer *packed);

/* Whether @packed bytes can become @bytes at all: what says otherwise is refused before memory is
 * taken for it. */
bool mcap_unpack_plausible(enum mcap_compression compression, uint64_t packed, uint64_t bytes);

/* Fills @data to the last byte. 0, -EBADMSG: damaged, or not of that size; -ENOMEM. */
int mcap_unpack(struct mcap_codec *codec,
                enum mcap_compression compression,
                const void *packed,
                size_t packed_bytes,
                void *data,
                size_t bytes);

/* The same of packed data that end too early: as much as comes out, at most @room bytes; how many.
 * Nothing says whether they are right. */
size_t mcap_unpack_prefix(struct mcap_codec *codec,
                          enum mcap_compression compression,
                          const void *packed,
                          size_t packed_bytes,
                          void *data,
                          size_t room);
void mcap_codec_free(struct mcap_codec *codec);

#endif
