/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A device that lies to its driver. What must hold: the lie is found before the caller sees anything of
 * it, the queue hands out nothing any more until it is restarted, and nothing outside the ring is
 * touched (the address sanitizer watches). A device may always deny service; it may not corrupt.
 */
#include "fake_device.h"

#include <string.h>

#define SIZE  8u
#define AVAIL 0x80u
#define USED  0x8000u
#define WRITE 2u
#define DATA  (FAKE_ADDRESS + 0x80000u)

struct fixture {
    struct fake_device device;
    struct bh_driver_queue queue;
    struct bh_driver_slot slots[SIZE];
    int tokens[SIZE];
};

static void start(struct fixture *f, uint64_t features)
{
    const struct bh_driver_queue_setup setup = {
        .transport = &f->device.transport,
        .dma = &f->device.dma,
        .slots = f->slots,
        .features = features | BH_F_VERSION_1 | BH_F_RING_RESET,
        .index = 0,
        .size = SIZE,
        .indirect_max = 0,
    };

    fake_init(&f->device);
    f->device.features = setup.features;
    assert_int_equal(bh_driver_queue_init(&f->queue, &setup), BH_OK);
}

static void add(struct fixture *f, unsigned token, uint16_t readable, uint16_t writable)
{
    const struct bh_buffer elements[] = {{DATA, 16}, {DATA + 16, 16}, {DATA + 32, 16}};

    assert_int_equal(
        bh_driver_queue_add(&f->queue, elements, readable, writable, &f->tokens[token]), BH_OK);
}

static void show(struct fixture *f)
{
    assert_int_equal(bh_driver_queue_publish(&f->queue), BH_OK);
}

/* The lie is found, whatever is tried after; a restart makes the queue as good as new. */
static void assert_caught(struct fixture *f)
{
    void *token = f;
    uint32_t written = 4711;
    const struct bh_buffer element = {DATA, 16};
    struct fake_chain chain;

    for (unsigned i = 0; i < 3; i++) {
        assert_int_equal(bh_driver_queue_collect(&f->queue, &token, &written), BH_PROTOCOL);
        assert_ptr_equal(token, f);
        assert_int_equal(written, 4711);
    }
    assert_int_equal(bh_driver_queue_add(&f->queue, &element, 1, 0, f), BH_PROTOCOL);
    assert_int_equal(bh_driver_queue_publish(&f->queue), BH_PROTOCOL);
    assert_true(bh_driver_queue_notify_enable(&f->queue, true));
    assert_false(bh_driver_queue_notify_enable(&f->queue, false));

    assert_int_equal(bh_driver_queue_restart(&f->queue), BH_OK);
    for (unsigned i = 0; i < 3 * SIZE; i++) {
        add(f, 0, 1, 1);
        show(f);
        assert_true(fake_pop(&f->device, 0, &chain));
        fake_push(&f->device, 0, chain.id, 16, chain.slots);
        assert_int_equal(bh_driver_queue_collect(&f->queue, &token, &written), 1);
        assert_ptr_equal(token, &f->tokens[0]);
    }
    fake_finish(&f->device);
}

static void assert_collects(struct fixture *f, unsigned expected)
{
    void *token = NULL;
    uint32_t written = 0;

    assert_int_equal(bh_driver_queue_collect(&f->queue, &token, &written), 1);
    assert_ptr_equal(token, &f->tokens[expected]);
}

/* ---- split ---- */

/* [BH-DEV-28] */
static void test_split_id_out_of_range(void **state)
{
    const uint32_t ids[] = {SIZE, SIZE + 1, 0xffff, 0x10000, 0x80000000, 0xffffffff};

    (void)state;
    for (unsigned i = 0; i < sizeof(ids) / sizeof(ids[0]); i++) {
        struct fixture f;

        start(&f, 0);
        add(&f, 1, 1, 1);
        show(&f);
        fake_split_entry(&f.device, 0, 0, ids[i], 0);
        fake_split_index(&f.device, 0, 1);
        assert_caught(&f);
    }
}

/* Descriptor 1 is in use, and yet no buffer begins there. */
static void test_split_id_inside_a_chain(void **state)
{
    struct fixture f;

    (void)state;
    start(&f, 0);
    add(&f, 1, 2, 1);
    show(&f);
    fake_split_entry(&f.device, 0, 0, 1, 0);
    fake_split_index(&f.device, 0, 1);
    assert_caught(&f);
}

