#ifndef SLIPRING_SUBSCRIBERS_VIEW_SERVER_H
#define SLIPRING_SUBSCRIBERS_VIEW_SERVER_H

#include <libwebsockets.h>
#include <sys/socket.h>

#include <slipring/publisher.h>
#include <slipring/subscriber.h>

#include "bus/directory.h"
#include "bus/ring.h"
#include "subscribers/view/request.h"
#include "subscribers/view/text.h"
#include "subscribers/view/viewer.h"

/*
 * What the server is made of:
 *
 *     server --- channel ...     a topic of the bus; open only while somebody subscribes to it
 *            \-- client ...      a connection
 *     subscription               a client's place in a channel's ring
 *     publication                a topic that a client publishes to
 *
 * Nothing of a sample is kept for a client: a subscription is a reader of the ring, with a place
 * of its own, and looks there once its socket has room. So a client that is slow gets the newest
 * sample when it comes, or with --every what the ring still holds.
 */

/* Bounds of one client, and of all. */
#define VIEWER_CLIENTS_MAX 128u
#define VIEWER_OUTBOX_BYTES_MAX (1u << 20)
#define VIEWER_TEXT_BYTES_MAX (256u << 10)
#define VIEWER_SUBSCRIPTIONS_MAX 4096u
#define VIEWER_PUBLICATIONS_MAX 64u
#define VIEWER_MESSAGES_PER_S 10000u
/* Of one topic in the connection graph. */
#define VIEWER_GRAPH_IDS_MAX 256u
#define VIEWER_HEADER_BYTES 256u
/* Origins that the operator is told of. */
#define VIEWER_REFUSED_MAX 16u

/* What stands before the payload in a message of either direction. */
#define VIEWER_PUBLISH_HEADER_BYTES 5u /* opcode, channel */

enum status_level { STATUS_INFO = 0, STATUS_WARNING = 1, STATUS_ERROR = 2 };

struct channel {
        uint32_t id; /* never used again; 0: this user cannot read the topic */
        struct layout_entry entry;
        char *text;        /* of the type */
        struct text units; /* of its fields, as members of a JSON object */
        struct slipring_subscriber *subscriber;
        struct cdr *cdr; /* of its type */
        uint8_t *sample; /* room for one that is not CDR, else NULL */
        struct subscription **subscriptions;
        size_t subscription_count;
        bool watched;    /* in the wait set */
        uint64_t due_ns; /* not before this again; UINT64_MAX: it is retired */

        /* As connectionGraph has it. */
        int32_t publisher_pid;
        uint32_t publishers;
        uint32_t readers;
        uint64_t graph_version; /* of the change that made it so; 0: not looked at yet */
};

struct subscription {
        struct client *client;
        struct channel *channel;
        uint32_t id;
        struct ring_reader reader;
        bool pending; /* there may be something to send */
        bool stale;   /* the client was told so */
        uint64_t dropped;
        uint64_t told_ns; /* when the client was told of drops; 0: it was not, or that is over */
};

struct publication {
        uint32_t id;
        char topic[SLIPRING_TOPIC_NAME_MAX + 1];
        struct slipring_publisher *publisher;
        uint8_t identity[32];
        struct cdr *cdr; /* of its type */
        void *room;      /* for a sample that is not CDR, else NULL */
};

/* A text message that waits for its turn. */
struct letter {
        struct letter *next;
        size_t bytes;
        uint8_t data[]; /* LWS_PRE bytes, then the message */
};

struct client {
        struct server *server; /* NULL: the handshake is not over */
        struct lws *wsi;
        struct client *next;
        char peer[64];

        struct letter *outbox, **outbox_end;
        size_t outbox_bytes;
        uint32_t advertised; /* channels up to this id are known to the client */

        struct subscription **subscriptions;
        size_t subscription_count;
        size_t turn; /* the subscription to look at first */

        struct publication *publications;
        size_t publication_count;

        bool graph;
        uint64_t graph_version;

        uint8_t *received; /* the message that is coming in */
        size_t received_bytes;
        size_t received_room;

        uint64_t second_ns; /* messages within this second */
        uint32_t messages;

        char cut[100]; /* why it is cut off; empty: it is not */
        enum lws_close_status cut_code;
};

struct server {
        const struct viewer_options *options;
        struct lws_context *context;
        struct lws_vhost *vhost;
        struct lws *waker, *listener;
        int listen_fd;
        unsigned connections;
        struct sockaddr_storage bound; /* what it listens on */
        char session[48];

        struct directory directory;
        struct directory_table table;
        bool up;
        uint64_t instance, generation; /* of the table that the channels are from */

