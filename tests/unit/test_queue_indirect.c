/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Tests of indirect tables (VIRTIO 1.4, 2.7.5.3 and 2.8.7): what both formats share, and where they
 * differ: a split table is linked and may follow direct descriptors, a packed one is read from
 * front to back and stands alone.
 */
#include "ring_guest.h"

#include <stdlib.h>

static const struct guest_buffer three[] = {
    {GUEST_DATA, 16, R},
    {GUEST_DATA + 0x100, 32, R},
    {GUEST_DATA + 0x200, 64, W},
};

static struct guest *with_indirect(void **state)
{
    struct guest *guest = *state;

    guest_restart(guest, 8, BH_F_INDIRECT_DESC);
    return guest;
}

static void expect_three(struct guest *guest, struct bh_chain *chain)
{
    guest_pop(guest, chain);
    assert_int_equal(chain->readable_count, 2);
    assert_int_equal(chain->writable_count, 1);
    assert_int_equal(chain->readable_bytes, 48);
    assert_int_equal(chain->writable_bytes, 64);
    guest_expect_span(guest, &chain->spans[0], GUEST_DATA, 16);
    guest_expect_span(guest, &chain->spans[1], GUEST_DATA + 0x100, 32);
    guest_expect_span(guest, &chain->spans[2], GUEST_DATA + 0x200, 64);
    assert_int_equal(chain->slots, 1);
}

/* [BH-DEV-13] */
static void test_whole_chain_in_a_table(void **state)
{
    struct guest *guest = with_indirect(state);
    struct bh_chain chain;
    unsigned i;

    for (i = 0; i < 20; i++) {
        guest_table(guest, GUEST_TABLE, three, 3);
        guest_offer_indirect(guest, GUEST_TABLE, 48, (uint16_t)(i % 8));
        expect_three(guest, &chain);
        guest_complete(guest, &chain, 64);
    }
}

/* In the descriptor that refers to a table WRITE means nothing (VIRTIO 1.4, 2.7.5.3.2, 2.8.7). */
static void test_write_flag_of_the_reference_is_ignored(void **state)
{
    struct guest *guest = with_indirect(state);
    struct bh_chain chain;

    guest_table(guest, GUEST_TABLE, three, 3);
    guest_offer_one(guest, GUEST_TABLE, 48, BH_DESC_INDIRECT | W, 1);
    expect_three(guest, &chain);
}

static void test_table_in_read_only_memory(void **state)
{
    struct guest *guest = with_indirect(state);
    struct bh_chain chain;

    guest_table(guest, GUEST_ROM, three, 3);
    guest_offer_indirect(guest, GUEST_ROM, 48, 0);
    expect_three(guest, &chain);
}

/* Neither alignment nor one piece of memory is asked of a table. */
static void test_table_anywhere(void **state)
{
    struct guest *guest = with_indirect(state);
    struct bh_chain chain;
    uint64_t before;
    unsigned i;

    for (before = 1; before < 48; before++) {
        uint64_t table = GUEST_HIGH - before;

        guest_table(guest, GUEST_TABLE, three, 3);
        for (i = 0; i < 48; i++) {
            *guest_at(guest, table + i) = *guest_at(guest, GUEST_TABLE + i);
        }
        guest_offer_indirect(guest, table, 48, 0);
        expect_three(guest, &chain);
        guest_complete(guest, &chain, 1);
    }
}

/* [BH-DEV-9] */
static void test_table_that_was_not_negotiated(void **state)
{
    struct guest *guest = *state;

    guest_table(guest, GUEST_TABLE, three, 3);
    guest_offer_indirect(guest, GUEST_TABLE, 48, 5);
    guest_pop_fault(guest, BH_PROTOCOL);
    assert_int_equal(guest->queue.fault.address, GUEST_TABLE);
}

