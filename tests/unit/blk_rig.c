/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The block device on the bench: see blk_rig.h.
 */
#include "blk_rig.h"

#include <stdlib.h>
#include <string.h>

static void port_notify(struct bh_device *device, uint16_t queue)
{
    struct blk_rig *rig = device->port_data;

    rig->notified[queue]++;
}

static void port_config_changed(struct bh_device *device)
{
    struct blk_rig *rig = device->port_data;

    rig->config_changes++;
}

static void port_failed(struct bh_device *device, uint16_t queue)
{
    struct blk_rig *rig = device->port_data;

    (void)queue;
    rig->failures++;
}

static void port_idle(struct bh_device *device, uint16_t queue)
{
    struct blk_rig *rig = device->port_data;

    (void)queue;
    rig->idles++;
}

static const struct bh_port_ops port_ops = {
    .notify = port_notify,
    .config_changed = port_config_changed,
    .failed = port_failed,
    .idle = port_idle,
};

struct bh_blk_geometry rig_geometry(void)
{
    return (struct bh_blk_geometry){
        .capacity = RIG_SECTORS * 512u,
        .block_size = 512,
        .physical_block_size = 4096,
        .optimal_io_size = 8192,
        .seg_max = RIG_SEG_MAX,
        .discard_max = 32u * 512u,
        .discard_alignment = 4096,
        .write_zeroes_max = 16u * 512u,
        .write_zeroes_unmap = true,
        .secure_erase_max = 8u * 512u,
        .secure_erase_alignment = 512,
        .lifetime = true,
        .id = "bench disk",
    };
}

/* Rings of queue 1 lie behind those of queue 0. */
static void other_init(struct blk_rig *rig)
{
    rig->other = rig->guest;
    rig->other.setup.descriptor += 0x1000u;
    rig->other.setup.driver += 0x800u;
    rig->other.setup.device += 0x800u;
}

static void ring_forget(struct guest *guest)
{
    guest->avail = 0;
    guest->avail_wrap = true;
    guest->used = 0;
    guest->used_wrap = true;
}

void rig_negotiate(struct blk_rig *rig, uint64_t features)
{
    struct guest *guests[2] = {&rig->guest, &rig->other};

    assert_int_equal(bh_device_features_set(&rig->device, features | rig->guest.setup.features),
                     BH_OK);
    memset(rig->guest.low, 0, GUEST_LOW_SIZE);
    for (uint16_t i = 0; i < 2 && i < rig->device.queue_count; i++) {
        ring_forget(guests[i]);
        assert_int_equal(bh_device_queue_start(&rig->device, i, &guests[i]->setup), BH_OK);
        guests[i]->setup.features = rig->guest.setup.features & BH_F_TRANSPORT_MASK;
    }
}

static void refused(void *context, uint32_t operation)
{
    struct blk_rig *rig = context;

    rig->refused++;
    rig->refused_last = operation;
}

void rig_init_model(struct blk_rig *rig, uint32_t withheld)
{
    const struct bh_blk_setup setup = {
        .device = &rig->device,
        .geometry = &rig->geometry,
        .ops = &fake_disk_ops,
        .disk = &rig->disk,
        .requests = rig->requests,
        .request_count = RIG_REQUESTS,
        .withheld = withheld,
        .filter = &rig->filter,
        .refused = refused,
        .context = rig,
    };

    bh_filter_bind(&rig->filter, &rig->page);
    assert_int_equal(bh_blk_init(&rig->blk, &setup), BH_OK);
}

void rig_init(struct blk_rig *rig, bool packed, const struct bh_blk_geometry *geometry,
              uint16_t queue_count, uint64_t features)
{
    struct bh_device_setup setup = {
        .class = &bh_blk_class,
        .class_data = &rig->blk,
        .memory = &rig->guest.memory,
        .queues = rig->queues,
        .queue_count = queue_count,
        .feature_mask = UINT64_MAX,
    };

    memset(rig, 0, sizeof(*rig));
    guest_init(&rig->guest, packed, RIG_QUEUE, features & BH_F_TRANSPORT_MASK);
    other_init(rig);
    fake_disk_init(&rig->disk, geometry->capacity);
    rig->geometry = *geometry;
    rig->page = (struct bh_filter_page){.magic = BH_FILTER_MAGIC, .operations = UINT32_MAX};
    for (uint16_t i = 0; i < 2; i++) {
        bh_queue_init(&rig->queues[i], i, RIG_QUEUE, rig->order[i], rig->busy[i], &rig->guest.pool);
    }
    rig_init_model(rig, 0);
    bh_device_init(&rig->device, &setup);
    bh_device_bind(&rig->device, &port_ops, rig, BH_F_TRANSPORT_MASK);
    rig_negotiate(rig, features & ~BH_F_TRANSPORT_MASK);
}

void rig_finish(struct blk_rig *rig)
{
    fake_disk_free(&rig->disk);
    guest_finish(&rig->guest);
}

static int setup(void **state, bool packed)
{
    struct blk_rig *rig = malloc(sizeof(*rig));
    struct bh_blk_geometry geometry = rig_geometry();

    if (rig == NULL) {
        return -1;
    }
    rig_init(rig, packed, &geometry, 1, RIG_FEATURES);
    *state = rig;
    return 0;
}

int rig_setup_split(void **state)
{
    return setup(state, false);
}

int rig_setup_packed(void **state)
{
    return setup(state, true);
}

int rig_teardown(void **state)
{
    rig_finish(*state);
    free(*state);
    return 0;
}

void rig_header(struct blk_rig *rig, uint16_t head, uint32_t type, uint64_t sector)
{
    guest_put32(&rig->guest, RIG_HEADER(head), type);
    guest_put32(&rig->guest, RIG_HEADER(head) + 4, 0);
    guest_put64(&rig->guest, RIG_HEADER(head) + 8, sector);
    *guest_at(&rig->guest, RIG_STATUS(head)) = 0xee;
}

void rig_offer(struct blk_rig *rig, uint16_t head, uint32_t type, uint64_t sector, uint64_t data,
               uint32_t length, uint16_t flags)
{
    const struct guest_buffer with[] = {
        {RIG_HEADER(head), 16, R}, {data, length, flags}, {RIG_STATUS(head), 1, W}};
    const struct guest_buffer without[] = {{RIG_HEADER(head), 16, R}, {RIG_STATUS(head), 1, W}};

    rig_header(rig, head, type, sector);
    if (length != 0) {
        guest_offer(&rig->guest, with, 3, head);
    } else {
        guest_offer(&rig->guest, without, 2, head);
    }
}

void rig_segment(struct blk_rig *rig, uint64_t at, uint64_t sector, uint32_t count, uint32_t flags)
{
    guest_put64(&rig->guest, at, sector);
    guest_put32(&rig->guest, at + 8, count);
    guest_put32(&rig->guest, at + 12, flags);
}

void rig_kick(struct blk_rig *rig)
{
    assert_false(bh_device_kick(&rig->device, 0));
    bh_device_flush(&rig->device);
}

void rig_expect(struct blk_rig *rig, uint16_t head, uint8_t status, uint32_t length)
{
    guest_expect_used(&rig->guest, head, length);
    assert_int_equal(*guest_at(&rig->guest, RIG_STATUS(head)), status);
}

void rig_request(struct blk_rig *rig, uint32_t type, uint64_t sector, uint64_t data,
                 uint32_t length, uint16_t flags, uint8_t status, uint32_t written)
{
    rig_offer(rig, 0, type, sector, data, length, flags);
    rig_kick(rig);
    rig_expect(rig, 0, status, written);
    guest_expect_nothing(&rig->guest);
}
