#ifndef SLIPRING_SCHEMA_NODE_H
#define SLIPRING_SCHEMA_NODE_H

/*
 * The subset of YAML that a schema is written in, as a tree.
 *
 * One document of mappings, lists and text. What would let a file mean something else than it
 * seems to (anchors and aliases, tags, merge keys, several documents, other encodings) is refused,
 * and so is what would cost more than its size (nesting, aliases again). Values are text here; what
 * they mean is for their readers to say.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "schema/arena.h"
#include "schema/diagnostics.h"

/** Limits of the language. */
#define NODE_FILE_BYTES_MAX (1024u * 1024u)
#define NODE_SCALAR_BYTES_MAX 4096u
#define NODE_NESTING_MAX 16u

enum node_kind {
        NODE_TEXT,
        NODE_LIST,
        NODE_MAPPING,
};

/**
 * struct node - one value
 * @kind:       one of enum node_kind
 * @quoted:     text that stood in quotes or in a block
 * @broken:     a mistake was reported for it already: to be passed over in silence
 * @line:       where it starts, from 1
 * @column:     from 1, in characters
 * @text:       of text: the text, NUL-terminated and without NUL inside
 * @count:      of a list its elements, of a mapping its pairs
 * @first:      first element; of a mapping the first key
 * @last:       last element; of a mapping the last value
 * @next:       next element; the value that follows a key, the next key that follows a value
 */
struct node {
        enum node_kind kind;
        bool quoted;
        bool broken;
        uint32_t line;
        uint32_t column;
        const char *text;
        size_t count;
        struct node *first;
        struct node *last;
        struct node *next;
};

/**
 * node_parse() - read a file's text
 * @ret_root:           set to the document's value on success; NULL if there is none to work with
 * @arena:              arena that owns the tree
 * @diagnostics:        what is wrong with the text
 * @text:               the text
 * @bytes:              its size
 *
 * Return: 0 (also with mistakes), -ENOMEM if there is no memory.
 */
int node_parse(struct node **ret_root,
               struct arena *arena,
               struct diagnostics *diagnostics,
               const char *text,
               size_t bytes);

/**
 * node_get() - look a key up
 * @mapping:    mapping
 * @key:        key
 *
 * Return: the key's value, NULL if it is not there or not usable.
 */
struct node *node_get(const struct node *mapping, const char *key);

/**
 * node_get_key() - look a key itself up
 * @mapping:    mapping
 * @key:        key
 *
 * Return: the key's node, whose @next is the value, or NULL.
 */
struct node *node_get_key(const struct node *mapping, const char *key);

/**
 * node_describe() - say what a node is
 * @node:       node
 *
 * Return: "text", "a list", "a mapping" or "empty".
 */
const char *node_describe(const struct node *node);

/** Goes through the pairs of a mapping. */
#define NODE_FOR_EACH_PAIR(key, mapping)                                                           \
        for (struct node *key = (mapping)->first; key; key = key->next->next)

#endif
