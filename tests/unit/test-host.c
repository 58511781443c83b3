/*
 * What slipring-host makes of /proc and /sys: machines stored in tests/data/host, odd ones too.
 */

#include <errno.h>
#include <stdio.h>
#include <string.h>

/* cmocka wants these, in this order. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <cmocka.h>

#include "publishers/host/source.h"

#define SECOND UINT64_C(1000000000)

static struct tree machine(const char *name) {
        const char *data = getenv("SLIPRING_TEST_DATA");
        struct tree tree = {0};
        char path[4096];

        assert_non_null(data);
        (void) snprintf(path, sizeof(path), "%s/host/%s", data, name);
        assert_int_equal(tree_open(&tree, path), 0);
        return tree;
}

/* Sample a machine, and 100 ms later the other. */
static void sample_two(
        source_sample *sample, void *state, const char *before, const char *after, void *message) {
        struct tree tree = machine(before), later = machine(after);

        assert_int_equal(sample(state, &tree, SECOND, message), -EAGAIN);
        assert_int_equal(sample(state, &later, SECOND + SECOND / 10, message), 0);
        tree_close(&tree);
        tree_close(&later);
}

static int sample_one(source_sample *sample, void *state, const char *name, void *message) {
        struct tree tree = machine(name);
        int r;

        r = sample(state, &tree, SECOND, message);
        tree_close(&tree);
        return r;
}

#define assert_near(value, expected) assert_float_equal(value, expected, 1e-3 * (1 + expected))

static void assert_name(const uint8_t *name, size_t size, const char *expected) {
        size_t i;

        for (i = 0; i < size; i++) {
                assert_int_equal(name[i], i < strlen(expected) ? (uint8_t) expected[i] : 0);
        }
}

#define assert_named(entry, expected) assert_name((entry).name, sizeof((entry).name), expected)

/* --- text --- */

static void test_text_unsigned_stops_at_what_is_no_number(void **state) {
        const char *text = "  12 x", *cursor = text;
        uint64_t number = 7;

        assert_true(text_unsigned(&cursor, &number));
        assert_int_equal(number, 12);
        assert_false(text_unsigned(&cursor, &number));
        assert_int_equal(number, 12);
        assert_ptr_equal(cursor, text + 4);
        cursor = "\n5";
        assert_false(text_unsigned(&cursor, &number));
        cursor = "";
        assert_false(text_unsigned(&cursor, &number));
}

static void test_text_unsigned_keeps_to_the_largest(void **state) {
        const char *cursor = "18446744073709551615 18446744073709551616 99999999999999999999999";
        uint64_t numbers[4];

        assert_int_equal(text_numbers(&cursor, numbers, 4), 3);
        assert_true(numbers[0] == UINT64_MAX);
        assert_true(numbers[1] == UINT64_MAX);
        assert_true(numbers[2] == UINT64_MAX);
        assert_int_equal(numbers[3], 0);
}

static void test_text_number_takes_nothing_else(void **state) {
        static const char *const bad[] = {"", "\n", "-", "1 2", "0x10", "9223372036854775808"};
        int64_t number = 0;
        size_t i;

        assert_true(text_number("-274000\n", &number));
        assert_int_equal(number, -274000);
        assert_true(text_number("9223372036854775807", &number));
        assert_true(number == INT64_MAX);
        for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
                assert_false(text_number(bad[i], &number));
        }
}

static void test_text_to_name_pads_cuts_and_cleans(void **state) {
        uint8_t name[8];

        text_to_name(name, sizeof(name), "eth0 \nrest");
        assert_memory_equal(name, "eth0\0\0\0", 8);
        text_to_name(name, sizeof(name), "enp0s31f6");
        assert_memory_equal(name, "enp0s31f", 8);
        text_to_name(name, sizeof(name), "a\tb\xc3\xa4\x7f");
        assert_memory_equal(name, "a?b???\0", 8);
}

static void test_counter_delta_wraps_at_32_bits_only_near_the_end(void **state) {
        assert_int_equal(counter_delta(5, 9), 4);
        assert_int_equal(counter_delta(4294967290, 4), 10);
        /* Set back, not wrapped. */
        assert_int_equal(counter_delta(1000, 10), 0);
        assert_int_equal(counter_delta(4294967290, 4294967289), 0);
        assert_int_equal(counter_delta(UINT64_C(1) << 33, 5), 0);
}

