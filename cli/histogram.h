#ifndef SLIPRING_CLI_HISTOGRAM_H
#define SLIPRING_CLI_HISTOGRAM_H

/*
 * Times by the million in little memory: how many there were of each, to three digits.
 *
 * Below 1000 ns each nanosecond has a bucket of its own; above, each decade has 900: 1000, 1010,
 * 1020 ... So the edges that people read, 1, 2, 5, 10, are edges of buckets. One process adds while
 * others look; it lies in memory that they share.
 */

#include <stdatomic.h>
#include <stdint.h>

#define HISTOGRAM_DIGITS 1000u /* buckets of the first three decades */
#define HISTOGRAM_DECADES 9u   /* above those: up to 1000 s */
#define HISTOGRAM_BUCKETS (HISTOGRAM_DIGITS + HISTOGRAM_DECADES * 900u)

struct histogram {
        _Atomic uint64_t count;
        _Atomic uint64_t max_ns; /* exact */
        _Atomic uint64_t min_ns; /* exact; 0 while there is none */
        _Atomic uint64_t buckets[HISTOGRAM_BUCKETS];
};

/** histogram_clear() - forget all; touches every page */
void histogram_clear(struct histogram *histogram);

/**
 * histogram_add() - count a time; for one process at a time
 *
 * A time above 1000 s counts in the last bucket.
 */
void histogram_add(struct histogram *histogram, uint64_t time_ns);

/** histogram_merge() - add all that another one has counted */
void histogram_merge(struct histogram *histogram, const struct histogram *other);

uint64_t histogram_count(const struct histogram *histogram);
uint64_t histogram_max(const struct histogram *histogram);

/**
 * histogram_rank() - the time that a share of all do not exceed
 * @share:      0 to 1
 *
 * Return: the largest time of the bucket that the share ends in, but no more than the maximum; 0 if
 *         nothing was counted.
 */
uint64_t histogram_rank(const struct histogram *histogram, double share);

/**
 * histogram_below() - how many were shorter
 * @edge_ns:    of three digits or less, so that it is the edge of a bucket
 */
uint64_t histogram_below(const struct histogram *histogram, uint64_t edge_ns);

/**
 * histogram_edge() - the next of 1, 2, 5, 10, 20, 50, ... above a time
 */
uint64_t histogram_edge(uint64_t time_ns);

#endif
