/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Tests of the device's state: features, status, configuration space, reset without chains in
 * flight. Queues of a device are in test_device_queues.c.
 */
#include "echo_class.h"

#include <stdlib.h>
#include <string.h>

#define ACKNOWLEDGE BH_STATUS_ACKNOWLEDGE
#define DRIVER      BH_STATUS_DRIVER
#define FEATURES_OK BH_STATUS_FEATURES_OK
#define DRIVER_OK   BH_STATUS_DRIVER_OK
#define NEEDS_RESET BH_STATUS_NEEDS_RESET
#define FAILED      BH_STATUS_FAILED

static void test_new_device(void **state)
{
    struct echo *echo = *state;

    assert_int_equal(echo->device.status, 0);
    assert_int_equal(echo->device.features, 0);
    assert_int_equal(echo->device.generation, 0);
    assert_int_equal(echo->device.faults, 0);
    assert_int_equal(echo->device.queue_count, ECHO_QUEUES);
}

/* [BH-DEV-4] */
static void test_offer_is_class_and_port(void **state)
{
    struct echo *echo = *state;

    assert_int_equal(bh_device_features(&echo->device),
                     ECHO_FEATURES | ECHO_PORT_FEATURES | BH_F_VERSION_1);
    bh_device_bind(&echo->device, echo->device.port, echo, BH_F_EVENT_IDX);
    assert_int_equal(bh_device_features(&echo->device),
                     ECHO_FEATURES | BH_F_EVENT_IDX | BH_F_VERSION_1);
}

/* Ring features are not the class's to offer, and a port offers none that core/ does not know.
 * [BH-DEV-4] */
static void test_nobody_offers_what_is_not_carried_out(void **state)
{
    struct echo *echo = *state;
    unsigned bit;

    bh_device_bind(&echo->device, echo->device.port, echo, UINT64_MAX);
    echo->offers = BH_F_TRANSPORT_MASK;
    assert_int_equal(bh_device_features(&echo->device), ECHO_PORT_FEATURES | BH_F_VERSION_1);
    bh_device_bind(&echo->device, echo->device.port, echo, 0);
    assert_int_equal(bh_device_features(&echo->device), BH_F_VERSION_1);
    /* VIRTIO 1.4, 2.2: 24 to 40 and 43 belong to the rings, the rest to the class. */
    echo->offers = UINT64_MAX;
    for (bit = 0; bit < 64; bit++) {
        bool ring = (bit >= 24 && bit <= 40) || bit == 43;
        bool offered = (bh_device_features(&echo->device) >> bit & 1) != 0;

        if (offered != (!ring || bit == 32)) {
            fail_msg("bit %u", bit);
        }
    }
}

static void test_mask_hides_but_not_version_1(void **state)
{
    struct echo *echo = *state;

    echo->device.feature_mask = ~(ECHO_F_A | BH_F_RING_PACKED | BH_F_VERSION_1);
    assert_int_equal(bh_device_features(&echo->device),
                     ECHO_F_B | (ECHO_PORT_FEATURES & ~BH_F_RING_PACKED) | BH_F_VERSION_1);
    echo->device.feature_mask = 0;
    assert_int_equal(bh_device_features(&echo->device), BH_F_VERSION_1);
    assert_int_equal(bh_device_features_set(&echo->device, BH_F_VERSION_1 | BH_F_EVENT_IDX),
                     BH_INVALID);
}

/* [BH-DEV-3] */
static void test_refused_features_change_nothing(void **state)
{
    struct echo *echo = *state;
    struct bh_device *device = &echo->device;
    const uint64_t good = BH_F_VERSION_1 | ECHO_F_A;
    unsigned bit;

    assert_int_equal(bh_device_features_set(device, good), BH_OK);
    assert_int_equal(echo->features_set, 1);
    for (bit = 0; bit < 64; bit++) {
        uint64_t one = UINT64_C(1) << bit;

        if ((bh_device_features(device) & one) == 0) {
            assert_int_equal(bh_device_features_set(device, good | one), BH_INVALID);
        }
    }
    assert_int_equal(bh_device_features_set(device, 0), BH_INVALID);
    assert_int_equal(bh_device_features_set(device, ECHO_F_A), BH_INVALID);
    assert_int_equal(bh_device_features_set(device, UINT64_MAX), BH_INVALID);
    /* One without the one it needs. */
    assert_int_equal(bh_device_features_set(device, BH_F_VERSION_1 | ECHO_F_B), BH_INVALID);
    assert_int_equal(device->features, good);
    assert_int_equal(echo->features_set, 1);
}

