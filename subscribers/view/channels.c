/*
 * The topics of a bus as channels.
 *
 * A topic is attached for a moment to read its type, and again when somebody subscribes; then one
 * handle serves all subscriptions. After a sample was handed to them the handle leaves the wait set
 * until the next one may be sent, so that the publisher is asked for no more wake-ups than
 * --max-rate.
 */

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "bus/error.h"
#include "bus/topic.h"
#include "subscribers/look.h"
#include "subscribers/selection.h"
#include "subscribers/subscriber.h"
#include "bus/cdr.h"
#include "subscribers/view/server.h"

#define READY_MAX 64

struct channel *channels_find(struct server *server, uint32_t id) {
        for (size_t i = 0; i < server->channel_count; i++) {
                if (id && server->channels[i]->id == id) {
                        return server->channels[i];
                }
        }
        return NULL;
}

/*
 * Watching
 */

static void stop_watching(struct server *server, struct channel *channel) {
        if (channel->watched) {
                (void) slipring_waitset_remove(server->waitset, channel->subscriber);
                channel->watched = false;
        }
}

static void close_channel(struct server *server, struct channel *channel) {
        stop_watching(server, channel);
        channel->subscriber = slipring_subscriber_close(channel->subscriber);
        channel->cdr = cdr_free(channel->cdr);
        free(channel->sample);
        channel->sample = NULL;
}

/* The handle's own place follows the ring, so that it waits for what is newer; finding nothing is
 * what arms the wait anew. The readers of the subscriptions find the samples themselves. */
static int catch_up(struct channel *channel) {
        struct slipring_sample sample;
        int r = 1;

        for (int tries = 0; tries < 3 && r == 1; tries++) {
                r = slipring_subscriber_borrow_newest(channel->subscriber, &sample);
                if (r == 1 && slipring_subscriber_release(channel->subscriber) < 0) {
                        /* Overwritten meanwhile; the set has it ready still. */
                        return 0;
                }
        }
        return r;
}

static void tell_corrupt(struct channel *channel) {
        for (size_t i = 0; i < channel->subscription_count; i++) {
                client_status(channel->subscriptions[i]->client, STATUS_ERROR, NULL,
                              "topic '%s': its shared memory contradicts itself",
                              channel->entry.name);
        }
}

static uint64_t period_ns(const struct server *server) {
        return server->options->every ? 0 : (uint64_t) (1e9 / server->options->max_rate_hz);
}

static void hand_out(struct server *server, struct channel *channel) {
        uint64_t now = slipring_now_ns(), period = period_ns(server);

        for (size_t i = 0; i < channel->subscription_count; i++) {
                channel->subscriptions[i]->pending = true;
                lws_callback_on_writable(channel->subscriptions[i]->client->wsi);
        }
        if (period > 0) {
                /* On a grid, or being late each time would make the mean less than the rate. */
                channel->due_ns =
                        channel->due_ns + period > now ? channel->due_ns + period : now + period;
                server_schedule(server, channel->due_ns);
        }
}

/* Wait for the next sample from now on; at once if there is one. */
static void watch(struct server *server, struct channel *channel) {
        if (!channel->watched && slipring_waitset_add(server->waitset, channel->subscriber) == 0) {
                channel->watched = true;
        }
}

static struct channel *channel_of(struct server *server, const struct slipring_subscriber *handle) {
        for (size_t i = 0; i < server->channel_count; i++) {
                if (server->channels[i]->subscriber == handle) {
                        return server->channels[i];
                }
        }
        return NULL;
}

/* Those whose time has come are watched again; the timer goes on for the others. */
void channels_due(struct server *server) {
        uint64_t now = slipring_now_ns(), soonest = UINT64_MAX;

        for (size_t i = 0; i < server->channel_count; i++) {
                struct channel *channel = server->channels[i];

                if (!channel->subscriber || channel->watched) {
                        continue;
                }
                if (channel->due_ns <= now) {
                        watch(server, channel);
                } else if (channel->due_ns < soonest) {
                        soonest = channel->due_ns;
                }
        }
        if (soonest != UINT64_MAX) {
                server_schedule(server, soonest);
        }
}

static void retire(struct server *server, struct channel *channel) {
        stop_watching(server, channel);
        channel->due_ns = UINT64_MAX;
}

void channels_ready(struct server *server) {
        struct slipring_subscriber *handles[READY_MAX];
        bool retired = false;
        int count, r;

        count = slipring_waitset_ready(server->waitset, handles, READY_MAX);
        for (int i = 0; i < count; i++) {
                struct channel *channel = channel_of(server, handles[i]);

                if (!channel) {
                        continue;
                }
                if (period_ns(server) > 0) {
                        /* Before it catches up, or that would arm a wait that nobody is for. */
                        stop_watching(server, channel);
                }
                r = catch_up(channel);
                hand_out(server, channel);
                /* These two would be ready for ever. The manager makes a successor of either. */
                if (r == -EBADMSG) {
                        tell_corrupt(channel);
                        retire(server, channel);
                } else if (ring_retired(&handles[i]->reader.ring)) {
                        retire(server, channel);
                        retired = true;
                }
        }
        if (retired) {
                channels_sync(server);
        }
}

