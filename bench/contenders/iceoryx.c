#include <dirent.h>
#include <errno.h>
#include <iceoryx_binding_c/api.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "bench/contender.h"

#define OPEN_MS 10000
/* RouDi has connected the first subscriber and is about to connect the others. */
#define SETTLE_MS 300
#define WAIT_NS 100000000

struct end {
        iox_pub_storage_t publisher_storage;
        iox_sub_storage_t subscriber_storage;
        iox_ws_storage_t waits_storage;
        iox_pub_t publisher;
        iox_sub_t subscriber;
        iox_ws_t waits;
        uint32_t payload_bytes;
};

static const char *unique(const struct contender_options *options) {
        return strrchr(options->scratch, '/') + 1;
}

static void sleep_ms(unsigned ms) {
        const struct timespec time = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000L};

        (void) nanosleep(&time, NULL);
}

/* There is one RouDi a machine. One that is there already is somebody's; ours would not start. */
static bool able(void) {
        DIR *processes = opendir("/proc");
        struct dirent *entry;
        char path[300], name[32];
        bool found = false;
        FILE *file;

        while (processes && !found && (entry = readdir(processes)) != NULL) {
                (void) snprintf(path, sizeof(path), "/proc/%s/comm", entry->d_name);
                file = fopen(path, "re");
                if (file) {
                        found = fgets(name, sizeof(name), file) && strcmp(name, "iox-roudi\n") == 0;
                        (void) fclose(file);
                }
        }
        if (processes) {
                (void) closedir(processes);
        }
        return !found;
}

/* RouDi as it comes. */
static void serve(const struct contender_options *options) {
        (void) options;
        /* What it tells with its log off is neither a figure nor progress. */
        (void) !freopen("/dev/null", "w", stdout);
        (void) !freopen("/dev/null", "w", stderr);
        (void) execlp("iox-roudi", "iox-roudi", "-l", "off", "-k", "1", (char *) NULL);
}

static struct end *end_new(const struct contender_options *options, const char *role) {
        struct end *end = calloc(1, sizeof(*end));
        char name[96];

        if (end) {
                end->payload_bytes = options->payload_bytes;
                (void) snprintf(name, sizeof(name), "%s-%s-%u", unique(options), role,
                                options->index);
                iox_set_loglevel(Iceoryx_LogLevel_Off);
                /* Waits for RouDi. */
                iox_runtime_init(name);
        }
        return end;
}

static void close_end(void *data) {
        struct end *end = data;

        if (end->waits) {
                iox_ws_deinit(end->waits);
        }
        if (end->subscriber) {
                iox_sub_deinit(end->subscriber);
        }
        if (end->publisher) {
                iox_pub_deinit(end->publisher);
        }
        free(end);
}

static int open_publisher(void **ret_end, const struct contender_options *options) {
        struct end *end = end_new(options, "publisher");
        iox_pub_options_t publisher_options;
        unsigned waited_ms;

        if (!end) {
                return -ENOMEM;
        }
        iox_pub_options_init(&publisher_options);
        publisher_options.historyCapacity = options->kept;
        end->publisher = iox_pub_init(&end->publisher_storage, "slipring", "bench", unique(options),
                                      &publisher_options);
        for (waited_ms = 0; options->subscribers && !iox_pub_has_subscribers(end->publisher);
             waited_ms++) {
                if (waited_ms == OPEN_MS) {
                        close_end(end);
                        return -ETIMEDOUT;
                }
                sleep_ms(1);
        }
        if (options->subscribers > 1) {
                sleep_ms(SETTLE_MS);
        }
        *ret_end = end;
        return 0;
}

static int open_subscriber(void **ret_end, const struct contender_options *options) {
        struct end *end = end_new(options, "subscriber");

        if (!end) {
                return -ENOMEM;
        }
        end->subscriber =
                iox_sub_init(&end->subscriber_storage, "slipring", "bench", unique(options), NULL);
        end->waits = iox_ws_init(&end->waits_storage);
        if (iox_ws_attach_subscriber_state(end->waits, end->subscriber, SubscriberState_HAS_DATA, 0,
                                           NULL) != WaitSetResult_SUCCESS) {
                close_end(end);
                return -EIO;
        }
        *ret_end = end;
        return 0;
}

static int loan(void *data, void **ret_payload) {
        struct end *end = data;

        return iox_pub_loan_chunk(end->publisher, ret_payload, end->payload_bytes) ==
                               AllocationResult_SUCCESS
                       ? 0
                       : -ENOBUFS;
}

static int commit(void *data, void *payload) {
        struct end *end = data;

        iox_pub_publish_chunk(end->publisher, payload);
        return 0;
}

static int publish(void *data, const void *payload) {
        struct end *end = data;
        void *chunk;
        int r;

        r = loan(data, &chunk);
        if (r < 0) {
                return r;
        }
        memcpy(chunk, payload, end->payload_bytes);
        return commit(data, chunk);
}

static int borrow_now(struct end *end, const void **ret_payload) {
        return iox_sub_take_chunk(end->subscriber, ret_payload) == ChunkReceiveResult_SUCCESS;
}

static int give_back(void *data, const void *payload) {
        struct end *end = data;

        iox_sub_release_chunk(end->subscriber, payload);
        return 1;
}

static int take(void *data, void *buffer) {
        struct end *end = data;
        const void *chunk;

        if (!borrow_now(end, &chunk)) {
                return 0;
        }
        memcpy(buffer, chunk, end->payload_bytes);
        return give_back(end, chunk);
}

static bool woken(const struct end *end) {
        const struct timespec bound = {.tv_nsec = WAIT_NS};
        iox_notification_info_t which;
        uint64_t missed = 0;

        return iox_ws_timed_wait(end->waits, bound, &which, 1, &missed) > 0;
}

static int wait_take(void *data, void *buffer) {
        return woken(data) ? take(data, buffer) : 0;
}

static int borrow(void *data, const void **ret_payload) {
        return woken(data) ? borrow_now(data, ret_payload) : 0;
}

const struct contender contender = {
        .name = "iceoryx",
        .version = CONTENDER_VERSION,
        .note = "iceoryx with RouDi: one copy into a loaned chunk, one out; a semaphore a "
                "subscriber; "
                "256 chunks are queued for a slow subscriber, then the oldest is dropped",
        .alone = true,
        .keeps = true,
        .able = able,
        .serve = serve,
        .open_publisher = open_publisher,
        .open_subscriber = open_subscriber,
        .close = close_end,
        .publish = publish,
        .take = take,
        .wait = wait_take,
        .loan = loan,
        .commit = commit,
        .borrow = borrow,
        .give_back = give_back,
};
