/*
 * The page for a plain browser: its files, the units of fields, and the table of topics that it
 * asks for once a second. Samples it gets as any other viewer does.
 */

#include <inttypes.h>
#include <string.h>

#include "subscribers/look.h"
#include "subscribers/view/page-files.h"
#include "subscribers/view/server.h"

/* However many pages ask, each topic is looked at so often. */
#define LISTING_NS UINT64_C(250000000)

static void add_look(struct text *text, const struct channel *channel) {
        struct look look;
        bool readable = channel->id != 0 && look_at(&look, &channel->entry, NULL) == 0;

        if (!readable) {
                text_add(text, ",\"readable\":false,\"stale\":false}");
                return;
        }
        text_add(text,
                 ",\"readable\":true,\"stale\":%s,\"publishers\":%" PRIu32 ",\"rate_hz\":%.6g",
                 look.stale ? "true" : "false", look.publishers, look.rate_hz);
        if (look.age_ns == UINT64_MAX) {
                text_add(text, ",\"age_s\":null}");
        } else {
                text_add(text, ",\"age_s\":%.6g}", (double) look.age_ns / 1e9);
        }
}

static void list(struct server *server) {
        struct text *text = &server->listing;

        text_free(text);
        text_add(text, "{\"bus\":");
        text_quote(text, server->options->bus);
        text_add(text, ",\"up\":%s,\"topics\":[", server->up ? "true" : "false");
        for (size_t i = 0; i < server->channel_count; i++) {
                const struct channel *channel = server->channels[i];

                text_add(text, "%s{\"name\":", i ? "," : "");
                text_quote(text, channel->entry.name);
                text_add(text, ",\"type\":");
                text_quote(text, channel->entry.type_name);
                add_look(text, channel);
        }
        text_add(text, "]}\n");
        server->listing_ns = slipring_now_ns();
}

static int answer_listing(struct server *server, struct lws *wsi) {
        if (!server->listing.bytes || slipring_now_ns() - server->listing_ns >= LISTING_NS) {
                list(server);
        }
        if (server->listing.failed) {
                return -1;
        }
        return http_answer(server, wsi, HTTP_STATUS_OK, HTTP_JSON, server->listing.bytes,
                           server->listing.used);
}

/* What the type's text over the WebSocket has no place for. Asked for when topics come. */
static int answer_units(struct server *server, struct lws *wsi) {
        struct text text = {0};
        bool any = false;
        int r;

        text_add(&text, "{\"topics\":{");
        for (size_t i = 0; i < server->channel_count; i++) {
                const struct channel *channel = server->channels[i];

                if (channel->units.used == 0 || channel->units.failed) {
                        continue;
                }
                text_add(&text, any ? "," : "");
                text_quote(&text, channel->entry.name);
                text_add(&text, ":{%s}", channel->units.bytes);
                any = true;
        }
        text_add(&text, "}}\n");
        r = text.failed
                    ? -1
                    : http_answer(server, wsi, HTTP_STATUS_OK, HTTP_JSON, text.bytes, text.used);
        text_free(&text);
        return r;
}

static int answer_file(struct server *server, struct lws *wsi, const char *path) {
        static const char none[] = "slipring view: there is no such page; / is the one\n";

        for (size_t i = 0; i < page_file_count; i++) {
                if (!strcmp(page_files[i].path, path)) {
                        return http_answer(server, wsi, HTTP_STATUS_OK, page_files[i].type,
                                           page_files[i].bytes, page_files[i].size);
                }
        }
        return http_answer(server, wsi, HTTP_STATUS_NOT_FOUND, HTTP_TEXT, none, sizeof(none) - 1);
}

/* What is on the bus, and not only in the program. */
static int answer_about_bus(struct server *server,
                            struct lws *wsi,
                            int (*answer)(struct server *server, struct lws *wsi)) {
        if (!http_host_allowed(server, wsi)) {
                return http_refuse(server, wsi, HTTP_STATUS_FORBIDDEN,
                                   "a bus is not shown by a name of its machine; ask by address, "
                                   "or slipring view --allow-origin ORIGIN lets it");
        }
        return answer(server, wsi);
}

int page_get(struct server *server, struct lws *wsi, const char *path) {
        int r;

        if (!strcmp(path, "/topics.json")) {
                r = answer_about_bus(server, wsi, answer_listing);
        } else if (!strcmp(path, "/units.json")) {
                r = answer_about_bus(server, wsi, answer_units);
        } else {
                r = answer_file(server, wsi, path);
        }
        if (r < 0) {
                return -1;
        }
        return lws_http_transaction_completed(wsi) ? -1 : 0;
}
