/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Room for copies: arena.h. The first part of the memory is cells, in a stack; the rest is pages, kept
 * by buddies: a block of 2^n pages begins at a multiple of its size (counted from the first page), and
 * two free halves of a block become the block again.
 *
 * Most requests take one page, and give it back soon: so that these neither split nor join blocks each
 * time, a few single pages stay loose, and are joined when a block is missing.
 *
 * A page says of itself: it begins a free block of some order, or it does not. What is taken knows its
 * own order (struct bh_arena_block).
 */
#include "arena.h"

#include <stdbool.h>
#include <stdlib.h>

#include "bulkhead/error.h"

#define NONE     UINT32_MAX
#define CELLS_IN 16u /* one part in so many is cells */
#define LOOSE    64u

struct page {
    uint32_t next; /* of the list of free blocks of its order */
    uint32_t before;
    uint8_t order;
    bool free; /* it begins a free block */
};

struct bh_arena {
    uint8_t *cells_base;
    uint8_t *pages_base;
    uint64_t cells_address;
    uint64_t pages_address;
    uint64_t used;
    uint64_t size;
    uint32_t *cells; /* a stack of free ones */
    uint32_t cells_free;
    uint32_t page_count;
    struct page *pages;
    uint32_t
        loose[LOOSE]; /* single pages that are free and in no list: the next ones to be taken */
    uint32_t loose_count;
    uint32_t lists[BH_ARENA_ORDERS];
    uint32_t filled;   /* bit n: lists[n] is not empty */
    uint8_t order_max; /* of the largest block that there ever is */
};

/* ---- lists of free blocks ---- */

static void list_add(struct bh_arena *arena, uint32_t index, uint8_t order)
{
    struct page *page = &arena->pages[index];
    page->order = order;
    page->free = true;
    page->before = NONE;
    page->next = arena->lists[order];
    if (page->next != NONE) {
        arena->pages[page->next].before = index;
    }
    arena->lists[order] = index;
    arena->filled |= 1u << order;
}

static void list_remove(struct bh_arena *arena, uint32_t index)
{
    struct page *page = &arena->pages[index];
    page->free = false;
    if (page->before != NONE) {
        arena->pages[page->before].next = page->next;
    } else {
        arena->lists[page->order] = page->next;
        if (page->next == NONE) {
            arena->filled &= ~(1u << page->order);
        }
    }
    if (page->next != NONE) {
        arena->pages[page->next].before = page->before;
    }
}

/* ---- life ---- */

/* All pages become free blocks, the largest that fit, from the front. */
static void free_all(struct bh_arena *arena)
{
    for (uint32_t i = 0; i < BH_ARENA_ORDERS; i++) {
        arena->lists[i] = NONE;
    }
    uint32_t index = 0;
    while (index < arena->page_count) {
        uint8_t order = BH_ARENA_ORDERS - 1u;
        while ((index & ((1u << order) - 1u)) != 0u || (1u << order) > arena->page_count - index) {
            order--;
        }
        list_add(arena, index, order);
        if (order > arena->order_max) {
            arena->order_max = order;
        }
        index += 1u << order;
    }
}

int bh_arena_create(struct bh_arena **arena, uint8_t *base, uint64_t address, uint64_t size)
{
    uint64_t count = size / BH_ARENA_PAGE;
    if (count < 2u || count > NONE / 2u || (uintptr_t)base % BH_ARENA_PAGE != 0u ||
        address % BH_ARENA_PAGE != 0u) {
        return BH_INVALID;
    }
    struct bh_arena *made = calloc(1, sizeof(*made));
    if (made == NULL) {
        return BH_NO_MEMORY;
    }
    uint64_t cell_pages = (count + CELLS_IN - 1u) / CELLS_IN;
    made->cells_free = (uint32_t)(cell_pages * (BH_ARENA_PAGE / BH_ARENA_CELL));
    made->page_count = (uint32_t)(count - cell_pages);
    made->cells = calloc(made->cells_free, sizeof(*made->cells));
    made->pages = calloc(made->page_count, sizeof(*made->pages));
    if (made->cells == NULL || made->pages == NULL) {
        bh_arena_destroy(made);
        return BH_NO_MEMORY;
    }
    made->size = count * BH_ARENA_PAGE;
    made->cells_base = base;
    made->cells_address = address;
    made->pages_base = base + cell_pages * BH_ARENA_PAGE;
    made->pages_address = address + cell_pages * BH_ARENA_PAGE;
    for (uint32_t i = 0; i < made->cells_free; i++) {
        made->cells[i] = made->cells_free - 1u - i;
    }
    free_all(made);
    *arena = made;
    return BH_OK;
}

