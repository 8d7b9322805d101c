/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The virtio-mmio transport: registers read and written over a bus that the caller supplies. Source:
 * VIRTIO 1.4, 4.2. Finding the device (device tree, a table) is the caller's; so is the interrupt's
 * route: it calls `interrupts` when the line is up.
 *
 * Legacy devices (version 1) are refused.
 */
#include "bulkhead/transport.h"
#include "bulkhead/virtio_mmio.h"

#define SPINS_DEFAULT 1000000u

/* A page behind which nothing is any more reads as all ones on many buses. */
#define REGISTER_GONE UINT32_MAX

static struct bh_mmio_transport *mmio_of(struct bh_transport *transport)
{
    return (struct bh_mmio_transport *)transport; /* its first member */
}

/* Registers are accessed 32 bits wide, whatever they hold (VIRTIO 1.4, 4.2.2.2). */
static uint32_t get(const struct bh_mmio_transport *mmio, uint32_t offset)
{
    return mmio->bus.read(mmio->bus.context, offset, 4);
}

static void put(const struct bh_mmio_transport *mmio, uint32_t offset, uint32_t value)
{
    mmio->bus.write(mmio->bus.context, offset, value, 4);
}

static void put_address(const struct bh_mmio_transport *mmio, uint32_t low, uint64_t address)
{
    put(mmio, low, (uint32_t)address);
    put(mmio, low + 4u, (uint32_t)(address >> 32));
}

/* Reads a register until it shows `value`. */
static int await(const struct bh_mmio_transport *mmio, uint32_t offset, uint32_t value)
{
    for (uint32_t i = 0; i < mmio->spins; i++) {
        uint32_t shown = get(mmio, offset);

        if (shown == value) {
            return BH_OK;
        }
        if (shown == REGISTER_GONE) {
            return BH_GONE;
        }
    }
    return BH_TIMEOUT;
}

static int mmio_device_id(struct bh_transport *transport, uint32_t *id)
{
    *id = get(mmio_of(transport), BH_MMIO_DEVICE_ID);
    return BH_OK;
}

static int mmio_features_get(struct bh_transport *transport, uint64_t *features)
{
    const struct bh_mmio_transport *mmio = mmio_of(transport);

    put(mmio, BH_MMIO_DEVICE_FEATURES_SEL, 0);
    uint64_t low = get(mmio, BH_MMIO_DEVICE_FEATURES);
    put(mmio, BH_MMIO_DEVICE_FEATURES_SEL, 1);
    uint64_t high = get(mmio, BH_MMIO_DEVICE_FEATURES);

    *features = low | (high << 32);
    return BH_OK;
}

static int mmio_features_set(struct bh_transport *transport, uint64_t features)
{
    struct bh_mmio_transport *mmio = mmio_of(transport);

    put(mmio, BH_MMIO_DRIVER_FEATURES_SEL, 0);
    put(mmio, BH_MMIO_DRIVER_FEATURES, (uint32_t)features);
    put(mmio, BH_MMIO_DRIVER_FEATURES_SEL, 1);
    put(mmio, BH_MMIO_DRIVER_FEATURES, (uint32_t)(features >> 32));
    mmio->features = features;
    return BH_OK;
}

static int mmio_status_get(struct bh_transport *transport, uint8_t *status)
{
    uint32_t shown = get(mmio_of(transport), BH_MMIO_STATUS);

    if (shown == REGISTER_GONE) {
        return BH_GONE;
    }
    if (shown > UINT8_MAX) {
        return BH_PROTOCOL;
    }
    *status = (uint8_t)shown;
    return BH_OK;
}

static int mmio_status_set(struct bh_transport *transport, uint8_t status)
{
    struct bh_mmio_transport *mmio = mmio_of(transport);

    put(mmio, BH_MMIO_STATUS, status);
    if (status != 0u) {
        return BH_OK;
    }
    mmio->features = 0;
    /* A reset is done when the status reads 0 (VIRTIO 1.4, 2.1.2 and 2.4.2). */
    return await(mmio, BH_MMIO_STATUS, 0);
}

