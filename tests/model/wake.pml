/*
 * The wake-up under C11's memory model, with a publisher killed at any step and without the bound
 * of 100 ms that the code has on every sleep.
 *
 * Memory. Three words matter: `head` and `wake`, written by the publisher alone, and `asleep` on
 * the wake board, written by all. Each keeps its list of writes. A thread knows each word up to
 * some write (knows_head, knows_wake, knows_asleep) and a load may return that write or any later
 * one: stores become visible late, in any order, to each thread at another time, and loads run
 * early. A release store carries what its writer knows, an acquire load learns it. seq_cst fences
 * exchange knowledge with one common view (sc_*), in the order in which they run: of two threads
 * that each store, fence and load, one sees the other's store. This is RC11, C11 without values
 * out of thin air; what a relaxed store to `asleep` could carry from an earlier fence is left
 * out, so the model allows a little more. Writes of `asleep` that the publisher knows to be
 * overwritten are forgotten.
 *
 * With ANY_PLACE a store to `asleep` may come to stand anywhere in the list behind the write that
 * its thread knows, as C11 has it. Without, it comes last. Where head and wake are stored with
 * release and loaded with acquire that loses nothing: the order of a word's writes then agrees
 * with program order, with what synchronizes and with the order of the fences, so that any
 * execution can also be told with the stores of `asleep` in the order in which they overwrite
 * each other. The sizes that are small enough are checked both ways.
 *
 * The kernel. futex_wake() and futex_wait() each run in one step, as under the hash bucket's
 * lock, and each is a full barrier (as its comments in kernel/futex promise): whoever queues
 * after a FUTEX_WAKE compares with a word at least as new as the waker's. FUTEX_WAKE takes any of
 * the sleepers, at most WAITERS. A thread that was woken learns nothing by that.
 *
 * Threads: a publisher that dies CRASHES times at any step, each time succeeded by a standby (the
 * claim is a full barrier: the successor knows what the dead one knew, but none of its
 * variables); SLEEPERS in take / wait loops; POLLERS that take one sample whenever their fd is
 * readable, and GLANCES times without being asked. M messages. With SUBSCRIBER_DIES the first
 * sleeper may be killed once its flag is set, before or while it waits in the kernel (killed
 * earlier it leaves nothing behind).
 *
 * With CHAIN each sleeper that was woken wakes WAITERS more, of those who sleep on another value than
 * wake has (`wake: chain`). Whoever finds fewer says so some time later, which may be seen or not;
 * who sees it does not look for more. (Each value that was stored there since the topic was made is
 * true, so it is the same to see an old one and to see none.)
 *
 * Checked: when nothing can move any more, everybody has seen everything. Only where WAITERS
 * limits a wake-up may somebody be left, and then the publisher still owes one (`need`), which
 * its next message pays; with CHAIN only where a link was killed besides.
 *
 * Mutants: see tests/model/configurations.
 */

#ifndef M
#define M 2
#endif
#ifndef SLEEPERS
#define SLEEPERS 2
#endif
#ifndef POLLERS
#define POLLERS 0
#endif
#ifndef CRASHES
#define CRASHES 1
#endif
#ifndef GLANCES
#define GLANCES 1
#endif
#define PUBLISHER 0
#define THREADS (1 + SLEEPERS + POLLERS)
#ifndef WAITERS
#define WAITERS THREADS
#endif

/* A bound of the model itself: run-model tells its failure from a fault of the protocol. */
#define IN_MODEL(condition)                                                                        \
        if                                                                                         \
        :: condition                                                                               \
        :: else -> assert(false)                                                                   \
        fi

/* head: the n-th write stores n, so a write is its value. */
byte head;
byte head_wake[M + 1]; /* what acquiring it teaches about wake and asleep */
#ifdef ANY_PLACE
byte head_asleep[M + 1];
#endif

#define WAKE_WRITES (M + CRASHES + 1)
byte wake; /* number of the newest write */
byte wake_value[WAKE_WRITES];
byte wake_head[WAKE_WRITES];
#ifdef ANY_PLACE
byte wake_asleep[WAKE_WRITES];
#endif

/* Only the publisher loads `asleep`, and only to find a 1 or a 0. Unless stores may come to stand
 * before older ones nobody else has a use for where it stands. */
#ifdef ANY_PLACE
#define learn_asleep(me, other) learn(knows_asleep[me], other)
#define carry_asleep(other) other = knows_asleep[PUBLISHER]
#define fence_asleep(me) knows_asleep[me] = sc_asleep
#define ASLEEP_WRITES (4 * THREADS)
#else
#define learn_asleep(me, other) skip
#define carry_asleep(other) skip
#define fence_asleep(me) knows_asleep[me] = (me == PUBLISHER -> sc_asleep : 0)
#define ASLEEP_WRITES 3
#endif

