/*
 * Processor time from /proc/stat.
 *
 * The kernel's counters of idle and iowait may go backwards by a little, and those of a core that
 * was taken out start again; each counter's own progress is taken, and a core's shares are shares
 * of the sum of these.
 */

#include "publishers/host/source.h"

#include <errno.h>
#include <string.h>

static bool times_parse(struct cpu_times *ret_times, const char *cursor) {
        /* Kernels before 2.6 had four; what a later one adds comes behind. */
        if (text_numbers(&cursor, ret_times->ticks, CPU_STATES) < CPU_IDLE + 1) {
                return false;
        }
        ret_times->online = true;
        return true;
}

static void core_parse(struct cpu_counters *counters, const char *cursor) {
        struct cpu_times times = {0};
        uint64_t core = 0;

        if (!text_unsigned(&cursor, &core) || !times_parse(&times, cursor)) {
                return;
        }
        counters->cores_online++;
        if (core < CPU_CORES_MAX) {
                counters->cores[core] = times;
        }
}

int cpu_parse(struct cpu_counters *ret_counters, const char *text) {
        struct cpu_counters counters = {0};
        const char *line;

        for (line = text; line; line = text_next_line(line)) {
                const char *cursor = line + strnlen(line, 4);

                if (strncmp(line, "cpu ", 4) == 0) {
                        (void) times_parse(&counters.all, cursor);
                } else if (strncmp(line, "cpu", 3) == 0) {
                        core_parse(&counters, line + 3);
                } else if (strncmp(line, "intr", 4) == 0) {
                        (void) text_unsigned(&cursor, &counters.interrupts);
                } else if (strncmp(line, "ctxt", 4) == 0) {
                        (void) text_unsigned(&cursor, &counters.context_switches);
                }
        }
        if (!counters.all.online) {
                return -EBADMSG;
        }
        *ret_counters = counters;
        return 0;
}

/* Progress of each state, and the sum of them. */
static uint64_t times_compare(const struct cpu_times *before,
                              const struct cpu_times *after,
                              uint64_t ret_ticks[CPU_STATES]) {
        uint64_t sum = 0;
        size_t i;

        for (i = 0; i < CPU_STATES; i++) {
                ret_ticks[i] = counter_delta(before->ticks[i], after->ticks[i]);
                sum += ret_ticks[i];
        }
        return sum;
}

static float share(uint64_t part, uint64_t whole) {
        return whole ? (float) (100.0 * (double) part / (double) whole) : 0.0f;
}

static float core_usage(const struct cpu_times *before, const struct cpu_times *after) {
        uint64_t ticks[CPU_STATES], sum;

        if (!after->online) {
                return -1.0f;
        }
        if (!before->online) {
                /* Just plugged in: nothing to compare with. */
                return 0.0f;
        }
        sum = times_compare(before, after, ticks);
        return share(sum - ticks[CPU_IDLE] - ticks[CPU_IOWAIT], sum);
}

static void compare_cores(const struct cpu_counters *before,
                          const struct cpu_counters *after,
                          struct host_msgs_Cpu *message) {
        uint32_t i;

        message->cores_online = after->cores_online;
        for (i = 0; i < CPU_CORES_MAX; i++) {
                message->core_usage[i] = core_usage(&before->cores[i], &after->cores[i]);
                if (after->cores[i].online) {
                        message->core_count = i + 1;
                }
        }
}

void cpu_compare(const struct cpu_counters *before,
                 const struct cpu_counters *after,
                 const struct interval *interval,
                 struct host_msgs_Cpu *message) {
        uint64_t ticks[CPU_STATES], sum;

        sum = times_compare(&before->all, &after->all, ticks);
        message->usage = share(sum - ticks[CPU_IDLE] - ticks[CPU_IOWAIT], sum);
        message->user = share(ticks[CPU_USER] + ticks[CPU_NICE], sum);
        message->system = share(ticks[CPU_SYSTEM], sum);
        message->interrupt = share(ticks[CPU_IRQ] + ticks[CPU_SOFTIRQ], sum);
        message->iowait = share(ticks[CPU_IOWAIT], sum);
        message->steal = share(ticks[CPU_STEAL], sum);
        message->context_switches =
                (float) interval_rate(interval, before->context_switches, after->context_switches);
        message->interrupts =
                (float) interval_rate(interval, before->interrupts, after->interrupts);
        compare_cores(before, after, message);
}

int cpu_sample(void *state, struct tree *tree, uint64_t now_ns, void *message) {
        struct cpu_counters counters;
        struct cpu *cpu = state;
        const char *text = NULL;
        bool second;
        int r;

        r = tree_read(tree, "proc/stat", &text);
        if (r < 0) {
                return r == -ENOENT ? -ENODEV : r;
        }
        r = cpu_parse(&counters, text);
        if (r < 0) {
                return r;
        }
        second = interval_next(&cpu->interval, now_ns);
        if (second) {
                cpu_compare(&cpu->last, &counters, &cpu->interval, message);
        }
        cpu->last = counters;
        return second ? 0 : -EAGAIN;
}
