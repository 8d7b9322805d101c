/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The block device (VIRTIO 1.4, 5.2, all but zones): the contract between the model and the disk
 * behind it. The model checks every request (bounds, flags, limits, rights) and hands the disk byte
 * ranges and spans; the disk answers with bh_blk_done. Neither knows the other's insides.
 *
 * Thread: one thread for a device and its disk. Ownership: all memory is the caller's.
 */
#ifndef BULKHEAD_BLK_H
#define BULKHEAD_BLK_H

#include <stdbool.h>
#include <stdint.h>

#include "bulkhead/device.h"
#include "bulkhead/virtio_blk.h"

/* ---------------------------------------------------------------------------------------------------------
 * the disk */

enum bh_disk_op {
    BH_DISK_READ,
    BH_DISK_WRITE,
    BH_DISK_FLUSH,
    BH_DISK_DISCARD,
    BH_DISK_WRITE_ZEROES,
    BH_DISK_SECURE_ERASE,
};

/* One operation at the disk. Owned by the model; valid from submit until bh_blk_done returns. */
struct bh_disk_io {
    enum bh_disk_op op;
    bool durable;    /* the result is reported only once it is on stable storage (write-through) */
    bool unmap;      /* write zeroes may deallocate */
    uint64_t offset; /* bytes; within the capacity */
    uint64_t length; /* bytes; READ, WRITE: the sum of the spans */
    struct bh_span *
        spans; /* READ, WRITE; the disk may shorten them in place to go on after a short transfer */
    uint32_t span_count;
    uint64_t host[2]; /* the disk's own notes */
};

struct bh_disk_ops {
    /* Takes an operation; bh_blk_done will be called for it, possibly before submit returns.
     * BH_AGAIN: not now, nothing was taken; the model asks again after the next completion. */
    int (*submit)(void *disk, struct bh_disk_io *io);
    /* Starts what was submitted. Called once for a batch. */
    void (*commit)(void *disk);
    /* Fills the wear of the medium. Needed when `lifetime` is offered, else NULL. BH_OK or BH_IO.
     */
    int (*lifetime)(void *disk, struct bh_blk_lifetime *lifetime);
};

/* Reports an operation: BH_OK, BH_IO, BH_NO_SPACE, BH_UNSUPPORTED, … The driver sees it after the
 * next bh_device_flush. */
void bh_blk_done(struct bh_disk_io *io, int result);

/* ---------------------------------------------------------------------------------------------------------
 * the model */

/* What the disk is and can do. Byte quantities are multiples of 512. */
struct bh_blk_geometry {
    uint64_t capacity;   /* bytes */
    uint32_t block_size; /* logical: 512..65536, a power of 2; requests need not be aligned to it */
    uint32_t physical_block_size; /* >= block_size, a power of 2 */
    uint32_t optimal_io_size;     /* bytes; 0: unknown */
    uint32_t seg_max;  /* most data segments of a request; the pool's blocks hold seg_max + 2 spans
                          or more */
    uint32_t size_max; /* largest segment in bytes; 0: no limit */
    uint32_t discard_max; /* bytes a segment; 0: discard is not offered */
    uint32_t discard_alignment;
    uint32_t write_zeroes_max; /* bytes a segment; 0: not offered */
    bool write_zeroes_unmap;   /* write zeroes can deallocate */
    uint32_t secure_erase_max; /* bytes a segment; 0: not offered. Only for a medium that really
                                  erases */
    uint32_t secure_erase_alignment;
    bool lifetime; /* offered; only for a medium that really knows */
    bool read_only;
    bool write_through;        /* every write is durable, and no driver can turn that off */
    char id[BH_BLK_ID_LENGTH]; /* not necessarily terminated */
};

struct bh_blk_request;

struct bh_blk {
    struct bh_device *device;
    const struct bh_disk_ops *disk_ops;
    void *disk;
    struct bh_blk_geometry geometry;
    struct bh_blk_request *requests; /* all of them */
    struct bh_blk_request *free;     /* a list */
    bool writeback;
    bool starved; /* a serve ended for want of a request, a span block or the disk: look at the
                     queues again after a completion */
};

/* A request in flight. The caller provides an array of them: as many as may be in flight at once.
 */
struct bh_blk_request {
    struct bh_disk_io io; /* first: bh_blk_done finds the request by it */
    struct bh_chain chain;
    struct bh_blk *blk;
    struct bh_queue *queue;
    struct bh_blk_request *next;
    uint8_t *status;
    uint16_t segment; /* discard and its kin: which segment is under way */
    uint16_t segment_count;
    uint32_t type;
};

#define BH_BLK_SEGMENTS_MAX 16u /* of a discard, write zeroes or secure erase request */

extern const struct bh_device_class bh_blk_class;

/* Makes the model of `device` (setup->class = &bh_blk_class, class_data = blk, before
 * bh_device_init). BH_INVALID: the geometry breaks a range above. */
int bh_blk_init(struct bh_blk *blk, struct bh_device *device,
                const struct bh_blk_geometry *geometry, const struct bh_disk_ops *ops, void *disk,
                struct bh_blk_request *requests, uint32_t request_count);

/* The disk's size changed: the driver is told (VIRTIO 1.4, 5.2.6). Requests in flight finish as
 * they can. */
void bh_blk_capacity_set(struct bh_blk *blk, uint64_t capacity);

#endif
