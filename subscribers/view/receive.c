/*
 * What comes from a client. It may be anything.
 */

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "bus/error.h"
#include "subscribers/view/server.h"

#define SECOND_NS UINT64_C(1000000000)
#define MESSAGE_PUBLISH 1u

/*
 * Requests
 */

static struct subscription *subscription_find(const struct client *client, uint32_t id) {
        for (size_t i = 0; i < client->subscription_count; i++) {
                if (client->subscriptions[i]->id == id) {
                        return client->subscriptions[i];
                }
        }
        return NULL;
}

static int add_subscription(struct client *client,
                            uint32_t id,
                            struct channel *channel,
                            struct slipring_error *reterr) {
        struct subscription **larger, *subscription;
        int r;

        larger = reallocarray(client->subscriptions, client->subscription_count + 1,
                              sizeof(*larger));
        if (larger) {
                client->subscriptions = larger;
        }
        subscription = larger ? calloc(1, sizeof(*subscription)) : NULL;
        if (!subscription) {
                return error_set(reterr, -ENOMEM, "no memory for a subscription");
        }
        subscription->client = client;
        subscription->id = id;
        r = channel_subscribe(client->server, channel, subscription, reterr);
        if (r < 0) {
                free(subscription);
                return r;
        }
        client->subscriptions[client->subscription_count++] = subscription;
        lws_callback_on_writable(client->wsi);
        return 0;
}

static void subscribe(struct client *client, const struct request_subscription *wanted) {
        struct channel *channel = channels_find(client->server, wanted->channel);
        struct slipring_error error = {0};

        if (!channel) {
                client_status(client, STATUS_ERROR, NULL,
                              "subscription %" PRIu32 ": there is no channel %" PRIu32, wanted->id,
                              wanted->channel);
        } else if (subscription_find(client, wanted->id)) {
                client_status(client, STATUS_ERROR, NULL,
                              "subscription %" PRIu32 " is there already; unsubscribe it first",
                              wanted->id);
        } else if (client->subscription_count >= VIEWER_SUBSCRIPTIONS_MAX) {
                client_status(client, STATUS_ERROR, NULL,
                              "subscription %" PRIu32 ": a client may have %u", wanted->id,
                              VIEWER_SUBSCRIPTIONS_MAX);
        } else if (add_subscription(client, wanted->id, channel, &error) < 0) {
                client_status(client, STATUS_ERROR, NULL, "%s", error.text);
        }
}

static void unsubscribe(struct client *client, uint32_t id) {
        struct subscription *subscription = subscription_find(client, id);

        /* One whose channel went away a moment ago is no mistake of the client's. */
        if (subscription) {
                client_unsubscribe(client, subscription);
        }
}

static void set_graph(struct client *client, bool wanted) {
        client->graph = wanted;
        client->graph_version = 0;
        if (wanted) {
                channels_look(client->server);
        }
}

static void obey(struct client *client, const struct request *request) {
        size_t i;

        if (!strcmp(request->op, "subscribe")) {
                for (i = 0; i < request->subscription_count; i++) {
                        subscribe(client, &request->subscriptions[i]);
                }
        } else if (!strcmp(request->op, "unsubscribe")) {
                for (i = 0; i < request->id_count; i++) {
                        unsubscribe(client, request->ids[i]);
                }
        } else if (!strcmp(request->op, "advertise")) {
                for (i = 0; i < request->channel_count; i++) {
                        client_advertise(client, &request->channels[i]);
                }
        } else if (!strcmp(request->op, "unadvertise")) {
                for (i = 0; i < request->id_count; i++) {
                        client_unadvertise(client, request->ids[i]);
                }
        } else if (!strcmp(request->op, "subscribeConnectionGraph")) {
                set_graph(client, true);
        } else if (!strcmp(request->op, "unsubscribeConnectionGraph")) {
                set_graph(client, false);
        } else {
                client_status(client, STATUS_WARNING, NULL, "op '%s' is none that is served here",
                              request->op);
        }
}

/*
 * Messages
 */

static void receive_text(struct client *client) {
        struct slipring_error error = {0};
        struct request request;

        if (request_parse(&request, (const char *) client->received, client->received_bytes,
                          &error) < 0) {
                client_status(client, STATUS_ERROR, NULL, "%s", error.text);
                return;
        }
        obey(client, &request);
        request_free(&request);
}

static void receive_binary(struct client *client) {
        const uint8_t *message = client->received;
        uint32_t id;

        if (client->received_bytes < VIEWER_PUBLISH_HEADER_BYTES || message[0] != MESSAGE_PUBLISH) {
                client_status(client, STATUS_ERROR, NULL,
                              "binary message of %zu bytes is no message data (opcode 1, channel, "
                              "payload)",
                              client->received_bytes);
                return;
        }
        memcpy(&id, message + 1, sizeof(id));
        client_publish(client, id, message + VIEWER_PUBLISH_HEADER_BYTES,
                       client->received_bytes - VIEWER_PUBLISH_HEADER_BYTES);
}

/* Returns false, with the client cut off, if there are more messages than anybody needs. */
static bool count(struct client *client) {
        uint64_t now = slipring_now_ns();

        if (now - client->second_ns >= SECOND_NS) {
                client->second_ns = now;
                client->messages = 0;
        }
        if (++client->messages > VIEWER_MESSAGES_PER_S) {
                client_cut(client, LWS_CLOSE_STATUS_POLICY_VIOLATION,
                           "more messages in a second than are taken");
                return false;
        }
        return true;
}

static bool gather(struct client *client, const void *data, size_t bytes) {
        size_t most = lws_frame_is_binary(client->wsi) ? client_publish_most(client)
                                                       : VIEWER_TEXT_BYTES_MAX;
        /* What the frame's head says is believed as far as it is refused early. */
        size_t total = client->received_bytes + bytes + lws_remaining_packet_payload(client->wsi);
        uint8_t *larger;

        if (total > most) {
                client_cut(client, LWS_CLOSE_STATUS_MESSAGE_TOO_LARGE,
                           "a message that is larger than any that is expected");
                return false;
        }
        if (client->received_bytes + bytes > client->received_room || !client->received) {
                larger = realloc(client->received, client->received_bytes + bytes + 4096);
                if (!larger) {
                        client_cut(client, LWS_CLOSE_STATUS_UNEXPECTED_CONDITION, "out of memory");
                        return false;
                }
                client->received = larger;
                client->received_room = client->received_bytes + bytes + 4096;
        }
        memcpy(client->received + client->received_bytes, data, bytes);
        client->received_bytes += bytes;
        return true;
}

int client_receive(struct client *client, const void *data, size_t bytes) {
        if (*client->cut) {
                return 0;
        }
        if (lws_is_first_fragment(client->wsi)) {
                client->received_bytes = 0;
        }
        if (!count(client) || !gather(client, data, bytes)) {
                return 0;
        }
        if (!lws_is_final_fragment(client->wsi) || lws_remaining_packet_payload(client->wsi)) {
                return 0;
        }
        if (lws_frame_is_binary(client->wsi)) {
                receive_binary(client);
        } else {
                receive_text(client);
        }
        client->received_bytes = 0;
        return 0;
}
