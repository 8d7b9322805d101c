/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The console's data and configuration space: output, input, back-pressure, size, emergency output,
 * and what happens when a queue stops. Control messages are in test_console_control.c, hostile
 * drivers in test_console_hostile.c.
 */
#include <string.h>

#include "console_rig.h"

/* ---- output ---- */

/* [BH-CON-1] */
static void test_console_output_in_order(void **state)
{
    struct console_rig *rig = *state;
    uint16_t first = rig_say(rig, 0, "one ");
    uint16_t second = rig_say(rig, 0, "two");

    assert_false(rig_kick(rig, TX(0)));
    rig_used(rig, TX(0), first, 0);
    rig_used(rig, TX(0), second, 0);
    rig_printed(rig, 0, "one two");
}

/* [BH-CON-1] A buffer in pieces, an empty one among them; and an empty buffer. */
static void test_console_output_pieces(void **state)
{
    struct console_rig *rig = *state;
    const struct guest_buffer pieces[] = {
        {RIG_DATA(TX(0), 8), 3, R}, {RIG_DATA(TX(0), 9), 0, R}, {RIG_DATA(TX(0), 10), 4, R}};

    memcpy(guest_at(&rig->guests[0], RIG_DATA(TX(0), 8)), "abc", 3);
    memcpy(guest_at(&rig->guests[0], RIG_DATA(TX(0), 10)), "defg", 4);
    rig->terminals[0].piece = 2;
    guest_offer(&rig->guests[TX(0)], pieces, 3, 0);
    guest_offer_one(&rig->guests[TX(0)], RIG_DATA(TX(0), 8), 0, R, 3);
    assert_false(rig_kick(rig, TX(0)));
    rig_used(rig, TX(0), 0, 0);
    rig_used(rig, TX(0), 3, 0);
    rig_printed(rig, 0, "abcdefg");
}

/* [BH-CON-3] The buffer is the guest's only when all of it was taken. */
static void test_console_output_waits_for_room(void **state)
{
    struct console_rig *rig = *state;

    rig->terminals[0].room = 3;
    uint16_t first = rig_say(rig, 0, "hello ");
    uint16_t second = rig_say(rig, 0, "world");

    assert_false(rig_kick(rig, TX(0)));
    rig_nothing(rig, TX(0));
    rig_printed(rig, 0, "hel");
    assert_false(rig_room(rig, 0, 5));
    rig_used(rig, TX(0), first, 0);
    rig_nothing(rig, TX(0));
    assert_false(rig_room(rig, 0, 100));
    rig_used(rig, TX(0), second, 0);
    rig_printed(rig, 0, "hello world");
    assert_int_equal(rig->console.lost, 0);
}

/* While output waits, the driver is not asked for notifications; afterwards it is. */
static void test_console_output_notifications(void **state)
{
    struct console_rig *rig = *state;

    rig->terminals[0].room = 1;
    (void)rig_say(rig, 0, "ab");
    (void)rig_kick(rig, TX(0));
    assert_false(guest_may_notify(&rig->guests[TX(0)]));
    (void)rig_room(rig, 0, 10);
    assert_true(guest_may_notify(&rig->guests[TX(0)]));
}

/* ---- input ---- */

/* [BH-CON-2] */
static void test_console_input(void **state)
{
    struct console_rig *rig = *state;
    uint16_t first = rig_offer(rig, RX(0), 4, W);
    uint16_t second = rig_offer(rig, RX(0), 100, W);

    assert_false(rig_kick(rig, RX(0)));
    rig_nothing(rig, RX(0));
    rig_type(rig, 0, "typed");
    assert_memory_equal(rig_used(rig, RX(0), first, 4), "type", 4);
    assert_memory_equal(rig_used(rig, RX(0), second, 1), "d", 1);
    assert_true(rig->terminals[0].listening);
}

