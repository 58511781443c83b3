/*
 * What killed recorders left.
 */

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "mcap/recover.h"
#include "subscribers/record/recorder.h"

#define ENDING RECORD_SUFFIX RECORD_ACTIVE
#define RECOVERING ".recovering"

struct leftover {
        void (*note)(void *userdata, const char *text);
        void *userdata;
        int fd;
        char *active; /* NAME.mcap.active */
        char *path;   /* NAME.mcap */
        char *work;   /* NAME.mcap.recovering */
};

__attribute__((format(printf, 2, 3))) static void
tell(const struct leftover *leftover, const char *format, ...) {
        char text[1024];
        va_list list;

        va_start(list, format);
        vsnprintf(text, sizeof(text), format, list);
        va_end(list);
        leftover->note(leftover->userdata, text);
}

/* Under the lock, or false: it is not ours, or somebody writes it. */
static bool take(struct leftover *leftover, struct stat *ret_status) {
        leftover->fd = open(leftover->active, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
        if (leftover->fd < 0) {
                return false;
        }
        return fstat(leftover->fd, ret_status) == 0 && S_ISREG(ret_status->st_mode) &&
               ret_status->st_uid == geteuid() && flock(leftover->fd, LOCK_EX | LOCK_NB) == 0 &&
               /* Its recorder may have ended it between the open and the lock. */
               fstat(leftover->fd, ret_status) == 0 && ret_status->st_nlink > 0 &&
               access(leftover->active, F_OK) == 0;
}

/* All of it into another file, which gets its name once it is on the disk. */
static int copy(const struct leftover *leftover, int to, struct mcap_recovery *recovery) {
        struct mcap_error error = {0};
        int r;

        r = mcap_recover(leftover->fd, leftover->active, to, leftover->work, 0, recovery, &error);
        if (r == 0 && fdatasync(to) < 0) {
                r = mcap_error_set(&error, -errno, "cannot write '%s' to the disk: %s",
                                   leftover->work, strerror(errno));
        }
        if (r == 0 && link(leftover->work, leftover->path) < 0) {
                r = mcap_error_set(&error, -errno, "cannot create '%s': %s", leftover->path,
                                   strerror(errno));
        }
        if (r != 0) {
                tell(leftover, "'%s' was left by a recorder that was killed, and stays: %s",
                     leftover->active, *error.text ? error.text : "the disk is full");
        }
        return r;
}

static void recover(const struct leftover *leftover) {
        struct mcap_recovery recovery = {0};
        int to, r;

        to = open(leftover->work, O_RDWR | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0666);
        if (to < 0) {
                tell(leftover,
                     "'%s' was left by a recorder that was killed, and stays: cannot "
                     "create '%s': %s",
                     leftover->active, leftover->work, strerror(errno));
                return;
        }
        r = copy(leftover, to, &recovery);
        unlink(leftover->work);
        close(to);
        if (r == 0) {
                unlink(leftover->active);
                tell(leftover,
                     "'%s' was left by a recorder that was killed: its %" PRIu64
                     " samples are in '%s' now",
                     leftover->active, recovery.messages, leftover->path);
        }
}

static void consider(struct leftover *leftover) {
        struct stat status;

        if (!take(leftover, &status)) {
                return;
        }
        if (status.st_size == 0) {
                /* Killed before its first write. */
                unlink(leftover->active);
        } else if (access(leftover->path, F_OK) == 0) {
                tell(leftover,
                     "'%s' was left by a recorder that was killed, and stays: there is a "
                     "'%s'; slipring bag recover '%s' -o FILE saves it elsewhere",
                     leftover->active, leftover->path, leftover->active);
        } else {
                recover(leftover);
        }
}

static void look_at(struct leftover *leftover, const char *directory, const char *name) {
        int stem = (int) (strlen(name) - strlen(RECORD_ACTIVE));

        leftover->fd = -1;
        if (asprintf(&leftover->active, "%s%s", directory, name) < 0) {
                return;
        }
        if (asprintf(&leftover->path, "%s%.*s", directory, stem, name) >= 0) {
                if (asprintf(&leftover->work, "%s" RECOVERING, leftover->path) >= 0) {
                        consider(leftover);
                        free(leftover->work);
                }
                free(leftover->path);
        }
        free(leftover->active);
        if (leftover->fd >= 0) {
                close(leftover->fd);
        }
}

bool record_ends_in(const char *name, const char *ending) {
        size_t length = strlen(name), end = strlen(ending);

        return length > end && !strcmp(name + length - end, ending);
}

void record_recover(const char *directory,
                    void (*note)(void *userdata, const char *text),
                    void *userdata) {
        struct leftover leftover = {.note = note, .userdata = userdata};
        DIR *stream = opendir(*directory ? directory : ".");
        struct dirent *entry;

        while (stream && (entry = readdir(stream))) {
                if (record_ends_in(entry->d_name, ENDING)) {
                        look_at(&leftover, directory, entry->d_name);
                }
        }
        if (stream) {
                closedir(stream);
        }
}
