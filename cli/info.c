/*
 * slipring info: all there is to know about one topic.
 */

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "bus/error.h"
#include "bus/pages.h"
#include "bus/topic.h"
#include "bus/type.h"
#include "cli/json.h"
#include "cli/live.h"
#include "cli/table.h"
#include "cli/view.h"
#include "schema/buffer.h"
#include "schema/msg.h"
#include "subscribers/look.h"
#include "subscribers/selection.h"

struct info {
        struct cli *cli;
        const struct view *view;
        const struct layout_entry *entry;
        struct look look;
        struct topic topic;
        int r; /* of attaching */
        struct slipring_error error;
};

/*
 * Fields
 */

/* @bounded: of an array, it is a sequence of up to so many elements */
typedef void
field_visit(void *context, const char *path, const struct slipring_field *field, bool bounded);

static void field_walk(const struct slipring_type *type,
                       const struct slipring_field *field,
                       uint32_t base_bytes,
                       const char *above,
                       field_visit *visit,
                       void *context);

static void list_walk(const struct slipring_type *type,
                      const struct slipring_field *list,
                      const char *above,
                      field_visit *visit,
                      void *context) {
        struct selection_walk walk = {.type = type, .array = *list};
        struct slipring_field element;
        struct buffer path = {0};

        for (uint32_t i = 0; !path.failed && selection_walk_next(&walk, &element); i++) {
                path.length = 0;
                buffer_print(&path, "%s[%" PRIu32 "]", above, i);
                element.name = "";
                if (!path.failed) {
                        field_walk(type, &element, 0, path.text, visit, context);
                }
        }
        buffer_free(&path);
}

/* Shows a field, or the fields inside it. */
static void field_walk(const struct slipring_type *type,
                       const struct slipring_field *field,
                       uint32_t base_bytes,
                       const char *above,
                       field_visit *visit,
                       void *context) {
        bool bounded = field->kind == SLIPRING_KIND_SEQUENCE;
        struct slipring_field shown = *field;
        struct buffer path = {0};

        if (type_is_hidden(field)) {
                return;
        }
        buffer_print(&path, "%s%s", above, field->name);
        if (bounded) {
                /* Of a sequence its elements are shown. */
                base_bytes += field->offset_bytes;
                field = type_elements(type, field);
                shown = *field;
        }
        shown.offset_bytes += base_bytes;
        if (!type_is_parent(field) && !path.failed) {
                visit(context, path.text, &shown, bounded);
        }
        if (field->kind == SLIPRING_KIND_LIST && !path.failed) {
                list_walk(type, &shown, path.text, visit, context);
                buffer_free(&path);
                return;
        }
        if (field->count) {
                buffer_print(&path, "[%s%" PRIu32 "]", bounded ? "<=" : "", field->count);
        }
        buffer_append(&path, ".", 1);
        for (uint32_t i = 0; i < field->child_count && !path.failed; i++) {
                field_walk(type, &type->fields[field->first_child + i], shown.offset_bytes,
                           path.text, visit, context);
        }
        buffer_free(&path);
}

static void fields_walk(const struct slipring_type *type, field_visit *visit, void *context) {
        for (uint32_t i = 0; i < type->root_count; i++) {
                field_walk(type, &type->fields[i], 0, "", visit, context);
        }
}

static void
field_row(void *context, const char *path, const struct slipring_field *field, bool bounded) {
        struct table *table = context;
        char count[16] = "", bytes[16] = "";

        if (field->kind == SLIPRING_KIND_TEXT) {
                snprintf(bytes, sizeof(bytes), "<=%" PRIu32, type_text_bytes(field));
        }
        if (field->count) {
                snprintf(count, sizeof(count), "[%s%" PRIu32 "]", bounded ? "<=" : "",
                         field->count);
        }
        table_cell(table, "  %s", path);
        table_cell(table, "%s%s%s", type_is_empty(field) ? "[0]" : type_kind_name(field->kind),
                   bytes, count);
        table_cell(table, field->kind == SLIPRING_KIND_STRING ? "'%s'" : "%s", field->unit);
        table_cell(table, "%" PRIu32, field->offset_bytes);
}

