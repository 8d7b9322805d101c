/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The smallest guest: no operating system, no device-tree parser. It knows its machine from the C
 * header that `bulkhead build` makes, looks whether everything is where the header says, says so on
 * the UART, and turns itself off. An example, and the test of layout v1 on an engine; no runtime
 * for other guests.
 *
 * Build it for the guest `hello` of platform.yaml beside it: see the Makefile.
 */
#include <stdint.h>

#include "hello.h" /* made by `bulkhead build` */

#define UART_FLAGS    0x18U /* PL011 */
#define UART_FULL     0x20U
#define UART_CONTROL  0x30U
#define UART_ON       0x301U
#define UART_MASK     0x38U
#define UART_SENT     0x20U
#define CELL_ID       0xfe0U /* PrimeCells: the part number in two bytes */
#define GICD_PIDR2    0xffe8U
#define GICD_ISPENDR  0x200U
#define GICR_SGI      0x10000U
#define GICR_ISPENDR0 0x200U
#define MMIO_MAGIC    0x74726976U /* "virt" */
#define FDT_MAGIC     0xd00dfeedU /* big-endian */
#define PSCI_OFF      0x84000008U
#define PSCI_CPU_ON   0xc4000003U
#define SECOND_CPU    1U /* its affinity */

/* The processor begins here, with the address of the device tree in x0. The second one only says
 * that it runs: x0 is where. */
__asm__(".section .text.start, \"ax\"\n"
        ".globl start\n"
        "start: adrp x9, stack_end\n"
        "       add x9, x9, :lo12:stack_end\n"
        "       mov sp, x9\n"
        "       orr x1, x1, x2\n"
        "       orr x1, x1, x3\n"
        "       b hello\n"
        ".globl second\n"
        "second: mov w1, #1\n"
        "       str w1, [x0]\n"
        "halt:  wfi\n"
        "       b halt\n");

void hello(uint64_t tree, uint64_t others);
void second(void);

static uint32_t read32(uint64_t address)
{
    return *(volatile uint32_t *)address;
}

static void write32(uint64_t address, uint32_t value)
{
    *(volatile uint32_t *)address = value;
}

static void put(const char *text)
{
    for (; *text != '\0'; text++) {
        while ((read32(BULKHEAD_UART_BASE + UART_FLAGS) & UART_FULL) != 0U) {
        }
        write32(BULKHEAD_UART_BASE, (uint8_t)*text);
    }
}

static void put_number(uint32_t value)
{
    char text[11] = "0x00000000";

    for (uint32_t i = 0U; i < 8U; i++) {
        text[9U - i] = "0123456789abcdef"[(value >> (4U * i)) & 0xfU];
    }
    put(text);
}

static uint32_t differences;

static void expect(const char *what, uint32_t is, uint32_t should)
{
    put(what);
    put_number(is);
    if (is != should) {
        differences++;
        put(", not ");
        put_number(should);
    }
    put("\n");
}

/* The part number of a PrimeCell. */
static uint32_t part(uint64_t base)
{
    return (read32(base + CELL_ID) & 0xffU) | ((read32(base + CELL_ID + 4U) & 0xfU) << 8);
}

static void look_at_slots(void)
{
    uint32_t found = 0U;

    for (uint32_t slot = 0U; slot < BULKHEAD_SLOT_COUNT; slot++) {
        const uint64_t base = BULKHEAD_SLOT_BASE + slot * BULKHEAD_SLOT_BYTES;

        if (read32(base) != MMIO_MAGIC) {
            expect("slot without virtio: ", slot, BULKHEAD_SLOT_COUNT);
        } else if (read32(base + 8U) != 0U) {
            found++;
        }
    }
    expect("devices: ", found, 1U);
    expect("random: ", read32(BULKHEAD_DEVICE_BASE_RANDOM + 8U), BULKHEAD_DEVICE_ID_RANDOM);
}

/* The first and the last word hold what is written to them. */
static void look_at_memory(const char *what, uint64_t base, uint64_t bytes)
{
    write32(base, 0x600df00dU);
    write32(base + bytes - 4U, 0x0ddba11U);
    expect(what, read32(base) ^ read32(base + bytes - 4U), 0x600df00dU ^ 0x0ddba11U);
}