static void test_features_may_be_set_again_before_features_ok(void **state)
{
    struct echo *echo = *state;
    struct bh_device *device = &echo->device;

    assert_int_equal(bh_device_features_set(device, BH_F_VERSION_1 | ECHO_F_A), BH_OK);
    assert_int_equal(bh_device_features_set(device, BH_F_VERSION_1 | ECHO_FEATURES), BH_OK);
    assert_int_equal(device->features, BH_F_VERSION_1 | ECHO_FEATURES);
    assert_int_equal(bh_device_features_set(device, BH_F_VERSION_1), BH_OK);
    assert_int_equal(device->features, BH_F_VERSION_1);
    assert_int_equal(echo->features_set, 3);
}

static void test_features_are_fixed_by_features_ok(void **state)
{
    struct echo *echo = *state;
    struct bh_device *device = &echo->device;

    echo_negotiate(echo, ECHO_F_A);
    assert_int_equal(bh_device_features_set(device, BH_F_VERSION_1), BH_STATE);
    assert_int_equal(device->features, BH_F_VERSION_1 | ECHO_F_A);
    /* The same again is no change. */
    assert_int_equal(bh_device_features_set(device, BH_F_VERSION_1 | ECHO_F_A), BH_OK);
    assert_int_equal(echo->features_set, 1);
}

/* A port without a status starts queues at once. */
static void test_features_are_fixed_by_a_running_queue(void **state)
{
    struct echo *echo = *state;
    struct bh_device *device = &echo->device;

    assert_int_equal(bh_device_features_set(device, BH_F_VERSION_1), BH_OK);
    echo_start(echo, ECHO_QUEUES - 1);
    assert_int_equal(bh_device_features_set(device, BH_F_VERSION_1 | ECHO_F_A), BH_STATE);
    assert_int_equal(device->features, BH_F_VERSION_1);
    assert_int_equal(bh_device_queue_stop(device, ECHO_QUEUES - 1), BH_OK);
    assert_int_equal(bh_device_features_set(device, BH_F_VERSION_1 | ECHO_F_A), BH_OK);
}

static void set_status(struct echo *echo, unsigned status, int result, unsigned after)
{
    assert_int_equal(bh_device_status_set(&echo->device, (uint8_t)status), result);
    assert_int_equal(echo->device.status, after);
}

static void test_status_sequence(void **state)
{
    struct echo *echo = *state;
    unsigned agreed = ACKNOWLEDGE | DRIVER | FEATURES_OK;

    set_status(echo, ACKNOWLEDGE, BH_OK, ACKNOWLEDGE);
    set_status(echo, ACKNOWLEDGE | DRIVER, BH_OK, ACKNOWLEDGE | DRIVER);
    assert_int_equal(bh_device_features_set(&echo->device, BH_F_VERSION_1), BH_OK);
    set_status(echo, agreed, BH_OK, agreed);
    set_status(echo, agreed | DRIVER_OK, BH_OK, agreed | DRIVER_OK);
    set_status(echo, agreed | DRIVER_OK, BH_OK, agreed | DRIVER_OK);
    set_status(echo, agreed | DRIVER_OK | FAILED, BH_OK, agreed | DRIVER_OK | FAILED);
    set_status(echo, 0, BH_OK, 0);
    set_status(echo, ACKNOWLEDGE, BH_OK, ACKNOWLEDGE);
}

static void test_clearing_a_bit_is_refused(void **state)
{
    struct echo *echo = *state;
    unsigned live = ACKNOWLEDGE | DRIVER | FEATURES_OK | DRIVER_OK;

    echo_negotiate(echo, 0);
    set_status(echo, live & ~ACKNOWLEDGE, BH_INVALID, live);
    set_status(echo, live & ~DRIVER, BH_INVALID, live);
    set_status(echo, live & ~FEATURES_OK, BH_INVALID, live);
    set_status(echo, live & ~DRIVER_OK, BH_INVALID, live);
    set_status(echo, FAILED, BH_INVALID, live);
    set_status(echo, live | FAILED, BH_OK, live | FAILED);
    set_status(echo, live, BH_INVALID, live | FAILED);
}

