/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The block model and a well-behaved driver: every request type, errors, completions in any order.
 * What happens when something is used up, drains and resets: test_blk_flow.c; bad requests:
 * test_blk_hostile.c; features, configuration space, durability: test_blk_config.c.
 */
#include "blk_rig.h"

#include <string.h>

static void fill(struct blk_rig *rig, uint64_t address, uint32_t length, uint8_t seed)
{
    for (uint32_t i = 0; i < length; i++) {
        *guest_at(&rig->guest, address + i) = (uint8_t)(seed + i * 7u);
    }
}

static void expect_filled(struct blk_rig *rig, uint64_t address, uint32_t length, uint8_t seed)
{
    for (uint32_t i = 0; i < length; i++) {
        assert_int_equal(*guest_at(&rig->guest, address + i), (uint8_t)(seed + i * 7u));
    }
}

/* [BH-BLK-1] [BH-BLK-7] */
static void test_write_then_read(void **state)
{
    struct blk_rig *rig = *state;

    memset(rig->disk.data, 0x55, rig->disk.size);
    fill(rig, RIG_DATA, 1024, 3);
    rig_request(rig, BH_BLK_T_OUT, 5, RIG_DATA, 1024, R, BH_BLK_S_OK, 1);
    rig_request(rig, BH_BLK_T_IN, 5, RIG_DATA + 0x1000, 1024, W, BH_BLK_S_OK, 1025);
    expect_filled(rig, RIG_DATA + 0x1000, 1024, 3);
    for (uint32_t i = 0; i < rig->disk.size; i++) {
        if (i < 5 * 512 || i >= 7 * 512) {
            assert_int_equal(rig->disk.data[i], 0x55);
        }
    }
    assert_int_equal(rig->notified[0], 2);
}

/* [BH-BLK-3] One sector at the end; data at an odd guest address. */
static void test_single_sector(void **state)
{
    struct blk_rig *rig = *state;

    fill(rig, RIG_DATA + 1, 512, 9);
    rig_request(rig, BH_BLK_T_OUT, RIG_SECTORS - 1, RIG_DATA + 1, 512, R, BH_BLK_S_OK, 1);
    rig_request(rig, BH_BLK_T_IN, RIG_SECTORS - 1, RIG_DATA + 0x1003, 512, W, BH_BLK_S_OK, 513);
    expect_filled(rig, RIG_DATA + 0x1003, 512, 9);
}

static void test_empty_transfer(void **state)
{
    struct blk_rig *rig = *state;

    rig_request(rig, BH_BLK_T_IN, 0, 0, 0, W, BH_BLK_S_OK, 1);
    rig_request(rig, BH_BLK_T_OUT, RIG_SECTORS, 0, 0, R, BH_BLK_S_OK, 1);
    assert_int_equal(rig->disk.offers, 0);
}

static void test_flush(void **state)
{
    struct blk_rig *rig = *state;

    rig_request(rig, BH_BLK_T_FLUSH, 0, 0, 0, R, BH_BLK_S_OK, 1);
    assert_int_equal(fake_disk_last(&rig->disk)->op, BH_DISK_OP_FLUSH);
    /* Data that a driver should not have sent is left alone, and not claimed. */
    rig_request(rig, BH_BLK_T_FLUSH, 0, RIG_DATA, 512, R, BH_BLK_S_OK, 1);
    rig_request(rig, BH_BLK_T_FLUSH, 0, RIG_DATA, 512, W, BH_BLK_S_OK, 0);
    assert_int_equal(rig->disk.log_count, 3);
}

