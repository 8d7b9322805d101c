/* SPDX-License-Identifier: BSD-2-Clause */
/* The relay: a back end that is over is replaced, and nothing is lost, done twice, or invented. */
#include "relay_rig.h"

#include <string.h>

#include "bulkhead/virtio_blk.h"

#define AT(n) (GUEST_DATA + 0x240u * (uint64_t)(n))

static struct relay_rig *rig_of(uint64_t guest, uint64_t back, bool shared)
{
    const struct rig_setup setup = {
        .guest_features = guest,
        .back_features = back,
        .shared = shared,
        .guest_size = 512,
        .size_max = 512,
    };

    return rig_new(&setup);
}

/* Reads of 512 bytes, numbers first..last, data of request n filled with n. */
static void offer_reads(struct relay_rig *rig, uint16_t first, uint16_t last)
{
    for (uint16_t n = first; n <= last; n++) {
        rig_offer_blk(rig, BH_BLK_T_IN, AT(n), 512, (uint16_t)(n * 3));
    }
    rig_kick(rig);
}

static uint64_t sector_of(const struct bh_chain *chain)
{
    struct bh_blk_header header;

    assert_int_equal(bh_chain_read(chain, 0, &header, sizeof(header)), sizeof(header));
    return header.sector;
}

static void finish(struct relay_rig *rig, struct bh_chain *chain)
{
    uint8_t data[513];

    memset(data, (int)(sector_of(chain) & 0xffu), 512);
    data[512] = BH_BLK_S_OK;
    assert_int_equal(chain->writable_bytes, 513);
    (void)bh_chain_write(chain, 0, data, 513);
    rig_give(rig, 0, chain, 513);
}

/* The first request is delayed, a hundred later ones are done, in the order that the back end likes;
 * then it dies. The successor gets the first, and nothing else. */
static void first_delayed_hundred_done(uint64_t guest, uint64_t back, bool shared, bool look)
{
    struct relay_rig *rig = rig_of(guest, back, shared);
    struct bh_chain first;
    struct bh_chain chains[100];
    uint32_t id = 0;
    uint32_t length = 0;
    uint32_t used = 0;

    for (uint16_t n = 0; n <= 100; n++) {
        rig_offer_blk(rig, BH_BLK_T_IN, AT(n), 512, (uint16_t)(n * 3));
        rig_kick(rig);
        assert_true(rig_take(rig, 0, n == 0 ? &first : &chains[n - 1]));
    }
    for (uint32_t n = 100; n > 0; n--) {
        finish(rig, &chains[n - 1]);
        if (!look || n > 50) {
            assert_int_equal(rig_called(rig, 0), 1);
        }
    }
    bh_relay_detach(rig->relay, look);
    assert_int_equal(rig->counters.requests, 100);
    assert_int_equal(rig->counters.in_flight, 1);
    assert_int_equal(rig->counters.arena_used, 0);
    while (guest_used(&rig->guest, &id, &length)) {
        assert_int_not_equal(id, 0);
        used++;
    }
    assert_int_equal(used, 100);

    assert_int_equal(rig_attach(rig), BH_OK);
    assert_true(rig->back.notified[0] > 0);
    assert_true(rig_take(rig, 0, &first));
    assert_int_equal(sector_of(&first), 0);
    assert_false(rig_take(rig, 0, &chains[0]));
    assert_int_equal(rig->counters.repeated, 1);
    finish(rig, &first);
    assert_int_equal(rig_called(rig, 0), 1);
    guest_expect_used(&rig->guest, 0, 513);
    guest_expect_nothing(&rig->guest);
    assert_int_equal(rig->counters.in_flight, 0);
    rig_free(rig);
}

/* [BH-ISO-8] */
static void the_first_of_many_is_repeated(void **state)
{
    (void)state;
    first_delayed_hundred_done(0, 0, false, false);
    first_delayed_hundred_done(BH_F_RING_PACKED, BH_F_RING_PACKED, false, true);
    first_delayed_hundred_done(0, BH_F_RING_PACKED, true, true);
    first_delayed_hundred_done(BH_F_RING_PACKED, BH_F_EVENT_IDX, true, false);
}

