/*
 * Power: batteries and inputs from /sys/class/power_supply (millionths of volts, amperes and
 * watts), processors from the energy counters in /sys/class/powercap, power sensors of hwmon chips.
 *
 * The energy counters can be read by root only, since they tell much about what is computed.
 */

#include "publishers/host/source.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

/* --- supplies --- */

/* A word of a file and the number that stands for it. */
struct word {
        const char *word;
        uint8_t value;
};

static const struct word kinds[] = {
        {"Battery", HOST_MSGS_POWER_SUPPLY_KIND_BATTERY},
        {"Mains", HOST_MSGS_POWER_SUPPLY_KIND_MAINS},
        {"USB", HOST_MSGS_POWER_SUPPLY_KIND_USB},
        {"UPS", HOST_MSGS_POWER_SUPPLY_KIND_UPS},
        {NULL, HOST_MSGS_POWER_SUPPLY_KIND_OTHER},
};

static const struct word statuses[] = {
        {"Charging", HOST_MSGS_POWER_SUPPLY_STATUS_CHARGING},
        {"Discharging", HOST_MSGS_POWER_SUPPLY_STATUS_DISCHARGING},
        {"Not charging", HOST_MSGS_POWER_SUPPLY_STATUS_NOT_CHARGING},
        {"Full", HOST_MSGS_POWER_SUPPLY_STATUS_FULL},
        {NULL, HOST_MSGS_POWER_SUPPLY_STATUS_UNKNOWN},
};

static bool
supply_word(struct tree *tree, const char *supply, const char *file, char *word, size_t size) {
        char path[SENSOR_PATH_BYTES];

        (void) snprintf(path, sizeof(path), "sys/class/power_supply/%s/%s", supply, file);
        return sensor_word(tree, path, word, size);
}

static uint8_t
supply_value(struct tree *tree, const char *supply, const char *file, const struct word *words) {
        char word[32];

        if (supply_word(tree, supply, file, word, sizeof(word))) {
                while (words->word && strcmp(words->word, word) != 0) {
                        words++;
                }
                return words->value;
        }
        while (words->word) {
                words++;
        }
        return words->value;
}

static bool
supply_number(struct tree *tree, const char *supply, const char *file, double *ret_number) {
        char path[SENSOR_PATH_BYTES];
        int64_t number = 0;

        (void) snprintf(path, sizeof(path), "sys/class/power_supply/%s/%s", supply, file);
        if (tree_read_number(tree, path, &number) < 0) {
                return false;
        }
        *ret_number = (double) number;
        return true;
}

static void
supply_read(struct tree *tree, const char *supply, struct host_msgs_PowerSupply *ret_supply) {
        double charge = -1, voltage = 0, current = 0, power = 0, online = 0;

        text_to_name(ret_supply->name, sizeof(ret_supply->name), supply);
        ret_supply->kind = supply_value(tree, supply, "type", kinds);
        ret_supply->status = supply_value(tree, supply, "status", statuses);
        (void) supply_number(tree, supply, "capacity", &charge);
        (void) supply_number(tree, supply, "voltage_now", &voltage);
        /* Drivers differ in the sign of a current that leaves the battery. */
        (void) supply_number(tree, supply, "current_now", &current);
        if (!supply_number(tree, supply, "power_now", &power)) {
                power = voltage * current / 1e6;
        }
        if (!supply_number(tree, supply, "online", &online)) {
                (void) supply_number(tree, supply, "present", &online);
        }
        ret_supply->online = online > 0;
        ret_supply->charge = (float) (charge >= 0 && charge <= 100 ? charge : -1);
        ret_supply->voltage = (float) (voltage / 1e6);
        ret_supply->current = (float) (fabs(current) / 1e6);
        ret_supply->power = (float) (fabs(power) / 1e6);
}

static void supplies_scan(struct power *power, struct tree *tree) {
        struct tree_names names = {0};
        char type[32];
        size_t i;

        power->supply_count = 0;
        if (tree_list(tree, "sys/class/power_supply", "", &names) < 0) {
                return;
        }
        for (i = 0; i < names.count && power->supply_count < SUPPLIES_MAX; i++) {
                const char *name = tree_name(&names, i);

                /* A mouse's battery is one, too, but not this machine's. */
                if (supply_word(tree, name, "scope", type, sizeof(type)) &&
                    strcmp(type, "Device") == 0) {
                        continue;
                }
                if (supply_word(tree, name, "type", type, sizeof(type))) {
                        (void) snprintf(power->supplies[power->supply_count++],
                                        sizeof(power->supplies[0]), "%.63s", name);
                }
        }
        tree_names_free(&names);
}

static void
supplies_read(const struct power *power, struct tree *tree, struct host_msgs_Power *message) {
        char type[32];
        uint32_t i;

        for (i = 0; i < power->supply_count; i++) {
                if (supply_word(tree, power->supplies[i], "type", type, sizeof(type))) {
                        supply_read(tree, power->supplies[i],
                                    &message->supplies[message->supply_count++]);
                }
        }
}

/* --- meters --- */

