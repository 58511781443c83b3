#include "subscribers/spin.h"

/* What the clock, the last look and the line's way to this processor take. */
#define SPIN_SLACK_NS 1000u

void spin_start(struct spin *spin, uint32_t budget_us, long processors) {
        *spin = (struct spin){
                .budget_ns = processors > 1 ? budget_us * UINT64_C(1000) : 0,
        };
}

uint64_t spin_span(struct spin *spin) {
        uint64_t span;

        if (spin->share < SPIN_ALL / 2) {
                return 0;
        }
        if (spin->skip > 0) {
                spin->skip--;
                return 0;
        }
        spin->looked++;
        span = spin->mean_ns + 4 * spin->deviation_ns + SPIN_SLACK_NS;
        return span < spin->budget_ns ? span : spin->budget_ns;
}

void spin_ended(struct spin *spin, bool found) {
        if (found) {
                spin->helped++;
                spin->backoff /= 2;
        } else {
                spin->backoff = spin->backoff ? 2 * spin->backoff : 1;
                if (spin->backoff > SPIN_SKIP_MAX) {
                        spin->backoff = SPIN_SKIP_MAX;
                }
        }
        spin->skip = spin->backoff;
}

/* What TCP does for its timeouts (RFC 6298): no root, no history. */
static void average(struct spin *spin, uint64_t waited_ns) {
        uint64_t off;

        if (spin->mean_ns == 0) {
                spin->mean_ns = waited_ns;
                spin->deviation_ns = waited_ns / 2;
                return;
        }
        off = waited_ns > spin->mean_ns ? waited_ns - spin->mean_ns : spin->mean_ns - waited_ns;
        spin->deviation_ns = (3 * spin->deviation_ns + off) / 4;
        spin->mean_ns = (7 * spin->mean_ns + waited_ns) / 8;
}

void spin_learn(struct spin *spin, uint64_t waited_ns) {
        bool within = waited_ns <= spin->budget_ns;

        spin->share = (7 * spin->share + (within ? SPIN_ALL : 0)) / 8;
        if (within) {
                average(spin, waited_ns);
        }
}
