/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Tests of what is particular to packed rings (VIRTIO 1.4, 2.8): wrap counters, slots, lists that
 * run over the end of the ring, sizes that are no power of two. Indirect tables are in
 * test_queue_indirect.c.
 */
#include "ring_guest.h"

#include <stdlib.h>
#include <string.h>

static uint16_t slot_flags(struct guest *guest, uint16_t slot)
{
    return guest_get16(guest, guest->setup.descriptor + 16u * (uint64_t)slot + 14);
}

/* Many rounds with chains of 1 to `size` slots in rings of every small size. [BH-DEV-5] */
static void test_wrap_counters_over_many_rounds(void **state)
{
    struct guest *guest = *state;
    struct guest_buffer buffers[GUEST_BLOCK_SPANS];
    uint16_t size;
    unsigned round;
    uint16_t i;

    for (i = 0; i < GUEST_BLOCK_SPANS; i++) {
        buffers[i] = (struct guest_buffer){GUEST_DATA + i, 1, W};
    }
    for (size = 1; size <= 13; size++) {
        guest_restart(guest, size, 0);
        for (round = 0; round < 60; round++) {
            uint16_t count = (uint16_t)(1 + round * 7 % size);
            struct bh_chain chain;

            guest_offer(guest, buffers, count, (uint16_t)(round % size));
            guest_pop(guest, &chain);
            assert_int_equal(chain.slots, count);
            assert_int_equal(chain.writable_count, count);
            guest_complete(guest, &chain, round % 2);
            assert_int_equal(bh_queue_pop(&guest->queue, &chain), 0);
            assert_int_equal(guest->queue.used_next, guest->used);
            assert_int_equal(guest->queue.used_wrap, guest->used_wrap);
            assert_int_equal(guest->queue.avail_next, guest->avail);
            assert_int_equal(guest->queue.avail_wrap, guest->avail_wrap);
        }
    }
}

static void test_seventy_thousand_chains_packed(void **state)
{
    struct guest *guest = *state;
    unsigned done;

    guest_restart(guest, 5, 0);
    for (done = 0; done < 70000; done += 4) {
        struct bh_chain chains[4];
        uint16_t i;

        for (i = 0; i < 4; i++) {
            guest_offer_one(guest, GUEST_DATA, 16, W, i);
        }
        for (i = 0; i < 4; i++) {
            guest_pop(guest, &chains[i]);
        }
        for (i = 4; i > 0; i--) {
            bh_queue_push(&guest->queue, &chains[i - 1], i);
        }
        (void)bh_queue_publish(&guest->queue);
        for (i = 4; i > 0; i--) {
            guest_expect_used(guest, i - 1u, i);
        }
    }
}

/* Available is what differs from used, and matches the round (VIRTIO 1.4, 2.8.1). */
static void test_what_is_available(void **state)
{
    static const uint16_t bits[4] = {0, BH_DESC_AVAIL, BH_DESC_USED, BH_DESC_AVAIL | BH_DESC_USED};
    struct guest *guest = *state;
    unsigned wrap;
    unsigned i;

    for (wrap = 0; wrap < 2; wrap++) {
        for (i = 0; i < 4; i++) {
            struct guest_buffer buffer = {GUEST_DATA, 16, bits[i]};
            bool available = bits[i] == (wrap != 0 ? BH_DESC_AVAIL : BH_DESC_USED);
            struct bh_chain chain;

            assert_int_equal(bh_queue_stop(&guest->queue), BH_OK);
            guest->setup.avail_wrap = wrap != 0;
            guest->setup.used_wrap = wrap != 0;
            guest_start(guest);
            guest_descriptor(guest, GUEST_DESCRIPTOR, 0, &buffer, 0);
            assert_int_equal(bh_queue_notify_enable(&guest->queue, true), available);
            assert_int_equal(bh_queue_pop(&guest->queue, &chain), available);
            if (available) {
                bh_queue_push(&guest->queue, &chain, 0);
                (void)bh_queue_publish(&guest->queue);
            }
        }
    }
}

