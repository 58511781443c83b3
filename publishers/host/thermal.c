/*
 * Temperatures from hwmon chips (the kernel's Documentation/hwmon/sysfs-interface.rst) and thermal
 * zones, both in thousandths of a degree.
 *
 * Most thermal zones are a hwmon chip as well, under their type's name with '_' for '-'; these are
 * left out of the zones.
 */

#include "publishers/host/source.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

/* What a chip says that has nothing connected is far outside. */
#define LOWEST_MILLIDEGREES (-100000)
#define HIGHEST_MILLIDEGREES 250000

static bool is_chip(struct tree *tree, const char *type) {
        struct tree_names chips = {0};
        bool found = false;
        size_t i;

        if (tree_list(tree, "sys/class/hwmon", "hwmon", &chips) < 0) {
                return false;
        }
        for (i = 0; i < chips.count && !found; i++) {
                char path[SENSOR_PATH_BYTES], chip[SENSOR_NAME_BYTES + 1];

                (void) snprintf(path, sizeof(path), "sys/class/hwmon/%.64s/name",
                                tree_name(&chips, i));
                found = sensor_word(tree, path, chip, sizeof(chip)) && strcmp(chip, type) == 0;
        }
        tree_names_free(&chips);
        return found;
}

static bool zone_scan(struct sensor *ret_sensor, struct tree *tree, const char *zone) {
        char path[SENSOR_PATH_BYTES], type[SENSOR_NAME_BYTES + 1], *c;

        (void) snprintf(path, sizeof(path), "sys/class/thermal/%.64s/type", zone);
        if (!sensor_word(tree, path, type, sizeof(type))) {
                (void) snprintf(type, sizeof(type), "%.*s", SENSOR_NAME_BYTES, zone);
        }
        (void) snprintf(ret_sensor->path, sizeof(ret_sensor->path), "sys/class/thermal/%.64s/temp",
                        zone);
        memcpy(ret_sensor->name, type, sizeof(type));
        for (c = type; *c; c++) {
                *c = *c == '-' ? '_' : *c;
        }
        return !is_chip(tree, type);
}

static uint32_t zones_scan(struct tree *tree, struct sensor *ret_sensors, uint32_t capacity) {
        struct tree_names zones = {0};
        uint32_t count = 0;
        size_t i;

        if (tree_list(tree, "sys/class/thermal", "thermal_zone", &zones) < 0) {
                return 0;
        }
        for (i = 0; i < zones.count && count < capacity; i++) {
                if (zone_scan(&ret_sensors[count], tree, tree_name(&zones, i))) {
                        count++;
                }
        }
        tree_names_free(&zones);
        return count;
}

static void thermal_scan(struct thermal *thermal, struct tree *tree, uint64_t now_ns) {
        if (thermal->scanned_ns && now_ns - thermal->scanned_ns < SOURCE_RESCAN_NS) {
                return;
        }
        thermal->scanned_ns = now_ns;
        thermal->count = sensor_chips(tree, "temp", thermal->sensors, SENSORS_MAX);
        thermal->count +=
                zones_scan(tree, thermal->sensors + thermal->count, SENSORS_MAX - thermal->count);
}

static void thermal_read_one(const struct sensor *sensor,
                             struct tree *tree,
                             struct host_msgs_Thermal *message) {
        struct host_msgs_TemperatureSensor *entry = &message->sensors[message->sensor_count];
        int64_t millidegrees = 0;

        if (tree_read_number(tree, sensor->path, &millidegrees) < 0 ||
            millidegrees < LOWEST_MILLIDEGREES || millidegrees > HIGHEST_MILLIDEGREES) {
                return;
        }
        text_to_name(entry->name, sizeof(entry->name), sensor->name);
        entry->temperature = (float) millidegrees / 1000;
        if (message->sensor_count == 0 || entry->temperature > message->highest) {
                message->highest = entry->temperature;
        }
        message->sensor_count++;
}

int thermal_sample(void *state, struct tree *tree, uint64_t now_ns, void *message) {
        struct thermal *thermal = state;
        struct host_msgs_Thermal *temperatures = message;
        uint32_t i;

        thermal_scan(thermal, tree, now_ns);
        for (i = 0; i < thermal->count; i++) {
                thermal_read_one(&thermal->sensors[i], tree, temperatures);
        }
        return temperatures->sensor_count ? 0 : -ENODEV;
}
