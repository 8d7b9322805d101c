/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The block model and a well-behaved driver: every request type, completions in any order,
 * back-pressure and going on, drains and resets. Bad requests: test_blk_hostile.c; features,
 * configuration space, durability: test_blk_config.c.
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
    assert_int_equal(fake_disk_last(&rig->disk)->op, BH_DISK_FLUSH);
    /* Data that a driver should not have sent is left alone, and not claimed. */
    rig_request(rig, BH_BLK_T_FLUSH, 0, RIG_DATA, 512, R, BH_BLK_S_OK, 1);
    rig_request(rig, BH_BLK_T_FLUSH, 0, RIG_DATA, 512, W, BH_BLK_S_OK, 0);
    assert_int_equal(rig->disk.log_count, 3);
}

/* [BH-BLK-10] [BH-BLK-11] */
static void test_failed_flush_is_remembered(void **state)
{
    struct blk_rig *rig = *state;

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

    rig->disk.wear = (struct bh_blk_lifetime){2, 11, 5};
    rig_request(rig, BH_BLK_T_GET_LIFETIME, 0, RIG_DATA, 6, W, BH_BLK_S_OK, 7);
    assert_memory_equal(guest_at(&rig->guest, RIG_DATA), "\2\0\13\0\5\0", 6);
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
}

static void test_discard_and_erase(void **state)
{
    struct blk_rig *rig = *state;

    rig_segment(rig, RIG_DATA, 0, 32, 0);
    rig_request(rig, BH_BLK_T_DISCARD, 0, RIG_DATA, 16, R, BH_BLK_S_OK, 1);
    assert_int_equal(fake_disk_last(&rig->disk)->op, BH_DISK_DISCARD);
    assert_int_equal(fake_disk_last(&rig->disk)->length, 32 * 512);
    rig_segment(rig, RIG_DATA, 8, 8, 0);
    rig_request(rig, BH_BLK_T_SECURE_ERASE, 0, RIG_DATA, 16, R, BH_BLK_S_OK, 1);
    assert_int_equal(fake_disk_last(&rig->disk)->op, BH_DISK_SECURE_ERASE);
    assert_true(fake_disk_last(&rig->disk)->durable);
    rig->disk.result = BH_UNSUPPORTED;
    rig_request(rig, BH_BLK_T_SECURE_ERASE, 0, RIG_DATA, 16, R, BH_BLK_S_UNSUPP, 1);
}

/* A disk that answers later: the next segment only after the one before; the first error ends it. */
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

/* [BH-BLK-34] A range that was good when it was checked, and is none any more when its turn comes. */
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

/* ---- back-pressure ---- */

static void offer_flushes(struct blk_rig *rig, uint16_t count)
{
    for (uint16_t i = 0; i < count; i++) {
        rig_offer(rig, (uint16_t)(2 * i), BH_BLK_T_FLUSH, 0, 0, 0, R);
    }
}

static void expect_flushes(struct blk_rig *rig, uint16_t first, uint16_t end)
{
    for (uint16_t i = first; i < end; i++) {
        rig_expect(rig, (uint16_t)(2 * i), BH_BLK_S_OK, 1);
    }
}

/* More requests than the model has room for: the rest waits in the ring, and needs no new kick. */
static void test_no_free_request(void **state)
{
    struct blk_rig *rig = *state;

    rig->disk.defer = true;
    offer_flushes(rig, 6);
    rig_kick(rig);
    assert_int_equal(rig->disk.held_count, RIG_REQUESTS);
    fake_disk_finish(&rig->disk, 0);
    bh_device_flush(&rig->device);
    expect_flushes(rig, 0, 1);
    assert_int_equal(rig->disk.held_count, RIG_REQUESTS);
    fake_disk_finish_all(&rig->disk);
    bh_device_flush(&rig->device);
    fake_disk_finish_all(&rig->disk);
    bh_device_flush(&rig->device);
    expect_flushes(rig, 1, 6);
    assert_int_equal(rig->queues[0].in_flight, 0);
}

/* The disk has room for one: the others wait their turn, in order. */
static void test_disk_without_room(void **state)
{
    struct blk_rig *rig = *state;

    rig->disk.defer = true;
    rig->disk.room = 1;
    for (uint16_t i = 0; i < 4; i++) {
        rig_offer(rig, (uint16_t)(3 * i), BH_BLK_T_IN, i, RIG_DATA, 512, W);
    }
    rig_kick(rig);
    for (uint16_t i = 0; i < 4; i++) {
        assert_int_equal(rig->disk.held_count, 1);
        assert_int_equal(rig->disk.held[0]->offset, 512u * i);
        fake_disk_finish(&rig->disk, 0);
        bh_device_flush(&rig->device);
        rig_expect(rig, (uint16_t)(3 * i), BH_BLK_S_OK, 513);
    }
    assert_int_equal(rig->blk.waiting_count, 0);
    /* A refused request is offered once for each completion, not over and over. */
    assert_true(rig->disk.offers <= 8);
}

