/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Tests of bh_memory_acquire: addresses at, over and around the ends of regions, rights, ranges
 * that wrap, and the memory of `ops` beside the regions. How queues use it is not tested here.
 */
#include "fake_grants.h"

#include <stdlib.h>
#include <string.h>

#define READ  BH_ACCESS_READ
#define WRITE BH_ACCESS_WRITE
#define RING  BH_ACCESS_RING
#define ROOM  4u

static struct bh_span spans[ROOM];

static int acquire(struct guest *guest, uint64_t address, uint32_t length, uint32_t access)
{
    memset(spans, 0x5a, sizeof(spans));
    return bh_memory_acquire(&guest->memory, address, length, access, spans, ROOM);
}

static int setup(void **state)
{
    struct guest *guest = malloc(sizeof(*guest));

    if (guest == NULL) {
        return -1;
    }
    guest_init(guest, false, 8, 0);
    *state = guest;
    return 0;
}

static void test_piece_of_a_region(void **state)
{
    struct guest *guest = *state;

    assert_int_equal(acquire(guest, GUEST_LOW, 1, READ), 1);
    guest_expect_span(guest, &spans[0], GUEST_LOW, 1);
    assert_int_equal(acquire(guest, GUEST_LOW + 77, 1000, READ | WRITE), 1);
    guest_expect_span(guest, &spans[0], GUEST_LOW + 77, 1000);
    assert_int_equal(acquire(guest, GUEST_LOW, (uint32_t)GUEST_LOW_SIZE, WRITE), 1);
    guest_expect_span(guest, &spans[0], GUEST_LOW, GUEST_LOW_SIZE);
}

static void test_length_zero_is_nothing(void **state)
{
    struct guest *guest = *state;

    assert_int_equal(acquire(guest, GUEST_LOW, 0, READ), 0);
    assert_int_equal(acquire(guest, GUEST_HOLE, 0, READ), 0);
    assert_int_equal(acquire(guest, UINT64_MAX, 0, WRITE), 0);
}

/* [BH-DEV-7] */
static void test_end_of_a_region(void **state)
{
    struct guest *guest = *state;
    uint64_t end = GUEST_ROM + GUEST_ROM_SIZE;

    assert_int_equal(acquire(guest, end - 16, 16, READ), 1);
    guest_expect_span(guest, &spans[0], end - 16, 16);
    assert_int_equal(acquire(guest, end - 16, 17, READ), BH_DENIED);
    assert_int_equal(acquire(guest, end - 1, 1, READ), 1);
    assert_int_equal(acquire(guest, end, 1, READ), BH_DENIED);
    assert_int_equal(acquire(guest, GUEST_ROM, (uint32_t)GUEST_ROM_SIZE + 1u, READ), BH_DENIED);
}

/* [BH-DEV-7] */
static void test_before_a_region(void **state)
{
    struct guest *guest = *state;

    assert_int_equal(acquire(guest, GUEST_ROM - 1, 1, READ), BH_DENIED);
    assert_int_equal(acquire(guest, GUEST_ROM - 1, 2, READ), BH_DENIED);
    assert_int_equal(acquire(guest, GUEST_LOW - 1, 16, READ), BH_DENIED);
    assert_int_equal(acquire(guest, 0, 1, READ), BH_DENIED);
    assert_int_equal(acquire(guest, GUEST_HOLE, 1, READ), BH_DENIED);
}

static void test_adjacent_regions_give_two_spans(void **state)
{
    struct guest *guest = *state;

    assert_int_equal(acquire(guest, GUEST_HIGH - 10, 30, READ | WRITE), 2);
    guest_expect_span(guest, &spans[0], GUEST_HIGH - 10, 10);
    guest_expect_span(guest, &spans[1], GUEST_HIGH, 20);
    /* Up to the very end of the second, and one byte more. */
    assert_int_equal(acquire(guest, GUEST_HIGH - 1, (uint32_t)GUEST_HIGH_SIZE + 1u, READ), 2);
    guest_expect_span(guest, &spans[1], GUEST_HIGH, GUEST_HIGH_SIZE);
    assert_int_equal(acquire(guest, GUEST_HIGH - 1, (uint32_t)GUEST_HIGH_SIZE + 2u, READ),
                     BH_DENIED);
    /* At the seam. */
    assert_int_equal(acquire(guest, GUEST_HIGH - 10, 10, READ), 1);
    assert_int_equal(acquire(guest, GUEST_HIGH, 10, READ), 1);
    guest_expect_span(guest, &spans[0], GUEST_HIGH, 10);
}

