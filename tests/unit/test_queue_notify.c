/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Tests of notification suppression in both directions and both ring formats: flags, event index,
 * packed event structures, across the ends of their ranges.
 */
#include "ring_guest.h"

/* VIRTIO 1.4, 2.7.10: due when `event` lies in [before, after). */
static void test_event_due_table(void **state)
{
    static const struct {
        uint16_t event;
        uint16_t after;
        uint16_t before;
        int due;
    } table[] = {
        {0, 1, 0, 1},           {1, 1, 0, 0},           {5, 5, 4, 0},
        {4, 5, 4, 1},           {3, 5, 4, 0},           {4, 8, 4, 1},
        {7, 8, 4, 1},           {8, 8, 4, 0},           {3, 8, 4, 0},
        {4, 4, 4, 0},           {3, 4, 4, 0},           {0xffff, 0, 0xffff, 1},
        {0xfffe, 0, 0xffff, 0}, {0, 0, 0xffff, 0},      {0, 1, 0xffff, 1},
        {0xffff, 3, 0xfffd, 1}, {2, 3, 0xfffd, 1},      {3, 3, 0xfffd, 0},
        {0xfffc, 3, 0xfffd, 0}, {0x8000, 0x8001, 0, 1}, {0x7fff, 0x8000, 0x8000, 0},
    };
    unsigned i;

    (void)state;
    for (i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        if (bh_event_due(table[i].event, table[i].after, table[i].before) != table[i].due) {
            fail_msg("row %u", i);
        }
    }
}

/* Offers, serves and publishes `count` chains as one batch; whether the driver is to be told. */
static bool serve(struct guest *guest, unsigned count)
{
    struct bh_chain chains[8];
    unsigned i;

    for (i = 0; i < count; i++) {
        guest_offer_one(guest, GUEST_DATA, 16, W, (uint16_t)i);
    }
    for (i = 0; i < count; i++) {
        guest_pop(guest, &chains[i]);
    }
    for (i = 0; i < count; i++) {
        bh_queue_push(&guest->queue, &chains[i], 1);
    }
    return bh_queue_publish(&guest->queue);
}

/* A successor does not know what its predecessor still owed: the first batch is always told. */
static void test_first_batch_after_start_notifies(void **state)
{
    struct guest *guest = *state;

    guest_want_none(guest);
    assert_true(serve(guest, 1));
    assert_false(serve(guest, 1));
    assert_int_equal(bh_queue_stop(&guest->queue), BH_OK);
    guest->setup.avail_next = bh_queue_position(&guest->queue).avail_next;
    guest->setup.used_next = bh_queue_position(&guest->queue).used_next;
    guest_start(guest);
    assert_true(serve(guest, 1));
    assert_false(serve(guest, 1));
}

/* [BH-DEV-18, BH-DEV-19] */
static void test_flags_without_event_idx(void **state)
{
    struct guest *guest = *state;
    unsigned i;

    guest_want_none(guest);
    (void)serve(guest, 1);
    for (i = 0; i < 20; i++) {
        guest_want_none(guest);
        assert_false(serve(guest, 1));
        guest_want_all(guest);
        assert_true(serve(guest, 2));
        assert_true(serve(guest, 1));
    }
    /* Nothing was published: nothing to tell. */
    assert_false(bh_queue_publish(&guest->queue));
}

/* What lies where the event index would is ignored (VIRTIO 1.4, 2.7.7.2). */
static void test_event_is_ignored_without_event_idx(void **state)
{
    struct guest *guest = *state;

    (void)serve(guest, 1);
    if (guest->packed) {
        guest_want_at(guest, 0x7000, true);
        assert_true(serve(guest, 1)); /* DESC is not valid then: better told than not */
    } else {
        guest_want_at(guest, 1, true);
        guest_want_none(guest);
        assert_false(serve(guest, 1));
        guest_want_at(guest, 100, true);
        guest_want_all(guest);
        assert_true(serve(guest, 1));
    }
}

/* Where the device is, as the driver writes it into its event: entries after the next one. */
static void want_after(struct guest *guest, unsigned entries)
{
    const struct bh_queue *queue = &guest->queue;
    unsigned index = queue->used_next + entries;
    bool wrap = queue->used_wrap;

    if (guest->packed && index >= guest->size) {
        index -= guest->size;
        wrap = !wrap;
    }
    guest_want_at(guest, (uint16_t)index, wrap);
}

