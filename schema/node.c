#include "schema/node.h"

#include <errno.h>
#include <string.h>
#include <yaml.h>

#include "schema/utf8.h"
#include "schema/util.h"

/**
 * struct parse - a parse under way
 * @arena:              owns the nodes
 * @diagnostics:        takes the mistakes
 * @open:               the lists and mappings that are not closed yet
 * @depth:              how many
 * @root:               the first document's value
 * @documents:          documents begun so far
 * @stopped:            a mistake after which nothing can be understood
 */
struct parse {
        struct arena *arena;
        struct diagnostics *diagnostics;
        struct node *open[NODE_NESTING_MAX];
        size_t depth;
        struct node *root;
        unsigned documents;
        bool stopped;
};

/*
 * Encoding
 */

/* Names the encoding of a text that is not UTF-8 as a whole, NULL if it seems to be. */
static const char *encoding_name(const char *text, size_t bytes) {
        if (bytes >= 4 && (!memcmp(text, "\xff\xfe\0\0", 4) || !memcmp(text, "\0\0\xfe\xff", 4))) {
                return "UTF-32";
        }
        if (bytes >= 2 && (!memcmp(text, "\xff\xfe", 2) || !memcmp(text, "\xfe\xff", 2))) {
                return "UTF-16";
        }
        /* Without a byte order mark: a schema begins with an ASCII character. */
        if (bytes >= 4 && (!text[0] != !text[1]) && (!text[2] != !text[3])) {
                return "UTF-16";
        }
        return NULL;
}

static bool character_is_allowed(uint32_t character) {
        return character == '\t' || character == '\n' || character == '\r' ||
               utf8_is_visible(character);
}

static void character_report(struct parse *parse,
                             uint32_t line,
                             uint32_t column,
                             size_t length,
                             unsigned char byte,
                             uint32_t character) {
        if (length == 0) {
                diagnostics_add(parse->diagnostics, DIAGNOSTIC_ERROR, line, column,
                                "byte 0x%02x is not UTF-8 here", byte);
        } else {
                diagnostics_add(parse->diagnostics, DIAGNOSTIC_ERROR, line, column,
                                "the %s character U+%04X cannot stand in a schema",
                                character < 0x20 || character == 0x7f ? "control" : "invisible",
                                character);
        }
}

/* Looks at each character, so that libyaml, which knows no line for these, never meets a bad one.
 */
static bool encoding_check(struct parse *parse, const char *text, size_t bytes) {
        uint32_t line = 1, column = 1;
        const char *name;

        name = encoding_name(text, bytes);
        if (name) {
                diagnostics_add(parse->diagnostics, DIAGNOSTIC_ERROR, 1, 1,
                                "the file is in %s; a schema is in UTF-8 (iconv -f %s -t UTF-8)",
                                name, name);
                return false;
        }
        while (bytes > 0) {
                uint32_t character = 0;
                size_t length;

                length = utf8_decode(text, bytes, &character);
                if (length == 0 || !character_is_allowed(character)) {
                        character_report(parse, line, column, length, (unsigned char) text[0],
                                         character);
                        return false;
                }
                if (character == '\n' || (character == '\r' && (bytes == 1 || text[1] != '\n'))) {
                        line++;
                        column = 1;
                } else {
                        column++;
                }
                text += length;
                bytes -= length;
        }
        return true;
}

/*
 * Events
 */

static void parse_error(struct parse *parse, const yaml_mark_t *mark, const char *message) {
        diagnostics_add(parse->diagnostics, DIAGNOSTIC_ERROR, (uint32_t) mark->line + 1,
                        (uint32_t) mark->column + 1, "%s", message);
}

/* An anchor, alias or tag makes a file mean something else than what stands there. */
static void parse_refuse_properties(struct parse *parse,
                                    struct node *node,
                                    const yaml_mark_t *mark,
                                    const void *anchor,
                                    const void *tag) {
        if (anchor) {
                parse_error(parse, mark, "anchors ('&') are not part of the schema language");
                node->broken = true;
        }
        if (tag) {
                parse_error(parse, mark, "tags ('!') are not part of the schema language");
                node->broken = true;
        }
}

/* Is the next child of an open mapping a key? */
static bool parse_expects_key(const struct node *parent) {
        return parent->kind == NODE_MAPPING && parent->count % 2 == 0;
}

static void parse_check_key(struct parse *parse, struct node *key, const yaml_mark_t *mark) {
        if (key->broken) {
                return;
        }
        if (key->kind != NODE_TEXT) {
                parse_error(parse, mark, "a key must be text");
                key->broken = true;
        } else if (!key->quoted && !strcmp(key->text, "<<")) {
                parse_error(parse, mark, "merge keys ('<<') are not part of the schema language");
                key->broken = true;
        } else if (key->text[0] == '\0') {
                parse_error(parse, mark, "an empty key");
                key->broken = true;
        }
}

