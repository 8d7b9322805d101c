/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The line filter of terminals (terminal_lines.h). Byte by byte, so that it does not matter how a
 * character or a sequence is split into reads. Each byte costs a constant amount of work, and adds
 * at most 8 bytes to a line.
 *
 * States, by what is under way:
 *   nothing    `need` and `sequence` are 0.
 *              -> character (a UTF-8 lead byte), sequence (ESC)
 *   character  `have` of `need` bytes are there.
 *              -> nothing (complete, or broken: the byte that breaks it is taken afresh)
 *   sequence   ESC was seen, then '[' and parameters.
 *              -> nothing (its final byte; what cannot be part of it ends it; too long)
 */
#include "terminal_lines.h"

#include <string.h>

#define TAB_WIDTH 8u
#define ESCAPE    0x1bu
#define DELETE    0x7fu

void bh_lines_init(struct bh_lines *lines,
                   void (*line)(void *context, const char *text, size_t length), void *context)
{
    memset(lines, 0, sizeof(*lines));
    lines->line = line;
    lines->context = context;
}

static void end_line(struct bh_lines *lines, bool goes_on)
{
    size_t length = lines->length;
    lines->text[length] = '\0';
    lines->length = 0;
    lines->column = 0;
    lines->goes_on = goes_on;
    lines->line(lines->context, lines->text, length);
}

static void add(struct bh_lines *lines, const uint8_t *bytes, size_t count)
{
    if (lines->length + count > BH_LINE_BYTES_MAX) {
        end_line(lines, true);
    }
    memcpy(lines->text + lines->length, bytes, count);
    lines->length += count;
    lines->column++;
}

static void add_harmless(struct bh_lines *lines)
{
    add(lines, (const uint8_t *)"?", 1);
}

static void add_tab(struct bh_lines *lines)
{
    do {
        add(lines, (const uint8_t *)" ", 1);
    } while (lines->column % TAB_WIDTH != 0u);
}

static void take_back(struct bh_lines *lines)
{
    if (lines->length == 0u) {
        return;
    }
    do {
        lines->length--;
    } while (lines->length > 0u && ((uint8_t)lines->text[lines->length] & 0xc0u) == 0x80u);
    lines->column--;
}

/* ------------------------------------------------------------------------------------------------
 * characters of several bytes */

/* Controls of the upper half, and what changes how the rest of the line is read. */
static bool is_harmful(uint32_t code)
{
    return (code >= 0x80u && code <= 0x9fu) || code == 0x061cu ||
           (code >= 0x200bu && code <= 0x200fu) || (code >= 0x2028u && code <= 0x202eu) ||
           (code >= 0x2060u && code <= 0x206fu) || code == 0xfeffu ||
           (code >= 0xe0000u && code <= 0xe0fffu);
}

/* Overlong forms, surrogates and what is beyond Unicode are no characters. */
static bool is_character(uint32_t code, uint32_t bytes)
{
    static const uint32_t least[] = {0, 0, 0x80u, 0x800u, 0x10000u};
    return code >= least[bytes] && code <= 0x10ffffu && (code < 0xd800u || code > 0xdfffu);
}

static void end_character(struct bh_lines *lines)
{
    static const uint32_t masks[] = {0, 0, 0x1fu, 0x0fu, 0x07u};
    uint32_t bytes = lines->need;
    uint32_t code = lines->character[0] & masks[bytes];
    for (uint32_t i = 1; i < bytes; i++) {
        code = code << 6u | (lines->character[i] & 0x3fu);
    }
    lines->need = 0;
    if (!is_character(code, bytes)) {
        for (uint32_t i = 0; i < bytes; i++) {
            add_harmless(lines);
        }
    } else if (is_harmful(code)) {
        add_harmless(lines);
    } else {
        add(lines, lines->character, bytes);
    }
}

static void break_character(struct bh_lines *lines)
{
    uint32_t bytes = lines->need != 0u ? lines->have : 0u;
    lines->need = 0;
    for (uint32_t i = 0; i < bytes; i++) {
        add_harmless(lines);
    }
}

static void begin_character(struct bh_lines *lines, uint8_t byte)
{
    if (byte >= 0xc2u && byte <= 0xf4u) {
        lines->need = byte >= 0xf0u ? 4u : byte >= 0xe0u ? 3u : 2u;
        lines->have = 1;
        lines->character[0] = byte;
    } else {
        add_harmless(lines);
    }
}

/* ------------------------------------------------------------------------------------------------
 * bytes */

static void take_control(struct bh_lines *lines, uint8_t byte)
{
    switch (byte) {
    case '\t':
        add_tab(lines);
        break;
    case '\b':
        take_back(lines);
        break;
    case ESCAPE:
        lines->sequence = 1;
        break;
    default:
        add_harmless(lines);
        break;
    }
}

static void take_byte(struct bh_lines *lines, uint8_t byte)
{
    if (byte == '\n') {
        lines->after_return = false;
        end_line(lines, false);
        return;
    }
    if (byte == '\r') {
        lines->after_return = true; /* the next byte tells what it means */
        return;
    }
    if (lines->after_return) {
        lines->after_return = false;
        if (lines->length != 0u) {
            end_line(lines, false);
        }
    }
    if (byte < 0x20u || byte == DELETE) {
        take_control(lines, byte);
    } else if (byte < 0x80u) {
        add(lines, &byte, 1);
    } else {
        begin_character(lines, byte);
    }
}

/* True: the byte was part of the sequence. */
static bool take_sequence(struct bh_lines *lines, uint8_t byte)
{
    if (lines->sequence == 1u ? byte == '[' : byte >= 0x20u && byte <= 0x3fu) {
        lines->sequence++;
        if (lines->sequence > BH_LINE_SEQUENCE_MAX) {
            lines->sequence = 0;
            add_harmless(lines);
        }
        return true;
    }
    bool complete = lines->sequence > 1u && byte >= 0x40u && byte <= 0x7eu;
    lines->sequence = 0;
    if (!complete) {
        add_harmless(lines);
    }
    return complete;
}

void bh_lines_feed(struct bh_lines *lines, const uint8_t *bytes, size_t count)
{
    lines->touched = lines->touched || count > 0u;
    for (size_t i = 0; i < count; i++) {
        uint8_t byte = bytes[i];
        if (lines->sequence != 0u && take_sequence(lines, byte)) {
            continue;
        }
        if (lines->need != 0u) {
            if ((byte & 0xc0u) == 0x80u) {
                lines->character[lines->have] = byte;
                lines->have++;
                if (lines->have == lines->need) {
                    end_character(lines);
                }
                continue;
            }
            break_character(lines);
        }
        take_byte(lines, byte);
    }
}

bool bh_lines_partial(const struct bh_lines *lines)
{
    return lines->length != 0u || lines->need != 0u || lines->sequence != 0u;
}

void bh_lines_flush(struct bh_lines *lines)
{
    break_character(lines);
    if (lines->sequence != 0u) {
        lines->sequence = 0;
        add_harmless(lines);
    }
    if (lines->length != 0u) {
        lines->after_return = false;
        end_line(lines, true);
    }
}

void bh_lines_tick(struct bh_lines *lines)
{
    if (!lines->touched) {
        bh_lines_flush(lines);
    }
    lines->touched = false;
}
