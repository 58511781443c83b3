/*
 * Any bytes as a recording: opening, reading and recovery must end, stay inside, and agree that
 * what was recovered is a file without damage.
 *
 * No fuzzer guesses a CRC, so the first byte says whether they are made right first: that of the
 * summary, and those of the chunks that can be found. The rest is the file.
 */

#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "mcap/recover.h"

#define CHECK(condition)                                                                           \
        do {                                                                                       \
                if (!(condition)) {                                                                \
                        abort();                                                                   \
                }                                                                                  \
        } while (0)

#define MEMORY_MAX (UINT64_C(1) << 20)

/* One for all runs: to make it takes longer than to fill it. */
static int file_of(int *fd) {
        if (*fd < 0) {
                *fd = memfd_create("fuzz.mcap", MFD_CLOEXEC);
                CHECK(*fd >= 0);
        }
        CHECK(ftruncate(*fd, 0) == 0);
        return *fd;
}

static void mend_chunk(uint8_t *content, uint64_t bytes) {
        struct mcap_cursor cursor = mcap_cursor_over(content, (size_t) bytes);
        struct mcap_text records;

        (void) mcap_get_u64(&cursor);
        (void) mcap_get_u64(&cursor);
        (void) mcap_get_u64(&cursor);
        (void) mcap_get_u32(&cursor);
        /* Of those that are compressed the fuzzer may make it 0, which is none. */
        if (!mcap_text_is(mcap_get_text(&cursor), "")) {
                return;
        }
        records = mcap_get_bytes(&cursor);
        if (!cursor.failed) {
                mcap_store_u32(content + 24, mcap_crc(0, records.data, records.bytes));
        }
}

static void mend(uint8_t *data, size_t bytes) {
        size_t at = MCAP_MAGIC_BYTES, foot;
        uint64_t length, start;

        while (bytes >= MCAP_RECORD_HEAD_BYTES && at <= bytes - MCAP_RECORD_HEAD_BYTES) {
                length = mcap_load_u64(data + at + 1);
                if (length > bytes - at - MCAP_RECORD_HEAD_BYTES) {
                        break;
                }
                if (data[at] == MCAP_CHUNK) {
                        mend_chunk(data + at + MCAP_RECORD_HEAD_BYTES, length);
                }
                at += MCAP_RECORD_HEAD_BYTES + (size_t) length;
        }
        if (bytes < MCAP_FOOTER_BYTES + MCAP_MAGIC_BYTES) {
                return;
        }
        foot = bytes - MCAP_FOOTER_BYTES - MCAP_MAGIC_BYTES;
        start = mcap_load_u64(data + foot + MCAP_RECORD_HEAD_BYTES);
        if (start <= foot) {
                mcap_store_u32(data + foot + 25,
                               mcap_crc(0, data + start, foot + 25 - (size_t) start));
        }
}

/* How many messages, or a negative errno; each within its bounds and in order. */
static int64_t read_all(struct mcap_reader *reader, uint64_t start_ns, uint64_t end_ns) {
        struct mcap_message message;
        struct mcap_error error;
        uint64_t last_ns = 0, count = 0;
        volatile uint8_t sum = 0;
        size_t i;
        int r;

        CHECK(mcap_reader_select(reader, NULL, NULL, start_ns, end_ns) == 0);
        while ((r = mcap_reader_next(reader, &message, &error)) == 1) {
                CHECK(message.log_time_ns >= last_ns);
                CHECK(message.log_time_ns >= start_ns && message.log_time_ns <= end_ns);
                last_ns = message.log_time_ns;
                for (i = 0; i < message.bytes; i++) {
                        sum = (uint8_t) (sum + message.data[i]);
                }
                CHECK(strlen(message.channel->topic) <= message.channel->content_bytes);
                count++;
        }
        CHECK(r == 0 || (r == error.code && error.text[0]));
        return r < 0 ? r : (int64_t) count;
}

/* Each list is whole pairs, or says where it is not. */
static void read_lists(struct mcap_reader *reader) {
        struct mcap_text key, value;
        struct mcap_metadata list;
        struct mcap_error error;
        volatile uint8_t sum = 0;
        uint64_t i;
        size_t k;
        int r;

        for (i = 0; (r = mcap_reader_metadata(reader, i, &list, &error)) != 0; i++) {
                CHECK(r == 1 || (r == error.code && error.text[0]));
                while (r == 1 && mcap_get_pair(&list.pairs, &key, &value)) {
                        for (k = 0; k < key.bytes; k++) {
                                sum = (uint8_t) (sum + key.data[k]);
                        }
                        for (k = 0; k < value.bytes; k++) {
                                sum = (uint8_t) (sum + value.data[k]);
                        }
                }
                CHECK(r < 0 || !list.pairs.failed);
        }
}

static void check_recovered(int fd, uint64_t messages) {
        struct mcap_reader *reader;
        struct mcap_error error;

        CHECK(mcap_reader_open(&reader, fd, "new.mcap", 8 * MEMORY_MAX, &error) == 0);
        CHECK(mcap_reader_summary(reader)->indexed);
        CHECK(read_all(reader, 0, UINT64_MAX) == (int64_t) messages);
        mcap_reader_close(reader);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes) {
        static int from = -1, to = -1;
        struct mcap_recovery recovery;
        struct mcap_reader *reader;
        struct mcap_error error;
        uint8_t *file;
        int r;

        if (bytes < 1) {
                return 0;
        }
        file = malloc(bytes);
        CHECK(file);
        memcpy(file, data + 1, bytes - 1);
        if (data[0] % 2 == 1) {
                mend(file, bytes - 1);
        }
        CHECK(pwrite(file_of(&from), file, bytes - 1, 0) == (ssize_t) bytes - 1);
        free(file);
        r = mcap_reader_open(&reader, from, "fuzz.mcap", MEMORY_MAX, &error);
        if (r < 0) {
                CHECK(r == error.code && error.text[0]);
                return 0;
        }
        read_lists(reader);
        (void) read_all(reader, 0, UINT64_MAX);
        (void) read_all(reader, 5, 1000000);
        mcap_reader_close(reader);
        r = mcap_recover(from, "fuzz.mcap", file_of(&to), "new.mcap", MEMORY_MAX, &recovery,
                         &error);
        CHECK(r == 0);
        check_recovered(to, recovery.messages);
        return 0;
}
