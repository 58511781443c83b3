/*
 * The publisher's handle: a topic, its claim and the writer of its ring. On a topic with several
 * publishers the claim only counts them, and each message is written under the topic's lock.
 */

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <slipring/publisher.h>

#include "bus/claim.h"
#include "bus/copy.h"
#include "bus/error.h"
#include "bus/guard.h"
#include "bus/lock.h"
#include "bus/ring-write.h"
#include "bus/shared.h"
#include "bus/topic.h"
#include "bus/type.h"

struct slipring_publisher {
        struct ring_writer writer;
        struct shared shared;    /* its words are NULL where this is the only publisher */
        struct pins_writer pins; /* where the topic has any */
        uint32_t payload_bytes;
        uint32_t cookie;
        struct topic topic;
        struct directory directory;
        struct ring_constant *constants;
        uint32_t flags;
        uint64_t lock_timeout_ns;
        const struct slipring_type *type;
        char bus[160];
};

static const struct slipring_publisher_options default_options = {
        .size = sizeof(struct slipring_publisher_options),
};

static int check_options(const char *topic,
                         const struct slipring_publisher_options *options,
                         struct slipring_error *reterr) {
        int r = topic_name_check(topic ? topic : "", reterr);

        if (r < 0) {
                return r;
        }
        if (options->size != sizeof(*options)) {
                return error_set(reterr, -EINVAL,
                                 "slipring_publisher_options.size is %u instead of %zu: set it to "
                                 "sizeof, and build against this library's headers",
                                 options->size, sizeof(*options));
        }
        if (options->flags & ~SLIPRING_PUBLISHER_STANDBY) {
                return error_set(reterr, -EINVAL,
                                 "slipring_publisher_options.flags has unknown bits");
        }
        if (options->bus &&
            strlen(options->bus) >= sizeof(((struct slipring_publisher *) 0)->bus)) {
                return error_set(reterr, -EINVAL, "'%.80s...' is no bus name", options->bus);
        }
        return options->type ? type_check(options->type, reterr) : 0;
}

static int claim_topic(const struct topic *topic,
                       const char *name,
                       uint32_t flags,
                       uint64_t deadline_ns,
                       struct slipring_error *reterr) {
        bool standby = (flags & SLIPRING_PUBLISHER_STANDBY) && deadline_ns;
        int r;

        r = claim_acquire(topic->claim_id, 0);
        if (r == -EBUSY && standby) {
                r = claim_acquire(topic->claim_id, deadline_ns);
        }
        switch (r) {
        case 0:
                return 0;
        case -EBUSY:
        case -ETIMEDOUT:
                return error_set(reterr, r,
                                 "topic '%s': process %d publishes to it; a topic has one "
                                 "publisher at a time",
                                 name, (int) claim_holder(topic->claim_id));
        case -EACCES:
                return error_set(
                        reterr, r,
                        "topic '%s': this user may not publish to it (owner %s, mode %04o)", name,
                        error_user(topic->entry.uid), topic->entry.mode);
        case -EINTR:
                return error_set(reterr, r, "topic '%s': a signal handler ran while standing by",
                                 name);
        default:
                return error_set(reterr, r, "topic '%s': cannot claim it (%s)", name, strerror(-r));
        }
}

/* Where several may publish, the claim counts them. */
static int join_topic(const struct topic *topic,
                      const char *name,
                      uint32_t flags,
                      bool *ret_first,
                      struct slipring_error *reterr) {
        int r;

        if (flags & SLIPRING_PUBLISHER_STANDBY) {
                return error_set(reterr, -EOPNOTSUPP,
                                 "topic '%s' has 'publishers: shared': nobody stands by, since all "
                                 "may publish at once; open it without standby",
                                 name);
        }
        if (lock_prepare() < 0) {
                return error_set(reterr, -ENOSYS,
                                 "topic '%s' has 'publishers: shared', and this kernel or C "
                                 "library has no robust futexes with priority inheritance",
                                 name);
        }
        r = claim_join(topic->claim_id, ret_first);
        if (r == -EACCES) {
                return error_set(
                        reterr, r,
                        "topic '%s': this user may not publish to it (owner %s, mode %04o)", name,
                        error_user(topic->entry.uid), topic->entry.mode);
        }
        return r < 0 ? error_set(reterr, r, "topic '%s': cannot join its publishers (%s)", name,
                                 strerror(-r))
                     : 0;
}

