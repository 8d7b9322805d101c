/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The virtio-mmio port, register by register: identity, access rules, features, status,
 * configuration, interrupts. Queues, notifications and resets: test_mmio_queue.c; a whole life with
 * a driver: test_life.c.
 */
#include "mmio_rig.h"

#include <string.h>

/* ---- identity, features, status ---- */

static void test_identity(void **state)
{
    struct mmio_rig *rig = *state;

    assert_int_equal(mmio_get(rig, BH_MMIO_MAGIC_VALUE), 0x74726976);
    assert_int_equal(mmio_get(rig, BH_MMIO_VERSION), 2);
    assert_int_equal(mmio_get(rig, BH_MMIO_DEVICE_ID), MMIO_CLASS_ID);
    assert_int_equal(mmio_get(rig, BH_MMIO_VENDOR_ID), 0);
    rig->mmio.vendor_id = 0x42554c4b;
    assert_int_equal(mmio_get(rig, BH_MMIO_VENDOR_ID), 0x42554c4b);
}

/* Only 32 bits wide and aligned; what may not be read reads as 0, what may not be written stays. */
static void test_access_rules(void **state)
{
    struct mmio_rig *rig = *state;
    const uint32_t write_only[] = {
        BH_MMIO_DEVICE_FEATURES_SEL,
        BH_MMIO_DRIVER_FEATURES,
        BH_MMIO_DRIVER_FEATURES_SEL,
        BH_MMIO_QUEUE_SEL,
        BH_MMIO_QUEUE_SIZE,
        BH_MMIO_QUEUE_NOTIFY,
        BH_MMIO_INTERRUPT_ACK,
        BH_MMIO_QUEUE_DESC_LOW,
        BH_MMIO_QUEUE_DESC_HIGH,
        BH_MMIO_QUEUE_DRIVER_LOW,
        BH_MMIO_QUEUE_DRIVER_HIGH,
        BH_MMIO_QUEUE_DEVICE_LOW,
        BH_MMIO_QUEUE_DEVICE_HIGH,
        BH_MMIO_SHM_SEL,
        0x018,
        0x03c,
        0x0f8,
    };
    const uint32_t read_only[] = {
        BH_MMIO_MAGIC_VALUE,
        BH_MMIO_VERSION,
        BH_MMIO_DEVICE_ID,
        BH_MMIO_VENDOR_ID,
        BH_MMIO_DEVICE_FEATURES,
        BH_MMIO_QUEUE_SIZE_MAX,
        BH_MMIO_INTERRUPT_STATUS,
        BH_MMIO_SHM_LEN_LOW,
        BH_MMIO_SHM_LEN_HIGH,
        BH_MMIO_SHM_BASE_LOW,
        BH_MMIO_SHM_BASE_HIGH,
        BH_MMIO_CONFIG_GENERATION,
        0x018,
        0x0f8,
        BH_MMIO_SIZE,
        UINT32_MAX & ~3u,
    };

    mmio_go_live(rig, 0);
    for (uint32_t i = 0; i < sizeof(write_only) / sizeof(write_only[0]); i++) {
        assert_int_equal(mmio_get(rig, write_only[i]), 0);
    }
    for (uint32_t i = 0; i < sizeof(read_only) / sizeof(read_only[0]); i++) {
        assert_int_equal(mmio_put(rig, read_only[i], 1), BH_INVALID);
    }
    for (uint32_t size = 1; size <= 8; size *= 2) {
        if (size != 4) {
            assert_int_equal(bh_mmio_read(&rig->mmio, BH_MMIO_MAGIC_VALUE, size), 0);
            assert_int_equal(bh_mmio_write(&rig->mmio, BH_MMIO_STATUS, 0, size), BH_INVALID);
        }
    }
    assert_int_equal(bh_mmio_read(&rig->mmio, BH_MMIO_MAGIC_VALUE, 3), 0);
    assert_int_equal(mmio_get(rig, BH_MMIO_MAGIC_VALUE + 2), 0);
    assert_int_equal(mmio_put(rig, BH_MMIO_STATUS + 1, 0), BH_INVALID);
    assert_int_equal(bh_mmio_write(&rig->mmio, BH_MMIO_STATUS, UINT64_C(1) << 32, 4), BH_INVALID);
    assert_int_equal(mmio_put(rig, BH_MMIO_STATUS, 0x100), BH_INVALID);
    assert_int_equal(mmio_get(rig, BH_MMIO_STATUS), LIVE);
}

