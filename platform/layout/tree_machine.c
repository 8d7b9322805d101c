/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The part of the device tree that is the machine: processors, interrupt controller, timer, UART,
 * clock, power key. The addresses and interrupts are those of QEMU's machine `virt` from 7.2 to
 * 11.1 (layout v1). What a guest has no use for is left out: PCI, flash, firmware configuration.
 */
#include <libfdt.h>

#include "tree.h"

#define POWER_KEY_CODE 116 /* KEY_POWER of Linux' input event codes */

#define CLUSTER_CPUS 16 /* affinity level 0 of a GICv3 */

/* A property that is a list of strings: `list` ends each with a zero, the literal's own
 * included. */
#define TREE_STRINGS(tree, name, list)                                                             \
    bh_tree_add(tree, fdt_property((tree)->fdt, name, list, (int)sizeof(list)))

static void flag_add(struct bh_tree *tree, const char *name)
{
    bh_tree_add(tree, fdt_property(tree->fdt, name, NULL, 0));
}

static void number_add(struct bh_tree *tree, const char *name, uint32_t value)
{
    bh_tree_add(tree, fdt_property_u32(tree->fdt, name, value));
}

static void end_node(struct bh_tree *tree)
{
    bh_tree_add(tree, fdt_end_node(tree->fdt));
}

static void root_add(struct bh_tree *tree, const struct bh_layout *layout)
{
    TREE_STRINGS(tree, "compatible", "bulkhead,layout-v1\0linux,dummy-virt");
    bh_tree_text(tree, "model", layout->guest->name.text);
    number_add(tree, "#address-cells", 2);
    number_add(tree, "#size-cells", 2);
    number_add(tree, "interrupt-parent", BH_TREE_PHANDLE_GIC);

    bh_tree_add(tree, fdt_begin_node(tree->fdt, "aliases"));
    bh_tree_text(tree, "serial0", BH_TREE_UART);
    end_node(tree);

    bh_tree_add(tree, fdt_begin_node(tree->fdt, "psci"));
    TREE_STRINGS(tree, "compatible", "arm,psci-1.0\0arm,psci-0.2");
    bh_tree_text(tree, "method", "hvc");
    end_node(tree);
}

static void processors_add(struct bh_tree *tree, uint32_t count)
{
    bh_tree_add(tree, fdt_begin_node(tree->fdt, "cpus"));
    number_add(tree, "#address-cells", 1);
    number_add(tree, "#size-cells", 0);
    for (uint32_t i = 0; i < count; i++) {
        /* MPIDR: affinity 1 and 0. */
        const uint32_t affinity = ((i / CLUSTER_CPUS) << 8) | (i % CLUSTER_CPUS);

        bh_tree_node(tree, "cpu", affinity);
        bh_tree_text(tree, "device_type", "cpu");
        TREE_STRINGS(tree, "compatible", "arm,armv8");
        number_add(tree, "reg", affinity);
        bh_tree_text(tree, "enable-method", "psci");
        end_node(tree);
    }
    end_node(tree);
}

static void interrupts_add(struct bh_tree *tree, uint32_t cpus)
{
    const uint64_t redistributors = cpus * BH_VIRT_GIC_REDISTRIBUTOR_BYTES;

    bh_tree_node(tree, "interrupt-controller", BH_VIRT_GIC_DISTRIBUTOR);
    TREE_STRINGS(tree, "compatible", "arm,gic-v3");
    number_add(tree, "#address-cells", 0);
    number_add(tree, "#interrupt-cells", 3);
    flag_add(tree, "interrupt-controller");
    BH_TREE_WORDS(tree, "reg", 0, (uint32_t)BH_VIRT_GIC_DISTRIBUTOR, 0,
                  (uint32_t)BH_VIRT_GIC_DISTRIBUTOR_BYTES, 0, (uint32_t)BH_VIRT_GIC_REDISTRIBUTOR,
                  0, (uint32_t)redistributors);
    number_add(tree, "phandle", BH_TREE_PHANDLE_GIC);
    end_node(tree);

    bh_tree_add(tree, fdt_begin_node(tree->fdt, "timer"));
    TREE_STRINGS(tree, "compatible", "arm,armv8-timer");
    /* Secure, non-secure, virtual, hypervisor. */
    BH_TREE_WORDS(tree, "interrupts", BH_TREE_PPI, BH_VIRT_TIMER_SECURE_PPI, BH_TREE_LEVEL,
                  BH_TREE_PPI, BH_VIRT_TIMER_PHYSICAL_PPI, BH_TREE_LEVEL, BH_TREE_PPI,
                  BH_VIRT_TIMER_VIRTUAL_PPI, BH_TREE_LEVEL, BH_TREE_PPI,
                  BH_VIRT_TIMER_HYPERVISOR_PPI, BH_TREE_LEVEL);
    flag_add(tree, "always-on");
    end_node(tree);
}

