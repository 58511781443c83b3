#include "cli/disturbance.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* An idle state that takes longer to leave shows in a wake-up. */
#define IDLE_US 10u
#define IDLE_STATES 16u
/* Less than half of one processor's time is what every machine does beside. */
#define LOAD_NOTED 0.5

struct search {
        struct disturbances *found;
        const char *root;
        const struct conditions *conditions;
};

static void
found(struct search *search, const char *subject, const char *remedy, const char *format, ...)
        __attribute__((format(printf, 4, 5)));

static void
found(struct search *search, const char *subject, const char *remedy, const char *format, ...) {
        struct disturbance *item;
        va_list arguments;

        if (search->found->count == DISTURBANCES_MAX) {
                return;
        }
        item = &search->found->items[search->found->count++];
        item->subject = subject;
        item->remedy = remedy;
        va_start(arguments, format);
        vsnprintf(item->text, sizeof(item->text), format, arguments);
        va_end(arguments);
}

/*
 * Files
 */

static FILE *file_open(const char *root, const char *path) {
        char whole[512];

        snprintf(whole, sizeof(whole), "%s%s", root, path);
        return fopen(whole, "re");
}

/* The first line, without its newline; false where there is no such file. */
static bool file_line(const char *root, const char *path, char *line, size_t bytes) {
        FILE *file = file_open(root, path);
        bool have;

        if (!file) {
                return false;
        }
        have = fgets(line, (int) bytes, file) != NULL;
        fclose(file);
        if (have) {
                line[strcspn(line, "\n")] = '\0';
        }
        return have;
}

static bool file_number(const char *root, const char *path, int64_t *ret_number) {
        char line[64], *end;
        int64_t number;

        if (!file_line(root, path, line, sizeof(line))) {
                return false;
        }
        number = strtoll(line, &end, 10);
        if (end == line || *end) {
                return false;
        }
        *ret_number = number;
        return true;
}

bool disturbance_cpus(cpu_set_t *ret_cpus, const char *text) {
        unsigned long first, last;
        cpu_set_t cpus;
        char *end;

        CPU_ZERO(&cpus);
        while (*text) {
                if (*text < '0' || *text > '9') {
                        return false;
                }
                first = last = strtoul(text, &end, 10);
                if (*end == '-') {
                        if (end[1] < '0' || end[1] > '9') {
                                return false;
                        }
                        last = strtoul(end + 1, &end, 10);
                }
                if (last >= CPU_SETSIZE || first > last || (*end && (*end != ',' || !end[1]))) {
                        return false;
                }
                for (; first <= last; first++) {
                        CPU_SET(first, &cpus);
                }
                text = *end ? end + 1 : end;
        }
        *ret_cpus = cpus;
        return true;
}

static bool file_cpus(const char *root, const char *path, cpu_set_t *ret_cpus) {
        char line[1024] = "";

        /* Where none is meant the file holds an empty line. */
        return file_line(root, path, line, sizeof(line)) && disturbance_cpus(ret_cpus, line);
}

uint64_t disturbance_stolen(const char *root) {
        uint64_t stolen = 0;
        char line[512];

        /* user nice system idle iowait irq softirq steal, of all processors */
        if (!file_line(root, "/proc/stat", line, sizeof(line)) ||
            sscanf(line, "cpu %*u %*u %*u %*u %*u %*u %*u %" SCNu64, &stolen) != 1) {
                return 0;
        }
        return stolen;
}

double disturbance_load(const char *root) {
        char line[128];

        return file_line(root, "/proc/loadavg", line, sizeof(line)) ? strtod(line, NULL) : 0;
}

/*
 * Of the processors
 */

/* How many of the measured processors a look says yes to, and the first of them. */
static unsigned each_cpu(struct search *search,
                         bool (*look)(const struct search *, unsigned),
                         unsigned *ret_first) {
        unsigned count = 0;

        for (unsigned cpu = 0; cpu < CPU_SETSIZE; cpu++) {
                if (CPU_ISSET(cpu, &search->conditions->cpus) && look(search, cpu)) {
                        *ret_first = count++ ? *ret_first : cpu;
                }
        }
        return count;
}

