#ifndef SLIPRING_BUS_LAYOUT_H
#define SLIPRING_BUS_LAYOUT_H

/*
 * Every byte that processes share, version 1. docs/segment-layout.md is this file for readers in
 * other languages. Little-endian, no pointers: offsets are bytes from the start of the segment.
 *
 * A bus is one directory segment, and for each topic one data segment, one claim (a semaphore set
 * of one) and one line of a wake board; a topic with pins also has a segment of pin lines and a
 * semaphore set that says whose they are. The directory is itself a ring of depth 2 whose message
 * is the table of all topics, so that both kinds of segment have the same header, words and slots:
 *
 *     0                  struct layout_header, then the field records, then the strings
 *     words_offset       struct layout_words      written by the publisher only
 *                        of a topic with pins: depth times a place, up to a cache line
 *     slots_offset       slots times { struct layout_slot, payload, up to slot_stride_bytes }
 *     segment_bytes      end, a multiple of the page
 */

#include <assert.h>
#include <stdalign.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#include <slipring/type.h>

/* Doubles and 64-bit integers must be 8-aligned inside structs, as CDR has them, and 64-bit atomics
 * must not need a lock, which another process could not see. i686 fails the first. */
_Static_assert(offsetof(
                       struct {
                               char c;
                               double d;
                       },
                       d) == 8,
               "slipring needs 8-aligned doubles: i686 is not supported, build for x86-64");
_Static_assert(ATOMIC_LLONG_LOCK_FREE == 2, "slipring needs lock-free 64-bit atomics");
_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "slipring is little-endian only");

#define LAYOUT_VERSION 1u
/* Of the data segment of a topic with pins, so that who does not know them says so. */
#define LAYOUT_VERSION_PINS 2u
#define LAYOUT_MAGIC UINT64_C(0x676e697270696c73) /* "slipring" in memory */
#define LAYOUT_PAGE 4096u
#define LAYOUT_CACHE_LINE 64u

#define LAYOUT_DEPTH_MIN 2u
#define LAYOUT_DEPTH_MAX 65536u
#define LAYOUT_WAITERS_DEFAULT 64u

/* Who may publish to a topic at a time. */
enum layout_publishers {
        LAYOUT_PUBLISHERS_EXCLUSIVE = 0, /* one, who holds the claim */
        LAYOUT_PUBLISHERS_SHARED = 1,    /* several, each sample under the topic's lock */
};

/* How a topic's sleepers are woken. */
enum layout_wake {
        LAYOUT_WAKE_DIRECT = 0, /* by the publisher, each of them */
        LAYOUT_WAKE_CHAIN = 1,  /* the publisher wakes a few, and who is woken a few more */
};

/* What a topic's data segment is made of, as the schema has it. Zero is what both of these were
 * before there was the choice. */
enum layout_huge_pages {
        LAYOUT_HUGE_PAGES_NO = 0,
        LAYOUT_HUGE_PAGES_TRY = 1, /* where the machine gives them */
        LAYOUT_HUGE_PAGES_YES = 2, /* or the topic is not made */
};

/* Is it kept in memory? */
enum layout_memory_lock {
        LAYOUT_MEMORY_LOCK_TRY = 0, /* where the limit allows it */
        LAYOUT_MEMORY_LOCK_NO = 1,
        LAYOUT_MEMORY_LOCK_YES = 2, /* or the topic is not made */
};

/* Pins of one topic. Each publish looks at as many lines. */
#define LAYOUT_PINS_MAX 256u
/* A place is message << LAYOUT_PLACE_BITS | slot, which bounds the slots of a topic with pins. */
#define LAYOUT_PLACE_BITS 10u
#define LAYOUT_PLACE_SLOTS (1u << LAYOUT_PLACE_BITS)

enum layout_kind {
        LAYOUT_KIND_DATA = 1,
        LAYOUT_KIND_DIRECTORY = 2,
};

/*
 * State of a segment, in layout_header.state:
 *
 *   EMPTY -> SERVING   (manager: header complete; the magic is stored after it, last of all)
 *   SERVING -> RETIRED (manager: clients get -EIDRM once the ring holds nothing new for them)
 */
enum layout_state {
        LAYOUT_STATE_EMPTY = 0,
        LAYOUT_STATE_SERVING = 1,
        LAYOUT_STATE_RETIRED = 2,
};

