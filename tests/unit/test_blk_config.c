/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The block model's features, configuration space, cache mode and what follows from it for the
 * durability of writes; and the geometries that it refuses. Requests: test_blk.c.
 */
#include "blk_rig.h"

#include <stdlib.h>
#include <string.h>

#define WRITEBACK offsetof(struct bh_blk_config, writeback)

static uint64_t offered(struct blk_rig *rig)
{
    return bh_device_features(&rig->device) & ~BH_F_TRANSPORT_MASK;
}

static void again(struct blk_rig *rig, const struct bh_blk_geometry *geometry, uint16_t queues,
                  uint64_t features)
{
    bool packed = rig->guest.packed;

    rig_finish(rig);
    rig_init(rig, packed, geometry, queues, features);
}

static uint64_t field(struct blk_rig *rig, size_t offset, uint32_t length)
{
    uint8_t bytes[8] = {0};
    uint64_t value = 0;

    assert_int_equal(bh_device_config_read(&rig->device, (uint32_t)offset, bytes, length), BH_OK);
    for (uint32_t i = length; i > 0; i--) {
        value = value << 8 | bytes[i - 1];
    }
    return value;
}

#define FIELD(rig, name)                                                                           \
    field((rig), offsetof(struct bh_blk_config, name), sizeof(((struct bh_blk_config *)0)->name))

static int mode_set(struct blk_rig *rig, uint8_t value)
{
    return bh_device_config_write(&rig->device, WRITEBACK, &value, 1);
}

/* ---- features and fields ---- */

/* [BH-BLK-8] [BH-BLK-18] [BH-BLK-25] [BH-BLK-26] */
static void test_offered(void **state)
{
    struct blk_rig *rig = *state;
    struct bh_blk_geometry geometry = rig_geometry();

    assert_int_equal(offered(rig), RIG_FEATURES);
    geometry.size_max = 4096;
    again(rig, &geometry, 2, 0);
    assert_int_equal(offered(rig), RIG_FEATURES | BH_BLK_F_SIZE_MAX | BH_BLK_F_MQ);
    geometry = rig_geometry();
    geometry.discard_max = 0;
    again(rig, &geometry, 1, 0);
    assert_int_equal(offered(rig), RIG_FEATURES & ~BH_BLK_F_DISCARD);
    geometry.write_zeroes_max = 0;
    again(rig, &geometry, 1, 0);
    assert_int_equal(offered(rig), RIG_FEATURES & ~(BH_BLK_F_DISCARD | BH_BLK_F_WRITE_ZEROES));
    geometry = rig_geometry();
    geometry.secure_erase_max = 0;
    geometry.lifetime = false;
    again(rig, &geometry, 1, 0);
    assert_int_equal(offered(rig), RIG_FEATURES & ~(BH_BLK_F_SECURE_ERASE | BH_BLK_F_LIFETIME));
    geometry = rig_geometry();
    geometry.write_through = true;
    again(rig, &geometry, 1, 0);
    assert_int_equal(offered(rig), RIG_FEATURES & ~BH_BLK_F_CONFIG_WCE);
}

/* [BH-BLK-16] */
static void test_offered_read_only(void **state)
{
    struct blk_rig *rig = *state;
    struct bh_blk_geometry geometry = rig_geometry();

    geometry.read_only = true;
    again(rig, &geometry, 1, 0);
    assert_int_equal(offered(rig), BH_BLK_F_SEG_MAX | BH_BLK_F_BLK_SIZE | BH_BLK_F_FLUSH |
                                       BH_BLK_F_TOPOLOGY | BH_BLK_F_LIFETIME | BH_BLK_F_RO);
    assert_int_equal(FIELD(rig, max_discard_sectors), 0);
    assert_int_equal(FIELD(rig, max_write_zeroes_seg), 0);
    assert_int_equal(FIELD(rig, max_secure_erase_sectors), 0);
}

