/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The virtio-mmio port: for a hypervisor that traps a guest's accesses to a device's register page
 * and emulates them. It supplies three calls: bh_mmio_read, bh_mmio_write, and an interrupt
 * callback; that is all a hypervisor needs. Source: VIRTIO 1.4, 4.2. Freestanding, no allocation.
 *
 * Thread: one thread (or one lock) for a device: accesses, completions and bh_device_flush exclude
 * each other.
 */
#ifndef BULKHEAD_MMIO_H
#define BULKHEAD_MMIO_H

#include <stdbool.h>
#include <stdint.h>

#include "bulkhead/device.h"
#include "bulkhead/virtio_mmio.h"

/* What the hypervisor supplies. `context` is bh_mmio.context. None of these may call back into the
 * port: they leave a mark, or wake a thread. */
struct bh_mmio_ops {
    /* Sets the level of the device's interrupt line. Called only when it changes. */
    void (*interrupt)(void *context, bool level);
    /* A queue has work left that would have kept bh_mmio_write for too long: call bh_mmio_serve
     * soon. */
    void (*work)(void *context);
    /* A write that returned BH_AGAIN can be repeated now. NULL: the hypervisor repeats it by
     * itself, now and then. */
    void (*retry)(void *context);
};

/* What the driver wrote for a queue. The device took over what stood here when `ready` was set;
 * until it is cleared again nothing here changes. */
struct bh_mmio_queue {
    uint64_t descriptor;
    uint64_t driver;
    uint64_t device;
    uint16_t size;
    bool ready;
    bool resetting; /* QueueReset: chains are in flight */
    bool pending;   /* work left for bh_mmio_serve */
};

struct bh_mmio {
    struct bh_device *device;
    const struct bh_mmio_ops *ops;
    void *context;
    struct bh_mmio_queue *queues; /* as many as the device has */
    uint64_t driver_features;
    uint32_t vendor_id; /* 0 after bh_mmio_init; the caller may set it */
    uint32_t device_features_sel;
    uint32_t driver_features_sel;
    uint32_t queue_sel;
    uint32_t interrupt_status;
    bool level;
    bool resetting;   /* a device reset waits for chains in flight */
    bool repeat;      /* a write returned BH_AGAIN */
    bool unknown_set; /* the driver accepted a feature above bit 63 */
};

/* The transport features that this port carries. */
#define BH_MMIO_FEATURES                                                                           \
    (BH_F_INDIRECT_DESC | BH_F_EVENT_IDX | BH_F_VERSION_1 | BH_F_ACCESS_PLATFORM |                 \
     BH_F_RING_PACKED | BH_F_IN_ORDER | BH_F_NOTIFICATION_DATA | BH_F_RING_RESET)

/* Binds `device` to the port. `features`: a subset of BH_MMIO_FEATURES to offer. `queues`:
 * device->queue_count entries. */
void bh_mmio_init(struct bh_mmio *mmio, struct bh_device *device, uint64_t features,
                  struct bh_mmio_queue *queues, const struct bh_mmio_ops *ops, void *context);

/* The guest reads `size` bytes (1, 2, 4 or 8) at `offset` of the register page. Never fails: what
 * VIRTIO does not define (a write-only register, another width than 4 for a register, an unaligned
 * access) reads as 0. */
uint64_t bh_mmio_read(struct bh_mmio *mmio, uint32_t offset, uint32_t size);

/* The guest writes. BH_OK: done. BH_AGAIN: chains are in flight, and the guest must not go on
 * before they are back (a reset; QueueReady cleared), or the memory of a ring cannot be had now:
 * leave the guest's processor on this instruction and repeat the access when `retry` is called. A
 * hypervisor that cannot do that goes on: a driver that waits for Status, QueueReset or QueueReady
 * to read 0 sees it when it is done.
 * Another code: the write broke a rule of VIRTIO and is ignored; the code is for the log. */
int bh_mmio_write(struct bh_mmio *mmio, uint32_t offset, uint64_t value, uint32_t size);

/* Serves what `work` announced, at most a ring's worth for each queue; true: call again soon. */
bool bh_mmio_serve(struct bh_mmio *mmio);

#endif
