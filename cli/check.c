/*
 * slipring check: is a file a bus, and what does that bus take?
 */

#include <errno.h>
#include <pwd.h>
#include <string.h>
#include <unistd.h>

#include "cli/cli.h"
#include "cli/json.h"
#include "cli/table.h"
#include "schema/definition.h"
#include "schema/msg.h"
#include "schema/schema.h"
#include "schema/util.h"

static double bandwidth(const struct schema_topic *topic) {
        return topic->rate_hz * topic->type->payload_bytes;
}

static bool group_may_publish(const struct schema_topic *topic) {
        return topic->mode & 0020;
}

static bool anybody_may_read(const struct schema_topic *topic) {
        return topic->mode & 0004;
}

static uint32_t slot_count(const struct schema_topic *topic) {
        return topic->depth + (topic->pins ? topic->pins + 1 : 0);
}

/* Of a topic's segment, how much is there for its pins. */
static uint64_t pinned_bytes(const struct schema_topic *topic) {
        return topic->segment_bytes -
               schema_segment_bytes(topic->type, topic->name, topic->depth, 0);
}

/*
 * For people
 */

static void topic_cells(struct table *table, const struct schema_topic *topic) {
        char size[32], memory[32], rate[32], deadline[32];
        const char *name = topic->type->name;

        /* The package of own types is in the first line. */
        if (!topic->definition->message) {
                name = strrchr(name, '/') + 1;
        }
        table_cell(table, "%s", topic->name);
        table_cell(table, "%s", name);
        table_cell(table, "%s", cli_size(size, topic->type->payload_bytes));
        table_cell(table, "%u", topic->depth);
        table_cell(table, "%s", cli_size(memory, topic->memory_bytes));
        if (topic->rate_hz > 0) {
                table_cell(table, "%g Hz", topic->rate_hz);
                table_cell(table, "%s", cli_rate(rate, bandwidth(topic)));
        } else {
                table_cell(table, "-");
                table_cell(table, "-");
        }
        table_cell(table, "%s",
                   topic->deadline_ns ? cli_duration(deadline, topic->deadline_ns) : "never");
        table_cell(table, "%s:%s 0%o%s%s%s", topic->owner_name, topic->group_name, topic->mode,
                   group_may_publish(topic) ? " (1)" : "", anybody_may_read(topic) ? " (2)" : "",
                   topic->shared ? " (3)" : "");
}

static void total_cells(struct table *table, const struct schema *schema) {
        double total = 0;
        bool complete = true;
        char size[32], rate[32];

        for (size_t i = 0; i < schema->topic_count; i++) {
                total += bandwidth(&schema->topics[i]);
                complete = complete && schema->topics[i].rate_hz > 0;
        }
        table_cell(table, "total");
        table_cell(table, "%s", "");
        table_cell(table, "%s", "");
        table_cell(table, "%s", "");
        table_cell(table, "%s", cli_size(size, schema->total_bytes));
        table_cell(table, "%s", "");
        table_cell(table, "%s%s", complete ? "" : "> ", cli_rate(rate, total));
        table_cell(table, "%s", "");
        table_cell(table, "%s", "");
}

/* What pins cost: the slots are part of the topic's memory, the lines are a segment besides. */
static void pins_print(const struct schema *schema) {
        char slots[32], lines[32];

        for (size_t i = 0; i < schema->topic_count; i++) {
                const struct schema_topic *topic = &schema->topics[i];

                if (topic->pins > 0) {
                        printf("topic '%s': %u pin%s take%s %u of its %u slots, %s, and %s "
                               "besides\n",
                               topic->name, topic->pins, topic->pins == 1 ? "" : "s",
                               topic->pins == 1 ? "s" : "", topic->pins + 1, slot_count(topic),
                               cli_size(slots, pinned_bytes(topic)),
                               cli_size(lines, schema_pins_bytes(topic->pins)));
                }
        }
}

/* The last of its huge pages is taken whole. */
static void huge_pages_print(const struct schema *schema) {
        char page[32], need[32];

        for (size_t i = 0; i < schema->topic_count; i++) {
                const struct schema_topic *topic = &schema->topics[i];

                if (topic->huge_page_count > 0) {
                        printf("topic '%s': %s%llu huge page%s of %s for its %s\n", topic->name,
                               topic->huge_pages == SCHEMA_TRY ? "if they are free, " : "",
                               (unsigned long long) topic->huge_page_count,
                               topic->huge_page_count == 1 ? "" : "s",
                               cli_size(page, schema->machine.huge_page_bytes),
                               cli_size(need, topic->segment_bytes));
                }
        }
}

