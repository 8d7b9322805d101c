/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Chains: their spans, the pool those come from, indirect tables, and the copies that device models
 * make. Not here: how a chain is found in a ring (split.c, packed.c).
 */
#include "queue_internal.h"

void bh_span_pool_init(struct bh_span_pool *pool, struct bh_span *blocks, uint16_t *free,
                       uint16_t block_count, uint16_t block_spans)
{
    pool->blocks = blocks;
    pool->free = free;
    pool->free_count = block_count;
    pool->block_count = block_count;
    pool->block_spans = block_spans;
    for (uint16_t i = 0; i < block_count; i++) {
        /* The first block lies on top of the stack. */
        free[i] = (uint16_t)(block_count - 1u - i);
    }
}

/* Moves the spans into a block of the pool. */
static bool take_block(struct bh_span_pool *pool, struct bh_walk *walk)
{
    const struct bh_span *before = walk->spans;

    if (pool->free_count == 0u) {
        return false;
    }
    pool->free_count--;
    walk->block = pool->free[pool->free_count];
    walk->spans = &pool->blocks[(size_t)walk->block * pool->block_spans];
    walk->room = pool->block_spans;
    bh_copy(walk->spans, before, walk->count * sizeof(walk->spans[0]));
    return true;
}

static const char *refusal(int error)
{
    switch (error) {
    case BH_GONE:
        return "memory of a descriptor is gone";
    case BH_LIMIT:
        return "chain has more pieces than the limit";
    default:
        return "descriptor outside the device's memory";
    }
}

/* Acquires into the chain; goes over to a block of the pool where the inline spans do not suffice.
 */
static int acquire(struct bh_queue *queue, struct bh_walk *walk, const struct bh_journal_desc *desc,
                   uint32_t access)
{
    int got = bh_memory_acquire(queue->memory, desc->address, desc->length, access,
                                &walk->spans[walk->count], walk->room - walk->count);

    if (got != BH_LIMIT || walk->block != BH_CHAIN_NO_BLOCK || queue->pool == NULL) {
        return got;
    }
    if (!take_block(queue->pool, walk)) {
        return BH_AGAIN;
    }
    return bh_memory_acquire(queue->memory, desc->address, desc->length, access,
                             &walk->spans[walk->count], walk->room - walk->count);
}

int bh_walk_add(struct bh_queue *queue, struct bh_walk *walk, const struct bh_journal_desc *desc,
                struct bh_place place)
{
    bool writable = (desc->flags & BH_DESC_WRITE) != 0u;

    if (bh_walk_hit(walk, desc)) {
        return BH_OK;
    }
    if (walk->budget == 0u) {
        return bh_queue_fault(queue, BH_LIMIT, "chain longer than the limit", place, desc);
    }
    if (!writable && walk->writable_count != 0u) {
        return bh_queue_fault(queue, BH_PROTOCOL, "readable descriptor after a writable one", place,
                              desc);
    }
    if (desc->length > UINT32_MAX - walk->bytes) {
        return bh_queue_fault(queue, BH_PROTOCOL, "chain of 4 GiB or more", place, desc);
    }

    int got = acquire(queue, walk, desc, writable ? BH_ACCESS_WRITE : BH_ACCESS_READ);

    if (got == BH_AGAIN) {
        return BH_AGAIN;
    }
    if (got < 0) {
        return bh_queue_fault(queue, got, refusal(got), place, desc);
    }
    walk->region = bh_memory_last(queue->memory);
    walk->count += (uint32_t)got;
    walk->budget--;
    walk->bytes += desc->length;
    if (writable) {
        walk->writable_count += (uint32_t)got;
        walk->writable_bytes += desc->length;
    }
    return BH_OK;
}

void bh_walk_end(struct bh_queue *queue, const struct bh_walk *walk, struct bh_chain *chain,
                 int error)
{
    chain->spans = walk->spans;
    chain->block = walk->block;
    chain->readable_count = (uint16_t)(walk->count - walk->writable_count);
    chain->writable_count = (uint16_t)walk->writable_count;
    chain->readable_bytes = walk->bytes - walk->writable_bytes;
    chain->writable_bytes = walk->writable_bytes;
    chain->written_max = walk->writable_bytes;
    if (error != BH_OK) {
        bh_chain_release(queue, chain);
    }
}

void bh_chain_release(struct bh_queue *queue, const struct bh_chain *chain)
{
    bh_memory_release(queue->memory, chain->spans,
                      (uint32_t)chain->readable_count + chain->writable_count);
    if (chain->block != BH_CHAIN_NO_BLOCK) {
        queue->pool->free[queue->pool->free_count] = chain->block;
        queue->pool->free_count++;
    }
}

