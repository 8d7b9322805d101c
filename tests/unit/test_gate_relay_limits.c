/* SPDX-License-Identifier: BSD-2-Clause */
/* The relay where something is used up: the arena, a ring, a limit; long chains; queues that wait. */
#include "relay_rig.h"

#include <string.h>

#include "bulkhead/virtio_blk.h"

#define AT(n) (GUEST_DATA + 0x400u * (uint64_t)(n))

static void finish(struct relay_rig *rig, uint16_t queue, struct bh_chain *chain)
{
    rig_give(rig, queue, chain, chain->writable_bytes);
}

static uint32_t used_count(struct relay_rig *rig)
{
    uint32_t id = 0;
    uint32_t length = 0;
    uint32_t count = 0;

    while (guest_used(&rig->guest, &id, &length)) {
        count++;
    }
    return count;
}

/* ---- room ---- */

/* More requests than the arena holds: they wait, in order, and all are served. */
static void arena_exhaustion(void **state)
{
    const struct rig_setup setup = {.arena_size = 64 * 4096};
    struct relay_rig *rig = rig_new(&setup);
    struct bh_chain chain;
    uint32_t served = 0;
    uint32_t most = 0;

    (void)state;
    for (uint16_t n = 0; n < 20; n++) {
        /* 8 pages each, in a buffer that all share. */
        const struct guest_buffer buffers[3] = {
            {AT(n), 16, R}, {GUEST_DATA + 0x6000, 0x8000, W}, {AT(n) + 16, 1, W}};

        guest_put32(&rig->guest, AT(n), BH_BLK_T_IN);
        guest_put64(&rig->guest, AT(n) + 8, n);
        guest_offer(&rig->guest, buffers, 3, (uint16_t)(n * 3));
    }
    rig_kick(rig);
    assert_int_equal(rig->counters.starved, 1);
    assert_true(bh_relay_device(rig->relay)->queues[0].in_flight < 20);
    while (rig_take(rig, 0, &chain)) {
        struct bh_blk_header header;

        (void)bh_chain_read(&chain, 0, &header, sizeof(header));
        assert_int_equal(header.sector, served);
        most = rig->counters.arena_used > most ? rig->counters.arena_used : most;
        finish(rig, 0, &chain);
        assert_int_equal(rig_called(rig, 0), 1);
        served++;
    }
    assert_int_equal(served, 20);
    assert_int_equal(used_count(rig), 20);
    assert_int_equal(rig->counters.arena_used, 0);
    assert_true(most > 0);
    rig_free(rig);
}

/* A request that never fits has an error; one without a class that can say so breaks the device. */
static void larger_than_the_arena(void **state)
{
    struct rig_setup setup = {.arena_size = 40 * 4096};

    (void)state;
    for (uint32_t i = 0; i < 2; i++) {
        setup.class = i == 0 ? &bh_gate_class_blk : bh_gate_class(9999);

        struct relay_rig *rig = rig_new(&setup);
        const struct guest_buffer buffers[4] = {
            {AT(0), 16, R},
            {GUEST_DATA + 0x1000, 0xf000, W},
            {GUEST_DATA + 0x1000, 0xf000, W},
            {AT(1), 1, W},
        };
        struct guest_buffer flush[2] = {{AT(2), 16, R}, {AT(3), 1, W}};

        guest_put32(&rig->guest, AT(0), BH_BLK_T_IN);
        guest_offer(&rig->guest, buffers, 4, 0);
        guest_offer(&rig->guest, flush, 2, 8);
        rig_kick(rig);
        assert_int_equal(rig->counters.refused, 1);
        if (i == 0) {
            guest_expect_used(&rig->guest, 0, 0x1e001);
            assert_int_equal(*guest_at(&rig->guest, AT(1)), BH_BLK_S_IOERR);
            assert_int_equal(rig->failed, 0);
            assert_int_equal(rig->counters.in_flight, 1);
        } else {
            assert_int_equal(rig->failed, 1);
            assert_int_equal(bh_relay_device(rig->relay)->queues[0].fault.error, BH_LIMIT);
            guest_expect_nothing(&rig->guest);
        }
        rig_free(rig);
    }
}

