/*
 * Our writer and reader as a program, for others to compare with theirs: both print each message of
 * the file as a line.
 *
 * usage: mcap-peer write FILE none|zstd|lz4
 *        mcap-peer read FILE
 */

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "mcap/reader.h"
#include "mcap/writer.h"

#define MESSAGES 700u
#define TOPICS 4u

struct line {
        unsigned topic;
        uint32_t sequence;
        uint64_t log_time_ns;
        uint64_t publish_time_ns;
        size_t bytes;
        uint8_t data[512];
};

static struct line lines[MESSAGES];

static void print(const char *topic,
                  const char *schema,
                  uint32_t sequence,
                  uint64_t log_time_ns,
                  uint64_t publish_time_ns,
                  const uint8_t *data,
                  size_t bytes) {
        size_t i;

        (void) printf("%s %s %" PRIu32 " %" PRIu64 " %" PRIu64 " ", topic, schema, sequence,
                      log_time_ns, publish_time_ns);
        for (i = 0; i < bytes; i++) {
                (void) printf("%02x", data[i]);
        }
        (void) printf("\n");
}

static void fail(const struct mcap_error *error) {
        (void) fprintf(stderr, "mcap-peer: %s\n", error->text);
        exit(1);
}

static int by_time(const void *a, const void *b) {
        const struct line *x = a, *y = b;

        return x->log_time_ns < y->log_time_ns ? -1 : x->log_time_ns > y->log_time_ns;
}

/* Unique log times, which jump back now and then; data of every length and none. */
static void make_lines(void) {
        uint32_t random = 1;
        unsigned i;
        size_t k;

        for (i = 0; i < MESSAGES; i++) {
                struct line *line = &lines[i];

                random = random * 1664525u + 1013904223u;
                line->topic = (random >> 20) % TOPICS;
                line->sequence = i == 0 ? UINT32_MAX : i;
                line->log_time_ns = UINT64_C(1700000000123456789) + i * UINT64_C(5000000) -
                                    (i % 50 == 49 ? UINT64_C(77000001) : 0);
                line->publish_time_ns = line->log_time_ns - (random >> 24);
                line->bytes = i % 100 == 0 ? 0 : (random >> 12) % sizeof(line->data);
                for (k = 0; k < line->bytes; k++) {
                        /* A part that compresses, and one that does not. */
                        line->data[k] = k % 2 ? (uint8_t) i : (uint8_t) (random >> (k % 23));
                }
        }
}

static void topic_of(char topic[32], char schema[48], unsigned i) {
        (void) snprintf(topic, 32, "/topic_%u", i);
        (void) snprintf(schema, 48, "peer_msgs/msg/Type%u", i / 2);
}

static void write_lines(int fd, const char *name, enum mcap_compression compression) {
        struct mcap_writer_options options = {.compression = compression, .chunk_bytes = 16384};
        char topic[32], schema[48];
        uint16_t schemas[TOPICS / 2], channels[TOPICS];
        struct mcap_writer *writer;
        struct mcap_error error;
        unsigned i;
        void *data;

        if (mcap_writer_open(&writer, fd, name, &options, &error) < 0) {
                fail(&error);
        }
        for (i = 0; i < TOPICS; i++) {
                topic_of(topic, schema, i);
                if ((i % 2 == 0 && mcap_writer_schema(writer, schema, "ros2msg", "uint8[] data\n",
                                                      13, &schemas[i / 2]) < 0) ||
                    mcap_writer_channel(writer, schemas[i / 2], topic, "cdr",
                                        (const char *[]){"unit", "m/s", NULL}, &channels[i]) < 0) {
                        exit(1);
                }
        }
        if (mcap_writer_metadata(writer, "bus", (const char *[]){"name", "rover", NULL}) < 0 ||
            mcap_writer_attachment(writer, "rover.yaml", "application/yaml", 1, "bus: rover\n",
                                   11) < 0) {
                exit(1);
        }
        for (i = 0; i < MESSAGES; i++) {
                const struct line *line = &lines[i];

                if (mcap_writer_reserve(writer, channels[line->topic], sizeof(line->data), &data,
                                        &error) < 0) {
                        fail(&error);
                }
                memcpy(data, line->data, line->bytes);
                if (mcap_writer_commit(writer, line->sequence, line->log_time_ns,
                                       line->publish_time_ns, line->bytes, &error) < 0) {
                        fail(&error);
                }
        }
        if (mcap_writer_close(writer, NULL, &error) != 0) {
                fail(&error);
        }
}

static void read_lines(int fd, const char *name) {
        const struct mcap_schema *schema;
        struct mcap_message message;
        struct mcap_reader *reader;
        struct mcap_error error;
        int r;

        if (mcap_reader_open(&reader, fd, name, 0, &error) < 0) {
                fail(&error);
        }
        if (mcap_reader_summary(reader)->damage.code) {
                fail(&mcap_reader_summary(reader)->damage);
        }
        while ((r = mcap_reader_next(reader, &message, &error)) == 1) {
                schema = mcap_schema_find(&mcap_reader_summary(reader)->catalogue,
                                          message.channel->schema_id);
                print(message.channel->topic, schema ? schema->name : "-", message.sequence,
                      message.log_time_ns, message.publish_time_ns, message.data, message.bytes);
        }
        if (r < 0) {
                fail(&error);
        }
        mcap_reader_close(reader);
}

int main(int argc, char **argv) {
        char topic[32], schema[48];
        unsigned i;
        int fd;

        if (argc == 3 && strcmp(argv[1], "read") == 0) {
                fd = open(argv[2], O_RDONLY | O_CLOEXEC);
                read_lines(fd, argv[2]);
                (void) close(fd);
                return 0;
        }
        if (argc != 4 || strcmp(argv[1], "write") != 0) {
                (void) fprintf(stderr, "usage: mcap-peer write FILE none|zstd|lz4 | read FILE\n");
                return 2;
        }
        fd = open(argv[2], O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
        make_lines();
        write_lines(fd, argv[2],
                    strcmp(argv[3], "zstd") == 0  ? MCAP_COMPRESSION_ZSTD
                    : strcmp(argv[3], "lz4") == 0 ? MCAP_COMPRESSION_LZ4
                                                  : MCAP_COMPRESSION_NONE);
        (void) close(fd);
        qsort(lines, MESSAGES, sizeof(lines[0]), by_time);
        for (i = 0; i < MESSAGES; i++) {
                topic_of(topic, schema, lines[i].topic);
                print(topic, schema, lines[i].sequence, lines[i].log_time_ns,
                      lines[i].publish_time_ns, lines[i].data, lines[i].bytes);
        }
        return 0;
}
