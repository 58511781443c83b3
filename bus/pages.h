#ifndef SLIPRING_BUS_PAGES_H
#define SLIPRING_BUS_PAGES_H

#include <stdbool.h>
#include <stdint.h>

/* The machine's huge pages: a pool of them that root fills (vm.nr_hugepages), and those that the
 * kernel puts together by itself. */
struct pages {
        uint64_t bytes;     /* of one, as the kernel hands them out by default; 0: it has none */
        uint64_t total;     /* in the pool, without what it has borrowed */
        uint64_t available; /* of the pool and what it may borrow, neither in use nor promised */
        bool transparent;   /* shared memory may get some that are not of the pool */
        bool forbidden;     /* this user may have none of them; false where nobody has asked */
};

/*
 * pages_read() - ask the kernel
 *
 * What cannot be read is 0: a kernel without huge pages has none.
 */
void pages_read(struct pages *ret_pages);

/*
 * pages_ask() - may this user have any?
 * @pages:      read before; sets forbidden
 *
 * Asks for one and gives it back: it hangs on a capability, on a group that root names, and on old
 * kernels on a limit. What is missing for another reason than that is not forbidden.
 */
void pages_ask(struct pages *pages);

/*
 * pages_count() - huge pages that hold a segment
 * @page_bytes: size of one, not 0
 */
static inline uint64_t pages_count(uint64_t page_bytes, uint64_t bytes) {
        return bytes / page_bytes + (bytes % page_bytes > 0);
}

#endif
