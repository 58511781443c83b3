#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "mcap/internal.h"
#include "mcap/recover.h"

#define WINDOW_LEAST ((size_t) 1 << 12)
#define WINDOW_BYTES ((size_t) 1 << 20)
/* Damage makes a false chunk or two. A file that is made of them could have each read to the end.
 */
#define VAIN_FILES 4u
/* So many records in a row are no accident. */
#define ROW 3u

struct recover {
        struct mcap_file file;
        struct mcap_writer *writer;
        struct mcap_recovery report;
        struct mcap_buffer records;
        uint64_t offset;
        uint64_t doubted; /* no chunk that was taken lies behind it: a search begins there */
        bool chunked; /* by the old index: a message outside of chunks is something else, damaged */
        bool loose;   /* there is no chunk in the rest: messages are looked for */
};

static void damaged(struct recover *recover, const struct mcap_error *damage) {
        if (!recover->report.damage.code) {
                recover->report.damage = *damage;
        }
}

/* What ends the whole run, and not just a chunk. */
static bool fatal(int code) {
        return code < 0 && code != -EBADMSG && code != -ENODATA && code != -EFBIG &&
               code != -EPROTONOSUPPORT && code != -EEXIST;
}

/* --- one record --- */

static int
take_message(struct recover *recover, struct mcap_cursor content, struct mcap_error *reterr) {
        struct mcap_parts parts;
        void *data;
        int r;

        if (!mcap_message_read(content, &parts)) {
                recover->report.messages_lost++;
                return 0;
        }
        r = mcap_writer_reserve(recover->writer, parts.channel_id, parts.data.bytes, &data, reterr);
        if (r == -EINVAL || r == -EMSGSIZE) {
                recover->report.messages_lost++;
                return 0;
        }
        if (r < 0) {
                return r;
        }
        if (parts.data.bytes > 0) {
                memcpy(data, parts.data.data, parts.data.bytes);
        }
        r = mcap_writer_commit(recover->writer, parts.sequence, parts.log_time_ns,
                               parts.publish_time_ns, parts.data.bytes, reterr);
        return r < 0 ? r : 1;
}

/* A record that is not a chunk, from the file or out of one. */
static int take_record(struct recover *recover,
                       uint8_t opcode,
                       struct mcap_cursor content,
                       uint64_t offset,
                       struct mcap_error *reterr) {
        struct mcap_error damage;
        int r = 0;

        switch (opcode) {
        case MCAP_MESSAGE:
                return take_message(recover, content, reterr);
        case MCAP_SCHEMA:
        case MCAP_CHANNEL:
                r = mcap_writer_adopt(recover->writer, opcode, content.at, mcap_left(&content));
                break;
        case MCAP_METADATA:
        case MCAP_ATTACHMENT:
                r = mcap_writer_adopt_record(recover->writer, opcode, content.at,
                                             mcap_left(&content));
                break;
        default:
                break;
        }
        if (r == -EBADMSG || r == -EEXIST) {
                (void) mcap_error_at(&damage, r, recover->file.name, offset,
                                     "a damaged description; it was left out");
                damaged(recover, &damage);
                return 0;
        }
        return r < 0 ? mcap_error_set(reterr, r, "%s: no memory", recover->file.name) : 0;
}

/* Schemas and channels that stand in a chunk: its messages need them. */
static int take_descriptions(struct recover *recover, uint64_t offset, struct mcap_error *reterr) {
        struct mcap_cursor cursor, content;
        uint8_t opcode;
        int r = 0;

        cursor = mcap_cursor_over(recover->records.data, recover->records.bytes);
        while (mcap_left(&cursor) > 0 && r == 0) {
                opcode = mcap_get_record(&cursor, &content);
                if (opcode == MCAP_SCHEMA || opcode == MCAP_CHANNEL) {
                        r = take_record(recover, opcode, content, offset, reterr);
                }
        }
        return r;
}

/* 0: taken, or known to be lost. */
static int
take_chunk(struct recover *recover, const struct mcap_chunk *chunk, struct mcap_error *reterr) {
        struct mcap_error damage;
        int r;

        r = mcap_chunk_load(&recover->file, chunk, &recover->records, &damage);
        if (r == 0) {
                r = take_descriptions(recover, chunk->offset, &damage);
        }
        if (r == 0) {
                r = mcap_writer_adopt_chunk(recover->writer, &recover->file, chunk,
                                            &recover->records, &damage);
                if (r == -EBADMSG) {
                        (void) mcap_error_at(&damage, r, recover->file.name, chunk->offset,
                                             "a chunk's records are damaged; it was left out");
                }
        }
        if (r == 0) {
                recover->report.chunks++;
                return 0;
        }
        /* Of the disk's being full -EFBIG would be one face; a chunk that is too large another. */
        if (fatal(r) || (r == -EFBIG && chunk->bytes <= recover->file.memory_max)) {
                if (reterr) {
                        *reterr = damage;
                }
                return r;
        }
        damaged(recover, &damage);
        recover->report.chunks_lost++;
        return 0;
}

