/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a plan of QEMU's command line says beside the command: why options are there, and what each
 * descriptor has to be. The command is qemu_command.c's; its two forms are qemu_json.c and
 * qemu_script.c.
 */
#include <string.h>

#include "qemu.h"

const struct bh_qemu_reason bh_qemu_reasons[BH_QEMU_GROUPS] = {
    [BH_QEMU_PROCESS] =
        {"process",
         "Nothing that QEMU does by itself: no files of the user, no usual devices, no window, no "
         "new "
         "processes. The guest waits until it is let go, and what it does at its end is told."},
    [BH_QEMU_CONTROL] = {"control", "The supervisor starts, watches and stops the guest over QMP."},
    [BH_QEMU_MACHINE] = {"machine", "The machine that the layout describes, and its processors."},
    [BH_QEMU_KVM] = {"kvm", "Where the host has KVM and it runs this guest."},
    [BH_QEMU_EMULATED] = {"emulated", "Where it has not."},
    [BH_QEMU_MEMORY] =
        {"memory",
         "Private RAM has no descriptor anywhere. Each window is a memory file of its own, or two "
         "where no back end may map its rings; the nodes put one behind the other, as the layout "
         "says."},
    [BH_QEMU_BOOT] = {"boot",
                      "What the guest boots, where the layout says: QEMU's own way would choose "
                      "addresses by itself, and may choose one in a window."},
    [BH_QEMU_DEVICES] = {"devices",
                         "The guest's UART, and a front end for each device, in its slot. "
                         "With a window the driver has to use it (iommu_platform)."},
};

bool bh_qemu_takes_value(const char *option)
{
    static const char *const alone[] = {"-no-user-config", "-nodefaults", "-S"};
    for (size_t i = 0; i < sizeof(alone) / sizeof(alone[0]); i++) {
        if (strcmp(option, alone[i]) == 0) {
            return false;
        }
    }
    return true;
}

bool bh_qemu_pieces(const char *argument, struct bh_qemu_pieces *pieces)
{
    const char *first = strchr(argument, BH_QEMU_PLAN_MARK);
    const char *last = strrchr(argument, BH_QEMU_PLAN_MARK);
    if (first == last) {
        return false;
    }
    *pieces = (struct bh_qemu_pieces){.before_length = (int)(first - argument),
                                      .name = first + 1,
                                      .name_length = (int)(last - first - 1),
                                      .behind = last + 1};
    return true;
}

/* Of one kind of descriptor. */
struct kind {
    const char *kind;
    const char *is;
    const char *seals;
    const char *role;
};

static const struct kind kinds[] = {
    {"control", "stream socket", NULL, "QMP; the supervisor has the other end"},
    {"memory", "memory file", "shrink grow",
     "memory of the guest that the gate maps, and back ends as far as their isolation lets them"},
    {"rings", "memory file", "shrink grow",
     "the rings of a device: memory of the guest that the gate maps, and no back end but an open "
     "one"},
    {"kernel", "file", NULL, "the kernel, open for reading"},
    {"initrd", "file", NULL, "the initial RAM disk, open for reading"},
    {"program", "file", NULL, "the program, open for reading"},
    {"firmware", "file", NULL, "the firmware, open for reading"},
    {"tree", "memory file", "shrink grow write", "the device tree: what the file GUEST.dtb holds"},
    {"start", "memory file", "shrink grow write",
     "the start code: what the file GUEST.start holds"},
    {"uart", "stream socket", NULL, "what the guest reads and writes with its UART"},
    {"device", "stream socket", NULL, "vhost-user; the gate of the guest has the other end"},
};

static const char *boot_file(const struct bh_boot *boot, const char *kind)
{
    const struct {
        const char *kind;
        const char *path;
    } files[] = {{"kernel", boot->kernel.text},
                 {"initrd", boot->initrd.text},
                 {"program", boot->elf.text},
                 {"firmware", boot->firmware.text}};
    for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
        if (strcmp(files[i].kind, kind) == 0) {
            return files[i].path;
        }
    }
    return NULL;
}

static uint64_t region_bytes(const struct bh_layout *layout, const char *name)
{
    char other[BH_QEMU_FD_NAME];
    for (uint32_t i = 0; i < layout->region_count; i++) {
        bh_qemu_region_name(layout, i, other);
        if (strcmp(name, other) == 0) {
            return layout->regions[i].size;
        }
    }
    return 0;
}

void bh_qemu_describe(const struct bh_qemu_command *command, uint32_t index,
                      struct bh_qemu_descriptor *descriptor)
{
    const struct bh_layout *layout = command->setup->layout;
    const struct bh_qemu_planned *planned = &command->planned[index];
    const struct kind *kind = kinds;
    while (strcmp(kind->kind, planned->kind) != 0) {
        kind++; /* qemu_command.c and qemu_devices.c know no others */
    }
    *descriptor = (struct bh_qemu_descriptor){.name = planned->name,
                                              .is = kind->is,
                                              .seals = kind->seals,
                                              .size = region_bytes(layout, planned->name),
                                              .file = boot_file(&layout->guest->boot, kind->kind),
                                              .role = kind->role};
}
