/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The bytes of an image's header and table. It reads no file and knows no key.
 *
 * There is one way to write a given content: sections follow each other in the table's order, each
 * on the next page, and everything that is not said is zero. Decoding refuses all else, so nothing
 * can hide between the sections and no two of them can share a byte.
 */
#include <string.h>

#include "image.h"

/* The magic: a byte that is no text, and both kinds of line end, which a transfer as text spoils. */
static const uint8_t magic[8] = {0x89, 'B', 'H', 'I', 'M', 'G', '\r', '\n'};

/* In the header */
#define AT_FORMAT   8u
#define AT_COUNT    12u
#define AT_BYTES    16u
#define AT_ROLLBACK 24u
#define AT_KEY_ID   32u
#define AT_NAME     48u
#define AT_RELEASE  80u
#define AT_REST     112u

/* In an entry of the table */
#define ENTRY_TYPE   0u
#define ENTRY_ZERO   4u
#define ENTRY_OFFSET 8u
#define ENTRY_SIZE   16u
#define ENTRY_DIGEST 24u
#define ENTRY_NAME   56u
#define ENTRY_REST   120u

#define LOWEST_PRINTABLE  0x20
#define HIGHEST_PRINTABLE 0x7e

const uint8_t bh_image_context[BH_IMAGE_CONTEXT_BYTES] = "Bulkhead platform image, signed";

const char *bh_image_type_name(enum bh_image_type type)
{
    static const char *const names[BH_IMAGE_TYPES] = {
        [BH_IMAGE_PLATFORM] = "platform", [BH_IMAGE_KERNEL] = "kernel",
        [BH_IMAGE_INITRD] = "initrd",     [BH_IMAGE_FIRMWARE] = "firmware",
        [BH_IMAGE_ELF] = "elf",           [BH_IMAGE_DEVICE_TREE] = "device-tree",
        [BH_IMAGE_START] = "start",
    };
    return (unsigned int)type < BH_IMAGE_TYPES ? names[type] : NULL;
}

/* ------------------------------------------------------------------------------------------------
 * little-endian numbers, texts filled up with zeros */

static void put(uint8_t *at, uint64_t value, unsigned int bytes)
{
    for (unsigned int i = 0; i < bytes; i++) {
        at[i] = (uint8_t)(value >> (8u * i));
    }
}

static uint64_t get(const uint8_t *at, unsigned int bytes)
{
    uint64_t value = 0;
    for (unsigned int i = bytes; i > 0; i--) {
        value = (value << 8) | at[i - 1u];
    }
    return value;
}

static bool all_zero(const uint8_t *at, size_t bytes)
{
    uint8_t any = 0;
    for (size_t i = 0; i < bytes; i++) {
        any |= at[i];
    }
    return any == 0;
}

/* `to` has room for a zero more. False: something follows the text's end. */
static bool get_text(const uint8_t *at, size_t bytes, char *to)
{
    size_t length = strnlen((const char *)at, bytes);
    memcpy(to, at, length);
    to[length] = '\0';
    return all_zero(at + length, bytes - length);
}

/* ------------------------------------------------------------------------------------------------
 * rules */

uint64_t bh_image_page_up(uint64_t offset)
{
    return (offset + BH_IMAGE_PAGE - 1u) & ~(uint64_t)(BH_IMAGE_PAGE - 1u);
}

uint64_t bh_image_sections_begin(uint32_t count)
{
    return bh_image_page_up(BH_IMAGE_SIGNED_BYTES(count) - BH_IMAGE_CONTEXT_BYTES +
                            BH_IMAGE_SIGNATURE_BYTES);
}

bool bh_image_place(struct bh_image_facts *facts, struct bh_image_section *sections)
{
    uint64_t offset = bh_image_sections_begin(facts->section_count);
    for (uint32_t i = 0; i < facts->section_count; i++) {
        if (sections[i].size == 0 || sections[i].size > BH_IMAGE_BYTES_MAX - offset) {
            return false;
        }
        sections[i].offset = offset;
        offset = bh_image_page_up(offset + sections[i].size);
    }
    facts->bytes = offset;
    return offset <= BH_IMAGE_BYTES_MAX;
}

static bool printable(const char *text, char lowest)
{
    for (const char *at = text; *at != '\0'; at++) {
        if (*at < lowest || *at > HIGHEST_PRINTABLE) {
            return false;
        }
    }
    return text[0] != '\0';
}

static bool name_valid(const char *name)
{
    return name[0] >= 'a' && name[0] <= 'z' &&
           strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789-") == strlen(name);
}

static bool name_twice(const struct bh_image_section *sections, uint32_t index)
{
    for (uint32_t i = 0; i < index; i++) {
        if (strcmp(sections[i].name, sections[index].name) == 0) {
            return true;
        }
    }
    return false;
}

const char *bh_image_content_fault(const struct bh_image_facts *facts,
                                   const struct bh_image_section *sections)
{
    if (!name_valid(facts->name)) {
        return "the platform's name is not of a-z, 0-9 and -";
    }
    if (!printable(facts->release, LOWEST_PRINTABLE)) {
        return "the release is empty or not printable ASCII";
    }
    for (uint32_t i = 0; i < facts->section_count; i++) {
        if (bh_image_type_name(sections[i].type) == NULL) {
            return "a section's type is unknown";
        }
        if (!printable(sections[i].name, LOWEST_PRINTABLE + 1)) {
            return "a section's name is empty or not printable ASCII";
        }
        if (name_twice(sections, i)) {
            return "two sections have one name";
        }
    }
    return NULL;
}