/* [BH-DEV-18, BH-DEV-19] */
static void test_event_index_at_every_place(void **state)
{
    static const uint16_t sizes[] = {8, 16};
    struct guest *guest = *state;
    unsigned s;
    unsigned round;

    for (s = 0; s < 2; s++) {
        guest_restart(guest, sizes[s], BH_F_EVENT_IDX);
        (void)serve(guest, 1);
        for (round = 0; round < 100; round++) {
            unsigned after = round % 7;
            unsigned batch = 1 + round % 5;
            unsigned done;

            want_after(guest, after);
            for (done = 0; done <= after; done += batch) {
                assert_int_equal(serve(guest, batch), after < done + batch);
            }
            /* Once is enough. */
            assert_false(serve(guest, 1));
        }
    }
}

static void test_event_index_wraps_at_65536(void **state)
{
    struct guest *guest = *state;

    assert_int_equal(bh_queue_stop(&guest->queue), BH_OK);
    guest->setup.features |= BH_F_EVENT_IDX;
    guest->setup.avail_next = 0xfffd;
    guest->setup.used_next = 0xfffd;
    guest->avail = 0xfffd;
    guest->used = 0xfffd;
    guest_start(guest);
    guest_want_at(guest, 0x8000, true);
    assert_true(serve(guest, 1)); /* the first */
    guest_want_at(guest, 0xffff, true);
    assert_false(serve(guest, 1)); /* 0xfffe */
    assert_true(serve(guest, 3));  /* 0xffff, 0, 1 */
    guest_want_at(guest, 1, true);
    assert_false(serve(guest, 1)); /* 2 */
}

/* The split flag is the driver's 0 with event idx; a 1 is ignored (VIRTIO 1.4, 2.7.7.2). */
static void test_split_flag_is_ignored_with_event_idx(void **state)
{
    struct guest *guest = *state;

    guest_restart(guest, 8, BH_F_EVENT_IDX);
    (void)serve(guest, 1);
    guest_want_none(guest);
    guest_want_at(guest, 1, true);
    assert_true(serve(guest, 1));
}

static void test_packed_flags_with_event_idx(void **state)
{
    struct guest *guest = *state;
    unsigned i;

    guest_restart(guest, 8, BH_F_EVENT_IDX);
    (void)serve(guest, 1);
    for (i = 0; i < 20; i++) {
        guest_want_none(guest);
        assert_false(serve(guest, 3));
        guest_want_all(guest);
        assert_true(serve(guest, 1));
    }
    /* Only two bits are flags; the others are reserved. */
    guest_put16(guest, GUEST_DRIVER + 2, 0xfffc | BH_PACKED_EVENT_DISABLE);
    assert_false(serve(guest, 1));
    guest_put16(guest, GUEST_DRIVER + 2, 0xfffc | BH_PACKED_EVENT_ENABLE);
    assert_true(serve(guest, 1));
}

/* A chain of several slots passes each of them. */
static void test_packed_event_within_a_chain(void **state)
{
    struct guest *guest = *state;
    const struct guest_buffer buffers[] = {
        {GUEST_DATA, 16, W}, {GUEST_DATA, 16, W}, {GUEST_DATA, 16, W}};
    struct bh_chain chain;
    unsigned round;

    guest_restart(guest, 8, BH_F_EVENT_IDX);
    (void)serve(guest, 1);
    for (round = 0; round < 40; round++) {
        want_after(guest, round % 4);
        guest_offer(guest, buffers, 3, 0);
        guest_pop(guest, &chain);
        bh_queue_push(&guest->queue, &chain, 1);
        assert_int_equal(bh_queue_publish(&guest->queue), round % 4 < 3);
    }
}

/* [BH-DEV-5] */
static void test_device_asks_by_flags(void **state)
{
    struct guest *guest = *state;
    uint64_t flags = GUEST_DEVICE + (guest->packed ? 2 : 0);

    assert_false(bh_queue_notify_enable(&guest->queue, false));
    assert_int_equal(guest_get16(guest, flags), 1);
    assert_false(bh_queue_notify_enable(&guest->queue, true));
    assert_int_equal(guest_get16(guest, flags), 0);
}

