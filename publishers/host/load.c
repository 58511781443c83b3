/*
 * Load from /proc/loadavg, "0.48 0.28 0.20 2/100 10259", and /proc/uptime, "6096.25 11911.16".
 */

#include "publishers/host/source.h"

#include <errno.h>
#include <string.h>

/* "12.34", as the kernel writes it, whatever the locale makes of points. */
static bool decimal_read(const char **cursor, double *ret_number) {
        uint64_t whole = 0, part = 0;
        double scale = 1;

        if (!text_unsigned(cursor, &whole)) {
                return false;
        }
        *ret_number = (double) whole;
        if (**cursor != '.') {
                return true;
        }
        for (const char *c = *cursor + 1; *c >= '0' && *c <= '9'; c++) {
                scale *= 10;
        }
        ++*cursor;
        if (!text_unsigned(cursor, &part)) {
                return false;
        }
        *ret_number += (double) part / scale;
        return true;
}

int load_parse(struct host_msgs_Load *message, const char *loadavg, const char *uptime) {
        uint64_t runnable = 0, threads = 0;
        double averages[3];
        size_t i;

        for (i = 0; i < 3; i++) {
                if (!decimal_read(&loadavg, &averages[i])) {
                        return -EBADMSG;
                }
        }
        if (!text_unsigned(&loadavg, &runnable) || *loadavg++ != '/' ||
            !text_unsigned(&loadavg, &threads)) {
                return -EBADMSG;
        }
        if (!decimal_read(&uptime, &message->uptime)) {
                return -EBADMSG;
        }
        message->average_1min = (float) averages[0];
        message->average_5min = (float) averages[1];
        message->average_15min = (float) averages[2];
        message->runnable = (uint32_t) runnable;
        message->threads = (uint32_t) threads;
        return 0;
}

int load_sample(void *state, struct tree *tree, uint64_t now_ns, void *message) {
        const char *text = NULL;
        char uptime[64];
        int r;

        r = tree_read(tree, "proc/uptime", &text);
        if (r < 0) {
                return r == -ENOENT ? -ENODEV : r;
        }
        (void) strncpy(uptime, text, sizeof(uptime) - 1);
        uptime[sizeof(uptime) - 1] = '\0';
        r = tree_read(tree, "proc/loadavg", &text);
        if (r < 0) {
                return r == -ENOENT ? -ENODEV : r;
        }
        return load_parse(message, text, uptime);
}
