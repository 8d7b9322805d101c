/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The device tree of a guest with layout v1, written from the layout alone. The fixed parts of the
 * machine are tree_machine.c; here is what depends on the definition: memory, reservations for the
 * windows, the virtio-mmio slots in use, /chosen.
 *
 * Every byte of a window is reserved, as one `restricted-dma-pool` that its slot names, whatever parts
 * it has: Linux then bounces all of that device's transfers, rings included, through it.
 */
#include <inttypes.h>
#include <libfdt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bulkhead/error.h"
#include "bulkhead/platform_layout.h"
#include "tree.h"

#define NAME_BYTES 64

void bh_tree_node(struct bh_tree *tree, const char *name, uint64_t address)
{
    char full[NAME_BYTES];

    /* A node's name has at most 31 characters before the '@' (Devicetree Specification 2.2.1). */
    (void)snprintf(full, sizeof(full), "%.31s@%" PRIx64, name, address);
    bh_tree_add(tree, fdt_begin_node(tree->fdt, full));
}

void bh_tree_text(struct bh_tree *tree, const char *name, const char *text)
{
    bh_tree_add(tree, fdt_property(tree->fdt, name, text, (int)(strlen(text) + 1u)));
}

void bh_tree_words(struct bh_tree *tree, const char *name, const uint32_t *words, uint32_t count)
{
    void *value = NULL;

    bh_tree_add(tree, fdt_property_placeholder(tree->fdt, name, (int)(count * 4u), &value));
    if (tree->error != 0) {
        return;
    }
    for (uint32_t i = 0; i < count; i++) {
        fdt32_st((uint8_t *)value + 4u * (size_t)i, words[i]);
    }
}

void bh_tree_reg(struct bh_tree *tree, uint64_t address, uint64_t size)
{
    BH_TREE_WORDS(tree, "reg", (uint32_t)(address >> 32), (uint32_t)address, (uint32_t)(size >> 32),
                  (uint32_t)size);
}

void bh_tree_add(struct bh_tree *tree, int result)
{
    if (tree->error == 0) {
        tree->error = result;
    }
}

static void range_add(uint32_t *words, const struct bh_layout_region *region)
{
    words[0] = (uint32_t)(region->address >> 32);
    words[1] = (uint32_t)region->address;
    words[2] = (uint32_t)(region->size >> 32);
    words[3] = (uint32_t)region->size;
}

/* RAM and windows: a window is memory too, else Linux has no mapping for it. */
static void memory_add(struct bh_tree *tree, const struct bh_layout *layout)
{
    uint32_t words[4u * (1u + BH_DEVICES_MAX)];
    uint32_t count = 4;

    range_add(words, &layout->regions[0]);
    for (uint32_t i = 0; i < layout->guest->device_count; i++) {
        const struct bh_layout_region *window = bh_layout_window(layout, i);

        if (window != NULL) {
            range_add(words + count, window);
            count += 4;
        }
    }
    bh_tree_node(tree, "memory", layout->regions[0].address);
    bh_tree_text(tree, "device_type", "memory");
    bh_tree_words(tree, "reg", words, count);
    bh_tree_add(tree, fdt_end_node(tree->fdt));
}

static void reservations_add(struct bh_tree *tree, const struct bh_layout *layout)
{
    bh_tree_add(tree, fdt_begin_node(tree->fdt, "reserved-memory"));
    bh_tree_add(tree, fdt_property_u32(tree->fdt, "#address-cells", 2));
    bh_tree_add(tree, fdt_property_u32(tree->fdt, "#size-cells", 2));
    bh_tree_add(tree, fdt_property(tree->fdt, "ranges", NULL, 0));
    for (uint32_t i = 0; i < layout->guest->device_count; i++) {
        const struct bh_layout_region *window = bh_layout_window(layout, i);

        if (window == NULL) {
            continue;
        }
        bh_tree_node(tree, layout->guest->devices[i].name.text, window->address);
        bh_tree_text(tree, "compatible", "restricted-dma-pool");
        bh_tree_reg(tree, window->address, window->size);
        bh_tree_add(tree, fdt_property_u32(tree->fdt, "phandle", BH_TREE_PHANDLE_WINDOWS + i));
        bh_tree_add(tree, fdt_end_node(tree->fdt));
    }
    bh_tree_add(tree, fdt_end_node(tree->fdt));
}

static void slots_add(struct bh_tree *tree, const struct bh_layout *layout)
{
    for (uint32_t i = 0; i < layout->guest->device_count; i++) {
        const uint32_t slot = layout->slots[i];
        const uint64_t address = BH_VIRT_SLOT + slot * BH_VIRT_SLOT_BYTES;

        if (slot == BH_SLOT_NONE || layout->guest->devices[i].left_out) {
            continue;
        }
        bh_tree_node(tree, "virtio", address);
        bh_tree_text(tree, "compatible", "virtio,mmio");
        bh_tree_reg(tree, address, BH_VIRT_SLOT_BYTES);
        BH_TREE_WORDS(tree, "interrupts", BH_TREE_SPI, BH_VIRT_SLOT_SPI + slot, BH_TREE_EDGE);
        bh_tree_add(tree, fdt_property(tree->fdt, "dma-coherent", NULL, 0));
        if (bh_layout_window(layout, i)) {
            BH_TREE_WORDS(tree, "memory-region", BH_TREE_PHANDLE_WINDOWS + i);
        }
        bh_tree_add(tree, fdt_end_node(tree->fdt));
    }
}

static void address_add(struct bh_tree *tree, const char *name, uint64_t address)
{
    bh_tree_add(tree, fdt_property_u64(tree->fdt, name, address));
}

static void chosen_add(struct bh_tree *tree, const struct bh_layout *layout)
{
    const struct bh_text *command_line = &layout->guest->boot.command_line;

    bh_tree_add(tree, fdt_begin_node(tree->fdt, "chosen"));
    bh_tree_text(tree, "stdout-path", BH_TREE_UART);
    if (command_line->text) {
        bh_tree_text(tree, "bootargs", command_line->text);
    }
    if (layout->initrd.size > 0) {
        address_add(tree, "linux,initrd-start", layout->initrd.address);
        address_add(tree, "linux,initrd-end", layout->initrd.address + layout->initrd.size);
    }
    bh_tree_add(tree, fdt_end_node(tree->fdt));
}

int bh_device_tree_make(const struct bh_layout *layout, void **tree, size_t *bytes)
{
    struct bh_tree writer = {.fdt = malloc((size_t)layout->tree.size)};

    if (!writer.fdt) {
        return BH_NO_MEMORY;
    }
    bh_tree_add(&writer, fdt_create(writer.fdt, (int)layout->tree.size));
    bh_tree_add(&writer, fdt_finish_reservemap(writer.fdt));
    bh_tree_add(&writer, fdt_begin_node(writer.fdt, ""));
    bh_tree_machine_add(&writer, layout);
    memory_add(&writer, layout);
    reservations_add(&writer, layout);
    slots_add(&writer, layout);
    chosen_add(&writer, layout);
    bh_tree_add(&writer, fdt_end_node(writer.fdt));
    bh_tree_add(&writer, fdt_finish(writer.fdt));
    if (writer.error != 0) {
        free(writer.fdt);
        return writer.error == -FDT_ERR_NOSPACE ? BH_LIMIT : BH_INVALID;
    }
    *tree = writer.fdt;
    *bytes = fdt_totalsize(writer.fdt);
    return BH_OK;
}
