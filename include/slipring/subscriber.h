#ifndef SLIPRING_SUBSCRIBER_H
#define SLIPRING_SUBSCRIBER_H

/*
 * Subscribing to a topic.
 *
 *     open -> wait -> take ... -> close                each sample in order, as a copy
 *     open -> take_newest ... -> close                 a controller that wants the present only
 *     open -> wait -> borrow -> read -> release        in place, without a copy
 *     open -> wait -> pin -> read ... -> unpin         in place, and sure not to be overwritten
 *
 * A subscriber never writes to a topic's segment and cannot slow or block its publisher. Each
 * sample is either delivered or counted as missed, exactly. A handle belongs to one thread at a
 * time. In a forked child every call on a handle of the parent's says -ECHILD (not so after
 * vfork(2), which shares the parent's memory).
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <slipring/sample.h>
#include <slipring/type.h>

#ifdef __cplusplus
extern "C" {
#endif

#if defined(__GNUC__)
#pragma GCC visibility push(default)
#endif

#if defined(__GNUC__)
#define SLIPRING_MUST_CHECK __attribute__((warn_unused_result))
#else
#define SLIPRING_MUST_CHECK
#endif

struct slipring_subscriber;
struct slipring_waitset;

/**
 * enum slipring_start - where a subscriber begins
 */
enum slipring_start {
        SLIPRING_START_NEWEST = 0, /* with the current sample, if there is one */
        SLIPRING_START_OLDEST = 1, /* with the oldest that the ring still holds */
        SLIPRING_START_NEXT = 2,   /* with the first one published after open */
};

/** The longest spin_us: 100 ms, which is as long as one sleep. */
#define SLIPRING_SPIN_US_MAX 100000u

/**
 * struct slipring_subscriber_options - how to open a subscriber
 * @size:               sizeof(struct slipring_subscriber_options)
 * @start:              one of enum slipring_start
 * @bus:                "BUS" or "USER/BUS"; NULL for $SLIPRING_BUS, else the only bus of this
 *                      machine that this user can read
 * @type:               the type that the caller was compiled for, NULL to take the topic's own;
 *                      kept by the handle
 * @deadline_ns:        wait for a bus or topic that is not there yet until this absolute
 *                      CLOCK_MONOTONIC time; 0 not to wait, SLIPRING_FOREVER to wait without end
 * @pins:               samples that this handle may have pinned at once, out of the topic's budget
 *                      ('pins' in the schema); 0 for none
 * @spin_us:            longest time in microseconds, up to SLIPRING_SPIN_US_MAX, that a wait looks
 *                      for a sample itself before it sleeps; 0 to sleep at once. See
 *                      slipring_subscriber_wait()
 */
struct slipring_subscriber_options {
        uint32_t size;
        uint32_t start;
        const char *bus;
        const struct slipring_type *type;
        uint64_t deadline_ns;
        uint32_t pins;
        uint32_t spin_us;
};

/**
 * struct slipring_subscriber_info - a topic and this subscriber's share of it
 * @sequence:           number of the newest sample, 0 before the first
 * @delivered:          samples that this handle got, over all segments it moved through
 * @missed:             samples that it did not get
 * @age_ns:             time since the newest sample's commit, UINT64_MAX before the first
 * @deadline_ns:        age from which the topic is stale, in nanoseconds, 0 for never
 * @rate_hz:            measured over the samples in the ring (at most 64), 0 while fewer than two
 * @nominal_rate_hz:    the schema's rate, 0 for none
 * @publisher_pid:      pid of the process that holds the claim, on a shared topic of the one that
 *                      published the newest sample; 0 for none
 * @publishers:         handles that publish to the topic: 0, 1, or on a shared topic their number
 * @epoch:              publisher takeovers so far
 * @depth:              slots in the ring
 * @attached:           attachments of the topic's segment, one a handle, the manager's included
 * @stale:              the topic has a deadline and no sample younger than it
 * @retired:            the topic was retired
 * @pins:               samples that all subscribers together may have pinned
 * @pinned:             samples that they have pinned now
 * @pin_broken:         times that the publisher found no slot free of pins and took one
 * @spins:              waits of this handle that looked for a sample before they slept (spin_us)
 * @spins_helped:       of these, that found one: nobody had to wake the handle for it
 */
