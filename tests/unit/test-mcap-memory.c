/*
 * mcap/: every allocation fails once. What ran out of memory says so, a writer that did still
 * closes its file, and nothing is leaked.
 */

/* cmocka wants these, in this order. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "mcap/recover.h"
#include "tests/harness/failing.h"

#define CHANNELS 90u
#define MESSAGES 300u

/* As far as it gets; how many messages were committed. What comes after the first failure works
 * again. */
static int write_file(int fd, unsigned *ret_committed) {
        struct mcap_writer_options options = {.compression = MCAP_COMPRESSION_ZSTD,
                                              .chunk_bytes = 2048};
        struct mcap_writer_counts counts;
        struct mcap_writer *writer;
        struct mcap_error error;
        uint16_t schema, channel;
        unsigned i;
        void *room;
        int r, closed;

        *ret_committed = 0;
        r = mcap_writer_open(&writer, fd, "memory.mcap", &options, &error);
        if (r < 0) {
                return r;
        }
        r = mcap_writer_schema(writer, "a/msg/B", "ros2msg", "bool b", 6, &schema);
        for (i = 0; i < CHANNELS && r == 0; i++) {
                r = mcap_writer_channel(writer, schema, "t", "cdr",
                                        (const char *[]){"k", "v", NULL}, &channel);
        }
        if (r == 0) {
                r = mcap_writer_metadata(writer, "bus", (const char *[]){"name", "rover", NULL});
        }
        if (r == 0) {
                r = mcap_writer_attachment(writer, "a", "b", 1, "c", 1);
        }
        for (i = 0; i < MESSAGES && r == 0; i++) {
                r = mcap_writer_reserve(writer, (uint16_t) (i % CHANNELS + 1), 40, &room, &error);
                if (r == 0) {
                        memset(room, (int) i, 40);
                        r = mcap_writer_commit(writer, i, i, i, 40, &error);
                        *ret_committed += r == 0;
                }
        }
        if (r < 0) {
                failing_stop();
        }
        closed = mcap_writer_close(writer, &counts, &error);
        assert_true(closed >= 0 || closed == -ENOMEM);
        if (closed >= 0) {
                assert_int_equal(counts.messages + counts.lost >= *ret_committed, 1);
        }
        return r < 0 ? r : closed < 0 ? closed : closed == 1 ? -ENOMEM : 0;
}

static int read_file(int fd, unsigned *ret_count) {
        struct mcap_metadata list;
        struct mcap_message message;
        struct mcap_reader *reader;
        struct mcap_error error;
        int r;

        *ret_count = 0;
        r = mcap_reader_open(&reader, fd, "memory.mcap", 0, &error);
        if (r < 0) {
                assert_non_null(strstr(error.text, "memory"));
                return r;
        }
        r = mcap_reader_metadata(reader, 0, &list, &error);
        if (r < 0) {
                mcap_reader_close(reader);
                return r;
        }
        while ((r = mcap_reader_next(reader, &message, &error)) == 1) {
                assert_int_equal(message.data[39], (uint8_t) message.sequence);
                ++*ret_count;
        }
        mcap_reader_close(reader);
        return r;
}

static void test_writer_without_memory(void **state) {
        unsigned committed, count;
        unsigned at = 0;
        int fd, r;

        do {
                fd = memfd_create("memory.mcap", MFD_CLOEXEC);
                failing_start(at++, true);
                r = write_file(fd, &committed);
                failing_stop();
                assert_true(r == 0 || r == -ENOMEM);
                /* The first write is the magic and the header. */
                if (lseek(fd, 0, SEEK_END) > 0) {
                        assert_int_equal(read_file(fd, &count), 0);
                        assert_true(count <= MESSAGES);
                        assert_true(r < 0 || count == MESSAGES);
                }
                (void) close(fd);
        } while (r < 0);
        assert_true(at > 200);
}

static void test_reader_without_memory(void **state) {
        unsigned committed, count;
        unsigned at;
        int fd, r, cut;

        for (cut = 0; cut < 2; cut++) {
                fd = memfd_create("memory.mcap", MFD_CLOEXEC);
                assert_int_equal(write_file(fd, &committed), 0);
                assert_int_equal(committed, MESSAGES);
                assert_int_equal(ftruncate(fd, lseek(fd, 0, SEEK_END) - cut), 0);
                at = 0;
                do {
                        failing_start(at++, true);
                        r = read_file(fd, &count);
                        failing_stop();
                        assert_true(r == 0 || r == -ENOMEM);
                } while (r < 0);
                assert_int_equal(count, MESSAGES);
                assert_true(at > 100);
                (void) close(fd);
        }
}

static void test_recovery_without_memory(void **state) {
        struct mcap_recovery recovery;
        unsigned committed, count;
        struct mcap_error error;
        unsigned at = 0;
        int fd, to, r;

        fd = memfd_create("memory.mcap", MFD_CLOEXEC);
        assert_int_equal(write_file(fd, &committed), 0);
        assert_int_equal(ftruncate(fd, lseek(fd, 0, SEEK_END) - 1), 0);
        do {
                to = memfd_create("new.mcap", MFD_CLOEXEC);
                failing_start(at++, true);
                r = mcap_recover(fd, "memory.mcap", to, "new.mcap", 0, &recovery, &error);
                failing_stop();
                assert_true(r == 0 || r == -ENOMEM);
                assert_true(r == 0 || strstr(error.text, "memory"));
                if (r == 0) {
                        assert_int_equal(read_file(to, &count), 0);
                        assert_int_equal(count, recovery.messages);
                }
                (void) close(to);
        } while (r < 0);
        assert_int_equal(count, MESSAGES);
        assert_true(at > 100);
        (void) close(fd);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_writer_without_memory),
                cmocka_unit_test(test_reader_without_memory),
                cmocka_unit_test(test_recovery_without_memory),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
