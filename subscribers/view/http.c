/*
 * What a connection is asked before it is a client: from which page it comes, and whether it speaks
 * the protocol.
 */

#include <arpa/inet.h>
#include <ctype.h>
#include <string.h>

#include "subscribers/view/server.h"

/* A header's value; "" where there is none, false where it is too long to be right. */
static bool header(struct lws *wsi, enum lws_token_indexes token, char value[VIEWER_HEADER_BYTES]) {
        *value = '\0';
        return lws_hdr_total_length(wsi, token) == 0 ||
               lws_hdr_copy(wsi, value, VIEWER_HEADER_BYTES, token) >= 0;
}

bool http_protocol_offered(struct lws *wsi) {
        char value[VIEWER_HEADER_BYTES], *rest, *word;

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
static void host_of(const char *authority, char host[VIEWER_HEADER_BYTES]) {
        bool bracket = *authority == '[';
        size_t bytes;

        authority += bracket;
        bytes = strcspn(authority, bracket ? "]" : ":");
        snprintf(host, VIEWER_HEADER_BYTES, "%.*s", (int) bytes, authority);
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

static bool
is_allowed(const struct server *server, const char *origin, const char host[VIEWER_HEADER_BYTES]) {
        char name[VIEWER_HEADER_BYTES];
        const char *authority;

        /* A program that is no browser sends none. One that is made of a browser's parts, as the
         * desktop viewers are, sends file://, where a browser sends "null" for a file. */
        if (!*origin || !strcmp(origin, "file://") || is_listed(server->options->origins, origin)) {
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

/* Tells the operator of an origin once, and of so many only: a hostile page may come from as many
 * as it likes, each of them a text of its own. */
static void tell_refused(struct server *server, const char *origin) {
        char *known, line[2 * VIEWER_HEADER_BYTES + 160];
        size_t i;

        for (i = 0; i < VIEWER_REFUSED_MAX && *server->refused[i]; i++) {
                if (!strcmp(server->refused[i], origin)) {
                        return;
                }
        }
        if (i == VIEWER_REFUSED_MAX) {
                return;
        }
        known = server->refused[i];
        snprintf(known, sizeof(server->refused[i]), "%s", origin);
        if (!strcmp(known, "null")) {
                snprintf(line, sizeof(line),
                         "a web page was refused that does not say where it is from (origin "
                         "'null'); --allow-origin null lets it look, and any other page that "
                         "hides it");
        } else {
                snprintf(line, sizeof(line),
                         "web pages of %s were refused; --allow-origin %s lets them look%s", known,
                         known,
                         i + 1 == VIEWER_REFUSED_MAX ? " (of further ones nothing is said)" : "");
        }
        server->options->note(server->options->userdata, line);
}

bool http_origin_allowed(struct server *server, struct lws *wsi) {
        char origin[VIEWER_HEADER_BYTES], host[VIEWER_HEADER_BYTES];

        if (!header(wsi, WSI_TOKEN_ORIGIN, origin) || !header(wsi, WSI_TOKEN_HOST, host)) {
                return false;
        }
        if (is_allowed(server, origin, host)) {
                return true;
        }
        /* What no browser sends does not go into a terminal, nor into a command to be copied. */
        for (char *at = origin; *at; at++) {
                *at = isalnum((unsigned char) *at) || strchr(":/.-_[]", *at) ? *at : '?';
        }
        tell_refused(server, origin);
        return false;
}

/* A page that was loaded from here sends no origin with what it asks for, only where it asks. */
bool http_host_allowed(const struct server *server, struct lws *wsi) {
        char host[VIEWER_HEADER_BYTES], name[VIEWER_HEADER_BYTES], origin[VIEWER_HEADER_BYTES + 8];

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
