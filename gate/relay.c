/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The relay's life, and the device that the guest sees: features and configuration are the back end's,
 * rings are the gate's. See relay.h; requests are in relay_slot.c, the back end in relay_back.c.
 *
 * The arena: a part for each queue's ring (of the back end's side, as large as the setup allows), then
 * room for copies.
 */
#include "relay_internal.h"

#include <stdlib.h>
#include <string.h>

#define RING_MIN     64u   /* a ring of the back end's, so that a few elements always fit */
#define SPANS_MAX    1024u /* of a chain; what other devices (QEMU's) allow, too */
#define SPANS_SPARE  16u   /* descriptors that lie in two regions */
#define BLOCKS       256u  /* chains with more spans than fit in themselves, at a time */
#define INDIRECT_MAX 64u
#define INDIRECT_MIN 4u

/* ---- the device ---- */

static uint64_t relay_features(const struct bh_device *device)
{
    const struct bh_relay *relay = device->class_data;
    return relay->offered;
}

static void relay_features_set(struct bh_device *device)
{
    struct bh_relay *relay = device->class_data;
    if (device->features == 0u) {
        bh_relay_detach(relay, false); /* a reset: all queues are stopped */
    }
    relay->setup.ops->agreed(relay->setup.context, device->features);
}

static uint32_t relay_config_size(const struct bh_device *device)
{
    const struct bh_relay *relay = device->class_data;
    return relay->config_size;
}

static void relay_config_read(const struct bh_device *device, uint32_t offset, void *to,
                              uint32_t length)
{
    const struct bh_relay *relay = device->class_data;
    memcpy(to, relay->config + offset, length);
}

static int relay_config_write(struct bh_device *device, uint32_t offset, const void *from,
                              uint32_t length)
{
    struct bh_relay *relay = device->class_data;
    int result = relay->setup.ops->config_write(relay->setup.context, offset, from, length);
    if (result == BH_OK) {
        memcpy(relay->config + offset, from, length);
        if (relay->setup.class->config_written != NULL) {
            relay->setup.class->config_written(relay->setup.class_state, offset, from, length);
        }
    }
    return result;
}

/* Rings that the guest started while a back end is there. */
static void relay_started(struct bh_device *device, bool resumed)
{
    struct bh_relay *relay = device->class_data;
    (void)resumed;
    relay->now_us = relay->setup.ops->now_us(relay->setup.context);
    for (uint16_t i = 0; i < device->queue_count && relay->attached; i++) {
        struct bh_relay_side *side = &relay->sides[i];
        if (side->running || device->queues[i].state != BH_QUEUE_RUNNING) {
            continue;
        }
        if (bh_relay_ring_start(relay, side) != BH_OK) {
            relay->setup.ops->lied(relay->setup.context, i, "its ring could not be started");
            return;
        }
        bh_relay_show_waiting(relay, side);
    }
}

static void relay_stopping(struct bh_device *device, struct bh_queue *queue)
{
    struct bh_relay *relay = device->class_data;
    bh_relay_ring_stopping(relay, &relay->sides[queue->index]);
}

static void update_numbers(struct bh_relay *relay)
{
    struct bh_gate_counters *counters = relay->setup.counters;
    __atomic_store_n(&counters->in_flight, relay->held, __ATOMIC_RELAXED);
    __atomic_store_n(&counters->arena_used, (uint32_t)(bh_arena_used(relay->arena) / 1024u),
                     __ATOMIC_RELAXED);
}

/* A back end that does not take the notification is gone, and the owner hears of that by itself. */
static void relay_commit(struct bh_device *device)
{
    struct bh_relay *relay = device->class_data;
    while (relay->unpublished != 0u) {
        uint32_t index = (uint32_t)__builtin_ctzll(relay->unpublished);
        relay->unpublished &= relay->unpublished - 1u;
        (void)bh_driver_queue_publish(&relay->sides[index].ring);
    }
    update_numbers(relay);
}

static void relay_reset(struct bh_device *device)
{
    struct bh_relay *relay = device->class_data;
    if (relay->setup.class->reset != NULL) {
        relay->setup.class->reset(relay->setup.class_state);
    } else {
        memset(relay->setup.class_state, 0, sizeof(((struct bh_gate_record *)NULL)->class_state));
    }
}

