#include "bus/topic.h"
#include "subscribers/look.h"

/* The rate over the ring is that of the past: silent for a second and three periods, it is over. */
static double rate_now(double rate_hz, uint64_t age_ns) {
        double age = (double) age_ns / 1e9;

        return age > 1 && age * rate_hz > 3 ? 0 : rate_hz;
}

static void look(struct look *ret_look, const struct topic *topic) {
        const struct ring *ring = &topic->ring;
        uint64_t newest = ring_newest_time_ns(ring), now = slipring_now_ns();
        unsigned attached = segment_attached(&topic->data);
        pid_t pid;
        unsigned publishers = topic_publishers(topic, &pid);

        *ret_look = (struct look){
                /* head.publish: pairs with the store in ring_writer_commit(). */
                .sequence = atomic_load_explicit(&ring->words->head, memory_order_acquire),
                /* relaxed, both: statistics. */
                .wakeups = atomic_load_explicit(&ring->words->wakeups, memory_order_relaxed),
                .epoch = atomic_load_explicit(&ring->words->epoch, memory_order_relaxed),
                .age_ns = !newest        ? UINT64_MAX
                          : now > newest ? now - newest
                                         : 0,
                .rate_hz = ring_rate_hz(ring),
                .publisher_pid = pid,
                .publishers = publishers,
                .pinned = pins_held(&topic->pins),
                /* relaxed: a statistic. */
                .pin_broken = atomic_load_explicit(&ring->words->pin_broken, memory_order_relaxed),
                .attached = attached ? attached - 1 : 0,
                .retired = ring_retired(ring),
        };
        ret_look->rate_hz = rate_now(ret_look->rate_hz, ret_look->age_ns);
        ret_look->stale = topic->entry.deadline_ns && ret_look->age_ns > topic->entry.deadline_ns;
}

int look_at(struct look *ret_look,
            const struct layout_entry *entry,
            struct slipring_error *reterr) {
        struct topic topic = TOPIC_NONE;
        int r;

        r = topic_attach(&topic, entry, false, reterr);
        if (r < 0) {
                return r;
        }
        look(ret_look, &topic);
        topic_detach(&topic);
        return 0;
}
