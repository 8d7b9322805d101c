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

static bool expects_window(const struct bh_device_definition *device)
{
    return device->type.value != BH_DEVICE_PASSTHROUGH && !device->left_out &&
           (device->isolation.value == BH_ISOLATION_DIRECT ||
            device->isolation.value == BH_ISOLATION_SHADOW);
}

/* The window of a device is its regions, one behind the other: in shadow the rings and the data.
 */
static void check_parts(const struct bh_layout *layout, uint32_t device)
{
    const struct bh_device_definition *definition = &layout->guest->devices[device];
    const struct bh_layout_region *window = bh_layout_window(layout, device);
    const bool shadow = definition->isolation.value == BH_ISOLATION_SHADOW;
    uint64_t next = window == NULL ? 0 : window->address;
    uint32_t parts = 0;

    for (uint32_t i = 1; i < layout->region_count; i++) {
        const struct bh_layout_region *part = &layout->regions[i];

        if (part->kind != BH_REGION_WINDOW || part->device != device) {
            assert_false(part->rings && part->kind != BH_REGION_WINDOW);
            continue;
        }
        assert_true(part->address == next && part->size > 0 && part->size % (64 * KIB) == 0);
        assert_int_equal(part->rings, shadow && parts == 0);
        assert_true(!part->rings ||
                    part->size >= bh_device_kind(definition->type.value).queues * 32 * KIB);
        next += part->size;
        parts++;
    }
    assert_int_equal(parts, window == NULL ? 0 : shadow ? 2 : 1);
    assert_true(window == NULL || next == window->address + window->size);
}

