/*
 * Many topics behind one pollable file descriptor.
 *
 * The descriptor is an eventfd. Each subscriber of the set has a watch, which is armed while
 * something waits on the topic's wake word on its behalf: io_uring where the kernel has futex waits
 * in it, else a helper thread. A wait that ends raises the descriptor and leaves its watch unarmed;
 * a take arms it again, also one that found nothing. The descriptor is lowered only while every
 * watch is armed, and after lowering it what ended meanwhile is looked for, so it stays readable as
 * long as any watch is unarmed:
 *
 *   armed -> unarmed (the wait ended; the eventfd was signalled with that)
 *   unarmed -> armed (a take; the flag on the wake board was set and head looked at again before)
 */

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "bus/error.h"
#include "bus/guard.h"
#include "bus/probe.h"
#include "bus/uring.h"
#include "bus/wake.h"
#include "subscribers/subscriber.h"

enum backend {
        BACKEND_URING,
        BACKEND_WAITV, /* a helper thread for each 127 watches */
        BACKEND_WAIT,  /* a helper thread for each watch */
};

struct helper;

struct watch {
        struct slipring_waitset *waitset;
        struct slipring_subscriber *subscriber; /* NULL: a free place */
        bool armed;
        uint32_t expected; /* the wake word's value when it was armed */
        uint64_t next;     /* the sample that was not there then */

        uint32_t index;      /* in the set's array */
        uint32_t generation; /* uring: tells completions of this wait from older ones */
        bool suspect;        /* uring: armed at the last tick although the word had moved */

        struct helper *helper;
        bool fired; /* helper: its wait has ended, under the helper's lock */
};

struct helper {
        pthread_t thread;
        pthread_mutex_t lock;
        _Atomic uint32_t control; /* changed and woken when there is something new to look at */
        bool stop;
        bool ended;
        struct slipring_waitset *waitset;
        struct watch *watches[WAKE_ITEMS_MAX - 1];
        size_t count;
        size_t capacity;
};

struct slipring_waitset {
        uint32_t cookie;
        enum backend backend;
        int event;
        bool dirty;     /* the descriptor may be raised without a watch to show for it */
        size_t unarmed; /* watches that are not armed */
        struct watch **watches;
        size_t count;
        size_t first; /* where slipring_waitset_ready() begins, in turn */

        struct uring uring;
        bool ticking; /* uring: the timer runs */
        struct helper **helpers;
        size_t helper_count;
        _Atomic uint32_t fired; /* counts what helpers found */
        uint32_t fired_seen;
};

/* Completions that belong to no watch. */
#define ID_TICK UINT64_MAX
#define ID_CANCEL (UINT64_MAX - 1)

static void raise_event(struct slipring_waitset *waitset) {
        uint64_t one = 1;

        /* Fails only at the counter's end, when it is raised anyway. */
        if (write(waitset->event, &one, sizeof(one)) < 0) {
                return;
        }
}

static void watch_ended(struct watch *watch) {
        if (watch->armed) {
                watch->armed = false;
                watch->waitset->unarmed++;
        }
}

static struct wake_item watch_item(const struct watch *watch) {
        return (struct wake_item){
                .word = &watch->subscriber->reader.ring.words->wake,
                .expected = watch->expected,
                .chain_end = watch->subscriber->chain_end,
        };
}

/* --- io_uring --- */

static uint64_t watch_id(const struct watch *watch) {
        return (uint64_t) watch->generation << 32 | watch->index;
}

/* Look again at what is armed, inside the bound: a wake-up may have been stolen, and with it the
 * wait that is parked elsewhere now. The first tick may just be ahead of a completion; the second
 * is not. */
