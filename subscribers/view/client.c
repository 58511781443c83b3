/*
 * What goes to a client: text messages in their order first, then channels that it does not know
 * yet, then one sample of the subscription whose turn it is. One message each time that the socket
 * has room; so a client that does not read has one message in the socket and holds up nothing.
 */

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "bus/cdr.h"
#include "bus/copy.h"
#include "subscribers/view/server.h"

/* An advertise message is closed once it is longer than this. */
#define ADVERTISE_BYTES 65536u
#define TELL_DROPS_NS UINT64_C(1000000000)
/* How long a viewer shows drops after the last one. */
#define SHOW_DROPS_NS UINT64_C(5000000000)

#define MESSAGE_DATA 1u
#define MESSAGE_HEADER_BYTES 13u /* opcode, subscription, time */

/*
 * Text messages
 */

void client_cut(struct client *client, enum lws_close_status code, const char *reason) {
        if (*client->cut) {
                return;
        }
        snprintf(client->cut, sizeof(client->cut), "%s", reason);
        client->cut_code = code;
        server_note(client->server, client, reason);
        /* Told in the next callback; one that takes nothing is ended without a word. */
        lws_callback_on_writable(client->wsi);
        lws_set_timeout(client->wsi, PENDING_TIMEOUT_USER_OK, 2);
}

void client_send(struct client *client, struct text *text) {
        struct letter *letter = NULL;

        if (!text->failed && !*client->cut) {
                letter = malloc(sizeof(*letter) + LWS_PRE + text->used);
        }
        if (letter && client->outbox_bytes + text->used <= VIEWER_OUTBOX_BYTES_MAX) {
                letter->next = NULL;
                letter->bytes = text->used;
                memcpy(letter->data + LWS_PRE, text->bytes, text->used);
                *client->outbox_end = letter;
                client->outbox_end = &letter->next;
                client->outbox_bytes += text->used;
                lws_callback_on_writable(client->wsi);
        } else if (!*client->cut) {
                free(letter);
                client_cut(client, LWS_CLOSE_STATUS_POLICY_VIOLATION,
                           letter ? "it does not read what it is sent" : "out of memory");
        }
        text_free(text);
}

void client_status(
        struct client *client, enum status_level level, const char *id, const char *format, ...) {
        struct text text = {0};
        char message[640];
        va_list arguments;

        va_start(arguments, format);
        vsnprintf(message, sizeof(message), format, arguments);
        va_end(arguments);
        text_add(&text, "{\"op\":\"status\",\"level\":%d,\"message\":", level);
        text_quote(&text, message);
        if (id) {
                text_add(&text, ",\"id\":");
                text_quote(&text, id);
        }
        text_add(&text, "}");
        client_send(client, &text);
}

void client_remove_status(struct client *client, const char *id) {
        struct text text = {0};

        text_add(&text, "{\"op\":\"removeStatus\",\"statusIds\":[");
        text_quote(&text, id);
        text_add(&text, "]}");
        client_send(client, &text);
}

static void send_info(struct client *client) {
        struct text text = {0};

        text_add(&text, "{\"op\":\"serverInfo\",\"name\":");
        text_quote(&text, client->server->options->bus);
        text_add(&text, ",\"capabilities\":[\"clientPublish\",\"connectionGraph\"],"
                        "\"supportedEncodings\":[\"cdr\"],\"metadata\":{\"server\":\"slipring\"},"
                        "\"sessionId\":");
        text_quote(&text, client->server->session);
        text_add(&text, "}");
        client_send(client, &text);
}

static void remove_subscription(struct client *client, struct subscription *subscription) {
        size_t i = 0;

        channel_unsubscribe(client->server, subscription);
        while (client->subscriptions[i] != subscription) {
                i++;
        }
        client->subscriptions[i] = client->subscriptions[--client->subscription_count];
        free(subscription);
}

void client_open(struct client *client, struct server *server, struct lws *wsi) {
        client->server = server;
        client->wsi = wsi;
        client->outbox_end = &client->outbox;
        client->next = server->clients;
        server->clients = client;
        lws_get_peer_simple(wsi, client->peer, sizeof(client->peer));
        send_info(client);
        if (!server->up) {
                client_status(client, STATUS_ERROR, "bus", "bus '%s' is down",
                              server->options->bus);
        }
}

void client_close(struct client *client) {
        struct client **link = &client->server->clients;

        while (*link != client) {
                link = &(*link)->next;
        }
        *link = client->next;
        client_unadvertise_all(client);
        while (client->subscription_count > 0) {
                remove_subscription(client, client->subscriptions[0]);
        }
        while (client->outbox) {
                struct letter *letter = client->outbox;

                client->outbox = letter->next;
                free(letter);
        }
        free(client->subscriptions);
        free(client->publications);
        free(client->received);
}

/*
 * Channels
 */

static bool told_stale(const struct subscription *subscription) {
        return subscription->stale;
}

static bool told_drops(const struct subscription *subscription) {
        return subscription->told_ns > 0;
}

