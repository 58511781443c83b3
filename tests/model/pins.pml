/*
 * Pins under C11's memory model, with publisher, holders and a manager that clears dead holders'
 * lines, each killed at any step.
 *
 * Memory. As in ring.pml each location is a list of its writes, and whoever loads may get any that
 * is not older than what it knows of. Here two sides write. The publisher writes stamps, payloads,
 * places and head: its writes have times, and each a cover, the time up to which an acquiring
 * reader knows them. Each line of pins has its own list, whose index is its time; its cover counts
 * the reads of payloads that whoever acquires it knows to be over. A seq_cst fence exchanges what
 * is known with all such fences before it, and is a release and an acquire fence besides.
 *
 * Payloads of pinned samples are plain memory: beside the value that is read it is checked that the
 * publisher knows each earlier read of a slot to be over before it writes there, which is to say
 * that there is no data race.
 *
 * A line's semaphore is 1 while its owner lives. Taking it, or seeing it free, comes after all that
 * a dead owner did: semop(2) and semctl(2) are full barriers.
 *
 * Checked: no slot that is held is written; what is read in it is the message whole; a place never
 * leads to a slot with an older message (a reader would call the segment corrupt); the publisher
 * always finds a free slot; a line of a living owner is cleared by nobody else.
 *
 * Sizes: H messages that are kept, LINES pins, one subscriber each, M messages, ROUNDS pins a
 * subscriber, CRASHES of the publisher, DEATHS of subscriber 0, REAPS looks by the manager at all
 * lines.
 *
 * Mutants: see tests/model/configurations.
 */

#ifndef H
#define H 2
#endif
#ifndef LINES
#define LINES 1
#endif
#ifndef M
#define M 4
#endif
#ifndef ROUNDS
#define ROUNDS 2
#endif
#ifndef CRASHES
#define CRASHES 1
#endif
#ifndef DEATHS
#define DEATHS 0
#endif
#ifndef REAPS
#define REAPS 0
#endif

#ifdef ONE_SLOT_FEWER
#define SLOTS (H + LINES)
#else
#define SLOTS (H + LINES + 1)
#endif

/* Locations: a stamp and a payload a slot, places, head. */
#define STAMP(s) (s)
#define PAYLOAD(s) (SLOTS + (s))
#define PLACE(m) (2 * SLOTS + (m) % H)
#define HEAD (2 * SLOTS + H)
#define LOCATIONS (2 * SLOTS + H + 1)

/* Two writes a message for a stamp, should all go to one slot; head and places see fewer. */
#define HISTORY (2 * M + CRASHES + 2)
#define AT(location, index) ((location) * HISTORY + (index))

/* Writes of a line: two a pin, one an owner, one a look by the manager; the empty one. */
#define LINE_HISTORY (2 * ROUNDS + DEATHS + REAPS + 3)
#define LINE(line, index) ((line) * LINE_HISTORY + (index))

/* A message's place: its number and its slot. */
#define PLACED(m, s) ((m) * SLOTS + (s))

/* A bound of the model itself: run-model tells its failure from a fault of the protocol. */
#define IN_MODEL(condition)                                                                        \
        if                                                                                         \
        :: condition                                                                               \
        :: else -> assert(false)                                                                   \
        fi

#define RAISE(variable, to)                                                                        \
        if                                                                                         \
        :: (to) > variable -> variable = to                                                        \
        :: else                                                                                    \
        fi

/* The publisher's memory. */
byte value[LOCATIONS * HISTORY];
byte time[LOCATIONS * HISTORY];
byte cover[LOCATIONS * HISTORY];
byte writes[LOCATIONS]; /* index of the newest */
byte moment;            /* writes so far */
byte fenced;            /* what the last release fence covers */

/* The lines. */
byte pinned[LINES * LINE_HISTORY]; /* slot + 1, 0: none */
byte count[LINES * LINE_HISTORY];  /* the count beside it */
byte line_cover[LINES * LINE_HISTORY];
byte line_writes[LINES];
bit owned[LINES]; /* the semaphores */

/* What the seq_cst fences so far have made known. */
byte sc_moment;
byte sc_line[LINES];
byte sc_reads[LINES];

/* For the assertions only. */
byte reads[LINES];              /* reads of payloads that subscriber has made */
byte last_read[LINES * SLOTS];  /* the last one of that slot */
byte held[LINES];               /* slot + 1 that is held for sure */
byte committed[M + 1];          /* content of each message */

