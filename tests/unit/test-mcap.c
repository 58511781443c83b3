/*
 * mcap/: what is written is read again, in order; and of a file that is damaged nothing is read
 * that was not written.
 */

/* cmocka wants these, in this order. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "mcap/recover.h"

#define SCHEMA_TEXT "float64 x\n"
#define MS UINT64_C(1000000)

/* A message, and what makes up its data. */
struct written {
        unsigned topic;
        uint32_t sequence;
        uint64_t log_time_ns;
        size_t bytes;
};

static int file_make(void) {
        int fd = memfd_create("test.mcap", MFD_CLOEXEC);

        assert_true(fd >= 0);
        return fd;
}

static off_t file_bytes(int fd) {
        struct stat status;

        assert_int_equal(fstat(fd, &status), 0);
        return status.st_size;
}

static uint8_t *file_read(int fd, size_t *ret_bytes) {
        size_t bytes = (size_t) file_bytes(fd);
        uint8_t *data = malloc(bytes + 1);

        assert_non_null(data);
        assert_int_equal(pread(fd, data, bytes, 0), bytes);
        *ret_bytes = bytes;
        return data;
}

static void file_write(int fd, const uint8_t *data, size_t bytes) {
        assert_int_equal(ftruncate(fd, 0), 0);
        assert_int_equal(pwrite(fd, data, bytes, 0), bytes);
}

static uint8_t data_at(const struct written *message, size_t i) {
        return (uint8_t) (message->topic * 31 + message->sequence * 7 + i);
}

static void topic_name(char text[32], unsigned topic) {
        (void) snprintf(text, 32, "topic_%u", topic);
}

static struct mcap_writer *
writer_make(int fd, const struct mcap_writer_options *options, unsigned topics) {
        struct mcap_writer *writer;
        uint16_t schema, channel;
        struct mcap_error error;
        char name[32];
        unsigned i;

        assert_int_equal(mcap_writer_open(&writer, fd, "test.mcap", options, &error), 0);
        assert_int_equal(mcap_writer_schema(writer, "test_msgs/msg/X", "ros2msg", SCHEMA_TEXT,
                                            strlen(SCHEMA_TEXT), &schema),
                         0);
        for (i = 0; i < topics; i++) {
                topic_name(name, i);
                assert_int_equal(mcap_writer_channel(writer, schema, name, "cdr",
                                                     (const char *[]){"unit", "m", NULL}, &channel),
                                 0);
                assert_int_equal(channel, i + 1);
        }
        return writer;
}

static int
put(struct mcap_writer *writer, const struct written *message, struct mcap_error *error) {
        uint8_t *data;
        void *room;
        size_t i;
        int r;

        r = mcap_writer_reserve(writer, (uint16_t) (message->topic + 1), message->bytes + 3, &room,
                                error);
        if (r < 0) {
                return r;
        }
        data = room;
        for (i = 0; i < message->bytes; i++) {
                data[i] = data_at(message, i);
        }
        return mcap_writer_commit(writer, message->sequence, message->log_time_ns,
                                  message->log_time_ns + 1, message->bytes, error);
}

static void check_message(const struct mcap_message *message, const struct written *written) {
        char name[32];
        size_t i;

        topic_name(name, written->topic);
        assert_string_equal(message->channel->topic, name);
        assert_string_equal(message->channel->encoding, "cdr");
        assert_int_equal(message->sequence, written->sequence);
        assert_int_equal(message->log_time_ns, written->log_time_ns);
        assert_int_equal(message->publish_time_ns, written->log_time_ns + 1);
        assert_int_equal(message->bytes, written->bytes);
        for (i = 0; i < message->bytes; i++) {
                if (message->data[i] != data_at(written, i)) {
                        fail_msg("byte %zu of %s %u", i, name, message->sequence);
                }
        }
}

/* --- round trips --- */

#define ROUND 3000u

static struct written rounds[ROUND];

static int by_time(const void *a, const void *b) {
        const struct written *x = a, *y = b;

        if (x->log_time_ns != y->log_time_ns) {
                return x->log_time_ns < y->log_time_ns ? -1 : 1;
        }
        return 0;
}

/* Log times that jump back by up to 40 ms, over chunks of 10 ms or of 4 KiB. */
static void write_rounds(int fd, enum mcap_compression compression) {
        struct mcap_writer_options options = {
                .compression = compression, .chunk_bytes = 4096, .chunk_ns = 10 * MS};
        struct mcap_writer *writer = writer_make(fd, &options, 3);
        struct mcap_writer_counts counts;
        struct mcap_error error;
        unsigned i, random = 7;
        void *room;

        for (i = 0; i < ROUND; i++) {
                random = random * 1103515245u + 12345u;
                rounds[i] = (struct written){
                        .topic = (random >> 16) % 3,
                        .sequence = i,
                        .log_time_ns = (100 + i) * MS - (random >> 20) % 40 * MS,
                        .bytes = i == 1000 ? 9000 : (random >> 8) % 200,
                };
                assert_int_equal(put(writer, &rounds[i], &error), 0);
                if (i % 5 == 0) {
                        /* A torn read. */
                        assert_int_equal(mcap_writer_reserve(writer, 1, 50, &room, &error), 0);
                        memset(room, 0xee, 50);
                        mcap_writer_rollback(writer);
                }
        }
        mcap_writer_counts(writer, &counts);
        assert_int_equal(counts.messages, ROUND);
        assert_true(counts.chunks > 40);
        assert_int_equal(mcap_writer_close(writer, &counts, &error), 0);
        assert_int_equal(counts.messages, ROUND);
        assert_int_equal(counts.lost, 0);
        assert_int_equal(counts.file_bytes, file_bytes(fd));
        /* The sort of glibc is a merge sort, and keeps the order of the file. */
        qsort(rounds, ROUND, sizeof(rounds[0]), by_time);
}

static void check_rounds(struct mcap_reader *reader) {
        struct mcap_message message;
        struct mcap_error error;
        unsigned i;

        for (i = 0; i < ROUND; i++) {
                if (mcap_reader_next(reader, &message, &error) != 1) {
                        fail_msg("%u: %s", i, error.text);
                }
                check_message(&message, &rounds[i]);
        }
        assert_int_equal(mcap_reader_next(reader, &message, &error), 0);
        assert_int_equal(mcap_reader_next(reader, &message, &error), 0);
}

static void round_trip(enum mcap_compression compression) {
        const struct mcap_summary *summary;
        struct mcap_reader *reader;
        struct mcap_text value;
        struct mcap_error error;
        int fd = file_make();

        write_rounds(fd, compression);
        assert_int_equal(mcap_reader_open(&reader, fd, "test.mcap", 0, &error), 0);
        summary = mcap_reader_summary(reader);
        assert_true(summary->indexed);
        assert_int_equal(summary->damage.code, 0);
        assert_int_equal(summary->message_count, ROUND);
        assert_int_equal(summary->start_ns, rounds[0].log_time_ns);
        assert_int_equal(summary->end_ns, rounds[ROUND - 1].log_time_ns);
        assert_int_equal(summary->compressions[compression], summary->chunk_count);
        assert_string_equal(summary->library, "slipring");
        assert_int_equal(summary->catalogue.schema_count, 1);
        assert_string_equal(summary->catalogue.schemas[0].encoding, "ros2msg");
        assert_memory_equal(summary->catalogue.schemas[0].data, SCHEMA_TEXT, strlen(SCHEMA_TEXT));
        assert_true(mcap_channel_metadata(&summary->catalogue.channels[2], "unit", &value));
        assert_true(mcap_text_is(value, "m"));
        assert_false(mcap_channel_metadata(&summary->catalogue.channels[2], "m", &value));
        check_rounds(reader);
        /* And again. */
        assert_int_equal(mcap_reader_select(reader, NULL, NULL, 0, UINT64_MAX), 0);
        check_rounds(reader);
        mcap_reader_close(reader);

        /* The same without the index. */
        assert_int_equal(ftruncate(fd, file_bytes(fd) - 1), 0);
        assert_int_equal(mcap_reader_open(&reader, fd, "test.mcap", 0, &error), 0);
        summary = mcap_reader_summary(reader);
        assert_false(summary->indexed);
        assert_int_equal(summary->message_count, ROUND);
        assert_non_null(strstr(summary->damage.text, "'slipring bag recover'"));
        check_rounds(reader);
        mcap_reader_close(reader);
        (void) close(fd);
}