static int mmio_generation(struct bh_transport *transport, uint32_t *generation)
{
    *generation = get(mmio_of(transport), BH_MMIO_CONFIG_GENERATION);
    return BH_OK;
}

/* The width for a piece of configuration space: that of the field, if it is one (VIRTIO 1.4,
 * 4.2.2.2). */
static uint32_t config_width(uint32_t offset, uint32_t length)
{
    if ((length == 4u || length == 8u) && (offset & 3u) == 0u) {
        return 4;
    }
    if (length == 2u && (offset & 1u) == 0u) {
        return 2;
    }
    return 1;
}

/* Whether the piece lies in the register page; what the device has of it is the device's to say. */
static bool config_fits(uint32_t offset, uint32_t length)
{
    const uint32_t room = BH_MMIO_SIZE - BH_MMIO_CONFIG;

    return offset <= room && length <= room - offset;
}

static int mmio_config_read(struct bh_transport *transport, uint32_t offset, void *to,
                            uint32_t length)
{
    const struct bh_mmio_transport *mmio = mmio_of(transport);
    const uint32_t width = config_width(offset, length);
    uint8_t *bytes = to;

    if (!config_fits(offset, length)) {
        return BH_INVALID;
    }
    for (uint32_t i = 0; i < length; i += width) {
        uint32_t value = mmio->bus.read(mmio->bus.context, BH_MMIO_CONFIG + offset + i, width);

        for (uint32_t j = 0; j < width; j++) {
            bytes[i + j] = (uint8_t)(value >> (8u * j));
        }
    }
    return BH_OK;
}

static int mmio_config_write(struct bh_transport *transport, uint32_t offset, const void *from,
                             uint32_t length)
{
    const struct bh_mmio_transport *mmio = mmio_of(transport);
    const uint32_t width = config_width(offset, length);
    const uint8_t *bytes = from;

    if (!config_fits(offset, length)) {
        return BH_INVALID;
    }
    for (uint32_t i = 0; i < length; i += width) {
        uint32_t value = 0;

        for (uint32_t j = 0; j < width; j++) {
            value |= (uint32_t)bytes[i + j] << (8u * j);
        }
        mmio->bus.write(mmio->bus.context, BH_MMIO_CONFIG + offset + i, value, width);
    }
    return BH_OK;
}

static int mmio_queue_size_max(struct bh_transport *transport, uint16_t index, uint16_t *size)
{
    const struct bh_mmio_transport *mmio = mmio_of(transport);

    put(mmio, BH_MMIO_QUEUE_SEL, index);

    uint32_t shown = get(mmio, BH_MMIO_QUEUE_SIZE_MAX);

    if (shown > BH_QUEUE_SIZE_MAX) {
        return shown == REGISTER_GONE ? BH_GONE : BH_PROTOCOL;
    }
    *size = (uint16_t)shown;
    return BH_OK;
}

/* VIRTIO 1.4, 4.2.3.2. */
static int mmio_queue_start(struct bh_transport *transport, uint16_t index,
                            const struct bh_queue_areas *areas)
{
    const struct bh_mmio_transport *mmio = mmio_of(transport);
    uint16_t size_max = 0;
    int result = mmio_queue_size_max(transport, index, &size_max);

    if (result != BH_OK) {
        return result;
    }
    if (areas->size > size_max) {
        return BH_LIMIT;
    }
    if (get(mmio, BH_MMIO_QUEUE_READY) != 0u) {
        return BH_STATE;
    }
    put(mmio, BH_MMIO_QUEUE_SIZE, areas->size);
    put_address(mmio, BH_MMIO_QUEUE_DESC_LOW, areas->descriptor);
    put_address(mmio, BH_MMIO_QUEUE_DRIVER_LOW, areas->driver);
    put_address(mmio, BH_MMIO_QUEUE_DEVICE_LOW, areas->device);
    put(mmio, BH_MMIO_QUEUE_READY, 1);
    /* The register reads as last written, unless the device would not take the queue. */
    return get(mmio, BH_MMIO_QUEUE_READY) == 1u ? BH_OK : BH_PROTOCOL;
}

