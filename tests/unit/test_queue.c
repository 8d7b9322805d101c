/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Tests of a queue that hold for both ring formats: one chain's way from the ring and back, batches
 * and when they become visible, used lengths, limits, the pool as back-pressure. The life of a
 * queue (start, stop, drain) is in test_queue_life.c, what is particular to a format in
 * test_queue_split.c and test_queue_packed.c.
 */
#include "ring_guest.h"

#include <string.h>

/* Buffers of 16 bytes, 32 apart; the last `writable` of them are writable. */
static void buffers_fill(struct guest_buffer *buffers, uint16_t count, uint16_t writable)
{
    uint16_t i;

    for (i = 0; i < count; i++) {
        buffers[i].address = GUEST_DATA + 32u * (uint64_t)i;
        buffers[i].length = 16;
        buffers[i].flags = i + writable >= count ? W : R;
    }
}

static void test_empty_ring(void **state)
{
    struct guest *guest = *state;
    struct bh_chain chain;

    assert_int_equal(bh_queue_pop(&guest->queue, &chain), 0);
    assert_int_equal(bh_queue_pop(&guest->queue, &chain), 0);
    assert_false(bh_queue_publish(&guest->queue));
    guest_expect_nothing(guest);
    assert_int_equal(guest->queue.state, BH_QUEUE_RUNNING);
}

/* [BH-DEV-5] */
static void test_one_chain(void **state)
{
    struct guest *guest = *state;
    const struct guest_buffer buffers[] = {
        {GUEST_DATA, 16, R}, {GUEST_DATA + 0x100, 512, R}, {GUEST_DATA + 0x400, 1, W}};
    struct bh_chain chain;

    guest_offer(guest, buffers, 3, 2);
    guest_pop(guest, &chain);
    assert_int_equal(chain.id, 2);
    assert_int_equal(chain.readable_count, 2);
    assert_int_equal(chain.writable_count, 1);
    assert_int_equal(chain.readable_bytes, 528);
    assert_int_equal(chain.writable_bytes, 1);
    guest_expect_span(guest, &chain.spans[0], GUEST_DATA, 16);
    guest_expect_span(guest, &chain.spans[1], GUEST_DATA + 0x100, 512);
    guest_expect_span(guest, &chain.spans[2], GUEST_DATA + 0x400, 1);
    assert_int_equal(guest->queue.in_flight, 1);
    bh_queue_push(&guest->queue, &chain, 1);
    assert_int_equal(guest->queue.in_flight, 0);
    (void)bh_queue_publish(&guest->queue);
    guest_expect_used(guest, 2, 1);
    guest_expect_nothing(guest);
    assert_int_equal(bh_queue_pop(&guest->queue, &chain), 0);
}

static void test_only_readable_only_writable(void **state)
{
    struct guest *guest = *state;
    struct bh_chain chain;

    guest_offer_one(guest, GUEST_DATA, 100, R, 0);
    guest_offer_one(guest, GUEST_DATA, 200, W, 1);
    guest_pop(guest, &chain);
    assert_int_equal(chain.readable_count, 1);
    assert_int_equal(chain.writable_count, 0);
    assert_int_equal(chain.readable_bytes, 100);
    guest_complete(guest, &chain, 0);
    guest_pop(guest, &chain);
    assert_int_equal(chain.readable_count, 0);
    assert_int_equal(chain.writable_count, 1);
    assert_int_equal(chain.writable_bytes, 200);
    guest_complete(guest, &chain, 200);
}

/* [BH-DEV-15] */
static void test_nothing_is_visible_before_publish(void **state)
{
    struct guest *guest = *state;
    struct bh_chain chains[3];
    uint16_t i;

    for (i = 0; i < 3; i++) {
        guest_offer_one(guest, GUEST_DATA + 64u * (uint64_t)i, 64, W, i);
    }
    for (i = 0; i < 3; i++) {
        guest_pop(guest, &chains[i]);
    }
    for (i = 0; i < 3; i++) {
        bh_queue_push(&guest->queue, &chains[i], i + 1u);
        guest_expect_nothing(guest);
    }
    (void)bh_queue_publish(&guest->queue);
    for (i = 0; i < 3; i++) {
        guest_expect_used(guest, i, i + 1u);
    }
    guest_expect_nothing(guest);
    /* Nothing more to publish: nothing more becomes visible. */
    assert_false(bh_queue_publish(&guest->queue));
    guest_expect_nothing(guest);
}

