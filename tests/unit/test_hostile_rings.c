/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Regression tests for classes of bugs that virtio back ends had, as far as they concern rings and
 * memory: one test for each class, numbered as in the project's list, with published instances.
 * Device state and lifetimes are in test_hostile_device.c, racing guests in test_hostile_threads.c.
 */
#include "ring_guest.h"

#include <string.h>

/* A range is more than its first byte (CVE-2018-1059). [BH-DEV-7] */
static void test_class_01_range_beyond_its_first_byte(void **state)
{
    static const struct {
        uint64_t address;
        uint32_t length;
    } ranges[] = {
        {GUEST_ROM, (uint32_t)GUEST_ROM_SIZE + 1},
        {GUEST_ROM + GUEST_ROM_SIZE - 1, 2},
        {GUEST_LOW, (uint32_t)(GUEST_LOW_SIZE + GUEST_HIGH_SIZE) + 1},
        {GUEST_HIGH + GUEST_HIGH_SIZE - 1, UINT32_MAX},
        {GUEST_LOW, UINT32_MAX},
        {GUEST_ROM - 1, 2},
    };
    struct guest *guest = *state;
    unsigned i;

    for (i = 0; i < sizeof(ranges) / sizeof(ranges[0]); i++) {
        /* As a buffer, as a table, and as each area of the rings. */
        guest_restart(guest, 8, BH_F_INDIRECT_DESC);
        guest_offer_one(guest, ranges[i].address, ranges[i].length, R, 0);
        guest_pop_fault(guest, BH_DENIED);
        guest_restart(guest, 8, BH_F_INDIRECT_DESC);
        guest_offer_indirect(guest, (ranges[i].address + ranges[i].length - 16) & ~UINT64_C(15), 32,
                             0);
        guest_pop_fault(guest, BH_DENIED);
    }
    guest_restart(guest, 8, 0);
    assert_int_equal(bh_queue_stop(&guest->queue), BH_OK);
    guest->setup.size = GUEST_QUEUE_MAX;
    guest->setup.descriptor = GUEST_HIGH + GUEST_HIGH_SIZE - 16;
    assert_int_equal(bh_queue_start(&guest->queue, &guest->memory, &guest->setup), BH_DENIED);
}

/* What was read counts, not what stands there later (CVE-2020-14375). [BH-DEV-11] */
static void test_class_02_descriptor_changed_after_pop(void **state)
{
    struct guest *guest = *state;
    const struct guest_buffer buffers[] = {{GUEST_DATA, 16, R}, {GUEST_DATA + 64, 32, W}};
    struct bh_chain chain;

    guest_restart(guest, 8, BH_F_INDIRECT_DESC);
    guest_table(guest, GUEST_TABLE, buffers, 2);
    guest_offer_indirect(guest, GUEST_TABLE, 32, 5);
    guest_pop(guest, &chain);
    memset(guest_at(guest, GUEST_TABLE), 0xff, 32);
    memset(guest_at(guest, GUEST_DESCRIPTOR), 0x7f, 8 * 16);
    guest_expect_span(guest, &chain.spans[0], GUEST_DATA, 16);
    guest_expect_span(guest, &chain.spans[1], GUEST_DATA + 64, 32);
    bh_queue_push(&guest->queue, &chain, 999);
    (void)bh_queue_publish(&guest->queue);
    guest_expect_used(guest, 5, 32);
}

/* Indices are as wide as the guest can write them (CVE-2020-10723). [BH-DEV-10] */
static void test_class_03_index_truncated(void **state)
{
    struct guest *guest = *state;
    uint32_t bit;

    /* Each value that is a good one when only the low bits are looked at. */
    for (bit = 3; bit < 16; bit++) {
        uint16_t alias = (uint16_t)(2u | 1u << bit);

        guest_restart(guest, 8, BH_F_INDIRECT_DESC);
        guest_descriptor(guest, GUEST_DESCRIPTOR, 2, &(struct guest_buffer){GUEST_DATA, 1, R}, 0);
        guest_split_offer(guest, alias);
        guest_pop_fault(guest, BH_PROTOCOL);

        guest_restart(guest, 8, BH_F_INDIRECT_DESC);
        guest_descriptor(guest, GUEST_DESCRIPTOR, 0,
                         &(struct guest_buffer){GUEST_DATA, 1, BH_DESC_NEXT}, alias);
        guest_split_offer(guest, 0);
        guest_pop_fault(guest, BH_PROTOCOL);

        guest_restart(guest, 8, BH_F_INDIRECT_DESC);
        guest_descriptor(guest, GUEST_TABLE, 0, &(struct guest_buffer){GUEST_DATA, 1, BH_DESC_NEXT},
                         alias);
        guest_offer_indirect(guest, GUEST_TABLE, 16 * 4, 0);
        guest_pop_fault(guest, BH_PROTOCOL);
    }
    /* A table whose number of entries has 0 in its low 16 bits. */
    guest_restart(guest, 8, BH_F_INDIRECT_DESC);
    guest_offer_indirect(guest, GUEST_TABLE, 16 * 0x20000, 0);
    guest_pop_fault(guest, BH_PROTOCOL);
}

