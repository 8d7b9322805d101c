/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Drives the gate's relay through N reads of 4 KiB, guest, relay and back end in one process and one
 * thread, so that the relay's instructions can be counted (bench/relay.sh) and come out the same each
 * time. The back end answers at once and writes no data. Not a benchmark of time.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bulkhead/driver_queue.h"
#include "bulkhead/virtio_blk.h"
#include "gate/relay.h"

#define SIZE        256u
#define DEPTH_MAX   64u
#define GUEST       UINT64_C(0x40000000)
#define GUEST_BYTES (1u << 20)
#define ARENA       (UINT64_C(1) << 40)
#define ARENA_BYTES (4u << 20)
#define RING_BYTES  (64u << 10)
#define SLOT_BYTES  8192u /* header, data at a page, status */
#define DATA_BYTES  4096u

static struct {
    uint8_t *guest;
    uint8_t *arena;
    struct bh_region regions[2]; /* guest, arena */
    struct bh_memory memory;     /* of the relay */
    struct bh_memory back_memory;
    struct bh_gate_device device;
    struct bh_gate_counters counters;
    uint64_t class_state[64];
    struct bh_relay *relay;
    struct bh_transport front;
    struct bh_transport back;
    struct bh_driver_queue driver;
    struct bh_driver_slot slots[SIZE];
    struct bh_queue queue; /* the back end's */
    struct bh_order_slot order[SIZE];
    uint8_t busy[SIZE];
    struct bh_chain chains[DEPTH_MAX];
    uint64_t features;
    uint64_t now;
} all;

/* ---- the back end ---- */

static int size_max(struct bh_transport *transport, uint16_t index, uint16_t *size)
{
    (void)transport;
    *size = index == 0u ? SIZE : 0;
    return BH_OK;
}

static struct bh_queue_setup setup_of(const struct bh_queue_areas *areas)
{
    return (struct bh_queue_setup){
        .features = all.features,
        .descriptor = areas->descriptor,
        .driver = areas->driver,
        .device = areas->device,
        .size = areas->size,
        .avail_wrap = true,
        .used_wrap = true,
    };
}

static int back_start(struct bh_transport *transport, uint16_t index,
                      const struct bh_queue_areas *areas)
{
    const struct bh_queue_setup setup = setup_of(areas);
    (void)transport;
    (void)index;
    return bh_queue_start(&all.queue, &all.back_memory, &setup);
}

static int front_start(struct bh_transport *transport, uint16_t index,
                       const struct bh_queue_areas *areas)
{
    struct bh_queue_setup setup = setup_of(areas);
    (void)transport;
    return bh_device_queue_start(bh_relay_device(all.relay), index, &setup);
}

static int no_notify(struct bh_transport *transport, uint16_t index, uint16_t next, bool wrap)
{
    (void)transport;
    (void)index;
    (void)next;
    (void)wrap;
    return BH_OK;
}

static const struct bh_transport_ops back_ops = {
    .queue_size_max = size_max, .queue_start = back_start, .notify = no_notify};
static const struct bh_transport_ops front_ops = {
    .queue_size_max = size_max, .queue_start = front_start, .notify = no_notify};

static void serve(void)
{
    uint32_t count = 0;
    while (count < DEPTH_MAX && bh_queue_pop(&all.queue, &all.chains[count]) == 1) {
        count++;
    }
    for (uint32_t i = 0; i < count; i++) {
        const uint8_t status = BH_BLK_S_OK;
        (void)bh_chain_write(&all.chains[i], DATA_BYTES, &status, 1);
        bh_queue_push(&all.queue, &all.chains[i], DATA_BYTES + 1u);
    }
    (void)bh_queue_publish(&all.queue);
}

/* ---- owner and port ---- */

static void on_agreed(void *context, uint64_t features)
{
    (void)context;
    (void)features;
}

static void on_lied(void *context, uint16_t queue, const char *reason)
{
    (void)context;
    (void)fprintf(stderr, "relay-read: queue %u: %s\n", queue, reason);
    exit(1);
}

static void on_wake(void *context, uint64_t microseconds)
{
    (void)context;
    (void)microseconds;
}

static uint64_t on_now(void *context)
{
    (void)context;
    all.now++;
    return all.now;
}

static const struct bh_relay_ops owner = {
    .agreed = on_agreed, .lied = on_lied, .wake = on_wake, .now_us = on_now};

static void on_event(struct bh_device *device, uint16_t queue)
{
    (void)device;
    (void)queue;
}

static void on_config(struct bh_device *device)
{
    (void)device;
}

static const struct bh_port_ops port = {
    .notify = on_event, .config_changed = on_config, .failed = on_event, .idle = on_event};

/* ---- life ---- */

