#include "publishers/host/tree.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "publishers/host/text.h"

#define TEXT_START_BYTES 16384u
#define TEXT_MAX_BYTES (1024u * 1024u)

int tree_open(struct tree *ret_tree, const char *root) {
        int fd;

        fd = open(root, O_PATH | O_DIRECTORY | O_CLOEXEC);
        if (fd < 0) {
                return -errno;
        }
        *ret_tree = (struct tree){.fd = fd};
        return 0;
}

void tree_close(struct tree *tree) {
        (void) close(tree->fd);
        free(tree->text);
        *tree = (struct tree){.fd = -1};
}

/* Make room for more text. */
static int tree_grow(struct tree *tree) {
        size_t size = tree->size ? 2 * tree->size : TEXT_START_BYTES;
        char *text;

        if (size > TEXT_MAX_BYTES) {
                return -EFBIG;
        }
        text = realloc(tree->text, size);
        if (!text) {
                return -ENOMEM;
        }
        tree->text = text;
        tree->size = size;
        return 0;
}

static int tree_read_fd(struct tree *tree, int fd) {
        size_t length = 0;
        ssize_t n;
        int r;

        do {
                if (length + 1 >= tree->size) {
                        r = tree_grow(tree);
                        if (r < 0) {
                                return r;
                        }
                }
                n = read(fd, tree->text + length, tree->size - length - 1);
                if (n < 0 && errno != EINTR) {
                        return -errno;
                }
                length += n > 0 ? (size_t) n : 0;
        } while (n != 0);
        tree->text[length] = '\0';
        return 0;
}

int tree_read(struct tree *tree, const char *path, const char **ret_text) {
        int fd, r;

        /* Not to hang on what is no file in a tree that somebody made. */
        fd = openat(tree->fd, path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
        if (fd < 0) {
                return -errno;
        }
        r = tree_read_fd(tree, fd);
        (void) close(fd);
        if (r == 0) {
                *ret_text = tree->text;
        }
        return r;
}

int tree_read_number(struct tree *tree, const char *path, int64_t *ret_number) {
        const char *text = NULL;
        int r;

        r = tree_read(tree, path, &text);
        if (r < 0) {
                return r;
        }
        return text_number(text, ret_number) ? 0 : -EBADMSG;
}

bool tree_has(const struct tree *tree, const char *path) {
        return faccessat(tree->fd, path, F_OK, 0) == 0;
}

int tree_list(struct tree *tree,
              const char *path,
              const char *prefix,
              struct tree_names *ret_names) {
        struct dirent **entries = NULL;
        size_t kept = 0;
        int count, i;

        /* versionsort puts hwmon10 behind hwmon9. */
        count = scandirat(tree->fd, path, &entries, NULL, versionsort);
        if (count < 0) {
                return -errno;
        }
        for (i = 0; i < count; i++) {
                if (entries[i]->d_name[0] != '.' &&
                    strncmp(entries[i]->d_name, prefix, strlen(prefix)) == 0) {
                        entries[kept++] = entries[i];
                } else {
                        free(entries[i]);
                }
        }
        *ret_names = (struct tree_names){.entries = entries, .count = kept};
        return 0;
}

const char *tree_name(const struct tree_names *names, size_t index) {
        return names->entries[index]->d_name;
}

void tree_names_free(struct tree_names *names) {
        size_t i;

        for (i = 0; i < names->count; i++) {
                free(names->entries[i]);
        }
        free(names->entries);
        *names = (struct tree_names){0};
}