#define NEWEST(location) value[AT(location, writes[location])]
#define LINE_NEWEST(line) LINE(line, line_writes[line])

/* --- the publisher --- */

inline store(location, v, covered)
{
        moment++;
        writes[location]++;
        IN_MODEL(writes[location] < HISTORY);
        value[AT(location, writes[location])] = v;
        time[AT(location, writes[location])] = moment;
        cover[AT(location, writes[location])] = covered;
}

#define store_release(location, v) store(location, v, moment)
#define store_relaxed(location, v) store(location, v, fenced)

#ifdef PLACE_RELAXED
#define store_place store_relaxed
#else
#define store_place store_release
#endif

/* The publisher's own writes are known to whoever fences after this. */
inline publisher_fence()
{
        fenced = moment;
        sc_moment = moment;
        for (line : 0 .. LINES - 1) {
                RAISE(known_line[line], sc_line[line]);
                RAISE(known_reads[line], remembered_reads[line]);
                RAISE(known_reads[line], sc_reads[line])
        }
        line = 0;
}

/* Is the slot that of a message that a place names? */
#if H != 2
#error "written out for two places"
#endif
#define KEPT(s)                                                                                    \
        ((NEWEST(PLACE(0)) > 0 && NEWEST(PLACE(0)) % SLOTS == (s)) ||                              \
         (NEWEST(PLACE(1)) > 0 && NEWEST(PLACE(1)) % SLOTS == (s)))

/* A kill instead of the next step. */
#define OR_DIE                                                                                     \
        ::atomic                                                                                   \
        {                                                                                          \
                deaths < CRASHES -> deaths++;                                                      \
                goto takeover                                                                      \
        }

proctype publisher()
{
        byte known_line[LINES];       /* index of the newest write of a line that is known of */
        byte known_reads[LINES];      /* reads that are known to be over */
        byte remembered_reads[LINES]; /* the same, once a fence comes */
        bit taken[SLOTS];
        byte m, slot, line, index, deaths;

takeover:
        /* claim.handover: knows what the dead one knew, and stands behind what it wrote. */
        atomic {
                fenced = moment;
                m = NEWEST(HEAD) + 1;
                slot = 0;
                line = 0;
                index = 0
        };
        /* Message m may be finished and in no place. */
        if
        :: d_step {
                if
                :: m <= M && NEWEST(PLACE(m)) / SLOTS != m ->
                        for (slot : 0 .. SLOTS - 1) {
                                if
                                :: NEWEST(STAMP(slot)) == 2 * m -> break
                                :: else
                                fi
                        };
                        if
                        :: slot < SLOTS -> store_place(PLACE(m), PLACED(m, slot))
                        :: else
                        fi
                :: else
                fi;
                slot = 0
        }
        OR_DIE
        fi;
#ifndef TAKEOVER_NO_FENCE
        d_step { publisher_fence() };
#endif
        if
        :: d_step {
                if
                :: m <= M && NEWEST(PLACE(m)) / SLOTS == m -> store_release(HEAD, m)
                :: else
                fi;
                m = 0
        }
        OR_DIE
        fi;

        do
        :: NEWEST(HEAD) == M -> break
        :: NEWEST(HEAD) < M ->
                d_step {
                        m = NEWEST(HEAD) + 1;
                        for (slot : 0 .. SLOTS - 1) {
                                taken[slot] = KEPT(slot)
                        }
                        slot = 0;
                        line = 0
                };
                /* pin.dekker, pin.drop: the scan. */
                do
                :: line == LINES -> break
                :: line < LINES ->
                        if
                        :: atomic {
                                index = line_writes[line];
                                do
                                :: index > known_line[line] -> index--
                                :: break
                                od;
                                known_line[line] = index;
#ifdef SCAN_RELAXED
                                RAISE(remembered_reads[line], line_cover[LINE(line, index)]);
#else
                                RAISE(known_reads[line], line_cover[LINE(line, index)]);
#endif
                                if
                                :: pinned[LINE(line, index)] > 0 ->
                                        taken[pinned[LINE(line, index)] - 1] = 1
                                :: else
                                fi;
                                line++;
                                index = 0
                        }
                        OR_DIE
                        fi
                od;
                line = 0;
                /* The first free slot, or with ANY_SLOT any: which one is no matter of safety. The
                 * product begins after the slot that it took last. */
                if
                :: atomic {
                        do
                        :: slot < SLOTS && taken[slot] -> slot++
                        :: slot < SLOTS && !taken[slot] -> break
                        :: slot == SLOTS -> assert(slot < SLOTS); break
                        od;
#ifdef ANY_SLOT
                        index = slot;
                        do
                        :: index < SLOTS - 1 ->
                                index++;
                                if
                                :: !taken[index] -> slot = index
                                :: else
                                fi
                        :: break
                        od;
                        index = 0;
#endif
                        for (line : 0 .. LINES - 1) {
                                assert(held[line] != slot + 1);
                                assert(last_read[line * SLOTS + slot] <= known_reads[line])
                        };
                        line = 0;
                        for (index : 0 .. SLOTS - 1) {
                                taken[index] = 0
                        };
                        index = 0;
                        /* slot.busy */
                        store_relaxed(STAMP(slot), 2 * m - 1);
                        fenced = moment
                }
                OR_DIE
                fi;
                if
                :: d_step {
                        store_relaxed(PAYLOAD(slot), m * (CRASHES + 1) + deaths);
                        committed[m] = m * (CRASHES + 1) + deaths
                }
                OR_DIE
                fi;
                /* slot.ready */
                if
                :: d_step { store_release(STAMP(slot), 2 * m) }
                OR_DIE
                fi;
                /* place.publish */
                if
                :: d_step { store_place(PLACE(m), PLACED(m, slot)) }
                OR_DIE
                fi;
                /* head.publish */
                if
                :: d_step { store_release(HEAD, m) }
                OR_DIE
                fi;
                /* pin.dekker */
                if
                :: d_step {
#ifndef NO_WRITER_FENCE
                        publisher_fence();
#endif
                        m = 0;
                        slot = 0
                }
                OR_DIE
                fi
        od
}