/* The records at the beginning of a chunk that the file ends in, into recover->records. */
static int
load_cut_chunk(struct recover *recover, const struct mcap_chunk *chunk, struct mcap_error *reterr) {
        struct mcap_record record = {.offset = chunk->records_offset - MCAP_RECORD_HEAD_BYTES,
                                     .bytes = recover->file.bytes - chunk->records_offset};
        int r;

        recover->records.bytes = 0;
        if (chunk->bytes > recover->file.memory_max) {
                return 0;
        }
        r = mcap_record_load(&recover->file, &record, &recover->file.packed, reterr);
        if (r < 0) {
                return fatal(r) ? r : 0;
        }
        if (!mcap_buffer_reserve(&recover->records, (size_t) chunk->bytes)) {
                recover->records.failed = false;
                return mcap_error_set(reterr, -ENOMEM,
                                      "%s: no memory for a chunk of %" PRIu64 " bytes",
                                      recover->file.name, chunk->bytes);
        }
        recover->records.bytes = mcap_unpack_prefix(
                &recover->file.codec, chunk->compression, recover->file.packed.data,
                recover->file.packed.bytes, recover->records.data, (size_t) chunk->bytes);
        return 0;
}

/* And of these what is whole. */
static int
take_cut_chunk(struct recover *recover, const struct mcap_chunk *chunk, struct mcap_error *reterr) {
        struct mcap_cursor cursor, content;
        uint8_t opcode;
        int r;

        recover->report.chunks_lost++;
        recover->report.bytes_skipped += recover->file.bytes - chunk->offset;
        r = load_cut_chunk(recover, chunk, reterr);
        if (r < 0) {
                return r;
        }
        cursor = mcap_cursor_over(recover->records.data, recover->records.bytes);
        for (;;) {
                opcode = mcap_get_record(&cursor, &content);
                if (cursor.failed || opcode == 0) {
                        return 0;
                }
                r = take_record(recover, opcode, content, chunk->offset, reterr);
                if (r < 0) {
                        return r;
                }
                recover->report.messages_unchecked += r == 1;
        }
}

/* --- the chain of records --- */

/* What may stand between the header and the summary. */
static bool known(const struct recover *recover, const struct mcap_record *record) {
        switch (record->opcode) {
        case MCAP_MESSAGE:
                return !recover->chunked;
        case MCAP_HEADER:
        case MCAP_SCHEMA:
        case MCAP_CHANNEL:
        case MCAP_CHUNK:
        case MCAP_MESSAGE_INDEX:
        case MCAP_ATTACHMENT:
        case MCAP_METADATA:
                return true;
        case MCAP_DATA_END:
                return record->bytes == 4;
        default:
                /* Other people's own are theirs. */
                return record->opcode >= 0x80;
        }
}

/* May so many bytes be read that may turn out to be nothing? Half of what is left at most, so that
 * large ones cannot leave nothing for the smaller ones behind them. */
static bool afford(struct recover *recover, uint64_t bytes) {
        uint64_t left = VAIN_FILES * recover->file.bytes - recover->report.bytes_in_vain;

        recover->report.gave_up = recover->report.gave_up || bytes > left / 2;
        return bytes <= left / 2;
}

/* Is there a chunk at @offset that is what it says? Then it is loaded. */
static bool chunk_at(struct recover *recover, uint64_t offset) {
        struct mcap_record record;
        struct mcap_chunk chunk;

        if (mcap_record_at(&recover->file, offset, &record, NULL) != 1 ||
            record.opcode != MCAP_CHUNK ||
            mcap_chunk_head(&recover->file, &record, false, &chunk, NULL) < 0 || !chunk.crc ||
            !afford(recover, record.bytes)) {
                return false;
        }
        if (mcap_chunk_load(&recover->file, &chunk, &recover->records, NULL) < 0) {
                recover->report.bytes_in_vain += record.bytes;
                return false;
        }
        return true;
}