/* Segments, too, wait for room, each time anew, among others that wait. */
static void test_segments_without_room(void **state)
{
    struct blk_rig *rig = *state;

    rig->disk.defer = true;
    rig->disk.room = 1;
    for (uint32_t i = 0; i < 2; i++) {
        rig_segment(rig, RIG_DATA + 16 * (uint64_t)i, 10 + i, 1, 0);
    }
    rig_offer(rig, 0, BH_BLK_T_IN, 0, RIG_DATA + 512, 512, W);
    rig_offer(rig, 3, BH_BLK_T_DISCARD, 0, RIG_DATA, 32, R);
    rig_kick(rig);
    rig_offer(rig, 6, BH_BLK_T_IN, 1, RIG_DATA + 512, 512, W);
    rig_kick(rig);
    for (uint32_t i = 0; i < 4; i++) {
        assert_int_equal(rig->disk.held_count, 1);
        fake_disk_finish(&rig->disk, 0);
        bh_device_flush(&rig->device);
    }
    assert_int_equal(rig->disk.held_count, 0);
    assert_int_equal(rig->disk.log_count, 4);
    assert_int_equal(rig->queues[0].in_flight, 0);
}

/* A disk that is full while nothing is in flight breaks its contract, but loses nothing: the port is
 * asked to call again. */
static void test_disk_full_and_quiet(void **state)
{
    struct blk_rig *rig = *state;

    rig->disk.room = 0;
    rig_offer(rig, 0, BH_BLK_T_IN, 0, RIG_DATA, 512, W);
    assert_true(bh_device_kick(&rig->device, 0));
    bh_device_flush(&rig->device);
    rig->disk.room = 1;
    bh_device_flush(&rig->device);
    rig_expect(rig, 0, BH_BLK_S_OK, 513);
}

/* Chains that need a block of the pool, and there are only two. */
static void test_no_span_block(void **state)
{
    struct blk_rig *rig = *state;
    struct guest_buffer buffers[5];

    rig->disk.defer = true;
    for (uint16_t i = 0; i < 3; i++) {
        buffers[0] = (struct guest_buffer){RIG_HEADER(5 * i), 16, R};
        for (uint16_t j = 1; j < 4; j++) {
            buffers[j] = (struct guest_buffer){RIG_DATA + 512u * j, 512, W};
        }
        buffers[4] = (struct guest_buffer){RIG_STATUS(5 * i), 1, W};
        rig_header(rig, (uint16_t)(5 * i), BH_BLK_T_IN, 0);
        guest_offer(&rig->guest, buffers, 5, (uint16_t)(5 * i));
    }
    rig_kick(rig);
    assert_int_equal(rig->disk.held_count, 2);
    fake_disk_finish(&rig->disk, 1);
    bh_device_flush(&rig->device);
    rig_expect(rig, 5, BH_BLK_S_OK, 3 * 512 + 1);
    assert_int_equal(rig->disk.held_count, 2);
    fake_disk_finish_all(&rig->disk);
    bh_device_flush(&rig->device);
    rig_expect(rig, 0, BH_BLK_S_OK, 3 * 512 + 1);
    rig_expect(rig, 10, BH_BLK_S_OK, 3 * 512 + 1);
    assert_int_equal(rig->guest.pool.free_count, GUEST_BLOCKS);
}

/* [BH-DEV-18] The driver is asked for notifications exactly when the model does not look by itself. */
static void test_notifications_asked_for(void **state)
{
    struct blk_rig *rig = *state;
    uint64_t flags = rig->guest.setup.device + (rig->guest.packed ? 2u : 0u);

    rig_kick(rig);
    assert_int_equal(guest_get16(&rig->guest, flags), 0);
    rig->disk.defer = true;
    offer_flushes(rig, 5);
    rig_kick(rig);
    assert_int_equal(guest_get16(&rig->guest, flags), 1);
    fake_disk_finish_all(&rig->disk);
    bh_device_flush(&rig->device);
    assert_int_equal(guest_get16(&rig->guest, flags), 0);
}

/* ---- drain and reset ---- */

