/*
 * One buffer holds the records of the chunk that is being filled; what belongs in front of it
 * (schemas, channels, metadata) waits in another, and both go to the file with one pwritev(2), with
 * the chunk's index behind them. w->end moves only when all of it was written, so whatever fails in
 * between is cut off again.
 */

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include "mcap/internal.h"

#define CHUNK_BYTES (UINT64_C(1) << 20)
#define CHUNK_NS UINT64_C(1000000000)
#define IDS_MAX UINT16_MAX
/* Statistics without counts, seven summary offsets, DataEnd, footer, magic, and some to spare. */
#define TAIL_BYTES 512u
/* Chunk, offset and size of records before the pieces of a ChunkIndex that vary. */
#define MARK_BYTES 16u

/* Where the messages of one channel lie in the chunk that is being filled. */
struct marks {
        struct mcap_buffer list; /* log time u64, offset u64; as MessageIndex has them */
        uint64_t last_ns;
        bool unordered;
};

struct mcap_writer {
        int fd;
        char *name;
        enum mcap_compression compression;
        int level;
        uint64_t chunk_bytes;
        uint64_t chunk_ns;
        bool reserves_space; /* the file system can */
        int failed;          /* the first write that did not work, as negative errno */
        struct mcap_error error;
        struct mcap_codec codec;
        struct mcap_catalogue catalogue;

        uint64_t end; /* of what is in the file, whole records */
        struct mcap_buffer pending;
        struct mcap_buffer packed;
        struct mcap_buffer index;

        /* The chunk that is being filled. */
        struct mcap_buffer chunk;
        uint64_t chunk_messages;
        uint64_t chunk_start_ns;
        uint64_t chunk_end_ns;
        struct marks *marks; /* by number of the channel */
        size_t marks_room;
        uint16_t *used; /* channels with marks, in the order of their first message */
        size_t used_count;

        /* The reserved message: its head is where the chunk ends. */
        bool reserved;
        uint16_t reserved_channel;
        size_t reserved_bytes;

        /* For the summary: ready records, in the order of the file. */
        struct mcap_buffer chunk_indexes;
        struct mcap_buffer attachment_indexes;
        struct mcap_buffer metadata_indexes;
        /* The offsets of these are known when what is pending is written. */
        size_t attachments_placed;
        size_t metadata_placed;
        uint64_t pending_base;

        uint64_t messages; /* in whole chunks of the file */
        uint64_t message_bytes;
        uint64_t lost;
        uint64_t chunks;
        uint64_t start_ns;
        uint64_t end_ns;
        uint32_t attachments;
        uint32_t metadata;
};

/* --- the file --- */

static bool disk_full(int code) {
        return code == -ENOSPC || code == -EFBIG || code == -EDQUOT;
}

static int write_all(int fd, struct iovec *pieces, int count, uint64_t offset) {
        ssize_t done;

        while (count > 0) {
                if (pieces->iov_len == 0) {
                        pieces++;
                        count--;
                        continue;
                }
                done = pwritev(fd, pieces, count, (off_t) offset);
                if (done < 0 && errno == EINTR) {
                        continue;
                }
                if (done <= 0) {
                        return done < 0 ? -errno : -EIO;
                }
                offset += (uint64_t) done;
                while (count > 0 && (size_t) done >= pieces->iov_len) {
                        done -= (ssize_t) pieces->iov_len;
                        pieces++;
                        count--;
                }
                if (count > 0) {
                        pieces->iov_base = (uint8_t *) pieces->iov_base + done;
                        pieces->iov_len -= (size_t) done;
                }
        }
        return 0;
}

/* Is all there that was written? Behind what somebody cut off a write would leave a hole, and an
 * index of what is gone. 0, -ENODATA, or another negative errno. */
static int check_end(const struct mcap_writer *w) {
        struct stat status;

        if (fstat(w->fd, &status) < 0) {
                return -errno;
        }
        return (uint64_t) status.st_size < w->end ? -ENODATA : 0;
}

/* Space for @bytes from the end on, which the file does not show. */
static int reserve_space(struct mcap_writer *w, uint64_t bytes) {
        int r;

        if (!w->reserves_space) {
                return 0;
        }
        do {
                r = fallocate(w->fd, FALLOC_FL_KEEP_SIZE, (off_t) w->end, (off_t) bytes);
        } while (r < 0 && errno == EINTR);
        if (r < 0 && disk_full(-errno)) {
                return -errno;
        }
        if (r < 0) {
                w->reserves_space = false;
        }
        return 0;
}

/* How large the summary and what is around it become, as it stands and with one more chunk. */
static uint64_t tail_bytes(const struct mcap_writer *w) {
        return TAIL_BYTES + w->catalogue.record_bytes + w->chunk_indexes.bytes +
               w->attachment_indexes.bytes + w->metadata_indexes.bytes +
               10u * w->catalogue.channel_count;
}

