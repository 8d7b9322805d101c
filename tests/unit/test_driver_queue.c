/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Tests of the driver side of virtqueues against an honest device: both formats, with and without
 * indirect tables, in order or not. What a lying device gets is in test_driver_hostile.c.
 */
#include "driver_rig.h"

#include <stdlib.h>
#include <string.h>

static const uint64_t formats[] = {0, BH_F_RING_PACKED};

static void test_elements_arrive(void **state)
{
    struct fixture f;
    struct fake_chain chain;
    const struct bh_buffer elements[] = {
        {DATA, 1}, {DATA + 0x1000, 0x12345}, {UINT64_C(0x123456789abcdef0), 7}};
    const uint16_t tables[] = {0, 2, 3, 8};
    int token;

    (void)state;
    for (unsigned i = 0; i < 8; i++) {
        uint16_t table = tables[i / 2];

        start(&f, formats[i % 2] | BH_F_INDIRECT_DESC, 8, table);
        assert_int_equal(bh_driver_queue_add(&f.queue, elements, 1, 2, &token), BH_OK);
        assert_false(fake_pop(&f.device, 0, &chain));
        assert_int_equal(bh_driver_queue_publish(&f.queue), BH_OK);
        assert_true(fake_pop(&f.device, 0, &chain));
        assert_int_equal(chain.slots, table >= 3 ? 1 : 3);
        assert_int_equal(chain.count, 3);
        for (unsigned e = 0; e < 3; e++) {
            assert_true(chain.elements[e].address == elements[e].address);
            assert_int_equal(chain.elements[e].length, elements[e].length);
            assert_int_equal(chain.elements[e].writable, e != 0);
        }
        assert_false(fake_pop(&f.device, 0, &chain));
        stop(&f);
    }
}

/* Without the feature no table is written, whatever the caller asked for. */
static void test_indirect_needs_the_feature(void **state)
{
    struct fixture f;
    struct fake_chain chain;
    int token;

    (void)state;
    start(&f, 0, 8, 4);
    assert_int_equal(add(&f, 1, 1, &token), BH_OK);
    assert_int_equal(bh_driver_queue_publish(&f.queue), BH_OK);
    assert_true(fake_pop(&f.device, 0, &chain));
    assert_int_equal(chain.slots, 2);
    stop(&f);
}

static void test_refused_buffers(void **state)
{
    struct fixture f;
    const struct bh_buffer empty[] = {{DATA, 16}, {DATA, 0}};
    const struct bh_buffer huge[] = {{DATA, UINT32_MAX}, {DATA, 1}};
    int token;

    (void)state;
    for (unsigned i = 0; i < 2; i++) {
        start(&f, formats[i] | BH_F_INDIRECT_DESC, 4, 8);
        assert_int_equal(bh_driver_queue_add(&f.queue, empty, 1, 1, &token), BH_INVALID);
        assert_int_equal(bh_driver_queue_add(&f.queue, empty, 2, 0, &token), BH_INVALID);
        assert_int_equal(bh_driver_queue_add(&f.queue, empty, 0, 0, &token), BH_INVALID);
        assert_int_equal(bh_driver_queue_add(&f.queue, empty, 1, 0, NULL), BH_INVALID);
        assert_int_equal(bh_driver_queue_add(&f.queue, huge, 1, 1, &token), BH_LIMIT);
        assert_int_equal(bh_driver_queue_add(&f.queue, huge, 1, 0, &token), BH_OK);
        /* A table has room for five, and yet no chain is longer than the queue. */
        assert_int_equal(add(&f, 3, 2, &token), BH_LIMIT);
        assert_int_equal(add(&f, 2, 2, &token), BH_OK);
        stop(&f);
    }
}

static void test_full(void **state)
{
    struct fixture f;
    struct fake_chain chain;
    void *token;
    uint32_t written;
    int tokens[8];

    (void)state;
    for (unsigned i = 0; i < 2; i++) {
        start(&f, formats[i], 8, 0);
        for (unsigned n = 0; n < 4; n++) {
            assert_int_equal(add(&f, 1, 1, &tokens[n]), BH_OK);
        }
        assert_int_equal(add(&f, 1, 0, &tokens[4]), BH_AGAIN);
        assert_int_equal(bh_driver_queue_publish(&f.queue), BH_OK);
        assert_true(fake_pop(&f.device, 0, &chain));
        fake_push(&f.device, 0, chain.id, 3, chain.slots);
        assert_int_equal(bh_driver_queue_collect(&f.queue, &token, &written), 1);
        assert_ptr_equal(token, &tokens[0]);
        assert_int_equal(written, 3);
        assert_int_equal(add(&f, 2, 1, &tokens[5]), BH_AGAIN);
        assert_int_equal(add(&f, 1, 1, &tokens[5]), BH_OK);
        assert_int_equal(add(&f, 1, 0, &tokens[6]), BH_AGAIN);
        stop(&f);
    }
}

