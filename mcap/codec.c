#include <errno.h>
#include <lz4frame.h>
#include <string.h>
#include <zstd.h>

#include "mcap/codec.h"

static const char *const names[MCAP_COMPRESSION_COUNT] = {
        [MCAP_COMPRESSION_NONE] = "",
        [MCAP_COMPRESSION_ZSTD] = "zstd",
        [MCAP_COMPRESSION_LZ4] = "lz4",
};

const char *mcap_compression_name(enum mcap_compression compression) {
        return names[compression];
}

int mcap_compression_of(struct mcap_text name) {
        int i;

        for (i = 0; i < MCAP_COMPRESSION_COUNT; i++) {
                if (mcap_text_is(name, names[i])) {
                        return i;
                }
        }
        return -EPROTONOSUPPORT;
}

static int pack_zstd(struct mcap_codec *codec,
                     int level,
                     const void *data,
                     size_t bytes,
                     struct mcap_buffer *packed) {
        size_t done;

        if (!codec->zstd_in) {
                codec->zstd_in = ZSTD_createCCtx();
        }
        if (!codec->zstd_in || !mcap_buffer_reserve(packed, ZSTD_compressBound(bytes))) {
                return -ENOMEM;
        }
        done = ZSTD_compressCCtx(codec->zstd_in, packed->data, packed->room, data, bytes,
                                 level ? level : 1);
        if (ZSTD_isError(done)) {
                return -ENOMEM;
        }
        packed->bytes = done;
        return 0;
}

static int pack_lz4(int level, const void *data, size_t bytes, struct mcap_buffer *packed) {
        LZ4F_preferences_t preferences = {
                /* Of a frame that is cut short whole blocks can be had again. */
                .frameInfo = {.blockSizeID = LZ4F_max256KB, .contentSize = bytes},
                .compressionLevel = level,
        };
        size_t done;

        if (!mcap_buffer_reserve(packed, LZ4F_compressFrameBound(bytes, &preferences))) {
                return -ENOMEM;
        }
        done = LZ4F_compressFrame(packed->data, packed->room, data, bytes, &preferences);
        if (LZ4F_isError(done)) {
                return -ENOMEM;
        }
        packed->bytes = done;
        return 0;
}

int mcap_pack(struct mcap_codec *codec,
              enum mcap_compression compression,
              int level,
              const void *data,
              size_t bytes,
              struct mcap_buffer *packed) {
        packed->bytes = 0;
        if (compression == MCAP_COMPRESSION_ZSTD) {
                return pack_zstd(codec, level, data, bytes, packed);
        }
        return pack_lz4(level, data, bytes, packed);
}

bool mcap_unpack_plausible(enum mcap_compression compression, uint64_t packed, uint64_t bytes) {
        switch (compression) {
        case MCAP_COMPRESSION_ZSTD:
                /* A block is 128 KiB at most and 4 bytes at least. */
                return bytes / (32u << 10) <= packed;
        case MCAP_COMPRESSION_LZ4:
                /* Each byte lengthens a match by 255 at most. */
                return bytes / 255 <= packed;
        default:
                return bytes == packed;
        }
}

static int unpack_zstd(struct mcap_codec *codec,
                       const void *packed,
                       size_t packed_bytes,
                       void *data,
                       size_t bytes) {
        if (!codec->zstd_out) {
                codec->zstd_out = ZSTD_createDCtx();
        }
        if (!codec->zstd_out) {
                return -ENOMEM;
        }
        /* In one go: no window is allocated, whatever the frame asks for. */
        return ZSTD_decompressDCtx(codec->zstd_out, data, bytes, packed, packed_bytes) == bytes
                       ? 0
                       : -EBADMSG;
}

