/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Drives a block device with a null disk through N reads of 4 KiB, all in one process and one
 * thread, so that the instructions of the device's side can be counted (bench/instructions.sh) and
 * come out the same each time. Not a benchmark of time: driver and device take turns.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bulkhead/blk.h"
#include "bulkhead/driver_blk.h"
#include "bulkhead/host_disk.h"
#include "bulkhead/mmio.h"

#define QUEUE_SIZE  256u
#define SEG_MAX     126u
#define BLOCKS      8u
#define BLOCK_BYTES 4096u
#define GUEST_BASE  0x40000000u
#define GUEST_SIZE  (4u << 20)
#define DISK_SIZE   (UINT64_C(1) << 30)
#define DEPTH_MAX   128u
#define TRANSPORT   (BH_F_VERSION_1 | BH_F_EVENT_IDX | BH_F_INDIRECT_DESC)

static struct {
    /* device */
    struct bh_region region;
    struct bh_memory memory;
    struct bh_device device;
    struct bh_queue queue;
    struct bh_order_slot order[QUEUE_SIZE];
    uint8_t busy[QUEUE_SIZE];
    struct bh_span_pool pool;
    struct bh_span spans[BLOCKS * (SEG_MAX + 2u)];
    uint16_t free_blocks[BLOCKS];
    struct bh_blk blk;
    struct bh_blk_request requests[QUEUE_SIZE];
    struct bh_mmio mmio;
    struct bh_mmio_queue mmio_queue;
    /* driver */
    struct bh_mmio_transport transport;
    struct bh_dma dma;
    struct bh_driver_queue driver_queue;
    struct bh_driver_slot slots[QUEUE_SIZE];
    struct bh_driver_blk driver;
    struct bh_driver_blk_request driver_requests[DEPTH_MAX];
    struct bh_buffer buffers[DEPTH_MAX];
    uint32_t finished;
    int failed;
} all;

static uint32_t bus_read(void *context, uint32_t offset, uint32_t size)
{
    (void)context;
    return (uint32_t)bh_mmio_read(&all.mmio, offset, size);
}

static void bus_write(void *context, uint32_t offset, uint32_t value, uint32_t size)
{
    (void)context;
    (void)bh_mmio_write(&all.mmio, offset, value, size);
}

static void interrupt(void *context, bool level)
{
    (void)context;
    (void)level;
}

static void work(void *context)
{
    (void)context;
}

static const struct bh_mmio_ops mmio_ops = {.interrupt = interrupt, .work = work};

static int make_device(uint8_t *guest)
{
    struct bh_blk_geometry geometry = {.seg_max = SEG_MAX};
    struct bh_device_setup setup = {
        .class = &bh_blk_class,
        .class_data = &all.blk,
        .memory = &all.memory,
        .queues = &all.queue,
        .queue_count = 1,
        .feature_mask = UINT64_MAX,
    };

    all.region =
        (struct bh_region){GUEST_BASE, GUEST_SIZE, guest, BH_ACCESS_READ | BH_ACCESS_WRITE};
    all.memory = (struct bh_memory){.regions = &all.region, .region_count = 1};
    bh_span_pool_init(&all.pool, all.spans, all.free_blocks, BLOCKS, SEG_MAX + 2u);
    bh_queue_init(&all.queue, 0, QUEUE_SIZE, all.order, all.busy, &all.pool);
    bh_disk_null_geometry(DISK_SIZE, &geometry);

    const struct bh_blk_setup blk_setup = {
        .device = &all.device,
        .geometry = &geometry,
        .ops = &bh_disk_null_ops,
        .requests = all.requests,
        .request_count = QUEUE_SIZE,
    };
    int error = bh_blk_init(&all.blk, &blk_setup);

    if (error == BH_OK) {
        bh_device_init(&all.device, &setup);
        bh_mmio_init(&all.mmio, &all.device, BH_MMIO_FEATURES, &all.mmio_queue, &mmio_ops, NULL);
    }
    return error;
}

static int make_driver(uint8_t *guest, bool packed)
{
    struct bh_mmio_bus bus = {.read = bus_read, .write = bus_write};
    struct bh_driver_blk_setup setup = {
        .transport = &all.transport.transport,
        .dma = &all.dma,
        .queues = &all.driver_queue,
        .slots = all.slots,
        .requests = all.driver_requests,
        .request_count = DEPTH_MAX,
        .queue_count = 1,
        .queue_size = QUEUE_SIZE,
        .indirect_max = 0,
        .features = TRANSPORT | (packed ? BH_F_RING_PACKED : 0u),
    };
    int error = bh_mmio_transport_init(&all.transport, &bus);

    all.dma = (struct bh_dma){.base = guest, .address = GUEST_BASE, .size = GUEST_SIZE};
    if (error == BH_OK) {
        error = bh_driver_blk_init(&all.driver, &setup);
    }
    for (uint32_t i = 0; error == BH_OK && i < DEPTH_MAX; i++) {
        void *block = bh_dma_take(&all.dma, BLOCK_BYTES, BLOCK_BYTES);

        if (block == NULL) {
            return BH_NO_MEMORY;
        }
        all.buffers[i] = (struct bh_buffer){bh_dma_address(&all.dma, block), BLOCK_BYTES};
    }
    return error;
}

static void done(struct bh_driver_blk_request *request, int result)
{
    all.finished++;
    if (result != BH_OK) {
        all.failed = result;
    }
    bh_driver_blk_give(&all.driver, request);
}

/* One batch: `depth` reads, shown to the device together. */
static int batch(uint32_t depth, uint64_t sector)
{
    for (uint32_t i = 0; i < depth; i++) {
        struct bh_driver_blk_request *request = bh_driver_blk_take(&all.driver);

        if (request == NULL) {
            return BH_LIMIT;
        }
        request->done = done;

        int error = bh_driver_blk_read(&all.driver, 0, request, sector + 8u * (uint64_t)i,
                                       &all.buffers[i], 1);

        if (error != BH_OK) {
            return error;
        }
    }

    int error = bh_driver_blk_publish(&all.driver, 0);
    int got = error == BH_OK ? bh_driver_blk_poll(&all.driver, 0) : error;

    return got < 0 ? got : all.failed;
}

int main(int argc, char **argv)
{
    uint32_t count = argc > 1 ? (uint32_t)strtoul(argv[1], NULL, 10) : 0u;
    uint32_t depth = argc > 2 ? (uint32_t)strtoul(argv[2], NULL, 10) : 0u;
    bool packed = argc > 3 && strcmp(argv[3], "packed") == 0;
    int error = BH_OK;

    if (count == 0u || depth == 0u || depth > DEPTH_MAX || argc != 4) {
        (void)fprintf(stderr, "usage: null-read COUNT DEPTH split|packed   (depth 1..%u)\n",
                      DEPTH_MAX);
        return 2;
    }

    uint8_t *guest = aligned_alloc(BLOCK_BYTES, GUEST_SIZE);

    if (guest == NULL) {
        return 1;
    }
    error = make_device(guest);
    if (error == BH_OK) {
        error = make_driver(guest, packed);
    }
    for (uint32_t i = 0; error == BH_OK && i < count; i += depth) {
        error = batch(depth, (uint64_t)(i % 65536u) * 8u);
    }
    if (error == BH_OK && all.finished < count) {
        error = BH_TIMEOUT;
    }
    if (error != BH_OK) {
        (void)fprintf(stderr, "null-read: %s after %u reads\n", bh_error_name(error), all.finished);
    }
    free(guest);
    return error == BH_OK ? 0 : 1;
}
