/*
 * What a client publishes: a message of CDR, which is a sample as it stands once its length and its
 * booleans are right.
 */

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "bus/type.h"
#include "subscribers/view/server.h"

/* On a shared topic another publisher may hold the lock; the viewers wait as long. */
#define LOCK_TIMEOUT_NS UINT64_C(10000000)

static struct publication *find(struct client *client, uint32_t id) {
        for (size_t i = 0; i < client->publication_count; i++) {
                if (client->publications[i].id == id) {
                        return &client->publications[i];
                }
        }
        return NULL;
}

size_t client_publish_most(const struct client *client) {
        size_t most = 0;

        for (size_t i = 0; i < client->publication_count; i++) {
                uint32_t bytes =
                        slipring_publisher_type(client->publications[i].publisher)->payload_bytes;

                most = bytes > most ? bytes : most;
        }
        /* A message of the wrong length is told what is wrong with it, if it is not much longer. */
        return VIEWER_PUBLISH_HEADER_BYTES + VIEWER_ENCAPSULATION_BYTES + most + 4096;
}

/* "package/msg/Name" and "package/Name" are one. */
static bool same_type(const char *left, const char *right) {
        size_t package = strcspn(left, "/");
        const char *left_name = strrchr(left, '/'), *right_name = strrchr(right, '/');

        return package == strcspn(right, "/") && !strncmp(left, right, package) && left_name &&
               right_name && !strcmp(left_name, right_name);
}

static int publisher_open(struct client *client,
                          const struct request_channel *channel,
                          struct publication *publication,
                          struct slipring_error *reterr) {
        struct slipring_publisher_options options = {
                .size = sizeof(options),
                .bus = client->server->options->bus,
                .lock_timeout_ns = LOCK_TIMEOUT_NS,
        };
        const char *topic = channel->topic + (channel->topic[0] == '/');

        publication->id = channel->id;
        snprintf(publication->topic, sizeof(publication->topic), "%.*s", SLIPRING_TOPIC_NAME_MAX,
                 topic);
        return slipring_publisher_open(&publication->publisher, topic, &options, reterr);
}

void client_advertise(struct client *client, const struct request_channel *channel) {
        struct publication publication = {0}, *larger;
        const struct slipring_type *type;
        struct slipring_error error = {0};

        if (find(client, channel->id) || client->publication_count >= VIEWER_PUBLICATIONS_MAX) {
                client_status(client, STATUS_ERROR, NULL,
                              find(client, channel->id)
                                      ? "client channel %" PRIu32 " is there already"
                                      : "client channel %" PRIu32 ": a client may have 64",
                              channel->id);
                return;
        }
        if (strcmp(channel->encoding, "cdr") != 0) {
                client_status(client, STATUS_ERROR, NULL,
                              "topic '%s': encoding '%s' is not taken, only 'cdr'", channel->topic,
                              channel->encoding);
                return;
        }
        larger = reallocarray(client->publications, client->publication_count + 1, sizeof(*larger));
        if (!larger) {
                client_cut(client, LWS_CLOSE_STATUS_UNEXPECTED_CONDITION, "out of memory");
                return;
        }
        client->publications = larger;
        if (publisher_open(client, channel, &publication, &error) < 0) {
                client_status(client, STATUS_ERROR, NULL, "cannot publish to topic '%s': %s",
                              channel->topic, error.text);
                return;
        }
        type = slipring_publisher_type(publication.publisher);
        if (*channel->schema_name && !same_type(channel->schema_name, type->name)) {
                client_status(client, STATUS_ERROR, NULL,
                              "cannot publish to topic '%s': its type is %s, not %s",
                              channel->topic, type->name, channel->schema_name);
                slipring_publisher_close(publication.publisher);
                return;
        }
        memcpy(publication.identity, type->identity, sizeof(publication.identity));
        client->publications[client->publication_count++] = publication;
}

static void publication_end(struct client *client, struct publication *publication) {
        slipring_publisher_close(publication->publisher);
        *publication = client->publications[--client->publication_count];
}

void client_unadvertise(struct client *client, uint32_t id) {
        struct publication *publication = find(client, id);

        if (publication) {
                publication_end(client, publication);
        } else {
                client_status(client, STATUS_WARNING, NULL,
                              "client channel %" PRIu32 " is not there", id);
        }
}

void client_unadvertise_all(struct client *client) {
        while (client->publication_count > 0) {
                publication_end(client, &client->publications[0]);
        }
}

/*
 * Messages
 */

/* Says why not, and returns false. */
static bool check(struct client *client,
                  const struct publication *publication,
                  const uint8_t *message,
                  size_t bytes) {
        const struct slipring_type *type = slipring_publisher_type(publication->publisher);
        const struct slipring_field *bad;

        if (bytes != (size_t) VIEWER_ENCAPSULATION_BYTES + type->payload_bytes) {
                client_status(client, STATUS_ERROR, NULL,
                              "topic '%s': a message of %s has %u + %" PRIu32
                              " bytes, this one %zu",
                              publication->topic, type->name, VIEWER_ENCAPSULATION_BYTES,
                              type->payload_bytes, bytes);
                return false;
        }
        if (message[0] != 0 || message[1] != 1) {
                client_status(client, STATUS_ERROR, NULL,
                              "topic '%s': the message is not little-endian CDR: it begins with "
                              "%02x %02x, not 00 01",
                              publication->topic, message[0], message[1]);
                return false;
        }
        bad = type_bad_bool(type, message + VIEWER_ENCAPSULATION_BYTES);
        if (bad) {
                client_status(client, STATUS_ERROR, NULL,
                              "topic '%s': field '%s' is a bool and neither 0 nor 1",
                              publication->topic, bad->name);
                return false;
        }
        return true;
}

/* On to the successor of a topic that was replaced. Another type is not what the client meant. */
static int follow(struct client *client, struct publication *publication) {
        struct slipring_error error = {0};
        const struct slipring_type *type;
        int r;

        r = slipring_publisher_move(publication->publisher, 0, &error);
        type = slipring_publisher_type(publication->publisher);
        if (r == 0 && memcmp(type->identity, publication->identity, sizeof(type->identity)) != 0) {
                client_status(client, STATUS_ERROR, NULL,
                              "topic '%s' has another type now; advertise it anew",
                              publication->topic);
                publication_end(client, publication);
                return -EPROTOTYPE;
        }
        if (r < 0) {
                client_status(client, STATUS_ERROR, NULL, "topic '%s' was retired: %s",
                              publication->topic, error.text);
        }
        return r;
}

void client_publish(struct client *client, uint32_t id, const uint8_t *message, size_t bytes) {
        struct publication *publication = find(client, id);
        const uint8_t *payload = message + VIEWER_ENCAPSULATION_BYTES;
        int r;

        if (!publication) {
                client_status(client, STATUS_ERROR, NULL,
                              "client channel %" PRIu32 " is not there: advertise it first", id);
                return;
        }
        if (!check(client, publication, message, bytes)) {
                return;
        }
        bytes -= VIEWER_ENCAPSULATION_BYTES;
        r = slipring_publisher_publish(publication->publisher, payload, bytes, 0);
        if (r == -EIDRM && follow(client, publication) < 0) {
                return;
        }
        if (r == -EIDRM) {
                r = slipring_publisher_publish(publication->publisher, payload, bytes, 0);
        }
        if (r < 0) {
                client_status(client, STATUS_ERROR, NULL, "topic '%s': not published: %s",
                              publication->topic, strerror(-r));
        }
}
