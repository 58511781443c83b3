/*
 * Both ways of opening, by the index and by looking through, end in one list of chunks with their
 * times. Messages outside of chunks count as chunks, too: as many as follow each other in a MiB of
 * the file. Reading merges them: chunks are loaded when their time has come, and a heap of loaded
 * chunks has the one with the earliest message on top.
 */

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "mcap/internal.h"

#define MEMORY_MAX (UINT64_C(3) << 29)
#define LOOSE_MAX (UINT64_C(1) << 20)

/* A chunk, and what the index says of its channels. */
struct entry {
        struct mcap_chunk chunk;
        struct mcap_text channels; /* u16 id, u64 offset; empty: unknown */
        bool indexed;              /* offsets of the records and CRC are not known yet */
};

struct mark {
        uint64_t time_ns;
        uint64_t offset;
};

/* A chunk in memory. */
struct loaded {
        struct mcap_buffer records;
        struct mark *marks;
        size_t mark_room;
        size_t count;
        size_t at;
        uint64_t file_offset;
};

struct mcap_reader {
        struct mcap_file file;
        char *name;
        struct mcap_summary summary;
        struct mcap_buffer index; /* the summary section; entries point into it */
        bool without_index;       /* and it says so */
        struct entry *entries;
        size_t entry_count;
        size_t entry_room;
        uint64_t *lists; /* where Metadata records stand */
        size_t list_count;
        size_t list_room;
        struct mcap_buffer list; /* the last one that was asked for */

        bool *wanted; /* by place in the catalogue */
        bool all;
        uint64_t start_ns;
        uint64_t end_ns;
        size_t *order; /* entries that are wanted, earliest start first */
        size_t order_count;
        size_t order_at;
        struct loaded **heap;
        size_t heap_count;
        size_t heap_room;
        struct loaded *current; /* of the last message, not in the heap */
        struct loaded *spare;
        uint64_t memory;
        struct mcap_error failed;
};

/* --- opening --- */

static void header_text(struct mcap_cursor *cursor, char to[64]) {
        struct mcap_text text = mcap_get_text(cursor);

        (void) snprintf(to, 64, "%.*s", (int) (text.bytes < 63 ? text.bytes : 63),
                        (const char *) text.data);
}

int mcap_file_open(struct mcap_file *file,
                   int fd,
                   const char *name,
                   uint64_t memory_max,
                   char profile[64],
                   char library[64],
                   uint64_t *ret_offset,
                   struct mcap_error *reterr) {
        struct mcap_buffer content = {0};
        uint8_t magic[MCAP_MAGIC_BYTES];
        struct mcap_record record;
        struct mcap_cursor cursor;
        struct stat status;
        int r;

        if (fstat(fd, &status) < 0) {
                return mcap_error_set(reterr, -errno, "%s: %s", name, strerror(errno));
        }
        if (S_ISDIR(status.st_mode)) {
                return mcap_error_set(reterr, -EINVAL,
                                      "%s: a directory; name one of the .mcap files in it", name);
        }
        if (!S_ISREG(status.st_mode)) {
                return mcap_error_set(reterr, -EINVAL, "%s: not a regular file", name);
        }
        *file = (struct mcap_file){.fd = fd,
                                   .name = name,
                                   .bytes = (uint64_t) status.st_size,
                                   .memory_max = memory_max ? memory_max : MEMORY_MAX};
        r = mcap_read_at(fd, magic, sizeof(magic), 0);
        if (r < 0 && r != -ENODATA) {
                return mcap_error_set(reterr, r, "%s: %s", name, strerror(-r));
        }
        if (r == -ENODATA || memcmp(magic, MCAP_MAGIC, sizeof(magic)) != 0) {
                return mcap_error_at(reterr, -EBADMSG, name, 0, "not an MCAP file");
        }
        *ret_offset = sizeof(magic);
        r = mcap_record_at(file, sizeof(magic), &record, NULL);
        if (r <= 0 || record.opcode != MCAP_HEADER || record.bytes > (1u << 20)) {
                /* What follows says what is wrong; a file can do without. */
                return 0;
        }
        r = mcap_record_load(file, &record, &content, reterr);
        if (r == 0) {
                cursor = mcap_cursor_over(content.data, content.bytes);
                header_text(&cursor, profile);
                header_text(&cursor, library);
                *ret_offset += MCAP_RECORD_HEAD_BYTES + record.bytes;
        }
        mcap_buffer_free(&content);
        return r;
}

static struct entry *entry_add(struct mcap_reader *reader) {
        size_t room = reader->entry_room ? 2 * reader->entry_room : 64;
        struct entry *larger;

        if (reader->entry_count == reader->entry_room) {
                larger = reallocarray(reader->entries, room, sizeof(*larger));
                if (!larger) {
                        return NULL;
                }
                reader->entries = larger;
                reader->entry_room = room;
        }
        larger = &reader->entries[reader->entry_count++];
        memset(larger, 0, sizeof(*larger));
        return larger;
}

