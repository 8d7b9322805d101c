/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Reads an ELF file as a program for a guest: which bytes go where, and where it begins (System V
 * ABI, chapters 4 and 5; ELF for the Arm 64-bit architecture). The file may be anything at all. It
 * is not loaded here, and whether its segments lie in the guest's RAM is the layout's to check.
 *
 * A segment lies at its physical address (p_paddr): the processor starts with the MMU off. The entry
 * is a virtual address, and is moved along with the segment that holds it.
 */
#include <string.h>

#include "elf.h"

/* Offsets in the header ... */
#define E_CLASS     4u
#define E_DATA      5u
#define E_TYPE      16u
#define E_MACHINE   18u
#define E_ENTRY     24u
#define E_PHOFF     32u
#define E_PHENTSIZE 54u
#define E_PHNUM     56u

/* ... and in an entry of the program headers. */
#define P_TYPE   0u
#define P_FLAGS  4u
#define P_OFFSET 8u
#define P_VADDR  16u
#define P_PADDR  24u
#define P_FILESZ 32u
#define P_MEMSZ  40u

enum { CLASS_64 = 2, DATA_LITTLE = 1 };
enum { TYPE_EXEC = 2, TYPE_DYN = 3, TYPE_REL = 1, MACHINE_AARCH64 = 183 };
enum { PT_LOAD = 1, PT_INTERP = 3, PF_X = 1 };

#define INSTRUCTION_BYTES 4u

static uint64_t load_le(const uint8_t *from, unsigned bytes)
{
    uint64_t value = 0;

    for (unsigned i = bytes; i > 0; i--) {
        value = (value << 8) | from[i - 1];
    }
    return value;
}

static bool refuse(struct bh_elf_refusal *refusal, const char *why, const char *cure)
{
    refusal->why = why;
    refusal->cure = cure;
    return false;
}

static bool damaged(struct bh_elf_refusal *refusal, const char *why)
{
    return refuse(refusal, why, "link or copy it again");
}

/* ------------------------------------------------------------------------------------------------
 * the header */

static bool is_program(const uint8_t *head, struct bh_elf_refusal *refusal)
{
    const uint64_t type = load_le(head + E_TYPE, 2);

    if (head[E_DATA] != DATA_LITTLE) {
        return refuse(refusal, "is big-endian",
                      "build it little-endian (without -mbig-endian): layout v1 starts every guest "
                      "that way");
    }
    if (head[E_CLASS] != CLASS_64 || load_le(head + E_MACHINE, 2) != MACHINE_AARCH64) {
        return refuse(refusal, "is not built for 64-bit Arm",
                      "build it for AArch64 (aarch64-none-elf-gcc, aarch64-linux-gnu-gcc)");
    }
    if (type == TYPE_DYN) {
        return refuse(refusal, "is position-independent, and nobody would relocate it",
                      "link it with -no-pie -static to a fixed address, 0x40400000 or above");
    }
    if (type == TYPE_REL) {
        return refuse(refusal, "is an object file that is not linked",
                      "link it to a fixed address, 0x40400000 or above");
    }
    return type == TYPE_EXEC ||
           refuse(refusal, "is an ELF file, but no program", "take the file that the linker makes");
}

bool bh_elf_head(struct bh_elf_table *table, const uint8_t *head, size_t length,
                 uint64_t file_bytes, struct bh_elf_refusal *refusal)
{
    if (length < BH_ELF_HEAD_BYTES || memcmp(head,
                                             "\x7f"
                                             "ELF",
                                             4) != 0) {
        return refuse(refusal, "is not an ELF file",
                      "take the ELF file that the linker makes; an arm64 Image of Linux stands "
                      "under `kernel:`");
    }
    if (!is_program(head, refusal)) {
        return false;
    }
    table->offset = load_le(head + E_PHOFF, 8);
    table->count = (uint32_t)load_le(head + E_PHNUM, 2);
    table->entry = load_le(head + E_ENTRY, 8);
    if (table->count == 0) {
        return refuse(refusal, "has no program headers", "take the file that the linker makes");
    }
    if (table->count > BH_ELF_ENTRIES_MAX) {
        return refuse(refusal, "has more than 64 program headers",
                      "merge segments when linking it");
    }
    if (load_le(head + E_PHENTSIZE, 2) != BH_ELF_ENTRY_BYTES || table->offset > file_bytes ||
        file_bytes - table->offset < (uint64_t)table->count * BH_ELF_ENTRY_BYTES) {
        return damaged(refusal, "is damaged: its program headers lie outside of the file");
    }
    return true;
}