static void
field_json(void *context, const char *path, const struct slipring_field *field, bool bounded) {
        struct json *json = context;

        json_open(json, NULL, '{');
        json_text(json, "path", path);
        json_text(json, "type", type_is_empty(field) ? "nothing" : type_kind_name(field->kind));
        json_unsigned(json, bounded ? "bound" : "count", field->count);
        if (field->kind == SLIPRING_KIND_TEXT) {
                json_unsigned(json, "text_bytes", type_text_bytes(field));
        }
        if (field->kind == SLIPRING_KIND_STRING) {
                json_text(json, "value", field->unit);
        }
        json_text(json, "unit", field->kind == SLIPRING_KIND_STRING ? "" : field->unit);
        json_unsigned(json, "offset_bytes", field->offset_bytes);
        json_close(json);
}

/*
 * For people
 */

static void print_rate(const struct info *info) {
        if (info->r < 0) {
                fputs("Rate: -", stdout);
        } else if (info->look.rate_hz > 0) {
                printf("Rate: %.4g Hz", info->look.rate_hz);
        } else {
                fputs("Rate: 0 Hz", stdout);
        }
        if (info->entry->rate_hz > 0) {
                printf(" of %.4g Hz", info->entry->rate_hz);
        }
        putchar('\n');
}

static void print_life(const struct info *info) {
        char text[32];

        print_rate(info);
        printf("Age: %s\n", info->r < 0 ? "-"
                            : info->look.age_ns == UINT64_MAX
                                    ? "no sample yet"
                                    : cli_duration(text, info->look.age_ns));
        printf("Deadline: %s\n",
               info->entry->deadline_ns ? cli_duration(text, info->entry->deadline_ns) : "none");
        printf("Stale: %s\n", info->r < 0 ? "-" : info->look.stale ? "yes" : "no");
        if (info->r == 0) {
                printf("Sequence: %" PRIu64 "\nEpoch: %" PRIu32 "\nWake-ups: %" PRIu64 "\n",
                       info->look.sequence, info->look.epoch, info->look.wakeups);
                printf("Attached: %" PRIu32 " (manager and publisher included)\n",
                       info->look.attached);
        }
}

static void print_publisher(const struct info *info) {
        bool shared = topic_is_shared(info->entry);
        char name[32];

        if (info->r < 0) {
                puts("Publisher: -");
        } else if (!info->look.publishers) {
                puts(shared ? "Publishers: none (shared)" : "Publisher: none");
        } else {
                view_process(name, info->look.publisher_pid);
                if (shared) {
                        printf("Publishers: %" PRIu32 " (shared), the last one ",
                               info->look.publishers);
                } else {
                        fputs("Publisher: ", stdout);
                }
                printf("%d%s%s%s\n", (int) info->look.publisher_pid, *name ? " (" : "", name,
                       *name ? ")" : "");
        }
}

static void print_pins(const struct info *info) {
        printf("Pins: %" PRIu32, info->entry->pins);
        if (info->r == 0) {
                printf(", %" PRIu32 " held, %" PRIu64 " broken", info->look.pinned,
                       info->look.pin_broken);
        }
        putchar('\n');
}

/* "no", "2 of 2.0 MiB", or what became of the wish. */
static void print_pages(const struct info *info) {
        const struct layout_entry *entry = info->entry;
        char text[32];

        if (entry->page_bytes) {
                printf("Huge pages: %" PRIu64 " of %s\n",
                       pages_count(entry->page_bytes, entry->segment_bytes),
                       cli_size(text, entry->page_bytes));
        } else {
                printf("Huge pages: %s\n", entry->huge_pages == LAYOUT_HUGE_PAGES_TRY
                                                   ? "tried; none of the pool"
                                                   : "no");
        }
        printf("Locked in memory: %s%s\n",
               info->r < 0                                               ? "-"
               : segment_is_locked(&info->topic.data, entry->page_bytes) ? "yes"
                                                                         : "no",
               entry->memory_lock == LAYOUT_MEMORY_LOCK_NO && !entry->page_bytes ? " (lock: no)"
                                                                                 : "");
}

