/*
 * A topic from a client's side: found in the directory, checked against it, attached.
 */

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "bus/claim.h"
#include "bus/error.h"
#include "bus/topic.h"
#include "bus/type.h"
#include "bus/wake.h"

/* How often a client looks for a bus that is not there: there is nothing yet to sleep on. */
#define LOCATE_PAUSE_MIN_NS UINT64_C(250000)
#define LOCATE_PAUSE_MAX_NS UINT64_C(50000000)

/* Times in a row that the directory may change between the look at it and the attach. */
#define REPLACED_TRIES 16

unsigned topic_board_mode(unsigned mode) {
        return 0600u | (mode & 0040u ? 0060u : 0) | (mode & 0004u ? 0006u : 0);
}

unsigned topic_lock_mode(unsigned mode) {
        return 0600u | (mode & 0020u ? 0060u : 0);
}

unsigned topic_publishers(const struct topic *topic, pid_t *ret_pid) {
        int count;

        if (!topic_is_shared(&topic->entry)) {
                *ret_pid = claim_holder(topic->claim_id);
                *ret_pid = *ret_pid > 0 ? *ret_pid : 0;
                return *ret_pid > 0;
        }
        count = claim_count(topic->claim_id);
        if (count <= 0) {
                *ret_pid = 0;
                return 0;
        }
        *ret_pid = ring_newest_pid(&topic->ring);
        if (*ret_pid == 0) {
                /* No sample yet. */
                *ret_pid = claim_last(topic->claim_id);
        }
        return (unsigned) count;
}

/* Not islower(3), which asks the locale. */
static bool is_lower(char c) {
        return c >= 'a' && c <= 'z';
}

/* A word of small letters, digits and single underscores, up to a slash or the end. NULL if it is
 * none, else its end. */
static const char *word_end(const char *at) {
        if (!is_lower(*at)) {
                return NULL;
        }
        for (; *at && *at != '/'; at++) {
                if (!is_lower(*at) && (*at < '0' || *at > '9') &&
                    (*at != '_' || at[1] == '_' || at[1] == '/' || at[1] == '\0')) {
                        return NULL;
                }
        }
        return at;
}

int topic_name_check(const char *topic, struct slipring_error *reterr) {
        const char *end = word_end(topic);

        while (end && *end) {
                end = word_end(end + 1);
        }
        if (!end || strlen(topic) > SLIPRING_TOPIC_NAME_MAX) {
                return error_set(reterr, -EINVAL,
                                 "'%.80s' is no topic name: small letters, digits and single "
                                 "underscores, a letter first, with slashes between words but "
                                 "none in front; at most %d bytes",
                                 topic, SLIPRING_TOPIC_NAME_MAX);
        }
        return 0;
}

static struct segment_expect expect_of(const struct layout_entry *entry, const char *what) {
        return (struct segment_expect){
                .what = what,
                .uid = entry->uid,
                .gid = entry->gid,
                .mode = entry->mode,
        };
}

struct segment_expect topic_expect_data(const struct layout_entry *entry, const char *what) {
        struct segment_expect expect = expect_of(entry, what);

        expect.key = entry->data_key;
        expect.id = entry->data_id;
        expect.bytes = entry->segment_bytes;
        expect.page_bytes = entry->page_bytes;
        return expect;
}

struct segment_expect topic_expect_claim(const struct layout_entry *entry, const char *what) {
        struct segment_expect expect = expect_of(entry, what);

        expect.key = entry->claim_key;
        expect.id = entry->claim_id;
        return expect;
}

struct segment_expect topic_expect_board(const struct layout_entry *entry, const char *what) {
        struct segment_expect expect = expect_of(entry, what);

        expect.key = entry->board_key;
        expect.id = entry->board_id;
        expect.bytes = LAYOUT_BOARD_BYTES;
        expect.mode = topic_board_mode(entry->mode);
        return expect;
}

struct segment_expect topic_expect_lock(const struct layout_entry *entry, const char *what) {
        struct segment_expect expect = expect_of(entry, what);