/* [BH-BLK-8] A platform that masks FLUSH takes CONFIG_WCE along; writes are durable then. */
static void test_masked_flush(void **state)
{
    struct blk_rig *rig = *state;

    rig->device.feature_mask = ~BH_BLK_F_FLUSH;
    assert_int_equal(offered(rig), RIG_FEATURES & ~(BH_BLK_F_FLUSH | BH_BLK_F_CONFIG_WCE));
}

/* [BH-BLK-31] [BH-BLK-18] [BH-BLK-24] */
static void test_fields(void **state)
{
    struct blk_rig *rig = *state;
    struct bh_blk_geometry geometry = rig_geometry();

    geometry.size_max = 65536;
    again(rig, &geometry, 2, 0);
    assert_int_equal(FIELD(rig, capacity), RIG_SECTORS);
    assert_int_equal(FIELD(rig, size_max), 65536);
    assert_int_equal(FIELD(rig, seg_max), RIG_SEG_MAX);
    assert_int_equal(FIELD(rig, cylinders), 0);
    assert_int_equal(FIELD(rig, blk_size), 512);
    assert_int_equal(FIELD(rig, physical_block_exp), 3);
    assert_int_equal(FIELD(rig, alignment_offset), 0);
    assert_int_equal(FIELD(rig, min_io_size), 8);
    assert_int_equal(FIELD(rig, opt_io_size), 16);
    assert_int_equal(FIELD(rig, writeback), 1);
    assert_int_equal(FIELD(rig, unused0), 0);
    assert_int_equal(FIELD(rig, num_queues), 2);
    assert_int_equal(FIELD(rig, max_discard_sectors), 32);
    assert_int_equal(FIELD(rig, max_discard_seg), 16);
    assert_int_equal(FIELD(rig, discard_sector_alignment), 8);
    assert_int_equal(FIELD(rig, max_write_zeroes_sectors), 16);
    assert_int_equal(FIELD(rig, max_write_zeroes_seg), 16);
    assert_int_equal(FIELD(rig, write_zeroes_may_unmap), 1);
    assert_int_equal(field(rig, offsetof(struct bh_blk_config, unused1), 1), 0);
    assert_int_equal(FIELD(rig, max_secure_erase_sectors), 8);
    assert_int_equal(FIELD(rig, max_secure_erase_seg), 16);
    assert_int_equal(FIELD(rig, secure_erase_sector_alignment), 1);
    geometry.write_zeroes_unmap = false;
    geometry.block_size = 4096;
    geometry.physical_block_size = UINT32_C(1) << 31;
    again(rig, &geometry, 1, 0);
    assert_int_equal(FIELD(rig, write_zeroes_may_unmap), 0);
    assert_int_equal(FIELD(rig, num_queues), 0);
    assert_int_equal(FIELD(rig, physical_block_exp), 19);
    assert_int_equal(FIELD(rig, min_io_size), UINT16_MAX);
    assert_int_equal(FIELD(rig, opt_io_size), 2);
}

/* A write zeroes request whose unmap cannot be honoured is done without. */
static void test_unmap_is_a_hint(void **state)
{
    struct blk_rig *rig = *state;
    struct bh_blk_geometry geometry = rig_geometry();

    geometry.write_zeroes_unmap = false;
    again(rig, &geometry, 1, RIG_FEATURES);
    rig_segment(rig, RIG_DATA, 0, 1, BH_BLK_SEGMENT_UNMAP);
    rig_request(rig, BH_BLK_T_WRITE_ZEROES, 0, RIG_DATA, 16, R, BH_BLK_S_OK, 1);
    assert_false(fake_disk_last(&rig->disk)->unmap);
}

