#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>

#include "bench/report.h"

#ifdef __OPTIMIZE__
#define OPTIMISED true
#else
#define OPTIMISED false
#endif

/* The rest of the first line of a file that begins with @key, or "unknown". */
static const char *first_line(const char *path, const char *key, char *text, size_t size) {
        FILE *file = fopen(path, "re");
        bool found = false;

        while (file && !found && fgets(text, (int) size, file)) {
                found = strncmp(text, key, strlen(key)) == 0;
        }
        if (file) {
                (void) fclose(file);
        }
        if (!found) {
                return "unknown";
        }
        text += strlen(key);
        text += strspn(text, " \t:");
        text[strcspn(text, "\n")] = 0;
        return text;
}

static double load(void) {
        double average = 0;

        return getloadavg(&average, 1) == 1 ? average : 0;
}

static void json_string(const char *key, const char *text) {
        (void) printf("\"%s\": \"", key);
        for (; *text; text++) {
                if (*text == '"' || *text == '\\') {
                        (void) printf("\\%c", *text);
                } else if ((unsigned char) *text >= 0x20) {
                        (void) putchar(*text);
                }
        }
        (void) printf("\", ");
}

void report_machine(const struct stage_options *options, bool json) {
        char model[256], clock[64];
        const char *cpu = first_line("/proc/cpuinfo", "model name", model, sizeof(model));
        const char *source =
                first_line("/sys/devices/system/clocksource/clocksource0/current_clocksource", "",
                           clock, sizeof(clock));
        struct utsname name = {0};

        (void) uname(&name);
        if (json) {
                (void) printf("{\"kind\": \"machine\", ");
                json_string("cpu", cpu);
                json_string("kernel", name.release);
                json_string("architecture", name.machine);
                json_string("clock", source);
                json_string("compiler", __VERSION__);
                json_string("slipring", BENCH_VERSION);
                (void) printf("\"optimised\": %s, \"cpus\": %u, \"pinned\": %s, \"rounds\": %u, "
                              "\"load\": %.2f}\n",
                              OPTIMISED ? "true" : "false", options->cpu_count,
                              options->pin ? "true" : "false", options->rounds, load());
                return;
        }
        (void) printf("slipring %s, compiler %s%s\n%s, %u processors, Linux %s %s, clock %s\n",
                      BENCH_VERSION, __VERSION__, OPTIMISED ? "" : ", NOT OPTIMISED", cpu,
                      options->cpu_count, name.release, name.machine, source);
        (void) printf("%s, load %.2f, medians of %u rounds (max: of all)\n\n",
                      options->pin ? "pinned" : "not pinned", load(), options->rounds);
        (void) printf("%-28s %31s   %31s   %23s\n%-28s", "", "slipring", "bare floor", "ratio", "");
        (void) printf(" %7s %7s %7s %7s   %7s %7s %7s %7s   %7s %7s %7s\n", "p50", "p99", "p99.9",
                      "max", "p50", "p99", "p99.9", "max", "p50", "p99", "p99.9");
}

static void json_figures(const char *key, const struct figures *figures, const char *end) {
        (void) printf("\"%s\": {\"p50\": %.4g, \"p99\": %.4g, \"p99.9\": %.4g, \"max\": %.4g}%s",
                      key, figures->p50, figures->p99, figures->p999, figures->max, end);
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
                json_figures("ratio", &ratio, "}\n");
        }
}

void report_contender(const struct measurement *measurement,
                      const struct stage_options *options,
                      unsigned row,
                      const char *contender,
                      const char *note,
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
                (void) printf("  %-26s %-10s", name, contender);
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
        json_string("contender", contender);
        json_string("note", note);
        json_string("unit", measurement->units[row] ? measurement->units[row] : "ns");
        (void) printf("\"rounds\": %u, \"samples\": %u, \"load\": %.2f, ", options->rounds, samples,
                      load());
        json_figures("figures", &median, ", ");
        json_figures("to_ours", &to_ours, ", ");
        json_figures("to_floor", &to_floor, "}\n");
}