static void test_chains_come_back_in_any_order(void **state)
{
    static const uint16_t order[4] = {2, 0, 3, 1};
    struct guest *guest = *state;
    struct bh_chain chains[4];
    unsigned round;
    uint16_t i;

    for (round = 0; round < 9; round++) {
        for (i = 0; i < 4; i++) {
            guest_offer_one(guest, GUEST_DATA, 64, W, i);
        }
        for (i = 0; i < 4; i++) {
            guest_pop(guest, &chains[i]);
            assert_int_equal(chains[i].id, i);
        }
        for (i = 0; i < 4; i++) {
            bh_queue_push(&guest->queue, &chains[order[i]], order[i] + 10u);
        }
        (void)bh_queue_publish(&guest->queue);
        for (i = 0; i < 4; i++) {
            guest_expect_used(guest, order[i], order[i] + 10u);
        }
    }
}

/* [BH-DEV-14] */
static void test_used_length_is_cut_to_the_writable_size(void **state)
{
    struct guest *guest = *state;
    const struct guest_buffer buffers[] = {
        {GUEST_DATA, 100, R}, {GUEST_DATA, 10, W}, {GUEST_DATA + 64, 20, W}};
    struct bh_chain chain;
    uint8_t *status = NULL;

    guest_offer(guest, buffers, 3, 0);
    guest_pop(guest, &chain);
    bh_queue_push(&guest->queue, &chain, 31);
    (void)bh_queue_publish(&guest->queue);
    guest_expect_used(guest, 0, 30);

    guest_offer(guest, buffers, 3, 3);
    guest_pop(guest, &chain);
    bh_queue_push(&guest->queue, &chain, UINT32_MAX);
    (void)bh_queue_publish(&guest->queue);
    guest_expect_used(guest, 3, 30);

    /* The status byte that was cut off still counts. */
    guest_offer(guest, buffers, 3, 0);
    guest_pop(guest, &chain);
    assert_int_equal(bh_chain_cut_status(&chain, &status), BH_OK);
    bh_queue_push(&guest->queue, &chain, 30);
    (void)bh_queue_publish(&guest->queue);
    guest_expect_used(guest, 0, 30);

    guest_offer_one(guest, GUEST_DATA, 100, R, 5);
    guest_pop(guest, &chain);
    bh_queue_push(&guest->queue, &chain, 100);
    (void)bh_queue_publish(&guest->queue);
    guest_expect_used(guest, 5, 0);
}

/* Pops one chain of `count` buffers of which the last is writable, and looks at each span. */
static void pop_long(struct guest *guest, struct bh_chain *chain, uint16_t count)
{
    struct guest_buffer buffers[GUEST_BLOCK_SPANS];
    uint16_t i;

    buffers_fill(buffers, count, 1);
    guest_offer(guest, buffers, count, 0);
    guest_pop(guest, chain);
    assert_int_equal(chain->readable_count, count - 1);
    assert_int_equal(chain->writable_count, 1);
    for (i = 0; i < count; i++) {
        guest_expect_span(guest, &chain->spans[i], buffers[i].address, 16);
    }
}

static void test_inline_size_takes_no_block(void **state)
{
    struct guest *guest = *state;
    struct bh_chain chain;

    guest_restart(guest, 32, 0);
    pop_long(guest, &chain, BH_CHAIN_INLINE);
    assert_int_equal(chain.block, BH_CHAIN_NO_BLOCK);
    assert_ptr_equal(chain.spans, chain.inline_spans);
    assert_int_equal(guest->pool.free_count, GUEST_BLOCKS);
    guest_complete(guest, &chain, 16);
    assert_int_equal(guest->pool.free_count, GUEST_BLOCKS);
}

static void test_pool_size_takes_a_block_and_gives_it_back(void **state)
{
    struct guest *guest = *state;
    struct bh_chain chain;
    uint16_t count;

    for (count = BH_CHAIN_INLINE + 1u; count <= GUEST_BLOCK_SPANS; count++) {
        guest_restart(guest, 32, 0);
        pop_long(guest, &chain, count);
        assert_true(chain.block < GUEST_BLOCKS);
        assert_ptr_equal(chain.spans, &guest->blocks[chain.block * GUEST_BLOCK_SPANS]);
        assert_int_equal(guest->pool.free_count, GUEST_BLOCKS - 1);
        guest_complete(guest, &chain, 16);
        assert_int_equal(guest->pool.free_count, GUEST_BLOCKS);
    }
}

