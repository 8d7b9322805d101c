/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The machine that a guest sees: where its memory, its windows and its devices lie, and where the
 * boot images go. Computed from the definition alone, so that every engine, the device tree and the
 * reports say the same.
 *
 * Layout v1, arm64 (spec/layout.md; the addresses are those of QEMU's machine `virt`, so that stock
 * QEMU has them):
 *   0x08000000  interrupt controller (GICv3)       0x09000000  UART (PL011), interrupt SPI 1
 *   0x0a000000  + n * 0x200: virtio-mmio slot n, interrupt SPI 16 + n, n = 0..31
 *   0x40000000  RAM, then the windows in the order of the devices, without a gap
 *
 * Rules (each was found by trial): every byte of a shared region is covered by a reservation of the
 * guest; kernel, initrd, program, device tree and start code lie wholly in RAM, at addresses that
 * are computed or checked here and never left to the engine.
 *
 * A device that is direct or shadow has a window. One that is bounce or open has none, and all RAM
 * of its guest is shared. What a device that is left out would have stays reserved, so that nothing
 * else moves.
 *
 * The guest sees a window as one piece. In shadow it is two: the first is for the rings, and no back
 * end ever maps it (one that could rewrite a used ring could tell the guest anything); the second is
 * for data. That works because drivers allocate rings first: Linux fills a restricted pool from its
 * begin, and sets up all queues before it makes the first request. Where a driver does otherwise, the
 * gate copies.
 *
 * x86_64 and firmware guests have no layout of ours: one region, placed by the engine; the engine or
 * the firmware places what they boot, and there is no device tree of ours.
 *
 * Thread: one. Ownership: the caller's memory; a layout refers to the guest.
 */
#ifndef BULKHEAD_PLATFORM_LAYOUT_H
#define BULKHEAD_PLATFORM_LAYOUT_H

#include "bulkhead/platform_definition.h"

#define BH_REGIONS_MAX  (2u * BH_DEVICES_MAX + 1u) /* RAM, and two parts of each window */
#define BH_SEGMENTS_MAX 16u                        /* of a program that is an ELF file */

/* ------------------------------------------------------------------------------------------------
 * the machine of layout v1 */

#define BH_VIRT_LAYOUT 1u /* the version */

#define BH_VIRT_GIC_DISTRIBUTOR         UINT64_C(0x08000000)
#define BH_VIRT_GIC_DISTRIBUTOR_BYTES   UINT64_C(0x10000)
#define BH_VIRT_GIC_REDISTRIBUTOR       UINT64_C(0x080a0000)
#define BH_VIRT_GIC_REDISTRIBUTOR_BYTES UINT64_C(0x20000) /* for each processor */

/* PrimeCells: UART (PL011), clock (PL031), GPIO (PL061) with the power key. */
#define BH_VIRT_CELL_BYTES     UINT64_C(0x1000)
#define BH_VIRT_CELL_CLOCK     24000000u /* Hz */
#define BH_VIRT_UART           UINT64_C(0x09000000)
#define BH_VIRT_UART_SPI       1u
#define BH_VIRT_RTC            UINT64_C(0x09010000)
#define BH_VIRT_RTC_SPI        2u
#define BH_VIRT_GPIO           UINT64_C(0x09030000)
#define BH_VIRT_GPIO_SPI       7u
#define BH_VIRT_POWER_KEY_LINE 3u

#define BH_VIRT_SLOT       UINT64_C(0x0a000000)
#define BH_VIRT_SLOT_BYTES UINT64_C(0x200)
#define BH_VIRT_SLOTS      32u
#define BH_VIRT_SLOT_SPI   16u

/* Interrupts of the processor's own timers. */
#define BH_VIRT_TIMER_SECURE_PPI     13u
#define BH_VIRT_TIMER_PHYSICAL_PPI   14u
#define BH_VIRT_TIMER_VIRTUAL_PPI    11u
#define BH_VIRT_TIMER_HYPERVISOR_PPI 10u

/* What the interrupt controller counts: PPI n is interrupt 16 + n, SPI n is 32 + n. */
#define BH_VIRT_PPI_BASE 16u
#define BH_VIRT_SPI_BASE 32u

/* RAM begins here. Its first part belongs to the platform until the guest has read the tree: 2 MiB
 * for the engine, then device tree and start code; what the guest boots begins behind it. */
#define BH_VIRT_RAM         UINT64_C(0x40000000)
#define BH_VIRT_TREE        (BH_VIRT_RAM + UINT64_C(0x200000))
#define BH_VIRT_TREE_BYTES  UINT64_C(0x10000)
#define BH_VIRT_START       (BH_VIRT_TREE + BH_VIRT_TREE_BYTES)
#define BH_VIRT_IMAGE       (BH_VIRT_RAM + UINT64_C(0x400000))
#define BH_VIRT_MEMORY_MAX  (UINT64_C(255) << 30) /* RAM and windows together */
#define BH_VIRT_RAM_STEP    (UINT64_C(2) << 20)
#define BH_VIRT_WINDOW_STEP (UINT64_C(64) << 10)

/* ------------------------------------------------------------------------------------------------
 * the layout of a guest */

#define BH_SLOT_NONE UINT32_MAX

enum bh_layout_kind {
    BH_REGION_PRIVATE,  /* no descriptor anywhere */
    BH_REGION_WINDOW,   /* one device's, or a part of it: a sealed memfd */
    BH_REGION_SHARED,   /* all RAM of a guest that is open (bh_guest_is_open): a sealed memfd */
    BH_REGION_RESERVED, /* would be the window of a device that is left out: no descriptor, and the
                           guest is not told of it */
};