/* [BH-CON-2] [BH-CON-3] Without buffers nothing is read, and nobody listens in vain. */
static void test_console_input_waits_for_buffers(void **state)
{
    struct console_rig *rig = *state;

    rig_type(rig, 0, "early");
    assert_false(rig->terminals[0].listening);
    assert_int_equal(rig->terminals[0].reads, 0);

    uint16_t first = rig_offer(rig, RX(0), 2, W);

    assert_false(rig_kick(rig, RX(0)));
    assert_memory_equal(rig_used(rig, RX(0), first, 2), "ea", 2);

    uint16_t second = rig_offer(rig, RX(0), 100, W);

    assert_false(rig_kick(rig, RX(0)));
    assert_memory_equal(rig_used(rig, RX(0), second, 3), "rly", 3);
    assert_true(rig->terminals[0].listening);
    assert_true(guest_may_notify(&rig->guests[TX(0)]));
}

/* Bytes that just fill a buffer: the next one is held for what comes. */
static void test_console_input_just_fits(void **state)
{
    struct console_rig *rig = *state;
    uint16_t first = rig_offer(rig, RX(0), 4, W);
    uint16_t second = rig_offer(rig, RX(0), 4, W);

    rig_type(rig, 0, "four");
    assert_memory_equal(rig_used(rig, RX(0), first, 4), "four", 4);
    rig_nothing(rig, RX(0));
    rig_type(rig, 0, "5");
    assert_memory_equal(rig_used(rig, RX(0), second, 1), "5", 1);
}

/* A buffer without a byte of room goes back empty. */
static void test_console_input_empty_buffer(void **state)
{
    struct console_rig *rig = *state;
    uint16_t first = rig_offer(rig, RX(0), 0, W);
    uint16_t second = rig_offer(rig, RX(0), 8, W);

    rig_type(rig, 0, "x");
    rig_used(rig, RX(0), first, 0);
    assert_memory_equal(rig_used(rig, RX(0), second, 1), "x", 1);
}

/* ---- the host side goes ---- */

/* [BH-CON-5] */
static void test_console_gone_swallows(void **state)
{
    struct console_rig *rig = *state;

    rig->terminals[0].room = 2;
    uint16_t first = rig_say(rig, 0, "before");
    uint16_t second = rig_say(rig, 0, "behind");

    (void)rig_kick(rig, TX(0));
    rig->terminals[0].gone = true;
    bh_console_readable(&rig->console, 0);
    (void)rig_offer(rig, RX(0), 8, W);
    (void)rig_kick(rig, RX(0));
    rig_used(rig, TX(0), first, 0);
    rig_used(rig, TX(0), second, 0);
    assert_false(rig->terminals[0].listening);

    uint16_t third = rig_say(rig, 0, "after");

    assert_false(rig_kick(rig, TX(0)));
    rig_used(rig, TX(0), third, 0);
    rig_printed(rig, 0, "be");
}

/* [BH-CON-5] The terminal says so when it is written to; and somebody may come back. */
static void test_console_gone_and_back(void **state)
{
    struct console_rig *rig = *state;
    uint16_t first;

    rig->terminals[0].gone = true;
    first = rig_say(rig, 0, "nobody");
    assert_false(rig_kick(rig, TX(0)));
    rig_used(rig, TX(0), first, 0);
    assert_false(rig->terminals[0].listening);
    rig->terminals[0].gone = false;
    bh_console_open_set(&rig->console, 0, true);
    assert_true(rig->terminals[0].listening);
    first = rig_say(rig, 0, "again");
    (void)rig_kick(rig, TX(0));
    rig_used(rig, TX(0), first, 0);
    rig_printed(rig, 0, "again");

    /* Closed while output waits. */
    rig->terminals[0].room = 0;
    first = rig_say(rig, 0, "waits");
    (void)rig_kick(rig, TX(0));
    rig_nothing(rig, TX(0));
    bh_console_open_set(&rig->console, 0, false);
    bh_device_flush(&rig->device);
    rig_used(rig, TX(0), first, 0);
}

/* ---- stopping ---- */

