/*
 * Network throughput from /proc/net/dev: two lines of heads, then "  eth0: 20004632 576 0 ..." with
 * eight numbers of what came in and eight of what went out. Older kernels leave no blank behind
 * the colon.
 */

#include "publishers/host/source.h"

#include <errno.h>
#include <string.h>

enum {
        RECEIVE_BYTES,
        RECEIVE_PACKETS,
        RECEIVE_ERRORS,
        RECEIVE_DROPPED,
        TRANSMIT_BYTES = 8,
        TRANSMIT_PACKETS,
        TRANSMIT_ERRORS,
        TRANSMIT_DROPPED,
        FIELDS = 16,
};

static bool line_parse(struct interface_counters *ret_interface, const char *line) {
        const char *cursor;
        uint64_t fields[FIELDS];
        size_t length;

        line += strspn(line, " \t");
        length = strcspn(line, ":\n");
        if (line[length] != ':' || length == 0 || length >= sizeof(ret_interface->name)) {
                return false;
        }
        cursor = line + length + 1;
        if (text_numbers(&cursor, fields, FIELDS) < TRANSMIT_DROPPED + 1) {
                return false;
        }
        *ret_interface = (struct interface_counters){
                .receive_bytes = fields[RECEIVE_BYTES],
                .receive_packets = fields[RECEIVE_PACKETS],
                .transmit_bytes = fields[TRANSMIT_BYTES],
                .transmit_packets = fields[TRANSMIT_PACKETS],
                .errors = fields[RECEIVE_ERRORS] + fields[TRANSMIT_ERRORS],
                .dropped = fields[RECEIVE_DROPPED] + fields[TRANSMIT_DROPPED],
        };
        memcpy(ret_interface->name, line, length);
        return true;
}

int network_parse(struct network_counters *ret_counters, const char *text) {
        const char *line;

        ret_counters->count = 0;
        if (!text_line(text, "Inter-|")) {
                return -EBADMSG;
        }
        for (line = text; line && ret_counters->count < INTERFACES_MAX;
             line = text_next_line(line)) {
                if (line_parse(&ret_counters->interfaces[ret_counters->count], line)) {
                        ret_counters->count++;
                }
        }
        return 0;
}

/* The same interface in the reading before; it mostly has the same place. */
static const struct interface_counters *
find(const struct network_counters *counters, const char *name, uint32_t place) {
        uint32_t i;

        if (place < counters->count && strcmp(counters->interfaces[place].name, name) == 0) {
                return &counters->interfaces[place];
        }
        for (i = 0; i < counters->count; i++) {
                if (strcmp(counters->interfaces[i].name, name) == 0) {
                        return &counters->interfaces[i];
                }
        }
        return NULL;
}

static void compare_one(const struct interface_counters *before,
                        const struct interface_counters *after,
                        const struct interval *interval,
                        struct host_msgs_Interface *ret_interface) {
        text_to_name(ret_interface->name, sizeof(ret_interface->name), after->name);
        /* One that just appeared has nothing to compare with. */
        before = before ? before : after;
        ret_interface->receive =
                interval_rate(interval, before->receive_bytes, after->receive_bytes);
        ret_interface->transmit =
                interval_rate(interval, before->transmit_bytes, after->transmit_bytes);
        ret_interface->receive_packets =
                (float) interval_rate(interval, before->receive_packets, after->receive_packets);
        ret_interface->transmit_packets =
                (float) interval_rate(interval, before->transmit_packets, after->transmit_packets);
        ret_interface->errors = after->errors;
        ret_interface->dropped = after->dropped;
}

void network_compare(const struct network_counters *before,
                     const struct network_counters *after,
                     const struct interval *interval,
                     struct host_msgs_Network *message) {
        uint32_t i;

        for (i = 0; i < after->count; i++) {
                const struct interface_counters *now = &after->interfaces[i];
                struct host_msgs_Interface interface = {0};

                compare_one(find(before, now->name, i), now, interval, &interface);
                if (strcmp(now->name, "lo") != 0) {
                        message->receive += interface.receive;
                        message->transmit += interface.transmit;
                }
                if (i < INTERFACES_LISTED) {
                        message->interfaces[i] = interface;
                        message->interface_count = i + 1;
                }
        }
}

int network_sample(void *state, struct tree *tree, uint64_t now_ns, void *message) {
        struct network *network = state;
        const char *text = NULL;
        bool second;
        int r;

        r = tree_read(tree, "proc/net/dev", &text);
        if (r < 0) {
                return r == -ENOENT ? -ENODEV : r;
        }
        r = network_parse(&network->now, text);
        if (r < 0) {
                return r;
        }
        second = interval_next(&network->interval, now_ns);
        if (second) {
                network_compare(&network->last, &network->now, &network->interval, message);
        }
        network->last = network->now;
        return second ? 0 : -EAGAIN;
}
