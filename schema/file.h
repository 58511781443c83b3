#ifndef SLIPRING_SCHEMA_FILE_H
#define SLIPRING_SCHEMA_FILE_H

/*
 * Files that anybody may have put there.
 */

#include <stddef.h>

/**
 * file_read() - read a file that may be too long
 * @path:       file, "-" for standard input
 * @limit:      one byte more is read at most, so that a pipe or /dev/zero ends, too
 * @ret_text:   set on success, to be freed with free(3); not terminated
 * @ret_bytes:  set on success; more than @limit says that the file is
 *
 * Return: 0 on success, -ENOENT, -EACCES, -EISDIR, ... if it cannot be read, -ENOMEM if there is
 *         no memory.
 */
int file_read(const char *path, size_t limit, char **ret_text, size_t *ret_bytes);

#endif
