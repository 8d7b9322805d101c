/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the files of core/ share and nobody else needs: the table that a ring format implements, and
 * how a chain is put together from descriptors.
 */
#ifndef BULKHEAD_CORE_QUEUE_INTERNAL_H
#define BULKHEAD_CORE_QUEUE_INTERNAL_H

#include "bulkhead/bytes.h"
#include "bulkhead/queue.h"

/* A ring format. All functions are called for running (put, publish: also draining) queues only. */
struct bh_queue_format {
    /* Whether size and alignment fit (VIRTIO 1.4, 2.7 and 2.8). */
    bool (*fits)(const struct bh_queue *queue, const struct bh_queue_setup *setup);
    /* The rings are mapped: take over the indices. */
    void (*begin)(struct bh_queue *queue, const struct bh_queue_setup *setup);
    /* Fills `chain` from the ring. 1, 0, BH_AGAIN, or the error that bh_queue_fault returned. */
    int (*pop)(struct bh_queue *queue, struct bh_chain *chain);
    /* Fills `chain` from the journal's entry queue->resume_entry. */
    int (*resume)(struct bh_queue *queue, struct bh_chain *chain);
    /* Writes one used entry, invisible to the driver; moves used_next on. */
    void (*put)(struct bh_queue *queue, const struct bh_order_slot *used);
    /* Makes the entries written since the last time visible. */
    void (*publish)(struct bh_queue *queue);
    /* Whether the driver asked for a notification of the last `unsignalled` entries. */
    bool (*notify_due)(const struct bh_queue *queue);
    bool (*notify_enable)(struct bh_queue *queue, bool enable);
};

extern const struct bh_queue_format bh_split_format;
extern const struct bh_queue_format bh_packed_format;

/* The common case of acquiring: wholly inside the region of the last hit. NULL: anything else. */
static inline uint8_t *bh_memory_hit(const struct bh_memory *memory, uint64_t address,
                                     uint32_t length, uint32_t access)
{
    if (memory->last >= memory->region_count) {
        return NULL;
    }

    const struct bh_region *region = &memory->regions[memory->last];
    uint64_t offset = address - region->address;
    uint32_t rights = access & (BH_ACCESS_READ | BH_ACCESS_WRITE);

    if (offset >= region->size || length > region->size - offset ||
        (region->access & rights) != rights) {
        return NULL;
    }
    return region->base + offset;
}

/* Where a descriptor was found, for the fault record. */
struct bh_place {
    uint16_t head;
    uint16_t index;
};

/* Records a violation and makes the queue faulty. `desc` may be NULL. Returns `error`. */
int bh_queue_fault(struct bh_queue *queue, int error, const char *reason, struct bh_place place,
                   const struct bh_journal_desc *desc);

/* Begins an empty chain. */
void bh_chain_begin(struct bh_chain *chain);

/* Adds the memory of one descriptor (local copy). BH_OK, BH_AGAIN, or a fault's error. */
int bh_chain_add(struct bh_queue *queue, struct bh_chain *chain, const struct bh_journal_desc *desc,
                 struct bh_place place);

/* Gives back everything that a chain holds. */
void bh_chain_release(struct bh_queue *queue, struct bh_chain *chain);

/* The most descriptors that may be looked at for one chain: what bounds the work. */
static inline uint32_t bh_chain_limit(const struct bh_queue *queue)
{
    return queue->pool != NULL ? queue->pool->block_spans : BH_CHAIN_INLINE;
}

/* An indirect table while it is walked: acquired, possibly in a few pieces. */
#define BH_TABLE_SPANS 4u

struct bh_table {
    struct bh_span spans[BH_TABLE_SPANS];
    uint32_t span_count;
    uint32_t entries;
};

/* Acquires the table that `desc` refers to. BH_OK, BH_AGAIN, or a fault's error. */
int bh_table_open(struct bh_queue *queue, const struct bh_journal_desc *desc, struct bh_place place,
                  struct bh_table *table);
void bh_table_close(struct bh_queue *queue, const struct bh_table *table);

/* Copies entry `index` (< entries), 16 bytes, once. */
void bh_table_read(const struct bh_table *table, uint32_t index, void *to);

/* Counts a popped chain; the format filled id and slots. */
void bh_queue_popped(struct bh_queue *queue, struct bh_chain *chain);

#endif