struct bh_layout_region {
    enum bh_layout_kind kind;
    uint32_t device; /* of a window, and of its place: index in guest->devices */
    uint64_t address;
    uint64_t size;
    bool rings; /* of a window: its ring part, which no back end maps; data lies behind it */
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
    /* By device index: the window as the guest sees it, both parts; size 0: it has none. */
    struct bh_layout_region windows[BH_DEVICES_MAX];
    /* device index -> virtio-mmio slot (arm64) or order (x86_64); BH_SLOT_NONE: it is not virtio */
    uint32_t slots[BH_DEVICES_MAX];
    /* Layout v1; sizes are all 0 otherwise. */
    struct bh_placement kernel; /* as large as it becomes in memory, not in the file */
    struct bh_placement initrd;
    struct bh_placement segments[BH_SEGMENTS_MAX]; /* of the ELF file, by address */
    uint32_t segment_count;
    struct bh_placement tree;  /* device tree: room for it, at most */
    struct bh_placement start; /* the code that the first processor begins with (bh_start_code) */
    uint64_t entry;            /* of the kernel or program: where that code goes */
};

/* What a program's ELF file puts into memory: `size` bytes from `address` on; those that are not in
 * the file are zero. */
struct bh_program {
    struct bh_placement segments[BH_SEGMENTS_MAX]; /* by address; they do not overlap */
    uint32_t segment_count;
    uint64_t entry; /* physical address of the first instruction, in a segment */
};

/* The boot images of a guest, opened for reading: what the layout needs to know of them, and
 * what the engine is given. */
struct bh_boot_images {
    int kernel_fd; /* -1: none */
    int initrd_fd;
    int elf_fd;
    int firmware_fd;
    uint64_t kernel_bytes;
    uint64_t initrd_bytes;
    uint64_t elf_bytes;
    uint64_t firmware_bytes;
    uint64_t kernel_memory; /* arm64 Image header: image_size, bytes from its address on */
    uint64_t kernel_offset; /* arm64 Image header: text_offset, from a 2 MiB boundary */
    struct bh_program program;
};

/* Opens the images that guest->boot names, read-only, and reads the kernel's header (arm64:
 * "Image", Linux Documentation/arch/arm64/booting; a compressed one is refused with what to do), or
 * the program's (ELF64, little endian, AArch64, ET_EXEC; anything else is refused with what to do).
 * BH_OK, or an error code, said in `diagnostics`; nothing is left open then. */
int bh_boot_images_open(struct bh_boot_images *images, const struct bh_platform *platform,
                        const struct bh_guest *guest, struct bh_diagnostics *diagnostics);
/* The same for who writes files and starts nothing: a program that is not there yet is a warning,
 * because it is compiled with a header that a build makes. It has no segments then, and the layout
 * no entry. */
int bh_boot_images_look(struct bh_boot_images *images, const struct bh_platform *platform,
                        const struct bh_guest *guest, struct bh_diagnostics *diagnostics);

void bh_boot_images_close(struct bh_boot_images *images);

/* Warns of each disk whose image this user cannot open: a definition may be checked on another host
 * than the one that has the disks. Nothing is opened. */
void bh_disk_images_look(const struct bh_platform *platform, struct bh_diagnostics *diagnostics);

/* Lays out a guest. BH_OK; BH_INVALID: it does not fit, said in `diagnostics` with the cure. */
int bh_layout_make(struct bh_layout *layout, const struct bh_guest *guest,
                   const struct bh_boot_images *images, struct bh_diagnostics *diagnostics);

/* Whether a region is one of the two parts of a window. */
bool bh_layout_is_part(const struct bh_layout *layout, const struct bh_layout_region *region);

/* The window of device `device`, both parts of it, as the guest sees it; NULL: it has none. */
const struct bh_layout_region *bh_layout_window(const struct bh_layout *layout, uint32_t device);

/* The flattened device tree of a guest with layout v1: processors (PSCI by hvc), GICv3, timer,
 * UART, power key (GPIO, PL061), memory, a reservation for every window, the virtio-mmio slots
 * that are in use with their windows, /chosen with command line and initrd. Same layout, same
 * bytes. `*tree` is allocated (free) and `*bytes` long. BH_NO_MEMORY; BH_LIMIT: more than
 * layout->tree has room for. */
int bh_device_tree_make(const struct bh_layout *layout, void **tree, size_t *bytes);

/* The code at layout->start: sets x0 to the device tree, x1..x3 to 0 and jumps to layout->entry, as
 * Linux and every "Image" kernel expect it. */
#define BH_START_CODE_BYTES 64u
void bh_start_code(const struct bh_layout *layout, uint8_t code[BH_START_CODE_BYTES]);

/* Everything that was derived, as files below `folder` (made if it is not there):
 *   platform.json          the definition with all defaults, and each guest's memory map
 *   GUEST.dtb              the device tree (guests with layout v1)
 *   GUEST.h                the same for guests that read no device tree: a C header (the same)
 *   GUEST.start            the start code (the same, once there is something to start)
 *   memory-map.txt         for people
 * BH_OK, or an error code, said in `diagnostics`. Files are replaced, each by a rename. */
int bh_platform_build(const struct bh_platform *platform, const char *folder,
                      struct bh_diagnostics *diagnostics);

#endif
