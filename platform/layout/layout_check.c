/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Is it enough? What Linux needs of a device's window and of private RAM, so that a guest that fits
 * also works. Each number was measured (Linux 7.2, QEMU 7.2 and 11.1); no specification has them.
 *
 * A window is a pool of slots of 2 KiB, in groups of 128: rings and every buffer in flight lie in
 * it, each in one piece of at most a group. What the pool has no room for is tried again for ever:
 * a request that never fits stops the disk for good, and a console whose receive ring cannot be
 * filled is not there.
 */
#include <inttypes.h>

#include "bulkhead/error.h"
#include "layout_check.h"
#include "layout_text.h"

#define KIB UINT64_C(1024)
#define MIB (KIB * 1024u)

#define BLOCK_BYTES (2u * MIB)
#define PAGE_BYTES  (64u * KIB)

#define GROUP_BYTES (256u * KIB)

/* Of 1024 entries, the most that QEMU has, with pages of 4K: split, one piece of 28K; packed, pieces of
 * 16K, 4K and 4K. Eight of them fill a group, so what groups cut off never needs more. With 128
 * entries, which is what the engine asks for, it holds a ring with pages of 16K too. */
#define RING_BYTES (32u * KIB)

/* Linux makes requests of up to 4 MiB (BLK_DEF_MAX_SECTORS_CAP). Its pieces fill more than half of
 * each group but one, so it takes up to 33 groups; headers take another one. */
#define BLK_REQUEST_BYTES ((33u + 1u) * GROUP_BYTES)

/* The receive ring is filled with pages: 128 entries, which is what the engine asks for. */
#define CONSOLE_FILL_BYTES (512u * KIB)
#define CONSOLE_SEND_BYTES (64u * KIB)

/* The pool's book has 24 bytes for each slot, in one piece of at most 4 MiB. */
#define SLOT_BYTES      (2u * KIB)
#define SLOT_BOOK_BYTES 24u
#define WINDOW_MAX      (4u * MIB / SLOT_BOOK_BYTES * SLOT_BYTES / PAGE_BYTES * PAGE_BYTES)

/* The book of memory: 64 bytes for each page. */
#define FRAME_BYTES      (4u * KIB)
#define FRAME_BOOK_BYTES 64u

/* What the smallest kernel takes beside its image until it has started an init. */
#define KERNEL_BASE_BYTES (5u * MIB)
#define KERNEL_CPU_BYTES  (1u * MIB)

static uint64_t ring_pairs(const struct bh_device_definition *console)
{
    /* More ports than the first come with two rings each, and with two for control. */
    return console->ports.count > 0 ? console->ports.count + 2u : 1u;
}

uint64_t bh_device_queues(const struct bh_device_definition *device)
{
    switch (device->type.value) {
    case BH_DEVICE_BLK:
        return device->queues.value;
    case BH_DEVICE_CONSOLE:
        return ring_pairs(device) * 2u;
    case BH_DEVICE_NET:
        /* Pairs, and one for control. */
        return 2u * device->queues.value + 1u;
    default:
        return bh_device_kind(device->type.value).queues;
    }
}

/* What no driver can do without: the rings, as long as they can be. */
static uint64_t rings_bytes(const struct bh_device_definition *device)
{
    return bh_device_queues(device) * RING_BYTES;
}

uint64_t bh_window_rings(const struct bh_device_definition *device)
{
    return bh_align_up(rings_bytes(device), PAGE_BYTES);
}

/* Rings and anything at all; in shadow not in the same page. */
static uint64_t window_least(const struct bh_device_definition *device)
{
    return device->isolation.value == BH_ISOLATION_SHADOW
               ? bh_window_rings(device) + PAGE_BYTES
               : bh_align_up(rings_bytes(device) + 1u, PAGE_BYTES);
}

uint64_t bh_window_for_linux(const struct bh_device_definition *device)
{
    switch (device->type.value) {
    case BH_DEVICE_BLK:
        return bh_align_up(rings_bytes(device), GROUP_BYTES) + BLK_REQUEST_BYTES;
    case BH_DEVICE_CONSOLE:
        return bh_align_up(rings_bytes(device) + ring_pairs(device) * CONSOLE_FILL_BYTES +
                               CONSOLE_SEND_BYTES,
                           PAGE_BYTES);
    default:
        /* Nothing was measured: room for the rings, and for a buffer. */
        return window_least(device);
    }
}

