/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Tests of a queue's states, for both ring formats: what start accepts and refuses, stop with and
 * without chains in flight, the faulty queue, and starting again. How a device tells its port is in
 * test_device_queues.c.
 */
#include "ring_guest.h"

#include <stdlib.h>
#include <string.h>

static void expect_stopped(const struct guest *guest)
{
    assert_int_equal(guest->queue.state, BH_QUEUE_STOPPED);
    assert_null(guest->queue.descriptor);
    assert_null(guest->queue.driver);
    assert_null(guest->queue.device);
}

/* The setup must be refused, and a good one must still work afterwards. */
static void refuse(struct guest *guest, const struct bh_queue_setup *setup, int error)
{
    assert_int_equal(bh_queue_start(&guest->queue, &guest->memory, setup), error);
    expect_stopped(guest);
    guest_start(guest);
    assert_int_equal(bh_queue_stop(&guest->queue), BH_OK);
}

static void accept(struct guest *guest, const struct bh_queue_setup *setup)
{
    assert_int_equal(bh_queue_start(&guest->queue, &guest->memory, setup), BH_OK);
    assert_int_equal(bh_queue_stop(&guest->queue), BH_OK);
    expect_stopped(guest);
}

/* [BH-DEV-6] */
static void test_sizes(void **state)
{
    struct guest *guest = *state;
    struct bh_queue_setup setup = guest->setup;

    assert_int_equal(bh_queue_stop(&guest->queue), BH_OK);
    setup.size = 0;
    refuse(guest, &setup, BH_INVALID);
    setup.size = 1;
    accept(guest, &setup);
    setup.size = GUEST_QUEUE_MAX;
    accept(guest, &setup);
    setup.size = GUEST_QUEUE_MAX * 2;
    refuse(guest, &setup, BH_INVALID);
    setup.size = GUEST_QUEUE_MAX + 1;
    refuse(guest, &setup, BH_INVALID);
    setup.size = UINT16_MAX;
    refuse(guest, &setup, BH_INVALID);
}

/* Whatever the class allows, no format has larger rings (VIRTIO 1.4, 2.7 and 2.8). */
static void test_size_over_the_format(void **state)
{
    struct guest *guest = *state;
    struct bh_queue_setup setup = guest->setup;

    assert_int_equal(bh_queue_stop(&guest->queue), BH_OK);
    guest->queue.size_max = UINT16_MAX;
    setup.size = BH_QUEUE_SIZE_MAX + 1;
    assert_int_equal(bh_queue_start(&guest->queue, &guest->memory, &setup), BH_INVALID);
    expect_stopped(guest);
}

/* [BH-DEV-6] */
static void test_misaligned_areas(void **state)
{
    struct guest *guest = *state;
    uint64_t offset;

    assert_int_equal(bh_queue_stop(&guest->queue), BH_OK);
    for (offset = 1; offset < 16; offset++) {
        struct bh_queue_setup setup = guest->setup;
        unsigned driver = guest->packed ? 4 : 2;

        setup.descriptor += offset;
        refuse(guest, &setup, BH_INVALID);
        setup = guest->setup;
        setup.driver += offset;
        if (offset % driver != 0) {
            refuse(guest, &setup, BH_INVALID);
        } else {
            accept(guest, &setup);
        }
        setup = guest->setup;
        setup.device += offset;
        if (offset % 4 != 0) {
            refuse(guest, &setup, BH_INVALID);
        } else {
            accept(guest, &setup);
        }
    }
}

static uint64_t *area(struct bh_queue_setup *setup, unsigned which)
{
    uint64_t *areas[] = {&setup->descriptor, &setup->driver, &setup->device};

    return areas[which];
}

static uint32_t area_size(const struct guest *guest, unsigned which)
{
    const uint32_t sizes[] = {bh_descriptor_area_size(guest->size),
                              bh_driver_area_size(guest->size, guest->packed),
                              bh_device_area_size(guest->size, guest->packed)};

    return sizes[which];
}