static int list_add(struct mcap_reader *reader, uint64_t offset) {
        size_t room = reader->list_room ? 2 * reader->list_room : 8;
        uint64_t *larger;

        if (reader->list_count == reader->list_room) {
                larger = reallocarray(reader->lists, room, sizeof(*larger));
                if (!larger) {
                        return -ENOMEM;
                }
                reader->lists = larger;
                reader->list_room = room;
        }
        reader->lists[reader->list_count++] = offset;
        return 0;
}

static int by_offset(const void *left, const void *right) {
        const uint64_t *a = left, *b = right;

        return (*a > *b) - (*a < *b);
}

static int no_memory(struct mcap_reader *reader, struct mcap_error *reterr) {
        return mcap_error_set(reterr, -ENOMEM, "%s: no memory for its index", reader->name);
}

static int catalogue_failed(struct mcap_reader *reader,
                            int code,
                            uint64_t offset,
                            const char *what,
                            struct mcap_error *reterr) {
        if (code == -ENOMEM) {
                return no_memory(reader, reterr);
        }
        return mcap_error_at(reterr, -EBADMSG, reader->name, offset,
                             code == -EEXIST
                                     ? "another %s with the number of an earlier one"
                                     : "a damaged %s; 'slipring bag recover' keeps what is whole",
                             what);
}

/* Schemas and channels, wherever they stand. */
static int describe(struct mcap_reader *reader,
                    uint8_t opcode,
                    struct mcap_cursor content,
                    uint64_t offset,
                    struct mcap_error *reterr) {
        struct mcap_catalogue *catalogue = &reader->summary.catalogue;
        int r = 0;

        if (opcode == MCAP_SCHEMA) {
                r = mcap_catalogue_schema(catalogue, content.at, mcap_left(&content));
        } else if (opcode == MCAP_CHANNEL) {
                r = mcap_catalogue_channel(catalogue, content.at, mcap_left(&content));
        }
        return r < 0 ? catalogue_failed(reader, r, offset,
                                        opcode == MCAP_SCHEMA ? "schema" : "channel", reterr)
                     : 0;
}

/* --- by the index --- */

static bool take_statistics(struct mcap_reader *reader, struct mcap_cursor content) {
        struct mcap_summary *summary = &reader->summary;
        struct mcap_channel *channel;
        struct mcap_cursor counts;
        struct mcap_text map;

        summary->message_count = mcap_get_u64(&content);
        (void) mcap_get_u16(&content);
        (void) mcap_get_u32(&content);
        summary->attachment_count = mcap_get_u32(&content);
        summary->metadata_count = mcap_get_u32(&content);
        (void) mcap_get_u32(&content);
        summary->start_ns = mcap_get_u64(&content);
        summary->end_ns = mcap_get_u64(&content);
        map = mcap_get_text(&content);
        counts = mcap_cursor_over(map.data, map.bytes);
        while (mcap_left(&counts) > 0) {
                channel = mcap_channel_find(&summary->catalogue, mcap_get_u16(&counts));
                if (channel) {
                        channel->message_count = mcap_get_u64(&counts);
                } else {
                        (void) mcap_get_u64(&counts);
                }
        }
        return !content.failed && !counts.failed;
}

static int
take_chunk_index(struct mcap_reader *reader, struct mcap_cursor content, uint64_t limit) {
        struct entry *entry = entry_add(reader);
        struct mcap_chunk *chunk;
        int r;

        if (!entry) {
                return -ENOMEM;
        }
        chunk = &entry->chunk;
        entry->indexed = true;
        chunk->start_ns = mcap_get_u64(&content);
        chunk->end_ns = mcap_get_u64(&content);
        chunk->offset = mcap_get_u64(&content);
        chunk->length = mcap_get_u64(&content);
        entry->channels = mcap_get_text(&content);
        (void) mcap_get_u64(&content);
        r = mcap_compression_of(mcap_get_text(&content));
        chunk->packed_bytes = mcap_get_u64(&content);
        chunk->bytes = mcap_get_u64(&content);
        if (content.failed || entry->channels.bytes % 10 || chunk->offset > limit ||
            chunk->length > limit - chunk->offset || chunk->length < MCAP_RECORD_HEAD_BYTES ||
            chunk->packed_bytes > chunk->length || !mcap_chunk_times(chunk)) {
                return -EBADMSG;
        }
        /* One that we cannot read fails where it is read; the others can be. */
        chunk->compression = r < 0 ? MCAP_COMPRESSION_COUNT : (enum mcap_compression) r;
        if (r >= 0) {
                reader->summary.compressions[r]++;
        }
        reader->summary.chunk_count++;
        reader->summary.packed_bytes += chunk->packed_bytes;
        reader->summary.bytes += chunk->bytes;
        return 0;
}

static int index_broken(struct mcap_reader *reader, uint64_t offset, const char *what) {
        return mcap_error_at(&reader->summary.damage, -EBADMSG, reader->name, offset,
                             "%s; 'slipring bag recover' rebuilds the index", what);
}

