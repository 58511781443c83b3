#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <time.h>

#include "bench/report.h"

#ifdef __OPTIMIZE__
#define OPTIMISED true
#else
#define OPTIMISED false
#endif

#define TEXT_MAX 256

struct machine {
        char cpu[TEXT_MAX], system[TEXT_MAX], clock[TEXT_MAX], governor[TEXT_MAX], date[16];
        struct utsname name;
};

/* What follows @key in the first line that begins so, without quotes. Not found, or nothing: @text
 * stays.
 */
static void first_line(const char *path, const char *key, char text[TEXT_MAX]) {
        FILE *file = fopen(path, "re");
        char line[TEXT_MAX], *value;

        while (file && fgets(line, sizeof(line), file)) {
                if (strncmp(line, key, strlen(key)) == 0) {
                        value = line + strlen(key);
                        value += strspn(value, " \t:\"");
                        value[strcspn(value, "\"\n")] = 0;
                        if (*value) {
                                (void) snprintf(text, TEXT_MAX, "%s", value);
                        }
                        break;
                }
        }
        if (file) {
                (void) fclose(file);
        }
}

static double load(void) {
        double average = 0;

        return getloadavg(&average, 1) == 1 ? average : 0;
}

static void json_text(const char *key, const char *text) {
        (void) printf("\"%s\": \"", key);
        for (; *text; text++) {
                if (*text == '"' || *text == '\\') {
                        (void) printf("\\%c", *text);
                } else if ((unsigned char) *text >= 0x20) {
                        (void) putchar(*text);
                }
        }
        (void) putchar('"');
}

static void json_string(const char *key, const char *text) {
        json_text(key, text);
        (void) printf(", ");
}

#ifdef __clang__
#define COMPILER __VERSION__
#else
#define COMPILER "gcc " __VERSION__
#endif

static void json_machine(const struct stage_options *options,
                         const struct contest_names *names,
                         const struct machine *machine) {
        unsigned i;

        (void) printf("{\"kind\": \"machine\", ");
        json_string("cpu", machine->cpu);
        json_string("system", machine->system);
        json_string("kernel", machine->name.release);
        json_string("architecture", machine->name.machine);
        json_string("clock", machine->clock);
        json_string("governor", machine->governor);
        json_string("compiler", COMPILER);
        json_string("slipring", BENCH_VERSION);
        json_string("command", options->command);
        json_string("date", machine->date);
        (void) printf("\"optimised\": %s, \"cpus\": %u, \"pinned\": %s, \"rounds\": %u, "
                      "\"load\": %.2f}\n",
                      OPTIMISED ? "true" : "false", options->cpu_count,
                      options->pin ? "true" : "false", options->rounds, load());
        for (i = 0; i < names->count; i++) {
                (void) printf("{\"kind\": \"peer\", ");
                json_string("contender", names->names[i]);
                json_string("version", names->versions[i]);
                json_text("note", names->notes[i]);
                (void) printf("}\n");
        }
}

static void table_machine(const struct stage_options *options,
                          const struct contest_names *names,
                          const struct machine *machine) {
        unsigned i;

        (void) printf("slipring %s, compiler %s%s, %s\n", BENCH_VERSION, COMPILER,
                      OPTIMISED ? "" : ", NOT OPTIMISED", machine->system);
        (void) printf("%s, %u processors, governor %s, Linux %s %s, clock %s\n", machine->cpu,
                      options->cpu_count, machine->governor, machine->name.release,
                      machine->name.machine, machine->clock);
        (void) printf("%s, load %.2f, medians of %u rounds (max: of all)\n",
                      options->pin ? "pinned" : "not pinned", load(), options->rounds);
        for (i = 0; i < names->count; i++) {
                (void) printf("%s%s %s", i ? ", " : "", names->names[i], names->versions[i]);
        }
        (void) printf("\n\n%-28s %31s   %31s   %23s\n%-28s", "", "slipring", "bare floor", "ratio",
                      "");
        (void) printf(" %7s %7s %7s %7s   %7s %7s %7s %7s   %7s %7s %7s\n", "p50", "p99", "p99.9",
                      "max", "p50", "p99", "p99.9", "max", "p50", "p99", "p99.9");
}

void report_machine(const struct stage_options *options,
                    const struct contest_names *names,
                    bool json) {
        struct machine machine = {
                .cpu = "unknown", .system = "unknown", .clock = "unknown", .governor = "unknown"};
        time_t now = time(NULL);
        struct tm utc;

        first_line("/proc/cpuinfo", "model name", machine.cpu);
        first_line("/etc/os-release", "PRETTY_NAME=", machine.system);
        first_line("/sys/devices/system/clocksource/clocksource0/current_clocksource", "",
                   machine.clock);
        first_line("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor", "", machine.governor);
        (void) uname(&machine.name);
        (void) strftime(machine.date, sizeof(machine.date), "%Y-%m-%d", gmtime_r(&now, &utc));
        if (json) {
                json_machine(options, names, &machine);
        } else {
                table_machine(options, names, &machine);
        }
}

/* Four digits, or all that stand before the point. */
static void json_number(const char *before, double value) {
        (void) printf(value < 1e4 ? "%s%.4g" : "%s%.0f", before, value);
}

static void json_figures(const char *key, const struct figures *figures, const char *end) {
        (void) printf("\"%s\": ", key);
        json_number("{\"p50\": ", figures->p50);
        json_number(", \"p99\": ", figures->p99);
        json_number(", \"p99.9\": ", figures->p999);
        json_number(", \"max\": ", figures->max);
        (void) printf("}%s", end);
}

