/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Tests of a device's queues: kicks, flushes, what the port is told, draining for a reset, and what
 * one faulty queue means for the others. Features, status and configuration are in test_device.c.
 */
#include "echo_class.h"

#include <string.h>

#define LIVE                                                                                       \
    (BH_STATUS_ACKNOWLEDGE | BH_STATUS_DRIVER | BH_STATUS_FEATURES_OK | BH_STATUS_DRIVER_OK)

static void offer(struct echo *echo, uint16_t count)
{
    uint16_t i;

    for (i = 0; i < count; i++) {
        guest_offer_one(&echo->guest, GUEST_DATA, 16, W, i);
    }
}

static void test_kick_serves_and_flush_publishes_once(void **state)
{
    struct echo *echo = *state;
    uint16_t i;

    offer(echo, 3);
    assert_false(bh_device_kick(&echo->device, 0));
    assert_int_equal(echo->served, 1);
    guest_expect_nothing(&echo->guest);
    assert_int_equal(echo->counts[0].notify, 0);
    bh_device_flush(&echo->device);
    assert_int_equal(echo->commits, 1);
    assert_int_equal(echo->counts[0].notify, 1);
    for (i = 0; i < 3; i++) {
        guest_expect_used(&echo->guest, i, 1);
    }
    bh_device_flush(&echo->device);
    assert_int_equal(echo->commits, 2);
    assert_int_equal(echo->counts[0].notify, 1);
}

static void offer_late(struct echo *echo)
{
    offer(echo, 1);
}

/* The chain that comes behind the class's last look has no notification: the kick serves again, and
 * no longer than its bound when the driver never stops. */
static void test_kick_sees_late_chains(void **state)
{
    struct echo *echo = *state;

    echo->served_once = offer_late;
    offer(echo, 1);
    assert_true(bh_device_kick(&echo->device, 0));
    assert_int_equal(echo->served, 4);
    echo->served_once = NULL;
    assert_false(bh_device_kick(&echo->device, 0));
    bh_device_flush(&echo->device);
    for (uint16_t i = 0; i < 5; i++) {
        guest_expect_used(&echo->guest, 0, 1);
    }
}

/* A class that has enough is not asked again, and the driver is not asked to notify. */
static void test_kick_with_enough(void **state)
{
    struct echo *echo = *state;

    echo->enough = true;
    echo->served_once = offer_late;
    offer(echo, 1);
    assert_false(bh_device_kick(&echo->device, 0));
    assert_int_equal(echo->served, 1);
    assert_false(guest_may_notify(&echo->guest));
    echo->enough = false;
    echo->served_once = NULL;
    assert_false(bh_device_kick(&echo->device, 0));
    assert_true(guest_may_notify(&echo->guest));
}

static void test_flush_publishes_dirty_queues_only(void **state)
{
    struct echo *echo = *state;
    uint16_t i;

    for (i = 0; i < ECHO_QUEUES; i += 2) {
        echo_look_at(echo, i);
        offer(echo, 2);
        (void)bh_device_kick(&echo->device, i);
    }
    bh_device_flush(&echo->device);
    assert_int_equal(echo->counts[0].notify, 1);
    assert_int_equal(echo->counts[1].notify, 0);
    assert_int_equal(echo->counts[2].notify, 1);
    guest_expect_used(&echo->guest, 0, 1);
    guest_expect_used(&echo->guest, 1, 1);
}

static void test_suppressed_notification_is_not_sent(void **state)
{
    struct echo *echo = *state;

    offer(echo, 1);
    (void)bh_device_kick(&echo->device, 0);
    bh_device_flush(&echo->device);
    assert_int_equal(echo->counts[0].notify, 1);
    guest_want_none(&echo->guest);
    offer(echo, 1);
    (void)bh_device_kick(&echo->device, 0);
    bh_device_flush(&echo->device);
    assert_int_equal(echo->counts[0].notify, 1);
    guest_expect_used(&echo->guest, 0, 1);
    guest_expect_used(&echo->guest, 0, 1);
}

