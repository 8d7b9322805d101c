/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The console's control queues and ports: what the driver is told, when, and byte for byte; which
 * ports have input; a driver whose device is taken over.
 */
#include <string.h>

#include "console_rig.h"

/* [BH-CON-12] [BH-CON-13] rig_hello checks each message byte for byte. */
static void test_console_ports_announced(void **state)
{
    struct console_rig *rig = *state;

    (void)rig_kick(rig, CONTROL_RX);
    rig_expect_silence(rig);
    rig_hello(rig);
    assert_int_equal(rig->failures, 0);
}

/* [BH-CON-12] Nothing before DEVICE_READY, though buffers are there. */
static void test_console_not_before_ready(void **state)
{
    struct console_rig *rig = *state;

    (void)rig_offer(rig, CONTROL_RX, 64, W);
    bh_console_present_set(&rig->console, 1, false);
    bh_console_present_set(&rig->console, 1, true);
    bh_device_flush(&rig->device);
    (void)rig_kick(rig, CONTROL_RX);
    rig_nothing(rig, CONTROL_RX);
}

/* [BH-CON-12] Said twice, no port is added twice. */
static void test_console_ready_twice(void **state)
{
    struct console_rig *rig = *state;

    rig_control(rig, 0, BH_CONSOLE_DEVICE_READY, 1);
    rig_expect_event(rig, 0, BH_CONSOLE_DEVICE_ADD, 1);
    rig_control(rig, 0, BH_CONSOLE_DEVICE_READY, 1);
    rig_expect_event(rig, 1, BH_CONSOLE_DEVICE_ADD, 1);
    rig_expect_event(rig, 2, BH_CONSOLE_DEVICE_ADD, 1);
    rig_control(rig, 0, BH_CONSOLE_DEVICE_READY, 1);
    rig_expect_silence(rig);
}

/* [BH-CON-12] A driver that failed hears nothing; after a reset everything begins anew. */
static void test_console_ready_not(void **state)
{
    struct console_rig *rig = *state;

    rig_control(rig, 0, BH_CONSOLE_DEVICE_READY, 0);
    rig_expect_silence(rig);
    rig_hello(rig);
    assert_int_equal(bh_device_reset(&rig->device), BH_OK);
    rig_negotiate(rig, BH_CONSOLE_F_MULTIPORT | BH_CONSOLE_F_SIZE);
    rig_hello(rig);
}

/* [BH-CON-13] What the driver asks again it is told again; about a port that it could not make,
 * nothing. */
static void test_console_port_ready_again(void **state)
{
    struct console_rig *rig = *state;

    rig_hello(rig);
    rig_control(rig, 2, BH_CONSOLE_PORT_READY, 0);
    assert_false(rig->terminals[2].listening);
    bh_console_open_set(&rig->console, 2, false);
    bh_device_flush(&rig->device);
    rig_expect_silence(rig);
    rig_control(rig, 2, BH_CONSOLE_PORT_READY, 1);
    rig_expect_control(rig, "\2\0\0\0\7\0\1\0log", 11);
    rig_expect_event(rig, 2, BH_CONSOLE_PORT_OPEN, 0);
    rig_expect_silence(rig);
}

/* [BH-CON-13] A port that turns out not to work: what was due is not said. */
static void test_console_port_not_ready(void **state)
{
    struct console_rig *rig = *state;

    rig_hello(rig);
    bh_console_open_set(&rig->console, 2, false);
    rig_control(rig, 2, BH_CONSOLE_PORT_READY, 0);
    rig_expect_silence(rig);
    /* It may still be pulled out. */
    bh_console_present_set(&rig->console, 2, false);
    bh_console_present_set(&rig->console, 2, true);
    rig_control(rig, 2, BH_CONSOLE_PORT_READY, 0);
    rig_expect_event(rig, 2, BH_CONSOLE_DEVICE_REMOVE, 1);
    rig_expect_event(rig, 2, BH_CONSOLE_DEVICE_ADD, 1);
    rig_expect_silence(rig);
}

/* [BH-CON-18] Out and in again: what the driver says before it heard of it concerns the old
 * port. */
static void test_console_plugged_again(void **state)
{
    struct console_rig *rig = *state;

    rig_hello(rig);
    bh_console_present_set(&rig->console, 2, false);
    bh_console_present_set(&rig->console, 2, true);
    rig_control(rig, 2, BH_CONSOLE_PORT_READY, 1);
    rig_control(rig, 2, BH_CONSOLE_PORT_OPEN, 1);
    assert_false(rig->ports[2].ready || rig->ports[2].guest_open);
    assert_int_equal(rig->console.ignored, 2);
    rig_expect_event(rig, 2, BH_CONSOLE_DEVICE_REMOVE, 1);
    rig_expect_event(rig, 2, BH_CONSOLE_DEVICE_ADD, 1);
    rig_expect_silence(rig);
}