static int fail(struct mcap_writer *w, int code, struct mcap_error *reterr) {
        if (!w->failed) {
                w->failed = code;
                if (code == -ENODATA) {
                        (void) mcap_error_at(&w->error, code, w->name, w->end,
                                             "the file became shorter while it was written");
                } else {
                        (void) mcap_error_at(
                                &w->error, code, w->name, w->end, "cannot be written: %s%s",
                                strerror(-code),
                                disk_full(code) ? "; what was written before stays readable" : "");
                }
        }
        if (reterr) {
                *reterr = w->error;
        }
        return w->failed;
}

static int no_memory(struct mcap_writer *w, struct mcap_error *reterr) {
        return mcap_error_set(reterr, -ENOMEM, "%s: no memory for a message or an index", w->name);
}

static void forget_chunk(struct mcap_writer *w) {
        size_t i;

        for (i = 0; i < w->used_count; i++) {
                w->marks[w->used[i]].list.bytes = 0;
                w->marks[w->used[i]].unordered = false;
        }
        w->used_count = 0;
        w->chunk.bytes = 0;
        w->chunk_messages = 0;
}

/* --- a chunk's index --- */

static int marks_room(struct mcap_writer *w, uint16_t id) {
        size_t room = w->marks_room ? w->marks_room : 64;
        struct marks *larger;
        uint16_t *used;

        if (id < w->marks_room) {
                return 0;
        }
        while (room <= id) {
                room *= 2;
        }
        used = reallocarray(w->used, room, sizeof(*used));
        if (!used) {
                return -ENOMEM;
        }
        w->used = used;
        larger = reallocarray(w->marks, room, sizeof(*larger));
        if (!larger) {
                return -ENOMEM;
        }
        memset(larger + w->marks_room, 0, (room - w->marks_room) * sizeof(*larger));
        w->marks = larger;
        w->marks_room = room;
        return 0;
}

static int mark(struct mcap_writer *w, uint16_t id, uint64_t log_time_ns, uint64_t offset) {
        struct marks *marks = &w->marks[id];

        if (!mcap_buffer_reserve(&marks->list, MARK_BYTES)) {
                marks->list.failed = false;
                return -ENOMEM;
        }
        if (marks->list.bytes == 0) {
                w->used[w->used_count++] = id;
        } else if (log_time_ns < marks->last_ns) {
                marks->unordered = true;
        }
        mcap_put_u64(&marks->list, log_time_ns);
        mcap_put_u64(&marks->list, offset);
        marks->last_ns = log_time_ns;
        if (w->chunk_messages == 0 || log_time_ns < w->chunk_start_ns) {
                w->chunk_start_ns = log_time_ns;
        }
        if (w->chunk_messages == 0 || log_time_ns > w->chunk_end_ns) {
                w->chunk_end_ns = log_time_ns;
        }
        w->chunk_messages++;
        return 0;
}

static int compare_marks(const void *a, const void *b) {
        uint64_t x = mcap_load_u64(a), y = mcap_load_u64(b);

        if (x == y) {
                x = mcap_load_u64((const uint8_t *) a + 8);
                y = mcap_load_u64((const uint8_t *) b + 8);
        }
        return x < y ? -1 : x > y;
}

/* The MessageIndex records of a chunk into w->index, its ChunkIndex behind the others. */
static int index_chunk(struct mcap_writer *w, const struct mcap_chunk *chunk) {
        struct mcap_buffer *summary = &w->chunk_indexes;
        size_t begun, i;

        w->index.bytes = 0;
        begun = mcap_record_begin(summary, MCAP_CHUNK_INDEX);
        mcap_put_u64(summary, chunk->start_ns);
        mcap_put_u64(summary, chunk->end_ns);
        mcap_put_u64(summary, chunk->offset);
        mcap_put_u64(summary, chunk->length);
        mcap_put_u32(summary, (uint32_t) (10u * w->used_count));
        for (i = 0; i < w->used_count; i++) {
                struct marks *marks = &w->marks[w->used[i]];
                size_t record;

                if (marks->list.bytes > UINT32_MAX) {
                        return -ENOMEM;
                }
                if (marks->unordered) {
                        qsort(marks->list.data, marks->list.bytes / MARK_BYTES, MARK_BYTES,
                              compare_marks);
                }
                mcap_put_u16(summary, w->used[i]);
                mcap_put_u64(summary, chunk->offset + chunk->length + w->index.bytes);
                record = mcap_record_begin(&w->index, MCAP_MESSAGE_INDEX);
                mcap_put_u16(&w->index, w->used[i]);
                mcap_put_u32(&w->index, (uint32_t) marks->list.bytes);
                mcap_put(&w->index, marks->list.data, marks->list.bytes);
                mcap_record_end(&w->index, record);
        }
        mcap_put_u64(summary, w->index.bytes);
        mcap_put_string(summary, mcap_compression_name(chunk->compression));
        mcap_put_u64(summary, chunk->packed_bytes);
        mcap_put_u64(summary, chunk->bytes);
        mcap_record_end(summary, begun);
        return summary->failed || w->index.failed ? -ENOMEM : 0;
}

/* --- writing a chunk --- */

/* Metadata and attachments that were pending have their place now. */
static void place_pending(struct mcap_buffer *indexes, size_t *placed, uint64_t base) {
        uint8_t *offset;

        while (*placed < indexes->bytes) {
                offset = indexes->data + *placed + MCAP_RECORD_HEAD_BYTES;
                mcap_store_u64(offset, mcap_load_u64(offset) + base);
                *placed += MCAP_RECORD_HEAD_BYTES + (size_t) mcap_load_u64(offset - 8);
        }
}

