/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The guest driver of a block device (VIRTIO 1.4, 5.2), over any transport. Requests are started
 * and finish later; bh_driver_blk_poll calls back. Data lies in memory that the device can reach (a
 * bh_dma); nothing is copied.
 *
 * Thread: one thread (or one lock) for a device. Ownership: all memory is the caller's.
 */
#ifndef BULKHEAD_DRIVER_BLK_H
#define BULKHEAD_DRIVER_BLK_H

#include <stdbool.h>
#include <stdint.h>

#include "bulkhead/driver_queue.h"
#include "bulkhead/virtio_blk.h"

#define BH_DRIVER_BLK_ELEMENTS_MAX 34u /* header, up to 32 data elements, status */

/* A request. Header, segments and status are shared with the device, so requests lie in bh_dma
 * memory; what decides (length, type, callback) lies in bh_driver_blk_request, which must not. */
struct bh_driver_blk_shared {
    struct bh_blk_header header;
    struct bh_blk_segment segments[16];
    uint8_t status;
    uint8_t padding[15];
};

struct bh_driver_blk_request {
    /* `result`: BH_OK, BH_IO, BH_UNSUPPORTED, or BH_PROTOCOL for an answer that makes no sense. */
    void (*done)(struct bh_driver_blk_request *request, int result);
    void *context;
    struct bh_driver_blk_shared *shared; /* set by bh_driver_blk_init */
    struct bh_driver_blk_request *next;  /* free list */
    uint32_t expected;                   /* bytes the device has to write */
};

struct bh_driver_blk {
    struct bh_transport *transport;
    struct bh_driver_queue *queues;
    uint16_t queue_count;
    struct bh_dma *dma;
    struct bh_driver_blk_request *free;
    uint64_t features;
    uint64_t capacity; /* sectors */
    uint32_t block_size;
    uint32_t seg_max;
    uint32_t size_max; /* 0: no limit */
};

struct bh_driver_blk_setup {
    struct bh_transport *transport;
    struct bh_dma *dma;                     /* rings, headers and status bytes are taken from it */
    struct bh_driver_queue *queues;         /* queue_count */
    struct bh_driver_slot *slots;           /* queue_count * queue_size */
    struct bh_driver_blk_request *requests; /* request_count */
    uint16_t request_count;
    uint16_t queue_count; /* wanted; the device may have fewer: blk->queue_count tells */
    uint16_t queue_size;
    uint16_t indirect_max; /* 0: no indirect descriptors */
    uint64_t features;     /* wanted, transport and class bits; VERSION_1 is always needed */
};

int bh_driver_blk_init(struct bh_driver_blk *blk, const struct bh_driver_blk_setup *setup);

/* Starts an operation on queue `queue`; `request` comes from bh_driver_blk_take. Shown to the
 * device by bh_driver_blk_publish. BH_AGAIN: the queue is full. BH_INVALID: out of the disk's
 * bounds or limits: nothing is sent. */
struct bh_driver_blk_request *
bh_driver_blk_take(struct bh_driver_blk *blk); /* NULL: all are in use */
void bh_driver_blk_give(struct bh_driver_blk *blk, struct bh_driver_blk_request *request);
int bh_driver_blk_read(struct bh_driver_blk *blk, uint16_t queue,
                       struct bh_driver_blk_request *request, uint64_t sector,
                       const struct bh_buffer *data, uint16_t count);
int bh_driver_blk_write(struct bh_driver_blk *blk, uint16_t queue,
                        struct bh_driver_blk_request *request, uint64_t sector,
                        const struct bh_buffer *data, uint16_t count);
int bh_driver_blk_flush(struct bh_driver_blk *blk, uint16_t queue,
                        struct bh_driver_blk_request *request);
/* Discard, write zeroes, secure erase: `type` is BH_BLK_T_…, 1..16 segments. */
int bh_driver_blk_segments(struct bh_driver_blk *blk, uint16_t queue,
                           struct bh_driver_blk_request *request, uint32_t type,
                           const struct bh_blk_segment *segments, uint16_t count);
/* Get id, get lifetime: `data` takes 20 or 6 bytes. */
int bh_driver_blk_query(struct bh_driver_blk *blk, uint16_t queue,
                        struct bh_driver_blk_request *request, uint32_t type,
                        const struct bh_buffer *data);
int bh_driver_blk_publish(struct bh_driver_blk *blk, uint16_t queue);

/* Calls back for everything that finished on `queue`, at most one ring's worth. Returns how many,
 * or BH_PROTOCOL. */
int bh_driver_blk_poll(struct bh_driver_blk *blk, uint16_t queue);

#endif