static void test_tree_reads_files_longer_than_its_first_room(void **state) {
        struct tree tree = machine("..");
        const char *text = NULL;
        char path[] = "/tmp/slipring-test-XXXXXX";
        int fd = mkstemp(path);
        FILE *file = fdopen(fd, "w");
        size_t i;

        assert_non_null(file);
        for (i = 0; i < 100000; i++) {
                assert_int_equal(fputc("0123456789"[i % 10], file), "0123456789"[i % 10]);
        }
        assert_int_equal(fclose(file), 0);
        assert_int_equal(tree_read(&tree, path, &text), 0);
        assert_int_equal(strlen(text), 100000);
        assert_int_equal(text[99999], '9');
        assert_int_equal(remove(path), 0);
        assert_int_equal(tree_read(&tree, path, &text), -ENOENT);
        assert_int_equal(tree_read(&tree, "/dev/zero", &text), -EFBIG);
        tree_close(&tree);
}

/* --- processor time --- */

static void test_cpu_shares_are_those_of_the_time_between(void **state) {
        struct host_msgs_Cpu message = {0};
        struct cpu cpu = {0};

        sample_two(cpu_sample, &cpu, "laptop", "laptop-later", &message);
        assert_near(message.usage, 65);
        assert_near(message.user, 40);
        assert_near(message.system, 20);
        assert_near(message.interrupt, 3);
        assert_near(message.iowait, 5);
        assert_near(message.steal, 2);
        assert_near(message.context_switches, 10000);
        assert_near(message.interrupts, 5000);
}

static void test_cpu_cores_may_come_and_go(void **state) {
        struct host_msgs_Cpu message = {0};
        struct cpu cpu = {0};
        size_t i;

        sample_two(cpu_sample, &cpu, "laptop", "laptop-later", &message);
        assert_int_equal(message.cores_online, 3);
        assert_int_equal(message.core_count, 4);
        assert_near(message.core_usage[0], 80);
        assert_near(message.core_usage[1], 0);
        assert_float_equal(message.core_usage[2], -1, 0);
        /* Plugged in between: unknown yet, not everything since it exists. */
        assert_float_equal(message.core_usage[3], 0, 0);
        for (i = 4; i < CPU_CORES_MAX; i++) {
                assert_float_equal(message.core_usage[i], -1, 0);
        }
}

/* The machine's counters in the other order: idle time and a core's times went backwards. */
static void test_cpu_counters_that_go_backwards_count_as_nothing(void **state) {
        struct host_msgs_Cpu message = {0};
        struct cpu cpu = {0};

        sample_two(cpu_sample, &cpu, "laptop-later", "laptop", &message);
        assert_float_equal(message.usage, 0, 0);
        assert_float_equal(message.core_usage[0], 0, 0);
        assert_float_equal(message.context_switches, 0, 0);
        assert_int_equal(message.cores_online, 3);
        assert_int_equal(message.core_count, 3);
}

static void test_cpu_reads_old_kernels(void **state) {
        struct cpu_counters counters;

        assert_int_equal(cpu_parse(&counters, "cpu  100 0 50 1000\ncpu0 100 0 50 1000\n"), 0);
        assert_int_equal(counters.cores_online, 1);
        assert_int_equal(counters.all.ticks[CPU_IDLE], 1000);
        assert_int_equal(counters.all.ticks[CPU_STEAL], 0);
}

static void test_cpu_counts_cores_beyond_the_list(void **state) {
        struct cpu_counters before, after;
        struct interval interval = {.seconds = 1};
        struct host_msgs_Cpu message = {0};

        assert_int_equal(cpu_parse(&before, "cpu 1 1 1 1\ncpu63 1 1 1 1\ncpu64 1 1 1 1\n"), 0);
        assert_int_equal(cpu_parse(&after, "cpu 2 1 1 2\ncpu63 2 1 1 2\ncpu64 9 9 9 9\n"), 0);
        cpu_compare(&before, &after, &interval, &message);
        assert_int_equal(message.cores_online, 2);
        assert_int_equal(message.core_count, 64);
        assert_near(message.core_usage[63], 50);
}

static void test_cpu_refuses_a_text_without_a_sum(void **state) {
        struct host_msgs_Cpu message = {0};
        struct cpu cpu = {0};
        struct cpu_counters counters;

        assert_int_equal(sample_one(cpu_sample, &cpu, "odd", &message), -EBADMSG);
        assert_int_equal(cpu_parse(&counters, ""), -EBADMSG);
        assert_int_equal(cpu_parse(&counters, "cpu"), -EBADMSG);
        assert_int_equal(cpu_parse(&counters, "cpu 1 2 3\n"), -EBADMSG);
        assert_int_equal(cpu_parse(&counters, "cpu  1 2 3 4\nintr\nctxt\ncpu\ncpu5\ncpux 1 2 3 4"),
                         0);
        assert_int_equal(counters.cores_online, 0);
}

