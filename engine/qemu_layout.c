/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Whether QEMU can place a guest as the layout says. Its machine `virt` is where layout v1 comes
 * from; this file says what it holds to, so that a layout that is not so is refused, and no guest
 * starts on a machine that differs from its device tree.
 *
 * What is not asked here QEMU refuses by itself: a host whose processor has too few address bits.
 */
#include <inttypes.h>
#include <stdio.h>

#include "bulkhead/error.h"
#include "qemu.h"

/* Redistributors in the range of `virt` that layout v1 names; more lie elsewhere. */
#define CPUS_MAX 123u

#define WHY_MAX 128u

/* `virt` has one piece of memory, from 1 GiB on. */
static bool memory_differs(const struct bh_layout *layout, char why[WHY_MAX])
{
    uint64_t next = BH_VIRT_RAM;

    for (uint32_t i = 0; i < layout->region_count; i++) {
        const struct bh_layout_region *region = &layout->regions[i];
        if (region->address != next) {
            (void)snprintf(why, WHY_MAX,
                           "memory at 0x%" PRIx64 ", where it can only go on at 0x%" PRIx64,
                           region->address, next);
            return true;
        }
        next += region->size;
    }
    if (next - BH_VIRT_RAM > BH_VIRT_MEMORY_MAX) {
        (void)snprintf(why, WHY_MAX, "memory up to 0x%" PRIx64 ", which is more than 255G", next);
        return true;
    }
    return false;
}

static bool slots_differ(const struct bh_layout *layout, char why[WHY_MAX])
{
    uint32_t taken = 0;

    for (uint32_t i = 0; i < layout->guest->device_count; i++) {
        const uint32_t slot = layout->slots[i];
        if (slot == BH_SLOT_NONE) {
            continue;
        }
        if (slot >= BH_VIRT_SLOTS || (taken & (UINT32_C(1) << slot)) != 0) {
            (void)snprintf(why, WHY_MAX, "device %s in slot %" PRIu32 ", which is %s",
                           layout->guest->devices[i].name.text, slot,
                           slot >= BH_VIRT_SLOTS ? "not there" : "taken");
            return true;
        }
        taken |= UINT32_C(1) << slot;
    }
    return false;
}

static bool is_in_ram(const struct bh_layout *layout, const struct bh_placement *placement)
{
    const struct bh_layout_region *ram = &layout->regions[0];

    return placement->address >= ram->address && placement->size <= ram->size &&
           placement->address - ram->address <= ram->size - placement->size;
}

static bool images_differ(const struct bh_layout *layout, char why[WHY_MAX])
{
    const struct bh_placement *const images[] = {&layout->kernel, &layout->initrd, &layout->tree,
                                                 &layout->start};
    bool inside = true;

    for (size_t i = 0; i < sizeof(images) / sizeof(images[0]); i++) {
        inside = inside && (images[i]->size == 0u || is_in_ram(layout, images[i]));
    }
    for (uint32_t i = 0; i < layout->segment_count; i++) {
        inside = inside && is_in_ram(layout, &layout->segments[i]);
    }
    if (!inside) {
        (void)snprintf(why, WHY_MAX, "something that the guest boots outside of RAM");
    }
    return !inside;
}

int bh_machine_can_place(const struct bh_layout *layout, struct bh_diagnostics *diagnostics)
{
    const struct bh_guest *guest = layout->guest;
    char why[WHY_MAX];

    if (layout->tree.size == 0u) {
        return BH_OK; /* QEMU places it all by itself */
    }
    if (guest->cpus.value > CPUS_MAX) {
        (void)snprintf(why, sizeof(why), "%" PRIu64 " processors, and there is room for %u",
                       guest->cpus.value, CPUS_MAX);
    } else if (!memory_differs(layout, why) && !slots_differ(layout, why) &&
               !images_differ(layout, why)) {
        return BH_OK;
    }
    bh_diagnostics_add(diagnostics, BH_SEVERITY_ERROR, "engine-layout", guest->layout.at,
                       "QEMU cannot place guest %s: its layout has %s\n"
                       "use another engine for it, or change the definition so that it fits",
                       guest->name.text, why);
    return BH_UNSUPPORTED;
}