/* --- a subscriber with one pin --- */

inline line_store(slot_or_none, covered)
{
        line_writes[me]++;
        IN_MODEL(line_writes[me] < LINE_HISTORY);
        pinned[LINE_NEWEST(me)] = slot_or_none;
        count[LINE_NEWEST(me)] = generation;
        line_cover[LINE_NEWEST(me)] = covered;
}

#ifdef DROP_RELAXED
#define store_drop line_store(0, reads_fenced)
#else
#define store_drop line_store(0, reads[me])
#endif
#ifdef PIN_RELAXED
#define store_pin(slot) line_store(slot, reads_fenced)
#else
#define store_pin(slot) line_store(slot, reads[me])
#endif

/* From the newest write of a location back to the newest that is known of. */
inline load(location)
{
        index = writes[location];
        do
        :: index > 0 && time[AT(location, index)] > known -> index--
        :: break
        od
}

inline load_acquire(location)
{
        load(location);
        RAISE(known, cover[AT(location, index)])
}

inline reader_fence()
{
        RAISE(known, remembered);
        RAISE(known, sc_moment);
        sc_moment = known;
        sc_line[me] = line_writes[me];
        sc_reads[me] = reads[me];
        reads_fenced = reads[me]
}

/* The subscriber is gone; the kernel gives its semaphore back when it likes. */
#define OR_END                                                                                     \
        ::atomic                                                                                   \
        {                                                                                          \
                me == 0 && deaths < DEATHS -> deaths++;                                            \
                goto dead                                                                          \
        }