/* [BH-ISO-8] A back end that dies again and again, with many in flight: each request comes once, oldest first. */
static void many_deaths(void **state)
{
    struct relay_rig *rig = rig_of(0, BH_F_INDIRECT_DESC, false);
    struct bh_chain chain;
    uint32_t done = 0;

    (void)state;
    offer_reads(rig, 0, 99);
    for (uint32_t life = 0; life < 20; life++) {
        for (uint32_t n = 0; n < 5; n++) {
            assert_true(rig_take(rig, 0, &chain));
            assert_int_equal(sector_of(&chain), done * 3);
            finish(rig, &chain);
            done++;
        }
        bh_relay_detach(rig->relay, true);
        assert_int_equal(rig->counters.requests, done);
        assert_int_equal(rig_attach(rig), BH_OK);
    }
    assert_int_equal(done, 100);
    assert_false(rig_take(rig, 0, &chain));
    for (uint16_t n = 0; n < 100; n++) {
        guest_expect_used(&rig->guest, (uint32_t)n * 3, 513);
    }
    guest_expect_nothing(&rig->guest);
    rig_free(rig);
}

/* [BH-ISO-5] What a back end that lied says to be done is not believed: it is done again. */
static void a_liar_is_not_listened_to(void **state)
{
    struct relay_rig *rig = rig_of(0, 0, false);
    struct bh_chain chain;

    (void)state;
    offer_reads(rig, 0, 3);
    assert_true(rig_take(rig, 0, &chain));
    finish(rig, &chain);
    bh_relay_detach(rig->relay, false);
    guest_expect_nothing(&rig->guest);
    assert_int_equal(rig_attach(rig), BH_OK);
    for (uint32_t n = 0; n < 4; n++) {
        assert_true(rig_take(rig, 0, &chain));
        assert_int_equal(sector_of(&chain), n * 3);
    }
    rig_free(rig);
}

/* The arena of a back end that is over holds nothing that counts: writes are copied in again. */
static void data_is_copied_in_again(void **state)
{
    struct relay_rig *rig = rig_of(0, 0, false);
    struct bh_chain chain;
    uint8_t data[528];

    (void)state;
    memset(guest_at(&rig->guest, rig_data_at(AT(0))), 0x77, 512);
    rig_offer_blk(rig, BH_BLK_T_OUT, AT(0), 512, 0);
    memset(guest_at(&rig->guest, rig_data_at(AT(0))), 0x77, 512);
    rig_kick(rig);
    bh_relay_detach(rig->relay, true);
    memset(rig->arena, 0xbd, rig->device.arena_size);
    assert_int_equal(rig_attach(rig), BH_OK);
    assert_true(rig_take(rig, 0, &chain));
    assert_int_equal(bh_chain_read(&chain, 0, data, sizeof(data)), sizeof(data));
    assert_int_equal(data[0], BH_BLK_T_OUT);
    for (uint32_t i = 16; i < sizeof(data); i++) {
        assert_int_equal(data[i], 0x77);
    }
    rig_free(rig);
}

/* Without a back end requests are held, as many as the ring has; the first back end gets them. */
static void requests_wait_for_a_back_end(void **state)
{
    const struct rig_setup setup = {.detached = true};
    struct relay_rig *rig = rig_new(&setup);
    struct bh_chain chain;

    (void)state;
    for (uint16_t n = 0; n < 20; n++) {
        rig_offer_blk(rig, BH_BLK_T_FLUSH, AT(n), 0, (uint16_t)(n * 3));
    }
    rig_kick(rig);
    assert_int_equal(bh_relay_device(rig->relay)->queues[0].in_flight, 20);
    assert_int_equal(bh_relay_owes(rig->relay), 0);
    assert_int_equal(rig_attach(rig), BH_OK);
    assert_int_equal(rig->counters.repeated, 0);
    for (uint32_t n = 0; n < 20; n++) {
        assert_true(rig_take(rig, 0, &chain));
        assert_int_equal(sector_of(&chain), n * 3);
    }
    rig_free(rig);
}

/* [BH-ISO-9] A type that must not be done twice is refused, with its data cleared; the others are repeated. */
static void what_must_not_be_repeated_is_refused(void **state)
{
    struct relay_rig *rig = rig_of(0, 0, false);
    struct bh_chain chain;
    const uint8_t *data = guest_at(&rig->guest, rig_data_at(AT(0)));

    (void)state;
    rig_offer_blk(rig, 15 /* zone append */, AT(0), 512, 0);
    memset(guest_at(&rig->guest, rig_data_at(AT(0))), 0x33, 512);
    rig_offer_blk(rig, BH_BLK_T_FLUSH, AT(3), 0, 3);
    rig_kick(rig);
    bh_relay_detach(rig->relay, true);
    assert_int_equal(rig_attach(rig), BH_OK);
    guest_expect_used(&rig->guest, 0, 513);
    guest_expect_nothing(&rig->guest);
    for (uint32_t i = 0; i < 512; i++) {
        assert_int_equal(data[i], 0);
    }
    assert_int_equal(data[512], BH_BLK_S_IOERR);
    assert_int_equal(rig->counters.refused, 1);
    assert_int_equal(rig->counters.repeated, 1);
    assert_true(rig_take(rig, 0, &chain));
    assert_int_equal(sector_of(&chain), 3);
    assert_false(rig_take(rig, 0, &chain));
    rig_free(rig);
}

