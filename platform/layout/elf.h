/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * An ELF file as a program that a guest boots. Private to platform/layout/.
 */
#ifndef PLATFORM_ELF_H
#define PLATFORM_ELF_H

#include <stddef.h>

#include "bulkhead/platform_layout.h"

/* Bytes at the beginning of the file that bh_elf_head takes. */
#define BH_ELF_HEAD_BYTES 64u

/* One entry of the program headers, and how many of them are read. */
#define BH_ELF_ENTRY_BYTES 56u
#define BH_ELF_ENTRIES_MAX 64u

/* Where the program headers lie in the file. */
struct bh_elf_table {
    uint64_t offset;
    uint32_t count;
    uint64_t entry; /* as the header says: a virtual address */
};

/* Why a file is refused, and what to do; both are static text. `why` goes on after "the program
 * of guest NAME ". */
struct bh_elf_refusal {
    const char *why;
    const char *cure;
};

/* Checks the header: `head` holds its first `length` bytes, the file has `file_bytes`. */
bool bh_elf_head(struct bh_elf_table *table, const uint8_t *head, size_t length,
                 uint64_t file_bytes, struct bh_elf_refusal *refusal);

/* Checks the program headers: table->count entries at `entries`. */
bool bh_elf_program(struct bh_program *program, const struct bh_elf_table *table,
                    const uint8_t *entries, uint64_t file_bytes, struct bh_elf_refusal *refusal);

#endif