static void test_offered_features(void **state)
{
    struct mmio_rig *rig = *state;
    uint64_t expected = (BH_MMIO_FEATURES & ~BH_F_ACCESS_PLATFORM) | 5u;

    assert_int_equal(mmio_get(rig, BH_MMIO_DEVICE_FEATURES), (uint32_t)expected);
    mmio_put_ok(rig, BH_MMIO_DEVICE_FEATURES_SEL, 1);
    assert_int_equal(mmio_get(rig, BH_MMIO_DEVICE_FEATURES), expected >> 32);
    mmio_put_ok(rig, BH_MMIO_DEVICE_FEATURES_SEL, 2);
    assert_int_equal(mmio_get(rig, BH_MMIO_DEVICE_FEATURES), 0);
    mmio_put_ok(rig, BH_MMIO_DEVICE_FEATURES_SEL, UINT32_MAX);
    assert_int_equal(mmio_get(rig, BH_MMIO_DEVICE_FEATURES), 0);
}

/* The bit must not stick with these. */
static void refused(struct mmio_rig *rig, uint64_t features, uint32_t third_word)
{
    mmio_put_ok(rig, BH_MMIO_STATUS, 0);
    mmio_put_ok(rig, BH_MMIO_STATUS, BH_STATUS_ACKNOWLEDGE | BH_STATUS_DRIVER);
    mmio_accept_features(rig, features);
    if (third_word != 0) {
        mmio_put_ok(rig, BH_MMIO_DRIVER_FEATURES_SEL, 2);
        mmio_put_ok(rig, BH_MMIO_DRIVER_FEATURES, third_word);
    }
    mmio_put_ok(rig, BH_MMIO_STATUS, AGREED);
    assert_int_equal(mmio_get(rig, BH_MMIO_STATUS), BH_STATUS_ACKNOWLEDGE | BH_STATUS_DRIVER);
    /* And the queues stay off. */
    mmio_put_ok(rig, BH_MMIO_QUEUE_SEL, 0);
    mmio_put_areas(rig, 0);
    assert_int_equal(mmio_put(rig, BH_MMIO_QUEUE_READY, 1), BH_STATE);
    assert_int_equal(mmio_get(rig, BH_MMIO_QUEUE_READY), 0);
}

/* [BH-DEV-3] */
static void test_accepted_features(void **state)
{
    struct mmio_rig *rig = *state;

    refused(rig, 0, 0);
    refused(rig, 5, 0);
    refused(rig, BH_F_VERSION_1 | 2u, 0);
    refused(rig, BH_F_VERSION_1 | BH_F_ACCESS_PLATFORM, 0);
    refused(rig, BH_F_VERSION_1 | (UINT64_C(1) << 63), 0);
    refused(rig, BH_F_VERSION_1 | 4u, 0);
    refused(rig, BH_F_VERSION_1, 1);
    /* A good set, a status that is refused for another reason, then a bad set. */
    mmio_put_ok(rig, BH_MMIO_STATUS, 0);
    mmio_put_ok(rig, BH_MMIO_STATUS, BH_STATUS_ACKNOWLEDGE | BH_STATUS_DRIVER);
    mmio_accept_features(rig, BH_F_VERSION_1);
    assert_int_equal(mmio_put(rig, BH_MMIO_STATUS, BH_STATUS_FEATURES_OK), BH_INVALID);
    mmio_accept_features(rig, BH_F_VERSION_1 | 2u);
    mmio_put_ok(rig, BH_MMIO_STATUS, AGREED);
    assert_int_equal(mmio_get(rig, BH_MMIO_STATUS), BH_STATUS_ACKNOWLEDGE | BH_STATUS_DRIVER);
    /* The driver thinks again. */
    mmio_accept_features(rig, BH_F_VERSION_1 | 5u);
    mmio_put_ok(rig, BH_MMIO_STATUS, 0);
    mmio_negotiate(rig, 5);
    assert_int_equal(rig->device.features, BH_F_VERSION_1 | 5u);
    /* Too late now. */
    assert_int_equal(mmio_put(rig, BH_MMIO_DRIVER_FEATURES, 0), BH_STATE);
    assert_int_equal(rig->device.features, BH_F_VERSION_1 | 5u);
}