static int compare_places(const void *left, const void *right) {
        const struct entry *a = left, *b = right;

        return (a->chunk.offset > b->chunk.offset) - (a->chunk.offset < b->chunk.offset);
}

/* An index may name a chunk a million times, or chunks within chunks: each byte is read once.
 * Whether a length is right is seen where the chunk is read. */
static bool chunks_are_apart(struct mcap_reader *reader) {
        if (reader->entry_count > 1) {
                qsort(reader->entries, reader->entry_count, sizeof(*reader->entries),
                      compare_places);
        }
        for (size_t i = 1; i < reader->entry_count; i++) {
                const struct mcap_chunk *before = &reader->entries[i - 1].chunk;

                if (reader->entries[i].chunk.offset - before->offset < before->length) {
                        return false;
                }
        }
        return true;
}

/* The summary section, from its bytes. */
static int take_index(struct mcap_reader *reader, uint64_t start) {
        struct mcap_cursor cursor = mcap_cursor_over(reader->index.data, reader->index.bytes);
        struct mcap_cursor content, statistics = {0};
        uint64_t offset = start;
        uint8_t opcode;
        int r = 0;

        while (mcap_left(&cursor) > 0 && r == 0) {
                offset = start + reader->index.bytes - mcap_left(&cursor);
                opcode = mcap_get_record(&cursor, &content);
                if (cursor.failed) {
                        break;
                }
                if (opcode == MCAP_CHUNK_INDEX) {
                        r = take_chunk_index(reader, content, start);
                } else if (opcode == MCAP_METADATA_INDEX) {
                        r = list_add(reader, mcap_get_u64(&content));
                } else if (opcode == MCAP_STATISTICS) {
                        statistics = content;
                } else {
                        r = describe(reader, opcode, content, offset, &reader->summary.damage);
                }
        }
        if (r == -ENOMEM) {
                return r;
        }
        if (r < 0 || cursor.failed) {
                return index_broken(reader, offset, "the index is damaged");
        }
        if (!chunks_are_apart(reader)) {
                return index_broken(reader, start, "the index has two chunks in one place");
        }
        if (reader->list_count > 0) {
                qsort(reader->lists, reader->list_count, sizeof(*reader->lists), by_offset);
        }
        /* Counts belong to channels, which may come behind them. */
        if (!statistics.at || !take_statistics(reader, statistics)) {
                return index_broken(reader, start, "the index has no statistics");
        }
        if (reader->summary.start_ns > reader->summary.end_ns) {
                return index_broken(reader, start, "by the index the file ends before it begins");
        }
        if (reader->summary.message_count > 0 && reader->entry_count == 0) {
                reader->without_index = true;
                return index_broken(reader, start, "the index names no chunk");
        }
        return 0;
}

/* 0; -EBADMSG with the damage set: to be looked through; -ENOMEM or a read error. */
static int open_indexed(struct mcap_reader *reader) {
        uint8_t foot[MCAP_FOOTER_BYTES + MCAP_MAGIC_BYTES];
        struct mcap_file *file = &reader->file;
        uint64_t at, start;
        uint32_t crc;
        int r;

        if (file->bytes < MCAP_MAGIC_BYTES + sizeof(foot)) {
                return index_broken(reader, file->bytes, "the file was not closed");
        }
        at = file->bytes - sizeof(foot);
        r = mcap_read_at(file->fd, foot, sizeof(foot), at);
        if (r < 0) {
                return r;
        }
        if (memcmp(foot + MCAP_FOOTER_BYTES, MCAP_MAGIC, MCAP_MAGIC_BYTES) != 0 ||
            foot[0] != MCAP_FOOTER ||
            mcap_load_u64(foot + 1) != MCAP_FOOTER_BYTES - MCAP_RECORD_HEAD_BYTES) {
                return index_broken(reader, file->bytes, "the file was not closed");
        }
        start = mcap_load_u64(foot + 9);
        if (start == 0) {
                reader->without_index = true;
                return index_broken(reader, at, "the file has no index");
        }
        if (start < MCAP_MAGIC_BYTES || start > at || at - start > file->memory_max) {
                return index_broken(reader, at, "the index is not in the file");
        }
        if (!mcap_buffer_reserve(&reader->index, (size_t) (at - start))) {
                return -ENOMEM;
        }
        r = mcap_read_at(file->fd, reader->index.data, (size_t) (at - start), start);
        if (r < 0) {
                return r;
        }
        reader->index.bytes = (size_t) (at - start);
        crc = mcap_crc(0, reader->index.data, reader->index.bytes);
        crc = mcap_crc(crc, foot, MCAP_FOOTER_BYTES - 4);
        if (mcap_load_u32(foot + 25) && mcap_load_u32(foot + 25) != crc) {
                return index_broken(reader, start, "summary CRC differs: the index is damaged");
        }
        return take_index(reader, start);
}