byte asleep; /* number of the newest write that is kept */
bit asleep_value[ASLEEP_WRITES];

byte knows_head[THREADS];
byte knows_wake[THREADS];
byte knows_asleep[THREADS];
byte sc_head;
byte sc_wake;
byte sc_asleep;

#ifdef CHAIN
byte expects[THREADS]; /* what it sleeps on */
bit passing[THREADS];  /* was woken, and has not passed that on */
bit chain_end[M + 1];  /* somebody has said so of this value of wake */
#endif
bit queued[THREADS];   /* waits in the kernel: asleep, or for a poller's fd */
bit ended[THREADS];    /* of a poller: its wait has ended, which it has not looked at yet */
bit readable[THREADS]; /* of a poller: its fd */
byte seen[THREADS];    /* newest message taken */
bit need;              /* the publisher owes a wake-up */
byte whole;            /* newest message with an even stamp */

#define learn(what, other)                                                                         \
        if                                                                                         \
        :: (other) > (what) -> what = (other)                                                      \
        :: else                                                                                    \
        fi

inline seq_cst_fence(me)
{
        d_step {
                learn(sc_head, knows_head[me]);
                learn(sc_wake, knows_wake[me]);
                learn(sc_asleep, knows_asleep[me]);
                knows_head[me] = sc_head;
                knows_wake[me] = sc_wake;
                fence_asleep(me)
        }
}

/* Any write from the one that is known to the newest. */
#define choose(index, known, newest)                                                               \
        index = known;                                                                             \
        do                                                                                         \
        :: index < (newest) -> index++                                                             \
        :: break                                                                                   \
        od;                                                                                        \
        skip

inline load_head_acquire(me)
{
        choose(knows_head[me], knows_head[me], head);
        learn(knows_wake[me], head_wake[knows_head[me]]);
        learn_asleep(me, head_asleep[knows_head[me]])
}

/* The value is wake_value[knows_wake[me]]. */
inline load_wake_acquire(me)
{
        choose(knows_wake[me], knows_wake[me], wake);
#ifndef WAKE_LOAD_RELAXED
        learn(knows_head[me], wake_head[knows_wake[me]]);
        learn_asleep(me, wake_asleep[knows_wake[me]])
#endif
}

#define shift_up(what)                                                                             \
        if                                                                                         \
        :: (what) >= place -> what++                                                               \
        :: else                                                                                    \
        fi
#define shift_down(what)                                                                           \
        if                                                                                         \
        :: (what) > place -> what = (what) - place                                                 \
        :: else -> what = 0                                                                        \
        fi

#ifdef ANY_PLACE
#define for_each_asleep_index(shift)                                                               \
        for (i : 0 .. THREADS - 1) {                                                               \
                shift(knows_asleep[i])                                                             \
        }                                                                                          \
        for (i : 0 .. M) {                                                                         \
                shift(head_asleep[i])                                                              \
        }                                                                                          \
        for (i : 0 .. WAKE_WRITES - 1) {                                                           \
                shift(wake_asleep[i])                                                              \
        }                                                                                          \
        shift(sc_asleep)
#else
#define for_each_asleep_index(shift)                                                               \
        for (i : 0 .. THREADS - 1) {                                                               \
                shift(knows_asleep[i])                                                             \
        }                                                                                          \
        shift(sc_asleep)
#endif

/* Writes that the publisher, and with ANY_PLACE everybody, knows to be overwritten. */
inline forget_asleep()
{
        place = knows_asleep[PUBLISHER];
#ifdef ANY_PLACE
        for (i : 1 .. THREADS - 1) {
                if
                :: knows_asleep[i] < place -> place = knows_asleep[i]
                :: else
                fi
        }
#endif
        for_each_asleep_index(shift_down);
        for (i : 0 .. ASLEEP_WRITES - 1) {
                if
                :: i + place <= asleep -> asleep_value[i] = asleep_value[i + place]
                :: else -> asleep_value[i] = 0
                fi
        }
        asleep = asleep - place;
        place = 0;
        i = 0
}

/* The publisher only; leaves the value in `look`. */
inline load_asleep_relaxed()
{
        choose(knows_asleep[PUBLISHER], knows_asleep[PUBLISHER], asleep);
        look = asleep_value[knows_asleep[PUBLISHER]];
        d_step { forget_asleep() }
}

