/*
 * What a connection is asked before it is a client: from which page it comes, and whether it speaks
 * the protocol. And the page for those who come with a plain browser.
 */

#include <arpa/inet.h>
#include <string.h>

#include "subscribers/view/server.h"

#define HEADER_BYTES 256

/* A header's value; "" where there is none, false where it is too long to be right. */
static bool header(struct lws *wsi, enum lws_token_indexes token, char value[HEADER_BYTES]) {
        *value = '\0';
        return lws_hdr_total_length(wsi, token) == 0 ||
               lws_hdr_copy(wsi, value, HEADER_BYTES, token) >= 0;
}

bool http_protocol_offered(struct lws *wsi) {
        char value[HEADER_BYTES], *rest, *word;

        if (!header(wsi, WSI_TOKEN_PROTOCOL, value)) {
                return false;
        }
        for (word = strtok_r(value, ", \t", &rest); word; word = strtok_r(NULL, ", \t", &rest)) {
                if (!strcmp(word, "foxglove.websocket.v1") || !strcmp(word, "foxglove.sdk.v1")) {
                        return true;
                }
        }
        return false;
}

/* The host of "HOST[:PORT]", without the brackets of an IPv6 address. */
static void host_of(const char *authority, char host[HEADER_BYTES]) {
        bool bracket = *authority == '[';
        size_t bytes;

        authority += bracket;
        bytes = strcspn(authority, bracket ? "]" : ":");
        snprintf(host, HEADER_BYTES, "%.*s", (int) bytes, authority);
}

static bool is_address(const char *host) {
        struct in6_addr address;

        return inet_pton(AF_INET, host, &address) == 1 || inet_pton(AF_INET6, host, &address) == 1;
}

static bool is_local(const char *host) {
        struct in_addr address;

        return !strcmp(host, "localhost") || !strcmp(host, "::1") ||
               (inet_pton(AF_INET, host, &address) == 1 &&
                ntohl(address.s_addr) >> 24 == IN_LOOPBACKNET);
}

static bool is_listed(const char *origins, const char *origin) {
        size_t bytes = strlen(origin);

        while (origins && *origins) {
                size_t word = strcspn(origins, ",");

                if ((word == 1 && *origins == '*') ||
                    (word == bytes && !strncmp(origins, origin, word))) {
                        return true;
                }
                origins += word + (origins[word] == ',');
        }
        return false;
}

bool http_origin_allowed(const struct server *server, struct lws *wsi) {
        char origin[HEADER_BYTES], host[HEADER_BYTES], name[HEADER_BYTES];
        const char *authority;

        if (!header(wsi, WSI_TOKEN_ORIGIN, origin) || !header(wsi, WSI_TOKEN_HOST, host)) {
                return false;
        }
        /* A program that is no browser sends none. */
        if (!*origin || is_listed(server->options->origins, origin)) {
                return true;
        }
        authority = strstr(origin, "://");
        if (!authority || strncmp(origin, "http", 4) != 0) {
                return false;
        }
        authority += 3;
        host_of(authority, name);
        /* A page of this server's, as far as it was asked for by address: a name may have been made
         * to lead here by whoever owns it. */
        return is_local(name) || (is_address(name) && !strcmp(authority, host));
}

/* Answers with a text and closes. */
static int answer(struct lws *wsi, unsigned status, const char *body) {
        uint8_t buffer[LWS_PRE + 2048], *start = buffer + LWS_PRE, *at = start;
        uint8_t *end = buffer + sizeof(buffer) - 1;
        size_t bytes = strlen(body);

        if (lws_add_http_common_headers(wsi, status, "text/plain; charset=utf-8", bytes, &at,
                                        end) ||
            lws_finalize_write_http_header(wsi, start, &at, end)) {
                return -1;
        }
        memcpy(start, body, bytes);
        if (lws_write(wsi, start, bytes, LWS_WRITE_HTTP_FINAL) < 0) {
                return -1;
        }
        return 0;
}

int http_refuse(struct lws *wsi, unsigned status, const char *reason) {
        char body[512];

        snprintf(body, sizeof(body), "slipring view: %s\n", reason);
        return answer(wsi, status, body) < 0 ? -1 : 1;
}

int http_page(const struct server *server, struct lws *wsi, const char *path) {
        char body[1024];

        if (strcmp(path, "/") != 0) {
                if (answer(wsi, HTTP_STATUS_NOT_FOUND, "slipring view: there is only / here\n") <
                    0) {
                        return -1;
                }
        } else {
                snprintf(body, sizeof(body),
                         "This is slipring view, which shows the topics of bus '%s' to viewers of\n"
                         "the Foxglove WebSocket protocol. Open a viewer, choose \"Foxglove "
                         "WebSocket\"\nas the data source, and give it\n\n    %s\n",
                         server->options->bus, server->url);
                if (answer(wsi, HTTP_STATUS_OK, body) < 0) {
                        return -1;
                }
        }
        return lws_http_transaction_completed(wsi) ? -1 : 0;
}
