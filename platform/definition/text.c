/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Characters of UTF-8 text, how they look on a terminal, and the word that was probably meant.
 * Not a Unicode library: widths come from a short table of ranges.
 */
#include "text.h"

#include <limits.h>
#include <string.h>

#define SHOWN_CHARACTERS 40u
#define WORD_MAX         48u /* longer words get no suggestion */

struct range {
    uint32_t first;
    uint32_t last;
};

/* Combining marks and joiners: they lie over the character before them. */
static const struct range no_width[] = {
    {0x0300, 0x036f}, {0x0483, 0x0489}, {0x0591, 0x05bd}, {0x064b, 0x065f}, {0x200b, 0x200d},
    {0x20d0, 0x20ff}, {0x3099, 0x309a}, {0xfe00, 0xfe0f}, {0xfe20, 0xfe2f},
};

/* East Asian wide forms, and pictures. */
static const struct range two_wide[] = {
    {0x1100, 0x115f},   {0x2e80, 0x303e},   {0x3041, 0x4dbf},   {0x4e00, 0xa4cf},
    {0xac00, 0xd7a3},   {0xf900, 0xfaff},   {0xfe30, 0xfe6f},   {0xff00, 0xff60},
    {0xffe0, 0xffe6},   {0x1f300, 0x1f64f}, {0x1f680, 0x1f6ff}, {0x1f900, 0x1f9ff},
    {0x20000, 0x3fffd},
};

/* Shown as they are, these change how the rest of the line reads. */
static const struct range not_plain[] = {
    {0x0000, 0x001f}, {0x007f, 0x009f}, {0x061c, 0x061c}, {0x200e, 0x200f},
    {0x2028, 0x202e}, {0x2066, 0x2069}, {0xfeff, 0xfeff}, {0xfff9, 0xfffb},
};

#define IN(table, character) is_in(table, sizeof(table) / sizeof((table)[0]), character)

static bool is_in(const struct range *ranges, size_t count, uint32_t character)
{
    for (size_t i = 0; i < count; i++) {
        if (character >= ranges[i].first && character <= ranges[i].last) {
            return true;
        }
    }
    return false;
}

/* How many bytes follow a first byte, and the bits that it holds itself. */
static int follow_bytes(uint8_t first, uint32_t *bits)
{
    if (first < 0x80) {
        *bits = first;
        return 0;
    }
    if (first >= 0xc2 && first < 0xe0) {
        *bits = first & 0x1fu;
        return 1;
    }
    if (first >= 0xe0 && first < 0xf0) {
        *bits = first & 0x0fu;
        return 2;
    }
    if (first >= 0xf0 && first < 0xf5) {
        *bits = first & 0x07u;
        return 3;
    }
    return -1;
}

uint32_t bh_character_next(const char **at, const char *end)
{
    static const uint32_t least[] = {0, 0x80, 0x800, 0x10000};
    const char *from = *at;
    uint32_t character = 0;
    int follow = follow_bytes((uint8_t)*from, &character);

    *at = from + 1;
    if (follow < 0 || end - from <= follow) {
        return BH_CHARACTER_BAD;
    }
    for (int i = 1; i <= follow; i++) {
        uint8_t byte = (uint8_t)from[i];

        if ((byte & 0xc0u) != 0x80u) {
            return BH_CHARACTER_BAD;
        }
        character = character << 6 | (byte & 0x3fu);
    }
    if (character < least[follow] || (character >= 0xd800 && character <= 0xdfff) ||
        character > 0x10ffff) {
        return BH_CHARACTER_BAD;
    }
    *at = from + follow + 1;
    return character;
}

bool bh_character_is_plain(uint32_t character)
{
    return character != BH_CHARACTER_BAD && !IN(not_plain, character);
}

unsigned bh_character_width(uint32_t character)
{
    if (character < 0x300) {
        return 1;
    }
    if (IN(no_width, character)) {
        return 0;
    }
    return IN(two_wide, character) ? 2 : 1;
}

struct bh_shown bh_show(const char *text)
{
    struct bh_shown shown = {"\"\""};
    const char *at = text;
    const char *end = text + strlen(text);
    size_t used = 0;

    for (unsigned i = 0; at < end; i++) {
        const char *from = at;
        uint32_t character = bh_character_next(&at, end);

        if (i == SHOWN_CHARACTERS) {
            memcpy(shown.text + used, "...", 3);
            used += 3;
            break;
        }
        if (!bh_character_is_plain(character)) {
            shown.text[used++] = '?';
            continue;
        }
        memcpy(shown.text + used, from, (size_t)(at - from));
        used += (size_t)(at - from);
    }
    if (used != 0) {
        shown.text[used] = '\0';
    }
    return shown;
}

static unsigned smallest(unsigned a, unsigned b, unsigned c)
{
    unsigned least = a < b ? a : b;

    return least < c ? least : c;
}

static unsigned small(char letter)
{
    unsigned value = (unsigned char)letter;

    return value >= 'A' && value <= 'Z' ? value - 'A' + 'a' : value;
}

/* Letters, large or small, to insert, drop or change until `a` is `b`; both have at most
 * WORD_MAX letters. */
static unsigned distance(const char *a, const char *b)
{
    unsigned row[WORD_MAX + 1];
    size_t b_length = strlen(b);

    for (size_t j = 0; j <= b_length; j++) {
        row[j] = (unsigned)j;
    }
    for (size_t i = 0; a[i] != '\0'; i++) {
        unsigned corner = row[0];

        row[0] = (unsigned)i + 1;
        for (size_t j = 0; j < b_length; j++) {
            unsigned same = corner + (small(a[i]) == small(b[j]) ? 0u : 1u);

            corner = row[j + 1];
            row[j + 1] = smallest(row[j + 1] + 1, row[j] + 1, same);
        }
    }
    return row[b_length];
}

/* How far a word is from another, twice; one that begins otherwise is a little further. */
static unsigned farness(const char *word, const char *other, size_t length, unsigned limit)
{
    size_t other_length = strlen(other);
    size_t apart = other_length > length ? other_length - length : length - other_length;

    if (other_length > WORD_MAX || apart * 2 > limit) {
        return UINT_MAX;
    }
    return distance(word, other) * 2 + (small(word[0]) == small(other[0]) ? 0 : 1);
}

const char *bh_suggest(const char *word, bh_words at, const void *context)
{
    size_t length = strlen(word);
    unsigned nearest = 2 * (length < 3 ? 2 : (unsigned)length / 3 + 2); /* must be below it */
    const char *found = NULL;
    const char *other;
    bool tie = false; /* two are as near: then neither is meant */

    if (length == 0 || length > WORD_MAX) {
        return NULL;
    }
    for (size_t i = 0; (other = at(context, i)) != NULL; i++) {
        unsigned far = farness(word, other, length, nearest);

        if (far < nearest) {
            nearest = far;
            found = other;
            tie = false;
        } else if (far == nearest) {
            tie = true;
        }
    }
    return tie ? NULL : found;
}