        struct channel **channels;
        size_t channel_count;
        uint32_t last_id;
        uint64_t graph_version;

        struct slipring_waitset *waitset;
        lws_sorted_usec_list_t tick;
        lws_sorted_usec_list_t due;

        struct client *clients;
        uint8_t *buffer; /* to send from */
        size_t buffer_room;
        struct text listing; /* topics.json */
        uint64_t listing_ns; /* as of then */
        uint64_t noted_ns;
        unsigned unnoted;
        char refused[VIEWER_REFUSED_MAX][VIEWER_HEADER_BYTES]; /* origins, as they were printed */
};

/* --- channels.c: the topics of the bus --- */

/* Take over what the directory says now. */
void channels_sync(struct server *server);
struct channel *channels_find(struct server *server, uint32_t id);
/* Look at who publishes and who reads; at staleness of those that are open. */
void channels_look(struct server *server);
void channels_free(struct server *server);

/* Open the channel if nobody had, and begin with its newest sample. 0 or negative errno. */
int channel_subscribe(struct server *server,
                      struct channel *channel,
                      struct subscription *subscription,
                      struct slipring_error *reterr);
void channel_unsubscribe(struct server *server, struct subscription *subscription);
/* The wait set's descriptor is readable. */
void channels_ready(struct server *server);
/* Watch those again whose time has come. */
void channels_due(struct server *server);

/* --- client.c: what goes to a client --- */

void client_open(struct client *client, struct server *server, struct lws *wsi);
void client_close(struct client *client);
/* Queue a text message, which is emptied. */
void client_send(struct client *client, struct text *text);
__attribute__((format(printf, 4, 5))) void client_status(
        struct client *client, enum status_level level, const char *id, const char *format, ...);
void client_remove_status(struct client *client, const char *id);
/* End the connection, with a reason for the client and the operator. */
void client_cut(struct client *client, enum lws_close_status code, const char *reason);
void client_drop_channel(struct client *client, struct channel *channel);
void client_graph(struct client *client);
/* The socket has room. 0, or -1 to end the connection. */
int client_writable(struct client *client);
/* With what the client was told of the topic. */
void client_unsubscribe(struct client *client, struct subscription *subscription);
/* Count samples that the ring held no longer, and tell of them, at most once a second; and that
 * there are none any more, some seconds after the last. */
void client_drops(struct subscription *subscription, uint64_t missed);

/* --- receive.c: what comes from a client --- */

/* 0, or -1 to end the connection. */
int client_receive(struct client *client, const void *data, size_t bytes);

/* --- publish.c: what a client publishes --- */

void client_advertise(struct client *client, const struct request_channel *channel);
void client_unadvertise(struct client *client, uint32_t id);
void client_publish(struct client *client, uint32_t id, const uint8_t *message, size_t bytes);
/* The largest message that the client may send. */
size_t client_publish_most(const struct client *client);
void client_unadvertise_all(struct client *client);

/* --- listen.c: where clients connect to --- */

/* 0 or negative errno, with listen_fd and bound set. */
int listen_start(struct server *server, struct slipring_error *reterr);
/* Tell the operator by which addresses it is found. */
void listen_tell(const struct server *server);

/* --- http.c: before a connection is a client --- */

bool http_protocol_offered(struct lws *wsi);
/* May a page of this origin look at the bus? If not, the operator is told, once. */
bool http_origin_allowed(struct server *server, struct lws *wsi);
/* May who asks for this by that name of the server's know what the bus has? */
bool http_host_allowed(const struct server *server, struct lws *wsi);
#define HTTP_TEXT "text/plain; charset=utf-8"
#define HTTP_JSON "application/json"
/* Answers with a copy of the body. 0, or -1 to end the connection. */
int http_answer(struct server *server,
                struct lws *wsi,
                unsigned status,
                const char *type,
                const void *body,
                size_t bytes);
/* Answers with the reason. What the callback returns: 1, or -1. */
int http_refuse(struct server *server, struct lws *wsi, unsigned status, const char *reason);

/* --- page.c: for a plain browser --- */

/* GET. What the callback returns. */
int page_get(struct server *server, struct lws *wsi, const char *path);

/* --- server.c --- */

void server_note(struct server *server, const struct client *client, const char *text);
/* Have the loop look at channels that rest once the first is due. */
void server_schedule(struct server *server, uint64_t due_ns);
/* At least so many bytes behind LWS_PRE. NULL if there is no memory. */
uint8_t *server_buffer(struct server *server, size_t bytes);

#endif
