/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The device tree, read back with libfdt, and the start code, read back word by word.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <libfdt.h>

#include "bulkhead/error.h"
#include "layout_rig.h"

/* A cell of a property. */
static uint32_t cell(const void *fdt, const char *path, const char *name, unsigned index)
{
    int length = 0;
    const int node = fdt_path_offset(fdt, path);
    const uint8_t *value;

    if (node < 0) {
        fail_msg("no node %s", path);
    }
    value = fdt_getprop(fdt, node, name, &length);
    if (!value || (unsigned)length < 4u * (index + 1u)) {
        fail_msg("no cell %u of %s in %s", index, name, path);
        return 0;
    }
    return fdt32_ld((const fdt32_t *)(const void *)(value + 4u * (size_t)index));
}

static uint64_t cells(const void *fdt, const char *path, const char *name, unsigned index)
{
    return ((uint64_t)cell(fdt, path, name, index) << 32) | cell(fdt, path, name, index + 1u);
}

static const char *text(const void *fdt, const char *path, const char *name)
{
    return fdt_getprop(fdt, fdt_path_offset(fdt, path), name, NULL);
}

static unsigned children(const void *fdt, const char *path)
{
    unsigned count = 0;
    int node;

    fdt_for_each_subnode(node, fdt, fdt_path_offset(fdt, path)) count++;
    return count;
}

static void *tree_make(struct layout_rig *rig)
{
    void *tree = NULL;
    size_t bytes = 0;

    assert_int_equal(layout_rig_make(rig), BH_OK);
    assert_int_equal(bh_device_tree_make(&rig->layout, &tree, &bytes), BH_OK);
    assert_int_equal(fdt_check_full(tree, bytes), 0);
    assert_true(bytes <= rig->layout.tree.size);
    return tree;
}

/* [BH-LAY-1, BH-LAY-2, BH-LAY-4, BH-LAY-5, BH-LAY-7, BH-LAY-8, BH-LAY-22] */
static void test_machine(void **state)
{
    struct layout_rig rig;
    void *tree;

    (void)state;
    layout_rig_init(&rig);
    rig.guest.cpus.value = 4;
    tree = tree_make(&rig);
    assert_int_equal(cell(tree, "/", "#address-cells", 0), 2);
    assert_int_equal(cell(tree, "/", "#size-cells", 0), 2);
    assert_int_equal(fdt_node_check_compatible(tree, 0, "bulkhead,layout-v1"), 0);
    assert_int_equal(children(tree, "/cpus"), 4);
    assert_int_equal(cell(tree, "/cpus/cpu@3", "reg", 0), 3);
    assert_string_equal(text(tree, "/cpus/cpu@3", "enable-method"), "psci");
    assert_string_equal(text(tree, "/psci", "method"), "hvc");
    assert_int_equal(cell(tree, "/", "interrupt-parent", 0),
                     cell(tree, "/interrupt-controller@8000000", "phandle", 0));
    /* Redistributors: 128 KiB for each processor. */
    assert_true(cells(tree, "/interrupt-controller@8000000", "reg", 4) == 0x80a0000);
    assert_true(cells(tree, "/interrupt-controller@8000000", "reg", 6) == 0x80000);
    assert_int_equal(cell(tree, "/timer", "interrupts", 7), 11);
    assert_int_equal(cell(tree, "/serial@9000000", "interrupts", 1), 1);
    assert_int_equal(cell(tree, "/serial@9000000", "clocks", 1),
                     cell(tree, "/clock", "phandle", 0));
    assert_int_equal(cell(tree, "/gpio-keys/power", "linux,code", 0), 116);
    assert_int_equal(cell(tree, "/gpio-keys/power", "gpios", 0),
                     cell(tree, "/gpio@9030000", "phandle", 0));
    assert_int_equal(cell(tree, "/gpio-keys/power", "gpios", 1), 3);
    assert_string_equal(text(tree, "/chosen", "stdout-path"), "/serial@9000000");
    assert_string_equal(text(tree, "/chosen", "bootargs"), "console=hvc0");
    assert_true(cells(tree, "/chosen", "linux,initrd-start", 0) == rig.layout.initrd.address);
    assert_true(cells(tree, "/chosen", "linux,initrd-end", 0) ==
                rig.layout.initrd.address + rig.layout.initrd.size);
    assert_int_equal(children(tree, "/reserved-memory"), 0);
    free(tree);
    layout_rig_finish(&rig);
}