/* [BH-DEV-6] */
static void test_areas_outside_memory(void **state)
{
    struct guest *guest = *state;
    unsigned which;

    assert_int_equal(bh_queue_stop(&guest->queue), BH_OK);
    for (which = 0; which < 3; which++) {
        struct bh_queue_setup setup = guest->setup;

        *area(&setup, which) = GUEST_HOLE;
        refuse(guest, &setup, BH_DENIED);
        *area(&setup, which) = 0;
        refuse(guest, &setup, BH_DENIED);
        /* Overflows 2^64; and just before a region. */
        *area(&setup, which) = UINT64_MAX - 15u;
        refuse(guest, &setup, BH_DENIED);
        *area(&setup, which) = GUEST_LOW - 16;
        refuse(guest, &setup, BH_DENIED);
        *area(&setup, which) = GUEST_HIGH + GUEST_HIGH_SIZE;
        refuse(guest, &setup, BH_DENIED);
    }
}

/* [BH-DEV-6] */
static void test_areas_at_the_end_of_a_region(void **state)
{
    struct guest *guest = *state;
    uint64_t end = GUEST_HIGH + GUEST_HIGH_SIZE;
    unsigned which;

    assert_int_equal(bh_queue_stop(&guest->queue), BH_OK);
    for (which = 0; which < 3; which++) {
        struct bh_queue_setup setup = guest->setup;
        uint64_t last = (end - area_size(guest, which)) & ~UINT64_C(15);

        *area(&setup, which) = last;
        accept(guest, &setup);
        *area(&setup, which) = last + 16;
        refuse(guest, &setup, BH_DENIED);
        /* Two regions in a row are two mappings: a ring is one. */
        *area(&setup, which) = GUEST_HIGH - 16;
        if (area_size(guest, which) > 16) {
            refuse(guest, &setup, BH_DENIED);
        }
    }
}

static void test_areas_to_the_last_byte(void **state)
{
    struct guest *guest = *state;
    unsigned which;

    assert_int_equal(bh_queue_stop(&guest->queue), BH_OK);
    for (which = 0; which < 3; which++) {
        struct bh_queue_setup setup = guest->setup;

        *area(&setup, which) = GUEST_HIGH;
        guest->regions[1].size = area_size(guest, which);
        accept(guest, &setup);
        guest->regions[1].size--;
        refuse(guest, &setup, BH_DENIED);
    }
}

static void test_areas_in_read_only_memory(void **state)
{
    struct guest *guest = *state;
    struct bh_queue_setup setup = guest->setup;

    assert_int_equal(bh_queue_stop(&guest->queue), BH_OK);
    /* The packed device writes into the descriptor ring. */
    setup.descriptor = GUEST_ROM;
    if (guest->packed) {
        refuse(guest, &setup, BH_DENIED);
    } else {
        accept(guest, &setup);
    }
    setup = guest->setup;
    setup.driver = GUEST_ROM;
    accept(guest, &setup);
    setup = guest->setup;
    setup.device = GUEST_ROM;
    refuse(guest, &setup, BH_DENIED);
}

/* VIRTIO 1.4, 2.7 and 2.8: the tables of alignments and sizes. */
static void test_area_sizes(void **state)
{
    (void)state;
    assert_int_equal(bh_descriptor_area_size(8), 128);
    assert_int_equal(bh_driver_area_size(8, 0), 22);
    assert_int_equal(bh_device_area_size(8, 0), 70);
    assert_int_equal(bh_descriptor_area_size(BH_QUEUE_SIZE_MAX), 0x80000);
    assert_int_equal(bh_driver_area_size(BH_QUEUE_SIZE_MAX, 0), 0x10006);
    assert_int_equal(bh_device_area_size(BH_QUEUE_SIZE_MAX, 0), 0x40006);
    assert_int_equal(bh_driver_area_size(BH_QUEUE_SIZE_MAX, 1), 4);
    assert_int_equal(bh_device_area_size(BH_QUEUE_SIZE_MAX, 1), 4);
}

