/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The entropy model: what a buffer is answered with, what it waits for, the limit, and what a
 * driver can do wrong. Where the bytes come from on Linux: test_entropy.c.
 */
#include "rng_rig.h"

#include <stdlib.h>
#include <string.h>

/* Whether the driver is asked to notify: the device area's flags, in either format. */
static bool is_asked(struct rng_rig *rig)
{
    uint64_t flags = rig->guest.setup.device + (rig->guest.packed ? 2u : 0u);

    return guest_get16(&rig->guest, flags) == 0;
}

/* ---- bytes ---- */

/* [BH-RNG-1, BH-RNG-2] Each buffer is filled, with bytes of the source, and the length is
 * theirs. */
static void test_rng_buffers_are_filled(void **state)
{
    static const uint32_t lengths[] = {64, 1, 7, BH_RNG_BYTES_MAX, 2, 64};
    struct rng_rig *rig = *state;

    for (uint16_t i = 0; i < 6; i++) {
        rig_offer(rig, i, lengths[i]);
    }
    rig_kick(rig);
    for (uint16_t i = 0; i < 6; i++) {
        rig_expect(rig, i, lengths[i], 0x400);
    }
    guest_expect_nothing(&rig->guest);
    assert_int_equal(rig->notified, 1);
    assert_int_equal(rig->drawn, 0);
    assert_true(is_asked(rig));
}

/* A buffer in pieces is one buffer. */
static void test_rng_buffer_in_pieces(void **state)
{
    const struct guest_buffer pieces[] = {{RIG_AT(0), 3, W},
                                          {RIG_AT(1), 5, W},
                                          {RIG_AT(2), 1, W},
                                          {RIG_AT(3), 9, W},
                                          {RIG_AT(4), 6, W}};
    struct rng_rig *rig = *state;

    memset(guest_at(&rig->guest, RIG_AT(0)), 0xee, 0x1400);
    guest_offer(&rig->guest, pieces, 5, 0);
    rig_kick(rig);
    guest_expect_used(&rig->guest, 0, 24);
    for (unsigned i = 0; i < 5; i++) {
        const uint8_t *data = guest_at(&rig->guest, pieces[i].address);

        for (unsigned j = 0; j < pieces[i].length; j++) {
            assert_in_range(data[j], 1, RIG_VALUES);
        }
        assert_int_equal(data[pieces[i].length], 0xee);
    }
    assert_int_equal(rig->guest.pool.free_count, GUEST_BLOCKS);
}

/* [BH-RNG-3] However the source doles them out, and across resets: no byte comes twice, and none
 * stays where it was once it is given. */
static void test_rng_no_byte_twice(void **state)
{
    struct rng_rig *rig = *state;

    for (uint32_t i = 0; i < 200; i++) {
        rig->most = 1u + i * 13u % 290u;
        rig_offer(rig, 0, 1u + i * 7u % 300u);
        rig_kick(rig);
        (void)rig_take(rig, 0);
        for (uint32_t j = rig->rng.count; j < BH_RNG_BYTES_MAX; j++) {
            assert_int_equal(rig->rng.bytes[j], 0);
        }
        if (i % 50 == 49) {
            assert_int_equal(bh_device_reset(&rig->device), BH_OK);
            rig_start(rig);
        }
    }
}

/* [BH-RNG-7] A buffer of any length gets so many bytes at most; the rest of it is not touched. */
static void test_class_21_rng_large_buffer_is_cut(void **state)
{
    struct rng_rig *rig = *state;

    rig_offer(rig, 0, 0x400);
    rig_kick(rig);
    rig_expect(rig, 0, BH_RNG_BYTES_MAX, 0x400);
    /* The longest that a descriptor could say, in memory that is there. */
    guest_offer_one(&rig->guest, GUEST_DATA,
                    (uint32_t)(GUEST_LOW_SIZE + GUEST_HIGH_SIZE - 0x10000u), W, 1);
    rig_kick(rig);
    guest_expect_used(&rig->guest, 1, BH_RNG_BYTES_MAX);
}

/* ---- the source ---- */

/* [BH-RNG-5] While the source gives nothing the buffers wait, untouched, in their order; the driver
 * need not notify, and the model goes on when the source calls. */
