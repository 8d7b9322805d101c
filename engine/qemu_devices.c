/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * QEMU's front ends for the devices of a guest: a row for each type. Each is connected by a
 * descriptor, and sits where the layout says.
 */
#include <inttypes.h>
#include <stdio.h>

#include "bulkhead/virtio.h"
#include "bulkhead/virtio_console.h"
#include "qemu.h"

#define CONSOLE_QUEUE_SIZE 128u
#define PCI_FUNCTIONS      8u
#define PCI_FIRST_DEVICE   4u /* those before it are the machine's own */

#define OPTIONS_MAX 96u

static void blk_options(const struct bh_device_definition *device, char options[OPTIONS_MAX])
{
    (void)snprintf(options, OPTIONS_MAX, ",num-queues=%" PRIu64, device->queues.value);
}

static void no_options(const struct bh_device_definition *device, char options[OPTIONS_MAX])
{
    (void)device;
    options[0] = '\0';
}

/* Any device: QEMU passes the configuration space on and knows nothing of it. */
static void console_options(const struct bh_device_definition *device, char options[OPTIONS_MAX])
{
    /* The definition's ports come on top of the first; the control queues count as one port
     * more. */
    uint32_t queues = device->ports.count == 0u ? 2u : 2u * (device->ports.count + 2u);
    (void)snprintf(options, OPTIONS_MAX, ",virtio-id=%u,num_vqs=%u,vq_size=%u,config_size=%zu",
                   BH_ID_CONSOLE, queues, CONSOLE_QUEUE_SIZE, sizeof(struct bh_console_config));
}

static const struct front_end {
    const char *mmio; /* the name on a virtio-mmio bus ... */
    const char *pci;  /* ... and on PCI */
    void (*options)(const struct bh_device_definition *device, char options[OPTIONS_MAX]);
} front_ends[BH_DEVICE_TYPES] = {
    [BH_DEVICE_BLK] = {"vhost-user-blk", "vhost-user-blk-pci-non-transitional", blk_options},
    [BH_DEVICE_RNG] = {"vhost-user-rng", "vhost-user-rng-pci", no_options},
    [BH_DEVICE_CONSOLE] = {"vhost-user-test-device", "vhost-user-test-device-pci", console_options},
};

static void add_device(struct bh_qemu_command *command, uint32_t index)
{
    const struct bh_machine_setup *setup = command->setup;
    const struct bh_guest *guest = setup->layout->guest;
    const struct bh_device_definition *device = &guest->devices[index];
    const struct front_end *front_end = &front_ends[device->type.value];
    const char *name = device->name.text;
    uint32_t slot = setup->layout->slots[index];
    char fd[BH_QEMU_FD_TEXT];
    char options[OPTIONS_MAX];
    char backend[BH_QEMU_FD_NAME];

    if (front_end->mmio == NULL) {
        /* Only `build` gets here, with what `run` refuses (the check `engine-device`). */
        command->error = command->as_plan ? command->error : BH_UNSUPPORTED;
        return;
    }
    (void)snprintf(backend, sizeof(backend), "device-%s", name);
    bh_qemu_add_fd(command, command->as_plan ? -1 : setup->device_fds[index], "device", backend,
                   fd);
    bh_qemu_add(command, "-chardev");
    bh_qemu_add(command, "socket,id=backend-%s,fd=%s", name, fd);
    front_end->options(device, options);
    /* A window works only with a driver that uses it: VIRTIO_F_ACCESS_PLATFORM is not
     * negotiable. */
    const char *platform = bh_layout_window(setup->layout, index) ? ",iommu_platform=on" : "";
    const char *boots = guest->boot.boots == device ? ",bootindex=0" : "";
    bh_qemu_add(command, "-device");
    if (guest->arch.value == BH_ARCH_ARM64) {
        bh_qemu_add(command, "%s,id=device-%s,chardev=backend-%s,bus=virtio-mmio-bus.%u%s%s%s",
                    front_end->mmio, name, name, slot, platform, boots, options);
    } else {
        bh_qemu_add(
            command,
            "%s,id=device-%s,chardev=backend-%s,bus=pcie.0,addr=0x%x.%u,multifunction=on%s%s%s",
            front_end->pci, name, name, PCI_FIRST_DEVICE + slot / PCI_FUNCTIONS,
            slot % PCI_FUNCTIONS, platform, boots, options);
    }
}

void bh_qemu_add_devices(struct bh_qemu_command *command)
{
    const struct bh_machine_setup *setup = command->setup;
    const struct bh_guest *guest = setup->layout->guest;
    char fd[BH_QEMU_FD_TEXT];

    bh_qemu_add_fd(command, command->as_plan ? -1 : setup->uart_fd, "uart", "", fd);
    bh_qemu_add(command, "-chardev");
    bh_qemu_add(command, "socket,id=uart,fd=%s", fd);
    bh_qemu_add(command, "-serial");
    bh_qemu_add(command, "chardev:uart");
    if (guest->arch.value == BH_ARCH_ARM64) {
        bh_qemu_add(command, "-global");
        bh_qemu_add(command, "virtio-mmio.force-legacy=false");
    }
    for (uint32_t i = 0; i < guest->device_count; i++) {
        if (!guest->devices[i].left_out) {
            add_device(command, i);
        }
    }
}