/* What an attachment is besides the topic. */
struct attached {
        struct topic topic;
        bool first;    /* nobody else published to a shared topic */
        uint32_t lock; /* its lock's word before that was known */
};

#define ATTACHED_NONE ((struct attached){.topic = TOPIC_NONE})

static int become_publisher(struct attached *attached,
                            const char *name,
                            uint32_t flags,
                            uint64_t deadline_ns,
                            struct slipring_error *reterr) {
        struct layout_lock *lock = attached->topic.lock.address;

        if (!topic_is_shared(&attached->topic.entry)) {
                return claim_topic(&attached->topic, name, flags, deadline_ns, reterr);
        }
        /* relaxed: a look at who holds it, or is said to. */
        attached->lock = atomic_load_explicit(&lock->word, memory_order_relaxed);
        return join_topic(&attached->topic, name, flags, &attached->first, reterr);
}

/* Attach and claim; a topic that is replaced while we stand by is looked up again. */
static int attach(struct attached *ret_attached,
                  struct directory *directory,
                  const struct slipring_publisher *publisher,
                  const char *name,
                  uint64_t deadline_ns,
                  int not_id,
                  struct slipring_error *reterr) {
        const struct topic_request request = {
                .bus = *publisher->bus ? publisher->bus : NULL,
                .topic = name,
                .type = publisher->type,
                .deadline_ns = deadline_ns,
                .writable = true,
                .not_id = not_id,
        };
        int r;

        do {
                r = topic_open(&ret_attached->topic, directory, &request, reterr);
                if (r < 0) {
                        return r;
                }
                segment_prefault(&ret_attached->topic.data, true);
                r = become_publisher(ret_attached, name, publisher->flags, deadline_ns, reterr);
                if (r < 0) {
                        topic_detach(&ret_attached->topic);
                }
        } while (r == -EIDRM);
        return r;
}

static int start_shared(struct shared *shared,
                        struct ring_writer *writer,
                        const struct attached *attached,
                        struct slipring_error *reterr) {
        const char *name = attached->topic.entry.name;
        int r = shared_join(shared, writer, attached->first, attached->lock);

        switch (r) {
        case 0:
                return 0;
        case -ETIMEDOUT:
                return error_set(reterr, r,
                                 "topic '%s': another publisher has held its lock for %llu ms: it "
                                 "is stopped, or was killed by nobody yet",
                                 name, (unsigned long long) (shared->timeout_ns / 1000000));
        case -ENOTRECOVERABLE:
                return error_set(reterr, r,
                                 "topic '%s': its lock names a process that is not there, or not "
                                 "in this PID namespace; once all its publishers have ended, the "
                                 "next one repairs it",
                                 name);
        default:
                return error_set(reterr, r, "topic '%s': cannot take its lock (%s)", name,
                                 strerror(-r));
        }
}

