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

#define BH_YAML_DEPTH_MAX   16u    /* maps and lists in each other */
#define BH_YAML_NODES_MAX   65536u /* of the whole text */
#define BH_YAML_ENTRIES_MAX 1024u  /* of one map or list */

enum bh_yaml_kind { BH_YAML_SCALAR, BH_YAML_LIST, BH_YAML_MAP };

struct bh_yaml_node {
    enum bh_yaml_kind kind;
    bool plain;       /* a scalar without quotes */
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

/* Reads a text into a tree; both live in `arena`. BH_OK and *root; *root is NULL where the text
 * holds nothing. BH_INVALID: said in `diagnostics`. BH_NO_MEMORY. */
int bh_yaml_parse(struct bh_yaml_node **root, struct bh_arena *arena, const char *text,
                  size_t length, struct bh_diagnostics *diagnostics);

#endif