static void uring_tick(struct slipring_waitset *waitset) {
        struct watch *watch;
        uint32_t word;
        size_t i;

        for (i = 0; i < waitset->count; i++) {
                watch = waitset->watches[i];
                if (!watch->subscriber || !watch->armed) {
                        continue;
                }
                /* relaxed: set again in case somebody cleared it; looked at again by the next tick.
                 */
                atomic_store_explicit(watch->subscriber->asleep, 1, memory_order_relaxed);
                /* wake.word: pairs with the store in ring_writer_commit(). */
                word = atomic_load_explicit(&watch->subscriber->reader.ring.words->wake,
                                            memory_order_acquire);
                if (word == watch->expected) {
                        watch->suspect = false;
                } else if (!watch->suspect) {
                        watch->suspect = true;
                } else {
                        (void) uring_cancel(&waitset->uring, watch_id(watch), ID_CANCEL);
                        watch->generation++;
                        watch_ended(watch);
                }
        }
}

/* Here, not in the kernel: it waits until this program looks. */
static void uring_pass(const struct watch *watch, int32_t result) {
        const struct wake_item item = watch_item(watch);

        if (result == 0) {
                wake_pass(&item);
        }
}

static void uring_collect(struct slipring_waitset *waitset) {
        struct watch *watch;
        int32_t result;
        uint64_t id;

        while (uring_next(&waitset->uring, &id, &result)) {
                waitset->dirty = true;
                if (id == ID_TICK) {
                        waitset->ticking = false;
                        uring_tick(waitset);
                } else if (id != ID_CANCEL && (uint32_t) id < waitset->count) {
                        watch = waitset->watches[(uint32_t) id];
                        if (watch->subscriber && watch->generation == id >> 32) {
                                uring_pass(watch, result);
                                watch_ended(watch);
                        }
                }
        }
        /* Where the kernel had no memory for it, by the next call. */
        if (!waitset->ticking) {
                waitset->ticking = uring_wait_ns(&waitset->uring, WAKE_BOUND_NS, ID_TICK) == 0;
        }
}

/* --- helper threads --- */

/* What a helper waits on: its control word first, then every armed watch that has not fired. */
static size_t helper_items(struct helper *helper, struct wake_item *items) {
        struct watch *watch;
        size_t i, count = 1;

        for (i = 0; i < helper->count; i++) {
                watch = helper->watches[i];
                if (!watch->armed || watch->fired) {
                        continue;
                }
                /* relaxed: armed with a fence already; set again in case somebody cleared it. */
                atomic_store_explicit(watch->subscriber->asleep, 1, memory_order_relaxed);
                items[count++] = watch_item(watch);
        }
        return count;
}

/* Which watches moved? Looks at the words, so that a wake-up for nothing stays unseen; and at head,
 * since the wake word is the same again after 2^32 samples. */
static void helper_look(struct helper *helper) {
        struct slipring_waitset *waitset = helper->waitset;
        const struct ring *ring;
        struct watch *watch;
        bool found = false;
        size_t i;

        for (i = 0; i < helper->count; i++) {
                watch = helper->watches[i];
                if (!watch->armed || watch->fired) {
                        continue;
                }
                ring = &watch->subscriber->reader.ring;
                /* wake.word: pairs with the store in ring_writer_commit(). */
                if (atomic_load_explicit(&ring->words->wake, memory_order_acquire) !=
                            watch->expected ||
                    /* head.publish: pairs with the store in ring_writer_commit(). */
                    atomic_load_explicit(&ring->words->head, memory_order_acquire) >= watch->next ||
                    ring_retired(ring)) {
                        watch->fired = true;
                        found = true;
                }
        }
        if (found) {
                /* relaxed: the helper's lock orders what it found. */
                atomic_fetch_add_explicit(&waitset->fired, 1, memory_order_relaxed);
                raise_event(waitset);
        }
}

static void helper_sleep(const struct helper *helper, const struct wake_item *items, size_t count) {
        uint64_t deadline_ns = wake_bound(UINT64_MAX);

        if (helper->waitset->backend == BACKEND_WAITV) {
                (void) wake_sleep_any(items, count, deadline_ns);
        } else {
                /* Its one watch if that is armed, else control: helper_rouse() reaches both. */
                (void) wake_sleep_poked(&items[count - 1], deadline_ns);
        }
}

