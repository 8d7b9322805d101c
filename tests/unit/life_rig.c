/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A whole device life in one process: see life_rig.h.
 */
#include "life_rig.h"

#include <stdlib.h>
#include <string.h>

/* ---- the hypervisor ---- */

static void hv_interrupt(void *context, bool level)
{
    struct life *life = context;

    life->level = level;
}

static void hv_work(void *context)
{
    (void)context; /* life_run serves in any case */
}

static void hv_retry(void *context)
{
    struct life *life = context;

    life->retry = true;
}

static const struct bh_mmio_ops hypervisor = {
    .interrupt = hv_interrupt,
    .work = hv_work,
    .retry = hv_retry,
};

static uint32_t bus_read(void *context, uint32_t offset, uint32_t size)
{
    struct life *life = context;

    return (uint32_t)bh_mmio_read(&life->mmio, offset, size);
}

static void bus_write(void *context, uint32_t offset, uint32_t value, uint32_t size)
{
    struct life *life = context;

    while (bh_mmio_write(&life->mmio, offset, value, size) == BH_AGAIN) {
        assert_true(life->disk.held_count != 0);
        life->holds++;
        fake_disk_finish(&life->disk, life->disk.held_count - 1);
        bh_device_flush(&life->device);
    }
}

/* ---- making ---- */

static void make_device(struct life *life)
{
    const struct bh_blk_geometry geometry = {
        .capacity = LIFE_SECTORS * 512u,
        .block_size = 512,
        .physical_block_size = 512,
        .seg_max = LIFE_SEG_MAX,
        .discard_max = 64u * 512u,
        .discard_alignment = 512,
        .write_zeroes_max = 64u * 512u,
        .secure_erase_max = 64u * 512u,
        .secure_erase_alignment = 512,
        .lifetime = true,
        .id = "a life",
    };
    const struct bh_device_setup setup = {
        .class = &bh_blk_class,
        .class_data = &life->blk,
        .memory = &life->memory,
        .queues = life->queues,
        .queue_count = LIFE_QUEUES,
        .feature_mask = UINT64_MAX,
    };

    life->region = (struct bh_region){LIFE_BASE, LIFE_SIZE, life->memory_base,
                                      BH_ACCESS_READ | BH_ACCESS_WRITE};
    life->memory = (struct bh_memory){.regions = &life->region, .region_count = 1};
    bh_span_pool_init(&life->pool, life->spans, life->free_blocks, LIFE_BLOCKS, LIFE_SEG_MAX + 2);
    for (uint16_t i = 0; i < LIFE_QUEUES; i++) {
        bh_queue_init(&life->queues[i], i, LIFE_RING, life->order[i], life->busy[i], &life->pool);
    }
    fake_disk_init(&life->disk, geometry.capacity);
    const struct bh_blk_setup blk_setup = {
        .device = &life->device,
        .geometry = &geometry,
        .ops = &fake_disk_ops,
        .disk = &life->disk,
        .requests = life->model_requests,
        .request_count = LIFE_MODEL,
    };
    assert_int_equal(bh_blk_init(&life->blk, &blk_setup), BH_OK);
    bh_device_init(&life->device, &setup);
    bh_mmio_init(&life->mmio, &life->device, BH_MMIO_FEATURES, life->registers, &hypervisor, life);
}

void life_init(struct life *life, uint64_t transport_features)
{
    memset(life, 0, sizeof(*life));
    life->memory_base = aligned_alloc(4096, LIFE_SIZE);
    assert_non_null(life->memory_base);
    life->transport_features = transport_features;
    make_device(life);
}

void life_finish(struct life *life)
{
    fake_disk_free(&life->disk);
    free(life->memory_base);
}