/* --- by looking through --- */

static void seen_message(struct mcap_reader *reader, const struct mcap_parts *parts) {
        struct mcap_summary *summary = &reader->summary;
        struct mcap_channel *channel = mcap_channel_find(&summary->catalogue, parts->channel_id);

        if (summary->message_count == 0 || parts->log_time_ns < summary->start_ns) {
                summary->start_ns = parts->log_time_ns;
        }
        if (parts->log_time_ns > summary->end_ns) {
                summary->end_ns = parts->log_time_ns;
        }
        summary->message_count++;
        if (channel) {
                channel->message_count++;
        }
}

static int look_into_chunk(struct mcap_reader *reader,
                           const struct mcap_buffer *records,
                           uint64_t offset,
                           struct mcap_error *reterr) {
        struct mcap_cursor cursor = mcap_cursor_over(records->data, records->bytes), content;
        struct mcap_parts parts;
        uint8_t opcode;
        int r = 0;

        while (mcap_left(&cursor) > 0 && r == 0) {
                opcode = mcap_get_record(&cursor, &content);
                if (cursor.failed) {
                        return mcap_error_at(reterr, -EBADMSG, reader->name, offset,
                                             "a chunk's records are damaged; "
                                             "'slipring bag recover' keeps the others");
                }
                if (opcode == MCAP_MESSAGE && mcap_message_read(content, &parts)) {
                        seen_message(reader, &parts);
                }
                r = describe(reader, opcode, content, offset, reterr);
        }
        return r;
}

/* One that is damaged stays in the list: reading fails where it is reached. */
static int look_at_chunk(struct mcap_reader *reader,
                         const struct mcap_record *record,
                         struct mcap_buffer *records,
                         struct mcap_error *reterr) {
        struct mcap_chunk chunk;
        struct entry *entry;
        int r;

        r = mcap_chunk_head(&reader->file, record, false, &chunk, reterr);
        if (r < 0) {
                return r;
        }
        entry = entry_add(reader);
        if (!entry) {
                return no_memory(reader, reterr);
        }
        entry->chunk = chunk;
        reader->summary.chunk_count++;
        reader->summary.compressions[chunk.compression]++;
        reader->summary.packed_bytes += chunk.packed_bytes;
        reader->summary.bytes += chunk.bytes;
        r = mcap_chunk_load(&reader->file, &chunk, records, reterr);
        if (r == 0) {
                r = look_into_chunk(reader, records, chunk.offset, reterr);
        }
        return r;
}

/* A message, schema or channel outside of chunks. */
static int look_at_loose(struct mcap_reader *reader,
                         const struct mcap_record *record,
                         struct mcap_buffer *content,
                         struct mcap_error *reterr) {
        struct entry *last = reader->entry_count ? &reader->entries[reader->entry_count - 1] : NULL;
        struct mcap_parts parts;
        struct mcap_cursor cursor;
        uint64_t length = MCAP_RECORD_HEAD_BYTES + record->bytes;
        int r;

        r = mcap_record_load(&reader->file, record, content, reterr);
        if (r < 0) {
                return r;
        }
        cursor = mcap_cursor_over(content->data, content->bytes);
        if (record->opcode != MCAP_MESSAGE) {
                return describe(reader, record->opcode, cursor, record->offset, reterr);
        }
        if (!mcap_message_read(cursor, &parts)) {
                return mcap_error_at(reterr, -EBADMSG, reader->name, record->offset,
                                     "a damaged message; "
                                     "'slipring bag recover' keeps what is whole");
        }
        seen_message(reader, &parts);
        if (!last || !last->chunk.loose ||
            last->chunk.offset + last->chunk.length != record->offset ||
            last->chunk.bytes > LOOSE_MAX) {
                last = entry_add(reader);
                if (!last) {
                        return no_memory(reader, reterr);
                }
                last->chunk = (struct mcap_chunk){.offset = record->offset,
                                                  .records_offset = record->offset,
                                                  .start_ns = parts.log_time_ns,
                                                  .end_ns = parts.log_time_ns,
                                                  .loose = true};
        }
        last->chunk.length += length;
        last->chunk.bytes += length;
        last->chunk.packed_bytes += length;
        if (parts.log_time_ns < last->chunk.start_ns) {
                last->chunk.start_ns = parts.log_time_ns;
        }
        if (parts.log_time_ns > last->chunk.end_ns) {
                last->chunk.end_ns = parts.log_time_ns;
        }
        return 0;
}

static void forget_index(struct mcap_reader *reader) {
        struct mcap_summary *summary = &reader->summary,
                            kept = {.damage = summary->damage, .file_bytes = summary->file_bytes};

        memcpy(kept.profile, summary->profile, sizeof(kept.profile));
        memcpy(kept.library, summary->library, sizeof(kept.library));
        mcap_catalogue_free(&summary->catalogue);
        mcap_buffer_free(&reader->index);
        reader->entry_count = 0;
        reader->list_count = 0;
        *summary = kept;
}

