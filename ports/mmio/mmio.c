/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The virtio-mmio register page, device side (VIRTIO 1.4, 4.2). Every access arrives through
 * bh_mmio_read and bh_mmio_write; what the registers mean beyond the page is core's. Not here:
 * the legacy interface, shared memory regions (no device has any), trapping (the hypervisor's).
 *
 * A queue, by its registers:
 *   off        QueueReady 0. Size and addresses may be written.
 *              QueueReady := 1 -> on, if core takes the rings; else it stays off, and reads 0
 *   on         QueueReady 1. Size and addresses are latched: writes to them are ignored.
 *              QueueReady := 0 or QueueReset := 1 -> off, or stopping while chains are in flight
 *   stopping   QueueReady 1, and QueueReset 1 if that was written.
 *              the last chain comes back -> off
 * A device reset turns all queues off; while chains are in flight Status keeps its value.
 */
#include "bulkhead/mmio.h"

#include "bulkhead/bytes.h"

#define LOW_HALF  UINT64_C(0x00000000ffffffff)
#define HIGH_HALF UINT64_C(0xffffffff00000000)

/* ---- interrupts (VIRTIO 1.4, 4.2.3.4) ---- */

static void interrupts_set(struct bh_mmio *mmio, uint32_t status)
{
    bool level = status != 0u;

    mmio->interrupt_status = status;
    if (level != mmio->level) {
        mmio->level = level;
        mmio->ops->interrupt(mmio->context, level);
    }
}

static void port_notify(struct bh_device *device, uint16_t queue)
{
    struct bh_mmio *mmio = device->port_data;

    (void)queue;
    interrupts_set(mmio, mmio->interrupt_status | BH_MMIO_INT_USED);
}

static void port_config_changed(struct bh_device *device)
{
    struct bh_mmio *mmio = device->port_data;

    /* After a reset the driver is left alone until it begins again (VIRTIO 1.4, 2.4.1). */
    if ((device->status & BH_STATUS_DRIVER) != 0u) {
        interrupts_set(mmio, mmio->interrupt_status | BH_MMIO_INT_CONFIG);
    }
}

/* DEVICE_NEEDS_RESET comes with a configuration change notification once the driver runs
 * (VIRTIO 1.4, 2.1.2). */
static void port_failed(struct bh_device *device, uint16_t queue)
{
    struct bh_mmio *mmio = device->port_data;

    (void)queue;
    if ((device->status & BH_STATUS_DRIVER_OK) != 0u) {
        interrupts_set(mmio, mmio->interrupt_status | BH_MMIO_INT_CONFIG);
    }
}

static void queue_off(struct bh_mmio_queue *queue)
{
    queue->ready = false;
    queue->resetting = false;
    queue->pending = false;
}

static void port_idle(struct bh_device *device, uint16_t queue)
{
    struct bh_mmio *mmio = device->port_data;

    queue_off(&mmio->queues[queue]);
    if (mmio->repeat) {
        mmio->repeat = false;
        if (mmio->ops->retry != NULL) {
            mmio->ops->retry(mmio->context);
        }
    }
}

static const struct bh_port_ops port_ops = {
    .has_status = true,
    .notify = port_notify,
    .config_changed = port_config_changed,
    .failed = port_failed,
    .idle = port_idle,
};

/* ---- reset and status ---- */

/* What the driver wrote is forgotten (VIRTIO 1.4, 4.2.2.1: InterruptStatus, QueueReady, QueueReset
 * become 0). */
static void forget(struct bh_mmio *mmio)
{
    mmio->driver_features = 0;
    mmio->device_features_sel = 0;
    mmio->driver_features_sel = 0;
    mmio->queue_sel = 0;
    mmio->resetting = false;
    mmio->repeat = false;
    mmio->unknown_set = false;
    bh_fill(mmio->queues, 0, (size_t)mmio->device->queue_count * sizeof(mmio->queues[0]));
    interrupts_set(mmio, 0);
}

/* Begins a reset or goes on with it. BH_AGAIN: chains are in flight. */
static int reset(struct bh_mmio *mmio)
{
    int error = bh_device_reset(mmio->device);

    if (error == BH_OK) {
        forget(mmio);
    } else {
        mmio->resetting = true;
    }
    return error;
}

static bool is_live(const struct bh_mmio *mmio)
{
    const uint8_t bits = mmio->device->status & (BH_STATUS_DRIVER_OK | BH_STATUS_NEEDS_RESET);

    return bits == BH_STATUS_DRIVER_OK && !mmio->resetting;
}

/* Serves a queue, at most one ring's worth; what is left is announced. */
static void serve(struct bh_mmio *mmio, uint16_t index)
{
    bool more = bh_device_kick(mmio->device, index);

    mmio->queues[index].pending = more;
    if (more) {
        mmio->ops->work(mmio->context);
    }
}

static int status_write(struct bh_mmio *mmio, uint32_t value)
{
    struct bh_device *device = mmio->device;
    uint32_t status = value;
    bool was_live = is_live(mmio);

    if (value == 0u) {
        return reset(mmio);
    }
    if (value > UINT8_MAX) {
        return BH_INVALID;
    }
    /* Features count as a whole from here (VIRTIO 1.4, 3.1.1, step 5); unacceptable ones show by
     * the bit not sticking. */
    if ((status & BH_STATUS_FEATURES_OK & ~(uint32_t)device->status) != 0u &&
        (mmio->unknown_set || bh_device_features_set(device, mmio->driver_features) != BH_OK)) {
        status &= ~BH_STATUS_FEATURES_OK;
    }

    int error = bh_device_status_set(device, (uint8_t)status);

    if (error == BH_OK && !was_live && is_live(mmio)) {
        /* Buffers that were made available before DRIVER_OK were not announced. */
        for (uint16_t i = 0; i < device->queue_count; i++) {
            serve(mmio, i);
        }
        bh_device_flush(device);
    }
    return error;
}

static int driver_features_write(struct bh_mmio *mmio, uint32_t value)
{
    if ((mmio->device->status & BH_STATUS_FEATURES_OK) != 0u) {
        return BH_STATE;
    }
    if (mmio->driver_features_sel > 1u) {
        mmio->unknown_set = mmio->unknown_set || value != 0u;
    } else if (mmio->driver_features_sel == 1u) {
        mmio->driver_features = (mmio->driver_features & LOW_HALF) | ((uint64_t)value << 32);
    } else {
        mmio->driver_features = (mmio->driver_features & HIGH_HALF) | value;
    }
    return BH_OK;
}

/* ---- queues ---- */

/* The selected queue; NULL: there is no such queue (the selector is the guest's). */
static struct bh_mmio_queue *selected(const struct bh_mmio *mmio)
{
    return mmio->queue_sel < mmio->device->queue_count ? &mmio->queues[mmio->queue_sel] : NULL;
}

static int queue_start(struct bh_mmio *mmio, struct bh_mmio_queue *queue, uint16_t index)
{
    struct bh_queue_setup setup = {
        .descriptor = queue->descriptor,
        .driver = queue->driver,
        .device = queue->device,
        .size = queue->size,
        .avail_wrap = true,
        .used_wrap = true,
    };
    int error;

    /* Queues come after features (VIRTIO 1.4, 3.1.1, step 7). */
    if ((mmio->device->status & BH_STATUS_FEATURES_OK) == 0u) {
        return BH_STATE;
    }
    error = bh_device_queue_start(mmio->device, index, &setup);
    queue->ready = error == BH_OK;
    return error;
}

static int queue_ready_write(struct bh_mmio *mmio, uint32_t value)
{
    struct bh_mmio_queue *queue = selected(mmio);
    uint16_t index = (uint16_t)mmio->queue_sel;

    if (queue == NULL || value > 1u) {
        return BH_INVALID;
    }
    if (value == 1u) {
        return queue->ready ? BH_STATE : queue_start(mmio, queue, index);
    }
    if (!queue->ready) {
        return BH_OK;
    }

    int error = bh_device_queue_stop(mmio->device, index);

    if (error == BH_OK) {
        queue_off(queue);
    }
    return error;
}

/* The driver reads the register until it is 0 (VIRTIO 1.4, 2.6.1 and 4.2.2.2): no need to hold it
 * on this write. */
static int queue_reset_write(struct bh_mmio *mmio, uint32_t value)
{
    struct bh_mmio_queue *queue = selected(mmio);

    if (queue == NULL || value != 1u) {
        return BH_INVALID;
    }
    if ((mmio->device->features & BH_F_RING_RESET) == 0u) {
        return BH_STATE;
    }
    if (!queue->ready) {
        return BH_OK;
    }
    if (bh_device_queue_stop(mmio->device, (uint16_t)mmio->queue_sel) == BH_OK) {
        queue_off(queue);
    } else {
        queue->resetting = true;
    }
    return BH_OK;
}

/* A size that cannot be is as good as none: QueueReady will be refused. */
static int queue_size_write(struct bh_mmio *mmio, uint32_t value)
{
    struct bh_mmio_queue *queue = selected(mmio);

    if (queue == NULL) {
        return BH_INVALID;
    }
    if (queue->ready) {
        return BH_STATE;
    }
    queue->size = 0;
    if (value == 0u || value > mmio->device->queues[mmio->queue_sel].size_max) {
        return BH_INVALID;
    }
    queue->size = (uint16_t)value;
    return BH_OK;
}

static int queue_address_write(struct bh_mmio *mmio, uint32_t offset, uint32_t value)
{
    struct bh_mmio_queue *queue = selected(mmio);
    uint64_t *address;

    if (queue == NULL) {
        return BH_INVALID;
    }
    if (queue->ready) {
        return BH_STATE;
    }
    if (offset <= BH_MMIO_QUEUE_DESC_HIGH) {
        address = &queue->descriptor;
    } else if (offset <= BH_MMIO_QUEUE_DRIVER_HIGH) {
        address = &queue->driver;
    } else {
        address = &queue->device;
    }
    /* The high halves lie at odd multiples of 4. */
    if ((offset & 4u) != 0u) {
        *address = (*address & LOW_HALF) | ((uint64_t)value << 32);
    } else {
        *address = (*address & HIGH_HALF) | value;
    }
    return BH_OK;
}

/* With NOTIFICATION_DATA the upper half tells how far the driver is (VIRTIO 1.4, 2.9). The ring
 * tells it too, and is believed no less. */
static int queue_notify_write(struct bh_mmio *mmio, uint32_t value)
{
    uint32_t index = value;

    if ((mmio->device->features & BH_F_NOTIFICATION_DATA) != 0u) {
        index &= UINT16_MAX;
    }
    if (index >= mmio->device->queue_count) {
        return BH_INVALID;
    }
    /* VIRTIO 1.4, 2.1.2: nothing is consumed before DRIVER_OK. */
    if (!is_live(mmio)) {
        return BH_STATE;
    }
    serve(mmio, (uint16_t)index);
    bh_device_flush(mmio->device);
    return BH_OK;
}

/* ---- the configuration space ---- */

static bool is_config_access(uint32_t offset, uint32_t size)
{
    return offset >= BH_MMIO_CONFIG && offset < BH_MMIO_SIZE &&
           (size == 1u || size == 2u || size == 4u || size == 8u) && (offset & (size - 1u)) == 0u;
}

static uint64_t config_read(const struct bh_mmio *mmio, uint32_t offset, uint32_t size)
{
    uint8_t bytes[8] = {0};
    uint64_t value = 0;

    /* Bytes behind the end read as 0. */
    (void)bh_device_config_read(mmio->device, offset - BH_MMIO_CONFIG, bytes, size);
    for (uint32_t i = size; i > 0u; i--) {
        value = (value << 8) | bytes[i - 1u];
    }
    return value;
}

static int config_write(struct bh_mmio *mmio, uint32_t offset, uint64_t value, uint32_t size)
{
    uint8_t bytes[8];

    for (uint32_t i = 0; i < size; i++) {
        bytes[i] = (uint8_t)(value >> (8u * i));
    }
    return bh_device_config_write(mmio->device, offset - BH_MMIO_CONFIG, bytes, size);
}

/* ---- registers ---- */

static uint32_t device_features_read(const struct bh_mmio *mmio)
{
    uint64_t features = bh_device_features(mmio->device);

    switch (mmio->device_features_sel) {
    case 0:
        return (uint32_t)features;
    case 1:
        return (uint32_t)(features >> 32);
    default:
        return 0;
    }
}

static uint32_t status_read(struct bh_mmio *mmio)
{
    /* The last chain may have come back since. */
    if (mmio->resetting) {
        (void)reset(mmio);
    }
    return mmio->device->status;
}

static uint32_t queue_read(const struct bh_mmio *mmio, uint32_t offset)
{
    const struct bh_mmio_queue *queue = selected(mmio);

    if (queue == NULL) {
        return 0;
    }
    switch (offset) {
    case BH_MMIO_QUEUE_SIZE_MAX:
        return mmio->device->queues[mmio->queue_sel].size_max;
    case BH_MMIO_QUEUE_READY:
        return queue->ready ? 1u : 0u;
    default: /* BH_MMIO_QUEUE_RESET */
        return queue->resetting ? 1u : 0u;
    }
}

static uint32_t register_read(struct bh_mmio *mmio, uint32_t offset)
{
    switch (offset) {
    case BH_MMIO_MAGIC_VALUE:
        return BH_MMIO_MAGIC;
    case BH_MMIO_VERSION:
        return BH_MMIO_VERSION_MODERN;
    case BH_MMIO_DEVICE_ID:
        return mmio->device->class->id;
    case BH_MMIO_VENDOR_ID:
        return mmio->vendor_id;
    case BH_MMIO_DEVICE_FEATURES:
        return device_features_read(mmio);
    case BH_MMIO_QUEUE_SIZE_MAX:
    case BH_MMIO_QUEUE_READY:
    case BH_MMIO_QUEUE_RESET:
        return queue_read(mmio, offset);
    case BH_MMIO_INTERRUPT_STATUS:
        return mmio->interrupt_status;
    case BH_MMIO_STATUS:
        return status_read(mmio);
    case BH_MMIO_SHM_LEN_LOW:
    case BH_MMIO_SHM_LEN_HIGH:
    case BH_MMIO_SHM_BASE_LOW:
    case BH_MMIO_SHM_BASE_HIGH:
        /* A region that does not exist has length and address -1. */
        return UINT32_MAX;
    case BH_MMIO_CONFIG_GENERATION:
        return mmio->device->generation;
    default:
        return 0;
    }
}

static int register_write(struct bh_mmio *mmio, uint32_t offset, uint32_t value)
{
    switch (offset) {
    case BH_MMIO_DEVICE_FEATURES_SEL:
        mmio->device_features_sel = value;
        return BH_OK;
    case BH_MMIO_DRIVER_FEATURES:
        return driver_features_write(mmio, value);
    case BH_MMIO_DRIVER_FEATURES_SEL:
        mmio->driver_features_sel = value;
        return BH_OK;
    case BH_MMIO_QUEUE_SEL:
        mmio->queue_sel = value;
        return BH_OK;
    case BH_MMIO_QUEUE_SIZE:
        return queue_size_write(mmio, value);
    case BH_MMIO_QUEUE_READY:
        return queue_ready_write(mmio, value);
    case BH_MMIO_QUEUE_NOTIFY:
        return queue_notify_write(mmio, value);
    case BH_MMIO_INTERRUPT_ACK:
        interrupts_set(mmio, mmio->interrupt_status & ~value);
        return BH_OK;
    case BH_MMIO_STATUS:
        return status_write(mmio, value);
    case BH_MMIO_QUEUE_DESC_LOW:
    case BH_MMIO_QUEUE_DESC_HIGH:
    case BH_MMIO_QUEUE_DRIVER_LOW:
    case BH_MMIO_QUEUE_DRIVER_HIGH:
    case BH_MMIO_QUEUE_DEVICE_LOW:
    case BH_MMIO_QUEUE_DEVICE_HIGH:
        return queue_address_write(mmio, offset, value);
    case BH_MMIO_SHM_SEL:
        return BH_OK;
    case BH_MMIO_QUEUE_RESET:
        return queue_reset_write(mmio, value);
    default:
        return BH_INVALID;
    }
}

uint64_t bh_mmio_read(struct bh_mmio *mmio, uint32_t offset, uint32_t size)
{
    if (is_config_access(offset, size)) {
        return config_read(mmio, offset, size);
    }
    return size == 4u ? register_read(mmio, offset) : 0u;
}

int bh_mmio_write(struct bh_mmio *mmio, uint32_t offset, uint64_t value, uint32_t size)
{
    int error = BH_INVALID;

    /* Nothing overtakes a reset. */
    if (mmio->resetting && reset(mmio) != BH_OK) {
        mmio->repeat = true;
        return BH_AGAIN;
    }
    if (is_config_access(offset, size)) {
        error = config_write(mmio, offset, value, size);
    } else if (size == 4u && value <= UINT32_MAX) {
        error = register_write(mmio, offset, (uint32_t)value);
    } else {
        /* Registers are 32 bits wide (VIRTIO 1.4, 4.2.2.2). */
    }
    if (error == BH_AGAIN) {
        mmio->repeat = true;
    }
    return error;
}

bool bh_mmio_serve(struct bh_mmio *mmio)
{
    bool more = false;

    if (!is_live(mmio)) {
        return false;
    }
    for (uint16_t i = 0; i < mmio->device->queue_count; i++) {
        if (mmio->queues[i].pending) {
            mmio->queues[i].pending = bh_device_kick(mmio->device, i);
            more = more || mmio->queues[i].pending;
        }
    }
    bh_device_flush(mmio->device);
    return more;
}

void bh_mmio_init(struct bh_mmio *mmio, struct bh_device *device, uint64_t features,
                  struct bh_mmio_queue *queues, const struct bh_mmio_ops *ops, void *context)
{
    bh_fill(mmio, 0, sizeof(*mmio));
    mmio->device = device;
    mmio->ops = ops;
    mmio->context = context;
    mmio->queues = queues;
    bh_fill(queues, 0, (size_t)device->queue_count * sizeof(queues[0]));
    bh_device_bind(device, &port_ops, mmio, features & BH_MMIO_FEATURES);
}
