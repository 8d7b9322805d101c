/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Tests of the entropy driver against a fake device: what it asks for, what it hands out, and what
 * it makes of answers that are not true.
 */
#include "fake_device.h"

#include <stdlib.h>
#include <string.h>

#include "bulkhead/driver_rng.h"

#define BUFFERS    4u
#define BYTES      64u
#define QUEUE_SIZE 8u

struct fixture {
    struct fake_device device;
    struct bh_driver_rng rng;
    struct bh_driver_slot slots[QUEUE_SIZE];
    struct bh_driver_rng_buffer buffers[BUFFERS];
    struct bh_driver_rng_setup setup;
    uint8_t got[BYTES];
};

static void prepare(struct fixture *f, bool packed)
{
    memset(f, 0, sizeof(*f));
    fake_init(&f->device);
    f->device.id = BH_ID_RNG;
    f->device.offered = BH_F_VERSION_1 | BH_F_RING_PACKED | 3u;
    f->setup = (struct bh_driver_rng_setup){
        .transport = &f->device.transport,
        .dma = &f->device.dma,
        .slots = f->slots,
        .buffers = f->buffers,
        .buffer_count = BUFFERS,
        .queue_size = QUEUE_SIZE,
        .bytes = BYTES,
        .features = BH_F_VERSION_1 | (packed ? BH_F_RING_PACKED : 0u) | 3u,
    };
}

static int setup(void **state, bool packed)
{
    struct fixture *f = malloc(sizeof(*f));

    if (f == NULL) {
        return -1;
    }
    prepare(f, packed);
    assert_int_equal(bh_driver_rng_init(&f->rng, &f->setup), BH_OK);
    *state = f;
    return 0;
}

static int setup_split(void **state)
{
    return setup(state, false);
}

static int setup_packed(void **state)
{
    return setup(state, true);
}

static int teardown(void **state)
{
    struct fixture *f = *state;

    fake_finish(&f->device);
    free(f);
    return 0;
}

/* Asks, and lets the device see the chain. */
static void ask(struct fixture *f, uint32_t length, struct fake_chain *chain)
{
    assert_int_equal(bh_driver_rng_ask(&f->rng, length), BH_OK);
    assert_int_equal(bh_driver_rng_publish(&f->rng), BH_OK);
    assert_true(fake_pop(&f->device, 0, chain));
    assert_int_equal(chain->count, 1);
    assert_true(chain->elements[0].writable);
    assert_int_equal(chain->elements[0].length, length);
}

static void fill(struct fixture *f, const struct fake_chain *chain, uint8_t value)
{
    memset(fake_at(&f->device, chain->elements[0].address, chain->elements[0].length), value,
           chain->elements[0].length);
}

static int collect(struct fixture *f)
{
    return bh_driver_rng_collect(&f->rng, f->got, sizeof(f->got));
}

/* It accepts no feature that is not the ring's: the device has none. */
static void test_driver_rng_begins(void **state)
{
    struct fixture *f = *state;
    uint64_t packed = f->setup.features & BH_F_RING_PACKED;

    assert_int_equal(f->device.features, BH_F_VERSION_1 | packed);
    assert_int_equal(f->device.status, BH_STATUS_ACKNOWLEDGE | BH_STATUS_DRIVER |
                                           BH_STATUS_FEATURES_OK | BH_STATUS_DRIVER_OK);
}

/* Each answer is handed out, in the order of the answers, and its buffer can be asked for again. */
static void test_driver_rng_gives_what_came(void **state)
{
    struct fixture *f = *state;
    struct fake_chain chains[BUFFERS];

    for (unsigned round = 0; round < 3; round++) {
        for (unsigned i = 0; i < BUFFERS; i++) {
            ask(f, BYTES - i, &chains[i]);
            fill(f, &chains[i], (uint8_t)(0x10 + i));
        }
        assert_int_equal(bh_driver_rng_ask(&f->rng, 1), BH_AGAIN);
        assert_int_equal(collect(f), 0);
        for (unsigned i = 0; i < BUFFERS; i++) {
            fake_push(&f->device, 0, chains[i].id, BYTES - i, chains[i].slots);
        }
        for (unsigned i = 0; i < BUFFERS; i++) {
            assert_int_equal(collect(f), BYTES - i);
            assert_int_equal(f->got[0], 0x10 + i);
            assert_int_equal(f->got[BYTES - i - 1], 0x10 + i);
        }
        assert_int_equal(collect(f), 0);
    }
}

/* [BH-RNG-11] Of a buffer that was used in part, only that part is handed out, and nothing of it
 * stays in the shared memory. */
static void test_driver_rng_short_answer(void **state)
{
    struct fixture *f = *state;
    struct fake_chain chain;

    memset(f->got, 0, sizeof(f->got));
    ask(f, BYTES, &chain);
    fill(f, &chain, 0x55);
    fake_push(&f->device, 0, chain.id, 5, chain.slots);
    assert_int_equal(collect(f), 5);
    assert_int_equal(f->got[4], 0x55);
    assert_int_equal(f->got[5], 0);
    assert_int_equal(fake_get(&f->device, chain.elements[0].address, 4), 0);
    /* The caller has room for less: the rest is nobody's. */
    ask(f, BYTES, &chain);
    fill(f, &chain, 0x66);
    fake_push(&f->device, 0, chain.id, BYTES, chain.slots);
    assert_int_equal(bh_driver_rng_collect(&f->rng, f->got, 3), 3);
    assert_int_equal(f->got[2], 0x66);
    assert_int_equal(f->got[3], 0x55);
    assert_int_equal(fake_get(&f->device, chain.elements[0].address + BYTES - 4, 4), 0);
}

