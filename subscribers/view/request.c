/*
 * Text messages of a WebSocket client: JSON, from somebody who may be hostile. It is read in one
 * pass from left to right, without a tree, and nothing is kept that is not asked for.
 */

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "bus/error.h"
#include "subscribers/view/request.h"

#define DEPTH_MAX 32

struct input {
        const char *start;
        const char *at;
        const char *end;
        const char *wanted; /* what should have stood at @at, once something was wrong */
        int code;           /* 0 while all is well */
        unsigned depth;
};

static bool fail(struct input *in, const char *wanted) {
        if (in->code == 0) {
                in->code = -EINVAL;
                in->wanted = wanted;
        }
        return false;
}

static void blanks(struct input *in) {
        while (in->at < in->end && strchr(" \t\r\n", *in->at) && *in->at) {
                in->at++;
        }
}

/* Passes over one character if it is the next. */
static bool passed(struct input *in, char character) {
        blanks(in);
        if (in->code == 0 && in->at < in->end && *in->at == character) {
                in->at++;
                return true;
        }
        return false;
}

static int hex(char digit) {
        const char *digits = "0123456789abcdef", *found;

        digit = digit >= 'A' && digit <= 'F' ? (char) (digit - 'A' + 'a') : digit;
        found = digit ? strchr(digits, digit) : NULL;
        return found ? (int) (found - digits) : -1;
}

/* The character after a backslash. What is not ASCII becomes '?': no name has it. */
static bool escape(struct input *in, char *ret_character) {
        static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
        const char *found;
        int code = 0;

        if (in->at < in->end && *in->at == 'u' && in->end - in->at > 4) {
                for (int i = 1; i <= 4; i++) {
                        if (hex(in->at[i]) < 0) {
                                return fail(in, "four hexadecimal digits");
                        }
                        code = 16 * code + hex(in->at[i]);
                }
                in->at += 5;
                *ret_character = code > 0 && code < 0x7f ? (char) code : '?';
                return true;
        }
        found = in->at < in->end && *in->at ? strchr(from, *in->at) : NULL;
        if (!found) {
                return fail(in, "an escape");
        }
        in->at++;
        *ret_character = to[found - from];
        return true;
}

/* A string; of one that is too long the end is dropped. */
static bool string(struct input *in, char *to, size_t room) {
        size_t used = 0;

        if (!passed(in, '"')) {
                return fail(in, "a string");
        }
        while (in->at < in->end && *in->at != '"') {
                char character = *in->at++;

                if ((unsigned char) character < 0x20) {
                        return fail(in, "no control character");
                }
                if (character == '\\' && !escape(in, &character)) {
                        return false;
                }
                if (used + 1 < room) {
                        to[used++] = character;
                }
        }
        if (room) {
                to[used] = '\0';
        }
        return passed(in, '"') || fail(in, "the end of a string");
}

static bool number(struct input *in, uint32_t *ret_number) {
        uint64_t sum = 0;

        blanks(in);
        if (in->at >= in->end || *in->at < '0' || *in->at > '9') {
                return fail(in, "a whole number from 0 to 4294967295");
        }
        for (; in->at < in->end && *in->at >= '0' && *in->at <= '9'; in->at++) {
                sum = 10 * sum + (uint64_t) (*in->at - '0');
                if (sum > UINT32_MAX) {
                        return fail(in, "a whole number from 0 to 4294967295");
                }
        }
        if (in->at < in->end && strchr(".eE", *in->at) && *in->at) {
                return fail(in, "a whole number from 0 to 4294967295");
        }
        *ret_number = (uint32_t) sum;
        return true;
}

/*
 * Objects and arrays:
 *
 *     for (bool first = true; member(in, &first, key, sizeof(key));) { ... read the value ... }
 *
 * Each loop ends behind the bracket, or at a mistake.
 */

static bool open_bracket(struct input *in, char bracket, const char *wanted) {
        if (!passed(in, bracket)) {
                return fail(in, wanted);
        }
        if (++in->depth > DEPTH_MAX) {
                return fail(in, "no deeper nesting");
        }
        return true;
}

static bool next(struct input *in, bool *first, char close, const char *wanted) {
        if (in->code != 0) {
                return false;
        }
        if (passed(in, close)) {
                in->depth--;
                return false;
        }
        if (!*first && !passed(in, ',')) {
                return fail(in, wanted);
        }
        *first = false;
        return true;
}

static bool member(struct input *in, bool *first, char *key, size_t room) {
        if (*first && !open_bracket(in, '{', "an object")) {
                return false;
        }
        if (!next(in, first, '}', "',' or '}'") || !string(in, key, room)) {
                return false;
        }
        return passed(in, ':') || fail(in, "':'");
}

static bool element(struct input *in, bool *first) {
        if (*first && !open_bracket(in, '[', "an array")) {
                return false;
        }
        return next(in, first, ']', "',' or ']'");
}

