/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A YAML text as a tree of bounded size in which each key and value knows where it stands. Only
 * what a definition needs: maps with words as keys, lists, scalars, in block and flow style. What
 * YAML has besides (anchors, aliases, tags, more documents than one, maps as keys) is refused, so
 * the tree is a tree. It knows nothing about the keys of a definition. Private to platform/.
 */
#ifndef PLATFORM_YAML_TREE_H
#define PLATFORM_YAML_TREE_H

#include <stdbool.h>

#include "arena.h"
#include "bulkhead/platform_diagnostic.h"

#define BH_YAML_DEPTH_MAX   16u     /* maps and lists in each other, in one text */
#define BH_YAML_NODES_MAX   131072u /* of all texts together, templates written out */
#define BH_YAML_ENTRIES_MAX 4096u   /* of one map or list */

enum bh_yaml_kind { BH_YAML_SCALAR, BH_YAML_LIST, BH_YAML_MAP };

struct bh_yaml_node {
    enum bh_yaml_kind kind;
    bool plain;       /* a scalar without quotes */
    bool marked;      /* a null: it took something away; a template: it is used (layers.h) */
    const char *text; /* of a scalar: UTF-8; line breaks and tabs are the only control characters */
    struct bh_origin at;
    const char *key; /* of an entry of a map: no control characters, not empty */
    struct bh_origin key_at;
    struct bh_yaml_node *first; /* entries of a map or list */
    struct bh_yaml_node *last;
    struct bh_yaml_node *parent;
    struct bh_yaml_node *next; /* the next entry of the map or list that it belongs to */
    uint32_t count;            /* of entries */
};

/* What the trees of one definition share. */
struct bh_yaml_forest {
    struct bh_arena *arena;
    struct bh_diagnostics *diagnostics;
    uint32_t nodes; /* that were made */
};

/* Reads a text into a tree; both live in the arena. `file` is for the places. BH_OK and *root;
 * *root is NULL where the text holds nothing. BH_INVALID: said in `diagnostics`. BH_NO_MEMORY. */
int bh_yaml_parse(struct bh_yaml_node **root, struct bh_yaml_forest *forest, const char *text,
                  size_t length, uint16_t file);

/* ------------------------------------------------------------------------------------------------
 * yaml_nodes.c: single nodes. What is refused for its size is said; errors as bh_yaml_parse has. */

/* Makes a node; it belongs to nothing yet. `at` is for the message. */
int bh_yaml_node_make(struct bh_yaml_forest *forest, struct bh_origin at,
                      struct bh_yaml_node **made);

/* Puts an entry at the end of a map or list. */
int bh_yaml_append(const struct bh_yaml_forest *forest, struct bh_yaml_node *parent,
                   struct bh_yaml_node *entry);

/* Puts a chain of entries (first..last by `next`) before all others of a map. */
int bh_yaml_prepend(const struct bh_yaml_forest *forest, struct bh_yaml_node *parent,
                    struct bh_yaml_node *first, struct bh_yaml_node *last, uint32_t count);

/* Takes entries out of a map or list: those for which `goes` is true. */
void bh_yaml_remove(struct bh_yaml_node *parent,
                    bool (*goes)(const void *context, const struct bh_yaml_node *entry),
                    const void *context);

/* Gives a node the value of another, whose entries it takes over; key and place in its parent stay. */
void bh_yaml_replace(struct bh_yaml_node *node, struct bh_yaml_node *by);

/* The entry of a map; NULL: there is none, or it is no map. */
struct bh_yaml_node *bh_yaml_find(const struct bh_yaml_node *map, const char *key);

/* The node that comes after `node` in a walk over all below `root`, parents first; NULL: none. */
struct bh_yaml_node *bh_yaml_next(const struct bh_yaml_node *root, const struct bh_yaml_node *node);

/* YAML's words for nothing, written out: ~ and null. */
bool bh_yaml_is_null(const struct bh_yaml_node *node);

/* The entries of a map in the order of their keys, then of their places: many look-ups in large maps. */
struct bh_yaml_index {
    struct bh_yaml_node **sorted; /* NULL: the map is small, and is looked through */
    const struct bh_yaml_node *map;
    uint32_t count; /* of what is sorted */
};
#define BH_YAML_SMALL 16u /* entries of a map that are quicker to look through than to sort */

/* BH_NO_MEMORY. Entries that come later are not in it. */
int bh_yaml_index_make(struct bh_yaml_index *index, const struct bh_yaml_node *map);
struct bh_yaml_node *bh_yaml_index_find(const struct bh_yaml_index *index, const char *key);
void bh_yaml_index_finish(struct bh_yaml_index *index);

#endif
