/*
 * Memory from /proc/meminfo, lines of "Name:   number kB" in which the kernel's kB are KiB.
 */

#include "publishers/host/source.h"

#include <errno.h>

/* A line's value in bytes; 0 where a kernel was built without what it counts. */
static uint64_t memory_bytes(const char *text, const char *word) {
        const char *cursor = text_line(text, word);
        uint64_t number = 0;

        if (!cursor || !text_unsigned(&cursor, &number)) {
                return 0;
        }
        return number > UINT64_MAX / 1024 ? UINT64_MAX : number * 1024;
}

int memory_parse(struct host_msgs_Memory *message, const char *text) {
        message->total = memory_bytes(text, "MemTotal:");
        message->free = memory_bytes(text, "MemFree:");
        message->buffers = memory_bytes(text, "Buffers:");
        message->cached = memory_bytes(text, "Cached:");
        message->shared = memory_bytes(text, "Shmem:");
        message->swap_total = memory_bytes(text, "SwapTotal:");
        message->swap_free = memory_bytes(text, "SwapFree:");
        if (message->total == 0) {
                return -EBADMSG;
        }
        message->available = message->free;
        if (text_line(text, "MemAvailable:")) {
                message->available = memory_bytes(text, "MemAvailable:");
        }
        if (message->available > message->total) {
                message->available = message->total;
        }
        message->used = (float) (100.0 * (double) (message->total - message->available) /
                                 (double) message->total);
        return 0;
}

int memory_sample(void *state, struct tree *tree, uint64_t now_ns, void *message) {
        const char *text = NULL;
        int r;

        r = tree_read(tree, "proc/meminfo", &text);
        if (r < 0) {
                return r == -ENOENT ? -ENODEV : r;
        }
        return memory_parse(message, text);
}
