/* SPDX-License-Identifier: BSD-2-Clause */
/* The arena and the limiter of the gate. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "gate/arena.h"
#include "gate/limiter.h"

#include "bulkhead/error.h"

#define ADDRESS (UINT64_C(1) << 40)

struct rig {
    struct bh_arena *arena;
    uint8_t *base;
    uint64_t size;
};

static struct rig rig_of(uint32_t pages)
{
    struct rig rig = {.size = (uint64_t)pages * BH_ARENA_PAGE};

    rig.base = aligned_alloc(BH_ARENA_PAGE, rig.size);
    assert_non_null(rig.base);
    assert_int_equal(bh_arena_create(&rig.arena, rig.base, ADDRESS, rig.size), BH_OK);
    assert_int_equal(bh_arena_size(rig.arena), rig.size);
    return rig;
}

static void rig_end(struct rig *rig)
{
    assert_int_equal(bh_arena_used(rig->arena), 0);
    bh_arena_destroy(rig->arena);
    free(rig->base);
}

/* A block lies inside, aligned, at the same place on both sides. */
static void check(const struct rig *rig, const struct bh_arena_block *block, uint64_t size)
{
    uint64_t offset = (uint64_t)(block->base - rig->base);

    assert_true(bh_arena_block_size(block) >= size);
    assert_true(offset < rig->size && bh_arena_block_size(block) <= rig->size - offset);
    assert_int_equal(block->address - ADDRESS, offset);
    assert_int_equal(offset % (size > BH_ARENA_CELL ? BH_ARENA_PAGE : BH_ARENA_CELL), 0);
}

static void what_it_is_made_of(void **state)
{
    struct bh_arena *arena = NULL;
    uint8_t *base = aligned_alloc(BH_ARENA_PAGE, 4 * BH_ARENA_PAGE);

    (void)state;
    assert_non_null(base);
    assert_int_equal(bh_arena_create(&arena, base, ADDRESS, BH_ARENA_PAGE), BH_INVALID);
    assert_int_equal(bh_arena_create(&arena, base + 16, ADDRESS, 2 * BH_ARENA_PAGE), BH_INVALID);
    assert_int_equal(bh_arena_create(&arena, base, ADDRESS + 16, 2 * BH_ARENA_PAGE), BH_INVALID);
    assert_int_equal(bh_arena_create(&arena, base, ADDRESS, 2 * BH_ARENA_PAGE), BH_OK);
    bh_arena_destroy(arena);
    bh_arena_destroy(NULL);
    free(base);
}

/* Small blocks come from cells; when these are out, from pages; when all is out, not now. */
static void small_blocks(void **state)
{
    struct rig rig = rig_of(16); /* a page of 16 cells, 15 pages */
    struct bh_arena_block blocks[31];
    struct bh_arena_block more = {.base = NULL};

    (void)state;
    memset(blocks, 0, sizeof(blocks));
    for (uint32_t i = 0; i < 31; i++) {
        assert_int_equal(bh_arena_take(rig.arena, BH_ARENA_CELL, &blocks[i]), BH_OK);
        check(&rig, &blocks[i], BH_ARENA_CELL);
        memset(blocks[i].base, (int)i, BH_ARENA_CELL);
        assert_int_equal(bh_arena_block_size(&blocks[i]), i < 16 ? BH_ARENA_CELL : BH_ARENA_PAGE);
    }
    assert_int_equal(bh_arena_take(rig.arena, 1, &more), BH_AGAIN);
    assert_null(more.base);
    bh_arena_give(rig.arena, &more);
    for (uint32_t i = 0; i < 31; i++) {
        for (uint32_t k = 0; k < BH_ARENA_CELL; k++) {
            assert_int_equal(blocks[i].base[k], i);
        }
        bh_arena_give(rig.arena, &blocks[i]);
        assert_null(blocks[i].base);
    }
    rig_end(&rig);
}

