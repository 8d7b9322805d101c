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
#define BH_DRIVER_BLK_SEGMENTS_MAX 16u /* of a discard, write zeroes or secure erase request */

/* The features that this driver makes use of when the device offers them, besides those of the
 * queues. */
#define BH_DRIVER_BLK_FEATURES                                                                     \
    (BH_BLK_F_SIZE_MAX | BH_BLK_F_SEG_MAX | BH_BLK_F_RO | BH_BLK_F_BLK_SIZE | BH_BLK_F_FLUSH |     \
     BH_BLK_F_TOPOLOGY | BH_BLK_F_CONFIG_WCE | BH_BLK_F_MQ | BH_BLK_F_DISCARD |                    \
     BH_BLK_F_WRITE_ZEROES | BH_BLK_F_LIFETIME | BH_BLK_F_SECURE_ERASE)

/* The part of a request that the device sees, in bh_dma memory. Header and status share a cache line
 * of their own: a read or write moves one line to and fro. */
struct bh_driver_blk_shared {
    struct bh_blk_header header;
    uint8_t status;
    uint8_t padding[47];
    struct bh_blk_segment segments[BH_DRIVER_BLK_SEGMENTS_MAX];
};

/* The part that decides (length, type, callback): private memory, which the device must not
 * reach. */
struct bh_driver_blk_request {
    /* `result`: BH_OK, BH_IO, BH_UNSUPPORTED, or BH_PROTOCOL for an answer that makes no sense. May
     * start new operations. The request is the caller's again: to use it once more, or to give it
     * back. */
    void (*done)(struct bh_driver_blk_request *request, int result);
    void *context;
    struct bh_driver_blk_shared *shared; /* set by bh_driver_blk_init */
    struct bh_driver_blk_request *next;  /* free list */
    uint32_t expected;                   /* bytes the device has to write */
};

/* The limits of discard and its kin (VIRTIO 1.4, 5.2.4); 0 sectors: not offered. */
struct bh_driver_blk_limit {
    uint32_t sectors;  /* of one segment */
    uint32_t segments; /* of one request */
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
    uint32_t seg_max;  /* data elements of a request: 1..BH_DRIVER_BLK_ELEMENTS_MAX - 2 */
    uint32_t size_max; /* bytes of a data element; 0: no limit */
    struct bh_driver_blk_limit discard;
    struct bh_driver_blk_limit write_zeroes;
    struct bh_driver_blk_limit secure_erase;
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

/* Brings the device to life (VIRTIO 1.4, 3.1.1 and 5.2.5): features, configuration, queues,
 * DRIVER_OK. BH_UNSUPPORTED: no block device, or VERSION_1 is missing; BH_NO_MEMORY: the dma memory;
 * BH_PROTOCOL: a configuration that makes no sense; or the transport's error. */
int bh_driver_blk_init(struct bh_driver_blk *blk, const struct bh_driver_blk_setup *setup);

/* After a configuration change notification: reads the capacity again. */
int bh_driver_blk_refresh(struct bh_driver_blk *blk);

/* A request to fill in (done, context) and to start; NULL: all are in use. */
struct bh_driver_blk_request *bh_driver_blk_take(struct bh_driver_blk *blk);
void bh_driver_blk_give(struct bh_driver_blk *blk, struct bh_driver_blk_request *request);

/* Start an operation on queue `queue`. The device sees it after bh_driver_blk_publish. BH_AGAIN: the
 * queue is full. BH_INVALID: no such queue, out of the disk's bounds, data that is no whole number
 * of sectors. BH_LIMIT: more or larger elements or segments than the disk takes. BH_UNSUPPORTED: not
 * offered. BH_DENIED: the disk is read-only. Then nothing is sent. Data lies in memory that the
 * device reaches; addresses are the device's. */
int bh_driver_blk_read(struct bh_driver_blk *blk, uint16_t queue,
                       struct bh_driver_blk_request *request, uint64_t sector,
                       const struct bh_buffer *data, uint16_t count);
int bh_driver_blk_write(struct bh_driver_blk *blk, uint16_t queue,
                        struct bh_driver_blk_request *request, uint64_t sector,
                        const struct bh_buffer *data, uint16_t count);
/* Done: what was written before is on stable storage (VIRTIO 1.4, 5.2.6.2). */
int bh_driver_blk_flush(struct bh_driver_blk *blk, uint16_t queue,
                        struct bh_driver_blk_request *request);
/* Discard, write zeroes, secure erase: `type` is BH_BLK_T_…; segments in the processor's byte order,
 * copied. */
int bh_driver_blk_segments(struct bh_driver_blk *blk, uint16_t queue,
                           struct bh_driver_blk_request *request, uint32_t type,
                           const struct bh_blk_segment *segments, uint16_t count);
/* Get id, get lifetime: `data` takes 20 or 6 bytes. */
int bh_driver_blk_query(struct bh_driver_blk *blk, uint16_t queue,
                        struct bh_driver_blk_request *request, uint32_t type,
                        const struct bh_buffer *data);
int bh_driver_blk_publish(struct bh_driver_blk *blk, uint16_t queue);

/* Calls back for everything that finished on `queue`, at most one ring's worth. Returns how many,
 * or BH_PROTOCOL: the device lied, and the queue hands out nothing any more. */
int bh_driver_blk_poll(struct bh_driver_blk *blk, uint16_t queue);

#endif
