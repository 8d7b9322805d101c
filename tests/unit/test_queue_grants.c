/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Tests of queues over memory that is mapped for each request (bh_memory_ops): whatever is acquired
 * is released exactly once, on every way out. The list of what is held is kept by fake_grants.
 */
#include "fake_grants.h"

#include <stdlib.h>
#include <string.h>

struct setup {
    struct guest guest;
    struct fake_grants grants;
};

/* A guest with a running queue of 16 entries; its rings lie in a region, its data in grants. */
static struct guest *begin(struct setup *setup, void **state, uint64_t features)
{
    const struct guest *parameters = *state;

    guest_init(&setup->guest, parameters->packed, 16, features);
    fake_grants_init(&setup->grants, &setup->guest);
    return &setup->guest;
}

static void end(struct setup *setup)
{
    fake_grants_finish(&setup->grants);
    guest_finish(&setup->guest);
}

static void rings_in_grants(struct guest *guest)
{
    guest->setup.descriptor = GRANT + 0x1000;
    guest->setup.driver = GRANT + 0x2000;
    guest->setup.device = GRANT + 0x3000;
}

static void test_rings_are_held_for_the_life_of_the_queue(void **state)
{
    struct setup setup;
    struct guest *guest = begin(&setup, state, 0);
    struct bh_chain chain;

    rings_in_grants(guest);
    guest_start(guest);
    assert_int_equal(setup.grants.held_count, 3);
    assert_true((setup.grants.access & BH_ACCESS_RING) != 0);
    assert_int_equal(bh_queue_pop(&guest->queue, &chain), 0);
    assert_int_equal(bh_queue_stop(&guest->queue), BH_OK);
    assert_int_equal(setup.grants.held_count, 0);
    assert_int_equal(bh_queue_stop(&guest->queue), BH_OK);
    end(&setup);
}

static void test_start_that_fails_holds_nothing(void **state)
{
    static const int errors[] = {BH_AGAIN, BH_DENIED, BH_GONE};
    struct setup setup;
    struct guest *guest = begin(&setup, state, 0);
    unsigned error;
    uint32_t n;

    rings_in_grants(guest);
    for (error = 0; error < 3; error++) {
        for (n = 1; n <= 3; n++) {
            fake_grants_fail(&setup.grants, n, errors[error]);
            assert_int_equal(bh_queue_start(&guest->queue, &guest->memory, &guest->setup),
                             errors[error]);
            assert_int_equal(guest->queue.state, BH_QUEUE_STOPPED);
            assert_int_equal(setup.grants.held_count, 0);
        }
    }
    guest_start(guest);
    assert_int_equal(bh_queue_stop(&guest->queue), BH_OK);
    end(&setup);
}

static void test_ring_in_two_pieces_is_refused(void **state)
{
    struct setup setup;
    struct guest *guest = begin(&setup, state, 0);

    rings_in_grants(guest);
    guest->setup.descriptor = GRANT + 0x1ff0;
    assert_int_equal(bh_queue_start(&guest->queue, &guest->memory, &guest->setup), BH_DENIED);
    assert_int_equal(setup.grants.held_count, 0);
    end(&setup);
}

/* Two readable buffers of one and two pages, one in a region, three writable: 8 spans. */
static const struct guest_buffer long_chain[] = {
    {GRANT, 100, R},        {GRANT + 0x1f00, 0x200, R}, {GUEST_DATA, 16, R},
    {GRANT + 0x3000, 8, W}, {GRANT + 0x4ff8, 16, W},    {GRANT + 0x6000, 1, W},
};
#define LONG_BUFFERS 6
#define LONG_SPANS   8
#define LONG_HELD    7

/* All in grants, and inline. */
static const struct guest_buffer short_chain[] = {
    {GRANT, 16, R},
    {GRANT + 0x1000, 512, W},
    {GRANT + 0x2000, 1, W},
};

