#ifndef SLIPRING_BUS_TOPIC_H
#define SLIPRING_BUS_TOPIC_H

#include "bus/directory.h"
#include "bus/pins.h"

/* A topic that a client has attached. */
struct topic {
        struct layout_entry entry; /* as the directory had it */
        struct segment data;
        struct segment board;
        struct segment lock;    /* of a shared topic, for who may publish */
        struct segment control; /* the pin lines, of a topic with pins */
        struct header header;
        struct ring ring;
        _Atomic uint32_t *asleep;
        _Atomic uint32_t *chain_end; /* NULL: the topic's sleepers do not wake each other */
        struct pins pins;
        int claim_id;
};

#define TOPIC_NONE                                                                                 \
        ((struct topic){.data = SEGMENT_NONE,                                                      \
                        .board = SEGMENT_NONE,                                                     \
                        .lock = SEGMENT_NONE,                                                      \
                        .control = SEGMENT_NONE,                                                   \
                        .claim_id = -1})

/*
 * topic_attach() - attach what a directory entry describes
 * @ret_topic:  set on success
 * @entry:      a SERVING entry
 * @writable:   for a publisher
 *
 * The directory is the authority: the segment's own header, which its publisher can write, has to
 * agree with it in everything.
 *
 * Return: 0, -EIDRM if it was replaced meanwhile, else as segment_attach() and header_read().
 */
int topic_attach(struct topic *ret_topic,
                 const struct layout_entry *entry,
                 bool writable,
                 struct slipring_error *reterr);

/*
 * topic_examine() - attach what is left of a topic, to read it and nothing else
 * @ret_topic:  set on success: ring and header as by topic_attach(), no wake board, and claim_id -1
 *              if its claim cannot be looked at
 *
 * For whoever comes after a crash: what a publisher or a subscriber would need besides the samples
 * may be gone.
 *
 * Return: as topic_attach().
 */
int topic_examine(struct topic *ret_topic,
                  const struct layout_entry *entry,
                  struct slipring_error *reterr);

void topic_detach(struct topic *topic);

/*
 * topic_expect_data(), topic_expect_claim(), topic_expect_board(), topic_expect_lock(),
 * topic_expect_control(), topic_expect_pin_claim() - what the kernel must say of an entry's objects
 * @what:       for messages; kept
 */
struct segment_expect topic_expect_data(const struct layout_entry *entry, const char *what);
struct segment_expect topic_expect_claim(const struct layout_entry *entry, const char *what);
struct segment_expect topic_expect_board(const struct layout_entry *entry, const char *what);
struct segment_expect topic_expect_lock(const struct layout_entry *entry, const char *what);
struct segment_expect topic_expect_control(const struct layout_entry *entry, const char *what);
struct segment_expect topic_expect_pin_claim(const struct layout_entry *entry, const char *what);

/*
 * topic_board_mode() - the mode of the wake board of an access class, and of its topics' pins: all
 * who may read may write
 */
unsigned topic_board_mode(unsigned mode);

/*
 * topic_lock_mode() - the mode of a shared topic's lock: only who may publish may map it
 */
unsigned topic_lock_mode(unsigned mode);

static inline bool topic_is_shared(const struct layout_entry *entry) {
        return entry->publishers == LAYOUT_PUBLISHERS_SHARED;
}

/*
 * topic_publishers() - who publishes to a topic
 * @ret_pid:    set to the holder's pid; on a shared topic to that of who published the newest
 *              sample; 0 for nobody
 *
 * Return: how many handles publish, 0 also if that cannot be told.
 */
unsigned topic_publishers(const struct topic *topic, pid_t *ret_pid);

/*
 * topic_name_check() - could a schema have a topic of this name?
 *
 * Return: 0 or -EINVAL.
 */
int topic_name_check(const char *topic, struct slipring_error *reterr);

/* What a client wants to open. */
struct topic_request {
        const char *bus; /* NULL: the default one */
        const char *topic;
        const struct slipring_type *type; /* NULL: any */
        uint64_t deadline_ns;             /* 0: do not wait */
        bool writable;
        /* A moving client's segment: one with this id is not the successor; -1: none. */
        int not_id;
};

/*
 * topic_pause_ns() - how long to sleep before another look for a bus that is not there
 * @waited_ns:  since the first look
 *
 * In proportion: who starts together with the manager finds the bus at most a quarter later than it
 * could have, and who waits for one that does not come looks twenty times a second.
 */
uint64_t topic_pause_ns(uint64_t waited_ns);

/*
 * topic_open() - locate the bus, find the topic, check its type and attach
 * @ret_topic:          set on success
 * @directory:          TOPIC's bus if attached already (segment.id >= 0), else set on success; the
 *                      caller detaches it either way
 *
 * Waits for what is not there yet until the deadline.
 *
 * Return: 0, -ENOENT if there is none or its objects are gone, -EBADMSG if the directory still
 * lists @request->not_id, -EPROTOTYPE, else as directory_locate() and topic_attach().
 */
int topic_open(struct topic *ret_topic,
               struct directory *directory,
               const struct topic_request *request,
               struct slipring_error *reterr);

#endif