/* [BH-DEV-9] */
static void test_length_of_a_table(void **state)
{
    static const uint32_t lengths[] = {0, 1, 8, 15, 17, 24, 47, 49, 0xffffffff};
    struct guest *guest = *state;
    unsigned i;

    for (i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
        (void)with_indirect(state);
        guest_table(guest, GUEST_TABLE, three, 3);
        guest_offer_indirect(guest, GUEST_TABLE, lengths[i], 5);
        guest_pop_fault(guest, BH_PROTOCOL);
        assert_int_equal(guest->queue.fault.length, lengths[i]);
    }
}

/* Entries that no 16-bit index reaches; then a table larger than the memory it lies in. */
static void test_huge_table(void **state)
{
    struct guest *guest = with_indirect(state);

    guest_offer_indirect(guest, GUEST_TABLE, 0xfffffff0u, 0);
    guest_pop_fault(guest, BH_PROTOCOL);
    (void)with_indirect(state);
    guest_offer_indirect(guest, GUEST_TABLE, 16 * 65537, 0);
    guest_pop_fault(guest, BH_PROTOCOL);
    (void)with_indirect(state);
    guest_offer_indirect(guest, GUEST_TABLE, 16 * 65536, 0);
    guest_pop_fault(guest, BH_DENIED);
}

static void test_table_outside_memory(void **state)
{
    struct guest *guest = with_indirect(state);

    guest_offer_indirect(guest, GUEST_HOLE, 48, 2);
    guest_pop_fault(guest, BH_DENIED);
    assert_int_equal(guest->queue.fault.address, GUEST_HOLE);
    (void)with_indirect(state);
    guest_offer_indirect(guest, GUEST_ROM + GUEST_ROM_SIZE - 32, 48, 2);
    guest_pop_fault(guest, BH_DENIED);
    (void)with_indirect(state);
    guest_offer_indirect(guest, UINT64_MAX - 15u, 48, 2);
    guest_pop_fault(guest, BH_DENIED);
    (void)with_indirect(state);
    guest->regions[0].access = BH_ACCESS_WRITE;
    guest_offer_indirect(guest, GUEST_TABLE, 48, 2);
    guest_pop_fault(guest, BH_DENIED);
}

/* A violation in a table names the chain's head and the entry. */
static void test_fault_within_a_table(void **state)
{
    struct guest *guest = with_indirect(state);
    const struct guest_buffer bad[] = {{GUEST_DATA, 16, R}, {GUEST_DATA, 1, W}, {GUEST_DATA, 2, R}};

    guest_table(guest, GUEST_TABLE, bad, 3);
    guest_offer_indirect(guest, GUEST_TABLE, 48, 5);
    guest_pop_fault(guest, BH_PROTOCOL);
    assert_int_equal(guest->queue.fault.head, guest->packed ? 0 : 5);
    assert_int_equal(guest->queue.fault.index, 2);
    assert_int_equal(guest->queue.fault.length, 2);
}

/* [BH-DEV-9] */
static void test_reference_with_next(void **state)
{
    struct guest *guest = with_indirect(state);
    const struct guest_buffer buffers[] = {{GUEST_TABLE, 48, BH_DESC_INDIRECT}, {GUEST_DATA, 1, W}};

    guest_table(guest, GUEST_TABLE, three, 3);
    guest_offer(guest, buffers, 2, 0);
    guest_pop_fault(guest, BH_PROTOCOL);
    assert_int_equal(guest->queue.fault.address, GUEST_TABLE);
}