/* The largest block there is, and what is larger than that; halves become a whole again. */
static void whole_and_halves(void **state)
{
    struct rig rig = rig_of(18); /* 16 pages for blocks */
    struct bh_arena_block whole = {.base = NULL};
    struct bh_arena_block pages[16];

    (void)state;
    memset(pages, 0, sizeof(pages));
    assert_int_equal(bh_arena_take(rig.arena, 16 * BH_ARENA_PAGE + 1, &whole), BH_LIMIT);
    for (uint32_t round = 0; round < 3; round++) {
        assert_int_equal(bh_arena_take(rig.arena, 16 * BH_ARENA_PAGE, &whole), BH_OK);
        check(&rig, &whole, 16 * BH_ARENA_PAGE);
        assert_int_equal(bh_arena_take(rig.arena, BH_ARENA_PAGE, &pages[0]), BH_AGAIN);
        bh_arena_give(rig.arena, &whole);
        for (uint32_t i = 0; i < 16; i++) {
            assert_int_equal(bh_arena_take(rig.arena, BH_ARENA_PAGE, &pages[i]), BH_OK);
        }
        assert_int_equal(bh_arena_take(rig.arena, BH_ARENA_PAGE, &whole), BH_AGAIN);
        for (uint32_t i = 0; i < 16; i++) {
            bh_arena_give(rig.arena, &pages[(i * 7) % 16]);
        }
    }
    rig_end(&rig);
}

/* Sizes at the borders of the orders. */
static void sizes(void **state)
{
    struct rig rig = rig_of(64);
    static const uint64_t asked[] = {1, 256, 257, 4096, 4097, 8192, 8193, 16385};
    static const uint64_t got[] = {256, 256, 4096, 4096, 8192, 8192, 16384, 32768};

    (void)state;
    for (size_t i = 0; i < sizeof(asked) / sizeof(asked[0]); i++) {
        struct bh_arena_block block = {.base = NULL};

        assert_int_equal(bh_arena_take(rig.arena, asked[i], &block), BH_OK);
        assert_int_equal(bh_arena_block_size(&block), got[i]);
        assert_int_equal(bh_arena_used(rig.arena), got[i]);
        bh_arena_give(rig.arena, &block);
    }
    rig_end(&rig);
}

/* Any order of taking and giving, in arenas of any size: no two blocks overlap, and in the end the
 * largest block is there again. */
static void at_random(void **state)
{
    uint32_t seed = 12345;

    (void)state;
    for (uint32_t pages = 2; pages < 200; pages += 13) {
        struct rig rig = rig_of(pages);
        struct bh_arena_block blocks[64];
        static uint8_t owner[200 * 4096 / 256];
        struct bh_arena_block whole = {.base = NULL};

        memset(blocks, 0, sizeof(blocks));
        memset(owner, 0, sizeof(owner));
        for (uint32_t step = 0; step < 4000; step++) {
            seed = seed * 1103515245u + 12345u;
            struct bh_arena_block *block = &blocks[(seed >> 8) % 64];
            uint8_t name = (uint8_t)(1 + (seed >> 8) % 64);
            uint64_t size = 1 + ((seed >> 16) % (seed % 3 == 0 ? 40000u : 600u));
            bool taking = block->base == NULL;

            if (taking && bh_arena_take(rig.arena, size, block) != BH_OK) {
                assert_null(block->base);
                continue;
            }
            uint64_t first = (uint64_t)(block->base - rig.base) / BH_ARENA_CELL;
            for (uint64_t i = 0; i < bh_arena_block_size(block) / BH_ARENA_CELL; i++) {
                assert_int_equal(owner[first + i], taking ? 0 : name);
                owner[first + i] = taking ? name : 0;
            }
            if (taking) {
                check(&rig, block, size);
            } else {
                bh_arena_give(rig.arena, block);
            }
        }
        for (uint32_t i = 0; i < 64; i++) {
            bh_arena_give(rig.arena, &blocks[i]);
        }
        uint32_t largest = 1;
        while (largest * 2 <= pages - (pages + 15) / 16) {
            largest *= 2;
        }
        assert_int_equal(bh_arena_take(rig.arena, (uint64_t)largest * BH_ARENA_PAGE, &whole),
                         BH_OK);
        bh_arena_give(rig.arena, &whole);
        rig_end(&rig);
    }
}