/* [BH-BLK-10] [BH-BLK-11] */
static void test_failed_flush_is_remembered(void **state)
{
    struct blk_rig *rig = *state;

    /* A failed discard is no failed flush, even in the same request's memory. */
    rig_segment(rig, RIG_DATA, 0, 1, 0);
    rig->disk.result = BH_IO;
    rig_request(rig, BH_BLK_T_DISCARD, 0, RIG_DATA, 16, R, BH_BLK_S_IOERR, 1);
    rig->disk.result = BH_OK;
    rig_request(rig, BH_BLK_T_FLUSH, 0, 0, 0, R, BH_BLK_S_OK, 1);
    rig_request(rig, BH_BLK_T_DISCARD, 0, RIG_DATA, 16, R, BH_BLK_S_OK, 1);
    rig->disk.log_count = 0;
    rig->disk.result = BH_IO;
    rig_request(rig, BH_BLK_T_FLUSH, 0, 0, 0, R, BH_BLK_S_IOERR, 1);
    rig->disk.result = BH_OK;
    rig_request(rig, BH_BLK_T_FLUSH, 0, 0, 0, R, BH_BLK_S_IOERR, 1);
    assert_int_equal(rig->disk.log_count, 1);
    /* Reads and writes go on. */
    rig_request(rig, BH_BLK_T_OUT, 0, RIG_DATA, 512, R, BH_BLK_S_OK, 1);
    assert_int_equal(bh_device_reset(&rig->device), BH_OK);
    rig_negotiate(rig, RIG_FEATURES);
    rig_request(rig, BH_BLK_T_FLUSH, 0, 0, 0, R, BH_BLK_S_OK, 1);
}

/* [BH-BLK-6] */
static void test_get_id(void **state)
{
    struct blk_rig *rig = *state;

    memset(guest_at(&rig->guest, RIG_DATA), 0xaa, 64);
    rig_request(rig, BH_BLK_T_GET_ID, 0, RIG_DATA, 20, W, BH_BLK_S_OK, 21);
    assert_memory_equal(guest_at(&rig->guest, RIG_DATA), "bench disk\0\0\0\0\0\0\0\0\0\0", 20);
    assert_int_equal(*guest_at(&rig->guest, RIG_DATA + 20), 0xaa);
}

/* [BH-BLK-26] */
static void test_lifetime(void **state)
{
    struct blk_rig *rig = *state;

    rig->disk.wear = (struct bh_blk_lifetime){3, 11, 11};
    rig_request(rig, BH_BLK_T_GET_LIFETIME, 0, RIG_DATA, 6, W, BH_BLK_S_OK, 7);
    assert_memory_equal(guest_at(&rig->guest, RIG_DATA), "\3\0\13\0\13\0", 6);
    rig->disk.wear = (struct bh_blk_lifetime){4, 12, 0xffff};
    rig_request(rig, BH_BLK_T_GET_LIFETIME, 0, RIG_DATA, 6, W, BH_BLK_S_OK, 7);
    assert_memory_equal(guest_at(&rig->guest, RIG_DATA), "\0\0\0\0\0\0", 6);
    rig->disk.wear_result = BH_IO;
    rig_request(rig, BH_BLK_T_GET_LIFETIME, 0, RIG_DATA, 6, W, BH_BLK_S_IOERR, 0);
}

/* [BH-BLK-23] Several segments, in order, each an operation of its own. */
static void test_write_zeroes(void **state)
{
    struct blk_rig *rig = *state;

    memset(rig->disk.data, 0x77, rig->disk.size);
    rig_segment(rig, RIG_DATA, 1, 2, BH_BLK_SEGMENT_UNMAP);
    rig_segment(rig, RIG_DATA + 16, 9, 0, 0);
    rig_segment(rig, RIG_DATA + 32, RIG_SECTORS - 1, 1, 0);
    rig_request(rig, BH_BLK_T_WRITE_ZEROES, 0, RIG_DATA, 48, R, BH_BLK_S_OK, 1);
    assert_int_equal(rig->disk.log_count, 2);
    assert_true(rig->disk.log[0].unmap);
    assert_int_equal(rig->disk.log[0].offset, 512);
    assert_int_equal(rig->disk.log[0].length, 1024);
    assert_false(rig->disk.log[1].unmap);
    assert_int_equal(rig->disk.log[1].offset, (RIG_SECTORS - 1) * 512);
    assert_int_equal(rig->disk.data[511], 0x77);
    assert_int_equal(rig->disk.data[512], 0);
    assert_int_equal(rig->disk.data[3 * 512], 0x77);
    assert_int_equal(rig->disk.data[rig->disk.size - 1], 0);
    /* Nothing is left of it for the next one. */
    rig_request(rig, BH_BLK_T_WRITE_ZEROES, 0, RIG_DATA, 32, R, BH_BLK_S_OK, 1);
    assert_int_equal(rig->disk.log_count, 3);
}