static void test_status(void **state)
{
    struct mmio_rig *rig = *state;

    assert_int_equal(mmio_get(rig, BH_MMIO_STATUS), 0);
    mmio_negotiate(rig, 0);
    /* A bit cannot be cleared alone. */
    assert_int_equal(mmio_put(rig, BH_MMIO_STATUS, BH_STATUS_ACKNOWLEDGE), BH_INVALID);
    assert_int_equal(mmio_get(rig, BH_MMIO_STATUS), AGREED);
    mmio_put_ok(rig, BH_MMIO_STATUS, AGREED | BH_STATUS_FAILED);
    assert_int_equal(mmio_get(rig, BH_MMIO_STATUS), AGREED | BH_STATUS_FAILED);
    mmio_put_ok(rig, BH_MMIO_STATUS, 0);
    assert_int_equal(mmio_get(rig, BH_MMIO_STATUS), 0);
    /* Bits that are not the driver's do not stay. */
    mmio_negotiate(rig, 0);
    mmio_put_ok(rig, BH_MMIO_STATUS, 0xff);
    assert_int_equal(mmio_get(rig, BH_MMIO_STATUS), LIVE | BH_STATUS_FAILED);
    mmio_put_ok(rig, BH_MMIO_STATUS, 0);
    /* DRIVER_OK without agreed features. */
    mmio_put_ok(rig, BH_MMIO_STATUS, BH_STATUS_ACKNOWLEDGE | BH_STATUS_DRIVER);
    assert_int_equal(mmio_put(rig, BH_MMIO_STATUS,
                              BH_STATUS_ACKNOWLEDGE | BH_STATUS_DRIVER | BH_STATUS_DRIVER_OK),
                     BH_INVALID);
}

/* ---- configuration ---- */

static void test_config(void **state)
{
    struct mmio_rig *rig = *state;
    uint32_t generation = mmio_get(rig, BH_MMIO_CONFIG_GENERATION);

    assert_int_equal(bh_mmio_read(&rig->mmio, BH_MMIO_CONFIG, 1), 1);
    assert_int_equal(bh_mmio_read(&rig->mmio, BH_MMIO_CONFIG + 7, 1), 8);
    assert_int_equal(bh_mmio_read(&rig->mmio, BH_MMIO_CONFIG + 2, 2), 0x0403);
    assert_int_equal(bh_mmio_read(&rig->mmio, BH_MMIO_CONFIG + 4, 4), 0x08070605);
    assert_true(bh_mmio_read(&rig->mmio, BH_MMIO_CONFIG, 8) == UINT64_C(0x0807060504030201));
    /* Unaligned, odd, beyond the end. */
    assert_int_equal(bh_mmio_read(&rig->mmio, BH_MMIO_CONFIG + 1, 2), 0);
    assert_int_equal(bh_mmio_read(&rig->mmio, BH_MMIO_CONFIG, 3), 0);
    assert_int_equal(bh_mmio_read(&rig->mmio, BH_MMIO_CONFIG, 0), 0);
    assert_int_equal(bh_mmio_read(&rig->mmio, BH_MMIO_CONFIG + 8, 4), 0);
    assert_int_equal(bh_mmio_read(&rig->mmio, BH_MMIO_SIZE - 4, 4), 0);
    assert_int_equal(bh_mmio_read(&rig->mmio, BH_MMIO_SIZE, 4), 0);
    assert_int_equal(bh_mmio_read(&rig->mmio, UINT32_MAX - 3, 4), 0);
    assert_int_equal(bh_mmio_write(&rig->mmio, BH_MMIO_CONFIG + 4, 0x1122334455667788, 4), BH_OK);
    assert_memory_equal(rig->config, "\x01\x02\x03\x04\x88\x77\x66\x55", 8);
    assert_int_equal(bh_mmio_write(&rig->mmio, BH_MMIO_CONFIG + 7, 0x99, 1), BH_OK);
    assert_int_equal(rig->config[7], 0x99);
    assert_int_equal(bh_mmio_write(&rig->mmio, BH_MMIO_CONFIG, 0, 8), BH_DENIED);
    assert_int_equal(bh_mmio_write(&rig->mmio, BH_MMIO_CONFIG + 8, 0, 1), BH_INVALID);
    assert_int_equal(bh_mmio_write(&rig->mmio, BH_MMIO_CONFIG + 5, 0, 2), BH_INVALID);
    assert_int_equal(bh_mmio_write(&rig->mmio, BH_MMIO_SIZE, 0, 1), BH_INVALID);
    assert_memory_equal(rig->config, "\x01\x02\x03\x04\x88\x77\x66\x99", 8);
    assert_int_equal(mmio_get(rig, BH_MMIO_CONFIG_GENERATION), generation);
    bh_device_config_changed(&rig->device);
    assert_int_not_equal(mmio_get(rig, BH_MMIO_CONFIG_GENERATION), generation);
    /* Before the driver is there, nobody is told. */
    assert_false(rig->level);
}