static void test_affinity(void **state)
{
    struct layout_rig rig;
    void *tree;

    (void)state;
    layout_rig_init(&rig);
    rig.guest.cpus.value = 18;
    rig.guest.boot.command_line.text = NULL;
    rig.images.initrd_bytes = 0;
    tree = tree_make(&rig);
    assert_int_equal(cell(tree, "/cpus/cpu@101", "reg", 0), 0x101);
    assert_null(text(tree, "/chosen", "bootargs"));
    assert_null(text(tree, "/chosen", "linux,initrd-start"));
    free(tree);
    layout_rig_finish(&rig);
}

/* Each window: in memory, reserved exactly, as one piece whatever parts it has, and named by its slot;
 * on every slot in use. [BH-LAY-6, BH-LAY-9, BH-LAY-10, BH-LAY-23] */
static void test_windows(void **state)
{
    struct layout_rig rig;
    void *tree;

    (void)state;
    layout_rig_init(&rig);
    for (unsigned i = 0; i < BH_DEVICES_MAX; i++) {
        layout_rig_add(&rig, BH_DEVICE_RNG, (2u + i % 5u) * 64u * KIB)->isolation.value =
            i % 2u == 0 ? BH_ISOLATION_SHADOW : BH_ISOLATION_DIRECT;
    }
    /* The longest names do not make a node's name longer than 31 characters. */
    rig.devices[3].name.text = "abcdefghijklmnopqrstuvwxyz-01234";
    tree = tree_make(&rig);
    assert_int_equal(children(tree, "/reserved-memory"), BH_DEVICES_MAX);
    assert_true(rig.layout.region_count > 1u + BH_DEVICES_MAX);
    for (uint32_t i = 0; i < BH_DEVICES_MAX; i++) {
        const struct bh_layout_region *window = bh_layout_window(&rig.layout, i);
        char path[96];

        (void)snprintf(path, sizeof(path), "/reserved-memory/%.31s@%llx", rig.devices[i].name.text,
                       (unsigned long long)window->address);
        assert_string_equal(text(tree, path, "compatible"), "restricted-dma-pool");
        assert_null(fdt_getprop(tree, fdt_path_offset(tree, path), "no-map", NULL));
        assert_true(cells(tree, path, "reg", 0) == window->address);
        assert_true(cells(tree, path, "reg", 2) == window->size);
        assert_true(cells(tree, "/memory@40000000", "reg", 4 * (i + 1u)) == window->address);
        assert_true(cells(tree, "/memory@40000000", "reg", 4 * (i + 1u) + 2u) == window->size);
        const uint32_t phandle = cell(tree, path, "phandle", 0);

        (void)snprintf(path, sizeof(path), "/virtio@%x", 0xa000000u + i * 0x200u);
        assert_int_equal(cell(tree, path, "memory-region", 0), phandle);
        assert_int_equal(cell(tree, path, "interrupts", 0), 0);
        assert_int_equal(cell(tree, path, "interrupts", 1), 16u + i);
        assert_int_equal(cell(tree, path, "interrupts", 2), 1);
        assert_true(cells(tree, path, "reg", 2) == 0x200);
        assert_non_null(fdt_getprop(tree, fdt_path_offset(tree, path), "dma-coherent", NULL));
    }
    free(tree);
    layout_rig_finish(&rig);
}

static void test_open_guest(void **state)
{
    struct layout_rig rig;
    void *tree;

    (void)state;
    layout_rig_init(&rig);
    layout_rig_add(&rig, BH_DEVICE_RNG, 64 * KIB)->isolation.value = BH_ISOLATION_OPEN;
    tree = tree_make(&rig);
    assert_int_equal(children(tree, "/reserved-memory"), 0);
    assert_null(text(tree, "/virtio@a000000", "memory-region"));
    assert_true(fdt_path_offset(tree, "/virtio@a000200") < 0);
    free(tree);
    layout_rig_finish(&rig);
}

