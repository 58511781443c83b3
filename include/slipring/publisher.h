#ifndef SLIPRING_PUBLISHER_H
#define SLIPRING_PUBLISHER_H

/*
 * Publishing to a topic.
 *
 *     open -> publish ... -> close                     a copy of the caller's message
 *     open -> loan -> write -> commit ... -> close     written in place, without a copy
 *
 * One process publishes to a topic at a time, unless the schema says otherwise; the kernel takes
 * the claim back however that process ends, and a publisher that stands by then goes on where it
 * stopped. A handle belongs to one thread at a time. In a forked child every call on a handle of
 * the parent's says -ECHILD (not so after vfork(2), which shares the parent's memory). The claim
 * lasts until the process ends, also over execve(2): close first. Leaving the IPC namespace or the
 * list of undo operations, unshare(2) with CLONE_NEWIPC or CLONE_SYSVSEM, gives it up unnoticed.
 *
 * A topic with 'publishers: shared' is of another class. Several handles, in any processes, publish
 * to it; each message is written under a lock, and slipring_publisher_publish() may wait for it, up
 * to the handle's timeout. The lock passes on its waiters' priority to its holder, and the death of
 * a holder is made good by the next one. There are no loans and nobody stands by. Each handle has
 * an epoch of its own, by which subscribers can tell the publishers of samples apart.
 */

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

struct slipring_publisher;

/** How long a message waits for the lock of a shared topic unless the options say otherwise. */
#define SLIPRING_LOCK_TIMEOUT_NS UINT64_C(100000000)

/** Wait for the claim while another process publishes, until the deadline, and take over then. */
#define SLIPRING_PUBLISHER_STANDBY (1u << 0)

/**
 * struct slipring_publisher_options - how to open a publisher
 * @size:               sizeof(struct slipring_publisher_options)
 * @flags:              0 or SLIPRING_PUBLISHER_STANDBY
 * @bus:                "BUS" or "USER/BUS"; NULL for $SLIPRING_BUS, else the only bus of this
 *                      machine that this user can read
 * @type:               the type that the caller was compiled for, NULL to take the topic's own;
 *                      kept by the handle
 * @deadline_ns:        wait for a bus, topic or claim that is not there yet until this absolute
 *                      CLOCK_MONOTONIC time; 0 not to wait, SLIPRING_FOREVER to wait without end
 * @lock_timeout_ns:    how long publishing to a shared topic may wait for the other publishers, 0
 *                      for SLIPRING_LOCK_TIMEOUT_NS, SLIPRING_FOREVER for without end
 */
struct slipring_publisher_options {
        uint32_t size;
        uint32_t flags;
        const char *bus;
        const struct slipring_type *type;
        uint64_t deadline_ns;
        uint64_t lock_timeout_ns;
};

/**
 * struct slipring_publisher_info - what a publisher knows of its topic
 * @sequence:           number of the newest sample, 0 before the first
 * @wakeups:            times the kernel was called to wake subscribers, by all publishers so far
 * @epoch:              takeovers of this topic so far, this one included; on a shared topic this
 *                      handle's own number
 * @depth:              slots in the ring
 * @attached:           attachments of the topic's segment, one a handle, the manager's
 *                      included
 * @publishers:         handles that publish to the topic: 1, or on a shared topic their number
 */
struct slipring_publisher_info {
        uint64_t sequence;
        uint64_t wakeups;
        uint32_t epoch;
        uint32_t depth;
        uint32_t attached;
        uint32_t publishers;
};

/**
 * slipring_publisher_open() - become the publisher of a topic
 * @ret_publisher:      set to the new handle on success
 * @topic:              the topic's name, as in the schema
 * @options:            see struct slipring_publisher_options; NULL for all defaults, without
 *                      waiting
 * @reterr:             set on failure to an explanation; may be NULL
 *
 * Checks the bus, the topic's segment and its type, claims the topic, finishes what a killed
 * predecessor left behind and touches every page, so that no later call faults.
 *
 * Return: 0 on success,
 *         -ENOENT if there is no such bus or topic (at the deadline, if one was given),
 *         -ENOTUNIQ if no bus was named and several are there,
 *         -EBUSY if another process publishes (@reterr names its pid),
 *         -ETIMEDOUT if it still did at the deadline of a standby,
 *         -EACCES if this user may not publish to the topic,
 *         -EPERM if a user who is not trusted created the bus or one of its objects,
 *         -EPROTOTYPE if the topic has another type (@reterr names the first field that differs),
 *         -EPROTONOSUPPORT if the bus has a layout version that this library does not know,
 *         -EOPNOTSUPP for a standby of a shared topic, -ENOSYS where the kernel has no locks for
 *         one, -EUSERS if it has 32767 publishers already,
 *         -ENOTRECOVERABLE if its lock is corrupt and others publish (-ETIMEDOUT if one of them
 *         holds it for longer than @options->lock_timeout_ns; -EDEADLK if it is this thread),
 *         -EBADMSG if shared memory contradicts itself,
 *         -EINVAL for a malformed name or option, -EINTR if a signal handler ran while waiting,
 *         -EMFILE or -ENFILE if no descriptor is free to look for the bus, -EIO if that look fails,
 *         -ENOMEM or -ENOSPC if the machine's limits forbid it.
 * Context: Setup only: allocates, makes system calls and, with a deadline, sleeps.
 */