/* Sums are compared without making them (CVE-2020-10722). [BH-DEV-7, BH-DEV-8] */
static void test_class_04_sums_that_overflow(void **state)
{
    struct guest *guest = *state;
    uint32_t i;

    /* address + length over 2^64, from every alignment of the last page. */
    for (i = 1; i < 0x1000; i += 13) {
        guest_restart(guest, 8, 0);
        guest_offer_one(guest, UINT64_MAX - i + 1u, i + 1u, W, 0);
        guest_pop_fault(guest, BH_DENIED);
    }
    guest_restart(guest, 8, 0);
    guest_offer_one(guest, UINT64_MAX - UINT32_MAX + 1u, UINT32_MAX, R, 0);
    guest_pop_fault(guest, BH_DENIED);

    /* The bytes of a chain over 2^32 - 1: exactly that is allowed, within one region or from one to
     * the next. Nothing is touched. */
    for (i = 0; i < 2; i++) {
        const uint64_t first = UINT64_C(1) << 40;
        const uint64_t second = first << i;
        const struct guest_buffer buffers[] = {
            {first, 0x80000000u, R}, {second, 0x7fffffffu, W}, {first + 77u, 1, W}};
        struct bh_chain chain;

        guest_restart(guest, 8, 0);
        guest->regions[2] = (struct bh_region){first << 1, UINT64_C(1) << 34, guest->high,
                                               BH_ACCESS_READ | BH_ACCESS_WRITE};
        guest->regions[3] = (struct bh_region){first, UINT64_C(1) << 34, guest->high,
                                               BH_ACCESS_READ | BH_ACCESS_WRITE};
        guest->memory.region_count = 4;
        guest_offer(guest, buffers, 2, 0);
        guest_pop(guest, &chain);
        assert_int_equal(chain.readable_bytes, 0x80000000u);
        assert_int_equal(chain.writable_bytes, 0x7fffffffu);
        guest_complete(guest, &chain, 0x7fffffffu);
        guest_offer(guest, buffers, 3, 0);
        guest_pop_fault(guest, BH_PROTOCOL);
        assert_int_equal(guest->queue.fault.head, guest->packed ? 2 : 0);
        /* The descriptor that makes it too long is the one that is told. */
        assert_int_equal(guest->queue.fault.index, guest->packed ? 4 : 2);
        assert_int_equal(guest->queue.fault.address, first + 77u);
        assert_int_equal(guest->queue.fault.length, 1);
        assert_string_equal(guest->queue.fault.reason, "chain of 4 GiB or more");
    }
}

/* The path for many is checked like the path for one (CVE-2020-10725). */
static void test_class_06_bad_address_within_a_batch(void **state)
{
    struct guest *guest = *state;
    static const uint64_t addresses[] = {GUEST_HOLE, GUEST_LOW - 1, GUEST_HIGH + GUEST_HIGH_SIZE,
                                         UINT64_MAX, GUEST_LOW + (UINT64_C(1) << 32)};
    unsigned a;
    uint16_t bad;
    uint16_t i;

    for (a = 0; a < 5; a++) {
        for (bad = 0; bad < 8; bad++) {
            struct bh_chain chains[8];

            guest_restart(guest, 8, 0);
            for (i = 0; i < 8; i++) {
                guest_offer_one(guest, i == bad ? addresses[a] : GUEST_DATA, 64, W, i);
            }
            for (i = 0; i < bad; i++) {
                guest_pop(guest, &chains[i]);
            }
            guest_pop_fault(guest, BH_DENIED);
            assert_int_equal(guest->queue.fault.address, addresses[a]);
            for (i = 0; i < bad; i++) {
                bh_queue_push(&guest->queue, &chains[i], 64);
            }
            assert_false(bh_queue_publish(&guest->queue));
            guest_expect_nothing(guest);
        }
    }
}