/* More messages than the ring has buffers: the driver, which gives them again, is asked to
 * notify. */
static void test_console_control_ring_full(void **state)
{
    struct console_rig *rig = *state;
    struct guest *guest = &rig->guests[CONTROL_RX];

    assert_int_equal(bh_device_reset(&rig->device), BH_OK);
    guest->size = 2;
    guest->setup.size = 2;
    rig_negotiate(rig, BH_CONSOLE_F_MULTIPORT);
    guest_offer_one(guest, RIG_DATA(CONTROL_RX, 0), 128, W, 0);
    guest_offer_one(guest, RIG_DATA(CONTROL_RX, 1), 128, W, 1);
    rig_control(rig, 0, BH_CONSOLE_DEVICE_READY, 1);
    rig_used(rig, CONTROL_RX, 0, 8);
    rig_used(rig, CONTROL_RX, 1, 8);
    assert_true(guest_may_notify(guest));
    guest_offer_one(guest, RIG_DATA(CONTROL_RX, 0), 128, W, 0);
    (void)rig_kick(rig, CONTROL_RX);
    rig_used(rig, CONTROL_RX, 0, 8);
}

/* [BH-CON-9] */
static void test_console_resize(void **state)
{
    struct console_rig *rig = *state;
    static const uint8_t size[] = {0, 0, 0, 0, 5, 0, 0, 0, 0x2c, 1, 50, 0};

    rig_hello(rig);
    uint16_t head = rig_offer(rig, CONTROL_RX, 64, W);

    (void)rig_kick(rig, CONTROL_RX);
    rig_nothing(rig, CONTROL_RX);
    bh_console_size_set(&rig->console, 0, 299, 49);
    bh_console_size_set(&rig->console, 0, 300, 50);
    rig_nothing(rig, CONTROL_RX);
    bh_device_flush(&rig->device);
    /* The last size alone. */
    assert_memory_equal(rig_used(rig, CONTROL_RX, head, sizeof(size)), size, sizeof(size));
    rig_expect_silence(rig);
    /* A port that is no console has no size. */
    bh_console_size_set(&rig->console, 1, 10, 10);
    rig_expect_silence(rig);
}

/* [BH-CON-9] [BH-CON-10] */
static void test_console_resize_not_negotiated(void **state)
{
    struct console_rig *rig = *state;

    assert_int_equal(bh_device_reset(&rig->device), BH_OK);
    rig_negotiate(rig, BH_CONSOLE_F_MULTIPORT);
    rig_control(rig, 0, BH_CONSOLE_DEVICE_READY, 1);
    for (uint32_t i = 0; i < RIG_PORTS; i++) {
        rig_expect_event(rig, i, BH_CONSOLE_DEVICE_ADD, 1);
    }
    rig_control(rig, 0, BH_CONSOLE_PORT_READY, 1);
    rig_expect_event(rig, 0, BH_CONSOLE_CONSOLE_PORT, 1);
    rig_expect_event(rig, 0, BH_CONSOLE_PORT_OPEN, 1);
    bh_console_size_set(&rig->console, 0, 1, 1);
    rig_expect_silence(rig);
    assert_int_equal(rig->config_changes, 0);
}

/* [BH-CON-16] */
static void test_console_host_opens_and_closes(void **state)
{
    struct console_rig *rig = *state;

    rig_hello(rig);
    bh_console_open_set(&rig->console, 1, false);
    rig_expect_event(rig, 1, BH_CONSOLE_PORT_OPEN, 0);
    bh_console_open_set(&rig->console, 1, true);
    bh_console_open_set(&rig->console, 1, true);
    rig_expect_event(rig, 1, BH_CONSOLE_PORT_OPEN, 1);
    bh_console_open_set(&rig->console, 1, true);
    rig_expect_silence(rig);
    /* A terminal that hangs up while it is written to. */
    rig->terminals[2].gone = true;
    uint16_t message = rig_offer(rig, CONTROL_RX, 8, W);
    uint16_t head = rig_say(rig, 2, "x");

    (void)rig_kick(rig, TX(2));
    rig_used(rig, TX(2), head, 0);
    assert_memory_equal(rig_used(rig, CONTROL_RX, message, 8), "\2\0\0\0\6\0\0\0", 8);
}