/* Completions that come later are published by the flush that follows them. */
static void test_late_completions(void **state)
{
    struct echo *echo = *state;

    echo->hold = true;
    offer(echo, 2);
    (void)bh_device_kick(&echo->device, 0);
    bh_device_flush(&echo->device);
    guest_expect_nothing(&echo->guest);
    assert_int_equal(echo->counts[0].notify, 0);
    assert_int_equal(echo_release(echo, 16), 2);
    guest_expect_nothing(&echo->guest);
    bh_device_flush(&echo->device);
    guest_expect_used(&echo->guest, 0, 16);
    guest_expect_used(&echo->guest, 1, 16);
    assert_int_equal(echo->counts[0].notify, 1);
}

/* [BH-DEV-20] */
static void test_kicks_that_mean_nothing(void **state)
{
    struct echo *echo = *state;

    echo->more = true;
    assert_int_equal(bh_device_queue_stop(&echo->device, 1), BH_OK);
    assert_false(bh_device_kick(&echo->device, 1));
    assert_false(bh_device_kick(&echo->device, ECHO_QUEUES));
    assert_false(bh_device_kick(&echo->device, UINT16_MAX));
    assert_int_equal(echo->served, 0);
    /* An empty queue is looked at, no more. */
    echo->more = false;
    assert_false(bh_device_kick(&echo->device, 0));
    bh_device_flush(&echo->device);
    assert_int_equal(echo->served, 1);
    assert_int_equal(echo->counts[0].notify, 0);
}

/* [BH-DEV-24] */
static void test_kick_hands_on_that_more_is_left(void **state)
{
    struct echo *echo = *state;

    echo->more = true;
    assert_true(bh_device_kick(&echo->device, 0));
    echo->more = false;
    assert_false(bh_device_kick(&echo->device, 0));
    offer(echo, 8);
    assert_true(bh_device_kick(&echo->device, 0));
    assert_false(bh_device_kick(&echo->device, 0));
}

static void test_queues_that_do_not_exist(void **state)
{
    struct echo *echo = *state;

    assert_int_equal(bh_device_queue_start(&echo->device, ECHO_QUEUES, &echo->guest.setup),
                     BH_INVALID);
    assert_int_equal(bh_device_queue_start(&echo->device, UINT16_MAX, &echo->guest.setup),
                     BH_INVALID);
    assert_int_equal(bh_device_queue_stop(&echo->device, ECHO_QUEUES), BH_INVALID);
    assert_int_equal(bh_device_queue_stop(&echo->device, UINT16_MAX), BH_INVALID);
}

static void test_start_takes_the_negotiated_features(void **state)
{
    struct echo *echo = *state;

    assert_int_equal(bh_device_queue_stop(&echo->device, 0), BH_OK);
    /* Whatever the port wrote there. */
    echo->guest.setup.features = UINT64_MAX;
    assert_int_equal(bh_device_queue_start(&echo->device, 0, &echo->guest.setup), BH_OK);
    assert_int_equal(echo->guest.setup.features, echo->device.features);
    assert_false(echo->queues[0].event_idx);
    assert_false(echo->queues[0].in_order);
    assert_int_equal(bh_device_queue_start(&echo->device, 0, &echo->guest.setup), BH_STATE);
}

static void test_start_needs_negotiation(void **state)
{
    struct echo *echo = *state;

    assert_int_equal(bh_device_reset(&echo->device), BH_OK);
    assert_int_equal(bh_device_queue_start(&echo->device, 0, &echo->guest.setup), BH_STATE);
    assert_int_equal(echo->queues[0].state, BH_QUEUE_STOPPED);
}

/* Stopping publishes what the turn had pushed already. */
static void test_stop_publishes_first(void **state)
{
    struct echo *echo = *state;

    offer(echo, 2);
    (void)bh_device_kick(&echo->device, 0);
    assert_int_equal(bh_device_queue_stop(&echo->device, 0), BH_OK);
    assert_int_equal(echo->counts[0].notify, 1);
    guest_expect_used(&echo->guest, 0, 1);
    guest_expect_used(&echo->guest, 1, 1);
    bh_device_flush(&echo->device);
    assert_int_equal(echo->counts[0].notify, 1);
    assert_int_equal(echo->counts[0].idle, 0);
}

