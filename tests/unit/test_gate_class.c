/* SPDX-License-Identifier: BSD-2-Clause */
/* What the gate knows of each device class: what is repeated, how it is refused, what a successor is
 * told. */
#include "relay_rig.h"

#include <string.h>

#include "bulkhead/virtio_blk.h"
#include "bulkhead/virtio_console.h"

/* A chain over two local buffers. */
struct request {
    struct bh_chain chain;
    uint8_t out[128];
    uint8_t in[64];
};

static struct bh_chain *chain_of(struct request *request, uint32_t readable, uint32_t writable)
{
    struct bh_chain *chain = &request->chain;

    memset(chain, 0, sizeof(*chain));
    chain->spans = chain->inline_spans;
    chain->readable_count = readable != 0 ? 1 : 0;
    chain->writable_count = writable != 0 ? 1 : 0;
    chain->inline_spans[0] = (struct bh_span){request->out, readable};
    chain->inline_spans[chain->readable_count] = (struct bh_span){request->in, writable};
    chain->readable_bytes = readable;
    chain->writable_bytes = writable;
    chain->written_max = writable;
    memset(request->in, 0x5a, sizeof(request->in));
    return chain;
}

static void put16(uint8_t *at, uint32_t value)
{
    at[0] = (uint8_t)value;
    at[1] = (uint8_t)(value >> 8);
}

static void put32(uint8_t *at, uint32_t value)
{
    put16(at, value & 0xffffu);
    put16(at + 2, value >> 16);
}

/* ---- all ---- */

static void the_table(void **state)
{
    static const struct {
        uint32_t type;
        const char *name;
        uint64_t waiting; /* bit n: queue n waits */
    } classes[] = {
        {1, "net", 0x5555}, {2, "blk", 0},    {3, "console", 0x5555}, {4, "rng", 0},
        {5, "balloon", 4},  {8, "scsi", 2},   {18, "input", 1},       {19, "vsock", 0x5555},
        {23, "iommu", 2},   {25, "sound", 2}, {26, "fs", 0},          {32, "scmi", 2},
        {34, "i2c", 0},     {36, "can", 2},   {41, "gpio", 2},        {45, "spi", 0},
        {9, "any", 0},      {0, "any", 0},    {UINT32_MAX, "any", 0},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(classes) / sizeof(classes[0]); i++) {
        const struct bh_gate_class *class = bh_gate_class(classes[i].type);

        assert_non_null(class);
        assert_string_equal(class->name, classes[i].name);
        for (uint16_t queue = 0; queue < 16; queue++) {
            bool waits = class->waits != NULL && class->waits(queue);

            assert_int_equal(waits, classes[i].waiting >> queue & 1u);
        }
        assert_int_equal(class->type, strcmp(class->name, "any") == 0 ? 0 : classes[i].type);
    }
}

/* ---- blk ---- */

/* [BH-ISO-9] */
static void blk_repeats(void **state)
{
    const struct bh_gate_class *class = bh_gate_class(BH_ID_BLK);
    static const uint32_t yes[] = {0, 1, 4, 8, 10, 11, 13, 14};
    static const uint32_t no[] = {2, 3, 5, 15, 16, 18, 24, 26, UINT32_MAX};
    struct request request;

    (void)state;
    memset(&request, 0, sizeof(request));
    for (size_t i = 0; i < sizeof(yes) / sizeof(yes[0]); i++) {
        put32(request.out, yes[i]);
        assert_true(class->repeats(chain_of(&request, 16, 1), 0));
    }
    for (size_t i = 0; i < sizeof(no) / sizeof(no[0]); i++) {
        put32(request.out, no[i]);
        assert_false(class->repeats(chain_of(&request, 16, 1), 0));
    }
    put32(request.out, 0);
    assert_false(class->repeats(chain_of(&request, 15, 1), 0));
}

