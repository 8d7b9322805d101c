/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Tests of notifications, both ways: when a batch notifies the device, and what the driver asks the device for.
 */
#include "driver_rig.h"

static const uint64_t formats[] = {0, BH_F_RING_PACKED};

static void test_notification_flags(void **state)
{
    struct fixture f;
    int token;

    (void)state;
    start(&f, 0, 8, 0);
    assert_int_equal(bh_driver_queue_publish(&f.queue), BH_OK);
    assert_int_equal(f.device.queues[0].notifies, 0);
    assert_int_equal(add(&f, 1, 0, &token), BH_OK);
    assert_int_equal(bh_driver_queue_publish(&f.queue), BH_OK);
    assert_int_equal(f.device.queues[0].notifies, 1);
    fake_split_suppress(&f.device, 0, 1, 1);
    assert_int_equal(add(&f, 1, 0, &token), BH_OK);
    assert_int_equal(bh_driver_queue_publish(&f.queue), BH_OK);
    assert_int_equal(f.device.queues[0].notifies, 1);
    stop(&f);

    start(&f, BH_F_RING_PACKED, 8, 0);
    assert_int_equal(add(&f, 1, 0, &token), BH_OK);
    assert_int_equal(bh_driver_queue_publish(&f.queue), BH_OK);
    assert_int_equal(f.device.queues[0].notifies, 1);
    fake_packed_suppress(&f.device, 0, 0, 1);
    assert_int_equal(add(&f, 1, 0, &token), BH_OK);
    assert_int_equal(bh_driver_queue_publish(&f.queue), BH_OK);
    assert_int_equal(f.device.queues[0].notifies, 1);
    /* A single place means nothing without EVENT_IDX: rather once too often. */
    fake_packed_suppress(&f.device, 0, 0, 2);
    assert_int_equal(add(&f, 1, 0, &token), BH_OK);
    assert_int_equal(bh_driver_queue_publish(&f.queue), BH_OK);
    assert_int_equal(f.device.queues[0].notifies, 2);
    stop(&f);
}

/* The decision is made once for a batch: whether the event index lies in it (VIRTIO 1.4, 2.7.10). */
static void test_split_event_index(void **state)
{
    struct fixture f;

    (void)state;
    start(&f, BH_F_EVENT_IDX, 8, 0);
    fake_split_suppress(&f.device, 0, 1, 2); /* the flag counts for nothing */
    assert_false(lap(&f, 2));
    assert_true(lap(&f, 1));
    fake_split_suppress(&f.device, 0, 0, 7);
    assert_true(lap(&f, 6));
    assert_false(lap(&f, 6)); /* 9..14 */
    /* Around the end of 16 bits. */
    for (unsigned i = 15; i + 6 <= 0xffff; i += 6) {
        (void)lap(&f, 6);
    }
    while ((f.queue.published & 0xffff) != 0xfffc) {
        (void)lap(&f, 1);
    }
    fake_split_suppress(&f.device, 0, 0, 1);
    assert_false(lap(&f, 5)); /* 0xfffc .. 0 */
    assert_true(lap(&f, 1));
    stop(&f);
}

static void test_packed_event_index(void **state)
{
    struct fixture f;

    (void)state;
    start(&f, BH_F_RING_PACKED | BH_F_EVENT_IDX, 7, 0);
    fake_packed_suppress(&f.device, 0, 0x8000 | 2, 2);
    assert_false(lap(&f, 2)); /* 0, 1 */
    assert_true(lap(&f, 1));
    fake_packed_suppress(&f.device, 0, 6 | 0x8000, 2);
    assert_true(lap(&f, 6)); /* 3 .. 6, then 0 and 1 of the next lap */
    assert_false(lap(&f, 3));
    fake_packed_suppress(&f.device, 0, 5, 2); /* the second lap has wrap counter 0 */
    assert_true(lap(&f, 1));
    fake_packed_suppress(&f.device, 0, 0, 2);
    assert_false(lap(&f, 1)); /* place 6 */
    fake_packed_suppress(&f.device, 0, 0x8000, 2);
    assert_true(lap(&f, 1));
    fake_packed_suppress(&f.device, 0, 1, 2); /* passed long ago */
    assert_false(lap(&f, 1));
    fake_packed_suppress(&f.device, 0, 0, 0);
    assert_true(lap(&f, 1));
    stop(&f);
}

static void test_notification_data(void **state)
{
    struct fixture f;

    (void)state;
    start(&f, BH_F_NOTIFICATION_DATA, 8, 0);
    assert_true(lap(&f, 3));
    assert_int_equal(f.device.queues[0].notify_next, 3);
    assert_false(f.device.queues[0].notify_wrap);
    while (f.queue.published < 0x8001) {
        (void)lap(&f, 1);
    }
    assert_int_equal(f.device.queues[0].notify_next, 1);
    assert_true(f.device.queues[0].notify_wrap);
    stop(&f);

    start(&f, BH_F_NOTIFICATION_DATA | BH_F_RING_PACKED, 7, 0);
    assert_true(lap(&f, 6));
    assert_int_equal(f.device.queues[0].notify_next, 6);
    assert_true(f.device.queues[0].notify_wrap);
    assert_true(lap(&f, 3));
    assert_int_equal(f.device.queues[0].notify_next, 2);
    assert_false(f.device.queues[0].notify_wrap);
    stop(&f);
}