static void notes_print(const struct schema *schema) {
        bool group = false, others = false, shared = false, unrated = false;

        for (size_t i = 0; i < schema->topic_count; i++) {
                group = group || group_may_publish(&schema->topics[i]);
                others = others || anybody_may_read(&schema->topics[i]);
                shared = shared || schema->topics[i].shared;
                unrated = unrated || schema->topics[i].rate_hz <= 0;
        }
        if (group) {
                puts("(1) not only the owner but each member of the group may publish");
        }
        if (others) {
                puts("(2) not only the group but each user of this machine may read");
        }
        if (shared) {
                puts("(3) shared: several may publish at a time, each sample under a lock that it "
                     "may "
                     "wait for");
        }
        if (unrated) {
                puts("A topic without rate has no bandwidth to plan with.");
        }
}

/* "512 KiB of 16 GiB (< 0.01 %)" */
static void share_print(const char *what, uint64_t part, uint64_t whole) {
        double percent = whole ? 100.0 * (double) part / (double) whole : 100.0;
        char a[32], b[32];

        if (whole >= UINT64_MAX / 2) {
                printf("%s: %s, unlimited\n", what, cli_size(a, part));
        } else if (percent < 0.01) {
                printf("%s: %s of %s (< 0.01 %%)\n", what, cli_size(a, part), cli_size(b, whole));
        } else {
                printf("%s: %s of %s (%.2f %%)\n", what, cli_size(a, part), cli_size(b, whole),
                       percent);
        }
}

static uint64_t largest_segment(const struct schema *schema) {
        uint64_t largest = 0;

        for (size_t i = 0; i < schema->topic_count; i++) {
                if (schema->topics[i].segment_bytes > largest) {
                        largest = schema->topics[i].segment_bytes;
                }
        }
        return largest;
}

/* Of those that there must be. */
static uint64_t huge_pages_needed(const struct schema *schema) {
        uint64_t count = 0;

        for (size_t i = 0; i < schema->topic_count; i++) {
                if (schema->topics[i].huge_pages == SCHEMA_YES) {
                        count += schema->topics[i].huge_page_count;
                }
        }
        return count;
}

static void shares_print(const struct schema *schema) {
        share_print("memory of this machine", schema->total_bytes, schema->machine.memory_bytes);
        share_print("all segments (kernel.shmall)", schema->total_bytes,
                    schema->machine.total_bytes_max);
        share_print("largest segment (kernel.shmmax)", largest_segment(schema),
                    schema->machine.segment_bytes_max);
        printf("segments (kernel.shmmni): %llu of %llu\n",
               (unsigned long long) schema->segment_count,
               (unsigned long long) schema->machine.segments_max);
        if (huge_pages_needed(schema) > 0) {
                printf("huge pages (vm.nr_hugepages): %llu of %llu\n",
                       (unsigned long long) huge_pages_needed(schema),
                       (unsigned long long) schema->machine.huge_pages_max);
        }
}

static void schema_print(const struct cli *cli, const struct schema *schema) {
        static const char *const head[] = {"TOPIC", "TYPE",      "SIZE",        "DEPTH", "MEMORY",
                                           "RATE",  "BANDWIDTH", "STALE AFTER", "ACCESS"};
        struct table table = {.align = "llrrrrrrl"};

        printf("bus %s, types of package %s\n\n", schema->bus, schema->package);
        for (size_t i = 0; i < ELEMENTS(head); i++) {
                table_cell(&table, "%s", head[i]);
        }
        for (size_t i = 0; i < schema->topic_count; i++) {
                topic_cells(&table, &schema->topics[i]);
        }
        total_cells(&table, schema);
        table_print(&table, stdout, cli->colour);
        table_free(&table);
        notes_print(schema);
        pins_print(schema);
        huge_pages_print(schema);
        putchar('\n');
        shares_print(schema);
}