static void *helper_main(void *argument) {
        struct wake_item items[WAKE_ITEMS_MAX];
        struct helper *helper = argument;
        size_t count;

        (void) pthread_mutex_lock(&helper->lock);
        while (!helper->stop) {
                helper_look(helper);
                items[0] = (struct wake_item){
                        .word = &helper->control,
                        /* relaxed: the lock orders it. */
                        .expected = atomic_load_explicit(&helper->control, memory_order_relaxed),
                };
                count = helper_items(helper, items);
                (void) pthread_mutex_unlock(&helper->lock);
                helper_sleep(helper, items, count);
                (void) pthread_mutex_lock(&helper->lock);
        }
        helper->ended = true;
        (void) pthread_mutex_unlock(&helper->lock);
        return NULL;
}

/* Under the helper's lock: have it look again. */
static void helper_poke(struct helper *helper) {
        /* relaxed: the lock orders it, the futex compares it. */
        atomic_fetch_add_explicit(&helper->control, 1, memory_order_relaxed);
        (void) wake_send(&helper->control, 1);
}

/* The same for a helper that may be asleep on its topic. */
static void helper_rouse(struct helper *helper) {
        helper_poke(helper);
        if (helper->waitset->backend == BACKEND_WAIT && helper->count > 0) {
                wake_poke(&helper->watches[0]->subscriber->reader.ring.words->wake);
        }
}

static int helper_start(struct slipring_waitset *waitset, struct helper **ret_helper) {
        struct helper *helper, **larger;
        sigset_t all, before;
        int r;

        larger = realloc(waitset->helpers, (waitset->helper_count + 1) * sizeof(*larger));
        if (!larger) {
                return -ENOMEM;
        }
        waitset->helpers = larger;
        helper = calloc(1, sizeof(*helper));
        if (!helper) {
                return -ENOMEM;
        }
        helper->waitset = waitset;
        helper->capacity = waitset->backend == BACKEND_WAITV ? WAKE_ITEMS_MAX - 1 : 1;
        (void) pthread_mutex_init(&helper->lock, NULL);
        /* The program's signals are the program's threads' business. */
        (void) sigfillset(&all);
        (void) pthread_sigmask(SIG_SETMASK, &all, &before);
        r = pthread_create(&helper->thread, NULL, helper_main, helper);
        (void) pthread_sigmask(SIG_SETMASK, &before, NULL);
        if (r != 0) {
                (void) pthread_mutex_destroy(&helper->lock);
                free(helper);
                return -r;
        }
        waitset->helpers[waitset->helper_count++] = helper;
        *ret_helper = helper;
        return 0;
}

static void helper_stop(struct helper *helper) {
        (void) pthread_mutex_lock(&helper->lock);
        helper->stop = true;
        helper_rouse(helper);
        (void) pthread_mutex_unlock(&helper->lock);
}

/* Wait for a helper that was told to stop. One that was not asleep yet missed that: tell it again.
 */
static void helper_end(struct helper *helper) {
        const struct timespec pause = {.tv_nsec = 100000};
        bool ended;

        do {
                (void) pthread_mutex_lock(&helper->lock);
                ended = helper->ended;
                if (!ended) {
                        helper_rouse(helper);
                }
                (void) pthread_mutex_unlock(&helper->lock);
                if (!ended) {
                        (void) clock_nanosleep(CLOCK_MONOTONIC, 0, &pause, NULL);
                }
        } while (!ended);
        (void) pthread_join(helper->thread, NULL);
        (void) pthread_mutex_destroy(&helper->lock);
}

static int helper_join(struct watch *watch) {
        struct slipring_waitset *waitset = watch->waitset;
        struct helper *helper = NULL;
        size_t i;
        int r;

        for (i = 0; i < waitset->helper_count && !helper; i++) {
                if (waitset->helpers[i]->count < waitset->helpers[i]->capacity) {
                        helper = waitset->helpers[i];
                }
        }
        if (!helper) {
                r = helper_start(waitset, &helper);
                if (r < 0) {
                        return r;
                }
        }
        (void) pthread_mutex_lock(&helper->lock);
        helper->watches[helper->count++] = watch;
        (void) pthread_mutex_unlock(&helper->lock);
        watch->helper = helper;
        return 0;
}

