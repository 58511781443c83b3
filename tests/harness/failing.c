#include "tests/harness/failing.h"

#include <errno.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool armed, following, failed;
static unsigned left;

void failing_start(unsigned which, bool all) {
        left = which;
        following = all;
        failed = false;
        armed = true;
}

bool failing_stop(void) {
        armed = false;
        return failed;
}

static bool fails(void) {
        if (!armed || left > 0 || (failed && !following)) {
                left -= armed && left > 0;
                return false;
        }
        failed = true;
        errno = ENOMEM;
        return true;
}

void *__real_malloc(size_t bytes);
void *__real_calloc(size_t count, size_t bytes);
void *__real_realloc(void *old, size_t bytes);
void *__real_reallocarray(void *old, size_t count, size_t bytes);
char *__real_strdup(const char *text);
char *__real_strndup(const char *text, size_t bytes);
void *__wrap_malloc(size_t bytes);
void *__wrap_calloc(size_t count, size_t bytes);
void *__wrap_realloc(void *old, size_t bytes);
void *__wrap_reallocarray(void *old, size_t count, size_t bytes);
char *__wrap_strdup(const char *text);
char *__wrap_strndup(const char *text, size_t bytes);
int __wrap_asprintf(char **ret_text, const char *format, ...);

void *__wrap_malloc(size_t bytes) {
        return fails() ? NULL : __real_malloc(bytes);
}

void *__wrap_calloc(size_t count, size_t bytes) {
        return fails() ? NULL : __real_calloc(count, bytes);
}

void *__wrap_realloc(void *old, size_t bytes) {
        return fails() ? NULL : __real_realloc(old, bytes);
}

void *__wrap_reallocarray(void *old, size_t count, size_t bytes) {
        return fails() ? NULL : __real_reallocarray(old, count, bytes);
}

char *__wrap_strdup(const char *text) {
        return fails() ? NULL : __real_strdup(text);
}

char *__wrap_strndup(const char *text, size_t bytes) {
        return fails() ? NULL : __real_strndup(text, bytes);
}

int __wrap_asprintf(char **ret_text, const char *format, ...) {
        va_list list;
        int r;

        if (fails()) {
                /* What is in it then is undefined. */
                *ret_text = (char *) 1;
                return -1;
        }
        va_start(list, format);
        r = vasprintf(ret_text, format, list);
        va_end(list);
        return r;
}