/* Makes a node and hangs it into the innermost open list or mapping. */
static struct node *parse_node(struct parse *parse, enum node_kind kind, const yaml_mark_t *mark) {
        struct node *node, *parent;

        node = arena_alloc(parse->arena, 1, sizeof(*node));
        if (!node) {
                return NULL;
        }
        node->kind = kind;
        node->text = "";
        node->line = (uint32_t) mark->line + 1;
        node->column = (uint32_t) mark->column + 1;
        if (parse->depth == 0) {
                parse->root = node;
                return node;
        }
        parent = parse->open[parse->depth - 1];
        if (parent->last) {
                parent->last->next = node;
        } else {
                parent->first = node;
        }
        parent->last = node;
        return node;
}

/* A child of the innermost open list or mapping is complete. Mappings count pairs in the end. */
static void parse_added(struct parse *parse, struct node *node, const yaml_mark_t *mark) {
        struct node *parent;

        if (parse->depth == 0) {
                return;
        }
        parent = parse->open[parse->depth - 1];
        if (parse_expects_key(parent)) {
                parse_check_key(parse, node, mark);
        }
        parent->count++;
}

static int parse_text(struct parse *parse, const yaml_event_t *event) {
        const char *value = (const char *) event->data.scalar.value;
        size_t bytes = event->data.scalar.length;
        struct node *node;

        node = parse_node(parse, NODE_TEXT, &event->start_mark);
        if (!node) {
                return -ENOMEM;
        }
        node->quoted = event->data.scalar.style != YAML_PLAIN_SCALAR_STYLE;
        if (bytes > NODE_SCALAR_BYTES_MAX) {
                parse_error(parse, &event->start_mark, "a text longer than 4096 bytes");
                node->broken = true;
                bytes = NODE_SCALAR_BYTES_MAX;
        } else if (memchr(value, '\0', bytes)) {
                parse_error(parse, &event->start_mark, "a text with a NUL character");
                node->broken = true;
        }
        node->text = arena_copy(parse->arena, value, bytes);
        if (!node->text) {
                return -ENOMEM;
        }
        parse_refuse_properties(parse, node, &event->start_mark, event->data.scalar.anchor,
                                event->data.scalar.tag);
        parse_added(parse, node, &event->start_mark);
        return 0;
}

static int parse_alias(struct parse *parse, const yaml_event_t *event) {
        struct node *node;

        node = parse_node(parse, NODE_TEXT, &event->start_mark);
        if (!node) {
                return -ENOMEM;
        }
        parse_error(parse, &event->start_mark, "aliases ('*') are not part of the schema language");
        node->broken = true;
        parse_added(parse, node, &event->start_mark);
        return 0;
}

static int parse_open(struct parse *parse,
                      enum node_kind kind,
                      const yaml_event_t *event,
                      const void *anchor,
                      const void *tag) {
        struct node *node;

        if (parse->depth >= NODE_NESTING_MAX) {
                parse_error(parse, &event->start_mark, "nested deeper than 16 levels");
                parse->stopped = true;
                return 0;
        }
        node = parse_node(parse, kind, &event->start_mark);
        if (!node) {
                return -ENOMEM;
        }
        parse_refuse_properties(parse, node, &event->start_mark, anchor, tag);
        parse_added(parse, node, &event->start_mark);
        parse->open[parse->depth++] = node;
        return 0;
}

static void parse_close(struct parse *parse) {
        struct node *node = parse->open[--parse->depth];

        if (node->kind == NODE_MAPPING) {
                node->count /= 2;
        }
}

static void parse_document(struct parse *parse, const yaml_event_t *event) {
        if (event->data.document_start.tag_directives.start !=
            event->data.document_start.tag_directives.end) {
                parse_error(parse, &event->start_mark,
                            "tags ('%TAG') are not part of the schema language");
                parse->stopped = true;
        } else if (parse->documents++ > 0) {
                parse_error(parse, &event->start_mark,
                            "a second document: a schema is one document");
                parse->stopped = true;
        }
}

static int parse_event(struct parse *parse, const yaml_event_t *event) {
        switch (event->type) {
        case YAML_DOCUMENT_START_EVENT:
                parse_document(parse, event);
                return 0;
        case YAML_SCALAR_EVENT:
                return parse_text(parse, event);
        case YAML_ALIAS_EVENT:
                return parse_alias(parse, event);
        case YAML_SEQUENCE_START_EVENT:
                return parse_open(parse, NODE_LIST, event, event->data.sequence_start.anchor,
                                  event->data.sequence_start.tag);
        case YAML_MAPPING_START_EVENT:
                return parse_open(parse, NODE_MAPPING, event, event->data.mapping_start.anchor,
                                  event->data.mapping_start.tag);
        case YAML_SEQUENCE_END_EVENT:
        case YAML_MAPPING_END_EVENT:
                parse_close(parse);
                return 0;
        default:
                return 0;
        }
}

/*
 * Syntax errors
 */

