/* SPDX-License-Identifier: BSD-2-Clause */
/* The relay between the guest and a back end that lies, scribbles, and promises what it did not do. */
#include "relay_rig.h"

#include <string.h>

#include "bulkhead/bytes.h"
#include "bulkhead/virtio_blk.h"

#define AT(n) (GUEST_DATA + 0x2000u * (uint64_t)(n))

static struct relay_rig *rig_of(uint64_t back, bool shared)
{
    const struct rig_setup setup = {.back_features = back, .shared = shared};

    return rig_new(&setup);
}

static void offer(struct relay_rig *rig, uint16_t count)
{
    for (uint16_t n = 0; n < count; n++) {
        rig_offer_blk(rig, BH_BLK_T_IN, AT(n), 4096, (uint16_t)(n * 3));
    }
    rig_kick(rig);
}

/* ---- lies ---- */

struct lie {
    const char *reason;
    uint32_t id;
    uint32_t length;
    uint16_t index; /* split: the used index that is written */
};

/* Writes used entry 0 of the back end's ring, as the lie has it. */
static void tell(struct relay_rig *rig, const struct lie *lie, bool packed)
{
    const struct bh_queue_areas *areas = &rig->back.areas[0];
    struct bh_packed_desc *desc =
        (struct bh_packed_desc *)(void *)rig_back_at(rig, areas->descriptor, 16);
    uint8_t *used = rig_back_at(rig, areas->device, 4);

    if (packed) {
        desc->id = (uint16_t)lie->id;
        desc->length = lie->length;
        desc->flags = BH_DESC_AVAIL | BH_DESC_USED | BH_DESC_WRITE;
        return;
    }
    memcpy(used + 4, &lie->id, 4);
    memcpy(used + 8, &lie->length, 4);
    memcpy(used + 2, &lie->index, 2);
}

static void expect_lie(struct relay_rig *rig, const struct lie *lie)
{
    struct bh_chain chain;
    uint32_t served = 0;

    assert_int_equal(rig->lies, 0);
    assert_int_equal(rig_called(rig, 0), 0);
    assert_int_equal(rig->lies, 1);
    assert_int_equal(rig->lied_queue, 0);
    assert_string_equal(rig->lie, lie->reason);
    guest_expect_nothing(&rig->guest);
    /* It is not asked again, and not accused twice. */
    assert_int_equal(rig_called(rig, 0), 0);
    bh_relay_detach(rig->relay, true);
    assert_int_equal(rig->lies, 1);
    guest_expect_nothing(&rig->guest);
    assert_int_equal(rig_attach(rig), BH_OK);
    while (rig_take(rig, 0, &chain)) {
        rig_give(rig, 0, &chain, chain.writable_bytes);
        served++;
    }
    assert_int_equal(served, 3);
    assert_int_equal(rig_called(rig, 0), 3);
    assert_int_equal(rig->lies, 1);
}

/* [BH-ISO-5] */
static void lies_split(void **state)
{
    static const struct lie lies[] = {
        {"used id out of range", 256, 1, 1},
        {"used id out of range", UINT32_MAX, 1, 1},
        {"used id of no buffer in flight", 60, 1, 1},
        {"used length beyond the buffer", 0, 4098, 1},
        {"used length beyond the buffer", 0, UINT32_MAX, 1},
        {"used index ahead of what was made available", 0, 1, 4},
        {"used index ahead of what was made available", 0, 1, UINT16_MAX},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(lies) / sizeof(lies[0]); i++) {
        struct relay_rig *rig = rig_of(0, i % 2 != 0);

        offer(rig, 3);
        tell(rig, &lies[i], false);
        expect_lie(rig, &lies[i]);
        rig_free(rig);
    }
}

/* [BH-ISO-5] */
static void lies_packed(void **state)
{
    static const struct lie lies[] = {
        {"used id out of range", 256, 1, 0},
        {"used id of no buffer in flight", 60, 1, 0},
        {"used length beyond the buffer", 0, 5000, 0},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(lies) / sizeof(lies[0]); i++) {
        struct relay_rig *rig = rig_of(BH_F_RING_PACKED, i % 2 != 0);

        offer(rig, 3);
        tell(rig, &lies[i], true);
        expect_lie(rig, &lies[i]);
        rig_free(rig);
    }
}