/* Make an attached and claimed topic the handle's. On failure the handle stays as it is. */
static int adopt(struct slipring_publisher *publisher,
                 const struct attached *attached,
                 struct slipring_error *reterr) {
        const struct topic *topic = &attached->topic;
        struct ring_writer writer;
        struct shared shared = {
                .words = topic->lock.address,
                .timeout_ns = publisher->lock_timeout_ns,
        };
        struct pins_writer pins = {
                .lines = topic->pins.lines,
                .count = topic->pins.count,
        };
        struct ring_constant *constants = NULL;
        size_t constant_count = 0;
        int r = 0;

        if (type_constants(&topic->header.type, &constants, &constant_count) < 0) {
                return error_set(reterr, -ENOMEM, "topic '%s': no memory", topic->entry.name);
        }
        writer = (struct ring_writer){
                .ring = topic->ring,
                .waiters = topic->entry.waiters,
                .publisher_pid = (uint32_t) getpid(),
                .asleep = topic->asleep,
                .chain_end = topic->chain_end,
                .constants = constants,
                .constant_count = constant_count,
                .pins = &pins,
        };
        if (shared.words) {
                shared.lock.word = &shared.words->word;
                shared.lock.cookie = publisher->cookie;
                r = start_shared(&shared, &writer, attached, reterr);
        } else {
                ring_writer_takeover(&writer);
        }
        if (r < 0) {
                free(constants);
                return r;
        }
        free(publisher->constants);
        publisher->constants = constants;
        publisher->topic = *topic;
        publisher->payload_bytes = topic->entry.payload_bytes;
        publisher->shared = shared;
        publisher->pins = pins;
        publisher->writer = writer;
        publisher->writer.pins = &publisher->pins;
        return 0;
}

int slipring_publisher_open(struct slipring_publisher **ret_publisher,
                            const char *topic_name,
                            const struct slipring_publisher_options *options,
                            struct slipring_error *reterr) {
        struct slipring_publisher *publisher;
        struct attached attached = ATTACHED_NONE;
        int r;

        options = options ? options : &default_options;
        r = check_options(topic_name, options, reterr);
        if (r < 0) {
                return r;
        }
        publisher = calloc(1, sizeof(*publisher));
        if (!publisher || guard_open(&publisher->cookie) < 0) {
                free(publisher);
                return error_set(reterr, -ENOMEM, "topic '%s': no memory", topic_name);
        }
        publisher->topic = TOPIC_NONE;
        publisher->directory.segment = SEGMENT_NONE;
        publisher->flags = options->flags;
        publisher->lock_timeout_ns =
                options->lock_timeout_ns ? options->lock_timeout_ns : SLIPRING_LOCK_TIMEOUT_NS;
        publisher->type = options->type;
        if (options->bus) {
                strcpy(publisher->bus, options->bus);
        }
        r = attach(&attached, &publisher->directory, publisher, topic_name, options->deadline_ns,
                   -1, reterr);
        if (r == 0) {
                r = adopt(publisher, &attached, reterr);
                if (r < 0) {
                        claim_release(attached.topic.claim_id);
                        topic_detach(&attached.topic);
                }
        }
        if (r < 0) {
                slipring_publisher_close(publisher);
                return r;
        }
        if (!*publisher->bus) {
                /* What was the default may be another bus by the time of a move. */
                directory_full_name(&publisher->directory, publisher->bus, sizeof(publisher->bus));
        }
        *ret_publisher = publisher;
        return 0;
}

/* What every call on a sample's way looks at first. */
static int look(const struct slipring_publisher *publisher) {
        if (!guard_holds(publisher->cookie)) {
                return -ECHILD;
        }
        return ring_retired(&publisher->writer.ring) ? -EIDRM : 0;
}

static int
publish_shared(struct slipring_publisher *publisher, const void *payload, uint64_t source_time_ns) {
        int r = shared_begin(&publisher->shared, &publisher->writer);

        if (r < 0) {
                return r;
        }
        if (ring_retired(&publisher->writer.ring)) {
                /* While we waited. */
                r = -EIDRM;
        } else {
                copy_to_slot(ring_writer_begin(&publisher->writer), payload,
                             publisher->payload_bytes);
                ring_writer_commit(&publisher->writer, publisher->payload_bytes, source_time_ns);
        }
        shared_end(&publisher->shared, &publisher->writer);
        return r;
}

int slipring_publisher_publish(struct slipring_publisher *publisher,
                               const void *payload,
                               size_t payload_bytes,
                               uint64_t source_time_ns) {
        int r;

        r = look(publisher);
        if (r < 0) {
                return r;
        }
        if (publisher->writer.open) {
                return -EBUSY;
        }
        if (payload_bytes != publisher->payload_bytes) {
                return -EMSGSIZE;
        }
        if (publisher->shared.words) {
                return publish_shared(publisher, payload, source_time_ns);
        }
        copy_to_slot(ring_writer_begin(&publisher->writer), payload, payload_bytes);
        ring_writer_commit(&publisher->writer, publisher->payload_bytes, source_time_ns);
        return 0;
}