static void test_round_trip_plain(void **state) {
        round_trip(MCAP_COMPRESSION_NONE);
}

static void test_round_trip_zstd(void **state) {
        round_trip(MCAP_COMPRESSION_ZSTD);
}

static void test_round_trip_lz4(void **state) {
        round_trip(MCAP_COMPRESSION_LZ4);
}

static bool is_topic_2(const struct mcap_channel *channel, void *context) {
        return strcmp(channel->topic, "topic_2") == 0;
}

static void test_selection_by_topic_and_time(void **state) {
        uint64_t start_ns, end_ns;
        struct mcap_message message;
        struct mcap_reader *reader;
        struct mcap_error error;
        int fd = file_make();
        unsigned i, seen = 0;

        write_rounds(fd, MCAP_COMPRESSION_ZSTD);
        start_ns = rounds[1000].log_time_ns;
        end_ns = rounds[2000].log_time_ns;
        assert_int_equal(mcap_reader_open(&reader, fd, "test.mcap", 0, &error), 0);
        assert_int_equal(mcap_reader_select(reader, is_topic_2, NULL, start_ns, end_ns), 0);
        for (i = 0; i < ROUND; i++) {
                if (rounds[i].topic == 2 && rounds[i].log_time_ns >= start_ns &&
                    rounds[i].log_time_ns <= end_ns) {
                        assert_int_equal(mcap_reader_next(reader, &message, &error), 1);
                        check_message(&message, &rounds[i]);
                        seen++;
                }
        }
        assert_int_equal(mcap_reader_next(reader, &message, &error), 0);
        assert_true(seen > 200);
        mcap_reader_close(reader);
        (void) close(fd);
}

static void test_thousands_of_channels(void **state) {
        enum { CHANNELS = 5000 };
        struct mcap_writer_options options = {.compression = MCAP_COMPRESSION_LZ4};
        struct mcap_writer *writer;
        struct mcap_message message;
        struct mcap_reader *reader;
        struct mcap_error error;
        struct written written;
        int fd = file_make();
        unsigned i;

        writer = writer_make(fd, &options, CHANNELS);
        for (i = 0; i < 3 * CHANNELS; i++) {
                written = (struct written){i % CHANNELS, i, MS * i, 24};
                assert_int_equal(put(writer, &written, &error), 0);
        }
        assert_int_equal(mcap_writer_close(writer, NULL, &error), 0);
        assert_int_equal(mcap_reader_open(&reader, fd, "test.mcap", 0, &error), 0);
        assert_true(mcap_reader_summary(reader)->indexed);
        for (i = 0; i < 3 * CHANNELS; i++) {
                written = (struct written){i % CHANNELS, i, MS * i, 24};
                assert_int_equal(mcap_reader_next(reader, &message, &error), 1);
                check_message(&message, &written);
                assert_int_equal(message.channel->message_count, 3);
        }
        mcap_reader_close(reader);
        (void) close(fd);
}

/* A player may have a thousand files open. (With a sanitizer nothing is seen of its memory.) */
static void test_a_small_file_takes_little_memory(void **state) {
        struct mcap_reader *reader;
        struct mcap_error error;
        struct mallinfo2 before, after;
        int fd = file_make();

        assert_int_equal(mcap_writer_close(writer_make(fd, NULL, 1), NULL, &error), 0);
        before = mallinfo2();
        assert_int_equal(mcap_reader_open(&reader, fd, "test.mcap", 0, &error), 0);
        after = mallinfo2();
        assert_true(after.uordblks + after.hblkhd < before.uordblks + before.hblkhd + 32768);
        mcap_reader_close(reader);
        (void) close(fd);
}

static void test_numbers_may_be_any(void **state) {
        static const uint16_t numbers[] = {3, 15, 16, 1, 4096, 65535};
        struct mcap_catalogue catalogue = {0};
        struct mcap_buffer schema = {0};

        for (size_t i = 0; i < 6; i++) {
                schema.bytes = 0;
                mcap_put_u16(&schema, numbers[i]);
                mcap_put_string(&schema, "a/msg/B");
                mcap_put_string(&schema, "ros2msg");
                mcap_put_string(&schema, SCHEMA_TEXT);
                assert_null(mcap_schema_find(&catalogue, numbers[i]));
                assert_int_equal(mcap_catalogue_schema(&catalogue, schema.data, schema.bytes), 1);
                assert_int_equal(mcap_catalogue_schema(&catalogue, schema.data, schema.bytes), 0);
                for (size_t j = 0; j <= i; j++) {
                        assert_int_equal(mcap_schema_find(&catalogue, numbers[j])->id, numbers[j]);
                }
                assert_null(mcap_schema_find(&catalogue, 0));
                assert_null(mcap_schema_find(&catalogue, 17));
                assert_null(mcap_schema_find(&catalogue, 65534));
        }
        assert_null(mcap_channel_find(&catalogue, 1));
        mcap_buffer_free(&schema);
        mcap_catalogue_free(&catalogue);
}

static void test_empty_file(void **state) {
        struct mcap_message message;
        struct mcap_reader *reader;
        struct mcap_error error;
        int fd = file_make();

        assert_int_equal(mcap_writer_close(writer_make(fd, NULL, 1), NULL, &error), 0);
        assert_int_equal(mcap_reader_open(&reader, fd, "test.mcap", 0, &error), 0);
        assert_true(mcap_reader_summary(reader)->indexed);
        assert_int_equal(mcap_reader_summary(reader)->catalogue.channel_count, 1);
        assert_int_equal(mcap_reader_next(reader, &message, &error), 0);
        mcap_reader_close(reader);
        (void) close(fd);
}

/* Byte for byte what the specification says, put together by hand from it and not by us. */
static void test_bytes_of_a_file(void **state) {
        static const char hex[] =
                /* magic */
                "894d434150300d0a"
                /* Header */
                "010c00000000000000000000000400000074657374"
                /* Schema */
                "032200000000000000010007000000612f6d73672f4207000000726f73326d7367060000"
                "00626f6f6c2062"
                /* Channel */
                "041e00000000000000010001000100000074030000006364720a000000010000006b0100"
                "000076"
                /* Chunk */
                "0670000000000000000007060504030201080706050403020148000000000000000d2754"
                "96000000004800000000000000051b000000000000000100070000000807060504030201"
                "03000000000000000001000001051b000000000000000100080000000007060504030201"
                "04000000000000000001000000"
                /* MessageIndex, by time */
                "072600000000000000010020000000000706050403020124000000000000000807060504"
                "0302010000000000000000"
                /* DataEnd */
                "0f040000000000000000000000"
                /* Schema */
                "032200000000000000010007000000612f6d73672f4207000000726f73326d7367060000"
                "00626f6f6c2062"
                /* Channel */
                "041e00000000000000010001000100000074030000006364720a000000010000006b0100"
                "000076"
                /* Statistics */
                "0b3800000000000000020000000000000001000100000000000000000000000100000000"
                "0706050403020108070605040302010a00000001000200000000000000"
                /* ChunkIndex */
                "084a00000000000000000706050403020108070605040302016f00000000000000790000"
                "00000000000a0000000100e8000000000000002f00000000000000000000004800000000"
                "0000004800000000000000"
                /* SummaryOffset */
                "0e11000000000000000324010000000000002b00000000000000"
                /* SummaryOffset */
                "0e1100000000000000044f010000000000002700000000000000"
                /* SummaryOffset */
                "0e11000000000000000b76010000000000004100000000000000"
                /* SummaryOffset */
                "0e110000000000000008b7010000000000005300000000000000"
                /* Footer */
                "02140000000000000024010000000000000a0200000000000021ee5907"
                /* magic */
                "894d434150300d0a";
        static const uint8_t data[2][5] = {{0, 1, 0, 0, 1}, {0, 1, 0, 0, 0}};
        struct mcap_writer_options options = {.library = "test"};
        struct mcap_writer *writer;
        struct mcap_error error;
        uint16_t schema, channel;
        uint8_t *file;
        size_t bytes;
        char byte[3];
        void *room;
        int fd = file_make(), i;

        assert_int_equal(mcap_writer_open(&writer, fd, "test.mcap", &options, &error), 0);
        assert_int_equal(mcap_writer_schema(writer, "a/msg/B", "ros2msg", "bool b", 6, &schema), 0);
        assert_int_equal(mcap_writer_channel(writer, schema, "t", "cdr",
                                             (const char *[]){"k", "v", NULL}, &channel),
                         0);
        for (i = 0; i < 2; i++) {
                assert_int_equal(mcap_writer_reserve(writer, channel, 5, &room, &error), 0);
                memcpy(room, data[i], 5);
                assert_int_equal(
                        mcap_writer_commit(writer, 7 + (uint32_t) i,
                                           UINT64_C(0x0102030405060708) - 8u * (unsigned) i,
                                           3 + (uint64_t) i, 5, &error),
                        0);
        }
        assert_int_equal(mcap_writer_close(writer, NULL, &error), 0);
        file = file_read(fd, &bytes);
        for (i = 0; i < (int) sizeof(hex) / 2 && i < (int) bytes; i++) {
                (void) snprintf(byte, sizeof(byte), "%02x", file[i]);
                if (memcmp(byte, hex + 2 * i, 2) != 0) {
                        fail_msg("byte %d: 0x%s instead of 0x%.2s", i, byte, hex + 2 * i);
                }
        }
        assert_int_equal(bytes, sizeof(hex) / 2);
        free(file);
        (void) close(fd);
}

