#ifndef SLIPRING_CLI_PLAY_FILES_H
#define SLIPRING_CLI_PLAY_FILES_H

#include <stddef.h>

#include "cli/cli.h"

/**
 * struct play_files - what is to be played
 * @paths:      of the files, those of a directory in the order of their names
 * @count:      of them
 * @name:       of all of them, for messages: "a.mcap", or "a.mcap and 2 more"
 */
struct play_files {
        char **paths;
        size_t count;
        char *name;
};

/**
 * play_files_find() - look which files are meant
 * @cli:        run
 * @arguments:  files, and directories, of which all .mcap files are meant
 * @count:      of them
 * @files:      all zeros; filled, and to be freed whatever is returned
 *
 * Says of files that a recorder did not finish that they are left out.
 *
 * Return: CLI_OK, or the exit code, with a message printed.
 */
int play_files_find(const struct cli *cli,
                    char *const *arguments,
                    size_t count,
                    struct play_files *files);

/** play_files_free() - forget them */
void play_files_free(struct play_files *files);

#endif
