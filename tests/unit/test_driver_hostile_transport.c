/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A device that lies before its queues run: a configuration that never settles, a reset that never ends, features that
 * change, a status that makes no sense.
 */
#include "fake_device.h"

#include "bulkhead/virtio_mmio.h"

static void test_generation_never_settles(void **state)
{
    struct fake_device device;
    uint32_t value = 0;

    (void)state;
    fake_init(&device);
    device.generation_steps = UINT32_MAX;
    assert_int_equal(bh_transport_config(&device.transport, 0, &value, 4), BH_AGAIN);
    assert_int_equal(UINT32_MAX - device.generation_steps, 32);
    fake_finish(&device);
}

static void test_reset_never_ends(void **state)
{
    struct fake_device device;
    uint64_t agreed = 0;
    const uint8_t expected[] = {0, BH_STATUS_FAILED};

    (void)state;
    fake_init(&device);
    device.status_error = BH_TIMEOUT;
    assert_int_equal(bh_transport_begin(&device.transport, 0, 0, &agreed), BH_TIMEOUT);
    assert_int_equal(device.history_count, 2);
    assert_memory_equal(device.history, expected, 2);
    fake_finish(&device);
}

static uint32_t stuck_read(void *context, uint32_t offset, uint32_t size)
{
    uint32_t *reads = context;

    (void)size;
    switch (offset) {
    case BH_MMIO_MAGIC_VALUE:
        return BH_MMIO_MAGIC;
    case BH_MMIO_VERSION:
        return 2;
    case BH_MMIO_DEVICE_ID:
        return BH_ID_BLK;
    default:
        (*reads)++;
        return 1;
    }
}

static void stuck_write(void *context, uint32_t offset, uint32_t value, uint32_t size)
{
    (void)context;
    (void)offset;
    (void)value;
    (void)size;
}

static void test_mmio_status_never_resets(void **state)
{
    uint32_t reads = 0;
    const struct bh_mmio_bus bus = {stuck_read, stuck_write, &reads};
    struct bh_mmio_transport mmio;
    uint64_t agreed = 0;

    (void)state;
    assert_int_equal(bh_mmio_transport_init(&mmio, &bus), BH_OK);
    assert_int_equal(bh_transport_begin(&mmio.transport, 0, 0, &agreed), BH_TIMEOUT);
    assert_int_equal(reads, mmio.spins);
}

/* The offer is read once: what appears after it is not accepted, what vanishes stays the device's
 * problem, which it can report by dropping FEATURES_OK. */
static uint64_t offers[2];
static unsigned offers_read;

static int changing_features_get(struct bh_transport *transport, uint64_t *features)
{
    (void)transport;
    *features = offers[offers_read < 1 ? 0 : 1];
    offers_read++;
    return BH_OK;
}

static void test_features_that_change(void **state)
{
    struct fake_device device;
    struct bh_transport_ops ops;
    uint64_t agreed = 0;

    (void)state;
    for (unsigned i = 0; i < 2; i++) {
        fake_init(&device);
        ops = *device.transport.ops;
        ops.features_get = changing_features_get;
        device.transport.ops = &ops;
        offers_read = 0;
        offers[i] = BH_F_VERSION_1;
        offers[1 - i] = BH_F_VERSION_1 | 6;
        assert_int_equal(bh_transport_begin(&device.transport, 6, 0, &agreed), BH_OK);
        assert_true(agreed == offers[0]);
        assert_true(device.features == agreed);
        assert_int_equal(offers_read, 1);
        fake_finish(&device);
    }
}

static void test_needs_reset_at_once(void **state)
{
    struct fake_device device;
    uint64_t agreed = 0;
    const struct {
        uint8_t off;
        uint8_t on;
    } cases[] = {{0, BH_STATUS_NEEDS_RESET}, {BH_STATUS_DRIVER_OK, 0}};

    (void)state;
    for (unsigned i = 0; i < 2; i++) {
        fake_init(&device);
        assert_int_equal(bh_transport_begin(&device.transport, 0, 0, &agreed), BH_OK);
        device.status_on = cases[i].on;
        device.status_off = cases[i].off;
        assert_int_equal(bh_transport_ready(&device.transport), BH_PROTOCOL);
        assert_int_equal(device.status & BH_STATUS_FAILED, BH_STATUS_FAILED);
        fake_finish(&device);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_generation_never_settles),
        cmocka_unit_test(test_reset_never_ends),
        cmocka_unit_test(test_mmio_status_never_resets),
        cmocka_unit_test(test_features_that_change),
        cmocka_unit_test(test_needs_reset_at_once),
    };

    return cmocka_run_group_tests_name("driver_hostile_transport", tests, NULL, NULL);
}