/* Do records follow each other from @offset on, as they do outside of chunks? */
static bool row_at(struct recover *recover, uint64_t offset) {
        struct mcap_record record;
        unsigned i;
        int r;

        for (i = 0; i < ROW; i++) {
                r = mcap_record_at(&recover->file, offset, &record, NULL);
                if (r == 0 || (r == 1 && record.opcode == MCAP_DATA_END && record.bytes == 4)) {
                        return i > 0;
                }
                if (r < 0 || record.opcode >= 0x80 || !known(recover, &record) ||
                    (record.opcode == MCAP_MESSAGE &&
                     record.bytes < MCAP_MESSAGE_HEAD_BYTES - MCAP_RECORD_HEAD_BYTES)) {
                        return false;
                }
                offset += MCAP_RECORD_HEAD_BYTES + record.bytes;
        }
        return true;
}

/* Can the chain go on at @at, which is @offset in the file? @bytes from there are in memory. */
static bool goes_on(struct recover *recover, const uint8_t *at, size_t bytes, uint64_t offset) {
        if (recover->loose ? *at < MCAP_SCHEMA || *at > MCAP_MESSAGE : *at != MCAP_CHUNK) {
                return false;
        }
        /* Most bytes are told from a record without the kernel. */
        if (bytes >= MCAP_RECORD_HEAD_BYTES && mcap_load_u64(at + 1) > recover->file.bytes) {
                return false;
        }
        return recover->loose ? row_at(recover, offset) : chunk_at(recover, offset);
}

/* The first such place from @at on; the end of the file if there is none. */
static int
find(struct recover *recover, uint64_t at, uint64_t *ret_found, struct mcap_error *reterr) {
        uint64_t end = recover->file.bytes;
        size_t bytes, i, most = WINDOW_LEAST;
        uint8_t *window = malloc(WINDOW_BYTES);
        bool found = false;
        int r = 0;

        if (!window) {
                return mcap_error_set(reterr, -ENOMEM, "%s: no memory", recover->file.name);
        }
        while (r == 0 && !found && at < end) {
                bytes = end - at < most ? (size_t) (end - at) : most;
                /* What is found is near, most times. */
                most = 2 * most < WINDOW_BYTES ? 2 * most : WINDOW_BYTES;
                r = mcap_read_at(recover->file.fd, window, bytes, at);
                if (r < 0) {
                        (void) mcap_error_at(reterr, r, recover->file.name, at,
                                             "cannot be read: %s", strerror(-r));
                }
                for (i = 0; r == 0 && i < bytes; i++) {
                        found = goes_on(recover, window + i, bytes - i, at + i);
                        if (found) {
                                break;
                        }
                }
                at += i;
        }
        free(window);
        *ret_found = at;
        return r;
}

/* Goes on at the next place where that is possible, or at the end of the file. Where the chain
 * breaks, it is the record before that may have had a wrong length, so the search begins in that
 * one. */
static int search(struct recover *recover, struct mcap_error *reterr) {
        uint64_t begun = recover->offset, at = begun, found;
        int r;

        if (recover->doubted < begun && afford(recover, begun - recover->doubted)) {
                recover->report.bytes_in_vain += begun - recover->doubted;
                at = recover->doubted;
        }
        r = find(recover, at + 1, &found, reterr);
        /* Where there are chunks, messages that stand alone are those of a damaged one. */
        if (r == 0 && found >= recover->file.bytes && !recover->loose && !recover->chunked &&
            recover->report.chunks + recover->report.chunks_lost == 0) {
                recover->loose = true;
                r = find(recover, at + 1, &found, reterr);
        }
        if (r < 0) {
                return r;
        }
        recover->offset = found;
        recover->doubted = found;
        recover->report.bytes_skipped += found > begun ? found - begun : 0;
        return 1;
}

/* The chain is broken at recover->offset, or what stands there is damaged as a whole. */
static int step_over(struct recover *recover,
                     const struct mcap_error *damage,
                     bool chunk,
                     struct mcap_error *reterr) {
        damaged(recover, damage);
        if (fatal(damage->code)) {
                *reterr = *damage;
                return damage->code;
        }
        recover->report.chunks_lost += chunk;
        return search(recover, reterr);
}

static int step_chunk(struct recover *recover,
                      const struct mcap_record *record,
                      bool cut,
                      struct mcap_error *damage,
                      struct mcap_error *reterr) {
        struct mcap_error head;
        struct mcap_chunk chunk;
        int r;

        r = mcap_chunk_head(&recover->file, record, cut, &chunk, &head);
        if (cut && r == 0) {
                damaged(recover, damage);
                r = take_cut_chunk(recover, &chunk, reterr);
                return r < 0 ? r : 0;
        }
        if (cut || (r < 0 && r != -EPROTONOSUPPORT)) {
                return step_over(recover, cut ? damage : &head, true, reterr);
        }
        recover->offset = record->offset + MCAP_RECORD_HEAD_BYTES + record->bytes;
        recover->doubted = recover->offset - 1;
        if (r < 0) {
                damaged(recover, &head);
                recover->report.chunks_lost++;
                return 1;
        }
        r = take_chunk(recover, &chunk, reterr);
        return r < 0 ? r : 1;
}