/* [percentile, ns] for each point that the values can tell. */
static void json_curve(const char *key, const struct figures *figures, const char *end) {
        const char *separator = "";
        unsigned i;

        (void) printf("\"%s\": [", key);
        for (i = 0; i < CURVE_POINTS; i++) {
                if (curve_has(figures->values, i)) {
                        (void) printf("%s[%g", separator, curve_points[i] / 100.0);
                        json_number(",", figures->curve[i]);
                        (void) putchar(']');
                        separator = ", ";
                }
        }
        (void) printf("]%s", end);
}

static void table_time(double ns) {
        if (ns < 1e3) {
                (void) printf(" %5.*fns", ns < 100 ? 1 : 0, ns);
        } else if (ns < 1e6) {
                (void) printf(" %5.*fus", ns < 1e5 ? 1 : 0, ns / 1e3);
        } else {
                (void) printf(" %5.*fms", ns < 1e8 ? 1 : 0, ns / 1e6);
        }
}

static void table_figures(const struct figures *figures) {
        table_time(figures->p50);
        table_time(figures->p99);
        table_time(figures->p999);
        table_time(figures->max);
        (void) printf("  ");
}

static void table_bytes(const struct figures *figures) {
        (void) printf(" %6.2f %6.2f %6.2f %6.2fMiB", figures->p50 / 0x1p20, figures->p99 / 0x1p20,
                      figures->p999 / 0x1p20, figures->max / 0x1p20);
}

void report_rows(const struct measurement *measurement,
                 const struct stage_options *options,
                 struct figures rounds[ROWS_MAX][SIDES][ROUNDS_MAX],
                 bool json) {
        struct figures ours, floor, ratio;
        char name[64];
        unsigned row;

        for (row = 0; row < ROWS_MAX && (row == 0 || measurement->rows[row]); row++) {
                ours = figures_median(rounds[row][OURS], options->rounds);
                floor = figures_median(rounds[row][FLOOR], options->rounds);
                ratio = figures_ratio(rounds[row][OURS], rounds[row][FLOOR], options->rounds);
                (void) snprintf(name, sizeof(name), "%s%s%s", measurement->name,
                                measurement->rows[row] ? "-" : "",
                                measurement->rows[row] ? measurement->rows[row] : "");
                if (!json) {
                        (void) printf("%-28s", name);
                        table_figures(&ours);
                        table_figures(&floor);
                        (void) printf(" %7.2f %7.2f %7.2f\n", ratio.p50, ratio.p99, ratio.p999);
                        continue;
                }
                (void) printf("{\"kind\": \"measurement\", ");
                json_string("name", name);
                json_string("unit", "ns");
                json_string("floor_is", measurement->floor);
                (void) printf("\"rounds\": %u, \"samples\": %u, \"load\": %.2f, ", options->rounds,
                              stage_count(measurement, options), load());
                json_figures("ours", &ours, ", ");
                json_figures("floor", &floor, ", ");
                json_figures("ratio", &ratio, ", ");
                json_curve("ours_curve", &ours, ", ");
                json_curve("floor_curve", &floor, "}\n");
        }
}

void report_contender(const struct measurement *measurement,
                      const struct stage_options *options,
                      unsigned row,
                      const char *who,
                      unsigned samples,
                      const struct figures *ours,
                      const struct figures *floor,
                      const struct figures *its,
                      bool json) {
        struct figures median = figures_median(its, options->rounds),
                       to_ours = figures_ratio(its, ours, options->rounds),
                       to_floor = figures_ratio(its, floor, options->rounds);
        char name[64];

        (void) snprintf(name, sizeof(name), "%s%s%s", measurement->name,
                        measurement->rows[row] ? "-" : "",
                        measurement->rows[row] ? measurement->rows[row] : "");
        if (!json) {
                (void) printf("  %-26s %-10s", name, who);
                if (measurement->units[row]) {
                        table_bytes(&median);
                } else {
                        table_figures(&median);
                }
                (void) printf(" p50 %6.2f of ours, %6.2f of the floor's; p99 %6.2f, %6.2f\n",
                              to_ours.p50, to_floor.p50, to_ours.p99, to_floor.p99);
                return;
        }
        (void) printf("{\"kind\": \"contender\", ");
        json_string("name", name);
        json_string("contender", who);
        json_string("unit", measurement->units[row] ? measurement->units[row] : "ns");
        (void) printf("\"rounds\": %u, \"samples\": %u, \"load\": %.2f, ", options->rounds, samples,
                      load());
        json_figures("figures", &median, ", ");
        json_figures("to_ours", &to_ours, ", ");
        json_figures("to_floor", &to_floor, ", ");
        json_curve("curve", &median, "}\n");
}

void report_left_out(const struct measurement *measurement,
                     const char *who,
                     uint64_t wrong,
                     uint64_t lost,
                     bool json) {
        if (!json) {
                (void) printf("  %-26s %-10s left out: %llu messages wrong, %llu lost\n",
                              measurement->name, who, (unsigned long long) wrong,
                              (unsigned long long) lost);
                return;
        }
        (void) printf("{\"kind\": \"left-out\", ");
        json_string("name", measurement->name);
        json_string("contender", who);
        (void) printf("\"wrong\": %llu, \"lost\": %llu}\n", (unsigned long long) wrong,
                      (unsigned long long) lost);
}
