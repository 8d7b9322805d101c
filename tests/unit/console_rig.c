/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The console on the bench: see console_rig.h.
 */
#include "console_rig.h"

#include <stdlib.h>
#include <string.h>

/* ---- terminals ---- */

static int fake_write(void *context, const struct bh_span *spans, uint32_t count)
{
    struct fake_terminal *terminal = context;
    uint32_t most = terminal->piece != 0 ? terminal->piece : RIG_TERMINAL;
    uint32_t done = 0;

    if (terminal->gone) {
        return BH_GONE;
    }
    most = most < terminal->room ? most : terminal->room;
    for (uint32_t i = 0; i < count && done < most; i++) {
        uint32_t part = spans[i].length < most - done ? (uint32_t)spans[i].length : most - done;

        assert_true(terminal->out_count + part <= RIG_TERMINAL);
        memcpy(terminal->out + terminal->out_count, spans[i].base, part);
        terminal->out_count += part;
        done += part;
    }
    terminal->room -= done;
    terminal->blocked = done == 0;
    return done != 0 ? (int)done : BH_AGAIN;
}

static int fake_read(void *context, const struct bh_span *spans, uint32_t count)
{
    struct fake_terminal *terminal = context;
    uint32_t done = 0;

    terminal->reads++;
    if (terminal->gone) {
        return BH_GONE;
    }
    for (uint32_t i = 0; i < count && terminal->endless; i++) {
        memset(spans[i].base, 'e', spans[i].length);
        done += (uint32_t)spans[i].length;
    }
    if (terminal->endless) {
        return (int)done;
    }
    for (uint32_t i = 0; i < count && done < terminal->in_count; i++) {
        uint32_t left = terminal->in_count - done;
        uint32_t part = spans[i].length < left ? (uint32_t)spans[i].length : left;

        memcpy(spans[i].base, terminal->in + done, part);
        done += part;
    }
    terminal->in_count -= done;
    memmove(terminal->in, terminal->in + done, terminal->in_count);
    return done != 0 ? (int)done : BH_AGAIN;
}

static void fake_listen(void *context, bool on)
{
    struct fake_terminal *terminal = context;

    assert_true(terminal->listening != on);
    terminal->listening = on;
}

static const struct bh_terminal_ops fake_ops = {
    .write = fake_write,
    .read = fake_read,
    .listen = fake_listen,
};

/* ---- port ---- */

static void port_notify(struct bh_device *device, uint16_t queue)
{
    struct console_rig *rig = device->port_data;

    (void)queue;
    rig->notified++;
}

static void port_config_changed(struct bh_device *device)
{
    struct console_rig *rig = device->port_data;

    rig->config_changes++;
}

static void port_failed(struct bh_device *device, uint16_t queue)
{
    struct console_rig *rig = device->port_data;

    (void)queue;
    rig->failures++;
}

static void port_idle(struct bh_device *device, uint16_t queue)
{
    (void)device;
    (void)queue;
}

static const struct bh_port_ops port_ops = {
    .notify = port_notify,
    .config_changed = port_config_changed,
    .failed = port_failed,
    .idle = port_idle,
};

static const struct bh_port_ops port_with_status_ops = {
    .has_status = true,
    .notify = port_notify,
    .config_changed = port_config_changed,
    .failed = port_failed,
    .idle = port_idle,
};

void rig_bind_with_status(struct console_rig *rig)
{
    bh_device_bind(&rig->device, &port_with_status_ops, rig, BH_F_TRANSPORT_MASK);
}

/* ---- life ---- */

void rig_prepare(struct console_rig *rig, bool packed)
{
    static const char *const names[RIG_PORTS] = {NULL, "data", "log"};

    memset(rig, 0, sizeof(*rig));
    guest_init(&rig->guests[0], packed, RIG_RING, 0);
    for (uint32_t i = 0; i < RIG_PORTS; i++) {
        rig->terminals[i].out = malloc(RIG_TERMINAL);
        rig->terminals[i].room = RIG_TERMINAL;
        rig->setups[i] = (struct bh_console_port_setup){
            .terminal = &rig->terminals[i],
            .name = names[i],
            .console = i == 0,
            .open = true,
            .cols = i == 0 ? 80 : 0,
            .rows = i == 0 ? 25 : 0,
            .kept = rig->kept[i],
            .kept_size = RIG_KEPT,
        };
    }
    rig->setup = (struct bh_console_setup){
        .ops = &fake_ops,
        .ports = rig->setups,
        .port_count = RIG_PORTS,
        .size = true,
        .multiport = true,
        .emergency_write = true,
    };
}