/* place, i: variables of the caller, 0 before and after. */
inline store_asleep_relaxed(me, v)
{
#ifdef ANY_PLACE
        choose(place, knows_asleep[me] + 1, asleep + 1);
#endif
        d_step {
#ifdef ANY_PLACE
                asleep++;
                i = asleep;
                do
                :: i > place -> asleep_value[i] = asleep_value[i - 1]; i--
                :: else -> break
                od;
#else
                /* Two equal writes next to each other cannot be told apart. */
                if
                :: asleep_value[asleep] != v -> asleep++
                :: else
                fi;
                place = asleep;
#endif
                IN_MODEL(asleep < ASLEEP_WRITES);
                asleep_value[place] = v;
#ifdef ANY_PLACE
                for_each_asleep_index(shift_up);
#endif
                knows_asleep[me] = place;
                forget_asleep()
        }
}

/* head.publish */
inline store_head_release(m)
{
        d_step {
                head = m;
                knows_head[PUBLISHER] = m;
                head_wake[m] = wake;
                carry_asleep(head_asleep[m])
        }
}

/* wake.word */
inline store_wake_release(v)
{
        d_step {
                wake++;
                wake_value[wake] = v;
                knows_wake[PUBLISHER] = wake;
#ifndef WAKE_RELAXED
                wake_head[wake] = head;
                carry_asleep(wake_asleep[wake])
#endif
        }
}

/* The kernel's wake-up is a barrier between who wakes and who is woken (its memory-barriers.txt,
 * "Sleep and wake-up functions"); only a chain makes use of it. */
#ifdef CHAIN
#define learn_from(me, thread)                                                                     \
        learn(knows_head[thread], knows_head[me]);                                                 \
        learn(knows_wake[thread], knows_wake[me]);                                                 \
        passing[thread] = 1
#else
#define learn_from(me, thread) skip
#endif

inline dequeue(me, thread)
{
        queued[thread] = 0;
        woken++;
        learn_from(me, thread);
        if
        :: thread > SLEEPERS -> ended[thread] = 1; readable[thread] = 1
        :: else
        fi
}

#if defined(CHAIN) && !defined(CHAIN_ANY)
/* Who has seen the number that the waker knows sleeps on. */
#define wakes(me, thread) (woken < WAITERS && queued[thread] &&                                    \
                           expects[thread] != wake_value[knows_wake[me]])
#else
#define wakes(me, thread) (woken < WAITERS && queued[thread])
#endif

/* woken: a variable of the caller, 0 before. */
inline wake_some(me)
{
        seq_cst_fence(me);
        do
        :: wakes(me, 1) -> dequeue(me, 1)
#if THREADS > 2
        :: wakes(me, 2) -> dequeue(me, 2)
#endif
#if THREADS > 3
        :: wakes(me, 3) -> dequeue(me, 3)
#endif
        :: else -> break
        od
}

#if defined(CHAIN) && defined(CHAIN_END_EARLY)
#define is_end (woken > 0)
#elif defined(CHAIN)
#define is_end (woken < WAITERS)
#endif

inline futex_wake()
{
        atomic {
                wake_some(PUBLISHER);
#ifdef CHAIN
                /* The publisher knows what wake has. Killed before it says so it leaves them to
                 * look for themselves. */
                chain_end[wake_value[wake]] = chain_end[wake_value[wake]] | is_end;
#endif
#ifdef NEED_NOT_CARRIED
                need = 0;
#else
                need = (woken == WAITERS);
#endif
                woken = 0
        }
}

/* A kill instead of the next step. What the process knew in its variables is gone. */
#define OR_DIE                                                                                     \
        ::atomic                                                                                   \
        {                                                                                          \
                deaths < CRASHES -> deaths++;                                                      \
                need = 0;                                                                          \
                look = 0;                                                                          \
                goto takeover                                                                      \
        }

/* need = asleep; if set, asleep = 0: two steps, for a death between them. */
#define LOOK                                                                                       \
        if                                                                                         \
        :: atomic {                                                                                \
                load_asleep_relaxed();                                                             \
                KEEP_NEED                                                                          \
        }                                                                                          \
        OR_DIE                                                                                     \
        fi
#define CLEAR                                                                                      \
        if                                                                                         \
        :: atomic {                                                                                \
                if                                                                                 \
                :: look -> store_asleep_relaxed(PUBLISHER, 0); look = 0                            \
                :: else                                                                            \
                fi                                                                                 \
        }                                                                                          \
        OR_DIE                                                                                     \
        fi
#ifdef NEED_DROPPED
#define KEEP_NEED skip
#else
#define KEEP_NEED need = need | look
#endif

