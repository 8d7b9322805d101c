/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The block model and a driver that is wrong or hostile: layouts, lengths, ranges, rights, flags,
 * memory rewritten under way. A good driver: test_blk.c.
 */
#include "blk_rig.h"

#include <stdlib.h>
#include <string.h>

#define READ  BH_BLK_T_IN
#define WRITE BH_BLK_T_OUT

/* The request must be a violation: no answer, device failed, nothing held, nothing at the disk. */
static void expect_violation(struct blk_rig *rig)
{
    assert_false(bh_device_kick(&rig->device, 0));
    bh_device_flush(&rig->device);
    guest_expect_nothing(&rig->guest);
    assert_int_equal(rig->failures, 1);
    assert_true((rig->device.status & BH_STATUS_NEEDS_RESET) != 0);
    assert_int_equal(rig->queues[0].fault.error, BH_PROTOCOL);
    assert_int_equal(rig->queues[0].in_flight, 0);
    assert_int_equal(rig->disk.offers, 0);
    assert_int_equal(rig->notified[0], 0);
}

/* ---- layout ---- */

/* [BH-BLK-4] */
static void test_no_status(void **state)
{
    struct blk_rig *rig = *state;
    const struct guest_buffer buffers[] = {{RIG_HEADER(0), 16, R}, {RIG_DATA, 512, R}};

    rig_header(rig, 0, WRITE, 0);
    guest_offer(&rig->guest, buffers, 2, 0);
    /* What comes after a violation is not served either. */
    rig_offer(rig, 3, READ, 0, RIG_DATA, 512, W);
    expect_violation(rig);
    assert_int_equal(bh_device_reset(&rig->device), BH_OK);
    rig_negotiate(rig, RIG_FEATURES);
    rig_request(rig, READ, 0, RIG_DATA, 512, W, BH_BLK_S_OK, 513);
}

/* [BH-BLK-4] A writable descriptor of no length is no room for a status. */
static void test_empty_status(void **state)
{
    struct blk_rig *rig = *state;
    const struct guest_buffer buffers[] = {{RIG_HEADER(0), 16, R}, {RIG_STATUS(0), 0, W}};

    rig_header(rig, 0, BH_BLK_T_FLUSH, 0);
    guest_offer(&rig->guest, buffers, 2, 0);
    expect_violation(rig);
}

/* [BH-BLK-4] A last byte that the device may only read is none either. */
static void test_readable_status(void **state)
{
    struct blk_rig *rig = *state;
    const struct guest_buffer buffers[] = {
        {RIG_HEADER(0), 16, R}, {RIG_DATA, 512, R}, {RIG_STATUS(0), 1, R}};

    rig_header(rig, 0, WRITE, 0);
    guest_offer(&rig->guest, buffers, 3, 0);
    expect_violation(rig);
    assert_int_equal(*guest_at(&rig->guest, RIG_STATUS(0)), 0xee);
}

/* [BH-BLK-4] Nor is a header that the device may only write. */
static void test_writable_header(void **state)
{
    struct blk_rig *rig = *state;
    const struct guest_buffer buffers[] = {{RIG_HEADER(0), 16, W}, {RIG_STATUS(0), 1, W}};

    rig_header(rig, 0, BH_BLK_T_FLUSH, 0);
    guest_offer(&rig->guest, buffers, 2, 0);
    expect_violation(rig);
}

/* Violations use nothing up: the device can be reset more often than it has requests. */
static void test_class_10_violation_leaks_nothing(void **state)
{
    struct blk_rig *rig = *state;

    for (uint32_t i = 0; i < 2 * RIG_REQUESTS; i++) {
        rig_header(rig, 0, READ, 0);
        guest_offer_one(&rig->guest, RIG_HEADER(0), 16, R, 0);
        rig->failures = 0;
        expect_violation(rig);
        assert_int_equal(bh_device_reset(&rig->device), BH_OK);
        rig_negotiate(rig, RIG_FEATURES);
    }
    rig_request(rig, READ, 0, RIG_DATA, 512, W, BH_BLK_S_OK, 513);
}