/* The first descriptor of a list becomes available last: before that the rest is not looked at. */
static void test_list_is_hidden_by_its_first_descriptor(void **state)
{
    struct guest *guest = *state;
    const struct guest_buffer first = {GUEST_DATA, 16, BH_DESC_NEXT};
    struct bh_chain chain;

    guest_descriptor(guest, GUEST_DESCRIPTOR, 0, &first, 0);
    guest->avail = 1;
    guest_packed_offer(guest, &(struct guest_buffer){GUEST_DATA, 8, W}, 3);
    assert_int_equal(bh_queue_pop(&guest->queue, &chain), 0);
    guest->avail = 0;
    guest_packed_offer(guest, &first, 0);
    guest_pop(guest, &chain);
    assert_int_equal(chain.slots, 2);
    /* The buffer id stands in the last one. */
    assert_int_equal(chain.id, 3);
}

/* [BH-DEV-8] */
static void test_list_that_never_ends(void **state)
{
    struct guest *guest = *state;
    uint32_t length;
    unsigned i;

    for (length = 0; length <= 16; length += 16) {
        guest_restart(guest, 8, 0);
        for (i = 0; i < 8; i++) {
            guest_packed_offer(guest, &(struct guest_buffer){GUEST_DATA, length, BH_DESC_NEXT}, 0);
        }
        guest_pop_fault(guest, BH_LIMIT);
        assert_int_equal(guest->queue.fault.head, 0);
    }
}

static void test_list_of_the_whole_ring(void **state)
{
    struct guest *guest = *state;
    struct guest_buffer buffers[8];
    struct bh_chain chain;
    unsigned round;
    uint16_t i;

    for (i = 0; i < 8; i++) {
        buffers[i] = (struct guest_buffer){GUEST_DATA, 1, W};
    }
    for (round = 0; round < 5; round++) {
        guest_offer(guest, buffers, 8, 2);
        guest_pop(guest, &chain);
        assert_int_equal(chain.slots, 8);
        guest_complete(guest, &chain, 8);
    }
}

/* Slots in flight cannot be offered again. */
static void test_no_more_in_flight_than_the_ring_has(void **state)
{
    struct guest *guest = *state;
    struct guest_buffer buffers[8];
    struct bh_chain chain;
    struct bh_chain second;
    uint16_t i;

    for (i = 0; i < 8; i++) {
        buffers[i] = (struct guest_buffer){GUEST_DATA, 1, W};
    }
    guest_offer(guest, buffers, 5, 0);
    guest_pop(guest, &chain);
    guest_offer(guest, buffers, 3, 1);
    guest_pop(guest, &second);
    assert_int_equal(guest->queue.in_flight_slots, 8);
    bh_queue_push(&guest->queue, &second, 1);
    assert_int_equal(guest->queue.in_flight_slots, 5);
    (void)bh_queue_publish(&guest->queue);
    guest_expect_used(guest, 1, 1);
    guest_offer(guest, buffers, 4, 1);
    guest_pop_fault(guest, BH_LIMIT);
}

/* One used descriptor for the list, over its first slot; WRITE tells whether there is data. */
static void test_used_descriptor(void **state)
{
    struct guest *guest = *state;
    const struct guest_buffer buffers[] = {{GUEST_DATA, 5, R}, {GUEST_DATA + 8, 6, W}};
    uint8_t second[16];
    struct bh_chain chain;

    guest_offer(guest, buffers, 2, 6);
    memcpy(second, guest_at(guest, GUEST_DESCRIPTOR + 16), 16);
    guest_pop(guest, &chain);
    bh_queue_push(&guest->queue, &chain, 4);
    /* Not yet: the flags are still the driver's. */
    assert_int_equal(slot_flags(guest, 0), BH_DESC_NEXT | BH_DESC_AVAIL);
    (void)bh_queue_publish(&guest->queue);
    assert_int_equal(slot_flags(guest, 0), BH_DESC_AVAIL | BH_DESC_USED | BH_DESC_WRITE);
    guest_expect_used(guest, 6, 4);
    assert_memory_equal(guest_at(guest, GUEST_DESCRIPTOR + 16), second, 16);

    guest_offer(guest, buffers, 1, 5);
    guest_pop(guest, &chain);
    guest_complete(guest, &chain, 0);
    assert_int_equal(slot_flags(guest, 2), BH_DESC_AVAIL | BH_DESC_USED);
}

