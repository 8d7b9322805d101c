/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The virtio-mmio port's queues: registers that set them up, notifications, queue and device reset,
 * violations. The other registers: test_mmio.c.
 */
#include "mmio_rig.h"

#include <string.h>

/* ---- queues ---- */

/* [BH-DEV-20] Selector and notification beyond the last queue. */
static void test_class_15_queue_out_of_range(void **state)
{
    struct mmio_rig *rig = *state;
    const uint32_t indices[] = {MMIO_QUEUES, 3, 63, 64, 0xffff, 0x10000, 0x80000000, UINT32_MAX};

    mmio_go_live(rig, 0);
    for (uint32_t i = 0; i < sizeof(indices) / sizeof(indices[0]); i++) {
        mmio_put_ok(rig, BH_MMIO_QUEUE_SEL, indices[i]);
        assert_int_equal(mmio_get(rig, BH_MMIO_QUEUE_SIZE_MAX), 0);
        assert_int_equal(mmio_get(rig, BH_MMIO_QUEUE_READY), 0);
        assert_int_equal(mmio_get(rig, BH_MMIO_QUEUE_RESET), 0);
        assert_int_equal(mmio_put(rig, BH_MMIO_QUEUE_SIZE, 8), BH_INVALID);
        assert_int_equal(mmio_put(rig, BH_MMIO_QUEUE_READY, 1), BH_INVALID);
        assert_int_equal(mmio_put(rig, BH_MMIO_QUEUE_READY, 0), BH_INVALID);
        assert_int_equal(mmio_put(rig, BH_MMIO_QUEUE_RESET, 1), BH_INVALID);
        for (uint32_t at = BH_MMIO_QUEUE_DESC_LOW; at <= BH_MMIO_QUEUE_DEVICE_HIGH; at += 16) {
            assert_int_equal(mmio_put(rig, at, 0x1000), BH_INVALID);
            assert_int_equal(mmio_put(rig, at + 4, 0x1000), BH_INVALID);
        }
        assert_int_equal(mmio_put(rig, BH_MMIO_QUEUE_NOTIFY, indices[i]), BH_INVALID);
    }
    assert_int_equal(rig->serves, 1); /* at DRIVER_OK */
    assert_int_equal(rig->device.status, LIVE);
}

static void test_queue_size(void **state)
{
    struct mmio_rig *rig = *state;
    const uint32_t bad[] = {0, MMIO_QUEUE_SIZE + 1, 0x10000, 0x10008, UINT32_MAX};

    mmio_negotiate(rig, 0);
    mmio_put_ok(rig, BH_MMIO_QUEUE_SEL, 1);
    assert_int_equal(mmio_get(rig, BH_MMIO_QUEUE_SIZE_MAX), MMIO_QUEUE_SIZE);
    for (uint32_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        mmio_put_areas(rig, 0);
        assert_int_equal(mmio_put(rig, BH_MMIO_QUEUE_SIZE, bad[i]), BH_INVALID);
        assert_int_equal(mmio_put(rig, BH_MMIO_QUEUE_READY, 1), BH_INVALID);
        assert_int_equal(mmio_get(rig, BH_MMIO_QUEUE_READY), 0);
    }
    /* Split rings have a power of 2. */
    mmio_put_ok(rig, BH_MMIO_QUEUE_SIZE, 6);
    assert_int_equal(mmio_put(rig, BH_MMIO_QUEUE_READY, 1), BH_INVALID);
    mmio_put_ok(rig, BH_MMIO_QUEUE_SIZE, 4);
    mmio_put_ok(rig, BH_MMIO_QUEUE_READY, 1);
    assert_int_equal(rig->queues[1].size, 4);
    assert_int_equal(rig->queues[0].state, BH_QUEUE_STOPPED);
}