/* Shows one buffer and uses it, without collecting. */
static void use_one(struct fixture *f)
{
    struct fake_chain chain;

    assert_int_equal(add(f, 1, 0, f), BH_OK);
    assert_int_equal(bh_driver_queue_publish(&f->queue), BH_OK);
    assert_true(fake_pop(&f->device, 0, &chain));
    fake_push(&f->device, 0, chain.id, 0, chain.slots);
}

static void test_asking_for_notifications(void **state)
{
    struct fixture f;
    uint64_t event;
    void *token;
    uint32_t written;

    (void)state;
    start(&f, 0, 8, 0);
    assert_int_equal(fake_get(&f.device, f.device.queues[0].areas.driver, 2), 0);
    assert_false(bh_driver_queue_notify_enable(&f.queue, false));
    assert_int_equal(fake_get(&f.device, f.device.queues[0].areas.driver, 2), 1);
    use_one(&f);
    assert_true(bh_driver_queue_notify_enable(&f.queue, true));
    assert_int_equal(fake_get(&f.device, f.device.queues[0].areas.driver, 2), 0);
    assert_int_equal(bh_driver_queue_collect(&f.queue, &token, &written), 1);
    assert_false(bh_driver_queue_notify_enable(&f.queue, true));
    stop(&f);

    start(&f, BH_F_EVENT_IDX, 8, 0);
    event = f.device.queues[0].areas.driver + 4 + 2 * 8;
    assert_int_equal(fake_get(&f.device, event, 2), 0);
    (void)lap(&f, 3);
    assert_false(bh_driver_queue_notify_enable(&f.queue, true));
    assert_int_equal(fake_get(&f.device, event, 2), 3);
    assert_false(bh_driver_queue_notify_enable(&f.queue, false));
    assert_int_equal(fake_get(&f.device, event, 2), 2);
    assert_int_equal(fake_get(&f.device, f.device.queues[0].areas.driver, 2), 0);
    use_one(&f);
    assert_true(bh_driver_queue_notify_enable(&f.queue, true));
    stop(&f);

    start(&f, BH_F_RING_PACKED, 7, 0);
    assert_false(bh_driver_queue_notify_enable(&f.queue, false));
    assert_int_equal(fake_get(&f.device, f.device.queues[0].areas.driver + 2, 2), 1);
    use_one(&f);
    assert_true(bh_driver_queue_notify_enable(&f.queue, true));
    assert_int_equal(fake_get(&f.device, f.device.queues[0].areas.driver + 2, 2), 0);
    stop(&f);

    start(&f, BH_F_RING_PACKED | BH_F_EVENT_IDX, 7, 0);
    (void)lap(&f, 5);
    assert_false(bh_driver_queue_notify_enable(&f.queue, true));
    assert_int_equal(fake_get(&f.device, f.device.queues[0].areas.driver, 4), 0x28005);
    (void)lap(&f, 4);
    assert_false(bh_driver_queue_notify_enable(&f.queue, true));
    assert_int_equal(fake_get(&f.device, f.device.queues[0].areas.driver, 4), 0x20002);
    assert_false(bh_driver_queue_notify_enable(&f.queue, false));
    assert_int_equal(fake_get(&f.device, f.device.queues[0].areas.driver + 2, 2), 1);
    stop(&f);
}

/* The rest of an in-order batch counts as waiting. */
static void test_open_batch_waits(void **state)
{
    struct fixture f;
    struct fake_chain chain;
    void *token;
    uint32_t written;
    int mine;

    (void)state;
    for (unsigned i = 0; i < 2; i++) {
        start(&f, formats[i] | BH_F_IN_ORDER, 8, 0);
        assert_int_equal(add(&f, 1, 0, &mine), BH_OK);
        assert_int_equal(add(&f, 1, 0, &mine), BH_OK);
        assert_int_equal(bh_driver_queue_publish(&f.queue), BH_OK);
        assert_true(fake_pop(&f.device, 0, &chain));
        assert_true(fake_pop(&f.device, 0, &chain));
        fake_push_batch(&f.device, 0, chain.id, 0, 2, 2);
        assert_int_equal(bh_driver_queue_collect(&f.queue, &token, &written), 1);
        assert_true(bh_driver_queue_notify_enable(&f.queue, true));
        assert_int_equal(bh_driver_queue_collect(&f.queue, &token, &written), 1);
        assert_false(bh_driver_queue_notify_enable(&f.queue, true));
        stop(&f);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_notification_flags),       cmocka_unit_test(test_split_event_index),
        cmocka_unit_test(test_packed_event_index),       cmocka_unit_test(test_notification_data),
        cmocka_unit_test(test_asking_for_notifications), cmocka_unit_test(test_open_batch_waits),
    };

    return cmocka_run_group_tests_name("driver_notify", tests, NULL, NULL);
}
