#include "bus/shared.h"

static void take_over(struct shared *shared, struct ring_writer *writer) {
        ring_writer_takeover(writer);
        /* Only now: whoever is killed before this leaves the repair to the next one. */
        lock_settle(&shared->lock);
}

int shared_join(struct shared *shared, struct ring_writer *writer, bool first, uint32_t seen) {
        int r = lock_take(&shared->lock, shared->timeout_ns);

        if (r < 0 && first && lock_reset(&shared->lock, seen)) {
                /* Nobody publishes, so nobody holds it, whatever its word says. */
                r = lock_take(&shared->lock, shared->timeout_ns);
        }
        if (r < 0) {
                return r;
        }
        take_over(shared, writer);
        shared_end(shared, writer);
        return 0;
}

int shared_begin(struct shared *shared, struct ring_writer *writer) {
        int r = lock_take(&shared->lock, shared->timeout_ns);

        if (r < 0) {
                return r;
        }
        if (r == LOCK_DIED) {
                take_over(shared, writer);
        } else {
                /* relaxed: under the lock. */
                ring_writer_resume(writer, atomic_load_explicit(&shared->words->owed,
                                                                memory_order_relaxed) != 0);
        }
        return 0;
}

void shared_end(struct shared *shared, const struct ring_writer *writer) {
        /* relaxed: under the lock. */
        if (atomic_load_explicit(&shared->words->owed, memory_order_relaxed) != writer->need) {
                atomic_store_explicit(&shared->words->owed, writer->need, memory_order_relaxed);
        }
        lock_give(&shared->lock);
}
