/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The layout of a guest: its rules on chosen guests and on random ones, and what is said about
 * those that do not fit.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "bulkhead/error.h"
#include "layout_rig.h"
#include "platform/layout/layout_check.h"

static void expect_said(struct layout_rig *rig, const char *what)
{
    char *said = layout_rig_said(rig);

    if (!strstr(said, what)) {
        fail_msg("not said: %s\nbut: %s", what, said);
    }
    free(said);
}

static uint64_t end_of(const struct bh_placement *placement)
{
    return placement->address + placement->size;
}

/* What has to hold of every layout. */
static void check_rules(const struct bh_layout *layout)
{
    const struct bh_layout_region *ram = &layout->regions[0];
    const struct bh_placement *placed[] = {&layout->tree, &layout->start, &layout->kernel,
                                           &layout->initrd};
    uint64_t next = BH_VIRT_RAM;
    uint32_t windows = 0;

    for (uint32_t i = 0; i < layout->region_count; i++) {
        assert_true(layout->regions[i].address == next); /* no gap, no overlap */
        next += layout->regions[i].size;
        assert_int_equal(layout->regions[i].kind, i == 0 ? BH_REGION_PRIVATE : BH_REGION_WINDOW);
        windows += i != 0;
    }
    assert_int_equal(windows, layout->guest->device_count);
    for (uint32_t d = 0; d < layout->guest->device_count; d++) {
        const struct bh_layout_region *window = bh_layout_window(layout, d);

        assert_non_null(window);
        assert_true(window->size == layout->guest->devices[d].window.value);
        assert_int_equal(layout->slots[d], d);
    }
    for (size_t i = 0; i < 4; i++) {
        if (placed[i]->size == 0) {
            continue;
        }
        assert_true(placed[i]->address >= ram->address + 2 * MIB);
        assert_true(end_of(placed[i]) <= ram->address + ram->size);
        for (size_t j = 0; j < i; j++) {
            assert_true(placed[j]->size == 0 || end_of(placed[j]) <= placed[i]->address ||
                        end_of(placed[i]) <= placed[j]->address);
        }
    }
    assert_true(layout->tree.address % 8u == 0);
    assert_true(layout->initrd.address % (4 * KIB) == 0);
}

static void test_chosen(void **state)
{
    struct layout_rig rig;

    (void)state;
    layout_rig_init(&rig);
    rig.images.kernel_offset = 0x80000;
    (void)layout_rig_add(&rig, BH_DEVICE_BLK, 16 * MIB);
    (void)layout_rig_add(&rig, BH_DEVICE_RNG, 64 * KIB);
    (void)layout_rig_add(&rig, BH_DEVICE_CONSOLE, 5 * MIB);
    assert_int_equal(layout_rig_make(&rig), BH_OK);
    check_rules(&rig.layout);
    assert_int_equal(rig.layout.region_count, 4);
    assert_true(rig.layout.regions[2].address == 0x49000000);
    assert_true(rig.layout.regions[3].address == 0x49010000);
    assert_true(rig.layout.tree.address == 0x40200000);
    assert_true(rig.layout.tree.size == 64 * KIB);
    assert_true(rig.layout.start.address == 0x40210000);
    assert_true(rig.layout.kernel.address == 0x40480000);
    assert_true(rig.layout.kernel.size == 12 * MIB);
    assert_true(rig.layout.initrd.address == 0x41080000);
    assert_null(bh_layout_window(&rig.layout, 3));
    assert_int_equal(bh_diagnostics_errors(rig.diagnostics), 0);
    assert_int_equal(bh_diagnostics_warnings(rig.diagnostics), 0);
    layout_rig_finish(&rig);
}

/* A signature behind the image is loaded too. */
static void test_file_larger_than_image(void **state)
{
    struct layout_rig rig;

    (void)state;
    layout_rig_init(&rig);
    rig.images.kernel_bytes = rig.images.kernel_memory + 1u;
    assert_int_equal(layout_rig_make(&rig), BH_OK);
    assert_true(rig.layout.kernel.size == 12 * MIB + 1u);
    check_rules(&rig.layout);
    layout_rig_finish(&rig);
}