static void test_discard_and_erase(void **state)
{
    struct blk_rig *rig = *state;

    rig_segment(rig, RIG_DATA, 0, 32, 0);
    rig_request(rig, BH_BLK_T_DISCARD, 0, RIG_DATA, 16, R, BH_BLK_S_OK, 1);
    assert_int_equal(fake_disk_last(&rig->disk)->op, BH_DISK_OP_DISCARD);
    assert_int_equal(fake_disk_last(&rig->disk)->length, 32 * 512);
    rig_segment(rig, RIG_DATA, 8, 8, 0);
    rig_request(rig, BH_BLK_T_SECURE_ERASE, 0, RIG_DATA, 16, R, BH_BLK_S_OK, 1);
    assert_int_equal(fake_disk_last(&rig->disk)->op, BH_DISK_OP_SECURE_ERASE);
    assert_true(fake_disk_last(&rig->disk)->durable);
    rig->disk.result = BH_UNSUPPORTED;
    rig_request(rig, BH_BLK_T_SECURE_ERASE, 0, RIG_DATA, 16, R, BH_BLK_S_UNSUPP, 1);
}

/* A disk that answers later: the next segment only after the one before; an error ends it. */
static void test_segments_one_by_one(void **state)
{
    struct blk_rig *rig = *state;

    rig->disk.defer = true;
    for (uint32_t i = 0; i < 3; i++) {
        rig_segment(rig, RIG_DATA + 16 * (uint64_t)i, i, 1, 0);
    }
    rig_offer(rig, 0, BH_BLK_T_DISCARD, 0, RIG_DATA, 48, R);
    rig_kick(rig);
    /* What the guest does to its memory now changes nothing. */
    memset(guest_at(&rig->guest, RIG_DATA), 0xff, 48);
    assert_int_equal(rig->disk.held_count, 1);
    fake_disk_finish(&rig->disk, 0);
    assert_int_equal(rig->disk.held_count, 1);
    assert_int_equal(rig->disk.held[0]->offset, 512);
    rig->disk.result = BH_IO;
    fake_disk_finish(&rig->disk, 0);
    assert_int_equal(rig->disk.held_count, 0);
    bh_device_flush(&rig->device);
    rig_expect(rig, 0, BH_BLK_S_IOERR, 1);
    assert_int_equal(rig->queues[0].in_flight, 0);
}

static void defer_the_second(void *context)
{
    struct blk_rig *rig = context;

    rig->disk.defer = rig->disk.offers == 2;
}

/* A disk that answers the first segment at once, and the second later. */
static void test_segments_at_once_and_later(void **state)
{
    struct blk_rig *rig = *state;

    rig->disk.on_submit = defer_the_second;
    rig->disk.context = rig;
    for (uint32_t i = 0; i < 3; i++) {
        rig_segment(rig, RIG_DATA + 16 * (uint64_t)i, i, 1, 0);
    }
    rig_offer(rig, 0, BH_BLK_T_DISCARD, 0, RIG_DATA, 48, R);
    rig_kick(rig);
    guest_expect_nothing(&rig->guest);
    assert_int_equal(rig->disk.held_count, 1);
    fake_disk_finish(&rig->disk, 0);
    bh_device_flush(&rig->device);
    rig_expect(rig, 0, BH_BLK_S_OK, 1);
    assert_int_equal(rig->disk.log_count, 3);
}

/* [BH-BLK-34] A range that was good when it was checked, and is none when its turn comes. */
static void test_shrinks_between_segments(void **state)
{
    struct blk_rig *rig = *state;

    rig->disk.defer = true;
    rig_segment(rig, RIG_DATA, 0, 1, 0);
    rig_segment(rig, RIG_DATA + 16, 50, 1, 0);
    rig_offer(rig, 0, BH_BLK_T_WRITE_ZEROES, 0, RIG_DATA, 32, R);
    rig_kick(rig);
    bh_blk_capacity_set(&rig->blk, 40 * 512);
    fake_disk_finish(&rig->disk, 0);
    bh_device_flush(&rig->device);
    rig_expect(rig, 0, BH_BLK_S_IOERR, 1);
    assert_int_equal(rig->disk.log_count, 1);
}