void rig_make(struct console_rig *rig)
{
    const struct bh_device_setup setup = {
        .class = &bh_console_class,
        .class_data = &rig->console,
        .memory = &rig->guests[0].memory,
        .queues = rig->queues,
        .queue_count = (uint16_t)BH_CONSOLE_QUEUES(rig->setup.port_count, rig->setup.multiport),
        .feature_mask = UINT64_MAX,
    };

    bh_span_pool_init(&rig->pool, rig->blocks, rig->free, 16, GUEST_BLOCK_SPANS);
    for (uint16_t i = 0; i < RIG_QUEUES; i++) {
        bh_queue_init(&rig->queues[i], i, RIG_RING, rig->order[i], rig->busy[i], &rig->pool);
        if (i != 0) {
            rig->guests[i] = rig->guests[0];
            rig->guests[i].setup.descriptor += 0x200u * i;
            rig->guests[i].setup.driver += 0x100u * i;
            rig->guests[i].setup.device += 0x100u * i;
        }
    }
    assert_int_equal(bh_console_init(&rig->console, &rig->device, &rig->setup, rig->ports), BH_OK);
    bh_device_init(&rig->device, &setup);
    bh_device_bind(&rig->device, &port_ops, rig, BH_F_TRANSPORT_MASK);
}

static void start_queue(struct console_rig *rig, uint16_t i)
{
    struct guest *guest = &rig->guests[i];
    struct bh_queue_setup setup = guest->setup;

    guest->avail = 0;
    guest->avail_wrap = true;
    guest->used = 0;
    guest->used_wrap = true;
    rig->heads[i] = 0;
    setup.resumed = rig->resumed;
    assert_int_equal(bh_device_queue_start(&rig->device, i, &setup), BH_OK);
}

void rig_negotiate(struct console_rig *rig, uint64_t features)
{
    const uint64_t ring = rig->guests[0].setup.features;

    assert_int_equal(bh_device_features_set(&rig->device, features | ring), BH_OK);
    memset(rig->guests[0].low, 0, GUEST_LOW_SIZE);
    for (uint16_t i = 0; i < rig->device.queue_count; i++) {
        if (i < 2 || (features & BH_CONSOLE_F_MULTIPORT) != 0) {
            start_queue(rig, i);
        }
    }
}

void rig_finish(struct console_rig *rig)
{
    assert_int_equal(bh_device_reset(&rig->device), BH_OK);
    for (uint32_t i = 0; i < RIG_PORTS; i++) {
        free(rig->terminals[i].out);
    }
    guest_finish(&rig->guests[0]);
}

static int setup(void **state, bool packed, uint64_t features)
{
    struct console_rig *rig = malloc(sizeof(*rig));

    if (rig == NULL) {
        return -1;
    }
    rig_prepare(rig, packed);
    rig_make(rig);
    rig_negotiate(rig, features | BH_CONSOLE_F_SIZE);
    *state = rig;
    return 0;
}

int rig_setup_single(void **state)
{
    return setup(state, false, 0);
}

int rig_setup_single_packed(void **state)
{
    return setup(state, true, 0);
}

int rig_setup_multi(void **state)
{
    return setup(state, false, BH_CONSOLE_F_MULTIPORT);
}

int rig_teardown(void **state)
{
    rig_finish(*state);
    free(*state);
    return 0;
}

/* ---- rings ---- */

uint16_t rig_offer(struct console_rig *rig, uint16_t queue, uint32_t length, uint16_t flags)
{
    uint16_t head = rig->heads[queue];

    rig->heads[queue] = (uint16_t)((head + 1u) % RIG_RING);
    guest_offer_one(&rig->guests[queue], RIG_DATA(queue, head), length, flags, head);
    return head;
}

uint16_t rig_say(struct console_rig *rig, uint32_t port, const char *text)
{
    uint16_t head = rig->heads[TX(port)];

    memcpy(guest_at(&rig->guests[0], RIG_DATA(TX(port), head)), text, strlen(text));
    return rig_offer(rig, TX(port), (uint32_t)strlen(text), R);
}

bool rig_kick(struct console_rig *rig, uint16_t queue)
{
    bool more = bh_device_kick(&rig->device, queue);

    bh_device_flush(&rig->device);
    return more;
}

const uint8_t *rig_used(struct console_rig *rig, uint16_t queue, uint16_t head, uint32_t length)
{
    guest_expect_used(&rig->guests[queue], head, length);
    return guest_at(&rig->guests[0], RIG_DATA(queue, head));
}