/* The line with some number, from 0, in a text without exotic line breaks. */
static const char *source_line(const char *text, size_t bytes, size_t line, size_t *ret_length) {
        const char *end = text + bytes, *stop;

        while (line-- > 0 && text < end) {
                stop = memchr(text, '\n', (size_t) (end - text));
                text = stop ? stop + 1 : end;
        }
        stop = memchr(text, '\n', (size_t) (end - text));
        *ret_length = (size_t) ((stop ? stop : end) - text);
        return text;
}

/* Everybody once writes {type: float32[3]}, and what libyaml says to it helps nobody. */
static bool source_has_bare_array(const char *line, size_t length) {
        for (size_t i = 1; i + 1 < length; i++) {
                bool word = (line[i - 1] >= 'a' && line[i - 1] <= 'z') ||
                            (line[i - 1] >= 'A' && line[i - 1] <= 'Z') ||
                            (line[i - 1] >= '0' && line[i - 1] <= '9');

                if (line[i] == '[' && word && line[i + 1] >= '0' && line[i + 1] <= '9') {
                        return true;
                }
        }
        return false;
}

static void parse_syntax_error(struct parse *parse,
                               const yaml_parser_t *parser,
                               const char *text,
                               size_t bytes) {
        const char *line, *hint = "";
        size_t length;

        line = source_line(text, bytes, parser->problem_mark.line, &length);
        if (source_has_bare_array(line, length)) {
                hint = "; inside braces an array type stands in quotes: \"float32[3]\"";
        }
        diagnostics_add(parse->diagnostics, DIAGNOSTIC_ERROR,
                        (uint32_t) parser->problem_mark.line + 1,
                        (uint32_t) parser->problem_mark.column + 1, "not YAML: %s%s%s%s",
                        parser->problem ? parser->problem : "cannot be read",
                        parser->context ? " " : "", parser->context ? parser->context : "", hint);
        parse->stopped = true;
}

static int
parse_events(struct parse *parse, yaml_parser_t *parser, const char *text, size_t bytes) {
        bool end = false;
        int r = 0;

        while (r == 0 && !end && !parse->stopped) {
                yaml_event_t event;

                if (!yaml_parser_parse(parser, &event)) {
                        if (parser->error == YAML_MEMORY_ERROR) {
                                return -ENOMEM;
                        }
                        parse_syntax_error(parse, parser, text, bytes);
                        break;
                }
                end = event.type == YAML_STREAM_END_EVENT;
                r = parse_event(parse, &event);
                yaml_event_delete(&event);
        }
        return r;
}

static int parse_yaml(struct parse *parse, const char *text, size_t bytes) {
        yaml_parser_t parser;
        int r;

        if (!yaml_parser_initialize(&parser)) {
                return -ENOMEM;
        }
        yaml_parser_set_encoding(&parser, YAML_UTF8_ENCODING);
        yaml_parser_set_input_string(&parser, (const unsigned char *) text, bytes);
        r = parse_events(parse, &parser, text, bytes);
        yaml_parser_delete(&parser);
        return r;
}

int node_parse(struct node **ret_root,
               struct arena *arena,
               struct diagnostics *diagnostics,
               const char *text,
               size_t bytes) {
        struct parse parse = {.arena = arena, .diagnostics = diagnostics};
        int r;

        *ret_root = NULL;
        if (bytes > NODE_FILE_BYTES_MAX) {
                diagnostics_add(diagnostics, DIAGNOSTIC_ERROR, 0, 0,
                                "the file is larger than 1 MiB");
                return 0;
        }
        /* Some editors put a byte order mark in front. It is no character of the first line. */
        if (bytes >= 3 && !memcmp(text, "\xef\xbb\xbf", 3)) {
                text += 3;
                bytes -= 3;
        }
        if (!encoding_check(&parse, text, bytes)) {
                return 0;
        }
        r = parse_yaml(&parse, text, bytes);
        if (r < 0) {
                return r;
        }
        if (!parse.root && !parse.stopped) {
                diagnostics_add(diagnostics, DIAGNOSTIC_ERROR, 1, 1, "the file is empty");
        }
        /* A tree that was cut short would only look as if things were missing in it. */
        *ret_root = parse.stopped ? NULL : parse.root;
        return 0;
}

struct node *node_get_key(const struct node *mapping, const char *key) {
        NODE_FOR_EACH_PAIR(name, mapping) {
                if (!name->broken && !strcmp(name->text, key)) {
                        return name;
                }
        }
        return NULL;
}

struct node *node_get(const struct node *mapping, const char *key) {
        struct node *name = node_get_key(mapping, key);

        return name && !name->next->broken ? name->next : NULL;
}

const char *node_describe(const struct node *node) {
        if (node->kind == NODE_LIST) {
                return "a list";
        }
        if (node->kind == NODE_MAPPING) {
                return "a mapping";
        }
        return node->text[0] || node->quoted ? "text" : "empty";
}