/* [BH-BLK-32] [BH-DEV-14] */
static void test_error_is_of_one_request(void **state)
{
    struct blk_rig *rig = *state;
    const int errors[] = {BH_IO, BH_NO_SPACE, BH_GONE, BH_LIMIT};

    for (uint32_t i = 0; i < 4; i++) {
        rig->disk.result = errors[i];
        rig_request(rig, BH_BLK_T_IN, 0, RIG_DATA, 512, W, BH_BLK_S_IOERR, 0);
        rig_request(rig, BH_BLK_T_OUT, 0, RIG_DATA, 512, R, BH_BLK_S_IOERR, 1);
    }
    rig->disk.result = BH_OK;
    rig->disk.refuse = BH_IO;
    rig_request(rig, BH_BLK_T_OUT, 0, RIG_DATA, 512, R, BH_BLK_S_IOERR, 1);
    rig->disk.refuse = BH_UNSUPPORTED;
    rig_segment(rig, RIG_DATA, 0, 1, 0);
    rig_request(rig, BH_BLK_T_DISCARD, 0, RIG_DATA, 16, R, BH_BLK_S_UNSUPP, 1);
    rig->disk.refuse = BH_OK;
    rig_request(rig, BH_BLK_T_IN, 0, RIG_DATA, 512, W, BH_BLK_S_OK, 513);
}

/* [BH-BLK-28] [BH-BLK-39] */
static void test_completions_in_any_order(void **state)
{
    struct blk_rig *rig = *state;

    rig->disk.defer = true;
    rig_offer(rig, 0, BH_BLK_T_IN, 0, RIG_DATA, 512, W);
    rig_offer(rig, 3, BH_BLK_T_IN, 1, RIG_DATA + 512, 512, W);
    rig_offer(rig, 6, BH_BLK_T_IN, 2, RIG_DATA + 1024, 512, W);
    rig_kick(rig);
    assert_int_equal(rig->disk.held_count, 3);
    guest_expect_nothing(&rig->guest);
    fake_disk_finish(&rig->disk, 2);
    bh_device_flush(&rig->device);
    rig_expect(rig, 6, BH_BLK_S_OK, 513);
    assert_int_equal(*guest_at(&rig->guest, RIG_STATUS(0)), 0xee);
    fake_disk_finish(&rig->disk, 0);
    fake_disk_finish(&rig->disk, 0);
    bh_device_flush(&rig->device);
    rig_expect(rig, 0, BH_BLK_S_OK, 513);
    rig_expect(rig, 3, BH_BLK_S_OK, 513);
}

/* [BH-DEV-16] */
static void test_in_order(void **state)
{
    struct blk_rig *rig = *state;
    struct bh_blk_geometry geometry = rig_geometry();
    bool packed = rig->guest.packed;

    rig_finish(rig);
    rig_init(rig, packed, &geometry, 1, RIG_FEATURES | BH_F_IN_ORDER);
    rig->disk.defer = true;
    rig_offer(rig, 0, BH_BLK_T_IN, 0, RIG_DATA, 512, W);
    rig_offer(rig, 3, BH_BLK_T_IN, 1, RIG_DATA + 512, 512, W);
    rig_kick(rig);
    fake_disk_finish(&rig->disk, 1);
    bh_device_flush(&rig->device);
    guest_expect_nothing(&rig->guest);
    fake_disk_finish(&rig->disk, 0);
    bh_device_flush(&rig->device);
    rig_expect(rig, 0, BH_BLK_S_OK, 513);
    rig_expect(rig, 3, BH_BLK_S_OK, 513);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        RIG_BOTH(test_write_then_read),
        RIG_BOTH(test_single_sector),
        RIG_BOTH(test_empty_transfer),
        RIG_BOTH(test_flush),
        RIG_BOTH(test_failed_flush_is_remembered),
        RIG_BOTH(test_get_id),
        RIG_BOTH(test_lifetime),
        RIG_BOTH(test_write_zeroes),
        RIG_BOTH(test_discard_and_erase),
        RIG_BOTH(test_segments_one_by_one),
        RIG_BOTH(test_segments_at_once_and_later),
        RIG_BOTH(test_shrinks_between_segments),
        RIG_BOTH(test_error_is_of_one_request),
        RIG_BOTH(test_completions_in_any_order),
        RIG_BOTH(test_in_order),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