/* [BH-DEV-6] */
static void test_rings_that_are_refused(void **state)
{
    struct mmio_rig *rig = *state;
    const uint32_t lows[] = {BH_MMIO_QUEUE_DESC_LOW, BH_MMIO_QUEUE_DRIVER_LOW,
                             BH_MMIO_QUEUE_DEVICE_LOW};

    mmio_negotiate(rig, 0);
    mmio_put_ok(rig, BH_MMIO_QUEUE_SEL, 0);
    for (uint32_t i = 0; i < 3; i++) {
        mmio_put_areas(rig, 0);
        mmio_put_ok(rig, lows[i], (uint32_t)GUEST_HOLE);
        assert_int_equal(mmio_put(rig, BH_MMIO_QUEUE_READY, 1), BH_DENIED);
        mmio_put_areas(rig, 0);
        mmio_put_ok(rig, lows[i], (uint32_t)GUEST_DESCRIPTOR + 1);
        assert_int_equal(mmio_put(rig, BH_MMIO_QUEUE_READY, 1), BH_INVALID);
        /* The high half counts. */
        mmio_put_areas(rig, 0);
        mmio_put_ok(rig, lows[i] + 4, 1);
        assert_int_equal(mmio_put(rig, BH_MMIO_QUEUE_READY, 1), BH_DENIED);
    }
    assert_int_equal(mmio_get(rig, BH_MMIO_QUEUE_READY), 0);
    /* A half that is written again replaces the old one. */
    mmio_put_ok(rig, BH_MMIO_QUEUE_DESC_LOW, UINT32_MAX);
    mmio_put_ok(rig, BH_MMIO_QUEUE_DESC_HIGH, UINT32_MAX);
    mmio_queue_on(rig, 0);
}

/* Each half has a register of its own. */
static void test_addresses(void **state)
{
    struct mmio_rig *rig = *state;

    mmio_put_ok(rig, BH_MMIO_QUEUE_SEL, 1);
    mmio_put_ok(rig, BH_MMIO_QUEUE_DESC_LOW, 0x11);
    mmio_put_ok(rig, BH_MMIO_QUEUE_DESC_HIGH, 0x22);
    mmio_put_ok(rig, BH_MMIO_QUEUE_DRIVER_LOW, 0x33);
    mmio_put_ok(rig, BH_MMIO_QUEUE_DRIVER_HIGH, 0x44);
    mmio_put_ok(rig, BH_MMIO_QUEUE_DEVICE_LOW, 0x55);
    mmio_put_ok(rig, BH_MMIO_QUEUE_DEVICE_HIGH, 0x66);
    assert_true(rig->registers[1].descriptor == UINT64_C(0x2200000011));
    assert_true(rig->registers[1].driver == UINT64_C(0x4400000033));
    assert_true(rig->registers[1].device == UINT64_C(0x6600000055));
    assert_true(rig->registers[0].descriptor == 0);
}

/* What was validated at QueueReady is what counts, whatever the registers are told later. */
static void test_class_23_ring_moved_after_ready(void **state)
{
    struct mmio_rig *rig = *state;
    uint8_t *descriptor;

    mmio_go_live(rig, 0);
    descriptor = rig->queues[0].descriptor;
    assert_int_equal(mmio_put(rig, BH_MMIO_QUEUE_SIZE, 2), BH_STATE);
    for (uint32_t at = BH_MMIO_QUEUE_DESC_LOW; at <= BH_MMIO_QUEUE_DEVICE_HIGH; at += 16) {
        assert_int_equal(mmio_put(rig, at, (uint32_t)GUEST_HOLE), BH_STATE);
        assert_int_equal(mmio_put(rig, at + 4, 7), BH_STATE);
    }
    assert_int_equal(mmio_put(rig, BH_MMIO_QUEUE_READY, 1), BH_STATE);
    assert_int_equal(mmio_put(rig, BH_MMIO_QUEUE_READY, 2), BH_INVALID);
    assert_ptr_equal(rig->queues[0].descriptor, descriptor);
    mmio_offer(rig, 0);
    mmio_put_ok(rig, BH_MMIO_QUEUE_NOTIFY, 0);
    mmio_give_back(rig);
    guest_expect_used(&rig->guest, 0, 16);
}

