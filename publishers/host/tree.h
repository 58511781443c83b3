#ifndef SLIPRING_PUBLISHERS_HOST_TREE_H
#define SLIPRING_PUBLISHERS_HOST_TREE_H

/*
 * The /proc and /sys that are read: those of "/", of a container's host mounted elsewhere, or a
 * test's.
 *
 * Small files of text, read whole. What a sensor's file says may be an error (a chip that sleeps, a
 * supply that was unplugged); it is the caller's to leave that one out.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* An open tree and the text read last from it. */
struct tree {
        int fd;
        char *text;
        size_t size;
};

/* Names in a directory, in the order of the numbers in them. */
struct tree_names {
        struct dirent **entries;
        size_t count;
};

/*
 * tree_open() - use the proc and sys below a directory
 *
 * Return: 0 or -errno.
 */
int tree_open(struct tree *ret_tree, const char *root);
void tree_close(struct tree *tree);

/*
 * tree_read() - read a file whole
 * @ret_text:   set to its text, NUL-terminated, valid until the tree is read again
 *
 * Return: 0, or -errno of open(2) or read(2), -EFBIG above 1 MiB, -ENOMEM.
 */
int tree_read(struct tree *tree, const char *path, const char **ret_text);

/*
 * tree_read_number() - read a file that holds one decimal number
 *
 * Return: 0, -EBADMSG if it holds something else, else as tree_read().
 */
int tree_read_number(struct tree *tree, const char *path, int64_t *ret_number);

/*
 * tree_has() - is there a file or directory of that path?
 */
bool tree_has(const struct tree *tree, const char *path);

/*
 * tree_list() - list a directory's entries of which the name begins with a prefix
 * @ret_names:  set on success, to be ended with tree_names_free()
 *
 * Return: 0 or -errno.
 */
int tree_list(struct tree *tree,
              const char *path,
              const char *prefix,
              struct tree_names *ret_names);
const char *tree_name(const struct tree_names *names, size_t index);
void tree_names_free(struct tree_names *names);

#endif