static void window_say(const struct bh_device_definition *device, enum bh_severity severity,
                       uint64_t cure, const char *bound, const char *why,
                       struct bh_diagnostics *diagnostics)
{
    bh_diagnostics_add(diagnostics, severity, "window-size", device->window.at,
                       "window of device %s is %s, %s\nwrite window: %s%s", device->name.text,
                       bh_size_text_make(device->window.value).text, why,
                       bh_size_text_make(cure).text, bound);
}

bool bh_window_check(const struct bh_guest *guest, const struct bh_device_definition *device,
                     struct bh_diagnostics *diagnostics)
{
    const uint64_t size = device->window.value;
    const uint64_t least = window_least(device);
    const uint64_t enough = bh_window_for_linux(device);

    if (size < least || size % PAGE_BYTES != 0) {
        window_say(device, BH_SEVERITY_ERROR, size < least ? least : bh_align_up(size, PAGE_BYTES),
                   size < least ? " or more" : "",
                   size < least ? "too small for the rings" : "not a multiple of 64K", diagnostics);
        return false;
    }
    if (guest->boot.elf.text != NULL) {
        return true; /* no Linux */
    }
    if (size < enough) {
        window_say(device, BH_SEVERITY_WARNING, enough, " or more",
                   device->type.value == BH_DEVICE_BLK
                       ? "too small for Linux: a large request may never fit, and the disk stop"
                       : "too small for Linux: it cannot fill the receive rings, and gives up",
                   diagnostics);
    }
    if (size > WINDOW_MAX) {
        window_say(device, BH_SEVERITY_WARNING, WINDOW_MAX, " or less",
                   "too large for Linux: it cannot allocate the book of the pool", diagnostics);
    }
    return true;
}

/* What a block of memory of that size takes: the kernel's allocator gives powers of two, and finds
 * one of them only where RAM is not in pieces yet. */
static uint64_t block_bytes(uint64_t size)
{
    uint64_t power = FRAME_BYTES;

    while (power < size) {
        power *= 2u;
    }
    return power + power / 2u;
}

static uint64_t books_bytes(const struct bh_layout *layout)
{
    uint64_t bytes = 0;

    for (uint32_t i = 0; i < layout->region_count; i++) {
        const struct bh_layout_region *region = &layout->regions[i];

        bytes += region->size / FRAME_BYTES * FRAME_BOOK_BYTES;
    }
    for (uint32_t i = 0; i < layout->guest->device_count; i++) {
        const struct bh_layout_region *window = bh_layout_window(layout, i);

        if (window != NULL) {
            bytes += block_bytes(window->size / SLOT_BYTES * SLOT_BOOK_BYTES);
        }
    }
    return bytes;
}

uint64_t bh_memory_enough(const struct bh_layout *layout, uint64_t unpacked)
{
    return bh_align_up(layout->kernel.size + layout->initrd.size * (1u + unpacked) +
                           books_bytes(layout) + KERNEL_BASE_BYTES +
                           layout->guest->cpus.value * KERNEL_CPU_BYTES,
                       BLOCK_BYTES);
}

int bh_memory_check(const struct bh_layout *layout, struct bh_diagnostics *diagnostics)
{
    const struct bh_guest *guest = layout->guest;
    const uint64_t ram = layout->regions[0].size;
    const uint64_t least = bh_memory_enough(layout, 1);
    const uint64_t enough = bh_memory_enough(layout, 3);

    if (ram < least) {
        bh_diagnostics_add(diagnostics, BH_SEVERITY_ERROR, "memory-fit", guest->memory.at,
                           "memory of guest %s is %s; to start it needs %s, %s of it to keep the "
                           "books of memory and windows\nwrite memory: %s or more%s",
                           guest->name.text, bh_size_text_make(ram).text,
                           bh_size_text_make(least).text,
                           bh_size_text_make(bh_align_up(books_bytes(layout), MIB)).text,
                           bh_size_text_make(least).text,
                           layout->region_count > 1 ? ", or make windows smaller" : "");
        return BH_INVALID;
    }
    if (ram < enough) {
        bh_diagnostics_add(diagnostics, BH_SEVERITY_WARNING, "memory-tight", guest->memory.at,
                           "memory of guest %s is %s; if its initrd of %s is compressed, there may "
                           "be no room to unpack it\nwrite memory: %s or more",
                           guest->name.text, bh_size_text_make(ram).text,
                           bh_size_text_make(bh_align_up(layout->initrd.size, MIB)).text,
                           bh_size_text_make(enough).text);
    }
    return BH_OK;
}
