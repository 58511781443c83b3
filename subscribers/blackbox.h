#ifndef SLIPRING_SUBSCRIBERS_BLACKBOX_H
#define SLIPRING_SUBSCRIBERS_BLACKBOX_H

#include <stdbool.h>
#include <stddef.h>

#include "bus/topic.h"

/*
 * The black box of a bus: its rings, as everybody left them.
 *
 * Shared memory outlives the processes that wrote it, so after a crash of publishers, subscribers
 * and manager the newest samples of each topic are still there. They are attached read-only and
 * read in place, in the order of their time over all topics; a message is copied when it is asked
 * for, since a bus may be as large as the machine's memory allows. On a bus that lives some are
 * overtaken before that, and it says so.
 */

/* What became of who published last. */
enum blackbox_publisher {
        BLACKBOX_PUBLISHER_NONE,    /* nobody has published since the topic was made */
        BLACKBOX_PUBLISHER_ALIVE,   /* holds the claim */
        BLACKBOX_PUBLISHER_LEFT,    /* gave the claim back, and runs on */
        BLACKBOX_PUBLISHER_DEAD,    /* the process is no more */
        BLACKBOX_PUBLISHER_UNKNOWN, /* the claim is gone, or of another process namespace */
};

/* A topic, and what was found in it. published == overwritten + damaged + held. */
struct blackbox_topic {
        const struct layout_entry *entry;
        struct topic topic;
        struct slipring_error error; /* why it cannot be read; code 0: it can */
        enum blackbox_publisher publisher;
        int32_t publisher_pid; /* 0 for none and unknown */
        uint32_t epoch;        /* takeovers */
        uint32_t newest_epoch; /* the one that the newest sample is of */
        uint64_t published;    /* samples, since the topic was made; their last number */
        uint64_t newest_ns;    /* publish time of the newest one, 0: there is none */
        uint64_t held;         /* the ring still has them */
        uint64_t overwritten;  /* newer samples stand in their slots, or a half-written one */
        uint64_t damaged;      /* their slots contradict the protocol */
        uint64_t half;         /* number of a sample that was begun and not finished, 0: none */
        bool unannounced;      /* the newest one was finished, but subscribers were not told */
};

/* Where a sample is. */
struct blackbox_mark {
        uint64_t time_ns;
        uint64_t sequence;
        size_t topic; /* index */
};

struct blackbox {
        struct blackbox_topic *topics;
        size_t count;
        uint64_t newest_ns; /* publish time of the newest sample of all topics, 0: there is none */
        struct blackbox_mark *marks; /* oldest first */
        size_t mark_count;
        size_t mark_room;
};

/*
 * blackbox_open() - attach topics, read-only, and mark every sample in them
 * @ret_box:    set on success; its topics are in the order of @entries
 * @entries:    SERVING entries, which have to live as long
 *
 * A topic that cannot be read says why in its error. A sample that its publisher dated later than
 * now does not count as the newest one.
 *
 * Return: 0 or -ENOMEM.
 */
int blackbox_open(struct blackbox *ret_box,
                  const struct layout_entry *const *entries,
                  size_t count);

/*
 * blackbox_select() - keep the marks of some topics, and of some time
 * @wanted:     for each topic, whether it is meant; NULL: all
 * @since_ns:   no older than this before the newest sample of all topics; UINT64_MAX: all
 */
void blackbox_select(struct blackbox *box, const bool *wanted, uint64_t since_ns);

/*
 * blackbox_read() - copy a sample
 * @mark:       one of the collected
 * @buffer:     room for the topic's payload
 * @ret_sample: set on success
 *
 * Return: 1, or 0 if it was overtaken since.
 */
int blackbox_read(const struct blackbox *box,
                  const struct blackbox_mark *mark,
                  void *buffer,
                  struct slipring_sample *ret_sample);

void blackbox_close(struct blackbox *box);

#endif