        expect.key = entry->lock_key;
        expect.id = entry->lock_id;
        expect.bytes = LAYOUT_LOCK_BYTES;
        expect.mode = topic_lock_mode(entry->mode);
        return expect;
}

struct segment_expect topic_expect_control(const struct layout_entry *entry, const char *what) {
        struct segment_expect expect = expect_of(entry, what);

        expect.key = entry->pin_key;
        expect.id = entry->pin_id;
        expect.bytes = layout_pins_bytes(entry->pins);
        expect.mode = topic_board_mode(entry->mode);
        return expect;
}

struct segment_expect topic_expect_pin_claim(const struct layout_entry *entry, const char *what) {
        struct segment_expect expect = expect_of(entry, what);

        expect.key = entry->pin_claim_key;
        expect.id = entry->pin_claim_id;
        expect.semaphores = entry->pins;
        expect.mode = topic_board_mode(entry->mode);
        return expect;
}

static bool agrees(const struct layout_entry *entry, const struct header *header) {
        const struct layout_header *copy = header->copy;

        return entry->depth == copy->depth && entry->payload_bytes == copy->payload_bytes &&
               entry->waiters == copy->waiters && entry->pins == copy->pins &&
               entry->deadline_ns == copy->deadline_ns && entry->generation == copy->generation &&
               entry->publishers == copy->publishers && entry->wake == copy->wake &&
               memcmp(entry->identity, copy->identity, sizeof(entry->identity)) == 0 &&
               strcmp(entry->name, header->topic_name) == 0 &&
               strcmp(entry->type_name, header->type.name) == 0;
}

static int attach_data(struct topic *topic,
                       const struct layout_entry *entry,
                       bool writable,
                       const char *what,
                       struct slipring_error *reterr) {
        struct segment_expect expect = topic_expect_data(entry, what);
        int r;

        r = segment_attach(&topic->data, &expect, writable, reterr);
        if (r < 0) {
                return r;
        }
        r = header_read(&topic->header, topic->data.address, topic->data.bytes, LAYOUT_KIND_DATA,
                        what, reterr);
        if (r == -EAGAIN) {
                /* Listed as serving, so it was finished once. */
                return error_set(reterr, -EBADMSG, "%s: the header of its segment was erased",
                                 what);
        }
        if (r < 0) {
                return r;
        }
        if (!agrees(entry, &topic->header)) {
                return error_set(reterr, -EBADMSG,
                                 "%s: the header of its segment contradicts the directory", what);
        }
        topic->ring = header_ring(&topic->header, topic->data.address);
        return 0;
}

static int attach_board(struct topic *topic,
                        const struct layout_entry *entry,
                        const char *what,
                        struct slipring_error *reterr) {
        struct segment_expect expect = topic_expect_board(entry, what);
        struct layout_board_line *line;
        int r;

        if (entry->board_line >= LAYOUT_BOARD_LINES) {
                return error_set(reterr, -EBADMSG, "%s: its wake board line is out of range", what);
        }
        r = segment_attach(&topic->board, &expect, true, reterr);
        if (r < 0) {
                return r;
        }
        line = &((struct layout_board_line *) topic->board.address)[entry->board_line];
        topic->asleep = &line->asleep;
        topic->chain_end = entry->wake == LAYOUT_WAKE_CHAIN ? &line->chain_end : NULL;
        /* Fault this line's page in now; the other pages of the board are other topics' business.
         * relaxed: the value does not change. */
        (void) atomic_fetch_or_explicit(topic->asleep, 0, memory_order_relaxed);
        return 0;
}

