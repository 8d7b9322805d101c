/* SPDX-License-Identifier: BSD-2-Clause */
/* A device for tests of driver/; see fake_device.h. */
#include "fake_device.h"

#include <stdlib.h>
#include <string.h>

#define NEXT     1u
#define WRITE    2u
#define INDIRECT 4u
#define AVAIL    0x80u
#define USED     0x8000u

static struct fake_device *fake_of(struct bh_transport *transport)
{
    return (struct fake_device *)transport;
}

/* ---- the transport ---- */

static int fake_device_id(struct bh_transport *transport, uint32_t *id)
{
    *id = fake_of(transport)->id;
    return BH_OK;
}

static int fake_features_get(struct bh_transport *transport, uint64_t *features)
{
    *features = fake_of(transport)->offered;
    return BH_OK;
}

static int fake_features_set(struct bh_transport *transport, uint64_t features)
{
    fake_of(transport)->features = features;
    return BH_OK;
}

static int fake_status_get(struct bh_transport *transport, uint8_t *status)
{
    const struct fake_device *device = fake_of(transport);

    *status = (uint8_t)((device->status & ~device->status_off) | device->status_on);
    return BH_OK;
}

static int fake_status_set(struct bh_transport *transport, uint8_t status)
{
    struct fake_device *device = fake_of(transport);

    assert_true(device->history_count < sizeof(device->history));
    device->history[device->history_count] = status;
    device->history_count++;
    device->status = status;
    if (status != 0) {
        return BH_OK;
    }
    for (unsigned i = 0; i < FAKE_QUEUES; i++) {
        device->queues[i].running = false;
    }
    return device->status_error;
}

static int fake_generation(struct bh_transport *transport, uint32_t *generation)
{
    struct fake_device *device = fake_of(transport);

    if (device->generation_steps != 0) {
        device->generation_steps--;
        device->generation++;
    }
    *generation = device->generation;
    return BH_OK;
}

static int fake_config_read(struct bh_transport *transport, uint32_t offset, void *to,
                            uint32_t length)
{
    assert_true(offset + length <= FAKE_CONFIG);
    memcpy(to, &fake_of(transport)->config[offset], length);
    return BH_OK;
}

static int fake_config_write(struct bh_transport *transport, uint32_t offset, const void *from,
                             uint32_t length)
{
    assert_true(offset + length <= FAKE_CONFIG);
    memcpy(&fake_of(transport)->config[offset], from, length);
    return BH_OK;
}

static int fake_queue_size_max(struct bh_transport *transport, uint16_t index, uint16_t *size)
{
    *size = index < FAKE_QUEUES ? fake_of(transport)->queue_size_max : 0;
    return BH_OK;
}

static int fake_queue_start(struct bh_transport *transport, uint16_t index,
                            const struct bh_queue_areas *areas)
{
    struct fake_device *device = fake_of(transport);
    struct fake_queue *queue = &device->queues[index];

    if (device->start_error != BH_OK) {
        return device->start_error;
    }
    assert_true(index < FAKE_QUEUES);
    assert_false(queue->running);
    queue->areas = *areas;
    queue->running = true;
    queue->starts++;
    queue->avail_next = 0;
    queue->used_next = 0;
    queue->avail_wrap = true;
    queue->used_wrap = true;
    return BH_OK;
}

static int fake_queue_reset(struct bh_transport *transport, uint16_t index)
{
    struct fake_device *device = fake_of(transport);

    if ((device->features & BH_F_RING_RESET) == 0) {
        return BH_UNSUPPORTED;
    }
    device->queues[index].running = false;
    device->queues[index].resets++;
    return BH_OK;
}

static int fake_notify(struct bh_transport *transport, uint16_t index, uint16_t next, bool wrap)
{
    struct fake_queue *queue = &fake_of(transport)->queues[index];

    queue->notifies++;
    queue->notify_next = next;
    queue->notify_wrap = wrap;
    return BH_OK;
}

static int fake_interrupts(struct bh_transport *transport, uint32_t *pending)
{
    *pending = fake_of(transport)->pending;
    fake_of(transport)->pending = 0;
    return BH_OK;
}

static const struct bh_transport_ops fake_ops = {
    .device_id = fake_device_id,
    .features_get = fake_features_get,
    .features_set = fake_features_set,
    .status_get = fake_status_get,
    .status_set = fake_status_set,
    .generation = fake_generation,
    .config_read = fake_config_read,
    .config_write = fake_config_write,
    .queue_size_max = fake_queue_size_max,
    .queue_start = fake_queue_start,
    .queue_reset = fake_queue_reset,
    .notify = fake_notify,
    .interrupts = fake_interrupts,
};

