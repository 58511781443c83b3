/*
 * All that is measured.
 */

#include "bench/measurements.h"

#define PUBLISH_FLOOR "stamps, memcpy, clock and one fence in a bare ring"
#define IN_PLACE_FLOOR "stamps, 64 bytes written in place, clock and one fence in a bare ring"

#define PUBLISH .round = publish_round, .step = publish_step

#define SMALL PUBLISH, .payload_bytes = SMALL_BYTES, .count = 50000, .quick_count = 2000
#define LARGE PUBLISH, .payload_bytes = LARGE_BYTES
#define COPIES .count = 500, .quick_count = 50
#define LOANS .loaned = true, .count = 50000, .quick_count = 2000

#define PINGPONG                                                                                   \
        .round = pingpong_round, .step = pingpong_step, .payload_bytes = SMALL_BYTES, .peers = 1,  \
        .back = true, .count = 20000, .quick_count = 1000

#define WAKE                                                                                       \
        .round = wake_round, .step = wake_step, .kick = wake_kick, .payload_bytes = SMALL_BYTES,   \
        .floor = "the bare ring and one futex", .contest = WORK_PACED

#define STREAM                                                                                     \
        .floor = "the bare ring, one message at a time", .contest = WORK_STREAM, .polled = true,   \
        .unpinned = true, .peers = 1

#define MANY(how)                                                                                  \
        .round = wake_round, .step = wake_step, .kick = wake_kick, .payload_bytes = SMALL_BYTES,   \
        .many = how, .peers = 1, .period_ms = 1, .count = 250, .quick_count = 40

/* One message each ms, copied in and out, to one subscriber that polls: short rounds, of which
 * there are many. */
#define SIZED(bytes)                                                                               \
        {"call", "delivery"}, .floor = "the bare ring", .contest = WORK_PACED, .polled = true,     \
                              .payload_bytes = (bytes), .peers = 1, .period_ms = 1, .count = 200,  \
                              .quick_count = 20

/* Between those with more messages a round, for the curve. */
#define FANOUT(subscribers)                                                                        \
        {"call", "delivery", "last", "cpu"}, WAKE, .peers = (subscribers), .period_ms = 2,         \
                                                   .count = 100, .quick_count = 15
#define FANOUT_CHAIN(subscribers)                                                                  \
        {"call", "delivery", "last", "cpu"}, CHAIN, .peers = (subscribers), .period_ms = 2,        \
                                                    .count = 100, .quick_count = 15

/* The others have no such thing: their rows are those without. */
#define CHAIN                                                                                      \
        .round = wake_round, .step = wake_step, .kick = wake_kick, .payload_bytes = SMALL_BYTES,   \
        .floor = "the bare ring and one futex", .chain = true

/* Two periods: a wait takes about one, and must not seem too long to look for. */
#define SPIN                                                                                       \
        .round = wake_round, .step = wake_step, .kick = wake_kick, .payload_bytes = SMALL_BYTES,   \
        .floor = "the bare ring and one futex", .spin_us = 2000