/*
 * Subscribing
 */

static int
open_channel(struct server *server, struct channel *channel, struct slipring_error *reterr) {
        struct slipring_subscriber_options options = {
                .size = sizeof(options),
                .start = SLIPRING_START_NEXT,
                .bus = server->options->bus,
        };
        int r;

        r = slipring_subscriber_open(&channel->subscriber, channel->entry.name, &options, reterr);
        if (r < 0) {
                return r;
        }
        if (channel->subscriber->topic.entry.data_id != channel->entry.data_id) {
                close_channel(server, channel);
                return error_set(reterr, -EIDRM, "topic '%s' is being replaced",
                                 channel->entry.name);
        }
        r = cdr_compile(&channel->cdr, &channel->subscriber->topic.header.type, reterr);
        if (r == 0 && !cdr_is_flat(channel->cdr)) {
                channel->sample = malloc(channel->entry.payload_bytes);
                r = channel->sample ? 0 : error_set(reterr, -ENOMEM, "no memory for a sample");
        }
        if (r < 0) {
                close_channel(server, channel);
                return r;
        }
        channel->due_ns = 0;
        watch(server, channel);
        return 0;
}

int channel_subscribe(struct server *server,
                      struct channel *channel,
                      struct subscription *subscription,
                      struct slipring_error *reterr) {
        struct subscription **larger;
        int r;

        larger = reallocarray(channel->subscriptions, channel->subscription_count + 1,
                              sizeof(*larger));
        if (!larger) {
                return error_set(reterr, -ENOMEM, "no memory for a subscription");
        }
        channel->subscriptions = larger;
        if (!channel->subscriber) {
                r = open_channel(server, channel, reterr);
                if (r < 0) {
                        return r;
                }
        }
        subscription->channel = channel;
        subscription->reader = (struct ring_reader){.ring = channel->subscriber->reader.ring};
        ring_reader_start(&subscription->reader, SLIPRING_START_NEWEST);
        subscription->pending = true;
        channel->subscriptions[channel->subscription_count++] = subscription;
        return 0;
}

void channel_unsubscribe(struct server *server, struct subscription *subscription) {
        struct channel *channel = subscription->channel;
        size_t i = 0;

        while (channel->subscriptions[i] != subscription) {
                i++;
        }
        channel->subscriptions[i] = channel->subscriptions[--channel->subscription_count];
        if (channel->subscription_count == 0) {
                close_channel(server, channel);
        }
}

/*
 * The directory
 */

static void channel_free(struct server *server, struct channel *channel) {
        /* Clients let go of it first. */
        close_channel(server, channel);
        free(channel->subscriptions);
        free(channel->text);
        text_free(&channel->units);
        free(channel);
}

static void channel_remove(struct server *server, size_t index) {
        struct channel *channel = server->channels[index];

        for (struct client *client = server->clients; client; client = client->next) {
                client_drop_channel(client, channel);
        }
        channel_free(server, channel);
        memmove(&server->channels[index], &server->channels[index + 1],
                (--server->channel_count - index) * sizeof(*server->channels));
}

/* The units of fields, by their paths with dots and without indices, which the type's text has not.
 */
static void
add_unit(void *userdata, const char *path, const struct slipring_field *field, bool element) {
        struct text *units = userdata;

        if (!element && *field->unit && field->kind != SLIPRING_KIND_STRING) {
                text_add(units, units->used ? "," : "");
                text_quote(units, path);
                text_add(units, ":");
                text_quote(units, field->unit);
        }
}

/* NULL if there is no memory. A topic that cannot be read is kept without an id, so that it is not
 * tried again at each look. */
static struct channel *channel_new(struct server *server, const struct layout_entry *entry) {
        struct channel *channel = calloc(1, sizeof(*channel));
        struct topic topic = TOPIC_NONE;
        int r;

        if (!channel) {
                return NULL;
        }
        channel->entry = *entry;
        r = topic_attach(&topic, entry, false, NULL);
        if (r == 0) {
                channel->text = strdup(topic.header.type.text);
                if (selection_paths(&topic.header.type, add_unit, &channel->units) < 0) {
                        channel->units.failed = true;
                }
                channel->id = channel->text ? ++server->last_id : 0;
                topic_detach(&topic);
        } else if (r == -EIDRM) {
                /* Gone meanwhile; the next table says so. */
                free(channel);
                return NULL;
        }
        return channel;
}

static bool same(const struct channel *channel, const struct layout_entry *entry) {
        return channel->entry.data_id == entry->data_id &&
               channel->entry.generation == entry->generation;
}

static void drop_gone(struct server *server) {
        for (size_t i = server->channel_count; i-- > 0;) {
                const struct layout_entry *entry =
                        directory_find(&server->table, server->channels[i]->entry.name);

                if (!entry || !same(server->channels[i], entry)) {
                        channel_remove(server, i);
                }
        }
}

static bool known(const struct server *server, const struct layout_entry *entry) {
        for (size_t i = 0; i < server->channel_count; i++) {
                if (!strcmp(server->channels[i]->entry.name, entry->name)) {
                        return true;
                }
        }
        return false;
}