/* As much as comes out; *ret_whole: the frame ended where the data did. */
static size_t unpack_lz4(struct mcap_codec *codec,
                         const uint8_t *packed,
                         size_t packed_bytes,
                         uint8_t *data,
                         size_t room,
                         bool *ret_whole) {
        LZ4F_dctx *context = codec->lz4_out;
        size_t in, out, wanted = 1, done = 0;
        uint8_t nothing;

        *ret_whole = false;
        /* A chunk that says that it has no bytes has no buffer either. */
        data = data ? data : &nothing;
        if (!context) {
                if (LZ4F_isError(LZ4F_createDecompressionContext(&context, LZ4F_VERSION))) {
                        return 0;
                }
                codec->lz4_out = context;
        }
        /* What a damaged chunk left behind. */
        LZ4F_resetDecompressionContext(context);
        while (packed_bytes > 0) {
                in = packed_bytes;
                out = room - done;
                wanted = LZ4F_decompress(context, data + done, &out, packed, &in, NULL);
                if (LZ4F_isError(wanted) || (in == 0 && out == 0)) {
                        return done;
                }
                packed += in;
                packed_bytes -= in;
                done += out;
        }
        *ret_whole = wanted == 0;
        return done;
}

/* Block by block, with a window; no larger one than common levels ask for. */
static size_t unpack_zstd_prefix(struct mcap_codec *codec,
                                 const void *packed,
                                 size_t packed_bytes,
                                 void *data,
                                 size_t room) {
        ZSTD_inBuffer in = {.src = packed, .size = packed_bytes};
        ZSTD_outBuffer out = {.dst = data, .size = room};
        size_t before, r = 1;

        if (!codec->zstd_out) {
                codec->zstd_out = ZSTD_createDCtx();
        }
        if (!codec->zstd_out ||
            ZSTD_isError(ZSTD_DCtx_reset(codec->zstd_out, ZSTD_reset_session_and_parameters)) ||
            ZSTD_isError(ZSTD_DCtx_setParameter(codec->zstd_out, ZSTD_d_windowLogMax, 23))) {
                return 0;
        }
        do {
                before = in.pos + out.pos;
                r = ZSTD_decompressStream(codec->zstd_out, &out, &in);
        } while (!ZSTD_isError(r) && r > 0 && in.pos + out.pos > before);
        (void) ZSTD_DCtx_reset(codec->zstd_out, ZSTD_reset_session_and_parameters);
        return out.pos;
}

size_t mcap_unpack_prefix(struct mcap_codec *codec,
                          enum mcap_compression compression,
                          const void *packed,
                          size_t packed_bytes,
                          void *data,
                          size_t room) {
        size_t bytes = packed_bytes < room ? packed_bytes : room;
        bool whole;

        switch (compression) {
        case MCAP_COMPRESSION_ZSTD:
                return unpack_zstd_prefix(codec, packed, packed_bytes, data, room);
        case MCAP_COMPRESSION_LZ4:
                return unpack_lz4(codec, packed, packed_bytes, data, room, &whole);
        default:
                /* Of a chunk that was cut before its first byte there is no buffer either. */
                if (bytes > 0) {
                        memcpy(data, packed, bytes);
                }
                return bytes;
        }
}

int mcap_unpack(struct mcap_codec *codec,
                enum mcap_compression compression,
                const void *packed,
                size_t packed_bytes,
                void *data,
                size_t bytes) {
        bool whole;

        switch (compression) {
        case MCAP_COMPRESSION_ZSTD:
                return unpack_zstd(codec, packed, packed_bytes, data, bytes);
        case MCAP_COMPRESSION_LZ4:
                return unpack_lz4(codec, packed, packed_bytes, data, bytes, &whole) == bytes &&
                                       whole
                               ? 0
                               : -EBADMSG;
        default:
                if (bytes != packed_bytes) {
                        return -EBADMSG;
                }
                if (bytes > 0) {
                        memcpy(data, packed, bytes);
                }
                return 0;
        }
}

void mcap_codec_free(struct mcap_codec *codec) {
        ZSTD_freeCCtx(codec->zstd_in);
        ZSTD_freeDCtx(codec->zstd_out);
        LZ4F_freeDecompressionContext(codec->lz4_out);
        *codec = (struct mcap_codec){0};
}