struct slipring_subscriber_info {
        uint64_t sequence;
        uint64_t delivered;
        uint64_t missed;
        uint64_t age_ns;
        uint64_t deadline_ns;
        double rate_hz;
        double nominal_rate_hz;
        int32_t publisher_pid;
        uint32_t publishers;
        uint32_t epoch;
        uint32_t depth;
        uint32_t attached;
        bool stale;
        bool retired;
        uint32_t pins;
        uint32_t pinned;
        uint64_t pin_broken;
        uint64_t spins;
        uint64_t spins_helped;
};

/**
 * struct slipring_latency - how long samples took to a subscriber
 * @count:              samples counted; all else is 0 while there is none
 * @min_ns:             shortest time in nanoseconds
 * @mean_ns:            their mean
 * @p50_ns:             half of them took no longer; as all percentiles at most 1/32 too long
 * @p90_ns:             90 % of them
 * @p99_ns:             99 %
 * @p99_9_ns:           99.9 %
 * @p99_99_ns:          99.99 %
 * @max_ns:             longest time
 */
struct slipring_latency {
        uint64_t count;
        uint64_t min_ns;
        uint64_t mean_ns;
        uint64_t p50_ns;
        uint64_t p90_ns;
        uint64_t p99_ns;
        uint64_t p99_9_ns;
        uint64_t p99_99_ns;
        uint64_t max_ns;
};

/** Room for every bucket that there can be. */
#define SLIPRING_LATENCY_BUCKETS 1152u

/**
 * struct slipring_latency_bucket - how many samples took about as long
 * @first_ns:           shortest time that counts here, in nanoseconds
 * @last_ns:            longest one; no more than 1/32 above it
 * @count:              samples, at least 1
 */
struct slipring_latency_bucket {
        uint64_t first_ns;
        uint64_t last_ns;
        uint64_t count;
};

/**
 * slipring_subscriber_open() - attach to a topic
 * @ret_subscriber:     set to the new handle on success
 * @topic:              the topic's name, as in the schema
 * @options:            see struct slipring_subscriber_options; NULL for all defaults, without
 *                      waiting
 * @reterr:             set on failure to an explanation; may be NULL
 *
 * Return: 0 on success,
 *         -ENOENT if there is no such bus or topic (at the deadline, if one was given),
 *         -ENOTUNIQ if no bus was named and several are there,
 *         -EACCES if this user may not subscribe to the topic,
 *         -EPERM if a user who is not trusted created the bus or one of its objects,
 *         -EPROTOTYPE if the topic has another type (@reterr names the first field that differs),
 *         -EPROTONOSUPPORT if the bus has a layout version that this library does not know,
 *         -EBADMSG if shared memory contradicts itself,
 *         -EINVAL for a malformed name or option, -EINTR if a signal handler ran while waiting,
 *         -EMFILE or -ENFILE if no descriptor is free to look for the bus, -EIO if that look fails,
 *         -ENOBUFS if as many of the topic's pins are not free as @options asks for,
 *         -ENOSPC if the kernel has no room for the pins' undo records,
 *         -ENOMEM if the machine's limits forbid it.
 * Context: Setup only: allocates, makes system calls and, with a deadline, sleeps.
 */
int slipring_subscriber_open(struct slipring_subscriber **ret_subscriber,
                             const char *topic,
                             const struct slipring_subscriber_options *options,
                             struct slipring_error *reterr);

/**
 * slipring_subscriber_take() - copy the next sample in order
 * @subscriber:         subscriber handle
 * @buffer:             where the message goes
 * @buffer_bytes:       its size, at least the type's
 * @ret_sample:         set if a sample was taken; its payload is @buffer; may be NULL
 *
 * Return: 1 with a sample, 0 if there is nothing new,
 *         -EAGAIN if the publisher overtook 64 attempts in a row (all counted as missed),
 *         -EIDRM if the topic was retired and all it still held was delivered (see
 *         slipring_subscriber_move()), -EMSGSIZE if @buffer is too small,
 *         -EBUSY while a view is borrowed, -EBADMSG if the segment is corrupt,
 *         -ECHILD in a forked child. @buffer is undefined unless the call returns 1.
 * Context: RT-safe: bounded, no system call; a handle in a wait set re-arms it with one when the
 * topic has nothing new.
 */
