#ifndef SLIPRING_SAMPLE_H
#define SLIPRING_SAMPLE_H

/*
 * What publishers and subscribers share: a sample, an error in words, and time.
 */

#include <stdint.h>
#include <time.h>

#ifdef __cplusplus
extern "C" {
#endif

/** A deadline that never comes. */
#define SLIPRING_FOREVER UINT64_MAX

/**
 * struct slipring_sample - one sample as a subscriber gets it
 * @payload:            the message: the caller's copy (take) or the live slot (borrow)
 * @payload_bytes:      its length in bytes
 * @epoch:              counts the topic's publisher takeovers; differs: another publisher's sample
 *                      now
 * @sequence:           the topic's count of samples, from 1, without gaps
 * @publish_time_ns:    CLOCK_MONOTONIC at commit
 * @source_time_ns:     what the publisher gave as the time of measurement, 0 for none
 * @missed:             samples between the last one delivered and this one that the ring overtook
 *                      or that take_newest() passed over
 */
struct slipring_sample {
        const void *payload;
        uint32_t payload_bytes;
        uint32_t epoch;
        uint64_t sequence;
        uint64_t publish_time_ns;
        uint64_t source_time_ns;
        uint64_t missed;
};

/**
 * struct slipring_error - why a call failed, for a person
 * @code:       the negative errno that the call returned
 * @text:       one sentence or two that name the object and the remedy, NUL-terminated, without
 *              newline
 */
struct slipring_error {
        int32_t code;
        char text[508];
};

#ifdef CLOCK_MONOTONIC /* strict -std=c11 has it only with -D_POSIX_C_SOURCE=199309L or later */

/**
 * slipring_now_ns() - the clock of deadlines and publish times
 *
 * Return: CLOCK_MONOTONIC in nanoseconds.
 * Context: RT-safe: served by the vDSO on every platform that slipring is meant for.
 */
static inline uint64_t slipring_now_ns(void) {
        struct timespec now;

        clock_gettime(CLOCK_MONOTONIC, &now);
        return (uint64_t) now.tv_sec * UINT64_C(1000000000) + (uint64_t) now.tv_nsec;
}

/**
 * slipring_in_ms() - a deadline some time from now
 * @timeout_ms: milliseconds from now
 *
 * Return: the absolute CLOCK_MONOTONIC time in nanoseconds.
 * Context: RT-safe: as slipring_now_ns().
 */
static inline uint64_t slipring_in_ms(uint32_t timeout_ms) {
        return slipring_now_ns() + (uint64_t) timeout_ms * UINT64_C(1000000);
}

#endif

#ifdef __cplusplus
}
#endif

#endif
