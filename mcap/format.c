#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zlib.h>

#include "mcap/format.h"

int mcap_error_set(struct mcap_error *reterr, int code, const char *format, ...) {
        va_list arguments;

        if (!reterr) {
                return code;
        }
        reterr->code = code;
        reterr->offset = 0;
        va_start(arguments, format);
        /* A sentence that does not fit is cut; nothing is decided by its end. */
        (void) vsnprintf(reterr->text, sizeof(reterr->text), format, arguments);
        va_end(arguments);
        return code;
}

int mcap_error_at(struct mcap_error *reterr,
                  int code,
                  const char *name,
                  uint64_t offset,
                  const char *format,
                  ...) {
        va_list arguments;
        int length;

        if (!reterr) {
                return code;
        }
        reterr->code = code;
        reterr->offset = offset;
        length = snprintf(reterr->text, sizeof(reterr->text), "%s: offset 0x%" PRIx64 ": ", name,
                          offset);
        if (length < 0 || (size_t) length >= sizeof(reterr->text)) {
                return code;
        }
        va_start(arguments, format);
        (void) vsnprintf(reterr->text + length, sizeof(reterr->text) - (size_t) length, format,
                         arguments);
        va_end(arguments);
        return code;
}

/* --- building --- */

bool mcap_buffer_reserve(struct mcap_buffer *buffer, size_t more) {
        uint8_t *larger;
        size_t room;

        if (buffer->failed || more > SIZE_MAX / 2 - buffer->bytes) {
                buffer->failed = true;
                return false;
        }
        if (more <= buffer->room - buffer->bytes) {
                return true;
        }
        room = buffer->bytes + more;
        /* Twice as much is for many small pieces; what is large already grows to what it needs. */
        if (room < 2 * buffer->room && buffer->room < (64u << 20)) {
                room = 2 * buffer->room;
        }
        larger = realloc(buffer->data, room);
        if (!larger) {
                buffer->failed = true;
                return false;
        }
        buffer->data = larger;
        buffer->room = room;
        return true;
}

void mcap_buffer_free(struct mcap_buffer *buffer) {
        free(buffer->data);
        *buffer = (struct mcap_buffer){0};
}

void mcap_put(struct mcap_buffer *buffer, const void *data, size_t bytes) {
        if (bytes > 0 && mcap_buffer_reserve(buffer, bytes)) {
                memcpy(buffer->data + buffer->bytes, data, bytes);
                buffer->bytes += bytes;
        }
}

void mcap_store_u16(uint8_t *at, uint16_t value) {
        at[0] = (uint8_t) value;
        at[1] = (uint8_t) (value >> 8);
}

void mcap_store_u32(uint8_t *at, uint32_t value) {
        mcap_store_u16(at, (uint16_t) value);
        mcap_store_u16(at + 2, (uint16_t) (value >> 16));
}

void mcap_store_u64(uint8_t *at, uint64_t value) {
        mcap_store_u32(at, (uint32_t) value);
        mcap_store_u32(at + 4, (uint32_t) (value >> 32));
}

void mcap_put_u8(struct mcap_buffer *buffer, uint8_t value) {
        mcap_put(buffer, &value, 1);
}

void mcap_put_u16(struct mcap_buffer *buffer, uint16_t value) {
        uint8_t bytes[2];

        mcap_store_u16(bytes, value);
        mcap_put(buffer, bytes, sizeof(bytes));
}

void mcap_put_u32(struct mcap_buffer *buffer, uint32_t value) {
        uint8_t bytes[4];

        mcap_store_u32(bytes, value);
        mcap_put(buffer, bytes, sizeof(bytes));
}

void mcap_put_u64(struct mcap_buffer *buffer, uint64_t value) {
        uint8_t bytes[8];

        mcap_store_u64(bytes, value);
        mcap_put(buffer, bytes, sizeof(bytes));
}

void mcap_put_string(struct mcap_buffer *buffer, const char *text) {
        size_t bytes = strlen(text);

        if (bytes > UINT32_MAX) {
                buffer->failed = true;
                return;
        }
        mcap_put_u32(buffer, (uint32_t) bytes);
        mcap_put(buffer, text, bytes);
}

size_t mcap_record_begin(struct mcap_buffer *buffer, enum mcap_opcode opcode) {
        mcap_put_u8(buffer, (uint8_t) opcode);
        mcap_put_u64(buffer, 0);
        return buffer->bytes;
}