/* The caller's arrays have size_max entries and no more: the sanitizer watches their ends. */
static void test_arrays_of_exactly_the_largest_size(void **state)
{
    struct guest *guest = *state;
    struct bh_order_slot *order = malloc(8 * sizeof(*order));
    uint8_t *busy = malloc(8);
    struct bh_queue queue;
    struct bh_chain chains[8];
    unsigned round;
    uint16_t i;

    assert_non_null(order);
    assert_non_null(busy);
    bh_queue_init(&queue, 0, 8, order, busy, &guest->pool);
    guest->setup.features |= BH_F_IN_ORDER;
    assert_int_equal(bh_queue_start(&queue, &guest->memory, &guest->setup), BH_OK);
    for (round = 0; round < 3; round++) {
        for (i = 0; i < 8; i++) {
            guest_offer_one(guest, GUEST_DATA, 16, W, (uint16_t)(7 - i));
            assert_int_equal(bh_queue_pop(&queue, &chains[i]), 1);
        }
        for (i = 8; i > 0; i--) {
            bh_queue_push(&queue, &chains[i - 1], 1);
        }
        (void)bh_queue_publish(&queue);
        for (i = 0; i < 8; i++) {
            guest_expect_used(guest, 7u - i, 1);
        }
    }
    if (!guest->packed) {
        guest_split_offer(guest, 8);
        assert_int_equal(bh_queue_pop(&queue, &chains[0]), BH_PROTOCOL);
    }
    free(busy);
    free(order);
}

static void test_start_needs_a_stopped_queue(void **state)
{
    struct guest *guest = *state;
    struct bh_chain chain;

    assert_int_equal(bh_queue_start(&guest->queue, &guest->memory, &guest->setup), BH_STATE);
    assert_int_equal(guest->queue.state, BH_QUEUE_RUNNING);
    guest_offer_one(guest, GUEST_DATA, 16, W, 0);
    guest_pop(guest, &chain);
    assert_int_equal(bh_queue_stop(&guest->queue), BH_AGAIN);
    assert_int_equal(bh_queue_start(&guest->queue, &guest->memory, &guest->setup), BH_STATE);
    assert_int_equal(guest->queue.state, BH_QUEUE_DRAINING);
}

static void test_stopped_queue_does_nothing(void **state)
{
    struct guest *guest = *state;
    struct bh_chain chain;

    guest_offer_one(guest, GUEST_DATA, 16, W, 0);
    assert_int_equal(bh_queue_stop(&guest->queue), BH_OK);
    expect_stopped(guest);
    assert_int_equal(bh_queue_stop(&guest->queue), BH_OK);
    assert_int_equal(bh_queue_pop(&guest->queue, &chain), 0);
    assert_false(bh_queue_publish(&guest->queue));
    assert_false(bh_queue_notify_enable(&guest->queue, true));
    assert_false(bh_queue_notify_enable(&guest->queue, false));
    assert_int_equal(guest->queue.state, BH_QUEUE_STOPPED);
}

static void test_stop_drains(void **state)
{
    struct guest *guest = *state;
    struct bh_chain chains[2];
    struct bh_chain none;

    guest_offer_one(guest, GUEST_DATA, 16, W, 0);
    guest_offer_one(guest, GUEST_DATA, 16, W, 1);
    guest_offer_one(guest, GUEST_DATA, 16, W, 2);
    guest_pop(guest, &chains[0]);
    guest_pop(guest, &chains[1]);
    assert_int_equal(bh_queue_stop(&guest->queue), BH_AGAIN);
    assert_int_equal(guest->queue.state, BH_QUEUE_DRAINING);
    /* The third stays where it is. */
    assert_int_equal(bh_queue_pop(&guest->queue, &none), 0);
    assert_false(bh_queue_notify_enable(&guest->queue, true));

    bh_queue_push(&guest->queue, &chains[1], 3);
    (void)bh_queue_publish(&guest->queue);
    guest_expect_used(guest, 1, 3);
    assert_int_equal(bh_queue_stop(&guest->queue), BH_AGAIN);
    assert_int_equal(guest->queue.state, BH_QUEUE_DRAINING);
    bh_queue_push(&guest->queue, &chains[0], 4);
    (void)bh_queue_publish(&guest->queue);
    guest_expect_used(guest, 0, 4);
    expect_stopped(guest);
    assert_int_equal(bh_queue_stop(&guest->queue), BH_OK);
}

