/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The code that the first processor of an arm64 guest begins with: it gives the kernel, or the program,
 * its device tree as Linux Documentation/arch/arm64/booting asks for (x0 the tree, x1 to x3 zero,
 * MMU off as after reset). Six instructions and two addresses; no stack, no memory but its own.
 */
#include <string.h>

#include "bulkhead/platform_layout.h"

#define CODE_WORDS 6u
#define CODE_BYTES 24u

/* LDR (literal), 64-bit: `words` counts 4-byte words from the instruction to the value. */
#define LDR_LITERAL(reg, words) (UINT32_C(0x58000000) | ((uint32_t)(words) << 5) | (uint32_t)(reg))
#define MOVZ(reg, value)        (UINT32_C(0xd2800000) | ((uint32_t)(value) << 5) | (uint32_t)(reg))
#define BR(reg)                 (UINT32_C(0xd61f0000) | ((uint32_t)(reg) << 5))

static void store_le(uint8_t *to, uint64_t value, unsigned bytes)
{
    for (unsigned i = 0; i < bytes; i++) {
        to[i] = (uint8_t)(value >> (8 * i));
    }
}

void bh_start_code(const struct bh_layout *layout, uint8_t code[BH_START_CODE_BYTES])
{
    /* The tree's address is at word 6, the entry's at word 8. */
    static const uint32_t words[CODE_WORDS] = {
        LDR_LITERAL(0, 6 - 0), MOVZ(1, 0), MOVZ(2, 0), MOVZ(3, 0), LDR_LITERAL(4, 8 - 4), BR(4),
    };

    memset(code, 0, BH_START_CODE_BYTES);
    for (unsigned i = 0; i < CODE_WORDS; i++) {
        store_le(code + 4u * (size_t)i, words[i], 4);
    }
    store_le(code + CODE_BYTES, layout->tree.address, 8);
    store_le(code + CODE_BYTES + 8, layout->entry, 8);
}
