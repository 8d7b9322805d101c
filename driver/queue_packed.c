/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The bytes of a packed virtqueue, driver side (VIRTIO 1.4, 2.8). Slots belong to buffer ids, not to
 * places in the ring: a buffer's descriptors lie where the ring had got to, and its id comes from a
 * list of free ones (in order: from a counter, 2.8.9).
 *
 * A batch becomes visible with one store, of the flags of its first descriptor: the device looks at
 * no later one before that.
 */
#include "ring.h"

#define USED_BOTH (BH_DESC_AVAIL | BH_DESC_USED)

#define EVENT_WRAP 0x8000u

static struct bh_packed_desc *ring_of(const struct bh_driver_queue *queue)
{
    return (struct bh_packed_desc *)(void *)queue->descriptor;
}

/* Writes one descriptor of the ring and steps on; the first of a batch keeps its old flags until
 * publish. */
static void put(struct bh_driver_queue *queue, const struct bh_buffer *element, uint16_t id,
                uint16_t flags)
{
    struct bh_packed_desc *desc = &ring_of(queue)[queue->avail_next];
    const uint16_t all = (uint16_t)(flags | (queue->avail_wrap ? BH_DESC_AVAIL : BH_DESC_USED));

    desc->address = BH_LE64(element->address);
    desc->length = BH_LE32(element->length);
    desc->id = BH_LE16(id);
    if (queue->batch == 0u) {
        queue->first_next = queue->avail_next;
        queue->first_flags = all;
    } else {
        bh_store16(&desc->flags, all);
    }
    queue->batch++;
    queue->avail_next = bh_driver_step(queue, queue->avail_next);
    if (queue->avail_next == 0u) {
        queue->avail_wrap = !queue->avail_wrap;
    }
}

/* Fills the table of buffer `id`: only WRITE means something there (VIRTIO 1.4, 2.8.7). */
static void put_table(struct bh_driver_queue *queue, const struct bh_driver_chain *chain,
                      uint16_t id)
{
    struct bh_packed_desc *table = bh_driver_table(queue, id);
    const struct bh_buffer all = {bh_driver_table_address(queue, id),
                                  (uint32_t)(chain->count * sizeof(struct bh_packed_desc))};

    for (uint16_t i = 0; i < chain->count; i++) {
        const uint16_t flags = i < chain->readable ? (uint16_t)0 : (uint16_t)BH_DESC_WRITE;

        table[i].address = BH_LE64(chain->elements[i].address);
        table[i].length = BH_LE32(chain->elements[i].length);
        table[i].id = 0;
        table[i].flags = BH_LE16(flags);
    }
    put(queue, &all, id, BH_DESC_INDIRECT);
}

uint16_t bh_driver_packed_put(struct bh_driver_queue *queue, const struct bh_driver_chain *chain,
                              bool indirect)
{
    const uint16_t id = queue->free_head;

    queue->free_head = queue->slots[id].next;
    if (indirect) {
        put_table(queue, chain, id);
        return id;
    }
    for (uint16_t i = 0; i < chain->count; i++) {
        uint16_t flags = i < chain->readable ? (uint16_t)0 : (uint16_t)BH_DESC_WRITE;

        if (i + 1u < chain->count) {
            flags |= BH_DESC_NEXT;
        }
        put(queue, &chain->elements[i], id, flags);
    }
    return id;
}

/* Whether the device wants to be told of the last `batch` descriptors (VIRTIO 1.4, 2.8.10). The
 * structure is read in one piece, so that offset and flags belong together. */
static bool notify_due(const struct bh_driver_queue *queue, uint16_t batch)
{
    const uint32_t event = bh_load32((const uint32_t *)(const void *)queue->device);
    const uint32_t flags = (event >> 16) & 3u;
    uint16_t offset = (uint16_t)(event & 0x7fffu);

    if (flags != BH_PACKED_EVENT_DESC || !queue->event_idx) {
        return flags != BH_PACKED_EVENT_DISABLE;
    }
    if (((event & EVENT_WRAP) != 0u) != queue->avail_wrap) {
        offset = (uint16_t)(offset - queue->size); /* it lies in the lap before */
    }
    return bh_event_due(offset, queue->avail_next, (uint16_t)(queue->avail_next - batch)) != 0;
}

bool bh_driver_packed_publish(struct bh_driver_queue *queue)
{
    const uint16_t batch = queue->batch;

    bh_store16_release(&ring_of(queue)[queue->first_next].flags, queue->first_flags);
    queue->batch = 0;
    bh_barrier();
    return notify_due(queue, batch);
}

/* A descriptor is used when both bits equal the wrap counter (VIRTIO 1.4, 2.8.1). */
static bool is_used(const struct bh_driver_queue *queue, uint16_t flags)
{
    return (flags & USED_BOTH) == (queue->used_wrap ? USED_BOTH : 0u);
}

int bh_driver_packed_used(struct bh_driver_queue *queue, struct bh_driver_used *used)
{
    const struct bh_packed_desc *desc = &ring_of(queue)[queue->used_next];
    const uint16_t flags = bh_load16_acquire(&desc->flags);

    if (!is_used(queue, flags)) {
        return 0;
    }
    used->id = bh_load16(&desc->id);
    /* Without WRITE the length says nothing (VIRTIO 1.4, 2.8.4). */
    used->length = (flags & BH_DESC_WRITE) != 0u ? bh_load32(&desc->length) : 0u;
    used->buffers_max = queue->published - queue->collected;
    return 1;
}

void bh_driver_packed_retire(struct bh_driver_queue *queue, uint16_t id)
{
    uint32_t next = (uint32_t)queue->used_next + queue->slots[id].count;

    if (next >= queue->size) {
        next -= queue->size;
        queue->used_wrap = !queue->used_wrap;
    }
    queue->used_next = (uint16_t)next;
    if (queue->in_order) {
        queue->order_head = bh_driver_step(queue, id);
    } else {
        queue->slots[id].next = queue->free_head;
        queue->free_head = id;
    }
}

void bh_driver_packed_notify(struct bh_driver_queue *queue, bool enable)
{
    uint32_t event = (uint32_t)BH_PACKED_EVENT_DISABLE << 16;

    if (enable && queue->event_idx) {
        event = ((uint32_t)BH_PACKED_EVENT_DESC << 16) | queue->used_next |
                (queue->used_wrap ? EVENT_WRAP : 0u);
    } else if (enable) {
        event = (uint32_t)BH_PACKED_EVENT_ENABLE << 16;
    } else {
        /* none: as it was initialised */
    }
    bh_store32((uint32_t *)(void *)queue->driver, event);
}

bool bh_driver_packed_waiting(const struct bh_driver_queue *queue)
{
    return is_used(queue, bh_load16(&ring_of(queue)[queue->used_next].flags));
}