static void count_chunk(struct mcap_writer *w, const struct mcap_chunk *chunk) {
        size_t i;

        for (i = 0; i < w->used_count; i++) {
                mcap_channel_find(&w->catalogue, w->used[i])->message_count +=
                        w->marks[w->used[i]].list.bytes / MARK_BYTES;
        }
        if (w->chunk_messages > 0) {
                if (w->messages == 0 || chunk->start_ns < w->start_ns) {
                        w->start_ns = chunk->start_ns;
                }
                if (w->messages == 0 || chunk->end_ns > w->end_ns) {
                        w->end_ns = chunk->end_ns;
                }
        }
        w->messages += w->chunk_messages;
        w->chunks++;
}

static size_t chunk_head(uint8_t *head, const struct mcap_chunk *chunk) {
        const char *name = mcap_compression_name(chunk->compression);
        size_t name_bytes = strlen(name), at = MCAP_RECORD_HEAD_BYTES;

        mcap_store_u64(head + at, chunk->start_ns);
        mcap_store_u64(head + at + 8, chunk->end_ns);
        mcap_store_u64(head + at + 16, chunk->bytes);
        mcap_store_u32(head + at + 24, chunk->crc);
        mcap_store_u32(head + at + 28, (uint32_t) name_bytes);
        at += 32;
        memcpy(head + at, name, name_bytes);
        at += name_bytes;
        mcap_store_u64(head + at, chunk->packed_bytes);
        at += 8;
        head[0] = MCAP_CHUNK;
        mcap_store_u64(head + 1, at - MCAP_RECORD_HEAD_BYTES + chunk->packed_bytes);
        return at;
}

/* What is pending, a chunk (NULL: none) whose marks stand, and its index. */
static int write_chunk(struct mcap_writer *w,
                       struct mcap_chunk *chunk,
                       const void *stored,
                       struct mcap_error *reterr) {
        size_t indexes = w->chunk_indexes.bytes, head_bytes = 0;
        struct iovec pieces[4] = {{0}};
        uint8_t head[64];
        uint64_t bytes;
        int r = 0;

        r = check_end(w);
        if (r < 0) {
                return fail(w, r, reterr);
        }
        w->index.bytes = 0;
        if (chunk) {
                head_bytes = chunk_head(head, chunk);
                chunk->offset = w->end + w->pending.bytes;
                chunk->length = head_bytes + chunk->packed_bytes;
                r = index_chunk(w, chunk);
        }
        if (r < 0) {
                w->index.failed = w->chunk_indexes.failed = false;
                w->chunk_indexes.bytes = indexes;
                return no_memory(w, reterr);
        }
        pieces[0] = (struct iovec){w->pending.data, w->pending.bytes};
        if (chunk) {
                pieces[1] = (struct iovec){head, head_bytes};
                pieces[2] = (struct iovec){(void *) stored, (size_t) chunk->packed_bytes};
        }
        pieces[3] = (struct iovec){w->index.data, w->index.bytes};
        bytes = pieces[0].iov_len + pieces[1].iov_len + pieces[2].iov_len + pieces[3].iov_len;
        r = reserve_space(w, bytes + tail_bytes(w));
        if (r == 0) {
                r = write_all(w->fd, pieces, 4, w->end);
        }
        if (r < 0) {
                w->chunk_indexes.bytes = indexes;
                /* The half of it that was written; what cannot be cut off now may be later. */
                (void) !ftruncate(w->fd, (off_t) w->end);
                return fail(w, r, reterr);
        }
        place_pending(&w->attachment_indexes, &w->attachments_placed, w->end);
        place_pending(&w->metadata_indexes, &w->metadata_placed, w->end);
        w->pending.bytes = 0;
        w->end += bytes;
        if (chunk) {
                count_chunk(w, chunk);
        }
        return 0;
}

int mcap_writer_flush(struct mcap_writer *w, struct mcap_error *reterr) {
        struct mcap_chunk chunk;
        const struct mcap_buffer *stored = &w->chunk;
        uint64_t messages = w->chunk_messages;
        int r = 0;

        if (w->failed) {
                return fail(w, w->failed, reterr);
        }
        if (messages == 0) {
                return w->pending.bytes ? write_chunk(w, NULL, NULL, reterr) : 0;
        }
        if (w->compression != MCAP_COMPRESSION_NONE) {
                stored = &w->packed;
                r = mcap_pack(&w->codec, w->compression, w->level, w->chunk.data, w->chunk.bytes,
                              &w->packed);
                w->packed.failed = false;
        }
        if (r < 0) {
                r = no_memory(w, reterr);
        } else {
                chunk = (struct mcap_chunk){
                        .start_ns = w->chunk_start_ns,
                        .end_ns = w->chunk_end_ns,
                        .bytes = w->chunk.bytes,
                        .packed_bytes = stored->bytes,
                        .crc = mcap_crc(0, w->chunk.data, w->chunk.bytes),
                        .compression = w->compression,
                };
                r = write_chunk(w, &chunk, stored->data, reterr);
        }
        if (r < 0) {
                w->lost += messages;
        }
        forget_chunk(w);
        return r;
}

