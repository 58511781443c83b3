/*
 * The ring's data path under C11's memory model, with a publisher killed at any step.
 *
 * Memory. Every write of the publisher gets a time (1, 2, ...) and is kept for ever: a location
 * is a list of (value, time, cover). `cover` says what a reader learns by acquiring that write:
 * all writes up to that time. A release store covers itself and all before it, a relaxed store
 * what the last release fence covered. A reader knows all writes up to its own `known`; a load
 * may return any write of its location that is not older than the newest one the reader knows of.
 * An acquire load raises `known` to the cover of what it read, a relaxed load only remembers the
 * cover, and an acquire fence raises `known` to all that was remembered. So stores arrive in any
 * order and loads run in any order that release, acquire and the fences do not forbid,
 * differently for each reader (as on POWER, weaker than x86 and ARMv8).
 *
 * For one writer at a time this is C11 itself (RC11: no value out of thin air): the modification
 * order of a location is the writer's order, and no reader writes. A dead publisher's writes come
 * before its successor's: claim.handover, the semaphore operation that gives the claim away is a
 * full barrier, and a process is killed between two instructions of program order.
 *
 * Checked: what is accepted is a whole message as it was committed, of the number that was asked
 * for; every number is delivered or missed once (delivered + missed == next - first); a stamp is
 * never smaller than head allows (a reader would call the segment corrupt); a take fails only if
 * the publisher has begun to overwrite the slot, so that the newest N - 1 messages stay readable
 * during a loan; a reader that is not overtaken gets to the end.
 *
 * Sizes: N slots, M messages, READERS, CRASHES, ABANDONS (loans given back). A slot has two words
 * of payload; they stand for all that is read inside the stamp window, times, epoch and length
 * included. Each take is in order or by newest, as the reader likes.
 *
 * Mutants: see tests/model/configurations.
 */

#ifndef N
#define N 2
#endif
#ifndef M
#define M 4
#endif
#ifndef READERS
#define READERS 1
#endif
#ifndef CRASHES
#define CRASHES 1
#endif
#ifndef ABANDONS
#define ABANDONS 1
#endif

/* Locations: N stamps, N times two words of payload, head. */
#define STAMP(m) ((m) % N)
#define FIRST(m) (N + (m) % N)
#define SECOND(m) (2 * N + (m) % N)
#define HEAD (3 * N)
#define LOCATIONS (3 * N + 1)

/* Writes a location can see: two a message for a stamp, one for head; a death or an abandoned loan
 * costs one or two more; the value it starts with. */
#define STAMP_WRITES (2 * ((M + N - 1) / N) + 2 * (CRASHES + ABANDONS))
#if M > STAMP_WRITES
#define HISTORY (M + 1)
#else
#define HISTORY (STAMP_WRITES + 1)
#endif
#define AT(location, index) ((location) * HISTORY + (index))

/* A bound of the model itself: run-model tells its failure from a fault of the protocol. */
#define IN_MODEL(condition)                                                                        \
        if                                                                                         \
        :: condition                                                                               \
        :: else -> assert(false)                                                                   \
        fi

byte value[LOCATIONS * HISTORY];
byte time[LOCATIONS * HISTORY];
byte cover[LOCATIONS * HISTORY];
byte writes[LOCATIONS]; /* index of the newest */
byte moment;               /* writes so far */
byte fenced;            /* what the publisher's last release fence covers */

/* For the assertions only: the content that message m was committed with, the newest message that
 * somebody began to write. */
byte committed[M + 1];
byte begun;

#define NEWEST(location) value[AT(location, writes[location])]

inline store(location, v, covered)
{
        moment++;
        writes[location]++;
        IN_MODEL(writes[location] < HISTORY);
        value[AT(location, writes[location])] = v;
        time[AT(location, writes[location])] = moment;
        cover[AT(location, writes[location])] = covered;
}