/* VIRTIO 1.4, 2.6.1 and 4.2.2.2: the reset is over when both registers read 0. */
static int mmio_queue_reset(struct bh_transport *transport, uint16_t index)
{
    const struct bh_mmio_transport *mmio = mmio_of(transport);

    if ((mmio->features & BH_F_RING_RESET) == 0u) {
        return BH_UNSUPPORTED;
    }
    put(mmio, BH_MMIO_QUEUE_SEL, index);
    put(mmio, BH_MMIO_QUEUE_RESET, 1);

    int result = await(mmio, BH_MMIO_QUEUE_RESET, 0);

    if (result != BH_OK) {
        return result;
    }
    return get(mmio, BH_MMIO_QUEUE_READY) == 0u ? BH_OK : BH_PROTOCOL;
}

static int mmio_notify(struct bh_transport *transport, uint16_t index, uint16_t next, bool wrap)
{
    const struct bh_mmio_transport *mmio = mmio_of(transport);
    uint32_t value = index;

    if ((mmio->features & BH_F_NOTIFICATION_DATA) != 0u) {
        value |= ((uint32_t)next & 0x7fffu) << 16;
        value |= wrap ? UINT32_C(1) << 31 : 0u;
    }
    put(mmio, BH_MMIO_QUEUE_NOTIFY, value);
    return BH_OK;
}

/* Undefined bits are ignored and not acknowledged (VIRTIO 1.4, 4.2.2.2). */
static int mmio_interrupts(struct bh_transport *transport, uint32_t *pending)
{
    const struct bh_mmio_transport *mmio = mmio_of(transport);
    uint32_t shown = get(mmio, BH_MMIO_INTERRUPT_STATUS);

    if (shown == REGISTER_GONE) {
        return BH_GONE;
    }
    *pending = shown & (BH_MMIO_INT_USED | BH_MMIO_INT_CONFIG);
    if (*pending != 0u) {
        put(mmio, BH_MMIO_INTERRUPT_ACK, *pending);
    }
    return BH_OK;
}

static const struct bh_transport_ops mmio_ops = {
    .device_id = mmio_device_id,
    .features_get = mmio_features_get,
    .features_set = mmio_features_set,
    .status_get = mmio_status_get,
    .status_set = mmio_status_set,
    .generation = mmio_generation,
    .config_read = mmio_config_read,
    .config_write = mmio_config_write,
    .queue_size_max = mmio_queue_size_max,
    .queue_start = mmio_queue_start,
    .queue_reset = mmio_queue_reset,
    .notify = mmio_notify,
    .interrupts = mmio_interrupts,
};

int bh_mmio_transport_init(struct bh_mmio_transport *mmio, const struct bh_mmio_bus *bus)
{
    mmio->transport.ops = &mmio_ops;
    mmio->bus = *bus;
    mmio->spins = SPINS_DEFAULT;
    mmio->features = 0;

    /* The order is VIRTIO's (1.4, 4.2.3.1): no other register is touched before these say that a
     * device is there. */
    if (get(mmio, BH_MMIO_MAGIC_VALUE) != BH_MMIO_MAGIC) {
        return BH_UNSUPPORTED;
    }
    if (get(mmio, BH_MMIO_VERSION) != BH_MMIO_VERSION_MODERN) {
        return BH_UNSUPPORTED;
    }
    return get(mmio, BH_MMIO_DEVICE_ID) != 0u ? BH_OK : BH_GONE;
}
