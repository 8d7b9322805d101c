/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A device, between its class and its port: features, status, configuration space, the life of its
 * queues. The states stand in device.h. Not here: what a class does with a chain, how a port
 * reaches the driver.
 */
#include "bulkhead/device.h"

#include "bulkhead/bytes.h"

/* The ring features that core/ implements. */
#define CORE_FEATURES                                                                              \
    (BH_F_INDIRECT_DESC | BH_F_EVENT_IDX | BH_F_VERSION_1 | BH_F_ACCESS_PLATFORM |                 \
     BH_F_RING_PACKED | BH_F_IN_ORDER | BH_F_ORDER_PLATFORM | BH_F_NOTIFICATION_DATA |             \
     BH_F_RING_RESET)

void bh_device_init(struct bh_device *device, const struct bh_device_setup *setup)
{
    bh_fill(device, 0, sizeof(*device));
    device->class = setup->class;
    device->class_data = setup->class_data;
    device->memory = setup->memory;
    device->queues = setup->queues;
    device->queue_count = setup->queue_count;
    device->feature_mask = setup->feature_mask;
}

void bh_device_bind(struct bh_device *device, const struct bh_port_ops *port, void *port_data,
                    uint64_t features)
{
    device->port = port;
    device->port_data = port_data;
    device->port_features = features & CORE_FEATURES;
}

/* ---- features ---- */

uint64_t bh_device_features(const struct bh_device *device)
{
    uint64_t class = device->class->features(device) & ~BH_F_TRANSPORT_MASK;
    uint64_t mask = device->feature_mask | BH_F_VERSION_1;

    return (class | device->port_features | BH_F_VERSION_1) & mask;
}

static bool all_stopped(const struct bh_device *device)
{
    for (uint16_t i = 0; i < device->queue_count; i++) {
        if (device->queues[i].state != BH_QUEUE_STOPPED) {
            return false;
        }
    }
    return true;
}

int bh_device_features_set(struct bh_device *device, uint64_t features)
{
    if ((features & ~bh_device_features(device)) != 0u || (features & BH_F_VERSION_1) == 0u) {
        return BH_INVALID;
    }
    if (device->class->features_fit != NULL && !device->class->features_fit(device, features)) {
        return BH_INVALID;
    }
    if ((device->status & BH_STATUS_FEATURES_OK) != 0u || !all_stopped(device)) {
        /* Saying the same again changes nothing. */
        return features == device->features ? BH_OK : BH_STATE;
    }
    device->features = features;
    device->class->features_set(device);
    return BH_OK;
}

/* ---- status and reset ---- */

int bh_device_reset(struct bh_device *device)
{
    bool idle = true;

    device->draining = true;
    for (uint16_t i = 0; i < device->queue_count; i++) {
        if (bh_device_queue_stop(device, i) == BH_AGAIN) {
            idle = false;
        }
    }
    if (!idle) {
        return BH_AGAIN;
    }
    device->draining = false;
    device->class->reset(device);
    device->features = 0;
    device->class->features_set(device);
    device->status = 0;
    return BH_OK;
}

int bh_device_status_set(struct bh_device *device, uint8_t status)
{
    const uint8_t driver_bits = BH_STATUS_ACKNOWLEDGE | BH_STATUS_DRIVER | BH_STATUS_DRIVER_OK |
                                BH_STATUS_FEATURES_OK | BH_STATUS_FAILED;
    uint8_t kept = device->status & driver_bits;

    if (status == 0u) {
        return bh_device_reset(device);
    }
    if (device->draining) {
        return BH_AGAIN;
    }
    if ((status & kept) != kept) {
        return BH_INVALID;
    }
    status &= driver_bits;
    /* VIRTIO 1.4, 3.1.1, step 5: an unacceptable set of features shows by the bit not sticking. */
    if ((device->features & BH_F_VERSION_1) == 0u) {
        status &= (uint8_t)~BH_STATUS_FEATURES_OK;
    }
    if ((status & BH_STATUS_FEATURES_OK) == 0u && (status & BH_STATUS_DRIVER_OK) != 0u) {
        return BH_INVALID;
    }
    device->status = status | (device->status & BH_STATUS_NEEDS_RESET);
    return BH_OK;
}

/* ---- configuration space ---- */

static bool in_config(const struct bh_device *device, uint32_t offset, uint32_t length)
{
    uint32_t size = device->class->config_size(device);

    return offset <= size && length <= size - offset;
}

int bh_device_config_read(const struct bh_device *device, uint32_t offset, void *to,
                          uint32_t length)
{
    uint32_t size = device->class->config_size(device);

    if (in_config(device, offset, length)) {
        device->class->config_read(device, offset, to, length);
        return BH_OK;
    }
    bh_fill(to, 0, length);
    if (offset < size) {
        device->class->config_read(device, offset, to, size - offset);
    }
    return BH_INVALID;
}

