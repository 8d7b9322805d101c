/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Lists what must be trusted for what is claimed for a guest: all that the flows of the policy
 * (path.c) leave out because it can do anything. It claims nothing about how likely that is.
 */
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "graph.h"
#include "platform/definition/index.h"

/* A list that is being told. */
struct telling {
    const struct bh_platform *platform;
    const struct bh_guest *guest;
    void (*found)(void *context, const struct bh_trust *trust);
    void *context;
};

/* Tells one; `trust` has all but its text. */
static void tell(const struct telling *telling, struct bh_trust trust, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
static void tell(const struct telling *telling, struct bh_trust trust, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    (void)vsnprintf(trust.text, sizeof(trust.text), format, arguments);
    va_end(arguments);
    telling->found(telling->context, &trust);
}

/* --------------------------------------------------------------------------------------- hardware */

static void tell_hardware(const struct telling *telling)
{
    const struct bh_platform *platform = telling->platform;
    const struct bh_guest *guest = telling->guest;
    const struct bh_device_definition *device;
    uint32_t owner = 0;
    uint32_t next = 0;

    while ((device = bh_flow_master(platform, &owner, &next)) != NULL) {
        const struct bh_guest *other = &platform->guests[owner];

        tell(telling,
             (struct bh_trust){.kind = BH_TRUST_HARDWARE,
                               .other = other == guest ? NULL : other,
                               .device = device,
                               .resource = device->uses},
             "%s, which %s has, reads and writes all memory by itself: no IOMMU holds it",
             device->uses->name.text, other->name.text);
    }
    for (uint32_t i = 0; i < guest->device_count; i++) {
        const struct bh_resource *resource = guest->devices[i].uses;

        if (resource != NULL && resource->type.value == BH_RESOURCE_HARDWARE &&
            resource->dma.value && resource->iommu.value) {
            tell(telling,
                 (struct bh_trust){
                     .kind = BH_TRUST_HARDWARE, .device = &guest->devices[i], .resource = resource},
                 "its own %s reads and writes its memory by itself; the IOMMU holds it to that",
                 resource->name.text);
        }
    }
}

/* -------------------------------------------------------------------------------------- back ends */

static bool has_backend(const struct bh_device_definition *device)
{
    return device->type.value != BH_DEVICE_PASSTHROUGH && !device->left_out;
}

/* Those that the gate cannot hold: in shadow and bounce a back end is trusted with nothing. */
static void tell_backends(const struct telling *telling, enum bh_isolation isolation)
{
    const struct bh_guest *guest = telling->guest;

    for (uint32_t i = 0; i < guest->device_count; i++) {
        const struct bh_device_definition *device = &guest->devices[i];
        const struct bh_trust trust = {.kind = BH_TRUST_BACKEND, .device = device};

        if (!has_backend(device) || device->isolation.value != isolation) {
            continue;
        }
        if (isolation == BH_ISOLATION_OPEN) {
            tell(telling, trust, "the back end of %s reaches all memory of %s", device->name.text,
                 guest->name.text);
        } else {
            tell(telling, trust,
                 "the back end of %s writes the rings of its window, so what they tell %s is its "
                 "word",
                 device->name.text, guest->name.text);
        }
    }
}

/* ----------------------------------------------------------------------------------- the platform */

/* What the gate could do to its own guest; it has nothing of the others. */
static void tell_gate(const struct telling *telling)
{
    const struct bh_guest *guest = telling->guest;
    const struct bh_trust trust = {.kind = BH_TRUST_GATE};
    uint32_t windows = 0;
    uint32_t backends = 0;

    for (uint32_t i = 0; i < guest->device_count; i++) {
        const struct bh_device_definition *device = &guest->devices[i];
        const bool shares_all = device->isolation.value == BH_ISOLATION_OPEN ||
                                device->isolation.value == BH_ISOLATION_BOUNCE;

        backends += has_backend(device) ? 1u : 0u;
        windows += has_backend(device) && !shares_all ? 1u : 0u;
    }
    if (backends == 0) {
        return;
    }
    if (bh_guest_is_open(guest)) {
        tell(
            telling, trust,
            "the gate of %s maps all of its memory, and keeps its back ends to what they may reach",
            guest->name.text);
    } else {
        tell(telling, trust,
             "the gate of %s maps its windows (%" PRIu32
             ") and none of its other memory, and keeps its back ends to what they may reach",
             guest->name.text, windows);
    }
}

static void tell_platform(const struct telling *telling)
{
    const char *name = telling->guest->name.text;

    tell(telling, (struct bh_trust){.kind = BH_TRUST_HOST_KERNEL},
         "the host's kernel keeps processes, memory and descriptors apart");
    tell(telling, (struct bh_trust){.kind = BH_TRUST_ENGINE},
         "the QEMU of %s maps all of its memory and makes its machine", name);
    tell_gate(telling);
    tell(telling, (struct bh_trust){.kind = BH_TRUST_SUPERVISOR},
         "the supervisor opens resources, makes windows and writes filters as the definition says");
}

/* -------------------------------------------------------------------------------------- mediators */

/* Whether something that one user does can be seen by another. */
static bool carries(const struct bh_resource *resource)
{
    const struct bh_operation *operation;

    for (size_t i = 0; (operation = bh_operation_at(resource->type.value, i)) != NULL; i++) {
        if ((operation->flows & BH_FLOW_TO_RESOURCE) != 0) {
            return true;
        }
    }
    return false;
}

/* The first user of another criticality; NULL: none. */
static const struct bh_guest *find_other(const struct telling *telling,
                                         const struct bh_resource *resource)
{
    struct bh_uses uses = bh_index_uses(telling->platform, resource);

    for (uint32_t i = 0; i < uses.count; i++) {
        if (uses.uses[i].guest->criticality.value != telling->guest->criticality.value) {
            return uses.uses[i].guest;
        }
    }
    return NULL;
}

static void tell_mediators(const struct telling *telling)
{
    for (uint32_t i = 0; i < telling->guest->device_count; i++) {
        const struct bh_device_definition *device = &telling->guest->devices[i];
        const struct bh_resource *resource = device->uses;
        const struct bh_guest *other =
            resource == NULL || !carries(resource) ? NULL : find_other(telling, resource);
        const struct bh_trust trust = {
            .kind = BH_TRUST_MEDIATOR, .other = other, .device = device, .resource = resource};

        if (other == NULL) {
            continue;
        }
        if (resource->mediator.text != NULL) {
            tell(telling, trust, "%s, which %s (%s) uses too: kept apart by %.160s",
                 resource->name.text, other->name.text,
                 bh_criticality_name(other->criticality.value), resource->mediator.text);
        } else {
            tell(telling, trust, "%s, which %s (%s) uses too: nobody is named who keeps them apart",
                 resource->name.text, other->name.text,
                 bh_criticality_name(other->criticality.value));
        }
    }
}

/* ------------------------------------------------------------------------------------- processors */

static bool overlap(const struct bh_ranges *a, const struct bh_ranges *b)
{
    for (uint32_t i = 0; i < a->count; i++) {
        for (uint32_t j = 0; j < b->count; j++) {
            if (a->ranges[i].first <= b->ranges[j].last &&
                b->ranges[j].first <= a->ranges[i].last) {
                return true;
            }
        }
    }
    return false;
}

static void tell_processors(const struct telling *telling)
{
    const struct bh_platform *platform = telling->platform;
    const struct bh_guest *guest = telling->guest;
    uint32_t free = 0; /* others that may run anywhere */

    for (uint32_t i = 0; i < platform->guest_count; i++) {
        const struct bh_guest *other = &platform->guests[i];

        if (other == guest) {
            continue;
        }
        if (guest->host_cpus.count == 0 || other->host_cpus.count == 0) {
            free++;
        } else if (overlap(&guest->host_cpus, &other->host_cpus)) {
            tell(telling, (struct bh_trust){.kind = BH_TRUST_CPU, .other = other},
                 "%s (%s) runs on processors of %s too", other->name.text,
                 bh_criticality_name(other->criticality.value), guest->name.text);
        }
    }
    if (free != 0) {
        tell(telling, (struct bh_trust){.kind = BH_TRUST_CPU},
             guest->host_cpus.count == 0
                 ? "%s has no processors of its own: any of the others (%" PRIu32
                   ") may run on the same"
                 : "on processors of %s others (%" PRIu32 ") may run, which have none of their own",
             guest->name.text, free);
    }
    if (platform->guest_count > 1) {
        tell(telling, (struct bh_trust){.kind = BH_TRUST_CACHE},
             "caches and memory bandwidth are shared with all other guests (%" PRIu32
             "): it can be slowed down by them, and timing tells of it",
             platform->guest_count - 1);
    }
}

void bh_trust_list(const struct bh_platform *platform, const struct bh_guest *guest,
                   void (*found)(void *context, const struct bh_trust *trust), void *context)
{
    const struct telling telling = {platform, guest, found, context};

    tell_hardware(&telling);
    tell_backends(&telling, BH_ISOLATION_OPEN);
    tell_backends(&telling, BH_ISOLATION_DIRECT);
    tell_platform(&telling);
    tell_mediators(&telling);
    tell_processors(&telling);
}