/* What the long run remembers of each buffer. */
struct ticket {
    uint16_t id;
    uint16_t slots;
    uint32_t writable;
    bool in_device;
};

static unsigned long seed;

static unsigned draw(unsigned below)
{
    seed = seed * 1103515245u + 12345u;
    return (unsigned)((seed >> 16) % below);
}

/* Takes all chains that are shown; they come in the order in which they were added. */
static void run_device_takes(struct fixture *f, struct ticket *tickets, unsigned *taken,
                             unsigned added)
{
    struct fake_chain chain;

    while (fake_pop(&f->device, 0, &chain)) {
        struct ticket *ticket = &tickets[*taken % SIZE_MAX_HERE];

        assert_true(*taken < added);
        ticket->id = chain.id;
        ticket->slots = chain.slots;
        ticket->in_device = true;
        (*taken)++;
    }
}

/* Long run: random chains in random batches, used in random order (or in order), for many laps. */
static void run(uint64_t features, uint16_t size, uint16_t indirect_max)
{
    struct fixture f;
    struct ticket tickets[SIZE_MAX_HERE];
    unsigned added = 0, taken = 0, used = 0, collected = 0;
    bool in_order = (features & BH_F_IN_ORDER) != 0;

    memset(tickets, 0, sizeof(tickets));
    start(&f, features, size, indirect_max);
    while (collected < 3000) {
        void *token;
        uint32_t written;
        int result;

        for (unsigned n = draw(4); n > 0; n--) {
            uint16_t readable = (uint16_t)(1 + draw(2));
            uint16_t writable = (uint16_t)draw(2);
            struct ticket *ticket = &tickets[added % SIZE_MAX_HERE];

            if (ticket->in_device || added - collected >= SIZE_MAX_HERE) {
                break;
            }
            result = add(&f, readable, writable, ticket);
            if (result == BH_AGAIN) {
                break;
            }
            assert_int_equal(result, BH_OK);
            ticket->writable = 16u * writable;
            added++;
        }
        assert_int_equal(bh_driver_queue_publish(&f.queue), BH_OK);
        run_device_takes(&f, tickets, &taken, added);
        assert_int_equal(taken, added);
        for (unsigned n = draw(4); n > 0 && used < taken; n--) {
            unsigned pick = in_order ? used : collected + draw(taken - collected);
            struct ticket *ticket = &tickets[pick % SIZE_MAX_HERE];

            if (ticket->in_device) {
                fake_push(&f.device, 0, ticket->id, ticket->writable, ticket->slots);
                ticket->in_device = false;
                used++;
            }
        }
        for (;;) {
            result = bh_driver_queue_collect(&f.queue, &token, &written);
            if (result == 0) {
                break;
            }
            assert_int_equal(result, 1);
            assert_false(((struct ticket *)token)->in_device);
            assert_int_equal(written, ((struct ticket *)token)->writable);
            collected++;
        }
        assert_int_equal(collected, used);
        /* Without order `collected` is only a lower bound of who is done: wait for the stragglers
         * now and then. */
        if (!in_order && draw(8) == 0) {
            for (unsigned i = 0; i < SIZE_MAX_HERE; i++) {
                if (tickets[i].in_device) {
                    fake_push(&f.device, 0, tickets[i].id, tickets[i].writable, tickets[i].slots);
                    tickets[i].in_device = false;
                    used++;
                    assert_int_equal(bh_driver_queue_collect(&f.queue, &token, &written), 1);
                    assert_ptr_equal(token, &tickets[i]);
                    collected++;
                }
            }
        }
    }
    stop(&f);
}

