/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a guest driver needs of a transport: features, status, configuration, queues, notifications.
 * Two implement it: virtio-mmio (driver/mmio.c) and a vhost-user front end (driver/vhost_user.c),
 * so that one driver runs in a bare-metal guest, in an RTOS, and in a host program that tests a
 * back end without a virtual machine. Source: VIRTIO 1.4, 3.1 and 4.2.
 *
 * The device is not trusted: every value that it returns is checked by whoever uses it.
 *
 * Thread: one thread (or one lock) for a device. Ownership: all memory is the caller's.
 */
#ifndef BULKHEAD_TRANSPORT_H
#define BULKHEAD_TRANSPORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bulkhead/error.h"
#include "bulkhead/virtio.h"

/* Memory that both sides reach: a window, or all of a guest's RAM. Addresses are given out from the
 * front; nothing is given back singly (drivers allocate at start-up only). `base` and `address` are
 * equal modulo every alignment that is asked for: let both begin at a page. */
struct bh_dma {
    uint8_t *base;    /* where the driver sees it */
    uint64_t address; /* where the device sees it: guest-physical */
    size_t size;
    size_t used;
};

/* Takes `size` bytes aligned to `alignment` (a power of 2) on both sides, zeroed. NULL: not enough
 * left, or `base` and `address` do not agree. */
void *bh_dma_take(struct bh_dma *dma, size_t size, size_t alignment);

/* The device's address of a pointer into the memory; `pointer` must lie inside. */
static inline uint64_t bh_dma_address(const struct bh_dma *dma, const void *pointer)
{
    return dma->address + (uint64_t)((const uint8_t *)pointer - dma->base);
}

/* Whether [pointer, pointer + length) lies wholly inside. */
bool bh_dma_holds(const struct bh_dma *dma, const void *pointer, size_t length);

struct bh_transport;

/* Where the three areas of a queue lie, as the device sees them. */
struct bh_queue_areas {
    uint64_t descriptor;
    uint64_t driver;
    uint64_t device;
    uint16_t size;
};

/* Functions return BH_OK or a code: BH_GONE when the device (or its back end) is not there any
 * more, BH_TIMEOUT, BH_PROTOCOL when its answer makes no sense. */
struct bh_transport_ops {
    int (*device_id)(struct bh_transport *transport, uint32_t *id);
    int (*features_get)(struct bh_transport *transport, uint64_t *features);
    int (*features_set)(struct bh_transport *transport, uint64_t features);
    int (*status_get)(struct bh_transport *transport, uint8_t *status);
    int (*status_set)(struct bh_transport *transport,
                      uint8_t status); /* 0: reset; returns when it is done */
    int (*generation)(struct bh_transport *transport, uint32_t *generation);
    /* One field of 1, 2, 4 or 8 bytes at its natural alignment (8 bytes: of 4) is accessed as VIRTIO
     * demands for its width; anything else byte by byte. Little-endian, as it lies there. */
    int (*config_read)(struct bh_transport *transport, uint32_t offset, void *to, uint32_t length);
    int (*config_write)(struct bh_transport *transport, uint32_t offset, const void *from,
                        uint32_t length);
    int (*queue_size_max)(struct bh_transport *transport, uint16_t index,
                          uint16_t *size); /* 0: no such queue */
    /* BH_LIMIT: larger than queue_size_max; BH_STATE: it runs already. */
    int (*queue_start)(struct bh_transport *transport, uint16_t index,
                       const struct bh_queue_areas *areas);
    /* RING_RESET; returns when it is done. BH_UNSUPPORTED: it was not negotiated. */
    int (*queue_reset)(struct bh_transport *transport, uint16_t index);
    /* Tells the device. `next` (15 bits) and `wrap` travel only when NOTIFICATION_DATA was
     * negotiated (VIRTIO 1.4, 2.9); for a split queue they are the available index. */
    int (*notify)(struct bh_transport *transport, uint16_t index, uint16_t next, bool wrap);
    /* What the device signalled since the last call: BH_MMIO_INT_USED, BH_MMIO_INT_CONFIG.
     * Acknowledges it. */
    int (*interrupts)(struct bh_transport *transport, uint32_t *pending);
};

struct bh_transport {
    const struct bh_transport_ops *ops;
};

/* The steps 1 to 6 of VIRTIO 1.4, 3.1.1: reset, acknowledge, driver, features, FEATURES_OK and its
 * check. `wanted`: what the driver can use; `needed`: what it cannot do without (VERSION_1 always
 * is). `agreed` tells the result. BH_UNSUPPORTED: something needed is not offered, or the device
 * refused the set. On any error FAILED is added to the status. */
int bh_transport_begin(struct bh_transport *transport, uint64_t wanted, uint64_t needed,
                       uint64_t *agreed);

/* Step 8: DRIVER_OK. BH_PROTOCOL: the device does not show it, or needs a reset at once. */
int bh_transport_ready(struct bh_transport *transport);

/* Reads configuration consistently across generations (VIRTIO 1.4, 2.5.1), with config_read's
 * widths; gives up with BH_AGAIN after 16 tries. */
int bh_transport_config(struct bh_transport *transport, uint32_t offset, void *to, uint32_t length);

/* ---- mmio ---- */

/* How registers are reached. In a guest: volatile accesses to the page, which earlier writes to
 * memory must not be overtaken by (the compiler's barrier and, on Arm and RISC-V, the processor's);
 * in a test: calls into the device model. `size` is 1, 2 or 4 bytes, `offset` a multiple of it. */
struct bh_mmio_bus {
    uint32_t (*read)(void *context, uint32_t offset, uint32_t size);
    void (*write)(void *context, uint32_t offset, uint32_t value, uint32_t size);
    void *context;
};

struct bh_mmio_transport {
    struct bh_transport transport; /* first */
    struct bh_mmio_bus bus;
    uint32_t spins;    /* how often a register is polled before BH_TIMEOUT; init sets a million */
    uint64_t features; /* negotiated */
};

/* BH_UNSUPPORTED: no (modern) virtio-mmio device answers; BH_GONE: a placeholder with device id 0.
 */
int bh_mmio_transport_init(struct bh_mmio_transport *mmio, const struct bh_mmio_bus *bus);

#endif
