/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * See layout_rig.h.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "layout_rig.h"

void layout_rig_init(struct layout_rig *rig)
{
    memset(rig, 0, sizeof(*rig));
    rig->guest.name.text = "g";
    rig->guest.cpus.value = 1;
    rig->guest.memory.value = 128 * MIB;
    rig->guest.boot.kernel.text = "Image";
    rig->guest.boot.command_line.text = "console=hvc0";
    rig->guest.devices = rig->devices;
    rig->images = (struct bh_boot_images){
        .kernel_fd = -1,
        .initrd_fd = -1,
        .elf_fd = -1,
        .firmware_fd = -1,
        .kernel_bytes = 10 * MIB,
        .kernel_memory = 12 * MIB,
        .initrd_bytes = 2 * MIB,
    };
    rig->diagnostics = bh_diagnostics_create("platform.yaml");
    assert_non_null(rig->diagnostics);
}

void layout_rig_finish(struct layout_rig *rig)
{
    bh_diagnostics_destroy(rig->diagnostics);
}

struct bh_device_definition *layout_rig_add(struct layout_rig *rig, enum bh_device_type type,
                                            uint64_t window)
{
    const uint32_t index = rig->guest.device_count++;
    struct bh_device_definition *device = &rig->devices[index];

    (void)snprintf(rig->names[index], sizeof(rig->names[index]), "dev%u", index);
    device->name.text = rig->names[index];
    device->type.value = type;
    device->window.value = window;
    device->queues.value = 1;
    device->slot.value = BH_SLOT_ANY;
    return device;
}

int layout_rig_make(struct layout_rig *rig)
{
    return bh_layout_make(&rig->layout, &rig->guest, &rig->images, rig->diagnostics);
}

char *layout_rig_said(struct layout_rig *rig)
{
    char *text = NULL;
    size_t length = 0;
    FILE *to = open_memstream(&text, &length);

    assert_non_null(to);
    bh_diagnostics_print(rig->diagnostics, to, false);
    assert_int_equal(fclose(to), 0);
    return text;
}