/* [BH-DEV-3] */
static void test_features_ok_does_not_stick_without_features(void **state)
{
    struct echo *echo = *state;
    unsigned known = ACKNOWLEDGE | DRIVER;

    set_status(echo, known, BH_OK, known);
    set_status(echo, known | FEATURES_OK, BH_OK, known);
    assert_int_equal(bh_device_features_set(&echo->device, ECHO_F_A), BH_INVALID);
    set_status(echo, known | FEATURES_OK, BH_OK, known);
    assert_int_equal(bh_device_features_set(&echo->device, BH_F_VERSION_1), BH_OK);
    set_status(echo, known | FEATURES_OK, BH_OK, known | FEATURES_OK);
}

static void test_driver_ok_needs_features_ok(void **state)
{
    struct echo *echo = *state;
    unsigned known = ACKNOWLEDGE | DRIVER;

    set_status(echo, known, BH_OK, known);
    set_status(echo, known | DRIVER_OK, BH_INVALID, known);
    set_status(echo, known | FEATURES_OK | DRIVER_OK, BH_INVALID, known);
    assert_int_equal(bh_device_features_set(&echo->device, BH_F_VERSION_1), BH_OK);
    set_status(echo, known | DRIVER_OK, BH_INVALID, known);
    set_status(echo, known | FEATURES_OK | DRIVER_OK, BH_OK, known | FEATURES_OK | DRIVER_OK);
}

/* NEEDS_RESET is the device's to set and a reset's to clear; unknown bits do not appear. */
static void test_bits_that_are_not_the_drivers(void **state)
{
    struct echo *echo = *state;
    unsigned live = ACKNOWLEDGE | DRIVER | FEATURES_OK | DRIVER_OK;

    set_status(echo, ACKNOWLEDGE | NEEDS_RESET, BH_OK, ACKNOWLEDGE);
    set_status(echo, ACKNOWLEDGE | 16 | 32, BH_OK, ACKNOWLEDGE);
    echo_negotiate(echo, 0);
    echo_start(echo, 0);
    bh_device_fail(&echo->device, &echo->queues[0], NULL, BH_PROTOCOL, "test");
    assert_int_equal(echo->device.status, live | NEEDS_RESET);
    set_status(echo, live, BH_OK, live | NEEDS_RESET);
    set_status(echo, live | FAILED, BH_OK, live | FAILED | NEEDS_RESET);
    set_status(echo, 0, BH_OK, 0);
}

static void test_reset_forgets_and_renegotiates(void **state)
{
    struct echo *echo = *state;
    struct bh_device *device = &echo->device;
    unsigned round;

    for (round = 1; round < 4; round++) {
        echo_negotiate(echo, ECHO_F_A | BH_F_EVENT_IDX);
        echo_start(echo, 1);
        assert_int_equal(bh_device_status_set(device, 0), BH_OK);
        assert_int_equal(device->status, 0);
        assert_int_equal(device->features, 0);
        assert_int_equal(device->queues[1].state, BH_QUEUE_STOPPED);
        assert_int_equal(echo->resets, round);
        /* Told twice in a round: agreed, and fallen back. */
        assert_int_equal(echo->features_set, 2 * round);
        assert_int_equal(bh_device_queue_start(device, 0, &echo->guest.setup), BH_STATE);
    }
}

/* [BH-DEV-21] */
static void test_config_read(void **state)
{
    static const uint8_t zeroes[ECHO_CONFIG + 8];
    struct echo *echo = *state;
    uint32_t offset;
    uint32_t length;

    for (offset = 0; offset < ECHO_CONFIG + 4; offset++) {
        for (length = 0; length < ECHO_CONFIG + 4; length++) {
            bool inside = offset + length <= ECHO_CONFIG;
            uint32_t there = offset >= ECHO_CONFIG ? 0 : ECHO_CONFIG - offset;
            uint8_t *to = malloc(length + 1u); /* ends where the sanitizer sees it */

            if (there > length) {
                there = length;
            }
            assert_non_null(to);
            memset(to, 0xee, length + 1u);
            assert_int_equal(bh_device_config_read(&echo->device, offset, to, length),
                             inside ? BH_OK : BH_INVALID);
            assert_memory_equal(to, echo->config + (there != 0 ? offset : 0), there);
            assert_memory_equal(to + there, zeroes, length - there);
            assert_int_equal(to[length], 0xee);
            free(to);
        }
    }
}