/* --- messages --- */

int mcap_writer_reserve(struct mcap_writer *w,
                        uint16_t channel_id,
                        size_t bytes,
                        void **ret_data,
                        struct mcap_error *reterr) {
        size_t whole = MCAP_MESSAGE_HEAD_BYTES + bytes;
        int r;

        if (w->failed) {
                return fail(w, w->failed, reterr);
        }
        if (w->reserved) {
                return mcap_error_set(reterr, -EINVAL, "%s: a message is reserved already",
                                      w->name);
        }
        if (!mcap_channel_find(&w->catalogue, channel_id)) {
                return mcap_error_set(reterr, -EINVAL, "%s: channel %u was not announced", w->name,
                                      (unsigned) channel_id);
        }
        if (bytes > MCAP_MESSAGE_MAX) {
                return mcap_error_set(reterr, -EMSGSIZE,
                                      "%s: a message of %zu bytes; the most is %" PRIu64, w->name,
                                      bytes, MCAP_MESSAGE_MAX);
        }
        if (w->chunk_messages > 0 && w->chunk.bytes + whole > w->chunk_bytes) {
                r = mcap_writer_flush(w, reterr);
                if (r < 0) {
                        return r;
                }
        }
        if (marks_room(w, channel_id) < 0 || !mcap_buffer_reserve(&w->chunk, whole)) {
                w->chunk.failed = false;
                return no_memory(w, reterr);
        }
        w->reserved = true;
        w->reserved_channel = channel_id;
        w->reserved_bytes = bytes;
        *ret_data = w->chunk.data + w->chunk.bytes + MCAP_MESSAGE_HEAD_BYTES;
        return 0;
}

int mcap_writer_commit(struct mcap_writer *w,
                       uint32_t sequence,
                       uint64_t log_time_ns,
                       uint64_t publish_time_ns,
                       size_t bytes,
                       struct mcap_error *reterr) {
        uint8_t *head;
        int r;

        if (!w->reserved || bytes > w->reserved_bytes) {
                return mcap_error_set(reterr, -EINVAL, "%s: %zu bytes were not reserved", w->name,
                                      bytes);
        }
        w->reserved = false;
        r = mark(w, w->reserved_channel, log_time_ns, w->chunk.bytes);
        if (r < 0) {
                w->lost++;
                return no_memory(w, reterr);
        }
        head = w->chunk.data + w->chunk.bytes;
        head[0] = MCAP_MESSAGE;
        mcap_store_u64(head + 1, MCAP_MESSAGE_HEAD_BYTES - MCAP_RECORD_HEAD_BYTES + bytes);
        mcap_store_u16(head + 9, w->reserved_channel);
        mcap_store_u32(head + 11, sequence);
        mcap_store_u64(head + 15, log_time_ns);
        mcap_store_u64(head + 23, publish_time_ns);
        w->chunk.bytes += MCAP_MESSAGE_HEAD_BYTES + bytes;
        w->message_bytes += bytes;
        if (w->chunk_end_ns - w->chunk_start_ns >= w->chunk_ns) {
                return mcap_writer_flush(w, reterr);
        }
        return 0;
}

void mcap_writer_rollback(struct mcap_writer *w) {
        w->reserved = false;
}

void mcap_writer_counts(const struct mcap_writer *w, struct mcap_writer_counts *ret_counts) {
        *ret_counts = (struct mcap_writer_counts){
                .messages = w->messages + w->chunk_messages,
                .message_bytes = w->message_bytes,
                .lost = w->lost,
                .chunks = w->chunks,
                .file_bytes = w->end,
                .pending_bytes = w->chunk.bytes,
        };
}

/* --- what is in front of a chunk --- */

int mcap_writer_adopt(struct mcap_writer *w,
                      enum mcap_opcode opcode,
                      const void *content,
                      size_t bytes) {
        size_t begun;
        int r;

        /* Room first: what is in the catalogue has to come into the file. */
        if (!mcap_buffer_reserve(&w->pending, MCAP_RECORD_HEAD_BYTES + bytes)) {
                w->pending.failed = false;
                return -ENOMEM;
        }
        r = opcode == MCAP_SCHEMA ? mcap_catalogue_schema(&w->catalogue, content, bytes)
                                  : mcap_catalogue_channel(&w->catalogue, content, bytes);
        if (r > 0) {
                begun = mcap_record_begin(&w->pending, opcode);
                mcap_put(&w->pending, content, bytes);
                mcap_record_end(&w->pending, begun);
        }
        return r;
}

static void put_pairs(struct mcap_buffer *buffer, const char *const *pairs) {
        size_t at = buffer->bytes;

        mcap_put_u32(buffer, 0);
        while (pairs && pairs[0]) {
                mcap_put_string(buffer, pairs[0]);
                mcap_put_string(buffer, pairs[1]);
                pairs += 2;
        }
        if (!buffer->failed) {
                mcap_store_u32(buffer->data + at, (uint32_t) (buffer->bytes - at - 4));
        }
}