/* A class that this library does not know is refused before anything is written by its rules. */
static int attach_lock(struct topic *topic,
                       const struct layout_entry *entry,
                       const char *what,
                       struct slipring_error *reterr) {
        struct segment_expect expect = topic_expect_lock(entry, what);
        int r;

        /* Who does not pass a wake-up on would leave others asleep. */
        if (entry->wake > LAYOUT_WAKE_CHAIN) {
                return error_set(reterr, -EPROTONOSUPPORT,
                                 "%s: its sleepers are woken in way %u, which this library does "
                                 "not know; install the same slipring on both sides",
                                 what, entry->wake);
        }
        if (entry->publishers == LAYOUT_PUBLISHERS_EXCLUSIVE) {
                return 0;
        }
        if (!topic_is_shared(entry)) {
                return error_set(reterr, -EPROTONOSUPPORT,
                                 "%s: its publishers are of class %u, which this library does not "
                                 "know; install the same slipring on both sides",
                                 what, entry->publishers);
        }
        r = segment_attach(&topic->lock, &expect, true, reterr);
        if (r == 0) {
                segment_prefault(&topic->lock, true);
        }
        return r;
}

static int attach_pins(struct topic *topic,
                       const struct layout_entry *entry,
                       const char *what,
                       struct slipring_error *reterr) {
        struct segment_expect expect = topic_expect_control(entry, what);
        int r;

        /* As the header says, whose geometry was checked. */
        if (entry->pins == 0) {
                return 0;
        }
        r = segment_attach(&topic->control, &expect, true, reterr);
        if (r < 0) {
                return r;
        }
        segment_prefault(&topic->control, true);
        topic->pins.lines = topic->control.address;
        topic->pins.count = entry->pins;
        expect = topic_expect_pin_claim(entry, what);
        return claim_find(&topic->pins.claim_id, &expect, reterr);
}

int topic_attach(struct topic *ret_topic,
                 const struct layout_entry *entry,
                 bool writable,
                 struct slipring_error *reterr) {
        struct topic topic = TOPIC_NONE;
        struct segment_expect expect;
        char what[SLIPRING_TOPIC_NAME_MAX + 32];
        int r;

        (void) snprintf(what, sizeof(what), "topic '%s'", entry->name);
        topic.entry = *entry;
        r = attach_data(&topic, entry, writable, what, reterr);
        if (r == 0) {
                r = attach_board(&topic, entry, what, reterr);
        }
        if (r == 0 && writable) {
                r = attach_lock(&topic, entry, what, reterr);
        }
        if (r == 0) {
                r = attach_pins(&topic, entry, what, reterr);
        }
        if (r == 0) {
                expect = topic_expect_claim(entry, what);
                r = claim_find(&topic.claim_id, &expect, reterr);
        }
        if (r < 0) {
                topic_detach(&topic);
                /* Listed but gone by the time it was looked for: replaced. */
                return r == -ENOENT ? -EIDRM : r;
        }
        *ret_topic = topic;
        return 0;
}

int topic_examine(struct topic *ret_topic,
                  const struct layout_entry *entry,
                  struct slipring_error *reterr) {
        struct topic topic = TOPIC_NONE;
        struct segment_expect expect;
        char what[SLIPRING_TOPIC_NAME_MAX + 32];
        int r;

        (void) snprintf(what, sizeof(what), "topic '%s'", entry->name);
        topic.entry = *entry;
        r = attach_data(&topic, entry, false, what, reterr);
        if (r < 0) {
                topic_detach(&topic);
                return r == -ENOENT ? -EIDRM : r;
        }
        expect = topic_expect_claim(entry, what);
        (void) claim_find(&topic.claim_id, &expect, NULL);
        *ret_topic = topic;
        return 0;
}

void topic_detach(struct topic *topic) {
        segment_detach(&topic->data);
        segment_detach(&topic->board);
        segment_detach(&topic->lock);
        segment_detach(&topic->control);
        topic->pins = (struct pins){0};
        header_free(&topic->header);
        topic->claim_id = -1;
}

