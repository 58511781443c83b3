/*
 * mcap/writer.h on a disk that becomes full, at every size: what is closed is complete and says how
 * much was lost, or it cannot be closed and recovery finds what was written.
 *
 * A limit on the size of files comes at every byte, with and without space that can be reserved; a
 * small file system of its own is the real thing, and needs a user namespace, or root.
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
#include <sched.h>
#include <stdbool.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "mcap/recover.h"

#define MESSAGES 60u
#define BYTES 64u

/* A file system that cannot reserve space, or the real one. By both names: which one is called
 * depends on the size of off_t. */
static bool cannot_reserve;

int __real_fallocate(int fd, int mode, off_t offset, off_t bytes);
int __wrap_fallocate(int fd, int mode, off_t offset, off_t bytes);
int __wrap_fallocate64(int fd, int mode, off_t offset, off_t bytes);

int __wrap_fallocate(int fd, int mode, off_t offset, off_t bytes) {
        if (cannot_reserve) {
                errno = EOPNOTSUPP;
                return -1;
        }
        return __real_fallocate(fd, mode, offset, bytes);
}

int __wrap_fallocate64(int fd, int mode, off_t offset, off_t bytes) {
        return __wrap_fallocate(fd, mode, offset, bytes);
}

/* For how many messages the writer took the responsibility. */
static unsigned committed;