static void test_stop_waits_for_what_is_not_published(void **state)
{
    struct guest *guest = *state;
    struct bh_chain chain;

    guest_offer_one(guest, GUEST_DATA, 16, W, 0);
    guest_pop(guest, &chain);
    bh_queue_push(&guest->queue, &chain, 5);
    assert_int_equal(bh_queue_stop(&guest->queue), BH_AGAIN);
    guest_expect_nothing(guest);
    (void)bh_queue_publish(&guest->queue);
    guest_expect_used(guest, 0, 5);
    expect_stopped(guest);
}

/* Makes the queue faulty with one chain (id 0) in flight and one (id 1) pushed, not published. */
static void make_faulty(struct guest *guest, struct bh_chain *in_flight)
{
    struct bh_chain pushed;

    guest_offer_one(guest, GUEST_DATA, 16, W, 0);
    guest_offer_one(guest, GUEST_DATA, 16, W, 1);
    guest_offer_one(guest, GUEST_HOLE, 16, W, 2);
    guest_offer_one(guest, GUEST_DATA, 16, W, 3);
    guest_pop(guest, in_flight);
    guest_pop(guest, &pushed);
    bh_queue_push(&guest->queue, &pushed, 1);
    guest_pop_fault(guest, BH_DENIED);
}

/* [BH-DEV-23] */
static void test_faulty_queue_gives_and_shows_nothing(void **state)
{
    struct guest *guest = *state;
    struct bh_chain chain;
    struct bh_chain none;

    make_faulty(guest, &chain);
    assert_false(bh_queue_publish(&guest->queue));
    guest_expect_nothing(guest);
    assert_false(bh_queue_notify_enable(&guest->queue, true));
    bh_queue_push(&guest->queue, &chain, 16);
    assert_int_equal(guest->queue.in_flight, 0);
    assert_false(bh_queue_publish(&guest->queue));
    guest_expect_nothing(guest);
    assert_int_equal(bh_queue_pop(&guest->queue, &none), 0);
    assert_int_equal(guest->queue.state, BH_QUEUE_FAULTY);
    /* What will never be published does not hold up the stop. */
    assert_int_equal(bh_queue_stop(&guest->queue), BH_OK);
    expect_stopped(guest);
}

static void test_faulty_queue_keeps_the_first_fault(void **state)
{
    struct guest *guest = *state;
    struct bh_chain chain;
    struct bh_fault fault;

    make_faulty(guest, &chain);
    fault = guest->queue.fault;
    assert_int_equal(bh_queue_pop(&guest->queue, &(struct bh_chain){0}), 0);
    assert_memory_equal(&guest->queue.fault, &fault, sizeof(fault));
    assert_int_equal(fault.address, GUEST_HOLE);
}

static void test_faulty_queue_drains_and_starts_again(void **state)
{
    struct guest *guest = *state;
    struct bh_chain chain;

    make_faulty(guest, &chain);
    assert_int_equal(bh_queue_start(&guest->queue, &guest->memory, &guest->setup), BH_STATE);
    assert_int_equal(bh_queue_stop(&guest->queue), BH_AGAIN);
    bh_queue_push(&guest->queue, &chain, 16);
    assert_false(bh_queue_publish(&guest->queue));
    guest_expect_nothing(guest);
    expect_stopped(guest);

    /* The driver starts over with clean rings. */
    memset(guest->low, 0, GUEST_LOW_SIZE);
    guest->avail = 0;
    guest_start(guest);
    assert_int_equal(guest->queue.fault.error, BH_OK);
    guest_offer_one(guest, GUEST_DATA, 16, W, 0);
    guest_pop(guest, &chain);
    guest_complete(guest, &chain, 16);
}

/* Chains that were in flight before a restart leave nothing behind: neither heads nor places. */
static void test_restart_forgets(void **state)
{
    struct guest *guest = *state;
    struct bh_chain chains[8];
    unsigned round;
    uint16_t i;

    for (round = 0; round < 3; round++) {
        for (i = 0; i < 8; i++) {
            guest_offer_one(guest, GUEST_DATA, 16, W, i);
        }
        for (i = 0; i < 8; i++) {
            guest_pop(guest, &chains[i]);
        }
        guest_offer_one(guest, GUEST_DATA, 16, W, 0);
        guest_pop_fault(guest, guest->packed ? BH_LIMIT : BH_PROTOCOL);
        assert_int_equal(bh_queue_stop(&guest->queue), BH_AGAIN);
        for (i = 0; i < 8; i++) {
            bh_queue_push(&guest->queue, &chains[i], 0);
        }
        assert_false(bh_queue_publish(&guest->queue));
        expect_stopped(guest);
        memset(guest->low, 0, GUEST_LOW_SIZE);
        guest->avail = 0;
        guest->avail_wrap = true;
        guest_start(guest);
    }
}