static void print_memory(const struct info *info) {
        const struct layout_entry *entry = info->entry;
        char text[32];

        if (entry->pins) {
                printf("Depth: %" PRIu32 " samples in %" PRIu32 " slots\n", entry->depth,
                       layout_slot_count(entry->depth, entry->pins));
                print_pins(info);
        } else {
                printf("Depth: %" PRIu32 " slots\n", entry->depth);
        }
        printf("Payload: %" PRIu32 " bytes\n", entry->payload_bytes);
        printf("Segment: %" PRIu64 " bytes (%s), key 0x%08x, id %d\n", entry->segment_bytes,
               cli_size(text, entry->segment_bytes), (unsigned) entry->data_key, entry->data_id);
        print_pages(info);
        printf("Access: owner %s, group %s, mode %04o\n", error_user(entry->uid),
               view_group(entry->gid), entry->mode);
}

static void print_fields(const struct info *info) {
        struct table table = {.align = "lllr"};

        puts("Fields:");
        table_cell(&table, "  NAME");
        table_cell(&table, "TYPE");
        table_cell(&table, "UNIT");
        table_cell(&table, "OFFSET");
        fields_walk(&info->topic.header.type, field_row, &table);
        table_print(&table, stdout, info->cli->colour);
        table_free(&table);
}

/* What ROS 2 calls the type; the topic's header says enough. */
static bool type_hash(const struct info *info, char ret_hash[MSG_HASH_BYTES]) {
        return info->r == 0 &&
               msg_text_hash(info->entry->type_name, info->topic.header.type.text, ret_hash) == 0;
}

static void print_text(const struct info *info) {
        char hash[MSG_HASH_BYTES];

        printf("Topic: %s\n", info->entry->name);
        printf("Type: %s\n", info->entry->type_name);
        printf("Type hash: %s\n", type_hash(info, hash) ? hash : "-");
        if (*info->entry->description) {
                printf("Description: %s\n", info->entry->description);
        }
        print_publisher(info);
        print_life(info);
        print_memory(info);
        if (info->r == 0) {
                print_fields(info);
        } else {
                cli_error(info->cli, "%s", info->error.text);
        }
}

/*
 * For programs
 */

static void json_look(const struct info *info, struct json *json) {
        char name[32];

        json_unsigned(json, "publishers", info->look.publishers);
        json_integer(json, "publisher_pid", info->look.publisher_pid);
        if (info->look.publisher_pid) {
                json_text(json, "publisher_name", view_process(name, info->look.publisher_pid));
        } else {
                json_null(json, "publisher_name");
        }
        json_real(json, "rate_hz", info->look.rate_hz);
        if (info->look.age_ns == UINT64_MAX) {
                json_null(json, "age_ns");
        } else {
                json_unsigned(json, "age_ns", info->look.age_ns);
        }
        json_bool(json, "stale", info->look.stale);
        json_unsigned(json, "sequence", info->look.sequence);
        json_unsigned(json, "epoch", info->look.epoch);
        json_unsigned(json, "wakeups", info->look.wakeups);
        json_unsigned(json, "attached", info->look.attached);
        json_unsigned(json, "pinned", info->look.pinned);
        json_unsigned(json, "pin_broken", info->look.pin_broken);
        json_open(json, "fields", '[');
        fields_walk(&info->topic.header.type, field_json, json);
        json_close(json);
        json_bool(json, "locked", segment_is_locked(&info->topic.data, info->entry->page_bytes));
        json_text(json, "type_text", info->topic.header.type.text);
}

static const char *const huge_pages[] = {
        [LAYOUT_HUGE_PAGES_NO] = "no",
        [LAYOUT_HUGE_PAGES_TRY] = "try",
        [LAYOUT_HUGE_PAGES_YES] = "yes",
};

static const char *const memory_lock[] = {
        [LAYOUT_MEMORY_LOCK_TRY] = "try",
        [LAYOUT_MEMORY_LOCK_NO] = "no",
        [LAYOUT_MEMORY_LOCK_YES] = "yes",
};

