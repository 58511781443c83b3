/*
 * Any bytes as a text message of a viewer: the parser must end, leak nothing, and read nothing
 * beyond them; what it takes stays within its bounds.
 */

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "subscribers/view/request.h"

#define CHECK(condition)                                                                           \
        do {                                                                                       \
                if (!(condition)) {                                                                \
                        abort();                                                                   \
                }                                                                                  \
        } while (0)

static void check_request(const struct request *request) {
        CHECK(*request->op && strlen(request->op) < sizeof(request->op));
        CHECK(request->subscription_count <= REQUEST_SUBSCRIPTIONS_MAX);
        CHECK(request->id_count <= REQUEST_SUBSCRIPTIONS_MAX);
        CHECK(request->channel_count <= REQUEST_CHANNELS_MAX);
        for (size_t i = 0; i < request->channel_count; i++) {
                const struct request_channel *channel = &request->channels[i];

                CHECK(memchr(channel->topic, '\0', sizeof(channel->topic)));
                CHECK(memchr(channel->encoding, '\0', sizeof(channel->encoding)));
                CHECK(memchr(channel->schema_name, '\0', sizeof(channel->schema_name)));
        }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes) {
        struct slipring_error error = {0};
        struct request request;
        /* Of its own size, so that a byte too far is seen. */
        char *text = malloc(bytes ? bytes : 1);
        int r;

        CHECK(text);
        memcpy(text, data, bytes);
        r = request_parse(&request, text, bytes, &error);
        CHECK(r == 0 || r == -EINVAL || r == -E2BIG);
        CHECK((r == 0) == (error.text[0] == '\0'));
        if (r == 0) {
                check_request(&request);
                request_free(&request);
        }
        free(text);
        return 0;
}