static void an_arena_that_is_too_small(void **state)
{
    struct relay_rig *rig = rig_new(&(struct rig_setup){.stopped = true});
    struct bh_relay *relay = NULL;
    struct bh_gate_device device = rig->device;
    struct bh_relay_setup setup = {.ops = NULL,
                                   .class = &bh_gate_class_blk,
                                   .device = &device,
                                   .counters = &rig->counters,
                                   .class_state = rig->class_state,
                                   .memory = &rig->guest.memory,
                                   .arena = rig->arena,
                                   .arena_address = RIG_ARENA};

    (void)state;
    device.arena_size = 4096 * 4;
    assert_int_equal(bh_relay_create(&relay, &setup), BH_INVALID);
    device = rig->device;
    device.queue_count = 0;
    assert_int_equal(bh_relay_create(&relay, &setup), BH_INVALID);
    device.queue_count = 65;
    assert_int_equal(bh_relay_create(&relay, &setup), BH_INVALID);
    device.queue_count = 1;
    device.queue_size_max = 0;
    assert_int_equal(bh_relay_create(&relay, &setup), BH_INVALID);
    rig_free(rig);
}

/* ---- long chains ---- */

/* An indirect table of 60 data pieces of `length` bytes, 1000 bytes apart, all readable. */
static void offer_long(struct relay_rig *rig, uint32_t length, uint16_t head)
{
    struct guest_buffer buffers[62];
    const uint64_t at = GUEST_DATA + 0x100;

    guest_put32(&rig->guest, GUEST_DATA, BH_BLK_T_OUT);
    buffers[0] = (struct guest_buffer){GUEST_DATA, 16, R};
    for (uint16_t i = 0; i < 60; i++) {
        buffers[1 + i] = (struct guest_buffer){at + (uint64_t)i * 1000, length, R};
        memset(guest_at(&rig->guest, buffers[1 + i].address), i, length);
    }
    buffers[61] = (struct guest_buffer){GUEST_DATA + 0x20, 1, W};
    guest_table(&rig->guest, GUEST_TABLE, buffers, 62);
    guest_offer_indirect(&rig->guest, GUEST_TABLE, 62 * 16, head);
    rig_kick(rig);
}

static void expect_long(struct relay_rig *rig, uint32_t length, uint16_t head)
{
    struct bh_chain chain;
    static uint8_t data[65536];

    assert_true(rig_take(rig, 0, &chain));
    assert_int_equal(chain.readable_bytes, 16 + 60 * length);
    (void)bh_chain_read(&chain, 16, data, 60 * length);
    for (uint32_t i = 0; i < 60; i++) {
        for (uint32_t k = 0; k < length; k++) {
            assert_int_equal(data[i * length + k], i);
        }
    }
    finish(rig, 0, &chain);
    assert_int_equal(rig_called(rig, 0), 1);
    guest_expect_used(&rig->guest, head, 1);
    assert_int_equal(rig->counters.arena_used, 0);
}

static void long_chains(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < 16; i++) {
        const struct rig_setup setup = {
            .guest_features = BH_F_INDIRECT_DESC | ((i & 1) != 0 ? BH_F_RING_PACKED : 0),
            .back_features =
                ((i & 2) != 0 ? BH_F_RING_PACKED : 0) | ((i & 4) != 0 ? BH_F_INDIRECT_DESC : 0),
            .shared = (i & 8) != 0,
            .size_max = (i & 4) != 0 ? 256 : 64,
        };
        struct relay_rig *rig = rig_new(&setup);

        offer_long(rig, 600, 0);
        expect_long(rig, 600, 0);
        rig_free(rig);
    }
}

/* The back end's ring is too short for the pieces: they are squeezed into few. */
static void squeezed_chains(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < 4; i++) {
        const struct rig_setup setup = {
            .guest_features = BH_F_INDIRECT_DESC,
            .back_features = (i & 1) != 0 ? BH_F_RING_PACKED : 0,
            .shared = (i & 2) != 0,
            .size_max = 4,
        };
        struct relay_rig *rig = rig_new(&setup);
        struct bh_chain chain;

        offer_long(rig, 600, 0);
        offer_long(rig, 600, 1);
        assert_true(rig_take(rig, 0, &chain));
        assert_int_equal(chain.readable_count, 1);
        assert_int_equal(chain.writable_count, 1);
        finish(rig, 0, &chain);
        assert_int_equal(rig_called(rig, 0), 1);
        guest_expect_used(&rig->guest, 0, 1);
        expect_long(rig, 600, 1);
        rig_free(rig);
    }
}