static void blk_refuses(void **state)
{
    const struct bh_gate_class *class = bh_gate_class(BH_ID_BLK);
    struct request request;

    (void)state;
    assert_int_equal(class->refuse(chain_of(&request, 16, 33), 0), 33);
    for (uint32_t i = 0; i < 32; i++) {
        assert_int_equal(request.in[i], 0);
    }
    assert_int_equal(request.in[32], BH_BLK_S_IOERR);
    assert_int_equal(request.in[33], 0x5a);
    assert_int_equal(class->refuse(chain_of(&request, 16, 0), 0), BH_UNSUPPORTED);
}

/* [BH-ISO-11] */
static void blk_config(void **state)
{
    const struct bh_gate_class *class = bh_gate_class(BH_ID_BLK);
    uint8_t before[60];
    uint8_t config[60];
    const char *why = NULL;

    (void)state;
    memset(before, 3, sizeof(before));
    memset(config, 3, sizeof(config));
    assert_int_equal(class->config_fits(config, 60, before, 60, &why), BH_OK);
    assert_int_equal(class->config_fits(config, 59, before, 60, &why), BH_INVALID);
    assert_non_null(why);
    for (uint32_t i = 0; i < 60; i++) {
        config[i] ^= 1;
        why = NULL;
        assert_int_equal(class->config_fits(config, 60, before, 60, &why),
                         i == 32 ? BH_OK : BH_INVALID);
        assert_true((why == NULL) == (i == 32));
        config[i] ^= 1;
    }
}

static void blk_state(void **state)
{
    const struct bh_gate_class *class = bh_gate_class(BH_ID_BLK);
    struct bh_gate_restore what = {.config = false};
    uint64_t words[64] = {0};
    const uint8_t bytes[4] = {9, 0, 7, 6};

    (void)state;
    assert_false(class->restore(words, 0, &what));
    class->config_written(words, 28, bytes, 4); /* up to the byte before it */
    class->config_written(words, 33, bytes, 4);
    assert_false(class->restore(words, 0, &what));
    class->config_written(words, 31, bytes, 2);
    assert_true(class->restore(words, 0, &what));
    assert_true(what.config);
    assert_int_equal(what.offset, 32);
    assert_int_equal(what.length, 1);
    assert_int_equal(what.bytes[0], 0);
    assert_false(class->restore(words, 1, &what));
}

/* ---- console, through the relay ---- */

#define AT(n) (GUEST_DATA + 0x100u * (uint64_t)(n))

static void say(struct relay_rig *rig, uint32_t port, uint16_t event, uint16_t value, uint16_t head)
{
    rig_look_at(rig, BH_CONSOLE_CONTROL_TRANSMIT);
    guest_put32(&rig->guest, AT(head), port);
    guest_put16(&rig->guest, AT(head) + 4, event);
    guest_put16(&rig->guest, AT(head) + 6, value);
    guest_offer_one(&rig->guest, AT(head), 8, R, head);
    rig_kick(rig);
}

/* The back end takes the next thing that the driver says. */
static void hear(struct relay_rig *rig, uint32_t port, uint16_t event, uint16_t value)
{
    struct bh_chain chain;
    struct bh_console_control control;

    assert_true(rig_take(rig, BH_CONSOLE_CONTROL_TRANSMIT, &chain));
    assert_int_equal(bh_chain_read(&chain, 0, &control, 8), 8);
    assert_int_equal(control.id, port);
    assert_int_equal(control.event, event);
    assert_int_equal(control.value, value);
    rig_give(rig, BH_CONSOLE_CONTROL_TRANSMIT, &chain, 0);
    (void)rig_called(rig, BH_CONSOLE_CONTROL_TRANSMIT);
}