/* Once, without waiting. */
static int open_now(struct topic *ret_topic,
                    struct directory *directory,
                    const struct topic_request *request,
                    struct directory_table *table,
                    struct slipring_error *reterr) {
        const struct layout_entry *entry;
        int r;

        if (directory->segment.id < 0) {
                r = directory_locate(directory, request->bus, reterr);
                if (r < 0) {
                        return r;
                }
        }
        r = directory_read(directory, table, reterr);
        if (r < 0) {
                return r;
        }
        entry = directory_find(table, request->topic);
        if (!entry) {
                return error_set(reterr, -ENOENT,
                                 "bus '%s' has no topic '%.200s'; 'slipring list' shows its topics",
                                 directory->bus, request->topic);
        }
        if (entry->data_id == request->not_id) {
                return error_set(
                        reterr, -EBADMSG,
                        "topic '%s' claims to be retired, but the directory of bus '%s' still "
                        "lists it: its publisher changed its state",
                        request->topic, directory->bus);
        }
        r = topic_attach(ret_topic, entry, request->writable, reterr);
        if (r < 0) {
                return r;
        }
        if (ret_topic->header.copy->instance != directory->header.copy->instance) {
                r = error_set(reterr, -EBADMSG, "topic '%s': its segment belongs to another bus",
                              request->topic);
        } else if (request->type) {
                r = type_compare(request->type, &ret_topic->header.type, request->topic, reterr);
        }
        if (r < 0) {
                topic_detach(ret_topic);
        }
        return r;
}

uint64_t topic_pause_ns(uint64_t waited_ns) {
        const uint64_t pause_ns = waited_ns / 4;

        return pause_ns < LOCATE_PAUSE_MIN_NS   ? LOCATE_PAUSE_MIN_NS
               : pause_ns > LOCATE_PAUSE_MAX_NS ? LOCATE_PAUSE_MAX_NS
                                                : pause_ns;
}

static int sleep_ns(uint64_t ns) {
        struct timespec span = {.tv_nsec = (long) ns};

        return nanosleep(&span, NULL) < 0 ? -errno : 0;
}

/* Wait for the next chance: another table, or where there is no bus, some time. @since_ns is when
 * the bus was missed first, and 0 while it is there. */
static int open_wait(struct directory *directory,
                     const struct directory_table *table,
                     uint64_t deadline_ns,
                     uint64_t *since_ns) {
        uint64_t now = slipring_now_ns(), pause;
        int r;

        if (now >= deadline_ns) {
                return -ETIMEDOUT;
        }
        if (directory->segment.id >= 0) {
                *since_ns = 0;
                r = directory_wait(directory, table->sequence, deadline_ns);
                if (r != -EIDRM) {
                        return r;
                }
                /* The bus was taken down; perhaps it comes up again. */
                directory_detach(directory);
        }
        if (*since_ns == 0) {
                *since_ns = now;
        }
        pause = topic_pause_ns(now - *since_ns);
        return sleep_ns(deadline_ns - now < pause ? deadline_ns - now : pause);
}

int topic_open(struct topic *ret_topic,
               struct directory *directory,
               const struct topic_request *request,
               struct slipring_error *reterr) {
        struct directory_table table = {0};
        uint64_t since_ns = 0;
        bool relocated = false;
        int replaced = 0, r, w;

        for (;;) {
                r = open_now(ret_topic, directory, request, &table, reterr);
                /* Replaced between two looks, or the directory was written during three. */
                if ((r == -EIDRM || r == -EAGAIN) && ++replaced < REPLACED_TRIES) {
                        continue;
                }
                if (r < 0 && directory->segment.id >= 0 && ring_retired(&directory->ring)) {
                        /* Down and perhaps up again: what it said is of the past. */
                        r = error_set(reterr, -ENOENT, "bus '%s' was taken down", directory->bus);
                        directory_detach(directory);
                        if (!relocated) {
                                relocated = true;
                                continue;
                        }
                }
                if (r != -ENOENT && r != -EIDRM && r != -EAGAIN) {
                        break;
                }
                w = open_wait(directory, &table, request->deadline_ns, &since_ns);
                if (w == -ETIMEDOUT) {
                        break;
                }
                if (w < 0) {
                        r = error_set(reterr, w,
                                      "a signal handler ran while waiting for topic '%.200s'",
                                      request->topic);
                        break;
                }
        }
        directory_table_free(&table);
        if (r == -EIDRM || r == -EAGAIN) {
                /* Listed, but its objects were taken away; nothing of the caller's was retired. */
                r = -ENOENT;
        }
        if (r < 0 && reterr) {
                reterr->code = r;
        }
        return r;
}
