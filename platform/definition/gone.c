/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a layer takes away takes along what the layers below say about it: policy lines that name a
 * guest or a resource that is gone, or a resource that no device of the guest uses any more;
 * assertions that name a guest or a resource that is gone. The layer's own lines stay, and are
 * checked like all others.
 *
 * An assertion goes only where nothing is left to assert. `through` a guest that is gone still
 * says something (that nothing may reach it otherwise), so it stays and is an error; and a list of
 * guests loses a name, but goes only when there are no two left.
 */
#include <stdlib.h>
#include <string.h>

#include "bulkhead/error.h"
#include "layers.h"

/* Names that are gone, sorted. */
struct lost {
    const struct bh_layers *layers;
    const struct bh_gone **sorted;
    uint32_t count;
    uint32_t layer; /* whose own lines stay */
};

static int by_noun_and_name(const void *a, const void *b)
{
    const struct bh_gone *const *x = a;
    const struct bh_gone *const *y = b;
    int order = strcmp((*x)->noun, (*y)->noun);

    return order != 0 ? order : strcmp((*x)->name, (*y)->name);
}

static bool is_lost(const struct lost *lost, const char *noun, const struct bh_yaml_node *named)
{
    struct bh_gone wanted = {.noun = noun};
    const struct bh_gone *key = &wanted;

    if (named == NULL || named->kind != BH_YAML_SCALAR) {
        return false;
    }
    wanted.name = named->text;
    return bsearch(&key, lost->sorted, lost->count, sizeof(const struct bh_gone *),
                   by_noun_and_name) != NULL;
}

static bool is_lost_thing(const struct lost *lost, const struct bh_yaml_node *named)
{
    return is_lost(lost, "guest", named) || is_lost(lost, "resource", named);
}

static bool is_lost_name(const void *context, const struct bh_yaml_node *entry)
{
    return is_lost_thing(context, entry);
}

static bool is_marked(const void *context, const struct bh_yaml_node *entry)
{
    (void)context;
    return entry->marked;
}

/* Whether an entry of policy or assert stands in a layer below. */
static bool is_below(const struct bh_layers *layers, const struct bh_yaml_node *entry,
                     uint32_t layer)
{
    return entry->kind == BH_YAML_MAP && layers->order[entry->at.file] < layer;
}

static void judge_lines(const struct lost *lost, struct bh_yaml_node *lines)
{
    for (struct bh_yaml_node *line = lines->first; line != NULL; line = line->next) {
        line->marked = is_below(lost->layers, line, lost->layer) &&
                       (is_lost(lost, "guest", bh_yaml_find(line, "guest")) ||
                        is_lost(lost, "resource", bh_yaml_find(line, "resource")));
    }
    bh_yaml_remove(lines, is_marked, NULL);
}

/* Whether one form of an assertion, such as no-flow, has nothing to assert any more. */
static bool form_goes(const struct lost *lost, const struct bh_yaml_node *form)
{
    for (struct bh_yaml_node *part = form->first; part != NULL; part = part->next) {
        if (part->kind == BH_YAML_LIST) {
            uint32_t before = part->count;

            bh_yaml_remove(part, is_lost_name, lost);
            if (part->count < 2 && part->count != before) {
                return true;
            }
        } else if (form->kind == BH_YAML_MAP && strcmp(part->key, "through") != 0 &&
                   is_lost_thing(lost, part)) {
            return true;
        }
    }
    return false;
}

static void judge_assertions(const struct lost *lost, struct bh_yaml_node *assertions)
{
    for (struct bh_yaml_node *one = assertions->first; one != NULL; one = one->next) {
        if (!is_below(lost->layers, one, lost->layer)) {
            continue;
        }
        for (struct bh_yaml_node *form = one->first; form != NULL && !one->marked;
             form = form->next) {
            one->marked = form->kind == BH_YAML_MAP && form_goes(lost, form);
        }
    }
    bh_yaml_remove(assertions, is_marked, NULL);
}