static void test_position_is_where_a_successor_goes_on(void **state)
{
    struct guest *guest = *state;
    struct bh_queue_position position;
    struct bh_chain chain;
    unsigned i;

    for (i = 0; i < 11; i++) {
        guest_offer_one(guest, GUEST_DATA, 16, W, 1);
        guest_pop(guest, &chain);
        guest_complete(guest, &chain, 1);
    }
    position = bh_queue_position(&guest->queue);
    assert_int_equal(position.avail_next, guest->packed ? 3 : 11);
    assert_int_equal(position.used_next, guest->packed ? 3 : 11);
    assert_int_equal(position.avail_wrap, !guest->packed);
    assert_int_equal(position.used_wrap, !guest->packed);

    assert_int_equal(bh_queue_stop(&guest->queue), BH_OK);
    position = bh_queue_position(&guest->queue);
    guest->setup.avail_next = position.avail_next;
    guest->setup.used_next = position.used_next;
    guest->setup.avail_wrap = position.avail_wrap;
    guest->setup.used_wrap = position.used_wrap;
    guest_start(guest);
    assert_int_equal(bh_queue_pop(&guest->queue, &chain), 0);
    for (i = 0; i < 11; i++) {
        guest_offer_one(guest, GUEST_DATA, 16, W, 1);
        guest_pop(guest, &chain);
        guest_complete(guest, &chain, 1);
    }
}

/* The driver may move and resize a queue between two lives. [BH-DEV-17] */
static void test_start_elsewhere_with_another_size(void **state)
{
    struct guest *guest = *state;
    struct bh_chain chain;
    unsigned i;

    guest_offer_one(guest, GUEST_DATA, 16, W, 0);
    guest_pop(guest, &chain);
    guest_complete(guest, &chain, 0);
    assert_int_equal(bh_queue_stop(&guest->queue), BH_OK);
    guest->setup.descriptor = GUEST_HIGH;
    guest->setup.driver = GUEST_HIGH + 0x2000;
    guest->setup.device = GUEST_HIGH + 0x3000;
    guest->setup.size = 64;
    guest->size = 64;
    guest->avail = 0;
    guest->used = 0;
    guest_start(guest);
    assert_int_equal(guest->queue.size, 64);
    for (i = 0; i < 100; i++) {
        guest_offer_one(guest, GUEST_DATA, 16, W, 63);
        guest_pop(guest, &chain);
        guest_complete(guest, &chain, 2);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST_BOTH(test_sizes),
        TEST_BOTH(test_size_over_the_format),
        TEST_BOTH(test_misaligned_areas),
        TEST_BOTH(test_areas_outside_memory),
        TEST_BOTH(test_areas_at_the_end_of_a_region),
        TEST_BOTH(test_areas_to_the_last_byte),
        TEST_BOTH(test_areas_in_read_only_memory),
        cmocka_unit_test(test_area_sizes),
        TEST_BOTH(test_arrays_of_exactly_the_largest_size),
        TEST_BOTH(test_start_needs_a_stopped_queue),
        TEST_BOTH(test_stopped_queue_does_nothing),
        TEST_BOTH(test_stop_drains),
        TEST_BOTH(test_stop_waits_for_what_is_not_published),
        TEST_BOTH(test_faulty_queue_gives_and_shows_nothing),
        TEST_BOTH(test_faulty_queue_keeps_the_first_fault),
        TEST_BOTH(test_faulty_queue_drains_and_starts_again),
        TEST_BOTH(test_restart_forgets),
        TEST_BOTH(test_position_is_where_a_successor_goes_on),
        TEST_BOTH(test_start_elsewhere_with_another_size),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