static void test_long_run(void **state)
{
    const uint16_t split_sizes[] = {4, 8, 64, 256};
    const uint16_t packed_sizes[] = {3, 5, 7, 64, 100, 256};

    (void)state;
    seed = 1;
    for (unsigned i = 0; i < 4; i++) {
        run(0, split_sizes[i], 0);
        run(BH_F_IN_ORDER, split_sizes[i], 0);
        run(BH_F_INDIRECT_DESC, split_sizes[i], 2);
        run(BH_F_INDIRECT_DESC | BH_F_IN_ORDER, split_sizes[i], 2);
    }
    for (unsigned i = 0; i < 6; i++) {
        run(BH_F_RING_PACKED, packed_sizes[i], 0);
        run(BH_F_RING_PACKED | BH_F_IN_ORDER, packed_sizes[i], 0);
        run(BH_F_RING_PACKED | BH_F_INDIRECT_DESC, packed_sizes[i], 2);
        run(BH_F_RING_PACKED | BH_F_INDIRECT_DESC | BH_F_IN_ORDER, packed_sizes[i], 2);
    }
}

/* In order, one used entry ends a batch: the ones before it are complete (VIRTIO 1.4, 2.7.9). */
static void test_in_order_batch(void **state)
{
    struct fixture f;
    struct fake_chain chain;
    void *token;
    uint32_t written;
    int tokens[4];

    (void)state;
    for (unsigned i = 0; i < 2; i++) {
        start(&f, formats[i] | BH_F_IN_ORDER, 8, 0);
        for (unsigned lap = 0; lap < 20; lap++) {
            uint16_t slots = 0;

            for (unsigned n = 0; n < 4; n++) {
                assert_int_equal(add(&f, 1, n % 2 == 1 ? 1 : 0, &tokens[n]), BH_OK);
            }
            assert_int_equal(bh_driver_queue_publish(&f.queue), BH_OK);
            for (unsigned n = 0; n < 3; n++) {
                assert_true(fake_pop(&f.device, 0, &chain));
                slots = (uint16_t)(slots + chain.slots);
            }
            fake_push_batch(&f.device, 0, chain.id, 0, 3, slots);
            for (unsigned n = 0; n < 3; n++) {
                assert_int_equal(bh_driver_queue_collect(&f.queue, &token, &written), 1);
                assert_ptr_equal(token, &tokens[n]);
                assert_int_equal(written, n == 1 ? 16 : 0);
            }
            assert_int_equal(bh_driver_queue_collect(&f.queue, &token, &written), 0);
            assert_true(fake_pop(&f.device, 0, &chain));
            fake_push(&f.device, 0, chain.id, 5, chain.slots);
            assert_int_equal(bh_driver_queue_collect(&f.queue, &token, &written), 1);
            assert_ptr_equal(token, &tokens[3]);
            assert_int_equal(written, 5);
        }
        stop(&f);
    }
}

static void test_packed_length_needs_write_flag(void **state)
{
    struct fixture f;
    struct fake_chain chain;
    void *token;
    uint32_t written = 99;
    int mine;

    (void)state;
    start(&f, BH_F_RING_PACKED, 8, 0);
    assert_int_equal(add(&f, 0, 1, &mine), BH_OK);
    assert_int_equal(bh_driver_queue_publish(&f.queue), BH_OK);
    assert_true(fake_pop(&f.device, 0, &chain));
    fake_packed_entry(&f.device, 0, 0, chain.id, 0xffffffff, 0x8080);
    assert_int_equal(bh_driver_queue_collect(&f.queue, &token, &written), 1);
    assert_int_equal(written, 0);
    stop(&f);
}

static void test_restart(void **state)
{
    struct fixture f;
    struct fake_chain chain;
    void *token;
    uint32_t written;
    int mine;

    (void)state;
    for (unsigned i = 0; i < 2; i++) {
        start(&f, formats[i] | BH_F_RING_RESET, 8, 0);
        (void)lap(&f, 5);
        assert_int_equal(add(&f, 2, 2, &mine), BH_OK);
        assert_int_equal(bh_driver_queue_publish(&f.queue), BH_OK);
        assert_int_equal(add(&f, 2, 2, &mine), BH_OK);
        assert_int_equal(bh_driver_queue_restart(&f.queue), BH_OK);
        assert_int_equal(f.device.queues[0].resets, 1);
        assert_int_equal(f.device.queues[0].starts, 2);
        assert_false(fake_pop(&f.device, 0, &chain));
        assert_int_equal(bh_driver_queue_collect(&f.queue, &token, &written), 0);
        for (unsigned n = 0; n < 5; n++) {
            (void)lap(&f, 8);
        }
        stop(&f);
    }
    start(&f, 0, 8, 0);
    assert_int_equal(bh_driver_queue_restart(&f.queue), BH_UNSUPPORTED);
    (void)lap(&f, 8);
    stop(&f);
}

