/* SPDX-License-Identifier: BSD-2-Clause */
/* The hostile back end of the relay's fuzzer, and the relay's owner: see fuzz_relay.c. */
#include "fuzz_relay.h"

/* ---- the back end ---- */

static int back_size_max(struct bh_transport *transport, uint16_t index, uint16_t *size)
{
    (void)transport;
    (void)index;
    *size = fuzz->back.size_max;
    return BH_OK;
}

static int back_start(struct bh_transport *transport, uint16_t index,
                      const struct bh_queue_areas *areas)
{
    struct back *back = (struct back *)(void *)transport;
    const struct bh_queue_setup setup = {
        .features = back->features | BH_F_VERSION_1,
        .descriptor = areas->descriptor,
        .driver = areas->driver,
        .device = areas->device,
        .size = areas->size,
        .avail_wrap = true,
        .used_wrap = true,
    };

    FUZZ_CHECK(!back->running[index]);
    FUZZ_CHECK(bh_queue_start(&back->queues[index], &back->memory, &setup) == BH_OK);
    back->areas[index] = *areas;
    back->running[index] = true;
    return BH_OK;
}

static int back_notify(struct bh_transport *transport, uint16_t index, uint16_t next, bool wrap)
{
    (void)next;
    (void)wrap;
    FUZZ_CHECK(((struct back *)(void *)transport)->running[index]);
    return BH_OK;
}

static int back_config_write(struct bh_transport *transport, uint32_t offset, const void *from,
                             uint32_t length)
{
    (void)transport;
    (void)offset;
    (void)from;
    (void)length;
    return BH_OK;
}

static const struct bh_transport_ops back_ops = {
    .queue_size_max = back_size_max,
    .queue_start = back_start,
    .notify = back_notify,
    .config_write = back_config_write,
};

void back_new(uint8_t choice)
{
    static const uint16_t sizes[] = {256, 64, 4, 2};
    struct back *back = &fuzz->back;

    memset(back, 0, sizeof(*back));
    back->transport.ops = &back_ops;
    back->features =
        ((choice & 1) != 0 ? BH_F_RING_PACKED : 0) | ((choice & 2) != 0 ? BH_F_INDIRECT_DESC : 0) |
        ((choice & 4) != 0 ? BH_F_EVENT_IDX : 0) | ((choice & 8) != 0 ? BH_F_IN_ORDER : 0);
    back->size_max = sizes[choice >> 4 & 3];
    back->regions[0] =
        (struct bh_region){ARENA, ARENA_SIZE, fuzz->arena, BH_ACCESS_READ | BH_ACCESS_WRITE};
    back->regions[1] = (struct bh_region){GUEST + DATA, GUEST_SIZE - DATA, fuzz->guest + DATA,
                                          BH_ACCESS_READ | BH_ACCESS_WRITE};
    back->memory.regions = back->regions;
    back->memory.region_count = (fuzz->flags & FLAG_SHARED) != 0 ? 2 : 1;
    bh_span_pool_init(&back->pool, back->blocks, back->free, 8, SPANS);
    for (uint16_t i = 0; i < QUEUES; i++) {
        bh_queue_init(&back->queues[i], i, 256, back->order[i], back->busy[i], &back->pool);
    }
}

void back_pop(uint16_t queue)
{
    struct back *back = &fuzz->back;

    for (uint32_t i = 0; i < HELD_MAX; i++) {
        if (!back->held[i].held) {
            back->held[i].held = bh_queue_pop(&back->queues[queue], &back->held[i].chain) == 1;
            back->held[i].queue = queue;
            return;
        }
    }
}

void back_push(uint8_t which, uint32_t written)
{
    struct back *back = &fuzz->back;

    for (uint32_t n = 0; n < HELD_MAX; n++) {
        uint32_t i = (n + which) % HELD_MAX;

        if (back->held[i].held) {
            struct bh_queue *queue = &back->queues[back->held[i].queue];
            struct bh_chain *chain = &back->held[i].chain;
            uint8_t bytes[64];

            memset(bytes, which, sizeof(bytes));
            (void)bh_chain_write(chain, 0, bytes, sizeof(bytes));
            bh_queue_push(queue, chain, written);
            (void)bh_queue_publish(queue);
            back->held[i].held = false;
            return;
        }
    }
}

/* A used entry as the input has it, and the index with it. */
void back_lie(uint16_t queue, uint32_t id, uint32_t length)
{
    const struct bh_queue_areas *areas = &fuzz->back.areas[queue];
    bool packed = (fuzz->back.features & BH_F_RING_PACKED) != 0;

    if (!fuzz->back.running[queue]) {
        return;
    }
    if (packed) {
        uint8_t *ring = fuzz->arena + (areas->descriptor - ARENA);
        struct bh_packed_desc *desc = (struct bh_packed_desc *)(void *)ring;

        desc[(length >> 16) % areas->size] = (struct bh_packed_desc){
            .length = length & 0xffffu,
            .id = (uint16_t)id,
            .flags = (uint16_t)(BH_DESC_WRITE |
                                ((id & 0x10000u) != 0 ? 0u : BH_DESC_AVAIL | BH_DESC_USED)),
        };
    } else {
        struct bh_split_used *used =
            (struct bh_split_used *)(void *)(fuzz->arena + (areas->device - ARENA));

        used->ring[used->index % areas->size] =
            (struct bh_split_used_element){id & 0xffffu, length & 0xffffu};
        used->index++;
    }
}

/* ---- the owner ---- */

static void owner_agreed(void *context, uint64_t features)
{
    (void)context;
    (void)features;
}

static int owner_config_write(void *context, uint32_t offset, const void *from, uint32_t length)
{
    (void)context;
    (void)offset;
    (void)from;
    (void)length;
    return BH_OK;
}

static void owner_lied(void *context, uint16_t queue, const char *reason)
{
    (void)context;
    FUZZ_CHECK(queue < QUEUES);
    FUZZ_CHECK(reason != NULL && reason[0] != '\0');
    fuzz->lied = true;
}

static int owner_queue_stop(void *context, uint16_t queue)
{
    (void)context;
    fuzz->back.running[queue] = false;
    for (uint32_t i = 0; i < HELD_MAX; i++) {
        if (fuzz->back.held[i].held && fuzz->back.held[i].queue == queue) {
            fuzz->back.held[i].held = false;
            bh_queue_push(&fuzz->back.queues[queue], &fuzz->back.held[i].chain, 0);
        }
    }
    (void)bh_queue_publish(&fuzz->back.queues[queue]);
    (void)bh_queue_stop(&fuzz->back.queues[queue]);
    return BH_OK;
}

static void owner_wake(void *context, uint64_t microseconds)
{
    (void)context;
    (void)microseconds;
}

static uint64_t owner_now(void *context)
{
    (void)context;
    return fuzz->now;
}

const struct bh_relay_ops fuzz_owner = {
    .agreed = owner_agreed,
    .config_write = owner_config_write,
    .lied = owner_lied,
    .queue_stop = owner_queue_stop,
    .wake = owner_wake,
    .now_us = owner_now,
};