/* Per type the fields as they lie in memory. */
static void type_print(const struct slipring_type *type) {
        char hash[MSG_HASH_BYTES];

        printf("\n%s, %u bytes, identity ", type->name, type->payload_bytes);
        for (size_t i = 0; i < sizeof(type->identity); i++) {
                printf("%02x", type->identity[i]);
        }
        putchar('\n');
        if (msg_text_hash(type->name, type->text, hash) == 0) {
                printf("type hash of ROS 2: %s\n", hash);
        }
        printf("%s", type->text);
}

static void types_print(const struct schema *schema) {
        for (size_t i = 0; i < schema->topic_count; i++) {
                bool printed = false;

                for (size_t j = 0; j < i; j++) {
                        printed = printed || schema->topics[i].type == schema->topics[j].type;
                }
                if (!printed) {
                        type_print(schema->topics[i].type);
                }
        }
}

/*
 * For programs
 */

static void topic_json(struct json *json, const struct schema_topic *topic) {
        static const char *const wishes[] = {
                [SCHEMA_NO] = "no",
                [SCHEMA_TRY] = "try",
                [SCHEMA_YES] = "yes",
        };
        char identity[65], mode[16], hash[MSG_HASH_BYTES];

        for (size_t i = 0; i < sizeof(topic->type->identity); i++) {
                snprintf(identity + 2 * i, 3, "%02x", topic->type->identity[i]);
        }
        snprintf(mode, sizeof(mode), "0%o", topic->mode);
        json_open(json, NULL, '{');
        json_text(json, "name", topic->name);
        json_text(json, "description", topic->description);
        json_text(json, "type", topic->type->name);
        json_text(json, "identity", identity);
        if (msg_text_hash(topic->type->name, topic->type->text, hash) == 0) {
                json_text(json, "type_hash", hash);
        } else {
                json_null(json, "type_hash");
        }
        json_unsigned(json, "payload_bytes", topic->type->payload_bytes);
        json_unsigned(json, "depth", topic->depth);
        json_unsigned(json, "pins", topic->pins);
        json_unsigned(json, "slots", slot_count(topic));
        json_unsigned(json, "segment_bytes", topic->segment_bytes);
        json_unsigned(json, "memory_bytes", topic->memory_bytes);
        json_unsigned(json, "pins_bytes", schema_pins_bytes(topic->pins));
        if (topic->rate_hz > 0) {
                json_real(json, "rate_hz", topic->rate_hz);
                json_real(json, "bandwidth_bytes_per_s", bandwidth(topic));
        } else {
                json_null(json, "rate_hz");
                json_null(json, "bandwidth_bytes_per_s");
        }
        if (topic->deadline_ns > 0) {
                json_unsigned(json, "deadline_ns", topic->deadline_ns);
        } else {
                json_null(json, "deadline_ns");
        }
        json_text(json, "owner", topic->owner_name);
        json_text(json, "group", topic->group_name);
        json_text(json, "mode", mode);
        json_bool(json, "group_may_publish", group_may_publish(topic));
        json_text(json, "publishers", topic->shared ? "shared" : "exclusive");
        json_text(json, "wake", topic->chain ? "chain" : "direct");
        json_text(json, "huge_pages", wishes[topic->huge_pages]);
        json_unsigned(json, "huge_page_count", topic->huge_page_count);
        json_text(json, "lock", wishes[topic->lock]);
        json_unsigned(json, "line", topic->line);
        json_close(json);
}

static void diagnostics_json(struct json *json, const struct diagnostics *diagnostics) {
        json_open(json, "diagnostics", '[');
        for (size_t i = 0; i < diagnostics->count; i++) {
                const struct diagnostic *item = &diagnostics->items[i];

                json_open(json, NULL, '{');
                json_text(json, "severity",
                          item->severity == DIAGNOSTIC_ERROR ? "error" : "warning");
                json_text(json, "file", diagnostics_file(diagnostics, item));
                json_unsigned(json, "line", item->line);
                json_unsigned(json, "column", item->column);
                json_text(json, "message", item->message);
                json_close(json);
        }
        json_close(json);
}

static void limit_json(struct json *json, const char *key, uint64_t limit) {
        if (limit == UINT64_MAX) {
                json_null(json, key);
        } else {
                json_unsigned(json, key, limit);
        }
}

