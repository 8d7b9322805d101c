/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a gate is told that it guards (engine/gate.h): which memory it uses for which device, what each
 * back end may map of it, and what the definition knows of a device.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "bulkhead/bytes.h"
#include "bulkhead/error.h"
#include "bulkhead/virtio_blk.h"
#include "engine/gate.h"
#include "layout_rig.h"

#define DISK_BYTES (UINT64_C(5) * MIB)

static struct {
    struct layout_rig layout;
    struct bh_platform platform;
    struct bh_text mode;
    struct bh_window windows[BH_REGIONS_MAX];
    uint64_t disk_bytes[BH_DEVICES_MAX];
    struct bh_gate_setup setup;
} rig;

static int setup(void **state)
{
    (void)state;
    memset(&rig, 0, sizeof(rig));
    layout_rig_init(&rig.layout);
    rig.platform.modes.names = &rig.mode;
    rig.platform.modes.count = 1;
    for (uint32_t i = 0; i < BH_REGIONS_MAX; i++) {
        rig.windows[i].device = 7;
        rig.windows[i].inode = 100u + i;
    }
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    layout_rig_finish(&rig.layout);
    return 0;
}

static struct bh_device_definition *add(enum bh_device_type type, enum bh_isolation isolation)
{
    bool window = isolation == BH_ISOLATION_DIRECT || isolation == BH_ISOLATION_SHADOW;
    struct bh_device_definition *device =
        layout_rig_add(&rig.layout, type, window ? 16u * MIB : 0u);
    device->isolation.value = isolation;
    return device;
}

static int make(void)
{
    const struct bh_gate_parts parts = {
        .platform = &rig.platform,
        .layout = &rig.layout.layout,
        .windows = rig.windows,
        .disk_bytes = rig.disk_bytes,
    };
    assert_int_equal(layout_rig_make(&rig.layout), BH_OK);
    return bh_gate_setup_make(&rig.setup, &parts);
}

/* Which file stands for region `region`; as many as there are: none. */
static uint32_t index_of(uint32_t region)
{
    uint32_t i = 0;
    while (i < rig.setup.file_count && rig.setup.files[i].inode != 100u + region) {
        i++;
    }
    return i;
}

static const struct bh_gate_file *file_of(uint32_t region)
{
    uint32_t index = index_of(region);
    assert_true(index < rig.setup.file_count);
    return &rig.setup.files[index];
}

static void expect_file(uint32_t region, uint64_t users, uint64_t shared)
{
    const struct bh_gate_file *file = file_of(region);
    assert_int_equal(file->address, rig.layout.layout.regions[region].address);
    assert_int_equal(file->size, rig.layout.layout.regions[region].size);
    assert_int_equal(file->device, 7);
    assert_int_equal(file->users, users);
    assert_int_equal(file->shared, shared);
    assert_int_equal(file->sealed, 1);
}

/* ------------------------------------------------------------------------------------------------
 * memory */

static void test_shadow_shares_data_and_no_rings(void **state)
{
    (void)state;
    (void)add(BH_DEVICE_BLK, BH_ISOLATION_SHADOW);
    (void)add(BH_DEVICE_RNG, BH_ISOLATION_SHADOW);
    assert_int_equal(make(), BH_OK);
    assert_int_equal(rig.setup.file_count, 4);
    assert_int_equal(index_of(0), rig.setup.file_count); /* private RAM is nobody's */
    expect_file(1, 1, 0);
    expect_file(2, 1, 1);
    expect_file(3, 2, 0);
    expect_file(4, 2, 2);
    assert_int_equal(rig.setup.devices[0].mode, BH_GATE_SHADOW);
}

static void test_direct_shares_the_window(void **state)
{
    (void)state;
    (void)add(BH_DEVICE_BLK, BH_ISOLATION_DIRECT);
    assert_int_equal(make(), BH_OK);
    assert_int_equal(rig.setup.file_count, 1);
    expect_file(1, 1, 1);
    assert_int_equal(rig.setup.devices[0].arena_size, 0);
}

static void test_bounce_shares_nothing(void **state)
{
    (void)state;
    (void)add(BH_DEVICE_BLK, BH_ISOLATION_BOUNCE);
    (void)add(BH_DEVICE_RNG, BH_ISOLATION_SHADOW);
    (void)add(BH_DEVICE_CONSOLE, BH_ISOLATION_OPEN);
    assert_int_equal(make(), BH_OK);
    expect_file(0, 1u | 4u, 4);
    expect_file(2, 2, 2);
    assert_true(rig.setup.devices[0].arena_size > rig.setup.devices[1].arena_size);
    assert_int_equal(rig.setup.devices[2].arena_size, 0);
}

/* The engine puts RAM around what its machine has at fixed addresses. */
static void test_memory_that_the_engine_places(void **state)
{
    (void)state;
    rig.layout.guest.arch.value = BH_ARCH_X86_64;
    rig.layout.guest.layout.value = BH_LAYOUT_ENGINE;
    (void)add(BH_DEVICE_BLK, BH_ISOLATION_BOUNCE);
    assert_int_equal(make(), BH_OK);
    const struct bh_gate_file *file = file_of(0);
    assert_int_equal(file->address, 0);
    assert_true(file->size > UINT64_C(5) << 30); /* beyond the hole below 4 GiB */
}