/* 1: go on at recover->offset; 0: the end. */
static int step(struct recover *recover, struct mcap_error *reterr) {
        struct mcap_record record = {0};
        struct mcap_error damage = {0};
        int r;

        r = mcap_record_at(&recover->file, recover->offset, &record, &damage);
        if (r == 0) {
                return 0;
        }
        if (record.opcode == MCAP_CHUNK && (r == 1 || r == -ENODATA)) {
                return step_chunk(recover, &record, r < 0, &damage, reterr);
        }
        if (r == 1 && !known(recover, &record)) {
                r = mcap_error_at(&damage, -EBADMSG, recover->file.name, record.offset,
                                  "not a record");
        }
        if (r < 0) {
                return step_over(recover, &damage, false, reterr);
        }
        recover->offset = record.offset + MCAP_RECORD_HEAD_BYTES + record.bytes;
        recover->doubted = record.offset;
        if (record.opcode == MCAP_DATA_END) {
                return 0;
        }
        if (record.opcode == MCAP_MESSAGE_INDEX || record.opcode >= 0x80) {
                return 1;
        }
        r = mcap_record_load(&recover->file, &record, &recover->records, &damage);
        if (r < 0) {
                damaged(recover, &damage);
                *reterr = damage;
                return fatal(r) ? r : 1;
        }
        r = take_record(recover, record.opcode,
                        mcap_cursor_over(recover->records.data, recover->records.bytes),
                        record.offset, reterr);
        recover->report.messages_unchecked += r == 1 && recover->loose;
        return r < 0 ? r : 1;
}

/* What an index still says: channels whose own records may be damaged, and how many messages there
 * were. */
static void ask_index(struct recover *recover, uint64_t memory_max) {
        const struct mcap_catalogue *catalogue;
        struct mcap_reader *reader = NULL;
        size_t i;

        if (mcap_reader_open_indexed(&reader, recover->file.fd, recover->file.name, memory_max) <
            0) {
                return;
        }
        recover->report.messages_expected = mcap_reader_summary(reader)->message_count;
        recover->chunked = mcap_reader_summary(reader)->chunk_count > 0;
        catalogue = &mcap_reader_summary(reader)->catalogue;
        for (i = 0; i < catalogue->schema_count; i++) {
                (void) mcap_writer_adopt(recover->writer, MCAP_SCHEMA,
                                         catalogue->schemas[i].content,
                                         catalogue->schemas[i].content_bytes);
        }
        for (i = 0; i < catalogue->channel_count; i++) {
                (void) mcap_writer_adopt(recover->writer, MCAP_CHANNEL,
                                         catalogue->channels[i].content,
                                         catalogue->channels[i].content_bytes);
        }
        mcap_reader_close(reader);
}

static bool disk_full(int code) {
        return code == -ENOSPC || code == -EFBIG || code == -EDQUOT;
}

int mcap_recover(int from_fd,
                 const char *from_name,
                 int to_fd,
                 const char *to_name,
                 uint64_t memory_max,
                 struct mcap_recovery *ret_recovery,
                 struct mcap_error *reterr) {
        struct mcap_writer_options options = {0};
        struct mcap_writer_counts counts;
        struct recover recover = {0};
        struct mcap_error error = {0};
        char profile[64] = "", library[64] = "";
        int r, closed;

        r = mcap_file_open(&recover.file, from_fd, from_name, memory_max, profile, library,
                           &recover.offset, reterr);
        if (r < 0) {
                return r;
        }
        options.profile = profile;
        options.library = library;
        r = mcap_writer_open(&recover.writer, to_fd, to_name, &options, reterr);
        if (r < 0) {
                mcap_file_free(&recover.file);
                return r;
        }
        recover.doubted = MCAP_MAGIC_BYTES;
        ask_index(&recover, memory_max);
        do {
                r = step(&recover, &error);
        } while (r > 0);
        closed = mcap_writer_close(recover.writer, &counts, r < 0 ? NULL : &error);
        recover.report.messages = counts.messages;
        mcap_buffer_free(&recover.records);
        mcap_file_free(&recover.file);
        *ret_recovery = recover.report;
        /* Full, but closed as it should be. */
        if (r < 0 && disk_full(r) && closed >= 0) {
                r = 1;
        }
        r = r == 0 ? closed : r;
        if (r != 0 && reterr) {
                *reterr = error;
        }
        return r;
}
