/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * How much of the console one turn serves: a share of bytes for each port and direction, a ring's worth
 * of buffers; and that the driver is asked to notify about what comes after that.
 */
#include "console_rig.h"

/* [BH-CON-15] One turn moves a share, and goes on in the next. */
static void test_console_output_share(void **state)
{
    struct console_rig *rig = *state;
    struct guest_buffer pieces[16];

    for (uint32_t i = 0; i < 16; i++) {
        pieces[i] = (struct guest_buffer){GUEST_LOW, 0x10000, R};
    }
    rig->terminals[0].piece = 4096;
    guest_offer(&rig->guests[TX(0)], pieces, 16, 0);
    assert_true(rig_kick(rig, TX(0)));
    assert_int_equal(rig->terminals[0].out_count, 256 * 1024);
    rig_nothing(rig, TX(0));
    for (uint32_t i = 0; i < 2; i++) {
        assert_true(rig_kick(rig, TX(0)));
    }
    assert_false(rig_kick(rig, TX(0)));
    rig_used(rig, TX(0), 0, 0);
    assert_int_equal(rig->terminals[0].out_count, 1024 * 1024);
}

/* [BH-CON-15] A terminal that takes whatever it is offered, or has it, is offered a share. */
static void test_console_share_of_one_chain(void **state)
{
    struct console_rig *rig = *state;
    struct guest_buffer pieces[16];

    for (uint32_t i = 0; i < 16; i++) {
        pieces[i] = (struct guest_buffer){GUEST_HIGH, i == 3 ? 0x7fffu : 0x8000u, R};
    }
    guest_offer(&rig->guests[TX(0)], pieces, 16, 0);
    assert_true(rig_kick(rig, TX(0)));
    assert_int_equal(rig->terminals[0].out_count, 256 * 1024);
    assert_false(rig_kick(rig, TX(0)));
    rig_used(rig, TX(0), 0, 0);
    assert_int_equal(rig->terminals[0].out_count, 16 * 0x8000 - 1);

    for (uint32_t i = 0; i < 16; i++) {
        pieces[i].flags = W;
    }
    rig->terminals[0].endless = true;
    guest_offer(&rig->guests[RX(0)], pieces, 16, 0);
    bh_console_readable(&rig->console, 0);
    bh_device_flush(&rig->device);
    rig_used(rig, RX(0), 0, 256 * 1024);
    assert_true(rig->terminals[0].listening);
}

/* [BH-CON-15] A ring's worth in one turn: what the driver adds meanwhile has its turn later. */
static void test_console_output_ring_full(void **state)
{
    struct console_rig *rig = *state;

    for (uint16_t i = 0; i < RIG_RING; i++) {
        (void)rig_say(rig, 0, "x");
    }
    assert_true(rig_kick(rig, TX(0)));
    for (uint16_t i = 0; i < RIG_RING; i++) {
        rig_used(rig, TX(0), i, 0);
    }
    assert_false(rig_kick(rig, TX(0)));
    assert_true(guest_may_notify(&rig->guests[TX(0)]));
}

/* [BH-CON-15] One turn moves a share in, and goes on in the next. */
static void test_console_input_share(void **state)
{
    struct console_rig *rig = *state;

    for (uint16_t i = 0; i < RIG_RING; i++) {
        guest_offer_one(&rig->guests[RX(0)], GUEST_HIGH, 0x8000, W, i);
    }
    rig->terminals[0].endless = true;
    bh_console_readable(&rig->console, 0);
    bh_device_flush(&rig->device);
    assert_int_equal(rig->terminals[0].reads, 8);
    assert_true(rig->terminals[0].listening);
    assert_true(rig_kick(rig, RX(0)));
    assert_int_equal(rig->terminals[0].reads, 16);
    assert_false(rig_kick(rig, RX(0)));
    for (uint16_t i = 0; i < RIG_RING; i++) {
        rig_used(rig, RX(0), i, 0x8000);
    }
}

/* [BH-CON-15] The same for input. */
static void test_console_input_ring_full(void **state)
{
    struct console_rig *rig = *state;

    rig_type(rig, 0, "more than a ring's worth");
    for (uint16_t i = 0; i < RIG_RING; i++) {
        (void)rig_offer(rig, RX(0), 1, W);
    }
    assert_true(rig_kick(rig, RX(0)));
    for (uint16_t i = 0; i < RIG_RING; i++) {
        rig_used(rig, RX(0), i, 1);
    }
    assert_false(rig_kick(rig, RX(0)));
    assert_true(guest_may_notify(&rig->guests[RX(0)]));
}

/* [BH-CON-5] The whole ring waits: it goes back, and the driver is asked to notify again. */
static void test_console_gone_ring_full(void **state)
{
    struct console_rig *rig = *state;

    rig->terminals[0].room = 0;
    for (uint16_t i = 0; i < RIG_RING; i++) {
        (void)rig_say(rig, 0, "waits");
    }
    (void)rig_kick(rig, TX(0));
    bh_console_open_set(&rig->console, 0, false);
    bh_device_flush(&rig->device);
    for (uint16_t i = 0; i < RIG_RING; i++) {
        rig_used(rig, TX(0), i, 0);
    }
    assert_true(guest_may_notify(&rig->guests[TX(0)]));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        RIG_SINGLE(test_console_output_share),     RIG_SINGLE(test_console_share_of_one_chain),
        RIG_SINGLE(test_console_output_ring_full), RIG_SINGLE(test_console_input_share),
        RIG_SINGLE(test_console_input_ring_full),  RIG_SINGLE(test_console_gone_ring_full),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