int slipring_subscriber_take(struct slipring_subscriber *subscriber,
                             void *buffer,
                             size_t buffer_bytes,
                             struct slipring_sample *ret_sample);

/**
 * slipring_subscriber_take_newest() - copy the newest sample, passing over those before it
 * @subscriber:         subscriber handle
 * @buffer:             where the message goes
 * @buffer_bytes:       its size, at least the type's
 * @ret_sample:         set if a sample was taken; its payload is @buffer; may be NULL
 *
 * Samples passed over count as missed.
 *
 * Return: 1 with a sample that this handle has not delivered yet, 0 if there is none,
 *         -EAGAIN if the publisher overtook three attempts in a row, else as
 *         slipring_subscriber_take().
 * Context: RT-safe: as slipring_subscriber_take().
 */
int slipring_subscriber_take_newest(struct slipring_subscriber *subscriber,
                                    void *buffer,
                                    size_t buffer_bytes,
                                    struct slipring_sample *ret_sample);

/**
 * slipring_subscriber_take_batch() - copy the next samples in order, as many as there are
 * @subscriber:         subscriber handle
 * @buffer:             where the messages go, one behind the other: an array of the type
 * @buffer_bytes:       its size, at least the type's
 * @ret_samples:        array of @capacity, one set for each message taken; may be NULL
 * @capacity:           most messages to take, at least 1; what has room in @buffer is a bound too
 *
 * For a subscriber that wants every sample of a fast topic: looks once for what is new, where a
 * call for each sample would take the publisher's cache line from it each time. It does not wait
 * for a batch to become full. What was published after it looked is left for the next call.
 *
 * Return: the number of samples taken, 0 if there is nothing new, -EINVAL if @capacity is 0, else
 *         as slipring_subscriber_take(). An error after some were taken is told by the next call.
 *
 * Context: RT-safe: bounded by the capacity, no system call; a handle in a wait set re-arms it with
 * one when the topic has nothing new.
 */
int slipring_subscriber_take_batch(struct slipring_subscriber *subscriber,
                                   void *buffer,
                                   size_t buffer_bytes,
                                   struct slipring_sample *ret_samples,
                                   size_t capacity);

/**
 * slipring_subscriber_borrow() - look at the next sample in place
 * @subscriber:         subscriber handle
 * @ret_sample:         set if there is a sample; its payload lies in the ring
 *
 * The publisher does not wait for readers: it may overwrite the payload while it is read, and
 * slipring_subscriber_release() then says so. So read each field once, follow no length or index
 * found in it without checking, and act on nothing before release. One view a handle.
 *
 * Return: 1 with a sample, 0 if there is nothing new, else as slipring_subscriber_take().
 * Context: RT-safe: as slipring_subscriber_take().
 */
int slipring_subscriber_borrow(struct slipring_subscriber *subscriber,
                               struct slipring_sample *ret_sample);

/**
 * slipring_subscriber_borrow_newest() - look at the newest sample in place
 * @subscriber:         subscriber handle
 * @ret_sample:         set if there is a sample; its payload lies in the ring
 *
 * Return: as slipring_subscriber_borrow(). Samples passed over count as missed.
 * Context: RT-safe: as slipring_subscriber_take().
 */
int slipring_subscriber_borrow_newest(struct slipring_subscriber *subscriber,
                                      struct slipring_sample *ret_sample);

/**
 * slipring_subscriber_release() - end a view and learn whether it stayed whole
 * @subscriber:         subscriber handle
 *
 * Return: 0 if the payload did not change while it was borrowed (it counts as delivered),
 *         -ESTALE if it was overwritten (it counts as missed: discard what was read),
 *         -EINVAL if nothing is borrowed, -ECHILD in a forked child.
 * Context: RT-safe: no system call.
 */
SLIPRING_MUST_CHECK int slipring_subscriber_release(struct slipring_subscriber *subscriber);

