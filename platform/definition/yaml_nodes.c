/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The nodes of a YAML tree: made, put in, taken out, found. Work and size are bounded here, because
 * what is written in a file decides how many there are.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "bulkhead/error.h"
#include "yaml_tree.h"

int bh_yaml_node_make(struct bh_yaml_forest *forest, struct bh_origin at,
                      struct bh_yaml_node **made)
{
    if (forest->nodes == BH_YAML_NODES_MAX) {
        bh_diagnostics_add(forest->diagnostics, BH_SEVERITY_ERROR, "size", at,
                           "the definition has more than %u values", BH_YAML_NODES_MAX);
        return BH_INVALID;
    }
    *made = bh_arena_take(forest->arena, sizeof(**made));
    if (*made == NULL) {
        return BH_NO_MEMORY;
    }
    forest->nodes++;
    (*made)->at = at;
    return BH_OK;
}

static int check_room(const struct bh_yaml_forest *forest, const struct bh_yaml_node *parent,
                      const struct bh_yaml_node *entry, uint32_t more)
{
    if (more > BH_YAML_ENTRIES_MAX - parent->count) {
        bh_diagnostics_add(forest->diagnostics, BH_SEVERITY_ERROR, "size", entry->at,
                           "more than %u entries in one %s", BH_YAML_ENTRIES_MAX,
                           parent->kind == BH_YAML_MAP ? "map" : "list");
        return BH_INVALID;
    }
    return BH_OK;
}

int bh_yaml_append(const struct bh_yaml_forest *forest, struct bh_yaml_node *parent,
                   struct bh_yaml_node *entry)
{
    int error = check_room(forest, parent, entry, 1);

    if (error != BH_OK) {
        return error;
    }
    entry->parent = parent;
    entry->next = NULL;
    if (parent->last == NULL) {
        parent->first = entry;
    } else {
        parent->last->next = entry;
    }
    parent->last = entry;
    parent->count++;
    return BH_OK;
}

int bh_yaml_prepend(const struct bh_yaml_forest *forest, struct bh_yaml_node *parent,
                    struct bh_yaml_node *first, struct bh_yaml_node *last, uint32_t count)
{
    int error = count == 0 ? BH_OK : check_room(forest, parent, first, count);

    if (error != BH_OK || count == 0) {
        return error;
    }
    for (struct bh_yaml_node *entry = first; entry != NULL; entry = entry->next) {
        entry->parent = parent;
    }
    last->next = parent->first;
    parent->first = first;
    if (parent->last == NULL) {
        parent->last = last;
    }
    parent->count += count;
    return BH_OK;
}

void bh_yaml_remove(struct bh_yaml_node *parent,
                    bool (*goes)(const void *context, const struct bh_yaml_node *entry),
                    const void *context)
{
    struct bh_yaml_node **link = &parent->first;

    parent->last = NULL;
    while (*link != NULL) {
        if (goes(context, *link)) {
            *link = (*link)->next;
            parent->count--;
        } else {
            parent->last = *link;
            link = &(*link)->next;
        }
    }
}

void bh_yaml_replace(struct bh_yaml_node *node, struct bh_yaml_node *by)
{
    node->kind = by->kind;
    node->plain = by->plain;
    node->marked = by->marked;
    node->text = by->text;
    node->at = by->at;
    node->key_at = by->key_at;
    node->first = by->first;
    node->last = by->last;
    node->count = by->count;
    for (struct bh_yaml_node *entry = node->first; entry != NULL; entry = entry->next) {
        entry->parent = node;
    }
    by->first = NULL;
    by->last = NULL;
    by->count = 0;
}

struct bh_yaml_node *bh_yaml_find(const struct bh_yaml_node *map, const char *key)
{
    struct bh_yaml_node *entry = map->kind == BH_YAML_MAP ? map->first : NULL;

    while (entry != NULL && strcmp(entry->key, key) != 0) {
        entry = entry->next;
    }
    return entry;
}

struct bh_yaml_node *bh_yaml_next(const struct bh_yaml_node *root, const struct bh_yaml_node *node)
{
    if (node->first != NULL) {
        return node->first;
    }
    while (node != root && node->next == NULL) {
        node = node->parent;
    }
    return node == root ? NULL : node->next;
}

bool bh_yaml_is_null(const struct bh_yaml_node *node)
{
    static const char *const words[] = {"~", "null", "Null", "NULL"};

    if (node->kind != BH_YAML_SCALAR || !node->plain) {
        return false;
    }
    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
        if (strcmp(node->text, words[i]) == 0) {
            return true;
        }
    }
    return false;
}

/* ----------------------------------------------------------------------------------------- index */

static int by_key(const void *a, const void *b)
{
    const struct bh_yaml_node *const *x = a;
    const struct bh_yaml_node *const *y = b;
    int order = strcmp((*x)->key, (*y)->key);

    if (order != 0) {
        return order;
    }
    if ((*x)->key_at.line != (*y)->key_at.line) {
        return (*x)->key_at.line < (*y)->key_at.line ? -1 : 1;
    }
    return (*x)->key_at.column < (*y)->key_at.column ? -1 : 1;
}

int bh_yaml_index_make(struct bh_yaml_index *index, const struct bh_yaml_node *map)
{
    *index = (struct bh_yaml_index){.map = map};
    if (map->count <= BH_YAML_SMALL) {
        return BH_OK;
    }
    index->sorted = calloc(map->count, sizeof(struct bh_yaml_node *));
    if (index->sorted == NULL) {
        return BH_NO_MEMORY;
    }
    for (struct bh_yaml_node *entry = map->first; entry != NULL; entry = entry->next) {
        index->sorted[index->count++] = entry;
    }
    qsort(index->sorted, index->count, sizeof(struct bh_yaml_node *), by_key);
    return BH_OK;
}

static int by_name(const void *name, const void *entry)
{
    return strcmp(name, (*(const struct bh_yaml_node *const *)entry)->key);
}

struct bh_yaml_node *bh_yaml_index_find(const struct bh_yaml_index *index, const char *key)
{
    struct bh_yaml_node *const *found;

    if (index->sorted == NULL) {
        return bh_yaml_find(index->map, key);
    }
    found = bsearch(key, index->sorted, index->count, sizeof(struct bh_yaml_node *), by_name);
    return found == NULL ? NULL : *found;
}

void bh_yaml_index_finish(struct bh_yaml_index *index)
{
    free(index->sorted);
    index->sorted = NULL;
}
