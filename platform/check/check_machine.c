/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Checks of addresses and interrupts that a definition writes itself: slots, and the registers and
 * interrupts of hardware that is passed through, against the machine of layout v1 and against each
 * other. Where the engine places everything, only against each other.
 */
#include "bulkhead/platform_layout.h"

#include <inttypes.h>

#include "check.h"

#define PAGE_BYTES  UINT64_C(0x1000)
#define SLOTS_BYTES (BH_VIRT_SLOTS * BH_VIRT_SLOT_BYTES)

static bool is_passed(const struct bh_device_definition *device)
{
    return device->type.value == BH_DEVICE_PASSTHROUGH;
}

/* ---------------------------------------------------------------------------------------- slot-twice */

static void check_slot(struct bh_reader *reader, struct bh_guest *guest,
                       struct bh_device_definition *device)
{
    for (const struct bh_device_definition *other = guest->devices; other != device; other++) {
        if (device->slot.value != BH_SLOT_ANY && !is_passed(device) && !is_passed(other) &&
            other->slot.value == device->slot.value) {
            BH_SAY(reader, "slot-twice", device->slot.at,
                   "devices %s and %s of guest %s have the same slot, %" PRIu64 "\n"
                   "give one of them another, or none: then it gets the first that is free",
                   other->name.text, device->name.text, guest->name.text, device->slot.value);
            bh_diagnostics_note(reader->diagnostics, other->slot.at, "device %s has it already",
                                other->name.text);
            break;
        }
    }
}

void bh_check_slot_twice(struct bh_reader *reader, struct bh_platform *platform)
{
    bh_each_device(reader, platform, check_slot);
}

/* ------------------------------------------------------------------------------- register-page */

static void check_page(struct bh_reader *reader, struct bh_guest *guest,
                       struct bh_device_definition *device)
{
    uint64_t address = device->registers.value;

    if (!is_passed(device) || address % PAGE_BYTES == 0) {
        return;
    }
    BH_SAY(reader, "register-page", device->registers.at,
           "registers of device %s of guest %s begin within a page: 0x%" PRIx64
           " is no multiple of 0x%" PRIx64 "\n"
           "write the beginning of its page, 0x%" PRIx64 ", and register-bytes from there",
           device->name.text, guest->name.text, address, PAGE_BYTES,
           address / PAGE_BYTES * PAGE_BYTES);
}

void bh_check_register_page(struct bh_reader *reader, struct bh_platform *platform)
{
    bh_each_device(reader, platform, check_page);
}

/* ---------------------------------------------------------------------------- register-overlap */

struct range {
    uint64_t address;
    uint64_t bytes;
    const char *what;
};

static bool overlaps(const struct range *a, const struct range *b)
{
    return a->address < b->address + b->bytes && b->address < a->address + a->bytes;
}

/* RAM and the windows behind it. */
static uint64_t memory_bytes(const struct bh_guest *guest)
{
    uint64_t bytes = guest->memory.value;

    for (uint32_t i = 0; i < guest->device_count; i++) {
        bytes += guest->devices[i].window.value;
    }
    return bytes;
}

static void check_layout(const struct bh_reader *reader, const struct bh_guest *guest,
                         const struct bh_device_definition *device, const struct range *registers)
{
    const struct range machine[] = {
        {BH_VIRT_GIC_DISTRIBUTOR, BH_VIRT_GIC_DISTRIBUTOR_BYTES, "the interrupt controller"},
        {BH_VIRT_GIC_REDISTRIBUTOR, guest->cpus.value * BH_VIRT_GIC_REDISTRIBUTOR_BYTES,
         "the interrupt controller"},
        {BH_VIRT_UART, BH_VIRT_CELL_BYTES, "the UART"},
        {BH_VIRT_RTC, BH_VIRT_CELL_BYTES, "the clock"},
        {BH_VIRT_GPIO, BH_VIRT_CELL_BYTES, "the power key"},
        {BH_VIRT_SLOT, SLOTS_BYTES, "the slots of the virtio devices"},
        {BH_VIRT_RAM, memory_bytes(guest), "the guest's memory"},
    };

    for (size_t i = 0; i < sizeof(machine) / sizeof(machine[0]); i++) {
        if (overlaps(registers, &machine[i])) {
            BH_SAY(reader, "register-overlap", device->registers.at,
                   "registers of device %s lie where layout v1 has %s, 0x%" PRIx64 "-0x%" PRIx64
                   "\n"
                   "write an address from 0x0c000000 on, below 0x40000000",
                   device->name.text, machine[i].what, machine[i].address,
                   machine[i].address + machine[i].bytes - 1u);
            return;
        }
    }
}

