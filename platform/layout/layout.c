/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Where a guest's memory, windows, devices and boot images lie: arithmetic on the definition and on
 * the sizes of the images, nothing else. Whether it fits is checked here, and what does not fit is
 * said with the number to write. How much memory a window needs for its device is layout_check.c.
 *
 * Private RAM of an arm64 kernel guest:
 *   +0     2 MiB  left alone: QEMU puts a device tree of its own at the start of RAM
 *   +2M    64 KiB device tree, then the start code, on a page of its own
 *   +4M    the kernel, text_offset behind this boundary, with all memory it asks for
 *   then   the initrd, at the next 64 KiB
 */
#include <inttypes.h>
#include <string.h>

#include "bulkhead/error.h"
#include "bulkhead/platform_layout.h"
#include "layout_check.h"
#include "layout_text.h"

#define KIB UINT64_C(1024)
#define MIB (KIB * 1024u)
#define GIB (MIB * 1024u)

#define BLOCK_BYTES  (2u * MIB)  /* a kernel's boundary, and the step of `memory` */
#define PAGE_BYTES   (64u * KIB) /* the largest page of an arm64 guest */
#define TREE_OFFSET  (2u * MIB)
#define TREE_BYTES   (64u * KIB)
#define START_OFFSET (TREE_OFFSET + TREE_BYTES)
#define START_BYTES  ((uint64_t)BH_START_CODE_BYTES)
#define KERNEL_BASE  (4u * MIB)

/* What machine `virt` has below 256 GiB, from 1 GiB on. */
#define MEMORY_MAX (255u * GIB)

static uint64_t align_up(uint64_t value, uint64_t to)
{
    return (value + to - 1u) / to * to;
}

static bool has_windows(const struct bh_guest *guest)
{
    return guest->arch.value == BH_ARCH_ARM64 && !guest->boot.firmware.text &&
           !bh_guest_is_open(guest);
}

static bool is_shared(const struct bh_guest *guest)
{
    return guest->device_count > 0 && !has_windows(guest);
}

/* RAM first, then the windows of the devices in their order, without a gap. */
static int regions_make(struct bh_layout *layout, struct bh_diagnostics *diagnostics)
{
    const struct bh_guest *guest = layout->guest;
    struct bh_layout_region *ram = &layout->regions[0];
    uint64_t windows = 0;

    if (guest->memory.value == 0 || guest->memory.value % BLOCK_BYTES != 0 ||
        guest->memory.value > MEMORY_MAX) {
        bh_diagnostics_add(
            diagnostics, BH_SEVERITY_ERROR, "memory-size", guest->memory.at,
            "memory of guest %s is %s; it has to be a multiple of 2M, from 2M to "
            "255G\nwrite memory: %s",
            guest->name.text, bh_size_text_make(guest->memory.value).text,
            guest->memory.value > MEMORY_MAX
                ? "255G or less"
                : bh_size_text_make(align_up(guest->memory.value + 1u, BLOCK_BYTES)).text);
        return BH_INVALID;
    }
    ram->kind = is_shared(guest) ? BH_REGION_SHARED : BH_REGION_PRIVATE;
    ram->address = guest->arch.value == BH_ARCH_ARM64 ? BH_VIRT_RAM : 0;
    ram->size = guest->memory.value;
    layout->region_count = 1;
    if (!has_windows(guest)) {
        return BH_OK;
    }

    for (uint32_t i = 0; i < guest->device_count; i++) {
        const struct bh_number *window = &guest->devices[i].window;
        struct bh_layout_region *region = &layout->regions[layout->region_count];

        if (!bh_window_check(&guest->devices[i], diagnostics)) {
            return BH_INVALID;
        }
        if (window->value > MEMORY_MAX - ram->size - windows) {
            bh_diagnostics_add(diagnostics, BH_SEVERITY_ERROR, "memory-size", window->at,
                               "memory and windows of guest %s are more than 255G together\n"
                               "write less memory, or smaller windows",
                               guest->name.text);
            return BH_INVALID;
        }
        region->kind = BH_REGION_WINDOW;
        region->device = i;
        region->address = ram->address + ram->size + windows;
        region->size = window->value;
        windows += window->value;
        layout->region_count++;
    }
    return BH_OK;
}

/* Kernel, initrd, tree and start code, all of them in RAM and apart from each other. */
static int images_place(struct bh_layout *layout, const struct bh_boot_images *images,
                        struct bh_diagnostics *diagnostics)
{
    const struct bh_guest *guest = layout->guest;
    const struct bh_layout_region *ram = &layout->regions[0];
    /* What is behind image_size in the file (a signature) is loaded too. */
    const uint64_t kernel =
        images->kernel_memory > images->kernel_bytes ? images->kernel_memory : images->kernel_bytes;

    if (guest->arch.value != BH_ARCH_ARM64 || images->kernel_bytes == 0) {
        return BH_OK;
    }
    /* Sparse files, too, so that no sum below overflows. */
    if (images->kernel_offset >= BLOCK_BYTES || kernel > MEMORY_MAX ||
        images->initrd_bytes > MEMORY_MAX) {
        bh_diagnostics_add(diagnostics, BH_SEVERITY_ERROR, "memory-fit", guest->boot.at,
                           "kernel or initrd of guest %s is larger than any memory it can have\n"
                           "write the paths of a kernel and an initrd",
                           guest->name.text);
        return BH_INVALID;
    }

    layout->tree.address = ram->address + TREE_OFFSET;
    layout->tree.size = TREE_BYTES;
    layout->start.address = ram->address + START_OFFSET;
    layout->start.size = START_BYTES;
    layout->kernel.address = ram->address + KERNEL_BASE + images->kernel_offset;
    layout->kernel.size = kernel;

    uint64_t end = layout->kernel.address + kernel;

    if (images->initrd_bytes > 0) {
        layout->initrd.address = align_up(end, PAGE_BYTES);
        layout->initrd.size = images->initrd_bytes;
        end = layout->initrd.address + layout->initrd.size;
    }
    const uint64_t needs = align_up(end - ram->address, BLOCK_BYTES);
    const uint64_t enough = bh_memory_enough(layout, 1);

    if (needs > ram->size) {
        bh_diagnostics_add(
            diagnostics, BH_SEVERITY_ERROR, "memory-fit", guest->memory.at,
            "memory of guest %s is %s; its kernel%s needs %s before it has done anything\n"
            "write memory: %s or more",
            guest->name.text, bh_size_text_make(ram->size).text,
            images->initrd_bytes > 0 ? " with the initrd" : "", bh_size_text_make(needs).text,
            bh_size_text_make(enough > needs ? enough : needs).text);
        return BH_INVALID;
    }
    return BH_OK;
}

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
    for (uint32_t i = 0; i < guest->device_count; i++) {
        layout->slots[i] = i;
    }

    int result = regions_make(layout, diagnostics);

    if (result == BH_OK) {
        result = images_place(layout, images, diagnostics);
    }
    if (result == BH_OK && layout->kernel.size > 0) {
        result = bh_memory_check(layout, diagnostics);
    }
    return result;
}

const struct bh_layout_region *bh_layout_window(const struct bh_layout *layout, uint32_t device)
{
    for (uint32_t i = 0; i < layout->region_count; i++) {
        const struct bh_layout_region *region = &layout->regions[i];

        if (region->kind == BH_REGION_WINDOW && region->device == device) {
            return region;
        }
    }
    return NULL;
}
