#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "mcap/chunk.h"

/* Times, sizes, CRC, the longest name of a compression, and the length of the records. */
#define CHUNK_HEAD_MAX (8u + 8u + 8u + 4u + 4u + 32u + 8u)

static int
read_failed(const struct mcap_file *file, uint64_t offset, int code, struct mcap_error *reterr) {
        return mcap_error_at(reterr, code, file->name, offset, "cannot be read: %s",
                             code == -ENODATA ? "the file became shorter" : strerror(-code));
}

int mcap_record_at(const struct mcap_file *file,
                   uint64_t offset,
                   struct mcap_record *ret_record,
                   struct mcap_error *reterr) {
        uint8_t head[MCAP_RECORD_HEAD_BYTES];
        uint64_t left = file->bytes - offset;
        int r;

        if (left == 0) {
                return 0;
        }
        if (left < sizeof(head)) {
                return mcap_error_at(reterr, -ENODATA, file->name, offset,
                                     "the file ends inside a record; "
                                     "'slipring bag recover' rebuilds its index");
        }
        r = mcap_read_at(file->fd, head, sizeof(head), offset);
        if (r < 0) {
                return read_failed(file, offset, r, reterr);
        }
        *ret_record = (struct mcap_record){
                .offset = offset,
                .bytes = mcap_load_u64(head + 1),
                .opcode = head[0],
        };
        /* 0 is no opcode: blocks that a crash left empty. */
        if (head[0] == 0) {
                return mcap_error_at(reterr, -EBADMSG, file->name, offset,
                                     "not a record; 'slipring bag recover' keeps what is whole");
        }
        if (ret_record->bytes > left - sizeof(head)) {
                return mcap_error_at(reterr, -ENODATA, file->name, offset,
                                     "a record of %" PRIu64 " bytes is cut short after %" PRIu64
                                     "; 'slipring bag recover' rebuilds the index",
                                     ret_record->bytes, left - sizeof(head));
        }
        return 1;
}

int mcap_record_load(const struct mcap_file *file,
                     const struct mcap_record *record,
                     struct mcap_buffer *content,
                     struct mcap_error *reterr) {
        int r;

        if (record->bytes > file->memory_max) {
                return mcap_error_at(reterr, -EFBIG, file->name, record->offset,
                                     "a record of %" PRIu64
                                     " bytes is more than the limit of %" PRIu64,
                                     record->bytes, file->memory_max);
        }
        content->bytes = 0;
        if (!mcap_buffer_reserve(content, (size_t) record->bytes)) {
                content->failed = false;
                return mcap_error_at(reterr, -ENOMEM, file->name, record->offset,
                                     "no memory for a record of %" PRIu64 " bytes", record->bytes);
        }
        r = mcap_read_at(file->fd, content->data, (size_t) record->bytes,
                         record->offset + MCAP_RECORD_HEAD_BYTES);
        if (r < 0) {
                return read_failed(file, record->offset, r, reterr);
        }
        content->bytes = (size_t) record->bytes;
        return 0;
}

bool mcap_chunk_times(struct mcap_chunk *chunk) {
        if (chunk->start_ns == UINT64_MAX && chunk->end_ns == 0) {
                chunk->start_ns = 0;
        }
        return chunk->start_ns <= chunk->end_ns;
}