static void test_queue_stops(void **state)
{
    struct mmio_rig *rig = *state;

    mmio_go_live(rig, 0);
    mmio_offer(rig, 0);
    mmio_put_ok(rig, BH_MMIO_QUEUE_NOTIFY, 0);
    assert_int_equal(mmio_put(rig, BH_MMIO_QUEUE_READY, 0), BH_AGAIN);
    assert_int_equal(mmio_get(rig, BH_MMIO_QUEUE_READY), 1);
    assert_int_equal(rig->retries, 0);
    mmio_offer(rig, 1);
    mmio_put_ok(rig, BH_MMIO_QUEUE_NOTIFY, 0);
    assert_int_equal(rig->held_count, 1);
    mmio_give_back(rig);
    assert_int_equal(rig->retries, 1);
    mmio_put_ok(rig, BH_MMIO_QUEUE_READY, 0);
    assert_int_equal(mmio_get(rig, BH_MMIO_QUEUE_READY), 0);
    assert_int_equal(rig->queues[0].state, BH_QUEUE_STOPPED);
    mmio_put_ok(rig, BH_MMIO_QUEUE_NOTIFY, 0);
    assert_int_equal(rig->held_count, 0);
    /* One that is idle stops at once. */
    memset(rig->guest.low, 0, GUEST_LOW_SIZE);
    mmio_queue_on(rig, 0);
    mmio_put_ok(rig, BH_MMIO_QUEUE_READY, 0);
    assert_int_equal(mmio_get(rig, BH_MMIO_QUEUE_READY), 0);
}

/* [BH-DEV-17] */
static void test_queue_reset(void **state)
{
    struct mmio_rig *rig = *state;

    mmio_go_live(rig, BH_F_RING_RESET);
    assert_int_equal(mmio_get(rig, BH_MMIO_QUEUE_RESET), 0);
    mmio_offer(rig, 0);
    mmio_put_ok(rig, BH_MMIO_QUEUE_NOTIFY, 0);
    assert_int_equal(mmio_put(rig, BH_MMIO_QUEUE_RESET, 0), BH_INVALID);
    mmio_put_ok(rig, BH_MMIO_QUEUE_RESET, 1);
    assert_int_equal(mmio_get(rig, BH_MMIO_QUEUE_RESET), 1);
    /* Again, and an enable in between, change nothing. */
    mmio_put_ok(rig, BH_MMIO_QUEUE_RESET, 1);
    assert_int_equal(mmio_put(rig, BH_MMIO_QUEUE_READY, 1), BH_STATE);
    mmio_put_ok(rig, BH_MMIO_QUEUE_NOTIFY, 0);
    mmio_give_back(rig);
    assert_int_equal(mmio_get(rig, BH_MMIO_QUEUE_RESET), 0);
    assert_int_equal(mmio_get(rig, BH_MMIO_QUEUE_READY), 0);
    assert_int_equal(rig->retries, 0); /* nothing was held */
    mmio_put_ok(rig, BH_MMIO_INTERRUPT_ACK, 1);
    /* Another size and place, from the beginning. */
    memset(rig->guest.low, 0, GUEST_LOW_SIZE);
    rig->guest.avail = 0;
    rig->guest.used = 0;
    rig->guest.size = 4;
    mmio_put_ok(rig, BH_MMIO_QUEUE_SIZE, 4);
    mmio_put_ok(rig, BH_MMIO_QUEUE_READY, 1);
    assert_int_equal(mmio_get(rig, BH_MMIO_QUEUE_RESET), 0);
    mmio_offer(rig, 3);
    mmio_put_ok(rig, BH_MMIO_QUEUE_NOTIFY, 0);
    mmio_give_back(rig);
    guest_expect_used(&rig->guest, 3, 16);
    /* An idle queue is reset at once; one that is off already is. */
    mmio_put_ok(rig, BH_MMIO_QUEUE_RESET, 1);
    assert_int_equal(mmio_get(rig, BH_MMIO_QUEUE_RESET), 0);
    assert_int_equal(mmio_get(rig, BH_MMIO_QUEUE_READY), 0);
    mmio_put_ok(rig, BH_MMIO_QUEUE_RESET, 1);
}

