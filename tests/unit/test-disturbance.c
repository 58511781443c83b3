/*
 * cli/disturbance.c: what a machine's files say, on machines that this test writes.
 */

/* cmocka wants these, in this order. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

#include <errno.h>
#include <ftw.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/disturbance.h"

#define CPU "/sys/devices/system/cpu/"

static char root[64];

static int root_make(void **state) {
        (void) snprintf(root, sizeof(root), "/tmp/slipring-disturbance-XXXXXX");
        return mkdtemp(root) ? 0 : -1;
}

static int drop(const char *path, const struct stat *status, int type, struct FTW *walk) {
        return remove(path);
}

static int root_remove(void **state) {
        return nftw(root, drop, 8, FTW_DEPTH | FTW_PHYS);
}

static void file_write(const char *path, const char *text) {
        char whole[256], *slash;
        FILE *file;

        (void) snprintf(whole, sizeof(whole), "%s%s", root, path);
        for (slash = strchr(whole + strlen(root) + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
                *slash = '\0';
                assert_true(mkdir(whole, 0755) == 0 || errno == EEXIST);
                *slash = '/';
        }
        file = fopen(whole, "we");
        assert_non_null(file);
        assert_true(fputs(text, file) >= 0);
        assert_int_equal(fclose(file), 0);
}

/* A machine that has nothing to say, and processes that ran as they should on processors 2 and 3.
 */
static struct conditions best(void) {
        struct conditions conditions = {.pinned = true, .priority = 80, .optimised = true};

        CPU_ZERO(&conditions.cpus);
        CPU_SET(2, &conditions.cpus);
        CPU_SET(3, &conditions.cpus);
        file_write("/sys/kernel/realtime", "1\n");
        file_write("/proc/version", "Linux version 6.1.0 #1 SMP PREEMPT_RT\n");
        file_write("/proc/cpuinfo", "processor\t: 0\nflags\t\t: fpu vme sse2\n");
        file_write("/proc/sys/kernel/sched_rt_runtime_us", "950000\n");
        file_write("/proc/sys/kernel/sched_rt_period_us", "1000000\n");
        file_write(CPU "isolated", "2-3\n");
        file_write(CPU "cpu2/topology/thread_siblings_list", "2\n");
        file_write(CPU "cpu2/cpufreq/scaling_governor", "performance\n");
        file_write(CPU "cpu2/cpuidle/state0/latency", "1\n");
        return conditions;
}

static const struct disturbance *find(const struct disturbances *list, const char *subject) {
        for (size_t i = 0; i < list->count; i++) {
                if (strcmp(list->items[i].subject, subject) == 0) {
                        return &list->items[i];
                }
        }
        return NULL;
}

/* Exactly this is found. */
static void expect(const struct conditions *conditions, const char *subject, const char *text) {
        struct disturbances list;

        disturbances_find(&list, root, conditions);
        for (size_t i = 0; i < list.count; i++) {
                if (!subject || strcmp(list.items[i].subject, subject) != 0) {
                        fail_msg("%s: %s", list.items[i].subject, list.items[i].text);
                }
        }
        if (subject) {
                assert_non_null(find(&list, subject));
                assert_string_equal(find(&list, subject)->text, text);
        }
}

static void test_nothing(void **state) {
        struct conditions conditions = best();

        expect(&conditions, NULL, NULL);
}

/* A file that is not there says nothing; only the processes remain. */
static void test_no_files(void **state) {
        struct conditions conditions = best();

        (void) root_remove(state);
        expect(&conditions, NULL, NULL);
        assert_int_equal(mkdir(root, 0700), 0);
}

static void test_processors(void **state) {
        struct conditions conditions = best();

        file_write(CPU "cpu3/cpufreq/scaling_governor", "powersave\n");
        /* One that nobody runs on. */
        file_write(CPU "cpu0/cpufreq/scaling_governor", "powersave\n");
        expect(&conditions, "governor",
               "1 of 2 processors change their frequency (processor 3: powersave)");
        conditions = best();
        file_write(CPU "cpu3/cpufreq/scaling_governor", "performance\n");
        file_write(CPU "cpu2/cpuidle/state1/latency", "133\n");
        expect(&conditions, "idle states",
               "processor 2 may go to sleep so deep that it takes 133 us to wake");
        file_write(CPU "cpu2/cpuidle/state1/disable", "1\n");
        expect(&conditions, NULL, NULL);
        file_write(CPU "cpu2/topology/thread_siblings_list", "2,6\n");
        expect(&conditions, "SMT",
               "1 of 2 processors share their core with another one (the first: 2)");
        conditions = best();
        file_write(CPU "isolated", "3\n");
        expect(&conditions, "isolation", "1 of 2 processors are for everybody (the first: 2)");
        file_write(CPU "isolated", "\n");
        expect(&conditions, "isolation", "2 of 2 processors are for everybody (the first: 2)");
}