/* ---- indirect tables (VIRTIO 1.4, 2.7.5.3 and 2.8.7) ---- */

int bh_table_open(struct bh_queue *queue, const struct bh_journal_desc *desc, struct bh_place place,
                  struct bh_table *table)
{
    if (!queue->indirect) {
        return bh_queue_fault(queue, BH_PROTOCOL, "indirect descriptor, not negotiated", place,
                              desc);
    }
    /* The table is addressed by 16-bit indices: a longer one has entries that nothing can reach. */
    if (desc->length == 0u || desc->length % sizeof(struct bh_split_desc) != 0u ||
        desc->length / sizeof(struct bh_split_desc) > UINT16_MAX + 1u) {
        return bh_queue_fault(queue, BH_PROTOCOL, "length of an indirect table", place, desc);
    }

    int got = bh_memory_acquire(queue->memory, desc->address, desc->length, BH_ACCESS_READ,
                                table->spans, BH_TABLE_SPANS);

    if (got == BH_AGAIN) {
        return BH_AGAIN;
    }
    if (got < 0) {
        return bh_queue_fault(queue, got, refusal(got), place, desc);
    }
    table->span_count = (uint32_t)got;
    table->entries = desc->length / (uint32_t)sizeof(struct bh_split_desc);
    return BH_OK;
}

void bh_table_close(struct bh_queue *queue, const struct bh_table *table)
{
    bh_memory_release(queue->memory, table->spans, table->span_count);
}

void bh_table_read(const struct bh_table *table, uint32_t index, void *to)
{
    size_t offset = (size_t)index * sizeof(struct bh_split_desc);
    size_t left = sizeof(struct bh_split_desc);
    uint8_t *out = to;
    const struct bh_span *span = table->spans;

    /* Guest memory may end in the middle of an entry and go on elsewhere. */
    while (left != 0u) {
        if (offset >= span->length) {
            offset -= span->length;
            span++;
            continue;
        }

        size_t part = span->length - offset < left ? span->length - offset : left;

        bh_copy_once(out, span->base + offset, part);
        out += part;
        offset += part;
        left -= part;
    }
}

/* ---- what device models do with a chain ---- */

/* Copies between spans and local memory; `out`: into the spans. */
static uint32_t copy_spans(const struct bh_span *spans, uint32_t count, uint32_t offset,
                           uint8_t *local, uint32_t length, bool out)
{
    uint32_t done = 0;
    size_t skip = offset;

    for (uint32_t i = 0; i < count && done < length; i++) {
        if (skip >= spans[i].length) {
            skip -= spans[i].length;
            continue;
        }

        size_t wanted = (size_t)length - done;
        size_t part = spans[i].length - skip;

        if (part > wanted) {
            part = wanted;
        }
        if (out) {
            bh_copy(spans[i].base + skip, local + done, part);
        } else {
            bh_copy_once(local + done, spans[i].base + skip, part);
        }
        done += (uint32_t)part;
        skip = 0;
    }
    return done;
}

uint32_t bh_chain_read(const struct bh_chain *chain, uint32_t offset, void *to, uint32_t length)
{
    return copy_spans(chain->spans, chain->readable_count, offset, to, length, false);
}

uint32_t bh_chain_write(struct bh_chain *chain, uint32_t offset, const void *from, uint32_t length)
{
    /* copy_spans takes local memory of either direction; with `out` it only reads it. */
    return copy_spans(&chain->spans[chain->readable_count], chain->writable_count, offset,
                      (uint8_t *)(uintptr_t)from, length, true);
}

int bh_chain_cut_header(struct bh_chain *chain, uint32_t length)
{
    struct bh_span *span = chain->spans;
    size_t left = length;

    if (length > chain->readable_bytes) {
        return BH_INVALID;
    }
    while (left != 0u) {
        if (span->length <= left) {
            /* It keeps its base: one past its end may be somebody else's. */
            left -= span->length;
            span->length = 0;
        } else {
            span->base += left;
            span->length -= left;
            left = 0;
        }
        span++;
    }
    chain->readable_bytes -= length;
    return BH_OK;
}

int bh_chain_cut_status(struct bh_chain *chain, uint8_t **status)
{
    uint32_t i = (uint32_t)chain->readable_count + chain->writable_count;

    if (chain->writable_bytes == 0u) {
        return BH_INVALID;
    }
    do {
        i--;
    } while (chain->spans[i].length == 0u);
    chain->spans[i].length--;
    *status = chain->spans[i].base + chain->spans[i].length;
    chain->writable_bytes--;
    return BH_OK;
}