static void test_queue_reset_not_negotiated(void **state)
{
    struct mmio_rig *rig = *state;

    mmio_go_live(rig, 0);
    assert_int_equal(mmio_put(rig, BH_MMIO_QUEUE_RESET, 1), BH_STATE);
    assert_int_equal(mmio_get(rig, BH_MMIO_QUEUE_READY), 1);
    assert_int_equal(mmio_get(rig, BH_MMIO_QUEUE_RESET), 0);
}

/* ---- notifications ---- */

/* [BH-DEV-1] What lies in the ring before DRIVER_OK is served at DRIVER_OK, not before. */
static void test_nothing_before_driver_ok(void **state)
{
    struct mmio_rig *rig = *state;

    mmio_negotiate(rig, 0);
    mmio_queue_on(rig, 0);
    mmio_offer(rig, 0);
    assert_int_equal(mmio_put(rig, BH_MMIO_QUEUE_NOTIFY, 0), BH_STATE);
    assert_int_equal(rig->held_count, 0);
    mmio_put_ok(rig, BH_MMIO_STATUS, LIVE);
    assert_int_equal(rig->held_count, 1);
    assert_int_equal(rig->commits, 1);
    mmio_give_back(rig);
}

static void test_notify(void **state)
{
    struct mmio_rig *rig = *state;

    mmio_go_live(rig, 0);
    mmio_offer(rig, 0);
    mmio_put_ok(rig, BH_MMIO_QUEUE_NOTIFY, 0);
    assert_int_equal(rig->held_count, 1);
    assert_int_equal(rig->commits, 2); /* one of them at DRIVER_OK */
    assert_int_equal(rig->works, 0);
    /* A queue that exists and is off: nothing happens. */
    mmio_put_ok(rig, BH_MMIO_QUEUE_NOTIFY, 1);
    mmio_give_back(rig);
}

/* [BH-DEV-20] The data beside the index may say what it wants. */
static void test_notification_data(void **state)
{
    struct mmio_rig *rig = *state;

    mmio_go_live(rig, BH_F_NOTIFICATION_DATA);
    mmio_offer(rig, 0);
    mmio_put_ok(rig, BH_MMIO_QUEUE_NOTIFY, 0xffff0000);
    assert_int_equal(rig->held_count, 1);
    mmio_put_ok(rig, BH_MMIO_QUEUE_NOTIFY, 0x00050001);
    assert_int_equal(mmio_put(rig, BH_MMIO_QUEUE_NOTIFY, 0x00000002), BH_INVALID);
    mmio_give_back(rig);
}

/* [BH-DEV-24] A serve that did not finish is announced, and goes on when the hypervisor says so. */
static void test_work(void **state)
{
    struct mmio_rig *rig = *state;

    mmio_go_live(rig, 0);
    rig->batch = 2;
    for (uint16_t i = 0; i < 5; i++) {
        mmio_offer(rig, i);
    }
    assert_false(bh_mmio_serve(&rig->mmio));
    assert_int_equal(rig->held_count, 0);
    mmio_put_ok(rig, BH_MMIO_QUEUE_NOTIFY, 0);
    assert_int_equal(rig->held_count, 2);
    assert_int_equal(rig->works, 1);
    rig->commits = 0;
    assert_true(bh_mmio_serve(&rig->mmio));
    assert_int_equal(rig->commits, 1);
    assert_int_equal(rig->held_count, 4);
    assert_false(bh_mmio_serve(&rig->mmio));
    assert_int_equal(rig->held_count, 5);
    while (rig->held_count != 0) {
        mmio_give_back(rig);
    }
    /* A reset forgets it. */
    rig->batch = 1;
    mmio_offer(rig, 0);
    mmio_put_ok(rig, BH_MMIO_QUEUE_NOTIFY, 0);
    mmio_give_back(rig);
    mmio_put_ok(rig, BH_MMIO_STATUS, 0);
    assert_false(bh_mmio_serve(&rig->mmio));
}

/* ---- reset, violations ---- */