int life_probe(struct life *life)
{
    const struct bh_mmio_bus bus = {.read = bus_read, .write = bus_write, .context = life};
    const struct bh_driver_blk_setup setup = {
        .transport = &life->transport.transport,
        .dma = &life->dma,
        .queues = life->driver_queues,
        .slots = life->slots,
        .requests = life->requests,
        .request_count = LIFE_REQUESTS,
        .queue_count = LIFE_QUEUES,
        .queue_size = LIFE_RING,
        .indirect_max = (life->transport_features & BH_F_INDIRECT_DESC) != 0 ? 12 : 0,
        .features = life->transport_features | LIFE_CLASS,
    };
    int error = bh_mmio_transport_init(&life->transport, &bus);

    memset(life->driver_queues, 0, sizeof(life->driver_queues));
    memset(life->slots, 0, sizeof(life->slots));
    memset(life->requests, 0, sizeof(life->requests));
    life->dma = (struct bh_dma){.base = life->memory_base, .address = LIFE_BASE, .size = LIFE_SIZE};
    return error == BH_OK ? bh_driver_blk_init(&life->driver, &setup) : error;
}

/* ---- requests ---- */

static void done(struct bh_driver_blk_request *request, int result)
{
    struct life *life = request->context;

    life->done++;
    life->result = result;
    bh_driver_blk_give(&life->driver, request);
}

struct bh_driver_blk_request *life_request(struct life *life)
{
    struct bh_driver_blk_request *request = bh_driver_blk_take(&life->driver);

    assert_non_null(request);
    request->done = done;
    request->context = life;
    return request;
}

void *life_take(struct life *life, uint32_t size)
{
    void *at = bh_dma_take(&life->dma, size, 512);

    assert_non_null(at);
    return at;
}

struct bh_buffer life_buffer(struct life *life, const void *at, uint32_t length)
{
    assert_true(bh_dma_holds(&life->dma, at, length));
    return (struct bh_buffer){bh_dma_address(&life->dma, at), length};
}

void life_run(struct life *life, uint16_t queue, uint32_t count)
{
    uint32_t goal = life->done + count;
    uint32_t pending = 0;

    assert_int_equal(bh_driver_blk_publish(&life->driver, queue), BH_OK);
    for (uint32_t turns = 0; life->done < goal; turns++) {
        assert_true(turns < 1000);
        fake_disk_finish_all(&life->disk);
        bh_device_flush(&life->device);
        (void)bh_mmio_serve(&life->mmio);
        if (life->level) {
            assert_int_equal(
                life->transport.transport.ops->interrupts(&life->transport.transport, &pending),
                BH_OK);
            assert_true(pending != 0);
        }
        assert_true(bh_driver_blk_poll(&life->driver, queue) >= 0);
    }
    assert_int_equal(life->done, goal);
}

static int run_one(struct life *life, uint16_t queue, int error)
{
    if (error != BH_OK) {
        return error;
    }
    life_run(life, queue, 1);
    return life->result;
}

int life_read(struct life *life, uint16_t queue, uint64_t sector, void *to, uint32_t length)
{
    struct bh_buffer data = life_buffer(life, to, length);

    return run_one(life, queue,
                   bh_driver_blk_read(&life->driver, queue, life_request(life), sector, &data, 1));
}

int life_write(struct life *life, uint16_t queue, uint64_t sector, const void *from,
               uint32_t length)
{
    struct bh_buffer data = life_buffer(life, from, length);

    return run_one(life, queue,
                   bh_driver_blk_write(&life->driver, queue, life_request(life), sector, &data, 1));
}

int life_flush(struct life *life, uint16_t queue)
{
    return run_one(life, queue, bh_driver_blk_flush(&life->driver, queue, life_request(life)));
}

int life_segments(struct life *life, uint32_t type, uint64_t sector, uint32_t count)
{
    const struct bh_blk_segment segment = {sector, count, 0};

    return run_one(life, 0,
                   bh_driver_blk_segments(&life->driver, 0, life_request(life), type, &segment, 1));
}

int life_query(struct life *life, uint32_t type, void *to, uint32_t length)
{
    struct bh_buffer data = life_buffer(life, to, length);

    return run_one(life, 0, bh_driver_blk_query(&life->driver, 0, life_request(life), type, &data));
}