void fake_init(struct fake_device *device)
{
    memset(device, 0, sizeof(*device));
    device->transport.ops = &fake_ops;
    device->id = BH_ID_BLK;
    device->queue_size_max = FAKE_QUEUE_SIZE;
    device->offered = BH_F_VERSION_1;
    device->dma.base = aligned_alloc(4096, FAKE_MEMORY);
    assert_non_null(device->dma.base);
    memset(device->dma.base, 0xa5, FAKE_MEMORY);
    device->dma.address = FAKE_ADDRESS;
    device->dma.size = FAKE_MEMORY;
}

void fake_finish(struct fake_device *device)
{
    free(device->dma.base);
}

/* ---- memory ---- */

uint8_t *fake_at(struct fake_device *device, uint64_t address, size_t length)
{
    assert_true(address >= FAKE_ADDRESS);
    assert_true(address - FAKE_ADDRESS + length <= device->dma.size);
    return device->dma.base + (address - FAKE_ADDRESS);
}

uint64_t fake_get(struct fake_device *device, uint64_t address, unsigned bytes)
{
    const uint8_t *at = fake_at(device, address, bytes);
    uint64_t value = 0;

    for (unsigned i = 0; i < bytes; i++) {
        value |= (uint64_t)at[i] << (8 * i);
    }
    return value;
}

void fake_put(struct fake_device *device, uint64_t address, uint64_t value, unsigned bytes)
{
    uint8_t *at = fake_at(device, address, bytes);

    for (unsigned i = 0; i < bytes; i++) {
        at[i] = (uint8_t)(value >> (8 * i));
    }
}

bool fake_is_packed(const struct fake_device *device)
{
    return (device->features & BH_F_RING_PACKED) != 0;
}

/* ---- taking ---- */

/* Adds the descriptor at `address`; returns its flags. Address, length and flags lie alike in both
 * formats but for where the flags are. */
static uint16_t add(struct fake_device *device, struct fake_chain *chain, uint64_t address)
{
    unsigned flags_at = fake_is_packed(device) ? 14 : 12;
    uint16_t flags = (uint16_t)fake_get(device, address + flags_at, 2);
    struct fake_element *element = &chain->elements[chain->count];

    assert_true(chain->count < FAKE_CHAIN_MAX);
    element->address = fake_get(device, address, 8);
    element->length = (uint32_t)fake_get(device, address + 8, 4);
    element->writable = (flags & WRITE) != 0;
    chain->count++;
    return flags;
}

/* The indirect table in the place of the element that was added last. Every demand of VIRTIO on the
 * driver is checked. */
static void add_table(struct fake_device *device, struct fake_chain *chain)
{
    struct fake_element table = chain->elements[chain->count - 1];
    uint32_t entries = table.length / 16;

    assert_int_equal(table.length % 16, 0);
    assert_true(entries > 0);
    chain->count--;
    for (uint32_t i = 0; i < entries; i++) {
        uint16_t flags = add(device, chain, table.address + 16 * i);

        if (fake_is_packed(device)) {
            assert_int_equal(flags & ~WRITE, 0);
        } else {
            bool last = i + 1 == entries;

            assert_int_equal(flags & ~WRITE, last ? 0 : NEXT);
            assert_int_equal(fake_get(device, table.address + 16 * i + 14, 2), last ? 0 : i + 1);
        }
    }
}

static bool pop_split(struct fake_device *device, struct fake_queue *queue,
                      struct fake_chain *chain)
{
    uint16_t size = queue->areas.size;
    uint16_t at;
    uint16_t flags;

    if ((uint16_t)fake_get(device, queue->areas.driver + 2, 2) == queue->avail_next) {
        return false;
    }
    at = (uint16_t)fake_get(device, queue->areas.driver + 4 + 2u * (queue->avail_next % size), 2);
    queue->avail_next++;
    chain->id = at;
    do {
        uint64_t desc = queue->areas.descriptor + 16u * at;

        assert_true(at < size);
        chain->slots++;
        assert_true(chain->slots <= size);
        flags = add(device, chain, desc);
        at = (uint16_t)fake_get(device, desc + 14, 2);
        if ((flags & INDIRECT) != 0) {
            assert_int_equal(flags & NEXT, 0);
            add_table(device, chain);
        }
        if ((device->features & BH_F_IN_ORDER) != 0 && (flags & NEXT) != 0) {
            assert_int_equal(at, (chain->id + chain->slots) % size);
        }
    } while ((flags & NEXT) != 0);
    return true;
}