static int look_through(struct mcap_reader *reader, uint64_t offset, struct mcap_error *reterr) {
        struct mcap_buffer content = {0};
        struct mcap_error damage = {0};
        struct mcap_record record = {0};
        bool found = false;
        int r = 1;

        while (record.opcode != MCAP_DATA_END &&
               (r = mcap_record_at(&reader->file, offset, &record, &damage)) > 0) {
                r = 0;
                if (record.opcode == MCAP_CHUNK) {
                        r = look_at_chunk(reader, &record, &content, &damage);
                        /* Its length was right, or what follows tells. */
                        r = r == -EBADMSG || r == -EFBIG || r == -EPROTONOSUPPORT ? 0 : r;
                } else if (record.opcode == MCAP_MESSAGE || record.opcode == MCAP_SCHEMA ||
                           record.opcode == MCAP_CHANNEL) {
                        r = look_at_loose(reader, &record, &content, &damage);
                } else if (record.opcode == MCAP_METADATA) {
                        r = list_add(reader, offset) < 0 ? no_memory(reader, &damage) : 0;
                }
                reader->summary.attachment_count += record.opcode == MCAP_ATTACHMENT;
                reader->summary.metadata_count += record.opcode == MCAP_METADATA;
                if (r < 0) {
                        break;
                }
                /* The first damage says more than the missing index does. */
                if (damage.code && !found) {
                        reader->summary.damage = damage;
                        found = true;
                }
                offset += MCAP_RECORD_HEAD_BYTES + record.bytes;
        }
        mcap_buffer_free(&content);
        if (r < 0 && r != -ENODATA && r != -EBADMSG && r != -EFBIG) {
                if (reterr) {
                        *reterr = damage;
                }
                return r;
        }
        if (r < 0 && !found) {
                reader->summary.damage = damage;
        } else if (record.opcode == MCAP_DATA_END && !found && reader->without_index) {
                /* Somebody wanted it so. */
                reader->summary.damage = (struct mcap_error){0};
        }
        return 0;
}

static int open_file(struct mcap_reader *reader,
                     int fd,
                     const char *name,
                     uint64_t memory_max,
                     bool index_only,
                     struct mcap_error *reterr) {
        uint64_t offset;
        int r;

        reader->name = strdup(name);
        if (!reader->name) {
                return mcap_error_set(reterr, -ENOMEM, "%s: no memory for a reader", name);
        }
        r = mcap_file_open(&reader->file, fd, reader->name, memory_max, reader->summary.profile,
                           reader->summary.library, &offset, reterr);
        if (r < 0) {
                return r;
        }
        reader->summary.file_bytes = reader->file.bytes;
        r = open_indexed(reader);
        if (r == 0) {
                reader->summary.indexed = true;
        } else if (r == -EBADMSG && !index_only) {
                forget_index(reader);
                r = look_through(reader, offset, reterr);
        } else {
                (void) mcap_error_set(reterr, r, "%s: %s", name, strerror(-r));
        }
        if (r < 0) {
                return r;
        }
        return mcap_reader_select(reader, NULL, NULL, 0, UINT64_MAX) < 0 ? no_memory(reader, reterr)
                                                                         : 0;
}

static int open_reader(struct mcap_reader **ret_reader,
                       int fd,
                       const char *name,
                       uint64_t memory_max,
                       bool index_only,
                       struct mcap_error *reterr) {
        struct mcap_reader *reader = calloc(1, sizeof(*reader));
        int r;

        if (!reader) {
                return mcap_error_set(reterr, -ENOMEM, "%s: no memory for a reader", name);
        }
        r = open_file(reader, fd, name, memory_max, index_only, reterr);
        if (r < 0) {
                mcap_reader_close(reader);
                return r;
        }
        *ret_reader = reader;
        return 0;
}

int mcap_reader_open(struct mcap_reader **ret_reader,
                     int fd,
                     const char *name,
                     uint64_t memory_max,
                     struct mcap_error *reterr) {
        return open_reader(ret_reader, fd, name, memory_max, false, reterr);
}

int mcap_reader_open_indexed(struct mcap_reader **ret_reader,
                             int fd,
                             const char *name,
                             uint64_t memory_max) {
        return open_reader(ret_reader, fd, name, memory_max, true, NULL);
}

const struct mcap_summary *mcap_reader_summary(const struct mcap_reader *reader) {
        return &reader->summary;
}

/* --- lists --- */

static int list_damaged(struct mcap_reader *reader, uint64_t offset, struct mcap_error *reterr) {
        return mcap_error_at(reterr, -EBADMSG, reader->name, offset,
                             "a list of metadata is damaged");
}