/* [BH-ISO-8] No back end any more: what is in flight, and what comes, has an error. */
static void refusing(void **state)
{
    struct relay_rig *rig = rig_of(BH_F_RING_PACKED, 0, false);

    (void)state;
    offer_reads(rig, 0, 4);
    bh_relay_refuse(rig->relay);
    for (uint16_t n = 0; n < 5; n++) {
        guest_expect_used(&rig->guest, (uint32_t)n * 3, 513);
        assert_int_equal(*guest_at(&rig->guest, rig_status_at(AT(n), 512)), BH_BLK_S_IOERR);
    }
    offer_reads(rig, 5, 9);
    for (uint16_t n = 5; n < 10; n++) {
        guest_expect_used(&rig->guest, (uint32_t)n * 3, 513);
        assert_int_equal(*guest_at(&rig->guest, rig_status_at(AT(n), 512)), BH_BLK_S_IOERR);
    }
    assert_int_equal(rig->counters.refused, 10);
    assert_int_equal(rig->counters.in_flight, 0);
    assert_int_equal(rig_attach(rig), BH_STATE);
    rig_free(rig);
}

/* A successor with a smaller ring, or one that does not start, loses nothing. */
static void a_smaller_successor(void **state)
{
    struct relay_rig *rig = rig_of(0, BH_F_INDIRECT_DESC, false);
    struct bh_chain chain;

    (void)state;
    offer_reads(rig, 0, 99);
    bh_relay_detach(rig->relay, true);
    rig->back.size_max = 5; /* 4 it will be */
    assert_int_equal(rig_attach(rig), BH_OK);
    for (uint32_t n = 0; n < 100; n++) {
        assert_true(bh_relay_device(rig->relay)->queues[0].in_flight == 100 - n);
        assert_true(rig_take(rig, 0, &chain));
        assert_int_equal(sector_of(&chain), n * 3);
        finish(rig, &chain);
        assert_int_equal(rig_called(rig, 0), 1);
        guest_expect_used(&rig->guest, n * 3, 513);
    }
    rig_free(rig);
}

/* The driver set the cache's mode: a successor is told first. */
static void the_cache_mode_is_restored(void **state)
{
    struct relay_rig *rig = rig_of(0, 0, false);
    const uint8_t writeback = 1;

    (void)state;
    assert_int_equal(bh_device_config_write(bh_relay_device(rig->relay),
                                            offsetof(struct bh_blk_config, writeback), &writeback,
                                            1),
                     BH_OK);
    assert_int_equal(rig->config_writes, 1);
    bh_relay_detach(rig->relay, true);
    assert_int_equal(rig_attach(rig), BH_OK);
    assert_int_equal(rig->back.config_writes, 1);
    assert_int_equal(rig->back.config_offset, 32);
    assert_int_equal(rig->back.config_byte, 1);

    assert_int_equal(bh_device_queue_stop(bh_relay_device(rig->relay), 0), BH_OK);
    assert_int_equal(bh_device_reset(bh_relay_device(rig->relay)), BH_OK);
    assert_int_equal(rig->agreed, 0);
    assert_int_equal(rig_attach(rig), BH_OK);
    assert_int_equal(rig->back.config_writes, 0);
    rig_free(rig);
}

/* A guest that stops its queue while there is no back end waits for the next one. */
static void stop_while_detached(void **state)
{
    struct relay_rig *rig = rig_of(0, 0, false);
    struct bh_device *device = bh_relay_device(rig->relay);
    struct bh_chain chain;

    (void)state;
    offer_reads(rig, 0, 1);
    bh_relay_detach(rig->relay, true);
    assert_int_equal(bh_device_queue_stop(device, 0), BH_AGAIN);
    assert_int_equal(rig_attach(rig), BH_OK);
    for (uint32_t n = 0; n < 2; n++) {
        assert_true(rig_take(rig, 0, &chain));
        finish(rig, &chain);
    }
    assert_int_equal(rig->idle, 0);
    assert_int_equal(rig_called(rig, 0), 2);
    assert_int_equal(rig->idle, 1);
    assert_int_equal(device->queues[0].state, BH_QUEUE_STOPPED);
    guest_expect_used(&rig->guest, 0, 513);
    guest_expect_used(&rig->guest, 3, 513);
    rig_free(rig);
}

