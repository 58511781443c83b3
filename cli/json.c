#include "cli/json.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "schema/utf8.h"

static void json_indent(struct json *json) {
        if (json->compact) {
                return;
        }
        fprintf(json->out, "\n%*s", (int) json->depth * 2, "");
}

static void json_string(struct json *json, const char *text) {
        size_t left = strlen(text);

        fputc('"', json->out);
        while (left > 0) {
                uint32_t character = 0;
                size_t length;

                length = utf8_decode(text, left, &character);
                if (length == 0) {
                        fputs("\\ufffd", json->out);
                        length = 1;
                } else if (character == '"' || character == '\\') {
                        fprintf(json->out, "\\%c", (char) character);
                } else if (!utf8_is_visible(character)) {
                        /* All of these have four digits. */
                        fprintf(json->out, "\\u%04x", character);
                } else {
                        fwrite(text, 1, length, json->out);
                }
                text += length;
                left -= length;
        }
        fputc('"', json->out);
}

void json_begin(struct json *json, const char *key) {
        if (json->depth > 0) {
                if (json->used[json->depth - 1]) {
                        fputs(json->compact ? ", " : ",", json->out);
                }
                json->used[json->depth - 1] = true;
                json_indent(json);
        }
        if (key) {
                json_string(json, key);
                fputs(": ", json->out);
        }
}

void json_open(struct json *json, const char *key, char bracket) {
        json_begin(json, key);
        fputc(bracket, json->out);
        if (json->depth == JSON_DEPTH_MAX) {
                abort();
        }
        json->ends[json->depth] = bracket == '{' ? '}' : ']';
        json->used[json->depth++] = false;
}

void json_close(struct json *json) {
        json->depth--;
        if (json->used[json->depth]) {
                json_indent(json);
        }
        fputc(json->ends[json->depth], json->out);
        if (json->depth == 0) {
                fputc('\n', json->out);
        }
}

void json_text(struct json *json, const char *key, const char *text) {
        if (!text) {
                json_null(json, key);
                return;
        }
        json_begin(json, key);
        json_string(json, text);
}

void json_integer(struct json *json, const char *key, int64_t number) {
        json_begin(json, key);
        fprintf(json->out, "%" PRId64, number);
}

void json_unsigned(struct json *json, const char *key, uint64_t number) {
        json_begin(json, key);
        fprintf(json->out, "%" PRIu64, number);
}

void json_real(struct json *json, const char *key, double number) {
        char text[32];

        if (!isfinite(number)) {
                json_null(json, key);
                return;
        }
        for (int digits = 6; digits <= 17; digits++) {
                snprintf(text, sizeof(text), "%.*g", digits, number);
                if (strtod(text, NULL) == number) {
                        break;
                }
        }
        json_begin(json, key);
        fputs(text, json->out);
}

void json_bool(struct json *json, const char *key, bool value) {
        json_begin(json, key);
        fputs(value ? "true" : "false", json->out);
}

void json_null(struct json *json, const char *key) {
        json_begin(json, key);
        fputs("null", json->out);
}