static void test_draining_queue_tells_when_it_is_idle(void **state)
{
    struct echo *echo = *state;

    echo->hold = true;
    offer(echo, 2);
    (void)bh_device_kick(&echo->device, 0);
    assert_int_equal(bh_device_queue_stop(&echo->device, 0), BH_AGAIN);
    assert_int_equal(bh_device_queue_stop(&echo->device, 0), BH_AGAIN);
    echo_release_one(echo, 1);
    bh_device_flush(&echo->device);
    assert_int_equal(echo->counts[0].idle, 0);
    guest_expect_used(&echo->guest, 0, 1);
    echo_release_one(echo, 1);
    assert_int_equal(echo->counts[0].idle, 0);
    bh_device_flush(&echo->device);
    assert_int_equal(echo->counts[0].idle, 1);
    guest_expect_used(&echo->guest, 1, 1);
    assert_int_equal(echo->queues[0].state, BH_QUEUE_STOPPED);
    bh_device_flush(&echo->device);
    assert_int_equal(echo->counts[0].idle, 1);
    assert_int_equal(echo->counts[0].failed, 0);
}

/* [BH-DEV-17] */
static void test_one_queue_is_reset_and_the_others_go_on(void **state)
{
    struct echo *echo = *state;
    struct guest *guest = &echo->guest;

    echo->hold = true;
    offer(echo, 2);
    (void)bh_device_kick(&echo->device, 0);
    assert_int_equal(bh_device_queue_stop(&echo->device, 0), BH_AGAIN);
    echo_look_at(echo, 1);
    offer(echo, 1);
    (void)bh_device_kick(&echo->device, 1);
    assert_int_equal(echo->queues[1].in_flight, 1);
    assert_int_equal(echo_release(echo, 1), 3);
    bh_device_flush(&echo->device);
    guest_expect_used(guest, 0, 1);
    assert_int_equal(echo->queues[0].state, BH_QUEUE_STOPPED);
    assert_int_equal(echo->queues[1].state, BH_QUEUE_RUNNING);

    /* Enabled again, elsewhere and larger. */
    guest->setup.descriptor = GUEST_HIGH;
    guest->setup.driver = GUEST_HIGH + 0x2000;
    guest->setup.device = GUEST_HIGH + 0x3000;
    guest->setup.size = 16;
    guest->size = 16;
    assert_int_equal(bh_device_queue_start(&echo->device, 0, &guest->setup), BH_OK);
    guest->avail = 0;
    guest->used = 0;
    echo->hold = false;
    offer(echo, 16);
    (void)bh_device_kick(&echo->device, 0);
    bh_device_flush(&echo->device);
    guest_expect_used(guest, 0, 1);
}

/* [BH-DEV-2] */
static void test_reset_waits_for_what_is_in_flight(void **state)
{
    struct echo *echo = *state;
    struct bh_device *device = &echo->device;

    echo->hold = true;
    offer(echo, 1);
    (void)bh_device_kick(device, 0);
    echo_look_at(echo, 2);
    offer(echo, 2);
    (void)bh_device_kick(device, 2);
    assert_int_equal(bh_device_status_set(device, 0), BH_AGAIN);
    assert_int_equal(device->status, LIVE);
    assert_int_equal(echo->resets, 0);
    assert_int_equal(echo->queues[1].state, BH_QUEUE_STOPPED);

    /* Meanwhile nothing else goes on. */
    assert_int_equal(bh_device_status_set(device, LIVE), BH_AGAIN);
    assert_int_equal(bh_device_queue_start(device, 1, &echo->guest.setup), BH_STATE);
    offer(echo, 1);
    assert_false(bh_device_kick(device, 2));
    assert_false(bh_device_kick(device, 1));
    assert_int_equal(echo->served, 2);

    echo_release_one(echo, 1);
    bh_device_flush(device);
    assert_int_equal(echo->counts[0].idle, 1);
    assert_int_equal(bh_device_reset(device), BH_AGAIN);
    assert_int_equal(echo_release(echo, 1), 2);
    bh_device_flush(device);
    assert_int_equal(echo->counts[0].idle, 1);
    assert_int_equal(echo->counts[1].idle, 0);
    assert_int_equal(echo->counts[2].idle, 1);
    assert_int_equal(bh_device_reset(device), BH_OK);
    assert_int_equal(device->status, 0);
    assert_int_equal(device->features, 0);
    assert_int_equal(echo->resets, 1);
    assert_int_equal(echo->counts[0].failed, 0);

    /* And it lives again. */
    echo->hold = false;
    memset(echo->guest.low, 0, GUEST_LOW_SIZE);
    echo_negotiate(echo, 0);
    echo_start(echo, 0);
    echo_look_at(echo, 0);
    offer(echo, 1);
    (void)bh_device_kick(device, 0);
    bh_device_flush(device);
    guest_expect_used(&echo->guest, 0, 1);
}

