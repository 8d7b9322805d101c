/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A driver that breaks the console's rules: buffers that do not belong, control messages that make
 * no sense, floods, and queues that are pulled away with chains in flight.
 */
#include <string.h>

#include "console_rig.h"

static void expect_fault(struct console_rig *rig, uint16_t queue)
{
    assert_int_equal(rig->failures, 1);
    assert_int_equal(rig->queues[queue].fault.error, BH_PROTOCOL);
    assert_true((rig->device.status & BH_STATUS_NEEDS_RESET) != 0);
    rig_nothing(rig, queue);
    assert_int_equal(rig->queues[queue].in_flight, 0);
    assert_int_equal(rig->pool.free_count, 16);
}

/* [BH-CON-7] */
static void test_class_12_console_writable_output(void **state)
{
    struct console_rig *rig = *state;
    const struct guest_buffer buffers[] = {{RIG_DATA(1, 0), 4, R}, {RIG_DATA(1, 1), 4, W}};

    guest_offer(&rig->guests[TX(0)], buffers, 2, 0);
    assert_false(rig_kick(rig, TX(0)));
    expect_fault(rig, TX(0));
    rig_printed(rig, 0, "");
}

/* [BH-CON-7] */
static void test_class_12_console_readable_input(void **state)
{
    struct console_rig *rig = *state;
    const struct guest_buffer buffers[] = {{RIG_DATA(0, 0), 4, R}, {RIG_DATA(0, 1), 4, W}};

    guest_offer(&rig->guests[RX(0)], buffers, 2, 0);
    rig_type(rig, 0, "x");
    (void)rig_kick(rig, RX(0));
    expect_fault(rig, RX(0));
    assert_int_equal(rig->terminals[0].in_count, 1);
    /* The device needs a reset: bytes that come meanwhile must not keep the loop awake. */
    rig_type(rig, 0, "y");
    assert_false(rig->terminals[0].listening);
}

/* [BH-CON-7] */
static void test_console_control_wrong_way(void **state)
{
    struct console_rig *rig = *state;
    const struct guest_buffer both[] = {{RIG_DATA(2, 0), 8, R}, {RIG_DATA(2, 1), 64, W}};

    rig_control(rig, 0, BH_CONSOLE_DEVICE_READY, 1);
    guest_offer(&rig->guests[CONTROL_RX], both, 2, 0);
    (void)rig_kick(rig, CONTROL_RX);
    expect_fault(rig, CONTROL_RX);
}

/* [BH-CON-7] */
static void test_console_control_writable(void **state)
{
    struct console_rig *rig = *state;
    const struct guest_buffer both[] = {{RIG_DATA(3, 0), 8, R}, {RIG_DATA(3, 1), 8, W}};

    guest_offer(&rig->guests[CONTROL_TX], both, 2, 0);
    (void)rig_kick(rig, CONTROL_TX);
    expect_fault(rig, CONTROL_TX);
    assert_false(rig->console.ready);
}

/* [BH-CON-14] Every length below 8. */
static void test_class_07_console_control_short(void **state)
{
    struct console_rig *rig = *state;

    for (uint32_t length = 0; length < 8; length++) {
        assert_int_equal(bh_device_reset(&rig->device), BH_OK);
        rig_negotiate(rig, BH_CONSOLE_F_MULTIPORT);
        rig->failures = 0;
        (void)rig_offer(rig, CONTROL_TX, length, R);
        (void)rig_kick(rig, CONTROL_TX);
        expect_fault(rig, CONTROL_TX);
        assert_false(rig->console.ready);
    }
}

/* [BH-CON-14] What stands behind a message is not looked at; a message in pieces is one. */
static void test_console_control_long(void **state)
{
    struct console_rig *rig = *state;
    struct guest_buffer pieces[9];

    memset(guest_at(&rig->guests[0], RIG_DATA(3, 0)), 0, 256);
    *guest_at(&rig->guests[0], RIG_DATA(3, 0) + 6) = 1;
    for (uint32_t i = 0; i < 8; i++) {
        pieces[i] = (struct guest_buffer){RIG_DATA(3, 0) + i, 1, R};
    }
    pieces[8] = (struct guest_buffer){GUEST_LOW, 0x10000, R};
    guest_offer(&rig->guests[CONTROL_TX], pieces, 9, 0);
    assert_false(rig_kick(rig, CONTROL_TX));
    rig_used(rig, CONTROL_TX, 0, 0);
    assert_true(rig->console.ready);
    assert_int_equal(rig->console.ignored, 0);
}