static void test_two_blocks_do_not_share(void **state)
{
    struct guest *guest = *state;
    struct guest_buffer buffers[GUEST_BLOCK_SPANS];
    struct bh_chain chains[2];

    guest_restart(guest, 64, 0);
    buffers_fill(buffers, GUEST_BLOCK_SPANS, 1);
    guest_offer(guest, buffers, GUEST_BLOCK_SPANS, 0);
    guest_offer(guest, buffers, GUEST_BLOCK_SPANS, 20);
    guest_pop(guest, &chains[0]);
    guest_pop(guest, &chains[1]);
    assert_int_not_equal(chains[0].block, chains[1].block);
    assert_int_equal(guest->pool.free_count, 0);
    bh_queue_push(&guest->queue, &chains[0], 0);
    bh_queue_push(&guest->queue, &chains[1], 0);
    assert_int_equal(guest->pool.free_count, 2);
    assert_int_not_equal(guest->free[0], guest->free[1]);
}

/* [BH-DEV-8] */
static void test_one_over_the_limit_is_refused(void **state)
{
    struct guest *guest = *state;
    struct guest_buffer buffers[GUEST_BLOCK_SPANS + 1];

    guest_restart(guest, 32, 0);
    buffers_fill(buffers, GUEST_BLOCK_SPANS + 1, 1);
    guest_offer(guest, buffers, GUEST_BLOCK_SPANS + 1, 3);
    guest_pop_fault(guest, BH_LIMIT);
    assert_int_equal(guest->pool.free_count, GUEST_BLOCKS);
}

/* Two spans for one descriptor count as two. */
static void test_pieces_count_against_the_limit(void **state)
{
    struct guest *guest = *state;
    struct guest_buffer buffers[GUEST_BLOCK_SPANS];
    struct bh_chain chain;

    guest_restart(guest, 32, 0);
    buffers_fill(buffers, GUEST_BLOCK_SPANS, 0);
    buffers[GUEST_BLOCK_SPANS - 2].address = GUEST_HIGH - 8;
    guest_offer(guest, buffers, GUEST_BLOCK_SPANS - 1, 0);
    guest_pop(guest, &chain);
    assert_int_equal(chain.readable_count, GUEST_BLOCK_SPANS);
    guest_complete(guest, &chain, 0);
    guest_offer(guest, buffers, GUEST_BLOCK_SPANS, 0);
    guest_pop_fault(guest, BH_LIMIT);
    assert_int_equal(guest->queue.fault.address, buffers[GUEST_BLOCK_SPANS - 1].address);
}

/* The piece that does not fit inline any more brings the first four along. */
static void test_pieces_go_over_to_a_block(void **state)
{
    struct guest *guest = *state;
    struct guest_buffer buffers[4];
    struct bh_chain chain;

    buffers_fill(buffers, 4, 0);
    buffers[3].address = GUEST_HIGH - 8;
    guest_offer(guest, buffers, 4, 0);
    guest_pop(guest, &chain);
    assert_int_equal(chain.readable_count, 5);
    assert_true(chain.block < GUEST_BLOCKS);
    guest_expect_span(guest, &chain.spans[0], buffers[0].address, 16);
    guest_expect_span(guest, &chain.spans[2], buffers[2].address, 16);
    guest_expect_span(guest, &chain.spans[3], GUEST_HIGH - 8, 8);
    guest_expect_span(guest, &chain.spans[4], GUEST_HIGH, 8);
    guest_complete(guest, &chain, 0);
}

static void test_without_a_pool_the_inline_spans_are_the_limit(void **state)
{
    struct guest *guest = *state;
    struct guest_buffer buffers[BH_CHAIN_INLINE + 1];
    struct bh_chain chain;

    guest->queue.pool = NULL;
    buffers_fill(buffers, BH_CHAIN_INLINE + 1, 1);
    guest_offer(guest, &buffers[1], BH_CHAIN_INLINE, 0);
    guest_pop(guest, &chain);
    guest_complete(guest, &chain, 0);
    /* Four descriptors, five pieces. */
    buffers[1].address = GUEST_HIGH - 8;
    guest_offer(guest, &buffers[1], BH_CHAIN_INLINE, 0);
    guest_pop_fault(guest, BH_LIMIT);
    guest_restart(guest, 8, 0);
    guest->queue.pool = NULL;
    guest_offer(guest, buffers, BH_CHAIN_INLINE + 1, 0);
    guest_pop_fault(guest, BH_LIMIT);
}

