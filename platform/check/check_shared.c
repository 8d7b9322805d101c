/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Checks of resources that several devices use: that they can be shared at all, and by guests of
 * different criticality.
 */
#include "bulkhead/platform_policy.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "check.h"

/* ----------------------------------------------------------------------------- resource-shared */

/* The first device that may write to the disk; NULL: none may. */
static const struct bh_use *find_writer(const struct bh_platform *platform,
                                        const struct bh_resource *resource,
                                        const struct bh_uses *uses)
{
    for (uint32_t i = 0; i < uses->count; i++) {
        uint32_t operations = bh_check_operations(platform, &uses->uses[i]);

        if ((bh_policy_rights(resource->type.value, operations) & BH_RIGHT_WRITE) != 0) {
            return &uses->uses[i];
        }
    }
    return NULL;
}

void bh_check_resource_shared(struct bh_reader *reader, struct bh_platform *platform)
{
    for (uint32_t i = 0; i < platform->resource_count; i++) {
        const struct bh_resource *resource = &platform->resources[i];
        struct bh_uses uses = bh_index_uses(platform, resource);
        const struct bh_use *writer;

        if (resource->type.value != BH_RESOURCE_DISK || uses.count < 2) {
            continue;
        }
        writer = find_writer(platform, resource, &uses);
        for (uint32_t j = 0; j < uses.count && writer != NULL; j++) {
            if (&uses.uses[j] == writer) {
                continue;
            }
            BH_SAY(reader, "resource-shared", uses.uses[j].device->resource.at,
                   "device %s of guest %s may write to the disk %s, so nobody else can use it\n"
                   "a file system belongs to one system: give each device an image of its own,"
                   " or let all of them only read",
                   writer->device->name.text, writer->guest->name.text, resource->name.text);
            bh_diagnostics_note(reader->diagnostics, writer->device->resource.at, "here %s uses it",
                                writer->device->name.text);
        }
    }
}

/* ----------------------------------------------------------------------------- hardware-shared */

static int by_address(const void *a, const void *b)
{
    const struct bh_resource *const *x = a;
    const struct bh_resource *const *y = b;
    int order = strcasecmp((*x)->address.text, (*y)->address.text); /* hexadecimal */

    return order != 0 ? order : *x < *y ? -1 : 1;
}

static void check_addresses(struct bh_reader *reader, const struct bh_platform *platform)
{
    const struct bh_resource **sorted = bh_arena_take(
        reader->arena, sizeof(const struct bh_resource *) * (platform->resource_count + 1u));
    uint32_t count = 0;

    if (sorted == NULL) {
        reader->no_memory = true;
        return;
    }
    for (uint32_t i = 0; i < platform->resource_count; i++) {
        if (platform->resources[i].address.text != NULL) {
            sorted[count++] = &platform->resources[i];
        }
    }
    qsort(sorted, count, sizeof(const struct bh_resource *), by_address);
    for (uint32_t i = 1; i < count; i++) {
        if (strcasecmp(sorted[i - 1]->address.text, sorted[i]->address.text) == 0) {
            BH_SAY(reader, "hardware-shared", sorted[i]->address.at,
                   "%s is resource %s already\nremove one of the two resources",
                   bh_show(sorted[i]->address.text).text, sorted[i - 1]->name.text);
            bh_diagnostics_note(reader->diagnostics, sorted[i - 1]->address.at, "here it is %s",
                                sorted[i - 1]->name.text);
        }
    }
}

void bh_check_hardware_shared(struct bh_reader *reader, struct bh_platform *platform)
{
    check_addresses(reader, platform);
    for (uint32_t i = 0; i < platform->resource_count; i++) {
        struct bh_uses uses = bh_index_uses(platform, &platform->resources[i]);

        if (platform->resources[i].type.value != BH_RESOURCE_HARDWARE) {
            continue;
        }
        for (uint32_t j = 1; j < uses.count; j++) {
            BH_SAY(reader, "hardware-shared", uses.uses[j].device->resource.at,
                   "%s is passed through to guest %s as it is, and nobody else can have it\n"
                   "remove one of the devices",
                   platform->resources[i].name.text, uses.uses[0].guest->name.text);
            bh_diagnostics_note(reader->diagnostics, uses.uses[0].device->resource.at,
                                "here guest %s has it", uses.uses[0].guest->name.text);
        }
    }
}

/* -------------------------------------------------------------------------- criticality-shared */

/* Whether something that one user does can reach another: what it writes, or what it takes away
 * from a source that runs dry. */
static bool has_flow(const struct bh_platform *platform, const struct bh_resource *resource,
                     const struct bh_uses *uses)
{
    const struct bh_operation *operation;
    uint32_t used = 0;

    if (resource->source.text != NULL) {
        return true;
    }
    for (uint32_t i = 0; i < uses->count; i++) {
        used |= bh_check_operations(platform, &uses->uses[i]);
    }
    for (size_t i = 0; (operation = bh_operation_at(resource->type.value, i)) != NULL; i++) {
        bool writes = (operation->flows & BH_FLOW_TO_RESOURCE) != 0 ||
                      (operation->rights & BH_RIGHT_WRITE) != 0;

        if ((used & operation->bit) != 0 && writes) {
            return true;
        }
    }
    return false;
}

static const struct bh_use *find_other(const struct bh_uses *uses)
{
    for (uint32_t i = 1; i < uses->count; i++) {
        if (uses->uses[i].guest->criticality.value != uses->uses[0].guest->criticality.value) {
            return &uses->uses[i];
        }
    }
    return NULL;
}

void bh_check_criticality_shared(struct bh_reader *reader, struct bh_platform *platform)
{
    for (uint32_t i = 0; i < platform->resource_count; i++) {
        const struct bh_resource *resource = &platform->resources[i];
        struct bh_uses uses = bh_index_uses(platform, resource);
        const struct bh_use *other;

        if (uses.count < 2 || resource->mediator.text != NULL) {
            continue;
        }
        other = find_other(&uses);
        if (other == NULL || !has_flow(platform, resource, &uses)) {
            continue;
        }
        BH_WARN(reader, "criticality-shared", resource->name.at,
                "%s is used by guest %s (%s) and by guest %s (%s), and nobody is named who keeps"
                " them apart\n"
                "give each a resource of its own, or say who does it: mediator: TEXT",
                resource->name.text, uses.uses[0].guest->name.text,
                bh_criticality_name(uses.uses[0].guest->criticality.value), other->guest->name.text,
                bh_criticality_name(other->guest->criticality.value));
        bh_diagnostics_note(reader->diagnostics, uses.uses[0].device->resource.at,
                            "here guest %s uses it", uses.uses[0].guest->name.text);
        bh_diagnostics_note(reader->diagnostics, other->device->resource.at,
                            "here guest %s uses it", other->guest->name.text);
    }
}
