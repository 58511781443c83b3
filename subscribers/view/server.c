/*
 * The server: one loop of libwebsockets, into which two descriptors of ours are adopted, the
 * listening socket and the wait set's. The socket is ours so that a port that is taken has an
 * errno, and so that connections beyond the limit never reach the library.
 */

#include <errno.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <unistd.h>

#include "bus/error.h"
#include "subscribers/view/server.h"

#define TICK_US (LWS_US_PER_SEC / 2)
/* As much as the kernel holds for a client that does not read; the rest of its memory would be old
 * samples. */
#define UNSENT_BYTES (128 << 10)
#define NOTE_NS UINT64_C(1000000000)
/* The payload begins on a cache line, and before it fit the library's room and our header. */
#define BEFORE_PAYLOAD ((LWS_PRE + 32 + 63) / 64 * 64)

/*
 * Small things for the others
 */

void server_note(struct server *server, const struct client *client, const char *text) {
        uint64_t now = slipring_now_ns();
        char line[256], more[48] = "";

        /* Whoever connects for ever to be cut off does not fill the operator's log. */
        if (now - server->noted_ns < NOTE_NS) {
                server->unnoted++;
                return;
        }
        if (server->unnoted) {
                snprintf(more, sizeof(more), " (and %u others)", server->unnoted);
        }
        snprintf(line, sizeof(line), "client %s is cut off: %s%s", client->peer, text, more);
        server->options->note(server->options->userdata, line);
        server->noted_ns = now;
        server->unnoted = 0;
}

uint8_t *server_buffer(struct server *server, size_t bytes) {
        size_t room = (BEFORE_PAYLOAD + bytes + 63) / 64 * 64;
        uint8_t *larger;

        if (room > server->buffer_room) {
                larger = aligned_alloc(64, room);
                if (!larger) {
                        return NULL;
                }
                free(server->buffer);
                server->buffer = larger;
                server->buffer_room = room;
        }
        return server->buffer + BEFORE_PAYLOAD;
}

static void on_due(lws_sorted_usec_list_t *list) {
        struct server *server = lws_container_of(list, struct server, due);

        channels_due(server);
}

void server_schedule(struct server *server, uint64_t due_ns) {
        uint64_t now = slipring_now_ns();
        lws_usec_t us = due_ns > now ? (lws_usec_t) ((due_ns - now + 999) / 1000) : 1;

        /* An earlier one looks at all and sets the next. */
        if (!lws_dll2_is_detached(&server->due.list) && server->due.us <= lws_now_usecs() + us) {
                return;
        }
        lws_sul_schedule(server->context, 0, &server->due, on_due, us);
}

/* Twice a second: what has no descriptor to wait for. */
static void on_tick(lws_sorted_usec_list_t *list) {
        struct server *server = lws_container_of(list, struct server, tick);

        channels_sync(server);
        channels_look(server);
        /* One that could not be watched, for want of memory perhaps. */
        channels_due(server);
        lws_sul_schedule(server->context, 0, &server->tick, on_tick, TICK_US);
}

/*
 * Callbacks
 */

static int upgrade(struct server *server, struct lws *wsi, const char *to) {
        if (strcasecmp(to, "websocket") != 0) {
                return http_refuse(server, wsi, HTTP_STATUS_BAD_REQUEST,
                                   "only an upgrade to websocket is served");
        }
        if (!http_origin_allowed(server, wsi)) {
                return http_refuse(server, wsi, HTTP_STATUS_FORBIDDEN,
                                   "pages of this origin may not look at the bus; "
                                   "slipring view --allow-origin ORIGIN lets them");
        }
        if (!http_protocol_offered(wsi)) {
                return http_refuse(server, wsi, HTTP_STATUS_BAD_REQUEST,
                                   "offer the subprotocol foxglove.sdk.v1 or "
                                   "foxglove.websocket.v1");
        }
        return 0;
}

static int
on_http(struct lws *wsi, enum lws_callback_reasons reason, void *user, void *in, size_t length) {
        struct server *server = lws_context_user(lws_get_context(wsi));

        switch (reason) {
        case LWS_CALLBACK_HTTP:
                return page_get(server, wsi, in);
        case LWS_CALLBACK_HTTP_CONFIRM_UPGRADE:
                return upgrade(server, wsi, in);
        case LWS_CALLBACK_WSI_CREATE:
                server->connections++;
                return 0;
        case LWS_CALLBACK_WSI_DESTROY:
                server->connections--;
                return 0;
        default:
                return lws_callback_http_dummy(wsi, reason, user, in, length);
        }
}

static int
on_client(struct lws *wsi, enum lws_callback_reasons reason, void *user, void *in, size_t length) {
        struct client *client = user;

        switch (reason) {
        case LWS_CALLBACK_ESTABLISHED:
                client_open(client, lws_context_user(lws_get_context(wsi)), wsi);
                return 0;
        case LWS_CALLBACK_RECEIVE:
                return client_receive(client, in, length);
        case LWS_CALLBACK_SERVER_WRITEABLE:
                return client_writable(client);
        case LWS_CALLBACK_CLOSED:
                /* A handshake that failed at its end is closed without having been opened. */
                if (client && client->server) {
                        client_close(client);
                        client->server = NULL;
                }
                return 0;
        default:
                return 0;
        }
}

static int
on_samples(struct lws *wsi, enum lws_callback_reasons reason, void *user, void *in, size_t length) {
        if (reason == LWS_CALLBACK_RAW_RX_FILE) {
                channels_ready(lws_context_user(lws_get_context(wsi)));
        }
        return 0;
}