int bh_gone_things(const struct bh_layers *layers, uint32_t layer)
{
    struct lost lost = {.layers = layers, .layer = layer};
    struct bh_yaml_node *list;
    uint32_t count = 0;

    for (const struct bh_gone *gone = layers->gone; gone != NULL && gone->layer == layer;
         gone = gone->next) {
        count++;
    }
    if (count == 0) {
        return BH_OK;
    }
    lost.sorted = calloc(count, sizeof(const struct bh_gone *));
    if (lost.sorted == NULL) {
        return BH_NO_MEMORY;
    }
    for (const struct bh_gone *gone = layers->gone; lost.count < count; gone = gone->next) {
        lost.sorted[lost.count++] = gone;
    }
    qsort(lost.sorted, count, sizeof(const struct bh_gone *), by_noun_and_name);
    list = bh_yaml_find(layers->roots[0], "policy");
    if (list != NULL && list->kind == BH_YAML_LIST) {
        judge_lines(&lost, list);
    }
    list = bh_yaml_find(layers->roots[0], "assert");
    if (list != NULL && list->kind == BH_YAML_LIST) {
        judge_assertions(&lost, list);
    }
    free(lost.sorted);
    return BH_OK;
}

/* -------------------------------------------------------------------------------------- devices */

/* A guest that lost a device, and the resources that its devices still use. */
struct thinned {
    const char *guest;
    uint32_t layer; /* the last that took one away */
    const char **resources;
    uint32_t count;
};

static int by_text(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static int collect_resources(struct thinned *thinned, const struct bh_yaml_node *devices)
{
    if (devices == NULL || devices->count == 0) {
        return BH_OK;
    }
    thinned->resources = calloc(devices->count, sizeof(*thinned->resources));
    if (thinned->resources == NULL) {
        return BH_NO_MEMORY;
    }
    for (const struct bh_yaml_node *device = devices->first; device != NULL;
         device = device->next) {
        const struct bh_yaml_node *resource = bh_yaml_find(device, "resource");

        if (resource != NULL && resource->kind == BH_YAML_SCALAR) {
            thinned->resources[thinned->count++] = resource->text;
        }
    }
    qsort(thinned->resources, thinned->count, sizeof(*thinned->resources), by_text);
    return BH_OK;
}

static bool still_uses(const struct thinned *thinned, const char *resource)
{
    return thinned->count != 0 && bsearch(&resource, thinned->resources, thinned->count,
                                          sizeof(*thinned->resources), by_text) != NULL;
}

static int judge_guest(const struct bh_layers *layers, const struct bh_gone *gone,
                       struct bh_yaml_node *lines, const struct bh_yaml_node *guests)
{
    struct thinned thinned = {.guest = gone->name, .layer = gone->layer};
    const struct bh_yaml_node *guest = bh_yaml_find(guests, gone->name);
    int error = guest == NULL ? BH_OK : collect_resources(&thinned, bh_yaml_find(guest, "devices"));

    for (struct bh_yaml_node *line = lines->first; line != NULL && error == BH_OK;
         line = line->next) {
        const struct bh_yaml_node *named = bh_yaml_find(line, "guest");
        const struct bh_yaml_node *resource = bh_yaml_find(line, "resource");

        if (is_below(layers, line, thinned.layer) && named != NULL && resource != NULL &&
            named->kind == BH_YAML_SCALAR && resource->kind == BH_YAML_SCALAR &&
            strcmp(named->text, thinned.guest) == 0) {
            line->marked = !still_uses(&thinned, resource->text);
        }
    }
    free(thinned.resources);
    return error;
}

/* Whether a later entry of the list, which is an earlier one of the definition, says the same. */
static bool is_said_again(const struct bh_gone *gone)
{
    const struct bh_gone *next = gone->next;

    return next != NULL && strcmp(next->noun, gone->noun) == 0 &&
           strcmp(next->name, gone->name) == 0 && next->layer == gone->layer;
}

int bh_gone_devices(const struct bh_layers *layers)
{
    struct bh_yaml_node *lines = bh_yaml_find(layers->roots[0], "policy");
    const struct bh_yaml_node *guests = bh_yaml_find(layers->roots[0], "guests");
    int error = BH_OK;

    if (lines == NULL || lines->kind != BH_YAML_LIST || guests == NULL) {
        return BH_OK;
    }
    for (const struct bh_gone *gone = layers->gone; gone != NULL && error == BH_OK;
         gone = gone->next) {
        if (strcmp(gone->noun, "device") == 0 && !is_said_again(gone)) {
            error = judge_guest(layers, gone, lines, guests);
        }
    }
    bh_yaml_remove(lines, is_marked, NULL);
    return error;
}