/* ---- limiter ---- */

static void no_limit(void **state)
{
    struct bh_limiter limiter = {.then = 0};
    struct bh_gate_limits limits = {0, 0};

    (void)state;
    for (uint32_t i = 0; i < 1000; i++) {
        bh_limiter_fill(&limiter, i % 2 == 0 ? &limits : NULL, i);
        assert_int_equal(bh_limiter_wait(&limiter), 0);
        bh_limiter_charge(&limiter, 1000000, UINT64_C(1) << 32);
    }
}

/* In any second after the first tenth no more than the limit passes, and hardly less. */
static void rates_hold(void **state)
{
    static const uint64_t rates[] = {1, 7, 100, 99999, 1000000, UINT64_C(1) << 32, UINT64_MAX};

    (void)state;
    for (size_t i = 0; i < sizeof(rates) / sizeof(rates[0]); i++) {
        struct bh_limiter limiter = {.then = 0};
        struct bh_gate_limits limits = {.bytes_per_second = rates[i]};
        uint64_t chunk = rates[i] / 1000 + 1;
        uint64_t passed = 0;
        uint64_t now = 1000;
        uint64_t end;

        if (chunk > 1000000000) {
            chunk = 1000000000;
        }
        bh_limiter_fill(&limiter, &limits, now);
        while (bh_limiter_wait(&limiter) == 0 && passed < rates[i]) {
            bh_limiter_charge(&limiter, 0, chunk);
            passed += chunk;
        }
        assert_true(passed <= rates[i] / 10 + 1 + chunk);
        passed = 0;
        for (end = now + 1000000; now < end;) {
            uint64_t wait = bh_limiter_wait(&limiter);

            now += wait != 0 ? wait : 1000;
            bh_limiter_fill(&limiter, &limits, now);
            for (uint32_t k = 0; k < 10 && bh_limiter_wait(&limiter) == 0; k++) {
                bh_limiter_charge(&limiter, 0, chunk);
                passed += chunk;
            }
        }
        if (rates[i] < UINT64_C(1) << 33) {
            assert_in_range(passed, rates[i] / 2, rates[i] + rates[i] / 10 + 2 * chunk);
        }
    }
}

/* A clock that stands or goes back brings nothing. */
static void no_time_no_credit(void **state)
{
    struct bh_limiter limiter = {.then = 0};
    struct bh_gate_limits limits = {.operations_per_second = 10};

    (void)state;
    bh_limiter_fill(&limiter, &limits, 5000);
    assert_int_equal(bh_limiter_wait(&limiter), 0);
    bh_limiter_charge(&limiter, 1, 0);
    assert_int_equal(bh_limiter_wait(&limiter), 1);
    bh_limiter_charge(&limiter, 1, 0);
    bh_limiter_fill(&limiter, &limits, 5000);
    bh_limiter_fill(&limiter, &limits, 4000);
    assert_int_equal(bh_limiter_wait(&limiter), 100001);
    bh_limiter_fill(&limiter, &limits, 4000 + 100001);
    assert_int_equal(bh_limiter_wait(&limiter), 0);
    /* However much is owed, it ends. */
    for (uint32_t i = 0; i < 1000; i++) {
        bh_limiter_charge(&limiter, UINT64_MAX, 0);
    }
    assert_true(bh_limiter_wait(&limiter) > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_it_is_made_of), cmocka_unit_test(small_blocks),
        cmocka_unit_test(whole_and_halves),   cmocka_unit_test(sizes),
        cmocka_unit_test(at_random),          cmocka_unit_test(no_limit),
        cmocka_unit_test(rates_hold),         cmocka_unit_test(no_time_no_credit),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