/* The back end tells the driver something; whether that reaches it. */
static bool tell(struct relay_rig *rig, uint32_t port, uint16_t event, uint16_t value)
{
    const struct bh_console_control control = {port, event, value};
    struct bh_chain chain;
    uint32_t id = 0;
    uint32_t length = 0;

    rig_look_at(rig, BH_CONSOLE_CONTROL_RECEIVE);
    assert_true(rig_take(rig, BH_CONSOLE_CONTROL_RECEIVE, &chain));
    assert_true(chain.writable_bytes >= 8);
    (void)bh_chain_write(&chain, 0, &control, 8);
    rig_give(rig, BH_CONSOLE_CONTROL_RECEIVE, &chain, 8);
    assert_int_equal(rig_called(rig, BH_CONSOLE_CONTROL_RECEIVE), 1);

    bool heard = guest_used(&rig->guest, &id, &length);

    if (heard) {
        assert_int_equal(length, 8);
        guest_offer_one(&rig->guest, AT(32 + id), 64, W, (uint16_t)id);
        rig_kick(rig);
    }
    return heard;
}

static struct relay_rig *console(uint64_t back)
{
    const struct rig_setup setup = {
        .class = bh_gate_class(BH_ID_CONSOLE), .guest_size = 32, .back_features = back};
    struct relay_rig *rig = rig_new(&setup);

    for (uint16_t i = 1; i < RIG_QUEUES; i++) {
        rig_start(rig, i);
    }
    rig_look_at(rig, BH_CONSOLE_CONTROL_RECEIVE);
    for (uint16_t i = 0; i < 8; i++) {
        guest_offer_one(&rig->guest, AT(32 + i), 64, W, i);
    }
    rig_kick(rig);
    return rig;
}

static void a_console_is_introduced_once(uint64_t back)
{
    struct relay_rig *rig = console(back);

    say(rig, 0, BH_CONSOLE_DEVICE_READY, 1, 0);
    hear(rig, 0, BH_CONSOLE_DEVICE_READY, 1);
    assert_true(tell(rig, 0, BH_CONSOLE_DEVICE_ADD, 0));
    assert_true(tell(rig, 1, BH_CONSOLE_DEVICE_ADD, 0));
    say(rig, 0, BH_CONSOLE_PORT_READY, 1, 1);
    hear(rig, 0, BH_CONSOLE_PORT_READY, 1);
    say(rig, 1, BH_CONSOLE_PORT_READY, 1, 2);
    hear(rig, 1, BH_CONSOLE_PORT_READY, 1);
    assert_true(tell(rig, 0, BH_CONSOLE_CONSOLE_PORT, 1));
    assert_true(tell(rig, 1, BH_CONSOLE_PORT_NAME, 0));
    assert_true(tell(rig, 1, BH_CONSOLE_PORT_OPEN, 1));
    say(rig, 1, BH_CONSOLE_PORT_OPEN, 1, 3);
    hear(rig, 1, BH_CONSOLE_PORT_OPEN, 1);
    say(rig, 0, BH_CONSOLE_PORT_OPEN, 1, 4);
    hear(rig, 0, BH_CONSOLE_PORT_OPEN, 1);
    say(rig, 0, BH_CONSOLE_PORT_OPEN, 0, 5);
    hear(rig, 0, BH_CONSOLE_PORT_OPEN, 0);

    bh_relay_detach(rig->relay, true);
    assert_int_equal(rig_attach(rig), BH_OK);
    hear(rig, 0, BH_CONSOLE_DEVICE_READY, 1);
    hear(rig, 0, BH_CONSOLE_PORT_READY, 1);
    hear(rig, 1, BH_CONSOLE_PORT_READY, 1);
    hear(rig, 1, BH_CONSOLE_PORT_OPEN, 1);
    assert_false(tell(rig, 0, BH_CONSOLE_DEVICE_ADD, 0));
    assert_false(tell(rig, 1, BH_CONSOLE_DEVICE_ADD, 0));
    assert_false(tell(rig, 0, BH_CONSOLE_CONSOLE_PORT, 1));
    assert_false(tell(rig, 1, BH_CONSOLE_PORT_NAME, 0));
    assert_false(tell(rig, 1, BH_CONSOLE_PORT_OPEN, 1));
    /* News are news. */
    assert_true(tell(rig, 0, BH_CONSOLE_RESIZE, 0));
    assert_true(tell(rig, 1, BH_CONSOLE_PORT_OPEN, 0));
    assert_true(tell(rig, 1, BH_CONSOLE_DEVICE_REMOVE, 0));
    assert_true(tell(rig, 1, BH_CONSOLE_DEVICE_ADD, 0));
    assert_true(tell(rig, 77, BH_CONSOLE_DEVICE_ADD, 0));
    assert_true(tell(rig, 77, BH_CONSOLE_DEVICE_ADD, 0));

    /* The guest starts again: its new driver has heard nothing. */
    say(rig, 0, BH_CONSOLE_DEVICE_READY, 1, 6);
    hear(rig, 0, BH_CONSOLE_DEVICE_READY, 1);
    assert_true(tell(rig, 0, BH_CONSOLE_DEVICE_ADD, 0));
    assert_false(tell(rig, 0, BH_CONSOLE_DEVICE_ADD, 0));

    /* The guest never hears of what the gate said. */
    rig_look_at(rig, BH_CONSOLE_CONTROL_TRANSMIT);
    for (uint32_t i = 0; i < 7; i++) {
        guest_expect_used(&rig->guest, i, 0);
    }
    guest_expect_nothing(&rig->guest);
    rig_free(rig);
}