static void helper_leave(struct watch *watch) {
        struct helper *helper = watch->helper;
        size_t i = 0;

        if (!helper) {
                return;
        }
        (void) pthread_mutex_lock(&helper->lock);
        while (helper->watches[i] != watch) {
                i++;
        }
        helper->watches[i] = helper->watches[--helper->count];
        helper_poke(helper);
        (void) pthread_mutex_unlock(&helper->lock);
        watch->helper = NULL;
}

static void helper_collect(struct slipring_waitset *waitset) {
        /* relaxed: only tells whether a look under the locks is worth it. */
        uint32_t fired = atomic_load_explicit(&waitset->fired, memory_order_relaxed);
        struct helper *helper;
        size_t i, j;

        if (fired == waitset->fired_seen) {
                return;
        }
        waitset->fired_seen = fired;
        waitset->dirty = true;
        for (i = 0; i < waitset->helper_count; i++) {
                helper = waitset->helpers[i];
                (void) pthread_mutex_lock(&helper->lock);
                for (j = 0; j < helper->count; j++) {
                        if (helper->watches[j]->fired) {
                                helper->watches[j]->fired = false;
                                watch_ended(helper->watches[j]);
                        }
                }
                (void) pthread_mutex_unlock(&helper->lock);
        }
}

/* --- both --- */

static void collect(struct slipring_waitset *waitset) {
        if (waitset->backend == BACKEND_URING) {
                uring_collect(waitset);
        } else {
                helper_collect(waitset);
        }
}

static int start_wait(struct watch *watch, const struct wake_item *item) {
        struct slipring_waitset *waitset = watch->waitset;
        struct helper *helper = watch->helper;

        watch->expected = item->expected;
        watch->next = watch->subscriber->reader.next;
        if (waitset->backend == BACKEND_URING) {
                watch->suspect = false;
                watch->generation++;
                return uring_wait_futex(&waitset->uring, item, watch_id(watch));
        }
        return helper ? 0 : -EINVAL;
}

static void arm(struct watch *watch) {
        struct helper *helper = watch->helper;
        struct wake_item item;

        if (watch->armed || subscriber_prepare_sleep(watch->subscriber, &item) != 0) {
                return;
        }
        if (helper) {
                (void) pthread_mutex_lock(&helper->lock);
        }
        if (start_wait(watch, &item) == 0) {
                watch->armed = true;
                watch->waitset->unarmed--;
        }
        if (helper) {
                helper_poke(helper);
                (void) pthread_mutex_unlock(&helper->lock);
        }
}

/* Lower the descriptor if every watch is armed; look again behind it. */
static void settle(struct slipring_waitset *waitset) {
        uint64_t count;

        if (!waitset->dirty || waitset->unarmed > 0) {
                return;
        }
        waitset->dirty = false;
        if (read(waitset->event, &count, sizeof(count)) < 0) {
                /* Not raised. */
                return;
        }
        collect(waitset);
        if (waitset->unarmed > 0) {
                raise_event(waitset);
        }
}

void watch_took(struct watch *watch) {
        struct slipring_waitset *waitset = watch->waitset;

        collect(waitset);
        arm(watch);
        settle(waitset);
}

void watch_disarm(struct watch *watch) {
        struct slipring_waitset *waitset = watch->waitset;
        struct helper *helper = watch->helper;

        if (helper) {
                (void) pthread_mutex_lock(&helper->lock);
                watch->fired = false;
        }
        if (watch->armed && waitset->backend == BACKEND_URING) {
                (void) uring_cancel(&waitset->uring, watch_id(watch), ID_CANCEL);
                watch->generation++;
        }
        watch_ended(watch);
        if (helper) {
                helper_rouse(helper);
                (void) pthread_mutex_unlock(&helper->lock);
        }
        /* Unarmed watches and a lowered descriptor do not go together. */
        waitset->dirty = true;
        raise_event(waitset);
}

/* --- the set --- */