/* Data begins at a page, whatever lies before it. */
static void data_is_aligned(void **state)
{
    struct relay_rig *rig = rig_new(&(struct rig_setup){.guest_size = 0});
    const struct guest_buffer buffers[5] = {
        {GUEST_DATA, 16, R},           {GUEST_DATA + 0x111, 1000, R}, {GUEST_DATA + 0x801, 1024, R},
        {GUEST_DATA + 0x1001, 512, W}, {GUEST_DATA + 0x40, 1, W},
    };
    struct bh_chain chain;

    (void)state;
    guest_offer(&rig->guest, buffers, 5, 0);
    rig_kick(rig);
    assert_true(rig_take(rig, 0, &chain));
    assert_int_equal(chain.readable_count, 3);
    assert_int_equal((uintptr_t)chain.spans[1].base % 4096, 0);
    assert_int_equal((uintptr_t)chain.spans[2].base % 4096, 0);
    assert_int_equal((uintptr_t)chain.spans[3].base % 512, 0);
    rig_free(rig);
}

/* ---- limits ---- */

static void operations_are_limited(void **state)
{
    struct relay_rig *rig = rig_new(&(struct rig_setup){.guest_size = 64});
    struct bh_chain chain;
    uint32_t got = 0;

    (void)state;
    rig->limits.operations_per_second = 100; /* a burst of 10 */
    for (uint16_t n = 0; n < 20; n++) {
        rig_offer_blk(rig, BH_BLK_T_FLUSH, AT(n), 0, (uint16_t)(n * 2));
    }
    rig_kick(rig);
    while (rig_take(rig, 0, &chain)) {
        finish(rig, 0, &chain);
        got++;
    }
    assert_int_equal(got, 10);
    assert_int_equal(rig->counters.limited, 1);
    assert_in_range(rig->wake_us, 1, 10001);
    assert_int_equal(rig_called(rig, 0), 10);
    assert_false(rig_take(rig, 0, &chain));

    rig->now += 10000;
    bh_relay_go_on(rig->relay);
    assert_true(rig_take(rig, 0, &chain));
    assert_false(rig_take(rig, 0, &chain));
    assert_int_equal(rig->counters.limited, 2);

    /* A limit that is lifted holds no more. */
    rig->limits.operations_per_second = 0;
    bh_relay_go_on(rig->relay);
    for (got = 0; rig_take(rig, 0, &chain); got++) {
        finish(rig, 0, &chain);
    }
    assert_int_equal(got, 9);
    rig_free(rig);
}

static void bytes_are_limited(void **state)
{
    struct relay_rig *rig = rig_new(&(struct rig_setup){.guest_size = 64});
    struct bh_chain chain;
    uint32_t got = 0;

    (void)state;
    rig->limits.bytes_per_second = 5290; /* a burst of one request */
    for (uint16_t n = 0; n < 10; n++) {
        rig_offer_blk(rig, BH_BLK_T_IN, AT(n), 512, (uint16_t)(n * 3));
    }
    rig_kick(rig);
    assert_true(rig_take(rig, 0, &chain));
    assert_false(rig_take(rig, 0, &chain));
    for (got = 0; got < 5; got++) {
        rig->now += 100000;
        bh_relay_go_on(rig->relay);
        assert_true(rig_take(rig, 0, &chain));
        assert_false(rig_take(rig, 0, &chain));
    }
    rig_free(rig);
}

/* The debt of a large request is paid before the next one passes. */
static void a_large_request_under_a_small_limit(void **state)
{
    struct relay_rig *rig = rig_new(&(struct rig_setup){.guest_size = 64});
    struct bh_chain chain;

    (void)state;
    rig->limits.bytes_per_second = 529;
    rig_offer_blk(rig, BH_BLK_T_IN, AT(0), 512, 0);
    rig_offer_blk(rig, BH_BLK_T_IN, AT(1), 512, 3);
    rig_kick(rig);
    assert_true(rig_take(rig, 0, &chain));
    assert_false(rig_take(rig, 0, &chain));
    assert_in_range(rig->wake_us, 890000, 1000000);
    rig->now += 800000;
    bh_relay_go_on(rig->relay);
    assert_false(rig_take(rig, 0, &chain));
    rig->now += 200000;
    bh_relay_go_on(rig->relay);
    assert_true(rig_take(rig, 0, &chain));
    rig_free(rig);
}

/* ---- queues that wait for the world outside ---- */

static void offer_buffers(struct relay_rig *rig, uint16_t count, uint32_t length)
{
    for (uint16_t n = 0; n < count; n++) {
        guest_offer_one(&rig->guest, AT(n), length, W, n);
    }
    rig_kick(rig);
}

static const struct bh_gate_class *net(void)
{
    return bh_gate_class(BH_ID_NET);
}

