#ifndef SLIPRING_CLI_JSON_H
#define SLIPRING_CLI_JSON_H

/*
 * JSON, written as it comes.
 *
 *     json_open(&json, NULL, '{');
 *     json_text(&json, "name", "imu");
 *     json_open(&json, "samples", '[');
 *     json_integer(&json, NULL, 1);
 *     json_close(&json);
 *     json_close(&json);
 *
 * A key goes with each value inside an object and with none elsewhere.
 */

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#define JSON_DEPTH_MAX 64

/**
 * struct json - a document being written
 * @out:        where to
 * @compact:    all in one line
 * @depth:      objects and arrays that are open
 * @ends:       what closes them
 * @used:       something stands in them already
 */
struct json {
        FILE *out;
        bool compact;
        unsigned depth;
        char ends[JSON_DEPTH_MAX];
        bool used[JSON_DEPTH_MAX];
};

/** json_open() - begin an object '{' or an array '[' */
void json_open(struct json *json, const char *key, char bracket);

/** json_close() - end the innermost object or array; a newline follows the outermost */
void json_close(struct json *json);

/** json_begin() - what stands before a value that the caller writes to @out by itself */
void json_begin(struct json *json, const char *key);

/** json_text() - a string; NULL gives null; bytes that are not UTF-8 become U+FFFD */
void json_text(struct json *json, const char *key, const char *text);

/** json_integer() - a signed integer */
void json_integer(struct json *json, const char *key, int64_t number);

/** json_unsigned() - an unsigned integer */
void json_unsigned(struct json *json, const char *key, uint64_t number);

/** json_real() - a number, as short as it can be without loss; not finite gives null */
void json_real(struct json *json, const char *key, double number);

/** json_bool() - true or false */
void json_bool(struct json *json, const char *key, bool value);

/** json_null() - null */
void json_null(struct json *json, const char *key);

#endif