/* [BH-DEV-2] */
static void test_reset_forgets(void **state)
{
    struct mmio_rig *rig = *state;

    mmio_go_live(rig, 5);
    mmio_offer(rig, 0);
    mmio_put_ok(rig, BH_MMIO_QUEUE_NOTIFY, 0);
    mmio_give_back(rig);
    assert_true(rig->level);
    mmio_put_ok(rig, BH_MMIO_DEVICE_FEATURES_SEL, 2);
    mmio_put_ok(rig, BH_MMIO_QUEUE_SEL, MMIO_QUEUES);
    mmio_put_ok(rig, BH_MMIO_STATUS, 0);
    assert_int_not_equal(mmio_get(rig, BH_MMIO_DEVICE_FEATURES), 0);
    assert_int_equal(mmio_get(rig, BH_MMIO_QUEUE_SIZE_MAX), MMIO_QUEUE_SIZE);
    assert_int_equal(mmio_get(rig, BH_MMIO_STATUS), 0);
    assert_int_equal(mmio_get(rig, BH_MMIO_INTERRUPT_STATUS), 0);
    assert_false(rig->level);
    assert_int_equal(mmio_get(rig, BH_MMIO_QUEUE_READY), 0);
    assert_int_equal(rig->device.features, 0);
    bh_device_config_changed(&rig->device);
    assert_false(rig->level);
    /* Features and addresses of before are no part of the new life. */
    mmio_put_ok(rig, BH_MMIO_STATUS, BH_STATUS_ACKNOWLEDGE | BH_STATUS_DRIVER);
    mmio_put_ok(rig, BH_MMIO_STATUS, AGREED);
    assert_int_equal(mmio_get(rig, BH_MMIO_STATUS), BH_STATUS_ACKNOWLEDGE | BH_STATUS_DRIVER);
    mmio_negotiate(rig, 0);
    mmio_put_ok(rig, BH_MMIO_QUEUE_SEL, 0);
    assert_int_equal(mmio_put(rig, BH_MMIO_QUEUE_READY, 1), BH_INVALID);
}

static void test_class_17_reset_with_chains_in_flight(void **state)
{
    struct mmio_rig *rig = *state;

    mmio_go_live(rig, 0);
    mmio_offer(rig, 0);
    mmio_offer(rig, 1);
    mmio_put_ok(rig, BH_MMIO_QUEUE_NOTIFY, 0);
    assert_int_equal(mmio_put(rig, BH_MMIO_STATUS, 0), BH_AGAIN);
    assert_int_equal(mmio_get(rig, BH_MMIO_STATUS), LIVE);
    /* Nothing else is taken meanwhile. */
    assert_int_equal(mmio_put(rig, BH_MMIO_QUEUE_NOTIFY, 0), BH_AGAIN);
    assert_int_equal(mmio_put(rig, BH_MMIO_STATUS, BH_STATUS_ACKNOWLEDGE), BH_AGAIN);
    assert_int_equal(mmio_put(rig, BH_MMIO_STATUS, 0), BH_AGAIN);
    mmio_give_back(rig);
    assert_int_equal(rig->retries, 0);
    assert_int_equal(mmio_put(rig, BH_MMIO_STATUS, 0), BH_AGAIN);
    mmio_give_back(rig);
    assert_int_equal(rig->retries, 1);
    mmio_put_ok(rig, BH_MMIO_STATUS, 0);
    assert_int_equal(mmio_get(rig, BH_MMIO_STATUS), 0);
    assert_int_equal(rig->queues[0].state, BH_QUEUE_STOPPED);
    assert_false(rig->level);
}

/* Two queues that drain one after the other: the hypervisor is told of each. */
static void test_reset_of_two_busy_queues(void **state)
{
    struct mmio_rig *rig = *state;
    struct guest other = rig->guest;

    other.setup.descriptor += 0x800;
    other.setup.driver += 0x800;
    other.setup.device += 0x800;
    mmio_negotiate(rig, 0);
    mmio_queue_on(rig, 0);
    mmio_queue_on(rig, 1);
    mmio_offer(rig, 0);
    guest_offer_one(&other, GUEST_DATA, 16, W, 0);
    mmio_put_ok(rig, BH_MMIO_STATUS, LIVE);
    assert_int_equal(rig->held_count, 2);
    assert_int_equal(mmio_put(rig, BH_MMIO_STATUS, 0), BH_AGAIN);
    mmio_give_back(rig);
    assert_int_equal(rig->retries, 1);
    assert_int_equal(mmio_put(rig, BH_MMIO_STATUS, 0), BH_AGAIN);
    mmio_give_back(rig);
    assert_int_equal(rig->retries, 2);
    mmio_put_ok(rig, BH_MMIO_STATUS, 0);
    assert_int_equal(mmio_get(rig, BH_MMIO_STATUS), 0);
}