const struct measurement measurements[] = {
        {"publish-64B-copied", .floor = PUBLISH_FLOOR, SMALL, .contest = WORK_TIGHT},
        {"publish-64B-loaned", .floor = IN_PLACE_FLOOR, SMALL, .loaned = true},
        {"publish-64B-copied-polled", .floor = PUBLISH_FLOOR, SMALL, .peers = 1},
        {"publish-64B-loaned-polled", .floor = IN_PLACE_FLOOR, SMALL, .peers = 1, .loaned = true},
        {"publish-64B-copied-blocking",
         .floor = PUBLISH_FLOOR ", and a look whether somebody sleeps", .contest = WORK_TIGHT,
         .payload_bytes = SMALL_BYTES, .peers = 1, .count = 50000, .quick_count = 2000},
        {"publish-64B-1000-observers", .floor = "slipring's own, with nobody attached",
         .round = publish_round, .step = observe_step, .payload_bytes = SMALL_BYTES, .peers = 8,
         .observers = 125, .count = 50000, .quick_count = 2000},
        {"publish-1MiB-copied", .floor = PUBLISH_FLOOR, LARGE, COPIES, .contest = WORK_TIGHT},
        /* The same, while what was published stays for late joiners. */
        {"publish-1MiB-copied-kept-7", .floor = PUBLISH_FLOOR, LARGE, COPIES, .contest = WORK_TIGHT,
         .kept = 7},
        {"publish-1MiB-copied-kept-1", .floor = PUBLISH_FLOOR, LARGE, COPIES, .contest = WORK_TIGHT,
         .kept = 1},
        {"publish-1MiB-copied-huge", .floor = "slipring's own in ordinary pages", LARGE, COPIES,
         .huge = true},
        {"publish-1MiB-loaned", .floor = IN_PLACE_FLOOR, LARGE, LOANS, .contest = WORK_TIGHT},
        {"publish-1MiB-copied-polled", .floor = PUBLISH_FLOOR, LARGE, COPIES, .peers = 1},
        {"publish-1MiB-loaned-polled", .floor = IN_PLACE_FLOOR, LARGE, LOANS, .peers = 1},
        {"pingpong-ring", .floor = "the bare ring", PINGPONG},
        {"pingpong-line", .floor = "one cache line each way", PINGPONG, .line = true},
        {"cold",
         {"start", "memory"},
         {NULL, "bytes"},
         .floor = "two bare processes and a bare ring",
         .contest = WORK_COLD,
         .payload_bytes = SMALL_BYTES,
         .unpinned = true,
         .peers = 1,
         .period_ms = 1,
         .count = 3,
         .quick_count = 1},
        {"polled-1kHz",
         {"call", "delivery"},
         .round = wake_round,
         .step = wake_step,
         .payload_bytes = SMALL_BYTES,
         .floor = "the bare ring",
         .contest = WORK_PACED,
         .polled = true,
         .peers = 1,
         .period_ms = 1,
         .count = 500,
         .contest_count = 200,
         .quick_count = 40},
        {"blocking-1kHz",
         {"call", "delivery", "cpu"},
         WAKE,
         .peers = 1,
         .period_ms = 1,
         .count = 500,
         .contest_count = 200,
         .quick_count = 40},
        /* Beside what would sleep, as the row before: the ratio is what spinning is good for. */
        {"blocking-1kHz-spin",
         {"call", "delivery", "cpu"},
         SPIN,
         .peers = 1,
         .period_ms = 1,
         .count = 1000,
         .quick_count = 40},
        {"blocking-1kHz-unpinned",
         {"call", "delivery"},
         WAKE,
         .unpinned = true,
         .peers = 1,
         .period_ms = 1,
         .count = 500,
         .contest_count = 200,
         .quick_count = 40},
        {"blocking-1MiB-1kHz",
         {"call", "delivery"},
         .floor = "the bare ring and one futex, in place",
         .contest = WORK_PACED,
         .payload_bytes = LARGE_BYTES,
         .loaned = true,
         .peers = 1,
         .period_ms = 1,
         .count = 200,
         .quick_count = 40},
        {"throughput-64B", STREAM, .payload_bytes = SMALL_BYTES, .count = 200000,
         .quick_count = 20000},
        {"throughput-4KiB", STREAM, .payload_bytes = PAGE_BYTES, .count = 50000,
         .quick_count = 5000},
        {"size-64B", SIZED(SMALL_BYTES)},
        {"size-256B", SIZED(256)},
        {"size-1KiB", SIZED(1024)},
        {"size-4KiB", SIZED(PAGE_BYTES)},
        {"size-16KiB", SIZED(16384)},
        {"size-64KiB", SIZED(65536)},
        {"size-256KiB", SIZED(262144)},
        {"size-1MiB", SIZED(LARGE_BYTES)},
        {"topics-64-any",
         {"call", "delivery", "cpu"},
         .floor = "slipring's own wait, with one topic",
         MANY(MANY_ANY)},
        {"topics-64-any-bare",
         {"call", "delivery", "cpu"},
         .floor = "the bare ring, and futex_waitv for 64 bare futexes",
         .bare = true,
         MANY(MANY_ANY)},
        {"topics-64-epoll",
         {"call", "delivery", "cpu"},
         .floor = "slipring's own wait set, with one topic",
         MANY(MANY_EPOLL)},
        {"fanout-1",
         {"call", "delivery", "cpu"},
         WAKE,
         .peers = 1,
         .period_ms = 2,
         .count = 100,
         .quick_count = 20},
        {"fanout-2", FANOUT(2)},
        {"fanout-4", FANOUT(4)},
        {"fanout-4-chain", FANOUT_CHAIN(4)},
        {"fanout-8",
         {"call", "delivery", "last", "cpu"},
         WAKE,
         .peers = 8,
         .period_ms = 2,
         .count = 100,
         .quick_count = 20},
        {"fanout-8-chain",
         {"call", "delivery", "last", "cpu"},
         CHAIN,
         .peers = 8,
         .period_ms = 2,
         .count = 100,
         .quick_count = 20},
        {"fanout-16", FANOUT(16)},
        {"fanout-16-chain", FANOUT_CHAIN(16)},
        {"fanout-32", FANOUT(32)},
        {"fanout-32-chain", FANOUT_CHAIN(32)},
        {"fanout-64",
         {"call", "delivery", "last", "cpu"},
         WAKE,
         .peers = 64,
         .period_ms = 5,
         .count = 60,
         .quick_count = 15},
        {"fanout-64-chain",
         {"call", "delivery", "last", "cpu"},
         CHAIN,
         .peers = 64,
         .period_ms = 5,
         .count = 60,
         .quick_count = 15},
        /* Whole commands: the rows are told by `commands`. */
        {"publish-128B-recorded", .floor = "slipring's own, with no recorder", .script = true},
        {"record", .floor = "none: by compression, side by side", .script = true},
        {"play", .floor = "a process that sleeps to the same times", .script = true},
        {"view", .floor = "none: by what a viewer is sent, side by side", .script = true},
};

const unsigned measurement_count = sizeof(measurements) / sizeof(*measurements);