static bool zone_scan(struct meter *ret_meter, struct tree *tree, const char *zone) {
        char path[SENSOR_PATH_BYTES], name[SENSOR_NAME_BYTES + 1];
        struct meter meter = {.counts_energy = true};

        (void) snprintf(path, sizeof(path), "sys/class/powercap/%.64s/name", zone);
        if (!sensor_word(tree, path, name, sizeof(name))) {
                return false;
        }
        (void) snprintf(path, sizeof(path), "sys/class/powercap/%.64s/max_energy_range_uj", zone);
        (void) tree_read_number(tree, path, &meter.range_uj);
        (void) snprintf(meter.sensor.path, sizeof(meter.sensor.path),
                        "sys/class/powercap/%.64s/energy_uj", zone);
        memcpy(meter.sensor.name, name, sizeof(name));
        *ret_meter = meter;
        return tree_has(tree, meter.sensor.path);
}

static uint32_t zones_scan(struct tree *tree, struct meter *ret_meters, uint32_t capacity) {
        struct tree_names zones = {0};
        uint32_t count = 0;
        size_t i;

        /* Not intel-rapl-mmio, which counts a package a second time. */
        if (tree_list(tree, "sys/class/powercap", "intel-rapl:", &zones) < 0) {
                return 0;
        }
        for (i = 0; i < zones.count && count < capacity; i++) {
                if (zone_scan(&ret_meters[count], tree, tree_name(&zones, i))) {
                        count++;
                }
        }
        tree_names_free(&zones);
        return count;
}

static uint32_t chips_scan(struct tree *tree, struct meter *ret_meters, uint32_t capacity) {
        struct sensor sensors[METERS_MAX];
        uint32_t count, i;

        count = sensor_chips(tree, "power", sensors, capacity);
        for (i = 0; i < count; i++) {
                ret_meters[i] = (struct meter){.sensor = sensors[i]};
        }
        return count;
}

/* A meter that was there before goes on from what it counted. */
static void meter_keep(const struct meter *before, uint32_t count, struct meter *meter) {
        uint32_t i;

        for (i = 0; i < count; i++) {
                if (strcmp(before[i].sensor.path, meter->sensor.path) == 0) {
                        meter->last_uj = before[i].last_uj;
                        meter->last_ns = before[i].last_ns;
                }
        }
}

static void meters_scan(struct power *power, struct tree *tree) {
        struct meter meters[METERS_MAX];
        uint32_t count, i;

        count = zones_scan(tree, meters, METERS_MAX);
        count += chips_scan(tree, meters + count, METERS_MAX - count);
        for (i = 0; i < count; i++) {
                meter_keep(power->meters, power->meter_count, &meters[i]);
        }
        memcpy(power->meters, meters, count * sizeof(meters[0]));
        power->meter_count = count;
}

/* Energy since the reading before over the time since; false while there is none. */
static bool
meter_power(struct meter *meter, int64_t energy_uj, uint64_t now_ns, double *ret_power) {
        int64_t used_uj = energy_uj - meter->last_uj;
        uint64_t last_ns = meter->last_ns;

        meter->last_uj = energy_uj;
        meter->last_ns = now_ns;
        if (!last_ns || now_ns <= last_ns) {
                return false;
        }
        if (used_uj < 0) {
                used_uj += meter->range_uj;
        }
        *ret_power = (double) used_uj * 1e3 / (double) (now_ns - last_ns);
        return used_uj >= 0;
}

static bool meter_read(struct meter *meter, struct tree *tree, uint64_t now_ns, double *ret_power) {
        int64_t number = 0;

        if (tree_read_number(tree, meter->sensor.path, &number) < 0) {
                meter->last_ns = 0;
                return false;
        }
        if (meter->counts_energy) {
                return meter_power(meter, number, now_ns, ret_power);
        }
        *ret_power = (double) number / 1e6;
        return true;
}

static void meters_read(struct power *power,
                        struct tree *tree,
                        uint64_t now_ns,
                        struct host_msgs_Power *message) {
        uint32_t i;

        for (i = 0; i < power->meter_count; i++) {
                struct host_msgs_PowerMeter *entry = &message->meters[message->meter_count];
                double watts = 0;

                if (meter_read(&power->meters[i], tree, now_ns, &watts)) {
                        text_to_name(entry->name, sizeof(entry->name),
                                     power->meters[i].sensor.name);
                        entry->power = (float) watts;
                        message->meter_count++;
                }
        }
}

/* Did a meter begin to count in this reading? */
static bool meters_started(const struct power *power, uint64_t now_ns) {
        uint32_t i;

        for (i = 0; i < power->meter_count; i++) {
                if (power->meters[i].last_ns == now_ns) {
                        return true;
                }
        }
        return false;
}

int power_sample(void *state, struct tree *tree, uint64_t now_ns, void *message) {
        struct host_msgs_Power *supplies = message;
        struct power *power = state;

        if (!power->scanned_ns || now_ns - power->scanned_ns >= SOURCE_RESCAN_NS) {
                power->scanned_ns = now_ns;
                supplies_scan(power, tree);
                meters_scan(power, tree);
        }
        supplies_read(power, tree, supplies);
        meters_read(power, tree, now_ns, supplies);
        if (supplies->supply_count || supplies->meter_count) {
                return 0;
        }
        return meters_started(power, now_ns) ? -EAGAIN : -ENODEV;
}
