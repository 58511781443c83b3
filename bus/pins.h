#ifndef SLIPRING_BUS_PINS_H
#define SLIPRING_BUS_PINS_H

#include <sys/types.h>

#include "bus/ring.h"

/*
 * Pins: samples that a subscriber holds in place and that are not overwritten while it does.
 *
 * The ring of a topic with pins has more slots than messages to keep, and the slot of message m is
 * written down in places[m % depth]. A subscriber that owns a pin line names the slot there and
 * looks at the place once more; the publisher looks at all lines before it takes a slot, and takes
 * one that is neither a kept message's nor pinned. With depth + pins + 1 slots there always is one,
 * whatever stands in the lines, so it never waits.
 *
 * Whose a line is says a semaphore of the topic's pin claim, held with SEM_UNDO. A dead owner's pin
 * keeps nothing but its own slot; its line is anybody's again at once.
 */

/* The pin lines of an attached topic. */
struct pins {
        struct layout_pin_line *lines;
        uint32_t count; /* 0: a topic without pins */
        int claim_id;
};

/* --- the publisher's side --- */

#define PINS_WORDS (LAYOUT_PLACE_SLOTS / 64)

struct pins_writer {
        struct layout_pin_line *lines;
        uint32_t count;
        uint64_t kept[PINS_WORDS]; /* slots of messages that places name, a bit each */
};

/*
 * pins_choose() - a slot for the next message
 * @writer:     of a ring with places
 *
 * The first free one after the slot taken last, which makes it one of those longest unused.
 *
 * Return: a slot. Should all look pinned, it is the first that is not kept, and words->pin_broken
 *         counts it; a reader whose pin that breaks learns of it from the stamp.
 * Context: RT-safe: bounded by lines and slots, no system call.
 */
uint32_t pins_choose(struct ring_writer *writer);

/*
 * pins_place() - write down where a message is
 * @m:  its number; it is in the slot that was chosen last
 *
 * What stood in its place, message m - depth, is kept no longer.
 */
void pins_place(struct ring_writer *writer, uint64_t m);

/*
 * pins_takeover() - see what places and slots a predecessor left
 *
 * Return: true if it had finished message head + 1, which is in its place then.
 */
bool pins_takeover(struct ring_writer *writer);

/* --- the subscriber's side --- */

/* A line that this process owns. */
struct pin {
        _Atomic uint64_t *word;
        uint32_t line;
        uint64_t generation;
        bool held;
};

/*
 * pin_acquire() - own a line
 * @ret_pin:    set on success
 *
 * Return: 0, -ENOBUFS if all lines are owned, -EIDRM if the topic is gone, else from semop(2).
 */
int pin_acquire(struct pin *ret_pin, const struct pins *pins);
void pin_release(struct pin *pin, const struct pins *pins);

/*
 * pin_hold() - pin a message that ring_reader_next() or ring_reader_newest() found
 *
 * Return: true if it is held, false if it was overtaken.
 * Context: RT-safe: wait-free, no system call.
 */
bool pin_hold(struct pin *pin, const struct ring *ring, const struct ring_view *view);
void pin_drop(struct pin *pin);

/* --- everybody's --- */

/*
 * pins_held() - lines that name a slot now
 */
uint32_t pins_held(const struct pins *pins);

/*
 * pins_reap() - clear the lines whose owners died
 *
 * Return: their number.
 */
uint32_t pins_reap(const struct pins *pins);

#endif
