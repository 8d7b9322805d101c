/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * memory-map.txt: for each guest what lies where in its memory and who can reach it, for people.
 * It says what the gate lets each back end have.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "build.h"
#include "platform/layout/layout_text.h"

/* One line: first and last address, size, what it is; `reach` ends it. */
static void line_print(FILE *to, uint64_t address, uint64_t size, const char *what,
                       const char *detail, const char *reach)
{
    char name[64];

    (void)snprintf(name, sizeof(name), "%s%s", what, detail);
    (void)fprintf(to, "  0x%09" PRIx64 "  0x%09" PRIx64 "  %9s  ", address, address + size - 1u,
                  bh_size_text_make(size).text);
    (void)fprintf(to, *reach ? "%-42s  %s\n" : "%s%s\n", name, reach);
}

static void placements_print(FILE *to, const struct bh_layout *layout)
{
    const struct {
        const char *what;
        const struct bh_placement *placement;
    } images[] = {
        {"  device tree", &layout->tree},
        {"  start code", &layout->start},
        {"  kernel", &layout->kernel},
        {"  initrd", &layout->initrd},
    };

    for (size_t i = 0; i < sizeof(images) / sizeof(images[0]); i++) {
        if (images[i].placement->size > 0) {
            line_print(to, images[i].placement->address, images[i].placement->size, images[i].what,
                       "", "");
        }
    }
    for (uint32_t i = 0; i < layout->segment_count; i++) {
        line_print(to, layout->segments[i].address, layout->segments[i].size, "  program", "", "");
    }
}

/* Who reaches a window, or a part of it. */
static const char *reach_of(const struct bh_guest *guest, const struct bh_layout_region *region)
{
    static const char *const reach[2][2] = {
        {"guest, engine, gate, its back end", "guest, engine, gate, its back end, open ones"},
        {"guest, engine, gate", "guest, engine, gate, open back ends"},
    };

    return reach[region->rings][bh_guest_has_open(guest)];
}

static void window_print(FILE *to, const struct bh_layout *layout,
                         const struct bh_layout_region *region)
{
    char detail[64];

    (void)snprintf(detail, sizeof(detail), "%s%s", layout->guest->devices[region->device].name.text,
                   !bh_layout_is_part(layout, region) ? ""
                   : region->rings                    ? ", rings"
                                                      : ", data");
    line_print(to, region->address, region->size, "window of ", detail,
               reach_of(layout->guest, region));
}

static void regions_print(FILE *to, const struct bh_layout *layout)
{
    for (uint32_t i = 0; i < layout->region_count; i++) {
        const struct bh_layout_region *region = &layout->regions[i];

        switch (region->kind) {
        case BH_REGION_PRIVATE:
            line_print(to, region->address, region->size, "private RAM", "", "guest, engine");
            placements_print(to, layout);
            break;
        case BH_REGION_SHARED:
            line_print(to, region->address, region->size, "shared RAM", "",
                       bh_guest_has_open(layout->guest) ? "guest, engine, gate, open back ends"
                                                        : "guest, engine, gate");
            placements_print(to, layout);
            break;
        case BH_REGION_WINDOW:
            window_print(to, layout, region);
            break;
        case BH_REGION_RESERVED:
            line_print(to, region->address, region->size, "left out: window of ",
                       layout->guest->devices[region->device].name.text, "engine");
            break;
        }
    }
}

static void slots_print(FILE *to, const struct bh_layout *layout)
{
    const struct bh_guest *guest = layout->guest;

    if (guest->arch.value != BH_ARCH_ARM64) {
        return;
    }
    for (uint32_t i = 0; i < guest->device_count; i++) {
        const uint32_t slot = layout->slots[i];
        char detail[64];

        if (slot == BH_SLOT_NONE || guest->devices[i].left_out) {
            continue;
        }
        (void)snprintf(detail, sizeof(detail), "%s (%s)", guest->devices[i].name.text,
                       bh_device_type_name(guest->devices[i].type.value));
        line_print(to, BH_VIRT_SLOT + slot * BH_VIRT_SLOT_BYTES, BH_VIRT_SLOT_BYTES, "device ",
                   detail, "registers: guest, engine");
    }
}

static void guest_print(FILE *to, const struct bh_layout *layout)
{
    const struct bh_guest *guest = layout->guest;

    (void)fprintf(to, "\nguest %s: %s, %s\n", guest->name.text, bh_arch_name(guest->arch.value),
                  bh_criticality_name(guest->criticality.value));
    (void)fprintf(to, "  %-11s  %-11s  %9s  %-42s  %s\n", "first", "last", "size", "what",
                  "who can reach it");
    slots_print(to, layout);
    regions_print(to, layout);
}

char *bh_build_map(const struct bh_platform *platform, const struct bh_built *built)
{
    char *text = NULL;
    size_t length = 0;
    FILE *to = open_memstream(&text, &length);

    if (!to) {
        return NULL;
    }
    (void)fprintf(
        to,
        "Memory of the guests of %s, as each guest sees it.\n"
        "The engine and the gate of a guest have all that it shares; the gate hands on to "
        "a back end\nwhat stands here. For the guest, rings and data are one window.\n",
        platform->name.text);
    for (uint32_t i = 0; i < platform->guest_count; i++) {
        guest_print(to, &built[i].layout);
    }
    if (fclose(to) != 0) {
        free(text);
        return NULL;
    }
    return text;
}