static void test_order_of_the_table_does_not_matter(void **state)
{
    struct guest *guest = *state;
    struct bh_region swapped = guest->regions[0];

    guest->regions[0] = guest->regions[2];
    guest->regions[2] = swapped;
    assert_int_equal(acquire(guest, GUEST_HIGH - 10, 30, READ), 2);
    guest_expect_span(guest, &spans[0], GUEST_HIGH - 10, 10);
    guest_expect_span(guest, &spans[1], GUEST_HIGH, 20);
    assert_int_equal(acquire(guest, GUEST_ROM, 1, READ), 1);
    assert_int_equal(acquire(guest, GUEST_LOW, 1, READ), 1);
}

static void test_too_little_room_is_a_limit(void **state)
{
    struct guest *guest = *state;

    assert_int_equal(bh_memory_acquire(&guest->memory, GUEST_HIGH - 10, 30, READ, spans, 1),
                     BH_LIMIT);
    assert_int_equal(bh_memory_acquire(&guest->memory, GUEST_HIGH - 10, 30, READ, spans, 2), 2);
    assert_int_equal(bh_memory_acquire(&guest->memory, GUEST_HIGH - 10, 10, READ, spans, 1), 1);
    assert_int_equal(bh_memory_acquire(&guest->memory, GUEST_LOW, 10, READ, spans, 0), BH_LIMIT);
}

static void test_three_regions_give_three_spans(void **state)
{
    struct guest *guest = *state;
    uint64_t third = GUEST_HIGH + GUEST_HIGH_SIZE;

    guest->regions[3] = (struct bh_region){third, 16, guest->rom, READ | WRITE};
    guest->memory.region_count = 4;
    assert_int_equal(acquire(guest, GUEST_HIGH - 1, (uint32_t)GUEST_HIGH_SIZE + 17u, READ), 3);
    guest_expect_span(guest, &spans[2], third, 16);
    assert_int_equal(acquire(guest, GUEST_HIGH - 1, (uint32_t)GUEST_HIGH_SIZE + 18u, READ),
                     BH_DENIED);
}

/* [BH-DEV-7] */
static void test_rights(void **state)
{
    struct guest *guest = *state;

    assert_int_equal(acquire(guest, GUEST_ROM, 8, READ), 1);
    assert_int_equal(acquire(guest, GUEST_ROM, 8, WRITE), BH_DENIED);
    assert_int_equal(acquire(guest, GUEST_ROM, 8, READ | WRITE), BH_DENIED);
    guest->regions[1].access = WRITE;
    assert_int_equal(acquire(guest, GUEST_HIGH, 8, WRITE), 1);
    assert_int_equal(acquire(guest, GUEST_HIGH, 8, READ), BH_DENIED);
}

static void test_rights_of_the_second_region_count_too(void **state)
{
    struct guest *guest = *state;

    guest->regions[1].access = READ;
    assert_int_equal(acquire(guest, GUEST_HIGH - 8, 8, WRITE), 1);
    assert_int_equal(acquire(guest, GUEST_HIGH - 8, 9, WRITE), BH_DENIED);
    assert_int_equal(acquire(guest, GUEST_HIGH - 8, 9, READ), 2);
}

static void test_ring_is_one_span_or_refused(void **state)
{
    struct guest *guest = *state;

    assert_int_equal(acquire(guest, GUEST_HIGH - 16, 16, READ | RING), 1);
    assert_true(acquire(guest, GUEST_HIGH - 16, 32, READ | RING) < 0);
    assert_int_equal(acquire(guest, GUEST_ROM, 16, READ | WRITE | RING), BH_DENIED);
}

/* [BH-DEV-7] */
static void test_range_that_wraps(void **state)
{
    struct guest *guest = *state;
    uint64_t top = UINT64_MAX - 0xfffu;

    assert_int_equal(acquire(guest, UINT64_MAX, 2, READ), BH_DENIED);
    assert_int_equal(acquire(guest, UINT64_MAX, UINT32_MAX, READ), BH_DENIED);
    /* From a region at the very top on to one at 0, which the sum would reach. */
    guest->regions[1] = (struct bh_region){top, 0xfff, guest->high, READ | WRITE};
    guest->regions[2] = (struct bh_region){0, 0x1000, guest->rom, READ | WRITE};
    assert_int_equal(acquire(guest, top, 0xfff, READ), 1);
    assert_int_equal(acquire(guest, top, 0x1000, READ), BH_DENIED);
    assert_int_equal(acquire(guest, top, 0x1800, READ), BH_DENIED);
    assert_int_equal(acquire(guest, UINT64_MAX, 8, READ), BH_DENIED);
    assert_int_equal(acquire(guest, GUEST_LOW, UINT32_MAX, READ), BH_DENIED);
}

