/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Tests of bh_chain and bh_span_pool: copying in and out across spans, cutting a header off the
 * front and a status byte off the back. Chains are built by hand here; popping them is tested with
 * the queues.
 */
#include "ring_guest.h"

#include <string.h>

/* Readable: 4 + 0 + 6 bytes (0..9); writable: 3 + 5 + 1 bytes. */
struct sample {
    uint8_t readable[10];
    uint8_t writable[9];
    struct bh_span spans[6];
    struct bh_chain chain;
};

static void sample_init(struct sample *sample)
{
    unsigned i;

    memset(sample, 0, sizeof(*sample));
    for (i = 0; i < 10; i++) {
        sample->readable[i] = (uint8_t)i;
    }
    sample->spans[0] = (struct bh_span){sample->readable, 4};
    sample->spans[1] = (struct bh_span){sample->readable + 4, 0};
    sample->spans[2] = (struct bh_span){sample->readable + 4, 6};
    sample->spans[3] = (struct bh_span){sample->writable, 3};
    sample->spans[4] = (struct bh_span){sample->writable + 3, 5};
    sample->spans[5] = (struct bh_span){sample->writable + 8, 1};
    sample->chain.spans = sample->spans;
    sample->chain.readable_count = 3;
    sample->chain.writable_count = 3;
    sample->chain.readable_bytes = 10;
    sample->chain.writable_bytes = 9;
    sample->chain.block = BH_CHAIN_NO_BLOCK;
}

static void test_read_whole_and_parts(void **state)
{
    struct sample sample;
    uint8_t to[16];
    uint32_t offset;

    (void)state;
    sample_init(&sample);
    assert_int_equal(bh_chain_read(&sample.chain, 0, to, 10), 10);
    assert_memory_equal(to, sample.readable, 10);
    for (offset = 0; offset < 10; offset++) {
        memset(to, 0xee, sizeof(to));
        assert_int_equal(bh_chain_read(&sample.chain, offset, to, 1), 1);
        assert_int_equal(to[0], offset);
        assert_int_equal(to[1], 0xee);
    }
    assert_int_equal(bh_chain_read(&sample.chain, 3, to, 2), 2);
    assert_memory_equal(to, sample.readable + 3, 2);
}

static void test_read_stops_at_the_end(void **state)
{
    struct sample sample;
    uint8_t to[16];

    (void)state;
    sample_init(&sample);
    memset(to, 0xee, sizeof(to));
    assert_int_equal(bh_chain_read(&sample.chain, 8, to, 8), 2);
    assert_int_equal(to[1], 9);
    assert_int_equal(to[2], 0xee);
    assert_int_equal(bh_chain_read(&sample.chain, 10, to, 1), 0);
    assert_int_equal(bh_chain_read(&sample.chain, 11, to, 1), 0);
    assert_int_equal(bh_chain_read(&sample.chain, UINT32_MAX, to, UINT32_MAX), 0);
    assert_int_equal(bh_chain_read(&sample.chain, 0, to, 0), 0);
}

static void test_write_whole_and_parts(void **state)
{
    static const uint8_t from[16] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16};
    struct sample sample;

    (void)state;
    sample_init(&sample);
    assert_int_equal(bh_chain_write(&sample.chain, 0, from, 9), 9);
    assert_memory_equal(sample.writable, from, 9);
    sample_init(&sample);
    assert_int_equal(bh_chain_write(&sample.chain, 2, from, 3), 3);
    assert_memory_equal(sample.writable, "\0\0\1\2\3\0\0\0\0", 9);
    assert_int_equal(bh_chain_write(&sample.chain, 3, from, 1), 1);
    assert_int_equal(sample.writable[3], 1);
}

static void test_write_stops_at_the_end(void **state)
{
    static const uint8_t from[16] = {1, 2, 3};
    struct sample sample;

    (void)state;
    sample_init(&sample);
    assert_int_equal(bh_chain_write(&sample.chain, 7, from, 16), 2);
    assert_int_equal(bh_chain_write(&sample.chain, 9, from, 1), 0);
    assert_int_equal(bh_chain_write(&sample.chain, UINT32_MAX, from, UINT32_MAX), 0);
    assert_memory_equal(sample.readable, "\0\1\2\3\4\5\6\7\10\11", 10);
}

static void test_nothing_readable_or_writable(void **state)
{
    struct sample sample;
    uint8_t byte = 0;
    uint8_t *status = NULL;

    (void)state;
    sample_init(&sample);
    sample.chain.readable_count = 0;
    sample.chain.writable_count = 0;
    sample.chain.readable_bytes = 0;
    sample.chain.writable_bytes = 0;
    assert_int_equal(bh_chain_read(&sample.chain, 0, &byte, 1), 0);
    assert_int_equal(bh_chain_write(&sample.chain, 0, &byte, 1), 0);
    assert_int_equal(bh_chain_cut_header(&sample.chain, 1), BH_INVALID);
    assert_int_equal(bh_chain_cut_status(&sample.chain, &status), BH_INVALID);
    assert_int_equal(bh_chain_cut_header(&sample.chain, 0), BH_OK);
}