/* [BH-DEV-21] */
static void test_beyond_the_end(void **state)
{
    struct blk_rig *rig = *state;
    uint8_t bytes[8];

    memset(bytes, 0xee, sizeof(bytes));
    assert_int_equal(bh_device_config_read(&rig->device, 68, bytes, 8), BH_INVALID);
    assert_memory_equal(bytes, "\1\0\0\0\0\0\0\0", 8);
    assert_int_equal(bh_device_config_read(&rig->device, UINT32_MAX, bytes, 8), BH_INVALID);
    assert_memory_equal(bytes, "\0\0\0\0\0\0\0\0", 8);
    assert_int_equal(bh_device_config_write(&rig->device, 72, bytes, 1), BH_INVALID);
    assert_int_equal(bh_device_config_write(&rig->device, UINT32_MAX, bytes, 8), BH_INVALID);
}

/* [BH-BLK-35] [BH-DEV-22] */
static void test_capacity_changes(void **state)
{
    struct blk_rig *rig = *state;
    uint32_t generation = rig->device.generation;

    bh_blk_capacity_set(&rig->blk, 10 * 512 + 511);
    assert_int_equal(rig->config_changes, 1);
    assert_int_not_equal(rig->device.generation, generation);
    assert_int_equal(FIELD(rig, capacity), 10);
    rig_request(rig, BH_BLK_T_IN, 10, RIG_DATA, 512, W, BH_BLK_S_IOERR, 0);
    rig_request(rig, BH_BLK_T_IN, 9, RIG_DATA, 512, W, BH_BLK_S_OK, 513);
    bh_blk_capacity_set(&rig->blk, RIG_SECTORS * 512);
    rig_request(rig, BH_BLK_T_IN, 10, RIG_DATA, 512, W, BH_BLK_S_OK, 513);
}

/* ---- cache mode ---- */

static bool write_is_durable(struct blk_rig *rig)
{
    bool durable;

    rig_request(rig, BH_BLK_T_OUT, 0, RIG_DATA, 512, R, BH_BLK_S_OK, 1);
    durable = fake_disk_last(&rig->disk)->durable;
    if ((rig->device.features & BH_BLK_F_WRITE_ZEROES) != 0) {
        rig_segment(rig, RIG_DATA, 0, 1, 0);
        rig_request(rig, BH_BLK_T_WRITE_ZEROES, 0, RIG_DATA, 16, R, BH_BLK_S_OK, 1);
        assert_int_equal(fake_disk_last(&rig->disk)->durable, durable);
    }
    rig_request(rig, BH_BLK_T_IN, 0, RIG_DATA, 512, W, BH_BLK_S_OK, 513);
    assert_false(fake_disk_last(&rig->disk)->durable);
    return durable;
}

/* [BH-BLK-13] */
static void test_driver_without_flush(void **state)
{
    struct blk_rig *rig = *state;
    struct bh_blk_geometry geometry = rig_geometry();

    again(rig, &geometry, 1, 0);
    assert_true(write_is_durable(rig));
    again(rig, &geometry, 1, BH_BLK_F_WRITE_ZEROES);
    assert_true(write_is_durable(rig));
    again(rig, &geometry, 1, BH_BLK_F_FLUSH);
    assert_false(write_is_durable(rig));
}

/* [BH-BLK-14] */
static void test_mode_is_switched(void **state)
{
    struct blk_rig *rig = *state;

    assert_int_equal(FIELD(rig, writeback), 1);
    assert_false(write_is_durable(rig));
    assert_int_equal(mode_set(rig, 0), BH_OK);
    assert_int_equal(FIELD(rig, writeback), 0);
    assert_true(write_is_durable(rig));
    assert_int_equal(mode_set(rig, 1), BH_OK);
    assert_false(write_is_durable(rig));
}

/* [BH-BLK-14] VIRTIO 1.4, 5.2.5.2: CONFIG_WCE without FLUSH starts with write-through. */
static void test_mode_without_flush(void **state)
{
    struct blk_rig *rig = *state;
    struct bh_blk_geometry geometry = rig_geometry();

    again(rig, &geometry, 1, BH_BLK_F_CONFIG_WCE);
    assert_int_equal(FIELD(rig, writeback), 0);
    assert_true(write_is_durable(rig));
    assert_int_equal(mode_set(rig, 1), BH_OK);
    assert_false(write_is_durable(rig));
}