/* ------------------------------------------------------------------------------------------------
 * devices */

static void test_left_out_device_is_none_of_the_gate(void **state)
{
    (void)state;
    (void)add(BH_DEVICE_BLK, BH_ISOLATION_SHADOW);
    add(BH_DEVICE_RNG, BH_ISOLATION_SHADOW)->left_out = true;
    (void)add(BH_DEVICE_CONSOLE, BH_ISOLATION_SHADOW);
    assert_int_equal(make(), BH_OK);
    assert_int_equal(rig.setup.device_count, 2);
    assert_string_equal(rig.setup.devices[1].name, "g/dev2");
    assert_int_equal(bh_gate_device_of(&rig.layout.guest, 0), 0);
    assert_int_equal(bh_gate_device_of(&rig.layout.guest, 1), BH_GATE_NO_DEVICE);
    assert_int_equal(bh_gate_device_of(&rig.layout.guest, 2), 1);
    assert_int_equal(bh_gate_device_is(&rig.layout.guest, 1), 2);
    assert_int_equal(bh_gate_device_is(&rig.layout.guest, 2), BH_GATE_NO_DEVICE);
}

static void test_no_device(void **state)
{
    (void)state;
    add(BH_DEVICE_RNG, BH_ISOLATION_SHADOW)->left_out = true;
    assert_int_equal(make(), BH_INVALID);
}

static void test_disk_is_the_one_that_it_should_be(void **state)
{
    struct bh_blk_config config;
    struct bh_blk_config mask;
    (void)state;
    add(BH_DEVICE_BLK, BH_ISOLATION_SHADOW)->queues.value = 4;
    rig.disk_bytes[0] = DISK_BYTES + 17u;
    assert_int_equal(make(), BH_OK);
    const struct bh_gate_device *device = &rig.setup.devices[0];
    memcpy(&config, device->config, sizeof(config));
    memcpy(&mask, device->config_mask, sizeof(mask));
    assert_int_equal(device->type, 2);
    assert_int_equal(device->config_size, sizeof(config));
    assert_int_equal(config.capacity, BH_LE64(DISK_BYTES / 512u));
    assert_int_equal(mask.capacity, UINT64_MAX);
    assert_int_equal(config.num_queues, BH_LE16(4));
    assert_int_equal(mask.num_queues, UINT16_MAX);
    assert_int_equal(mask.seg_max, 0);
    assert_int_equal(device->queue_count, 4);
    assert_int_equal(device->restores, 1);
    assert_int_equal(device->arena_size % 4096u, 0);
}

static void test_queues_of_a_console(void **state)
{
    (void)state;
    (void)add(BH_DEVICE_CONSOLE, BH_ISOLATION_SHADOW);
    struct bh_device_definition *ports = add(BH_DEVICE_CONSOLE, BH_ISOLATION_SHADOW);
    ports->ports.count = 2;
    assert_int_equal(make(), BH_OK);
    assert_int_equal(rig.setup.devices[0].queue_count, 2);
    assert_int_equal(rig.setup.devices[1].queue_count, 8);
    assert_true(rig.setup.devices[0].config_size > 0u);
}

static void test_limits(void **state)
{
    struct bh_gate_limits limits;
    struct bh_device_definition *device = NULL;
    (void)state;
    device = add(BH_DEVICE_RNG, BH_ISOLATION_SHADOW);
    device->limits.operations.value = 500;
    device->limits.bytes.value = MIB;
    device->limits.deadline.value = 1500;
    device->limits.restarts.value = 7;
    assert_int_equal(make(), BH_OK);
    bh_gate_limits_make(&limits, &rig.platform, &rig.layout.guest, device, 0);
    assert_int_equal(limits.operations_per_second, 500);
    assert_int_equal(limits.bytes_per_second, MIB);
    assert_int_equal(rig.setup.devices[0].deadline_ms, 1500);
    assert_int_equal(bh_gate_restarts(&rig.platform, &rig.layout.guest, device, 0), 7);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_shadow_shares_data_and_no_rings, setup, teardown),
        cmocka_unit_test_setup_teardown(test_direct_shares_the_window, setup, teardown),
        cmocka_unit_test_setup_teardown(test_bounce_shares_nothing, setup, teardown),
        cmocka_unit_test_setup_teardown(test_memory_that_the_engine_places, setup, teardown),
        cmocka_unit_test_setup_teardown(test_left_out_device_is_none_of_the_gate, setup, teardown),
        cmocka_unit_test_setup_teardown(test_no_device, setup, teardown),
        cmocka_unit_test_setup_teardown(test_disk_is_the_one_that_it_should_be, setup, teardown),
        cmocka_unit_test_setup_teardown(test_queues_of_a_console, setup, teardown),
        cmocka_unit_test_setup_teardown(test_limits, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
