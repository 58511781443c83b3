/*
 * What a client publishes: a message of CDR, which bus/cdr.h makes a sample of, or finds that it is
 * one.
 */

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "bus/cdr.h"
#include "bus/error.h"
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
                uint32_t bytes = cdr_most_bytes(client->publications[i].cdr);

                most = bytes > most ? bytes : most;
        }
        /* A message of the wrong length is told what is wrong with it, if it is not much longer. */
        return VIEWER_PUBLISH_HEADER_BYTES + most + 4096;
}

/* "package/msg/Name" and "package/Name" are one. */
static bool same_type(const char *left, const char *right) {
        size_t package = strcspn(left, "/");
        const char *left_name = strrchr(left, '/'), *right_name = strrchr(right, '/');

        return package == strcspn(right, "/") && !strncmp(left, right, package) && left_name &&
               right_name && !strcmp(left_name, right_name);
}

static void publication_close(struct publication *publication) {
        publication->publisher = slipring_publisher_close(publication->publisher);
        publication->cdr = cdr_free(publication->cdr);
        free(publication->room);
        publication->room = NULL;
}

/* What it takes to make samples of messages, as the publisher describes the type now. A sample that
 * is on its way stays where it is: the type is the same. */
static int publication_prepare(struct publication *publication, struct slipring_error *reterr) {
        const struct slipring_type *type = slipring_publisher_type(publication->publisher);
        int r;

        publication->cdr = cdr_free(publication->cdr);
        r = cdr_compile(&publication->cdr, type, reterr);
        if (r == 0 && !cdr_is_flat(publication->cdr) && !publication->room) {
                publication->room = malloc(type->payload_bytes);
                r = publication->room ? 0 : error_set(reterr, -ENOMEM, "out of memory");
        }
        return r;
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
        int r;

        publication->id = channel->id;
        snprintf(publication->topic, sizeof(publication->topic), "%.*s", SLIPRING_TOPIC_NAME_MAX,
                 topic);
        r = slipring_publisher_open(&publication->publisher, topic, &options, reterr);
        return r < 0 ? r : publication_prepare(publication, reterr);
}

void client_advertise(struct client *client, const struct request_channel *channel) {
        struct publication publication = {0}, *larger;
        const struct slipring_type *type;
        struct slipring_error error = {0};

        if (find(client, channel->id)) {
                client_status(client, STATUS_ERROR, NULL,
                              "client channel %" PRIu32 " is there already", channel->id);
                return;
        }
        if (client->publication_count >= VIEWER_PUBLICATIONS_MAX) {
                client_status(client, STATUS_ERROR, NULL,
                              "client channel %" PRIu32 ": a client may have %u", channel->id,
                              VIEWER_PUBLICATIONS_MAX);
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
                publication_close(&publication);
                return;
        }
        type = slipring_publisher_type(publication.publisher);
        if (*channel->schema_name && !same_type(channel->schema_name, type->name)) {
                client_status(client, STATUS_ERROR, NULL,
                              "cannot publish to topic '%s': its type is %s, not %s",
                              channel->topic, type->name, channel->schema_name);
                publication_close(&publication);
                return;
        }
        memcpy(publication.identity, type->identity, sizeof(publication.identity));
        client->publications[client->publication_count++] = publication;
}

static void publication_end(struct client *client, struct publication *publication) {
        publication_close(publication);
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
                return r;
        }
        r = publication_prepare(publication, &error);
        if (r < 0) {
                client_status(client, STATUS_ERROR, NULL, "topic '%s': %s", publication->topic,
                              error.text);
                publication_end(client, publication);
        }
        return r;
}

void client_publish(struct client *client, uint32_t id, const uint8_t *message, size_t bytes) {
        struct publication *publication = find(client, id);
        struct slipring_error error = {0};
        const void *payload;
        int r;

        if (!publication) {
                client_status(client, STATUS_ERROR, NULL,
                              "client channel %" PRIu32 " is not there: advertise it first", id);
                return;
        }
        r = cdr_read(publication->cdr, message, bytes, publication->room, &payload, &error);
        if (r < 0) {
                client_status(client, STATUS_ERROR, NULL, "topic '%s': %s", publication->topic,
                              error.text);
                return;
        }
        bytes = slipring_publisher_type(publication->publisher)->payload_bytes;
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