int mcap_chunk_head(const struct mcap_file *file,
                    const struct mcap_record *record,
                    bool cut,
                    struct mcap_chunk *ret_chunk,
                    struct mcap_error *reterr) {
        uint64_t begin = record->offset + MCAP_RECORD_HEAD_BYTES, there = file->bytes - begin;
        struct mcap_chunk chunk = {.offset = record->offset,
                                   .length = MCAP_RECORD_HEAD_BYTES + record->bytes};
        uint8_t head[CHUNK_HEAD_MAX];
        struct mcap_cursor cursor;
        struct mcap_text name;
        size_t bytes = sizeof(head);
        int r;

        bytes = record->bytes < bytes ? (size_t) record->bytes : bytes;
        bytes = there < bytes ? (size_t) there : bytes;
        r = mcap_read_at(file->fd, head, bytes, begin);
        if (r < 0) {
                return read_failed(file, record->offset, r, reterr);
        }
        cursor = mcap_cursor_over(head, bytes);
        chunk.start_ns = mcap_get_u64(&cursor);
        chunk.end_ns = mcap_get_u64(&cursor);
        chunk.bytes = mcap_get_u64(&cursor);
        chunk.crc = mcap_get_u32(&cursor);
        name = mcap_get_text(&cursor);
        chunk.packed_bytes = mcap_get_u64(&cursor);
        chunk.records_offset = begin + (uint64_t) (cursor.at - head);
        if (cursor.failed || chunk.packed_bytes != record->bytes - (uint64_t) (cursor.at - head) ||
            !mcap_chunk_times(&chunk)) {
                return mcap_error_at(reterr, cursor.failed && cut ? -ENODATA : -EBADMSG, file->name,
                                     record->offset,
                                     "a damaged chunk; 'slipring bag recover' keeps the others");
        }
        r = mcap_compression_of(name);
        if (r < 0) {
                return mcap_error_at(reterr, r, file->name, record->offset,
                                     "a chunk compressed with '%.*s'; there are 'zstd' and 'lz4'",
                                     (int) name.bytes, (const char *) name.data);
        }
        chunk.compression = (enum mcap_compression) r;
        *ret_chunk = chunk;
        return 0;
}

static int damaged(const struct mcap_file *file,
                   const struct mcap_chunk *chunk,
                   const char *what,
                   struct mcap_error *reterr) {
        return mcap_error_at(reterr, -EBADMSG, file->name, chunk->offset,
                             "%s; 'slipring bag recover' keeps the other chunks", what);
}

int mcap_chunk_load(struct mcap_file *file,
                    const struct mcap_chunk *chunk,
                    struct mcap_buffer *records,
                    struct mcap_error *reterr) {
        bool plain = chunk->compression == MCAP_COMPRESSION_NONE;
        struct mcap_buffer *stored = plain ? records : &file->packed;
        int r;

        if (!mcap_unpack_plausible(chunk->compression, chunk->packed_bytes, chunk->bytes)) {
                return damaged(file, chunk, "a chunk's sizes contradict each other", reterr);
        }
        if (chunk->bytes > file->memory_max || chunk->packed_bytes > file->memory_max) {
                return mcap_error_at(reterr, -EFBIG, file->name, chunk->offset,
                                     "a chunk of %" PRIu64
                                     " bytes is more than the limit of %" PRIu64,
                                     chunk->bytes, file->memory_max);
        }
        records->bytes = stored->bytes = 0;
        if (!mcap_buffer_reserve(records, (size_t) chunk->bytes) ||
            !mcap_buffer_reserve(stored, (size_t) chunk->packed_bytes)) {
                records->failed = stored->failed = false;
                return mcap_error_at(reterr, -ENOMEM, file->name, chunk->offset,
                                     "no memory for a chunk of %" PRIu64 " bytes", chunk->bytes);
        }
        r = mcap_read_at(file->fd, stored->data, (size_t) chunk->packed_bytes,
                         chunk->records_offset);
        if (r < 0) {
                return read_failed(file, chunk->offset, r, reterr);
        }
        if (!plain) {
                r = mcap_unpack(&file->codec, chunk->compression, stored->data,
                                (size_t) chunk->packed_bytes, records->data, (size_t) chunk->bytes);
        }
        if (r == -ENOMEM) {
                return mcap_error_at(reterr, r, file->name, chunk->offset,
                                     "no memory to decompress a chunk");
        }
        if (r < 0) {
                return damaged(file, chunk, "a chunk cannot be decompressed", reterr);
        }
        records->bytes = (size_t) chunk->bytes;
        if (chunk->crc && mcap_crc(0, records->data, records->bytes) != chunk->crc) {
                return damaged(file, chunk, "chunk CRC differs: the chunk is damaged", reterr);
        }
        return 0;
}

bool mcap_message_read(struct mcap_cursor content, struct mcap_parts *ret_parts) {
        ret_parts->channel_id = mcap_get_u16(&content);
        ret_parts->sequence = mcap_get_u32(&content);
        ret_parts->log_time_ns = mcap_get_u64(&content);
        ret_parts->publish_time_ns = mcap_get_u64(&content);
        ret_parts->data = (struct mcap_text){.data = content.at, .bytes = mcap_left(&content)};
        return !content.failed;
}

void mcap_file_free(struct mcap_file *file) {
        mcap_codec_free(&file->codec);
        mcap_buffer_free(&file->packed);
}