/* A release store is a release fence for itself only. */
#define store_release(location, v) store(location, v, moment)
#define store_relaxed(location, v) store(location, v, fenced)

/* The mutants of the publisher. */
#ifdef NO_RELEASE_FENCE
#define release_fence() skip
#else
#define release_fence() fenced = moment
#endif
#ifdef EVEN_STAMP_RELAXED
#define store_even_stamp store_relaxed
#else
#define store_even_stamp store_release
#endif
#ifdef HEAD_RELAXED
#define store_head store_relaxed
#else
#define store_head store_release
#endif

/* A kill instead of the next step. What the process knew is gone. */
#define OR_DIE                                                                                     \
        ::atomic                                                                                   \
        {                                                                                          \
                deaths < CRASHES -> deaths++;                                                      \
                m = 0;                                                                             \
                goto takeover                                                                      \
        }

proctype publisher()
{
        byte m;        /* the message being written */
        byte content;  /* differs for each loan, also of the same number */
        byte deaths;
        byte abandons;

takeover:
        /* claim.handover: sees, and stands behind, all that the dead one wrote. */
        if
        :: d_step {
                fenced = moment;
#ifndef NO_ANNOUNCE
                m = NEWEST(HEAD) + 1;
                if
                :: NEWEST(STAMP(m)) == 2 * m -> store_release(HEAD, m)
                :: else
                fi;
                m = 0
#endif
        }
        OR_DIE
        fi;

        do
        :: NEWEST(HEAD) == M -> break
        :: NEWEST(HEAD) < M ->
                /* slot.busy: the odd stamp, then the fence, then the payload. Pairs with the fence
                 * before the reader's second look at the stamp. */
                if
                :: d_step {
                        m = NEWEST(HEAD) + 1;
                        content++;
                        begun = m;
#ifndef NO_ODD_STAMP
                        store_relaxed(STAMP(m), 2 * m - 1);
#endif
                        release_fence()
                }
                OR_DIE
                fi;
                if
                :: d_step { store_relaxed(FIRST(m), content) }
                :: d_step { abandons < ABANDONS -> abandons++; m = 0 }; goto next_message
                OR_DIE
                fi;
                if
                :: d_step { store_relaxed(SECOND(m), content) }
                :: d_step { abandons < ABANDONS -> abandons++; m = 0 }; goto next_message
                OR_DIE
                fi;
                /* slot.ready: all words before the even stamp. */
                if
                :: d_step {
                        store_even_stamp(STAMP(m), 2 * m);
                        committed[m] = content
                }
                :: d_step { abandons < ABANDONS -> abandons++; m = 0 }; goto next_message
                OR_DIE
                fi;
                /* head.publish: the slot before head. */
                if
                :: d_step {
                        store_head(HEAD, m);
                        m = 0
                }
                OR_DIE
                fi
next_message:
                skip
        od
}

/* Chooses what a load returns: from the newest write back to the newest that the reader knows, but
 * not before `index_from` (two loads of one location do not go back). */
inline load(location, index_from)
{
        index = writes[location];
        do
        :: index > index_from && time[AT(location, index)] > known -> index--
        :: break
        od
}

inline remember(location)
{
        if
        :: cover[AT(location, index)] > remembered -> remembered = cover[AT(location, index)]
        :: else
        fi
}

#define acquire_fence()                                                                            \
        if                                                                                         \
        :: remembered > known -> known = remembered                                                \
        :: else                                                                                    \
        fi

inline load_relaxed(location, index_from)
{
        load(location, index_from);
        remember(location)
}

inline load_acquire(location, index_from)
{
        load_relaxed(location, index_from);
        if
        :: cover[AT(location, index)] > known -> known = cover[AT(location, index)]
        :: else
        fi
}

/* The mutants of the reader. */
#ifdef NO_ACQUIRE_FENCE
#define reader_fence() skip
#else
#define reader_fence() acquire_fence()
#endif
#ifdef HEAD_LOAD_RELAXED
#define load_head load_relaxed
#else
#define load_head load_acquire
#endif
#ifdef STAMP_LOAD_RELAXED
#define load_stamp load_relaxed
#else
#define load_stamp load_acquire
#endif