/* What a client was told of a topic it is told once more, that it is over; not yet if it is not for
 * another subscription of the client's to the topic, for the status is of both. */
static void remove_topic_status(const struct subscription *subscription,
                                const char *kind,
                                bool (*told)(const struct subscription *)) {
        struct client *client = subscription->client;
        char id[SLIPRING_TOPIC_NAME_MAX + 16];

        if (!told(subscription)) {
                return;
        }
        for (size_t i = 0; i < client->subscription_count; i++) {
                const struct subscription *other = client->subscriptions[i];

                if (other != subscription && other->channel == subscription->channel &&
                    told(other)) {
                        return;
                }
        }
        snprintf(id, sizeof(id), "%s/%s", kind, subscription->channel->entry.name);
        client_remove_status(client, id);
}

void client_unsubscribe(struct client *client, struct subscription *subscription) {
        remove_topic_status(subscription, "stale", told_stale);
        remove_topic_status(subscription, "drops", told_drops);
        remove_subscription(client, subscription);
}

static void drop_subscriptions(struct client *client, const struct channel *channel) {
        for (size_t i = client->subscription_count; i-- > 0;) {
                if (client->subscriptions[i]->channel == channel) {
                        client_unsubscribe(client, client->subscriptions[i]);
                }
        }
}

void client_drop_channel(struct client *client, struct channel *channel) {
        struct text text = {0};

        drop_subscriptions(client, channel);
        if (client->graph && channel->graph_version) {
                text_add(&text, "{\"op\":\"connectionGraphUpdate\",\"publishedTopics\":[],"
                                "\"subscribedTopics\":[],\"advertisedServices\":[],"
                                "\"removedTopics\":[");
                text_quote(&text, channel->entry.name);
                text_add(&text, "],\"removedServices\":[]}");
                client_send(client, &text);
        }
        if (channel->id && channel->id <= client->advertised) {
                text_add(&text, "{\"op\":\"unadvertise\",\"channelIds\":[%" PRIu32 "]}",
                         channel->id);
                client_send(client, &text);
        }
}

static void add_channel(struct text *text, const struct channel *channel) {
        text_add(text, "{\"id\":%" PRIu32 ",\"topic\":", channel->id);
        text_quote(text, channel->entry.name);
        text_add(text, ",\"encoding\":\"cdr\",\"schemaName\":");
        text_quote(text, channel->entry.type_name);
        text_add(text, ",\"schemaEncoding\":\"ros2msg\",\"schema\":");
        text_quote(text, channel->text);
        text_add(text, "}");
}

/* The next channels that the client does not know, in the order of their ids. */
static bool advertise(struct client *client) {
        const struct server *server = client->server;
        struct text text = {0};

        for (size_t i = 0; i < server->channel_count && text.used < ADVERTISE_BYTES; i++) {
                const struct channel *channel = server->channels[i];

                if (channel->id <= client->advertised) {
                        continue;
                }
                text_add(&text, text.used ? "," : "{\"op\":\"advertise\",\"channels\":[");
                add_channel(&text, channel);
                client->advertised = channel->id;
        }
        if (text.used == 0) {
                return false;
        }
        text_add(&text, "]}");
        client_send(client, &text);
        return true;
}

/*
 * The graph of connections
 */

static void add_ids(struct text *text, const struct channel *channel, bool publishers) {
        text_add(text, "{\"name\":");
        text_quote(text, channel->entry.name);
        text_add(text, publishers ? ",\"publisherIds\":[" : ",\"subscriberIds\":[");
        if (publishers && channel->publishers) {
                text_add(text, "\"pid %" PRIi32 "\"", channel->publisher_pid);
        }
        /* Of others it is known how many they are. */
        for (uint32_t i = publishers ? 1 : 0;
             i < (publishers ? channel->publishers : channel->readers); i++) {
                text_add(text, "%s\"%s %" PRIu32 "\"", i ? "," : "",
                         publishers ? "publisher" : "attached", i + 1);
        }
        text_add(text, "]}");
}

static bool add_changed(struct client *client, struct text *text, bool publishers) {
        bool any = false;

        for (size_t i = 0; i < client->server->channel_count; i++) {
                const struct channel *channel = client->server->channels[i];

                if (channel->graph_version > client->graph_version) {
                        text_add(text, any ? "," : "");
                        add_ids(text, channel, publishers);
                        any = true;
                }
        }
        return any;
}

void client_graph(struct client *client) {
        struct text text = {0};
        bool any;

        if (!client->graph || *client->cut) {
                return;
        }
        text_add(&text, "{\"op\":\"connectionGraphUpdate\",\"publishedTopics\":[");
        any = add_changed(client, &text, true);
        text_add(&text, "],\"subscribedTopics\":[");
        add_changed(client, &text, false);
        text_add(&text, "],\"advertisedServices\":[],\"removedTopics\":[],"
                        "\"removedServices\":[]}");
        client->graph_version = client->server->graph_version;
        if (any) {
                client_send(client, &text);
        } else {
                text_free(&text);
        }
}

/*
 * Samples
 */