static void refuse_connection(int fd) {
        static const char answer[] = "HTTP/1.1 503 Service Unavailable\r\nConnection: close\r\n"
                                     "Content-Type: text/plain\r\n\r\n"
                                     "slipring view: there are too many connections\n";

        (void) send(fd, answer, sizeof(answer) - 1, MSG_DONTWAIT | MSG_NOSIGNAL);
        close(fd);
}

static int on_connection(
        struct lws *wsi, enum lws_callback_reasons reason, void *user, void *in, size_t length) {
        struct server *server = lws_context_user(lws_get_context(wsi));
        int unsent = UNSENT_BYTES, at_once = 1, fd;

        if (reason != LWS_CALLBACK_RAW_RX_FILE) {
                return 0;
        }
        fd = accept4(server->listen_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
        if (fd < 0) {
                return 0;
        }
        /* Two of them are our own descriptors. */
        if (server->connections >= VIEWER_CLIENTS_MAX + 2) {
                refuse_connection(fd);
                return 0;
        }
        (void) setsockopt(fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT, &unsent, sizeof(unsent));
        /* Else a small sample waits for the acknowledgement of the one before, which a client that
         * only listens delays for 40 ms. */
        (void) setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &at_once, sizeof(at_once));
        /* It closes what it cannot take. */
        (void) lws_adopt_socket_vhost(server->vhost, fd);
        return 0;
}

static const struct lws_protocols protocols[] = {
        {.name = "http", .callback = on_http},
        {
                .name = "foxglove.sdk.v1",
                .callback = on_client,
                .per_session_data_size = sizeof(struct client),
                .rx_buffer_size = 65536,
                .tx_packet_size = 262144,
        },
        {
                .name = "foxglove.websocket.v1",
                .callback = on_client,
                .per_session_data_size = sizeof(struct client),
                .rx_buffer_size = 65536,
                .tx_packet_size = 262144,
        },
        {.name = "samples", .callback = on_samples},
        {.name = "connections", .callback = on_connection},
        {0},
};

/*
 * Starting and ending
 */

static int adopt(struct server *server, int fd, const char *protocol, struct lws **ret_wsi) {
        lws_sock_file_fd_type descriptor = {.filefd = fd};

        /* The library closes what it has adopted. */
        *ret_wsi = fd < 0 ? NULL
                          : lws_adopt_descriptor_vhost(server->vhost, LWS_ADOPT_RAW_FILE_DESC,
                                                       descriptor, protocol, NULL);
        return *ret_wsi ? 0 : -EMFILE;
}

static int start_library(struct server *server, struct slipring_error *reterr) {
        /* Who does not answer a ping is gone: nobody else would tell. */
        static const lws_retry_bo_t liveness = {.secs_since_valid_ping = 20,
                                                .secs_since_valid_hangup = 30};
        struct lws_context_creation_info info = {
                .port = CONTEXT_PORT_NO_LISTEN,
                .protocols = protocols,
                .gid = (gid_t) -1,
                .uid = (uid_t) -1,
                .user = server,
                .options = LWS_SERVER_OPTION_EXPLICIT_VHOSTS,
                .fd_limit_per_thread = VIEWER_CLIENTS_MAX + 32,
                .timeout_secs = 10,
                .keepalive_timeout = 10,
                .pt_serv_buf_size = 65536,
                .retry_and_idle_policy = &liveness,
        };

        lws_set_log_level(0, NULL);
        server->context = lws_create_context(&info);
        server->vhost = server->context ? lws_create_vhost(server->context, &info) : NULL;
        if (!server->vhost) {
                return error_set(reterr, -ENOMEM, "libwebsockets cannot start");
        }
        if (adopt(server, dup(slipring_waitset_fd(server->waitset)), "samples", &server->waker) <
                    0 ||
            adopt(server, dup(server->listen_fd), "connections", &server->listener) < 0) {
                return error_set(reterr, -EMFILE, "no file descriptor is free%s",
                                 error_remedy(-EMFILE));
        }
        return 0;
}

static int start(struct server *server, struct slipring_error *reterr) {
        uint64_t session[2];
        int r;

        r = directory_locate(&server->directory, server->options->bus, reterr);
        if (r < 0) {
                return r;
        }
        server->up = true;
        if (getrandom(session, sizeof(session), 0) != (ssize_t) sizeof(session)) {
                return error_set(reterr, -EIO, "no random numbers");
        }
        snprintf(server->session, sizeof(server->session), "%016" PRIx64 "%016" PRIx64, session[0],
                 session[1]);
        r = slipring_waitset_new(&server->waitset, reterr);
        if (r == 0) {
                r = listen_start(server, reterr);
        }
        if (r == 0) {
                r = start_library(server, reterr);
        }
        return r;
}

static void end(struct server *server) {
        /* Clients go with their connections, and need the channels for that. */
        if (server->context) {
                lws_sul_cancel(&server->tick);
                lws_sul_cancel(&server->due);
                lws_context_destroy(server->context);
        }
        channels_free(server);
        slipring_waitset_close(server->waitset);
        if (server->listen_fd >= 0) {
                close(server->listen_fd);
        }
        free(server->buffer);
        text_free(&server->listing);
}

int viewer_run(const struct viewer_options *options, struct slipring_error *reterr) {
        struct server server = {
                .options = options,
                .listen_fd = -1,
                .directory = {.segment = SEGMENT_NONE},
        };
        int r;

        r = start(&server, reterr);
        if (r == 0) {
                on_tick(&server.tick);
                listen_tell(&server);
                while (!options->stopped() && lws_service(server.context, 0) >= 0) {
                }
        }
        end(&server);
        return r;
}
