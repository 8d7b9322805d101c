/* SPDX-License-Identifier: BSD-2-Clause */
/* A relay between a raw guest and a back end in memory: see relay_rig.h. */
#include "relay_rig.h"

#include <stdlib.h>
#include <string.h>

#include "bulkhead/virtio_blk.h"

/* ---- the back end ---- */

static struct rig_back *back_of(struct bh_transport *transport)
{
    return (struct rig_back *)transport;
}

static int back_size_max(struct bh_transport *transport, uint16_t index, uint16_t *size)
{
    *size = index < RIG_QUEUES ? back_of(transport)->size_max : (uint16_t)0;
    return BH_OK;
}

static int back_start(struct bh_transport *transport, uint16_t index,
                      const struct bh_queue_areas *areas)
{
    struct rig_back *back = back_of(transport);
    const struct bh_queue_setup setup = {
        .features = back->features | BH_F_VERSION_1,
        .descriptor = areas->descriptor,
        .driver = areas->driver,
        .device = areas->device,
        .size = areas->size,
        .avail_wrap = true,
        .used_wrap = true,
    };

    if (back->start_error != BH_OK) {
        return back->start_error;
    }
    assert_false(back->started[index]);
    assert_int_equal(bh_queue_start(&back->queues[index], &back->memory, &setup), BH_OK);
    back->areas[index] = *areas;
    back->started[index] = true;
    return BH_OK;
}

static int back_notify(struct bh_transport *transport, uint16_t index, uint16_t next, bool wrap)
{
    (void)next;
    (void)wrap;
    back_of(transport)->notified[index]++;
    return BH_OK;
}

static int back_config_write(struct bh_transport *transport, uint32_t offset, const void *from,
                             uint32_t length)
{
    struct rig_back *back = back_of(transport);

    assert_int_equal(length, 1);
    back->config_writes++;
    back->config_offset = offset;
    memcpy(&back->config_byte, from, 1);
    return BH_OK;
}

static const struct bh_transport_ops back_ops = {
    .queue_size_max = back_size_max,
    .queue_start = back_start,
    .notify = back_notify,
    .config_write = back_config_write,
};

static void back_new(struct relay_rig *rig)
{
    struct rig_back *back = &rig->back;
    uint16_t size_max = back->size_max;

    memset(back, 0, sizeof(*back));
    back->transport.ops = &back_ops;
    back->size_max = size_max;
    back->features = rig->back_features;
    back->regions[0] = (struct bh_region){RIG_ARENA, rig->device.arena_size, rig->arena,
                                          BH_ACCESS_READ | BH_ACCESS_WRITE};
    back->regions[1] = (struct bh_region){RIG_SHARED, GUEST_LOW + GUEST_LOW_SIZE - RIG_SHARED,
                                          rig->guest.low + (RIG_SHARED - GUEST_LOW),
                                          BH_ACCESS_READ | BH_ACCESS_WRITE};
    back->memory.regions = back->regions;
    back->memory.region_count = 2;
    bh_span_pool_init(&back->pool, back->blocks, back->free, 64, RIG_SPANS);
    for (uint16_t i = 0; i < RIG_QUEUES; i++) {
        bh_queue_init(&back->queues[i], i, (uint16_t)BH_QUEUE_SIZE_MAX, back->order[i],
                      back->busy[i], &back->pool);
    }
}

uint8_t *rig_back_at(struct relay_rig *rig, uint64_t address, size_t length)
{
    for (uint32_t i = 0; i < rig->back.memory.region_count; i++) {
        const struct bh_region *region = &rig->back.regions[i];

        if (address - region->address < region->size &&
            length <= region->size - (address - region->address)) {
            return region->base + (address - region->address);
        }
    }
    return NULL;
}

bool rig_take(struct relay_rig *rig, uint16_t index, struct bh_chain *chain)
{
    int got = bh_queue_pop(&rig->back.queues[index], chain);

    assert_true(got >= 0);
    return got == 1;
}

void rig_give(struct relay_rig *rig, uint16_t index, struct bh_chain *chain, uint32_t written)
{
    bh_queue_push(&rig->back.queues[index], chain, written);
    (void)bh_queue_publish(&rig->back.queues[index]);
}

uint32_t rig_called(struct relay_rig *rig, uint16_t index)
{
    return bh_relay_called(rig->relay, index);
}

/* ---- the owner ---- */

