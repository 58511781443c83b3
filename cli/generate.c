/*
 * slipring generate: source code from a bus file.
 */

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/cli.h"
#include "schema/buffer.h"
#include "schema/generate.h"
#include "schema/schema.h"
#include "schema/util.h"

/* Makes a directory and those above it. */
static int directories_make(const char *path) {
        char *copy;
        int r = 0;

        copy = strdup(path);
        if (!copy) {
                return -ENOMEM;
        }
        for (char *slash = copy; r == 0 && slash;) {
                slash = strchr(slash + 1, '/');
                if (slash) {
                        *slash = '\0';
                }
                if (mkdir(copy, 0777) < 0 && errno != EEXIST) {
                        r = -errno;
                }
                if (slash) {
                        *slash = '/';
                }
        }
        free(copy);
        return r;
}

/* Is this what the file holds already? Then it stays as it is, and nothing is built again. */
static bool file_holds(const char *path, const char *text, size_t bytes) {
        char block[16384];
        size_t n = 0;
        bool same = true;
        FILE *file;

        file = fopen(path, "re");
        if (!file) {
                return false;
        }
        while (same && (n = fread(block, 1, sizeof(block), file)) > 0) {
                same = n <= bytes && !memcmp(block, text, n);
                text += same ? n : 0;
                bytes -= same ? n : 0;
        }
        same = same && bytes == 0 && !ferror(file);
        fclose(file);
        return same;
}

static int descriptor_write(int fd, const char *text, size_t bytes) {
        while (bytes > 0) {
                ssize_t n = write(fd, text, bytes);

                if (n < 0 && errno == EINTR) {
                        continue;
                }
                if (n < 0) {
                        return -errno;
                }
                text += n;
                bytes -= (size_t) n;
        }
        return 0;
}

/* Writes beside the file and renames, so that no compiler ever reads half a header. */
static int file_replace(const char *path, const char *text, size_t bytes) {
        char *temporary;
        mode_t mask;
        int fd, r;

        if (asprintf(&temporary, "%s.XXXXXX", path) < 0) {
                return -ENOMEM;
        }
        fd = mkostemp(temporary, O_CLOEXEC);
        if (fd < 0) {
                r = -errno;
                free(temporary);
                return r;
        }
        mask = umask(0);
        umask(mask);
        r = descriptor_write(fd, text, bytes);
        if (r == 0 && fchmod(fd, 0666 & ~mask) < 0) {
                r = -errno;
        }
        if (close(fd) < 0 && r == 0) {
                r = -errno;
        }
        if (r == 0 && rename(temporary, path) < 0) {
                r = -errno;
        }
        if (r < 0) {
                unlink(temporary);
        }
        free(temporary);
        return r;
}

/* Where files go. */
struct output {
        const struct cli *cli;
        const char *directory;
};

/* Writes a file below the output directory, unless it is there already. Reports failure. */
static int output_write(void *context, const char *name, const struct buffer *text) {
        const struct output *output = context;
        char *path, *above;
        int r = 0;

        if (!strcmp(output->directory, "-")) {
                fwrite(text->text, 1, text->length, stdout);
                return 0;
        }
        if (asprintf(&path, "%s/%s", output->directory, name) < 0) {
                return -ENOMEM;
        }
        if (file_holds(path, text->text, text->length)) {
                printf("%s is up to date\n", path);
                free(path);
                return 0;
        }
        above = strndup(path, (size_t) (strrchr(path, '/') - path));
        r = above ? directories_make(above) : -ENOMEM;
        free(above);
        if (r == 0) {
                r = file_replace(path, text->text, text->length);
        }
        if (r < 0) {
                cli_error(output->cli, "%s: %s", path, strerror(-r));
        } else {
                printf("%s written\n", path);
        }
        free(path);
        return r;
}

static int ros2msg(const struct cli *cli, const struct schema *schema, const char *directory) {
        struct output output = {.cli = cli, .directory = directory};
        int r;

        if (!strcmp(directory, "-")) {
                cli_error(cli, "a package is several files; -o needs a directory");
                return CLI_USAGE;
        }
        r = generate_ros2msg(schema, output_write, &output);
        if (r == -ENOENT) {
                cli_error(cli, "bus '%s' has no types of its own", schema->bus);
        }
        return r < 0 ? CLI_FAILURE : CLI_OK;
}

static int generate(const struct cli *cli, const struct schema *schema, const char *directory) {
        _cleanup_(buffer_free) struct buffer header = {0};
        struct output output = {.cli = cli, .directory = directory};
        char *name;
        int r;

        r = generate_c(&header, schema);
        if (r == -EADDRINUSE) {
                cli_error(cli,
                          "the header of bus '%s' would hide the system's <%s.h>; the bus needs "
                          "another name",
                          schema->bus, schema->bus);
                return CLI_FAILURE;
        }
        if (r < 0) {
                cli_error(cli, "%s", strerror(-r));
                return CLI_FAILURE;
        }
        if (asprintf(&name, "%s.h", schema->bus) < 0) {
                cli_error(cli, "%s", strerror(ENOMEM));
                return CLI_FAILURE;
        }
        r = output_write(&output, name, &header);
        free(name);
        return r < 0 ? CLI_FAILURE : CLI_OK;
}

static int generate_run(struct cli *cli, int argc, char **argv) {
        _cleanup_(diagnostics_clear) struct diagnostics diagnostics = {0};
        _cleanup_(schema_freep) struct schema *schema = NULL;
        const char *directory = ".";
        const struct cli_option options[] = {
                {'o', "output", "DIR", "where it goes (default: here; - prints a header)",
                 .text = &directory},
                {0},
        };
        int r;

        if (!cli_parse(cli, options, &argc, &argv)) {
                return cli->exit_code;
        }
        if (strcmp(argv[0], "c") && strcmp(argv[0], "ros2msg")) {
                cli_error(cli, "cannot generate '%s'; there are: c, ros2msg", argv[0]);
                return CLI_USAGE;
        }
        if (!*directory) {
                /* An unset variable of a script; nobody means the root directory by it. */
                cli_error(cli, "--output names no directory; . is this one");
                return CLI_USAGE;
        }
        r = schema_load(&schema, argv[1], NULL, &diagnostics);
        diagnostics_print(&diagnostics, stderr, cli_colour(stderr));
        if (r < 0) {
                if (r == -ENOMEM) {
                        cli_error(cli, "%s", strerror(-r));
                }
                return CLI_FAILURE;
        }
        return strcmp(argv[0], "c") ? ros2msg(cli, schema, directory)
                                    : generate(cli, schema, directory);
}

const struct cli_verb cli_generate = {
        .name = "generate",
        .arguments = "c|ros2msg FILE",
        .least = 2,
        .most = 2,
        .summary = "write the C header of a bus, or a package of ROS 2",
        .help = "c writes BUS.h: a struct for each message type, constants for named values, and "
                "for "
                "each\n"
                "topic typed functions to publish and to take, so that the compiler catches what "
                "does\n"
                "not fit together. For C11 and C++11 and later. ros2msg writes PACKAGE/, a package "
                "of "
                "ROS 2\n"
                "with the bus's own types as .msg files, for colcon. Files that would not change "
                "are "
                "left\n"
                "alone. FILE may be - for standard input.\n\n"
                "  slipring generate c rover.yaml -o include\n"
                "  slipring generate c rover.yaml -o - | less\n"
                "  slipring generate ros2msg rover.yaml -o ~/ros2_ws/src\n",
        .run = generate_run,
};
