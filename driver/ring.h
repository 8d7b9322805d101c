/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the two ring formats give queue.c. A format knows the bytes of its ring and the free lists;
 * what is in flight, and whether the device told the truth about it, is judged in queue.c, once for
 * both.
 *
 * Nothing here is read back from memory that the device can write, but the few words that it is the
 * device's business to write: used entries, the used index, and its event suppression.
 */
#ifndef BULKHEAD_DRIVER_RING_H
#define BULKHEAD_DRIVER_RING_H

#include "bulkhead/bytes.h"
#include "bulkhead/driver_queue.h"

/* A used entry as the device wrote it: nothing in it is to be believed. */
struct bh_driver_used {
    uint32_t id;
    uint32_t length;
    uint64_t buffers_max; /* how many buffers it can stand for, by the device's own index */
};

/* The elements of a buffer that go to the ring or into an indirect table. */
struct bh_driver_chain {
    const struct bh_buffer *elements;
    uint16_t readable;
    uint16_t count; /* readable and writable ones */
};

/* Puts a chain that fits, invisible to the device; returns its slot. `indirect`: into the slot's
 * table, and one descriptor into the ring. */
uint16_t bh_driver_split_put(struct bh_driver_queue *queue, const struct bh_driver_chain *chain,
                             bool indirect);
uint16_t bh_driver_packed_put(struct bh_driver_queue *queue, const struct bh_driver_chain *chain,
                              bool indirect);

/* Shows the device all that was put; true: it wants a notification. */
bool bh_driver_split_publish(struct bh_driver_queue *queue);
bool bh_driver_packed_publish(struct bh_driver_queue *queue);

/* The next used entry: 1; 0: none; BH_PROTOCOL (split): the index says more than was given out. */
int bh_driver_split_used(struct bh_driver_queue *queue, struct bh_driver_used *used);
int bh_driver_packed_used(struct bh_driver_queue *queue, struct bh_driver_used *used);

/* Frees the ring descriptors of the buffer in `id`, and steps over it. */
void bh_driver_split_retire(struct bh_driver_queue *queue, uint16_t id);
void bh_driver_packed_retire(struct bh_driver_queue *queue, uint16_t id);

void bh_driver_split_notify(struct bh_driver_queue *queue, bool enable);
void bh_driver_packed_notify(struct bh_driver_queue *queue, bool enable);

/* Whether a used entry is there. */
bool bh_driver_split_waiting(const struct bh_driver_queue *queue);
bool bh_driver_packed_waiting(const struct bh_driver_queue *queue);

/* The indirect table of a slot: as this side sees it, and as the device does. */
static inline void *bh_driver_table(const struct bh_driver_queue *queue, uint16_t slot)
{
    return queue->indirect + (size_t)slot * queue->indirect_max * sizeof(struct bh_split_desc);
}

static inline uint64_t bh_driver_table_address(const struct bh_driver_queue *queue, uint16_t slot)
{
    return queue->indirect_address +
           (uint64_t)slot * queue->indirect_max * sizeof(struct bh_split_desc);
}

/* One step along a ring whose size need not be a power of 2. */
static inline uint16_t bh_driver_step(const struct bh_driver_queue *queue, uint16_t position)
{
    return position + 1u == queue->size ? 0u : (uint16_t)(position + 1u);
}

#endif