/* [BH-DEV-28] */
static void test_split_id_not_given_out(void **state)
{
    struct fixture f;

    (void)state;
    start(&f, 0);
    add(&f, 1, 1, 0);
    show(&f);
    fake_split_entry(&f.device, 0, 0, 5, 0);
    fake_split_index(&f.device, 0, 1);
    assert_caught(&f);
}

/* [BH-DEV-28] */
static void test_split_id_twice(void **state)
{
    struct fixture f;

    (void)state;
    start(&f, 0);
    add(&f, 1, 1, 0);
    add(&f, 2, 1, 0);
    show(&f);
    fake_split_entry(&f.device, 0, 0, 0, 0);
    fake_split_entry(&f.device, 0, 1, 0, 0);
    fake_split_index(&f.device, 0, 2);
    assert_collects(&f, 1);
    assert_caught(&f);
}

/* The driver has added the buffer and not shown it yet: the device guessed its id. */
static void test_split_id_not_shown(void **state)
{
    struct fixture f;

    (void)state;
    start(&f, 0);
    add(&f, 1, 1, 0);
    show(&f);
    add(&f, 2, 1, 0);
    fake_split_entry(&f.device, 0, 0, 1, 0);
    fake_split_index(&f.device, 0, 1);
    assert_caught(&f);
}

/* [BH-DEV-28] */
static void test_split_length_too_long(void **state)
{
    const uint32_t lengths[] = {33, 0x10000, 0xffffffff};

    (void)state;
    for (unsigned i = 0; i < 3; i++) {
        struct fixture f;

        start(&f, 0);
        add(&f, 1, 1, 2);
        show(&f);
        fake_split_entry(&f.device, 0, 0, 0, lengths[i]);
        fake_split_index(&f.device, 0, 1);
        assert_caught(&f);
    }
}

static void test_split_length_of_nothing_writable(void **state)
{
    struct fixture f;

    (void)state;
    start(&f, 0);
    add(&f, 1, 3, 0);
    show(&f);
    fake_split_entry(&f.device, 0, 0, 0, 1);
    fake_split_index(&f.device, 0, 1);
    assert_caught(&f);
}

static void test_split_index_ran_ahead(void **state)
{
    const uint16_t indices[] = {2, SIZE, SIZE + 1, 0x8000, 0xffff};

    (void)state;
    for (unsigned i = 0; i < sizeof(indices) / sizeof(indices[0]); i++) {
        struct fixture f;

        start(&f, 0);
        add(&f, 1, 1, 0);
        show(&f);
        add(&f, 2, 1, 0); /* not shown: does not count */
        fake_split_entry(&f.device, 0, 0, 0, 0);
        fake_split_entry(&f.device, 0, 1, 1, 0);
        fake_split_index(&f.device, 0, indices[i]);
        assert_caught(&f);
    }
}

static void test_split_index_went_back(void **state)
{
    struct fixture f;

    (void)state;
    start(&f, 0);
    add(&f, 1, 1, 0);
    add(&f, 2, 1, 0);
    show(&f);
    fake_split_entry(&f.device, 0, 0, 0, 0);
    fake_split_index(&f.device, 0, 1);
    assert_collects(&f, 1);
    fake_split_index(&f.device, 0, 0);
    assert_caught(&f);
}

/* The device rewrites everything that is not its business: the driver does not read it back. */
static void test_rings_overwritten(void **state)
{
    const uint64_t formats[] = {0, BH_F_RING_PACKED};

    (void)state;
    for (unsigned i = 0; i < 2; i++) {
        struct fixture f;
        void *token = NULL;
        uint32_t written = 0;

        start(&f, formats[i]);
        for (unsigned n = 0; n < 5 * SIZE; n++) {
            struct fake_chain chain;
            const struct bh_queue_areas *areas = &f.device.queues[0].areas;

            add(&f, 1, 1, 1);
            show(&f);
            assert_true(fake_pop(&f.device, 0, &chain));
            if (i == 0) {
                memset(fake_at(&f.device, areas->descriptor, 16 * SIZE), 0xff, 16 * SIZE);
                memset(fake_at(&f.device, areas->driver + 4, 2 * SIZE), 0xff, 2 * SIZE);
            } else {
                /* All but the flags, which carry the wrap bits. */
                for (unsigned d = 0; d < SIZE; d++) {
                    memset(fake_at(&f.device, areas->descriptor + 16 * d, 14), 0xff, 14);
                }
                memset(fake_at(&f.device, areas->driver, 4), 0xff, 4);
            }
            fake_push(&f.device, 0, chain.id, 3, chain.slots);
            assert_int_equal(bh_driver_queue_collect(&f.queue, &token, &written), 1);
            assert_ptr_equal(token, &f.tokens[1]);
            assert_int_equal(written, 3);
        }
        fake_finish(&f.device);
    }
}