/* ------------------------------------------------------------------------------------------------
 * bytes */

enum bh_image_start bh_image_start_read(const uint8_t header[BH_IMAGE_HEADER_BYTES],
                                        uint32_t *format, uint32_t *count)
{
    if (memcmp(header, magic, sizeof(magic)) != 0) {
        return BH_IMAGE_START_FOREIGN;
    }
    *format = (uint32_t)get(header + AT_FORMAT, 4);
    *count = (uint32_t)get(header + AT_COUNT, 4);
    if (*format != BH_IMAGE_FORMAT) {
        return BH_IMAGE_START_FORMAT;
    }
    return *count >= 1 && *count <= BH_IMAGE_SECTIONS_MAX ? BH_IMAGE_START_GOOD
                                                          : BH_IMAGE_START_COUNT;
}

void bh_image_encode(const struct bh_image_facts *facts, const struct bh_image_section *sections,
                     uint8_t *bytes)
{
    uint8_t *header = bytes + BH_IMAGE_CONTEXT_BYTES;
    memset(bytes, 0, BH_IMAGE_SIGNED_BYTES(facts->section_count));
    memcpy(bytes, bh_image_context, sizeof(bh_image_context));
    memcpy(header, magic, sizeof(magic));
    put(header + AT_FORMAT, BH_IMAGE_FORMAT, 4);
    put(header + AT_COUNT, facts->section_count, 4);
    put(header + AT_BYTES, facts->bytes, 8);
    put(header + AT_ROLLBACK, facts->rollback, 8);
    memcpy(header + AT_KEY_ID, facts->key_id, sizeof(facts->key_id));
    memcpy(header + AT_NAME, facts->name, strlen(facts->name));
    memcpy(header + AT_RELEASE, facts->release, strlen(facts->release));
    for (uint32_t i = 0; i < facts->section_count; i++) {
        uint8_t *entry = header + BH_IMAGE_HEADER_BYTES + (size_t)i * BH_IMAGE_ENTRY_BYTES;
        put(entry + ENTRY_TYPE, sections[i].type, 4);
        put(entry + ENTRY_OFFSET, sections[i].offset, 8);
        put(entry + ENTRY_SIZE, sections[i].size, 8);
        memcpy(entry + ENTRY_DIGEST, sections[i].digest, sizeof(sections[i].digest));
        memcpy(entry + ENTRY_NAME, sections[i].name, strlen(sections[i].name));
    }
}

const uint8_t *bh_image_said_key_id(const uint8_t *bytes)
{
    return bytes + BH_IMAGE_CONTEXT_BYTES + AT_KEY_ID;
}

/* False: bytes that must be zero are not. */
static bool entry_decode(const uint8_t *entry, struct bh_image_section *section)
{
    uint32_t type = (uint32_t)get(entry + ENTRY_TYPE, 4);
    *section = (struct bh_image_section){
        .type = type < BH_IMAGE_TYPES ? (enum bh_image_type)type : BH_IMAGE_TYPES,
        .offset = get(entry + ENTRY_OFFSET, 8),
        .size = get(entry + ENTRY_SIZE, 8),
        .fd = -1,
    };
    memcpy(section->digest, entry + ENTRY_DIGEST, sizeof(section->digest));
    return get_text(entry + ENTRY_NAME, BH_IMAGE_SECTION_NAME_MAX, section->name) &&
           all_zero(entry + ENTRY_ZERO, ENTRY_OFFSET - ENTRY_ZERO) &&
           all_zero(entry + ENTRY_REST, BH_IMAGE_ENTRY_BYTES - ENTRY_REST);
}

const char *bh_image_decode(const uint8_t *bytes, struct bh_image_facts *facts,
                            struct bh_image_section *sections)
{
    const uint8_t *header = bytes + BH_IMAGE_CONTEXT_BYTES;
    const uint8_t *table = header + BH_IMAGE_HEADER_BYTES;
    bool zeros = all_zero(header + AT_REST, BH_IMAGE_HEADER_BYTES - AT_REST);
    facts->rollback = get(header + AT_ROLLBACK, 8);
    memcpy(facts->key_id, header + AT_KEY_ID, sizeof(facts->key_id));
    zeros = get_text(header + AT_NAME, BH_IMAGE_NAME_MAX, facts->name) && zeros;
    zeros = get_text(header + AT_RELEASE, BH_IMAGE_RELEASE_MAX, facts->release) && zeros;
    for (uint32_t i = 0; i < facts->section_count; i++) {
        zeros = entry_decode(table + (size_t)i * BH_IMAGE_ENTRY_BYTES, &sections[i]) && zeros;
    }
    if (!zeros) {
        return "bytes of the header or the table that must be zero are not";
    }
    if (!bh_image_place(facts, sections)) {
        return "a section is empty or too large";
    }
    for (uint32_t i = 0; i < facts->section_count; i++) {
        uint64_t said = get(table + (size_t)i * BH_IMAGE_ENTRY_BYTES + ENTRY_OFFSET, 8);
        if (said != sections[i].offset) {
            return "a section does not begin where the one before it ends";
        }
    }
    if (get(header + AT_BYTES, 8) != facts->bytes) {
        return "its size is not the sum of its sections";
    }
    return bh_image_content_fault(facts, sections);
}
