/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The block device's requests on their way to the disk and back: offering them, waiting for room,
 * completions, answers. The life of a request stands in blk.c; what a request must look like, in
 * blk_request.c.
 *
 * The used length counts bytes from the start of the writable part (VIRTIO 1.4, 2.7.8.2). The
 * status byte lies behind the data, so a failed read, whose data is not valid, has length 0: a
 * length of 1 would claim its first byte.
 */
#include "blk_internal.h"

/* ---- answers ---- */

void bh_blk_answer(struct bh_blk_request *request, uint8_t status, uint32_t written)
{
    struct bh_blk *blk = request->blk;

    *request->status = status;
    request->next = blk->free;
    blk->free = request;
    bh_device_push(blk->device, request->queue, &request->chain, written);
}

void bh_blk_refuse(struct bh_blk_request *request, uint8_t status)
{
    bh_blk_answer(request, status, request->chain.written_max == 1u ? 1u : 0u);
}

void bh_blk_answer_result(struct bh_blk_request *request, int result)
{
    if (result == BH_OK) {
        bh_blk_answer(request, BH_BLK_S_OK, request->written);
    } else {
        bh_blk_refuse(request, result == BH_UNSUPPORTED ? BH_BLK_S_UNSUPP : BH_BLK_S_IOERR);
    }
}

/* IOERR, although VIRTIO has UNSUPP for what a device does not support (VIRTIO 1.4, 5.2.6): it will
 * be allowed again in another mode of the vehicle, and UNSUPP says of the disk that it cannot. Linux
 * makes EOPNOTSUPP of it, which layers above its driver take for a property of the disk: they stop
 * asking for good, or (a discard) call it a success. IOERR fails this request and says no more. */
void bh_blk_deny(struct bh_blk_request *request, uint32_t operation)
{
    struct bh_blk *blk = request->blk;

    blk->refused++;
    bh_blk_refuse(request, BH_BLK_S_IOERR);
    if (blk->on_refused != NULL) {
        blk->on_refused(blk->context, operation);
    }
}

void bh_blk_fail(struct bh_blk_request *request, const char *reason)
{
    struct bh_blk *blk = request->blk;
    struct bh_queue *queue = request->queue;

    bh_device_fail(blk->device, queue, &request->chain, BH_PROTOCOL, reason);
    request->next = blk->free;
    blk->free = request;
    bh_device_push(blk->device, queue, &request->chain, 0);
}

/* ---- single operations ---- */

/* What became of a request of one operation. */
static void single_done(struct bh_blk_request *request, int result)
{
    if (result == BH_OK) {
        bh_blk_answer(request, BH_BLK_S_OK, request->written);
        return;
    }
    if (request->io.op == BH_DISK_OP_FLUSH) {
        /* The host may drop what it could not commit, and claim success the next time. */
        request->blk->flush_failed = true;
    }
    bh_blk_answer_result(request, result);
}

/* Offers a request of one operation. False: the disk has no room. */
static bool single_offer(struct bh_blk_request *request)
{
    const struct bh_blk *blk = request->blk;
    int error = blk->disk_ops->submit(blk->disk, &request->io);

    if (error == BH_AGAIN) {
        return false;
    }
    if (error != BH_OK) {
        single_done(request, error);
    }
    return true;
}

/* ---- segments ---- */

static void segment_io_set(const struct bh_blk *blk, struct bh_blk_request *request)
{
    const struct bh_blk_segment *segment = &request->segments[request->segment];
    struct bh_disk_io *io = &request->io;

    io->offset = segment->sector * BH_BLK_SECTOR;
    io->length = (uint64_t)segment->sector_count * BH_BLK_SECTOR;
    if (io->op == BH_DISK_OP_WRITE_ZEROES) {
        io->durable = bh_blk_is_durable(blk, bh_blk_allowed(blk));
        io->unmap =
            blk->geometry.write_zeroes_unmap && (segment->flags & BH_BLK_SEGMENT_UNMAP) != 0u;
    } else if (io->op == BH_DISK_OP_SECURE_ERASE) {
        /* What was reported as erased must not come back after a power loss. */
        io->durable = true;
    } else {
        /* Nothing follows from a discard: it need not be durable. */
    }
}

static void segments_end(struct bh_blk_request *request, int result)
{
    request->segment_count = 0;
    bh_blk_answer_result(request, result);
}

/* Offers one segment. BH_OK: it is done already; 1: the disk has it; another code: it failed, or
 * (BH_AGAIN) the disk has no room. */
static int segment_offer(struct bh_blk_request *request)
{
    const struct bh_blk *blk = request->blk;

    segment_io_set(blk, request);
    if (request->io.length == 0u) {
        return BH_OK;
    }
    /* The capacity may have shrunk since the request was checked. */
    if (!bh_blk_in_capacity(blk, request->segments[request->segment].sector, request->io.length)) {
        return BH_IO;
    }
    request->answered = false;
    request->submitting = true;

    int error = blk->disk_ops->submit(blk->disk, &request->io);

    request->submitting = false;
    if (error != BH_OK) {
        return error;
    }
    return request->answered ? request->result : 1;
}

/* Offers segments, one after another, as long as the disk answers at once. False: it has no room.
 */
static bool segments_offer(struct bh_blk_request *request)
{
    int result = BH_OK;

    while (result == BH_OK && request->segment < request->segment_count) {
        result = segment_offer(request);
        if (result == BH_OK) {
            request->segment++;
        }
    }
    if (result == BH_AGAIN) {
        return false;
    }
    if (result <= BH_OK) {
        segments_end(request, result);
    }
    return true;
}

/* ---- waiting ---- */

static void wait(struct bh_blk_request *request)
{
    struct bh_blk *blk = request->blk;

    request->next = NULL;
    *blk->waiting_last = request;
    blk->waiting_last = &request->next;
    blk->waiting_count++;
    blk->starved = true;
}

void bh_blk_not_taken(struct bh_blk_request *request, int error)
{
    if (error == BH_AGAIN) {
        wait(request);
    } else {
        single_done(request, error);
    }
}

void bh_blk_segments_offer(struct bh_blk_request *request)
{
    if (!segments_offer(request)) {
        wait(request);
    }
}

bool bh_blk_offer_waiting(struct bh_blk *blk)
{
    while (blk->waiting != NULL) {
        struct bh_blk_request *request = blk->waiting;
        bool taken;

        /* Off the list first: once the disk has it, it may be answered and used again. */
        blk->waiting = request->next;
        if (blk->waiting == NULL) {
            blk->waiting_last = &blk->waiting;
        }
        blk->waiting_count--;
        taken = request->segment_count == 0u ? single_offer(request) : segments_offer(request);
        if (!taken) {
            request->next = blk->waiting;
            if (blk->waiting == NULL) {
                blk->waiting_last = &request->next;
            }
            blk->waiting = request;
            blk->waiting_count++;
            return false;
        }
    }
    return true;
}

/* ---- completions ---- */

void bh_blk_done(struct bh_disk_io *io, int result)
{
    struct bh_blk_request *request = (struct bh_blk_request *)(void *)io;

    if (request->segment_count == 0u) {
        single_done(request, result);
    } else if (request->submitting) {
        request->answered = true;
        request->result = result;
    } else if (result != BH_OK) {
        segments_end(request, result);
    } else {
        request->segment++;
        bh_blk_segments_offer(request);
    }
}