void rig_nothing(struct console_rig *rig, uint16_t queue)
{
    guest_expect_nothing(&rig->guests[queue]);
}

/* ---- the host side ---- */

void rig_type(struct console_rig *rig, uint32_t port, const char *text)
{
    struct fake_terminal *terminal = &rig->terminals[port];

    memcpy(terminal->in + terminal->in_count, text, strlen(text));
    terminal->in_count += (uint32_t)strlen(text);
    for (uint32_t turn = 0; terminal->listening && terminal->in_count != 0; turn++) {
        assert_true(turn < 100); /* a level that stays: the loop would never sleep */
        bh_console_readable(&rig->console, port);
    }
    bh_device_flush(&rig->device);
}

bool rig_room(struct console_rig *rig, uint32_t port, uint32_t bytes)
{
    rig->terminals[port].room += bytes;
    assert_true(rig->terminals[port].blocked);
    rig->terminals[port].blocked = false;

    bool more = bh_console_writable(&rig->console, port);

    bh_device_flush(&rig->device);
    return more;
}

void rig_printed(struct console_rig *rig, uint32_t port, const char *text)
{
    assert_int_equal(rig->terminals[port].out_count, strlen(text));
    assert_memory_equal(rig->terminals[port].out, text, strlen(text));
}

/* ---- control messages ---- */

void rig_control(struct console_rig *rig, uint32_t id, uint16_t event, uint16_t value)
{
    uint64_t at = RIG_DATA(CONTROL_TX, rig->heads[CONTROL_TX]);

    guest_put32(&rig->guests[0], at, id);
    guest_put16(&rig->guests[0], at + 4, event);
    guest_put16(&rig->guests[0], at + 6, value);

    uint16_t head = rig_offer(rig, CONTROL_TX, 8, R);

    assert_false(rig_kick(rig, CONTROL_TX));
    (void)rig_used(rig, CONTROL_TX, head, 0);
}

void rig_expect_control(struct console_rig *rig, const void *bytes, uint32_t length)
{
    uint16_t head = rig_offer(rig, CONTROL_RX, 128, W);

    (void)rig_kick(rig, CONTROL_RX);
    assert_memory_equal(rig_used(rig, CONTROL_RX, head, length), bytes, length);
}

void rig_expect_event(struct console_rig *rig, uint32_t id, uint16_t event, uint16_t value)
{
    const uint8_t bytes[8] = {(uint8_t)id, 0, 0, 0, (uint8_t)event, 0, (uint8_t)value, 0};

    rig_expect_control(rig, bytes, sizeof(bytes));
}

/* A buffer that stays in the ring would get the next message: it is kept out of it. */
void rig_expect_silence(struct console_rig *rig)
{
    for (uint32_t i = 0; i < rig->console.port_count; i++) {
        assert_int_equal(rig->ports[i].pending, 0);
    }
    rig_nothing(rig, CONTROL_RX);
}

void rig_hello(struct console_rig *rig)
{
    static const uint8_t name1[] = {1, 0, 0, 0, 7, 0, 1, 0, 'd', 'a', 't', 'a'};
    static const uint8_t name2[] = {2, 0, 0, 0, 7, 0, 1, 0, 'l', 'o', 'g'};
    static const uint8_t size[] = {0, 0, 0, 0, 5, 0, 0, 0, 80, 0, 25, 0};

    rig_control(rig, UINT32_MAX, BH_CONSOLE_DEVICE_READY, 1);
    for (uint32_t i = 0; i < RIG_PORTS; i++) {
        rig_expect_event(rig, i, BH_CONSOLE_DEVICE_ADD, 1);
    }
    for (uint32_t i = 0; i < RIG_PORTS; i++) {
        rig_control(rig, i, BH_CONSOLE_PORT_READY, 1);
    }
    rig_expect_event(rig, 0, BH_CONSOLE_CONSOLE_PORT, 1);
    rig_expect_control(rig, size, sizeof(size));
    rig_expect_event(rig, 0, BH_CONSOLE_PORT_OPEN, 1);
    rig_expect_control(rig, name1, sizeof(name1));
    rig_expect_event(rig, 1, BH_CONSOLE_PORT_OPEN, 1);
    rig_expect_control(rig, name2, sizeof(name2));
    rig_expect_event(rig, 2, BH_CONSOLE_PORT_OPEN, 1);
    rig_expect_silence(rig);
    for (uint32_t i = 0; i < RIG_PORTS; i++) {
        rig_control(rig, i, BH_CONSOLE_PORT_OPEN, 1);
    }
}