struct layout_header {
        _Atomic uint64_t magic; /* magic.last: LAYOUT_MAGIC once everything else stands */
        uint32_t layout_version;
        uint32_t kind;
        uint64_t instance;   /* random, drawn when the bus was created */
        uint64_t generation; /* of the directory, when this segment was created */
        uint64_t segment_bytes;
        uint32_t header_bytes; /* header, field records and strings, without the gap to the words */
        uint32_t words_offset;
        uint64_t slots_offset;
        uint64_t slot_stride_bytes;
        uint32_t depth;         /* samples that are kept; slots, where there are no pins */
        uint32_t payload_bytes; /* most that a slot holds; in a data segment what each sample has */
        uint32_t waiters;       /* most sleepers that one publish wakes */
        uint32_t field_count;
        uint32_t root_count;
        uint32_t fields_offset;
        uint32_t strings_offset;
        uint32_t strings_bytes;
        uint32_t topic_name; /* these three: bytes from strings_offset to a NUL-terminated string */
        uint32_t type_name;
        uint32_t type_text;
        uint32_t pins;        /* samples that all subscribers may hold at once; 0: no places */
        uint64_t deadline_ns; /* 0: never stale */
        double rate_hz;       /* nominal, 0: none */
        uint8_t identity[32];
        uint32_t publishers; /* enum layout_publishers */
        uint32_t wake;       /* enum layout_wake */
        uint8_t reserved1[24];
        _Atomic uint32_t state; /* enum layout_state; a line of its own: read by each publish */
        uint8_t reserved2[60];
};

_Static_assert(offsetof(struct layout_header, instance) == 16, "layout");
_Static_assert(offsetof(struct layout_header, segment_bytes) == 32, "layout");
_Static_assert(offsetof(struct layout_header, words_offset) == 44, "layout");
_Static_assert(offsetof(struct layout_header, slots_offset) == 48, "layout");
_Static_assert(offsetof(struct layout_header, depth) == 64, "layout");
_Static_assert(offsetof(struct layout_header, waiters) == 72, "layout");
_Static_assert(offsetof(struct layout_header, fields_offset) == 84, "layout");
_Static_assert(offsetof(struct layout_header, topic_name) == 96, "layout");
_Static_assert(offsetof(struct layout_header, pins) == 108, "layout");
_Static_assert(offsetof(struct layout_header, deadline_ns) == 112, "layout");
_Static_assert(offsetof(struct layout_header, rate_hz) == 120, "layout");
_Static_assert(offsetof(struct layout_header, identity) == 128, "layout");
_Static_assert(offsetof(struct layout_header, publishers) == 160, "layout");
_Static_assert(offsetof(struct layout_header, wake) == 164, "layout");
_Static_assert(offsetof(struct layout_header, state) == 192, "layout");
_Static_assert(sizeof(struct layout_header) == 256, "layout");

/* One record of the type's field tree: struct slipring_field with its names as string offsets. */
struct layout_field {
        uint32_t name;
        uint32_t unit;
        uint32_t kind;
        uint32_t count;
        uint32_t offset_bytes;
        uint32_t element_bytes;
        uint32_t first_child;
        uint32_t child_count;
};

_Static_assert(sizeof(struct layout_field) == 32, "layout");

/* The publisher's words. All that a publish stores beside its slot is one cache line; what it
 * stores only when it calls the kernel is another. */
struct layout_words {
        _Atomic uint64_t
                head; /* head.publish: number of the newest whole sample, 0 before the first */
        _Atomic uint32_t wake;  /* wake.word: (uint32_t) head, what sleepers wait on */
        _Atomic uint32_t epoch; /* takeovers so far */
        uint8_t reserved0[48];
        _Atomic uint64_t wakeups;    /* FUTEX_WAKE calls so far */
        _Atomic uint64_t pin_broken; /* pinned slots that were taken, for want of a free one */
        uint8_t reserved1[48];
        uint8_t reserved2[128];
};

_Static_assert(offsetof(struct layout_words, head) == 0, "layout");
_Static_assert(offsetof(struct layout_words, wake) == 8, "layout");
_Static_assert(offsetof(struct layout_words, epoch) == 12, "layout");
_Static_assert(offsetof(struct layout_words, wakeups) == 64, "layout");
_Static_assert(offsetof(struct layout_words, pin_broken) == 72, "layout");
_Static_assert(sizeof(struct layout_words) == 256, "layout");

/*
 * State of a slot, in its stamp, for message m of slot m % depth:
 *
 *   anything -> 2m-1 (publisher: message m is being written; also what an abandoned loan leaves)
 *   2m-1 -> 2m       (publisher: message m is whole)
 */