/* The last byte of the address space is one like any other; the one behind it is not byte 0. */
static void test_top_of_the_address_space(void **state)
{
    struct guest *guest = *state;
    uint64_t top = UINT64_MAX - 0xfffu;

    guest->regions[1] = (struct bh_region){top, 0x1000, guest->high, READ | WRITE};
    guest->regions[2] = (struct bh_region){0, 0x1000, guest->rom, READ | WRITE};
    assert_int_equal(acquire(guest, top, 0x1000, READ), 1);
    /* The last hit lies elsewhere: the long way gives the same. */
    assert_int_equal(acquire(guest, 0, 0x1000, READ), 1);
    assert_int_equal(acquire(guest, top, 0x1000, READ), 1);
    assert_int_equal(spans[0].length, 0x1000);
    assert_int_equal(acquire(guest, 0, 1, READ), 1);
    assert_int_equal(acquire(guest, UINT64_MAX, 1, READ), 1);
    assert_int_equal(acquire(guest, top, 0x1001, READ), BH_DENIED);
    assert_int_equal(acquire(guest, top, 0x1800, READ), BH_DENIED);
    assert_int_equal(acquire(guest, UINT64_MAX, 2, READ), BH_DENIED);
}

static void test_region_over_four_gigabytes(void **state)
{
    struct guest *guest = *state;

    /* Only arithmetic: the spans are not touched. Offsets of 32 bits would be cut. */
    guest->regions[1] =
        (struct bh_region){UINT64_C(1) << 40, UINT64_C(5) << 32, guest->high, READ | WRITE};
    assert_int_equal(acquire(guest, (UINT64_C(1) << 40) + (UINT64_C(4) << 32), 64, READ), 1);
    assert_true(spans[0].base == guest->high + (UINT64_C(4) << 32));
    assert_int_equal(spans[0].length, 64);
    assert_int_equal(acquire(guest, UINT64_C(1) << 40, UINT32_MAX, READ), 1);
    assert_int_equal(spans[0].length, UINT32_MAX);
    assert_int_equal(acquire(guest, (UINT64_C(1) << 40) + (UINT64_C(5) << 32) - 1u, 2, READ),
                     BH_DENIED);
}

static void test_last_hit_does_not_outlive_the_table(void **state)
{
    struct guest *guest = *state;
    struct bh_region *one = malloc(sizeof(*one));

    assert_non_null(one);
    *one = guest->regions[0];
    assert_int_equal(acquire(guest, GUEST_ROM, 8, READ), 1);
    /* A shorter table: the sanitizer watches its end. */
    guest->memory.regions = one;
    guest->memory.region_count = 1;
    assert_int_equal(acquire(guest, GUEST_ROM, 8, READ), BH_DENIED);
    assert_int_equal(acquire(guest, GUEST_LOW, 8, READ), 1);
    free(one);
    guest->memory.regions = NULL;
    guest->memory.region_count = 0;
    assert_int_equal(acquire(guest, GUEST_LOW, 8, READ), BH_DENIED);
}

static void test_last_hit_is_only_a_hint(void **state)
{
    struct guest *guest = *state;
    unsigned i;

    for (i = 0; i < 3; i++) {
        assert_int_equal(acquire(guest, GUEST_ROM + i, 8, READ), 1);
        guest_expect_span(guest, &spans[0], GUEST_ROM + i, 8);
        assert_int_equal(acquire(guest, GUEST_HIGH + i, 8, READ), 1);
        guest_expect_span(guest, &spans[0], GUEST_HIGH + i, 8);
        assert_int_equal(acquire(guest, GUEST_HOLE + i, 8, READ), BH_DENIED);
        assert_int_equal(acquire(guest, GUEST_LOW + i, 8, READ), 1);
        guest_expect_span(guest, &spans[0], GUEST_LOW + i, 8);
    }
}

