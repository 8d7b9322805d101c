/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The console's features and configuration space (VIRTIO 1.4, 5.3.3 to 5.3.5), and emergency
 * output, which is a write into that space. Not here: queues.
 *
 * A feature is offered if the setup says so and the platform's mask lets it through; a field whose
 * feature is not offered reads as 0 and takes no write.
 */
#include "console_internal.h"

uint64_t bh_console_features(const struct bh_device *device)
{
    const struct bh_console *console = device->class_data;

    return console->features;
}

void bh_console_features_set(struct bh_device *device)
{
    (void)device;
}

uint32_t bh_console_config_size(const struct bh_device *device)
{
    (void)device;
    return (uint32_t)sizeof(struct bh_console_config);
}

void bh_console_config_read(const struct bh_device *device, uint32_t offset, void *to,
                            uint32_t length)
{
    const struct bh_console *console = device->class_data;
    const uint64_t offered = bh_device_features(device);
    struct bh_console_config config = {.cols = 0};

    if ((offered & BH_CONSOLE_F_SIZE) != 0u) {
        config.cols = BH_LE16(console->ports[0].setup.cols);
        config.rows = BH_LE16(console->ports[0].setup.rows);
    }
    if ((offered & BH_CONSOLE_F_MULTIPORT) != 0u) {
        config.max_nr_ports = BH_LE32(console->port_count);
    }
    bh_copy(to, (const uint8_t *)&config + offset, length);
}

/* Only emerg_wr is writable, at any time, whatever the driver negotiated (VIRTIO 1.4, 5.3.5.1),
 * and its lowest byte is what counts. A front end may know only the whole space (QEMU's sends
 * all of it for a write to any field): then the other fields are not looked at. */
int bh_console_config_write(struct bh_device *device, uint32_t offset, const void *from,
                            uint32_t length)
{
    struct bh_console *console = device->class_data;
    const uint32_t field = (uint32_t)offsetof(struct bh_console_config, emerg_wr);
    const uint8_t *bytes = from;

    if (offset + length <= field || (bh_device_features(device) & BH_CONSOLE_F_EMERG_WRITE) == 0u) {
        return BH_DENIED;
    }
    if (offset <= field) {
        bh_console_emit(console, &console->ports[0], bytes[field - offset]);
    }
    return BH_OK;
}

/* ---- size ---- */

void bh_console_size_set(struct bh_console *console, uint32_t port, uint16_t cols, uint16_t rows)
{
    struct bh_console_port *at = &console->ports[port];

    if (at->setup.cols == cols && at->setup.rows == rows) {
        return;
    }
    at->setup.cols = cols;
    at->setup.rows = rows;
    bh_console_due(console, at, BH_CONSOLE_DUE_RESIZE);
    /* The configuration space speaks of port 0 only (VIRTIO 1.4, 5.3.6). */
    if (port == 0u && bh_console_has(console, BH_CONSOLE_F_SIZE)) {
        bh_device_config_changed(console->device);
    }
}