/* [BH-CON-6] A stop does not wait for a reader; what is left is printed later. */
static void test_console_stop_keeps_output(void **state)
{
    struct console_rig *rig = *state;

    rig->terminals[0].room = 2;
    uint16_t first = rig_say(rig, 0, "last");

    (void)rig_kick(rig, TX(0));
    rig_nothing(rig, TX(0));
    assert_int_equal(bh_device_queue_stop(&rig->device, TX(0)), BH_OK);
    rig_used(rig, TX(0), first, 0);
    assert_int_equal(bh_device_reset(&rig->device), BH_OK);
    rig_negotiate(rig, 0);
    first = rig_say(rig, 0, "!");
    (void)rig_kick(rig, TX(0));
    rig_nothing(rig, TX(0));
    (void)rig_room(rig, 0, 1);
    (void)rig_room(rig, 0, 100);
    rig_used(rig, TX(0), first, 0);
    rig_printed(rig, 0, "last!");
    assert_int_equal(rig->console.lost, 0);
}

/* [BH-CON-6] What is kept is bounded (RIG_KEPT), and wraps around. */
static void test_console_stop_keeps_so_much(void **state)
{
    struct console_rig *rig = *state;
    const uint64_t features = rig->device.features & ~BH_F_TRANSPORT_MASK;

    rig->terminals[0].room = 0;
    (void)rig_say(rig, 0, "12345");
    (void)rig_kick(rig, TX(0));
    assert_int_equal(bh_device_reset(&rig->device), BH_OK);
    (void)rig_room(rig, 0, 3);
    rig_printed(rig, 0, "123");
    rig_negotiate(rig, features);
    (void)rig_say(rig, 0, "x");
    (void)rig_kick(rig, TX(0));
    assert_int_equal(bh_device_reset(&rig->device), BH_OK);

    /* Two bytes are kept, and the buffer was never popped behind them. */
    rig_negotiate(rig, features);
    bh_console_open_set(&rig->console, 0, true);
    (void)rig_room(rig, 0, 2);
    (void)rig_say(rig, 0, "abcdefghijk");
    (void)rig_kick(rig, TX(0));
    assert_int_equal(bh_device_queue_stop(&rig->device, TX(0)), BH_OK);
    (void)rig_room(rig, 0, 100);
    rig_printed(rig, 0, "12345abcdefgh");
    assert_int_equal(rig->console.lost, 3);
}

/* [BH-CON-5] [BH-CON-6] Nobody is there for what was kept. */
static void test_console_stop_and_gone(void **state)
{
    struct console_rig *rig = *state;

    rig->terminals[0].room = 0;
    (void)rig_say(rig, 0, "kept");
    (void)rig_kick(rig, TX(0));
    assert_int_equal(bh_device_reset(&rig->device), BH_OK);
    rig->terminals[0].gone = true;
    assert_false(bh_console_writable(&rig->console, 0));
    assert_false(rig->ports[0].setup.open);
    rig->terminals[0].gone = false;
    bh_console_open_set(&rig->console, 0, true);
    rig->terminals[0].room = 100;
    assert_false(bh_console_writable(&rig->console, 0));
    rig_printed(rig, 0, "");
}

/* A held receive buffer goes back empty, and the terminal is left alone until the queue runs
 * again. */
static void test_console_stop_gives_input_back(void **state)
{
    struct console_rig *rig = *state;
    uint16_t first = rig_offer(rig, RX(0), 4, W);
    uint16_t second = rig_offer(rig, RX(0), 4, W);

    rig_type(rig, 0, "four");
    rig_used(rig, RX(0), first, 4);
    assert_int_equal(bh_device_queue_stop(&rig->device, RX(0)), BH_OK);
    rig_used(rig, RX(0), second, 0);
    assert_false(rig->terminals[0].listening);
    assert_int_equal(bh_device_reset(&rig->device), BH_OK);
    rig_negotiate(rig, 0);
    assert_true(rig->terminals[0].listening);
}

/* Nothing is read for a queue that does not run. */
static void test_console_stopped_is_quiet(void **state)
{
    struct console_rig *rig = *state;

    assert_int_equal(bh_device_reset(&rig->device), BH_OK);
    bh_console_readable(&rig->console, 0);
    assert_int_equal(rig->terminals[0].reads, 0);
    assert_false(bh_console_writable(&rig->console, 0));
}

