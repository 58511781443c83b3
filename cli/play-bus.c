/*
 * A bus for a recording: its schema, and a manager that ends with us.
 */

#include "cli/play-bus.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "bus/error.h"
#include "bus/manager/manager.h"
#include "bus/manager/takedown.h"
#include "cli/live.h"

#define LOOK_NS 5000000L
/* For so long a manager may take its bus down. */
#define PATIENCE_S 5

/*
 * Its name
 */

static const char *name_in_file(struct mcap_reader *reader, char text[160]) {
        struct mcap_metadata list;
        struct mcap_text key, value;
        const char *name;

        for (uint64_t i = 0; mcap_reader_metadata(reader, i, &list, NULL) == 1; i++) {
                while (mcap_text_is(list.name, "slipring") &&
                       mcap_get_pair(&list.pairs, &key, &value)) {
                        if (mcap_text_is(key, "bus")) {
                                snprintf(text, 160, "%.*s", (int) value.bytes,
                                         (const char *) value.data);
                                /* Whose it was is not whose it will be. */
                                name = strrchr(text, '/');
                                return name ? name + 1 : text;
                        }
                }
        }
        return NULL;
}

/* "USER/BUS" as --bus, the environment or the first file that says one has it; NULL: none does. */
static const char *name_wanted(const struct cli *cli, const struct reel *reel, char text[160]) {
        const char *name = cli->bus ? cli->bus : getenv("SLIPRING_BUS");
        struct mcap_reader *reader;

        if (name && *name) {
                return name;
        }
        name = NULL;
        for (size_t i = 0; !name && (reader = reel_reader(reel, i)); i++) {
                name = name_in_file(reader, text);
        }
        return name;
}

/* The bus's own name, if it is one that we may make. */
static const char *name_checked(const struct cli *cli, const char *name) {
        const char *slash = strrchr(name, '/'), *own = error_user(geteuid());
        struct slipring_error error = {0};

        if (slash &&
            (strlen(own) != (size_t) (slash - name) || strncmp(name, own, strlen(own)) != 0)) {
                cli_error(cli, "bus '%s' is not up, and --create makes buses of %s only", name,
                          own);
                return NULL;
        }
        name = slash ? slash + 1 : name;
        if (directory_name_check(name, &error) < 0) {
                cli_error(cli, "%s", error.text);
                return NULL;
        }
        return name;
}

/*
 * Its manager
 */

__attribute__((noreturn)) static void
manage(const char *schema, pid_t parent, const sigset_t *mask) {
        static const int caught[] = {SIGINT, SIGTERM, SIGHUP};
        const struct manager_options options = {
                .program = "slipring play", .schema = schema, .quiet = true, .foreground = true};
        int nothing = open("/dev/null", O_RDWR | O_CLOEXEC);

        /* Keys are for the player, and so are signals of the terminal: it says when this is over.
         * What it prints is all that anybody expects on standard output. */
        for (size_t i = 0; i < sizeof(caught) / sizeof(caught[0]); i++) {
                signal(caught[i], SIG_DFL);
        }
        sigprocmask(SIG_SETMASK, mask, NULL);
        setsid();
        dup2(nothing, STDIN_FILENO);
        dup2(nothing, STDOUT_FILENO);
        unsetenv("NOTIFY_SOCKET");
        unsetenv("WATCHDOG_USEC");
        prctl(PR_SET_NAME, "slipring-bus");
        prctl(PR_SET_PDEATHSIG, SIGTERM);
        _exit(getppid() == parent ? manager_run(&options) : 1);
}

/* Are all its topics there? */
static bool complete(const char *name, size_t topics) {
        struct directory directory = {.segment = SEGMENT_NONE};
        struct slipring_error error = {0};
        struct view view = VIEW_NONE;
        bool is = false;

        if (directory_locate(&directory, name, &error) == 0) {
                is = view_attach(&view, &directory, &error) == 0 && view.count >= topics;
                view_close(&view);
        }
        return is;
}

static bool await(struct play_bus *bus, size_t topics) {
        const struct timespec while_it_starts = {.tv_nsec = LOOK_NS};

        while (!live_stopped() && !complete(bus->name, topics)) {
                if (waitpid(bus->manager, NULL, WNOHANG) != 0) {
                        bus->manager = 0;
                        return false;
                }
                nanosleep(&while_it_starts, NULL);
        }
        return true;
}

static int
start(const struct cli *cli, struct play_bus *bus, const char *directory, size_t topics) {
        pid_t parent = getpid();
        sigset_t all, mask;
        char *schema;

        if (asprintf(&schema, "%s/bus.yaml", directory) < 0) {
                cli_error(cli, "out of memory");
                return CLI_FAILURE;
        }
        fflush(NULL);
        /* A signal that the child got from us must not end in a handler of ours. */
        sigfillset(&all);
        sigprocmask(SIG_BLOCK, &all, &mask);
        bus->manager = fork();
        if (bus->manager == 0) {
                manage(schema, parent, &mask);
        }
        sigprocmask(SIG_SETMASK, &mask, NULL);
        free(schema);
        if (bus->manager < 0) {
                cli_error(cli, "cannot start a manager: %s", strerror(errno));
                bus->manager = 0;
                return CLI_FAILURE;
        }
        if (!await(bus, topics)) {
                cli_error(cli, "no bus could be made of the file; why stands above");
                return CLI_FAILURE;
        }
        return CLI_OK;
}