/* Chains that never end cost no more than the limits (CVE-2019-9547, CVE-2026-16457).
 * [BH-DEV-8] */
static void test_class_08_endless_chain(void **state)
{
    struct guest *guest = *state;
    uint16_t i;

    guest_restart(guest, GUEST_QUEUE_MAX, BH_F_INDIRECT_DESC);
    for (i = 0; i < GUEST_QUEUE_MAX; i++) {
        struct guest_buffer empty = {0, 0, BH_DESC_NEXT};

        if (guest->packed) {
            guest_packed_offer(guest, &empty, 0);
        } else {
            guest_descriptor(guest, GUEST_DESCRIPTOR, i, &empty,
                             (uint16_t)((i + 1u) % GUEST_QUEUE_MAX));
        }
    }
    if (!guest->packed) {
        guest_split_offer(guest, 0);
    }
    guest_pop_fault(guest, BH_LIMIT);
    /* A full ring of it: one notification does not keep the device busy. */
    assert_int_equal(bh_queue_pop(&guest->queue, &(struct bh_chain){0}), 0);
    /* A table that refers to itself. */
    guest_restart(guest, 8, BH_F_INDIRECT_DESC);
    guest_descriptor(guest, GUEST_TABLE, 0,
                     &(struct guest_buffer){GUEST_TABLE, 16, BH_DESC_INDIRECT}, 0);
    guest_offer_indirect(guest, GUEST_TABLE, 16, 0);
    if (guest->packed) {
        struct bh_chain chain;

        /* There the flag is ignored: 16 bytes to read, no recursion. */
        guest_pop(guest, &chain);
        assert_int_equal(chain.readable_bytes, 16);
    } else {
        guest_pop_fault(guest, BH_PROTOCOL);
    }
}

/* The ring bounds what is in flight (CVE-2016-5403). [BH-DEV-10] */
static void test_class_09_more_in_flight_than_the_ring(void **state)
{
    struct guest *guest = *state;
    struct bh_chain chains[8];
    uint16_t again;
    uint16_t i;

    for (again = 0; again < 8; again++) {
        guest_restart(guest, 8, 0);
        for (i = 0; i < 8; i++) {
            guest_offer_one(guest, GUEST_DATA, 1, W, i);
            guest_pop(guest, &chains[i]);
        }
        assert_int_equal(guest->queue.in_flight, 8);
        guest_offer_one(guest, GUEST_DATA, 1, W, again);
        guest_pop_fault(guest, guest->packed ? BH_LIMIT : BH_PROTOCOL);
        assert_int_equal(guest->queue.in_flight, 8);
    }
}

/* Nothing is sized by a number that the guest wrote (CVE-2026-3196). [BH-DEV-8, BH-DEV-9] */
static void test_class_18_guest_count_sizes_nothing(void **state)
{
    static const uint32_t entries[] = {17, 100, 0x1000, 0xffff, 0x10000, 0x10001, 0x0fffffff};
    struct guest *guest = *state;
    unsigned i;

    for (i = 0; i < sizeof(entries) / sizeof(entries[0]); i++) {
        guest_restart(guest, 8, BH_F_INDIRECT_DESC);
        guest->regions[3] =
            (struct bh_region){UINT64_C(1) << 40, UINT64_C(1) << 34, guest->high, BH_ACCESS_READ};
        guest->memory.region_count = 4;
        /* Entry 0 links to itself: only the limit ends the walk. */
        guest->high[12] = guest->packed ? 0 : (uint8_t)BH_DESC_NEXT;
        guest_offer_indirect(guest, UINT64_C(1) << 40, entries[i] * 16, 0);
        guest_pop_fault(guest, entries[i] > 0x10000 ? BH_PROTOCOL : BH_LIMIT);
        assert_int_equal(guest->pool.free_count, GUEST_BLOCKS);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST_BOTH(test_class_01_range_beyond_its_first_byte),
        TEST_BOTH(test_class_02_descriptor_changed_after_pop),
        TEST_SPLIT(test_class_03_index_truncated),
        TEST_BOTH(test_class_04_sums_that_overflow),
        TEST_BOTH(test_class_06_bad_address_within_a_batch),
        TEST_BOTH(test_class_08_endless_chain),
        TEST_BOTH(test_class_09_more_in_flight_than_the_ring),
        TEST_BOTH(test_class_18_guest_count_sizes_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