/* A timer that is due makes its interrupt pending, whoever listens. */
static uint32_t pending(void)
{
    uint32_t mask = 0U;

    for (uint32_t n = 0U; mask == 0U && n < 100000U; n++) {
        mask = read32(BULKHEAD_GIC_REDISTRIBUTOR_BASE + GICR_SGI + GICR_ISPENDR0);
    }
    return mask;
}

/* Firmware that takes a call by HVC. */
static uint64_t call(uint64_t function, uint64_t a, uint64_t b, uint64_t c)
{
    register uint64_t x0 __asm__("x0") = function;
    register uint64_t x1 __asm__("x1") = a;
    register uint64_t x2 __asm__("x2") = b;
    register uint64_t x3 __asm__("x3") = c;

    __asm__ volatile("hvc #0" : "+r"(x0), "+r"(x1), "+r"(x2), "+r"(x3) : : "memory");
    return x0;
}

static void look_at_second_processor(void)
{
    static volatile uint32_t runs;
    const uint64_t answer = call(PSCI_CPU_ON, SECOND_CPU, (uintptr_t)second, (uintptr_t)&runs);

    for (uint32_t n = 0U; runs == 0U && n < 100000000U; n++) {
    }
    expect("second processor: ", (uint32_t)answer | runs, BULKHEAD_CPUS - 1U);
}

/* What the UART has sent makes its interrupt pending, whoever listens. */
static void look_at_uart(void)
{
    const uint64_t word = BULKHEAD_UART_INTERRUPT / 32U * 4U;
    const uint32_t bit = 1U << (BULKHEAD_UART_INTERRUPT % 32U);

    write32(BULKHEAD_UART_BASE + UART_MASK, UART_SENT);
    const uint32_t mask = read32(BULKHEAD_GIC_DISTRIBUTOR_BASE + GICD_ISPENDR + word);
    write32(BULKHEAD_UART_BASE + UART_MASK, 0U);
    expect("uart interrupt: ", mask, bit);
}

static void look_at_timer(void)
{
    __asm__ volatile("msr cntv_cval_el0, xzr\n msr cntv_ctl_el0, %0\n isb" : : "r"(UINT64_C(1)));
    expect("timer: ", pending(), 1U << BULKHEAD_TIMER_VIRTUAL_INTERRUPT);
    __asm__ volatile("msr cntv_ctl_el0, xzr");
}

static void look_at_state(uint64_t others)
{
    uint64_t level;
    uint64_t control;
    uint64_t masked;

    __asm__("mrs %0, CurrentEL\n mrs %1, sctlr_el1\n mrs %2, daif"
            : "=r"(level), "=r"(control), "=r"(masked));
    expect("exception level: ", (uint32_t)level >> 2, 1U);
    expect("mmu and cache: ", (uint32_t)control & 5U, 0U);
    expect("masked: ", (uint32_t)masked, 0x3c0U);
    expect("x1 to x3: ", (uint32_t)others | (uint32_t)(others >> 32), 0U);
}

void hello(uint64_t tree, uint64_t others)
{
    write32(BULKHEAD_UART_BASE + UART_CONTROL, UART_ON);
    put("hello from a guest without an operating system\n");
    look_at_state(others);
    expect("tree: ", (uint32_t)tree, (uint32_t)BULKHEAD_TREE_BASE);
    expect("tree magic: ", __builtin_bswap32(read32(tree)), FDT_MAGIC);
    expect("uart: ", part(BULKHEAD_UART_BASE), 0x011U);
    expect("clock: ", part(BULKHEAD_CLOCK_BASE), 0x031U);
    expect("gpio: ", part(BULKHEAD_GPIO_BASE), 0x061U);
    expect("gic: ", (read32(BULKHEAD_GIC_DISTRIBUTOR_BASE + GICD_PIDR2) >> 4) & 0xfU, 3U);
    look_at_memory("ram: ", BULKHEAD_RAM_BASE, BULKHEAD_RAM_BYTES);
    look_at_memory("window: ", BULKHEAD_WINDOW_BASE_RANDOM, BULKHEAD_WINDOW_BYTES_RANDOM);
    look_at_slots();
    look_at_timer();
    look_at_uart();
    look_at_second_processor();
    put(differences == 0U ? "all is where the header says\n" : "the header is wrong\n");
    (void)call(PSCI_OFF, 0U, 0U, 0U);
    for (;;) {
    }
}