/* A reload that brings a topic: it stands in front of the chunk that has its messages, so that the
 * file is read with and without its end. */
static void test_channels_that_come_later(void **state) {
        struct mcap_writer *writer;
        struct mcap_message message;
        struct mcap_reader *reader;
        struct written written;
        struct mcap_error error;
        int fd = file_make(), cut;
        uint16_t channel;
        unsigned i;

        writer = writer_make(fd, NULL, 1);
        written = (struct written){0, 0, 0, 10};
        assert_int_equal(put(writer, &written, &error), 0);
        assert_int_equal(mcap_writer_channel(writer, 1, "topic_1", "cdr", NULL, &channel), 0);
        assert_int_equal(channel, 2);
        written = (struct written){1, 1, 1, 10};
        assert_int_equal(put(writer, &written, &error), 0);
        assert_int_equal(mcap_writer_flush(writer, &error), 0);
        assert_int_equal(mcap_writer_channel(writer, 0, "topic_2", "cdr", NULL, &channel), 0);
        written = (struct written){2, 2, 2, 10};
        assert_int_equal(put(writer, &written, &error), 0);
        assert_int_equal(mcap_writer_close(writer, NULL, &error), 0);
        for (cut = 0; cut < 2; cut++) {
                assert_int_equal(ftruncate(fd, file_bytes(fd) - cut), 0);
                assert_int_equal(mcap_reader_open(&reader, fd, "test.mcap", 0, &error), 0);
                assert_int_equal(mcap_reader_summary(reader)->indexed, !cut);
                assert_int_equal(mcap_reader_summary(reader)->chunk_count, 2);
                for (i = 0; i < 3; i++) {
                        written = (struct written){i, i, i, 10};
                        assert_int_equal(mcap_reader_next(reader, &message, &error), 1);
                        check_message(&message, &written);
                }
                assert_int_equal(mcap_reader_next(reader, &message, &error), 0);
                mcap_reader_close(reader);
        }
        (void) close(fd);
}

/* --- wrong use --- */

static void test_writer_refuses(void **state) {
        struct mcap_writer *writer, *second;
        struct mcap_error error;
        uint16_t id;
        void *room;
        int fd = file_make(), full;

        full = open("/dev/full", O_RDWR | O_CLOEXEC);
        assert_int_equal(mcap_writer_open(&writer, full, "/dev/full", NULL, &error), -EINVAL);
        assert_string_equal(error.text, "/dev/full: not an empty regular file");
        (void) close(full);
        writer = writer_make(fd, NULL, 1);
        assert_int_equal(mcap_writer_open(&second, fd, "test.mcap", NULL, &error), -EINVAL);
        assert_int_equal(mcap_writer_channel(writer, 7, "t", "cdr", NULL, &id), -EINVAL);
        assert_int_equal(mcap_writer_reserve(writer, 2, 1, &room, &error), -EINVAL);
        assert_int_equal(mcap_writer_reserve(writer, 1, MCAP_MESSAGE_MAX + 1, &room, &error),
                         -EMSGSIZE);
        assert_int_equal(mcap_writer_commit(writer, 1, 1, 1, 1, &error), -EINVAL);
        assert_int_equal(mcap_writer_reserve(writer, 1, 8, &room, &error), 0);
        assert_int_equal(mcap_writer_commit(writer, 1, 1, 1, 9, &error), -EINVAL);
        mcap_writer_rollback(writer);
        assert_int_equal(mcap_writer_close(writer, NULL, &error), 0);
        (void) close(fd);
}

static void test_reader_refuses_what_is_no_mcap(void **state) {
        struct mcap_reader *reader;
        struct mcap_error error;
        int fd = file_make();

        assert_int_equal(mcap_reader_open(&reader, fd, "test.mcap", 0, &error), -EBADMSG);
        file_write(fd, (const uint8_t *) "no such thing as a bag", 22);
        assert_int_equal(mcap_reader_open(&reader, fd, "test.mcap", 0, &error), -EBADMSG);
        assert_string_equal(error.text, "test.mcap: offset 0x0: not an MCAP file");
        (void) close(fd);
        assert_int_equal(mcap_reader_open(&reader, STDIN_FILENO + 100, "none", 0, &error), -EBADF);
}

static void test_memory_is_limited(void **state) {
        struct mcap_writer_options options = {.compression = MCAP_COMPRESSION_ZSTD};
        struct written written = {0, 1, MS, 300000};
        struct mcap_message message;
        struct mcap_writer *writer;
        struct mcap_reader *reader;
        struct mcap_error error;
        int fd = file_make();

        writer = writer_make(fd, &options, 1);
        assert_int_equal(put(writer, &written, &error), 0);
        assert_int_equal(mcap_writer_close(writer, NULL, &error), 0);
        assert_true(file_bytes(fd) < 5000);
        assert_int_equal(mcap_reader_open(&reader, fd, "test.mcap", 100000, &error), 0);
        assert_int_equal(mcap_reader_next(reader, &message, &error), -EFBIG);
        assert_non_null(strstr(error.text, "limit of 100000"));
        assert_int_equal(mcap_reader_next(reader, &message, &error), -EFBIG);
        mcap_reader_close(reader);
        (void) close(fd);
}

/* 4 KiB of zeros that claim to become a TiB, and a window of gigabytes. */
static void test_sizes_that_cannot_be(void **state) {
        assert_true(mcap_unpack_plausible(MCAP_COMPRESSION_ZSTD, 20, 300000));
        assert_false(mcap_unpack_plausible(MCAP_COMPRESSION_ZSTD, 4096, UINT64_C(1) << 40));
        assert_false(mcap_unpack_plausible(MCAP_COMPRESSION_LZ4, 4096, 1 << 24));
        assert_false(mcap_unpack_plausible(MCAP_COMPRESSION_NONE, 4096, 4097));
}

/* --- the small file --- */

/* Six messages in three chunks, with all that a file can have. */
static const struct written small[] = {
        {0, 1, 1 * MS, 5},  {1, 1, 2 * MS, 3},  {0, 2, 31 * MS, 4},
        {1, 2, 32 * MS, 1}, {0, 3, 63 * MS, 0}, {0, 4, 64 * MS, 7},
};
#define SMALL (sizeof(small) / sizeof(small[0]))

