/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Layers of a definition laid over each other, the lowest first: maps key by key; single values and
 * lists replace; what stands in a list at the top (policy lines, assertions) is added; null takes
 * away. It knows of keys only what the table says of their types.
 *
 * A null stays in the tree, marked if it took something away, until the templates are written out:
 * it keeps what they give away too.
 */
#include <string.h>

#include "bulkhead/error.h"
#include "layers.h"

/* Two maps of which one is laid over the other. */
struct pair {
    struct pair *next;
    struct bh_yaml_node *lower;
    struct bh_yaml_node *upper;
};

struct merge {
    struct bh_layers *layers;
    struct bh_yaml_node *root; /* of what is merged */
    uint32_t layer;            /* that is laid over it now */
    struct pair *last;         /* where the next one is appended */
};

static const struct bh_schema_key *key_of(const struct bh_schema_group *group, const char *key)
{
    for (size_t i = 0; i < group->key_count; i++) {
        if (strcmp(group->keys[i].key, key) == 0) {
            return &group->keys[i];
        }
    }
    return NULL;
}

/* The things that the key of a group holds; NULL: it holds none. */
static const struct bh_schema_group *things_of(const struct bh_schema_group *group, const char *key)
{
    const struct bh_schema_key *found = key_of(group, key);

    return found != NULL && found->type == BH_SCHEMA_THINGS ? found->group : NULL;
}

/* ------------------------------------------------------------------------------- what is taken away */

static int gone_add(const struct merge *merge, const char *noun, const char *name)
{
    struct bh_gone *gone = bh_arena_take(merge->layers->forest.arena, sizeof(*gone));

    if (gone == NULL) {
        return BH_NO_MEMORY;
    }
    *gone = (struct bh_gone){merge->layers->gone, noun, name, merge->layer};
    merge->layers->gone = gone;
    return BH_OK;
}

/* Remembers it if others refer to it: a thing of the platform, all of them at once, a device. */
static int take_away(const struct merge *merge, const struct bh_yaml_node *node)
{
    const struct bh_yaml_node *parent = node->parent;
    const struct bh_schema_group *things = NULL;
    int error = BH_OK;

    if (parent == merge->root) {
        things = things_of(bh_schema_root(), node->key);
        for (const struct bh_yaml_node *entry = node->first;
             entry != NULL && things != NULL && node->kind == BH_YAML_MAP && error == BH_OK;
             entry = entry->next) {
            error = gone_add(merge, things->noun, entry->key);
        }
        return error;
    }
    if (parent->parent == merge->root) {
        things = things_of(bh_schema_root(), parent->key);
        return things == NULL ? BH_OK : gone_add(merge, things->noun, node->key);
    }
    if (parent->parent->parent == merge->root) { /* devices: null */
        things = things_of(bh_schema_root(), parent->parent->key);
        things = things == NULL ? NULL : things_of(things, node->key);
        return things == NULL ? BH_OK : gone_add(merge, things->noun, parent->key);
    }
    if (parent->parent->parent->parent == merge->root) {
        things = things_of(bh_schema_root(), parent->parent->parent->key);
        things = things == NULL ? NULL : things_of(things, parent->key);
        return things == NULL ? BH_OK : gone_add(merge, things->noun, parent->parent->key);
    }
    return BH_OK;
}

/* -------------------------------------------------------------------------------------- laying over */

static int pair_add(struct merge *merge, struct bh_yaml_node *lower, struct bh_yaml_node *upper)
{
    struct pair *pair = bh_arena_take(merge->layers->forest.arena, sizeof(*pair));

    if (pair == NULL) {
        return BH_NO_MEMORY;
    }
    pair->lower = lower;
    pair->upper = upper;
    merge->last->next = pair;
    merge->last = pair;
    return BH_OK;
}

/* Puts the entries of a list behind those of another. */
static int add_entries(const struct merge *merge, struct bh_yaml_node *lower,
                       struct bh_yaml_node *upper)
{
    struct bh_yaml_node *next = upper->first;
    int error = BH_OK;

    while (next != NULL && error == BH_OK) {
        struct bh_yaml_node *entry = next;

        next = entry->next;
        error = bh_yaml_append(&merge->layers->forest, lower, entry);
    }
    return error;
}

static bool is_added(const struct merge *merge, const struct bh_yaml_node *lower,
                     const struct bh_yaml_node *upper)
{
    const struct bh_schema_key *key = key_of(bh_schema_root(), lower->key);

    return lower->parent == merge->root && key != NULL && key->type == BH_SCHEMA_LIST &&
           lower->kind == BH_YAML_LIST && upper->kind == BH_YAML_LIST;
}

static int lay_entry(struct merge *merge, struct bh_yaml_node *lower, struct bh_yaml_node *upper)
{
    int error = BH_OK;

    if (lower->kind == BH_YAML_MAP && upper->kind == BH_YAML_MAP) {
        return pair_add(merge, lower, upper);
    }
    if (is_added(merge, lower, upper)) {
        return add_entries(merge, lower, upper);
    }
    if (bh_yaml_is_null(upper)) {
        if (bh_yaml_is_null(lower)) {
            return BH_OK; /* it is away already */
        }
        error = take_away(merge, lower);
        upper->marked = true;
    }
    bh_yaml_replace(lower, upper);
    return error;
}

static int lay_map(struct merge *merge, const struct pair *pair)
{
    struct bh_yaml_node *next = pair->upper->first;
    struct bh_yaml_index index;
    int error = bh_yaml_index_make(&index, pair->lower);

    while (next != NULL && error == BH_OK) {
        struct bh_yaml_node *entry = next;
        struct bh_yaml_node *lower = bh_yaml_index_find(&index, entry->key);

        next = entry->next;
        error = lower == NULL ? bh_yaml_append(&merge->layers->forest, pair->lower, entry)
                              : lay_entry(merge, lower, entry);
    }
    bh_yaml_index_finish(&index);
    return error;
}

static int lay_over(struct bh_layers *layers, uint32_t layer)
{
    struct pair first = {NULL, layers->roots[0], layers->roots[layer]};
    struct merge merge = {layers, layers->roots[0], layer, &first};
    int error = BH_OK;

    for (const struct pair *pair = &first; pair != NULL && error == BH_OK; pair = pair->next) {
        error = lay_map(&merge, pair);
    }
    return error == BH_OK ? bh_gone_things(layers, layer) : error;
}

int bh_layers_merge(struct bh_layers *layers)
{
    int error = BH_OK;

    for (uint32_t i = 1; i < layers->count && error == BH_OK; i++) {
        error = lay_over(layers, i);
    }
    return error;
}

/* ---------------------------------------------------------------------------------------- nulls */

static bool is_done(const void *context, const struct bh_yaml_node *entry)
{
    (void)context;
    return entry->marked && bh_yaml_is_null(entry);
}

void bh_layers_clean(const struct bh_layers *layers)
{
    struct bh_yaml_node *root = layers->roots[0];

    for (struct bh_yaml_node *node = root; node != NULL; node = bh_yaml_next(root, node)) {
        if (node->kind == BH_YAML_MAP) {
            bh_yaml_remove(node, is_done, NULL);
        }
    }
}