static void test_kernel_and_machine(void **state) {
        struct conditions conditions = best();

        file_write("/sys/kernel/realtime", "0\n");
        expect(&conditions, NULL, NULL);
        file_write("/proc/version", "Linux version 6.1.0 #1 SMP PREEMPT_DYNAMIC\n");
        expect(&conditions, "kernel", "not PREEMPT_RT: much of it cannot be preempted");
        conditions = best();
        file_write("/proc/cpuinfo", "processor\t: 0\nflags\t\t: fpu hypervisor lahf_lm\n");
        expect(&conditions, "virtual machine", "the host may take its processors away at any time");
        conditions = best();
        conditions.stolen = 12;
        expect(&conditions, "steal",
               "the host gave 12 ticks of processor time to others meanwhile");
        conditions = best();
        conditions.load = 1.25;
        expect(&conditions, "load", "load average 1.25 before the test began");
}

static void test_throttling(void **state) {
        struct conditions conditions = best();

        conditions.polling = true;
        expect(&conditions, "throttling",
               "real-time processes that poll may be stopped for 50000 us of every 1000000 us");
        file_write("/proc/sys/kernel/sched_rt_runtime_us", "-1\n");
        expect(&conditions, NULL, NULL);
        file_write("/proc/sys/kernel/sched_rt_runtime_us", "1000000\n");
        expect(&conditions, NULL, NULL);
}

static void test_processes(void **state) {
        struct conditions conditions = best();

        conditions.priority = 0;
        expect(&conditions, "priority", "SCHED_OTHER: any other process may go first");
        conditions = best();
        conditions.pinned = false;
        expect(&conditions, "pinning",
               "not pinned: a real-time process that wakes is pushed to a processor that sleeps");
        conditions = best();
        conditions.lock_error = ENOMEM;
        expect(&conditions, "memory",
               "not locked: pages may be taken away (Cannot allocate memory)");
        conditions = best();
        conditions.preempted = 3;
        expect(&conditions, "preempted",
               "the measured processes had to give way 3 times, to each other or to others");
        conditions = best();
        conditions.faults = 4;
        expect(&conditions, "page faults", "the measured processes waited for 4 pages");
        conditions = best();
        conditions.optimised = false;
        expect(&conditions, "build", "slipring was compiled without optimisation");
}

static void test_counters(void **state) {
        assert_int_equal(disturbance_stolen(root), 0);
        assert_true(disturbance_load(root) == 0);
        file_write("/proc/stat", "cpu  1 2 3 4 5 6 7 88 9 10\ncpu0 1 2 3 4 5 6 7 8 9 10\n");
        file_write("/proc/loadavg", "2.50 1.00 0.50 3/412 4711\n");
        assert_int_equal(disturbance_stolen(root), 88);
        assert_true(disturbance_load(root) == 2.5);
}

static void test_lists_of_processors(void **state) {
        static const char *const wrong[] = {"x",   "1,",  ",1",    "1-",   "-1",
                                            "3-2", "1 2", "1-2-3", "1024", "1;2"};
        cpu_set_t cpus;

        assert_true(disturbance_cpus(&cpus, ""));
        assert_int_equal(CPU_COUNT(&cpus), 0);
        assert_true(disturbance_cpus(&cpus, "0,4-6,1023"));
        assert_int_equal(CPU_COUNT(&cpus), 5);
        assert_true(CPU_ISSET(0, &cpus) && CPU_ISSET(4, &cpus) && CPU_ISSET(5, &cpus) &&
                    CPU_ISSET(6, &cpus) && CPU_ISSET(1023, &cpus));
        for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
                assert_false(disturbance_cpus(&cpus, wrong[i]));
        }
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(test_nothing, root_make, root_remove),
                cmocka_unit_test_setup_teardown(test_no_files, root_make, root_remove),
                cmocka_unit_test_setup_teardown(test_processors, root_make, root_remove),
                cmocka_unit_test_setup_teardown(test_kernel_and_machine, root_make, root_remove),
                cmocka_unit_test_setup_teardown(test_throttling, root_make, root_remove),
                cmocka_unit_test_setup_teardown(test_processes, root_make, root_remove),
                cmocka_unit_test_setup_teardown(test_counters, root_make, root_remove),
                cmocka_unit_test(test_lists_of_processors),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