void mcap_record_end(struct mcap_buffer *buffer, size_t begun) {
        if (!buffer->failed) {
                mcap_store_u64(buffer->data + begun - 8, buffer->bytes - begun);
        }
}

/* --- taking apart --- */

struct mcap_cursor mcap_cursor_over(const void *data, size_t bytes) {
        /* NULL with 0 bytes would be NULL + 0, which C leaves undefined. */
        static const uint8_t nothing[1];
        const uint8_t *at = bytes ? data : nothing;

        return (struct mcap_cursor){.at = at, .end = at + bytes};
}

size_t mcap_left(const struct mcap_cursor *cursor) {
        return (size_t) (cursor->end - cursor->at);
}

/* The next @bytes, or NULL. */
static const uint8_t *take(struct mcap_cursor *cursor, uint64_t bytes) {
        const uint8_t *at = cursor->at;

        if (cursor->failed || bytes > mcap_left(cursor)) {
                cursor->failed = true;
                cursor->at = cursor->end;
                return NULL;
        }
        cursor->at += bytes;
        return at;
}

uint16_t mcap_load_u16(const uint8_t *at) {
        return (uint16_t) (at[0] | at[1] << 8);
}

uint32_t mcap_load_u32(const uint8_t *at) {
        return mcap_load_u16(at) | (uint32_t) mcap_load_u16(at + 2) << 16;
}

uint64_t mcap_load_u64(const uint8_t *at) {
        return mcap_load_u32(at) | (uint64_t) mcap_load_u32(at + 4) << 32;
}

uint8_t mcap_get_u8(struct mcap_cursor *cursor) {
        const uint8_t *at = take(cursor, 1);

        return at ? *at : 0;
}

uint16_t mcap_get_u16(struct mcap_cursor *cursor) {
        const uint8_t *at = take(cursor, 2);

        return at ? mcap_load_u16(at) : 0;
}

uint32_t mcap_get_u32(struct mcap_cursor *cursor) {
        const uint8_t *at = take(cursor, 4);

        return at ? mcap_load_u32(at) : 0;
}

uint64_t mcap_get_u64(struct mcap_cursor *cursor) {
        const uint8_t *at = take(cursor, 8);

        return at ? mcap_load_u64(at) : 0;
}

static struct mcap_text take_text(struct mcap_cursor *cursor, uint64_t bytes) {
        const uint8_t *at = take(cursor, bytes);

        return (struct mcap_text){.data = at ? at : cursor->end, .bytes = at ? (size_t) bytes : 0};
}

struct mcap_text mcap_get_text(struct mcap_cursor *cursor) {
        return take_text(cursor, mcap_get_u32(cursor));
}

struct mcap_text mcap_get_bytes(struct mcap_cursor *cursor) {
        return take_text(cursor, mcap_get_u64(cursor));
}

uint8_t mcap_get_record(struct mcap_cursor *cursor, struct mcap_cursor *ret_content) {
        uint8_t opcode = mcap_get_u8(cursor);
        struct mcap_text content = mcap_get_bytes(cursor);

        *ret_content = mcap_cursor_over(content.data, content.bytes);
        return opcode;
}

bool mcap_get_pair(struct mcap_cursor *cursor,
                   struct mcap_text *ret_key,
                   struct mcap_text *ret_value) {
        if (mcap_left(cursor) == 0) {
                return false;
        }
        *ret_key = mcap_get_text(cursor);
        *ret_value = mcap_get_text(cursor);
        return !cursor->failed;
}

bool mcap_map_holds(struct mcap_text map) {
        struct mcap_cursor cursor = mcap_cursor_over(map.data, map.bytes);
        struct mcap_text key, value;

        while (mcap_get_pair(&cursor, &key, &value)) {
        }
        return !cursor.failed;
}

bool mcap_text_is(struct mcap_text text, const char *other) {
        return text.bytes == strlen(other) && memcmp(text.data, other, text.bytes) == 0;
}

uint32_t mcap_crc(uint32_t crc, const void *data, size_t bytes) {
        return (uint32_t) crc32_z(crc, data, bytes);
}

int mcap_read_at(int fd, void *data, size_t bytes, uint64_t offset) {
        uint8_t *at = data;
        ssize_t got;

        while (bytes > 0) {
                got = pread(fd, at, bytes, (off_t) offset);
                if (got < 0 && errno == EINTR) {
                        continue;
                }
                if (got <= 0) {
                        return got < 0 ? -errno : -ENODATA;
                }
                at += got;
                bytes -= (size_t) got;
                offset += (uint64_t) got;
        }
        return 0;
}