struct layout_slot {
        _Atomic uint64_t stamp;
        _Atomic uint64_t publish_time_ns; /* CLOCK_MONOTONIC at commit */
        _Atomic uint64_t source_time_ns;  /* the publisher's own, 0 for none */
        _Atomic uint32_t epoch;
        _Atomic uint32_t payload_bytes;
        _Atomic uint32_t publisher_pid; /* as the publisher says */
        uint8_t reserved[24];
        _Atomic uint32_t encapsulation; /* CDR_LE, so that it and the payload leave as one range */
};

#define LAYOUT_CDR_LE 0x00000100u /* the bytes 00 01 00 00 */

_Static_assert(offsetof(struct layout_slot, publish_time_ns) == 8, "layout");
_Static_assert(offsetof(struct layout_slot, source_time_ns) == 16, "layout");
_Static_assert(offsetof(struct layout_slot, epoch) == 24, "layout");
_Static_assert(offsetof(struct layout_slot, payload_bytes) == 28, "layout");
_Static_assert(offsetof(struct layout_slot, publisher_pid) == 32, "layout");
_Static_assert(offsetof(struct layout_slot, encapsulation) == 60, "layout");
_Static_assert(sizeof(struct layout_slot) == 64, "layout");

/* The lock of a topic with several publishers, at the start of a segment of its own: only who may
 * publish may map it. In the data segment any subscriber could sleep on the word, which the kernel
 * then refuses to hand on. */
struct layout_lock {
        _Atomic uint32_t word; /* lock.handover: see bus/lock.h */
        _Atomic uint32_t owed; /* 1: the last wake-up hit the cap, the next message wakes again */
        uint8_t reserved[56];
};

#define LAYOUT_LOCK_BYTES LAYOUT_PAGE

_Static_assert(offsetof(struct layout_lock, owed) == 4, "layout");
_Static_assert(sizeof(struct layout_lock) == 64, "layout");

/*
 * A line of a topic's pins. Everyone who may read the topic may write it; what is in it can keep a
 * slot from the publisher or give it away too early, and changes no byte of any sample.
 *
 *   g << 16 -> (g + 1) << 16 | slot + 1  (its owner: pins a slot)
 *   g << 16 | slot + 1 -> g << 16        (its owner, or after the owner's death the manager)
 *   g << 16 | any -> (g + 1) << 16       (a new owner)
 *
 * The count g never repeats, so that a compare-exchange of a word that was seen to be a dead
 * owner's cannot hit a new owner's pin.
 */
struct layout_pin_line {
        _Atomic uint64_t pin;
        uint8_t reserved[56];
};

#define LAYOUT_PIN_BITS 16u
#define LAYOUT_PIN_MASK UINT64_C(0xffff)

_Static_assert(sizeof(struct layout_pin_line) == 64, "layout");

/* A topic's line of a wake board. Everyone who may read the topics of its access class may write
 * it; nothing in it can affect data. */
struct layout_board_line {
        _Atomic uint32_t asleep;    /* asleep.dekker: 1 while somebody may be in a futex wait */
        _Atomic uint32_t chain_end; /* the wake word's value for which a chain came to its end */
        uint8_t reserved[56];
};

_Static_assert(offsetof(struct layout_board_line, chain_end) == 4, "layout");
_Static_assert(sizeof(struct layout_board_line) == 64, "layout");

/* Lines of one board: enough for every topic of a full bus and for a successor of each. */
#define LAYOUT_BOARD_LINES 4096u
#define LAYOUT_BOARD_BYTES (LAYOUT_BOARD_LINES * sizeof(struct layout_board_line))

enum layout_entry_kind {
        LAYOUT_ENTRY_TOPIC = 1,
        LAYOUT_ENTRY_BOARD = 2,
};

/*
 * State of a directory entry, the manager's write-ahead log of what it makes and removes:
 *
 *   CREATING -> SERVING (manager: the objects exist and are complete)
 *   CREATING -> gone    (manager: making them failed, or the next start found them half-made)
 *   SERVING -> REMOVING (manager: its successor, if any, already serves)
 *   REMOVING -> gone    (manager: the objects do not exist any more)
 */
enum layout_entry_state {
        LAYOUT_ENTRY_CREATING = 1,
        LAYOUT_ENTRY_SERVING = 2,
        LAYOUT_ENTRY_REMOVING = 3,
};