/* [BH-BLK-4] */
static void test_class_07_short_header(void **state)
{
    struct blk_rig *rig = *state;
    const struct guest_buffer buffers[] = {{RIG_HEADER(0), 15, R}, {RIG_STATUS(0), 1, W}};

    rig_header(rig, 0, BH_BLK_T_FLUSH, 0);
    guest_offer(&rig->guest, buffers, 2, 0);
    expect_violation(rig);
    assert_int_equal(*guest_at(&rig->guest, RIG_STATUS(0)), 0xee);
}

static void test_no_header(void **state)
{
    struct blk_rig *rig = *state;

    rig_header(rig, 0, READ, 0);
    guest_offer_one(&rig->guest, RIG_STATUS(0), 1, W, 0);
    expect_violation(rig);
}

/* One byte after another at `at`, `writable` or not, cut at `cut`. Returns how many buffers. */
static uint16_t cut_in_two(struct guest_buffer *buffers, uint64_t at, uint32_t length, uint32_t cut,
                           uint16_t flags)
{
    buffers[0] = (struct guest_buffer){at, cut, flags};
    buffers[1] = (struct guest_buffer){at + cut, length - cut, flags};
    return 2;
}

/* [BH-DEV-13] Header and data lie together and are cut in two anywhere; so do data and status. */
static void test_class_07_header_cut_anywhere(void **state)
{
    struct blk_rig *rig = *state;
    struct guest_buffer buffers[4];

    for (uint32_t cut = 0; cut <= 16 + 512; cut += cut < 20 ? 1 : 100) {
        uint16_t count;

        guest_put32(&rig->guest, RIG_DATA, WRITE);
        guest_put32(&rig->guest, RIG_DATA + 4, 0);
        guest_put64(&rig->guest, RIG_DATA + 8, 7);
        memset(guest_at(&rig->guest, RIG_DATA + 16), (int)(cut % 251) + 1, 512);
        *guest_at(&rig->guest, RIG_STATUS(0)) = 0xee;
        count = cut_in_two(buffers, RIG_DATA, 16 + 512, cut, R);
        buffers[count] = (struct guest_buffer){RIG_STATUS(0), 1, W};
        guest_offer(&rig->guest, buffers, (uint16_t)(count + 1), 0);
        rig_kick(rig);
        rig_expect(rig, 0, BH_BLK_S_OK, 1);
        assert_int_equal(rig->disk.data[7 * 512], cut % 251 + 1);
        assert_int_equal(rig->disk.data[8 * 512 - 1], cut % 251 + 1);
        assert_int_equal(rig->disk.data[8 * 512], 0);
        assert_int_equal(rig->disk.data[7 * 512 - 1], 0);
    }
}

static void test_status_cut_anywhere(void **state)
{
    struct blk_rig *rig = *state;
    struct guest_buffer buffers[4];

    memset(rig->disk.data + 512, 0x42, 512);
    for (uint32_t cut = 0; cut <= 513; cut += cut == 512 ? 1 : 64) {
        uint16_t count;

        rig_header(rig, 0, READ, 1);
        memset(guest_at(&rig->guest, RIG_DATA), 0xee, 514);
        buffers[0] = (struct guest_buffer){RIG_HEADER(0), 16, R};
        count = cut_in_two(&buffers[1], RIG_DATA, 513, cut, W);
        guest_offer(&rig->guest, buffers, (uint16_t)(count + 1), 0);
        rig_kick(rig);
        guest_expect_used(&rig->guest, 0, 513);
        assert_int_equal(*guest_at(&rig->guest, RIG_DATA), 0x42);
        assert_int_equal(*guest_at(&rig->guest, RIG_DATA + 511), 0x42);
        assert_int_equal(*guest_at(&rig->guest, RIG_DATA + 512), BH_BLK_S_OK);
        assert_int_equal(*guest_at(&rig->guest, RIG_DATA + 513), 0xee);
    }
}

