/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The vhost-user back end with requests in flight: whatever takes rings or memory away waits for
 * them, the loop goes on meanwhile, and no work is unbounded.
 */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "vu_rig.h"

/* ---- draining ---- */

static void hold_one(struct vu *vu)
{
    vu->echo.hold = true;
    vu_offer(vu, 0);
    vu_kick(vu, 0);
    assert_true(vu->echo.held[0].busy);
}

static void release(struct vu *vu)
{
    assert_int_equal(echo_release(&vu->echo, 1), 1);
    bh_device_flush(&vu->echo.device);
    vu->echo.hold = false;
    vu_run(vu);
}

/* Whatever has to drain answers when it is drained, and nothing overtakes it. */
static void drains(struct vu *vu, uint32_t request, const void *payload, uint32_t size)
{
    struct vu_message reply;

    hold_one(vu);
    assert_true(vu_send(vu, request, BH_VU_VERSION | BH_VU_NEED_REPLY, payload, size, NULL, 0));
    assert_true(vu_send(vu, BH_VU_GET_QUEUE_NUM, BH_VU_VERSION, NULL, 0, NULL, 0));
    vu_run(vu);
    /* The loop is idle meanwhile; kicks change nothing. */
    vu_offer(vu, 2);
    vu_kick(vu, 0);
    guest_expect_nothing(&vu->guest);
    assert_false(vu_receive(vu, vu->socket, &reply));
    release(vu);
    guest_expect_used(&vu->guest, 0, 1);
    assert_true(vu_receive(vu, vu->socket, &reply));
    assert_int_equal(reply.header.request, request);
    assert_true(vu_receive(vu, vu->socket, &reply));
    assert_int_equal(reply.header.request, BH_VU_GET_QUEUE_NUM);
    guest_expect_nothing(&vu->guest);
    vu_expect_open(vu);
}

static void test_class_17_get_vring_base_drains(void **state)
{
    struct bh_vu_vring_state ring = {.index = 0};

    vu_live(*state);
    drains(*state, BH_VU_GET_VRING_BASE, &ring, sizeof(ring));
}

static void test_class_17_disable_drains(void **state)
{
    struct bh_vu_vring_state ring = {.index = 0};

    vu_live(*state);
    drains(*state, BH_VU_SET_VRING_ENABLE, &ring, sizeof(ring));
}

/* [BH-DEV-2] */
static void test_class_17_reset_device_drains(void **state)
{
    struct vu *vu = *state;

    vu_live(vu);
    drains(vu, BH_VU_RESET_DEVICE, NULL, 0);
    assert_int_equal(vu->echo.resets, 1);
}

/* [BH-DEV-2] */
static void test_class_17_status_zero_drains(void **state)
{
    struct vu *vu = *state;
    uint64_t zero = 0;

    vu_live(vu);
    drains(vu, BH_VU_SET_STATUS, &zero, sizeof(zero));
    assert_int_equal(vu->echo.resets, 1);
}

static void test_class_17_reset_owner_drains(void **state)
{
    vu_live(*state);
    drains(*state, BH_VU_RESET_OWNER, NULL, 0);
}

/* The front end goes with requests in flight: nothing is let go of before they are done. */
static void test_class_17_disconnect_drains(void **state)
{
    struct vu *vu = *state;

    vu_live(vu);
    hold_one(vu);
    (void)close(vu->socket);
    vu->socket = -1;
    vu_run(vu);
    assert_int_equal(vu->notices[BH_VU_EVENT_DISCONNECTED], 1);
    assert_int_equal(vu->closed, 0);
    memset(vu->echo.held[0].chain.spans[1].base, 0x5a, 16);
    release(vu);
    guest_expect_used(&vu->guest, 0, 1);
    assert_int_equal(vu->closed, 1);
    assert_int_equal(vu->echo.resets, 1);
}

/* So does one who is thrown out, while draining even. */
static void test_class_17_refused_while_in_flight(void **state)
{
    struct vu *vu = *state;

    vu_live(vu);
    hold_one(vu);
    assert_true(vu_send(vu, 63, BH_VU_VERSION, NULL, 0, NULL, 0));
    vu_run(vu);
    assert_int_equal(vu->notices[BH_VU_EVENT_REFUSED], 1);
    assert_int_equal(vu->closed, 0);
    release(vu);
    assert_int_equal(vu->closed, 1);
}

