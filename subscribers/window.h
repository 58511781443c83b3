#ifndef SLIPRING_SUBSCRIBERS_WINDOW_H
#define SLIPRING_SUBSCRIBERS_WINDOW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * Statistics over the newest samples of a topic: rate, bandwidth, delay.
 */

/* What is kept of one sample. */
struct window_mark {
        uint64_t sequence;
        uint64_t time_ns;
        double value; /* what is measured: bytes, a delay in seconds */
};

struct window {
        struct window_mark *marks;
        size_t capacity;
        size_t count; /* marks kept */
        size_t next;  /* where the next one goes */
};

struct window_summary {
        double mean;
        double minimum;
        double maximum;
        double deviation; /* standard deviation of the whole, as `ros2 topic` has it */
        size_t count;     /* what it was made of */
};

/*
 * window_open() - make room for so many marks
 *
 * Return: 0 or -ENOMEM.
 */
int window_open(struct window *window, size_t capacity);

/*
 * window_add() - keep a sample, and forget the oldest if there are too many
 *
 * A sequence number that does not follow (a bus that was started anew, a replaced topic) begins a
 * new window.
 */
void window_add(struct window *window, const struct window_mark *mark);

/*
 * window_intervals() - times between neighbouring samples, in seconds
 *
 * Over a gap (samples that this reader missed) there is no such time, so gaps count in the mean
 * only: it is the whole time over all samples that were published.
 *
 * Return: whether there are two samples to tell it from.
 */
bool window_intervals(const struct window *window, struct window_summary *ret_summary);

/*
 * window_values() - over the marks' values
 *
 * Return: whether there is any.
 */
bool window_values(const struct window *window, struct window_summary *ret_summary);

/*
 * window_per_second() - sum of the values over the time since the oldest mark
 * @now_ns:     end of that time
 */
double window_per_second(const struct window *window, uint64_t now_ns);

void window_clear(struct window *window);
void window_close(struct window *window);

#endif