/* [BH-CON-17] */
static void test_console_input_for_open_ports(void **state)
{
    struct console_rig *rig = *state;
    uint16_t head = rig_offer(rig, RX(1), 16, W);

    (void)rig_kick(rig, RX(1));
    rig_type(rig, 1, "early");
    rig_hello(rig);
    assert_memory_equal(rig->terminals[1].in, "early", 5);
    rig_type(rig, 1, ".");
    assert_memory_equal(rig_used(rig, RX(1), head, 6), "early.", 6);
    rig_control(rig, 1, BH_CONSOLE_PORT_OPEN, 0);
    assert_false(rig->terminals[1].listening);
    head = rig_offer(rig, RX(1), 16, W);
    (void)rig_kick(rig, RX(1));
    rig_type(rig, 1, "kept");
    rig_nothing(rig, RX(1));
    rig_control(rig, 1, BH_CONSOLE_PORT_OPEN, 1);
    rig_type(rig, 1, "");
    assert_memory_equal(rig_used(rig, RX(1), head, 4), "kept", 4);
    /* Closed while bytes wait for buffers, which then come. */
    rig_type(rig, 1, "more");
    rig_control(rig, 1, BH_CONSOLE_PORT_OPEN, 0);
    (void)rig_offer(rig, RX(1), 16, W);
    (void)rig_kick(rig, RX(1));
    rig_nothing(rig, RX(1));
    assert_false(rig->terminals[1].listening);
}

/* [BH-CON-4] */
static void test_console_ports_are_independent(void **state)
{
    struct console_rig *rig = *state;

    rig_hello(rig);
    rig->terminals[1].room = 0;
    (void)rig_say(rig, 1, "nobody reads this");
    (void)rig_kick(rig, TX(1));
    rig_nothing(rig, TX(1));

    uint16_t head = rig_say(rig, 2, "log line");

    (void)rig_kick(rig, TX(2));
    rig_used(rig, TX(2), head, 0);
    rig_printed(rig, 2, "log line");
    head = rig_offer(rig, RX(0), 16, W);
    (void)rig_kick(rig, RX(0));
    rig_type(rig, 0, "input");
    rig_used(rig, RX(0), head, 5);
    head = rig_offer(rig, RX(1), 16, W);
    (void)rig_kick(rig, RX(1));
    rig_type(rig, 1, "both ways");
    rig_used(rig, RX(1), head, 9);
    rig_printed(rig, 0, "");
}

/* [BH-CON-18] */
static void test_console_plugging(void **state)
{
    struct console_rig *rig = *state;

    bh_console_present_set(&rig->console, 2, false);
    rig_control(rig, 0, BH_CONSOLE_DEVICE_READY, 1);
    rig_expect_event(rig, 0, BH_CONSOLE_DEVICE_ADD, 1);
    rig_expect_event(rig, 1, BH_CONSOLE_DEVICE_ADD, 1);
    rig_expect_silence(rig);
    /* What was never added is not removed. */
    bh_console_present_set(&rig->console, 2, true);
    bh_console_present_set(&rig->console, 2, false);
    rig_expect_silence(rig);
    bh_console_present_set(&rig->console, 2, true);
    bh_console_present_set(&rig->console, 2, true);
    rig_expect_event(rig, 2, BH_CONSOLE_DEVICE_ADD, 1);
    rig_control(rig, 2, BH_CONSOLE_PORT_READY, 1);
    rig_expect_control(rig, "\2\0\0\0\7\0\1\0log", 11);
    /* Pulled out, what was due is not; and in again before the driver heard of it. */
    bh_console_present_set(&rig->console, 2, false);
    rig_control(rig, 2, BH_CONSOLE_PORT_OPEN, 1);
    bh_console_present_set(&rig->console, 2, true);
    rig_expect_event(rig, 2, BH_CONSOLE_DEVICE_REMOVE, 1);
    rig_expect_event(rig, 2, BH_CONSOLE_DEVICE_ADD, 1);
    rig_expect_silence(rig);
    assert_false(rig->ports[2].guest_open);
    rig_control(rig, 2, BH_CONSOLE_PORT_OPEN, 1);
    assert_true(rig->terminals[2].listening);
    bh_console_present_set(&rig->console, 2, false);
    assert_false(rig->terminals[2].listening);
    rig_expect_event(rig, 2, BH_CONSOLE_DEVICE_REMOVE, 1);
    rig_expect_silence(rig);
    /* The driver has forgotten it: in and out again is no news. */
    bh_console_present_set(&rig->console, 2, true);
    bh_console_present_set(&rig->console, 2, false);
    rig_expect_silence(rig);
    bh_console_present_set(&rig->console, 1, true);
    rig_expect_silence(rig);
}