/* The guest takes its receive buffers back: the back end's ring is stopped first. */
static void receive_buffers_come_back(void **state)
{
    struct relay_rig *rig = rig_new(&(struct rig_setup){.class = net()});
    struct bh_chain chain;

    (void)state;
    offer_buffers(rig, 8, 1000);
    assert_int_equal(bh_relay_owes(rig->relay), 0);
    assert_true(rig_take(rig, 0, &chain));
    rig_give(rig, 0, &chain, 60);
    assert_int_equal(bh_device_queue_stop(bh_relay_device(rig->relay), 0), BH_OK);
    assert_int_equal(rig->stops, 1);
    guest_expect_used(&rig->guest, 0, 60);
    for (uint16_t n = 1; n < 8; n++) {
        guest_expect_used(&rig->guest, n, 0);
    }
    bh_device_flush(bh_relay_device(rig->relay));
    assert_int_equal(rig->counters.arena_used, 0);
    rig_places_reset(rig, 0);
    rig_start(rig, 0);
    assert_true(rig->back.started[0]);
    offer_buffers(rig, 1, 1000);
    assert_true(rig_take(rig, 0, &chain));
    rig_free(rig);
}

/* With a back end that does not even stop, the buffers come back when it is gone. */
static void receive_buffers_of_a_hung_back_end(void **state)
{
    struct relay_rig *rig = rig_new(&(struct rig_setup){.class = net(), .shared = true});

    (void)state;
    rig->stop_result = BH_TIMEOUT;
    offer_buffers(rig, 4, 1000);
    assert_int_equal(bh_device_queue_stop(bh_relay_device(rig->relay), 0), BH_AGAIN);
    guest_expect_nothing(&rig->guest);
    bh_relay_detach(rig->relay, true);
    /* It may still write into what it saw: not before the successor is there. */
    assert_int_equal(bh_device_queue_stop(bh_relay_device(rig->relay), 0), BH_AGAIN);
    guest_expect_nothing(&rig->guest);
    assert_int_equal(rig_attach(rig), BH_OK);
    assert_int_equal(rig->idle, 1);
    assert_int_equal(used_count(rig), 4);
    rig_free(rig);
}

static void receive_buffers_without_a_back_end(void **state)
{
    struct relay_rig *rig = rig_new(&(struct rig_setup){.class = net(), .detached = true});

    (void)state;
    offer_buffers(rig, 4, 1000);
    assert_int_equal(bh_device_queue_stop(bh_relay_device(rig->relay), 0), BH_OK);
    assert_int_equal(used_count(rig), 4);
    rig_free(rig);
}

/* When there is no back end any more they stay where they are: nothing comes. */
static void receive_buffers_when_refusing(void **state)
{
    struct relay_rig *rig = rig_new(&(struct rig_setup){.class = net(), .shared = true});

    (void)state;
    offer_buffers(rig, 4, 1000);
    bh_relay_refuse(rig->relay);
    guest_expect_nothing(&rig->guest);
    assert_int_equal(bh_device_queue_stop(bh_relay_device(rig->relay), 0), BH_OK);
    assert_int_equal(used_count(rig), 4);
    rig_free(rig);
}

/* Receive buffers take half of the arena at most: there is room to transmit. */
static void receive_buffers_leave_room(void **state)
{
    struct relay_rig *rig =
        rig_new(&(struct rig_setup){.class = net(), .arena_size = 64 * 4096, .guest_size = 64});
    struct bh_chain chain;
    uint32_t taken = 0;

    (void)state;
    offer_buffers(rig, 60, 1000);
    while (rig_take(rig, 0, &chain)) {
        taken++;
    }
    assert_in_range(taken, 10, 32);
    rig_start(rig, 1);
    guest_offer_one(&rig->guest, GUEST_DATA, 1000, R, 0);
    rig_kick(rig);
    assert_true(rig_take(rig, 1, &chain));
    rig_free(rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(arena_exhaustion),
        cmocka_unit_test(larger_than_the_arena),
        cmocka_unit_test(an_arena_that_is_too_small),
        cmocka_unit_test(long_chains),
        cmocka_unit_test(squeezed_chains),
        cmocka_unit_test(data_is_aligned),
        cmocka_unit_test(operations_are_limited),
        cmocka_unit_test(bytes_are_limited),
        cmocka_unit_test(a_large_request_under_a_small_limit),
        cmocka_unit_test(receive_buffers_come_back),
        cmocka_unit_test(receive_buffers_of_a_hung_back_end),
        cmocka_unit_test(receive_buffers_without_a_back_end),
        cmocka_unit_test(receive_buffers_when_refusing),
        cmocka_unit_test(receive_buffers_leave_room),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