/* [BH-BLK-38] [BH-DEV-2] A completion after the reset was asked for must find everything in place. */
static void test_class_17_completion_during_reset(void **state)
{
    struct blk_rig *rig = *state;

    rig->disk.defer = true;
    rig_offer(rig, 0, BH_BLK_T_IN, 0, RIG_DATA, 512, W);
    rig_offer(rig, 3, BH_BLK_T_OUT, 1, RIG_DATA, 512, R);
    rig_kick(rig);
    assert_int_equal(bh_device_reset(&rig->device), BH_AGAIN);
    /* Nothing new is taken. */
    rig_offer(rig, 6, BH_BLK_T_IN, 0, RIG_DATA, 512, W);
    rig_kick(rig);
    assert_int_equal(rig->disk.held_count, 2);
    fake_disk_finish(&rig->disk, 0);
    bh_device_flush(&rig->device);
    assert_int_equal(bh_device_reset(&rig->device), BH_AGAIN);
    assert_int_equal(rig->idles, 0);
    fake_disk_finish(&rig->disk, 0);
    bh_device_flush(&rig->device);
    assert_int_equal(rig->idles, 1);
    assert_int_equal(bh_device_reset(&rig->device), BH_OK);
    assert_int_equal(rig->queues[0].state, BH_QUEUE_STOPPED);
    rig->disk.defer = false;
    rig_negotiate(rig, RIG_FEATURES);
    rig_request(rig, BH_BLK_T_IN, 0, RIG_DATA, 512, W, BH_BLK_S_OK, 513);
}

/* What waits for the disk belongs to the driver too: it is done before the queue stops. */
static void test_drain_what_waits(void **state)
{
    struct blk_rig *rig = *state;

    rig->disk.defer = true;
    rig->disk.room = 1;
    rig_offer(rig, 0, BH_BLK_T_OUT, 0, RIG_DATA, 512, R);
    rig_offer(rig, 3, BH_BLK_T_OUT, 1, RIG_DATA, 512, R);
    rig_kick(rig);
    assert_int_equal(rig->disk.log_count, 1);
    assert_int_equal(bh_device_queue_stop(&rig->device, 0), BH_AGAIN);
    fake_disk_finish(&rig->disk, 0);
    bh_device_flush(&rig->device);
    fake_disk_finish(&rig->disk, 0);
    bh_device_flush(&rig->device);
    assert_int_equal(rig->disk.log_count, 2);
    assert_int_equal(rig->idles, 1);
    rig_expect(rig, 0, BH_BLK_S_OK, 1);
    rig_expect(rig, 3, BH_BLK_S_OK, 1);
}

/* ---- several queues ---- */

static void use_two_queues(struct blk_rig *rig, uint64_t features)
{
    struct bh_blk_geometry geometry = rig_geometry();
    bool packed = rig->guest.packed;

    rig_finish(rig);
    rig_init(rig, packed, &geometry, 2, features);
}

static void offer_other(struct blk_rig *rig, uint16_t head)
{
    const struct guest_buffer buffers[] = {{RIG_HEADER(15), 16, R}, {RIG_STATUS(15), 1, W}};

    rig_header(rig, 15, BH_BLK_T_FLUSH, 0);
    guest_offer(&rig->other, buffers, 2, head);
}

/* [BH-BLK-27] */
static void test_second_queue(void **state)
{
    struct blk_rig *rig = *state;

    use_two_queues(rig, RIG_FEATURES | BH_BLK_F_MQ);
    offer_other(rig, 0);
    rig_kick(rig);
    guest_expect_nothing(&rig->other);
    assert_false(bh_device_kick(&rig->device, 1));
    bh_device_flush(&rig->device);
    guest_expect_used(&rig->other, 0, 1);
    assert_int_equal(rig->notified[1], 1);
    assert_int_equal(rig->notified[0], 0);
    use_two_queues(rig, RIG_FEATURES);
    offer_other(rig, 0);
    assert_false(bh_device_kick(&rig->device, 1));
    bh_device_flush(&rig->device);
    guest_expect_nothing(&rig->other);
}

/* A queue that is always full does not keep the other one from the requests that come free. */
static void test_starved_queues_take_turns(void **state)
{
    struct blk_rig *rig = *state;

    use_two_queues(rig, RIG_FEATURES | BH_BLK_F_MQ);
    rig->disk.defer = true;
    offer_flushes(rig, 8);
    offer_other(rig, 0);
    rig_kick(rig);
    assert_false(bh_device_kick(&rig->device, 1));
    bh_device_flush(&rig->device);
    assert_int_equal(rig->queues[1].in_flight, 0);
    fake_disk_finish(&rig->disk, 0);
    bh_device_flush(&rig->device);
    fake_disk_finish(&rig->disk, 0);
    bh_device_flush(&rig->device);
    assert_int_equal(rig->queues[1].in_flight, 1);
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
        RIG_BOTH(test_shrinks_between_segments),
        RIG_BOTH(test_error_is_of_one_request),
        RIG_BOTH(test_completions_in_any_order),
        RIG_BOTH(test_in_order),
        RIG_BOTH(test_no_free_request),
        RIG_BOTH(test_disk_without_room),
        RIG_BOTH(test_segments_without_room),
        RIG_BOTH(test_disk_full_and_quiet),
        RIG_BOTH(test_no_span_block),
        RIG_BOTH(test_notifications_asked_for),
        RIG_BOTH(test_class_17_completion_during_reset),
        RIG_BOTH(test_drain_what_waits),
        RIG_BOTH(test_second_queue),
        RIG_BOTH(test_starved_queues_take_turns),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