static void test_chain_is_released_by_push(void **state)
{
    struct setup setup;
    struct guest *guest = begin(&setup, state, 0);
    struct bh_chain chains[2];

    guest_start(guest);
    guest_offer(guest, long_chain, LONG_BUFFERS, 0);
    guest_offer(guest, short_chain, 3, 8);
    guest_pop(guest, &chains[0]);
    assert_int_equal(setup.grants.held_count, LONG_HELD);
    assert_int_equal(chains[0].readable_count + chains[0].writable_count, LONG_SPANS);
    assert_ptr_equal(chains[0].spans[2].base, fake_grants_at(&setup.grants, GRANT + 0x2000));
    guest_pop(guest, &chains[1]);
    assert_int_equal(setup.grants.access, BH_ACCESS_WRITE);
    assert_int_equal(setup.grants.held_count, LONG_HELD + 3);
    bh_queue_push(&guest->queue, &chains[0], 1);
    assert_int_equal(setup.grants.held_count, 3);
    bh_queue_push(&guest->queue, &chains[1], 1);
    assert_int_equal(setup.grants.held_count, 0);
    (void)bh_queue_publish(&guest->queue);
    guest_expect_used(guest, 0, 1);
    guest_expect_used(guest, 8, 1);
    end(&setup);
}

static void test_cut_chain_is_released_too(void **state)
{
    struct setup setup;
    struct guest *guest = begin(&setup, state, 0);
    struct bh_chain chain;
    uint8_t *status = NULL;
    uint32_t cut;

    guest_start(guest);
    for (cut = 0; cut <= 100u + 0x200u + 16u; cut += 50) {
        guest_offer(guest, long_chain, LONG_BUFFERS, 0);
        guest_pop(guest, &chain);
        assert_int_equal(bh_chain_cut_header(&chain, cut), BH_OK);
        assert_int_equal(bh_chain_cut_status(&chain, &status), BH_OK);
        assert_ptr_equal(status, fake_grants_at(&setup.grants, GRANT + 0x6000));
        assert_int_equal(bh_chain_cut_status(&chain, &status), BH_OK);
        bh_queue_push(&guest->queue, &chain, 1);
        assert_int_equal(setup.grants.held_count, 0);
        (void)bh_queue_publish(&guest->queue);
        guest_expect_used(guest, 0, 1);
    }
    end(&setup);
}

/* Every acquire of a chain fails in turn, with each error; `acquires`: how many there are. */
static void fail_everywhere(struct setup *setup, uint32_t acquires)
{
    static const int errors[] = {BH_DENIED, BH_GONE, BH_AGAIN};
    struct guest *guest = &setup->guest;
    unsigned error;
    uint32_t n;

    for (n = 1; n <= acquires; n++) {
        for (error = 0; error < 3; error++) {
            struct bh_chain chain;

            fake_grants_fail(&setup->grants, n, errors[error]);
            if (errors[error] != BH_AGAIN) {
                guest_pop_fault(guest, errors[error]);
                assert_int_equal(setup->grants.held_count, 0);
                assert_int_equal(bh_queue_stop(&guest->queue), BH_OK);
                guest_start(guest);
                continue;
            }
            assert_int_equal(bh_queue_pop(&guest->queue, &chain), BH_AGAIN);
            assert_int_equal(setup->grants.held_count, 0);
            assert_int_equal(guest->queue.state, BH_QUEUE_RUNNING);
            assert_int_equal(guest->queue.in_flight, 0);
            assert_int_equal(guest->pool.free_count, GUEST_BLOCKS);
        }
    }
}

static void test_failure_in_mid_chain_releases_all(void **state)
{
    struct setup setup;
    struct guest *guest = begin(&setup, state, 0);
    struct bh_chain chain;

    guest_start(guest);
    guest_offer(guest, long_chain, LONG_BUFFERS, 0);
    /* Five buffers in grants, and one more attempt when the chain goes over to the pool. */
    fail_everywhere(&setup, 5);
    /* After all that the chain comes unchanged. */
    guest_pop(guest, &chain);
    assert_int_equal(chain.readable_bytes, 100 + 0x200 + 16);
    assert_int_equal(chain.writable_bytes, 8 + 16 + 1);
    assert_int_equal(chain.readable_count, 4);
    assert_int_equal(setup.grants.held_count, LONG_HELD);
    guest_complete(guest, &chain, 25);
    end(&setup);
}

static void test_failure_with_indirect_releases_all(void **state)
{
    struct setup setup;
    struct guest *guest = begin(&setup, state, BH_F_INDIRECT_DESC);
    struct bh_chain chain;
    unsigned i;

    guest_start(guest);
    /* The table is built in a region, and then copied over the seam of two pages. */
    guest_table(guest, GUEST_TABLE, long_chain, LONG_BUFFERS);
    for (i = 0; i < 16u * LONG_BUFFERS; i++) {
        *fake_grants_at(&setup.grants, GRANT + 0x9fe8 + i) = *guest_at(guest, GUEST_TABLE + i);
    }
    guest_offer_indirect(guest, GRANT + 0x9fe8, 16 * LONG_BUFFERS, 3);
    fail_everywhere(&setup, 6);
    guest_pop(guest, &chain);
    assert_int_equal(chain.readable_bytes, 100 + 0x200 + 16);
    assert_int_equal(chain.writable_bytes, 8 + 16 + 1);
    /* The table itself is not held any more. */
    assert_int_equal(setup.grants.held_count, LONG_HELD);
    guest_complete(guest, &chain, 25);
    end(&setup);
}

