/*
 * Any frames from a viewer, while it is sent what it asked for: requests, messages that it
 * publishes, pieces of both.
 *
 * The server's parts for one client, over a real bus in an IPC namespace of this process's own;
 * what the WebSocket library does stands here. The bus: a topic that may be published to, one that
 * another publisher holds, and one of images. An input is a row of steps, a byte that says what
 * and, where it is a frame, 2 bytes of length and its bytes. Whatever comes, the topic of the other
 * publisher gets no sample, what is published has booleans of 0 or 1, what the client is sent is
 * whole, and once it is gone nothing is left of it.
 */

#include <stdint.h>
#include <string.h>
#include <unistd.h>

#include "bus/registry.h"
#include "subscribers/subscriber.h"
#include "subscribers/view/server.h"
#include "tests/fuzz/namespace.h"

#define BUS "fuzz"
#define TOPICS 3u
#define WRITES_MAX 200

enum step { STEP_WRITABLE, STEP_READY, STEP_LOOK, STEP_TEXT, STEP_BINARY, STEP_COUNT };
/* Of a frame. */
#define STEP_MORE_FRAMES 0x40u
#define STEP_MORE_BYTES 0x80u

static const struct slipring_field fields[] = {
        {"x", "m", SLIPRING_KIND_FLOAT64, 0, 0, 8, 0, 0},
        {"flags", "", SLIPRING_KIND_BOOL, 3, 8, 1, 0, 0},
        {"pad0", "", SLIPRING_KIND_UINT8, 5, 11, 1, 0, 0},
};
static const struct slipring_field image_fields[] = {
        {"data", "", SLIPRING_KIND_UINT8, 100000, 0, 1, 0, 0},
};
static const struct slipring_type types[] = {
        {
                .version = SLIPRING_TYPE_VERSION,
                .payload_bytes = 16,
                .field_count = 3,
                .root_count = 3,
                .name = "fuzz_msgs/msg/Pose",
                .text = "float64 x\nbool[3] flags\nuint8[5] pad0\n",
                .fields = fields,
        },
        {
                .version = SLIPRING_TYPE_VERSION,
                .payload_bytes = 100000,
                .field_count = 1,
                .root_count = 1,
                .name = "fuzz_msgs/msg/Image",
                .text = "uint8[100000] data\n",
                .fields = image_fields,
        },
};
static const char *const names[TOPICS] = {"free", "held", "image"};

static const struct viewer_options options[] = {
        {.bus = BUS, .max_rate_hz = 1e6},
        {.bus = BUS, .every = true},
};
static struct server server;
static struct slipring_publisher *holder;
static struct slipring_subscriber *readers[TOPICS];

/* What the library knows of the frame. */
static bool binary, first, final, wants_to_write;
static size_t remaining;

/* --- the library --- */

int lws_frame_is_binary(struct lws *wsi) {
        return binary;
}

int lws_is_first_fragment(struct lws *wsi) {
        return first;
}

int lws_is_final_fragment(struct lws *wsi) {
        return final;
}

size_t lws_remaining_packet_payload(struct lws *wsi) {
        return remaining;
}

int lws_callback_on_writable(struct lws *wsi) {
        wants_to_write = true;
        return 1;
}

const char *lws_get_peer_simple(struct lws *wsi, char *name, size_t room) {
        (void) snprintf(name, room, "192.0.2.1");
        return name;
}

void lws_set_timeout(struct lws *wsi, enum pending_timeout reason, int seconds) {
}

void lws_close_reason(struct lws *wsi,
                      enum lws_close_status code,
                      unsigned char *reason,
                      size_t bytes) {
        CHECK(bytes > 0 && bytes <= 123);
}

int lws_write(struct lws *wsi, unsigned char *data, size_t bytes, enum lws_write_protocol how) {
        uint64_t sum = 0;

        /* It writes a frame's head before them. */
        memset(data - LWS_PRE, 0, LWS_PRE);
        for (size_t i = 0; i < bytes; i++) {
                CHECK(how != LWS_WRITE_TEXT || data[i] >= 0x20);
                sum += data[i];
        }
        if (how == LWS_WRITE_TEXT) {
                CHECK(bytes > 8 && !memcmp(data, "{\"op\":\"", 7) && data[bytes - 1] == '}');
        } else {
                CHECK(bytes >= 17 && data[0] == 1 && sum > 0);
        }
        return (int) bytes;
}

/* --- the rest of the server --- */

void server_note(struct server *noting, const struct client *client, const char *text) {
        CHECK(noting == &server && *text);
}

void server_schedule(struct server *scheduling, uint64_t due_ns) {
        CHECK(scheduling == &server);
}

uint8_t *server_buffer(struct server *sending, size_t bytes) {
        static uint8_t *buffer;
        size_t before = (LWS_PRE + 32 + 63) / 64 * 64;

        /* Of its own size, so that a byte too far is seen. */
        free(buffer);
        buffer = malloc(before + bytes);
        CHECK(buffer);
        return buffer + before;
}

/* --- the bus --- */

