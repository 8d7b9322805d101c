/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * See report_text.h. It draws nothing.
 */
#include "report_text.h"

#include <stdint.h>
#include <string.h>

#include "platform/definition/text.h"

#define SIZE_LEAST 7

/* Advance widths of ' ' to '~', in thousandths of the font's size. */
static const uint16_t widths[] = {
    318, 401, 460, 838, 637, 951, 780, 275, 391, 391, 500, 838, 318, 361,  318, 337, 637, 637, 637,
    637, 637, 637, 637, 637, 637, 637, 337, 337, 838, 838, 838, 531, 1000, 685, 687, 699, 771, 632,
    576, 775, 752, 295, 295, 656, 558, 863, 749, 788, 604, 788, 695, 635,  611, 732, 685, 989, 686,
    611, 686, 391, 337, 391, 838, 500, 500, 613, 635, 550, 635, 616, 353,  635, 634, 278, 278, 580,
    278, 975, 634, 612, 635, 635, 412, 521, 393, 634, 592, 818, 592, 592,  525, 637, 337, 637, 838};

/* Of any other character, and of one that takes two columns on a terminal. */
#define WIDTH_OTHER 1000u
#define WIDTH_BROAD 1200u

static unsigned character_width(uint32_t character)
{
    if (character >= ' ' && character <= '~') {
        return widths[character - ' '];
    }
    return character != BH_CHARACTER_BAD && bh_character_width(character) == 2 ? WIDTH_BROAD
                                                                               : WIDTH_OTHER;
}

/* Bold letters are broader, by 15 of 100 at most. */
static int pixels(uint64_t sum, int size, bool bold)
{
    return (int)((sum * (uint64_t)size * (bold ? 115u : 100u) + 99999u) / 100000u);
}

int bh_text_width(const char *text, size_t length, int size, bool bold)
{
    const char *end = text + length;
    uint64_t sum = 0;

    while (text < end) {
        sum += character_width(bh_character_next(&text, end));
    }
    return pixels(sum, size, bold);
}

int bh_text_fit(const char *text, int size, bool bold, int room)
{
    const size_t length = strlen(text);

    while (size > SIZE_LEAST && bh_text_width(text, length, size, bold) > room) {
        size--;
    }
    return size;
}

/* Bytes of the first line: as many whole words as fit, or as much of the first one. */
static size_t line_length(const char *text, int size, bool bold, int room)
{
    const char *end = text + strlen(text);
    const char *at = text;
    size_t words = 0;
    size_t parts = 0;
    size_t characters = 0;
    uint64_t sum = 0;

    while (at < end) {
        const char *from = at;

        sum += character_width(bh_character_next(&at, end));
        if (*from == ' ') {
            words = (size_t)(from - text);
        }
        if (pixels(sum, size, bold) > room) {
            characters = characters == 0 ? (size_t)(at - text) : characters;
            return words > 0 ? words : parts > 0 ? parts : characters;
        }
        characters = (size_t)(at - text);
        parts = *from == '-' ? characters : parts;
    }
    return characters;
}

void bh_text_wrap(struct bh_text_lines *lines, const char *text, int size, bool bold, int room)
{
    lines->count = 0;
    while (*text == ' ') {
        text++;
    }
    while (*text != '\0' && lines->count < (int)BH_TEXT_LINES_MAX) {
        const size_t length = line_length(text, size, bold, room);

        lines->starts[lines->count] = text;
        lines->lengths[lines->count] = length;
        while (lines->lengths[lines->count] > 1u &&
               text[lines->lengths[lines->count] - 1u] == ' ') {
            lines->lengths[lines->count]--;
        }
        lines->count++;
        text += length;
        while (*text == ' ') {
            text++;
        }
    }
}
