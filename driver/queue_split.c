/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The bytes of a split virtqueue, driver side (VIRTIO 1.4, 2.7). The slots mirror the descriptor
 * table: slot n belongs to descriptor n, and its `next` is the way along a chain or the free list.
 * The table in shared memory is written and never read.
 *
 * In order, descriptors are used in ring order (2.7.9): then `next` is always the next descriptor,
 * and freeing is counting.
 */
#include "ring.h"

static struct bh_split_desc *table_of(const struct bh_driver_queue *queue)
{
    return (struct bh_split_desc *)(void *)queue->descriptor;
}

static struct bh_split_avail *avail_of(const struct bh_driver_queue *queue)
{
    return (struct bh_split_avail *)(void *)queue->driver;
}

static const struct bh_split_used *used_of(const struct bh_driver_queue *queue)
{
    return (const struct bh_split_used *)(const void *)queue->device;
}

static void fill(struct bh_split_desc *desc, const struct bh_buffer *element, uint16_t flags,
                 uint16_t next)
{
    desc->address = BH_LE64(element->address);
    desc->length = BH_LE32(element->length);
    desc->flags = BH_LE16(flags);
    desc->next = BH_LE16(next);
}

/* The flags of element `i`. */
static uint16_t flags_of(const struct bh_driver_chain *chain, uint16_t i)
{
    uint16_t flags = i < chain->readable ? (uint16_t)0 : (uint16_t)BH_DESC_WRITE;

    if (i + 1u < chain->count) {
        flags |= BH_DESC_NEXT;
    }
    return flags;
}

/* Fills the table of slot `head`: descriptors follow each other (VIRTIO 1.4, 2.7.5.3). */
static void put_table(const struct bh_driver_queue *queue, const struct bh_driver_chain *chain,
                      uint16_t head)
{
    struct bh_split_desc *table = bh_driver_table(queue, head);
    const struct bh_buffer all = {bh_driver_table_address(queue, head),
                                  (uint32_t)(chain->count * sizeof(struct bh_split_desc))};

    for (uint16_t i = 0; i < chain->count; i++) {
        const bool last = i + 1u == chain->count;

        fill(&table[i], &chain->elements[i], flags_of(chain, i),
             last ? (uint16_t)0 : (uint16_t)(i + 1u));
    }
    fill(&table_of(queue)[head], &all, BH_DESC_INDIRECT, 0);
}

uint16_t bh_driver_split_put(struct bh_driver_queue *queue, const struct bh_driver_chain *chain,
                             bool indirect)
{
    const uint16_t head = queue->free_head;
    uint16_t next = queue->slots[head].next;

    if (indirect) {
        put_table(queue, chain, head);
    } else {
        uint16_t index = head;

        for (uint16_t i = 0; i < chain->count; i++) {
            next = queue->slots[index].next;
            fill(&table_of(queue)[index], &chain->elements[i], flags_of(chain, i), next);
            index = next;
        }
    }
    queue->free_head = next;

    const uint16_t place = (uint16_t)(queue->added & (queue->size - 1u));

    bh_store16(&avail_of(queue)->ring[place], head);
    return head;
}

/* Whether the device wants to be told that the index went from `before` to `after` (VIRTIO 1.4,
 * 2.7.10). Whatever it writes there, it can only deny itself a notification. */
static bool notify_due(const struct bh_driver_queue *queue, uint16_t before, uint16_t after)
{
    const struct bh_split_used *used = used_of(queue);

    if (queue->event_idx) {
        const uint16_t *event = (const uint16_t *)(const void *)&used->ring[queue->size];

        return bh_event_due(bh_load16(event), after, before) != 0;
    }
    return (bh_load16(&used->flags) & BH_SPLIT_USED_NO_NOTIFY) == 0u;
}

bool bh_driver_split_publish(struct bh_driver_queue *queue)
{
    const uint16_t before = (uint16_t)(queue->published & 0xffffu);
    const uint16_t after = (uint16_t)(queue->added & 0xffffu);

    bh_store16_release(&avail_of(queue)->index, after);
    bh_barrier();
    return notify_due(queue, before, after);
}

int bh_driver_split_used(struct bh_driver_queue *queue, struct bh_driver_used *used)
{
    const struct bh_split_used *ring = used_of(queue);
    const uint16_t collected = (uint16_t)(queue->collected & 0xffffu);

    if (collected == queue->used_seen) {
        const uint16_t index = bh_load16_acquire(&ring->index);
        const uint16_t news = (uint16_t)(index - collected);

        if (news > queue->published - queue->collected) {
            return BH_PROTOCOL; /* it ran ahead of what it was given, or went back */
        }
        if (news == 0u) {
            return 0;
        }
        queue->used_seen = index;
    }

    const struct bh_split_used_element *element = &ring->ring[collected & (queue->size - 1u)];

    used->id = bh_load32(&element->id);
    used->length = bh_load32(&element->length);
    used->buffers_max = (uint16_t)(queue->used_seen - collected);
    return 1;
}

void bh_driver_split_retire(struct bh_driver_queue *queue, uint16_t id)
{
    const uint16_t count = queue->slots[id].count;

    if (queue->in_order) {
        queue->order_head = (uint16_t)((id + count) & (queue->size - 1u));
        return;
    }

    uint16_t tail = id;

    for (uint16_t i = 1; i < count; i++) {
        tail = queue->slots[tail].next;
    }
    queue->slots[tail].next = queue->free_head;
    queue->free_head = id;
}

void bh_driver_split_notify(struct bh_driver_queue *queue, bool enable)
{
    struct bh_split_avail *avail = avail_of(queue);
    const uint16_t collected = (uint16_t)(queue->collected & 0xffffu);

    if (queue->event_idx) {
        /* The flags stay 0 (VIRTIO 1.4, 2.7.7.1). `none` is the index that is farthest away: one
         * notification in 65536 buffers. */
        bh_store16(&avail->ring[queue->size], enable ? collected : (uint16_t)(collected - 1u));
    } else {
        bh_store16(&avail->flags, enable ? (uint16_t)0 : (uint16_t)BH_SPLIT_AVAIL_NO_INTERRUPT);
    }
}

bool bh_driver_split_waiting(const struct bh_driver_queue *queue)
{
    const uint16_t collected = (uint16_t)(queue->collected & 0xffffu);

    return queue->used_seen != collected || bh_load16(&used_of(queue)->index) != collected;
}