/* [BH-ISO-5] */
static void the_same_twice(void **state)
{
    struct relay_rig *rig = rig_of(0, false);
    struct bh_chain chain;
    struct bh_chain again;

    (void)state;
    offer(rig, 3);
    assert_true(rig_take(rig, 0, &chain));
    again = chain;
    again.spans = again.inline_spans;
    rig_give(rig, 0, &chain, chain.writable_bytes);
    rig->back.queues[0].in_flight++;
    rig_give(rig, 0, &again, again.writable_bytes);
    assert_int_equal(rig_called(rig, 0), 1);
    assert_int_equal(rig->lies, 1);
    assert_string_equal(rig->lie, "used id of no buffer in flight");
    guest_expect_used(&rig->guest, 0, 4097);
    guest_expect_nothing(&rig->guest);
    rig_free(rig);
}

/* ---- what reaches the guest's memory ---- */

/* [BH-ISO-4] Only as much as the back end says that it wrote, and the status. */
static void only_what_was_written(void **state)
{
    struct relay_rig *rig = rig_of(0, false);
    uint8_t *data = guest_at(&rig->guest, rig_data_at(AT(0)));
    uint8_t bytes[4097];
    struct bh_chain chain;

    (void)state;
    offer(rig, 1);
    memset(data, 0x11, 4096);
    assert_true(rig_take(rig, 0, &chain));
    memset(bytes, 0xbb, sizeof(bytes));
    bytes[4096] = BH_BLK_S_OK;
    (void)bh_chain_write(&chain, 0, bytes, sizeof(bytes));
    rig_give(rig, 0, &chain, 100);
    assert_int_equal(rig_called(rig, 0), 1);
    guest_expect_used(&rig->guest, 0, 100);
    for (uint32_t i = 0; i < 4096; i++) {
        assert_int_equal(data[i], i < 100 ? 0xbb : 0x11);
    }
    assert_int_equal(data[4096], BH_BLK_S_OK);
    rig_free(rig);
}

/* Data in and data out of one request: each byte of the answer comes from where it was written. */
static void data_both_ways(void **state)
{
    struct relay_rig *rig = rig_of(0, false);
    const struct guest_buffer buffers[5] = {
        {GUEST_DATA, 16, R},         {GUEST_DATA + 0x400, 700, R},  {GUEST_DATA + 0x800, 900, W},
        {GUEST_DATA + 0x1000, 3, W}, {GUEST_DATA + 0x1800, 800, W},
    };
    uint8_t bytes[1703];
    struct bh_chain chain;

    (void)state;
    guest_offer(&rig->guest, buffers, 5, 0);
    rig_kick(rig);
    assert_true(rig_take(rig, 0, &chain));
    for (uint32_t i = 0; i < sizeof(bytes); i++) {
        bytes[i] = (uint8_t)(i % 251);
    }
    assert_int_equal(bh_chain_write(&chain, 0, bytes, sizeof(bytes)), sizeof(bytes));
    rig_give(rig, 0, &chain, sizeof(bytes));
    assert_int_equal(rig_called(rig, 0), 1);
    assert_memory_equal(guest_at(&rig->guest, buffers[2].address), bytes, 900);
    assert_memory_equal(guest_at(&rig->guest, buffers[3].address), bytes + 900, 3);
    assert_memory_equal(guest_at(&rig->guest, buffers[4].address), bytes + 903, 800);
    rig_free(rig);
}

/* Nobody is accused of what they leave behind: they are over already. */
static void a_lie_in_the_last_words(void **state)
{
    static const struct lie lie = {"", UINT32_MAX, 1, 1};
    struct relay_rig *rig = rig_of(0, false);
    struct bh_chain chain;

    (void)state;
    offer(rig, 1);
    tell(rig, &lie, false);
    bh_relay_detach(rig->relay, true);
    assert_int_equal(rig->lies, 0);
    guest_expect_nothing(&rig->guest);
    assert_int_equal(rig_attach(rig), BH_OK);
    assert_true(rig_take(rig, 0, &chain));
    rig_free(rig);
}

/* A status that the back end leaves alone stays as the guest set it. */
static void a_status_that_is_not_written(void **state)
{
    struct relay_rig *rig = rig_of(0, false);
    struct bh_chain chain;

    (void)state;
    offer(rig, 1);
    assert_true(rig_take(rig, 0, &chain));
    rig_give(rig, 0, &chain, 0);
    assert_int_equal(rig_called(rig, 0), 1);
    assert_int_equal(*guest_at(&rig->guest, rig_status_at(AT(0), 4096)), 0xee);
    rig_free(rig);
}

/* [BH-ISO-4] A back end that writes all over what it maps changes the buffers that it was given, and nothing else:
 * bounce. */