static void test_enable_tells_of_a_chain_that_is_there(void **state)
{
    struct guest *guest = *state;
    struct bh_chain chain;
    unsigned i;

    for (i = 0; i < 40; i++) {
        if (i == 20) {
            guest_restart(guest, 8, BH_F_EVENT_IDX);
        }
        assert_false(bh_queue_notify_enable(&guest->queue, false));
        guest_offer_one(guest, GUEST_DATA, 16, W, 0);
        /* Not asked: not told. */
        assert_false(bh_queue_notify_enable(&guest->queue, false));
        assert_true(bh_queue_notify_enable(&guest->queue, true));
        guest_pop(guest, &chain);
        assert_false(bh_queue_notify_enable(&guest->queue, true));
        guest_complete(guest, &chain, 0);
    }
}

static void test_device_asks_by_event_index(void **state)
{
    struct guest *guest = *state;
    unsigned i;

    guest_restart(guest, 8, BH_F_EVENT_IDX);
    for (i = 1; i < 30; i++) {
        (void)serve(guest, 1);
        assert_false(bh_queue_notify_enable(&guest->queue, true));
        if (guest->packed) {
            assert_int_equal(guest_get16(guest, GUEST_DEVICE),
                             i % 8u | (guest->queue.avail_wrap ? 0x8000u : 0u));
            assert_int_equal(guest->queue.avail_wrap, i / 8 % 2 == 0);
            assert_int_equal(guest_get16(guest, GUEST_DEVICE + 2), BH_PACKED_EVENT_DESC);
        } else {
            assert_int_equal(guest_get16(guest, GUEST_DEVICE + 4 + 8 * 8), i);
            assert_int_equal(guest_get16(guest, GUEST_DEVICE), 0);
        }
    }
    /* Not asking: the packed format has a word for it, the split one leaves the index behind. */
    assert_false(bh_queue_notify_enable(&guest->queue, false));
    if (guest->packed) {
        assert_int_equal(guest_get16(guest, GUEST_DEVICE + 2), BH_PACKED_EVENT_DISABLE);
    } else {
        assert_int_equal(guest_get16(guest, GUEST_DEVICE), 0);
        (void)serve(guest, 1);
        assert_false(bh_queue_notify_enable(&guest->queue, false));
        assert_int_equal(guest_get16(guest, GUEST_DEVICE + 4 + 8 * 8), 29);
    }
}

/* The device writes its own areas and used entries, and nothing else. */
static void test_only_the_device_area_is_written(void **state)
{
    struct guest *guest = *state;
    uint64_t at;

    guest_restart(guest, 8, BH_F_EVENT_IDX);
    (void)serve(guest, 8);
    (void)bh_queue_notify_enable(&guest->queue, true);
    for (at = GUEST_DEVICE + bh_device_area_size(8, guest->packed); at < GUEST_DATA; at++) {
        assert_int_equal(*guest_at(guest, at), 0);
    }
    for (at = GUEST_DESCRIPTOR + 8 * 16; at < GUEST_DRIVER; at++) {
        assert_int_equal(*guest_at(guest, at), 0);
    }
    for (at = GUEST_DRIVER + bh_driver_area_size(8, guest->packed); at < GUEST_DEVICE; at++) {
        assert_int_equal(*guest_at(guest, at), 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_event_due_table),
        TEST_BOTH(test_first_batch_after_start_notifies),
        TEST_BOTH(test_flags_without_event_idx),
        TEST_BOTH(test_event_is_ignored_without_event_idx),
        TEST_BOTH(test_event_index_at_every_place),
        TEST_SPLIT(test_event_index_wraps_at_65536),
        TEST_SPLIT(test_split_flag_is_ignored_with_event_idx),
        TEST_PACKED(test_packed_flags_with_event_idx),
        TEST_PACKED(test_packed_event_within_a_chain),
        TEST_BOTH(test_device_asks_by_flags),
        TEST_BOTH(test_enable_tells_of_a_chain_that_is_there),
        TEST_BOTH(test_device_asks_by_event_index),
        TEST_BOTH(test_only_the_device_area_is_written),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