/* [BH-DEV-13] Header byte by byte in an indirect table, all kinds of requests. */
static void test_header_in_crumbs(void **state)
{
    struct blk_rig *rig = *state;
    struct bh_blk_geometry geometry = rig_geometry();
    struct guest_buffer buffers[16];
    bool packed = rig->guest.packed;

    rig_finish(rig);
    rig_init(rig, packed, &geometry, 1, RIG_FEATURES | BH_F_INDIRECT_DESC);
    rig_header(rig, 0, BH_BLK_T_GET_ID, 0);
    for (uint32_t i = 0; i < 8; i++) {
        buffers[i] = (struct guest_buffer){RIG_HEADER(0) + 2 * (uint64_t)i, 2, R};
    }
    for (uint32_t i = 0; i < 4; i++) {
        buffers[8 + i] = (struct guest_buffer){RIG_DATA + 5 * (uint64_t)i, 5, W};
    }
    buffers[12] = (struct guest_buffer){RIG_STATUS(0), 1, W};
    guest_table(&rig->guest, GUEST_TABLE, buffers, 13);
    guest_offer_indirect(&rig->guest, GUEST_TABLE, 13 * 16, 0);
    rig_kick(rig);
    rig_expect(rig, 0, BH_BLK_S_OK, 21);
    assert_memory_equal(guest_at(&rig->guest, RIG_DATA), "bench disk\0\0\0\0\0\0\0\0\0\0", 20);
    rig_header(rig, 0, READ, 1);
    memset(rig->disk.data + 512, 0x33, 512);
    buffers[8] = (struct guest_buffer){RIG_DATA, 512, W};
    buffers[9] = (struct guest_buffer){RIG_STATUS(0), 1, W};
    guest_table(&rig->guest, GUEST_TABLE, buffers, 10);
    guest_offer_indirect(&rig->guest, GUEST_TABLE, 10 * 16, 0);
    rig_kick(rig);
    rig_expect(rig, 0, BH_BLK_S_OK, 513);
    assert_int_equal(*guest_at(&rig->guest, RIG_DATA + 511), 0x33);
    rig_header(rig, 0, WRITE, 2);
    buffers[8].flags = R;
    guest_table(&rig->guest, GUEST_TABLE, buffers, 10);
    guest_offer_indirect(&rig->guest, GUEST_TABLE, 10 * 16, 0);
    rig_kick(rig);
    rig_expect(rig, 0, BH_BLK_S_OK, 1);
    assert_int_equal(fake_disk_last(&rig->disk)->span_count, 1);
    assert_int_equal(rig->disk.data[2 * 512 + 511], 0x33);
    rig_header(rig, 0, BH_BLK_T_DISCARD, 0);
    rig_segment(rig, RIG_DATA, 1, 1, 0);
    buffers[8] = (struct guest_buffer){RIG_DATA, 7, R};
    buffers[9] = (struct guest_buffer){RIG_DATA + 7, 9, R};
    buffers[10] = (struct guest_buffer){RIG_STATUS(0), 1, W};
    guest_table(&rig->guest, GUEST_TABLE, buffers, 11);
    guest_offer_indirect(&rig->guest, GUEST_TABLE, 11 * 16, 0);
    rig_kick(rig);
    rig_expect(rig, 0, BH_BLK_S_OK, 1);
    assert_int_equal(fake_disk_last(&rig->disk)->offset, 512);
}

/* Data on the wrong side, or on both. */
static void test_class_12_data_on_the_wrong_side(void **state)
{
    struct blk_rig *rig = *state;
    const struct guest_buffer both[] = {
        {RIG_HEADER(0), 16, R}, {RIG_DATA, 512, R}, {RIG_DATA, 512, W}, {RIG_STATUS(0), 1, W}};
    const uint32_t types[] = {READ, WRITE, BH_BLK_T_GET_ID, BH_BLK_T_GET_LIFETIME,
                              BH_BLK_T_DISCARD};

    memset(rig->disk.data, 0x55, rig->disk.size);
    rig_segment(rig, RIG_DATA, 0, 1, 0);
    for (uint32_t i = 0; i < 5; i++) {
        rig_header(rig, 0, types[i], 0);
        guest_offer(&rig->guest, both, 4, 0);
        rig_kick(rig);
        rig_expect(rig, 0, BH_BLK_S_IOERR, 0);
    }
    rig_request(rig, READ, 0, RIG_DATA, 512, R, BH_BLK_S_IOERR, 1);
    rig_request(rig, WRITE, 0, RIG_DATA, 512, W, BH_BLK_S_IOERR, 0);
    assert_int_equal(rig->disk.offers, 0);
}

/* ---- what is asked for ---- */