static void test_ops_get_what_no_region_covers(void **state)
{
    struct guest *guest = *state;
    struct fake_grants grants;

    fake_grants_init(&grants, guest);
    assert_int_equal(acquire(guest, GUEST_LOW, 8, READ), 1);
    assert_int_equal(grants.calls, 0);
    assert_int_equal(acquire(guest, GRANT + 0xff0, 32, READ | WRITE), 2);
    assert_int_equal(grants.calls, 1);
    assert_int_equal(grants.access, READ | WRITE);
    assert_int_equal(grants.held_count, 2);
    assert_ptr_equal(spans[0].base, fake_grants_at(&grants, GRANT + 0xff0));
    assert_int_equal(spans[0].length, 16);
    assert_ptr_equal(spans[1].base, fake_grants_at(&grants, GRANT + 0x1000));
    bh_memory_release(&guest->memory, spans, 2);
    assert_int_equal(grants.held_count, 0);
    fake_grants_finish(&grants);
}

static void test_ops_errors_come_through(void **state)
{
    static const int errors[] = {BH_AGAIN, BH_DENIED, BH_GONE, BH_LIMIT};
    struct guest *guest = *state;
    struct fake_grants grants;
    unsigned i;

    fake_grants_init(&grants, guest);
    for (i = 0; i < 4; i++) {
        fake_grants_fail(&grants, 1, errors[i]);
        assert_int_equal(acquire(guest, GRANT, 8, READ), errors[i]);
    }
    assert_int_equal(acquire(guest, GRANT, 0, READ), 0);
    assert_int_equal(grants.held_count, 0);
    fake_grants_finish(&grants);
}

/* A ring that `ops` can only give in pieces is refused, and the pieces go back. */
static void test_ring_in_pieces_is_given_back(void **state)
{
    struct guest *guest = *state;
    struct fake_grants grants;

    fake_grants_init(&grants, guest);
    assert_int_equal(acquire(guest, GRANT + 0xff0, 32, READ | RING), BH_DENIED);
    assert_int_equal(grants.held_count, 0);
    assert_int_equal(acquire(guest, GRANT + 0xff0, 16, READ | RING), 1);
    bh_memory_release(&guest->memory, spans, 1);
    fake_grants_finish(&grants);
}

/* Giving nothing for something is no success. */
static void test_ops_that_give_nothing(void **state)
{
    struct guest *guest = *state;
    struct fake_grants grants;

    fake_grants_init(&grants, guest);
    fake_grants_fail(&grants, 1, 0);
    assert_int_equal(acquire(guest, GRANT, 8, READ), BH_DENIED);
    fake_grants_fail(&grants, 1, 0);
    assert_int_equal(acquire(guest, GRANT, 8, READ | RING), BH_DENIED);
    fake_grants_finish(&grants);
}

static void test_ops_do_not_widen_a_region(void **state)
{
    struct guest *guest = *state;
    struct fake_grants grants;

    fake_grants_init(&grants, guest);
    /* A right that the region does not give is not asked of `ops`. */
    assert_int_equal(acquire(guest, GUEST_ROM, 8, WRITE), BH_DENIED);
    assert_int_equal(grants.calls, 0);
    assert_int_equal(grants.held_count, 0);
    fake_grants_finish(&grants);
}

static void test_release_without_ops_is_nothing(void **state)
{
    struct guest *guest = *state;

    assert_int_equal(acquire(guest, GUEST_LOW, 8, READ), 1);
    bh_memory_release(&guest->memory, spans, 1);
    bh_memory_release(&guest->memory, NULL, 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, guest_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_piece_of_a_region),
        TEST(test_length_zero_is_nothing),
        TEST(test_end_of_a_region),
        TEST(test_before_a_region),
        TEST(test_adjacent_regions_give_two_spans),
        TEST(test_order_of_the_table_does_not_matter),
        TEST(test_too_little_room_is_a_limit),
        TEST(test_three_regions_give_three_spans),
        TEST(test_rights),
        TEST(test_rights_of_the_second_region_count_too),
        TEST(test_ring_is_one_span_or_refused),
        TEST(test_range_that_wraps),
        TEST(test_top_of_the_address_space),
        TEST(test_region_over_four_gigabytes),
        TEST(test_last_hit_does_not_outlive_the_table),
        TEST(test_last_hit_is_only_a_hint),
        TEST(test_ops_get_what_no_region_covers),
        TEST(test_ops_errors_come_through),
        TEST(test_ring_in_pieces_is_given_back),
        TEST(test_ops_that_give_nothing),
        TEST(test_ops_do_not_widen_a_region),
        TEST(test_release_without_ops_is_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