/* [BH-DEV-2] */
static void test_silence_after_a_reset(void **state)
{
    struct echo *echo = *state;
    uint8_t before[GUEST_TABLE - GUEST_LOW];

    offer(echo, 3);
    assert_int_equal(bh_device_reset(&echo->device), BH_OK);
    memcpy(before, echo->guest.low, sizeof(before));
    assert_false(bh_device_kick(&echo->device, 0));
    bh_device_flush(&echo->device);
    assert_int_equal(echo->served, 0);
    assert_int_equal(echo->counts[0].notify, 0);
    assert_memory_equal(echo->guest.low, before, sizeof(before));
}

/* [BH-DEV-23] */
static void test_fault_stops_the_device_and_is_told_once(void **state)
{
    struct echo *echo = *state;
    struct bh_device *device = &echo->device;

    echo->hold = true;
    echo_look_at(echo, 1);
    offer(echo, 1);
    (void)bh_device_kick(device, 1);
    echo_look_at(echo, 0);
    offer(echo, 1);
    guest_offer_one(&echo->guest, GUEST_HOLE, 5, R, 3);
    offer(echo, 1);
    echo->more = true;
    assert_false(bh_device_kick(device, 0));
    assert_int_equal(echo->pop_error, BH_DENIED);
    assert_int_equal(echo->counts[0].failed, 1);
    assert_int_equal(device->faults, 1);
    assert_int_equal(device->status, LIVE | BH_STATUS_NEEDS_RESET);
    assert_int_equal(echo->queues[0].fault.error, BH_DENIED);
    assert_int_equal(echo->queues[0].fault.address, GUEST_HOLE);
    assert_int_equal(echo->queues[0].state, BH_QUEUE_FAULTY);

    /* No queue is served any more, and nothing is told twice. */
    assert_false(bh_device_kick(device, 0));
    assert_false(bh_device_kick(device, 1));
    assert_false(bh_device_kick(device, 2));
    assert_int_equal(echo->served, 2);
    assert_int_equal(bh_device_queue_stop(device, 2), BH_OK);
    assert_int_equal(bh_device_queue_start(device, 2, &echo->guest.setup), BH_STATE);
    assert_int_equal(echo_release(echo, 1), 2);
    bh_device_flush(device);
    bh_device_flush(device);
    guest_expect_nothing(&echo->guest);
    assert_int_equal(echo->counts[0].failed, 1);
    assert_int_equal(echo->counts[0].notify, 0);
    assert_int_equal(device->faults, 1);
}

static void test_reset_mends_a_faulty_device(void **state)
{
    struct echo *echo = *state;
    struct bh_device *device = &echo->device;
    unsigned round;

    for (round = 1; round < 4; round++) {
        echo->hold = true;
        offer(echo, 1);
        guest_offer_one(&echo->guest, GUEST_HOLE, 5, R, 3);
        (void)bh_device_kick(device, 0);
        assert_int_equal(echo->counts[0].failed, round);
        assert_int_equal(bh_device_status_set(device, 0), BH_AGAIN);
        assert_int_equal(echo_release(echo, 1), 1);
        bh_device_flush(device);
        assert_int_equal(echo->counts[0].idle, round);
        assert_int_equal(bh_device_status_set(device, 0), BH_OK);
        assert_int_equal(device->status, 0);
        memset(echo->guest.low, 0, GUEST_LOW_SIZE);
        echo_negotiate(echo, 0);
        echo_start(echo, 0);
        echo_look_at(echo, 0);
        echo->hold = false;
        offer(echo, 1);
        (void)bh_device_kick(device, 0);
        bh_device_flush(device);
        guest_expect_used(&echo->guest, 0, 1);
        assert_int_equal(device->faults, round);
    }
}