/* [BH-BLK-5] */
static void test_unknown_types(void **state)
{
    struct blk_rig *rig = *state;
    const uint32_t types[] = {2,  3,  5,  6,  7,  9,  12,         15,         16,        17,
                              18, 20, 22, 24, 26, 27, 0x80000000, 0x80000001, UINT32_MAX};

    for (uint32_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
        rig_request(rig, types[i], 0, RIG_DATA, 512, R, BH_BLK_S_UNSUPP, 1);
        rig_request(rig, types[i], 0, RIG_DATA, 512, W, BH_BLK_S_UNSUPP, 0);
        rig_request(rig, types[i], 0, RIG_DATA, 0, R, BH_BLK_S_UNSUPP, 1);
    }
    assert_int_equal(rig->disk.offers, 0);
}

/* [BH-BLK-5] [BH-DEV-4] What was not negotiated does not exist. */
static void test_features_not_negotiated(void **state)
{
    struct blk_rig *rig = *state;
    struct bh_blk_geometry geometry = rig_geometry();
    bool packed = rig->guest.packed;

    rig_finish(rig);
    rig_init(rig, packed, &geometry, 1, BH_BLK_F_FLUSH);
    rig_segment(rig, RIG_DATA, 0, 1, 0);
    rig_request(rig, BH_BLK_T_DISCARD, 0, RIG_DATA, 16, R, BH_BLK_S_UNSUPP, 1);
    rig_request(rig, BH_BLK_T_WRITE_ZEROES, 0, RIG_DATA, 16, R, BH_BLK_S_UNSUPP, 1);
    rig_request(rig, BH_BLK_T_SECURE_ERASE, 0, RIG_DATA, 16, R, BH_BLK_S_UNSUPP, 1);
    rig_request(rig, BH_BLK_T_GET_LIFETIME, 0, RIG_DATA, 6, W, BH_BLK_S_UNSUPP, 0);
    assert_int_equal(rig->disk.offers, 0);
}

/* [BH-BLK-2] */
static void test_class_19_beyond_the_end(void **state)
{
    struct blk_rig *rig = *state;
    const struct {
        uint64_t sector;
        uint32_t length;
    } ranges[] = {
        {RIG_SECTORS, 512},          {RIG_SECTORS - 1, 1024},
        {RIG_SECTORS + 1, 0},        {UINT64_MAX, 512},
        {UINT64_MAX / 512, 512},     {UINT64_MAX / 512 + 1, 512},
        {UINT64_MAX / 512 + 2, 512}, {UINT64_C(1) << 63, 512},
        {UINT64_C(1) << 55, 1024},   {0, (RIG_SECTORS + 1) * 512},
    };

    memset(guest_at(&rig->guest, RIG_DATA), 0xee, 1024);
    for (uint32_t i = 0; i < sizeof(ranges) / sizeof(ranges[0]); i++) {
        uint32_t length = ranges[i].length;

        rig_request(rig, READ, ranges[i].sector, RIG_DATA, length, W, BH_BLK_S_IOERR,
                    length == 0 ? 1 : 0);
        rig_request(rig, WRITE, ranges[i].sector, RIG_DATA, length, R, BH_BLK_S_IOERR, 1);
    }
    assert_int_equal(*guest_at(&rig->guest, RIG_DATA), 0xee);
    assert_int_equal(rig->disk.offers, 0);
}

/* [BH-BLK-2] */
static void test_no_whole_sectors(void **state)
{
    struct blk_rig *rig = *state;
    const uint32_t lengths[] = {1, 511, 513, 1023};

    for (uint32_t i = 0; i < 4; i++) {
        rig_request(rig, READ, 0, RIG_DATA, lengths[i], W, BH_BLK_S_IOERR, 0);
        rig_request(rig, WRITE, 0, RIG_DATA, lengths[i], R, BH_BLK_S_IOERR, 1);
    }
    assert_int_equal(rig->disk.offers, 0);
}

/* [BH-BLK-6] The buffer for the id is neither overrun nor left with anything else in it. */
static void test_class_11_answer_of_wrong_size(void **state)
{
    struct blk_rig *rig = *state;
    const uint32_t lengths[] = {1, 19, 21, 512};

    for (uint32_t i = 0; i < 4; i++) {
        memset(guest_at(&rig->guest, RIG_DATA), 0xee, 512);
        rig_request(rig, BH_BLK_T_GET_ID, 0, RIG_DATA, lengths[i], W, BH_BLK_S_IOERR, 0);
        rig_request(rig, BH_BLK_T_GET_LIFETIME, 0, RIG_DATA, lengths[i], W, BH_BLK_S_IOERR, 0);
        assert_int_equal(*guest_at(&rig->guest, RIG_DATA), 0xee);
    }
    rig_request(rig, BH_BLK_T_GET_ID, 0, RIG_DATA, 0, W, BH_BLK_S_IOERR, 1);
}

