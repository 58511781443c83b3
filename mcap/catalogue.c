#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "mcap/catalogue.h"

/* A name: without a NUL that would hide the rest of it. 0, -EBADMSG or -ENOMEM. */
static int name_read(char **ret_name, struct mcap_text text) {
        if (memchr(text.data, '\0', text.bytes)) {
                return -EBADMSG;
        }
        *ret_name = strndup((const char *) text.data, text.bytes);
        return *ret_name ? 0 : -ENOMEM;
}

static bool grow(void **array, size_t count, size_t *room, size_t each) {
        size_t more = *room ? 2 * *room : 16;
        void *larger;

        if (count < *room) {
                return true;
        }
        larger = reallocarray(*array, more, each);
        if (!larger) {
                return false;
        }
        *array = larger;
        *room = more;
        return true;
}

static bool places_reserve(struct mcap_places *places, uint16_t id) {
        size_t room = places->room ? places->room : 16;
        uint32_t *larger;

        if (id < places->room) {
                return true;
        }
        while (room <= id) {
                room *= 2;
        }
        larger = reallocarray(places->at, room, sizeof(*larger));
        if (!larger) {
                return false;
        }
        memset(larger + places->room, 0, (room - places->room) * sizeof(*larger));
        *places = (struct mcap_places){.at = larger, .room = room};
        return true;
}

static uint32_t place_of(const struct mcap_places *places, uint16_t id) {
        return id < places->room ? places->at[id] : 0;
}

static void schema_free(struct mcap_schema *schema) {
        free(schema->name);
        free(schema->encoding);
        free(schema->content);
}

static void channel_free(struct mcap_channel *channel) {
        free(channel->topic);
        free(channel->encoding);
        free(channel->content);
}

/* A copy of the content, with a byte even if there is none. */
static uint8_t *content_of(const void *content, size_t bytes) {
        uint8_t *copy = malloc(bytes ? bytes : 1);

        if (copy && bytes) {
                memcpy(copy, content, bytes);
        }
        return copy;
}

static int schema_read(struct mcap_schema *ret_schema, const void *content, size_t bytes) {
        struct mcap_schema schema = {.content = content_of(content, bytes), .content_bytes = bytes};
        struct mcap_text name, encoding, data;
        struct mcap_cursor cursor;
        int r;

        if (!schema.content) {
                return -ENOMEM;
        }
        cursor = mcap_cursor_over(schema.content, bytes);
        schema.id = mcap_get_u16(&cursor);
        name = mcap_get_text(&cursor);
        encoding = mcap_get_text(&cursor);
        data = mcap_get_text(&cursor);
        schema.data = data.data;
        schema.data_bytes = data.bytes;
        r = cursor.failed || schema.id == 0 ? -EBADMSG : name_read(&schema.name, name);
        if (r == 0) {
                r = name_read(&schema.encoding, encoding);
        }
        if (r < 0) {
                schema_free(&schema);
                return r;
        }
        *ret_schema = schema;
        return 0;
}

static int channel_read(struct mcap_channel *ret_channel, const void *content, size_t bytes) {
        struct mcap_channel channel = {.content = content_of(content, bytes),
                                       .content_bytes = bytes};
        struct mcap_text topic, encoding, metadata;
        struct mcap_cursor cursor;
        int r;

        if (!channel.content) {
                return -ENOMEM;
        }
        cursor = mcap_cursor_over(channel.content, bytes);
        channel.id = mcap_get_u16(&cursor);
        channel.schema_id = mcap_get_u16(&cursor);
        topic = mcap_get_text(&cursor);
        encoding = mcap_get_text(&cursor);
        metadata = mcap_get_text(&cursor);
        channel.metadata = metadata.data;
        channel.metadata_bytes = metadata.bytes;
        r = cursor.failed || !mcap_map_holds(metadata) ? -EBADMSG
                                                       : name_read(&channel.topic, topic);
        if (r == 0) {
                r = name_read(&channel.encoding, encoding);
        }
        if (r < 0) {
                channel_free(&channel);
                return r;
        }
        *ret_channel = channel;
        return 0;
}

