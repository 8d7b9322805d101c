/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A platform written in C, as reading would have left it.
 */
#include "flow_rig.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "platform/definition/index.h"

/* What a test cannot go on without. */
static void *taken(void *memory)
{
    if (memory == NULL) {
        abort();
    }
    return memory;
}

static struct bh_text text(struct rig *rig, const char *name)
{
    return (struct bh_text){.text = taken(bh_arena_text(&rig->arena, name, strlen(name)))};
}

struct rig *rig_create(uint32_t mode_count)
{
    struct rig *rig = taken(calloc(1, sizeof(*rig)));
    struct bh_platform *platform = &rig->platform;

    platform->name = text(rig, "rig");
    platform->guests = taken(bh_arena_take(&rig->arena, BH_GUESTS_MAX * sizeof(struct bh_guest)));
    platform->resources =
        taken(bh_arena_take(&rig->arena, BH_RESOURCES_MAX * sizeof(struct bh_resource)));
    platform->policy =
        taken(bh_arena_take(&rig->arena, BH_POLICY_LINES_MAX * sizeof(struct bh_policy_line)));
    platform->modes.names = taken(bh_arena_take(&rig->arena, mode_count * sizeof(struct bh_text)));
    platform->modes.count = mode_count;
    for (uint32_t i = 0; i < mode_count; i++) {
        char name[16];

        (void)snprintf(name, sizeof(name), "m%u", i);
        platform->modes.names[i] = text(rig, name);
    }
    platform->files[0].path = "rig.yaml";
    platform->file_count = 1;
    rig->random = 1;
    return rig;
}

void rig_destroy(struct rig *rig)
{
    bh_arena_finish(&rig->arena);
    free(rig);
}

struct bh_guest *rig_guest(struct rig *rig, const char *name)
{
    struct bh_guest *guest = &rig->platform.guests[rig->platform.guest_count++];

    guest->name = text(rig, name);
    guest->devices =
        taken(bh_arena_take(&rig->arena, BH_DEVICES_MAX * sizeof(struct bh_device_definition)));
    return guest;
}

struct bh_resource *rig_resource(struct rig *rig, const char *name, uint32_t type)
{
    struct bh_resource *resource = &rig->platform.resources[rig->platform.resource_count++];

    resource->name = text(rig, name);
    resource->type.value = type;
    return resource;
}

struct bh_device_definition *rig_device(struct rig *rig, struct bh_guest *guest, const char *name,
                                        struct bh_resource *resource)
{
    struct bh_device_definition *device = &guest->devices[guest->device_count++];

    device->name = text(rig, name);
    device->uses = resource;
    device->isolation.value = BH_ISOLATION_SHADOW;
    device->window.value = 4096;
    if (resource != NULL) {
        device->resource = resource->name;
        resource->users++;
    }
    return device;
}

struct bh_policy_line *rig_line(struct rig *rig, struct bh_guest *guest,
                                struct bh_resource *resource, uint32_t allows, uint32_t denies,
                                uint32_t modes)
{
    struct bh_policy_line *line = &rig->platform.policy[rig->platform.policy_count++];

    line->at.line = rig->platform.policy_count; /* line n of the file is line n of the policy */
    line->at.column = 3;
    line->of = guest;
    line->to = resource;
    line->allows = allows;
    line->denies = denies;
    line->mode_mask = modes & ((1u << rig->platform.modes.count) - 1u);
    return line;
}

void rig_numbers(struct rig *rig, struct bh_policy_line *line, uint32_t first, uint32_t last)
{
    struct bh_ranges *ranges = &line->numbers[bh_resource_numbers(line->to->type.value)];

    if (ranges->ranges == NULL) {
        ranges->ranges = taken(bh_arena_take(&rig->arena, BH_RANGES_MAX * sizeof(struct bh_range)));
    }
    ranges->ranges[ranges->count++] = (struct bh_range){.first = first, .last = last};
}

void rig_done(struct rig *rig)
{
    if (bh_index_names(&rig->arena, &rig->platform) != 0 ||
        bh_index_relations(&rig->arena, &rig->platform) != 0) {
        abort();
    }
}

uint32_t rig_below(struct rig *rig, uint32_t bound)
{
    rig->random ^= rig->random << 13;
    rig->random ^= rig->random >> 17;
    rig->random ^= rig->random << 5;
    return rig->random % bound;
}
