/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Tests of what is particular to split rings (VIRTIO 1.4, 2.7): links, heads, free-running indices
 * that wrap at 65536, rings of every size. Indirect tables are in test_queue_indirect.c.
 */
#include "ring_guest.h"

#include <stdlib.h>
#include <string.h>

/* A descriptor as it lies: flags and next are the test's. */
static void descriptor(struct guest *guest, uint16_t index, uint64_t address, uint32_t length,
                       uint16_t flags, uint16_t next)
{
    struct guest_buffer buffer = {address, length, flags};

    guest_descriptor(guest, GUEST_DESCRIPTOR, index, &buffer, next);
}

static void test_links_in_any_order(void **state)
{
    struct guest *guest = *state;
    struct bh_chain chain;

    descriptor(guest, 7, GUEST_DATA, 1, BH_DESC_NEXT, 0);
    descriptor(guest, 0, GUEST_DATA + 1, 2, BH_DESC_NEXT, 5);
    descriptor(guest, 5, GUEST_DATA + 2, 3, BH_DESC_NEXT | W, 1);
    /* Without NEXT the link means nothing. */
    descriptor(guest, 1, GUEST_DATA + 3, 4, W, 0xffff);
    guest_split_offer(guest, 7);
    guest_pop(guest, &chain);
    assert_int_equal(chain.id, 7);
    assert_int_equal(chain.readable_count, 2);
    assert_int_equal(chain.writable_count, 2);
    guest_expect_span(guest, &chain.spans[1], GUEST_DATA + 1, 2);
    guest_expect_span(guest, &chain.spans[3], GUEST_DATA + 3, 4);
    guest_complete(guest, &chain, 7);
}

/* [BH-DEV-10] */
static void test_next_outside_the_ring(void **state)
{
    static const uint16_t beyond[] = {8, 9, 16, 0x7fff, 0x8000, 0xffff};
    struct guest *guest = *state;
    unsigned i;

    for (i = 0; i < sizeof(beyond) / sizeof(beyond[0]); i++) {
        guest_restart(guest, 8, 0);
        descriptor(guest, 3, GUEST_DATA, 16, BH_DESC_NEXT, beyond[i]);
        if (beyond[i] < 32) {
            /* Memory goes on behind the table, and looks like more of it. */
            descriptor(guest, beyond[i], GUEST_DATA, 16, W, 0);
        }
        guest_split_offer(guest, 3);
        guest_pop_fault(guest, BH_PROTOCOL);
        assert_int_equal(guest->queue.fault.head, 3);
        assert_int_equal(guest->queue.fault.index, beyond[i]);
    }
}

/* [BH-DEV-8] */
static void test_loops(void **state)
{
    struct guest *guest = *state;
    uint32_t length;
    uint16_t period;
    uint16_t i;

    /* Loops of 1 to 8 descriptors, of bytes and of nothing. */
    for (length = 0; length <= 16; length += 16) {
        for (period = 1; period <= 8; period++) {
            guest_restart(guest, 8, 0);
            for (i = 0; i < period; i++) {
                descriptor(guest, i, GUEST_DATA, length, BH_DESC_NEXT,
                           (uint16_t)((i + 1u) % period));
            }
            guest_split_offer(guest, 0);
            guest_pop_fault(guest, BH_LIMIT);
            assert_int_equal(guest->queue.fault.head, 0);
        }
    }
}

/* The whole ring in one chain is not a loop. */
static void test_chain_of_the_whole_ring(void **state)
{
    struct guest *guest = *state;
    struct guest_buffer buffers[8];
    struct bh_chain chain;
    uint16_t i;

    for (i = 0; i < 8; i++) {
        buffers[i] = (struct guest_buffer){GUEST_DATA, 1, R};
    }
    guest_offer(guest, buffers, 8, 4);
    guest_pop(guest, &chain);
    assert_int_equal(chain.readable_count, 8);
    guest_complete(guest, &chain, 0);
}

