/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The machine that a guest sees: where its memory, its windows and its devices lie, and where the
 * boot images go. Computed from the definition alone, so that every engine, the device tree and the
 * reports say the same.
 *
 * Layout v1, arm64 (the addresses are those of QEMU's machine `virt`, so that stock QEMU has them):
 *   0x08000000  interrupt controller (GICv3)       0x09000000  UART (PL011), interrupt SPI 1
 *   0x0a000000  + n * 0x200: virtio-mmio slot n, interrupt SPI 16 + n, n = 0..31
 *   0x40000000  private RAM, then the windows in the order of the devices, without a gap
 *
 * Rules (each was found by trial): every byte of a shared region is covered by a reservation of the
 * guest; kernel, initrd, device tree and start code lie wholly in private RAM, at addresses that
 * are computed here and never left to the engine.
 *
 * A guest with an `open` device has one shared region, its RAM, and no windows. x86_64 and firmware
 * guests are `open`; the engine (x86_64) or the firmware places what they boot, and there is no
 * device tree of ours.
 *
 * Thread: one. Ownership: the caller's memory; a layout refers to the guest.
 */
#ifndef BULKHEAD_PLATFORM_LAYOUT_H
#define BULKHEAD_PLATFORM_LAYOUT_H

#include "bulkhead/platform_definition.h"

#define BH_REGIONS_MAX (BH_DEVICES_MAX + 1u)

#define BH_VIRT_RAM        UINT64_C(0x40000000)
#define BH_VIRT_SLOT       UINT64_C(0x0a000000)
#define BH_VIRT_SLOT_BYTES UINT64_C(0x200)
#define BH_VIRT_SLOTS      32u
#define BH_VIRT_SLOT_SPI   16u

enum bh_layout_kind {
    BH_REGION_PRIVATE, /* no descriptor anywhere */
    BH_REGION_WINDOW,  /* one device's: a sealed memfd */
    BH_REGION_SHARED,  /* all RAM of an `open` guest: a sealed memfd */
};

struct bh_layout_region {
    enum bh_layout_kind kind;
    uint32_t device; /* of a window: index in guest->devices */
    uint64_t address;
    uint64_t size;
};

/* Something that is put into memory before the guest starts. size 0: there is none. */
struct bh_placement {
    uint64_t address;
    uint64_t size;
};

struct bh_layout {
    const struct bh_guest *guest;
    struct bh_layout_region regions[BH_REGIONS_MAX]; /* by address; [0] is RAM */
    uint32_t region_count;
    uint32_t slots[BH_DEVICES_MAX]; /* device index -> virtio-mmio slot (arm64) or order (x86_64) */
    /* arm64 kernel boot; sizes are all 0 otherwise. */
    struct bh_placement kernel; /* as large as it becomes in memory, not in the file */
    struct bh_placement initrd;
    struct bh_placement tree;  /* device tree: room for it, at most */
    struct bh_placement start; /* the code that the first processor begins with (bh_start_code) */
};

/* The boot images of a guest, opened for reading: what the layout needs to know of them, and
 * what the engine is given. */
struct bh_boot_images {
    int kernel_fd; /* -1: none */
    int initrd_fd;
    int firmware_fd;
    uint64_t kernel_bytes;
    uint64_t initrd_bytes;
    uint64_t firmware_bytes;
    uint64_t kernel_memory; /* arm64 Image header: image_size, bytes from its address on */
    uint64_t kernel_offset; /* arm64 Image header: text_offset, from a 2 MiB boundary */
};

/* Opens the images that guest->boot names, read-only, and reads the kernel's header (arm64:
 * "Image", Linux Documentation/arch/arm64/booting; a compressed one is refused with what to do).
 * BH_OK, or an error code, said in `diagnostics`; nothing is left open then. */
int bh_boot_images_open(struct bh_boot_images *images, const struct bh_platform *platform,
                        const struct bh_guest *guest, struct bh_diagnostics *diagnostics);
void bh_boot_images_close(struct bh_boot_images *images);

/* Warns of each disk whose image this user cannot open: a definition may be checked on another host
 * than the one that has the disks. Nothing is opened. */
void bh_disk_images_look(const struct bh_platform *platform, struct bh_diagnostics *diagnostics);

/* Lays out a guest. BH_OK; BH_INVALID: it does not fit, said in `diagnostics` with the cure. */
int bh_layout_make(struct bh_layout *layout, const struct bh_guest *guest,
                   const struct bh_boot_images *images, struct bh_diagnostics *diagnostics);

/* The region that is the window of device `device`; NULL: it has none. */
const struct bh_layout_region *bh_layout_window(const struct bh_layout *layout, uint32_t device);

/* The flattened device tree of an arm64 kernel guest: processors (PSCI by hvc), GICv3, timer,
 * UART, power key (GPIO, PL061), memory, a reservation for every window, the virtio-mmio slots
 * that are in use with their windows, /chosen with command line and initrd. Same layout, same
 * bytes. `*tree` is allocated (free) and `*bytes` long. BH_NO_MEMORY; BH_LIMIT: more than
 * layout->tree has room for. */
int bh_device_tree_make(const struct bh_layout *layout, void **tree, size_t *bytes);

/* The code at layout->start: sets x0 to the device tree, x1..x3 to 0 and jumps to the kernel, as
 * Linux and every "Image" kernel expect it. */
#define BH_START_CODE_BYTES 64u
void bh_start_code(const struct bh_layout *layout, uint8_t code[BH_START_CODE_BYTES]);

/* Everything that was derived, as files below `folder` (made if it is not there):
 *   platform.json          the definition with all defaults, and each guest's memory map
 *   GUEST.dtb              the device tree (arm64 kernel guests)
 *   GUEST.start            the start code (the same)
 *   memory-map.txt         for people
 * BH_OK, or an error code, said in `diagnostics`. Files are replaced, each by a rename. */
int bh_platform_build(const struct bh_platform *platform, const char *folder,
                      struct bh_diagnostics *diagnostics);

#endif
