#include "cli/play-lengths.h"

#include <stdlib.h>
#include <string.h>

#include <slipring/type.h>

#include "bus/cdr.h"

static struct length *find(struct lengths *lengths, const char *path, bool sequence) {
        for (size_t i = 0; i < lengths->count; i++) {
                size_t at = (lengths->last + i) % lengths->count;

                if (lengths->list[at].sequence == sequence &&
                    !strcmp(lengths->list[at].path, path)) {
                        lengths->last = at;
                        return &lengths->list[at];
                }
        }
        return NULL;
}

/* One more of those whose path is the same; NULL: no memory. */
static struct length *
measure(struct lengths *lengths, const char *path, bool sequence, uint32_t size) {
        struct length *length = find(lengths, path, sequence), *larger;
        char *copy;

        if (!length) {
                copy = arena_copy(&lengths->arena, path, strlen(path));
                larger = reallocarray(lengths->list, lengths->count + 1, sizeof(*larger));
                lengths->list = larger ? larger : lengths->list;
                if (!copy || !larger) {
                        lengths->failed = true;
                        return NULL;
                }
                length = &larger[lengths->count++];
                *length = (struct length){
                        .path = copy, .sequence = sequence, .least = size, .constant = !sequence};
        }
        length->least = size < length->least ? size : length->least;
        length->most = size > length->most ? size : length->most;
        return length;
}

static void on_length(void *userdata, const struct msg_field *field, uint32_t count) {
        struct lengths *lengths = userdata;
        char path[sizeof(lengths->decode.path)];

        (void) field;
        decode_plain(lengths->decode.path, path);
        measure(lengths, path, true, count);
}

static bool is_printable(const char *text, size_t length) {
        for (size_t i = 0; i < length; i++) {
                if (text[i] < ' ' || text[i] > '~') {
                        return false;
                }
        }
        return length <= SLIPRING_DESCRIPTION_MAX;
}

/* Is it what it was, or the first of its index? */
static bool text_holds(struct lengths *lengths,
                       struct length *known,
                       size_t index,
                       const char *text,
                       size_t length) {
        const char **larger, *copy;

        if (index < known->text_count) {
                return strlen(known->texts[index]) == length &&
                       memcmp(known->texts[index], text, length) == 0;
        }
        /* Each is a field, so that more of them could not be on a bus. */
        if (known->text_count == SLIPRING_FIELDS_MAX) {
                return false;
        }
        larger = reallocarray(known->texts, known->text_count + 1, sizeof(*larger));
        copy = arena_copy(&lengths->arena, text, length);
        known->texts = larger ? larger : known->texts;
        if (!larger || !copy) {
                lengths->failed = true;
                return false;
        }
        larger[known->text_count++] = copy;
        return true;
}

static void
on_string(void *userdata, const struct msg_field *field, const uint8_t *bytes, size_t count) {
        const char *text = (const char *) bytes;
        size_t index, length = strnlen(text, count);
        struct lengths *lengths = userdata;
        char path[sizeof(lengths->decode.path)];
        struct length *known;

        (void) field;
        /* Some write an empty string without its NUL; no other one is played. */
        if (count > 0 && length + 1 != count) {
                return;
        }
        index = decode_plain(lengths->decode.path, path);
        known = measure(lengths, path, false, (uint32_t) length);
        if (known && known->constant) {
                known->constant = count > 0 && is_printable(text, length) &&
                                  text_holds(lengths, known, index, text, length);
        }
}

int lengths_open(struct lengths *lengths, const struct mcap_schema *schema) {
        lengths->decode = (struct decode){.userdata = lengths};
        return decode_types(&lengths->decode, schema);
}

bool lengths_add(struct lengths *lengths, const struct mcap_message *message) {
        struct decode *decode = &lengths->decode;

        /* What one says that breaks off is nothing to make room for. */
        decode->string = NULL;
        decode->length = NULL;
        if (!decode_walk(decode, message) ||
            !cdr_is_filler(message->data, CDR_HEADER_BYTES + decode->at, message->bytes)) {
                return false;
        }
        decode->string = on_string;
        decode->length = on_length;
        (void) decode_walk(decode, message);
        lengths->messages++;
        return true;
}

const struct length *lengths_find(struct lengths *lengths, const char *path, bool sequence) {
        return find(lengths, path, sequence);
}

bool length_all_equal(const struct length *length) {
        for (size_t i = 1; i < length->text_count; i++) {
                if (strcmp(length->texts[i], length->texts[0]) != 0) {
                        return false;
                }
        }
        return true;
}

void lengths_free(struct lengths *lengths) {
        for (size_t i = 0; i < lengths->count; i++) {
                free(lengths->list[i].texts);
        }
        free(lengths->list);
        arena_free(&lengths->arena);
        decode_free(&lengths->decode);
        *lengths = (struct lengths){0};
}
