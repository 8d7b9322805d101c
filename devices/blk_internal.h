/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the files of the block model share: blk.c takes requests from queues, blk_request.c checks
 * them, blk_disk.c brings them to the disk and back, blk_config.c decides what is offered and how
 * durable a write is.
 */
#ifndef BULKHEAD_DEVICES_BLK_INTERNAL_H
#define BULKHEAD_DEVICES_BLK_INTERNAL_H

#include "bulkhead/blk.h"
#include "bulkhead/bytes.h"

/* The functions of bh_blk_class that deal with features and configuration. */
uint64_t bh_blk_features(const struct bh_device *device);
void bh_blk_features_set(struct bh_device *device);
void bh_blk_started(struct bh_device *device, bool resumed);
uint32_t bh_blk_config_size(const struct bh_device *device);
void bh_blk_config_read(const struct bh_device *device, uint32_t offset, void *to, uint32_t length);
int bh_blk_config_write(struct bh_device *device, uint32_t offset, const void *from,
                        uint32_t length);

/* Begins to serve a popped request whose header and status may share descriptors with data, or be
 * spread over several (VIRTIO 1.4, 2.6.4). */
void bh_blk_begin_any(struct bh_blk *blk, struct bh_blk_request *request);

/* Serves a request of any type; header and status are cut off the chain. */
void bh_blk_dispatch(struct bh_blk *blk, struct bh_blk_request *request, uint32_t type,
                     uint64_t sector);

/* Whether [sector, sector + length bytes) lies on the disk. */
static inline bool bh_blk_in_capacity(const struct bh_blk *blk, uint64_t sector, uint64_t length)
{
    uint64_t capacity = blk->geometry.capacity;

    return sector <= capacity / BH_BLK_SECTOR && length <= capacity - sector * BH_BLK_SECTOR;
}

/* Offers the segments of a request, from request->segment on, to the disk. The request may be
 * answered when this returns. */
void bh_blk_segments_offer(struct bh_blk_request *request);

/* The disk did not take request->io: the request waits, or is answered. */
void bh_blk_not_taken(struct bh_blk_request *request, int error);

/* Offers request->io, a single operation, to the disk; the request waits while that has no room. It
 * may be answered when this returns. */
static inline void bh_blk_offer(struct bh_blk_request *request)
{
    const struct bh_blk *blk = request->blk;
    int error = blk->disk_ops->submit(blk->disk, &request->io);

    if (error != BH_OK) {
        bh_blk_not_taken(request, error);
    }
}

/* Offers what waits, oldest first. False: the disk is full again. */
bool bh_blk_offer_waiting(struct bh_blk *blk);

/* End a request: with a status and the used length; with an error status (used length as far as
 * that claims nothing); with what the disk reported; without an answer, because it breaks the
 * protocol (the device needs a reset then). The request is free afterwards, and may be
 * another's: it must not be touched. */
void bh_blk_answer(struct bh_blk_request *request, uint8_t status, uint32_t written);
void bh_blk_refuse(struct bh_blk_request *request, uint8_t status);
void bh_blk_answer_result(struct bh_blk_request *request, int result);
void bh_blk_fail(struct bh_blk_request *request, const char *reason);

/* Ends a well-formed request for an operation that is not allowed. */
void bh_blk_deny(struct bh_blk_request *request, uint32_t operation);

/* The operations that are allowed now. */
static inline uint32_t bh_blk_allowed(const struct bh_blk *blk)
{
    return blk->operations & bh_filter_operations(&blk->filter);
}

/* Whether a write must be durable when it is answered: also while the driver's flushes are refused,
 * as it could not make the write stable itself. */
static inline bool bh_blk_is_durable(const struct bh_blk *blk, uint32_t allowed)
{
    return blk->durable || (allowed & BH_DISK_FLUSH) == 0u;
}

/* The data of a read or write. */
struct bh_blk_payload {
    struct bh_span *spans;
    uint32_t count;
    uint32_t bytes;
};

/* Whether no segment is longer than size_max. */
bool bh_blk_segments_fit(const struct bh_span *spans, uint32_t count, uint32_t size_max);

/* Checks a read or write, and brings it to the disk. Here, because it is every request's way. */
static inline void bh_blk_transfer(struct bh_blk *blk, struct bh_blk_request *request,
                                   enum bh_disk_op op, uint64_t sector, struct bh_blk_payload data)
{
    const struct bh_blk_geometry *geometry = &blk->geometry;
    const uint32_t operation = op == BH_DISK_OP_WRITE ? BH_DISK_WRITE : BH_DISK_READ;
    const uint32_t allowed = bh_blk_allowed(blk);
    struct bh_disk_io *io = &request->io;

    if (data.bytes % BH_BLK_SECTOR != 0u || !bh_blk_in_capacity(blk, sector, data.bytes) ||
        data.count > geometry->seg_max ||
        (geometry->size_max != 0u &&
         !bh_blk_segments_fit(data.spans, data.count, geometry->size_max))) {
        bh_blk_refuse(request, BH_BLK_S_IOERR);
        return;
    }
    if ((allowed & operation) == 0u) {
        bh_blk_deny(request, operation);
        return;
    }
    if (data.bytes == 0u) {
        bh_blk_answer(request, BH_BLK_S_OK, request->written);
        return;
    }
    io->op = op;
    io->durable = op == BH_DISK_OP_WRITE && bh_blk_is_durable(blk, allowed);
    io->unmap = false;
    io->offset = sector * BH_BLK_SECTOR;
    io->length = data.bytes;
    io->spans = data.spans;
    io->span_count = data.count;
    bh_blk_offer(request);
}

/* Makes the lists of requests: all are free. The rest of `blk` is zeroes. */
void bh_blk_requests_init(struct bh_blk *blk, struct bh_blk_request *requests, uint32_t count);

#endif
