#include "cli/play-files.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "subscribers/record/record.h"

static int no_memory(const struct cli *cli) {
        cli_error(cli, "out of memory");
        return CLI_FAILURE;
}

static int is_candidate(const struct dirent *entry) {
        return *entry->d_name != '.' &&
               (record_ends_in(entry->d_name, RECORD_SUFFIX) ||
                record_ends_in(entry->d_name, RECORD_SUFFIX RECORD_ACTIVE));
}

/* Takes the path, which may be NULL. */
static int add(const struct cli *cli, struct play_files *files, char *path) {
        char **larger = reallocarray(files->paths, files->count + 1, sizeof(*larger));

        files->paths = larger ? larger : files->paths;
        if (!larger || !path) {
                free(path);
                return no_memory(cli);
        }
        larger[files->count++] = path;
        return CLI_OK;
}

/* One of a directory, unless it is nothing to play. */
static int
consider(const struct cli *cli, struct play_files *files, const char *directory, const char *name) {
        size_t length = strlen(directory);
        struct stat status;
        char *path;

        if (asprintf(&path, "%s%s%s", directory, directory[length - 1] == '/' ? "" : "/", name) <
            0) {
                return no_memory(cli);
        }
        if (record_ends_in(name, RECORD_ACTIVE)) {
                cli_error(cli,
                          "'%s' is not played: a recorder writes it, or was killed; slipring bag "
                          "recover makes a file of it",
                          path);
        } else if (stat(path, &status) == 0 && S_ISREG(status.st_mode)) {
                return add(cli, files, path);
        }
        free(path);
        return CLI_OK;
}

static int add_directory(const struct cli *cli, struct play_files *files, const char *directory) {
        struct dirent **entries;
        size_t before = files->count;
        int count = scandir(directory, &entries, is_candidate, alphasort), code = CLI_OK;

        if (count < 0) {
                cli_error(cli, "cannot read '%s': %s", directory, strerror(errno));
                return CLI_FAILURE;
        }
        for (int i = 0; i < count; i++) {
                if (code == CLI_OK) {
                        code = consider(cli, files, directory, entries[i]->d_name);
                }
                free(entries[i]);
        }
        free(entries);
        if (code == CLI_OK && files->count == before) {
                cli_error(cli,
                          "'%s' has no %s file; of a bag that is stored otherwise, ros2 bag "
                          "convert makes one",
                          directory, RECORD_SUFFIX);
                code = CLI_FAILURE;
        }
        return code;
}

int play_files_find(const struct cli *cli,
                    char *const *arguments,
                    size_t count,
                    struct play_files *files) {
        struct stat status;
        int code = CLI_OK;

        for (size_t i = 0; code == CLI_OK && i < count; i++) {
                /* Of anything else the reader says what is wrong with it. */
                bool directory = stat(arguments[i], &status) == 0 && S_ISDIR(status.st_mode);

                code = directory ? add_directory(cli, files, arguments[i])
                                 : add(cli, files, strdup(arguments[i]));
        }
        if (code != CLI_OK) {
                return code;
        }
        if (count > 1) {
                code = asprintf(&files->name, "%s and %zu more", arguments[0], count - 1);
        } else {
                files->name = strdup(arguments[0]);
                code = files->name ? 0 : -1;
        }
        if (code < 0) {
                files->name = NULL;
                return no_memory(cli);
        }
        return CLI_OK;
}

void play_files_free(struct play_files *files) {
        for (size_t i = 0; i < files->count; i++) {
                free(files->paths[i]);
        }
        free(files->paths);
        free(files->name);
        *files = (struct play_files){0};
}