static const struct bh_device_class relay_class = {
    .features = relay_features,
    .features_set = relay_features_set,
    .config_size = relay_config_size,
    .config_read = relay_config_read,
    .config_write = relay_config_write,
    .serve = bh_relay_serve,
    .started = relay_started,
    .stopping = relay_stopping,
    .commit = relay_commit,
    .reset = relay_reset,
};

struct bh_device *bh_relay_device(struct bh_relay *relay)
{
    return &relay->device;
}

/* ---- what the back end is ---- */

static void take_config(struct bh_relay *relay, const void *config, uint32_t size)
{
    if (size > BH_GATE_CONFIG_MAX) {
        size = BH_GATE_CONFIG_MAX;
    }
    relay->config_size = size;
    if (size != 0u) {
        memcpy(relay->config, config, size);
    }
}

void bh_relay_offer(struct bh_relay *relay, uint64_t features, const void *config, uint32_t size,
                    uint16_t queue_count)
{
    relay->offered = features & ~BH_F_TRANSPORT_MASK;
    take_config(relay, config, size);
    if (queue_count < relay->device.queue_count) {
        relay->device.queue_count = queue_count;
    }
}

void bh_relay_config_changed(struct bh_relay *relay, const void *config, uint32_t size)
{
    take_config(relay, config, size);
    bh_device_config_changed(&relay->device);
}

void bh_relay_share(struct bh_relay *relay, const struct bh_relay_range *ranges, uint32_t count)
{
    /* What does not fit is copied. */
    if (count > BH_RELAY_SHARES_MAX) {
        count = BH_RELAY_SHARES_MAX;
    }
    relay->next_share_count = count;
    if (count != 0u) {
        memcpy(relay->next_shares, ranges, count * sizeof(*ranges));
    }
}

/* ---- life ---- */

static uint64_t round_up(uint64_t bytes, uint64_t to)
{
    return (bytes + to - 1u) / to * to;
}

static uint64_t ring_bytes(const struct bh_relay *relay, uint16_t indirect_max)
{
    uint16_t size = (uint16_t)relay->ring_size_max;
    uint64_t split = bh_driver_queue_bytes(size, indirect_max, false);
    uint64_t packed = bh_driver_queue_bytes(size, indirect_max, true);
    return round_up(split > packed ? split : packed, BH_ARENA_PAGE);
}

/* Sizes of rings and indirect tables: tables as long as rings leave three quarters of the arena to the
 * copies. */
static int size_rings(struct bh_relay *relay)
{
    const struct bh_gate_device *device = relay->setup.device;
    uint32_t size = RING_MIN;
    while (size < device->queue_size_max && size < BH_QUEUE_SIZE_MAX) {
        size *= 2u;
    }
    relay->ring_size_max = size;
    relay->indirect_max = INDIRECT_MAX;
    while (relay->indirect_max >= INDIRECT_MIN &&
           ring_bytes(relay, relay->indirect_max) * device->queue_count > device->arena_size / 4u) {
        relay->indirect_max /= 2u;
    }
    if (relay->indirect_max < INDIRECT_MIN) {
        relay->indirect_max = 0;
    }
    relay->ring_bytes = ring_bytes(relay, relay->indirect_max);
    return relay->ring_bytes * device->queue_count <= device->arena_size / 2u ? BH_OK : BH_INVALID;
}