/* The second and third of a batch may be written, but the driver waits at the first. [BH-DEV-15] */
static void test_batch_shows_by_its_first_flags(void **state)
{
    struct guest *guest = *state;
    struct bh_chain chains[8];
    uint16_t i;

    for (i = 0; i < 8; i++) {
        guest_offer_one(guest, GUEST_DATA, 1, W, i);
        guest_pop(guest, &chains[i]);
    }
    for (i = 0; i < 8; i++) {
        bh_queue_push(&guest->queue, &chains[i], 1);
        assert_int_equal(slot_flags(guest, 0) & (BH_DESC_AVAIL | BH_DESC_USED), BH_DESC_AVAIL);
    }
    (void)bh_queue_publish(&guest->queue);
    for (i = 0; i < 8; i++) {
        guest_expect_used(guest, i, 1);
    }
    /* The round is over: used descriptors are zeros and ones the other way round now. */
    for (i = 0; i < 8; i++) {
        assert_int_equal(slot_flags(guest, i), BH_DESC_AVAIL | BH_DESC_USED | BH_DESC_WRITE);
        guest_offer_one(guest, GUEST_DATA, 1, W, i);
        guest_pop(guest, &chains[0]);
        guest_complete(guest, &chains[0], 0);
        assert_int_equal(slot_flags(guest, i), 0);
    }
}

/* A batch that begins at the end of the ring and goes on at its start. */
static void test_batch_over_the_end(void **state)
{
    struct guest *guest = *state;
    struct bh_chain chains[4];
    unsigned round;
    uint16_t i;

    guest_restart(guest, 5, 0);
    for (round = 0; round < 20; round++) {
        for (i = 0; i < 4; i++) {
            guest_offer_one(guest, GUEST_DATA, 1, W, i);
            guest_pop(guest, &chains[i]);
        }
        for (i = 0; i < 4; i++) {
            bh_queue_push(&guest->queue, &chains[i], 1);
            guest_expect_nothing(guest);
        }
        (void)bh_queue_publish(&guest->queue);
        for (i = 0; i < 4; i++) {
            guest_expect_used(guest, i, 1);
        }
        guest_expect_nothing(guest);
    }
}

static void test_goes_on_at_a_given_slot(void **state)
{
    struct guest *guest = *state;
    struct bh_chain chain;

    assert_int_equal(bh_queue_stop(&guest->queue), BH_OK);
    guest->setup.avail_next = 7;
    guest->setup.avail_wrap = false;
    guest->setup.used_next = 6;
    guest->setup.used_wrap = false;
    guest->avail = 7;
    guest->avail_wrap = false;
    guest->used = 6;
    guest->used_wrap = false;
    /* Slot 6 bears an old available descriptor: it is not taken again. */
    guest_descriptor(guest, GUEST_DESCRIPTOR, 6,
                     &(struct guest_buffer){GUEST_DATA, 1, BH_DESC_USED}, 0);
    guest_start(guest);
    guest_offer_one(guest, GUEST_DATA, 1, W, 3);
    guest_pop(guest, &chain);
    guest_complete(guest, &chain, 1);
    assert_int_equal(bh_queue_position(&guest->queue).avail_next, 0);
    assert_true(bh_queue_position(&guest->queue).avail_wrap);
    assert_int_equal(bh_queue_position(&guest->queue).used_next, 7);
    assert_false(bh_queue_position(&guest->queue).used_wrap);
}

