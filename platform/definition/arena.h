/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Memory that is given back all at once: a definition is read in many small pieces that live
 * equally long, and an error in the middle must not leak one. Private to platform/; not for memory
 * that comes and goes.
 */
#ifndef PLATFORM_ARENA_H
#define PLATFORM_ARENA_H

#include <stddef.h>

struct bh_arena_block;

struct bh_arena {
    struct bh_arena_block *blocks; /* the newest first */
};

/* `bytes` of zeroed memory, aligned for anything; NULL: no memory. */
void *bh_arena_take(struct bh_arena *arena, size_t bytes);

/* A copy of `length` bytes with a NUL behind them; NULL: no memory. */
char *bh_arena_text(struct bh_arena *arena, const char *text, size_t length);

/* Gives everything back; the arena is empty, and may be used again. */
void bh_arena_finish(struct bh_arena *arena);

#endif