/* [BH-DEV-21] */
static void test_config_offsets_that_overflow(void **state)
{
    struct echo *echo = *state;
    uint8_t to[8] = {1, 1, 1, 1, 1, 1, 1, 1};
    static const uint8_t zeroes[8];

    assert_int_equal(bh_device_config_read(&echo->device, UINT32_MAX, to, 2), BH_INVALID);
    assert_int_equal(bh_device_config_read(&echo->device, UINT32_MAX - 3u, to, 8), BH_INVALID);
    assert_memory_equal(to, zeroes, 8);
    assert_int_equal(bh_device_config_write(&echo->device, UINT32_MAX, to, 2), BH_INVALID);
    assert_int_equal(bh_device_config_write(&echo->device, UINT32_MAX - 3u, to, 8), BH_INVALID);
    assert_int_equal(bh_device_config_write(&echo->device, 8, to, UINT32_MAX), BH_INVALID);
    assert_int_equal(bh_device_config_write(&echo->device, 8, to, UINT32_MAX - 7u), BH_INVALID);
}

/* [BH-DEV-21] */
static void test_config_write(void **state)
{
    struct echo *echo = *state;
    const uint8_t from[4] = {0xa1, 0xa2, 0xa3, 0xa4};
    uint8_t before[ECHO_CONFIG];

    memcpy(before, echo->config, ECHO_CONFIG);
    assert_int_equal(bh_device_config_write(&echo->device, 0, from, 1), BH_DENIED);
    assert_int_equal(bh_device_config_write(&echo->device, 9, from, 2), BH_INVALID);
    assert_int_equal(bh_device_config_write(&echo->device, 10, from, 1), BH_INVALID);
    assert_int_equal(bh_device_config_write(&echo->device, 11, from, 0), BH_INVALID);
    assert_memory_equal(echo->config, before, ECHO_CONFIG);
    assert_int_equal(bh_device_config_write(&echo->device, 8, from, 2), BH_OK);
    assert_memory_equal(echo->config + 8, from, 2);
}

/* [BH-DEV-21] */
static void test_config_that_nobody_writes(void **state)
{
    struct echo *echo = *state;
    struct bh_device_class class = *echo->device.class;
    const uint8_t from = 1;

    class.config_write = NULL;
    echo->device.class = &class;
    assert_int_equal(bh_device_config_write(&echo->device, 8, &from, 1), BH_DENIED);
    assert_int_equal(bh_device_config_write(&echo->device, 10, &from, 1), BH_INVALID);
}

/* [BH-DEV-22] */
static void test_config_change_is_announced(void **state)
{
    struct echo *echo = *state;

    bh_device_config_changed(&echo->device);
    assert_int_equal(echo->device.generation, 1);
    assert_int_equal(echo->config_changed, 1);
    bh_device_config_changed(&echo->device);
    assert_int_equal(echo->device.generation, 2);
    assert_int_equal(echo->config_changed, 2);
}

/* A class may change its configuration before any port is there. */
static void test_config_change_without_a_port(void **state)
{
    struct echo *echo = *state;

    echo->device.port = NULL;
    bh_device_config_changed(&echo->device);
    assert_int_equal(echo->device.generation, 1);
}

static void test_any_features_fit(void **state)
{
    struct echo *echo = *state;
    struct bh_device_class class = *echo->device.class;

    class.features_fit = NULL;
    class.commit = NULL;
    echo->device.class = &class;
    assert_int_equal(bh_device_features_set(&echo->device, BH_F_VERSION_1 | ECHO_F_B), BH_OK);
    bh_device_flush(&echo->device);
    assert_int_equal(echo->commits, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        ECHO_FRESH(test_new_device),
        ECHO_FRESH(test_offer_is_class_and_port),
        ECHO_FRESH(test_nobody_offers_what_is_not_carried_out),
        ECHO_FRESH(test_mask_hides_but_not_version_1),
        ECHO_FRESH(test_refused_features_change_nothing),
        ECHO_FRESH(test_features_may_be_set_again_before_features_ok),
        ECHO_FRESH(test_features_are_fixed_by_features_ok),
        ECHO_FRESH(test_features_are_fixed_by_a_running_queue),
        ECHO_FRESH(test_status_sequence),
        ECHO_FRESH(test_clearing_a_bit_is_refused),
        ECHO_FRESH(test_features_ok_does_not_stick_without_features),
        ECHO_FRESH(test_driver_ok_needs_features_ok),
        ECHO_FRESH(test_bits_that_are_not_the_drivers),
        ECHO_FRESH(test_reset_forgets_and_renegotiates),
        ECHO_FRESH(test_config_read),
        ECHO_FRESH(test_config_offsets_that_overflow),
        ECHO_FRESH(test_config_write),
        ECHO_FRESH(test_config_that_nobody_writes),
        ECHO_FRESH(test_config_change_is_announced),
        ECHO_FRESH(test_config_change_without_a_port),
        ECHO_FRESH(test_any_features_fit),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