static void schema_json(struct json *json, const struct schema *schema) {
        json_text(json, "bus", schema->bus);
        json_text(json, "package", schema->package);
        json_open(json, "topics", '[');
        for (size_t i = 0; i < schema->topic_count; i++) {
                topic_json(json, &schema->topics[i]);
        }
        json_close(json);
        json_unsigned(json, "total_bytes", schema->total_bytes);
        json_unsigned(json, "segments", schema->segment_count);
        json_open(json, "machine", '{');
        limit_json(json, "memory_bytes", schema->machine.memory_bytes);
        limit_json(json, "shmmax_bytes", schema->machine.segment_bytes_max);
        limit_json(json, "shmall_bytes", schema->machine.total_bytes_max);
        limit_json(json, "shmmni", schema->machine.segments_max);
        json_unsigned(json, "huge_page_bytes", schema->machine.huge_page_bytes);
        json_unsigned(json, "huge_pages", schema->machine.huge_pages_max);
        json_close(json);
}

/* Also a file with mistakes gives an object, so that editors can show them. */
static void
check_json(const char *path, const struct schema *schema, const struct diagnostics *diagnostics) {
        struct json json = {.out = stdout};

        json_open(&json, NULL, '{');
        json_text(&json, "file", path);
        json_bool(&json, "valid", schema != NULL);
        if (schema) {
                schema_json(&json, schema);
        }
        diagnostics_json(&json, diagnostics);
        json_close(&json);
}

/* For whom the file is read: --user, else who runs this. */
static bool user_find(const struct cli *cli, const char *name, struct schema_options *ret_options) {
        const struct passwd *user;

        *ret_options = (struct schema_options){.user = geteuid()};
        if (!name) {
                return true;
        }
        user = getpwnam(name);
        if (!user) {
                cli_error(cli, "--user %s: this machine has no such user", name);
                return false;
        }
        ret_options->user = user->pw_uid;
        return true;
}

static int
check(const struct cli *cli, const char *path, const struct schema_options *options, bool types) {
        _cleanup_(diagnostics_clear) struct diagnostics diagnostics = {0};
        _cleanup_(schema_freep) struct schema *schema = NULL;
        int r;

        r = schema_load(&schema, path, options, &diagnostics);
        if (r == -ENOMEM) {
                cli_error(cli, "%s", strerror(-r));
                return CLI_FAILURE;
        }
        if (cli->json) {
                check_json(path, schema, &diagnostics);
                return r < 0 ? CLI_FAILURE : CLI_OK;
        }
        diagnostics_print(&diagnostics, stderr, cli_colour(stderr));
        if (r < 0) {
                return CLI_FAILURE;
        }
        schema_print(cli, schema);
        if (types) {
                types_print(schema);
        }
        return CLI_OK;
}

static int check_run(struct cli *cli, int argc, char **argv) {
        struct schema_options schema_options;
        const char *user = NULL;
        bool types = false;
        const struct cli_option options[] = {
                {'t', "types", NULL, "print the text, identity and type hash of each type, too",
                 .flag = &types},
                {'u', "user", "USER",
                 "who will run the bus, and owns what the file leaves open (default: you)",
                 .text = &user},
                {0},
        };

        if (!cli_parse(cli, options, &argc, &argv)) {
                return cli->exit_code;
        }
        if (!user_find(cli, user, &schema_options)) {
                return CLI_FAILURE;
        }
        return check(cli, argv[0], &schema_options, types);
}

const struct cli_verb cli_check = {
        .name = "check",
        .arguments = "FILE",
        .least = 1,
        .most = 1,
        .common = CLI_JSON,
        .summary = "check a bus file and show what the bus takes",
        .help = "Reads the YAML file that describes a bus and says what is wrong with it, all "
                "mistakes\n"
                "at once, each with its line. A file without mistakes gives a table to plan with:\n"
                "each topic's message size, ring depth, memory, bandwidth at its nominal rate, the "
                "age\n"
                "from which it is stale, and who may publish (owner) and read (group).\n"
                "Nothing is created. FILE may be - for standard input.\n\n"
                "  slipring check rover.yaml\n"
                "  slipring check --types rover.yaml\n"
                "  slipring check --user slipring /etc/slipring/rover.yaml\n"
                "  slipring check --json rover.yaml | jq .total_bytes\n",
        .run = check_run,
};
