#include <glob.h>
#include <pwd.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

#include "bus/manager/logind.h"

/* logind knows this one as a system user too. */
#define NOBODY 65534u

/* The last word of a configuration file on RemoveIPC; @on where it has none. */
static bool file_removes_ipc(const char *path, bool on) {
        FILE *file = fopen(path, "re");
        char line[256], value[32];

        while (file && fgets(line, sizeof(line), file)) {
                if (sscanf(line, " RemoveIPC = %31s", value) == 1) {
                        /* As systemd reads truth values: yes, true, on, y, t, 1. */
                        on = strchr("yYtT1", value[0]) != NULL || !strcasecmp(value, "on");
                }
        }
        if (file) {
                (void) fclose(file);
        }
        return on;
}

/* Drop-ins come after the main file and are read in the order of their names; that of their
 * directories matters only where one hides another of the same name. */
static bool removes_ipc(void) {
        static const char *const patterns[] = {
                "/usr/lib/systemd/logind.conf.d/*.conf",
                "/run/systemd/logind.conf.d/*.conf",
                "/etc/systemd/logind.conf.d/*.conf",
        };
        bool on = file_removes_ipc("/etc/systemd/logind.conf", true);
        size_t i, j;
        glob_t found;

        for (i = 0; i < sizeof(patterns) / sizeof(patterns[0]); i++) {
                if (glob(patterns[i], 0, NULL, &found) != 0) {
                        continue;
                }
                for (j = 0; j < found.gl_pathc; j++) {
                        on = file_removes_ipc(found.gl_pathv[j], on);
                }
                globfree(&found);
        }
        return on;
}

/* A lingering user is never logged out. */
static bool lingers(uid_t uid) {
        const struct passwd *user = getpwuid(uid);
        char path[512];

        if (!user) {
                return false;
        }
        (void) snprintf(path, sizeof(path), "/var/lib/systemd/linger/%s", user->pw_name);
        return access(path, F_OK) == 0;
}

enum logind logind_ask(uid_t uid) {
        if (sd_booted() <= 0) {
                return LOGIND_ABSENT;
        }
        if (uid < LOGIND_UID_MIN || uid == NOBODY) {
                return LOGIND_SPARES_SYSTEM;
        }
        return removes_ipc() && !lingers(uid) ? LOGIND_REMOVES : LOGIND_SPARES;
}