int mcap_catalogue_schema(struct mcap_catalogue *catalogue, const void *content, size_t bytes) {
        const struct mcap_schema *old;
        struct mcap_schema schema;
        int r;

        r = schema_read(&schema, content, bytes);
        if (r < 0) {
                return r;
        }
        old = mcap_schema_find(catalogue, schema.id);
        if (old) {
                r = old->content_bytes == bytes &&
                                    (bytes == 0 || memcmp(old->content, schema.content, bytes) == 0)
                            ? 0
                            : -EEXIST;
                schema_free(&schema);
                return r;
        }
        if (!places_reserve(&catalogue->schema_of, schema.id) ||
            !grow((void **) &catalogue->schemas, catalogue->schema_count, &catalogue->schema_room,
                  sizeof(schema))) {
                schema_free(&schema);
                return -ENOMEM;
        }
        catalogue->schemas[catalogue->schema_count++] = schema;
        catalogue->schema_of.at[schema.id] = (uint32_t) catalogue->schema_count;
        catalogue->record_bytes += MCAP_RECORD_HEAD_BYTES + bytes;
        return 1;
}

int mcap_catalogue_channel(struct mcap_catalogue *catalogue, const void *content, size_t bytes) {
        const struct mcap_channel *old;
        struct mcap_channel channel;
        int r;

        r = channel_read(&channel, content, bytes);
        if (r < 0) {
                return r;
        }
        old = mcap_channel_find(catalogue, channel.id);
        if (old) {
                /* Maps of metadata may come in another order. */
                r = old->schema_id == channel.schema_id && strcmp(old->topic, channel.topic) == 0 &&
                                    strcmp(old->encoding, channel.encoding) == 0
                            ? 0
                            : -EEXIST;
                channel_free(&channel);
                return r;
        }
        if (!places_reserve(&catalogue->channel_of, channel.id) ||
            !grow((void **) &catalogue->channels, catalogue->channel_count,
                  &catalogue->channel_room, sizeof(channel))) {
                channel_free(&channel);
                return -ENOMEM;
        }
        catalogue->channels[catalogue->channel_count++] = channel;
        catalogue->channel_of.at[channel.id] = (uint32_t) catalogue->channel_count;
        catalogue->record_bytes += MCAP_RECORD_HEAD_BYTES + bytes;
        return 1;
}

struct mcap_schema *mcap_schema_find(const struct mcap_catalogue *catalogue, uint16_t id) {
        uint32_t place = place_of(&catalogue->schema_of, id);

        return place ? &catalogue->schemas[place - 1] : NULL;
}

struct mcap_channel *mcap_channel_find(const struct mcap_catalogue *catalogue, uint16_t id) {
        uint32_t place = place_of(&catalogue->channel_of, id);

        return place ? &catalogue->channels[place - 1] : NULL;
}

bool mcap_channel_metadata(const struct mcap_channel *channel,
                           const char *key,
                           struct mcap_text *ret_value) {
        struct mcap_cursor cursor = mcap_cursor_over(channel->metadata, channel->metadata_bytes);
        struct mcap_text name, value;

        while (mcap_get_pair(&cursor, &name, &value)) {
                if (mcap_text_is(name, key)) {
                        *ret_value = value;
                        return true;
                }
        }
        return false;
}

static void put_record(struct mcap_buffer *buffer,
                       enum mcap_opcode opcode,
                       const uint8_t *content,
                       size_t bytes) {
        size_t begun = mcap_record_begin(buffer, opcode);

        mcap_put(buffer, content, bytes);
        mcap_record_end(buffer, begun);
}

void mcap_catalogue_put_schemas(const struct mcap_catalogue *catalogue,
                                struct mcap_buffer *buffer) {
        size_t i;

        for (i = 0; i < catalogue->schema_count; i++) {
                put_record(buffer, MCAP_SCHEMA, catalogue->schemas[i].content,
                           catalogue->schemas[i].content_bytes);
        }
}

void mcap_catalogue_put_channels(const struct mcap_catalogue *catalogue,
                                 struct mcap_buffer *buffer) {
        size_t i;

        for (i = 0; i < catalogue->channel_count; i++) {
                put_record(buffer, MCAP_CHANNEL, catalogue->channels[i].content,
                           catalogue->channels[i].content_bytes);
        }
}

void mcap_catalogue_free(struct mcap_catalogue *catalogue) {
        size_t i;

        for (i = 0; i < catalogue->schema_count; i++) {
                schema_free(&catalogue->schemas[i]);
        }
        for (i = 0; i < catalogue->channel_count; i++) {
                channel_free(&catalogue->channels[i]);
        }
        free(catalogue->schemas);
        free(catalogue->channels);
        free(catalogue->schema_of.at);
        free(catalogue->channel_of.at);
        *catalogue = (struct mcap_catalogue){0};
}