struct layout_entry {
        uint32_t
                kind; /* enum layout_entry_kind; a board has its key, its id and its access class */
        uint32_t state; /* enum layout_entry_state */
        uint64_t generation;
        int32_t data_key;
        int32_t data_id;
        int32_t claim_key;
        int32_t claim_id;
        int32_t board_key;
        int32_t board_id;
        uint32_t board_line;
        uint32_t uid;
        uint32_t gid;
        uint32_t mode; /* of the data segment and the claim; the board adds write where read is */
        uint32_t depth;
        uint32_t payload_bytes;
        uint64_t segment_bytes;
        uint64_t deadline_ns;
        double rate_hz;
        uint32_t waiters;
        uint32_t pins;
        uint8_t identity[32];
        int32_t pin_key; /* these four: 0 for a topic without pins */
        int32_t pin_id;
        int32_t pin_claim_key;
        int32_t pin_claim_id;
        uint32_t wake;        /* enum layout_wake */
        uint32_t huge_pages;  /* enum layout_huge_pages */
        uint64_t page_bytes;  /* of the huge pages that it got, 0 for ordinary ones */
        uint32_t memory_lock; /* enum layout_memory_lock */
        uint8_t reserved1[80];
        uint32_t publishers; /* enum layout_publishers */
        int32_t lock_key;    /* these two: 0 for a topic with one publisher */
        int32_t lock_id;
        char name[256]; /* these three: NUL-terminated and NUL-filled */
        char type_name[256];
        char description[256];
};

_Static_assert(offsetof(struct layout_entry, generation) == 8, "layout");
_Static_assert(offsetof(struct layout_entry, data_key) == 16, "layout");
_Static_assert(offsetof(struct layout_entry, board_line) == 40, "layout");
_Static_assert(offsetof(struct layout_entry, depth) == 56, "layout");
_Static_assert(offsetof(struct layout_entry, segment_bytes) == 64, "layout");
_Static_assert(offsetof(struct layout_entry, waiters) == 88, "layout");
_Static_assert(offsetof(struct layout_entry, pins) == 92, "layout");
_Static_assert(offsetof(struct layout_entry, identity) == 96, "layout");
_Static_assert(offsetof(struct layout_entry, pin_key) == 128, "layout");
_Static_assert(offsetof(struct layout_entry, pin_claim_id) == 140, "layout");
_Static_assert(offsetof(struct layout_entry, wake) == 144, "layout");
_Static_assert(offsetof(struct layout_entry, huge_pages) == 148, "layout");
_Static_assert(offsetof(struct layout_entry, page_bytes) == 152, "layout");
_Static_assert(offsetof(struct layout_entry, memory_lock) == 160, "layout");
_Static_assert(offsetof(struct layout_entry, publishers) == 244, "layout");
_Static_assert(offsetof(struct layout_entry, lock_key) == 248, "layout");
_Static_assert(offsetof(struct layout_entry, lock_id) == 252, "layout");
_Static_assert(offsetof(struct layout_entry, name) == 256, "layout");
_Static_assert(offsetof(struct layout_entry, type_name) == 512, "layout");
_Static_assert(offsetof(struct layout_entry, description) == 768, "layout");
_Static_assert(sizeof(struct layout_entry) == 1024, "layout");

/* The directory's message: this, then entry_count entries. payload_bytes of its slot tells the part
 * that is used. */
struct layout_table {
        uint64_t instance;
        uint64_t generation;        /* counts changes of the table, not its refreshes */
        int64_t realtime_offset_ns; /* CLOCK_REALTIME minus CLOCK_MONOTONIC */
        uint32_t entry_count;
        uint32_t entry_bytes;
        char bus[64];
        uint8_t reserved[32];
};

_Static_assert(sizeof(struct layout_table) == 128, "layout");

/* Topics of a full bus, a predecessor of each that is being removed, and the boards. */
#define LAYOUT_TOPICS_MAX 2000u
#define LAYOUT_ENTRIES_MAX 4096u
#define LAYOUT_TABLE_BYTES_MAX                                                                     \
        (sizeof(struct layout_table) + LAYOUT_ENTRIES_MAX * sizeof(struct layout_entry))

static inline uint64_t layout_align(uint64_t bytes, uint64_t to) {
        return (bytes + to - 1) / to * to;
}

/* Slots of a ring: with pins one for each sample that is kept, one for each that may be held
 * besides, and one to write into. */
static inline uint32_t layout_slot_count(uint32_t depth, uint32_t pins) {
        return pins ? depth + pins + 1 : depth;
}

/* Bytes between words and slots. */
static inline uint64_t layout_places_bytes(uint32_t depth, uint32_t pins) {
        return pins ? layout_align(depth * sizeof(uint64_t), LAYOUT_CACHE_LINE) : 0;
}

static inline uint64_t layout_pins_bytes(uint32_t pins) {
        return layout_align(pins * sizeof(struct layout_pin_line), LAYOUT_PAGE);
}

#endif