/* [BH-DEV-10] */
static void test_head_outside_the_ring(void **state)
{
    static const uint16_t beyond[] = {8, 9, 0x8000, 0xffff};
    struct guest *guest = *state;
    unsigned i;

    for (i = 0; i < sizeof(beyond) / sizeof(beyond[0]); i++) {
        guest_restart(guest, 8, 0);
        guest_split_offer(guest, beyond[i]);
        guest_pop_fault(guest, BH_PROTOCOL);
        assert_int_equal(guest->queue.fault.head, beyond[i]);
    }
}

/* [BH-DEV-10] */
static void test_head_in_flight_is_given_again(void **state)
{
    struct guest *guest = *state;
    struct bh_chain chain;

    guest_offer_one(guest, GUEST_DATA, 16, W, 7);
    guest_pop(guest, &chain);
    guest_complete(guest, &chain, 1);
    guest_offer_one(guest, GUEST_DATA, 16, W, 7);
    guest_pop(guest, &chain);
    guest_split_offer(guest, 7);
    guest_pop_fault(guest, BH_PROTOCOL);
    assert_int_equal(guest->queue.fault.head, 7);
    assert_int_equal(guest->queue.in_flight, 1);
}

/* A refused head is not marked: it comes again after the next start. */
static void test_head_that_waited_is_not_in_flight(void **state)
{
    struct guest *guest = *state;
    struct guest_buffer buffers[5];
    struct bh_chain chain;
    uint16_t i;

    for (i = 0; i < 5; i++) {
        buffers[i] = (struct guest_buffer){GUEST_DATA, 1, R};
    }
    guest->pool.free_count = 0;
    guest_offer(guest, buffers, 5, 2);
    assert_int_equal(bh_queue_pop(&guest->queue, &chain), BH_AGAIN);
    guest->pool.free_count = GUEST_BLOCKS;
    guest_pop(guest, &chain);
    assert_int_equal(chain.id, 2);
}

/* [BH-DEV-10] */
static void test_available_index_ran_ahead(void **state)
{
    static const uint16_t jumps[] = {9, 10, 16, 0x7fff, 0x8000, 0xfffe, 0xffff};
    struct guest *guest = *state;
    struct bh_chain chain;
    unsigned i;

    for (i = 0; i < sizeof(jumps) / sizeof(jumps[0]); i++) {
        guest_restart(guest, 8, 0);
        guest_offer_one(guest, GUEST_DATA, 16, W, 0);
        guest_pop(guest, &chain);
        guest_complete(guest, &chain, 1);
        guest_split_index(guest, (uint16_t)(1u + jumps[i]));
        guest_pop_fault(guest, BH_PROTOCOL);
        assert_int_equal(guest->queue.fault.index, (uint16_t)(1u + jumps[i]));
    }
}

static void test_available_index_may_run_a_whole_ring_ahead(void **state)
{
    struct guest *guest = *state;
    struct bh_chain chains[8];
    struct bh_chain none;
    uint16_t i;

    for (i = 0; i < 8; i++) {
        guest_offer_one(guest, GUEST_DATA, 16, W, (uint16_t)(7u - i));
    }
    for (i = 0; i < 8; i++) {
        guest_pop(guest, &chains[i]);
        assert_int_equal(chains[i].id, 7 - i);
    }
    assert_int_equal(bh_queue_pop(&guest->queue, &none), 0);
    for (i = 0; i < 8; i++) {
        bh_queue_push(&guest->queue, &chains[i], 0);
    }
    (void)bh_queue_publish(&guest->queue);
    for (i = 0; i < 8; i++) {
        guest_expect_used(guest, 7u - i, 0);
    }
}

/* One look at the index serves a batch: what the driver writes there meanwhile is seen after it. */
static void test_index_is_read_once_for_a_batch(void **state)
{
    struct guest *guest = *state;
    struct bh_chain chain;
    uint16_t i;

    for (i = 0; i < 3; i++) {
        guest_offer_one(guest, GUEST_DATA, 16, W, i);
    }
    guest_pop(guest, &chain);
    guest_split_index(guest, 0x4000);
    guest_pop(guest, &chain);
    guest_pop(guest, &chain);
    assert_int_equal(chain.id, 2);
    guest_pop_fault(guest, BH_PROTOCOL);
}