/* --- memory, load --- */

static void test_memory_is_in_bytes(void **state) {
        struct host_msgs_Memory message = {0};

        assert_int_equal(sample_one(memory_sample, NULL, "laptop", &message), 0);
        assert_int_equal(message.total, UINT64_C(16384000) * 1024);
        assert_int_equal(message.available, UINT64_C(8192000) * 1024);
        assert_int_equal(message.free, UINT64_C(2048000) * 1024);
        assert_int_equal(message.buffers, UINT64_C(102400) * 1024);
        assert_int_equal(message.cached, UINT64_C(4096000) * 1024);
        assert_int_equal(message.shared, UINT64_C(512000) * 1024);
        assert_int_equal(message.swap_total, UINT64_C(8388608) * 1024);
        assert_int_equal(message.swap_free, UINT64_C(8000000) * 1024);
        assert_near(message.used, 50);
}

static void test_memory_of_old_kernels_is_available_where_free(void **state) {
        struct host_msgs_Memory message = {0};

        assert_int_equal(sample_one(memory_sample, NULL, "virtual", &message), 0);
        assert_int_equal(message.available, UINT64_C(128000) * 1024);
        assert_int_equal(message.swap_total, 0);
        assert_near(message.used, 75);
}

static void test_memory_refuses_a_text_without_a_total(void **state) {
        struct host_msgs_Memory message = {0};

        assert_int_equal(sample_one(memory_sample, NULL, "odd", &message), -EBADMSG);
        assert_int_equal(memory_parse(&message, ""), -EBADMSG);
        assert_int_equal(memory_parse(&message, "MemTotal: 0 kB\n"), -EBADMSG);
        /* More available than there is: share stays one. */
        assert_int_equal(memory_parse(&message, "MemTotal: 10 kB\nMemAvailable: 20 kB"), 0);
        assert_float_equal(message.used, 0, 0);
}

static void test_load_reads_both_files(void **state) {
        struct host_msgs_Load message = {0};

        assert_int_equal(sample_one(load_sample, NULL, "laptop", &message), 0);
        assert_near(message.average_1min, 1.25);
        assert_near(message.average_5min, 0.8);
        assert_near(message.average_15min, 0.07);
        assert_int_equal(message.runnable, 3);
        assert_int_equal(message.threads, 1204);
        assert_float_equal(message.uptime, 350735.47, 1e-6);
        assert_int_equal(sample_one(load_sample, NULL, "virtual", &message), 0);
        assert_float_equal(message.uptime, 10, 0);
}

static void test_load_refuses_cut_lines(void **state) {
        struct host_msgs_Load message = {0};

        assert_int_equal(sample_one(load_sample, NULL, "odd", &message), -EBADMSG);
        assert_int_equal(load_parse(&message, "", "1.0"), -EBADMSG);
        assert_int_equal(load_parse(&message, "0.48 0.28 0.20 2", "1.0"), -EBADMSG);
        assert_int_equal(load_parse(&message, "0.48 0.28 0.20 2/", "1.0"), -EBADMSG);
        assert_int_equal(load_parse(&message, "0.48 0. 0.20 2/3", "1.0"), -EBADMSG);
        assert_int_equal(load_parse(&message, "0.48 0.28 0.20 2/3", ""), -EBADMSG);
        assert_int_equal(load_parse(&message, "0.48 0.28 0.20 2/3", "1.0"), 0);
}

/* --- disks --- */

static void test_disk_counts_each_byte_once(void **state) {
        struct host_msgs_Disks message = {0};
        struct disk *disk = test_calloc(1, sizeof(*disk));

        sample_two(disk_sample, disk, "laptop", "laptop-later", &message);
        assert_int_equal(message.disk_count, 3);
        assert_named(message.disks[0], "nvme0n1");
        assert_near(message.disks[0].read, 2000 * 512 / 0.1);
        assert_near(message.disks[0].write, 1000 * 512 / 0.1);
        assert_near(message.disks[0].busy, 50);
        assert_near(message.read, 2000 * 512 / 0.1 + 400 * 512 / 0.1);
        assert_near(message.write, 1000 * 512 / 0.1);
        test_free(disk);
}