/* A table may be longer than the ring, up to the limit. */
static void test_limit_counts_in_tables(void **state)
{
    struct guest *guest = with_indirect(state);
    struct guest_buffer buffers[GUEST_BLOCK_SPANS + 1];
    struct bh_chain chain;
    uint16_t i;

    for (i = 0; i <= GUEST_BLOCK_SPANS; i++) {
        buffers[i] = (struct guest_buffer){GUEST_DATA + i, 1, W};
    }
    guest_table(guest, GUEST_TABLE, buffers, GUEST_BLOCK_SPANS);
    guest_offer_indirect(guest, GUEST_TABLE, 16 * GUEST_BLOCK_SPANS, 0);
    guest_pop(guest, &chain);
    assert_int_equal(chain.writable_count, GUEST_BLOCK_SPANS);
    guest_complete(guest, &chain, GUEST_BLOCK_SPANS);
    guest_table(guest, GUEST_TABLE, buffers, GUEST_BLOCK_SPANS + 1);
    guest_offer_indirect(guest, GUEST_TABLE, 16 * (GUEST_BLOCK_SPANS + 1), 0);
    guest_pop_fault(guest, BH_LIMIT);
}

/* Empty buffers cost work as well. [BH-DEV-8] */
static void test_limit_counts_empty_buffers(void **state)
{
    struct guest *guest = with_indirect(state);
    struct guest_buffer buffers[GUEST_BLOCK_SPANS + 1];
    uint16_t i;

    for (i = 0; i <= GUEST_BLOCK_SPANS; i++) {
        buffers[i] = (struct guest_buffer){0, 0, R};
    }
    guest_table(guest, GUEST_TABLE, buffers, GUEST_BLOCK_SPANS + 1);
    guest_offer_indirect(guest, GUEST_TABLE, 16 * (GUEST_BLOCK_SPANS + 1), 0);
    guest_pop_fault(guest, BH_LIMIT);
}

/* ---- split ---- */

static void entry(struct guest *guest, uint32_t index, const struct guest_buffer *buffer,
                  uint16_t flags, uint16_t next)
{
    struct guest_buffer linked = *buffer;

    linked.flags = (uint16_t)(linked.flags | flags);
    guest_descriptor(guest, GUEST_TABLE, index, &linked, next);
}

/* VIRTIO 1.4, 2.7.5.3.2: "zero or more normal chained descriptors followed by" a table.
 * [BH-DEV-13] */
static void test_split_table_after_direct_descriptors(void **state)
{
    struct guest *guest = with_indirect(state);
    uint16_t direct;

    for (direct = 0; direct < 3; direct++) {
        struct guest_buffer buffers[3];
        struct bh_chain chain;
        uint16_t i;

        for (i = 0; i < direct; i++) {
            buffers[i] = three[i];
        }
        buffers[direct] = (struct guest_buffer){GUEST_TABLE, 16u * (3u - direct), BH_DESC_INDIRECT};
        guest_table(guest, GUEST_TABLE, &three[direct], (uint16_t)(3 - direct));
        guest_offer(guest, buffers, (uint16_t)(direct + 1), 6);
        expect_three(guest, &chain);
        guest_complete(guest, &chain, 3);
    }
}

static void test_split_direct_and_table_share_the_limit(void **state)
{
    struct guest *guest = with_indirect(state);
    struct guest_buffer buffers[GUEST_BLOCK_SPANS];
    struct bh_chain chain;
    uint16_t i;

    for (i = 0; i < GUEST_BLOCK_SPANS; i++) {
        buffers[i] = (struct guest_buffer){GUEST_DATA, 1, R};
    }
    guest_table(guest, GUEST_TABLE, buffers, GUEST_BLOCK_SPANS - 3);
    buffers[3] = (struct guest_buffer){GUEST_TABLE, 16 * (GUEST_BLOCK_SPANS - 3), BH_DESC_INDIRECT};
    guest_offer(guest, buffers, 4, 0);
    guest_pop(guest, &chain);
    assert_int_equal(chain.readable_count, GUEST_BLOCK_SPANS);
    guest_complete(guest, &chain, 0);
    buffers[3] = (struct guest_buffer){GUEST_DATA, 1, R};
    guest_table(guest, GUEST_TABLE, buffers, GUEST_BLOCK_SPANS - 3);
    buffers[4] = (struct guest_buffer){GUEST_TABLE, 16 * (GUEST_BLOCK_SPANS - 3), BH_DESC_INDIRECT};
    guest_offer(guest, buffers, 5, 0);
    guest_pop_fault(guest, BH_LIMIT);
}