/* [BH-DEV-13] */
static void test_cut_header_anywhere(void **state)
{
    uint32_t cut;

    (void)state;
    for (cut = 0; cut <= 10; cut++) {
        struct sample sample;
        uint8_t to[10];

        sample_init(&sample);
        assert_int_equal(bh_chain_cut_header(&sample.chain, cut), BH_OK);
        assert_int_equal(sample.chain.readable_bytes, 10 - cut);
        assert_int_equal(sample.chain.readable_count, 3);
        assert_int_equal(bh_chain_read(&sample.chain, 0, to, 10), 10 - cut);
        assert_memory_equal(to, sample.readable + cut, 10 - cut);
        assert_int_equal(sample.spans[0].length + sample.spans[1].length + sample.spans[2].length,
                         10 - cut);
        assert_int_equal(sample.chain.writable_bytes, 9);
        /* Released later by its base: it stays within what was acquired. */
        assert_true(sample.spans[0].base >= sample.readable &&
                    sample.spans[0].base <= sample.readable + 4);
        assert_true(sample.spans[2].base >= sample.readable + 4 &&
                    sample.spans[2].base <= sample.readable + 10);
    }
}

static void test_cut_header_keeps_the_base_of_an_empty_span(void **state)
{
    struct sample sample;

    (void)state;
    sample_init(&sample);
    assert_int_equal(bh_chain_cut_header(&sample.chain, 4), BH_OK);
    assert_int_equal(sample.spans[0].length, 0);
    assert_ptr_equal(sample.spans[0].base, sample.readable);
}

static void test_cut_header_too_long_changes_nothing(void **state)
{
    struct sample sample;
    struct sample before;

    (void)state;
    sample_init(&sample);
    before = sample;
    assert_int_equal(bh_chain_cut_header(&sample.chain, 11), BH_INVALID);
    assert_int_equal(bh_chain_cut_header(&sample.chain, UINT32_MAX), BH_INVALID);
    assert_memory_equal(sample.spans, before.spans, sizeof(before.spans));
    assert_int_equal(sample.chain.readable_bytes, 10);
}

static void test_cut_status_in_a_span_of_its_own(void **state)
{
    struct sample sample;
    uint8_t *status = NULL;

    (void)state;
    sample_init(&sample);
    assert_int_equal(bh_chain_cut_status(&sample.chain, &status), BH_OK);
    assert_ptr_equal(status, sample.writable + 8);
    assert_int_equal(sample.chain.writable_bytes, 8);
    assert_int_equal(sample.chain.writable_count, 3);
    assert_int_equal(sample.spans[5].length, 0);
    assert_ptr_equal(sample.spans[5].base, sample.writable + 8);
    assert_int_equal(sample.chain.readable_bytes, 10);
}

static void test_cut_status_off_a_longer_span(void **state)
{
    struct sample sample;
    uint8_t *status = NULL;

    (void)state;
    sample_init(&sample);
    sample.chain.writable_count = 2;
    sample.chain.writable_bytes = 8;
    assert_int_equal(bh_chain_cut_status(&sample.chain, &status), BH_OK);
    assert_ptr_equal(status, sample.writable + 7);
    assert_int_equal(sample.spans[4].length, 4);
    assert_int_equal(sample.chain.writable_bytes, 7);
}

static void test_cut_status_skips_empty_spans(void **state)
{
    struct sample sample;
    uint8_t *status = NULL;
    unsigned i;

    (void)state;
    sample_init(&sample);
    sample.spans[5].length = 0;
    sample.chain.writable_bytes = 8;
    assert_int_equal(bh_chain_cut_status(&sample.chain, &status), BH_OK);
    assert_ptr_equal(status, sample.writable + 7);
    /* Again and again until nothing is left; never into the readable part. */
    for (i = 0; i < 7; i++) {
        assert_int_equal(bh_chain_cut_status(&sample.chain, &status), BH_OK);
        assert_ptr_equal(status, sample.writable + 6 - i);
    }
    assert_int_equal(sample.chain.writable_bytes, 0);
    assert_int_equal(bh_chain_cut_status(&sample.chain, &status), BH_INVALID);
    assert_int_equal(sample.spans[2].length, 6);
}

static void test_copies_after_cuts(void **state)
{
    struct sample sample;
    uint8_t *status = NULL;

    (void)state;
    sample_init(&sample);
    assert_int_equal(bh_chain_cut_status(&sample.chain, &status), BH_OK);
    assert_int_equal(bh_chain_write(&sample.chain, 0, "abcdefghijkl", 12), 8);
    assert_memory_equal(sample.writable, "abcdefgh\0", 9);
}

static void test_pool_lies_over_the_callers_arrays(void **state)
{
    struct bh_span blocks[3 * 8];
    uint16_t free[3];
    struct bh_span_pool pool;
    bool seen[3] = {false, false, false};
    unsigned i;

    (void)state;
    bh_span_pool_init(&pool, blocks, free, 3, 8);
    assert_ptr_equal(pool.blocks, blocks);
    assert_ptr_equal(pool.free, free);
    assert_int_equal(pool.block_count, 3);
    assert_int_equal(pool.free_count, 3);
    assert_int_equal(pool.block_spans, 8);
    for (i = 0; i < 3; i++) {
        assert_true(free[i] < 3);
        assert_false(seen[free[i]]);
        seen[free[i]] = true;
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_read_whole_and_parts),
        cmocka_unit_test(test_read_stops_at_the_end),
        cmocka_unit_test(test_write_whole_and_parts),
        cmocka_unit_test(test_write_stops_at_the_end),
        cmocka_unit_test(test_nothing_readable_or_writable),
        cmocka_unit_test(test_cut_header_anywhere),
        cmocka_unit_test(test_cut_header_keeps_the_base_of_an_empty_span),
        cmocka_unit_test(test_cut_header_too_long_changes_nothing),
        cmocka_unit_test(test_cut_status_in_a_span_of_its_own),
        cmocka_unit_test(test_cut_status_off_a_longer_span),
        cmocka_unit_test(test_cut_status_skips_empty_spans),
        cmocka_unit_test(test_copies_after_cuts),
        cmocka_unit_test(test_pool_lies_over_the_callers_arrays),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