/* [BH-CON-14] */
static void test_class_15_console_port_out_of_range(void **state)
{
    struct console_rig *rig = *state;
    static const struct {
        uint32_t id;
        uint16_t event;
    } messages[] = {
        {RIG_PORTS, BH_CONSOLE_PORT_READY},
        {UINT32_MAX, BH_CONSOLE_PORT_READY},
        {RIG_PORTS, BH_CONSOLE_PORT_OPEN},
        {0x80000000u, BH_CONSOLE_PORT_OPEN},
        {0, BH_CONSOLE_DEVICE_ADD},
        {0, BH_CONSOLE_DEVICE_REMOVE},
        {0, BH_CONSOLE_CONSOLE_PORT},
        {0, BH_CONSOLE_RESIZE},
        {0, BH_CONSOLE_PORT_NAME},
        {1, 8},
        {1, UINT16_MAX},
    };
    const uint64_t count = sizeof(messages) / sizeof(messages[0]);

    /* Before a port was announced there is none. */
    rig_control(rig, 0, BH_CONSOLE_PORT_READY, 1);
    rig_control(rig, 0, BH_CONSOLE_PORT_OPEN, 1);
    assert_int_equal(rig->console.ignored, 2);
    assert_false(rig->ports[0].ready || rig->ports[0].guest_open);
    rig_hello(rig);
    for (uint32_t i = 0; i < count; i++) {
        rig_control(rig, messages[i].id, messages[i].event, 1);
    }
    assert_int_equal(rig->console.ignored, 2 + count);
    assert_int_equal(rig->failures, 0);
    rig_expect_silence(rig);
}

/* [BH-CON-14] A buffer that the message does not fit into. */
static void test_console_control_buffer_too_short(void **state)
{
    struct console_rig *rig = *state;

    rig_control(rig, 0, BH_CONSOLE_DEVICE_READY, 1);
    (void)rig_offer(rig, CONTROL_RX, 128, W);
    (void)rig_kick(rig, CONTROL_RX);
    rig_used(rig, CONTROL_RX, 0, 8);
    (void)rig_offer(rig, CONTROL_RX, 7, W);
    (void)rig_kick(rig, CONTROL_RX);
    expect_fault(rig, CONTROL_RX);
    assert_string_equal(rig->queues[CONTROL_RX].fault.reason,
                        "control buffer shorter than the message");
    assert_int_equal(rig->queues[CONTROL_RX].fault.head, 1);
    assert_int_equal(rig->queues[CONTROL_RX].fault.index, 1);
}

/* [BH-CON-13] The message just fits. */
static void test_console_control_buffer_just_fits(void **state)
{
    struct console_rig *rig = *state;
    uint16_t head;

    rig_control(rig, 0, BH_CONSOLE_DEVICE_READY, 1);
    for (uint32_t i = 0; i < RIG_PORTS; i++) {
        head = rig_offer(rig, CONTROL_RX, 8, W);
        (void)rig_kick(rig, CONTROL_RX);
        rig_used(rig, CONTROL_RX, head, 8);
    }
    rig_control(rig, 1, BH_CONSOLE_PORT_READY, 1);
    head = rig_offer(rig, CONTROL_RX, 12, W);
    (void)rig_kick(rig, CONTROL_RX);
    assert_memory_equal(rig_used(rig, CONTROL_RX, head, 12), "\1\0\0\0\7\0\1\0data", 12);
    assert_int_equal(rig->failures, 0);
}

/* [BH-CON-15] Questions without end, and no buffers for the answers. */
static void test_class_18_console_control_flood(void **state)
{
    struct console_rig *rig = *state;

    rig_hello(rig);
    for (uint32_t i = 0; i < 1000; i++) {
        rig_control(rig, 1, BH_CONSOLE_PORT_READY, 1);
        rig_control(rig, 0, BH_CONSOLE_DEVICE_READY, 1);
        rig_control(rig, 1, BH_CONSOLE_PORT_OPEN, (uint16_t)(i & 1u));
    }
    rig_expect_control(rig, "\1\0\0\0\7\0\1\0data", 12);
    rig_expect_event(rig, 1, BH_CONSOLE_PORT_OPEN, 1);
    rig_expect_silence(rig);
}

/* [BH-CON-15] One kick takes a ring's worth of messages at most, each round of it. */
static void test_console_control_batch(void **state)
{
    struct console_rig *rig = *state;

    guest_put16(&rig->guests[0], RIG_DATA(3, 0) + 4, 99);
    for (uint16_t i = 0; i < RIG_RING; i++) {
        guest_offer_one(&rig->guests[CONTROL_TX], RIG_DATA(3, 0), 8, R, i);
    }
    (void)rig_kick(rig, CONTROL_TX);
    for (uint16_t i = 0; i < RIG_RING; i++) {
        rig_used(rig, CONTROL_TX, i, 0);
    }
    assert_int_equal(rig->console.ignored, RIG_RING);
}