/* Takes @content, built just now. */
static int
adopt_built(struct mcap_writer *w, enum mcap_opcode opcode, struct mcap_buffer *content) {
        int r = -ENOMEM;

        if (!content->failed && opcode <= MCAP_CHANNEL) {
                r = mcap_writer_adopt(w, opcode, content->data, content->bytes);
        } else if (!content->failed) {
                r = mcap_writer_adopt_record(w, opcode, content->data, content->bytes);
        }
        mcap_buffer_free(content);
        return r < 0 ? r : 0;
}

int mcap_writer_schema(struct mcap_writer *w,
                       const char *name,
                       const char *encoding,
                       const void *data,
                       size_t bytes,
                       uint16_t *ret_id) {
        struct mcap_buffer content = {0};
        uint16_t id = (uint16_t) (w->catalogue.schema_count + 1);
        int r;

        if (w->catalogue.schema_count >= IDS_MAX || bytes > UINT32_MAX) {
                return -ENOSPC;
        }
        mcap_put_u16(&content, id);
        mcap_put_string(&content, name);
        mcap_put_string(&content, encoding);
        mcap_put_u32(&content, (uint32_t) bytes);
        mcap_put(&content, data, bytes);
        r = adopt_built(w, MCAP_SCHEMA, &content);
        if (r < 0) {
                return r;
        }
        *ret_id = id;
        return 0;
}

int mcap_writer_channel(struct mcap_writer *w,
                        uint16_t schema_id,
                        const char *topic,
                        const char *encoding,
                        const char *const *metadata,
                        uint16_t *ret_id) {
        struct mcap_buffer content = {0};
        uint16_t id = (uint16_t) (w->catalogue.channel_count + 1);
        int r;

        if (schema_id && !mcap_schema_find(&w->catalogue, schema_id)) {
                return -EINVAL;
        }
        if (w->catalogue.channel_count >= IDS_MAX) {
                return -ENOSPC;
        }
        mcap_put_u16(&content, id);
        mcap_put_u16(&content, schema_id);
        mcap_put_string(&content, topic);
        mcap_put_string(&content, encoding);
        put_pairs(&content, metadata);
        r = adopt_built(w, MCAP_CHANNEL, &content);
        if (r < 0) {
                return r;
        }
        *ret_id = id;
        return 0;
}

/* The index of a record that is about to become pending; its offset counts from there for now. */
static bool put_index(struct mcap_writer *w,
                      enum mcap_opcode opcode,
                      struct mcap_cursor content,
                      uint64_t length) {
        struct mcap_buffer *indexes =
                opcode == MCAP_METADATA ? &w->metadata_indexes : &w->attachment_indexes;
        size_t begun;

        begun = mcap_record_begin(indexes, opcode == MCAP_METADATA ? MCAP_METADATA_INDEX
                                                                   : MCAP_ATTACHMENT_INDEX);
        mcap_put_u64(indexes, w->pending.bytes);
        mcap_put_u64(indexes, length);
        if (opcode == MCAP_METADATA) {
                struct mcap_text name = mcap_get_text(&content);

                mcap_put_u32(indexes, (uint32_t) name.bytes);
                mcap_put(indexes, name.data, name.bytes);
                (void) mcap_get_text(&content);
        } else {
                uint64_t log_time_ns = mcap_get_u64(&content), made_ns = mcap_get_u64(&content);
                struct mcap_text name = mcap_get_text(&content), type = mcap_get_text(&content);
                struct mcap_text data = mcap_get_bytes(&content);

                mcap_put_u64(indexes, log_time_ns);
                mcap_put_u64(indexes, made_ns);
                mcap_put_u64(indexes, data.bytes);
                mcap_put_u32(indexes, (uint32_t) name.bytes);
                mcap_put(indexes, name.data, name.bytes);
                mcap_put_u32(indexes, (uint32_t) type.bytes);
                mcap_put(indexes, type.data, type.bytes);
                (void) mcap_get_u32(&content);
        }
        mcap_record_end(indexes, begun);
        return !content.failed && mcap_left(&content) == 0;
}

int mcap_writer_adopt_record(struct mcap_writer *w,
                             enum mcap_opcode opcode,
                             const void *content,
                             size_t bytes) {
        struct mcap_buffer *indexes =
                opcode == MCAP_METADATA ? &w->metadata_indexes : &w->attachment_indexes;
        size_t before = indexes->bytes, begun;
        bool whole;

        whole = put_index(w, opcode, mcap_cursor_over(content, bytes),
                          MCAP_RECORD_HEAD_BYTES + bytes);
        if (!whole || indexes->failed ||
            !mcap_buffer_reserve(&w->pending, MCAP_RECORD_HEAD_BYTES + bytes)) {
                indexes->failed = w->pending.failed = false;
                indexes->bytes = before;
                return whole ? -ENOMEM : -EBADMSG;
        }
        begun = mcap_record_begin(&w->pending, opcode);
        mcap_put(&w->pending, content, bytes);
        mcap_record_end(&w->pending, begun);
        *(opcode == MCAP_METADATA ? &w->metadata : &w->attachments) += 1;
        return 0;
}