static void test_disk_counters_wrap_restart_and_begin(void **state) {
        struct host_msgs_Disks message = {0};
        struct disk *disk = test_calloc(1, sizeof(*disk));

        sample_two(disk_sample, disk, "laptop", "laptop-later", &message);
        assert_named(message.disks[1], "sda");
        assert_near(message.disks[1].read, 400 * 512 / 0.1);
        assert_float_equal(message.disks[1].write, 0, 0);
        assert_near(message.disks[1].busy, 100);
        assert_named(message.disks[2], "sdb");
        assert_float_equal(message.disks[2].read, 0, 0);
        assert_float_equal(message.disks[2].write, 0, 0);
        test_free(disk);
}

static void test_disk_totals_are_over_more_than_the_list(void **state) {
        struct disks_counters *counters = test_calloc(2, sizeof(*counters));
        struct interval interval = {.seconds = 1};
        struct host_msgs_Disks message = {0};
        uint32_t i;

        for (i = 0; i < DISKS_LISTED + 4; i++) {
                (void) snprintf(counters[0].disks[i].name, 8, "sd%u", i);
                counters[1].disks[i] = counters[0].disks[i];
                counters[1].disks[i].read_sectors = 1;
        }
        counters[0].count = counters[1].count = i;
        disk_compare(&counters[0], &counters[1], &interval, &message);
        assert_int_equal(message.disk_count, DISKS_LISTED);
        assert_near(message.read, 512 * (DISKS_LISTED + 4));
        test_free(counters);
}

static void test_disk_refuses_what_is_no_list(void **state) {
        struct host_msgs_Disks message = {0};
        struct disk *disk = test_calloc(1, sizeof(*disk));

        assert_int_equal(sample_one(disk_sample, disk, "odd", &message), -EBADMSG);
        /* A machine without any disk is fine. */
        assert_int_equal(disk_parse(&disk->now, ""), 0);
        assert_int_equal(disk->now.count, 0);
        test_free(disk);
}

/* --- network --- */

static void test_network_totals_leave_lo_out(void **state) {
        struct network *network = test_calloc(1, sizeof(*network));
        struct host_msgs_Network message = {0};

        sample_two(network_sample, network, "laptop", "laptop-later", &message);
        assert_int_equal(message.interface_count, 4);
        assert_named(message.interfaces[0], "lo");
        assert_near(message.interfaces[0].receive, 500000 / 0.1);
        assert_near(message.interfaces[0].receive_packets, 500 / 0.1);
        assert_near(message.receive, 10000 / 0.1);
        assert_near(message.transmit, 1000 / 0.1);
        test_free(network);
}

static void test_network_counters_wrap_restart_and_begin(void **state) {
        struct network *network = test_calloc(1, sizeof(*network));
        struct host_msgs_Network message = {0};

        sample_two(network_sample, network, "laptop", "laptop-later", &message);
        assert_named(message.interfaces[1], "wlp2s0");
        assert_float_equal(message.interfaces[1].receive, 0, 0);
        assert_named(message.interfaces[2], "eth0");
        assert_near(message.interfaces[2].receive, 10000 / 0.1);
        assert_near(message.interfaces[2].transmit_packets, 20 / 0.1);
        assert_int_equal(message.interfaces[2].errors, 4);
        assert_int_equal(message.interfaces[2].dropped, 7);
        assert_named(message.interfaces[3], "tun0");
        assert_float_equal(message.interfaces[3].receive, 0, 0);
        test_free(network);
}

static void test_network_without_interfaces_is_no_mistake(void **state) {
        struct network *network = test_calloc(1, sizeof(*network));
        struct host_msgs_Network message = {0};

        sample_two(network_sample, network, "virtual", "virtual", &message);
        assert_int_equal(message.interface_count, 0);
        assert_int_equal(sample_one(network_sample, network, "odd", &message), -EBADMSG);
        test_free(network);
}

/* --- temperatures --- */

static void test_thermal_names_each_sensor_once(void **state) {
        static const struct {
                const char *name;
                float temperature;
        } expected[] = {
                {"coretemp Package id 0", 61},
                {"coretemp Core 0", 59.5f},
                {"nvme Composite", -1.85f},
                /* hwmon10 behind hwmon2; the zone cpu-thermal is this chip. */
                {"cpu_thermal temp1", 48},
                {"pch_skylake", 55.5f},
        };
        struct host_msgs_Thermal message = {0};
        struct thermal thermal = {0};
        size_t i;

        assert_int_equal(sample_one(thermal_sample, &thermal, "laptop", &message), 0);
        assert_int_equal(message.sensor_count, 5);
        for (i = 0; i < 5; i++) {
                assert_named(message.sensors[i], expected[i].name);
                assert_float_equal(message.sensors[i].temperature, expected[i].temperature, 1e-4);
        }
        assert_near(message.highest, 61);
}