/* The order of readable and writable holds across the seam. */
static void test_split_readable_table_after_writable(void **state)
{
    struct guest *guest = with_indirect(state);
    const struct guest_buffer buffers[] = {{GUEST_DATA, 1, W}, {GUEST_TABLE, 48, BH_DESC_INDIRECT}};

    guest_table(guest, GUEST_TABLE, three, 3);
    guest_offer(guest, buffers, 2, 0);
    guest_pop_fault(guest, BH_PROTOCOL);
}

static void test_split_table_is_linked(void **state)
{
    struct guest *guest = with_indirect(state);
    struct bh_chain chain;

    entry(guest, 0, &three[0], BH_DESC_NEXT, 5);
    entry(guest, 5, &three[1], BH_DESC_NEXT, 2);
    entry(guest, 2, &three[2], 0, 0xffff);
    /* What nothing links to does not matter. */
    entry(guest, 1, &(struct guest_buffer){GUEST_HOLE, 1, BH_DESC_INDIRECT}, BH_DESC_NEXT, 77);
    guest_offer_indirect(guest, GUEST_TABLE, 16 * 6, 0);
    expect_three(guest, &chain);
}

/* [BH-DEV-10] */
static void test_split_next_outside_the_table(void **state)
{
    static const uint16_t beyond[] = {3, 4, 8, 0x8000, 0xffff};
    struct guest *guest = *state;
    unsigned i;

    for (i = 0; i < sizeof(beyond) / sizeof(beyond[0]); i++) {
        (void)with_indirect(state);
        guest_table(guest, GUEST_TABLE, three, 3);
        entry(guest, 1, &three[1], BH_DESC_NEXT, beyond[i]);
        guest_offer_indirect(guest, GUEST_TABLE, 48, 4);
        guest_pop_fault(guest, BH_PROTOCOL);
        assert_int_equal(guest->queue.fault.head, 4);
        assert_int_equal(guest->queue.fault.index, beyond[i]);
    }
}

/* [BH-DEV-8] */
static void test_split_loop_in_a_table(void **state)
{
    struct guest *guest = *state;
    uint32_t length;
    uint16_t period;

    for (length = 0; length < 2; length++) {
        for (period = 1; period <= 3; period++) {
            struct guest_buffer buffer = {GUEST_DATA, length, R};
            uint16_t i;

            (void)with_indirect(state);
            for (i = 0; i < period; i++) {
                entry(guest, i, &buffer, BH_DESC_NEXT, (uint16_t)((i + 1u) % period));
            }
            guest_offer_indirect(guest, GUEST_TABLE, 48, 4);
            guest_pop_fault(guest, BH_LIMIT);
        }
    }
}

/* [BH-DEV-9] */
static void test_split_nested_table(void **state)
{
    struct guest *guest = with_indirect(state);

    guest_table(guest, GUEST_TABLE, three, 3);
    entry(guest, 1, &(struct guest_buffer){GUEST_TABLE + 0x100, 48, BH_DESC_INDIRECT}, 0, 0);
    guest_offer_indirect(guest, GUEST_TABLE, 48, 4);
    guest_pop_fault(guest, BH_PROTOCOL);
    assert_int_equal(guest->queue.fault.index, 1);
    assert_int_equal(guest->queue.fault.address, GUEST_TABLE + 0x100);
}