/* [BH-DEV-1] A port that has a status starts queues early; bytes of the host side wait for
 * DRIVER_OK. */
static void test_console_before_driver_ok(void **state)
{
    struct console_rig *rig = *state;
    const uint8_t status = BH_STATUS_ACKNOWLEDGE | BH_STATUS_DRIVER | BH_STATUS_FEATURES_OK;

    assert_int_equal(bh_device_reset(&rig->device), BH_OK);
    rig_bind_with_status(rig);
    rig_negotiate(rig, 0);
    assert_int_equal(bh_device_status_set(&rig->device, status), BH_OK);
    uint16_t head = rig_offer(rig, RX(0), 16, W);
    uint16_t said = rig_say(rig, 0, "x");

    rig_type(rig, 0, "early");
    assert_false(rig_kick(rig, TX(0)));
    rig_nothing(rig, RX(0));
    rig_nothing(rig, TX(0));
    assert_int_equal(rig->terminals[0].reads, 0);
    assert_int_equal(bh_device_status_set(&rig->device, status | BH_STATUS_DRIVER_OK), BH_OK);
    (void)rig_kick(rig, RX(0));
    (void)rig_kick(rig, TX(0));
    assert_memory_equal(rig_used(rig, RX(0), head, 5), "early", 5);
    rig_used(rig, TX(0), said, 0);
}

/* ---- configuration space ---- */

static void expect_config(struct console_rig *rig, uint16_t cols, uint16_t rows, uint32_t ports)
{
    const uint8_t expected[12] = {(uint8_t)cols, 0, (uint8_t)rows, 0, (uint8_t)ports};
    uint8_t config[12];

    assert_int_equal(bh_device_config_read(&rig->device, 0, config, sizeof(config)), BH_OK);
    assert_memory_equal(config, expected, sizeof(config));
}

/* [BH-CON-8] */
static void test_console_size(void **state)
{
    struct console_rig *rig = *state;

    expect_config(rig, 80, 25, 3);
    bh_console_size_set(&rig->console, 0, 132, 50);
    expect_config(rig, 132, 50, 3);
    assert_int_equal(rig->config_changes, 1);
    bh_console_size_set(&rig->console, 0, 132, 50);
    assert_int_equal(rig->config_changes, 1);
    bh_console_size_set(&rig->console, 0, 133, 50);
    bh_console_size_set(&rig->console, 0, 133, 51);
    assert_int_equal(rig->config_changes, 3);
    expect_config(rig, 133, 51, 3);
    /* The configuration space speaks of port 0 only. */
    bh_console_size_set(&rig->console, 1, 40, 10);
    assert_int_equal(rig->config_changes, 3);
    expect_config(rig, 133, 51, 3);
}

/* [BH-CON-8] A driver that did not take SIZE is not told. */
static void test_console_size_not_negotiated(void **state)
{
    struct console_rig *rig = *state;

    assert_int_equal(bh_device_reset(&rig->device), BH_OK);
    rig_negotiate(rig, 0);
    bh_console_size_set(&rig->console, 0, 1, 1);
    assert_int_equal(rig->config_changes, 0);
}

/* [BH-CON-8] [BH-CON-19] A driver whose device is served by another process now looks again. */
static void test_console_size_after_restart(void **state)
{
    struct console_rig *rig = *state;

    assert_int_equal(bh_device_reset(&rig->device), BH_OK);
    rig->resumed = true;
    rig_negotiate(rig, BH_CONSOLE_F_SIZE);
    assert_int_equal(rig->config_changes, 1);
    assert_int_equal(bh_device_reset(&rig->device), BH_OK);
    rig_negotiate(rig, 0);
    assert_int_equal(rig->config_changes, 1);
}

static int write_config(struct console_rig *rig, uint32_t offset, uint32_t length, char byte)
{
    uint8_t bytes[12];

    memset(bytes, 0x11, sizeof(bytes));
    if (offset <= 8 && length != 0) {
        bytes[8 - offset] = (uint8_t)byte;
    }
    return bh_device_config_write(&rig->device, offset, bytes, length);
}

