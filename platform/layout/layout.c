/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Where a guest's memory, windows and devices lie: arithmetic on the definition, nothing else.
 * Whether it fits is checked here, and what does not fit is said with the number to write. What the
 * guest boots: layout_images.c. How much memory a window needs for its device: layout_check.c.
 */
#include <inttypes.h>
#include <string.h>

#include "bulkhead/error.h"
#include "bulkhead/platform_layout.h"
#include "layout_check.h"
#include "layout_text.h"

/* Otherwise the engine, or firmware, places everything. */
static bool is_placed(const struct bh_guest *guest)
{
    return guest->layout.value == BH_LAYOUT_V1 && guest->arch.value == BH_ARCH_ARM64 &&
           (guest->boot.kernel.text != NULL || guest->boot.elf.text != NULL);
}

/* Back ends reach all of RAM; where nothing is placed there are no windows, so they all do. */
static bool is_shared(const struct bh_guest *guest)
{
    return guest->device_count > 0 && (!is_placed(guest) || bh_guest_is_open(guest));
}

static bool has_window(const struct bh_device_definition *device)
{
    return device->type.value != BH_DEVICE_PASSTHROUGH &&
           (device->isolation.value == BH_ISOLATION_DIRECT ||
            device->isolation.value == BH_ISOLATION_SHADOW);
}

/* ------------------------------------------------------------------------------------------------
 * memory */

static int ram_make(struct bh_layout *layout, struct bh_diagnostics *diagnostics)
{
    const struct bh_guest *guest = layout->guest;
    const uint64_t size = guest->memory.value;
    struct bh_layout_region *ram = &layout->regions[0];

    if (size == 0 || size % BH_VIRT_RAM_STEP != 0 || size > BH_VIRT_MEMORY_MAX) {
        bh_diagnostics_add(diagnostics, BH_SEVERITY_ERROR, "memory-size", guest->memory.at,
                           "memory of guest %s is %s; it has to be a multiple of 2M, from 2M to "
                           "255G\nwrite memory: %s",
                           guest->name.text, bh_size_text_make(size).text,
                           size > BH_VIRT_MEMORY_MAX
                               ? "255G or less"
                               : bh_size_text_make(bh_align_up(size + 1u, BH_VIRT_RAM_STEP)).text);
        return BH_INVALID;
    }
    ram->kind = is_shared(guest) ? BH_REGION_SHARED : BH_REGION_PRIVATE;
    ram->address = guest->arch.value == BH_ARCH_ARM64 ? BH_VIRT_RAM : 0;
    ram->size = size;
    layout->region_count = 1;
    return BH_OK;
}

/* A window as the engine gets it: in one piece, or in shadow in two, because the back end maps only
 * the second. What is left out is mapped by nobody. */
static void parts_make(struct bh_layout *layout, const struct bh_layout_region *window)
{
    const struct bh_device_definition *device = &layout->guest->devices[window->device];
    struct bh_layout_region part = *window;

    if (window->kind == BH_REGION_WINDOW && device->isolation.value == BH_ISOLATION_SHADOW) {
        part.size = bh_window_rings(device);
        part.rings = true;
        layout->regions[layout->region_count++] = part;
        part.address += part.size;
        part.size = window->size - part.size;
        part.rings = false;
    }
    layout->regions[layout->region_count++] = part;
}

/* Behind RAM, in the order of the devices, without a gap. */
static int windows_make(struct bh_layout *layout, struct bh_diagnostics *diagnostics)
{
    const struct bh_guest *guest = layout->guest;
    uint64_t used = layout->regions[0].size;

    for (uint32_t i = 0; i < guest->device_count; i++) {
        const struct bh_device_definition *device = &guest->devices[i];
        struct bh_layout_region *window = &layout->windows[i];

        if (!has_window(device)) {
            continue;
        }
        if (!bh_window_check(guest, device, diagnostics)) {
            return BH_INVALID;
        }
        if (device->window.value > BH_VIRT_MEMORY_MAX - used) {
            bh_diagnostics_add(diagnostics, BH_SEVERITY_ERROR, "memory-size", device->window.at,
                               "memory and windows of guest %s are more than 255G together\n"
                               "write less memory, or smaller windows",
                               guest->name.text);
            return BH_INVALID;
        }
        window->kind = device->left_out ? BH_REGION_RESERVED : BH_REGION_WINDOW;
        window->device = i;
        window->address = BH_VIRT_RAM + used;
        window->size = device->window.value;
        used += device->window.value;
        parts_make(layout, window);
    }
    return BH_OK;
}

/* ------------------------------------------------------------------------------------------------
 * slots */

/* Those that are written down; the check `slot-twice` has seen that they differ. */
static uint32_t slots_fixed(struct bh_layout *layout)
{
    const struct bh_guest *guest = layout->guest;
    uint32_t taken = 0;

    for (uint32_t i = 0; i < guest->device_count; i++) {
        const struct bh_device_definition *device = &guest->devices[i];
        const uint64_t slot = device->slot.value;

        layout->slots[i] = BH_SLOT_NONE;
        if (slot < BH_VIRT_SLOTS && device->type.value != BH_DEVICE_PASSTHROUGH) {
            layout->slots[i] = (uint32_t)slot;
            taken |= UINT32_C(1) << slot;
        }
    }
    return taken;
}

/* The others get the first that is free, in their order: there are as many slots as a guest may
 * have devices. */
static void slots_make(struct bh_layout *layout)
{
    const struct bh_guest *guest = layout->guest;
    const uint32_t taken = slots_fixed(layout);
    uint32_t next = 0;

    for (uint32_t i = 0; i < guest->device_count; i++) {
        if (layout->slots[i] != BH_SLOT_NONE ||
            guest->devices[i].type.value == BH_DEVICE_PASSTHROUGH) {
            continue;
        }
        while ((taken & (UINT32_C(1) << next)) != 0) {
            next++;
        }
        layout->slots[i] = next;
        next++;
    }
}

/* ------------------------------------------------------------------------------------------------
 * all of it */

int bh_layout_make(struct bh_layout *layout, const struct bh_guest *guest,
                   const struct bh_boot_images *images, struct bh_diagnostics *diagnostics)
{
    memset(layout, 0, sizeof(*layout));
    layout->guest = guest;
    if (guest->device_count > BH_DEVICES_MAX) {
        bh_diagnostics_add(diagnostics, BH_SEVERITY_ERROR, "device-count", guest->name.at,
                           "guest %s has %" PRIu32 " devices; the machine has slots for %u\n"
                           "remove some",
                           guest->name.text, guest->device_count, BH_DEVICES_MAX);
        return BH_INVALID;
    }
    slots_make(layout);

    int result = ram_make(layout, diagnostics);

    if (result != BH_OK || !is_placed(guest)) {
        return result;
    }
    result = windows_make(layout, diagnostics);
    if (result == BH_OK) {
        result = bh_layout_images(layout, images, diagnostics);
    }
    return result;
}

const struct bh_layout_region *bh_layout_window(const struct bh_layout *layout, uint32_t device)
{
    const struct bh_layout_region *window = &layout->windows[device];

    return window->kind == BH_REGION_WINDOW && window->size > 0 ? window : NULL;
}

bool bh_layout_is_part(const struct bh_layout *layout, const struct bh_layout_region *region)
{
    return region->kind == BH_REGION_WINDOW && region->size < layout->windows[region->device].size;
}
