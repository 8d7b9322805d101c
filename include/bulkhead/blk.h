/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The block device (VIRTIO 1.4, 5.2, all but zones): the contract between the model and the disk
 * behind it. The model checks every request (bounds, flags, limits, rights) and hands the disk byte
 * ranges and spans; the disk answers with bh_blk_done. Neither knows the other's insides.
 *
 * What the driver may do is decided twice. What it never may (`withheld`) is not offered. What it
 * may do now and not at another time stands in a filter, and each request is held against that when
 * it is taken from its ring; one that is not allowed is completed with IOERR, changes nothing and
 * moves nothing, and the platform is told.
 *
 * Thread: one thread for a device and its disk. Ownership: all memory is the caller's.
 */
#ifndef BULKHEAD_BLK_H
#define BULKHEAD_BLK_H

#include <stdbool.h>
#include <stdint.h>

#include "bulkhead/device.h"
#include "bulkhead/filter.h"
#include "bulkhead/operations.h"
#include "bulkhead/virtio_blk.h"

/* ---- the disk ---- */

enum bh_disk_op {
    BH_DISK_OP_READ,
    BH_DISK_OP_WRITE,
    BH_DISK_OP_FLUSH,
    BH_DISK_OP_DISCARD,
    BH_DISK_OP_WRITE_ZEROES,
    BH_DISK_OP_SECURE_ERASE,
};

/* One operation at the disk. Owned by the model; the disk's from submit until bh_blk_done. */
struct bh_disk_io {
    enum bh_disk_op op;
    bool durable;    /* the result is reported only once it is on stable storage (write-through) */
    bool unmap;      /* write zeroes may deallocate */
    uint64_t offset; /* bytes; a multiple of 512, within the capacity */
    uint64_t length; /* bytes; a multiple of 512. READ, WRITE: the sum of the spans, not 0 */
    /* READ, WRITE: where the data lies; no span is empty. The disk may shorten spans in place to go
     * on after a short transfer. */
    struct bh_span *spans;
    uint32_t span_count;
    uint64_t host[2]; /* the disk's own notes */
};

struct bh_disk_ops {
    /* Takes an operation; bh_blk_done will be called for it, possibly before submit returns.
     * BH_AGAIN: not while so much is in flight, nothing was taken; the model offers it again after
     * the next completion. Another code: it failed,
     * nothing was taken. */
    int (*submit)(void *disk, struct bh_disk_io *io);
    /* Starts what was submitted. Called once for a batch. */
    void (*commit)(void *disk);
    /* Fills the wear of the medium, host byte order. Needed when `lifetime` is offered, else NULL.
     * BH_OK or BH_IO. */
    int (*lifetime)(void *disk, struct bh_blk_lifetime *lifetime);
};

/* Reports an operation: BH_OK, BH_IO, BH_NO_SPACE, BH_UNSUPPORTED, … Once for each. The driver
 * sees it after the next bh_device_flush, which also goes on with what had to wait; the disk calls
 * that once for a batch of completions, but not from inside submit or commit. `io` is not the
 * disk's any more when this returns. */
void bh_blk_done(struct bh_disk_io *io, int result);

/* ---- the model ---- */

/* What the disk is and can do. Byte quantities are multiples of 512. */
struct bh_blk_geometry {
    uint64_t capacity;   /* bytes */
    uint32_t block_size; /* logical: 512..65536, a power of 2; requests need not be aligned to it */
    uint32_t physical_block_size; /* >= block_size, a power of 2 */
    uint32_t optimal_io_size;     /* bytes; 0: unknown */
    /* Most data segments of a request, not 0; the pool's blocks hold seg_max + 2 spans or more. A
     * request with more pieces fails, so memory that hands a descriptor out in several pieces
     * needs a seg_max that counts pieces. */
    uint32_t seg_max;
    uint32_t size_max;    /* largest segment in bytes; 0: no limit */
    uint32_t discard_max; /* bytes a segment; 0: discard is not offered */
    uint32_t discard_alignment;
    uint32_t write_zeroes_max; /* bytes a segment; 0: not offered */
    bool write_zeroes_unmap;   /* write zeroes can deallocate */
    uint32_t secure_erase_max; /* bytes a segment; 0: not offered. Only for a medium that really
                                  erases */
    uint32_t secure_erase_alignment;
    bool lifetime;             /* offered; only for a medium that really knows */
    bool read_only;            /* nothing that changes the disk is offered or done */
    bool write_through;        /* every write is durable, and no driver can turn that off */
    char id[BH_BLK_ID_LENGTH]; /* not necessarily terminated */
};