/* An open device, firmware or an x86 guest: one shared region, no windows. */
static void test_open(void **state)
{
    (void)state;
    for (unsigned how = 0; how < 4; how++) {
        struct layout_rig rig;

        layout_rig_init(&rig);
        (void)layout_rig_add(&rig, BH_DEVICE_BLK, 16 * MIB);
        (void)layout_rig_add(&rig, BH_DEVICE_RNG, 64 * KIB);
        if (how == 0) {
            rig.devices[1].isolation.value = BH_ISOLATION_OPEN;
        } else if (how == 1) {
            rig.guest.boot.firmware.text = "u-boot.bin";
        } else {
            rig.guest.arch.value = BH_ARCH_X86_64;
        }
        if (how == 1) {
            rig.images.kernel_bytes = rig.images.kernel_memory = rig.images.initrd_bytes = 0;
        }
        if (how == 3) {
            rig.guest.device_count = 0;
        }
        assert_int_equal(layout_rig_make(&rig), BH_OK);
        assert_int_equal(rig.layout.region_count, 1);
        assert_int_equal(rig.layout.regions[0].kind,
                         how == 3 ? BH_REGION_PRIVATE : BH_REGION_SHARED);
        assert_true(rig.layout.regions[0].address == (how >= 2 ? 0 : BH_VIRT_RAM));
        assert_true((rig.layout.kernel.size > 0) == (how == 0));
        assert_null(bh_layout_window(&rig.layout, 0));
        layout_rig_finish(&rig);
    }
}

/* 128M of RAM with 12 windows of 16M start Linux 7.2; where the books take it all, it is
 * refused. */
static void test_many_windows(void **state)
{
    struct layout_rig rig;

    (void)state;
    layout_rig_init(&rig);
    for (unsigned i = 0; i < 12; i++) {
        (void)layout_rig_add(&rig, BH_DEVICE_BLK, 16 * MIB);
    }
    assert_int_equal(layout_rig_make(&rig), BH_OK);
    check_rules(&rig.layout);
    for (unsigned i = 0; i < 12; i++) {
        rig.devices[i].window.value = 256 * MIB;
    }
    assert_int_equal(layout_rig_make(&rig), BH_INVALID);
    expect_said(&rig, "memory of guest g is 128M; to start it needs ");
    expect_said(&rig, "or make windows smaller");
    layout_rig_finish(&rig);
}

/* What is said to be enough is enough, and one step less is not. */
static void test_cure_is_exact(void **state)
{
    struct layout_rig rig;

    (void)state;
    layout_rig_init(&rig);
    rig.guest.memory.value = 8 * MIB;
    (void)layout_rig_add(&rig, BH_DEVICE_BLK, 16 * MIB);
    assert_int_equal(layout_rig_make(&rig), BH_INVALID);
    expect_said(&rig, "its kernel with the initrd needs 18M before it has done anything");
    expect_said(&rig, "write memory: 24M or more");
    expect_said(&rig, "[memory-fit]");
    rig.guest.memory.value = 22 * MIB;
    assert_int_equal(layout_rig_make(&rig), BH_INVALID);
    rig.guest.memory.value = 24 * MIB;
    assert_int_equal(layout_rig_make(&rig), BH_OK);
    layout_rig_finish(&rig);
}

static void test_tight(void **state)
{
    struct layout_rig rig;

    (void)state;
    layout_rig_init(&rig);
    rig.images.initrd_bytes = 40 * MIB;
    assert_int_equal(layout_rig_make(&rig), BH_OK);
    assert_int_equal(bh_diagnostics_warnings(rig.diagnostics), 1);
    expect_said(&rig, "[memory-tight]");
    layout_rig_finish(&rig);
}