static void write_small(int fd, enum mcap_compression compression) {
        struct mcap_writer_options options = {.compression = compression, .library = "test"};
        struct mcap_writer *writer = writer_make(fd, &options, 2);
        struct mcap_error error;
        size_t i;

        assert_int_equal(
                mcap_writer_metadata(writer, "bus", (const char *[]){"name", "rover", NULL}), 0);
        assert_int_equal(
                mcap_writer_attachment(writer, "rover.yaml", "application/yaml", MS, "a: b", 4), 0);
        for (i = 0; i < SMALL; i++) {
                assert_int_equal(put(writer, &small[i], &error), 0);
                if (i % 2 == 1) {
                        assert_int_equal(mcap_writer_flush(writer, &error), 0);
                }
        }
        assert_int_equal(mcap_writer_close(writer, NULL, &error), 0);
}

/* The lists of a file as "NAME: KEY=VALUE KEY=VALUE; NAME: ...", or the error of the first bad one.
 */
static int
lists_text(struct mcap_reader *reader, char *text, size_t room, struct mcap_error *error) {
        struct mcap_text key, value;
        struct mcap_metadata list;
        size_t at = 0;
        uint64_t i;
        int r = 0;

        *text = 0;
        for (i = 0; (r = mcap_reader_metadata(reader, i, &list, error)) == 1; i++) {
                at += (size_t) snprintf(text + at, room - at, "%.*s:", (int) list.name.bytes,
                                        (const char *) list.name.data);
                while (mcap_get_pair(&list.pairs, &key, &value)) {
                        at += (size_t) snprintf(text + at, room - at, " %.*s=%.*s", (int) key.bytes,
                                                (const char *) key.data, (int) value.bytes,
                                                (const char *) value.data);
                }
                at += (size_t) snprintf(text + at, room - at, ";");
                assert_true(at < room);
        }
        return r;
}

/* No checksum covers a list: it is the one that was written but for one byte, or an error that says
 * where. */
static void check_lists(struct mcap_reader *reader, bool flipped) {
        static const char wanted[] = "bus: name=rover;";
        struct mcap_error error;
        char text[256];
        size_t i, other = 0;
        int r = lists_text(reader, text, sizeof(text), &error);

        if (r < 0) {
                assert_int_equal(r, error.code);
                assert_int_equal(strncmp(error.text, "test.mcap: offset 0x", 20), 0);
                return;
        }
        if (*text) {
                assert_int_equal(strlen(text), strlen(wanted));
                for (i = 0; i < strlen(wanted); i++) {
                        other += text[i] != wanted[i];
                }
                assert_true(other <= flipped);
        }
}

/* Reads all there is: a subsequence of what was written, a prefix unless @gaps. How many. */
static size_t read_small(int fd, bool gaps, bool flipped, bool *ret_flawless) {
        const struct mcap_summary *summary;
        struct mcap_message message;
        struct mcap_reader *reader;
        struct mcap_error error;
        size_t count = 0, at = 0;
        int r;

        *ret_flawless = false;
        error.text[0] = '\0';
        r = mcap_reader_open(&reader, fd, "test.mcap", 1 << 20, &error);
        if (r < 0) {
                assert_int_equal(strncmp(error.text, "test.mcap: ", 11), 0);
                return 0;
        }
        summary = mcap_reader_summary(reader);
        check_lists(reader, flipped);
        while ((r = mcap_reader_next(reader, &message, &error)) == 1) {
                while (gaps && at < SMALL && small[at].log_time_ns != message.log_time_ns) {
                        at++;
                }
                assert_true(at < SMALL);
                check_message(&message, &small[at++]);
                count++;
        }
        if (r < 0) {
                assert_int_equal(r, error.code);
                assert_int_equal(strncmp(error.text, "test.mcap: offset 0x", 20), 0);
        }
        *ret_flawless = r == 0 && summary->damage.code == 0;
        if (*ret_flawless) {
                assert_int_equal(summary->message_count, count);
        }
        mcap_reader_close(reader);
        return count;
}

static void lists_are(int fd, const char *wanted) {
        struct mcap_reader *reader;
        struct mcap_error error;
        char text[1024];

        assert_int_equal(mcap_reader_open(&reader, fd, "test.mcap", 0, &error), 0);
        assert_int_equal(lists_text(reader, text, sizeof(text), &error), 0);
        assert_string_equal(text, wanted);
        mcap_reader_close(reader);
}

/* Lists of names and values are read in their order, with the index and without it, of a file that
 * ends early as far as it goes, and of the file that was recovered from it. */
static void test_metadata(void **state) {
        static const char both[] = "bus: name=rover owner=;missed: imu=3;";
        struct mcap_recovery recovery;
        struct mcap_writer *writer;
        struct mcap_reader *reader;
        struct mcap_error error;
        int fd = file_make(), to = file_make();

        writer = writer_make(fd, NULL, 2);
        assert_int_equal(mcap_writer_metadata(writer, "bus",
                                              (const char *[]){"name", "rover", "owner", "", NULL}),
                         0);
        assert_int_equal(put(writer, &small[0], &error), 0);
        assert_int_equal(mcap_writer_flush(writer, &error), 0);
        assert_int_equal(mcap_writer_metadata(writer, "missed", (const char *[]){"imu", "3", NULL}),
                         0);
        assert_int_equal(mcap_writer_close(writer, NULL, &error), 0);
        lists_are(fd, both);
        assert_int_equal(mcap_reader_open(&reader, fd, "test.mcap", 0, &error), 0);
        assert_int_equal(mcap_reader_summary(reader)->metadata_count, 2);
        mcap_reader_close(reader);
        assert_int_equal(mcap_recover(fd, "test.mcap", to, "new.mcap", 0, &recovery, &error), 0);
        lists_are(to, both);
        /* Without its end. */
        assert_int_equal(ftruncate(fd, file_bytes(fd) - 1), 0);
        lists_are(fd, both);
        assert_int_equal(ftruncate(fd, 0), 0);
        writer = writer_make(fd, NULL, 0);
        assert_int_equal(mcap_writer_close(writer, NULL, &error), 0);
        lists_are(fd, "");
        (void) close(to);
        (void) close(fd);
}

/* The content of the index's record of this kind and number. */
static off_t index_record(int fd, enum mcap_opcode opcode, unsigned which) {
        uint8_t foot[MCAP_FOOTER_BYTES + MCAP_MAGIC_BYTES], head[MCAP_RECORD_HEAD_BYTES];
        off_t at = file_bytes(fd) - (off_t) sizeof(foot);

        assert_int_equal(pread(fd, foot, sizeof(foot), at), sizeof(foot));
        at = (off_t) mcap_load_u64(foot + 9);
        for (;;) {
                assert_int_equal(pread(fd, head, sizeof(head), at), sizeof(head));
                assert_int_not_equal(head[0], MCAP_FOOTER);
                if (head[0] == opcode && which-- == 0) {
                        return at + (off_t) sizeof(head);
                }
                at += (off_t) (sizeof(head) + mcap_load_u64(head + 1));
        }
}

/* So that the index may be changed. */
static void forget_crc(int fd) {
        static const uint8_t no_crc[4];

        assert_int_equal(pwrite(fd, no_crc, sizeof(no_crc),
                                file_bytes(fd) - MCAP_MAGIC_BYTES - (off_t) sizeof(no_crc)),
                         sizeof(no_crc));
}

