/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Is it enough? What Linux needs of a device's window and of private RAM, so that a guest that fits
 * also works. The numbers were measured on Linux 7.2 behind QEMU 11.1; docs say nothing of them.
 *
 * A window holds the device's rings and every buffer in flight, as a swiotlb pool of 2 KiB slots.
 * QEMU's virtio-mmio offers rings of 1024 entries whatever the device wants, so a ring takes 32 KiB.
 */
#include <inttypes.h>

#include "bulkhead/error.h"
#include "layout_check.h"
#include "layout_text.h"

#define KIB UINT64_C(1024)
#define MIB (KIB * 1024u)

#define BLOCK_BYTES (2u * MIB)
#define PAGE_BYTES  (64u * KIB)

#define RING_BYTES     (32u * KIB)
#define RING_BUFFERS   1024u /* a console fills its receive ring with pages */
#define CONSOLE_BUFFER (4u * KIB)

static uint64_t align_up(uint64_t value, uint64_t to)
{
    return (value + to - 1u) / to * to;
}

uint64_t bh_window_smallest(const struct bh_device_definition *device)
{
    switch (device->type.value) {
    case BH_DEVICE_BLK:
        return align_up(device->queues.value * RING_BYTES, PAGE_BYTES) + MIB;
    case BH_DEVICE_CONSOLE: {
        const uint64_t receivers = device->port_count > 0 ? device->port_count + 2u : 1u;

        return align_up(receivers * (2u * RING_BYTES + RING_BUFFERS * CONSOLE_BUFFER) + PAGE_BYTES,
                        PAGE_BYTES);
    }
    default:
        return PAGE_BYTES;
    }
}

bool bh_window_check(const struct bh_guest *guest, uint32_t device,
                     struct bh_diagnostics *diagnostics)
{
    const struct bh_device_definition *definition = &guest->devices[device];
    const uint64_t size = definition->window.value;
    const uint64_t smallest = bh_window_smallest(definition);

    if (size % PAGE_BYTES != 0) {
        bh_diagnostics_add(diagnostics, BH_SEVERITY_ERROR, "window-size", definition->window.at,
                           "window of device %s is %s, not a multiple of 64K\nwrite window: %s",
                           definition->name.text, bh_size_text_make(size).text,
                           bh_size_text_make(align_up(size, PAGE_BYTES)).text);
        return false;
    }
    if (size < smallest) {
        bh_diagnostics_add(diagnostics, BH_SEVERITY_ERROR, "window-size", definition->window.at,
                           "window of device %s is %s; its driver needs %s for rings and buffers\n"
                           "write window: %s or more",
                           definition->name.text, bh_size_text_make(size).text,
                           bh_size_text_make(smallest).text, bh_size_text_make(smallest).text);
        return false;
    }
    return true;
}

uint64_t bh_memory_enough(const struct bh_layout *layout)
{
    const uint64_t end = layout->initrd.size > 0 ? layout->initrd.address + layout->initrd.size
                                                 : layout->kernel.address + layout->kernel.size;

    return align_up(end - layout->regions[0].address, BLOCK_BYTES);
}

int bh_memory_check(const struct bh_layout *layout, struct bh_diagnostics *diagnostics)
{
    (void)layout;
    (void)diagnostics;
    return BH_OK;
}
