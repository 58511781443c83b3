/* slot.ready: at the top of a file it is not an end. */

void commit(struct slot *slot, uint64_t m) {
        /* head.publish: the message before its number. */
        atomic_store_explicit(&slot->head, m, memory_order_release);
}

uint64_t look(struct slot *slot) {
        /* head.publish: pairs with commit(). */
        return atomic_load_explicit(&slot->head, memory_order_acquire);
}

uint64_t nameless(struct slot *slot) {
        return atomic_load_explicit(&slot->head, memory_order_acquire);
}

void lazy(struct slot *slot) {
        /* relaxed: says nothing about a release. */
        atomic_store_explicit(&slot->head, 1, memory_order_release);
        /* relaxed: a statistic. */
        atomic_store_explicit(&slot->count, 1, memory_order_relaxed);
}

void shortly(struct slot *slot) {
        /* head.publish: but which ordering? */
        atomic_store(&slot->head, 1);
        __atomic_store_n(&slot->count, 1, __ATOMIC_SEQ_CST);
}

void unknown(struct slot *slot) {
        /* slot.done: a name of my own. */
        atomic_thread_fence(memory_order_seq_cst);
}

void far(struct slot *slot) {
        /* head.publish: too far above to speak of it. */
        one();
        two();
        three();
        four();
        five();
        six();
        seven();
        eight();
        nine();
        ten();
        eleven();
        twelve();
        atomic_thread_fence(memory_order_seq_cst);
}
