/* SPDX-License-Identifier: BSD-2-Clause */
/* A disk behind a vhost-user-blk back end; see vu_disk.h. */
#include "vu_disk.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define INDIRECT_MAX BH_DRIVER_BLK_ELEMENTS_MAX
#define PAGE         4096u

uint64_t vu_now_ns(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static int complain(const char *what, int error)
{
    (void)fprintf(stderr, "vu-blk: %s: %s\n", what, bh_error_name(error));
    return error;
}

static uint64_t pages(uint64_t bytes)
{
    return (bytes + PAGE - 1u) / PAGE * PAGE;
}

/* ---- opening ---- */

static int open_memory(struct vu_disk *disk)
{
    const struct vu_disk_options *o = &disk->options;
    uint64_t rings =
        bh_driver_queue_bytes(o->queue_size, o->indirect ? INDIRECT_MAX : 0, o->packed) *
            o->queues +
        sizeof(struct bh_driver_blk_shared) * o->requests + PAGE;
    int result = bh_host_memory_create(&disk->rings, "vu-blk-rings", pages(rings));
    if (result == BH_OK) {
        result =
            bh_host_memory_create(&disk->data, "vu-blk-data", pages(o->data_bytes) * o->requests);
    }
    if (result != BH_OK) {
        return complain("memory", result);
    }
    disk->shares[0] = (struct bh_vu_share){
        .guest_address = VU_DISK_RINGS, .size = disk->rings.size, .fd = disk->rings.fd};
    disk->shares[1] = (struct bh_vu_share){
        .guest_address = VU_DISK_DATA, .size = disk->data.size, .fd = disk->data.fd};
    bh_host_memory_dma(&disk->rings, VU_DISK_RINGS, &disk->dma);
    bh_host_memory_dma(&disk->data, VU_DISK_DATA, &disk->data_dma);
    return BH_OK;
}

static int open_arrays(struct vu_disk *disk)
{
    const struct vu_disk_options *o = &disk->options;
    disk->queues = calloc(o->queues, sizeof(*disk->queues));
    disk->slots = calloc((size_t)o->queues * o->queue_size, sizeof(*disk->slots));
    disk->driver_requests = calloc(o->requests, sizeof(*disk->driver_requests));
    disk->requests = calloc(o->requests, sizeof(*disk->requests));
    if (disk->queues == NULL || disk->slots == NULL || disk->driver_requests == NULL ||
        disk->requests == NULL) {
        return complain("memory", BH_NO_MEMORY);
    }
    return BH_OK;
}

static int open_frontend(struct vu_disk *disk)
{
    const struct vu_disk_options *o = &disk->options;
    const struct bh_vu_frontend_setup setup = {
        .channel = &bh_host_channel_ops,
        .context = &disk->channel,
        .shares = disk->shares,
        .share_count = 2,
        .device_id = BH_ID_BLK,
        .queue_count = 1,
        .queue_size_max = o->queue_size,
        .protocol_features = o->inflight
                                 ? BH_VU_FRONTEND_PROTOCOL
                                 : BH_VU_FRONTEND_PROTOCOL & ~BH_VU_PROTOCOL_F_INFLIGHT_SHMFD,
    };
    int result = bh_host_channel_connect(&disk->channel, o->socket, o->timeout_ms);
    if (result != BH_OK) {
        return complain(o->socket, result);
    }
    result = bh_vu_frontend_init(&disk->frontend, &setup);
    return result == BH_OK ? BH_OK : complain("protocol", result);
}

static int open_driver(struct vu_disk *disk)
{
    const struct vu_disk_options *o = &disk->options;
    const struct bh_driver_blk_setup setup = {
        .transport = &disk->frontend.transport,
        .dma = &disk->dma,
        .queues = disk->queues,
        .slots = disk->slots,
        .requests = disk->driver_requests,
        .request_count = o->requests,
        .queue_count = o->queues,
        .queue_size = o->queue_size,
        .indirect_max = o->indirect ? INDIRECT_MAX : 0,
        .features = BH_DRIVER_BLK_FEATURES | BH_F_VERSION_1 | BH_F_RING_RESET |
                    (o->packed ? BH_F_RING_PACKED : 0u) | (o->event_idx ? BH_F_EVENT_IDX : 0u) |
                    (o->in_order ? BH_F_IN_ORDER : 0u) | (o->indirect ? BH_F_INDIRECT_DESC : 0u),
    };
    int result = bh_driver_blk_init(&disk->blk, &setup);
    if (result != BH_OK) {
        return complain("device", result);
    }
    /* A variant that was asked for and not given would be tested in name only. */
    uint64_t asked = setup.features & (BH_F_RING_PACKED | BH_F_IN_ORDER | BH_F_INDIRECT_DESC);
    if ((asked & ~disk->blk.features) != 0u) {
        return complain("a ring feature that was asked for", BH_UNSUPPORTED);
    }
    if (disk->blk.queue_count != o->queues) {
        return complain("as many queues as were asked for", BH_UNSUPPORTED);
    }
    if (o->inflight && disk->frontend.inflight_fd < 0) {
        return complain("an in-flight region", BH_UNSUPPORTED);
    }
    return BH_OK;
}

static int open_requests(struct vu_disk *disk)
{
    for (uint16_t i = 0; i < disk->options.requests; i++) {
        struct vu_request *request = &disk->requests[i];
        request->disk = disk;
        request->request = bh_driver_blk_take(&disk->blk);
        request->data = bh_dma_take(&disk->data_dma, (size_t)pages(disk->options.data_bytes), PAGE);
        if (request->data == NULL) {
            return complain("data buffers", BH_NO_MEMORY);
        }
        request->address = bh_dma_address(&disk->data_dma, request->data);
        request->queue = i % disk->options.queues;
    }
    return BH_OK;
}

int vu_disk_open(struct vu_disk *disk, const struct vu_disk_options *options)
{
    memset(disk, 0, sizeof(*disk));
    disk->options = *options;
    disk->channel.fd = -1;
    disk->channel.backend_fd = -1;
    disk->rings.fd = -1;
    disk->data.fd = -1;
    int result = open_memory(disk);
    if (result == BH_OK) {
        result = open_arrays(disk);
    }
    if (result == BH_OK) {
        result = open_frontend(disk);
    }
    if (result == BH_OK) {
        result = open_driver(disk);
    }
    if (result == BH_OK) {
        result = open_requests(disk);
    }
    if (result != BH_OK) {
        vu_disk_close(disk);
    }
    return result;
}

void vu_disk_close(struct vu_disk *disk)
{
    if (disk->frontend.channel != NULL) {
        /* An orderly end: the device is reset, what it says to that is of no interest any more. */
        (void)disk->frontend.transport.ops->status_set(&disk->frontend.transport, 0);
        bh_vu_frontend_finish(&disk->frontend);
    }
    bh_host_channel_close(&disk->channel);
    bh_host_memory_destroy(&disk->rings);
    bh_host_memory_destroy(&disk->data);
    free(disk->queues);
    free(disk->slots);
    free(disk->driver_requests);
    free(disk->requests);
    memset(disk, 0, sizeof(*disk));
    disk->channel.fd = -1;
    disk->channel.backend_fd = -1;
    disk->rings.fd = -1;
    disk->data.fd = -1;
}

/* ---- operations ---- */

static void finished(struct bh_driver_blk_request *driver_request, int result)
{
    struct vu_request *request = driver_request->context;
    request->busy = false;
    request->result = result;
    request->disk->in_flight--;
    request->disk->finished++;
    if (request->done != NULL) {
        request->done(request);
    }
}

/* Cuts the data of a request into pieces of odd sizes. */
static uint16_t cut(const struct vu_request *request, uint16_t pieces, struct bh_buffer *elements)
{
    uint32_t at = 0;
    uint16_t count = 0;
    while (count + 1u < pieces && request->bytes - at > 1u) {
        uint32_t length = (request->bytes - at) / (uint32_t)(pieces - count);
        length = length > 64u ? length - (length + at / 3u) % 61u : 1u;
        elements[count] = (struct bh_buffer){request->address + at, length};
        at += length;
        count++;
    }
    elements[count] = (struct bh_buffer){request->address + at, request->bytes - at};
    return (uint16_t)(count + 1u);
}

static int submit(struct vu_disk *disk, struct vu_request *request, uint32_t type, uint16_t pieces)
{
    struct bh_buffer elements[BH_DRIVER_BLK_ELEMENTS_MAX];
    struct bh_driver_blk *blk = &disk->blk;
    struct bh_blk_segment segment = {.sector = request->sector,
                                     .sector_count = request->bytes / BH_BLK_SECTOR,
                                     .flags = request->tag};
    switch (type) {
    case BH_BLK_T_IN:
        return bh_driver_blk_read(blk, request->queue, request->request, request->sector, elements,
                                  cut(request, pieces, elements));
    case BH_BLK_T_OUT:
        return bh_driver_blk_write(blk, request->queue, request->request, request->sector, elements,
                                   cut(request, pieces, elements));
    case BH_BLK_T_FLUSH:
        return bh_driver_blk_flush(blk, request->queue, request->request);
    case BH_BLK_T_GET_ID:
    case BH_BLK_T_GET_LIFETIME:
        elements[0] = (struct bh_buffer){request->address, request->bytes};
        return bh_driver_blk_query(blk, request->queue, request->request, type, elements);
    default:
        return bh_driver_blk_segments(blk, request->queue, request->request, type, &segment, 1);
    }
}

int vu_disk_start(struct vu_disk *disk, struct vu_request *request, uint32_t type, uint16_t pieces)
{
    request->request->context = request;
    request->request->done = finished;
    int result = submit(disk, request, type, pieces);
    if (result == BH_OK) {
        request->busy = true;
        disk->in_flight++;
    }
    return result;
}

int vu_disk_kick(struct vu_disk *disk)
{
    int result = BH_OK;
    for (uint16_t i = 0; i < disk->blk.queue_count && result == BH_OK; i++) {
        result = bh_driver_blk_publish(&disk->blk, i);
    }
    return result;
}

/* How many finished, or an error. */
static int poll_queues(struct vu_disk *disk)
{
    int count = 0;
    for (uint16_t i = 0; i < disk->blk.queue_count; i++) {
        int result = bh_driver_blk_poll(&disk->blk, i);
        if (result < 0) {
            return complain("ring", result);
        }
        count += result;
    }
    return count;
}

/* Arms all queues; whether something is there already. */
static bool arm(struct vu_disk *disk, bool enable)
{
    bool waiting = false;
    for (uint16_t i = 0; i < disk->blk.queue_count; i++) {
        waiting = bh_driver_queue_notify_enable(&disk->queues[i], enable) || waiting;
    }
    return waiting;
}

/* One try to go on with whoever listens now. What the last back end used is collected first: the bases
 * are behind it. */
static int resume_once(struct vu_disk *disk)
{
    uint32_t bases[BH_VU_FRONTEND_QUEUES_MAX];
    int count = poll_queues(disk);
    if (count < 0) {
        return count;
    }
    for (uint16_t i = 0; i < disk->frontend.queue_count; i++) {
        bases[i] = i < disk->blk.queue_count ? bh_driver_queue_base(&disk->queues[i]) : 0;
    }
    bh_host_channel_close(&disk->channel);
    int result =
        bh_host_channel_connect(&disk->channel, disk->options.socket, disk->options.timeout_ms);
    return result == BH_OK ? bh_vu_frontend_resume(&disk->frontend, bases) : result;
}

/* The back end died: waits for the next one, which may die as well before it is told everything. */
static int resume(struct vu_disk *disk)
{
    const struct timespec pause = {.tv_nsec = 10000000};
    uint64_t deadline = vu_now_ns() + (uint64_t)disk->options.timeout_ms * 1000000u;
    int result = BH_GONE;
    if (!disk->options.reconnect) {
        /* What it answered before it went is an answer. */
        int count = poll_queues(disk);
        if (count == 0) {
            return complain("back end", BH_GONE);
        }
        return count > 0 ? BH_OK : count;
    }
    while (result == BH_GONE && vu_now_ns() < deadline) {
        (void)nanosleep(&pause, NULL);
        result = resume_once(disk);
    }
    disk->resumes++;
    return result == BH_OK ? BH_OK : complain("resume", result);
}

/* Waits for an event; notifications are on. */
static int wait_for_event(struct vu_disk *disk)
{
    int32_t events[2u * BH_VU_FRONTEND_QUEUES_MAX];
    uint32_t pending = 0;
    uint8_t status = 0;
    uint32_t count = 0;
    for (uint16_t i = 0; i < disk->blk.queue_count; i++) {
        events[count++] = disk->frontend.queues[i].call;
        events[count++] = disk->frontend.queues[i].error;
    }
    int result = bh_host_channel_wait(&disk->channel, events, count, disk->options.timeout_ms);
    if (result == BH_GONE) {
        return resume(disk);
    }
    if (result != BH_OK) {
        return complain("waiting for a completion", result);
    }
    struct bh_transport *transport = &disk->frontend.transport;
    result = transport->ops->interrupts(transport, &pending);
    if (result == BH_OK && disk->frontend.failed) {
        result = transport->ops->status_get(transport, &status);
        return complain("the device stopped a queue", result == BH_OK ? BH_STATE : result);
    }
    return result;
}

/* Sleeps until something may have happened. */
static int sleep_until_called(struct vu_disk *disk)
{
    int result = arm(disk, true) ? BH_OK : wait_for_event(disk);
    (void)arm(disk, false);
    return result;
}

static int spin(uint64_t deadline)
{
    return vu_now_ns() <= deadline ? BH_OK : complain("polling for a completion", BH_TIMEOUT);
}

int vu_disk_wait(struct vu_disk *disk)
{
    const uint64_t finished_before = disk->finished;
    const uint64_t deadline = vu_now_ns() + (uint64_t)disk->options.timeout_ms * 1000000u;
    int result = poll_queues(disk);
    /* Resuming collects, too: what counts is how many finished since the beginning. */
    while (result >= 0 && disk->in_flight != 0u && disk->finished == finished_before) {
        result = disk->options.poll ? spin(deadline) : sleep_until_called(disk);
        if (result == BH_OK) {
            result = poll_queues(disk);
        }
    }
    return result >= 0 ? BH_OK : result;
}

int vu_disk_run(struct vu_disk *disk, struct vu_request *request, uint32_t type)
{
    int result = vu_disk_start(disk, request, type, 1);
    if (result == BH_OK) {
        result = vu_disk_kick(disk);
    }
    while (result == BH_OK && request->busy) {
        result = vu_disk_wait(disk);
    }
    return result == BH_OK ? request->result : result;
}
