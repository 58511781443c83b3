/*
 * Disk throughput from /proc/diskstats, which lists every block device with its counters since
 * boot (the kernel's Documentation/admin-guide/iostats.rst).
 *
 * A write to a file on an encrypted logical volume is counted on the volume, the mapping, the
 * partition and the disk. Only devices with hardware behind them are kept, so each byte counts
 * once.
 */

#include "publishers/host/source.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

/* The kernel's unit here, whatever the device's is. */
#define SECTOR_BYTES 512u

/* Places behind the name. */
enum {
        READ_SECTORS = 2,
        WRITTEN_SECTORS = 6,
        BUSY_MS = 9,
        FIELDS = 10,
};

/* Copy a word; returns what follows, NULL if it is empty or too long for a device's name. */
static const char *word_read(const char *cursor, char *word, size_t size) {
        size_t length;

        cursor += strspn(cursor, " \t");
        length = strcspn(cursor, " \t\n");
        if (length == 0 || length >= size) {
                return NULL;
        }
        memcpy(word, cursor, length);
        word[length] = '\0';
        return cursor + length;
}

static bool line_parse(struct disk_counters *ret_disk, const char *cursor) {
        uint64_t number, fields[FIELDS];

        if (!text_unsigned(&cursor, &number) || !text_unsigned(&cursor, &number)) {
                return false;
        }
        cursor = word_read(cursor, ret_disk->name, sizeof(ret_disk->name));
        if (!cursor || text_numbers(&cursor, fields, FIELDS) < FIELDS) {
                return false;
        }
        ret_disk->read_sectors = fields[READ_SECTORS];
        ret_disk->written_sectors = fields[WRITTEN_SECTORS];
        ret_disk->busy_ms = fields[BUSY_MS];
        return true;
}

int disk_parse(struct disks_counters *ret_counters, const char *text) {
        const char *line = *text ? text : NULL;

        ret_counters->count = 0;
        for (; line && ret_counters->count < DISKS_MAX; line = text_next_line(line)) {
                if (line_parse(&ret_counters->disks[ret_counters->count], line)) {
                        ret_counters->count++;
                }
        }
        return *text && ret_counters->count == 0 ? -EBADMSG : 0;
}

void disk_keep_physical(struct disks_counters *counters, struct tree *tree) {
        uint32_t kept = 0, i;

        for (i = 0; i < counters->count; i++) {
                char path[64];

                /* A partition is not in /sys/block, a virtual device has no link to hardware. */
                (void) snprintf(path, sizeof(path), "sys/block/%s/device", counters->disks[i].name);
                if (tree_has(tree, path)) {
                        counters->disks[kept++] = counters->disks[i];
                }
        }
        counters->count = kept;
}

/* The same device in the reading before; it mostly has the same place. */
static const struct disk_counters *
find(const struct disks_counters *counters, const char *name, uint32_t place) {
        uint32_t i;

        if (place < counters->count && strcmp(counters->disks[place].name, name) == 0) {
                return &counters->disks[place];
        }
        for (i = 0; i < counters->count; i++) {
                if (strcmp(counters->disks[i].name, name) == 0) {
                        return &counters->disks[i];
                }
        }
        return NULL;
}

static void compare_one(const struct disk_counters *before,
                        const struct disk_counters *after,
                        const struct interval *interval,
                        struct host_msgs_Disk *ret_disk) {
        double busy;

        text_to_name(ret_disk->name, sizeof(ret_disk->name), after->name);
        /* One that was just plugged in has nothing to compare with. */
        before = before ? before : after;
        ret_disk->read =
                SECTOR_BYTES * interval_rate(interval, before->read_sectors, after->read_sectors);
        ret_disk->write = SECTOR_BYTES *
                          interval_rate(interval, before->written_sectors, after->written_sectors);
        busy = interval_rate(interval, before->busy_ms, after->busy_ms) / 10;
        /* The kernel adds whole ticks, which may be more than what passed. */
        ret_disk->busy = (float) (busy < 100 ? busy : 100);
}

void disk_compare(const struct disks_counters *before,
                  const struct disks_counters *after,
                  const struct interval *interval,
                  struct host_msgs_Disks *message) {
        uint32_t i;

        for (i = 0; i < after->count; i++) {
                struct host_msgs_Disk disk = {0};

                compare_one(find(before, after->disks[i].name, i), &after->disks[i], interval,
                            &disk);
                message->read += disk.read;
                message->write += disk.write;
                if (i < DISKS_LISTED) {
                        message->disks[i] = disk;
                        message->disk_count = i + 1;
                }
        }
}

int disk_sample(void *state, struct tree *tree, uint64_t now_ns, void *message) {
        struct disk *disk = state;
        const char *text = NULL;
        bool second;
        int r;

        r = tree_read(tree, "proc/diskstats", &text);
        if (r < 0) {
                return r == -ENOENT ? -ENODEV : r;
        }
        r = disk_parse(&disk->now, text);
        if (r < 0) {
                return r;
        }
        disk_keep_physical(&disk->now, tree);
        second = interval_next(&disk->interval, now_ns);
        if (second) {
                disk_compare(&disk->last, &disk->now, &disk->interval, message);
        }
        disk->last = disk->now;
        return second ? 0 : -EAGAIN;
}