static bool governor_of(const struct search *search, unsigned cpu, char governor[32]) {
        char path[128];

        snprintf(path, sizeof(path), "/sys/devices/system/cpu/cpu%u/cpufreq/scaling_governor", cpu);
        return file_line(search->root, path, governor, 32);
}

static bool governor_saves(const struct search *search, unsigned cpu) {
        char governor[32];

        return governor_of(search, cpu, governor) && strcmp(governor, "performance") != 0;
}

static void look_governor(struct search *search) {
        char governor[32] = "?";
        unsigned first = 0, count = each_cpu(search, governor_saves, &first);

        if (count && governor_of(search, first, governor)) {
                found(search, "governor", "cpupower frequency-set --governor performance",
                      "%u of %d processors change their frequency (processor %u: %s)", count,
                      CPU_COUNT(&search->conditions->cpus), first, governor);
        }
}

/* How long the deepest idle state takes to leave that is not disabled. */
static int64_t idle_us(const struct search *search, unsigned cpu) {
        int64_t latency, disabled, deepest = 0;
        char path[128];

        for (unsigned state = 0; state < IDLE_STATES; state++) {
                snprintf(path, sizeof(path),
                         "/sys/devices/system/cpu/cpu%u/cpuidle/state%u/latency", cpu, state);
                if (!file_number(search->root, path, &latency)) {
                        break;
                }
                snprintf(path, sizeof(path),
                         "/sys/devices/system/cpu/cpu%u/cpuidle/state%u/disable", cpu, state);
                disabled = 0;
                (void) file_number(search->root, path, &disabled);
                deepest = !disabled && latency > deepest ? latency : deepest;
        }
        return deepest;
}

static bool idles_deep(const struct search *search, unsigned cpu) {
        return idle_us(search, cpu) > IDLE_US;
}

static void look_idle(struct search *search) {
        unsigned first = 0, count = each_cpu(search, idles_deep, &first);

        if (count) {
                found(search, "idle states",
                      "cpupower idle-set --disable-by-latency 10, or hold /dev/cpu_dma_latency "
                      "open with 0 in it",
                      "processor %u may go to sleep so deep that it takes %" PRId64 " us to wake",
                      first, idle_us(search, first));
        }
}

static bool shares_core(const struct search *search, unsigned cpu) {
        cpu_set_t siblings;
        char path[128];

        snprintf(path, sizeof(path), "/sys/devices/system/cpu/cpu%u/topology/thread_siblings_list",
                 cpu);
        return file_cpus(search->root, path, &siblings) && CPU_COUNT(&siblings) > 1;
}

static void look_smt(struct search *search) {
        unsigned first = 0, count = each_cpu(search, shares_core, &first);

        if (count) {
                found(search, "SMT",
                      "nosmt on the kernel's command line, or leave the other thread of the core "
                      "idle",
                      "%u of %d processors share their core with another one (the first: %u)",
                      count, CPU_COUNT(&search->conditions->cpus), first);
        }
}

static bool is_shared(const struct search *search, unsigned cpu) {
        cpu_set_t isolated;

        return file_cpus(search->root, "/sys/devices/system/cpu/isolated", &isolated) &&
               !CPU_ISSET(cpu, &isolated);
}

static void look_isolation(struct search *search) {
        unsigned first = 0, count = each_cpu(search, is_shared, &first);

        if (count) {
                found(search, "isolation",
                      "isolcpus=N nohz_full=N rcu_nocbs=N on the kernel's command line, and --cpu",
                      "%u of %d processors are for everybody (the first: %u)", count,
                      CPU_COUNT(&search->conditions->cpus), first);
        }
}

/*
 * Of the kernel and the machine
 */

