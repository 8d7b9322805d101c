/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * GUEST.h: the machine of a guest as a C header, for guests without a device-tree parser. It says
 * what the device tree says, and nothing that the guest has no use for. Numbers only: it includes
 * nothing, declares nothing, and needs C99.
 *
 * A name is BULKHEAD_, what it is, and of a device its name at the end, so that no two devices can
 * get the same one; all of them differ in their first 63 characters (MISRA C:2012, rule 5.4).
 */
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "build.h"
#include "platform/layout/layout_text.h"

#define VALUE_COLUMN 47

/* A name of the definition as a part of a C name: letters, digits and '_' only. The names of the
 * definition have '-' and no '_', so two of them stay two. */
struct c_name {
    char text[BH_NAME_MAX + 1u];
};

static struct c_name c_name_make(const char *name)
{
    struct c_name made;
    const size_t length = strnlen(name, BH_NAME_MAX);

    for (size_t i = 0; i < length; i++) {
        const char c = name[i];

        if (c >= 'a' && c <= 'z') {
            made.text[i] = (char)(c - 'a' + 'A');
        } else {
            made.text[i] = (char)(c >= '0' && c <= '9' ? c : '_');
        }
    }
    made.text[length] = '\0';
    return made;
}

/* ------------------------------------------------------------------------------------------------
 * lines */

static void define(FILE *to, const char *what, const char *device, const char *value,
                   const char *comment)
{
    char name[96];

    (void)snprintf(name, sizeof(name), "BULKHEAD_%s%s%s", what, *device ? "_" : "",
                   c_name_make(device).text);
    (void)fprintf(to, "#define %-*s %s", VALUE_COLUMN, name, value);
    (void)fprintf(to, *comment ? " /* %s */\n" : "%s\n", comment);
}

/* An address or a size in bytes: 64 bits. */
static void address(FILE *to, const char *what, const char *device, uint64_t value)
{
    char text[32];

    (void)snprintf(text, sizeof(text), "0x%09" PRIx64 "ULL", value);
    define(to, what, device, text, "");
}

static void bytes(FILE *to, const char *what, const char *device, uint64_t value)
{
    char text[32];

    (void)snprintf(text, sizeof(text), "0x%09" PRIx64 "ULL", value);
    define(to, what, device, text, bh_size_text_make(value).text);
}

static void number(FILE *to, const char *what, const char *device, uint32_t value,
                   const char *comment)
{
    char text[24];

    (void)snprintf(text, sizeof(text), "%" PRIu32 "U", value);
    define(to, what, device, text, comment);
}

static void range(FILE *to, const char *what, const char *device, uint64_t base, uint64_t size)
{
    char name[48];

    (void)snprintf(name, sizeof(name), "%s_BASE", what);
    address(to, name, device, base);
    (void)snprintf(name, sizeof(name), "%s_BYTES", what);
    bytes(to, name, device, size);
}

static void title(FILE *to, const char *text)
{
    (void)fprintf(to, "\n/* %s */\n", text);
}

/* ------------------------------------------------------------------------------------------------
 * parts */

static void guest_print(FILE *to, const struct bh_layout *layout)
{
    const struct bh_guest *guest = layout->guest;

    title(to, "The guest. Criticality: 0 is QM, 1 to 4 are ASIL A to D; a claim, no certificate.");
    number(to, "LAYOUT", "", BH_VIRT_LAYOUT, "the version of spec/layout.md");
    number(to, "CPUS", "", (uint32_t)guest->cpus.value, "");
    number(to, "CRITICALITY", "", guest->criticality.value,
           bh_criticality_name(guest->criticality.value));
}

static void memory_print(FILE *to, const struct bh_layout *layout)
{
    const struct bh_layout_region *ram = &layout->regions[0];

    title(
        to,
        "Memory. Windows lie behind RAM; they are the devices', and listed with them. What the\n"
        " * guest boots lies from IMAGE_BASE on; the device tree and the start code before it are\n"
        " * the guest's to overwrite once it has started.");
    range(to, "RAM", "", ram->address, ram->size);
    number(to, "RAM_IS_SHARED", "", ram->kind == BH_REGION_SHARED,
           ram->kind != BH_REGION_SHARED      ? "neither gate nor back ends can reach it"
           : bh_guest_has_open(layout->guest) ? "open back ends can reach all of it"
                                              : "the gate can reach all of it");
    range(to, "TREE", "", layout->tree.address, layout->tree.size);
    address(to, "IMAGE_BASE", "", BH_VIRT_IMAGE);
}

