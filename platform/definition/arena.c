/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Memory that is given back all at once: a list of blocks, each filled from the front. Not a
 * general allocator: nothing is given back alone.
 */
#include "arena.h"

#include <stdalign.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define BLOCK_BYTES 16384u

struct bh_arena_block {
    struct bh_arena_block *older;
    size_t used;
    size_t size;
    alignas(max_align_t) unsigned char bytes[];
};

static struct bh_arena_block *block_add(struct bh_arena *arena, size_t bytes)
{
    size_t size = bytes > BLOCK_BYTES ? bytes : BLOCK_BYTES;
    struct bh_arena_block *block = calloc(1, sizeof(*block) + size);

    if (block == NULL) {
        return NULL;
    }
    block->older = arena->blocks;
    block->size = size;
    arena->blocks = block;
    return block;
}

void *bh_arena_take(struct bh_arena *arena, size_t bytes)
{
    struct bh_arena_block *block = arena->blocks;
    size_t rounded;
    void *at;

    if (bytes > SIZE_MAX / 4) {
        return NULL;
    }
    rounded = (bytes + alignof(max_align_t) - 1) / alignof(max_align_t) * alignof(max_align_t);
    if (block == NULL || block->size - block->used < rounded) {
        block = block_add(arena, rounded);
        if (block == NULL) {
            return NULL;
        }
    }
    at = block->bytes + block->used;
    block->used += rounded;
    return at;
}

char *bh_arena_text(struct bh_arena *arena, const char *text, size_t length)
{
    char *copy = bh_arena_take(arena, length + 1);

    if (copy != NULL && length != 0) {
        memcpy(copy, text, length);
    }
    return copy;
}

void bh_arena_finish(struct bh_arena *arena)
{
    while (arena->blocks != NULL) {
        struct bh_arena_block *block = arena->blocks;

        arena->blocks = block->older;
        free(block);
    }
}