/* [BH-BLK-12] */
static void test_write_through_disk(void **state)
{
    struct blk_rig *rig = *state;
    struct bh_blk_geometry geometry = rig_geometry();

    geometry.write_through = true;
    again(rig, &geometry, 1, RIG_FEATURES & ~BH_BLK_F_CONFIG_WCE);
    assert_int_equal(FIELD(rig, writeback), 0);
    assert_true(write_is_durable(rig));
    assert_int_equal(mode_set(rig, 1), BH_DENIED);
    assert_true(write_is_durable(rig));
}

/* A front end may go on showing the driver the mode of before: so it stays over a reset. */
static void test_mode_outlives_a_reset(void **state)
{
    struct blk_rig *rig = *state;

    assert_int_equal(mode_set(rig, 0), BH_OK);
    assert_int_equal(bh_device_reset(&rig->device), BH_OK);
    assert_int_equal(FIELD(rig, writeback), 0);
    rig_negotiate(rig, RIG_FEATURES);
    assert_int_equal(FIELD(rig, writeback), 0);
    assert_true(write_is_durable(rig));
}

/* [BH-BLK-14] What a driver told the process that died, its successor was not told: it must not
 * take a write for volatile that the driver believes written through. */
static void test_mode_is_unknown_to_a_successor(void **state)
{
    struct blk_rig *rig = *state;

    assert_int_equal(bh_device_reset(&rig->device), BH_OK);
    rig_init_model(rig, 0);
    rig->guest.setup.resumed = true;
    rig_negotiate(rig, RIG_FEATURES);
    assert_int_equal(FIELD(rig, writeback), 1);
    assert_true(write_is_durable(rig));
    assert_int_equal(mode_set(rig, 1), BH_OK);
    assert_false(write_is_durable(rig));
    /* The same process knows it when it takes the ring up again. */
    assert_int_equal(bh_device_reset(&rig->device), BH_OK);
    rig_negotiate(rig, RIG_FEATURES);
    assert_false(write_is_durable(rig));
}

/* [BH-DEV-21] Only that byte, only 0 and 1, only if negotiated. */
static void test_only_the_mode_is_writable(void **state)
{
    struct blk_rig *rig = *state;
    struct bh_blk_geometry geometry = rig_geometry();
    struct bh_blk_config before;
    struct bh_blk_config after;
    uint8_t ones[sizeof(before)];

    memset(ones, 0xff, sizeof(ones));
    assert_int_equal(bh_device_config_read(&rig->device, 0, &before, sizeof(before)), BH_OK);
    for (uint32_t offset = 0; offset < sizeof(before); offset++) {
        for (uint32_t length = 1; length <= 8 && offset + length <= sizeof(before); length *= 2) {
            if (offset != WRITEBACK || length != 1) {
                assert_int_equal(bh_device_config_write(&rig->device, offset, ones, length),
                                 BH_DENIED);
            }
        }
    }
    assert_int_equal(mode_set(rig, 2), BH_INVALID);
    assert_int_equal(mode_set(rig, 255), BH_INVALID);
    assert_int_equal(bh_device_config_read(&rig->device, 0, &after, sizeof(after)), BH_OK);
    assert_memory_equal(&before, &after, sizeof(before));
    again(rig, &geometry, 1, BH_BLK_F_FLUSH);
    assert_int_equal(mode_set(rig, 0), BH_DENIED);
    assert_int_equal(FIELD(rig, writeback), 1);
}

/* ---- init ---- */

static int init_with(const struct bh_blk_geometry *geometry, const struct bh_disk_ops *ops,
                     uint32_t requests)
{
    static struct bh_blk blk;
    static struct bh_device device;
    static struct bh_blk_request request;

    const struct bh_blk_setup setup = {
        .device = &device,
        .geometry = geometry,
        .ops = ops,
        .requests = &request,
        .request_count = requests,
    };

    return bh_blk_init(&blk, &setup);
}