/* Reads message `m` out of its slot; leaves 1 in `got` if it is whole. */
inline read_slot()
{
        atomic {
                load_stamp(STAMP(m), 0);
                stamp_index = index;
                index = 0;
                /* Smaller than head allows: a reader calls the segment corrupt and leaves. */
                assert(value[AT(STAMP(m), stamp_index)] >= 2 * m);
                got = (value[AT(STAMP(m), stamp_index)] == 2 * m)
        };
        if
        :: got ->
                /* One step for both words: nothing orders two relaxed loads, and the first may
                 * still return later what it could have returned before. */
                atomic {
                        load_relaxed(FIRST(m), 0);
                        first = value[AT(FIRST(m), index)];
                        load_relaxed(SECOND(m), 0);
                        second = value[AT(SECOND(m), index)];
                        index = 0
                };
                /* slot.busy: the payload before the second look. */
                atomic {
                        reader_fence();
#ifndef NO_RECHECK
                        load_relaxed(STAMP(m), stamp_index);
                        got = (value[AT(STAMP(m), index)] == 2 * m);
                        index = 0;
#endif
#ifdef CONTROL_DELIVERED
                        assert(!(got && m == M));
#endif
                        if
                        :: got ->
                                assert(first == committed[m]);
                                assert(second == committed[m])
                        :: else
                        fi;
                        first = 0;
                        second = 0
                }
        :: else
        fi;
        atomic {
                stamp_index = 0;
                /* Unless the publisher has begun message m + N the sample is there. */
                assert(got || begun >= m + N)
        }
}

inline pass_over(to)
{
        missed = missed + to - next;
        next = to
}

proctype reader()
{
        byte known, remembered;
        byte next, beginning, delivered, missed;
        byte h, m, index, stamp_index, first, second;
        byte tries;
        bit got, newest;

        /* Start: NEWEST, OLDEST or NEXT. */
        atomic {
                load_head(HEAD, 0);
                h = value[AT(HEAD, index)];
                index = 0;
                if
                :: next = h + 1
                :: h > 0 -> next = h
                :: h > N -> next = h - N + 1
                :: h <= N -> next = 1
                fi;
                beginning = next;
                h = 0
        };
        do
        :: next > M -> break
        :: next <= M ->
                /* Nothing new leaves the same state, so that need not be tried for ever. */
                NEWEST(HEAD) >= next;
                if
                :: newest = 0
                :: newest = 1
                fi;
                do
                :: atomic {
                        load_head(HEAD, 0);
                        h = value[AT(HEAD, index)];
                        index = 0;
                        if
                        :: h < next -> break
                        :: h >= next && newest -> m = h
                        :: h >= next && !newest ->
                                if
                                :: h - next >= N -> pass_over(h - N + 1)
                                :: else
                                fi;
                                m = next
                        fi;
                        h = 0
                };
                read_slot();
                atomic {
                        tries = tries + newest; /* in order: up to 64, more than M */
                        if
                        :: got -> pass_over(m); next++; delivered++; break
                        :: !got && !newest -> pass_over(m + 1)
                        /* A view of the newest that was refused on release is missed; a take of the
                         * newest tries again and leaves the counts alone. */
                        :: !got && newest -> pass_over(m + 1); break
                        :: !got && newest && tries < 3
                        :: !got && newest && tries == 3 -> break
                        fi
                }
                od;
                atomic {
                        got = 0;
                        newest = 0;
                        tries = 0;
                        h = 0;
                        m = 0;
                        assert(delivered + missed == next - beginning)
                }
        od
}

init
{
        atomic {
                byte reader_number;
                run publisher();
                for (reader_number : 1 .. READERS) {
                        run reader()
                }
        }
}
