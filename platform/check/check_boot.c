/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Checks of what a guest begins with, and of who then places everything in its memory. Whether the
 * files are there, and fit, is the layout's to check.
 */
#include "check.h"

#define IS_GIVEN(value) ((value).text != NULL)

const char *bh_check_why_open(const struct bh_guest *guest)
{
    if (guest->arch.value != BH_ARCH_ARM64) {
        return "x86_64 guests have no device tree that ties a device to its window";
    }
    if (!IS_GIVEN(guest->boot.kernel) && !IS_GIVEN(guest->boot.elf)) {
        return "firmware places its buffers anywhere in memory";
    }
    return NULL;
}

/* ---------------------------------------------------------------------------------------- boot */

/* What stands beside something that has no use for it. */
static void check_beside(const struct bh_reader *reader, const struct bh_text *text,
                         const char *key, const char *whose, const char *boots, const char *cure)
{
    if (IS_GIVEN(*text)) {
        BH_SAY(reader, "boot", text->at, "%s is for %s, and this guest boots %s\n%s", key, whose,
               boots, cure);
    }
}

static void check_companions(const struct bh_reader *reader, const struct bh_boot *boot)
{
    static const char loads[] = "remove it: the firmware loads what it boots itself";
    static const char bare[] = "remove it: what the program needs, build into it, or write kernel "
                               "if it is an Image";

    if (IS_GIVEN(boot->kernel)) {
        check_beside(reader, &boot->disk, "disk", "firmware", "a kernel",
                     "remove it: a kernel finds its root by its command line, root=/dev/vda");
    } else if (IS_GIVEN(boot->elf)) {
        check_beside(reader, &boot->initrd, "initrd", "a kernel", "an ELF program", bare);
        check_beside(reader, &boot->command_line, "command-line", "a kernel", "an ELF program",
                     bare);
        check_beside(reader, &boot->disk, "disk", "firmware", "an ELF program",
                     "remove it: the program finds its devices itself");
    } else {
        check_beside(reader, &boot->initrd, "initrd", "a kernel", "firmware", loads);
        check_beside(reader, &boot->command_line, "command-line", "a kernel", "firmware", loads);
    }
}

/* More than one beginning: all but the first are too many. */
static bool check_one(const struct bh_reader *reader, const struct bh_guest *guest)
{
    const struct {
        const struct bh_text *text;
        const char *what;
    } beginnings[] = {{&guest->boot.kernel, "a kernel"},
                      {&guest->boot.elf, "an ELF program"},
                      {&guest->boot.firmware, "firmware"}};
    size_t first = sizeof(beginnings) / sizeof(beginnings[0]);
    bool good = true;

    for (size_t i = sizeof(beginnings) / sizeof(beginnings[0]); i-- > 0;) {
        first = IS_GIVEN(*beginnings[i].text) ? i : first;
    }
    for (size_t i = first + 1; i < sizeof(beginnings) / sizeof(beginnings[0]); i++) {
        if (IS_GIVEN(*beginnings[i].text)) {
            BH_SAY(reader, "boot", beginnings[i].text->at,
                   "guest %s has %s and %s; it begins with one of them\nremove one%s",
                   guest->name.text, beginnings[first].what, beginnings[i].what,
                   beginnings[i].text == &guest->boot.firmware
                       ? ": the firmware finds what it boots itself"
                       : "");
            bh_diagnostics_note(reader->diagnostics, beginnings[first].text->at, "here it has %s",
                                beginnings[first].what);
            good = false;
        }
    }
    return good;
}

static void check_boot(struct bh_reader *reader, struct bh_guest *guest)
{
    const struct bh_boot *boot = &guest->boot;
    bool has_code = IS_GIVEN(boot->kernel) || IS_GIVEN(boot->elf) || IS_GIVEN(boot->firmware);
    bool is_arm = guest->arch.value == BH_ARCH_ARM64;

    if (!has_code && !IS_GIVEN(boot->disk)) {
        BH_SAY(reader, "boot", boot->at, "guest %s has nothing to boot\nwrite kernel: PATH, %s",
               guest->name.text,
               is_arm ? "elf: PATH or firmware: PATH" : "firmware: PATH or disk: DEVICE");
        return;
    }
    if (!has_code && is_arm) {
        BH_SAY(reader, "boot", boot->disk.at,
               "guest %s boots from a disk, and an arm64 machine has no firmware of its own\n"
               "add firmware: PATH, such as U-Boot or EDK2",
               guest->name.text);
    }
    if (IS_GIVEN(boot->elf) && !is_arm) {
        BH_SAY(reader, "boot", boot->elf.at,
               "guest %s is x86_64, and only arm64 guests begin with an ELF program\n"
               "write kernel: PATH, firmware: PATH or disk: DEVICE",
               guest->name.text);
    }
    if (check_one(reader, guest)) {
        check_companions(reader, boot);
    }
}

void bh_check_boot(struct bh_reader *reader, struct bh_platform *platform)
{
    bh_each_guest(reader, platform, check_boot);
}

/* ----------------------------------------------------------------------------------- boot-disk */

static void check_boot_disk(struct bh_reader *reader, struct bh_guest *guest)
{
    const struct bh_device_definition *device = guest->boot.boots;

    if (device != NULL && device->type.value != BH_DEVICE_BLK) {
        BH_SAY(reader, "boot-disk", guest->boot.disk.at,
               "guest %s cannot boot from %s: its type is %s\n"
               "write the name of a blk device of the guest",
               guest->name.text, device->name.text, bh_device_type_name(device->type.value));
        bh_diagnostics_note(reader->diagnostics, device->type.at, "here it is %s",
                            bh_device_type_name(device->type.value));
    }
}

void bh_check_boot_disk(struct bh_reader *reader, struct bh_platform *platform)
{
    bh_each_guest(reader, platform, check_boot_disk);
}

/* -------------------------------------------------------------------------------------- layout */

static void check_layout(struct bh_reader *reader, struct bh_guest *guest)
{
    const char *why = bh_check_why_open(guest);
    bool given = bh_is_given(guest->layout.at, guest->name.at);

    if (given && why != NULL && guest->layout.value == BH_LAYOUT_V1) {
        BH_SAY(reader, "layout", guest->layout.at,
               "guest %s cannot have layout v1: %s\nwrite layout: engine, or remove it",
               guest->name.text,
               guest->arch.value == BH_ARCH_ARM64 ? "its firmware places what it boots"
                                                  : "it is of arm64 machines");
    }
    if (given && why == NULL && guest->layout.value == BH_LAYOUT_ENGINE) {
        BH_SAY(reader, "layout", guest->layout.at,
               "guest %s boots %s, and where its windows lie cannot be left to the engine\n"
               "write layout: v1, or remove it",
               guest->name.text, IS_GIVEN(guest->boot.elf) ? "an ELF program" : "a kernel");
    }
    guest->layout.value = why == NULL ? BH_LAYOUT_V1 : BH_LAYOUT_ENGINE;
}

void bh_check_layout(struct bh_reader *reader, struct bh_platform *platform)
{
    bh_each_guest(reader, platform, check_layout);
}
