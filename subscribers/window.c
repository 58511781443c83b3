#include <errno.h>
#include <math.h>
#include <stdlib.h>

#include "subscribers/window.h"

int window_open(struct window *window, size_t capacity) {
        *window = (struct window){.capacity = capacity};
        window->marks = calloc(capacity, sizeof(*window->marks));
        return window->marks ? 0 : -ENOMEM;
}

void window_clear(struct window *window) {
        window->count = 0;
        window->next = 0;
}

void window_close(struct window *window) {
        free(window->marks);
        *window = (struct window){0};
}

/* The i-th mark, the oldest first. */
static const struct window_mark *mark_at(const struct window *window, size_t i) {
        return &window->marks[(window->next + window->capacity - window->count + i) %
                              window->capacity];
}

void window_add(struct window *window, const struct window_mark *mark) {
        if (window->count && mark_at(window, window->count - 1)->sequence >= mark->sequence) {
                window_clear(window);
        }
        window->marks[window->next] = *mark;
        window->next = (window->next + 1) % window->capacity;
        if (window->count < window->capacity) {
                window->count++;
        }
}

/* Sums of a series, taken against its first value so that small deviations of large values keep
 * their digits. */
struct series {
        double first, sum, squares, minimum, maximum;
        size_t count;
};

static void series_add(struct series *series, double value) {
        if (series->count++ == 0) {
                series->first = series->minimum = series->maximum = value;
        }
        series->minimum = fmin(series->minimum, value);
        series->maximum = fmax(series->maximum, value);
        value -= series->first;
        series->sum += value;
        series->squares += value * value;
}

static struct window_summary series_summary(const struct series *series) {
        double mean = series->sum / (double) series->count;
        double variance = series->squares / (double) series->count - mean * mean;

        return (struct window_summary){
                .mean = series->first + mean,
                .minimum = series->minimum,
                .maximum = series->maximum,
                /* Rounding can leave a little less than nothing. */
                .deviation = sqrt(fmax(variance, 0)),
                .count = series->count,
        };
}

bool window_intervals(const struct window *window, struct window_summary *ret_summary) {
        const struct window_mark *first, *before, *mark;
        struct series series = {0};
        double mean;
        size_t i;

        if (window->count < 2) {
                return false;
        }
        first = before = mark = mark_at(window, 0);
        for (i = 1; i < window->count; i++, before = mark) {
                mark = mark_at(window, i);
                if (mark->sequence == before->sequence + 1) {
                        series_add(&series, (double) (mark->time_ns - before->time_ns) / 1e9);
                }
        }
        mean = (double) (mark->time_ns - first->time_ns) / 1e9 /
               (double) (mark->sequence - first->sequence);
        if (series.count) {
                *ret_summary = series_summary(&series);
        } else {
                *ret_summary = (struct window_summary){.minimum = mean, .maximum = mean};
        }
        ret_summary->mean = mean;
        ret_summary->count = window->count;
        return true;
}

bool window_values(const struct window *window, struct window_summary *ret_summary) {
        struct series series = {0};
        size_t i;

        if (!window->count) {
                return false;
        }
        for (i = 0; i < window->count; i++) {
                series_add(&series, mark_at(window, i)->value);
        }
        *ret_summary = series_summary(&series);
        return true;
}

double window_per_second(const struct window *window, uint64_t now_ns) {
        double sum = 0;
        size_t i;

        if (!window->count || now_ns <= mark_at(window, 0)->time_ns) {
                return 0;
        }
        for (i = 0; i < window->count; i++) {
                sum += mark_at(window, i)->value;
        }
        return sum / ((double) (now_ns - mark_at(window, 0)->time_ns) / 1e9);
}