static void test_fail_of_a_running_queue(void **state)
{
    struct echo *echo = *state;
    struct bh_device *device = &echo->device;
    struct bh_queue *queue = &echo->queues[0];

    echo->hold = true;
    offer(echo, 2);
    (void)bh_device_kick(device, 0);
    bh_device_fail(device, queue, NULL, BH_PROTOCOL, "no room for the status");
    assert_int_equal(queue->state, BH_QUEUE_FAULTY);
    assert_int_equal(queue->fault.error, BH_PROTOCOL);
    assert_string_equal(queue->fault.reason, "no room for the status");
    assert_int_equal(echo->counts[0].failed, 1);
    assert_int_equal(device->status, LIVE | BH_STATUS_NEEDS_RESET);
    /* The first one counts. */
    bh_device_fail(device, queue, NULL, BH_LIMIT, "another");
    assert_int_equal(queue->fault.error, BH_PROTOCOL);
    assert_int_equal(echo->counts[0].failed, 1);
    assert_int_equal(device->faults, 1);
    assert_int_equal(echo_release(echo, 1), 2);
    bh_device_flush(device);
    guest_expect_nothing(&echo->guest);
}

/* The record names the chain, and where it begins in the ring. */
static void test_fail_names_the_chain(void **state)
{
    struct echo *echo = *state;
    struct bh_queue *queue = &echo->queues[0];
    uint16_t place = echo->guest.packed ? 1 : 5;

    echo->hold = true;
    guest_offer_one(&echo->guest, GUEST_DATA, 5, R, 2);
    guest_offer_one(&echo->guest, GUEST_DATA, 5, R, 5);
    (void)bh_device_kick(&echo->device, 0);
    bh_device_fail(&echo->device, queue, &echo->held[1].chain, BH_PROTOCOL, "nonsense");
    assert_int_equal(queue->fault.head, place);
    assert_int_equal(queue->fault.index, place);
    assert_int_equal(queue->fault.address, 0);
    /* The first one counts. */
    bh_device_fail(&echo->device, queue, &echo->held[0].chain, BH_LIMIT, "more of it");
    assert_int_equal(queue->fault.head, place);
    assert_int_equal(echo_release(echo, 1), 2);
}

static void test_fail_of_a_draining_queue(void **state)
{
    struct echo *echo = *state;
    struct bh_device *device = &echo->device;

    echo->hold = true;
    offer(echo, 1);
    (void)bh_device_kick(device, 0);
    assert_int_equal(bh_device_queue_stop(device, 0), BH_AGAIN);
    bh_device_fail(device, &echo->queues[0], NULL, BH_PROTOCOL, "late");
    assert_int_equal(echo->queues[0].state, BH_QUEUE_DRAINING);
    assert_int_equal(echo->counts[0].failed, 1);
    assert_int_equal(echo_release(echo, 1), 1);
    bh_device_flush(device);
    guest_expect_nothing(&echo->guest);
    assert_int_equal(echo->counts[0].idle, 1);
}

static void test_fail_of_a_stopped_queue(void **state)
{
    struct echo *echo = *state;

    assert_int_equal(bh_device_queue_stop(&echo->device, 0), BH_OK);
    bh_device_fail(&echo->device, &echo->queues[0], NULL, BH_PROTOCOL, "nothing runs");
    assert_int_equal(echo->counts[0].failed, 0);
    assert_int_equal(echo->device.status, LIVE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        ECHO_LIVE(test_kick_serves_and_flush_publishes_once),
        ECHO_LIVE(test_flush_publishes_dirty_queues_only),
        ECHO_LIVE(test_suppressed_notification_is_not_sent),
        ECHO_LIVE(test_kick_sees_late_chains),
        ECHO_LIVE(test_kick_with_enough),
        ECHO_LIVE(test_late_completions),
        ECHO_LIVE(test_kicks_that_mean_nothing),
        ECHO_LIVE(test_kick_hands_on_that_more_is_left),
        ECHO_LIVE(test_queues_that_do_not_exist),
        ECHO_LIVE(test_start_takes_the_negotiated_features),
        ECHO_LIVE(test_start_needs_negotiation),
        ECHO_LIVE(test_stop_publishes_first),
        ECHO_LIVE(test_draining_queue_tells_when_it_is_idle),
        ECHO_LIVE(test_one_queue_is_reset_and_the_others_go_on),
        ECHO_LIVE(test_reset_waits_for_what_is_in_flight),
        ECHO_LIVE(test_silence_after_a_reset),
        ECHO_LIVE(test_fault_stops_the_device_and_is_told_once),
        ECHO_LIVE(test_reset_mends_a_faulty_device),
        ECHO_LIVE(test_fail_of_a_running_queue),
        ECHO_LIVE(test_fail_names_the_chain),
        ECHO_LIVE(test_fail_of_a_draining_queue),
        ECHO_LIVE(test_fail_of_a_stopped_queue),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
