#ifndef SLIPRING_PUBLISHERS_PLAY_REEL_H
#define SLIPRING_PUBLISHERS_PLAY_REEL_H

#include <stddef.h>

#include "mcap/reader.h"

/*
 * Several MCAP files as one: a recorder splits what it writes. It is read as a single file is, see
 * mcap/reader.h, and so is a single file.
 *
 *     r = reel_open(&reel, paths, count, &error);
 *     ...
 *     r = reel_select(reel, wanted, context, start_ns);
 *     while ((r = reel_next(reel, &message, &error)) == 1) {
 *             ...
 *     }
 *     reel = reel_close(reel);
 *
 * Channels that are the same in several files, metadata included, are one, with the counts of all.
 * Files that overlap in time are merged by it.
 */

struct reel;

/*
 * reel_open() - look what files hold
 * @ret_reel:   set on success; every message was selected
 * @paths:      of the files, in any order; as long as the reel is open
 * @count:      of them, at least 1
 *
 * Return: 0; as mcap_reader_open() for any of them; -EINVAL: two are the same file; -E2BIG: they
 *         have more channels or types than one file may have; or as open(2).
 */
int reel_open(struct reel **ret_reel,
              const char *const *paths,
              size_t count,
              struct mcap_error *reterr);

/*
 * reel_summary() - what they hold together
 *
 * What a file has for itself, such as damage, stands in reel_reader()'s summary only.
 *
 * Return: as long as the reel is open. Its library is "" if that is not the same of all.
 */
const struct mcap_summary *reel_summary(const struct reel *reel);

/* reel_reader() - one of the files, in the order of their first messages; NULL: no more */
struct mcap_reader *reel_reader(const struct reel *reel, size_t index);

/* reel_path() - and its path */
const char *reel_path(const struct reel *reel, size_t index);

/*
 * reel_select() - begin again, as mcap_reader_select()
 * @wanted:     asked for channels of reel_summary(), once for each file; not NULL
 */
int reel_select(struct reel *reel, mcap_filter *wanted, void *context, uint64_t start_ns);

/*
 * reel_next() - the next message, as mcap_reader_next()
 *
 * Messages of one time come in the order of reel_reader(). Of a file nothing is in memory before
 * its first message is due, nor after its last one.
 */
int reel_next(struct reel *reel, struct mcap_message *ret_message, struct mcap_error *reterr);

/* reel_close() - takes NULL, too, and returns NULL */
struct reel *reel_close(struct reel *reel);

#endif
