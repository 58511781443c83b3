#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <unistd.h>

#include "bus/guard.h"

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static _Atomic uint32_t *page;
/* Ordinary memory, which a child inherits: it must not draw the cookie of its parent again. */
static uint32_t last_cookie;

static int page_map(void) {
        void *address;

        if (page) {
                return 0;
        }
        address = mmap(NULL, (size_t) sysconf(_SC_PAGESIZE), PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (address == MAP_FAILED) {
                return -ENOMEM;
        }
        if (madvise(address, (size_t) sysconf(_SC_PAGESIZE), MADV_WIPEONFORK) < 0) {
                (void) munmap(address, (size_t) sysconf(_SC_PAGESIZE));
                return -ENOMEM;
        }
        page = address;
        return 0;
}

int guard_open(uint32_t *ret_cookie) {
        int r;

        (void) pthread_mutex_lock(&lock);
        r = page_map();
        /* relaxed: the mutex orders openers, and a handle carries its own copy. */
        if (r == 0 && atomic_load_explicit(page, memory_order_relaxed) == 0) {
                atomic_store_explicit(page, ++last_cookie, memory_order_relaxed);
        }
        if (r == 0) {
                *ret_cookie = atomic_load_explicit(page, memory_order_relaxed);
        }
        (void) pthread_mutex_unlock(&lock);
        return r;
}

bool guard_holds(uint32_t cookie) {
        /* relaxed: the page changes only by fork(2), which the child cannot overtake. */
        return atomic_load_explicit(page, memory_order_relaxed) == cookie;
}
