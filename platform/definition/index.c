/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The sorted lists of a platform, and finding in them. What is not there is for the checks to say.
 */
#include "index.h"

#include <stdlib.h>
#include <string.h>

#include "bulkhead/error.h"

static int by_guest_name(const void *a, const void *b)
{
    const struct bh_guest *const *x = a;
    const struct bh_guest *const *y = b;

    return strcmp((*x)->name.text, (*y)->name.text);
}

static int by_resource_name(const void *a, const void *b)
{
    const struct bh_resource *const *x = a;
    const struct bh_resource *const *y = b;

    return strcmp((*x)->name.text, (*y)->name.text);
}

int bh_index_names(struct bh_arena *arena, struct bh_platform *platform)
{
    struct bh_index *index = bh_arena_take(arena, sizeof(*index));

    if (index == NULL) {
        return BH_NO_MEMORY;
    }
    index->guests =
        bh_arena_take(arena, sizeof(const struct bh_guest *) * (platform->guest_count + 1u));
    index->resources =
        bh_arena_take(arena, sizeof(const struct bh_resource *) * (platform->resource_count + 1u));
    if (index->guests == NULL || index->resources == NULL) {
        return BH_NO_MEMORY;
    }
    for (uint32_t i = 0; i < platform->guest_count; i++) {
        index->guests[i] = &platform->guests[i];
    }
    for (uint32_t i = 0; i < platform->resource_count; i++) {
        index->resources[i] = &platform->resources[i];
    }
    qsort(index->guests, platform->guest_count, sizeof(const struct bh_guest *), by_guest_name);
    qsort(index->resources, platform->resource_count, sizeof(const struct bh_resource *),
          by_resource_name);
    platform->index = index;
    return BH_OK;
}

static uint32_t resource_number(const struct bh_platform *platform,
                                const struct bh_resource *resource)
{
    return (uint32_t)(resource - platform->resources);
}

/* Counts, then puts each use where the counts say: in the order of the definition by itself. */
static int sort_uses(struct bh_arena *arena, const struct bh_platform *platform,
                     struct bh_index *index)
{
    uint32_t *next = bh_arena_take(arena, sizeof(*next) * (platform->resource_count + 1u));
    uint32_t count = 0;

    index->first_use = bh_arena_take(arena, sizeof(*next) * (platform->resource_count + 1u));
    if (next == NULL || index->first_use == NULL) {
        return BH_NO_MEMORY;
    }
    for (uint32_t i = 0; i < platform->resource_count; i++) {
        index->first_use[i] = count;
        next[i] = count;
        count += platform->resources[i].users;
    }
    index->first_use[platform->resource_count] = count;
    index->uses = bh_arena_take(arena, sizeof(*index->uses) * (count + 1u));
    if (index->uses == NULL) {
        return BH_NO_MEMORY;
    }
    for (uint32_t i = 0; i < platform->guest_count; i++) {
        const struct bh_guest *guest = &platform->guests[i];

        for (uint32_t j = 0; j < guest->device_count; j++) {
            const struct bh_device_definition *device = &guest->devices[j];

            if (device->uses != NULL) {
                uint32_t *place = &next[resource_number(platform, device->uses)];

                index->uses[(*place)++] = (struct bh_use){guest, device};
            }
        }
    }
    return BH_OK;
}

/* Guests, resources and lines lie in arrays, so their addresses are their order. */
static int by_pair(const struct bh_policy_line *line, const struct bh_guest *guest,
                   const struct bh_resource *resource)
{
    if (line->of != guest) {
        return line->of < guest ? -1 : 1;
    }
    return line->to == resource ? 0 : line->to < resource ? -1 : 1;
}

static int by_line(const void *a, const void *b)
{
    const struct bh_policy_line *const *x = a;
    const struct bh_policy_line *const *y = b;
    int order = by_pair(*x, (*y)->of, (*y)->to);

    return order != 0 ? order : *x < *y ? -1 : 1;
}

int bh_index_relations(struct bh_arena *arena, struct bh_platform *platform)
{
    struct bh_index *index = platform->index;

    index->lines =
        bh_arena_take(arena, sizeof(const struct bh_policy_line *) * (platform->policy_count + 1u));
    if (index->lines == NULL) {
        return BH_NO_MEMORY;
    }
    for (uint32_t i = 0; i < platform->policy_count; i++) {
        const struct bh_policy_line *line = &platform->policy[i];

        if (line->of != NULL && line->to != NULL) {
            index->lines[index->line_count++] = line;
        }
    }
    qsort(index->lines, index->line_count, sizeof(const struct bh_policy_line *), by_line);
    return sort_uses(arena, platform, index);
}

struct bh_uses bh_index_uses(const struct bh_platform *platform, const struct bh_resource *resource)
{
    const uint32_t number = resource_number(platform, resource);
    const uint32_t *first = platform->index->first_use;

    return (struct bh_uses){&platform->index->uses[first[number]],
                            first[number + 1u] - first[number]};
}

struct bh_lines bh_index_lines(const struct bh_platform *platform, const struct bh_guest *guest,
                               const struct bh_resource *resource)
{
    const struct bh_index *index = platform->index;
    struct bh_lines found = {index->lines, 0};
    uint32_t low = 0;
    uint32_t high = index->line_count;

    while (low < high) {
        uint32_t middle = low + (high - low) / 2u;

        if (by_pair(index->lines[middle], guest, resource) < 0) {
            low = middle + 1u;
        } else {
            high = middle;
        }
    }
    found.lines += low;
    while (low < index->line_count && by_pair(index->lines[low], guest, resource) == 0) {
        found.count++;
        low++;
    }
    return found;
}

const struct bh_guest *bh_platform_guest(const struct bh_platform *platform, const char *name)
{
    const struct bh_guest wanted = {.name.text = name};
    const struct bh_guest *key = &wanted;
    const struct bh_guest *const *found =
        bsearch(&key, platform->index->guests, platform->guest_count,
                sizeof(const struct bh_guest *), by_guest_name);

    return found == NULL ? NULL : *found;
}

const struct bh_resource *bh_platform_resource(const struct bh_platform *platform, const char *name)
{
    const struct bh_resource wanted = {.name.text = name};
    const struct bh_resource *key = &wanted;
    const struct bh_resource *const *found =
        bsearch(&key, platform->index->resources, platform->resource_count,
                sizeof(const struct bh_resource *), by_resource_name);

    return found == NULL ? NULL : *found;
}

/* A guest has 32 at most. */
const struct bh_device_definition *bh_guest_device(const struct bh_guest *guest, const char *name)
{
    for (uint32_t i = 0; i < guest->device_count; i++) {
        if (strcmp(guest->devices[i].name.text, name) == 0) {
            return &guest->devices[i];
        }
    }
    return NULL;
}