int mcap_writer_metadata(struct mcap_writer *w, const char *name, const char *const *pairs) {
        struct mcap_buffer content = {0};

        mcap_put_string(&content, name);
        put_pairs(&content, pairs);
        return adopt_built(w, MCAP_METADATA, &content);
}

int mcap_writer_attachment(struct mcap_writer *w,
                           const char *name,
                           const char *media_type,
                           uint64_t time_ns,
                           const void *data,
                           size_t bytes) {
        struct mcap_buffer content = {0};

        if (bytes > MCAP_MESSAGE_MAX) {
                return -EMSGSIZE;
        }
        mcap_put_u64(&content, time_ns);
        mcap_put_u64(&content, time_ns);
        mcap_put_string(&content, name);
        mcap_put_string(&content, media_type);
        mcap_put_u64(&content, bytes);
        mcap_put(&content, data, bytes);
        if (!content.failed) {
                mcap_put_u32(&content, mcap_crc(0, content.data, content.bytes));
        }
        return adopt_built(w, MCAP_ATTACHMENT, &content);
}

/* --- chunks of another file --- */

static int mark_records(struct mcap_writer *w, const struct mcap_buffer *records) {
        struct mcap_cursor cursor = mcap_cursor_over(records->data, records->bytes), content;
        struct mcap_parts parts;
        uint64_t offset;
        uint8_t opcode;
        int r;

        while (mcap_left(&cursor) > 0) {
                offset = records->bytes - mcap_left(&cursor);
                opcode = mcap_get_record(&cursor, &content);
                if (cursor.failed) {
                        return -EBADMSG;
                }
                if (opcode != MCAP_MESSAGE) {
                        continue;
                }
                if (!mcap_message_read(content, &parts) ||
                    !mcap_channel_find(&w->catalogue, parts.channel_id)) {
                        return -EBADMSG;
                }
                r = marks_room(w, parts.channel_id);
                if (r == 0) {
                        r = mark(w, parts.channel_id, parts.log_time_ns, offset);
                }
                if (r < 0) {
                        return r;
                }
                w->message_bytes += parts.data.bytes;
        }
        return 0;
}

int mcap_writer_adopt_chunk(struct mcap_writer *w,
                            const struct mcap_file *source,
                            const struct mcap_chunk *source_chunk,
                            const struct mcap_buffer *records,
                            struct mcap_error *reterr) {
        struct mcap_chunk chunk = *source_chunk;
        const void *stored =
                chunk.compression == MCAP_COMPRESSION_NONE ? records->data : source->packed.data;
        int r;

        r = mcap_writer_flush(w, reterr);
        if (r < 0) {
                return r;
        }
        r = mark_records(w, records);
        if (r == -ENOMEM) {
                (void) no_memory(w, reterr);
        } else if (r == 0) {
                if (w->chunk_messages > 0) {
                        chunk.start_ns = w->chunk_start_ns;
                        chunk.end_ns = w->chunk_end_ns;
                }
                r = write_chunk(w, &chunk, stored, reterr);
                if (r < 0) {
                        w->lost += w->chunk_messages;
                }
        }
        forget_chunk(w);
        return r;
}

/* --- open and close --- */

static void writer_free(struct mcap_writer *w) {
        size_t i;

        for (i = 0; i < w->marks_room; i++) {
                mcap_buffer_free(&w->marks[i].list);
        }
        free(w->marks);
        free(w->used);
        free(w->name);
        mcap_codec_free(&w->codec);
        mcap_catalogue_free(&w->catalogue);
        mcap_buffer_free(&w->pending);
        mcap_buffer_free(&w->packed);
        mcap_buffer_free(&w->index);
        mcap_buffer_free(&w->chunk);
        mcap_buffer_free(&w->chunk_indexes);
        mcap_buffer_free(&w->attachment_indexes);
        mcap_buffer_free(&w->metadata_indexes);
        free(w);
}

static int write_header(struct mcap_writer *w,
                        const struct mcap_writer_options *options,
                        struct mcap_error *reterr) {
        size_t begun;

        mcap_put(&w->pending, MCAP_MAGIC, MCAP_MAGIC_BYTES);
        begun = mcap_record_begin(&w->pending, MCAP_HEADER);
        mcap_put_string(&w->pending, options->profile ? options->profile : "");
        mcap_put_string(&w->pending, options->library ? options->library : "slipring");
        mcap_record_end(&w->pending, begun);
        if (w->pending.failed || !mcap_buffer_reserve(&w->chunk, (size_t) w->chunk_bytes)) {
                return no_memory(w, reterr);
        }
        return write_chunk(w, NULL, NULL, reterr);
}