/* ---- limits ---- */

/* [BH-BLK-29] */
static void test_segment_count(void **state)
{
    struct blk_rig *rig = *state;
    struct guest_buffer buffers[RIG_SEG_MAX + 3];
    uint16_t count = RIG_SEG_MAX + 2;

    for (uint16_t i = 0; i < RIG_SEG_MAX + 1; i++) {
        buffers[1 + i] = (struct guest_buffer){RIG_DATA + 512u * i, 512, W};
    }
    buffers[0] = (struct guest_buffer){RIG_HEADER(0), 16, R};
    buffers[count] = (struct guest_buffer){RIG_STATUS(0), 1, W};
    rig_header(rig, 0, READ, 0);
    guest_offer(&rig->guest, buffers, (uint16_t)(count + 1), 0);
    rig_kick(rig);
    rig_expect(rig, 0, BH_BLK_S_IOERR, 0);
    assert_int_equal(rig->disk.offers, 0);
    buffers[count - 1] = buffers[count];
    rig_header(rig, 0, READ, 0);
    guest_offer(&rig->guest, buffers, count, 0);
    rig_kick(rig);
    rig_expect(rig, 0, BH_BLK_S_OK, RIG_SEG_MAX * 512 + 1);
}

/* [BH-BLK-30] */
static void test_segment_size(void **state)
{
    struct blk_rig *rig = *state;
    struct bh_blk_geometry geometry = rig_geometry();
    bool packed = rig->guest.packed;

    geometry.size_max = 1024;
    rig_finish(rig);
    rig_init(rig, packed, &geometry, 1, RIG_FEATURES | BH_BLK_F_SIZE_MAX);
    rig_request(rig, READ, 0, RIG_DATA, 1024, W, BH_BLK_S_OK, 1025);
    rig_request(rig, READ, 0, RIG_DATA, 1536, W, BH_BLK_S_IOERR, 0);
    rig_request(rig, WRITE, 0, RIG_DATA, 1536, R, BH_BLK_S_IOERR, 1);
    assert_int_equal(rig->disk.offers, 1);
}

/* ---- rights ---- */

/* [BH-BLK-16] */
static void test_read_only(void **state)
{
    struct blk_rig *rig = *state;
    struct bh_blk_geometry geometry = rig_geometry();
    bool packed = rig->guest.packed;
    const uint32_t types[] = {BH_BLK_T_DISCARD, BH_BLK_T_WRITE_ZEROES, BH_BLK_T_SECURE_ERASE};

    geometry.read_only = true;
    rig_finish(rig);
    rig_init(rig, packed, &geometry, 1, BH_BLK_F_FLUSH);
    rig_request(rig, WRITE, 0, RIG_DATA, 512, R, BH_BLK_S_IOERR, 1);
    rig_request(rig, WRITE, 0, RIG_DATA, 0, R, BH_BLK_S_IOERR, 1);
    rig_segment(rig, RIG_DATA, 0, 1, 0);
    for (uint32_t i = 0; i < 3; i++) {
        rig_request(rig, types[i], 0, RIG_DATA, 16, R, BH_BLK_S_IOERR, 1);
    }
    assert_int_equal(rig->disk.offers, 0);
    rig_request(rig, READ, 0, RIG_DATA, 512, W, BH_BLK_S_OK, 513);
    rig_request(rig, BH_BLK_T_FLUSH, 0, 0, 0, R, BH_BLK_S_OK, 1);
}

/* ---- segments ---- */

/* [BH-BLK-20] */
static void test_segments_of_wrong_length(void **state)
{
    struct blk_rig *rig = *state;
    const uint32_t lengths[] = {0, 1, 15, 17, 31, 17 * 16, 33 * 16};
    const uint32_t types[] = {BH_BLK_T_DISCARD, BH_BLK_T_WRITE_ZEROES, BH_BLK_T_SECURE_ERASE};

    for (uint32_t i = 0; i < 33; i++) {
        rig_segment(rig, RIG_DATA + 16 * (uint64_t)i, 0, 1, 0);
    }
    for (uint32_t i = 0; i < 7; i++) {
        for (uint32_t j = 0; j < 3; j++) {
            rig_request(rig, types[j], 0, RIG_DATA, lengths[i], R, BH_BLK_S_IOERR, 1);
        }
    }
    assert_int_equal(rig->disk.offers, 0);
    rig_request(rig, BH_BLK_T_DISCARD, 0, RIG_DATA, 16 * 16, R, BH_BLK_S_OK, 1);
    assert_int_equal(rig->disk.log_count, 16);
}