static void test_start_refused(void **state)
{
    struct fixture f;
    struct bh_driver_queue_setup setup = {
        .transport = &f.device.transport,
        .dma = &f.device.dma,
        .slots = f.slots,
        .features = BH_F_VERSION_1,
        .index = 0,
        .size = 6,
        .indirect_max = 0,
    };

    (void)state;
    fake_init(&f.device);
    assert_int_equal(bh_driver_queue_init(&f.queue, &setup), BH_INVALID);
    setup.size = 0;
    assert_int_equal(bh_driver_queue_init(&f.queue, &setup), BH_INVALID);
    setup.size = 32769;
    setup.features |= BH_F_RING_PACKED;
    assert_int_equal(bh_driver_queue_init(&f.queue, &setup), BH_INVALID);
    setup.size = 257;
    assert_int_equal(bh_driver_queue_init(&f.queue, &setup), BH_LIMIT);
    setup.size = 8;
    setup.index = FAKE_QUEUES;
    assert_int_equal(bh_driver_queue_init(&f.queue, &setup), BH_LIMIT);
    setup.index = 0;
    f.device.start_error = BH_GONE;
    assert_int_equal(bh_driver_queue_init(&f.queue, &setup), BH_GONE);
    assert_int_equal(add(&f, 1, 0, &f), BH_PROTOCOL); /* it does not run */
    f.device.start_error = BH_OK;
    setup.features |= BH_F_INDIRECT_DESC;
    setup.indirect_max = UINT16_MAX; /* 8 MiB of tables */
    assert_int_equal(bh_driver_queue_init(&f.queue, &setup), BH_NO_MEMORY);
    setup.indirect_max = 4;
    assert_int_equal(bh_driver_queue_init(&f.queue, &setup), BH_OK);
    stop(&f);
}

/* The documented size is enough for the queue, wherever the memory begins, and less is not. */
static void test_bytes(void **state)
{
    struct fixture f;
    const uint16_t sizes[] = {1, 8, 32};

    (void)state;
    for (unsigned i = 0; i < 12; i++) {
        bool packed = i % 2 == 1;
        uint16_t indirect_max = i / 2 % 2 == 1 ? 3 : 0;
        struct bh_driver_queue_setup setup = {
            .transport = &f.device.transport,
            .dma = &f.device.dma,
            .slots = f.slots,
            .features = formats[i % 2] | BH_F_INDIRECT_DESC,
            .index = 0,
            .size = sizes[i / 4],
            .indirect_max = indirect_max,
        };
        size_t bytes = (size_t)bh_driver_queue_bytes(setup.size, indirect_max, packed);

        fake_init(&f.device);
        f.device.dma.used = 1;
        f.device.dma.size = 1 + bytes;
        assert_int_equal(bh_driver_queue_init(&f.queue, &setup), BH_OK);
        assert_int_equal(f.device.queues[0].areas.descriptor % 16, 0);
        assert_int_equal(f.device.queues[0].areas.driver % 4, 0);
        assert_int_equal(f.device.queues[0].areas.device % 4, 0);
        f.device.queues[0].running = false;
        f.device.dma.used = 1;
        f.device.dma.size = bytes - 2;
        assert_int_equal(bh_driver_queue_init(&f.queue, &setup), BH_NO_MEMORY);
        stop(&f);
    }
    assert_true(bh_driver_queue_bytes(32768, 65535, true) > UINT32_MAX);
}

static void test_base(void **state)
{
    struct fixture f;

    (void)state;
    start(&f, 0, 8, 0);
    assert_int_equal(bh_driver_queue_base(&f.queue), 0);
    (void)lap(&f, 5);
    assert_int_equal(bh_driver_queue_base(&f.queue), 5);
    stop(&f);
    start(&f, BH_F_RING_PACKED, 7, 0);
    assert_true(bh_driver_queue_base(&f.queue) == 0x80008000u);
    (void)lap(&f, 5);
    (void)lap(&f, 4);
    assert_true(bh_driver_queue_base(&f.queue) == 0x00020002u);
    stop(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_elements_arrive),
        cmocka_unit_test(test_indirect_needs_the_feature),
        cmocka_unit_test(test_refused_buffers),
        cmocka_unit_test(test_full),
        cmocka_unit_test(test_long_run),
        cmocka_unit_test(test_in_order_batch),
        cmocka_unit_test(test_packed_length_needs_write_flag),
        cmocka_unit_test(test_restart),
        cmocka_unit_test(test_start_refused),
        cmocka_unit_test(test_bytes),
        cmocka_unit_test(test_base),
    };

    return cmocka_run_group_tests_name("driver_queue", tests, NULL, NULL);
}