/* The hypervisor cannot hold the processor: the driver looks at Status until it is 0. */
static void test_reset_that_is_polled(void **state)
{
    struct mmio_rig *rig = *state;

    mmio_go_live(rig, 0);
    mmio_offer(rig, 0);
    mmio_put_ok(rig, BH_MMIO_QUEUE_NOTIFY, 0);
    assert_int_equal(mmio_put(rig, BH_MMIO_STATUS, 0), BH_AGAIN);
    assert_int_equal(mmio_get(rig, BH_MMIO_STATUS), LIVE);
    mmio_give_back(rig);
    assert_int_equal(mmio_get(rig, BH_MMIO_STATUS), 0);
    assert_int_equal(mmio_get(rig, BH_MMIO_QUEUE_READY), 0);
    assert_false(rig->level);
    memset(rig->guest.low, 0, GUEST_LOW_SIZE);
    mmio_go_live(rig, 0);
}

/* [BH-DEV-23] */
static void test_violation(void **state)
{
    struct mmio_rig *rig = *state;

    mmio_go_live(rig, 0);
    guest_split_offer(&rig->guest, MMIO_QUEUE_SIZE);
    mmio_put_ok(rig, BH_MMIO_QUEUE_NOTIFY, 0);
    assert_int_equal(mmio_get(rig, BH_MMIO_STATUS), LIVE | BH_STATUS_NEEDS_RESET);
    assert_int_equal(mmio_get(rig, BH_MMIO_INTERRUPT_STATUS), BH_MMIO_INT_CONFIG);
    assert_true(rig->level);
    assert_int_equal(rig->device.faults, 1);
    assert_int_equal(mmio_put(rig, BH_MMIO_QUEUE_NOTIFY, 0), BH_STATE);
    assert_false(bh_mmio_serve(&rig->mmio));
    assert_int_equal(mmio_put(rig, BH_MMIO_QUEUE_READY, 1), BH_STATE);
    mmio_put_ok(rig, BH_MMIO_QUEUE_SEL, 1);
    mmio_put_areas(rig, 0);
    assert_int_equal(mmio_put(rig, BH_MMIO_QUEUE_READY, 1), BH_STATE);
    mmio_put_ok(rig, BH_MMIO_STATUS, 0);
    assert_int_equal(mmio_get(rig, BH_MMIO_STATUS), 0);
    memset(rig->guest.low, 0, GUEST_LOW_SIZE);
    rig->guest.avail = 0;
    mmio_go_live(rig, 0);
    mmio_offer(rig, 0);
    mmio_put_ok(rig, BH_MMIO_QUEUE_NOTIFY, 0);
    assert_int_equal(rig->held_count, 1);
    mmio_give_back(rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        MMIO_TEST(test_class_15_queue_out_of_range),
        MMIO_TEST(test_queue_size),
        MMIO_TEST(test_rings_that_are_refused),
        MMIO_TEST(test_addresses),
        MMIO_TEST(test_class_23_ring_moved_after_ready),
        MMIO_TEST(test_queue_stops),
        MMIO_TEST(test_queue_reset),
        MMIO_TEST(test_queue_reset_not_negotiated),
        MMIO_TEST(test_nothing_before_driver_ok),
        MMIO_TEST(test_notify),
        MMIO_TEST(test_notification_data),
        MMIO_TEST(test_work),
        MMIO_TEST(test_reset_forgets),
        MMIO_TEST(test_class_17_reset_with_chains_in_flight),
        MMIO_TEST(test_reset_of_two_busy_queues),
        MMIO_TEST(test_reset_that_is_polled),
        MMIO_TEST(test_violation),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
