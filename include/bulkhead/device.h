/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A device: what every class shares, whatever carries it to the guest. A class (blk, can, …)
 * supplies a table; a port (vhost-user, mmio, Xen) drives the device through the functions below
 * and is told what happened through a table of its own. Source: VIRTIO 1.4, 2.1 to 2.4, 2.6.1, 3.1.
 *
 * The life of a device, by status bits (VIRTIO 1.4, 3.1.1):
 *   reset         status 0. Features may be set; queues are stopped.
 *   negotiating   ACKNOWLEDGE, DRIVER. Features may be set; configuration may be read.
 *   agreed        FEATURES_OK (refused if the features do not fit). Queues may be configured.
 *   live          DRIVER_OK. Queues run.
 *   failed        NEEDS_RESET: a violation. Queues do not run; only a reset helps.
 * A reset while chains are in flight is `draining`: bh_device_reset returns BH_AGAIN, the port is
 * told (`idle`) when the last one came back, and calls again. No memory is let go before that.
 *
 * A port that has no status of its own (vhost-user without STATUS) starts queues directly:
 * bh_device_queue_start checks features itself.
 *
 * Ownership: all memory is the caller's. Thread: one thread for a device.
 */
#ifndef BULKHEAD_DEVICE_H
#define BULKHEAD_DEVICE_H

#include <stdbool.h>
#include <stdint.h>

#include "bulkhead/queue.h"

struct bh_device;

/* How a class left a queue that it served. */
enum bh_served {
    /* Every chain was taken: the driver is asked to notify about the next one. */
    BH_SERVED,
    /* Chains may be left: serve again after everything else was looked at. */
    BH_SERVED_MORE,
    /* Chains may be left and can wait: a resource is used up, or no data is there for them. The
     * driver need not notify; the class calls bh_device_kick when they are wanted. */
    BH_SERVED_ENOUGH,
};

/* What a class supplies. Constant; every function is mandatory unless it says so. */
struct bh_device_class {
    const char *name; /* "blk" */
    uint32_t id;      /* VIRTIO device id */
    /* The class feature bits (outside BH_F_TRANSPORT_MASK) that this device offers. */
    uint64_t (*features)(const struct bh_device *device);
    /* Whether this subset of what was offered can be worked with (VIRTIO 1.4, 2.2.2). NULL: any
     * subset. */
    bool (*features_fit)(const struct bh_device *device, uint64_t features);
    /* Features are agreed (device->features), or fell back to 0 by a reset. */
    void (*features_set)(struct bh_device *device);
    /* The configuration space: copy `length` bytes at `offset`; the caller checked them against
     * config_size. */
    uint32_t (*config_size)(const struct bh_device *device);
    void (*config_read)(const struct bh_device *device, uint32_t offset, void *to, uint32_t length);
    /* The driver writes. BH_DENIED: (some of) these bytes are not writable. NULL: nothing is. */
    int (*config_write)(struct bh_device *device, uint32_t offset, const void *from,
                        uint32_t length);
    /* The queue has (or may have) chains: pop at most queue->size of them and serve them. While it
     * runs the driver is asked not to notify. */
    enum bh_served (*serve)(struct bh_device *device, struct bh_queue *queue);
    /* A queue was started. `resumed`: another process served it before (it died, or the guest
     * moved), and what the driver had set in the configuration space was said to that one. NULL:
     * nothing depends on it. */
    void (*started)(struct bh_device *device, bool resumed);
    /* A queue is about to stop: gives back the chains that wait for the world outside and might
     * wait for ever (nobody reads a terminal). Work that is sure to end may go on: the queue
     * drains. NULL: all of it does. */
    void (*stopping)(struct bh_device *device, struct bh_queue *queue);
    /* Everything popped in this turn was handed over; now start it (one system call for a batch).
     * NULL: nothing to do. */
    void (*commit)(struct bh_device *device);
    /* A reset: all queues are stopped and drained; forget what the driver set. */
    void (*reset)(struct bh_device *device);
};

/* What a port supplies: how the device reaches the driver. */
struct bh_port_ops {
    /* The driver's status reaches the device whole: until DRIVER_OK no queue is served, whoever
     * kicks it (VIRTIO 1.4, 2.1.2). The port kicks all of them then. */
    bool has_status;
    /* Used buffer notification for queue `queue`. */
    void (*notify)(struct bh_device *device, uint16_t queue);
    /* Configuration change notification. */
    void (*config_changed)(struct bh_device *device);
    /* A violation by the driver or lost memory: queue->fault tells. Called once for each fault. */
    void (*failed)(struct bh_device *device, uint16_t queue);
    /* Queue `queue`, which was draining, is stopped. */
    void (*idle)(struct bh_device *device, uint16_t queue);
};