/* [BH-DEV-6] */
static void test_slots_to_go_on_at_are_in_the_ring(void **state)
{
    static const uint16_t beyond[] = {8, 9, 0x7fff, 0xffff};
    struct guest *guest = *state;
    unsigned i;

    assert_int_equal(bh_queue_stop(&guest->queue), BH_OK);
    for (i = 0; i < 4; i++) {
        struct bh_queue_setup setup = guest->setup;

        setup.avail_next = beyond[i];
        assert_int_equal(bh_queue_start(&guest->queue, &guest->memory, &setup), BH_INVALID);
        setup.avail_next = 7;
        setup.used_next = beyond[i];
        assert_int_equal(bh_queue_start(&guest->queue, &guest->memory, &setup), BH_INVALID);
        assert_int_equal(guest->queue.state, BH_QUEUE_STOPPED);
    }
}

static void test_ring_of_any_size(void **state)
{
    static const uint16_t sizes[] = {1, 2, 3, 5, 6, 7, 100, 1023, 1024};
    struct guest *guest = *state;
    unsigned s;
    unsigned i;

    for (s = 0; s < sizeof(sizes) / sizeof(sizes[0]); s++) {
        guest_restart(guest, sizes[s], 0);
        for (i = 0; i < 3u * sizes[s]; i++) {
            struct bh_chain chain;

            guest_offer_one(guest, GUEST_DATA, 1, W, 0);
            guest_pop(guest, &chain);
            guest_complete(guest, &chain, 1);
        }
    }
}

/* Offsets of 15 bits and the wrap bit, at their ends. */
static void test_largest_packed_ring(void **state)
{
    struct guest *guest = *state;
    const uint64_t base = UINT64_C(0x100000000);
    const size_t size = 0x80000;
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
    guest->setup.features |= BH_F_EVENT_IDX;
    guest->setup.descriptor = base;
    guest->setup.size = BH_QUEUE_SIZE_MAX;
    guest->size = BH_QUEUE_SIZE_MAX;
    guest->setup.avail_next = 0x7ff0;
    guest->setup.used_next = 0x7ff0;
    guest->avail = 0x7ff0;
    guest->used = 0x7ff0;
    bh_queue_init(&queue, 0, BH_QUEUE_SIZE_MAX, order, busy, &guest->pool);
    assert_int_equal(bh_queue_start(&queue, &guest->memory, &guest->setup), BH_OK);
    for (i = 0; i < 40; i++) {
        /* Told at slot 0 of the next round, and no other. */
        bool first = i == 0;

        guest_want_at(guest, 0, false);
        guest_offer_one(guest, GUEST_DATA, 16, W, (uint16_t)(i % 1024));
        assert_int_equal(bh_queue_pop(&queue, &chain), 1);
        bh_queue_push(&queue, &chain, 1);
        assert_int_equal(bh_queue_publish(&queue), first || i == 0x10);
        guest_expect_used(guest, i % 1024, 1);
        assert_false(bh_queue_notify_enable(&queue, true));
        assert_int_equal(guest_get16(guest, guest->setup.device),
                         i < 15 ? 0x8000u + 0x7ff1 + i : i - 15u);
    }
    free(memory);
    free(busy);
    free(order);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST_PACKED(test_wrap_counters_over_many_rounds),
        TEST_PACKED(test_seventy_thousand_chains_packed),
        TEST_PACKED(test_what_is_available),
        TEST_PACKED(test_list_is_hidden_by_its_first_descriptor),
        TEST_PACKED(test_list_that_never_ends),
        TEST_PACKED(test_list_of_the_whole_ring),
        TEST_PACKED(test_no_more_in_flight_than_the_ring_has),
        TEST_PACKED(test_used_descriptor),
        TEST_PACKED(test_batch_shows_by_its_first_flags),
        TEST_PACKED(test_batch_over_the_end),
        TEST_PACKED(test_goes_on_at_a_given_slot),
        TEST_PACKED(test_slots_to_go_on_at_are_in_the_ring),
        TEST_PACKED(test_ring_of_any_size),
        TEST_PACKED(test_largest_packed_ring),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
