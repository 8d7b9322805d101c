/* SPDX-License-Identifier: BSD-2-Clause */
/* The relay: requests there and back, in all ring formats, by address and by copy. */
#include "relay_rig.h"

#include <string.h>

#include "bulkhead/virtio_blk.h"

struct combination {
    uint64_t guest;
    uint64_t back;
    bool shared;
};

static struct relay_rig *made(const struct combination *combination)
{
    const struct rig_setup setup = {
        .guest_features = combination->guest,
        .back_features = combination->back,
        .shared = combination->shared,
    };

    return rig_new(&setup);
}

/* The back end serves one read: checks the header, fills data with `byte`, and the status. */
static void serve_read(struct relay_rig *rig, uint16_t index, uint8_t byte)
{
    struct bh_chain chain;
    struct bh_blk_header header;
    uint8_t data[8192];
    uint8_t status = BH_BLK_S_OK;

    assert_true(rig_take(rig, index, &chain));
    assert_int_equal(bh_chain_read(&chain, 0, &header, sizeof(header)), sizeof(header));
    assert_int_equal(header.type, BH_BLK_T_IN);
    memset(data, byte, sizeof(data));
    assert_true(chain.writable_bytes <= sizeof(data));
    (void)bh_chain_write(&chain, 0, data, chain.writable_bytes - 1);
    (void)bh_chain_write(&chain, chain.writable_bytes - 1, &status, 1);
    rig_give(rig, index, &chain, chain.writable_bytes);
}

static void read_round(struct relay_rig *rig, uint64_t at, uint16_t head, uint8_t byte)
{
    uint8_t *data = guest_at(&rig->guest, rig_data_at(at));

    rig_offer_blk(rig, BH_BLK_T_IN, at, 4096, head);
    memset(data, 0x11, 4096);
    rig_kick(rig);
    serve_read(rig, 0, byte);
    guest_expect_nothing(&rig->guest);
    assert_int_equal(rig_called(rig, 0), 1);
    guest_expect_used(&rig->guest, head, 4097);
    for (uint32_t i = 0; i < 4096; i++) {
        assert_int_equal(data[i], byte);
    }
    assert_int_equal(*guest_at(&rig->guest, rig_status_at(at, 4096)), BH_BLK_S_OK);
}

static void reads_in_every_combination(void **state)
{
    static const struct combination all[] = {
        {0, 0, false},
        {0, BH_F_RING_PACKED, false},
        {BH_F_RING_PACKED, 0, false},
        {BH_F_RING_PACKED, BH_F_RING_PACKED, false},
        {0, 0, true},
        {0, BH_F_RING_PACKED, true},
        {BH_F_RING_PACKED, 0, true},
        {BH_F_RING_PACKED, BH_F_RING_PACKED, true},
        {BH_F_EVENT_IDX, BH_F_EVENT_IDX, false},
        {BH_F_EVENT_IDX | BH_F_RING_PACKED, BH_F_EVENT_IDX | BH_F_RING_PACKED, true},
        {BH_F_IN_ORDER, BH_F_INDIRECT_DESC, false},
        {BH_F_IN_ORDER | BH_F_RING_PACKED, BH_F_INDIRECT_DESC | BH_F_RING_PACKED, true},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
        struct relay_rig *rig = made(&all[i]);

        for (uint16_t round = 0; round < 200; round++) {
            read_round(rig, GUEST_DATA + 0x100, (uint16_t)(round % 60), (uint8_t)round);
        }
        assert_int_equal(rig->counters.requests, 200);
        assert_int_equal(rig->counters.copied, all[i].shared ? 0 : 200 * (16 + 4097));
        assert_int_equal(rig->counters.in_flight, 0);
        assert_int_equal(rig->counters.arena_used, 0);
        assert_int_equal(rig->lies, 0);
        rig_free(rig);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_in_every_combination),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