static void test_empty_pool_is_back_pressure(void **state)
{
    struct guest *guest = *state;
    struct guest_buffer buffers[6];
    struct bh_chain chains[GUEST_BLOCKS];
    struct bh_chain third;
    uint16_t i;

    guest_restart(guest, 32, 0);
    buffers_fill(buffers, 6, 2);
    for (i = 0; i < GUEST_BLOCKS + 1; i++) {
        guest_offer(guest, buffers, 6, (uint16_t)(i * 6));
    }
    for (i = 0; i < GUEST_BLOCKS; i++) {
        guest_pop(guest, &chains[i]);
    }
    assert_int_equal(bh_queue_pop(&guest->queue, &third), BH_AGAIN);
    assert_int_equal(bh_queue_pop(&guest->queue, &third), BH_AGAIN);
    assert_int_equal(guest->queue.state, BH_QUEUE_RUNNING);
    assert_int_equal(guest->queue.fault.error, BH_OK);
    assert_int_equal(guest->queue.in_flight, GUEST_BLOCKS);
    /* What comes back makes room, and the chain is still there. */
    bh_queue_push(&guest->queue, &chains[1], 7);
    guest_pop(guest, &third);
    assert_int_equal(third.id, GUEST_BLOCKS * 6);
    assert_int_equal(third.readable_count, 4);
    assert_int_equal(third.writable_count, 2);
    guest_expect_span(guest, &third.spans[5], buffers[5].address, 16);
    bh_queue_push(&guest->queue, &third, 8);
    bh_queue_push(&guest->queue, &chains[0], 9);
    (void)bh_queue_publish(&guest->queue);
    guest_expect_used(guest, 6, 7);
    guest_expect_used(guest, 12, 8);
    guest_expect_used(guest, 0, 9);
    assert_int_equal(guest->pool.free_count, GUEST_BLOCKS);
}

/* [BH-DEV-12] */
static void test_readable_after_writable_is_refused(void **state)
{
    struct guest *guest = *state;
    const struct guest_buffer buffers[] = {
        {GUEST_DATA, 16, R}, {GUEST_DATA + 32, 16, W}, {GUEST_DATA + 64, 17, R}};

    guest_offer(guest, buffers, 3, 1);
    guest_pop_fault(guest, BH_PROTOCOL);
    assert_int_equal(guest->queue.fault.address, GUEST_DATA + 64);
    assert_int_equal(guest->queue.fault.length, 17);
}

/* Even when the writable one is empty, or the readable one. */
static void test_order_counts_for_empty_buffers_too(void **state)
{
    struct guest *guest = *state;
    const struct guest_buffer buffers[] = {{GUEST_DATA, 16, W}, {GUEST_DATA + 64, 0, R}};

    guest_offer(guest, buffers, 2, 1);
    guest_pop_fault(guest, BH_PROTOCOL);
}

static void test_zero_length_descriptors(void **state)
{
    struct guest *guest = *state;
    const struct guest_buffer buffers[] = {{GUEST_DATA, 0, R},
                                           {GUEST_DATA, 16, R},
                                           {GUEST_HOLE, 0, R},
                                           {UINT64_MAX, 0, W},
                                           {GUEST_DATA + 64, 8, W}};
    struct bh_chain chain;

    guest_offer(guest, buffers, 5, 1);
    guest_pop(guest, &chain);
    assert_int_equal(chain.readable_bytes, 16);
    assert_int_equal(chain.writable_bytes, 8);
    assert_int_equal(chain.readable_count, 1);
    assert_int_equal(chain.writable_count, 1);
    guest_expect_span(guest, &chain.spans[0], GUEST_DATA, 16);
    guest_expect_span(guest, &chain.spans[1], GUEST_DATA + 64, 8);
    guest_complete(guest, &chain, 8);

    guest_offer_one(guest, GUEST_DATA, 0, R, 0);
    guest_pop(guest, &chain);
    assert_int_equal(chain.readable_count + chain.writable_count, 0);
    guest_complete(guest, &chain, 0);
}

/* The fault says which chain, which descriptor, and what stood there. [BH-DEV-7, BH-DEV-23] */
static void test_buffer_outside_memory_is_refused(void **state)
{
    struct guest *guest = *state;
    const struct guest_buffer buffers[] = {
        {GUEST_DATA, 16, R}, {GUEST_HOLE, 77, W}, {GUEST_DATA, 16, W}};
    struct bh_chain chain;

    guest_offer_one(guest, GUEST_DATA, 16, R, 7);
    guest_pop(guest, &chain);
    guest_complete(guest, &chain, 0);
    guest_offer(guest, buffers, 3, 4);
    guest_pop_fault(guest, BH_DENIED);
    assert_int_equal(guest->queue.fault.address, GUEST_HOLE);
    assert_int_equal(guest->queue.fault.length, 77);
    assert_int_equal(guest->queue.fault.flags & (BH_DESC_NEXT | BH_DESC_WRITE),
                     BH_DESC_NEXT | BH_DESC_WRITE);
    /* Split: table indices; packed: slots of the ring. */
    assert_int_equal(guest->queue.fault.head, guest->packed ? 1 : 4);
    assert_int_equal(guest->queue.fault.index, guest->packed ? 2 : 5);
}