static void test_sizes(void **state)
{
    static const struct {
        uint64_t memory;
        enum bh_device_type type;
        uint64_t window;
        uint32_t ports;
        int result;
        const char *said; /* NULL: nothing */
    } cases[] = {
        {127 * MIB, BH_DEVICE_RNG, 64 * KIB, 0, BH_INVALID, "write memory: 128M"},
        {0, BH_DEVICE_RNG, 64 * KIB, 0, BH_INVALID, "write memory: 2M"},
        {256 * KIB * MIB, BH_DEVICE_RNG, 64 * KIB, 0, BH_INVALID, "write memory: 255G or less"},
        {UINT64_MAX, BH_DEVICE_RNG, 64 * KIB, 0, BH_INVALID, "write memory: 255G or less"},
        {128 * MIB, BH_DEVICE_RNG, UINT64_MAX - 65535u, 0, BH_INVALID, "less memory, or smaller"},
        {128 * MIB, BH_DEVICE_RNG, 255 * KIB * MIB, 0, BH_INVALID, "less memory, or smaller"},
        {128 * MIB, BH_DEVICE_RNG, 0, 0, BH_INVALID, "write window: 64K or more"},
        {128 * MIB, BH_DEVICE_RNG, 100 * KIB, 0, BH_INVALID, "write window: 128K"},
        {128 * MIB, BH_DEVICE_RNG, 64 * KIB, 0, BH_OK, NULL},
        {128 * MIB, BH_DEVICE_RNG, 341 * MIB, 0, BH_OK, NULL},
        {128 * MIB, BH_DEVICE_RNG, 342 * MIB, 0, BH_OK, "K or less"},
        {128 * MIB, BH_DEVICE_BLK, 4 * MIB, 0, BH_OK, "write window: 8960K or more"},
        {128 * MIB, BH_DEVICE_BLK, 8960 * KIB, 0, BH_OK, NULL},
        {128 * MIB, BH_DEVICE_CONSOLE, 576 * KIB, 0, BH_OK, "write window: 640K or more"},
        {128 * MIB, BH_DEVICE_CONSOLE, 640 * KIB, 0, BH_OK, NULL},
        {128 * MIB, BH_DEVICE_CONSOLE, 640 * KIB, 2, BH_OK, "write window: 2368K or more"},
        {128 * MIB, BH_DEVICE_CONSOLE, 64 * KIB, 15, BH_INVALID, "write window: 1152K or more"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct layout_rig rig;

        layout_rig_init(&rig);
        rig.guest.memory.value = cases[i].memory;
        layout_rig_add(&rig, cases[i].type, cases[i].window)->ports.count = cases[i].ports;
        assert_int_equal(layout_rig_make(&rig), cases[i].result);
        expect_said(&rig, cases[i].said ? cases[i].said : "");
        assert_int_equal(bh_diagnostics_errors(rig.diagnostics), cases[i].result != BH_OK);
        if (cases[i].result == BH_OK) {
            assert_int_equal(bh_diagnostics_warnings(rig.diagnostics), cases[i].said != NULL);
        }
        layout_rig_finish(&rig);
    }
}

static void test_too_many_devices(void **state)
{
    struct layout_rig rig;

    (void)state;
    layout_rig_init(&rig);
    for (unsigned i = 0; i < BH_DEVICES_MAX; i++) {
        (void)layout_rig_add(&rig, BH_DEVICE_RNG, 64 * KIB);
    }
    assert_int_equal(layout_rig_make(&rig), BH_OK);
    check_rules(&rig.layout);
    (void)layout_rig_add(&rig, BH_DEVICE_RNG, 64 * KIB);
    assert_int_equal(layout_rig_make(&rig), BH_INVALID);
    expect_said(&rig, "[device-count]");
    layout_rig_finish(&rig);
}

/* Sizes of images that no file has are refused before any sum is made of them. */
static void test_absurd_images(void **state)
{
    (void)state;
    for (unsigned which = 0; which < 4; which++) {
        struct layout_rig rig;
        uint64_t *const values[] = {&rig.images.kernel_bytes, &rig.images.kernel_memory,
                                    &rig.images.kernel_offset, &rig.images.initrd_bytes};

        layout_rig_init(&rig);
        *values[which] = UINT64_MAX - which;
        assert_int_equal(layout_rig_make(&rig), BH_INVALID);
        assert_int_equal(bh_diagnostics_errors(rig.diagnostics), 1);
        layout_rig_finish(&rig);
    }
}

/* Every guest that is accepted keeps the rules. */
static void test_random(void **state)
{
    uint32_t accepted = 0;

    (void)state;
    srandom(20260101);
    for (unsigned n = 0; n < 3000; n++) {
        struct layout_rig rig;

        layout_rig_init(&rig);
        rig.guest.cpus.value = 1u + (uint64_t)random() % 8u;
        rig.guest.memory.value = (1u + (uint64_t)random() % 256u) * 2u * MIB;
        rig.images.kernel_bytes = 1u + (uint64_t)random() % (64 * MIB);
        rig.images.kernel_memory = 1u + (uint64_t)random() % (64 * MIB);
        rig.images.kernel_offset = (uint64_t)random() % (2 * MIB) / (4 * KIB) * (4 * KIB);
        rig.images.initrd_bytes = random() % 4 ? (uint64_t)random() % (64 * MIB) : 0;
        for (long i = random() % (long)(BH_DEVICES_MAX + 1u); i > 0; i--) {
            (void)layout_rig_add(&rig, (enum bh_device_type)(random() % BH_DEVICE_TYPES),
                                 (1u + (uint64_t)random() % 256u) * 64u * KIB);
        }
        if (layout_rig_make(&rig) == BH_OK) {
            check_rules(&rig.layout);
            accepted++;
        } else {
            assert_true(bh_diagnostics_errors(rig.diagnostics) > 0);
        }
        layout_rig_finish(&rig);
    }
    assert_in_range(accepted, 500, 2900);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_chosen),        cmocka_unit_test(test_file_larger_than_image),
        cmocka_unit_test(test_open),          cmocka_unit_test(test_many_windows),
        cmocka_unit_test(test_cure_is_exact), cmocka_unit_test(test_tight),
        cmocka_unit_test(test_sizes),         cmocka_unit_test(test_too_many_devices),
        cmocka_unit_test(test_absurd_images), cmocka_unit_test(test_random),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