static void console_successor(void **state)
{
    (void)state;
    a_console_is_introduced_once(0);
    a_console_is_introduced_once(BH_F_RING_PACKED);
}

/* More to say than the ring has room for: it goes on as the back end takes it; what was in flight
 * comes after. And one that dies in between is told all of it again. */
static void console_much_to_say(void **state)
{
    struct relay_rig *rig = console(0);
    struct bh_chain chain;

    (void)state;
    say(rig, 0, BH_CONSOLE_DEVICE_READY, 1, 0);
    hear(rig, 0, BH_CONSOLE_DEVICE_READY, 1);
    for (uint16_t port = 0; port < 40; port++) {
        say(rig, port, BH_CONSOLE_PORT_READY, 1, (uint16_t)(port % 16));
        hear(rig, port, BH_CONSOLE_PORT_READY, 1);
    }
    say(rig, 3, BH_CONSOLE_PORT_OPEN, 0, 17);
    bh_relay_detach(rig->relay, true);
    rig->back.size_max = 2;
    for (uint32_t life = 0; life < 3; life++) {
        assert_int_equal(rig_attach(rig), BH_OK);
        hear(rig, 0, BH_CONSOLE_DEVICE_READY, 1);
        for (uint32_t port = 0; port < (life == 2 ? 40 : 10 * life); port++) {
            hear(rig, port, BH_CONSOLE_PORT_READY, 1);
        }
        if (life != 2) {
            assert_true(rig_take(rig, BH_CONSOLE_CONTROL_TRANSMIT, &chain));
        }
    }
    hear(rig, 3, BH_CONSOLE_PORT_OPEN, 0);
    assert_false(rig_take(rig, BH_CONSOLE_CONTROL_TRANSMIT, &chain));
    assert_int_equal(rig->counters.in_flight, 8);
    rig_free(rig);
}

/* [BH-ISO-11] */
static void console_config(void **state)
{
    const struct bh_gate_class *class = bh_gate_class(BH_ID_CONSOLE);
    uint8_t before[12] = {0};
    uint8_t config[12] = {0};
    const char *why = NULL;

    (void)state;
    for (uint32_t i = 0; i < 12; i++) {
        config[i] = 1;
        assert_int_equal(class->config_fits(config, 12, before, 12, &why),
                         i >= 4 && i < 8 ? BH_INVALID : BH_OK);
        config[i] = 0;
    }
    assert_int_equal(class->config_fits(config, 8, before, 12, &why), BH_INVALID);
}