int mcap_writer_open(struct mcap_writer **ret_writer,
                     int fd,
                     const char *name,
                     const struct mcap_writer_options *options,
                     struct mcap_error *reterr) {
        static const struct mcap_writer_options defaults;
        struct mcap_writer *w;
        struct stat status;
        int r;

        options = options ? options : &defaults;
        if (fstat(fd, &status) < 0) {
                return mcap_error_set(reterr, -errno, "%s: %s", name, strerror(errno));
        }
        if (!S_ISREG(status.st_mode) || status.st_size > 0) {
                return mcap_error_set(reterr, -EINVAL, "%s: not an empty regular file", name);
        }
        if ((unsigned) options->compression >= MCAP_COMPRESSION_COUNT) {
                return mcap_error_set(reterr, -EINVAL, "%s: no such compression", name);
        }
        w = calloc(1, sizeof(*w));
        if (!w) {
                return mcap_error_set(reterr, -ENOMEM, "%s: no memory for a writer", name);
        }
        w->fd = fd;
        w->name = strdup(name);
        w->compression = options->compression;
        w->level = options->level;
        w->chunk_bytes = options->chunk_bytes ? options->chunk_bytes : CHUNK_BYTES;
        w->chunk_ns = options->chunk_ns ? options->chunk_ns : CHUNK_NS;
        w->reserves_space = true;
        r = w->name ? write_header(w, options, reterr)
                    : mcap_error_set(reterr, -ENOMEM, "%s: no memory for a writer", name);
        if (r < 0) {
                writer_free(w);
                return r;
        }
        *ret_writer = w;
        return 0;
}

static void put_statistics(struct mcap_writer *w, struct mcap_buffer *tail) {
        size_t begun = mcap_record_begin(tail, MCAP_STATISTICS), i;

        mcap_put_u64(tail, w->messages);
        mcap_put_u16(tail, (uint16_t) w->catalogue.schema_count);
        mcap_put_u32(tail, (uint32_t) w->catalogue.channel_count);
        mcap_put_u32(tail, w->attachments);
        mcap_put_u32(tail, w->metadata);
        mcap_put_u32(tail, (uint32_t) w->chunks);
        mcap_put_u64(tail, w->start_ns);
        mcap_put_u64(tail, w->end_ns);
        mcap_put_u32(tail, (uint32_t) (10u * w->catalogue.channel_count));
        for (i = 0; i < w->catalogue.channel_count; i++) {
                mcap_put_u16(tail, w->catalogue.channels[i].id);
                mcap_put_u64(tail, w->catalogue.channels[i].message_count);
        }
        mcap_record_end(tail, begun);
}

/* DataEnd, summary, summary offsets, footer and magic. */
static bool build_tail(struct mcap_writer *w, struct mcap_buffer *tail) {
        struct {
                enum mcap_opcode opcode;
                size_t at;
        } groups[7];
        size_t begun, summary, offsets, i, next;

        tail->bytes = 0;
        begun = mcap_record_begin(tail, MCAP_DATA_END);
        /* None: the chunks have theirs, and a second pass over all data would cost as much again.
         */
        mcap_put_u32(tail, 0);
        mcap_record_end(tail, begun);
        summary = tail->bytes;
#define GROUP(n, code)                                                                             \
        groups[n].opcode = code;                                                                   \
        groups[n].at = tail->bytes
        GROUP(0, MCAP_SCHEMA);
        mcap_catalogue_put_schemas(&w->catalogue, tail);
        GROUP(1, MCAP_CHANNEL);
        mcap_catalogue_put_channels(&w->catalogue, tail);
        GROUP(2, MCAP_STATISTICS);
        put_statistics(w, tail);
        GROUP(3, MCAP_CHUNK_INDEX);
        mcap_put(tail, w->chunk_indexes.data, w->chunk_indexes.bytes);
        GROUP(4, MCAP_ATTACHMENT_INDEX);
        mcap_put(tail, w->attachment_indexes.data, w->attachment_indexes.bytes);
        GROUP(5, MCAP_METADATA_INDEX);
        mcap_put(tail, w->metadata_indexes.data, w->metadata_indexes.bytes);
        GROUP(6, MCAP_SUMMARY_OFFSET);
#undef GROUP
        offsets = tail->bytes;
        for (i = 0; i < 6; i++) {
                next = groups[i + 1].at;
                if (next > groups[i].at) {
                        begun = mcap_record_begin(tail, MCAP_SUMMARY_OFFSET);
                        mcap_put_u8(tail, (uint8_t) groups[i].opcode);
                        mcap_put_u64(tail, w->end + groups[i].at);
                        mcap_put_u64(tail, next - groups[i].at);
                        mcap_record_end(tail, begun);
                }
        }
        mcap_put_u8(tail, MCAP_FOOTER);
        mcap_put_u64(tail, MCAP_FOOTER_BYTES - MCAP_RECORD_HEAD_BYTES);
        mcap_put_u64(tail, w->end + summary);
        mcap_put_u64(tail, w->end + offsets);
        if (!tail->failed) {
                mcap_put_u32(tail, mcap_crc(0, tail->data + summary, tail->bytes - summary));
        }
        mcap_put(tail, MCAP_MAGIC, MCAP_MAGIC_BYTES);
        return !tail->failed;
}

/* Index records of what lies behind @cut are dropped; each says where at @field. */
static uint32_t cut_indexes(struct mcap_buffer *indexes, size_t field, uint64_t cut) {
        size_t at = 0;
        uint32_t kept = 0;

        while (at < indexes->bytes &&
               mcap_load_u64(indexes->data + at + MCAP_RECORD_HEAD_BYTES + field) < cut) {
                at += MCAP_RECORD_HEAD_BYTES + (size_t) mcap_load_u64(indexes->data + at + 1);
                kept++;
        }
        indexes->bytes = at;
        return kept;
}