/* What has to hold of every layout. */
static void check_rules(const struct bh_layout *layout)
{
    const struct bh_layout_region *ram = &layout->regions[0];
    const struct bh_placement *placed[] = {&layout->tree, &layout->start, &layout->kernel,
                                           &layout->initrd};
    uint64_t next = BH_VIRT_RAM;
    uint32_t slots = 0;

    for (uint32_t i = 0; i < layout->region_count; i++) {
        assert_true(layout->regions[i].address == next); /* no gap, no overlap */
        next += layout->regions[i].size;
        assert_int_equal(layout->regions[i].kind == BH_REGION_WINDOW ||
                             layout->regions[i].kind == BH_REGION_RESERVED,
                         i != 0);
    }
    assert_int_equal(ram->kind,
                     bh_guest_is_open(layout->guest) ? BH_REGION_SHARED : BH_REGION_PRIVATE);
    for (uint32_t d = 0; d < layout->guest->device_count; d++) {
        const struct bh_device_definition *device = &layout->guest->devices[d];
        const struct bh_layout_region *window = bh_layout_window(layout, d);

        assert_int_equal(window != NULL, expects_window(device));
        assert_true(window == NULL || window->size == device->window.value);
        check_parts(layout, d);
        if (device->type.value == BH_DEVICE_PASSTHROUGH) {
            assert_true(layout->slots[d] == BH_SLOT_NONE);
            continue;
        }
        assert_in_range(layout->slots[d], 0, BH_VIRT_SLOTS - 1u);
        assert_true((slots & (UINT32_C(1) << layout->slots[d])) == 0);
        slots |= UINT32_C(1) << layout->slots[d];
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

/* [BH-LAY-3, BH-LAY-9, BH-LAY-12, BH-LAY-13] */
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

/* Firmware or an x86 guest: one shared region, no windows. */
static void test_engine_places(void **state)
{
    (void)state;
    for (unsigned how = 1; how < 4; how++) {
        struct layout_rig rig;

        layout_rig_init(&rig);
        (void)layout_rig_add(&rig, BH_DEVICE_BLK, 16 * MIB);
        (void)layout_rig_add(&rig, BH_DEVICE_RNG, 64 * KIB);
        if (how == 1) {
            rig.guest.boot.firmware.text = "u-boot.bin";
            rig.guest.boot.kernel.text = NULL;
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
        assert_true(rig.layout.kernel.size == 0 && rig.layout.tree.size == 0);
        assert_null(bh_layout_window(&rig.layout, 0));
        layout_rig_finish(&rig);
    }
}

/* A device that is bounce or open has no window, and all RAM is shared; the others keep theirs.
 * [BH-LAY-10] */
static void test_shared(void **state)
{
    static const uint32_t isolations[] = {BH_ISOLATION_SHADOW, BH_ISOLATION_OPEN};

    (void)state;
    for (unsigned how = 0; how < 2; how++) {
        struct layout_rig rig;

        layout_rig_init(&rig);
        (void)layout_rig_add(&rig, BH_DEVICE_BLK, 16 * MIB);
        layout_rig_add(&rig, BH_DEVICE_RNG, how == 0 ? 128 * KIB : 0)->isolation.value =
            isolations[how];
        (void)layout_rig_add(&rig, BH_DEVICE_RNG, 128 * KIB);
        assert_int_equal(layout_rig_make(&rig), BH_OK);
        check_rules(&rig.layout);
        assert_int_equal(rig.layout.regions[0].kind,
                         how == 0 ? BH_REGION_PRIVATE : BH_REGION_SHARED);
        assert_int_equal(rig.layout.region_count, how == 0 ? 5 : 3);
        assert_true(bh_layout_window(&rig.layout, 2)->address ==
                    (how == 0 ? 0x49020000 : 0x49000000));
        layout_rig_finish(&rig);
    }
}

/* Slots that are written down are kept, the others get what is free; hardware has none.
 * [BH-LAY-6] */
static void test_slots(void **state)
{
    static const uint64_t written[] = {BH_SLOT_ANY, 1, BH_SLOT_ANY, 31, BH_SLOT_ANY, 0};
    static const uint32_t given[] = {2, 1, 3, 31, BH_SLOT_NONE, 0};
    struct layout_rig rig;

    (void)state;
    layout_rig_init(&rig);
    for (unsigned i = 0; i < 6; i++) {
        struct bh_device_definition *device = layout_rig_add(
            &rig, i == 4 ? BH_DEVICE_PASSTHROUGH : BH_DEVICE_RNG, i == 4 ? 0 : 64 * KIB);

        device->slot.value = written[i];
    }
    assert_int_equal(layout_rig_make(&rig), BH_OK);
    check_rules(&rig.layout);
    for (unsigned i = 0; i < 6; i++) {
        assert_true(rig.layout.slots[i] == given[i]);
    }
    layout_rig_finish(&rig);
}

/* Whatever is left out, nothing else moves. [BH-LAY-11] */
static void test_left_out(void **state)
{
    struct layout_rig with;
    struct layout_rig without;

    (void)state;
    for (uint32_t out = 0; out < 3; out++) {
        struct layout_rig *const rigs[] = {&with, &without};

        for (unsigned i = 0; i < 2; i++) {
            layout_rig_init(rigs[i]);
            (void)layout_rig_add(rigs[i], BH_DEVICE_BLK, 16 * MIB);
            (void)layout_rig_add(rigs[i], BH_DEVICE_RNG, 64 * KIB);
            (void)layout_rig_add(rigs[i], BH_DEVICE_CONSOLE, 5 * MIB);
        }
        without.devices[out].left_out = true;
        assert_int_equal(layout_rig_make(&with), BH_OK);
        assert_int_equal(layout_rig_make(&without), BH_OK);
        check_rules(&without.layout);
        assert_int_equal(without.layout.regions[out + 1u].kind, BH_REGION_RESERVED);
        without.layout.regions[out + 1u].kind = BH_REGION_WINDOW;
        assert_memory_equal(with.layout.regions, without.layout.regions,
                            sizeof(with.layout.regions));
        assert_memory_equal(with.layout.slots, without.layout.slots, sizeof(with.layout.slots));
        layout_rig_finish(&with);
        layout_rig_finish(&without);
    }
}

/* A window that holds the rings is enough for a program; Linux is warned of. Every type of device
 * has a smallest window that is taken, and one step less is not. */
static void test_window_of_every_type(void **state)
{
    (void)state;
    for (uint32_t n = 0; n < 2u * BH_DEVICE_PASSTHROUGH; n++) {
        const uint32_t type = n / 2u;
        uint64_t window = 0;
        struct layout_rig rig;

        do {
            window += 64 * KIB;
            layout_rig_init(&rig);
            rig.guest.boot.kernel.text = NULL;
            rig.guest.boot.elf.text = "rtos.elf";
            rig.images.program = (struct bh_program){{{BH_VIRT_IMAGE, MIB}}, 1, BH_VIRT_IMAGE};
            layout_rig_add(&rig, (enum bh_device_type)type, window)->isolation.value =
                n % 2u == 0 ? BH_ISOLATION_DIRECT : BH_ISOLATION_SHADOW;
            if (layout_rig_make(&rig) == BH_OK) {
                check_rules(&rig.layout);
                break;
            }
            expect_said(&rig, "too small for the rings");
            layout_rig_finish(&rig);
        } while (window < MIB);
        assert_true(window >= bh_device_kind(type).queues * 32 * KIB && window < MIB);
        assert_int_equal(bh_diagnostics_warnings(rig.diagnostics), 0);
        layout_rig_finish(&rig);
    }
}

/* The ring part is as large as rings can be: 32 KiB for each queue, and no page of it has data.
 * [BH-LAY-23] */
static void test_rings(void **state)
{
    static const struct {
        enum bh_device_type type;
        uint32_t queues;
        uint32_t ports;
        uint64_t rings;
    } cases[] = {
        {BH_DEVICE_BLK, 1, 0, 64 * KIB},     {BH_DEVICE_BLK, 3, 0, 128 * KIB},
        {BH_DEVICE_BLK, 16, 0, 512 * KIB},   {BH_DEVICE_RNG, 1, 0, 64 * KIB},
        {BH_DEVICE_CONSOLE, 1, 0, 64 * KIB}, {BH_DEVICE_CONSOLE, 1, 16, 1152 * KIB},
        {BH_DEVICE_NET, 1, 0, 128 * KIB},    {BH_DEVICE_NET, 16, 0, 1088 * KIB},
        {BH_DEVICE_SOUND, 1, 0, 128 * KIB},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct layout_rig rig;

        layout_rig_init(&rig);
        struct bh_device_definition *device = layout_rig_add(&rig, cases[i].type, 16 * MIB);

        device->isolation.value = BH_ISOLATION_SHADOW;
        device->queues.value = cases[i].queues;
        device->ports.count = cases[i].ports;
        assert_int_equal(layout_rig_make(&rig), BH_OK);
        check_rules(&rig.layout);
        assert_int_equal(rig.layout.region_count, 3);
        assert_true(rig.layout.regions[1].size == cases[i].rings);
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
        layout_rig_add(&rig, BH_DEVICE_RNG, 128 * KIB)->isolation.value = BH_ISOLATION_SHADOW;
    }
    assert_int_equal(layout_rig_make(&rig), BH_OK);
    check_rules(&rig.layout);
    assert_int_equal(rig.layout.region_count, BH_REGIONS_MAX);
    assert_true(BH_REGIONS_MAX <= 128u); /* QEMU has so many NUMA nodes, and one for each */
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

/* Where the segments of a program may lie. [BH-LAY-14, BH-LAY-15] */
static void test_program(void **state)
{
    static const struct {
        uint64_t address;
        uint64_t size;
        const char *said; /* NULL: it is taken */
    } cases[] = {
        {0x40400000, 4096, NULL},
        {0x47fff000, 4096, NULL},
        {0x40400000, 124 * MIB, NULL},
        {0x403fffff, 4096, "the first 4M of RAM hold the device tree"},
        {0x40200000, 64, "0x40200000 to 0x4020003f, but the first 4M"},
        {0x40000000, 1, "the first 4M of RAM"},
        {0x47fff001, 4096, "behind the end of RAM"},
        {0x48000000, 4096, "write memory: 130M or more"},
        {0x3fffffff, 2, "where no guest has RAM"},
        {0, 4096, "link it to 0x40400000 and above"},
        {UINT64_MAX, 1, "where no guest has RAM"},
        {0x40400000, UINT64_MAX - 0x40400000, "where no guest has RAM"},
        {0x3fffc00000, 4 * MIB, "write memory: 255G or more"},
        {0x4000000000, 1, "where no guest has RAM"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct layout_rig rig;

        layout_rig_init(&rig);
        rig.guest.boot.kernel.text = NULL;
        rig.guest.boot.elf.text = "rtos.elf";
        rig.images.program =
            (struct bh_program){{{cases[i].address, cases[i].size}}, 1, cases[i].address};
        (void)layout_rig_add(&rig, BH_DEVICE_RNG, 64 * KIB);
        assert_int_equal(layout_rig_make(&rig), cases[i].said ? BH_INVALID : BH_OK);
        expect_said(&rig, cases[i].said ? cases[i].said : "");
        assert_int_equal(bh_diagnostics_warnings(rig.diagnostics), 0);
        if (cases[i].said == NULL) {
            assert_int_equal(rig.layout.segment_count, 1);
            assert_true(rig.layout.entry == cases[i].address);
            assert_true(rig.layout.tree.address == 0x40200000 && rig.layout.kernel.size == 0);
        }
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
            struct bh_device_definition *device =
                layout_rig_add(&rig, (enum bh_device_type)(random() % BH_DEVICE_TYPES),
                               (1u + (uint64_t)random() % 256u) * 64u * KIB);

            device->left_out = random() % 8 == 0;
            device->isolation.value = random() % 4 ? BH_ISOLATION_DIRECT : BH_ISOLATION_SHADOW;
            device->slot.value = random() % 4 ? BH_SLOT_ANY : rig.guest.device_count - 1u;
            if (random() % 64 == 0) {
                device->isolation.value = BH_ISOLATION_OPEN;
            }
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
        cmocka_unit_test(test_chosen),
        cmocka_unit_test(test_file_larger_than_image),
        cmocka_unit_test(test_engine_places),
        cmocka_unit_test(test_shared),
        cmocka_unit_test(test_slots),
        cmocka_unit_test(test_left_out),
        cmocka_unit_test(test_window_of_every_type),
        cmocka_unit_test(test_rings),
        cmocka_unit_test(test_many_windows),
        cmocka_unit_test(test_cure_is_exact),
        cmocka_unit_test(test_tight),
        cmocka_unit_test(test_sizes),
        cmocka_unit_test(test_too_many_devices),
        cmocka_unit_test(test_absurd_images),
        cmocka_unit_test(test_program),
        cmocka_unit_test(test_random),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
