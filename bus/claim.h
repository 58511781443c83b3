#ifndef SLIPRING_BUS_CLAIM_H
#define SLIPRING_BUS_CLAIM_H

#include <sys/types.h>

#include "bus/segment.h"

/*
 * A claim: who may publish to a topic (or manage a bus), one at a time, released by the kernel
 * however the holder dies.
 *
 * It is one System V semaphore, 0 while free and 1 while held, taken with SEM_UNDO. It has a set of
 * its own, since any SETVAL or SETALL on a set makes the kernel forget its SEM_UNDO records:
 * neither is ever used. Alter permission means may claim, read permission may ask who does. A core
 * dump delays the release until it is written.
 *
 * A topic's pins have a set of as many semaphores, one a line (see pins.h): expect.semaphores.
 */

/*
 * claim_create() - make a claim, free
 * @ret_id:     set on success
 * @expect:     key, owner, group and mode
 *
 * Return: 0, -EEXIST if the key is taken, -ENOSPC if the machine's limit of semaphores is reached.
 */
int claim_create(int *ret_id, const struct segment_expect *expect, struct slipring_error *reterr);

/*
 * claim_find() - find a claim by key and check it
 * @ret_id:     set on success
 *
 * Return: 0, -ENOENT if no set has the key, else as segment_check().
 */
int claim_find(int *ret_id, const struct segment_expect *expect, struct slipring_error *reterr);

/*
 * claim_adopt() - find a claim of this user's making and give it the access it should have
 * @ret_id:     set on success
 *
 * A manager killed while it made the claim left it without.
 *
 * Return: as claim_find().
 */
int claim_adopt(int *ret_id, const struct segment_expect *expect, struct slipring_error *reterr);

/*
 * claim_acquire() - take a claim
 * @id:         semaphore id
 * @deadline_ns: 0 not to wait, else the absolute CLOCK_MONOTONIC time until which to stand by
 *
 * Return: 0, -EBUSY if it is held and @deadline_ns is 0, -ETIMEDOUT, -EINTR if a signal handler
 * ran, -EIDRM if the claim was removed, -EACCES, -ENOSPC if the kernel has no room for its undo
 *         record.
 */
int claim_acquire(int id, uint64_t deadline_ns);

/*
 * claim_join() - be counted on the claim of a shared topic
 * @ret_first:  set to whether nobody else was counted
 *
 * There the semaphore's value is the number of publishers. The kernel counts each out however it
 * ends.
 *
 * Return: 0, -EIDRM if the claim was removed, -EACCES, -ENOSPC if the kernel has no room for its
 *         undo record, -EUSERS if there are 32767 already.
 */
int claim_join(int id, bool *ret_first);

/*
 * claim_release() - give a claim back, or leave it
 */
void claim_release(int id);

/*
 * claim_holder() - who holds a claim
 *
 * Return: the holder's pid, 0 for nobody, -EIDRM if the claim is gone, -EACCES.
 */
pid_t claim_holder(int id);

/*
 * claim_count() - how many are counted on it
 *
 * Return: their number, -EIDRM if the claim is gone, -EACCES.
 */
int claim_count(int id);

/*
 * claim_last() - who took, joined, left or was taken off it last
 *
 * Return: a pid, perhaps of a process that is no more; 0 for nobody yet, -EIDRM, -EACCES.
 */
pid_t claim_last(int id);

#endif