static void test_thermal_leaves_out_what_measures_nothing(void **state) {
        struct host_msgs_Thermal message = {0};
        struct thermal thermal = {0};

        assert_int_equal(sample_one(thermal_sample, &thermal, "odd", &message), 0);
        assert_int_equal(message.sensor_count, 1);
        assert_named(message.sensors[0], "hwmon temp3");
        assert_near(message.highest, 42);
}

static void test_thermal_without_sensors_is_no_device(void **state) {
        struct host_msgs_Thermal message = {0};
        struct thermal thermal = {0};

        assert_int_equal(sample_one(thermal_sample, &thermal, "virtual", &message), -ENODEV);
}

static void test_thermal_looks_for_new_sensors_from_time_to_time(void **state) {
        struct tree without = machine("virtual"), with = machine("laptop");
        struct host_msgs_Thermal message = {0};
        struct thermal thermal = {0};

        assert_int_equal(thermal_sample(&thermal, &without, SECOND, &message), -ENODEV);
        assert_int_equal(thermal_sample(&thermal, &with, 2 * SECOND, &message), -ENODEV);
        assert_int_equal(thermal_sample(&thermal, &with, SECOND + SOURCE_RESCAN_NS, &message), 0);
        tree_close(&without);
        tree_close(&with);
}

/* --- power --- */

static void test_power_reads_supplies(void **state) {
        struct host_msgs_Power message = {0};
        struct power power = {0};

        assert_int_equal(sample_one(power_sample, &power, "laptop", &message), 0);
        /* Not the mouse's. */
        assert_int_equal(message.supply_count, 2);
        assert_named(message.supplies[0], "AC");
        assert_int_equal(message.supplies[0].kind, HOST_MSGS_POWER_SUPPLY_KIND_MAINS);
        assert_int_equal(message.supplies[0].online, 1);
        assert_float_equal(message.supplies[0].charge, -1, 0);
        assert_named(message.supplies[1], "BAT0");
        assert_int_equal(message.supplies[1].kind, HOST_MSGS_POWER_SUPPLY_KIND_BATTERY);
        assert_int_equal(message.supplies[1].status, HOST_MSGS_POWER_SUPPLY_STATUS_DISCHARGING);
        assert_int_equal(message.supplies[1].online, 1);
        assert_near(message.supplies[1].charge, 87);
        assert_near(message.supplies[1].voltage, 12);
        assert_near(message.supplies[1].current, 1.5);
        assert_near(message.supplies[1].power, 18);
}

static void test_power_of_energy_counters_needs_two_readings(void **state) {
        struct tree tree = machine("laptop"), later = machine("laptop-later");
        struct host_msgs_Power message = {0};
        struct power power = {0};

        assert_int_equal(power_sample(&power, &tree, SECOND, &message), 0);
        assert_int_equal(message.meter_count, 1);
        assert_named(message.meters[0], "ina226 power1");
        assert_near(message.meters[0].power, 12.5);
        message = (struct host_msgs_Power){0};
        assert_int_equal(power_sample(&power, &later, SECOND + SECOND / 10, &message), 0);
        /* The chip is not in the later tree; package-0 passed the end of its range. */
        assert_int_equal(message.meter_count, 2);
        assert_named(message.meters[0], "package-0");
        assert_near(message.meters[0].power, (262143328850 - 262143000000 + 500328850) / 1e6 / 0.1);
        assert_named(message.meters[1], "dram");
        assert_near(message.meters[1].power, 5);
        tree_close(&tree);
        tree_close(&later);
}

static void test_power_of_energy_alone_begins_with_the_second_reading(void **state) {
        struct tree tree = machine("laptop-later");
        struct host_msgs_Power message = {0};
        struct power power = {0};

        assert_int_equal(power_sample(&power, &tree, SECOND, &message), -EAGAIN);
        assert_int_equal(power_sample(&power, &tree, 2 * SECOND, &message), 0);
        assert_int_equal(message.meter_count, 2);
        assert_float_equal(message.meters[0].power, 0, 0);
        /* A new look for meters does not make them begin again. */
        message = (struct host_msgs_Power){0};
        assert_int_equal(power_sample(&power, &tree, SECOND + SOURCE_RESCAN_NS, &message), 0);
        assert_int_equal(message.meter_count, 2);
        tree_close(&tree);
}

