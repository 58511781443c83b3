#include <dds/dds.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench/contender.h"
#include "bench/stage.h"
#include "words.h"

#define OPEN_MS 10000

struct end {
        dds_entity_t participant, topic, writer, reader, waits;
};

static int said(dds_return_t code) {
        if (code < 0) {
                (void) fprintf(stderr, "slipring-bench: cyclone: %s\n", dds_strretcode(code));
        }
        return code < 0 ? -EIO : 0;
}

static void close_end(void *data) {
        struct end *end = data;

        if (end->participant > 0) {
                (void) dds_delete(end->participant);
        }
        free(end);
}

static const dds_topic_descriptor_t *type_of(uint32_t payload_bytes) {
#define CASE(bytes, number)                                                                        \
        case sizeof(bench_Words##bytes):                                                           \
                return &bench_Words##bytes##_desc;

        switch (payload_bytes) {
        case sizeof(bench_Words):
                return &bench_Words_desc;
                SIZED_TOPICS(CASE)
        case sizeof(bench_Large):
                return &bench_Large_desc;
        default:
                return NULL;
        }
#undef CASE
}

static dds_qos_t *reliable(const struct contender_options *options) {
        dds_qos_t *qos = dds_create_qos();

        dds_qset_reliability(qos, DDS_RELIABILITY_RELIABLE, DDS_SECS(1));
        dds_qset_history(qos, DDS_HISTORY_KEEP_LAST,
                         options->window ? (int32_t) options->window : 8);
        return qos;
}

static int open_end(struct end **ret_end, const struct contender_options *options) {
        struct end *end = calloc(1, sizeof(*end));
        char name[64];
        int r;

        if (!end || !type_of(options->payload_bytes)) {
                free(end);
                return end ? -EMSGSIZE : -ENOMEM;
        }
        (void) snprintf(name, sizeof(name), "%s", strrchr(options->scratch, '/') + 1);
        for (char *c = name; *c; c++) {
                *c = *c == '-' ? '_' : *c;
        }
        end->participant = dds_create_participant(DDS_DOMAIN_DEFAULT, NULL, NULL);
        r = said(end->participant);
        if (r == 0) {
                end->topic = dds_create_topic(end->participant, type_of(options->payload_bytes),
                                              name, NULL, NULL);
                r = said(end->topic);
        }
        if (r < 0) {
                close_end(end);
                return r;
        }
        *ret_end = end;
        return 0;
}

/* Until all have been discovered: what is written before that does not reach them. */
static int await_subscribers(struct end *end, unsigned count) {
        dds_publication_matched_status_t matched = {0};
        unsigned waited_ms;
        int r = 0;

        for (waited_ms = 0; r == 0 && matched.current_count < count; waited_ms++) {
                r = waited_ms == OPEN_MS
                            ? -ETIMEDOUT
                            : said(dds_get_publication_matched_status(end->writer, &matched));
                dds_sleepfor(DDS_MSECS(1));
        }
        return r;
}

static int open_publisher(void **ret_end, const struct contender_options *options) {
        dds_qos_t *qos = reliable(options);
        struct end *end = NULL;
        int r;

        r = open_end(&end, options);
        if (r == 0) {
                end->writer = dds_create_writer(end->participant, end->topic, qos, NULL);
                r = said(end->writer);
                if (r == 0) {
                        r = await_subscribers(end, options->subscribers);
                }
                if (r < 0) {
                        close_end(end);
                }
        }
        dds_delete_qos(qos);
        *ret_end = end;
        return r;
}

static int open_subscriber(void **ret_end, const struct contender_options *options) {
        dds_qos_t *qos = reliable(options);
        struct end *end = NULL;
        dds_entity_t condition;
        int r;

        r = open_end(&end, options);
        if (r == 0) {
                end->reader = dds_create_reader(end->participant, end->topic, qos, NULL);
                r = said(end->reader);
                if (r == 0) {
                        end->waits = dds_create_waitset(end->participant);
                        condition = dds_create_readcondition(end->reader, DDS_ANY_STATE);
                        r = said(condition);
                        if (r == 0) {
                                r = said(dds_waitset_attach(end->waits, condition, 0));
                        }
                }
                if (r < 0) {
                        close_end(end);
                }
        }
        dds_delete_qos(qos);
        *ret_end = end;
        return r;
}

static int publish(void *data, const void *payload) {
        struct end *end = data;

        return said(dds_write(end->writer, payload));
}

static int take(void *data, void *buffer) {
        struct end *end = data;
        dds_sample_info_t info;
        void *samples[] = {buffer};
        dds_return_t count = dds_take(end->reader, samples, &info, 1, 1);

        return count < 0 ? said(count) : count == 1 && info.valid_data;
}

static int wait_take(void *data, void *buffer) {
        struct end *end = data;
        dds_return_t count = dds_waitset_wait(end->waits, NULL, 0, DDS_MSECS(100));

        return count < 0 ? said(count) : count == 0 ? 0 : take(data, buffer);
}

const struct contender contender = {
        .name = "cyclone",
        .version = CONTENDER_VERSION,
        .note = "Cyclone DDS over UDP, as it comes: serialised, into the kernel, into a helper "
                "thread's "
                "buffer, deserialised; reliable, 8 samples kept",
        .alone = true,
        .threaded = true,
        .open_publisher = open_publisher,
        .open_subscriber = open_subscriber,
        .close = close_end,
        .publish = publish,
        .take = take,
        .wait = wait_take,
};