static void add_new(struct server *server) {
        for (uint32_t i = 0; i < server->table.count; i++) {
                const struct layout_entry *entry = &server->table.entries[i];
                struct channel **larger, *channel;

                if (entry->kind != LAYOUT_ENTRY_TOPIC || entry->state != LAYOUT_ENTRY_SERVING ||
                    known(server, entry)) {
                        continue;
                }
                larger = reallocarray(server->channels, server->channel_count + 1, sizeof(*larger));
                if (!larger) {
                        return;
                }
                server->channels = larger;
                channel = channel_new(server, entry);
                if (channel) {
                        server->channels[server->channel_count++] = channel;
                }
        }
}

static void all_gone(struct server *server) {
        while (server->channel_count > 0) {
                channel_remove(server, server->channel_count - 1);
        }
        server->generation = 0;
}

static void bus_lost(struct server *server) {
        all_gone(server);
        directory_detach(&server->directory);
        server->directory = (struct directory){.segment = SEGMENT_NONE};
        server->up = false;
        for (struct client *client = server->clients; client; client = client->next) {
                client_status(client, STATUS_ERROR, "bus",
                              "bus '%s' was taken down; its topics come back once it is up again",
                              server->options->bus);
        }
}

static bool bus_found(struct server *server) {
        if (!directory_locate_up(&server->directory, server->options->bus)) {
                return false;
        }
        server->up = true;
        for (struct client *client = server->clients; client; client = client->next) {
                client_remove_status(client, "bus");
        }
        return true;
}

void channels_sync(struct server *server) {
        if (server->up && ring_retired(&server->directory.ring)) {
                bus_lost(server);
        }
        if (!server->up && !bus_found(server)) {
                return;
        }
        if (directory_read(&server->directory, &server->table, NULL) < 0 ||
            (server->table.table->instance == server->instance &&
             server->table.table->generation == server->generation)) {
                return;
        }
        drop_gone(server);
        add_new(server);
        server->instance = server->table.table->instance;
        server->generation = server->table.table->generation;
        for (struct client *client = server->clients; client; client = client->next) {
                lws_callback_on_writable(client->wsi);
        }
}

/*
 * Looking
 */

static void tell_stale(struct subscription *subscription,
                       const struct slipring_subscriber_info *info) {
        const struct channel *channel = subscription->channel;
        char id[SLIPRING_TOPIC_NAME_MAX + 16];

        if (subscription->stale == info->stale) {
                return;
        }
        subscription->stale = info->stale;
        snprintf(id, sizeof(id), "stale/%s", channel->entry.name);
        if (!info->stale) {
                client_remove_status(subscription->client, id);
        } else if (info->age_ns == UINT64_MAX) {
                client_status(subscription->client, STATUS_WARNING, id,
                              "topic '%s' is stale: there is no sample yet", channel->entry.name);
        } else {
                client_status(subscription->client, STATUS_WARNING, id,
                              "topic '%s' is stale: its newest sample is older than its deadline, "
                              "%.3g s",
                              channel->entry.name, (double) info->deadline_ns / 1e9);
        }
}

static void look_open(struct channel *channel) {
        struct slipring_subscriber_info info;

        if (channel->subscriber && slipring_subscriber_info(channel->subscriber, &info) == 0) {
                for (size_t i = 0; i < channel->subscription_count; i++) {
                        tell_stale(channel->subscriptions[i], &info);
                        /* Of the last ones, after which no sample came. */
                        client_drops(channel->subscriptions[i], 0);
                }
        }
}

static void look_graph(struct server *server, struct channel *channel) {
        struct look look;
        uint32_t publishers, readers;

        if (channel->id == 0 || look_at(&look, &channel->entry, NULL) < 0) {
                return;
        }
        /* The manager's and the publishers' attachments are none of readers. */
        readers = look.attached > 1 + look.publishers ? look.attached - 1 - look.publishers : 0;
        publishers =
                look.publishers < VIEWER_GRAPH_IDS_MAX ? look.publishers : VIEWER_GRAPH_IDS_MAX;
        readers = readers < VIEWER_GRAPH_IDS_MAX ? readers : VIEWER_GRAPH_IDS_MAX;
        if (channel->graph_version && look.publisher_pid == channel->publisher_pid &&
            publishers == channel->publishers && readers == channel->readers) {
                return;
        }
        channel->publisher_pid = look.publisher_pid;
        channel->publishers = publishers;
        channel->readers = readers;
        channel->graph_version = server->graph_version;
}

void channels_look(struct server *server) {
        bool graph = false;

        for (struct client *client = server->clients; client; client = client->next) {
                graph = graph || client->graph;
        }
        server->graph_version++;
        for (size_t i = 0; i < server->channel_count; i++) {
                look_open(server->channels[i]);
                if (graph) {
                        look_graph(server, server->channels[i]);
                }
        }
        for (struct client *client = server->clients; client; client = client->next) {
                client_graph(client);
        }
}

void channels_free(struct server *server) {
        all_gone(server);
        free(server->channels);
        directory_detach(&server->directory);
        directory_table_free(&server->table);
}