/* [BH-BLK-31] */
static void test_geometry_refused(void **state)
{
    const struct bh_blk_geometry good = rig_geometry();
    struct bh_disk_ops without_lifetime = fake_disk_ops;
    struct bh_blk_geometry geometry = good;

    (void)state;
    without_lifetime.lifetime = NULL;
    assert_int_equal(init_with(&good, &fake_disk_ops, 1), BH_OK);
    assert_int_equal(init_with(&good, &fake_disk_ops, 0), BH_INVALID);
    assert_int_equal(init_with(&good, &without_lifetime, 1), BH_INVALID);
    geometry.lifetime = false;
    assert_int_equal(init_with(&geometry, &without_lifetime, 1), BH_OK);

    geometry = good;
    geometry.block_size = 65536;
    geometry.physical_block_size = 65536;
    geometry.optimal_io_size = 0;
    assert_int_equal(init_with(&geometry, &fake_disk_ops, 1), BH_OK);

#define REFUSED(field, value)                                                                      \
    geometry = good;                                                                               \
    geometry.field = (value);                                                                      \
    assert_int_equal(init_with(&geometry, &fake_disk_ops, 1), BH_INVALID)

    REFUSED(capacity, 513);
    REFUSED(block_size, 0);
    REFUSED(block_size, 256);
    REFUSED(block_size, 1536);
    REFUSED(block_size, 131072);
    REFUSED(physical_block_size, 0);
    REFUSED(physical_block_size, 256);
    REFUSED(physical_block_size, 1536);
    REFUSED(optimal_io_size, 700);
    REFUSED(seg_max, 0);
    REFUSED(size_max, 1000);
    REFUSED(discard_max, 1000);
    REFUSED(discard_alignment, 0);
    REFUSED(discard_alignment, 100);
    REFUSED(write_zeroes_max, 1000);
    REFUSED(secure_erase_max, 1000);
    REFUSED(secure_erase_alignment, 0);
}

/* Bytes behind the terminator of the id are the caller's: they stay here. */
static void test_class_11_id_leaks_nothing(void **state)
{
    struct blk_rig *rig = *state;
    struct bh_blk_geometry geometry = rig_geometry();

    memset(geometry.id, 'x', sizeof(geometry.id));
    memcpy(geometry.id, "ab", 3);
    again(rig, &geometry, 1, 0);
    rig_request(rig, BH_BLK_T_GET_ID, 0, RIG_DATA, 20, W, BH_BLK_S_OK, 21);
    assert_memory_equal(guest_at(&rig->guest, RIG_DATA), "ab\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0",
                        20);
    memset(geometry.id, 'x', sizeof(geometry.id));
    again(rig, &geometry, 1, 0);
    rig_request(rig, BH_BLK_T_GET_ID, 0, RIG_DATA, 20, W, BH_BLK_S_OK, 21);
    assert_memory_equal(guest_at(&rig->guest, RIG_DATA), "xxxxxxxxxxxxxxxxxxxx", 20);
}

#define RIG_TEST(test) cmocka_unit_test_setup_teardown(test, rig_setup_split, rig_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        RIG_TEST(test_offered),
        RIG_TEST(test_offered_read_only),
        RIG_TEST(test_masked_flush),
        RIG_TEST(test_fields),
        RIG_TEST(test_unmap_is_a_hint),
        RIG_TEST(test_beyond_the_end),
        RIG_TEST(test_capacity_changes),
        RIG_TEST(test_driver_without_flush),
        RIG_TEST(test_mode_is_switched),
        RIG_TEST(test_mode_without_flush),
        RIG_TEST(test_write_through_disk),
        RIG_TEST(test_mode_outlives_a_reset),
        RIG_TEST(test_mode_is_unknown_to_a_successor),
        RIG_TEST(test_only_the_mode_is_writable),
        cmocka_unit_test(test_geometry_refused),
        RIG_TEST(test_class_11_id_leaks_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
