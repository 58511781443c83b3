#include "schema/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int descriptor_read(int fd, size_t capacity, char **ret_text, size_t *ret_bytes) {
        size_t bytes = 0;
        char *text;

        text = malloc(capacity);
        if (!text) {
                return -ENOMEM;
        }
        while (bytes < capacity) {
                ssize_t n;

                n = read(fd, text + bytes, capacity - bytes);
                if (n < 0 && errno == EINTR) {
                        continue;
                }
                if (n < 0) {
                        n = -errno;
                        free(text);
                        return (int) n;
                }
                if (n == 0) {
                        break;
                }
                bytes += (size_t) n;
        }
        *ret_text = text;
        *ret_bytes = bytes;
        return 0;
}

int file_read(const char *path, size_t limit, char **ret_text, size_t *ret_bytes) {
        int fd, r;

        if (!strcmp(path, "-")) {
                return descriptor_read(STDIN_FILENO, limit + 1, ret_text, ret_bytes);
        }
        fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
        if (fd < 0) {
                return -errno;
        }
        r = descriptor_read(fd, limit + 1, ret_text, ret_bytes);
        close(fd);
        return r;
}
