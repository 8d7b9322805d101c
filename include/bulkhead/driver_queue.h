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

/* What the driver remembers of each buffer: private memory, size entries, found by the head
 * descriptor's index (split) or the buffer id (packed). */
struct bh_driver_slot {
    void *token;       /* the caller's; NULL: not given out */
    uint64_t sequence; /* its place in the order of adding; shown to the device when it is below
                          queue->published */
    uint32_t writable; /* bytes the device may write */
    uint16_t count;    /* ring descriptors it occupies */
    uint16_t next;     /* split: the next descriptor of the chain, or of the free list; packed: the
                          next free id */
};

struct bh_driver_queue {
    /* Set once. */
    struct bh_transport *transport;
    struct bh_driver_slot *slots;
    uint8_t *descriptor; /* the three areas */
    uint8_t *driver;
    uint8_t *device;
    uint8_t *indirect; /* indirect tables: size * indirect_max descriptors, or NULL */
    uint64_t indirect_address;
    struct bh_queue_areas areas; /* as the device sees them */
    uint16_t indirect_max;
    uint16_t index;
    uint16_t size;
    bool packed;
    bool event_idx;
    bool in_order;
    bool faulty;
    const char *fault; /* static text: what the device lied about; NULL while it did not */

    /* Buffers since the queue was started: collected <= published <= added. They never wrap in
     * practice; the split format's indices are their low 16 bits. */
    uint64_t added;
    uint64_t published;     /* the device was shown this many */
    uint64_t collected;     /* the caller got this many back */
    uint64_t order_end;     /* in-order: the open used batch ends before this one */
    uint32_t order_written; /* in-order: what the last buffer of the open batch reports */

    uint16_t free_count; /* ring descriptors */
    uint16_t free_head;  /* in-order: the slot of the next buffer; else: the first free slot */
    uint16_t order_head; /* in-order: the slot of the oldest buffer */
    uint16_t used_seen;  /* split: the device's index when last read */

    /* Packed: the next descriptor to write and to look at, with their wrap counters. */
    uint16_t avail_next;
    uint16_t used_next;
    bool avail_wrap;
    bool used_wrap;
    uint16_t batch;      /* descriptors added and not yet shown */
    uint16_t first_next; /* the first of them: its flags are stored last */
    uint16_t first_flags;
};

struct bh_driver_queue_setup {
    struct bh_transport *transport;
    struct bh_dma *dma;
    struct bh_driver_slot *slots; /* size entries */
    uint64_t features;            /* negotiated */
    uint16_t index;
    uint16_t size;         /* 1..BH_QUEUE_SIZE_MAX; split: a power of 2 */
    uint16_t indirect_max; /* elements of an indirect table; 0: none are used */
};

/* Bytes of bh_dma that a queue takes at most, for whoever sizes a window. */
uint64_t bh_driver_queue_bytes(uint16_t size, uint16_t indirect_max, bool packed);

/* Takes ring memory, and starts the queue at the device. Used buffer notifications are on.
 * BH_INVALID: the size; BH_LIMIT: more than the device has; BH_NO_MEMORY: the dma memory is too
 * small. */
int bh_driver_queue_init(struct bh_driver_queue *queue, const struct bh_driver_queue_setup *setup);

/* Resets one queue (RING_RESET) and starts it again empty, in the memory that it has. What was in
 * flight is lost: its tokens are handed out no more. */
int bh_driver_queue_restart(struct bh_driver_queue *queue);

/* Adds a buffer: `readable` elements that the device reads, then `writable` ones that it writes.
 * More than one element goes into an indirect table if the queue has them and they are long enough,
 * else into the ring. BH_AGAIN: the ring is full. BH_LIMIT: more elements than the ring has
 * descriptors, or 4 GiB and more. BH_INVALID: no element, an empty one, or no token. `token` comes
 * back from collect. Not shown to the device until bh_driver_queue_publish. */
int bh_driver_queue_add(struct bh_driver_queue *queue, const struct bh_buffer *elements,
                        uint16_t readable, uint16_t writable, void *token);

/* Shows what was added to the device, and notifies it if it wants that. */
int bh_driver_queue_publish(struct bh_driver_queue *queue);

/* Takes the next used buffer. 1: `token` and `written` (bytes, at most what the buffer had; with
 * IN_ORDER, a buffer for which the device wrote no used entry counts as written to the end); 0:
 * none; BH_PROTOCOL: the device lied, the queue is faulty until it is restarted. */
int bh_driver_queue_collect(struct bh_driver_queue *queue, void **token, uint32_t *written);

/* Asks the device for a notification of the next used buffer (true), or for none (false). It is a
 * wish: notifications may come all the same. With EVENT_IDX the wish holds for one notification,
 * without it until it is changed. After true: whether something is there for collect already; then
 * no notification may come for it. */
bool bh_driver_queue_notify_enable(struct bh_driver_queue *queue, bool enable);

/* Where a device that died without a word is to go on, in the form of vhost-user's VRING_BASE:
 * behind what it used. Only right after collect returned 0. What is in flight is done again by a
 * device that finds it in its in-flight region, or the caller's loss. */
uint32_t bh_driver_queue_base(const struct bh_driver_queue *queue);

#endif