/* ---- buses ---- */

static void i2c(void **state)
{
    const struct bh_gate_class *class = bh_gate_class(34);
    struct request request;

    (void)state;
    assert_false(class->repeats(chain_of(&request, 8, 5), 0));
    assert_int_equal(class->refuse(chain_of(&request, 8, 5), 0), 5);
    assert_int_equal(request.in[3], 0);
    assert_int_equal(request.in[4], 1);
    assert_int_equal(class->refuse(chain_of(&request, 8, 0), 0), BH_UNSUPPORTED);
}

static void can_class(void **state)
{
    const struct bh_gate_class *class = bh_gate_class(36);
    struct bh_gate_restore what = {.config = true};
    uint64_t words[64] = {0};
    struct request request;

    (void)state;
    assert_false(class->repeats(chain_of(&request, 16, 1), 0));
    assert_true(class->repeats(chain_of(&request, 0, 64), 1));
    assert_true(class->repeats(chain_of(&request, 2, 1), 2));
    assert_int_equal(class->refuse(chain_of(&request, 16, 1), 0), 1);
    assert_int_equal(request.in[0], 1);
    assert_int_equal(class->refuse(chain_of(&request, 0, 16), 1), BH_UNSUPPORTED);
    assert_int_equal(request.in[0], 0x5a);

    put16(request.out, 0x0201);
    (void)chain_of(&request, 2, 1);
    request.in[0] = 1;
    assert_true(class->answer(words, &request.chain, 2, 1));
    assert_false(class->restore(words, 0, &what));
    request.in[0] = 0;
    assert_true(class->answer(words, &request.chain, 0, 1)); /* another queue */
    assert_true(class->answer(words, &request.chain, 2, 0)); /* nothing written */
    assert_false(class->restore(words, 0, &what));
    assert_true(class->answer(words, &request.chain, 2, 1));
    memset(&what, 0, sizeof(what));
    assert_true(class->restore(words, 0, &what));
    assert_false(what.config);
    assert_int_equal(what.queue, 2);
    assert_int_equal(what.length, 2);
    assert_int_equal(what.answer, 1);
    assert_int_equal(what.bytes[0], 0x01);
    assert_int_equal(what.bytes[1], 0x02);
    assert_false(class->restore(words, 1, &what));
    put16(request.out, 0x0202);
    assert_true(class->answer(words, &request.chain, 2, 1));
    assert_false(class->restore(words, 0, &what));
}

static void gpio_ask(uint64_t *words, uint16_t type, uint16_t gpio, uint32_t value)
{
    struct request request;

    put16(request.out, type);
    put16(request.out + 2, gpio);
    put32(request.out + 4, value);
    bh_gate_class(41)->request(words, chain_of(&request, 8, 2), 0);
    /* In the event queue the same bytes mean something else. */
    put32(request.out + 4, 0);
    bh_gate_class(41)->request(words, &request.chain, 1);
}

static void gpio_expect(const uint64_t *words, uint32_t step, uint16_t type, uint16_t gpio,
                        uint32_t value)
{
    struct bh_gate_restore what;
    uint8_t bytes[8];

    memset(&what, 0, sizeof(what));
    assert_true(bh_gate_class(41)->restore(words, step, &what));
    assert_int_equal(what.queue, 0);
    assert_int_equal(what.length, 8);
    assert_int_equal(what.answer, 2);
    put16(bytes, type);
    put16(bytes + 2, gpio);
    put32(bytes + 4, value);
    assert_memory_equal(what.bytes, bytes, 8);
}