/* An index that names one list a million times would make much of a small file. */
static void test_a_list_is_read_once(void **state) {
        struct mcap_writer *writer;
        struct mcap_reader *reader;
        struct mcap_error error;
        uint64_t first, second;
        char text[256];
        int fd = file_make();

        writer = writer_make(fd, NULL, 0);
        assert_int_equal(mcap_writer_metadata(writer, "a", (const char *[]){"b", "c", NULL}), 0);
        assert_int_equal(mcap_writer_metadata(writer, "d", (const char *[]){"e", "f", NULL}), 0);
        assert_int_equal(mcap_writer_close(writer, NULL, &error), 0);
        forget_crc(fd);
        assert_int_equal(pread(fd, &first, sizeof(first), index_record(fd, MCAP_METADATA_INDEX, 0)),
                         sizeof(first));
        assert_int_equal(
                pread(fd, &second, sizeof(second), index_record(fd, MCAP_METADATA_INDEX, 1)),
                sizeof(second));
        /* In whichever order they are named. */
        assert_int_equal(
                pwrite(fd, &second, sizeof(second), index_record(fd, MCAP_METADATA_INDEX, 0)),
                sizeof(second));
        assert_int_equal(
                pwrite(fd, &first, sizeof(first), index_record(fd, MCAP_METADATA_INDEX, 1)),
                sizeof(first));
        lists_are(fd, "a: b=c;d: e=f;");
        assert_int_equal(
                pwrite(fd, &first, sizeof(first), index_record(fd, MCAP_METADATA_INDEX, 0)),
                sizeof(first));
        assert_int_equal(mcap_reader_open(&reader, fd, "test.mcap", 0, &error), 0);
        assert_true(mcap_reader_summary(reader)->indexed);
        assert_int_equal(lists_text(reader, text, sizeof(text), &error), -EBADMSG);
        assert_string_equal(text, "");
        assert_non_null(strstr(error.text, "a list of metadata is damaged"));
        mcap_reader_close(reader);
        (void) close(fd);
}

/* A small file of an index could make a reader load a large chunk a million times. */
static void test_a_chunk_is_indexed_once(void **state) {
        /* Behind its times. */
        const size_t place = 8 + 8;
        uint8_t first[256], second[256];
        struct mcap_message message;
        struct mcap_reader *reader;
        struct mcap_error error;
        uint64_t inside;
        int fd = file_make();
        size_t count = 0;
        off_t at[2];

        write_small(fd, MCAP_COMPRESSION_NONE);
        at[0] = index_record(fd, MCAP_CHUNK_INDEX, 0);
        at[1] = index_record(fd, MCAP_CHUNK_INDEX, 1);
        forget_crc(fd);
        assert_true(at[1] - at[0] <= (off_t) sizeof(first));
        assert_int_equal(pread(fd, first, sizeof(first), at[0]), sizeof(first));
        assert_int_equal(pread(fd, second, sizeof(second), at[1]), sizeof(second));
        /* In whichever order they are named. */
        assert_int_equal(pwrite(fd, second, place + 16, at[0]), place + 16);
        assert_int_equal(pwrite(fd, first, place + 16, at[1]), place + 16);
        assert_int_equal(mcap_reader_open(&reader, fd, "test.mcap", 0, &error), 0);
        assert_true(mcap_reader_summary(reader)->indexed);
        mcap_reader_close(reader);
        /* The same one twice; then one that begins inside of the other. */
        for (uint64_t skipped = 0; skipped < 2; skipped++) {
                inside = mcap_load_u64(first + place) + skipped;
                assert_int_equal(pwrite(fd, first, place, at[0]), place);
                assert_int_equal(pwrite(fd, &inside, sizeof(inside), at[0] + (off_t) place),
                                 sizeof(inside));
                assert_int_equal(mcap_reader_open(&reader, fd, "test.mcap", 0, &error), 0);
                assert_false(mcap_reader_summary(reader)->indexed);
                assert_non_null(strstr(mcap_reader_summary(reader)->damage.text,
                                       "the index has two chunks in one place"));
                for (count = 0; mcap_reader_next(reader, &message, &error) == 1; count++) {
                }
                assert_int_equal(count, SMALL);
                mcap_reader_close(reader);
        }
        (void) close(fd);
}

static void recover_small(int fd, struct mcap_recovery *recovery) {
        struct mcap_error error;
        bool flawless;
        int to = file_make();
        size_t count;

        assert_int_equal(mcap_recover(fd, "test.mcap", to, "new.mcap", 1 << 20, recovery, &error),
                         0);
        count = read_small(to, true, true, &flawless);
        assert_true(flawless);
        assert_int_equal(count, recovery->messages);
        (void) close(to);
}

static void flip_each_byte(enum mcap_compression compression) {
        static const uint8_t flips[] = {0x01, 0x80, 0xff};
        struct mcap_recovery recovery;
        size_t bytes, at, i, count;
        int fd = file_make();
        bool flawless;
        uint8_t *data;

        write_small(fd, compression);
        data = file_read(fd, &bytes);
        assert_int_equal(read_small(fd, false, false, &flawless), SMALL);
        assert_true(flawless);
        for (at = 0; at < bytes; at++) {
                for (i = 0; i < sizeof(flips); i++) {
                        data[at] ^= flips[i];
                        file_write(fd, data, bytes);
                        count = read_small(fd, false, true, &flawless);
                        /* Without a word everything has to be there. */
                        if (flawless && count != SMALL) {
                                fail_msg("byte %zu ^ 0x%02x: %zu messages", at, flips[i], count);
                        }
                        if (at >= MCAP_MAGIC_BYTES) {
                                recover_small(fd, &recovery);
                                /* One byte costs a chunk at most, of two messages. */
                                if (recovery.messages + 2 < SMALL) {
                                        fail_msg("byte %zu ^ 0x%02x: %d recovered: %s", at,
                                                 flips[i], (int) recovery.messages,
                                                 recovery.damage.text);
                                }
                                if (recovery.messages < SMALL) {
                                        assert_true(recovery.damage.code < 0 ||
                                                    recovery.messages_lost > 0 ||
                                                    recovery.messages_expected > recovery.messages);
                                }
                        }
                        data[at] ^= flips[i];
                }
        }
        free(data);
        (void) close(fd);
}

static void test_each_byte_flipped_plain(void **state) {
        flip_each_byte(MCAP_COMPRESSION_NONE);
}

static void test_each_byte_flipped_zstd(void **state) {
        flip_each_byte(MCAP_COMPRESSION_ZSTD);
}

static void test_each_byte_flipped_lz4(void **state) {
        flip_each_byte(MCAP_COMPRESSION_LZ4);
}

static void cut_everywhere(enum mcap_compression compression) {
        struct mcap_recovery recovery;
        size_t bytes, length, count, most = 0;
        int fd = file_make();
        bool flawless;
        uint8_t *data;

        write_small(fd, compression);
        data = file_read(fd, &bytes);
        for (length = 0; length < bytes; length++) {
                file_write(fd, data, length);
                count = read_small(fd, false, false, &flawless);
                assert_false(flawless);
                /* More bytes are never fewer messages. */
                assert_true(count >= most);
                most = count;
                if (length >= MCAP_MAGIC_BYTES) {
                        recover_small(fd, &recovery);
                        assert_true(recovery.messages >= count);
                        assert_true(recovery.messages <= count + 2);
                        assert_int_equal(recovery.messages - recovery.messages_unchecked, count);
                }
        }
        assert_int_equal(most, SMALL);
        free(data);
        (void) close(fd);
}

static void test_each_length_plain(void **state) {
        cut_everywhere(MCAP_COMPRESSION_NONE);
}

static void test_each_length_zstd(void **state) {
        cut_everywhere(MCAP_COMPRESSION_ZSTD);
}

static void test_each_length_lz4(void **state) {
        cut_everywhere(MCAP_COMPRESSION_LZ4);
}