/* [BH-BLK-20] [BH-BLK-7] The bad one is the last; nothing is done of the others. */
static void test_segments_out_of_range(void **state)
{
    struct blk_rig *rig = *state;
    const struct {
        uint64_t sector;
        uint32_t count;
    } bad[] = {
        {RIG_SECTORS, 1}, {RIG_SECTORS - 1, 2}, {UINT64_MAX, 1}, {UINT64_MAX / 512 + 1, 1},
        {0, 33},                         /* over discard_max */
        {0, UINT32_MAX},  {0, 0x800000}, /* 2^32 bytes */
        {0, 0x800001},    {RIG_SECTORS + 1, 0},
    };

    rig_segment(rig, RIG_DATA, 0, 1, 0);
    for (uint32_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        rig_segment(rig, RIG_DATA + 16, bad[i].sector, bad[i].count, 0);
        rig_request(rig, BH_BLK_T_DISCARD, 0, RIG_DATA, 32, R, BH_BLK_S_IOERR, 1);
    }
    assert_int_equal(rig->disk.offers, 0);
    rig_segment(rig, RIG_DATA, 0, 17, 0);
    rig_request(rig, BH_BLK_T_WRITE_ZEROES, 0, RIG_DATA, 16, R, BH_BLK_S_IOERR, 1);
    rig_segment(rig, RIG_DATA, 0, 9, 0);
    rig_request(rig, BH_BLK_T_SECURE_ERASE, 0, RIG_DATA, 16, R, BH_BLK_S_IOERR, 1);
    assert_int_equal(rig->disk.offers, 0);
}

/* [BH-BLK-19] Flags win over everything else that is wrong. */
static void test_segment_flags(void **state)
{
    struct blk_rig *rig = *state;
    const uint32_t types[] = {BH_BLK_T_DISCARD, BH_BLK_T_WRITE_ZEROES, BH_BLK_T_SECURE_ERASE};
    const uint32_t flags[] = {2, 3, 0x80000000, UINT32_MAX};

    rig_segment(rig, RIG_DATA, UINT64_MAX, 1, 0);
    for (uint32_t i = 0; i < 4; i++) {
        rig_segment(rig, RIG_DATA + 16, 0, 1, flags[i]);
        for (uint32_t j = 0; j < 3; j++) {
            rig_request(rig, types[j], 0, RIG_DATA, 32, R, BH_BLK_S_UNSUPP, 1);
        }
    }
    rig_segment(rig, RIG_DATA, 0, 1, BH_BLK_SEGMENT_UNMAP);
    rig_request(rig, BH_BLK_T_DISCARD, 0, RIG_DATA, 16, R, BH_BLK_S_UNSUPP, 1);
    rig_request(rig, BH_BLK_T_SECURE_ERASE, 0, RIG_DATA, 16, R, BH_BLK_S_UNSUPP, 1);
    assert_int_equal(rig->disk.offers, 0);
    rig_request(rig, BH_BLK_T_WRITE_ZEROES, 0, RIG_DATA, 16, R, BH_BLK_S_OK, 1);
}

/* ---- memory rewritten under way ---- */

/* [BH-DEV-11] Header and segments change the moment the disk has the request: it does what was
 * checked. */