static void machine_print(FILE *to, const struct bh_layout *layout)
{
    const uint32_t cpus = (uint32_t)layout->guest->cpus.value;

    title(to, "Interrupt controller (GICv3). Interrupts below are its numbers (INTID).");
    range(to, "GIC_DISTRIBUTOR", "", BH_VIRT_GIC_DISTRIBUTOR, BH_VIRT_GIC_DISTRIBUTOR_BYTES);
    range(to, "GIC_REDISTRIBUTOR", "", BH_VIRT_GIC_REDISTRIBUTOR,
          BH_VIRT_GIC_REDISTRIBUTOR_BYTES * cpus);
    bytes(to, "GIC_REDISTRIBUTOR_STRIDE", "", BH_VIRT_GIC_REDISTRIBUTOR_BYTES);

    title(to, "The processors' timers (level).");
    number(to, "TIMER_VIRTUAL_INTERRUPT", "", BH_VIRT_PPI_BASE + BH_VIRT_TIMER_VIRTUAL_PPI, "");
    number(to, "TIMER_PHYSICAL_INTERRUPT", "", BH_VIRT_PPI_BASE + BH_VIRT_TIMER_PHYSICAL_PPI, "");
    number(to, "TIMER_HYPERVISOR_INTERRUPT", "", BH_VIRT_PPI_BASE + BH_VIRT_TIMER_HYPERVISOR_PPI,
           "");
    number(to, "TIMER_SECURE_INTERRUPT", "", BH_VIRT_PPI_BASE + BH_VIRT_TIMER_SECURE_PPI, "");

    title(to, "UART (PL011), clock (PL031), GPIO (PL061) with the power key (level).");
    range(to, "UART", "", BH_VIRT_UART, BH_VIRT_CELL_BYTES);
    number(to, "UART_INTERRUPT", "", BH_VIRT_SPI_BASE + BH_VIRT_UART_SPI, "");
    number(to, "UART_CLOCK_HZ", "", BH_VIRT_CELL_CLOCK, "");
    range(to, "CLOCK", "", BH_VIRT_RTC, BH_VIRT_CELL_BYTES);
    number(to, "CLOCK_INTERRUPT", "", BH_VIRT_SPI_BASE + BH_VIRT_RTC_SPI, "");
    range(to, "GPIO", "", BH_VIRT_GPIO, BH_VIRT_CELL_BYTES);
    number(to, "GPIO_INTERRUPT", "", BH_VIRT_SPI_BASE + BH_VIRT_GPIO_SPI, "");
    number(to, "POWER_KEY_LINE", "", BH_VIRT_POWER_KEY_LINE, "of the GPIO; high while pressed");

    title(
        to,
        "Slots for virtio-mmio devices; slot n lies n * SLOT_BYTES behind the first, and has the\n"
        " * interrupt n behind the first (edge). One that is empty has the device ID 0.");
    range(to, "SLOT", "", BH_VIRT_SLOT, BH_VIRT_SLOT_BYTES);
    number(to, "SLOT_INTERRUPT", "", BH_VIRT_SPI_BASE + BH_VIRT_SLOT_SPI, "of slot 0");
    number(to, "SLOT_COUNT", "", BH_VIRT_SLOTS, "");
}

static void passthrough_print(FILE *to, const struct bh_device_definition *device)
{
    const char *name = device->name.text;

    range(to, "DEVICE", name, device->registers.value, device->register_bytes.value);
    if (device->interrupt.value != UINT32_MAX) {
        number(to, "DEVICE_INTERRUPT", name, BH_VIRT_SPI_BASE + (uint32_t)device->interrupt.value,
               "");
    }
}

static void virtio_print(FILE *to, const struct bh_layout *layout, uint32_t index)
{
    const struct bh_device_definition *device = &layout->guest->devices[index];
    const char *name = device->name.text;
    const uint32_t slot = layout->slots[index];

    number(to, "DEVICE_SLOT", name, slot, "");
    number(to, "DEVICE_ID", name, bh_device_kind(device->type.value).virtio_id, "of VIRTIO");
    range(to, "DEVICE", name, BH_VIRT_SLOT + slot * BH_VIRT_SLOT_BYTES, BH_VIRT_SLOT_BYTES);
    number(to, "DEVICE_INTERRUPT", name, BH_VIRT_SPI_BASE + BH_VIRT_SLOT_SPI + slot, "");
}

static void device_print(FILE *to, const struct bh_layout *layout, uint32_t index)
{
    const struct bh_device_definition *device = &layout->guest->devices[index];
    const struct bh_layout_region *window = bh_layout_window(layout, index);
    char text[96];

    (void)snprintf(text, sizeof(text), "Device %s: %s%s", device->name.text,
                   bh_device_kind(device->type.value).doc,
                   device->left_out ? "; left out: its addresses stay free" : "");
    title(to, text);
    number(to, "DEVICE_IS_PRESENT", device->name.text, !device->left_out, "");
    if (layout->slots[index] == BH_SLOT_NONE) {
        passthrough_print(to, device);
    } else {
        virtio_print(to, layout, index);
    }
    if (window != NULL) {
        range(to, "WINDOW", device->name.text, window->address, window->size);
    }
}

/* ------------------------------------------------------------------------------------------------ */

char *bh_build_header(const struct bh_platform *platform, const struct bh_built *built)
{
    const struct bh_guest *guest = built->layout.guest;
    const struct c_name car = c_name_make(platform->name.text);
    const struct c_name name = c_name_make(guest->name.text);
    char *text = NULL;
    size_t length = 0;
    FILE *to = open_memstream(&text, &length);

    if (!to) {
        return NULL;
    }
    (void)fprintf(
        to,
        "/*\n"
        " * The machine of guest %s of %s: layout v1. Made by `bulkhead build`; a change here\n"
        " * is lost. Addresses and sizes have 64 bits, other numbers 32.\n"
        " */\n"
        "#ifndef BULKHEAD_HEADER_%s_%s_H\n"
        "#define BULKHEAD_HEADER_%s_%s_H\n",
        guest->name.text, platform->name.text, car.text, name.text, car.text, name.text);
    guest_print(to, &built->layout);
    memory_print(to, &built->layout);
    machine_print(to, &built->layout);
    for (uint32_t i = 0; i < guest->device_count; i++) {
        device_print(to, &built->layout, i);
    }
    (void)fprintf(to, "\n#endif\n");
    const bool failed = ferror(to) != 0;

    if (fclose(to) != 0 || failed) {
        free(text);
        return NULL;
    }
    return text;
}