static void limit_files(rlim_t bytes) {
        struct rlimit limit;

        assert_int_equal(getrlimit(RLIMIT_FSIZE, &limit), 0);
        limit.rlim_cur = bytes;
        assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

/* Nothing that compresses. */
static uint8_t data_at(uint32_t sequence, size_t i) {
        uint32_t word = sequence * 2654435761u + (uint32_t) i;

        word = (word ^ word >> 15) * 2246822519u;
        word = (word ^ word >> 13) * 3266489917u;
        return (uint8_t) (word >> 16);
}

/* Writes until it is told to stop, and closes. The writer's verdict. */
static int write_file(int fd,
                      unsigned messages,
                      size_t bytes,
                      uint64_t chunk_bytes,
                      struct mcap_writer_counts *counts,
                      struct mcap_error *error) {
        struct mcap_writer_options options = {.compression = MCAP_COMPRESSION_ZSTD,
                                              .chunk_bytes = chunk_bytes};
        struct mcap_writer *writer;
        uint16_t channel;
        uint32_t sequence;
        uint8_t *data;
        void *room;
        size_t i;
        int r;

        committed = 0;
        r = mcap_writer_open(&writer, fd, "full.mcap", &options, error);
        if (r < 0) {
                return r;
        }
        assert_int_equal(mcap_writer_channel(writer, 0, "t", "x", NULL, &channel), 0);
        for (sequence = 1; sequence <= messages && r == 0; sequence++) {
                r = mcap_writer_reserve(writer, channel, bytes, &room, error);
                if (r == 0) {
                        data = room;
                        for (i = 0; i < bytes; i++) {
                                data[i] = data_at(sequence, i);
                        }
                        committed++;
                        r = mcap_writer_commit(writer, sequence, sequence, sequence, bytes, error);
                }
        }
        if (r < 0) {
                assert_int_equal(strncmp(error->text, "full.mcap: offset 0x", 20), 0);
                assert_non_null(strstr(error->text, "stays readable"));
        }
        return mcap_writer_close(writer, counts, error);
}

/* The first messages of the file, all right; how many. */
static unsigned read_file(int fd, bool closed, size_t bytes) {
        struct mcap_message message;
        struct mcap_reader *reader;
        struct mcap_error error;
        unsigned count = 0;
        size_t i;
        int r;

        assert_int_equal(mcap_reader_open(&reader, fd, "full.mcap", 0, &error), 0);
        assert_int_equal(mcap_reader_summary(reader)->indexed, closed);
        assert_int_equal(mcap_reader_summary(reader)->damage.code == 0, closed);
        while ((r = mcap_reader_next(reader, &message, &error)) == 1) {
                assert_int_equal(message.sequence, ++count);
                assert_int_equal(message.bytes, bytes);
                for (i = 0; i < bytes; i++) {
                        assert_int_equal(message.data[i], data_at(count, i));
                }
        }
        assert_int_equal(r, 0);
        assert_int_equal(mcap_reader_summary(reader)->message_count, count);
        if (count > 0) {
                assert_int_equal(mcap_reader_summary(reader)->start_ns, 1);
                assert_int_equal(mcap_reader_summary(reader)->end_ns, count);
        }
        mcap_reader_close(reader);
        return count;
}

static void limit_every_size(void) {
        struct mcap_writer_counts counts;
        struct mcap_error error;
        unsigned most = 0, count, incomplete = 0;
        uint64_t whole;
        rlim_t limit;
        int fd, r;

        fd = memfd_create("full.mcap", MFD_CLOEXEC);
        assert_int_equal(write_file(fd, MESSAGES, BYTES, 400, &counts, &error), 0);
        assert_int_equal(counts.messages, MESSAGES);
        whole = counts.file_bytes;
        (void) close(fd);
        for (limit = 0; limit < whole; limit++) {
                fd = memfd_create("full.mcap", MFD_CLOEXEC);
                limit_files(limit);
                r = write_file(fd, MESSAGES, BYTES, 400, &counts, &error);
                limit_files(RLIM_INFINITY);
                assert_int_not_equal(r, 0);
                assert_non_null(strstr(error.text, strerror(EFBIG)));
                if (r < 0) {
                        /* Not even an empty file and its index fitted. */
                        incomplete++;
                        assert_int_equal(most, 0);
                } else {
                        count = read_file(fd, true, BYTES);
                        assert_int_equal(count, counts.messages);
                        assert_true(counts.lost > 0);
                        assert_int_equal(count + counts.lost, committed);
                        /* A larger disk never holds less. */
                        assert_true(count >= most);
                        most = count;
                }
                (void) close(fd);
        }
        assert_true(incomplete > 0);
        assert_true(most > MESSAGES / 2);
}

static void test_file_size_limit_at_every_byte(void **state) {
        limit_every_size();
}

/* Chunks have to make way for the index. */
static void test_file_size_limit_without_warning(void **state) {
        cannot_reserve = true;
        limit_every_size();
        cannot_reserve = false;
}

/* In a file system of 1 MiB, with all of it and with less of it free: nothing but the chunk that
 * did not fit is lost. */
static void fill_small_file_system(const char *directory) {
        static uint8_t block[4096];
        struct mcap_writer_counts counts;
        struct mcap_error error;
        unsigned taken, count;
        char path[128];
        int fd, ballast, r;

        (void) snprintf(path, sizeof(path), "%s/ballast", directory);
        ballast = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
        assert_true(ballast >= 0);
        for (taken = 0; taken < 200; taken++) {
                (void) snprintf(path, sizeof(path), "%s/full.mcap", directory);
                fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
                assert_true(fd >= 0);
                r = write_file(fd, 4000, 512, 32768, &counts, &error);
                assert_int_equal(r, 1);
                assert_non_null(strstr(error.text, strerror(ENOSPC)));
                count = read_file(fd, true, 512);
                assert_int_equal(count, counts.messages);
                assert_true(counts.lost > 0 && counts.lost <= 64);
                assert_int_equal(count + counts.lost, committed);
                /* All but a chunk, an index and a few pages. */
                assert_true(count * 512u + taken * 4096u > (1u << 20) - 3 * 32768u);
                (void) close(fd);
                assert_int_equal(unlink(path), 0);
                assert_int_equal(write(ballast, block, sizeof(block)), sizeof(block));
        }
        (void) close(ballast);
}

static void test_small_file_system(void **state) {
        char directory[] = "/tmp/slipring-test-mcap-XXXXXX";
        int status, r;
        pid_t pid;

        assert_non_null(mkdtemp(directory));
        pid = fork();
        assert_true(pid >= 0);
        if (pid == 0) {
                r = unshare(CLONE_NEWNS | (geteuid() ? CLONE_NEWUSER : 0));
                if (r == 0) {
                        r = mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL);
                }
                if (r == 0) {
                        r = mount("tmpfs", directory, "tmpfs", 0, "size=1m");
                }
                if (r < 0) {
                        (void) fprintf(stderr, "no file system of its own: %s\n", strerror(errno));
                        _exit(77);
                }
                fill_small_file_system(directory);
                _exit(0);
        }
        assert_int_equal(waitpid(pid, &status, 0), pid);
        assert_int_equal(rmdir(directory), 0);
        assert_true(WIFEXITED(status));
        if (WEXITSTATUS(status) == 77) {
                exit(77);
        }
        assert_int_equal(WEXITSTATUS(status), 0);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_file_size_limit_at_every_byte),
                cmocka_unit_test(test_file_size_limit_without_warning),
                /* Last: it may end the program as skipped. */
                cmocka_unit_test(test_small_file_system),
        };

        (void) signal(SIGXFSZ, SIG_IGN);
        return cmocka_run_group_tests(tests, NULL, NULL);
}
