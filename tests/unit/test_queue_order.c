/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Tests of IN_ORDER (VIRTIO 1.4, 2.7.9 and 2.8.8), both ring formats: whatever order chains come
 * back in, the driver sees them in the order in which it offered them.
 */
#include "ring_guest.h"

#include <string.h>

#define COUNT 4u

static struct guest *in_order(void **state, uint16_t size)
{
    struct guest *guest = *state;

    if (!guest->packed && (size & (size - 1)) != 0) {
        size = 8;
    }
    guest_restart(guest, size, BH_F_IN_ORDER);
    return guest;
}

static void offer_and_pop(struct guest *guest, struct bh_chain *chains, uint16_t first)
{
    uint16_t i;

    for (i = 0; i < COUNT; i++) {
        guest_offer_one(guest, GUEST_DATA, 64, W, (uint16_t)((first + i) % guest->size));
    }
    for (i = 0; i < COUNT; i++) {
        guest_pop(guest, &chains[i]);
    }
}

/* [BH-DEV-16] */
static void test_late_ones_hold_back_the_others(void **state)
{
    struct guest *guest = in_order(state, 8);
    struct bh_chain chains[COUNT];

    offer_and_pop(guest, chains, 0);
    bh_queue_push(&guest->queue, &chains[2], 12);
    assert_false(bh_queue_publish(&guest->queue));
    guest_expect_nothing(guest);
    bh_queue_push(&guest->queue, &chains[1], 11);
    assert_false(bh_queue_publish(&guest->queue));
    guest_expect_nothing(guest);
    bh_queue_push(&guest->queue, &chains[0], 10);
    guest_expect_nothing(guest);
    assert_true(bh_queue_publish(&guest->queue));
    guest_expect_used(guest, 0, 10);
    guest_expect_used(guest, 1, 11);
    guest_expect_used(guest, 2, 12);
    guest_expect_nothing(guest);
    bh_queue_push(&guest->queue, &chains[3], 13);
    assert_true(bh_queue_publish(&guest->queue));
    guest_expect_used(guest, 3, 13);
}

/* Every permutation of four, over and over, so that the order's own ring wraps. [BH-DEV-16] */
static void test_every_permutation(void **state)
{
    static const uint16_t sizes[] = {8, 4, 5};
    unsigned s;
    unsigned n;

    for (s = 0; s < 3; s++) {
        struct guest *guest = in_order(state, sizes[s]);

        for (n = 0; n < 256; n++) {
            struct bh_chain chains[COUNT];
            bool pushed[COUNT] = {false};
            uint16_t first = (uint16_t)(n * COUNT % guest->size);
            unsigned digits = n;
            unsigned i;

            offer_and_pop(guest, chains, first);
            for (i = 0; i < COUNT; i++) {
                unsigned pick = digits % COUNT;

                while (pushed[pick]) {
                    pick = (pick + 1) % COUNT;
                }
                digits /= COUNT;
                pushed[pick] = true;
                bh_queue_push(&guest->queue, &chains[pick], pick);
                if (n % 3 == 0) {
                    (void)bh_queue_publish(&guest->queue);
                }
            }
            (void)bh_queue_publish(&guest->queue);
            for (i = 0; i < COUNT; i++) {
                guest_expect_used(guest, (first + i) % guest->size, i);
            }
            guest_expect_nothing(guest);
        }
    }
}

static void test_chains_of_several_slots(void **state)
{
    struct guest *guest = in_order(state, 7);
    const struct guest_buffer buffers[] = {
        {GUEST_DATA, 1, R}, {GUEST_DATA, 2, W}, {GUEST_DATA, 3, W}};
    unsigned round;

    for (round = 0; round < 50; round++) {
        uint16_t a = (uint16_t)(1 + round % 3);
        struct bh_chain chains[2];

        guest_offer(guest, buffers, a, 0);
        guest_offer(guest, buffers, 3, 3);
        guest_pop(guest, &chains[0]);
        guest_pop(guest, &chains[1]);
        bh_queue_push(&guest->queue, &chains[1], 5);
        (void)bh_queue_publish(&guest->queue);
        guest_expect_nothing(guest);
        bh_queue_push(&guest->queue, &chains[0], 0);
        (void)bh_queue_publish(&guest->queue);
        guest_expect_used(guest, 0, 0);
        guest_expect_used(guest, 3, 5);
    }
}