static void test_seventy_thousand_chains(void **state)
{
    struct guest *guest = *state;
    unsigned done;

    for (done = 0; done < 70000; done += 5) {
        struct bh_chain chains[5];
        uint16_t i;

        for (i = 0; i < 5; i++) {
            guest_offer_one(guest, GUEST_DATA, 16, W, (uint16_t)((done + i) % 8));
        }
        for (i = 0; i < 5; i++) {
            guest_pop(guest, &chains[i]);
        }
        for (i = 0; i < 5; i++) {
            bh_queue_push(&guest->queue, &chains[i], i);
        }
        (void)bh_queue_publish(&guest->queue);
        for (i = 0; i < 5; i++) {
            guest_expect_used(guest, (done + i) % 8, i);
        }
    }
    assert_int_equal(guest->queue.used_next, 70000 - 65536);
    assert_int_equal(guest_get16(guest, GUEST_DEVICE + 2), 70000 - 65536);
}

static void test_ring_of_one(void **state)
{
    struct guest *guest = *state;
    struct bh_chain chain;
    unsigned i;

    guest_restart(guest, 1, 0);
    for (i = 0; i < 10; i++) {
        guest_offer_one(guest, GUEST_DATA, 16, W, 0);
        guest_pop(guest, &chain);
        guest_complete(guest, &chain, i);
    }
    guest_split_offer(guest, 1);
    guest_pop_fault(guest, BH_PROTOCOL);
}

/* [BH-DEV-6] */
static void test_size_must_be_a_power_of_two(void **state)
{
    struct guest *guest = *state;
    uint16_t size;

    assert_int_equal(bh_queue_stop(&guest->queue), BH_OK);
    for (size = 1; size < 70; size++) {
        bool power = (size & (size - 1)) == 0;

        guest->setup.size = size;
        assert_int_equal(bh_queue_start(&guest->queue, &guest->memory, &guest->setup),
                         power ? BH_OK : BH_INVALID);
        assert_int_equal(bh_queue_stop(&guest->queue), BH_OK);
    }
}

static void test_goes_on_at_given_indices(void **state)
{
    struct guest *guest = *state;
    struct bh_chain chain;

    assert_int_equal(bh_queue_stop(&guest->queue), BH_OK);
    guest->setup.avail_next = 0xfffe;
    guest->setup.used_next = 0xfffb;
    guest->avail = 0xfffe;
    guest_split_index(guest, 0xfffe);
    guest->used = 0xfffb;
    guest_put16(guest, GUEST_DEVICE + 2, 0xfffb);
    guest_start(guest);
    assert_int_equal(bh_queue_pop(&guest->queue, &chain), 0);
    guest_offer_one(guest, GUEST_DATA, 16, W, 0);
    guest_pop(guest, &chain);
    guest_complete(guest, &chain, 3);
    assert_int_equal(bh_queue_position(&guest->queue).avail_next, 0xffff);
    assert_int_equal(bh_queue_position(&guest->queue).used_next, 0xfffc);
}

static void test_used_index_from_the_ring(void **state)
{
    struct guest *guest = *state;
    struct bh_chain chain;

    assert_int_equal(bh_queue_stop(&guest->queue), BH_OK);
    guest->setup.used_from_ring = true;
    guest->setup.used_next = 3;
    guest->used = 0x1234;
    guest_put16(guest, GUEST_DEVICE + 2, 0x1234);
    guest_start(guest);
    guest_offer_one(guest, GUEST_DATA, 16, W, 0);
    guest_pop(guest, &chain);
    guest_complete(guest, &chain, 3);
    assert_int_equal(guest_get16(guest, GUEST_DEVICE + 2), 0x1235);
}