static void scribbling(void **state)
{
    struct relay_rig *rig = rig_of(0, false);
    static uint8_t before[GUEST_LOW_SIZE];
    uint64_t first = rig_data_at(AT(0)) - GUEST_LOW;

    (void)state;
    offer(rig, 1);
    memcpy(before, rig->guest.low, sizeof(before));
    memset(rig->arena, 0xff, rig->device.arena_size);
    (void)rig_called(rig, 0);
    assert_int_equal(rig->lies, 1);
    assert_memory_equal(before, rig->guest.low, sizeof(before));
    bh_relay_detach(rig->relay, true);
    assert_memory_equal(before, rig->guest.low, sizeof(before));

    /* And one that uses the ring as it should, and scribbles everywhere else. */
    assert_int_equal(rig_attach(rig), BH_OK);
    struct bh_chain chain;
    assert_true(rig_take(rig, 0, &chain));
    for (uint32_t i = 0; i < chain.readable_count + (uint32_t)chain.writable_count; i++) {
        uint8_t *page = rig->arena + ((uint64_t)(chain.spans[i].base - rig->arena) & ~4095u);

        memset(page, 0xff, 4096);
    }
    rig_give(rig, 0, &chain, chain.writable_bytes);
    memcpy(before, rig->guest.low, GUEST_DATA - GUEST_LOW);
    assert_int_equal(rig_called(rig, 0), 1);
    for (uint64_t i = GUEST_DATA - GUEST_LOW; i < GUEST_LOW_SIZE; i++) {
        bool given = i >= first && i < first + 4097;

        assert_int_equal(rig->guest.low[i], given ? 0xff : before[i]);
    }
    rig_free(rig);
}

/* A header that the guest writes into the shared part is passed by address; one that is not, is not:
 * a span that lies half in it is copied. */
static void half_shared(void **state)
{
    struct relay_rig *rig = rig_of(0, true);
    const struct guest_buffer buffers[3] = {
        {GUEST_DATA - 8, 16, R}, /* half of it is shared */
        {GUEST_DATA + 0x100, 512, W},
        {GUEST_HIGH, 1, W}, /* not shared at all */
    };
    struct bh_chain chain;
    uint8_t header[16];

    (void)state;
    memset(guest_at(&rig->guest, GUEST_DATA - 8), 0x42, 16);
    guest_offer(&rig->guest, buffers, 3, 0);
    rig_kick(rig);
    assert_true(rig_take(rig, 0, &chain));
    assert_int_equal(bh_chain_read(&chain, 0, header, 16), 16);
    assert_int_equal(header[0], 0x42);
    assert_int_equal(header[15], 0x42);
    assert_true(chain.spans[0].base >= rig->arena);
    assert_true(chain.spans[0].base < rig->arena + rig->device.arena_size);
    assert_ptr_equal(chain.spans[1].base, guest_at(&rig->guest, GUEST_DATA + 0x100));
    assert_true(chain.spans[2].base >= rig->arena);
    assert_int_equal(rig->counters.copied, 16);
    rig_give(rig, 0, &chain, 513);
    assert_int_equal(rig_called(rig, 0), 1);
    assert_int_equal(rig->counters.copied, 17);
    rig_free(rig);
}

/* So is one that begins in shared memory and ends behind it. */
static void shared_up_to_an_end(void **state)
{
    struct relay_rig *rig = rig_of(0, true);
    const struct bh_relay_range range = {GUEST_DATA, 0x100};
    const struct guest_buffer buffers[3] = {
        {GUEST_DATA + 0xf0, 16, R},
        {GUEST_DATA + 0xff, 2, W},
        {GUEST_DATA + 0x100, 1, W},
    };
    struct bh_chain chain;

    (void)state;
    bh_relay_share(rig->relay, &range, 1);
    assert_int_equal(rig_attach(rig), BH_OK);
    guest_offer(&rig->guest, buffers, 3, 0);
    rig_kick(rig);
    assert_true(rig_take(rig, 0, &chain));
    assert_ptr_equal(chain.spans[0].base, guest_at(&rig->guest, GUEST_DATA + 0xf0));
    for (uint32_t i = 1; i < 3; i++) {
        assert_true(chain.spans[i].base >= rig->arena);
        assert_true(chain.spans[i].base < rig->arena + rig->device.arena_size);
    }
    rig_free(rig);
}