/**
 * slipring_subscriber_pin() - hold the next sample in place
 * @subscriber:         subscriber handle, opened with pins
 * @ret_sample:         set if there is a sample; its payload lies in the ring
 *
 * The publisher does not overwrite a pinned sample: the payload may be read as plain memory, for as
 * long as it takes, and by other threads of this process too, until slipring_subscriber_unpin().
 * Meanwhile the handle takes, borrows, waits and pins as ever, up to as many pins as it was opened
 * with; each of those is set aside for it, so that another subscriber cannot use it up. A pinned
 * sample counts as delivered. It stays whole also when the topic is retired, but the handle cannot
 * move then before it is unpinned.
 *
 * Return: 1 with a sample, 0 if there is nothing new, -ENOBUFS if all pins of the handle are in use
 *         (or it has none), -EAGAIN if the publisher overtook 64 attempts in a row (all counted as
 *         missed), -EIDRM if the topic was retired and all it still held was delivered,
 *         -EBUSY while a view is borrowed, -EBADMSG if the segment is corrupt, -ECHILD in a forked
 *         child.
 * Context: RT-safe: as slipring_subscriber_take().
 */
int slipring_subscriber_pin(struct slipring_subscriber *subscriber,
                            struct slipring_sample *ret_sample);

/**
 * slipring_subscriber_pin_newest() - hold the newest sample in place
 * @subscriber:         subscriber handle, opened with pins
 * @ret_sample:         set if there is a sample; its payload lies in the ring
 *
 * Samples passed over count as missed.
 *
 * Return: 1 with a sample that this handle has not delivered yet, 0 if there is none,
 *         -EAGAIN if the publisher overtook three attempts in a row, else as
 *         slipring_subscriber_pin().
 * Context: RT-safe: as slipring_subscriber_take().
 */
int slipring_subscriber_pin_newest(struct slipring_subscriber *subscriber,
                                   struct slipring_sample *ret_sample);

/**
 * slipring_subscriber_unpin() - let go of a pinned sample
 * @subscriber:         subscriber handle
 * @payload:            the payload of the sample, as pinning set it
 *
 * Nothing of the sample may be read afterwards.
 *
 * Return: 0 if it stayed as it was, -ESTALE if it was overwritten all the same: another process
 *         that may subscribe has tampered with the topic's pins (the sample counts as missed
 *         then, not as delivered), -EINVAL if nothing with that payload is pinned, -ECHILD in a
 *         forked child.
 * Context: RT-safe: wait-free, no system call.
 */
SLIPRING_MUST_CHECK int slipring_subscriber_unpin(struct slipring_subscriber *subscriber,
                                                  const void *payload);

/**
 * slipring_subscriber_wait() - sleep until the topic moves or a deadline passes
 * @subscriber:         subscriber handle
 * @deadline_ns:        absolute CLOCK_MONOTONIC time, SLIPRING_FOREVER to wait without end
 *
 * A handle that was opened with spin_us looks for the sample itself for a while before it sleeps:
 * it has it sooner, and saves the publisher the wake-up. It does so only once half of its waits, of
 * late, ended within spin_us of their begin, for no longer than they usually take, and ever more
 * seldom while looking finds nothing. Meanwhile a signal handler may run without ending the wait.
 * On a machine with one processor it always sleeps.
 *
 * Return: 0 once a sample newer than the last one delivered exists, -ETIMEDOUT at the deadline,
 *         -EINTR if a signal handler ran, -EIDRM if the topic was retired and nothing is left
 *         in it, -EBUSY while a view is borrowed, -ECHILD in a forked child.
 * Context: May sleep, in futex waits of at most 100 ms each; with spin_us it keeps the processor
 *          for up to that long before.
 */
int slipring_subscriber_wait(struct slipring_subscriber *subscriber, uint64_t deadline_ns);

/**
 * slipring_subscriber_wait_any() - sleep until one of several topics moves
 * @subscribers:        array of subscriber handles
 * @count:              its length, 1 to 128
 * @deadline_ns:        absolute CLOCK_MONOTONIC time, SLIPRING_FOREVER to wait without end
 *
 * The first handle's spin_us counts, for all of them, as in slipring_subscriber_wait(); those of
 * the others do not.
 *
 * Return: the index of a handle that has a sample to take or that was retired, -ETIMEDOUT at the
 *         deadline, -EINTR if a signal handler ran (one installed with SA_RESTART may not end the
 *         wait: futex_waitv(2) is restarted), -E2BIG above 128 handles (use a wait set),
 *         -EINVAL for none, -EBUSY while one of them has a view borrowed, -EMFILE, -ENFILE, -ENOMEM
 *         or -EAGAIN if the helper threads below cannot be started, -ECHILD in a forked child. With
 *         several ready, the one after the index last returned for the first handle comes first, so
 *         that none is starved.
 * Context: May sleep, in waits of at most 100 ms each; with the first handle's spin_us it keeps the
 *          processor for up to that long before. Before Linux 5.16, where futex_waitv(2) is
 *          missing, each call with more than one handle starts helper threads.
 */