static void test_rng_source_without_bytes(void **state)
{
    struct rng_rig *rig = *state;

    rig->there = 0;
    for (uint16_t i = 0; i < 3; i++) {
        rig_offer(rig, i, 8);
        rig_kick(rig);
    }
    guest_expect_nothing(&rig->guest);
    assert_false(is_asked(rig));
    assert_int_equal(*guest_at(&rig->guest, RIG_AT(0)), 0xee);
    assert_int_equal(rig->queue.in_flight, 0);
    /* A call without a byte changes nothing. */
    assert_false(bh_rng_wake(&rig->rng));
    guest_expect_nothing(&rig->guest);
    rig->there = 11;
    assert_false(bh_rng_wake(&rig->rng));
    rig_expect(rig, 0, 8, 64);
    rig_expect(rig, 1, 3, 64);
    guest_expect_nothing(&rig->guest);
    rig->there = 100;
    assert_false(bh_rng_wake(&rig->rng));
    rig_expect(rig, 2, 8, 64);
    assert_true(is_asked(rig));
    assert_int_equal(rig->notified, 2);
}

/* A source that gives a byte at a time: each buffer gets what is there, at least one. */
static void test_rng_source_that_drips(void **state)
{
    struct rng_rig *rig = *state;

    rig->most = 1;
    for (uint16_t i = 0; i < 5; i++) {
        rig_offer(rig, i, 64);
    }
    rig_kick(rig);
    for (uint16_t i = 0; i < 5; i++) {
        rig_expect(rig, i, 1, 64);
    }
}

/* A source that claims more than it was asked for gave nothing that could be believed. */
static void test_rng_source_that_lies(void **state)
{
    struct rng_rig *rig = *state;

    rig->lies = true;
    rig_offer(rig, 0, 0x400);
    rig_kick(rig);
    assert_int_equal(rig->rng.count, 0);
    guest_expect_nothing(&rig->guest);
}

/* [BH-DEV-2] A reset or the end of the queue does not wait for the source: nothing is under way.
 * What was in the ring is not answered after it. */
static void test_class_17_rng_reset_while_waiting(void **state)
{
    struct rng_rig *rig = *state;

    rig->there = 0;
    rig_offer(rig, 0, 8);
    rig_kick(rig);
    assert_int_equal(bh_device_queue_stop(&rig->device, 0), BH_OK);
    rig->there = 100;
    assert_false(bh_rng_wake(&rig->rng));
    guest_expect_nothing(&rig->guest);
    assert_int_equal(bh_device_reset(&rig->device), BH_OK);
    assert_false(bh_rng_wake(&rig->rng));
    rig_start(rig);
    guest_expect_nothing(&rig->guest);
    rig_offer(rig, 1, 8);
    rig_kick(rig);
    rig_expect(rig, 1, 8, 64);
    assert_int_equal(rig->idles, 0);
}

/* ---- the limit ---- */

/* [BH-RNG-8] The guest gets its allowance to the byte, the rest waits in its order and fails never;
 * time is asked for with the first byte of each period, and not without need. */
static void test_rng_limit(void **state)
{
    bool packed = ((struct rng_rig *)*state)->guest.packed;
    struct rng_rig *rig = malloc(sizeof(*rig));

    assert_non_null(rig);
    rig_init(rig, packed, 100, 0);
    rig_kick(rig);
    assert_int_equal(rig->drawn, 0);
    for (uint16_t i = 0; i < 4; i++) {
        rig_offer(rig, i, 64);
    }
    rig_kick(rig);
    rig_expect(rig, 0, 64, 0x400);
    rig_expect(rig, 1, 36, 0x400);
    guest_expect_nothing(&rig->guest);
    assert_int_equal(rig->drawn, 1);
    assert_false(is_asked(rig));
    /* Neither a notification, nor the source, nor a reset makes it more. */
    rig_kick(rig);
    assert_false(bh_rng_wake(&rig->rng));
    guest_expect_nothing(&rig->guest);
    assert_false(bh_rng_refill(&rig->rng));
    rig_expect(rig, 2, 64, 0x400);
    rig_expect(rig, 3, 36, 0x400);
    assert_int_equal(rig->drawn, 2);
    assert_int_equal(bh_device_reset(&rig->device), BH_OK);
    rig_start(rig);
    rig_offer(rig, 0, 1);
    rig_kick(rig);
    guest_expect_nothing(&rig->guest);
    assert_false(bh_rng_refill(&rig->rng));
    rig_expect(rig, 0, 1, 0x400);
    assert_int_equal(rig->drawn, 3);
    /* What is not used of an allowance is gone with its period. */
    assert_false(bh_rng_refill(&rig->rng));
    assert_int_equal(rig->rng.left, 100);
    assert_int_equal(rig->drawn, 3);
    rig_finish(rig);
    free(rig);
}