/* Shared memory counts from the next back end on. */
static void shares_take_effect_at_attach(void **state)
{
    struct relay_rig *rig = rig_of(0, true);
    struct bh_chain chain;

    (void)state;
    offer(rig, 1);
    bh_relay_share(rig->relay, NULL, 0);
    assert_true(rig_take(rig, 0, &chain));
    assert_ptr_equal(chain.spans[1].base, guest_at(&rig->guest, rig_data_at(AT(0))));
    assert_int_equal(rig_attach(rig), BH_OK);
    assert_true(rig_take(rig, 0, &chain));
    assert_true(chain.spans[1].base >= rig->arena);
    assert_true(chain.spans[1].base < rig->arena + rig->device.arena_size);
    assert_int_equal((uintptr_t)chain.spans[1].base % 4096, 0);
    rig_free(rig);
}

/* A guest that breaks its ring stops its device; what was in flight is let go when it comes back. */
static void a_guest_that_breaks_its_ring(void **state)
{
    struct relay_rig *rig = rig_of(0, false);
    struct bh_chain chain;

    (void)state;
    offer(rig, 1);
    guest_split_offer(&rig->guest, 9999);
    rig_kick(rig);
    assert_int_equal(rig->failed, 1);
    assert_true(rig_take(rig, 0, &chain));
    rig_give(rig, 0, &chain, 4097);
    assert_int_equal(rig_called(rig, 0), 1);
    guest_expect_nothing(&rig->guest);
    assert_int_equal(rig->counters.in_flight, 0);
    assert_int_equal(bh_device_queue_stop(bh_relay_device(rig->relay), 0), BH_OK);
    rig_free(rig);
}

/* Calls for nothing, for queues that are not there, and without a back end. */
static void calls_for_nothing(void **state)
{
    struct relay_rig *rig = rig_of(0, false);

    (void)state;
    offer(rig, 1);
    for (uint32_t i = 0; i < 100; i++) {
        assert_int_equal(rig_called(rig, (uint16_t)i), 0);
    }
    assert_int_equal(rig_called(rig, UINT16_MAX), 0);
    bh_relay_detach(rig->relay, true);
    assert_int_equal(rig_called(rig, 0), 0);
    bh_relay_detach(rig->relay, true);
    assert_int_equal(rig->lies, 0);
    rig_free(rig);
}

/* Chains without a byte, with only one part, with empty descriptors. */
static void weird_chains(void **state)
{
    struct relay_rig *rig = rig_of(0, false);
    const struct guest_buffer empty = {GUEST_DATA, 0, W};
    const struct guest_buffer holes[4] = {
        {GUEST_DATA, 0, R}, {GUEST_DATA, 7, R}, {GUEST_DATA, 0, W}, {GUEST_DATA + 64, 9, W}};
    struct bh_chain chain;

    (void)state;
    guest_offer(&rig->guest, &empty, 1, 0);
    guest_offer(&rig->guest, holes, 4, 4);
    guest_offer_one(&rig->guest, GUEST_DATA, 3, R, 8);
    guest_offer_one(&rig->guest, GUEST_ROM, 3, R, 9);
    rig_kick(rig);
    guest_expect_used(&rig->guest, 0, 0);
    assert_true(rig_take(rig, 0, &chain));
    assert_int_equal(chain.readable_bytes, 7);
    assert_int_equal(chain.writable_bytes, 9);
    rig_give(rig, 0, &chain, 9);
    assert_true(rig_take(rig, 0, &chain));
    assert_int_equal(chain.readable_bytes, 3);
    rig_give(rig, 0, &chain, 0);
    assert_true(rig_take(rig, 0, &chain));
    rig_give(rig, 0, &chain, 0);
    assert_int_equal(rig_called(rig, 0), 3);
    guest_expect_used(&rig->guest, 4, 9);
    guest_expect_used(&rig->guest, 8, 0);
    guest_expect_used(&rig->guest, 9, 0);
    rig_free(rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lies_split),
        cmocka_unit_test(lies_packed),
        cmocka_unit_test(the_same_twice),
        cmocka_unit_test(only_what_was_written),
        cmocka_unit_test(data_both_ways),
        cmocka_unit_test(a_lie_in_the_last_words),
        cmocka_unit_test(a_status_that_is_not_written),
        cmocka_unit_test(scribbling),
        cmocka_unit_test(half_shared),
        cmocka_unit_test(shared_up_to_an_end),
        cmocka_unit_test(shares_take_effect_at_attach),
        cmocka_unit_test(a_guest_that_breaks_its_ring),
        cmocka_unit_test(calls_for_nothing),
        cmocka_unit_test(weird_chains),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