proctype publisher()
{
        byte deaths, woken, place, i;
        bit look;

        goto publish;

takeover:
        /* claim.handover. Announces what was whole, or the number is used again. */
        if
        :: atomic {
                if
                :: whole > head -> store_head_release(whole)
                :: else
                fi
        }
        OR_DIE
        fi;
#ifndef TAKEOVER_NO_WAKE_STORE
        if
        :: store_wake_release(head)
        OR_DIE
        fi;
#endif
#ifndef TAKEOVER_NO_WAKE
        if
        :: futex_wake()
        OR_DIE
        fi;
#endif
#ifdef TAKEOVER_OWES
        need = 1;
#endif

publish:
        do
        :: head == M -> break
        :: head < M ->
#ifdef CLEAR_BEFORE_STAMP
                LOOK;
                CLEAR;
#endif
                if
                :: whole = head + 1
                OR_DIE
                fi;
                /* asleep.clear: before head, so that whoever has seen this message and goes to
                 * sleep again sets a flag that stays. */
#if !defined(CLEAR_BEFORE_STAMP)
                LOOK;
#if !defined(CLEAR_AFTER_HEAD) && !defined(CLEAR_BETWEEN)
                CLEAR;
#endif
#endif
                if
                :: store_head_release(whole)
                OR_DIE
                fi;
#ifdef CLEAR_BETWEEN
                CLEAR;
#endif
                if
                :: store_wake_release(head)
                OR_DIE
                fi;
#ifdef CLEAR_AFTER_HEAD
                CLEAR;
#endif
                /* asleep.dekker: head and wake, then the fence, then the second look. */
#ifndef NO_PUBLISHER_FENCE
                if
                :: seq_cst_fence(PUBLISHER)
                OR_DIE
                fi;
#endif
#ifndef NO_SECOND_LOOK
                if
                :: atomic { load_asleep_relaxed() }
                OR_DIE
                fi;
#endif
                if
                :: atomic { need || look -> look = 0; futex_wake() }
                :: !need && !look
                OR_DIE
                fi
        OR_DIE
        od;
        /* Idle, and may still be killed. */
        if
        :: true
        OR_DIE
        fi
}

/* w = wake, asleep = 1, fence, re-check; goes to `something` if there is a new message. */
#define PREPARE(something)                                                                         \
        READ_WAKE_FIRST;                                                                           \
        atomic { store_asleep_relaxed(me, 1) };                                                    \
        SLEEPER_FENCE;                                                                             \
        RECHECK(something);                                                                        \
        READ_WAKE_LAST
#define READ_WAKE                                                                                  \
        atomic {                                                                                   \
                load_wake_acquire(me);                                                             \
                w = wake_value[knows_wake[me]]                                                     \
        }
#ifdef WAKE_READ_LAST
#define READ_WAKE_FIRST skip
#define READ_WAKE_LAST READ_WAKE
#else
#define READ_WAKE_FIRST READ_WAKE
#define READ_WAKE_LAST skip
#endif
#ifdef NO_SLEEPER_FENCE
#define SLEEPER_FENCE skip
#else
#define SLEEPER_FENCE seq_cst_fence(me)
#endif
#ifdef NO_SLEEPER_RECHECK
#define RECHECK(something) skip
#else
#define RECHECK(something)                                                                         \
        atomic {                                                                                   \
                load_head_acquire(me);                                                             \
                if                                                                                 \
                :: knows_head[me] > seen[me] -> w = 0; goto something                              \
                :: else                                                                            \
                fi                                                                                 \
        }
#endif

/* Queues unless the word has changed. */
inline futex_wait(me)
{
        seq_cst_fence(me);
        choose(knows_wake[me], knows_wake[me], wake);
        queued[me] = (wake_value[knows_wake[me]] == w);
#ifdef CHAIN
        expects[me] = w;
#endif
        w = 0
}

/* Killed: the kernel takes it out of the queue; its 1 on the wake board stays. */
#ifdef SUBSCRIBER_DIES
#define DEAD 255
#define OR_SUBSCRIBER_DIES                                                                         \
        ::atomic                                                                                   \
        {                                                                                          \
                me == 1;                                                                           \
                queued[me] = 0;                                                                    \
                seen[me] = DEAD;                                                                   \
                w = 0;                                                                             \
                goto dead                                                                          \
        }
#else
#define OR_SUBSCRIBER_DIES
#endif