/* A later manager may have more. */
static const char *name_of(const char *const names[3], uint32_t value) {
        return value < 3 ? names[value] : "?";
}

static void print_json(const struct info *info) {
        const struct layout_entry *entry = info->entry;
        struct json json = {.out = stdout};
        char mode[8], identity[65], hash[MSG_HASH_BYTES];

        for (size_t i = 0; i < sizeof(entry->identity); i++) {
                snprintf(identity + 2 * i, 3, "%02x", entry->identity[i]);
        }
        snprintf(mode, sizeof(mode), "%04o", entry->mode & 07777);
        json_open(&json, NULL, '{');
        json_text(&json, "bus", info->view->bus);
        json_text(&json, "topic", entry->name);
        json_text(&json, "type", entry->type_name);
        json_text(&json, "identity", identity);
        if (type_hash(info, hash)) {
                json_text(&json, "type_hash", hash);
        } else {
                json_null(&json, "type_hash");
        }
        json_text(&json, "description", entry->description);
        json_real(&json, "nominal_rate_hz", entry->rate_hz);
        json_unsigned(&json, "deadline_ns", entry->deadline_ns);
        json_unsigned(&json, "depth", entry->depth);
        json_unsigned(&json, "pins", entry->pins);
        json_unsigned(&json, "payload_bytes", entry->payload_bytes);
        json_unsigned(&json, "segment_bytes", entry->segment_bytes);
        json_integer(&json, "segment_key", entry->data_key);
        json_integer(&json, "segment_id", entry->data_id);
        json_text(&json, "owner", error_user(entry->uid));
        json_text(&json, "group", view_group(entry->gid));
        json_text(&json, "mode", mode);
        json_bool(&json, "shared", topic_is_shared(entry));
        json_text(&json, "wake", entry->wake == LAYOUT_WAKE_CHAIN ? "chain" : "direct");
        json_text(&json, "huge_pages", name_of(huge_pages, entry->huge_pages));
        json_unsigned(&json, "huge_page_bytes", entry->page_bytes);
        json_text(&json, "lock", name_of(memory_lock, entry->memory_lock));
        json_bool(&json, "readable", info->r == 0);
        if (info->r == 0) {
                json_look(info, &json);
        } else {
                json_text(&json, "reason", info->error.text);
        }
        json_close(&json);
}

static int info_print(struct cli *cli, const struct view *view, const char *name) {
        struct info info = {.cli = cli, .view = view, .topic = TOPIC_NONE};

        info.entry = view_topic(cli, view, name);
        if (!info.entry) {
                return CLI_FAILURE;
        }
        /* First the glance, so that this command's own attaching does not count in it. */
        info.r = look_at(&info.look, info.entry, &info.error);
        if (info.r == 0) {
                info.r = topic_attach(&info.topic, info.entry, false, &info.error);
        }
        if (cli->json) {
                print_json(&info);
        } else {
                print_text(&info);
        }
        topic_detach(&info.topic);
        return CLI_OK;
}

static int info_run(struct cli *cli, int argc, char **argv) {
        const struct cli_option options[] = {{0}};
        struct view view = VIEW_NONE;
        int code;

        if (!cli_parse(cli, options, &argc, &argv)) {
                return cli->exit_code;
        }
        code = view_open(cli, &view);
        if (code == CLI_OK) {
                code = info_print(cli, &view, argv[0]);
        }
        view_close(&view);
        return code;
}

const struct cli_verb cli_info = {
        .name = "info",
        .arguments = "TOPIC",
        .least = 1,
        .most = 1,
        .common = CLI_BUS | CLI_JSON,
        .summary = "print all about one topic",
        .help = "Prints a topic's type, publisher, rate against the schema's, age, memory,\n"
                "access and fields. Of a topic that this user may not read it prints what the\n"
                "bus's directory tells, and why the rest is missing.\n"
                "\n"
                "  slipring info imu/front\n"
                "  slipring info imu/front --json | jq .publisher_pid\n",
        .run = info_run,
};