/* [BH-CON-19] The driver says nothing: its ports are announced, and open until it says
 * otherwise. */
static void test_console_taken_over(void **state)
{
    struct console_rig *rig = *state;

    assert_int_equal(bh_device_reset(&rig->device), BH_OK);
    rig->resumed = true;
    rig_negotiate(rig, BH_CONSOLE_F_MULTIPORT | BH_CONSOLE_F_SIZE);
    assert_true(rig->terminals[1].listening);
    uint16_t head = rig_offer(rig, RX(1), 16, W);

    (void)rig_kick(rig, RX(1));
    rig_type(rig, 1, "at once");
    rig_used(rig, RX(1), head, 7);
    for (uint32_t i = 0; i < RIG_PORTS; i++) {
        rig_expect_event(rig, i, BH_CONSOLE_DEVICE_ADD, 1);
    }
    rig_expect_silence(rig);
    rig_control(rig, 2, BH_CONSOLE_PORT_READY, 1);
    rig_expect_control(rig, "\2\0\0\0\7\0\1\0log", 11);
    rig_expect_event(rig, 2, BH_CONSOLE_PORT_OPEN, 1);
    /* A message of the driver that its predecessor did not take. */
    rig_control(rig, 0, BH_CONSOLE_DEVICE_READY, 1);
    rig_expect_silence(rig);
}

/* [BH-CON-19] A queue that was stopped and goes on in the same process is no take-over. */
static void test_console_queue_goes_on(void **state)
{
    struct console_rig *rig = *state;
    struct bh_queue_setup setup = rig->guests[TX(1)].setup;

    rig_hello(rig);
    assert_int_equal(bh_device_queue_stop(&rig->device, TX(1)), BH_OK);
    setup.resumed = true;
    assert_int_equal(bh_device_queue_start(&rig->device, TX(1), &setup), BH_OK);
    bh_device_flush(&rig->device);
    rig_expect_silence(rig);
}

/* A control queue that stops is no port's. */
static void test_console_stop_control(void **state)
{
    struct console_rig *rig = *state;

    rig_hello(rig);
    rig->terminals[0].room = 1;
    (void)rig_say(rig, 0, "held");
    (void)rig_kick(rig, TX(0));
    for (uint16_t queue = CONTROL_RX; queue <= CONTROL_TX; queue++) {
        assert_int_equal(bh_device_queue_stop(&rig->device, queue), BH_OK);
        bh_device_flush(&rig->device);
        assert_true(rig->terminals[0].listening);
        rig_nothing(rig, TX(0));
    }
}

/* [BH-CON-10] A driver that does not take MULTIPORT has port 0, and no more. */
static void test_console_without_multiport(void **state)
{
    struct console_rig *rig = *state;

    assert_int_equal(bh_device_reset(&rig->device), BH_OK);
    rig_negotiate(rig, BH_CONSOLE_F_SIZE);
    for (uint16_t i = 2; i < RIG_QUEUES; i++) {
        struct bh_queue_setup setup = rig->guests[i].setup;

        assert_int_equal(bh_device_queue_start(&rig->device, i, &setup), BH_OK);
        (void)rig_offer(rig, i, 16, (i & 1u) != 0 ? R : W);
        assert_false(rig_kick(rig, i));
        rig_nothing(rig, i);
    }
    uint16_t head = rig_say(rig, 0, "port 0");

    (void)rig_kick(rig, TX(0));
    rig_used(rig, TX(0), head, 0);
    assert_false(rig->terminals[1].listening);
    assert_true(rig->terminals[0].listening);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        RIG_MULTI(test_console_ports_announced),
        RIG_MULTI(test_console_not_before_ready),
        RIG_MULTI(test_console_stop_control),
        RIG_MULTI(test_console_ready_twice),
        RIG_MULTI(test_console_ready_not),
        RIG_MULTI(test_console_port_ready_again),
        RIG_MULTI(test_console_port_not_ready),
        RIG_MULTI(test_console_plugged_again),
        RIG_MULTI(test_console_control_ring_full),
        RIG_MULTI(test_console_resize),
        RIG_MULTI(test_console_resize_not_negotiated),
        RIG_MULTI(test_console_host_opens_and_closes),
        RIG_MULTI(test_console_input_for_open_ports),
        RIG_MULTI(test_console_ports_are_independent),
        RIG_MULTI(test_console_plugging),
        RIG_MULTI(test_console_taken_over),
        RIG_MULTI(test_console_queue_goes_on),
        RIG_MULTI(test_console_without_multiport),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
