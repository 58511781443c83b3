#ifndef SLIPRING_MCAP_FORMAT_H
#define SLIPRING_MCAP_FORMAT_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * The bytes of an MCAP file (https://mcap.dev/spec): little-endian records of
 *
 *     opcode u8, length u64, content
 *
 * between two magics. What writer and reader share: building records, taking them apart with every
 * length checked, and failures in words.
 */

#define MCAP_MAGIC "\x89MCAP0\r\n"
#define MCAP_MAGIC_BYTES 8u
#define MCAP_RECORD_HEAD_BYTES 9u
/* Opcode, length, channel, sequence and two times stand before a message's data. */
#define MCAP_MESSAGE_HEAD_BYTES 31u
#define MCAP_FOOTER_BYTES (MCAP_RECORD_HEAD_BYTES + 20u)
/* The largest message that is written, and read. */
#define MCAP_MESSAGE_MAX (UINT64_C(1) << 30)

enum mcap_opcode {
        MCAP_HEADER = 1,
        MCAP_FOOTER,
        MCAP_SCHEMA,
        MCAP_CHANNEL,
        MCAP_MESSAGE,
        MCAP_CHUNK,
        MCAP_MESSAGE_INDEX,
        MCAP_CHUNK_INDEX,
        MCAP_ATTACHMENT,
        MCAP_ATTACHMENT_INDEX,
        MCAP_STATISTICS,
        MCAP_METADATA,
        MCAP_METADATA_INDEX,
        MCAP_SUMMARY_OFFSET,
        MCAP_DATA_END,
};

/* What went wrong, for a program and for a person. */
struct mcap_error {
        int code;        /* negative errno */
        uint64_t offset; /* bytes from the start of the file to what is meant */
        char text[512];  /* "FILE: offset 0x1234: what it is and what to do" */
};

/* Fills @reterr, which may be NULL, and returns @code. Without the offset in the text. */
int mcap_error_set(struct mcap_error *reterr, int code, const char *format, ...)
        __attribute__((format(printf, 3, 4)));

/* The same, with "NAME: offset 0x...: " in front. */
int mcap_error_at(struct mcap_error *reterr,
                  int code,
                  const char *name,
                  uint64_t offset,
                  const char *format,
                  ...) __attribute__((format(printf, 5, 6)));

/* --- building --- */

/* Bytes that grow. A failed allocation is remembered, so that a record is checked once, at its
 * end; what is put after it changes nothing. */
struct mcap_buffer {
        uint8_t *data;
        size_t bytes;
        size_t room;
        bool failed; /* out of memory */
};

/* Makes room for @more bytes behind what is there. False, and failed: out of memory. */
bool mcap_buffer_reserve(struct mcap_buffer *buffer, size_t more);
void mcap_buffer_free(struct mcap_buffer *buffer);
void mcap_put(struct mcap_buffer *buffer, const void *data, size_t bytes);
void mcap_put_u8(struct mcap_buffer *buffer, uint8_t value);
void mcap_put_u16(struct mcap_buffer *buffer, uint16_t value);
void mcap_put_u32(struct mcap_buffer *buffer, uint32_t value);
void mcap_put_u64(struct mcap_buffer *buffer, uint64_t value);
void mcap_put_string(struct mcap_buffer *buffer, const char *text);

/* Opens a record; mcap_record_end() fills in its length. The value goes from one to the other. */
size_t mcap_record_begin(struct mcap_buffer *buffer, enum mcap_opcode opcode);
void mcap_record_end(struct mcap_buffer *buffer, size_t begun);

void mcap_store_u16(uint8_t *at, uint16_t value);
void mcap_store_u32(uint8_t *at, uint32_t value);
void mcap_store_u64(uint8_t *at, uint64_t value);

/* --- taking apart --- */

/* A place in bytes that somebody else wrote. Once something does not fit, failed is set, and all
 * that is taken from there on is 0 and empty. */
struct mcap_cursor {
        const uint8_t *at;
        const uint8_t *end;
        bool failed;
};

struct mcap_text {
        const uint8_t *data;
        size_t bytes;
};

struct mcap_cursor mcap_cursor_over(const void *data, size_t bytes);
size_t mcap_left(const struct mcap_cursor *cursor);
uint8_t mcap_get_u8(struct mcap_cursor *cursor);
uint16_t mcap_get_u16(struct mcap_cursor *cursor);
uint32_t mcap_get_u32(struct mcap_cursor *cursor);
uint64_t mcap_get_u64(struct mcap_cursor *cursor);
/* u32 length and that many bytes: a string, a byte array, or the inside of a map or array. */
struct mcap_text mcap_get_text(struct mcap_cursor *cursor);
/* u64 length and that many bytes. */
struct mcap_text mcap_get_bytes(struct mcap_cursor *cursor);
/* The head of a record and its content, which has to be there whole. */
uint8_t mcap_get_record(struct mcap_cursor *cursor, struct mcap_cursor *ret_content);
/* The next key and value of a map; false: there is none, or not whole. */
bool mcap_get_pair(struct mcap_cursor *cursor,
                   struct mcap_text *ret_key,
                   struct mcap_text *ret_value);
/* Is the inside of a map whole pairs? */
bool mcap_map_holds(struct mcap_text map);
bool mcap_text_is(struct mcap_text text, const char *other);

uint16_t mcap_load_u16(const uint8_t *at);
uint32_t mcap_load_u32(const uint8_t *at);
uint64_t mcap_load_u64(const uint8_t *at);

/* CRC-32 as the format has it, of @bytes that may be more than 4 GiB. */
uint32_t mcap_crc(uint32_t crc, const void *data, size_t bytes);

/* Reads exactly @bytes at @offset. 0, -ENODATA: the file ends before, or a negative errno. */
int mcap_read_at(int fd, void *data, size_t bytes, uint64_t offset);

#endif