static void test_rng_limit_without_time(void **state)
{
    static const struct bh_entropy_ops no_time = {.read = NULL, .drawn = NULL};
    struct rng_rig *rig = *state;
    struct bh_rng rng;

    assert_int_equal(bh_rng_init(&rng, &rig->device, &no_time, rig, 1, NULL), BH_INVALID);
    assert_int_equal(bh_rng_init(&rng, &rig->device, &no_time, rig, 0, NULL), BH_OK);
}

/* ---- the policy ---- */

/* [BH-RNG-12, BH-DEV-29] A driver that may not draw waits, unanswered, and the source is left
 * alone; it is served when it may, without another notification of its own. */
static void test_rng_not_allowed_waits(void **state)
{
    struct rng_rig *rig = *state;

    rig->page.operations = ~BH_ENTROPY_READ;
    for (uint16_t i = 0; i < 3; i++) {
        rig_offer(rig, i, 8);
        rig_kick(rig);
    }
    assert_false(bh_rng_wake(&rig->rng));
    guest_expect_nothing(&rig->guest);
    assert_false(is_asked(rig));
    assert_int_equal(rig->asked, 0);
    assert_int_equal(rig->queue.in_flight, 0);
    assert_int_equal(*guest_at(&rig->guest, RIG_AT(0)), 0xee);
    rig->page.operations = BH_ENTROPY_READ;
    assert_false(bh_rng_wake(&rig->rng));
    for (uint16_t i = 0; i < 3; i++) {
        rig_expect(rig, i, 8, 64);
    }
    assert_true(is_asked(rig));
    assert_int_equal(rig->failures, 0);
}

/* [BH-RNG-12, BH-DEV-30] A change counts from the next buffer on: bytes that the model has already
 * are not handed out either. */
static void test_rng_allowed_no_more(void **state)
{
    struct rng_rig *rig = *state;

    rig_offer(rig, 0, 8);
    rig_kick(rig);
    rig_expect(rig, 0, 8, 64);
    assert_int_not_equal(rig->rng.count, 0);
    rig->page.operations = 0;
    rig_offer(rig, 1, 8);
    rig_kick(rig);
    guest_expect_nothing(&rig->guest);
    /* Nothing is in flight: a reset does not wait for the policy. */
    assert_int_equal(bh_device_reset(&rig->device), BH_OK);
    rig_start(rig);
    rig_offer(rig, 1, 8);
    rig->page.operations = BH_ENTROPY_READ;
    rig_kick(rig);
    rig_expect(rig, 1, 8, 64);
}

/* ---- what a driver does wrong ---- */

/* [BH-RNG-6] A buffer that the device is to read. */
static void test_rng_readable_buffer(void **state)
{
    struct rng_rig *rig = *state;

    guest_offer_one(&rig->guest, RIG_AT(0), 64, R, 0);
    rig_offer(rig, 1, 64);
    rig_kick(rig);
    rig_expect_failure(rig, "entropy buffer that is device-readable");
}

/* [BH-RNG-6] The same among others: those before it are answered, those behind it are not. */
static void test_class_12_rng_readable_part(void **state)
{
    const struct guest_buffer mixed[] = {{RIG_AT(1), 1, R}, {RIG_AT(2), 64, W}};
    struct rng_rig *rig = *state;

    rig_offer(rig, 0, 64);
    memset(guest_at(&rig->guest, RIG_AT(2)), 0xee, 64);
    guest_offer(&rig->guest, mixed, 2, 1);
    rig_kick(rig);
    assert_int_equal(*guest_at(&rig->guest, RIG_AT(2)), 0xee);
    rig_expect_failure(rig, "entropy buffer that is device-readable");
}

/* [BH-RNG-6] A buffer without a byte. */
static void test_rng_empty_buffer(void **state)
{
    struct rng_rig *rig = *state;

    guest_offer_one(&rig->guest, RIG_AT(0), 0, W, 0);
    rig_kick(rig);
    rig_expect_failure(rig, "entropy buffer without a byte");
    assert_int_equal(rig->rng.count, BH_RNG_BYTES_MAX);
}

/* An empty element of a buffer that has others is no harm. */
static void test_rng_empty_element(void **state)
{
    const struct guest_buffer pieces[] = {{RIG_AT(1), 0, W}, {RIG_AT(0), 8, W}};
    struct rng_rig *rig = *state;

    memset(guest_at(&rig->guest, RIG_AT(0)), 0xee, 64);
    guest_offer(&rig->guest, pieces, 2, 0);
    rig_kick(rig);
    rig_expect(rig, 0, 8, 64);
}