struct bh_device {
    const struct bh_device_class *class;
    void *class_data;
    const struct bh_port_ops *port;
    void *port_data;
    struct bh_memory *memory;
    struct bh_queue *queues;
    uint16_t queue_count;
    uint8_t status;
    bool dirty;             /* some queue is dirty */
    bool draining;          /* a reset waits for chains in flight */
    uint64_t port_features; /* ring features that the port can carry */
    uint64_t feature_mask;  /* what the platform lets this guest see; all ones: everything */
    uint64_t features;      /* negotiated */
    uint32_t generation;    /* of the configuration space (VIRTIO 1.4, 2.5) */
    uint64_t faults;        /* how many violations so far */
};

/* What bh_device_init needs. */
struct bh_device_setup {
    const struct bh_device_class *class;
    void *class_data;
    struct bh_memory *memory;
    struct bh_queue *queues; /* queue_count queues, initialised */
    uint16_t queue_count;
    uint64_t feature_mask;
};

void bh_device_init(struct bh_device *device, const struct bh_device_setup *setup);

/* Binds a port. `features`: the transport features (within BH_F_TRANSPORT_MASK) that the port
 * carries; the core adds and removes none but those it implements. */
void bh_device_bind(struct bh_device *device, const struct bh_port_ops *port, void *port_data,
                    uint64_t features);

/* What is offered: class and ring features, masked. */
uint64_t bh_device_features(const struct bh_device *device);

/* The driver accepts `features`. BH_INVALID: not offered, or a feature without the one it needs
 * (VIRTIO 1.4, 2.2), or VERSION_1 missing, or the class cannot work with them; the negotiated set
 * is unchanged then. BH_STATE: a queue is not stopped. */
int bh_device_features_set(struct bh_device *device, uint64_t features);

/* The driver writes the status (VIRTIO 1.4, 2.1). 0 is a reset: BH_AGAIN while it drains.
 * BH_INVALID: a bit was cleared; the status is unchanged. FEATURES_OK does not stick when the
 * features were refused. */
int bh_device_status_set(struct bh_device *device, uint8_t status);

/* Stops all queues, then forgets features, status and what the class holds. BH_AGAIN: draining;
 * call again on `idle`. */
int bh_device_reset(struct bh_device *device);

/* The configuration space; offset and length are the guest's. Reading past the end yields zeroes
 * and BH_INVALID; nothing is written past the end: BH_INVALID. */
int bh_device_config_read(const struct bh_device *device, uint32_t offset, void *to,
                          uint32_t length);
int bh_device_config_write(struct bh_device *device, uint32_t offset, const void *from,
                           uint32_t length);

/* Starts, stops a queue; see bh_queue_start and bh_queue_stop. BH_INVALID: no such queue.
 * setup->features is filled in by the device. */
int bh_device_queue_start(struct bh_device *device, uint16_t index, struct bh_queue_setup *setup);
int bh_device_queue_stop(struct bh_device *device, uint16_t index);

/* The driver's notification arrived (or the port polls): serves the queue. Returns true when chains
 * may be left: call again after looking at everything else. Notifications of queues that do not run
 * are ignored (VIRTIO 1.4, 2.7.10.3). */
bool bh_device_kick(struct bh_device *device, uint16_t index);

/* The end of a turn: starts what was handed over, publishes what was pushed, notifies. Ports and
 * resources call it once after each batch of kicks or completions. */
void bh_device_flush(struct bh_device *device);

/* For classes: a chain comes back (bh_queue_push, and the device remembers to publish). */
void bh_device_push(struct bh_device *device, struct bh_queue *queue, struct bh_chain *chain,
                    uint32_t written);

/* For classes: the request in `queue` broke the class's protocol so badly that it cannot be
 * answered (no room for a status): the queue becomes faulty, the device needs a reset. `chain`:
 * the request, as it was popped, for the record; NULL: no single one is to blame. `reason` is
 * static text. */
void bh_device_fail(struct bh_device *device, struct bh_queue *queue, const struct bh_chain *chain,
                    int error, const char *reason);

/* For classes and resources: the configuration space changed. */
void bh_device_config_changed(struct bh_device *device);

#endif