static void owner_agreed(void *context, uint64_t features)
{
    struct relay_rig *rig = context;

    rig->agreed = features;
    rig->agreements++;
}

static int owner_config_write(void *context, uint32_t offset, const void *from, uint32_t length)
{
    struct relay_rig *rig = context;

    (void)offset;
    (void)from;
    (void)length;
    rig->config_writes++;
    return rig->config_result;
}

static void owner_lied(void *context, uint16_t queue, const char *reason)
{
    struct relay_rig *rig = context;

    rig->lies++;
    rig->lied_queue = queue;
    rig->lie = reason;
}

static int owner_queue_stop(void *context, uint16_t queue)
{
    struct relay_rig *rig = context;

    rig->stops++;
    if (rig->stop_result == BH_OK) {
        rig->back.started[queue] = false;
        rig->back.queues[queue].in_flight = 0;
        assert_int_equal(bh_queue_stop(&rig->back.queues[queue]), BH_OK);
    }
    return rig->stop_result;
}

static void owner_wake(void *context, uint64_t microseconds)
{
    struct relay_rig *rig = context;

    rig->wake_us = microseconds;
}

static uint64_t owner_now(void *context)
{
    const struct relay_rig *rig = context;

    return rig->now;
}

static const struct bh_relay_ops owner_ops = {
    .agreed = owner_agreed,
    .config_write = owner_config_write,
    .lied = owner_lied,
    .queue_stop = owner_queue_stop,
    .wake = owner_wake,
    .now_us = owner_now,
};

/* ---- the port ---- */

static void port_notify(struct bh_device *device, uint16_t queue)
{
    struct relay_rig *rig = device->port_data;

    rig->notified[queue]++;
}

static void port_config_changed(struct bh_device *device)
{
    struct relay_rig *rig = device->port_data;

    rig->config_changes++;
}

static void port_failed(struct bh_device *device, uint16_t queue)
{
    struct relay_rig *rig = device->port_data;

    (void)queue;
    rig->failed++;
}

static void port_idle(struct bh_device *device, uint16_t queue)
{
    struct relay_rig *rig = device->port_data;

    (void)queue;
    rig->idle++;
}

static const struct bh_port_ops port_ops = {
    .notify = port_notify,
    .config_changed = port_config_changed,
    .failed = port_failed,
    .idle = port_idle,
};

/* ---- life ---- */

static void make_relay(struct relay_rig *rig, const struct rig_setup *setup)
{
    const struct bh_relay_setup relay = {
        .ops = &owner_ops,
        .context = rig,
        .class = setup->class != NULL ? setup->class : &bh_gate_class_blk,
        .device = &rig->device,
        .limits = &rig->limits,
        .counters = &rig->counters,
        .class_state = rig->class_state,
        .memory = &rig->guest.memory,
        .arena = rig->arena,
        .arena_address = RIG_ARENA,
    };
    uint8_t config[RIG_CONFIG];

    for (uint32_t i = 0; i < RIG_CONFIG; i++) {
        config[i] = (uint8_t)i;
    }
    assert_int_equal(bh_relay_create(&rig->relay, &relay), BH_OK);
    bh_relay_offer(rig->relay, BH_BLK_F_FLUSH | BH_BLK_F_MQ, config, sizeof(config), RIG_QUEUES);
    bh_device_bind(bh_relay_device(rig->relay), &port_ops, rig, rig->guest_features);
}

static void share(struct relay_rig *rig)
{
    const struct bh_relay_range ranges[2] = {
        {UINT64_C(0x1000), 0x1000},
        {RIG_SHARED, GUEST_LOW + GUEST_LOW_SIZE - RIG_SHARED},
    };

    bh_relay_share(rig->relay, ranges, 2);
}

struct relay_rig *rig_new(const struct rig_setup *setup)
{
    struct relay_rig *rig = calloc(1, sizeof(*rig));
    const bool packed = (setup->guest_features & BH_F_RING_PACKED) != 0;
    const uint32_t arena_size = setup->arena_size != 0 ? setup->arena_size : RIG_ARENA_SIZE;
    const uint16_t size = setup->guest_size != 0 ? setup->guest_size : (uint16_t)RIG_SIZE;