/*
 * Its schema
 */

static int remove_one(const char *path, const struct stat *status, int type, struct FTW *place) {
        (void) status;
        (void) type;
        (void) place;
        return remove(path) < 0 ? -1 : 0;
}

/* In a directory that is gone once the manager has read it. */
static int make(const struct cli *cli,
                const struct play_options *options,
                struct reel *reel,
                const char *name,
                struct play_bus *bus) {
        const char *root = getenv("TMPDIR");
        size_t topics;
        char *path;
        int code;

        if (asprintf(&path, "%s/slipring-play-XXXXXX", root && *root ? root : "/tmp") < 0) {
                cli_error(cli, "out of memory");
                return CLI_FAILURE;
        }
        if (!mkdtemp(path)) {
                cli_error(cli, "cannot create '%s': %s", path, strerror(errno));
                free(path);
                return CLI_FAILURE;
        }
        code = play_schema_write(cli, options, reel, path, name, &topics);
        if (code == CLI_OK && !live_stopped()) {
                code = start(cli, bus, path, topics);
        }
        (void) nftw(path, remove_one, 8, FTW_DEPTH | FTW_PHYS);
        free(path);
        return code;
}

static int choose(const struct cli *cli,
                  const struct play_options *options,
                  struct reel *reel,
                  struct play_bus *bus) {
        struct directory directory = {.segment = SEGMENT_NONE};
        struct slipring_error error = {0};
        struct view view = VIEW_NONE;
        char text[160];
        const char *name = name_wanted(cli, reel, text);
        int r;

        if (!name) {
                cli_error(cli,
                          "'%s' does not say of which bus it is: name the one to make with --bus",
                          options->path);
                return CLI_USAGE;
        }
        r = directory_locate(&directory, name, &error);
        if (r == 0) {
                r = view_attach(&view, &directory, &error);
                snprintf(bus->name, sizeof(bus->name), "%s", view.bus);
                view_close(&view);
        }
        if (r != -ENOENT) {
                if (r < 0) {
                        cli_error(cli, "%s", error.text);
                }
                return r < 0 ? view_exit_code(r) : CLI_OK;
        }
        name = name_checked(cli, name);
        if (!name) {
                return CLI_USAGE;
        }
        snprintf(bus->name, sizeof(bus->name), "%.90s/%.63s", error_user(geteuid()), name);
        return make(cli, options, reel, name, bus);
}

int play_bus_open(const struct cli *cli, const struct play_options *options, struct play_bus *bus) {
        struct slipring_error unknown = {0};
        struct mcap_error error = {0};
        const struct mcap_error *damage;
        const struct mcap_reader *reader;
        struct reel *reel = NULL;
        int code = CLI_FAILURE;

        *bus = (struct play_bus){.manager = 0};
        if (reel_open(&reel, options->files, options->file_count, &error) < 0) {
                cli_error(cli, "%s", error.text);
                return CLI_FAILURE;
        }
        if (options->check(options->userdata, &reel_summary(reel)->catalogue, &unknown) < 0) {
                cli_error(cli, "%s", unknown.text);
        } else {
                code = choose(cli, options, reel, bus);
        }
        for (size_t i = 0; code == CLI_FAILURE && (reader = reel_reader(reel, i)); i++) {
                damage = &mcap_reader_summary(reader)->damage;
                if (damage->code) {
                        /* What is missing may be behind it. */
                        cli_error(cli, "%s", damage->text);
                }
        }
        reel_close(reel);
        return code;
}

/* Asks the manager to end. One that cannot hear, as it was stopped or hangs, is killed. Returns
 * what waitpid() says of it. */
static int end(const struct cli *cli, const struct play_bus *bus) {
        const struct timespec while_it_ends = {.tv_nsec = LOOK_NS};
        int status = 0;

        kill(bus->manager, SIGTERM);
        /* Counted, and not by the clock: this process may be stopped, too. */
        for (long looks = PATIENCE_S * (1000000000L / LOOK_NS); looks > 0; looks--) {
                if (waitpid(bus->manager, &status, WNOHANG) != 0) {
                        return status;
                }
                nanosleep(&while_it_ends, NULL);
        }
        cli_error(cli,
                  "the manager of bus '%s' did not end within %d s: it is killed, and the bus "
                  "taken down without it",
                  bus->name, PATIENCE_S);
        kill(bus->manager, SIGKILL);
        while (waitpid(bus->manager, &status, 0) < 0 && errno == EINTR) {
        }
        return status;
}

int play_bus_close(const struct cli *cli, struct play_bus *bus) {
        struct slipring_error error = {0};
        struct takedown down;
        int status;

        if (!bus->manager) {
                return CLI_OK;
        }
        status = end(cli, bus);
        bus->manager = 0;
        if (WIFEXITED(status) && WEXITSTATUS(status) == 0) {
                return CLI_OK;
        }
        /* It did not come to that. */
        if (takedown(&down, bus->name, false, &error) < 0 && error.code != -ENOENT) {
                cli_error(cli, "%s", error.text);
                return CLI_FAILURE;
        }
        return CLI_OK;
}
