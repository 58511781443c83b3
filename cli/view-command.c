/*
 * slipring view: the topics of a bus for a viewer.
 */

#include <dlfcn.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "bus/error.h"
#include "cli/json.h"
#include "cli/live.h"

#include "subscribers/view/viewer.h"

/* Nobody was told where it is, so nobody will come. */
static bool untold;

static bool is_over(void) {
        return untold || live_stopped();
}

/* The page is where the WebSocket is, "ws:" at the beginning of @url apart. */
static void page_of(char page[160], const char *url) {
        snprintf(page, 160, "http%s", url + 2);
}

static void on_ready(void *userdata, const char *url, const char *const *others, size_t count) {
        struct json json = {.out = stdout, .compact = true};
        struct cli *cli = userdata;
        char page[160];

        page_of(page, url);
        if (cli->json) {
                json_open(&json, NULL, '{');
                json_text(&json, "url", url);
                json_text(&json, "page", page);
                if (count > 0) {
                        json_open(&json, "other_urls", '[');
                        for (size_t i = 0; i < count; i++) {
                                json_text(&json, NULL, others[i]);
                        }
                        json_close(&json);
                }
                json_close(&json);
        } else {
                printf("a viewer of the Foxglove WebSocket protocol finds this bus at\n"
                       "%s\n"
                       "and any browser at\n"
                       "%s\n",
                       url, page);
                for (size_t i = 0; i < count; i++) {
                        page_of(page, others[i]);
                        printf("%s%s, %s\n", i ? "" : "from other machines:\n", others[i], page);
                }
        }
        untold = !live_flush();
}

static void on_note(void *userdata, const char *text) {
        cli_error(userdata, "%s", text);
}

/* The bus by its full name, so that another one that starts later is not taken for it. */
static int find_bus(struct cli *cli, char *bus, size_t bytes) {
        struct view view = VIEW_NONE;
        int code = view_open(cli, &view);

        if (code == CLI_OK) {
                snprintf(bus, bytes, "%s", view.bus);
                view_close(&view);
        }
        return code;
}

static bool port_read(const struct cli *cli, const char *text, uint16_t *ret_port) {
        unsigned long port;
        char *end;

        errno = 0;
        port = strtoul(text, &end, 10);
        if (*text < '0' || *text > '9' || *end || errno || port > UINT16_MAX) {
                cli_error(cli, "--port %s: must be a whole number from 0 to 65535", text);
                return false;
        }
        *ret_port = (uint16_t) port;
        return true;
}

/* NULL with a message printed. The module stays loaded: who looks for leaks wants its symbols. */
static viewer_run_t load(const struct cli *cli) {
#ifdef SLIPRING_HAVE_VIEW
        void *module = dlopen(VIEWER_MODULE, RTLD_NOW | RTLD_LOCAL), *symbol;
        viewer_run_t run = NULL;

        symbol = module ? dlsym(module, "viewer_run") : NULL;
        if (symbol) {
                /* C has no cast from one to the other, POSIX says that they are alike. */
                memcpy(&run, &symbol, sizeof(run));
        } else {
                cli_error(cli, "its module cannot be loaded: %s", dlerror());
        }
        return run;
#else
        cli_error(cli, "this slipring was built without libwebsockets; install libwebsockets-dev "
                       "and build it again");
        return NULL;
#endif
}

static int serve(const struct cli *cli, const struct viewer_options *view) {
        struct slipring_error error = {0};
        viewer_run_t run = load(cli);

        if (!run) {
                return CLI_FAILURE;
        }
        live_start();
        if (run(view, &error) < 0) {
                cli_error(cli, "%s", error.text);
                return CLI_FAILURE;
        }
        return CLI_OK;
}

static int view_run(struct cli *cli, int argc, char **argv) {
        struct viewer_options view = {
                .max_rate_hz = 60,
                .stopped = is_over,
                .ready = on_ready,
                .note = on_note,
                .userdata = cli,
        };
        const char *port = "8765";
        double rate = 0;
        const struct cli_option options[] = {
                {'p', "port", "PORT", "listen there (default 8765); 0: a free one", .text = &port},
                {0, "bind", "ADDR", "on this address (default 127.0.0.1); 0.0.0.0: all",
                 .text = &view.address},
                {'r', "max-rate", "HZ", "most samples a second of a topic (default 60)",
                 .real = &rate},
                {0, "every", NULL, "send every sample, as long as its ring holds it",
                 .flag = &view.every},
                {0, "allow-origin", "LIST", "let web pages of these origins look, too; *: all",
                 .text = &view.origins},
                {0},
        };
        char bus[160];
        int code;

        if (!cli_parse(cli, options, &argc, &argv)) {
                return cli->exit_code;
        }
        if (rate > 0 && view.every) {
                cli_error(cli, "--max-rate and --every exclude each other");
                return CLI_USAGE;
        }
        view.max_rate_hz = rate > 0 ? rate : view.max_rate_hz;
        if (rate > 0 && (rate < 0.001 || rate > 1e6)) {
                cli_error(cli, "--max-rate %g: must be from 0.001 to 1000000", rate);
                return CLI_USAGE;
        }
        if (!port_read(cli, port, &view.port)) {
                return CLI_USAGE;
        }
        code = find_bus(cli, bus, sizeof(bus));
        if (code != CLI_OK) {
                return code;
        }
        view.bus = bus;
        return serve(cli, &view);
}

const struct cli_verb cli_view = {
        .name = "view",
        .arguments = "",
        .least = 0,
        .most = 0,
        .common = CLI_BUS | CLI_JSON,
        .summary = "show topics in a viewer",
        .help = "Shows the topics of a bus until Ctrl-C: to any browser, on a page with their\n"
                "values and live plots; and at the same port to viewers of the Foxglove WebSocket\n"
                "protocol (Foxglove, Lichtblick, PlotJuggler). Each gets the newest sample of "
                "each\n"
                "topic that it shows, at most as often as --max-rate says, and may publish to\n"
                "topics that this user may publish to. There are no passwords: whoever reaches\n"
                "the port sees what this user sees, so it is this machine's own unless --bind\n"
                "says otherwise, and pages of other web sites are refused unless --allow-origin\n"
                "names them; who was refused is printed.\n"
                "\n"
                "  slipring view                          http://localhost:8765, "
                "ws://127.0.0.1:8765\n"
                "  slipring view --bind 0.0.0.0           for other machines, too\n"
                "  slipring view --allow-origin https://app.foxglove.dev\n"
                "                                         for Foxglove in a browser\n"
                "  slipring view --port 0 --json          {\"url\": ...} with a free port\n",
        .run = view_run,
};
