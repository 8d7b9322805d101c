/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The monitor of examples/gateway: a guest without an operating system and without a device-tree
 * parser. It knows its machine from monitor.h, which `bulkhead build` makes. It says that it is
 * there, counts seconds, and turns itself off when its power key is pressed. What it would watch is
 * a CAN bus; until this version has one, it watches the clock.
 */
#include <stdint.h>

#include "monitor.h" /* made by `bulkhead build` */

#define UART_FLAGS   0x18U /* PL011 */
#define UART_FULL    0x20U
#define UART_CONTROL 0x30U
#define UART_ON      0x301U
#define GICR_WAKER   0x14U
#define GICR_SGI     0x10000U
#define GICR_GROUP   (GICR_SGI + 0x80U)
#define GICR_ENABLE  (GICR_SGI + 0x100U)
#define GICD_ENABLED 0x12U                                    /* group 1, with affinities */
#define GPIO_KEY     (1ULL << (BULKHEAD_POWER_KEY_LINE + 2U)) /* PL061: the address masks the lines */
#define PSCI_OFF     0x84000008U
#define TICKS        50U /* a second: a pressed key is up again after a tenth of one */

__asm__(".section .text.start, \"ax\"\n"
        ".globl start\n"
        "start: adrp x9, stack_end\n"
        "       add x9, x9, :lo12:stack_end\n"
        "       mov sp, x9\n"
        "       b monitor\n");

void monitor(void);

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
    char text[11];
    uint32_t at = sizeof(text) - 1U;

    text[at] = '\0';
    do {
        at--;
        text[at] = (char)('0' + (char)(value % 10U));
        value /= 10U;
    } while (value != 0U);
    put(&text[at]);
}

/* The timer's interrupt ends a WFI; it is never taken. */
static void timer_start(void)
{
    uint64_t redistributor = BULKHEAD_GIC_REDISTRIBUTOR_BASE;
    uint32_t timer = 1U << BULKHEAD_TIMER_VIRTUAL_INTERRUPT;

    write32(BULKHEAD_GIC_DISTRIBUTOR_BASE, GICD_ENABLED);
    write32(redistributor + GICR_WAKER, 0U);
    write32(redistributor + GICR_GROUP, timer);
    write32(redistributor + GICR_ENABLE, timer);
    __asm__ volatile("msr S3_0_C12_C12_5, %0\n" /* ICC_SRE_EL1 */
                     "isb\n"
                     "msr S3_0_C4_C6_0, %1\n"   /* ICC_PMR_EL1 */
                     "msr S3_0_C12_C12_7, %0\n" /* ICC_IGRPEN1_EL1 */
                     "isb" ::"r"(1ULL),
                     "r"(0xffULL));
}

static void wait_tick(void)
{
    uint64_t rate;

    __asm__ volatile("mrs %0, cntfrq_el0" : "=r"(rate));
    __asm__ volatile("msr cntv_tval_el0, %0\n"
                     "msr cntv_ctl_el0, %1\n"
                     "isb\n"
                     "wfi" ::"r"(rate / TICKS),
                     "r"(1ULL));
}

static _Noreturn void turn_off(void)
{
    register uint64_t x0 __asm__("x0") = PSCI_OFF;

    __asm__ volatile("hvc #0" : "+r"(x0) : : "memory");
    for (;;) {
        __asm__ volatile("wfi");
    }
}

void monitor(void)
{
    uint32_t ticks = 0U;

    write32(BULKHEAD_UART_BASE + UART_CONTROL, UART_ON);
    put("monitor: ready\n");
    timer_start();
    while (read32(BULKHEAD_GPIO_BASE + GPIO_KEY) == 0U) {
        wait_tick();
        ticks++;
        if (ticks % (10U * TICKS) == 0U) {
            put("monitor: alive for ");
            put_number(ticks / TICKS);
            put(" s\n");
        }
    }
    put("monitor: stopping\n");
    turn_off();
}