static void test_class_02_rewritten_request(void **state)
{
    struct blk_rig *rig = *state;

    rig->disk.defer = true;
    rig_segment(rig, RIG_DATA, 0, 1, 0);
    rig_segment(rig, RIG_DATA + 16, 1, 1, 0);
    rig_offer(rig, 0, BH_BLK_T_WRITE_ZEROES, 0, RIG_DATA, 32, R);
    rig_offer(rig, 3, READ, 2, RIG_DATA + 512, 512, W);
    rig_kick(rig);
    memset(guest_at(&rig->guest, RIG_HEADER(0)), 0xff, 16);
    memset(guest_at(&rig->guest, RIG_HEADER(3)), 0xff, 16);
    memset(guest_at(&rig->guest, RIG_DATA), 0xff, 32);
    memset(guest_at(&rig->guest, GUEST_DESCRIPTOR), 0xff, 6 * 16 * (rig->guest.packed ? 0u : 1u));
    fake_disk_finish_all(&rig->disk);
    bh_device_flush(&rig->device);
    assert_int_equal(rig->disk.log_count, 3);
    assert_int_equal(rig->disk.log[1].offset, 1024);
    assert_int_equal(rig->disk.log[2].offset, 512);
    assert_int_equal(rig->queues[0].in_flight, 0);
    assert_int_equal(rig->failures, 0);
}

/* Makes a used request available again, from inside the disk. */
static void offer_again(void *context)
{
    struct blk_rig *rig = context;

    if (rig->disk.offers < 10 * RIG_QUEUE) {
        guest_split_offer(&rig->guest, 0);
    }
}

/* [BH-DEV-24] A driver that supplies more while it is served gets one ring's worth at a time. */
static void test_class_08_endless_supply(void **state)
{
    struct blk_rig *rig = *state;

    rig_offer(rig, 0, BH_BLK_T_FLUSH, 0, 0, 0, R);
    rig->disk.on_submit = offer_again;
    rig->disk.context = rig;
    assert_true(bh_device_kick(&rig->device, 0));
    assert_int_equal(rig->disk.offers, RIG_QUEUE);
    assert_true(bh_device_kick(&rig->device, 0));
    assert_int_equal(rig->disk.offers, 2 * RIG_QUEUE);
    /* Nor is the end of a turn endless; what is left is not forgotten. */
    rig->blk.starved = true;
    bh_device_flush(&rig->device);
    assert_int_equal(rig->disk.offers, 3 * RIG_QUEUE);
    bh_device_flush(&rig->device);
    assert_int_equal(rig->disk.offers, 4 * RIG_QUEUE);
}

/* A violation while other requests are at the disk: they come back, and nothing is published. */
static void test_violation_with_requests_in_flight(void **state)
{
    struct blk_rig *rig = *state;

    rig->disk.defer = true;
    rig_offer(rig, 0, READ, 0, RIG_DATA, 512, W);
    rig_kick(rig);
    guest_offer_one(&rig->guest, RIG_HEADER(3), 16, R, 3);
    assert_false(bh_device_kick(&rig->device, 0));
    bh_device_flush(&rig->device);
    assert_int_equal(rig->failures, 1);
    fake_disk_finish_all(&rig->disk);
    bh_device_flush(&rig->device);
    guest_expect_nothing(&rig->guest);
    assert_int_equal(rig->queues[0].in_flight, 0);
    assert_int_equal(bh_device_reset(&rig->device), BH_OK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        RIG_BOTH(test_no_status),
        RIG_BOTH(test_empty_status),
        RIG_BOTH(test_readable_status),
        RIG_BOTH(test_writable_header),
        RIG_BOTH(test_class_10_violation_leaks_nothing),
        RIG_BOTH(test_class_07_short_header),
        RIG_BOTH(test_no_header),
        RIG_BOTH(test_class_07_header_cut_anywhere),
        RIG_BOTH(test_status_cut_anywhere),
        RIG_BOTH(test_header_in_crumbs),
        RIG_BOTH(test_class_12_data_on_the_wrong_side),
        RIG_BOTH(test_unknown_types),
        RIG_BOTH(test_features_not_negotiated),
        RIG_BOTH(test_class_19_beyond_the_end),
        RIG_BOTH(test_no_whole_sectors),
        RIG_BOTH(test_class_11_answer_of_wrong_size),
        RIG_BOTH(test_segment_count),
        RIG_BOTH(test_segment_size),
        RIG_BOTH(test_read_only),
        RIG_BOTH(test_segments_of_wrong_length),
        RIG_BOTH(test_segments_out_of_range),
        RIG_BOTH(test_segment_flags),
        RIG_BOTH(test_class_02_rewritten_request),
        cmocka_unit_test_setup_teardown(test_class_08_endless_supply, rig_setup_split,
                                        rig_teardown),
        RIG_BOTH(test_violation_with_requests_in_flight),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