static int make(bool packed, bool shared)
{
    const struct bh_relay_range range = {GUEST, GUEST_BYTES};
    struct bh_dma dma = {.address = GUEST, .size = RING_BYTES};

    all.guest = aligned_alloc(4096, GUEST_BYTES);
    all.arena = aligned_alloc(4096, ARENA_BYTES);
    if (all.guest == NULL || all.arena == NULL) {
        return BH_NO_MEMORY;
    }
    dma.base = all.guest;
    memset(all.guest, 0, GUEST_BYTES);
    memset(all.arena, 0, ARENA_BYTES);
    all.regions[0] =
        (struct bh_region){GUEST, GUEST_BYTES, all.guest, BH_ACCESS_READ | BH_ACCESS_WRITE};
    all.regions[1] =
        (struct bh_region){ARENA, ARENA_BYTES, all.arena, BH_ACCESS_READ | BH_ACCESS_WRITE};
    all.memory = (struct bh_memory){.regions = all.regions, .region_count = 1};
    all.back_memory = (struct bh_memory){.regions = all.regions, .region_count = 2};
    all.features =
        BH_F_VERSION_1 | BH_F_EVENT_IDX | BH_F_INDIRECT_DESC | (packed ? BH_F_RING_PACKED : 0u);
    all.device = (struct bh_gate_device){.type = BH_ID_BLK,
                                         .queue_count = 1,
                                         .queue_size_max = SIZE,
                                         .feature_mask = UINT64_MAX,
                                         .arena_size = ARENA_BYTES};
    bh_queue_init(&all.queue, 0, SIZE, all.order, all.busy, NULL);
    const struct bh_relay_setup setup = {
        .ops = &owner,
        .class = &bh_gate_class_blk,
        .device = &all.device,
        .counters = &all.counters,
        .class_state = all.class_state,
        .memory = &all.memory,
        .arena = all.arena,
        .arena_address = ARENA,
    };
    int result = bh_relay_create(&all.relay, &setup);
    if (result != BH_OK) {
        return result;
    }
    bh_relay_offer(all.relay, 0, NULL, 0, 1);
    bh_device_bind(bh_relay_device(all.relay), &port, NULL, all.features);
    bh_relay_share(all.relay, &range, shared ? 1 : 0);
    result = bh_device_features_set(bh_relay_device(all.relay), all.features);
    all.front.ops = &front_ops;
    all.back.ops = &back_ops;
    const struct bh_driver_queue_setup driver = {.transport = &all.front,
                                                 .dma = &dma,
                                                 .slots = all.slots,
                                                 .features = all.features,
                                                 .size = SIZE};
    if (result == BH_OK) {
        result = bh_driver_queue_init(&all.driver, &driver);
    }
    return result == BH_OK ? bh_relay_attach(all.relay, &all.back, all.features) : result;
}

static void add(uint32_t i)
{
    const uint64_t at = GUEST + RING_BYTES + (uint64_t)i * SLOT_BYTES;
    const struct bh_buffer elements[3] = {
        {at, sizeof(struct bh_blk_header)}, {at + 4096u, DATA_BYTES}, {at + 64u, 1}};
    (void)bh_driver_queue_add(&all.driver, elements, 1, 2, &all.chains[i]);
}

static uint32_t collect(void)
{
    uint32_t count = 0;
    void *token = NULL;
    uint32_t written = 0;
    while (bh_driver_queue_collect(&all.driver, &token, &written) == 1) {
        count++;
    }
    (void)bh_driver_queue_notify_enable(&all.driver, true);
    return count;
}

/* What is counted: from the guest's notification to the back end's, and from its call to the guest. */
void count_in(void);
void count_out(void);

__attribute__((noinline)) void count_in(void)
{
    (void)bh_device_kick(bh_relay_device(all.relay), 0);
    bh_device_flush(bh_relay_device(all.relay));
}

__attribute__((noinline)) void count_out(void)
{
    (void)bh_relay_called(all.relay, 0);
}

int main(int argc, char **argv)
{
    const uint32_t count = argc == 5 ? (uint32_t)strtoul(argv[1], NULL, 10) : 0u;
    const uint32_t depth = argc == 5 ? (uint32_t)strtoul(argv[2], NULL, 10) : 0u;
    if (count == 0u || depth == 0u || depth > DEPTH_MAX) {
        (void)fprintf(stderr, "usage: relay-read COUNT DEPTH split|packed copied|shared\n");
        return 2;
    }
    int result = make(strcmp(argv[3], "packed") == 0, strcmp(argv[4], "shared") == 0);
    uint32_t done = 0;
    while (result == BH_OK && done < count) {
        for (uint32_t i = 0; i < depth; i++) {
            add(i);
        }
        (void)bh_driver_queue_publish(&all.driver);
        count_in();
        serve();
        count_out();
        const uint32_t got = collect();
        if (got != depth) {
            result = BH_PROTOCOL;
        }
        done += got;
    }
    if (result != BH_OK) {
        (void)fprintf(stderr, "relay-read: %s after %u of %u\n", bh_error_name(result), done,
                      count);
    }
    bh_relay_destroy(all.relay);
    free(all.guest);
    free(all.arena);
    return result == BH_OK ? 0 : 1;
}