/* ---- packed ---- */

/* [BH-DEV-28] */
static void test_packed_bad_id(void **state)
{
    const uint16_t ids[] = {SIZE, 0xffff, 1}; /* the last: a free one */

    (void)state;
    for (unsigned i = 0; i < 3; i++) {
        struct fixture f;

        start(&f, BH_F_RING_PACKED);
        add(&f, 1, 1, 1);
        show(&f);
        fake_packed_entry(&f.device, 0, 0, ids[i], 0, AVAIL | USED);
        assert_caught(&f);
    }
}

/* [BH-DEV-28] */
static void test_packed_id_twice(void **state)
{
    struct fixture f;

    (void)state;
    start(&f, BH_F_RING_PACKED);
    add(&f, 1, 1, 0);
    add(&f, 2, 1, 0);
    show(&f);
    fake_packed_entry(&f.device, 0, 0, 0, 0, AVAIL | USED);
    fake_packed_entry(&f.device, 0, 1, 0, 0, AVAIL | USED);
    assert_collects(&f, 1);
    assert_caught(&f);
}

static void test_packed_id_not_shown(void **state)
{
    struct fixture f;

    (void)state;
    start(&f, BH_F_RING_PACKED);
    add(&f, 1, 1, 0);
    show(&f);
    add(&f, 2, 1, 0);
    fake_packed_entry(&f.device, 0, 0, 1, 0, AVAIL | USED);
    assert_caught(&f);
}

/* [BH-DEV-28] */
static void test_packed_length_too_long(void **state)
{
    struct fixture f;

    (void)state;
    start(&f, BH_F_RING_PACKED);
    add(&f, 1, 1, 2);
    show(&f);
    fake_packed_entry(&f.device, 0, 0, 0, 33, AVAIL | USED | WRITE);
    assert_caught(&f);
}

/* Descriptors become used that were never made available: in an empty ring, in one whose buffers all
 * came back, and behind the last buffer. */
static void test_packed_flags_flipped(void **state)
{
    struct fixture f;

    (void)state;
    start(&f, BH_F_RING_PACKED);
    fake_packed_entry(&f.device, 0, 0, 0, 0, AVAIL | USED);
    assert_caught(&f);

    start(&f, BH_F_RING_PACKED);
    add(&f, 1, 1, 0);
    show(&f);
    fake_packed_entry(&f.device, 0, 0, 0, 0, AVAIL | USED);
    fake_packed_entry(&f.device, 0, 1, 0, 0, AVAIL | USED);
    assert_collects(&f, 1);
    assert_caught(&f);

    start(&f, BH_F_RING_PACKED);
    add(&f, 1, 1, 0); /* added, not shown: its descriptor is not the device's yet */
    fake_packed_entry(&f.device, 0, 0, 0, 0, AVAIL | USED);
    assert_caught(&f);
}

/* Half a flip, or the wrong lap's: not used, and no violation either. */
static void test_packed_flags_of_another_lap(void **state)
{
    const uint16_t flags[] = {0, AVAIL, USED, AVAIL | WRITE, USED | WRITE};

    (void)state;
    for (unsigned i = 0; i < 5; i++) {
        struct fixture f;
        void *token = NULL;
        uint32_t written = 0;

        start(&f, BH_F_RING_PACKED);
        add(&f, 1, 1, 0);
        show(&f);
        fake_packed_entry(&f.device, 0, 0, 0, 0, flags[i]);
        assert_int_equal(bh_driver_queue_collect(&f.queue, &token, &written), 0);
        fake_finish(&f.device);
    }
}

/* ---- in order ---- */