proctype subscriber(byte me)
{
        byte known, remembered, reads_fenced;
        byte generation, rounds, deaths;
        byte m, slot, index;

dead:
        atomic {
                held[me] = 0;
                m = 0;
                slot = 0;
                index = 0;
                /* Nobody reads any more: what a dead process read races with nothing. */
                for (slot : 0 .. SLOTS - 1) {
                        last_read[me * SLOTS + slot] = 0
                }
                slot = 0
        };
        owned[me] = 0;
        owned[me] = 1;
        /* pin.owner: the line is emptied under a count of this owner's. */
        atomic {
                generation = count[LINE_NEWEST(me)]
        };
        if
        :: atomic {
                generation++;
#ifdef REAP_NO_COUNT
                generation = 0;
#endif
                store_drop
        }
        OR_END
        fi;

        do
        :: rounds == ROUNDS -> break
        :: rounds < ROUNDS ->
                /* Finds a message: the newest, or one that is kept. Nothing yet: tried later. */
                if
                :: atomic {
                        NEWEST(HEAD) > 0;
                        load_acquire(HEAD);
                        m = value[AT(HEAD, index)];
                        index = 0;
                        if
                        :: m > 1 && H > 1 -> m--
                        :: m > 0
                        :: m == 0 -> goto again
                        fi
                }
                OR_END
                fi;
                if
                :: atomic {
                        load_acquire(PLACE(m));
                        slot = value[AT(PLACE(m), index)];
                        index = 0;
                        /* Older than head allows: a reader calls the segment corrupt. */
                        assert(slot / SLOTS >= m);
                        if
                        :: slot / SLOTS != m -> goto again
                        :: else -> slot = slot % SLOTS
                        fi
                }
                OR_END
                fi;
                if
                :: atomic {
                        load_acquire(STAMP(slot));
                        assert(value[AT(STAMP(slot), index)] >= 2 * m);
                        if
                        :: value[AT(STAMP(slot), index)] != 2 * m -> index = 0; goto again
                        :: else -> index = 0
                        fi
                }
                OR_END
                fi;
                /* pin.dekker: the pin, the fence, the second look. */
                if
                :: atomic {
#ifndef REAP_NO_COUNT
                        generation++;
#endif
                        store_pin(slot + 1)
                }
                OR_END
                fi;
                if
                :: atomic {
#ifndef NO_READER_FENCE
                        reader_fence()
#else
                        skip
#endif
                }
                OR_END
                fi;
                if
                :: atomic {
#ifdef NO_RECHECK
                        held[me] = slot + 1;
#else
                        load(PLACE(m));
                        RAISE(remembered, cover[AT(PLACE(m), index)]);
                        if
                        :: value[AT(PLACE(m), index)] == PLACED(m, slot) -> held[me] = slot + 1
                        :: else
                        fi;
                        index = 0;
#endif
                        skip
                }
                OR_END
                fi;
                if
                :: !held[me]
                :: held[me] ->
                        /* Twice: it stays what it is. */
                        if
                        :: atomic {
                                load(PAYLOAD(slot));
                                assert(value[AT(PAYLOAD(slot), index)] == committed[m]);
#ifdef CONTROL_HELD
                                assert(m < M);
#endif
                                index = 0
                        }
                        OR_END
                        fi;
                        if
                        :: atomic {
                                load(PAYLOAD(slot));
                                assert(value[AT(PAYLOAD(slot), index)] == committed[m]);
                                index = 0;
                                reads[me]++;
                                last_read[me * SLOTS + slot] = reads[me];
                                /* pin.owner: nobody but its owner clears it. */
                                assert(pinned[LINE_NEWEST(me)] == slot + 1)
                        }
                        OR_END
                        fi
                fi;
                /* pin.drop: the reads before the line lets go. */
                if
                :: atomic {
                        held[me] = 0;
                        store_drop
                }
                OR_END
                fi;
again:
                atomic {
                        rounds++;
                        m = 0;
                        slot = 0
                }
        od
}

/* --- the manager: clears what the dead held --- */

proctype reaper()
{
        byte looks, line, seen, seen_count;

        do
        :: looks == REAPS -> break
        :: looks < REAPS ->
                /* pin.owner: the word before the semaphore. */
                atomic {
                        if
                        :: line = 0
                        :: LINES > 1 -> line = LINES - 1
                        fi;
                        /* The newest: an older one fails the exchange, or is the same. */
                        seen = pinned[LINE_NEWEST(line)];
                        seen_count = count[LINE_NEWEST(line)]
                };
                if
                :: seen == 0
                :: seen > 0 ->
                        if
                        :: owned[line]
                        :: !owned[line] ->
                                atomic {
                                        if
#ifdef REAP_PLAIN_STORE
                                        :: true
#else
                                        :: pinned[LINE_NEWEST(line)] == seen &&
                                           count[LINE_NEWEST(line)] == seen_count
#endif
                                        ->
                                                line_writes[line]++;
                                                IN_MODEL(line_writes[line] < LINE_HISTORY);
                                                pinned[LINE_NEWEST(line)] = 0;
                                                count[LINE_NEWEST(line)] = seen_count;
                                                /* Behind the death; the reads of the dead race
                                                 * with nothing. */
                                                line_cover[LINE_NEWEST(line)] =
                                                        line_cover[LINE(line, line_writes[line] - 1)]
#ifndef REAP_PLAIN_STORE
                                        :: else
#endif
                                        fi
                                }
                        fi
                fi;
                atomic {
                        looks++;
                        line = 0;
                        seen = 0;
                        seen_count = 0
                }
        od
}

init
{
        atomic {
                byte number;
                run publisher();
                for (number : 0 .. LINES - 1) {
                        run subscriber(number)
                }
#if REAPS > 0
                run reaper()
#endif
        }
}