/* Two rings, one of them with a request in flight: only that one is waited for, and the other
 * serves on. */
static void test_vu_one_ring_drains(void **state)
{
    struct vu *vu = *state;
    struct guest first;

    vu_live(vu);
    vu_ring(vu, 1);
    hold_one(vu);
    vu->echo.hold = false;
    assert_true(vu_send(vu, BH_VU_GET_VRING_BASE, BH_VU_VERSION,
                        &(struct bh_vu_vring_state){.index = 0}, 8, NULL, 0));
    vu_run(vu);
    first = vu->guest;
    vu->guest.setup.descriptor += 0x200;
    vu->guest.setup.driver += 0x200;
    vu->guest.setup.device += 0x200;
    vu->guest.avail = 0;
    vu->guest.avail_wrap = true;
    vu_offer(vu, 3);
    vu_kick(vu, 1);
    guest_expect_used(&vu->guest, 3, 1);
    assert_true(vu_called(vu, 1));
    vu->guest = first;
    release(vu);
    guest_expect_used(&vu->guest, 0, 1);
}

/* The second ring is halted at once, the first one drains: a kick must not start the second behind
 * the back of a message that waits. */
static void test_class_17_no_ring_starts_while_a_message_waits(void **state)
{
    struct vu *vu = *state;
    struct bh_vu_single_region region = {.region = vu_table().regions[0]};
    struct vu_message reply;

    vu_live(vu);
    vu_ring(vu, 1);
    hold_one(vu);
    assert_true(vu_send(vu, BH_VU_REM_MEM_REG, BH_VU_VERSION | BH_VU_NEED_REPLY, &region,
                        sizeof(region), NULL, 0));
    vu_run(vu);
    assert_int_equal(vu->echo.queues[1].state, BH_QUEUE_STOPPED);
    vu_kick(vu, 1);
    assert_int_equal(vu->echo.queues[1].state, BH_QUEUE_STOPPED);
    release(vu);
    assert_true(vu_receive(vu, vu->socket, &reply));
    assert_int_equal(reply.payload.u64, 0);
}

/* ---- bounded work ---- */

/* A ring that never gets empty: each turn serves a share, and sees everything else. [BH-DEV-24] */
static void test_vu_work_is_bounded(void **state)
{
    struct vu *vu = *state;
    struct vu_message reply;
    uint32_t served;

    vu_live(vu);
    vu->echo.more = true;
    assert_int_equal(eventfd_write(vu->kick[0], 1), 0);
    vu_turn(vu);
    for (unsigned i = 0; i < 20; i++) {
        served = vu->echo.served;
        vu_turn(vu);
        assert_int_equal(vu->echo.served, served + 1);
    }
    assert_true(vu_send(vu, BH_VU_GET_QUEUE_NUM, BH_VU_VERSION, NULL, 0, NULL, 0));
    vu_turn(vu);
    assert_true(vu_receive(vu, vu->socket, &reply));
    vu->echo.more = false;
    vu_run(vu);
}

/* One call for what a whole turn completed. */
static void test_vu_one_call_for_a_batch(void **state)
{
    struct vu *vu = *state;
    eventfd_t count = 0;

    vu_live(vu);
    for (uint16_t i = 0; i < 8; i += 2) {
        vu_offer(vu, i);
    }
    (void)vu_called(vu, 0);
    vu_kick(vu, 0);
    assert_int_equal(eventfd_read(vu->call[0], &count), 0);
    assert_int_equal(count, 1);
    for (uint32_t i = 0; i < 8; i += 2) {
        guest_expect_used(&vu->guest, i, 1);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        VU_BOTH(test_class_17_get_vring_base_drains),
        VU_BOTH(test_class_17_disable_drains),
        VU_BOTH(test_class_17_reset_device_drains),
        VU_BOTH(test_class_17_status_zero_drains),
        VU_BOTH(test_class_17_reset_owner_drains),
        VU_BOTH(test_class_17_disconnect_drains),
        VU_BOTH(test_class_17_refused_while_in_flight),
        VU_BOTH(test_vu_one_ring_drains),
        VU_BOTH(test_class_17_no_ring_starts_while_a_message_waits),
        VU_BOTH(test_vu_work_is_bounded),
        VU_BOTH(test_vu_one_call_for_a_batch),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
