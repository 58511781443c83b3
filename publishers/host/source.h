#ifndef SLIPRING_PUBLISHERS_HOST_SOURCE_H
#define SLIPRING_PUBLISHERS_HOST_SOURCE_H

/*
 * Where each topic's messages come from.
 *
 * A source turns files of /proc and /sys into one message. It keeps what it needs from one reading
 * to the next; all of them have the same form, so that the publisher is a table of them. What is
 * made of text is apart from the reading, and so is what is made of two readings.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "publishers/host/host.h"
#include "publishers/host/text.h"
#include "publishers/host/tree.h"

/*
 * *_sample() - fill a message
 * @state:      the source's own, zero before the first call
 * @tree:       where proc and sys are
 * @now_ns:     CLOCK_MONOTONIC
 * @message:    of the source's type, filled with zeros
 *
 * Return: 0, -EAGAIN if there is nothing to compare with yet, -ENODEV if this machine has no such
 *         thing, -EBADMSG if a file says something else than the kernel's documents tell, else why
 *         it cannot be read.
 */
typedef int source_sample(void *state, struct tree *tree, uint64_t now_ns, void *message);

source_sample cpu_sample;
source_sample memory_sample;
source_sample load_sample;
source_sample disk_sample;
source_sample network_sample;
source_sample thermal_sample;
source_sample power_sample;

/* Time between two readings; false while there was one only. */
struct interval {
        uint64_t last_ns;
        double seconds;
};

bool interval_next(struct interval *interval, uint64_t now_ns);

/* A counter's progress in a second. */
double interval_rate(const struct interval *interval, uint64_t before, uint64_t after);

/* Sensors come and go; directories are listed again after that time. */
#define SOURCE_RESCAN_NS UINT64_C(5000000000)

/* --- processor time: /proc/stat --- */

#define CPU_CORES_MAX 64u

/* Where processor time went, in hundredths of a second since boot. */
enum cpu_state {
        CPU_USER,
        CPU_NICE,
        CPU_SYSTEM,
        CPU_IDLE,
        CPU_IOWAIT,
        CPU_IRQ,
        CPU_SOFTIRQ,
        CPU_STEAL,
        CPU_STATES,
};

/* One line; a core that is offline has none. */
struct cpu_times {
        bool online;
        uint64_t ticks[CPU_STATES];
};

struct cpu_counters {
        struct cpu_times all;
        struct cpu_times cores[CPU_CORES_MAX];
        uint32_t cores_online;
        uint64_t context_switches;
        uint64_t interrupts;
};

struct cpu {
        struct cpu_counters last;
        struct interval interval;
};

int cpu_parse(struct cpu_counters *ret_counters, const char *text);
void cpu_compare(const struct cpu_counters *before,
                 const struct cpu_counters *after,
                 const struct interval *interval,
                 struct host_msgs_Cpu *message);

/* --- memory: /proc/meminfo --- */

int memory_parse(struct host_msgs_Memory *message, const char *text);

/* --- load: /proc/loadavg, /proc/uptime --- */

int load_parse(struct host_msgs_Load *message, const char *loadavg, const char *uptime);

/* --- disks: /proc/diskstats, /sys/block --- */

#define DISKS_MAX 512u
#define DISKS_LISTED 16u

/* Of one device since it came up. */
struct disk_counters {
        char name[32];
        uint64_t read_sectors;
        uint64_t written_sectors;
        uint64_t busy_ms;
};

struct disks_counters {
        uint32_t count;
        struct disk_counters disks[DISKS_MAX];
};

struct disk {
        struct disks_counters last;
        struct disks_counters now;
        struct interval interval;
};

/* All block devices, partitions and virtual ones too. */
int disk_parse(struct disks_counters *ret_counters, const char *text);
/* Leave those that have no hardware behind them out: what they do, they do to one that has. */
void disk_keep_physical(struct disks_counters *counters, struct tree *tree);
void disk_compare(const struct disks_counters *before,
                  const struct disks_counters *after,
                  const struct interval *interval,
                  struct host_msgs_Disks *message);

/* --- network: /proc/net/dev --- */

#define INTERFACES_MAX 512u
#define INTERFACES_LISTED 16u

/* Of one interface since it came up. */
struct interface_counters {
        char name[32];
        uint64_t receive_bytes;
        uint64_t receive_packets;
        uint64_t transmit_bytes;
        uint64_t transmit_packets;
        uint64_t errors;
        uint64_t dropped;
};

struct network_counters {
        uint32_t count;
        struct interface_counters interfaces[INTERFACES_MAX];
};

struct network {
        struct network_counters last;
        struct network_counters now;
        struct interval interval;
};

int network_parse(struct network_counters *ret_counters, const char *text);
void network_compare(const struct network_counters *before,
                     const struct network_counters *after,
                     const struct interval *interval,
                     struct host_msgs_Network *message);

/* --- temperatures: /sys/class/hwmon, /sys/class/thermal --- */

#define SENSORS_MAX 32u
#define SENSOR_NAME_BYTES 32u
#define SENSOR_PATH_BYTES 128u

/* A file that holds a reading. */
struct sensor {
        char path[SENSOR_PATH_BYTES];
        char name[SENSOR_NAME_BYTES + 1];
};

struct thermal {
        uint64_t scanned_ns;
        uint32_t count;
        struct sensor sensors[SENSORS_MAX];
};

/* --- power: /sys/class/power_supply, /sys/class/powercap, /sys/class/hwmon --- */

#define SUPPLIES_MAX 8u
#define METERS_MAX 16u

/* A meter of energy counts up to its range and starts again. */
struct meter {
        struct sensor sensor;
        bool counts_energy;
        int64_t range_uj;
        int64_t last_uj;
        uint64_t last_ns;
};

struct power {
        uint64_t scanned_ns;
        uint32_t supply_count;
        uint32_t meter_count;
        char supplies[SUPPLIES_MAX][64];
        struct meter meters[METERS_MAX];
};

/* --- sensors of both kinds --- */

/*
 * sensor_chips() - look through /sys/class/hwmon
 * @kind:       "temp", "power"
 * @ret_sensors: filled with the files KINDn_input of all chips, named by chip and label
 *
 * Return: how many, at most @capacity.
 */
uint32_t
sensor_chips(struct tree *tree, const char *kind, struct sensor *ret_sensors, uint32_t capacity);

/* sensor_word() - read a file of one line into a string; false if it cannot be read or is empty. */
bool sensor_word(struct tree *tree, const char *path, char *word, size_t size);

#endif