int mcap_reader_metadata(struct mcap_reader *reader,
                         uint64_t index,
                         struct mcap_metadata *ret_metadata,
                         struct mcap_error *reterr) {
        struct mcap_record record;
        struct mcap_cursor cursor;
        struct mcap_text pairs;
        uint64_t offset;
        int r;

        if (index >= reader->list_count) {
                return 0;
        }
        offset = reader->lists[index];
        r = mcap_record_at(&reader->file, offset, &record, reterr);
        if (r < 0 && r != -ENODATA) {
                return r;
        }
        /* An index may name one a million times, or lists within lists: each byte is read once. */
        if (r <= 0 || record.opcode != MCAP_METADATA ||
            (index + 1 < reader->list_count &&
             reader->lists[index + 1] - offset < MCAP_RECORD_HEAD_BYTES + record.bytes)) {
                return list_damaged(reader, offset, reterr);
        }
        r = mcap_record_load(&reader->file, &record, &reader->list, reterr);
        if (r < 0) {
                return r;
        }
        cursor = mcap_cursor_over(reader->list.data, reader->list.bytes);
        ret_metadata->name = mcap_get_text(&cursor);
        pairs = mcap_get_text(&cursor);
        if (cursor.failed || mcap_left(&cursor) > 0 || !mcap_map_holds(pairs)) {
                return list_damaged(reader, offset, reterr);
        }
        ret_metadata->pairs = mcap_cursor_over(pairs.data, pairs.bytes);
        return 1;
}

/* --- selecting --- */

static bool is_wanted(const struct mcap_reader *reader, const struct mcap_channel *channel) {
        return reader->wanted[channel - reader->summary.catalogue.channels];
}

static bool entry_wanted(const struct mcap_reader *reader, const struct entry *entry) {
        const struct mcap_channel *channel;
        size_t i;

        if (entry->chunk.end_ns < reader->start_ns || entry->chunk.start_ns > reader->end_ns) {
                return false;
        }
        for (i = 0; i < entry->channels.bytes; i += 10) {
                channel = mcap_channel_find(&reader->summary.catalogue,
                                            mcap_load_u16(entry->channels.data + i));
                if (channel && is_wanted(reader, channel)) {
                        return true;
                }
        }
        return reader->all || entry->channels.bytes == 0;
}

static int compare_entries(const void *a, const void *b, void *context) {
        const struct entry *entries = context;
        const struct mcap_chunk *x = &entries[*(const size_t *) a].chunk;
        const struct mcap_chunk *y = &entries[*(const size_t *) b].chunk;

        if (x->start_ns != y->start_ns) {
                return x->start_ns < y->start_ns ? -1 : 1;
        }
        return x->offset < y->offset ? -1 : x->offset > y->offset;
}

static void loaded_free(struct loaded *loaded) {
        if (loaded) {
                mcap_buffer_free(&loaded->records);
                free(loaded->marks);
                free(loaded);
        }
}

static void unload_all(struct mcap_reader *reader) {
        while (reader->heap_count > 0) {
                loaded_free(reader->heap[--reader->heap_count]);
        }
        loaded_free(reader->current);
        loaded_free(reader->spare);
        reader->current = reader->spare = NULL;
        reader->memory = 0;
}

int mcap_reader_select(struct mcap_reader *reader,
                       mcap_filter *wanted,
                       void *context,
                       uint64_t start_ns,
                       uint64_t end_ns) {
        const struct mcap_catalogue *catalogue = &reader->summary.catalogue;
        size_t *order, i;
        bool *chosen;

        order = reallocarray(reader->order, reader->entry_count + 1, sizeof(*order));
        reader->order = order ? order : reader->order;
        chosen = reallocarray(reader->wanted, catalogue->channel_count + 1, sizeof(*chosen));
        reader->wanted = chosen ? chosen : reader->wanted;
        if (!order || !chosen) {
                return -ENOMEM;
        }
        unload_all(reader);
        reader->order_at = reader->order_count = 0;
        reader->failed = (struct mcap_error){0};
        reader->start_ns = start_ns;
        reader->end_ns = end_ns;
        reader->all = !wanted;
        for (i = 0; i < catalogue->channel_count; i++) {
                chosen[i] = !wanted || wanted(&catalogue->channels[i], context);
        }
        for (i = 0; i < reader->entry_count; i++) {
                if (entry_wanted(reader, &reader->entries[i])) {
                        order[reader->order_count++] = i;
                }
        }
        qsort_r(order, reader->order_count, sizeof(*order), compare_entries, reader->entries);
        return 0;
}

/* --- reading --- */

static const struct mark *head_of(const struct loaded *loaded) {
        return &loaded->marks[loaded->at];
}

static bool earlier(const struct loaded *a, const struct loaded *b) {
        if (head_of(a)->time_ns != head_of(b)->time_ns) {
                return head_of(a)->time_ns < head_of(b)->time_ns;
        }
        return a->file_offset < b->file_offset;
}