/* ------------------------------------------------------------------------------------------------
 * the program headers */

/* Puts a segment in its place among those before it. */
static bool segment_add(struct bh_program *program, const struct bh_placement *segment,
                        struct bh_elf_refusal *refusal)
{
    uint32_t at = program->segment_count;

    if (at == BH_SEGMENTS_MAX) {
        return refuse(refusal, "has more than 16 segments that are loaded",
                      "merge segments when linking it");
    }
    for (; at > 0 && program->segments[at - 1u].address > segment->address; at--) {
        program->segments[at] = program->segments[at - 1u];
    }
    program->segments[at] = *segment;
    program->segment_count++;
    return true;
}

static bool overlap(const struct bh_program *program)
{
    for (uint32_t i = 1; i < program->segment_count; i++) {
        const struct bh_placement *before = &program->segments[i - 1u];

        if (program->segments[i].address - before->address < before->size) {
            return true;
        }
    }
    return false;
}

/* Whether an entry of the table is well-formed. */
static bool entry_check(const uint8_t *entry, uint64_t file_bytes, struct bh_elf_refusal *refusal)
{
    const uint64_t offset = load_le(entry + P_OFFSET, 8);
    const uint64_t in_file = load_le(entry + P_FILESZ, 8);
    const uint64_t size = load_le(entry + P_MEMSZ, 8);

    if (offset > file_bytes || in_file > file_bytes - offset) {
        return damaged(refusal, "is damaged: a segment lies outside of the file");
    }
    if (in_file > size) {
        return damaged(refusal, "is damaged: a segment is larger in the file than in memory");
    }
    if (size != 0 && (load_le(entry + P_PADDR, 8) > UINT64_MAX - (size - 1u) ||
                      load_le(entry + P_VADDR, 8) > UINT64_MAX - (size - 1u))) {
        return damaged(refusal, "is damaged: a segment goes beyond the last address");
    }
    return true;
}

/* Whether the program begins in this segment; then its entry is known. */
static bool entry_find(struct bh_program *program, const uint8_t *entry, uint64_t begin)
{
    const uint64_t offset = begin - load_le(entry + P_VADDR, 8); /* large, if it lies below */

    if (offset >= load_le(entry + P_FILESZ, 8) || (load_le(entry + P_FLAGS, 4) & PF_X) == 0) {
        return false;
    }
    program->entry = load_le(entry + P_PADDR, 8) + offset;
    return true;
}

bool bh_elf_program(struct bh_program *program, const struct bh_elf_table *table,
                    const uint8_t *entries, uint64_t file_bytes, struct bh_elf_refusal *refusal)
{
    bool begins = false;

    memset(program, 0, sizeof(*program));
    for (uint32_t i = 0; i < table->count; i++) {
        const uint8_t *entry = entries + (size_t)i * BH_ELF_ENTRY_BYTES;
        const uint64_t type = load_le(entry + P_TYPE, 4);
        const struct bh_placement segment = {load_le(entry + P_PADDR, 8),
                                             load_le(entry + P_MEMSZ, 8)};

        if (type == PT_INTERP) {
            return refuse(refusal, "is a program for an operating system: it names a loader",
                          "link it with -nostdlib -static for a machine without one; a Linux "
                          "program belongs into a guest's initrd or disk");
        }
        if (type != PT_LOAD) {
            continue;
        }
        if (!entry_check(entry, file_bytes, refusal) ||
            (segment.size != 0 && !segment_add(program, &segment, refusal))) {
            return false;
        }
        begins = begins || entry_find(program, entry, table->entry);
    }
    if (program->segment_count == 0) {
        return refuse(refusal, "has no segment that is loaded",
                      "take the file that the linker makes, before `objcopy --only-keep-debug`");
    }
    if (overlap(program)) {
        return damaged(refusal, "has segments that overlap");
    }
    if (!begins || program->entry % INSTRUCTION_BYTES != 0) {
        return refuse(refusal, "begins outside of its own code",
                      "give the linker the first function: ENTRY(start), or -e start");
    }
    return true;
}
