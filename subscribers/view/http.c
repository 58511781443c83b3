/*
 * What a connection is asked before it is a client: from which page it comes, and whether it speaks
 * the protocol.
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

/* A page that was loaded from here sends no origin with what it asks for, only where it asks. */
bool http_host_allowed(const struct server *server, struct lws *wsi) {
        char host[HEADER_BYTES], name[HEADER_BYTES], origin[HEADER_BYTES + 8];

        if (!header(wsi, WSI_TOKEN_HOST, host)) {
                return false;
        }
        host_of(host, name);
        if (!*host || is_local(name) || is_address(name)) {
                return true;
        }
        snprintf(origin, sizeof(origin), "http://%s", host);
        return is_listed(server->options->origins, origin);
}

/* Pages get what they need from this server and from nowhere else, and stand in no other page. */
static int add_headers(struct lws *wsi, uint8_t **at, uint8_t *end) {
        static const struct {
                const char *name, *value;
        } headers[] = {
                {"content-security-policy:",
                 "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
                 "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"},
                {"x-content-type-options:", "nosniff"},
                {"referrer-policy:", "no-referrer"},
                {"cache-control:", "no-cache"},
        };
        int r = 0;

        for (size_t i = 0; r == 0 && i < sizeof(headers) / sizeof(headers[0]); i++) {
                r = lws_add_http_header_by_name(wsi, (const unsigned char *) headers[i].name,
                                                (const unsigned char *) headers[i].value,
                                                (int) strlen(headers[i].value), at, end);
        }
        return r;
}

int http_answer(struct server *server,
                struct lws *wsi,
                unsigned status,
                const char *type,
                const void *body,
                size_t bytes) {
        uint8_t head[LWS_PRE + 1024], *start = head + LWS_PRE, *at = start;
        uint8_t *end = head + sizeof(head) - 1, *copy;

        if (lws_add_http_common_headers(wsi, status, type, bytes, &at, end) ||
            add_headers(wsi, &at, end) || lws_finalize_write_http_header(wsi, start, &at, end)) {
                return -1;
        }
        copy = server_buffer(server, bytes);
        if (!copy) {
                return -1;
        }
        memcpy(copy, body, bytes);
        /* The library keeps what the socket does not take at once. */
        return lws_write(wsi, copy, bytes, LWS_WRITE_HTTP_FINAL) < 0 ? -1 : 0;
}

int http_refuse(struct server *server, struct lws *wsi, unsigned status, const char *reason) {
        char body[512];

        snprintf(body, sizeof(body), "slipring view: %s\n", reason);
        return http_answer(server, wsi, status, HTTP_TEXT, body, strlen(body)) < 0 ? -1 : 1;
}