/* [BH-CON-11] */
static void test_console_emergency(void **state)
{
    struct console_rig *rig = *state;

    assert_int_equal(write_config(rig, 8, 4, 'R'), BH_OK);
    assert_int_equal(bh_device_reset(&rig->device), BH_OK);
    assert_int_equal(write_config(rig, 8, 4, 'E'), BH_OK);
    assert_int_equal(write_config(rig, 8, 1, 'D'), BH_OK);
    assert_int_equal(write_config(rig, 9, 3, '-'), BH_OK);
    assert_int_equal(write_config(rig, 0, 12, '!'), BH_OK); /* a front end that knows no fields */
    rig_printed(rig, 0, "RED!");
    assert_int_equal(write_config(rig, 0, 8, '-'), BH_DENIED);
    assert_int_equal(write_config(rig, 0, 2, '-'), BH_DENIED);
    assert_int_equal(write_config(rig, 8, 8, '-'), BH_INVALID);
    assert_int_equal(write_config(rig, 8, 0, '-'), BH_DENIED);
    rig_printed(rig, 0, "RED!");
    expect_config(rig, 80, 25, 3);
}

/* [BH-CON-11] A full terminal gets it later; a closed one, never. */
static void test_console_emergency_waits(void **state)
{
    struct console_rig *rig = *state;

    rig->terminals[0].room = 0;
    for (uint32_t i = 0; i < RIG_KEPT + 2; i++) {
        assert_int_equal(write_config(rig, 8, 4, (char)('0' + i)), BH_OK);
    }
    (void)rig_room(rig, 0, 100);
    rig_printed(rig, 0, "01234567");
    assert_int_equal(rig->console.lost, 2);
    bh_console_open_set(&rig->console, 0, false);
    assert_int_equal(write_config(rig, 8, 4, '-'), BH_OK);
    rig_printed(rig, 0, "01234567");
}

/* ---- what the setup says ---- */

static void with_setup(const struct bh_console_setup *setup, uint64_t features, uint16_t cols,
                       uint32_t ports, int emergency)
{
    static struct console_rig rig;

    rig_prepare(&rig, false);
    rig.setup.size = setup->size;
    rig.setup.multiport = setup->multiport;
    rig.setup.emergency_write = setup->emergency_write;
    rig.setup.port_count = setup->port_count;
    rig_make(&rig);
    assert_int_equal(bh_device_features(&rig.device) & ~BH_F_TRANSPORT_MASK, features);
    /* No driver can turn on what is not offered. */
    for (uint64_t bit = 1; bit <= BH_CONSOLE_F_EMERG_WRITE; bit <<= 1) {
        int result = bh_device_features_set(&rig.device, bit | BH_F_VERSION_1);

        assert_int_equal(result, (features & bit) != 0 ? BH_OK : BH_INVALID);
    }
    expect_config(&rig, cols, cols == 0 ? 0 : 25, ports);
    assert_int_equal(write_config(&rig, 8, 4, 'x'), emergency);
    assert_int_equal(rig.terminals[0].out_count, emergency == BH_OK ? 1 : 0);
    rig_finish(&rig);
}

/* [BH-CON-10] */
static void test_console_off_is_off(void **state)
{
    const struct bh_console_setup nothing = {.port_count = 1};
    const struct bh_console_setup size = {.port_count = 1, .size = true};
    const struct bh_console_setup emergency = {.port_count = 1, .emergency_write = true};
    const struct bh_console_setup ports = {.port_count = 2, .multiport = true};

    (void)state;
    with_setup(&nothing, 0, 0, 0, BH_DENIED);
    with_setup(&size, BH_CONSOLE_F_SIZE, 80, 0, BH_DENIED);
    with_setup(&emergency, BH_CONSOLE_F_EMERG_WRITE, 0, 0, BH_OK);
    with_setup(&ports, BH_CONSOLE_F_MULTIPORT, 0, 2, BH_DENIED);
}