/* A chain as long as the pool allows, and one that is longer. */
static void test_console_long_chain(void **state)
{
    struct console_rig *rig = *state;
    struct guest_buffer pieces[GUEST_BLOCK_SPANS];

    for (uint32_t i = 0; i < GUEST_BLOCK_SPANS; i++) {
        *guest_at(&rig->guests[0], RIG_DATA(TX(0), 0) + i) = (uint8_t)('a' + i);
        pieces[i] = (struct guest_buffer){RIG_DATA(TX(0), 0) + i, 1, R};
    }
    guest_offer(&rig->guests[TX(0)], pieces, GUEST_BLOCK_SPANS, 0);
    (void)rig_kick(rig, TX(0));
    rig_used(rig, TX(0), 0, 0);
    rig_printed(rig, 0, "abcdefghijklmnop");
}

/* [BH-CON-6] Everything is in flight, and the driver resets. */
static void test_class_17_console_reset_in_flight(void **state)
{
    struct console_rig *rig = *state;
    uint64_t features = rig->device.features & ~BH_F_TRANSPORT_MASK;
    struct guest_buffer pieces[GUEST_BLOCK_SPANS];

    rig_hello(rig);
    for (uint32_t i = 0; i < GUEST_BLOCK_SPANS; i++) {
        pieces[i] = (struct guest_buffer){RIG_DATA(1, 0) + i, 1, R};
    }
    for (uint32_t i = 0; i < RIG_PORTS; i++) {
        rig->terminals[i].room = 1;
        guest_offer(&rig->guests[TX(i)], pieces, GUEST_BLOCK_SPANS, 0);
        (void)rig_kick(rig, TX(i));
        (void)rig_offer(rig, RX(i), 1, W);
        (void)rig_offer(rig, RX(i), 1, W);
        (void)rig_kick(rig, RX(i));
        rig_type(rig, i, "x");
    }
    assert_int_equal(rig->pool.free_count, 16 - RIG_PORTS);
    assert_int_equal(bh_device_reset(&rig->device), BH_OK);
    assert_int_equal(rig->pool.free_count, 16);
    rig_negotiate(rig, features);
    rig_hello(rig);
}

/* [BH-CON-6] The same with a queue that broke: nothing is published, everything is let go. */
static void test_console_reset_after_fault(void **state)
{
    struct console_rig *rig = *state;
    const struct guest_buffer bad[] = {{RIG_DATA(1, 0), 4, W}};

    rig_hello(rig);
    rig->terminals[1].room = 0;
    (void)rig_say(rig, 1, "held");
    (void)rig_kick(rig, TX(1));
    guest_offer(&rig->guests[TX(2)], bad, 1, 0);
    (void)rig_kick(rig, TX(2));
    assert_int_equal(rig->failures, 1);
    rig->terminals[1].room = 100;
    assert_false(bh_console_writable(&rig->console, 1));
    rig_printed(rig, 1, "");
    assert_int_equal(bh_device_reset(&rig->device), BH_OK);
    assert_int_equal(rig->pool.free_count, 16);
}

/* Input and output buffers that lie over the rings: the driver harms itself, and a reset helps. */
static void test_class_14_console_buffers_over_the_rings(void **state)
{
    struct console_rig *rig = *state;
    uint64_t features = rig->device.features & ~BH_F_TRANSPORT_MASK;
    const struct guest_buffer rings[] = {{GUEST_DESCRIPTOR, 0x8000, W}};

    rig_hello(rig);
    for (uint32_t i = 0; i < RIG_PORTS; i++) {
        guest_offer(&rig->guests[RX(i)], rings, 1, 0);
        guest_offer_one(&rig->guests[TX(i)], GUEST_DESCRIPTOR, 0x8000, R, 0);
    }
    for (uint32_t i = 0; i < RIG_PORTS; i++) {
        (void)rig_kick(rig, RX(i));
        rig_type(rig, i, "\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff");
        (void)rig_kick(rig, TX(i));
    }
    assert_int_equal(bh_device_reset(&rig->device), BH_OK);
    assert_int_equal(rig->pool.free_count, 16);
    rig->failures = 0;
    for (uint32_t i = 0; i < RIG_PORTS; i++) {
        rig->terminals[i].in_count = 0;
    }
    rig_negotiate(rig, features);
    rig_hello(rig);
    assert_int_equal(rig->failures, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        RIG_MULTI(test_console_control_wrong_way),
        RIG_MULTI(test_console_control_writable),
        RIG_MULTI(test_class_07_console_control_short),
        RIG_MULTI(test_console_control_long),
        RIG_MULTI(test_class_15_console_port_out_of_range),
        RIG_MULTI(test_console_control_buffer_too_short),
        RIG_MULTI(test_console_control_buffer_just_fits),
        RIG_MULTI(test_class_18_console_control_flood),
        RIG_MULTI(test_console_control_batch),
        RIG_MULTI(test_class_14_console_buffers_over_the_rings),
        RIG_MULTI(test_class_17_console_reset_in_flight),
        RIG_MULTI(test_console_reset_after_fault),
        RIG_SINGLE(test_class_12_console_writable_output),
        RIG_SINGLE(test_class_12_console_readable_input),
        RIG_SINGLE(test_console_long_chain),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
