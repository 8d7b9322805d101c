/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Where that lies which a guest with layout v1 boots: kernel and initrd are placed, the segments of
 * a program lie where it was linked, and are checked. What does not fit is said with the number to
 * write.
 *
 * RAM:
 *   +0     2 MiB  left alone: QEMU puts a device tree of its own at the start of RAM
 *   +2M    64 KiB device tree, then the start code, on a page of its own
 *   +4M    the kernel, text_offset behind this boundary, with all memory it asks for
 *   then   the initrd, at the next 64 KiB
 *   or     from +4M on, the segments of the program
 */
#include <inttypes.h>
#include <stdio.h>

#include "bulkhead/error.h"
#include "layout_check.h"
#include "layout_text.h"

#define PAGE_BYTES (UINT64_C(64) << 10) /* the largest page of an arm64 guest */

_Static_assert(BH_VIRT_START + BH_START_CODE_BYTES <= BH_VIRT_IMAGE, "the start code has room");

/* ------------------------------------------------------------------------------------------------
 * a kernel */

static int kernel_fits(const struct bh_layout *layout, uint64_t end,
                       struct bh_diagnostics *diagnostics)
{
    const struct bh_guest *guest = layout->guest;
    const struct bh_layout_region *ram = &layout->regions[0];
    const uint64_t needs = bh_align_up(end - ram->address, BH_VIRT_RAM_STEP);
    const uint64_t enough = bh_memory_enough(layout, 1);

    if (needs > ram->size) {
        bh_diagnostics_add(
            diagnostics, BH_SEVERITY_ERROR, "memory-fit", guest->memory.at,
            "memory of guest %s is %s; its kernel%s needs %s before it has done anything\n"
            "write memory: %s or more",
            guest->name.text, bh_size_text_make(ram->size).text,
            layout->initrd.size > 0 ? " with the initrd" : "", bh_size_text_make(needs).text,
            bh_size_text_make(enough > needs ? enough : needs).text);
        return BH_INVALID;
    }
    return bh_memory_check(layout, diagnostics);
}

static int kernel_place(struct bh_layout *layout, const struct bh_boot_images *images,
                        struct bh_diagnostics *diagnostics)
{
    const struct bh_guest *guest = layout->guest;
    /* What is behind image_size in the file (a signature) is loaded too. */
    const uint64_t kernel =
        images->kernel_memory > images->kernel_bytes ? images->kernel_memory : images->kernel_bytes;

    /* Sparse files, too, so that no sum below overflows. */
    if (images->kernel_offset >= BH_VIRT_RAM_STEP || kernel > BH_VIRT_MEMORY_MAX ||
        images->initrd_bytes > BH_VIRT_MEMORY_MAX) {
        bh_diagnostics_add(diagnostics, BH_SEVERITY_ERROR, "memory-fit", guest->boot.at,
                           "kernel or initrd of guest %s is larger than any memory it can have\n"
                           "write the paths of a kernel and an initrd",
                           guest->name.text);
        return BH_INVALID;
    }
    layout->kernel.address = BH_VIRT_IMAGE + images->kernel_offset;
    layout->kernel.size = kernel;
    layout->entry = layout->kernel.address;

    uint64_t end = layout->kernel.address + kernel;

    if (images->initrd_bytes > 0) {
        layout->initrd.address = bh_align_up(end, PAGE_BYTES);
        layout->initrd.size = images->initrd_bytes;
        end = layout->initrd.address + layout->initrd.size;
    }
    return kernel_fits(layout, end, diagnostics);
}

/* ------------------------------------------------------------------------------------------------
 * a program */

/* Addresses of the segment, as a linker map shows them. */
static int segment_say(const struct bh_layout *layout, const struct bh_placement *segment,
                       const char *why, const char *cure, struct bh_diagnostics *diagnostics)
{
    const struct bh_text *file = &layout->guest->boot.elf;

    bh_diagnostics_add(diagnostics, BH_SEVERITY_ERROR, "elf-place", file->at,
                       "the program of guest %s has a segment at 0x%" PRIx64 " to 0x%" PRIx64
                       ", %s: %s\n%s",
                       layout->guest->name.text, segment->address,
                       segment->address + (segment->size - 1u), why, file->text, cure);
    return BH_INVALID;
}

static int segment_check(const struct bh_layout *layout, const struct bh_placement *segment,
                         struct bh_diagnostics *diagnostics)
{
    const struct bh_layout_region *ram = &layout->regions[0];
    const uint64_t offset = segment->address - BH_VIRT_RAM; /* large, if it lies below */
    char cure[96];

    if (segment->address < BH_VIRT_RAM || offset >= BH_VIRT_MEMORY_MAX ||
        segment->size > BH_VIRT_MEMORY_MAX - offset) {
        return segment_say(layout, segment, "where no guest has RAM",
                           "link it to 0x40400000 and above (layout v1); where it runs at other "
                           "addresses than it is loaded to, check the load addresses (AT in the "
                           "linker script)",
                           diagnostics);
    }
    if (segment->address < BH_VIRT_IMAGE) {
        return segment_say(layout, segment,
                           "but the first 4M of RAM hold the device tree and the code that "
                           "starts the program",
                           "link it to 0x40400000 and above (layout v1)", diagnostics);
    }
    if (offset + segment->size > ram->size) {
        (void)snprintf(
            cure, sizeof(cure), "write memory: %s or more",
            bh_size_text_make(bh_align_up(offset + segment->size, BH_VIRT_RAM_STEP)).text);
        return segment_say(layout, segment, "behind the end of RAM", cure, diagnostics);
    }
    return BH_OK;
}

static int program_place(struct bh_layout *layout, const struct bh_program *program,
                         struct bh_diagnostics *diagnostics)
{
    for (uint32_t i = 0; i < program->segment_count; i++) {
        if (segment_check(layout, &program->segments[i], diagnostics) != BH_OK) {
            return BH_INVALID;
        }
        layout->segments[i] = program->segments[i];
    }
    layout->segment_count = program->segment_count;
    layout->entry = program->entry;
    return BH_OK;
}

/* ------------------------------------------------------------------------------------------------ */

int bh_layout_images(struct bh_layout *layout, const struct bh_boot_images *images,
                     struct bh_diagnostics *diagnostics)
{
    layout->tree = (struct bh_placement){BH_VIRT_TREE, BH_VIRT_TREE_BYTES};
    layout->start = (struct bh_placement){BH_VIRT_START, BH_START_CODE_BYTES};
    if (layout->guest->boot.elf.text != NULL) {
        return program_place(layout, &images->program, diagnostics);
    }
    return kernel_place(layout, images, diagnostics);
}