static int make_tables(struct bh_relay *relay)
{
    const struct bh_gate_device *device = relay->setup.device;
    uint32_t count = device->queue_count;
    uint32_t size = device->queue_size_max;
    uint32_t spans = (size < SPANS_MAX ? size : SPANS_MAX) + SPANS_SPARE;
    struct bh_span *blocks = calloc((size_t)BLOCKS * spans, sizeof(*blocks));
    uint16_t *free_blocks = calloc(BLOCKS, sizeof(*free_blocks));
    bh_span_pool_init(&relay->pool, blocks, free_blocks,
                      blocks != NULL && free_blocks != NULL ? (uint16_t)BLOCKS : (uint16_t)0,
                      (uint16_t)spans);
    relay->slot_count = size + BH_RELAY_OWN_MAX;
    relay->queues = calloc(count, sizeof(*relay->queues));
    relay->order = calloc((size_t)count * size, sizeof(*relay->order));
    relay->busy = calloc(count, size);
    relay->sides = calloc(count, sizeof(*relay->sides));
    relay->elements = calloc(spans, sizeof(*relay->elements));
    relay->places = calloc(spans, sizeof(*relay->places));
    if (relay->pool.block_count == 0u || relay->queues == NULL || relay->order == NULL ||
        relay->busy == NULL || relay->sides == NULL || relay->elements == NULL ||
        relay->places == NULL) {
        return BH_NO_MEMORY;
    }
    return BH_OK;
}

static int make_sides(struct bh_relay *relay)
{
    const struct bh_gate_device *device = relay->setup.device;
    const struct bh_gate_class *class = relay->setup.class;
    uint16_t size = device->queue_size_max;
    for (uint16_t i = 0; i < device->queue_count; i++) {
        struct bh_relay_side *side = &relay->sides[i];
        side->index = i;
        side->waits = class->waits != NULL && class->waits(i);
        side->ring_base = relay->setup.arena + relay->ring_bytes * i;
        side->ring_address = relay->setup.arena_address + relay->ring_bytes * i;
        side->ring_slots = calloc(relay->ring_size_max, sizeof(*side->ring_slots));
        side->slots = calloc(relay->slot_count, sizeof(*side->slots));
        if (side->ring_slots == NULL || side->slots == NULL) {
            return BH_NO_MEMORY;
        }
        bh_queue_init(&relay->queues[i], i, size, relay->order + (size_t)i * size,
                      relay->busy + (size_t)i * size, &relay->pool);
    }
    return BH_OK;
}

static int make(struct bh_relay *relay)
{
    const struct bh_gate_device *device = relay->setup.device;
    if (device->queue_count == 0u || device->queue_count > BH_GATE_QUEUES_MAX ||
        device->queue_size_max == 0u || device->queue_size_max > BH_QUEUE_SIZE_MAX) {
        return BH_INVALID;
    }
    int result = size_rings(relay);
    if (result != BH_OK) {
        return result;
    }
    uint64_t rings = relay->ring_bytes * device->queue_count;
    result = bh_arena_create(&relay->arena, relay->setup.arena + rings,
                             relay->setup.arena_address + rings, device->arena_size - rings);
    if (result == BH_OK) {
        result = make_tables(relay);
    }
    if (result == BH_OK) {
        result = make_sides(relay);
    }
    if (result != BH_OK) {
        return result;
    }
    relay->class = relay_class;
    relay->class.name = relay->setup.class->name;
    relay->class.id = device->type;
    const struct bh_device_setup setup = {
        .class = &relay->class,
        .class_data = relay,
        .memory = relay->setup.memory,
        .queues = relay->queues,
        .queue_count = device->queue_count,
        .feature_mask = device->feature_mask,
    };
    bh_device_init(&relay->device, &setup);
    return BH_OK;
}

int bh_relay_create(struct bh_relay **relay, const struct bh_relay_setup *setup)
{
    struct bh_relay *made = calloc(1, sizeof(*made));
    if (made == NULL) {
        return BH_NO_MEMORY;
    }
    made->setup = *setup;
    int result = make(made);
    if (result != BH_OK) {
        bh_relay_destroy(made);
        return result;
    }
    *relay = made;
    return BH_OK;
}

void bh_relay_destroy(struct bh_relay *relay)
{
    if (relay == NULL) {
        return;
    }
    for (uint16_t i = 0; relay->sides != NULL && i < relay->setup.device->queue_count; i++) {
        free(relay->sides[i].ring_slots);
        free(relay->sides[i].slots);
    }
    bh_arena_destroy(relay->arena);
    free(relay->pool.blocks);
    free(relay->pool.free);
    free(relay->places);
    free(relay->elements);
    free(relay->sides);
    free(relay->busy);
    free(relay->order);
    free(relay->queues);
    free(relay);
}
