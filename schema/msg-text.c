/*
 * The type hash of ROS 2 from the text of a type.
 *
 * The text has the messages that a type uses behind its own lines, so whoever can read a topic's
 * header can tell what ROS 2 calls its type, without a schema and without .msg files. There is no
 * room for the hash in shared memory, and no need of it.
 */

#include "schema/msg.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "schema/shape.h"
#include "schema/util.h"

#define SEPARATOR                                                                                  \
        "\n================================================================================\n"

/* The full name of a message that a text calls "package/Name". Returns NULL with *ret_r set. */
static const char *name_full(struct arena *arena, const char *text, size_t length, int *ret_r) {
        const char *slash = memchr(text, '/', length);
        const char *name;

        if (!slash || length > 2 * SLIPRING_TYPE_NAME_MAX) {
                *ret_r = -EBADMSG;
                return NULL;
        }
        name = arena_print(arena, "%.*s/msg/%.*s", (int) (slash - text), text,
                           (int) (text + length - slash - 1), slash + 1);
        *ret_r = !name ? -ENOMEM : msg_name_check(name) ? 0 : -EBADMSG;
        return *ret_r < 0 ? NULL : name;
}

/* Takes the messages of a text apart, the type itself first. */
static int messages_add(struct msg_store *store, const char *name, const char *text) {
        for (;;) {
                const char *end = strstr(text, SEPARATOR "MSG: ");
                int r;

                r = msg_store_add(store, name, text,
                                  end ? (size_t) (end + 1 - text) : strlen(text));
                if (r < 0 || !end) {
                        return r;
                }
                end += strlen(SEPARATOR "MSG: ");
                /* Of an empty message the end of this line is where the next separator begins. */
                text = end + strcspn(end, "\n");
                name = name_full(store->arena, end, (size_t) (text - end), &r);
                if (!name) {
                        return r;
                }
        }
}

/* The message of a text. */
static int
text_find(struct msg_store *store, const char *name, const char *text, struct msg **ret) {
        int r = msg_name_check(name) ? messages_add(store, name, text) : -EBADMSG;

        return r == 0 ? msg_store_find(store, name, ret) : r;
}

int msg_text_hash(const char *name, const char *text, char ret_hash[MSG_HASH_BYTES]) {
        _cleanup_(diagnostics_clear) struct diagnostics diagnostics = {0};
        _cleanup_(arena_free) struct arena arena = {0};
        struct msg_store store = {.arena = &arena, .diagnostics = &diagnostics};
        struct msg *msg = NULL;
        uint8_t hash[32];
        int r;

        r = text_find(&store, name, text, &msg);
        if (r == 0) {
                r = msg_type_hash(msg, 1, hash);
        }
        msg_store_close(&store);
        if (r < 0) {
                return r == -ENOMEM ? r : -EBADMSG;
        }
        strcpy(ret_hash, "RIHS01_");
        for (size_t i = 0; i < sizeof(hash); i++) {
                snprintf(ret_hash + strlen("RIHS01_") + 2 * i, 3, "%02x", hash[i]);
        }
        return 0;
}

int msg_text_canonical(const char *name, const char *text, struct buffer *buffer) {
        _cleanup_(diagnostics_clear) struct diagnostics diagnostics = {0};
        _cleanup_(arena_free) struct arena arena = {0};
        struct msg_store store = {.arena = &arena, .diagnostics = &diagnostics};
        const char *canonical;
        struct msg *msg = NULL;
        int r;

        r = text_find(&store, name, text, &msg);
        if (r == 0) {
                r = shape_text(&canonical, msg, &arena, 1);
        }
        if (r == 0) {
                buffer_print(buffer, "%s", canonical);
                r = buffer->failed ? -ENOMEM : 0;
        }
        msg_store_close(&store);
        return r == 0 || r == -ENOMEM ? r : -EBADMSG;
}