int slipring_publisher_open(struct slipring_publisher **ret_publisher,
                            const char *topic,
                            const struct slipring_publisher_options *options,
                            struct slipring_error *reterr);

/**
 * slipring_publisher_publish() - publish a copy of a message
 * @publisher:          publisher handle
 * @payload:            the message
 * @payload_bytes:      its size, which must be the type's
 * @source_time_ns:     the time of measurement in a clock of the publisher's choice, 0 for none
 *
 * Padding fields are written as zeros whatever @payload holds there.
 *
 * Return: 0 on success, -EMSGSIZE if @payload_bytes is not the type's size,
 *         -EBUSY while a loan is open, -EIDRM if the topic was retired (see
 *         slipring_publisher_move()), -ECHILD in a forked child; on a shared topic also
 *         -ETIMEDOUT if the other publishers kept it busy for the handle's lock_timeout_ns,
 *         -EDEADLK in a signal handler that came into a publish of the same topic and thread, and
 *         -ENOTRECOVERABLE if the lock names nobody who can hold it: somebody wrote over it, or a
 *         publisher is in another PID namespace. Nothing was published then.
 * Context: RT-safe: wait-free, no system call unless a subscriber sleeps, then one FUTEX_WAKE. On a
 *          shared topic: May sleep while another publisher writes, with priority inheritance, and
 *          calls the kernel twice in the first publish of each thread.
 */
int slipring_publisher_publish(struct slipring_publisher *publisher,
                               const void *payload,
                               size_t payload_bytes,
                               uint64_t source_time_ns);

/**
 * slipring_publisher_loan() - get the next slot to write a message in place
 * @publisher:          publisher handle
 * @ret_payload:        set to the slot's payload, of the type's size and 64-byte aligned
 *
 * The slot is the oldest of the ring and still holds an old message; the depth - 1 newer samples
 * stay readable meanwhile. One loan a handle.
 *
 * Return: 0 on success, -EBUSY if a loan is open already, -EIDRM if the topic was retired,
 *         -EOPNOTSUPP on a shared topic, -ECHILD in a forked child.
 * Context: RT-safe: wait-free, no system call.
 */
int slipring_publisher_loan(struct slipring_publisher *publisher, void **ret_payload);

/**
 * slipring_publisher_commit() - publish the loaned slot
 * @publisher:          publisher handle
 * @source_time_ns:     the time of measurement in a clock of the publisher's choice, 0 for none
 *
 * The payload belongs to the ring afterwards and must not be written any more. Padding fields are
 * set to zero.
 *
 * Return: 0 on success, -EINVAL if no loan is open, -EIDRM if the topic was retired (the loan is
 *         abandoned), -ECHILD in a forked child.
 * Context: RT-safe: as slipring_publisher_publish().
 */
int slipring_publisher_commit(struct slipring_publisher *publisher, uint64_t source_time_ns);

/**
 * slipring_publisher_abandon() - give the loaned slot back unpublished
 * @publisher:          publisher handle
 *
 * What was written is never seen, and no sequence number is used up. The slot's old sample is lost.
 *
 * Return: 0 on success, -EINVAL if no loan is open, -ECHILD in a forked child.
 * Context: RT-safe: wait-free, no system call.
 */
int slipring_publisher_abandon(struct slipring_publisher *publisher);

/**
 * slipring_publisher_move() - go on with the successor of a retired topic
 * @publisher:          publisher handle that said -EIDRM
 * @deadline_ns:        as in struct slipring_publisher_options
 * @reterr:             set on failure to an explanation; may be NULL
 *
 * A schema reload replaces a topic that changed: its old segment is retired and a new one, with
 * sequence numbers from 1, takes its name. On failure the handle stays as it is.
 *
 * Return: 0 on success, -ENOENT if the topic (or the bus) is gone for good, -EBADMSG if the
 *         directory still lists the segment this handle has, -EBUSY while a loan is open or if
 *         another process publishes to the successor already, else as slipring_publisher_open().
 * Context: Setup only: as slipring_publisher_open().
 */
int slipring_publisher_move(struct slipring_publisher *publisher,
                            uint64_t deadline_ns,
                            struct slipring_error *reterr);

/**
 * slipring_publisher_info() - look at the topic from the publisher's side
 * @publisher:          publisher handle
 * @ret_info:           filled on success
 *
 * Return: 0 on success, -ECHILD in a forked child.
 * Context: May sleep: one shmctl(2).
 */
int slipring_publisher_info(const struct slipring_publisher *publisher,
                            struct slipring_publisher_info *ret_info);

/**
 * slipring_publisher_type() - the topic's message type
 * @publisher:          publisher handle
 *
 * Return: the type as the topic's segment describes it, valid until the handle moves or closes.
 * Context: RT-safe.
 */
const struct slipring_type *slipring_publisher_type(const struct slipring_publisher *publisher);

/**
 * slipring_publisher_close() - give the topic up
 * @publisher:          publisher handle, or NULL
 *
 * Abandons an open loan, releases the claim and detaches. In a forked child it only frees the
 * child's copy of the handle.
 *
 * Return: NULL, to be assigned to the caller's pointer.
 * Context: Setup only: frees memory and makes system calls.
 */
struct slipring_publisher *slipring_publisher_close(struct slipring_publisher *publisher);

#if defined(__GNUC__)
#pragma GCC visibility pop
#endif

#ifdef __cplusplus
}
#endif

#endif