static void gpio(void **state)
{
    const struct bh_gate_class *class = bh_gate_class(41);
    struct bh_gate_restore what;
    uint64_t words[64] = {0};
    struct request request;

    (void)state;
    assert_int_equal(class->refuse(chain_of(&request, 8, 2), 0), 2);
    assert_int_equal(request.in[0], 1);
    assert_int_equal(request.in[1], 0);
    assert_int_equal(class->refuse(chain_of(&request, 2, 1), 1), 1);
    assert_int_equal(request.in[0], 0);

    assert_false(class->restore(words, 0, &what));
    gpio_ask(words, 5, 3, 1);   /* value 1 */
    gpio_ask(words, 3, 3, 1);   /* out */
    gpio_ask(words, 3, 511, 2); /* in */
    gpio_ask(words, 6, 511, 3); /* both edges */
    gpio_ask(words, 4, 9, 1);   /* asks only */
    gpio_ask(words, 3, 512, 1); /* beyond what is remembered */
    gpio_ask(words, 3, UINT16_MAX, 1);
    gpio_expect(words, 0, 5, 3, 1);
    gpio_expect(words, 1, 3, 3, 1);
    gpio_expect(words, 2, 5, 511, 0);
    gpio_expect(words, 3, 3, 511, 2);
    gpio_expect(words, 4, 6, 511, 3);
    assert_false(class->restore(words, 5, &what));
    gpio_ask(words, 6, 511, 0);
    assert_false(class->restore(words, 4, &what));
}

/* ---- fs ---- */

static void fs(void **state)
{
    const struct bh_gate_class *class = bh_gate_class(26);
    struct bh_gate_restore what;
    uint64_t words[64] = {0};
    struct request request;

    (void)state;
    memset(request.out, 0, sizeof(request.out));
    put32(request.out, 104);
    put32(request.out + 4, 1); /* LOOKUP */
    request.out[8] = 0x99;     /* unique */
    assert_false(class->repeats(chain_of(&request, 48, 64), 1));
    assert_int_equal(class->refuse(chain_of(&request, 48, 64), 1), 16);
    assert_int_equal(request.in[0], 16);
    assert_int_equal(request.in[4], 0xfb); /* -5 */
    assert_int_equal(request.in[7], 0xff);
    assert_int_equal(request.in[8], 0x99);
    assert_int_equal(request.in[16], 0x5a);
    assert_int_equal(class->refuse(chain_of(&request, 48, 15), 1), BH_UNSUPPORTED);
    assert_int_equal(class->refuse(chain_of(&request, 48, 0), 0), BH_UNSUPPORTED);

    put32(request.out + 4, 26); /* INIT */
    assert_true(class->repeats(chain_of(&request, 104, 64), 1));
    memset(request.in, 0, sizeof(request.in));
    assert_true(class->answer(words, &request.chain, 1, 15)); /* no answer */
    assert_false(class->restore(words, 0, &what));
    request.in[4] = 0xfb; /* an error */
    assert_true(class->answer(words, &request.chain, 1, 64));
    assert_false(class->restore(words, 0, &what));
    request.in[4] = 0;
    assert_true(class->answer(words, &request.chain, 1, 64));
    memset(&what, 0, sizeof(what));
    assert_true(class->restore(words, 0, &what));
    assert_int_equal(what.queue, 1);
    assert_int_equal(what.length, 104);
    assert_int_equal(what.answer, 80);
    assert_memory_equal(what.bytes, request.out, 104);
    assert_false(class->restore(words, 1, &what));
    words[0] = 129; /* a ledger that makes no sense */
    assert_false(class->restore(words, 0, &what));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_table),
        cmocka_unit_test(blk_repeats),
        cmocka_unit_test(blk_refuses),
        cmocka_unit_test(blk_config),
        cmocka_unit_test(blk_state),
        cmocka_unit_test(console_successor),
        cmocka_unit_test(console_much_to_say),
        cmocka_unit_test(console_config),
        cmocka_unit_test(i2c),
        cmocka_unit_test(can_class),
        cmocka_unit_test(gpio),
        cmocka_unit_test(fs),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