/* The longest table, with an index at its very end. */
static void test_split_longest_table(void **state)
{
    struct guest *guest = with_indirect(state);
    const uint64_t base = UINT64_C(0x100000000);
    const uint32_t size = 16 * 65536;
    uint8_t *memory = calloc(1, size);
    struct guest_buffer first = three[0];
    struct bh_chain chain;

    assert_non_null(memory);
    guest->regions[3] = (struct bh_region){base, size, memory, BH_ACCESS_READ};
    guest->memory.region_count = 4;
    first.flags = BH_DESC_NEXT;
    guest_descriptor(guest, base, 0, &first, 0xffff);
    first = three[1];
    first.flags = BH_DESC_NEXT;
    guest_descriptor(guest, base, 0xffff, &first, 0x8000);
    guest_descriptor(guest, base, 0x8000, &three[2], 0);
    guest_offer_indirect(guest, base, size, 0);
    expect_three(guest, &chain);
    free(memory);
}

/* ---- packed ---- */

/* In a table all flags but WRITE, and the id, are ignored (VIRTIO 1.4, 2.8.7). */
static void test_packed_other_flags_are_ignored(void **state)
{
    struct guest *guest = with_indirect(state);
    struct bh_chain chain;
    uint16_t i;

    for (i = 0; i < 3; i++) {
        struct guest_buffer buffer = three[i];

        buffer.flags = (uint16_t)(buffer.flags | (0xffffu & ~W));
        guest_descriptor(guest, GUEST_TABLE, i, &buffer, 0xffff);
    }
    guest_offer_indirect(guest, GUEST_TABLE, 48, 6);
    expect_three(guest, &chain);
    assert_int_equal(chain.id, 6);
}

/* A reference takes a slot of the ring like any other descriptor. */
static void test_packed_table_in_a_full_ring(void **state)
{
    struct guest *guest = with_indirect(state);
    struct bh_chain chain;
    uint16_t i;

    guest_table(guest, GUEST_TABLE, three, 3);
    for (i = 0; i < 8; i++) {
        guest_offer_indirect(guest, GUEST_TABLE, 48, i);
        expect_three(guest, &chain);
    }
    guest_offer_indirect(guest, GUEST_TABLE, 48, 0);
    guest_pop_fault(guest, BH_LIMIT);
}

/* "Each list only contains descriptors of a given type" (VIRTIO 1.4, 2.8.5). [BH-DEV-9] */
static void test_packed_table_after_direct_descriptors(void **state)
{
    struct guest *guest = with_indirect(state);
    const struct guest_buffer buffers[] = {three[0], {GUEST_TABLE, 32, BH_DESC_INDIRECT}};

    guest_table(guest, GUEST_TABLE, &three[1], 2);
    guest_offer(guest, buffers, 2, 0);
    guest_pop_fault(guest, BH_PROTOCOL);
    assert_int_equal(guest->queue.fault.index, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST_BOTH(test_whole_chain_in_a_table),
        TEST_BOTH(test_write_flag_of_the_reference_is_ignored),
        TEST_BOTH(test_table_in_read_only_memory),
        TEST_BOTH(test_table_anywhere),
        TEST_BOTH(test_table_that_was_not_negotiated),
        TEST_BOTH(test_length_of_a_table),
        TEST_BOTH(test_huge_table),
        TEST_BOTH(test_table_outside_memory),
        TEST_BOTH(test_fault_within_a_table),
        TEST_BOTH(test_reference_with_next),
        TEST_BOTH(test_limit_counts_in_tables),
        TEST_BOTH(test_limit_counts_empty_buffers),
        TEST_SPLIT(test_split_table_after_direct_descriptors),
        TEST_SPLIT(test_split_direct_and_table_share_the_limit),
        TEST_SPLIT(test_split_readable_table_after_writable),
        TEST_SPLIT(test_split_table_is_linked),
        TEST_SPLIT(test_split_next_outside_the_table),
        TEST_SPLIT(test_split_loop_in_a_table),
        TEST_SPLIT(test_split_nested_table),
        TEST_SPLIT(test_split_longest_table),
        TEST_PACKED(test_packed_other_flags_are_ignored),
        TEST_PACKED(test_packed_table_in_a_full_ring),
        TEST_PACKED(test_packed_table_after_direct_descriptors),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