static struct range registers_of(const struct bh_device_definition *device)
{
    return (struct range){device->registers.value, device->register_bytes.value, device->name.text};
}

static void check_overlap(struct bh_reader *reader, struct bh_guest *guest,
                          struct bh_device_definition *device)
{
    const struct range registers = registers_of(device);

    if (!is_passed(device)) {
        return;
    }
    if (guest->layout.value == BH_LAYOUT_V1) {
        check_layout(reader, guest, device, &registers);
    }
    for (const struct bh_device_definition *other = guest->devices; other != device; other++) {
        const struct range others = registers_of(other);

        if (is_passed(other) && overlaps(&registers, &others)) {
            BH_SAY(reader, "register-overlap", device->registers.at,
                   "registers of devices %s and %s of guest %s overlap\n"
                   "%s has 0x%" PRIx64 "-0x%" PRIx64 "; write an address behind it",
                   other->name.text, device->name.text, guest->name.text, other->name.text,
                   others.address, others.address + others.bytes - 1u);
            bh_diagnostics_note(reader->diagnostics, other->registers.at, "the registers of %s",
                                other->name.text);
            break;
        }
    }
}

void bh_check_register_overlap(struct bh_reader *reader, struct bh_platform *platform)
{
    bh_each_device(reader, platform, check_overlap);
}

/* ----------------------------------------------------------------------------------- interrupt */

/* Who has an interrupt of layout v1; NULL: nobody. */
static const char *interrupt_owner(uint64_t spi)
{
    switch (spi) {
    case BH_VIRT_UART_SPI:
        return "the UART";
    case BH_VIRT_RTC_SPI:
        return "the clock";
    case BH_VIRT_GPIO_SPI:
        return "the power key";
    default:
        return spi >= BH_VIRT_SLOT_SPI && spi < BH_VIRT_SLOT_SPI + BH_VIRT_SLOTS
                   ? "a slot of the virtio devices"
                   : NULL;
    }
}

static void check_interrupt(struct bh_reader *reader, struct bh_guest *guest,
                            struct bh_device_definition *device)
{
    uint64_t spi = device->interrupt.value;
    const char *owner =
        guest->layout.value == BH_LAYOUT_V1 && is_passed(device) ? interrupt_owner(spi) : NULL;

    if (owner != NULL) {
        BH_SAY(reader, "interrupt", device->interrupt.at,
               "interrupt %" PRIu64 " of device %s is that of %s in layout v1\n"
               "write one from %u on",
               spi, device->name.text, owner, BH_VIRT_SLOT_SPI + BH_VIRT_SLOTS);
    }
    for (const struct bh_device_definition *other = guest->devices; other != device; other++) {
        if (is_passed(device) && is_passed(other) && spi != UINT32_MAX &&
            other->interrupt.value == spi) {
            BH_SAY(reader, "interrupt", device->interrupt.at,
                   "devices %s and %s of guest %s have the same interrupt, %" PRIu64 "\n"
                   "give one of them another",
                   other->name.text, device->name.text, guest->name.text, spi);
            bh_diagnostics_note(reader->diagnostics, other->interrupt.at,
                                "device %s has it already", other->name.text);
            break;
        }
    }
}

void bh_check_interrupt(struct bh_reader *reader, struct bh_platform *platform)
{
    bh_each_device(reader, platform, check_interrupt);
}