static bool pop_packed(struct fake_device *device, struct fake_queue *queue,
                       struct fake_chain *chain)
{
    uint16_t flags;

    do {
        uint64_t desc = queue->areas.descriptor + 16u * queue->avail_next;

        flags = (uint16_t)fake_get(device, desc + 14, 2);
        if (((flags & AVAIL) != 0) != queue->avail_wrap ||
            ((flags & USED) != 0) == queue->avail_wrap) {
            assert_int_equal(chain->slots, 0); /* a chain is shown whole or not at all */
            return false;
        }
        (void)add(device, chain, desc);
        chain->id = (uint16_t)fake_get(device, desc + 12, 2);
        chain->slots++;
        if ((flags & INDIRECT) != 0) {
            assert_int_equal(flags & NEXT, 0);
            add_table(device, chain);
        }
        queue->avail_next++;
        if (queue->avail_next == queue->areas.size) {
            queue->avail_next = 0;
            queue->avail_wrap = !queue->avail_wrap;
        }
    } while ((flags & NEXT) != 0);
    return true;
}

bool fake_pop(struct fake_device *device, unsigned queue, struct fake_chain *chain)
{
    chain->count = 0;
    chain->slots = 0;
    return fake_is_packed(device) ? pop_packed(device, &device->queues[queue], chain)
                                  : pop_split(device, &device->queues[queue], chain);
}

/* ---- using ---- */

void fake_split_entry(struct fake_device *device, unsigned queue, uint16_t at, uint32_t id,
                      uint32_t length)
{
    uint64_t entry =
        device->queues[queue].areas.device + 4 + 8u * (at % device->queues[queue].areas.size);

    fake_put(device, entry, id, 4);
    fake_put(device, entry + 4, length, 4);
}

void fake_split_index(struct fake_device *device, unsigned queue, uint16_t index)
{
    fake_put(device, device->queues[queue].areas.device + 2, index, 2);
}

void fake_packed_entry(struct fake_device *device, unsigned queue, uint16_t at, uint16_t id,
                       uint32_t length, uint16_t flags)
{
    uint64_t entry = device->queues[queue].areas.descriptor + 16u * at;

    fake_put(device, entry + 8, length, 4);
    fake_put(device, entry + 12, id, 2);
    fake_put(device, entry + 14, flags, 2);
}

void fake_push_batch(struct fake_device *device, unsigned queue, uint16_t id, uint32_t length,
                     uint16_t buffers, uint16_t slots)
{
    struct fake_queue *q = &device->queues[queue];

    if (!fake_is_packed(device)) {
        fake_split_entry(device, queue, q->used_next, id, length);
        q->used_next = (uint16_t)(q->used_next + buffers);
        fake_split_index(device, queue, q->used_next);
        return;
    }
    fake_packed_entry(device, queue, q->used_next, id, length,
                      (uint16_t)((q->used_wrap ? AVAIL | USED : 0) | (length != 0 ? WRITE : 0)));
    q->used_next = (uint16_t)(q->used_next + slots);
    if (q->used_next >= q->areas.size) {
        q->used_next = (uint16_t)(q->used_next - q->areas.size);
        q->used_wrap = !q->used_wrap;
    }
}

void fake_push(struct fake_device *device, unsigned queue, uint16_t id, uint32_t length,
               uint16_t slots)
{
    fake_push_batch(device, queue, id, length, 1, slots);
}

/* ---- suppression ---- */

void fake_split_suppress(struct fake_device *device, unsigned queue, uint16_t flags,
                         uint16_t avail_event)
{
    const struct bh_queue_areas *areas = &device->queues[queue].areas;

    fake_put(device, areas->device, flags, 2);
    fake_put(device, areas->device + 4 + 8u * areas->size, avail_event, 2);
}

void fake_packed_suppress(struct fake_device *device, unsigned queue, uint16_t offset_wrap,
                          uint16_t flags)
{
    fake_put(device, device->queues[queue].areas.device, offset_wrap, 2);
    fake_put(device, device->queues[queue].areas.device + 2, flags, 2);
}
