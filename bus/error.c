/*
 * Failures in words. An errno tells a program what to do next; the sentence beside it tells a
 * person which object is meant and what to do about it.
 */

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdarg.h>
#include <stdio.h>

#include "bus/error.h"

int error_set(struct slipring_error *reterr, int code, const char *format, ...) {
        va_list arguments;

        if (!reterr) {
                return code;
        }
        reterr->code = code;
        va_start(arguments, format);
        /* A sentence that does not fit is cut; nothing is decided by its end. */
        (void) vsnprintf(reterr->text, sizeof(reterr->text), format, arguments);
        va_end(arguments);
        return code;
}

const char *error_user(unsigned uid) {
        static _Thread_local char text[64];
        char buffer[4096];
        struct passwd entry, *found = NULL;

        if (getpwuid_r((uid_t) uid, &entry, buffer, sizeof(buffer), &found) == 0 && found) {
                (void) snprintf(text, sizeof(text), "%s", found->pw_name);
        } else {
                (void) snprintf(text, sizeof(text), "uid %u", uid);
        }
        return text;
}

const char *error_group(unsigned gid) {
        static _Thread_local char text[64];
        char buffer[16384];
        struct group entry, *found = NULL;

        /* With more members than the buffer holds it is not found; the number will do. */
        if (getgrgid_r((gid_t) gid, &entry, buffer, sizeof(buffer), &found) == 0 && found) {
                (void) snprintf(text, sizeof(text), "%s", found->gr_name);
        } else {
                (void) snprintf(text, sizeof(text), "gid %u", gid);
        }
        return text;
}

const char *error_remedy(int code) {
        switch (code) {
        case -EMFILE:
                return "; close some, or raise 'ulimit -n' (LimitNOFILE in a unit)";
        case -ENFILE:
                return "; raise fs.file-max";
        case -ENOMEM:
                return "; give it more memory, or raise 'ulimit -v' (LimitAS in a unit)";
        default:
                return "";
        }
}
