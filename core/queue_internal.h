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
    void (*put)(struct bh_queue *queue, uint16_t id, uint32_t written, uint16_t slots);
    /* Makes the entries written since the last time visible. */
    void (*publish)(struct bh_queue *queue);
    /* Whether the driver asked for a notification of the last `unsignalled` entries. */
    bool (*notify_due)(const struct bh_queue *queue);
    bool (*notify_enable)(struct bh_queue *queue, bool enable);
};

extern const struct bh_queue_format bh_split_format;
extern const struct bh_queue_format bh_packed_format;

/* The region that was hit last; one that holds nothing if there is none. */
static inline const struct bh_region *bh_memory_last(const struct bh_memory *memory)
{
    static const struct bh_region nowhere = {.address = 0, .size = 0, .base = NULL, .access = 0};

    return memory->last < memory->region_count ? &memory->regions[memory->last] : &nowhere;
}

/* The common case of acquiring: wholly inside the region of the last hit. NULL: anything else. */
static inline uint8_t *bh_memory_hit(const struct bh_memory *memory, uint64_t address,
                                     uint32_t length, uint32_t access)
{
    const struct bh_region *region = bh_memory_last(memory);
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

/* The most descriptors that may be looked at for one chain: what bounds the work. */
static inline uint32_t bh_chain_limit(const struct bh_queue *queue)
{
    return queue->pool != NULL ? queue->pool->block_spans : BH_CHAIN_INLINE;
}

/* A chain while it is walked. */
struct bh_walk {
    struct bh_span *spans;          /* where the chain's spans go: inline, or a block of the pool */
    const struct bh_region *region; /* of the last hit */
    uint32_t bytes;                 /* of all spans */
    uint32_t writable_bytes;        /* of the writable ones */
    uint32_t room;                  /* how many spans fit */
    uint32_t count;                 /* how many there are */
    uint32_t writable_count;        /* of these, the last ones */
    uint32_t budget; /* how many descriptors may still be looked at: what bounds the work */
    uint16_t block;  /* of the pool, or BH_CHAIN_NO_BLOCK */
};

/* Begins an empty chain of at most `ring` ring descriptors. */
static inline struct bh_walk bh_walk_begin(const struct bh_queue *queue, struct bh_chain *chain,
                                           uint32_t ring)
{
    uint32_t limit = bh_chain_limit(queue);

    return (struct bh_walk){
        .spans = chain->inline_spans,
        .region = bh_memory_last(queue->memory),
        .room = BH_CHAIN_INLINE,
        .budget = ring < limit ? ring : limit,
        .block = BH_CHAIN_NO_BLOCK,
    };
}

/* Adds the memory of one descriptor if that is simple: wholly inside the region of the last hit, in
 * the room that is there, in order. False: nothing was added.
 * The formats call this in a loop that calls nothing else, so that the compiler keeps the walk in
 * registers: it is the hottest loop of every device. */
static inline bool bh_walk_hit(struct bh_walk *walk, const struct bh_journal_desc *desc)
{
    uint64_t offset = desc->address - walk->region->address;
    bool writable = (desc->flags & BH_DESC_WRITE) != 0u;
    uint32_t right = writable ? BH_ACCESS_WRITE : BH_ACCESS_READ;

    if (offset >= walk->region->size || desc->length > walk->region->size - offset ||
        desc->length == 0u || (walk->region->access & right) == 0u || walk->count >= walk->room ||
        (!writable && walk->writable_count != 0u) || walk->budget == 0u ||
        desc->length > UINT32_MAX - walk->bytes || (desc->flags & BH_DESC_INDIRECT) != 0u) {
        return false;
    }
    walk->spans[walk->count].base = walk->region->base + offset;
    walk->spans[walk->count].length = desc->length;
    walk->count++;
    walk->budget--;
    walk->bytes += desc->length;
    if (writable) {
        walk->writable_count++;
        walk->writable_bytes += desc->length;
    }
    return true;
}

/* Adds the memory of any descriptor but an indirect one. BH_OK, BH_AGAIN, or a fault's error. */
int bh_walk_add(struct bh_queue *queue, struct bh_walk *walk, const struct bh_journal_desc *desc,
                struct bh_place place);

/* Ends the walk. `error` is BH_OK: fills the chain; else: releases what it holds. */
void bh_walk_end(struct bh_queue *queue, const struct bh_walk *walk, struct bh_chain *chain,
                 int error);

/* Gives back everything that a chain holds. */
void bh_chain_release(struct bh_queue *queue, const struct bh_chain *chain);

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

#endif