/* Slots as they are written; nothing of what is left out, and nothing of hardware. [BH-LAY-11] */
static void test_left_out(void **state)
{
    struct layout_rig rig;
    void *tree;

    (void)state;
    layout_rig_init(&rig);
    layout_rig_add(&rig, BH_DEVICE_RNG, 64 * KIB)->slot.value = 9;
    layout_rig_add(&rig, BH_DEVICE_CAMERA, 64 * MIB)->left_out = true;
    layout_rig_add(&rig, BH_DEVICE_PASSTHROUGH, 0)->slot.value = 0;
    (void)layout_rig_add(&rig, BH_DEVICE_BLK, 16 * MIB);
    tree = tree_make(&rig);
    assert_int_equal(cell(tree, "/virtio@a001200", "interrupts", 1), 25);
    assert_true(fdt_path_offset(tree, "/virtio@a000000") < 0);
    assert_true(fdt_path_offset(tree, "/virtio@a000200") >= 0);
    assert_int_equal(children(tree, "/reserved-memory"), 2);
    assert_true(fdt_path_offset(tree, "/reserved-memory/dev3@4c010000") >= 0);
    /* RAM, and two windows with a hole between them. */
    assert_true(cells(tree, "/memory@40000000", "reg", 4) == 0x48000000);
    assert_true(cells(tree, "/memory@40000000", "reg", 8) == 0x4c010000);
    int length = 0;
    (void)fdt_getprop(tree, fdt_path_offset(tree, "/memory@40000000"), "reg", &length);
    assert_int_equal(length, 3 * 16);
    free(tree);
    layout_rig_finish(&rig);
}

static void test_same_bytes(void **state)
{
    struct layout_rig rig;
    void *first;
    void *second;

    (void)state;
    layout_rig_init(&rig);
    (void)layout_rig_add(&rig, BH_DEVICE_BLK, 16 * MIB);
    first = tree_make(&rig);
    second = tree_make(&rig);
    assert_int_equal(fdt_totalsize(first), fdt_totalsize(second));
    assert_memory_equal(first, second, fdt_totalsize(first));
    free(first);
    free(second);
    layout_rig_finish(&rig);
}

static void test_no_room(void **state)
{
    struct layout_rig rig;
    void *tree = NULL;
    size_t bytes = 0;
    char *line = malloc(64 * KIB + 1u);

    (void)state;
    assert_non_null(line);
    memset(line, 'x', 64 * KIB);
    line[64 * KIB] = '\0';
    layout_rig_init(&rig);
    rig.guest.boot.command_line.text = line;
    assert_int_equal(layout_rig_make(&rig), BH_OK);
    assert_int_equal(bh_device_tree_make(&rig.layout, &tree, &bytes), BH_LIMIT);
    assert_null(tree);
    free(line);
    layout_rig_finish(&rig);
}

/* [BH-LAY-16] */
static void test_start_code(void **state)
{
    static const uint32_t words[] = {
        0x580000c0,             /* ldr x0, tree */
        0xd2800001,             /* mov x1, #0 */
        0xd2800002,             /* mov x2, #0 */
        0xd2800003,             /* mov x3, #0 */
        0x58000084,             /* ldr x4, entry */
        0xd61f0080,             /* br x4 */
        0x40200000,             /* tree */
        0x00000001, 0x40400000, /* entry */
        0x00000002,
    };
    struct bh_layout layout = {
        .tree = {.address = 0x140200000},
        .entry = 0x240400000,
    };
    uint8_t code[BH_START_CODE_BYTES];

    (void)state;
    memset(code, 0xff, sizeof(code));
    bh_start_code(&layout, code);
    for (size_t i = 0; i < BH_START_CODE_BYTES; i++) {
        const uint32_t word = i / 4u < sizeof(words) / 4u ? words[i / 4u] : 0;

        assert_int_equal(code[i], (word >> (8u * (i % 4u))) & 0xffu);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_machine),    cmocka_unit_test(test_affinity),
        cmocka_unit_test(test_windows),    cmocka_unit_test(test_open_guest),
        cmocka_unit_test(test_same_bytes), cmocka_unit_test(test_no_room),
        cmocka_unit_test(test_start_code), cmocka_unit_test(test_left_out),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