static void test_power_of_odd_supplies_is_unknown(void **state) {
        struct host_msgs_Power message = {0};
        struct power power = {0};

        assert_int_equal(sample_one(power_sample, &power, "odd", &message), 0);
        assert_int_equal(message.supply_count, 1);
        assert_int_equal(message.supplies[0].kind, HOST_MSGS_POWER_SUPPLY_KIND_OTHER);
        assert_int_equal(message.supplies[0].status, HOST_MSGS_POWER_SUPPLY_STATUS_UNKNOWN);
        assert_int_equal(message.supplies[0].online, 0);
        assert_float_equal(message.supplies[0].charge, -1, 0);
        assert_float_equal(message.supplies[0].voltage, 0, 0);
        assert_near(message.supplies[0].power, 5);
}

static void test_power_without_any_is_no_device(void **state) {
        struct host_msgs_Power message = {0};
        struct power power = {0};

        assert_int_equal(sample_one(power_sample, &power, "virtual", &message), -ENODEV);
}

/* --- a tree without proc and sys --- */

static void test_sources_without_their_files_have_no_device(void **state) {
        static source_sample *const samples[] = {
                cpu_sample,     memory_sample,  load_sample,  disk_sample,
                network_sample, thermal_sample, power_sample,
        };
        static union {
                struct cpu cpu;
                struct disk disk;
                struct network network;
                struct thermal thermal;
                struct power power;
        } states[7];
        static union {
                struct host_msgs_Disks disks;
                struct host_msgs_Thermal thermal;
        } message;
        size_t i;

        for (i = 0; i < 7; i++) {
                assert_int_equal(sample_one(samples[i], &states[i], ".", &message), -ENODEV);
        }
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_text_unsigned_stops_at_what_is_no_number),
                cmocka_unit_test(test_text_unsigned_keeps_to_the_largest),
                cmocka_unit_test(test_text_number_takes_nothing_else),
                cmocka_unit_test(test_text_to_name_pads_cuts_and_cleans),
                cmocka_unit_test(test_counter_delta_wraps_at_32_bits_only_near_the_end),
                cmocka_unit_test(test_tree_reads_files_longer_than_its_first_room),
                cmocka_unit_test(test_cpu_shares_are_those_of_the_time_between),
                cmocka_unit_test(test_cpu_cores_may_come_and_go),
                cmocka_unit_test(test_cpu_counters_that_go_backwards_count_as_nothing),
                cmocka_unit_test(test_cpu_reads_old_kernels),
                cmocka_unit_test(test_cpu_counts_cores_beyond_the_list),
                cmocka_unit_test(test_cpu_refuses_a_text_without_a_sum),
                cmocka_unit_test(test_memory_is_in_bytes),
                cmocka_unit_test(test_memory_of_old_kernels_is_available_where_free),
                cmocka_unit_test(test_memory_refuses_a_text_without_a_total),
                cmocka_unit_test(test_load_reads_both_files),
                cmocka_unit_test(test_load_refuses_cut_lines),
                cmocka_unit_test(test_disk_counts_each_byte_once),
                cmocka_unit_test(test_disk_counters_wrap_restart_and_begin),
                cmocka_unit_test(test_disk_totals_are_over_more_than_the_list),
                cmocka_unit_test(test_disk_refuses_what_is_no_list),
                cmocka_unit_test(test_network_totals_leave_lo_out),
                cmocka_unit_test(test_network_counters_wrap_restart_and_begin),
                cmocka_unit_test(test_network_without_interfaces_is_no_mistake),
                cmocka_unit_test(test_thermal_names_each_sensor_once),
                cmocka_unit_test(test_thermal_leaves_out_what_measures_nothing),
                cmocka_unit_test(test_thermal_without_sensors_is_no_device),
                cmocka_unit_test(test_thermal_looks_for_new_sensors_from_time_to_time),
                cmocka_unit_test(test_power_reads_supplies),
                cmocka_unit_test(test_power_of_energy_counters_needs_two_readings),
                cmocka_unit_test(test_power_of_energy_alone_begins_with_the_second_reading),
                cmocka_unit_test(test_power_of_odd_supplies_is_unknown),
                cmocka_unit_test(test_power_without_any_is_no_device),
                cmocka_unit_test(test_sources_without_their_files_have_no_device),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