/* [BH-RNG-11] A used length of zero: bytes that were not written are no answer. */
static void test_driver_rng_empty_answer(void **state)
{
    struct fixture *f = *state;
    struct fake_chain chain;

    ask(f, BYTES, &chain);
    fake_push(&f->device, 0, chain.id, 0, chain.slots);
    assert_int_equal(collect(f), BH_PROTOCOL);
    assert_int_equal(collect(f), BH_PROTOCOL);
    assert_int_equal(bh_driver_rng_ask(&f->rng, 1), BH_PROTOCOL);
}

/* [BH-RNG-11] A used length beyond the buffer. */
static void test_driver_rng_too_long_answer(void **state)
{
    struct fixture *f = *state;
    struct fake_chain chain;

    ask(f, 16, &chain);
    fake_push(&f->device, 0, chain.id, 17, chain.slots);
    assert_int_equal(collect(f), BH_PROTOCOL);
    assert_int_equal(collect(f), BH_PROTOCOL);
}

static void test_driver_rng_refuses_lengths(void **state)
{
    struct fixture *f = *state;

    assert_int_equal(bh_driver_rng_ask(&f->rng, 0), BH_INVALID);
    assert_int_equal(bh_driver_rng_ask(&f->rng, BYTES + 1), BH_INVALID);
}

/* The ring is shorter than there are buffers: one that found no room can be asked for later. */
static void test_driver_rng_ring_is_full(void **state)
{
    struct fixture *f = *state;
    struct fake_chain chain;
    unsigned left = 0;

    fake_finish(&f->device);
    prepare(f, (f->setup.features & BH_F_RING_PACKED) != 0);
    f->setup.queue_size = 2;
    assert_int_equal(bh_driver_rng_init(&f->rng, &f->setup), BH_OK);
    ask(f, 8, &chain);
    assert_int_equal(bh_driver_rng_ask(&f->rng, 8), BH_OK);
    for (unsigned i = 0; i < 2 * BUFFERS; i++) {
        assert_int_equal(bh_driver_rng_ask(&f->rng, 8), BH_AGAIN);
    }
    fake_push(&f->device, 0, chain.id, 8, chain.slots);
    assert_int_equal(collect(f), 8);
    assert_int_equal(bh_driver_rng_ask(&f->rng, 8), BH_OK);
    assert_int_equal(bh_driver_rng_ask(&f->rng, 8), BH_AGAIN);
    for (const struct bh_driver_rng_buffer *free = f->rng.free; free != NULL; free = free->next) {
        left++;
    }
    assert_int_equal(left, BUFFERS - 2);
}

static void expect_refusal(struct fixture *f, int error)
{
    assert_int_equal(bh_driver_rng_init(&f->rng, &f->setup), error);
    assert_int_equal(f->device.status & BH_STATUS_DRIVER_OK, 0);
    fake_finish(&f->device);
    prepare(f, false);
}

static int no_device_id(struct bh_transport *transport, uint32_t *id)
{
    (void)transport;
    *id = BH_ID_RNG;
    return BH_GONE;
}

static void test_driver_rng_does_not_begin(void **state)
{
    struct fixture *f = *state;
    struct bh_transport_ops ops;

    fake_finish(&f->device);
    prepare(f, false);
    f->setup.buffer_count = 0;
    expect_refusal(f, BH_INVALID);
    f->setup.bytes = 0;
    expect_refusal(f, BH_INVALID);
    f->device.id = BH_ID_BLK;
    expect_refusal(f, BH_UNSUPPORTED);
    ops = *f->device.transport.ops;
    ops.device_id = no_device_id;
    f->device.transport.ops = &ops;
    expect_refusal(f, BH_GONE);
    f->device.offered = 0;
    expect_refusal(f, BH_UNSUPPORTED);
    f->device.start_error = BH_GONE;
    expect_refusal(f, BH_GONE);
    f->setup.bytes = FAKE_MEMORY;
    assert_int_equal(bh_driver_rng_init(&f->rng, &f->setup), BH_NO_MEMORY);
    assert_int_not_equal(f->device.status & BH_STATUS_FAILED, 0);
}

#define BOTH(test)                                                                                 \
    {#test " (split)", test, setup_split, teardown, NULL},                                         \
    {                                                                                              \
#test " (packed)", test, setup_packed, teardown, NULL                                      \
    }

int main(void)
{
    const struct CMUnitTest tests[] = {
        BOTH(test_driver_rng_begins),          BOTH(test_driver_rng_gives_what_came),
        BOTH(test_driver_rng_short_answer),    BOTH(test_driver_rng_empty_answer),
        BOTH(test_driver_rng_too_long_answer), BOTH(test_driver_rng_refuses_lengths),
        BOTH(test_driver_rng_ring_is_full),    BOTH(test_driver_rng_does_not_begin),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