/* Of a large chunk that was cut, compressed or not, what came before the cut is kept. */
static void test_cut_chunk(void **state) {
        enum { MESSAGES = 4000 };
        struct mcap_writer_options options = {.chunk_bytes = 1 << 20};
        struct mcap_recovery recovery;
        struct mcap_message message;
        struct mcap_writer *writer;
        struct mcap_reader *reader;
        struct mcap_error error;
        struct written written;
        int fd, to, compression;
        unsigned i;

        for (compression = 0; compression < MCAP_COMPRESSION_COUNT; compression++) {
                fd = file_make();
                to = file_make();
                options.compression = (enum mcap_compression) compression;
                writer = writer_make(fd, &options, 2);
                for (i = 0; i < MESSAGES; i++) {
                        written = (struct written){i % 2, i, i, 200};
                        assert_int_equal(put(writer, &written, &error), 0);
                }
                assert_int_equal(mcap_writer_flush(writer, &error), 0);
                /* Before the index, and half of what is there then. */
                assert_int_equal(ftruncate(fd, (file_bytes(fd) - MESSAGES * 16) / 2), 0);
                assert_int_equal(
                        mcap_recover(fd, "test.mcap", to, "new.mcap", 0, &recovery, &error), 0);
                assert_int_equal(recovery.chunks, 0);
                assert_int_equal(recovery.chunks_lost, 1);
                assert_int_equal(recovery.messages, recovery.messages_unchecked);
                assert_int_equal(recovery.damage.code, -ENODATA);
                assert_true(recovery.messages > 500 && recovery.messages < MESSAGES);
                assert_int_equal(mcap_reader_open(&reader, to, "new.mcap", 0, &error), 0);
                for (i = 0; i < recovery.messages; i++) {
                        written = (struct written){i % 2, i, i, 200};
                        assert_int_equal(mcap_reader_next(reader, &message, &error), 1);
                        check_message(&message, &written);
                }
                assert_int_equal(mcap_reader_next(reader, &message, &error), 0);
                mcap_reader_close(reader);
                (void) mcap_writer_close(writer, NULL, &error);
                (void) close(fd);
                (void) close(to);
        }
}

/* A part of the disk that came back as something else, which looks like chunks all over. */
static void test_hole_in_the_middle(void **state) {
        struct mcap_recovery recovery;
        struct mcap_message message;
        struct mcap_reader *reader;
        struct mcap_error error;
        uint8_t hole[20000];
        int fd = file_make(), to = file_make();
        uint64_t count = 0;
        unsigned i = 0;

        write_rounds(fd, MCAP_COMPRESSION_LZ4);
        memset(hole, MCAP_CHUNK, sizeof(hole));
        assert_int_equal(pwrite(fd, hole, sizeof(hole), file_bytes(fd) / 3), sizeof(hole));
        assert_int_equal(mcap_recover(fd, "test.mcap", to, "new.mcap", 0, &recovery, &error), 0);
        assert_true(recovery.damage.code < 0);
        assert_true(recovery.chunks_lost > 0);
        assert_true(recovery.bytes_skipped > 15000 && recovery.bytes_skipped < 50000);
        assert_int_equal(recovery.messages_expected, ROUND);
        assert_true(recovery.messages > ROUND / 2 && recovery.messages < ROUND);
        assert_int_equal(mcap_reader_open(&reader, to, "new.mcap", 0, &error), 0);
        while (mcap_reader_next(reader, &message, &error) == 1) {
                while (i < ROUND && rounds[i].sequence != message.sequence) {
                        i++;
                }
                assert_true(i < ROUND);
                check_message(&message, &rounds[i]);
                count++;
        }
        assert_int_equal(count, recovery.messages);
        assert_int_equal(i, ROUND - 1);
        mcap_reader_close(reader);
        (void) close(fd);
        (void) close(to);
}

static void put_false_head(struct mcap_buffer *file, uint64_t bytes) {
        mcap_put_u8(file, MCAP_CHUNK);
        mcap_put_u64(file, bytes);
        mcap_put_u64(file, 0);
        mcap_put_u64(file, UINT64_MAX);
        mcap_put_u64(file, bytes - 40);
        mcap_put_u32(file, 1);
        mcap_put_u32(file, 0);
        mcap_put_u64(file, bytes - 40);
}

#define HEADS 20000u
#define HEAD_BYTES 49u

/* Each of them could be a chunk that goes on to the end of the file. Reading them all would be 10
 * GB; the file is 1 MB, and what is whole behind them is found. */
static void test_false_chunks(void **state) {
        struct mcap_writer_options options = {.chunk_bytes = 4096};
        struct written message = {0, 0, 0, 200};
        struct mcap_recovery recovery;
        struct mcap_buffer heads = {0};
        struct mcap_writer *writer;
        struct mcap_error error;
        int fd = file_make(), to = file_make();
        off_t begin, bytes;

        writer = writer_make(fd, &options, 1);
        assert_int_equal(mcap_writer_flush(writer, &error), 0);
        begin = file_bytes(fd);
        assert_true(mcap_buffer_reserve(&heads, HEADS * HEAD_BYTES));
        memset(heads.data, 0, HEADS * HEAD_BYTES);
        assert_int_equal(
                mcap_writer_attachment(writer, "heads", "", 0, heads.data, HEADS * HEAD_BYTES), 0);
        while (message.sequence < 200) {
                message.sequence++;
                message.log_time_ns = message.sequence * MS;
                assert_int_equal(put(writer, &message, &error), 0);
        }
        assert_int_equal(mcap_writer_close(writer, NULL, &error), 0);
        bytes = file_bytes(fd);
        /* In place of the attachment, behind what is no record. */
        mcap_put(&heads, (const uint8_t[16]){0}, 16);
        for (uint64_t i = 0; i < HEADS; i++) {
                put_false_head(&heads, (uint64_t) (bytes - begin) - heads.bytes - 9);
        }
        assert_int_equal(pwrite(fd, heads.data, heads.bytes, begin), heads.bytes);
        assert_int_equal(mcap_recover(fd, "test.mcap", to, "new.mcap", 0, &recovery, &error), 0);
        assert_int_equal(recovery.messages, 200);
        assert_true(recovery.gave_up);
        assert_true(recovery.bytes_in_vain > (uint64_t) bytes);
        assert_true(recovery.bytes_in_vain <= 4 * (uint64_t) bytes);
        mcap_buffer_free(&heads);
        (void) close(fd);
        (void) close(to);
}

static void put_loose(struct mcap_buffer *file, const struct written *message) {
        size_t record = mcap_record_begin(file, MCAP_MESSAGE);

        mcap_put_u16(file, 1);
        mcap_put_u32(file, message->sequence);
        mcap_put_u64(file, message->log_time_ns);
        mcap_put_u64(file, message->log_time_ns + 1);
        for (size_t i = 0; i < message->bytes; i++) {
                mcap_put_u8(file, data_at(message, i));
        }
        mcap_record_end(file, record);
}

static void put_header(struct mcap_buffer *file) {
        size_t record;

        mcap_put(file, MCAP_MAGIC, MCAP_MAGIC_BYTES);
        record = mcap_record_begin(file, MCAP_HEADER);
        mcap_put_string(file, "ros2");
        mcap_put_string(file, "test");
        mcap_record_end(file, record);
}

static void put_schema(struct mcap_buffer *file) {
        size_t record = mcap_record_begin(file, MCAP_SCHEMA);

        mcap_put_u16(file, 1);
        mcap_put_string(file, "test_msgs/msg/X");
        mcap_put_string(file, "ros2msg");
        mcap_put_string(file, SCHEMA_TEXT);
        mcap_record_end(file, record);
}

static void put_channel(struct mcap_buffer *file) {
        size_t record = mcap_record_begin(file, MCAP_CHANNEL);

        mcap_put_u16(file, 1);
        mcap_put_u16(file, 1);
        mcap_put_string(file, "topic_0");
        mcap_put_string(file, "cdr");
        mcap_put_u32(file, 0);
        mcap_record_end(file, record);
}

/* Header, schema, channel, and messages that stand in no chunk; @ret_ends: of each record. */
static void put_unchunked(struct mcap_buffer *file, size_t *ret_ends, uint32_t messages) {
        struct written message = {0, 0, 0, 20};

        put_header(file);
        *ret_ends++ = file->bytes;
        put_schema(file);
        *ret_ends++ = file->bytes;
        put_channel(file);
        *ret_ends++ = file->bytes;
        for (message.sequence = 1; message.sequence <= messages; message.sequence++) {
                message.log_time_ns = message.sequence * MS;
                put_loose(file, &message);
                *ret_ends++ = file->bytes;
        }
}