static void skip(struct input *in) {
        char key[1];

        blanks(in);
        if (in->at >= in->end) {
                fail(in, "a value");
        } else if (*in->at == '{') {
                for (bool first = true; member(in, &first, key, sizeof(key));) {
                        skip(in);
                }
        } else if (*in->at == '[') {
                for (bool first = true; element(in, &first);) {
                        skip(in);
                }
        } else if (*in->at == '"') {
                string(in, key, sizeof(key));
        } else {
                const char *before = in->at;

                /* A number, true, false or null: whoever wrote it, nobody reads it. */
                while (in->at < in->end && *in->at &&
                       strchr("+-.0123456789abcdefghijklmnopqrstuvwxyzE", *in->at)) {
                        in->at++;
                }
                if (in->at == before) {
                        fail(in, "a value");
                }
        }
}

/* Room for one more element, zero-filled; NULL if there is none. */
static void *
append(struct input *in, void *array, size_t *count, size_t most, size_t bytes, void **ret_place) {
        size_t room = 16;
        void *larger = array;

        *ret_place = NULL;
        if (*count >= most) {
                in->code = in->code ? in->code : -E2BIG;
                return array;
        }
        while (room < *count) {
                room *= 2;
        }
        if (*count == 0 || room == *count) {
                larger = reallocarray(array, *count ? 2 * room : room, bytes);
        }
        if (!larger) {
                in->code = in->code ? in->code : -ENOMEM;
                return array;
        }
        *ret_place = (char *) larger + (*count)++ * bytes;
        memset(*ret_place, 0, bytes);
        return larger;
}

static void read_subscription(struct input *in, struct request_subscription *subscription) {
        bool id = false, channel = false;
        char key[16];

        for (bool first = true; member(in, &first, key, sizeof(key));) {
                if (!strcmp(key, "id")) {
                        id = number(in, &subscription->id);
                } else if (!strcmp(key, "channelId")) {
                        channel = number(in, &subscription->channel);
                } else {
                        skip(in);
                }
        }
        if (!id || !channel) {
                fail(in, "id and channelId before this");
        }
}

static void read_channel(struct input *in, struct request_channel *channel) {
        bool id = false;
        char key[16];

        for (bool first = true; member(in, &first, key, sizeof(key));) {
                if (!strcmp(key, "id")) {
                        id = number(in, &channel->id);
                } else if (!strcmp(key, "topic")) {
                        string(in, channel->topic, sizeof(channel->topic));
                } else if (!strcmp(key, "encoding")) {
                        string(in, channel->encoding, sizeof(channel->encoding));
                } else if (!strcmp(key, "schemaName")) {
                        string(in, channel->schema_name, sizeof(channel->schema_name));
                } else {
                        skip(in);
                }
        }
        if (!id) {
                fail(in, "an id before this");
        }
}

static void read_subscriptions(struct input *in, struct request *request) {
        void *place;

        for (bool first = true; element(in, &first);) {
                request->subscriptions =
                        append(in, request->subscriptions, &request->subscription_count,
                               REQUEST_SUBSCRIPTIONS_MAX, sizeof(*request->subscriptions), &place);
                if (place) {
                        read_subscription(in, place);
                }
        }
}

static void read_channels(struct input *in, struct request *request) {
        void *place;

        for (bool first = true; element(in, &first);) {
                request->channels =
                        append(in, request->channels, &request->channel_count, REQUEST_CHANNELS_MAX,
                               sizeof(*request->channels), &place);
                if (place) {
                        read_channel(in, place);
                }
        }
}

static void read_ids(struct input *in, struct request *request) {
        void *place;

        for (bool first = true; element(in, &first);) {
                request->ids = append(in, request->ids, &request->id_count,
                                      REQUEST_SUBSCRIPTIONS_MAX, sizeof(*request->ids), &place);
                if (place) {
                        number(in, place);
                }
        }
}

static void read_request(struct input *in, struct request *request) {
        char key[32];

        for (bool first = true; member(in, &first, key, sizeof(key));) {
                if (!strcmp(key, "op")) {
                        string(in, request->op, sizeof(request->op));
                } else if (!strcmp(key, "subscriptions")) {
                        read_subscriptions(in, request);
                } else if (!strcmp(key, "channels")) {
                        read_channels(in, request);
                } else if (!strcmp(key, "subscriptionIds") || !strcmp(key, "channelIds")) {
                        read_ids(in, request);
                } else {
                        skip(in);
                }
        }
        blanks(in);
        if (in->code == 0 && in->at < in->end) {
                fail(in, "the end");
        }
        if (in->code == 0 && !*request->op) {
                fail(in, "an \"op\" before this");
        }
}

int request_parse(struct request *ret_request,
                  const char *text,
                  size_t bytes,
                  struct slipring_error *reterr) {
        struct input in = {.start = text, .at = text, .end = text + bytes};
        struct request request = {0};

        read_request(&in, &request);
        if (in.code == 0) {
                *ret_request = request;
                return 0;
        }
        request_free(&request);
        if (in.code == -EINVAL) {
                return error_set(reterr, in.code,
                                 "message is not understood: at byte %zu should "
                                 "stand %s",
                                 (size_t) (in.at - in.start), in.wanted);
        }
        return error_set(reterr, in.code,
                         in.code == -E2BIG ? "message asks for too much: at most %u subscriptions "
                                             "and %u channels in one"
                                           : "no memory for %u subscriptions or %u channels",
                         REQUEST_SUBSCRIPTIONS_MAX, REQUEST_CHANNELS_MAX);
}

void request_free(struct request *request) {
        free(request->subscriptions);
        free(request->ids);
        free(request->channels);
        *request = (struct request){0};
}
