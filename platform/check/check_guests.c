/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Checks of guests and their devices: how they boot, and what isolation that allows. Whether
 * memory has room for it all is the layout's to check.
 */
#include <inttypes.h>
#include <string.h>

#include "check.h"
#include "platform/definition/text.h"

bool bh_guest_is_open(const struct bh_guest *guest)
{
    for (uint32_t i = 0; i < guest->device_count; i++) {
        if (guest->devices[i].isolation.value == BH_ISOLATION_OPEN) {
            return true;
        }
    }
    return false;
}

/* What only a kernel has a use for. */
static void check_kernel_only(const struct bh_reader *reader, const struct bh_text *text,
                              const char *key)
{
    if (text->text != NULL) {
        BH_SAY(reader, "boot", text->at,
               "%s is for a kernel, and this guest boots firmware\n"
               "remove it: the firmware loads what it boots itself",
               key);
    }
}

void bh_check_boot(struct bh_reader *reader, struct bh_platform *platform)
{
    for (uint32_t i = 0; i < platform->guest_count; i++) {
        const struct bh_guest *guest = &platform->guests[i];
        const struct bh_boot *boot = &guest->boot;

        if (boot->kernel.text == NULL && boot->firmware.text == NULL) {
            BH_SAY(reader, "boot", boot->at,
                   "guest %s has neither a kernel nor firmware to boot\n"
                   "write kernel: PATH, or firmware: PATH",
                   guest->name.text);
        } else if (boot->kernel.text != NULL && boot->firmware.text != NULL) {
            BH_SAY(reader, "boot", boot->firmware.at,
                   "guest %s has a kernel and firmware; it begins with one of them\n"
                   "remove one: the firmware finds its kernel itself",
                   guest->name.text);
        } else if (boot->firmware.text != NULL) {
            check_kernel_only(reader, &boot->initrd, "initrd");
            check_kernel_only(reader, &boot->command_line, "command-line");
        }
    }
}

/* Why no device of the guest can keep to a window; NULL: it can. */
static const char *why_open(const struct bh_guest *guest)
{
    if (guest->arch.value != BH_ARCH_ARM64) {
        return "x86_64 guests have no device tree that ties a device to its window";
    }
    if (guest->boot.kernel.text == NULL) {
        return "firmware places its buffers anywhere in memory";
    }
    return NULL;
}

static void check_device(const struct bh_reader *reader, const struct bh_guest *guest,
                         struct bh_device_definition *device)
{
    bool isolation_given = bh_is_given(device->isolation.at, device->name.at);
    const char *why = why_open(guest);

    if (why != NULL && isolation_given && device->isolation.value == BH_ISOLATION_DIRECT) {
        BH_SAY(reader, "isolation", device->isolation.at,
               "device %s of guest %s cannot be direct: %s\nwrite isolation: open, or remove it",
               device->name.text, guest->name.text, why);
    }
    if (why != NULL) {
        device->isolation.value = BH_ISOLATION_OPEN;
    }
    if (device->isolation.value != BH_ISOLATION_OPEN) {
        return;
    }
    if (bh_is_given(device->window.at, device->name.at)) {
        BH_SAY(reader, "isolation", device->window.at,
               "device %s of guest %s is open, which has no window%s%s\nremove the window",
               device->name.text, guest->name.text, why == NULL ? "" : ": ",
               why == NULL ? "" : why);
    }
    device->window.value = 0;
}

void bh_check_isolation(struct bh_reader *reader, struct bh_platform *platform)
{
    for (uint32_t i = 0; i < platform->guest_count; i++) {
        for (uint32_t j = 0; j < platform->guests[i].device_count; j++) {
            check_device(reader, &platform->guests[i], &platform->guests[i].devices[j]);
        }
    }
}

void bh_check_open_mixed(struct bh_reader *reader, struct bh_platform *platform)
{
    for (uint32_t i = 0; i < platform->guest_count; i++) {
        const struct bh_guest *guest = &platform->guests[i];
        const struct bh_device_definition *open = NULL;
        uint32_t others = 0;

        for (uint32_t j = 0; j < guest->device_count; j++) {
            if (guest->devices[j].isolation.value != BH_ISOLATION_OPEN) {
                others++;
            } else if (open == NULL) {
                open = &guest->devices[j];
            }
        }
        if (open != NULL && others != 0) {
            BH_WARN(reader, "open-mixed", open->isolation.at,
                    "device %s is open, so all memory of guest %s is shared, and the back ends of"
                    " its other devices (%" PRIu32 ") can reach all of it too\n"
                    "make it direct, or every device open",
                    open->name.text, guest->name.text, others);
        }
    }
}

/* Two ports of one console with the same name. */
static void check_ports(const struct bh_reader *reader, const struct bh_device_definition *device)
{
    for (uint32_t i = 1; i < device->ports.count; i++) {
        for (uint32_t j = 0; j < i; j++) {
            if (strcmp(device->ports.names[i].text, device->ports.names[j].text) == 0) {
                BH_SAY(reader, "ports", device->ports.names[i].at,
                       "console %s has two ports %s\ngive each a name of its own",
                       device->name.text, device->ports.names[i].text);
                break;
            }
        }
    }
}

void bh_check_ports(struct bh_reader *reader, struct bh_platform *platform)
{
    for (uint32_t i = 0; i < platform->guest_count; i++) {
        for (uint32_t j = 0; j < platform->guests[i].device_count; j++) {
            check_ports(reader, &platform->guests[i].devices[j]);
        }
    }
}