static void test_drain_keeps_the_order(void **state)
{
    struct guest *guest = in_order(state, 8);
    struct bh_chain chains[COUNT];
    unsigned i;

    offer_and_pop(guest, chains, 0);
    assert_int_equal(bh_queue_stop(&guest->queue), BH_AGAIN);
    for (i = COUNT; i > 0; i--) {
        assert_int_equal(guest->queue.state, BH_QUEUE_DRAINING);
        bh_queue_push(&guest->queue, &chains[i - 1], 1);
        (void)bh_queue_publish(&guest->queue);
    }
    assert_int_equal(guest->queue.state, BH_QUEUE_STOPPED);
    for (i = 0; i < COUNT; i++) {
        guest_expect_used(guest, i, 1);
    }
}

/* What waited for its turn when the queue broke is gone after the next start. */
static void test_restart_forgets_the_waiting(void **state)
{
    struct guest *guest = in_order(state, 8);
    struct bh_chain chains[COUNT];
    unsigned i;

    for (i = 0; i < 3; i++) {
        guest_offer_one(guest, GUEST_DATA, 64, W, 6);
        guest_pop(guest, &chains[0]);
        guest_complete(guest, &chains[0], 1);
    }
    offer_and_pop(guest, chains, 0);
    bh_queue_push(&guest->queue, &chains[1], 1);
    bh_queue_push(&guest->queue, &chains[3], 3);
    guest_offer_one(guest, GUEST_HOLE, 1, R, 7);
    guest_pop_fault(guest, BH_DENIED);
    bh_queue_push(&guest->queue, &chains[0], 0);
    bh_queue_push(&guest->queue, &chains[2], 2);
    assert_false(bh_queue_publish(&guest->queue));
    guest_expect_nothing(guest);
    assert_int_equal(bh_queue_stop(&guest->queue), BH_OK);

    memset(guest->low, 0, GUEST_LOW_SIZE);
    guest->avail = 0;
    guest->avail_wrap = true;
    guest->used = 0;
    guest_start(guest);
    offer_and_pop(guest, chains, 0);
    bh_queue_push(&guest->queue, &chains[0], 20);
    (void)bh_queue_publish(&guest->queue);
    guest_expect_used(guest, 0, 20);
    guest_expect_nothing(guest);
    for (i = 1; i < COUNT; i++) {
        bh_queue_push(&guest->queue, &chains[i], 20 + i);
        (void)bh_queue_publish(&guest->queue);
        guest_expect_used(guest, i, 20 + i);
    }
}

/* A head stays in flight while its used entry waits. */
static void test_waiting_head_is_in_flight(void **state)
{
    struct guest *guest = in_order(state, 8);
    struct bh_chain chains[COUNT];

    offer_and_pop(guest, chains, 0);
    bh_queue_push(&guest->queue, &chains[1], 1);
    guest_split_offer(guest, 1);
    guest_pop_fault(guest, BH_PROTOCOL);
}

static void test_waiting_slots_are_in_flight(void **state)
{
    struct guest *guest = in_order(state, 4);
    struct bh_chain chains[COUNT];

    offer_and_pop(guest, chains, 0);
    bh_queue_push(&guest->queue, &chains[1], 1);
    bh_queue_push(&guest->queue, &chains[2], 1);
    assert_int_equal(guest->queue.in_flight_slots, 4);
    guest_offer_one(guest, GUEST_DATA, 1, W, 1);
    guest_pop_fault(guest, BH_LIMIT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST_BOTH(test_late_ones_hold_back_the_others), TEST_BOTH(test_every_permutation),
        TEST_BOTH(test_chains_of_several_slots),        TEST_BOTH(test_drain_keeps_the_order),
        TEST_BOTH(test_restart_forgets_the_waiting),    TEST_SPLIT(test_waiting_head_is_in_flight),
        TEST_PACKED(test_waiting_slots_are_in_flight),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