int slipring_subscriber_wait_any(struct slipring_subscriber *const *subscribers,
                                 size_t count,
                                 uint64_t deadline_ns);

/**
 * slipring_subscriber_info() - look at the topic and at this handle's counts
 * @subscriber:         subscriber handle
 * @ret_info:           filled on success
 *
 * Return: 0 on success, -ECHILD in a forked child.
 * Context: May sleep: a few shmctl(2) and semctl(2) calls.
 */
int slipring_subscriber_info(struct slipring_subscriber *subscriber,
                             struct slipring_subscriber_info *ret_info);

/**
 * slipring_subscriber_record_latency() - count how long samples take, or no longer
 * @subscriber:         subscriber handle
 * @on:                 whether to count; it goes on if it does already. Off forgets what was
 *                      counted
 *
 * From the publish time of a sample to the moment when this handle has it: when take has copied
 * it, borrow or pin found it. Each call that gets a sample looks at the clock once more for that (a
 * batch once a sample). A handle that does not count, as all do at first, pays nothing for it. The
 * first sample that a late joiner gets may be old: slipring_subscriber_reset_latency() after it.
 *
 * Return: 0 on success, -ENOMEM, -ECHILD in a forked child.
 * Context: Setup only: allocates 9 KiB or frees them.
 */
int slipring_subscriber_record_latency(struct slipring_subscriber *subscriber, bool on);

/**
 * slipring_subscriber_latency() - how long samples took, in a few figures
 * @subscriber:         subscriber handle
 * @ret_latency:        filled on success
 *
 * Return: 0 on success, -ENODATA if it is not counted (slipring_subscriber_record_latency()),
 *         -ECHILD in a forked child.
 * Context: RT-safe: bounded, a look at each of 1,152 counters; no system call.
 */
int slipring_subscriber_latency(const struct slipring_subscriber *subscriber,
                                struct slipring_latency *ret_latency);

/**
 * slipring_subscriber_latency_buckets() - how long samples took, all that is known
 * @subscriber:         subscriber handle
 * @ret_buckets:        array of @capacity: the buckets that are not empty, from the shortest time
 * @capacity:           its length; SLIPRING_LATENCY_BUCKETS is enough for all
 *
 * For other percentiles, for plots, and to add up several handles: the same time falls into the
 * same bucket everywhere. A time above 18 minutes counts in the last bucket.
 *
 * Return: the number of buckets that are not empty; those beyond @capacity are left out,
 *         -ENODATA if nothing is counted, -ECHILD in a forked child.
 * Context: RT-safe: as slipring_subscriber_latency().
 */
int slipring_subscriber_latency_buckets(const struct slipring_subscriber *subscriber,
                                        struct slipring_latency_bucket *ret_buckets,
                                        size_t capacity);

/**
 * slipring_subscriber_reset_latency() - begin to count anew
 * @subscriber:         subscriber handle
 *
 * Return: 0 on success, -ENODATA if nothing is counted, -ECHILD in a forked child.
 * Context: RT-safe: writes 9 KiB; no system call.
 */
int slipring_subscriber_reset_latency(struct slipring_subscriber *subscriber);

/**
 * slipring_subscriber_type() - the topic's message type
 * @subscriber:         subscriber handle
 *
 * Return: the type as the topic's segment describes it, valid until the handle moves or closes.
 * Context: RT-safe.
 */
const struct slipring_type *slipring_subscriber_type(const struct slipring_subscriber *subscriber);

/**
 * slipring_subscriber_move() - go on with the successor of a retired topic
 * @subscriber:         subscriber handle that said -EIDRM
 * @deadline_ns:        as in struct slipring_subscriber_options
 * @reterr:             set on failure to an explanation; may be NULL
 *
 * Starts with the oldest sample of the successor. The counts go on, and are exact over both
 * segments: what the old one still held and what the new one has lost already is missed. On failure
 * the handle stays as it is.
 *
 * Return: 0 on success, -ENOENT if the topic (or the bus) is gone for good, -EBADMSG if the
 *         directory still lists the segment this handle has, -EBUSY while a view is borrowed or a
 *         sample pinned, else as slipring_subscriber_open().
 * Context: Setup only: as slipring_subscriber_open().
 */