/* One entry stands for more buffers than the index says were used. */
static void test_in_order_batch_beyond_index(void **state)
{
    struct fixture f;

    (void)state;
    start(&f, BH_F_IN_ORDER);
    for (unsigned i = 0; i < 4; i++) {
        add(&f, i, 1, 0);
    }
    show(&f);
    fake_split_entry(&f.device, 0, 0, 2, 0);
    fake_split_index(&f.device, 0, 2);
    assert_caught(&f);
}

/* A newer buffer before an older one is a batch; the older one then comes a second time. */
static void test_in_order_out_of_order(void **state)
{
    const uint64_t formats[] = {0, BH_F_RING_PACKED};

    (void)state;
    for (unsigned i = 0; i < 2; i++) {
        struct fixture f;

        start(&f, BH_F_IN_ORDER | formats[i]);
        for (unsigned n = 0; n < 3; n++) {
            add(&f, n, 1, 0);
        }
        show(&f);
        fake_push_batch(&f.device, 0, 1, 0, 2, 2);
        assert_collects(&f, 0);
        assert_collects(&f, 1);
        fake_push(&f.device, 0, 0, 0, 1);
        assert_caught(&f);
    }
}

static void test_in_order_length_too_long(void **state)
{
    const uint64_t formats[] = {0, BH_F_RING_PACKED};

    (void)state;
    for (unsigned i = 0; i < 2; i++) {
        struct fixture f;

        start(&f, BH_F_IN_ORDER | formats[i]);
        add(&f, 0, 1, 2);
        add(&f, 1, 1, 1);
        show(&f);
        fake_push_batch(&f.device, 0, i == 0 ? 3 : 1, 17, 2, 5);
        assert_caught(&f);
    }
}

/* ---- notifications ---- */

/* Whatever stands in the event suppression, a batch notifies at most once, and the ring goes on. */
static void test_event_garbage(void **state)
{
    const uint64_t features[] = {0, BH_F_EVENT_IDX, BH_F_RING_PACKED,
                                 BH_F_RING_PACKED | BH_F_EVENT_IDX};

    (void)state;
    for (unsigned i = 0; i < 4; i++) {
        struct fixture f;
        uint32_t garbage = 1;

        start(&f, features[i]);
        for (unsigned n = 0; n < 2000; n++) {
            struct fake_chain chain;
            uint32_t before = f.device.queues[0].notifies;

            garbage = garbage * 1664525u + 1013904223u;
            if (i < 2) {
                fake_split_suppress(&f.device, 0, (uint16_t)garbage, (uint16_t)(garbage >> 16));
            } else {
                fake_packed_suppress(&f.device, 0, (uint16_t)garbage, (uint16_t)(garbage >> 16));
            }
            add(&f, 0, 1, 1);
            add(&f, 1, 1, 0);
            show(&f);
            assert_in_range(f.device.queues[0].notifies - before, 0, 1);
            for (unsigned k = 0; k < 2; k++) {
                assert_true(fake_pop(&f.device, 0, &chain));
                fake_push(&f.device, 0, chain.id, 0, chain.slots);
                assert_collects(&f, k);
            }
        }
        fake_finish(&f.device);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_split_id_out_of_range),
        cmocka_unit_test(test_split_id_inside_a_chain),
        cmocka_unit_test(test_split_id_not_given_out),
        cmocka_unit_test(test_split_id_twice),
        cmocka_unit_test(test_split_id_not_shown),
        cmocka_unit_test(test_split_length_too_long),
        cmocka_unit_test(test_split_length_of_nothing_writable),
        cmocka_unit_test(test_split_index_ran_ahead),
        cmocka_unit_test(test_split_index_went_back),
        cmocka_unit_test(test_rings_overwritten),
        cmocka_unit_test(test_packed_bad_id),
        cmocka_unit_test(test_packed_id_twice),
        cmocka_unit_test(test_packed_id_not_shown),
        cmocka_unit_test(test_packed_length_too_long),
        cmocka_unit_test(test_packed_flags_flipped),
        cmocka_unit_test(test_packed_flags_of_another_lap),
        cmocka_unit_test(test_in_order_batch_beyond_index),
        cmocka_unit_test(test_in_order_out_of_order),
        cmocka_unit_test(test_in_order_length_too_long),
        cmocka_unit_test(test_event_garbage),
    };

    return cmocka_run_group_tests_name("driver_hostile", tests, NULL, NULL);
}