static int heap_push(struct mcap_reader *reader, struct loaded *loaded) {
        size_t room = reader->heap_room ? 2 * reader->heap_room : 16, i, parent;
        struct loaded **larger;

        if (reader->heap_count == reader->heap_room) {
                larger = reallocarray(reader->heap, room, sizeof(struct loaded *));
                if (!larger) {
                        return -ENOMEM;
                }
                reader->heap = larger;
                reader->heap_room = room;
        }
        for (i = reader->heap_count++; i > 0; i = parent) {
                parent = (i - 1) / 2;
                if (!earlier(loaded, reader->heap[parent])) {
                        break;
                }
                reader->heap[i] = reader->heap[parent];
        }
        reader->heap[i] = loaded;
        return 0;
}

static struct loaded *heap_pop(struct mcap_reader *reader) {
        struct loaded **heap = reader->heap, *top = heap[0], *last = heap[--reader->heap_count];
        size_t i = 0, child, count = reader->heap_count;

        while ((child = 2 * i + 1) < count) {
                if (child + 1 < count && earlier(heap[child + 1], heap[child])) {
                        child++;
                }
                if (!earlier(heap[child], last)) {
                        break;
                }
                heap[i] = heap[child];
                i = child;
        }
        heap[i] = last;
        return top;
}

static int compare_marks(const void *a, const void *b) {
        const struct mark *x = a, *y = b;

        if (x->time_ns != y->time_ns) {
                return x->time_ns < y->time_ns ? -1 : 1;
        }
        return x->offset < y->offset ? -1 : x->offset > y->offset;
}

static bool mark_add(struct loaded *loaded, uint64_t time_ns, uint64_t offset) {
        size_t room = loaded->mark_room ? 2 * loaded->mark_room : 256;
        struct mark *larger;

        if (loaded->count == loaded->mark_room) {
                larger = reallocarray(loaded->marks, room, sizeof(*larger));
                if (!larger) {
                        return false;
                }
                loaded->marks = larger;
                loaded->mark_room = room;
        }
        loaded->marks[loaded->count++] = (struct mark){time_ns, offset};
        return true;
}

static int chunk_damaged(struct mcap_reader *reader,
                         const struct mcap_chunk *chunk,
                         const char *what,
                         struct mcap_error *reterr) {
        return mcap_error_at(reterr, -EBADMSG, reader->name, chunk->offset,
                             "%s; 'slipring bag recover' rebuilds the file", what);
}

/* Marks the wanted messages of a loaded chunk. */
static int mark_messages(struct mcap_reader *reader,
                         struct loaded *loaded,
                         const struct mcap_chunk *chunk,
                         struct mcap_error *reterr) {
        const struct mcap_channel *channel;
        struct mcap_cursor cursor, content;
        struct mcap_parts parts;
        bool ordered = true;
        uint64_t offset;
        uint8_t opcode;

        cursor = mcap_cursor_over(loaded->records.data, loaded->records.bytes);
        while (mcap_left(&cursor) > 0) {
                offset = loaded->records.bytes - mcap_left(&cursor);
                opcode = mcap_get_record(&cursor, &content);
                if (cursor.failed ||
                    (opcode == MCAP_MESSAGE && !mcap_message_read(content, &parts))) {
                        return chunk_damaged(reader, chunk, "a chunk's records are damaged",
                                             reterr);
                }
                if (opcode != MCAP_MESSAGE) {
                        continue;
                }
                channel = mcap_channel_find(&reader->summary.catalogue, parts.channel_id);
                if (!channel) {
                        return chunk_damaged(reader, chunk,
                                             "a message of a channel that nothing describes",
                                             reterr);
                }
                if (parts.log_time_ns < chunk->start_ns || parts.log_time_ns > chunk->end_ns) {
                        return chunk_damaged(reader, chunk, "a message outside of its chunk's time",
                                             reterr);
                }
                if (!is_wanted(reader, channel) || parts.log_time_ns < reader->start_ns ||
                    parts.log_time_ns > reader->end_ns) {
                        continue;
                }
                ordered =
                        ordered && (loaded->count == 0 ||
                                    loaded->marks[loaded->count - 1].time_ns <= parts.log_time_ns);
                if (!mark_add(loaded, parts.log_time_ns, offset)) {
                        return no_memory(reader, reterr);
                }
        }
        if (!ordered) {
                qsort(loaded->marks, loaded->count, sizeof(*loaded->marks), compare_marks);
        }
        return 0;
}

/* What the index does not say, and whether what it says is so. */
static int
complete_entry(struct mcap_reader *reader, struct entry *entry, struct mcap_error *reterr) {
        struct mcap_record record = {0};
        struct mcap_chunk chunk;
        int r;

        r = mcap_record_at(&reader->file, entry->chunk.offset, &record, reterr);
        if (r < 0) {
                return r;
        }
        if (r == 0 || record.opcode != MCAP_CHUNK) {
                return chunk_damaged(reader, &entry->chunk, "no chunk where the index has one",
                                     reterr);
        }
        r = mcap_chunk_head(&reader->file, &record, false, &chunk, reterr);
        if (r < 0) {
                return r;
        }
        if (chunk.length != entry->chunk.length || chunk.start_ns != entry->chunk.start_ns ||
            chunk.end_ns != entry->chunk.end_ns || chunk.bytes != entry->chunk.bytes ||
            chunk.packed_bytes != entry->chunk.packed_bytes ||
            chunk.compression != entry->chunk.compression) {
                return chunk_damaged(reader, &chunk, "a chunk is not what the index says", reterr);
        }
        entry->chunk = chunk;
        entry->indexed = false;
        return 0;
}