int bh_device_config_write(struct bh_device *device, uint32_t offset, const void *from,
                           uint32_t length)
{
    if (!in_config(device, offset, length)) {
        return BH_INVALID;
    }
    if (device->class->config_write == NULL) {
        return BH_DENIED;
    }
    return device->class->config_write(device, offset, from, length);
}

void bh_device_config_changed(struct bh_device *device)
{
    device->generation++;
    if (device->port != NULL) {
        device->port->config_changed(device);
    }
}

/* ---- queues ---- */

int bh_device_queue_start(struct bh_device *device, uint16_t index, struct bh_queue_setup *setup)
{
    if (index >= device->queue_count) {
        return BH_INVALID;
    }
    if ((device->features & BH_F_VERSION_1) == 0u || device->draining ||
        (device->status & BH_STATUS_NEEDS_RESET) != 0u) {
        return BH_STATE;
    }
    setup->features = device->features;

    int error = bh_queue_start(&device->queues[index], device->memory, setup);

    if (error == BH_OK && device->class->started != NULL) {
        device->class->started(device, setup->resumed);
    }
    return error;
}

/* Publishes what a queue pushed, and tells the port what came of it. */
static void publish(struct bh_device *device, struct bh_queue *queue)
{
    bool was_stopped = queue->state == BH_QUEUE_STOPPED;

    if (bh_queue_publish(queue)) {
        device->port->notify(device, queue->index);
    }
    if (!was_stopped && queue->state == BH_QUEUE_STOPPED) {
        device->port->idle(device, queue->index);
    }
}

int bh_device_queue_stop(struct bh_device *device, uint16_t index)
{
    if (index >= device->queue_count) {
        return BH_INVALID;
    }

    struct bh_queue *queue = &device->queues[index];

    if (device->class->stopping != NULL && queue->state != BH_QUEUE_STOPPED) {
        device->class->stopping(device, queue);
    }
    /* What was pushed in this turn goes out while the driver still listens. */
    if (queue->dirty && bh_queue_publish(queue)) {
        device->port->notify(device, index);
    }
    return bh_queue_stop(queue);
}

/* Tells the port about a violation, once. The whole device stops: VIRTIO has no smaller unit
 * (VIRTIO 1.4, 2.1.2). */
static void report_fault(struct bh_device *device, struct bh_queue *queue)
{
    if (queue->fault.error == BH_OK || queue->fault_reported) {
        return;
    }
    queue->fault_reported = true;
    device->faults++;
    device->status |= BH_STATUS_NEEDS_RESET;
    device->port->failed(device, queue->index);
}

/* How often a queue is served in one kick, when its driver adds chains meanwhile: work for a
 * kick is bounded. */
#define SERVE_ROUNDS 4u

bool bh_device_kick(struct bh_device *device, uint16_t index)
{
    if (index >= device->queue_count || device->draining ||
        (device->status & BH_STATUS_NEEDS_RESET) != 0u) {
        return false;
    }

    struct bh_queue *queue = &device->queues[index];

    if (queue->state != BH_QUEUE_RUNNING ||
        (device->port->has_status && (device->status & BH_STATUS_DRIVER_OK) == 0u)) {
        return false;
    }

    enum bh_served served;
    uint32_t rounds = SERVE_ROUNDS;
    bool more;

    (void)bh_queue_notify_enable(queue, false);
    do {
        served = device->class->serve(device, queue);
        /* Chains that came after the class's last look would wait for a notification that nobody
         * sends. */
        more = served == BH_SERVED && bh_queue_notify_enable(queue, true);
        rounds--;
    } while (more && rounds != 0u);
    report_fault(device, queue);
    return (more || served == BH_SERVED_MORE) && queue->state == BH_QUEUE_RUNNING;
}

void bh_device_flush(struct bh_device *device)
{
    if (device->class->commit != NULL) {
        device->class->commit(device);
    }
    if (!device->dirty) {
        return;
    }
    device->dirty = false;
    for (uint16_t i = 0; i < device->queue_count; i++) {
        if (device->queues[i].dirty) {
            publish(device, &device->queues[i]);
        }
    }
}

void bh_device_push(struct bh_device *device, struct bh_queue *queue, struct bh_chain *chain,
                    uint32_t written)
{
    bh_queue_push(queue, chain, written);
    queue->dirty = true;
    device->dirty = true;
}

void bh_device_fail(struct bh_device *device, struct bh_queue *queue, const struct bh_chain *chain,
                    int error, const char *reason)
{
    if (queue->fault.error == BH_OK && queue->state != BH_QUEUE_STOPPED) {
        queue->fault.error = error;
        queue->fault.reason = reason;
        if (chain != NULL) {
            /* Its first descriptor. What that said is not kept: it was well-formed. */
            queue->fault.head = chain->head;
            queue->fault.index = chain->head;
        }
        if (queue->state == BH_QUEUE_RUNNING) {
            queue->state = BH_QUEUE_FAULTY;
        }
    }
    report_fault(device, queue);
}