void client_drops(struct subscription *subscription, uint64_t missed) {
        uint64_t now = slipring_now_ns();
        char id[SLIPRING_TOPIC_NAME_MAX + 16];

        subscription->dropped += missed;
        if (subscription->dropped == 0 && told_drops(subscription) &&
            now - subscription->told_ns > SHOW_DROPS_NS) {
                remove_topic_status(subscription, "drops", told_drops);
                subscription->told_ns = 0;
        }
        if (!subscription->client->server->options->every || subscription->dropped == 0 ||
            now - subscription->told_ns < TELL_DROPS_NS) {
                return;
        }
        snprintf(id, sizeof(id), "drops/%s", subscription->channel->entry.name);
        client_status(subscription->client, STATUS_WARNING, id,
                      "topic '%s': %" PRIu64 " samples were dropped, which its ring of %" PRIu32
                      " held no longer when this connection had room for them",
                      subscription->channel->entry.name, subscription->dropped,
                      subscription->channel->entry.depth);
        subscription->told_ns = now;
        subscription->dropped = 0;
}

static void put_u32(uint8_t *to, uint32_t number) {
        memcpy(to, &number, sizeof(number));
}

/* Copies the sample that the subscription's reader finds. 1, 0 if there is none, or negative errno.
 */
static int
fetch(struct subscription *subscription, uint8_t *payload, struct slipring_sample *sample) {
        bool every = subscription->client->server->options->every;
        struct ring_reader *reader = &subscription->reader;
        int tries = every ? RING_TRIES_NEXT : RING_TRIES_NEWEST, r;
        struct ring_view view;

        while ((r = every ? ring_reader_next(reader, &view, &tries)
                          : ring_reader_newest(reader, &view, &tries)) == 1) {
                copy_from_slot(payload, view.payload, view.payload_bytes);
                if (ring_reader_validate(&view)) {
                        ring_reader_accept(reader, &view, sample);
                        return 1;
                }
                if (every) {
                        ring_reader_refuse(reader, &view);
                }
        }
        return r;
}

/* Returns 1 if a sample was sent, 0 if there was none, -1 to end the connection. */
static int send_sample(struct subscription *subscription) {
        struct server *server = subscription->client->server;
        const struct channel *channel = subscription->channel;
        struct slipring_sample sample;
        uint8_t *payload, *cdr, *message;
        uint64_t time_ns;
        uint32_t bytes;
        int r;

        payload = server_buffer(server, cdr_most_bytes(channel->cdr));
        if (!payload) {
                client_cut(subscription->client, LWS_CLOSE_STATUS_UNEXPECTED_CONDITION,
                           "out of memory");
                return -1;
        }
        cdr = payload - CDR_HEADER_BYTES;
        message = cdr - MESSAGE_HEADER_BYTES;
        r = fetch(subscription, channel->sample ? channel->sample : cdr_payload(cdr), &sample);
        /* The next of a ring may be there already; of the newest there is one. */
        subscription->pending = r == 1 && server->options->every;
        /* What is wrong with a corrupt ring all of its subscriptions are told at once. */
        if (r != 1) {
                return 0;
        }
        bytes = channel->sample ? cdr_write(channel->cdr, channel->sample, cdr)
                                : CDR_HEADER_BYTES + sample.payload_bytes;
        time_ns = sample.publish_time_ns + (uint64_t) server->table.table->realtime_offset_ns;
        message[0] = MESSAGE_DATA;
        put_u32(message + 1, subscription->id);
        memcpy(message + 5, &time_ns, sizeof(time_ns));
        client_drops(subscription, sample.missed);
        return lws_write(subscription->client->wsi, message, MESSAGE_HEADER_BYTES + bytes,
                         LWS_WRITE_BINARY) < 0
                       ? -1
                       : 1;
}

static int send_next(struct client *client) {
        for (size_t i = 0; i < client->subscription_count; i++) {
                size_t index = (client->turn + i) % client->subscription_count;
                int r;

                if (!client->subscriptions[index]->pending) {
                        continue;
                }
                r = send_sample(client->subscriptions[index]);
                if (r != 0) {
                        client->turn = index + 1;
                        return r;
                }
        }
        return 0;
}

static int send_letter(struct client *client) {
        struct letter *letter = client->outbox;
        int r;

        client->outbox = letter->next;
        if (!client->outbox) {
                client->outbox_end = &client->outbox;
        }
        client->outbox_bytes -= letter->bytes;
        r = lws_write(client->wsi, letter->data + LWS_PRE, letter->bytes, LWS_WRITE_TEXT);
        free(letter);
        return r < 0 ? -1 : 1;
}

int client_writable(struct client *client) {
        int r;

        if (*client->cut) {
                lws_close_reason(client->wsi, client->cut_code, (unsigned char *) client->cut,
                                 strlen(client->cut));
                return -1;
        }
        if (!client->outbox) {
                advertise(client);
        }
        r = client->outbox ? send_letter(client) : send_next(client);
        if (r == 1 || client->outbox) {
                lws_callback_on_writable(client->wsi);
        }
        return r < 0 ? -1 : 0;
}