static void unload(struct mcap_reader *reader, struct loaded *loaded) {
        reader->memory -= loaded->records.bytes;
        if (reader->spare) {
                loaded_free(loaded);
        } else {
                reader->spare = loaded;
        }
}

static int load(struct mcap_reader *reader, struct entry *entry, struct mcap_error *reterr) {
        struct loaded *loaded;
        int r = 0;

        if (entry->indexed) {
                r = complete_entry(reader, entry, reterr);
        }
        if (r < 0) {
                return r;
        }
        if (entry->chunk.bytes > reader->file.memory_max - reader->memory) {
                return mcap_error_at(
                        reterr, -EFBIG, reader->name, entry->chunk.offset,
                        "chunks that overlap in time are more than the limit of %" PRIu64 " bytes",
                        reader->file.memory_max);
        }
        loaded = reader->spare ? reader->spare : calloc(1, sizeof(*loaded));
        reader->spare = NULL;
        if (!loaded) {
                return no_memory(reader, reterr);
        }
        loaded->count = loaded->at = 0;
        loaded->file_offset = entry->chunk.offset;
        r = mcap_chunk_load(&reader->file, &entry->chunk, &loaded->records, reterr);
        if (r == 0) {
                r = mark_messages(reader, loaded, &entry->chunk, reterr);
        }
        if (r < 0) {
                loaded_free(loaded);
                return r;
        }
        reader->memory += loaded->records.bytes;
        if (loaded->count == 0) {
                unload(reader, loaded);
                return 0;
        }
        r = heap_push(reader, loaded);
        if (r < 0) {
                unload(reader, loaded);
                return no_memory(reader, reterr);
        }
        return 0;
}

static void take_message(struct mcap_reader *reader,
                         const struct loaded *loaded,
                         struct mcap_message *ret_message) {
        size_t offset = (size_t) head_of(loaded)->offset;
        struct mcap_cursor cursor =
                mcap_cursor_over(loaded->records.data + offset, loaded->records.bytes - offset);
        struct mcap_cursor content;
        struct mcap_parts parts;

        (void) mcap_get_record(&cursor, &content);
        (void) mcap_message_read(content, &parts);
        *ret_message = (struct mcap_message){
                .channel = mcap_channel_find(&reader->summary.catalogue, parts.channel_id),
                .sequence = parts.sequence,
                .log_time_ns = parts.log_time_ns,
                .publish_time_ns = parts.publish_time_ns,
                .data = parts.data.data,
                .bytes = parts.data.bytes,
        };
}

static int
next(struct mcap_reader *reader, struct mcap_message *ret_message, struct mcap_error *reterr) {
        struct loaded *loaded = reader->current;
        struct entry *entry;
        int r;

        reader->current = NULL;
        if (loaded && ++loaded->at < loaded->count) {
                r = heap_push(reader, loaded);
                if (r < 0) {
                        unload(reader, loaded);
                        return no_memory(reader, reterr);
                }
        } else if (loaded) {
                unload(reader, loaded);
        }
        while (reader->order_at < reader->order_count) {
                entry = &reader->entries[reader->order[reader->order_at]];
                if (reader->heap_count > 0 &&
                    entry->chunk.start_ns > head_of(reader->heap[0])->time_ns) {
                        break;
                }
                r = load(reader, entry, reterr);
                if (r < 0) {
                        return r;
                }
                reader->order_at++;
        }
        if (reader->heap_count == 0) {
                return 0;
        }
        reader->current = heap_pop(reader);
        take_message(reader, reader->current, ret_message);
        return 1;
}

int mcap_reader_next(struct mcap_reader *reader,
                     struct mcap_message *ret_message,
                     struct mcap_error *reterr) {
        int r;

        if (!reader->failed.code) {
                r = next(reader, ret_message, &reader->failed);
                if (r >= 0) {
                        return r;
                }
        }
        if (reterr) {
                *reterr = reader->failed;
        }
        return reader->failed.code;
}

void mcap_reader_close(struct mcap_reader *reader) {
        if (!reader) {
                return;
        }
        unload_all(reader);
        free(reader->heap);
        free(reader->order);
        free(reader->wanted);
        free(reader->entries);
        free(reader->lists);
        mcap_buffer_free(&reader->list);
        mcap_buffer_free(&reader->index);
        mcap_catalogue_free(&reader->summary.catalogue);
        mcap_file_free(&reader->file);
        free(reader->name);
        free(reader);
}