/* [BH-DEV-12] */
static void test_device_writes_only_the_used_ring(void **state)
{
    struct guest *guest = *state;
    uint8_t before[GUEST_DEVICE - GUEST_LOW];
    struct bh_chain chain;
    unsigned i;

    for (i = 0; i < 8; i++) {
        guest_offer_one(guest, GUEST_DATA, 16, i % 2 != 0 ? W : R, (uint16_t)i);
    }
    memcpy(before, guest->low, sizeof(before));
    for (i = 0; i < 8; i++) {
        guest_pop(guest, &chain);
        guest_complete(guest, &chain, i % 2 * 5);
    }
    (void)bh_queue_notify_enable(&guest->queue, false);
    assert_memory_equal(guest->low, before, sizeof(before));
}

/* The largest ring there is: every index and offset at its end. */
static void test_largest_ring(void **state)
{
    struct guest *guest = *state;
    const uint64_t base = UINT64_C(0x100000000);
    const size_t size = 0x100000;
    struct bh_queue queue;
    struct bh_order_slot *order = calloc(BH_QUEUE_SIZE_MAX, sizeof(*order));
    uint8_t *busy = calloc(BH_QUEUE_SIZE_MAX, 1);
    uint8_t *memory = calloc(1, size);
    struct bh_chain chain;
    unsigned i;

    assert_non_null(order);
    assert_non_null(busy);
    assert_non_null(memory);
    guest->regions[3] = (struct bh_region){base, size, memory, BH_ACCESS_READ | BH_ACCESS_WRITE};
    guest->memory.region_count = 4;
    guest->setup.descriptor = base;
    guest->setup.driver = base + 0x80000;
    guest->setup.device = base + 0xa0000;
    guest->setup.size = BH_QUEUE_SIZE_MAX;
    guest->size = BH_QUEUE_SIZE_MAX;
    guest->setup.avail_next = 0xfff0;
    guest->avail = 0xfff0;
    guest->setup.used_next = 0x7ff0;
    bh_queue_init(&queue, 0, BH_QUEUE_SIZE_MAX, order, busy, &guest->pool);
    assert_int_equal(bh_queue_start(&queue, &guest->memory, &guest->setup), BH_OK);
    for (i = 0; i < 40; i++) {
        uint64_t used = guest->setup.device + 4 + 8u * (uint64_t)((0x7ff0 + i) % 0x8000);

        guest_offer_one(guest, GUEST_DATA, 16, W, (uint16_t)(0x7fff - i));
        assert_int_equal(bh_queue_pop(&queue, &chain), 1);
        bh_queue_push(&queue, &chain, i % 16);
        (void)bh_queue_publish(&queue);
        assert_int_equal(guest_get16(guest, guest->setup.device + 2), 0x7ff1 + i);
        assert_int_equal(guest_get32(guest, used), 0x7fff - i);
        assert_int_equal(guest_get32(guest, used + 4), i % 16);
    }
    free(memory);
    free(busy);
    free(order);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST_SPLIT(test_links_in_any_order),
        TEST_SPLIT(test_next_outside_the_ring),
        TEST_SPLIT(test_loops),
        TEST_SPLIT(test_chain_of_the_whole_ring),
        TEST_SPLIT(test_head_outside_the_ring),
        TEST_SPLIT(test_head_in_flight_is_given_again),
        TEST_SPLIT(test_head_that_waited_is_not_in_flight),
        TEST_SPLIT(test_available_index_ran_ahead),
        TEST_SPLIT(test_available_index_may_run_a_whole_ring_ahead),
        TEST_SPLIT(test_index_is_read_once_for_a_batch),
        TEST_SPLIT(test_seventy_thousand_chains),
        TEST_SPLIT(test_ring_of_one),
        TEST_SPLIT(test_size_must_be_a_power_of_two),
        TEST_SPLIT(test_goes_on_at_given_indices),
        TEST_SPLIT(test_used_index_from_the_ring),
        TEST_SPLIT(test_device_writes_only_the_used_ring),
        TEST_SPLIT(test_largest_ring),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
