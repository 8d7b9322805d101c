/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The block device (VIRTIO 1.4, 5.2): takes requests from queues, and goes on when something they
 * need was used up. What a request must look like: blk_request.c; its way to the disk and back:
 * blk_disk.c; features and configuration space: blk_config.c.
 *
 * The life of a request:
 *   free      in blk->free.
 *             popped from a ring -> checked
 *   checked   its header and limits are looked at.
 *             refused -> answered; else it is offered to the disk -> at disk or waiting
 *   at disk   the disk owns `io`.
 *             bh_blk_done -> answered, or (discard and its kin) the next segment is offered
 *   waiting   the disk had no room: in blk->waiting.
 *             a commit offers it again -> at disk
 *   answered  status byte written, chain pushed.
 *             at once -> free
 *
 * Starving: without a free request, memory for a chain, or room at the disk, serving ends and
 * `starved` is set. The next commit (a batch of completions ends in one) goes on. Until then the
 * driver is not asked for notifications: it has nothing to tell.
 */
#include "blk_internal.h"

/* Begins to serve a popped request. Header and status have descriptors of their own in what every
 * driver sends; nothing needs cutting then. */
static inline void begin(struct bh_blk *blk, struct bh_blk_request *request)
{
    struct bh_chain *chain = &request->chain;
    struct bh_span *spans = chain->spans;
    const uint32_t readable = chain->readable_count;
    const uint32_t writable = chain->writable_count;
    const uint32_t last = readable + writable - 1u;
    uint32_t type;
    uint64_t sector;

    if (readable == 0u || writable == 0u || spans[0].length != sizeof(struct bh_blk_header) ||
        spans[last].length != 1u) {
        bh_blk_begin_any(blk, request);
        return;
    }

    const uint8_t *header = spans[0].base;
    struct bh_blk_payload data = {.spans = &spans[1], .count = last - 1u, .bytes = 0};

    request->status = spans[last].base;
    request->written = chain->writable_bytes;
    bh_copy_once(&type, header + offsetof(struct bh_blk_header, type), sizeof(type));
    bh_copy_once(&sector, header + offsetof(struct bh_blk_header, sector), sizeof(sector));
    type = BH_LE32(type);
    sector = BH_LE64(sector);
    if (type == BH_BLK_T_IN && readable == 1u) {
        data.bytes = chain->writable_bytes - 1u;
        bh_blk_transfer(blk, request, BH_DISK_OP_READ, sector, data);
    } else if (type == BH_BLK_T_OUT && writable == 1u) {
        data.bytes = chain->readable_bytes - (uint32_t)sizeof(struct bh_blk_header);
        bh_blk_transfer(blk, request, BH_DISK_OP_WRITE, sector, data);
    } else {
        (void)bh_chain_cut_status(chain, &request->status);
        (void)bh_chain_cut_header(chain, (uint32_t)sizeof(struct bh_blk_header));
        bh_blk_dispatch(blk, request, type, sector);
    }
}

/* Takes at most *left chains. 0: the ring is empty; 1: that many were taken; BH_AGAIN: starved;
 * another code: a violation. */
static int take(struct bh_blk *blk, struct bh_queue *queue, uint32_t *left)
{
    while (*left != 0u) {
        struct bh_blk_request *request = blk->free;
        /* What waits for the disk comes before what waits in the ring. */
        int got = request != NULL && blk->waiting == NULL ? bh_queue_pop(queue, &request->chain)
                                                          : BH_AGAIN;

        if (got <= 0) {
            return got;
        }
        (*left)--;
        blk->free = request->next;
        request->queue = queue;
        begin(blk, request);
    }
    return 1;
}

/* Whether no operation is at the disk, so that no completion will come. */
static bool is_quiet(const struct bh_blk *blk)
{
    const struct bh_device *device = blk->device;
    uint32_t in_flight = 0;

    for (uint16_t i = 0; i < device->queue_count; i++) {
        in_flight += device->queues[i].in_flight;
    }
    return in_flight == blk->waiting_count;
}

static enum bh_served blk_serve(struct bh_device *device, struct bh_queue *queue)
{
    struct bh_blk *blk = device->class_data;
    uint32_t left = queue->size;

    /* VIRTIO 1.4, 5.2.2: without MQ there is one queue. */
    if (queue->index != 0u && (device->features & BH_BLK_F_MQ) == 0u) {
        return BH_SERVED_ENOUGH;
    }

    int got = take(blk, queue, &left);

    if (got == BH_AGAIN) {
        blk->starved = true;
        return is_quiet(blk) ? BH_SERVED_MORE : BH_SERVED_ENOUGH;
    }
    return got > 0 ? BH_SERVED_MORE : BH_SERVED;
}

/* Goes on after starving: what waits for the disk first, then the queues, each time another one
 * first. */
static void go_on(struct bh_blk *blk)
{
    struct bh_device *device = blk->device;

    uint16_t left = device->queue_count;

    blk->starved = !bh_blk_offer_waiting(blk);
    while (left > 0u && !blk->starved) {
        /* More than a ring's worth cannot be there: used chains are not published yet. */
        if (bh_device_kick(device, blk->turn)) {
            blk->starved = true;
        }
        left--;
        blk->turn++;
        if (blk->turn >= device->queue_count) {
            blk->turn = 0;
        }
    }
}

static void blk_commit(struct bh_device *device)
{
    struct bh_blk *blk = device->class_data;

    if (blk->starved) {
        go_on(blk);
    }
    blk->disk_ops->commit(blk->disk);
}

/* All requests came back before. The cache mode stays (blk_config.c). */
static void blk_reset(struct bh_device *device)
{
    struct bh_blk *blk = device->class_data;

    blk->starved = false;
    blk->flush_failed = false;
}

void bh_blk_requests_init(struct bh_blk *blk, struct bh_blk_request *requests, uint32_t count)
{
    bh_fill(requests, 0, count * sizeof(requests[0]));
    for (uint32_t i = count; i > 0u; i--) {
        requests[i - 1u].blk = blk;
        requests[i - 1u].next = blk->free;
        blk->free = &requests[i - 1u];
    }
    blk->waiting_last = &blk->waiting;
}

const struct bh_device_class bh_blk_class = {
    .name = "blk",
    .id = BH_ID_BLK,
    .features = bh_blk_features,
    .features_fit = NULL,
    .features_set = bh_blk_features_set,
    .config_size = bh_blk_config_size,
    .config_read = bh_blk_config_read,
    .config_write = bh_blk_config_write,
    .started = bh_blk_started,
    .serve = blk_serve,
    .commit = blk_commit,
    .reset = blk_reset,
};
