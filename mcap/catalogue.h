#ifndef SLIPRING_MCAP_CATALOGUE_H
#define SLIPRING_MCAP_CATALOGUE_H

#include "mcap/format.h"

/*
 * The schemas and channels of a file, by number and in the order in which they came. Each keeps the
 * content of its record, so that an index says again exactly what the file said.
 */

struct mcap_schema {
        uint16_t id; /* from 1 */
        char *name;
        char *encoding;      /* of the schema: "ros2msg" */
        const uint8_t *data; /* its text, without a NUL */
        size_t data_bytes;
        uint8_t *content;
        size_t content_bytes;
};

struct mcap_channel {
        uint16_t id;
        uint16_t schema_id; /* 0: none */
        char *topic;
        char *encoding;          /* of the messages: "cdr" */
        const uint8_t *metadata; /* pairs of strings; see mcap_channel_metadata() */
        size_t metadata_bytes;
        uint64_t message_count; /* in the file */
        uint8_t *content;
        size_t content_bytes;
};

/* Places in an array by number. Most files have small numbers, and many files may be open. */
struct mcap_places {
        uint32_t *at; /* plus 1; 0: there is none */
        size_t room;
};

struct mcap_catalogue {
        struct mcap_schema *schemas;
        struct mcap_channel *channels;
        size_t schema_count;
        size_t channel_count;
        size_t schema_room;
        size_t channel_room;
        uint64_t record_bytes; /* of all records together */
        struct mcap_places schema_of;
        struct mcap_places channel_of;
};

/* Adds what a Schema record holds. What is there already with the same content is no news.
 * Return: 1 if it is new, 0 if not, -EBADMSG: not a schema; -EEXIST: another one has its number;
 * -ENOMEM. */
int mcap_catalogue_schema(struct mcap_catalogue *catalogue, const void *content, size_t bytes);
int mcap_catalogue_channel(struct mcap_catalogue *catalogue, const void *content, size_t bytes);

/* NULL: there is none. Valid until the next one is added. */
struct mcap_schema *mcap_schema_find(const struct mcap_catalogue *catalogue, uint16_t id);
struct mcap_channel *mcap_channel_find(const struct mcap_catalogue *catalogue, uint16_t id);

/* The value of a channel's metadata; false: it has none of that name. */
bool mcap_channel_metadata(const struct mcap_channel *channel,
                           const char *key,
                           struct mcap_text *ret_value);

/* The records again, as they came. */
void mcap_catalogue_put_schemas(const struct mcap_catalogue *catalogue, struct mcap_buffer *buffer);
void mcap_catalogue_put_channels(const struct mcap_catalogue *catalogue,
                                 struct mcap_buffer *buffer);
void mcap_catalogue_free(struct mcap_catalogue *catalogue);

#endif