/* A chunk of these records, and its entry of an index. */
static void put_chunk(struct mcap_buffer *file,
                      struct mcap_buffer *index,
                      const struct mcap_buffer *records,
                      uint64_t start_ns,
                      uint64_t end_ns) {
        uint64_t offset = file->bytes;
        size_t record = mcap_record_begin(file, MCAP_CHUNK);

        mcap_put_u64(file, start_ns);
        mcap_put_u64(file, end_ns);
        mcap_put_u64(file, records->bytes);
        mcap_put_u32(file, mcap_crc(0, records->data, records->bytes));
        mcap_put_string(file, "");
        mcap_put_u64(file, records->bytes);
        mcap_put(file, records->data, records->bytes);
        mcap_record_end(file, record);
        record = mcap_record_begin(index, MCAP_CHUNK_INDEX);
        mcap_put_u64(index, start_ns);
        mcap_put_u64(index, end_ns);
        mcap_put_u64(index, offset);
        mcap_put_u64(index, file->bytes - offset);
        mcap_put_u32(index, 0);
        mcap_put_u64(index, 0);
        mcap_put_string(index, "");
        mcap_put_u64(index, records->bytes);
        mcap_put_u64(index, records->bytes);
        mcap_record_end(index, record);
}

/* The end of a file of one schema and one channel. */
static void put_index(struct mcap_buffer *file,
                      const struct mcap_buffer *index,
                      uint32_t chunks,
                      uint32_t messages) {
        size_t record = mcap_record_begin(file, MCAP_DATA_END);
        uint64_t start;

        mcap_put_u32(file, 0);
        mcap_record_end(file, record);
        start = file->bytes;
        put_schema(file);
        put_channel(file);
        mcap_put(file, index->data, index->bytes);
        record = mcap_record_begin(file, MCAP_STATISTICS);
        mcap_put_u64(file, messages);
        mcap_put_u16(file, 1);
        mcap_put_u32(file, 1);
        mcap_put_u32(file, 0);
        mcap_put_u32(file, 0);
        mcap_put_u32(file, chunks);
        mcap_put_u64(file, MS);
        mcap_put_u64(file, messages * MS);
        mcap_put_u32(file, 0);
        mcap_record_end(file, record);
        record = mcap_record_begin(file, MCAP_FOOTER);
        mcap_put_u64(file, start);
        mcap_put_u64(file, 0);
        mcap_put_u32(file, 0);
        mcap_record_end(file, record);
        mcap_put(file, MCAP_MAGIC, MCAP_MAGIC_BYTES);
}

static void check_in_order(int fd, uint32_t messages, bool indexed) {
        struct written written = {0, 0, 0, 20};
        struct mcap_message message;
        struct mcap_reader *reader;
        struct mcap_error error;

        assert_int_equal(mcap_reader_open(&reader, fd, "test.mcap", 0, &error), 0);
        assert_int_equal(mcap_reader_summary(reader)->indexed, indexed);
        assert_int_equal(mcap_reader_summary(reader)->message_count, messages);
        assert_int_equal(mcap_reader_summary(reader)->start_ns, MS);
        for (written.sequence = 1; written.sequence <= messages; written.sequence++) {
                written.log_time_ns = written.sequence * MS;
                assert_int_equal(mcap_reader_next(reader, &message, &error), 1);
                check_message(&message, &written);
        }
        assert_int_equal(mcap_reader_next(reader, &message, &error), 0);
        mcap_reader_close(reader);
}

/* The C++ writer of MCAP, and rosbag2 with it, has made files whose first chunk holds what
 * describes their channels, no message, and as its times those of none: from the latest of all to
 * the earliest. */
static void test_chunk_without_messages(void **state) {
        struct mcap_buffer file = {0}, index = {0}, records = {0};
        struct written message = {0, 0, 0, 20};
        struct mcap_recovery recovery;
        struct mcap_error error;
        int fd = file_make(), to = file_make();

        put_header(&file);
        put_schema(&records);
        put_channel(&records);
        put_chunk(&file, &index, &records, UINT64_MAX, 0);
        records.bytes = 0;
        for (message.sequence = 1; message.sequence <= 3; message.sequence++) {
                message.log_time_ns = message.sequence * MS;
                put_loose(&records, &message);
        }
        put_chunk(&file, &index, &records, MS, 3 * MS);
        put_index(&file, &index, 2, 3);
        file_write(fd, file.data, file.bytes);
        check_in_order(fd, 3, true);
        /* Without its index, where they are described in that chunk only. */
        assert_int_equal(ftruncate(fd, file_bytes(fd) - 1), 0);
        check_in_order(fd, 3, false);
        assert_int_equal(mcap_recover(fd, "test.mcap", to, "new.mcap", 0, &recovery, &error), 0);
        assert_int_equal(recovery.messages, 3);
        assert_int_equal(recovery.chunks_lost, 0);
        check_in_order(to, 3, true);
        mcap_buffer_free(&file);
        mcap_buffer_free(&index);
        mcap_buffer_free(&records);
        (void) close(fd);
        (void) close(to);
}

/* How many of them are there after @byte was changed, each as it was written. */
static uint64_t
recover_unchunked(const struct mcap_buffer *file, size_t at, uint8_t byte, bool *ret_damaged) {
        struct written written = {0, 0, 0, 20};
        struct mcap_recovery recovery;
        struct mcap_message message;
        struct mcap_reader *reader;
        struct mcap_error error;
        int fd = file_make(), to = file_make();
        uint64_t count = 0;

        file_write(fd, file->data, file->bytes);
        assert_int_equal(pwrite(fd, &byte, 1, (off_t) at), 1);
        assert_int_equal(mcap_recover(fd, "test.mcap", to, "new.mcap", 0, &recovery, &error), 0);
        *ret_damaged = recovery.damage.code < 0;
        assert_true(!*ret_damaged || recovery.messages_unchecked > 0);
        assert_int_equal(mcap_reader_open(&reader, to, "new.mcap", 0, &error), 0);
        if (at != MCAP_MAGIC_BYTES) {
                assert_string_equal(mcap_reader_summary(reader)->profile, "ros2");
                assert_string_equal(mcap_reader_summary(reader)->library, "test");
        }
        while (mcap_reader_next(reader, &message, &error) == 1) {
                /* One whose length is damaged is not known from others: it has no checksum. */
                if (message.bytes != written.bytes) {
                        continue;
                }
                written.sequence = message.sequence;
                written.log_time_ns = message.sequence * MS;
                check_message(&message, &written);
                count++;
        }
        mcap_reader_close(reader);
        (void) close(fd);
        (void) close(to);
        return count;
}

/* Also where there are no chunks to look for, damage costs what it hits and nothing more. */
static void test_damage_without_chunks(void **state) {
        const uint32_t messages = 20;
        struct mcap_buffer file = {0};
        size_t ends[3 + 20], i;
        bool damaged;

        put_unchunked(&file, ends, messages);
        /* Somebody's record in front, of no opcode that there is. */
        assert_int_equal(recover_unchunked(&file, MCAP_MAGIC_BYTES, 0x7f, &damaged), messages);
        assert_true(damaged);
        /* The opcode of a message in the middle, and its length: too long, and longer than all. */
        for (i = 5; i < 15; i++) {
                assert_int_equal(recover_unchunked(&file, ends[i], 0x7f, &damaged), messages - 1);
                assert_true(damaged);
                assert_int_equal(recover_unchunked(&file, ends[i] + 1, 99, &damaged), messages - 1);
                assert_true(damaged);
                assert_int_equal(recover_unchunked(&file, ends[i] + 8, 99, &damaged), messages - 1);
                assert_true(damaged);
        }
        mcap_buffer_free(&file);
}

/* What stands in a chunk whose head is damaged is not taken for messages without chunks, also where
 * no index says that there are any. */
static void test_damaged_head_without_index(void **state) {
        struct mcap_recovery recovery;
        size_t bytes, at = MCAP_MAGIC_BYTES;
        int fd = file_make();
        uint8_t *data;

        write_small(fd, MCAP_COMPRESSION_NONE);
        data = file_read(fd, &bytes);
        while (data[at] != MCAP_CHUNK) {
                at += MCAP_RECORD_HEAD_BYTES + (size_t) mcap_load_u64(data + at + 1);
        }
        data[at] ^= 0x40;
        file_write(fd, data, bytes - MCAP_MAGIC_BYTES);
        recover_small(fd, &recovery);
        assert_int_equal(recovery.messages, SMALL - 2);
        assert_int_equal(recovery.messages_unchecked, 0);
        free(data);
        (void) close(fd);
}