proctype sleeper(byte me)
{
        byte w, place, i;
#ifdef CHAIN
        byte woken;
        bit pass, end;
#endif

take:
        atomic {
                load_head_acquire(me);
                if
                :: knows_head[me] > seen[me] -> seen[me] = knows_head[me]; goto take
                :: else
                fi
        };
        PREPARE(take);
        if
        :: atomic { futex_wait(me) }
        OR_SUBSCRIBER_DIES
        fi;
#ifdef CONTROL_WOKEN
        /* Control: somebody who slept is woken and finds the last message. */
        if
        :: queued[me] -> !queued[me]; assert(!(head == M && seen[me] < M))
        :: else
        fi;
#endif
end_asleep:
        if
        :: !queued[me]
        OR_SUBSCRIBER_DIES
        fi;
#if defined(CHAIN) && !defined(CHAIN_NO_PASS)
        /* Passes it on before it reads: where the word is another than it slept on. Killed before
         * that, it leaves those behind it asleep. */
        if
        :: atomic {
                passing[me];
                passing[me] = 0;
                load_wake_acquire(me);
                pass = (wake_value[knows_wake[me]] != expects[me])
        }
        /* chain_end: it is seen, or not yet. */
        :: atomic {
                passing[me];
                passing[me] = 0;
                load_wake_acquire(me);
                pass = (wake_value[knows_wake[me]] != expects[me] &&
                        !chain_end[wake_value[knows_wake[me]]])
        }
        :: atomic { !passing[me] }
        OR_SUBSCRIBER_DIES
        fi;
        if
        :: atomic {
                pass -> pass = 0;
                wake_some(me);
                end = is_end;
                woken = 0
        }
        :: atomic { !pass }
        OR_SUBSCRIBER_DIES
        fi;
        if
        :: atomic { end -> end = 0; chain_end[wake_value[knows_wake[me]]] = 1 }
        :: atomic { !end }
        OR_SUBSCRIBER_DIES
        fi;
#endif
        goto take;
dead:
        skip
}

/* What the wait set learns from the completions that the kernel has posted. */
inline collect(me)
{
        if
        :: ended[me] -> ended[me] = 0; armed = 0; dirty = 1
        :: else
        fi
}

/* One sample a readiness, as a careless event loop does it. The fd is lowered only while the wait
 * is armed, and what ended meanwhile is looked for behind that. */
proctype poller(byte me)
{
        byte w, place, i, glances;
        bit armed, dirty, found;

        readable[me] = 1;
        dirty = 1;
        goto arm;

end_poll:
        if
        /* slipring_waitset_ready(): whatever raised the fd, it must not stay so. */
        :: atomic { readable[me] -> dirty = 1 }
        :: atomic { readable[me] }
        :: atomic { glances < GLANCES -> glances++ }
        fi;
        atomic {
                load_head_acquire(me);
                found = (knows_head[me] > seen[me]);
                seen[me] = seen[me] + found
        };
        atomic {
                collect(me);
#ifdef REARM_AFTER_SUCCESS_ONLY
                if
                :: !armed && !found -> readable[me] = 0; dirty = 0; goto end_poll
                :: else
                fi;
#endif
                found = 0
        };
arm:
        /* The wait is one-shot: every take that leaves it unarmed arms it again. */
        if
        :: atomic { armed -> goto settle }
        :: atomic { !armed }
        fi;
        PREPARE(settle);
        atomic {
                futex_wait(me);
                armed = 1;
                /* -EAGAIN is a completion, too. */
                if
                :: !queued[me] -> ended[me] = 1; readable[me] = 1
                :: else
                fi
        };
settle:
        if
        :: atomic { dirty && armed }
        :: else -> goto end_poll
        fi;
        atomic {
                dirty = 0;
                if
                :: readable[me] -> readable[me] = 0
                :: else -> goto end_poll
                fi
        };
#ifndef NO_LOOK_BEHIND
        atomic { collect(me) };
        atomic {
                if
                :: !armed -> readable[me] = 1
                :: else
                fi
        };
#endif
        goto end_poll
}

/* A chain of which no link was killed reaches everybody. */
#if defined(CHAIN) && !defined(SUBSCRIBER_DIES)
#define OWED 0
#else
#define OWED (WAITERS < THREADS)
#endif

proctype monitor()
{
        byte thread;

        timeout ->
                for (thread : 1 .. THREADS - 1) {
                        assert(seen[thread] >= head || (OWED && need))
                }
}

init
{
        atomic {
                byte thread;
                run publisher();
                for (thread : 1 .. THREADS - 1) {
                        if
                        :: thread <= SLEEPERS -> run sleeper(thread)
                        :: else -> run poller(thread)
                        fi
                }
                thread = 0;
                run monitor()
        }
}