/* [BH-CON-10] The platform's mask is as good as the setup. */
static void test_console_masked(void **state)
{
    struct console_rig *rig = *state;

    rig->device.feature_mask = ~(BH_CONSOLE_F_EMERG_WRITE | BH_CONSOLE_F_SIZE);
    expect_config(rig, 0, 0, 3);
    assert_int_equal(write_config(rig, 8, 4, 'x'), BH_DENIED);
    rig_printed(rig, 0, "");
}

static void test_console_bad_setups(void **state)
{
    static struct console_rig rig;
    static struct bh_console_port ports[BH_CONSOLE_PORTS_MAX];
    static struct bh_console_port_setup setups[BH_CONSOLE_PORTS_MAX];
    char name[BH_CONSOLE_NAME_MAX + 2];

    (void)state;
    rig_prepare(&rig, false);
    rig_make(&rig);
    rig.setup.multiport = false;
    assert_int_equal(bh_console_init(&rig.console, &rig.device, &rig.setup, rig.ports), BH_INVALID);
    rig.setup.multiport = true;
    rig.setup.port_count = 0;
    assert_int_equal(bh_console_init(&rig.console, &rig.device, &rig.setup, rig.ports), BH_INVALID);
    rig.setup.port_count = BH_CONSOLE_PORTS_MAX + 1;
    assert_int_equal(bh_console_init(&rig.console, &rig.device, &rig.setup, rig.ports), BH_INVALID);
    for (uint32_t i = 0; i < BH_CONSOLE_PORTS_MAX; i++) {
        setups[i] = rig.setups[2];
    }
    rig.setup.ports = setups;
    rig.setup.port_count = BH_CONSOLE_PORTS_MAX;
    assert_int_equal(bh_console_init(&rig.console, &rig.device, &rig.setup, ports), BH_OK);
    rig.setup.ports = rig.setups;
    rig.setup.port_count = RIG_PORTS;
    rig.setups[2].kept_size = 0;
    assert_int_equal(bh_console_init(&rig.console, &rig.device, &rig.setup, rig.ports), BH_INVALID);
    rig.setups[2].kept_size = RIG_KEPT;
    memset(name, 'n', sizeof(name));
    name[BH_CONSOLE_NAME_MAX + 1] = '\0';
    rig.setups[1].name = name;
    assert_int_equal(bh_console_init(&rig.console, &rig.device, &rig.setup, rig.ports), BH_INVALID);
    name[BH_CONSOLE_NAME_MAX] = '\0';
    assert_int_equal(bh_console_init(&rig.console, &rig.device, &rig.setup, rig.ports), BH_OK);
    rig_finish(&rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        RIG_SINGLE(test_console_output_in_order),
        RIG_SINGLE(test_console_output_pieces),
        RIG_SINGLE(test_console_output_waits_for_room),
        RIG_SINGLE(test_console_output_notifications),
        RIG_SINGLE(test_console_input),
        RIG_SINGLE(test_console_input_waits_for_buffers),
        RIG_SINGLE(test_console_input_just_fits),
        RIG_SINGLE(test_console_input_empty_buffer),
        RIG_SINGLE(test_console_gone_swallows),
        RIG_SINGLE(test_console_gone_and_back),
        RIG_SINGLE(test_console_stop_keeps_output),
        RIG_SINGLE(test_console_stop_keeps_so_much),
        RIG_SINGLE(test_console_stop_and_gone),
        RIG_SINGLE(test_console_stop_gives_input_back),
        RIG_SINGLE(test_console_stopped_is_quiet),
        RIG_SINGLE(test_console_before_driver_ok),
        RIG_SINGLE(test_console_size),
        RIG_SINGLE(test_console_size_not_negotiated),
        RIG_SINGLE(test_console_size_after_restart),
        RIG_SINGLE(test_console_emergency),
        RIG_SINGLE(test_console_emergency_waits),
        RIG_SINGLE(test_console_masked),
        cmocka_unit_test(test_console_off_is_off),
        cmocka_unit_test(test_console_bad_setups),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