int slipring_subscriber_move(struct slipring_subscriber *subscriber,
                             uint64_t deadline_ns,
                             struct slipring_error *reterr);

/**
 * slipring_subscriber_close() - detach
 * @subscriber:         subscriber handle, or NULL
 *
 * Leaves its wait set, if it is in one, and gives up its pins.
 *
 * Return: NULL, to be assigned to the caller's pointer.
 * Context: Setup only: frees memory and makes system calls.
 */
struct slipring_subscriber *slipring_subscriber_close(struct slipring_subscriber *subscriber);

/**
 * slipring_waitset_new() - make a set of subscribers with one pollable file descriptor
 * @ret_waitset:        set to the new handle on success
 * @reterr:             set on failure to an explanation; may be NULL
 *
 * For event loops (poll, epoll, sd-event, libuv, GLib). The set uses io_uring futex waits
 * (Linux 6.7), else a helper thread with futex_waitv(2) (5.16), else a helper thread a topic;
 * SLIPRING_DISABLE=io_uring,futex_waitv in the environment forces the later ones.
 *
 * Return: 0 on success, -EMFILE or -ENFILE if no descriptor is free, -ENOMEM, -EAGAIN if no thread
 *         can be started.
 * Context: Setup only: allocates and makes system calls.
 */
int slipring_waitset_new(struct slipring_waitset **ret_waitset, struct slipring_error *reterr);

/**
 * slipring_waitset_add() - watch a subscriber
 * @waitset:            wait set
 * @subscriber:         a handle that is in no wait set; from here on it belongs to the set's thread
 *
 * Return: 0 on success, -EBUSY if it is in a wait set already, -ENOMEM, -EAGAIN if no thread can be
 *         started, -ECHILD in a forked child.
 * Context: Setup only: allocates and makes system calls.
 */
int slipring_waitset_add(struct slipring_waitset *waitset, struct slipring_subscriber *subscriber);

/**
 * slipring_waitset_remove() - stop watching a subscriber
 * @waitset:            wait set
 * @subscriber:         a handle in it
 *
 * Return: 0 on success, -ENOENT if it is not in this set, -ECHILD in a forked child.
 * Context: Setup only: may wait for a helper thread, at most 100 ms.
 */
int slipring_waitset_remove(struct slipring_waitset *waitset,
                            struct slipring_subscriber *subscriber);

/**
 * slipring_waitset_fd() - the descriptor to poll for reading
 * @waitset:            wait set
 *
 * It is readable while a subscriber of the set may have something to take, and stays so until takes
 * have found nothing. Do not read from it. With io_uring it also becomes readable up to ten times a
 * second for nothing: the bound on what a lost wake-up can cost. A wait for it may also end with
 * EINTR although no signal handler ran.
 *
 * Return: a descriptor owned by the set, or -ECHILD in a forked child.
 * Context: RT-safe.
 */
int slipring_waitset_fd(const struct slipring_waitset *waitset);

/**
 * slipring_waitset_ready() - which subscribers have something to take
 * @waitset:            wait set
 * @ret_subscribers:    filled with handles whose topic moved or was retired
 * @capacity:           length of that array
 *
 * Call it when the descriptor is readable, and take from each handle until it says 0. What a
 * wake-up without cause left readable is quiet afterwards.
 *
 * Return: the number of handles filled in, 0 if nothing moved, -ECHILD in a forked child.
 * Context: RT-safe: bounded by the number of subscribers in the set; system calls to re-arm.
 */
int slipring_waitset_ready(struct slipring_waitset *waitset,
                           struct slipring_subscriber **ret_subscribers,
                           size_t capacity);

/**
 * slipring_waitset_close() - take the set down
 * @waitset:            wait set, or NULL
 *
 * Its subscribers stay open.
 *
 * Return: NULL, to be assigned to the caller's pointer.
 * Context: Setup only: may wait for helper threads, at most 100 ms.
 */
struct slipring_waitset *slipring_waitset_close(struct slipring_waitset *waitset);

#if defined(__GNUC__)
#pragma GCC visibility pop
#endif

#ifdef __cplusplus
}
#endif

#endif