static void bus_make(void) {
        struct topic_spec specs[TOPICS];
        /* Not looked at again, and not lost either. */
        static struct registry *registry;
        const struct slipring_publisher_options publishing = {.size = sizeof(publishing),
                                                              .bus = BUS};
        const struct slipring_subscriber_options reading = {.size = sizeof(reading), .bus = BUS};
        static const uint8_t payload[16];

        for (unsigned i = 0; i < TOPICS; i++) {
                specs[i] = (struct topic_spec){
                        .name = names[i],
                        .description = "",
                        .type = &types[i / 2],
                        .depth = 4,
                        .waiters = 64,
                        .uid = geteuid(),
                        .gid = getegid(),
                        .mode = 0644,
                        .deadline_ns = 1000,
                };
        }
        CHECK(registry_open(&registry, BUS, NULL) == 0);
        CHECK(registry_apply(registry, specs, TOPICS, NULL, NULL, NULL) == 0);
        CHECK(slipring_publisher_open(&holder, "held", &publishing, NULL) == 0);
        CHECK(slipring_publisher_publish(holder, payload, sizeof(payload), 0) == 0);
        for (unsigned i = 0; i < TOPICS; i++) {
                CHECK(slipring_subscriber_open(&readers[i], names[i], &reading, NULL) == 0);
        }
        server.options = &options[0];
        CHECK(directory_locate(&server.directory, BUS, NULL) == 0);
        server.up = true;
        CHECK(slipring_waitset_new(&server.waitset, NULL) == 0);
        channels_sync(&server);
        CHECK(server.channel_count == TOPICS);
}

static void check_bus(void) {
        struct slipring_subscriber_info info;
        struct slipring_sample sample;
        struct slipring_publisher *publisher = NULL;
        const struct slipring_publisher_options publishing = {.size = sizeof(publishing),
                                                              .bus = BUS};

        CHECK(slipring_subscriber_info(readers[1], &info) == 0 && info.sequence == 1);
        while (slipring_subscriber_borrow(readers[0], &sample) == 1) {
                const uint8_t *payload = sample.payload;

                CHECK(sample.payload_bytes == 16);
                for (unsigned i = 8; i < 16; i++) {
                        CHECK(payload[i] <= (i < 11));
                }
                CHECK(slipring_subscriber_release(readers[0]) == 0);
        }
        /* Nobody holds it any more. */
        CHECK(slipring_publisher_open(&publisher, "free", &publishing, NULL) == 0);
        slipring_publisher_close(publisher);
        CHECK(!server.clients);
        for (size_t i = 0; i < server.channel_count; i++) {
                CHECK(server.channels[i]->subscription_count == 0);
                CHECK(!server.channels[i]->subscriber && !server.channels[i]->watched);
        }
}

/* --- a client --- */

/* Returns false once the connection is to be ended. */
static bool write_all(struct client *client) {
        for (int i = 0; i < WRITES_MAX && wants_to_write; i++) {
                wants_to_write = false;
                if (client_writable(client) < 0) {
                        return false;
                }
        }
        return true;
}

static bool receive(struct client *client, uint8_t what, const uint8_t **data, size_t *bytes) {
        size_t length;
        uint8_t *frame;
        int r;

        if (*bytes < 2) {
                return false;
        }
        length = (size_t) ((*data)[0] | (*data)[1] << 8);
        *data += 2;
        *bytes -= 2;
        length = length < *bytes ? length : *bytes;
        /* Of its own size, too. */
        frame = malloc(length ? length : 1);
        CHECK(frame);
        memcpy(frame, *data, length);
        *data += length;
        *bytes -= length;
        /* Fragments are of their first one's kind. */
        if (first) {
                binary = what % STEP_COUNT == STEP_BINARY;
        }
        final = !(what & STEP_MORE_FRAMES);
        remaining = what & STEP_MORE_BYTES ? length * 65536 + 1 : 0;
        r = client_receive(client, frame, length);
        first = final && remaining == 0;
        free(frame);
        return r == 0;
}

static bool go(struct client *client, const uint8_t **data, size_t *bytes) {
        uint8_t what = *(*data)++;

        (*bytes)--;
        switch (what % STEP_COUNT) {
        case STEP_WRITABLE:
                return write_all(client);
        case STEP_READY:
                channels_due(&server);
                channels_ready(&server);
                return true;
        case STEP_LOOK:
                channels_sync(&server);
                channels_look(&server);
                return true;
        default:
                return receive(client, what, data, bytes);
        }
}

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

int LLVMFuzzerInitialize(int *argc, char ***argv) {
        namespace_enter();
        bus_make();
        return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes) {
        struct client *client = calloc(1, sizeof(*client));

        CHECK(client);
        if (bytes > 0) {
                server.options = &options[data[0] & 1];
                data++;
                bytes--;
        }
        first = true;
        wants_to_write = false;
        client_open(client, &server, NULL);
        while (bytes > 0 && go(client, &data, &bytes)) {
        }
        (void) write_all(client);
        client_close(client);
        free(client);
        check_bus();
        return 0;
}