/* With its tick, or not at all: then there are the helper threads. */
static int uring_start(struct slipring_waitset *waitset) {
        int r;

        r = uring_open(&waitset->uring, waitset->event);
        if (r < 0) {
                return r;
        }
        r = uring_wait_ns(&waitset->uring, WAKE_BOUND_NS, ID_TICK);
        if (r < 0) {
                uring_close(&waitset->uring);
                return r;
        }
        waitset->ticking = true;
        return 0;
}

static enum backend choose_backend(struct slipring_waitset *waitset) {
        struct wake_item item = {.word = &waitset->fired, .expected = 1};

        if (!probe_disabled("io_uring") && uring_start(waitset) == 0) {
                return BACKEND_URING;
        }
        /* The word holds 0: the call answers at once, if it is there. */
        if (!probe_disabled("futex_waitv") && wake_sleep_any(&item, 1, wake_bound(0)) != -ENOSYS) {
                return BACKEND_WAITV;
        }
        return BACKEND_WAIT;
}

static int waitset_open(struct slipring_waitset **ret_waitset, struct slipring_error *reterr) {
        struct slipring_waitset *waitset;

        waitset = calloc(1, sizeof(*waitset));
        if (!waitset || guard_open(&waitset->cookie) < 0) {
                free(waitset);
                return error_set(reterr, -ENOMEM, "no memory for a wait set");
        }
        waitset->uring.fd = -1;
        waitset->event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
        if (waitset->event < 0) {
                int r = -errno;

                free(waitset);
                return error_set(reterr, r, "no file descriptor for a wait set (%s)%s",
                                 strerror(-r), error_remedy(r));
        }
        *ret_waitset = waitset;
        return 0;
}

int slipring_waitset_new(struct slipring_waitset **ret_waitset, struct slipring_error *reterr) {
        struct slipring_waitset *waitset = NULL;
        int r;

        r = waitset_open(&waitset, reterr);
        if (r < 0) {
                return r;
        }
        waitset->backend = choose_backend(waitset);
        *ret_waitset = waitset;
        return 0;
}

/* A place for a watch; places are used again, so that a completion's index stays good. */
static struct watch *place(struct slipring_waitset *waitset) {
        struct watch **larger, *watch;
        size_t i;

        for (i = 0; i < waitset->count; i++) {
                if (!waitset->watches[i]->subscriber) {
                        return waitset->watches[i];
                }
        }
        larger = realloc(waitset->watches, (waitset->count + 1) * sizeof(*larger));
        if (!larger) {
                return NULL;
        }
        waitset->watches = larger;
        watch = calloc(1, sizeof(*watch));
        if (watch) {
                watch->waitset = waitset;
                watch->index = (uint32_t) waitset->count;
                waitset->watches[waitset->count++] = watch;
        }
        return watch;
}

/* Put a subscriber into a set without telling it, as waitset_wait_any() does. */
static int watch_add(struct slipring_waitset *waitset,
                     struct slipring_subscriber *subscriber,
                     struct watch **ret_watch) {
        struct watch *watch;
        int r = 0;

        watch = place(waitset);
        if (!watch) {
                return -ENOMEM;
        }
        watch->subscriber = subscriber;
        watch->armed = false;
        watch->fired = false;
        if (waitset->backend != BACKEND_URING) {
                r = helper_join(watch);
        }
        if (r < 0) {
                watch->subscriber = NULL;
                return r;
        }
        waitset->unarmed++;
        arm(watch);
        if (!watch->armed) {
                waitset->dirty = true;
                raise_event(waitset);
        }
        *ret_watch = watch;
        return 0;
}

int slipring_waitset_add(struct slipring_waitset *waitset, struct slipring_subscriber *subscriber) {
        if (!guard_holds(waitset->cookie) || !guard_holds(subscriber->cookie)) {
                return -ECHILD;
        }
        if (subscriber->watch) {
                return -EBUSY;
        }
        subscriber->attended = true;
        return watch_add(waitset, subscriber, &subscriber->watch);
}

void watch_remove(struct watch *watch) {
        struct slipring_waitset *waitset = watch->waitset;

        watch_disarm(watch);
        helper_leave(watch);
        watch->subscriber->watch = NULL;
        watch->subscriber = NULL;
        waitset->unarmed--;
        settle(waitset);
}

