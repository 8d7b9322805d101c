/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Room for copies, in memory that a back end maps: small cells for headers and status bytes, pages (in
 * power-of-two blocks, buddies) for data, so that a back end that needs alignment has it. What is free
 * is known in private memory only: whatever the back end writes, nothing here follows it.
 *
 * Work for each call is bounded by the number of block sizes and a constant. Nothing is allocated after create.
 * Thread: one.
 */
#ifndef GATE_ARENA_H
#define GATE_ARENA_H

#include <stdint.h>

#define BH_ARENA_PAGE   4096u
#define BH_ARENA_CELL   256u
#define BH_ARENA_ORDERS 20u /* block sizes: a page to 2 GiB */

/* What was taken. `base` NULL: nothing. */
struct bh_arena_block {
    uint8_t *base;    /* here */
    uint64_t address; /* where the back end sees it */
    uint32_t index;   /* of its cell or first page */
    uint8_t order;    /* BH_ARENA_ORDERS: a cell */
};

struct bh_arena;

/* Memory of `size` bytes from a page's begin on. BH_INVALID: less than two pages, or not aligned;
 * BH_NO_MEMORY. */
int bh_arena_create(struct bh_arena **arena, uint8_t *base, uint64_t address, uint64_t size);
void bh_arena_destroy(struct bh_arena *arena); /* NULL: nothing */

/* Takes a block of `size` bytes (not 0) or more. BH_AGAIN: not now; BH_LIMIT: never. */
int bh_arena_take(struct bh_arena *arena, uint64_t size, struct bh_arena_block *block);
/* Gives it back; `block` is nothing then. Nothing: stays. */
void bh_arena_give(struct bh_arena *arena, struct bh_arena_block *block);

/* Bytes of a block that was taken. */
static inline uint64_t bh_arena_block_size(const struct bh_arena_block *block)
{
    return block->order == BH_ARENA_ORDERS ? BH_ARENA_CELL
                                           : (uint64_t)BH_ARENA_PAGE << block->order;
}

/* Bytes that are taken; bytes that there are. */
uint64_t bh_arena_used(const struct bh_arena *arena);
uint64_t bh_arena_size(const struct bh_arena *arena);

#endif