static void look_kernel(struct search *search) {
        int64_t realtime = 0;
        char version[512] = "";

        (void) file_number(search->root, "/sys/kernel/realtime", &realtime);
        if (!realtime && file_line(search->root, "/proc/version", version, sizeof(version)) &&
            !strstr(version, "PREEMPT_RT")) {
                found(search, "kernel", "a PREEMPT_RT kernel (Debian: linux-image-rt-amd64)",
                      "not PREEMPT_RT: much of it cannot be preempted");
        }
}

static bool is_virtual(const struct search *search) {
        FILE *file = file_open(search->root, "/proc/cpuinfo");
        char line[4096];
        bool virtual = false;

        while (file && !virtual && fgets(line, sizeof(line), file)) {
                virtual = strncmp(line, "flags", 5) == 0 && strstr(line, " hypervisor");
        }
        if (file) {
                fclose(file);
        }
        return virtual;
}

static void look_virtual(struct search *search) {
        if (is_virtual(search)) {
                found(search, "virtual machine",
                      "run on the machine itself, or have the host reserve processors",
                      "the host may take its processors away at any time");
        }
        if (search->conditions->stolen) {
                found(search, "steal", NULL,
                      "the host gave %" PRIu64 " ticks of processor time to others meanwhile",
                      search->conditions->stolen);
        }
}

static void look_throttling(struct search *search) {
        int64_t runtime = -1, period = 0;

        if (!search->conditions->priority || !search->conditions->polling) {
                return;
        }
        (void) file_number(search->root, "/proc/sys/kernel/sched_rt_runtime_us", &runtime);
        (void) file_number(search->root, "/proc/sys/kernel/sched_rt_period_us", &period);
        if (runtime >= 0 && runtime < period) {
                found(search, "throttling", "sysctl -w kernel.sched_rt_runtime_us=-1",
                      "real-time processes that poll may be stopped for %" PRId64
                      " us of every %" PRId64 " us",
                      period - runtime, period);
        }
}

static void look_load(struct search *search) {
        if (search->conditions->load >= LOAD_NOTED) {
                found(search, "load", "end what else runs",
                      "load average %.2f before the test began", search->conditions->load);
        }
}

/*
 * Of the processes
 */

static void look_processes(struct search *search) {
        const struct conditions *conditions = search->conditions;

        if (!conditions->priority) {
                found(search, "priority",
                      "--priority 80: takes CAP_SYS_NICE, or rtprio in /etc/security/limits.conf",
                      "SCHED_OTHER: any other process may go first");
        }
        if (!conditions->pinned) {
                found(search, "pinning", "--cpu",
                      conditions->priority
                              ? "not pinned: a real-time process that wakes is pushed to a "
                                "processor that sleeps"
                              : "not pinned: the kernel moves processes between processors");
        }
        if (conditions->lock_error) {
                found(search, "memory",
                      "memlock in /etc/security/limits.conf, or LimitMEMLOCK= in a unit",
                      "not locked: pages may be taken away (%s)", strerror(conditions->lock_error));
        }
        if (conditions->preempted) {
                found(search, "preempted", NULL,
                      "the measured processes had to give way %" PRIu64
                      " times, to each other or to others",
                      conditions->preempted);
        }
        if (conditions->faults) {
                found(search, "page faults", NULL,
                      "the measured processes waited for %" PRIu64 " pages", conditions->faults);
        }
        if (!conditions->optimised) {
                found(search, "build", "meson setup -Dbuildtype=release",
                      "slipring was compiled without optimisation");
        }
}

void disturbances_find(struct disturbances *ret_disturbances,
                       const char *root,
                       const struct conditions *conditions) {
        struct search search = {ret_disturbances, root, conditions};

        ret_disturbances->count = 0;
        look_processes(&search);
        look_throttling(&search);
        look_load(&search);
        look_governor(&search);
        look_idle(&search);
        look_smt(&search);
        look_isolation(&search);
        look_kernel(&search);
        look_virtual(&search);
}
