/*
 * What a machine must have for a bus, and what makes one slower or shorter-lived.
 */

#include <errno.h>
#include <grp.h>
#include <inttypes.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/shm.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

#include <slipring/subscriber.h>

#include "bus/manager/logind.h"
#include "bus/pages.h"
#include "bus/probe.h"
#include "bus/trust.h"
#include "bus/uring.h"
#include "bus/wake.h"
#include "cli/doctor.h"

#ifndef MADV_POPULATE_READ
#define MADV_POPULATE_READ 22
#endif

/*
 * Kernel
 */

static bool have_uring(void) {
        int fd = eventfd(0, EFD_CLOEXEC);
        struct uring uring = {.fd = -1};
        bool have;

        if (fd < 0) {
                return false;
        }
        have = uring_open(&uring, fd) == 0;
        uring_close(&uring);
        close(fd);
        return have;
}

static bool have_waitv(void) {
        _Atomic uint32_t word = 0;
        struct wake_item item = {.word = &word, .expected = 1};

        /* The word holds something else: returns at once. */
        return wake_sleep_any(&item, 1, slipring_in_ms(1)) != -ENOSYS;
}

static bool have_populate(void) {
        void *page = mmap(NULL, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        bool have = page != MAP_FAILED && madvise(page, 4096, MADV_POPULATE_READ) == 0;

        if (page != MAP_FAILED) {
                munmap(page, 4096);
        }
        return have;
}

static const char *facility(bool have, const char *name) {
        return probe_disabled(name) ? "disabled by SLIPRING_DISABLE" : have ? "yes" : "missing";
}

static void check_kernel(struct doctor *doctor) {
        bool uring = have_uring(), waitv = have_waitv(), populate = have_populate();
        bool use_uring = uring && !probe_disabled("io_uring");
        bool use_waitv = waitv && !probe_disabled("futex_waitv");
        struct utsname name;

        uname(&name);
        doctor_find(doctor, DOCTOR_OK, "kernel", NULL,
                    "Linux %s; io_uring futex %s, futex_waitv %s, populate %s", name.release,
                    facility(uring, "io_uring"), facility(waitv, "futex_waitv"),
                    facility(populate, "populate"));
        if (use_uring) {
                doctor_find(doctor, DOCTOR_OK, "wait path", NULL,
                            "wait sets use io_uring, without a thread");
        } else if (use_waitv) {
                doctor_find(doctor, DOCTOR_NOTE, "wait path",
                            "Linux 6.7 or later with kernel.io_uring_disabled=0 needs no thread",
                            "wait sets use one helper thread with futex_waitv");
        } else {
                doctor_find(doctor, DOCTOR_NOTE, "wait path",
                            "Linux 5.16 or later needs one thread, 6.7 or later none",
                            "wait sets use one helper thread a topic");
        }
}

/*
 * Limits
 */

static bool read_numbers(const char *path, uint64_t *numbers, size_t count) {
        FILE *file = fopen(path, "re");
        size_t i = 0;

        while (file && i < count && fscanf(file, "%" SCNu64, &numbers[i]) == 1) {
                i++;
        }
        if (file) {
                fclose(file);
        }
        return i == count;
}

/* Lines below the head. */
static uint64_t count_lines(const char *path) {
        FILE *file = fopen(path, "re");
        uint64_t lines = 0;
        int c;

        while (file && (c = fgetc(file)) != EOF) {
                lines += c == '\n';
        }
        if (file) {
                fclose(file);
        }
        return lines ? lines - 1 : 0;
}

static void check_used(struct doctor *doctor,
                       const char *subject,
                       const char *what,
                       uint64_t used,
                       uint64_t limit,
                       const char *remedy) {
        /* In hundredths, without overflow: SHMALL is near 2^64 by default. */
        uint64_t percent = limit >= 100 ? used / (limit / 100) : limit ? used * 100 / limit : 100;
        enum doctor_level level = used >= limit  ? DOCTOR_PROBLEM
                                  : percent > 80 ? DOCTOR_NOTE
                                                 : DOCTOR_OK;

        doctor_find(doctor, level, subject, level == DOCTOR_OK ? NULL : remedy,
                    "%" PRIu64 " of %" PRIu64 " %s in use", used, limit, what);
}

static void check_shm(struct doctor *doctor) {
        struct shm_info info = {0};
        uint64_t limit = 0;
        char text[32];

        if (read_numbers("/proc/sys/kernel/shmmni", &limit, 1)) {
                check_used(doctor, "SHMMNI", "shared-memory segments",
                           count_lines("/proc/sysvipc/shm"), limit,
                           "sysctl -w kernel.shmmni=32768, and in /etc/sysctl.d to keep it");
        }
        if (read_numbers("/proc/sys/kernel/shmall", &limit, 1) &&
            shmctl(0, SHM_INFO, (struct shmid_ds *) (void *) &info) >= 0) {
                check_used(doctor, "SHMALL", "pages of shared memory", info.shm_tot, limit,
                           "sysctl -w kernel.shmall=18446744073692774399");
        }
        /* Below this the directory alone, some 8 MiB, may not fit with a topic beside it. */
        if (read_numbers("/proc/sys/kernel/shmmax", &limit, 1)) {
                bool small = limit < UINT64_C(1) << 24;

                doctor_find(doctor, small ? DOCTOR_PROBLEM : DOCTOR_OK, "SHMMAX",
                            small ? "sysctl -w kernel.shmmax=18446744073692774399" : NULL,
                            "a segment may have %s", cli_size(text, limit));
        }
}

static void check_sem(struct doctor *doctor) {
        uint64_t limits[4] = {0};

        if (read_numbers("/proc/sys/kernel/sem", limits, 4)) {
                check_used(doctor, "SEMMNI", "semaphore sets", count_lines("/proc/sysvipc/sem"),
                           limits[3], "sysctl -w kernel.sem='32000 1024000000 500 32000'");
        }
}

static void check_rmid(struct doctor *doctor) {
        uint64_t forced = 0;

        if (!read_numbers("/proc/sys/kernel/shm_rmid_forced", &forced, 1)) {
                return;
        }
        doctor_find(doctor, forced ? DOCTOR_PROBLEM : DOCTOR_OK, "kernel.shm_rmid_forced",
                    forced ? "sysctl -w kernel.shm_rmid_forced=0" : NULL,
                    forced ? "1: a topic is destroyed when nobody has it attached" : "0");
}

/* Does the kernel exempt this process from RLIMIT_MEMLOCK? */
static bool may_lock(void) {
        FILE *file = fopen("/proc/self/status", "re");
        uint64_t capabilities = 0;
        char line[256];

        while (file && fgets(line, sizeof(line), file)) {
                (void) sscanf(line, "CapEff: %" SCNx64, &capabilities);
        }
        if (file) {
                fclose(file);
        }
        return capabilities & UINT64_C(1) << 14; /* CAP_IPC_LOCK */
}

static void check_memlock(struct doctor *doctor) {
        struct rlimit limit = {0};
        char text[32];

        if (may_lock() || getrlimit(RLIMIT_MEMLOCK, &limit) < 0 ||
            limit.rlim_cur == RLIM_INFINITY) {
                doctor_find(doctor, DOCTOR_OK, "memlock", NULL, "segments can be locked in memory");
                return;
        }
        doctor_find(doctor, DOCTOR_NOTE, "memlock",
                    "a manager of yours locks no more: raise memlock in /etc/security/limits.conf, "
                    "or LimitMEMLOCK= in its unit",
                    "this user may lock %s", cli_size(text, limit.rlim_cur));
}

static void check_pages(struct doctor *doctor) {
        struct pages pages;
        char text[32];

        pages_read(&pages);
        if (!pages.bytes) {
                doctor_find(doctor, DOCTOR_OK, "huge pages", NULL,
                            "this kernel has none; no topic can have 'huge_pages: yes'");
        } else {
                doctor_find(doctor, DOCTOR_OK, "huge pages", NULL,
                            "%" PRIu64 " of %s in the pool (vm.nr_hugepages), %" PRIu64
                            " free; transparent ones for shared memory: %s",
                            pages.total, cli_size(text, pages.bytes), pages.available,
                            pages.transparent ? "yes" : "no");
        }
}

/*
 * Clock
 */

static uint64_t clock_cost(bool system_call) {
        uint64_t best = UINT64_MAX;

        for (int round = 0; round < 50; round++) {
                uint64_t begin = slipring_now_ns(), end;
                struct timespec now;

                for (int i = 0; i < 200; i++) {
                        if (system_call) {
                                syscall(SYS_clock_gettime, CLOCK_MONOTONIC, &now);
                        } else {
                                clock_gettime(CLOCK_MONOTONIC, &now);
                        }
                }
                end = slipring_now_ns();
                best = end - begin < best ? end - begin : best;
        }
        return best / 200;
}

static void check_clock(struct doctor *doctor) {
        uint64_t cost = clock_cost(false), floor = clock_cost(true);
        char source[64] = "?";
        FILE *file =
                fopen("/sys/devices/system/clocksource/clocksource0/current_clocksource", "re");

        if (file) {
                if (fscanf(file, "%63s", source) != 1) {
                        strcpy(source, "?");
                }
                fclose(file);
        }
        /* Sanitizers and emulators make both dear; a clock that asks the kernel costs as much as
         * asking it. */
        if (cost * 10 < floor * 8) {
                doctor_find(doctor, DOCTOR_OK, "clock", NULL,
                            "read without a system call in %" PRIu64 " ns (%s)", cost, source);
        } else {
                doctor_find(doctor, DOCTOR_PROBLEM, "clock",
                            "choose another clock source: clocksource=tsc on the kernel's command "
                            "line, where the machine's TSC is stable",
                            "each look at it, so each publish, is a system call of %" PRIu64
                            " ns (%s)",
                            cost, source);
        }
}

/*
 * Users
 */

static void check_logind(struct doctor *doctor) {
        switch (logind_ask(geteuid())) {
        case LOGIND_ABSENT:
                doctor_find(doctor, DOCTOR_OK, "logind", NULL, "does not run here");
                break;
        case LOGIND_SPARES_SYSTEM:
                doctor_find(doctor, DOCTOR_OK, "logind", NULL,
                            "leaves shared memory of system users alone");
                break;
        case LOGIND_SPARES:
                doctor_find(doctor, DOCTOR_OK, "logind", NULL,
                            "leaves this user's shared memory alone");
                break;
        case LOGIND_REMOVES:
                doctor_find(doctor, DOCTOR_NOTE, "logind",
                            "loginctl enable-linger, RemoveIPC=no in /etc/systemd/logind.conf, or "
                            "run the bus as a system service",
                            "removes this user's shared memory, buses included, at the last "
                            "logout (RemoveIPC)");
                break;
        }
}

static void check_users(struct doctor *doctor) {
        bool user = getpwnam(TRUST_SYSTEM_USER), group = getgrnam(TRUST_SYSTEM_USER);

        if (user && group) {
                doctor_find(doctor, DOCTOR_OK, "system user", NULL,
                            "user and group '" TRUST_SYSTEM_USER "' exist");
                return;
        }
        doctor_find(doctor, DOCTOR_NOTE, "system user",
                    "needed only to run buses as services: install the sysusers.d file and run "
                    "systemd-sysusers",
                    "%s '" TRUST_SYSTEM_USER "' %s not exist",
                    user    ? "group"
                    : group ? "user"
                            : "user and group",
                    user || group ? "does" : "do");
}

void doctor_machine(struct doctor *doctor) {
        check_kernel(doctor);
        check_shm(doctor);
        check_sem(doctor);
        check_rmid(doctor);
        check_memlock(doctor);
        check_pages(doctor);
        check_clock(doctor);
        check_logind(doctor);
        check_users(doctor);
}