int slipring_publisher_loan(struct slipring_publisher *publisher, void **ret_payload) {
        int r;

        r = look(publisher);
        if (r < 0) {
                return r;
        }
        if (publisher->shared.words) {
                return -EOPNOTSUPP;
        }
        if (publisher->writer.open) {
                return -EBUSY;
        }
        *ret_payload = ring_writer_begin(&publisher->writer);
        return 0;
}

int slipring_publisher_commit(struct slipring_publisher *publisher, uint64_t source_time_ns) {
        int r;

        r = look(publisher);
        if (r == -ECHILD) {
                return r;
        }
        if (!publisher->writer.open) {
                return -EINVAL;
        }
        if (r < 0) {
                ring_writer_abandon(&publisher->writer);
                return r;
        }
        ring_writer_commit(&publisher->writer, publisher->payload_bytes, source_time_ns);
        return 0;
}

int slipring_publisher_abandon(struct slipring_publisher *publisher) {
        if (!guard_holds(publisher->cookie)) {
                return -ECHILD;
        }
        if (!publisher->writer.open) {
                return -EINVAL;
        }
        ring_writer_abandon(&publisher->writer);
        return 0;
}

int slipring_publisher_move(struct slipring_publisher *publisher,
                            uint64_t deadline_ns,
                            struct slipring_error *reterr) {
        struct attached attached = ATTACHED_NONE;
        struct topic old;
        int r;

        if (!guard_holds(publisher->cookie)) {
                return error_set(reterr, -ECHILD, "the handle belongs to the parent process");
        }
        if (publisher->writer.open) {
                /* It lies in the segment that is about to be detached. */
                return error_set(reterr, -EBUSY, "a loan is open: commit or abandon it first");
        }
        r = attach(&attached, &publisher->directory, publisher, publisher->topic.entry.name,
                   deadline_ns, publisher->topic.data.id, reterr);
        if (r < 0) {
                return r;
        }
        old = publisher->topic;
        r = adopt(publisher, &attached, reterr);
        if (r < 0) {
                claim_release(attached.topic.claim_id);
                topic_detach(&attached.topic);
                return r;
        }
        claim_release(old.claim_id);
        topic_detach(&old);
        return 0;
}

int slipring_publisher_info(const struct slipring_publisher *publisher,
                            struct slipring_publisher_info *ret_info) {
        const struct layout_words *words = publisher->writer.ring.words;
        int count;

        if (!guard_holds(publisher->cookie)) {
                return -ECHILD;
        }
        count = publisher->shared.words ? claim_count(publisher->topic.claim_id) : 1;
        *ret_info = (struct slipring_publisher_info){
                /* relaxed: where this is the only publisher, its own; else statistics. */
                .sequence = atomic_load_explicit(&words->head, memory_order_relaxed),
                .wakeups = atomic_load_explicit(&words->wakeups, memory_order_relaxed),
                .epoch = publisher->writer.epoch,
                .depth = publisher->writer.ring.depth,
                .attached = segment_attached(&publisher->topic.data),
                .publishers = count > 0 ? (uint32_t) count : 0,
        };
        return 0;
}

const struct slipring_type *slipring_publisher_type(const struct slipring_publisher *publisher) {
        return &publisher->topic.header.type;
}

struct slipring_publisher *slipring_publisher_close(struct slipring_publisher *publisher) {
        if (!publisher) {
                return NULL;
        }
        /* A child has neither the mappings nor the claim: their numbers are other things there. */
        if (guard_holds(publisher->cookie)) {
                if (publisher->topic.claim_id >= 0) {
                        claim_release(publisher->topic.claim_id);
                }
                topic_detach(&publisher->topic);
                directory_detach(&publisher->directory);
        } else {
                header_free(&publisher->topic.header);
                header_free(&publisher->directory.header);
        }
        free(publisher->constants);
        free(publisher);
        return NULL;
}
