#ifndef SLIPRING_SUBSCRIBERS_VIEW_REQUEST_H
#define SLIPRING_SUBSCRIBERS_VIEW_REQUEST_H

#include <stddef.h>
#include <stdint.h>

#include <slipring/sample.h>
#include <slipring/type.h>

/* What one message may ask for. */
#define REQUEST_SUBSCRIPTIONS_MAX 4096u
#define REQUEST_CHANNELS_MAX 64u

struct request_subscription {
        uint32_t id;
        uint32_t channel;
};

/* A channel that a client wants to publish on. What is longer than its place is cut, and then no
 * name of anything. */
struct request_channel {
        uint32_t id;
        char topic[SLIPRING_TOPIC_NAME_MAX + 3];
        char encoding[16];
        char schema_name[SLIPRING_TYPE_NAME_MAX + 2];
};

/* A text message of a client. Members that this program does not know are passed over. */
struct request {
        char op[40];
        struct request_subscription *subscriptions;
        size_t subscription_count;
        uint32_t *ids; /* of subscriptions or channels */
        size_t id_count;
        struct request_channel *channels;
        size_t channel_count;
};

/*
 * request_parse() - read a text message
 * @ret_request:        set on success, to be ended with request_free()
 * @text:               any bytes
 *
 * Return: 0, -EINVAL if it is no JSON object with an "op" or a member is not what it has to be
 * (@reterr says at which byte), -E2BIG if it asks for more than one message may, -ENOMEM.
 */
int request_parse(struct request *ret_request,
                  const char *text,
                  size_t bytes,
                  struct slipring_error *reterr);

void request_free(struct request *request);

#endif