void bh_arena_destroy(struct bh_arena *arena)
{
    if (arena != NULL) {
        free(arena->cells);
        free(arena->pages);
        free(arena);
    }
}

/* ---- take and give ---- */

static bool take_cell(struct bh_arena *arena, struct bh_arena_block *block)
{
    if (arena->cells_free == 0u) {
        return false;
    }
    arena->cells_free--;
    block->index = arena->cells[arena->cells_free];
    block->order = BH_ARENA_ORDERS;
    block->base = arena->cells_base + (uint64_t)block->index * BH_ARENA_CELL;
    block->address = arena->cells_address + (uint64_t)block->index * BH_ARENA_CELL;
    return true;
}

static uint8_t order_of(uint64_t size)
{
    uint64_t last = (size - 1u) / BH_ARENA_PAGE;
    return last == 0u ? (uint8_t)0 : (uint8_t)(64 - __builtin_clzll(last));
}

static void give_pages(struct bh_arena *arena, uint32_t index, uint8_t order)
{
    while (order < arena->order_max) {
        uint32_t buddy = index ^ (1u << order);
        if (buddy >= arena->page_count || !arena->pages[buddy].free ||
            arena->pages[buddy].order != order) {
            break;
        }
        list_remove(arena, buddy);
        index &= ~(1u << order);
        order++;
    }
    list_add(arena, index, order);
}

/* Loose pages become blocks again. */
static void tidy(struct bh_arena *arena)
{
    while (arena->loose_count != 0u) {
        arena->loose_count--;
        give_pages(arena, arena->loose[arena->loose_count], 0);
    }
}

/* The first page of a block. NONE: there is no such block. */
static uint32_t find_block(struct bh_arena *arena, uint8_t order)
{
    uint32_t fitting = arena->filled & ~((1u << order) - 1u);
    if (fitting == 0u && arena->loose_count != 0u) {
        tidy(arena);
        fitting = arena->filled & ~((1u << order) - 1u);
    }
    if (fitting == 0u) {
        return NONE;
    }
    uint8_t from = (uint8_t)__builtin_ctz(fitting);
    uint32_t index = arena->lists[from];
    list_remove(arena, index);
    while (from > order) {
        from--;
        list_add(arena, index + (1u << from), from);
    }
    return index;
}

static int take_pages(struct bh_arena *arena, uint8_t order, struct bh_arena_block *block)
{
    uint32_t index;
    if (order == 0u && arena->loose_count != 0u) {
        arena->loose_count--;
        index = arena->loose[arena->loose_count];
    } else {
        index = find_block(arena, order);
    }
    if (index == NONE) {
        return BH_AGAIN;
    }
    block->index = index;
    block->order = order;
    block->base = arena->pages_base + (uint64_t)index * BH_ARENA_PAGE;
    block->address = arena->pages_address + (uint64_t)index * BH_ARENA_PAGE;
    return BH_OK;
}

int bh_arena_take(struct bh_arena *arena, uint64_t size, struct bh_arena_block *block)
{
    if (size > (uint64_t)BH_ARENA_PAGE << arena->order_max) {
        return BH_LIMIT;
    }
    if (size > BH_ARENA_CELL || !take_cell(arena, block)) {
        int result = take_pages(arena, order_of(size), block);
        if (result != BH_OK) {
            return result;
        }
    }
    arena->used += bh_arena_block_size(block);
    return BH_OK;
}

void bh_arena_give(struct bh_arena *arena, struct bh_arena_block *block)
{
    if (block->base == NULL) {
        return;
    }
    arena->used -= bh_arena_block_size(block);
    if (block->order == BH_ARENA_ORDERS) {
        arena->cells[arena->cells_free] = block->index;
        arena->cells_free++;
    } else if (block->order == 0u && arena->loose_count < LOOSE) {
        arena->loose[arena->loose_count] = block->index;
        arena->loose_count++;
    } else {
        give_pages(arena, block->index, block->order);
    }
    block->base = NULL;
}

/* ---- numbers ---- */

uint64_t bh_arena_used(const struct bh_arena *arena)
{
    return arena->used;
}

uint64_t bh_arena_size(const struct bh_arena *arena)
{
    return arena->size;
}