static void test_no_shared_memory(void **state)
{
    struct mmio_rig *rig = *state;

    mmio_put_ok(rig, BH_MMIO_SHM_SEL, 0);
    assert_int_equal(mmio_get(rig, BH_MMIO_SHM_LEN_LOW), UINT32_MAX);
    assert_int_equal(mmio_get(rig, BH_MMIO_SHM_LEN_HIGH), UINT32_MAX);
    assert_int_equal(mmio_get(rig, BH_MMIO_SHM_BASE_LOW), UINT32_MAX);
    assert_int_equal(mmio_get(rig, BH_MMIO_SHM_BASE_HIGH), UINT32_MAX);
}

static void test_interrupt(void **state)
{
    struct mmio_rig *rig = *state;

    mmio_go_live(rig, 0);
    mmio_offer(rig, 0);
    mmio_offer(rig, 1);
    mmio_put_ok(rig, BH_MMIO_QUEUE_NOTIFY, 0);
    assert_int_equal(mmio_get(rig, BH_MMIO_INTERRUPT_STATUS), 0);
    mmio_give_back(rig);
    assert_true(rig->level);
    assert_int_equal(mmio_get(rig, BH_MMIO_INTERRUPT_STATUS), BH_MMIO_INT_USED);
    mmio_give_back(rig);
    bh_device_config_changed(&rig->device);
    assert_int_equal(mmio_get(rig, BH_MMIO_INTERRUPT_STATUS),
                     BH_MMIO_INT_USED | BH_MMIO_INT_CONFIG);
    assert_int_equal(rig->level_changes, 1);
    /* The line stays up until all is acknowledged; undefined bits are nothing. */
    mmio_put_ok(rig, BH_MMIO_INTERRUPT_ACK, ~3u);
    assert_int_equal(mmio_get(rig, BH_MMIO_INTERRUPT_STATUS), 3);
    mmio_put_ok(rig, BH_MMIO_INTERRUPT_ACK, BH_MMIO_INT_USED);
    assert_true(rig->level);
    mmio_put_ok(rig, BH_MMIO_INTERRUPT_ACK, BH_MMIO_INT_CONFIG);
    assert_false(rig->level);
    mmio_put_ok(rig, BH_MMIO_INTERRUPT_ACK, 3);
    assert_int_equal(rig->level_changes, 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        MMIO_TEST(test_identity),         MMIO_TEST(test_access_rules),
        MMIO_TEST(test_offered_features), MMIO_TEST(test_accepted_features),
        MMIO_TEST(test_status),           MMIO_TEST(test_config),
        MMIO_TEST(test_no_shared_memory), MMIO_TEST(test_interrupt),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