/* A buffer outside of the device's memory, or where it must not write: nothing of the source is
 * lost to it, and other buffers go on after the reset. */
static void test_rng_buffer_elsewhere(void **state)
{
    static const uint64_t addresses[] = {GUEST_HOLE, GUEST_ROM, UINT64_MAX - 3u};
    struct rng_rig *rig = *state;

    for (unsigned i = 0; i < 3; i++) {
        guest_offer_one(&rig->guest, addresses[i], 64, W, 0);
        rig_kick(rig);
        assert_int_equal(rig->queue.fault.error, BH_DENIED);
        assert_int_equal(rig->failures, i + 1u);
        assert_int_equal(bh_device_reset(&rig->device), BH_OK);
        rig_start(rig);
    }
    rig_offer(rig, 0, 64);
    rig_kick(rig);
    rig_expect(rig, 0, 64, 0x400);
}

/* A ring that is full again and again, while it is served, ends the turn: work is bounded. */
static void test_rng_turn_is_bounded(void **state)
{
    struct rng_rig *rig = *state;

    for (uint16_t i = 0; i < RIG_QUEUE; i++) {
        guest_offer_one(&rig->guest, RIG_AT(0), 8, W, i);
    }
    assert_true(bh_device_kick(&rig->device, 0));
    bh_device_flush(&rig->device);
    assert_false(bh_device_kick(&rig->device, 0));
    for (uint16_t i = 0; i < RIG_QUEUE; i++) {
        guest_expect_used(&rig->guest, i, 8);
    }
}

/* No memory for a long chain at the moment: it stays in the ring, and the port calls again. */
static void test_rng_memory_used_up(void **state)
{
    const struct guest_buffer pieces[] = {{RIG_AT(0), 1, W},
                                          {RIG_AT(0), 1, W},
                                          {RIG_AT(0), 1, W},
                                          {RIG_AT(0), 1, W},
                                          {RIG_AT(0), 1, W}};
    struct rng_rig *rig = *state;

    rig->guest.pool.free_count = 0;
    guest_offer(&rig->guest, pieces, 5, 0);
    assert_true(bh_device_kick(&rig->device, 0));
    bh_device_flush(&rig->device);
    guest_expect_nothing(&rig->guest);
    rig->guest.pool.free_count = GUEST_BLOCKS;
    rig_kick(rig);
    guest_expect_used(&rig->guest, 0, 5);
}

/* ---- what the driver sees ---- */

/* VIRTIO 1.4, 5.4.3 and 5.4.4: no features of its own, no configuration. */
static void test_rng_has_no_configuration(void **state)
{
    struct rng_rig *rig = *state;
    uint32_t word = 0xeeeeeeee;

    assert_int_equal(bh_device_features(&rig->device) & ~BH_F_TRANSPORT_MASK, 0);
    assert_int_equal(bh_device_config_read(&rig->device, 0, &word, 4), BH_INVALID);
    assert_int_equal(word, 0);
    assert_int_equal(bh_device_config_write(&rig->device, 0, &word, 4), BH_INVALID);
    assert_int_equal(bh_rng_class.id, 4);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        RIG_BOTH(test_rng_buffers_are_filled),
        RIG_BOTH(test_rng_buffer_in_pieces),
        RIG_BOTH(test_rng_no_byte_twice),
        RIG_BOTH(test_class_21_rng_large_buffer_is_cut),
        RIG_BOTH(test_rng_source_without_bytes),
        RIG_BOTH(test_rng_source_that_drips),
        RIG_BOTH(test_rng_source_that_lies),
        RIG_BOTH(test_class_17_rng_reset_while_waiting),
        RIG_BOTH(test_rng_limit),
        RIG_BOTH(test_rng_not_allowed_waits),
        RIG_BOTH(test_rng_allowed_no_more),
        RIG_BOTH(test_rng_limit_without_time),
        RIG_BOTH(test_rng_readable_buffer),
        RIG_BOTH(test_class_12_rng_readable_part),
        RIG_BOTH(test_rng_empty_buffer),
        RIG_BOTH(test_rng_empty_element),
        RIG_BOTH(test_rng_buffer_elsewhere),
        RIG_BOTH(test_rng_turn_is_bounded),
        RIG_BOTH(test_rng_memory_used_up),
        RIG_BOTH(test_rng_has_no_configuration),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