static void test_violation_late_in_a_table_releases_all(void **state)
{
    struct setup setup;
    struct guest *guest = begin(&setup, state, BH_F_INDIRECT_DESC);
    struct guest_buffer buffers[LONG_BUFFERS];

    memcpy(buffers, long_chain, sizeof(buffers));
    buffers[LONG_BUFFERS - 1].flags = R;
    guest_start(guest);
    guest_table(guest, GUEST_TABLE, buffers, LONG_BUFFERS);
    memcpy(fake_grants_at(&setup.grants, GRANT + 0x9000), guest_at(guest, GUEST_TABLE),
           sizeof(struct bh_split_desc) * LONG_BUFFERS);
    guest_offer_indirect(guest, GRANT + 0x9000, 16 * LONG_BUFFERS, 3);
    guest_pop_fault(guest, BH_PROTOCOL);
    assert_int_equal(setup.grants.held_count, 0);
    end(&setup);
}

static void test_too_many_pieces_release_all(void **state)
{
    struct setup setup;
    struct guest *guest = begin(&setup, state, 0);
    const struct guest_buffer buffers[] = {{GRANT, 0x8001, R}, {GRANT, 0x8000, R}};

    guest_start(guest);
    /* 9 and 8 pages; the limit is 16 spans. */
    guest_offer(guest, buffers, 2, 0);
    guest_pop_fault(guest, BH_LIMIT);
    assert_int_equal(setup.grants.held_count, 0);
    end(&setup);
}

static void test_region_that_goes_on_in_grants(void **state)
{
    struct setup setup;
    struct guest *guest = begin(&setup, state, 0);
    struct bh_chain chain;

    /* A region right before the grants: one buffer, two kinds of memory. */
    guest->regions[2] = (struct bh_region){GRANT - GUEST_ROM_SIZE, GUEST_ROM_SIZE, guest->rom,
                                           BH_ACCESS_READ | BH_ACCESS_WRITE};
    guest_start(guest);
    guest_offer_one(guest, GRANT - 16, 32, W, 0);
    fail_everywhere(&setup, 1);
    guest_pop(guest, &chain);
    assert_int_equal(chain.writable_count, 2);
    assert_int_equal(setup.grants.held_count, 1);
    guest_complete(guest, &chain, 32);
    assert_int_equal(setup.grants.held_count, 0);
    end(&setup);
}

static void test_faulty_and_draining_queues_release(void **state)
{
    struct setup setup;
    struct guest *guest = begin(&setup, state, 0);
    struct bh_chain chains[2];

    guest_start(guest);
    guest_offer(guest, short_chain, 3, 0);
    guest_offer(guest, short_chain, 3, 3);
    guest_offer_one(guest, GUEST_HOLE, 1, R, 6);
    guest_pop(guest, &chains[0]);
    guest_pop(guest, &chains[1]);
    guest_pop_fault(guest, BH_DENIED);
    assert_int_equal(setup.grants.held_count, 6);
    bh_queue_push(&guest->queue, &chains[0], 1);
    assert_int_equal(setup.grants.held_count, 3);
    assert_int_equal(bh_queue_stop(&guest->queue), BH_AGAIN);
    bh_queue_push(&guest->queue, &chains[1], 1);
    assert_int_equal(setup.grants.held_count, 0);
    end(&setup);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST_BOTH(test_rings_are_held_for_the_life_of_the_queue),
        TEST_BOTH(test_start_that_fails_holds_nothing),
        TEST_BOTH(test_ring_in_two_pieces_is_refused),
        TEST_BOTH(test_chain_is_released_by_push),
        TEST_BOTH(test_cut_chain_is_released_too),
        TEST_BOTH(test_failure_in_mid_chain_releases_all),
        TEST_BOTH(test_failure_with_indirect_releases_all),
        TEST_BOTH(test_violation_late_in_a_table_releases_all),
        TEST_BOTH(test_too_many_pieces_release_all),
        TEST_BOTH(test_region_that_goes_on_in_grants),
        TEST_BOTH(test_faulty_and_draining_queues_release),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
