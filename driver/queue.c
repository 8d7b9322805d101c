/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The driver side of a virtqueue, as far as both formats have it in common: what is in flight, and
 * whether a used entry can be true. The bytes of the rings are queue_split.c's and queue_packed.c's.
 *
 * A used entry is believed only if its id names a buffer that the device was shown and that has not
 * come back (the slot's token and sequence number, private memory), and its length is at most what
 * the device might write. The first lie makes the queue faulty: from then on it hands out nothing,
 * because what the rings say is worth nothing.
 */
#include "ring.h"

/* Areas begin at a cache line of their own, so that no side's writes take a line from the other's
 * (VIRTIO itself asks for 16 bytes at most). */
#define LINE 64u

/* In 64 bits: the largest tables would wrap a 32-bit size_t. */
static uint64_t lines(uint64_t bytes)
{
    return (bytes + LINE - 1u) / LINE * LINE;
}

static uint64_t tables_size(uint16_t size, uint16_t indirect_max)
{
    return (uint64_t)size * indirect_max * sizeof(struct bh_split_desc);
}

uint64_t bh_driver_queue_bytes(uint16_t size, uint16_t indirect_max, bool packed)
{
    return LINE + lines(bh_descriptor_area_size(size)) + lines(bh_driver_area_size(size, packed)) +
           lines(bh_device_area_size(size, packed)) + lines(tables_size(size, indirect_max));
}

static uint8_t *take_lines(struct bh_dma *dma, uint64_t bytes)
{
    const uint64_t whole = lines(bytes);

    return whole <= dma->size ? bh_dma_take(dma, (size_t)whole, LINE) : NULL;
}

/* An empty queue in zeroed ring memory. */
static void begin(struct bh_driver_queue *queue)
{
    queue->faulty = false;
    queue->fault = NULL;
    queue->added = 0;
    queue->published = 0;
    queue->collected = 0;
    queue->order_end = 0;
    queue->order_written = 0;
    queue->free_count = queue->size;
    queue->free_head = 0;
    queue->order_head = 0;
    queue->used_seen = 0;
    queue->avail_next = 0;
    queue->used_next = 0;
    queue->avail_wrap = true; /* both wrap counters begin at 1 (VIRTIO 1.4, 2.8.1) */
    queue->used_wrap = true;
    queue->batch = 0;
    queue->first_next = 0;
    queue->first_flags = 0;
    for (uint16_t i = 0; i < queue->size; i++) {
        struct bh_driver_slot *slot = &queue->slots[i];

        slot->token = NULL;
        slot->sequence = 0;
        slot->writable = 0;
        slot->count = 0;
        slot->next = bh_driver_step(queue, i);
    }
}

/* Takes the three areas and the indirect tables from `dma`. */
static int take(struct bh_driver_queue *queue, struct bh_dma *dma)
{
    const bool packed = queue->packed;

    queue->descriptor = take_lines(dma, bh_descriptor_area_size(queue->size));
    queue->driver = take_lines(dma, bh_driver_area_size(queue->size, packed));
    queue->device = take_lines(dma, bh_device_area_size(queue->size, packed));
    if (queue->descriptor == NULL || queue->driver == NULL || queue->device == NULL) {
        return BH_NO_MEMORY;
    }
    queue->areas.descriptor = bh_dma_address(dma, queue->descriptor);
    queue->areas.driver = bh_dma_address(dma, queue->driver);
    queue->areas.device = bh_dma_address(dma, queue->device);
    queue->areas.size = queue->size;
    queue->indirect = NULL;
    if (queue->indirect_max != 0u) {
        queue->indirect = take_lines(dma, tables_size(queue->size, queue->indirect_max));
        if (queue->indirect == NULL) {
            return BH_NO_MEMORY;
        }
        queue->indirect_address = bh_dma_address(dma, queue->indirect);
    }
    return BH_OK;
}

int bh_driver_queue_init(struct bh_driver_queue *queue, const struct bh_driver_queue_setup *setup)
{
    const uint16_t size = setup->size;
    uint16_t size_max = 0;

    queue->faulty = true; /* until it runs */
    queue->fault = NULL;
    queue->transport = setup->transport;
    queue->slots = setup->slots;
    queue->index = setup->index;
    queue->size = size;
    queue->packed = (setup->features & BH_F_RING_PACKED) != 0u;
    queue->event_idx = (setup->features & BH_F_EVENT_IDX) != 0u;
    queue->in_order = (setup->features & BH_F_IN_ORDER) != 0u;
    queue->indirect_max =
        (setup->features & BH_F_INDIRECT_DESC) != 0u ? setup->indirect_max : (uint16_t)0;

    if (size == 0u || size > BH_QUEUE_SIZE_MAX) {
        return BH_INVALID;
    }
    if (!queue->packed && (size & (size - 1u)) != 0u) {
        return BH_INVALID;
    }

    int result = setup->transport->ops->queue_size_max(setup->transport, setup->index, &size_max);

    if (result != BH_OK) {
        return result;
    }
    if (size > size_max) {
        return BH_LIMIT;
    }
    result = take(queue, setup->dma);
    if (result != BH_OK) {
        return result;
    }
    result = queue->transport->ops->queue_start(queue->transport, queue->index, &queue->areas);
    if (result == BH_OK) {
        begin(queue);
    }
    return result;
}

int bh_driver_queue_restart(struct bh_driver_queue *queue)
{
    const bool packed = queue->packed;
    int result = queue->transport->ops->queue_reset(queue->transport, queue->index);

    if (result != BH_OK) {
        return result;
    }
    /* VIRTIO 1.4, 2.6.1: the device has let go of the rings, they are the driver's again. */
    bh_fill(queue->descriptor, 0, bh_descriptor_area_size(queue->size));
    bh_fill(queue->driver, 0, bh_driver_area_size(queue->size, packed));
    bh_fill(queue->device, 0, bh_device_area_size(queue->size, packed));
    result = queue->transport->ops->queue_start(queue->transport, queue->index, &queue->areas);
    if (result == BH_OK) {
        begin(queue);
    } else {
        queue->faulty = true;
    }
    return result;
}

/* Adds up the elements from `from` to `to`. BH_INVALID: an empty one. */
static int add_up(const struct bh_buffer *elements, uint16_t from, uint16_t to, uint64_t *bytes)
{
    for (uint16_t i = from; i < to; i++) {
        if (elements[i].length == 0u) {
            return BH_INVALID;
        }
        *bytes += elements[i].length;
    }
    return BH_OK;
}

int bh_driver_queue_add(struct bh_driver_queue *queue, const struct bh_buffer *elements,
                        uint16_t readable, uint16_t writable, void *token)
{
    const uint32_t count = (uint32_t)readable + writable;
    uint64_t readable_bytes = 0;
    uint64_t writable_bytes = 0;

    if (queue->faulty) {
        return BH_PROTOCOL;
    }
    if (count == 0u || token == NULL) {
        return BH_INVALID;
    }
    /* No chain is longer than the queue, in an indirect table either (VIRTIO 1.4, 2.7.5.3.1 and
     * 2.8.19). */
    if (count > queue->size) {
        return BH_LIMIT;
    }
    if (add_up(elements, 0, readable, &readable_bytes) != BH_OK ||
        add_up(elements, readable, (uint16_t)count, &writable_bytes) != BH_OK) {
        return BH_INVALID;
    }
    if (readable_bytes + writable_bytes > UINT32_MAX) {
        return BH_LIMIT;
    }

    const bool indirect = count > 1u && count <= queue->indirect_max;
    const uint16_t taken = indirect ? (uint16_t)1 : (uint16_t)count;

    if (taken > queue->free_count) {
        return BH_AGAIN;
    }

    const struct bh_driver_chain chain = {elements, readable, (uint16_t)count};
    const uint16_t id = queue->packed ? bh_driver_packed_put(queue, &chain, indirect)
                                      : bh_driver_split_put(queue, &chain, indirect);
    struct bh_driver_slot *slot = &queue->slots[id];

    slot->token = token;
    slot->sequence = queue->added;
    slot->writable = (uint32_t)writable_bytes;
    slot->count = taken;
    queue->free_count = (uint16_t)(queue->free_count - taken);
    queue->added++;
    return BH_OK;
}

int bh_driver_queue_publish(struct bh_driver_queue *queue)
{
    uint16_t next = queue->avail_next;
    bool wrap = queue->avail_wrap;

    if (queue->faulty) {
        return BH_PROTOCOL;
    }
    if (queue->added == queue->published) {
        return BH_OK;
    }

    const bool due =
        queue->packed ? bh_driver_packed_publish(queue) : bh_driver_split_publish(queue);

    queue->published = queue->added;
    if (!due) {
        return BH_OK;
    }
    if (!queue->packed) {
        next = (uint16_t)(queue->published & 0x7fffu);
        wrap = (queue->published & 0x8000u) != 0u;
    }
    return queue->transport->ops->notify(queue->transport, queue->index, next, wrap);
}

static int lie(struct bh_driver_queue *queue, const char *fault)
{
    queue->faulty = true;
    queue->fault = fault;
    return BH_PROTOCOL;
}

/* What cannot be true of a used entry; NULL: it can be. */
static const char *implausible(const struct bh_driver_queue *queue,
                               const struct bh_driver_used *used)
{
    if (used->id >= queue->size) {
        return "used id out of range";
    }

    const struct bh_driver_slot *slot = &queue->slots[used->id];

    if (slot->token == NULL || slot->sequence >= queue->published) {
        return "used id of no buffer in flight";
    }
    if (used->length > slot->writable) {
        return "used length beyond the buffer";
    }
    /* In order, an entry stands for all older buffers too (VIRTIO 1.4, 2.7.9 and 2.8.9). */
    if (queue->in_order && slot->sequence - queue->collected >= used->buffers_max) {
        return "used id ahead of the used index";
    }
    return NULL;
}

/* Hands out the buffer in slot `id`. */
static int hand_out(struct bh_driver_queue *queue, uint16_t id, void **token)
{
    struct bh_driver_slot *slot = &queue->slots[id];

    *token = slot->token;
    slot->token = NULL;
    queue->free_count = (uint16_t)(queue->free_count + slot->count);
    queue->collected++;
    if (queue->packed) {
        bh_driver_packed_retire(queue, id);
    } else {
        bh_driver_split_retire(queue, id);
    }
    return 1;
}

/* The oldest buffer of the open batch: only the last one's length was reported. */
static int hand_out_in_order(struct bh_driver_queue *queue, void **token, uint32_t *written)
{
    const uint16_t id = queue->order_head;
    const bool last = queue->collected + 1u == queue->order_end;

    *written = last ? queue->order_written : queue->slots[id].writable;
    return hand_out(queue, id, token);
}

int bh_driver_queue_collect(struct bh_driver_queue *queue, void **token, uint32_t *written)
{
    struct bh_driver_used used = {0, 0, 0};

    if (queue->faulty) {
        return BH_PROTOCOL;
    }
    if (queue->collected < queue->order_end) {
        return hand_out_in_order(queue, token, written);
    }

    const int result =
        queue->packed ? bh_driver_packed_used(queue, &used) : bh_driver_split_used(queue, &used);

    if (result == 0) {
        return 0;
    }
    if (result < 0) {
        return lie(queue, "used index ahead of what was made available");
    }

    const char *fault = implausible(queue, &used);

    if (fault != NULL) {
        return lie(queue, fault);
    }

    const uint16_t id = (uint16_t)used.id;

    if (!queue->in_order) {
        *written = used.length;
        return hand_out(queue, id, token);
    }
    queue->order_end = queue->slots[id].sequence + 1u;
    queue->order_written = used.length;
    return hand_out_in_order(queue, token, written);
}

bool bh_driver_queue_notify_enable(struct bh_driver_queue *queue, bool enable)
{
    if (queue->faulty) {
        return enable; /* collect has something to say */
    }
    if (queue->packed) {
        bh_driver_packed_notify(queue, enable);
    } else {
        bh_driver_split_notify(queue, enable);
    }
    if (!enable) {
        return false;
    }
    /* Between the wish and the look: what the device used before it could see the wish is found
     * here, what it uses after is notified (VIRTIO 1.4, 2.7.14 and 2.8.22). */
    bh_barrier();
    return queue->collected < queue->order_end ||
           (queue->packed ? bh_driver_packed_waiting(queue) : bh_driver_split_waiting(queue));
}

uint32_t bh_driver_queue_base(const struct bh_driver_queue *queue)
{
    if (!queue->packed) {
        return (uint32_t)(queue->collected & 0xffffu);
    }

    const uint32_t half = queue->used_next | (queue->used_wrap ? 0x8000u : 0u);

    return half | (half << 16);
}
