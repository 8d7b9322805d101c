/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The driver side of a virtqueue, split or packed: buffers are added, made available in a batch,
 * and collected when the device used them. Source: VIRTIO 1.4, 2.6 to 2.9.
 *
 * The device is not trusted: a used id that was not given out, a length beyond the buffer, or a
 * used index that ran ahead stops the queue (BH_PROTOCOL) before the caller sees anything of it.
 * The descriptors' bookkeeping is private memory; nothing the device can write is ever used to find
 * the way.
 *
 * Thread: one thread (or one lock) for a queue. Ownership: all memory is the caller's; ring areas
 * come from a bh_dma.
 */
#ifndef BULKHEAD_DRIVER_QUEUE_H
#define BULKHEAD_DRIVER_QUEUE_H

#include <stdbool.h>
#include <stdint.h>

#include "bulkhead/error.h"
#include "bulkhead/transport.h"
#include "bulkhead/virtio.h"

/* One element of a buffer, as the device sees it. */
struct bh_buffer {
    uint64_t address;
    uint32_t length; /* not 0 */
};

/* What the driver remembers of each descriptor (split) or buffer id (packed): private, size
 * entries. */
struct bh_driver_slot {
    void *token;       /* the caller's; NULL: not given out */
    uint64_t indirect; /* unused: 0 */
    uint32_t writable; /* bytes the device may write */
    uint16_t count;    /* ring descriptors it occupies */
    uint16_t next;     /* free list; split: chain */
};

struct bh_driver_queue {
    struct bh_transport *transport;
    struct bh_driver_slot *slots;
    void *descriptor; /* the three areas */
    void *driver;
    void *device;
    struct bh_split_desc *indirect; /* indirect tables: size * indirect_max descriptors, or NULL */
    uint64_t indirect_address;
    uint16_t indirect_max;
    uint16_t index;
    uint16_t size;
    bool packed;
    bool event_idx;
    bool in_order;
    bool faulty;

    uint16_t free_head;  /* of slots */
    uint16_t free_count; /* ring descriptors */
    uint16_t avail_next;
    uint16_t avail_published; /* what the device was shown */
    uint16_t avail_notified;  /* where the last notification decision was made */
    uint16_t used_next;
    uint16_t order_head; /* in-order: the oldest buffer */
    bool avail_wrap;
    bool used_wrap;
    uint16_t
        first_slot; /* packed: the first descriptor of the batch, whose flags are stored last */
    uint16_t first_flags;
    uint16_t batch; /* ring descriptors added and not yet shown */
};

struct bh_driver_queue_setup {
    struct bh_transport *transport;
    struct bh_dma *dma;
    struct bh_driver_slot *slots; /* size entries */
    uint64_t features;            /* negotiated */
    uint16_t index;
    uint16_t size;         /* split: a power of 2 */
    uint16_t indirect_max; /* elements of an indirect table; 0: none are used */
};

/* Bytes of bh_dma that a queue takes at most, for whoever sizes a window. */
size_t bh_driver_queue_bytes(uint16_t size, uint16_t indirect_max, bool packed);

/* Takes ring memory, and starts the queue at the device. BH_NO_MEMORY: the dma memory is too small.
 */
int bh_driver_queue_init(struct bh_driver_queue *queue, const struct bh_driver_queue_setup *setup);

/* Resets one queue (RING_RESET) and starts it again empty, in the memory that it has. What was in
 * flight is lost: its tokens are handed out no more. */
int bh_driver_queue_restart(struct bh_driver_queue *queue);

/* Adds a buffer: `readable` elements that the device reads, then `writable` ones that it writes.
 * BH_AGAIN: the ring is full. BH_LIMIT: more elements than the ring or an indirect table holds.
 * `token` (not NULL) comes back from collect. Not shown to the device until
 * bh_driver_queue_publish. */
int bh_driver_queue_add(struct bh_driver_queue *queue, const struct bh_buffer *elements,
                        uint16_t readable, uint16_t writable, void *token);

/* Shows what was added to the device, and notifies it if it wants that. */
int bh_driver_queue_publish(struct bh_driver_queue *queue);

/* Takes the next used buffer. 1: `token` and `written` (bytes, at most what the buffer had); 0:
 * none; BH_PROTOCOL: the device lied, the queue is faulty. */
int bh_driver_queue_collect(struct bh_driver_queue *queue, void **token, uint32_t *written);

/* Asks the device for notifications (true) or none (false). After true: whether a used buffer is
 * there already. */
bool bh_driver_queue_notify_enable(struct bh_driver_queue *queue, bool enable);

#endif