/* Takes the messages of a chunk, by its index, back out of the counts. */
static int uncount_chunk(struct mcap_writer *w, struct mcap_cursor index) {
        struct mcap_cursor offsets;
        struct mcap_text map;
        uint8_t list[4];
        uint64_t count;
        uint16_t id;
        int r;

        index.at += 32;
        map = mcap_get_text(&index);
        offsets = mcap_cursor_over(map.data, map.bytes);
        while (mcap_left(&offsets) > 0) {
                id = mcap_get_u16(&offsets);
                /* Behind the record's head and the channel: the bytes of its list. */
                r = mcap_read_at(w->fd, list, sizeof(list), mcap_get_u64(&offsets) + 11);
                if (r < 0) {
                        return r;
                }
                count = mcap_load_u32(list) / MARK_BYTES;
                mcap_channel_find(&w->catalogue, id)->message_count -= count;
                w->messages -= count;
                w->lost += count;
        }
        return 0;
}

/* Gives up the last chunk, for its room. */
static int drop_chunk(struct mcap_writer *w) {
        struct mcap_buffer *indexes = &w->chunk_indexes;
        size_t at = 0, last = 0;
        const uint8_t *content;
        int r;

        w->start_ns = UINT64_MAX;
        w->end_ns = 0;
        while (at < indexes->bytes) {
                content = indexes->data + at + MCAP_RECORD_HEAD_BYTES;
                last = at;
                at += MCAP_RECORD_HEAD_BYTES + (size_t) mcap_load_u64(content - 8);
                if (at < indexes->bytes) {
                        w->start_ns = mcap_load_u64(content) < w->start_ns ? mcap_load_u64(content)
                                                                           : w->start_ns;
                        w->end_ns = mcap_load_u64(content + 8) > w->end_ns
                                            ? mcap_load_u64(content + 8)
                                            : w->end_ns;
                }
        }
        content = indexes->data + last + MCAP_RECORD_HEAD_BYTES;
        r = uncount_chunk(w, mcap_cursor_over(content, (size_t) mcap_load_u64(content - 8)));
        if (r < 0) {
                return r;
        }
        w->end = mcap_load_u64(content + 16);
        indexes->bytes = last;
        w->chunks--;
        w->start_ns = w->messages ? w->start_ns : 0;
        w->attachments = cut_indexes(&w->attachment_indexes, 0, w->end);
        w->metadata = cut_indexes(&w->metadata_indexes, 0, w->end);
        return ftruncate(w->fd, (off_t) w->end) < 0 ? -errno : 0;
}

/* What is pending and could not be written is in no index. */
static void drop_pending(struct mcap_writer *w) {
        w->attachment_indexes.bytes = w->attachments_placed;
        w->metadata_indexes.bytes = w->metadata_placed;
        w->attachments = cut_indexes(&w->attachment_indexes, 0, w->end);
        w->metadata = cut_indexes(&w->metadata_indexes, 0, w->end);
        w->pending.bytes = 0;
}

static int write_tail(struct mcap_writer *w) {
        struct mcap_buffer tail = {0};
        struct iovec piece;
        int r = check_end(w);

        if (r < 0) {
                return fail(w, r, NULL);
        }
        r = -ENOMEM;
        while (build_tail(w, &tail)) {
                piece = (struct iovec){tail.data, tail.bytes};
                r = write_all(w->fd, &piece, 1, w->end);
                if (r == 0) {
                        w->end += tail.bytes;
                        break;
                }
                (void) fail(w, r, NULL);
                if (!disk_full(r) || w->chunks == 0 || drop_chunk(w) < 0) {
                        (void) !ftruncate(w->fd, (off_t) w->end);
                        break;
                }
        }
        mcap_buffer_free(&tail);
        return r;
}

int mcap_writer_close(struct mcap_writer *w,
                      struct mcap_writer_counts *ret_counts,
                      struct mcap_error *reterr) {
        struct mcap_error error;
        int r, lost;

        w->reserved = false;
        lost = mcap_writer_flush(w, &error);
        drop_pending(w);
        r = write_tail(w);
        /* Gives the space back that was reserved and not used. */
        if (r == 0 && ftruncate(w->fd, (off_t) w->end) < 0) {
                r = -errno;
        }
        if (ret_counts) {
                mcap_writer_counts(w, ret_counts);
        }
        if (r == -ENODATA && reterr) {
                *reterr = w->error;
        } else if (r < 0) {
                (void) mcap_error_at(reterr, r, w->name, w->end,
                                     "the index cannot be written: %s; "
                                     "'slipring bag recover' rebuilds it",
                                     strerror(-r));
        } else if (lost < 0 || w->lost > 0) {
                lost = lost < 0 ? lost : w->failed ? w->failed : -ENOMEM;
                (void) mcap_error_at(reterr, lost, w->name, w->end,
                                     "%s; %" PRIu64 " messages are in the file, which is complete, "
                                     "%" PRIu64 " were lost",
                                     strerror(-lost), w->messages, w->lost);
                r = 1;
        }
        writer_free(w);
        return r;
}