/* The common part of a PrimeCell; its node stays open. */
static void cell_begin(struct bh_tree *tree, const char *name, uint64_t address, uint32_t spi)
{
    bh_tree_node(tree, name, address);
    bh_tree_reg(tree, address, BH_VIRT_CELL_BYTES);
    BH_TREE_WORDS(tree, "interrupts", BH_TREE_SPI, spi, BH_TREE_LEVEL);
}

static void peripherals_add(struct bh_tree *tree)
{
    bh_tree_add(tree, fdt_begin_node(tree->fdt, "clock"));
    TREE_STRINGS(tree, "compatible", "fixed-clock");
    number_add(tree, "#clock-cells", 0);
    number_add(tree, "clock-frequency", BH_VIRT_CELL_CLOCK);
    number_add(tree, "phandle", BH_TREE_PHANDLE_CLOCK);
    end_node(tree);

    cell_begin(tree, "serial", BH_VIRT_UART, BH_VIRT_UART_SPI);
    TREE_STRINGS(tree, "compatible", "arm,pl011\0arm,primecell");
    BH_TREE_WORDS(tree, "clocks", BH_TREE_PHANDLE_CLOCK, BH_TREE_PHANDLE_CLOCK);
    TREE_STRINGS(tree, "clock-names", "uartclk\0apb_pclk");
    end_node(tree);

    cell_begin(tree, "rtc", BH_VIRT_RTC, BH_VIRT_RTC_SPI);
    TREE_STRINGS(tree, "compatible", "arm,pl031\0arm,primecell");
    BH_TREE_WORDS(tree, "clocks", BH_TREE_PHANDLE_CLOCK);
    TREE_STRINGS(tree, "clock-names", "apb_pclk");
    end_node(tree);

    cell_begin(tree, "gpio", BH_VIRT_GPIO, BH_VIRT_GPIO_SPI);
    TREE_STRINGS(tree, "compatible", "arm,pl061\0arm,primecell");
    BH_TREE_WORDS(tree, "clocks", BH_TREE_PHANDLE_CLOCK);
    TREE_STRINGS(tree, "clock-names", "apb_pclk");
    flag_add(tree, "gpio-controller");
    number_add(tree, "#gpio-cells", 2);
    flag_add(tree, "interrupt-controller");
    number_add(tree, "#address-cells", 0);
    number_add(tree, "#interrupt-cells", 2);
    number_add(tree, "phandle", BH_TREE_PHANDLE_GPIO);
    end_node(tree);

    bh_tree_add(tree, fdt_begin_node(tree->fdt, "gpio-keys"));
    TREE_STRINGS(tree, "compatible", "gpio-keys");
    bh_tree_add(tree, fdt_begin_node(tree->fdt, "power"));
    bh_tree_text(tree, "label", "power");
    number_add(tree, "linux,code", POWER_KEY_CODE);
    BH_TREE_WORDS(tree, "gpios", BH_TREE_PHANDLE_GPIO, BH_VIRT_POWER_KEY_LINE, 0);
    end_node(tree);
    end_node(tree);
}

void bh_tree_machine_add(struct bh_tree *tree, const struct bh_layout *layout)
{
    const uint32_t cpus = (uint32_t)layout->guest->cpus.value;

    root_add(tree, layout);
    processors_add(tree, cpus);
    interrupts_add(tree, cpus);
    peripherals_add(tree);
}