void watch_forget(struct watch *watch) {
        watch->subscriber = NULL;
}

int slipring_waitset_remove(struct slipring_waitset *waitset,
                            struct slipring_subscriber *subscriber) {
        if (!guard_holds(waitset->cookie) || !guard_holds(subscriber->cookie)) {
                return -ECHILD;
        }
        if (!subscriber->watch || subscriber->watch->waitset != waitset) {
                return -ENOENT;
        }
        watch_remove(subscriber->watch);
        return 0;
}

int slipring_waitset_fd(const struct slipring_waitset *waitset) {
        return guard_holds(waitset->cookie) ? waitset->event : -ECHILD;
}

int slipring_waitset_ready(struct slipring_waitset *waitset,
                           struct slipring_subscriber **ret_subscribers,
                           size_t capacity) {
        struct watch *watch;
        size_t i, found = 0;

        if (!guard_holds(waitset->cookie)) {
                return -ECHILD;
        }
        collect(waitset);
        for (i = 0; i < waitset->count; i++) {
                watch = waitset->watches[(waitset->first + i) % waitset->count];
                if (!watch->subscriber) {
                        continue;
                }
                /* A wait that ended for nothing goes on; one that ended for something is for take.
                 */
                arm(watch);
                if (subscriber_ready(watch->subscriber) && found < capacity) {
                        ret_subscribers[found++] = watch->subscriber;
                }
        }
        /* With too little room for all, the next call begins elsewhere. */
        waitset->first = waitset->count ? (waitset->first + 1) % waitset->count : 0;
        /* Asked because the descriptor is readable: whatever raised it, it must not stay so. */
        waitset->dirty = true;
        settle(waitset);
        return (int) found;
}

int waitset_wait_any(struct slipring_subscriber *const *subscribers,
                     size_t count,
                     uint64_t deadline_ns) {
        struct slipring_waitset *waitset = NULL;
        struct pollfd event = {.events = POLLIN};
        struct watch *watch;
        uint64_t now;
        size_t i;
        int r;

        r = waitset_open(&waitset, NULL);
        if (r < 0) {
                return r;
        }
        waitset->backend = BACKEND_WAIT;
        for (i = 0; r == 0 && i < count; i++) {
                r = watch_add(waitset, subscribers[i], &watch);
        }
        now = slipring_now_ns();
        if (r == 0 && now < deadline_ns) {
                event.fd = waitset->event;
                r = poll(&event, 1, (int) ((wake_bound(deadline_ns) - now + 999999) / 1000000));
                r = r < 0 ? -errno : r == 0 ? -ETIMEDOUT : 0;
        } else if (r == 0) {
                r = -ETIMEDOUT;
        }
        slipring_waitset_close(waitset);
        return r;
}

struct slipring_waitset *slipring_waitset_close(struct slipring_waitset *waitset) {
        bool ours;
        size_t i;

        if (!waitset) {
                return NULL;
        }
        ours = guard_holds(waitset->cookie);
        for (i = 0; ours && i < waitset->helper_count; i++) {
                helper_stop(waitset->helpers[i]);
        }
        for (i = 0; i < waitset->helper_count; i++) {
                if (ours) {
                        helper_end(waitset->helpers[i]);
                }
                /* A forked child has no more of its parent's helpers than this. */
                free(waitset->helpers[i]);
        }
        for (i = 0; i < waitset->count; i++) {
                struct slipring_subscriber *subscriber = waitset->watches[i]->subscriber;

                /* Not so for waitset_wait_any()'s, which may be in a set of the caller's. */
                if (subscriber && subscriber->watch == waitset->watches[i]) {
                        subscriber->watch = NULL;
                }
                free(waitset->watches[i]);
        }
        if (ours) {
                uring_close(&waitset->uring);
        } else if (waitset->uring.fd >= 0) {
                (void) close(waitset->uring.fd);
        }
        (void) close(waitset->event);
        free(waitset->watches);
        free(waitset->helpers);
        free(waitset);
        return NULL;
}