static void stop_and_no_more(void **state)
{
    struct relay_rig *rig = rig_of(0, 0, false);
    struct bh_device *device = bh_relay_device(rig->relay);

    (void)state;
    offer_reads(rig, 0, 1);
    bh_relay_detach(rig->relay, true);
    assert_int_equal(bh_device_queue_stop(device, 0), BH_AGAIN);
    bh_relay_refuse(rig->relay);
    assert_int_equal(rig->idle, 1);
    guest_expect_used(&rig->guest, 0, 513);
    guest_expect_used(&rig->guest, 3, 513);
    rig_free(rig);
}

/* A ring that the guest starts later follows by itself. */
static void a_late_ring(void **state)
{
    const struct rig_setup setup = {.guest_size = 32};
    struct relay_rig *rig = rig_new(&setup);
    struct bh_chain chain;

    (void)state;
    assert_false(rig->back.started[1]);
    rig_start(rig, 1);
    assert_true(rig->back.started[1]);
    rig_offer_blk(rig, BH_BLK_T_FLUSH, AT(0), 0, 0);
    rig_kick(rig);
    assert_true(rig_take(rig, 1, &chain));
    assert_false(rig_take(rig, 0, &chain));
    rig_free(rig);
}

static void a_ring_that_does_not_start(void **state)
{
    const struct rig_setup setup = {.guest_size = 32, .detached = true};
    struct relay_rig *rig = rig_new(&setup);

    (void)state;
    rig->back.start_error = BH_TIMEOUT;
    assert_int_equal(bh_relay_attach(rig->relay, &rig->back.transport, rig->back_features),
                     BH_TIMEOUT);
    rig_offer_blk(rig, BH_BLK_T_FLUSH, AT(0), 0, 0);
    rig_kick(rig);
    assert_int_equal(bh_relay_device(rig->relay)->queues[0].in_flight, 1);
    assert_int_equal(rig_called(rig, 0), 0);
    assert_int_equal(rig_attach(rig), BH_OK);
    rig->back.start_error = BH_GONE;
    rig_start(rig, 1);
    assert_int_equal(rig->lies, 1);
    assert_int_equal(rig->lied_queue, 1);
    rig_free(rig);
}

/* [BH-ISO-7] Since when the back end owes: from what it got while it owed nothing, or its last completion. */
static void what_is_owed(void **state)
{
    struct relay_rig *rig = rig_of(0, 0, false);
    struct bh_chain chain;

    (void)state;
    assert_int_equal(bh_relay_owes(rig->relay), 0);
    rig->now = 5000;
    offer_reads(rig, 0, 0);
    rig->now = 6000;
    offer_reads(rig, 1, 1);
    assert_int_equal(bh_relay_owes(rig->relay), 5000);
    rig->now = 7000;
    assert_true(rig_take(rig, 0, &chain));
    finish(rig, &chain);
    assert_int_equal(rig_called(rig, 0), 1);
    assert_int_equal(bh_relay_owes(rig->relay), 7000);
    assert_int_equal(rig->counters.latency_us, 2000);
    assert_int_equal(rig->counters.latency[11], 1);
    bh_relay_detach(rig->relay, true);
    assert_int_equal(bh_relay_owes(rig->relay), 0);
    rig->now = 9000;
    assert_int_equal(rig_attach(rig), BH_OK);
    assert_int_equal(bh_relay_owes(rig->relay), 9000);
    rig_free(rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_first_of_many_is_repeated),
        cmocka_unit_test(many_deaths),
        cmocka_unit_test(a_liar_is_not_listened_to),
        cmocka_unit_test(data_is_copied_in_again),
        cmocka_unit_test(requests_wait_for_a_back_end),
        cmocka_unit_test(what_must_not_be_repeated_is_refused),
        cmocka_unit_test(refusing),
        cmocka_unit_test(a_smaller_successor),
        cmocka_unit_test(the_cache_mode_is_restored),
        cmocka_unit_test(stop_while_detached),
        cmocka_unit_test(stop_and_no_more),
        cmocka_unit_test(a_late_ring),
        cmocka_unit_test(a_ring_that_does_not_start),
        cmocka_unit_test(what_is_owed),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
