#include <stdlib.h>
#include <string.h>

#include "bus/probe.h"

bool probe_disabled(const char *facility) {
        const char *list = secure_getenv("SLIPRING_DISABLE");
        size_t length = strlen(facility);

        while (list && *list) {
                const char *end = strchrnul(list, ',');

                if ((size_t) (end - list) == length && strncmp(list, facility, length) == 0) {
                        return true;
                }
                list = *end ? end + 1 : end;
        }
        return false;
}