static void test_write_to_read_only_memory_is_refused(void **state)
{
    struct guest *guest = *state;
    const struct guest_buffer good[] = {{GUEST_ROM, 16, R}, {GUEST_DATA, 16, W}};
    const struct guest_buffer bad[] = {{GUEST_DATA, 16, R}, {GUEST_ROM + 8, 16, W}};
    struct bh_chain chain;

    guest_offer(guest, good, 2, 0);
    guest_pop(guest, &chain);
    guest_expect_span(guest, &chain.spans[0], GUEST_ROM, 16);
    guest_complete(guest, &chain, 16);
    guest_offer(guest, bad, 2, 0);
    guest_pop_fault(guest, BH_DENIED);
    assert_int_equal(guest->queue.fault.address, GUEST_ROM + 8);
}

/* Also when the region was just looked up for reading, or is reached over a seam. */
static void test_rights_are_looked_at_each_time(void **state)
{
    struct guest *guest = *state;
    const struct guest_buffer again[] = {{GUEST_ROM, 16, R}, {GUEST_ROM + 16, 16, W}};
    const struct guest_buffer seam[] = {{GUEST_DATA, 16, W}, {GUEST_HIGH - 8, 16, W}};
    const struct guest_buffer blind[] = {{GUEST_DATA, 16, R}, {GUEST_HIGH, 16, R}};

    guest_offer(guest, again, 2, 0);
    guest_pop_fault(guest, BH_DENIED);
    assert_int_equal(guest->queue.fault.address, GUEST_ROM + 16);
    guest_restart(guest, 8, 0);
    guest->regions[1].access = BH_ACCESS_READ;
    guest_offer(guest, seam, 2, 0);
    guest_pop_fault(guest, BH_DENIED);
    guest_restart(guest, 8, 0);
    guest->regions[1].access = BH_ACCESS_WRITE;
    guest_offer(guest, blind, 2, 0);
    guest_pop_fault(guest, BH_DENIED);
}

static void test_straddling_buffer_is_two_spans(void **state)
{
    struct guest *guest = *state;
    struct bh_chain chain;

    guest_offer_one(guest, GUEST_HIGH - 100, 300, W, 0);
    guest_pop(guest, &chain);
    assert_int_equal(chain.writable_count, 2);
    assert_int_equal(chain.writable_bytes, 300);
    guest_expect_span(guest, &chain.spans[0], GUEST_HIGH - 100, 100);
    guest_expect_span(guest, &chain.spans[1], GUEST_HIGH, 200);
    guest_complete(guest, &chain, 300);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST_BOTH(test_empty_ring),
        TEST_BOTH(test_one_chain),
        TEST_BOTH(test_only_readable_only_writable),
        TEST_BOTH(test_nothing_is_visible_before_publish),
        TEST_BOTH(test_chains_come_back_in_any_order),
        TEST_BOTH(test_used_length_is_cut_to_the_writable_size),
        TEST_BOTH(test_inline_size_takes_no_block),
        TEST_BOTH(test_pool_size_takes_a_block_and_gives_it_back),
        TEST_BOTH(test_two_blocks_do_not_share),
        TEST_BOTH(test_one_over_the_limit_is_refused),
        TEST_BOTH(test_pieces_count_against_the_limit),
        TEST_BOTH(test_pieces_go_over_to_a_block),
        TEST_BOTH(test_without_a_pool_the_inline_spans_are_the_limit),
        TEST_BOTH(test_empty_pool_is_back_pressure),
        TEST_BOTH(test_readable_after_writable_is_refused),
        TEST_BOTH(test_order_counts_for_empty_buffers_too),
        TEST_BOTH(test_zero_length_descriptors),
        TEST_BOTH(test_buffer_outside_memory_is_refused),
        TEST_BOTH(test_write_to_read_only_memory_is_refused),
        TEST_BOTH(test_rights_are_looked_at_each_time),
        TEST_BOTH(test_straddling_buffer_is_two_spans),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