#define BH_BLK_SEGMENTS_MAX 16u /* of a discard, write zeroes or secure erase request */

struct bh_blk_request;

struct bh_blk {
    struct bh_device *device;
    const struct bh_disk_ops *disk_ops;
    void *disk;
    struct bh_blk_geometry geometry;
    struct bh_filter filter;
    uint32_t
        operations;   /* that the driver may do at all: what the disk can, less what is withheld */
    uint64_t refused; /* requests that were not allowed, so far */
    void (*on_refused)(void *context, uint32_t operation);
    void *context;
    struct bh_blk_request *free;          /* a list: the one used last comes first */
    struct bh_blk_request *waiting;       /* those the disk had no room for, oldest first */
    struct bh_blk_request **waiting_last; /* where the next one is linked in */
    uint32_t waiting_count;
    uint16_t turn;     /* the queue that comes first when the model goes on after starving */
    bool writeback;    /* the cache mode that the driver sees and sets */
    bool mode_known;   /* the driver that is served now has read or set its cache mode here */
    bool durable;      /* every write must be durable: follows from features and cache mode */
    bool flush_failed; /* every flush fails from here to the next reset: what was lost stays lost */
    bool starved;      /* a serve ended for want of a request, memory or the disk: go on after a
                       completion */
};

/* A request in flight. The caller provides as many as may be in flight at once. */
struct bh_blk_request {
    struct bh_disk_io io; /* first: bh_blk_done finds the request by it */
    struct bh_blk *blk;
    struct bh_queue *queue;
    struct bh_blk_request *next;
    uint8_t *status;
    uint32_t written;       /* used length if it succeeds */
    uint16_t segment;       /* discard and its kin: which segment is under way */
    uint16_t segment_count; /* 0: not of that kin, or free */
    bool submitting;        /* segments: submit has not returned yet */
    bool answered;          /* segments: bh_blk_done came inside submit, with `result` */
    int result;
    struct bh_chain chain;
    struct bh_blk_segment segments[BH_BLK_SEGMENTS_MAX]; /* host byte order, checked */
};

extern const struct bh_device_class bh_blk_class;

/* What bh_blk_init needs. */
struct bh_blk_setup {
    struct bh_device *device;
    const struct bh_blk_geometry *geometry; /* copied */
    const struct bh_disk_ops *ops;
    void *disk;
    struct bh_blk_request
        *requests; /* request_count (not 0) of them, as long as the device lives */
    uint32_t request_count;
    /* BH_DISK_*: what the driver never may. Features for it are not offered. Without WRITE the disk
     * is read-only, so that DISCARD and ERASE go with it; without FLUSH every write is durable. */
    uint32_t withheld;
    const struct bh_filter *filter; /* what it may do now; copied. NULL: all that is offered */
    /* A request for this operation (one of BH_DISK_*) was not allowed. NULL: nobody asks. */
    void (*refused)(void *context, uint32_t operation);
    void *context;
};

/* Makes the model of setup->device; before bh_device_init, which takes class = &bh_blk_class and
 * class_data = blk. BH_INVALID: the geometry breaks a range above, or there is no request. */
int bh_blk_init(struct bh_blk *blk, const struct bh_blk_setup *setup);

/* The disk's size changed (bytes, rounded down to 512): the driver is told (VIRTIO 1.4, 5.2.6.2).
 * Operations at the disk finish as they can; those still to be started must fit the new size. */
void bh_blk_capacity_set(struct bh_blk *blk, uint64_t capacity);

#endif