    assert_non_null(rig);
    guest_init(&rig->guest, packed, size, 0);
    rig->guest_features = setup->guest_features | BH_F_VERSION_1;
    rig->back_features = setup->back_features | BH_F_VERSION_1;
    rig->now = 1000;
    rig->wake_us = UINT64_MAX;
    rig->arena = aligned_alloc(4096, arena_size);
    assert_non_null(rig->arena);
    memset(rig->arena, 0xa5, arena_size);
    rig->device.type = BH_ID_BLK;
    rig->device.queue_count = RIG_QUEUES;
    rig->device.queue_size_max = size;
    rig->device.feature_mask = UINT64_MAX;
    rig->device.arena_size = arena_size;
    make_relay(rig, setup);
    if (setup->shared) {
        share(rig);
    }
    assert_int_equal(bh_device_features_set(bh_relay_device(rig->relay), rig->guest_features),
                     BH_OK);
    rig->back.size_max = setup->size_max != 0 ? setup->size_max : 256;
    back_new(rig);
    for (uint16_t i = 0; i < RIG_QUEUES; i++) {
        rig->places[i] = (struct rig_place){.avail_wrap = true, .used_wrap = true};
    }
    if (!setup->stopped) {
        rig_start(rig, 0);
    }
    if (!setup->detached) {
        assert_int_equal(rig_attach(rig), BH_OK);
    }
    return rig;
}

void rig_free(struct relay_rig *rig)
{
    bh_relay_destroy(rig->relay);
    guest_finish(&rig->guest);
    free(rig->arena);
    free(rig);
}

int rig_attach(struct relay_rig *rig)
{
    back_new(rig);
    return bh_relay_attach(rig->relay, &rig->back.transport, rig->back_features);
}

void rig_look_at(struct relay_rig *rig, uint16_t index)
{
    struct guest *guest = &rig->guest;
    struct rig_place *old = &rig->places[rig->current];
    const struct rig_place *new = &rig->places[index];
    uint64_t offset = 0x400u * (uint64_t)index;

    *old = (struct rig_place){guest->avail, guest->used, guest->avail_wrap, guest->used_wrap};
    guest->avail = new->avail;
    guest->used = new->used;
    guest->avail_wrap = new->avail_wrap;
    guest->used_wrap = new->used_wrap;
    guest->setup.descriptor = GUEST_DESCRIPTOR + offset;
    guest->setup.driver = GUEST_DRIVER + offset;
    guest->setup.device = GUEST_DEVICE + offset;
    rig->current = index;
}

void rig_start(struct relay_rig *rig, uint16_t index)
{
    rig_look_at(rig, index);
    assert_int_equal(bh_device_queue_start(bh_relay_device(rig->relay), index, &rig->guest.setup),
                     BH_OK);
}

void rig_places_reset(struct relay_rig *rig, uint16_t index)
{
    uint64_t offset = 0x400u * (uint64_t)index;

    rig_look_at(rig, index);
    memset(guest_at(&rig->guest, GUEST_DESCRIPTOR + offset), 0, 0x400);
    memset(guest_at(&rig->guest, GUEST_DRIVER + offset), 0, 0x400);
    memset(guest_at(&rig->guest, GUEST_DEVICE + offset), 0, 0x400);
    rig->guest.avail = 0;
    rig->guest.used = 0;
    rig->guest.avail_wrap = true;
    rig->guest.used_wrap = true;
}

void rig_kick(struct relay_rig *rig)
{
    (void)bh_device_kick(bh_relay_device(rig->relay), rig->current);
    bh_device_flush(bh_relay_device(rig->relay));
}

/* ---- block requests ---- */

uint64_t rig_data_at(uint64_t at)
{
    return at + 0x20;
}

uint64_t rig_status_at(uint64_t at, uint32_t length)
{
    return rig_data_at(at) + length;
}

void rig_offer_blk(struct relay_rig *rig, uint32_t type, uint64_t at, uint32_t length,
                   uint16_t head)
{
    const struct guest_buffer buffers[3] = {
        {at, sizeof(struct bh_blk_header), R},
        {rig_data_at(at), length, type == BH_BLK_T_OUT ? R : W},
        {rig_status_at(at, length), 1, W},
    };
    const struct guest_buffer bare[2] = {buffers[0], buffers[2]};

    guest_put32(&rig->guest, at, type);
    guest_put32(&rig->guest, at + 4, 0);
    guest_put64(&rig->guest, at + 8, head);
    *guest_at(&rig->guest, rig_status_at(at, length)) = 0xee;
    if (length == 0) {
        guest_offer(&rig->guest, bare, 2, head);
    } else {
        guest_offer(&rig->guest, buffers, 3, head);
    }
}