/* A recorder that was killed between two chunks, and the whole of a message in a third. */
static void test_killed_writer(void **state) {
        struct mcap_recovery recovery;
        const struct mcap_summary *summary;
        struct mcap_reader *reader;
        struct mcap_error error;
        int fd = file_make(), status;
        bool flawless;
        pid_t pid;

        pid = fork();
        if (pid == 0) {
                struct mcap_writer *writer = writer_make(fd, NULL, 2);
                size_t i;

                for (i = 0; i < 5; i++) {
                        (void) put(writer, &small[i], &error);
                        if (i == 1 || i == 3) {
                                (void) mcap_writer_flush(writer, &error);
                        }
                }
                (void) kill(getpid(), SIGKILL);
        }
        assert_int_equal(waitpid(pid, &status, 0), pid);
        assert_true(WIFSIGNALED(status));
        assert_int_equal(mcap_reader_open(&reader, fd, "test.mcap", 0, &error), 0);
        summary = mcap_reader_summary(reader);
        assert_int_equal(summary->catalogue.channel_count, 2);
        assert_int_equal(summary->message_count, 4);
        assert_non_null(strstr(summary->damage.text, "was not closed"));
        mcap_reader_close(reader);
        assert_int_equal(read_small(fd, false, false, &flawless), 4);
        recover_small(fd, &recovery);
        assert_int_equal(recovery.messages, 4);
        assert_int_equal(recovery.chunks, 2);
        assert_int_equal(recovery.chunks_lost, 0);
        assert_int_equal(recovery.damage.code, 0);
        (void) close(fd);
}

/* Where nothing in a file agrees with its statistics, and no CRC says so. */
static void test_statistics_that_cannot_be(void **state) {
        const struct mcap_summary *summary;
        struct mcap_reader *reader;
        struct mcap_error error;
        int fd = file_make();
        size_t bytes, at;
        uint8_t *data;

        write_small(fd, MCAP_COMPRESSION_NONE);
        data = file_read(fd, &bytes);
        at = (size_t) mcap_load_u64(data + bytes - MCAP_MAGIC_BYTES - MCAP_FOOTER_BYTES + 9);
        while (data[at] != MCAP_STATISTICS) {
                at += MCAP_RECORD_HEAD_BYTES + (size_t) mcap_load_u64(data + at + 1);
        }
        at += MCAP_RECORD_HEAD_BYTES + 8 + 2 + 4 + 4 + 4 + 4;
        assert_int_equal(mcap_load_u64(data + at), small[0].log_time_ns);
        mcap_store_u64(data + at, UINT64_MAX - 1);
        mcap_store_u32(data + bytes - MCAP_MAGIC_BYTES - 4, 0);
        file_write(fd, data, bytes);
        assert_int_equal(mcap_reader_open(&reader, fd, "test.mcap", 0, &error), 0);
        summary = mcap_reader_summary(reader);
        assert_false(summary->indexed);
        assert_non_null(strstr(summary->damage.text, "ends before it begins"));
        assert_int_equal(summary->start_ns, small[0].log_time_ns);
        assert_int_equal(summary->end_ns, small[SMALL - 1].log_time_ns);
        assert_int_equal(summary->message_count, SMALL);
        mcap_reader_close(reader);
        free(data);
        (void) close(fd);
}

/* Somebody truncates a file that is written: at the next chunk and at the end that is an error, and
 * what is left stays as it is. */
static void test_truncated_meanwhile(void **state) {
        struct mcap_recovery recovery;
        struct mcap_writer *writer;
        struct mcap_error error;
        int fd = file_make(), flush;
        off_t left;

        for (flush = 0; flush < 2; flush++) {
                assert_int_equal(ftruncate(fd, 0), 0);
                writer = writer_make(fd, NULL, 2);
                assert_int_equal(put(writer, &small[0], &error), 0);
                assert_int_equal(mcap_writer_flush(writer, &error), 0);
                left = file_bytes(fd);
                assert_int_equal(put(writer, &small[1], &error), 0);
                assert_int_equal(mcap_writer_flush(writer, &error), 0);
                assert_int_equal(ftruncate(fd, left), 0);
                if (flush) {
                        assert_int_equal(put(writer, &small[2], &error), 0);
                        assert_int_equal(mcap_writer_flush(writer, &error), -ENODATA);
                        assert_non_null(strstr(error.text, "became shorter"));
                        assert_int_equal(put(writer, &small[3], &error), -ENODATA);
                }
                memset(&error, 0, sizeof(error));
                assert_int_equal(mcap_writer_close(writer, NULL, &error), -ENODATA);
                assert_non_null(strstr(error.text, "became shorter"));
                assert_int_equal(file_bytes(fd), left);
                recover_small(fd, &recovery);
                assert_int_equal(recovery.messages, 1);
        }
        (void) close(fd);
}

/* Five GiB of somebody else's record, of which the disk has nothing, in front of the first chunk.
 */
static void test_offsets_beyond_32_bits(void **state) {
        static const uint64_t hole = UINT64_C(5) << 30;
        uint8_t head[MCAP_RECORD_HEAD_BYTES] = {0x80};
        const uint64_t begin = MCAP_MAGIC_BYTES + MCAP_RECORD_HEAD_BYTES + 4 + 4 + 4;
        struct mcap_recovery recovery;
        size_t bytes;
        bool flawless;
        uint8_t *data;
        int fd = file_make();

        write_small(fd, MCAP_COMPRESSION_ZSTD);
        data = file_read(fd, &bytes);
        mcap_store_u64(head + 1, hole);
        assert_int_equal(pwrite(fd, head, sizeof(head), (off_t) begin), sizeof(head));
        assert_int_equal(ftruncate(fd, (off_t) (begin + sizeof(head))), 0);
        assert_int_equal(
                pwrite(fd, data + begin, bytes - begin, (off_t) (begin + sizeof(head) + hole)),
                bytes - begin);
        assert_int_equal(read_small(fd, false, false, &flawless), SMALL);
        /* The index still says where things were. */
        assert_false(flawless);
        recover_small(fd, &recovery);
        assert_int_equal(recovery.messages, SMALL);
        free(data);
        (void) close(fd);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_round_trip_plain),
                cmocka_unit_test(test_round_trip_zstd),
                cmocka_unit_test(test_round_trip_lz4),
                cmocka_unit_test(test_selection_by_topic_and_time),
                cmocka_unit_test(test_thousands_of_channels),
                cmocka_unit_test(test_a_small_file_takes_little_memory),
                cmocka_unit_test(test_numbers_may_be_any),
                cmocka_unit_test(test_empty_file),
                cmocka_unit_test(test_metadata),
                cmocka_unit_test(test_a_list_is_read_once),
                cmocka_unit_test(test_a_chunk_is_indexed_once),
                cmocka_unit_test(test_bytes_of_a_file),
                cmocka_unit_test(test_channels_that_come_later),
                cmocka_unit_test(test_writer_refuses),
                cmocka_unit_test(test_reader_refuses_what_is_no_mcap),
                cmocka_unit_test(test_memory_is_limited),
                cmocka_unit_test(test_sizes_that_cannot_be),
                cmocka_unit_test(test_each_byte_flipped_plain),
                cmocka_unit_test(test_each_byte_flipped_zstd),
                cmocka_unit_test(test_each_byte_flipped_lz4),
                cmocka_unit_test(test_each_length_plain),
                cmocka_unit_test(test_each_length_zstd),
                cmocka_unit_test(test_each_length_lz4),
                cmocka_unit_test(test_cut_chunk),
                cmocka_unit_test(test_hole_in_the_middle),
                cmocka_unit_test(test_false_chunks),
                cmocka_unit_test(test_chunk_without_messages),
                cmocka_unit_test(test_damage_without_chunks),
                cmocka_unit_test(test_damaged_head_without_index),
                cmocka_unit_test(test_killed_writer),
                cmocka_unit_test(test_statistics_that_cannot_be),
                cmocka_unit_test(test_truncated_meanwhile),
                cmocka_unit_test(test_offsets_beyond_32_bits),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
